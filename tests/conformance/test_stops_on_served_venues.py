"""Both adapters' stops against the served simulated venue: what was asked for stands there, and a refusal has its name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from tests.support.guard import Guard, open_house
from trueup.core.keeping import placed_record
from trueup.model.errors import AuthenticationRefused, OutcomeUnknown
from trueup.model.instruments import InstrumentCatalog
from trueup.model.observations import PositionReport
from trueup.model.orders import OrderKind, OrderList, OrderStatus, Side
from trueup.model.positions import AccountMode
from trueup.model.protection import StopOrder, StopRefusal, StopRefused
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.world import types as sim

D = Decimal
ETH = "ETH/USDT:USDT"
PLACE = {"binanceusdm": "/fapi/v1/algoOrder", "bybit": "/v5/order/create"}


@pytest.fixture(params=["binanceusdm", "bybit"])
async def guard(request: pytest.FixtureRequest) -> AsyncIterator[Guard]:
    async with open_house() as house:
        yield house.guard("main", request.param, mode=AccountMode.SYNC)


@pytest.fixture(params=["binanceusdm", "bybit"])
async def hedged(request: pytest.FixtureRequest) -> AsyncIterator[Guard]:
    async with open_house() as house:
        yield house.guard("main", request.param, hedge=True, mode=AccountMode.SYNC)


async def held(guard: Guard, side: Side = Side.LONG, quantity: str = "2") -> PositionReport:
    guard.world.open_position("main", "ETHUSDT", side.value, quantity)
    reports = (await guard.venue.positions(ETH)).reports
    return next(report for report in reports if report.side is side)


def stop(side: Side = Side.LONG, quantity: str | None = "2", trigger: str | None = None, **more: str) -> StopOrder:
    usual = "2850" if side is Side.LONG else "3150"
    return StopOrder(
        symbol=ETH,
        side=side,
        client_order_id=more.get("client_id", "tu-sl-1-x-0"),
        trigger_price=D(trigger or usual),
        quantity=None if quantity is None else D(quantity),
        trigger_by=more.get("by", "mark"),
    )


async def _placed(guard: Guard, side: Side, wanted: StopOrder) -> None:
    await guard.venue.place_stop(await held(guard, side), wanted)
    [order] = (await guard.venue.open_orders(ETH)).orders
    assert (order.kind, order.order_list, order.client_order_id) == (
        OrderKind.STOP,
        OrderList.CONDITIONAL,
        wanted.client_order_id,
    )
    assert order.closes(side)
    assert not order.closes(side.opposite)
    assert (order.trigger_price, order.trigger_by) == (wanted.trigger_price, wanted.trigger_by)
    [stands] = guard.stops()
    assert (stands.quantity, stands.close_position) == (wanted.quantity, wanted.quantity is None)
    # Bybit shows what a stop for the whole position would close now; Binance shows none.
    shown = D(2) if wanted.quantity is None and guard.wire == "bybit" else wanted.quantity
    assert order.quantity == shown
    record = await guard.venue.find_stop(ETH, wanted.client_order_id)
    assert record is not None
    assert (record.order_id, record.status) == (order.order_id, OrderStatus.OPEN)
    assert placed_record("main", order, 1, 0).order_id == order.order_id


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("quantity", ["2", "0.5", None])
@pytest.mark.parametrize("by", ["mark", "last"])
async def test_what_stands_is_what_was_asked_for(guard: Guard, side: Side, quantity: str | None, by: str) -> None:
    await _placed(guard, side, stop(side, quantity, by=by))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("quantity", ["2", None])
async def test_on_a_hedge_leg(hedged: Guard, side: Side, quantity: str | None) -> None:
    hedged.world.open_position("main", "ETHUSDT", side.opposite.value, "5")
    await _placed(hedged, side, stop(side, quantity))


async def test_an_id_that_nobody_used_is_not_found(guard: Guard) -> None:
    assert await guard.venue.find_stop(ETH, "tu-sl-1-x-7") is None


async def test_an_ended_stop_is_found_in_the_history(guard: Guard) -> None:
    await guard.venue.place_stop(await held(guard), stop())
    [order] = guard.stops()
    guard.world.cancel_conditional("main", order.conditional_id)
    record = await guard.venue.find_stop(ETH, "tu-sl-1-x-0")
    assert record is not None
    assert record.status is OrderStatus.CANCELLED


async def refusal(guard: Guard, report: PositionReport, wanted: StopOrder) -> StopRefusal:
    with pytest.raises(StopRefused) as refused:
        await guard.venue.place_stop(report, wanted)
    return refused.value.kind


@pytest.mark.parametrize("side", list(Side))
async def test_a_passed_trigger(guard: Guard, side: Side) -> None:
    trigger = "3001" if side is Side.LONG else "2999"
    assert await refusal(guard, await held(guard, side), stop(side, trigger=trigger)) is StopRefusal.PASSED


async def test_off_the_grid_reads_the_market_list_anew(guard: Guard) -> None:
    before: InstrumentCatalog = await guard.venue.catalog()
    report = await held(guard)
    guard.world.advance(3_600_000)
    assert await refusal(guard, report, stop(trigger="2850.001")) is StopRefusal.OFF_GRID
    assert await guard.venue.catalog() is not before


async def test_above_the_limits(guard: Guard) -> None:
    assert await refusal(guard, await held(guard), stop(quantity="100000000")) is StopRefusal.TOO_LARGE


async def test_below_the_limits() -> None:
    async with open_house() as house:
        guard = house.guard("main", "binanceusdm")
        assert await refusal(guard, await held(guard), stop(quantity="0")) is StopRefusal.TOO_SMALL


async def test_no_room_for_another(guard: Guard) -> None:
    report = await held(guard)
    for number in range(200 if guard.wire == "binance" else 10):
        guard.place("long", "1", str(3100 + number), entry=True)
    assert await refusal(guard, report, stop()) is StopRefusal.TOO_MANY


async def test_the_id_is_taken(guard: Guard) -> None:
    report = await held(guard)
    await guard.venue.place_stop(report, stop())
    assert await refusal(guard, report, stop(trigger="2800")) is StopRefusal.DUPLICATE


async def test_nothing_to_reduce(guard: Guard) -> None:
    report = await held(guard)
    guard.world.close_position("main", "ETHUSDT", "long")
    wanted = stop(quantity=None)  # with a quantity Binance takes a reduce-only stop while flat
    assert await refusal(guard, report, wanted) is StopRefusal.NO_POSITION


async def test_binance_takes_one_close_position_stop_in_a_direction() -> None:
    async with open_house() as house:
        guard = house.guard("main", "binanceusdm")
        report = await held(guard)
        await guard.venue.place_stop(report, stop(quantity=None))
        second = stop(quantity=None, trigger="2840", client_id="tu-sl-1-x-1")
        assert await refusal(guard, report, second) is StopRefusal.WHOLE_EXISTS
        await guard.venue.place_stop(report, stop(trigger="2840", client_id="tu-sl-1-x-2"))
        assert len(guard.stops()) == 2, "a reduce-only one may stand beside it: so it can be replaced"


@pytest.mark.parametrize("trigger", ["299.99", "30000.01"])
async def test_binances_price_band(trigger: str) -> None:
    async with open_house() as house:
        guard = house.guard("main", "binanceusdm")
        side = Side.LONG if trigger < "3" else Side.SHORT
        assert await refusal(guard, await held(guard, side), stop(side, trigger=trigger)) is StopRefusal.OUT_OF_BAND


async def test_another_position_mode(guard: Guard) -> None:
    report = await held(guard)
    guard.world.close_position("main", "ETHUSDT", "long")
    guard.world.set_position_mode("main", sim.PositionMode.HEDGE)
    assert await refusal(guard, report, stop()) is StopRefusal.WRONG_MODE


async def test_no_answer_is_no_refusal(guard: Guard) -> None:
    report = await held(guard)
    guard.fault(Fault(FaultKind.ANSWER_LOST, path=PLACE[guard.plan.venue], method="POST"))
    with pytest.raises(OutcomeUnknown):
        await guard.venue.place_stop(report, stop())
    assert len(guard.stops()) == 1


async def test_a_key_that_may_not_trade_is_another_error(guard: Guard) -> None:
    report = await held(guard)
    code = '{"code":-2015,"msg":"no"}' if guard.wire == "binance" else '{"retCode":10005,"retMsg":"no"}'
    status = 401 if guard.wire == "binance" else 200
    guard.fault(Fault(FaultKind.HTTP_ERROR, path=PLACE[guard.plan.venue], method="POST", status=status, body=code))
    with pytest.raises(AuthenticationRefused):
        await guard.venue.place_stop(report, stop())
