"""The old system's repository over a store."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.contract.store.backends import Backend
from tests.contract.store.values import NOW_MS, SHORT, opened
from trueup.model.effects import AmendClose, EffectKind
from trueup.model.errors import ConfigurationError, NotOwner, Unreadable
from trueup.model.events import Severity
from trueup.model.positions import Evidence, ExitReason, PositionStatus
from trueup.model.values import from_json
from trueup.ports import Owner, Store
from trueup.store import PositionNotActive, Repository

OLD_COLUMNS = (
    "id",
    "symbol",
    "exchange",
    "side",
    "entry_price",
    "current_price",
    "quantity",
    "leverage",
    "stop_loss",
    "take_profit",
    "status",
    "pnl",
    "pnl_percentage",
    "exit_reason",
    "trailing_activated",
    "has_trailing_stop",
    "created_at",
    "updated_at",
    "closed_at",
)


async def test_open_positions_have_the_old_columns(backend: Backend) -> None:
    store = await backend.store()
    row_id = await backend.insert_bot_row(side="BUY", exchange="binance")
    owner = await store.claim("other", "test", 60)
    await store.release(owner)
    (row,) = await Repository(store, lambda: NOW_MS).get_open_positions()
    assert set(OLD_COLUMNS) <= set(row)
    assert (row["id"], row["symbol"], row["side"], row["exchange"]) == (row_id, "HIGHUSDT", "long", "binanceusdm")
    assert (row["quantity"], row["entry_price"]) == (Decimal(10), Decimal("1.50"))
    assert row["created_at"] == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert (row["status"], row["pnl"], row["closed_at"]) == ("active", None, None)


async def test_a_close_is_a_legal_move_with_its_event(store: Store) -> None:
    owner = await store.claim("main", "test", 0)
    position = await opened(store, owner)
    repository = Repository(store, lambda: NOW_MS + 7)
    await repository.close_position(position.position_id, 51000.5, Decimal("10.00"), "2.5", "manual")
    (closed,) = await store.positions(status="closed")
    assert closed.close is not None
    assert (closed.close.exit_price, closed.close.realized_pnl) == (Decimal("51000.5"), Decimal("10.00"))
    assert (closed.close.pnl_percentage, closed.close.exit_reason) == (Decimal("2.5"), ExitReason.MANUAL)
    assert (closed.close.evidence, closed.close.complete, closed.close.settle_asset) == (
        Evidence.ABSENCE,
        False,
        "USDT",
    )
    assert (closed.close.closed_at_ms, closed.updated_at_ms) == (NOW_MS + 7, NOW_MS + 7)
    (entry,) = await store.events(position_id=position.position_id)
    assert (entry.type, entry.data["reason"], entry.data["realized_pnl"]) == ("POSITION_CLOSED", "manual", "10.00")
    assert await repository.get_open_positions() == []
    assert await store.owner_of("main") is None
    (later,) = await store.effects(account="main", kind=EffectKind.AMEND_CLOSE)
    assert (later.position_id, from_json(later.payload, AmendClose).grade) == (position.position_id, "absence")


async def test_of_a_row_that_no_look_has_matched_no_history_is_asked(backend: Backend) -> None:
    store = await backend.store()
    row_id = await backend.insert_bot_row(side="BUY", exchange="binance")
    (row,) = await store.positions()
    await Repository(store, lambda: NOW_MS).close_position(row_id, 0, 0, 0, "manual")
    assert await store.effects(account=row.account) == []


async def test_a_phantom_keeps_the_old_event(store: Store) -> None:
    owner = await store.claim("main", "test", 0)
    position = await opened(store, owner)
    await Repository(store, lambda: NOW_MS).close_position(position.position_id, 0, 0, 0, "PHANTOM_ON_SYNC")
    (closed,) = await store.positions(status="closed")
    assert closed.close is not None
    assert (closed.close.exit_price, closed.close.realized_pnl) == (None, Decimal(0))
    (entry,) = await store.events()
    assert (entry.type, entry.severity) == ("PHANTOM_POSITION_CLOSED", Severity.WARNING)
    assert set(entry.data) == {"symbol", "exchange", "position_id", "reason"}


async def test_closing_what_is_not_active_is_an_error_that_loses_nothing(store: Store) -> None:
    owner = await store.claim("main", "test", 0)
    position = await opened(store, owner)
    repository = Repository(store, lambda: NOW_MS)
    await repository.close_position(position.position_id, "51000", "10", "1", "take_profit")
    before = await store.positions(status="all")
    with pytest.raises(PositionNotActive, match=r"closed already \(take_profit\)"):
        await repository.close_position(position.position_id, "1", "1", "1", "manual")
    with pytest.raises(PositionNotActive, match="not in the book"):
        await repository.close_position(999, "1", "1", "1", "manual")
    assert await store.positions(status="all") == before
    assert len(await store.events()) == 1


async def test_what_the_caller_says_is_checked(store: Store) -> None:
    owner = await store.claim("main", "test", 0)
    position = await opened(store, owner)
    repository = Repository(store, lambda: NOW_MS)
    with pytest.raises(ConfigurationError, match=r"one of manual, .* found 'because'"):
        await repository.close_position(position.position_id, "1", "1", "1", "because")
    for bad in (float("nan"), float("inf"), "", "dear"):
        with pytest.raises(Unreadable, match=r"close_price"):
            await repository.close_position(position.position_id, bad, "1", "1", "manual")
    assert await store.positions() == [position]


async def test_a_daemons_account_is_not_written_behind_its_back(store: Store) -> None:
    owner = await store.claim("main", "daemon", 60)
    position = await opened(store, owner)
    with pytest.raises(NotOwner, match="owned by daemon"):
        await Repository(store, lambda: NOW_MS).close_position(position.position_id, "1", "1", "1", "manual")
    owners: dict[str, Owner] = {"main": owner}
    inside = Repository(store, lambda: NOW_MS, owner_of=owners.get)
    await inside.close_position(position.position_id, "1", "1", "1", "manual")
    (closed,) = await store.positions(status="closed")
    assert closed.status is PositionStatus.CLOSED
    assert await store.owner_of("main") == owner


async def test_other_positions_stay_open(store: Store) -> None:
    owner = await store.claim("main", "test", 0)
    first, second = await opened(store, owner), await opened(store, owner, SHORT)
    repository = Repository(store, lambda: NOW_MS)
    await repository.close_position(first.position_id, None, None, None, "external")
    assert [row["id"] for row in await repository.get_open_positions()] == [second.position_id]
