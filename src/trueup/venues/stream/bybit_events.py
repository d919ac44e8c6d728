"""What a message of Bybit's private stream says, as events.

1. Rows become values by the functions that read REST's answers; an order that still lives is told as the list shows it.
2. A stop that sits on a position (Full mode) is told under the id that a look gives it, beside the venue's own, which
   the closing fills will name.
3. A message of which one row cannot be read is unreadable as a whole: its rows belong together.

Source: bybit-exchange.github.io/docs/v5/websocket/private.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from trueup.model.decimals import ZERO
from trueup.model.errors import Unobserved, Unreadable
from trueup.model.instruments import Instrument, InstrumentCatalog
from trueup.model.orders import OpenOrder, OrderList, OrderStatus
from trueup.model.stream import (
    StreamAccount,
    StreamEvent,
    StreamFill,
    StreamFunding,
    StreamOrder,
    StreamPosition,
)
from trueup.venues.bybit.messages import (
    ExecutionMessage,
    OtherMessage,
    PositionChange,
    PositionMessage,
    WalletMessage,
    decode_message,
)
from trueup.venues.bybit.orders import open_order, order_record
from trueup.venues.bybit.positions import attached_id
from trueup.venues.bybit.rows import OrderRow
from trueup.venues.wire import Number, count_or_none, decode, decoder, exact

__all__ = ["Answer", "answer_of", "bybit_events"]

T = TypeVar("T")
_SOURCE = "bybit private stream"
_OUTSIDE = ("spot", "option")
_OF_POSITION = frozenset({"StopLoss", "TakeProfit", "TrailingStop"})


class Answer(msgspec.Struct, frozen=True):
    """The head of a message: of an answer to an operation (`op`), or of a topic."""

    topic: str | None = None
    op: str | None = None
    success: bool | None = None
    ret_msg: str | None = None
    req_id: str | None = None


class _Rows(msgspec.Struct, Generic[T], frozen=True):
    data: list[T]
    created: Number = msgspec.field(name="creationTime", default=None)


_ANSWER = decoder(Answer)
_ORDERS = decoder(_Rows[OrderRow])


def answer_of(text: str) -> Answer:
    """The head of a message.

    Raises:
        Unobserved: It is no JSON object.
    """
    return decode(text, _ANSWER, _SOURCE)


def bybit_events(text: str, head: Answer, catalog: InstrumentCatalog) -> list[StreamEvent]:
    """The evidence in a message of a topic; none in one that carries none.

    Raises:
        Unobserved: A field is missing or unreadable, or an instrument is not in `catalog`.
    """
    if not head.topic:
        raise Unobserved(_SOURCE, "a message without a topic")
    if head.topic.partition(".")[0] == "order":
        return list(exact(_SOURCE, _orders, decode(text, _ORDERS, f"{_SOURCE} order"), catalog))
    message = decode_message(text, catalog)
    if isinstance(message, PositionMessage):
        return [_position(change, message.created_ms) for change in message.changes]
    if isinstance(message, ExecutionMessage):
        fills: list[StreamEvent] = [StreamFill(fill=fill) for fill in message.fills]
        return fills + [StreamFunding(payment=payment) for payment in message.payments]
    if isinstance(message, WalletMessage):
        return [StreamAccount(kind="wallet", at_ms=message.created_ms)]
    if isinstance(message, OtherMessage) and message.topic:
        return [StreamAccount(kind=message.topic, at_ms=None)]
    return []


def _position(change: PositionChange, told_ms: int) -> StreamPosition:
    report = change.report
    return StreamPosition(
        symbol=change.symbol,
        leg=change.leg,
        side=None if report is None else report.side,
        quantity=ZERO if report is None else report.quantity,
        entry_price=None if report is None else report.entry_price,
        at_ms=change.at_ms,
        told_ms=told_ms,
        sequence=None if change.sequence is None or change.sequence < 0 else change.sequence,
        report=report,
    )


def _orders(message: _Rows[OrderRow], catalog: InstrumentCatalog) -> list[StreamEvent]:
    return list(_order_events(message.data, catalog))


def _order_events(rows: list[OrderRow], catalog: InstrumentCatalog) -> Iterator[StreamEvent]:
    for row in rows:
        if row.category in _OUTSIDE:
            continue
        instrument = catalog.by_venue_symbol(row.category or "", row.symbol)
        if instrument is None:
            raise Unreadable("symbol of an order", expected="a listed contract", found=f"{row.category} {row.symbol}")
        yield _order(row, instrument)


def _order(row: OrderRow, instrument: Instrument) -> StreamOrder:
    record = order_record(row, instrument.symbol)
    own_id = None
    if row.stop_order_type in _OF_POSITION and row.tpsl_mode != "Partial":
        index = count_or_none(row.position_idx, f"positionIdx of order {row.order_id}") or 0
        own_id = attached_id(instrument, index, record.kind)
    live = _live(row, instrument) if record.status is OrderStatus.OPEN else None
    return StreamOrder(record=record, live=live, attached_id=own_id)


def _live(row: OrderRow, instrument: Instrument) -> OpenOrder:
    read = open_order(row, instrument.symbol)
    if read.slot is None:
        return read.order
    _, index, kind = read.slot
    return msgspec.structs.replace(
        read.order,
        order_id=attached_id(instrument, index, kind),
        client_order_id=None,
        order_list=OrderList.ATTACHED,
        reduce_only=True,
        close_position=True,
        quantity=None,
    )
