"""Public endpoints: time, contracts, prices.

1. The order book is one price level a tick on either side of the last price: the world's market is as deep as that.
2. The 24 hour statistics know the price now and a day ago, nothing between; volumes are 0.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from trueup.sim.binance.call import Answer, Call
from trueup.sim.binance.errors import ApiError
from trueup.sim.binance.instruments import exchange_info, price_digits
from trueup.sim.binance.numbers import fixed, plain
from trueup.sim.world.types import ZERO, InstrumentSpec, InstrumentStatus, Price

_DAY_MS = 86_400_000
_DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
_HUNDRED = Decimal(100)


def ping(_call: Call) -> Answer:
    return {}


def server_time(call: Call) -> Answer:
    return {"serverTime": call.now_ms}


def exchange_information(call: Call) -> Answer:
    return exchange_info(call.instruments(), call.now_ms, call.limits.policy)


def _trading(call: Call) -> list[InstrumentSpec]:
    return [spec for spec in call.instruments() if spec.status is InstrumentStatus.TRADING]


def _one_or_all(call: Call, render: Callable[[Call, InstrumentSpec], dict[str, Any]]) -> Answer:
    """An object for a symbol, a list of all that trade without."""
    spec = call.find_instrument()
    if spec is not None:
        return render(call, spec)
    return [render(call, each) for each in _trading(call)]


def _price(call: Call, spec: InstrumentSpec) -> Price:
    return call.world.price("binance", spec.symbol)


def mark_row(spec: InstrumentSpec, price: Price, now_ms: int) -> dict[str, Any]:
    """A row of `premiumIndex`."""
    dated = price.next_funding_ms is None
    return {
        "symbol": spec.symbol,
        "markPrice": fixed(price.mark, 8),
        "indexPrice": fixed(price.index, 8),
        "estimatedSettlePrice": fixed(price.index, 8),
        "lastFundingRate": "" if dated else fixed(price.funding_rate, 8),
        "interestRate": "" if dated else "0.00010000",
        "nextFundingTime": price.next_funding_ms or 0,
        "time": now_ms,
    }


def premium_index(call: Call) -> Answer:
    return _one_or_all(call, lambda c, spec: mark_row(spec, _price(c, spec), c.now_ms))


def ticker_price(call: Call) -> Answer:
    return _one_or_all(
        call,
        lambda c, spec: {
            "symbol": spec.symbol,
            "price": fixed(_price(c, spec).last, price_digits(spec)),
            "time": c.now_ms,
        },
    )


def _level(call: Call, spec: InstrumentSpec) -> tuple[str, str, str]:
    """Bid, ask and how much either holds."""
    last = _price(call, spec).last
    bid = max(last - spec.price_tick, spec.price_tick)
    quantity = fixed(spec.max_quantity, spec.quantity_decimals)
    return fixed(bid, price_digits(spec)), fixed(last + spec.price_tick, price_digits(spec)), quantity


def book_ticker(call: Call) -> Answer:
    def row(c: Call, spec: InstrumentSpec) -> dict[str, Any]:
        bid, ask, quantity = _level(c, spec)
        return {
            "symbol": spec.symbol,
            "bidPrice": bid,
            "bidQty": quantity,
            "askPrice": ask,
            "askQty": quantity,
            "time": c.now_ms,
        }

    return _one_or_all(call, row)


def depth(call: Call) -> Answer:
    spec = call.instrument()
    limit = call.params.integer("limit")
    if limit is not None and limit not in _DEPTH_LIMITS:
        raise ApiError(-4021, f"'{limit}' is not valid depth limit.")
    bid, ask, quantity = _level(call, spec)
    now_ms = call.now_ms
    return {"lastUpdateId": now_ms, "E": now_ms, "T": now_ms, "bids": [[bid, quantity]], "asks": [[ask, quantity]]}


def ticker_24h(call: Call) -> Answer:
    return _one_or_all(call, _statistics)


def _statistics(call: Call, spec: InstrumentSpec) -> dict[str, Any]:
    now_ms = call.now_ms
    digits = price_digits(spec)
    last = _price(call, spec).last
    opened = _price_a_day_ago(call, spec, now_ms).last
    change = last - opened
    percent = (change / opened * _HUNDRED).quantize(Decimal("0.001"), rounding=ROUND_HALF_UP)
    return {
        "symbol": spec.symbol,
        "priceChange": fixed(change, digits),
        "priceChangePercent": fixed(percent, 3),
        "weightedAvgPrice": fixed((last + opened) / 2, digits),
        "lastPrice": fixed(last, digits),
        "lastQty": plain(spec.min_quantity),
        "openPrice": fixed(opened, digits),
        "highPrice": fixed(max(last, opened), digits),
        "lowPrice": fixed(min(last, opened), digits),
        "volume": fixed(ZERO, spec.quantity_decimals),
        "quoteVolume": fixed(ZERO, 2),
        "openTime": now_ms - _DAY_MS,
        "closeTime": now_ms,
        "firstId": 0,
        "lastId": 0,
        "count": 0,
    }


def _price_a_day_ago(call: Call, spec: InstrumentSpec, now_ms: int) -> Price:
    """As far back as the world remembers: its prices may be forgotten sooner than a day."""
    try:
        return call.world.price("binance", spec.symbol, now_ms - _DAY_MS)
    except LookupError:
        return _price(call, spec)


def funding_info(_call: Call) -> Answer:
    """Contracts whose funding was adjusted: none ever is."""
    return []
