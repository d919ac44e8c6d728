"""What a message of Binance's user stream says, as events.

1. A message is told whole: a fill and its order are two events, in that order.
2. `TRADE_LITE` is left out: it is the fill that `ORDER_TRADE_UPDATE` tells with its money.
3. A row that cannot be read is `StreamUnreadable`; the message's other rows are told.
4. Beside a hedge leg of its symbol the flat one-way slot is left out: it says nothing of the legs.

Source: developers.binance.com, USDⓈ-M Futures user data streams.
"""

from __future__ import annotations

from collections.abc import Iterator

from trueup.model.errors import Unobserved, Unreadable
from trueup.model.instruments import Instrument, InstrumentCatalog
from trueup.model.observations import PositionReport
from trueup.model.orders import OpenOrder, OrderKind, OrderList, OrderRecord, OrderStatus
from trueup.model.stream import (
    StreamAccount,
    StreamEvent,
    StreamFill,
    StreamOrder,
    StreamPosition,
    StreamUnreadable,
)
from trueup.venues.binance.instruments import CATEGORY
from trueup.venues.binance.messages import (
    AccountUpdate,
    AlgoUpdate,
    Message,
    OrderUpdate,
    OtherMessage,
    PositionChange,
    TradeLite,
    fill_of_update,
    record_of_update,
)
from trueup.venues.binance.orders import KINDS, maker_of

__all__ = ["EXPIRED", "binance_events"]

EXPIRED = "listenKeyExpired"
_FILLS = ("TRADE", "CALCULATED")
_TRADING = "ORDER"
_CONDITIONAL = (OrderKind.STOP, OrderKind.TAKE_PROFIT, OrderKind.TRAILING_STOP)


def binance_events(message: Message, catalog: InstrumentCatalog, now_ms: int) -> list[StreamEvent]:
    """The evidence in a message; none in one that carries none.

    Args:
        now_ms: Our clock, for what cannot be read.
    """
    if isinstance(message, TradeLite):
        return []
    if isinstance(message, OtherMessage):
        return [StreamAccount(kind=message.kind or "unnamed", at_ms=message.event_ms)]
    if isinstance(message, AccountUpdate):
        return list(_of_account(message, catalog, now_ms))
    instrument = catalog.by_venue_symbol(CATEGORY, message.venue_symbol)
    if instrument is None:
        return [_unlisted(message.venue_symbol, now_ms)]
    if isinstance(message, AlgoUpdate):
        return [_of_algo(message, instrument.symbol)]
    return list(_of_order(message, instrument.symbol, now_ms))


def _of_account(update: AccountUpdate, catalog: InstrumentCatalog, now_ms: int) -> Iterator[StreamEvent]:
    hedged = {change.venue_symbol for change in update.positions if change.leg is not None}
    for change in update.positions:
        if change.leg is None and change.side is None and change.venue_symbol in hedged:
            continue
        instrument = catalog.by_venue_symbol(CATEGORY, change.venue_symbol)
        if instrument is None:
            yield _unlisted(change.venue_symbol, now_ms)
            continue
        try:
            yield _position(change, instrument, update)
        except Unreadable as error:
            yield StreamUnreadable(at_ms=now_ms, problem=str(error), symbol=instrument.symbol)
    if update.reason != _TRADING:
        yield StreamAccount(kind=update.reason or "unnamed", at_ms=update.at_ms)


def _position(change: PositionChange, instrument: Instrument, update: AccountUpdate) -> StreamPosition:
    return StreamPosition(
        symbol=instrument.symbol,
        leg=change.leg,
        side=change.side,
        quantity=change.quantity,
        entry_price=change.entry_price,
        at_ms=update.at_ms,
        told_ms=update.event_ms,
        sequence=None,
        report=_report(change, instrument, update.at_ms),
    )


def _report(change: PositionChange, instrument: Instrument, at_ms: int) -> PositionReport | None:
    if change.side is None:
        return None
    if change.entry_price is None or change.entry_price <= 0:
        raise Unreadable(
            f"ep of {change.venue_symbol}", expected="a positive price of an open position", found=change.entry_price
        )
    return PositionReport(
        symbol=instrument.symbol,
        side=change.side,
        quantity=change.quantity,
        contract_size=instrument.contract_size,
        entry_price=change.entry_price,
        hedge=change.leg is not None,
        updated_at_ms=at_ms,
    )


def _of_order(update: OrderUpdate, symbol: str, now_ms: int) -> Iterator[StreamEvent]:
    fill = fill_of_update(update, symbol)
    if fill is not None:
        yield StreamFill(fill=fill)
    elif update.execution in _FILLS:
        problem = f"order {update.order_id} filled, but the message lacks the fill's id, quantity or price"
        yield StreamUnreadable(at_ms=now_ms, problem=problem, symbol=symbol)
    live = _live(update, symbol) if update.status is OrderStatus.OPEN else None
    yield StreamOrder(record=record_of_update(update, symbol), live=live)


def _live(update: OrderUpdate, symbol: str) -> OpenOrder:
    """As a row of `openOrders` would be read; the stream does not say when the order was placed."""
    kind = KINDS.get(update.order_type, OrderKind.OTHER)
    return OpenOrder(
        symbol=symbol,
        order_id=update.order_id,
        client_order_id=update.client_order_id,
        order_list=OrderList.REGULAR,
        kind=kind,
        order_side=update.order_side,
        position_side=update.position_side,
        reduce_only=update.reduce_only,
        close_position=update.close_position,
        quantity=None if update.close_position else update.quantity - update.filled_quantity,
        trigger_price=update.trigger_price,
        trigger_by=update.trigger_by if kind in _CONDITIONAL else None,
        limit_price=update.limit_price,
        venue_type=update.order_type,
    )


def _of_algo(update: AlgoUpdate, symbol: str) -> StreamOrder:
    closes = update.reduce_only or update.close_position
    record = OrderRecord(
        symbol=symbol,
        order_id=update.algo_id,
        client_order_id=update.client_algo_id,
        kind=update.kind,
        status=update.status,
        order_side=update.order_side,
        average_price=update.average_price,
        reduce_only=update.reduce_only,
        close_position=update.close_position,
        trigger_price=update.trigger_price,
        created_by=maker_of(None, update.kind, update.order_side, update.position_side, closes=closes),
        at_ms=update.at_ms,
    )
    live = None
    if update.status is OrderStatus.OPEN:
        live = OpenOrder(
            symbol=symbol,
            order_id=update.algo_id,
            client_order_id=update.client_algo_id,
            order_list=OrderList.CONDITIONAL,
            kind=update.kind,
            order_side=update.order_side,
            position_side=update.position_side,
            reduce_only=update.reduce_only,
            close_position=update.close_position,
            quantity=update.quantity,
            trigger_price=update.trigger_price,
            trigger_by=update.trigger_by,
            limit_price=update.limit_price,
            venue_type=update.order_type,
        )
    return StreamOrder(record=record, live=live, child_order_id=update.child_order_id)


def _unlisted(venue_symbol: str, now_ms: int) -> StreamUnreadable:
    problem = str(Unobserved("binance user stream", f"{venue_symbol} is not in the venue's market list"))
    return StreamUnreadable(at_ms=now_ms, problem=problem, symbol=venue_symbol)
