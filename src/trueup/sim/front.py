"""The venue's front: one place that every request and every stream passes, with the faults applied.

1. Synchronous and without sockets: a server carries out its values in real time, a simulation in virtual time.
2. What is to happen to a request is decided when it arrives (`admit`), what the venue does when it is carried out
   (`answer`).
3. Stream messages keep their order unless a fault of their session says otherwise.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import msgspec

from trueup.sim.faults import Fault, FaultKind, FaultPlan, Planned
from trueup.sim.journal import Journal
from trueup.sim.wire import StreamRefused, StreamSession, Wire, WireRequest, WireResponse, venue_of
from trueup.sim.world import SkewedClock, World
from trueup.sim.world.events import StreamsCut, WorldEvent

WIRES = ("trueup.sim.binance", "trueup.sim.bybit")
_REFUSING = (
    FaultKind.HTTP_ERROR,
    FaultKind.RATE_LIMIT,
    FaultKind.BANNED,
    FaultKind.MAINTENANCE,
    FaultKind.HANG,
    FaultKind.DISCONNECT,
)
_HTML = b"<html><head><title>Error</title></head><body><h1>The request could not be satisfied</h1></body></html>"


def build_wires(world: World, packages: Sequence[str] = WIRES) -> list[Wire]:
    """The wires of the venues, each built over the world."""
    return [import_module(package).build_wire(world) for package in packages]


class Admission(msgspec.Struct, frozen=True):
    """What was decided for a request when it came: whose it is, the faults that it meets, and how long it waits before it
    is served.
    """

    faults: tuple[Fault, ...]
    wait_ms: int = 0
    account: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What the client gets: an answer (`response`), a closed connection (`disconnect`), or nothing (`hang`).

    `wait_ms` pass before it is sent; `drip_ms` are spread over the body while it is sent.
    """

    response: WireResponse | None = None
    disconnect: bool = False
    hang: bool = False
    wait_ms: int = 0
    drip_ms: int = 0


class Front:
    """The world's wires behind their faults."""

    def __init__(self, world: World, wires: Sequence[Wire] | None = None, *, fault_seed: int = 0) -> None:
        """`wires` None: those of both venues."""
        self.world = world
        self.wires: dict[str, Wire] = {wire.venue: wire for wire in (build_wires(world) if wires is None else wires)}
        self.faults = FaultPlan(fault_seed)
        self.journal = Journal()
        self.gates: list[StreamGate] = []
        self._skews: dict[int, int] = {}
        world.subscribe(self._hear)

    def _hear(self, event: WorldEvent) -> None:
        """Closes the sessions that somebody wants cut, whatever their wire does about it."""
        if isinstance(event, StreamsCut):
            for gate in self.gates:
                if event.account in (None, gate.session.account):
                    gate.session.close(1008, "disconnected by the venue")

    def add_fault(self, fault: Fault) -> Planned:
        """Puts a fault into the plan, and sees to those that happen by themselves."""
        clock = self.world.clock
        if fault.kind is FaultKind.CLOCK_SKEW and not isinstance(clock, SkewedClock):
            msg = "clock_skew needs a world on a SkewedClock"
            raise ValueError(msg)
        planned = self.faults.add(fault)
        if fault.kind is FaultKind.LISTEN_KEYS_EXPIRED:
            self._at(fault.from_ms, planned, lambda: self.world.expire_listen_keys(fault.account))
        elif fault.kind is FaultKind.CLOCK_SKEW:
            self._at(fault.from_ms, planned, lambda: self._skew(planned.fault_id, fault.offset_ms))
            if fault.until_ms is not None:
                self.world.schedule(fault.until_ms, lambda: self._unskew(planned.fault_id))
        return planned

    def remove_fault(self, fault_id: int) -> bool:
        """Takes one fault away, and sets a clock right that it skewed; False when there is none of that id."""
        self._unskew(fault_id)
        return self.faults.remove(fault_id)

    def clear_faults(self) -> None:
        """Takes every fault away."""
        for planned in self.faults.planned():
            self.remove_fault(planned.fault_id)

    def _at(self, at_ms: int | None, planned: Planned, action: Callable[[], None]) -> None:
        def happen() -> None:
            if any(each is planned for each in self.faults.planned()):
                planned.hits += 1
                action()

        if at_ms is None or at_ms <= self.world.now_ms():
            happen()
        else:
            self.world.schedule(at_ms, happen)

    def _skew(self, fault_id: int, milliseconds: int) -> None:
        clock = self.world.clock
        if isinstance(clock, SkewedClock):
            self._skews[fault_id] = milliseconds
            clock.offset_ms += milliseconds

    def _unskew(self, fault_id: int) -> None:
        """Nothing when the clock is not off by that fault."""
        clock = self.world.clock
        if isinstance(clock, SkewedClock):
            clock.offset_ms -= self._skews.pop(fault_id, 0)

    def wire_of(self, path: str) -> Wire | None:
        """The wire that serves a path."""
        venue = venue_of(path)
        return self.wires.get(venue) if venue is not None else None

    # requests
    def admit(self, request: WireRequest) -> Admission:
        """Decides the faults of a request that has just come."""
        self.world.tick()
        wire = self.wire_of(request.path)
        account = wire.account_of(request) if wire is not None else None
        faults = tuple(self.faults.strike_request(request, account, self.world.now_ms()))
        wait_ms = sum(f.delay_ms for f in faults if f.kind is FaultKind.SLOW and f.when == "before")
        return Admission(faults, wait_ms, account)

    def answer(self, request: WireRequest, admission: Admission) -> Outcome:
        """Carries a request out (unless a fault forbids it) and says what the client gets."""
        self.world.tick()
        outcome = self._carried_out(request, admission)
        status = None if outcome.response is None else outcome.response.status
        self.journal.note(request, admission.account, status, admission.faults, self.world.now_ms())
        return outcome

    def _carried_out(self, request: WireRequest, admission: Admission) -> Outcome:
        refusing = next((f for f in admission.faults if f.kind in _REFUSING), None)
        if refusing is not None:
            return _refused(refusing, request.path, self.world.now_ms())
        wire = self.wire_of(request.path)
        if wire is None:
            return Outcome(WireResponse(404, b"Not Found", {"Content-Type": "text/plain"}))
        lag_ms = max((f.lag_ms for f in admission.faults if f.kind is FaultKind.STALE), default=0)
        if lag_ms:
            with self.world.reading_at(self.world.now_ms() - lag_ms):
                response = wire.handle(request)
        else:
            response = wire.handle(request)
        return self._spoiled(request, response, admission.faults)

    def _spoiled(self, request: WireRequest, response: WireResponse, faults: Sequence[Fault]) -> Outcome:
        """What a client gets of an answer that the venue gave."""
        if not faults:
            return Outcome(response)
        wait_ms = sum(f.delay_ms for f in faults if f.kind is FaultKind.SLOW and f.when == "after")
        drip_ms = sum(f.delay_ms for f in faults if f.kind is FaultKind.SLOW and f.when == "drip")
        for fault in faults:
            if fault.kind is FaultKind.ANSWER_LOST:
                if fault.then != "error":
                    return Outcome(disconnect=fault.then == "disconnect", hang=fault.then == "hang", wait_ms=wait_ms)
                response = _refusal(fault, request.path, self.world.now_ms())
            elif fault.kind is FaultKind.HTML:
                body = fault.body.encode() if fault.body is not None else _HTML
                response = WireResponse(fault.status or 200, body, {"Content-Type": "text/html"})
            elif fault.kind is FaultKind.TRUNCATED:
                half = response.body[: len(response.body) // 2]
                response = WireResponse(response.status, half, response.headers)
            elif fault.kind in (FaultKind.EMPTY, FaultKind.DROP_FIELD, FaultKind.SET_FIELD):
                response = WireResponse(response.status, _edited(response.body, fault), response.headers)
        return Outcome(response, wait_ms=wait_ms, drip_ms=drip_ms)

    def handle(self, request: WireRequest) -> Outcome:
        """`admit` and `answer` in one, for callers that let no time pass between them."""
        return self.answer(request, self.admit(request))

    # streams
    def open_stream(self, path: str, query: str) -> StreamGate:
        """Opens a session behind its faults; raises StreamRefused."""
        self.world.tick()
        now_ms = self.world.now_ms()
        kinds = (FaultKind.STREAM_REFUSED, FaultKind.MAINTENANCE)
        fault = self.faults.strike_stream(path, None, now_ms, kinds)
        if fault is not None:
            raise StreamRefused(fault.status or 503, (fault.body or "").encode())
        wire = self.wire_of(path)
        if wire is None:
            raise StreamRefused(404)
        gate = StreamGate(wire.open_stream(path, query), self.faults)
        self.gates.append(gate)
        return gate

    def close_stream(self, gate: StreamGate) -> None:
        """The socket is gone; idempotent."""
        if gate in self.gates:
            self.gates.remove(gate)
            gate.session.disconnected()

    def tick(self) -> None:
        """Lets the world and every session notice the time; to be called at least once a second."""
        self.world.tick()
        now_ms = self.world.now_ms()
        for gate in list(self.gates):
            gate.tick(now_ms)


class StreamGate:
    """Between a session's outbox and the socket: here messages are lost, doubled, late, or out of order."""

    def __init__(self, session: StreamSession, faults: FaultPlan) -> None:
        self.session = session
        self.cut = False
        """The connection is to be dropped without a close frame."""
        self.sent = 0
        """Messages that went to the client so far."""
        self._faults = faults
        self._queue: list[tuple[int, int, str]] = []
        self._held: list[tuple[int, str]] = []
        self._number = 0

    def tick(self, now_ms: int) -> None:
        """Time passed: keep-alives of the wire, disconnects of the plan."""
        self.session.tick(now_ms)
        path, account = self.session.path, self.session.account
        kinds = (FaultKind.STREAM_DISCONNECT, FaultKind.MAINTENANCE)
        if not self.cut and self._faults.strike_stream(path, account, now_ms, kinds) is not None:
            self.cut = True
            if self.session.wake is not None:
                self.session.wake()

    def receive(self, text: str, now_ms: int) -> None:
        """A message from the client; a silent session hears it, and its answer is lost like everything else."""
        self.session.receive(text)
        self.collect(now_ms)

    def is_silent(self, now_ms: int) -> bool:
        """Whether protocol pings stay unanswered too."""
        return self._faults.is_silent(self.session.path, self.session.account, now_ms)

    def collect(self, now_ms: int) -> None:
        """Takes what the wire has said since and decides what becomes of it."""
        while self.session.outbox:
            text = self.session.outbox.popleft()
            faults = self._faults.strike_message(self.session.path, self.session.account, text, now_ms)
            kinds = {fault.kind for fault in faults}
            if FaultKind.STREAM_DROP in kinds or FaultKind.STREAM_SILENT in kinds:
                continue
            delay_ms = sum(f.delay_ms for f in faults if f.kind is FaultKind.STREAM_DELAY)
            if FaultKind.STREAM_REORDER in kinds:
                late_ms = max(f.delay_ms for f in faults if f.kind is FaultKind.STREAM_REORDER)
                self._held.append((now_ms + late_ms, text))
                continue
            self._put(now_ms + delay_ms, text)
            if FaultKind.STREAM_DUPLICATE in kinds:
                self._put(now_ms + delay_ms, text)
            for _, held in self._held:
                self._put(now_ms + delay_ms, held)
            self._held.clear()

    def _put(self, at_ms: int, text: str) -> None:
        self._number += 1
        heapq.heappush(self._queue, (at_ms, self._number, text))

    def due(self, now_ms: int) -> list[str]:
        """What goes to the client now, in this order."""
        self.collect(now_ms)
        for at_ms, text in [held for held in self._held if held[0] <= now_ms]:
            self._held.remove((at_ms, text))
            self._put(now_ms, text)
        texts = []
        while self._queue and self._queue[0][0] <= now_ms:
            texts.append(heapq.heappop(self._queue)[2])
        self.sent += len(texts)
        return texts

    def next_due_ms(self) -> int | None:
        """When something that was held back falls due, None when nothing is."""
        times = [at_ms for at_ms, _ in self._held]
        if self._queue:
            times.append(self._queue[0][0])
        return min(times, default=None)


def _refused(fault: Fault, path: str, now_ms: int) -> Outcome:
    """What a client gets of a request that is not carried out."""
    if fault.kind is FaultKind.HANG:
        return Outcome(hang=True)
    if fault.kind is FaultKind.DISCONNECT:
        return Outcome(disconnect=True)
    return Outcome(_refusal(fault, path, now_ms))


def _refusal(fault: Fault, path: str, now_ms: int) -> WireResponse:
    """The venue's words, or those that the fault brings."""
    status, body, headers = _refusal_of(fault, path, now_ms)
    if fault.status is not None:
        status = fault.status
    if fault.body is not None:
        body = fault.body.encode()
    return WireResponse(status, body, headers)


def _refusal_of(fault: Fault, path: str, now_ms: int) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers as the venue of the path answers."""
    bybit = venue_of(path) == "bybit"
    headers = {"Content-Type": "application/json"}
    if fault.kind is FaultKind.HTTP_ERROR:
        text = b'{"code":-1008,"msg":"Server is currently overloaded with other requests. Please try again."}'
        return 503, b"" if bybit else text, headers
    if fault.kind is FaultKind.ANSWER_LOST:
        if bybit:
            return 200, _bybit_error(10000, "Server Timeout", now_ms), headers
        text = b'{"code":-1007,"msg":"Timeout waiting for response from backend server. Execution status unknown."}'
        return 503, text, headers
    if fault.kind is FaultKind.MAINTENANCE:
        if bybit:
            return 200, _bybit_error(10016, "Service is restarting, please try again later.", now_ms), headers
        return 503, b'{"code":-1016,"msg":"This service is no longer available."}', headers
    if bybit:
        if fault.kind is FaultKind.BANNED:
            return 403, b"access too frequent. Please wait for a few minutes", {"Content-Type": "text/plain"}
        reset_ms = now_ms + fault.retry_after_s * 1_000
        headers |= {
            "X-Bapi-Limit": "50",
            "X-Bapi-Limit-Status": "0",
            "X-Bapi-Limit-Reset-Timestamp": str(reset_ms),
        }
        return 200, _bybit_error(10006, "Too many visits. Exceeded the API Rate Limit.", now_ms), headers
    headers["Retry-After"] = str(fault.retry_after_s)
    banned = fault.kind is FaultKind.BANNED
    until = f"IP banned until {now_ms + fault.retry_after_s * 1_000}."
    reason = f"Way too many requests; {until}" if banned else "Too many requests; please use the websocket."
    return 418 if banned else 429, json.dumps({"code": -1003, "msg": reason}).encode(), headers


def _bybit_error(code: int, text: str, now_ms: int) -> bytes:
    envelope = {"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": now_ms}
    return json.dumps(envelope).encode()


def _edited(body: bytes, fault: Fault) -> bytes:
    """The body with its lists emptied or a field changed in every row; a body that is no JSON stays as it is."""
    try:
        data = json.loads(body)
    except ValueError:
        return body
    edited = _emptied(data) if fault.kind is FaultKind.EMPTY else _row_edited(data, fault)
    return json.dumps(edited, separators=(",", ":")).encode()


def _emptied(data: Any) -> Any:
    if isinstance(data, list):
        return []
    if isinstance(data, dict):
        cursors = {"nextPageCursor": ""} if "nextPageCursor" in data else {}
        return {name: _emptied(value) for name, value in data.items()} | cursors
    return data


def _row_edited(data: Any, fault: Fault) -> Any:
    if isinstance(data, list):
        return [_row_edited(item, fault) for item in data]
    if not isinstance(data, dict):
        return data
    edited = {}
    for name, value in data.items():
        if name != fault.field:
            edited[name] = _row_edited(value, fault)
        elif fault.kind is FaultKind.SET_FIELD:
            edited[name] = fault.value
    return edited
