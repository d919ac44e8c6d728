"""The Algo Service: conditional orders from placing to the end of what they became."""

from __future__ import annotations

import pytest
from binance_client import Client, make_client

from trueup.sim.world import World
from trueup.sim.world.types import PositionMode

ALGO = "/fapi/v1/algoOrder"
OPEN = "/fapi/v1/openAlgoOrders"
DAY_MS = 86_400_000


def placed(client: Client, **params: object) -> dict:
    reply = client.algo(**{"triggerPrice": "55000", "quantity": "0.010", **params})
    assert reply.status == 200, reply.body
    return reply.body


def query(client: Client, order: dict) -> dict:
    return client.get(ALGO, algoId=order["algoId"])


def test_a_stop_is_in_the_algo_list_alone(client: Client) -> None:
    client.order()
    stop = placed(client, reduceOnly="true", clientAlgoId="stop-1", workingType="MARK_PRICE")
    assert (stop["algoStatus"], stop["orderType"], stop["triggerPrice"]) == ("NEW", "STOP_MARKET", "55000.00")
    assert (stop["reduceOnly"], stop["workingType"], stop["clientAlgoId"]) == (True, "MARK_PRICE", "stop-1")
    assert [row["algoId"] for row in client.get(OPEN)] == [stop["algoId"]]
    assert client.get("/fapi/v1/openOrders") == []
    assert client.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=stop["algoId"]).code == -2013
    assert client.call("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=stop["algoId"]).code == -2011


def test_a_stop_is_cancelled_by_either_id(client: Client) -> None:
    client.order()
    first, second = placed(client, clientAlgoId="a"), placed(client, clientAlgoId="b")
    answer = client.call("DELETE", ALGO, algoId=first["algoId"]).body
    assert answer == {"algoId": first["algoId"], "clientAlgoId": "a", "code": "200", "msg": "success"}
    assert client.call("DELETE", ALGO, clientAlgoId="b").body["algoId"] == second["algoId"]
    assert client.call("DELETE", ALGO, algoId=first["algoId"]).code == -2011
    assert client.call("DELETE", ALGO).code == -1102
    assert query(client, first)["algoStatus"] == "CANCELED"
    assert client.call("GET", ALGO, algoId=1).code == -2013


def test_a_triggered_stop_becomes_another_order_under_its_client_id(world: World, client: Client) -> None:
    client.order()
    stop = placed(client, reduceOnly="true", clientAlgoId="stop-1")
    world.set_price("BTCUSDT", "54990", venue="binance")
    row = query(client, stop)
    assert row["algoStatus"] == "FINISHED"
    assert row["actualOrderId"] not in ("", str(stop["algoId"]))
    assert (row["actualPrice"], row["actualQty"], row["actualType"]) == ("54990.00000", "0.010", "MARKET")
    child = client.get("/fapi/v1/order", symbol="BTCUSDT", orderId=row["actualOrderId"])
    assert (child["clientOrderId"], child["type"], child["reduceOnly"]) == ("stop-1", "MARKET", True)
    assert client.get(OPEN) == []
    assert client.get("/fapi/v1/userTrades", symbol="BTCUSDT")[-1]["orderId"] == child["orderId"]


def test_a_triggered_stop_limit_is_triggered_until_its_order_is_final(world: World, client: Client) -> None:
    client.order()
    stop = placed(client, type="STOP", price="55100")
    world.set_price("BTCUSDT", "55000", venue="binance")
    row = query(client, stop)
    assert (row["algoStatus"], row["actualType"]) == ("TRIGGERED", "LIMIT")
    child = int(row["actualOrderId"])
    assert [order["orderId"] for order in client.get("/fapi/v1/openOrders")] == [child]
    client.call("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=child)
    assert query(client, stop)["algoStatus"] == "FINISHED"


def test_a_close_position_stop_is_bound_to_its_position(world: World, client: Client) -> None:
    assert client.algo(triggerPrice="55000", closePosition="true").code == -4509
    client.order()
    stop = client.algo(triggerPrice="55000", closePosition="true").body
    assert (stop["quantity"], stop["timeInForce"], stop["reduceOnly"]) == ("0", "GTE_GTC", True)
    assert client.algo(triggerPrice="54000", closePosition="true").code == -4130
    profit = client.algo(type="TAKE_PROFIT_MARKET", triggerPrice="70000", closePosition="true")
    assert profit.status == 200
    world.close_position("main", "BTCUSDT")
    assert [query(client, order)["algoStatus"] for order in (stop, profit.body)] == ["EXPIRED", "EXPIRED"]


def test_a_reduce_only_stop_stays_behind_a_closed_position(world: World, client: Client) -> None:
    client.order()
    stop = placed(client, reduceOnly="true")
    world.close_position("main", "BTCUSDT")
    assert [row["algoId"] for row in client.get(OPEN)] == [stop["algoId"]]
    world.set_price("BTCUSDT", "54000", venue="binance")
    row = query(client, stop)
    assert (row["algoStatus"], row["actualOrderId"]) == ("REJECTED", "")
    assert world.look("main").positions() == []


def test_a_close_position_stop_closes_all_there_is(world: World, client: Client) -> None:
    client.order()
    client.algo(triggerPrice="55000", closePosition="true")
    client.order(quantity="0.020")
    world.set_price("BTCUSDT", "54000", venue="binance")
    assert world.look("main").positions() == []


def test_a_trailing_stop_follows(world: World, client: Client) -> None:
    client.order()
    trailing = client.algo(
        type="TRAILING_STOP_MARKET", quantity="0.010", callbackRate="1.0", activatePrice="61000"
    ).body
    assert (trailing["activatePrice"], trailing["callbackRate"], trailing["triggerPrice"]) == ("61000.00", "1", "0.00")
    world.set_price("BTCUSDT", "62000", venue="binance")
    assert query(client, trailing)["triggerPrice"] == "61380.00"
    world.set_price("BTCUSDT", "61300", venue="binance")
    assert query(client, trailing)["algoStatus"] == "FINISHED"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"algoType": None}, -1102),
        ({"algoType": "VP"}, -1130),
        ({"symbol": None}, -1102),
        ({"symbol": "NOPE"}, -1121),
        ({"side": "LONG"}, -1117),
        ({"type": "MARKET"}, -1116),
        ({"type": "LIMIT"}, -1116),
        ({"triggerPrice": None}, -1102),
        ({"triggerPrice": "55000.05"}, -4014),
        ({"triggerPrice": "55000.001"}, -1111),
        ({"triggerPrice": "0"}, -4006),
        ({"triggerPrice": "60000"}, -2021),
        ({"triggerPrice": "65000"}, -2021),
        ({"type": "TAKE_PROFIT_MARKET"}, -2021),
        ({"quantity": None}, -1102),
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"type": "STOP"}, -1102),
        ({"price": "54000"}, -1106),
        ({"workingType": "INDEX_PRICE"}, -4031),
        ({"timeInForce": "DAY"}, -1115),
        ({"closePosition": "true"}, -4137),
        ({"closePosition": "true", "quantity": None, "reduceOnly": "true"}, -1106),
        ({"closePosition": "true", "quantity": None, "type": "STOP", "price": "54000"}, -4136),
        ({"callbackRate": "1"}, -1106),
        ({"activatePrice": "61000"}, -1106),
        ({"positionSide": "SHORT"}, -4061),
        ({"clientAlgoId": "x" * 37}, -4015),
        ({"type": "TRAILING_STOP_MARKET"}, -2021),
        ({"type": "TRAILING_STOP_MARKET", "triggerPrice": None}, -1102),
        ({"type": "TRAILING_STOP_MARKET", "triggerPrice": None, "callbackRate": "11"}, -2007),
        ({"type": "TRAILING_STOP_MARKET", "triggerPrice": None, "callbackRate": "1", "activatePrice": "59000"}, -2021),
    ],
)
def test_what_an_algo_order_is_refused_for(world: World, client: Client, changes: dict, code: int) -> None:
    client.order()
    reply = client.algo(**{"triggerPrice": "55000", "quantity": "0.010", **changes})
    assert (reply.status, reply.code) == (400, code)
    assert world.look("main").conditionals() == []


def test_hedge_mode_stops_name_their_leg(world: World) -> None:
    client = make_client(world, mode=PositionMode.HEDGE)
    client.order(positionSide="LONG")
    client.order(positionSide="SHORT", side="SELL")
    assert client.algo(triggerPrice="55000", quantity="0.010").code == -4061
    assert client.algo(triggerPrice="55000", quantity="0.010", positionSide="LONG", reduceOnly="true").code == -1106
    long_stop = placed(client, positionSide="LONG", quantity=None, closePosition="true")
    short_stop = placed(client, positionSide="SHORT", side="BUY", triggerPrice="65000")
    assert (long_stop["positionSide"], short_stop["positionSide"]) == ("LONG", "SHORT")
    world.set_price("BTCUSDT", "54000", venue="binance")
    assert [position.leg.name for position in world.look("main").positions()] == ["SHORT"]


def test_client_ids_are_unique_among_open_orders(client: Client) -> None:
    placed(client, clientAlgoId="mine")
    assert client.algo(triggerPrice="54000", quantity="0.010", clientAlgoId="mine").code == -4116
    client.call("DELETE", ALGO, clientAlgoId="mine")
    assert client.algo(triggerPrice="54000", quantity="0.010", clientAlgoId="mine").status == 200


def test_two_hundred_and_no_more(client: Client) -> None:
    for number in range(200):
        placed(client, triggerPrice=str(50_000 - number))
    assert client.algo(triggerPrice="40000", quantity="0.010").code == -4045


def test_lists_by_symbol_and_id(world: World, client: Client) -> None:
    first = placed(client)
    second = placed(client, symbol="ETHUSDT", triggerPrice="2500")
    assert [row["algoId"] for row in client.get(OPEN, symbol="ETHUSDT")] == [second["algoId"]]
    assert [row["algoId"] for row in client.get(OPEN, algoId=first["algoId"])] == [first["algoId"]]
    assert client.call("GET", OPEN, algoType="VP").code == -1130
    reply = client.call("DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT")
    assert reply.body == {"code": 200, "msg": "The operation of cancel all open order is done."}
    assert [row["algoId"] for row in client.get(OPEN)] == [second["algoId"]]


def test_the_history_of_algo_orders(world: World, client: Client) -> None:
    history = "/fapi/v1/allAlgoOrders"
    first = placed(client)["algoId"]
    world.advance(8 * DAY_MS)
    second = placed(client)["algoId"]
    client.call("DELETE", ALGO, algoId=second)

    def shown(**params: object) -> list[int]:
        return [row["algoId"] for row in client.get(history, symbol="BTCUSDT", **params)]

    assert shown() == [second]
    assert shown(algoId=first) == [first, second]
    assert shown(startTime=world.now_ms() - 9 * DAY_MS) == [first]
    assert client.call("GET", history).code == -1102
    world.advance(4 * DAY_MS)
    assert shown(algoId=first) == [first]
