"""What ``_meta`` of a message may be, for those who insist on it. No I/O.

https://modelcontextprotocol.io/specification/2025-11-25/basic#_meta and
https://modelcontextprotocol.io/specification/2026-07-28/basic#_meta
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mcp_echo.protocol.errors import MetaInvalid
from mcp_echo.protocol.params import UNREADABLE
from mcp_echo.protocol.progress import WrongToken, progress_token
from mcp_echo.protocol.revisions import Revision
from mcp_echo.redaction import quoted


class _WithMeta(msgspec.Struct):
    meta: dict[str, Any] | UnsetType = msgspec.field(name="_meta", default=UNSET)


_decode = msgspec.json.Decoder(_WithMeta).decode

_LABEL = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_TRACE_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACE_STATE = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x21-\x2b\x2d-\x3c\x3e-\x7e\x20]{1,256}")
_BAGGAGE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*=[ \t]*[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")


def check_meta(params: Raw, revision: Revision) -> None:
    """Refuse what ``_meta`` must not be.

    Args:
        params: The params of a message, an undecoded JSON object.
        revision: The revision whose rules count.

    Raises:
        MetaInvalid: It is no object, or has a key, a progress token or a trace context that it must not have.
    """
    token = progress_token(params)
    if isinstance(token, WrongToken):
        raise MetaInvalid(f"Invalid params: {token.reason}")
    if not revision.meta_names:
        return
    try:
        meta = _decode(params).meta
    except UNREADABLE as error:
        raise MetaInvalid(f"Invalid params: {error}") from None
    for key, value in {} if meta is UNSET else meta.items():
        _check_member(key, value, revision)


def _check_member(key: str, value: Any, revision: Revision) -> None:
    if not is_meta_key(key):
        raise MetaInvalid(f"Invalid params: _meta has the key {quoted(key)}, which is not allowed")
    if revision.stateless and not _is_trace_context(key, value):
        raise MetaInvalid(f"Invalid params: {key} in _meta is not in the W3C's format")


def is_meta_key(key: str) -> bool:
    """Return whether a text may be a key of ``_meta``: labels, dots and a slash, all optional, and a name."""
    prefix, slash, name = key.rpartition("/")
    if slash and not all(_LABEL.fullmatch(label) for label in prefix.split(".")):
        return False
    return not name or _NAME.fullmatch(name) is not None


def _is_trace_context(key: str, value: Any) -> bool:
    """Return whether a value is what the three keys of trace contexts may have; others may have any.

    https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/baggage/
    """
    if key not in ("traceparent", "tracestate", "baggage"):
        return True
    if not isinstance(value, str):
        return False
    if key == "traceparent":
        return _is_trace_parent(value)
    members = (each.strip() for each in value.split(","))
    if key == "tracestate":
        return all(not each or _TRACE_STATE.fullmatch(each) for each in members)
    # Properties of a member come after a semicolon.
    return all(_BAGGAGE.fullmatch(each.partition(";")[0].strip()) for each in members)


def _is_trace_parent(value: str) -> bool:
    found = _TRACE_PARENT.match(value)
    if found is None:
        return False
    rest = value[found.end() :]
    # Later versions may go on behind another hyphen; the first one does not.
    return not rest or (rest[0] == "-" and not value.startswith("00"))
