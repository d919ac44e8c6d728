"""Conditional orders: what is accepted, when they trigger, what they then become.

1. A trigger that is passed already is refused; nothing triggers at the price at which it was accepted.
2. A triggered order becomes one regular order, or is rejected when that is refused; it never triggers twice.
3. A trailing stop's trigger only ever moves towards the market; it is kept on the tick grid (rounded half up).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

from trueup.sim.world.account import Account
from trueup.sim.world.attached import price_by
from trueup.sim.world.endings import end_conditional, tell_conditional
from trueup.sim.world.ids import short_text
from trueup.sim.world.matching import (
    Parent,
    check_client_id,
    check_leg,
    check_price,
    check_quantity,
    check_trading,
    closable,
    place,
)
from trueup.sim.world.refusals import (
    BadTrigger,
    ClosePositionExists,
    ClosePositionWithoutPosition,
    InsufficientMargin,
    ReduceOnlyInHedgeMode,
    ReduceOnlyRefused,
    Refusal,
    TooManyConditionals,
    UnknownOrder,
    WouldTriggerImmediately,
)
from trueup.sim.world.requests import ConditionalRequest, OrderRequest
from trueup.sim.world.state import Key, State
from trueup.sim.world.types import (
    ConditionalKind,
    ConditionalOrder,
    ConditionalStatus,
    EndReason,
    InstrumentSpec,
    Leg,
    OrderType,
    Side,
    TimeInForce,
)

_HUNDRED = Decimal(100)
_MIN_CALLBACK_RATE = Decimal("0.1")
_MAX_CALLBACK_RATE = Decimal(10)


def place_conditional(state: State, account: Account, request: ConditionalRequest) -> ConditionalOrder:
    """Accepts a conditional order, or raises a Refusal."""
    spec = state.spec_of(account, request.symbol)
    check_trading(spec)
    check_leg(account, request.leg)
    _check_shape(spec, request)
    _check_closing(state, account, spec, request)
    check_client_id(state, account, request.client_order_id, conditional=True)
    _check_count(state, account, spec.symbol)
    order = _new(state, account, spec, request)
    _check_untriggered(state, spec, order)
    if order.kind is ConditionalKind.TRAILING_STOP and order.activation_price is None:
        peak = price_by(state.price((spec.venue, spec.symbol)), order.trigger_by)
        order = replace(order, activated=True, peak=peak, trigger_price=_trailed(spec, order, peak))
    tell_conditional(state, account, order)
    return order


def _check_shape(spec: InstrumentSpec, request: ConditionalRequest) -> None:
    """The values that the kind needs, each in its range."""
    if not request.close_position:
        check_quantity(spec, request.quantity, spec.max_quantity)
    if request.order_type is OrderType.LIMIT:
        check_price(spec, request.price)
    if request.kind is not ConditionalKind.TRAILING_STOP:
        if request.trigger_price is None:
            raise BadTrigger(f"a {request.kind} order needs a trigger price")
        check_price(spec, request.trigger_price, "trigger price")
        return
    rate, distance = request.callback_rate, request.callback_distance
    if (rate is None) is (distance is None):
        raise BadTrigger("a trailing stop needs a callback rate or a callback distance")
    if rate is not None and not _MIN_CALLBACK_RATE <= rate <= _MAX_CALLBACK_RATE:
        raise BadTrigger(f"callback rate {rate} is not within {_MIN_CALLBACK_RATE} and {_MAX_CALLBACK_RATE} percent")
    if distance is not None and distance <= 0:
        raise BadTrigger(f"callback distance {distance} must be positive")
    if request.activation_price is not None:
        check_price(spec, request.activation_price, "activation price")


def _check_closing(state: State, account: Account, spec: InstrumentSpec, request: ConditionalRequest) -> None:
    """The rules for orders that only reduce."""
    rules = state.rules(account)
    if request.reduce_only and request.leg is not Leg.NET and not rules.hedge_takes_reduce_only:
        raise ReduceOnlyInHedgeMode(f"{account.spec.name} is in hedge mode: no reduce-only flag")
    bound = request.close_position or request.time_in_force is TimeInForce.GTE_GTC
    held = closable(account, spec.symbol, request.leg, request.side)
    if bound and rules.close_position_needs_position and not held:
        raise ClosePositionWithoutPosition(f"{account.spec.name} holds nothing of {spec.symbol} to close")
    if request.reduce_only and rules.reduce_only_stop_needs_position and not held:
        raise ReduceOnlyRefused(f"{account.spec.name} holds nothing of {spec.symbol} to reduce")
    if request.close_position and rules.one_close_position_stop:
        for other in account.open_conditionals.values():
            same_slot = other.symbol == spec.symbol and other.leg is request.leg
            if same_slot and other.close_position and other.side is request.side and other.kind is request.kind:
                message = f"close-position {request.kind} {other.conditional_id} of {spec.symbol} is open already"
                raise ClosePositionExists(message)


def _check_count(state: State, account: Account, symbol: str) -> None:
    rules = state.rules(account)
    waiting = account.open_conditionals
    limit = rules.open_conditionals_limit
    if limit is not None and len(waiting) >= limit:
        raise TooManyConditionals(f"{len(waiting)} conditional orders are open", limit=limit)
    limit = rules.symbol_conditionals_limit
    if limit is not None and sum(order.symbol == symbol for order in waiting.values()) >= limit:
        raise TooManyConditionals(f"{limit} conditional orders of {symbol} are open", limit=limit)


def _new(state: State, account: Account, spec: InstrumentSpec, request: ConditionalRequest) -> ConditionalOrder:
    now_ms = state.now_ms()
    number = state.next_conditional_id(spec.venue)
    client_order_id = request.client_order_id
    if not client_order_id and state.rules(account).makes_client_ids:
        client_order_id = short_text(number)
    rising = request.rising
    if rising is None:
        rising = (request.kind is ConditionalKind.TAKE_PROFIT) is (request.side is Side.SELL)
    return ConditionalOrder(
        conditional_id=number,
        client_order_id=client_order_id,
        account=account.spec.name,
        symbol=spec.symbol,
        leg=request.leg,
        side=request.side,
        kind=request.kind,
        order_type=request.order_type,
        quantity=None if request.close_position else request.quantity,
        price=request.price if request.order_type is OrderType.LIMIT else None,
        trigger_price=None if request.kind is ConditionalKind.TRAILING_STOP else request.trigger_price,
        trigger_by=request.trigger_by,
        rising=rising,
        reduce_only=request.reduce_only,
        close_position=request.close_position,
        time_in_force=request.time_in_force,
        status=ConditionalStatus.NEW,
        created_ms=now_ms,
        updated_ms=now_ms,
        sequence=state.next_sequence(),
        last_price_on_created=state.price((spec.venue, spec.symbol)).last,
        activation_price=request.activation_price,
        callback_rate=request.callback_rate,
        callback_distance=request.callback_distance,
        price_protect=request.price_protect,
    )


def _check_untriggered(state: State, spec: InstrumentSpec, order: ConditionalOrder) -> None:
    price = price_by(state.price((spec.venue, spec.symbol)), order.trigger_by)
    if order.kind is ConditionalKind.TRAILING_STOP:
        activation = order.activation_price
        if activation is not None and _activates(order, price):
            raise WouldTriggerImmediately(f"activation price {activation} is passed already at {price}")
        return
    if _reached(order, price):
        word = "above" if order.rising else "below"
        raise WouldTriggerImmediately(f"trigger {order.trigger_price} must be {word} the price {price}")


def _reached(order: ConditionalOrder, price: Decimal) -> bool:
    if order.trigger_price is None:
        return False
    return price >= order.trigger_price if order.rising else price <= order.trigger_price


def _activates(order: ConditionalOrder, price: Decimal) -> bool:
    """A selling trailing stop becomes active when the price has risen to its activation, a buying one when fallen."""
    if order.activation_price is None:
        return True
    return price >= order.activation_price if order.side is Side.SELL else price <= order.activation_price


def _trailed(spec: InstrumentSpec, order: ConditionalOrder, peak: Decimal) -> Decimal:
    """The trigger that follows from a peak."""
    sign = -1 if order.side is Side.SELL else 1
    if order.callback_rate is not None:
        trigger = peak * (1 + sign * order.callback_rate / _HUNDRED)
    else:
        trigger = peak + sign * (order.callback_distance or 0)
    return (trigger / spec.price_tick).quantize(Decimal(1), rounding=ROUND_HALF_UP) * spec.price_tick


def watch(state: State, key: Key) -> None:
    """After a price change: moves trailing stops and triggers what the price has reached, oldest first."""
    price = state.price(key)
    spec = state.instruments[key]
    waiting = state.waiting[key]
    for conditional_id in sorted(waiting):
        account = waiting.get(conditional_id)
        if account is None:
            continue
        order = account.open_conditionals[conditional_id]
        seen = price_by(price, order.trigger_by)
        if order.kind is ConditionalKind.TRAILING_STOP:
            order = _follow(state, account, spec, order, seen)
            if order.activated and _reached(order, seen):
                trigger(state, account, order)
        elif _reached(order, seen):
            trigger(state, account, order)


def _follow(
    state: State, account: Account, spec: InstrumentSpec, order: ConditionalOrder, price: Decimal
) -> ConditionalOrder:
    """Activates a trailing stop and lets it follow a better price; kept, and told only when it becomes active."""
    if not order.activated:
        if not _activates(order, price):
            return order
        moved = replace(order, activated=True, peak=price, trigger_price=_trailed(spec, order, price))
    else:
        peak = order.peak if order.peak is not None else price
        better = price > peak if order.side is Side.SELL else price < peak
        if not better:
            return order
        moved = replace(order, peak=price, trigger_price=_trailed(spec, order, price))
    moved = replace(moved, updated_ms=state.now_ms(), sequence=state.next_sequence())
    if order.activated:
        state.save_conditional(account, moved)
    else:
        tell_conditional(state, account, moved, amended=True)
    return moved


def trigger(state: State, account: Account, order: ConditionalOrder) -> ConditionalOrder:
    """Turns a waiting conditional order into its regular order, or rejects it."""
    now_ms = state.now_ms()
    keeps_id = state.rules(account).child_keeps_id
    child_id = order.conditional_id if keeps_id else None
    triggered = replace(
        order,
        status=ConditionalStatus.TRIGGERED,
        triggered_ms=now_ms,
        child_order_id=child_id,
        updated_ms=now_ms,
        sequence=state.next_sequence(),
    )
    parent = Parent(
        order.conditional_id, order.kind, order.trigger_price, order.attached, order.client_order_id, keeps_id
    )
    if not keeps_id:
        child_id = state.peek_order_id(account.spec.venue)
        triggered = replace(triggered, child_order_id=child_id)
    tell_conditional(state, account, triggered)
    try:
        place(state, account, _child(account, order), parent)
    except Refusal as refusal:
        margin = isinstance(refusal, InsufficientMargin)
        reason = EndReason.INSUFFICIENT_MARGIN if margin else EndReason.REDUCE_ONLY
        if not isinstance(refusal, InsufficientMargin | ReduceOnlyRefused):
            reason = EndReason.CHILD_REFUSED
        return end_conditional(
            state, account, replace(triggered, child_order_id=None), reason, ConditionalStatus.REJECTED
        )
    return account.conditionals[order.conditional_id].latest


def _child(account: Account, order: ConditionalOrder) -> OrderRequest:
    """The regular order that a conditional one becomes; a reducing quantity is cut to what is open."""
    quantity = order.quantity
    if order.closes and quantity is not None:
        quantity = min(quantity, closable(account, order.symbol, order.leg, order.side)) or quantity
    return OrderRequest(
        symbol=order.symbol,
        side=order.side,
        type=order.order_type,
        quantity=quantity,
        price=order.price,
        leg=order.leg,
        time_in_force=TimeInForce.GTC if order.time_in_force is TimeInForce.GTE_GTC else order.time_in_force,
        reduce_only=order.reduce_only,
        close_position=order.close_position,
    )


def waiting_order(account: Account, conditional_id: int) -> ConditionalOrder:
    """A conditional order that still waits; raises UnknownOrder."""
    order = account.open_conditionals.get(conditional_id)
    if order is None:
        raise UnknownOrder(f"{account.spec.name} has no waiting conditional order {conditional_id}")
    return order


def amend_conditional(
    state: State, account: Account, conditional_id: int, changes: dict[str, Decimal | None]
) -> ConditionalOrder:
    """Changes quantity, trigger price or limit price of a waiting conditional order."""
    order = waiting_order(account, conditional_id)
    spec = state.spec_of(account, order.symbol)
    quantity, trigger_price, price = (changes.get(name) for name in ("quantity", "trigger_price", "price"))
    if quantity is not None:
        check_quantity(spec, quantity, spec.max_quantity)
        order = replace(order, quantity=quantity)
    if trigger_price is not None:
        check_price(spec, trigger_price, "trigger price")
        order = replace(order, trigger_price=trigger_price)
        _check_untriggered(state, spec, order)
    if price is not None:
        check_price(spec, price)
        order = replace(order, price=price)
    order = replace(order, updated_ms=state.now_ms(), sequence=state.next_sequence())
    tell_conditional(state, account, order, amended=True)
    return order
