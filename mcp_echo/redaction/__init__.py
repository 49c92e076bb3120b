"""Keeping secrets out of whatever leaves the server: answers, logs, error texts.

A leaf: it imports nothing of the package but itself. `names` and `shapes` are the two tables of what a secret
is.
"""

from mcp_echo.redaction.masking import (
    excerpt,
    mask_body,
    mask_cookies,
    mask_credentials,
    mask_header,
    mask_json,
    mask_known,
    mask_session_ids,
    mask_tokens,
    mask_userinfo,
    quoted,
    secrets_in,
    short_id,
)
from mcp_echo.redaction.placeholders import is_placeholder
from mcp_echo.redaction.schemes import split_credentials
from mcp_echo.redaction.text import cut, fingerprint, mask, one_line, printable

__all__ = [
    "cut",
    "excerpt",
    "fingerprint",
    "is_placeholder",
    "mask",
    "mask_body",
    "mask_cookies",
    "mask_credentials",
    "mask_header",
    "mask_json",
    "mask_known",
    "mask_session_ids",
    "mask_tokens",
    "mask_userinfo",
    "one_line",
    "printable",
    "quoted",
    "secrets_in",
    "short_id",
    "split_credentials",
]
