"""A decision as the store commits it: everything in one transaction, or nothing.

1. Every change names the owner's epoch (given to `Store.commit`) and is refused when stale.
2. An update or close names the version it was decided on; another version is a `Conflict` and nothing is written.
3. Only the moves of docs/lifecycle.md are legal; the store refuses the rest.
"""

from __future__ import annotations

from decimal import Decimal

from trueup.model.effects import EffectUpdate, NewEffect
from trueup.model.events import NewEvent
from trueup.model.holds import HoldUpdate, Mark, MarkKind, NewHold
from trueup.model.orders import Fill, OrderKind, OrderList, OrderSide, OrderStatus
from trueup.model.positions import Amount, CloseDetails, Origin, Position, PositionKey
from trueup.model.trailing import TrailingRecord
from trueup.model.values import Value

__all__ = [
    "ActiveBook",
    "ChangeSet",
    "ClosePosition",
    "Committed",
    "NewPosition",
    "Observation",
    "RecordedOrder",
    "RecordedTrade",
    "UnreadableRow",
    "UpdatePosition",
]


class NewPosition(Value, frozen=True, kw_only=True):
    """A lifecycle to insert; with `close` it is inserted already closed (opened and closed between two looks)."""

    key: PositionKey
    venue: str
    origin: Origin
    quantity: Decimal
    contract_size: Decimal
    entry_price: Decimal | None
    current_price: Decimal | None = None
    leverage: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    unverified: bool = False
    realized_pnl: Decimal | None = None
    opened_at_ms: int
    opening_order_id: str | None = None
    venue_updated_at_ms: int | None = None
    verified_as_of_ms: int | None = None
    close: CloseDetails | None = None
    tag: str = ""  # tells apart several insertions of one key in one change set


class UpdatePosition(Value, frozen=True, kw_only=True):
    """New values of an active row; None leaves a column as it is, except where `clear` names it."""

    position_id: int
    version: int
    symbol: str | None = None  # the unified one, when a bot had written its own
    quantity: Decimal | None = None
    contract_size: Decimal | None = None
    entry_price: Decimal | None = None
    current_price: Decimal | None = None
    leverage: Decimal | None = None
    realized_pnl: Decimal | None = None
    opened_at_ms: int | None = None
    opening_order_id: str | None = None
    unverified: bool | None = None
    trailing_activated: bool | None = None
    has_trailing_stop: bool | None = None
    stop_loss: Decimal | None = None
    suspected_since_ms: int | None = None
    venue_updated_at_ms: int | None = None
    verified_as_of_ms: int | None = None
    clear: tuple[str, ...] = ()  # of: "suspected_since_ms"


class ClosePosition(Value, frozen=True, kw_only=True):
    """`active` → `closed`. A closed row that better evidence amends is an `amends=True` close of it.

    An amended row keeps no trades but those of the same change set: they are the lifecycle's, whole.
    """

    position_id: int
    version: int
    details: CloseDetails
    symbol: str | None = None
    contract_size: Decimal | None = None
    entry_price: Decimal | None = None
    opened_at_ms: int | None = None
    opening_order_id: str | None = None
    amends: bool = False


class RecordedOrder(Value, frozen=True, kw_only=True):
    """An order that belongs to a lifecycle: its stops while it lives, its exit order when it ends.

    Recorded again it updates the row of the same (account, symbol, order id). `key` (and `tag`) name a row that this
    change set inserts.

    Attributes:
        closing: Whether it has close semantics for the lifecycle: only such an order is ours to cancel at its end.
        ours: Whether it bears our client-id prefix or was recorded as set by us: that stays with the lifecycle, unless it was
            rejected. Another lifecycle may have an order of the same id (a stop that sits on a position).
    """

    account: str
    symbol: str
    order_id: str
    client_order_id: str | None = None
    position_id: int | None = None
    key: PositionKey | None = None
    tag: str = ""
    order_list: OrderList
    kind: OrderKind
    order_side: OrderSide
    status: OrderStatus
    quantity: Decimal | None = None
    filled_quantity: Decimal | None = None
    average_price: Decimal | None = None
    trigger_price: Decimal | None = None
    closing: bool = False
    ours: bool = False
    is_exit: bool = False  # the order that took the lifecycle to zero
    venue_type: str = ""
    seen_at_ms: int


class RecordedTrade(Value, frozen=True, kw_only=True):
    """A fill, or the part of it that belongs to this lifecycle (a flip splits one fill between two).

    `quantity`, `fee` and `realized_pnl` are this part's; unique by (position, trade id).
    """

    account: str
    position_id: int | None = None
    key: PositionKey | None = None
    tag: str = ""
    fill: Fill
    opening: bool
    quantity: Decimal
    fees: Amount | None = None
    realized_pnl: Decimal | None = None


class Observation(Value, frozen=True, kw_only=True):
    """What a decision was made on, whole, so that it can be shown and decided again.

    `name` is the pure function, `input` and `output` its JSON.
    """

    account: str
    at_ms: int
    name: str
    input: str
    output: str
    position_id: int | None = None
    key: PositionKey | None = None
    tag: str = ""


class ChangeSet(Value, frozen=True, kw_only=True):
    """One transaction on one account.

    Attributes:
        marks: Set (or replaced); `clear_marks` are removed.
        forget_orders: Symbol, order id and what became of it; one whose end is known keeps that.
        effect_updates: Come before `effects`: one that ends makes room for another of its `dedup_key`.
        trailing: Set (or replaced), of rows that this change set does not insert.
        now_ms: Our clock, for `updated_at` columns.
    """

    account: str
    now_ms: int
    opens: tuple[NewPosition, ...] = ()
    updates: tuple[UpdatePosition, ...] = ()
    closes: tuple[ClosePosition, ...] = ()
    orders: tuple[RecordedOrder, ...] = ()
    forget_orders: tuple[tuple[str, str, OrderStatus], ...] = ()
    trades: tuple[RecordedTrade, ...] = ()
    events: tuple[NewEvent, ...] = ()
    effects: tuple[NewEffect, ...] = ()
    effect_updates: tuple[EffectUpdate, ...] = ()
    holds: tuple[NewHold, ...] = ()
    hold_updates: tuple[HoldUpdate, ...] = ()
    marks: tuple[Mark, ...] = ()
    clear_marks: tuple[tuple[PositionKey, MarkKind], ...] = ()
    observations: tuple[Observation, ...] = ()
    trailing: tuple[TrailingRecord, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it would write nothing."""
        return not any(
            (
                self.opens,
                self.updates,
                self.closes,
                self.orders,
                self.forget_orders,
                self.trades,
                self.events,
                self.effects,
                self.effect_updates,
                self.holds,
                self.hold_updates,
                self.marks,
                self.clear_marks,
                self.observations,
                self.trailing,
            )
        )


class Committed(Value, frozen=True, kw_only=True):
    """What the store gave: ids in the order of the change set's tuples."""

    position_ids: tuple[int, ...] = ()
    event_ids: tuple[int, ...] = ()
    effect_ids: tuple[int, ...] = ()
    hold_ids: tuple[int, ...] = ()


class UnreadableRow(Value, frozen=True, kw_only=True):
    """A row of the book that could not be read as a position: shown, never guessed at."""

    position_id: int
    symbol: str
    problem: str


class ActiveBook(Value, frozen=True, kw_only=True):
    """An account's active rows, and those of them that could not be read."""

    positions: tuple[Position, ...] = ()
    unreadable: tuple[UnreadableRow, ...] = ()
