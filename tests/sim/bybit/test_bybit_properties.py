"""Invariants over random requests: nothing raises, refusals change nothing, what is written is what the world holds."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from bybit_client import START_MS, Client
from hypothesis import given, settings
from hypothesis import strategies as st

from trueup.sim.bybit import LimitPolicy, build_wire
from trueup.sim.bybit.routes import ROUTES
from trueup.sim.bybit.text import fixed, plain
from trueup.sim.world import ManualClock, World
from trueup.sim.world.types import PositionMode

WORDS = [
    "linear", "inverse", "spot", "option", "BTCUSDT", "ETHUSDT", "BTCUSD", "BTCPERP", "BTC/USDT:USDT", "USDT", "Buy",
    "Sell", "Market", "Limit", "GTC", "PostOnly", "FOK", "IOC", "Full", "Partial", "LastPrice", "MarkPrice", "0", "1",
    "2", "3", "-1", "0.01", "0.001", "1e9", "1E-400000", "NaN", "Infinity", "50000", "55000", "61000", "70000", "true",
    "false", "UNIFIED", "StopOrder", "Order", "tpslOrder", "Stop", "Trade", "Funding", "Filled", "99999999999999999999",
    "１", "a%3Ab", "x" * 50, "ISOLATED_MARGIN", "REGULAR_MARGIN",
]  # fmt: skip
NAMES = [
    "category", "symbol", "settleCoin", "baseCoin", "side", "orderType", "qty", "price", "triggerPrice", "positionIdx",
    "triggerDirection", "triggerBy", "timeInForce", "reduceOnly", "closeOnTrigger", "orderLinkId", "orderId", "limit",
    "stopLoss", "takeProfit", "tpslMode", "slSize", "tpSize", "trailingStop", "activePrice", "slOrderType", "mode",
    "slLimitPrice", "cursor", "startTime", "endTime", "execType", "openOnly", "orderFilter", "orderStatus", "coin",
    "accountType", "currency", "type", "buyLeverage", "sellLeverage", "margin", "setMarginMode", "status", "request",
    "stopOrderType",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(WORDS),
    st.booleans(),
    st.integers(-3, 10**22),
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.lists(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(WORDS), max_size=5), max_size=3),
)
REQUESTS = st.tuples(
    st.sampled_from(list(ROUTES)),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=9),
    st.sampled_from(["linear", "linear", "inverse", ""]),
    st.sampled_from(["BTCUSDT", "BTCUSDT", "BTCUSD", ""]),
)


def client_of(mode: PositionMode = PositionMode.ONE_WAY) -> Client:
    world = World(ManualClock(START_MS), seed=1)
    world.add_account("main", "bybit", mode=mode)
    return Client.of(world, build_wire(world, LimitPolicy(None, per_account=False)), "main")


def sent(client: Client, method: str, path: str, params: dict[str, Any]) -> Any:
    if method == "POST":
        return client.post(path, **params)
    from urllib.parse import urlencode

    query = urlencode({name: value for name, value in params.items() if value is not None})
    return client.send("GET", path, query, **client.signed(query))


@settings(max_examples=150, deadline=None)
@given(requests=st.lists(REQUESTS, min_size=1, max_size=8), hedge=st.booleans())
def test_no_request_raises_and_a_refusal_changes_nothing(requests: list[Any], hedge: bool) -> None:
    client = client_of(PositionMode.HEDGE if hedge else PositionMode.ONE_WAY)
    order = {"side": "Buy", "orderType": "Market", "qty": "0.01", "positionIdx": 1 if hedge else 0}
    for (method, path), params, category, symbol in requests:
        known = {"category": category, "symbol": symbol} if category and symbol else {}
        usual = {**known, **order} if path.endswith("/create") else known
        before = held(client)
        reply = sent(client, method, path, {**usual, **params})
        assert reply.status == 200
        assert set(reply.body) == {"retCode", "retMsg", "result", "retExtInfo", "time"}
        if reply.code:
            assert held(client) == before, (path, params, reply.body)


def held(client: Client) -> tuple[Any, ...]:
    view = client.world.look("main")
    return (
        tuple(view.positions(flat=True)),
        tuple(view.open_orders()),
        tuple(view.open_conditionals()),
        view.wallet("USDT"),
        view.mode,
        tuple(view.settings(symbol) for symbol in ("BTCUSDT", "BTCUSD")),
    )


@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12))
def test_a_number_is_written_exactly_and_plainly(value: Decimal) -> None:
    for text in (plain(value), fixed(value, 3)):
        assert Decimal(text) == value
        assert "E" not in text.upper()
        assert text != "-0"


ORDERS = st.lists(
    st.tuples(st.sampled_from(["Buy", "Sell"]), st.integers(1, 30), st.booleans(), st.integers(59_000, 61_000)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(orders=ORDERS)
def test_trades_closed_pnl_and_log_agree_with_the_position_and_the_wallet(orders: list[Any]) -> None:
    client = client_of()
    for side, milli, reduce_only, price in orders:
        client.world.set_price("BTCUSDT", price, venue="bybit")
        client.order("BTCUSDT", side, str(Decimal(milli) / 1_000), reduceOnly=reduce_only)
    fills = client.get("/v5/execution/list", category="linear", limit=100).rows
    row = client.get("/v5/position/list", category="linear", symbol="BTCUSDT").row
    size = Decimal(row["size"]) * {"Buy": 1, "Sell": -1, "": 0}[row["side"]]
    assert sum(Decimal(fill["execQty"]) * (1 if fill["side"] == "Buy" else -1) for fill in fills) == size
    log = client.get("/v5/account/transaction-log", currency="USDT", limit=50).rows
    assert sum(Decimal(entry["change"]) for entry in log) == client.world.look("main").wallet("USDT")
    closed = client.get("/v5/position/closed-pnl", category="linear", limit=100).rows
    open_fees = client.world.look("main").positions(flat=True)
    still_open = open_fees[0].open_fees if open_fees else Decimal(0)
    realized = sum(Decimal(entry["closedPnl"]) for entry in closed) - still_open
    assert realized == Decimal(row["cumRealisedPnl"])
    assert {entry["orderId"] for entry in closed} == {fill["orderId"] for fill in fills if fill["closedSize"] != "0"}


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.one_of(st.text(max_size=20), st.dictionaries(st.text(max_size=4), VALUES).map(json.dumps))))
def test_no_message_makes_a_session_raise(texts: list[str]) -> None:
    client = client_of()
    for session in (client.wire.open_stream("/v5/private", ""), client.wire.open_stream("/v5/public/linear", "")):
        for text in texts:
            session.receive(text)
        session.receive(json.dumps({"op": "subscribe", "args": texts, "req_id": 5}))
        session.receive(json.dumps({"op": "auth", "args": texts}))
        session.tick(client.world.now_ms())
        session.disconnected()
