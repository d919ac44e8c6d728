"""Binance fills and funding payments as values."""

from __future__ import annotations

from trueup.model.decimals import optional_decimal, parse_decimal
from trueup.model.orders import Fill, Funding
from trueup.model.times import DAY_MS
from trueup.venues.binance.orders import order_side
from trueup.venues.binance.positions import leg_of
from trueup.venues.binance.rows import IncomeRow, TradeRow
from trueup.venues.wire import text_or_none, whole

__all__ = ["FILLS_REACH_MS", "FUNDING_REACH_MS", "fill_of", "funding_of"]

FILLS_REACH_MS = 180 * DAY_MS
"""`userTrades` keeps six months; a few days less, so that we never claim more than there is."""
FUNDING_REACH_MS = 89 * DAY_MS
"""`income` keeps three months."""


def fill_of(row: TradeRow, symbol: str) -> Fill:
    """One trade of the account. Who made its order (a liquidation, a stop) stands on the order, not here.

    Raises:
        Unreadable: A field is not what it must be.
    """
    name = f"trade {row.id}"
    trade_id = whole(row.id, "id of a trade")
    return Fill(
        symbol=symbol,
        trade_id=str(trade_id),
        order_id=str(whole(row.order_id, f"orderId of {name}")),
        order_side=order_side(row.side, f"side of {name}"),
        position_side=leg_of(row.position_side or "BOTH", f"positionSide of {name}"),
        quantity=parse_decimal(row.qty, f"qty of {name}"),
        price=parse_decimal(row.price, f"price of {name}"),
        value=optional_decimal(row.quote_qty, f"quoteQty of {name}"),
        fee=optional_decimal(row.commission, f"commission of {name}"),
        fee_asset=text_or_none(row.commission_asset),
        realized_pnl=optional_decimal(row.realized_pnl, f"realizedPnl of {name}"),
        at_ms=whole(row.time, f"time of {name}"),
        sequence=trade_id,
    )


def funding_of(row: IncomeRow, symbol: str) -> Funding:
    """One funding payment. The venue does not say which hedge leg it was for.

    Raises:
        Unreadable: A field is not what it must be.
    """
    name = f"income {row.tran_id}"
    return Funding(
        symbol=symbol,
        payment_id=str(whole(row.tran_id, "tranId of an income")),
        side=None,
        amount=parse_decimal(row.income, f"income of {name}"),
        asset=row.asset,
        at_ms=whole(row.time, f"time of {name}"),
    )
