"""Measures mcp-echo beside other MCP servers, and writes RESULTS.md: ``python benchmarks/run.py``."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from measure import (
    Cores,
    MeasureError,
    Round,
    SessionCost,
    cores_to_use,
    measure_alone,
    measure_load,
    measure_sessions,
    median,
    missing_program,
)
from peers import OURS, PEERS, Environment, Peer, PrepareError, Unavailable, with_stores
from report import Conditions, Result, write

HERE = Path(__file__).resolve().parent
CACHE = "MCP_ECHO_BENCH_CACHE"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure mcp-echo and other MCP servers in turn, and write RESULTS.md and charts.",
        epilog=f"Environments are kept in ${CACHE} (default: ~/.cache/mcp-echo-bench).",
    )
    parser.add_argument("--quick", action="store_true", help="1 round of 3 s, memory over 1,000 sessions")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="rounds (default: 5)")
    parser.add_argument("--seconds", type=_positive, metavar="S", help="length of a round (default: 10)")
    parser.add_argument(
        "--only", action="append", metavar="NAME", choices=[each.name for each in PEERS],
        help=f"measure this one alone; may be repeated ({', '.join(each.name for each in PEERS)})",
    )  # fmt: skip
    parser.add_argument("--project", type=Path, default=HERE.parent, metavar="DIR", help="mcp-echo's folder")
    parser.add_argument(
        "--out", type=Path, default=HERE / "RESULTS.md", metavar="FILE", help="the results' file"
    )
    given = parser.parse_args(arguments)
    given.rounds = given.rounds or (1 if given.quick else 5)
    given.seconds = given.seconds or (3 if given.quick else 10)
    given.sessions = 1_000 if given.quick else 10_000
    given.warm_up_seconds = 1 if given.quick else 3
    given.project = given.project.resolve()
    return given


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Run:
    """One run: what is still measured, what was found, and what failed.

    Args:
        given: The command line.
        cores: The cores to use.
    """

    def __init__(self, given: argparse.Namespace, cores: Cores) -> None:
        self._given = given
        self._cores = cores
        self._ready: dict[Peer, Environment] = {}
        self._rounds: dict[Peer, list[Round]] = {}
        self._sessions: dict[Peer, SessionCost] = {}
        self.alone = ""
        """A table of what was measured of mcp-echo by itself."""
        self.not_measured: dict[str, str] = {}
        self.has_failed = False

    def prepare(self, peers: Sequence[Peer], cache: Path) -> None:
        """Make the environments that are not there yet."""
        for peer in peers:
            _say(f"{peer.name}: environment")
            try:
                self._ready[peer] = peer.prepare(cache, self._given.project)
            except Unavailable as reason:
                _say(f"{peer.name}: not measured: {reason}")
                self.not_measured[peer.title] = f"not measured here: {reason}"
            except PrepareError as error:
                self._drop(peer, error)

    def measure(self) -> None:
        """Measure: every server once, then every server again, for as many rounds as told; then sessions."""
        for number in range(1, self._given.rounds + 1):
            for peer, environment in list(self._ready.items()):
                try:
                    figures = measure_load(
                        peer, environment, self._cores, self._given.seconds, self._given.warm_up_seconds
                    )
                except MeasureError as error:
                    self._drop(peer, error)
                    continue
                self._rounds.setdefault(peer, []).append(figures)
                _say(f"{peer.name}: round {number}: {figures.requests_per_second:,.0f} requests/s")
        for peer, environment in list(self._ready.items()):
            if peer.has_sessions:
                try:
                    found = measure_sessions(environment, self._cores, self._given.sessions)
                except MeasureError as error:
                    self._drop(peer, error)
                    continue
                self._sessions[peer] = found
                _say(f"{peer.name}: {found.resident_bytes / 1024:.1f} KiB per session")

    def measure_alone(self, cache: Path) -> None:
        """Measure what only mcp-echo has: both eras, stores, streams, and clients that never read."""
        if self._given.quick or all(peer.name != OURS for peer in self._ready):
            return
        _say(f"{OURS}: by itself")
        try:
            python = with_stores(cache, self._given.project)
            self.alone = measure_alone(python, self._cores, self._given.rounds)
        except (MeasureError, PrepareError) as error:
            _say(f"{OURS}: {error}")
            self.not_measured[f"{OURS} by itself"] = f"failed: {error}"
            self.has_failed = True

    def results(self) -> list[Result]:
        """Return what was found of the servers that did not fail."""
        return [
            Result(peer.title, environment.versions, median(self._rounds[peer]), self._sessions.get(peer))
            for peer, environment in self._ready.items()
        ]

    def _drop(self, peer: Peer, error: Exception) -> None:
        """Leave a server out, for the figures of one that fails are none."""
        for text in (str(error), *getattr(error, "__notes__", ())):
            _say(f"{peer.name}: {text}")
        self._ready.pop(peer, None)
        self.not_measured[peer.title] = f"failed: {error}"
        self.has_failed = True


class _Interrupted(BaseException):
    """A signal asked to stop; it leaves through the ``with`` blocks, which stop what was started.

    Args:
        number: The signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _interrupt(number: int, _frame: object) -> NoReturn:
    raise _Interrupted(number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 if a server failed, or 2 if this machine cannot measure."""
    given = _arguments(arguments)
    missing, cores = missing_program(), cores_to_use()
    if missing is not None or cores is None:
        _say(missing or "two cores are needed: one for the server, one for the load generator")
        return 2
    cache = Path(os.environ.get(CACHE) or Path.home() / ".cache" / "mcp-echo-bench").resolve()
    try:
        for folder in (cache, given.out.parent):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):  # rather now than after ten minutes
                pass
        if given.out.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(given.out))
    except OSError as error:
        _say(f"cannot write: {error}")
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    load_average = os.getloadavg()[0]
    os.sched_setaffinity(0, {cores.load})  # sessions are made from here: not on the server's core
    chosen = [each for each in PEERS if given.only is None or each.name in given.only]
    run = Run(given, cores)
    try:
        run.prepare(chosen, cache)
        run.measure()
        run.measure_alone(cache)
    except _Interrupted as interrupted:
        _say("interrupted; nothing was written")
        return 128 + interrupted.number
    results = run.results()
    if not results:
        _say("nothing was measured; nothing was written")
        return 1
    conditions = Conditions(given.rounds, given.seconds, given.sessions, cores, load_average)
    for file in write(given.out, results, run.alone, run.not_measured, conditions):
        _say(f"wrote {file}")
    return 1 if run.has_failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
