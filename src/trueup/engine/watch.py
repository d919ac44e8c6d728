"""What lasts too long: an account that is not observed, a stream that stays down; and what still stands is told again.

1. Each is raised once when it has lasted its time, and ended once: events of the audit log, told like any other.
2. How long an account has not been observed survives a restart: it is kept with the account's newest look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from trueup.engine.telling import Teller
from trueup.model.changes import ChangeSet
from trueup.model.effects import CancelOrder, EffectKind, EffectState
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.positions import AccountMode
from trueup.model.reports import AccountReport, HeldReport
from trueup.model.values import Value, from_json

if TYPE_CHECKING:
    from trueup.engine.pace import Pace
    from trueup.engine.settings import AccountPlan, Timing
    from trueup.ports import Clock, Owner, Store

__all__ = ["Outage", "Watch"]

_INTERVALS = 3
_SLACK_MS = 1_000
_LONG_STOP_S = 60


class Outage(Value, frozen=True, kw_only=True):
    """Since when every look failed. `raised`: it lasted long enough to be told."""

    since_ms: int
    raised: bool = False


class Watch:
    """One account's."""

    def __init__(self, plan: AccountPlan, timing: Timing, store: Store, clock: Clock, pace: Pace) -> None:
        self._plan = plan
        self._pace = pace
        self._timing = timing
        self._store = store
        self._clock = clock
        self._teller = Teller(plan, store, clock)
        self._down: Outage | None = None

    async def observed(self, owner: Owner, outage: Outage | None, error: Exception | None) -> Outage | None:
        """After a look: the outage as it stands now, raised or ended if it is time."""
        now = self._clock.now_ms()
        if error is None:
            if outage is not None and outage.raised:
                data: dict[str, object] = {"since_ms": outage.since_ms, "seconds": (now - outage.since_ms) // 1000}
                await self._write(owner, self._event(EventType.ACCOUNT_OBSERVED_AGAIN, Severity.INFO, now, data))
            return None
        if outage is None:
            return Outage(since_ms=now)
        if not outage.raised and now - outage.since_ms > self._patience_ms():
            await self._write(owner, self._unobserved(outage, error, now))
            return msgspec.structs.replace(outage, raised=True)
        if outage.raised:
            await self._teller.remind(owner, [self._unobserved(outage, error, now)])
        return outage

    def _patience_ms(self) -> int:
        return round(_INTERVALS * self._pace.interval_s * 1000) + _SLACK_MS

    def _unobserved(self, outage: Outage, error: Exception, now: int) -> NewEvent:
        data: dict[str, object] = {
            "since_ms": outage.since_ms,
            "kind": type(error).__name__,
            "problem": str(error),
        }
        return self._event(EventType.ACCOUNT_UNOBSERVED, Severity.ERROR, now, data)

    async def requests(self, owner: Owner) -> None:
        """After a pass: that the venue wanted silence, once for all accounts behind the way out."""
        silence = self._pace.untold_silence()
        if silence is None:
            return
        seconds = (silence.until_ms - silence.at_ms) // 1000
        data: dict[str, object] = {
            "since_ms": silence.at_ms,
            "until_ms": silence.until_ms,
            "seconds": seconds,
            "accounts": list(self._pace.accounts),
            "problem": silence.problem,
        }
        severity = Severity.ERROR if seconds >= _LONG_STOP_S else Severity.WARNING
        self._pace.told(silence)
        await self._write(owner, self._event(EventType.REQUESTS_STOPPED, severity, self._clock.now_ms(), data))

    async def stream(self, owner: Owner, words: str) -> None:
        """After a pass: ``up``, ``none``, or ``down: …`` as `status` shows it."""
        now = self._clock.now_ms()
        if not words.startswith("down"):
            down, self._down = self._down, None
            if down is not None and down.raised:
                data: dict[str, object] = {"since_ms": down.since_ms, "seconds": (now - down.since_ms) // 1000}
                await self._write(owner, self._event(EventType.STREAM_UP_AGAIN, Severity.INFO, now, data))
            return
        down = self._down or Outage(since_ms=now)
        event = self._event(
            EventType.STREAM_DOWN,
            Severity.WARNING,
            now,
            {"since_ms": down.since_ms, "problem": words, "audit_interval_s": f"{self._pace.interval_s:g}"},
        )
        if not down.raised and now - down.since_ms >= self._timing.stream_down_s * 1000:
            await self._write(owner, event)
            down = msgspec.structs.replace(down, raised=True)
        elif down.raised:
            await self._teller.remind(owner, [event])
        self._down = down

    async def standing(self, owner: Owner, report: AccountReport) -> None:
        """After a good pass: what still waits for somebody is told again when its repetition is due."""
        if not self._plan.alerts.places or not report.applied:
            return
        now = self._clock.now_ms()
        events = [self._hold(held, now) for held in report.held]
        if self._plan.mode is AccountMode.PROTECT:
            if report.unprotected_overdue:
                events += [
                    self._event(
                        EventType.POSITION_UNPROTECTED,
                        Severity.ERROR,
                        now,
                        {"quantity": format(row.quantity, "f"), "side": row.side.value},
                        symbol=row.symbol,
                        position_id=row.position_id,
                    )
                    for row in report.protection.unprotected
                ]
            if report.unfinished_effects:
                events += await self._escalated(now)
        await self._teller.remind(owner, events)

    async def _escalated(self, now: int) -> list[NewEvent]:
        waiting = await self._store.effects(
            account=self._plan.name, states=(EffectState.ESCALATED,), kind=EffectKind.CANCEL_ORDER
        )
        events = []
        for effect in waiting:
            cancel = from_json(effect.payload, CancelOrder)
            data: dict[str, object] = {
                "symbol": cancel.symbol,
                "order_id": cancel.order_id,
                "order_type": cancel.venue_type or cancel.kind.value,
                "reason": cancel.reason,
                "problem": effect.last_error,
                "attempts": effect.attempts,
            }
            events.append(self._event(EventType.EFFECT_ESCALATED, Severity.ERROR, now, data, symbol=cancel.symbol))
        return events

    def _hold(self, held: HeldReport, now: int) -> NewEvent:
        keys = [[position.symbol, position.side.value] for position in held.positions]
        return self._event(
            EventType.HOLD_RAISED, Severity.ERROR, now, {"kind": held.kind.value, "summary": held.summary, "keys": keys}
        )

    async def _write(self, owner: Owner, event: NewEvent) -> None:
        await self._teller.commit(owner, ChangeSet(account=self._plan.name, now_ms=event.at_ms, events=(event,)))

    def _event(
        self,
        kind: EventType,
        severity: Severity,
        now: int,
        data: dict[str, object],
        *,
        symbol: str | None = None,
        position_id: int | None = None,
    ) -> NewEvent:
        return NewEvent(
            type=kind,
            severity=severity,
            account=self._plan.name,
            at_ms=now,
            symbol=symbol,
            position_id=position_id,
            data=data,
        )
