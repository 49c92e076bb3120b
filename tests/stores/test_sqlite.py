"""What is SQLite's own: the file, its safety, its failures. What all engines share is in tests/contracts."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults

from mcp_echo.cluster.engine import (
    Applied,
    Broadcast,
    Change,
    Close,
    Conflict,
    Create,
    EngineRefused,
    Entry,
    Found,
    Full,
    Load,
    Missing,
    Peek,
    RecordLimits,
    Secret,
    SessionBytes,
    Sweep,
    Totals,
)
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.stores import batching
from mcp_echo.stores.sqlite import engine as engine_module
from mcp_echo.stores.sqlite import news as sqlite_news
from mcp_echo.stores.sqlite import schema as sqlite_schema
from mcp_echo.stores.sqlite.clock import FileClock
from mcp_echo.stores.sqlite.engine import SqliteEngine
from mcp_echo.stores.sqlite.news import LastLook
from mcp_echo.stores.sqlite.records import Records
from mcp_echo.stores.sqlite.schema import Address, connect, prepare
from mcp_echo.stores.sqlite.tasks import TaskResults, Trial
from tests.contracts.test_engine import Ears, begin, swept, until
from tests.logged import Events, no_logged_failures
from tests.stores.sqlite_support import LONG, begun, change, create, make

ROOT = Path(__file__).parents[2]

Start = Callable[..., Any]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def process(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.stores.sqlite_process", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest_twisted.async_yield_fixture
async def start(path: Path) -> AsyncIterator[Start]:
    """Start an engine on the file: ``engine, ears = await start("a")``."""
    started: list[SqliteEngine] = []

    async def start(node: str = "a", **more: Any) -> tuple[SqliteEngine, Ears]:
        return await begun(path, started, node, **more)

    yield start
    for engine in started:
        await engine.stop()


@pytest.fixture(autouse=True)
def nothing_goes_wrong_unseen() -> Iterator[None]:
    """Failures that Twisted logs of itself fail the test."""
    with no_logged_failures(but_of="mcp_echo"):
        yield


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever waits for better times waits less."""
    monkeypatch.setattr(engine_module, "PAUSE", 0.05)
    monkeypatch.setitem(sqlite_schema.CONNECTING, "timeout", 0.05)


# The setting


def test_an_address_names_a_file_and_how_safe_a_write_is(tmp_path: Path) -> None:
    """docs of MCP_ECHO_STORE: sqlite:PATH, with synchronous=full against the loss of power."""
    odd = tmp_path / "a #%3f name"
    assert Address.read(f"sqlite:{odd}") == Address(odd, "normal")
    assert Address.read(f"sqlite:{odd}?synchronous=full") == Address(odd, "full")
    assert Address.read("sqlite::memory:").path == Path.cwd() / ":memory:"


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:",
        "sqlite:?synchronous=full",
        "sqlite:x?sync=full",
        "sqlite:x?synchronous=off",
        "sqlite:x?mode",
    ],
)
def test_an_address_that_means_nothing_is_refused(address: str) -> None:
    """Design decision 8: refuse early, refuse clearly."""
    with pytest.raises(EngineRefused, match=r"\AThe store sqlite:.*\Z"):
        Address.read(address)


@pytest.mark.parametrize(
    ("options", "level"), [("", 1), ("?synchronous=normal", 1), ("?synchronous=full", 2)]
)
def test_the_connection_is_as_safe_as_was_asked_for(path: Path, options: str, level: int) -> None:
    """https://sqlite.org/pragma.html#pragma_synchronous: 1 is NORMAL, 2 is FULL."""
    address = Address.read(f"sqlite:{path}{options}")
    prepare(address)
    with closing(connect(address)) as connection:
        sqlite_schema.set_up(connection, address)
        assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# The file


@pytest.mark.parametrize("name", ["records.db", "a #%3f?name".partition("?")[0], "täst.db"])
@pytest_twisted.ensureDeferred
async def test_nobody_else_may_read_the_files_whatever_the_umask(tmp_path: Path, name: str) -> None:
    """Our choice: what clients sent may be secret."""
    before = os.umask(0)
    try:
        engine = make(tmp_path / name)
        engine.open()
        engine.start(Ears())
        await engine.submit(create("one"))
        modes = {file.name: mode(file) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
        await engine.stop()
    assert modes == {name: 0o600, f"{name}-wal": 0o600, f"{name}-shm": 0o600}


def test_files_that_others_may_read_are_closed_to_them(path: Path) -> None:
    """Our choice, as above, for files that were copied."""
    make(path).open()
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE total SET records = records")
        other.commit()
        files = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
        for file in files:
            file.chmod(0o664)
        make(path).open()
        assert [mode(file) for file in files] == [0o600] * 3


def test_an_empty_file_is_made_a_database(path: Path) -> None:
    """Our choice: whoever makes the file first, to give it away, is not sent back."""
    path.touch(0o666)
    make(path).open()
    make(path).open()
    assert mode(path) == 0o600


@pytest.mark.parametrize("empty", [False, True])
def test_many_may_open_a_new_file_at_the_same_time(tmp_path: Path, empty: bool) -> None:
    """MCP_ECHO_WORKERS: all workers start together."""
    for attempt in range(10):
        path = tmp_path / f"{attempt}.db"
        if empty:
            path.touch()
        with ThreadPoolExecutor(8) as threads:
            for opened in [threads.submit(make(path).open) for _ in range(8)]:
                opened.result()
        # Where two let go at once, each may leave the log to the other (https://sqlite.org/wal.html).
        log = {f"{path.name}-wal", f"{path.name}-shm"}
        assert {file.name for file in tmp_path.glob(f"{attempt}.db*")} - log == {path.name}


def test_who_waits_while_another_makes_the_file_takes_that_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: two that start together, one of which is already at work when the other goes on."""

    def lock(_: int, __: int) -> None:
        monkeypatch.undo()
        another = path.with_name("another.db")
        make(another).open()
        database(another, "INSERT INTO meta VALUES ('made by', x'00')")
        another.replace(path)

    monkeypatch.setattr(sqlite_schema.fcntl, "flock", lock)
    make(path).open()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM meta WHERE name != 'clock'").fetchall() == [("made by",)]


def test_what_an_interrupted_start_left_behind_is_no_hindrance(path: Path) -> None:
    """Our choice: a new file is there as a whole or not at all."""
    path.touch()
    Path(f"{path}.new").write_text("half")
    Path(f"{path}.new-journal").write_text("half")
    make(path).open()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_that_another_writes_to_can_be_opened(path: Path) -> None:
    """Our choice: a start does not have to wait for a backup or another worker."""
    make(path).open()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        make(path).open()


def test_a_file_without_a_write_ahead_log_gets_one(path: Path) -> None:
    """Our choice: readers do not wait for writers; a tool may have changed how the file is written."""
    make(path).open()
    database(path, "PRAGMA journal_mode = delete")
    make(path).open()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_directory_where_no_log_is_possible_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """https://sqlite.org/wal.html: all processes must share memory, which some file systems cannot."""
    # Without locks there is no log either.
    monkeypatch.setattr(sqlite_schema, "connect", lambda address, _="": connect(address, "mode=rw&nolock=1"))
    assert "write-ahead log" in refusal(path)


def refusal(path: Path) -> str:
    with pytest.raises(EngineRefused) as refused:
        make(path).open()
    line = str(refused.value)
    assert str(path) in line
    assert "\n" not in line
    return line


def database(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def text(path: Path) -> None:
    path.write_text("What a file! " * 1000)


def short(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00")


def anothers(path: Path) -> None:
    database(path, "CREATE TABLE record (id)", "INSERT INTO record VALUES (1)")


def anothers_with_a_log(path: Path) -> None:
    database(path, "PRAGMA journal_mode = wal", "PRAGMA application_id = 7", "CREATE TABLE record (id)")


@contextmanager
def left_in_use(path: Path) -> Iterator[sqlite3.Connection]:
    """Leave what is written in here in the log of the database, as if its user had been killed."""
    with closing(sqlite3.connect(path.with_name("in use"), isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        yield connection
        for suffix in ("", "-wal"):
            path.with_name(path.name + suffix).write_bytes(path.with_name("in use" + suffix).read_bytes())
    path.with_name("in use").unlink()


def anothers_in_use(path: Path) -> None:
    with left_in_use(path) as connection:
        connection.execute("CREATE TABLE record (id)")
        connection.execute("PRAGMA wal_checkpoint")
        connection.execute("INSERT INTO record VALUES (1)")


def damaged_in_use(path: Path) -> None:
    make(path.with_name("in use")).open()
    with left_in_use(path) as connection:
        connection.execute("UPDATE total SET records = 7")
    damage(path)


def newer(path: Path) -> None:
    make(path).open()
    database(path, f"PRAGMA user_version = {len(sqlite_schema.SCRIPTS) + 1}")


def damaged(path: Path) -> None:
    make(path).open()
    damage(path)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xa5" * 4096
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    make(path).open()
    path.write_bytes(path.read_bytes()[:12288])


REFUSED: list[tuple[Callable[[Path], None], str]] = [
    (text, "not an SQLite database"),
    (short, "not an SQLite database"),
    (anothers, "another application"),
    (anothers_with_a_log, "another application"),
    (anothers_in_use, "another application"),
    (newer, "newer version"),
    (damaged, "damaged"),
    (damaged_in_use, "damaged"),
    (cut_off, "damaged"),
]


@pytest.mark.parametrize(("spoil", "why"), REFUSED, ids=lambda value: getattr(value, "__name__", None))
def test_a_file_that_cannot_be_used_is_refused_and_left_alone(
    path: Path, spoil: Callable[[Path], None], why: str
) -> None:
    """Our choice: nobody's data is lost by a mistake in a setting."""
    spoil(path)
    path.chmod(0o644)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert why in refusal(path)
    assert mode(path) == 0o644
    after = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    if why == "damaged":
        # Our own is looked at as a reader does, who may need the log and its index.
        after = {name: content for name, content in after.items() if name in before}
    assert after == before


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Our choice: to make it, with which owner and mode, is the operator's."""
    assert "directory" in refusal(tmp_path / "not/there.db")
    (tmp_path / "file").touch()
    assert "directory" in refusal(tmp_path / "file/there.db")
    assert "is not a file" in refusal(tmp_path)


def test_a_file_that_may_not_be_written_is_refused(path: Path) -> None:
    """Our choice: at the start, not at the first request."""
    make(path).open()
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    else:
        path.chmod(0o400)
    try:
        line = refusal(path)
    finally:
        os.seteuid(before)
    assert "write to it" in line


# Versions of the schema


def one_more_script(monkeypatch: pytest.MonkeyPatch, *statements: str) -> None:
    monkeypatch.setattr(sqlite_schema, "SCRIPTS", (*sqlite_schema.SCRIPTS, statements))


async def two_records(start: Start) -> None:
    engine, _ = await start()
    await engine.submit(create("one"))
    await engine.submit(change("one", 1, echo=b"e", add=(Entry(1, "", b"m"),), held=SessionBytes(1, 1, 1)))
    await engine.stop()


@pytest_twisted.ensureDeferred
async def test_an_older_file_is_brought_up_to_date_with_all_that_is_in_it(
    start: Start, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: sessions survive an upgrade of the server; one that goes back is told so."""
    await two_records(start)
    with monkeypatch.context() as later:
        one_more_script(
            later,
            "CREATE TABLE extra (one)",
            "INSERT INTO extra SELECT id FROM record",
            "ALTER TABLE total ADD more",
        )
        engine, _ = await start()
        assert engine.totals == Totals(1, 0, SessionBytes(1, 1, 1))
        outcome = await engine.submit(Peek("one"))
        assert isinstance(outcome, Found)
        assert outcome.record[:3] == (2, b"changed", b"e")
        assert outcome.record.entries == (Entry(1, "", b"m"),)
        await engine.stop()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT * FROM extra").fetchall() == [("one",)]
            assert connection.execute("PRAGMA user_version").fetchone() == (len(sqlite_schema.SCRIPTS),)
    assert "newer version" in refusal(path)


@pytest_twisted.ensureDeferred
async def test_a_file_from_before_there_were_shares_is_counted_in(
    start: Start, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: what is in it belongs to its owners' shares, and counts as used, for nothing tells."""
    with monkeypatch.context() as earlier:
        earlier.setattr(sqlite_schema, "SCRIPTS", sqlite_schema.SCRIPTS[:1])
        prepare(Address(path))
    now = round(time.time() * 1000)
    rows = [(f"{place}", owner) for place, owner in enumerate([b"alice", b"alice", b"bob\xff", None])]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO record VALUES (NULL, ?, ?, 0, 1, 0, 0, 0, ?, 0, 0, 0, x'')",
            [(name, owner, now + LONG) for name, owner in rows],
        )
        connection.execute("UPDATE total SET records = 4")
    engine, _ = await start(limit=5, limit_per_principal=3)
    new = [Create(name, "alice", False, LONG, b"") for name in ("a", "b")]
    assert [type(await engine.submit(each)) for each in new] == [Applied, Applied]
    assert isinstance(await engine.submit(Close("1", "alice", False)), Applied)
    assert isinstance(await engine.submit(Create("c", "alice", False, LONG, b"", used=True)), Applied)
    await engine.submit(Change("b", "alice", False, 1, True, b"", used=True))
    assert isinstance(await engine.submit(Create("d", "alice", False, LONG, b"")), Full)
    await engine.stop()
    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute("SELECT * FROM share ORDER BY holder").fetchall()
    assert kept == [(b"principal alice", 3, 0), (b"principal bob\xff", 1, 0)]


@pytest_twisted.ensureDeferred
async def test_a_change_of_the_schema_that_fails_changes_nothing(
    start: Start, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: the older server can go on with the file."""
    await two_records(start)
    with monkeypatch.context() as later:
        one_more_script(later, "DELETE FROM record", "no statement")
        refusal(path)
    engine, _ = await start()
    assert isinstance(await engine.submit(Peek("one")), Found)


# Safety


@pytest.mark.parametrize("options", ["", "?synchronous=full"])
@pytest_twisted.ensureDeferred
async def test_what_was_answered_survives_a_kill(start: Start, path: Path, options: str) -> None:
    """Seed, availability: what was acknowledged is kept; kill -9 included."""
    child = process("write", f"sqlite:{path}{options}")
    assert child.stdout is not None
    answered = [child.stdout.readline().strip() for _ in range(50)]
    child.kill()
    answered += child.stdout.read().split("\n")[:-1]
    child.wait()
    child.stdout.close()
    engine, _ = await start()
    assert engine.totals.records >= len(answered) >= 50
    for name in answered:
        assert isinstance(await engine.submit(Peek(name)), Found)


@pytest_twisted.ensureDeferred
async def test_the_file_alone_has_everything_after_a_stop(start: Start, path: Path) -> None:
    """Our choice: a stopped server's store is one file, to be copied."""
    engine, _ = await start()
    await engine.submit(create("one"))
    await engine.stop()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest_twisted.ensureDeferred
async def test_a_stop_writes_everything_into_the_file_though_others_use_it(start: Start, path: Path) -> None:
    """Our choice, as above, as far as the others let it."""
    engine, _ = await start("a")
    await start("b")
    await engine.submit(create("one"))
    await engine.stop()
    shutil.copy(path, path.with_name("copy.db"))
    with closing(sqlite3.connect(path.with_name("copy.db"))) as connection:
        assert connection.execute("SELECT id FROM record").fetchall() == [("one",)]


@pytest_twisted.ensureDeferred
async def test_an_engine_may_stop_more_than_once_or_before_it_started(path: Path) -> None:
    """Our choice: a start that failed half-way is stopped too."""
    engine = make(path)
    await engine.stop()
    engine = make(path)
    engine.open()
    engine.start(Ears())
    made = begin(engine.submit(create("one")))
    await gatherResults([begin(engine.stop()), begin(engine.stop())])
    assert isinstance(await made, Applied)
    await engine.stop()
    with pytest.raises(StoreUnavailable):
        await engine.submit(create("two"))


@pytest_twisted.ensureDeferred
async def test_processes_that_hammer_one_record_count_exactly(start: Start, path: Path) -> None:
    """Our choice: workers share the file."""
    engine, _ = await start()
    await engine.submit(Create("counter", None, False, LONG, b"0"))
    children = [process("count", f"sqlite:{path}", "200") for _ in range(2)]
    for child in children:
        output, _ = child.communicate(timeout=60)
        assert (child.returncode, output) == (0, "")
    outcome = await engine.submit(Peek("counter"))
    assert isinstance(outcome, Found)
    assert (outcome.record.state, outcome.record.version) == (b"400", 401)


# Failures


@contextmanager
def full_disk(largest: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def refused(work: Any) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as refusal:
        await work
    return refusal.value


def large(name: str, version: int) -> Change:
    return change(name, version, echo=bytes(300_000), held=SessionBytes(0, 300_000, 0))


@pytest.mark.usefixtures("impatient")
@pytest_twisted.ensureDeferred
async def test_a_full_disk_loses_nothing_and_is_got_over(start: Start, path: Path, events: Events) -> None:
    """Our choice: 503 while it lasts, one line in the log when it begins and one when it is over."""
    engine, _ = await start()
    for number in range(10):
        await engine.submit(create(f"{number}"))
    with full_disk(4096):
        for work in [begin(engine.submit(large(f"{number}", 1))) for number in range(10)]:
            assert (await refused(work)).retry_after in (1, 2, 3)
        await until(lambda: engine.health().failures > 5)
        assert not engine.health().available
        assert "disk" in (engine.health().last_failure or "")
    await until(lambda: engine.health().available)
    assert engine.totals == Totals(10)
    for number in range(10):
        assert isinstance(await engine.submit(large(f"{number}", 1)), Applied)
    assert events[0]["where"] == str(path)
    assert [event["log_level"].name for event in events] == ["error", "info"]


@pytest.mark.usefixtures("impatient")
@pytest_twisted.ensureDeferred
async def test_who_is_locked_out_still_reads_and_writes_when_let_in(start: Start, path: Path) -> None:
    """Our choice: another process may hold the file for a while, a backup for example."""
    engine, _ = await start()
    await engine.submit(create("one"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await refused(engine.submit(change("one", 1)))
        assert isinstance(await engine.submit(Peek("one")), Found)
        await refused(engine.submit(change("one", 1)))
        other.execute("ROLLBACK")
    assert isinstance(await engine.submit(change("one", 1)), Applied)
    await until(lambda: engine.health().available)
    assert "locked" in (engine.health().last_failure or "")


@pytest.mark.usefixtures("impatient")
@pytest_twisted.ensureDeferred
async def test_after_three_failures_nothing_is_tried_but_a_trial(
    start: Start, path: Path, monkeypatch: pytest.MonkeyPatch, events: Events
) -> None:
    """Our choice: whom nobody can help is told so at once; the store is tried again without a request."""
    monkeypatch.setattr(engine_module, "PAUSE", 0.3)
    engine, _ = await start()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            await refused(engine.submit(create("one")))
        assert (engine.health().breaker, engine.health().available) == ("open", False)
        failures = engine.health().failures
        for operation in (Peek("one"), Sweep(), Broadcast(b""), Secret(b"")):
            await refused(engine.submit(operation))
        assert engine.health().failures == failures
        await until(lambda: engine.health().breaker == "half-open")
        await refused(engine.submit(Peek("one")))
        await until(lambda: engine.health().breaker == "open")
    await until(lambda: engine.health().breaker == "closed")
    assert isinstance(await engine.submit(create("one")), Applied)
    assert [event["log_level"].name for event in events] == ["error", "info"]


@pytest.mark.usefixtures("impatient")
@pytest_twisted.ensureDeferred
async def test_what_waits_when_the_store_is_given_up_is_refused_too(
    start: Start, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: nobody waits for what is not tried."""
    monkeypatch.setattr(batching, "BATCH_CALLS", 2)
    engine, _ = await start()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for work in [begin(engine.submit(create(f"{number}"))) for number in range(50)]:
            await refused(work)
        assert engine.health().failures == 3


@pytest_twisted.ensureDeferred
async def test_only_so_many_operations_may_wait(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Design decision 8: nothing is buffered without bound; those that were taken on are carried out."""
    monkeypatch.setattr(batching, "WAITING_CALLS", 5)
    engine, _ = await start()
    works = [begin(engine.submit(create(f"{number}"))) for number in range(20)]
    outcomes = Counter()
    for work in works:
        try:
            outcomes[type(await work)] += 1
        except StoreUnavailable:
            outcomes[StoreUnavailable] += 1
    assert outcomes == {Applied: 6, StoreUnavailable: 14}
    assert engine.totals == Totals(6)


@pytest_twisted.ensureDeferred
async def test_operations_that_wait_share_a_transaction(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: the price of a transaction is shared; while one runs the next collects."""
    batches = []
    carry_out = Records.carry_out

    def noted(records: Records, tasks: Any) -> TaskResults:
        batches.append(len(tasks))
        return carry_out(records, tasks)

    engine, _ = await start()
    monkeypatch.setattr(Records, "carry_out", noted)
    for work in [begin(engine.submit(create(f"{number}"))) for number in range(300)]:
        assert isinstance(await work, Applied)
    assert batches == [1, 256, 43]


@pytest_twisted.ensureDeferred
async def test_an_operation_that_is_wrong_in_itself_fails_alone(start: Start) -> None:
    """Our choice: a mistake in one request is no failure of the store, and leaves nothing behind."""
    engine, _ = await start()
    await engine.submit(create("one"))
    await engine.submit(change("one", 1, add=(Entry(1, "", b"m"),)))
    again = Entry(1, "", b"again")
    works = [
        begin(engine.submit(operation))
        for operation in (
            create("two"),
            create("one"),
            change("one", 2, add=(Entry(2, "", b"n"), again), held=SessionBytes(9, 9, 9)),
            create("three"),
        )
    ]
    assert isinstance(await works[0], Applied)
    for work in works[1:3]:
        with pytest.raises(sqlite3.IntegrityError):
            await work
    assert isinstance(await works[3], Applied)
    outcome = await engine.submit(Peek("one"))
    assert isinstance(outcome, Found)
    assert (outcome.record.version, len(outcome.record.entries)) == (2, 1)
    assert engine.totals == Totals(3)
    assert engine.health().failures == 0


@pytest_twisted.ensureDeferred
async def test_who_gives_up_waiting_hinders_nobody(start: Start) -> None:
    """Twisted's Deferred: whoever waits may cancel; the operation may be carried out all the same."""
    engine, _ = await start()
    works = [engine.submit(create(f"{number}")) for number in range(3)]
    works[1].addErrback(lambda _: None)
    works[1].cancel()
    for work in (works[0], works[2]):
        assert isinstance(await work, Applied)
    assert isinstance(await engine.submit(change("2", 1)), Applied)


@pytest_twisted.ensureDeferred
async def test_endings_are_told_of_once_though_a_sweep_fails_half_way(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interface, Sweep: what is taken away is told of, by the next sweep if this one cannot."""
    monkeypatch.setattr("mcp_echo.stores.sqlite.records.SLICE", 2)
    seconds = 1000.0
    engine, _ = await start(clock=FileClock(lambda: seconds, time.time, "boot"))
    for number in range(5):
        await engine.submit(create(f"{number}", timeout=1000))
    seconds += 2
    carry_out, batches = Records.carry_out, []

    def failing(records: Records, tasks: Any) -> TaskResults:
        batches.append(tasks)
        if len(batches) == 2:
            raise sqlite3.OperationalError("disk I/O error")
        return carry_out(records, tasks)

    monkeypatch.setattr(Records, "carry_out", failing)
    await refused(swept(engine))
    assert engine.totals == Totals(3)
    assert sorted(ended.id for ended in await swept(engine)) == ["0", "1", "2", "3", "4"]
    assert await swept(engine) == []


@pytest_twisted.ensureDeferred
async def test_a_listener_that_fails_is_told_more_all_the_same(start: Start, events: Events) -> None:
    """Our choice: one broken stream does not make this node deaf."""
    _, ears = await start("a")
    two, _ = await start("b")
    await two.submit(create("one"))

    def fail(_: str) -> None:
        raise RuntimeError("deaf")

    ears.invalidated = fail  # type: ignore[method-assign]
    await two.submit(change("one", 1, tell=("a",)))
    await until(lambda: events != [])
    await two.submit(Broadcast(b"heard"))
    await until(lambda: ears.broadcasts == [b"heard"])
    assert [event["log_level"].name for event in events] == ["critical"]


@pytest_twisted.ensureDeferred
async def test_nothing_goes_unheard_while_the_connection_is_replaced(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://sqlite.org/pragma.html#pragma_data_version: its numbers mean nothing on another connection."""
    two, _ = await start("b")
    monkeypatch.setattr(engine_module, "LOOK_SECONDS", 0.3)
    one, ears = await start("a")
    await two.submit(create("one"))
    await two.submit(change("one", 1, tell=("a",)))
    carry_out = Records.carry_out

    def failing(_: Records, __: Any) -> TaskResults:
        monkeypatch.setattr(Records, "carry_out", carry_out)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Records, "carry_out", failing)
    await refused(one.submit(Peek("one")))
    assert isinstance(await one.submit(Peek("one")), Found)
    assert ears.nudges == []
    await until(lambda: ears.nudges == ["one"])


@pytest_twisted.ensureDeferred
async def test_a_connection_that_failed_is_not_used_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: what an I/O error leaves behind may never work again, though the file does."""
    engine, _ = await start()
    carry_out, failed = Records.carry_out, []

    def failing(records: Records, tasks: Any) -> TaskResults:
        if not failed or records in failed:
            failed.append(records)
            raise sqlite3.OperationalError("disk I/O error")
        return carry_out(records, tasks)

    monkeypatch.setattr(Records, "carry_out", failing)
    await refused(engine.submit(create("one")))
    assert isinstance(await engine.submit(create("one")), Applied)


# News, without a reactor


class Nodes:
    """Two nodes on connections of their own."""

    def __init__(self, path: Path) -> None:
        self.now = 1_000_000
        address = Address(path)
        prepare(address)
        self.connections = [connect(address) for _ in "ab"]
        self.a, self.b = (
            Records(connection, name, RecordLimits(10**6), lambda: self.now)
            for connection, name in zip(self.connections, "ab", strict=True)
        )
        self.seen = LastLook()

    def look(self) -> sqlite_news.News:
        return self.seen.look(self.connections[1], "b", self.now)

    def change(self, times: int) -> None:
        for _ in range(times):
            (outcome,) = self.a.carry_out([Peek("one")]).answers
            self.a.carry_out([change("one", outcome.record.version, tell=("b",))])


@pytest.fixture
def nodes(path: Path) -> Iterator[Nodes]:
    made = Nodes(path)
    made.a.carry_out([create("one")])
    yield made
    for connection in made.connections:
        connection.close()


def test_the_first_look_has_missed_everything_and_the_next_nothing(nodes: Nodes) -> None:
    """Interface, caught_up: called once after the start."""
    nodes.change(3)
    assert nodes.look() == ([], [], True)
    assert nodes.look() is sqlite_news.NOTHING
    nodes.change(3)
    assert nodes.look() == (["one"], [], False)
    assert nodes.look() is sqlite_news.NOTHING


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_what_was_removed_unseen_was_missed(nodes: Nodes, kept: int) -> None:
    """Interface, caught_up: whenever nudges may have been lost."""
    nodes.look()
    nodes.change(3)
    nodes.look()
    nodes.change(2)
    nodes.now += sqlite_news.KEPT + 1
    nodes.change(kept)
    nodes.a.carry_out([Sweep()])
    news = nodes.look()
    assert news.missed
    assert news.invalidated == (["one"])
    nodes.change(1)
    assert nodes.look() == (["one"], [], False)


def test_a_broadcast_that_was_removed_unheard_was_missed(nodes: Nodes) -> None:
    """Interface, caught_up: who was away for longer than a minute looks at everything."""
    nodes.look()
    nodes.a.carry_out([Broadcast(b"heard")])
    assert nodes.look() == ([], [b"heard"], False)
    nodes.a.carry_out([Broadcast(b"unheard")])
    nodes.now += sqlite_news.KEPT + 1
    nodes.a.carry_out([Broadcast(b"late"), Sweep()])
    assert nodes.look() == ([], [b"late"], True)


def test_what_was_seen_and_removed_was_not_missed(nodes: Nodes) -> None:
    """Interface, caught_up: only when something may have been lost."""
    nodes.look()
    nodes.change(3)
    nodes.a.carry_out([Broadcast(b"told")])
    nodes.look()
    nodes.now += sqlite_news.KEPT + 1
    nodes.a.carry_out([Sweep()])
    assert nodes.look() == ([], [], False)
    nodes.change(1)
    nodes.a.carry_out([Broadcast(b"more")])
    assert nodes.look() == (["one"], [b"more"], False)


def test_news_that_nobody_removes_is_bounded(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Design decision 8: nothing is kept without bound; who was too slow is told so."""
    monkeypatch.setattr("mcp_echo.stores.sqlite.news.MOST_KEPT", 5)
    nodes.look()
    nodes.change(30)
    nodes.a.carry_out([Broadcast(b"%d" % number) for number in range(30)])
    for table in ("nudge", "bus"):
        (rows,) = nodes.connections[0].execute(f"SELECT count(*) FROM {table}").fetchone()
        assert 5 <= rows <= 10
    news = nodes.look()
    assert news.missed
    assert news.told[-1] == b"29"


def test_nodes_of_one_batch_are_nudged_once_for_each_record(nodes: Nodes) -> None:
    """Our choice: rows that say the same are not written."""
    nodes.look()
    nodes.a.carry_out([change("one", version, tell=("b", "c", "b")) for version in range(1, 11)])
    rows = nodes.connections[0].execute("SELECT node, record FROM nudge").fetchall()
    assert rows == [("b", "one"), ("c", "one")]


def test_a_batch_that_only_reads_does_not_wait_for_a_writer(nodes: Nodes) -> None:
    """https://sqlite.org/wal.html: readers do not block on writers."""
    nodes.connections[0].execute("BEGIN IMMEDIATE")
    (found, missing) = nodes.b.carry_out([Peek("one"), Load("two", None, False)]).answers
    assert isinstance(found, Found)
    assert missing == Missing()
    nodes.connections[0].execute("ROLLBACK")
    assert isinstance(nodes.a.carry_out([change("one", 9)]).answers[0], Conflict)


def test_every_trial_writes_something(nodes: Nodes, path: Path) -> None:
    """Our choice: a disk that is full is found to be full, however often it is tried."""
    sizes = []
    for _ in range(5):
        nodes.a.carry_out([Trial()])
        sizes.append(Path(f"{path}-wal").stat().st_size)
    assert sizes == sorted(set(sizes))
