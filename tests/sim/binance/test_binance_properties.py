"""What holds for anything that a client may send."""

from __future__ import annotations

import json
from typing import Any

from binance_client import Client, make_client, make_world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trueup.sim.binance.routes import ROUTES
from trueup.sim.world.types import PositionMode

NAMES = [
    "symbol",
    "side",
    "type",
    "quantity",
    "price",
    "timeInForce",
    "positionSide",
    "reduceOnly",
    "closePosition",
    "triggerPrice",
    "workingType",
    "callbackRate",
    "activatePrice",
    "algoType",
    "algoId",
    "clientAlgoId",
    "orderId",
    "origClientOrderId",
    "newClientOrderId",
    "startTime",
    "endTime",
    "fromId",
    "limit",
    "page",
    "incomeType",
    "leverage",
    "marginType",
    "amount",
    "dualSidePosition",
    "newOrderRespType",
    "autoCloseType",
    "priceMatch",
    "goodTillDate",
    "recvWindow",
    "modifyId",
]
VALUES = [
    [
        "BTCUSDT",
        "ETHUSDT",
        "1000PEPEUSDT",
        "BTCUSDC",
        "NOPE",
        "BUY",
        "SELL",
        "LIMIT",
        "MARKET",
        "STOP",
        "STOP_MARKET",
        "TAKE_PROFIT_MARKET",
    ],
    [
        "TRAILING_STOP_MARKET",
        "GTC",
        "GTX",
        "FOK",
        "IOC",
        "GTE_GTC",
        "BOTH",
        "LONG",
        "SHORT",
        "true",
        "false",
        "CONDITIONAL",
        "MARK_PRICE",
        "RESULT",
    ],
    [
        "0",
        "1",
        "2",
        "0.001",
        "0.010",
        "0.5",
        "10",
        "100",
        "55000",
        "60000",
        "65000.1",
        "61000",
        "1780000000000",
        "8886774002",
        "1000000033225002",
    ],
    ["99999999999999999999", "0.00000000000000000001", "99999999999999999999.99999999999999999999", "-1", "1e5", "NaN"],
    ["", " ", "é", "x" * 40, "mine", "ISOLATED", "CROSSED", "ADL", "TRANSFER", "%00", "'"],
]
parameters = st.dictionaries(
    st.sampled_from(NAMES), st.one_of([st.sampled_from(group) for group in VALUES] + [st.text(max_size=8)]), max_size=12
)
SENSIBLE: dict[str, dict[str, str]] = {
    "/fapi/v1/order": {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.010",
        "price": "60000",
    },
    "/fapi/v1/algoOrder": {
        "symbol": "BTCUSDT",
        "algoType": "CONDITIONAL",
        "side": "SELL",
        "type": "STOP_MARKET",
        "quantity": "0.010",
        "triggerPrice": "55000",
    },
    "/fapi/v1/leverage": {"symbol": "BTCUSDT", "leverage": "5"},
    "/fapi/v1/positionMargin": {"symbol": "BTCUSDT", "amount": "1", "type": "1"},
}
requests = st.lists(st.tuples(st.sampled_from(ROUTES), st.booleans(), parameters), min_size=1, max_size=8)


def populated(mode: PositionMode) -> Client:
    """A client with a position and a stop, whose ids are among the values."""
    client = make_client(make_world(), mode=mode)
    leg = {} if mode is PositionMode.ONE_WAY else {"positionSide": "LONG"}
    assert client.order(**leg).body["orderId"] == 8886774002
    assert client.algo(triggerPrice="50000", quantity="0.010", **leg).body["algoId"] == 1000000033225002
    return client


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests, st.sampled_from(list(PositionMode)))
def test_the_wire_answers_whatever_is_sent(sent: list[tuple[Any, bool, dict[str, str]]], mode: PositionMode) -> None:
    client = populated(mode)
    for route, sensible, changes in sent:
        base = SENSIBLE.get(route.path, {"symbol": "BTCUSDT"}) if sensible else {}
        few = dict(list(changes.items())[:2]) if sensible else changes
        reply = client.call(route.method, route.path, **{**base, **few})
        assert reply.status in (200, 400, 401), reply
        if reply.status != 200:
            assert set(reply.body) == {"code", "msg"}
            assert reply.code != -1000
        assert client.account.api_secret not in json.dumps(reply.body)
        for path in ("/fapi/v3/positionRisk", "/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders", "/fapi/v3/account"):
            client.get(path)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_the_wire_answers_any_query(query: str) -> None:
    client = make_client(make_world())
    reply = client.raw("GET", "/fapi/v1/order", query, query.encode(), key=client.account.api_key)
    assert reply.status in (400, 401)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=80) | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(json.dumps)
)
def test_a_stream_answers_any_message(text: str) -> None:
    client = make_client(make_world())
    session = client.wire.open_stream("/ws", "")
    session.receive(text)
    (answer,) = session.outbox
    assert isinstance(json.loads(answer), dict)
