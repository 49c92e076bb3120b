"""What a start says, on a terminal and in a log."""

from __future__ import annotations

import io
import json
from typing import Any
from unittest import mock

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.host.logs import render_json
from mcp_echo.host.start import Reached, Start, reached, warn
from mcp_echo.settings.load import load

LOOPBACK = IPv4Address("TCP", "127.0.0.1", 3210)
ALL = IPv4Address("TCP", "0.0.0.0", 3210)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("description", "address", "base", "by_others"),
    [
        ("tcp:0:interface=127.0.0.1", LOOPBACK, "http://127.0.0.1:3210", False),
        ("tcp:0", ALL, "http://127.0.0.1:3210", True),
        (r"tcp6:0:interface=\:\:1", IPv6Address("TCP", "::1", 3210), "http://[::1]:3210", False),
        ("tcp6:0", IPv6Address("TCP", "::", 3210), "http://127.0.0.1:3210", True),
        ("tcp:0", IPv4Address("TCP", "192.0.2.1", 80), "http://192.0.2.1:80", True),
        ("ssl:0:privateKey=x", LOOPBACK, "https://127.0.0.1:3210", False),
        ("haproxy:ssl:0", LOOPBACK, "https://127.0.0.1:3210", False),
        ("systemd:domain=INET:name=mcp-echo", LOOPBACK, "http://127.0.0.1:3210", False),
        ("systemd:domain=INET:name=mcp-echo", ALL, "http://127.0.0.1:3210", True),
        ("unix:/run/mcp.sock", UNIXAddress(b"/run/mcp.sock"), "http://localhost", False),
    ],
)
def test_the_address_is_that_of_the_port_that_listens(
    description: str, address: object, base: str, by_others: bool
) -> None:
    """Our choice: what the system has given, not what was asked for: port 0, a socket of systemd."""
    found = reached(description, address)
    assert (found.base, found.by_others) == (base, by_others)


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        (("*",), "127.0.0.1"),
        (("localhost", "mcp.example.com"), "localhost"),
        (("mcp.example.com:*",), "mcp.example.com"),
        (("mcp.example.com:443",), "mcp.example.com"),
        ((), "127.0.0.1"),
    ],
)
def test_on_all_addresses_a_name_is_shown_that_is_answered(hosts: tuple[str, ...], name: str) -> None:
    """Our choice: the address that the start shows is not answered with 421."""
    assert reached("tcp:0", ALL, hosts).base == f"http://{name}:3210"


@pytest.mark.parametrize(
    ("socket", "command"),
    [
        ("/run/mcp.sock", "curl --unix-socket /run/mcp.sock http://localhost/"),
        ("/run/my mcp.sock", "curl --unix-socket '/run/my mcp.sock' http://localhost/"),
        ("\0mcp", "curl --abstract-unix-socket mcp http://localhost/"),
    ],
)
def test_a_unix_socket_is_asked_with_curl(socket: str, command: str) -> None:
    """curl(1): a browser cannot open one."""
    where = Reached("http://localhost", socket)
    assert where.at("/") == command
    assert where.at("/", "--json '{}'") == f"{command} --json '{{}}'"


class StartTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.terminal = Terminal()

    def start(
        self,
        *,
        terminal: bool = True,
        address: object = LOOPBACK,
        trace: str | None = "TRACE",
        **environ: str,
    ) -> str | None:
        """Announce a start; return what was written to the file of the trace."""
        self.terminal = Terminal() if terminal else io.StringIO()  # type: ignore[assignment]
        settings = load({}, {f"MCP_ECHO_{name.upper()}": value for name, value in environ.items()}).settings
        described = "tcp:0" if not isinstance(address, UNIXAddress) else "unix:x"
        start = Start(settings, described, address)
        with mock.patch("sys.__stdout__", self.terminal):
            start.announce()
            file = None if trace is None else start.tell_trace(trace)
        if file is None:
            return None
        self.addCleanup(file.remove)
        assert file.path.stat().st_mode & 0o777 == 0o600
        return file.path.read_text()

    def shown(self) -> list[str]:
        """Return the lines on the terminal."""
        return self.terminal.getvalue().splitlines()

    def logged(self, level: str) -> list[dict[str, Any]]:
        entries = [json.loads(render_json(event)) for event in self.events]
        return [entry for entry in entries if entry["level"] == level]

    def messages(self, level: str = "info") -> list[str]:
        return [entry["message"] for entry in self.logged(level)]


class TerminalTests(StartTestCase):
    def test_three_lines_have_the_endpoint_the_page_and_the_trace(self) -> None:
        """Our choice: people can click them."""
        assert self.start() is None
        assert self.shown() == [
            "MCP:    http://127.0.0.1:3210/mcp",
            "Page:   http://127.0.0.1:3210/",
            "Trace:  http://127.0.0.1:3210/t/TRACE/",
        ]
        assert self.events == []

    def test_a_unix_socket_is_shown_as_commands_to_paste(self) -> None:
        self.start(address=UNIXAddress(b"/run/mcp.sock"))
        curl = "curl --unix-socket /run/mcp.sock http://localhost"
        ping = """--json '{"jsonrpc":"2.0","id":1,"method":"ping"}'"""
        assert self.shown() == [f"MCP:    {curl}/mcp {ping}", f"Page:   {curl}/", f"Trace:  {curl}/t/TRACE/"]

    def test_the_public_address_is_shown_where_there_is_one(self) -> None:
        for address in (LOOPBACK, UNIXAddress(b"/run/mcp.sock")):
            self.start(address=address, public_url="https://mcp.example.com", trace=None)
            assert self.shown() == ["MCP:    https://mcp.example.com/mcp", "Page:   https://mcp.example.com/"]

    def test_with_a_log_file_the_terminal_says_where_the_log_is_and_the_log_has_no_key(self) -> None:
        """Our choice: whoever reads the log of a server cannot read what its clients sent."""
        assert self.start(log_file="/var/log/mcp-echo.log") is None
        assert self.shown()[-2:] == [
            "Log:    /var/log/mcp-echo.log",
            "Trace:  http://127.0.0.1:3210/t/TRACE/",
        ]
        assert self.messages() == [
            "Serving MCP at http://127.0.0.1:3210/mcp",
            "The page for people is http://127.0.0.1:3210/",
        ]

    def test_warnings_are_shown_where_the_log_is_not(self) -> None:
        with mock.patch("sys.__stdout__", self.terminal):
            warn("mind the gap", load({}, {"MCP_ECHO_LOG_FILE": "/x"}).settings)
            assert self.shown() == ["Warning: mind the gap"]
            warn("mind the gap", load({}, {}).settings)
        assert (self.shown(), self.messages("warn")) == (["Warning: mind the gap"], ["mind the gap"] * 2)

    def test_without_traces_there_is_no_page(self) -> None:
        self.start(watch="off", trace=None)
        assert self.shown() == ["MCP:    http://127.0.0.1:3210/mcp"]

    def test_json_is_what_a_terminal_gets_that_asked_for_it(self) -> None:
        assert self.start(log_format="json") is not None
        assert self.shown() == []


class LogTests(StartTestCase):
    def test_a_log_has_the_same_facts_and_names_the_file_with_the_address_of_the_trace(self) -> None:
        assert self.start(terminal=False) == "http://127.0.0.1:3210/t/TRACE/\n"
        assert self.shown() == []
        serving, page, trace = self.logged("info")
        assert (serving["message"], serving["mcp_url"]) == (
            "Serving MCP at http://127.0.0.1:3210/mcp",
            "http://127.0.0.1:3210/mcp",
        )
        assert page["page_url"] == "http://127.0.0.1:3210/"
        assert trace["message"] == f"What comes to /mcp is shown at the address in {trace['trace_page_file']}"
        assert "TRACE" not in json.dumps(self.logged("info"))

    def test_a_unix_socket_is_a_field_of_its_own(self) -> None:
        written = self.start(terminal=False, address=UNIXAddress(b"/run/mcp.sock"))
        assert written == "curl --unix-socket /run/mcp.sock http://localhost/t/TRACE/\n"
        assert self.logged("info")[0]["unix_socket"] == "/run/mcp.sock"
        assert self.messages()[0] == "Serving MCP at http://localhost/mcp on the Unix socket /run/mcp.sock"

    def test_several_workers_are_counted(self) -> None:
        self.start(terminal=False, trace=None, workers="3", store="sqlite:x")
        assert self.messages()[0] == "Serving MCP at http://127.0.0.1:3210/mcp by 3 workers"

    def test_an_address_that_cannot_be_written_down_is_no_reason_not_to_start(self) -> None:
        with mock.patch("mcp_echo.host.start.PrivateFile", side_effect=OSError(28, "No space left")):
            assert self.start(terminal=False) is None
        assert "cannot be written down: No space left" in self.messages("warn")[0]


class WarningTests(StartTestCase):
    def warned(self, address: object, **environ: str) -> list[str]:
        self.events.clear()
        self.start(terminal=False, trace=None, address=address, **environ)
        return self.messages("warn")

    def test_what_only_this_machine_reaches_is_not_warned_about(self) -> None:
        """Our choice: a warning means something is wrong. The shipped socket unit binds to loopback."""
        for address in (LOOPBACK, IPv6Address("TCP", "::1", 1), UNIXAddress(b"/x"), UNIXAddress(None)):
            assert self.warned(address) == []
        assert self.warned(LOOPBACK, port="systemd:domain=INET:name=mcp-echo", host="0.0.0.0") == []

    def test_what_others_reach_is_warned_about_with_the_setting_to_change(self) -> None:
        """Our choice: it authenticates nobody; and under other names each request would be refused."""
        for address in (ALL, IPv6Address("TCP", "::", 1), IPv4Address("TCP", "192.0.2.1", 80)):
            nobody, hosts = self.warned(address)
            assert "asks nobody who they are" in nobody
            assert "MCP_ECHO_ALLOWED_HOSTS" in hosts
            assert len(self.warned(address, allowed_hosts="mcp.example.com")) == 1
            assert len(self.warned(address, trusted_proxies="10.0.0.1")) == 1
            assert self.warned(address, allowed_hosts="a", trusted_proxies="10.0.0.1") == []
