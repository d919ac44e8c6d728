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

_AFFORDS_ASKED_S = 2.0
"""So often it is asked anew whether the order lists can be afforded, while something waits for them."""
_LEAST_S = 0.002
"""No shorter wait: clocks that differ by their rounding must not make a loop that never waits."""


class Attention:
    """One account's feed. `None` as feed: there is none, and nothing ever asks.

    Attributes:
        hearing: What was said since the stream came up.
    """

    def __init__(self, feed: Feed | None, clock: Clock, timing: Timing) -> None:
        self._feed = feed
        self._clock = clock
        self._timing = timing
        self.hearing = Hearing()
        self._heard = asyncio.Event()
        self._wake = asyncio.Event()
        self._rung = False
        self._asked_at_s = float("-inf")
        self._missing: dict[str, float] = {}
        self._look = self._orders = False
        self._looked_at_s = self._orders_at_s = float("-inf")

    async def __aenter__(self) -> Attention:
        if self._feed is not None:
            self._feed.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        now_s = self._clock.monotonic_s()
        return self._look_s() <= now_s or (orders and self._orders_s() <= now_s)

    def wants_orders(self) -> bool:
        return self._orders_s() <= self._clock.monotonic_s()

    def _look_s(self) -> float:
        """When the look that was asked for is to be taken: after its companions, and the spacing of looks; infinity: none was."""
        spaced_s = max(self._asked_at_s + self._timing.settle_s, self._looked_at_s + self._timing.look_spacing_s)
        return spaced_s if self._look else float("inf")

    def _orders_s(self) -> float:
        """The same of the order lists."""
        spaced_s = max(
            self._looked_at_s + self._timing.look_spacing_s, self._orders_at_s + self._timing.orders_spacing_s
        )
        return max(spaced_s, self._asked_at_s + self._timing.settle_s) if self._orders else float("inf")

    def looking(self, *, orders: bool) -> None:
        """A look begins now: it answers everything that was asked before."""
        self._look = False
        self._looked_at_s = self._clock.monotonic_s()
        if orders:
            self._orders = False
            self._orders_at_s = self._looked_at_s

    def ring(self) -> None:
        """A request of another command waits."""
        self._rung = True
        self._wake.set()

    def answer_ring(self) -> bool:
        """Whether it rang since this was last asked."""
        rung, self._rung = self._rung, False
        return rung

    async def wait(self, audit_s: float, *, orders: bool) -> None:
        """Until the next audit (monotonic), a ring, the time for what was asked, or for judging a stream's silence.

        Args:
            orders: The order lists can be afforded; else that is asked anew after a moment.
        """
        while not self._rung:
            now_s = self._clock.monotonic_s()
            orders_s = self._orders_s() if orders else max(self._orders_s(), now_s + _AFFORDS_ASKED_S)
            until_s = min(audit_s, self._look_s(), orders_s, *self._missing.values()) - now_s
            if until_s <= 0:
                return
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(until_s, _LEAST_S)):
                    await self._wake.wait()

    async def hear(self) -> None:
        """Until the stream says something that could prove a change."""
        await self._heard.wait()
        self._heard.clear()

    def ask(self, *, orders: bool = False) -> None:
        """A look is wanted."""
        if not self._look:
            self._asked_at_s = self._clock.monotonic_s()
        self._look = True
        self._orders = self._orders or orders
        self._wake.set()

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

    async def read(self) -> None:
        """Takes what the feed says, until that ends: by one task, while it is open."""
        if self._feed is None:
            return
        try:
            async for event in self._feed:
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
