"""The venue on loopback: real sockets and real time around the front; a second port for those who direct it.

1. Everything that a client sees comes from the front; the server adds nothing but time.
2. A request that waits is carried out even when its client is gone by then, as on a real venue.
3. The control port is another port: no client of the venue reaches it by accident, and it answers no venue request.
4. One process, one event loop, one world: what two requests do is never interleaved.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from trueup.sim.actions import ACTIONS, perform, state_of
from trueup.sim.front import Front, Outcome, StreamGate
from trueup.sim.scenario import load_scenario, make_demo, play
from trueup.sim.wire import StreamRefused, Wire, WireRequest, WireResponse, is_stream
from trueup.sim.world import SkewedClock, World
from trueup.sim.world.refusals import Refusal

_TICK_S = 0.05
_POLL_MS = 20
_FORGET_EVERY_MS = 60_000
_CHUNKS = 10


class SystemClock:
    """The machine's time at start, and from there its steady clock: stepping the machine's clock does not disturb it."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ms(self) -> int:
        return (time.monotonic_ns() + self._offset_ns) // 1_000_000


def served_world(seed: int = 0, *, clock_offset_ms: int = 0) -> World:
    """A world in real time, whose clock may be skewed."""
    return World(SkewedClock(SystemClock(), clock_offset_ms), seed)


class VenueServer:
    """Serves a world; an async context manager. Ports 0 are chosen by the system."""

    def __init__(
        self,
        world: World,
        host: str = "127.0.0.1",
        port: int = 0,
        control_port: int = 0,
        *,
        wires: Sequence[Wire] | None = None,
        history_s: int | None = None,
        proxies: int = 0,
    ) -> None:
        """`wires` None: both venues'. `history_s`: how far back stale answers can reach; None keeps everything.

        `proxies`: So many more ports that take requests as an HTTP proxy does; to the venue each is an IP address of its own.
        """
        self.world = world
        self.front = Front(world, wires)
        self._host = host
        self._ports = (port, control_port)
        self._proxies = proxies
        self._history_ms = None if history_s is None else history_s * 1_000
        self._stopping = asyncio.Event()
        self._runners: list[web.AppRunner] = []
        self._bound: list[int] = []
        self._ticker: asyncio.Task[None] | None = None
        self._sockets: set[web.WebSocketResponse] = set()

    @property
    def rest_url(self) -> str:
        """Base of both venues' REST paths."""
        return f"http://{self._host}:{self._bound[0]}"

    @property
    def ws_url(self) -> str:
        """Base of both venues' stream paths."""
        return f"ws://{self._host}:{self._bound[0]}"

    @property
    def proxy_urls(self) -> tuple[str, ...]:
        """Ways to the venue's port, each with its own address there."""
        return tuple(f"http://{self._host}:{port}" for port in self._bound[2:])

    @property
    def control_url(self) -> str:
        """Base of the control port."""
        return f"http://{self._host}:{self._bound[1]}"

    async def __aenter__(self) -> VenueServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Binds both ports and lets the world's time run."""
        venue = web.Application(client_max_size=2**20)
        venue.router.add_route("*", "/{tail:.*}", self._on_request)
        control = web.Application(client_max_size=2**20)
        control.router.add_get("/state", self._on_state)
        control.router.add_get("/actions", self._on_actions)
        control.router.add_get("/requests", self._on_requests)
        control.router.add_get("/faults", self._on_faults)
        control.router.add_post("/faults", self._on_add_fault)
        control.router.add_delete("/faults", self._on_clear_faults)
        control.router.add_delete("/faults/{fault_id}", self._on_clear_faults)
        control.router.add_post("/{action}", self._on_action)
        try:
            for app, port in zip((venue, control), self._ports, strict=True):
                await self._bind(app, port)
            for _ in range(self._proxies):
                site = web.TCPSite(self._runners[0], self._host, 0)
                await site.start()
                self._bound.append(self._runners[0].addresses[-1][1])
        except OSError:
            await self.stop()
            raise
        self._ticker = asyncio.create_task(self._tick_on(self.world.now_ms()))

    async def _bind(self, app: web.Application, port: int) -> None:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, self._host, port).start()
        self._bound.append(int(runner.addresses[0][1]))

    async def stop(self) -> None:
        """Closes every connection and both ports; idempotent."""
        self._stopping.set()
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
            self._ticker = None
        for socket in list(self._sockets):
            await socket.close(code=1001, message=b"server is going away")
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    async def _tick_on(self, forgotten_ms: int) -> None:
        while True:
            self.front.tick()
            now_ms = self.world.now_ms()
            if self._history_ms is not None and now_ms - forgotten_ms >= _FORGET_EVERY_MS:
                forgotten_ms = now_ms
                self.world.forget_before(now_ms - self._history_ms)
            await asyncio.sleep(_TICK_S)

    async def _pause(self, milliseconds: int) -> None:
        """Lets time pass, but no longer than the server lives."""
        if milliseconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), milliseconds / 1_000)

    # the venue's port
    async def _on_request(self, request: web.Request) -> web.StreamResponse:
        target, client_ip = request.raw_path, request.remote or "127.0.0.1"
        if not target.startswith("/"):  # to a proxy the whole URL is said
            split = urlsplit(target)
            target = split.path + (f"?{split.query}" if split.query else "")
            client_ip = f"{client_ip} by {_port_of(request)}"
        path, _, query = target.partition("?")
        if is_stream(path) and request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._on_stream(request, path, query)
        wire_request = WireRequest(
            request.method,
            path,
            query,
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
            client_ip,
        )
        admission = self.front.admit(wire_request)
        await self._pause(admission.wait_ms)
        outcome = self.front.answer(wire_request, admission)
        await self._pause(outcome.wait_ms)
        return await self._send(request, outcome)

    async def _send(self, request: web.Request, outcome: Outcome) -> web.StreamResponse:
        if outcome.hang:
            await self._hang(request)
        if outcome.response is None:
            _abort(request)
            return web.Response(status=500)
        if outcome.drip_ms:
            return await self._drip(request, outcome.response, outcome.drip_ms)
        return web.Response(
            status=outcome.response.status, body=outcome.response.body, headers=dict(outcome.response.headers)
        )

    async def _hang(self, request: web.Request) -> None:
        """Until the client gives up or the server stops."""
        while not self._stopping.is_set() and request.transport is not None and not request.transport.is_closing():
            await self._pause(_POLL_MS)

    async def _drip(self, request: web.Request, response: WireResponse, drip_ms: int) -> web.StreamResponse:
        """Sends the body in pieces over that time."""
        sent = web.StreamResponse(status=response.status, headers=dict(response.headers))
        sent.content_length = len(response.body)
        await sent.prepare(request)
        size = max(1, -(-len(response.body) // _CHUNKS))
        for start in range(0, len(response.body), size):
            await self._pause(drip_ms // _CHUNKS)
            await sent.write(response.body[start : start + size])
        await sent.write_eof()
        return sent

    async def _on_stream(self, request: web.Request, path: str, query: str) -> web.StreamResponse:
        try:
            gate = self.front.open_stream(path, query)
        except StreamRefused as refused:
            return web.Response(status=refused.status, body=refused.body)
        socket = web.WebSocketResponse(autoping=False)
        wake = asyncio.Event()
        gate.session.wake = wake.set
        pump: asyncio.Task[None] | None = None
        try:
            await socket.prepare(request)
            self._sockets.add(socket)
            pump = asyncio.create_task(self._pump(request, socket, gate, wake))
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    gate.receive(message.data, self.world.now_ms())
                    wake.set()
                elif message.type is WSMsgType.PING and not gate.is_silent(self.world.now_ms()):
                    await socket.pong(message.data)
        except ConnectionError:
            pass  # the client went away while we answered: the same end as a close
        finally:
            self._sockets.discard(socket)
            if pump is not None:
                pump.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await pump
            self.front.close_stream(gate)
        return socket

    async def _pump(
        self, request: web.Request, socket: web.WebSocketResponse, gate: StreamGate, wake: asyncio.Event
    ) -> None:
        """Sends what is due until the session or the socket ends."""
        while not socket.closed:
            wake.clear()
            now_ms = self.world.now_ms()
            try:
                for text in gate.due(now_ms):
                    await socket.send_str(text)
            except ConnectionError:
                return
            if gate.cut:
                _abort(request)
                return
            due_ms = gate.next_due_ms()
            if gate.session.closed and due_ms is None and not gate.session.outbox:
                await socket.close(code=gate.session.close_code, message=gate.session.close_reason.encode())
                return
            wait_s = None if due_ms is None else max(0.001, (due_ms - now_ms) / 1_000)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), wait_s)

    # the control port
    async def _on_state(self, _: web.Request) -> web.Response:
        self.world.tick()
        return web.json_response(state_of(self.front))

    async def _on_actions(self, _: web.Request) -> web.Response:
        return web.json_response({name: (action.__doc__ or "").strip() for name, action in sorted(ACTIONS.items())})

    async def _on_requests(self, request: web.Request) -> web.Response:
        text = request.query.get("limit", "50")
        if not text.isdecimal():
            return web.json_response({"error": f"limit is {text!r}; expected a number"}, status=400)
        return web.json_response([asked.as_json() for asked in self.front.journal.latest(int(text))])

    async def _on_faults(self, _: web.Request) -> web.Response:
        return web.json_response(state_of(self.front)["faults"])

    async def _on_add_fault(self, request: web.Request) -> web.Response:
        return await self._act("fault", request)

    async def _on_clear_faults(self, request: web.Request) -> web.Response:
        text = request.match_info.get("fault_id", "0")
        if not text.isdecimal():
            return web.json_response({"error": f"fault id {text!r} is no number"}, status=400)
        return web.json_response(perform(self.front, "clear_faults", {"fault_id": int(text)}))

    async def _on_action(self, request: web.Request) -> web.Response:
        return await self._act(request.match_info["action"].replace("-", "_"), request)

    async def _act(self, action: str, request: web.Request) -> web.Response:
        body = await request.text()
        try:
            data = json.loads(body) if body.strip() else {}
            if not isinstance(data, dict):
                raise ValueError(f"the body is {body[:40]!r}; expected a JSON object")
            self.world.tick()
            return web.json_response(perform(self.front, action, data))
        except (ValueError, TypeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        except Refusal as refusal:
            return web.json_response({"error": str(refusal), "refusal": type(refusal).__name__}, status=409)


def _port_of(request: web.Request) -> int:
    """The port that the request came in by."""
    transport = request.transport
    return int(transport.get_extra_info("sockname")[1]) if transport is not None else 0


def _abort(request: web.Request) -> None:
    """Closes the connection without another byte."""
    if request.transport is not None:
        request.transport.abort()


async def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    control_port: int = 0,
    scenario: Path | None = None,
    positions: int = 0,
    seed: int | None = None,
    clock_offset_ms: int = 0,
    history_s: int = 3_600,
    ready: Callable[[VenueServer], None] | None = None,
    report: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serves the demo world (and plays a scenario in it) until `stop` is set or the task is cancelled.

    `positions` 0 or 2, see `make_demo`; `seed` None: the scenario's, or 0. `ready` is called once both ports are bound;
    `report` hears each step of the scenario. Raises BadScenario, and OSError when a port is taken.
    """
    script = load_scenario(scenario) if scenario is not None else None
    chosen = seed if seed is not None else script.seed if script is not None else 0
    world = served_world(chosen, clock_offset_ms=clock_offset_ms)
    make_demo(world, positions)
    server = VenueServer(world, host, port, control_port, history_s=history_s)
    if script is not None:
        play(server.front, script, report or (lambda _: None))
    async with server:
        if ready is not None:
            ready(server)
        await (stop or asyncio.Event()).wait()
