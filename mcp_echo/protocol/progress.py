"""The token by which a request asks for news of its progress. No I/O.

https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/progress#progress-flow
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mcp_echo.protocol.params import UNREADABLE


class WrongToken(NamedTuple):
    """What stands where a progress token would, and cannot be one."""

    reason: str
    """What is wrong with it, as a clause."""


ProgressToken = int | str | WrongToken | None
"""The token of a request; None where it has none."""


class _WithMeta(msgspec.Struct):
    meta: Raw | UnsetType = msgspec.field(name="_meta", default=UNSET)


class _WithToken(msgspec.Struct):
    token: Raw | UnsetType = msgspec.field(name="progressToken", default=UNSET)


_decode_params = msgspec.json.Decoder(_WithMeta).decode
_decode_meta = msgspec.json.Decoder(_WithToken).decode


def progress_token(params: Raw) -> ProgressToken:
    """Return the progress token of a request, or what is wrong with the one it gives.

    Args:
        params: The request's params, an undecoded JSON object.
    """
    raw = bytes(params)
    # Quick, since every request passes here; where there is a backslash the key may be written otherwise.
    if b"_meta" not in raw and b"\\" not in raw:
        return None
    try:
        return _token(params)
    except UNREADABLE:
        # What is wrong then is not the token, and is told by whoever reads the rest.
        return None


def _token(params: Raw) -> ProgressToken:
    meta = _decode_params(params).meta
    if meta is UNSET:
        return None
    if bytes(meta)[:1] != b"{":
        return WrongToken(f"_meta is {_kind(meta)}; it must be an object")
    token = _decode_meta(meta).token
    if token is UNSET:
        return None
    value = msgspec.json.decode(token)
    if isinstance(value, float) and value.is_integer():
        # 1.0 is the integer 1 to JSON Schema.
        value = int(value)
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    return WrongToken(f"progressToken is {_kind(token)}; it must be a string or an integer")


def _kind(value: Raw) -> str:
    """Return what a JSON value is, for people; numbers and the three words are shown as they are."""
    text = bytes(value)
    kinds = {b"{": "an object", b"[": "an array", b'"': "a string"}
    return kinds.get(text[:1]) or text[:40].decode("ascii", "replace")
