"""/metrics: what is counted, where it is shown, and in which formats.

Unless a test says otherwise, its duty is our choice; the formats are those of
https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

from typing import Any
from unittest import mock

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.logger import Logger, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.host.listening import Place, StartError
from mcp_echo.protocol.errors import HostRefused, OriginRefused
from mcp_echo.service import EchoService, build
from mcp_echo.sessions.limits import CLIENTS_AT_AN_ADDRESS
from mcp_echo.settings.load import load
from mcp_echo.settings.table import ConfigError
from mcp_echo.transport.edge.connection import Connection
from mcp_echo.transport.edge.site import EchoSite
from mcp_echo.transport.lag import INTERVAL, ReactorLag
from mcp_echo.transport.ports import MetricsPort
from tests.metrics.scraping import MetricsTestCase, samples_of
from tests.transport.support import BOTH, MODERN, Listening, Posted, send

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
NOTE = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class EndpointTests(MetricsTestCase):
    def test_text_is_the_format_for_those_who_ask_for_nothing(self) -> None:
        answer = self.ask("GET")
        assert (answer.status, answer.header("Content-Type")) == (
            200,
            "text/plain; version=0.0.4; charset=utf-8",
        )
        assert answer.header("Cache-Control") == "no-store"
        assert b"# TYPE mcp_echo_sessions gauge\n" in answer.body

    def test_openmetrics_is_written_for_those_who_ask_for_it(self) -> None:
        answer = self.ask("GET", accept=OPENMETRICS)
        assert answer.header("Content-Type") == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert answer.body.endswith(b"# EOF\n")

    def test_both_formats_say_the_same(self) -> None:
        """Of the server, that is; the process's own figures change between two scrapes."""
        self.initialize()
        text = self.scrape()
        openmetrics = samples_of(openmetrics_families(self.ask("GET", accept=OPENMETRICS).body.decode()))
        ours = {key: value for key, value in text.items() if key[0].startswith("mcp_echo_")}
        assert ours == {key: value for key, value in openmetrics.items() if key[0].startswith("mcp_echo_")}
        assert len(ours) > 50

    def test_head_has_the_head_of_get_and_no_body(self) -> None:
        """RFC 9110 section 9.3.2; Twisted would log each body that it has to drop."""
        with capturedLogs() as logged:
            head = self.ask("HEAD")
        assert logged == []
        got = self.ask("GET")
        assert (head.status, head.body) == (200, b"")
        assert head.header("Content-Type") == got.header("Content-Type")
        assert int(head.header("Content-Length") or 0) > 4000

    def test_other_methods_are_refused_in_plain_text(self) -> None:
        """RFC 9110 section 15.5.6; a body is neither kept nor written to disk."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            answer = self.ask(method, data=b"x" * 200_000)
            assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD")
            assert answer.header("Content-Type") == "text/plain; charset=utf-8"

    def test_other_paths_are_not_found(self) -> None:
        for path in (
            "/",
            "/mcp",
            "/metrics/",
            "/metrics/x",
            "/health",
            "/Metrics",
            "/%6detrics",
            "//metrics",
        ):
            assert self.ask("GET", path).status == 404
        assert self.ask("GET", "/metrics?name[]=x").status == 200

    def test_the_port_for_clients_does_not_serve_them(self) -> None:
        """What is asked, how often and by how many, is for the operator."""
        assert self.request("GET", "/metrics").status == 404
        assert self.value("http_refused_total", status="404") == 1

    def test_no_label_holds_what_a_client_has_chosen(self) -> None:
        """No secret, no session id, no text of a client's."""
        session = self.initialize("2025-06-18", clientInfo={"name": "s3cret", "version": "s3cret"})
        self.rpc("s3cret", session=session)
        self.rpc("tools/call", {"name": "s3cret"}, session=session)
        self.rpc("tools/call", {"name": "s3cret"}, session="s3cret", MCP_Protocol_Version="s3cret")
        self.call("echo", {"message": "s3cret"}, session=session)
        self.modern("s3cret")
        handle = self.handle(label="s3cret")
        body = self.ask("GET").body.decode()
        for hidden in ("s3cret", session, handle):
            assert hidden not in body


class RequestTests(MetricsTestCase):
    """Each JSON-RPC request is counted once, whichever way it goes."""

    settings = {**MetricsTestCase.settings, "MCP_ECHO_LEGACY_SSE": "true"}

    def expect(self, *counted: tuple[str, ...], **more: float) -> None:
        """See that exactly this was counted, once each; `more` says what else is to be seen."""
        assert self.counted() == dict.fromkeys(counted, 1)
        seconds = {
            dict(labels)["method"]: value
            for (name, labels), value in self.scrape().items()
            if name == "mcp_echo_request_seconds_count"
        }
        methods = [labels[0] for labels in counted]
        assert seconds == {method: methods.count(method) for method in methods}
        for name, value in more.items():
            assert self.value(name) == value

    def test_a_request_that_is_answered_at_once(self) -> None:
        session = self.initialize("2025-11-25")
        self.call("echo", {"message": "m"}, session=session)
        self.rpc("tools/list", session=session)
        self.expect(
            ("initialize", "none", "2025-11-25", "legacy", "200", ""),
            ("tools/call", "echo", "2025-11-25", "legacy", "200", ""),
            ("tools/list", "none", "2025-11-25", "legacy", "200", ""),
        )

    def test_a_ping_that_has_no_session(self) -> None:
        self.rpc("ping")
        self.expect(("ping", "none", "none", "legacy", "200", ""))

    def test_requests_that_cannot_be_done(self) -> None:
        self.rpc("nope")
        self.rpc("tools/call", {"name": "nope"})
        self.rpc("tools/call", {"name": "echo", "arguments": []})
        self.rpc("tools/call", {})
        self.rpc("resources/read", {"uri": "nope:"})
        self.expect(
            ("other", "none", "2025-03-26", "legacy", "200", "-32601"),
            ("tools/call", "other", "2025-03-26", "legacy", "200", "-32602"),
            ("tools/call", "echo", "2025-03-26", "legacy", "200", "-32602"),
            ("tools/call", "none", "2025-03-26", "legacy", "200", "-32602"),
            ("resources/read", "none", "2025-03-26", "legacy", "200", "-32002"),
        )

    def test_a_fault_of_ours(self) -> None:
        machine = type(self.service.context.machine)
        with mock.patch.object(machine, "cpu_percent", side_effect=ZeroDivisionError):
            self.rpc("tools/call", {"name": "requestTiming"})
            self.modern("tools/call", {"name": "requestTiming", "arguments": {}})
        self.expect(
            ("tools/call", "requestTiming", "2025-03-26", "legacy", "500", "-32603"),
            ("tools/call", "requestTiming", MODERN, "modern", "500", "-32603"),
        )
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 2

    def test_what_the_ladder_refuses(self) -> None:
        self.request("POST", body=b"{")
        self.rpc("tools/list", session="unknown")
        self.rpc("tools/call", {"name": "echo"}, session="unknown", MCP_Protocol_Version="2025-06-18")
        self.notify("notifications/initialized", session="unknown")
        self.rpc("tools/list", MCP_Protocol_Version=MODERN)
        self.request("POST", body=[PING], headers={"MCP-Protocol-Version": "2025-06-18"})
        self.expect(
            ("none", "none", "none", "none", "400", "-32700"),
            ("tools/list", "none", "none", "legacy", "404", "-32603"),
            ("tools/call", "echo", "2025-06-18", "legacy", "404", "-32603"),
            ("none", "none", "none", "legacy", "404", "-32603"),
            ("tools/list", "none", MODERN, "modern", "400", "-32602"),
            ("none", "none", "2025-06-18", "legacy", "400", "-32600"),
        )

    def test_each_request_of_a_batch(self) -> None:
        session = self.initialize("2025-03-26")
        batch = [
            PING,
            NOTE,
            {**PING, "id": 2, "method": "nope"},
            {**PING, "id": 3, "method": "initialize"},
            1,
            {
                **PING,
                "id": 4,
                "method": "tools/call",
                "params": {"name": "echo", "arguments": {"message": ""}},
            },
        ]
        self.request("POST", body=batch, headers={"Mcp-Session-Id": session})
        self.expect(
            ("initialize", "none", "2025-03-26", "legacy", "200", ""),
            ("ping", "none", "2025-03-26", "legacy", "200", ""),
            ("other", "none", "2025-03-26", "legacy", "200", "-32601"),
            ("initialize", "none", "none", "legacy", "400", "-32600"),
            ("none", "none", "none", "legacy", "400", "-32600"),
            ("tools/call", "echo", "2025-03-26", "legacy", "200", ""),
        )

    def probe(self, feature: str, session: str, message_id: Any = 9, **arguments: Any) -> Posted:
        params = {"name": "clientProbe", "arguments": {"feature": feature, **arguments}}
        message = {"jsonrpc": "2.0", "id": message_id, "method": "tools/call", "params": params}
        return Posted(self, message, {"Mcp-Session-Id": session, "Accept": BOTH})

    def test_a_request_that_is_answered_later_counts_when_it_is(self) -> None:
        session = self.initialize("2025-11-25")
        self.probe("cancellation", session, seconds=2)
        opening = ("initialize", "none", "2025-11-25", "legacy", "200", "")
        self.expect(opening)
        self.pass_time(2.5)
        self.expect(opening, ("tools/call", "clientProbe", "2025-11-25", "legacy", "200", ""))
        assert self.value("request_seconds_bucket", method="tools/call", le="1.0") == 0
        assert self.value("request_seconds_bucket", method="tools/call", le="2.5") == 1

    def test_a_request_that_its_client_cancels(self) -> None:
        """Cancellation, Behavior: it gets no answer, hence no HTTP status of one."""
        session = self.initialize("2025-11-25")
        self.probe("cancellation", session)
        body = {**NOTE, "method": "notifications/cancelled", "params": {"requestId": 9}}
        self.request("POST", body=body, headers={"Mcp-Session-Id": session})
        self.expect(
            ("initialize", "none", "2025-11-25", "legacy", "200", ""),
            ("tools/call", "clientProbe", "2025-11-25", "legacy", "cancelled", ""),
        )

    def test_requests_on_the_stream_of_2024_11_05(self) -> None:
        listening = Listening(self.begin("GET", "/sse", headers={"Accept": "text/event-stream"}))
        self.client.flush()
        path = listening.events[0]["data"]
        opening = {"protocolVersion": "2024-11-05"}
        for body in (
            {**PING, "method": "initialize"},
            {**PING, "method": "initialize", "params": opening},
            PING,
        ):
            self.request("POST", path, body=body)
        self.request("POST", path, body=b"{")
        self.request("POST", "/messages?session_id=unknown", body=PING)
        self.expect(
            ("initialize", "none", "none", "legacy", "200", "-32602"),
            ("initialize", "none", "2024-11-05", "legacy", "200", ""),
            ("ping", "none", "2024-11-05", "legacy", "200", ""),
            ("none", "none", "none", "legacy", "400", "-32700"),
        )
        assert self.value("http_refused_total", status="404") == 1

    def test_modern_requests(self) -> None:
        self.modern("server/discover")
        self.tool("echo", {"message": "m", "session": self.handle()})
        self.modern("nope")
        self.modern("tools/call", {"name": "nope", "arguments": {}})
        self.modern("tools/list", headers={"Mcp-Method": "prompts/list"})
        self.expect(
            ("server/discover", "none", MODERN, "modern", "200", ""),
            ("tools/call", "createEchoSession", MODERN, "modern", "200", ""),
            ("tools/call", "echo", MODERN, "modern", "200", ""),
            ("other", "none", MODERN, "modern", "404", "-32601"),
            ("tools/call", "other", MODERN, "modern", "200", "-32602"),
            ("tools/list", "none", MODERN, "modern", "400", "-32020"),
        )

    def test_modern_requests_that_take_their_time(self) -> None:
        probe = {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": 1}}
        self.post("tools/call", probe)
        self.pass_time(1.5)
        self.post("tools/call", probe).leave()
        self.post("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        self.expect(
            ("tools/call", "clientProbe", MODERN, "modern", "200", ""),
            ("tools/call", "clientProbe", MODERN, "modern", "cancelled", ""),
            ("subscriptions/listen", "none", MODERN, "modern", "200", ""),
        )
        assert self.value("streams", kind="subscription") == 1

    def test_what_wants_no_answer_is_no_request(self) -> None:
        session = self.initialize("2025-11-25")
        self.request(
            "POST", body={"jsonrpc": "2.0", "id": 1, "result": {}}, headers={"Mcp-Session-Id": session}
        )
        self.expect(("initialize", "none", "2025-11-25", "legacy", "200", ""))

    def test_what_http_refuses_is_counted_by_its_status(self) -> None:
        self.request("POST", body=PING, headers={"Origin": "https://evil.example"})
        self.request("POST", body=PING, headers={"Host": "evil.example"})
        self.request("POST", body=PING, headers={"Accept": "text/html"})
        self.request("POST", body=b"x" * 2_000_000)
        self.request("PUT", body=PING)
        self.request("GET", headers={"Mcp-Session-Id": "unknown"})
        refused = {
            dict(labels)["status"]: value
            for (name, labels), value in self.scrape().items()
            if name == "mcp_echo_http_refused_total"
        }
        expected = [OriginRefused.status, HostRefused.status, 406, 413, 405, 404]
        assert refused == {str(status): 1 for status in expected}
        self.expect()


class StateTests(MetricsTestCase):
    settings = {
        **MetricsTestCase.settings,
        "MCP_MAX_SESSIONS": "4",
        "MCP_ECHO_MAX_SESSIONS_PER_ADDRESS": "5",
        "MCP_SESSION_TIMEOUT": "100",
        "MCP_ECHO_MAX_QUEUE_MESSAGES": "2",
    }

    def dropped(self, reason: str) -> float:
        return self.value("messages_dropped_total", reason=reason)

    def test_sessions_from_their_beginning_to_their_end(self) -> None:
        session = self.initialize()
        for used in (session, self.initialize(), self.initialize()):
            self.rpc("ping", session=used)
        self.tool("echo", {"message": "hi", "session": self.handle()})
        self.rpc("initialize", {"protocolVersion": "2025-06-18"})
        assert (self.value("sessions", kind="session"), self.value("sessions", kind="handle")) == (3, 1)
        assert self.value("sessions_limit") == 4
        assert self.value("sessions_refused_total", reason="full") == 1
        self.clock.advance(10)
        self.request("DELETE", headers={"Mcp-Session-Id": session})
        self.clock.advance(100)
        self.store.expire()
        self.clock.advance(7)
        shown = self.scrape()
        none: frozenset[tuple[str, str]] = frozenset()
        assert shown["mcp_echo_sessions_created_total", none] == 4
        assert shown["mcp_echo_sessions_ended_total", frozenset({("reason", "closed")})] == 1
        assert shown["mcp_echo_sessions_ended_total", frozenset({("reason", "expired")})] == 3
        assert shown["mcp_echo_session_lifetime_seconds_total", none] == 10 + 3 * 110
        assert shown["mcp_echo_sessions", frozenset({("kind", "session")})] == 0
        # Once by a session that found the store full, once here.
        assert shown["mcp_echo_sweeps_total", none] == 2
        assert shown["mcp_echo_last_sweep_age_seconds", none] == 7
        assert shown["mcp_echo_uptime_seconds", none] == 117

    def test_before_the_first_sweep_its_age_is_that_of_the_server(self) -> None:
        """An age that is missing, or not a number, would never trip an alert."""
        self.clock.advance(1000)
        self.serve(self.settings)
        self.clock.advance(5)
        assert self.value("last_sweep_age_seconds") == 5

    def test_messages_from_the_queue_to_the_stream(self) -> None:
        session = self.initialize("2025-06-18")
        log = self.store.use(session, None).log
        for number in range(3):
            log.queue(b"%d" % number)
        assert (self.value("queue_messages"), self.value("queue_bytes")) == (2, 2)
        assert (self.value("messages_queued_total"), self.dropped("pushed_out")) == (3, 1)
        listening = self.listen(session)
        log.queue(b"1234")
        self.client.flush()
        assert len(listening.messages) == 3
        assert (self.value("queue_messages"), self.value("stream_events_total")) == (0, 3)
        # The opening comment is no event.
        assert self.value("stream_bytes_total") == len(listening.body) - len(b": open\n\n")

    def test_totals_outlive_the_sessions_that_made_them(self) -> None:
        """Prometheus: a counter never goes down but when the process restarts."""
        session = self.initialize("2025-06-18")
        log = self.store.use(session, None).log
        for number in range(5):
            log.queue(b"%d" % number)
        self.request("DELETE", headers={"Mcp-Session-Id": session})
        assert (self.value("queue_messages"), self.value("queue_bytes")) == (0, 0)
        assert (self.value("messages_queued_total"), self.dropped("pushed_out")) == (5, 3)

    def test_streams_and_connections_that_are_open(self) -> None:
        session = self.initialize("2025-11-25")
        before = self.value("connections_accepted_total")
        self.listen(session)
        params = {"name": "clientProbe", "arguments": {"feature": "roots"}}
        message = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params}
        asking = self.initialize("2025-11-25", capabilities={"roots": {}})
        Posted(self, message, {"Mcp-Session-Id": asking, "Accept": BOTH})
        assert self.value("streams", kind="listening") == 1
        assert self.value("streams", kind="answer") == 1
        # Two for the streams, two for the handshake of the second session.
        assert self.value("connections_accepted_total") == before + 4
        assert self.value("connections") >= 2
        self.leave()
        assert self.value("streams", kind="listening") == self.value("streams", kind="answer") == 0
        assert self.value("connections") == 0
        # A question waits for its answer even without a connection.
        self.pass_time(61)

    def test_the_versions_that_run(self) -> None:
        (labels,) = [dict(labels) for (name, labels) in self.scrape() if name == "mcp_echo_build_info"]
        assert set(labels) == {"version", "python", "twisted"}

    def test_the_process_shows_itself(self) -> None:
        """prometheus_client's own collectors, on a registry that nobody else writes to."""
        shown = {name for name, _ in self.scrape()}
        assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"} <= shown
        assert {"python_info", "python_gc_collections_total"} <= shown


class LimitTests(MetricsTestCase):
    """What the limits refuse, each by the one that did."""

    def limited(self, **environ: str) -> None:
        self.serve({**self.settings, **environ})

    def of(self, figure: str) -> dict[str, float]:
        """Return a figure that is told apart by reason, without the reasons there was no case of."""
        return {
            dict(labels)["reason"]: value
            for (name, labels), value in self.scrape().items()
            if name == f"mcp_echo_{figure}" and value
        }

    def test_sessions_made_too_fast(self) -> None:
        self.limited(MCP_ECHO_INITIALIZE_RATE="1")
        for _ in range(22):
            self.rpc("tools/list")
        assert self.of("sessions_refused_total") == {"too_fast": 2}

    def test_sessions_of_a_principal_with_too_many(self) -> None:
        self.limited(MCP_ECHO_TRUSTED_PROXIES="127.0.0.1", MCP_ECHO_MAX_SESSIONS_PER_PRINCIPAL="1")
        first = self.rpc("tools/list", X_User_Id="alice").header("Mcp-Session-Id")
        self.rpc("tools/list", session=first, X_User_Id="alice")
        for _ in range(2):
            self.rpc("tools/list", X_User_Id="alice")
        assert self.of("sessions_refused_total") == {"principal": 2}

    def test_sessions_of_an_address_with_too_many(self) -> None:
        self.limited(MCP_ECHO_MAX_SESSIONS_PER_ADDRESS="1")
        for _ in range(3):
            first = self.rpc("tools/list").header("Mcp-Session-Id")
        self.rpc("tools/list", session=first)
        self.rpc("tools/list")
        assert self.of("sessions_refused_total") == {"address": 1}
        self.store.expire()
        assert self.of("sessions_ended_total") == {"displaced": 2}

    def test_calls_that_come_too_fast(self) -> None:
        self.limited(MCP_ECHO_CALL_RATE="1")
        session = self.initialize()
        for _ in range(11):
            self.rpc("tools/call", {"name": "echo", "arguments": {"message": "m"}}, session=session)
        for _ in range(10 * CLIENTS_AT_AN_ADDRESS + 2):
            self.modern("tools/call", {"name": "authContext", "arguments": {}})
        assert self.of("requests_limited_total") == {"calls_too_fast": 3}
        refused = {labels: count for labels, count in self.counted().items() if labels[4] == "429"}
        assert refused == {
            ("tools/call", "none", "2025-06-18", "legacy", "429", "-32600"): 1,
            ("tools/call", "authContext", MODERN, "modern", "429", "-32600"): 2,
        }

    def test_what_waits_beyond_what_may_be_held(self) -> None:
        self.limited(MCP_ECHO_MAX_HELD_BYTES="65536", MCP_ECHO_MAX_STREAMS_PER_SESSION="9")
        session = self.initialize("2025-11-25")
        for _ in range(3):
            self.listen(session)
        assert self.value("held_bytes") == 32768
        assert self.of("held_refused_total") == {"client": 1}

    def test_streams_and_work_beyond_what_a_session_may_have(self) -> None:
        self.limited(MCP_ECHO_MAX_STREAMS_PER_SESSION="1", MCP_ECHO_MAX_REQUESTS_IN_FLIGHT="1")
        session = self.initialize("2025-11-25")
        self.listen(session)
        self.request("GET", headers={"Accept": "text/event-stream", "Mcp-Session-Id": session})
        probe = {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": 1}}
        for number in range(3):
            message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": probe}
            Posted(self, message, {"Mcp-Session-Id": session, "Accept": BOTH})
        assert self.of("requests_limited_total") == {"streams": 1, "in_flight": 2}
        self.pass_time(2)

    def test_what_all_sessions_hold_together(self) -> None:
        """One queue is bounded by its own limits, all of them with the last echoes by a common one."""
        self.limited(
            MCP_ECHO_MAX_STATE_BYTES="65536",
            MCP_ECHO_MAX_STATE_BYTES_PER_CLIENT="65536",
            MCP_ECHO_MAX_QUEUE_BYTES="50000",
        )
        first, second = (self.store.use(self.initialize(), None) for _ in range(2))
        first.log.queue(b"x" * 50_000)
        second.log.queue(b"x" * 50_001)
        second.log.queue(b"x" * 50_000)
        self.call("echo", {"message": "m" * 20_000}, session=first.id)
        assert self.of("messages_dropped_total") == {"too_large": 1, "no_room": 1}
        assert self.of("echoes_refused_total") == {"full": 1}
        self.call("echo", {"message": "m"}, session=second.id)
        assert second.last_echo is not None
        assert self.value("state_bytes", kind="queues") == self.value("queue_bytes") == 50_000
        assert self.value("state_bytes", kind="echoes") == second.last_echo.size
        assert self.value("state_limit_bytes") == 65536

    def test_what_one_client_holds_beyond_its_share(self) -> None:
        """Half of what all may hold, where nothing else is said."""
        self.limited(MCP_ECHO_MAX_STATE_BYTES="65536")
        first, second = (self.store.use(self.initialize(), None) for _ in range(2))
        first.log.queue(b"x" * 20_000)
        second.log.queue(b"x" * 20_000)
        self.call("echo", {"message": "m" * 20_000}, session=first.id)
        assert self.of("messages_dropped_total") == {"client": 1}
        assert self.of("echoes_refused_total") == {"client": 1}
        assert self.value("state_bytes", kind="queues") == 20_000


class EdgeTests(MetricsTestCase):
    """What happens to connections, and to requests that no route has seen."""

    settings = {**MetricsTestCase.settings, "MCP_ECHO_LEGACY_SSE": "true"}

    def connect(self, site: EchoSite) -> tuple[Connection, StringTransportWithDisconnection]:
        channel = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        assert channel is not None
        transport = StringTransportWithDisconnection()
        transport.protocol = channel
        channel.makeConnection(transport)
        return channel, transport

    def test_refusals_are_one_figure_wherever_they_come_from(self) -> None:
        """Who watches does not care which part of the server has sent a 400."""
        send(self.service.site, b"GET /mcp HTTP/1.1\r\nHost : localhost\r\n\r\n")
        self.request("POST", "/messages", body=PING)
        assert self.value("http_refused_total", status="400") == 2
        send(self.service.site, b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000)
        assert self.value("http_refused_total", status="431") == 1

    def test_clients_that_take_nothing_or_send_nothing(self) -> None:
        site = self.service.site
        site.start()
        (stalled, _), (_, idle) = self.connect(site), self.connect(site)
        stalled.pauseProducing()
        self.clock.pump([1] * 11)
        assert (self.value("stalls_total"), self.value("connections")) == (1, 1)
        self.clock.pump([10] * 7)
        assert (self.value("connections_idle_closed_total"), idle.connected) == (1, False)
        self.successResultOf(site.drain(0))

    def test_connections_there_was_no_room_for(self) -> None:
        most = {"MCP_ECHO_MAX_CONNECTIONS": "16", "MCP_ECHO_MAX_CONNECTIONS_PER_ADDRESS": "16"}
        self.serve({**self.settings, **most})
        site = self.service.site
        taken = [self.connect(site)[1] for _ in range(16)]
        assert site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337)) is None
        assert (self.value("connections"), self.value("connections_limit")) == (16, 16)
        assert self.value("connections_accepted_total") == 16
        assert self.value("connections_refused_total") == 1
        for transport in taken:
            transport.loseConnection()

    def test_connections_over_their_address_s_share(self) -> None:
        self.serve({**self.settings, "MCP_ECHO_MAX_CONNECTIONS": "16"})
        taken = [self.connect(self.service.site)[1] for _ in range(8)]
        assert self.service.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337)) is None
        assert self.value("connections_over_share_total") == 1
        assert self.value("connections_refused_total") == 0
        for transport in taken:
            transport.loseConnection()

    def test_scrapers_take_no_room_from_clients(self) -> None:
        """They have connections of their own, and few."""
        taken = [self.connect(self.port.site)[1] for _ in range(16)]
        with capturedLogs() as logged:
            assert self.port.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337)) is None
        assert "the metrics port takes" in formatEvent(logged[0])
        taken.pop().loseConnection()
        assert self.value("connections") == self.value("connections_refused_total") == 0
        for transport in taken:
            transport.loseConnection()


class MeasuringTests(SynchronousTestCase):
    """What is measured only while somebody may scrape."""

    def test_a_timer_that_is_late_is_a_reactor_that_is_late(self) -> None:
        clock = Clock()
        lag = ReactorLag(clock)
        lag.start()
        clock.advance(INTERVAL)
        clock.advance(INTERVAL + 0.3)
        clock.advance(INTERVAL)
        buckets = dict(lag.lateness.cumulative())
        assert (buckets[0.0005], buckets[0.25], buckets[0.5]) == (2, 2, 3)
        lag.stop()
        assert clock.getDelayedCalls() == []

    def test_unexpected_exceptions_are_counted_whoever_logs_them(self) -> None:
        """Twisted's own among them, such as an error in a Deferred that nobody looks at."""
        service, port = self.started()
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            Logger("anybody").failure("once")
        Logger("anybody").error("no exception, no failure")
        assert (len(self.flushLoggedErrors(ZeroDivisionError)), port.failures.count) == (1, 1)
        self.successResultOf(service.stopService())
        Logger("anybody").failure("after the end", failure=Failure(ZeroDivisionError()))
        assert (len(self.flushLoggedErrors(ZeroDivisionError)), port.failures.count) == (1, 1)

    def started(self) -> tuple[Any, MetricsPort]:
        self.reactor = MemoryReactorClock()
        service: Any = build(self.reactor, load({}, {"MCP_ECHO_METRICS_PORT": "9464"}))
        service.privilegedStartService()
        service.startService()
        (port,) = [each for each in service if isinstance(each, MetricsPort)]
        return service, port

    def test_stopping_leaves_no_timer(self) -> None:
        service, _ = self.started()
        self.successResultOf(service.stopService())
        assert self.reactor.getDelayedCalls() == []


class ListeningTests(SynchronousTestCase):
    def listening(self, **environ: str) -> list[tuple[int, str]]:
        reactor = MemoryReactorClock()
        service = build(reactor, load({}, environ))
        service.privilegedStartService()
        return [(port, interface) for port, _, _, interface in reactor.tcpServers]

    def test_metrics_are_off_unless_asked_for(self) -> None:
        """MCP_ECHO_METRICS_PORT; nothing is counted then either."""
        assert self.listening() == [(3000, "127.0.0.1")]
        assert EchoService(Clock(), load({}, {})).tally is None

    def test_a_number_is_a_port_of_loopback_wherever_clients_are_served(self) -> None:
        """Who opens the server to a network has not thereby opened its figures."""
        listening = self.listening(MCP_ECHO_HOST="0.0.0.0", MCP_ECHO_METRICS_PORT="9464")
        assert sorted(listening) == [(3000, "0.0.0.0"), (9464, "127.0.0.1")]

    def test_an_endpoint_description_is_taken_as_it_is(self) -> None:
        listening = self.listening(MCP_ECHO_METRICS_PORT="tcp:9464:interface=10.0.0.1")
        assert sorted(listening) == [(3000, "127.0.0.1"), (9464, "10.0.0.1")]

    def test_what_is_no_endpoint_ends_the_start(self) -> None:
        for bad in ("bogus:1", "tcp:x"):
            effective = load({}, {"MCP_ECHO_METRICS_PORT": bad})
            error = self.assertRaises(ConfigError, build, MemoryReactorClock(), effective)
            assert "MCP_ECHO_METRICS_PORT" in str(error)
            assert "\n" not in str(error)

    def test_a_port_that_is_refused_late_stops_the_server(self) -> None:
        """As for the port that clients use: an endpoint may take its time."""
        service = EchoService(Clock(), load({}, {"MCP_ECHO_METRICS_PORT": "9464"}))
        endpoint, refused = mock.Mock(), mock.Mock()
        listening: Deferred[Any] = Deferred()
        endpoint.listen.return_value = listening
        service.show_metrics(Place(endpoint, "late", refused))
        service.privilegedStartService()
        service.startService()
        with capturedLogs() as logged:
            listening.errback(CannotListenError("any", 9464, OSError(98, "taken")))
        assert "cannot listen on late" in formatEvent(logged[0])
        refused.assert_called_once_with()
        self.successResultOf(service.stopService())

    def connected(self) -> tuple[MemoryReactorClock, Any, Any, StringTransportWithDisconnection]:
        """Return a server that runs, and a scraper's connection to it."""
        reactor = MemoryReactorClock()
        service = build(reactor, load({}, {"MCP_ECHO_METRICS_PORT": "9464"}))
        service.startService()
        assert service.metrics is not None
        channel = service.metrics.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        transport = StringTransportWithDisconnection()
        transport.protocol = channel
        channel.makeConnection(transport)
        return reactor, service, channel, transport

    def test_scrapers_are_held_to_deadlines_too(self) -> None:
        """Whoever may scrape is trusted no more than a client to send a request to its end."""
        reactor, service, channel, transport = self.connected()
        channel.dataReceived(b"GET /metrics HT")
        reactor.pump([5] * 7)
        assert b" 408 " in transport.value()
        self.successResultOf(service.stopService())

    def test_who_is_in_a_hurry_does_not_wait_for_scrapers(self) -> None:
        """A second signal drops what the first has let finish."""
        _, service, _, transport = self.connected()
        stopped = service.stopService()
        self.assertNoResult(stopped)
        assert transport.connected
        service.hurry()
        self.successResultOf(stopped)

    def test_a_port_that_cannot_be_had_ends_the_start(self) -> None:
        """A daemon that nobody can watch, though its operator believes so, is worse than none."""
        reactor = MemoryReactorClock()
        service: Any = build(reactor, load({}, {"MCP_ECHO_METRICS_PORT": "9464"}))
        (port,) = [each for each in service if isinstance(each, MetricsPort)]
        with mock.patch.object(port._place.endpoint, "listen", return_value=fail(PermissionError(13, "no"))):
            error = self.assertRaises(StartError, port.privilegedStartService)
        assert str(error).startswith("cannot listen on tcp:9464")
