"""Public endpoints: time, contracts, tickers, funding history.

1. Spot and options are listed as empty: this venue trades neither, and a client that loads every market finds none.
"""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import unquote

from trueup.sim.bybit.call import Call, Result
from trueup.sim.bybit.errors import bad_parameter
from trueup.sim.bybit.paging import DAY_MS
from trueup.sim.bybit.render_market import instrument_row, ticker_row
from trueup.sim.world import World
from trueup.sim.world.types import InstrumentSpec, InstrumentStatus, Kind

_MAX_INSTRUMENTS = 1_000
_DEFAULT_INSTRUMENTS = 500
_HOUR_MS = 3_600_000
_STATUSES = {
    "Trading": InstrumentStatus.TRADING,
    "Closed": InstrumentStatus.SETTLED,
    "PreLaunch": None,
    "Delivering": None,
}


def server_time(call: Call) -> Result:
    """GET /v5/market/time."""
    return {"timeSecond": str(call.now_ms // 1_000), "timeNano": str(call.now_ms * 1_000_000)}


def instruments_info(call: Call) -> Result:
    """GET /v5/market/instruments-info."""
    category = call.category()
    limit = call.params.limit(_DEFAULT_INSTRUMENTS, _MAX_INSTRUMENTS)
    if category in ("spot", "option"):
        return {"category": category, "list": [], "nextPageCursor": ""}
    listed = _listed(call, category)
    first = _first(call, listed)
    shown = listed[first : first + limit]
    cursor = ""
    if first + limit < len(listed):
        cursor = f"first%3D{listed[first + limit][1].symbol}"
    return {
        "category": category,
        "list": [instrument_row(spec, number) for number, spec in shown],
        "nextPageCursor": cursor,
    }


def _listed(call: Call, category: str) -> list[tuple[int, InstrumentSpec]]:
    """The contracts that the filters leave, with their numbers."""
    params = call.params
    if params.has("symbol"):
        call.instrument(category)
    symbol, base = params.text("symbol"), params.text("baseCoin")
    status = params.choice("status", _STATUSES) if params.has("status") else InstrumentStatus.TRADING
    return [
        (number, spec)
        for number, spec in enumerate(call.world.instruments("bybit"), start=1)
        if spec.category == category
        and symbol in ("", spec.symbol)
        and base in ("", spec.base)
        and (spec.status is status or bool(symbol))
    ]


def _first(call: Call, listed: list[tuple[int, InstrumentSpec]]) -> int:
    """Where the cursor's page begins."""
    cursor = unquote(call.params.text("cursor"))
    if not cursor:
        return 0
    name, _, symbol = cursor.partition("=")
    for index, (_, spec) in enumerate(listed):
        if name == "first" and spec.symbol == symbol:
            return index
    raise bad_parameter("Cursor invalid")


def tickers(call: Call) -> Result:
    """GET /v5/market/tickers."""
    category = call.category()
    if category in ("spot", "option"):
        return {"category": category, "list": []}
    if call.params.has("symbol"):
        specs = [call.instrument(category)]
    else:
        base = call.params.text("baseCoin")
        specs = [
            spec
            for spec in call.world.instruments("bybit")
            if spec.category == category and spec.status is InstrumentStatus.TRADING and base in ("", spec.base)
        ]
    return {"category": category, "list": [ticker_of(call.world, spec, call.now_ms) for spec in specs]}


def ticker_of(world: World, spec: InstrumentSpec, now_ms: int) -> dict[str, object]:
    """One contract's ticker row."""
    price = world.price("bybit", spec.symbol)
    yesterday = last_price_at(world, spec, now_ms - DAY_MS, price.last)
    hour_ago = last_price_at(world, spec, now_ms - _HOUR_MS, price.last)
    return ticker_row(spec, price, yesterday, hour_ago)


def last_price_at(world: World, spec: InstrumentSpec, at_ms: int, default: Decimal) -> Decimal:
    """The last price at an earlier instant; `default` when the world has forgotten it."""
    try:
        return world.price("bybit", spec.symbol, at_ms).last
    except LookupError:
        return default


def order_book(call: Call) -> Result:
    """GET /v5/market/orderbook: the last price to sell at, one tick above it to buy at."""
    category = call.trading_category()
    call.params.limit(25, 1_000)
    spec = call.instrument(category)
    row = ticker_of(call.world, spec, call.now_ms)
    return {
        "s": spec.symbol,
        "b": [[row["bid1Price"], row["bid1Size"]]],
        "a": [[row["ask1Price"], row["ask1Size"]]],
        "ts": call.now_ms,
        "u": call.now_ms,
        "seq": call.now_ms,
        "cts": call.now_ms,
    }


def funding_history(call: Call) -> Result:
    """GET /v5/market/funding/history: the rate now in force, at each funding of the window."""
    category = call.trading_category()
    spec = call.instrument(category)
    limit = call.params.limit(200, 200)
    interval = spec.funding_interval_ms
    if spec.kind is not Kind.PERPETUAL or interval is None:
        return {"category": category, "list": []}
    end = call.params.integer("endTime") or call.now_ms
    start = call.params.integer("startTime") or end - limit * interval
    at_ms = min(end, call.now_ms) // interval * interval
    rows: list[dict[str, object]] = []
    while at_ms >= max(start, spec.listed_ms) and len(rows) < limit:
        try:
            rate = call.world.price("bybit", spec.symbol, at_ms).funding_rate
        except LookupError:
            break
        rows.append({"symbol": spec.symbol, "fundingRate": format(rate, "f"), "fundingRateTimestamp": str(at_ms)})
        at_ms -= interval
    return {"category": category, "list": rows}
