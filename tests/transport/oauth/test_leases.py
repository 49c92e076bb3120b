"""Streams that were opened with an access token, and what becomes of them when it is good no more."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from tests.transport.oauth.support import FORM, OAuthTestCase, call_of
from tests.transport.oauth.test_issuers import IssuerTestCase
from tests.transport.support import BOTH, Listening, Posted, modern_message, routing_headers


class LeaseTestCase(OAuthTestCase):
    wishes = {"challenge": "oauth", "scopes": ["read"], "tokenSeconds": 100}

    def setUp(self) -> None:
        super().setUp()
        self.service.streams.start()

    def open(self, token: str) -> Listening:
        """Return a listening stream of a new session, opened with a token."""
        session = self.mcp(token).header("Mcp-Session-Id") or ""
        fields = {"Accept": "text/event-stream", "Mcp-Session-Id": session}
        answer = self.begin("GET", self.place.mcp, headers={**fields, "Authorization": f"Bearer {token}"})
        listening = Listening(answer)
        self.client.flush()
        assert listening.status == 200
        return listening

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self.client.flush()

    def closes(self) -> list[Any]:
        """Return why the streams of the trace were closed, as the record has it."""
        records = self.request("GET", f"/t/{self.place.trace}/evidence.json").json["streams"]
        return [each["why"] for each in records if each["kind"] == "close"]


class ExpiryTests(LeaseTestCase):
    def test_a_listening_stream_ends_with_its_token_and_the_record_says_why(self) -> None:
        """RFC 6750 section 3.1: an expired token is refused; docs: streams end with their token."""
        listening = self.open(self.tokens()["access_token"])
        self.advance(99)
        assert not listening.over
        self.advance(1)
        assert listening.over
        assert {"retry": "500"} in listening.events
        assert self.closes() == ["token-expired"]

    def test_a_subscription_ends_with_its_token(self) -> None:
        """The same for subscriptions/listen, which ends with its result."""
        token = self.tokens()["access_token"]
        message = modern_message("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        self.endpoint = self.place.mcp
        headers = {**routing_headers(message), "Authorization": f"Bearer {token}"}
        posted = Posted(self, message, {**headers, "Content-Type": "application/json"})
        assert (posted.status, posted.over) == (200, False)
        self.advance(101)
        assert posted.over
        assert posted.messages[-1]["id"] == 1
        assert "result" in posted.messages[-1]
        assert self.closes() == ["token-expired"]

    def test_the_answer_to_a_request_that_was_let_in_comes_all_the_same(self) -> None:
        """RFC 6750: tokens are validated with the request, and this one was good."""
        token = self.tokens()["access_token"]
        self.advance(95)
        capable = {"protocolVersion": "2025-11-25", "capabilities": {"roots": {}}}
        capable["clientInfo"] = {"name": "tests", "version": "1"}
        hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": capable}
        session = self.mcp(token, hello).header("Mcp-Session-Id") or ""
        fields = {"Accept": BOTH, "Content-Type": "application/json", "Mcp-Session-Id": session}
        self.endpoint = self.place.mcp
        self.mcp(token, {"jsonrpc": "2.0", "method": "notifications/initialized"}, Mcp_Session_Id=session)
        call = call_of("clientProbe", feature="roots")
        posted = Posted(self, call, {**fields, "Authorization": f"Bearer {token}"})
        self.advance(6)
        assert (posted.status, posted.over) == (200, False)
        self.advance(60)
        assert posted.over
        assert posted.messages[-1]["id"] == call["id"]
        assert self.closes() == ["ended"]

    def test_a_client_comes_back_with_a_new_token_to_the_session_it_had(self) -> None:
        """Our choice: the stream ends, and neither the session nor what waits in it."""
        tokens = self.tokens()
        session = self.mcp(tokens["access_token"]).header("Mcp-Session-Id") or ""
        self.advance(101)
        form = {"grant_type": "refresh_token", "client_id": tokens["client_id"]}
        newer = self.ask_token({**form, "refresh_token": tokens["refresh_token"]}).json["access_token"]
        fields = {"Accept": "text/event-stream", "Mcp-Session-Id": session}
        answer = self.begin("GET", self.place.mcp, headers={**fields, "Authorization": f"Bearer {newer}"})
        assert answer.code == 200

    def test_a_wall_clock_that_jumps_ahead_ends_a_stream_with_the_next_beat(self) -> None:
        """Our choice: exp is of the wall clock, and timers are not."""
        listening = self.open(self.tokens()["access_token"])
        self.stepped = 200.0
        self.advance(20)
        assert listening.over

    def test_nothing_is_left_of_a_stream_whose_client_has_gone(self) -> None:
        """One timer for each such stream, and none once it is over."""
        before = len(self.clock.getDelayedCalls())
        self.open(self.tokens()["access_token"])
        assert len(self.clock.getDelayedCalls()) > before
        self.leave()
        left = [each.getTime() for each in self.clock.getDelayedCalls()]
        assert all(each < 99 or each > 101 for each in left)

    def test_streams_of_traces_without_a_challenge_stay_open(self) -> None:
        """There is no token that could expire."""
        listening = self.listen(self.initialize())
        self.advance(500)
        assert not listening.over


class RevocationTests(LeaseTestCase):
    def test_a_stream_ends_with_the_next_beat_once_its_token_is_revoked(self) -> None:
        """RFC 7009 section 2.1: the invalidation takes place; docs: within a keep-alive's time."""
        tokens = self.tokens()
        listening = self.open(tokens["access_token"])
        other = self.open(self.tokens()["access_token"])
        form = {"token": tokens["access_token"], "client_id": tokens["client_id"]}
        self.request("POST", self.place.path("revoke"), urlencode(form).encode(), FORM)
        self.advance(16)
        assert (listening.over, other.over) == (True, False)
        assert self.closes() == ["token-revoked"]


class OutsideTests(IssuerTestCase, LeaseTestCase):
    wishes = {"challenge": "token", "scopes": ["read"]}

    def test_the_token_of_an_outside_issuer_ends_its_stream_too_and_new_keys_do_not(self) -> None:
        """docs: nobody tells this server that an outside issuer has revoked a token."""
        listening = self.open(self.token())
        self.advance(250)
        self.mcp(self.token())
        assert not listening.over
        self.advance(50)
        assert listening.over
        assert self.closes() == ["token-expired"]

    def test_a_time_that_no_clock_will_ever_show_is_no_harm(self) -> None:
        """Whoever issues tokens chooses exp: a timer is never set for longer than a day."""
        listening = self.open(self.token(exp=10**30))
        self.advance(10)
        assert not listening.over
        assert max(each.getTime() for each in self.clock.getDelayedCalls()) <= 10 + 86_400
