"""Placing, amending, cancelling, and what the venue refuses."""

from __future__ import annotations

from typing import Any

import pytest
from bybit_client import Client

from trueup.sim.world import World


def test_a_market_order_opens_a_position_and_is_one_row_of_the_history(client: Client) -> None:
    placed = client.order("BTCUSDT", "Buy", "0.010", orderLinkId="entry-1").result
    assert placed["orderLinkId"] == "entry-1"
    assert client.open_orders() == []
    row = client.get("/v5/order/history", category="linear", orderId=placed["orderId"]).row
    assert (row["orderStatus"], row["orderType"], row["timeInForce"]) == ("Filled", "Market", "IOC")
    assert (row["avgPrice"], row["qty"], row["cumExecQty"], row["leavesQty"]) == ("60000.00", "0.010", "0.010", "0")
    assert (row["cumExecValue"], row["cumExecFee"], row["cumFeeDetail"]) == ("600", "0.33", {"USDT": "0.33"})
    assert (row["createType"], row["stopOrderType"], row["cancelType"]) == ("CreateByUser", "", "UNKNOWN")
    assert row["price"] == "63000.00", "the protective price of a market order"


def test_a_limit_order_rests_and_is_amended_and_cancelled_by_either_id(client: Client) -> None:
    placed = client.order("ETHUSDT", "Buy", "1", orderType="Limit", price="2500", orderLinkId="bid").result
    (row,) = client.open_orders()
    assert (row["orderStatus"], row["price"], row["qty"], row["leavesValue"]) == ("New", "2500.00", "1.000", "2500")
    amended = client.post(
        "/v5/order/amend", category="linear", symbol="ETHUSDT", orderLinkId="bid", price="2600", qty="2"
    )
    assert amended.result == placed
    (row,) = client.open_orders()
    assert (row["orderId"], row["price"], row["qty"]) == (placed["orderId"], "2600.00", "2.000")
    assert (
        client.post("/v5/order/cancel", category="linear", symbol="ETHUSDT", orderId=placed["orderId"]).result == placed
    )
    assert client.open_orders() == []
    row = client.get("/v5/order/history", category="linear", orderLinkId="bid").row
    assert (row["orderStatus"], row["cancelType"], row["rejectReason"]) == (
        "Cancelled",
        "CancelByUser",
        "EC_PerCancelRequest",
    )


@pytest.mark.parametrize("path", ["/v5/order/cancel", "/v5/order/amend"])
def test_an_order_that_is_not_open_is_110001(client: Client, path: str) -> None:
    filled = client.order("BTCUSDT", "Buy", "0.01").result["orderId"]
    for names in ({"orderId": filled}, {"orderId": "1234"}, {"orderLinkId": "nobody"}):
        reply = client.post(path, category="linear", symbol="BTCUSDT", price="1", **names)
        assert reply.code == 110001, names
        assert reply.text.startswith("order not exists or too late to ")
    assert client.post(path, category="linear", symbol="BTCUSDT").code == 10001


def test_an_order_of_another_symbol_is_not_found(client: Client) -> None:
    order_id = client.order("BTCUSDT", "Buy", "0.01", orderType="Limit", price="50000").result["orderId"]
    assert client.post("/v5/order/cancel", category="linear", symbol="ETHUSDT", orderId=order_id).code == 110001


def test_an_amend_that_changes_nothing_is_refused(client: Client) -> None:
    order_id = client.order("BTCUSDT", "Buy", "0.01", orderType="Limit", price="50000").result["orderId"]
    reply = client.post(
        "/v5/order/amend", category="linear", symbol="BTCUSDT", orderId=order_id, price="50000", qty="0.01"
    )
    assert (reply.code, reply.text) == (
        10001,
        "The order remains unchanged as the parameters entered match the existing ones.",
    )


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"symbol": "NOPEUSDT"}, 10001, "params error: symbol invalid"),
        ({"category": "spot"}, 10001, "params error: symbol invalid"),
        ({"category": "futures"}, 10001, "Illegal category"),
        ({"side": "buy"}, 10001, "Side invalid"),
        ({"orderType": "Stop"}, 10001, "OrderType invalid"),
        ({"qty": "-1"}, 10001, "Qty invalid"),
        ({"qty": "NaN"}, 10001, "Qty invalid"),
        ({"qty": "0.0105"}, 10001, "Qty invalid"),
        ({"qty": ""}, 10001, "Qty invalid"),
        ({"qty": "0"}, 10001, "The number of contracts exceeds minimum limit allowed"),
        ({"qty": "501"}, 10001, "The number of contracts exceeds maximum limit allowed: too large"),
        ({"qty": "100"}, 110007, "ab not enough for new order"),
        ({"orderType": "Limit"}, 10001, "Price invalid"),
        ({"orderType": "Limit", "price": "50000.05"}, 10001, "Price invalid"),
        ({"orderType": "Limit", "price": "9999999"}, 110003, "Order price is out of permissible range."),
        (
            {"orderType": "Limit", "price": "100", "qty": "0.001"},
            110094,
            "Order does not meet minimum order value 5USDT",
        ),
        ({"timeInForce": "gtc"}, 10001, "TimeInForce invalid"),
        ({"positionIdx": 1}, 10001, "position idx not match position mode"),
        ({"positionIdx": 3}, 10001, "PositionIdx invalid"),
        ({"orderLinkId": "x" * 37}, 10001, "OrderLinkId invalid"),
        ({"orderLinkId": "a b"}, 10001, "OrderLinkId invalid"),
        ({"reduceOnly": True}, 110017, "current position is zero, cannot fix reduce-only order qty"),
        ({"triggerPrice": "61000"}, 10001, "TriggerDirection invalid"),
        (
            {"triggerPrice": "59000", "triggerDirection": 1},
            110092,
            "expect Rising, but trigger_price[590000000] <= current[600000000]??LastPrice",
        ),
        (
            {"triggerPrice": "61000", "triggerDirection": 2, "triggerBy": "MarkPrice"},
            110093,
            "expect Falling, but trigger_price[610000000] >= current[600000000]??MarkPrice",
        ),
        (
            {"stopLoss": "61000"},
            10001,
            "StopLoss:610000000 set for Buy position should lower than base_price:600000000??LastPrice",
        ),
    ],
)
def test_refusals(client: Client, changes: dict[str, Any], code: int, text: str) -> None:
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.01"}
    reply = client.post("/v5/order/create", **{**order, **changes})
    assert (reply.status, reply.code, reply.text) == (200, code, text)
    assert client.get("/v5/execution/list", category="linear").rows == [], "what is refused changes nothing"


def test_a_link_id_is_unique_for_ever(client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.01", orderLinkId="once")
    assert client.order("BTCUSDT", "Buy", "0.01", orderLinkId="once").code == 110072
    reply = client.order("ETHUSDT", "Buy", "1", orderType="Limit", price="2000", orderLinkId="once")
    assert (reply.code, reply.text) == (110072, "OrderLinkedID is duplicate")


def test_quantity_zero_with_both_flags_closes_the_whole_position(client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.037")
    assert client.order("BTCUSDT", "Sell", "0", reduceOnly=True, closeOnTrigger=True).code == 0
    assert client.get("/v5/position/list", category="linear", symbol="BTCUSDT").row["size"] == "0"


def test_a_reduce_only_order_never_opens(client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    reply = client.order("BTCUSDT", "Buy", "0.010", reduceOnly=True)
    assert reply.code == 110017
    client.order("BTCUSDT", "Sell", "0.050", reduceOnly=True)
    assert client.get("/v5/position/list", category="linear", symbol="BTCUSDT").row["size"] == "0"


def test_post_only_that_would_take_is_accepted_and_cancelled(client: Client) -> None:
    placed = client.order("BTCUSDT", "Buy", "0.01", orderType="Limit", price="60001", timeInForce="PostOnly").result
    row = client.get("/v5/order/history", category="linear", orderId=placed["orderId"]).row
    assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")


def test_a_conditional_order_waits_triggers_and_keeps_its_id(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    stop = client.order(
        "BTCUSDT", "Sell", "0.010", triggerPrice="58000", triggerDirection=2, reduceOnly=True, orderLinkId="my-stop"
    ).result
    (row,) = client.open_orders(orderFilter="StopOrder")
    assert (row["orderId"], row["orderStatus"], row["stopOrderType"]) == (stop["orderId"], "Untriggered", "Stop")
    assert (row["triggerPrice"], row["triggerDirection"], row["triggerBy"]) == ("58000.00", 2, "LastPrice")
    assert (row["createType"], row["reduceOnly"], row["closeOnTrigger"]) == ("CreateByStopOrder", True, False)
    assert client.open_orders(orderFilter="Order") == []
    world.set_price("BTCUSDT", "57999", venue="bybit")
    assert client.open_orders() == []
    row = client.get("/v5/order/history", category="linear", orderLinkId="my-stop").row
    assert (row["orderId"], row["orderStatus"], row["stopOrderType"]) == (stop["orderId"], "Filled", "Stop")
    assert (row["triggerPrice"], row["avgPrice"]) == ("58000.00", "57999.00")
    history = client.get("/v5/order/history", category="linear", symbol="BTCUSDT").rows
    assert len([1 for row in history if row["orderId"] == stop["orderId"]]) == 1, "one row, not two"


def test_a_conditional_limit_order_rests_under_its_id_after_the_trigger(world: World, client: Client) -> None:
    stop = client.order(
        "BTCUSDT", "Buy", "0.010", orderType="Limit", price="60500", triggerPrice="61000", triggerDirection=1
    )
    assert client.open_orders()[0]["orderStatus"] == "Untriggered"
    world.set_price("BTCUSDT", "61000", venue="bybit")
    (row,) = client.open_orders()
    assert (row["orderId"], row["orderStatus"], row["price"]) == (stop.result["orderId"], "New", "60500.00")
    assert client.post("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId=row["orderId"]).code == 0


def test_a_conditional_order_is_amended(client: Client) -> None:
    order_id = client.order("BTCUSDT", "Buy", "0.010", triggerPrice="61000", triggerDirection=1).result["orderId"]
    amend = {"category": "linear", "symbol": "BTCUSDT", "orderId": order_id}
    assert client.post("/v5/order/amend", **amend, triggerPrice="62000", qty="0.02").code == 0
    (row,) = client.open_orders()
    assert (row["triggerPrice"], row["qty"]) == ("62000.00", "0.020")
    assert client.post("/v5/order/amend", **amend, triggerPrice="59000").code == 110092


def test_a_reduce_only_stop_stays_behind_when_the_position_is_gone(world: World, client: Client) -> None:
    """The orphan that a bot must sweep: the venue cancels it only when it triggers with nothing to reduce."""
    client.order("BTCUSDT", "Buy", "0.010")
    client.order("BTCUSDT", "Sell", "0.010", triggerPrice="58000", triggerDirection=2, reduceOnly=True)
    client.order("BTCUSDT", "Sell", "0.010", triggerPrice="57000", triggerDirection=2, closeOnTrigger=True)
    world.close_position("main", "BTCUSDT")
    orphans = client.open_orders()
    assert [(row["triggerPrice"], row["closeOnTrigger"]) for row in orphans] == [
        ("57000.00", True),
        ("58000.00", False),
    ]
    world.set_price("BTCUSDT", "56000", venue="bybit")
    assert client.open_orders() == []
    assert client.get("/v5/position/list", category="linear", symbol="BTCUSDT").row["size"] == "0"
    for orphan in orphans:
        row = client.get("/v5/order/history", category="linear", orderId=orphan["orderId"]).row
        assert (row["orderStatus"], row["cancelType"]) == ("Cancelled", "CancelByReduceOnly")


def test_the_eleventh_conditional_order_of_a_symbol_is_110009(client: Client) -> None:
    for number in range(10):
        assert client.order("BTCUSDT", "Buy", "0.01", triggerPrice=str(61_000 + number), triggerDirection=1).code == 0
    assert client.order("BTCUSDT", "Buy", "0.01", triggerPrice="65000", triggerDirection=1).code == 110009
    assert client.order("ETHUSDT", "Buy", "1", triggerPrice="3500", triggerDirection=1).code == 0


def test_cancel_all_takes_symbol_then_coin_and_every_kind(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010", stopLoss="55000")
    client.order("BTCUSDT", "Buy", "0.010", orderType="Limit", price="50000")
    client.order("ETHUSDT", "Buy", "1", orderType="Limit", price="2000", orderLinkId="eth-bid")
    client.order("ETHUSDT", "Buy", "1", triggerPrice="3500", triggerDirection=1)
    client.order("BTCPERP", "Buy", "0.010", orderType="Limit", price="50000")
    assert client.post("/v5/order/cancel-all", category="linear").code == 10001
    only_orders = client.post("/v5/order/cancel-all", category="linear", symbol="ETHUSDT", orderFilter="Order").result
    assert [row["orderLinkId"] for row in only_orders["list"]] == ["eth-bid"]
    assert only_orders["success"] == "1"
    plain_stops = client.post(
        "/v5/order/cancel-all", category="linear", settleCoin="USDT", orderFilter="StopOrder", stopOrderType="Stop"
    ).rows
    assert len(plain_stops) == 1, "attached stops are spared by stopOrderType=Stop"
    everything = client.post("/v5/order/cancel-all", category="linear", symbol="BTCUSDT").rows
    assert len(everything) == 2, "the resting order and the attached stop-loss"
    assert client.open_orders() == []
    assert client.get("/v5/position/list", category="linear", symbol="BTCUSDT").row["stopLoss"] == ""
    assert len(client.open_orders(settleCoin="USDC")) == 1
    assert world.look("main").position("BTCUSDT", world.look("main").positions()[0].leg) is not None


def test_an_order_of_a_settled_contract_is_110074(world: World, client: Client) -> None:
    dated = next(spec for spec in world.instruments("bybit") if spec.expiry_ms and not spec.inverse)
    world.settle(dated.symbol)
    assert client.order(dated.symbol, "Buy", "0.01").code == 110074


def test_hedge_legs_are_opened_and_closed_by_position_index(hedge: Client) -> None:
    assert hedge.order("BTCUSDT", "Buy", "0.01").text == "position idx not match position mode"
    assert hedge.order("BTCUSDT", "Buy", "0.010", positionIdx=1).code == 0
    assert hedge.order("BTCUSDT", "Sell", "0.020", positionIdx=2).code == 0
    rows = hedge.get("/v5/position/list", category="linear", symbol="BTCUSDT").rows
    assert [(row["positionIdx"], row["side"], row["size"]) for row in rows] == [
        (1, "Buy", "0.010"),
        (2, "Sell", "0.020"),
    ]
    assert hedge.order("BTCUSDT", "Sell", "0.010", positionIdx=1, reduceOnly=True).code == 0
    rows = hedge.get("/v5/position/list", category="linear", symbol="BTCUSDT").rows
    assert [(row["positionIdx"], row["side"], row["size"]) for row in rows] == [(1, "", "0"), (2, "Sell", "0.020")]


def test_an_action_is_on_the_present_while_readers_see_the_past(world: World, client: Client) -> None:
    before_ms = world.now_ms()
    world.advance(1_000)
    order_id = client.order("BTCUSDT", "Buy", "0.01", orderType="Limit", price="50000").result["orderId"]
    with world.reading_at(before_ms):
        assert client.open_orders() == []
        assert client.post("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId=order_id).code == 0
    assert client.open_orders() == []
