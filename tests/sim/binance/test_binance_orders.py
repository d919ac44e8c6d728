"""Regular orders: their answers, their refusals, their lists."""

from __future__ import annotations

from decimal import Decimal

import pytest
from binance_client import Client, make_client

from trueup.sim.world import World
from trueup.sim.world.types import PositionMode

ORDER = "/fapi/v1/order"
DAY_MS = 86_400_000


def limit(client: Client, price: str = "50000", **params: object) -> dict:
    reply = client.order(type="LIMIT", timeInForce="GTC", price=price, **params)
    assert reply.status == 200, reply.body
    return reply.body


def test_a_market_order_is_answered_as_asked(client: Client) -> None:
    acknowledged = client.order(newOrderRespType="ACK").body
    assert (acknowledged["status"], acknowledged["executedQty"], acknowledged["avgPrice"]) == (
        "NEW",
        "0.000",
        "0.00000",
    )
    default = client.order(newOrderRespType=None).body
    assert default["status"] == "NEW"
    result = client.order().body
    assert (result["status"], result["executedQty"], result["cumQuote"]) == ("FILLED", "0.010", "600.00000")
    queried = client.get(ORDER, symbol="BTCUSDT", orderId=acknowledged["orderId"])
    assert (queried["status"], queried["avgPrice"]) == ("FILLED", "60000.00000")


def test_a_limit_order_rests_is_listed_and_cancelled(client: Client) -> None:
    placed = limit(client, newClientOrderId="mine-1")
    assert (placed["status"], placed["price"], placed["clientOrderId"]) == ("NEW", "50000.00", "mine-1")
    assert [row["orderId"] for row in client.get("/fapi/v1/openOrders")] == [placed["orderId"]]
    assert (
        client.get("/fapi/v1/openOrder", symbol="BTCUSDT", origClientOrderId="mine-1")["time"] == placed["updateTime"]
    )
    cancelled = client.call("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="mine-1").body
    assert cancelled["status"] == "CANCELED"
    assert client.get("/fapi/v1/openOrders") == []
    assert client.call("DELETE", ORDER, symbol="BTCUSDT", orderId=placed["orderId"]).code == -2011
    assert client.call("GET", "/fapi/v1/openOrder", symbol="BTCUSDT", orderId=placed["orderId"]).code == -2013


def test_conditional_types_are_sent_to_the_algo_service(client: Client) -> None:
    for kind in ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"):
        reply = client.order(type=kind, stopPrice="55000")
        assert reply.code == -4120
        assert reply.body["msg"].endswith("Please use the Algo Order API endpoints instead.")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": None}, -1102),
        ({"symbol": "BTCUSD"}, -1121),
        ({"symbol": "BTC/USDT:USDT"}, -1121),
        ({"side": None}, -1102),
        ({"side": "buy"}, -1117),
        ({"type": None}, -1102),
        ({"type": "ICEBERG"}, -1116),
        ({"quantity": None}, -1102),
        ({"quantity": "1e-2"}, -1100),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "0"}, -4003),
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": "501"}, -4005),
        ({"quantity": "0.001", "symbol": "ETHUSDT"}, -4164),
        ({"quantity": "150", "symbol": "1000PEPEUSDT"}, -4023),
        ({"price": "60000"}, -1106),
        ({"timeInForce": "GTC"}, -1106),
        ({"stopPrice": "55000"}, -1106),
        ({"closePosition": "true"}, -4136),
        ({"positionSide": "UP"}, -4060),
        ({"positionSide": "LONG"}, -4061),
        ({"reduceOnly": "true"}, -2022),
        ({"reduceOnly": "perhaps"}, -1130),
        ({"newOrderRespType": "FULL"}, -1136),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"newClientOrderId": "no spaces"}, -1100),
        ({"priceMatch": "QUEUE"}, -1014),
        ({"quantity": "100"}, -2019),
    ],
)
def test_what_a_market_order_is_refused_for(world: World, client: Client, changes: dict, code: int) -> None:
    reply = client.order(**changes)
    assert (reply.status, reply.code) == (400, code)
    assert world.look("main").orders() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": None}, -1102),
        ({"timeInForce": None}, -1102),
        ({"timeInForce": "GTD"}, -1115),
        ({"price": "50000.05"}, -4014),
        ({"price": "50000.005"}, -1111),
        ({"price": "0"}, -4001),
        ({"price": "600000.1"}, -4016),
        ({"price": "5999.9"}, -4024),
        ({"price": "61000", "timeInForce": "GTX"}, -5022),
        ({"price": "59000", "timeInForce": "FOK"}, -5021),
    ],
)
def test_what_a_limit_order_is_refused_for(client: Client, changes: dict, code: int) -> None:
    reply = client.order(**{"type": "LIMIT", "timeInForce": "GTC", "price": "50000", **changes})
    assert reply.code == code


def test_client_ids_are_unique_among_open_orders_only(client: Client) -> None:
    limit(client, newClientOrderId="mine")
    assert client.order(newClientOrderId="mine").code == -4116
    client.call("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="mine")
    again = limit(client, newClientOrderId="mine")
    assert client.get(ORDER, symbol="BTCUSDT", origClientOrderId="mine")["orderId"] == again["orderId"]


def test_hedge_mode_takes_no_reduce_only_and_needs_a_side(world: World) -> None:
    client = make_client(world, mode=PositionMode.HEDGE)
    assert client.order().code == -4061
    assert client.order(positionSide="LONG", reduceOnly="false").code == -1106
    assert client.order(positionSide="LONG").status == 200
    assert client.order(positionSide="SHORT", side="BUY").code == -2022
    assert client.order(positionSide="LONG", side="SELL", quantity="0.010").body["positionSide"] == "LONG"
    assert world.look("main").positions() == []


def test_an_order_of_another_symbol_is_unknown(client: Client) -> None:
    placed = limit(client)
    assert client.call("GET", ORDER, symbol="ETHUSDT", orderId=placed["orderId"]).code == -2013
    assert client.call("DELETE", ORDER, symbol="ETHUSDT", orderId=placed["orderId"]).code == -2011
    assert client.call("GET", ORDER, symbol="BTCUSDT").code == -1102


def test_an_order_is_amended(client: Client) -> None:
    placed = limit(client)
    asked = {"symbol": "BTCUSDT", "orderId": placed["orderId"], "side": "BUY"}
    assert client.call("PUT", ORDER, **asked, quantity="0.020").code == -1102
    assert client.call("PUT", ORDER, **asked, quantity="0.010", price="50000").code == -5027
    amended = client.call("PUT", ORDER, **asked, quantity="0.020", price="51000").body
    assert (amended["orderId"], amended["origQty"], amended["price"]) == (placed["orderId"], "0.020", "51000.00")
    taken = client.call("PUT", ORDER, **asked, quantity="0.020", price="60000").body
    assert taken["status"] == "FILLED"
    assert client.call("PUT", ORDER, **asked, quantity="0.030", price="50000").code == -2013


def test_an_amendment_below_what_is_filled_cancels(world: World, client: Client) -> None:
    placed = limit(client, quantity="0.020")
    world.fill_order("main", placed["orderId"], "0.010")
    asked = {"symbol": "BTCUSDT", "orderId": placed["orderId"], "side": "BUY"}
    assert client.call("PUT", ORDER, **asked, quantity="0.010", price="50000").body["status"] == "CANCELED"


def test_a_post_only_order_that_an_amendment_makes_cross_is_cancelled(client: Client) -> None:
    placed = client.order(type="LIMIT", timeInForce="GTX", price="50000").body
    asked = {"symbol": "BTCUSDT", "orderId": placed["orderId"], "side": "BUY"}
    assert client.call("PUT", ORDER, **asked, quantity="0.010", price="60000").body["status"] == "CANCELED"


def test_cancel_all_is_of_one_symbol(client: Client) -> None:
    limit(client)
    limit(client, price="51000")
    other = limit(client, price="2000", symbol="ETHUSDT")
    reply = client.call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert reply.body == {"code": 200, "msg": "The operation of cancel all open order is done."}
    assert [row["orderId"] for row in client.get("/fapi/v1/openOrders")] == [other["orderId"]]
    assert client.call("DELETE", "/fapi/v1/allOpenOrders").code == -1102


def test_all_orders_by_id_and_by_window(world: World, client: Client) -> None:
    numbers = []
    for _ in range(4):
        numbers.append(client.order().body["orderId"])
        world.advance(3 * DAY_MS)

    def shown(**params: object) -> list[int]:
        return [row["orderId"] for row in client.get("/fapi/v1/allOrders", symbol="BTCUSDT", **params)]

    assert shown() == numbers[2:]
    assert shown(limit=1) == numbers[3:]
    assert shown(orderId=numbers[1]) == numbers[1:]
    start = world.now_ms() - 12 * DAY_MS
    assert shown(startTime=start) == numbers[:3]
    assert shown(startTime=start, limit=1) == numbers[:1]
    assert shown(startTime=start, endTime=start + DAY_MS) == numbers[:1]
    for params, code in (({"startTime": start, "endTime": start + 8 * DAY_MS}, -4165), ({"symbol": "X"}, -1121)):
        assert client.call("GET", "/fapi/v1/allOrders", **{"symbol": "BTCUSDT", **params}).code == code


def test_unfilled_orders_are_forgotten_after_three_days_filled_ones_after_ninety(world: World, client: Client) -> None:
    cancelled = limit(client)["orderId"]
    client.call("DELETE", ORDER, symbol="BTCUSDT", orderId=cancelled)
    filled = client.order().body["orderId"]
    resting = limit(client)["orderId"]
    world.advance(3 * DAY_MS)
    assert client.get(ORDER, symbol="BTCUSDT", orderId=cancelled)["status"] == "CANCELED"
    world.advance(1)
    assert client.call("GET", ORDER, symbol="BTCUSDT", orderId=cancelled).code == -2013
    world.advance(88 * DAY_MS)
    assert client.call("GET", ORDER, symbol="BTCUSDT", orderId=filled).code == -2013
    assert client.get(ORDER, symbol="BTCUSDT", orderId=resting)["status"] == "NEW"


def test_an_order_that_is_only_checked_is_not_placed(world: World, client: Client) -> None:
    reply = client.call("POST", "/fapi/v1/order/test", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.010")
    assert (reply.status, reply.body) == (200, {})
    assert world.look("main").orders() == []


def test_forced_orders_are_listed_by_their_kind(world: World, client: Client) -> None:
    client.order()
    world.liquidate("main", "BTCUSDT")
    client.order()
    world.auto_deleverage("main", "BTCUSDT")
    everything = client.get("/fapi/v1/forceOrders", symbol="BTCUSDT")
    assert [row["clientOrderId"].split("-")[0] for row in everything] == ["autoclose", "adl_autoclose"]
    adl = client.get("/fapi/v1/forceOrders", autoCloseType="ADL")
    assert [row["clientOrderId"] for row in adl] == ["adl_autoclose"]
    assert client.call("GET", "/fapi/v1/forceOrders", autoCloseType="WHIM").code == -1130


def test_a_settled_contract_takes_no_orders(world: World, client: Client) -> None:
    dated = next(spec for spec in world.instruments("binance") if spec.expiry_ms is not None)
    world.settle(dated.symbol)
    assert client.order(symbol=dated.symbol).code == -4108


def test_prices_have_the_digits_of_their_contract(client: Client) -> None:
    row = limit(client, symbol="1000PEPEUSDT", price="0.0090001", quantity="10000")
    assert (row["price"], row["origQty"], row["cumQuote"]) == ("0.0090001", "10000", "0.0000000")
    assert Decimal(row["avgPrice"]) == 0
