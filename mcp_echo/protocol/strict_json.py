"""JSON texts as strictly as RFC 8259 lets a parser be, since not only the sender's friends will read them.

No I/O. https://www.rfc-editor.org/rfc/rfc8259
"""

from __future__ import annotations

import json
import re
from array import array
from itertools import accumulate
from typing import Any

import msgspec

MAX_DEPTH = 128
"""Deepest nesting read. A parser's own bound depends on the stack below it, so that what could be read here
could fail wherever it is read or written again (RFC 8259 section 9 allows the bound)."""

MAX_VALUES = 50_000
"""Most values read, unless told otherwise. Arrays and objects take up to 30 times their text: without a
bound, memory would grow with what a text holds, and not with its length. Names of members count as values,
since each is a string of its own."""

_decode = msgspec.json.Decoder().decode
_check_grammar = msgspec.json.Decoder(msgspec.Raw).decode

# Possessive repeats give nothing back, so that they keep no place to go back to: an ordinary one would keep
# 150 bytes for each character of a string.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STRETCH = re.compile(rb'(?:[^"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"){1,1000}+', re.DOTALL)
"""Up to 1000 strings and what is between them: as much as is looked at in one piece."""
_BLANKS = b" \t\n\r"
_STEPS = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")
_NO_STEP = bytes(set(range(256)) - set(b"[]{}"))
_HALF_A_CHARACTER = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|[c-fC-F][0-9a-fA-F]{2})"
)
_SHORTEST_TELLING = 4
"""Bytes that tell an encoding (RFC 4627 section 3)."""


class NotJson(ValueError):
    """The bytes are no JSON text that is read here; the message says what is wrong with them."""


class TooManyValues(NotJson):
    """A JSON text of more values than are read.

    Args:
        limit: How many are.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the JSON has more than {limit} values, names of members and each array, object and what is in "
            "them counted"
        )


def read(data: bytes, max_values: int = MAX_VALUES, name: str = "text") -> Any:
    """Return what a JSON text says.

    All of it is decoded: a number that nothing can hold counts as an error where nobody would look at it,
    too. For a message of the usual size that is the cheapest check there is.

    Args:
        data: What should be JSON in UTF-8, without a byte order mark (section 8.1).
        max_values: Most values it may hold, names of members counted.
        name: What to call it when it is refused.

    Raises:
        TooManyValues: It holds more.
        NotJson: It is not UTF-8 or not JSON, is nested more than `MAX_DEPTH` deep, or has a number out of
            range or half a character.
    """
    try:
        if not data.isascii():
            data.decode("utf-8")
        # Each level takes two bytes, and so does each value: most messages are too short for too much.
        if len(data) >= 2 * min(MAX_DEPTH, max_values) and _may_be_too_much(data, max_values):
            _check_bounds(data, max_values)
        return _decode(data)
    except UnicodeDecodeError as error:
        raise NotJson(_other_encoding(data, name) or f"not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise _too_deep() from None
    except msgspec.DecodeError as error:
        raise NotJson(_why(error, data, name)) from None


def is_read(data: bytes, max_values: int = MAX_VALUES) -> bool:
    """Return whether a text is one that `read` takes."""
    try:
        read(data, max_values)
    except NotJson:
        return False
    return True


def _may_be_too_much(data: bytes, max_values: int) -> bool:
    """Return whether a text may be too deep or hold too many values: never False when one is or does."""
    opened = data.count(b"[") + data.count(b"{")
    return opened > MAX_DEPTH or opened + data.count(b",") + data.count(b":") >= max_values


def _check_bounds(data: bytes, max_values: int) -> None:
    """Refuse a text that is too deep or holds too many values, before anything is made of it.

    Raises:
        NotJson: It is, or does.
        msgspec.DecodeError: It is not JSON.
        RecursionError: It is so deep that not even that can be told.
    """
    _check_grammar(data)
    values, depth = 1, 0
    for stretch in _STRETCH.finditer(data):
        marks = _STRING.sub(b'"', stretch[0]).translate(None, _BLANKS)
        values += _followed(marks)
        if values > max_values:
            raise TooManyValues(max_values)
        steps = array("b", marks.translate(_STEPS, _NO_STEP))
        if max(accumulate(steps, initial=depth)) > MAX_DEPTH:
            raise _too_deep()
        depth += sum(steps)


def _followed(marks: bytes) -> int:
    """Return how many values begin behind a comma, a colon or an opening bracket."""
    return sum(map(marks.count, (b",", b":", b"[", b"{"))) - marks.count(b"[]") - marks.count(b"{}")


def _too_deep() -> NotJson:
    return NotJson(f"the JSON is nested more than {MAX_DEPTH} levels deep")


def _why(error: msgspec.DecodeError, data: bytes, name: str) -> str:
    if not data.strip(_BLANKS):
        return f"the {name} is empty"
    other = _other_encoding(data, name)
    if other is not None:
        return other
    words = str(error)
    if ("truncated" in words or "surrogate" in words) and _HALF_A_CHARACTER.search(data):
        return "a string holds half a character (a lone surrogate)"
    if "truncated" in words:
        return f"the {name} is truncated: it ends before the JSON is complete"
    return words


def _other_encoding(data: bytes, name: str) -> str | None:
    """Return what tells that a text is in another encoding than it has to be (section 8.1), or None."""
    if len(data) < _SHORTEST_TELLING:
        return None
    encoding = json.detect_encoding(data)
    if encoding == "utf-8":
        return None
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return None
    if encoding == "utf-8-sig":
        return f"the {name} begins with a byte order mark, which must be left out"
    if encoding in ("utf-16", "utf-32"):
        return f"the {name} begins with a byte order mark of {encoding.upper()}; it must be in UTF-8"
    return f"the {name} seems to be in {encoding.upper()[:6]}; it must be in UTF-8"
