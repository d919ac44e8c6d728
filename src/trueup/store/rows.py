"""Rows of the database and the values they stand for, both ways.

1. What a bot wrote in its own words is read where it can mean one thing only (``BUY`` is long, ``binance`` is
   binanceusdm); everything else is `Unreadable`, with the column, what was expected and what was found.
2. NULL is unknown (None). A price of zero is unknown too; a quantity of zero is unreadable: nothing is guessed.
3. Amounts and times come back digit for digit, millisecond for millisecond.
4. What no database takes as text (PostgreSQL no NUL, neither a lone surrogate) is written as the replacement character on both:
   no text can keep a change from being written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from trueup.model.changes import RecordedOrder, RecordedTrade, UnreadableRow
from trueup.model.decimals import decimal_text
from trueup.model.errors import Unreadable
from trueup.model.orders import Fill, FillKind, OrderKind, OrderList, OrderSide, OrderStatus, Side
from trueup.model.positions import Amount, CloseDetails, Evidence, ExitReason, Origin, Position, PositionStatus
from trueup.model.times import time_text
from trueup.model.values import from_json

__all__ = [
    "ORDER_COLUMNS",
    "POSITION_COLUMNS",
    "TRADE_COLUMNS",
    "VENUES",
    "encoders",
    "read_document",
    "read_instant",
    "read_order",
    "read_position",
    "read_trade",
    "storable",
    "unreadable",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_OWN_LENGTH: Final = len("2026-01-01T12:00:00.000Z")
_CLOCK_LENGTH: Final = len("2026-01-01 12:00:00")
_MOST_DIGITS: Final = 64
_LAST_YEAR: Final = 9000  # PostgreSQL's 'infinity' arrives as the year 9999

POSITION_COLUMNS: Final = (
    "id",
    "account",
    "exchange",
    "symbol",
    "side",
    "entry_price",
    "current_price",
    "quantity",
    "leverage",
    "stop_loss",
    "take_profit",
    "status",
    "pnl_percentage",
    "exit_reason",
    "trailing_activated",
    "has_trailing_stop",
    "suspected_since",
    "created_at",
    "updated_at",
    "closed_at",
    "version",
    "origin",
    "written_symbol",
    "contract_size",
    "unverified",
    "realized_pnl",
    "opened_at",
    "opening_order_id",
    "venue_updated_at",
    "verified_as_of",
    "exit_price",
    "settle_asset",
    "fees",
    "funding",
    "net_pnl",
    "evidence",
    "complete",
    "closing_order_id",
)
VENUES: Final = {"binance": "binanceusdm", "binanceusdm": "binanceusdm", "bybit": "bybit"}
_SIDES: Final = {"long": Side.LONG, "buy": Side.LONG, "short": Side.SHORT, "sell": Side.SHORT}
_FLAGS: Final[dict[object, bool]] = {
    "true": True,
    "t": True,
    "1": True,
    1: True,
    "false": False,
    "f": False,
    "0": False,
    0: False,
}
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?( ?(Z|z|UTC|[+-]\d\d(:?\d\d)?))?")


def encoders(dialect: str) -> dict[str, Callable[[Any], Any]]:
    """How each kind of column wants its value (None never reaches them)."""
    if dialect == "postgresql":
        return {"instant": lambda at_ms: _EPOCH + at_ms * _MILLISECOND, "text": storable}
    return {"number": decimal_text, "instant": time_text, "flag": int, "text": storable}


def storable(text: str) -> str:
    """The text as both databases keep it."""
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub("\ufffd", text)


def read_instant(value: object, what: str) -> int:
    """Milliseconds of a TIMESTAMPTZ or of a text such as ``2026-01-01 12:00:00``; without an offset it is UTC."""
    moment: datetime | None = None
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str) and _INSTANT.fullmatch(value.strip()):
        text = value.strip().replace(",", ".").replace("UTC", "+00:00").replace("z", "Z").replace(" +", "+")
        try:
            moment = datetime.fromisoformat(text.replace(" Z", "Z").replace(" -", "-"))
        except ValueError:
            moment = None
    if moment is None or moment.year > _LAST_YEAR:
        raise Unreadable(what, expected="a time such as 2026-01-31T12:00:00.000Z or 2026-01-31 12:00:00", found=value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND


class _Where:
    """Names a column of a row in errors; built only when one is needed."""

    def __init__(self, table: str, row_id: object, symbol: object) -> None:
        self._row = (table, row_id, symbol)

    def __call__(self, column: str) -> str:
        table, row_id, symbol = self._row
        return f"{table} row {row_id} ({symbol}), column {column}"


def _instant(value: object, where: _Where, column: str) -> int | None:
    return None if value is None or value == "" else _required_instant(value, where, column)


def _required_instant(value: object, where: _Where, column: str) -> int:
    if type(value) is str:  # the two forms that nearly every row has: ours, and what SQLite's own clock gives a bot
        try:
            if len(value) == _OWN_LENGTH and value[-1] == "Z":
                return (datetime.fromisoformat(value) - _EPOCH) // _MILLISECOND
            if len(value) == _CLOCK_LENGTH and value[10] == " " and value.isascii():
                return (datetime.fromisoformat(value + "Z") - _EPOCH) // _MILLISECOND
        except ValueError:
            pass
    if type(value) is datetime and value.tzinfo is not None and value.year <= _LAST_YEAR:
        return (value - _EPOCH) // _MILLISECOND
    return read_instant(value, where(column))


def _finite(value: object, where: _Where, column: str, expected: str) -> Decimal:
    """An exact number from either database. One of hundreds of digits (``1e400``) is nobody's amount."""
    try:
        # Text of a bot: digits, not Python's notation with underscores.
        number = Decimal(value) if type(value) is str and "_" not in value else value
    except InvalidOperation:
        number = None
    if not isinstance(number, Decimal) or not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        raise Unreadable(where(column), expected=expected, found=value)
    return number


def _price(value: object, where: _Where, column: str) -> Decimal | None:
    """Zero is how bots write "none"; a negative one is nonsense."""
    if value is None or value == "":
        return None
    number = _finite(value, where, column, "a positive number or NULL")
    if number < 0:
        raise Unreadable(where(column), expected="a positive number or NULL", found=value)
    return number or None


def _amount(value: object, where: _Where, column: str) -> Decimal | None:
    return None if value is None or value == "" else _finite(value, where, column, "a number or NULL")


def _quantity(value: object, where: _Where) -> Decimal:
    number = _finite(value, where, "quantity", "a positive number of contracts")
    if number <= 0:
        raise Unreadable(where("quantity"), expected="a positive number of contracts", found=value)
    return number


def _flag(value: object, where: _Where, column: str) -> bool:
    if value is None:
        return False
    known = (
        value if isinstance(value, bool) else _FLAGS.get(value if type(value) is int else str(value).strip().lower())
    )
    if known is None:
        raise Unreadable(where(column), expected="true or false", found=value)
    return known


def _word(value: object, known: dict[str, Any], where: _Where, column: str, expected: str) -> Any:
    found = known.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise Unreadable(where(column), expected=expected, found=value)
    return found


def _member(value: object, kind: Any, where: _Where, column: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise Unreadable(where(column), expected=f"one of {', '.join(kind)}", found=value) from None


def _text(value: object, where: _Where, column: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Unreadable(where(column), expected="a text", found=value)
    return value


def read_position(row: Sequence[Any]) -> Position:
    """A row of `POSITION_COLUMNS`, in that order.

    Raises:
        Unreadable: Some column cannot be read; the first one is named.
    """
    (
        row_id, account, exchange, symbol, side, entry_price, current_price, quantity, leverage, stop_loss, take_profit,
        status, pnl_percentage, exit_reason, trailing_activated, has_trailing_stop, suspected_since, created_at,
        updated_at, closed_at, version, origin, written_symbol, contract_size, unverified, realized_pnl, opened_at,
        opening_order_id, venue_updated_at, verified_as_of, exit_price, settle_asset, fees, funding, net_pnl, evidence,
        complete, closing_order_id,
    ) = row  # fmt: skip
    where = _Where("positions", row_id, symbol)
    created_at_ms = _required_instant(created_at, where, "created_at")
    known_status: PositionStatus = _member(status, PositionStatus, where, "status")
    known_quantity = _quantity(quantity, where)
    gross = _amount(realized_pnl, where, "realized_pnl")
    close = None
    if known_status is PositionStatus.CLOSED:
        # A close that the old system wrote names no evidence: nothing proves it, the lowest grade.
        close = CloseDetails(
            quantity=known_quantity,
            exit_price=_amount(exit_price, where, "exit_price"),
            settle_asset=settle_asset or _settle_asset(symbol),
            realized_pnl=gross,
            fees=_fees(fees, where),
            funding=_amount(funding, where, "funding"),
            net_pnl=_amount(net_pnl, where, "net_pnl"),
            pnl_percentage=_amount(pnl_percentage, where, "pnl_percentage"),
            exit_reason=_member(exit_reason, ExitReason, where, "exit_reason"),
            evidence=Evidence.ABSENCE if evidence is None else _member(evidence, Evidence, where, "evidence"),
            complete=_flag(complete, where, "complete"),
            closing_order_id=closing_order_id,
            closed_at_ms=_required_instant(closed_at, where, "closed_at"),
        )
    opened_at_ms = _instant(opened_at, where, "opened_at")
    return Position(
        position_id=row_id,
        version=version,
        account=_text(account, where, "account"),
        venue=_word(exchange, VENUES, where, "exchange", "binance, binanceusdm or bybit"),
        symbol=_text(symbol, where, "symbol"),
        written_symbol=written_symbol or symbol,
        side=_word(side, _SIDES, where, "side", "long, short, buy or sell"),
        status=known_status,
        origin=Origin.ADOPTED if origin == "adopted" else Origin.BOT,
        quantity=known_quantity,
        contract_size=_price(contract_size, where, "contract_size"),
        entry_price=_price(entry_price, where, "entry_price"),
        current_price=_price(current_price, where, "current_price"),
        leverage=_price(leverage, where, "leverage"),
        stop_loss=_price(stop_loss, where, "stop_loss"),
        take_profit=_price(take_profit, where, "take_profit"),
        trailing_activated=_flag(trailing_activated, where, "trailing_activated"),
        has_trailing_stop=_flag(has_trailing_stop, where, "has_trailing_stop"),
        suspected_since_ms=_instant(suspected_since, where, "suspected_since"),
        unverified=_flag(unverified, where, "unverified"),
        realized_pnl=gross,
        opened_at_ms=created_at_ms if opened_at_ms is None else opened_at_ms,
        created_at_ms=created_at_ms,
        updated_at_ms=_required_instant(updated_at, where, "updated_at"),
        venue_updated_at_ms=_instant(venue_updated_at, where, "venue_updated_at"),
        verified_as_of_ms=_instant(verified_as_of, where, "verified_as_of"),
        opening_order_id=opening_order_id,
        close=close,
    )


def _fees(value: object, where: _Where) -> tuple[Amount, ...]:
    if not value:
        return ()
    try:
        return from_json(str(value), tuple[Amount, ...])
    except msgspec.MsgspecError:
        raise Unreadable(where("fees"), expected='a list of {"asset", "amount"}', found=value) from None


def _settle_asset(symbol: object) -> str:
    """Of a unified symbol (``BTC/USDT:USDT-261225``); empty where the text does not say it."""
    _, colon, settle = str(symbol).partition(":")
    return settle.split("-")[0] if colon else ""


def unreadable(row: Sequence[Any], problem: Exception) -> UnreadableRow:
    """What is shown of a row of `POSITION_COLUMNS` that could not be read."""
    mend = "correct that column of the row; the next look reads it again"
    return UnreadableRow(position_id=row[0], symbol=str(row[3]), problem=f"{problem}; {mend}")


ORDER_COLUMNS: Final = (
    "account",
    "position_id",
    "symbol",
    "order_id",
    "client_order_id",
    "order_list",
    "kind",
    "order_side",
    "status",
    "quantity",
    "filled_quantity",
    "average_price",
    "trigger_price",
    "closing",
    "ours",
    "is_exit",
    "venue_type",
    "updated_at",
)


def read_order(row: Sequence[Any]) -> RecordedOrder:
    """A row of `ORDER_COLUMNS`."""
    named = dict(zip(ORDER_COLUMNS, row, strict=True))
    where = _Where("orders", named["order_id"], named["symbol"])
    return RecordedOrder(
        account=named["account"],
        symbol=named["symbol"],
        order_id=named["order_id"],
        client_order_id=named["client_order_id"],
        position_id=named["position_id"],
        order_list=_member(named["order_list"], OrderList, where, "order_list"),
        kind=_member(named["kind"], OrderKind, where, "kind"),
        order_side=_member(named["order_side"], OrderSide, where, "order_side"),
        status=_member(named["status"], OrderStatus, where, "status"),
        quantity=_amount(named["quantity"], where, "quantity"),
        filled_quantity=_amount(named["filled_quantity"], where, "filled_quantity"),
        average_price=_amount(named["average_price"], where, "average_price"),
        trigger_price=_amount(named["trigger_price"], where, "trigger_price"),
        closing=_flag(named["closing"], where, "closing"),
        ours=_flag(named["ours"], where, "ours"),
        is_exit=_flag(named["is_exit"], where, "is_exit"),
        venue_type=named["venue_type"],
        seen_at_ms=_required_instant(named["updated_at"], where, "updated_at"),
    )


TRADE_COLUMNS: Final = (
    "account",
    "position_id",
    "symbol",
    "trade_id",
    "order_id",
    "client_order_id",
    "order_side",
    "position_side",
    "opening",
    "quantity",
    "price",
    "fee",
    "fee_asset",
    "realized_pnl",
    "executed_at",
    "sequence",
    "kind",
    "order_kind",
    "created_by",
    "fill_quantity",
    "fill_value",
    "fill_fee",
    "fill_fee_asset",
    "fill_realized_pnl",
    "fill_closed_quantity",
)


def read_trade(row: Sequence[Any]) -> RecordedTrade:
    """A row of `TRADE_COLUMNS`."""
    named = dict(zip(TRADE_COLUMNS, row, strict=True))
    where = _Where("trades", named["trade_id"], named["symbol"])
    side, order_kind, fee = named["position_side"], named["order_kind"], _amount(named["fee"], where, "fee")
    return RecordedTrade(
        account=named["account"],
        position_id=named["position_id"],
        fill=Fill(
            symbol=named["symbol"],
            trade_id=named["trade_id"],
            order_id=named["order_id"],
            client_order_id=named["client_order_id"],
            order_side=_member(named["order_side"], OrderSide, where, "order_side"),
            position_side=None if side is None else _member(side, Side, where, "position_side"),
            quantity=_finite(named["fill_quantity"], where, "fill_quantity", "a number"),
            price=_finite(named["price"], where, "price", "a number"),
            value=_amount(named["fill_value"], where, "fill_value"),
            fee=_amount(named["fill_fee"], where, "fill_fee"),
            fee_asset=named["fill_fee_asset"],
            realized_pnl=_amount(named["fill_realized_pnl"], where, "fill_realized_pnl"),
            closed_quantity=_amount(named["fill_closed_quantity"], where, "fill_closed_quantity"),
            at_ms=_required_instant(named["executed_at"], where, "executed_at"),
            sequence=named["sequence"],
            kind=_member(named["kind"], FillKind, where, "kind"),
            order_kind=None if order_kind is None else _member(order_kind, OrderKind, where, "order_kind"),
            created_by=named["created_by"],
        ),
        opening=_flag(named["opening"], where, "opening"),
        quantity=_finite(named["quantity"], where, "quantity", "a number"),
        fees=None if fee is None else Amount(asset=named["fee_asset"], amount=fee),
        realized_pnl=_amount(named["realized_pnl"], where, "realized_pnl"),
    )


def read_document(text: object) -> dict[str, object]:
    """A JSON object column."""
    decoded: dict[str, object] = msgspec.json.decode(str(text))
    return decoded
