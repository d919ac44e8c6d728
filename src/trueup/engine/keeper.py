"""Keeps the open positions of one account covered: what a look shows becomes wishes, and what came of them becomes numbers.

1. It judges what a look committed: open lifecycles that the venue shows now. One that it lacks keeps its stops, no more.
2. Wishes are effects (mode protect only); they are decided again on a fresh look when they are carried out.
3. Where a look did not read the order lists, a position that is new, changed, or was not covered is asked for by its symbol
   (before they were first read, in mode protect alone); where that would be many questions, the lists are read after all.
4. A position without cover is told once, when it has been seen so for the grace; how long it lasted is told when it ends.
5. Times are venue time; "since" is when it was first seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog

from trueup.core.agreement import with_report
from trueup.core.keeping import place_effect, position_event, sweep_effect, wanted_report
from trueup.core.marks import told
from trueup.core.protection import Cover, Lifecycle, Plan, cover, plan
from trueup.engine.stops import StopActs
from trueup.engine.telling import Teller
from trueup.model.changes import ChangeSet
from trueup.model.effects import EffectKind, EffectState, NewEffect
from trueup.model.errors import Unobserved
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.holds import Mark, MarkKind
from trueup.model.positions import AccountMode, Origin, Position, PositionKey
from trueup.model.reports import OrderReport

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from trueup.engine.looks import Look
    from trueup.engine.settings import AccountPlan
    from trueup.model.orders import OpenOrder
    from trueup.ports import Clock, Owner, Store, Venue

__all__ = ["Keeper", "Kept"]

_log = structlog.get_logger("trueup.protection")

_MANY_SYMBOLS = 20
"""From so many on the whole lists are the smaller question: Binance weighs them 40 times one symbol's."""

_UNFINISHED = (EffectState.PENDING, EffectState.ESCALATED)


@dataclass
class Kept:
    """What was found of an account's protection at one look.

    Attributes:
        covers: Of the positions whose orders were read now.
        wanted: What would be placed.
        unprotected: Positions that should have live stops for their whole quantity and have not.
        uncovered: The same, also of those that need none.
        unprotected_s: Of `unprotected`: how long each has been seen so.
        covered_s: How long each position that is covered now had been seen without cover.
    """

    rows: dict[PositionKey, Position] = field(default_factory=dict)
    covers: dict[PositionKey, Cover] = field(default_factory=dict)
    wanted: list[OrderReport] = field(default_factory=list)
    unprotected: list[Position] = field(default_factory=list)
    uncovered: list[PositionKey] = field(default_factory=list)
    overdue: bool = False
    unprotected_s: dict[PositionKey, float] = field(default_factory=dict)
    covered_s: dict[PositionKey, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Judged:
    """What a position was when it was last found as it should be: the same again need not be asked for."""

    position_id: int
    quantity: Decimal
    trigger: Decimal | None


@dataclass(frozen=True)
class _Want:
    """A position, and the stop that it should have. `row`: with what the venue shows of it."""

    key: PositionKey
    row: Position
    lifecycle: Lifecycle
    judged: _Judged


class Keeper:
    """One account's."""

    def __init__(self, plan: AccountPlan, venue: Venue, store: Store, clock: Clock, stops: StopActs) -> None:
        self._plan = plan
        self._venue = venue
        self._store = store
        self._clock = clock
        self._stops = stops
        self._teller = Teller(plan, store, clock)
        self._judged: dict[PositionKey, _Judged] = {}
        self._knows_lists = plan.mode is AccountMode.PROTECT
        self._unwritten: dict[PositionKey, Mark] = {}

    async def wish(self, owner: Owner, look: Look, *, record: bool) -> Kept:
        """Judges every open position, and writes what is to be done about it.

        Raises:
            NotOwner: The account was taken over.
            StoreUnavailable: Nothing was written.
        """
        kept = Kept(rows=_open_rows(look))
        effects: list[NewEffect] = []
        now = self._clock.now_ms()
        listed = _by_symbol(look.orders.orders) if look.orders is not None else None
        self._knows_lists = self._knows_lists or listed is not None
        wants = [await self._wants(look, key, row) for key, row in kept.rows.items()]
        if listed is None:
            wants = [want for want in wants if self._knows_lists and self._judged.get(want.key) != want.judged]
            listed = await self._asked({want.key.symbol for want in wants})
        for want in wants:
            key, row = want.key, want.row
            if key.symbol not in listed and look.orders is None:
                continue
            state, wished = self._judge(want, listed.get(key.symbol, ()))
            kept.covers[key] = state
            if not self._is_wanted(row):
                continue
            if wished.place is not None:
                kept.wanted.append(wanted_report(key, wished.place))
                effects.append(place_effect(self._plan.name, state, wished.place, now))
            else:
                effects += [
                    sweep_effect(self._plan.name, order, key.side, row.position_id, now) for order in wished.sweep
                ]
        self._judged = {key: value for key, value in self._judged.items() if key in kept.rows}
        if effects and record and look.applied and self._plan.mode is AccountMode.PROTECT:
            await self._write_wishes(owner, effects, now)
        return kept

    async def _write_wishes(self, owner: Owner, effects: list[NewEffect], now: int) -> None:
        """Those that do not stand already, and none for a position that is being closed, while that has not failed."""
        waiting = await self._store.effects(account=self._plan.name, states=_UNFINISHED)
        standing = {effect.dedup_key for effect in waiting}
        closing = {
            effect.position_id
            for effect in waiting
            if effect.kind is EffectKind.CLOSE_POSITION and effect.state is EffectState.PENDING
        }
        fresh = [e for e in effects if e.dedup_key not in standing and e.position_id not in closing]
        if fresh:
            changes = ChangeSet(account=self._plan.name, now_ms=now, effects=tuple(fresh))
            await self._teller.commit(owner, changes)

    def _is_wanted(self, row: Position) -> bool:
        return row.origin is Origin.BOT or self._plan.protect_adopted

    async def _wants(self, look: Look, key: PositionKey, row: Position) -> _Want:
        report = look.reports.reports[key]
        row = with_report(row, report)
        wanted = await self._stops.wanted(row, report)
        judged = _Judged(row.position_id, report.quantity, wanted.trigger_price if wanted is not None else None)
        lifecycle = Lifecycle(position_id=row.position_id, key=key, report=report, wanted=wanted)
        return _Want(key=key, row=row, lifecycle=lifecycle, judged=judged)

    async def _asked(self, symbols: Collection[str]) -> dict[str, list[OpenOrder]]:
        """Open orders by symbol; a symbol whose orders could not be read now is not there."""
        found: dict[str, list[OpenOrder]] = {}
        questions = [None] if len(symbols) >= _MANY_SYMBOLS else sorted(symbols)
        for symbol in questions:
            try:
                orders = (await self._venue.open_orders(symbol)).orders
            except Unobserved as error:
                which = symbol or f"{len(symbols)} symbols"
                _log.warning("position.cover_unknown", account=self._plan.name, symbol=which, problem=str(error))
                continue
            found |= {one: [] for one in ([symbol] if symbol else symbols)}
            for one, of_symbol in _by_symbol(orders).items():
                found[one] = of_symbol
        return found

    def _judge(self, want: _Want, orders: Iterable[OpenOrder]) -> tuple[Cover, Plan]:
        state = cover(want.lifecycle, orders)
        wished = plan(state)
        if not self._is_wanted(want.row) or (state.covered and wished.place is None):
            self._judged[want.key] = want.judged
        else:
            self._judged.pop(want.key, None)
        return state, wished

    async def conclude(
        self, owner: Owner, look: Look, kept: Kept, covered: Iterable[PositionKey], *, record: bool
    ) -> None:
        """After the effects: what is covered now, what is not, since when; told and counted.

        Args:
            covered: Positions whose stop was placed, and seen, since `wish`.
        """
        now = self._clock.now_ms()
        venue_now = now + (look.clock.skew_ms if look.clock is not None else 0)
        placed = set(covered)
        marks: list[Mark] = []
        cleared: list[tuple[PositionKey, MarkKind]] = []
        events: list[NewEvent] = []
        for key, state in kept.covers.items():
            row = kept.rows[key]
            mark = self._unwritten.get(key) if not record else look.unprotected_since.get(key)
            if state.covered or key in placed:
                self._unwritten.pop(key, None)
                if mark is not None or not state.covered:
                    seconds = max(0, venue_now - (mark.first_at_ms if mark is not None else look.as_of_ms)) / 1000
                    kept.covered_s[key] = seconds
                    events.append(self._protected(row, key, seconds, now))
                if mark is not None:
                    cleared.append((key, MarkKind.UNPROTECTED))
                continue
            kept.uncovered.append(key)
            if not self._is_wanted(row):
                continue
            kept.unprotected.append(row)
            mark, tells = self._seen(look, kept, key, mark)
            kept.unprotected_s[key] = round(max(0, venue_now - mark.first_at_ms) / 1000, 3)
            marks.append(mark)
            self._unwritten[key] = mark
            if tells:
                events.append(self._unprotected(row, key, state, venue_now - mark.first_at_ms, now))
        if record and (marks or cleared or (events and look.applied)):
            changes = ChangeSet(
                account=self._plan.name,
                now_ms=now,
                marks=tuple(marks),
                clear_marks=tuple(cleared),
                events=tuple(events) if look.applied and self._plan.mode is AccountMode.PROTECT else (),
            )
            await self._teller.commit(owner, changes)

    def _seen(self, look: Look, kept: Kept, key: PositionKey, mark: Mark | None) -> tuple[Mark, bool]:
        """The position's mark with this look in it, and whether it is to be told now: once, after the grace."""
        if mark is None:
            mark = Mark(
                key=key, kind=MarkKind.UNPROTECTED, first_at_ms=look.as_of_ms, last_as_of_ms=look.as_of_ms, count=0
            )
        mark = Mark(
            key=key,
            kind=MarkKind.UNPROTECTED,
            first_at_ms=mark.first_at_ms,
            last_as_of_ms=look.as_of_ms,
            count=mark.count + 1,
            detail=mark.detail,
        )
        waited = look.as_of_ms - mark.first_at_ms
        if waited >= self._plan.grace_ms:
            kept.overdue = True
            return told(mark)
        if self._plan.mode is AccountMode.PROTECT:
            left = self._plan.grace_ms - waited
            look.wait_ms = left if look.wait_ms is None else min(left, look.wait_ms)
        return mark, False

    def _unprotected(self, row: Position, key: PositionKey, state: Cover, waited_ms: int, now: int) -> NewEvent:
        data: dict[str, object] = {
            "quantity": format(state.lifecycle.report.quantity, "f"),
            "side": key.side.value,
            "seconds": round(waited_ms / 1000, 3),
            "findings": [finding.kind.value for finding in state.findings],
        }
        _log.warning("position.unprotected", account=key.account, symbol=key.symbol, side=key.side.value)
        return position_event(EventType.POSITION_UNPROTECTED, Severity.ERROR, row, data, now)

    def _protected(self, row: Position, key: PositionKey, seconds: float, now: int) -> NewEvent:
        data: dict[str, object] = {"side": key.side.value, "seconds": round(seconds, 3)}
        return position_event(EventType.POSITION_PROTECTED, Severity.INFO, row, data, now)


def _by_symbol(orders: Iterable[OpenOrder]) -> dict[str, list[OpenOrder]]:
    found: dict[str, list[OpenOrder]] = {}
    for order in orders:
        found.setdefault(order.symbol, []).append(order)
    return found


def _open_rows(look: Look) -> dict[PositionKey, Position]:
    """The open lifecycles after this look, those that it brought into the book included; only what the venue shows."""
    closed = {close.position_id for close in look.settlement.closes}
    rows = {key: row for key, row in look.reports.rows.items() if row.position_id not in closed}
    rows |= {row.key: row for row in look.added if row.position_id}
    return {key: row for key, row in rows.items() if key in look.reports.reports}
