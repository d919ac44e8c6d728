"""One account's reconciler: look at everything, decide, commit, derive memory from what was committed.

1. Every look starts from the store and the venue anew; nothing decided before an await is trusted after it: the store refuses a
   row that changed meanwhile, and the look is taken again.
2. A look that is not complete changes nothing of the account.
3. The key's identity is checked at the first look, and again before anything that differs is decided; another account's answer
   changes nothing.
4. Orders are read before positions: an order whose position is not there then has none.
5. What was decided on the stream meanwhile is newer than a view that began before it: the key is looked at again.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import structlog

from trueup.core import narrate, review
from trueup.core.agreement import Agreed, agree
from trueup.core.cases import Case, Close, Ending, LookAgain, Refused, Verdict, Verified
from trueup.core.decide import decide_key
from trueup.core.holding import is_approved
from trueup.core.rebuild import endings
from trueup.core.records import known_orders, recorded_opening
from trueup.core.settle import settle
from trueup.core.settlement import Settlement
from trueup.core.situation import Situation
from trueup.core.young import dated
from trueup.engine.histories import Histories
from trueup.engine.identity import IdentityCheck
from trueup.engine.looks import FoundTrue, Look, LookOptions, found_true, opened
from trueup.engine.telling import Teller
from trueup.engine.view import Keys, Scope, Union, unite
from trueup.model.changes import ActiveBook, ChangeSet, Committed, RecordedOrder
from trueup.model.errors import ClockSkewed, Conflict, RowsRefused, Unobserved
from trueup.model.events import EventType
from trueup.model.holds import Hold, HoldState, Mark, MarkKind
from trueup.model.observations import ClockReading, OrdersSnapshot, PositionsSnapshot, Quarantined
from trueup.model.orders import OrderList, OrderStatus
from trueup.model.positions import AccountMode, Position, PositionKey
from trueup.model.reports import HeldReport

if TYPE_CHECKING:
    from trueup.engine.settings import AccountPlan
    from trueup.model.instruments import InstrumentCatalog
    from trueup.ports import Clock, Owner, Store, Venue

__all__ = ["AccountReconciler"]

_log = structlog.get_logger("trueup.engine")

_REFUSED_S = 600.0
"""So long after the database refused a new row it is not tried again."""

_TAKEN = Refused()

_LOOKS = 4
"""How often a look is taken again at once because something moved under it."""

_MEASURE_EVERY_S = 300.0

_LEARN_TRIES = 5
"""So often a row's beginning is asked for: the fills of a fresh one may not be visible yet."""


@dataclass
class _Known:
    """What the store says before a look."""

    marks: dict[tuple[PositionKey, bool], Mark]
    holds: list[Hold]
    recorded: list[RecordedOrder]
    paused: bool
    trailing: int

    def recorded_of(self, row: Position) -> Sequence[RecordedOrder]:
        return self._by_row.get(row.position_id, ())

    @cached_property
    def _by_row(self) -> dict[int | None, list[RecordedOrder]]:
        found: dict[int | None, list[RecordedOrder]] = {}
        for order in self.recorded:
            found.setdefault(order.position_id, []).append(order)
        return found


class AccountReconciler:
    """Keeps one account's book true to its venue.

    Attributes:
        found_true: By the newest look that wrote the book; None: none did yet.
        identity: Whose account the key answers for.
    """

    def __init__(self, plan: AccountPlan, venue: Venue, store: Store, clock: Clock) -> None:
        self.plan = plan
        self.venue = venue
        self._store = store
        self._teller = Teller(plan, store, clock)
        self._clock = clock
        self.identity = IdentityCheck(plan, venue, store, clock)
        self._scope: Scope | None = None
        self._keys = Keys(plan.name)
        self._reading: ClockReading | None = None
        self._measured_at_s = 0.0
        self._dry_marks: list[Mark] = []
        self.found_true: FoundTrue | None = None
        self._tried: dict[int, int] = {}
        self._heard_until: dict[PositionKey, int] = {}
        self._refused: dict[tuple[str, bool], tuple[str, float]] = {}

    def venue_now_ms(self) -> int:
        """The venue's time now, as far as its clock was measured."""
        return self._clock.now_ms() + (self._reading.skew_ms if self._reading is not None else 0)

    async def look(self, owner: Owner, options: LookOptions) -> Look:
        """One complete look, committed.

        Raises:
            Unobserved: The venue did not answer completely; nothing was changed.
            AuthenticationRefused: It refuses the key; nothing was changed.
            AccountMismatch: The key answers for another account; nothing was changed.
            NotOwner: Another process took the account over; nothing was changed.
        """
        catalog = await self.venue.catalog()
        if self._scope is None:
            self._scope = Scope.of(self.plan.name, self.plan.symbols, self.plan.ignore_symbols, catalog)
        reading = await self._measured()
        await self.identity.check(owner, record=options.record, first=True)
        why = ""
        for attempt in range(_LOOKS):
            try:
                look = await self._once(owner, options, catalog, last=attempt == _LOOKS - 1)
            except Conflict as conflict:
                why = str(conflict)
                continue
            except ClockSkewed:
                self._reading = None
                raise
            if look is not None:
                look.clock = reading
                return look
            await self._clock.sleep(max(1, reading.uncertainty_ms) / 1000)
        raise Unobserved(
            f"account {self.plan.name}", f"the book or the venue changed under each of {_LOOKS} looks: {why}"
        )

    async def _measured(self) -> ClockReading:
        """The clocks' difference, measured anew once it is old or the venue refused a timestamp."""
        now = self._clock.monotonic_s()
        if self._reading is None or now - self._measured_at_s >= _MEASURE_EVERY_S:
            self._reading = await self.venue.clock()
            self._measured_at_s = now
        return self._reading

    async def _once(self, owner: Owner, options: LookOptions, catalog: InstrumentCatalog, *, last: bool) -> Look | None:
        """One look; None: the view was older than what is known, take a newer one."""
        began_s = self._clock.monotonic_s()
        self._refused = {new: told for new, told in self._refused.items() if began_s - told[1] < _REFUSED_S}
        orders = await self.venue.open_orders() if options.orders else None
        view = await self.venue.positions()
        book = await self._store.active(self.plan.name)
        known = await self._known(options)
        applies = options.apply and options.record and self.plan.mode is not AccountMode.OBSERVE and not known.paused
        assert self._scope is not None
        union = unite(self.plan.name, book, view, catalog, self._scope, self._keys)
        learn = self._to_learn(union, options.learn)
        agreed, undecided = self._agreed(union, view, known, learn)
        cases = [self._case(key, union, view, known, catalog, learn) for key in undecided]
        fresh, overtaken = self._split_overtaken(cases, view)
        decided = [*await Histories(self.venue).decide(await self._with_trades(fresh)), *overtaken]
        if not last and any(isinstance(verdict, LookAgain) for _, verdict in decided):
            return None
        if any(not isinstance(verdict, Verified) for _, verdict in decided):
            await self.identity.check(owner, record=options.record)
        situation = Situation(
            account=self.plan.name,
            venue=self.plan.venue,
            mode=self.plan.mode,
            applies=applies,
            now_ms=self._clock.now_ms(),
            active_count=len(book.positions) + len(book.unreadable),
            recent_absences=await self._recent_absences(decided_absence=any(_is_absence(v) for _, v in decided)),
            mass_close_fraction=self.plan.mass_close_fraction,
            holds=tuple(known.holds),
            recorded=tuple(known.recorded),
            ended=await self._ended(decided),
            marks=tuple(known.marks.values()),
            agreed=agreed,
        )
        settlement = settle(decided, situation)
        look = Look(
            settlement=settlement,
            quarantined=union.quarantined,
            reports=union,
            as_of_ms=view.as_of_ms,
            applied=applies,
            orders=orders,
            unprotected_since={key: mark for (key, naked), mark in known.marks.items() if naked},
            wait_ms=settlement.wait_ms,
            trailing=known.trailing,
        )
        self._blocked_reports(look, union)
        if orders is not None:
            self._review(look, orders, known, situation)
            open_ids = {row.position_id for row in book.positions} | {row.position_id for row in book.unreadable}
            self._sweep_records(look, orders, known, situation, open_ids)
        committed = await self._commit(owner, look, book, situation, options)
        if applies:
            self.found_true = found_true(began_s, decided, settlement, committed)
        return look

    def _split_overtaken(
        self, cases: list[Case], view: PositionsSnapshot
    ) -> tuple[list[Case], list[tuple[Case, Verdict]]]:
        """Cases that this view may decide, and those of which the stream told something newer."""
        self._heard_until = {key: at for key, at in self._heard_until.items() if at >= view.as_of_ms}
        fresh = [case for case in cases if case.key not in self._heard_until]
        overtaken: list[tuple[Case, Verdict]] = [
            (case, LookAgain(why=f"the stream told of {case.key} after this view began"))
            for case in cases
            if case.key in self._heard_until
        ]
        return fresh, overtaken

    def _to_learn(self, union: Union, limit: int) -> set[PositionKey]:
        """A few rows a look have the past read that tells their opening: what the stream says can then close them."""
        chosen: set[PositionKey] = set()
        if limit:
            unlearned = (key for key, row in union.rows.items() if key in union.reports and self._is_unlearned(row))
            chosen.update(itertools.islice(unlearned, limit))
        if len(self._tried) > len(union.rows):
            open_ids = {row.position_id for row in union.rows.values()}
            self._tried = {row_id: tries for row_id, tries in self._tried.items() if row_id in open_ids}
        for key in chosen:
            position_id = union.rows[key].position_id
            self._tried[position_id] = self._tried.get(position_id, 0) + 1
        return chosen

    def _is_unlearned(self, row: Position) -> bool:
        return row.opening_order_id is None and self._tried.get(row.position_id, 0) < _LEARN_TRIES

    def _agreed(
        self, union: Union, view: PositionsSnapshot, known: _Known, learn: set[PositionKey]
    ) -> tuple[Agreed, list[PositionKey]]:
        """Rows that need no verdict, and the keys of both sides that do."""
        marked = {key for key, naked in known.marks if not naked}
        agreed, undecided = agree(
            union.rows,
            union.reports,
            as_of_ms=view.as_of_ms,
            refresh_after_ms=self.plan.policy.refresh_after_ms,
            doubtful={*marked, *self._heard_until, *learn},
        )
        if len(union.reports) > len(agreed):
            undecided += [key for key in union.reports if key not in union.rows and not self._is_blocked(key, union)]
        return agreed, undecided

    async def commit_heard(
        self, owner: Owner, decided: list[tuple[Case, Verdict]], settlement: Settlement, situation: Situation
    ) -> None:
        """Commits what the stream proved; views that began before it no longer decide on its keys.

        Raises:
            Conflict: A row changed meanwhile; nothing was written.
            NotOwner: Another process took the account over; nothing was written.
        """
        committed = await self._write(owner, settlement.change_set(self.plan.name, situation.now_ms))
        for case, _ in decided:
            for key in (case.key, case.key._replace(side=case.key.side.opposite)):
                self._heard_until[key] = max(case.as_of_ms, self._heard_until.get(key, 0))
        if self.found_true is not None:
            for close in settlement.closes:
                self.found_true.keys.pop(close.position_id, None)
            self.found_true.keys.update(opened(settlement, committed))

    async def _known(self, options: LookOptions) -> _Known:
        """What the book has beside its rows; of what there is none nothing is read."""
        name = self.plan.name
        stands = await self._store.standing(name)
        states = (HoldState.OPEN, HoldState.APPROVED, HoldState.REJECTED)
        marks = self._dry_marks
        if options.record:
            marks = await self._store.marks(name) if stands.marks else []
        return _Known(
            marks={(mark.key, mark.kind is MarkKind.UNPROTECTED): mark for mark in marks},
            holds=await self._store.holds(account=name, states=states) if stands.holds else [],
            recorded=await self._store.recorded_orders(name) if stands.orders else [],
            paused=stands.paused,
            trailing=stands.trailing,
        )

    async def _recent_absences(self, *, decided_absence: bool) -> int:
        if not decided_absence:
            return 0
        since = self._clock.now_ms() - self.plan.mass_close_window_ms
        return await self._store.count_events(EventType.CLOSED_ON_ABSENCE, account=self.plan.name, since_ms=since)

    async def _ended(self, decided: list[tuple[Case, Verdict]]) -> Mapping[PositionKey, tuple[Ending, ...]]:
        """What the book has as ended, read where a verdict would record lifecycles that ended since its row's.

        They may have a row already: one side of a symbol is decided later than the other when its row is young.
        """
        since = [verdict for _, verdict in decided if isinstance(verdict, Close) and verdict.successors]
        if not since:
            return {}
        return endings(await self._store.positions(status="closed", account=self.plan.name))

    def _is_blocked(self, key: PositionKey, union: Union) -> bool:
        return key not in union.rows and key.symbol in union.blocked

    def _blocked_reports(self, look: Look, union: Union) -> None:
        for key in union.reports if union.blocked else ():
            if self._is_blocked(key, union):
                problem = "not adopted: a row of the book for this symbol could not be read; mend that row first"
                look.settlement.rejected.append(Quarantined(symbol=key.symbol, problem=problem))

    def _case(
        self,
        key: PositionKey,
        union: Union,
        view: PositionsSnapshot,
        known: _Known,
        catalog: InstrumentCatalog,
        learn: set[PositionKey],
    ) -> Case:
        row, policy = union.rows.get(key), self.plan.policy
        unreadable = view.quarantined[0] if view.quarantined else None
        blocked = (
            f"a row of the venue's answer could not be read ({unreadable.symbol}: {unreadable.problem})"
            if unreadable
            else None
        )
        return Case(
            key=key,
            row=dated(row, view.received_at_ms, policy.new_row_grace_ms) if row is not None else None,
            report=union.reports.get(key),
            opposite=union.reports.get(key._replace(side=key.side.opposite)),
            instrument=catalog.get(key.symbol),
            as_of_ms=view.as_of_ms,
            now_ms=view.received_at_ms,
            policy=policy,
            known_orders=known_orders(known.recorded_of(row)) if row is not None and known.recorded else (),
            mark=known.marks.get((key, False)),
            absence_blocked=blocked,
            approved=bool(known.holds) and is_approved(known.holds, (key.symbol, key.side), in_book=row is not None),
            learn=key in learn,
            refused=self._refused_of(key.symbol) if self._refused else _TAKEN,
        )

    def _refused_of(self, symbol: str) -> Refused:
        words = [self._refused.get((symbol, ended), ("", 0.0))[0] for ended in (False, True)]
        return Refused(*words)

    async def _with_trades(self, cases: list[Case]) -> list[tuple[Case, Verdict | None]]:
        """Rows that the view lacks are held against the fills that the store recorded for them, what was never seen open
        against the lifecycles that ended; with the verdict where that had to be known."""
        asking = [case for case in cases if _asks_record(case)]
        ended = await self._ended_before(asking)
        return [await self._with_record(case, ended) if _asks_record(case) else (case, None) for case in cases]

    async def _with_record(
        self, case: Case, ended: Mapping[PositionKey, tuple[Ending, ...]]
    ) -> tuple[Case, Verdict | None]:
        row = case.row
        if ended and _never_seen(case):
            case = msgspec.structs.replace(case, ended=ended.get(case.key, ()))
        if row is None:
            return case, None
        verdict = decide_key(case) if case.report is not None else None
        if isinstance(verdict, Verified):
            return case, verdict
        trades = await self._store.trades_of(row.position_id)
        recorded = await self._store.orders_of(row.position_id)
        known = msgspec.structs.replace(
            case,
            recorded_trade_ids=tuple(trade.fill.trade_id for trade in trades),
            recorded_opening=recorded_opening(trades),
            known_orders=known_orders(recorded),
        )
        return known, None

    async def _ended_before(self, cases: list[Case]) -> Mapping[PositionKey, tuple[Ending, ...]]:
        """A bot may write its row after the lifecycle was adopted and has ended; a view may show one that has ended as open."""
        if not any(_never_seen(case) for case in cases):
            return {}
        return endings(await self._store.positions(status="closed", account=self.plan.name))

    def _review(self, look: Look, orders: OrdersSnapshot, known: _Known, situation: Situation) -> None:
        """Open orders against what is open after this look's decisions."""
        settlement, account = look.settlement, self.plan.name
        closed = {close.position_id for close in settlement.closes}
        open_rows = {key: row for key, row in look.reports.rows.items() if row.position_id not in closed}
        open_keys: dict[PositionKey, int | None] = {key: row.position_id for key, row in open_rows.items()}
        open_keys.update({new.key: None for new in settlement.opens if new.close is None})
        listed = [order for order in orders.orders if self._scope is None or self._scope.has(order.symbol)]
        if situation.applies:
            fresh, gone = review.record_orders(account, listed, open_keys, known.recorded, orders.as_of_ms)
            tags = {new.key: new.tag for new in settlement.opens if new.close is None}
            settlement.orders.extend(
                msgspec.structs.replace(order, tag=tags[order.key]) if order.key in tags else order for order in fresh
            )
            settlement.forget_orders.extend(gone)
        look.quarantined.extend(orders.quarantined)
        held = {*open_keys, *look.reports.reports}
        for orphan in review.orphans_among(account, listed, held, known.recorded, look.as_of_ms):
            self._orphan(look, orphan, situation)

    def _sweep_records(
        self, look: Look, orders: OrdersSnapshot, known: _Known, situation: Situation, open_ids: set[int]
    ) -> None:
        """Recorded as open, of an ended lifecycle, in no list: an effect makes sure (mode protect), else it is forgotten.

        Also where the side is open again: what is there now may be the new lifecycle's, so nothing is cancelled.
        """
        if not situation.applies:
            return
        for order, side in review.left_behind(orders.orders, known.recorded, open_ids, orders.as_of_ms):
            is_open = PositionKey(self.plan.name, order.symbol, side) in look.reports.reports
            acts = self.plan.mode is AccountMode.PROTECT and order.order_list is not OrderList.ATTACHED
            if acts and not is_open:
                cancel = review.cancel_of(order, side, "position_closed")
                look.settlement.effects.append(narrate.cancel_effect(cancel, order.position_id, situation))
            else:
                look.settlement.forget_orders.append((order.symbol, order.order_id, OrderStatus.UNKNOWN))

    def _orphan(self, look: Look, orphan: review.Orphan, situation: Situation) -> None:
        order = orphan.order
        acts = situation.applies and self.plan.mode is AccountMode.PROTECT
        if acts and orphan.cancellable:
            cancel = review.cancel_of(order, orphan.side, "orphaned")
            effect = narrate.cancel_effect(cancel, orphan.position_id, situation)
            if all(other.dedup_key != effect.dedup_key for other in look.settlement.effects):
                look.settlement.effects.append(effect)
            return
        why = "no position is left for it to close"
        if self.plan.mode is AccountMode.PROTECT and not orphan.cancellable:
            why += "; it is not one of ours, so it is left alone: cancel it on the venue"
        look.orphans.append(review.order_report(order, why))

    async def _commit(
        self, owner: Owner, look: Look, book: ActiveBook, situation: Situation, options: LookOptions
    ) -> Committed:
        settlement = look.settlement
        committed = Committed()
        if options.record:
            changes = settlement.change_set(self.plan.name, situation.now_ms)
            if changes.is_empty:
                look.book = book
            else:
                committed = await self._write(owner, changes)
                _log.info(
                    "look.committed", account=self.plan.name, closed=len(settlement.closes), added=len(settlement.opens)
                )
        else:
            self._dry_marks = settlement.marks
        ids = list(committed.position_ids)
        opened = settlement.opens
        by_key = {new.key: ids[place] for place, new in enumerate(opened) if new.close is None and place < len(ids)}
        look.added = [
            msgspec.structs.replace(position, position_id=by_key.get(position.key, 0)) for position in settlement.added
        ]
        closed_ids = [ids[place] for place, new in enumerate(opened) if new.close is not None and place < len(ids)]
        look.settlement.closed.extend(
            msgspec.structs.replace(position, position_id=number)
            for position, number in zip(settlement.added_closed, closed_ids, strict=False)
        )
        for group in settlement.held:
            hold_id = group.hold_id
            if group.new_index is not None and group.new_index < len(committed.hold_ids):
                hold_id = committed.hold_ids[group.new_index]
            look.held.append(
                HeldReport(hold_id=hold_id or 0, kind=group.kind, positions=group.positions, summary=group.summary)
            )
        return committed

    async def _write(self, owner: Owner, changes: ChangeSet) -> Committed:
        """Commits. New rows that the database refuses are not tried again for ten minutes.

        Raises:
            Conflict: A row changed meanwhile, or new rows were refused; nothing was written, look again.
            NotOwner: Another process took the account over; nothing was written.
        """
        try:
            return await self._teller.commit(owner, changes)
        except RowsRefused as refused:
            now_s = self._clock.monotonic_s()
            for place, words in refused.problems.items():
                new = changes.opens[place]
                _log.error("row.refused", account=self.plan.name, symbol=new.key.symbol, problem=words)
                why = f"the database refuses its row: {words}"
                self._refused[new.key.symbol, new.close is not None] = why, now_s
            raise Conflict(str(refused)) from refused


def _asks_record(case: Case) -> bool:
    """Whether what the store recorded has a say: the view lacks the row, or it was never seen open, or the book lacks it."""
    return case.report is None or _never_seen(case)


def _never_seen(case: Case) -> bool:
    return case.row is None or case.row.verified_as_of_ms is None


def _is_absence(verdict: object) -> bool:
    details = getattr(verdict, "details", None)
    return details is not None and bool(details.estimated)
