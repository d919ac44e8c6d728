"""What a `MemoryStore` keeps, and a commit on it.

1. A commit is checked as a whole first and applied afterwards; applying cannot fail, so nothing is half-written.
2. The rules are the ones that the databases keep with constraints, triggers and compare-and-set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from trueup.model.changes import (
    ChangeSet,
    ClosePosition,
    Committed,
    NewPosition,
    RecordedOrder,
    RecordedTrade,
    UnreadableRow,
    UpdatePosition,
)
from trueup.model.effects import Effect, EffectState, NewEffect
from trueup.model.errors import Conflict, InvariantBroken
from trueup.model.events import Event
from trueup.model.holds import Hold, HoldState, Mark, MarkKind, NewHold
from trueup.model.orders import OrderStatus
from trueup.model.positions import Position, PositionKey, PositionStatus
from trueup.model.times import DAY_MS
from trueup.model.trailing import TrailingRecord
from trueup.model.values import from_json, to_json
from trueup.ports import StoredObservation
from trueup.store import changeset
from trueup.store.changeset import Inserted
from trueup.store.limits import UNBOUND_DAYS, UNBOUND_KEPT

__all__ = ["MemoryCommit", "MemoryRows"]

T = TypeVar("T")


@dataclass
class MemoryRows:
    """The tables that a commit writes, in the order of their ids.

    Attributes:
        active, undone: Those of `positions` and `effects` that everybody asks for again and again.
    """

    positions: dict[int, Position] = field(default_factory=dict)
    unreadable: dict[int, tuple[str, UnreadableRow]] = field(default_factory=dict)
    active: dict[int, Position] = field(default_factory=dict)
    active_keys: dict[PositionKey, int] = field(default_factory=dict)
    orders: dict[tuple[str, str, str], RecordedOrder] = field(default_factory=dict)
    trades: dict[tuple[int, str, str], RecordedTrade] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    effects: dict[int, Effect] = field(default_factory=dict)
    undone: dict[int, Effect] = field(default_factory=dict)
    holds: dict[int, Hold] = field(default_factory=dict)
    marks: dict[tuple[PositionKey, MarkKind], Mark] = field(default_factory=dict)
    trailing: dict[int, TrailingRecord] = field(default_factory=dict)
    observations: dict[int, StoredObservation] = field(default_factory=dict)
    last_ids: dict[str, int] = field(default_factory=dict)

    def next_id(self, table: str) -> int:
        self.last_ids[table] = self.last_ids.get(table, 0) + 1
        return self.last_ids[table]


def second_active(key: PositionKey) -> Conflict:
    return Conflict(
        f"memory store: another active row of {key} is already in the book; nothing was written, read it again"
    )


def _given(value: T | None, standing: T) -> T:
    return standing if value is None else value


class MemoryCommit:
    """One commit on the rows; `run` checks, then applies."""

    def __init__(self, rows: MemoryRows, changes: ChangeSet) -> None:
        self._rows = rows
        self._changes = changes

    def run(self) -> Committed:
        changes, rows = self._changes, self._rows
        moved = self._moves()
        first = rows.last_ids.get("positions", 0) + 1
        position_ids = tuple(range(first, first + len(changes.opens)))
        self._inserted = Inserted(changes.opens, position_ids)
        self._check_keys()
        orders = [
            (order, self._inserted.optional(f"order {order.order_id}", order.position_id, order.key, order.tag))
            for order in changes.orders
        ]
        trades = [
            (trade, self._inserted.need(f"trade {trade.fill.trade_id}", trade.position_id, trade.key, trade.tag))
            for trade in changes.trades
        ]
        effects = [
            (effect, self._inserted.optional(f"effect {effect.dedup_key}", effect.position_id, effect.key))
            for effect in changes.effects
        ]
        named = [linked for _, linked in (*orders, *trades, *effects) if linked is not None]
        named += [record.position_id for record in changes.trailing]
        for position_id in named:
            if position_id not in rows.positions and position_id not in (*position_ids, *rows.unreadable):
                raise InvariantBroken(f"memory store: position {position_id} is named but not in the book")
        self._check_states()
        # Nothing below can fail.
        for position in moved:
            self._put(position)
        for position_id, opened in zip(position_ids, changes.opens, strict=True):
            rows.next_id("positions")
            self._put(self._opened(position_id, opened))
        for order, linked_to in orders:
            self._order(order, linked_to)
        self._forget()
        amended = {closing.position_id for closing in changes.closes if closing.amends}
        for stale in [known for known in rows.trades if known[0] in amended] if amended else ():
            del rows.trades[stale]
        for trade, owned_by in trades:
            kept = msgspec.structs.replace(trade, position_id=owned_by, key=None, tag="")
            rows.trades[owned_by, trade.fill.trade_id, trade.fill.order_id] = kept
        self._effect_updates()
        effect_ids = tuple(self._effect(effect, linked_to) for effect, linked_to in effects)
        self._hold_updates()
        hold_ids = tuple(self._hold(hold) for hold in changes.holds)
        for cleared in changes.clear_marks:
            rows.marks.pop(cleared, None)
        for mark in changes.marks:
            rows.marks[mark.key, mark.kind] = mark
        for record in changes.trailing:
            rows.trailing[record.position_id] = record
        self._observations()
        return Committed(
            position_ids=position_ids, effect_ids=effect_ids, hold_ids=hold_ids, event_ids=tuple(self._events())
        )

    def _standing(self, position_id: int) -> Position:
        position = self._rows.positions.get(position_id)
        if position is None:
            raise changeset.unknown_row(position_id)
        return position

    def _moves(self) -> list[Position]:
        """The new values of rows that are closed, amended or updated."""
        account, moved = self._changes.account, []
        for amends in (False, True):
            for closing in self._changes.closes:
                if closing.amends is not amends:
                    continue
                row = self._standing(closing.position_id)
                if amends:
                    changeset.refuse_amendment(row, account, closing.version, closing.details.evidence)
                else:
                    changeset.refuse_close(row, account, closing.version)
                moved.append(self._closed(row, closing))
        for update in self._changes.updates:
            row = self._standing(update.position_id)
            changeset.refuse_update(row, account, update.version)
            moved.append(self._updated(row, update))
        return moved

    def _closed(self, row: Position, closing: ClosePosition) -> Position:
        details = closing.details
        return msgspec.structs.replace(
            row,
            version=row.version + 1,
            status=PositionStatus.CLOSED,
            symbol=_given(closing.symbol, row.symbol),
            quantity=details.quantity,
            contract_size=_given(closing.contract_size, row.contract_size),
            entry_price=_given(closing.entry_price, row.entry_price),
            opened_at_ms=_given(closing.opened_at_ms, row.opened_at_ms),
            opening_order_id=_given(closing.opening_order_id, row.opening_order_id),
            realized_pnl=details.realized_pnl,
            suspected_since_ms=None,
            updated_at_ms=self._changes.now_ms,
            close=details,
        )

    def _updated(self, row: Position, update: UpdatePosition) -> Position:
        suspected = _given(update.suspected_since_ms, row.suspected_since_ms)
        return msgspec.structs.replace(
            row,
            version=row.version + 1,
            symbol=_given(update.symbol, row.symbol),
            quantity=_given(update.quantity, row.quantity),
            contract_size=_given(update.contract_size, row.contract_size),
            entry_price=_given(update.entry_price, row.entry_price),
            current_price=_given(update.current_price, row.current_price),
            leverage=_given(update.leverage, row.leverage),
            realized_pnl=_given(update.realized_pnl, row.realized_pnl),
            opened_at_ms=_given(update.opened_at_ms, row.opened_at_ms),
            opening_order_id=_given(update.opening_order_id, row.opening_order_id),
            unverified=_given(update.unverified, row.unverified),
            trailing_activated=_given(update.trailing_activated, row.trailing_activated),
            has_trailing_stop=_given(update.has_trailing_stop, row.has_trailing_stop),
            stop_loss=_given(update.stop_loss, row.stop_loss),
            suspected_since_ms=None if "suspected_since_ms" in update.clear else suspected,
            venue_updated_at_ms=_given(update.venue_updated_at_ms, row.venue_updated_at_ms),
            verified_as_of_ms=_given(update.verified_as_of_ms, row.verified_as_of_ms),
            updated_at_ms=self._changes.now_ms,
        )

    def _opened(self, position_id: int, opened: NewPosition) -> Position:
        close = opened.close
        return Position(
            position_id=position_id,
            account=opened.key.account,
            venue=opened.venue,
            symbol=opened.key.symbol,
            written_symbol=opened.key.symbol,
            side=opened.key.side,
            status=PositionStatus.ACTIVE if close is None else PositionStatus.CLOSED,
            origin=opened.origin,
            quantity=opened.quantity if close is None else close.quantity,
            contract_size=opened.contract_size,
            entry_price=opened.entry_price,
            current_price=opened.current_price,
            leverage=opened.leverage,
            stop_loss=opened.stop_loss,
            take_profit=opened.take_profit,
            unverified=opened.unverified,
            realized_pnl=opened.realized_pnl if close is None else close.realized_pnl,
            opened_at_ms=opened.opened_at_ms,
            created_at_ms=self._changes.now_ms,
            updated_at_ms=self._changes.now_ms,
            venue_updated_at_ms=opened.venue_updated_at_ms,
            verified_as_of_ms=opened.verified_as_of_ms,
            opening_order_id=opened.opening_order_id,
            close=close,
        )

    def _check_keys(self) -> None:
        """At most one active row a key, after the closes, with the updates' symbols, among the opens."""
        taken: dict[PositionKey, bool] = {}

        def free(key: PositionKey) -> bool:
            return not taken.get(key, key in self._rows.active_keys)

        for closing in self._changes.closes:
            if not closing.amends:
                taken[self._standing(closing.position_id).key] = False
        for update in self._changes.updates:
            row = self._standing(update.position_id)
            if update.symbol is not None and update.symbol != row.symbol:
                key = row.key._replace(symbol=update.symbol)
                if not free(key):
                    raise second_active(key)
                taken[row.key], taken[key] = False, True
        for opened in self._changes.opens:
            if opened.close is None:
                if not free(opened.key):
                    raise second_active(opened.key)
                taken[opened.key] = True

    def _put(self, position: Position) -> None:
        rows = self._rows
        before = rows.positions.get(position.position_id)
        if before is not None and rows.active_keys.get(before.key) == before.position_id:
            del rows.active_keys[before.key]
        rows.positions[position.position_id] = position
        if position.status is PositionStatus.ACTIVE:
            rows.active_keys[position.key] = position.position_id
            rows.active[position.position_id] = position
        else:
            rows.active.pop(position.position_id, None)

    def _order(self, new: RecordedOrder, position_id: int | None) -> None:
        place = (new.account, new.symbol, new.order_id)
        known = self._rows.orders.get(place)
        order = msgspec.structs.replace(new, position_id=position_id, key=None, tag="")
        if known is not None:
            same = position_id is None or known.position_id in (None, position_id)
            stays = known.ours and same and known.status is not OrderStatus.REJECTED
            order = msgspec.structs.replace(
                order,
                position_id=_given(order.position_id, known.position_id),
                client_order_id=_given(order.client_order_id, known.client_order_id),
                quantity=_given(order.quantity, known.quantity),
                filled_quantity=_given(order.filled_quantity, known.filled_quantity),
                average_price=_given(order.average_price, known.average_price),
                trigger_price=_given(order.trigger_price, known.trigger_price),
                ours=order.ours or stays,
                is_exit=order.is_exit or known.is_exit,
            )
        self._rows.orders[place] = order

    def _forget(self) -> None:
        for symbol, order_id, status in self._changes.forget_orders:
            place = (self._changes.account, symbol, order_id)
            known = self._rows.orders.get(place)
            if known is not None and known.status in (OrderStatus.OPEN, OrderStatus.UNKNOWN):
                now_ms = self._changes.now_ms
                self._rows.orders[place] = msgspec.structs.replace(known, status=OrderStatus(status), seen_at_ms=now_ms)

    def _effect(self, new: NewEffect, position_id: int | None) -> int:
        for known in self._rows.undone.values():
            if known.dedup_key == new.dedup_key and known.account == new.account:
                return known.effect_id
        effect_id = self._rows.next_id("effects")
        self._rows.effects[effect_id] = self._rows.undone[effect_id] = Effect(
            effect_id=effect_id,
            account=new.account,
            kind=new.kind,
            dedup_key=new.dedup_key,
            payload=new.payload,
            position_id=position_id,
            state=EffectState.PENDING,
            attempts=0,
            next_attempt_at_ms=new.created_at_ms,
            created_at_ms=new.created_at_ms,
            done_at_ms=None,
            outcome=None,
            last_error=None,
        )
        return effect_id

    def _check_states(self) -> None:
        account = self._changes.account
        finished: set[int] = set()
        for update in self._changes.effect_updates:
            effect = self._rows.effects.get(update.effect_id)
            over = update.effect_id in finished or (effect is not None and effect.state is EffectState.DONE)
            done = over and update.state is not EffectState.DONE
            if effect is None or effect.account != account or done:
                raise changeset.stale_effect(account)
            if update.state is EffectState.DONE:
                finished.add(update.effect_id)
        states = {hold_id: hold.state for hold_id, hold in self._rows.holds.items() if hold.account == account}
        for decided in self._changes.hold_updates:
            state = states.get(decided.hold_id)
            if state is None or (state in (HoldState.DONE, HoldState.WITHDRAWN) and state is not decided.state):
                raise changeset.stale_hold(account)
            states[decided.hold_id] = decided.state

    def _effect_updates(self) -> None:
        for update in self._changes.effect_updates:
            effect = self._rows.effects[update.effect_id] = msgspec.structs.replace(
                self._rows.effects[update.effect_id],
                state=update.state,
                attempts=update.attempts,
                next_attempt_at_ms=update.next_attempt_at_ms,
                outcome=update.outcome,
                last_error=update.last_error,
                done_at_ms=update.done_at_ms,
            )
            if effect.state is EffectState.DONE:
                self._rows.undone.pop(effect.effect_id, None)
            else:
                self._rows.undone[effect.effect_id] = effect

    def _hold_updates(self) -> None:
        for update in self._changes.hold_updates:
            known = self._rows.holds[update.hold_id]
            self._rows.holds[update.hold_id] = msgspec.structs.replace(
                known, state=update.state, decided_at_ms=update.at_ms, note=_given(update.note, known.note)
            )

    def _hold(self, new: NewHold) -> int:
        for known in self._rows.holds.values():
            same = (known.account, known.kind, known.fingerprint) == (new.account, new.kind, new.fingerprint)
            if same and known.state in changeset.STANDING:
                return known.hold_id
        hold_id = self._rows.next_id("holds")
        self._rows.holds[hold_id] = Hold(
            hold_id=hold_id,
            account=new.account,
            kind=new.kind,
            state=HoldState.OPEN,
            fingerprint=new.fingerprint,
            keys=new.keys,
            position_ids=new.position_ids,
            summary=new.summary,
            data=from_json(to_json(new.data), dict[str, object]),
            raised_at_ms=new.raised_at_ms,
        )
        return hold_id

    def _observations(self) -> None:
        rows, account = self._rows, self._changes.account
        pruning = False
        for seen in self._changes.observations:
            position_id = self._inserted.find(seen.position_id, seen.key, seen.tag)
            pruning = pruning or position_id is None
            new_id = rows.next_id("observations")
            rows.observations[new_id] = StoredObservation(
                observation_id=new_id,
                account=seen.account,
                position_id=position_id,
                at_ms=seen.at_ms,
                name=seen.name,
                input=seen.input,
                output=seen.output,
            )
        if pruning:
            unbound = [o for o in rows.observations.values() if o.account == account and o.position_id is None]
            oldest = self._changes.now_ms - UNBOUND_DAYS * DAY_MS
            extra = {o.observation_id for o in unbound[:-UNBOUND_KEPT]}
            extra |= {o.observation_id for o in unbound if o.at_ms < oldest}
            for observation_id in extra:
                del rows.observations[observation_id]

    def _events(self) -> Sequence[int]:
        ids = []
        for new in self._changes.events:
            position_id = self._inserted.find(new.position_id, new.key, new.tag)
            event_id = self._rows.next_id("events")
            ids.append(event_id)
            self._rows.events.append(
                Event(
                    event_id=event_id,
                    at_ms=new.at_ms,
                    type=new.type.value,
                    severity=new.severity,
                    account=new.account,
                    symbol=new.symbol,
                    position_id=position_id,
                    data=from_json(to_json(changeset.event_data(new, position_id)), dict[str, object]),
                )
            )
        return ids
