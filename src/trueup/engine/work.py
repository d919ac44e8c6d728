"""One account's pass, from looking to effects carried out, and the acts of a person on it.

1. A pass ends when nothing more can be decided by looking again within the confirmation time; while it waits for that, it looks
   as often as audits do, and what is new is seen no later.
2. What goes wrong with an account is in its report; it never becomes an empty list of findings.
3. Whoever runs it holds the account's lease; the store refuses the writes of one who lost it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import structlog

from trueup.calls import counted as counted_calls
from trueup.calls import protective, spare
from trueup.core.drift import drift_of, new_findings
from trueup.engine.account import AccountReconciler
from trueup.engine.amending import Amender
from trueup.engine.board import Board
from trueup.engine.closing import check_may_close, request_closes
from trueup.engine.effects import EffectsOutcome, EffectsWorker
from trueup.engine.keeper import Keeper, Kept
from trueup.engine.listening import Listener
from trueup.engine.looks import Look, LookOptions
from trueup.engine.numbers import counted
from trueup.engine.pace import Pace
from trueup.engine.telling import NoticesWorker
from trueup.engine.watch import Outage, Watch
from trueup.model.changes import ActiveBook, ChangeSet, UpdatePosition
from trueup.model.effects import ON_VENUE, EffectState
from trueup.model.errors import (
    AccountMismatch,
    AuthenticationRefused,
    ConfigurationError,
    Unobserved,
)
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.holds import Hold, HoldState, HoldUpdate
from trueup.model.positions import AccountMode, Position, PositionKey
from trueup.model.reports import AccountReport, Drift, OrderReport, ProtectionNumbers, ProtectionReport, QuantityChange
from trueup.model.values import Value, from_json, to_json

if TYPE_CHECKING:
    from trueup.engine.settings import AccountPlan, Timing
    from trueup.ports import Clock, Meter, Notifier, Owner, Standing, Store, Venue

__all__ = ["AccountWork", "LastLook", "PassOptions", "last_look"]

_log = structlog.get_logger("trueup.engine")

_SLACK_MS = 250
_LEAST_AUDIT_MS = 1_000


class PassOptions(Value, frozen=True, kw_only=True):
    """How a pass runs. `confirm`: wait for what a second view can decide; the daemon looks again at its next audit instead."""

    dry_run: bool = False
    confirm: bool = True
    orders: bool = True
    announce: bool = True
    due_effects_only: bool = False
    learn: int = 0


class LastLook(Value, frozen=True, kw_only=True):
    """What is kept of an account's newest look, for `status`."""

    looked_at_ms: int
    good_at_ms: int | None
    error: str | None = None
    identity: str | None = None
    clock_skew_ms: int | None = None
    suspected: int = 0
    quarantined: int = 0
    orphans: int = 0
    unprotected: int = 0
    drift: tuple[Drift, ...] = ()
    streams: str = "none"
    interval_s: float | None = None
    interval_why: str | None = None
    outage: Outage | None = None
    protection: ProtectionNumbers = ProtectionNumbers()


def last_look(text: str) -> LastLook | None:
    """As it was kept; None for another version's: what that knew is looked at anew."""
    try:
        return from_json(text, LastLook)
    except msgspec.ValidationError:
        return None


@dataclass
class _Sum:
    """What the looks of one pass come to."""

    closed: list[Position] = field(default_factory=list)
    added: dict[PositionKey, Position] = field(default_factory=dict)
    changed: dict[PositionKey, QuantityChange] = field(default_factory=dict)
    effects: EffectsOutcome = field(default_factory=EffectsOutcome)
    last: Look | None = None
    looks: int = 0
    kept: Kept = field(default_factory=Kept)
    numbers: list[tuple[Kept, EffectsOutcome]] = field(default_factory=list)

    def take(self, look: Look) -> None:
        self.last = look
        self.looks += 1
        if not look.applied:
            self.closed, self.added, self.changed = [], {}, {}
        self.closed += look.settlement.closed
        gone = {position.key for position in look.settlement.closed}
        self.added = {key: position for key, position in self.added.items() if key not in gone}
        self.added.update({position.key: position for position in look.added})
        self.changed.update({change.position.key: change for change in look.settlement.changed})


class AccountWork:
    """Everything that is done with one account, by whoever owns it.

    Attributes:
        streams: How the account's stream stands, in words.
        pace: How often it is audited, beside the others behind its way out.
        tells_beside: Somebody else delivers the notices while this works: a pass does not wait for them.
        amends_beside: The same of closes to be amended, when `amend_due` says so.
        board: Where the newest look is kept for `status`.
        seen: The rows as the newest pass read them, if it changed nothing and no trailing record stands; else None.
        meter: Counts looks and passes.
    """

    def __init__(
        self,
        plan: AccountPlan,
        timing: Timing,
        venue: Venue,
        store: Store,
        clock: Clock,
        notifier: Notifier | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.plan = plan
        self.venue = venue
        self._timing = timing
        self._store = store
        self._clock = clock
        self._reconciler = AccountReconciler(plan, venue, store, clock)
        self.listener = Listener(self._reconciler, store, clock)
        self._effects = EffectsWorker(plan, timing, venue, store, clock)
        self._keeper = Keeper(plan, venue, store, clock, self._effects.stops)
        self.pace = pace if pace is not None else Pace((plan.name,), None, timing, clock)
        self._watch = Watch(plan, timing, store, clock, self.pace)
        self._acting = asyncio.Lock()
        self._amender = Amender(plan, venue, store, clock)
        self._last: LastLook | None = None
        self.notices = NoticesWorker(plan, store, clock, notifier)
        self.streams = "none"
        self.tells_beside = self.amends_beside = False
        self.amend_due = asyncio.Event()
        self.board = Board(store)
        self.seen: ActiveBook | None = None
        self.meter: Meter | None = None

    async def run_pass(self, owner: Owner, options: PassOptions, progress: Callable[[str], None]) -> AccountReport:
        """One complete pass.

        Raises:
            NotOwner: The account was taken over; what was committed before stands.
            StoreUnavailable: The book cannot be read or written.
        """
        total, self.seen = _Sum(), None
        try:
            if options.announce and not options.dry_run:
                await self._announce(owner, EventType.SYNCHRONIZATION_STARTED, {"mode": self.plan.mode.value})
            await self._looks(owner, options, progress, total)
        except (Unobserved, AuthenticationRefused, AccountMismatch) as error:
            return await self._unobserved(owner, options, total, error)
        stands = await self._store.standing(self.plan.name)
        report = await self._report(total, stands, error=None)
        if not options.dry_run:
            await self._remember(owner, report, total, stands, error=None)
            if options.announce:
                await self._announce(owner, EventType.SYNCHRONIZATION_COMPLETED, _counts(report))
            if report.applied and stands.effects:
                self.amend_due.set()
                if not self.amends_beside:
                    await self.amend(owner)
        if not stands.effects and not stands.trailing and total.looks == 1 and total.last is not None:
            self.seen = total.last.book
        return await self._told(owner, options, report, stands)

    async def _told(self, owner: Owner, options: PassOptions, report: AccountReport, stands: Standing) -> AccountReport:
        """Notices are delivered last, when nothing on the venue waits; one that is not delivered is an effect not carried out."""
        if not options.dry_run:
            await self._watch.requests(owner)
            await self._watch.stream(owner, self.streams)
            if report.observed:
                await self._watch.standing(owner, report)
            if not self.tells_beside:
                await self.notices.run_pass(owner, due_only=options.due_effects_only)
        undelivered = 0
        if stands.effects or not self.tells_beside:
            undelivered = await self.notices.undelivered(failed_only=self.tells_beside)
        report = msgspec.structs.replace(report, unfinished_effects=report.unfinished_effects + undelivered)
        if self.meter is not None and not options.dry_run:
            self.meter.passed(report)
        return report

    async def _looks(self, owner: Owner, options: PassOptions, progress: Callable[[str], None], total: _Sum) -> None:
        name, left = self.plan.name, self.plan.policy.confirm_snapshots + 3
        audit_ms = max(_LEAST_AUDIT_MS, round(self._timing.audit_interval_s * 1000))
        most = left * (1 + self._patience_ms() // audit_ms)
        while left and most:
            progress(f"{name}: looking")
            self._effects.stops.triggers.forget()
            look = await self._look(owner, options)
            total.take(look)
            if not look.trailing:
                self._effects.stops.triggers.none()
            record = not options.dry_run
            with protective() if self.plan.mode is AccountMode.PROTECT else nullcontext():
                total.kept = await self._keeper.wish(owner, look, record=record)
            outcome = EffectsOutcome()
            if look.applied and self.plan.mode is AccountMode.PROTECT:
                progress(f"{name}: carrying effects out")
                outcome = await self._acted(owner, due_only=options.due_effects_only)
                total.effects.take(outcome)
            await self._keeper.conclude(owner, look, total.kept, outcome.covered, record=record)
            total.numbers.append((total.kept, outcome))
            left, most = left - 1, most - 1
            if outcome.look_again:
                continue
            wait_ms = look.wait_ms
            if not options.confirm or wait_ms is None or wait_ms > self._patience_ms():
                return
            if wait_ms > audit_ms:
                wait_ms, left = audit_ms, left + 1
            elif wait_ms:
                wait_ms += min(_SLACK_MS, wait_ms)
            if wait_ms:
                progress(f"{name}: looks again in {wait_ms / 1000:.0f} s to confirm")
            await self._clock.sleep(wait_ms / 1000)

    async def _look(self, owner: Owner, options: PassOptions) -> Look:
        began, observed = self._clock.monotonic_s(), False
        try:
            look = await self._reconciler.look(
                owner,
                LookOptions(
                    apply=not options.dry_run,
                    record=not options.dry_run,
                    orders=options.orders,
                    learn=options.learn,
                ),
            )
            observed = True
        finally:
            if self.meter is not None:
                self.meter.looked(self.plan.name, self._clock.monotonic_s() - began, observed=observed)
        return look

    def _patience_ms(self) -> int:
        return max(self.plan.policy.confirm_after_ms, self.plan.grace_ms) + _SLACK_MS

    async def carry_out(self, owner: Owner) -> None:
        """Carries out what was decided between two passes, one at a time with the passes' own.

        Raises:
            NotOwner: The account was taken over.
            StoreUnavailable: The book cannot be read or written.
        """
        if self.plan.mode is AccountMode.PROTECT and not await self._store.is_paused(self.plan.name):
            await self._acted(owner, due_only=True)

    async def amend(self, owner: Owner) -> None:
        """Looks again at closes of which the venue may tell more by now, with requests that nothing else needs.

        Raises:
            NotOwner: The account was taken over.
            StoreUnavailable: The book cannot be read or written.
        """
        self.amend_due.clear()
        with counted_calls(), spare():
            await self._amender.run_pass(owner)

    async def _acted(self, owner: Owner, *, due_only: bool) -> EffectsOutcome:
        """Effects on the venue, first in line; one pass of them at a time."""
        async with self._acting:
            with protective():
                return await self._effects.run_pass(owner, due_only=due_only)

    async def _unobserved(
        self,
        owner: Owner,
        options: PassOptions,
        total: _Sum,
        error: Unobserved | AuthenticationRefused | AccountMismatch,
    ) -> AccountReport:
        _log.warning("account.unobserved", account=self.plan.name, problem=str(error))
        stands = await self._store.standing(self.plan.name)
        report = await self._report(total, stands, error=error)
        if options.dry_run:
            return await self._told(owner, options, report, stands)
        if isinstance(error, AccountMismatch):
            await self._reconciler.identity.tell_mismatch(owner, error)
        elif options.announce:
            await self._announce(owner, EventType.SYNCHRONIZATION_FAILED, {"problem": str(error)})
        await self._remember(owner, report, total, stands, error=error)
        return await self._told(owner, options, report, stands)

    async def _report(self, total: _Sum, stands: Standing, error: Exception | None) -> AccountReport:
        unfinished = (EffectState.PENDING, EffectState.ESCALATED)
        effects = await self._store.effects(account=self.plan.name, states=unfinished) if stands.effects else []
        waiting = [effect for effect in effects if effect.kind in ON_VENUE]
        look = total.last
        report = AccountReport(
            account=self.plan.name,
            venue=self.plan.venue,
            mode=self.plan.mode,
            observed=error is None,
            error=str(error) if error is not None else None,
            identity_error=isinstance(error, AccountMismatch),
            unfinished_effects=len(waiting) if self.plan.mode is AccountMode.PROTECT else 0,
            closed_phantom=tuple(total.closed),
            added_missing=tuple(total.added.values()),
            updated_quantity=tuple(total.changed.values()),
        )
        if look is None or error is not None:
            return report
        settled = look.settlement
        told = {*total.added, *total.changed}
        return msgspec.structs.replace(
            report,
            applied=look.applied,
            verified=tuple(position for position in settled.all_verified if not told or position.key not in told),
            suspected=tuple(settled.suspected),
            held=tuple(look.held),
            quarantined=tuple(look.quarantined),
            rejected=tuple(settled.rejected),
            protection=ProtectionReport(
                placed=tuple(total.effects.placed if look.applied else self._would_place(total.kept)),
                cancelled=tuple(total.effects.cancelled),
                failed=tuple(total.effects.failed),
                orphans=tuple(look.orphans),
                unprotected=tuple(total.kept.unprotected),
            ),
            uncovered=tuple(total.kept.uncovered),
            unprotected_overdue=total.kept.overdue,
        )

    def _would_place(self, kept: Kept) -> list[OrderReport]:
        return kept.wanted if self.plan.mode is AccountMode.PROTECT else []

    async def _remember(
        self, owner: Owner, report: AccountReport, total: _Sum, stands: Standing, error: Exception | None
    ) -> None:
        now = self._clock.now_ms()
        last = self._last or await self._recalled()
        before = last.good_at_ms if last is not None else None
        outage = await self._watch.observed(owner, last.outage if last is not None else None, error)
        stood = last.drift if last is not None else ()
        drift = drift_of(report, stood, now) if error is None else stood
        new = new_findings(self.plan.name, stood, drift, now)
        if new:
            await self._store.commit(owner, ChangeSet(account=self.plan.name, now_ms=now, events=new))
        reading = total.last.clock if total.last is not None else None
        self._last = LastLook(
            looked_at_ms=now,
            good_at_ms=now if error is None else before,
            error=str(error) if error is not None else None,
            identity=stands.pin.fingerprint if stands.pin is not None else None,
            clock_skew_ms=reading.skew_ms if reading is not None else None,
            suspected=len(report.suspected),
            quarantined=len(report.quarantined),
            orphans=len(report.protection.orphans),
            unprotected=len(report.protection.unprotected),
            drift=drift,
            streams=self.streams,
            interval_s=self.pace.interval_s,
            interval_why=self.pace.why,
            outage=outage,
            protection=counted(last.protection if last is not None else ProtectionNumbers(), total.numbers),
        )
        await self.board.post(self.plan.name, to_json(self._last), now)

    async def _recalled(self) -> LastLook | None:
        """What an earlier process kept."""
        kept = (await self._store.account_states(self.plan.name)).get(self.plan.name)
        return last_look(kept[0]) if kept is not None else None

    async def _announce(self, owner: Owner, kind: EventType, data: dict[str, object]) -> None:
        severity = Severity.WARNING if kind is EventType.SYNCHRONIZATION_FAILED else Severity.INFO
        now = self._clock.now_ms()
        event = NewEvent(type=kind, severity=severity, account=self.plan.name, at_ms=now, data=data)
        await self._store.commit(owner, ChangeSet(account=self.plan.name, now_ms=now, events=(event,)))

    # a person's acts

    async def open_hold(self, hold_id: int) -> Hold:
        """Raises `ConfigurationError` when the account has no such hold that waits."""
        for hold in await self._store.holds(account=self.plan.name, states=(HoldState.OPEN, HoldState.APPROVED)):
            if hold.hold_id == hold_id:
                return hold
        raise ConfigurationError(f"hold {hold_id}: none waits under that number; list them with: trueup holds")

    async def decide_hold(self, owner: Owner, hold: Hold, state: HoldState, note: str | None) -> None:
        """Writes a person's word. An approval is carried out by the next look, which may find that it no longer stands."""
        now = self._clock.now_ms()
        kind = EventType.HOLD_REJECTED if state is HoldState.REJECTED else EventType.HOLD_APPROVED
        data: dict[str, object] = {"hold_id": hold.hold_id, "kind": hold.kind.value, "state": state.value, "note": note}
        event = NewEvent(type=kind, severity=Severity.INFO, account=self.plan.name, at_ms=now, data=data)
        update = HoldUpdate(hold_id=hold.hold_id, state=state, at_ms=now, note=note)
        await self._store.commit(
            owner, ChangeSet(account=self.plan.name, now_ms=now, hold_updates=(update,), events=(event,))
        )

    async def close(
        self, owner: Owner, key: PositionKey | None, note: str, progress: Callable[[str], None]
    ) -> AccountReport:
        """Closes a position, or every one (`key` None), at market: looks, records the wish, carries it out, looks again.

        Raises:
            ConfigurationError: The account's mode forbids it.
        """
        check_may_close(self.plan)
        first = await self.run_pass(owner, PassOptions(confirm=False), progress)
        if not first.observed:
            return first
        async with self._acting:  # no attempt of an earlier wish is under way
            wished = await request_closes(self.plan, self._store, self._clock, owner, key, note)
        if not wished:
            return first
        return await self.run_pass(owner, PassOptions(), progress)

    async def set_stop(self, owner: Owner, key: PositionKey, price: Decimal) -> None:
        """Writes where a lifecycle's stop is to be; the pass that follows keeps it there.

        Raises:
            ConfigurationError: The book has no such open position.
            Conflict: The row changed meanwhile; nothing was written.
        """
        row = next((row for row in (await self._store.active(self.plan.name)).positions if row.key == key), None)
        if row is None:
            raise ConfigurationError(f"{key}: the book has no such open position; list them with: trueup positions")
        update = UpdatePosition(position_id=row.position_id, version=row.version, stop_loss=price)
        await self._store.commit(
            owner, ChangeSet(account=self.plan.name, now_ms=self._clock.now_ms(), updates=(update,))
        )

    async def reset_pin(self, owner: Owner) -> str:
        """Pins the venue account that the key answers for now; returns its fingerprint."""
        identity = await self.venue.identity()
        now = self._clock.now_ms()
        await self._store.set_pin(owner, identity, now)
        data: dict[str, object] = {"fingerprint": identity.fingerprint, "strength": identity.strength, "reset": True}
        await self._announce(owner, EventType.IDENTITY_PINNED, data)
        return identity.fingerprint


def _counts(report: AccountReport) -> dict[str, object]:
    return {
        "verified": len(report.verified),
        "closed": len(report.closed_phantom),
        "added": len(report.added_missing),
        "updated": len(report.updated_quantity),
        "suspected": len(report.suspected),
        "held": len(report.held),
        "quarantined": len(report.quarantined),
        "applied": report.applied,
    }
