"""What one client may ask for, over HTTP: what is refused, in which words, and that the next request works.

RFC 6585 section 4 for the status; the limits are our choice where a test does not say otherwise.
"""

from __future__ import annotations

import json
import re
from typing import Any

from twisted.logger import LogLevel, capturedLogs, formatEvent

from mcp_echo.offer.resources import SESSION_URI
from mcp_echo.sessions.limits import CLIENTS_AT_AN_ADDRESS
from tests.logged import Events, observed
from tests.transport.slow import SlowClient
from tests.transport.support import (
    BOTH,
    Answer,
    Listening,
    ModernTestCase,
    Posted,
    claim,
    modern_message,
    routing_headers,
)

FORM = {"elicitation": {"form": {}}}
CONFIRM = {"name": "clientProbe", "arguments": {"feature": "elicitation"}}


class LimitTestCase(ModernTestCase):
    def tearDown(self) -> None:
        """Nothing may stay behind once the clients are gone."""
        self.leave()
        assert self.limits._in_flight == {}
        assert self.clock.getDelayedCalls() == []

    @property
    def limits(self) -> Any:
        return self.service.server.context.limits

    def assert_refused(
        self, answer: Answer | Posted, setting: str, wait: str | None = None, **members: Any
    ) -> None:
        """See a JSON-RPC error that names the setting, and Retry-After where waiting helps."""
        assert answer.status == 429
        assert setting in answer.json["error"]["message"]
        assert answer.json["error"]["code"] == -32600
        found = answer.headers.getRawHeaders("Retry-After")
        assert found == (None if wait is None else [wait])
        assert {name: answer.json.get(name) for name in members} == members


class SessionRateTests(LimitTestCase):
    settings = {"MCP_ECHO_INITIALIZE_RATE": "1", "MCP_ECHO_LEGACY_SSE": "true"}
    BURST = 20

    def test_sessions_made_too_fast_are_refused_however_they_are_made(self) -> None:
        for _ in range(self.BURST):
            self.initialize()
        created = self.store.statistics.created
        refusals = [
            self.rpc("initialize", {"protocolVersion": "2025-06-18"}),
            self.rpc("tools/list"),
            self.request("POST", body=[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]),
            self.modern("tools/call", {"name": "createEchoSession", "arguments": {}}),
            self.request("GET", "/sse"),
        ]
        for answer in refusals:
            self.assert_refused(answer, "MCP_ECHO_INITIALIZE_RATE", wait="1")
        assert self.store.statistics.created == created, "a refusal leaves nothing behind"
        assert self.limits.refused.sessions_too_fast == len(refusals)
        self.clock.advance(1)
        assert self.rpc("tools/list").status == 200

    def test_a_handle_made_too_fast_in_a_session_is_refused_with_the_header(self) -> None:
        """Retry-After comes with an answer from deep inside a call as well."""
        session = self.initialize()
        create = {"name": "createEchoSession", "arguments": {}}
        for _ in range(self.BURST - 1):
            assert self.rpc("tools/call", create, session=session).status == 200
        self.assert_refused(
            self.rpc("tools/call", create, session=session, message_id=7),
            "MCP_ECHO_INITIALIZE_RATE",
            wait="1",
            id=7,
        )

    def test_sessions_that_exist_go_on(self) -> None:
        session = self.initialize()
        for _ in range(self.BURST):
            self.rpc("tools/list")
        assert self.rpc("tools/list", session=session).status == 200
        assert self.rpc("ping").status == 200, "which makes no session"

    def test_clients_behind_a_trusted_proxy_are_told_apart(self) -> None:
        """Otherwise one of them would use up what all have."""
        self.serve({**self.settings, "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1"})
        for _ in range(self.BURST):
            self.rpc("tools/list", X_Forwarded_For="203.0.113.7")
        assert self.rpc("tools/list", X_Forwarded_For="198.51.100.1, 203.0.113.7").status == 429
        assert self.rpc("tools/list", X_Forwarded_For="203.0.113.8").status == 200

    def test_0_is_no_limit(self) -> None:
        self.serve({"MCP_ECHO_INITIALIZE_RATE": "0"})
        assert {self.rpc("tools/list").status for _ in range(100)} == {200}


class PrincipalTests(LimitTestCase):
    settings = {"MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1", "MCP_ECHO_MAX_SESSIONS_PER_PRINCIPAL": "2"}

    def begin_session(self, user: str) -> Answer:
        return self.rpc("initialize", {"protocolVersion": "2025-06-18"}, X_User_Id=user)

    def test_a_principal_with_too_many_sessions_is_refused_and_nobody_else(self) -> None:
        first = self.begin_session("alice").header("Mcp-Session-Id")
        self.rpc("ping", session=first, X_User_Id="alice")
        made = self.tool("createEchoSession", headers={"X-User-Id": "alice"})["structuredContent"]["session"]
        self.tool("echo", {"message": "hi", "session": made}, headers={"X-User-Id": "alice"})
        for answer in (self.begin_session("alice"), self.rpc("tools/list", X_User_Id="alice")):
            self.assert_refused(answer, "MCP_ECHO_MAX_SESSIONS_PER_PRINCIPAL", wait="60")
        full = self.tool("createEchoSession", headers={"X-User-Id": "alice"})
        assert full["isError"]
        assert "MCP_ECHO_MAX_SESSIONS_PER_PRINCIPAL" in full["content"][0]["text"]
        assert self.store.statistics.refused_to_principals == 3
        assert self.begin_session("bob").status == 200
        self.request("DELETE", headers={"Mcp-Session-Id": first, "X-User-Id": "alice"})
        assert self.begin_session("alice").status == 200


class AddressTests(LimitTestCase):
    """Our choice: an address, where no principal is known, may have half of the sessions."""

    settings = {
        "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1",
        "MCP_MAX_SESSIONS": "10",
        "MCP_ECHO_LEGACY_SSE": "true",
        "MCP_ECHO_INITIALIZE_RATE": "0",
    }

    def begin_session(self, address: str = "203.0.113.7", **headers: str) -> Answer:
        return self.rpc("initialize", {"protocolVersion": "2025-06-18"}, X_Forwarded_For=address, **headers)

    def begin_and_use(self, address: str = "203.0.113.7") -> str:
        session = self.begin_session(address).header("Mcp-Session-Id")
        assert session is not None
        assert self.rpc("ping", session=session, X_Forwarded_For=address).status == 200
        return session

    def test_a_flood_from_one_address_keeps_nobody_out(self) -> None:
        """Whoever makes sessions and does not use them pushes out its own, however many it makes."""
        other = self.begin_session("198.51.100.1").header("Mcp-Session-Id")
        assert {self.begin_session().status for _ in range(1050)} == {200}
        self.store.expire()
        assert len(self.store) == 1 + 5
        assert self.store.statistics.displaced == 1045
        assert {self.begin_and_use(f"198.51.100.{number}") for number in range(2, 6)}
        assert self.rpc("ping", session=other, X_Forwarded_For="198.51.100.1").status == 200

    def test_a_flood_that_uses_its_sessions_has_half_of_the_room(self) -> None:
        for _ in range(5):
            self.begin_and_use()
        answers = [self.begin_session() for _ in range(20)]
        answers += [self.rpc("tools/list", X_Forwarded_For="203.0.113.7")]
        batch = [{"jsonrpc": "2.0", "id": 1, "method": "ping"}]
        answers += [self.request("POST", body=batch, headers={"X-Forwarded-For": "203.0.113.7"})]
        answers += [self.request("GET", "/sse", headers={"X-Forwarded-For": "203.0.113.7"})]
        for answer in answers:
            self.assert_refused(answer, "MCP_ECHO_MAX_SESSIONS_PER_ADDRESS", wait="60")
        full = self.tool("createEchoSession", headers={"X-Forwarded-For": "203.0.113.7"})
        assert "MCP_ECHO_MAX_SESSIONS_PER_ADDRESS" in full["content"][0]["text"]
        assert self.store.statistics.refused_to_addresses == len(answers) + 1
        assert self.begin_session("198.51.100.1").status == 200
        assert self.begin_session(X_User_Id="alice").status == 200, "who has a name has a share of its own"

    def test_a_64_is_one_address_and_another_is_another(self) -> None:
        for number in range(5):
            self.begin_and_use(f"2001:db8::{number}")
        assert self.begin_session("[2001:db8::99]:4711").status == 429
        assert self.begin_session("2001:db8:0:1::1").status == 200

    def test_an_address_may_have_more_if_the_operator_says_so(self) -> None:
        self.serve({**self.settings, "MCP_ECHO_MAX_SESSIONS_PER_ADDRESS": "10"})
        for _ in range(10):
            self.begin_and_use()
        refused = self.begin_session("198.51.100.1")
        assert (refused.status, refused.header("Retry-After")) == (503, "60")

    def test_a_session_that_gave_way_is_gone_as_any_other(self) -> None:
        """2025-11-25 basic/transports, Session Management: 404, and the client begins anew."""
        first = self.begin_session().header("Mcp-Session-Id")
        events = Events()
        with observed(events.append):
            for _ in range(5):
                self.begin_session()
            self.store.expire()
        assert self.rpc("ping", session=first, X_Forwarded_For="203.0.113.7").status == 404
        assert [text for text in events.texts(LogLevel.info) if text.startswith("Session displaced")] != []

    def test_notifications_alone_put_a_session_to_no_use(self) -> None:
        """Our choice: every client sends ``notifications/initialized``, also one that has nothing to ask."""
        first = self.begin_session().header("Mcp-Session-Id")
        self.notify("notifications/initialized", session=first, X_Forwarded_For="203.0.113.7")
        notices = [{"jsonrpc": "2.0", "method": "notifications/initialized"}]
        headers = {"X-Forwarded-For": "203.0.113.7", "Mcp-Session-Id": first}
        self.request("POST", body=notices, headers=headers)
        for _ in range(5):
            self.begin_session()
        assert self.rpc("ping", session=first, X_Forwarded_For="203.0.113.7").status == 404

    def test_a_session_whose_stream_is_or_was_open_gives_way_to_none(self) -> None:
        first = self.begin_session().header("Mcp-Session-Id")
        assert first is not None
        self.listen(first, **{"X-Forwarded-For": "203.0.113.7"})
        self.leave()
        sse = Listening(self.begin("GET", "/sse", headers={"X-Forwarded-For": "203.0.113.7"}))
        for _ in range(10):
            self.begin_session()
        assert self.rpc("ping", session=first, X_Forwarded_For="203.0.113.7").status == 200
        assert not sse.over

    def test_a_batch_that_made_its_session_has_not_used_it(self) -> None:
        """2025-03-26 basic, Batching: an array comes in one request, the one that made the session."""
        pings = [{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(5)]
        headers = {"X-Forwarded-For": "203.0.113.7", "MCP-Protocol-Version": "2025-03-26"}
        assert {self.request("POST", body=pings, headers=headers).status for _ in range(20)} == {200}
        assert len(self.store) == 5


def told_in(text: str) -> tuple[int, int]:
    """Return how many sessions sessionInfo says that its caller has, and how many it has left."""
    told = re.search(r"^- Sessions: (\d+) \((\d+) more\)$", text, re.MULTILINE)
    assert told is not None, text
    return int(told[1]), int(told[2])


class ShareTests(LimitTestCase):
    """Our choice: sessionInfo tells whoever is about to be refused what it has and what it has left."""

    settings = {
        "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1",
        "MCP_ECHO_MAX_SESSIONS_PER_PRINCIPAL": "4",
        "MCP_ECHO_MAX_SESSIONS_PER_ADDRESS": "3",
    }

    def share(self, session: str | None = None, **caller: str) -> tuple[int, int]:
        """Return how many sessions a caller is told it has, and how many it has left."""
        return told_in(self.text("sessionInfo", session=session, **caller))

    def begin_session(self, **caller: str) -> str:
        """Return a session that a caller has begun and used."""
        answer = self.rpc("initialize", {"protocolVersion": "2025-03-26"}, **caller)
        session = answer.header("Mcp-Session-Id")
        assert session is not None
        self.rpc("ping", session=session, **caller)
        return session

    def assert_counted(self, most: int, **caller: str) -> None:
        """See what a caller has, from its first session to its last but one."""
        first = self.begin_session(**caller)
        assert self.share(first, **caller) == (1, most - 1)
        begun = [self.begin_session(**caller) for _ in range(most - 1)]
        assert self.share(first, **caller) == (most, 0)
        assert self.rpc("tools/list", **caller).status == 429
        fields = {name.replace("_", "-"): value for name, value in caller.items()}
        self.request("DELETE", headers={"Mcp-Session-Id": begun[0], **fields})
        assert self.share(first, **caller) == (most - 1, 1)
        self.clock.advance(1800)
        self.rpc("ping", session=first, **caller)
        self.clock.advance(1801)
        assert self.share(first, **caller) == (1, most - 1)

    def test_a_principal_is_told_of_its_own_wherever_it_comes_from(self) -> None:
        self.begin_session(X_User_Id="bob", X_Forwarded_For="203.0.113.7")
        self.begin_session(X_Forwarded_For="203.0.113.7")
        self.assert_counted(4, X_User_Id="alice", X_Forwarded_For="203.0.113.7")
        assert self.share(X_User_Id="alice", X_Forwarded_For="203.0.113.9") == (2, 2)

    def test_an_address_is_told_of_those_without_a_principal(self) -> None:
        self.begin_session(X_User_Id="alice", X_Forwarded_For="203.0.113.7")
        self.begin_session(X_Forwarded_For="203.0.113.9")
        self.assert_counted(3, X_Forwarded_For="203.0.113.7")

    def test_handles_count_and_are_told_of_in_the_modern_era(self) -> None:
        caller = {"headers": {"X-User-Id": "alice"}}
        made = [self.tool("createEchoSession", **caller)["structuredContent"]["session"] for _ in range(2)]
        shown = self.tool("sessionInfo", {"session": made[0]}, **caller)["structuredContent"]["share"]
        assert (shown["sessions"], shown["sessionsLeft"]) == (2, 2)

    def test_a_session_that_is_made_for_the_call_counts(self) -> None:
        """And no more than it may: where there are too many, it takes the place of the oldest unused one."""
        assert [self.share() for _ in range(5)] == [(1, 2), (2, 1), (3, 0), (3, 0), (3, 0)]

    def test_a_batch_is_told_what_has_changed_before_each_call(self) -> None:
        session = self.begin_session()
        made = self.handle()
        calls = [
            ("sessionInfo", {}),
            ("createEchoSession", {}),
            ("sessionInfo", {}),
            ("closeEchoSession", {"session": made}),
            ("sessionInfo", {}),
        ]
        body = [
            {"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": {"name": name, "arguments": given}}
            for n, (name, given) in enumerate(calls)
        ]
        answer = self.request("POST", body=body, headers={"Mcp-Session-Id": session})
        shown = [each["result"]["content"][0]["text"] for each in answer.json if each["id"] % 2 == 0]
        assert [told_in(text) for text in shown] == [(2, 1), (3, 0), (2, 1)]
        assert self.share(session) == (2, 1)

    def test_the_resource_tells_the_same(self) -> None:
        session = self.begin_session()
        self.begin_session()
        answer = self.rpc("resources/read", {"uri": SESSION_URI}, session=session)
        share = json.loads(answer.json["result"]["contents"][0]["text"])["share"]
        assert (share["sessions"], share["sessionsLeft"]) == (2, 1)


class CallRateTests(LimitTestCase):
    """2025-11-25 server/tools, Security Considerations: servers MUST rate limit tool invocations; and
    server/utilities/completion, Implementation Considerations: SHOULD rate limit completion requests."""

    settings = {"MCP_ECHO_CALL_RATE": "1"}
    BURST = 10
    CALLS = {
        "tools/call": {"name": "echo", "arguments": {"message": "m"}},
        "completion/complete": {
            "ref": {"type": "ref/prompt", "name": "echo"},
            "argument": {"name": "message", "value": ""},
        },
    }

    def test_tool_calls_beyond_the_rate_are_refused(self) -> None:
        self.refused_beyond_the_rate("tools/call")

    def test_completions_beyond_the_rate_are_refused(self) -> None:
        self.refused_beyond_the_rate("completion/complete")

    def refused_beyond_the_rate(self, method: str) -> None:
        """See both eras refuse one call more than the burst, and serve the next when it is time."""
        session = self.initialize("2025-11-25")
        for call, share in (
            (lambda: self.rpc(method, self.CALLS[method], session=session, message_id="seven"), 1),
            (lambda: self.modern(method, self.CALLS[method], message_id="seven"), CLIENTS_AT_AN_ADDRESS),
        ):
            for _ in range(self.BURST * share):
                assert call().status == 200
            refused = call()
            self.assert_refused(refused, "MCP_ECHO_CALL_RATE", wait="1", id="seven")
            self.clock.advance(1 / share)
            assert call().status == 200
            assert call().status == 429
        assert self.limits.refused.calls_too_fast == 4

    def test_a_session_s_rate_is_its_own(self) -> None:
        busy, other = self.initialize(), self.initialize()
        for _ in range(self.BURST + 1):
            last = self.rpc("tools/call", self.CALLS["tools/call"], session=busy)
        assert last.status == 429
        assert self.rpc("tools/call", self.CALLS["tools/call"], session=other).status == 200
        assert self.rpc("tools/list", session=busy).status == 200, "only calls are counted"
        assert self.modern("tools/call", self.CALLS["tools/call"]).status == 200

    def test_a_call_beyond_the_rate_does_nothing(self) -> None:
        session = self.initialize()
        for _ in range(self.BURST + 5):
            self.rpc("tools/call", self.CALLS["tools/call"], session=session)
        self.clock.advance(1)
        assert "Echo Count: 10\n" in self.text("sessionInfo", session=session)

    def test_each_call_of_a_batch_counts(self) -> None:
        """The POST as a whole is answered; each call has its own verdict."""
        session = self.initialize("2025-03-26")
        batch = [
            {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": self.CALLS["tools/call"]}
            for number in range(self.BURST + 2)
        ]
        answer = self.request("POST", body=batch, headers={"Mcp-Session-Id": session})
        assert answer.status == 200
        assert ["error" in each for each in answer.json] == [False] * self.BURST + [True] * 2

    def test_a_call_beyond_the_rate_is_refused_as_http_even_where_streams_are_read(self) -> None:
        """Nothing has been sent yet, so that the status is still open."""
        session = self.initialize()
        for _ in range(self.BURST):
            self.rpc("tools/call", self.CALLS["tools/call"], session=session, Accept="text/event-stream")
        refused = self.rpc(
            "tools/call", self.CALLS["tools/call"], session=session, Accept="text/event-stream"
        )
        self.assert_refused(refused, "MCP_ECHO_CALL_RATE", wait="1")

    def test_by_default_a_load_test_passes(self) -> None:
        """400 calls a second in each session are what the official load benchmark makes."""
        self.serve({})
        session = self.initialize()
        for _ in range(20):
            for _ in range(40):
                assert self.rpc("tools/call", self.CALLS["tools/call"], session=session).status == 200
            self.clock.advance(0.1)

    def test_0_is_no_limit(self) -> None:
        self.serve({"MCP_ECHO_CALL_RATE": "0"})
        assert {self.modern("tools/call", self.CALLS["tools/call"]).status for _ in range(50)} == {200}


class StreamTests(LimitTestCase):
    settings = {"MCP_ECHO_MAX_STREAMS_PER_SESSION": "2"}

    def test_one_stream_too_many_is_refused(self) -> None:
        session, other = self.initialize(), self.initialize()
        for _ in range(2):
            assert self.listen(session).status == 200
        refused = self.request("GET", headers={"Accept": "text/event-stream", "Mcp-Session-Id": session})
        self.assert_refused(refused, "MCP_ECHO_MAX_STREAMS_PER_SESSION", id=None)
        assert self.limits.refused.streams == 1
        assert self.listen(other).status == 200
        self.leave()
        assert self.listen(session).status == 200

    def test_a_stream_that_is_taken_over_is_not_one_more(self) -> None:
        """A client that lost its connection may notice before the server does."""
        session = self.initialize("2025-11-25")
        self.rpc("resources/subscribe", {"uri": "echo://session"}, session=session)
        first = self.listen(session)
        self.rpc("tools/call", {"name": "echo", "arguments": {"message": "m"}}, session=session)
        self.client.flush()
        second = self.listen(session)
        again = self.listen(session, **{"Last-Event-ID": first.events[0]["id"]})
        assert again.status == 200
        self.client.flush()
        assert (first.over, second.over) == (True, False)

    def test_an_answer_that_is_fetched_again_counts_while_it_is_read(self) -> None:
        session = self.initialize("2025-11-25")
        answer = self.rpc("tools/list", session=session, Accept="text/event-stream")
        streams = [self.listen(session) for _ in range(2)]
        resume = {"Last-Event-ID": answer.events[0]["id"]}
        refused = self.request("GET", headers={"Mcp-Session-Id": session, **resume})
        self.assert_refused(refused, "MCP_ECHO_MAX_STREAMS_PER_SESSION")
        assert not any(stream.over for stream in streams)
        self.leave()
        assert self.listen(session, **resume).messages[0]["id"] == 1


class InFlightTests(LimitTestCase):
    settings = {"MCP_ECHO_MAX_REQUESTS_IN_FLIGHT": "2", "MCP_ECHO_CLIENT_TIMEOUT": "5"}

    def ask(self, session: str, message_id: Any) -> Posted:
        """Begin a call that waits for its client's answer."""
        message = {"jsonrpc": "2.0", "id": message_id, "method": "tools/call", "params": CONFIRM}
        return Posted(self, message, {"Mcp-Session-Id": session, "Accept": BOTH})

    def test_one_request_too_many_at_a_time_is_refused(self) -> None:
        session = self.initialize("2025-11-25", capabilities=FORM)
        waiting = [self.ask(session, number) for number in (1, 2)]
        self.assert_refused(self.ask(session, 3), "MCP_ECHO_MAX_REQUESTS_IN_FLIGHT", id=3)
        assert self.limits.refused.in_flight == 1
        assert self.rpc("ping", session=session).status == 200, "what is answered at once is not counted"
        other = self.initialize("2025-11-25", capabilities=FORM)
        assert self.ask(other, 1).status == 200
        self.pass_time(5.1)
        assert all(each.over for each in waiting)
        assert self.ask(session, 4).status == 200
        self.pass_time(5.1)

    def test_a_client_that_reuses_an_id_gains_nothing(self) -> None:
        session = self.initialize("2025-11-25", capabilities=FORM)
        assert [self.ask(session, 1).status for _ in range(3)] == [200, 200, 429]
        self.pass_time(5.1)
        assert self.ask(session, 1).status == 200
        self.pass_time(5.1)

    def test_requests_in_a_batch_count_too(self) -> None:
        session = self.initialize("2025-03-26", capabilities={"sampling": {}})
        sampling = {"name": "clientProbe", "arguments": {"feature": "sampling"}}
        batch = [
            {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": sampling}
            for number in range(4)
        ]
        posted = Posted(self, batch, {"Mcp-Session-Id": session, "Accept": BOTH})
        self.pass_time(5.1)
        answers = {each["id"]: each for each in posted.messages if "method" not in each}
        assert ["error" in answers[number] for number in range(4)] == [False, False, True, True]

    def test_subscriptions_of_a_principal_are_bounded(self) -> None:
        """2026-07-28 has no sessions: who the caller is takes the session's place."""
        self.serve({**self.settings, "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1"})
        self.assert_bounded(2, {"X-User-Id": "alice"}, {"X-User-Id": "bob"})

    def test_subscriptions_of_an_address_are_bounded(self) -> None:
        """Sixteen times as many: several clients may share an address."""
        self.serve({**self.settings, "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1"})
        self.assert_bounded(32, {"X-Forwarded-For": "2001:db8::1"}, {"X-Forwarded-For": "2001:db8:0:1::1"})

    def assert_bounded(self, most: int, who: dict[str, str], other: dict[str, str]) -> None:
        """See one subscription more than ``most`` refused, until one of the others is over."""
        listen = {"notifications": {"toolsListChanged": True}}
        streams = [self.post("subscriptions/listen", listen, headers=who) for _ in range(most)]
        assert {stream.status for stream in streams} == {200}
        refused = self.post("subscriptions/listen", listen, message_id=9, headers=who)
        self.assert_refused(refused, "MCP_ECHO_MAX_REQUESTS_IN_FLIGHT", id=9)
        assert self.post("subscriptions/listen", listen, headers=other).status == 200
        assert self.modern("tools/list", headers=who).status == 200
        streams[0].leave()
        assert self.post("subscriptions/listen", listen, headers=who).status == 200

    def test_modern_calls_that_take_their_time_are_bounded(self) -> None:
        self.serve(
            {
                **self.settings,
                "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1",
                "MCP_ECHO_CONFORMANCE": "tasks",
            }
        )
        slow = {"name": "slow_compute", "arguments": {"seconds": 3}}
        who = {"X-User-Id": "alice"}
        running = [self.post("tools/call", slow, meta=claim(), headers=who) for _ in range(2)]
        refused = self.post("tools/call", slow, message_id=9, meta=claim(), headers=who)
        self.assert_refused(refused, "MCP_ECHO_MAX_REQUESTS_IN_FLIGHT", id=9)
        running[0].leave()
        assert self.post("tools/call", slow, meta=claim(), headers=who).status is None
        self.pass_time(3.1)
        assert running[1].status == 200
        last = self.post("tools/call", slow, meta=claim(), headers=who)
        self.pass_time(3.1)
        assert last.status == 200


class StateShareTests(LimitTestCase):
    """Who fills its share of what queues and last echoes may hold, and what others then have."""

    settings = {
        "MCP_ECHO_MAX_STATE_BYTES": "131072",
        "MCP_ECHO_MAX_QUEUE_BYTES": "131072",
        "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1",
    }
    GREEDY, MODEST = {"X_Forwarded_For": "203.0.113.7"}, {"X_Forwarded_For": "198.51.100.1"}
    ALICE = {"X_Forwarded_For": "203.0.113.7", "X_User_Id": "alice"}

    def begin_session(self, who: dict[str, str]) -> str:
        made = self.rpc("initialize", {"protocolVersion": "2025-11-25"}, **who).header("Mcp-Session-Id")
        assert made is not None
        return made

    def fill(self, who: dict[str, str]) -> list[str]:
        """Echo more than there may be in all, in sessions that are each within their own bounds."""
        sessions = [self.begin_session(who) for _ in range(14)]
        for session in sessions:
            self.text("echo", {"message": "x" * 10_000}, session=session, **who)
        return sessions

    def is_kept(self, session: str, who: dict[str, str]) -> bool:
        """Echo, and return whether that can be replayed."""
        self.text("echo", {"message": "y" * 10_000}, session=session, **who)
        return not self.call("replayLastEcho", session=session, **who)["isError"]

    def test_one_address_that_fills_its_share_leaves_another_s_state_kept(self) -> None:
        with capturedLogs() as logged:
            greedy = self.fill(self.GREEDY)
        lines = [formatEvent(event) for event in logged]
        told = [line for line in lines if "MCP_ECHO_MAX_STATE_BYTES_PER_CLIENT" in line]
        assert len(told) == 1
        budget = self.store.budget
        assert budget.used <= 65536, "half of what there is"
        assert budget.echoes_refused_to_holders == 14 - 6
        modest = self.begin_session(self.MODEST)
        assert self.is_kept(modest, self.MODEST)
        living = self.store.use(modest, None)
        living.log.queue(b"{}")
        assert (living.pending, living.dropped) == (1, 0)
        full = self.store.use(greedy[-1], None)
        full.log.queue(b"x" * 10_000)
        assert (full.pending, full.dropped, budget.messages_refused_to_holders) == (0, 1, 1)
        assert (budget.echoes_refused, budget.messages_refused) == (0, 0)

    def test_who_has_filled_its_share_is_told_why_nothing_can_be_replayed(self) -> None:
        session = self.fill(self.GREEDY)[-1]
        replayed = self.call("replayLastEcho", session=session, **self.GREEDY)
        assert replayed["isError"]
        assert "MCP_ECHO_MAX_STATE_BYTES_PER_CLIENT" in replayed["content"][0]["text"]
        shown = self.call("sessionInfo", session=session, **self.GREEDY)["structuredContent"]["share"]
        assert shown["stateBytes"] + shown["stateLeft"] == 65536
        assert shown["stateLeft"] < 10_000

    def test_a_principal_has_its_share_wherever_it_comes_from(self) -> None:
        self.fill(self.GREEDY)
        alice = self.begin_session(self.ALICE)
        assert self.is_kept(alice, self.ALICE), "the address alone is full"

    def test_an_ended_session_gives_its_room_back(self) -> None:
        greedy = self.fill(self.GREEDY)
        self.request("DELETE", headers={"Mcp-Session-Id": greedy[0], "X-Forwarded-For": "203.0.113.7"})
        assert self.is_kept(greedy[-1], self.GREEDY)
        assert not self.is_kept(greedy[-2], self.GREEDY)

    def test_handles_count_in_the_share_of_their_maker(self) -> None:
        self.fill(self.GREEDY)
        for address, kept in (("203.0.113.7", False), ("198.51.100.1", True)):
            headers = {"X-Forwarded-For": address}
            made = self.tool("createEchoSession", headers=headers)["structuredContent"]["session"]
            self.tool("echo", {"message": "y" * 10_000, "session": made}, headers=headers)
            assert self.tool("replayLastEcho", {"session": made}, headers=headers)["isError"] is not kept

    def test_news_that_a_slow_reader_has_not_taken_counts_in_its_share(self) -> None:
        """2026-07-28 basic/patterns/subscriptions: anybody may open streams and leave them unread."""
        self.serve({**self.settings, "MCP_ECHO_MAX_STATE_BYTES_PER_CLIENT": "2000"})
        made = self.tool("createEchoSession", headers={"X-Forwarded-For": "198.51.100.1"})
        handle = made["structuredContent"]["session"]
        wanted = {"notifications": {"resourceSubscriptions": [f"echo://session/{handle}"]}}
        message = modern_message("subscriptions/listen", wanted)
        client = SlowClient(self.service.site, "POST", routing_headers(message), message)
        self.addCleanup(client.leave)
        client.read_all()
        client.transport.producer.pauseProducing()
        for _ in range(50):
            self.tool("echo", {"message": "m", "session": handle})
        share = self.store.budget.of(f"address {client.transport.getPeer().host}")
        assert 1500 < share.queues <= 2000
        assert not self.tool("replayLastEcho", {"session": handle})["isError"], "another's share"
        client.transport.producer.resumeProducing()
        client.read_all()
        assert share.used == 0
        assert len(client.messages) < 1 + 50, "what its share had no room for is dropped"


class StateTests(LimitTestCase):
    settings = {
        "MCP_ECHO_MAX_STATE_BYTES": "65536",
        "MCP_ECHO_MAX_STATE_BYTES_PER_CLIENT": "65536",
        "MCP_ECHO_MAX_QUEUE_BYTES": "65536",
    }

    @property
    def budget(self) -> Any:
        return self.store.budget

    def test_an_echo_that_cannot_be_kept_is_answered_and_replay_says_why(self) -> None:
        session = self.initialize()
        self.text("echo", {"message": "kept"}, session=session)
        assert self.text("echo", {"message": "x" * 70_000}, session=session).startswith("xxx")
        replayed = self.call("replayLastEcho", session=session)
        assert replayed["isError"]
        assert "MCP_ECHO_MAX_STATE_BYTES" in replayed["content"][0]["text"]
        assert (self.budget.used, self.budget.echoes_refused) == (0, 1)
        self.text("echo", {"message": "kept again"}, session=session)
        assert "kept again" in self.text("replayLastEcho", session=session)

    def test_sessions_share_the_room_and_give_it_back(self) -> None:
        full, other = self.initialize(), self.initialize()
        self.text("echo", {"message": "x" * 60_000}, session=full)
        self.text("echo", {"message": "y" * 10_000}, session=other)
        assert self.call("replayLastEcho", session=other)["isError"]
        assert "xxx" in self.text("replayLastEcho", session=full)
        self.request("DELETE", headers={"Mcp-Session-Id": full})
        self.text("echo", {"message": "y" * 10_000}, session=other)
        assert "yyy" in self.text("replayLastEcho", session=other)

    def test_an_answer_is_streamed_however_full_the_server_is(self) -> None:
        session = self.initialize("2025-11-25")
        self.text("echo", {"message": "x" * 65_000}, session=session)
        other = self.initialize("2025-11-25")
        answer = self.rpc("tools/list", session=other, Accept="text/event-stream")
        assert answer.events[-1]["data"].startswith('{"jsonrpc"')
        again = self.listen(other, **{"Last-Event-ID": answer.events[0]["id"]})
        assert again.messages == [], "it was not kept for a client that comes back"
        modern = self.modern("tools/list", headers={"Accept": "text/event-stream"})
        assert modern.events[-1]["data"].startswith('{"jsonrpc"')

    def test_an_answer_larger_than_a_queue_is_streamed_and_not_kept(self) -> None:
        self.serve({"MCP_ECHO_MAX_QUEUE_BYTES": "4096"})
        session = self.initialize("2025-11-25")
        arguments = {"message": "x" * 10_000}
        answer = self.rpc(
            "tools/call",
            {"name": "echo", "arguments": arguments},
            session=session,
            Accept="text/event-stream",
        )
        assert "x" * 10_000 in answer.events[-1]["data"]
        (living,) = self.store
        assert (living.queue_bytes, living.dropped, self.budget.queues) == (0, 0, 0)

    def test_what_modern_streams_have_written_is_not_held(self) -> None:
        """The era has no resumption: a subscription may run for days, and holds nothing it has told."""
        handle = self.handle()
        uri = f"echo://session/{handle}"
        posted = self.post("subscriptions/listen", {"notifications": {"resourceSubscriptions": [uri]}})
        for _ in range(3):
            self.tool("echo", {"message": "m", "session": handle})
        self.client.flush()
        assert len(posted.messages) == 4
        queued = self.store.use(handle, None, handle=True).queue_bytes
        assert self.budget.queues == queued > 0

    def test_a_message_that_is_lost_is_counted_and_the_operator_told(self) -> None:
        full = self.initialize()
        self.text("echo", {"message": "x" * 65_300}, session=full)
        handle = self.handle()
        with capturedLogs() as logged:
            for _ in range(3):
                self.text("echo", {"message": "m", "session": handle}, session=full)
        told = [formatEvent(event) for event in logged if "MCP_ECHO_MAX_STATE_BYTES" in formatEvent(event)]
        assert len(told) == 1
        described = self.call("sessionInfo", {"session": handle}, session=full)["structuredContent"]
        assert described["droppedMessages"] == self.budget.messages_refused > 0

    def test_health_tells_the_sums_and_when_there_is_no_room(self) -> None:
        session = self.initialize()
        self.text("echo", {"message": "x" * 1000}, session=session)
        measured = self.call("healthProbe", session=session)["structuredContent"]
        (living,) = self.store
        assert measured["sessionStorage"] == living._own_size + living.last_echo.size
        self.budget.limit = self.budget.used
        text = self.text("healthProbe", session=session)
        assert "MCP_ECHO_MAX_STATE_BYTES" in text
        assert "DEGRADED" in text
