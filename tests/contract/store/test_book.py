"""Positions: what goes in comes out, only legal moves are made, and nothing is half-written."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.contract.store.values import (
    LONG,
    NOW_MS,
    SHORT,
    changes,
    close,
    details,
    event,
    fetched,
    fill,
    new_position,
    opened,
    trade,
    update,
)
from trueup.model.errors import ConfigurationError, Conflict, InvariantBroken
from trueup.model.orders import Side
from trueup.model.positions import Amount, Evidence, ExitReason, Origin, PositionKey, PositionStatus
from trueup.ports import Owner, Store


async def test_an_inserted_position_comes_back_digit_for_digit(store: Store, owner: Owner) -> None:
    position = await opened(
        store,
        owner,
        quantity=Decimal("0.010"),
        contract_size=Decimal("1E-18"),
        entry_price=Decimal("123456789012345678901234567890.000"),
        leverage=Decimal("20"),
        stop_loss=Decimal("49000.50"),
        take_profit=Decimal("70000"),
        unverified=True,
        opening_order_id="abc",
        venue_updated_at_ms=NOW_MS - 3,
        verified_as_of_ms=NOW_MS - 2,
        realized_pnl=Decimal("0.00"),
    )
    assert position.key == LONG
    assert str(position.quantity) == "0.010"
    assert position.contract_size == Decimal("0.000000000000000001")
    assert str(position.entry_price) == "123456789012345678901234567890.000"
    assert (position.stop_loss, position.take_profit) == (Decimal("49000.50"), Decimal("70000"))
    assert str(position.realized_pnl) == "0.00"
    assert (position.status, position.origin, position.version) == (PositionStatus.ACTIVE, Origin.ADOPTED, 0)
    assert (position.created_at_ms, position.updated_at_ms) == (NOW_MS, NOW_MS)
    assert (position.venue_updated_at_ms, position.verified_as_of_ms) == (NOW_MS - 3, NOW_MS - 2)
    assert position.opened_at_ms == NOW_MS - 5_000
    assert position.unverified
    assert position.close is None
    assert (await store.active("main")).positions == (position,)


async def test_what_is_not_known_stays_unknown(store: Store, owner: Owner) -> None:
    position = await opened(store, owner, entry_price=None)
    unknown = (position.entry_price, position.current_price, position.leverage, position.stop_loss)
    assert unknown == (None, None, None, None)
    assert position.realized_pnl is None
    assert position.suspected_since_ms is None


async def test_ids_come_in_the_order_of_the_change_set(store: Store, owner: Owner) -> None:
    keys = [PositionKey("main", f"C{nth}/USDT:USDT", Side.LONG) for nth in (7, 3, 9, 1, 5)]
    committed = await store.commit(owner, changes(opens=tuple(new_position(key) for key in keys)))
    assert list(committed.position_ids) == sorted(committed.position_ids)
    assert [position.key for position in await store.positions()] == keys
    assert [(await fetched(store, i)).key for i in committed.position_ids] == keys


async def test_update_changes_what_it_names_and_counts_the_version(store: Store, owner: Owner) -> None:
    before = await opened(store, owner, leverage=Decimal(5))
    change = update(
        before,
        quantity=Decimal("0.020"),
        current_price=Decimal("50500"),
        suspected_since_ms=NOW_MS + 1,
        trailing_activated=True,
        has_trailing_stop=True,
        unverified=True,
        stop_loss=Decimal("48000"),
        realized_pnl=Decimal("-1.5"),
        opened_at_ms=NOW_MS - 9_000,
        opening_order_id="first",
    )
    await store.commit(owner, changes(now_ms=NOW_MS + 10, updates=(change,)))
    after = await fetched(store, before.position_id)
    assert (after.version, after.updated_at_ms, after.created_at_ms) == (1, NOW_MS + 10, NOW_MS)
    assert (after.quantity, after.entry_price, after.leverage) == (Decimal("0.020"), before.entry_price, Decimal(5))
    assert (after.suspected_since_ms, after.trailing_activated, after.has_trailing_stop) == (NOW_MS + 1, True, True)
    assert (after.stop_loss, after.realized_pnl, after.unverified) == (Decimal("48000"), Decimal("-1.5"), True)
    assert (after.opened_at_ms, after.opening_order_id) == (NOW_MS - 9_000, "first")


async def test_suspicion_is_cleared_by_name(store: Store, owner: Owner) -> None:
    position = await opened(store, owner)
    await store.commit(owner, changes(updates=(update(position, suspected_since_ms=NOW_MS),)))
    suspected = await fetched(store, position.position_id)
    await store.commit(owner, changes(updates=(update(suspected, clear=("suspected_since_ms",)),)))
    assert (await fetched(store, position.position_id)).suspected_since_ms is None


async def test_close_keeps_everything_of_its_details(store: Store, owner: Owner) -> None:
    position = await opened(store, owner, realized_pnl=Decimal("0.5"))
    await store.commit(owner, changes(updates=(update(position, suspected_since_ms=NOW_MS),)))
    position = await fetched(store, position.position_id)
    ended = details(
        quantity=Decimal("0.030"),
        fees=(Amount(asset="BNB", amount=Decimal("0.00010")), Amount(asset="USDT", amount=Decimal("-0.1"))),
        funding=Decimal("-0.20"),
        net_pnl=None,
        pnl_percentage=Decimal("1.99"),
        exit_reason=ExitReason.STOP_LOSS,
        closing_order_id="o-9",
    )
    closing = close(position, details=ended, contract_size=Decimal("0.1"), opening_order_id="first")
    await store.commit(owner, changes(now_ms=NOW_MS + 5, closes=(closing,)))
    after = await fetched(store, position.position_id)
    assert after.close == ended
    assert (after.status, after.version, after.updated_at_ms) == (PositionStatus.CLOSED, 2, NOW_MS + 5)
    assert (after.quantity, after.realized_pnl) == (Decimal("0.030"), Decimal("9.9990"))
    assert (after.contract_size, after.opening_order_id) == (Decimal("0.1"), "first")
    assert after.suspected_since_ms is None
    assert (await store.active("main")).positions == ()
    assert await store.positions(status="closed") == [after]
    assert await store.positions(status="all", account="main") == [after]
    assert await store.positions(status="all", account="other") == []


async def test_unknown_amounts_of_a_close_stay_unknown(store: Store, owner: Owner) -> None:
    position = await opened(store, owner, realized_pnl=Decimal("0.5"))
    ended = details(exit_price=None, realized_pnl=None, evidence=Evidence.ABSENCE, complete=False)
    await store.commit(owner, changes(closes=(close(position, details=ended),)))
    after = await fetched(store, position.position_id)
    assert after.close == ended
    assert after.close is not None
    assert after.close.estimated
    assert after.realized_pnl is None


async def test_a_lifecycle_can_be_inserted_closed(store: Store, owner: Owner) -> None:
    position = await opened(store, owner, close=details(quantity=Decimal(3)))
    assert position.status is PositionStatus.CLOSED
    assert position.close == details(quantity=Decimal(3))
    assert position.quantity == Decimal(3)


async def test_close_and_reopen_in_one_commit(store: Store, owner: Owner) -> None:
    first = await opened(store, owner)
    committed = await store.commit(owner, changes(closes=(close(first),), opens=(new_position(),)))
    second = await fetched(store, committed.position_ids[0])
    assert (await store.active("main")).positions == (second,)
    assert second.position_id != first.position_id


async def test_flip_closes_one_side_and_opens_the_other(store: Store, owner: Owner) -> None:
    first = await opened(store, owner)
    await store.commit(owner, changes(closes=(close(first),), opens=(new_position(SHORT),)))
    assert [position.key for position in (await store.active("main")).positions] == [SHORT]


async def test_both_legs_of_a_hedge_stand_side_by_side(store: Store, owner: Owner) -> None:
    await opened(store, owner)
    await opened(store, owner, SHORT)
    assert {position.key for position in (await store.active("main")).positions} == {LONG, SHORT}


async def test_better_evidence_amends_a_close(store: Store, owner: Owner) -> None:
    position = await opened(store, owner, close=details(evidence=Evidence.ABSENCE, exit_price=None))
    better = details(evidence=Evidence.FILLS)
    await store.commit(owner, changes(closes=(close(position, details=better, amends=True),)))
    after = await fetched(store, position.position_id)
    assert (after.close, after.version) == (better, 1)


async def test_an_amended_close_keeps_the_trades_of_its_change_set_alone(store: Store, owner: Owner) -> None:
    """What was another lifecycle's goes to that one's row."""
    position = await opened(store, owner, close=details())
    other = await opened(store, owner, SHORT, close=details())
    first, wrong = (trade(position_id=position.position_id, fill=fill(trade_id=name)) for name in ("1", "2"))
    theirs = trade(position_id=other.position_id, fill=fill(trade_id="2"))
    await store.commit(owner, changes(trades=(first, wrong, theirs)))
    third = trade(position_id=position.position_id, fill=fill(trade_id="3"))
    await store.commit(owner, changes(closes=(close(position, amends=True),), trades=(first, third)))
    assert [one.fill.trade_id for one in await store.trades_of(position.position_id)] == ["1", "3"]
    assert [one.fill.trade_id for one in await store.trades_of(other.position_id)] == ["2"]


async def test_worse_evidence_amends_nothing(store: Store, owner: Owner) -> None:
    position = await opened(store, owner, close=details())
    worse = close(position, details=details(evidence=Evidence.ABSENCE), amends=True)
    with pytest.raises(InvariantBroken, match="worse"):
        await store.commit(owner, changes(closes=(worse,)))
    assert await fetched(store, position.position_id) == position


async def test_a_unified_symbol_keeps_what_was_written(store: Store, owner: Owner) -> None:
    position = await opened(store, owner, LONG._replace(symbol="BTCUSDT"))
    await store.commit(owner, changes(updates=(update(position, symbol=LONG.symbol),)))
    after = await fetched(store, position.position_id)
    assert (after.symbol, after.written_symbol) == (LONG.symbol, "BTCUSDT")
    await store.commit(owner, changes(closes=(close(after, symbol=LONG.symbol),)))
    assert (await fetched(store, position.position_id)).written_symbol == "BTCUSDT"


async def test_another_version_is_a_conflict_and_writes_nothing(store: Store, owner: Owner) -> None:
    position = await opened(store, owner)
    other = await opened(store, owner, SHORT)
    await store.commit(owner, changes(updates=(update(position, leverage=Decimal(2)),)))
    stale = changes(
        updates=(update(other, leverage=Decimal(9)), update(position, leverage=Decimal(3))),
        opens=(new_position(LONG._replace(symbol="ETH/USDT:USDT")),),
        events=(event(),),
    )
    with pytest.raises(Conflict, match=f"position {position.position_id} is at version 1, this was decided on"):
        await store.commit(owner, stale)
    assert await fetched(store, other.position_id) == other
    assert len(await store.positions()) == 2
    assert await store.events() == []
    with pytest.raises(Conflict, match="version"):
        await store.commit(owner, changes(closes=(close(position),)))


async def test_a_missing_row_is_a_conflict(store: Store, owner: Owner) -> None:
    position = await opened(store, owner)
    ghost = close(position, position_id=999)
    with pytest.raises(Conflict, match="999"):
        await store.commit(owner, changes(closes=(ghost,)))


async def test_illegal_moves_are_broken_invariants(store: Store, owner: Owner) -> None:
    active = await opened(store, owner)
    closed = await opened(store, owner, SHORT, close=details())
    illegal = [
        changes(updates=(update(closed, quantity=Decimal(1)),)),
        changes(closes=(close(closed),)),
        changes(closes=(close(active, amends=True),)),
        changes(updates=(update(active, quantity=Decimal(0)),)),
        changes(updates=(update(active, clear=("quantity",)),)),
        changes(closes=(close(active, details=details(quantity=Decimal(0))),)),
        changes(opens=(new_position(LONG._replace(symbol="X/USDT:USDT"), quantity=Decimal(-1)),)),
        changes(opens=(new_position(LONG._replace(symbol="X/USDT:USDT"), venue="kraken"),)),
        changes(opens=(new_position(LONG._replace(account="other")),)),
        changes(updates=(update(active),), closes=(close(active),)),
        changes(account="other"),
    ]
    for change in illegal:
        with pytest.raises(InvariantBroken):
            await store.commit(owner, change)
    assert await store.positions(status="all") == [active, closed]


async def test_another_accounts_row_cannot_be_changed(store: Store, owner: Owner) -> None:
    other_owner = await store.claim("other", "test", 60)
    committed = await store.commit(
        other_owner, changes(account="other", opens=(new_position(LONG._replace(account="other")),))
    )
    foreign = await fetched(store, committed.position_ids[0])
    with pytest.raises(InvariantBroken, match="'other'"):
        await store.commit(owner, changes(closes=(close(foreign),)))


async def test_a_second_active_row_of_a_key_is_a_conflict(store: Store, owner: Owner) -> None:
    first = await opened(store, owner)
    with pytest.raises(Conflict, match="already in the book"):
        await store.commit(owner, changes(opens=(new_position(),), events=(event(),)))
    twice = (new_position(SHORT, tag="a"), new_position(SHORT, tag="b"))
    with pytest.raises(Conflict):
        await store.commit(owner, changes(opens=twice))
    assert await store.positions(status="all") == [first]
    assert await store.events() == []


async def test_resolving_a_symbol_onto_a_taken_key_is_a_conflict(store: Store, owner: Owner) -> None:
    await opened(store, owner)
    written = await opened(store, owner, LONG._replace(symbol="BTCUSDT"))
    with pytest.raises(Conflict):
        await store.commit(owner, changes(updates=(update(written, symbol=LONG.symbol),)))
    assert (await fetched(store, written.position_id)).symbol == "BTCUSDT"


async def test_an_unknown_status_is_refused(store: Store) -> None:
    with pytest.raises(ConfigurationError, match="active, closed, all"):
        await store.positions(status="open")


async def test_there_is_no_position_that_was_never_there(store: Store) -> None:
    assert await store.position(1) is None
    assert (await store.active("main")).positions == ()


async def test_an_empty_change_set_writes_nothing(store: Store, owner: Owner) -> None:
    committed = await store.commit(owner, changes())
    assert committed.position_ids == committed.event_ids == committed.effect_ids == committed.hold_ids == ()


async def test_a_thousand_changes_in_one_commit(store: Store, owner: Owner) -> None:
    keys = [PositionKey("main", f"C{nth}/USDT:USDT", Side.SHORT) for nth in range(1000)]
    await store.commit(owner, changes(opens=tuple(new_position(key) for key in keys)))
    book = (await store.active("main")).positions
    assert [position.key for position in book] == keys
    moved = tuple(update(position, quantity=Decimal(nth + 1)) for nth, position in enumerate(book[:500]))
    ended = tuple(close(position, details=details(quantity=Decimal(7))) for position in book[500:])
    events = tuple(event(position_id=position.position_id, data={"nth": nth}) for nth, position in enumerate(book))
    committed = await store.commit(owner, changes(updates=moved, closes=ended, events=events))
    after = (await store.active("main")).positions
    assert [position.quantity for position in after] == [Decimal(nth + 1) for nth in range(500)]
    assert len(await store.positions(status="closed")) == 500
    log = await store.events()
    assert [entry.event_id for entry in log] == list(committed.event_ids)
    assert [entry.data["nth"] for entry in log] == list(range(1000))
