"""A tiny wire of both venues' paths, for tests of the transport and the faults.

`GET …/positions` lists open positions, `GET …/orders` waiting conditional orders, `POST …/open` buys 0.01 BTC, all of
the account named by the header `x-account`. Streams tell every account change; they answer `hello` with `hi`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from trueup.sim.wire import StreamRefused, StreamSession, WireRequest, WireResponse
from trueup.sim.world import World
from trueup.sim.world.events import AccountChanged, ListenKeysExpired, WorldEvent
from trueup.sim.world.types import Venue


async def until(condition: Callable[[], bool]) -> None:
    """Waits until it holds, five seconds at most."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")


class FakeSession(StreamSession):
    def __init__(self, path: str, query: str, account: str, world: World) -> None:
        super().__init__(path, query, account)
        self.ticks: list[int] = []
        self.forgotten = False
        self._leave = world.subscribe(self._hear)

    def _hear(self, event: WorldEvent) -> None:
        if isinstance(event, AccountChanged) and event.account == self.account:
            for position in event.positions:
                self.send(json.dumps({"topic": "position", "size": str(position.quantity), "seq": position.sequence}))
        elif isinstance(event, ListenKeysExpired) and event.account in (None, self.account):
            self.send('{"e":"listenKeyExpired"}')

    def receive(self, text: str) -> None:
        if text == "hello":
            self.send("hi")
        elif text == "close":
            self.send("bye")
            self.close(4001, "asked")

    def tick(self, now_ms: int) -> None:
        self.ticks.append(now_ms)

    def disconnected(self) -> None:
        self.forgotten = True
        self._leave()


class FakeWire:
    def __init__(self, world: World, venue: Venue = "bybit") -> None:
        self.world = world
        self._venue: Venue = venue
        self.sessions: list[FakeSession] = []
        self.handled: list[str] = []

    @property
    def venue(self) -> Venue:
        return self._venue

    def account_of(self, request: WireRequest) -> str | None:
        return request.headers.get("x-account")

    def handle(self, request: WireRequest) -> WireResponse:
        self.handled.append(f"{request.method} {request.path}?{request.query}")
        view = self.world.look(request.headers["x-account"])
        if request.path.endswith("/open"):
            self.world.open_position(view.name, "BTCUSDT", "long", "0.01")
            body: object = {"retCode": 0, "result": {"orderId": "1"}}
        elif request.path.endswith("/orders"):
            body = {"result": {"list": [{"id": o.conditional_id} for o in view.open_conditionals()]}}
        elif request.path.endswith("/echo"):
            body = {
                "path": request.path,
                "query": request.query,
                "body": request.body.decode(),
                "ip": request.client_ip,
            }
        else:
            rows = [{"symbol": p.symbol, "size": str(p.quantity), "side": str(p.side)} for p in view.positions()]
            body = {"result": {"list": rows, "nextPageCursor": "next" if rows else ""}, "time": self.world.now_ms()}
        return WireResponse(200, json.dumps(body).encode(), {"Content-Type": "application/json", "X-Fake": "yes"})

    def open_stream(self, path: str, query: str) -> FakeSession:
        if query == "bad":
            raise StreamRefused(401, b"who are you")
        account = query.removeprefix("account=") or "by"
        session = FakeSession(path, query, account, self.world)
        self.sessions.append(session)
        return session
