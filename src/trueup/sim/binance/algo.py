"""The Algo Service: conditional orders.

1. An algo order is one list's matter until it triggers: NEW, then TRIGGERED with `actualOrderId`, FINISHED when that
   order is final; or CANCELED, EXPIRED (it ended with the position), REJECTED (the order was refused).
2. Close-position orders carry no quantity and need a position; reduce-only ones are taken while flat, and stay behind.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from trueup.sim.binance import checks
from trueup.sim.binance.call import Answer, Call
from trueup.sim.binance.errors import (
    ApiError,
    missing,
    no_such_order,
    not_required,
    not_valid,
    one_of_missing,
    unknown_order,
)
from trueup.sim.binance.names import ALGO_TIMES_IN_FORCE, ALGO_TYPES, WORKING_TYPES
from trueup.sim.binance.render_orders import listed_algo_order, new_algo_order, queried_algo_order
from trueup.sim.binance.windows import newest_or_first, window
from trueup.sim.world.requests import ConditionalRequest
from trueup.sim.world.types import (
    ConditionalKind,
    ConditionalOrder,
    ConditionalStatus,
    InstrumentSpec,
    Order,
    OrderType,
    TimeInForce,
    TriggerBy,
)

_UNFILLED_SHOWN_MS = 3 * 86_400_000
_SHOWN_MS = 90 * 86_400_000
_MIN_CALLBACK = Decimal("0.1")
_MAX_CALLBACK = Decimal(10)
_UNFILLED = (ConditionalStatus.CANCELED, ConditionalStatus.EXPIRED, ConditionalStatus.REJECTED)


def place(call: Call) -> Answer:
    """`POST algoOrder`."""
    request = read_algo_order(call)
    checks.response_type(call)
    order = call.world.place_conditional(call.owner.name, request)
    return new_algo_order(call.world.instrument("binance", order.symbol), order)


def read_algo_order(call: Call) -> ConditionalRequest:
    """The conditional order that the parameters describe."""
    params = call.params
    if params.required("algoType") != "CONDITIONAL":
        raise not_valid("algoType")
    spec = call.instrument()
    side = checks.side(call)
    kind, order_type = params.choice("type", ALGO_TYPES, None, ApiError(-1116, "Invalid orderType."))
    leg = checks.position_side(call)
    checks.unsupported(call)
    close_position = _close_position(call, kind, order_type)
    reduce_only = checks.reduce_only(call)
    quantity = None
    if not close_position:
        quantity = checks.quantity(spec, params.required_decimal("quantity"))
    trailing = kind is ConditionalKind.TRAILING_STOP
    return ConditionalRequest(
        symbol=spec.symbol,
        side=side,
        kind=kind,
        order_type=order_type,
        quantity=quantity,
        trigger_price=_trigger_price(call, spec, trailing=trailing),
        price=_limit_price(call, spec, order_type),
        leg=leg,
        trigger_by=_working_type(call),
        reduce_only=reduce_only,
        close_position=close_position,
        time_in_force=_time_in_force(call, close_position=close_position),
        activation_price=_activation_price(call, spec, trailing=trailing),
        callback_rate=_callback_rate(call, trailing=trailing),
        price_protect=bool(params.flag("priceProtect")),
        client_order_id=params.client_id("clientAlgoId"),
    )


def _close_position(call: Call, kind: ConditionalKind, order_type: OrderType) -> bool:
    if not call.params.flag("closePosition"):
        return False
    if order_type is OrderType.LIMIT or kind is ConditionalKind.TRAILING_STOP:
        name = call.params.required("type")
        raise ApiError(-4136, f"Target strategy invalid for orderType {name},closePosition true")
    if call.params.decimal("quantity"):
        raise ApiError(-4137, "Quantity must be zero with closePosition equals true.")
    if call.params.sent("reduceOnly"):
        raise not_required("reduceonly")
    return True


def _trigger_price(call: Call, spec: InstrumentSpec, *, trailing: bool) -> Decimal | None:
    value = call.params.decimal("triggerPrice")
    if trailing:
        if value is not None:
            raise ApiError(-2021, "Order would immediately trigger.")
        return None
    if value is None:
        raise missing("triggerPrice")
    if value <= 0:
        raise ApiError(-4006, "Stop price less than zero.")
    return checks.trigger_price(call, spec, value)


def _limit_price(call: Call, spec: InstrumentSpec, order_type: OrderType) -> Decimal | None:
    value = call.params.decimal("price")
    if order_type is OrderType.LIMIT:
        if value is None:
            raise missing("price")
        return checks.price(spec, value)
    if value:
        raise not_required("price")
    return None


def _working_type(call: Call) -> TriggerBy:
    sent = call.params.text("workingType")
    error = ApiError(-4031, f"Invalid parameter working type: {sent}")
    return call.params.choice("workingType", WORKING_TYPES, "CONTRACT_PRICE", error)


def _time_in_force(call: Call, *, close_position: bool) -> TimeInForce:
    error = ApiError(-1115, "Invalid timeInForce.")
    found = call.params.choice("timeInForce", ALGO_TIMES_IN_FORCE, "GTC", error)
    return TimeInForce.GTE_GTC if close_position else found


def _activation_price(call: Call, spec: InstrumentSpec, *, trailing: bool) -> Decimal | None:
    value = call.params.decimal("activatePrice")
    if value is None:
        return None
    if not trailing:
        raise not_required("activatePrice")
    return checks.price(spec, value)


def _callback_rate(call: Call, *, trailing: bool) -> Decimal | None:
    value = call.params.decimal("callbackRate")
    if not trailing:
        if value is not None:
            raise not_required("callbackRate")
        return None
    if value is None:
        raise missing("callbackRate")
    if not _MIN_CALLBACK <= value <= _MAX_CALLBACK:
        raise ApiError(-2007, "Invalid callBack rate.")
    return value


def _named(call: Call) -> ConditionalOrder | None:
    """The order that `algoId` or else `clientAlgoId` names."""
    number = call.params.integer("algoId")
    client_id = call.params.client_id("clientAlgoId")
    if number is None and not client_id:
        raise one_of_missing("algoId", "clientAlgoId")
    view = call.view
    order = view.conditional_by_client_id(client_id) if number is None else view.conditional(number)
    return order if order is not None and is_shown(order, call.now_ms) else None


def is_shown(order: ConditionalOrder, now_ms: int) -> bool:
    """Whether the venue still knows the order."""
    age_ms = now_ms - order.created_ms
    if order.is_open:
        return True
    return age_ms <= _SHOWN_MS and not (order.status in _UNFILLED and age_ms > _UNFILLED_SHOWN_MS)


def _rows(
    call: Call,
    orders: list[ConditionalOrder],
    render: Callable[[InstrumentSpec, ConditionalOrder, Order | None], dict[str, Any]] = listed_algo_order,
) -> list[dict[str, Any]]:
    view = call.view
    rows = []
    for order in orders:
        child = None if order.child_order_id is None else view.order(order.child_order_id)
        rows.append(render(call.world.instrument("binance", order.symbol), order, child))
    return rows


def query(call: Call) -> Answer:
    """`GET algoOrder`."""
    order = _named(call)
    if order is None:
        raise no_such_order()
    return _rows(call, [order], queried_algo_order)[0]


def cancel(call: Call) -> Answer:
    """`DELETE algoOrder`."""
    order = _named(call)
    if order is None:
        raise unknown_order()
    order = call.world.cancel_conditional(call.owner.name, order.conditional_id)
    return {
        "algoId": order.conditional_id,
        "clientAlgoId": order.client_order_id,
        "code": "200",
        "msg": "success",
    }


def cancel_all(call: Call) -> Answer:
    """`DELETE algoOpenOrders` of a symbol."""
    call.world.cancel_all_conditionals(call.owner.name, call.instrument().symbol)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def open_orders(call: Call) -> Answer:
    """`GET openAlgoOrders`."""
    if call.params.text("algoType") not in (None, "CONDITIONAL"):
        raise not_valid("algoType")
    spec = call.find_instrument()
    number = call.params.integer("algoId")
    orders = call.view.open_conditionals(None if spec is None else spec.symbol)
    return _rows(call, [order for order in orders if number in (None, order.conditional_id)])


def all_orders(call: Call) -> Answer:
    """`GET allAlgoOrders`: ids from `algoId` on, else a window of at most seven days, by default the last ones."""
    spec = call.instrument()
    first_id = call.params.integer("algoId")
    limit = call.params.limit(500, 1000)
    shown = [order for order in call.view.conditionals(spec.symbol) if is_shown(order, call.now_ms)]
    if first_id is not None:
        return _rows(call, [order for order in shown if order.conditional_id >= first_id][:limit])
    span = window(call, days=7)
    found = [order for order in shown if span.holds(order.created_ms)]
    return _rows(call, newest_or_first(found, limit, span))
