"""Regular orders (matching.py): acceptance, refusals, parts, ends."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from trueup.sim.world import OrderRequest, World
from trueup.sim.world.refusals import (
    DuplicateClientId,
    FillOrKillRefused,
    InsufficientMargin,
    MinNotional,
    PositionSideMismatch,
    PostOnlyRefused,
    PriceFilter,
    QuantityFilter,
    ReduceOnlyInHedgeMode,
    ReduceOnlyRefused,
    Refusal,
    TooManyOrders,
    UnknownOrder,
    UnknownSymbol,
)
from trueup.sim.world.types import (
    EndReason,
    Leg,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)


def limit(side: Side, quantity: str, price: str, **more: Any) -> OrderRequest:
    return OrderRequest("BTCUSDT", side, OrderType.LIMIT, Decimal(quantity), Decimal(price), **more)


def market(side: Side, quantity: str, **more: Any) -> OrderRequest:
    return OrderRequest("BTCUSDT", side, OrderType.MARKET, Decimal(quantity), **more)


def test_a_resting_limit_order_fills_as_maker_at_its_price(world: World) -> None:
    order = world.place_order("bn", limit(Side.BUY, "0.01", "59000"))
    assert order.status is OrderStatus.NEW
    world.set_price("BTCUSDT", "58000")
    filled = world.look("bn").order(order.order_id)
    assert filled is not None
    assert filled.status is OrderStatus.FILLED
    assert filled.average_price == 59000
    assert world.look("bn").fills()[0].maker


def test_a_marketable_limit_order_takes_at_the_market(world: World) -> None:
    order = world.place_order("bn", limit(Side.BUY, "0.01", "61000"))
    assert order.average_price == 60000
    assert not world.look("bn").fills()[0].maker


def test_parts(world: World) -> None:
    world.set_liquidity("BTCUSDT", "0.004", venue="binance")
    order = world.place_order("bn", limit(Side.BUY, "0.010", "60000.1"))
    assert order.status is OrderStatus.PARTIALLY_FILLED
    assert order.filled_quantity == Decimal("0.008")
    order = world.fill_order("bn", order.order_id, "0.001")
    assert order.remaining == Decimal("0.001")
    assert [fill.price for fill in world.look("bn").fills()] == [
        Decimal("60000"),
        Decimal("60000.1"),
        Decimal("60000.1"),
    ]


def test_orders_wait_while_matching_is_off(world: World) -> None:
    world.set_matching(False)
    order = world.place_order("bn", market(Side.BUY, "0.01"))
    assert order.status is OrderStatus.NEW
    assert world.look("bn").positions() == []
    assert world.fill_order("bn", order.order_id).status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (market(Side.BUY, "0.0005"), QuantityFilter),
        (market(Side.BUY, "501"), QuantityFilter),
        (market(Side.BUY, "0"), QuantityFilter),
        (limit(Side.BUY, "0.01", "59000.05"), PriceFilter),
        (limit(Side.BUY, "0.001", "100"), MinNotional),
        (market(Side.BUY, "100"), InsufficientMargin),
        (market(Side.SELL, "0.01", reduce_only=True), ReduceOnlyRefused),
        (market(Side.BUY, "0.01", leg=Leg.LONG), PositionSideMismatch),
        (limit(Side.BUY, "0.01", "60001", time_in_force=TimeInForce.POST_ONLY), PostOnlyRefused),
        (limit(Side.BUY, "0.01", "59000", time_in_force=TimeInForce.FOK), FillOrKillRefused),
        (OrderRequest("NOPE", Side.BUY, OrderType.MARKET, Decimal(1)), UnknownSymbol),
    ],
)
def test_refusals_change_nothing(world: World, request_: OrderRequest, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        world.place_order("bn", request_)
    assert world.look("bn").orders() == []
    assert world.look("bn").wallet("USDT") == 100000


def test_bybit_accepts_and_cancels_what_binance_refuses(world: World) -> None:
    order = world.place_order("by", limit(Side.BUY, "0.01", "60001", time_in_force=TimeInForce.POST_ONLY))
    assert (order.status, order.end_reason) == (OrderStatus.EXPIRED, EndReason.POST_ONLY)
    order = world.place_order("by", limit(Side.BUY, "0.01", "59000", time_in_force=TimeInForce.FOK))
    assert order.end_reason is EndReason.IMMEDIATE_OR_CANCEL
    assert world.look("by").fills() == []


def test_immediate_or_cancel_ends_what_is_left(world: World) -> None:
    world.set_liquidity("BTCUSDT", "0.004", venue="binance")
    order = world.place_order("bn", limit(Side.BUY, "0.01", "60000", time_in_force=TimeInForce.IOC))
    assert (order.status, order.filled_quantity) == (OrderStatus.EXPIRED, Decimal("0.004"))


def test_client_ids_are_unique_among_open_orders_on_binance_and_for_ever_on_bybit(world: World) -> None:
    resting = limit(Side.BUY, "0.01", "59000", client_order_id="mine")
    first = world.place_order("bn", resting)
    with pytest.raises(DuplicateClientId):
        world.place_order("bn", resting)
    world.cancel_order("bn", first.order_id)
    second = world.place_order("bn", resting)
    found = world.look("bn").order_by_client_id("mine")
    assert found is not None
    assert found.order_id == second.order_id
    first = world.place_order("by", resting)
    world.cancel_order("by", first.order_id)
    with pytest.raises(DuplicateClientId):
        world.place_order("by", resting)


def test_reduce_only_beyond_the_position(world: World) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    order = world.place_order("bn", market(Side.SELL, "0.03", reduce_only=True))
    assert (order.status, order.filled_quantity) == (OrderStatus.EXPIRED, Decimal("0.01"))
    world.open_position("by", "BTCUSDT", "long", "0.01")
    order = world.place_order("by", market(Side.SELL, "0.03", reduce_only=True))
    assert (order.status, order.quantity) == (OrderStatus.FILLED, Decimal("0.01"))
    assert world.look("bn").positions() == world.look("by").positions() == []


def test_a_resting_reduce_only_order_ends_with_its_position(world: World) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    order = world.place_order("bn", limit(Side.SELL, "0.01", "62000", reduce_only=True))
    world.close_position("bn", "BTCUSDT")
    ended = world.look("bn").order(order.order_id)
    assert ended is not None
    assert (ended.status, ended.end_reason) == (OrderStatus.EXPIRED, EndReason.POSITION_FLAT)


def test_hedge_legs_are_apart(world: World) -> None:
    world.open_position("bn-hedge", "BTCUSDT", "long", "0.02")
    world.open_position("bn-hedge", "BTCUSDT", "short", "0.01")
    quantities = {p.leg: p.quantity for p in world.look("bn-hedge").positions()}
    assert quantities == {Leg.LONG: Decimal("0.02"), Leg.SHORT: Decimal("-0.01")}
    with pytest.raises(ReduceOnlyInHedgeMode):
        world.place_order("bn-hedge", market(Side.SELL, "0.01", leg=Leg.LONG, reduce_only=True))
    with pytest.raises(ReduceOnlyRefused):
        world.place_order("bn-hedge", market(Side.SELL, "0.03", leg=Leg.LONG))
    world.close_position("bn-hedge", "BTCUSDT", "short")
    assert [p.leg for p in world.look("bn-hedge").positions()] == [Leg.LONG]


def test_cancel_amend_and_what_is_unknown(world: World) -> None:
    order = world.place_order("by", limit(Side.BUY, "0.01", "59000"))
    amended = world.amend_order("by", order.order_id, quantity=Decimal("0.02"), price=Decimal("58000"))
    assert (amended.order_id, amended.quantity, amended.price) == (order.order_id, Decimal("0.02"), 58000)
    assert world.cancel_order("by", order.order_id).status is OrderStatus.CANCELED
    for again in (lambda: world.cancel_order("by", order.order_id), lambda: world.amend_order("by", 5)):
        with pytest.raises(UnknownOrder):
            again()


def test_the_number_of_open_orders_is_limited(world: World) -> None:
    for number in range(200):
        world.place_order("bn", limit(Side.BUY, "0.001", str(50000 + number)))
    with pytest.raises(TooManyOrders):
        world.place_order("bn", limit(Side.BUY, "0.001", "50000"))
    assert len(world.cancel_all("bn", "BTC/USDT:USDT")) == 200


def test_quantity_zero_with_reduce_only_closes_all(world: World) -> None:
    world.open_position("by", "BTCUSDT", "long", "0.017")
    order = world.place_order("by", market(Side.SELL, "0", reduce_only=True))
    assert order.filled_quantity == Decimal("0.017")


def test_orders_that_rest_bind_margin(world: World) -> None:
    world.place_order("bn", limit(Side.BUY, "1", "50000"))
    assert world.look("bn").margin("USDT").order_initial_margin == 2500
    assert world.look("bn").margin("USDT").available == 97500
