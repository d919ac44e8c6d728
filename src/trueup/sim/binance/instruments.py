"""What the venue says of its contracts: precisions, filters, brackets, `exchangeInfo`.

1. Prices may have more digits than the tick (as the venue's own do): too many digits is -1111, off the tick -4014.
2. One notional bracket per contract, with the world's one maintenance rate.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from trueup.sim.binance.limits import LimitPolicy
from trueup.sim.binance.numbers import fixed, plain
from trueup.sim.world.types import InstrumentSpec, InstrumentStatus, Kind

NEVER_MS = 4_133_404_800_000
"""The delivery date that perpetual contracts bear."""
MAX_NOTIONAL = 1_000_000_000
PRICE_CEILING = Decimal(10)
PRICE_FLOOR = Decimal("0.1")
_MIN_PRICE_DIGITS = 2
_AVERAGE_PRICE_EXTRA = 3
_HUNDRED = Decimal(100)
_ORDER_TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
_TIMES_IN_FORCE = ["GTC", "IOC", "FOK", "GTX"]


def price_digits(spec: InstrumentSpec) -> int:
    """`pricePrecision`."""
    return max(_MIN_PRICE_DIGITS, spec.price_decimals)


def average_price_digits(spec: InstrumentSpec) -> int:
    """Digits of `avgPrice`."""
    return price_digits(spec) + _AVERAGE_PRICE_EXTRA


def notional_digits(spec: InstrumentSpec) -> int:
    """Digits of price × quantity: `cumQuote`, `quoteQty`."""
    return price_digits(spec) + spec.quantity_decimals


def exchange_info(specs: list[InstrumentSpec], now_ms: int, policy: LimitPolicy) -> dict[str, Any]:
    """The answer of `exchangeInfo`."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": rate_limits(policy),
        "exchangeFilters": [],
        "assets": [_asset(name) for name in sorted({spec.settle for spec in specs} | {"BNB"})],
        "symbols": [_symbol(spec) for spec in specs],
    }


def rate_limits(policy: LimitPolicy) -> list[dict[str, Any]]:
    """The weight of an address, then the orders of an account."""
    weight = ("REQUEST_WEIGHT", "MINUTE", 1, policy.weight_per_minute)
    return [_rate_limit(*weight), *order_rate_limits(policy)]


def order_rate_limits(policy: LimitPolicy) -> list[dict[str, Any]]:
    return [
        _rate_limit("ORDERS", "MINUTE", 1, policy.orders_per_minute),
        _rate_limit("ORDERS", "SECOND", 10, policy.orders_per_ten_seconds),
    ]


def _rate_limit(kind: str, interval: str, number: int, limit: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}


def _asset(name: str) -> dict[str, Any]:
    exchanged = name != "BNB"
    return {"asset": name, "marginAvailable": exchanged, "autoAssetExchange": "-10000" if exchanged else None}


def _symbol(spec: InstrumentSpec) -> dict[str, Any]:
    trading = spec.status is InstrumentStatus.TRADING
    return {
        "symbol": spec.symbol,
        "pair": spec.base + spec.quote,
        "contractType": contract_type(spec),
        "deliveryDate": NEVER_MS if spec.expiry_ms is None else spec.expiry_ms,
        "onboardDate": spec.listed_ms,
        "status": "TRADING" if trading else "SETTLING",
        "maintMarginPercent": fixed(spec.maintenance_rate * _HUNDRED, 4),
        "requiredMarginPercent": fixed(_HUNDRED / spec.max_leverage, 4),
        "baseAsset": spec.base,
        "quoteAsset": spec.quote,
        "marginAsset": spec.settle,
        "pricePrecision": price_digits(spec),
        "quantityPrecision": spec.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": _filters(spec),
        "orderTypes": _ORDER_TYPES,
        "timeInForce": _TIMES_IN_FORCE,
    }


def contract_type(spec: InstrumentSpec) -> str:
    if spec.kind is Kind.PERPETUAL:
        return "PERPETUAL"
    delivery = datetime.fromtimestamp((spec.expiry_ms or 0) / 1000, tz=UTC)
    listed = datetime.fromtimestamp(spec.listed_ms / 1000, tz=UTC)
    quarters = (delivery.year - listed.year) * 4 + (delivery.month - 1) // 3 - (listed.month - 1) // 3
    return "CURRENT_QUARTER" if quarters <= 1 else "NEXT_QUARTER"


def _filters(spec: InstrumentSpec) -> list[dict[str, Any]]:
    tick, step = plain(spec.price_tick), plain(spec.quantity_step)
    smallest = plain(spec.min_quantity)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": tick,
            "maxPrice": plain(spec.initial_price * 1_000),
            "tickSize": tick,
        },
        {"filterType": "LOT_SIZE", "minQty": smallest, "maxQty": plain(spec.max_quantity), "stepSize": step},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": smallest,
            "maxQty": plain(spec.max_market_quantity),
            "stepSize": step,
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": plain(spec.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": fixed(PRICE_CEILING, 4),
            "multiplierDown": fixed(PRICE_FLOOR, 4),
            "multiplierDecimal": "4",
        },
    ]


def brackets(spec: InstrumentSpec) -> dict[str, Any]:
    """A row of `leverageBracket`; its rates are JSON numbers, exact ones."""
    rate = msgspec.Raw(plain(spec.maintenance_rate).encode())
    bracket = {
        "bracket": 1,
        "initialLeverage": int(spec.max_leverage),
        "notionalCap": MAX_NOTIONAL,
        "notionalFloor": 0,
        "maintMarginRatio": rate,
        "cum": msgspec.Raw(b"0.0"),
    }
    return {"symbol": spec.symbol, "notionalCoef": msgspec.Raw(b"1.0"), "brackets": [bracket]}
