"""From the verdicts of one look to one transaction: rows, events, effects, holds and marks of an account.

1. What absence alone would close is held for a person where it is many: more than the allowed share of the account's positions
   within the window, or all of an account that had two or more. Closes that fills prove go through beside it.
2. A hold that was rejected is not raised again until its positions are seen or its evidence changes.
3. An account whose book may not be written (observe mode, dry run, paused) gets the same lists and no row changes.
4. Every change of a row has its event, and the case that it was decided on, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core import narrate
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
from trueup.model.orders import OrderKind, OrderList, OrderStatus, Side
from trueup.model.positions import AccountMode, Amount, Evidence, Position, PositionKey
from trueup.model.reports import QuantityChange
from trueup.model.values import Value, to_json

__all__ = ["HeldGroup", "Settlement", "settle"]


class HeldGroup(Value, frozen=True, kw_only=True):
    """A hold in the report: an open one by `hold_id`, a new one by its place in the change set, else (not written) neither."""

    kind: HoldKind
    positions: tuple[Position, ...]
    summary: str
    hold_id: int | None = None
    new_index: int | None = None


@dataclass
class Settlement:
    """The transaction and what the report shows of it."""

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

    def wait(self, wait_ms: int | None) -> None:
        """A further look this much later could decide something: the shortest such wait is kept."""
        if wait_ms is not None:
            self.wait_ms = wait_ms if self.wait_ms is None else min(self.wait_ms, wait_ms)


def settle(decided: Sequence[tuple[Case, Verdict]], situation: Situation) -> Settlement:
    """Applies the account-wide rules to the verdicts of one look and writes the transaction."""
    return _Settler(situation).run(decided)


class _Settler:
    def __init__(self, situation: Situation) -> None:
        self._in = situation
        self._out = Settlement()
        self._seen: set[tuple[str, Side]] = set()
        self._tag = 0

    def run(self, decided: Sequence[tuple[Case, Verdict]]) -> Settlement:
        absences: list[tuple[Case, Close]] = []
        for case, verdict in decided:
            if case.report is not None:
                self._seen.add((case.key.symbol, case.key.side))
            if isinstance(verdict, Close) and verdict.details.evidence is Evidence.ABSENCE:
                absences.append((case, verdict))
            else:
                self._one(case, verdict)
        self._absences(absences)
        self._review_holds({case.key for case, _ in decided})
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
                self._adopt(case, verdict)
            case Reject():
                self._rejected(case, verdict)
            case Suspect():
                self._suspect(case, verdict)
            case LeaveYoung():
                self._out.suspected.append(verdict.row)
            case LookAgain():
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
        now = narrate.with_report(row, report)
        self._out.verified.append(now)
        first = row.verified_as_of_ms is None
        if case.mark is not None or row.suspected_since_ms is not None:
            self._event(narrate.suspicion_cleared(row, self._in))
            self._clear(case)
        elif first:
            self._event(narrate.verified(row, report, self._in))
        if verdict.write and self._in.applies:
            self._out.updates.append(_refresh(case, row, report, settled=verdict.settled))

    def _adjusted(self, case: Case, verdict: Adjust) -> None:
        row, report = verdict.row, verdict.report
        changed = narrate.with_report(row, report)
        if row.quantity != report.quantity:
            self._out.changed.append(QuantityChange(position=changed, previous_quantity=row.quantity))
        else:
            self._out.verified.append(changed)
        self._first(
            case, MarkKind.CHANGED, f"{report.quantity}@{report.entry_price}", narrate.adjusted(verdict, self._in)
        )
        if not self._in.applies:
            return
        self._clear(case)
        lifecycle = verdict.lifecycle
        update = _refresh(case, row, report)
        self._out.updates.append(
            UpdatePosition(
                position_id=row.position_id,
                version=row.version,
                symbol=update.symbol,
                quantity=report.quantity,
                contract_size=report.contract_size,
                entry_price=report.entry_price,
                current_price=report.mark_price,
                leverage=report.leverage,
                realized_pnl=lifecycle.realized_pnl if lifecycle is not None else None,
                opened_at_ms=lifecycle.opened_at_ms if lifecycle is not None else None,
                opening_order_id=lifecycle.opening_order_id if lifecycle is not None else None,
                venue_updated_at_ms=report.updated_at_ms,
                verified_as_of_ms=case.as_of_ms,
                clear=("suspected_since_ms",),
            )
        )
        if lifecycle is not None:
            self._record_trades(lifecycle, position_id=row.position_id)
        self._observe(case, verdict, position_id=row.position_id)

    def _closed(self, case: Case, verdict: Close) -> None:
        row = verdict.row
        closed = narrate.closed_position(row, verdict)
        self._out.closed.append(closed)
        for event in narrate.closed(verdict, self._in):
            self._first(case, MarkKind.GONE, "", event) if not self._in.applies else self._event(event)
        if self._in.applies:
            self._clear(case)
            self._write_close(case, verdict)
        self._succeed(case, verdict)

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
        self._exit_order(case, verdict.details.closing_order_id, row.position_id, lifecycle)
        self._cancel_orders(row, verdict)
        self._observe(case, verdict, position_id=row.position_id)

    def _cancel_orders(self, row: Position, verdict: Close) -> None:
        """In protect mode the ended lifecycle's own closing orders are to go, whichever list they are in."""
        if self._in.mode is not AccountMode.PROTECT:
            return
        fired = verdict.details.closing_order_id
        for order in self._in.recorded:
            if order.position_id != row.position_id or not order.closing or order.order_list is OrderList.ATTACHED:
                continue
            if order.status is OrderStatus.OPEN and order.order_id != fired:
                cancel = cancel_of(order, row.side, "position_closed")
                self._out.effects.append(narrate.cancel_effect(cancel, row.position_id, self._in))

    def _succeed(self, case: Case, verdict: Close) -> None:
        """Lifecycles after the closed one: whole ones are recorded as they ended, an open one is adopted."""
        adoption = case.policy.adoption
        for lifecycle in verdict.successors:
            if lifecycle.close is not None:
                if self._in.applies and adoption.what == "adopt":
                    self._insert(case, lifecycle, None, unverified=False)
            elif verdict.report is not None and adoption.what != "ignore":
                hold = adoption.what == "hold" and not case.approved
                why = f"reopened by order {lifecycle.opening_order_id}"
                self._adopt(
                    case,
                    Adopt(report=verdict.report, lifecycle=lifecycle, unverified=False, hold=hold, why=why),
                )

    def _adopt(self, case: Case, verdict: Adopt) -> None:
        position = narrate.adopted_position(case, verdict, self._in)
        if verdict.hold:
            opening = verdict.lifecycle.opening_order_id if verdict.lifecycle is not None else "unverified"
            summary = f"adopt {position.side.value} {position.quantity} {position.symbol}: {verdict.why}"
            self._hold(
                HoldKind.ADOPTION, f"{case.key.symbol}:{case.key.side.value}:{opening}", [(case, position)], summary
            )
            return
        self._out.added.append(position)
        if not self._in.applies:
            self._first(case, MarkKind.MISSING, "", narrate.missing_detected(case, verdict.report, self._in))
            return
        if case.row is None:
            self._clear(case)
        self._insert(case, verdict.lifecycle, verdict.report, unverified=verdict.unverified, verdict=verdict)

    def _insert(
        self,
        case: Case,
        lifecycle: Lifecycle | None,
        report: PositionReport | None,
        *,
        unverified: bool,
        verdict: Adopt | None = None,
    ) -> None:
        self._tag += 1
        tag = str(self._tag)
        new = narrate.new_position(case, lifecycle, report, self._in, unverified=unverified, tag=tag)
        self._out.opens.append(new)
        if report is None and lifecycle is not None:
            self._out.added_closed.append(narrate.inserted_closed(new))
        self._event(
            narrate.added(new, verdict.why if verdict is not None else "opened and closed between two looks", self._in)
        )
        if lifecycle is not None:
            self._record_trades(lifecycle, key=new.key, tag=tag)
            if lifecycle.close is not None:
                self._exit_order(case, lifecycle.close.closing_order_id, None, lifecycle, key=new.key, tag=tag)
        self._out.observations.append(
            Observation(
                account=self._in.account,
                at_ms=self._in.now_ms,
                name="decide_key",
                input=to_json(case),
                output=narrate.verdict_json(verdict) if verdict is not None else "null",
                key=new.key,
                tag=tag,
            )
        )

    def _rejected(self, case: Case, verdict: Reject) -> None:
        self._out.rejected.append(Quarantined(symbol=verdict.report.symbol, problem=verdict.why))
        if case.mark is None:
            self._event(narrate.missing_rejected(case, verdict, self._in))
        self._mark(case, verdict.mark)
        self._out.wait(verdict.wait_ms)

    def _suspect(self, case: Case, verdict: Suspect) -> None:
        row = verdict.row
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
        if self._in.applies and row.suspected_since_ms is None:
            self._out.updates.append(
                UpdatePosition(
                    position_id=row.position_id,
                    version=row.version,
                    symbol=row.symbol if row.symbol != row.written_symbol else None,
                    suspected_since_ms=since,
                )
            )
        self._out.wait(verdict.wait_ms)

    # account-wide rules

    def _absences(self, absences: list[tuple[Case, Close]]) -> None:
        held = [(case, close) for case, close in absences if not case.approved]
        if held and self._too_many(len(held)):
            positions = [(case, narrate.suspected(close.row, self._in.now_ms)) for case, close in held]
            ids = ",".join(
                str(close.row.position_id) for _, close in sorted(held, key=lambda pair: pair[1].row.position_id)
            )
            summary = f"{len(held)} of {self._in.active_count} positions vanished and nothing but their absence says so"
            self._hold(HoldKind.MASS_CLOSE, ids, positions, summary)
            for case, _ in held:
                if case.mark is not None:
                    self._mark(case, case.mark)
            absences = [(case, close) for case, close in absences if case.approved]
        for case, close in absences:
            self._closed(case, close)

    def _too_many(self, now: int) -> bool:
        """Rule 1. The share is taken of what the account held before the window's first absence."""
        before = self._in.active_count + self._in.recent_absences
        gone = now + self._in.recent_absences
        empties = before >= 2 and now == self._in.active_count
        return empties or Decimal(gone) > self._in.mass_close_fraction * before

    def _hold(self, kind: HoldKind, fingerprint: str, about: list[tuple[Case, Position]], summary: str) -> None:
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
            if position.position_id and case.row is not None and case.row.suspected_since_ms is None:
                self._suspend(case, case.row)

    def _suspend(self, case: Case, row: Position) -> None:
        already = any(update.position_id == row.position_id for update in self._out.updates)
        if not already:
            self._out.updates.append(
                UpdatePosition(position_id=row.position_id, version=row.version, suspected_since_ms=self._in.now_ms)
            )

    def _review_holds(self, looked_at: set[PositionKey]) -> None:
        """Approved holds were carried out by this look; a hold that nothing supports any more is withdrawn."""
        if not self._in.applies:
            return
        standing = {group.hold_id for group in self._out.held if group.hold_id is not None}
        looked = {(key.symbol, key.side) for key in looked_at}
        for hold in self._in.holds:
            if hold.kind is HoldKind.IDENTITY:
                continue
            state = self._next_state(hold, standing, looked)
            if state is not None:
                self._out.hold_updates.append(HoldUpdate(hold_id=hold.hold_id, state=state, at_ms=self._in.now_ms))
                self._event(narrate.hold_ended(hold, state, self._in))

    def _next_state(self, hold: Hold, standing: set[int], looked: set[tuple[str, Side]]) -> HoldState | None:
        if self._out.look_again:
            return None
        if hold.state is HoldState.APPROVED:
            return HoldState.DONE
        about_book = hold.kind is not HoldKind.ADOPTION
        if hold.state is HoldState.OPEN and hold.hold_id not in standing:
            return HoldState.WITHDRAWN
        if hold.state is HoldState.REJECTED:
            ended = (
                any(key in self._seen for key in hold.keys) if about_book else not any(k in looked for k in hold.keys)
            )
            return HoldState.WITHDRAWN if ended else None
        return None

    # writing

    def _record_trades(
        self, lifecycle: Lifecycle, *, position_id: int | None = None, key: PositionKey | None = None, tag: str = ""
    ) -> None:
        for part in lifecycle.parts:
            fee = part.share(part.fill.fee)
            asset = part.fill.fee_asset
            self._out.trades.append(
                RecordedTrade(
                    account=self._in.account,
                    position_id=position_id,
                    key=key,
                    tag=tag,
                    fill=part.fill,
                    opening=part.opening,
                    quantity=part.quantity,
                    fees=Amount(asset=asset, amount=fee) if fee is not None and asset is not None else None,
                    realized_pnl=part.realized_pnl,
                )
            )

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
        history = case.history
        record = history.orders.get(order_id) if history is not None and history.orders is not None else None
        parts = [p for p in lifecycle.parts if p.fill.order_id == order_id and not p.opening] if lifecycle else []
        fill = parts[-1].fill if parts else None
        known = next((order for order in self._in.recorded if order.order_id == order_id), None)
        kind = record.kind if record is not None else fill.order_kind if fill is not None else None
        filled = sum((part.quantity for part in parts), Decimal(0)) if parts else None
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
                average_price=lifecycle.close.exit_price
                if lifecycle is not None and lifecycle.close is not None
                else None,
                trigger_price=record.trigger_price if record is not None else None,
                closing=True,
                ours=known.ours if known is not None else False,
                is_exit=True,
                seen_at_ms=self._in.now_ms,
            )
        )

    def _observe(self, case: Case, verdict: Adjust | Close, *, position_id: int) -> None:
        self._out.observations.append(
            Observation(
                account=self._in.account,
                at_ms=self._in.now_ms,
                name="decide_key",
                input=to_json(case),
                output=narrate.verdict_json(verdict),
                position_id=position_id,
            )
        )

    def _event(self, event: NewEvent) -> None:
        self._out.events.append(event)

    def _first(self, case: Case, kind: MarkKind, detail: str, event: NewEvent) -> None:
        """Where the book is not written a finding stands until it is mended: it is told when it is new."""
        if self._in.applies:
            self._event(event)
            return
        mark = case.mark
        if mark is None or mark.kind is not kind or mark.detail != detail:
            self._event(event)
        since = mark.first_at_ms if mark is not None and mark.kind is kind else case.as_of_ms
        count = mark.count + 1 if mark is not None and mark.kind is kind else 1
        self._mark(
            case,
            Mark(key=case.key, kind=kind, first_at_ms=since, last_as_of_ms=case.as_of_ms, count=count, detail=detail),
        )

    def _mark(self, case: Case, mark: Mark) -> None:
        """Sets the key's mark in the place of one of another kind."""
        if case.mark is not None and case.mark.kind is not mark.kind:
            self._clear(case)
        self._out.marks.append(mark)

    def _clear(self, case: Case) -> None:
        if case.mark is not None:
            self._out.clear_marks.append((case.key, case.mark.kind))


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
