"""What happens on the served venues arrives on the stream, decoded to the values that the histories show later."""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby

import msgspec
import pytest
from stream_bench import BOTH, BTC, watch_stream

from tests.support.bench import Bench
from trueup.model.orders import FillKind, OrderKind, OrderList, OrderSide, OrderStatus, Side
from trueup.model.stream import StreamAccount, StreamFill, StreamFunding, StreamUnreadable, StreamUp
from trueup.sim.world.requests import OrderRequest
from trueup.sim.world.types import AttachedStops, Leg, OrderType, TimeInForce
from trueup.sim.world.types import Side as WorldSide

D = Decimal


def market(side: WorldSide, quantity: str, symbol: str = "BTCUSDT", leg: Leg = Leg.NET) -> OrderRequest:
    return OrderRequest(symbol, side, OrderType.MARKET, D(quantity), leg=leg, time_in_force=TimeInForce.IOC)


@pytest.mark.parametrize("venue", BOTH)
async def test_a_life_is_told_fill_by_fill_as_the_history_shows_it(bench: Bench, venue: str) -> None:
    async with watch_stream(bench, venue) as (watched, _, adapter):
        await watched.up()
        assert isinstance(watched.events[0], StreamUp)
        bench.world.open_position("main", "BTCUSDT", "long", "0.5")
        await watched.filled(1)
        bench.world.set_price("BTCUSDT", "61000")
        bench.world.reduce_position("main", "BTCUSDT", "long", "0.2")
        await watched.filled(2)
        bench.world.close_position("main", "BTCUSDT")
        told = await watched.filled(3)
        history = await adapter.fills(BTC, told[0].at_ms - 1_000)

    # Binance's stream names the client order id and not the value, its history the value and not the id.
    beside = {"client_order_id": None, "value": None} if venue == "binanceusdm" else {}
    assert [msgspec.structs.replace(fill, **beside) for fill in told] == [
        msgspec.structs.replace(fill, **beside) for fill in history.fills
    ]
    assert [(fill.order_side, fill.quantity, fill.price) for fill in told] == [
        (OrderSide.BUY, D("0.5"), D(60000)),
        (OrderSide.SELL, D("0.2"), D(61000)),
        (OrderSide.SELL, D("0.3"), D(61000)),
    ]
    if venue == "binanceusdm":
        assert [fill.realized_pnl for fill in told] == [D(0), D(200), D(300)]
    assert [fill.kind for fill in told] == [FillKind.TRADE] * 3
    sizes = [size for size, _ in groupby((p.side, p.quantity) for p in watched.positions())]
    assert sizes[-3:] == [(Side.LONG, D("0.5")), (Side.LONG, D("0.3")), (None, D(0))]
    flat = watched.positions()[-1]
    assert (flat.symbol, flat.leg, flat.entry_price, flat.report) == (BTC, None, None, None)
    assert (flat.of(Side.LONG), flat.of(Side.SHORT)) == (D(0), D(0))
    assert flat.at_ms is not None
    assert flat.at_ms >= told[-1].at_ms
    assert not watched.of(StreamUnreadable)


@pytest.mark.parametrize("venue", BOTH)
async def test_an_open_position_is_told_as_a_look_shows_it(bench: Bench, venue: str) -> None:
    async with watch_stream(bench, venue) as (watched, _, adapter):
        await watched.up()
        bench.world.open_position("main", "BTCUSDT", "short", "0.25")
        await watched.filled(1)
        (seen,) = (await adapter.positions()).reports
        told = watched.positions()[-1]

    assert told.report is not None
    for name in ("symbol", "side", "quantity", "contract_size", "entry_price", "hedge", "sequence", "updated_at_ms"):
        assert getattr(told.report, name) == getattr(seen, name), name
    assert (told.side, told.quantity, told.entry_price) == (Side.SHORT, D("0.25"), D(60000))
    assert (told.of(Side.LONG), told.of(Side.SHORT)) == (D(0), D("0.25"))


@pytest.mark.parametrize("venue", BOTH)
async def test_a_flip_leaves_one_side(bench: Bench, venue: str) -> None:
    async with watch_stream(bench, venue) as (watched, _, _adapter):
        await watched.up()
        bench.world.open_position("main", "BTCUSDT", "long", "0.4")
        await watched.filled(1)
        since = watched.mark()
        bench.world.place_order("main", market(WorldSide.SELL, "1"))
        await watched.until(lambda: any(p.side is Side.SHORT for p in watched.positions(since)))
        fills = await watched.filled(1, since)

    last = watched.positions(since)[-1]
    assert (last.of(Side.LONG), last.of(Side.SHORT)) == (D(0), D("0.6"))
    assert sum(fill.quantity for fill in fills) == D(1)
    assert {fill.order_side for fill in fills} == {OrderSide.SELL}


@pytest.mark.parametrize("venue", BOTH)
async def test_hedge_legs_are_told_apart(bench: Bench, venue: str) -> None:
    async with watch_stream(bench, venue, hedge=True) as (watched, _, _adapter):
        await watched.up()
        bench.world.open_position("main", "BTCUSDT", "long", "0.4")
        bench.world.open_position("main", "BTCUSDT", "short", "0.3")
        await watched.until(lambda: {p.leg for p in watched.positions() if p.quantity} == {Side.LONG, Side.SHORT})
        since = watched.mark()
        bench.world.close_position("main", "BTCUSDT", "long")
        await watched.until(lambda: any(p.leg is Side.LONG and not p.quantity for p in watched.positions(since)))
        fills = await watched.filled(1, since)

    legs = {p.leg: p for p in watched.positions()}
    assert set(legs) == {Side.LONG, Side.SHORT}
    assert (legs[Side.LONG].of(Side.LONG), legs[Side.LONG].of(Side.SHORT)) == (D(0), None)
    assert (legs[Side.SHORT].of(Side.SHORT), legs[Side.SHORT].of(Side.LONG)) == (D("0.3"), None)
    assert legs[Side.SHORT].hedge
    assert legs[Side.SHORT].report is not None
    assert legs[Side.SHORT].report.hedge
    assert fills[0].quantity == D("0.4")
    if venue == "binanceusdm":
        assert fills[0].position_side is Side.LONG


@pytest.mark.parametrize("venue", BOTH)
async def test_a_stop_lives_triggers_and_closes(bench: Bench, venue: str) -> None:
    async with watch_stream(bench, venue) as (watched, _, adapter):
        await watched.up()
        bench.world.open_position("main", "BTCUSDT", "long", "0.5")
        bench.stop_order("main", "BTCUSDT", "long", "0.5", "59000", client_id="our-stop")
        placed = await watched.until(
            lambda: [o for o in watched.orders() if o.live is not None and o.live.kind is OrderKind.STOP]
        )
        (listed,) = (await adapter.open_orders()).orders
        since = watched.mark()
        bench.world.set_price("BTCUSDT", "58900")
        (fill,) = await watched.filled(1, since)
        await watched.until(lambda: any(o.record.status is OrderStatus.FILLED for o in watched.orders(since)))
        lookup = await adapter.lookup_orders(BTC, [fill.order_id])

    live = placed[0].live
    assert live == msgspec.structs.replace(listed, created_at_ms=live.created_at_ms)
    assert (live.order_list, live.trigger_price, live.client_order_id) == (OrderList.CONDITIONAL, D(59000), "our-stop")
    assert live.closes(Side.LONG)
    seen = lookup.get(fill.order_id)
    assert seen is not None
    assert seen.created_by == "stop_loss"
    if venue == "binanceusdm":
        triggered = [
            o for o in watched.orders(since) if o.record.status is OrderStatus.TRIGGERED and o.became is not None
        ]
        # Told before the fill: whoever reads the fill knows already whose it is.
        assert watched.events.index(triggered[0]) < watched.events.index(StreamFill(fill=fill))
        became = triggered[0].became
        assert became is not None
        assert (became.order_id, became.parent_order_id) == (fill.order_id, live.order_id)
        assert (became.kind, became.created_by, became.parent_client_order_id) == (
            seen.kind,
            seen.created_by,
            seen.parent_client_order_id,
        )
    else:
        ended = watched.orders(since)[-1]
        assert ended.live is None
        assert ended.record == seen
    assert watched.positions()[-1].side is None


async def test_bybits_attached_stop_is_told_under_the_id_of_a_look(bench: Bench) -> None:
    async with watch_stream(bench, "bybit") as (watched, _, adapter):
        await watched.up()
        bench.world.open_position("main", "BTCUSDT", "long", "0.5")
        bench.world.set_attached_stops("main", "BTCUSDT", Leg.NET, AttachedStops(stop_loss=D(59000)))
        placed = await watched.until(lambda: [o for o in watched.orders() if o.attached_id is not None])
        await watched.until(lambda: any(p.report and p.report.stop_loss for p in watched.positions()))
        (listed,) = (await adapter.open_orders()).orders
        since = watched.mark()
        bench.world.set_price("BTCUSDT", "58900")
        (fill,) = await watched.filled(1, since)
        await watched.until(lambda: any(o.record.status is OrderStatus.FILLED for o in watched.orders(since)))

    live = placed[0].live
    assert live is not None
    assert (live.order_id, live.order_list) == (listed.order_id, OrderList.ATTACHED)
    assert (live.trigger_price, live.kind, live.quantity) == (listed.trigger_price, listed.kind, listed.quantity)
    ended = watched.orders(since)[-1]
    assert (ended.attached_id, ended.live) == (listed.order_id, None)
    assert (ended.record.order_id, ended.record.created_by) == (fill.order_id, "stop_loss")


@pytest.mark.parametrize("venue", BOTH)
async def test_liquidation_and_adl_are_named(bench: Bench, venue: str) -> None:
    async with watch_stream(bench, venue) as (watched, _, _adapter):
        await watched.up()
        for how, kind, maker in (
            ("liquidate", FillKind.LIQUIDATION, "liquidation"),
            ("auto_deleverage", FillKind.ADL, "adl"),
        ):
            since = watched.mark()
            bench.world.open_position("main", "ETHUSDT", "long", "2")
            await watched.filled(1, since)
            since = watched.mark()
            getattr(bench.world, how)("main", "ETHUSDT")
            fills = await watched.filled(1, since)
            assert {(fill.kind, fill.created_by, fill.order_side) for fill in fills} == {(kind, maker, OrderSide.SELL)}
            assert sum(fill.quantity for fill in fills) == 2
            assert watched.positions(since)[-1].of(Side.LONG) == 0
    assert not watched.of(StreamUnreadable)


@pytest.mark.parametrize("venue", BOTH)
async def test_delivery_is_a_settlement(bench: Bench, venue: str) -> None:
    dated = next(s for s in bench.world.instruments("bybit" if venue == "bybit" else "binance") if s.expiry_ms)
    async with watch_stream(bench, venue) as (watched, _, _adapter):
        await watched.up()
        bench.world.open_position("main", dated.symbol, "short", "0.1" if not dated.inverse else "100")
        await watched.filled(1)
        since = watched.mark()
        bench.world.settle(dated.symbol)
        fills = await watched.filled(1, since)
    assert {(fill.symbol, fill.kind, fill.created_by) for fill in fills} == {
        (dated.unified, FillKind.SETTLEMENT, "settlement")
    }


async def test_bybits_funding_is_money_and_no_fill(bench: Bench) -> None:
    async with watch_stream(bench, "bybit") as (watched, _, adapter):
        await watched.up()
        bench.world.open_position("main", "BTCUSDT", "long", "0.5")
        await watched.filled(1)
        since = watched.mark()
        bench.world.fund("BTCUSDT", venue="bybit")
        (told,) = await watched.until(lambda: watched.of(StreamFunding, since))
        history = await adapter.funding(BTC, told.payment.at_ms - 1_000)
    assert (told.payment,) == history.payments
    assert told.payment.amount < 0
    assert watched.fills(since) == []


async def test_binances_funding_is_told_as_money_of_the_account(bench: Bench) -> None:
    async with watch_stream(bench, "binanceusdm") as (watched, _, _adapter):
        await watched.up()
        bench.world.open_position("main", "BTCUSDT", "long", "0.5")
        await watched.filled(1)
        since = watched.mark()
        bench.world.fund("BTCUSDT", venue="binance")
        (told,) = await watched.until(lambda: watched.of(StreamAccount, since))
    assert told.kind == "FUNDING_FEE"
    assert watched.positions(since) == []


async def test_binances_settings_and_transfers_are_told(bench: Bench) -> None:
    async with watch_stream(bench, "binanceusdm") as (watched, _, _adapter):
        await watched.up()
        bench.world.set_leverage("main", "BTCUSDT", D(7))
        bench.world.transfer("main", "USDT", "5")
        await watched.until(lambda: len(watched.of(StreamAccount)) == 2)
    assert [event.kind for event in watched.of(StreamAccount)] == ["ACCOUNT_CONFIG_UPDATE", "DEPOSIT"]


@pytest.mark.parametrize("venue", BOTH)
async def test_a_limit_order_fills_in_parts_and_its_rest_is_cancelled(bench: Bench, venue: str) -> None:
    async with watch_stream(bench, venue) as (watched, _, adapter):
        await watched.up()
        request = OrderRequest(
            "BTCUSDT", WorldSide.BUY, OrderType.LIMIT, D(1), price=D(59000), client_order_id="rest-in-parts"
        )
        order = bench.world.place_order("main", request)
        bench.world.fill_order("main", order.order_id, D("0.3"))
        await watched.filled(1)
        await watched.until(lambda: any(o.live and o.live.quantity == D("0.7") for o in watched.orders()))
        (listed,) = (await adapter.open_orders()).orders
        since = watched.mark()
        bench.world.cancel_order("main", order.order_id)
        await watched.until(lambda: any(o.record.status is OrderStatus.CANCELLED for o in watched.orders(since)))

    live = [o.live for o in watched.orders() if o.live and o.live.quantity == D("0.7")][-1]
    assert live == msgspec.structs.replace(listed, created_at_ms=live.created_at_ms)
    ended = watched.orders(since)[-1]
    assert (ended.live, ended.record.filled_quantity) == (None, D("0.3"))
