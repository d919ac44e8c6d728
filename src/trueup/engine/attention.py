"""What an account's stream asks for: a decision on what it said, or a look, and whether the order lists are to be read with it.

1. What was said is kept as evidence (`Hearing`); what it does not prove within a moment asks for a look, which reads everything.
2. Looks that messages ask for keep a distance, so that a flapping stream cannot use up the request budget.
3. A stream that ends (its key was refused, say) leaves the audits, which go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

import structlog

from trueup.engine.hearing import Hearing
from trueup.model.errors import TrueupError
from trueup.model.orders import OrderKind, OrderRecord
from trueup.model.stream import StreamDown, StreamEvent, StreamFill, StreamOrder, StreamUnreadable, StreamUp

if TYPE_CHECKING:
    from trueup.engine.settings import Timing
    from trueup.ports import Clock, Feed

__all__ = ["Attention"]

_log = structlog.get_logger("trueup.streams")


class Attention:
    """One account's feed, read by one task. `None` as feed: there is none, and nothing ever asks.

    Attributes:
        hearing: What was said since the stream came up.
    """

    def __init__(self, feed: Feed | None, clock: Clock, timing: Timing) -> None:
        self._feed = feed
        self._clock = clock
        self._timing = timing
        self.hearing = Hearing()
        self._heard = asyncio.Event()
        self._news = asyncio.Event()
        self._missing: dict[str, float] = {}
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

    def wants_look(self, *, orders: bool = True) -> bool:
        """Whether a message asked for a look, and the last one is far enough away; `orders`: the order lists can be afforded."""
        asked = self._look or (orders and self.wants_orders())
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

    async def hear(self) -> None:
        """Until the stream says something that could prove a change."""
        await self._heard.wait()
        self._heard.clear()

    def ask(self, *, orders: bool = False) -> None:
        """A look is wanted."""
        self._look = True
        self._orders = self._orders or orders
        self._news.set()

    def found(self, symbols: Iterable[str]) -> None:
        """An audit found these changed: the stream should have told of fills there, or tell of them now."""
        if not self.is_up:
            return
        deadline = self._clock.monotonic_s() + self._timing.stream_lag_s
        for symbol in symbols:
            if not self.hearing.fills(symbol):
                self._missing.setdefault(symbol, deadline)

    def restart_if_deaf(self) -> None:
        """Makes the stream anew when what an audit found was not told in time: its connection stands, and says nothing."""
        deaf = sorted(symbol for symbol, at in self._missing.items() if at <= self._clock.monotonic_s())
        if deaf and self._feed is not None:
            _log.warning("stream.deaf", symbols=deaf)
            self._missing.clear()
            self._feed.restart(f"an audit found {', '.join(deaf)} changed, and the stream did not tell")

    async def _read(self, feed: Feed) -> None:
        try:
            async for event in feed:
                self._take(event)
        except TrueupError as error:
            _log.error("stream.ended", problem=str(error))

    def _take(self, event: StreamEvent) -> None:
        self.hearing.take(event, self._clock.monotonic_s())
        if self.hearing.news:
            self._heard.set()
        match event:
            case StreamFill(fill=fill):
                self._missing.pop(fill.symbol, None)
            case StreamOrder(record=record) if _may_protect(record):
                self.ask(orders=True)
            case StreamUp() | StreamUnreadable():
                self.ask(orders=True)
            case StreamDown():
                self._missing.clear()
                _log.warning("stream.down", kind=event.kind.value, problem=event.why)
            case _:
                pass


def _may_protect(record: OrderRecord) -> bool:
    """Whether the order is of the kinds that stops and exits are made of; what an order filled is told by its fills."""
    if record.kind is OrderKind.LIMIT:
        return record.reduce_only or record.close_position
    return record.kind is not OrderKind.MARKET
