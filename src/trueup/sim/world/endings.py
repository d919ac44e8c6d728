"""How orders end, and what ends with a position.

1. An ended order never changes again.
2. When a slot is flat or turned: its attached stops end, so do conditional orders whose time in force is the position's
   (Binance close-position orders, GTE_GTC), and resting reduce-only orders. Every other conditional order stays: the
   orphan.
"""

from __future__ import annotations

from dataclasses import replace

from trueup.sim.world.account import Account
from trueup.sim.world.events import ConditionalChanged, OrderChanged
from trueup.sim.world.state import State
from trueup.sim.world.types import (
    ConditionalOrder,
    ConditionalStatus,
    EndReason,
    Leg,
    Order,
    OrderStatus,
    Position,
    Side,
    TimeInForce,
)


def exit_side(leg: Leg) -> Side | None:
    """The side that reduces a hedge leg, None for the one-way slot."""
    return {Leg.LONG: Side.SELL, Leg.SHORT: Side.BUY}.get(leg)


def only_reduces(order: Order) -> bool:
    """True for orders that the venue never lets open: reduce-only, close-position, exits of a hedge leg."""
    return order.reduce_only or order.close_position or order.side is exit_side(order.leg)


def tell_order(state: State, account: Account, order: Order, *, amended: bool = False) -> None:
    """Saves an order's new value and tells the listeners."""
    state.save_order(account, order)
    spec = account.spec
    state.emit(OrderChanged(spec.name, spec.venue, order.updated_ms, order.sequence, order, None, amended))


def tell_conditional(state: State, account: Account, order: ConditionalOrder, *, amended: bool = False) -> None:
    """Saves a conditional order's new value and tells the listeners."""
    state.save_conditional(account, order)
    spec = account.spec
    state.emit(ConditionalChanged(spec.name, spec.venue, order.updated_ms, order.sequence, order, amended))


def end_order(state: State, account: Account, order: Order, reason: EndReason) -> Order:
    """Ends an open order: CANCELED by its owner, EXPIRED by the venue."""
    status = OrderStatus.CANCELED if reason in (EndReason.USER, EndReason.REPLACED) else OrderStatus.EXPIRED
    ended = replace(order, status=status, end_reason=reason, updated_ms=state.now_ms(), sequence=state.next_sequence())
    tell_order(state, account, ended)
    finish_parent(state, account, ended)
    return ended


def end_conditional(
    state: State,
    account: Account,
    order: ConditionalOrder,
    reason: EndReason,
    status: ConditionalStatus | None = None,
) -> ConditionalOrder:
    """Ends a conditional order: CANCELED by its owner, EXPIRED by the venue, unless told otherwise."""
    by_owner = reason in (EndReason.USER, EndReason.REPLACED)
    usual = ConditionalStatus.CANCELED if by_owner else ConditionalStatus.EXPIRED
    ended = replace(
        order,
        status=usual if status is None else status,
        end_reason=reason,
        updated_ms=state.now_ms(),
        sequence=state.next_sequence(),
    )
    tell_conditional(state, account, ended)
    return ended


def finish_parent(state: State, account: Account, order: Order) -> None:
    """Marks the conditional order behind a final child as finished."""
    if order.is_open or order.parent_id is None:
        return
    line = account.conditionals.get(order.parent_id)
    if line is None or line.latest.status is not ConditionalStatus.TRIGGERED:
        return
    finished = replace(
        line.latest,
        status=ConditionalStatus.FINISHED,
        updated_ms=state.now_ms(),
        sequence=state.next_sequence(),
    )
    tell_conditional(state, account, finished)


def sweep_slot(state: State, account: Account, before: Position | None, after: Position) -> None:
    """Ends what must end when a slot went flat or turned."""
    side_before = before.side if before is not None else None
    if side_before is None or after.side is side_before:
        return
    ends_with_position = state.rules(account).close_position_needs_position
    for order in list(account.open_conditionals.values()):
        if order.symbol != after.symbol or order.leg is not after.leg:
            continue
        bound = order.close_position or order.time_in_force is TimeInForce.GTE_GTC
        if order.attached is not None or (bound and ends_with_position and order.side is side_before.opposite):
            end_conditional(state, account, order, EndReason.POSITION_FLAT)
    for resting in list(account.open_orders.values()):
        if resting.symbol != after.symbol or resting.leg is not after.leg or not only_reduces(resting):
            continue
        if after.side is None or resting.side is after.side:
            end_order(state, account, resting, EndReason.POSITION_FLAT)
