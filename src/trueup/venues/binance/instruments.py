"""Binance's `exchangeInfo` as instruments.

1. A perpetual is told by its contract type (`PERPETUAL`, `TRADIFI_PERPETUAL`, and `PERPETUAL_DELIVERING` on its way
   out) or, where a listing has none, by the venue's sentinel delivery date: its symbol bears no date, ever.
2. A dated contract is told by `CURRENT_…`/`NEXT_…` or by the date in its id; its symbol bears its delivery date.
3. A contract type that is neither is left out: a position in it is quarantined, never guessed at.

Departure from ccxt: it gives `PERPETUAL_DELIVERING` a dated symbol, so that a position would change its name on the day
its delisting is announced.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from trueup.model.decimals import positive_or_none
from trueup.model.instruments import ContractKind, Instrument, unified_symbol
from trueup.venues.binance.rows import FilterRow, SymbolRow
from trueup.venues.wire import text, time_or_none

__all__ = ["CATEGORY", "instrument_of"]

CATEGORY = "linear"
_NEVER_DELIVERED_MS = 4_133_404_800_000  # 2100-12-25: the venue's "no delivery"
_PERPETUALS = frozenset({"PERPETUAL", "TRADIFI_PERPETUAL", "PERPETUAL_DELIVERING"})
_DATED_WORDS = ("CURRENT_", "NEXT_")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instrument_of(row: SymbolRow, currency: Callable[[str], str], venue: str) -> Instrument | None:
    """One listed contract; None where its contract type is not understood.

    Args:
        currency: ccxt's unified code of a coin.
    """
    kind = _kind(row)
    if kind is None:
        return None
    expires_at_ms = time_or_none(row.delivery_date, f"deliveryDate of {row.symbol}")
    if kind is ContractKind.PERPETUAL:
        expires_at_ms = None
    filters = {rule.filter_type: rule for rule in row.filters}
    price, lot = filters.get("PRICE_FILTER"), filters.get("LOT_SIZE")
    market_lot, notional = filters.get("MARKET_LOT_SIZE"), filters.get("MIN_NOTIONAL")
    base, quote, settle = currency(row.base_asset), currency(row.quote_asset), currency(row.margin_asset)
    return Instrument(
        venue=venue,
        symbol=unified_symbol(base, quote, settle, None if expires_at_ms is None else _yymmdd(expires_at_ms)),
        venue_symbol=text(row.symbol, "symbol of an instrument"),
        category=CATEGORY,
        kind=kind,
        base=text(base, f"base coin of {row.symbol}"),
        quote=text(quote, f"quote coin of {row.symbol}"),
        settle=text(settle, f"settle coin of {row.symbol}"),
        contract_size=Decimal(1),
        price_tick=_positive(price, "tick_size"),
        quantity_step=_positive(lot, "step_size"),
        min_quantity=_positive(lot, "min_qty"),
        max_market_quantity=_positive(market_lot, "max_qty"),
        min_notional=_positive(notional, "notional"),
        expires_at_ms=expires_at_ms,
        tradable=row.status == "TRADING",
    )


def _kind(row: SymbolRow) -> ContractKind | None:
    delivery_ms = time_or_none(row.delivery_date, f"deliveryDate of {row.symbol}")
    if row.contract_type in _PERPETUALS or delivery_ms == _NEVER_DELIVERED_MS:
        return ContractKind.PERPETUAL
    date_in_id = row.symbol.rpartition("_")[2]
    if delivery_ms and (row.contract_type.startswith(_DATED_WORDS) or (len(date_in_id) == 6 and date_in_id.isdigit())):
        return ContractKind.DATED
    return None


def _yymmdd(at_ms: int) -> str:
    return f"{_EPOCH + timedelta(milliseconds=at_ms):%y%m%d}"


def _positive(rule: FilterRow | None, name: str) -> Decimal | None:
    return None if rule is None else positive_or_none(getattr(rule, name), name)
