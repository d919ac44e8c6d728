"""Every endpoint of both wires is compared with a recorded or documented payload: keys and types of values.

The wires' own tests compare what was recorded and most of what is documented; here stands the rest, and the proof that
no endpoint is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import binance_client
import bybit_client
import pytest
from docs_blocks import check_part
from documented_samples import BINANCE, BYBIT, BYBIT_MESSAGES, CODES, TESTED_ORDER, Sample
from shapes import differences, unexplained

from trueup.sim.binance import routes as binance_routes
from trueup.sim.bybit import build_wire
from trueup.sim.bybit import routes as bybit_routes
from trueup.sim.world import ManualClock, World

Endpoint = tuple[str, str]
SHAPES = {
    "binance": Path(binance_client.__file__).with_name("test_binance_shapes.py"),
    "bybit": Path(bybit_client.__file__).with_name("test_bybit_shapes.py"),
}


def compare(sample: Sample, payload: Any) -> None:
    documented, reasons = sample
    found = differences([documented], payload)
    assert unexplained(found, reasons) == {}
    assert [path for path in reasons if path not in found] == []


@pytest.fixture(scope="module")
def bybit() -> dict[Endpoint, Any]:
    """Whole answers of an account that did a little of everything, by endpoint."""
    world = World(ManualClock(bybit_client.START_MS), seed=7)
    world.add_account("main", "bybit")
    client = bybit_client.Client.of(world, build_wire(world), "main")
    told: dict[Endpoint, Any] = {}

    def get(path: str, **params: Any) -> None:
        reply = client.get(path, **params)
        assert reply.code == 0, reply.body
        told[("GET", path)] = reply.body

    def post(path: str, refused: int = 0, **params: Any) -> Any:
        reply = client.post(path, **{"category": "linear", "symbol": "BTCUSDT", **params})
        assert reply.code == refused, reply.body
        told[("POST", path)] = reply.body
        return reply.body["result"]

    limit = {"side": "Buy", "orderType": "Limit", "qty": "0.010", "price": "50000"}
    placed = post("/v5/order/create", **limit)
    post("/v5/order/amend", orderId=placed["orderId"], price="50001")
    post("/v5/order/cancel", orderId=placed["orderId"])
    batch = post("/v5/order/create-batch", request=[{"symbol": "BTCUSDT", **limit}] * 2)
    ids = [{"symbol": "BTCUSDT", "orderId": row["orderId"]} for row in batch["list"]]
    post("/v5/order/amend-batch", request=[{**each, "qty": "0.020"} for each in ids])
    post("/v5/order/cancel-batch", request=ids[:1])
    post("/v5/order/cancel-all")
    post("/v5/position/set-leverage", buyLeverage="5", sellLeverage="5")
    post("/v5/position/switch-mode", mode=3)
    post("/v5/position/switch-mode", mode=0)
    post("/v5/position/switch-isolated", 100028, tradeMode=1, buyLeverage="5", sellLeverage="5")
    post("/v5/account/set-margin-mode", setMarginMode="ISOLATED_MARGIN")
    client.order("BTCUSDT", "Buy", "0.010")
    post("/v5/position/trading-stop", stopLoss="55000")
    post("/v5/position/add-margin", margin="10")
    world.fund(venue="bybit")
    world.close_position("main", "BTCUSDT")
    for path in ("/v5/market/orderbook", "/v5/market/funding/history", "/v5/market/tickers"):
        get(path, category="linear", symbol="BTCUSDT")
    for path in ("/v5/market/instruments-info", "/v5/account/fee-rate", "/v5/position/closed-pnl"):
        get(path, category="linear")
    for path in ("/v5/account/wallet-balance", "/v5/account/transaction-log"):
        get(path, accountType="UNIFIED")
    for path in ("/v5/market/time", "/v5/asset/coin/query-info", "/v5/user/query-api"):
        get(path)
    return told


@pytest.mark.parametrize("endpoint", BYBIT, ids=" ".join)
def test_bybit_answers_as_documented(bybit: dict[Endpoint, Any], endpoint: Endpoint) -> None:
    answer = bybit[endpoint]
    assert list(answer) == ["retCode", "retMsg", "result", "retExtInfo", "time"]
    compare(BYBIT[endpoint], answer["result"])
    compare((CODES if endpoint[1].endswith("-batch") else {}, {}), answer["retExtInfo"])


def test_bybit_messages_are_as_documented() -> None:
    world = World(ManualClock(bybit_client.START_MS), seed=7)
    world.add_account("main", "bybit")
    wire = build_wire(world)
    client = bybit_client.Client.of(world, wire, "main")
    private, public = (
        bybit_client.Listener(wire.open_stream(path, "")) for path in ("/v5/private", "/v5/public/linear")
    )
    expires = str(world.now_ms() + 1_000)
    sign = bybit_client.hex_hmac(client.account.api_secret, f"GET/realtime{expires}")
    private.say(op="auth", args=[client.account.api_key, expires, sign], req_id="1")
    compare(BYBIT_MESSAGES["auth"], private.heard()[0])
    private.say(op="ping", req_id="2")
    compare(BYBIT_MESSAGES["private ping"], private.heard()[0])
    private.say(op="subscribe", args=["wallet"], req_id="3")
    compare(BYBIT_MESSAGES["subscribe"], private.heard()[0])
    public.say(op="ping", req_id="4")
    compare(BYBIT_MESSAGES["public ping"], public.heard()[0])
    public.say(op="subscribe", args=["tickers.BTCUSDT"], req_id="5")
    _, snapshot = public.heard()
    compare(BYBIT_MESSAGES["tickers"], snapshot)


@pytest.mark.parametrize("endpoint", BINANCE, ids=" ".join)
def test_binance_answers_as_documented(endpoint: Endpoint) -> None:
    client = binance_client.make_client(binance_client.make_world())
    method, path = endpoint
    if method == "POST":
        reply = client.call("POST", path, symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.010")
    elif path.startswith("/sapi/"):
        reply = client.call("GET", path)
    else:
        reply = client.public(path, **({"symbol": "BTCUSDT"} if "ticker" in path else {}))
    assert reply.status == 200, reply.body
    compare(BINANCE[endpoint], reply.body)


def test_no_endpoint_is_left_out() -> None:
    """Recorded or documented, here or in the wire's own tests, which name the path of what they compare."""
    texts = {venue: file.read_text(encoding="utf-8") for venue, file in SHAPES.items()}
    for method, path in bybit_routes.ROUTES:
        assert (method, path) in BYBIT or f'"{path}"' in texts["bybit"], (method, path)
    for route in binance_routes.ROUTES:
        endpoint = (route.method, route.path)
        assert endpoint in BINANCE or f'"{route.path}"' in texts["binance"], endpoint


def test_the_documentation_lists_the_differences() -> None:
    rows = []
    for endpoint, (_, reasons) in {**BINANCE, **BYBIT}.items():
        for why in dict.fromkeys(reasons.values()):
            names = [name for name, reason in reasons.items() if reason == why]
            told = "every field" if names == list(TESTED_ORDER) else ", ".join(f"`{name}`" for name in names)
            rows.append(f"| {endpoint[0]} `{endpoint[1]}` | {told} | {why} |")
    check_part("venue.md", "documented", ["| answer | fields | why |", "|---|---|---|", *rows])
