"""The embedded store's connections: SQLAlchemy's way to SQLite, with fewer changes of thread.

A connection's statements run on a thread of its own, so that no disk keeps the event loop waiting. A change of thread and back
costs more than most of the store's statements; aiosqlite makes one to open a cursor, one to run, one to fetch and one to close.

1. A statement is one change of thread: it runs, its rows are fetched and its cursor is closed there.
2. `begin` is sent along with the statement that follows it: nothing is read between the two. What it raises, that raises.
3. A rollback is left out only where nothing is under way and no transaction is open. What was cancelled may still be running:
   then it is sent, and comes after.
4. A text that is no UTF-8 (SQLite takes any) is read with the replacement character: one row of a bot keeps no other from being
   read.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import aiosqlite

__all__ = ["Connection", "connect"]

_BEGIN: Final = "BEGIN IMMEDIATE"
_AGAIN_S: Final = 0.02
_NO_UTF8: Final = "Could not decode to UTF-8"
_LASTING: Final = "PRAGMA journal_mode"

_Ran = tuple[Any, int, int | None, list[Any]]
"""A cursor's description, rowcount and lastrowid, and its rows."""


class Connection(aiosqlite.Connection):
    """What SQLAlchemy takes for aiosqlite's."""

    _begins = False
    _is_unsure = False

    def cursor(self) -> _Cursor:  # type: ignore[override]
        return _Cursor(self)

    def begin(self) -> None:
        """A transaction that may write begins with the next statement."""
        self._begins = True

    async def prepare(self, pragmas: Sequence[str], busy_s: float, ours: str | None) -> None:
        """Runs them, and waits for another's lock itself: where a new file is turned to a write-ahead log SQLite does not."""

        def run() -> None:
            is_ours = ours is None or bool(self._conn.execute(ours).fetchone()[0])
            for pragma in pragmas:
                if is_ours or not pragma.startswith(_LASTING):
                    self._conn.execute(pragma).close()

        until_s = time.monotonic() + busy_s
        while True:
            try:
                await self._step(run)
                return
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until_s:
                    raise
            await asyncio.sleep(_AGAIN_S)

    async def rows(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """Of one statement that reads."""
        return (await self.run(sqlite3.Connection.execute, sql, parameters))[3]

    async def run(self, method: Callable[..., sqlite3.Cursor], sql: str, parameters: Any) -> _Ran:
        """`method`: of `sqlite3.Connection`, ``execute`` or ``executemany``."""
        begins, self._begins = self._begins, False
        ran: _Ran = await self._step(_ran, self._conn, method, sql, parameters, begins)
        return ran

    async def commit(self) -> None:
        if self._begins:
            self._begins = False
        else:
            await self._step(self._conn.commit)

    async def rollback(self) -> None:
        self._begins = False
        if self._is_unsure or self.in_transaction:
            await self._step(self._conn.rollback)
            self._is_unsure = False

    async def _step(self, work: Callable[..., Any], *given: Any) -> Any:
        try:
            return await self._execute(work, *given)  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            self._is_unsure = True
            raise


def _ran(
    connection: sqlite3.Connection, method: Callable[..., sqlite3.Cursor], sql: str, parameters: Any, begins: bool
) -> _Ran:
    if begins:
        connection.execute(_BEGIN)
    try:
        return _fetched(connection, method, sql, parameters)
    except sqlite3.OperationalError as error:
        if not (str(error).startswith(_NO_UTF8) and sql.startswith("SELECT")):
            raise
    # From here on, each text costs this connection a call of Python: the others keep SQLite's own way.
    connection.text_factory = _readable
    return _fetched(connection, method, sql, parameters)


def _readable(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _fetched(connection: sqlite3.Connection, method: Callable[..., sqlite3.Cursor], sql: str, parameters: Any) -> _Ran:
    cursor = method(connection, sql, parameters)
    try:
        rows = cursor.fetchall() if cursor.description is not None else []
        return cursor.description, cursor.rowcount, cursor.lastrowid, rows
    finally:
        cursor.close()


class _Cursor:
    """As SQLAlchemy asks of a driver's cursor: names and order of calls are its own."""

    arraysize = 1
    description: Any = None
    rowcount = -1
    lastrowid: int | None = None

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []

    async def __aenter__(self) -> _Cursor:
        return self

    async def execute(self, sql: str, parameters: Any = ()) -> None:
        self._take(await self._connection.run(sqlite3.Connection.execute, sql, parameters))

    async def executemany(self, sql: str, parameters: Sequence[Any]) -> None:
        self._take(await self._connection.run(sqlite3.Connection.executemany, sql, parameters))

    def _take(self, ran: _Ran) -> None:
        self.description, self.rowcount, self.lastrowid, self._rows = ran

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Closed already, where it ran."""


async def connect(path: str, busy_s: float, pragmas: Sequence[str], ours: str | None = None) -> Connection:
    """A connection in autocommit.

    Args:
        busy_s: How long a statement waits for another's lock.
        pragmas: Run before anything else.
        ours: Asks whether the file may be turned to another journal, which stays when everybody has closed it. None: it may.

    Raises:
        sqlite3.Error: The file cannot be opened, or is no database.
    """

    def connector() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)

    opened = Connection(connector, 64)
    thread: Any = getattr(opened, "_thread", opened)  # before 0.22 the connection is its own thread
    thread.daemon = True
    await opened
    try:
        await opened.prepare(pragmas, busy_s, ours)
    except BaseException:
        await opened.close()
        raise
    return opened
