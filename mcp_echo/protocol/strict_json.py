"""JSON texts as strictly as RFC 8259 lets a parser be, since not only the sender's friends will read them.

No I/O. https://www.rfc-editor.org/rfc/rfc8259
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

MAX_DEPTH = 128
"""Deepest nesting read. A parser's own bound depends on the stack below it, so that what could be read here
could fail wherever it is read or written again (RFC 8259 section 9 allows the bound)."""

_decode = msgspec.json.Decoder().decode

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_OPENED_OR_CLOSED = bytes.maketrans(b"{}", b"[]")
_NEITHER = bytes(set(range(256)) - set(b"[]{}"))
_HALF_A_CHARACTER = re.compile(r"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|[c-fC-F][0-9a-fA-F]{2})")


class NotJson(ValueError):
    """The bytes are no JSON text; the message says what is wrong with them."""


def read(data: bytes) -> Any:
    """Return what a JSON text says.

    All of it is decoded: a number that nothing can hold counts as an error where nobody would look at it,
    too. For a message of the usual size that is the cheapest check there is.

    Args:
        data: What should be JSON in UTF-8, without a byte order mark (section 8.1).

    Raises:
        NotJson: It is not UTF-8 or not JSON, is nested more than `MAX_DEPTH` deep, or has a number out of
            range or half a character.
    """
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise NotJson(f"not UTF-8 (byte {error.start})") from None
    try:
        value = _decode(data)
    except RecursionError:
        raise _too_deep() from None
    except msgspec.DecodeError as error:
        raise NotJson(_why(error, data)) from None
    # Each level takes two bytes, so that most messages are done here.
    if len(data) > 2 * MAX_DEPTH and data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_deep(data):
        raise _too_deep()
    return value


def _too_deep() -> NotJson:
    return NotJson(f"the JSON is nested more than {MAX_DEPTH} levels deep")


def _is_deep(data: bytes) -> bool:
    """Return whether a JSON text is nested too deep; nothing in here runs once a bracket."""
    brackets = _STRING.sub(b"", data).translate(_OPENED_OR_CLOSED, _NEITHER)
    for _ in range(MAX_DEPTH):
        # The innermost arrays and objects go, and the text is one level less deep.
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return True


def _why(error: msgspec.DecodeError, data: bytes) -> str:
    words = str(error)
    if ("truncated" in words or "surrogate" in words) and _HALF_A_CHARACTER.search(data.decode("utf-8")):
        return "a string holds half a character (a lone surrogate)"
    return words
