"""Clients that are known by the address of their metadata."""

from __future__ import annotations

import json
from typing import Any

from mcp_echo.transport.oauth.assembly import Outside
from mcp_echo.transport.oauth.fetching import NotFetched
from tests.transport.oauth.support import REDIRECT_URI, OAuthTestCase, answered
from tests.transport.support import _at_once, _nothing

CLIENT = "https://client.example/mcp.json"


class DocumentTests(OAuthTestCase):
    settings = {"MCP_ECHO_CLIENT_HOSTS": "client.example"}

    def setUp(self) -> None:
        self.document: Any = {"client_id": CLIENT, "client_name": "Mine", "redirect_uris": [REDIRECT_URI]}
        self.fetched = 0
        super().setUp()

    def world(self) -> Outside:
        return Outside(_at_once, _nothing, self._fetch)

    async def _fetch(self, url: str, _most: int) -> bytes:
        assert url == CLIENT
        self.fetched += 1
        if self.document is None:
            raise NotFetched("it was answered with 404")
        return json.dumps(self.document).encode()

    def test_a_client_needs_no_registration(self) -> None:
        """2025-11-25 basic/authorization, Client ID Metadata Documents."""
        server = self.request("GET", f"/.well-known/oauth-authorization-server/t/{self.place.trace}").json
        assert server["client_id_metadata_document_supported"] is True
        for _ in range(2):
            assert self.redeem(CLIENT, self.code(CLIENT)).status == 200
        assert self.fetched == 1

    def test_what_it_says_is_believed_for_five_minutes(self) -> None:
        """Our choice: a client can move its redirect URI, and nobody has its host flooded."""
        self.code(CLIENT)
        self.document["redirect_uris"] = ["http://127.0.0.1:9/moved"]
        assert "code" in answered(self.authorize(CLIENT))
        self.clock.advance(301)
        assert self.authorize(CLIENT).status == 400
        assert self.fetched == 2

    def test_a_document_that_is_not_its_own_is_none(self) -> None:
        """draft-ietf-oauth-client-id-metadata-document section 4: client_id is the address."""
        for change in (
            {"client_id": "https://client.example/other.json"},
            {"redirect_uris": ["http://app.example/cb"]},
            {"token_endpoint_auth_method": "client_secret_basic"},
            {"redirect_uris": "x"},
        ):
            good, self.document = self.document, {**self.document, **change}
            answer = self.authorize(CLIENT)
            assert answer.status in (400, 401), change
            assert answer.header("Location") is None
            self.document = good
        self.document = None
        assert b"404" in self.authorize(CLIENT).body

    def test_another_host_is_not_asked(self) -> None:
        """docs: MCP_ECHO_CLIENT_HOSTS."""
        answer = self.authorize("https://evil.example/mcp.json")
        assert b"MCP_ECHO_CLIENT_HOSTS" in answer.body
        assert self.fetched == 0
