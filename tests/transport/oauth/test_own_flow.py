"""A caller's report on itself at plain /mcp: the flow in which its own token was issued, and no other."""

from __future__ import annotations

from typing import Any

from tests.transport.engine_support import OnATraceEngine
from tests.transport.oauth.support import OAuthTestCase, Place, call_of
from tests.transport.support import URL


class PlainPlace(Place):
    """Plain ``/mcp``, which asks for a token."""

    def path(self, leg: str) -> str:
        """Return the path of an endpoint of its authorization server."""
        return f"/{leg}"


class OwnFlowTests(OAuthTestCase):
    settings = {"MCP_ECHO_CHALLENGE": "on", "MCP_ECHO_WATCH": "on"}
    wishes = {}

    def make(self, **_: Any) -> Place:
        """Return plain ``/mcp``."""
        return PlainPlace("", f"{URL}/mcp", URL, f"{URL}/.well-known/oauth-protected-resource/mcp")

    def let_in(self) -> Any:
        """Go the whole way, and return the tokens of a new client."""
        assert self.mcp(None).status == 401
        self.fetch(self.place.metadata)
        return self.tokens(scope="mcp")

    def report(self, token: str, tool: str = "clientReport") -> Any:
        """Return what a tool tells a new session of itself."""
        session = self.mcp(token).header("Mcp-Session-Id") or ""
        answer = self.mcp(token, call_of(tool), Mcp_Session_Id=session)
        return answer.json["result"]["structuredContent"]

    def test_a_session_is_told_the_flow_of_its_own_token(self) -> None:
        """Our choice: the legs are of no session, and the token says whose they are."""
        mine = self.let_in()
        assert self.mcp(mine["access_token"]).status == 200
        other = self.let_in()
        told = self.report(mine["access_token"])
        assert told["about"] == "session"
        assert [each["kind"] for each in told["flows"]] == ["oauth", "legacy"]
        way_in = told["flows"][0]
        assert (way_in["state"], mine["client_id"] in way_in["verdict"]) == ("complete", True)
        assert other["client_id"] not in str(told["flows"])
        assert self.report(mine["access_token"], "flowTimeline")["flows"][0]["kind"] == "oauth"

    def test_two_clients_that_cannot_be_told_apart_are_told_no_flow(self) -> None:
        """Our choice: only what is certain, as the flow of one would have the other's client id in it."""
        mine, other = self.let_in(), self.let_in()
        for each in (mine, other):
            assert [flow["kind"] for flow in self.report(each["access_token"])["flows"]] == ["legacy"]

    def test_the_token_leg_of_plain_mcp_is_recorded(self) -> None:
        """Our choice: /token is no trace, though it begins as /t does."""
        token = self.let_in()["access_token"]
        insight = self.service.insight
        assert insight is not None
        assert insight.plain is not None
        report = insight.report(insight.plain)
        assert self.mcp(token).status == 200
        (flow,) = [each for each in report.flows if each.kind == "oauth"]
        assert {step.step: step.state for step in flow.steps}["token"] == "done"

    def test_a_refreshed_token_is_of_the_same_flow(self) -> None:
        """RFC 6749 section 6."""
        tokens = self.let_in()
        form = {"grant_type": "refresh_token", "client_id": tokens["client_id"]}
        newer = self.ask_token({**form, "refresh_token": tokens["refresh_token"]}).json["access_token"]
        way_in = self.report(newer)["flows"][0]
        assert {each["step"]: each["state"] for each in way_in["steps"]}["refresh"] == "done"

    def test_a_token_that_was_issued_before_anything_was_recorded_has_no_flow(self) -> None:
        """Our choice: a flow that is awaiting a token from the same address is not certain to be its own."""
        token = self.let_in()["access_token"]
        insight = self.service.insight
        assert insight is not None
        assert insight.plain is not None
        insight.plain.flows.__init__()  # type: ignore[misc]
        assert self.mcp(None).status == 401
        self.fetch(self.place.metadata)
        assert [each["kind"] for each in self.report(token)["flows"]] == ["legacy"]


class SharedOwnFlowTests(OnATraceEngine, OwnFlowTests):
    pass
