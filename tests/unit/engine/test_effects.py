from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from played_venue import (
    BTC,
    ETH,
    cancel_effect,
    effect_of,
    ended_order,
    open_protected,
    open_row,
    record,
    shown,
    stop_effect,
    stop_order,
)
from telling_parts import START_MS

from trueup.core.keeping import close_effect, sweep_effect
from trueup.engine.closing import request_closes
from trueup.model.changes import ChangeSet, RecordedOrder
from trueup.model.effects import EffectKind, EffectState
from trueup.model.errors import NotOwner, RateLimited, Unobserved
from trueup.model.observations import PositionReport, Quarantined
from trueup.model.orders import OrderKind, OrderList, OrderSide, OrderStatus, Side
from trueup.model.positions import PositionKey


async def test_a_ban_ends_the_pass_and_is_waited_for_between_passes() -> None:
    desk, venue, worker = await open_protected()
    venue.problems[ETH] = RateLimited("open orders", "banned (HTTP 418)", 3600)
    await record(desk, cancel_effect("7", START_MS), cancel_effect("8", START_MS))
    await worker.run_pass(desk.owner, due_only=True)
    assert desk.clock.now_ms() == START_MS
    first, second = await desk.store.effects(account="main")
    assert (first.attempts, first.state) == (1, EffectState.ESCALATED)
    assert first.next_attempt_at_ms == START_MS + 300_000
    assert (second.attempts, second.state) == (0, EffectState.PENDING)


async def test_a_short_rest_is_taken_within_the_pass() -> None:
    desk, venue, worker = await open_protected()
    venue.problems[ETH] = RateLimited("open orders", "too many requests", 3)
    await record(desk, cancel_effect("7", START_MS))
    await worker.run_pass(desk.owner, due_only=True)
    assert (await effect_of(desk, EffectKind.CANCEL_ORDER)).attempts == 3
    assert desk.clock.now_ms() - START_MS == 6_000


async def test_a_naked_position_does_not_wait_for_what_is_left_of_ended_ones() -> None:
    desk, venue, worker = await open_protected()
    venue.problems[ETH] = Unobserved("open orders", "not answered")
    venue.reports = [shown()]
    position_id = await open_row(desk)
    stuck = [cancel_effect(str(number), START_MS) for number in range(20)]
    await record(desk, *stuck, stop_effect(desk, position_id))
    await worker.run_pass(desk.owner, due_only=True)
    assert [at_ms for at_ms, _ in venue.sent] == [START_MS]
    assert desk.clock.now_ms() - START_MS == 1_500, "twenty effects wait for their next attempts together"


async def test_a_clock_that_was_set_back_delays_nothing() -> None:
    desk, venue, worker = await open_protected()
    venue.reports = [shown()]
    await record(desk, stop_effect(desk, await open_row(desk)))
    desk.clock.at_ms -= 3_600_000
    await worker.run_pass(desk.owner, due_only=True)
    assert len(venue.sent) == 1


async def test_what_is_not_due_waits() -> None:
    desk, venue, worker = await open_protected()
    venue.reports = [shown()]
    await record(desk, stop_effect(desk, await open_row(desk)))
    desk.clock.at_ms -= 1_000
    await worker.run_pass(desk.owner, due_only=True)
    assert venue.sent == []
    await worker.run_pass(desk.owner, due_only=False)
    assert len(venue.sent) == 1


@pytest.mark.parametrize("became", [OrderStatus.FILLED, OrderStatus.TRIGGERED])
async def test_a_stop_that_fired_before_its_sweep_was_not_swept(became: OrderStatus) -> None:
    desk, venue, worker = await open_protected()
    position_id = await open_row(desk)
    exit_order = RecordedOrder(
        account="main",
        symbol=BTC,
        order_id="7",
        client_order_id="tu-sl-1-7",
        position_id=position_id,
        order_list=OrderList.CONDITIONAL,
        kind=OrderKind.STOP,
        order_side=OrderSide.SELL,
        status=OrderStatus.OPEN,
        closing=True,
        ours=True,
        seen_at_ms=START_MS,
    )
    sweep = sweep_effect("main", stop_order("7", "tu-sl-1-7", BTC), Side.LONG, position_id, START_MS)
    await desk.store.commit(desk.owner, ChangeSet(account="main", now_ms=0, effects=(sweep,), orders=(exit_order,)))
    venue.records = [ended_order("tu-sl-1-7", became)]
    outcome = await worker.run_pass(desk.owner, due_only=True)
    [kept] = await desk.store.orders_of(position_id)
    assert kept.status is became
    assert (outcome.swept, await desk.types()) == (0, [])


async def test_who_lost_the_account_does_nothing_on_the_venue() -> None:
    desk, venue, worker = await open_protected()
    venue.orders = [stop_order("7", "tu-sl-1-7")]
    await record(desk, cancel_effect("7", START_MS))
    await desk.store.release(desk.owner)
    await desk.store.claim("main", "another process", 60)
    with pytest.raises(NotOwner, match="another process, epoch 2, holds it"):
        await worker.run_pass(desk.owner, due_only=True)
    assert venue.cancelled == []


async def test_a_pause_ends_the_pass_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, venue, worker = await open_protected()
    venue.orders = [stop_order(str(number), f"tu-sl-1-{number}") for number in range(3)]
    await record(desk, *(cancel_effect(str(number), START_MS) for number in range(3)))
    cancel = venue.cancel

    async def cancel_and_pause(*given: object) -> None:
        await cancel(*given)  # type: ignore[arg-type]
        await desk.store.set_paused("main", True, desk.clock.now_ms())

    monkeypatch.setattr(venue, "cancel", cancel_and_pause)
    await worker.run_pass(desk.owner, due_only=True)
    assert venue.cancelled == ["0"]


async def test_an_empty_answer_takes_no_stop_from_a_position_that_the_book_has() -> None:
    desk, venue, worker = await open_protected()
    venue.orders = [stop_order("7", "tu-sl-1-7", BTC)]
    await open_row(desk)
    await record(desk, cancel_effect("7", START_MS, BTC))
    await worker.run_pass(desk.owner, due_only=True)
    assert venue.cancelled == []
    assert await desk.types() == ["ORPHANED_SL_KEPT"]


async def test_a_close_is_not_done_because_the_position_could_not_be_read() -> None:
    desk, venue, worker = await open_protected()
    row = await desk.store.position(await open_row(desk))
    assert row is not None
    await record(desk, close_effect(row, BTC, "", START_MS))
    venue.quarantined = (Quarantined(symbol=BTC, problem="avgPrice: expected a positive price, found 0"),)
    await worker.run_pass(desk.owner, due_only=False)
    effect = await effect_of(desk, EffectKind.CLOSE_POSITION)
    assert effect.state is EffectState.ESCALATED
    assert "expected a positive price" in (effect.last_error or "")


@pytest.mark.parametrize(("largest", "orders"), [(None, 1), ("1", 1), ("0.4", 3), ("0.1", 10)])
async def test_a_position_larger_than_one_market_order_may_be_is_closed_in_parts(
    largest: str | None, orders: int
) -> None:
    desk, venue, worker = await open_protected()
    await open_row(desk)
    venue.reports, venue.largest = [shown()], None if largest is None else Decimal(largest)
    await request_closes(desk.plan, desk.store, desk.clock, desk.owner, PositionKey("main", BTC, Side.LONG), "")
    await worker.run_pass(desk.owner, due_only=False)
    assert venue.reports == []
    effect = await effect_of(desk, EffectKind.CLOSE_POSITION)
    assert (effect.state, effect.outcome, effect.attempts) == (EffectState.DONE, "closed", 1)
    assert len(venue.closes) == len(set(venue.closes)) == orders


async def test_parts_that_somebody_else_meets_are_looked_at_first() -> None:
    """The position is not what the parts left of it: it was added to, or somebody closes too."""
    desk, venue, worker = await open_protected()
    await open_row(desk)
    venue.reports, venue.largest = [shown()], Decimal("0.4")
    closing = venue.close_market

    async def met(report: PositionReport, client_order_id: str) -> None:
        await closing(report, client_order_id)
        venue.reports = [shown(quantity=Decimal("0.7"))]

    venue.close_market = met  # type: ignore[method-assign]
    await request_closes(desk.plan, desk.store, desk.clock, desk.owner, PositionKey("main", BTC, Side.LONG), "")
    await worker.run_pass(desk.owner, due_only=False)
    assert len(venue.closes) == 1
    effect = await effect_of(desk, EffectKind.CLOSE_POSITION)
    assert effect.state is EffectState.ESCALATED
    assert "the position changed since the book was found true" in (effect.last_error or "")


async def test_before_a_sweep_the_orders_are_read_last() -> None:
    """Somebody may take the other stop away between the reading of the orders and the cancel: nothing else comes between."""
    desk, venue, worker = await open_protected()
    position_id = await open_row(desk)
    venue.reports = [shown()]
    venue.orders = [stop_order("7", "tu-sl-1-7", BTC), stop_order("8", "tu-sl-1-8", BTC)]
    await record(desk, sweep_effect("main", venue.orders[0], Side.LONG, position_id, START_MS))
    await worker.run_pass(desk.owner, due_only=True)
    assert venue.asked[:2] == ["position", "orders"]


async def test_a_close_that_used_up_its_orders_can_be_asked_for_again() -> None:
    desk, venue, worker = await open_protected()
    await open_row(desk)
    venue.reports, venue.closes_expire = [shown()], True
    key = PositionKey("main", BTC, Side.LONG)
    await request_closes(desk.plan, desk.store, desk.clock, desk.owner, key, "")
    for _ in range(3):
        await worker.run_pass(desk.owner, due_only=False)
    assert len(venue.closes) == 5
    venue.closes_expire = False
    desk.clock.at_ms += 12 * 3_600_000

    await request_closes(desk.plan, desk.store, desk.clock, desk.owner, key, "")
    await worker.run_pass(desk.owner, due_only=False)

    assert venue.reports == []
    states = [(one.state, one.outcome) for one in await desk.store.effects(account="main")]
    assert states == [
        (EffectState.DONE, "asked for again: a new wish stands in its place"),
        (EffectState.DONE, "closed"),
    ]


async def test_no_close_is_sent_while_an_order_of_an_earlier_wish_stands() -> None:
    desk, venue, worker = await open_protected()
    position_id = await open_row(desk)
    venue.reports = [shown()]
    resting = msgspec.structs.replace(stop_order("9", f"tu-close-{position_id}-early-0", BTC), kind=OrderKind.MARKET)
    venue.orders = [resting]
    await request_closes(desk.plan, desk.store, desk.clock, desk.owner, PositionKey("main", BTC, Side.LONG), "by hand")
    await worker.run_pass(desk.owner, due_only=False)
    assert venue.closes == []


@pytest.mark.parametrize("grown", ["1.5", "0.5"])
async def test_a_position_that_changed_since_gets_the_stop_that_it_needs_now(grown: str) -> None:
    desk, venue, worker = await open_protected()
    position_id = await open_row(desk)
    venue.reports = [msgspec.structs.replace(shown(), quantity=Decimal(grown))]
    await record(desk, stop_effect(desk, position_id))
    outcome = await worker.run_pass(desk.owner, due_only=True)
    [(_, stop)] = venue.sent
    assert stop.quantity == Decimal(grown)
    assert outcome.look_again
