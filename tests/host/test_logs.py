"""Log lines: complete, parseable, and not to be forged."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.host import logs
from mcp_echo.host.logs import LineObserver, LogFile, LogJournal, observer, render_json, render_text
from mcp_echo.protocol.revisions import Supported
from mcp_echo.sessions.session import UNKNOWN_CLIENT, Session
from mcp_echo.settings.load import load
from mcp_echo.settings.table import ConfigError
from tests.transport.support import ServerTestCase

HOSTILE = 'x\n2026-01-01 [fake#info] forged\r\x1b[31mred\x07" y=1\u2028'


EVENT = {"log_time": 0.5, "log_level": LogLevel.info, "log_namespace": "test"}


class Recorded:
    """An observer over a string, and a logger that feeds it."""

    def __init__(self, worker: int | None = None, **environ: str) -> None:
        self.output = io.StringIO()
        self.observe: ILogObserver = observer(load({}, environ).settings, self.output, worker)
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

    def test_a_worker_says_which_it_is_in_every_line(self) -> None:
        """MCP_ECHO_WORKERS: several processes write to one log."""
        text, json_lines = Recorded(3), Recorded(3, MCP_ECHO_LOG_FORMAT="json")
        for recorded in (text, json_lines):
            recorded.log.info("Hello", session_id="ab12")
        assert text.lines[0].endswith("Hello worker=3 session_id=ab12")
        assert json.loads(json_lines.lines[0])["worker"] == 3

    def test_nothing_in_a_field_or_text_makes_a_second_line_or_colours_one(self) -> None:
        """What clients send must not forge log entries (CWE-117)."""
        for log_format in ("text", "json"):
            recorded = Recorded(MCP_ECHO_LOG_FORMAT=log_format)
            recorded.log.info("Said {what}", what=HOSTILE, client_name=HOSTILE)
            text = recorded.output.getvalue()
            assert text.count("\n") == 1
            assert not set(text) & set("\r\x1b\x07\u2028")

    def test_what_is_said_again_is_masked_again_and_shown_again(self) -> None:
        """Our choice: what was found to have nothing to mask is remembered, and no more than some of it."""
        recorded = Recorded()
        for number in range(400):
            for name in ("my client", "Bearer 0123456789abcdef", f"client {number}"):
                recorded.log.info("Hello", client_name=name)
        for first, second, third in zip(*[iter(recorded.lines)] * 3, strict=True):
            assert 'client_name="my client"' in first
            assert "0123456789abcdef" not in second
            assert 'client_name="client ' in third
        assert len(logs._clean) <= 256

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
                with closing(LogFile(str(path))) as file:
                    file.write(line)
            assert path.read_text() == "one\ntwo\n"

    def test_two_processes_that_append_to_one_file_lose_no_line(self) -> None:
        """write(2): with O_APPEND each line goes to the end of the file as it is then, at once and whole."""
        with TemporaryDirectory() as directory:
            path = Path(directory) / "shared.log"
            first, second = LogFile(str(path)), LogFile(str(path))
            with closing(first), closing(second):
                for file, line in ((first, "one\n"), (second, "two\n"), (first, "three\n")):
                    file.write(line)
            assert path.read_text() == "one\ntwo\nthree\n"


class FullDisk:
    """An output that takes nothing while it is full."""

    def __init__(self) -> None:
        self.full = True
        self.text = ""

    def write(self, text: str, /) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.text += text


class LostLinesTests(SynchronousTestCase):
    def test_a_full_disk_is_told_once_and_what_was_lost_is_counted(self) -> None:
        """Our choice: a server answers without its log too, and says elsewhere that it has none."""
        for render in (render_text, render_json):
            disk, complaints = FullDisk(), list[str]()
            log = Logger("test", observer=LineObserver(disk, render, complaints.append))
            for number in range(3):
                log.info("line {number}", number=number)
            [complaint] = complaints
            assert complaint.endswith("No space left on device")
            disk.full = False
            log.info("line 3")
            log.info("line 4")
            loss, *rest = disk.text.splitlines()
            assert "3 log lines could not be written" in loss
            assert [line.count("line") for line in rest] == [1, 1]
            disk.full = True
            log.info("line 5")
            assert len(complaints) == 2

    def test_nothing_that_fails_here_reaches_another_observer(self) -> None:
        """Twisted reports an observer's exception to the log, which is what has failed."""
        reported: list[Any] = []
        broken = LineObserver(FullDisk(), render_text, lambda _: None)
        publisher = LogPublisher(broken, reported.append)
        Logger("test", observer=publisher).info("x")
        assert [event["log_format"] for event in reported] == ["x"]

    def test_a_line_that_was_cut_off_is_ended_before_the_next(self) -> None:
        """A disk that becomes full takes the beginning of a line."""
        with TemporaryDirectory() as directory:
            path = Path(directory) / "x.log"
            with closing(LogFile(str(path))) as file:
                file.write("whole\n")
                soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (9, hard))
                try:
                    self.assertRaises(OSError, file.write, "torn\n")
                    self.assertRaises(OSError, file.write, "lost\n")
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
                file.write("next\n")
            assert path.read_text() == "whole\ntor\nnext\n"

    def test_characters_that_no_encoding_has_are_written_escaped(self) -> None:
        with TemporaryDirectory() as directory:
            path = Path(directory) / "x.log"
            with closing(LogFile(str(path))) as file:
                file.write("\ud800 \u20ac\n")
            assert path.read_text() == "\\ud800 \u20ac\n"

    def test_a_file_that_was_moved_away_is_followed_by_a_new_one(self) -> None:
        """logrotate(8)."""
        with TemporaryDirectory() as directory:
            path, rotated = Path(directory) / "x.log", Path(directory) / "x.log.1"
            with closing(LogFile(str(path))) as file:
                file.write("one\n")
                path.rename(rotated)
                file.write("two\n")
                file.reopen()
                file.write("three\n")
            assert (rotated.read_text(), path.read_text()) == ("one\ntwo\n", "three\n")

    def test_a_file_that_cannot_be_reopened_is_kept(self) -> None:
        """Our choice: better in the old file than nowhere."""
        with TemporaryDirectory() as directory:
            path, rotated = Path(directory) / "x.log", Path(directory) / "x.log.1"
            with closing(LogFile(str(path))) as file:
                path.rename(rotated)
                path.mkdir()
                self.assertRaises(ConfigError, file.reopen)
                file.write("still\n")
            assert rotated.read_text() == "still\n"


class JournalTests(SynchronousTestCase):
    SESSION = Session("11111111-2222", None, Supported().offered, UNKNOWN_CLIENT, 0, 3600)

    def written(self, verbose: bool = True, reveal: bool = False) -> tuple[LogJournal, list[dict[str, Any]]]:
        events: list[dict[str, Any]] = []
        journal = LogJournal(verbose, reveal, is_session=self.is_session)
        self.patch(LogJournal, "_log", Logger("test", observer=events.append))
        return journal, events

    KNOWN = "2195e51e-ab4b-4ca3-8b93-adc01176ae52"

    def is_session(self, session_id: str) -> bool:
        return session_id == self.KNOWN

    def test_a_session_appears_by_the_beginning_of_its_id(self) -> None:
        """Its owner finds it so, and whoever reads the log cannot take it over."""
        journal, events = self.written()
        journal.note("Session created", session=self.SESSION)
        assert events[0]["session_id"] == "11111111"

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

    def test_session_ids_in_bodies_are_cut_to_their_beginning(self) -> None:
        """The answer of echo names the session; the log must not hold all of it."""
        journal, events = self.written()
        body = {"text": f"Session: {self.KNOWN}\n", "session": self.KNOWN, "handle": f"es_{'aB3_' * 8}"}
        journal.debug("Answer", body=json.dumps(body).encode())
        shown = json.loads(events[0]["body"])
        assert shown == {"text": "Session: 2195e51e…\n", "session": "2195e51e…", "handle": "es_aB3_aB3_…"}

    def test_a_uuid_that_is_no_session_stays_whole(self) -> None:
        """A JSON-RPC id may be one, and finds the request in the logs of other hops."""
        journal, events = self.written()
        message = {"jsonrpc": "2.0", "id": "631fc62c-7c06-4d0f-8a9e-7f7a3a8d2b11", "method": "ping"}
        journal.debug("Request", body=json.dumps(message).encode())
        assert json.loads(events[0]["body"]) == message

    def test_secrets_are_shown_where_that_was_asked_for(self) -> None:
        """MCP_ECHO_REVEAL_SECRETS."""
        journal, events = self.written(reveal=True)
        journal.debug("Request", body=b'{"token":"opaque-s3cret"}')
        assert "opaque-s3cret" in events[0]["body"]

    def test_of_a_long_body_the_beginning_is_shown(self) -> None:
        """Our choice: a line is held several times while it is written, in wide characters perhaps."""
        journal, events = self.written(reveal=True)
        body = json.dumps(["s3cret", "a" * 1_000_000, "\U0001f410"], ensure_ascii=False).encode()
        journal.debug("Request", body=body)
        assert events[0]["body"].startswith('["s3cret", "aaa')
        assert events[0]["body"].endswith(f"aaa [{len(body)} bytes in all]")
        assert len(events[0]["body"]) < 70_000

    def test_of_a_long_body_the_beginning_is_shown_masked(self) -> None:
        """A line must not take as long as a body of the largest size."""
        journal, events = self.written()
        secret = 'opaque \\" s3cret'
        long = "x" * 200_000
        journal.debug("Request", body=f'{{"a":"b","token":"{secret}","message":"{long}'.encode())
        journal.debug("Request", body=f'{{"tok\\u0065n":"{secret}","message":"{long}"}}'.encode())
        first, second = (event["body"] for event in events)
        assert first.startswith('{"a":"b","token":"[16 characters, ')
        assert "s3cret" not in first + second
        assert first.endswith('"message":" [200047 bytes in all]')
        assert second == "(200046 bytes)"

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
        ids = first[:8], second[:8]
        assert told == [
            ("Session created", ids[0], "probe", "2025-06-18"),
            ("Session created", ids[1], "probe", "2025-06-18"),
            ("Session closed", ids[1], "probe", "2025-06-18"),
            ("Session expired", ids[0], "probe", "2025-06-18"),
        ]
