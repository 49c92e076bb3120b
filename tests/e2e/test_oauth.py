"""Real clients let themselves into a trace: unattended, with the redirect read from the browser's answer."""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e import conversation, environments
from tests.e2e.conftest import Needs, Start
from tests.e2e.daemon import Daemon, environment
from tests.e2e.trace import Trace
from tests.ports import free_port

pytestmark = pytest.mark.slow

STEPPING = "healthProbe"
"""A tool that needs more than the first token is good for."""

WISHES = {"challenge": "oauth", "scopes": ["mcp:read"], "toolScopes": {STEPPING: ["mcp:admin"]}}


class Client(NamedTuple):
    """A client, and how it is started."""

    needs: Sequence[str]
    command: Sequence[str]
    """With ``{url}`` for the address."""


def _python(name: str, program: str, *more: str) -> Client:
    return Client([name], [environments.python(name), str(conversation.CLIENTS / program), "{url}", *more])


def _node(program: str, *more: str) -> Client:
    return Client([environments.NODE], ["node", str(conversation.CLIENTS / program), "{url}", *more])


def _mcp_remote() -> Client:
    through = str(conversation.CLIENTS / "through_stdio.py")
    command = [environments.python(environments.SDK_1), through, "mcp-remote", "{url}"]
    return Client([environments.SDK_1, environments.NODE], command)


PYTHON_1 = _python(environments.SDK_1, "oauth_python_1.py")
PYTHON_2 = _python(environments.SDK_2, "oauth_python_2.py", "auto")
TYPESCRIPT_1 = _node("oauth_typescript_1.mjs")
TYPESCRIPT_2 = _node("oauth_typescript_2.mjs", "auto")
CLIENTS = {
    "python-1": PYTHON_1,
    "python-2": PYTHON_2,
    "python-2-legacy": _python(environments.SDK_2, "oauth_python_2.py", "legacy"),
    "typescript-1": TYPESCRIPT_1,
    "typescript-2": TYPESCRIPT_2,
    "fastmcp": _python(environments.FASTMCP, "oauth_fastmcp.py", "auto"),
    "mcp-remote": _mcp_remote(),
}


def _run(client: Client, url: str, home: Path, *tools: str) -> subprocess.CompletedProcess[bytes]:
    """Run a client, whose browser opens what it is given and follows it."""
    browser = home / "xdg-open"
    browser.write_text('#!/bin/sh\nexec curl -sL -o /dev/null "$1"\n')
    browser.chmod(0o755)
    project = environments.cache() / environments.NODE
    path = f"{home}{os.pathsep}{project / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [*(part.replace("{url}", url) for part in client.command), *tools],
        cwd=project if environments.NODE in client.needs else home,
        env=environment({"PATH": path, "HOME": str(home), "BROWSER": str(browser)}),
        capture_output=True,
        timeout=90,
        check=False,
    )


def _legs(trace: Trace) -> list[tuple[str, str, int]]:
    """Return what came: method, the end of the path, status."""
    return [
        (each["httpMethod"], each["path"].rpartition("/")[2], each["status"]) for each in trace.exchanges()
    ]


@pytest.mark.parametrize("name", CLIENTS)
def test_a_real_client_lets_itself_in(
    daemon: Daemon, client_environment: Needs, name: str, tmp_path: Path
) -> None:
    """2025-11-25 and 2026-07-28 basic/authorization: a flow is whole, and in one trace."""
    client = CLIENTS[name]
    for each in client.needs:
        client_environment(each)
    trace = Trace(daemon, name, **WISHES)
    done = _run(client, trace.url, tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    legs = _legs(trace)
    assert legs[0][2] == 401
    for leg in (("POST", "register", 201), ("GET", "authorize", 302), ("POST", "token", 200)):
        assert legs.count(leg) == 1, legs
    given = legs.index(("POST", "token", 200))
    assert {status for *_, status in legs[given:]} <= {200, 202, 204}, legs
    assert {status for method, end, status in legs if end not in ("mcp",)} <= {200, 201, 302}, legs
    assert ("POST", "mcp", 200) in legs[given:]
    report = trace.report()
    assert [flow.state for flow in report.flows if flow.kind == "oauth"] == ["complete"]
    assert [each.summary for each in report.findings if each.level == "error"] == []


STEPS: dict[str, tuple[Client, list[tuple[str, int]]]] = {
    "python-1": (PYTHON_1, [("authorize", 302), ("token", 200), ("mcp", 200)]),
    "python-2": (PYTHON_2, [("authorize", 302), ("token", 200), ("mcp", 200)]),
    "typescript-1": (TYPESCRIPT_1, [("token", 200), ("mcp", 403)]),
    "typescript-2": (TYPESCRIPT_2, [("authorize", 302), ("token", 200), ("mcp", 200)]),
}
"""Client → what it does when a tool needs more, but for metadata that it reads again."""

FOUND = {"python-1": {"step-up-drops-scope"}, "typescript-1": {"step-up-refreshed"}}
"""Client → what is found of how it steps up."""


@pytest.mark.parametrize("name", STEPS)
def test_a_real_client_is_seen_as_it_steps_up(
    daemon: Daemon, client_environment: Needs, name: str, tmp_path: Path
) -> None:
    """2025-11-25 basic/authorization, Scope Challenge Handling: what each does is what the drill shows."""
    client, steps = STEPS[name]
    for each in client.needs:
        client_environment(each)
    trace = Trace(daemon, f"{name} steps up", **WISHES)
    _run(client, trace.url, tmp_path, STEPPING)
    seen = trace.exchanges()
    refused = next(at for at, each in enumerate(seen) if each["status"] == 403)
    later = [each for each in seen[refused + 1 :] if not each["path"].startswith("/.well-known/")]
    after = [(each["path"].rpartition("/")[2], each["status"]) for each in later]
    assert after[: len(steps)] == steps
    found = {each.id for each in trace.report().findings if each.id.startswith("step-up")}
    assert found == FOUND.get(name, set())
    if steps[0][0] == "authorize":
        query = next(each["query"] for each in seen[refused:] if each["path"].endswith("/authorize"))
        asked = dict(query)["scope"].split()
        assert "mcp:admin" in asked
        assert ("mcp:read" in asked) is (name != "python-1")


MOVING = [
    {"fault": "metadata", "options": {"as": "other-issuer"}, "after": 1, "times": 5},
    {"fault": "token", "options": {"as": "rejected-401"}, "after": 3},
]
"""Orders that send a client to another authorization server once it is let in."""


def test_a_real_client_registers_with_another_issuer(
    daemon: Daemon, client_environment: Needs, tmp_path: Path
) -> None:
    """2026-07-28 basic/authorization/client-registration, Authorization Server Binding."""
    client_environment(environments.SDK_2)
    trace = Trace(daemon, "moved", **WISHES, faults=MOVING)
    done = _run(PYTHON_2, trace.url, tmp_path, "whoIStheGOAT")
    assert done.returncode == 0, done.stderr.decode()
    there = [each["path"] for each in trace.exchanges() if "/other-issuer/" in each["path"]]
    assert [each.rpartition("/")[2] for each in there] == ["register", "authorize", "token"]
    report = trace.report()
    assert "credentials-carried-over" in report.held_rules
    assert [each.summary for each in report.findings if each.level in ("error", "warning")] == []
    assert [flow.state for flow in report.flows] == ["complete", "complete"]


@contextmanager
def _issuer(home: Path) -> Iterator[str]:
    """Run the official SDK's authorization server; yield its name."""
    port = free_port()
    script = str(conversation.CLIENTS / "oauth_issuer.py")
    with (home / "issuer.log").open("wb") as log:
        process = subprocess.Popen(
            [environments.python(environments.SDK_1), script, str(port)], stdout=log, stderr=log
        )
    try:
        for _ in range(300):
            if _answers(port):
                break
            assert process.poll() is None, (home / "issuer.log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/jwks")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.mark.parametrize("named", ["{issuer}", "{issuer}={issuer}jwks"], ids=["metadata", "address"])
def test_a_server_of_somebody_else_issues_the_tokens(
    start: Start, client_environment: Needs, tmp_path: Path, named: str
) -> None:
    """Our choice: the official SDK's authorization server in a process of its own, and its client."""
    client_environment(environments.SDK_1)
    with _issuer(tmp_path) as issuer:
        daemon = start(env={"MCP_ECHO_ISSUERS": named.replace("{issuer}", issuer)})
        trace = Trace(daemon, "outside", challenge="token", scopes=["mcp"])
        done = _run(PYTHON_1, trace.url, tmp_path)
        assert done.returncode == 0, done.stderr.decode()
        legs: list[Any] = _legs(trace)
        assert legs[:2] == [("POST", "mcp", 401), ("GET", "mcp", 200)]
        assert {status for *_, status in legs[2:]} <= {200, 202, 204}
        assert len(legs) > 4
        tokens = [each["token"] for each in trace.exchanges() if "token" in each]
        assert [each["taken"] for each in tokens] == [True] * len(tokens)
        assert {each["name"]: each["held"] for each in tokens[0]["checks"]}.items() >= {
            "issuer": True,
            "signature": True,
            "audience": True,
            "scope": True,
        }.items()
        report = trace.report()
        assert [flow.state for flow in report.flows if flow.kind == "oauth"] == ["complete"]
        assert [each.summary for each in report.findings if each.level == "error"] == []
