"""A stream over the simulated venue without sockets, in virtual time: nothing here waits for the machine's clock.

The same `Socket` and `Connect` that aiohttp gives, over the session of the simulated venue's front.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trueup.model.errors import AuthenticationRefused, Rejected, TrueupError, Unobserved
from trueup.model.instruments import ContractKind, Instrument, InstrumentCatalog
from trueup.model.observations import ClockReading
from trueup.model.stream import StreamDown, StreamFill, StreamUp
from trueup.sim.front import Front, StreamGate
from trueup.sim.wire import StreamRefused, WireRequest
from trueup.sim.world import AccountSpec, ManualClock, World
from trueup.sim.world.types import Kind
from trueup.venues.stream import StreamTimings, open_stream
from trueup.venues.stream.account import AccountStream
from trueup.venues.stream.socket import PONG, Frame, SocketClosed

START_MS = 1_795_000_000_000
HOUR_S = 3_600.0
_ROUNDS = 60  # of the loop, in which everything that can go on without time passing has gone on
METHODS = {
    "fapiPrivatePostListenKey": "POST",
    "fapiPrivatePutListenKey": "PUT",
    "fapiPrivateDeleteListenKey": "DELETE",
}
CLIENT_NAMES = {"binance": "binanceusdm", "bybit": "bybit"}


class SimTime:
    """Our clock and the world's, moved together by the test."""

    def __init__(self, world: World, front: Front) -> None:
        self._world, self._front = world, front
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = 0
        self.sockets: list[GateSocket] = []

    def now_ms(self) -> int:
        return self._world.now_ms()

    def monotonic_s(self) -> float:
        return self._world.now_ms() / 1000

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._number += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now_ms() + max(1, round(seconds * 1000)), self._number, future))
        await future

    async def settle(self) -> None:
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)

    async def advance(self, seconds: float, tick_s: float = 1.0) -> None:
        """Lets that much time pass; the venue notices it at every sleeper and at least every `tick_s`."""
        target_ms = self.now_ms() + round(seconds * 1000)
        await self.settle()
        while self.now_ms() < target_ms:
            due_ms = min(target_ms, self.now_ms() + round(tick_s * 1000))
            if self._sleepers:
                due_ms = max(self.now_ms(), min(due_ms, self._sleepers[0][0]))
            self._world.advance(due_ms - self.now_ms())
            self._front.tick()
            while self._sleepers and self._sleepers[0][0] <= self.now_ms():
                future = heapq.heappop(self._sleepers)[2]
                if not future.done():
                    future.set_result(None)
            for socket in self.sockets:
                socket.wake.set()
            await self.settle()


class GateSocket:
    """A socket whose other end is a session of the simulated venue."""

    def __init__(self, gate: StreamGate, front: Front, time: SimTime) -> None:
        self.gate, self._front, self._time = gate, front, time
        self.wake = asyncio.Event()
        self.closed = False
        self.sent: list[tuple[int, str]] = []
        self._frames: list[Frame] = []
        gate.session.wake = self.wake.set

    async def send(self, text: str) -> None:
        self._open()
        self.sent.append((self._time.now_ms(), text))
        self.gate.receive(text, self._time.now_ms())
        self.wake.set()

    async def ping(self) -> None:
        self._open()
        self.sent.append((self._time.now_ms(), "PING"))
        if not self.gate.is_silent(self._time.now_ms()):
            self._frames.append(PONG)
            self.wake.set()

    async def receive(self) -> Frame:
        while True:
            self._open()
            self._frames += self.gate.due(self._time.now_ms())
            if self._frames:
                return self._frames.pop(0)
            if self.gate.session.closed and self.gate.next_due_ms() is None:
                raise SocketClosed(f"the venue closed the connection with code {self.gate.session.close_code}")
            self.wake.clear()
            await self.wake.wait()

    def _open(self) -> None:
        if self.closed or self.gate.cut:
            raise SocketClosed("the connection ended without a word")

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._time.sockets.remove(self)
            self._front.close_stream(self.gate)
            self.wake.set()


class InProcessClient:
    """The adapter's client as far as a stream uses it: the listen key's endpoints, with every call noted."""

    def __init__(self, front: Front, api_key: str, time: SimTime) -> None:
        self._front, self._api_key, self._time = front, api_key, time
        self.calls: list[tuple[int, str]] = []
        self.failing: TrueupError | None = None

    def times(self, method: str) -> list[int]:
        return [at_ms for at_ms, called in self.calls if called == method]

    async def act(self, endpoint: str, params: Mapping[str, str | int], *, source: str) -> str:
        method = METHODS[endpoint]
        self.calls.append((self._time.now_ms(), method))
        if self.failing is not None:
            raise self.failing
        request = WireRequest(method, "/fapi/v1/listenKey", headers={"x-mbx-apikey": self._api_key})
        response = self._front.handle(request).response
        if response is None:
            raise Unobserved(source, "no answer")
        text = response.body.decode()
        if response.status == 200:
            return text
        code = str(json.loads(text)["code"])
        if code in ("-2014", "-2015"):
            raise AuthenticationRefused(f"{source}: refused")
        raise Rejected(source, code, "refused")


class InProcessAdapter:
    """An account's adapter as far as a stream uses it."""

    def __init__(self, front: Front, spec: AccountSpec, time: SimTime) -> None:
        self.account, self.venue = spec.name, CLIENT_NAMES[spec.venue]
        self.client: Any = InProcessClient(front, spec.api_key, time)
        self._catalog = catalog_of(front.world, spec.venue)
        self.measured = 0

    async def catalog(self) -> InstrumentCatalog:
        return self._catalog

    async def clock(self) -> ClockReading:
        self.measured += 1
        return ClockReading(skew_ms=0, uncertainty_ms=1)


def catalog_of(world: World, venue: Any) -> InstrumentCatalog:
    return InstrumentCatalog(
        CLIENT_NAMES[venue],
        [
            Instrument(
                venue=CLIENT_NAMES[venue],
                symbol=spec.unified,
                venue_symbol=spec.symbol,
                category=spec.category if venue == "bybit" else "linear",
                kind=ContractKind.PERPETUAL if spec.kind is Kind.PERPETUAL else ContractKind.DATED,
                base=spec.base,
                quote=spec.quote,
                settle=spec.settle,
                contract_size=spec.contract_size,
                inverse=spec.inverse,
            )
            for spec in world.instruments(venue)
        ],
    )


@dataclass
class Bench:
    """One account, its stream, and everything that it said."""

    world: World
    front: Front
    time: SimTime
    adapter: InProcessAdapter
    stream: AccountStream
    opened: list[tuple[int, str]] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    error: BaseException | None = None

    async def read(self) -> None:
        try:
            async for event in self.stream:
                self.events.append(event)
        except Exception as error:
            self.error = error

    @property
    def turns(self) -> list[type[Any]]:
        return [type(event) for event in self.events if isinstance(event, StreamUp | StreamDown)]

    @property
    def downs(self) -> list[StreamDown]:
        return [event for event in self.events if isinstance(event, StreamDown)]

    @property
    def fills(self) -> list[str]:
        return [event.fill.trade_id for event in self.events if isinstance(event, StreamFill)]

    @property
    def sockets(self) -> list[GateSocket]:
        return self.time.sockets


def make_bench(venue: Any, timings: StreamTimings | None = None, seed: int = 3) -> Bench:
    world = World(ManualClock(START_MS), 7)
    front = Front(world)
    time = SimTime(world, front)
    spec = world.add_account("main", venue)
    adapter = InProcessAdapter(front, spec, time)
    opened: list[tuple[int, str]] = []

    async def connect(url: str) -> GateSocket:
        path, _, query = url.removeprefix("sim://venue").partition("?")
        opened.append((time.now_ms(), url))
        try:
            gate = front.open_stream(path, query)
        except StreamRefused as refused:
            raise SocketClosed(f"the venue refused the connection with HTTP {refused.status}") from None
        socket = GateSocket(gate, front, time)
        time.sockets.append(socket)
        return socket

    stream = open_stream(
        adapter,
        api_key=spec.api_key,
        api_secret=spec.api_secret,
        clock=time,
        chance=random.Random(seed),
        ws_url="sim://venue",
        connect=connect,
        timings=timings,
    )
    return Bench(world, front, time, adapter, stream, opened)
