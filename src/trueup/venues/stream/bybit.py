"""Bybit's private stream: log in, subscribe, and ping.

1. It is confirmed once the venue has answered the login and then the subscription to all topics with success.
2. A refused login is tried once more with a freshly measured clock, since an expired timestamp is refused with the same
   words; a second refusal ends the stream.
3. The venue wants a ping of its own kind at least every 20 s; its answer is the proof that the connection lives.
4. Key and signature stand in no error, log or repr.

Source: bybit-exchange.github.io/docs/v5/ws/connect.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from trueup.model.errors import AuthenticationRefused, Unobserved
from trueup.model.stream import DownKind, StreamEvent, StreamUnreadable
from trueup.ports import Clock
from trueup.venues.faults import Scrubber
from trueup.venues.stream.adapter import Adapter, Listed
from trueup.venues.stream.bybit_events import Answer, answer_of, bybit_events
from trueup.venues.stream.link import Broken, Taken
from trueup.venues.stream.socket import PONG, Connect, Frame, Socket, SocketClosed
from trueup.venues.stream.timing import forever

__all__ = ["BYBIT_STREAMS", "TOPICS", "BybitPrivateStream", "is_pong", "ping_text"]

BYBIT_STREAMS = "wss://stream.bybit.com"
TOPICS = ("position", "order", "execution", "wallet")
_LOGIN_VALID_MS = 10_000
_PING = json.dumps({"op": "ping", "req_id": "ping"})


def ping_text() -> str:
    """A ping of Bybit's own kind, for private and public streams."""
    return _PING


def is_pong(answer: Answer) -> bool:
    """Private streams answer ``"op": "pong"``, public ones ``"op": "ping"`` with the text ``"pong"``."""
    return answer.op == "pong" or (answer.op == "ping" and answer.ret_msg == "pong")


class _LoginRefused(Exception):
    """`text`: the venue's words, scrubbed."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class BybitPrivateStream:
    """The dialect of one account."""

    renews = False

    def __init__(self, adapter: Adapter, base_url: str, clock: Clock, *, api_key: str, api_secret: str) -> None:
        self._adapter = adapter
        self._listed = Listed(adapter)
        self._url = f"{base_url.rstrip('/')}/v5/private"
        self._clock = clock
        self._api_key, self._api_secret = api_key, api_secret
        self._scrub = Scrubber((api_key, api_secret))
        self._skew_ms: int | None = None

    def __repr__(self) -> str:
        return "BybitPrivateStream()"

    async def open(self, connect: Connect) -> _PrivateSession:
        """A confirmed connection; see the module."""
        await self._listed.catalog()
        measured = self._skew_ms is None
        if measured:
            await self._measure()
        try:
            return await self._logged_in(connect)
        except _LoginRefused as refused:
            problem = refused.text
        if not measured:
            await self._measure()
        try:
            return await self._logged_in(connect)
        except _LoginRefused as refused:
            problem = refused.text
        raise AuthenticationRefused(
            f"bybit private stream: the venue refuses this key ({problem}); check the key, its secret and its permissions"
        )

    async def _measure(self) -> None:
        self._skew_ms = (await self._adapter.clock()).skew_ms

    async def _logged_in(self, connect: Connect) -> _PrivateSession:
        socket = await connect(self._url)
        expires = self._clock.now_ms() + (self._skew_ms or 0) + _LOGIN_VALID_MS
        signed = hmac.new(self._api_secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
        await socket.send(json.dumps({"op": "auth", "args": [self._api_key, expires, signed]}))
        refused = await self._answered(socket, "auth", [])
        if refused is not None:
            await socket.close()
            raise _LoginRefused(refused)
        early: list[Frame] = []
        await socket.send(json.dumps({"op": "subscribe", "req_id": "subscribe", "args": TOPICS}))
        refused = await self._answered(socket, "subscribe", early)
        if refused is not None:
            await socket.close()
            raise Broken(DownKind.UNREACHABLE, f"the venue does not subscribe to {', '.join(TOPICS)}: {refused}")
        session = _PrivateSession(socket, self._listed, self._clock, self._scrub)
        for frame in early:
            session.first.extend((await session.take(frame)).events)
        return session

    async def _answered(self, socket: Socket, op: str, early: list[Frame]) -> str | None:
        """Waits for the answer to an operation: None for success, else the venue's words. Messages go to `early`."""
        while True:
            frame = await socket.receive()
            if frame is PONG:
                continue
            try:
                answer = answer_of(frame)
            except Unobserved as error:
                raise SocketClosed(f"no answer to {op} that can be read: {self._scrub(error.problem)}") from None
            if answer.topic is not None:
                early.append(frame)
            elif answer.op == op:
                return None if answer.success else self._scrub(answer.ret_msg or "without a reason")


class _PrivateSession:
    """One socket, logged in and subscribed."""

    def __init__(self, socket: Socket, listed: Listed, clock: Clock, scrub: Scrubber) -> None:
        self.socket = socket
        self.first: list[StreamEvent] = []
        self._listed, self._clock, self._scrub = listed, clock, scrub

    def __repr__(self) -> str:
        return "PrivateSession()"

    async def ping(self) -> None:
        await self.socket.send(_PING)

    async def take(self, frame: Frame) -> Taken[StreamEvent]:
        if frame is PONG:
            return Taken()
        try:
            head = answer_of(frame)
            if head.topic is None:
                return self._of_answer(head)
            return Taken(await self._events(frame, head))
        except Unobserved as error:
            return self._unreadable(str(error))

    async def _events(self, text: str, head: Answer) -> list[StreamEvent]:
        try:
            return bybit_events(text, head, await self._listed.catalog())
        except Unobserved:
            if not await self._listed.renewed():
                raise
        return bybit_events(text, head, await self._listed.catalog())

    def _of_answer(self, head: Answer) -> Taken[StreamEvent]:
        if is_pong(head):
            return Taken(pong=True)
        if head.success is False:
            raise Broken(
                DownKind.CLOSED, f"the venue answers {head.op or 'something'}: {self._scrub(head.ret_msg or '')}"
            )
        if head.op is None:
            return self._unreadable("bybit private stream: a message without a topic and without an operation")
        return Taken()

    def _unreadable(self, problem: str) -> Taken[StreamEvent]:
        return Taken((StreamUnreadable(at_ms=self._clock.now_ms(), problem=self._scrub(problem)),))

    async def upkeep(self) -> None:
        """Nothing but the pings, which the connection's watch sends."""
        await forever()
