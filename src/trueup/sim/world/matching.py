"""Regular orders: what is accepted, how it fills, how it ends.

1. What is refused changes nothing; what is accepted has its id and is told before its first fill.
2. An order that only reduces fills at most what is open, at every fill anew; the rest expires.
3. A market order walks the levels from the last price on, a tick apart, each holding the instrument's depth (all, when
   no depth is set); a limit order takes what its price reaches and rests with what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from trueup.sim.world.account import Account
from trueup.sim.world.attached import check_attached, set_attached
from trueup.sim.world.endings import end_order, exit_side, finish_parent, only_reduces, sweep_slot, tell_order
from trueup.sim.world.ids import short_text
from trueup.sim.world.margin import available
from trueup.sim.world.money import Execution, execute, rounded, value_of
from trueup.sim.world.refusals import (
    DuplicateClientId,
    FillOrKillRefused,
    InstrumentClosed,
    InsufficientMargin,
    MinNotional,
    PositionSideMismatch,
    PostOnlyRefused,
    PriceFilter,
    QuantityFilter,
    ReduceOnlyInHedgeMode,
    ReduceOnlyRefused,
    Refusal,
    TooManyOrders,
    UnknownOrder,
)
from trueup.sim.world.requests import OrderRequest
from trueup.sim.world.state import State
from trueup.sim.world.types import (
    ZERO,
    AttachMode,
    ConditionalKind,
    EndReason,
    InstrumentSpec,
    InstrumentStatus,
    Leg,
    Order,
    OrderStatus,
    OrderType,
    Origin,
    PositionMode,
    Side,
    TimeInForce,
)

_MAX_LEVELS = 1_000


@dataclass(frozen=True, slots=True)
class Parent:
    """The triggered conditional order behind a child."""

    conditional_id: int
    kind: ConditionalKind
    trigger_price: Decimal | None
    attached: AttachMode | None
    client_order_id: str
    keeps_id: bool


def check_leg(account: Account, leg: Leg) -> None:
    """The slot that an order names must exist in the account's mode."""
    hedge = account.mode.latest is PositionMode.HEDGE
    if hedge is (leg is Leg.NET):
        mode = account.mode.latest
        raise PositionSideMismatch(f"{account.spec.name} is in {mode} mode, the order names the {leg} side")


def check_trading(spec: InstrumentSpec) -> None:
    if spec.status is not InstrumentStatus.TRADING:
        raise InstrumentClosed(f"{spec.symbol} of {spec.venue} is {spec.status}")


def check_price(spec: InstrumentSpec, price: Decimal | None, what: str = "price") -> Decimal:
    """A positive price on the tick grid."""
    if price is None or price <= 0 or price % spec.price_tick:
        raise PriceFilter(f"{what} {price} of {spec.symbol} must be positive and a multiple of {spec.price_tick}")
    return price


def check_quantity(spec: InstrumentSpec, quantity: Decimal | None, maximum: Decimal) -> Decimal:
    """A quantity on the step grid and within the limits."""
    if quantity is None or quantity <= 0:
        raise QuantityFilter(f"{spec.symbol}: quantity {quantity}", limit="missing", bound=spec.min_quantity)
    if quantity % spec.quantity_step:
        message = f"{spec.symbol}: quantity {quantity} is no multiple of {spec.quantity_step}"
        raise QuantityFilter(message, limit="step", bound=spec.quantity_step)
    if quantity < spec.min_quantity:
        message = f"{spec.symbol}: quantity {quantity} is below {spec.min_quantity}"
        raise QuantityFilter(message, limit="min", bound=spec.min_quantity)
    if quantity > maximum:
        raise QuantityFilter(f"{spec.symbol}: quantity {quantity} is above {maximum}", limit="max", bound=maximum)
    return quantity


def check_client_id(state: State, account: Account, client_order_id: str, *, conditional: bool) -> None:
    """Binance: unique among the open orders of one list; Bybit: for ever, over both."""
    if not client_order_id:
        return
    if state.rules(account).client_ids_unique_for_ever:
        taken = client_order_id in account.order_client_ids or client_order_id in account.conditional_client_ids
    elif conditional:
        ids = account.conditional_client_ids.get(client_order_id, ())
        taken = any(number in account.open_conditionals for number in ids)
    else:
        taken = any(number in account.open_orders for number in account.order_client_ids.get(client_order_id, ()))
    if taken:
        raise DuplicateClientId(f"client order id {client_order_id!r} is taken")


def place(state: State, account: Account, request: OrderRequest, parent: Parent | None = None) -> Order:
    """Accepts an order and matches it; `parent` marks the child of a conditional order."""
    spec = state.spec_of(account, request.symbol)
    check_trading(spec)
    check_leg(account, request.leg)
    quantity = _wanted(state, account, spec, request)
    _check_limits(state, account, spec, request, quantity)
    if parent is None:
        check_client_id(state, account, request.client_order_id, conditional=False)
        if len(account.open_orders) >= state.rules(account).open_orders_limit:
            raise TooManyOrders(f"{account.spec.name} has {len(account.open_orders)} open orders")
    _check_margin(state, account, spec, request, quantity)
    if request.attach is not None and not request.reduce_only:
        check_attached(state, account, spec.symbol, request.side, request.attach)
    crossing = _crosses(request.side, request.price, state.price((spec.venue, spec.symbol)).last)
    doomed = _doomed(state, spec, request, quantity, crossing)
    if doomed is not None and not state.rules(account).bad_time_in_force_cancels:
        raise doomed
    order = _new_order(state, account, spec, request, quantity, parent)
    tell_order(state, account, order)
    if doomed is not None:
        killed = isinstance(doomed, FillOrKillRefused)
        reason = EndReason.IMMEDIATE_OR_CANCEL if killed else EndReason.POST_ONLY
        return end_order(state, account, order, reason)
    return match(state, account, order) if state.matching else order


def _wanted(state: State, account: Account, spec: InstrumentSpec, request: OrderRequest) -> Decimal:
    """The quantity that the order is for, after the rules for orders that only reduce."""
    rules = state.rules(account)
    if request.reduce_only and request.leg is not Leg.NET and not rules.hedge_takes_reduce_only:
        raise ReduceOnlyInHedgeMode(f"{account.spec.name} is in hedge mode: no reduce-only flag")
    reduces = request.reduce_only or request.close_position or request.side is exit_side(request.leg)
    maximum = spec.max_market_quantity if request.type is OrderType.MARKET else spec.max_quantity
    if not reduces:
        return check_quantity(spec, request.quantity, maximum)
    open_quantity = closable(account, spec.symbol, request.leg, request.side)
    if not open_quantity:
        raise ReduceOnlyRefused(f"{account.spec.name}: nothing of {spec.symbol} to reduce by a {request.side} order")
    if request.close_position or request.quantity == 0:
        return open_quantity
    quantity = check_quantity(spec, request.quantity, maximum)
    if quantity <= open_quantity:
        return quantity
    if rules.shrinks_reduce_only:
        return open_quantity
    if request.leg is not Leg.NET:
        raise ReduceOnlyRefused(f"{account.spec.name}: {quantity} of {spec.symbol} to close, {open_quantity} is open")
    return quantity


def closable(account: Account, symbol: str, leg: Leg, side: Side) -> Decimal:
    """How much of the slot an order of that side can close."""
    position = account.position(symbol, leg)
    if position is None or position.side is not side.opposite:
        return ZERO
    return abs(position.quantity)


def _check_limits(
    state: State, account: Account, spec: InstrumentSpec, request: OrderRequest, quantity: Decimal
) -> None:
    price = state.price((spec.venue, spec.symbol)).last
    if request.type is OrderType.LIMIT:
        price = check_price(spec, request.price)
    if spec.min_notional is None or request.reduce_only or request.close_position:
        return
    if closable(account, spec.symbol, request.leg, request.side) >= quantity:
        return
    if quantity * price < spec.min_notional:
        raise MinNotional(
            f"{spec.symbol}: {quantity} × {price} is below {spec.min_notional}", minimum=spec.min_notional
        )


def _check_margin(
    state: State, account: Account, spec: InstrumentSpec, request: OrderRequest, quantity: Decimal
) -> None:
    """What would open must be backed by what is available."""
    if request.reduce_only or request.close_position or request.side is exit_side(request.leg):
        return
    opening = quantity - min(quantity, closable(account, spec.symbol, request.leg, request.side))
    if not opening:
        return
    price = request.price if request.price is not None else state.price((spec.venue, spec.symbol)).last
    value = value_of(spec, opening, price)
    needed = rounded(value / state.settings(account, spec.symbol).leverage) + rounded(value * account.spec.taker_rate)
    free = available(state, account, spec.settle)
    if needed > free:
        raise InsufficientMargin(f"{account.spec.name}: {needed} {spec.settle} needed, {free} available")


def _crosses(side: Side, price: Decimal | None, last: Decimal) -> bool:
    """Whether an order meets the market at once."""
    if price is None:
        return True
    return last <= price if side is Side.BUY else last >= price


def _doomed(
    state: State, spec: InstrumentSpec, request: OrderRequest, quantity: Decimal, crossing: bool
) -> Refusal | None:
    """What the time in force forbids."""
    if request.time_in_force is TimeInForce.POST_ONLY and crossing:
        return PostOnlyRefused(f"a post-only {request.side} at {request.price} would take")
    if request.time_in_force is TimeInForce.FOK:
        depth = state.depths.get((spec.venue, spec.symbol))
        if not crossing or (depth is not None and depth < quantity):
            return FillOrKillRefused(f"{quantity} {spec.symbol} cannot fill at once")
    return None


def _new_order(
    state: State,
    account: Account,
    spec: InstrumentSpec,
    request: OrderRequest,
    quantity: Decimal,
    parent: Parent | None,
) -> Order:
    now_ms = state.now_ms()
    keeps_id = parent is not None and parent.keeps_id
    order_id = parent.conditional_id if parent is not None and keeps_id else state.next_order_id(spec.venue)
    client_order_id = request.client_order_id
    if parent is not None:
        client_order_id = parent.client_order_id
    elif not client_order_id and state.rules(account).makes_client_ids:
        client_order_id = short_text(order_id)
    return Order(
        order_id=order_id,
        client_order_id=client_order_id,
        account=account.spec.name,
        symbol=spec.symbol,
        leg=request.leg,
        side=request.side,
        type=request.type,
        quantity=quantity,
        price=request.price if request.type is OrderType.LIMIT else None,
        time_in_force=request.time_in_force,
        reduce_only=request.reduce_only,
        close_position=request.close_position,
        status=OrderStatus.NEW,
        created_ms=now_ms,
        updated_ms=now_ms,
        sequence=state.next_sequence(),
        last_price_on_created=state.price((spec.venue, spec.symbol)).last,
        origin=Origin.USER if parent is None else Origin.CONDITIONAL,
        parent_id=None if parent is None else parent.conditional_id,
        parent_kind=None if parent is None else parent.kind,
        trigger_price=None if parent is None else parent.trigger_price,
        attached=None if parent is None else parent.attached,
        attach=request.attach,
    )


def match(state: State, account: Account, order: Order) -> Order:
    """Takes from the market what the order reaches; then lets the rest rest, or ends it."""
    spec = state.spec_of(account, order.symbol)
    depth = state.depths.get((spec.venue, spec.symbol))
    level = state.price((spec.venue, spec.symbol)).last
    step = spec.price_tick * order.side.sign
    for _ in range(_MAX_LEVELS):
        if not order.is_open or level <= 0 or not _crosses(order.side, order.price, level):
            break
        quantity = fillable(account, order)
        if not quantity:
            break
        part = quantity if depth is None else min(quantity, depth)
        order = fill(state, account, order, Execution(part, level))
        level += step
    if not order.is_open:
        return order
    if only_reduces(order) and not fillable(account, order):
        return end_order(state, account, order, EndReason.REDUCE_ONLY)
    if order.type is OrderType.MARKET or order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        return end_order(state, account, order, EndReason.IMMEDIATE_OR_CANCEL)
    return order


def fillable(account: Account, order: Order) -> Decimal:
    """What is left of the order, cut to the open position when the order only reduces."""
    if not only_reduces(order):
        return order.remaining
    return min(order.remaining, closable(account, order.symbol, order.leg, order.side))


def fill(state: State, account: Account, order: Order, execution: Execution) -> Order:
    """One fill with all that follows: attached stops, the end of its conditional order, what ends with the position."""
    before = account.position(order.symbol, order.leg)
    order, after = execute(state, account, order, execution)
    finish_parent(state, account, order)
    sweep_slot(state, account, before, after)
    if order.attach is not None and after.side is order.side:
        try:
            set_attached(state, account, after, order.attach)
        except Refusal:
            # The market moved past the stop since the order was accepted, or an earlier part set it: the fill stands.
            return account.orders[order.order_id].latest
    return account.orders[order.order_id].latest


def open_order(account: Account, order_id: int) -> Order:
    """An open regular order; raises UnknownOrder."""
    order = account.open_orders.get(order_id)
    if order is None:
        raise UnknownOrder(f"{account.spec.name} has no open order {order_id}")
    return order


def amend(state: State, account: Account, order_id: int, quantity: Decimal | None, price: Decimal | None) -> Order:
    """Changes an open order and matches it anew."""
    order = open_order(account, order_id)
    spec = state.spec_of(account, order.symbol)
    if price is not None:
        check_price(spec, price)
    if quantity is not None:
        check_quantity(spec, quantity, spec.max_quantity)
        if quantity <= order.filled_quantity:
            message = f"order {order_id}: {quantity} is not above the {order.filled_quantity} that is filled"
            raise QuantityFilter(message, limit="min", bound=order.filled_quantity)
    amended = replace(
        order,
        quantity=order.quantity if quantity is None else quantity,
        price=order.price if price is None else price,
        updated_ms=state.now_ms(),
        sequence=state.next_sequence(),
    )
    tell_order(state, account, amended, amended=True)
    return match(state, account, amended) if state.matching else amended
