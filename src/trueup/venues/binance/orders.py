"""Binance orders: the regular list, the Algo Service's list, and the history of both.

1. The kind is told by the order's own type, never by which list it came from; both `type` and `orderType` occur.
2. `closePosition` covers the whole position: its quantity is None.
3. A conditional order that triggered became a regular order with another id (`actualOrderId`); its record bears the
   parent's kind and ids.
4. Liquidation, ADL and settlement are told by how the client order id begins.
"""

from __future__ import annotations

from decimal import Decimal

from trueup.model.decimals import optional_decimal, positive_or_none
from trueup.model.errors import Unreadable
from trueup.model.orders import OpenOrder, OrderKind, OrderList, OrderRecord, OrderSide, OrderStatus, Side
from trueup.venues.binance.positions import leg_of
from trueup.venues.binance.rows import AlgoOrderRow, OrderRow
from trueup.venues.wire import flag, text_or_none, time_or_none, whole

__all__ = [
    "ALGO_STATUSES",
    "KINDS",
    "STATUSES",
    "TRIGGERS",
    "algo_open_order",
    "algo_record",
    "child_id_of",
    "fold_parent",
    "made_by",
    "maker_of",
    "open_order",
    "order_record",
    "order_side",
]

KINDS = {
    "MARKET": OrderKind.MARKET,
    "LIMIT": OrderKind.LIMIT,
    "STOP": OrderKind.STOP,
    "STOP_MARKET": OrderKind.STOP,
    "TAKE_PROFIT": OrderKind.TAKE_PROFIT,
    "TAKE_PROFIT_MARKET": OrderKind.TAKE_PROFIT,
    "TRAILING_STOP_MARKET": OrderKind.TRAILING_STOP,
}

STATUSES = {
    "NEW": OrderStatus.OPEN,
    "PARTIALLY_FILLED": OrderStatus.OPEN,
    "NEW_INSURANCE": OrderStatus.OPEN,
    "NEW_ADL": OrderStatus.OPEN,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELLED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}

ALGO_STATUSES = {
    "NEW": OrderStatus.OPEN,
    "TRIGGERING": OrderStatus.OPEN,
    "TRIGGERED": OrderStatus.TRIGGERED,
    "FINISHED": OrderStatus.TRIGGERED,
    "CANCELED": OrderStatus.CANCELLED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
}

TRIGGERS = {"MARK_PRICE": "mark", "CONTRACT_PRICE": "last"}
_MADE_BY_VENUE = (("autoclose-", "liquidation"), ("adl_autoclose", "adl"), ("settlement_autoclose-", "settlement"))
_MADE_BY_KIND = {
    OrderKind.STOP: "stop_loss",
    OrderKind.TAKE_PROFIT: "take_profit",
    OrderKind.TRAILING_STOP: "trailing_stop",
}


def order_side(side: str, what: str) -> OrderSide:
    """`BUY`/`SELL`.

    Raises:
        Unreadable: Anything else.
    """
    try:
        return OrderSide(side.lower())
    except ValueError:
        raise Unreadable(what, expected="BUY or SELL", found=side) from None


def made_by(client_order_id: str | None) -> str:
    """Who made an order, by its client id."""
    for prefix, maker in _MADE_BY_VENUE:
        if client_order_id is not None and client_order_id.startswith(prefix):
            return maker
    return "user"


def maker_of(client_order_id: str | None, kind: OrderKind, side: OrderSide, leg: Side | None, *, closes: bool) -> str:
    """Like `made_by`; a stop that can only close is its own maker ("stop_loss", …), a stop entry is its user's.

    Args:
        closes: Reduce-only or close-position; in hedge mode the exit side of the leg means the same.
    """
    maker = made_by(client_order_id)
    if maker == "user" and (closes or (leg is not None and leg.exit_side is side)):
        return _MADE_BY_KIND.get(kind, maker)
    return maker


def open_order(row: OrderRow, symbol: str) -> OpenOrder:
    """A row of `openOrders`; `quantity` is what is still unfilled.

    Raises:
        Unreadable: A field is not what it must be.
    """
    name = f"order {row.order_id}"
    whole_position = flag(row.close_position, f"closePosition of {name}")
    return OpenOrder(
        symbol=symbol,
        order_id=str(whole(row.order_id, "orderId")),
        client_order_id=text_or_none(row.client_order_id),
        order_list=OrderList.REGULAR,
        kind=KINDS.get(row.type, OrderKind.OTHER),
        order_side=order_side(row.side, f"side of {name}"),
        position_side=leg_of(row.position_side or "BOTH", f"positionSide of {name}"),
        reduce_only=flag(row.reduce_only, f"reduceOnly of {name}"),
        close_position=whole_position,
        quantity=None if whole_position else _left(row, name),
        trigger_price=positive_or_none(row.stop_price, f"stopPrice of {name}"),
        trigger_by=TRIGGERS.get(row.working_type or "") if _is_conditional(row.type) else None,
        limit_price=positive_or_none(row.price, f"price of {name}"),
        created_at_ms=time_or_none(row.time, f"time of {name}"),
        venue_type=row.type,
    )


def algo_open_order(row: AlgoOrderRow, symbol: str) -> OpenOrder:
    """A row of `openAlgoOrders`.

    A trailing stop's `trigger_price` is its activation price where it has one: the venue shows no running trigger.

    Raises:
        Unreadable: A field is not what it must be.
    """
    name = f"algo order {row.algo_id}"
    own_type = row.order_type or row.type or ""
    whole_position = flag(row.close_position, f"closePosition of {name}")
    trigger_price = positive_or_none(row.trigger_price, f"triggerPrice of {name}")
    if trigger_price is None:
        trigger_price = positive_or_none(row.activate_price, f"activatePrice of {name}")
    return OpenOrder(
        symbol=symbol,
        order_id=str(whole(row.algo_id, "algoId")),
        client_order_id=text_or_none(row.client_algo_id),
        order_list=OrderList.CONDITIONAL,
        kind=KINDS.get(own_type, OrderKind.OTHER),
        order_side=order_side(row.side, f"side of {name}"),
        position_side=leg_of(row.position_side or "BOTH", f"positionSide of {name}"),
        reduce_only=flag(row.reduce_only, f"reduceOnly of {name}"),
        close_position=whole_position,
        quantity=None if whole_position else positive_or_none(row.quantity, f"quantity of {name}"),
        trigger_price=trigger_price,
        trigger_by=TRIGGERS.get(row.working_type or ""),
        limit_price=positive_or_none(row.price, f"price of {name}"),
        created_at_ms=time_or_none(row.create_time, f"createTime of {name}"),
        venue_type=own_type,
    )


def order_record(row: OrderRow, symbol: str) -> OrderRecord:
    """A row of `order` or `allOrders`, any status.

    Raises:
        Unreadable: A field is not what it must be.
    """
    name = f"order {row.order_id}"
    client_order_id = text_or_none(row.client_order_id)
    own_type = row.orig_type if row.orig_type in KINDS and _is_conditional(row.orig_type) else row.type
    side = order_side(row.side, f"side of {name}")
    kind = KINDS.get(own_type, OrderKind.OTHER)
    reduce_only = flag(row.reduce_only, f"reduceOnly of {name}")
    close_position = flag(row.close_position, f"closePosition of {name}")
    leg = leg_of(row.position_side or "BOTH", f"positionSide of {name}")
    return OrderRecord(
        symbol=symbol,
        order_id=str(whole(row.order_id, "orderId")),
        client_order_id=client_order_id,
        kind=kind,
        status=STATUSES.get(row.status, OrderStatus.UNKNOWN),
        order_side=side,
        filled_quantity=optional_decimal(row.executed_qty, f"executedQty of {name}"),
        average_price=positive_or_none(row.avg_price, f"avgPrice of {name}"),
        reduce_only=reduce_only,
        close_position=close_position,
        trigger_price=positive_or_none(row.stop_price, f"stopPrice of {name}"),
        created_by=maker_of(client_order_id, kind, side, leg, closes=reduce_only or close_position),
        at_ms=time_or_none(row.update_time, f"updateTime of {name}") or time_or_none(row.time, f"time of {name}"),
    )


def algo_record(row: AlgoOrderRow, symbol: str) -> OrderRecord:
    """A conditional order by itself: what it filled stands on the order that it became.

    Raises:
        Unreadable: A field is not what it must be.
    """
    as_open = algo_open_order(row, symbol)
    name = f"algo order {row.algo_id}"
    return OrderRecord(
        symbol=symbol,
        order_id=as_open.order_id,
        client_order_id=as_open.client_order_id,
        kind=as_open.kind,
        status=ALGO_STATUSES.get(row.algo_status, OrderStatus.UNKNOWN),
        order_side=as_open.order_side,
        average_price=positive_or_none(row.actual_price, f"actualPrice of {name}"),
        reduce_only=as_open.reduce_only,
        close_position=as_open.close_position,
        trigger_price=as_open.trigger_price,
        created_by=maker_of(
            None,
            as_open.kind,
            as_open.order_side,
            as_open.position_side,
            closes=as_open.reduce_only or as_open.close_position,
        ),
        at_ms=time_or_none(row.update_time, f"updateTime of {name}") or as_open.created_at_ms,
    )


def child_id_of(row: AlgoOrderRow) -> str | None:
    """Id of the regular order that it became; None if it has not triggered."""
    child = text_or_none(row.actual_order_id)
    return None if child == "0" else child


def fold_parent(child: OrderRecord, parent: OrderRecord) -> OrderRecord:
    """The order that a conditional one became, with the parent's kind, trigger and ids."""
    return OrderRecord(
        symbol=child.symbol,
        order_id=child.order_id,
        client_order_id=child.client_order_id,
        kind=parent.kind,
        status=child.status,
        order_side=child.order_side,
        filled_quantity=child.filled_quantity,
        average_price=child.average_price,
        reduce_only=child.reduce_only or parent.reduce_only,
        close_position=child.close_position or parent.close_position,
        trigger_price=parent.trigger_price or child.trigger_price,
        created_by=parent.created_by,
        parent_order_id=parent.order_id,
        parent_client_order_id=parent.client_order_id,
        at_ms=child.at_ms,
    )


def _is_conditional(order_type: str | None) -> bool:
    return KINDS.get(order_type or "") in _MADE_BY_KIND


def _left(row: OrderRow, name: str) -> Decimal | None:
    asked = positive_or_none(row.orig_qty, f"origQty of {name}")
    filled = optional_decimal(row.executed_qty, f"executedQty of {name}")
    return asked if asked is None or not filled else asked - filled
