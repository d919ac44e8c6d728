"""The venue's words for the world's values, both ways."""

from __future__ import annotations

from trueup.sim.world.types import (
    ConditionalKind,
    ConditionalOrder,
    ConditionalStatus,
    EndReason,
    LedgerKind,
    Leg,
    Order,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    TriggerBy,
)

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
SIDE_NAMES = {side: name for name, side in SIDES.items()}
POSITION_SIDES = {"BOTH": Leg.NET, "LONG": Leg.LONG, "SHORT": Leg.SHORT}
POSITION_SIDE_NAMES = {leg: name for name, leg in POSITION_SIDES.items()}
ORDER_TYPES = {"LIMIT": OrderType.LIMIT, "MARKET": OrderType.MARKET}
ORDER_TYPE_NAMES = {kind: name for name, kind in ORDER_TYPES.items()}
TIMES_IN_FORCE = {
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "GTX": TimeInForce.POST_ONLY,
}
ALGO_TIMES_IN_FORCE = {**TIMES_IN_FORCE, "GTE_GTC": TimeInForce.GTE_GTC}
TIME_IN_FORCE_NAMES = {value: name for name, value in ALGO_TIMES_IN_FORCE.items()}
ALGO_TYPES = {
    "STOP": (ConditionalKind.STOP, OrderType.LIMIT),
    "STOP_MARKET": (ConditionalKind.STOP, OrderType.MARKET),
    "TAKE_PROFIT": (ConditionalKind.TAKE_PROFIT, OrderType.LIMIT),
    "TAKE_PROFIT_MARKET": (ConditionalKind.TAKE_PROFIT, OrderType.MARKET),
    "TRAILING_STOP_MARKET": (ConditionalKind.TRAILING_STOP, OrderType.MARKET),
}
ALGO_TYPE_NAMES = {pair: name for name, pair in ALGO_TYPES.items()}
WORKING_TYPES = {"CONTRACT_PRICE": TriggerBy.LAST, "MARK_PRICE": TriggerBy.MARK}
WORKING_TYPE_NAMES = {value: name for name, value in WORKING_TYPES.items()}
ORDER_STATUS_NAMES = {
    OrderStatus.NEW: "NEW",
    OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
    OrderStatus.REJECTED: "REJECTED",
}
ALGO_STATUS_NAMES = {
    ConditionalStatus.NEW: "NEW",
    ConditionalStatus.TRIGGERED: "TRIGGERED",
    ConditionalStatus.FINISHED: "FINISHED",
    ConditionalStatus.CANCELED: "CANCELED",
    ConditionalStatus.EXPIRED: "EXPIRED",
    ConditionalStatus.REJECTED: "REJECTED",
}
INCOME_TYPES = {
    "TRANSFER": LedgerKind.TRANSFER,
    "REALIZED_PNL": LedgerKind.REALIZED_PNL,
    "COMMISSION": LedgerKind.COMMISSION,
    "FUNDING_FEE": LedgerKind.FUNDING,
    "INSURANCE_CLEAR": LedgerKind.INSURANCE,
}
INCOME_TYPE_NAMES = {kind: name for name, kind in INCOME_TYPES.items()}
EXPIRY_REASONS = {
    EndReason.IMMEDIATE_OR_CANCEL: "2",
    EndReason.REDUCE_ONLY: "4",
    EndReason.POSITION_FLAT: "4",
    EndReason.LIQUIDATION: "5",
    EndReason.SETTLEMENT: "7",
}
REJECT_REASONS = {
    EndReason.REDUCE_ONLY: "Reduce Only reject",
    EndReason.INSUFFICIENT_MARGIN: "Margin is insufficient.",
    EndReason.CHILD_REFUSED: "Order is rejected.",
}


def algo_type(order: ConditionalOrder) -> str:
    """`STOP_MARKET` and its kin."""
    if order.kind is ConditionalKind.TRAILING_STOP:
        return "TRAILING_STOP_MARKET"
    return ALGO_TYPE_NAMES[(order.kind, order.order_type)]


def expiry_reason(order: Order) -> str:
    """`er` of an order message: why the venue ended the order, "0" when it did not."""
    if order.status is not OrderStatus.EXPIRED or order.end_reason is None:
        return "0"
    if order.end_reason is EndReason.IMMEDIATE_OR_CANCEL and order.type is OrderType.MARKET:
        return "9"
    return EXPIRY_REASONS.get(order.end_reason, "0")
