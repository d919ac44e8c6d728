"""One venue with one account, an unmodified ccxt.pro client whose URLs alone are set, and a raw client of its stream."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import aiohttp
import ccxt.pro

from trueup.sim.faults import Fault, FaultKind, Planned
from trueup.sim.server import VenueServer
from trueup.sim.world import AccountView, World
from trueup.sim.world.account import AccountSpec

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
PATIENCE_S = 10
PATHS = {
    "binance": {
        "positions": "/fapi/*/positionRisk",
        "orders": "/fapi/v1/openOrders",
        "create": "/fapi/v1/order",
        "fills": "/fapi/v1/userTrades",
    },
    "bybit": {
        "positions": "/v5/position/list",
        "orders": "/v5/order/realtime",
        "create": "/v5/order/create",
        "fills": "/v5/execution/list",
    },
}
FILL_OF_BTC = {"binance": '"TRADE_LITE".*"BTCUSDT"', "bybit": '"execution".*"BTCUSDT"'}
_listed: dict[str, Any] = {}


@dataclass
class Case:
    venue: str
    server: VenueServer
    account: AccountSpec
    exchange: Any

    @property
    def world(self) -> World:
        return self.server.world

    @property
    def view(self) -> AccountView:
        return self.world.look(self.account.name)

    def fault(self, kind: FaultKind, what: str | None = None, **scope: Any) -> Planned:
        """Adds a fault of this account, at the path of `positions`, `orders`, `create` or `fills`."""
        path = None if what is None else PATHS[self.venue][what]
        scope.setdefault("account", self.account.name)
        return self.server.front.add_fault(Fault(kind, path=path, **scope))

    def open(self, quantity: str = "0.01", symbol: str = "BTCUSDT") -> None:
        self.world.open_position(self.account.name, symbol, "buy", quantity)

    async def positions(self) -> dict[str, float]:
        """What ccxt says is open."""
        return {row["symbol"]: row["contracts"] for row in await self.exchange.fetch_positions()}

    async def buy(self, client_id: str = "mine-1") -> Any:
        return await self.exchange.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": client_id})

    async def stop_order(self) -> Any:
        return await self.exchange.create_order(
            BTC, "market", "sell", 0.01, None, {"stopLossPrice": 50_000, "reduceOnly": True}
        )

    async def stream(self, session: aiohttp.ClientSession, **options: Any) -> Stream:
        """A raw connection that hears this account's fills."""
        if self.venue == "binance":
            key = (await self.exchange.fapiPrivatePostListenKey())["listenKey"]
            socket = await session.ws_connect(f"{self.server.ws_url}/private/ws?listenKey={key}", **options)
            return Stream(self.venue, socket)
        socket = await session.ws_connect(f"{self.server.ws_url}/v5/private", **options)
        expires = self.world.now_ms() + 10_000
        text = f"GET/realtime{expires}".encode()
        signature = hmac.new(self.account.api_secret.encode(), text, hashlib.sha256).hexdigest()
        for message in (
            {"op": "auth", "args": [self.account.api_key, expires, signature]},
            {"op": "subscribe", "args": ["execution"]},
        ):
            await socket.send_json(message)
            assert (await socket.receive_json(timeout=PATIENCE_S))["success"] is True
        return Stream(self.venue, socket)


@dataclass
class Stream:
    """The client's end of a socket."""

    venue: str
    socket: aiohttp.ClientWebSocketResponse

    async def fills(self, until: str = "ETHUSDT") -> list[tuple[str, str]]:
        """Symbol and quantity of every fill, as they come, to the first of that symbol."""
        told: list[tuple[str, str]] = []
        while not told or told[-1][0] != until:
            told += self._read(json.loads(await self.socket.receive_str(timeout=PATIENCE_S)))
        return told

    def _read(self, message: Any) -> list[tuple[str, str]]:
        if self.venue == "binance":
            return [(message["s"], message["l"])] if message.get("e") == "TRADE_LITE" else []
        rows = message["data"] if message.get("topic") == "execution" else []
        return [(row["symbol"], row["execQty"]) for row in rows]


async def client_of(venue: str, server: VenueServer, account: AccountSpec) -> Any:
    """ccxt.pro with nothing but its key and URLs set; the list of markets is read once a run."""
    names = {"binance": "binanceusdm", "bybit": "bybit"}
    exchange = getattr(ccxt.pro, names[venue])({"apiKey": account.api_key, "secret": account.api_secret})
    api = exchange.urls["api"]
    if venue == "binance":
        for name, url in api.items():
            if isinstance(url, str):
                api[name] = re.sub("https://[^/]+", server.rest_url, url)
        api["ws"]["linear"] = server.ws_url + "/ws"
    else:
        api.update(public=server.rest_url, private=server.rest_url)
        api["ws"]["private"]["contract"] = server.ws_url + "/v5/private"
    if venue not in _listed:
        await exchange.load_markets()
        _listed[venue] = exchange
    exchange.set_markets_from_exchange(_listed[venue])
    return exchange


async def error_of(awaitable: Awaitable[Any]) -> str:
    """The class of what it raises, which must be one of ccxt's."""
    try:
        result = await awaitable
    except ccxt.BaseError as error:
        return type(error).__name__
    raise AssertionError(f"nothing was raised; it returned {result!r}")
