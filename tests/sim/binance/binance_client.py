"""A raw client of the wire: signs as the venue's documentation says, and reads the answers."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from trueup.sim.binance import BinanceWire, build_wire
from trueup.sim.binance.limits import LimitPolicy
from trueup.sim.wire import WireRequest
from trueup.sim.world import AccountSpec, ManualClock, World

START_MS = 1_780_000_000_000


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def code(self) -> int:
        """The venue's error code."""
        assert self.status != 200, self.body
        return self.body["code"]


def sign(account: AccountSpec, payload: str) -> str:
    return hmac.new(account.api_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


class Client:
    """Requests of one account."""

    def __init__(self, wire: BinanceWire, account: AccountSpec, client_ip: str = "10.0.0.1") -> None:
        self.wire = wire
        self.account = account
        self.client_ip = client_ip

    def public(self, path: str, **params: Any) -> Reply:
        return self.raw("GET", path, urlencode(params))

    def raw(self, method: str, path: str, query: str = "", body: bytes = b"", key: str | None = None) -> Reply:
        headers = {} if key is None else {"x-mbx-apikey": key}
        answer = self.wire.handle(WireRequest(method, path, query, headers, body, self.client_ip))
        return Reply(answer.status, json.loads(answer.body), dict(answer.headers))

    def call(self, method: str, path: str, **params: Any) -> Reply:
        """A signed request: parameters in the query of GET and DELETE, in the body of POST and PUT."""
        params.setdefault("timestamp", self.wire.world.now_ms())
        encoded = urlencode(params)
        encoded += "&signature=" + sign(self.account, encoded)
        if method in ("GET", "DELETE"):
            return self.raw(method, path, encoded, key=self.account.api_key)
        return self.raw(method, path, "", encoded.encode(), key=self.account.api_key)

    def get(self, path: str, **params: Any) -> Any:
        reply = self.call("GET", path, **params)
        assert reply.status == 200, reply.body
        return reply.body

    def order(self, **params: Any) -> Reply:
        """A market order of 0.010 BTCUSDT to buy, unless told otherwise; None leaves a parameter out."""
        defaults = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
        return self._post("/fapi/v1/order", {**defaults, "newOrderRespType": "RESULT", **params})

    def algo(self, **params: Any) -> Reply:
        """A conditional order to sell BTCUSDT at market, unless told otherwise; None leaves a parameter out."""
        defaults = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET"}
        return self._post("/fapi/v1/algoOrder", {**defaults, **params})

    def _post(self, path: str, params: dict[str, Any]) -> Reply:
        return self.call("POST", path, **{name: value for name, value in params.items() if value is not None})

    def listen_key(self) -> str:
        return self.raw("POST", "/fapi/v1/listenKey", key=self.account.api_key).body["listenKey"]


def drain(session: Any) -> list[Any]:
    """Takes every message that waits in a session."""
    messages = [json.loads(text) for text in session.outbox]
    session.outbox.clear()
    return messages


def make_world(seed: int = 7) -> World:
    return World(ManualClock(START_MS), seed)


def make_client(world: World, name: str = "main", policy: LimitPolicy | None = None, **account: Any) -> Client:
    spec = world.add_account(name, "binance", **account)
    return Client(build_wire(world, policy), spec)
