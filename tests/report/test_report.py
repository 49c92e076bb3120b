"""The command that fetches evidence: what it prints, and its exit status."""

from __future__ import annotations

import io
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import treq.testing
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import DNSLookupError
from twisted.internet.task import Clock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from mcp_echo import __main__, __version__
from mcp_echo.report.address import trace_address
from mcp_echo.report.client_options import LEVELS
from mcp_echo.report.command import main, report
from mcp_echo.report.fetch import MOST
from mcp_echo.report.options import FORMATS, ReportOptions
from mcp_echo.tap import Options
from mcp_echo.watch.evidence.formats import EVIDENCE
from tests.certificates import make_certificate

TRACE = "http://echo.example:3000/t/abc/"


class Served(Resource):
    """A trace: each path below it answers what a test says."""

    isLeaf = True

    def __init__(self, *levels: str) -> None:
        super().__init__()
        self.asked: list[Any] = []
        findings = [{"level": level, "id": "x"} for level in levels]
        body = {"verdict": "v", "findings": findings, "exchanges": 3, "newer": 1}
        self.answers: dict[str, tuple[int, bytes]] = {"report": (200, json.dumps(body).encode())}
        for form in FORMATS:
            self.answers[f"evidence.{form}"] = (200, f"evidence in {form}".encode())

    def render_GET(self, request: Any) -> Any:
        self.asked.append(request)
        last = request.path.decode().rpartition("/")[2]
        status, body = self.answers[last]
        request.setResponseCode(status)
        if 300 <= status < 400:
            request.setHeader("Location", "https://evil.example/")
        return body if status else NOT_DONE_YET


class ReportTests(SynchronousTestCase):
    def run_report(self, served: Resource, *arguments: str, seconds: float = 0) -> tuple[int, bytes, str]:
        """Run the command against a server in memory; return its status and what it printed."""
        client = treq.testing.StubTreq(served)
        return self.run_with(client, *arguments, seconds=seconds)

    def run_with(self, client: Any, *arguments: str, seconds: float = 0) -> tuple[int, bytes, str]:
        options = ReportOptions()
        options.parseOptions([TRACE, *arguments])
        clock, output, errors = Clock(), io.BytesIO(), io.StringIO()
        with mock.patch("sys.stderr", errors):
            running = Deferred.fromCoroutine(report(clock, client, options, output.write))
            for _ in range(4):
                if hasattr(client, "flush"):
                    client.flush()
            clock.advance(seconds)
            status = self.successResultOf(running)
        return status, output.getvalue(), errors.getvalue()

    def test_a_clean_trace_is_printed_and_ends_with_zero(self) -> None:
        """The design: exit 0 clean."""
        assert self.run_report(Served()) == (0, b"evidence in md\n", "")

    def test_each_form_is_fetched_from_below_the_trace(self) -> None:
        """The design: evidence.{format} and report, below the address of the trace."""
        for form in FORMATS:
            served = Served()
            _, printed, _ = self.run_report(served, "--format", form)
            assert printed == f"evidence in {form}\n".encode()
            paths = [request.path for request in served.asked]
            assert paths == [b"/t/abc/report", f"/t/abc/evidence.{form}".encode()]

    def test_a_finding_at_or_above_the_level_ends_with_one(self) -> None:
        """The design: exit 1 for a finding at or above --fail-on, which is error unless it is given."""
        for worst, level in enumerate(LEVELS):
            for asked, fail_on in enumerate(LEVELS):
                status, printed, _ = self.run_report(Served("info", level), "--fail-on", fail_on)
                assert status == (1 if worst <= asked or fail_on == "info" else 0), (level, fail_on)
                assert printed
        assert self.run_report(Served("error"))[0] == 1
        assert self.run_report(Served("warning"))[0] == 0

    def test_a_trace_that_nothing_came_to_is_told_of(self) -> None:
        """Our choice: a client that never connected must not look like one that is well."""
        served = Served()
        served.answers["report"] = (200, b'{"verdict":"v"}')
        status, _, told = self.run_report(served)
        assert (status, "nothing has come" in told) == (0, True)

    def test_headers_are_sent_along(self) -> None:
        """The design: a gateway before the server may want credentials."""
        served = Served()
        self.run_report(served, "--header", "Authorization: Bearer k", "--header=X-A:1", "--header=X-A: 2")
        for request in served.asked:
            headers = request.requestHeaders
            assert headers.getRawHeaders("Authorization") == ["Bearer k"]
            assert headers.getRawHeaders("X-A") == ["1", "2"]
            assert headers.getRawHeaders("User-Agent") == [f"mcp-echo/{__version__}"]

    def test_what_cannot_be_fetched_ends_with_two_and_one_line(self) -> None:
        """The design: one line on standard error that says what to do."""
        for status, body, said in (
            (
                404,
                b'{"error":{"message":"Ended\\nat 14:02"}}',
                "(Ended\\nat 14:02); there is",
            ),
            (404, b'{"error":{"message":"no /t/abc/report here"}}', "no /t/{trace}/report here"),
            (404, b"<html>", "404; there is no such trace, or it has ended"),
            (401, b"", "--header"),
            (503, b"", "try again"),
            (500, b"", "check that it is the address"),
            (302, b"", "redirects are not followed"),
            (200, b"<html>log in</html>", "not a report of mcp-echo"),
            (200, b"x" * (MOST + 1), "longer than 8 MiB"),
        ):
            served = Served()
            served.answers["report"] = (status, body)
            ended, printed, told = self.run_report(served)
            assert (ended, printed, told.count("\n")) == (2, b"", 1), told
            assert said in told, told
            assert "abc" not in told
            assert len(served.asked) == 1

    def test_evidence_that_cannot_be_fetched_ends_with_two(self) -> None:
        """Our choice: a status without what it stands on would be believed."""
        served = Served()
        served.answers["evidence.md"] = (503, b"")
        assert self.run_report(served)[:2] == (2, b"")

    def test_an_answer_that_does_not_come_is_not_waited_for(self) -> None:
        """The design: bounded in time."""
        served = Served()
        served.answers["report"] = (0, b"")
        status, printed, told = self.run_report(served, "--timeout", "5", seconds=5)
        assert (status, printed) == (2, b"")
        assert "within 5 s" in told

    def test_a_server_that_cannot_be_reached_is_told_of(self) -> None:
        """Our choice: what to do depends on what went wrong."""

        class Untrusted(Exception):
            __module__ = "OpenSSL.SSL"

        for error, said in (
            (Refused("no"), "check that the server runs"),
            (DNSLookupError("no"), "has no address"),
            (ResponseFailed([mock.Mock(value=Untrusted("bad"))]), "--cacert"),
            (RuntimeError("a\nb"), "RuntimeError: a\\nb"),
        ):
            client = mock.Mock(spec=["get"])
            client.get.side_effect = error
            status, _, told = self.run_with(client)
            assert (status, told.count("\n")) == (2, 1)
            assert said in told


class CommandLineTests(SynchronousTestCase):
    def test_an_address_is_read_from_whatever_is_below_it(self) -> None:
        """The design: the trace or its share, with or without what follows."""
        for rest in ("", "/", "/mcp", "/report?x=1", "/evidence.md#a"):
            assert trace_address(f"http://h:3000/t/K{rest}") == "http://h:3000/t/K/"
            assert trace_address(f"https://h/base/v/K{rest}") == "https://h/base/v/K/"
        assert trace_address("http://[::1]:3000/t/v/mcp") == "http://[::1]:3000/t/v/"

    def test_what_is_no_address_of_a_trace_is_refused_without_being_repeated(self) -> None:
        """Our choice: whoever knows the address may read, and CI keeps what is printed."""
        for url in ("", "K", "ftp://h/t/K", "http:///t/K", "http://h/mcp", "http://h/t/", "http://u:p@h/t/K"):
            with pytest.raises(ValueError, match="address") as error:
                trace_address(url)
            assert "K" not in str(error.value)

    def test_the_address_may_stand_anywhere(self) -> None:
        """Our choice: the usage has it before the options, and people write it after them."""
        for words in (
            [TRACE, "--format", "har", "--fail-on=info"],
            ["-f", "har", "--fail-on", "info", TRACE],
            ["--format=har", TRACE, "--fail-on", "info"],
        ):
            options = ReportOptions()
            options.parseOptions(words)
            assert (options.address, options["format"], options["fail-on"]) == (TRACE, "har", "info")

    def test_what_is_not_possible_is_refused(self) -> None:
        """Our choice: before anything is fetched."""
        for words in (
            [],
            [TRACE, TRACE],
            [TRACE, "--format", "pdf"],
            [TRACE, "--fail-on", "fatal"],
            [TRACE, "--timeout", "0"],
            [TRACE, "--timeout", "nan"],
            [TRACE, "--timeout", "soon"],
            [TRACE, "--header", "no colon"],
            [TRACE, "--header", "a b: c"],
            [TRACE, "--header", "a: b\r\nc: d"],
            [TRACE, "--unknown"],
        ):
            with pytest.raises(usage.UsageError):
                ReportOptions().parseOptions(words)

    def test_a_command_line_that_is_wrong_ends_with_two_and_one_line(self) -> None:
        errors = io.StringIO()
        with mock.patch("sys.stderr", errors), pytest.raises(SystemExit) as ended:
            main(["http://h/mcp"])
        assert ended.value.code == 2
        assert errors.getvalue().count("\n") == 1

    def test_every_form_that_is_served_can_be_asked_for(self) -> None:
        assert tuple(EVIDENCE) == FORMATS

    def test_the_help_of_the_daemon_names_the_command(self) -> None:
        """Our choice: who asks what there is learns of it."""
        assert "report" in str(Options()).partition("Commands:")[2]

    def test_the_daemon_s_own_command_line_is_as_before(self) -> None:
        """Our choice: only the first word makes it another command."""
        with (
            mock.patch("sys.argv", ["mcp-echo", "--port", "3000"]),
            mock.patch("twisted.scripts.twistd.run") as run,
        ):
            __main__.main()
            assert sys.argv[1:] == ["--nodaemon", "--pidfile=", "mcp-echo", "--port", "3000"]
        run.assert_called_once_with()

    def test_twistd_says_how_the_command_is_run(self) -> None:
        errors = io.StringIO()
        with mock.patch("sys.stderr", errors), pytest.raises(SystemExit) as end:
            Options().parseOptions(["report", TRACE])
        assert end.value.code == 2
        assert "stands before every option: mcp-echo report URL" in errors.getvalue()

    def completed(self, *words: str) -> str:
        output = io.BytesIO()
        with (
            mock.patch("sys.argv", ["mcp-echo", *words, "--_shell-completion", f"zsh:{len(words) + 1}"]),
            mock.patch.object(Options, "_shellCompFile", output),
            pytest.raises(SystemExit),
        ):
            __main__.main()
        return output.getvalue().decode()

    def test_a_shell_completes_the_command_and_its_options(self) -> None:
        """Twisted's usage: a shell asks the program what may come next."""
        assert '"report:' in self.completed("")
        assert "--port=" in self.completed("--")
        assert "(md json har sarif junit)" in self.completed("report", "--format", "")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        found = b'{"verdict":"v","findings":[{"level":"error"}],"exchanges":1}'
        body = found if name == "report" else b"**Verdict:** `v`\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server(certificate: tuple[Path, Path] | None = None) -> Iterator[int]:
    """Serve a trace with an error in it on loopback; yield the port.

    Args:
        certificate: The files of a certificate and its key, for TLS.
    """
    serving = HTTPServer(("127.0.0.1", 0), _Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        serving.socket = context.wrap_socket(serving.socket, server_side=True)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    try:
        yield serving.server_port
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mcp_echo", "report", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_command_fetches_over_a_real_connection() -> None:
    """The design: prints to standard output, exit 1 for an error; 2 where nobody listens."""
    with server() as port:
        found = ran(f"http://127.0.0.1:{port}/t/abc/mcp")
        none = ran(f"http://127.0.0.1:{port}/v/abc/", "--cacert", "no/such/file")
    assert (found.returncode, found.stdout, found.stderr) == (1, "**Verdict:** `v`\n", "")
    assert (none.returncode, none.stdout) == (2, "")
    assert none.stderr == "mcp-echo: --cacert no/such/file cannot be read: No such file or directory\n"
    gone = ran(f"http://127.0.0.1:{port}/t/abc/")
    assert (gone.returncode, gone.stdout, gone.stderr.count("\n")) == (2, "", 1)
    assert "cannot be reached" in gone.stderr


def test_a_certificate_of_one_s_own_is_trusted_where_it_is_given(tmp_path: Path) -> None:
    """RFC 9110 4.3.4: a server is who it says, or nothing is sent to it."""
    certificate = make_certificate(tmp_path, "localhost")
    with server(certificate) as port:
        trusted = ran(f"https://localhost:{port}/t/abc/", "--cacert", str(certificate[0]))
        unknown = ran(f"https://localhost:{port}/t/abc/")
    assert (trusted.returncode, trusted.stdout, trusted.stderr) == (1, "**Verdict:** `v`\n", "")
    assert (unknown.returncode, unknown.stdout, unknown.stderr.count("\n")) == (2, "", 1)
    assert "--cacert" in unknown.stderr


def test_a_file_without_certificates_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    told = ran("https://localhost:1/t/abc/", "--cacert", str(tmp_path / "empty.pem"))
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
    assert "no certificates" in told.stderr
