"""Position list, attached stops, leverage, modes and margin."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from bybit_client import START_MS, Client

from trueup.sim.bybit import build_wire
from trueup.sim.world import ManualClock, World
from trueup.sim.world.instruments import perpetual

LIST = "/v5/position/list"


def btc(client: Client) -> dict[str, Any]:
    return client.get(LIST, category="linear", symbol="BTCUSDT").row


def test_by_symbol_every_slot_is_shown_also_a_never_used_one(client: Client, hedge: Client) -> None:
    row = btc(client)
    assert (row["side"], row["size"], row["avgPrice"], row["seq"]) == ("", "0", "0", -1)
    assert (row["createdTime"], row["updatedTime"], row["openTime"]) == ("0", "0", 0)
    rows = hedge.get(LIST, category="linear", symbol="BTCUSDT").rows
    assert [row["positionIdx"] for row in rows] == [1, 2]


def test_by_coin_only_open_positions_are_shown(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    client.order("ETHUSDT", "Sell", "0.5")
    client.order("BTCPERP", "Buy", "0.010")
    world.close_position("main", "ETHUSDT")
    assert [row["symbol"] for row in client.get(LIST, category="linear", settleCoin="USDT").rows] == ["BTCUSDT"]
    assert [row["symbol"] for row in client.get(LIST, category="linear", settleCoin="USDC").rows] == ["BTCPERP"]
    assert [row["symbol"] for row in client.get(LIST, category="linear", baseCoin="BTC").rows] == ["BTCUSDT", "BTCPERP"]
    assert client.get(LIST, category="inverse").rows == []


def test_linear_needs_a_symbol_or_a_coin_and_inverse_does_not(client: Client) -> None:
    reply = client.get(LIST, category="linear")
    assert (reply.code, reply.text) == (10001, "Missing some parameters that must be filled in, symbol or settleCoin")
    client.order("BTCUSD", "Buy", "100")
    row = client.get(LIST, category="inverse").row
    assert (row["symbol"], row["side"], row["size"]) == ("BTCUSD", "Buy", "100")
    assert row["positionValue"] == "0.00166667", "in the base coin"
    assert client.get(LIST, category="spot").rows == []


def test_the_row_follows_the_mark_price_and_states_what_is_realized_net(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    world.set_price("BTCUSDT", "61000", venue="bybit")
    world.fund("BTCUSDT", venue="bybit")
    row = btc(client)
    assert (row["side"], row["size"], row["avgPrice"], row["markPrice"]) == ("Buy", "0.010", "60000.00", "61000.00")
    assert (row["positionValue"], row["unrealisedPnl"], row["leverage"]) == ("600", "10", "20")
    assert (row["positionIM"], row["positionMM"]) == ("30.5", "3.05")
    fee, funding = Decimal("0.33"), Decimal("0.061")
    assert Decimal(row["curRealisedPnl"]) == -fee - funding
    world.reduce_position("main", "BTCUSDT", "long", "0.004")
    row = btc(client)
    assert row["size"] == "0.006"
    assert Decimal(row["curRealisedPnl"]) == -fee - funding + 4 - Decimal("0.1342")


def test_created_time_is_the_first_use_and_open_time_the_current_opening(world: World, client: Client) -> None:
    first_ms = world.now_ms()
    client.order("BTCUSDT", "Buy", "0.010")
    world.advance(60_000)
    world.close_position("main", "BTCUSDT")
    assert (btc(client)["openTime"], btc(client)["createdTime"]) == (0, str(first_ms))
    world.advance(60_000)
    again_ms = world.now_ms()
    client.order("BTCUSDT", "Sell", "0.010")
    row = btc(client)
    assert (row["openTime"], row["createdTime"], row["updatedTime"]) == (again_ms, str(first_ms), str(again_ms))


def test_seq_grows_with_every_change(world: World, client: Client) -> None:
    sequences = []
    for _ in range(3):
        client.order("BTCUSDT", "Buy", "0.001")
        sequences.append(btc(client)["seq"])
    assert sequences == sorted(set(sequences))


def test_pages_join_although_positions_close_between_them(world: World, client: Client) -> None:
    symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "HIGHUSDT", "1000PEPEUSDT"]
    for symbol in symbols:
        assert (
            client.order(symbol, "Buy", {"BTCUSDT": "0.01", "ETHUSDT": "1", "SOLUSDT": "1"}.get(symbol, "1000")).code
            == 0
        )
    first = client.get(LIST, category="linear", settleCoin="USDT", limit=2).result
    assert [row["symbol"] for row in first["list"]] == symbols[:2]
    world.close_position("main", "ETHUSDT")
    second = client.get(LIST, category="linear", settleCoin="USDT", limit=2, cursor=first["nextPageCursor"]).result
    assert [row["symbol"] for row in second["list"]] == symbols[2:4]
    third = client.get(LIST, category="linear", settleCoin="USDT", limit=2, cursor=second["nextPageCursor"]).result
    assert [row["symbol"] for row in third["list"]] == symbols[4:]
    assert third["nextPageCursor"] == ""
    assert client.get(LIST, category="linear", settleCoin="USDT", cursor="nonsense").code == 10001


@pytest.mark.parametrize("limit", ["0", "201", "x"])
def test_a_page_size_out_of_range_is_refused(client: Client, limit: str) -> None:
    assert client.get(LIST, category="linear", settleCoin="USDT", limit=limit).code == 10001


def test_a_page_is_20_rows_unless_told_and_nothing_says_that_more_follow_but_the_cursor() -> None:
    pattern = perpetual("bybit", "ETH", start_ms=START_MS)
    coins = [f"COIN{number}" for number in range(25)]
    listed = [replace(pattern, symbol=f"{c}USDT", unified=f"{c}/USDT:USDT", base=c) for c in coins]
    world = World(ManualClock(START_MS), instruments=listed)
    world.add_account("main", "bybit")
    for spec in listed:
        world.open_position("main", spec.symbol, "long", "0.01")
    client = Client.of(world, build_wire(world), "main")
    first = client.get(LIST, category="linear", settleCoin="USDT").result
    rest = client.get(LIST, category="linear", settleCoin="USDT", cursor=first["nextPageCursor"]).result
    assert (len(first["list"]), len(rest["list"]), rest["nextPageCursor"]) == (20, 5, "")
    assert [row["symbol"] for row in first["list"] + rest["list"]] == [spec.symbol for spec in listed]
    assert len(client.get(LIST, category="linear", settleCoin="USDT", limit=200).rows) == 25


def test_attached_stops_stand_on_the_row_and_in_the_order_list(client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    assert client.stop("BTCUSDT", stopLoss="55000", takeProfit="70000", trailingStop="500", tpslMode="Full").code == 0
    row = btc(client)
    assert (row["stopLoss"], row["takeProfit"], row["trailingStop"]) == ("55000.00", "70000.00", "500.00")
    orders = {order["stopOrderType"]: order for order in client.open_orders(orderFilter="StopOrder")}
    assert set(orders) == {"StopLoss", "TakeProfit", "TrailingStop"}
    for kind, order in orders.items():
        assert order["createType"] == f"CreateBy{kind}"
        assert (order["side"], order["qty"], order["orderStatus"]) == ("Sell", "0.010", "Untriggered")
        assert (order["reduceOnly"], order["closeOnTrigger"], order["tpslMode"]) == (True, True, "Full")
        assert order["orderLinkId"] == ""
    assert [orders[kind]["triggerDirection"] for kind in ("StopLoss", "TakeProfit")] == [2, 1]
    client.order("BTCUSDT", "Buy", "0.010")
    assert {order["qty"] for order in client.open_orders()} == {"0.020"}, "they follow the position's size"


def test_attached_stops_are_changed_in_place_and_removed_by_zero(client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    client.stop("BTCUSDT", stopLoss="55000")
    (before,) = client.open_orders()
    client.stop("BTCUSDT", stopLoss="56000", slTriggerBy="MarkPrice")
    (after,) = client.open_orders()
    assert before["orderId"] == after["orderId"]
    assert (after["triggerPrice"], after["triggerBy"]) == ("56000.00", "MarkPrice")
    assert client.stop("BTCUSDT", stopLoss="56000", slTriggerBy="MarkPrice").code == 34040
    assert client.stop("BTCUSDT", stopLoss="56000", slTriggerBy="MarkPrice").text == "not modified"
    assert client.stop("BTCUSDT", stopLoss="0").code == 0
    assert client.open_orders() == []
    assert btc(client)["stopLoss"] == ""


def test_attached_stops_vanish_with_the_position(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010", stopLoss="55000", takeProfit="70000")
    (first, second) = client.open_orders()
    world.close_position("main", "BTCUSDT")
    assert client.open_orders() == []
    for order in (first, second):
        row = client.get("/v5/order/history", category="linear", orderId=order["orderId"]).row
        assert (row["orderStatus"], row["cancelType"]) == ("Deactivated", "CancelByTpSlTsClear")


def test_a_triggered_attached_stop_closes_under_its_own_name(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010", stopLoss="55000")
    (stop,) = client.open_orders()
    world.set_price("BTCUSDT", "54990", venue="bybit")
    row = client.get("/v5/order/history", category="linear", orderId=stop["orderId"]).row
    assert (row["stopOrderType"], row["createType"], row["orderStatus"]) == ("StopLoss", "CreateByStopLoss", "Filled")
    fill = client.get("/v5/execution/list", category="linear", orderId=stop["orderId"]).row
    assert (fill["stopOrderType"], fill["createType"], fill["closedSize"]) == ("StopLoss", "CreateByStopLoss", "0.010")


def test_an_attached_stop_is_cancelled_by_its_order_id(client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010", stopLoss="55000")
    (stop,) = client.open_orders()
    assert client.post("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId=stop["orderId"]).code == 0
    assert btc(client)["stopLoss"] == ""


def test_partial_stops_add_up_and_stand_in_the_order_list_only(client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    partial = {"tpslMode": "Partial", "slSize": "0.004", "tpSize": "0.004"}
    assert client.stop("BTCUSDT", stopLoss="55000", takeProfit="65000", **partial).code == 0
    limit = {"slOrderType": "Limit", "slLimitPrice": "53900"}
    assert client.stop("BTCUSDT", stopLoss="54000", tpslMode="Partial", slSize="0.006", **limit).code == 0
    kinds = sorted((order["stopOrderType"], order["qty"], order["orderType"]) for order in client.open_orders())
    assert kinds == [
        ("PartialStopLoss", "0.004", "Market"),
        ("PartialStopLoss", "0.006", "Limit"),
        ("PartialTakeProfit", "0.004", "Market"),
    ]
    row = btc(client)
    assert (row["stopLoss"], row["takeProfit"]) == ("", "")


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (
            {"stopLoss": "61000"},
            "StopLoss:610000000 set for Buy position should lower than base_price:600000000??LastPrice",
        ),
        (
            {"takeProfit": "59000"},
            "TakeProfit:590000000 set for Buy position should greater base_price:600000000??LastPrice",
        ),
        (
            {"trailingStop": "500", "activePrice": "59000"},
            "TrailingProfit:590000000 set for Buy position should greater base_price:600000000??LastPrice",
        ),
        ({"slOrderType": "Market", "stopLoss": "55000"}, "slOrderType can not have a value when tpSlMode is empty"),
        ({"tpslMode": "Partial", "stopLoss": "55000"}, "TpSize or SlSize invalid"),
        ({"tpslMode": "Partial", "stopLoss": "55000", "slSize": "1", "tpSize": "2"}, "TpSize not equal to SlSize"),
        ({"tpslMode": "full", "stopLoss": "55000"}, "TpslMode invalid"),
        ({"stopLoss": "55000.05"}, "Price invalid"),
        ({"positionIdx": 1, "stopLoss": "55000"}, "position idx not match position mode"),
    ],
)
def test_bad_attached_stops_are_refused(client: Client, params: dict[str, Any], text: str) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    reply = client.stop("BTCUSDT", **params)
    assert (reply.code, reply.text) == (10001, text)
    assert client.open_orders() == []


def test_a_flat_position_has_no_stops(client: Client) -> None:
    reply = client.stop("BTCUSDT", stopLoss="55000")
    assert (reply.code, reply.text) == (10001, "can not set tp/sl/ts for zero position")


def test_a_trailing_stop_shows_its_activation_price_until_it_is_active(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    client.stop("BTCUSDT", trailingStop="500", activePrice="62000")
    assert client.open_orders()[0]["triggerPrice"] == "62000.00"
    world.set_price("BTCUSDT", "63000", venue="bybit")
    assert client.open_orders()[0]["triggerPrice"] == "62500.00"
    world.set_price("BTCUSDT", "62499", venue="bybit")
    assert btc(client)["size"] == "0"
    row = client.get("/v5/order/history", category="linear", symbol="BTCUSDT").rows[0]
    assert row["createType"] == "CreateByTrailingStop"


def test_leverage(client: Client) -> None:
    path, body = "/v5/position/set-leverage", {"category": "linear", "symbol": "BTCUSDT"}
    assert client.post(path, **body, buyLeverage="5", sellLeverage="5").result == {}
    assert btc(client)["leverage"] == "5"
    again = client.post(path, **body, buyLeverage="5", sellLeverage="5")
    assert (again.code, again.text) == (110043, "leverage not modified")
    assert client.post(path, **body, buyLeverage="126", sellLeverage="126").code == 110013
    assert client.post(path, **body, buyLeverage="5", sellLeverage="6").code == 10001
    assert client.post(path, **body, buyLeverage="5").code == 10001


def test_position_mode(client: Client) -> None:
    path = "/v5/position/switch-mode"
    assert client.post(path, category="linear", coin="USDT", mode=0).code == 110025
    assert client.post(path, category="linear", symbol="BTCPERP", mode=3).code == 110029
    assert client.post(path, category="inverse", symbol="BTCUSD", mode=3).code == 110029
    assert client.post(path, category="inverse", symbol="BTCUSD", mode=0).code == 110025
    assert client.post(path, category="linear", mode=3).code == 10001
    order_id = client.order("BTCUSDT", "Buy", "0.01", orderType="Limit", price="50000").result["orderId"]
    assert client.post(path, category="linear", coin="USDT", mode=3).code == 110028
    client.post("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId=order_id)
    client.order("BTCUSDT", "Buy", "0.01")
    assert client.post(path, category="linear", coin="USDT", mode=3).code == 110024
    client.order("BTCUSDT", "Sell", "0.01", reduceOnly=True)
    assert client.post(path, category="linear", symbol="BTCUSDT", mode=3).result == {}
    assert len(client.get(LIST, category="linear", symbol="BTCUSDT").rows) == 2


def test_margin_mode_is_the_account_s(client: Client) -> None:
    reply = client.post("/v5/position/switch-isolated", category="linear", symbol="BTCUSDT", tradeMode=1)
    assert reply.code == 100028
    assert client.get("/v5/account/info").result["marginMode"] == "REGULAR_MARGIN"
    assert client.post("/v5/account/set-margin-mode", setMarginMode="ISOLATED_MARGIN").result == {"reasons": []}
    assert client.get("/v5/account/info").result["marginMode"] == "ISOLATED_MARGIN"
    client.order("BTCUSDT", "Buy", "0.010")
    assert btc(client)["positionBalance"] == "30"
    margin = {"category": "linear", "symbol": "BTCUSDT", "positionIdx": 0}
    assert client.post("/v5/position/add-margin", **margin, margin="10").result["positionBalance"] == "40"
    assert client.post("/v5/position/add-margin", **margin, margin="-5").result["positionBalance"] == "35"
    blocked = client.post("/v5/account/set-margin-mode", setMarginMode="REGULAR_MARGIN")
    assert blocked.code == 3400045
    assert blocked.body["result"]["reasons"]
    assert client.post("/v5/account/set-margin-mode", setMarginMode="PORTFOLIO_MARGIN").code == 3400045
    flat = client.post("/v5/position/add-margin", category="linear", symbol="ETHUSDT", margin="1")
    assert flat.code == 110033
