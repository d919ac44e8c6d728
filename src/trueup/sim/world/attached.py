"""Stops that belong to a position itself (Bybit's trading-stop), kept as conditional orders that end with it.

1. At most one FULL stop-loss, take-profit and trailing stop per slot; changing one keeps its id.
2. PARTIAL stops add up, each with its own quantity.
3. A stop on the wrong side of the market is refused, and then nothing at all was changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from trueup.sim.world.account import Account
from trueup.sim.world.endings import end_conditional, tell_conditional
from trueup.sim.world.refusals import (
    BadAttachedStop,
    BadTrigger,
    NoPosition,
    NothingToChange,
    PriceFilter,
    TooManyConditionals,
)
from trueup.sim.world.state import State
from trueup.sim.world.types import (
    ZERO,
    AttachedStops,
    AttachMode,
    ConditionalKind,
    ConditionalOrder,
    ConditionalStatus,
    EndReason,
    OrderType,
    Position,
    Price,
    Side,
    TimeInForce,
    TriggerBy,
)


def price_by(price: Price, source: TriggerBy) -> Decimal:
    """The price that a trigger watches."""
    return {TriggerBy.LAST: price.last, TriggerBy.MARK: price.mark, TriggerBy.INDEX: price.index}[source]


@dataclass(frozen=True, slots=True)
class _Wish:
    """One of the stops that a request names. `value` 0 removes."""

    kind: ConditionalKind
    value: Decimal
    by: TriggerBy
    quantity: Decimal | None
    limit: Decimal | None
    activation: Decimal | None = None


def _wishes(stops: AttachedStops) -> list[_Wish]:
    partial = stops.mode is AttachMode.PARTIAL
    named = []
    if stops.stop_loss is not None:
        quantity = stops.stop_loss_quantity if partial else None
        named.append(_Wish(ConditionalKind.STOP, stops.stop_loss, stops.stop_loss_by, quantity, stops.stop_loss_limit))
    if stops.take_profit is not None:
        quantity = stops.take_profit_quantity if partial else None
        limit = stops.take_profit_limit
        named.append(_Wish(ConditionalKind.TAKE_PROFIT, stops.take_profit, stops.take_profit_by, quantity, limit))
    if stops.trailing_distance is not None:
        named.append(
            _Wish(
                ConditionalKind.TRAILING_STOP,
                stops.trailing_distance,
                TriggerBy.LAST,
                None,
                None,
                stops.activation_price or None,
            )
        )
    return named


def check_attached(state: State, account: Account, symbol: str, side: Side, stops: AttachedStops) -> None:
    """Refuses stops that stand on the wrong side of the market for a position of that side."""
    spec = state.spec_of(account, symbol)
    price = state.price((spec.venue, spec.symbol))
    for wish in _wishes(stops):
        if wish.value < 0:
            raise BadTrigger(f"{wish.kind} is {wish.value}; it must not be negative")
        if wish.value == 0:
            continue
        if wish.value % spec.price_tick:
            raise PriceFilter(f"{wish.kind} {wish.value} is off the tick {spec.price_tick} of {symbol}")
        base = price_by(price, wish.by)
        if wish.kind is ConditionalKind.TRAILING_STOP:
            _check_activation(wish, side, base)
            continue
        above = (wish.kind is ConditionalKind.TAKE_PROFIT) is (side is Side.BUY)
        if (wish.value <= base) if above else (wish.value >= base):
            field = "take_profit" if wish.kind is ConditionalKind.TAKE_PROFIT else "stop_loss"
            word = "higher" if above else "lower"
            message = f"{field} {wish.value} of a {side} position must be {word} than {base}"
            raise BadAttachedStop(message, field=field, wanted=wish.value, base=base)


def _check_activation(wish: _Wish, side: Side, base: Decimal) -> None:
    if wish.value >= base:
        message = f"trailing distance {wish.value} reaches beyond the price {base}"
        raise BadAttachedStop(message, field="trailing_distance", wanted=wish.value, base=base)
    activation = wish.activation
    if activation is None:
        return
    if (activation <= base) if side is Side.BUY else (activation >= base):
        message = f"activation price {activation} of a {side} position is passed already at {base}"
        raise BadAttachedStop(message, field="activation_price", wanted=activation, base=base)


def set_attached(state: State, account: Account, position: Position, stops: AttachedStops) -> None:
    """Carries out a trading-stop request on an open slot, or raises and changes nothing."""
    side = position.side
    if side is None:
        raise NoPosition(f"{account.spec.name} holds no {position.symbol} {position.leg} position")
    check_attached(state, account, position.symbol, side, stops)
    wishes = _wishes(stops)
    _check_partial(stops, wishes, position)
    changes = [change for wish in wishes if (change := _change(account, position, stops.mode, wish)) is not None]
    if not changes:
        raise NothingToChange("the position's stops are as asked already")
    limit = state.rules(account).symbol_conditionals_limit
    placed = sum(known is None for known, _ in changes)
    waiting = sum(order.symbol == position.symbol for order in account.open_conditionals.values())
    if limit is not None and placed and waiting + placed > limit:
        raise TooManyConditionals(f"{waiting} stops of {position.symbol} are open", limit=limit)
    for known, wish in changes:
        _carry_out(state, account, position, known, wish)


def _check_partial(stops: AttachedStops, wishes: list[_Wish], position: Position) -> None:
    if stops.mode is AttachMode.FULL:
        return
    for wish in wishes:
        if wish.kind is ConditionalKind.TRAILING_STOP or not wish.value:
            continue
        if wish.quantity is None or not ZERO < wish.quantity <= abs(position.quantity):
            raise BadTrigger(
                f"a partial {wish.kind} needs a quantity up to the position's {abs(position.quantity)}, "
                f"not {wish.quantity}"
            )


def _change(
    account: Account, position: Position, mode: AttachMode, wish: _Wish
) -> tuple[ConditionalOrder | None, _Wish] | None:
    """The order to change (None: a new one) and the wish; None when nothing is to be done."""
    if mode is AttachMode.PARTIAL and wish.kind is not ConditionalKind.TRAILING_STOP and wish.value:
        return (None, wish)
    known = next(
        (
            order
            for order in account.open_conditionals.values()
            if order.symbol == position.symbol
            and order.leg is position.leg
            and order.kind is wish.kind
            and order.attached is AttachMode.FULL
        ),
        None,
    )
    if known is None:
        return (None, wish) if wish.value else None
    if wish.kind is ConditionalKind.TRAILING_STOP:
        same = known.callback_distance == wish.value and known.activation_price == wish.activation
    else:
        same = known.trigger_price == wish.value and known.trigger_by is wish.by and known.price == wish.limit
    return None if same else (known, wish)


def _carry_out(state: State, account: Account, position: Position, known: ConditionalOrder | None, wish: _Wish) -> None:
    if known is not None and not wish.value:
        end_conditional(state, account, known, EndReason.USER)
        return
    order = known if known is not None else _blank(state, account, position, wish)
    trailing = wish.kind is ConditionalKind.TRAILING_STOP
    last = state.price((account.spec.venue, position.symbol)).last
    active = trailing and wish.activation is None
    sign = -1 if order.side is Side.SELL else 1
    order = replace(
        order,
        order_type=OrderType.MARKET if wish.limit is None else OrderType.LIMIT,
        price=wish.limit,
        trigger_by=wish.by,
        trigger_price=(last + sign * wish.value if active else None) if trailing else wish.value,
        callback_distance=wish.value if trailing else None,
        activation_price=wish.activation,
        activated=active,
        peak=last if active else None,
        updated_ms=state.now_ms(),
        sequence=state.next_sequence(),
    )
    tell_conditional(state, account, order, amended=known is not None)


def _blank(state: State, account: Account, position: Position, wish: _Wish) -> ConditionalOrder:
    side = Side.SELL if position.quantity > 0 else Side.BUY
    takes_profit = wish.kind is ConditionalKind.TAKE_PROFIT
    now_ms = state.now_ms()
    return ConditionalOrder(
        conditional_id=state.next_conditional_id(account.spec.venue),
        client_order_id="",
        account=account.spec.name,
        symbol=position.symbol,
        leg=position.leg,
        side=side,
        kind=wish.kind,
        order_type=OrderType.MARKET,
        quantity=wish.quantity,
        price=None,
        trigger_price=None,
        trigger_by=wish.by,
        rising=takes_profit is (side is Side.SELL),
        reduce_only=True,
        close_position=wish.quantity is None,
        time_in_force=TimeInForce.GTC,
        status=ConditionalStatus.NEW,
        created_ms=now_ms,
        updated_ms=now_ms,
        sequence=0,
        last_price_on_created=state.price((account.spec.venue, position.symbol)).last,
        attached=AttachMode.PARTIAL if wish.quantity is not None else AttachMode.FULL,
    )
