"""The simulated network between an engine and the venues: what is under ccxt's HTTP session and under the streams' sockets.

1. ccxt itself signs, sends and reads: only its aiohttp session is replaced, and fails with aiohttp's own errors.
2. A request travels by itself: whoever gave up waiting, or died, cannot call it back.
3. A stream's messages keep their order, unless a fault of the venue's front says otherwise.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import aiohttp

from trueup.sim.front import Front, Outcome, StreamGate
from trueup.sim.loop import Host, SimLoop
from trueup.sim.wire import StreamRefused, WireRequest, WireResponse
from trueup.venues.stream.socket import PONG, Frame, SocketClosed

if TYPE_CHECKING:
    from trueup.venues.stream.socket import Socket

__all__ = ["Network", "SimSession"]


class Network:
    """Between every host and the venues.

    Attributes:
        fastest_ms, slowest_ms: One way, drawn for each message.
        on_request: Told (host, request, outcome, account) when the venue has carried a request out.
    """

    def __init__(self, loop: SimLoop, front: Front, seed: int) -> None:
        self.loop, self.front = loop, front
        self.fastest_ms, self.slowest_ms = 2.0, 60.0
        self.requests = 0
        self.messages = 0
        self.serving: Host | None = None
        self.on_request: Callable[[Host, WireRequest, Outcome, str | None], None] = lambda *_: None
        self._chance = random.Random(seed)  # noqa: S311 - reproducible delays, not secrets
        self._nobody = contextvars.Context()  # one for all: each new one would make decimal's settings anew
        self._sockets: dict[SimSocket, None] = {}

    def later(self, seconds: float, action: Callable[..., object], *args: Any) -> None:
        """Runs it then, as nobody's."""
        self.loop.call_later(seconds, action, *args, context=self._nobody)

    def way_s(self) -> float:
        return self._chance.uniform(self.fastest_ms, self.slowest_ms) / 1000

    async def ask(self, host: Host, request: WireRequest, total_s: float) -> Outcome:
        """The answer.

        Raises:
            TimeoutError: None came in time; the request may have been carried out, or will be.
        """
        host.check()
        self.requests += 1
        answered: asyncio.Future[Outcome] = self.loop.create_future()
        self.later(self.way_s(), self._arrived, host, request, answered)
        deadline = self.loop.call_later(total_s, _give_up, answered)
        try:
            outcome = await answered
        finally:
            deadline.cancel()
        host.check()
        return outcome

    def _arrived(self, host: Host, request: WireRequest, answered: asyncio.Future[Outcome]) -> None:
        admission = self.front.admit(request)
        if admission.wait_ms:
            self.later(admission.wait_ms / 1000, self._served, host, request, admission, answered)
        else:
            self._served(host, request, admission, answered)

    def _served(self, host: Host, request: WireRequest, admission: Any, answered: asyncio.Future[Outcome]) -> None:
        self.serving = host
        try:
            outcome = self.front.answer(request, admission)
        finally:
            self.serving = None
        if outcome.response is not None:
            self.loop.mix(zlib.crc32(outcome.response.body))
        self.on_request(host, request, outcome, admission.account)
        if outcome.hang:
            return
        way_s = self.way_s() + (outcome.wait_ms + outcome.drip_ms) / 1000
        self.later(way_s, _deliver, answered, outcome)

    # streams
    async def connect(self, host: Host, base: str, url: str) -> Socket:
        """Opens a websocket; raises `SocketClosed`."""
        host.check()
        path, _, query = url.removeprefix(base).partition("?")
        opened: asyncio.Future[StreamGate | int] = self.loop.create_future()
        self.later(self.way_s(), self._open, path, query, opened)
        gate = await opened
        if isinstance(gate, int):
            raise SocketClosed(f"the venue refused the connection with HTTP {gate}")
        socket = SimSocket(self, gate, host)
        self._sockets[socket] = None
        return socket

    def _open(self, path: str, query: str, opened: asyncio.Future[StreamGate | int]) -> None:
        try:
            gate: StreamGate | int = self.front.open_stream(path, query)
        except StreamRefused as refused:
            gate = refused.status
        self.later(self.way_s(), _deliver, opened, gate)

    def ended(self, socket: SimSocket) -> None:
        """The client's side is gone; the venue hears it now."""
        self._sockets.pop(socket, None)
        self.front.close_stream(socket.gate)

    def died(self, host: Host) -> None:
        """Its sockets end with it."""
        for socket in [each for each in self._sockets if each.host is host]:
            self.ended(socket)

    def tick(self) -> None:
        """The venue's sessions notice the time; what they say about it wakes their sockets."""
        self.front.tick()


def _give_up(waiting: asyncio.Future[Any]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())


def _deliver(waiting: asyncio.Future[Any], value: Any) -> None:
    if not waiting.done():
        waiting.set_result(value)


class SimSocket:
    """Implements `trueup.venues.stream.socket.Socket` over a session of the simulated venue."""

    def __init__(self, network: Network, gate: StreamGate, host: Host) -> None:
        self.gate, self.host = gate, host
        self._network = network
        self._frames: list[Frame] = []
        self._reader: asyncio.Future[None] | None = None
        self._closed = False
        self._ended: str | None = None
        self._last_in = self._last_out = 0.0
        gate.session.wake = self.news
        self.news()

    def __repr__(self) -> str:
        return f"SimSocket({self.gate.session.path})"

    async def send(self, text: str) -> None:
        self._usable()
        self._last_out = max(self._last_out, self._network.loop.time() + self._network.way_s())
        self._network.later(self._last_out - self._network.loop.time(), self._heard, text)

    async def ping(self) -> None:
        self._usable()
        self._last_out = max(self._last_out, self._network.loop.time() + self._network.way_s())
        self._network.later(self._last_out - self._network.loop.time(), self._pinged)

    def _heard(self, text: str) -> None:
        if not self._closed and not self.gate.cut:
            self.gate.receive(text, self._network.front.world.now_ms())
            self.news()

    def _pinged(self) -> None:
        now_ms = self._network.front.world.now_ms()
        if not self._closed and not self.gate.cut and not self.gate.is_silent(now_ms):
            self._bring([PONG])

    def news(self) -> None:
        """The venue may have said something."""
        now_ms = self._network.front.world.now_ms()
        frames: list[Frame] = list(self.gate.due(now_ms))
        if frames:
            self._bring(frames)
        due_ms = self.gate.next_due_ms()
        if due_ms is not None:
            self._network.later(max(1, due_ms - now_ms) / 1000, self._late)
        session = self.gate.session
        if self.gate.cut:
            self._end("the connection ended without a word")
        elif session.closed and due_ms is None and not session.outbox:
            self._end(f"the venue closed the connection with code {session.close_code}")

    def _late(self) -> None:
        if not self._closed:
            self.news()

    def _bring(self, frames: list[Frame]) -> None:
        network = self._network
        self._last_in = max(self._last_in, network.loop.time() + network.way_s())
        network.later(self._last_in - network.loop.time(), self._came, frames)

    def _came(self, frames: list[Frame]) -> None:
        if not self._closed:
            self._network.messages += len(frames)
            self._frames += frames
            self._wake()

    def _end(self, why: str) -> None:
        if self._ended is None:
            self._ended = ""
            delay_s = max(0.0, self._last_in - self._network.loop.time()) + self._network.way_s()
            self._network.later(delay_s, self._over, why)

    def _over(self, why: str) -> None:
        self._ended = why
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def receive(self) -> Frame:
        while True:
            self.host.check()
            if self._frames:
                return self._frames.pop(0)
            self._usable()
            self._reader = self._network.loop.create_future()
            await self._reader

    def _usable(self) -> None:
        self.host.check()
        if self._closed:
            raise SocketClosed("the connection is closed")
        if self._ended:
            raise SocketClosed(self._ended)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._network.ended(self)
            self._wake()


class SimSession:
    """An aiohttp session as far as ccxt uses one."""

    headers: Mapping[str, str] = {}

    closed = False

    def __init__(self, network: Network, host: Host, client_ip: str) -> None:
        self._network, self._host, self._client_ip = network, host, client_ip

    def get(self, url: Any, **options: Any) -> _Call:
        return _Call(self, "GET", url, options)

    def post(self, url: Any, **options: Any) -> _Call:
        return _Call(self, "POST", url, options)

    def put(self, url: Any, **options: Any) -> _Call:
        return _Call(self, "PUT", url, options)

    def delete(self, url: Any, **options: Any) -> _Call:
        return _Call(self, "DELETE", url, options)

    async def send(self, method: str, url: Any, options: Mapping[str, Any]) -> _Answer:
        request = WireRequest(
            method,
            url.raw_path,
            url.raw_query_string,
            {name.lower(): value for name, value in options["headers"].items()},
            options.get("data") or b"",
            self._client_ip,
        )
        outcome = await self._network.ask(self._host, request, options["timeout"].total)
        if outcome.response is None:
            raise aiohttp.ServerDisconnectedError
        return _Answer(outcome.response)

    async def close(self) -> None:
        """Nothing is open."""


class _Answer:
    """An aiohttp response as far as ccxt uses one."""

    reason = ""

    def __init__(self, response: WireResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self._body = response.body

    async def text(self, errors: str = "strict") -> str:
        return self._body.decode("utf-8", errors)


class _Call:
    """What `async with session.get(…)` enters."""

    def __init__(self, session: SimSession, method: str, url: Any, options: Mapping[str, Any]) -> None:
        self._session, self._method, self._url, self._options = session, method, url, options

    async def __aenter__(self) -> _Answer:
        return await self._session.send(self._method, self._url, self._options)

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""
