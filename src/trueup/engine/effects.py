"""Carries effects out: at least once, verified on the venue, bounded in attempts per pass, then told and tried again later.

1. The outcome, its events and what the book knows of the order are one transaction. Nothing is dropped: an effect whose attempts
   are used up is escalated, and every later pass goes on trying until the venue shows it done.
2. What an open position waits for comes before what is left over of ended ones, and none waits for another's next attempt.
3. Before every attempt the book is asked whether the account is still ours and not paused.
4. A venue that asks to be left alone for long ends the pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from trueup.core.keeping import order_words, placed_record, wish_report
from trueup.core.review import order_report
from trueup.engine.acts import Acts, Attempt
from trueup.engine.stops import StopActs
from trueup.engine.telling import Teller
from trueup.model.changes import ChangeSet
from trueup.model.effects import (
    ON_VENUE,
    SUPERFLUOUS,
    CancelOrder,
    Effect,
    EffectKind,
    EffectState,
    EffectUpdate,
    MarketClose,
    PlaceStop,
)
from trueup.model.errors import AuthenticationRefused, NotOwner, OutcomeUnknown, RateLimited, Rejected, Unobserved
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.orders import OrderStatus
from trueup.model.positions import PositionKey
from trueup.model.protection import StopRefusal
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
_LONGEST_DELAY_OF_A_STOP_MS = 30_000
_ROUNDS = 3 * ATTEMPTS_PER_PASS
"""What one effect brings about is carried out in the same pass: a stop placed, and those that it replaces."""
_LONG_WAIT_S = 5.0
_FIRED = (OrderStatus.FILLED, OrderStatus.TRIGGERED)

_Payload = CancelOrder | MarketClose | PlaceStop


@dataclass
class EffectsOutcome:
    """What a pass carried out, and what it could not.

    Attributes:
        covered: Positions whose stop was placed, and seen, or found there.
        orphan_s: How long each order of an ended position that is gone now was known as one.
        look_again: Something changed that the book does not know yet.
    """

    placed: list[OrderReport] = field(default_factory=list)
    cancelled: list[OrderReport] = field(default_factory=list)
    failed: list[OrderReport] = field(default_factory=list)
    covered: set[PositionKey] = field(default_factory=set)
    orphan_s: list[float] = field(default_factory=list)
    swept: int = 0
    failed_cancels: int = 0
    look_again: bool = False

    def take(self, later: EffectsOutcome) -> None:
        """Adds what a later round of the same pass came to; what it could not carry out is what stands now."""
        self.placed += later.placed
        self.cancelled += later.cancelled
        self.failed = later.failed
        self.orphan_s += later.orphan_s
        self.swept += later.swept
        self.failed_cancels += later.failed_cancels


@dataclass
class _Try:
    """An effect in this pass, and how often it was tried in it. `ended`: its outcome is written."""

    effect: Effect
    payload: _Payload
    count: int = 0
    ended: bool = False


class EffectsWorker:
    """Carries out one account's effects."""

    def __init__(
        self,
        plan: AccountPlan,
        timing: Timing,
        venue: Venue,
        store: Store,
        clock: Clock,
    ) -> None:
        self._plan = plan
        self._timing = timing
        self._acts = Acts(plan.name, venue, store)
        self.stops = StopActs(plan, venue, store, clock, self._acts)
        self._teller = Teller(plan, store, clock)
        self._store = store
        self._clock = clock

    async def run_pass(self, owner: Owner, *, due_only: bool) -> EffectsOutcome:
        """Tries every unfinished effect on the venue, each a bounded number of times. Notices are `NoticesWorker`'s.

        Args:
            due_only: Leave those whose next attempt lies in the future (the daemon); a command tries all.

        Raises:
            NotOwner: The account was taken over; nothing is done on the venue from then on.
        """
        outcome = EffectsOutcome()
        tries: dict[int, _Try] = {}
        for _ in range(_ROUNDS):
            for effect in await self._waiting(due_only=due_only):
                if effect.effect_id not in tries:
                    tries[effect.effect_id] = _Try(effect, from_json(effect.payload, _TYPES[effect.kind]))
            left = [one for one in tries.values() if not one.ended]
            if not left:
                break
            wait_s = 0.0
            for one in sorted(left, key=_urgency):
                if not await self._may_act(owner):
                    return outcome
                attempt = await self._try(owner, one, outcome)
                if attempt.retry_after_s > _LONG_WAIT_S:
                    return outcome
                if not one.ended:
                    wait_s = max(wait_s, attempt.retry_after_s, _FIRST_DELAY_MS * 2 ** (one.count - 1) / 1000)
            await self._clock.sleep(wait_s)
        return outcome

    async def _may_act(self, owner: Owner) -> bool:
        """Whether the account is not paused.

        Raises:
            NotOwner: It is another's by now.
        """
        holder = await self._store.owner_of(self._plan.name)
        if holder is not None and holder != owner:
            now = f"{holder.holder}, epoch {holder.epoch}, holds it"
            raise NotOwner(f"account {self._plan.name!r}: {owner.holder} (epoch {owner.epoch}) lost it: {now}")
        return not await self._store.is_paused(self._plan.name)

    async def _waiting(self, *, due_only: bool) -> list[Effect]:
        """What is to be tried, in the order in which it was decided; what one brings about comes with the next call."""
        states = (EffectState.PENDING, EffectState.ESCALATED)
        now = self._clock.now_ms()
        return [
            effect
            for effect in await self._store.effects(account=self._plan.name, states=states)
            if effect.kind in ON_VENUE and not (due_only and _is_waiting(effect, now))
        ]

    async def _try(self, owner: Owner, one: _Try, outcome: EffectsOutcome) -> Attempt:
        effect, payload = one.effect, one.payload
        attempt = await self._attempt(effect, payload)
        one.count += 1
        if not (attempt.done or attempt.final):
            _log.warning("effect.failed", account=self._plan.name, effect_id=effect.effect_id, problem=attempt.outcome)
        one.ended = attempt.done or attempt.final or one.count == ATTEMPTS_PER_PASS
        if one.ended:
            await self._write(owner, effect, payload, effect.attempts + one.count, attempt)
            self._sum_up(effect, payload, attempt, outcome)
        return attempt

    def _sum_up(self, effect: Effect, payload: _Payload, attempt: Attempt, outcome: EffectsOutcome) -> None:
        outcome.look_again |= attempt.look_again
        if isinstance(payload, MarketClose):
            outcome.look_again |= attempt.done
        elif isinstance(payload, PlaceStop):
            if attempt.placed is not None:
                outcome.placed.append(order_report(attempt.placed))
                outcome.covered.add(PositionKey(self._plan.name, payload.symbol, payload.side))
            elif not attempt.done:
                outcome.failed.append(wish_report(payload, attempt.outcome))
        elif not attempt.done:
            outcome.failed_cancels += 1
            outcome.failed.append(order_report(payload, attempt.outcome))
        elif attempt.acted:
            outcome.cancelled.append(order_report(payload))
            if payload.reason == SUPERFLUOUS:
                outcome.swept += 1
            else:
                outcome.orphan_s.append(max(0, self._clock.now_ms() - effect.created_at_ms) / 1000)

    async def _attempt(self, effect: Effect, payload: _Payload) -> Attempt:
        try:
            if isinstance(payload, MarketClose):
                return await self._acts.close(payload)
            if isinstance(payload, PlaceStop):
                return await self.stops.place(payload)
            if payload.reason == SUPERFLUOUS:
                return await self.stops.sweep(effect.position_id, payload)
            return await self._acts.cancel(payload)
        except RateLimited as error:
            wait_s = float(error.retry_after_s or 0)
            return Attempt(done=False, outcome=str(error), retry_after_s=wait_s, final=wait_s > _LONG_WAIT_S)
        except AuthenticationRefused as error:
            return Attempt(done=False, outcome=str(error), refusal=StopRefusal.PERMISSION, final=True)
        except (Unobserved, OutcomeUnknown, Rejected) as error:
            return Attempt(done=False, outcome=str(error))

    async def _write(self, owner: Owner, effect: Effect, payload: _Payload, attempts: int, attempt: Attempt) -> None:
        now = self._clock.now_ms()
        delay = max(round(attempt.retry_after_s * 1000), _FIRST_DELAY_MS * 2 ** min(attempts, 12))
        delay = min(_longest_delay_ms(effect), delay)
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
        placed = attempt.placed if isinstance(payload, PlaceStop) else None
        await self._teller.commit(
            owner,
            ChangeSet(
                account=self._plan.name,
                now_ms=now,
                effect_updates=(update,),
                effects=attempt.then,
                orders=()
                if placed is None or effect.position_id is None
                else (placed_record(self._plan.name, placed, effect.position_id, now),),
                events=tuple(await self._events(effect, payload, attempts, attempt, now)),
                forget_orders=((payload.symbol, payload.order_id, attempt.became or OrderStatus.CANCELLED),)
                if gone and isinstance(payload, CancelOrder)
                else (),
            ),
        )

    async def _events(
        self, effect: Effect, payload: _Payload, attempts: int, attempt: Attempt, now: int
    ) -> list[NewEvent]:
        if isinstance(payload, MarketClose):
            return [self._close_event(effect, payload, attempt, now)]
        if isinstance(payload, PlaceStop):
            return self._stop_events(effect, payload, attempts, attempt, now)
        data: dict[str, object] = {
            "symbol": payload.symbol,
            "order_id": payload.order_id,
            "order_type": payload.venue_type or payload.kind.value,
            "reason": payload.reason,
        }
        if attempt.became in _FIRED:
            return []  # nobody took it away: its fills tell what it did
        if attempt.done:
            gone = EventType.STOP_SWEPT if payload.reason == SUPERFLUOUS else EventType.ORPHANED_SL_CLEANED
            told = {**data, "why": attempt.outcome} if attempt.kept else data
            kind = EventType.ORPHANED_SL_KEPT if attempt.kept else gone
            return [self._event(kind, Severity.INFO, effect, payload, told, now)]
        told = {**data, "problem": attempt.outcome, "attempts": attempts}
        events = [self._event(EventType.CLEANUP_FAILED, Severity.WARNING, effect, payload, told, now)]
        if effect.state is EffectState.PENDING:
            events.append(self._event(EventType.EFFECT_ESCALATED, Severity.ERROR, effect, payload, told, now))
        pattern = await self._pattern(now)
        return [*events, pattern] if pattern is not None else events

    def _close_event(self, effect: Effect, payload: MarketClose, attempt: Attempt, now: int) -> NewEvent:
        data: dict[str, object] = {
            "symbol": payload.symbol,
            "side": payload.side.value,
            "note": payload.note,
            "outcome": attempt.outcome,
        }
        kind = EventType.CLOSE_SENT if attempt.done else EventType.CLOSE_FAILED
        severity = Severity.INFO if attempt.done else Severity.ERROR
        return self._event(kind, severity, effect, payload, data, now)

    def _stop_events(
        self, effect: Effect, payload: PlaceStop, attempts: int, attempt: Attempt, now: int
    ) -> list[NewEvent]:
        """What was placed; what was refused, also where closing follows; nothing where there was nothing to do."""
        data: dict[str, object] = {"symbol": payload.symbol, "side": payload.side.value, "why": list(payload.why)}
        if attempt.placed is not None:
            data |= {"order_id": attempt.placed.order_id, "client_order_id": attempt.placed.client_order_id}
            return [
                self._event(
                    EventType.STOP_PLACED, Severity.INFO, effect, payload, data | order_words(attempt.placed), now
                )
            ]
        if attempt.done and attempt.refusal is None:
            return []
        reason = attempt.refusal.value if attempt.refusal is not None else "not_answered"
        data |= {"reason": reason, "problem": attempt.outcome, "attempts": attempts} | order_words(payload)
        closes = any(new.kind is EffectKind.CLOSE_POSITION for new in attempt.then)
        events = [self._event(EventType.STOP_FAILED, Severity.ERROR, effect, payload, data, now)]
        if closes:
            close: dict[str, object] = {"symbol": payload.symbol, "side": payload.side.value, "note": reason}
            events.append(self._event(EventType.CLOSE_REQUESTED, Severity.WARNING, effect, payload, close, now))
        return events

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


_TYPES: dict[EffectKind, type[CancelOrder] | type[MarketClose] | type[PlaceStop]] = {
    EffectKind.CANCEL_ORDER: CancelOrder,
    EffectKind.CLOSE_POSITION: MarketClose,
    EffectKind.PLACE_STOP: PlaceStop,
}


def _urgency(one: _Try) -> tuple[bool, int]:
    """What an open position waits for first; else in the order in which it was decided."""
    return one.effect.kind is EffectKind.CANCEL_ORDER, one.effect.effect_id


def _longest_delay_ms(effect: Effect) -> int:
    return _LONGEST_DELAY_OF_A_STOP_MS if effect.kind is EffectKind.PLACE_STOP else _LONGEST_DELAY_MS


def _is_waiting(effect: Effect, now_ms: int) -> bool:
    """Whether its next attempt is still to come. One further ahead than any delay: our clock was set back since."""
    return 0 < effect.next_attempt_at_ms - now_ms <= _longest_delay_ms(effect)
