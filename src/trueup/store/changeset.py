"""What every store does with a change set before it touches a row: check it, and name the rows that it inserts.

1. A change set that contradicts itself is `InvariantBroken` before anything is written.
2. A row that the same transaction inserts is named by its key, and by its tag where one key is inserted twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from trueup.model.changes import (
    ChangeSet,
    NewPosition,
    RecordedOrder,
    RecordedTrade,
    UnreadableRow,
    UpdatePosition,
)
from trueup.model.effects import NewEffect
from trueup.model.errors import Conflict, InvariantBroken, NotOwner, Unreadable
from trueup.model.events import NewEvent
from trueup.model.holds import HoldState, NewHold
from trueup.model.positions import Evidence, Position, PositionKey, PositionStatus
from trueup.ports import Owner
from trueup.store.rows import VENUES

__all__ = [
    "STANDING",
    "Inserted",
    "RowState",
    "check",
    "event_data",
    "not_owner",
    "refuse_amendment",
    "refuse_close",
    "refuse_update",
    "stale_effect",
    "stale_hold",
    "still_owned",
    "unknown_row",
    "unreadable_position",
]

STANDING = (HoldState.OPEN, HoldState.APPROVED, HoldState.REJECTED)
"""A hold in one of these states is not raised a second time for the same evidence."""

_CLEARABLE = ("suspected_since_ms",)


def _named(account: str, changes: ChangeSet) -> list[str]:
    """The accounts that the parts of a change set name, other than its own."""
    parts: list[str] = [item.key.account for item in changes.opens]
    parts += [mark.key.account for mark in changes.marks]
    parts += [key.account for key, _ in changes.clear_marks]
    groups: Sequence[Sequence[RecordedOrder | RecordedTrade | NewEffect | NewHold]] = (
        changes.orders,
        changes.trades,
        changes.effects,
        changes.holds,
    )
    parts += [item.account for group in groups for item in group]
    parts += [seen.account for seen in changes.observations]
    return [name for name in parts if name != account]


def check(owner_account: str, changes: ChangeSet) -> None:
    """Refuses what no transaction may hold.

    Raises:
        InvariantBroken: It names another account, a row twice, or a quantity that is no quantity.
    """
    strangers = _named(owner_account, changes)
    if changes.account != owner_account:
        strangers.append(changes.account)
    if strangers:
        raise InvariantBroken(f"a change set of account {owner_account!r} names account {strangers[0]!r} as well")
    touched = [update.position_id for update in changes.updates]
    touched += [closing.position_id for closing in changes.closes]
    if len(set(touched)) != len(touched):
        twice = next(item for item in touched if touched.count(item) > 1)
        raise InvariantBroken(f"a change set changes position {twice} twice; one change must say all of it")
    followed = [record.position_id for record in changes.trailing]
    if len(set(followed)) != len(followed):
        raise InvariantBroken("a change set sets the trailing stop of a position twice; one record must say all of it")
    for opened in changes.opens:
        if opened.venue not in VENUES.values():
            raise InvariantBroken(f"new position {opened.key}: venue {opened.venue!r} is none that the book knows")
        if not opened.quantity > 0 or (opened.close is not None and not opened.close.quantity > 0):
            raise InvariantBroken(f"new position {opened.key}: its quantity must be positive, found {opened.quantity}")
    for closing in changes.closes:
        if not closing.details.quantity > 0:
            raise InvariantBroken(
                f"close of position {closing.position_id}: the total closed must be positive, found "
                f"{closing.details.quantity}"
            )
    for update in changes.updates:
        _check_update(update)


def _check_update(update: UpdatePosition) -> None:
    unclearable = [name for name in update.clear if name not in _CLEARABLE]
    if unclearable:
        raise InvariantBroken(f"update of position {update.position_id}: {unclearable[0]} cannot be cleared")
    if update.quantity is not None and not update.quantity > 0:
        raise InvariantBroken(
            f"update of position {update.position_id}: an active row's quantity must be positive, found "
            f"{update.quantity}; a flat position is closed instead"
        )


class Inserted:
    """Which id each inserted position got, looked up by key (and tag)."""

    def __init__(self, opens: Sequence[NewPosition], ids: Sequence[int]) -> None:
        self._ids: dict[tuple[PositionKey, str], int] = {}
        self._of_key: dict[PositionKey, int] = {}
        for opened, position_id in zip(opens, ids, strict=True):
            if (opened.key, opened.tag) in self._ids:
                raise InvariantBroken(f"two insertions of {opened.key} bear the same tag {opened.tag!r}")
            self._ids[opened.key, opened.tag] = position_id
        going_on = {opened.key for opened in opens if opened.close is None}
        for opened, position_id in zip(opens, ids, strict=True):
            # Without a tag the key means the lifecycle that goes on, else the last one.
            if opened.close is None or opened.key not in going_on:
                self._of_key[opened.key] = position_id

    def find(self, position_id: int | None, key: PositionKey | None, tag: str = "") -> int | None:
        """The row's id; None where neither an id nor the key of an inserted row is given."""
        if position_id is not None or key is None:
            return position_id
        exact = self._ids.get((key, tag))
        return exact if exact is not None or tag else self._of_key.get(key)

    def need(self, what: str, position_id: int | None, key: PositionKey | None, tag: str = "") -> int:
        """Like `find`, for what cannot be without a row."""
        found = self.find(position_id, key, tag)
        if found is None:
            where = "no position" if key is None else f"{key} (tag {tag!r}), which this change set does not insert"
            raise InvariantBroken(f"{what} names {where}")
        return found

    def optional(self, what: str, position_id: int | None, key: PositionKey | None, tag: str = "") -> int | None:
        """Like `find`, but a key that names no inserted row is a fault."""
        return None if position_id is None and key is None else self.need(what, position_id, key, tag)


def event_data(event: NewEvent, position_id: int | None) -> dict[str, object]:
    """The event's data, its empty ``position_id`` filled in."""
    if position_id is not None and "position_id" in event.data and event.data["position_id"] is None:
        return {**event.data, "position_id": position_id}
    return event.data


def unknown_row(position_id: int) -> Conflict:
    return Conflict(f"position {position_id} is not in the book any more; nothing was written, read it again")


def stale_effect(account: str) -> Conflict:
    return Conflict(
        f"an effect of account {account!r} is unknown or already done; nothing was written, read the effects again"
    )


def stale_hold(account: str) -> Conflict:
    return Conflict(
        f"a hold of account {account!r} is unknown or already decided; nothing was written, read the holds again"
    )


def not_owner(owner: Owner, found: tuple[str, int] | None) -> NotOwner:
    """`found`: the holder (empty: released) and epoch that the store knows; None: never claimed."""
    if found is None:
        return NotOwner(f"account {owner.account!r} was never claimed; nothing was written")
    return NotOwner(
        f"account {owner.account!r} is owned by {found[0] or 'nobody'} under epoch {found[1]}, this write came from "
        f"{owner.holder} under epoch {owner.epoch}; nothing was written"
    )


def still_owned(account: str, owned_by: str, epoch: int, for_ms: int, holder: str) -> NotOwner:
    return NotOwner(
        f"account {account!r} is owned by {owned_by} (epoch {epoch}) for another {for_ms / 1000:.1f} s; {holder} may "
        "take it when that lease has run out"
    )


def unreadable_position(row: UnreadableRow) -> Unreadable:
    return Unreadable(f"position {row.position_id}", expected="a readable row", found=row.problem)


def _of_another(position_id: int, owned: str, account: str) -> InvariantBroken:
    return InvariantBroken(f"position {position_id} belongs to account {owned!r}, the change is of {account!r}")


def _stale(position_id: int, found: int, decided_on: int) -> Conflict:
    return Conflict(
        f"position {position_id} is at version {found}, this was decided on version {decided_on}; nothing was "
        "written, read it again"
    )


def refuse_update(row: Position | RowState, account: str, version: int) -> None:
    """Raises if an active row may not be changed so.

    Raises:
        Conflict: Another version.
        InvariantBroken: Of another account, or a closed row.
    """
    state = RowState.of(row)
    if state.account != account:
        raise _of_another(state.position_id, state.account, account)
    if state.version != version:
        raise _stale(state.position_id, state.version, version)
    if state.status != PositionStatus.ACTIVE:
        raise InvariantBroken(f"position {state.position_id} is {state.status}: only an active row is updated")


def refuse_close(row: Position | RowState, account: str, version: int) -> None:
    """Raises if `active` → `closed` is not this row's move."""
    state = RowState.of(row)
    if state.account != account:
        raise _of_another(state.position_id, state.account, account)
    if state.version != version:
        raise _stale(state.position_id, state.version, version)
    if state.status != PositionStatus.ACTIVE:
        raise InvariantBroken(f"position {state.position_id} is {state.status}: only an active row is closed")


def refuse_amendment(row: Position | RowState, account: str, version: int, evidence: Evidence) -> None:
    """Raises if a closed row may not be amended so: the evidence must be at least as good as what stands there."""
    state = RowState.of(row)
    if state.account != account:
        raise _of_another(state.position_id, state.account, account)
    if state.version != version:
        raise _stale(state.position_id, state.version, version)
    if state.status != PositionStatus.CLOSED:
        raise InvariantBroken(f"position {state.position_id} is {state.status}: only a closed row is amended")
    if state.evidence is not None and evidence.rank > state.evidence.rank:
        raise InvariantBroken(
            f"position {state.position_id} was closed on {state.evidence}: {evidence} is worse and amends nothing"
        )


class RowState:
    """The few columns of a row that say whether a move is legal."""

    __slots__ = ("account", "evidence", "position_id", "status", "version")

    def __init__(self, position_id: int, account: str, status: str, version: int, evidence: str | None = None) -> None:
        self.position_id = position_id
        self.account = account
        self.status = status
        self.version = version
        self.evidence = None if evidence is None else Evidence(evidence)

    @classmethod
    def of(cls, row: Position | RowState) -> RowState:
        if isinstance(row, RowState):
            return row
        evidence = None if row.close is None else row.close.evidence
        return cls(row.position_id, row.account, row.status, row.version, evidence)
