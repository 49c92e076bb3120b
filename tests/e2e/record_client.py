"""Record what a client sends, for the clients that cannot run with the tests.

    python tests/e2e/record_client.py NAME [--seconds N] [--drills] -- COMMAND…

Starts a daemon with a trace, runs COMMAND with ``{url}`` replaced by the address of the trace, and writes the
records of the trace, masked, to tests/recordings/NAME-DATE.json. The command runs in an empty directory that
is its home as well, with no variable of the environment but PATH, so that nothing of whoever runs it is in
the recording; it is stopped after N seconds (60), which is no failure. What is found is printed: it belongs
into docs/clients.md. tests/recordings/README.md has the commands that were recorded.

With --drills the command runs once for each drill of `tests.e2e.drills`, which it is told of on its standard
input, and what the client did then is printed as well; the records go to tests/recordings/drills.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The directory of a script is where Python looks first.
sys.path[0] = str(ROOT)

from tests.e2e.daemon import MODULE, running, spawn  # noqa: E402
from tests.e2e.drills import ORDERS, DrillOrder  # noqa: E402
from tests.e2e.trace import Trace  # noqa: E402
from tests.ports import free_port  # noqa: E402
from tests.watch.recordings import DIRECTORY  # noqa: E402
from tests.watch.replay import DRILLS, drilled, flows, found, left, read, written  # noqa: E402

SECONDS = 60.0
"""How long a command may take unless the command line says otherwise."""


def record(name: str, command: Sequence[str], seconds: float, drill: DrillOrder | None = None) -> bytes:
    """Run a client, and return the evidence of it.

    Args:
        name: Of the client, for docs/clients.md.
        command: What to run; ``{url}`` in it is replaced.
        seconds: How long it may run.
        drill: What it meets; None for nothing.
    """
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory, "home")
        home.mkdir()
        port = free_port()
        with running([*MODULE, "--port", str(port)], Path(directory), port) as daemon:
            trace = Trace(daemon, name, **({} if drill is None else {"faults": [drill.order]}))
            script = "" if drill is None else drill.script
            _run([part.replace("{url}", trace.url) for part in command], home, seconds, script)
            return trace.evidence()


def _run(command: Sequence[str], home: Path, seconds: float, script: str) -> None:
    """Run a command in a session of its own, and end what it has started."""
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "DO_NOT_TRACK": "1"}
    told = home.parent / "script.json"
    told.write_text(script)
    with told.open() as given:
        process = spawn(command, cwd=home, env=env, stdin=given, start_new_session=True)
    try:
        print(f"the client ended with {process.wait(seconds)}")
    except subprocess.TimeoutExpired:
        print(f"the client is stopped after {seconds:g} s")
    finally:
        # What the command has started may still be there when it is not.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _keep(evidence: bytes, file: Path) -> bool:
    """Write a recording, and print what is found in it; return whether there is anything."""
    records = read(evidence).records
    if not records:
        return False
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(written(evidence))
    print(file)
    for finding in found(left(records)).values():
        print(f"{finding.level}: {finding.id}: {finding.summary} ({finding.count})")
    for flow in flows(records):
        print(f"{flow.kind}: {flow.state}: {flow.verdict}")
    return True


def _drill(name: str, command: Sequence[str], seconds: float, date: str) -> None:
    """Put a client through each drill."""
    for fault, drill in ORDERS.items():
        evidence = record(name, command, seconds, drill)
        if not any(each.fault for each in read(evidence).exchanges):
            print(f"{fault} has hit nothing")
        elif _keep(evidence, DRILLS / f"{name}-{fault}-{date}.json"):
            print(f"{fault}: {drilled(read(evidence).records)}")


def main() -> None:
    """Record the client that the command line names."""
    parser = argparse.ArgumentParser(description="Record what a client sends.")
    parser.add_argument("name")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--drills", action="store_true", help="once for each drill")
    parser.add_argument("command", nargs="+")
    wanted = parser.parse_args()
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    if wanted.drills:
        _drill(wanted.name, wanted.command, wanted.seconds, date)
    elif not _keep(
        record(wanted.name, wanted.command, wanted.seconds), DIRECTORY / f"{wanted.name}-{date}.json"
    ):
        sys.exit("nothing has come to the trace")


if __name__ == "__main__":
    main()
