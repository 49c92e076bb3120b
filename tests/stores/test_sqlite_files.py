"""What happens to the file of a store while it is used, whoever does it."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import LogLevel

from mcp_echo.cluster.engine import Applied, Create, Found, Missing, Peek
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.stores.sqlite import engine as engine_module
from mcp_echo.stores.sqlite.engine import SqliteEngine
from mcp_echo.stores.sqlite.files import FileLost, Files
from tests.contracts.test_engine import Ears, until
from tests.logged import Events, no_logged_failures
from tests.stores.redis_support import refused
from tests.stores.sqlite_support import LONG, begun, change, create, make

pytestmark = pytest.mark.slow

Start = Callable[..., Any]
Act = Callable[[Path], object]


def logs(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm")]


def alone(path: Path) -> Path:
    """Return a database of another application."""
    other = path.with_name("other.db")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
        connection.commit()
    return other


def backup(path: Path) -> Path:
    """Return a copy of the store as it is now, as SQLite makes one."""
    copy = path.with_name("backup.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store" / "records.db"


@pytest_twisted.async_yield_fixture
async def start(path: Path) -> AsyncIterator[Start]:
    """Start an engine on the file: ``engine, ears = await start("a")``."""
    started: list[SqliteEngine] = []

    async def start(node: str = "a") -> tuple[SqliteEngine, Ears]:
        return await begun(path, started, node)

    yield start
    for engine in started:
        await engine.stop()


@pytest.fixture(autouse=True)
def nothing_goes_wrong_unseen() -> Iterator[None]:
    """No traceback, of whoever's."""
    with no_logged_failures():
        yield


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that fails is tried again soon."""
    monkeypatch.setattr(engine_module, "PAUSE", 0.05)


async def works_again(engine: SqliteEngine) -> None:
    await until(lambda: engine.health().available)
    assert engine.health().reason is None


async def comes_back(engines: list[SqliteEngine], operation: Callable[[str], Any]) -> None:
    """Have each engine carry out an operation, as soon as it can."""
    for engine in engines:
        for _ in range(100):
            with suppress(StoreUnavailable):
                assert isinstance(await engine.submit(operation(f"by {engine.node}")), Applied)
                break
            await deferLater(reactor, 0.05)
        await works_again(engine)


def levels(events: Events) -> list[str]:
    return [event["log_level"].name for event in events]


# What cannot go on


def remove(path: Path) -> None:
    path.unlink()


def remove_all(path: Path) -> None:
    for file in (path, *logs(path)):
        file.unlink()


def move_away(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def remove_the_directory(path: Path) -> None:
    shutil.rmtree(path.parent)


def move_the_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut_off(path: Path) -> None:
    os.truncate(path, 3 * 4096)


def put_a_directory_there(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_a_text_there(path: Path) -> None:
    text = path.with_name("text")
    text.write_text("no database at all\n" * 500)
    text.replace(path)


def put_a_database_of_others_there(path: Path) -> None:
    alone(path).replace(path)


def put_one_of_a_newer_version_there(path: Path) -> None:
    copy = backup(path)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA user_version = 999")
        connection.commit()
    copy.replace(path)


def put_a_damaged_one_there(path: Path) -> None:
    copy = backup(path)
    with copy.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 3 * 4096)
    copy.replace(path)


def drop_a_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE record")
        connection.commit()


def add_a_column(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE record ADD COLUMN more")
        connection.commit()


def remove_the_sums(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM total")
        connection.commit()


OUTAGES: dict[Act, str] = {
    remove: "removed.*put it or a copy of it back.*or restart",
    remove_all: "removed.*put it or a copy of it back.*or restart",
    move_away: "removed",
    remove_the_directory: "removed",
    move_the_directory: "removed",
    empty: "removed or emptied|is not an SQLite database",
    cut_off: "damaged.*put a copy in its place",
    put_a_directory_there: "is not a file",
    put_a_text_there: "is not an SQLite database",
    put_a_database_of_others_there: "another application",
    put_one_of_a_newer_version_there: "newer version",
    put_a_damaged_one_there: "damaged",
    drop_a_table: "no such table: record",
    add_a_column: "16 columns",
    remove_the_sums: "does not hold what it should",
}
"""What may be done to a file, and what the operator reads."""


@pytest.mark.parametrize(("act", "reason"), OUTAGES.items(), ids=lambda each: getattr(each, "__name__", ""))
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_kept_is_refused_and_the_reason_is_said_once(
    start: Start, path: Path, events: Events, act: Act, reason: str
) -> None:
    """docs/scaling.md: what a client was answered is kept; what cannot be is 503, and `/ready` says why."""
    engine, _ = await start()
    await engine.submit(create("one"))
    act(path)
    await refused(engine, create("two"))
    assert not engine.health().available
    for name in ("three", "four", "five"):
        await deferLater(reactor, 0.1)
        await refused(engine, create(name))
        assert not engine.health().available
    assert levels(events) == ["error"]
    (line,) = events.texts(LogLevel.error)
    assert re.search(reason, line), line
    assert re.search(reason, str(engine.health().reason))


@pytest.mark.parametrize("act", [remove, put_a_database_of_others_there, remove_the_directory])
@pytest_twisted.ensureDeferred
async def test_nobody_has_to_ask_for_it_to_be_noticed(
    start: Start, path: Path, events: Events, act: Act
) -> None:
    """Our choice: a load balancer hears of it from `/ready` before a client hears of it with a 503."""
    engine, _ = await start()
    act(path)
    await until(lambda: not engine.health().available)
    await deferLater(reactor, 0.3)
    assert levels(events) == ["error"]


# What heals


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_put_back_goes_on_with_all_that_was_in_it(
    start: Start, path: Path, events: Events
) -> None:
    """Our choice: it is the very same, so that nothing is lost."""
    engine, ears = await start()
    await engine.submit(create("one"))
    move_away(path)
    await refused(engine, change("one"))
    path.with_name("moved.db").rename(path)
    await works_again(engine)
    assert isinstance(await engine.submit(change("one")), Applied)
    assert levels(events) == ["error", "info"]
    assert ears.times_replaced == 0


@pytest_twisted.ensureDeferred
async def test_a_directory_that_is_there_again_goes_on(start: Start, path: Path) -> None:
    """Our choice, as above: a file system that was unmounted for a while."""
    engine, _ = await start()
    await engine.submit(create("one"))
    move_the_directory(path)
    await refused(engine, change("one"))
    path.parent.with_name("elsewhere").rename(path.parent)
    await works_again(engine)
    assert isinstance(await engine.submit(change("one")), Applied)


@pytest.mark.parametrize("removed_first", [False, True], ids=["replaced", "removed first"])
@pytest.mark.parametrize("nodes", [1, 2])
@pytest_twisted.ensureDeferred
async def test_a_copy_that_is_put_in_its_place_is_used_and_that_is_said(
    start: Start, path: Path, events: Events, nodes: int, removed_first: bool
) -> None:
    """Our choice: a restored backup needs no restart; what is not in it has ended, and that is said."""
    engines = [(await start(name)) for name in "ab"[:nodes]]
    (engine, _), *_ = engines
    await engine.submit(create("in the copy"))
    copy = backup(path)
    await engine.submit(change("in the copy"))
    await engine.submit(create("lost"))
    if removed_first:
        remove(path)
        await refused(engine, create("none"))
    copy.replace(path)
    for each, ears in engines:
        await until(lambda each=each, ears=ears: ears.times_replaced == 1 and each.health().available)
    assert await engine.submit(Peek("lost")) == Missing()
    found = await engine.submit(Peek("in the copy"))
    assert isinstance(found, Found)
    assert (found.record.version, found.record.state) == (1, b"new")
    assert isinstance(await engine.submit(change("in the copy")), Applied)
    assert levels(events).count("warn") == nodes
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT id, version FROM record").fetchall() == [("in the copy", 2)]


@pytest.mark.parametrize("which", [(0,), (1,), (0, 1)], ids=["wal", "shm", "both"])
@pytest.mark.parametrize("nodes", [1, 2])
@pytest_twisted.ensureDeferred
async def test_a_log_that_was_removed_takes_nothing_along(
    start: Start, path: Path, events: Events, nodes: int, which: tuple[int, ...]
) -> None:
    """https://sqlite.org/howtocorrupt.html: what is in the log alone goes with it; the connection has it."""
    engines = [(await start(name))[0] for name in "ab"[:nodes]]
    for number in range(50):
        await engines[0].submit(create(f"{number}"))
    for place in which:
        logs(path)[place].unlink()
    await comes_back(engines, create)
    for each in engines:
        for number in range(50):
            assert isinstance(await each.submit(Peek(f"{number}")), Found)
        await each.stop()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM record").fetchone() == (50 + nodes,)
    assert not [text for text in events.texts(LogLevel.warn) if "last is lost" in text]
    # Two in one process share what SQLite knows of the files, and are in each other's way at first.
    assert nodes == 2 or "error" not in levels(events)


@pytest_twisted.ensureDeferred
async def test_a_reader_does_not_make_a_log_lost_that_is_written_down(
    start: Start, path: Path, events: Events
) -> None:
    """https://sqlite.org/c3ref/wal_checkpoint_v2.html: busy, for the log cannot be begun anew."""
    engine, _ = await start()
    with closing(sqlite3.connect(path)) as reader:
        await engine.submit(create("one"))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM record").fetchone()
        logs(path)[0].unlink()
        await comes_back([engine], create)
        (told,) = [text for text in events.texts(LogLevel.warn) if "was removed" in text]
        assert told.endswith("nothing is lost")


@pytest_twisted.ensureDeferred
async def test_a_database_that_was_made_smaller_is_looked_at_and_used(
    start: Start, path: Path, events: Events
) -> None:
    """https://sqlite.org/lang_vacuum.html: an operator's VACUUM is lawful, and no reason to refuse."""
    engine, _ = await start()
    for number in range(500):
        await engine.submit(Create(f"{number}", None, False, LONG, bytes(4000)))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = path.stat().st_size
        await engine.submit(create("seen as large"))
        connection.execute("DELETE FROM record WHERE id != '7'")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < before
    assert isinstance(await engine.submit(change("7")), Applied)
    assert "error" not in levels(events)


@pytest.mark.parametrize("nodes", [1, 2])
@pytest_twisted.ensureDeferred
async def test_a_copy_that_is_written_over_it_is_looked_at_and_used(
    start: Start, path: Path, monkeypatch: pytest.MonkeyPatch, nodes: int
) -> None:
    """Our choice: whoever restores with `cp`, to a file of the same name and size, is understood as well."""
    monkeypatch.setattr("mcp_echo.stores.sqlite.thread.LONGEST_CHECKPOINT", 0.05)
    engines = [(await start(name))[0] for name in "ab"[:nodes]]
    engine = engines[0]
    await engine.submit(create("in the copy"))
    copy = backup(path)
    await engine.submit(change("in the copy"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("UPDATE meta SET value = value WHERE name = 'trial'")
        connection.commit()
    await engine.submit(create("lost"))
    await deferLater(reactor, 0.3)
    await engine.submit(Peek("lost"))
    path.with_name("records.db-wal").stat()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await deferLater(reactor, 0.3)
    await engine.submit(Peek("lost"))
    before = path.stat()
    shutil.copyfile(copy, path)
    assert path.stat().st_ino == before.st_ino
    await comes_back(engines, create)
    assert await engine.submit(Peek("lost")) == Missing()
    found = await engine.submit(Peek("in the copy"))
    assert isinstance(found, Found)
    assert found.record.version == 1


@pytest_twisted.ensureDeferred
async def test_a_database_that_was_only_touched_goes_on(start: Start, path: Path, events: Events) -> None:
    """Our choice: whether anything in it is another is not known, so that nothing is believed."""
    engine, ears = await start()
    await engine.submit(create("one"))
    path.touch()
    assert isinstance(await engine.submit(change("one")), Applied)
    await until(lambda: ears.times_replaced == 1)
    assert levels(events) == ["warn"]


@pytest_twisted.ensureDeferred
async def test_the_checkpoints_of_any_process_are_no_reason_for_a_look(
    start: Start, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: they write to the database all the time, and a look reads all of it."""
    looks: list[Path] = []
    monkeypatch.setattr(
        "mcp_echo.stores.sqlite.thread.take_again", lambda address: looks.append(address.path)
    )
    monkeypatch.setattr("mcp_echo.stores.sqlite.schema.LONGEST_LOG_PAGES", 20)
    (one, _), (two, _) = await start("a"), await start("b")
    before = path.stat().st_mtime_ns
    for number in range(200):
        for engine in (one, two):
            assert isinstance(await engine.submit(create(f"{number} {engine.node}")), Applied)
    assert path.stat().st_mtime_ns > before
    assert looks == []


@pytest_twisted.ensureDeferred
async def test_a_start_takes_no_log_of_a_file_that_is_no_more(path: Path) -> None:
    """https://sqlite.org/howtocorrupt.html: a log is taken for that of whatever database has its name."""
    first = make(path)
    first.open()
    with closing(sqlite3.connect(path)) as left_open:
        left_open.execute("INSERT INTO meta VALUES ('of the old one', x'00')")
        left_open.commit()
        path.unlink()
        make(path).open()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        names = connection.execute("SELECT name FROM meta").fetchall()
    assert names == [("clock",)]


@pytest_twisted.ensureDeferred
async def test_where_nothing_can_be_written_reading_is_no_sign_of_health(start: Start, path: Path) -> None:
    """Our choice: ready is who can keep what it is given."""
    engine, _ = await start()
    await engine.submit(create("one"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TRIGGER no BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, 'full'); END")
        connection.execute("CREATE TRIGGER none BEFORE UPDATE ON record BEGIN SELECT missing(); END")
        connection.commit()
    await refused(engine, change("one"))
    assert isinstance(await engine.submit(Peek("one")), Found)
    assert not engine.health().available
    assert "missing" in str(engine.health().reason)


def test_a_look_at_files_tells_what_has_become_of_them(path: Path) -> None:
    """`Files.check`: no more than what the file system says."""
    for file in (path, *logs(path)):
        file.write_bytes(b"1234")
    files = Files.of(path)
    assert files.check() == files
    path.write_bytes(b"123456")
    files = files.check()
    path.write_bytes(b"12345")
    with pytest.raises(FileLost, match="overwritten"):
        files.check()
    path.unlink()
    with pytest.raises(FileLost, match="removed"):
        files.check()
