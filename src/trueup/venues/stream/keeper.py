"""Keeps one stream up: opens it, follows it until it breaks, tells so, waits, and opens it again, for ever.

1. `up` is told once the venue has confirmed, before any message of that connection; `down` once the connection broke,
   after all of its messages. They alternate, except that a stream that does not come up at first is told down once.
2. The wait before the next attempt doubles with each that did not last, and starts anew after one that did: a socket
   that flaps costs a bounded number of requests.
3. A connection that the venue is about to cut for its age is replaced before: the new one is confirmed first, then the
   old one must answer a ping, which proves that nothing of before is missing. Where it does not, `down` and `up` are
   told, so that somebody looks.
4. A refused key is tried again too, seldom: venues refuse good ones in passing, and looks ask with the same key all the while.
5. A fault of our own ends the stream: the error comes out of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from trueup.model.errors import AuthenticationRefused, Permanent, RateLimited, Transient
from trueup.model.stream import DownKind, StreamHealth
from trueup.model.values import Value
from trueup.ports import Clock
from trueup.venues.stream.link import Broken, Dialect, Link, Session, refused_key
from trueup.venues.stream.outlet import Behind
from trueup.venues.stream.socket import Connect, Socket
from trueup.venues.stream.timing import StreamTimings, backoff_s, within

__all__ = ["Keeper", "Sink"]

E = TypeVar("E", bound=Value)
E_contra = TypeVar("E_contra", bound=Value, contravariant=True)


class Sink(Protocol[E_contra]):
    """Where a keeper's news go."""

    def up(self, at_ms: int) -> None: ...

    def down(self, at_ms: int, broken: Broken, proven_ms: int | None) -> None: ...

    def events(self, events: Sequence[E_contra]) -> None:
        """Raises `Behind` when they do not fit."""
        ...

    def failed(self, error: BaseException) -> None:
        """The stream has ended with this error."""
        ...


class Keeper(Generic[E]):
    """One task; `health` says how it stands."""

    def __init__(
        self,
        name: str,
        dialect: Dialect[E],
        connect: Connect,
        sink: Sink[E],
        *,
        clock: Clock,
        chance: random.Random,
        timings: StreamTimings,
    ) -> None:
        self.health = StreamHealth()
        self._name, self._dialect, self._connect, self._sink = name, dialect, connect, sink
        self._clock, self._chance, self._timings = clock, chance, timings
        self._sockets: dict[Socket, None] = {}
        self._link: Link[E] | None = None
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Keeper({self._name})"

    def start(self) -> None:
        """Idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"stream {self._name}")

    def restart(self, why: str) -> None:
        """Breaks the present connection, so that it is made anew; nothing happens while there is none."""
        if self._link is not None:
            self._link.stop(Broken(DownKind.RESTARTED, why))

    async def aclose(self) -> None:
        """Ends the task and closes its sockets; idempotent. Nothing is told."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for socket in list(self._sockets):
            await self._close(socket)

    async def _run(self) -> None:
        try:
            await self._keep()
        except Exception as error:
            # The loop's single handler: whoever reads the stream gets it.
            if self.health.up or self.health.since_ms is None:
                self._went_down(Broken(DownKind.FAILED, str(error)), None)
            self._note(up=False, why=str(error), failures=self.health.failures)
            self._sink.failed(error)

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                link = await self._opened()
            except Broken as unopened:
                if self.health.since_ms is None:
                    self._went_down(unopened, None)
                failures += 1
                self._note(up=False, why=unopened.why, failures=failures)
                await self._pause(failures, unopened.wait_s)
                continue
            self._came_up(failures)
            began_s = self._clock.monotonic_s()
            broken = await self._follow(link)
            steady = self._clock.monotonic_s() - began_s >= self._timings.steady_after_s
            failures = 0 if steady else failures + 1
            self._note(up=False, why=broken.why, failures=failures)
            await self._pause(failures, broken.wait_s)

    async def _pause(self, failures: int, at_least_s: float) -> None:
        await self._clock.sleep(max(at_least_s, backoff_s(self._timings, failures, self._chance)))

    # one connection
    async def _opened(self) -> Link[E]:
        """A confirmed connection.

        Raises:
            Broken: It did not come about.
        """
        made: list[Socket] = []
        session: Session[E] | None = None

        async def connect(url: str) -> Socket:
            socket = await self._connect(url)
            self._sockets[socket] = None
            made.append(socket)
            return socket

        try:
            session = await within(self._clock, self._timings.connect_within_s, self._dialect.open(connect))
        except Broken:
            raise
        except AuthenticationRefused as refused:
            raise refused_key(refused, self._timings) from None
        except TimeoutError:
            problem = f"not confirmed within {self._timings.connect_within_s:g} s"
            raise Broken(DownKind.UNREACHABLE, problem) from None
        except (Transient, Permanent) as error:
            wait_s = (error.retry_after_s or 0) if isinstance(error, RateLimited) else 0
            raise Broken(DownKind.UNREACHABLE, str(error), wait_s=wait_s) from None
        finally:
            for socket in made:
                if session is None or socket is not session.socket:
                    await self._close(socket)
        return Link(session, self._clock, self._timings, self._deliver)

    def _deliver(self, events: Sequence[E]) -> None:
        try:
            self._sink.events(events)
        except Behind as behind:
            raise Broken(DownKind.BEHIND, f"its reader does not keep up: {behind}, and were dropped") from None

    async def _follow(self, link: Link[E]) -> Broken:
        """Reads until no connection stands, replacing an old one in time; tells `down`."""
        reading = asyncio.create_task(link.run(), name=f"stream {self._name} reading")
        try:
            while True:
                self._link = link
                successor = await self._successor(link, reading)
                if successor is None:
                    break
                following = asyncio.create_task(successor.run(), name=f"stream {self._name} reading")
                try:
                    await self._hand_over(link, reading)
                finally:
                    await self._end(link, reading)
                    link, reading = successor, following
        finally:
            self._link = None
            await self._end(link, reading)
        broken = _how(reading)
        self._went_down(broken, link.proven_ms)
        return broken

    async def _successor(self, link: Link[E], reading: asyncio.Task[None]) -> Link[E] | None:
        """The connection that is to replace an old one; None once that broke."""
        if not self._dialect.renews:
            await asyncio.wait({reading})
            return None
        wait_s = self._timings.renew_after_s
        while True:
            opening = asyncio.create_task(self._opened_after(wait_s))
            try:
                await asyncio.wait({reading, opening}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not opening.done():
                    opening.cancel()
                    await asyncio.gather(opening, return_exceptions=True)
            if reading.done():
                if not opening.cancelled() and opening.exception() is None:
                    await self._close(opening.result().session.socket)
                return None
            try:
                return opening.result()
            except Broken:
                wait_s = self._timings.renew_retry_s

    async def _opened_after(self, wait_s: float) -> Link[E]:
        await self._clock.sleep(wait_s)
        return await self._opened()

    async def _hand_over(self, old: Link[E], reading: asyncio.Task[None]) -> None:
        """Proves that the old connection was whole until the new one was confirmed, or tells that it may not have been."""
        proving = asyncio.create_task(old.prove())
        try:
            await asyncio.wait({reading, proving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            proving.cancel()
            await asyncio.gather(proving, return_exceptions=True)
        if not proving.cancelled() and proving.exception() is None:
            return
        self._went_down(_how(reading if reading.done() else proving), old.proven_ms)
        self._came_up(0)

    async def _end(self, link: Link[E], reading: asyncio.Task[None]) -> None:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await self._close(link.session.socket)

    async def _close(self, socket: Socket) -> None:
        self._sockets.pop(socket, None)
        await socket.close()

    # telling
    def _came_up(self, failures: int) -> None:
        self._note(up=True, why=None, failures=failures)
        self._sink.up(self._clock.now_ms())

    def _went_down(self, broken: Broken, proven_ms: int | None) -> None:
        self._note(up=False, why=broken.why, failures=self.health.failures)
        self._sink.down(self._clock.now_ms(), broken, proven_ms)

    def _note(self, *, up: bool, why: str | None, failures: int) -> None:
        known = self.health
        changed = known.since_ms is None or known.up is not up
        self.health = StreamHealth(
            up=up,
            since_ms=self._clock.now_ms() if changed else known.since_ms,
            why=why,
            connects=known.connects + (1 if up else 0),
            failures=failures,
        )


def _how(ended: asyncio.Task[None]) -> Broken:
    """Why it broke; raises what is no breaking of a stream."""
    error = ended.exception()
    if isinstance(error, Broken):
        return error
    assert error is not None
    raise error
