"""Bybit's `instruments-info` as instruments.

1. The category and the contract type tell perpetual from dated; a perpetual's `deliveryTime` is its delisting and never
   part of its symbol.
2. Linear contracts count base units, inverse ones count quote units (USD): one contract is one unit of either.
3. A contract type that is neither is left out: a position in it is quarantined, never guessed at.

Departure from ccxt: it takes an inverse contract's smallest order for its size.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from trueup.model.decimals import positive_or_none
from trueup.model.instruments import ContractKind, Instrument, unified_symbol
from trueup.venues.bybit.rows import InstrumentRow
from trueup.venues.wire import text, time_or_none

__all__ = ["INVERSE", "LINEAR", "instrument_of"]

LINEAR, INVERSE = "linear", "inverse"

_KINDS = {
    "LinearPerpetual": ContractKind.PERPETUAL,
    "InversePerpetual": ContractKind.PERPETUAL,
    "LinearFutures": ContractKind.DATED,
    "InverseFutures": ContractKind.DATED,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instrument_of(row: InstrumentRow, category: str, currency: Callable[[str], str], venue: str) -> Instrument | None:
    """One listed contract; None where its contract type is not understood, or a dated one bears no date.

    Raises:
        Unreadable: A field is not what it must be.
    """
    kind = _KINDS.get(row.contract_type)
    expires_at_ms = time_or_none(row.delivery_time, f"deliveryTime of {row.symbol}")
    if kind is None or (kind is ContractKind.DATED and expires_at_ms is None):
        return None
    expiry = None
    if kind is ContractKind.PERPETUAL:
        expires_at_ms = None
    elif expires_at_ms is not None:
        expiry = f"{_EPOCH + timedelta(milliseconds=expires_at_ms):%y%m%d}"
    inverse = category == INVERSE
    settle = row.settle_coin or (row.base_coin if inverse else row.quote_coin)
    if settle == "USD" and kind is ContractKind.PERPETUAL and not inverse:
        settle = "USDC"  # early listings of USDC perpetuals say so
    base, quote, settle = currency(row.base_coin), currency(row.quote_coin), currency(settle)
    lot = row.lot_size_filter
    return Instrument(
        venue=venue,
        symbol=unified_symbol(base, quote, settle, expiry),
        venue_symbol=text(row.symbol, "symbol of an instrument"),
        category=category,
        kind=kind,
        base=text(base, f"base coin of {row.symbol}"),
        quote=text(quote, f"quote coin of {row.symbol}"),
        settle=text(settle, f"settle coin of {row.symbol}"),
        contract_size=Decimal(1),
        inverse=inverse,
        price_tick=positive_or_none(row.price_filter.tick_size, f"tickSize of {row.symbol}"),
        quantity_step=positive_or_none(lot.qty_step, f"qtyStep of {row.symbol}"),
        min_quantity=positive_or_none(lot.min_order_qty, f"minOrderQty of {row.symbol}"),
        max_market_quantity=positive_or_none(lot.max_mkt_order_qty, f"maxMktOrderQty of {row.symbol}"),
        min_notional=positive_or_none(lot.min_notional_value, f"minNotionalValue of {row.symbol}"),
        expires_at_ms=expires_at_ms,
        tradable=row.status == "Trading",
    )
