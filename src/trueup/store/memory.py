"""A store in memory, for the simulation: the same answers as the real ones, no I/O, no threads, no chance.

1. Every method runs to its end without giving up control: a call happens at one moment.
2. Its clock is given; several `MemoryStore`s over one `MemoryDatabase` are several processes of one database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from trueup.model.changes import ActiveBook, ChangeSet, Committed, RecordedOrder, RecordedTrade
from trueup.model.effects import Effect, EffectKind, EffectState
from trueup.model.errors import ConfigurationError, Unreadable
from trueup.model.events import Event
from trueup.model.holds import Hold, HoldState, Mark
from trueup.model.observations import Identity
from trueup.model.orders import OrderStatus
from trueup.model.positions import Position, PositionStatus
from trueup.model.times import DAY_MS, time_text
from trueup.model.trailing import TrailingRecord
from trueup.ports import Owner, Record, Request, Standing, StoredObservation, Waiting
from trueup.store import changeset
from trueup.store.limits import REQUEST_DAYS, STATUSES
from trueup.store.memory_rows import MemoryCommit, MemoryRows, second_active
from trueup.store.rows import POSITION_COLUMNS, read_position, unreadable

__all__ = ["MemoryDatabase", "MemoryStore"]


@dataclass
class _Lease:
    holder: str
    epoch: int
    expires_at_ms: int


@dataclass
class _Asked:
    request: Request
    taken_epoch: int | None = None
    answered_at_ms: int | None = None


class MemoryDatabase:
    """What survives the processes that use it.

    Args:
        clock_ms: The database's own clock, for leases and defaults.
    """

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self.clock_ms = clock_ms
        self.rows = MemoryRows()
        self.leases: dict[str, _Lease] = {}
        self.pins: dict[str, Identity] = {}
        self.paused: dict[str, bool] = {}
        self.states: dict[str, tuple[str, int]] = {}
        self.asked: dict[int, _Asked] = {}

    def insert_row(self, columns: Mapping[str, Any]) -> int:
        """A bot's own INSERT into `positions`, in its own words, with the database's defaults for the rest.

        Raises:
            Conflict: The key has an active row.
        """
        now = time_text(self.clock_ms())
        row_id = self.rows.next_id("positions")
        defaults = {"id": row_id, "status": "active", "created_at": now, "updated_at": now, "version": 0}
        values = defaults | dict(columns)
        row = tuple(values.get(name) for name in POSITION_COLUMNS)
        try:
            position = read_position(row)
        except Unreadable as problem:
            self.rows.unreadable[row_id] = (str(values.get("account")), unreadable(row, problem))
            return row_id
        if position.status is PositionStatus.ACTIVE:
            if position.key in self.rows.active_keys:
                raise second_active(position.key)
            self.rows.active_keys[position.key] = row_id
            self.rows.active[row_id] = position
        self.rows.positions[row_id] = position
        return row_id


class MemoryStore:
    """See `trueup.ports.Store` for what each method promises."""

    def __init__(self, database: MemoryDatabase) -> None:
        self.database = database
        self._rows = database.rows

    async def open(self) -> None:
        """Nothing to connect."""

    async def aclose(self) -> None:
        """Nothing to close."""

    async def claim(self, account: str, holder: str, ttl_s: float) -> Owner:
        now, lease = self.database.clock_ms(), self.database.leases.get(account)
        if lease is not None and lease.holder not in ("", holder) and lease.expires_at_ms > now:
            raise changeset.still_owned(account, lease.holder, lease.epoch, lease.expires_at_ms - now, holder)
        epoch = 1 if lease is None else lease.epoch + 1
        self.database.leases[account] = _Lease(holder, epoch, now + round(ttl_s * 1000))
        return Owner(account=account, holder=holder, epoch=epoch)

    def _lease(self, owner: Owner) -> _Lease | None:
        lease = self.database.leases.get(owner.account)
        return lease if lease is not None and (lease.holder, lease.epoch) == (owner.holder, owner.epoch) else None

    def _fence(self, owner: Owner) -> None:
        lease = self.database.leases.get(owner.account)
        if self._lease(owner) is None:
            raise changeset.not_owner(owner, None if lease is None else (lease.holder, lease.epoch))

    async def renew(self, held: Sequence[Owner], ttl_s: float) -> list[Owner]:
        lost = []
        for owner in held:
            lease = self._lease(owner)
            if lease is None:
                lost.append(owner)
            else:
                lease.expires_at_ms = self.database.clock_ms() + round(ttl_s * 1000)
        return lost

    async def release(self, owner: Owner) -> None:
        lease = self._lease(owner)
        if lease is not None:
            lease.holder, lease.expires_at_ms = "", 0

    async def owner_of(self, account: str) -> Owner | None:
        lease = self.database.leases.get(account)
        if lease is None or not lease.holder or lease.expires_at_ms <= self.database.clock_ms():
            return None
        return Owner(account=account, holder=lease.holder, epoch=lease.epoch)

    async def active(self, account: str) -> ActiveBook:
        return ActiveBook(
            positions=tuple(
                position for _, position in sorted(self._rows.active.items()) if position.account == account
            ),
            unreadable=tuple(row for owned_by, row in self._rows.unreadable.values() if owned_by == account),
        )

    async def positions(self, *, status: str = "active", account: str | None = None) -> list[Position]:
        if status not in STATUSES:
            raise ConfigurationError(f"positions: status must be one of {', '.join(STATUSES)}, found {status!r}")
        return [
            position
            for position in self._rows.positions.values()
            if status in ("all", position.status) and account in (None, position.account)
        ]

    async def position(self, position_id: int) -> Position | None:
        if position_id in self._rows.unreadable:
            raise changeset.unreadable_position(self._rows.unreadable[position_id][1])
        return self._rows.positions.get(position_id)

    async def commit(self, owner: Owner, changes: ChangeSet) -> Committed:
        changeset.check(owner.account, changes)
        self._fence(owner)
        return MemoryCommit(self._rows, changes).run()

    async def orders_of(self, position_id: int) -> list[RecordedOrder]:
        return [order for order in self._rows.orders.values() if order.position_id == position_id]

    async def recorded_orders(self, account: str) -> list[RecordedOrder]:
        return [
            order
            for order in self._rows.orders.values()
            if order.account == account and order.status is OrderStatus.OPEN and order.position_id is not None
        ]

    async def record_of(self, position_id: int) -> Record | None:
        row = await self.position(position_id)
        if row is None:
            return None
        return Record(
            row=row,
            orders=tuple(await self.orders_of(position_id)),
            trades=tuple(await self.trades_of(position_id)),
            paused=await self.is_paused(row.account),
        )

    async def trades_of(self, position_id: int) -> list[RecordedTrade]:
        found = [trade for trade in self._rows.trades.values() if trade.position_id == position_id]
        return sorted(found, key=lambda trade: (trade.fill.at_ms, trade.fill.sequence or 0))

    async def events(
        self,
        *,
        account: str | None = None,
        position_id: int | None = None,
        type: str | None = None,  # noqa: A002 - the contract's word
        after_id: int = 0,
        limit: int | None = None,
    ) -> list[Event]:
        found = [
            event
            for event in self._rows.events
            if event.event_id > after_id
            and account in (None, event.account)
            and position_id in (None, event.position_id)
            and type in (None, event.type)
        ]
        return found if limit is None else found[max(len(found) - limit, 0) :]

    async def observations_of(self, position_id: int | None = None, since_ms: int = 0) -> list[StoredObservation]:
        return [
            seen
            for seen in self._rows.observations.values()
            if seen.at_ms >= since_ms and position_id in (None, seen.position_id)
        ]

    async def effects(
        self,
        *,
        account: str | None = None,
        states: Sequence[EffectState] = (),
        kind: EffectKind | None = None,
        since_ms: int = 0,
    ) -> list[Effect]:
        done = not states or EffectState.DONE in states
        return [
            effect
            for effect in (self._rows.effects if done else self._rows.undone).values()
            if account in (None, effect.account)
            and (not states or effect.state in states)
            and kind in (None, effect.kind)
            and effect.created_at_ms >= since_ms
        ]

    async def holds(self, *, account: str | None = None, states: Sequence[HoldState] = ()) -> list[Hold]:
        return [
            hold
            for hold in self._rows.holds.values()
            if account in (None, hold.account) and (not states or hold.state in states)
        ]

    async def marks(self, account: str) -> list[Mark]:
        found = [mark for mark in self._rows.marks.values() if mark.key.account == account]
        return sorted(found, key=lambda mark: (mark.first_at_ms, mark.key.symbol, mark.key.side, mark.kind))

    async def trailing(self, account: str) -> list[TrailingRecord]:
        if not self._rows.trailing:
            return []
        book = {row.position_id for row in (await self.active(account)).positions}
        return [record for position_id, record in sorted(self._rows.trailing.items()) if position_id in book]

    async def pin_of(self, account: str) -> Identity | None:
        return self.database.pins.get(account)

    async def set_pin(self, owner: Owner, identity: Identity | None, at_ms: int) -> None:
        self._fence(owner)
        if identity is None:
            self.database.pins.pop(owner.account, None)
        else:
            self.database.pins[owner.account] = identity

    async def set_paused(self, account: str, paused: bool, at_ms: int) -> None:
        self.database.paused[account] = paused

    async def is_paused(self, account: str) -> bool:
        return self.database.paused.get(account, False)

    async def standing(self, account: str) -> Standing:
        rows = self._rows
        return Standing(
            paused=self.database.paused.get(account, False),
            pin=self.database.pins.get(account),
            marks=sum(mark.key.account == account for mark in rows.marks.values()),
            holds=sum(hold.account == account and hold.state in changeset.STANDING for hold in rows.holds.values()),
            orders=len(await self.recorded_orders(account)),
            effects=sum(effect.account == account for effect in rows.undone.values()),
            trailing=len(await self.trailing(account)),
        )

    async def set_account_states(self, states: Mapping[str, tuple[str, int]]) -> None:
        self.database.states.update(states)

    async def account_states(self, account: str | None = None) -> dict[str, tuple[str, int]]:
        return {name: state for name, state in sorted(self.database.states.items()) if account in (None, name)}

    async def ask(self, account: str, kind: str, payload: str, at_ms: int) -> int:
        asked, kept_since = self.database.asked, at_ms - REQUEST_DAYS * DAY_MS
        for stale in [i for i, a in asked.items() if a.answered_at_ms is not None and a.answered_at_ms < kept_since]:
            del asked[stale]
        request_id = self._rows.next_id("requests")
        request = Request(
            request_id=request_id,
            account=account,
            kind=kind,
            payload=payload,
            created_at_ms=at_ms,
            state="open",
            result=None,
        )
        asked[request_id] = _Asked(request)
        return request_id

    async def waiting(self, now_ms: int) -> Waiting:
        asked = (asked.request for asked in self.database.asked.values())
        due = (
            effect
            for effect in self._rows.undone.values()
            if effect.kind is EffectKind.NOTIFY and effect.next_attempt_at_ms <= now_ms
        )
        return Waiting(
            requests=frozenset(request.account for request in asked if request.state != "done"),
            notices=frozenset(effect.account for effect in due),
        )

    async def take_requests(self, owner: Owner) -> list[Request]:
        self._fence(owner)
        taken = []
        for asked in self.database.asked.values():
            request = asked.request
            left = request.state == "open" or (request.state == "taken" and asked.taken_epoch != owner.epoch)
            if request.account == owner.account and left:
                asked.request = msgspec.structs.replace(request, state="taken")
                asked.taken_epoch = owner.epoch
                taken.append(asked.request)
        return taken

    async def answer(self, request_id: int, result: str, at_ms: int) -> None:
        asked = self.database.asked.get(request_id)
        if asked is not None and asked.request.state != "done":
            asked.request = msgspec.structs.replace(asked.request, state="done", result=result)
            asked.answered_at_ms = at_ms

    async def request(self, request_id: int) -> Request | None:
        asked = self.database.asked.get(request_id)
        return None if asked is None else asked.request

    async def count_events(self, type: str, *, account: str, since_ms: int) -> int:  # noqa: A002
        return sum(
            1
            for event in self._rows.events
            if event.type == type and event.account == account and event.at_ms >= since_ms
        )
