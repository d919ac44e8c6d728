"""One confirmed connection: read, watched for silence, and looked after, until it breaks.

1. A connection that does not answer a ping in time is broken, whatever else comes on it.
2. `proven_ms` is when the last ping was sent that was answered: what the venue had said by then has been read.
3. One task reads; a message is taken in the order in which it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from trueup.model.errors import AuthenticationRefused, Transient
from trueup.model.stream import DownKind
from trueup.model.values import Value
from trueup.ports import Clock
from trueup.venues.stream.socket import Connect, Frame, Socket, SocketClosed
from trueup.venues.stream.timing import StreamTimings, first_to_end, within

__all__ = ["Broken", "Dialect", "Link", "Session", "Taken", "refused_key"]

E = TypeVar("E", bound=Value)
E_co = TypeVar("E_co", bound=Value, covariant=True)


class Broken(Transient):
    """A stream did not come up, or is no longer up. `wait_s`: no attempt before that, at the venue's wish."""

    def __init__(self, kind: DownKind, why: str, *, wait_s: float = 0.0) -> None:
        self.kind, self.why, self.wait_s = kind, why, wait_s
        super().__init__(why)


def refused_key(refused: AuthenticationRefused, timings: StreamTimings) -> Broken:
    """The venue refuses the key, which it may take back."""
    return Broken(DownKind.REFUSED, str(refused), wait_s=timings.refused_wait_s)


class Taken(Generic[E_co]):
    """What a frame was: evidence, and/or the answer to our ping."""

    __slots__ = ("events", "pong")

    def __init__(self, events: Sequence[E_co] = (), *, pong: bool = False) -> None:
        self.events, self.pong = events, pong


class Session(Protocol[E_co]):
    """A venue's way on one open socket.

    Attributes:
        first: Evidence that came before the confirmation.
    """

    @property
    def socket(self) -> Socket: ...

    @property
    def first(self) -> Sequence[E_co]: ...

    async def ping(self) -> None: ...

    async def take(self, frame: Frame) -> Taken[E_co]:
        """Raises `Broken` when the message says that nothing more will come."""
        ...

    async def upkeep(self) -> None:
        """What has to be done while the connection stands; never returns, raises `Broken` when it cannot be done."""
        ...


class Dialect(Protocol[E_co]):
    """A venue's way to a confirmed stream.

    Attributes:
        renews: Whether the venue cuts a connection for its age.
    """

    renews: bool

    async def open(self, connect: Connect) -> Session[E_co]:
        """Raises `Broken`, `SocketClosed` or any `Transient`; `AuthenticationRefused` ends the stream for good."""
        ...


class Link(Generic[E]):
    """A session under way. `opened_s`: when, on our steady clock."""

    def __init__(
        self,
        session: Session[E],
        clock: Clock,
        timings: StreamTimings,
        deliver: Callable[[Sequence[E]], None],
    ) -> None:
        self.session = session
        self.opened_s = clock.monotonic_s()
        self.proven_ms = clock.now_ms()
        self._clock, self._timings, self._deliver = clock, timings, deliver
        self._pinging = asyncio.Lock()
        self._pong = asyncio.Event()
        self._stop: Broken | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until it breaks.

        Raises:
            Broken: Always, unless something worse happened.
        """
        await first_to_end(_broken(self._read), self._beat(), _broken(self.session.upkeep), self._stopped())

    def stop(self, why: Broken) -> None:
        """Breaks it; the first word counts."""
        if self._stop is None:
            self._stop = why
            self._stopping.set()

    async def prove(self) -> None:
        """Waits for the answer to a ping that is sent now.

        Raises:
            Broken: None came in time.
        """
        async with self._pinging:
            sent_ms = self._clock.now_ms()
            self._pong.clear()
            try:
                await within(self._clock, self._timings.pong_within_s, _broken(self._ping))
            except TimeoutError:
                pass
            else:
                self.proven_ms = sent_ms
                return
        raise Broken(DownKind.SILENT, f"no answer to a ping within {self._timings.pong_within_s:g} s")

    async def _ping(self) -> None:
        await self.session.ping()
        await self._pong.wait()

    async def _read(self) -> None:
        self._deliver(self.session.first)
        while True:
            taken = await self.session.take(await self.session.socket.receive())
            if taken.pong:
                self._pong.set()
            if taken.events:
                self._deliver(taken.events)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._timings.ping_every_s)
            await self.prove()

    async def _stopped(self) -> None:
        await self._stopping.wait()
        assert self._stop is not None
        raise self._stop


async def _broken(work: Callable[[], Awaitable[None]]) -> None:
    """Does it; the end of the connection becomes `Broken`."""
    try:
        await work()
    except SocketClosed as closed:
        raise Broken(DownKind.CLOSED, str(closed)) from None
