"""How protection is written: the effects that keep it, and the events that tell of it.

An effect recorded again while it is unfinished is the same effect: one for the stop of a lifecycle, one for each order that goes,
one for a close.
"""

from __future__ import annotations

from decimal import Decimal

from trueup.core.protection import Cover
from trueup.core.rebuild import CLOSE_PREFIX
from trueup.core.review import cancel_of
from trueup.core.stops import WantedStop, stop_stem, wish_stem
from trueup.model.changes import RecordedOrder
from trueup.model.decimals import decimal_text
from trueup.model.effects import SUPERFLUOUS, CancelOrder, EffectKind, MarketClose, NewEffect, PlaceStop
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.orders import OpenOrder, OrderKind, OrderStatus, Side
from trueup.model.positions import Position, PositionKey
from trueup.model.reports import OrderReport
from trueup.model.values import to_json

__all__ = [
    "close_effect",
    "close_requested",
    "order_words",
    "place_effect",
    "placed_record",
    "position_event",
    "sweep_effect",
    "wanted_report",
    "wish_report",
]


def place_effect(account: str, state: Cover, place: WantedStop, now_ms: int) -> NewEffect:
    """The durable wish that this lifecycle gets its stop."""
    lifecycle, report = state.lifecycle, state.lifecycle.report
    wish = PlaceStop(
        symbol=lifecycle.key.symbol,
        side=lifecycle.key.side,
        position_id=lifecycle.position_id,
        client_order_id=stop_stem(lifecycle.position_id, now_ms),
        trigger_price=place.trigger_price,
        quantity=place.quantity,
        trigger_by=place.trigger_by,
        seen_quantity=report.quantity,
        seen_entry=report.entry_price,
        why=tuple(dict.fromkeys(finding.kind.value for finding in state.findings)),
    )
    return NewEffect(
        account=account,
        kind=EffectKind.PLACE_STOP,
        dedup_key=f"stop:{lifecycle.position_id}",
        payload=to_json(wish),
        position_id=lifecycle.position_id,
        created_at_ms=now_ms,
    )


def sweep_effect(account: str, order: OpenOrder, side: Side, position_id: int, now_ms: int) -> NewEffect:
    """The durable end of a stop of ours that an open lifecycle does not need."""
    return NewEffect(
        account=account,
        kind=EffectKind.CANCEL_ORDER,
        dedup_key=f"cancel:{order.symbol}:{order.order_id}",
        payload=to_json(cancel_of(order, side, SUPERFLUOUS)),
        position_id=position_id,
        created_at_ms=now_ms,
    )


def close_effect(row: Position, symbol: str, note: str, now_ms: int) -> NewEffect:
    """The durable close at market of an open lifecycle."""
    close = MarketClose(
        symbol=symbol,
        side=row.side,
        position_id=row.position_id,
        client_order_id=wish_stem(CLOSE_PREFIX, row.position_id, now_ms),
        note=note,
    )
    return NewEffect(
        account=row.account,
        kind=EffectKind.CLOSE_POSITION,
        dedup_key=f"close:{row.position_id}",
        payload=to_json(close),
        position_id=row.position_id,
        created_at_ms=now_ms,
    )


def close_requested(row: Position, note: str, now_ms: int) -> NewEvent:
    data: dict[str, object] = {"symbol": row.symbol, "side": row.side.value, "note": note}
    return position_event(EventType.CLOSE_REQUESTED, Severity.INFO, row, data, now_ms)


def position_event(
    kind: EventType, severity: Severity, row: Position, data: dict[str, object], now_ms: int
) -> NewEvent:
    return NewEvent(
        type=kind,
        severity=severity,
        account=row.account,
        at_ms=now_ms,
        symbol=row.symbol,
        position_id=row.position_id,
        data=data,
    )


def placed_record(account: str, order: OpenOrder, position_id: int, at_ms: int) -> RecordedOrder:
    """What the store keeps of a stop that was just seen live."""
    return RecordedOrder(
        account=account,
        symbol=order.symbol,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        position_id=position_id,
        order_list=order.order_list,
        kind=order.kind,
        order_side=order.order_side,
        status=OrderStatus.OPEN,
        quantity=order.quantity,
        trigger_price=order.trigger_price,
        closing=True,
        ours=True,
        venue_type=order.venue_type,
        seen_at_ms=at_ms,
    )


def wish_report(wish: PlaceStop, problem: str) -> OrderReport:
    """A stop that could not be placed, as a report shows it."""
    return _report(wish.symbol, wish.side, wish.trigger_price, wish.quantity, problem)


def wanted_report(key: PositionKey, place: WantedStop) -> OrderReport:
    """A stop that would be placed, as a dry run shows it."""
    return _report(key.symbol, key.side, place.trigger_price, place.quantity, None)


def _report(symbol: str, side: Side, trigger: Decimal, quantity: Decimal, problem: str | None) -> OrderReport:
    return OrderReport(
        order_id=None,
        client_order_id=None,
        symbol=symbol,
        side=side.exit_side,
        kind=OrderKind.STOP,
        trigger_price=trigger,
        quantity=quantity,
        problem=problem,
    )


def order_words(order: OpenOrder | CancelOrder | PlaceStop) -> dict[str, object]:
    """Trigger and quantity as events tell them; the quantity of a stop for the whole position is None."""
    return {
        "trigger_price": None if order.trigger_price is None else decimal_text(order.trigger_price),
        "quantity": None if order.quantity is None else decimal_text(order.quantity),
    }
