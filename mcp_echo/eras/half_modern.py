"""Requests whose halves belong to different eras: what their headers say, and what their bodies say.

The body decides which era a request is of. One whose header names another is refused, and told which of the
two says what.
https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning#backward-compatibility
"""

from __future__ import annotations

from mcp_echo.protocol.errors import MetaIncomplete, VersionNotSupported
from mcp_echo.protocol.jsonrpc import Request
from mcp_echo.protocol.modern import (
    VERSION_HEADER,
    claimed_version,
    disagreement,
    what_is_lacking,
)
from mcp_echo.redaction import excerpt, quoted


def with_disagreement(error: MetaIncomplete, request: Request, version: str | None) -> MetaIncomplete:
    """Return the refusal of a ``_meta`` that also says what the header says, where that is another revision.

    Args:
        error: What is wrong with ``_meta``.
        request: The request.
        version: What its header says; None without one.
    """
    claimed = claimed_version(request.params)
    if claimed is None or version is None or claimed == version:
        return error
    told = disagreement(VERSION_HEADER, quoted(version), f"says {quoted(claimed)}")
    return MetaIncomplete(f"{error.message}; {told}")


def half_modern(
    request: Request, version: str | None, asked: str | None, *, in_session: bool
) -> MetaIncomplete:
    """Return the refusal of a request that names a modern revision and is no modern request.

    Args:
        request: The request, whose ``_meta`` names no revision.
        version: What its header says; None without one.
        asked: The revision that it asks for, where it is an ``initialize`` that names one.
        in_session: Whether it names a session.
    """
    if request.method != "initialize":
        body = f"names no revision: {what_is_lacking(request.params)}"
        hint = "; Mcp-Session-Id belongs to the revisions with initialize" if in_session else ""
        return MetaIncomplete(
            f"Invalid params: {disagreement(VERSION_HEADER, quoted(version or ''), body)}{hint}"
        )
    if version is None or version == asked:
        return MetaIncomplete(
            f"Invalid params: {quoted(asked or '')} has no initialize; {what_is_lacking(request.params)}, "
            "which each of its requests carries instead"
        )
    told = disagreement(VERSION_HEADER, quoted(version), f"is an initialize {_asking(asked)}")
    return MetaIncomplete(
        f"Invalid params: {told}. Leave the header out of initialize; or leave initialize out, and "
        f"send what each request of {excerpt(version)} carries: {what_is_lacking(request.params)}"
    )


def not_spoken(version: str | None, asked: str | None, supported: list[str]) -> VersionNotSupported:
    """Return the refusal of a request that names a revision which is not spoken here.

    Args:
        version: What its header says; None without one.
        asked: The revision that it asks for, where it is an ``initialize`` that names one.
        supported: The revisions that are spoken, newest first.
    """
    if version is None:
        return VersionNotSupported(asked or "", supported)
    if asked is None or asked == version:
        return VersionNotSupported(version, supported)
    told = disagreement(VERSION_HEADER, quoted(version), f"is an initialize {_asking(asked)}")
    return VersionNotSupported(version, supported, f"; {told}")


def _asking(asked: str | None) -> str:
    return "that names no revision" if asked is None else f"for {quoted(asked)}"
