"""From the verdicts of one look to one transaction: rows, events, effects, holds and marks of an account.

1. What absence alone would close is held for a person where it is many: more than the allowed share of the account's positions
   within the window, or all of an account that had two or more. Closes that fills prove go through beside it.
2. A hold that was rejected is not raised again until its positions are seen or its evidence changes; what it was about is not
   closed on absence meanwhile.
3. A hold ends when what it is about was decided or is seen again, never because a look could not tell.
4. An account whose book may not be written (observe mode, dry run, paused) gets the same lists and no row changes.
5. Every change of a row has its event, and the case that it was decided on, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from trueup.core import amounts, narrate
from trueup.core.agreement import Agreed, with_report
from trueup.core.amend import AMENDED, Amendment, can_get_better
from trueup.core.cases import (
    Adjust,
    Adopt,
    Case,
    Close,
    Ignore,
    LeaveYoung,
    Lifecycle,
    LookAgain,
    NeedsHistory,
    Reject,
    Suspect,
    Verdict,
    Verified,
)
from trueup.core.marks import sighting, told
from trueup.core.rebuild import shown_at
from trueup.core.records import recorded_trades
from trueup.core.review import cancel_of
from trueup.core.situation import Situation
from trueup.model.changes import (
    ChangeSet,
    ClosePosition,
    NewPosition,
    Observation,
    RecordedOrder,
    RecordedTrade,
    UpdatePosition,
)
from trueup.model.effects import NewEffect
from trueup.model.events import NewEvent
from trueup.model.holds import Hold, HoldKind, HoldState, HoldUpdate, Mark, MarkKind, NewHold
from trueup.model.observations import PositionReport, Quarantined
from trueup.model.orders import OrderKind, OrderList, OrderRecord, OrderStatus, Side
from trueup.model.positions import AccountMode, CloseDetails, Evidence, Position, PositionKey
from trueup.model.reports import QuantityChange
from trueup.model.values import Value, to_json

__all__ = ["HeldGroup", "Settlement", "settle", "settle_amended"]


class HeldGroup(Value, frozen=True, kw_only=True):
    """A hold in the report: an open one by `hold_id`, a new one by its place in the change set, else (not written) neither."""

    kind: HoldKind
    positions: tuple[Position, ...]
    summary: str
    hold_id: int | None = None
    new_index: int | None = None


@dataclass
class Settlement:
    """The transaction and what the report shows of it.

    Attributes:
        agreed: Rows that no verdict was needed on; they are verified as `verified` are.
    """

    agreed: Agreed = field(default_factory=Agreed)
    verified: list[Position] = field(default_factory=list)
    closed: list[Position] = field(default_factory=list)
    added: list[Position] = field(default_factory=list)
    added_closed: list[Position] = field(default_factory=list)
    changed: list[QuantityChange] = field(default_factory=list)
    suspected: list[Position] = field(default_factory=list)
    held: list[HeldGroup] = field(default_factory=list)
    rejected: list[Quarantined] = field(default_factory=list)
    look_again: list[str] = field(default_factory=list)
    wait_ms: int | None = None
    opens: list[NewPosition] = field(default_factory=list)
    updates: list[UpdatePosition] = field(default_factory=list)
    closes: list[ClosePosition] = field(default_factory=list)
    orders: list[RecordedOrder] = field(default_factory=list)
    forget_orders: list[tuple[str, str, OrderStatus]] = field(default_factory=list)
    trades: list[RecordedTrade] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)
    effects: list[NewEffect] = field(default_factory=list)
    holds: list[NewHold] = field(default_factory=list)
    hold_updates: list[HoldUpdate] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    clear_marks: list[tuple[PositionKey, MarkKind]] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)

    def change_set(self, account: str, now_ms: int) -> ChangeSet:
        return ChangeSet(
            account=account,
            now_ms=now_ms,
            opens=tuple(self.opens),
            updates=tuple(self.updates),
            closes=tuple(self.closes),
            orders=tuple(self.orders),
            forget_orders=tuple(self.forget_orders),
            trades=tuple(self.trades),
            events=tuple(self.events),
            effects=tuple(self.effects),
            holds=tuple(self.holds),
            hold_updates=tuple(self.hold_updates),
            marks=tuple(self.marks),
            clear_marks=tuple(self.clear_marks),
            observations=tuple(self.observations),
        )

    @property
    def all_verified(self) -> list[Position]:
        """In the book's order, with the venue's numbers."""
        if not self.agreed:
            return list(self.verified)
        return sorted([*self.agreed, *self.verified], key=lambda row: row.position_id)

    def wait(self, wait_ms: int | None) -> None:
        """A further look this much later could decide something: the shortest such wait is kept."""
        if wait_ms is not None:
            self.wait_ms = wait_ms if self.wait_ms is None else min(self.wait_ms, wait_ms)


def settle(decided: Sequence[tuple[Case, Verdict]], situation: Situation) -> Settlement:
    """Applies the account-wide rules to the verdicts of one look and writes the transaction."""
    return _Settler(situation).run(decided)


def settle_amended(
    case: Case, row: Position, amendment: Amendment, situation: Situation, standing: Sequence[Position] = ()
) -> Settlement:
    """Writes the transaction that gives the closed `row` a better record, and what came after it rows of their own.

    Args:
        standing: Rows that may have what came after it already: active ones, and closed ones that fills do not prove yet.
    """
    return _Settler(situation).amend(case, row, amendment, standing)


class _Settler:
    def __init__(self, situation: Situation) -> None:
        self._in = situation
        self._out = Settlement()
        self._seen: set[tuple[str, Side]] = set()
        self._carried_out: set[tuple[str, Side]] = set()
        self._undecided: set[tuple[str, Side]] = set()
        self._lifecycles: set[tuple[str, Side, str]] = set()
        self._standing: list[Position] = []
        self._tag = 0

    def run(self, decided: Sequence[tuple[Case, Verdict]]) -> Settlement:
        self._lifecycles = {
            _identity(case, verdict.lifecycle)
            for case, verdict in decided
            if isinstance(verdict, Close | Adjust | Adopt) and verdict.lifecycle is not None
        }
        self._standing = [
            case.row
            for case, verdict in decided
            if case.row is not None and isinstance(verdict, Suspect | LookAgain | LeaveYoung)
        ]
        absences: list[tuple[Case, Close]] = []
        for case, verdict in decided:
            if case.report is not None:
                self._seen.add((case.key.symbol, case.key.side))
            if isinstance(verdict, Close) and verdict.details.evidence is Evidence.ABSENCE:
                absences.append((case, verdict))
            else:
                self._one(case, verdict)
        self._absences(absences)
        looked = {case.key for case, _ in decided}
        self._out.agreed = agreed = self._in.agreed
        if self._in.holds or self._in.marks:
            looked.update(agreed.keys)
            self._seen.update((key.symbol, key.side) for key in agreed.keys)
        if self._in.holds:
            self._review_holds({(key.symbol, key.side) for key in looked})
        self._review_marks(looked)
        return self._out

    def amend(self, case: Case, row: Position, amendment: Amendment, standing: Sequence[Position]) -> Settlement:
        self._standing = list(standing)
        lifecycle, better = amendment.lifecycle, amendment.lifecycle.close
        if better is None:
            raise ValueError(f"{case.key}: a lifecycle that is open amends no close")
        self._out.closes.append(
            ClosePosition(
                position_id=row.position_id,
                version=row.version,
                details=better,
                entry_price=lifecycle.entry_price,
                opened_at_ms=lifecycle.opened_at_ms,
                opening_order_id=lifecycle.opening_order_id,
                amends=True,
            )
        )
        self._record_trades(lifecycle, position_id=row.position_id)
        self._exit_order(case, better.closing_order_id, row.position_id, lifecycle)
        self._event(narrate.amended(row, better, len(amendment.missed), self._in.now_ms))
        observed = (AMENDED, to_json(amendment))
        self._observe(case, observed, position_id=row.position_id)
        for missed in amendment.missed:
            if missed.close is not None:
                self._missed(case, missed, missed.close, observed)
        return self._out

    def _one(self, case: Case, verdict: Verdict) -> None:
        match verdict:
            case Verified():
                self._verified(case, verdict)
            case Adjust():
                self._adjusted(case, verdict)
            case Close():
                self._closed(case, verdict)
            case Adopt():
                self._adopt(case, verdict, decided=verdict)
            case Reject():
                self._rejected(case, verdict)
            case Suspect():
                self._suspect(case, verdict)
            case LeaveYoung():
                self._undecided.add(_spot(case))
                self._out.suspected.append(verdict.row)
                self._out.wait(verdict.wait_ms)
            case LookAgain():
                self._undecided.add(_spot(case))
                self._out.look_again.append(verdict.why)
                if case.row is not None:
                    self._out.suspected.append(case.row)
            case Ignore():
                pass
            case NeedsHistory():
                raise ValueError(f"{case.key}: settled before its history was read")

    # one verdict each

    def _verified(self, case: Case, verdict: Verified) -> None:
        row, report = verdict.row, verdict.report
        now = with_report(row, report)
        self._out.verified.append(now)
        doubted = row.suspected_since_ms is not None and self._in.applies
        if case.mark is not None and case.mark.kind is not MarkKind.MISSING:
            doubted = True
        if doubted:
            self._event(narrate.suspicion_cleared(row, self._in))
        elif row.verified_as_of_ms is None and self._in.applies:
            self._event(narrate.verified(row, report, self._in))
        self._clear(case)
        if verdict.write and self._in.applies:
            self._out.updates.append(_learned(_refresh(case, row, report, settled=verdict.settled), verdict.lifecycle))
            if verdict.lifecycle is not None:
                self._record_trades(verdict.lifecycle, position_id=row.position_id)

    def _adjusted(self, case: Case, verdict: Adjust) -> None:
        row, report = verdict.row, verdict.report
        changed = with_report(row, report)
        if row.quantity != report.quantity:
            self._out.changed.append(QuantityChange(position=changed, previous_quantity=row.quantity))
        else:
            self._out.verified.append(changed)
        event = narrate.adjusted(verdict, self._in)
        if not self._in.applies:
            if self._is_new(case, MarkKind.CHANGED, f"{report.quantity}@{report.entry_price}"):
                self._event(event)
            return
        self._event(event)
        self._clear(case)
        lifecycle = verdict.lifecycle
        update = msgspec.structs.replace(
            _refresh(case, row, report),
            quantity=report.quantity,
            entry_price=report.entry_price,
            clear=("suspected_since_ms",),
        )
        self._out.updates.append(_learned(update, lifecycle))
        if lifecycle is not None:
            self._record_trades(lifecycle, position_id=row.position_id)
        self._observe(case, _decided(verdict), position_id=row.position_id)

    def _closed(self, case: Case, verdict: Close) -> None:
        row = verdict.row
        closed = narrate.closed_position(row, verdict)
        self._out.closed.append(closed)
        announce = self._in.applies or self._is_new(case, MarkKind.GONE, str(row.quantity))
        if announce:
            self._out.events.extend(narrate.closed(verdict, self._in))
        if self._in.applies:
            self._carried_out.add(_spot(case))
            self._clear(case)
            self._write_close(case, verdict)
        self._succeed(case, verdict, announce=announce)

    def _write_close(self, case: Case, verdict: Close) -> None:
        row, lifecycle = verdict.row, verdict.lifecycle
        self._out.closes.append(
            ClosePosition(
                position_id=row.position_id,
                version=row.version,
                details=verdict.details,
                symbol=row.symbol if row.symbol != row.written_symbol else None,
                contract_size=case.instrument.contract_size if case.instrument is not None else None,
                entry_price=lifecycle.entry_price if lifecycle is not None else None,
                opened_at_ms=lifecycle.opened_at_ms if lifecycle is not None else None,
                opening_order_id=lifecycle.opening_order_id if lifecycle is not None else None,
            )
        )
        if lifecycle is not None:
            self._record_trades(lifecycle, position_id=row.position_id)
        funding_read = case.history is not None and case.history.funding is not None
        if can_get_better(verdict.details, funding_read=funding_read):
            self._out.effects.append(narrate.amend_effect(row, verdict.details, self._in))
        self._exit_order(case, verdict.details.closing_order_id, row.position_id, lifecycle)
        self._cancel_orders(case, row, verdict)
        self._observe(case, _decided(verdict), position_id=row.position_id)

    def _cancel_orders(self, case: Case, row: Position, verdict: Close) -> None:
        """In protect mode the ended lifecycle's own closing orders are to go, whichever list they are in."""
        fired = verdict.details.closing_order_id
        record = _record_of(case, fired)
        parent = record.parent_order_id if record is not None else None
        for order in self._in.recorded:
            if order.position_id != row.position_id or not order.closing or order.order_list is OrderList.ATTACHED:
                continue
            if order.status is not OrderStatus.OPEN or order.order_id == fired:
                continue
            if order.order_id == parent:
                self._out.forget_orders.append((order.symbol, order.order_id, OrderStatus.TRIGGERED))
            elif self._in.mode is AccountMode.PROTECT:
                cancel = cancel_of(order, row.side, "position_closed")
                self._out.effects.append(narrate.cancel_effect(cancel, row.position_id, self._in))

    def _succeed(self, case: Case, verdict: Close, *, announce: bool) -> None:
        """Lifecycles after the closed one: whole ones are recorded as they ended, an open one is adopted."""
        for lifecycle in verdict.successors:
            if lifecycle.close is not None:
                self._missed(case, lifecycle, lifecycle.close, _decided(verdict))
            elif verdict.report is not None and case.policy.adoption.what != "ignore":
                self._reopened(case, verdict, verdict.report, lifecycle, announce=announce)

    def _missed(self, case: Case, lifecycle: Lifecycle, close: CloseDetails, observed: tuple[str, str]) -> None:
        """A lifecycle that no look saw and no row records."""
        identity = _identity(case, lifecycle)
        ended = (case.key.symbol, lifecycle.side, close.closed_at_ms, close.closing_order_id)
        if identity in self._lifecycles or ended in self._in.ended:
            return
        if any(_may_be(row, case, lifecycle, close) for row in self._standing):
            return
        if self._in.applies and case.policy.adoption.what == "adopt":
            self._lifecycles.add(identity)
            why = "opened and closed between two looks"
            self._insert(case, lifecycle, None, unverified=False, why=why, observed=observed)

    def _reopened(
        self, case: Case, verdict: Close, report: PositionReport, lifecycle: Lifecycle, *, announce: bool
    ) -> None:
        """The open lifecycle after the closed one; a bot that writes its own rows is given its time for this one too."""
        adoption = case.policy.adoption
        if adoption.after_ms and self._in.applies and not case.approved:
            fresh = msgspec.structs.replace(case, mark=None)
            seen = sighting(fresh, MarkKind.MISSING, "", counts=True)
            why = f"reopened; a bot is given {adoption.after_ms // 1000} s to write its own row"
            self._rejected(fresh, Reject(report=report, mark=seen, why=why, wait_ms=adoption.after_ms))
            return
        hold = adoption.what == "hold" and not case.approved
        why = f"reopened by order {lifecycle.opening_order_id}"
        adopt = Adopt(report=report, lifecycle=lifecycle, unverified=False, hold=hold, why=why)
        self._adopt(case, adopt, decided=verdict, announce=announce)

    def _adopt(self, case: Case, verdict: Adopt, *, decided: Verdict, announce: bool | None = None) -> None:
        """`announce` is given where the key's mark speaks of something else: whether to tell it in a book not written."""
        position = narrate.adopted_position(case, verdict, self._in)
        if verdict.hold:
            opening = verdict.lifecycle.opening_order_id if verdict.lifecycle is not None else "unverified"
            summary = f"adopt {position.side.value} {position.quantity} {position.symbol}: {verdict.why}"
            fingerprint = f"{case.key.symbol}:{case.key.side.value}:{opening}"
            self._hold(HoldKind.ADOPTION, fingerprint, [(case, position)], summary)
            return
        self._out.added.append(position)
        if not self._in.applies:
            if announce if announce is not None else self._is_new(case, MarkKind.MISSING, ""):
                self._event(narrate.missing_detected(case, verdict.report, self._in))
            return
        self._carried_out.add(_spot(case))
        if case.row is None:
            self._clear(case)
        self._insert(
            case,
            verdict.lifecycle,
            verdict.report,
            unverified=verdict.unverified,
            why=verdict.why,
            observed=_decided(decided),
        )

    def _insert(
        self,
        case: Case,
        lifecycle: Lifecycle | None,
        report: PositionReport | None,
        *,
        unverified: bool,
        why: str,
        observed: tuple[str, str],
    ) -> None:
        """`observed`: the name of the function that decided it, and its output."""
        self._tag += 1
        tag = str(self._tag)
        new = narrate.new_position(case, lifecycle, report, self._in, unverified=unverified, tag=tag)
        self._out.opens.append(new)
        if report is None and lifecycle is not None:
            self._out.added_closed.append(narrate.inserted_closed(new))
        self._event(narrate.added(new, why, self._in))
        if lifecycle is not None:
            self._record_trades(lifecycle, key=new.key, tag=tag)
            if lifecycle.close is not None:
                self._exit_order(case, lifecycle.close.closing_order_id, None, lifecycle, key=new.key, tag=tag)
        self._out.observations.append(
            Observation(
                account=self._in.account,
                at_ms=self._in.now_ms,
                name=observed[0],
                input=to_json(case),
                output=observed[1],
                key=new.key,
                tag=tag,
            )
        )

    def _rejected(self, case: Case, verdict: Reject) -> None:
        self._undecided.add(_spot(case))
        self._out.rejected.append(Quarantined(symbol=verdict.report.symbol, problem=verdict.why))
        if case.mark is None:
            self._event(narrate.missing_rejected(case, verdict, self._in))
        self._mark(case, verdict.mark)
        self._out.wait(verdict.wait_ms)

    def _suspect(self, case: Case, verdict: Suspect) -> None:
        row = verdict.row
        self._undecided.add(_spot(case))
        since = row.suspected_since_ms or self._in.now_ms
        position = narrate.suspected(row, since)
        if verdict.inconclusive is not None:
            summary = f"{case.key.symbol} {case.key.side.value} is not on the venue: {verdict.why}"
            self._hold(HoldKind.INCONCLUSIVE, verdict.inconclusive, [(case, position)], summary)
        else:
            self._out.suspected.append(position)
        if case.mark is None:
            self._event(narrate.newly_suspected(verdict, self._in))
        self._mark(case, verdict.mark)
        self._suspend(row)
        self._out.wait(verdict.wait_ms)

    # account-wide rules

    def _absences(self, absences: list[tuple[Case, Close]]) -> None:
        open_to_us = [(case, close) for case, close in absences if not case.approved]
        about_book = [hold for hold in self._in.holds if hold.kind is not HoldKind.ADOPTION]
        refused = {key for hold in about_book if hold.state is HoldState.REJECTED for key in hold.keys}
        held = [(case, close) for case, close in open_to_us if _spot(case) in refused]
        if open_to_us and self._too_many(len(open_to_us)):
            held = open_to_us
        if held:
            self._hold_absences(held)
        waiting = {_spot(case) for case, _ in held}
        for case, close in absences:
            if _spot(case) not in waiting:
                self._closed(case, close)

    def _hold_absences(self, held: list[tuple[Case, Close]]) -> None:
        positions = [(case, narrate.suspected(close.row, self._in.now_ms)) for case, close in held]
        fingerprint = ",".join(str(number) for number in sorted(close.row.position_id for _, close in held))
        summary = f"{len(held)} of {self._in.active_count} positions vanished and nothing but their absence says so"
        self._hold(HoldKind.MASS_CLOSE, fingerprint, positions, summary)
        for case, _ in held:
            self._undecided.add(_spot(case))
            if case.mark is not None:
                self._mark(case, case.mark)

    def _too_many(self, now: int) -> bool:
        """Rule 1. The share is taken of what the account held before the window's first absence."""
        before = self._in.active_count + self._in.recent_absences
        gone = now + self._in.recent_absences
        empties = before >= 2 and now == self._in.active_count
        return empties or Decimal(gone) > self._in.mass_close_fraction * before

    def _hold(self, kind: HoldKind, fingerprint: str, about: list[tuple[Case, Position]], summary: str) -> None:
        self._undecided.update(_spot(case) for case, _ in about)
        positions = tuple(position for _, position in about)
        same = [hold for hold in self._in.holds if hold.kind is kind and hold.fingerprint == fingerprint]
        rejected = next((hold for hold in same if hold.state is HoldState.REJECTED), None)
        standing = next((hold for hold in same if hold.state in (HoldState.OPEN, HoldState.APPROVED)), None)
        if rejected is not None:
            self._out.suspected.extend(position for position in positions if position.position_id)
            return
        if standing is not None or not self._in.applies:
            hold_id = standing.hold_id if standing is not None else None
            self._out.held.append(HeldGroup(kind=kind, positions=positions, summary=summary, hold_id=hold_id))
            return
        keys = tuple((case.key.symbol, case.key.side) for case, _ in about)
        self._out.held.append(
            HeldGroup(kind=kind, positions=positions, summary=summary, new_index=len(self._out.holds))
        )
        new = NewHold(
            account=self._in.account,
            kind=kind,
            fingerprint=fingerprint,
            keys=keys,
            position_ids=tuple(position.position_id for position in positions if position.position_id),
            summary=summary,
            raised_at_ms=self._in.now_ms,
        )
        self._out.holds.append(new)
        self._event(narrate.hold_raised(new, self._in))
        for case, position in about:
            if position.position_id and case.row is not None:
                self._suspend(case.row)

    def _suspend(self, row: Position) -> None:
        """Marks the row as suspected, once."""
        already = any(update.position_id == row.position_id for update in self._out.updates)
        if already or not self._in.applies or row.suspected_since_ms is not None:
            return
        self._out.updates.append(
            UpdatePosition(
                position_id=row.position_id,
                version=row.version,
                symbol=row.symbol if row.symbol != row.written_symbol else None,
                suspected_since_ms=self._in.now_ms,
            )
        )

    def _review_holds(self, looked: set[tuple[str, Side]]) -> None:
        """Approved holds were carried out by this look; a hold that nothing supports any more is withdrawn."""
        if not self._in.applies or self._out.look_again:
            return
        standing = {group.hold_id for group in self._out.held if group.hold_id is not None}
        for hold in self._in.holds:
            if hold.kind is HoldKind.IDENTITY or hold.hold_id in standing:
                continue
            state = self._next_state(hold, looked)
            if state is not None:
                self._out.hold_updates.append(HoldUpdate(hold_id=hold.hold_id, state=state, at_ms=self._in.now_ms))
                self._event(narrate.hold_ended(hold, state, self._in))

    def _next_state(self, hold: Hold, looked: set[tuple[str, Side]]) -> HoldState | None:
        """What becomes of a hold that this look did not raise; None: it stands as it is."""
        keys = set(hold.keys)
        if hold.state is HoldState.REJECTED:
            about_book = hold.kind is not HoldKind.ADOPTION
            ended = bool(keys & self._seen) if about_book else not keys & looked
            return HoldState.WITHDRAWN if ended else None
        if hold.state is HoldState.APPROVED and keys & self._carried_out:
            return HoldState.DONE
        replaced = keys & {(shown.symbol, shown.side) for group in self._out.held for shown in group.positions}
        if keys & self._undecided and not keys & self._seen_again(hold) and not replaced:
            return None
        return HoldState.WITHDRAWN

    def _seen_again(self, hold: Hold) -> set[tuple[str, Side]]:
        """Keys whose sight ends a hold about the book's rows; an adoption is about what is seen."""
        return self._seen if hold.kind is not HoldKind.ADOPTION else set()

    def _review_marks(self, looked: set[PositionKey]) -> None:
        """Marks of what neither side has any more, and of a lifecycle that ended here."""
        ended = {key for key in looked if (key.symbol, key.side) in self._carried_out}
        for mark in self._in.marks:
            gone = mark.key not in looked
            if gone or (mark.kind is MarkKind.UNPROTECTED and mark.key in ended):
                self._out.clear_marks.append((mark.key, mark.kind))

    # writing

    def _record_trades(
        self, lifecycle: Lifecycle, *, position_id: int | None = None, key: PositionKey | None = None, tag: str = ""
    ) -> None:
        self._out.trades += recorded_trades(self._in.account, lifecycle, position_id=position_id, key=key, tag=tag)

    def _exit_order(
        self,
        case: Case,
        order_id: str | None,
        position_id: int | None,
        lifecycle: Lifecycle | None,
        *,
        key: PositionKey | None = None,
        tag: str = "",
    ) -> None:
        """The order that took it to zero, as far as fills and history tell."""
        if order_id is None:
            return
        record = _record_of(case, order_id)
        parts = [p for p in lifecycle.parts if p.fill.order_id == order_id and not p.opening] if lifecycle else []
        fill = parts[-1].fill if parts else None
        known = next((order for order in self._in.recorded if order.order_id == order_id), None)
        kind = record.kind if record is not None else fill.order_kind if fill is not None else None
        filled = record.filled_quantity if record is not None else None
        average = record.average_price if record is not None else None
        if parts and case.instrument is not None:
            filled = sum((part.quantity for part in parts), Decimal(0))
            average = amounts.average_price(parts, case.instrument)
        side = case.key.side if lifecycle is None else lifecycle.side
        self._out.orders.append(
            RecordedOrder(
                account=self._in.account,
                symbol=case.key.symbol,
                order_id=order_id,
                client_order_id=(record.client_order_id if record else None)
                or (fill.client_order_id if fill else None),
                position_id=position_id,
                key=key,
                tag=tag,
                order_list=known.order_list if known is not None else OrderList.REGULAR,
                kind=kind or (known.kind if known is not None else OrderKind.OTHER),
                order_side=side.exit_side,
                status=OrderStatus.FILLED,
                quantity=filled,
                filled_quantity=filled,
                average_price=average,
                trigger_price=record.trigger_price if record is not None else None,
                closing=True,
                ours=known.ours if known is not None else False,
                is_exit=True,
                seen_at_ms=self._in.now_ms,
            )
        )

    def _observe(self, case: Case, observed: tuple[str, str], *, position_id: int) -> None:
        self._out.observations.append(
            Observation(
                account=self._in.account,
                at_ms=self._in.now_ms,
                name=observed[0],
                input=to_json(case),
                output=observed[1],
                position_id=position_id,
            )
        )

    def _event(self, event: NewEvent) -> None:
        self._out.events.append(event)

    def _is_new(self, case: Case, kind: MarkKind, detail: str) -> bool:
        """Where the book is not written a finding stands until it is mended: whether it is to be told now. Marks it as told."""
        mark, new = told(sighting(case, kind, detail, counts=True))
        self._mark(case, mark)
        return new

    def _mark(self, case: Case, mark: Mark) -> None:
        """Sets the key's mark in the place of one of another kind."""
        if case.mark is not None and case.mark.kind is not mark.kind:
            self._clear(case)
        self._out.marks.append(mark)

    def _clear(self, case: Case) -> None:
        if case.mark is not None:
            self._out.clear_marks.append((case.key, case.mark.kind))


def _may_be(row: Position, case: Case, lifecycle: Lifecycle, close: CloseDetails) -> bool:
    """Whether a row that is not decided yet is that lifecycle's: it will close with it."""
    if row.symbol != case.key.symbol or row.side is not lifecycle.side:
        return False
    if row.verified_as_of_ms is not None and shown_at(row)[0] >= close.closed_at_ms:
        return False
    if row.opening_order_id is not None:
        return row.opening_order_id == lifecycle.opening_order_id
    return lifecycle.opened_at_ms - case.policy.new_row_grace_ms <= row.opened_at_ms <= close.closed_at_ms


def _decided(verdict: Verdict) -> tuple[str, str]:
    """For the record of an observation: by what it was decided, and how."""
    return "decide_key", narrate.verdict_json(verdict)


def _spot(case: Case) -> tuple[str, Side]:
    return case.key.symbol, case.key.side


def _identity(case: Case, lifecycle: Lifecycle) -> tuple[str, Side, str]:
    """What tells a lifecycle from any other: its first fill."""
    return case.key.symbol, lifecycle.side, lifecycle.parts[0].fill.trade_id if lifecycle.parts else ""


def _record_of(case: Case, order_id: str | None) -> OrderRecord | None:
    """What the venue's order history says of that order, as far as it was read."""
    orders = case.history.orders if case.history is not None else None
    return orders.get(order_id) if orders is not None and order_id is not None else None


def _learned(update: UpdatePosition, lifecycle: Lifecycle | None) -> UpdatePosition:
    """The same, with what the row's fills tell of its beginning."""
    if lifecycle is None:
        return update
    return msgspec.structs.replace(
        update,
        realized_pnl=lifecycle.realized_pnl,
        opened_at_ms=lifecycle.opened_at_ms,
        opening_order_id=lifecycle.opening_order_id,
    )


def _refresh(case: Case, row: Position, report: PositionReport, *, settled: bool = True) -> UpdatePosition:
    """What a verified row learns from the venue."""
    return UpdatePosition(
        position_id=row.position_id,
        version=row.version,
        symbol=row.symbol if row.symbol != row.written_symbol else None,
        contract_size=report.contract_size,
        current_price=report.mark_price,
        leverage=report.leverage,
        venue_updated_at_ms=report.updated_at_ms if settled else None,
        verified_as_of_ms=case.as_of_ms,
        clear=("suspected_since_ms",) if row.suspected_since_ms is not None else (),
    )
