"""Which web pages and which host names are let in: exact matches of parsed names. No I/O.

Names are parsed and compared part by part; a prefix or suffix never matches, so that
``http://localhost.evil.example`` is not ``http://localhost``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

ANY = "*"

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::([0-9]{1,5}|\*))?")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]{0,31})://(.+)")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


Parsed = TypeVar("Parsed")


class Authority(NamedTuple):
    """A host name or address with an optional port (RFC 3986 section 3.2)."""

    host: str
    port: str | None


class Origin(NamedTuple):
    """A web origin (RFC 6454): scheme, host and port."""

    scheme: str
    host: str
    port: str | None


def default_port(scheme: str) -> str | None:
    """Return the port that is meant where a URL of this scheme names none."""
    return _DEFAULT_PORTS.get(scheme)


def parse_authority(text: str) -> Authority | None:
    """Return the parts of ``text``, lower-cased, or None when it is no host with an optional port."""
    parts = _AUTHORITY.fullmatch(text.lower())
    return Authority(parts[1], parts[2]) if parts else None


def parse_origin(text: str) -> Origin | None:
    """Return the parts of ``text``, or None when it is no origin; ``null`` is none either."""
    parts = _ORIGIN.fullmatch(text.lower())
    authority = parse_authority(parts[2]) if parts else None
    if parts is None or authority is None:
        return None
    return Origin(parts[1], authority.host, authority.port or default_port(parts[1]))


def _meant(
    setting: str, entries: Iterable[str], parse: Callable[[str], Parsed | None], what: str
) -> set[Parsed]:
    """Return what the entries of a list mean, but for `ANY`.

    Args:
        setting: Where the list is, for the message.
        entries: The list.
        parse: Reads one.
        what: What one is, for the message.

    Raises:
        ValueError: One is not what it should be.
    """
    meant = set()
    for entry in entries:
        parsed = parse(entry)
        if parsed is not None:
            meant.add(parsed)
        elif entry != ANY:
            raise ValueError(f"{setting}: {entry!r} is not {what}")
    return meant


class AllowedHosts:
    """The ``Host`` names a server answers for.

    Args:
        entries: ``name``, ``name:port`` or ``*``; without a port every port is meant.

    Raises:
        ValueError: An entry is none of these.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self.entries = tuple(entries)
        self.any = ANY in self.entries
        named = _meant("MCP_ECHO_ALLOWED_HOSTS", self.entries, parse_authority, "a host name")
        self._allowed = {each._replace(port=None) if each.port == ANY else each for each in named}

    def allows(self, host: str) -> bool:
        """Return whether the ``Host`` header ``host`` names this server."""
        authority = parse_authority(host)
        if authority is None or authority.port == ANY:
            return False
        return self.any or authority in self._allowed or authority._replace(port=None) in self._allowed


def entry_for_host(host: str) -> str | None:
    """Return the entry of `AllowedHosts` that would let a ``Host`` header in; None where none could."""
    authority = parse_authority(host)
    return None if authority is None or authority.port == ANY else authority.host


def entry_for_origin(origin: str) -> str | None:
    """Return the entry of `AllowedOrigins` that would let an ``Origin`` in; None where `ANY` alone does."""
    parsed = parse_origin(origin)
    if parsed is None or parsed.port == ANY:
        return None
    port = "" if parsed.port in (None, default_port(parsed.scheme)) else f":{parsed.port}"
    return f"{parsed.scheme}://{parsed.host}{port}"


class AllowedOrigins:
    """The web origins whose pages may talk to a server.

    Args:
        entries: ``scheme://host``, ``scheme://host:port``, ``scheme://host:*`` or ``*``.

    Raises:
        ValueError: An entry is none of these.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self.entries = tuple(entries)
        self.any = ANY in self.entries
        example = "an origin; write it as https://app.example.com"
        self._allowed = _meant("MCP_ECHO_ALLOWED_ORIGINS", self.entries, parse_origin, example)

    def allows(self, origin: str) -> bool:
        """Return whether a page of this origin may talk to the server."""
        if self.any:
            return True
        parsed = parse_origin(origin)
        if parsed is None or parsed.port == ANY:
            return False
        return parsed in self._allowed or parsed._replace(port=ANY) in self._allowed
