"""What open orders mean for the book: whose they are, and which stand alone.

1. An order belongs to the open lifecycle that it can only reduce; it is recorded there while that lifecycle lives.
2. An order with close semantics and no position to close is an orphan. Only one of ours, or one recorded for a lifecycle that
   ended, may be cancelled; any other is told.
3. An order without close semantics is somebody's entry: it is never an orphan and never touched.
4. An order made after the positions were read is not judged by them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from trueup.core.rebuild import CLIENT_PREFIX
from trueup.model.changes import RecordedOrder
from trueup.model.effects import CancelOrder
from trueup.model.orders import OpenOrder, OrderList, OrderStatus, Side
from trueup.model.positions import PositionKey
from trueup.model.reports import OrderReport
from trueup.model.values import Value

__all__ = [
    "Orphan",
    "cancel_of",
    "closing_side",
    "is_ours",
    "left_behind",
    "order_report",
    "orphans_among",
    "record_orders",
]


class Orphan(Value, frozen=True, kw_only=True):
    """An order with nothing left to close. `position_id`: the ended lifecycle it was recorded for; `cancellable`: ours to end."""

    order: OpenOrder
    side: Side
    position_id: int | None
    cancellable: bool


def closing_side(order: OpenOrder) -> Side | None:
    """The side of position that this order can only reduce; None: it may open one."""
    side = Side.LONG if order.order_side is Side.LONG.exit_side else Side.SHORT
    return side if order.closes(side) else None


def is_ours(order: OpenOrder) -> bool:
    return order.client_order_id is not None and order.client_order_id.startswith(CLIENT_PREFIX)


def record_orders(
    account: str,
    orders: Iterable[OpenOrder],
    open_keys: dict[PositionKey, int | None],
    recorded: Sequence[RecordedOrder],
    as_of_ms: int,
) -> tuple[list[RecordedOrder], list[tuple[str, str, OrderStatus]]]:
    """What to write of the orders of open lifecycles, and which recorded ones are no longer listed.

    Args:
        open_keys: The open lifecycles: their row ids, None for one that this transaction inserts.
        recorded: What stands in the store as open.
        as_of_ms: Venue time that the order lists speak for.
    """
    known = {(order.symbol, order.order_id): order for order in recorded}
    listed: set[tuple[str, str]] = set()
    fresh: list[RecordedOrder] = []
    for order in orders:
        listed.add((order.symbol, order.order_id))
        side = closing_side(order)
        key = PositionKey(account, order.symbol, side) if side is not None else None
        if key is None or key not in open_keys:
            continue
        record = _record(account, order, key, open_keys[key], as_of_ms)
        before = known.get((order.symbol, order.order_id))
        if before is None or _changed(before, record):
            fresh.append(record)
    open_ids = set(open_keys.values())
    gone = [
        (order.symbol, order.order_id, OrderStatus.UNKNOWN)
        for order in recorded
        if (order.symbol, order.order_id) not in listed
        and order.status is OrderStatus.OPEN
        and order.seen_at_ms < as_of_ms
        and order.position_id in open_ids
    ]
    return fresh, gone


def _record(account: str, order: OpenOrder, key: PositionKey, position_id: int | None, at_ms: int) -> RecordedOrder:
    return RecordedOrder(
        account=account,
        symbol=order.symbol,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        position_id=position_id,
        key=key if position_id is None else None,
        order_list=order.order_list,
        kind=order.kind,
        order_side=order.order_side,
        status=OrderStatus.OPEN,
        quantity=order.quantity,
        trigger_price=order.trigger_price,
        closing=True,
        ours=is_ours(order),
        venue_type=order.venue_type,
        seen_at_ms=at_ms,
    )


def _changed(before: RecordedOrder, now: RecordedOrder) -> bool:
    return (before.position_id, before.status, before.quantity, before.trigger_price) != (
        now.position_id,
        now.status,
        now.quantity,
        now.trigger_price,
    )


def orphans_among(
    account: str,
    orders: Iterable[OpenOrder],
    held_keys: Iterable[PositionKey],
    recorded: Sequence[RecordedOrder],
    positions_as_of_ms: int,
) -> list[Orphan]:
    """Orders with close semantics for a side on which neither book nor venue holds a position."""
    held = set(held_keys)
    known = {(order.symbol, order.order_id): order for order in recorded}
    orphans = []
    for order in orders:
        side = closing_side(order)
        if side is None or order.order_list is OrderList.ATTACHED or PositionKey(account, order.symbol, side) in held:
            continue
        if order.created_at_ms is not None and order.created_at_ms >= positions_as_of_ms:
            continue
        record = known.get((order.symbol, order.order_id))
        belonged = record is not None and record.closing and record.position_id is not None
        orphans.append(
            Orphan(
                order=order,
                side=side,
                position_id=record.position_id if record is not None else None,
                cancellable=belonged or is_ours(order),
            )
        )
    return orphans


def left_behind(
    orders: Iterable[OpenOrder], recorded: Sequence[RecordedOrder], open_ids: Collection[int], as_of_ms: int
) -> list[tuple[RecordedOrder, Side]]:
    """Orders that stand in the store as open, belong to a lifecycle that ended, and are in no list any more.

    They were recorded while their lifecycle ended, or went by themselves.

    Args:
        open_ids: The book's active rows, unreadable ones included.
        as_of_ms: Venue time that the order lists speak for.
    """
    listed = {(order.symbol, order.order_id) for order in orders}
    return [
        (order, next(side for side in Side if side.exit_side is order.order_side))
        for order in recorded
        if order.status is OrderStatus.OPEN
        and order.position_id is not None
        and order.position_id not in open_ids
        and (order.symbol, order.order_id) not in listed
        and order.seen_at_ms < as_of_ms
    ]


def cancel_of(order: OpenOrder | RecordedOrder, side: Side, reason: str) -> CancelOrder:
    """The cancel of an order whose lifecycle (of `side`) ended."""
    return CancelOrder(
        symbol=order.symbol,
        side=side,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        order_list=order.order_list,
        kind=order.kind,
        order_side=order.order_side,
        trigger_price=order.trigger_price,
        quantity=order.quantity,
        venue_type=order.venue_type,
        reason=reason,
    )


def order_report(order: OpenOrder | RecordedOrder | CancelOrder, problem: str | None = None) -> OrderReport:
    """Any of the model's orders as a report shows it."""
    return OrderReport(
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.order_side,
        kind=order.kind,
        trigger_price=order.trigger_price,
        quantity=order.quantity,
        problem=problem,
    )
