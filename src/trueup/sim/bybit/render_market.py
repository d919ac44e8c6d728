"""Contracts and prices as rows of Bybit's market endpoints and public streams.

1. Limits and steps are the contract's own; what the world does not have (order book, volume, ratios) is written as
   constants of the venue's form.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from trueup.sim.bybit import names
from trueup.sim.bybit.render_positions import max_price
from trueup.sim.bybit.text import fixed, plain, price_scale, price_text, quantity_text
from trueup.sim.world.types import InstrumentSpec, InstrumentStatus, Kind, Price

Row = dict[str, object]
_FUNDING_CAP = "0.00375"
_DEPTH = Decimal(1_000)
_HOUR_MS = 3_600_000
_YEAR_MS = 365 * 86_400_000


def instrument_row(spec: InstrumentSpec, number: int) -> Row:
    """One contract of instruments-info; `number` is its symbolId."""
    scale = price_scale(spec)
    perpetual = spec.kind is Kind.PERPETUAL
    return {
        "symbol": spec.symbol,
        "symbolId": number,
        "contractType": names.contract_type(spec),
        "status": "Trading" if spec.status is InstrumentStatus.TRADING else "Closed",
        "baseCoin": spec.base,
        "quoteCoin": spec.quote,
        "symbolType": "",
        "launchTime": str(spec.listed_ms),
        "deliveryTime": "0" if spec.expiry_ms is None else str(spec.expiry_ms),
        "deliveryFeeRate": "" if perpetual else "0",
        "priceScale": str(scale),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": fixed(spec.max_leverage, 2),
            "leverageStep": "0.01",
        },
        "priceFilter": {
            "minPrice": fixed(spec.price_tick, scale),
            "maxPrice": fixed(max_price(spec), scale),
            "tickSize": fixed(spec.price_tick, scale),
        },
        "lotSizeFilter": {
            "maxOrderQty": fixed(spec.max_quantity, spec.quantity_decimals),
            "minOrderQty": fixed(spec.min_quantity, spec.quantity_decimals),
            "qtyStep": fixed(spec.quantity_step, spec.quantity_decimals),
            "postOnlyMaxOrderQty": fixed(spec.max_quantity, spec.quantity_decimals),
            "maxMktOrderQty": fixed(spec.max_market_quantity, spec.quantity_decimals),
            "minNotionalValue": "0" if spec.min_notional is None else plain(spec.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 0 if spec.funding_interval_ms is None else spec.funding_interval_ms // 60_000,
        "settleCoin": spec.settle,
        "copyTrading": "none",
        "upperFundingRate": _FUNDING_CAP if perpetual else "0",
        "lowerFundingRate": f"-{_FUNDING_CAP}" if perpetual else "0",
        "displayName": "",
        "forbidUplWithdrawal": False,
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.1"},
    }


def ticker_row(spec: InstrumentSpec, price: Price, yesterday: Decimal, hour_ago: Decimal) -> Row:
    """One contract of the tickers endpoint; `yesterday` and `hour_ago` are last prices then."""
    low, high = min(price.last, yesterday, hour_ago), max(price.last, yesterday, hour_ago)
    depth = quantity_text(spec, _DEPTH * spec.min_quantity)
    perpetual = spec.kind is Kind.PERPETUAL
    row: Row = {
        "symbol": spec.symbol,
        "lastPrice": price_text(spec, price.last),
        "indexPrice": price_text(spec, price.index),
        "markPrice": price_text(spec, price.mark),
        "prevPrice24h": price_text(spec, yesterday),
        "price24hPcnt": plain(round(price.last / yesterday - 1, 6)),
        "highPrice24h": price_text(spec, high),
        "lowPrice24h": price_text(spec, low),
        "prevPrice1h": price_text(spec, hour_ago),
        "openInterest": "0",
        "openInterestValue": "0",
        "singleOpenInterest": "0",
        "singleOpenInterestValue": "0",
        "turnover24h": "0.0000",
        "volume24h": "0.0000",
        "fundingRate": plain(price.funding_rate) if perpetual else "",
        "nextFundingTime": "" if price.next_funding_ms is None else str(price.next_funding_ms),
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "basis": "",
        "basisRateYear": "",
        "deliveryFeeRate": "" if perpetual else "0",
        "deliveryTime": "0" if spec.expiry_ms is None else str(spec.expiry_ms),
        "bid1Price": price_text(spec, price.last),
        "bid1Size": depth,
        "ask1Price": price_text(spec, price.last + spec.price_tick),
        "ask1Size": depth,
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
        "fundingIntervalHour": _funding_hours(spec),
        "fundingCap": _FUNDING_CAP if perpetual else "",
    }
    if not perpetual and spec.expiry_ms is not None:
        row.update(_basis(price, spec.expiry_ms))
    return row


def ticker_message_row(row: Row, rising: bool) -> Row:
    """A ticker row as the public stream writes it."""
    shown = {name: value for name, value in row.items() if name not in _NOT_STREAMED}
    shown["tickDirection"] = "PlusTick" if rising else "MinusTick"
    delivery = str(row["deliveryTime"])
    if delivery == "0":
        for name in _FUTURES_ONLY:
            shown.pop(name, None)
    else:
        shown["deliveryTime"] = datetime.fromtimestamp(int(delivery) / 1_000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for name in _PERPETUAL_ONLY:
            shown.pop(name, None)
    return shown


_NOT_STREAMED = frozenset({"singleOpenInterest", "singleOpenInterestValue"})
_FUTURES_ONLY = ("deliveryTime", "basisRate", "deliveryFeeRate", "predictedDeliveryPrice", "basis", "basisRateYear")
_PERPETUAL_ONLY = ("fundingIntervalHour", "fundingCap", "preOpenPrice", "preQty", "curPreListingPhase")


def _funding_hours(spec: InstrumentSpec) -> str:
    return "" if spec.funding_interval_ms is None else str(spec.funding_interval_ms // _HOUR_MS)


def _basis(price: Price, expiry_ms: int) -> Row:
    basis = price.last - price.index
    rate = basis / price.index
    days_left = max(expiry_ms - price.at_ms, 1)
    return {
        "basis": plain(basis),
        "basisRate": plain(round(rate, 8)),
        "basisRateYear": plain(round(rate * _YEAR_MS / days_left, 8)),
        "predictedDeliveryPrice": "0.00",
    }
