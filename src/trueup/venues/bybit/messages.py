"""Bybit's private stream, decoded exactly: the same rows as REST, with a category on each.

1. A message is decoded whole or it is `Unobserved`; a topic that we do not use is `OtherMessage`, not an error.
2. A position row of size 0 is flat, whatever its side says; a one-way close has side `""`.
3. Rows become the model's values by the very functions that read REST's answers.

Source: bybit-exchange.github.io/docs/v5/websocket/private.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Generic, TypeAlias, TypeVar

import msgspec

from trueup.model.decimals import optional_decimal
from trueup.model.errors import Unreadable
from trueup.model.instruments import Instrument, InstrumentCatalog
from trueup.model.observations import PositionReport
from trueup.model.orders import Fill, Funding, OrderRecord, Side
from trueup.model.values import Value
from trueup.venues.bybit.history import FUNDING, fill_of, funding_of, moves_quantity
from trueup.venues.bybit.orders import order_record
from trueup.venues.bybit.positions import leg_of, report_of
from trueup.venues.bybit.rows import ExecutionRow, OrderRow, PositionRow, WalletRow
from trueup.venues.validation import explicit_size
from trueup.venues.wire import Number, count_or_none, decode, decoder, exact, time_or_none, whole

__all__ = [
    "CoinBalance",
    "ExecutionMessage",
    "Message",
    "OrderMessage",
    "OtherMessage",
    "PositionChange",
    "PositionMessage",
    "WalletMessage",
    "decode_message",
]

T = TypeVar("T")
_SOURCE = "bybit private stream"


class PositionChange(Value, frozen=True, kw_only=True):
    """A slot after its change: flat exactly when `report` is None.

    Attributes:
        leg: The hedge leg; None: the one-way slot.
        at_ms, sequence: The venue's ordering of this slot's states.
    """

    symbol: str
    leg: Side | None
    report: PositionReport | None
    at_ms: int | None
    sequence: int | None


class PositionMessage(Value, frozen=True, kw_only=True):
    created_ms: int
    changes: tuple[PositionChange, ...]


class OrderMessage(Value, frozen=True, kw_only=True):
    created_ms: int
    orders: tuple[OrderRecord, ...]


class ExecutionMessage(Value, frozen=True, kw_only=True):
    created_ms: int
    fills: tuple[Fill, ...]
    payments: tuple[Funding, ...]


class CoinBalance(Value, frozen=True, kw_only=True):
    coin: str
    equity: Decimal | None
    wallet_balance: Decimal | None
    position_margin: Decimal | None


class WalletMessage(Value, frozen=True, kw_only=True):
    """`total_equity` in USD; None where the margin mode has none."""

    created_ms: int
    total_equity: Decimal | None
    coins: tuple[CoinBalance, ...]


class OtherMessage(Value, frozen=True, kw_only=True):
    """Answers to auth, subscribe and ping (`op`), and topics that carry no evidence."""

    topic: str | None
    op: str | None
    success: bool | None
    text: str | None


Message: TypeAlias = PositionMessage | OrderMessage | ExecutionMessage | WalletMessage | OtherMessage


class _Head(msgspec.Struct, frozen=True):
    topic: str | None = None
    op: str | None = None
    success: bool | None = None
    ret_msg: str | None = None


class _Rows(msgspec.Struct, Generic[T], frozen=True):
    data: list[T]
    created: Number = msgspec.field(name="creationTime")


_HEAD = decoder(_Head)
_POSITIONS = decoder(_Rows[PositionRow])
_ORDERS = decoder(_Rows[OrderRow])
_EXECUTIONS = decoder(_Rows[ExecutionRow])
_WALLETS = decoder(_Rows[WalletRow])


def decode_message(text: str, catalog: InstrumentCatalog) -> Message:
    """One message of the private stream. Rows of categories other than linear and inverse are left out.

    Raises:
        Unobserved: It is not JSON, a field is missing or unreadable, or an instrument is not in `catalog`.
    """
    head = decode(text, _HEAD, _SOURCE)
    topic = (head.topic or "").partition(".")[0]
    if topic == "position":
        return exact(_SOURCE, _position_message, decode(text, _POSITIONS, f"{_SOURCE} {topic}"), catalog)
    if topic == "order":
        return exact(_SOURCE, _order_message, decode(text, _ORDERS, f"{_SOURCE} {topic}"), catalog)
    if topic == "execution":
        return exact(_SOURCE, _execution_message, decode(text, _EXECUTIONS, f"{_SOURCE} {topic}"), catalog)
    if topic == "wallet":
        return exact(_SOURCE, _wallet_message, decode(text, _WALLETS, f"{_SOURCE} {topic}"))
    return OtherMessage(topic=head.topic, op=head.op, success=head.success, text=head.ret_msg)


def _instrument(category: str | None, venue_symbol: str, catalog: InstrumentCatalog) -> Instrument | None:
    if category in ("spot", "option"):
        return None
    found = catalog.by_venue_symbol(category or "", venue_symbol)
    if found is None:
        raise Unreadable("symbol of a stream row", expected="a listed contract", found=f"{category} {venue_symbol}")
    return found


def _position_message(message: _Rows[PositionRow], catalog: InstrumentCatalog) -> PositionMessage:
    changes = []
    for row in message.data:
        instrument = _instrument(row.category, row.symbol, catalog)
        if instrument is None:
            continue
        size = explicit_size(row.size, "size", row.symbol, _SOURCE)
        changes.append(
            PositionChange(
                symbol=instrument.symbol,
                leg=leg_of(row.position_idx, f"positionIdx of {row.symbol}"),
                report=None if size == 0 else report_of(row, size, instrument),
                at_ms=time_or_none(row.updated_time, f"updatedTime of {row.symbol}"),
                sequence=count_or_none(row.seq, f"seq of {row.symbol}"),
            )
        )
    return PositionMessage(created_ms=whole(message.created, "creationTime"), changes=tuple(changes))


def _order_message(message: _Rows[OrderRow], catalog: InstrumentCatalog) -> OrderMessage:
    orders = []
    for row in message.data:
        instrument = _instrument(row.category, row.symbol, catalog)
        if instrument is not None:
            orders.append(order_record(row, instrument.symbol))
    return OrderMessage(created_ms=whole(message.created, "creationTime"), orders=tuple(orders))


def _execution_message(message: _Rows[ExecutionRow], catalog: InstrumentCatalog) -> ExecutionMessage:
    fills, payments = [], []
    for row in message.data:
        instrument = _instrument(row.category, row.symbol, catalog)
        if instrument is None:
            continue
        if row.exec_type == FUNDING:
            payments.append(funding_of(row, instrument))
        elif moves_quantity(row):
            fills.append(fill_of(row, instrument))
    created_ms = whole(message.created, "creationTime")
    return ExecutionMessage(created_ms=created_ms, fills=tuple(fills), payments=tuple(payments))


def _wallet_message(message: _Rows[WalletRow]) -> WalletMessage:
    equity = [optional_decimal(wallet.total_equity, "totalEquity") for wallet in message.data]
    return WalletMessage(
        created_ms=whole(message.created, "creationTime"),
        total_equity=equity[0] if len(equity) == 1 else None,
        coins=tuple(
            CoinBalance(
                coin=row.coin,
                equity=optional_decimal(row.equity, f"equity of {row.coin}"),
                wallet_balance=optional_decimal(row.wallet_balance, f"walletBalance of {row.coin}"),
                position_margin=optional_decimal(row.total_position_im, f"totalPositionIM of {row.coin}"),
            )
            for wallet in message.data
            for row in wallet.coin
        ),
    )
