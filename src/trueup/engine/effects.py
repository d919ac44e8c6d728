"""Carries effects out: at least once, verified on the venue, bounded in attempts per pass, then told and tried again later.

1. Immediately before a cancel the key is read afresh. While a position is open there, the order belongs to it and stays; if
   the key cannot be read, the cancel waits.
2. "Not found" is believed only after both order lists and the history were read.
3. An action without an answer is never repeated before the venue was asked what became of it.
4. An effect is done when the venue shows it done, not when a call returned.
5. The outcome, its events and what the book knows of the order are one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from trueup.core.review import order_report
from trueup.model.changes import ChangeSet
from trueup.model.effects import CancelOrder, Effect, EffectKind, EffectState, EffectUpdate
from trueup.model.errors import (
    AuthenticationRefused,
    InvariantBroken,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    UnknownOrder,
    Unobserved,
)
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.orders import OpenOrder, OrderStatus
from trueup.model.reports import OrderReport
from trueup.model.values import from_json

if TYPE_CHECKING:
    from trueup.engine.settings import AccountPlan, Timing
    from trueup.ports import Clock, Owner, Store, Venue

__all__ = ["EffectsOutcome", "EffectsWorker"]

_log = structlog.get_logger("trueup.effects")

ATTEMPTS_PER_PASS = 3
_FIRST_DELAY_MS = 500
_LONGEST_DELAY_MS = 300_000


@dataclass
class EffectsOutcome:
    """What a pass carried out, and what it could not."""

    cancelled: list[OrderReport] = field(default_factory=list)
    failed: list[OrderReport] = field(default_factory=list)
    unfinished: int = 0


@dataclass(frozen=True)
class _Result:
    """An attempt's end: `done` with what became of it, or the problem that made it wait.

    `blocked`: nothing was tried because the venue could not be read; it counts as an attempt all the same.
    """

    done: bool
    outcome: str
    cancelled: bool = False
    order: OpenOrder | None = None
    retry_after_s: float = 0.0


class EffectsWorker:
    """Carries out one account's effects."""

    def __init__(self, plan: AccountPlan, timing: Timing, venue: Venue, store: Store, clock: Clock) -> None:
        self._plan = plan
        self._timing = timing
        self._venue = venue
        self._store = store
        self._clock = clock

    async def run_pass(self, owner: Owner, *, due_only: bool) -> EffectsOutcome:
        """Tries every unfinished effect, each a bounded number of times.

        Args:
            due_only: Leave those whose next attempt lies in the future (the daemon); a command tries all.
        """
        outcome = EffectsOutcome()
        states = (EffectState.PENDING, EffectState.ESCALATED)
        for effect in await self._store.effects(account=self._plan.name, states=states):
            if due_only and effect.next_attempt_at_ms > self._clock.now_ms():
                outcome.unfinished += 1
                continue
            await self._carry_out(owner, effect, outcome)
        return outcome

    async def _carry_out(self, owner: Owner, effect: Effect, outcome: EffectsOutcome) -> None:
        if effect.kind is not EffectKind.CANCEL_ORDER:
            raise InvariantBroken(f"effect {effect.effect_id}: no worker carries out {effect.kind.value}")
        cancel = from_json(effect.payload, CancelOrder)
        result = _Result(done=False, outcome="not tried")
        attempts = effect.attempts
        for attempt in range(1, ATTEMPTS_PER_PASS + 1):
            attempts += 1
            result = await self._attempt(cancel)
            if result.done:
                break
            _log.warning("effect.failed", account=self._plan.name, order_id=cancel.order_id, problem=result.outcome)
            if attempt < ATTEMPTS_PER_PASS:
                await self._clock.sleep(max(result.retry_after_s, _FIRST_DELAY_MS * 2 ** (attempt - 1) / 1000))
        await self._write(owner, effect, cancel, attempts, result)
        if result.done:
            if result.cancelled:
                outcome.cancelled.append(order_report(cancel))
            return
        outcome.unfinished += 1
        outcome.failed.append(order_report(cancel, result.outcome))

    async def _attempt(self, cancel: CancelOrder) -> _Result:
        try:
            return await self._cancel(cancel)
        except RateLimited as error:
            return _Result(done=False, outcome=str(error), retry_after_s=float(error.retry_after_s or 0))
        except (Unobserved, OutcomeUnknown, Rejected, AuthenticationRefused) as error:
            return _Result(done=False, outcome=str(error))

    async def _cancel(self, cancel: CancelOrder) -> _Result:
        view = await self._venue.positions(cancel.symbol)
        if any(report.symbol == cancel.symbol and report.side is cancel.side for report in view.reports):
            return _Result(done=True, outcome="kept: a position is open there, the order belongs to it")
        if view.quarantined:
            return _Result(done=False, outcome=f"the position could not be read: {view.quarantined[0].problem}")
        order = await self._listed(cancel)
        if order is None:
            return await self._absent(cancel)
        if not order.closes(cancel.side):
            return _Result(done=True, outcome="kept: it has no close semantics, it is somebody's entry")
        try:
            await self._venue.cancel(cancel)
        except UnknownOrder:
            return await self._absent(cancel) if await self._listed(cancel) is None else _still_listed()
        if await self._listed(cancel) is not None:
            return _still_listed()
        return _Result(done=True, outcome="cancelled", cancelled=True, order=order)

    async def _listed(self, cancel: CancelOrder) -> OpenOrder | None:
        """The order as either list shows it now."""
        orders = await self._venue.open_orders(cancel.symbol)
        return next((order for order in orders.orders if order.order_id == cancel.order_id), None)

    async def _absent(self, cancel: CancelOrder) -> _Result:
        """Neither list has it: the history says what became of it, unless it has forgotten it."""
        lookup = await self._venue.lookup_orders(cancel.symbol, (cancel.order_id,))
        record = lookup.get(cancel.order_id)
        if record is not None and record.status is OrderStatus.OPEN:
            return _Result(done=False, outcome="the history calls it open, no list shows it")
        became = record.status.value if record is not None else "unknown to lists and history"
        return _Result(done=True, outcome=f"already gone: {became}", cancelled=became == OrderStatus.CANCELLED.value)

    async def _write(self, owner: Owner, effect: Effect, cancel: CancelOrder, attempts: int, result: _Result) -> None:
        now = self._clock.now_ms()
        state = EffectState.DONE if result.done else EffectState.ESCALATED
        delay = min(_LONGEST_DELAY_MS, _FIRST_DELAY_MS * 2 ** min(attempts, 12))
        update = EffectUpdate(
            effect_id=effect.effect_id,
            state=state,
            attempts=attempts,
            next_attempt_at_ms=now + delay,
            outcome=result.outcome if result.done else None,
            last_error=None if result.done else result.outcome,
            done_at_ms=now if result.done else None,
        )
        events = await self._events(effect, cancel, result, now)
        gone = result.done and not result.outcome.startswith("kept")
        forget = ((cancel.symbol, cancel.order_id, OrderStatus.CANCELLED),) if gone else ()
        await self._store.commit(
            owner,
            ChangeSet(
                account=self._plan.name,
                now_ms=now,
                effect_updates=(update,),
                events=tuple(events),
                forget_orders=forget,
            ),
        )

    async def _events(self, effect: Effect, cancel: CancelOrder, result: _Result, now: int) -> list[NewEvent]:
        data: dict[str, object] = {
            "symbol": cancel.symbol,
            "order_id": cancel.order_id,
            "order_type": cancel.venue_type or cancel.kind.value,
            "reason": cancel.reason,
        }
        if result.done:
            kept = result.outcome.startswith("kept")
            kind = EventType.ORPHANED_SL_KEPT if kept else EventType.ORPHANED_SL_CLEANED
            if kept:
                data["why"] = result.outcome
            return [self._event(kind, Severity.INFO, effect, cancel, data, now)]
        data |= {"problem": result.outcome, "attempts": effect.attempts + ATTEMPTS_PER_PASS}
        events = [self._event(EventType.CLEANUP_FAILED, Severity.WARNING, effect, cancel, data, now)]
        if effect.state is EffectState.PENDING:
            events.append(self._event(EventType.EFFECT_ESCALATED, Severity.ERROR, effect, cancel, data, now))
        pattern = await self._pattern(now)
        if pattern is not None:
            events.append(pattern)
        return events

    async def _pattern(self, now: int) -> NewEvent | None:
        """Many failures within the window are a finding of their own, told once a window."""
        window_ms = int(self._timing.cleanup_window_s * 1000)
        since = now - window_ms
        failures = 1 + await self._store.count_events(EventType.CLEANUP_FAILED, account=self._plan.name, since_ms=since)
        if failures < self._timing.cleanup_pattern:
            return None
        if await self._store.count_events(EventType.CLEANUP_FAILURE_PATTERN, account=self._plan.name, since_ms=since):
            return None
        return NewEvent(
            type=EventType.CLEANUP_FAILURE_PATTERN,
            severity=Severity.ERROR,
            account=self._plan.name,
            at_ms=now,
            data={"failures": failures, "window_s": self._timing.cleanup_window_s},
        )

    def _event(
        self,
        kind: EventType,
        severity: Severity,
        effect: Effect,
        cancel: CancelOrder,
        data: dict[str, object],
        now: int,
    ) -> NewEvent:
        return NewEvent(
            type=kind,
            severity=severity,
            account=self._plan.name,
            at_ms=now,
            symbol=cancel.symbol,
            position_id=effect.position_id,
            data=dict(data),
        )


def _still_listed() -> _Result:
    return _Result(done=False, outcome="the venue still lists the order after its cancel")
