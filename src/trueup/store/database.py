"""The way to a database: its URL, its connections, its transactions.

1. A transaction is committed whole or not at all; a failure is one of trueup's errors and names no password.
2. On SQLite a write begins with BEGIN IMMEDIATE: what it read cannot change before it is written.
3. Nothing is connected before it is asked for.
4. What began on a connection ends there, also when whoever asked is cancelled meanwhile (`finishing`): the driver works in a
   thread, and a statement that nobody waits for keeps its locks for as long as garbage lies about.
5. Whoever waits for a connection waits here, in order of arrival, and may be cancelled.
6. Closed is closed: what is under way ends, and its connection is closed then; whatever comes later is refused, until it is
   opened again.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from trueup.model.errors import ConfigurationError, StoreUnavailable
from trueup.store.failures import DATABASE_ERRORS, READ_ONLY, sqlstate_of, translated
from trueup.store.tables import Dialect, Tables, tables_for

if TYPE_CHECKING:
    from trueup.store import embedded

__all__ = ["Database", "Location", "finishing", "locate"]

_BUSY_S: Final = 10.0  # how long a write waits for another process's
_CONNECT_S: Final = 10.0
_STATEMENT_S: Final = 60.0
_IDLE_S: Final = 15.0  # between two statements of a transaction: a process that stands still keeps its locks no longer
_QUEUE_S: Final = 60.0  # a thousand accounts that start at once queue for the few connections: that is no outage
_SQLITE_CONNECTIONS: Final = 4
_POSTGRESQL_CONNECTIONS: Final = 10
_SQLITE_PRAGMAS: Final = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA cache_size=-512")
"""Pages are cached by the system too: half a MiB for each connection, not the usual two."""
_SQLITE_OURS: Final = "SELECT count(*) = 0 OR max(name = 'trueup_version') FROM sqlite_master"
"""A new file, or a store: another system's stays in the mode that it was in."""
_POSTGRESQL_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Location:
    """Where a store is. Its `repr` and `str` have no password.

    Attributes:
        target: The file (SQLite) or the URL with its secrets (PostgreSQL).
    """

    __slots__ = ("_shown", "dialect", "target")

    def __init__(self, dialect: Dialect, target: str, shown: str) -> None:
        self.dialect: Dialect = dialect
        self.target = target
        self._shown = shown

    def __str__(self) -> str:
        return self._shown

    def __repr__(self) -> str:
        return f"Location({self._shown!r})"


def locate(url: str) -> Location:
    """Reads `[store] url`.

    Raises:
        ConfigurationError: Neither ``sqlite:///path`` nor ``postgresql://…``.
    """
    scheme, separator, rest = url.partition("://")
    base = scheme.partition("+")[0].lower()
    if separator and base == "sqlite":
        path = rest.removeprefix("/") if rest.startswith("/") else ""
        if not path or path == ":memory:":
            raise ConfigurationError(
                "[store] url: an embedded store needs a file: sqlite:///trueup.db (relative) or "
                "sqlite:////var/lib/trueup/trueup.db (absolute)"
            )
        return Location("sqlite", path, f"SQLite store {path}")
    if separator and base in ("postgresql", "postgres"):
        try:
            parts = urlsplit(f"postgresql://{rest}")
            host, port = parts.hostname or "local socket", parts.port
            parse_qsl(parts.query, strict_parsing=bool(parts.query))
        except ValueError:
            # From None: the parser's own text would quote the URL with its password.
            raise ConfigurationError(
                "[store] url: not a readable PostgreSQL URL; expected postgresql://user@host:5432/database"
            ) from None
        if parts.netloc.count("@") > 1 or "@" in parts.path or "#" in rest or ("@" in parts.query and not parts.path):
            # A part of the password would pass for a host or a database, and be shown as one.
            raise ConfigurationError(
                "[store] url: a / ? # or @ of a user or a password must be written as %2F %3F %23 or %40; or leave the "
                "password to the database's own password file"
            )
        shown = f"PostgreSQL store {parts.path.lstrip('/') or 'default'} on {host}" + (f":{port}" if port else "")
        return Location("postgresql", urlunsplit(parts), shown)
    raise ConfigurationError(
        f"[store] url: expected sqlite:///path or postgresql://user@host/database, found a URL of scheme {scheme[:20]!r}"
        if separator
        else "[store] url: expected sqlite:///path or postgresql://user@host/database, found a text without ://"
    )


async def _connect(path: str, *, foreign_keys: bool = True) -> embedded.Connection:
    from trueup.store import embedded  # late: its driver is of use here alone

    pragmas = (*_SQLITE_PRAGMAS, f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
    return await embedded.connect(path, _BUSY_S, pragmas, _SQLITE_OURS)


def _sqlite_engine(path: str, *, foreign_keys: bool, reads: bool = False) -> AsyncEngine:
    """`reads`: for single statements, after which there is no transaction to roll back; else each transaction may write."""

    async def connect() -> Any:
        return await _connect(path, foreign_keys=foreign_keys)

    ends: dict[str, Any] = {"pool_reset_on_return": None, "skip_autocommit_rollback": True} if reads else {}
    # The thread that ran last is the one to run next: it is warm.
    engine = create_async_engine(
        "sqlite+aiosqlite:///",
        async_creator=connect,
        poolclass=sa.AsyncAdaptedQueuePool,
        pool_size=_SQLITE_CONNECTIONS,
        max_overflow=0,
        pool_use_lifo=True,
        **ends,
    )

    if not reads:

        @sa.event.listens_for(engine.sync_engine, "begin")
        def begin(connection: sa.Connection) -> None:
            driver: Any = connection.connection.driver_connection
            driver.begin()

    return engine


def _driver_errors(dialect: Dialect) -> tuple[type[BaseException], ...]:
    """What may be raised by the driver, bare (while connecting) or wrapped."""
    if dialect == "sqlite":
        return DATABASE_ERRORS  # importing the other driver would cost every command a tenth of a second
    import asyncpg  # type: ignore[import-untyped]

    return (*DATABASE_ERRORS, asyncpg.PostgresError, asyncpg.InterfaceError)


def _postgresql_engine(dsn: str) -> AsyncEngine:
    import asyncpg

    settings = {
        "application_name": "trueup",
        "timezone": "UTC",
        "jit": "off",
        "idle_in_transaction_session_timeout": f"{_IDLE_S * 1000:.0f}",
    }

    async def connect() -> Any:
        try:
            connection = await asyncpg.connect(
                dsn, timeout=_CONNECT_S, command_timeout=_STATEMENT_S, server_settings=settings
            )
        except asyncpg.InterfaceError:
            raise
        except ValueError:
            raise ConfigurationError("[store] url: its host, port or options cannot be what PostgreSQL takes") from None
        try:
            await connection.set_type_codec(
                "timestamptz",
                schema="pg_catalog",
                encoder=_microseconds,
                decoder=_moment,
                format="tuple",
            )
        except BaseException:
            connection.terminate()
            raise
        return connection

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, pool_size=5, max_overflow=_POSTGRESQL_CONNECTIONS - 5
    )

    @sa.event.listens_for(engine.sync_engine, "handle_error")
    def leave(context: sa.ExceptionContext) -> None:
        """A server that became a standby keeps its connections: another one is asked for, which may write."""
        if sqlstate_of(context.original_exception) == READ_ONLY:
            context.is_disconnect = True

    return engine


def _microseconds(moment: datetime) -> tuple[int]:
    return ((moment - _POSTGRESQL_EPOCH) // _MICROSECOND,)


def _moment(value: tuple[int]) -> datetime | str:
    """A TIMESTAMPTZ; one that no `datetime` can be, as a text that nothing reads as a time: a bot may write any."""
    try:
        return _POSTGRESQL_EPOCH + timedelta(microseconds=value[0])
    except OverflowError:
        return f"a time {'after the year 9999' if value[0] > 0 else 'before the year 1'}"


class _Call:
    """One call of a store. `began`: it has its connection."""

    began = False


_call: ContextVar[_Call | None] = ContextVar("trueup_store_call", default=None)

_Store = TypeVar("_Store")


def finishing(store: type[_Store]) -> type[_Store]:
    """Has every asynchronous method of a store end what it began on a connection before its caller's cancellation goes on."""
    for name, method in list(vars(store).items()):
        if inspect.iscoroutinefunction(method):
            setattr(store, name, _finishing(method))
    return store


def _finishing(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def whole(*arguments: Any, **named: Any) -> Any:
        call = _Call()
        token = _call.set(call)
        task = asyncio.ensure_future(method(*arguments, **named))
        _call.reset(token)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not call.began:
                task.cancel()
            while not task.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait((task,))
            if not task.cancelled():
                task.exception()
            raise
        finally:
            del task  # what is raised remembers this frame

    return whole


class Database:
    """One store's connections. None is opened before it is used; `dispose` closes them.

    Args:
        foreign_keys: Off only while SQLite tables are rebuilt.
    """

    def __init__(self, location: Location, *, foreign_keys: bool = True) -> None:
        self.location = location
        self._foreign_keys = foreign_keys
        self.dialect: Dialect = location.dialect
        self.tables: Tables = tables_for(location.dialect)
        self._errors = _driver_errors(location.dialect)
        self._engine: AsyncEngine | None = None
        self._reader: AsyncEngine | None = None
        self._writing = asyncio.Lock()
        count = _SQLITE_CONNECTIONS if self.dialect == "sqlite" else _POSTGRESQL_CONNECTIONS
        self._free = asyncio.Semaphore(count)
        self._free_readers = asyncio.Semaphore(count) if self.dialect == "sqlite" else self._free
        self._readers: list[embedded.Connection] = []
        self._is_closed = False

    def _engines(self) -> tuple[AsyncEngine, AsyncEngine]:
        """The engine, and its way of single statements without a transaction around them."""
        if self._engine is None or self._reader is None:
            if self.dialect == "sqlite":
                target = self.location.target
                self._engine = _sqlite_engine(target, foreign_keys=self._foreign_keys)
                self._reader = _sqlite_engine(target, foreign_keys=self._foreign_keys, reads=True)
            else:
                self._engine = _postgresql_engine(self.location.target)
                self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        return self._engine, self._reader

    def check_place(self) -> None:
        """Says early what SQLite would say badly.

        Raises:
            ConfigurationError: The file's folder does not exist, or the path is a folder.
        """
        if self.dialect != "sqlite":
            return
        path = Path(self.location.target)
        if not path.absolute().parent.is_dir():
            raise ConfigurationError(
                f"[store] url: folder {path.absolute().parent} does not exist; create it or name another file"
            )
        if path.is_dir():
            raise ConfigurationError(f"[store] url: {path} is a folder; name a file in it")

    def reopen(self) -> None:
        """Takes back that it was closed."""
        self._is_closed = False

    async def dispose(self) -> None:
        """Closes what is free, and at its end what is not. Idempotent."""
        self._is_closed = True
        engines, self._engine, self._reader = (self._engine, self._reader), None, None
        readers, self._readers = self._readers, []
        for reader in readers:
            await reader.close()
        for engine in engines:
            if engine is not None:
                await engine.dispose()

    @asynccontextmanager
    async def read(self, doing: str, *, opening: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection for single reading statements (each sees one moment)."""
        try:
            async with self._turn(self._free_readers, doing), self._connected(self._engines()[1]) as connection:
                yield connection
        except self._errors as error:
            raise self._failed(error, doing, opening=opening) from error

    async def rows(self, doing: str, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """Of one statement that reads, without SQLAlchemy's work for each: it took more than the statement did.

        Raises:
            StoreUnavailable: The database does not answer, or refuses.
        """
        try:
            async with self._turn(self._free_readers, doing):
                if self.dialect == "sqlite":
                    return await self._from_reader(sql, parameters)
                async with self._connected(self._engines()[1]) as connection:
                    return list((await connection.exec_driver_sql(sql, tuple(parameters))).fetchall())
        except self._errors as error:
            raise self._failed(error, doing) from error

    async def _from_reader(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """By a connection that only reads; the one that read last reads next, its thread is warm."""
        reader = self._readers.pop() if self._readers else await _connect(self.location.target)
        try:
            found = await reader.rows(sql, parameters)
        except BaseException:
            await reader.close()
            raise
        if self._is_closed:
            await reader.close()
        else:
            self._readers.append(reader)
        return found

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """One of the engine's connections; it is given back, or closed where its pool is gone."""
        async with engine.connect() as connection:
            try:
                yield connection
            finally:
                if self._is_closed:
                    await connection.invalidate()

    @asynccontextmanager
    async def snapshot(self, doing: str) -> AsyncIterator[AsyncConnection]:
        """A connection whose statements all see the same moment (PostgreSQL)."""
        try:
            async with self._turn(self._free, doing):
                engine = self._engines()[0].execution_options(isolation_level="REPEATABLE READ")
                async with self._connected(engine) as connection:
                    yield connection
        except self._errors as error:
            raise self._failed(error, doing) from error

    @asynccontextmanager
    async def write(self, doing: str, *, opening: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed at the end of the block and rolled back on any exception.

        Raises:
            StoreUnavailable: `maybe_committed` if the answer to COMMIT was lost.
            Conflict, InvariantBroken: The book's own rules refused it.
        """
        if self.dialect == "postgresql":
            async with self._transaction(doing, opening) as connection:
                yield connection
            return
        # Our own tasks queue here instead of polling the file's lock.
        async with self._writing, self._transaction(doing, opening) as connection:
            yield connection

    @asynccontextmanager
    async def _turn(self, free: asyncio.Semaphore, doing: str) -> AsyncIterator[None]:
        """One of the connections is ours within the block; from then on the call is carried to its end.

        Raises:
            StoreUnavailable: None came free in time, or the store is closed.
        """
        try:
            async with asyncio.timeout(_QUEUE_S):
                await free.acquire()
        except TimeoutError:
            problem = f"{self.location}: {doing}: none of its connections came free within {_QUEUE_S:.0f} s"
            raise StoreUnavailable(problem) from None
        try:
            if self._is_closed:
                raise StoreUnavailable(f"{self.location}: {doing}: the store is closed")
            call = _call.get()
            if call is not None:
                call.began = True
            yield
        finally:
            free.release()

    @asynccontextmanager
    async def _transaction(self, doing: str, opening: bool) -> AsyncIterator[AsyncConnection]:
        committing = False
        try:
            async with self._turn(self._free, doing), self._connected(self._engines()[0]) as connection:
                yield connection
                committing = True
                await connection.commit()
        except self._errors as error:
            raise self._failed(error, doing, maybe_committed=committing, opening=opening) from error

    def _failed(
        self, error: BaseException, doing: str, *, maybe_committed: bool = False, opening: bool = False
    ) -> Exception:
        if isinstance(error, StoreUnavailable):
            return error
        return translated(
            error, where=str(self.location), doing=doing, maybe_committed=maybe_committed, opening=opening
        )
