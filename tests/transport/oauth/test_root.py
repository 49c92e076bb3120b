"""Requests to the root of the host by clients of a trace, which name none: whose they are likely to be."""

from __future__ import annotations

from typing import Any

from tests.transport.oauth.support import FORM, JSON, REDIRECT_URI, OAuthTestCase
from tests.transport.oauth.test_findings import SERVER
from tests.transport.oauth.test_repeated_heads import OneConnection

ROOT = "/.well-known/oauth-protected-resource"
OPENID = "/.well-known/openid-configuration"


class RootTestCase(OAuthTestCase):
    def records(self) -> list[Any]:
        """Return the exchanges of the trace that its path does not name."""
        told = self.request("GET", f"/t/{self.place.trace}/exchanges").json["exchanges"]
        return [each for each in told if "joined" in each]

    def findings(self) -> dict[str, Any]:
        """Return what is found of the trace by id."""
        report = self.request("GET", f"/t/{self.place.trace}/report").json
        return {each["id"]: each for each in report["findings"]}

    def challenged(self) -> None:
        """Be challenged, a while ago."""
        assert self.mcp(None).status == 401
        self.clock.advance(1)


class JoinTests(RootTestCase):
    def test_the_root_before_the_suffix_is_a_finding(self) -> None:
        """2025-11-25 basic/authorization, Protected Resource Metadata Discovery Requirements."""
        self.challenged()
        assert self.request("GET", ROOT).status == 404
        finding = self.findings()["metadata-url-ignored"]
        assert (finding["confidence"], finding["level"]) == ("likely", "error")
        assert finding["evidence"][0]["found"] == ROOT
        (record,) = self.records()
        assert (record["path"], record["joined"]) == (ROOT, "address")

    def test_endpoints_that_no_metadata_names_are_a_finding(self) -> None:
        """RFC 8414: /authorize, /register and /token of the host are those of 2025-03-26 alone."""
        self.challenged()
        self.fetch(self.place.metadata)
        self.clock.advance(1)
        for method, path in (("POST", "/register"), ("GET", "/authorize?code=x"), ("POST", "/token")):
            assert self.request(method, path).status == 404
        finding = self.findings()["as-guessed"]
        assert (finding["count"], finding["confidence"]) == (3, "likely")
        assert [each["path"] for each in self.records()] == ["/register", "/authorize", "/token"]

    def test_metadata_of_a_server_at_the_root_counts_as_looked_for(self) -> None:
        """Our choice: it is looked for at the wrong place, and not never."""
        self.challenged()
        self.fetch(self.place.metadata)
        self.request("GET", SERVER)
        self.request("GET", OPENID)
        assert [each["path"] for each in self.records()] == [SERVER, OPENID]
        self.clock.advance(40)
        assert "as-metadata-never-read" not in self.findings()

    def test_the_connection_tells_clients_of_one_address_apart(self) -> None:
        """Our choice: what comes on the connection of a challenge is of the program that got it."""
        other = self.make(**self.wishes)
        mine, its = OneConnection(self.service.site), OneConnection(self.service.site)
        assert mine.post(self.place.mcp, "none") == 401
        assert its.post(other.mcp, "none") == 401
        assert mine.get(ROOT) == 404
        assert [each["joined"] for each in self.records()] == ["connection"]

    def test_nothing_is_kept_of_it_but_what_was_asked_for(self) -> None:
        """Our choice: it may be somebody else's, who has not shown anybody an id."""
        self.challenged()
        form = "code=c0de-of-somebody&code_verifier=v3rifier-of-somebody"
        headers = {**FORM, "X-Whose": "somebody's", "Authorization": "Bearer t0ken-of-somebody"}
        self.request("POST", f"/token?{form}", form.encode(), headers)
        (record,) = self.records()
        assert record["path"] == "/token"
        assert {"headers", "query", "oauth", "messages"}.isdisjoint(record)
        for view in ("evidence.json", "evidence.md", "evidence.har", "exchanges"):
            body = self.request("GET", f"/t/{self.place.trace}/{view}").body
            assert b"somebody" not in body, view

    def test_a_client_that_is_right_is_accused_of_nothing(self) -> None:
        """Our choice: no rule accuses a correct client, whoever else is at its address."""
        self.challenged()
        self.fetch(self.place.metadata)
        self.request("GET", f"{SERVER}/t/{self.place.trace}")
        token = self.tokens()["access_token"]
        assert self.mcp(token).status == 200
        self.clock.advance(1)
        self.request("GET", ROOT)
        self.request("POST", "/register", {"redirect_uris": [REDIRECT_URI]}, JSON)
        assert self.records() == []
        assert [each for each in self.findings().values() if each["level"] == "error"] == []


class NotJoinedTests(RootTestCase):
    def test_with_two_traces_that_challenged_an_address_nothing_is_known(self) -> None:
        """Our choice: exactly one."""
        other = self.make(**self.wishes)
        self.challenged()
        assert self.mcp(None, place=other).status == 401
        assert self.request("GET", ROOT).status == 404
        assert self.records() == []

    def test_what_comes_a_minute_later_is_not_of_the_flow(self) -> None:
        """Our choice: within the time that a way in takes."""
        self.challenged()
        self.clock.advance(60)
        self.request("GET", ROOT)
        assert self.records() == []

    def test_each_leg_has_the_next_one_waited_for(self) -> None:
        """Our choice: a person at a page takes a while."""
        self.challenged()
        self.clock.advance(50)
        self.fetch(self.place.metadata)
        self.clock.advance(50)
        self.request("GET", SERVER)
        assert len(self.records()) == 1

    def test_somebody_at_another_address_is_somebody_else(self) -> None:
        """docs: MCP_ECHO_TRUSTED_PROXIES: the caller is whom the proxy says."""
        self.serve({"MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1"})
        self.place = self.make(**self.wishes)
        assert self.mcp(None, X_Forwarded_For="198.51.100.1").status == 401
        self.clock.advance(1)
        self.request("GET", ROOT, headers={"X-Forwarded-For": "198.51.100.2"})
        assert self.records() == []
        self.request("GET", ROOT, headers={"X-Forwarded-For": "198.51.100.1"})
        assert [each["joined"] for each in self.records()] == ["address"]
        # The legs that name the trace have the address of the caller as well, and not that of the proxy.
        self.request("GET", f"{SERVER}/t/{self.place.trace}", headers={"X-Forwarded-For": "198.51.100.1"})
        told = self.request("GET", f"/t/{self.place.trace}/exchanges").json["exchanges"]
        assert {each["address"] for each in told} == {"198.51.100.1"}

    def test_where_plain_mcp_is_protected_the_root_is_its_own(self) -> None:
        """RFC 9728 section 3.1: the root is there, and is answered."""
        self.serve({"MCP_ECHO_CHALLENGE": "on"})
        self.place = self.make(**self.wishes)
        self.challenged()
        assert self.request("GET", ROOT).status == 200
        assert self.records() == []

    def test_other_paths_are_nobody_s(self) -> None:
        """Our choice: only what OAuth has at the root."""
        self.challenged()
        for path in ("/favicon.ico", "/", "/health", "/.well-known/security.txt", "/mcp"):
            self.request("GET", path)
        assert self.records() == []
