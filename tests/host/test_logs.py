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
from mcp_echo.host.logs import LineObserver, LogFile, observer, render_json, render_text
from mcp_echo.settings.load import load
from mcp_echo.settings.table import ConfigError

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

    def test_a_field_that_the_text_has_is_not_repeated_beside_it(self) -> None:
        """Our choice: a line is read by people, an object by programs that ask for fields by name."""
        event = {**EVENT, "log_format": "{method} {status}", "method": "ping", "status": 200, "peer": "::1"}
        text, json_lines = Recorded(), Recorded(MCP_ECHO_LOG_FORMAT="json")
        for recorded in (text, json_lines):
            recorded.observe(event)
        assert text.lines[0].endswith("] ping 200 peer=::1")
        told = json.loads(json_lines.lines[0])
        assert (told["message"], told["method"], told["status"], told["peer"]) == (
            "ping 200",
            "ping",
            200,
            "::1",
        )

    def test_several_values_of_a_field_are_one_list(self) -> None:
        text, json_lines = Recorded(), Recorded(MCP_ECHO_LOG_FORMAT="json")
        for recorded in (text, json_lines):
            recorded.log.info("x", findings=["a-b", "c"])
        assert text.lines[0].endswith("x findings=a-b,c")
        assert json.loads(json_lines.lines[0])["findings"] == ["a-b", "c"]

    def test_an_exchange_is_indented_under_its_line_or_two_members(self) -> None:
        """MCP_ECHO_DEBUG; what a client sends must not forge log entries (CWE-117)."""
        text, json_lines = Recorded(), Recorded(MCP_ECHO_LOG_FORMAT="json")
        for recorded in (text, json_lines):
            recorded.log.info("x", request=["GET / HTTP/1.1", HOSTILE], answer=["HTTP/1.1 404"])
        first, *rest = text.lines
        assert first.endswith("] x")
        assert [line[:8] for line in rest] == ["\t> GET /", "\t> x\\n20", "\t< HTTP/"]
        told = json.loads(json_lines.lines[0])
        assert (told["request"], told["answer"]) == (["GET / HTTP/1.1", HOSTILE], ["HTTP/1.1 404"])

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

    def test_what_twisted_says_of_itself_is_for_those_who_debug(self) -> None:
        """Our choice: a start says where the server is, and not which reactor it has; what fails is told."""
        for environ, told in (({}, 1), ({"MCP_ECHO_DEBUG": "true"}, 2), ({"MCP_ECHO_LOG_LEVEL": "debug"}, 2)):
            for namespace in ("twisted.scripts._twistd_unix.UnixAppLogger", "log_legacy", "-"):
                recorded = Recorded(**environ)
                log = Logger(namespace, observer=recorded.observe)
                log.info("reactor class")
                log.warn("no room")
                assert len(recorded.lines) == told
                assert "no room" in recorded.lines[-1]

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
