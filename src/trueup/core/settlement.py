"""What one look comes to: the transaction, and what the report shows of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from trueup.core.agreement import Agreed
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
from trueup.model.holds import HoldKind, HoldUpdate, Mark, MarkKind, NewHold
from trueup.model.observations import Quarantined
from trueup.model.orders import OrderStatus
from trueup.model.positions import Position, PositionKey
from trueup.model.reports import QuantityChange
from trueup.model.values import Value

__all__ = ["HeldGroup", "Settlement"]


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
