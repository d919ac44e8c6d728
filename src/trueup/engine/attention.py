"""What an account's stream asks for: a look, and whether the order lists are to be read with it.

1. Messages are reasons to look, never facts: whoever looks reads everything again.
2. Looks that messages ask for keep a distance, so that a flapping stream cannot use up the request budget.
3. A stream that ends (its key was refused, say) leaves the audits, which go on.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

import structlog

from trueup.model.errors import TrueupError
from trueup.model.stream import (
    StreamAccount,
    StreamDown,
    StreamEvent,
    StreamFill,
    StreamFunding,
    StreamOrder,
    StreamPosition,
    StreamUnreadable,
    StreamUp,
)

if TYPE_CHECKING:
    from trueup.engine.settings import Timing
    from trueup.ports import Clock, Feed

__all__ = ["Attention"]

_log = structlog.get_logger("trueup.streams")


class Attention:
    """One account's feed, read by one task. `None` as feed: there is none, and nothing ever asks."""

    def __init__(self, feed: Feed | None, clock: Clock, timing: Timing) -> None:
        self._feed = feed
        self._clock = clock
        self._timing = timing
        self._news = asyncio.Event()
        self._look = self._orders = False
        self._looked_at_s = self._orders_at_s = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Attention:
        if self._feed is not None:
            self._feed.start()
            self._reading = asyncio.create_task(self._read(self._feed), name="stream events")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading
        if self._feed is not None:
            await self._feed.aclose()

    @property
    def is_up(self) -> bool:
        return self._feed is not None and self._feed.health.up

    @property
    def words(self) -> str:
        """For `status`: ``none``, ``up``, or ``down`` with the reason."""
        if self._feed is None:
            return "none"
        health = self._feed.health
        return "up" if health.up else f"down: {health.why or 'connecting'}"

    def wants_look(self) -> bool:
        """Whether a message asked for a look, and the last one is far enough away."""
        asked = self._look or self.wants_orders()
        return asked and self._clock.monotonic_s() - self._looked_at_s >= self._timing.look_spacing_s

    def wants_orders(self) -> bool:
        return self._orders and self._clock.monotonic_s() - self._orders_at_s >= self._timing.orders_spacing_s

    def looking(self, *, orders: bool) -> None:
        """A look begins now: it answers everything that was asked before."""
        self._look = False
        self._looked_at_s = self._clock.monotonic_s()
        if orders:
            self._orders = False
            self._orders_at_s = self._looked_at_s
        self._news.clear()

    async def wait(self, seconds: float) -> None:
        """Until a message asks for something, and a moment more for its companions; at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        if self._news.is_set():
            spacing = self._timing.look_spacing_s - (self._clock.monotonic_s() - self._looked_at_s)
            await self._clock.sleep(max(self._timing.settle_s, min(spacing, seconds)))

    async def _read(self, feed: Feed) -> None:
        try:
            async for event in feed:
                self._take(event)
        except TrueupError as error:
            _log.error("stream.ended", problem=str(error))

    def _take(self, event: StreamEvent) -> None:
        match event:
            case StreamFill() | StreamPosition():
                self._ask(orders=False)
            case StreamOrder() | StreamUp() | StreamUnreadable():
                self._ask(orders=True)
            case StreamDown():
                _log.warning("stream.down", kind=event.kind.value, problem=event.why)
            case StreamFunding() | StreamAccount():
                pass

    def _ask(self, *, orders: bool) -> None:
        self._look = True
        self._orders = self._orders or orders
        self._news.set()
