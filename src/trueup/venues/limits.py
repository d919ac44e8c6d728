"""What may still be asked of a venue: one budget for each way out (an IP or a proxy), shared by all accounts behind it.

1. Every request passes `AccountLimits.sending`, which waits until it may be sent: for the account's own limits first,
   then for the address's. Nothing is sent past them.
2. Ordinary requests leave `1 - ORDINARY_SHARE` of a limit free. Protective ones (`trueup.calls.protective`) may use it,
   and go first; spare ones go when no other waits, and use no more than `AUDIT_SHARE`. Within a priority what began first
   goes first (`trueup.calls.place_in_line`): whole looks one after the other.
3. A 429, a 418, a 403 for frequency or a "too many visits" stops the whole budget until the time that the venue said:
   a short rest is slept, a longer one is `RateLimited` at once, without a request.
4. A look begins when there is room for the whole of it (`RequestBudget.room`): looks that share a tight budget come one after
   the other, each within a moment, instead of all at once and each spread over minutes.
5. A wait that is cancelled leaves no trace. Time is the given clock's.

Source: Binance USDⓈ-M "General Info" (limits, 429, 418); Bybit v5 "Rate Limit Rules".
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import structlog

from trueup.calls import Priority, place_in_line, priority, spend
from trueup.model.errors import RateLimited
from trueup.ports import AuditCost, Silence
from trueup.venues.tariffs import TARIFFS, OwnLimit
from trueup.venues.window import Window

if TYPE_CHECKING:
    from trueup.ports import Clock

__all__ = [
    "AUDIT_SHARE",
    "ORDINARY_SHARE",
    "PROTECTIVE_SHARE",
    "SHORT_WAIT_S",
    "AccountLimits",
    "RequestBudget",
    "Sending",
    "stated_wait_s",
]

_log = structlog.get_logger("trueup.venues")

ORDINARY_SHARE = 0.7
"""Of a limit: what reading may use."""

PROTECTIVE_SHARE = 0.95
"""Of a limit: what protective work may use. The rest is for what our count cannot know before the venue tells it."""

AUDIT_SHARE = 0.5
"""Of a limit: what the audits are planned with. Between it and `ORDINARY_SHARE` lie looks that streams ask for, and histories."""

SHORT_WAIT_S = 2.0
"""A rest up to this long is slept; a longer one is told to the caller."""

_SHARES = {Priority.PROTECTIVE: PROTECTIVE_SHARE, Priority.ORDINARY: ORDINARY_SHARE, Priority.SPARE: AUDIT_SHARE}

_LEAST_SLEEP_S = 0.001
_LEAST_AUDIT_SHARE = 0.1
_BESIDE_OWN_SHARE = 0.25
"""Of a limit: what the accounts' own other reading leaves to the audits at least."""

_BANNED_UNTIL = re.compile(r"until (\d{13})")


@dataclass(order=True, slots=True)
class _Waiter:
    """One request that waits. `first`: rings when it is the first of its priority."""

    place: int
    arrival: int
    first: asyncio.Event = field(default_factory=asyncio.Event, compare=False)
    gone: bool = field(default=False, compare=False)


class _Queue:
    """Who waits with one priority. `empty` is set while nobody does."""

    def __init__(self) -> None:
        self._waiting: list[_Waiter] = []
        self._arrivals = itertools.count()
        self.empty = asyncio.Event()
        self.empty.set()

    def enter(self) -> _Waiter:
        self.empty.clear()
        waiter = _Waiter(place_in_line(), next(self._arrivals))
        heapq.heappush(self._waiting, waiter)
        return waiter

    def leave(self, waiter: _Waiter) -> None:
        waiter.gone = True
        while self._waiting and self._waiting[0].gone:
            heapq.heappop(self._waiting)
        if self._waiting:
            self._waiting[0].first.set()
        else:
            self.empty.set()

    async def be_first(self, waiter: _Waiter) -> None:
        """Returns when nobody is before it, which another that comes may change."""
        while self._waiting[0] is not waiter:
            waiter.first.clear()
            await waiter.first.wait()


@dataclass(slots=True)
class _Kept:
    """What was taken in advance, of one line."""

    line: _Line
    left: int


_kept: ContextVar[_Kept | None] = ContextVar("trueup_kept_room", default=None)


class _Line:
    """Who goes next past some windows: protective work first, then by place in line."""

    def __init__(self, clock: Clock, windows: tuple[Window, ...], rest: Callable[[str], float]) -> None:
        self.windows = windows
        self._clock = clock
        self._rest = rest
        self._queues = {kind: _Queue() for kind in Priority}

    async def enter(self, cost: int, source: str, share: Callable[[], float] | None = None) -> None:
        """Returns when it is this request's turn, and counts it as under way.

        Args:
            share: Of the limits, that it may use; None: as its priority says.

        Raises:
            RateLimited: The venue asked for a rest that still lasts longer than `SHORT_WAIT_S`.
        """
        kind = priority()
        kept = _kept.get()
        has_room = kept is not None and kept.line is self and kind is Priority.ORDINARY and kept.left >= cost
        if kept is not None and has_room and self._rest(source) <= 0:
            kept.left -= cost
            return
        nobody_waits = all(queue.empty.is_set() for queue in self._queues.values())
        if not nobody_waits or self._wait_s(cost, source, kind, share) > 0:
            await self._queue(cost, source, kind, share)
        for window in self.windows:
            window.take(cost)

    async def _queue(self, cost: int, source: str, kind: Priority, share: Callable[[], float] | None) -> None:
        queue = self._queues[kind]
        waiter = queue.enter()
        try:
            while True:
                await queue.be_first(waiter)
                ahead = [queue for other, queue in self._queues.items() if other < kind and not queue.empty.is_set()]
                if ahead:
                    await ahead[0].empty.wait()
                    continue
                wait_s = self._wait_s(cost, source, kind, share)
                if wait_s <= 0:
                    return
                await self._clock.sleep(max(wait_s, _LEAST_SLEEP_S))
        finally:
            queue.leave(waiter)

    def _wait_s(self, cost: int, source: str, kind: Priority, share: Callable[[], float] | None) -> float:
        now_s = self._clock.monotonic_s()
        wait_s, allowed = self._rest(source), share() if share is not None else _SHARES[kind]
        for window in self.windows:
            wait_s = max(wait_s, window.wait_s(cost, allowed, now_s))
        return wait_s

    def give_back(self, cost: int) -> None:
        for window in self.windows:
            window.give_back(cost)

    def answered(self, cost: int) -> None:
        for window in self.windows:
            window.answered(cost, self._clock.monotonic_s())


class RequestBudget:
    """One way out to one venue. Implements `trueup.ports.Budget`.

    Attributes:
        weight_used: Binance: weight of the running minute and IP, as last told; None until told.
        last_silence: The newest rest that was too long to be slept; None: there was none.
    """

    def __init__(self, venue: str, clock: Clock) -> None:
        self.tariff = TARIFFS[venue]
        self.weight_used: int | None = None
        self.last_silence: Silence | None = None
        self._limit_told = False
        self._clock = clock
        self._silent_until_s = float("-inf")
        self._window = Window(self.tariff.limit, self.tariff.window_s)
        self.line = _Line(clock, (self._window,), self._rest_left_s)

    def __repr__(self) -> str:
        return f"RequestBudget({self.tariff.venue}, {self.used} of {self.limit} {self.unit})"

    @property
    def unit(self) -> str:
        return self.tariff.unit

    @property
    def limit(self) -> int:
        """In the venue's units, for `window_s`."""
        return self._window.limit

    @property
    def window_s(self) -> float:
        return self._window.seconds

    @property
    def used(self) -> int:
        """Within the last `window_s`, by us or by others as far as the venue told."""
        return self._window.used(self._clock.monotonic_s())

    @property
    def weight_limit(self) -> int | None:
        """Binance: weight a minute allows, from `exchangeInfo`; None until read."""
        return self._window.limit if self._limit_told else None

    @property
    def audit_cost(self) -> AuditCost:
        return AuditCost(positions=self.tariff.positions, orders=self.tariff.orders)

    def audit_rate(self, beside: float) -> float:
        """See `trueup.ports.Budget`."""
        others = self._window.others(self._clock.monotonic_s())
        left = ORDINARY_SHARE * self.limit - others
        free = max(left - beside * self.window_s, min(left, _BESIDE_OWN_SHARE * self.limit))
        return max(min(AUDIT_SHARE * self.limit, free), _LEAST_AUDIT_SHARE * self.limit) / self.window_s

    @property
    def rest_s(self) -> float:
        """How long the venue still wants silence; 0: it does not."""
        return max(0.0, self._silent_until_s - self._clock.monotonic_s())

    @asynccontextmanager
    async def room(self, cost: int) -> AsyncIterator[None]:
        """See `trueup.ports.Budget`."""
        cost = min(cost, int(AUDIT_SHARE * self.limit))
        try:
            await self.line.enter(cost, "a look", self._room_share)
        except RateLimited:
            yield
            return
        kept = _Kept(self.line, cost)
        token = _kept.set(kept)
        try:
            yield
        finally:
            _kept.reset(token)
            self.line.give_back(kept.left)
            kept.left = 0

    def _room_share(self) -> float:
        """What looks begin with leaves free what they come to need: histories, the key's identity."""
        others = self._window.others(self._clock.monotonic_s()) / self.limit
        return min(ORDINARY_SHARE, AUDIT_SHARE + others)

    def set_limit(self, limit: int) -> None:
        """The venue told what an address may spend."""
        if limit > 0:
            self._window.limit = limit
            self._limit_told = True

    def told(self, headers: Mapping[str, str]) -> None:
        """An answer's headers (lower-case names)."""
        if self.tariff.told_used is None:
            return
        used = headers.get(self.tariff.told_used, "")
        if used.isdigit():
            self.weight_used = int(used)
            self._window.told(int(used), self._clock.monotonic_s())

    def rest(self, seconds: float, why: str) -> None:
        """The venue asked for silence; a longer rest that already runs stays."""
        until_s = self._clock.monotonic_s() + seconds
        if until_s > self._silent_until_s:
            self._silent_until_s = until_s
            _log.warning("requests.stopped", venue=self.tariff.venue, seconds=round(seconds, 3), problem=why)
            if seconds > SHORT_WAIT_S:
                now_ms = self._clock.now_ms()
                self.last_silence = Silence(at_ms=now_ms, until_ms=now_ms + round(seconds * 1000), problem=why)

    def _rest_left_s(self, source: str) -> float:
        rest_s = self.rest_s
        if rest_s > SHORT_WAIT_S:
            seconds = int(rest_s) + 1
            raise RateLimited(source, f"not asked: the venue wants no request for another {seconds} s", seconds)
        return rest_s


class Sending:
    """One request under way. `told` its answer's headers (lower-case names), if an answer comes."""

    __slots__ = ("_budget", "_clock", "_cost", "_limits", "_line", "_source")

    def __init__(
        self,
        budget: RequestBudget,
        cost: int,
        line: _Line | None,
        limits: tuple[OwnLimit, ...],
        clock: Clock,
        source: str,
    ) -> None:
        self._budget, self._cost = budget, cost
        self._line, self._limits = line, limits
        self._clock, self._source = clock, source

    async def __aenter__(self) -> Self:
        line = self._line
        if line is not None:
            await line.enter(1, self._source)
        try:
            await self._budget.line.enter(self._cost, self._source)
        except BaseException:
            if line is not None:
                line.give_back(1)
            raise
        spend(self._cost)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._budget.line.answered(self._cost)
        if self._line is not None:
            self._line.answered(1)

    def told(self, headers: Mapping[str, str]) -> None:
        self._budget.told(headers)
        if self._line is None:
            return
        for limit, window in zip(self._limits, self._line.windows, strict=True):
            used = _own_used(limit, window, headers)
            if used is not None:
                window.told(used, self._clock.monotonic_s())


def _own_used(limit: OwnLimit, window: Window, headers: Mapping[str, str]) -> int | None:
    """The venue's own count for the account; takes its limit over where the headers name it."""
    if limit.told_used is not None:
        used = headers.get(limit.told_used, "")
        return int(used) if used.isdigit() else None
    left, allowed = headers.get(limit.told_left or "", ""), headers.get(limit.told_limit or "", "")
    if not (left.isdigit() and allowed.isdigit() and int(allowed)):
        return None
    window.limit = int(allowed)
    return int(allowed) - int(left)


class AccountLimits:
    """One account's part: its own limits, and the budget of its way out."""

    def __init__(self, budget: RequestBudget, clock: Clock) -> None:
        self.budget = budget
        self._clock = clock
        self._lines: dict[str, tuple[_Line, tuple[OwnLimit, ...]]] = {}

    def sending(self, endpoint: str, params: Mapping[str, object], source: str) -> Sending:
        """Entered, it waits for the request's turn; the block sends it. It counts until a window after the block's end.

        Raises:
            RateLimited: The venue wants silence for longer than `SHORT_WAIT_S`: the block is not entered.
        """
        line, limits = self._own(endpoint)
        return Sending(self.budget, self.budget.tariff.cost(endpoint, params), line, limits, self._clock, source)

    def left(self) -> tuple[int, int] | None:
        """Bybit: requests left now and the limit, of the endpoint with the least left; None: the venue told nothing yet."""
        now_s = self._clock.monotonic_s()
        told = [
            (max(0, window.limit - window.used(now_s)), window.limit)
            for line, limits in self._lines.values()
            for limit, window in zip(limits, line.windows, strict=True)
            if limit.told_left is not None
        ]
        return min(told, key=lambda pair: pair[0] / pair[1], default=None)

    def _own(self, endpoint: str) -> tuple[_Line | None, tuple[OwnLimit, ...]]:
        limits = self.budget.tariff.own_limits(endpoint)
        if not limits:
            return None, ()
        name = limits[0].name
        if name not in self._lines:
            windows = tuple(Window(limit.limit, limit.seconds) for limit in limits)
            self._lines[name] = _Line(self._clock, windows, lambda _: 0.0), limits
        return self._lines[name]


def stated_wait_s(headers: Mapping[str, str], text: str, now_ms: int) -> int | None:
    """How long the venue itself says to wait, in whole seconds; None if it does not say.

    Args:
        headers: Lower-case names.
        text: The refusal's text: Binance names a ban's end there ("banned until 1573660000000").
        now_ms: Venue time.
    """
    stated = headers.get("retry-after", "")
    if stated.isdigit():
        return int(stated)
    banned = _BANNED_UNTIL.search(text)
    end_ms = banned.group(1) if banned else headers.get("x-bapi-limit-reset-timestamp", "")
    if not end_ms.isdigit():
        return None
    return max(1, -(-(int(end_ms) - now_ms) // 1000))
