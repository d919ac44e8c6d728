"""From one price to the next (numbers: invariants of core/trailing.py); whole paths: tests/property/core."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from trueup.core.trailing import Trail, TrailingPolicy, TrailingStep, acceptable, advance, callback_at, profit_percent
from trueup.model.orders import Side
from trueup.model.trailing import TrailingPhase, TrailingState

WAITING, ACTIVE, TRIGGERED = TrailingPhase.WAITING, TrailingPhase.ACTIVE, TrailingPhase.TRIGGERED
LONG, SHORT = Side.LONG, Side.SHORT
D = Decimal
NOW = 1_700_000_000_000
TICK = D("0.1")
POLICY = TrailingPolicy(activation_percent=D(2), callback_percent=D(1))
BREAK_EVEN = msgspec.structs.replace(POLICY, break_even_percent=D(1))
SLOW = msgspec.structs.replace(POLICY, min_interval_ms=5_000)


def after(
    *prices: str,
    side: Side = LONG,
    policy: TrailingPolicy = POLICY,
    tick: Decimal | None = TICK,
    begin: TrailingState | None = None,
    apart_ms: int = 1_000,
) -> TrailingState:
    """The state of a position entered at 100 after these prices."""
    state = begin or TrailingState()
    trail = Trail(side=side, entry_price=D(100), price_tick=tick)
    for number, price in enumerate(prices):
        state = advance(state, D(price), NOW + number * apart_ms, trail, policy)
    return state


def following(trigger: str, peak: str, phase: TrailingPhase = ACTIVE, moved: int | None = NOW) -> TrailingState:
    return TrailingState(phase=phase, peak_price=D(peak), trigger_price=D(trigger), moved_at_ms=moved)


# profit and callback


@pytest.mark.parametrize(("side", "price", "profit"), [(LONG, "206", "3"), (SHORT, "206", "-3"), (SHORT, "190", "5")])
def test_profit_is_percent_of_the_entry_price(side: Side, price: str, profit: str) -> None:
    assert profit_percent(D(price), Trail(side=side, entry_price=D(200))) == D(profit)


@pytest.mark.parametrize(
    ("profit", "callback"), [("2.9", "1"), ("3", "0.4"), ("4.9", "0.4"), ("5", "0.2"), ("9", "0.2")]
)
def test_the_highest_step_that_was_reached_holds(profit: str, callback: str) -> None:
    steps = (
        TrailingStep(profit_percent=D(5), callback_percent=D("0.2")),
        TrailingStep(profit_percent=D(3), callback_percent=D("0.4")),
    )
    assert callback_at(D(profit), msgspec.structs.replace(POLICY, steps=steps)) == D(callback)


# waiting and following


@pytest.mark.parametrize(("side", "price"), [(LONG, "101.9"), (SHORT, "98.1"), (LONG, "90"), (SHORT, "110")])
def test_before_the_activation_profit_nothing_follows(side: Side, price: str) -> None:
    assert after(price, side=side) == TrailingState(phase=WAITING, peak_price=D(price))


@pytest.mark.parametrize(
    ("side", "price", "trigger"),
    [(LONG, "102", "101.0"), (SHORT, "98", "98.9"), (LONG, "110", "108.9"), (SHORT, "90", "90.9")],
)
def test_from_the_activation_profit_on_it_follows_one_callback_behind(side: Side, price: str, trigger: str) -> None:
    state = after(price, side=side)
    assert (state.phase, state.trigger_price, state.moved_at_ms) == (ACTIVE, D(trigger), NOW)


@pytest.mark.parametrize(
    ("side", "prices", "peak", "trigger"),
    [
        (LONG, ("102", "110", "109.5"), "110", "108.9"),
        (SHORT, ("98", "90", "90.5"), "90", "90.9"),
    ],
)
def test_it_follows_the_most_favourable_price(side: Side, prices: tuple[str, ...], peak: str, trigger: str) -> None:
    state = after(*prices, side=side)
    assert (state.phase, state.peak_price, state.trigger_price) == (ACTIVE, D(peak), D(trigger))


def test_a_profit_that_was_seen_while_waiting_counts_once_the_activation_is_lowered() -> None:
    """The peak is since following began: a configuration that asks for less finds it reached already."""
    waited = after("101.5")
    lower = msgspec.structs.replace(POLICY, activation_percent=D(1))
    state = after("101.2", begin=waited, policy=lower)
    assert (state.phase, state.trigger_price) == (ACTIVE, D("100.5"))


def test_a_stop_that_follows_goes_on_when_the_activation_is_raised() -> None:
    higher = msgspec.structs.replace(POLICY, activation_percent=D(50))
    state = after("110", begin=following("101", "102"), policy=higher)
    assert (state.phase, state.trigger_price) == (ACTIVE, D("108.9"))


# break-even


@pytest.mark.parametrize(("side", "price"), [(LONG, "101"), (SHORT, "99"), (LONG, "101.9"), (SHORT, "98.1")])
def test_break_even_puts_the_stop_at_the_entry_before_it_follows(side: Side, price: str) -> None:
    state = after(price, side=side, policy=BREAK_EVEN)
    assert (state.phase, state.trigger_price) == (WAITING, D(100))


@pytest.mark.parametrize(("side", "price"), [(LONG, "100.9"), (SHORT, "99.1")])
def test_short_of_break_even_the_fixed_stop_holds(side: Side, price: str) -> None:
    assert after(price, side=side, policy=BREAK_EVEN).trigger_price is None


@pytest.mark.parametrize(("side", "price", "trigger"), [(LONG, "102", "100"), (SHORT, "98", "100")])
def test_a_wide_callback_never_gives_break_even_away(side: Side, price: str, trigger: str) -> None:
    wide = msgspec.structs.replace(BREAK_EVEN, callback_percent=D(5))
    assert after(price, side=side, policy=wide).trigger_price == D(trigger)


# 1: the ratchet


@pytest.mark.parametrize(("side", "begin"), [(LONG, following("108.9", "110")), (SHORT, following("90.9", "90"))])
def test_1_a_wider_callback_loosens_no_stop(side: Side, begin: TrailingState) -> None:
    wider = msgspec.structs.replace(POLICY, callback_percent=D(3))
    price = "109.5" if side is LONG else "90.5"
    assert after(price, side=side, begin=begin, policy=wider).trigger_price == begin.trigger_price


# 2: the tick, and the side on which the venue takes it


@pytest.mark.parametrize(
    ("side", "price", "trigger"),
    [(LONG, "102.15", "101.2"), (SHORT, "97.85", "98.8")],
)
def test_2_it_is_rounded_towards_the_market(side: Side, price: str, trigger: str) -> None:
    assert after(price, side=side).trigger_price == D(trigger)  # a callback of 1 % is at 101.1285 and at 98.8285


@pytest.mark.parametrize(
    ("side", "level", "price", "expected"),
    [
        (LONG, "99.95", "105", "100.0"),
        (SHORT, "100.05", "95", "100.0"),
        (LONG, "100", "100", "99.9"),
        (LONG, "104", "100", "99.9"),
        (SHORT, "96", "100", "100.1"),
        (LONG, "104", "100.04", "100.0"),
        (SHORT, "96", "99.96", "100.0"),
    ],
)
def test_2_one_tick_on_the_waiting_side_of_the_price_at_least(
    side: Side, level: str, price: str, expected: str
) -> None:
    trail = Trail(side=side, entry_price=D(100), price_tick=TICK)
    assert acceptable(D(level), D(price), trail) == D(expected)


def test_2_below_the_first_tick_there_is_no_stop() -> None:
    penny = Trail(side=LONG, entry_price=D("0.2"), price_tick=TICK)
    assert acceptable(D("0.1"), D("0.1"), penny) is None
    assert acceptable(D("0.1"), D("0.2"), penny) == D("0.1")


@pytest.mark.parametrize(
    ("side", "level", "price", "expected"),
    [
        (LONG, "99.123", "105", "99.123"),
        (LONG, "105", "105", None),
        (LONG, "106", "105", None),
        (SHORT, "101.123", "95", "101.123"),
        (SHORT, "95", "95", None),
        (LONG, "0", "105", None),
        (LONG, "0.5", "0.6", "0.5"),
    ],
)
def test_2_without_a_tick_a_level_is_taken_as_it_is_or_not_at_all(
    side: Side, level: str, price: str, expected: str | None
) -> None:
    found = acceptable(D(level), D(price), Trail(side=side, entry_price=D(100)))
    assert found == (None if expected is None else D(expected))


def test_2_a_move_that_waited_is_made_as_near_to_the_price_as_the_venue_takes_it() -> None:
    """While it waited the price fell through the level: the stop that stands still holds, and the nearer one is placed."""
    begin = following("101", "102", moved=NOW - 4_000)
    state = after("110", "105", begin=begin, policy=SLOW)
    assert (state.phase, state.trigger_price) == (ACTIVE, D("104.9"))


# 3: how often


def test_3_the_first_trigger_waits_for_nothing() -> None:
    policy = msgspec.structs.replace(SLOW, min_move_percent=D(5))
    assert after("102", policy=policy).trigger_price == D(101)


@pytest.mark.parametrize(("waited_ms", "trigger"), [(4_999, "101"), (5_000, "108.9"), (9_000, "108.9"), (0, "101")])
def test_3_two_moves_are_an_interval_apart(waited_ms: int, trigger: str) -> None:
    begin = following("101", "102", moved=NOW - waited_ms)
    state = after("110", begin=begin, policy=SLOW)
    assert state.trigger_price == D(trigger)
    assert state.moved_at_ms == (NOW if trigger == "108.9" else NOW - waited_ms)


def test_3_a_clock_that_was_set_back_holds_nothing_up() -> None:
    assert after("110", begin=following("101", "102", moved=NOW + 60_000), policy=SLOW).trigger_price == D("108.9")


def test_3_where_no_time_of_a_move_is_known_it_may_move() -> None:
    assert after("110", begin=following("101", "102", moved=None), policy=SLOW).trigger_price == D("108.9")


@pytest.mark.parametrize(("percent", "trigger"), [("1", "202.0"), ("1.1", "200"), ("0.5", "202.0")])
def test_3_a_move_that_is_too_small_waits_for_more(percent: str, trigger: str) -> None:
    """From 200 to 202 is one percent of the trigger."""
    policy = msgspec.structs.replace(POLICY, activation_percent=D(0), min_move_percent=D(percent))
    begin = following("200", "202")
    trail = Trail(side=LONG, entry_price=D(100), price_tick=TICK)
    assert advance(begin, D("204.04"), NOW, trail, policy).trigger_price == D(trigger)


# 4 and 5


def test_4_the_same_price_told_again_changes_nothing() -> None:
    once = after("110")
    assert after("110", begin=once) == once


@pytest.mark.parametrize(("side", "price"), [(LONG, "108.9"), (LONG, "100"), (SHORT, "90.9"), (SHORT, "99")])
def test_5_at_its_trigger_it_fires(side: Side, price: str) -> None:
    begin = following("108.9", "110") if side is LONG else following("90.9", "90")
    state = after(price, side=side, begin=begin)
    assert (state.phase, state.trigger_price) == (TRIGGERED, begin.trigger_price)


@pytest.mark.parametrize(
    ("price", "phase", "trigger"),
    [("109.5", TRIGGERED, "108.9"), ("110", TRIGGERED, "108.9"), ("111", ACTIVE, "109.9")],
)
def test_5_what_lives_on_follows_again_once_the_price_passes_its_peak(
    price: str, phase: TrailingPhase, trigger: str
) -> None:
    state = after(price, begin=following("108.9", "110", TRIGGERED))
    assert (state.phase, state.trigger_price) == (phase, D(trigger))


def test_5_a_break_even_stop_that_fired_and_lives_on_waits_for_its_activation_again() -> None:
    fired = after("101", "99.9", policy=BREAK_EVEN)
    assert (fired.phase, fired.trigger_price) == (TRIGGERED, D(100))
    again = after("101.5", begin=fired, policy=BREAK_EVEN)
    assert (again.phase, again.trigger_price) == (WAITING, D(100))


def test_a_triggered_stop_keeps_its_trigger_until_the_peak_is_passed() -> None:
    policy = TrailingPolicy(activation_percent=D(2), callback_percent=D(1), min_interval_ms=5_000)
    trail = Trail(side=Side.LONG, entry_price=D(100), price_tick=D("0.1"))
    state = TrailingState()
    for at_ms, price in ((0, "102"), (1_000, "110"), (2_000, "101"), (6_000, "105")):
        state = advance(state, D(price), at_ms, trail, policy)
    assert (state.phase, state.trigger_price) == (TrailingPhase.TRIGGERED, D(101))
    state = advance(state, D("110.1"), 7_000, trail, policy)
    assert (state.phase, state.trigger_price) == (TrailingPhase.ACTIVE, D("109.0"))
