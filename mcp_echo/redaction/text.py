"""Text for people: masks, escapes and cuts. No I/O."""

from __future__ import annotations

import hashlib
import re

LONGEST = 32 * 1024
"""Characters of any one text that are shown; the client has the rest: it sent it."""

LONGEST_QUOTE = 200
"""Characters of a client's text that a sentence quotes."""

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_ESCAPES = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in range(0x10000)
    if _CONTROLS.match(chr(code))
}


def fingerprint(secret: str) -> str:
    """Return the first 8 hexadecimal digits of the secret's SHA-256: enough to compare, useless to replay."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def mask(secret: str) -> str:
    """Return a description of ``secret`` that does not contain it."""
    return f"[{len(secret)} characters, sha256 {fingerprint(secret)}]"


def cut(text: str, most: int = LONGEST) -> str:
    """Return the beginning of a long text, with how much was left out; a shorter text stays as it is.

    The cut is at a blank, so that no half of a secret is left that nothing could tell for one: a text without
    any is left out wholly.

    Args:
        text: What may be too long.
        most: Characters to keep.
    """
    if len(text) <= most:
        return text
    end = most
    while end and not text[end].isspace():
        end -= 1
    return f"{text[:end]} [{len(text) - end} characters left out]".lstrip()


def printable(text: str) -> str:
    r"""Return ``text`` with the characters that act on a terminal or a log shown as ``\\x1b`` or ``\\u2028``.

    Line feeds and tabs stay.
    """
    # Most text has none, which str can tell in half the time; a table is quick where they are many.
    if text.isprintable() or not _CONTROLS.search(text):
        return text
    return text.translate(_ESCAPES)


def one_line(text: str) -> str:
    """Return ``text`` as `printable` does, with line feeds and tabs escaped too: for log lines."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
