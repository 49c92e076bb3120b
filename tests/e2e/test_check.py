"""``mcp-echo check`` against this server and those of others, directly and through relays and gateways."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import pytest

from tests.e2e import environments, gateways
from tests.e2e.conftest import Needs, Start
from tests.e2e.daemon import STOP_SECONDS, Daemon, environment
from tests.e2e.relay import relaying, wait_for
from tests.e2e.test_gateways import deployed, program_of
from tests.e2e.trace import Trace
from tests.ports import free_port

pytestmark = pytest.mark.slow

SERVERS = Path(__file__).parent / "servers"

_AT_HOME = (
    "import socket; real = socket.getaddrinfo; "
    "socket.getaddrinfo = lambda host, *a, **k: real('127.0.0.1' if host == '{name}' else host, *a, **k); "
    "from mcp_echo.__main__ import main; main()"
)
"""Runs the command where a name leads to this machine, as a resolver would have it."""


class Ran(NamedTuple):
    """What the command did."""

    status: int
    report: dict[str, Any]
    told: str

    @property
    def named(self) -> set[str]:
        """Level, id and subject of each finding."""
        found = self.report["findings"]
        return {f"{each['level']} {each['id']} {each.get('subject', '')}".strip() for each in found}

    @property
    def wrong(self) -> set[str]:
        """The findings that are more than information."""
        return {each for each in self.named if not each.startswith("info ")}


def check(*words: str, name: str | None = None) -> Ran:
    """Run the command.

    Args:
        words: The command line behind ``check``.
        name: A name that is to lead to this machine.
    """
    start = ["-m", "mcp_echo"] if name is None else ["-c", _AT_HOME.format(name=name)]
    command = [sys.executable, *start, "check", *words, "--format", "json"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=environment(), check=False
    )
    return Ran(done.returncode, json.loads(done.stdout or "{}"), done.stderr)


@contextmanager
def serving(command: Sequence[str], port: int, directory: Path, **variables: str) -> Iterator[str]:
    """Run a server; yield the address of its endpoint."""
    with (directory / "server.txt").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=directory, env=environment(variables), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


@pytest.fixture
def everything(client_environment: Needs, tmp_path: Path) -> Iterator[str]:
    """The official server that has everything."""
    modules = environments.cache() / client_environment(environments.NODE_SERVERS) / "node_modules"
    script = modules / "@modelcontextprotocol/server-everything/dist/index.js"
    port = free_port()
    command = ["node", "--import", str(SERVERS / "local.mjs"), str(script), "streamableHttp"]
    with serving(command, port, tmp_path, PORT=str(port)) as url:
        yield url


@pytest.fixture
def typescript(client_environment: Needs, tmp_path: Path) -> Iterator[str]:
    """A server with the TypeScript SDK."""
    modules = environments.cache() / client_environment(environments.NODE_SERVERS) / "node_modules"
    (tmp_path / "node_modules").symlink_to(modules)
    shutil.copy(SERVERS / "typescript_sdk.mjs", tmp_path)
    port = free_port()
    with serving(["node", "typescript_sdk.mjs", str(port)], port, tmp_path) as url:
        yield url


@pytest.fixture(params=[environments.SDK_1, environments.SDK_2])
def python(request: pytest.FixtureRequest, client_environment: Needs, tmp_path: Path) -> Iterator[str]:
    """A server with one of the Python SDKs."""
    interpreter = environments.python(client_environment(request.param))
    port = free_port()
    with serving([interpreter, str(SERVERS / "python_sdk.py"), str(port)], port, tmp_path) as url:
        yield url


def url_of(port: int) -> str:
    return f"http://127.0.0.1:{port}/mcp"


def test_this_server_keeps_every_rule_that_it_is_asked_about_where_it_is_strict(start: Start) -> None:
    """Our interface: and otherwise it makes a session for who has none."""
    strict = check(url_of(start("--strict").port))
    assert (strict.status, strict.wrong, strict.told) == (0, set(), "")
    assert strict.report["held"] == 17


def test_this_server_asks_for_a_token_as_clients_expect(start: Start) -> None:
    """RFC 9728, RFC 8414: the chain of a trace's own authorization server is whole."""
    daemon = start()
    headers = {"Content-Type": "application/json"}
    wanted = Request(f"http://127.0.0.1:{daemon.port}/t", b'{"challenge":"oauth"}', headers)
    with urlopen(wanted, timeout=10) as answer:
        made = json.load(answer)
    found = check(made["mcpUrl"])
    assert (found.status, found.wrong) == (0, set())
    assert {"resource-matches", "issuer-matches", "pkce-supported"} <= set(found.report["heldRules"])


def test_the_server_that_has_everything_is_checked(everything: str) -> None:
    """Seen: it answers 400 where a session has ended, and asks nobody where a page comes from."""
    found = check(everything)
    assert (found.status, found.told) == (1, "")
    assert found.wrong == {"error session-gone", "warning origin-checked"}


def test_a_server_with_the_python_sdk_is_checked(python: str) -> None:
    """Seen: nothing is wrong with it."""
    found = check(python)
    assert (found.status, found.wrong, found.told) == (0, set(), "")


def test_a_server_with_the_typescript_sdk_is_checked(typescript: str) -> None:
    """Seen: the script has no GET and no DELETE, and asks nobody where a page comes from."""
    found = check(typescript)
    assert (found.status, found.told) == (1, "")
    assert found.wrong == {
        "error get-stream-or-405",
        "warning origin-checked",
        "warning session-required",
        "warning session-ends",
    }
    assert {"answer-id", "notification-accepted", "session-characters"} <= set(found.report["heldRules"])


def test_the_events_of_another_server_are_watched(everything: str) -> None:
    """The design: what can be observed by a client; and through what collects them."""
    words = [
        "--stream",
        "--seconds",
        "1",
        "--call",
        'trigger-long-running-operation {"duration":1,"steps":4}',
    ]
    direct = check(everything, *words)
    assert (direct.status, direct.wrong) == (0, set())
    assert "stream-buffered" in direct.report["heldRules"]
    with relaying(int(everything.split(":")[2].split("/")[0]), collects=True) as port:
        behind = check(url_of(port), *words)
    assert "error stream-buffered" in behind.wrong


def test_a_relay_that_changes_three_things_has_all_of_them_named(daemon: Daemon) -> None:
    """The design: it drops Mcp-Session-Id in answers, adds X-Forwarded-For, doubles Accept."""
    faults: dict[str, Any] = {
        "drops": frozenset({"mcp-session-id"}),
        "adds": (("X-Forwarded-For", "192.0.2.9"),),
        "doubles": frozenset({"accept"}),
    }
    with relaying(daemon.port, **faults) as port:
        found = check("--hop", url_of(daemon.port), url_of(port))
    assert found.status == 1
    assert found.wrong == {
        "error hop-answer-header-dropped header:Mcp-Session-Id",
        "error hop-header-repeated header:Accept",
    }
    assert "info hop-header-added header:X-Forwarded-For" in found.named


def test_a_relay_that_changes_nothing_is_clean(daemon: Daemon, everything: str) -> None:
    """Our choice: with traces and without."""
    with relaying(daemon.port) as port:
        found = check("--hop", url_of(daemon.port), url_of(port))
        assert (found.status, found.wrong) == (0, set())
    with relaying(int(everything.split(":")[2].split("/")[0])) as port:
        found = check("--hop", everything, url_of(port))
        assert (found.status, found.wrong) == (0, set())


def test_a_relay_that_collects_events_or_cuts_silence_is_found_out(daemon: Daemon) -> None:
    """docs/gateways.md: such a gateway hangs clients."""
    words = ["--stream", "--seconds", "3", "--timeout", "3"]
    assert check(url_of(daemon.port), *words).wrong == set()
    with relaying(daemon.port, collects=True) as port:
        collected = check(url_of(port), *words)
    assert "error stream-buffered" in collected.wrong
    with relaying(daemon.port, cuts=1.0) as port:
        cut = check(url_of(port), *words)
    assert cut.wrong == {"warning stream-cut-idle"}


@pytest.mark.parametrize("kind", list(gateways.KINDS))
def test_a_gateway_with_the_documented_configuration_is_information_only(
    kind: str, program: Needs, tmp_path: Path
) -> None:
    """docs/gateways.md: what has to come through does."""
    with deployed(kind, program_of(kind, program), tmp_path, {}) as deployment:
        gateway = deployment.gateway
        through = f"https://{gateways.NAME}:{gateway.port}/mcp"
        token = f"Authorization: Bearer {gateways.TOKEN}"
        words = ["--header", token, "--cacert", str(gateway.certificate)]
        direct = url_of(deployment.daemon.port)
        hop = check("--hop", direct, through, *words, name=gateways.NAME)
        stream = check("--stream", through, "--seconds", "2", *words, name=gateways.NAME)
    assert (hop.status, hop.wrong, hop.told) == (0, set(), "")
    assert (stream.status, stream.wrong, stream.told) == (0, set(), "")
    assert gateways.TOKEN not in json.dumps([hop.report, stream.report])


@pytest.mark.parametrize("kind", list(gateways.SMALLEST))
def test_a_gateway_with_the_smallest_configuration_is_information_only(
    kind: str, program: Needs, start: Start, tmp_path: Path
) -> None:
    """docs/gateways.md: of haproxy and Envoy there is no other one."""
    daemon = start("--allowed-hosts", f"127.0.0.1,{gateways.NAME}")
    path = program_of(kind.split()[1], program)
    with gateways.running(kind, path, gateways.Places(tmp_path, daemon.port, 0)) as gateway:
        through = f"https://{gateways.NAME}:{gateway.port}"
        words = ["--cacert", str(gateway.certificate)]
        hop = check("--hop", url_of(daemon.port), f"{through}/mcp", *words, name=gateways.NAME)
        stream = check("--stream", f"{through}/mcp", "--seconds", "2", *words, name=gateways.NAME)
        place = f"{through}/t/{Trace(daemon, kind).key}/probe/stream"
        probe = check("--stream", f"{place}?silence=2", *words, name=gateways.NAME)
    assert (hop.status, hop.wrong, hop.told) == (0, set(), "")
    assert (stream.status, stream.wrong, stream.told) == (0, set(), "")
    assert (probe.status, probe.wrong, probe.told) == (0, set(), "")
    assert {"stream-buffered", "stream-cut-idle", "stream-compressed"} <= set(probe.report["heldRules"])


def test_events_that_say_when_they_were_written_show_what_a_relay_does(daemon: Daemon) -> None:
    """docs/gateways.md: for sure, and what the server sees of it is a finding of the trace."""
    trace = Trace(daemon, "relays")
    place = f"/t/{trace.key}/probe/stream"
    assert check("--stream", f"http://127.0.0.1:{daemon.port}{place}?silence=2").wrong == set()
    with relaying(daemon.port, collects=True) as port:
        collected = check("--stream", f"http://127.0.0.1:{port}{place}?events=5")
    assert collected.wrong == {"error stream-buffered"}
    assert {each.id for each in trace.report().findings} == set()
    with relaying(daemon.port, cuts=1.5) as port:
        cut = check("--stream", f"http://127.0.0.1:{port}{place}?silence=4")
    assert cut.wrong == {"warning stream-cut-idle"}
    (found,) = trace.report().findings
    assert found.id == "stream-cut-idle"
    assert "cuts after 1.5 s of silence" in found.summary
