"""From the verdicts of one look to one transaction: rows, events, effects, holds and marks of an account.

1. Closes on absence, holds and what ends them: `core.holding`.
2. An account whose book may not be written (observe mode, dry run, paused) gets the same lists and no row changes.
3. Every change of a row has its event, and the case that it was decided on, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from trueup.core import narrate
from trueup.core.agreement import with_report
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
from trueup.core.holding import Holding, is_approved
from trueup.core.marks import REFUSED, refused_row, sighting, told
from trueup.core.rebuild import is_recorded, may_be, shown_at
from trueup.core.records import RowRef, closing, exit_order, learned, observation, recorded_trades, refreshed
from trueup.core.review import cancel_of
from trueup.core.settlement import Settlement
from trueup.core.situation import Situation
from trueup.model.changes import ClosePosition
from trueup.model.events import NewEvent
from trueup.model.holds import HoldKind, Mark, MarkKind
from trueup.model.observations import PositionReport, Quarantined
from trueup.model.orders import OrderList, OrderStatus, Side
from trueup.model.positions import AccountMode, CloseDetails, Evidence, Position, PositionKey
from trueup.model.reports import QuantityChange
from trueup.model.values import to_json

__all__ = ["settle", "settle_amended"]


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
        self._holding = Holding(situation, self._out)
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
                self._holding.seen.add(case.spot)
            if isinstance(verdict, Close) and verdict.details.evidence is Evidence.ABSENCE:
                absences.append((case, verdict))
            else:
                self._one(case, verdict)
        for case, close in self._holding.released(absences):
            self._closed(case, close)
        looked = {case.key for case, _ in decided}
        self._out.agreed = agreed = self._in.agreed
        if self._in.holds or self._in.marks:
            looked.update(agreed.keys)
            self._holding.seen.update((key.symbol, key.side) for key in agreed.keys)
        self._holding.review(looked)
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
        self._event(narrate.amended(row, better, len(amendment.missed), self._in.now_ms))
        observed = (AMENDED, to_json(amendment))
        self._record(case, lifecycle, better.closing_order_id, observed, RowRef(row.position_id))
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
                self._holding.undecided.add(case.spot)
                self._out.suspected.append(verdict.row)
                self._out.wait(verdict.wait_ms)
            case LookAgain():
                self._holding.undecided.add(case.spot)
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
            update = refreshed(case, row, report, settled=verdict.settled)
            self._out.updates.append(learned(update, verdict.lifecycle))
            if verdict.lifecycle is not None:
                self._out.trades += recorded_trades(self._in.account, verdict.lifecycle, RowRef(row.position_id))

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
            refreshed(case, row, report),
            quantity=report.quantity,
            entry_price=report.entry_price,
            clear=("suspected_since_ms",),
        )
        self._out.updates.append(learned(update, lifecycle))
        self._record(case, lifecycle, None, _decided(verdict), RowRef(row.position_id))

    def _closed(self, case: Case, verdict: Close) -> None:
        row = verdict.row
        closed = narrate.closed_position(row, verdict)
        self._out.closed.append(closed)
        announce = self._in.applies or self._is_new(case, MarkKind.GONE, str(row.quantity))
        if announce:
            self._out.events.extend(narrate.closed(verdict, self._in))
        if self._in.applies:
            self._holding.carried_out.add(case.spot)
            self._clear(case)
            self._write_close(case, verdict)
        self._succeed(case, verdict, announce=announce)

    def _write_close(self, case: Case, verdict: Close) -> None:
        row = verdict.row
        self._out.closes.append(closing(case, verdict))
        funding = case.history.funding if case.history is not None else None
        if can_get_better(verdict.details, funding):
            soon = funding is None or not verdict.details.complete
            self._out.effects.append(narrate.amend_effect(row, verdict.details, self._in, soon=soon))
        self._cancel_orders(case, row, verdict)
        ended_by = verdict.details.closing_order_id
        self._record(case, verdict.lifecycle, ended_by, _decided(verdict), RowRef(row.position_id))

    def _cancel_orders(self, case: Case, row: Position, verdict: Close) -> None:
        """In protect mode the ended lifecycle's own closing orders are to go, whichever list they are in."""
        fired = verdict.details.closing_order_id
        record = case.order_record(fired)
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
        ended = self._in.ended.get(case.key._replace(side=lifecycle.side), ())
        if identity in self._lifecycles or is_recorded(lifecycle, ended, case.policy.new_row_grace_ms):
            return
        if any(_may_be(row, case, lifecycle, close) for row in self._standing):
            return
        if not self._in.applies or case.policy.adoption.what != "adopt":
            return
        self._lifecycles.add(identity)
        if case.refused.ended:
            why = f"opened and closed between two looks; {case.refused.ended}"
            self._out.rejected.append(Quarantined(symbol=case.key.symbol, problem=why))
            self._event(narrate.missed_refused(case, lifecycle, close, self._in))
        else:
            why = "opened and closed between two looks"
            self._insert(case, lifecycle, None, unverified=False, why=why, observed=observed)

    def _reopened(
        self, case: Case, verdict: Close, report: PositionReport, lifecycle: Lifecycle, *, announce: bool
    ) -> None:
        """The open lifecycle after the closed one; a bot that writes its own rows is given its time for this one too."""
        adoption = case.policy.adoption
        approved = is_approved(self._in.holds, case.spot, in_book=False)
        if case.refused.active and self._in.applies and (adoption.what == "adopt" or approved):
            fresh = msgspec.structs.replace(case, mark=None)
            self._rejected(fresh, refused_row(fresh, report))
            return
        if adoption.after_ms and self._in.applies and not approved:
            fresh = msgspec.structs.replace(case, mark=None)
            seen = sighting(fresh, MarkKind.MISSING, "", counts=True)
            why = f"reopened; a bot is given {adoption.after_ms // 1000} s to write its own row"
            self._rejected(fresh, Reject(report=report, mark=seen, why=why, wait_ms=adoption.after_ms))
            return
        hold = adoption.what == "hold" and not approved
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
            self._holding.hold(HoldKind.ADOPTION, fingerprint, [(case, position)], summary)
            return
        self._out.added.append(position)
        if not self._in.applies:
            if announce if announce is not None else self._is_new(case, MarkKind.MISSING, ""):
                self._event(narrate.missing_detected(case, verdict.report, self._in))
            return
        self._holding.carried_out.add(case.spot)
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
        close = lifecycle.close if lifecycle is not None else None
        ended_by = close.closing_order_id if close is not None else None
        self._record(case, lifecycle, ended_by, observed, RowRef(key=new.key, tag=tag))

    def _rejected(self, case: Case, verdict: Reject) -> None:
        self._holding.undecided.add(case.spot)
        self._out.rejected.append(Quarantined(symbol=verdict.report.symbol, problem=verdict.why))
        if case.mark is None or (verdict.mark.detail == REFUSED and case.mark.detail != REFUSED):
            self._event(narrate.missing_rejected(case, verdict, self._in))
        self._mark(case, verdict.mark)
        self._out.wait(verdict.wait_ms)

    def _suspect(self, case: Case, verdict: Suspect) -> None:
        row = verdict.row
        self._holding.undecided.add(case.spot)
        since = row.suspected_since_ms or self._in.now_ms
        position = narrate.suspected(row, since)
        if verdict.inconclusive is not None:
            summary = f"{case.key.symbol} {case.key.side.value} is not on the venue: {verdict.why}"
            self._holding.hold(HoldKind.INCONCLUSIVE, verdict.inconclusive, [(case, position)], summary)
        else:
            self._out.suspected.append(position)
        if case.mark is None:
            self._event(narrate.newly_suspected(verdict, self._in))
        self._mark(case, verdict.mark)
        self._holding.suspend(row)
        self._out.wait(verdict.wait_ms)

    def _review_marks(self, looked: set[PositionKey]) -> None:
        """Marks of what neither side has any more, and of a lifecycle that ended here."""
        ended = {key for key in looked if (key.symbol, key.side) in self._holding.carried_out}
        for mark in self._in.marks:
            gone = mark.key not in looked
            if gone or (mark.kind is MarkKind.UNPROTECTED and mark.key in ended):
                self._out.clear_marks.append((mark.key, mark.kind))

    def _record(
        self, case: Case, lifecycle: Lifecycle | None, exit_order_id: str | None, observed: tuple[str, str], of: RowRef
    ) -> None:
        """What is kept of a row that changed: its fills, the order that ended it and what was decided on."""
        if lifecycle is not None:
            self._out.trades += recorded_trades(self._in.account, lifecycle, of)
        if exit_order_id is not None:
            self._out.orders.append(exit_order(case, exit_order_id, lifecycle, self._in, of))
        self._out.observations.append(observation(case, observed, self._in, of))

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
    told, shown_ms = (row.opened_at_ms, row.opening_order_id), shown_at(row)[0]
    opened = (lifecycle.opened_at_ms, lifecycle.opening_order_id)
    seen_ms = shown_ms if row.verified_as_of_ms is not None else None
    return may_be(told, seen_ms, opened, close.closed_at_ms, case.policy.new_row_grace_ms)


def _decided(verdict: Verdict) -> tuple[str, str]:
    """For the record of an observation: by what it was decided, and how."""
    return "decide_key", narrate.verdict_json(verdict)


def _identity(case: Case, lifecycle: Lifecycle) -> tuple[str, Side, str]:
    """What tells a lifecycle from any other: its first fill."""
    return case.key.symbol, lifecycle.side, lifecycle.parts[0].fill.trade_id if lifecycle.parts else ""
