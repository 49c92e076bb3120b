"""What is found of a client that lets itself in, over all legs of its flow, and which step it never took."""

from __future__ import annotations

import base64
from typing import Any

from tests.transport.oauth.support import REDIRECT_URI, OAuthTestCase, call_of

SERVER = "/.well-known/oauth-authorization-server"


class FindingsTests(OAuthTestCase):
    """Unless a test says otherwise, the row of each rule names the text that binds."""

    def discover(self) -> None:
        """Be challenged, and read what is to be read."""
        assert self.mcp(None).status == 401
        self.fetch(self.place.metadata)
        assert self.request("GET", f"{SERVER}/t/{self.place.trace}").status == 200

    def report(self) -> Any:
        """Return what is known of the trace."""
        return self.request("GET", f"/t/{self.place.trace}/report").json

    def findings(self) -> dict[str, Any]:
        """Return what is found of it: but for what is told of everybody."""
        found = {each["id"]: each for each in self.report()["findings"]}
        return {name: each for name, each in found.items() if each["level"] != "info"}

    def flow(self) -> tuple[str, str, dict[str, str]]:
        """Return how its one flow of OAuth stands: state, verdict, the states of its steps."""
        (flow,) = [each for each in self.report()["flows"] if each["kind"] == "oauth"]
        return flow["state"], flow["verdict"], {each["step"]: each["state"] for each in flow["steps"]}

    def test_a_client_that_does_all_of_it_has_no_finding_and_one_flow(self) -> None:
        """Our choice: no rule accuses a client that is right."""
        self.discover()
        token = self.tokens()["access_token"]
        session = self.mcp(token).header("Mcp-Session-Id")
        assert session is not None
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        headers = {"Mcp_Session_Id": session, "MCP_Protocol_Version": "2025-11-25"}
        assert self.mcp(token, ready, **headers).status == 202
        assert self.mcp(token, call_of("echo", message="hi"), **headers).status == 200
        self.clock.advance(60)
        assert self.findings() == {}
        state, _, steps = self.flow()
        assert state == "complete"
        taken = (
            "challenge",
            "resource-metadata",
            "server-metadata",
            "register",
            "authorize",
            "token",
            "first-call",
        )
        assert steps == dict.fromkeys(taken, "done") | dict.fromkeys(
            ("consent", "refresh", "step-up"), "skipped"
        )

    def test_a_token_that_nothing_comes_with_is_told_after_thirty_seconds(self) -> None:
        """Our choice: what most reports of OAuth were about; a later call resolves it, and it stays."""
        self.discover()
        token = self.tokens()["access_token"]
        self.clock.advance(29)
        assert self.findings() == {}
        self.clock.advance(2)
        finding = self.findings()["token-never-used"]
        assert finding["summary"].endswith("from that address came since: nothing")
        assert finding["revision"] == "2025-11-25"
        state, verdict, steps = self.flow()
        assert (state, steps["token"], steps["first-call"]) == ("stopped", "done", "missing")
        assert "and nothing has come with it" in verdict
        assert self.mcp(token).status == 200
        finding = self.findings()["token-never-used"]
        assert (finding["count"], finding["resolved"]) == (1, True)
        assert self.flow()[0] == "complete"

    def deviate(
        self, metadata: dict[str, Any] | None = None, token: dict[str, Any] | None = None, **asked: Any
    ) -> Any:
        """Go the whole way with something wrong; return what the token endpoint said."""
        self.discover()
        client = self.register(**(metadata or {}))["client_id"]
        answer = self.authorize(client, **asked)
        code = (answer.header("Location") or "").partition("code=")[2].partition("&")[0]
        return self.redeem(client, code, **(token or {})).json

    def test_a_resource_with_a_slash_more(self) -> None:
        self.deviate(resource=f"{self.place.resource}/")
        finding = self.findings()["resource-differs"]
        assert (finding["level"], finding["evidence"][0]["differsIn"]) == ("warning", ["slash"])

    def test_no_resource(self) -> None:
        self.deviate(resource=None, token={"resource": None})
        assert self.findings()["resource-missing"]["count"] == 2

    def test_another_redirect_uri(self) -> None:
        self.deviate(redirect_uri="http://127.0.0.1:9/other")
        assert self.findings()["redirect-uri-differs"]["evidence"][0]["wanted"] == REDIRECT_URI

    def test_a_code_twice(self) -> None:
        self.discover()
        client = self.register()["client_id"]
        code = self.code(client)
        assert self.redeem(client, code).status == 200
        assert self.redeem(client, code).json["error"] == "invalid_grant"
        assert "code-reused" in self.findings()

    def test_a_wrong_verifier(self) -> None:
        assert self.deviate(token={"code_verifier": "w" * 43})["error"] == "invalid_grant"
        assert "verifier-wrong" in self.findings()

    def test_basic_where_none_was_registered(self) -> None:
        self.discover()
        client = self.register()["client_id"]
        self.redeem(client, self.code(client), headers={"Authorization": basic(client)}, client_id=None)
        finding = self.findings()["client-authentication-differs"]
        assert finding["evidence"][0] == {"exchange": 6, "found": "client_secret_basic", "wanted": "none"}

    def test_no_pkce(self) -> None:
        self.deviate(code_challenge=None, code_challenge_method=None)
        assert "pkce-missing" in self.findings()

    def test_no_state(self) -> None:
        self.deviate(state=None)
        assert self.findings()["state-missing"]["level"] == "warning"

    def test_metadata_that_is_never_read(self) -> None:
        assert self.mcp(None).status == 401
        self.clock.advance(31)
        assert self.findings()["metadata-never-read"]["confidence"] == "likely"
        assert self.flow()[0] == "stopped"

    def test_metadata_at_another_place_than_the_challenge_names(self) -> None:
        assert self.mcp(None).status == 401
        self.clock.advance(1)
        assert (
            self.request("GET", f"/.well-known/oauth-protected-resource/t/{self.place.trace}").status == 404
        )
        assert "metadata-url-ignored" in self.findings()

    def test_a_refresh_where_a_scope_is_missing(self) -> None:
        self.discover()
        tokens = self.tokens()
        call = call_of("healthProbe")
        assert self.mcp(tokens["access_token"], call).status == 403
        form = {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            "client_id": tokens["client_id"],
            "resource": self.place.resource,
        }
        again = self.ask_token(form).json["access_token"]
        assert self.mcp(again, call).status == 403
        assert "step-up-refreshed" in self.findings()
        assert self.flow()[2]["step-up"] == "failed"


def basic(client_id: str) -> str:
    """Return the credentials of a client with a secret."""
    return f"Basic {base64.b64encode(f'{client_id}:made-up'.encode()).decode()}"
