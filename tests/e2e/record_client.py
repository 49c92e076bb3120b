"""Record what a client sends, for the clients that cannot run with the tests.

    python tests/e2e/record_client.py NAME [--seconds N] -- COMMAND…

Starts a daemon with a trace, runs COMMAND with ``{url}`` replaced by the address of the trace, and writes the
records of the trace, masked, to tests/recordings/NAME-DATE.json. The command runs in an empty directory that
is its home as well, with no variable of the environment but PATH, so that nothing of whoever runs it is in
the recording; it is stopped after N seconds (60), which is no failure. What is found is printed: it belongs
into docs/clients.md. tests/recordings/README.md has the commands that were recorded.
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
from tests.e2e.trace import Trace  # noqa: E402
from tests.ports import free_port  # noqa: E402
from tests.watch.recordings import DIRECTORY  # noqa: E402
from tests.watch.replay import flows, found, left, read, written  # noqa: E402

SECONDS = 60.0
"""How long a command may take unless the command line says otherwise."""


def record(name: str, command: Sequence[str], seconds: float) -> Path:
    """Record a client, and return the file.

    Args:
        name: Of the client, for docs/clients.md.
        command: What to run; ``{url}`` in it is replaced.
        seconds: How long it may run.
    """
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory, "home")
        home.mkdir()
        port = free_port()
        with running([*MODULE, "--port", str(port)], Path(directory), port) as daemon:
            trace = Trace(daemon, name)
            _run([part.replace("{url}", trace.url) for part in command], home, seconds)
            evidence = trace.evidence()
    file = DIRECTORY / f"{name}-{datetime.now(UTC):%Y-%m-%d}.json"
    file.write_bytes(written(evidence))
    return file


def _run(command: Sequence[str], home: Path, seconds: float) -> None:
    """Run a command in a session of its own, and end what it has started."""
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "DO_NOT_TRACK": "1"}
    process = spawn(command, cwd=home, env=env, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        print(f"the client ended with {process.wait(seconds)}")
    except subprocess.TimeoutExpired:
        print(f"the client is stopped after {seconds:g} s")
    finally:
        # What the command has started may still be there when it is not.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> None:
    """Record the client that the command line names."""
    parser = argparse.ArgumentParser(description="Record what a client sends.")
    parser.add_argument("name")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("command", nargs="+")
    wanted = parser.parse_args()
    file = record(wanted.name, wanted.command, wanted.seconds)
    records = read(file.read_bytes()).records
    if not records:
        file.unlink()
        sys.exit("nothing has come to the trace")
    print(file)
    for finding in found(left(records)).values():
        print(f"{finding.level}: {finding.id}: {finding.summary} ({finding.count})")
    for flow in flows(records):
        print(f"{flow.kind}: {flow.state}: {flow.verdict}")


if __name__ == "__main__":
    main()
