"""A positions table of the old system is taken over in place: every row and value stays, nothing is guessed."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.contract.store.backends import PostgresqlBackend, SqlBackend, SqliteBackend
from tests.contract.store.values import changes, close, details, fetched, new_position, update
from trueup.model.errors import ConfigurationError, StoreUnavailable
from trueup.model.events import Severity
from trueup.model.orders import Side
from trueup.model.positions import Evidence, ExitReason, Origin, PositionKey, PositionStatus
from trueup.model.times import parse_time
from trueup.store import upgrade
from trueup.store.legacy import LegacyChoiceNeeded

NOON_MS = parse_time("2025-10-03T12:00:00.250Z", "noon")

OLD_TABLE = """
CREATE TABLE {s}positions (
  id {serial},
  symbol VARCHAR(20) NOT NULL,
  exchange VARCHAR(50) NOT NULL,
  side VARCHAR(10) NOT NULL,
  entry_price {float} NOT NULL,
  current_price {float},
  quantity {float} NOT NULL,
  leverage INTEGER DEFAULT 10,
  stop_loss NUMERIC(20, 8),
  take_profit NUMERIC(20, 8),
  status VARCHAR(20) DEFAULT 'active',
  pnl {float},
  pnl_percentage {float},
  exit_reason VARCHAR(10),
  trailing_activated BOOLEAN DEFAULT FALSE,
  has_trailing_stop BOOLEAN,
  signal_id INTEGER,
  fees {float} DEFAULT 0,
  created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP,
  closed_at TIMESTAMP
)
"""
MINIMAL_TABLE = "CREATE TABLE {s}positions (id {serial}, symbol TEXT, side TEXT, quantity {float}, status TEXT)"
COLUMNS = "symbol, exchange, side, entry_price, quantity, status, created_at, updated_at"


def _spelled(backend: SqlBackend, text: str) -> str:
    on_sqlite = isinstance(backend, SqliteBackend)
    text = text.replace("{serial}", "INTEGER PRIMARY KEY" if on_sqlite else "SERIAL PRIMARY KEY")
    return text.replace("{float}", "REAL" if on_sqlite else "DOUBLE PRECISION")


@pytest.fixture(params=["sqlite", "postgresql"])
def old_database(request: pytest.FixtureRequest, tmp_path: Path) -> SqlBackend:
    """An empty database in which trueup never was."""
    if request.param == "sqlite":
        return SqliteBackend(tmp_path)
    return PostgresqlBackend(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def old(old_database: SqlBackend) -> AsyncIterator[SqlBackend]:
    if isinstance(old_database, PostgresqlBackend):
        await old_database.sql("CREATE SCHEMA monitoring")
    yield old_database
    await old_database.aclose()


async def _create(backend: SqlBackend, table: str = OLD_TABLE) -> None:
    await backend.sql(_spelled(backend, table))


async def _insert(backend: SqlBackend, *rows: tuple[Any, ...]) -> None:
    for row in rows:
        marks = ", ".join("NULL" if value is None else f"'{value}'" for value in row)
        await backend.sql(f"INSERT INTO {{s}}positions ({COLUMNS}) VALUES ({marks})")


def _row(
    symbol: str = "HIGHUSDT", exchange: str = "binance", side: str = "long", status: str = "active"
) -> tuple[Any, ...]:
    return (symbol, exchange, side, 0.1, 10.25, status, "2025-10-03 12:00:00.25", "2025-10-03 12:00:00.25")


async def _everything(backend: SqlBackend, columns: str) -> list[tuple[Any, ...]]:
    return await backend.sql(f"SELECT {columns} FROM {{s}}positions ORDER BY id")


async def test_a_table_of_the_old_system_is_taken_over(old: SqlBackend) -> None:
    await _create(old)
    await _insert(old, _row(), _row("BTCUSDT", side="SELL"), _row("ETHUSDT", side="Buy", status="closed"))
    await old.sql(
        "UPDATE {s}positions SET pnl = 1.1, exit_reason = 'manual', closed_at = '2025-10-03 12:00:00.25', signal_id = 7, "
        "fees = 0.3, current_price = 0.30000000000000004 WHERE symbol = 'ETHUSDT'"
    )
    before = await _everything(old, f"id, {COLUMNS}, signal_id")
    report = await upgrade(old.url, legacy_account="main")
    assert report.changed
    assert report.legacy is not None
    assert report.legacy.rows == {"main": 3}
    assert set(report.legacy.added) == {"account", "suspected_since"}
    assert {"entry_price", "quantity"} <= set(report.legacy.converted)
    assert report.legacy.renamed == {"positions.fees": "positions.legacy_fees"}
    assert "rows of the old system that now belong to account main: 3" in str(report)

    after = await _everything(old, f"id, {COLUMNS}, signal_id")
    assert [row[:4] for row in after] == [row[:4] for row in before]
    assert [[str(value) for value in row[4:6]] for row in after] == [["0.1", "10.25"]] * 3
    assert [row[9] for row in after] == [None, None, 7] or [row[9] for row in after] == [None, None, "7"]
    assert [str(row[0]) for row in await _everything(old, "legacy_fees")][2] == "0.3"

    store = await old.store()
    first, second = (await store.active("main")).positions
    assert (first.symbol, first.side, first.venue) == ("HIGHUSDT", Side.LONG, "binanceusdm")
    assert (str(first.entry_price), str(first.quantity)) == ("0.1", "10.25")
    assert (first.created_at_ms, first.opened_at_ms) == (NOON_MS, NOON_MS)
    assert (first.leverage, first.origin, first.version) == (Decimal(10), Origin.BOT, 0)
    assert second.side is Side.SHORT
    (closed,) = await store.positions(status="closed")
    assert closed.close is not None
    assert (closed.close.exit_reason, closed.close.evidence) == (ExitReason.MANUAL, Evidence.ABSENCE)
    assert (closed.close.realized_pnl, closed.close.complete) == (None, False)
    assert str(closed.current_price) == "0.30000000000000004"
    assert [str(row[0]) for row in await _everything(old, "pnl")][2] == "1.1"

    (note,) = await store.events(type="LEGACY_MIGRATED")
    assert (note.account, note.severity, note.data["rows"]) == ("main", Severity.INFO, 3)
    again = await upgrade(old.url, legacy_account="other")
    assert not again.changed
    assert await store.events(type="LEGACY_MIGRATED") == [note]


async def test_the_book_lives_on_after_it_was_taken_over(old: SqlBackend) -> None:
    await _create(old)
    await _insert(old, _row(), _row("ETHUSDT", status="closed"))
    await upgrade(old.url, legacy_account="main")
    store = await old.store()
    owner = await store.claim("main", "test", 60)
    (position,) = (await store.active("main")).positions
    await store.commit(owner, changes(updates=(update(position, symbol="HIGH/USDT:USDT", quantity=Decimal("0.010")),)))
    position = await fetched(store, position.position_id)
    key = PositionKey("main", "A-LONG-BASE-NAME/USDT:USDT-301227", Side.SHORT)
    committed = await store.commit(
        owner,
        changes(
            closes=(close(position, details=details(exit_reason=ExitReason.TRAILING_STOP)),), opens=(new_position(key),)
        ),
    )
    assert committed.position_ids[0] > 2
    assert (await fetched(store, position.position_id)).status is PositionStatus.CLOSED
    # An old close without evidence can be amended by what the venue's history proves.
    await old.insert_bot_row(symbol="BTCUSDT")
    with pytest.raises((sqlite3.IntegrityError, asyncpg.PostgresError), match="trueup"):
        await old.sql("UPDATE {s}positions SET status = 'active' WHERE symbol = 'ETHUSDT'")
    with pytest.raises((sqlite3.IntegrityError, asyncpg.PostgresError), match="trueup"):
        await old.sql("UPDATE {s}positions SET status = 'closed', exit_reason = 'manual' WHERE symbol = 'BTCUSDT'")


async def test_a_minimal_table_gets_what_it_lacks(old: SqlBackend) -> None:
    await _create(old, MINIMAL_TABLE)
    await old.sql("INSERT INTO {s}positions (symbol, side, quantity, status) VALUES ('HIGHUSDT', 'buy', 3, 'ACTIVE')")
    with pytest.raises(LegacyChoiceNeeded, match="name no exchange") as asked:
        await upgrade(old.url, legacy_account="main")
    assert asked.value.choice == "exchange"
    with pytest.raises(ConfigurationError, match="found 'okx'"):
        await upgrade(old.url, legacy_account="main", legacy_exchange="okx")
    report = await upgrade(old.url, legacy_account="main", legacy_exchange="bybit")
    assert report.legacy is not None
    assert report.legacy.statuses == {"ACTIVE": 1}
    store = await old.store()
    (position,) = (await store.active("main")).positions
    assert (position.venue, position.entry_price, position.quantity) == ("bybit", None, Decimal(3))


async def test_which_account_is_asked_and_nothing_is_changed_before(old: SqlBackend) -> None:
    await _create(old)
    await _insert(old, _row(), _row("BTCUSDT", exchange="bybit"))
    before = await _everything(old, "*")
    with pytest.raises(LegacyChoiceNeeded, match="1 of binance, 1 of bybit") as asked:
        await upgrade(old.url, legacy_account="main")
    assert (asked.value.choice, asked.value.found) == ("account", ("binance", "bybit"))
    assert await _everything(old, "*") == before
    report = await upgrade(old.url, legacy_accounts={"binance": "main", "Bybit": "second"})
    assert report.legacy is not None
    assert report.legacy.rows == {"main": 1, "second": 1}


async def test_an_empty_table_needs_no_answer(old: SqlBackend) -> None:
    await _create(old)
    report = await upgrade(old.url)
    assert report.legacy is not None
    assert report.legacy.rows == {}


async def test_an_account_column_that_stands_there_is_believed(old: SqlBackend) -> None:
    await _create(old, MINIMAL_TABLE.replace("status TEXT", "status TEXT, account TEXT, exchange TEXT"))
    for account in ("'first'", "NULL"):
        await old.sql(
            "INSERT INTO {s}positions (symbol, side, quantity, status, account, exchange) "
            f"VALUES ('HIGHUSDT', 'buy', 3, 'active', {account}, 'binance')"
        )
    report = await upgrade(old.url, legacy_account="second")
    assert report.legacy is not None
    assert report.legacy.rows == {"first": 1, "second": 1}


async def test_two_active_rows_of_one_key_are_asked_about(old: SqlBackend) -> None:
    await _create(old)
    await _insert(old, _row(side="long"), _row(side="BUY"), _row(side="sell"))
    with pytest.raises(LegacyChoiceNeeded, match="rows 1 have a newer one") as asked:
        await upgrade(old.url, legacy_account="main")
    assert (asked.value.choice, asked.value.found) == ("keep_newest", ("1",))
    report = await upgrade(old.url, legacy_account="main", keep_newest=True)
    assert report.legacy is not None
    assert report.legacy.superseded == (1,)
    store = await old.store()
    assert [position.position_id for position in (await store.active("main")).positions] == [2, 3]
    assert [row[0] for row in await _everything(old, "status")] == ["superseded", "active", "active"]


async def test_statuses_of_the_old_system(old: SqlBackend) -> None:
    await _create(old)
    words = ("active", "Open", "CLOSED", "canceled", "rolled_back")
    await _insert(old, *(_row(f"C{nth}USDT", status=word) for nth, word in enumerate(words)))
    report = await upgrade(old.url, legacy_account="main")
    assert report.legacy is not None
    assert report.legacy.statuses == {"Open": 1, "CLOSED": 1}
    assert [row[0] for row in await _everything(old, "status")] == [
        "active",
        "active",
        "closed",
        "canceled",
        "rolled_back",
    ]
    store = await old.store()
    book = await store.active("main")
    assert [position.symbol for position in book.positions] == ["C0USDT", "C1USDT"]
    assert book.unreadable == ()


async def test_unreadable_old_rows_are_kept_and_listed(old: SqlBackend) -> None:
    await _create(old, MINIMAL_TABLE.replace("status TEXT", "status TEXT, exchange TEXT"))
    await old.sql(
        "INSERT INTO {s}positions (symbol, side, quantity, status, exchange) VALUES ('A', NULL, 1, 'active', 'bybit')"
    )
    await old.sql(
        "INSERT INTO {s}positions (symbol, side, quantity, status, exchange) VALUES (NULL, 'buy', 1, 'active', 'bybit')"
    )
    await old.sql(
        "INSERT INTO {s}positions (symbol, side, quantity, status, exchange) VALUES ('B', 'buy', 0, 'active', 'bybit')"
    )
    await upgrade(old.url, legacy_account="main")
    book = await (await old.store()).active("main")
    assert book.positions == ()
    assert [row.problem.split("column ")[1].split(":")[0] for row in book.unreadable] == ["side", "symbol", "quantity"]


async def test_other_tables_of_the_old_system_are_kept_under_another_name(old: SqlBackend) -> None:
    await _create(old)
    await _insert(old, _row())
    await old.sql(
        _spelled(
            old, "CREATE TABLE {s}trades (id {serial}, position_id INTEGER REFERENCES {s}positions (id), note TEXT)"
        )
    )
    await old.sql("INSERT INTO {s}trades (position_id, note) VALUES (1, 'mine')")
    report = await upgrade(old.url, legacy_account="main")
    assert report.legacy is not None
    assert report.legacy.renamed["trades"] == "legacy_trades"
    assert [row[1:] for row in await old.sql("SELECT id, note FROM {s}legacy_trades")] == [("mine",)]
    with pytest.raises((sqlite3.IntegrityError, asyncpg.PostgresError)):
        await old.sql("DELETE FROM {s}positions")


async def test_a_table_whose_name_a_later_revision_needs_is_kept_too(old: SqlBackend) -> None:
    await _create(old)
    await old.sql(_spelled(old, "CREATE TABLE {s}trailing (id {serial}, note TEXT)"))
    report = await upgrade(old.url)
    assert report.legacy is not None
    assert report.legacy.renamed["trailing"] == "legacy_trailing"
    assert await old.sql("SELECT note FROM {s}legacy_trailing") == []


async def test_an_index_of_the_old_table_survives(old: SqlBackend) -> None:
    await _create(old)
    await old.sql("CREATE INDEX mine ON {s}positions (symbol, status)")
    await _insert(old, _row())
    await upgrade(old.url, legacy_account="main")
    catalogue = "sqlite_master WHERE name" if isinstance(old, SqliteBackend) else "pg_indexes WHERE indexname"
    assert await old.sql(f"SELECT 1 FROM {catalogue} = 'mine'") in ([(1,)], [("1",)])


async def test_a_rule_that_refuses_our_rows_is_named(old: SqlBackend) -> None:
    await _create(old)
    await _insert(old, _row())
    await old.sql("CREATE UNIQUE INDEX once_ever ON {s}positions (symbol)")
    with pytest.raises(ConfigurationError, match=r"refuses rows that trueup writes: .*(once_ever|symbol)"):
        await upgrade(old.url, legacy_account="main")
    assert len(await _everything(old, "id")) == 1
    await old.sql("DROP INDEX {s}once_ever")
    assert (await upgrade(old.url, legacy_account="main")).changed


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("CREATE TABLE {s}positions (id {serial}, dish TEXT)", "no column symbol, side, quantity, status"),
        (
            "CREATE VIEW {s}positions AS SELECT 1 AS id, 'a' AS symbol, 'b' AS side, 1 AS quantity, 'c' AS status",
            "view|ordinary",
        ),
        ("CREATE TABLE {s}positions (id TEXT, symbol TEXT, side TEXT, quantity {float}, status TEXT)", "id"),
    ],
)
async def test_what_is_no_book_is_refused(old: SqlBackend, table: str, problem: str) -> None:
    await _create(old, table)
    if "id TEXT" in table:
        await old.sql("INSERT INTO {s}positions (id) VALUES ('a-b-c')")
    with pytest.raises(ConfigurationError, match=problem):
        await upgrade(old.url, legacy_account="main", legacy_exchange="bybit")


async def test_what_only_postgresql_has(postgres_url: str) -> None:
    old = PostgresqlBackend(postgres_url)
    await old.sql("CREATE SCHEMA monitoring")
    await old.sql("CREATE TYPE side_word AS ENUM ('LONG', 'SHORT')")
    await old.sql(
        "CREATE TABLE {s}positions (id BIGINT GENERATED ALWAYS AS IDENTITY, symbol TEXT, side side_word, "
        "quantity NUMERIC(20, 8), status VARCHAR(8), exchange TEXT, trade_ref UUID NOT NULL, created_at TIMESTAMPTZ(0))"
    )
    await old.sql(
        "INSERT INTO {s}positions (symbol, side, quantity, status, exchange, trade_ref, created_at) VALUES "
        "('HIGHUSDT', 'SHORT', 0.01, 'active', 'binance', gen_random_uuid(), '2025-10-03 14:00:00+02')"
    )
    with pytest.raises(ConfigurationError, match="trade_ref must be written and have no default"):
        await upgrade(old.url, legacy_account="main")
    await old.sql("ALTER TABLE {s}positions ALTER COLUMN trade_ref SET DEFAULT gen_random_uuid()")
    await upgrade(old.url, legacy_account="main")
    (position,) = (await (await old.store()).active("main")).positions
    assert (position.side, str(position.quantity)) == (Side.SHORT, "0.01000000")
    assert position.created_at_ms == parse_time("2025-10-03T12:00:00Z", "at")
    await old.aclose()


async def test_what_only_sqlite_has(tmp_path: Path) -> None:
    old = SqliteBackend(tmp_path)
    await old.sql(MINIMAL_TABLE.replace("{serial}", "INTEGER PRIMARY KEY").replace("{float}", "DECIMAL(20,8)"))
    await old.sql("INSERT INTO positions VALUES (41, 'A', 'buy', 0.30000000000000004, 'active')")
    await old.sql("INSERT INTO positions VALUES (42, 'B', 'buy', 12345678901234567, 'active')")
    await old.sql("CREATE VIEW mine AS SELECT symbol FROM positions")
    await old.sql("CREATE TRIGGER touch AFTER INSERT ON positions BEGIN SELECT 1; END")
    with pytest.raises(ConfigurationError, match=r"triggers \(touch\)"):
        await upgrade(old.url, legacy_account="main", legacy_exchange="bybit")
    await old.sql("DROP TRIGGER touch")
    await upgrade(old.url, legacy_account="main", legacy_exchange="bybit")
    assert await old.sql("SELECT symbol FROM mine") == [("A",), ("B",)]
    assert await old.sql("SELECT quantity FROM positions") == [("0.30000000000000004",), ("12345678901234567",)]
    assert await old.insert_bot_row() == 43
    await old.aclose()


async def test_a_lock_on_the_old_table_is_no_half_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueup.store.database._BUSY_S", 0.05)
    old = SqliteBackend(tmp_path)
    await _create(old)
    await _insert(old, _row())
    bot = sqlite3.connect(old.path, isolation_level=None)
    bot.execute("PRAGMA journal_mode=WAL")
    bot.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="write lock"):
        await upgrade(old.url, legacy_account="main")
    bot.execute("ROLLBACK")
    bot.close()
    assert (await upgrade(old.url, legacy_account="main")).changed
