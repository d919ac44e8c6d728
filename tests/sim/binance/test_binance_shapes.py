"""Every answer and message has the keys and value types of the recorded payload of its kind, and of the documented one.

What differs is listed in DIFFERENCES with its reason; a reason that explains nothing any more fails too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from binance_client import Client, drain, make_client, make_world
from binance_documented import DOCUMENTED
from docs_section import check_section
from shapes import differences, recorded, unexplained

from trueup.sim.world.types import PositionMode

FOLDER = "binance_usdm"

DIFFERENCES: dict[str, dict[str, str]] = {
    "account v2": {
        "positions[].breakEvenPrice": "sent by the venue since 2023; the recording is older",
        "positions[].isolatedWallet": "sent by the venue; ccxt reads it",
        "positions[].notional": "sent by the venue; ccxt tells linear contracts by it",
    },
    "open algo orders": {
        "[].type": "the venue and its documentation call it `orderType`; the recording was written by hand",
        "[].orderType": "the venue's own name of the type",
        "[].price": "documented, not in the recording",
        "[].actualOrderId": "documented, not in the recording",
        "[].actualPrice": "documented, not in the recording",
        "[].activatePrice": "trailing stops carry it",
        "[].callbackRate": "trailing stops carry it",
        "[].closePosition": "documented, not in the recording",
        "[].goodTillDate": "documented, not in the recording",
        "[].icebergQuantity": "documented, not in the recording",
        "[].priceMatch": "documented, not in the recording",
        "[].priceProtect": "documented, not in the recording",
        "[].selfTradePreventionMode": "documented, not in the recording",
        "[].slPrice": "documented, not in the recording",
        "[].slTriggerPrice": "documented, not in the recording",
        "[].tpOrderType": "documented, not in the recording",
        "[].tpPrice": "documented, not in the recording",
        "[].tpTriggerPrice": "documented, not in the recording",
        "[].triggerTime": "documented, not in the recording",
    },
    "order update": {
        "o.er": "documented, not in the recordings",
        "o.pm": "documented, not in the recordings",
    },
}


@pytest.fixture(scope="module")
def produced() -> dict[str, list[Any]]:
    """Everything that one eventful account is told, by kind."""
    told: dict[str, list[Any]] = {}
    world = make_world()
    client = make_client(world, balances={"USDT": 100_000, "BNB": 5}, fee_asset="BNB", fee_asset_price="500")
    session = client.wire.open_stream("/private/ws", f"listenKey={client.listen_key()}")
    marks = client.wire.open_stream("/market/ws/btcusdt@markPrice@1s", "")
    marks.tick(world.now_ms())
    for kind, path, params in CHANGES:
        told[kind] = [client.call("POST", path, **params).body]
    client.order(quantity="1.000")
    client.order(symbol="ETHUSDT", side="SELL", quantity="1.000")
    resting = client.order(type="LIMIT", timeInForce="GTC", price="50000", newClientOrderId="resting").body
    told["new order"] = [resting]
    stop = client.algo(triggerPrice="55000", quantity="0.010", reduceOnly="true").body
    trailing = {"type": "TRAILING_STOP_MARKET", "quantity": "0.010", "callbackRate": "1"}
    told["new algo order"] = [stop, client.algo(**trailing).body]
    client.algo(type="STOP", triggerPrice="54000", price="53900", quantity="0.010")
    client.algo(triggerPrice="53000", closePosition="true")
    for kind, path, params in LOOKS:
        told.setdefault(kind, []).append(client.get(path, **params))
    for kind, path, params in PUBLIC:
        told.setdefault(kind, []).append(client.public(path, **params).body)
    told["order"] = [client.get("/fapi/v1/order", symbol="BTCUSDT", orderId=resting["orderId"])]
    _happenings(client, resting, stop, told)
    for message in drain(session):
        told.setdefault(message["e"], []).append(message)
    world.advance(1_000)
    marks.tick(world.now_ms())
    told["markPriceUpdate"] = drain(marks)
    world.expire_listen_keys("main")
    told["listenKeyExpired"] = drain(session)
    _margin_call(told)
    return told


CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("leverage", "/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": 125}),
    ("margin type", "/fapi/v1/marginType", {"symbol": "ETHUSDT", "marginType": "ISOLATED"}),
]
LOOKS: list[tuple[str, str, dict[str, Any]]] = [
    ("account v2", "/fapi/v2/account", {}),
    ("account v3", "/fapi/v3/account", {}),
    ("balance", "/fapi/v2/balance", {}),
    ("balance", "/fapi/v3/balance", {}),
    ("position risk v2", "/fapi/v2/positionRisk", {}),
    ("position risk v3", "/fapi/v3/positionRisk", {}),
    ("symbol config", "/fapi/v1/symbolConfig", {}),
    ("account config", "/fapi/v1/accountConfig", {}),
    ("leverage bracket", "/fapi/v1/leverageBracket", {}),
    ("commission rate", "/fapi/v1/commissionRate", {"symbol": "BTCUSDT"}),
    ("trades", "/fapi/v1/userTrades", {"symbol": "BTCUSDT"}),
    ("income", "/fapi/v1/income", {}),
    ("open orders", "/fapi/v1/openOrders", {}),
    ("all orders", "/fapi/v1/allOrders", {"symbol": "BTCUSDT"}),
    ("open algo orders", "/fapi/v1/openAlgoOrders", {}),
    ("open order", "/fapi/v1/openOrder", {"symbol": "BTCUSDT", "origClientOrderId": "resting"}),
    ("position mode", "/fapi/v1/positionSide/dual", {}),
    ("multi-assets mode", "/fapi/v1/multiAssetsMargin", {}),
    ("fee burn", "/fapi/v1/feeBurn", {}),
    ("order rate limit", "/fapi/v1/rateLimit/order", {}),
    ("all algo orders", "/fapi/v1/allAlgoOrders", {"symbol": "BTCUSDT"}),
]
PUBLIC: list[tuple[str, str, dict[str, Any]]] = [
    ("time", "/fapi/v1/time", {}),
    ("exchange info", "/fapi/v1/exchangeInfo", {}),
    ("premium index", "/fapi/v1/premiumIndex", {"symbol": "BTCUSDT"}),
    ("ticker price", "/fapi/v1/ticker/price", {"symbol": "BTCUSDT"}),
    ("ticker 24h", "/fapi/v1/ticker/24hr", {"symbol": "BTCUSDT"}),
    ("book ticker", "/fapi/v1/ticker/bookTicker", {"symbol": "BTCUSDT"}),
    ("depth", "/fapi/v1/depth", {"symbol": "BTCUSDT"}),
]


def _happenings(client: Client, resting: dict, stop: dict, told: dict[str, list[Any]]) -> None:
    """Everything that makes a message, after the looks."""
    world = client.wire.world
    amend = {"symbol": "BTCUSDT", "side": "BUY", "orderId": resting["orderId"], "quantity": "0.020"}
    told["amended order"] = [client.call("PUT", "/fapi/v1/order", **amend, price="50100", modifyId=7).body]
    told["cancelled order"] = [
        client.call("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=resting["orderId"]).body
    ]
    world.fund(venue="binance")
    world.transfer("main", "USDT", "10")
    world.set_price("BTCUSDT", "54999", venue="binance")
    told["algo order"] = [client.get("/fapi/v1/algoOrder", algoId=stop["algoId"])]
    told["cancelled algo order"] = [
        client.call("DELETE", "/fapi/v1/algoOrder", algoId=row["algoId"]).body
        for row in client.get("/fapi/v1/openAlgoOrders")[:1]
    ]
    world.liquidate("main", "BTCUSDT")
    margin = {"symbol": "ETHUSDT", "amount": "1", "type": 1}
    told["position margin"] = [client.call("POST", "/fapi/v1/positionMargin", **margin).body]
    world.auto_deleverage("main", "ETHUSDT")
    told["force orders"] = [client.get("/fapi/v1/forceOrders")]
    told["cancelled orders"] = [client.call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT").body]
    told["cancelled algo orders"] = [client.call("DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT").body]
    told["listen key"] = [client.raw("PUT", "/fapi/v1/listenKey", key=client.account.api_key).body]


def _margin_call(told: dict[str, list[Any]]) -> None:
    world = make_world()
    client = make_client(world, balances={"USDT": 1000}, mode=PositionMode.HEDGE)
    client.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=125)
    client.order(quantity="1.000", positionSide="LONG")
    session = client.wire.open_stream("/private/ws", f"listenKey={client.listen_key()}")
    world.set_price("BTCUSDT", "59295", venue="binance")
    told["MARGIN_CALL"] = [message for message in drain(session) if message["e"] == "MARGIN_CALL"]


def unwrapped(payload: Any) -> Any:
    """The message inside a combined stream's wrapping."""
    return payload["data"] if isinstance(payload, dict) and set(payload) == {"stream", "data"} else payload


RECORDED: list[tuple[str, list[str], str]] = [
    ("account v2", ["account_info_v2.json"], "account v2"),
    ("position risk v2", ["position_risk.json", "http_futures_account_positions_one_way.json"], "position risk v2"),
    ("symbol config", ["http_futures_account_symbol_config.json"], "symbol config"),
    ("trades", ["http_futures_account_trades.json"], "trades"),
    ("open algo orders", ["open_algo_orders.json"], "open algo orders"),
    ("order", ["order_response.json"], "order"),
    ("account update", ["ws_account_update.json"], "ACCOUNT_UPDATE"),
    (
        "algo update",
        [
            "ws_algo_update_new.json",
            "ws_algo_update_canceled.json",
            "ws_futures_algo_update_triggered.json",
        ],
        "ALGO_UPDATE",
    ),
    (
        "order update",
        [
            "ws_order_update_new.json",
            "ws_order_update_trade.json",
            "ws_order_update_trade_partial.json",
            "ws_order_update_calculated.json",
            "ws_futures_order_update_liquidation.json",
        ],
        "ORDER_TRADE_UPDATE",
    ),
    ("trade lite", ["ws_trade_lite.json"], "TRADE_LITE"),
]


@pytest.mark.parametrize(("kind", "files", "source"), RECORDED, ids=[row[0] for row in RECORDED])
def test_the_recorded_shape(produced: dict[str, list[Any]], kind: str, files: list[str], source: str) -> None:
    recordings = [unwrapped(recorded(FOLDER, name)) for name in files]
    written = produced[source]
    assert written, f"nothing of the kind {source} was produced"
    found: dict[str, str] = {}
    for payload in written:
        if kind == "account update" and "P" not in payload["a"]:
            continue
        found.update(differences(recordings, payload))
    allowed = DIFFERENCES.get(kind, {})
    assert unexplained(found, allowed) == {}
    assert [path for path in allowed if path not in found] == []


@pytest.mark.parametrize("kind", sorted(DOCUMENTED))
def test_the_documented_shape(produced: dict[str, list[Any]], kind: str) -> None:
    sample, extra = DOCUMENTED[kind]
    assert produced[kind], f"nothing of the kind {kind} was produced"
    found: dict[str, str] = {}
    for payload in produced[kind]:
        found.update(differences([sample], payload))
    assert unexplained(found, extra) == {}
    assert [path for path in extra if path not in found] == []


def test_every_recorded_payload_is_compared() -> None:
    import os
    from pathlib import Path

    recorded(FOLDER, "ws_trade_lite.json")
    there = {path.name for path in Path(os.environ["TRUEUP_FIXTURES"], FOLDER).glob("*.json")}
    assert there == {name for _, files, _ in RECORDED for name in files}


def _rows(render: Callable[[str, str, str], str]) -> list[str]:
    recorded_ones = [render(kind, path, why) for kind, paths in DIFFERENCES.items() for path, why in paths.items()]
    documented = [render(kind, path, why) for kind, (_, paths) in DOCUMENTED.items() for path, why in paths.items()]
    return recorded_ones + documented


def test_the_documentation_lists_the_differences() -> None:
    head = ["| payload | field | why |", "|---|---|---|"]
    check_section("venue-binance.md", "differences", head + _rows(lambda k, p, why: f"| {k} | `{p}` | {why} |"))


def test_amounts_are_texts_and_ids_are_numbers(produced: dict[str, list[Any]]) -> None:
    for payloads in produced.values():
        text = json.dumps(payloads)
        assert "e-0" not in text
        assert '"-0' not in text.replace('"-0.', "")
