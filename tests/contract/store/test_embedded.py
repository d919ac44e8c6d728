"""The embedded store's connections: one change of thread a statement, and no transaction is ever left open."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from trueup.model.errors import StoreUnavailable
from trueup.store import embedded
from trueup.store.database import Database, locate


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "book.db"


@pytest.fixture
async def database(file: Path) -> AsyncIterator[Database]:
    opened = Database(locate(f"sqlite:///{file}"))
    async with opened.write("making a table") as connection:
        await connection.exec_driver_sql("CREATE TABLE t (n INTEGER)")
    yield opened
    await opened.dispose()


@pytest.fixture
def changes_of_thread(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent to connections' threads."""
    sent: list[str] = []
    plain = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, work: Any, *given: Any, **named: Any) -> Any:
        sent.append(work.__name__)
        return await plain(self, work, *given, **named)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
    return sent


def rows_of(file: Path) -> list[int]:
    with sqlite3.connect(file) as book:
        return [row[0] for row in book.execute("SELECT n FROM t ORDER BY n")]


async def test_a_read_is_one_change_of_thread(database: Database, changes_of_thread: list[str]) -> None:
    async with database.read("reading") as connection:
        await connection.exec_driver_sql("SELECT 1")
    changes_of_thread.clear()
    async with database.read("reading") as connection:
        found = (await connection.exec_driver_sql("SELECT n FROM t UNION SELECT 7")).fetchall()
    assert [tuple(row) for row in found] == [(7,)]
    assert len(changes_of_thread) == 1


async def test_a_write_is_one_for_each_statement_and_one_to_commit(
    database: Database, file: Path, changes_of_thread: list[str]
) -> None:
    changes_of_thread.clear()
    async with database.write("writing") as connection:
        one = await connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        many = await connection.exec_driver_sql("INSERT INTO t VALUES (?)", [(2,), (3,)])
        assert (one.rowcount, many.rowcount) == (1, 2)
    assert len(changes_of_thread) == 3
    assert rows_of(file) == [1, 2, 3]


async def test_nothing_is_sent_for_a_transaction_without_statements(
    database: Database, changes_of_thread: list[str]
) -> None:
    changes_of_thread.clear()
    async with database.write("writing nothing"):
        pass
    assert changes_of_thread == []


async def test_a_reading_statement_first_keeps_other_writers_out(database: Database, file: Path) -> None:
    async with database.write("reading before writing") as connection:
        await connection.exec_driver_sql("SELECT n FROM t")
        with sqlite3.connect(file, timeout=0) as other, pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("INSERT INTO t VALUES (9)")
        await connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    assert rows_of(file) == [1]


async def test_an_error_leaves_nothing_and_no_open_transaction(database: Database, file: Path) -> None:
    async def fail() -> None:
        async with database.write("failing") as connection:
            await connection.exec_driver_sql("INSERT INTO t VALUES (1)")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with database.write("writing") as connection:
        await connection.exec_driver_sql("INSERT INTO t VALUES (2)")
    assert rows_of(file) == [2]


async def test_a_refused_begin_is_an_outage_and_the_next_write_goes_through(
    file: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trueup.store.database._BUSY_S", 0.01)
    impatient = Database(locate(f"sqlite:///{file}"))
    try:
        async with database.write("holding the lock") as connection:
            await connection.exec_driver_sql("INSERT INTO t VALUES (1)")
            with pytest.raises(StoreUnavailable):
                async with impatient.write("writing") as refused:
                    await refused.exec_driver_sql("INSERT INTO t VALUES (2)")
        async with impatient.write("writing") as connection:
            await connection.exec_driver_sql("INSERT INTO t VALUES (3)")
    finally:
        await impatient.dispose()
    assert rows_of(file) == [1, 3]


async def test_what_was_cancelled_before_its_turn_is_rolled_back_after_it(file: Path) -> None:
    connection: Any = await embedded.connect(str(file), 5, ())
    release = threading.Event()
    try:
        await connection.cursor().execute("CREATE TABLE t (n INTEGER)")
        busy = asyncio.create_task(connection._execute(release.wait, 10))
        await asyncio.sleep(0)
        connection.begin()
        waiting = asyncio.create_task(connection.cursor().execute("INSERT INTO t VALUES (1)"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        undoing = asyncio.create_task(connection.rollback())
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(undoing, busy)
        await connection.cursor().execute("SELECT 1")
        assert not connection.in_transaction
    finally:
        release.set()
        await connection.close()
    assert rows_of(file) == []


async def test_a_file_that_is_no_database_leaves_no_thread(tmp_path: Path) -> None:
    wrong = tmp_path / "text.db"
    wrong.write_text("not a database, and long enough to be one" * 40, encoding="utf-8")
    with pytest.raises(sqlite3.DatabaseError):
        await embedded.connect(str(wrong), 1, ("PRAGMA journal_mode=WAL",))


async def test_a_file_that_another_writes_to_is_waited_for_when_it_is_opened_first(file: Path) -> None:
    """SQLite itself says at once that the file is locked, whatever its timeout, while it is not yet in WAL mode."""
    with sqlite3.connect(file, isolation_level=None) as bot:
        bot.execute("CREATE TABLE t (n INTEGER)")
        bot.execute("BEGIN IMMEDIATE")
        opening = asyncio.create_task(embedded.connect(str(file), 30.0, ["PRAGMA journal_mode=WAL"]))
        done, _ = await asyncio.wait([opening], timeout=0.2)
        assert not done
        bot.execute("COMMIT")
    connection = await opening
    assert await connection.rows("PRAGMA journal_mode", ()) == [("wal",)]
    await connection.close()
    bot.close()


async def test_a_file_that_stays_locked_is_told(file: Path) -> None:
    with sqlite3.connect(file, isolation_level=None) as bot:
        bot.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await embedded.connect(str(file), 0.05, ["PRAGMA journal_mode=WAL"])
    bot.close()


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Those that were opened and not closed."""
    opened: list[Any] = []
    connect, close = embedded.connect, embedded.Connection.close

    async def connected(*given: Any) -> Any:
        opened.append(await connect(*given))
        return opened[-1]

    async def closed(self: embedded.Connection) -> None:
        await close(self)
        if self in opened:
            opened.remove(self)

    monkeypatch.setattr(embedded, "connect", connected)
    monkeypatch.setattr(embedded.Connection, "close", closed)
    return opened


@pytest.mark.parametrize("way", ["rows", "read", "write"])
async def test_what_is_under_way_while_it_is_closed_ends_and_is_closed(
    connections: list[Any], database: Database, way: str
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def hold() -> int:
        begun.set()
        return int(may_end.wait(10))

    async def use() -> list[Any]:
        if way == "rows":
            return await database.rows("reading", "SELECT hold()", ())
        async with getattr(database, way)("working") as connection:
            return list((await connection.exec_driver_sql("SELECT hold()")).fetchall())

    if way == "rows":
        await database.rows("reading", "SELECT 1", ())
    else:
        async with getattr(database, way)("working") as connection:
            await connection.exec_driver_sql("SELECT 1")
    for each in connections:
        await each.create_function("hold", 0, hold)
    using = asyncio.create_task(use())
    assert await asyncio.to_thread(begun.wait, 10)
    await database.dispose()
    may_end.set()
    assert [tuple(row) for row in await using] == [(1,)]
    assert connections == []


async def test_a_closed_database_refuses_whatever_comes_later(connections: list[Any], database: Database) -> None:
    await database.dispose()
    with pytest.raises(StoreUnavailable, match="the store is closed"):
        await database.rows("reading", "SELECT 1", ())
    for way in (database.read, database.write, database.snapshot):
        with pytest.raises(StoreUnavailable, match="the store is closed"):
            async with way("working"):
                pass
    await database.dispose()
    assert connections == []
