"""Private and public websockets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bybit_client import Client, Listener, hex_hmac

from trueup.sim.bybit import BybitWire
from trueup.sim.wire import StreamRefused
from trueup.sim.world import World


def private(wire: BybitWire, query: str = "") -> Listener:
    return Listener(wire.open_stream("/v5/private", query))


def auth(client: Client, **changes: Any) -> dict[str, Any]:
    expires = changes.get("expires", str(client.world.now_ms() + 1_000))
    sign = hex_hmac(client.account.api_secret, f"GET/realtime{expires}")
    return {"op": "auth", "args": [changes.get("key", client.account.api_key), expires, changes.get("sign", sign)]}


def test_authentication_is_answered_and_names_the_account(wire: BybitWire, client: Client) -> None:
    listener = private(wire)
    assert listener.session.account is None
    listener.say(**auth(client), req_id="7")
    (answer,) = listener.heard()
    connection_id = answer.pop("conn_id")
    assert answer == {"success": True, "ret_msg": "", "op": "auth", "req_id": "7"}
    assert connection_id
    assert listener.session.account == "main"


@pytest.mark.parametrize("changes", [{"sign": "wrong"}, {"key": "nobody"}, {"expires": "1"}, {"expires": "soon"}])
def test_a_failed_authentication_closes_the_session(wire: BybitWire, client: Client, changes: dict[str, str]) -> None:
    listener = private(wire)
    listener.say(**auth(client, **changes))
    (answer,) = listener.heard()
    assert (answer["success"], answer["op"]) == (False, "auth")
    assert listener.session.closed
    assert listener.session.account is None


def test_nothing_is_subscribed_before_authentication(wire: BybitWire, world: World) -> None:
    listener = private(wire)
    listener.say(op="subscribe", args=["position"])
    (answer,) = listener.heard()
    assert (answer["success"], answer["ret_msg"]) == (False, "Request not authorized")
    world.open_position("main", "BTCUSDT", "long", "0.01")
    assert listener.heard() == []


def test_topics_are_checked(client: Client) -> None:
    listener = client.stream("position")
    listener.say(op="subscribe", args=["positions"])
    assert listener.heard()[0]["ret_msg"] == "error:handler not found,topic:positions"
    listener.say(op="subscribe", args=["order", "order.linear"])
    assert listener.heard()[0]["success"] is False


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", '{"op": "dance"}', '{"op": 5}', '{"op": "subscribe", "args": 3}']
)
def test_nonsense_is_answered_and_does_not_close(client: Client, text: str) -> None:
    listener = client.stream("position")
    listener.session.receive(text)
    (answer,) = listener.heard()
    assert answer["success"] is False
    assert not listener.session.closed


def test_pings_are_answered_on_both_kinds(wire: BybitWire, client: Client) -> None:
    listener = client.stream("position")
    listener.say(op="ping", req_id="9")
    pong = listener.heard()[0]
    assert (pong["op"], pong["req_id"], pong["args"]) == ("pong", "9", [str(client.world.now_ms())])
    public = Listener(wire.open_stream("/v5/public/linear", ""))
    public.say(op="ping")
    pong = public.heard()[0]
    assert (pong["op"], pong["ret_msg"], pong["success"], pong["req_id"]) == ("ping", "pong", True, "")


def test_a_fill_tells_position_execution_order_and_wallet(client: Client) -> None:
    listener = client.stream("position", "order", "execution", "wallet")
    order_id = client.order("BTCUSDT", "Buy", "0.010", orderLinkId="entry").result["orderId"]
    messages = listener.heard()
    by_topic: dict[str, list[dict[str, Any]]] = {}
    for message in messages:
        assert set(message) == {"id", "topic", "creationTime", "data"}
        by_topic.setdefault(message["topic"], []).extend(message["data"])
    position = by_topic["position"][-1]
    assert (position["side"], position["size"], position["entryPrice"]) == ("Buy", "0.010", "60000.00")
    (execution,) = by_topic["execution"]
    assert (execution["orderId"], execution["execType"], execution["category"]) == (order_id, "Trade", "linear")
    assert [row["orderStatus"] for row in by_topic["order"]] == ["New", "Filled"]
    (coin,) = by_topic["wallet"][0]["coin"]
    assert (coin["coin"], coin["walletBalance"]) == ("USDT", "99999.67")


def test_a_one_way_close_has_no_side_and_size_zero(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    listener = client.stream("position")
    world.close_position("main", "BTCUSDT")
    row = listener.rows("position")[-1]
    assert (row["side"], row["size"], row["positionIdx"], row["entryPrice"]) == ("", "0", 0, "0")
    assert row["positionValue"] == "0"


def test_hedge_legs_are_told_apart(world: World, hedge: Client) -> None:
    world.open_position("hedge", "BTCUSDT", "long", "0.01")
    listener = hedge.stream("position")
    world.open_position("hedge", "BTCUSDT", "short", "0.02")
    assert {(row["positionIdx"], row["side"]) for row in listener.rows("position")} == {(2, ""), (2, "Sell")}


def test_placing_and_cancelling_tells_the_position_too(client: Client) -> None:
    listener = client.stream("position", "order")
    order_id = client.order("ETHUSDT", "Buy", "1", orderType="Limit", price="2000").result["orderId"]
    topics = [message["topic"] for message in listener.heard()]
    assert topics == ["order", "position"]
    client.post("/v5/order/cancel", category="linear", symbol="ETHUSDT", orderId=order_id)
    (cancelled,) = listener.rows("order")
    assert (cancelled["orderStatus"], cancelled["cancelType"]) == ("Cancelled", "CancelByUser")


def test_a_stop_is_told_as_untriggered_triggered_and_filled(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    listener = client.stream("order")
    client.order("BTCUSDT", "Sell", "0.010", triggerPrice="58000", triggerDirection=2, reduceOnly=True)
    world.set_price("BTCUSDT", "57990", venue="bybit")
    rows = listener.rows("order")
    assert [row["orderStatus"] for row in rows] == ["Untriggered", "Triggered", "New", "Filled"]
    assert len({row["orderId"] for row in rows}) == 1
    assert {row["stopOrderType"] for row in rows} == {"Stop"}
    assert rows[-1]["closedPnl"] == "-20.748945", "net of fees, as in closed-pnl"


def test_setting_and_clearing_attached_stops_is_told(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    listener = client.stream("order", "position")
    client.stop("BTCUSDT", stopLoss="55000")
    messages = listener.heard()
    assert [message["topic"] for message in messages] == ["order", "position"]
    assert messages[0]["data"][0]["stopOrderType"] == "StopLoss"
    assert messages[1]["data"][0]["stopLoss"] == "55000.00"
    world.close_position("main", "BTCUSDT")
    ended = [row for row in listener.rows("order") if row["stopOrderType"] == "StopLoss"]
    assert [(row["orderStatus"], row["cancelType"]) for row in ended] == [("Deactivated", "CancelByTpSlTsClear")]


def test_funding_is_an_execution_and_a_wallet_change(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    listener = client.stream("execution", "wallet", "order")
    world.fund("BTCUSDT", venue="bybit")
    messages = listener.heard()
    assert sorted(message["topic"] for message in messages) == ["execution", "wallet"]
    (row,) = next(message["data"] for message in messages if message["topic"] == "execution")
    assert (row["execType"], row["side"], row["execFee"]) == ("Funding", "Buy", "0.06")


def test_delivery_is_an_execution_but_no_order(world: World, client: Client) -> None:
    dated = next(spec.symbol for spec in world.instruments("bybit") if spec.expiry_ms and not spec.inverse)
    client.order(dated, "Buy", "0.010")
    listener = client.stream("execution", "order")
    world.settle(dated)
    assert [message["topic"] for message in listener.heard()] == ["execution"]


def test_categorised_topics_hear_their_category_only(client: Client) -> None:
    listener = client.stream("position.inverse", "execution.linear")
    client.order("BTCUSDT", "Buy", "0.010")
    client.order("BTCUSD", "Buy", "100")
    messages = listener.heard()
    assert {message["topic"] for message in messages} == {"position.inverse", "execution.linear"}
    for message in messages:
        expected = "BTCUSD" if message["topic"] == "position.inverse" else "BTCUSDT"
        assert {row["symbol"] for row in message["data"]} == {expected}


def test_fast_executions_have_few_fields(client: Client) -> None:
    listener = client.stream("execution.fast")
    client.order("BTCUSDT", "Buy", "0.010")
    (row,) = listener.rows("execution.fast")
    assert row["execQty"] == "0.010"
    assert "execFee" not in row


def test_sessions_hear_their_own_account_only(world: World, client: Client, hedge: Client) -> None:
    listener = hedge.stream("position", "order", "execution", "wallet")
    client.order("BTCUSDT", "Buy", "0.010")
    assert listener.heard() == []
    world.transfer("hedge", "USDT", "5")
    assert [message["topic"] for message in listener.heard()] == ["wallet"]


def test_leverage_and_transfers_are_told(world: World, client: Client) -> None:
    listener = client.stream("position", "wallet")
    world.set_leverage("main", "BTCUSDT", leverage=world.default_settings.leverage / 2)
    assert listener.rows("position")[0]["leverage"] == "10"


def test_unsubscribed_topics_and_closed_sessions_hear_nothing(world: World, client: Client) -> None:
    listener = client.stream("position", "wallet")
    listener.say(op="unsubscribe", args=["position"], req_id="3")
    assert listener.heard()[0] | {"conn_id": ""} == {
        "success": True,
        "ret_msg": "",
        "op": "unsubscribe",
        "conn_id": "",
        "req_id": "3",
    }
    client.order("BTCUSDT", "Buy", "0.010")
    assert {message["topic"] for message in listener.heard()} == {"wallet"}
    listener.session.disconnected()
    client.order("BTCUSDT", "Buy", "0.010")
    assert listener.heard() == []


def test_a_silent_session_is_closed_after_ten_minutes_or_as_asked(
    wire: BybitWire, world: World, client: Client
) -> None:
    usual, short = client.stream("position"), private(wire, "max_active_time=30s")
    world.advance(29_000)
    short.say(op="ping")
    world.advance(29_999)
    for listener in (usual, short):
        listener.session.tick(world.now_ms())
    assert not short.session.closed
    world.advance(1)
    short.session.tick(world.now_ms())
    assert short.session.closed
    world.advance(600_000)
    usual.session.tick(world.now_ms())
    assert usual.session.closed
    with pytest.raises(StreamRefused):
        wire.open_stream("/v5/private", "max_active_time=20s")


def test_data_keeps_a_session_alive(world: World, client: Client) -> None:
    listener = client.stream("position")
    world.advance(599_000)
    client.order("BTCUSDT", "Buy", "0.010")
    world.advance(10_000)
    listener.session.tick(world.now_ms())
    assert not listener.session.closed


def test_cut_streams_are_closed(wire: BybitWire, world: World, client: Client, hedge: Client) -> None:
    mine, other = client.stream("position"), hedge.stream("position")
    public = Listener(wire.open_stream("/v5/public/linear", ""))
    world.cut_streams("main")
    assert (mine.session.closed, other.session.closed, public.session.closed) == (True, False, False)
    world.cut_streams()
    assert (other.session.closed, public.session.closed) == (True, True)


@pytest.mark.parametrize("path", ["/v5/trade", "/v5/public/futures", "/v5/private/x", "/v5/public"])
def test_unknown_streams_are_refused(wire: BybitWire, path: str) -> None:
    with pytest.raises(StreamRefused) as refused:
        wire.open_stream(path, "")
    assert refused.value.status == 404


def test_tickers_begin_with_a_snapshot_and_go_on_with_what_changes(wire: BybitWire, world: World) -> None:
    listener = Listener(wire.open_stream("/v5/public/linear", ""))
    listener.say(op="subscribe", args=["tickers.BTCUSDT"])
    answer, snapshot = listener.heard()
    assert (answer["success"], answer["op"]) == (True, "subscribe")
    assert (snapshot["topic"], snapshot["type"], snapshot["data"]["lastPrice"]) == (
        "tickers.BTCUSDT",
        "snapshot",
        "60000.00",
    )
    world.advance(100)
    world.set_price("BTCUSDT", "59999", mark="60000", index="60000", venue="bybit")
    (delta,) = listener.heard()
    assert (delta["type"], delta["data"]["lastPrice"], delta["data"]["tickDirection"]) == (
        "delta",
        "59999.00",
        "MinusTick",
    )
    assert "markPrice" not in delta["data"]
    assert delta["cs"] > snapshot["cs"]
    world.set_price("BTCUSDT", "60001", venue="bybit")
    world.set_price("BTCUSDT", "60002", venue="bybit")
    assert listener.heard() == [], "at most one message in 100 ms"
    world.advance(100)
    listener.session.tick(world.now_ms())
    assert [message["data"]["lastPrice"] for message in listener.heard()] == ["60002.00"]
    world.set_price("ETHUSDT", "3001", venue="bybit")
    world.set_price("BTCUSDT", "60003", venue="binance")
    assert listener.heard() == []


def test_futures_tickers_have_a_delivery_date_and_inverse_ones_their_own_stream(wire: BybitWire, world: World) -> None:
    dated = next(spec for spec in world.instruments("bybit") if spec.expiry_ms and not spec.inverse)
    listener = Listener(wire.open_stream("/v5/public/linear", ""))
    listener.say(op="subscribe", args=[f"tickers.{dated.symbol}"])
    data = listener.heard()[1]["data"]
    assert data["deliveryTime"].endswith("T08:00:00Z")
    assert "fundingIntervalHour" not in data
    listener.say(op="subscribe", args=["tickers.BTCUSD"])
    assert listener.heard()[0]["ret_msg"] == "error:handler not found,topic:tickers.BTCUSD"
    inverse = Listener(wire.open_stream("/v5/public/inverse", ""))
    inverse.say(op="subscribe", args=["tickers.BTCUSD"])
    assert inverse.heard()[1]["data"]["symbol"] == "BTCUSD"


def test_messages_are_compact_json(client: Client) -> None:
    listener = client.stream("position")
    client.order("BTCUSDT", "Buy", "0.010")
    text = listener.session.outbox[0]
    assert text == json.dumps(json.loads(text), separators=(",", ":"))
