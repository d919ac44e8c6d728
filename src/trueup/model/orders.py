"""Orders and fills as a venue states them.

1. A stop is told by its semantics (closes, or may open), never by its name alone.
2. A quantity of None means "the whole position"; it is never zero.
3. A fill moves quantity; funding is money and is a type of its own.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from trueup.model.values import Value

__all__ = [
    "ClosedPnl",
    "Fill",
    "FillKind",
    "Funding",
    "OpenOrder",
    "OrderKind",
    "OrderList",
    "OrderRecord",
    "OrderSide",
    "OrderStatus",
    "Side",
]


class Side(StrEnum):
    """Direction of a position."""

    LONG = "long"
    SHORT = "short"

    @property
    def sign(self) -> int:
        return 1 if self is Side.LONG else -1

    @property
    def opposite(self) -> Side:
        return Side.SHORT if self is Side.LONG else Side.LONG

    @property
    def exit_side(self) -> OrderSide:
        """The order side that reduces this position."""
        return OrderSide.SELL if self is Side.LONG else OrderSide.BUY


class OrderSide(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is OrderSide.BUY else -1


class OrderList(StrEnum):
    """Where a venue keeps the order: it must be read, and cancelled, there."""

    REGULAR = "regular"
    CONDITIONAL = "conditional"
    ATTACHED = "attached"  # a stop that sits on the position row (Bybit trading-stop)


class OrderKind(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"  # stop-loss or stop entry; `limit_price` tells market from limit
    TAKE_PROFIT = "take_profit"
    TRAILING_STOP = "trailing_stop"
    OTHER = "other"


class OrderStatus(StrEnum):
    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    TRIGGERED = "triggered"  # a conditional order that became `child_order_id`
    UNKNOWN = "unknown"


class OpenOrder(Value, frozen=True, kw_only=True):
    """A live order.

    Attributes:
        position_side: The hedge leg it acts on; None in one-way mode.
        quantity: Contracts; None = the whole position.
        trigger_price, limit_price: In quote units.
        trigger_by: ``"mark"``, ``"last"`` or ``"index"``.
        venue_type: The venue's own word, for people.
    """

    symbol: str
    order_id: str
    client_order_id: str | None
    order_list: OrderList
    kind: OrderKind
    order_side: OrderSide
    position_side: Side | None = None
    reduce_only: bool = False
    close_position: bool = False
    quantity: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_by: str | None = None
    limit_price: Decimal | None = None
    created_at_ms: int | None = None
    venue_type: str = ""

    def closes(self, side: Side) -> bool:
        """Whether it can only reduce a position of that side (close semantics).

        In hedge mode the exit side of the leg says so; in one-way mode reduce-only, close-position or attached does.
        """
        if self.order_side is not side.exit_side:
            return False
        if self.position_side is not None:
            return self.position_side is side
        return self.reduce_only or self.close_position or self.order_list is OrderList.ATTACHED

    @property
    def is_stop(self) -> bool:
        """Waits for an adverse price: a stop or a trailing stop (a take-profit is none)."""
        return self.kind in (OrderKind.STOP, OrderKind.TRAILING_STOP)

    @property
    def is_conditional(self) -> bool:
        return self.kind in (OrderKind.STOP, OrderKind.TAKE_PROFIT, OrderKind.TRAILING_STOP)


class OrderRecord(Value, frozen=True, kw_only=True):
    """What a venue's order history says of one order, the conditional parent folded into its child.

    Attributes:
        created_by: Who made it, where the venue says: ``"user"``, ``"liquidation"``, ``"adl"``, ``"settlement"``,
            ``"stop_loss"``, ``"take_profit"``, ``"trailing_stop"``; None if it does not.
        parent_order_id, parent_client_order_id: The conditional order that triggered into it.
        average_price: Of its fills; None if nothing filled.
    """

    symbol: str
    order_id: str
    client_order_id: str | None
    kind: OrderKind
    status: OrderStatus
    order_side: OrderSide
    filled_quantity: Decimal | None = None
    average_price: Decimal | None = None
    reduce_only: bool = False
    close_position: bool = False
    trigger_price: Decimal | None = None
    created_by: str | None = None
    parent_order_id: str | None = None
    parent_client_order_id: str | None = None
    at_ms: int | None = None


class FillKind(StrEnum):
    TRADE = "trade"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"


class Fill(Value, frozen=True, kw_only=True):
    """One execution.

    Attributes:
        quantity: Contracts, positive.
        price: Quote units.
        value: Price times quantity as settled: quote units (linear), base coin (inverse); None: not stated.
        fee: In `fee_asset`, positive = paid.
        realized_pnl: Gross, as the venue states it (Binance); None where it states none (Bybit).
        closed_quantity: How much of it reduced a position, where the venue says (Bybit); None otherwise.
        position_side: The hedge leg; None in one-way mode or where the venue does not say.
        order_kind: Of the order that made it, where the fill says (Bybit); None otherwise.
        created_by: As in `OrderRecord`.
    """

    symbol: str
    trade_id: str
    order_id: str
    client_order_id: str | None = None
    order_side: OrderSide
    position_side: Side | None = None
    quantity: Decimal
    price: Decimal
    value: Decimal | None = None
    fee: Decimal | None = None
    fee_asset: str | None = None
    realized_pnl: Decimal | None = None
    closed_quantity: Decimal | None = None
    at_ms: int
    sequence: int | None = None
    kind: FillKind = FillKind.TRADE
    order_kind: OrderKind | None = None
    created_by: str | None = None


class Funding(Value, frozen=True, kw_only=True):
    """A funding payment. `amount` in `asset`, positive = received. `side` None where the venue does not say the leg."""

    symbol: str
    payment_id: str
    side: Side | None
    amount: Decimal
    asset: str
    at_ms: int


class ClosedPnl(Value, frozen=True, kw_only=True):
    """A venue's own record of a close (Bybit: one row per closing order).

    Attributes:
        side: Of the position that was closed.
        net_pnl: Net of opening and closing fees, in the settle asset.
        entry_value, exit_value: Of the closed part, in the settle asset; None where not stated.
        open_fee, close_fee: Positive = paid; None where not stated.
    """

    symbol: str
    order_id: str
    side: Side
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    net_pnl: Decimal
    entry_value: Decimal | None = None
    exit_value: Decimal | None = None
    open_fee: Decimal | None = None
    close_fee: Decimal | None = None
    created_by: str | None = None
    at_ms: int
