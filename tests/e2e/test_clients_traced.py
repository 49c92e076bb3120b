"""Real clients, each with a trace of its own: what is found of them is what docs/clients.md says."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e import conversation, environments
from tests.e2e.conftest import Needs
from tests.e2e.daemon import Daemon, environment
from tests.e2e.trace import Trace
from tests.watch.clients import LIVE, TRUE_FAULTS, rows
from tests.watch.replay import flows, found, left, read

pytestmark = pytest.mark.slow


class Client(NamedTuple):
    """A client, and how it is started."""

    needs: Sequence[str]
    """The environments that it runs in."""
    command: Sequence[str]
    """With ``{url}`` for the address; programs by their names, and clients of ours by theirs."""
    revision: str | None = None
    """Of the conversation that it holds; None where it holds one of its own."""


def _python(name: str, program: str, *more: str, revision: str | None = None) -> Client:
    return Client([name], [environments.python(name), str(conversation.CLIENTS / program), *more], revision)


def _node(program: str, *more: str, revision: str | None = None) -> Client:
    return Client([environments.NODE], ["node", str(conversation.CLIENTS / program), *more], revision)


def _inspector(*options: str) -> Client:
    called = ["--method", "tools/call", "--tool-name", "echo", "--tool-arg", "message=Hello"]
    return Client([environments.NODE], [*options, *called])


def _fastmcp(mode: str) -> Client:
    return _python(environments.FASTMCP, "fastmcp_client.py", "{url}", mode)


def _mcp_remote() -> Client:
    client = _python(environments.SDK_1, "through_stdio.py", "mcp-remote", "{url}")
    return client._replace(needs=[*client.needs, environments.NODE])


OLD, NEW = conversation.LEGACY, conversation.MODERN

CLIENTS = {
    "python-1": _python(environments.SDK_1, "python_sdk_1.py", "{url}", revision=OLD),
    "python-2-legacy": _python(environments.SDK_2, "python_sdk_2.py", "{url}", "legacy", revision=OLD),
    "python-2": _python(environments.SDK_2, "python_sdk_2.py", "{url}", "auto", revision=NEW),
    "fastmcp-legacy": _fastmcp("legacy"),
    "fastmcp": _fastmcp("auto"),
    "typescript-1": _node("typescript_sdk_1.mjs", "{url}", revision=OLD),
    "typescript-2-legacy": _node("typescript_sdk_2.mjs", "{url}", "legacy", revision=OLD),
    "typescript-2": _node("typescript_sdk_2.mjs", "{url}", "auto", revision=NEW),
    "inspector-0": _inspector("mcp-inspector-cli", "--cli", "{url}", "--transport", "http"),
    "inspector-2-legacy": _inspector("mcp-inspector", "--cli", "{url}", "--protocol-era", "legacy"),
    "inspector-2": _inspector("mcp-inspector", "--cli", "{url}", "--protocol-era", "modern"),
    "mcp-remote": _mcp_remote(),
}

each_client = pytest.mark.parametrize("name", CLIENTS)


def test_the_page_has_a_row_for_each_client() -> None:
    """docs/clients.md."""
    assert {row.name for row in rows().values() if row.seen == LIVE} == set(CLIENTS)


@each_client
def test_no_rule_accuses_a_real_client(
    daemon: Daemon, client_environment: Needs, name: str, tmp_path: Path
) -> None:
    """Our choice: an error that the client does not make is ours; the rest is in docs/clients.md."""
    client, row = CLIENTS[name], rows()[name]
    for each in client.needs:
        client_environment(each)
    trace = Trace(daemon, name)
    _run(client, trace.url, tmp_path)
    report = trace.report()
    recording = read(trace.evidence())
    assert len(recording.exchanges) == report.exchanges, "the evidence has no room for all of it"
    findings = found(left(recording.records))
    told = {each.id: each.summary for each in [*report.findings, *findings.values()]}
    assert tuple(sorted(told)) == row.findings, told
    assert {each.id for each in findings.values() if each.level == "error"} <= set(TRUE_FAULTS.get(name, ()))
    assert {(flow.kind, flow.state) for flow in report.flows} == {(row.era, "complete")}
    assert {(flow.kind, flow.state) for flow in flows(recording.records)} == {(row.era, "complete")}
    assert report.client is not None


def _run(client: Client, url: str, home: Path) -> None:
    """Run a client, which keeps to a home directory of its own."""
    project = environments.cache() / environments.NODE
    path = f"{project / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
    script = "" if client.revision is None else json.dumps(conversation.SCRIPTS[client.revision])
    done = subprocess.run(
        [part.replace("{url}", url) for part in client.command],
        cwd=project if environments.NODE in client.needs else home,
        env=environment({"PATH": path, "HOME": str(home)}),
        input=script.encode(),
        capture_output=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
