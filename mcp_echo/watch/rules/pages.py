"""Where the specification says what binds whom: revision → page and heading. No I/O.

Pages and headings moved between the revisions; what one of them does not say has no place in it.
"""

from __future__ import annotations

from mcp_echo.protocol.revisions import KNOWN

# Fails for one more, whose text has to be read first.
R2024_11_05, R2025_03_26, R2025_06_18, R2025_11_25, R2026_07_28 = (revision.name for revision in KNOWN)

ALL = (R2024_11_05, R2025_03_26, R2025_06_18, R2025_11_25, R2026_07_28)
HANDSHAKE = (R2024_11_05, R2025_03_26, R2025_06_18, R2025_11_25)
"""Those with ``initialize``."""
SESSIONS = (R2025_03_26, R2025_06_18, R2025_11_25)
"""Those with one endpoint and ``Mcp-Session-Id``."""
VERSION_HEADER = (R2025_06_18, R2025_11_25)
"""Those of `SESSIONS` with ``MCP-Protocol-Version``."""

_STREAMABLE_HTTP = "basic/transports/streamable-http"


def pages(place: str, *revisions: str) -> dict[str, str]:
    """Return a place for each of some revisions.

    Args:
        place: Page and heading, ``basic/lifecycle#operation``.
        revisions: Those that have it there.
    """
    return dict.fromkeys(revisions, place)


def sessions(heading: str) -> dict[str, str]:
    """Return a heading on the page about transports, for each revision of `SESSIONS`."""
    return pages(f"basic/transports#{heading}", *SESSIONS)


def modern(heading: str) -> dict[str, str]:
    """Return a heading on the page about Streamable HTTP of the modern era."""
    return pages(f"{_STREAMABLE_HTTP}#{heading}", R2026_07_28)


def address(revision: str, place: str) -> str:
    """Return the address of a place, for rules that explain a text of a revision and bind others."""
    return f"https://modelcontextprotocol.io/specification/{revision}/{place}"


def rfc(number: int, section: str) -> str:
    """Return the address of a section of an RFC."""
    return f"https://www.rfc-editor.org/rfc/rfc{number}.html#section-{section}"


PROTECTED = (R2025_06_18, R2025_11_25, R2026_07_28)
"""Those whose servers have metadata of a protected resource."""


def authorization(heading: str, *revisions: str) -> dict[str, str]:
    """Return a heading on the page about authorization, for each of some revisions."""
    return pages(f"basic/authorization#{heading}", *revisions)


def authorization_2026(page: str, heading: str) -> dict[str, str]:
    """Return a heading on one of the pages about authorization that 2026-07-28 has beside the first."""
    return pages(f"basic/authorization/{page}#{heading}", R2026_07_28)


DISCOVERY = (
    authorization("authorization-server-location", R2025_06_18)
    | authorization("protected-resource-metadata-discovery-requirements", R2025_11_25)
    | authorization_2026(
        "authorization-server-discovery", "protected-resource-metadata-discovery-requirements"
    )
)
"""How a client finds the metadata of a resource."""

SERVER_DISCOVERY = (
    authorization("server-metadata-discovery", R2025_06_18)
    | authorization("authorization-server-metadata-discovery", R2025_11_25)
    | authorization_2026("authorization-server-discovery", "authorization-server-metadata-discovery")
)
"""How it finds that of the authorization server."""

CODE_PROTECTION = authorization("authorization-code-protection", R2025_06_18, R2025_11_25) | (
    authorization_2026("security-considerations", "authorization-code-protection")
)

REDIRECTION = authorization("open-redirection", R2025_06_18, R2025_11_25) | authorization_2026(
    "security-considerations", "open-redirection"
)

RESOURCE = authorization("resource-parameter-implementation", *PROTECTED)
TOKENS = authorization("token-requirements", *SESSIONS, R2026_07_28)
TOKEN_HANDLING = authorization("token-handling", *SESSIONS, R2026_07_28)
STEP_UP = authorization("step-up-authorization-flow", R2025_11_25, R2026_07_28)
