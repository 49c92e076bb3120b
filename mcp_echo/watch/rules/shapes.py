"""What a secret looked like before it was masked: its form, and nothing of it. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable

from mcp_echo.redaction.placeholders import is_placeholder
from mcp_echo.watch.records import AuthorizationForm, SessionForm

_QUOTES = ('"', "'")

_SCHEME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*+", re.ASCII)
"""RFC 9110 section 11.2; the same as the ``b64token`` of RFC 6750 section 2.1."""
_OF_TOKEN68 = frozenset({"bearer", "dpop", "basic"})
"""Schemes whose credentials are a token68; others have a grammar of their own, or none that is kept."""

_VISIBLE = re.compile(r"[\x21-\x7e]+")


def shape_of_authorization(values: list[str]) -> AuthorizationForm:
    """Return what the values of ``Authorization`` look like: the first that is no credential tells.

    RFC 9110 section 11.6.2 and RFC 6750 section 2.1.

    Args:
        values: The value of each line, as it came.
    """
    forms = [_authorization(each.strip(" \t")) for each in values]
    if not forms:
        return "none"
    return next((form for form in forms if form != "well-formed"), "well-formed")


def _authorization(value: str) -> AuthorizationForm:
    if not value:
        return "empty"
    if _is_quoted(value):
        return "quoted"
    scheme, _, rest = value.partition(" ")
    credential = rest.strip(" \t")
    if not _SCHEME.fullmatch(scheme):
        return "malformed"
    if not credential:
        return "no-credential"
    return _credential(scheme.lower(), credential)


def _credential(scheme: str, credential: str) -> AuthorizationForm:
    if credential.lower().partition(" ")[0] == scheme:
        return "doubled"
    if _is_quoted(credential):
        return "quoted"
    if is_placeholder(credential):
        return "undefined"
    if scheme in _OF_TOKEN68 and not _TOKEN68.fullmatch(credential):
        return "malformed"
    return "well-formed"


def shape_of_session_id(
    value: str, is_ours: Callable[[str], bool], is_of_another: Callable[[str], bool] = lambda _: False
) -> SessionForm:
    """Return what a value of ``Mcp-Session-Id`` looks like.

    Args:
        value: The value, as it came.
        is_ours: Whether an id is as this node makes them.
        is_of_another: Whether it is as another node makes them.
    """
    if is_ours(value):
        return "ours"
    if is_of_another(value):
        return "elsewhere"
    if not value or is_placeholder(value):
        return "undefined"
    if _is_doubled(value):
        return "doubled"
    if _is_quoted(value):
        return "quoted"
    return "foreign" if _VISIBLE.fullmatch(value) else "characters"


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]


def _is_doubled(text: str) -> bool:
    """Return whether a text is one value, once and again, as lines of one name are joined."""
    parts = {part.strip(" \t") for part in text.split(",")}
    return "," in text and len(parts) == 1 and parts != {""}
