"""Client id metadata documents: fetched from the hosts that the operator lists, and from no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from mcp_echo.oauth.errors import OAuthError
from mcp_echo.oauth.registration import ClientMetadata, InvalidDocument, read_metadata
from mcp_echo.transport.oauth.fetching import NotFetched

MOST_BYTES = 5120
"""Bytes of a document."""

LONGEST_URL = 300
"""Characters of its address."""


class Documents:
    """Fetches documents.

    Args:
        hosts: Where they may be (``MCP_ECHO_CLIENT_HOSTS``).
        fetch: Fetches.
    """

    def __init__(self, hosts: Sequence[str], fetch: Callable[[str, int], Awaitable[bytes]]) -> None:
        self._hosts = frozenset(hosts)
        self._fetch = fetch

    def __bool__(self) -> bool:
        return bool(self._hosts)

    @staticmethod
    def is_address(client_id: str) -> bool:
        """Return whether a client's id is meant for the address of a document."""
        return client_id.startswith("https://")

    async def fetch(self, url: str) -> ClientMetadata:
        """Return what a document says.

        Raises:
            InvalidDocument: It cannot be had, or is none.
        """
        self._check(url)
        try:
            return read_metadata(await self._fetch(url, MOST_BYTES))
        except (NotFetched, OAuthError) as error:
            raise InvalidDocument(str(error)) from None

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            raise InvalidDocument("client_id is no URL") from None
        if host not in self._hosts or parts.netloc != host:
            raise InvalidDocument("its host is not among MCP_ECHO_CLIENT_HOSTS")
        dots = any(each in (".", "..") for each in parts.path.split("/"))
        if len(url) > LONGEST_URL or parts.path in ("", "/") or dots or "#" in url:
            raise InvalidDocument("client_id has a path, no fragment and no dots in it")
