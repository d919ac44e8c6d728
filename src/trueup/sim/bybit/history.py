"""Order lists and the trade history.

1. `order/realtime` shows open orders, and with openOnly=1 the last 500 that ended; regular orders and conditional ones,
   attached stops included, stand in one list unless `orderFilter` parts them.
2. A triggered conditional order is one row, never two.
3. `order/history` keeps an order without fills for a day and one with fills for two years.
4. Rows by orderId or orderLinkId ignore every other filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from trueup.sim.bybit import names
from trueup.sim.bybit.call import Call, Result, Scope, scope_of
from trueup.sim.bybit.errors import bad_parameter
from trueup.sim.bybit.orders import AnyOrder, number_of
from trueup.sim.bybit.paging import DAY_MS, TWO_YEARS_MS, Key, page, window
from trueup.sim.bybit.params import Params
from trueup.sim.bybit.render_orders import Row, conditional_row, execution_row, order_row
from trueup.sim.world import AccountView
from trueup.sim.world.ids import uuid_number
from trueup.sim.world.types import ConditionalOrder, Fill, Order

_MISSING = "Missing some parameters that must be filled in, symbol or settleCoin or baseCoin"
_RECENT_CLOSED = 500
_FILTERS: Mapping[str, Callable[[AnyOrder], bool]] = {
    "Order": lambda order: isinstance(order, Order),
    "StopOrder": lambda order: isinstance(order, ConditionalOrder),
    "tpslOrder": lambda order: isinstance(order, ConditionalOrder) and order.attached is not None,
    "OcoOrder": lambda _order: False,
    "BidirectionalTpslOrder": lambda _order: False,
}
_EXEC_TYPES = frozenset(
    {
        "Trade",
        "AdlTrade",
        "Funding",
        "BustTrade",
        "Delivery",
        "Settle",
        "BlockTrade",
        "MovePosition",
        "FutureSpread",
        "CorporateAction",
        "SessionSettlePnL",
    }
)


def realtime(call: Call) -> Result:
    """GET /v5/order/realtime."""
    category, limit = call.category(), call.params.limit(20, 50)
    if category not in names.SERVED_CATEGORIES:
        return {"list": [], "nextPageCursor": "", "category": category}
    scope = scope_of(call, category)
    view = call.view()
    orders: Iterable[AnyOrder]
    if _by_id(call.params):
        orders = _named(call.params, view)
    else:
        if category == "linear" and scope.symbol is None and scope.settle is None and scope.base is None:
            raise bad_parameter(_MISSING)
        closed = call.params.choice("openOnly", {"0": False, "1": True, "2": True}) or False
        orders = _recent(view, scope) if closed else _open(view, scope)
        orders = _filtered(call.params, orders)
    return _listing(call, view, category, [o for o in orders if scope.holds(view.instrument(o.symbol))], limit)


def order_history(call: Call) -> Result:
    """GET /v5/order/history."""
    category, limit = call.category(), call.params.limit(20, 50)
    if category not in names.SERVED_CATEGORIES:
        return {"list": [], "nextPageCursor": "", "category": category}
    scope = scope_of(call, category)
    view = call.view()
    if _by_id(call.params):
        found = [order for order in _named(call.params, view) if _is_final(order) and _is_kept(order, call.now_ms)]
    else:
        span = window(call.params, call.now_ms)
        found = [
            order
            for order in _all_orders(view, scope)
            if span.holds(order.created_ms) and _is_final(order) and _is_kept(order, call.now_ms)
        ]
        found = list(_filtered(call.params, found))
        status = call.params.text("orderStatus")
        if status:
            found = [order for order in found if status_word(order) == status]
    return _listing(call, view, category, [o for o in found if scope.holds(view.instrument(o.symbol))], limit)


def executions(call: Call) -> Result:
    """GET /v5/execution/list."""
    category, limit = call.category(), call.params.limit(50, 100)
    if category not in names.SERVED_CATEGORIES:
        return {"category": category, "list": [], "nextPageCursor": ""}
    view = call.view()
    fills = [fill for fill in _wanted_fills(call, view, category) if call.now_ms - fill.at_ms <= TWO_YEARS_MS]
    fills.reverse()
    shown, cursor = page(fills, _fill_key, limit, call.params.text("cursor"))
    return {"category": category, "list": [execution_row(view, fill) for fill in shown], "nextPageCursor": cursor}


def _wanted_fills(call: Call, view: AccountView, category: str) -> list[Fill]:
    """The executions that the parameters leave, oldest first."""
    params = call.params
    scope = scope_of(call, category)
    if params.has("orderId"):
        number = uuid_number(params.text("orderId"))
        return [fill for fill in view.executions() if number is not None and fill.order_id == number]
    if params.has("orderLinkId"):
        link_id = params.text("orderLinkId")
        return [fill for fill in view.executions() if fill.client_order_id == link_id]
    wanted = params.text("execType")
    if wanted and wanted not in _EXEC_TYPES:
        raise bad_parameter("ExecType invalid")
    span = window(params, call.now_ms)
    found = []
    for fill in view.executions(scope.symbol):
        if not span.holds(fill.at_ms):
            continue
        spec = view.instrument(fill.symbol)
        if scope.holds(spec) and wanted in ("", names.exec_type(spec, fill.exec_type)):
            found.append(fill)
    return found


def _fill_key(fill: Fill) -> Key:
    return fill.at_ms, fill.fill_id


def _listing(call: Call, view: AccountView, category: str, orders: list[AnyOrder], limit: int) -> Result:
    orders.sort(key=_order_key, reverse=True)
    shown, cursor = page(orders, _order_key, limit, call.params.text("cursor"))
    return {"list": [render(call, view, order) for order in shown], "nextPageCursor": cursor, "category": category}


def render(call: Call, view: AccountView, order: AnyOrder) -> Row:
    """An order of either kind as a row."""
    on_trigger = call.memory.closes_on_trigger(number_of(order))
    if isinstance(order, Order):
        return order_row(view, order, on_trigger)
    return conditional_row(view, order, on_trigger)


def _order_key(order: AnyOrder) -> Key:
    return order.created_ms, number_of(order)


def _by_id(params: Params) -> bool:
    return params.has("orderId") or params.has("orderLinkId")


def _named(params: Params, view: AccountView) -> list[AnyOrder]:
    """The order that orderId, else orderLinkId, names; empty when there is none."""
    order: Order | None
    conditional: ConditionalOrder | None
    if params.has("orderId"):
        number = uuid_number(params.text("orderId"))
        if number is None:
            return []
        order, conditional = view.order(number), view.conditional(number)
    else:
        link_id = params.text("orderLinkId")
        order, conditional = view.order_by_client_id(link_id), view.conditional_by_client_id(link_id)
    if order is not None:
        return [order] if names.is_listed(order) else []
    return [conditional] if conditional is not None else []


def _open(view: AccountView, scope: Scope) -> list[AnyOrder]:
    return [*view.open_orders(scope.symbol), *view.open_conditionals(scope.symbol)]


def _recent(view: AccountView, scope: Scope) -> list[AnyOrder]:
    """The orders of the category that ended last, at most 500."""
    ended = [order for order in _all_orders(view, scope) if _is_final(order)]
    ended = [order for order in ended if view.instrument(order.symbol).category == scope.category]
    ended.sort(key=lambda order: (order.updated_ms, number_of(order)))
    return ended[-_RECENT_CLOSED:]


def _all_orders(view: AccountView, scope: Scope) -> list[AnyOrder]:
    """Every order of the account, a triggered conditional order only as what it became."""
    orders: list[AnyOrder] = [order for order in view.orders(scope.symbol) if names.is_listed(order)]
    orders += [order for order in view.conditionals(scope.symbol) if order.child_order_id is None]
    return orders


def _filtered(params: Params, orders: Iterable[AnyOrder]) -> Iterable[AnyOrder]:
    keeps = params.choice("orderFilter", _FILTERS)
    return orders if keeps is None else [order for order in orders if keeps(order)]


def _is_final(order: AnyOrder) -> bool:
    return not order.is_open


def _is_kept(order: AnyOrder, now_ms: int) -> bool:
    """Whether the history still has it."""
    age_ms = now_ms - order.updated_ms
    filled = isinstance(order, Order) and order.filled_quantity > 0
    return age_ms <= (TWO_YEARS_MS if filled else DAY_MS)


def status_word(order: AnyOrder) -> str:
    """`orderStatus` of an order of either kind."""
    if isinstance(order, Order):
        return names.ORDER_STATUS_WORDS[order.status]
    return names.CONDITIONAL_STATUS_WORDS[order.status]
