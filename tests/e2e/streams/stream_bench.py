"""A stream of a served venue's account, watched: what it says is kept in order, and can be waited for."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.support.bench import VENUES, Bench
from trueup.bootstrap.clock import SystemClock
from trueup.model.orders import Fill
from trueup.model.stream import StreamDown, StreamFill, StreamOrder, StreamPosition, StreamUp
from trueup.sim.front import Admission, Front
from trueup.sim.wire import WireRequest
from trueup.sim.world.types import PositionMode
from trueup.venues import open_venue
from trueup.venues.stream import StreamTimings, open_stream

K = TypeVar("K")

FAST = StreamTimings(
    ping_every_s=0.2,
    pong_within_s=2.0,
    connect_within_s=5.0,
    backoff_first_s=0.02,
    backoff_most_s=0.3,
    steady_after_s=5.0,
)


def timed(**seconds: float) -> StreamTimings:
    """`FAST`, with these."""
    return dataclasses.replace(FAST, **seconds)


BTC = "BTC/USDT:USDT"
BOTH = ("binanceusdm", "bybit")


@dataclass
class Watched:
    """An iterator's events as they come; `mark()` and `since` tell the newer ones from the older."""

    events: list[Any] = field(default_factory=list)
    error: BaseException | None = None
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, stream: Any) -> None:
        try:
            async for event in stream:
                self.events.append(event)
                self._came.set()
        except Exception as error:
            self.error = error
            self._came.set()

    def mark(self) -> int:
        return len(self.events)

    def of(self, kind: type[K], since: int = 0) -> list[K]:
        return [event for event in self.events[since:] if isinstance(event, kind)]

    def fills(self, since: int = 0) -> list[Fill]:
        return [event.fill for event in self.of(StreamFill, since)]

    def positions(self, since: int = 0) -> list[StreamPosition]:
        return self.of(StreamPosition, since)

    def orders(self, since: int = 0) -> list[StreamOrder]:
        return self.of(StreamOrder, since)

    async def until(self, holds: Callable[[], Any], within_s: float = 30.0) -> Any:
        """Waits until it holds after some event; what it then returned."""
        async with asyncio.timeout(within_s):
            while not (found := holds()):
                self._came.clear()
                await self._came.wait()
            return found

    async def up(self, since: int = 0) -> StreamUp:
        return (await self.until(lambda: self.of(StreamUp, since)))[0]

    async def down(self, since: int = 0) -> StreamDown:
        return (await self.until(lambda: self.of(StreamDown, since)))[0]

    async def filled(self, count: int, since: int = 0) -> list[Fill]:
        """That many fills, by different ids, and the position after the last of them."""
        return await self.until(lambda: self._complete(count, since))

    def _complete(self, count: int, since: int) -> list[Fill] | None:
        fills = self.fills(since)
        if len({fill.trade_id for fill in fills}) < count:
            return None
        last_ms = max(fill.at_ms for fill in fills)
        told = [position for position in self.positions(since) if (position.at_ms or 0) >= last_ms]
        return fills if told else None


async def eventually(holds: Callable[[], Any], within_s: float = 20.0) -> None:
    """For what no event tells."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@dataclass
class Counted:
    """Requests that reached the venue, by method and path."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    def count(self, method: str, path: str) -> int:
        return self.seen.count((method, path))


def count_requests(front: Front) -> Counted:
    """Notes every request from now on."""
    counted, admit = Counted(), front.admit

    def noting(request: WireRequest) -> Admission:
        counted.seen.append((request.method, request.path))
        return admit(request)

    front.admit = noting  # type: ignore[method-assign]
    return counted


@asynccontextmanager
async def open_account(bench: Bench, venue: str, *, hedge: bool = False, **keys: str) -> AsyncIterator[Any]:
    """A new account `main` in the world, and its adapter. `keys` override its real `api_key`, `api_secret`."""
    mode = PositionMode.HEDGE if hedge else PositionMode.ONE_WAY
    spec = bench.world.add_account("main", VENUES[venue], mode=mode)
    adapter = open_venue(
        account="main",
        venue=venue,
        api_key=keys.get("api_key", spec.api_key),
        api_secret=keys.get("api_secret", spec.api_secret),
        rest_url=bench.server.rest_url,
        clock=SystemClock(),
    )
    try:
        yield adapter, spec
    finally:
        await adapter.aclose()


@asynccontextmanager
async def watch_stream(
    bench: Bench, venue: str, *, hedge: bool = False, timings: StreamTimings = FAST, limit: int = 10_000, **keys: str
) -> AsyncIterator[tuple[Watched, Any, Any]]:
    """The stream of a new account `main`: what it says, the stream itself, the adapter."""
    async with open_account(bench, venue, hedge=hedge, **keys) as (adapter, spec):
        stream = open_stream(
            adapter,
            api_key=keys.get("api_key", spec.api_key),
            api_secret=keys.get("api_secret", spec.api_secret),
            clock=SystemClock(),
            chance=random.Random(5),
            ws_url=bench.server.ws_url,
            timings=timings,
            limit=limit,
        )
        watched = Watched()
        async with stream:
            reader = asyncio.create_task(watched.follow(stream))
            try:
                yield watched, stream, adapter
            finally:
                await stream.aclose()
                await reader
