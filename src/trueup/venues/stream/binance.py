"""Binance's user stream: a listen key, a socket that bears it, and the key kept alive.

1. The stream is confirmed once the socket has answered a ping and the venue says, after it was opened, that the key is
   the account's live one: a dead key gives a socket that opens and says nothing. A key that was just made needs no such
   question.
2. One request for each connection: a key that was used before is confirmed, and a new one is asked for only when it is
   gone.
3. `listenKeyExpired` ends the connection, which the venue leaves open and silent.
4. The key is the account's: it is never deleted here, because others may listen with it. It stands in no error, log or
   repr.

Source: developers.binance.com, USDⓈ-M Futures, "User Data Streams"; docs of `POST` and `PUT /fapi/v1/listenKey`.
"""

from __future__ import annotations

import msgspec

from trueup.model.errors import AuthenticationRefused, Permanent, Rejected, Transient, Unobserved
from trueup.model.stream import DownKind, StreamEvent, StreamUnreadable
from trueup.ports import Clock
from trueup.venues.binance.messages import OtherMessage, decode_message
from trueup.venues.faults import Scrubber
from trueup.venues.stream.adapter import Adapter, Listed
from trueup.venues.stream.binance_events import EXPIRED, binance_events
from trueup.venues.stream.link import Broken, Taken, refused_key
from trueup.venues.stream.socket import PONG, Connect, Frame, Socket
from trueup.venues.stream.timing import StreamTimings
from trueup.venues.wire import decode, decoder

__all__ = ["BINANCE_STREAMS", "BinanceUserStream"]

BINANCE_STREAMS = "wss://fstream.binance.com"
_NO_SUCH_KEY = "-1125"


class _KeyAnswer(msgspec.Struct, frozen=True):
    key: str | None = msgspec.field(name="listenKey", default=None)


_KEY = decoder(_KeyAnswer)


class BinanceUserStream:
    """The dialect of one account; keeps the listen key between connections."""

    renews = True

    def __init__(self, adapter: Adapter, base_url: str, clock: Clock, timings: StreamTimings) -> None:
        self._client = adapter.client
        self._listed = Listed(adapter)
        self._base_url = base_url.rstrip("/")
        self._clock, self._timings = clock, timings
        self._key: str | None = None

    def __repr__(self) -> str:
        return "BinanceUserStream()"

    async def open(self, connect: Connect) -> _UserSession:
        """A confirmed connection; see the module."""
        await self._listed.catalog()
        key = self._key
        if key is not None:
            session = await self._listening(connect, key)
            if await self.is_live(key):
                return session
            self.gone(key)
            await session.socket.close()
        return await self._listening(connect, await self._make_key())

    def holds(self, key: str) -> bool:
        """Whether this is still the key that the account's streams listen with."""
        return self._key == key

    def gone(self, key: str) -> None:
        """This key lives no longer; another one, made since, is not meant."""
        if self._key == key:
            self._key = None

    async def _listening(self, connect: Connect, key: str) -> _UserSession:
        socket = await connect(f"{self._base_url}/private/ws?listenKey={key}")
        session = _UserSession(self, socket, key, self._listed, self._clock, self._timings)
        await session.ping()
        while not (taken := await session.take(await socket.receive())).pong:
            session.first.extend(taken.events)
        return session

    async def _make_key(self) -> str:
        source = "binance listen key"
        answer = decode(await self._client.act("fapiPrivatePostListenKey", {}, source=source), _KEY, source)
        if not answer.key:
            raise Unobserved(source, "the answer holds no listen key")
        self._key = answer.key
        return answer.key

    async def is_live(self, key: str) -> bool:
        """Whether this is the account's live key; it lives for another hour then.

        Raises:
            Transient: No answer came.
            AuthenticationRefused: The API key is refused.
        """
        source = "binance listen key (keep alive)"
        try:
            text = await self._client.act("fapiPrivatePutListenKey", {}, source=source)
        except Rejected as refused:
            if refused.code == _NO_SUCH_KEY:
                return False
            raise Unobserved(source, f"refused with {refused.code}") from None
        return decode(text, _KEY, source).key in (None, key)


class _UserSession:
    """One socket that listens with one key."""

    def __init__(
        self,
        stream: BinanceUserStream,
        socket: Socket,
        key: str,
        listed: Listed,
        clock: Clock,
        timings: StreamTimings,
    ) -> None:
        self.socket = socket
        self.first: list[StreamEvent] = []
        self._stream, self._key, self._listed = stream, key, listed
        self._clock, self._timings = clock, timings
        self._scrub = Scrubber((key,))

    def __repr__(self) -> str:
        return "UserSession()"

    async def ping(self) -> None:
        if not self._stream.holds(self._key):
            # The socket would answer all the same: it proves nothing of a key that was found dead meanwhile.
            raise Broken(DownKind.KEY_EXPIRED, "the listen key was found to be gone while the connection was replaced")
        await self.socket.ping()

    async def take(self, frame: Frame) -> Taken[StreamEvent]:
        if frame is PONG:
            return Taken(pong=True)
        try:
            message = decode_message(frame)
        except Unobserved as error:
            return Taken((StreamUnreadable(at_ms=self._clock.now_ms(), problem=self._scrub(str(error))),))
        if isinstance(message, OtherMessage) and message.kind == EXPIRED:
            raise self._expired("the venue says that the listen key has expired")
        events = binance_events(message, await self._listed.catalog(), self._clock.now_ms())
        if any(isinstance(event, StreamUnreadable) for event in events) and await self._listed.renewed():
            events = binance_events(message, await self._listed.catalog(), self._clock.now_ms())
        return Taken(events)

    async def upkeep(self) -> None:
        """Uses the key often enough; see `StreamTimings.keep_alive_every_s`."""
        used_s, wait_s = self._clock.monotonic_s(), self._timings.keep_alive_every_s
        while True:
            await self._clock.sleep(wait_s)
            asked_s = self._clock.monotonic_s()
            try:
                live = await self._stream.is_live(self._key)
            except AuthenticationRefused as refused:
                raise refused_key(refused, self._timings) from None
            except (Transient, Permanent) as error:
                if self._clock.monotonic_s() - used_s >= self._timings.key_life_s:
                    raise self._expired(f"the listen key could not be kept alive: {error}") from None
                wait_s = self._timings.keep_alive_retry_s
                continue
            if not live:
                raise self._expired("the venue does not know the listen key any more")
            used_s, wait_s = asked_s, self._timings.keep_alive_every_s

    def _expired(self, why: str) -> Broken:
        self._stream.gone(self._key)
        return Broken(DownKind.KEY_EXPIRED, why)
