"""Bybit orders: kinds, close semantics, and who made them.

1. A conditional order's kind is told by `stopOrderType`; a plain `Stop` by where its trigger lies: below for a sell or
   above for a buy it is a stop, on the other side a take-profit. Where that cannot be told the kind is OTHER.
2. `reduceOnly` and `closeOnTrigger` both mean that it can only reduce. A quantity of zero covers the whole position.
3. A Full-mode stop of a position may also stand in the list of conditional orders: it is one stop and is reported once,
   as attached, with what the list knows of it.
4. An order keeps its id when it triggers: parent and child are one record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from trueup.model.decimals import optional_decimal, positive_or_none
from trueup.model.errors import Unreadable
from trueup.model.orders import OpenOrder, OrderKind, OrderList, OrderRecord, OrderSide, OrderStatus, Side
from trueup.venues.bybit.positions import leg_of
from trueup.venues.bybit.rows import OrderRow
from trueup.venues.wire import flag, text, text_or_none, time_or_none, whole

__all__ = ["ReadOrder", "kind_of", "made_by", "merged", "open_order", "order_record", "order_side"]

_SIDES = {"Buy": OrderSide.BUY, "Sell": OrderSide.SELL}
_PLAIN_KINDS = {"Market": OrderKind.MARKET, "Limit": OrderKind.LIMIT}
_STOP_KINDS = {
    "StopLoss": OrderKind.STOP,
    "PartialStopLoss": OrderKind.STOP,
    "TakeProfit": OrderKind.TAKE_PROFIT,
    "PartialTakeProfit": OrderKind.TAKE_PROFIT,
    "TrailingStop": OrderKind.TRAILING_STOP,
    "TrailingProfit": OrderKind.TRAILING_STOP,
}
_OF_THE_POSITION = frozenset({"StopLoss", "TakeProfit", "TrailingStop"})
_NO_STOP = frozenset({"", "UNKNOWN"})
_TRIGGERS = {"LastPrice": "last", "MarkPrice": "mark", "IndexPrice": "index"}
_STATUSES = {
    "New": OrderStatus.OPEN,
    "PartiallyFilled": OrderStatus.OPEN,
    "Untriggered": OrderStatus.OPEN,
    "Created": OrderStatus.OPEN,
    "Triggered": OrderStatus.TRIGGERED,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELLED,
    "PartiallyFilledCanceled": OrderStatus.CANCELLED,
    "Deactivated": OrderStatus.CANCELLED,
    "Rejected": OrderStatus.REJECTED,
}
_MADE_BY_KIND = {
    OrderKind.STOP: "stop_loss",
    OrderKind.TAKE_PROFIT: "take_profit",
    OrderKind.TRAILING_STOP: "trailing_stop",
}
_MAKERS = {
    "CreateByUser": "user",
    "CreateByClosing": "user",
    "CreateByFutureSpread": "user",
    "CreateByTWAP": "user",
    "CreateByIceBerg": "user",
    "CreateByTVSignal": "user",
    "CreateByFGridBot": "user",
    "CloseByFGridBot": "user",
    "CreateByMartingaleBot": "user",
    "CloseByMartingaleBot": "user",
    "CreateByStopLoss": "stop_loss",
    "CreateByPartialStopLoss": "stop_loss",
    "CreateByTakeProfit": "take_profit",
    "CreateByPartialTakeProfit": "take_profit",
    "CreateByTrailingStop": "trailing_stop",
    "CreateByTrailingProfit": "trailing_stop",
    "CreateByLiq": "liquidation",
    "CreateByTakeOverPassThrough": "liquidation",
    "CreateByMmRateClose": "liquidation",
    "CreateByAdlPassThrough": "adl",
    "CreateBySettle": "settlement",
    "CreateByAdminClosing": "settlement",
}


@dataclass(frozen=True, slots=True)
class ReadOrder:
    """An order with what is needed to tell it from the attached stop that it may be.

    `slot`: (symbol, positionIdx, kind) for a Full-mode stop of a position, else None.
    """

    order: OpenOrder
    slot: tuple[str, int, OrderKind] | None


def order_side(side: str, what: str) -> OrderSide:
    """`Buy`/`Sell`.

    Raises:
        Unreadable: Anything else.
    """
    if side not in _SIDES:
        raise Unreadable(what, expected="Buy or Sell", found=side)
    return _SIDES[side]


def made_by(create_type: str | None) -> str | None:
    """Who made an order, by its `createType`; None where that does not say (a plain conditional order, or nothing)."""
    return _MAKERS.get((create_type or "").replace("_", ""))


def kind_of(row: OrderRow, side: OrderSide) -> OrderKind:
    """What an order is, whether it still waits for its trigger or not."""
    stop_type = row.stop_order_type or ""
    if stop_type in _STOP_KINDS:
        return _STOP_KINDS[stop_type]
    if stop_type in _NO_STOP:
        return _PLAIN_KINDS.get(row.order_type, OrderKind.OTHER)
    rising = _rises(row) if stop_type == "Stop" else None
    if rising is None:
        return OrderKind.OTHER
    return OrderKind.STOP if rising is (side is OrderSide.BUY) else OrderKind.TAKE_PROFIT


def _rises(row: OrderRow) -> bool | None:
    """Whether the trigger waits for the price to rise; None where neither the direction nor the price then tells."""
    direction = str(row.trigger_direction)
    if direction in ("1", "2"):
        return direction == "1"
    trigger = positive_or_none(row.trigger_price, "triggerPrice")
    last = positive_or_none(row.last_price_on_created, "lastPriceOnCreated")
    return None if trigger is None or last is None or trigger == last else trigger > last


def open_order(row: OrderRow, symbol: str) -> ReadOrder:
    """A row of `order/realtime`. `quantity` is what is still unfilled; None: the whole position.

    Raises:
        Unreadable: A field is not what it must be.
    """
    name = f"order {row.order_id}"
    side = order_side(row.side, f"side of {name}")
    waits = row.order_status == "Untriggered"
    kind = kind_of(row, side) if waits else _PLAIN_KINDS.get(row.order_type, OrderKind.OTHER)
    leg = leg_of(row.position_idx, f"positionIdx of {name}")
    of_position = waits and row.stop_order_type in _OF_THE_POSITION and row.tpsl_mode != "Partial"
    reduces = flag(row.reduce_only, f"reduceOnly of {name}") or flag(row.close_on_trigger, f"closeOnTrigger of {name}")
    quantity = positive_or_none(row.qty if waits or row.leaves_qty is None else row.leaves_qty, f"qty of {name}")
    order = OpenOrder(
        symbol=symbol,
        order_id=text(row.order_id, "orderId"),
        client_order_id=text_or_none(row.order_link_id),
        order_list=OrderList.CONDITIONAL if waits else OrderList.REGULAR,
        kind=kind,
        order_side=side,
        position_side=leg,
        reduce_only=reduces or of_position,
        close_position=of_position or (reduces and quantity is None),
        quantity=quantity,
        trigger_price=positive_or_none(row.trigger_price, f"triggerPrice of {name}") if waits else None,
        trigger_by=_TRIGGERS.get(row.trigger_by or "") if waits else None,
        limit_price=None if row.order_type == "Market" else positive_or_none(row.price, f"price of {name}"),
        created_at_ms=time_or_none(row.created_time, f"createdTime of {name}"),
        venue_type=row.stop_order_type if row.stop_order_type and waits else row.order_type,
    )
    slot = (symbol, whole(row.position_idx, f"positionIdx of {name}"), kind) if of_position else None
    return ReadOrder(order=order, slot=slot)


def merged(
    listed: Iterable[ReadOrder], attached: Iterable[tuple[tuple[str, int, OrderKind], OpenOrder]]
) -> list[OpenOrder]:
    """Orders of the lists and stops of the positions, each stop once.

    Args:
        attached: The positions' stops with their slots. Where the lists show the same slot, the attached order stays,
            and takes over the trigger source, creation time and, for a trailing stop, the trigger price.
    """
    stops = dict(attached)
    orders: list[OpenOrder] = []
    for read in listed:
        if read.slot is None or read.slot not in stops:
            orders.append(read.order)
            continue
        stop = stops[read.slot]
        stops[read.slot] = msgspec.structs.replace(
            stop,
            trigger_price=stop.trigger_price if stop.trigger_price is not None else read.order.trigger_price,
            trigger_by=read.order.trigger_by,
            created_at_ms=read.order.created_at_ms,
        )
    return [*orders, *stops.values()]


def order_record(row: OrderRow, symbol: str) -> OrderRecord:
    """A row of any status, from a list or from the stream.

    Raises:
        Unreadable: A field is not what it must be.
    """
    name = f"order {row.order_id}"
    side = order_side(row.side, f"side of {name}")
    kind = kind_of(row, side)
    leg = leg_of(row.position_idx if row.position_idx is not None else 0, f"positionIdx of {name}")
    reduces = flag(row.reduce_only, f"reduceOnly of {name}") or flag(row.close_on_trigger, f"closeOnTrigger of {name}")
    maker = made_by(row.create_type)
    if maker in (None, "user") and kind in _MADE_BY_KIND:
        maker = _MADE_BY_KIND[kind] if reduces or _exits(leg, side) else "user"
    return OrderRecord(
        symbol=symbol,
        order_id=text(row.order_id, "orderId"),
        client_order_id=text_or_none(row.order_link_id),
        kind=kind,
        status=_STATUSES.get(row.order_status, OrderStatus.UNKNOWN),
        order_side=side,
        filled_quantity=optional_decimal(row.cum_exec_qty, f"cumExecQty of {name}"),
        average_price=positive_or_none(row.avg_price, f"avgPrice of {name}"),
        reduce_only=reduces,
        close_position=row.stop_order_type in _OF_THE_POSITION and row.tpsl_mode != "Partial",
        trigger_price=positive_or_none(row.trigger_price, f"triggerPrice of {name}"),
        created_by=maker,
        at_ms=time_or_none(row.updated_time, f"updatedTime of {name}"),
    )


def _exits(leg: Side | None, side: OrderSide) -> bool:
    return leg is not None and leg.exit_side is side
