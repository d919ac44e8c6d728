"""A stop that follows the price: from one price to the next state, for long and short, with nothing but arguments.

1. The ratchet: a trigger never moves against the position, whatever the price, the policy or the clock do.
2. A new trigger lies on the venue's tick, rounded towards the market (never looser than asked), and always on the side of
   the price where the venue accepts it: below it for a long, above it for a short.
3. Two moves are at least `min_interval_ms` and `min_move_percent` apart; the first trigger waits for neither.
4. The same price told again at the same time changes nothing.
5. waiting → active → triggered. A triggered one whose position lives on is told anew when the price passes its peak; its
   trigger stays meanwhile.

The peak is the most favourable price since following began: it counts while waiting, too, so a price that was seen at its
activation is not forgotten.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from trueup.model.orders import Side
from trueup.model.trailing import TrailingPhase, TrailingState
from trueup.model.values import Value

__all__ = [
    "Trail",
    "TrailingPolicy",
    "TrailingStep",
    "acceptable",
    "advance",
    "callback_at",
    "profit_percent",
]

_HUNDRED = Decimal(100)


class TrailingStep(Value, frozen=True, kw_only=True):
    """From this profit of the peak on, this callback. Percent; the profit is of the entry price."""

    profit_percent: Decimal
    callback_percent: Decimal


class TrailingPolicy(Value, frozen=True, kw_only=True):
    """How a stop follows.

    Attributes:
        activation_percent: Profit of the peak, percent of the entry price, from which on the stop follows; 0: at once.
        callback_percent: How far behind the peak, percent of the peak.
        steps: Tighter callbacks at higher profits; the highest reached one holds.
        break_even_percent: Profit of the peak from which on the trigger is at least the entry price; None: never.
        min_interval_ms: Between two moves of the trigger.
        min_move_percent: A move smaller than this, percent of the trigger, waits for more.
    """

    activation_percent: Decimal
    callback_percent: Decimal
    steps: tuple[TrailingStep, ...] = ()
    break_even_percent: Decimal | None = None
    min_interval_ms: int = 0
    min_move_percent: Decimal = Decimal(0)


class Trail(Value, frozen=True, kw_only=True):
    """What is followed: a position's side and average entry price, and its instrument's tick (quote units)."""

    side: Side
    entry_price: Decimal
    price_tick: Decimal | None = None


def advance(state: TrailingState, price: Decimal, at_ms: int, trail: Trail, policy: TrailingPolicy) -> TrailingState:
    """The state after this price.

    To be called again with the last known price once `min_interval_ms` has passed: a move that waited is made then.

    Args:
        price: Quote units, positive.
        at_ms: When it was so; any clock, always the same one.
    """
    peak = price if state.peak_price is None else _better(price, state.peak_price, trail.side)
    profit = profit_percent(peak, trail)
    phase = state.phase
    if phase is TrailingPhase.TRIGGERED and peak != state.peak_price:
        phase = TrailingPhase.WAITING
    if phase is TrailingPhase.WAITING and profit >= policy.activation_percent:
        phase = TrailingPhase.ACTIVE
    trigger, moved_at = state.trigger_price, state.moved_at_ms
    level = _level(peak, profit, phase, trail, policy)
    wanted = acceptable(level, price, trail) if level is not None else None
    if wanted is not None and _may_move(state, wanted, at_ms, trail, policy):
        trigger, moved_at = wanted, at_ms
    if trigger is not None and not _is_beyond(price, trigger, trail.side):
        phase = TrailingPhase.TRIGGERED
    return TrailingState(phase=phase, peak_price=peak, trigger_price=trigger, moved_at_ms=moved_at)


def profit_percent(price: Decimal, trail: Trail) -> Decimal:
    """How far this price is in favour of the position, percent of its entry price; negative: against it."""
    return (price - trail.entry_price) * trail.side.sign * _HUNDRED / trail.entry_price


def callback_at(profit: Decimal, policy: TrailingPolicy) -> Decimal:
    """The callback, percent, that holds at this profit (percent) of the peak."""
    reached = [step for step in policy.steps if profit >= step.profit_percent]
    return max(reached, key=lambda step: step.profit_percent).callback_percent if reached else policy.callback_percent


def _level(
    peak: Decimal, profit: Decimal, phase: TrailingPhase, trail: Trail, policy: TrailingPolicy
) -> Decimal | None:
    """Where the trigger belongs for this peak, unrounded; None: nowhere yet, or where it is."""
    if phase is TrailingPhase.TRIGGERED:
        return None
    levels = []
    if phase is TrailingPhase.ACTIVE:
        levels.append(peak * (1 - trail.side.sign * callback_at(profit, policy) / _HUNDRED))
    if policy.break_even_percent is not None and profit >= policy.break_even_percent:
        levels.append(trail.entry_price)
    if not levels:
        return None
    return max(levels) if trail.side is Side.LONG else min(levels)


def acceptable(level: Decimal, price: Decimal, trail: Trail) -> Decimal | None:
    """The level on the tick, towards the market, and at least one tick on the waiting side of the price; None: there is none."""
    side, tick = trail.side, trail.price_tick
    if tick is None:
        return level if level > 0 and _is_beyond(price, level, side) else None
    towards_market = ROUND_CEILING if side is Side.LONG else ROUND_FLOOR
    rounded = (level / tick).to_integral_value(towards_market)
    nearest = (price / tick).to_integral_value(towards_market) - side.sign
    steps = nearest if _is_beyond(rounded, nearest, side) else rounded
    return steps * tick if steps > 0 else None


def _may_move(state: TrailingState, wanted: Decimal, at_ms: int, trail: Trail, policy: TrailingPolicy) -> bool:
    current = state.trigger_price
    if current is None:
        return True
    if not _is_beyond(wanted, current, trail.side):
        return False
    if abs(wanted - current) * _HUNDRED < policy.min_move_percent * current:
        return False
    waited_ms = at_ms - state.moved_at_ms if state.moved_at_ms is not None else policy.min_interval_ms
    return waited_ms < 0 or waited_ms >= policy.min_interval_ms  # a clock that was set back holds nothing up


def _better(one: Decimal, other: Decimal, side: Side) -> Decimal:
    """The more favourable of two prices."""
    return max(one, other) if side is Side.LONG else min(one, other)


def _is_beyond(price: Decimal, level: Decimal, side: Side) -> bool:
    """Whether a price is strictly more favourable than a level."""
    return price > level if side is Side.LONG else price < level
