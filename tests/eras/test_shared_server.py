"""What clients see of a store that is not in memory when it fails, or when others are faster."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogEvent, globalLogPublisher

from mcp_echo.cluster.engine import Change, Entry, Operation, Outcome
from mcp_echo.settings.load import load
from mcp_echo.settings.table import Settings
from tests.metrics.scraping import MetricsTestCase
from tests.nodes import StepEngine
from tests.transport.engine_support import ClockedRecords
from tests.transport.support import BOTH, ModernTestCase, Posted


class RivalEngine(StepEngine):
    """An engine on which somebody else is faster, as often as told."""

    rivals = 0

    async def submit(self, operation: Operation) -> Outcome:
        """Carry out an operation, after another node's where there are rivals."""
        if self.rivals and isinstance(operation, Change):
            self.rivals -= 1
            kept = self.records.records[operation.id]
            # Whoever it was has only used the session.
            kept.version += 1
        return await super().submit(operation)


class OnARivalEngine:
    """Has the sessions of a `ServerTestCase` kept by a `RivalEngine`."""

    kept: RivalEngine

    def engine(self, settings: Settings) -> RivalEngine:
        """Return an engine of its own."""
        records = ClockedRecords()
        records.clock = self.clock  # type: ignore[attr-defined]
        self.kept = RivalEngine(
            records, limit=settings.max_sessions, limit_per_principal=settings.max_sessions_per_principal
        )
        return self.kept

    def serve(self, environ: dict[str, str]) -> None:
        """Start over with a server that has these settings."""
        super().serve(environ)  # type: ignore[misc]
        self.kept.start(self.service.store)  # type: ignore[attr-defined]


class OutageTests(OnARivalEngine, ModernTestCase):
    """RFC 9110 section 15.6.4: 503 with Retry-After; never 404, which would end every session."""

    def refused(self, answer: Any, message_id: Any) -> None:
        assert answer.status == 503
        assert answer.header("Retry-After") in ("1", "2", "3")
        assert (answer.json.get("id"), answer.json["error"]["code"]) == (message_id, -32603)

    def test_requests_are_refused_with_their_own_id_and_nothing_happens(self) -> None:
        session = self.initialize()
        handle = self.handle()
        self.kept.available = False
        self.refused(self.rpc("tools/call", {"name": "echo", "arguments": {"message": "m"}}, session, 7), 7)
        self.refused(self.rpc("initialize", {"protocolVersion": "2025-06-18"}, None, "a"), "a")
        echo = {"name": "echo", "arguments": {"message": "m", "session": handle}}
        self.refused(self.modern("tools/call", echo, 9), 9)
        self.refused(self.request("GET", headers={"Mcp-Session-Id": session, "Accept": BOTH}), None)
        self.refused(self.request("DELETE", headers={"Mcp-Session-Id": session}), None)
        self.kept.available = True
        assert "Echo count in session: 1" in self.text("echo", {"message": "m"}, session=session)
        assert self.tool("echo", echo["arguments"])["structuredContent"]["echoCount"] == 1

    def test_what_needs_no_session_is_answered(self) -> None:
        """Our choice: an outage of the store is none of what has nothing to do with it."""
        self.kept.available = False
        assert self.rpc("ping").json["result"] == {}
        assert self.modern("tools/list").status == 200
        assert self.request("GET", "/health").status == 200
        assert self.request("GET", "/ready").status == 503

    def test_an_open_stream_stays_open_and_goes_on(self) -> None:
        session = self.initialize()
        self.rpc("resources/subscribe", {"uri": "echo://session"}, session)
        listening = self.listen(session)
        self.kept.available = False
        self.call_refused(session)
        self.service.store.maintenance.beat()
        self.kept.available = True
        self.clock.advance(1)
        self.text("echo", {"message": "m"}, session=session)
        self.client.flush()
        assert not listening.over
        assert [each["method"] for each in listening.messages] == ["notifications/resources/updated"]

    def call_refused(self, session: str) -> None:
        echo = {"name": "echo", "arguments": {"message": "m"}}
        assert self.rpc("tools/call", echo, session).status == 503

    def test_work_that_could_not_begin_leaves_nothing_behind(self) -> None:
        """Our choice: a coroutine that never ran is closed, not forgotten."""
        session = self.initialize("2025-11-25")
        self.kept.available = False
        probe = {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": 1}}
        assert self.rpc("tools/call", probe, session, Accept=BOTH).status == 503
        assert self.clock.getDelayedCalls() == []
        self.kept.available = True
        cached = self.service.store.cache.get(session)
        assert (cached.running, cached.in_flight) == ({}, 0)


class RivalTests(OnARivalEngine, MetricsTestCase):
    """Our promise: that a request is worked on once more is seen nowhere."""

    settings = {
        **MetricsTestCase.settings,
        "MCP_ECHO_CALL_RATE": "1",
        "MCP_ECHO_INITIALIZE_RATE": "1",
        "MCP_ECHO_DEBUG": "true",
    }

    def test_a_request_that_was_worked_on_again_counts_once(self) -> None:
        session = self.initialize()
        self.kept.rivals = 5
        answered: list[LogEvent] = []

        def note(event: LogEvent) -> None:
            if event.get("answer") and event.get("tool") == "echo":
                answered.append(event)

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        assert "Echo count in session: 1" in self.text("echo", {"message": "m"}, session=session)
        assert self.kept.rivals == 0
        calls = [count for labels, count in self.counted().items() if labels[0] == "tools/call"]
        assert calls == [1]
        assert len(answered) == 1

    def test_the_rate_of_calls_is_charged_once(self) -> None:
        """MCP_ECHO_CALL_RATE: ten at once, here, and then one a second."""
        session = self.initialize()
        for _ in range(10):
            self.kept.rivals = 3
            assert "Echo count" in self.text("echo", {"message": "m"}, session=session)
        assert self.rpc("tools/call", {"name": "echo", "arguments": {"message": "m"}}, session).status == 429

    def test_a_refused_initialize_leaves_nothing_and_says_so_once(self) -> None:
        """CVE-2026-59951 and others: sessions that nobody can use must not stay."""
        self.serve({**self.settings, "MCP_MAX_SESSIONS": "1", "MCP_ECHO_MAX_SESSIONS_PER_ADDRESS": "2"})
        self.rpc("ping", session=self.initialize())
        refused = self.rpc("initialize", {"protocolVersion": "2025-06-18"})
        assert (refused.status, refused.header("Mcp-Session-Id")) == (503, None)
        assert len(self.kept.records.records) == 1
        assert self.value("sessions_refused_total", reason="full") == 1
        assert self.value("sessions_created_total") == 1


class LeaverTests(OnARivalEngine, ModernTestCase):
    """Clients that leave while what they asked for is being kept."""

    def test_a_stream_whose_client_has_left_meanwhile_holds_nothing_back(self) -> None:
        """Our promise: what waits goes to whoever listens next, at once."""
        session = self.initialize()
        self.rpc("resources/subscribe", {"uri": "echo://session"}, session)
        self.text("echo", {"message": "m"}, session=session)
        self.kept.stepping = True
        headers = {"Accept": "text/event-stream", "Mcp-Session-Id": session}
        sent = self.client.request("GET", "http://localhost:3000/mcp", headers=headers)
        sent.addErrback(lambda _: None)
        self.client.flush()
        self.leave()
        while self.kept.under_way:
            self.kept.step()
        self.kept.stepping = False
        listening = self.listen(session)
        assert [each["method"] for each in listening.messages] == ["notifications/resources/updated"]


class StateTests(OnARivalEngine, ModernTestCase):
    settings = {"MCP_ECHO_MAX_STATE_BYTES": "65536"}

    def test_no_share_is_told_of_where_none_bounds_messages_and_echoes(self) -> None:
        """Our choice: an engine has no sums of what each client's sessions hold, and nothing is made up."""
        session = self.initialize()
        self.text("echo", {"message": "x" * 70_000}, session=session)
        replayed = self.call("replayLastEcho", session=session)["content"][0]["text"]
        assert "MCP_ECHO_MAX_STATE_BYTES," in replayed
        assert "MCP_ECHO_MAX_STATE_BYTES_PER_CLIENT" not in replayed
        shown = self.call("sessionInfo", session=session)
        assert not {"stateBytes", "stateLeft"} & shown["structuredContent"]["share"].keys()
        assert "- Messages and Last Echoes: bounded for all together" in shown["content"][0]["text"]


class TidyTests(OnARivalEngine, ModernTestCase):
    """What hangs on a session ends with it, whichever node ends it."""

    def test_a_listener_goes_with_its_session_though_another_node_sweeps_it(self) -> None:
        """Our choice: what is told of changes is bounded by the sessions that live."""
        session = self.initialize()
        self.rpc("resources/subscribe", {"uri": "echo://server"}, session)
        self.listen(session)
        self.leave()
        subscriptions = self.service.context.subscriptions
        assert len(subscriptions) > 0
        # No stream holds its copy here; only that something has to hear of its end does.
        self.clock.advance(3600)
        self.kept.records.take_away_expired()
        self.kept.records.ended.clear()
        assert len(subscriptions) > 0
        self.store.expire()
        assert len(subscriptions) == 0
        assert self.store.cache.get(session) is None


class LateWorkTests(OnARivalEngine, ModernTestCase):
    """Tools that take their time, and leave messages for their session on the way."""

    def probe(self) -> Posted:
        """Ask for three log messages, which a client that reads JSON alone finds in its session's queue."""
        session = self.session = self.initialize("2025-11-25")
        self.rpc("logging/setLevel", {"level": "critical"}, session)
        params = {"name": "clientProbe", "arguments": {"feature": "logging"}}
        message = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}
        return Posted(self, message, {"Mcp-Session-Id": session, "Accept": "application/json"})

    def queued(self) -> int:
        self.kept.stepping = False
        self.clock.advance(1)
        return len(self.listen(self.session).messages)

    def test_the_answer_waits_until_what_came_before_it_is_kept(self) -> None:
        """Our promise: what a client was answered is kept."""
        probe = self.probe()
        self.kept.stepping = True
        self.pass_time(0.5)
        assert (probe.status, len(self.kept.under_way)) == (None, 1)
        while self.kept.under_way:
            self.kept.step()
        self.client.flush()
        assert (probe.status, probe.json["id"]) == (200, 5)
        assert self.queued() == 3

    def test_an_answer_that_could_not_wait_is_503_and_its_messages_come_all_the_same(self) -> None:
        """RFC 9110 section 15.6.4; our promise: nothing is lost over an outage."""
        probe = self.probe()
        self.kept.available = False
        self.pass_time(1)
        assert (probe.status, probe.json["id"], probe.json["error"]["code"]) == (503, 5, -32603)
        self.kept.available = True
        assert self.queued() == 3

    def test_a_session_that_is_deleted_meanwhile_does_not_take_the_answer_along(self) -> None:
        """Our choice, as in memory: a request that was taken is answered."""
        probe = self.probe()
        assert self.request("DELETE", headers={"Mcp-Session-Id": self.session}).status == 204
        self.pass_time(0.5)
        assert (probe.status, probe.json["id"]) == (200, 5)


class PasswordTests(OnARivalEngine, ModernTestCase):
    """Our choice: the password of the store is in no answer, though its address is."""

    settings = {"MCP_ECHO_STORE": "redis://mcp-echo:hunter2-hunter2@redis.internal:6379/0?prefix=a"}

    def test_no_answer_has_the_password_of_the_store(self) -> None:
        session = self.initialize()
        dump = self.rpc("tools/call", {"name": "environmentDump", "arguments": {}}, session)
        assert b"MCP_ECHO_STORE: redis://***@redis.internal:6379/0?prefix=a" in dump.body
        answers = [
            dump,
            self.rpc("tools/call", {"name": "healthProbe", "arguments": {}}, session),
            self.rpc("resources/read", {"uri": "echo://server"}, session),
            self.request("GET", "/health"),
            self.request("GET", "/ready"),
        ]
        for answer in answers:
            assert b"hunter2" not in answer.body

    def test_no_log_line_has_the_password_of_the_store(self) -> None:
        """It is known to the log as a secret, wherever it may come from."""
        assert "hunter2-hunter2" in load({}, self.settings).secrets


class TruthTests(OnARivalEngine, ModernTestCase):
    """What is told of a store that others have changed, or that keeps nothing."""

    def echo(self, session: str) -> Any:
        return self.rpc("tools/call", {"name": "echo", "arguments": {"message": "m"}}, session)

    def test_ready_says_why_it_is_not(self) -> None:
        """docs/scaling.md: with the reason, and no longer than it is so."""
        assert "reason" not in self.request("GET", "/ready").json["store"]
        self.kept.available = False
        answer = self.request("GET", "/ready")
        assert (answer.status, answer.json["store"]["reason"]) == (503, "made unavailable")
        self.kept.available = True
        assert "reason" not in self.request("GET", "/ready").json["store"]

    def test_health_tells_of_all_nodes_in_one_object_and_of_this_one_in_another(self) -> None:
        """Our choice: one scope in one object."""
        self.initialize()
        self.kept.records.count(created=7, expired=3, closed=2)
        body = self.request("GET", "/health").json
        assert body["sessions"] == {"scope": "store", "active": 1, "total_created": 8, "expired": 3}
        assert body["this_node"] == {"created": 1, "expired": 0, "closed": 0}
        probe = self.tool("healthProbe", {})["structuredContent"]
        shown = [probe[name] for name in ("activeSessions", "totalSessionsCreated", "sessionsExpired")]
        assert shown == [1, 8, 3]

    def test_a_session_that_is_not_what_was_kept_is_refused_and_said_once(self) -> None:
        """Our choice: whoever writes to the store beside us is no reason for a traceback."""
        good, bad = self.initialize(), self.initialize()
        states = (b"", b"\x00", b"\xff" * 9, b"\x93\x01\x02\x03", None, "text")
        entries = [{1: Entry(1, "", "text")}, {1: Entry(1, None, b"")}]  # type: ignore[arg-type]
        spoilt = [*(("state", each) for each in states), *(("entries", each) for each in entries)]
        for name, value in [*spoilt, ("created", "c"), ("created", None), ("echo", b"\xff"), ("echo", "e")]:
            self.serve(self.settings)
            good, bad = self.initialize(), self.initialize()
            setattr(self.kept.records.records[bad], name, value)
            self.kept.records.records[bad].version += 1
            logged: list[str] = []

            def note(event: LogEvent, logged: list[str] = logged) -> None:
                logged.append(str(event))

            globalLogPublisher.addObserver(note)
            try:
                for _ in range(3):
                    assert self.echo(bad).status == 503, (name, value)
                    assert self.echo(good).status == 200, (name, value)
            finally:
                globalLogPublisher.removeObserver(note)
            assert len([each for each in logged if "has changed a session in the store" in each]) == 1

    def test_what_a_spoilt_record_makes_an_engine_stumble_over_is_refused(self) -> None:
        """Interface, Engine.faults: as above, where the engine comes upon it first."""
        session = self.initialize()
        stumbling = True

        async def submit(operation: Operation) -> Outcome:
            if stumbling:
                raise ZeroDivisionError
            return await type(self.kept).submit(self.kept, operation)

        self.kept.submit = submit  # type: ignore[method-assign]
        assert self.echo(session).status == 503
        stumbling = False
        assert self.echo(session).status == 200

    def test_a_session_that_has_gone_back_goes_on_from_there(self) -> None:
        """docs/scaling.md: a copy was put in its place, or a replica that was behind has taken over."""
        session = self.initialize()
        self.echo(session)
        kept = self.kept.records.records[session]
        before = (kept.version, kept.state, kept.echo)
        for _ in range(5):
            self.echo(session)
        kept.version, kept.state, kept.echo = before
        answer = self.echo(session)
        assert answer.status == 200
        assert answer.json["result"]["structuredContent"]["echoCount"] == 2

    def test_nothing_that_was_known_of_other_records_is_believed(self) -> None:
        """Interface, Listener.replaced: even where the versions happen to be the same."""
        session = self.initialize()
        for _ in range(2):
            self.echo(session)
        kept = self.kept.records.records[session]
        older = (kept.state, kept.echo)
        self.echo(session)
        kept.state, kept.echo = older
        self.service.store.replaced()
        assert self.echo(session).json["result"]["structuredContent"]["echoCount"] == 3

    def test_a_stream_of_a_session_that_other_records_do_not_have_ends(self) -> None:
        """Interface, Listener.replaced: what is held here is looked at."""
        session = self.initialize()
        listening = self.listen(session)
        del self.kept.records.records[session]
        self.service.store.replaced()
        self.client.flush()
        assert listening.over
