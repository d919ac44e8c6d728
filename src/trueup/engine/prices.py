"""Mark prices of the symbols that stops follow: from the venue's stream, and by request where that says nothing.

1. A symbol whose price does not come by stream is asked for, at a bounded rate; what answers counts as its price.
2. A stream that says nothing may stand still because the price does. It counts as dead once a request shows another price.
3. Whether prices come, and since when they do not, is always known (`problem`): a dead feed is never silence.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING

import structlog

from trueup.engine.tasks import end
from trueup.model.errors import AuthenticationRefused, TrueupError, UnknownSymbol, Unobserved
from trueup.model.stream import MarkPrice, PriceEvent, StreamDown, StreamUnreadable, StreamUp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trueup.engine.settings import Timing
    from trueup.ports import Clock, PriceSource, Venue

__all__ = ["Price", "PriceWatch"]

_log = structlog.get_logger("trueup.prices")


@dataclass
class Price:
    """The newest known price of a symbol, in quote units. `heard_s`: when it was told or asked for last (monotonic)."""

    value: Decimal
    heard_s: float


class PriceWatch:
    """One account's. An async context manager: it reads the feed while it is open. None as feed: requests alone.

    Every price that is heard is handed to `on_price`: none that lies between two rounds is lost.

    Attributes:
        prices: By unified symbol, of what is wanted.
        read_problem: Why the newest request failed; None: it did not, or none was needed.
        reads: How many requests were sent.
    """

    def __init__(
        self,
        feed: PriceSource | None,
        venue: Venue,
        clock: Clock,
        timing: Timing,
        on_price: Callable[[str, Decimal], None] = lambda _symbol, _price: None,
    ) -> None:
        self.prices: dict[str, Price] = {}
        self.read_problem: str | None = None
        self.reads = 0
        self._feed, self._venue, self._clock, self._timing, self._on_price = feed, venue, clock, timing, on_price
        self._wanted: dict[str, None] = {}  # in the order in which they were wanted, which is the order of asking
        self._asked_at_s: dict[str, float] = {}
        self._refused: dict[str, str] = {}
        self._frozen: set[str] = set()
        self._down: str | None = "not connected yet" if feed is not None else "there is no stream of mark prices"
        self._read_at_s = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> PriceWatch:
        if self._feed is not None:
            self._feed.start()
            self._reading = asyncio.create_task(self._listen(self._feed), name="mark prices")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._feed is not None and self._reading is not None:
            try:
                await end(self._reading)
            finally:
                await self._feed.aclose()

    async def want(self, symbols: Iterable[str]) -> None:
        """Exactly these are watched from now on."""
        before, self._wanted = self._wanted, dict.fromkeys(symbols)
        wanted = self._wanted.keys()
        for symbol in before.keys() - wanted:
            for known in (self.prices, self._asked_at_s, self._refused):
                known.pop(symbol, None)
            self._frozen.discard(symbol)
        for symbol in wanted - before.keys():
            self._asked_at_s[symbol] = self._clock.monotonic_s()
        if self._feed is None:
            return
        await self._feed.unsubscribe(self._feed.symbols - wanted)
        followed = self._feed.symbols
        for symbol in [symbol for symbol in wanted if symbol not in followed and symbol not in self._refused]:
            try:
                await self._feed.subscribe([symbol])
            except UnknownSymbol as error:
                self._refused[symbol] = str(error)
            except (Unobserved, AuthenticationRefused) as error:
                _log.warning("prices.not_subscribed", symbol=symbol, problem=str(error))

    @property
    def problem(self) -> str | None:
        """Why some wanted price does not come by stream; None: all do, or none is wanted."""
        if not self._wanted:
            return None
        if self._down is not None:
            return self._down
        for symbol, why in sorted(self._refused.items()):
            return f"{symbol}: {why}"
        if self._frozen:
            return f"{', '.join(sorted(self._frozen))}: the stream says nothing, the price moves"
        return None

    def _is_silent(self, symbol: str) -> bool:
        price = self.prices.get(symbol)
        heard_s = price.heard_s if price is not None else self._asked_at_s[symbol]
        return self._clock.monotonic_s() - heard_s >= self._timing.prices_silent_s

    def _to_ask(self) -> list[str]:
        lacking = self._refused.keys() | self._frozen
        return [
            symbol for symbol in self._wanted if self._down is not None or symbol in lacking or self._is_silent(symbol)
        ]

    async def read_if_due(self) -> None:
        """Asks for the prices that the stream does not bring, if the last request is far enough away."""
        now_s = self._clock.monotonic_s()
        asked = self._to_ask()
        if not asked:
            self.read_problem = None
            return
        if now_s - self._read_at_s < self._timing.prices_read_s:
            return
        self._read_at_s = now_s
        self.reads += 1
        try:
            view = await self._venue.positions()
        except (Unobserved, AuthenticationRefused) as error:
            self.read_problem = str(error)
            return
        told = {one.symbol: one.mark_price for one in view.reports if one.mark_price is not None}
        missing = sorted(set(asked) - told.keys())
        self.read_problem = f"the venue states no mark price of {', '.join(missing)}" if missing else None
        for symbol in asked:
            if symbol in told:
                self._answered(symbol, told[symbol])

    def _answered(self, symbol: str, value: Decimal) -> None:
        before = self.prices.get(symbol)
        silent = self._down is None and symbol not in self._refused and self._is_silent(symbol)
        if silent and (before is None or before.value != value):
            self._frozen.add(symbol)
        self._heard(symbol, value)

    def _heard(self, symbol: str, value: Decimal) -> None:
        self.prices[symbol] = Price(value, self._clock.monotonic_s())
        self._on_price(symbol, value)

    async def _listen(self, feed: PriceSource) -> None:
        try:
            async for event in feed:
                self._take(event)
            self._down = "the stream ended"
        except TrueupError as error:
            self._down = str(error)
            _log.error("prices.ended", problem=str(error))
        except Exception as error:
            # What the feed says is not understood any more: prices are asked for, and somebody is told.
            self._down = repr(error)
            _log.exception("prices.unexpected_failure")

    def _take(self, event: PriceEvent) -> None:
        match event:
            case MarkPrice():
                if event.symbol in self._wanted:
                    self._frozen.discard(event.symbol)
                    self._heard(event.symbol, event.price)
            case StreamUp():
                self._down = None
                for symbol in self._wanted:
                    self._asked_at_s[symbol] = self._clock.monotonic_s()
            case StreamDown():
                self._down = f"{event.kind.value}: {event.why}"
                _log.warning("prices.down", kind=event.kind.value, problem=event.why)
            case StreamUnreadable():
                if event.symbol is not None and event.symbol in self._wanted:
                    self._refused[event.symbol] = event.problem
                _log.warning("prices.unreadable", symbol=event.symbol, problem=event.problem)
