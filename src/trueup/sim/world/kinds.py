"""The closed sets of words that the simulated venue's values are made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Venue = Literal["binance", "bybit"]
"""Which wire an account or instrument belongs to."""


class Side(StrEnum):
    """Direction of an order or fill."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class Leg(StrEnum):
    """Which position slot of a symbol: the one of one-way mode, or a leg of hedge mode (Bybit positionIdx 0, 1, 2)."""

    NET = "net"
    LONG = "long"
    SHORT = "short"


class PositionMode(StrEnum):
    ONE_WAY = "one_way"
    HEDGE = "hedge"


class MarginMode(StrEnum):
    CROSS = "cross"
    ISOLATED = "isolated"


class Kind(StrEnum):
    PERPETUAL = "perpetual"
    DATED = "dated"


class InstrumentStatus(StrEnum):
    TRADING = "trading"
    SETTLED = "settled"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"
    GTE_GTC = "gte_gtc"
    """Binance: good while the position lives; undocumented, but what its own interface and close-position orders use.
    """


class OrderStatus(StrEnum):
    """States of a regular order. Open: NEW, PARTIALLY_FILLED; all others are final."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class ConditionalKind(StrEnum):
    STOP = "stop"
    TAKE_PROFIT = "take_profit"
    TRAILING_STOP = "trailing_stop"


class ConditionalStatus(StrEnum):
    """States of a conditional order.

    NEW → TRIGGERED (its child order exists) → FINISHED (the child is final); NEW → CANCELED, EXPIRED or REJECTED (it
    triggered, but the child was refused: a reduce-only child without a position, for one). Open: NEW.
    """

    NEW = "new"
    TRIGGERED = "triggered"
    FINISHED = "finished"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class TriggerBy(StrEnum):
    LAST = "last"
    MARK = "mark"
    INDEX = "index"


class AttachMode(StrEnum):
    """How a position-attached stop covers its position (Bybit tpslMode)."""

    FULL = "full"
    PARTIAL = "partial"


class ExecType(StrEnum):
    """What made an execution; FUNDING rows are money, not quantity."""

    TRADE = "trade"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"
    FUNDING = "funding"


class Origin(StrEnum):
    """Who made an order: a client, a triggered conditional, or the venue itself."""

    USER = "user"
    CONDITIONAL = "conditional"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"


class EndReason(StrEnum):
    """Why an order or conditional order ended without being wholly filled."""

    USER = "user"
    IMMEDIATE_OR_CANCEL = "immediate_or_cancel"
    POST_ONLY = "post_only"
    REDUCE_ONLY = "reduce_only"
    POSITION_FLAT = "position_flat"
    REPLACED = "replaced"
    INSUFFICIENT_MARGIN = "insufficient_margin"
    LIQUIDATION = "liquidation"
    SETTLEMENT = "settlement"
    CHILD_REFUSED = "child_refused"


class LedgerKind(StrEnum):
    """What a movement of money was for. TRANSFER is the only kind that brings money from outside the world."""

    TRANSFER = "transfer"
    REALIZED_PNL = "realized_pnl"
    COMMISSION = "commission"
    FUNDING = "funding"
    INSURANCE = "insurance"
