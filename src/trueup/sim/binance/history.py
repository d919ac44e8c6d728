"""Fills and movements of money, as far back as the venue shows them."""

from __future__ import annotations

from trueup.sim.binance.call import Answer, Call
from trueup.sim.binance.errors import ApiError
from trueup.sim.binance.names import INCOME_TYPES
from trueup.sim.binance.render_orders import income as income_row
from trueup.sim.binance.render_orders import trade
from trueup.sim.binance.windows import newest_or_first, window

_DAY_MS = 86_400_000
_TRADES_SHOWN_MS = 183 * _DAY_MS
_INCOME_SHOWN_MS = 92 * _DAY_MS


def user_trades(call: Call) -> Answer:
    """`GET userTrades` of a symbol: from a fill id on, of an order, or of a window of at most seven days."""
    spec = call.instrument()
    params = call.params
    first_id = params.integer("fromId")
    order_id = params.integer("orderId")
    if first_id is not None and (params.sent("startTime") or params.sent("endTime")):
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    limit = params.limit(500, 1000)
    oldest_ms = call.now_ms - _TRADES_SHOWN_MS
    fills = [fill for fill in call.view.fills(spec.symbol) if fill.at_ms >= oldest_ms]
    if order_id is not None:
        fills = [fill for fill in fills if fill.order_id == order_id]
    if first_id is not None:
        return [trade(spec, fill) for fill in fills if fill.fill_id >= first_id][:limit]
    span = window(call, days=7)
    found = [fill for fill in fills if span.holds(fill.at_ms)]
    return [trade(spec, fill) for fill in newest_or_first(found, limit, span)]


def income(call: Call) -> Answer:
    """`GET income`: by default the last seven days; three months are kept."""
    spec = call.find_instrument()
    params = call.params
    kind = params.choice("incomeType", INCOME_TYPES, None) if params.sent("incomeType") else None
    limit = params.limit(100, 1000)
    page = params.integer("page") or 1
    span = window(call, days=7, longest=92)
    oldest_ms = call.now_ms - _INCOME_SHOWN_MS
    entries = call.view.ledger(kind=kind, symbol=None if spec is None else spec.symbol)
    found = [entry for entry in entries if entry.at_ms >= oldest_ms and span.holds(entry.at_ms)]
    if params.sent("page"):
        found = found[(page - 1) * limit : page * limit]
    return [income_row(entry) for entry in newest_or_first(found, limit, span)]
