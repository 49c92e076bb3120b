"""What time it is for the sessions in a file, whatever the machine's clock says."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor

from mcp_echo.cluster.engine import Applied, Create, Ended, Found, Missing, Peek, RecordLimits
from mcp_echo.stores.sqlite.clock import FileClock, since_boot
from mcp_echo.stores.sqlite.engine import SqliteEngine
from mcp_echo.stores.sqlite.schema import Address, connect, prepare
from tests.contracts.test_engine import Ears, swept

DAY = 86_400
START = 1_700_000_000.0
"""What the machine's clock says at first."""


class Machine:
    """A machine whose clock may be set, and which may be started anew."""

    def __init__(self) -> None:
        self.uptime = 1000.0
        self.wall = START
        self.boot = "first"

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.uptime += seconds
        self.wall += seconds

    def restart(self, after: float) -> None:
        """Be off for a while."""
        self.wall += after
        self.uptime = 0.0
        self.boot += "'"

    def clock(self) -> FileClock:
        return FileClock(lambda: self.uptime, lambda: self.wall, self.boot)

    @contextmanager
    def engine(self, path: Path, node: str = "a") -> Iterator[SqliteEngine]:
        """Return an engine that is open."""
        engine = SqliteEngine(reactor, f"sqlite:{path}", RecordLimits(10), node, self.clock())
        engine.open()
        engine.start(Ears())
        yield engine


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.mark.parametrize("days", [2, -2, 40_000, -10_000])
@pytest.mark.parametrize("restarted", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_step_of_the_machine_s_clock_ends_no_session_and_leaves_no_age_below_zero(
    machine: Machine, path: Path, days: int, restarted: bool
) -> None:
    """docs/scaling.md: it does not matter what day it is, while the server runs nor between two runs."""
    with machine.engine(path) as engine:
        made = await engine.submit(Create("one", None, False, 60_000, b""))
        assert isinstance(made, Applied)
        machine.advance(30)
        machine.wall += days * DAY
        if restarted:
            await engine.stop()
        else:
            await is_thirty_seconds_old(engine)
    with machine.engine(path, "b") as other:
        await is_thirty_seconds_old(other)
        machine.advance(30)
        assert await other.submit(Peek("one")) == Missing()
        assert await swept(other) == [Ended("one", 60_000)]
        await other.stop()
    await engine.stop()


async def is_thirty_seconds_old(engine: SqliteEngine) -> None:
    found = await engine.submit(Peek("one"))
    assert isinstance(found, Found)
    assert engine.now() - found.record.created == 30_000


@pytest_twisted.ensureDeferred
async def test_processes_that_share_a_file_have_the_same_time(machine: Machine, path: Path) -> None:
    """Interface, Engine: leases and ages are told from the times of others."""
    engines = []
    for step, node in enumerate("abcd"):
        machine.wall += (-1) ** step * step * DAY
        machine.advance(step)
        with machine.engine(path, node) as engine:
            engines.append(engine)
    assert len({engine.now() for engine in engines}) == 1
    for engine in engines:
        await engine.stop()


@pytest.mark.parametrize(
    ("off", "step", "passed"), [(5.0, 0, 5.0), (5.0, 2 * DAY, 5.0 + 2 * DAY), (5.0, -2 * DAY, 0.0)]
)
@pytest_twisted.ensureDeferred
async def test_after_a_restart_of_the_machine_as_much_has_passed_as_its_clock_says(
    machine: Machine, path: Path, off: float, step: float, passed: float
) -> None:
    """docs/scaling.md: nothing else tells it. It is never less than nothing."""
    with machine.engine(path) as engine:
        machine.advance(3)
        await engine.stop()
    before = engine.now()
    machine.restart(off + step)
    with machine.engine(path) as engine:
        assert engine.now() - before == passed * 1000
        await engine.stop()


@pytest_twisted.ensureDeferred
async def test_a_sweep_notes_the_time_for_a_restart_that_nobody_expects(machine: Machine, path: Path) -> None:
    """docs/scaling.md: a step counts for as long as no sweep has come after it."""
    with machine.engine(path) as engine:
        machine.wall += 30 * DAY
        await swept(engine)
        await engine._queue.finish()
        before = engine.now()
        machine.restart(7)
        with machine.engine(path, "after") as after:
            assert after.now() - before == 7000
            await after.stop()
        await engine.stop()


@pytest.mark.parametrize("ahead", [-DAY, DAY])
def test_a_file_of_an_earlier_version_goes_on_where_it_was(machine: Machine, path: Path, ahead: int) -> None:
    """Until now it went by the machine's clock: no session is made later than now."""
    prepare(Address(path))
    used = round((START + ahead) * 1000)
    with closing(connect(Address(path))) as connection:
        row = ("old", None, 0, 1, used, 60_000, used, used + 60_000, 0, 0, 0, b"", None, 0)
        marks = ",".join("?" * len(row))
        connection.execute(f"INSERT INTO record VALUES (NULL, {marks})", row)
        clock = machine.clock()
        clock.follow(connection)
        assert clock.now() == max(used, START * 1000)


@pytest.mark.parametrize("kept", [b"", b"[]", b"[1,2,3,4]", b"\xff", "text", None, 7])
def test_a_note_that_somebody_has_spoilt_is_made_anew(machine: Machine, path: Path, kept: object) -> None:
    """Our choice: no time is better than none."""
    prepare(Address(path))
    with closing(connect(Address(path))) as connection:
        connection.execute("UPDATE meta SET value = x''")
        if kept is not None:
            connection.execute("INSERT INTO meta VALUES ('clock', ?)", (kept,))
        clock = machine.clock()
        clock.follow(connection)
        assert clock.now() == START * 1000
        machine.wall += DAY
        other = machine.clock()
        other.follow(connection)
        assert other.now() == clock.now()


steps = st.lists(
    st.tuples(
        st.sampled_from(["advance", "step", "reopen", "restart"]),
        st.floats(0, 100 * DAY).map(lambda seconds: round(seconds, 3)),
    ),
    max_size=20,
)


@given(steps)
def test_time_never_goes_back_and_a_step_is_no_time(moves: list[tuple[str, float]]) -> None:
    """Interface, Engine: whatever happens, in whichever order."""
    machine = Machine()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL)")
        connection.execute("CREATE TABLE record (used INTEGER)")
        clock = machine.clock()
        clock.follow(connection)
        expected = clock.now()
        for move, seconds in moves:
            if move == "advance":
                machine.advance(seconds)
                expected += round(seconds * 1000)
            elif move == "step":
                machine.wall += seconds if seconds < 50 * DAY else -seconds
            else:
                # As the end of a run does.
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('clock', ?)", (clock.note(),))
                if move == "restart":
                    machine.restart(seconds)
                    expected += round(seconds * 1000)
                clock = machine.clock()
                clock.follow(connection)
            assert abs(clock.now() - expected) <= len(moves)


def test_the_time_since_the_start_of_the_machine_is_the_kernel_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """proc_uptime(5): it begins where the kernel says, and goes on from there."""
    assert since_boot()() == pytest.approx(float(Path("/proc/uptime").read_text().split()[0]), abs=1)
    real = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda clock: real(clock) + 2 * DAY)
    assert since_boot()() == pytest.approx(float(Path("/proc/uptime").read_text().split()[0]), abs=1)


def test_where_the_kernel_tells_nothing_a_process_has_a_steady_clock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Our choice: other systems than Linux."""
    monkeypatch.setattr("mcp_echo.stores.sqlite.clock._UPTIME", tmp_path / "none")
    assert since_boot() is time.monotonic
