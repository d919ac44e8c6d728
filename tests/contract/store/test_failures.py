"""What a person is told when a database is wrong; no text holds a password; nothing is half-written."""

from __future__ import annotations

import os
import sqlite3
import traceback
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.contract.store.backends import PostgresqlBackend, SqlBackend, SqliteBackend
from tests.contract.store.values import changes, event, new_position
from trueup.model.errors import ConfigurationError, StoreUnavailable, TrueupError
from trueup.ports import Owner
from trueup.store import backup, open_store
from trueup.store.commit import fence
from trueup.store.database import Database, Location, locate
from trueup.store.statements import statements_for

SECRET = "hunter2-s3cret"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "trueup.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        f"mysql://user:{SECRET}@host/db",
        f"postgresql://user:{SECRET}@host:port/db",
        f"postgresql://user:{SECRET}@[::1/db",
        f"postgresql://user:7/{SECRET}@host/db",
        f"postgresql://user:7?{SECRET}@host/db",
        f"postgresql://user:7?{SECRET}=1@host/db",
        f"postgresql://user:7#{SECRET}@host/db",
        f"postgresql://user:a@{SECRET}/c@host/db",
    ],
)
def test_a_url_of_another_kind_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^\[store\] url: ") as refused:
        open_store(url)
    shown = "".join(traceback.format_exception(refused.value))
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("url", "dialect", "target"),
    [
        ("sqlite:///book.db", "sqlite", "book.db"),
        ("sqlite:////var/lib/book.db", "sqlite", "/var/lib/book.db"),
        ("postgresql://user@host/db", "postgresql", "postgresql://user@host/db"),
        ("postgres://user@host/db", "postgresql", "postgresql://user@host/db"),
        (
            "postgresql+asyncpg://user@host:5433/db?sslmode=require",
            "postgresql",
            "postgresql://user@host:5433/db?sslmode=require",
        ),
    ],
)
def test_urls(url: str, dialect: str, target: str) -> None:
    location = locate(url)
    assert (location.dialect, location.target) == (dialect, target)


def test_a_location_shows_no_password() -> None:
    location = locate(f"postgresql://user:{SECRET}@db.example:5433/book")
    assert str(location) == "PostgreSQL store book on db.example:5433"
    assert SECRET not in repr(location)
    assert SECRET not in repr(open_store(f"postgresql://user:{SECRET}@db.example/book"))
    assert SECRET in location.target


async def _refusal(url: str) -> TrueupError:
    store = open_store(url)
    try:
        with pytest.raises(TrueupError) as refused:
            await store.open()
    finally:
        await store.aclose()
    assert SECRET not in "".join(traceback.format_exception(refused.value))
    return refused.value


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    error = await _refusal(f"sqlite:///{tmp_path}/nowhere/book.db")
    assert isinstance(error, ConfigurationError)
    assert f"folder {tmp_path}/nowhere does not exist" in str(error)
    assert isinstance(await _refusal(f"sqlite:///{tmp_path}"), ConfigurationError)


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "book.db").write_text("dear diary, " * 100)
    error = await _refusal(f"sqlite:///{tmp_path}/book.db")
    assert isinstance(error, ConfigurationError)
    assert "not an SQLite database; name another file" in str(error)


async def test_a_server_that_is_not_there() -> None:
    error = await _refusal(f"postgresql://user:{SECRET}@127.0.0.1:1/book")
    assert isinstance(error, StoreUnavailable)
    assert not error.maybe_committed
    assert "check that the server runs" in str(error)


async def test_a_server_that_cannot_be() -> None:
    error = await _refusal(f"postgresql://user:{SECRET}@{'a' * 70}.example/book")
    assert isinstance(error, ConfigurationError)
    assert "its host, port or options" in str(error)


async def test_a_database_that_is_not_there(postgres_url: str) -> None:
    error = await _refusal(postgres_url.replace("/test_", "/missing_"))
    assert isinstance(error, ConfigurationError)
    assert "create the database" in str(error)


async def test_a_user_that_is_not_there(postgres_url: str) -> None:
    error = await _refusal(postgres_url.replace("postgres:@", f"stranger:{SECRET}@"))
    assert isinstance(error, ConfigurationError)
    assert "check the user and password" in str(error)


async def test_a_right_that_is_lacking(postgresql_backend: PostgresqlBackend) -> None:
    await postgresql_backend.sql("CREATE ROLE reader LOGIN")
    error = await _refusal(postgresql_backend.url.replace("postgres:@", "reader:@"))
    assert isinstance(error, StoreUnavailable)
    assert "grant this user the right on schema monitoring" in str(error)


async def test_a_read_only_book_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = SqliteBackend(tmp_path)
    store = await backend.store()
    owner = await store.claim("main", "test", 60)
    await backend.aclose()
    # Root may write any file, so the connection itself is made a reader.
    pragmas = ("PRAGMA journal_mode=WAL", "PRAGMA query_only=ON")
    monkeypatch.setattr("trueup.store.database._SQLITE_PRAGMAS", pragmas)
    store = await backend.store()
    with pytest.raises(StoreUnavailable, match="read-only; make both writable"):
        await store.commit(owner, changes(events=(event(),)))
    assert await store.events() == []
    await store.aclose()


async def test_a_full_disk_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = SqliteBackend(tmp_path)
    store = await backend.store()
    owner = await store.claim("main", "test", 60)
    await backend.aclose()
    monkeypatch.setattr("trueup.store.database._SQLITE_PRAGMAS", ("PRAGMA journal_mode=WAL", "PRAGMA max_page_count=1"))
    store = await backend.store()
    big = tuple(event(data={"text": "x" * 2000}) for _ in range(200))
    with pytest.raises(StoreUnavailable, match="disk is full; make room") as refused:
        await store.commit(owner, changes(opens=(new_position(),), events=big))
    assert not refused.value.maybe_committed
    assert await store.positions() == []
    await store.aclose()


async def test_a_bots_long_transaction_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueup.store.database._BUSY_S", 0.05)
    backend = SqliteBackend(tmp_path)
    store = await backend.store()
    owner = await store.claim("main", "test", 60)
    bot = sqlite3.connect(backend.path, isolation_level=None)
    bot.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="write lock for too long") as refused:
        await store.commit(owner, changes(events=(event(),)))
    assert not refused.value.maybe_committed
    assert (await store.active("main")).positions == ()  # readers are not kept waiting
    bot.execute("ROLLBACK")
    bot.close()
    await store.commit(owner, changes(events=(event(),)))
    await backend.aclose()


async def _owner(backend: SqlBackend) -> Owner:
    return await (await backend.store()).claim("main", "test", 60)


async def test_a_lost_answer_to_commit_says_that_it_may_stand(
    sql_backend: SqlBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await _owner(sql_backend)
    store = await sql_backend.store()
    real = AsyncConnection.commit

    async def lost(connection: AsyncConnection) -> None:
        await real(connection)
        raise sa.exc.OperationalError("COMMIT", {}, ConnectionResetError("connection reset by peer"))

    monkeypatch.setattr(AsyncConnection, "commit", lost)
    with pytest.raises(StoreUnavailable) as refused:
        await store.commit(owner, changes(opens=(new_position(),)))
    assert refused.value.maybe_committed
    monkeypatch.undo()
    assert len(await store.positions()) == 1


async def test_a_connection_that_dies_commits_nothing_and_the_next_one_works(
    postgresql_backend: PostgresqlBackend,
) -> None:
    store = await postgresql_backend.store()
    owner = await store.claim("main", "test", 60)
    await postgresql_backend.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'trueup' AND datname = current_database()"
    )
    with pytest.raises(StoreUnavailable) as refused:
        await store.commit(owner, changes(events=(event(),)))
    assert not refused.value.maybe_committed
    await store.commit(owner, changes(events=(event(),)))
    assert len(await store.events()) == 1


async def test_a_process_that_stands_still_within_a_write_keeps_no_lock_for_long(
    postgresql_backend: PostgresqlBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Suspended, or behind a cut line: the server cannot tell, and a takeover would wait for as long."""
    store = await postgresql_backend.store()
    owner = await store.claim("main", "alpha", 0)
    monkeypatch.setattr("trueup.store.database._IDLE_S", 1.0)
    database = Database(locate(postgresql_backend.url))

    async def stand_still() -> None:
        async with database.write("standing still") as connection:
            await fence(connection, statements_for(database.dialect), owner)
            assert (await store.claim("main", "beta", 60)).epoch == 2
            await connection.exec_driver_sql("SELECT 1")

    try:
        with pytest.raises(StoreUnavailable) as refused:
            await stand_still()
        assert not refused.value.maybe_committed
    finally:
        await database.dispose()


async def test_a_server_that_became_a_standby_is_left(postgresql_backend: PostgresqlBackend) -> None:
    """Its connections live on, and would go on refusing; a new one reaches the server that takes writes."""
    store = await postgresql_backend.store()
    ((name,),) = await postgresql_backend.sql("SELECT current_database()")
    await postgresql_backend.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await store.aclose()
    await store.open()
    with pytest.raises(StoreUnavailable, match="takes no writes") as refused:
        await store.claim("main", "test", 60)
    assert not refused.value.maybe_committed
    await store.positions()  # a connection of before
    writable = f"{postgresql_backend.url}&default_transaction_read_only=off"
    await PostgresqlBackend(writable).sql(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    with pytest.raises(StoreUnavailable):
        await store.claim("main", "test", 60)
    assert (await store.claim("main", "test", 60)).epoch == 1
    await store.aclose()


async def test_closing_twice_is_fine_and_a_closed_store_opens_again(sql_backend: SqlBackend) -> None:
    store = await sql_backend.store()
    await store.aclose()
    await store.aclose()
    await store.open()
    assert await store.positions() == []


def test_locations_tell_nothing_by_accident() -> None:
    assert not hasattr(Location("sqlite", "x", "shown"), "__dict__")


async def test_backup_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        await backup(f"sqlite:///{tmp_path}/none.db", tmp_path / "copy.db")
    assert os.listdir(tmp_path) == []
