"""Placing, amending and cancelling orders.

1. An order with a trigger price becomes a conditional order; what triggers keeps its id.
2. A cancel or amend finds an order in whichever list it is; one that is in neither is 110001.
3. `closeOnTrigger` makes an order reduce only; quantity 0 with it and `reduceOnly` closes the whole position.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from trueup.sim.bybit import names
from trueup.sim.bybit.call import Call, Result, Scope
from trueup.sim.bybit.errors import (
    ORDER_GONE_AMEND,
    ORDER_GONE_CANCEL,
    ApiError,
    bad_parameter,
    order_gone,
    refused,
    triggers_at_once,
)
from trueup.sim.bybit.params import Params, invalid
from trueup.sim.bybit.positions import slot_leg
from trueup.sim.bybit.render_orders import current_price
from trueup.sim.bybit.render_positions import max_price
from trueup.sim.bybit.text import engine_price
from trueup.sim.bybit.trading_stop import stops_of
from trueup.sim.world import AccountView, ConditionalRequest, OrderRequest
from trueup.sim.world.ids import uuid_number, uuid_text
from trueup.sim.world.refusals import Refusal, UnknownOrder, WouldTriggerImmediately
from trueup.sim.world.types import (
    ZERO,
    AttachedStops,
    AttachMode,
    ConditionalKind,
    ConditionalOrder,
    InstrumentSpec,
    Leg,
    Order,
    OrderType,
    Side,
    TimeInForce,
    TriggerBy,
)

SYMBOL_INVALID = "params error: symbol invalid"
_MAX_LINK_ID = 36
_LINK_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_MAX_CANCELLED = 500
AnyOrder: TypeAlias = Order | ConditionalOrder


@dataclass(frozen=True, slots=True)
class _Ticket:
    """The parameters of an order, read."""

    spec: InstrumentSpec
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    leg: Leg
    time_in_force: TimeInForce
    reduce_only: bool
    close_on_trigger: bool
    link_id: str
    attach: AttachedStops | None


def create(call: Call) -> Result:
    """POST /v5/order/create."""
    spec = call.instrument(call.trading_category(), SYMBOL_INVALID)
    view = call.view()
    ticket = _ticket(call, spec, view)
    conditional = call.params.decimal("triggerPrice")
    try:
        if conditional:
            order_id = _place_conditional(call, view, ticket, conditional)
        else:
            order_id = call.world.place_order(call.owner.name, _order_request(ticket)).order_id
    except Refusal as refusal:
        raise refused(refusal) from None
    if ticket.close_on_trigger:
        call.memory.note_close_on_trigger(order_id)
    return {"orderId": uuid_text(order_id), "orderLinkId": ticket.link_id}


def _ticket(call: Call, spec: InstrumentSpec, view: AccountView) -> _Ticket:
    params = call.params
    side = params.choice("side", names.SIDES)
    kind = params.choice("orderType", names.ORDER_TYPES)
    quantity = params.decimal("qty")
    if side is None or kind is None or quantity is None:
        missing = "side" if side is None else "orderType" if kind is None else "qty"
        raise invalid(missing)
    reduce_only, on_trigger = params.flag("reduceOnly"), params.flag("closeOnTrigger")
    if not quantity and not (reduce_only and on_trigger):
        raise bad_parameter("The number of contracts exceeds minimum limit allowed")
    link_id = params.text("orderLinkId")
    if len(link_id) > _MAX_LINK_ID or not _LINK_CHARACTERS.issuperset(link_id):
        raise invalid("orderLinkId")
    return _Ticket(
        spec=spec,
        side=side,
        type=kind,
        quantity=quantity,
        price=_limit_price(params, spec, kind),
        leg=slot_leg(call, view.mode),
        time_in_force=params.choice("timeInForce", names.TIMES_IN_FORCE) or TimeInForce.GTC,
        reduce_only=reduce_only or on_trigger,
        close_on_trigger=on_trigger,
        link_id=link_id,
        attach=_attached(params, quantity),
    )


def _limit_price(params: Params, spec: InstrumentSpec, kind: OrderType) -> Decimal | None:
    """The price of a limit order; a market order ignores it."""
    if kind is OrderType.MARKET:
        return None
    price = params.decimal("price")
    if not price:
        raise invalid("price")
    if not spec.price_tick <= price <= max_price(spec):
        raise ApiError(110003, "Order price is out of permissible range.")
    return price


def _attached(params: Params, quantity: Decimal) -> AttachedStops | None:
    """The stops that the order brings to its position; partial ones are for what it fills."""
    if not params.decimal("stopLoss") and not params.decimal("takeProfit"):
        return None
    stops = stops_of(params)
    stops = replace(
        stops,
        stop_loss=stops.stop_loss or None,
        take_profit=stops.take_profit or None,
        trailing_distance=None,
        activation_price=None,
    )
    if stops.mode is AttachMode.PARTIAL:
        return replace(stops, stop_loss_quantity=quantity, take_profit_quantity=quantity)
    return stops


def _order_request(ticket: _Ticket) -> OrderRequest:
    if ticket.reduce_only and ticket.attach is not None:
        raise bad_parameter("When reduceOnly is true, take profit/stop loss cannot be set")
    return OrderRequest(
        symbol=ticket.spec.symbol,
        side=ticket.side,
        type=ticket.type,
        quantity=ticket.quantity,
        price=ticket.price,
        leg=ticket.leg,
        time_in_force=ticket.time_in_force,
        reduce_only=ticket.reduce_only,
        client_order_id=ticket.link_id,
        attach=ticket.attach,
    )


def _place_conditional(call: Call, view: AccountView, ticket: _Ticket, trigger_price: Decimal) -> int:
    """Places a conditional order; its direction says whether it waits above or below the market."""
    direction = call.params.choice("triggerDirection", {"1": True, "2": False})
    if direction is None:
        raise invalid("triggerDirection")
    if ticket.attach is not None:
        raise bad_parameter("conditional orders with takeProfit or stopLoss are not supported here")
    by = call.params.choice("triggerBy", names.TRIGGERS) or TriggerBy.LAST
    profit = direction is (ticket.side is Side.SELL)
    whole = ticket.quantity == ZERO
    request = ConditionalRequest(
        symbol=ticket.spec.symbol,
        side=ticket.side,
        kind=ConditionalKind.TAKE_PROFIT if profit else ConditionalKind.STOP,
        order_type=ticket.type,
        quantity=None if whole else ticket.quantity,
        trigger_price=trigger_price,
        price=ticket.price,
        leg=ticket.leg,
        trigger_by=by,
        rising=direction,
        reduce_only=ticket.reduce_only,
        close_position=whole,
        time_in_force=ticket.time_in_force,
        client_order_id=ticket.link_id,
    )
    try:
        return call.world.place_conditional(call.owner.name, request).conditional_id
    except WouldTriggerImmediately:
        current = engine_price(current_price(view, ticket.spec.symbol, by))
        raise triggers_at_once(direction, engine_price(trigger_price), current, by) from None


def find(call: Call, view: AccountView, spec: InstrumentSpec, gone: str) -> AnyOrder:
    """The open order that orderId (first) or orderLinkId names, of either list; raises 110001."""
    text, link_id = call.params.text("orderId"), call.params.text("orderLinkId")
    if not text and not link_id:
        raise bad_parameter("params error: OrderId or orderLinkId is required")
    order: AnyOrder | None
    if text:
        number = uuid_number(text)
        if number is None:
            raise order_gone(gone)
        order = _open_of(view.order(number), view.conditional(number))
    else:
        order = _open_of(view.order_by_client_id(link_id), view.conditional_by_client_id(link_id))
    if order is None or order.symbol != spec.symbol:
        raise order_gone(gone)
    return order


def _open_of(order: Order | None, conditional: ConditionalOrder | None) -> AnyOrder | None:
    """Whichever of the two is open; a triggered conditional order lives on as the regular one."""
    if order is not None and order.is_open:
        return order
    return conditional if conditional is not None and conditional.is_open else None


def number_of(order: AnyOrder) -> int:
    """The number behind orderId."""
    return order.order_id if isinstance(order, Order) else order.conditional_id


def _named(order: AnyOrder) -> dict[str, object]:
    return {"orderId": uuid_text(number_of(order)), "orderLinkId": order.client_order_id}


def cancel(call: Call) -> Result:
    """POST /v5/order/cancel."""
    spec = call.instrument(call.trading_category(), SYMBOL_INVALID)
    order = find(call, call.view(), spec, ORDER_GONE_CANCEL)
    _cancel(call, order)
    return _named(order)


def _cancel(call: Call, order: AnyOrder) -> None:
    try:
        if isinstance(order, Order):
            call.world.cancel_order(call.owner.name, order.order_id)
        else:
            call.world.cancel_conditional(call.owner.name, order.conditional_id)
    except UnknownOrder:
        raise order_gone() from None


def cancel_all(call: Call) -> Result:
    """POST /v5/order/cancel-all: by symbol, else baseCoin, else settleCoin."""
    category = call.trading_category()
    params = call.params
    if params.has("symbol"):
        scope = Scope(category, call.instrument(category, SYMBOL_INVALID).symbol, None, None)
    elif params.has("baseCoin"):
        scope = Scope(category, None, None, params.text("baseCoin"))
    elif params.has("settleCoin"):
        scope = Scope(category, None, params.text("settleCoin"), None)
    else:
        raise bad_parameter("Missing some parameters that must be filled in, symbol or baseCoin or settleCoin")
    wanted = params.choice("orderFilter", _FILTERS)
    plain_only = params.text("stopOrderType") == "Stop"
    view = call.view()
    chosen: list[AnyOrder] = []
    if wanted in (None, "Order"):
        chosen += [order for order in view.open_orders(scope.symbol) if scope.holds(view.instrument(order.symbol))]
    if wanted in (None, "StopOrder"):
        chosen += [
            order
            for order in view.open_conditionals(scope.symbol)
            if scope.holds(view.instrument(order.symbol)) and not (plain_only and order.attached is not None)
        ]
    chosen = chosen[:_MAX_CANCELLED]
    for order in chosen:
        _cancel(call, order)
    return {"list": [_named(order) for order in chosen], "success": "1"}


_FILTERS = {"Order": "Order", "OpenOrder": "Order", "StopOrder": "StopOrder", "tpslOrder": "StopOrder"}


def amend(call: Call) -> Result:
    """POST /v5/order/amend: quantity, price and trigger price of an open order."""
    spec = call.instrument(call.trading_category(), SYMBOL_INVALID)
    order = find(call, call.view(), spec, ORDER_GONE_AMEND)
    params = call.params
    for name in ("takeProfit", "stopLoss", "tpLimitPrice", "slLimitPrice"):
        if params.decimal(name) is not None:
            raise bad_parameter(f"amending {name} of an order is not supported here")
    quantity, price, trigger = params.decimal("qty"), params.decimal("price"), params.decimal("triggerPrice")
    if price is not None and not spec.price_tick <= price <= max_price(spec):
        raise ApiError(110003, "Order price is out of permissible range.")
    changes = _changes(order, quantity, price, trigger)
    if not changes:
        raise bad_parameter("The order remains unchanged as the parameters entered match the existing ones.")
    try:
        if isinstance(order, Order):
            _amend_order(call, order, changes)
        else:
            _amend_conditional(call, order, changes)
    except UnknownOrder:
        raise order_gone(ORDER_GONE_AMEND) from None
    except Refusal as refusal:
        raise refused(refusal) from None
    return _named(order)


def _changes(
    order: AnyOrder, quantity: Decimal | None, price: Decimal | None, trigger: Decimal | None
) -> dict[str, Decimal]:
    """What differs from the order as it stands."""
    changes = {}
    if quantity is not None and quantity != order.quantity:
        changes["quantity"] = quantity
    if price and price != order.price:
        changes["price"] = price
    if trigger and trigger != order.trigger_price:
        changes["trigger_price"] = trigger
    return changes


def _amend_order(call: Call, order: Order, changes: dict[str, Decimal]) -> None:
    quantity = changes.get("quantity")
    if "trigger_price" in changes:
        raise invalid("triggerPrice")
    if quantity is not None and quantity <= order.filled_quantity:
        raise ApiError(110064, "The modified contract quantity cannot be less than or equal to the filled quantity.")
    call.world.amend_order(call.owner.name, order.order_id, quantity=quantity, price=changes.get("price"))


def _amend_conditional(call: Call, order: ConditionalOrder, changes: dict[str, Decimal]) -> None:
    try:
        call.world.amend_conditional(
            call.owner.name,
            order.conditional_id,
            quantity=changes.get("quantity"),
            trigger_price=changes.get("trigger_price"),
            price=changes.get("price"),
        )
    except WouldTriggerImmediately:
        current = engine_price(current_price(call.view(), order.symbol, order.trigger_by))
        trigger = engine_price(changes.get("trigger_price", ZERO))
        raise triggers_at_once(order.rising, trigger, current, order.trigger_by) from None
