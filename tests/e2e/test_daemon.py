"""The daemon as an operator meets it: starting, failing to start, logging, stopping."""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import mcp_echo
from tests.e2e.conftest import Needs, Start
from tests.e2e.daemon import MODULE, STOP_SECONDS, Daemon, activated, environment, running, script
from tests.e2e.wire import Wire
from tests.ports import free_port
from tests.test_canaries import SECRET_HEADERS

FOREGROUND = (script("twistd"), "--nodaemon", "--pidfile=", "mcp-echo")

SYSTEMD_STAND_IN = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
if listener.fileno() != 3:
    os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="mcp", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Does what systemd does for a socket unit (sd_listen_fds(3)): descriptor 3, announced by environment."""


@pytest.mark.parametrize(
    "command",
    [FOREGROUND, MODULE, (script("mcp-echo"),), (script("mcp-echo-daemon"),)],
    ids=["twistd", "module", "script", "script-of-the-distribution"],
)
def test_each_way_to_start_serves_health(command: Sequence[str], tmp_path: Path) -> None:
    """Our choice: the plugin, the module and the script are one daemon."""
    port = free_port()
    with running([*command, "--port", str(port)], tmp_path, port):
        pass  # `running` returns once /health has answered


def test_a_unix_endpoint_serves_health(tmp_path: Path) -> None:
    """Our choice: --port takes any Twisted endpoint description."""
    path = tmp_path / "mcp.sock"
    with running([*MODULE, "--port", f"unix:{path}"], tmp_path, path):
        pass
    assert not path.exists()


@pytest.mark.parametrize("activation", ["systemd-socket-activate", "stand-in"])
def test_a_socket_of_systemd_is_found_by_its_name(activation: str, program: Needs, tmp_path: Path) -> None:
    """Our choice: the socket unit's FileDescriptorName is the name in the endpoint description."""
    port = free_port()
    wrapper = (
        [sys.executable, "-c", SYSTEMD_STAND_IN, str(port)]
        if activation == "stand-in"
        else activated(program(activation), f"--listen=127.0.0.1:{port}", "--fdname=mcp")
    )
    with running([*wrapper, *MODULE, "--port", "systemd:domain=INET:name=mcp"], tmp_path, port) as daemon:
        assert f"Serving MCP at http://127.0.0.1:{port}/mcp" in daemon.log()
        assert "reached from other machines" not in daemon.log()


@pytest.mark.slow
@pytest.mark.parametrize("reactor", ["asyncio", "poll"])
def test_another_reactor_can_be_chosen_before_the_plugins_were_ever_listed(
    reactor: str, tmp_path: Path
) -> None:
    """Our choice: twistd imports every plugin while it has no cache, and ours must not install a reactor.

    The copy of the package has no dropin.cache beside its plugin.
    """
    package = Path(mcp_echo.__file__).parent
    plugin = package.parent / "twisted" / "plugins" / "mcp_echo_plugin.py"
    plugins = tmp_path / "copy" / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    shutil.copy(plugin, plugins)
    shutil.copytree(package, tmp_path / "copy" / "mcp_echo")
    port = free_port()
    command = [script("twistd"), f"--reactor={reactor}", *FOREGROUND[1:], "--port", str(port), "--debug"]
    with running(command, tmp_path, port, {"PYTHONPATH": str(tmp_path / "copy")}) as daemon:
        assert f"reactor class: twisted.internet.{reactor}reactor." in daemon.log()


def _fails_in_one_line(
    command: Sequence[str], tmp_path: Path, env: dict[str, str] | None = None, status: int = 1
) -> str:
    """Run a command that cannot start; return the line it says so with."""
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(env), capture_output=True, text=True, timeout=30, check=False
    )
    logs = "".join(file.read_text() for file in tmp_path.rglob("*.log"))
    assert (done.returncode, done.stdout) == (status, "")
    assert "Traceback" not in done.stdout + done.stderr + logs
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("command", [FOREGROUND, MODULE, (script("mcp-echo"),)])
def test_a_taken_port_ends_the_start(command: Sequence[str], tmp_path: Path) -> None:
    """Our choice: a daemon that runs on without its port helps nobody."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = _fails_in_one_line([*command, "--port", str(port)], tmp_path)
    assert line.startswith(f"mcp-echo: cannot listen on tcp:{port}:interface=127.0.0.1: ")
    assert line.endswith("; stop what listens there, or take another port with --port (0: any that is free)")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "env", "complaint"),
    [
        (["--port", "bogus:1"], {}, "--port 'bogus:1' is not a port or an endpoint"),
        (["--port", "65536"], {}, "--port must be a port from 0 to 65535"),
        (["--port", "systemd:domain=INET:name=mcp"], {}, "--port 'systemd:domain=INET:name=mcp'"),
        (["--max-sessions", "many"], {}, "--max-sessions must be a whole number"),
        ([], {"MCP_SESSION_TIMEOUT": "soon"}, "MCP_SESSION_TIMEOUT must be a number of seconds"),
        ([], {"MCP_PROTOCOL_VERSIONS_SUPPORTED": "1999-01-01"}, "MCP_PROTOCOL_VERSIONS_SUPPORTED"),
        (["--allowed-origins", "ht!tp"], {}, "--allowed-origins: 'ht!tp' is not an origin"),
        (["--log-file", "/dev/null/mcp.log"], {}, "--log-file /dev/null/mcp.log cannot be written"),
        ([], {"ECHO_LOG_LEVEL": "loud"}, "ECHO_LOG_LEVEL must be one of DEBUG, INFO"),
    ],
)
def test_a_setting_that_cannot_be_ends_the_start(
    arguments: list[str], env: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    """Our choice: refused before anything listens, in one line that names the setting."""
    line = _fails_in_one_line([*MODULE, *arguments], tmp_path, {"MCP_ECHO_PORT": "0", **env}, status=2)
    assert line.startswith(f"python -m mcp_echo: {complaint}")


def test_a_place_that_cannot_be_had_ends_the_start(tmp_path: Path) -> None:
    """Our choice, as for a taken port: the command is possible, and this machine has no such place now."""
    line = _fails_in_one_line([*MODULE, "--port", "unix:/nowhere/mcp.sock"], tmp_path)
    assert line.startswith("mcp-echo: cannot listen on unix:/nowhere/mcp.sock: ")
    assert line.endswith("; make the directory of the socket first")
    line = _fails_in_one_line([*MODULE, "--port", "0", "--store", "sqlite:/nowhere/sessions.db"], tmp_path)
    assert line.startswith("mcp-echo: --store: ")


def test_a_closed_standard_output_ends_the_start(tmp_path: Path) -> None:
    """Our choice: a connection would get its descriptor, and its client the log."""
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *MODULE, "--port", "0"]
    line = _fails_in_one_line(command, tmp_path, status=2)
    assert line.startswith("python -m mcp_echo: standard output is closed")


@pytest.mark.slow
def test_what_the_shell_sets_for_other_programs_does_not_end_the_start(start: Start) -> None:
    """Our choice: LOG_LEVEL and LOG_FILE belong to nobody; what is done instead is said."""
    daemon = start(env={"LOG_LEVEL": "hyper=warn", "LOG_FILE": "/dev/null/app.log"})
    assert "LOG_LEVEL must be one of" in daemon.log()
    assert "LOG_FILE /dev/null/app.log cannot be written" in daemon.log()
    quiet = start(env={"LOG_LEVEL": "warn"})
    assert quiet.log() == ""


@pytest.mark.slow
def test_the_directories_of_the_log_file_are_made(start: Start, tmp_path: Path) -> None:
    """Our choice: LOG_FILE=/logs/mcp-echo.log works on a machine that has no /logs yet."""
    file = tmp_path / "logs" / "of" / "mcp" / "echo.log"
    daemon = start(env={"LOG_FILE": str(file)})
    assert f"Serving MCP at http://127.0.0.1:{daemon.port}/mcp" in file.read_text()
    assert daemon.log() == ""


@pytest.mark.slow
@pytest.mark.parametrize("with_file", [True, False])
def test_a_reload_of_the_service_leaves_it_running(with_file: bool, start: Start, tmp_path: Path) -> None:
    """ExecReload= of the unit: with a log file it is reopened, without one the log says that nothing is."""
    file = tmp_path / "mcp-echo.log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), **({"LOG_FILE": str(file)} if with_file else {})}
        daemon = start(env=env)
        unit = (Path(__file__).parents[2] / "systemd" / "mcp-echo.service").read_text()
        [command] = re.findall(r"^ExecReload=(.*)$", unit, re.MULTILINE)
        moved = file.rename(tmp_path / "mcp-echo.log.1") if with_file else None
        subprocess.run(["sh", "-c", command.replace("$MAINPID", str(daemon.process.pid))], check=True)
        _wait_for_text(lambda: file.read_text() if file.exists() else daemon.log(), "reopened", "to reload")
        assert daemon.probe("/health")[0] == 200
        assert moved is None or "reopened" not in moved.read_text()


def _wait_for_text(read: Callable[[], str], *texts: str) -> None:
    deadline = time.monotonic() + 15
    while not any(text in read() for text in texts):
        assert time.monotonic() < deadline, read()
        time.sleep(0.02)


def test_json_logs_have_one_object_a_line_and_no_session_id(start: Start) -> None:
    """Our choice: a log is for machines when asked, and its reader cannot take a session over."""
    daemon = start("--log-format", "json")
    with Wire(daemon.port, "2025-06-18") as wire:
        wire.ask("tools/call", {"name": "sessionInfo"})
    daemon.terminate()
    entries = [json.loads(line) for line in daemon.log().splitlines()]
    [created] = [entry for entry in entries if entry["message"] == "Session created"]
    assert created["client_name"] == "wire"
    assert created["protocol_version"] == "2025-06-18"
    assert created["session_id"] == wire.session_id[:8]
    assert wire.session_id not in daemon.log()


def test_sigterm_ends_open_streams_properly(start: Start, program: Needs, tmp_path: Path) -> None:
    """RFC 9112 section 7.1: a chunked body ends with its last chunk; curl exits with 18 when it does not."""
    daemon = start()
    outputs = [tmp_path / f"stream-{number}.txt" for number in range(3)]
    with Wire(daemon.port, "2025-11-25") as wire, ExitStack() as stack:
        headers = [part for name, value in wire.headers.items() for part in ("--header", f"{name}: {value}")]
        curl = [program("curl"), "--silent", "--no-buffer", "--max-time", "60", *headers, daemon.url]
        streams = [stack.enter_context(_spawned(curl, output)) for output in outputs]
        _wait_for_open_streams(wire, 3)
        daemon.terminate()
        assert [stream.wait(STOP_SECONDS) for stream in streams] == [0, 0, 0]
    for output in outputs:
        assert "retry: " in output.read_text()


@contextmanager
def _spawned(command: Sequence[str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside the test; end it with the test, if it has not ended."""
    with output.open("wb") as sink, subprocess.Popen(command, stdout=sink) as process:
        try:
            yield process
        finally:
            process.kill()


def _wait_for_open_streams(wire: Wire, wanted: int) -> None:
    deadline = time.monotonic() + 15
    while _open_streams(wire) != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _open_streams(wire: Wire) -> int:
    response, _ = wire.ask("tools/call", {"name": "sessionInfo"})
    count: int = response["result"]["structuredContent"]["openStreams"]
    return count


def _break_off(daemon: Daemon, sent: bytes, *, answered: bool = False) -> None:
    """Send something and reset the connection, if so ``answered`` once the answer has begun."""
    with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(sent)
        if answered:
            assert connection.recv(1)


def test_clients_that_break_off_do_not_take_the_server_down(start: Start) -> None:
    """Our choice: connections are lost all the time; the log shows no traceback for it, `start` checks."""
    daemon = start()
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
    with Wire(daemon.port, "2025-11-25") as wire:
        _break_off(daemon, head)
        _break_off(daemon, head + b'Content-Length: 100\r\n\r\n{"jsonrpc":')
        _break_off(daemon, head + b'Content-Length: 40\r\n\r\n{"jsonrpc":"2.0","id":1,"method":"ping"}')
        session = f"Mcp-Session-Id: {wire.session_id}\r\n".encode()
        listening = b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n" + session + b"\r\n"
        _break_off(daemon, listening, answered=True)
        _wait_for_open_streams(wire, 0)
        response, _ = wire.ask("tools/call", {"name": "echo", "arguments": {"message": "still here"}})
    assert response["result"]["structuredContent"]["message"] == "still here"


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_secret_is_written_to_standard_output_or_error(form: str, start: Start) -> None:
    """Our choice: whoever collects the log of a daemon that debugs must not get to call as its clients do."""
    key = base64.urlsafe_b64encode(b"a key that has thirty-two bytes.").decode()
    planted = {name: f"c4nary{number:02}q7" for number, name in enumerate(SECRET_HEADERS)}
    daemon = start("--log-format", form, env={"MCP_ECHO_DEBUG": "true", "MCP_ECHO_STATE_KEY": key})
    with Wire(daemon.port, "2025-06-18") as wire:
        for tool in ("printHeader", "authContext", "bearerDecode", "environmentDump", "sessionInfo"):
            wire.call(tool, planted)
        wire.ask("tools/call", {"name": "nowhere", "arguments": {"password": "c4nary in an argument"}})
        wire.ask("resources/read", {"uri": "https://user:c4nary@host/?access_token=c4nary"})
        session = wire.session_id
    _break_off(daemon, b"POST /mcp?token=c4nary HTTP/1.1\r\nCookie: c4nary\r\nContent-Length: c4nary\r\n\r\n")
    _break_off(daemon, b'POST /mcp HTTP/1.1\r\nContent-Length: 20\r\n\r\n{"password":"c4nary"')
    daemon.terminate()

    assert "printHeader" in daemon.log()
    assert [secret for secret in ("c4nary", session, key) if secret in daemon.log()] == []
