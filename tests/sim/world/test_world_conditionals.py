"""Conditional orders (conditionals.py, attached.py, endings.py): triggers, refusals, what survives a position."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from trueup.sim.world import ConditionalRequest, OrderRequest, World
from trueup.sim.world.refusals import (
    BadAttachedStop,
    BadTrigger,
    ClosePositionExists,
    ClosePositionWithoutPosition,
    NoPosition,
    NothingToChange,
    ReduceOnlyInHedgeMode,
    ReduceOnlyRefused,
    TooManyConditionals,
    UnknownOrder,
    WouldTriggerImmediately,
)
from trueup.sim.world.types import (
    AttachedStops,
    AttachMode,
    ConditionalKind,
    ConditionalStatus,
    EndReason,
    Leg,
    OrderType,
    Side,
    TimeInForce,
    TriggerBy,
)


def stop(trigger: str | None, quantity: str | None = "0.01", **more: Any) -> ConditionalRequest:
    values: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "side": Side.SELL,
        "kind": ConditionalKind.STOP,
        "order_type": OrderType.MARKET,
        "quantity": None if quantity is None else Decimal(quantity),
        "trigger_price": None if trigger is None else Decimal(trigger),
        "reduce_only": quantity is not None,
        "close_position": quantity is None,
    }
    return ConditionalRequest(**(values | more))


def test_a_stop_triggers_once_and_closes(world: World) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    placed = world.place_conditional("bn", stop("59000"))
    world.set_price("BTCUSDT", "59000.1")
    assert world.look("bn").positions()
    world.set_price("BTCUSDT", "58990")
    assert world.look("bn").positions() == []
    done = world.look("bn").conditional(placed.conditional_id)
    assert done is not None
    assert done.status is ConditionalStatus.FINISHED
    child = world.look("bn").order(done.child_order_id or 0)
    assert child is not None
    assert (child.parent_id, child.average_price) == (placed.conditional_id, 58990)
    assert child.order_id != placed.conditional_id


def test_a_child_keeps_its_id_on_bybit(world: World) -> None:
    world.open_position("by", "BTCUSDT", "long", "0.01")
    placed = world.place_conditional("by", stop("59000"))
    world.set_price("BTCUSDT", "58990")
    child = world.look("by").order(placed.conditional_id)
    assert child is not None
    assert child.parent_kind is ConditionalKind.STOP


@pytest.mark.parametrize(
    ("source", "change", "triggered"),
    [
        (TriggerBy.MARK, {"last": "58000", "mark": "60000"}, False),
        (TriggerBy.MARK, {"last": "60000", "mark": "58000"}, True),
        (TriggerBy.LAST, {"last": "58000", "mark": "60000"}, True),
    ],
)
def test_the_trigger_watches_its_own_price(
    world: World, source: TriggerBy, change: dict[str, str], triggered: bool
) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    world.place_conditional("bn", stop("59000", trigger_by=source))
    world.set_price("BTCUSDT", **change)  # type: ignore[arg-type]
    assert (world.look("bn").open_conditionals() == []) is triggered


def test_a_passed_trigger_is_refused(world: World) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    for price in ("60000", "61000"):
        with pytest.raises(WouldTriggerImmediately):
            world.place_conditional("bn", stop(price))
    with pytest.raises(WouldTriggerImmediately):
        world.place_conditional("bn", stop("59000", kind=ConditionalKind.TAKE_PROFIT))
    with pytest.raises(BadTrigger):
        world.place_conditional("bn", stop(None))


def test_close_position_stops_on_binance(world: World) -> None:
    with pytest.raises(ClosePositionWithoutPosition):
        world.place_conditional("bn", stop("59000", None))
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    first = world.place_conditional("bn", stop("59000", None))
    with pytest.raises(ClosePositionExists):
        world.place_conditional("bn", stop("58000", None))
    world.place_conditional("bn", stop("62000", None, kind=ConditionalKind.TAKE_PROFIT))
    world.open_position("bn", "BTCUSDT", "long", "0.02")
    world.set_price("BTCUSDT", "59000")
    assert world.look("bn").fills()[-1].quantity == Decimal("0.03")
    ended = [o for o in world.look("bn").conditionals() if o.conditional_id != first.conditional_id]
    assert [(o.status, o.end_reason) for o in ended] == [(ConditionalStatus.EXPIRED, EndReason.POSITION_FLAT)]


def test_reduce_only_stops_outlive_their_position_and_never_open(world: World) -> None:
    for account in ("bn", "by"):
        world.open_position(account, "BTCUSDT", "long", "0.01")
        orphan = world.place_conditional(account, stop("59000"))
        world.close_position(account, "BTCUSDT")
        assert [o.conditional_id for o in world.look(account).open_conditionals()] == [orphan.conditional_id]
    world.set_price("BTCUSDT", "58000")
    for account in ("bn", "by"):
        (refused,) = world.look(account).conditionals()
        assert (refused.status, refused.end_reason) == (ConditionalStatus.REJECTED, EndReason.REDUCE_ONLY)
        assert world.look(account).positions() == []


def test_an_orphan_closes_the_next_position_of_the_symbol(world: World) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    world.place_conditional("bn", stop("59000"))
    world.close_position("bn", "BTCUSDT")
    world.open_position("bn", "BTCUSDT", "long", "0.03")
    world.set_price("BTCUSDT", "58000")
    assert [p.quantity for p in world.look("bn").positions()] == [Decimal("0.02")]


def test_a_gte_stop_ends_with_the_position(world: World) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    world.place_conditional("bn", stop("59000", time_in_force=TimeInForce.GTE_GTC))
    world.close_position("bn", "BTCUSDT")
    assert world.look("bn").open_conditionals() == []


def test_reduce_only_rules_differ(world: World) -> None:
    with pytest.raises(ReduceOnlyRefused):
        world.place_conditional("by", stop("59000"))
    world.place_conditional("bn", stop("59000"))
    with pytest.raises(ReduceOnlyInHedgeMode):
        world.place_conditional("bn-hedge", stop("59000", leg=Leg.LONG))


def test_a_hedge_exit_stop_closes_its_leg_only(world: World) -> None:
    world.open_position("bn-hedge", "BTCUSDT", "long", "0.02")
    world.open_position("bn-hedge", "BTCUSDT", "short", "0.01")
    world.place_conditional("bn-hedge", stop("59000", "0.02", leg=Leg.LONG, reduce_only=False))
    world.set_price("BTCUSDT", "58000")
    assert [p.leg for p in world.look("bn-hedge").positions()] == [Leg.SHORT]


def test_a_stop_entry_opens(world: World) -> None:
    world.place_conditional("bn", stop("61000", side=Side.BUY, reduce_only=False))
    world.set_price("BTCUSDT", "61000")
    assert [p.quantity for p in world.look("bn").positions()] == [Decimal("0.01")]


def test_a_stop_limit_rests_after_its_trigger(world: World) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    world.place_conditional("bn", stop("59000", order_type=OrderType.LIMIT, price=Decimal("59500")))
    world.set_price("BTCUSDT", "58000")
    (waiting,) = world.look("bn").open_orders()
    assert waiting.price == 59500
    assert world.look("bn").conditionals()[0].status is ConditionalStatus.TRIGGERED
    world.set_price("BTCUSDT", "59500")
    assert world.look("bn").conditionals()[0].status is ConditionalStatus.FINISHED


def test_trailing_by_rate(world: World) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    request = stop(None, kind=ConditionalKind.TRAILING_STOP, callback_rate=Decimal(1), activation_price=Decimal(61000))
    placed = world.place_conditional("bn", request)

    def trigger_price() -> Decimal | None:
        order = world.look("bn").conditional(placed.conditional_id)
        assert order is not None
        return order.trigger_price

    world.set_price("BTCUSDT", "60900")
    assert trigger_price() is None
    world.set_price("BTCUSDT", "61000")
    assert trigger_price() == Decimal("60390")
    world.set_price("BTCUSDT", "62000")
    world.set_price("BTCUSDT", "61500")
    assert trigger_price() == Decimal("61380")
    world.set_price("BTCUSDT", "61380")
    assert world.look("bn").positions() == []
    with pytest.raises(BadTrigger):
        world.place_conditional("bn", stop(None, kind=ConditionalKind.TRAILING_STOP, callback_rate=Decimal(11)))
    with pytest.raises(BadTrigger):
        world.place_conditional("bn", stop(None, kind=ConditionalKind.TRAILING_STOP))


def test_conditionals_are_limited(world: World) -> None:
    for _ in range(200):
        world.place_conditional("bn", stop("59000"))
    with pytest.raises(TooManyConditionals):
        world.place_conditional("bn", stop("59000"))
    assert len(world.cancel_all_conditionals("bn", "BTCUSDT")) == 200
    world.open_position("by", "BTCUSDT", "long", "0.01")
    for _ in range(10):
        world.place_conditional("by", stop("59000"))
    with pytest.raises(TooManyConditionals):
        world.place_conditional("by", stop("59000"))


def test_amend_and_cancel(world: World) -> None:
    world.open_position("by", "BTCUSDT", "long", "0.01")
    placed = world.place_conditional("by", stop("59000"))
    moved = world.amend_conditional("by", placed.conditional_id, trigger_price=Decimal("59500"))
    assert (moved.conditional_id, moved.trigger_price) == (placed.conditional_id, 59500)
    with pytest.raises(WouldTriggerImmediately):
        world.amend_conditional("by", placed.conditional_id, trigger_price=Decimal("60500"))
    assert world.cancel_conditional("by", placed.conditional_id).status is ConditionalStatus.CANCELED
    with pytest.raises(UnknownOrder):
        world.cancel_conditional("by", placed.conditional_id)
    with pytest.raises(UnknownOrder):
        world.cancel_order("by", placed.conditional_id)


def test_attached_stops_live_and_end_with_their_position(world: World) -> None:
    with pytest.raises(NoPosition):
        world.set_attached_stops("by", "BTCUSDT", Leg.NET, AttachedStops(stop_loss=Decimal(59000)))
    world.open_position("by", "BTCUSDT", "long", "0.01")
    both = AttachedStops(stop_loss=Decimal(59000), take_profit=Decimal(62000))
    world.set_attached_stops("by", "BTCUSDT", Leg.NET, both)
    attached = world.look("by").attached("BTCUSDT", Leg.NET)
    assert attached.stop_loss is not None
    assert attached.take_profit is not None
    with pytest.raises(NothingToChange):
        world.set_attached_stops("by", "BTCUSDT", Leg.NET, both)
    world.set_attached_stops("by", "BTCUSDT", Leg.NET, AttachedStops(stop_loss=Decimal(59500)))
    moved = world.look("by").attached("BTCUSDT", Leg.NET)
    assert moved.stop_loss is not None
    assert (moved.stop_loss.conditional_id, moved.stop_loss.trigger_price) == (
        attached.stop_loss.conditional_id,
        59500,
    )
    assert moved.take_profit == attached.take_profit
    world.set_attached_stops("by", "BTCUSDT", Leg.NET, AttachedStops(take_profit=Decimal(0)))
    assert world.look("by").attached("BTCUSDT", Leg.NET).take_profit is None
    world.open_position("by", "BTCUSDT", "long", "0.02")
    world.set_price("BTCUSDT", "59400")
    assert world.look("by").positions() == []
    assert world.look("by").fills()[-1].quantity == Decimal("0.03")
    assert world.look("by").open_conditionals() == []


def test_attached_stops_vanish_on_an_external_close_and_on_a_flip(world: World) -> None:
    for leave in (lambda: world.close_position("by", "BTCUSDT"), lambda: flip(world)):
        world.open_position("by", "BTCUSDT", "long", "0.01")
        world.set_attached_stops("by", "BTCUSDT", Leg.NET, AttachedStops(stop_loss=Decimal(59000)))
        leave()
        assert world.look("by").open_conditionals() == []


def flip(world: World) -> None:
    world.open_position("by", "BTCUSDT", "short", "0.03")


@pytest.mark.parametrize(
    "stops",
    [
        AttachedStops(stop_loss=Decimal(60000)),
        AttachedStops(take_profit=Decimal(59000)),
        AttachedStops(stop_loss=Decimal(59000), take_profit=Decimal(60000)),
        AttachedStops(trailing_distance=Decimal(100), activation_price=Decimal(59000)),
    ],
)
def test_attached_stops_on_the_wrong_side_change_nothing(world: World, stops: AttachedStops) -> None:
    world.open_position("by", "BTCUSDT", "long", "0.01")
    with pytest.raises(BadAttachedStop):
        world.set_attached_stops("by", "BTCUSDT", Leg.NET, stops)
    assert world.look("by").conditionals() == []


def test_an_attached_trailing_stop_follows_by_distance(world: World) -> None:
    world.open_position("by", "BTCUSDT", "long", "0.01")
    world.set_attached_stops("by", "BTCUSDT", Leg.NET, AttachedStops(trailing_distance=Decimal(500)))
    world.set_price("BTCUSDT", "60800")
    trailing = world.look("by").attached("BTCUSDT", Leg.NET).trailing
    assert trailing is not None
    assert trailing.trigger_price == 60300
    world.set_price("BTCUSDT", "60300")
    assert world.look("by").positions() == []


def test_partial_attached_stops_add_up(world: World) -> None:
    world.open_position("by", "BTCUSDT", "long", "0.03")
    for price in ("59000", "58000"):
        partial = AttachedStops(AttachMode.PARTIAL, stop_loss=Decimal(price), stop_loss_quantity=Decimal("0.01"))
        world.set_attached_stops("by", "BTCUSDT", Leg.NET, partial)
    assert len(world.look("by").open_conditionals()) == 2
    world.set_price("BTCUSDT", "58500")
    assert [p.quantity for p in world.look("by").positions()] == [Decimal("0.02")]


def test_an_order_brings_its_stops(world: World) -> None:
    stops = AttachedStops(stop_loss=Decimal(58000))
    request = OrderRequest("BTCUSDT", Side.BUY, OrderType.MARKET, Decimal("0.01"), attach=stops)
    world.place_order("by", request)
    attached = world.look("by").attached("BTCUSDT", Leg.NET)
    assert attached.stop_loss is not None
    assert attached.stop_loss.trigger_price == 58000
