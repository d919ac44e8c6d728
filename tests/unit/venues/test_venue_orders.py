"""Open orders and lookups of both adapters: kinds, close semantics, and each stop once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from venue_loopback import DROP, HTML, Loopback, Reply, Seen, reply
from venue_payloads import bybit_answer, bybit_order, bybit_position

from trueup.model.errors import Unobserved
from trueup.model.orders import OrderKind, OrderList, OrderSide, OrderStatus, Side
from trueup.venues.binance.adapter import BinanceVenue
from trueup.venues.bybit.adapter import BybitVenue

OPEN, ALGO_OPEN = "/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders"
REALTIME, LIST = "/v5/order/realtime", "/v5/position/list"
NOT_THERE = reply({"code": -2013, "msg": "Order does not exist."}, 400)


def binance_order(order_id: int, **changes: Any) -> dict[str, Any]:
    return {
        "orderId": order_id,
        "symbol": "BTCUSDT",
        "status": "NEW",
        "clientOrderId": f"c{order_id}",
        "price": "50000.10",
        "avgPrice": "0.00",
        "origQty": "0.010",
        "executedQty": "0.004",
        "type": "LIMIT",
        "origType": "LIMIT",
        "reduceOnly": False,
        "closePosition": False,
        "side": "BUY",
        "positionSide": "BOTH",
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "time": 1_759_999_000_000,
        "updateTime": 1_759_999_100_000,
        **changes,
    }


def binance_algo(algo_id: int, **changes: Any) -> dict[str, Any]:
    return {
        "algoId": algo_id,
        "clientAlgoId": f"a{algo_id}",
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "positionSide": "BOTH",
        "quantity": "0.010",
        "algoStatus": "NEW",
        "triggerPrice": "58000.00",
        "price": "0.00",
        "workingType": "MARK_PRICE",
        "closePosition": False,
        "reduceOnly": True,
        "createTime": 1_759_999_000_000,
        "updateTime": 1_759_999_000_000,
        "actualOrderId": "",
        "actualPrice": "0.00",
        **changes,
    }


async def binance_orders(venue: BinanceVenue, server: Loopback, *algo: dict[str, Any]) -> dict[str, Any]:
    server.on(OPEN, reply([]))
    server.on(ALGO_OPEN, reply(list(algo)))
    return {order.order_id: order for order in (await venue.open_orders()).orders}


# Binance


async def test_binance_reads_both_lists(binance: BinanceVenue, server: Loopback) -> None:
    server.on(OPEN, reply([binance_order(7)]))
    server.on(ALGO_OPEN, reply([binance_algo(8)]))
    limit, stop = sorted((await binance.open_orders()).orders, key=lambda order: order.order_id)
    assert (limit.order_list, limit.kind, limit.order_side) == (OrderList.REGULAR, OrderKind.LIMIT, OrderSide.BUY)
    assert (str(limit.quantity), str(limit.limit_price), limit.trigger_price) == ("0.006", "50000.10", None)
    assert (stop.order_list, stop.kind) == (OrderList.CONDITIONAL, OrderKind.STOP)
    assert (stop.client_order_id, stop.trigger_price, stop.trigger_by) == ("a8", Decimal("58000"), "mark")
    assert stop.closes(Side.LONG)
    assert not stop.closes(Side.SHORT)


async def test_binance_reads_the_conditional_list_first(binance: BinanceVenue, server: Loopback) -> None:
    await binance_orders(binance, server)
    paths = [one.path for one in server.seen if "rders" in one.path]
    assert paths == [ALGO_OPEN, OPEN]


async def test_binance_of_one_symbol(binance: BinanceVenue, server: Loopback) -> None:
    server.on(OPEN, reply([]))
    server.on(ALGO_OPEN, reply([]))
    await binance.open_orders("1000PEPE/USDT:USDT")
    assert {one.params["symbol"] for one in server.seen if "rders" in one.path} == {"1000PEPEUSDT"}


@pytest.mark.parametrize("failing", [OPEN, ALGO_OPEN])
@pytest.mark.parametrize("broken", [HTML, DROP, reply({}, 503)])
async def test_binance_one_list_that_fails_leaves_nothing_observed(
    binance: BinanceVenue, server: Loopback, failing: str, broken: Reply
) -> None:
    for path in (OPEN, ALGO_OPEN):
        server.on(path, broken if path == failing else reply([]))
    with pytest.raises(Unobserved):
        await binance.open_orders()


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("STOP_MARKET", OrderKind.STOP),
        ("STOP", OrderKind.STOP),
        ("TAKE_PROFIT_MARKET", OrderKind.TAKE_PROFIT),
        ("TAKE_PROFIT", OrderKind.TAKE_PROFIT),
        ("TRAILING_STOP_MARKET", OrderKind.TRAILING_STOP),
        ("VP", OrderKind.OTHER),
    ],
)
@pytest.mark.parametrize("field", ["orderType", "type"])
async def test_binance_kinds(binance: BinanceVenue, server: Loopback, word: str, kind: OrderKind, field: str) -> None:
    row = binance_algo(1)
    del row["orderType"]
    orders = await binance_orders(binance, server, {**row, field: word})
    assert (orders["1"].kind, orders["1"].venue_type) == (kind, word)


@pytest.mark.parametrize("yes", [True, "true"])
async def test_binance_close_position_covers_all(binance: BinanceVenue, server: Loopback, yes: object) -> None:
    row = binance_algo(1, closePosition=yes, quantity="0", reduceOnly=False)
    stop = (await binance_orders(binance, server, row))["1"]
    assert stop.close_position
    assert stop.quantity is None
    assert stop.closes(Side.LONG)


async def test_binance_a_stop_entry_is_nobodys_stop(binance: BinanceVenue, server: Loopback) -> None:
    entry = (await binance_orders(binance, server, binance_algo(1, reduceOnly=False, side="BUY")))["1"]
    assert not entry.closes(Side.SHORT)
    assert not entry.closes(Side.LONG)


async def test_binance_hedge_legs_close_by_their_side(binance: BinanceVenue, server: Loopback) -> None:
    row = binance_algo(1, reduceOnly=False, positionSide="SHORT", side="BUY")
    order = (await binance_orders(binance, server, row))["1"]
    assert order.position_side is Side.SHORT
    assert order.closes(Side.SHORT)
    assert not order.closes(Side.LONG)


async def test_binance_a_trailing_stop_shows_its_activation_price(binance: BinanceVenue, server: Loopback) -> None:
    row = binance_algo(
        1, orderType="TRAILING_STOP_MARKET", triggerPrice="", activatePrice="61000.5", callbackRate="1.0"
    )
    order = (await binance_orders(binance, server, row))["1"]
    assert order.trigger_price == Decimal("61000.5")


@pytest.mark.parametrize(
    "changes", [{"side": "UP"}, {"triggerPrice": "x"}, {"closePosition": "maybe"}, {"symbol": "X"}]
)
async def test_binance_an_unreadable_order_is_quarantined(
    binance: BinanceVenue, server: Loopback, changes: dict[str, Any]
) -> None:
    server.on(OPEN, reply([binance_order(7)]))
    server.on(ALGO_OPEN, reply([binance_algo(1, **changes)]))
    snapshot = await binance.open_orders()
    assert [order.order_id for order in snapshot.orders] == ["7"]
    assert len(snapshot.quarantined) == 1


# Binance: by id

ORDER, ALGO, ALL_ALGO, ALL = "/fapi/v1/order", "/fapi/v1/algoOrder", "/fapi/v1/allAlgoOrders", "/fapi/v1/allOrders"


def histories(server: Loopback, regular: list[dict[str, Any]], algo: list[dict[str, Any]]) -> None:
    """Both histories, by id and by time, as the venue answers."""

    def order(seen: Seen) -> Reply:
        found = [row for row in regular if str(row["orderId"]) == seen.params["orderId"]]
        return reply(found[0]) if found else NOT_THERE

    def algo_order(seen: Seen) -> Reply:
        name, value = next((name, seen.params[name]) for name in ("algoId", "clientAlgoId") if name in seen.params)
        found = [row for row in algo if str(row[name]) == value]
        return reply(found[0]) if found else NOT_THERE

    def all_algo(seen: Seen) -> Reply:
        start, end = int(seen.params["startTime"]), int(seen.params["endTime"])
        assert end - start < 7 * 86_400_000
        return reply([row for row in algo if start <= row["createTime"] <= end])

    def all_orders(seen: Seen) -> Reply:
        return reply([row for row in regular if row["orderId"] >= int(seen.params["orderId"])])

    server.on(ORDER, order)
    server.on(ALGO, algo_order)
    server.on(ALL_ALGO, all_algo)
    server.on(ALL, all_orders)


FILLED = {"status": "FILLED", "type": "MARKET", "origType": "MARKET", "executedQty": "0.010", "avgPrice": "57990.5"}


async def test_binance_a_triggered_stop_is_folded_into_its_order(binance: BinanceVenue, server: Loopback) -> None:
    child = binance_order(900, clientOrderId="a8", side="SELL", reduceOnly=True, **FILLED)
    histories(server, [child], [binance_algo(8, algoStatus="FINISHED", actualOrderId="900")])
    lookup = await binance.lookup_orders("BTC/USDT:USDT", ["900"])
    record = lookup.get("900")
    assert record is not None
    assert (record.kind, record.status, record.created_by) == (OrderKind.STOP, OrderStatus.FILLED, "stop_loss")
    assert (record.parent_order_id, record.parent_client_order_id) == ("8", "a8")
    assert (record.filled_quantity, record.average_price) == (Decimal("0.010"), Decimal("57990.5"))
    assert record.trigger_price == Decimal("58000")
    assert not server.asked(ALL_ALGO)


async def test_binance_a_parent_under_another_client_id_is_searched(binance: BinanceVenue, server: Loopback) -> None:
    child = binance_order(900, clientOrderId="other", side="SELL", reduceOnly=True, **FILLED)
    old = 1_759_999_100_000 - 20 * 86_400_000
    parent = binance_algo(8, algoStatus="FINISHED", actualOrderId="900", createTime=old, orderType="TAKE_PROFIT_MARKET")
    histories(server, [child], [parent])
    record = (await binance.lookup_orders("BTC/USDT:USDT", ["900"])).get("900")
    assert record is not None
    assert (record.kind, record.parent_order_id, record.created_by) == (OrderKind.TAKE_PROFIT, "8", "take_profit")


async def test_binance_a_client_id_used_again_does_not_mislead(binance: BinanceVenue, server: Loopback) -> None:
    child = binance_order(900, clientOrderId="a8", side="SELL", **FILLED)
    histories(server, [child], [binance_algo(8, algoStatus="FINISHED", actualOrderId="555")])
    record = (await binance.lookup_orders("BTC/USDT:USDT", ["900"])).get("900")
    assert record is not None
    assert (record.kind, record.parent_order_id, record.created_by) == (OrderKind.MARKET, None, "user")


async def test_binance_a_conditional_id_brings_its_order_too(binance: BinanceVenue, server: Loopback) -> None:
    child = binance_order(900, clientOrderId="a8", side="SELL", reduceOnly=True, **FILLED)
    histories(server, [child], [binance_algo(8, algoStatus="TRIGGERED", actualOrderId="900")])
    lookup = await binance.lookup_orders("BTC/USDT:USDT", ["8", "77"])
    assert lookup.asked == ("8", "77")
    assert [(record.order_id, record.status) for record in lookup.records] == [
        ("8", OrderStatus.TRIGGERED),
        ("900", OrderStatus.FILLED),
    ]
    assert lookup.get("77") is None


@pytest.mark.parametrize(
    ("client_id", "maker"),
    [
        ("autoclose-1759347763167", "liquidation"),
        ("adl_autoclose", "adl"),
        ("settlement_autoclose-1", "settlement"),
        ("x-mine", "user"),
    ],
)
async def test_binance_tells_who_made_an_order(
    binance: BinanceVenue, server: Loopback, client_id: str, maker: str
) -> None:
    histories(server, [binance_order(900, clientOrderId=client_id, **FILLED)], [])
    record = (await binance.lookup_orders("BTC/USDT:USDT", ["900"])).get("900")
    assert record is not None
    assert record.created_by == maker


async def test_binance_many_ids_are_one_list(binance: BinanceVenue, server: Loopback) -> None:
    rows = [binance_order(number, clientOrderId="autoclose-1", **FILLED) for number in range(100, 120)]
    histories(server, rows, [])
    asked = [str(number) for number in range(100, 120)] + ["5"]
    lookup = await binance.lookup_orders("BTC/USDT:USDT", asked)
    assert len(lookup.records) == 20
    assert len(server.asked(ALL)) == 1
    assert [one.params["orderId"] for one in server.asked(ORDER)] == ["5"]


@pytest.mark.parametrize("path", [ORDER, ALGO])
async def test_binance_a_lookup_that_fails_is_no_answer(binance: BinanceVenue, server: Loopback, path: str) -> None:
    histories(server, [], [])
    server.on(path, reply({"code": -1000, "msg": "unknown"}, 500))
    with pytest.raises(Unobserved):
        await binance.lookup_orders("BTC/USDT:USDT", ["900"])


# Bybit


def lists(server: Loopback, orders: list[dict[str, Any]], positions: list[dict[str, Any]]) -> None:
    """Linear USDT orders by filter, and positions; everything else empty."""

    def realtime(seen: Seen) -> Reply:
        usdt = seen.params.get("settleCoin") == "USDT" or "symbol" in seen.params
        waits = seen.params["orderFilter"] == "StopOrder"
        return reply(bybit_answer([row for row in orders if (row["orderStatus"] == "Untriggered") is waits] * usdt))

    def held(seen: Seen) -> Reply:
        usdt = seen.params.get("settleCoin") == "USDT" or "symbol" in seen.params
        return reply(bybit_answer(positions * usdt))

    server.on(REALTIME, realtime)
    server.on(LIST, held)


async def bybit_orders(venue: BybitVenue, server: Loopback, *orders: dict[str, Any]) -> dict[str, Any]:
    lists(server, list(orders), [])
    return {order.order_id: order for order in (await venue.open_orders()).orders}


@pytest.mark.parametrize(
    ("side", "direction", "kind"),
    [
        ("Sell", 2, OrderKind.STOP),
        ("Sell", 1, OrderKind.TAKE_PROFIT),
        ("Buy", 1, OrderKind.STOP),
        ("Buy", 2, OrderKind.TAKE_PROFIT),
    ],
)
async def test_bybit_a_plain_conditional_is_told_by_its_trigger(
    bybit: BybitVenue, server: Loopback, side: str, direction: int, kind: OrderKind
) -> None:
    order = (await bybit_orders(bybit, server, bybit_order("s", side=side, triggerDirection=direction)))["s"]
    assert (order.kind, order.order_list) == (kind, OrderList.CONDITIONAL)
    assert order.closes(Side.LONG if side == "Sell" else Side.SHORT)


async def test_bybit_without_a_direction_the_price_then_tells(bybit: BybitVenue, server: Loopback) -> None:
    below = bybit_order("below", triggerDirection=0)
    unknown = bybit_order("unknown", triggerDirection=0, lastPriceOnCreated="")
    orders = await bybit_orders(bybit, server, below, unknown)
    assert orders["below"].kind is OrderKind.STOP
    assert orders["unknown"].kind is OrderKind.OTHER


async def test_bybit_an_entry_closes_nothing(bybit: BybitVenue, server: Loopback) -> None:
    entry = (await bybit_orders(bybit, server, bybit_order("e", reduceOnly=False)))["e"]
    assert not entry.closes(Side.LONG)
    on_trigger = (await bybit_orders(bybit, server, bybit_order("c", reduceOnly=False, closeOnTrigger=True)))["c"]
    assert on_trigger.closes(Side.LONG)


async def test_bybit_a_quantity_of_zero_is_the_whole_position(bybit: BybitVenue, server: Loopback) -> None:
    order = (await bybit_orders(bybit, server, bybit_order("s", qty="0", leavesQty="0", closeOnTrigger=True)))["s"]
    assert order.quantity is None
    assert order.close_position


async def test_bybit_hedge_legs(bybit: BybitVenue, server: Loopback) -> None:
    order = (await bybit_orders(bybit, server, bybit_order("s", positionIdx=1, reduceOnly=False)))["s"]
    assert order.position_side is Side.LONG
    assert order.closes(Side.LONG)


async def test_bybit_a_resting_limit_order_shows_what_is_left(bybit: BybitVenue, server: Loopback) -> None:
    row = bybit_order(
        "l", orderStatus="PartiallyFilled", stopOrderType="", orderType="Limit", price="50000", leavesQty="0.004"
    )
    order = (await bybit_orders(bybit, server, row))["l"]
    assert (order.order_list, order.kind) == (OrderList.REGULAR, OrderKind.LIMIT)
    assert (order.quantity, order.limit_price, order.trigger_price) == (Decimal("0.004"), Decimal("50000"), None)


async def test_bybit_stops_on_the_position_are_orders(bybit: BybitVenue, server: Loopback) -> None:
    position = bybit_position("BTCUSDT", "1", "Sell", stopLoss="65000.00", takeProfit="0.00", trailingStop="500.00")
    lists(server, [], [position])
    orders = {order.kind: order for order in (await bybit.open_orders()).orders}
    assert set(orders) == {OrderKind.STOP, OrderKind.TRAILING_STOP}
    stop = orders[OrderKind.STOP]
    assert (stop.order_list, stop.order_side, stop.trigger_price) == (
        OrderList.ATTACHED,
        OrderSide.BUY,
        Decimal("65000.00"),
    )
    assert stop.close_position
    assert stop.quantity is None
    assert stop.closes(Side.SHORT)
    assert orders[OrderKind.TRAILING_STOP].trigger_price is None


async def test_bybit_a_stop_in_both_places_is_one(bybit: BybitVenue, server: Loopback) -> None:
    position = bybit_position("BTCUSDT", "1", stopLoss="58000.00", trailingStop="500.00")
    rows = [
        bybit_order("full", stopOrderType="StopLoss", tpslMode="Full", createType="CreateByStopLoss", qty="1"),
        bybit_order("trail", stopOrderType="TrailingStop", triggerPrice="60500.00", createType="CreateByTrailingStop"),
        bybit_order("part", stopOrderType="PartialStopLoss", tpslMode="Partial", qty="0.2"),
        bybit_order("mine"),
    ]
    lists(server, rows, [position])
    orders = {order.order_id: order for order in (await bybit.open_orders()).orders}
    assert set(orders) == {
        "mine",
        "part",
        "attached:linear:BTCUSDT:0:stop",
        "attached:linear:BTCUSDT:0:trailing_stop",
    }
    assert orders["attached:linear:BTCUSDT:0:stop"].trigger_by == "mark"
    assert orders["attached:linear:BTCUSDT:0:trailing_stop"].trigger_price == Decimal("60500")
    assert orders["part"].quantity == Decimal("0.2")
    assert orders["part"].kind is OrderKind.STOP


async def test_bybit_a_positions_stop_whose_position_is_not_shown_stays_an_order(
    bybit: BybitVenue, server: Loopback
) -> None:
    row = bybit_order("full", stopOrderType="StopLoss", tpslMode="Full", reduceOnly=True, closeOnTrigger=True)
    order = (await bybit_orders(bybit, server, row))["full"]
    assert order.order_list is OrderList.CONDITIONAL
    assert order.close_position


async def test_bybit_hedge_slots_keep_their_own_stops(bybit: BybitVenue, server: Loopback) -> None:
    positions = [
        bybit_position("BTCUSDT", "1", "Buy", 1, stopLoss="58000"),
        bybit_position("BTCUSDT", "2", "Sell", 2, stopLoss="65000"),
    ]
    lists(server, [bybit_order("s", stopOrderType="StopLoss", positionIdx=2, side="Buy")], positions)
    orders = (await bybit.open_orders()).orders
    assert {(order.position_side, order.trigger_price) for order in orders} == {
        (Side.LONG, Decimal(58000)),
        (Side.SHORT, Decimal(65000)),
    }


async def test_bybit_reads_every_list_and_filter(bybit: BybitVenue, server: Loopback) -> None:
    lists(server, [], [])
    await bybit.open_orders()
    asked = [
        (one.params.get("settleCoin", one.params["category"]), one.params["orderFilter"])
        for one in server.asked(REALTIME)
    ]
    assert sorted(asked) == sorted(
        (coin, kind) for coin in ("USDT", "USDC", "inverse") for kind in ("Order", "StopOrder")
    )
    for coin in ("USDT", "USDC", "inverse"):
        assert asked.index((coin, "StopOrder")) < asked.index((coin, "Order"))
    assert all(one.params["limit"] == "50" for one in server.asked(REALTIME))


@pytest.mark.parametrize("failing", [REALTIME, LIST])
async def test_bybit_one_list_that_fails_leaves_nothing_observed(
    bybit: BybitVenue, server: Loopback, failing: str
) -> None:
    lists(server, [], [])
    server.on(failing, lambda seen: HTML if seen.params.get("settleCoin") == "USDC" else reply(bybit_answer([])))
    with pytest.raises(Unobserved):
        await bybit.open_orders()


@pytest.mark.parametrize("changes", [{"side": "Up"}, {"positionIdx": 9}, {"triggerPrice": "x"}, {"symbol": "X"}])
async def test_bybit_an_unreadable_order_is_quarantined(
    bybit: BybitVenue, server: Loopback, changes: dict[str, Any]
) -> None:
    lists(server, [bybit_order("bad", **changes), bybit_order("good")], [])
    snapshot = await bybit.open_orders()
    assert [order.order_id for order in snapshot.orders] == ["good"]
    assert len(snapshot.quarantined) == 1


HISTORY = "/v5/order/history"


async def test_bybit_looks_in_the_live_list_and_the_history(bybit: BybitVenue, server: Loopback) -> None:
    live = bybit_order("live", orderStatus="Filled", cumExecQty="0.010", avgPrice="57990.10")
    past = bybit_order(
        "past", orderStatus="Filled", stopOrderType="UNKNOWN", createType="CreateByLiq", avgPrice="50000"
    )
    server.on(REALTIME, lambda seen: reply(bybit_answer([live] if seen.params["orderId"] == "live" else [])))
    server.on(HISTORY, lambda seen: reply(bybit_answer([past] if seen.params["orderId"] == "past" else [])))
    lookup = await bybit.lookup_orders("BTC/USDT:USDT", ["live", "past", "gone", "live"])
    assert lookup.asked == ("live", "past", "gone")
    first, second = lookup.records
    assert (first.kind, first.status, first.created_by) == (OrderKind.STOP, OrderStatus.FILLED, "stop_loss")
    assert (first.filled_quantity, first.average_price) == (Decimal("0.010"), Decimal("57990.10"))
    assert (second.kind, second.created_by) == (OrderKind.MARKET, "liquidation")
    assert lookup.get("gone") is None


@pytest.mark.parametrize(
    ("create_type", "maker"),
    [
        ("CreateByUser", "user"),
        ("CreateByClosing", "user"),
        ("CreateByStopLoss", "stop_loss"),
        ("CreateByPartialTakeProfit", "take_profit"),
        ("CreateByTrailingStop", "trailing_stop"),
        ("CreateByLiq", "liquidation"),
        ("CreateByTakeOver_PassThrough", "liquidation"),
        ("CreateByAdl_PassThrough", "adl"),
        ("CreateBySettle", "settlement"),
        ("CreateByStopOrder", None),
        ("", None),
        (None, None),
    ],
)
async def test_bybit_tells_who_made_an_order(
    bybit: BybitVenue, server: Loopback, create_type: str | None, maker: str | None
) -> None:
    row = bybit_order("o", orderStatus="Filled", stopOrderType="", createType=create_type)
    server.on(REALTIME, reply(bybit_answer([row])))
    record = (await bybit.lookup_orders("BTC/USDT:USDT", ["o"])).get("o")
    assert record is not None
    assert record.created_by == maker


async def test_bybit_a_lookup_that_fails_is_no_answer(bybit: BybitVenue, server: Loopback) -> None:
    server.on(REALTIME, reply(bybit_answer([])))
    server.on(HISTORY, HTML)
    with pytest.raises(Unobserved):
        await bybit.lookup_orders("BTC/USDT:USDT", ["o"])
