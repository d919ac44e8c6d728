"""Both adapters against the served simulated venue: what they read is what its world holds, and its faults are seen."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

import aiohttp
import pytest

from trueup.model.effects import CancelOrder
from trueup.model.errors import (
    AccountMismatch,
    AuthenticationRefused,
    ClockSkewed,
    OutcomeUnknown,
    RateLimited,
    UnknownOrder,
    Unobserved,
)
from trueup.model.observations import SurfaceVerdict
from trueup.model.orders import Fill, FillKind, OpenOrder, OrderKind, OrderList, OrderStatus, Side
from trueup.model.times import DAY_MS
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.server import VenueServer
from trueup.sim.world import ConditionalRequest, ManualClock, OrderRequest, World
from trueup.sim.world import types as sim
from trueup.sim.world.account import AccountSpec
from trueup.sim.world.ids import uuid_text
from trueup.venues import open_venue
from trueup.venues.binance import messages as binance_messages
from trueup.venues.binance.adapter import BinanceVenue
from trueup.venues.bybit import messages as bybit_messages
from trueup.venues.bybit.adapter import BybitVenue
from trueup.venues.limits import RequestBudget

START_MS = 1_790_000_000_000
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
VENUES = {"binanceusdm": "binance", "bybit": "bybit"}


class WorldClock:
    """Our clock runs with the world's; sleeping is done in no time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.behind_ms = 0

    def now_ms(self) -> int:
        return self._world.now_ms() - self.behind_ms

    def monotonic_s(self) -> float:
        return self._world.now_ms() / 1000

    async def sleep(self, seconds: float) -> None:
        self._world.advance(round(seconds * 1000))


@dataclass
class Setup:
    world: World
    server: VenueServer
    account: AccountSpec
    venue: BinanceVenue | BybitVenue
    clock: WorldClock

    @property
    def name(self) -> sim.Venue:
        return self.account.venue

    def buy(self, symbol: str, quantity: str, leg: sim.Leg = sim.Leg.NET) -> sim.Order:
        return self.order(symbol, sim.Side.BUY, quantity, leg)

    def order(self, symbol: str, side: sim.Side, quantity: str, leg: sim.Leg = sim.Leg.NET) -> sim.Order:
        request = OrderRequest(symbol, side, sim.OrderType.MARKET, Decimal(quantity), leg=leg)
        return self.world.place_order(self.account.name, request)

    def stop(self, symbol: str, quantity: str, trigger: str, client_id: str = "mine") -> sim.ConditionalOrder:
        request = ConditionalRequest(
            symbol,
            sim.Side.SELL,
            sim.ConditionalKind.STOP,
            sim.OrderType.MARKET,
            Decimal(quantity),
            trigger_price=Decimal(trigger),
            reduce_only=True,
            client_order_id=client_id,
        )
        return self.world.place_conditional(self.account.name, request)

    def price(self, symbol: str, price: str) -> None:
        self.world.set_price(symbol, Decimal(price), venue=self.name)

    def fault(self, kind: FaultKind, **scope: object) -> None:
        self.server.front.add_fault(Fault(kind, **scope))  # type: ignore[arg-type]

    def executions(self, symbol: str) -> list[sim.Fill]:
        return [fill for fill in self.world.look(self.account.name).executions() if fill.symbol == symbol]

    def pass_days(self, days: int) -> None:
        self.world.advance(days * DAY_MS)


@asynccontextmanager
async def opened(venue: str) -> AsyncIterator[Setup]:
    world = World(ManualClock(START_MS), 7)
    account = world.add_account("main", VENUES[venue])
    async with VenueServer(world) as server:
        clock = WorldClock(world)
        adapter = open_venue(
            account="main",
            venue=venue,
            api_key=account.api_key,
            api_secret=account.api_secret,
            rest_url=server.rest_url,
            clock=clock,
            timeout_s=1.0,
        )
        assert isinstance(adapter, BinanceVenue | BybitVenue)
        yield Setup(world, server, account, adapter, clock)
        await adapter.aclose()


@pytest.fixture(params=list(VENUES))
async def setup(request: pytest.FixtureRequest) -> AsyncIterator[Setup]:
    async with opened(request.param) as ready:
        yield ready


@pytest.fixture
async def on_bybit() -> AsyncIterator[Setup]:
    async with opened("bybit") as ready:
        yield ready


def cancel_of(order: OpenOrder, side: Side = Side.LONG) -> CancelOrder:
    return CancelOrder(
        symbol=order.symbol,
        side=side,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        order_list=order.order_list,
        kind=order.kind,
        order_side=order.order_side,
        trigger_price=order.trigger_price,
        quantity=order.quantity,
    )


def same(fill: Fill, made: sim.Fill) -> None:
    """A fill as it was made, to the last digit."""
    assert (fill.quantity, fill.price, fill.fee, fill.fee_asset) == (
        made.quantity,
        made.price,
        made.fee,
        made.fee_asset,
    )
    assert fill.order_side.value == made.side.value
    assert fill.at_ms == made.at_ms
    if fill.realized_pnl is not None:
        assert fill.realized_pnl == made.realized_pnl
    if fill.closed_quantity is not None:
        assert fill.closed_quantity == made.closed_quantity


async def test_the_market_list_is_the_worlds(setup: Setup) -> None:
    catalog = await setup.venue.catalog()
    specs = setup.world.instruments(setup.name)
    assert {one.venue_symbol: one.symbol for one in catalog} == {spec.symbol: spec.unified for spec in specs}
    for spec in specs:
        found = catalog.get(spec.unified)
        assert found is not None
        assert (found.contract_size, found.price_tick, found.quantity_step, found.inverse) == (
            spec.contract_size,
            spec.price_tick,
            spec.quantity_step,
            spec.inverse,
        )


async def test_positions_of_every_settle_coin(setup: Setup) -> None:
    symbols = [spec.symbol for spec in setup.world.instruments(setup.name)]
    for spec in setup.world.instruments(setup.name):
        steps = (Decimal(600) if spec.inverse else Decimal(600) / spec.initial_price) // spec.quantity_step
        side = sim.Side.SELL if spec.base == "ETH" else sim.Side.BUY
        setup.order(spec.symbol, side, str(steps * spec.quantity_step))
    setup.world.close_position("main", "SOLUSDT")
    snapshot = await setup.venue.positions()
    held = [one for one in setup.world.look("main").positions() if not one.is_flat]
    assert {(one.symbol, one.quantity * one.side.sign, one.entry_price) for one in snapshot.reports} == {
        (setup.world.instrument(setup.name, one.symbol).unified, one.quantity, one.entry_price) for one in held
    }
    assert len(snapshot.reports) == len(symbols) - 1
    assert not snapshot.quarantined
    for symbol in (BTC, next(one.unified for one in setup.world.instruments(setup.name) if one.expiry_ms)):
        (alone,) = (await setup.venue.positions(symbol)).reports
        assert alone.quantity == next(one.quantity for one in snapshot.reports if one.symbol == symbol)


async def test_both_legs_of_a_hedge(setup: Setup) -> None:
    setup.world.set_position_mode("main", sim.PositionMode.HEDGE)
    setup.order("BTCUSDT", sim.Side.BUY, "0.030", sim.Leg.LONG)
    setup.order("BTCUSDT", sim.Side.SELL, "0.020", sim.Leg.SHORT)
    reports = (await setup.venue.positions()).reports
    assert {(one.side, one.quantity, one.hedge) for one in reports} == {
        (Side.LONG, Decimal("0.030"), True),
        (Side.SHORT, Decimal("0.020"), True),
    }
    assert (await setup.venue.facts()).hedge_mode
    fills = (await setup.venue.fills(BTC, START_MS - 1)).fills
    legs = {Side.LONG, Side.SHORT} if setup.name == "binance" else {None}
    assert {fill.position_side for fill in fills} == legs


async def test_a_stop_from_placing_to_its_fill(setup: Setup) -> None:
    setup.buy("BTCUSDT", "0.010")
    placed = setup.stop("BTCUSDT", "0.010", "58000")
    (stop,) = (await setup.venue.open_orders()).orders
    assert (stop.order_list, stop.kind, stop.client_order_id) == (OrderList.CONDITIONAL, OrderKind.STOP, "mine")
    assert (stop.trigger_price, stop.quantity, stop.closes(Side.LONG)) == (Decimal(58000), Decimal("0.010"), True)
    assert (await setup.venue.open_orders(BTC)).orders == (stop,)
    assert (await setup.venue.open_orders(ETH)).orders == ()
    setup.world.advance(1000)
    setup.price("BTCUSDT", "57900")
    assert (await setup.venue.positions()).reports == ()
    assert (await setup.venue.open_orders()).orders == ()
    fills = (await setup.venue.fills(BTC, START_MS)).fills
    for fill, made in zip(fills, setup.executions("BTCUSDT"), strict=True):
        same(fill, made)
    closing = fills[-1]
    record = (await setup.venue.lookup_orders(BTC, [closing.order_id])).get(closing.order_id)
    assert record is not None
    assert (record.kind, record.status, record.created_by) == (OrderKind.STOP, OrderStatus.FILLED, "stop_loss")
    if setup.name == "binance":
        assert record.parent_order_id == str(placed.conditional_id)
        assert record.parent_client_order_id == "mine"
    else:
        assert record.order_id == uuid_text(placed.conditional_id) == stop.order_id
        assert record.client_order_id == "mine"


@pytest.mark.parametrize(
    ("way", "kind", "maker"),
    [
        ("liquidate", FillKind.LIQUIDATION, "liquidation"),
        ("auto_deleverage", FillKind.ADL, "adl"),
    ],
)
async def test_forced_closes_are_named(setup: Setup, way: str, kind: FillKind, maker: str) -> None:
    setup.buy("BTCUSDT", "0.010")
    getattr(setup.world, way)("main", "BTCUSDT")
    fill = (await setup.venue.fills(BTC, START_MS)).fills[-1]
    same(fill, setup.executions("BTCUSDT")[-1])
    if setup.name == "bybit":
        assert (fill.kind, fill.created_by) == (kind, maker)
    record = (await setup.venue.lookup_orders(BTC, [fill.order_id])).get(fill.order_id)
    assert record is not None
    assert record.created_by == maker


async def test_a_delivery_is_named(setup: Setup) -> None:
    spec = next(one for one in setup.world.instruments(setup.name) if one.expiry_ms and not one.inverse)
    setup.buy(spec.symbol, "0.010")
    await setup.venue.catalog()
    setup.world.settle(spec.symbol, Decimal("61000"), venue=setup.name)
    history = await setup.venue.fills(spec.unified, START_MS)
    same(history.fills[-1], setup.executions(spec.symbol)[-1])
    if setup.name == "bybit":
        assert (history.fills[-1].kind, history.fills[-1].created_by) == (FillKind.SETTLEMENT, "settlement")
    else:
        lookup = await setup.venue.lookup_orders(spec.unified, [history.fills[-1].order_id])
        assert lookup.records[0].created_by == "settlement"
    assert (await setup.venue.positions()).reports == ()


async def test_weeks_of_fills_are_read_without_a_gap(setup: Setup) -> None:
    for number in range(40):
        setup.order("BTCUSDT", sim.Side.SELL if number % 2 else sim.Side.BUY, f"0.0{number + 10}")
        setup.world.advance(DAY_MS // 2 + 1)
    history = await setup.venue.fills(BTC, START_MS)
    made = [fill for fill in setup.executions("BTCUSDT") if fill.exec_type is sim.ExecType.TRADE]
    assert len(history.fills) == len(made) >= 40
    for fill, one in zip(history.fills, made, strict=True):
        same(fill, one)
    assert history.since_ms == START_MS
    assert setup.world.now_ms() - 10 <= history.until_ms <= setup.world.now_ms()


async def test_an_instant_with_many_fills(setup: Setup) -> None:
    setup.world.set_liquidity("BTCUSDT", "0.001", venue=setup.name)
    setup.buy("BTCUSDT", "0.230")
    fills = (await setup.venue.fills(BTC, START_MS)).fills
    assert len(fills) == 230
    assert sum(fill.quantity for fill in fills) == Decimal("0.230")
    assert [fill.price for fill in fills] == [one.price for one in setup.executions("BTCUSDT")]


async def test_funding_is_money_to_the_last_digit(setup: Setup) -> None:
    setup.buy("BTCUSDT", "0.5")
    setup.order("ETHUSDT", sim.Side.SELL, "3")
    for rate in ("0.0001", "-0.0003"):
        setup.world.set_price("BTCUSDT", venue=setup.name, funding_rate=Decimal(rate))
        setup.world.fund("BTCUSDT", venue=setup.name)
        setup.world.advance(60_000)
    made = [-fill.fee for fill in setup.executions("BTCUSDT") if fill.exec_type is sim.ExecType.FUNDING]
    payments = (await setup.venue.funding(BTC, START_MS)).payments
    assert [one.amount for one in payments] == made
    assert made[0] < 0 < made[1]
    assert {one.side for one in payments} == ({Side.LONG} if setup.name == "bybit" else {None})
    assert len((await setup.venue.fills(BTC, START_MS)).fills) == 1


async def test_closed_pnl(on_bybit: Setup) -> None:
    on_bybit.buy("BTCUSDT", "0.030")
    on_bybit.price("BTCUSDT", "61000")
    on_bybit.order("BTCUSDT", sim.Side.SELL, "0.010")
    on_bybit.pass_days(9)
    on_bybit.order("BTCUSDT", sim.Side.SELL, "0.030")
    history = await on_bybit.venue.closed_pnl(BTC, START_MS)
    assert history is not None
    made = on_bybit.world.look("main").closed_pnl("BTCUSDT")
    assert [(one.quantity, one.net_pnl, one.side, one.open_fee, one.close_fee) for one in history.records] == [
        (one.closed_quantity, one.closed_pnl, Side.LONG, one.open_fee, one.close_fee) for one in made
    ]
    assert len(history.records) == 2


async def test_every_page_of_many_orders(setup: Setup) -> None:
    for number in range(130):
        request = OrderRequest("BTCUSDT", sim.Side.BUY, sim.OrderType.LIMIT, Decimal("0.001"), Decimal(30_000 + number))
        setup.world.place_order("main", request)
    orders = (await setup.venue.open_orders()).orders
    assert {order.limit_price for order in orders} == {Decimal(30_000 + number) for number in range(130)}


async def test_stops_on_the_position_stand_once(on_bybit: Setup) -> None:
    on_bybit.buy("BTCUSDT", "0.010")
    stops = sim.AttachedStops(stop_loss=Decimal(57000), take_profit=Decimal(70000), trailing_distance=Decimal(500))
    on_bybit.world.set_attached_stops("main", "BTCUSDT", sim.Leg.NET, stops)
    orders = {order.kind: order for order in (await on_bybit.venue.open_orders()).orders}
    assert {order.order_list for order in orders.values()} == {OrderList.ATTACHED}
    assert set(orders) == {OrderKind.STOP, OrderKind.TAKE_PROFIT, OrderKind.TRAILING_STOP}
    for order in orders.values():
        await on_bybit.venue.cancel(cancel_of(order))
    assert (await on_bybit.venue.open_orders()).orders == ()
    with pytest.raises(UnknownOrder):
        await on_bybit.venue.cancel(cancel_of(orders[OrderKind.STOP]))


async def test_cancels_reach_the_right_list(setup: Setup) -> None:
    setup.buy("BTCUSDT", "0.010")
    setup.stop("BTCUSDT", "0.010", "58000")
    setup.world.place_order(
        "main", OrderRequest("ETHUSDT", sim.Side.BUY, sim.OrderType.LIMIT, Decimal("1"), Decimal(1000))
    )
    orders = (await setup.venue.open_orders()).orders
    assert {order.order_list for order in orders} == {OrderList.CONDITIONAL, OrderList.REGULAR}
    for order in orders:
        await setup.venue.cancel(cancel_of(order))
        with pytest.raises(UnknownOrder):
            await setup.venue.cancel(cancel_of(order))
    assert (await setup.venue.open_orders()).orders == ()


@pytest.mark.parametrize("then", ["disconnect", "hang", "error"])
async def test_a_cancel_whose_answer_is_lost(setup: Setup, then: str) -> None:
    setup.buy("BTCUSDT", "0.010")
    setup.stop("BTCUSDT", "0.010", "58000")
    (stop,) = (await setup.venue.open_orders()).orders
    setup.fault(FaultKind.ANSWER_LOST, method="DELETE" if setup.name == "binance" else "POST", then=then, count=1)
    # On a connection that broke the HTTP library sends a DELETE once more, and that one finds nothing: either way it is
    # not said to be done, and the lists tell.
    resent = setup.name == "binance" and then == "disconnect"
    with pytest.raises(UnknownOrder if resent else OutcomeUnknown):
        await setup.venue.cancel(cancel_of(stop))
    assert (await setup.venue.open_orders()).orders == ()


READS = {"binance": "/fapi/v3/positionRisk", "bybit": "/v5/position/list"}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(FaultKind.HTTP_ERROR, status=503, body="Service Unavailable"), Unobserved),
        (Fault(FaultKind.HTML), Unobserved),
        (Fault(FaultKind.TRUNCATED), Unobserved),
        (Fault(FaultKind.HANG), Unobserved),
        (Fault(FaultKind.DISCONNECT), Unobserved),
        (Fault(FaultKind.MAINTENANCE), Unobserved),
        (Fault(FaultKind.RATE_LIMIT), RateLimited),
        (Fault(FaultKind.BANNED), RateLimited),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Fault) else "",
)
async def test_a_faulty_look_is_unobserved(setup: Setup, fault: Fault, error: type[Exception]) -> None:
    setup.buy("BTCUSDT", "0.010")
    await setup.venue.positions()
    setup.server.front.add_fault(fault)
    with pytest.raises(error):
        await setup.venue.positions()


async def test_a_size_that_is_missing_or_spoiled_is_unobserved(setup: Setup) -> None:
    setup.buy("BTCUSDT", "0.010")
    setup.buy("ETHUSDT", "1")
    field = {"binance": "positionAmt", "bybit": "size"}[setup.name]
    await setup.venue.positions()
    for fault in (
        Fault(FaultKind.DROP_FIELD, field=field, count=1, path=READS[setup.name]),
        Fault(FaultKind.SET_FIELD, field=field, value="", count=1, path=READS[setup.name]),
    ):
        setup.server.front.add_fault(fault)
        with pytest.raises(Unobserved, match=field):
            await setup.venue.positions()
    assert len((await setup.venue.positions()).reports) == 2


@pytest.mark.parametrize("coin", ["USDT", "USDC", ""])
async def test_one_settle_coin_that_fails(on_bybit: Setup, coin: str) -> None:
    on_bybit.buy("BTCUSDT", "0.010")
    query = {"settleCoin": coin} if coin else {"category": "inverse"}
    on_bybit.fault(FaultKind.HTTP_ERROR, status=500, path="/v5/position/list", query=query)
    with pytest.raises(Unobserved):
        await on_bybit.venue.positions()


async def test_a_second_page_that_fails(on_bybit: Setup) -> None:
    for number in range(60):
        request = OrderRequest("BTCUSDT", sim.Side.BUY, sim.OrderType.LIMIT, Decimal("0.001"), Decimal(30_000 + number))
        on_bybit.world.place_order("main", request)
    on_bybit.fault(FaultKind.HTML, path="/v5/order/realtime", query={"cursor": "?*"})
    with pytest.raises(Unobserved, match="page 2"):
        await on_bybit.venue.open_orders()


async def test_a_skewed_venue_clock_is_measured_and_followed(setup: Setup) -> None:
    setup.clock.behind_ms = 3_600_000
    setup.buy("BTCUSDT", "0.010")
    reading = await setup.venue.clock()
    assert abs(reading.skew_ms - 3_600_000) <= reading.uncertainty_ms
    snapshot = await setup.venue.positions()
    assert setup.world.now_ms() - 10 <= snapshot.as_of_ms < setup.world.now_ms()
    setup.clock.behind_ms = 0  # our clock is set right: the signed times are an hour ahead now
    with pytest.raises(ClockSkewed):
        await setup.venue.positions()
    assert len((await setup.venue.positions()).reports) == 1


async def test_a_wrong_secret_is_refused(setup: Setup) -> None:
    venue = open_venue(
        account="main",
        venue=setup.venue.venue,
        api_key=setup.account.api_key,
        api_secret="not-it",
        rest_url=setup.server.rest_url,
        clock=setup.clock,
    )
    with pytest.raises(AuthenticationRefused):
        await venue.identity()
    await venue.aclose()


async def test_the_identity_is_the_accounts(setup: Setup) -> None:
    before = await setup.venue.identity()
    assert before.fingerprint == (setup.account.alias if setup.name == "binance" else setup.account.uid)
    other = setup.world.add_account("other", setup.name, api_secret=setup.account.api_secret)
    setup.world.move_key(setup.account.api_key, setup.name, "other")
    after = await setup.venue.identity()
    assert after.fingerprint == (other.alias if setup.name == "binance" else other.uid)
    assert str(AccountMismatch("main", before.fingerprint, after.fingerprint))


async def test_the_second_surface_agrees(setup: Setup) -> None:
    flat = await setup.venue.second_surface()
    assert flat.verdict(BTC, Side.LONG) is SurfaceVerdict.FLAT
    setup.buy("BTCUSDT", "0.010")
    held = await setup.venue.second_surface()
    assert held.any_position_margin
    expected = SurfaceVerdict.OPEN if setup.name == "binance" else SurfaceVerdict.UNKNOWN
    assert held.verdict(BTC, Side.LONG) is expected


async def test_facts(setup: Setup) -> None:
    facts = await setup.venue.facts()
    assert (facts.hedge_mode, facts.can_trade, facts.can_withdraw) == (False, True, False)
    assert facts.weight_used is not None
    assert facts.weight_limit is not None


async def test_clients_behind_one_way_out_rest_together(setup: Setup) -> None:
    budget = RequestBudget(setup.venue.venue, setup.clock)
    venues = [
        open_venue(
            account=name,
            venue=setup.venue.venue,
            api_key=setup.account.api_key,
            api_secret=setup.account.api_secret,
            rest_url=setup.server.rest_url,
            clock=setup.clock,
            budget=budget,
        )
        for name in ("one", "two")
    ]
    await venues[1].catalog()
    setup.fault(FaultKind.RATE_LIMIT, count=1, retry_after_s=30)
    with pytest.raises(RateLimited):
        await venues[0].identity()
    with pytest.raises(RateLimited, match="not asked"):
        await venues[1].identity()
    for venue in venues:
        await venue.aclose()


# Streams: what a message brings is what the history will show


async def private_stream(setup: Setup, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
    account = setup.account
    if setup.name == "binance":
        headers = {"X-MBX-APIKEY": account.api_key}
        async with session.post(f"{setup.server.rest_url}/fapi/v1/listenKey", headers=headers) as answer:
            key = (await answer.json())["listenKey"]
        return await session.ws_connect(f"{setup.server.ws_url}/private/ws?listenKey={key}")
    socket = await session.ws_connect(f"{setup.server.ws_url}/v5/private")
    expires = setup.world.now_ms() + 10_000
    signature = hmac.new(account.api_secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    await socket.send_str(json.dumps({"op": "auth", "args": [account.api_key, expires, signature]}))
    await socket.send_str(json.dumps({"op": "subscribe", "args": ["position", "order", "execution", "wallet"]}))
    for _ in range(2):
        assert json.loads((await socket.receive()).data)["success"]
    return socket


async def told(socket: aiohttp.ClientWebSocketResponse) -> list[str]:
    """What arrives until the stream falls silent."""
    texts = []
    while True:
        try:
            texts.append((await socket.receive(timeout=0.5)).data)
        except TimeoutError:
            return texts


async def test_stream_messages_bring_what_the_history_shows(setup: Setup) -> None:
    catalog = await setup.venue.catalog()
    async with aiohttp.ClientSession() as session:
        socket = await private_stream(setup, session)
        setup.buy("BTCUSDT", "0.010")
        setup.stop("BTCUSDT", "0.010", "58000")
        setup.price("BTCUSDT", "57900")
        texts = await told(socket)
        await socket.close()
    history = (await setup.venue.fills(BTC, START_MS)).fills
    assert len(history) == 2
    if setup.name == "bybit":
        messages = [bybit_messages.decode_message(text, catalog) for text in texts]
        fills = [f for m in messages if isinstance(m, bybit_messages.ExecutionMessage) for f in m.fills]
        assert fills == list(history)
        changes = [c for m in messages if isinstance(m, bybit_messages.PositionMessage) for c in m.changes]
        assert changes[-1].report is None
        held = [change.report for change in changes if change.report is not None]
        assert held[0].quantity == Decimal("0.010")
        records = [o for m in messages if isinstance(m, bybit_messages.OrderMessage) for o in m.orders]
        assert records[-1] == (await setup.venue.lookup_orders(BTC, [history[1].order_id])).records[0]
        assert any(isinstance(m, bybit_messages.WalletMessage) for m in messages)
        return
    decoded = [binance_messages.decode_message(text) for text in texts]
    updates = [m for m in decoded if isinstance(m, binance_messages.OrderUpdate)]
    fills = [fill for m in updates if (fill := binance_messages.fill_of_update(m, BTC)) is not None]
    for fill, shown in zip(fills, history, strict=True):
        assert (fill.trade_id, fill.order_id, fill.quantity, fill.price) == (
            shown.trade_id,
            shown.order_id,
            shown.quantity,
            shown.price,
        )
        assert (fill.fee, fill.fee_asset, fill.realized_pnl, fill.at_ms, fill.position_side) == (
            shown.fee,
            shown.fee_asset,
            shown.realized_pnl,
            shown.at_ms,
            shown.position_side,
        )
    slots = [p for m in decoded if isinstance(m, binance_messages.AccountUpdate) for p in m.positions]
    assert (slots[0].side, slots[0].quantity) == (Side.LONG, Decimal("0.010"))
    assert (slots[-1].side, slots[-1].quantity) == (None, Decimal(0))
    algos = [m for m in decoded if isinstance(m, binance_messages.AlgoUpdate)]
    assert algos[-1].child_order_id == history[1].order_id
    assert not [m for m in decoded if isinstance(m, binance_messages.OtherMessage)]
