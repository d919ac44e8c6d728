"""Rows that other programs write: read correctly, or refused clearly; the lifecycle holds against anybody's SQL."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from tests.contract.store.backends import BOT_COLUMNS, Backend, SqlBackend
from tests.contract.store.values import LONG, changes, close, details, fetched, new_position, opened, trade, update
from trueup.model.errors import Conflict, Unreadable
from trueup.model.orders import Side
from trueup.model.positions import Origin, PositionStatus
from trueup.model.times import parse_time

NOON_MS = parse_time("2026-01-01T12:00:00Z", "noon")


async def test_nine_columns_suffice(backend: Backend) -> None:
    store = await backend.store()
    row_id = await backend.insert_bot_row()
    assert set(BOT_COLUMNS) == {
        "account",
        "exchange",
        "symbol",
        "side",
        "entry_price",
        "quantity",
        "status",
        "created_at",
        "updated_at",
    }
    (position,) = (await store.active("main")).positions
    assert (position.position_id, position.version, position.venue) == (row_id, 0, "binanceusdm")
    assert (position.symbol, position.written_symbol, position.side) == ("HIGHUSDT", "HIGHUSDT", Side.LONG)
    assert (str(position.quantity), str(position.entry_price)) == ("10", "1.50")
    assert (position.status, position.origin) == (PositionStatus.ACTIVE, Origin.BOT)
    assert position.created_at_ms == position.updated_at_ms == position.opened_at_ms == NOON_MS
    assert (position.trailing_activated, position.has_trailing_stop, position.unverified) == (False, False, False)
    assert position.close is None


@pytest.mark.parametrize(
    ("words", "side"),
    [("long", Side.LONG), ("LONG", Side.LONG), ("Buy", Side.LONG), ("SELL", Side.SHORT), ("Short", Side.SHORT)],
)
async def test_sides_in_a_bots_words(backend: Backend, words: str, side: Side) -> None:
    store = await backend.store()
    await backend.insert_bot_row(side=words)
    assert [position.side for position in (await store.active("main")).positions] == [side]


@pytest.mark.parametrize(
    ("words", "venue"), [("binance", "binanceusdm"), ("BinanceUSDM", "binanceusdm"), ("Bybit", "bybit")]
)
async def test_exchanges_in_a_bots_words(backend: Backend, words: str, venue: str) -> None:
    store = await backend.store()
    await backend.insert_bot_row(exchange=words)
    assert [position.venue for position in (await store.active("main")).positions] == [venue]


async def test_empty_optional_columns_are_unknown(backend: Backend) -> None:
    store = await backend.store()
    none: dict[str, Any] = dict.fromkeys(
        ("entry_price", "current_price", "leverage", "stop_loss", "take_profit", "pnl", "pnl_percentage", "exit_reason")
    )
    flags: dict[str, Any] = {"trailing_activated": None, "has_trailing_stop": None}
    await backend.insert_bot_row(**none, **flags)
    await backend.insert_bot_row(side="sell", entry_price="0", stop_loss="0.0")
    for position in (await store.active("main")).positions:
        assert (position.entry_price, position.stop_loss, position.leverage) == (None, None, None)
        assert not position.has_trailing_stop


@pytest.mark.parametrize(
    "columns",
    [
        {"quantity": None},
        {"quantity": "0"},
        {"quantity": "-1"},
        {"quantity": "NaN"},
        {"quantity": "1e400"},
        {"side": "both"},
        {"exchange": "okx"},
        {"symbol": " "},
        {"stop_loss": "-5"},
        {"entry_price": "NaN"},
        {"created_at": "infinity"},
    ],
    ids=str,
)
async def test_what_cannot_be_read_is_listed_and_never_guessed(backend: Backend, columns: dict[str, Any]) -> None:
    store = await backend.store()
    good = await backend.insert_bot_row(symbol="OKUSDT")
    bad = await backend.insert_bot_row(**columns)
    book = await store.active("main")
    assert [position.position_id for position in book.positions] == [good]
    (row,) = book.unreadable
    (column,) = columns
    assert (row.position_id, row.symbol) == (bad, columns.get("symbol", "HIGHUSDT"))
    assert f"positions row {bad} " in row.problem
    assert f"column {column}: expected" in row.problem
    assert "found" in row.problem
    assert "correct that column" in row.problem
    assert [position.position_id for position in await store.positions(status="all")] == [good]
    with pytest.raises(Unreadable, match=column):
        await store.position(bad)


@pytest.mark.parametrize("at", ["57970-01-01 00:00:00+00", "0044-03-15 00:00:00+00 BC", "-infinity"])
async def test_a_time_that_no_calendar_of_ours_has_hides_no_other_row(sql_backend: SqlBackend, at: str) -> None:
    """PostgreSQL takes the year 57970 where a bot hands it milliseconds for seconds."""
    store = await sql_backend.store()
    good = await sql_backend.insert_bot_row(symbol="OKUSDT")
    bad = await sql_backend.insert_bot_row(created_at=at)
    book = await store.active("main")
    assert [position.position_id for position in book.positions] == [good]
    (row,) = book.unreadable
    assert f"positions row {bad} (HIGHUSDT), column created_at: expected a time" in row.problem
    assert [position.position_id for position in await store.positions(status="all")] == [good]


async def test_a_text_that_is_no_utf8_hides_no_other_row(sql_backend: SqlBackend) -> None:
    if "sqlite" not in sql_backend.url:
        pytest.skip("PostgreSQL takes no such text")
    store = await sql_backend.store()
    good = await sql_backend.insert_bot_row(symbol="OKUSDT")
    bad = await sql_backend.insert_bot_row()
    await sql_backend.sql("UPDATE positions SET symbol = CAST(x'48ff49' AS TEXT) WHERE id = ?", bad)
    for _ in range(2):
        found = (await store.active("main")).positions
        assert [(row.position_id, row.symbol) for row in found] == [(good, "OKUSDT"), (bad, "H\ufffdI")]
    assert len(await store.positions()) == 2


async def test_an_id_that_a_bot_gave_itself_is_passed_over(sql_backend: SqlBackend) -> None:
    store = await sql_backend.store()
    owner = await store.claim("main", "test", 60)
    await sql_backend.insert_bot_row(id=1)
    opening = changes(opens=(new_position(),))
    if "sqlite" not in sql_backend.url:
        with pytest.raises(Conflict, match="somebody gave a row the id"):
            await store.commit(owner, opening)
    assert (await store.commit(owner, opening)).position_ids == (2,)
    assert len(await store.positions()) == 2


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-01 12:00:00", "2026-01-01T12:00:00Z"),
        ("2026-01-01T12:00:00.123456", "2026-01-01T12:00:00.123Z"),
        ("2026-01-01 12:00:00+02:00", "2026-01-01T10:00:00Z"),
        ("2026-01-01 12:00:00 +0200", "2026-01-01T10:00:00Z"),
        ("2026-01-01 12:00:00-05", "2026-01-01T17:00:00Z"),
        ("2026-01-01T12:00:00.5Z", "2026-01-01T12:00:00.500Z"),
        ("2026-01-01 12:00:00 UTC", "2026-01-01T12:00:00Z"),
    ],
)
async def test_times_in_a_bots_words(backend: Backend, text: str, at: str) -> None:
    store = await backend.store()
    await backend.insert_bot_row(created_at=text)
    (position,) = (await store.active("main")).positions
    assert position.created_at_ms == parse_time(at, "at")


@pytest.mark.parametrize("column", ["quantity", "leverage", "created_at", "trailing_activated", "fees", "opened_at"])
async def test_nonsense_that_only_sqlite_takes(sql_backend: SqlBackend, column: str) -> None:
    store = await sql_backend.store()
    row_id = await sql_backend.insert_bot_row()
    if "sqlite" not in sql_backend.url:
        with pytest.raises(asyncpg.PostgresError):
            await sql_backend.sql(f"UPDATE {{s}}positions SET {column} = ? WHERE id = ?", "soon", row_id)
        return
    await sql_backend.sql(f"UPDATE {{s}}positions SET {column} = ? WHERE id = ?", "soon", row_id)
    book = await store.active("main")
    if column == "fees":  # an active row's closing columns are not read
        assert len(book.positions) == 1
        return
    assert "found 'soon'" in book.unreadable[0].problem


async def test_a_bots_binary_float_keeps_its_shortest_digits(sql_backend: SqlBackend) -> None:
    store = await sql_backend.store()
    await sql_backend.insert_bot_row(quantity=0.1, entry_price=2.5)
    (position,) = (await store.active("main")).positions
    assert (str(position.quantity), str(position.entry_price)) == ("0.1", "2.5")


async def test_a_default_time_is_read(sql_backend: SqlBackend) -> None:
    store = await sql_backend.store()
    for side, expression in (("long", "CURRENT_TIMESTAMP"), ("short", None)):
        times = f", {expression}, {expression}" if expression else ""
        columns = ", created_at, updated_at" if expression else ""
        await sql_backend.sql(
            f"INSERT INTO {{s}}positions (account, exchange, symbol, side, quantity{columns}) "
            f"VALUES ('main', 'bybit', 'HIGHUSDT', '{side}', '1'{times}) RETURNING id"
        )
    first, second = (await store.active("main")).positions
    assert abs(first.created_at_ms - second.created_at_ms) < 60_000
    assert first.created_at_ms > NOON_MS


async def test_a_second_active_row_of_a_key_is_refused_in_any_words(backend: Backend) -> None:
    store = await backend.store()
    await backend.insert_bot_row(side="long")
    for words in ("long", "BUY", "Long"):
        with pytest.raises((Conflict, Exception), match=r"already in the book|positions_one_active"):
            await backend.insert_bot_row(side=words)
    assert len((await store.active("main")).positions) == 1
    await backend.insert_bot_row(side="sell")
    await backend.insert_bot_row(account="other")
    assert len(await store.positions()) == 3


async def test_a_bots_row_is_updated_and_closed(backend: Backend) -> None:
    store = await backend.store()
    owner = await store.claim("main", "test", 60)
    row_id = await backend.insert_bot_row(side="BUY", quantity="10.0")
    position = await fetched(store, row_id)
    change = update(position, symbol="HIGH/USDT:USDT", contract_size=Decimal(1), quantity=Decimal("9.0"))
    await store.commit(owner, changes(updates=(change,)))
    position = await fetched(store, row_id)
    assert (position.symbol, position.written_symbol, position.version) == ("HIGH/USDT:USDT", "HIGHUSDT", 1)
    await store.commit(owner, changes(closes=(close(position, details=details(quantity=Decimal("10.0"))),)))
    after = await fetched(store, row_id)
    assert after.close == details(quantity=Decimal("10.0"))
    assert after.origin is Origin.BOT


ILLEGAL = {
    "closed to active": "UPDATE {s}positions SET status = 'active' WHERE status = 'closed'",
    "closed to active, wiped": "UPDATE {s}positions SET status = 'active', evidence = NULL, exit_reason = NULL, "
    "closed_at = NULL, version = version + 1 WHERE status = 'closed'",
    "closed without its columns": "UPDATE {s}positions SET status = 'closed' WHERE status = 'active'",
    "closed as the old system did": "UPDATE {s}positions SET status = 'closed', pnl = '1', exit_reason = 'manual', "
    "closed_at = CURRENT_TIMESTAMP WHERE status = 'active'",
    "closed without the version": "UPDATE {s}positions SET status = 'closed', exit_reason = 'manual', "
    "evidence = 'fills', closed_at = CURRENT_TIMESTAMP WHERE status = 'active'",
    "another status": "UPDATE {s}positions SET status = 'open' WHERE status = 'active'",
    "no status": "UPDATE {s}positions SET status = NULL WHERE status = 'active'",
    "a close rewritten": "UPDATE {s}positions SET pnl = '7' WHERE status = 'closed'",
    "a quantity rewritten": "UPDATE {s}positions SET quantity = '7' WHERE status = 'closed'",
    "a reason of one's own": "UPDATE {s}positions SET exit_reason = 'bored', version = version + 1 "
    "WHERE status = 'closed'",
    "an evidence of one's own": "UPDATE {s}positions SET evidence = 'rumour', version = version + 1 "
    "WHERE status = 'closed'",
    "legacy by hand": "UPDATE {s}positions SET origin = 'legacy'",
    "inserted closed": "INSERT INTO {s}positions (account, exchange, symbol, side, quantity, status) "
    "VALUES ('main', 'bybit', 'X', 'long', '1', 'closed')",
    "inserted as legacy": "INSERT INTO {s}positions (account, exchange, symbol, side, quantity, origin) "
    "VALUES ('main', 'bybit', 'X', 'long', '1', 'legacy')",
    "inserted in another status": "INSERT INTO {s}positions (account, exchange, symbol, side, quantity, status) "
    "VALUES ('main', 'bybit', 'X', 'long', '1', 'open')",
    "deleted with its trades": "DELETE FROM {s}positions",
}


async def test_anybodys_sql_is_held_to_the_lifecycle(sql_backend: SqlBackend) -> None:
    store = await sql_backend.store()
    owner = await store.claim("main", "test", 60)
    active = await opened(store, owner)
    closed = await opened(store, owner, LONG._replace(symbol="ETH/USDT:USDT"), close=details())
    ids = (active.position_id, closed.position_id)
    await store.commit(owner, changes(trades=tuple(trade(position_id=position_id) for position_id in ids)))
    for name, sql in ILLEGAL.items():
        with pytest.raises(Exception, match=r"trueup: |constraint|null value") as refusal:
            await sql_backend.sql(sql)
        assert type(refusal.value).__module__.split(".")[0] in ("sqlite3", "asyncpg"), name
    assert await store.positions(status="all") == [active, closed]


async def test_a_bot_may_write_its_own_columns(sql_backend: SqlBackend) -> None:
    store = await sql_backend.store()
    owner = await store.claim("main", "test", 60)
    active = await opened(store, owner)
    closed = await opened(store, owner, LONG._replace(symbol="ETH/USDT:USDT"), close=details())
    await sql_backend.sql(
        "UPDATE {s}positions SET stop_loss = '1.50', take_profit = '9', leverage = '3', current_price = '2.0', "
        "pnl = '-3', pnl_percentage = '1', has_trailing_stop = TRUE, trailing_activated = TRUE WHERE status = 'active'"
    )
    await sql_backend.sql("UPDATE {s}positions SET current_price = '2.0' WHERE status = 'closed'")
    after = await fetched(store, active.position_id)
    assert (str(after.stop_loss), after.take_profit, after.has_trailing_stop) == ("1.50", Decimal(9), True)
    assert after.version == 0
    assert (await fetched(store, closed.position_id)).close == closed.close


async def test_columns_for_bots_hold_what_the_contract_says(sql_backend: SqlBackend) -> None:
    store = await sql_backend.store()
    owner = await store.claim("main", "test", 60)
    await opened(store, owner, close=details(quantity=Decimal("0.030")))
    (row,) = await sql_backend.sql(
        "SELECT status, pnl, quantity, exit_reason, evidence, exchange, side, symbol, settle_asset, estimated "
        "FROM {s}positions"
    )
    assert row[:5] == ("closed", "9.9990", "0.030", "external", "fills")
    assert row[5:9] == ("binanceusdm", "long", LONG.symbol, "USDT")
    assert str(row[9]).lower() in ("0", "f")
    if "sqlite" in sql_backend.url:
        ((created_at,),) = await sql_backend.sql("SELECT created_at FROM positions")
        assert created_at == "2026-01-01T00:00:00.123Z"


async def test_both_insert_the_same_key_at_once(backend: Backend) -> None:
    store = await backend.store()
    owner = await store.claim("main", "test", 60)
    await backend.insert_bot_row(symbol=LONG.symbol, side="BUY")
    with pytest.raises(Conflict):
        await store.commit(owner, changes(opens=(new_position(),)))
    assert len((await store.active("main")).positions) == 1
