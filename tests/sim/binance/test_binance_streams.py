"""Streams: who hears what, in what form, for how long."""

from __future__ import annotations

import json

import pytest
from binance_client import START_MS, Client, drain, make_client

from trueup.sim.binance import build_wire
from trueup.sim.binance.streams import BinanceSession
from trueup.sim.world import World
from trueup.sim.world.types import PositionMode

HOUR_MS = 3_600_000


def listen(client: Client) -> BinanceSession:
    return client.wire.open_stream("/private/ws", f"listenKey={client.listen_key()}")


def kinds(messages: list[dict]) -> list[str]:
    return [message["e"] for message in messages]


@pytest.mark.parametrize(
    "form", ["/ws/{}", "/private/ws?listenKey={}", "/private/ws/{}", "/private/stream?listenKey={}"]
)
def test_every_way_to_the_user_stream(world: World, client: Client, form: str) -> None:
    path, _, query = form.format(client.listen_key()).partition("?")
    session = client.wire.open_stream(path, query)
    assert session.account == "main"
    world.transfer("main", "USDT", "5")
    (message,) = drain(session)
    data = message["data"] if path.endswith("stream") else message
    assert (data["e"], data["a"]["m"]) == ("ACCOUNT_UPDATE", "DEPOSIT")
    assert data["a"]["B"] == [{"a": "USDT", "wb": "100005.00000000", "cw": "100005.00000000", "bc": "5.00000000"}]


def test_combined_streams_name_the_stream(world: World, client: Client) -> None:
    key = client.listen_key()
    session = client.wire.open_stream("/stream", f"streams=btcusdt@markPrice@1s/{key}")
    world.transfer("main", "USDT", "-5")
    (message,) = drain(session)
    assert message["stream"] == key
    assert message["data"]["a"]["m"] == "WITHDRAW"


def test_one_market_order_is_told_in_order(world: World, client: Client) -> None:
    session = listen(client)
    client.order(newClientOrderId="mine")
    messages = drain(session)
    assert kinds(messages) == ["ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "TRADE_LITE", "ORDER_TRADE_UPDATE"]
    accepted, account, lite, filled = messages
    assert (accepted["o"]["x"], accepted["o"]["X"], accepted["o"]["t"]) == ("NEW", "NEW", 0)
    assert (filled["o"]["x"], filled["o"]["X"], filled["o"]["z"]) == ("TRADE", "FILLED", "0.01")
    assert (filled["o"]["N"], filled["o"]["n"], filled["o"]["c"]) == ("USDT", "0.30000000", "mine")
    assert (lite["t"], lite["L"]) == (filled["o"]["t"], "60000")
    assert account["a"]["B"] == [{"a": "USDT", "wb": "99999.70000000", "cw": "99999.70000000", "bc": "0"}]
    (row,) = account["a"]["P"]
    assert (row["s"], row["pa"], row["ep"], row["ps"], row["mt"]) == ("BTCUSDT", "0.01", "60000", "BOTH", "cross")


def test_only_changed_symbols_are_told(world: World, client: Client) -> None:
    client.order()
    session = listen(client)
    client.order(symbol="ETHUSDT", quantity="0.100")
    account = next(m for m in drain(session) if m["e"] == "ACCOUNT_UPDATE")
    assert [row["s"] for row in account["a"]["P"]] == ["ETHUSDT"]


def test_a_close_is_told_as_zero(world: World, client: Client) -> None:
    client.order()
    session = listen(client)
    world.close_position("main", "BTCUSDT")
    messages = drain(session)
    account = next(m for m in messages if m["e"] == "ACCOUNT_UPDATE")
    assert [(row["pa"], row["ep"], row["ps"]) for row in account["a"]["P"]] == [("0", "0", "BOTH")]
    assert messages[-1]["o"]["c"].startswith("web_")


def test_hedge_legs_are_told_apart(world: World) -> None:
    client = make_client(world, mode=PositionMode.HEDGE)
    session = listen(client)
    client.order(positionSide="SHORT", side="SELL")
    account = next(m for m in drain(session) if m["e"] == "ACCOUNT_UPDATE")
    assert [(row["ps"], row["pa"]) for row in account["a"]["P"]] == [("SHORT", "-0.01")]


def test_funding_comes_without_position_in_cross_mode_and_with_it_in_isolated(world: World, client: Client) -> None:
    client.call("POST", "/fapi/v1/marginType", symbol="ETHUSDT", marginType="ISOLATED")
    client.order()
    client.order(symbol="ETHUSDT", quantity="1.000")
    session = listen(client)
    world.fund("BTCUSDT", venue="binance")
    (cross,) = drain(session)
    assert cross["a"]["m"] == "FUNDING_FEE"
    assert "P" not in cross["a"]
    assert cross["a"]["B"][0]["bc"] == "-0.06000000"
    world.fund("ETHUSDT", venue="binance")
    (isolated,) = drain(session)
    assert [row["s"] for row in isolated["a"]["P"]] == ["ETHUSDT"]


def test_a_stop_from_placing_to_its_end(world: World, client: Client) -> None:
    client.order()
    session = listen(client)
    stop = client.algo(triggerPrice="55000", quantity="0.010", reduceOnly="true", clientAlgoId="stop").body
    (new,) = drain(session)
    assert (new["e"], new["o"]["X"], new["o"]["ai"], new["o"]["act"]) == ("ALGO_UPDATE", "NEW", "", "0")
    world.set_price("BTCUSDT", "54900", venue="binance")
    messages = drain(session)
    told = [(m["e"], m["o"]["X"]) for m in messages if m["e"] != "TRADE_LITE" and "o" in m]
    assert told == [
        ("ALGO_UPDATE", "TRIGGERING"),
        ("ALGO_UPDATE", "TRIGGERED"),
        ("ORDER_TRADE_UPDATE", "NEW"),
        ("ORDER_TRADE_UPDATE", "FILLED"),
        ("ALGO_UPDATE", "FINISHED"),
    ]
    triggering, triggered, finished = (m["o"] for m in messages if m["e"] == "ALGO_UPDATE")
    child = next(m["o"] for m in messages if m["e"] == "ORDER_TRADE_UPDATE")
    assert triggering["ai"] == ""
    assert triggered["ai"] == str(child["i"]) != str(stop["algoId"])
    assert (triggered["act"], triggered["tt"]) == ("MARKET", START_MS)
    assert (child["c"], child["o"], child["R"]) == ("stop", "MARKET", True)
    assert (finished["ap"], finished["aq"]) == ("54900", "0.01")
    assert "rm" not in finished


def test_an_orphaned_stop_is_rejected_with_its_reason(world: World, client: Client) -> None:
    client.order()
    client.algo(triggerPrice="55000", quantity="0.010", reduceOnly="true")
    world.close_position("main", "BTCUSDT")
    session = listen(client)
    world.set_price("BTCUSDT", "54000", venue="binance")
    messages = drain(session)
    assert [m["o"]["X"] for m in messages] == ["TRIGGERING", "REJECTED"]
    assert messages[-1]["o"]["rm"] == "Reduce Only reject"


def test_a_close_position_stop_expires_with_its_position(world: World, client: Client) -> None:
    client.order()
    client.algo(triggerPrice="55000", closePosition="true")
    session = listen(client)
    world.close_position("main", "BTCUSDT")
    algo = [m["o"] for m in drain(session) if m["e"] == "ALGO_UPDATE"]
    assert [(o["X"], o["f"], o["cp"], o["q"]) for o in algo] == [("EXPIRED", "GTE_GTC", True, "0")]


def test_liquidation_and_adl_have_their_own_names(world: World, client: Client) -> None:
    client.order()
    session = listen(client)
    world.liquidate("main", "BTCUSDT")
    liquidated = [m["o"] for m in drain(session) if m["e"] == "ORDER_TRADE_UPDATE"]
    assert liquidated[-1]["x"] == "CALCULATED"
    assert liquidated[-1]["c"].startswith("autoclose-")
    client.order()
    drain(session)
    world.auto_deleverage("main", "BTCUSDT")
    messages = drain(session)
    assert messages[-1]["o"]["c"] == "adl_autoclose"
    assert "TRADE_LITE" not in kinds(messages)


def test_orders_end_with_their_reason(world: World, client: Client) -> None:
    client.order()
    session = listen(client)
    client.order(side="SELL", type="LIMIT", timeInForce="GTC", price="70000", reduceOnly="true")
    world.close_position("main", "BTCUSDT")
    ended = next(m["o"] for m in drain(session) if m["e"] == "ORDER_TRADE_UPDATE" and m["o"]["X"] == "EXPIRED")
    assert (ended["x"], ended["er"]) == ("EXPIRED", "4")
    client.order(type="LIMIT", timeInForce="IOC", price="50000")
    assert drain(session)[-1]["o"]["er"] == "2"


def test_amendments_are_told(client: Client) -> None:
    order = client.order(type="LIMIT", timeInForce="GTC", price="50000").body
    session = listen(client)
    asked = {"symbol": "BTCUSDT", "side": "BUY", "orderId": order["orderId"], "quantity": "0.020", "price": "50100"}
    client.call("PUT", "/fapi/v1/order", **asked)
    (message,) = drain(session)
    assert (message["o"]["x"], message["o"]["X"], message["o"]["q"]) == ("AMENDMENT", "NEW", "0.02")


def test_settings_are_told(client: Client) -> None:
    session = listen(client)
    client.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=9)
    (leverage,) = drain(session)
    assert (leverage["e"], leverage["ac"]) == ("ACCOUNT_CONFIG_UPDATE", {"s": "BTCUSDT", "l": 9})
    client.call("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    (margin,) = drain(session)
    assert (margin["e"], margin["a"]["m"]) == ("ACCOUNT_UPDATE", "MARGIN_TYPE_CHANGE")
    client.call("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    assert drain(session) == []


def test_margin_calls_are_told(world: World) -> None:
    client = make_client(world, balances={"USDT": 1000})
    client.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=125)
    client.order(quantity="1.000")
    session = listen(client)
    world.set_price("BTCUSDT", "59295", venue="binance")
    call = next(m for m in drain(session) if m["e"] == "MARGIN_CALL")
    assert [(row["s"], row["mt"], row["pa"]) for row in call["p"]] == [("BTCUSDT", "CROSSED", "1")]
    assert float(call["cw"]) > 0


def test_accounts_hear_only_of_themselves(world: World, client: Client) -> None:
    other = Client(client.wire, world.add_account("other", "binance"))
    mine, theirs = listen(client), listen(other)
    client.order()
    assert drain(mine)
    assert drain(theirs) == []


def test_a_session_hears_only_the_kinds_that_it_asked_for(client: Client) -> None:
    query = f"listenKey={client.listen_key()}&events=ACCOUNT_UPDATE/ALGO_UPDATE"
    session = client.wire.open_stream("/private/ws", query)
    client.order()
    assert kinds(drain(session)) == ["ACCOUNT_UPDATE"]


def test_one_key_per_account_while_it_lives(world: World, client: Client) -> None:
    key = client.listen_key()
    assert len(key) == 64
    world.advance(HOUR_MS - 1)
    assert client.listen_key() == key
    world.advance(HOUR_MS - 1)
    renewed = client.raw("PUT", "/fapi/v1/listenKey", key=client.account.api_key)
    assert renewed.body == {"listenKey": key}
    world.advance(HOUR_MS)
    assert client.raw("PUT", "/fapi/v1/listenKey", key=client.account.api_key).code == -1125
    assert client.listen_key() != key


def test_a_key_that_ran_out_is_told_and_then_silent_on_an_open_socket(world: World, client: Client) -> None:
    key = client.listen_key()
    session = client.wire.open_stream("/ws/" + key, "")
    world.advance(HOUR_MS - 1)
    assert drain(session) == []
    world.advance(1)
    (message,) = drain(session)
    assert message == {"e": "listenKeyExpired", "E": START_MS + HOUR_MS, "listenKey": key}
    client.order()
    assert drain(session) == []
    assert not session.closed
    session.receive(json.dumps({"method": "SUBSCRIBE", "params": [client.listen_key()], "id": 1}))
    assert drain(session) == [{"result": None, "id": 1}]
    client.order()
    assert "ACCOUNT_UPDATE" in kinds(drain(session))


def test_an_extended_key_lives_on(world: World, client: Client) -> None:
    session = listen(client)
    for _ in range(3):
        world.advance(HOUR_MS - 1_000)
        client.raw("PUT", "/fapi/v1/listenKey", key=client.account.api_key)
    assert drain(session) == []


def test_keys_are_expired_on_demand(world: World, client: Client) -> None:
    other = Client(client.wire, world.add_account("other", "binance"))
    mine, theirs = listen(client), listen(other)
    world.expire_listen_keys("main")
    assert kinds(drain(mine)) == ["listenKeyExpired"]
    assert drain(theirs) == []
    world.expire_listen_keys()
    assert kinds(drain(theirs)) == ["listenKeyExpired"]
    assert drain(mine) == []


def test_a_deleted_key_is_silent(client: Client) -> None:
    session = listen(client)
    assert client.raw("DELETE", "/fapi/v1/listenKey", key=client.account.api_key).body == {}
    assert client.raw("DELETE", "/fapi/v1/listenKey", key=client.account.api_key).code == -1125
    client.order()
    assert drain(session) == []


def test_a_wrong_key_opens_a_silent_session(client: Client) -> None:
    session = client.wire.open_stream("/private/ws", "listenKey=nobody")
    client.order()
    assert session.account is None
    assert drain(session) == []


def test_streams_are_cut_on_demand(world: World, client: Client) -> None:
    other = Client(client.wire, world.add_account("other", "binance"))
    mine, theirs = listen(client), listen(other)
    public = client.wire.open_stream("/market/ws", "")
    world.cut_streams("main")
    assert (mine.closed, theirs.closed, public.closed) == (True, False, False)
    world.cut_streams()
    assert (theirs.closed, public.closed) == (True, True)


def test_a_session_whose_key_ran_out_is_cut_too(world: World, client: Client) -> None:
    session = listen(client)
    world.expire_listen_keys("main")
    world.cut_streams("main")
    assert session.closed


def test_what_a_stale_request_makes_happen_is_told_as_it_is(world: World, client: Client) -> None:
    session = listen(client)
    then = world.now_ms()
    world.advance(5_000)
    world.set_price("BTCUSDT", "61000", venue="binance")
    with world.reading_at(then):
        client.order()
    account = next(m for m in drain(session) if m["e"] == "ACCOUNT_UPDATE")
    assert (account["a"]["P"][0]["ep"], account["a"]["P"][0]["up"]) == ("61000", "0")


def test_a_session_lives_for_a_day(world: World, client: Client) -> None:
    session = client.wire.open_stream("/market/ws/0", "")
    session.tick(START_MS + 24 * HOUR_MS - 1)
    assert not session.closed
    session.tick(START_MS + 24 * HOUR_MS)
    assert session.closed


def test_who_left_is_forgotten(world: World, client: Client) -> None:
    session = listen(client)
    session.disconnected()
    client.order()
    assert drain(session) == []


def passed(world: World, session: BinanceSession, seconds: int) -> list[dict]:
    for _ in range(seconds):
        world.advance(1_000)
        session.tick(world.now_ms())
    return drain(session)


def test_mark_prices_by_the_clock(world: World, client: Client) -> None:
    slow = client.wire.open_stream("/market/ws/btcusdt@markPrice", "")
    fast = client.wire.open_stream("/ws/btcusdt@markPrice@1s", "")
    for session in (slow, fast):
        session.tick(world.now_ms())
    for _ in range(6):
        world.advance(1_000)
        slow.tick(world.now_ms())
        fast.tick(world.now_ms())
    told = drain(slow)
    assert (len(told), len(drain(fast))) == (2, 6)
    assert told[0]["p"] == "60000.00000000"
    assert set(told[0]) == {"e", "E", "s", "p", "i", "P", "r", "T"}


def test_all_mark_prices_at_once(world: World, client: Client) -> None:
    session = client.wire.open_stream("/stream", "streams=!markPrice@arr@1s")
    session.tick(world.now_ms())
    (message,) = passed(world, session, 1)
    assert message["stream"] == "!markPrice@arr@1s"
    assert {row["s"] for row in message["data"]} >= {"BTCUSDT", "ETHUSDT"}


def test_unknown_streams_are_silent(world: World, client: Client) -> None:
    session = client.wire.open_stream("/public/ws/btcusdt@nonsense", "")
    assert passed(world, session, 4) == []


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"method":"SUBSCRIBE","params":["a","b"],"id":1}', {"result": None, "id": 1}),
        ('{"method":"LIST_SUBSCRIPTIONS","id":3}', {"result": ["btcusdt@markPrice"], "id": 3}),
        ('{"method":"UNSUBSCRIBE","params":["btcusdt@markPrice"],"id":2}', {"result": None, "id": 2}),
        ('{"method":"GET_PROPERTY","params":["combined"],"id":4}', {"result": False, "id": 4}),
        ('{"method":"SET_PROPERTY","params":["combined",true],"id":5}', {"result": None, "id": 5}),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":5}', 1),
        ('{"method":"SET_PROPERTY","params":["colour",true],"id":5}', 0),
        ('{"method":"SET_PROPERTY","params":[],"id":5}', 2),
        ('{"method":"DANCE","id":5}', 2),
        ('{"method":"SUBSCRIBE","params":["a"]}', 2),
        ('{"method":"SUBSCRIBE","params":"a","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[7],"id":1}', 2),
        ('{"id":5}', 2),
        ("[]", 2),
        ("{", 3),
    ],
)
def test_requests_on_a_stream(client: Client, text: str, answer: dict | int) -> None:
    session = client.wire.open_stream("/ws/btcusdt@markPrice", "")
    session.receive(text)
    (message,) = drain(session)
    assert (message if isinstance(answer, dict) else message["code"]) == answer


def test_the_combined_property_changes_the_form(world: World, client: Client) -> None:
    session = client.wire.open_stream("/ws/btcusdt@markPrice@1s", "")
    session.tick(world.now_ms())
    session.receive('{"method":"SET_PROPERTY","params":["combined",true],"id":5}')
    drain(session)
    (message,) = passed(world, session, 1)
    assert set(message) == {"stream", "data"}


def test_a_thousand_and_twenty_four_streams(client: Client) -> None:
    session = client.wire.open_stream("/ws", "")
    session.receive(json.dumps({"method": "SUBSCRIBE", "params": [f"s{n}" for n in range(1024)], "id": 1}))
    session.receive(json.dumps({"method": "SUBSCRIBE", "params": ["one-more"], "id": 2}))
    first, second = drain(session)
    assert first["result"] is None
    assert second["code"] == 2


def test_more_than_ten_requests_in_a_second_close_the_session(world: World, client: Client) -> None:
    session = client.wire.open_stream("/ws", "")
    for number in range(10):
        session.receive(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
    world.advance(1_000)
    for number in range(10):
        session.receive(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
    assert not session.closed
    session.receive('{"method":"LIST_SUBSCRIPTIONS","id":11}')
    assert session.closed


def test_the_same_seed_gives_the_same_bytes() -> None:
    def told() -> list[str]:
        from binance_client import make_world

        world = make_world(seed=3)
        client = make_client(world)
        session = listen(client)
        client.order()
        client.algo(triggerPrice="55000", closePosition="true")
        world.set_price("BTCUSDT", "54000", venue="binance")
        return list(session.outbox)

    assert told() == told()


def test_two_wires_over_one_world_do_not_share_sessions(world: World, client: Client) -> None:
    other = Client(build_wire(world), client.account)
    mine, theirs = listen(client), listen(other)
    client.order()
    assert kinds(drain(mine)) == kinds(drain(theirs))
