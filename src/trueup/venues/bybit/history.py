"""Bybit executions, funding payments and closed-PnL records as values.

1. Every execution type that moves quantity is a fill; `Funding` and other settlements of money are none. A type that is
   not known makes the history unobserved: it could be either.
2. The fee's sign is the venue's: positive = paid; a funding row's "fee" is the payment, so its amount is the negative.
3. A closed-PnL row bears the side of the *closing order*: `Sell` closed a long.
"""

from __future__ import annotations

from trueup.model.decimals import optional_decimal, parse_decimal
from trueup.model.errors import Unreadable
from trueup.model.instruments import Instrument
from trueup.model.orders import ClosedPnl, Fill, FillKind, Funding, OrderKind, OrderSide, Side
from trueup.model.times import DAY_MS
from trueup.venues.bybit.orders import made_by, order_side
from trueup.venues.bybit.rows import ClosedPnlRow, ExecutionRow
from trueup.venues.wire import count_or_none, text, text_or_none, time_or_none, whole

__all__ = ["FUNDING", "REACH_MS", "closed_pnl_of", "fill_of", "funding_of", "moves_quantity"]

REACH_MS = 729 * DAY_MS
"""Executions and closed PnL are kept for two years; a day less, so that we never claim more than there is."""

FUNDING = "Funding"

_FILL_KINDS = {
    "Trade": FillKind.TRADE,
    "BlockTrade": FillKind.TRADE,
    "MovePosition": FillKind.TRADE,
    "FutureSpread": FillKind.TRADE,
    "BustTrade": FillKind.LIQUIDATION,
    "AdlTrade": FillKind.ADL,
    "Delivery": FillKind.SETTLEMENT,
    "Settle": FillKind.SETTLEMENT,
    "ForwardSplitSettle": FillKind.SETTLEMENT,
    "ReverseSplitSettle": FillKind.SETTLEMENT,
}
_MONEY_ONLY = frozenset({FUNDING, "SessionSettlePnL", "Dividend"})
_MADE_BY_FILL = {FillKind.LIQUIDATION: "liquidation", FillKind.ADL: "adl", FillKind.SETTLEMENT: "settlement"}
_ORDER_KINDS = {
    "stop_loss": OrderKind.STOP,
    "take_profit": OrderKind.TAKE_PROFIT,
    "trailing_stop": OrderKind.TRAILING_STOP,
}
_PLAIN_KINDS = {"Market": OrderKind.MARKET, "Limit": OrderKind.LIMIT}


def moves_quantity(row: ExecutionRow) -> bool:
    """False for rows that are money only.

    Raises:
        Unreadable: An execution type that is not known.
    """
    if row.exec_type in _MONEY_ONLY:
        return False
    if row.exec_type not in _FILL_KINDS:
        raise Unreadable(f"execType of {row.exec_id}", expected="a known execution type", found=row.exec_type)
    return True


def fill_of(row: ExecutionRow, instrument: Instrument) -> Fill:
    """One execution, from the list or from the stream.

    `order_kind` is None where the row does not tell: a plain conditional order says only that it was one, and the
    order's own record knows which.

    Raises:
        Unreadable: A field is not what it must be.
    """
    name = f"execution {row.exec_id}"
    kind = _FILL_KINDS[row.exec_type]
    maker = _MADE_BY_FILL.get(kind) or made_by(row.create_type)
    order_kind = _ORDER_KINDS.get(maker or "")
    conditional = (row.create_type or "") == "CreateByStopOrder" or row.stop_order_type == "Stop"
    if order_kind is None and not conditional:
        order_kind = _PLAIN_KINDS.get(row.order_type or "")
    return Fill(
        symbol=instrument.symbol,
        trade_id=text(row.exec_id, "execId of an execution"),
        order_id=text(row.order_id, f"orderId of {name}"),
        client_order_id=text_or_none(row.order_link_id),
        order_side=order_side(row.side, f"side of {name}"),
        quantity=parse_decimal(row.exec_qty, f"execQty of {name}"),
        price=parse_decimal(row.exec_price, f"execPrice of {name}"),
        value=optional_decimal(row.exec_value, f"execValue of {name}"),
        fee=optional_decimal(row.exec_fee, f"execFee of {name}"),
        fee_asset=text_or_none(row.fee_currency) or instrument.settle,
        closed_quantity=optional_decimal(row.closed_size, f"closedSize of {name}"),
        at_ms=whole(row.exec_time, f"execTime of {name}"),
        sequence=count_or_none(row.seq, f"seq of {name}"),
        kind=kind,
        order_kind=order_kind,
        created_by=maker,
    )


def funding_of(row: ExecutionRow, instrument: Instrument) -> Funding:
    """One funding payment; the row's side is the position's (Buy: a long's).

    Raises:
        Unreadable: A field is not what it must be.
    """
    name = f"execution {row.exec_id}"
    side = Side.LONG if order_side(row.side, f"side of {name}") is OrderSide.BUY else Side.SHORT
    return Funding(
        symbol=instrument.symbol,
        payment_id=text(row.exec_id, "execId of an execution"),
        side=side,
        amount=-parse_decimal(row.exec_fee, f"execFee of {name}"),
        asset=text_or_none(row.fee_currency) or instrument.settle,
        at_ms=whole(row.exec_time, f"execTime of {name}"),
    )


def closed_pnl_of(row: ClosedPnlRow, instrument: Instrument) -> ClosedPnl:
    """What one closing order realized, net of fees.

    Raises:
        Unreadable: A field is not what it must be.
    """
    name = f"closed PnL of order {row.order_id}"
    closing = order_side(row.side, f"side of {name}")
    at_ms = time_or_none(row.updated_time, f"updatedTime of {name}")
    if at_ms is None:
        raise Unreadable(f"updatedTime of {name}", expected="a time", found=row.updated_time)
    return ClosedPnl(
        symbol=instrument.symbol,
        order_id=text(row.order_id, "orderId of a closed PnL"),
        side=Side.LONG if closing is OrderSide.SELL else Side.SHORT,
        quantity=parse_decimal(row.closed_size, f"closedSize of {name}"),
        entry_price=parse_decimal(row.avg_entry_price, f"avgEntryPrice of {name}"),
        exit_price=parse_decimal(row.avg_exit_price, f"avgExitPrice of {name}"),
        net_pnl=parse_decimal(row.closed_pnl, f"closedPnl of {name}"),
        entry_value=optional_decimal(row.cum_entry_value, f"cumEntryValue of {name}"),
        exit_value=optional_decimal(row.cum_exit_value, f"cumExitValue of {name}"),
        open_fee=optional_decimal(row.open_fee, f"openFee of {name}"),
        close_fee=optional_decimal(row.close_fee, f"closeFee of {name}"),
        created_by=_MADE_BY_FILL.get(_FILL_KINDS.get(row.exec_type or "", FillKind.TRADE)),
        at_ms=at_ms,
    )
