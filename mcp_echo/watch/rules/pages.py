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
