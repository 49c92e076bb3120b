"""Reading what a server answers: JSON or an event stream. No I/O."""

from __future__ import annotations

from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode


def messages_in(body: bytes | bytearray, *, is_stream: bool) -> list[dict[str, Any]]:
    """Return the JSON objects of a body, one by one; what is none is left out.

    Args:
        body: As far as it has come.
        is_stream: Whether it is an event stream.
    """
    found = events(body) if is_stream else [body]
    values = [_value(each) for each in found]
    flat = [each for value in values for each in (value if isinstance(value, list) else [value])]
    return [each for each in flat if isinstance(each, dict)]


def _value(text: bytes | bytearray) -> Any:
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def events(body: bytes | bytearray) -> list[bytes]:
    """Return the data of each whole event. https://html.spec.whatwg.org/multipage/server-sent-events.html"""
    found: list[bytes] = []
    data: list[bytes] = []
    lines = bytes(body).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    # What follows the last line end has not come whole.
    for line in lines[:-1]:
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif not line and data:
            found.append(b"\n".join(data))
            data = []
    return found
