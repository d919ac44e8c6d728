"""Prints a digest of everything that a random, seeded world says on both wires; run as a script by test_front_bytes.

The same seed must give the same digest in another process, whose hashes of texts differ.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import sys
from decimal import Decimal
from urllib.parse import urlencode

from trueup.sim.front import Front, StreamGate
from trueup.sim.scenario import DEMO_ACCOUNTS, make_demo
from trueup.sim.wire import WireRequest
from trueup.sim.world import ConditionalRequest, ManualClock, World
from trueup.sim.world.refusals import Refusal
from trueup.sim.world.types import ConditionalKind, OrderType, Side

START_MS = 1_795_000_000_000
BINANCE = (
    "/fapi/v1/exchangeInfo",
    "/fapi/v3/positionRisk",
    "/fapi/v3/account",
    "/fapi/v1/openAlgoOrders",
    "/fapi/v1/income",
)
BYBIT = (
    ("/v5/market/instruments-info", "category=linear"),
    ("/v5/position/list", "category=linear&settleCoin=USDT"),
    ("/v5/execution/list", "category=linear"),
    ("/v5/position/closed-pnl", "category=linear"),
    ("/v5/account/wallet-balance", "accountType=UNIFIED"),
)


def sign(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def binance(front: Front, method: str, path: str, **parameters: str) -> bytes:
    account = DEMO_ACCOUNTS["binance"]
    query = urlencode(parameters | {"timestamp": str(front.world.now_ms()), "recvWindow": "5000"})
    query += "&signature=" + sign(account["secret"], query)
    return asked(front, WireRequest(method, path, query, {"x-mbx-apikey": account["key"]}))


def bybit(front: Front, path: str, query: str) -> bytes:
    account = DEMO_ACCOUNTS["bybit"]
    stamp = str(front.world.now_ms())
    headers = {
        "x-bapi-api-key": account["key"],
        "x-bapi-timestamp": stamp,
        "x-bapi-recv-window": "5000",
        "x-bapi-sign": sign(account["secret"], f"{stamp}{account['key']}5000{query}"),
    }
    return asked(front, WireRequest("GET", path, query, headers))


def asked(front: Front, request: WireRequest) -> bytes:
    response = front.handle(request).response
    assert response is not None
    assert response.status == 200, (request.path, response.body)
    assert b'"retCode":0' in response.body or not request.path.startswith("/v5"), (request.path, response.body)
    return response.body


def open_streams(front: Front) -> list[StreamGate]:
    import json

    key = json.loads(binance(front, "POST", "/fapi/v1/listenKey"))["listenKey"]
    account = DEMO_ACCOUNTS["bybit"]
    expires = front.world.now_ms() + 10_000
    private = front.open_stream("/v5/private", "")
    signature = sign(account["secret"], f"GET/realtime{expires}")
    private.receive(json.dumps({"op": "auth", "args": [account["key"], expires, signature]}), front.world.now_ms())
    topics = {"op": "subscribe", "args": ["position", "order", "execution", "wallet"]}
    private.receive(json.dumps(topics), front.world.now_ms())
    return [front.open_stream("/private/ws", f"listenKey={key}"), private]


def live(seed: int) -> tuple[str, int]:
    """Digest of every byte, and how many stream messages there were."""
    rng = random.Random(seed)
    world = World(ManualClock(START_MS), seed)
    make_demo(world, 2)
    front = Front(world)
    digest, messages = hashlib.sha256(), 0
    gates = open_streams(front)
    world.follow_random_path(volatility="0.003", step_ms=700)
    for _ in range(60):
        step(world, rng)
        world.advance(rng.randrange(3_000))
        front.tick()
        for gate in gates:
            for text in gate.due(world.now_ms()):
                messages += 1
                digest.update(text.encode())
    for path in BINANCE:
        digest.update(binance(front, "GET", path))
    for path, query in BYBIT:
        digest.update(bybit(front, path, query))
    return digest.hexdigest(), messages


def step(world: World, rng: random.Random) -> None:
    account = rng.choice([entry["name"] for entry in DEMO_ACCOUNTS.values()])
    side = rng.choice([Side.BUY, Side.SELL])
    quantity = Decimal(rng.randrange(1, 20)) / 1_000
    last = world.price(world.look(account).spec.venue, "BTCUSDT").last
    sign_ = 1 if side is Side.BUY else -1
    stop = ConditionalRequest(
        "BTCUSDT", side, ConditionalKind.STOP, OrderType.MARKET, quantity, last + sign_ * 100 * rng.randrange(1, 9)
    )
    doings = (
        lambda: world.open_position(account, "BTCUSDT", side, quantity),
        lambda: world.place_conditional(account, stop),
        lambda: world.close_position(account, "BTCUSDT"),
        world.fund,
    )
    try:
        rng.choice(doings)()
    except Refusal:
        return


if __name__ == "__main__":
    print(*live(int(sys.argv[1])))
