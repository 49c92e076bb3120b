"""The published MCP revisions, one row each; every difference in behaviour is a named field. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Revision:
    """What one revision of the protocol can say.

    Code asks a revision for a feature; it never compares version strings.
    https://modelcontextprotocol.io/specification/2025-11-25/changelog
    """

    name: str
    batches: bool = False
    """A POST may carry a JSON array (2025-03-26 alone)."""
    audio: bool = False
    """Audio content blocks."""
    annotations: bool = False
    """``annotations`` on tools."""
    titles: bool = False
    """``title`` on tools, resources, prompts and implementations."""
    structured_content: bool = False
    """``outputSchema`` on tools and ``structuredContent`` in their results."""
    version_header: bool = False
    """Clients send ``MCP-Protocol-Version`` after ``initialize``."""
    implementation_details: bool = False
    """``description`` and ``websiteUrl`` of an implementation."""
    argument_errors_are_results: bool = False
    """Bad tool arguments are answered with an ``isError`` result instead of -32602 (SEP-1303)."""
    priming_event: bool = False
    """Event streams open with an event id and empty data (SEP-1699)."""


LEGACY = (
    Revision("2024-11-05"),
    Revision("2025-03-26", batches=True, audio=True, annotations=True),
    Revision(
        "2025-06-18",
        audio=True,
        annotations=True,
        titles=True,
        structured_content=True,
        version_header=True,
    ),
    Revision(
        "2025-11-25",
        audio=True,
        annotations=True,
        titles=True,
        structured_content=True,
        version_header=True,
        implementation_details=True,
        argument_errors_are_results=True,
        priming_event=True,
    ),
)
"""The revisions with ``initialize`` and sessions, oldest first."""

KNOWN = LEGACY
"""Every revision this server can speak, oldest first."""

ASSUMED = "2025-03-26"
"""What a client that names no revision speaks (2025-11-25 basic/transports, Protocol Version Header)."""


class Supported:
    """The revisions that one server speaks.

    Args:
        names: The revisions to speak; an empty iterable means all known ones.
        offer: The revision to offer to a client that asks for one we do not speak; None for the newest.

    Raises:
        ValueError: A name is no known revision, or ``offer`` is not among ``names``.
    """

    def __init__(self, names: Iterable[str] = (), offer: str | None = None) -> None:
        wanted = set(names) or {revision.name for revision in KNOWN}
        if unknown := wanted - {revision.name for revision in KNOWN}:
            known = ", ".join(revision.name for revision in KNOWN)
            raise ValueError(f"{', '.join(sorted(unknown))} is no known MCP revision; known are {known}")
        self.rows = tuple(revision for revision in KNOWN if revision.name in wanted)
        self._by_name = {revision.name: revision for revision in self.rows}
        if offer is not None and offer not in self._by_name:
            raise ValueError(f"{offer} is not among the supported revisions {', '.join(self.names)}")
        self.offered = self.rows[-1] if offer is None else self._by_name[offer]
        self.assumed = self._by_name.get(ASSUMED, self.offered)

    @property
    def names(self) -> list[str]:
        """The supported revisions' names, newest first."""
        return [revision.name for revision in reversed(self.rows)]

    def get(self, name: str) -> Revision | None:
        """Return the supported revision of this name, or None."""
        return self._by_name.get(name)

    def negotiate(self, requested: str) -> Revision:
        """Return the revision to answer an ``initialize`` with.

        The requested one when it is supported (MUST), else the one this server offers (SHOULD be its
        newest). https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#version-negotiation
        """
        return self._by_name.get(requested, self.offered)
