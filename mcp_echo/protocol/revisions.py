"""The published MCP revisions, each by what it changed in the one before. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Revision:
    """What one revision of the protocol can say.

    Code asks a revision for a feature; it never compares version strings.
    https://modelcontextprotocol.io/specification/2025-11-25/changelog
    """

    name: str
    streamable_http: bool = False
    """Its transport is the one with a single endpoint, whose clients list two media types in ``Accept``."""
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
    meta_names: bool = False
    """The keys of ``_meta`` have a form to keep to."""
    implementation_details: bool = False
    """``description`` and ``websiteUrl`` of an implementation."""
    argument_errors_are_results: bool = False
    """Bad tool arguments are answered with an ``isError`` result instead of -32602 (SEP-1303)."""
    priming_event: bool = False
    """Event streams of POST open with an event id and empty data (SEP-1699)."""
    completions_capability: bool = False
    """``completions`` is a capability to declare."""
    elicitation: bool = False
    """The user can be asked by a form."""
    url_elicitation: bool = False
    """The user can be sent to a URL."""
    stateless: bool = False
    """No handshake and no session: each request says everything in its ``_meta``. This is the modern era."""

    def can_ask(self, method: str, params: Mapping[str, Any]) -> bool:
        """Return whether the revision knows this question to the client."""
        if method != "elicitation/create":
            return True
        return self.url_elicitation if params.get("mode") == "url" else self.elicitation


_2024_11_05 = Revision("2024-11-05")
_2025_03_26 = replace(
    _2024_11_05,
    name="2025-03-26",
    streamable_http=True,
    batches=True,
    audio=True,
    annotations=True,
    completions_capability=True,
)
_2025_06_18 = replace(
    _2025_03_26,
    name="2025-06-18",
    batches=False,
    elicitation=True,
    titles=True,
    structured_content=True,
    version_header=True,
    meta_names=True,
)
_2025_11_25 = replace(
    _2025_06_18,
    name="2025-11-25",
    url_elicitation=True,
    implementation_details=True,
    argument_errors_are_results=True,
    priming_event=True,
)
_2026_07_28 = replace(_2025_11_25, name="2026-07-28", priming_event=False, stateless=True)

LEGACY = (_2024_11_05, _2025_03_26, _2025_06_18, _2025_11_25)
"""The revisions with ``initialize`` and sessions, oldest first."""

MODERN = (_2026_07_28,)
"""The revisions in which every request stands alone, oldest first."""

KNOWN = LEGACY + MODERN
"""Every revision this server can speak, oldest first."""

BY_NAME = {revision.name: revision for revision in KNOWN}
"""The same by their names."""

ASSUMED = "2025-03-26"
"""What a client that names no revision speaks (2025-11-25 basic/transports, Protocol Version Header)."""


class Supported:
    """The revisions that one server speaks.

    Args:
        names: The revisions to speak; an empty iterable means all known ones.
        offer: The legacy revision to offer to a client whose ``initialize`` asks for one we do not speak;
            None for the newest.

    Raises:
        ValueError: A name is no known revision, or ``offer`` is not among the legacy ones of ``names``.
    """

    def __init__(self, names: Iterable[str] = (), offer: str | None = None) -> None:
        wanted = set(names) or BY_NAME.keys()
        if unknown := wanted - BY_NAME.keys():
            known = ", ".join(BY_NAME)
            raise ValueError(f"{', '.join(sorted(unknown))} is not a known MCP revision; known are {known}")
        self._by_name = {name: revision for name, revision in BY_NAME.items() if name in wanted}
        self.rows = tuple(self._by_name.values())
        self.legacy = _among(self._by_name, LEGACY)
        self.modern = _among(self._by_name, MODERN)
        if offer is not None and offer not in self.legacy:
            raise ValueError(f"{offer} cannot be offered: supported are {', '.join(self.legacy) or 'none'}")
        newest = next(reversed(self.legacy.values()), None)
        self.offered = newest if offer is None else self.legacy[offer]
        """What ``initialize`` falls back to; None where the legacy era is switched off."""
        self.assumed = self.legacy.get(ASSUMED, self.offered)
        """What a client that names no revision speaks; None where the legacy era is switched off."""

    @property
    def names(self) -> list[str]:
        """The supported revisions' names, newest first."""
        return [revision.name for revision in reversed(self.rows)]

    def get(self, name: str) -> Revision | None:
        """Return the supported revision of this name, or None."""
        return self._by_name.get(name)

    def negotiate(self, requested: str) -> Revision | None:
        """Return the revision to answer an ``initialize`` with; None where the legacy era is switched off.

        The requested one when it is supported (MUST), else the one this server offers (SHOULD be its
        newest). The handshake never leads to a modern revision, which has none.
        https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#version-negotiation
        """
        return self.legacy.get(requested, self.offered)


def _among(supported: Mapping[str, Revision], era: Iterable[Revision]) -> dict[str, Revision]:
    return {revision.name: revision for revision in era if revision.name in supported}
