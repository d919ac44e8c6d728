"""Regular orders: place, change, cancel, look at.

1. Conditional types are refused with -4120: they live in the Algo Service, and this list never shows them.
2. A market order that was placed without `newOrderRespType=RESULT` is answered as NEW, whatever happened since.
3. Cancelled and expired orders without a fill are forgotten after three days, all orders after ninety.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from trueup.sim.binance import checks
from trueup.sim.binance.call import Answer, Call
from trueup.sim.binance.errors import (
    ApiError,
    no_such_order,
    not_required,
    one_of_missing,
    unknown_order,
)
from trueup.sim.binance.names import ALGO_TYPES, ORDER_TYPES, TIMES_IN_FORCE
from trueup.sim.binance.render_orders import amended_order, force_order, order_row, order_state
from trueup.sim.binance.windows import newest_or_first, window
from trueup.sim.world.requests import OrderRequest
from trueup.sim.world.types import (
    ZERO,
    InstrumentSpec,
    Order,
    OrderStatus,
    OrderType,
    Origin,
    Side,
    TimeInForce,
)

_UNFILLED_SHOWN_MS = 3 * 86_400_000
_SHOWN_MS = 90 * 86_400_000
_CANCELLED = {"code": 200, "msg": "The operation of cancel all open order is done."}


def place(call: Call) -> Answer:
    """`POST order`."""
    request = read_order(call)
    result = checks.response_type(call) == "RESULT"
    order = call.world.place_order(call.owner.name, request)
    if not result:
        order = as_acknowledged(order)
    return order_state(call.world.instrument("binance", order.symbol), order)


def as_acknowledged(order: Order) -> Order:
    """The order as it was when it was accepted."""
    return replace(
        order,
        status=OrderStatus.NEW,
        filled_quantity=ZERO,
        filled_notional=ZERO,
        filled_value=ZERO,
        updated_ms=order.created_ms,
    )


def check(call: Call) -> Answer:
    """`POST order/test`: reads the order, places nothing."""
    read_order(call)
    return {}


def read_order(call: Call) -> OrderRequest:
    """The order that the parameters describe."""
    params = call.params
    spec = call.instrument()
    side = checks.side(call)
    kind = _order_type(call)
    leg = checks.position_side(call)
    _check_foreign(call, kind)
    checks.unsupported(call)
    reduce_only = checks.reduce_only(call)
    quantity = checks.quantity(spec, params.required_decimal("quantity"))
    if kind is OrderType.MARKET:
        for name in ("price", "timeInForce"):
            if params.sent(name):
                raise not_required(name)
        price, time_in_force = None, TimeInForce.GTC
    else:
        time_in_force = params.choice("timeInForce", TIMES_IN_FORCE, None, ApiError(-1115, "Invalid timeInForce."))
        price = checks.limit_price(call, spec, params.required_decimal("price"))
    return OrderRequest(
        symbol=spec.symbol,
        side=side,
        type=kind,
        quantity=quantity,
        price=price,
        leg=leg,
        time_in_force=time_in_force,
        reduce_only=reduce_only,
        client_order_id=params.client_id("newClientOrderId"),
    )


def _order_type(call: Call) -> OrderType:
    if call.params.text("type") in ALGO_TYPES:
        text = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        raise ApiError(-4120, text)
    return call.params.choice("type", ORDER_TYPES, None, ApiError(-1116, "Invalid orderType."))


def _check_foreign(call: Call, kind: OrderType) -> None:
    """Parameters of conditional orders."""
    if call.params.flag("closePosition"):
        text = f"Target strategy invalid for orderType {kind.name},closePosition true"
        raise ApiError(-4136, text)
    for name in ("stopPrice", "activationPrice", "callbackRate"):
        if call.params.sent(name):
            raise not_required(name)


def _named_order(call: Call, spec: InstrumentSpec) -> Order | None:
    """The order that `orderId` or else `origClientOrderId` names, None when there is none."""
    number = call.params.integer("orderId")
    client_id = call.params.client_id("origClientOrderId")
    if number is None and not client_id:
        raise one_of_missing("origClientOrderId", "orderId")
    view = call.view
    order = view.order_by_client_id(client_id, spec.symbol) if number is None else view.order(number)
    if order is None or order.symbol != spec.symbol or not is_shown(order, call.now_ms):
        return None
    return order


def is_shown(order: Order, now_ms: int) -> bool:
    """Whether the venue still knows the order."""
    if order.is_open:
        return True
    age_ms = now_ms - order.created_ms
    unfilled = order.status is not OrderStatus.FILLED and not order.filled_quantity
    return age_ms <= _SHOWN_MS and not (unfilled and age_ms > _UNFILLED_SHOWN_MS)


def query(call: Call) -> Answer:
    """`GET order`."""
    spec = call.instrument()
    order = _named_order(call, spec)
    if order is None:
        raise no_such_order()
    return order_row(spec, order)


def query_open(call: Call) -> Answer:
    """`GET openOrder`."""
    spec = call.instrument()
    order = _named_order(call, spec)
    if order is None or not order.is_open:
        raise no_such_order()
    return order_row(spec, order)


def open_orders(call: Call) -> Answer:
    spec = call.find_instrument()
    orders = call.view.open_orders(None if spec is None else spec.symbol)
    return _rows(call, orders, order_row)


def all_orders(call: Call) -> Answer:
    """`GET allOrders`: ids from `orderId` on, else a window of at most seven days, by default the last ones."""
    spec = call.instrument()
    first_id = call.params.integer("orderId")
    limit = call.params.limit(500, 1000)
    shown = [order for order in call.view.orders(spec.symbol) if is_shown(order, call.now_ms)]
    if first_id is not None:
        return _rows(call, [order for order in shown if order.order_id >= first_id][:limit], order_row)
    span = window(call, days=7)
    found = [order for order in shown if span.holds(order.created_ms)]
    return _rows(call, newest_or_first(found, limit, span), order_row)


def force_orders(call: Call) -> Answer:
    """`GET forceOrders`: liquidations and ADL of the account."""
    spec = call.find_instrument()
    kind = call.params.choice(
        "autoCloseType",
        {"LIQUIDATION": (Origin.LIQUIDATION,), "ADL": (Origin.ADL,), "": (Origin.LIQUIDATION, Origin.ADL)},
        "",
    )
    span = window(call, days=7)
    orders = call.view.orders(None if spec is None else spec.symbol)
    found = [order for order in orders if order.origin in kind and span.holds(order.created_ms)]
    return _rows(call, newest_or_first(found, call.params.limit(50, 100), span), force_order)


def _rows(call: Call, orders: list[Order], render: Callable[[InstrumentSpec, Order], dict[str, Any]]) -> Answer:
    return [render(call.world.instrument("binance", order.symbol), order) for order in orders]


def cancel(call: Call) -> Answer:
    """`DELETE order`."""
    spec = call.instrument()
    order = _named_order(call, spec)
    if order is None:
        raise unknown_order()
    return order_state(spec, call.world.cancel_order(call.owner.name, order.order_id))


def cancel_all(call: Call) -> Answer:
    """`DELETE allOpenOrders` of a symbol."""
    call.world.cancel_all(call.owner.name, call.instrument().symbol)
    return dict(_CANCELLED)


def amend(call: Call) -> Answer:
    """`PUT order`: both quantity and price; an amendment that cannot stand cancels the order."""
    params = call.params
    spec = call.instrument()
    side = checks.side(call)
    quantity = checks.quantity(spec, params.required_decimal("quantity"))
    price = checks.limit_price(call, spec, params.required_decimal("price"))
    checks.unsupported(call)
    order = _named_order(call, spec)
    if order is None or not order.is_open:
        raise no_such_order()
    if order.side is not side:
        raise ApiError(-1117, "Invalid side.")
    if (quantity, price) == (order.quantity, order.price):
        raise ApiError(-5027, "No need to modify the order.")
    name = call.owner.name
    last = call.world.price("binance", spec.symbol).last
    would_take = last <= price if side is Side.BUY else last >= price
    if 0 < order.filled_quantity >= quantity or (order.time_in_force is TimeInForce.POST_ONLY and would_take):
        after = call.world.cancel_order(name, order.order_id)
    else:
        after = call.world.amend_order(name, order.order_id, quantity=quantity, price=price)
    return amended_order(spec, after, params.integer("modifyId"))
