"""Reads of the past that a decision asks for, each once a look, a few at a time.

A call that fails leaves its reason in the history: the past then decides nothing now. Of a contract that the venue lists no more
nothing but the account's second surface is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from trueup.core.cases import Case, History, NeedsHistory, Verdict
from trueup.core.decide import decide_key
from trueup.model.errors import AuthenticationRefused, Rejected, SlotsMissing, Unlisted, Unobserved
from trueup.model.observations import FillHistory, SecondSurface, SurfaceVerdict
from trueup.model.positions import PositionKey
from trueup.ports import Venue

__all__ = ["Histories"]

T = TypeVar("T")

_ROUNDS = 40
_AT_ONCE = 6


class Histories:
    """The past of one look's keys."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._fills: dict[tuple[str, int, int | None], asyncio.Task[FillHistory]] = {}
        self._surface: asyncio.Task[SecondSurface] | None = None
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def decide(self, cases: Iterable[tuple[Case, Verdict | None]]) -> list[tuple[Case, Verdict]]:
        """Decides each case that is not decided yet, reading what its decision asks for; in the order of the cases."""
        decided = [(case, verdict if verdict is not None else decide_key(case)) for case, verdict in cases]
        asks = [place for place, (_, verdict) in enumerate(decided) if isinstance(verdict, NeedsHistory)]
        if asks:
            async with asyncio.TaskGroup() as group:
                tasks = [(place, group.create_task(self._one(decided[place][0]))) for place in asks]
            for place, task in tasks:
                decided[place] = task.result()
        return decided

    async def _one(self, case: Case) -> tuple[Case, Verdict]:
        return await self.answered(case, decide_key)

    async def answered(self, case: Case, decide: Callable[[Case], T]) -> tuple[Case, T]:
        """What `decide` says once all that it asks for was read, and the case with that."""
        verdict = decide(case)
        for _ in range(_ROUNDS):
            if not isinstance(verdict, NeedsHistory):
                return case, verdict
            async with self._gate:
                case = await self._extended(case, verdict)
            verdict = decide(case)
        failed = History(failed=f"{case.key}: the venue's history does not end")
        case = msgspec.structs.replace(case, history=failed)
        return case, decide(case)

    async def _extended(self, case: Case, needs: NeedsHistory) -> Case:
        history = case.history or History()
        try:
            if not history.unlisted and (history.fills is None or needs.since_ms < history.fills.since_ms):
                fills = await self._read_fills(case.key.symbol, needs.since_ms, history.fills)
                history = msgspec.structs.replace(history, fills=fills)
            return await self._with_records(case, history, needs)
        except Unlisted:
            return msgspec.structs.replace(case, history=msgspec.structs.replace(history, unlisted=True))
        except (Unobserved, Rejected, AuthenticationRefused) as error:
            return msgspec.structs.replace(case, history=msgspec.structs.replace(history, failed=str(error)))

    async def _with_records(self, case: Case, history: History, needs: NeedsHistory) -> Case:
        symbol, asked = case.key.symbol, set(history.asked)
        changes: dict[str, object] = {}
        surface = case.surface
        if needs.order_ids:
            changes["orders"] = await self._venue.lookup_orders(symbol, needs.order_ids)
            asked.add("orders")
        if needs.want_funding_since_ms is not None:
            changes["funding"] = await self._venue.funding(symbol, needs.want_funding_since_ms)
            asked.add("funding")
        if needs.want_closed_pnl:
            changes["closed_pnl"] = await self._venue.closed_pnl(symbol, needs.since_ms)
            asked.add("closed_pnl")
        if needs.want_surface:
            surface = await self._verdict(case.key, listed=not history.unlisted)
            asked.add("surface")
        history = msgspec.structs.replace(history, **changes, asked=tuple(sorted(asked)))
        return msgspec.structs.replace(case, history=history, surface=surface)

    async def _read_fills(self, symbol: str, since_ms: int, later: FillHistory | None) -> FillHistory:
        """Both legs of a hedge share one read; what was read already is not read again."""
        before_ms = later.since_ms if later is not None else None
        task = self._fills.get((symbol, since_ms, before_ms))
        if task is None:
            task = asyncio.ensure_future(self._venue.fills(symbol, since_ms, before_ms))
            self._fills[symbol, since_ms, before_ms] = task
        read = await task
        if later is None:
            return read
        return msgspec.structs.replace(read, until_ms=later.until_ms, fills=(*read.fills, *later.fills))

    async def _verdict(self, key: PositionKey, *, listed: bool) -> SurfaceVerdict:
        """The account surface first; where it cannot tell, the venue is asked for that one symbol, if it lists it."""
        if self._surface is None:
            self._surface = asyncio.ensure_future(self._venue.second_surface())
        verdict = (await self._surface).verdict(key.symbol, key.side)
        if verdict is not SurfaceVerdict.UNKNOWN or not listed:
            return verdict
        try:
            again = await self._venue.positions(key.symbol)
        except SlotsMissing:
            return SurfaceVerdict.UNKNOWN
        if any(report.side is key.side for report in again.reports):
            return SurfaceVerdict.OPEN
        return SurfaceVerdict.FLAT if again.stale_rows and not again.quarantined else SurfaceVerdict.UNKNOWN
