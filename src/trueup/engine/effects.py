"""Carries effects out: at least once, verified on the venue, bounded in attempts per pass, then told and tried again later.

The outcome, its events and what the book knows of the order are one transaction. Nothing is dropped: an effect whose attempts
are used up is escalated, and every later pass goes on trying until the venue shows it done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from trueup.core.review import order_report
from trueup.engine.acts import Acts, Attempt
from trueup.engine.telling import Teller
from trueup.model.changes import ChangeSet
from trueup.model.effects import CancelOrder, Effect, EffectKind, EffectState, EffectUpdate, MarketClose
from trueup.model.errors import AuthenticationRefused, OutcomeUnknown, RateLimited, Rejected, Unobserved
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.orders import OrderStatus
from trueup.model.reports import OrderReport
from trueup.model.values import from_json

if TYPE_CHECKING:
    from trueup.engine.settings import AccountPlan, Timing
    from trueup.ports import Clock, Owner, Store, Venue

__all__ = ["ATTEMPTS_PER_PASS", "EffectsOutcome", "EffectsWorker"]

_log = structlog.get_logger("trueup.effects")

ATTEMPTS_PER_PASS = 3
_FIRST_DELAY_MS = 500
_LONGEST_DELAY_MS = 300_000

_Payload = CancelOrder | MarketClose


@dataclass
class EffectsOutcome:
    """What a pass carried out, and what it could not."""

    cancelled: list[OrderReport] = field(default_factory=list)
    failed: list[OrderReport] = field(default_factory=list)
    closed_any: bool = False


class EffectsWorker:
    """Carries out one account's effects."""

    def __init__(self, plan: AccountPlan, timing: Timing, venue: Venue, store: Store, clock: Clock) -> None:
        self._plan = plan
        self._timing = timing
        self._acts = Acts(venue, store)
        self._teller = Teller(plan, store, clock)
        self._store = store
        self._clock = clock

    async def run_pass(self, owner: Owner, *, due_only: bool) -> EffectsOutcome:
        """Tries every unfinished effect on the venue, each a bounded number of times. Notices are `NoticesWorker`'s.

        Args:
            due_only: Leave those whose next attempt lies in the future (the daemon); a command tries all.
        """
        outcome = EffectsOutcome()
        states = (EffectState.PENDING, EffectState.ESCALATED)
        for effect in await self._store.effects(account=self._plan.name, states=states):
            if effect.kind is EffectKind.NOTIFY or (due_only and effect.next_attempt_at_ms > self._clock.now_ms()):
                continue
            await self._carry_out(owner, effect, outcome)
        return outcome

    async def _carry_out(self, owner: Owner, effect: Effect, outcome: EffectsOutcome) -> None:
        payload: _Payload = from_json(effect.payload, _TYPES[effect.kind])
        attempts = effect.attempts
        for number in range(1, ATTEMPTS_PER_PASS + 1):
            attempts += 1
            attempt = await self._attempt(payload)
            if attempt.done:
                break
            _log.warning("effect.failed", account=self._plan.name, effect_id=effect.effect_id, problem=attempt.outcome)
            if number < ATTEMPTS_PER_PASS:
                await self._clock.sleep(max(attempt.retry_after_s, _FIRST_DELAY_MS * 2 ** (number - 1) / 1000))
        await self._write(owner, effect, payload, attempts, attempt)
        if isinstance(payload, MarketClose):
            outcome.closed_any |= attempt.done
        elif attempt.done and attempt.acted:
            outcome.cancelled.append(order_report(payload))
        elif not attempt.done:
            outcome.failed.append(order_report(payload, attempt.outcome))

    async def _attempt(self, payload: _Payload) -> Attempt:
        try:
            if isinstance(payload, MarketClose):
                return await self._acts.close(payload)
            return await self._acts.cancel(payload)
        except RateLimited as error:
            return Attempt(done=False, outcome=str(error), retry_after_s=float(error.retry_after_s or 0))
        except (Unobserved, OutcomeUnknown, Rejected, AuthenticationRefused) as error:
            return Attempt(done=False, outcome=str(error))

    async def _write(self, owner: Owner, effect: Effect, payload: _Payload, attempts: int, attempt: Attempt) -> None:
        now = self._clock.now_ms()
        delay = min(_LONGEST_DELAY_MS, _FIRST_DELAY_MS * 2 ** min(attempts, 12))
        update = EffectUpdate(
            effect_id=effect.effect_id,
            state=EffectState.DONE if attempt.done else EffectState.ESCALATED,
            attempts=attempts,
            next_attempt_at_ms=now + delay,
            outcome=attempt.outcome if attempt.done else None,
            last_error=None if attempt.done else attempt.outcome,
            done_at_ms=now if attempt.done else None,
        )
        gone = isinstance(payload, CancelOrder) and attempt.done and not attempt.kept
        await self._teller.commit(
            owner,
            ChangeSet(
                account=self._plan.name,
                now_ms=now,
                effect_updates=(update,),
                events=tuple(await self._events(effect, payload, attempts, attempt, now)),
                forget_orders=((payload.symbol, payload.order_id, OrderStatus.CANCELLED),)
                if gone and isinstance(payload, CancelOrder)
                else (),
            ),
        )

    async def _events(
        self, effect: Effect, payload: _Payload, attempts: int, attempt: Attempt, now: int
    ) -> list[NewEvent]:
        if isinstance(payload, MarketClose):
            data: dict[str, object] = {
                "symbol": payload.symbol,
                "side": payload.side.value,
                "note": payload.note,
                "outcome": attempt.outcome,
            }
            kind = EventType.CLOSE_SENT if attempt.done else EventType.CLOSE_FAILED
            severity = Severity.INFO if attempt.done else Severity.ERROR
            return [self._event(kind, severity, effect, payload, data, now)]
        data = {
            "symbol": payload.symbol,
            "order_id": payload.order_id,
            "order_type": payload.venue_type or payload.kind.value,
            "reason": payload.reason,
        }
        if attempt.done:
            kind = EventType.ORPHANED_SL_KEPT if attempt.kept else EventType.ORPHANED_SL_CLEANED
            told = {**data, "why": attempt.outcome} if attempt.kept else data
            return [self._event(kind, Severity.INFO, effect, payload, told, now)]
        told = {**data, "problem": attempt.outcome, "attempts": attempts}
        events = [self._event(EventType.CLEANUP_FAILED, Severity.WARNING, effect, payload, told, now)]
        if effect.state is EffectState.PENDING:
            events.append(self._event(EventType.EFFECT_ESCALATED, Severity.ERROR, effect, payload, told, now))
        pattern = await self._pattern(now)
        return [*events, pattern] if pattern is not None else events

    async def _pattern(self, now: int) -> NewEvent | None:
        """Many failures within the window are a finding of their own, told once a window."""
        since = now - int(self._timing.cleanup_window_s * 1000)
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
        self, kind: EventType, severity: Severity, effect: Effect, payload: _Payload, data: dict[str, object], now: int
    ) -> NewEvent:
        return NewEvent(
            type=kind,
            severity=severity,
            account=self._plan.name,
            at_ms=now,
            symbol=payload.symbol,
            position_id=effect.position_id,
            data=dict(data),
        )


_TYPES: dict[EffectKind, type[CancelOrder] | type[MarketClose]] = {
    EffectKind.CANCEL_ORDER: CancelOrder,
    EffectKind.CLOSE_POSITION: MarketClose,
}
