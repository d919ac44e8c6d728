"""A raw client of the Bybit wire: signs as the venue's documentation says, and reads the answers."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from trueup.sim.bybit import BybitWire
from trueup.sim.wire import StreamSession, WireRequest
from trueup.sim.world import World
from trueup.sim.world.account import AccountSpec

START_MS = 1_795_000_000_000


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def code(self) -> int:
        return self.body["retCode"]

    @property
    def text(self) -> str:
        return self.body["retMsg"]

    @property
    def result(self) -> Any:
        assert self.code == 0, self.body
        return self.body["result"]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.result["list"]

    @property
    def row(self) -> dict[str, Any]:
        (only,) = self.rows
        return only


def hex_hmac(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


@dataclass
class Client:
    """Requests of one account; time passes between them, so that limits do not stand in the way."""

    world: World
    wire: BybitWire
    account: AccountSpec
    pause_ms: int = 100
    client_ip: str = "10.0.0.1"

    @classmethod
    def of(cls, world: World, wire: BybitWire, name: str) -> Client:
        account = next(spec for spec in world.accounts("bybit") if spec.name == name)
        return cls(world, wire, account)

    def send(self, method: str, path: str, query: str = "", body: bytes = b"", **headers: str) -> Reply:
        """As it is given, header names with underscores for dashes."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.wire.handle(WireRequest(method, path, query, names, body, self.client_ip))
        self.world.advance(self.pause_ms)
        return Reply(answer.status, json.loads(answer.body) if answer.body[:1] == b"{" else answer.body, answer.headers)

    def signed(self, payload: str, *, stamp: int | None = None, window: str = "5000") -> dict[str, str]:
        stamp_text = str(self.world.now_ms() if stamp is None else stamp)
        text = stamp_text + self.account.api_key + window + payload
        return {
            "x_bapi_api_key": self.account.api_key,
            "x_bapi_timestamp": stamp_text,
            "x_bapi_recv_window": window,
            "x_bapi_sign": hex_hmac(self.account.api_secret, text),
        }

    def public(self, path: str, **params: Any) -> Reply:
        return self.send("GET", path, _query(params))

    def get(self, path: str, **params: Any) -> Reply:
        query = _query(params)
        return self.send("GET", path, query, **self.signed(query))

    def post(self, path: str, **params: Any) -> Reply:
        body = json.dumps(params)
        return self.send("POST", path, "", body.encode(), **self.signed(body))

    def order(self, symbol: str, side: str, qty: str, **params: Any) -> Reply:
        """A market order unless told otherwise, in the symbol's category."""
        category = self.world.instrument("bybit", symbol).category
        body = {"category": category, "symbol": symbol, "side": side, "orderType": "Market", "qty": qty, **params}
        return self.post("/v5/order/create", **body)

    def stop(self, symbol: str, **params: Any) -> Reply:
        category = self.world.instrument("bybit", symbol).category
        return self.post("/v5/position/trading-stop", category=category, symbol=symbol, **params)

    def open_orders(self, **params: Any) -> list[dict[str, Any]]:
        return self.get("/v5/order/realtime", **{"category": "linear", "settleCoin": "USDT", **params}).rows

    def stream(self, *topics: str) -> Listener:
        """An authenticated private session that is subscribed to the topics."""
        session = self.wire.open_stream("/v5/private", "")
        listener = Listener(session)
        expires = str(self.world.now_ms() + 10_000)
        sign = hex_hmac(self.account.api_secret, f"GET/realtime{expires}")
        listener.say(op="auth", args=[self.account.api_key, expires, sign])
        assert listener.heard()[-1]["success"] is True
        listener.say(op="subscribe", args=list(topics), req_id="1")
        assert listener.heard()[-1]["success"] is True
        return listener


@dataclass
class Listener:
    """The client's end of a session."""

    session: StreamSession

    def say(self, **message: Any) -> None:
        self.session.receive(json.dumps(message))

    def heard(self) -> list[dict[str, Any]]:
        messages = [json.loads(text) for text in self.session.outbox]
        self.session.outbox.clear()
        return messages

    def rows(self, topic: str) -> list[dict[str, Any]]:
        """The rows of every message of the topic that came since the last look."""
        return [row for message in self.heard() if message.get("topic") == topic for row in message["data"]]


def _query(params: dict[str, Any]) -> str:
    return "&".join(f"{name}={value}" for name, value in params.items())
