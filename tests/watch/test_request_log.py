"""One line for each exchange: what it says, which exchanges have one, and how many there may be."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo import service
from mcp_echo.host.logs import observer
from mcp_echo.protocol.errors import HostRefused, MalformedHttp
from mcp_echo.settings.load import load
from mcp_echo.watch.oauth_records import OauthAnswered
from mcp_echo.watch.recorder import Notes
from mcp_echo.watch.request_log import RequestLog
from mcp_echo.watch.seen import CANCELLED, BodyEvent, SessionEvent, StreamEvent
from tests.logged import Events, observed
from tests.transport.support import BOTH, ModernTestCase
from tests.watch.support import head, seen

ECHO = {"name": "echo", "arguments": {"message": "m"}}
SESSION = "2195e51e-ab4b-4ca3-8b93-adc01176ae52"


class LineTests(SynchronousTestCase):
    """Unless a test says otherwise, its duty is our choice: whoever looks at a terminal sees what goes on."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[dict[str, Any]] = []

    def log(self, everything: bool = True) -> RequestLog:
        return RequestLog(
            Logger("test", observer=self.events.append), self.clock.callLater, everything=everything
        )

    def line(self, environ: dict[str, str] | None = None, **fields: Any) -> str:
        """Return the line of one exchange."""
        output = io.StringIO()
        logger = Logger("test", observer=observer(load({}, environ or {}).settings, output))
        log = RequestLog(logger, self.clock.callLater, everything=True)
        log.see(seen(self.clock.seconds, **{"head": head(), "status": 200, **fields}))
        return output.getvalue().rstrip("\n")

    def text(self, **fields: Any) -> str:
        """Return the line without its time."""
        return self.line(**fields).partition("] ")[2]

    def test_a_line_says_what_came_how_it_ended_and_how_long_it_took(self) -> None:
        call = {"method": "tools/call", "tool": "echo", "session": SESSION, "error": -32602}
        client = SimpleNamespace(name="probe 7", version="1")
        fields = {"client": client, "last": 0.01234, "findings": ("accept-incomplete", "id-reused"), **call}
        assert self.text(**fields) == (
            'POST /mcp 200 12.3 ms tools/call echo session_id=2195e51e client_name="probe 7" error=-32602 '
            "findings=accept-incomplete,id-reused"
        )

    def test_a_leg_of_oauth_says_which_it_is_and_what_it_was_refused_for(self) -> None:
        notes = Notes()
        notes.oauth.answered = OauthAnswered(error="invalid_grant")
        fields = {"leg": "token", "notes": notes, "status": 400, "last": 0.001, "findings": ("code-reused",)}
        assert self.text(head=head("POST /t/x/token HTTP/1.1"), **fields) == (
            "POST /t/{trace}/token 400 1.0 ms leg=token oauth_error=invalid_grant findings=code-reused"
        )
        lines = [b'WWW-Authenticate: Bearer scope="mcp:read"\r\n']
        assert self.text(status=401, lines=lines, last=0.001) == "POST /mcp 401 1.0 ms leg=challenge"

    def test_an_object_has_the_same_as_members(self) -> None:
        fields = {"method": "tools/call", "tool": "echo", "last": 0.001, "findings": ("id-reused",)}
        told = json.loads(self.line({"MCP_ECHO_LOG_FORMAT": "json"}, **fields))
        del told["time"]
        assert told == {
            "level": "info",
            "logger": "test",
            "message": "POST /mcp 200 1.0 ms tools/call echo",
            "http_method": "POST",
            "path": "/mcp",
            "method": "tools/call",
            "tool": "echo",
            "status": 200,
            "milliseconds": 1.0,
            "findings": ["id-reused"],
        }

    def test_an_exchange_without_an_answer_says_how_it_ended(self) -> None:
        assert self.text(status=None).startswith("POST /mcp left 0.0 ms")
        assert self.text(outcome=CANCELLED).startswith("POST /mcp cancelled 0.0 ms")

    def test_a_stream_is_called_one(self) -> None:
        assert self.text(streamed=True).endswith(" kind=stream")

    def test_a_batch_is_called_one_and_shows_the_first_error_in_it(self) -> None:
        batch = [SimpleNamespace(error=None), SimpleNamespace(error=-32601)]
        assert self.text(batch=batch) == "POST /mcp 200 0.0 ms batch of 2 error=-32601"

    def test_a_refusal_says_its_name(self) -> None:
        refused = self.text(refusal=HostRefused("x", remedy="add a.example to --allowed-hosts"), status=421)
        assert ": add a.example to --allowed-hosts" in refused
        refused = self.text(refusal=HostRefused("x"), status=421)
        assert refused == f"POST /mcp 421 0.0 ms error={HostRefused.code} refusal=HostRefused"

    def test_what_cannot_be_read_is_not_shown(self) -> None:
        refused = self.text(head=None, refusal=MalformedHttp("x"), status=400)
        assert refused.startswith("A request that cannot be read 400 0.0 ms error=")

    def test_no_query_and_no_id_of_a_trace_is_shown(self) -> None:
        """The id of a trace is the right to read it; queries have tokens."""
        shown = self.text(head=head(f"GET /t/{'k' * 32}/mcp?token=s3cret HTTP/1.1"))
        assert shown == "GET /t/{trace}/mcp 200 0.0 ms"

    def test_an_unknown_session_is_shown_if_it_looks_like_one(self) -> None:
        """Its owner finds the request that lost it; and what else stands there may be a token."""
        assert self.text(head=head(Mcp_Session_Id=SESSION), status=404).endswith(" session_id=2195e51e")
        for other in ("s3cret-token", f"{SESSION} s3cret-token", f"{SESSION}, {SESSION}"):
            assert "session_id" not in self.text(head=head(Mcp_Session_Id=other), status=404)

    def test_what_a_client_wrote_is_masked_cut_and_on_one_line(self) -> None:
        """CWE-117; a log is read by others."""
        token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln"
        hostile = f"{token} a\n2026 \x1b[31m "
        client = SimpleNamespace(name=hostile, version="1")
        log = self.log()
        log.see(seen(head=head(), status=200, method=hostile, tool=hostile * 100, client=client))
        (event,) = self.events
        for name in ("method", "tool", "client_name"):
            assert "eyJ" not in event[name]
            assert not set(event[name]) & set("\n\x1b")
            assert len(event[name]) < 200
        assert "eyJ" not in formatEvent(event)

    def test_braces_of_a_client_are_no_names_of_fields(self) -> None:
        assert "{log_time} {0}" in self.text(method="{log_time} {0}")

    def test_balancers_that_ask_all_the_time_are_not_written_unless_refused(self) -> None:
        for log in (self.log(), self.log(everything=False)):
            for path in ("/health", "/ready"):
                log.see(seen(head=head(f"GET {path} HTTP/1.1"), status=200))
                log.see(seen(head=head(f"GET {path} HTTP/1.1"), status=503))
                assert self.events == []
                refused = {"status": 403, "refusal": HostRefused("x")}
                log.see(seen(head=head(f"GET {path} HTTP/1.1"), **refused))
                assert len(self.events) == 1
                self.events.clear()

    def test_where_few_are_wanted_those_are_written_that_are_refused_or_have_findings(self) -> None:
        """MCP_ECHO_ACCESS_LOG=auto, where standard output is no terminal."""
        log = self.log(everything=False)
        for status in (200, 202, 204, None):
            log.see(seen(head=head(), status=status))
        log.see(seen(head=head(), status=200, error=-32601))
        assert self.events == []
        log.see(seen(head=head(), status=404, error=-32001))
        log.see(seen(head=head(), status=200, findings=("id-reused",)))
        log.see(seen(status=400, refusal=MalformedHttp("x")))
        assert [event["status"] for event in self.events] == [404, 200, 400]

    def test_what_is_no_exchange_has_no_line(self) -> None:
        log = self.log()
        log.see(SessionEvent("begin", 0.0, SESSION, None, None))
        log.see(StreamEvent("open", 0.0, None, "g1"))
        log.see(BodyEvent(seen(), b"{}", None))
        assert self.events == []

    def see(self, log: RequestLog, count: int) -> None:
        for _ in range(count):
            log.see(seen(self.clock.seconds, head=head(), status=200))

    def texts(self) -> list[str]:
        return [formatEvent(event) or "" for event in self.events]

    def test_no_second_has_more_than_twenty_lines_and_one_that_counts_the_rest(self) -> None:
        log = self.log()
        self.see(log, 10)
        self.clock.advance(0.9)
        self.see(log, 1214)
        assert len(self.events) == 20
        self.clock.advance(0.2)
        self.see(log, 10)
        assert len(self.events) == 30
        self.see(log, 3)
        self.clock.advance(0.8)
        assert self.texts()[30:] == ["1,207 more in this second"]
        self.clock.advance(5)
        self.see(log, 20)
        assert len(self.events) == 51
        assert self.clock.getDelayedCalls() == []

    def test_what_was_too_much_is_told_though_nothing_else_comes(self) -> None:
        log = self.log()
        self.see(log, 21)
        self.clock.advance(1)
        assert self.texts()[20:] == ["1 more in this second"]


@contextmanager
def terminal(there: bool) -> Iterator[None]:
    """Have standard output be a terminal, or none."""
    with mock.patch.object(service, "on_terminal", return_value=there):
        yield


class ServiceTests(ModernTestCase):
    """MCP_ECHO_ACCESS_LOG, on a whole server."""

    def written(self, environ: dict[str, str], on_terminal: bool = False) -> list[str]:
        """Return the lines about a call, and about one in a session that is not there."""
        with terminal(on_terminal):
            self.serve({"MCP_ECHO_ACCESS_LOG": "auto", "MCP_ECHO_WATCH": "off", **environ})
        session = self.initialize("2025-11-25")
        events = Events()
        with observed(events.append):
            self.rpc("tools/call", ECHO, session, Accept=BOTH)
            self.rpc("ping", session=SESSION)
        return [formatEvent(event) or "" for event in events if "http_method" in event]

    CALL = "POST /mcp 200 0.0 ms tools/call echo"
    LOST = "POST /mcp 404 0.0 ms ping"

    def test_each_exchange_has_a_line_on_a_terminal_and_where_that_is_wanted(self) -> None:
        assert self.written({}, on_terminal=True) == [self.CALL, self.LOST]
        assert self.written({"MCP_ECHO_ACCESS_LOG": "on"}) == [self.CALL, self.LOST]

    def test_elsewhere_those_alone_have_one_that_are_refused(self) -> None:
        assert self.written({}) == [self.LOST]

    def test_nobody_is_told_where_nothing_is_written(self) -> None:
        """Our choice: what is off costs nothing."""
        told = []
        for environ in ({"MCP_ECHO_ACCESS_LOG": "off"}, {"LOG_LEVEL": "WARNING"}, {}):
            assert self.written(environ) == ([] if environ else [self.LOST])
            told.append(len(self.service.watch.observers))
        assert told[0] == told[1] == told[2] - 1

    def test_a_debug_log_has_each_exchange_once_and_whole(self) -> None:
        """MCP_ECHO_DEBUG."""
        environ = {"MCP_ECHO_DEBUG": "true", "MCP_ECHO_ACCESS_LOG": "on"}
        assert self.written(environ) == [self.CALL, self.LOST]


class WholeTests(ModernTestCase):
    """What a debug log has of an exchange with a whole server."""

    settings = {"MCP_ECHO_DEBUG": "true"}

    def shown(self, events: Events) -> list[tuple[list[str], list[str]]]:
        return [(event["request"], event["answer"]) for event in events if "request" in event]

    def test_an_exchange_is_shown_from_the_request_line_to_the_end_of_the_answer(self) -> None:
        events = Events()
        with observed(events.append):
            session = self.initialize("2025-11-25")
        (request, answer), *_ = self.shown(events)
        assert request[0] == "POST /mcp HTTP/1.1"
        assert any(line.lower() == "host: localhost:3000" for line in request)
        assert json.loads(request[-1])["method"] == "initialize"
        assert answer[0] == "HTTP/1.1 200"
        assert {"Content-Type: application/json", f"Mcp-Session-Id: {session[:8]}…"} <= set(answer)
        assert json.loads(answer[-1])["result"]["protocolVersion"] == "2025-11-25"

    def test_a_stream_is_shown_by_its_head_when_it_is_open(self) -> None:
        session = self.initialize("2025-11-25")
        events = Events()
        with observed(events.append):
            self.listen(session)
            self.leave()
        ((request, answer),) = self.shown(events)
        assert request[0] == "GET /mcp HTTP/1.1"
        assert (answer[0], answer[-1][:16]) == ("HTTP/1.1 200", "(an event stream")
        assert "Content-Type: text/event-stream" in answer

    def test_a_client_that_has_left_is_shown_no_answer(self) -> None:
        """Our choice: the log says what was sent, not what would have been."""
        session = self.initialize("2025-11-25")
        events = Events()
        probe = {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": 1}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": probe}
        headers = {"Mcp-Session-Id": session, "Accept": "application/json"}
        with observed(events.append):
            self.client.request("POST", "http://localhost:3000/mcp", json=body, headers=headers).addErrback(
                lambda _: None
            )
            self.client.flush()
            self.leave()
            self.clock.advance(5)
        ((request, answer),) = self.shown(events)
        assert json.loads(request[-1])["method"] == "tools/call"
        assert answer == ["(none)"]
        assert self.service.journal._whole._held == {}
