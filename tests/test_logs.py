"""Log lines: complete, parseable, and not to be forged."""

from __future__ import annotations

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.config import load
from mcp_echo.logs import LogJournal, observer, open_log_file
from mcp_echo.protocol.revisions import Supported
from mcp_echo.redaction import fingerprint
from mcp_echo.state.session import UNKNOWN_CLIENT, Session
from tests.transport.support import ServerTestCase

HOSTILE = 'x\n2026-01-01 [fake#info] forged\r\x1b[31mred\x07" y=1\u2028'


EVENT = {"log_time": 0.5, "log_level": LogLevel.info, "log_namespace": "test"}


class Recorded:
    """An observer over a string, and a logger that feeds it."""

    def __init__(self, **environ: str) -> None:
        self.output = io.StringIO()
        self.observe: ILogObserver = observer(load({}, environ).settings, self.output)
        self.log = Logger("test", observer=self.observe)

    @property
    def lines(self) -> list[str]:
        return self.output.getvalue().splitlines()


class RenderingTests(SynchronousTestCase):
    def test_a_line_has_time_level_source_text_and_fields(self) -> None:
        recorded = Recorded()
        recorded.observe(
            {**EVENT, "log_format": "Session created", "session_id": "ab12", "client_name": "my client"}
        )
        assert recorded.lines == [
            "1970-01-01T00:00:00.500+00:00 [test#info] Session created "
            'session_id=ab12 client_name="my client"'
        ]

    def test_an_object_has_the_same_as_members(self) -> None:
        recorded = Recorded(MCP_ECHO_LOG_FORMAT="json")
        recorded.observe({**EVENT, "log_format": "Hm {what}", "what": 1, "session_id": "ab12"})
        assert json.loads(recorded.lines[0]) == {
            "time": "1970-01-01T00:00:00.500+00:00",
            "level": "info",
            "logger": "test",
            "message": "Hm 1",
            "session_id": "ab12",
        }

    def test_nothing_in_a_field_or_text_makes_a_second_line_or_colours_one(self) -> None:
        """What clients send must not forge log entries (CWE-117)."""
        for log_format in ("text", "json"):
            recorded = Recorded(MCP_ECHO_LOG_FORMAT=log_format)
            recorded.log.info("Said {what}", what=HOSTILE, client_name=HOSTILE)
            text = recorded.output.getvalue()
            assert text.count("\n") == 1
            assert not set(text) & set("\r\x1b\x07\u2028")

    def test_a_field_cannot_pretend_to_be_another(self) -> None:
        """CWE-117: quotes in a value are escaped."""
        recorded = Recorded()
        recorded.log.info("x", client_name='a" status=500 peer="1.2.3.4')
        assert recorded.lines[0].endswith(r'client_name="a\" status=500 peer=\"1.2.3.4"')

    def test_a_traceback_is_indented_under_its_line_or_a_member(self) -> None:
        for log_format in ("text", "json"):
            recorded = Recorded(MCP_ECHO_LOG_FORMAT=log_format)
            try:
                raise ZeroDivisionError(HOSTILE)
            except ZeroDivisionError:
                recorded.log.failure("It failed")
            first, *rest = recorded.lines
            assert "It failed" in first
            assert all(line.startswith("\t") for line in rest)
            assert "ZeroDivisionError" in recorded.output.getvalue()

    def test_levels_below_the_set_one_are_left_out(self) -> None:
        """ECHO_LOG_LEVEL, MCP_ECHO_DEBUG."""
        for environ, count in (({}, 4), ({"ECHO_LOG_LEVEL": "ERROR"}, 2), ({"MCP_ECHO_DEBUG": "true"}, 5)):
            recorded = Recorded(**environ)
            for level in LogLevel.iterconstants():
                recorded.log.emit(level, "x")
            assert len(recorded.lines) == count, environ

    def test_directories_of_the_file_are_made_and_lines_appended(self) -> None:
        """LOG_FILE."""
        with TemporaryDirectory() as directory:
            path = Path(directory) / "deep" / "down.log"
            for line in ("one\n", "two\n"):
                with open_log_file(str(path)) as file:
                    file.write(line)
            assert path.read_text() == "one\ntwo\n"


class JournalTests(SynchronousTestCase):
    SESSION = Session("11111111-2222", None, Supported().offered, UNKNOWN_CLIENT, 0, 0, 3600)

    def written(self, verbose: bool = True, reveal: bool = False) -> tuple[LogJournal, list[dict[str, Any]]]:
        events: list[dict[str, Any]] = []
        journal = LogJournal(verbose, reveal)
        self.patch(LogJournal, "_log", Logger("test", observer=events.append))
        return journal, events

    def test_a_session_appears_as_a_short_hash(self) -> None:
        """Whoever reads the log must not be able to take the session over."""
        journal, events = self.written()
        journal.note("Session created", session=self.SESSION)
        assert events[0]["session_id"] == fingerprint("11111111-2222")

    def test_secrets_in_bodies_are_masked(self) -> None:
        """Debug logs are for sharing."""
        journal, events = self.written()
        token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln"
        for member in (
            {"token": "opaque-s3cret"},
            {"message": f"Bearer {token}"},
            {"x": [{"apiKey": "k3y-k3y"}]},
        ):
            journal.debug("Request", body=json.dumps(member).encode())
        text = str(events)
        for secret in ("opaque-s3cret", token, "k3y-k3y"):
            assert secret not in text

    def test_session_ids_in_bodies_appear_as_a_short_hash(self) -> None:
        """The answer of echo names the session; the log must not."""
        journal, events = self.written()
        session = "2195e51e-ab4b-4ca3-8b93-adc01176ae52"
        journal.debug(
            "Answer", body=json.dumps({"text": f"Session: {session}\n", "session": session}).encode()
        )
        assert session not in str(events)
        assert str(events).count(fingerprint(session)) == 2

    def test_secrets_are_shown_where_that_was_asked_for(self) -> None:
        """MCP_ECHO_REVEAL_SECRETS."""
        journal, events = self.written(reveal=True)
        journal.debug("Request", body=b'{"token":"opaque-s3cret"}')
        assert "opaque-s3cret" in events[0]["body"]

    def test_a_body_that_is_not_json_is_counted_not_shown(self) -> None:
        journal, events = self.written()
        journal.debug("Request", body=b"s3cret=1")
        assert events[0]["body"] == "(8 bytes that are not JSON)"

    def test_details_are_left_out_unless_wanted(self) -> None:
        journal, events = self.written(verbose=False)
        journal.debug("Request", body=b"{}")
        assert events == []


class LifeOfASessionTests(ServerTestCase):
    settings = {"MCP_SESSION_TIMEOUT": "10"}

    def test_creation_expiry_and_closing_are_logged_with_their_fields(self) -> None:
        """The README's structured logging."""
        events: list[dict[str, Any]] = []
        self.patch(LogJournal, "_log", Logger("test", observer=events.append))
        client = {"name": "probe", "version": "1"}
        first = self.initialize("2025-06-18", clientInfo=client)
        second = self.initialize("2025-06-18", clientInfo=client)
        self.request("DELETE", headers={"Mcp-Session-Id": second})
        self.clock.advance(10)
        self.store.expire()
        told = [
            (event["log_format"], event["session_id"], event["client_name"], event["protocol_version"])
            for event in events
        ]
        ids = fingerprint(first), fingerprint(second)
        assert told == [
            ("Session created", ids[0], "probe", "2025-06-18"),
            ("Session created", ids[1], "probe", "2025-06-18"),
            ("Session closed", ids[1], "probe", "2025-06-18"),
            ("Session expired", ids[0], "probe", "2025-06-18"),
        ]
