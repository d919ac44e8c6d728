"""Bybit's words for the world's values, and back.

Source: the venue's enum page (createType, cancelType, rejectReason, stopOrderType, execType) as of mid-2026. A plain
conditional order is `Stop` by `CreateByStopOrder`; what was cancelled before it triggered is `Deactivated`.
"""

from __future__ import annotations

from collections.abc import Mapping

from trueup.sim.world.types import (
    AttachMode,
    ConditionalKind,
    ConditionalOrder,
    ConditionalStatus,
    EndReason,
    ExecType,
    InstrumentSpec,
    Kind,
    Leg,
    Order,
    OrderStatus,
    OrderType,
    Origin,
    PositionMode,
    Side,
    TimeInForce,
    TriggerBy,
)

SIDES: Mapping[str, Side] = {"Buy": Side.BUY, "Sell": Side.SELL}
SIDE_WORDS: Mapping[Side, str] = {side: word for word, side in SIDES.items()}
ORDER_TYPES: Mapping[str, OrderType] = {"Market": OrderType.MARKET, "Limit": OrderType.LIMIT}
ORDER_TYPE_WORDS: Mapping[OrderType, str] = {kind: word for word, kind in ORDER_TYPES.items()}
TIMES_IN_FORCE: Mapping[str, TimeInForce] = {
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "PostOnly": TimeInForce.POST_ONLY,
}
TIME_IN_FORCE_WORDS: Mapping[TimeInForce, str] = {
    **{kind: word for word, kind in TIMES_IN_FORCE.items()},
    TimeInForce.GTE_GTC: "GTC",
}
TRIGGERS: Mapping[str, TriggerBy] = {
    "LastPrice": TriggerBy.LAST,
    "MarkPrice": TriggerBy.MARK,
    "IndexPrice": TriggerBy.INDEX,
}
TRIGGER_WORDS: Mapping[TriggerBy, str] = {kind: word for word, kind in TRIGGERS.items()}
TPSL_MODES: Mapping[str, AttachMode] = {"Full": AttachMode.FULL, "Partial": AttachMode.PARTIAL}
TPSL_MODE_WORDS: Mapping[AttachMode, str] = {mode: word for word, mode in TPSL_MODES.items()}
LEGS: Mapping[int, Leg] = {0: Leg.NET, 1: Leg.LONG, 2: Leg.SHORT}
LEG_INDEX: Mapping[Leg, int] = {leg: index for index, leg in LEGS.items()}
CATEGORIES = frozenset({"linear", "inverse", "spot", "option"})
SERVED_CATEGORIES = frozenset({"linear", "inverse"})

ORDER_STATUS_WORDS: Mapping[OrderStatus, str] = {
    OrderStatus.NEW: "New",
    OrderStatus.PARTIALLY_FILLED: "PartiallyFilled",
    OrderStatus.FILLED: "Filled",
    OrderStatus.CANCELED: "Cancelled",
    OrderStatus.EXPIRED: "Cancelled",
    OrderStatus.REJECTED: "Rejected",
}
CONDITIONAL_STATUS_WORDS: Mapping[ConditionalStatus, str] = {
    ConditionalStatus.NEW: "Untriggered",
    ConditionalStatus.TRIGGERED: "Triggered",
    ConditionalStatus.FINISHED: "Filled",
    ConditionalStatus.CANCELED: "Deactivated",
    ConditionalStatus.EXPIRED: "Deactivated",
    ConditionalStatus.REJECTED: "Cancelled",
}
CANCEL_WORDS: Mapping[EndReason | None, str] = {
    EndReason.USER: "CancelByUser",
    EndReason.REPLACED: "CancelByUser",
    EndReason.REDUCE_ONLY: "CancelByReduceOnly",
    EndReason.POSITION_FLAT: "CancelByReduceOnly",
    EndReason.LIQUIDATION: "CancelAllBeforeLiq",
    EndReason.SETTLEMENT: "CancelBySettle",
}
REJECT_WORDS: Mapping[EndReason | None, str] = {
    EndReason.USER: "EC_PerCancelRequest",
    EndReason.REPLACED: "EC_PerCancelRequest",
    EndReason.IMMEDIATE_OR_CANCEL: "EC_NoImmediateQtyToFill",
    EndReason.POST_ONLY: "EC_PostOnlyWillTakeLiquidity",
    EndReason.INSUFFICIENT_MARGIN: "EC_Others",
    EndReason.CHILD_REFUSED: "EC_Others",
}
UNKNOWN = "UNKNOWN"
NO_ERROR = "EC_NoError"

_FULL_STOPS = {
    ConditionalKind.STOP: "StopLoss",
    ConditionalKind.TAKE_PROFIT: "TakeProfit",
    ConditionalKind.TRAILING_STOP: "TrailingStop",
}
_PARTIAL_STOPS = {
    ConditionalKind.STOP: "PartialStopLoss",
    ConditionalKind.TAKE_PROFIT: "PartialTakeProfit",
    ConditionalKind.TRAILING_STOP: "TrailingStop",
}
_FORCED = {
    Origin.LIQUIDATION: "CreateByTakeOver_PassThrough",
    Origin.ADL: "CreateByAdl_PassThrough",
    Origin.SETTLEMENT: "CreateBySettle",
}
_EXEC_WORDS = {
    ExecType.TRADE: "Trade",
    ExecType.LIQUIDATION: "BustTrade",
    ExecType.ADL: "AdlTrade",
    ExecType.FUNDING: "Funding",
}
CLOSED_PNL_WORDS: Mapping[ExecType, str] = {
    ExecType.TRADE: "Trade",
    ExecType.LIQUIDATION: "BustTrade",
    ExecType.ADL: "Trade",
    ExecType.SETTLEMENT: "Settle",
}


def stop_order_type(kind: ConditionalKind | None, attached: AttachMode | None) -> str:
    """`stopOrderType`: "" for an order that no trigger made."""
    if kind is None:
        return ""
    if attached is None:
        return "TrailingStop" if kind is ConditionalKind.TRAILING_STOP else "Stop"
    return (_FULL_STOPS if attached is AttachMode.FULL else _PARTIAL_STOPS)[kind]


def create_type(origin: Origin, kind: ConditionalKind | None, attached: AttachMode | None) -> str:
    """`createType`: who made the order."""
    if origin is Origin.CONDITIONAL:
        word = stop_order_type(kind, attached)
        return "CreateByStopOrder" if word in ("", "Stop") else f"CreateBy{word}"
    return _FORCED.get(origin, "CreateByUser")


def conditional_create_type(order: ConditionalOrder) -> str:
    """`createType` of an order that waits for its trigger."""
    return create_type(Origin.CONDITIONAL, order.kind, order.attached)


def exec_type(spec: InstrumentSpec, kind: ExecType) -> str:
    """`execType`: an inverse future settles, every other contract is delivered."""
    if kind is ExecType.SETTLEMENT:
        return "Settle" if spec.inverse else "Delivery"
    return _EXEC_WORDS[kind]


def contract_type(spec: InstrumentSpec) -> str:
    """`contractType`."""
    way = "Inverse" if spec.inverse else "Linear"
    return way + ("Perpetual" if spec.kind is Kind.PERPETUAL else "Futures")


def legs_of(mode: PositionMode) -> tuple[Leg, ...]:
    """The position slots of a symbol in a mode, in the order of positionIdx."""
    return (Leg.NET,) if mode is PositionMode.ONE_WAY else (Leg.LONG, Leg.SHORT)


def is_listed(order: Order) -> bool:
    """False for delivery, which the venue records as a trade but not as an order."""
    return order.origin is not Origin.SETTLEMENT
