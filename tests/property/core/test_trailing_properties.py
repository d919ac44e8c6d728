"""What must hold of every trailing stop (numbers: invariants of core/trailing.py).

The 1,000 seeded paths are held against tests/support/trailing_reference.py: a trigger lies between where the reference's stood
one update interval ago and where it stands now.
"""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from tests.support.trailing_reference import Reference
from trueup.core.trailing import (
    Trail,
    TrailingPolicy,
    TrailingStep,
    advance,
    callback_at,
    profit_percent,
)
from trueup.model.orders import Side
from trueup.model.trailing import TrailingPhase, TrailingState
from trueup.model.values import from_json, to_json

SEEDS = 1_000
STEP_MS = 250
TICK = Decimal("0.1")


def beyond(one: Decimal, other: Decimal, side: Side) -> bool:
    return one > other if side is Side.LONG else one < other


def walked(prices: list[tuple[int, Decimal]], trail: Trail, policy: TrailingPolicy) -> list[TrailingState]:
    state, states = TrailingState(), []
    for at_ms, price in prices:
        state = advance(state, price, at_ms, trail, policy)
        states.append(state)
    return states


percents = st.decimals("0.05", "9", places=2)
policies = st.builds(
    TrailingPolicy,
    activation_percent=st.decimals("0", "5", places=2),
    callback_percent=percents,
    steps=st.lists(st.builds(TrailingStep, profit_percent=percents, callback_percent=percents), max_size=3).map(tuple),
    break_even_percent=st.none() | percents,
    min_interval_ms=st.integers(0, 5_000),
    min_move_percent=st.decimals("0", "1", places=2),
)
trails = st.builds(
    Trail,
    side=st.sampled_from(list(Side)),
    entry_price=st.decimals("1", "5000", places=2),
    price_tick=st.sampled_from([Decimal("0.01"), Decimal("0.1"), Decimal("5")]) | st.none(),
)


@st.composite
def paths(draw: st.DrawFn) -> tuple[Trail, list[tuple[int, Decimal]]]:
    trail = draw(trails)
    at_ms, path = 0, []
    for per_mille in draw(st.lists(st.integers(850, 1150), min_size=1, max_size=40)):
        at_ms += draw(st.integers(0, 4_000))
        path.append((at_ms, trail.entry_price * per_mille / 1000))
    return trail, path


@given(paths(), policies)
def test_1_a_trigger_never_moves_against_the_position(
    path: tuple[Trail, list[tuple[int, Decimal]]], policy: TrailingPolicy
) -> None:
    trail, prices = path
    for before, after in pairwise(walked(prices, trail, policy)):
        if before.trigger_price is not None:
            assert after.trigger_price is not None
            assert not beyond(before.trigger_price, after.trigger_price, trail.side)
        assert after.peak_price is not None
        assert before.peak_price is not None
        assert not beyond(before.peak_price, after.peak_price, trail.side)


@given(paths(), policies, policies, st.integers(0, 40))
def test_1_nor_does_another_policy_move_it_back(
    path: tuple[Trail, list[tuple[int, Decimal]]], first: TrailingPolicy, then: TrailingPolicy, at: int
) -> None:
    trail, prices = path
    state = TrailingState()
    for place, (at_ms, price) in enumerate(prices):
        after = advance(state, price, at_ms, trail, first if place < at else then)
        if state.trigger_price is not None:
            assert after.trigger_price is not None
            assert not beyond(state.trigger_price, after.trigger_price, trail.side)
        state = after


@given(paths(), policies)
def test_2_a_new_trigger_is_on_the_tick_and_where_the_venue_accepts_it(
    path: tuple[Trail, list[tuple[int, Decimal]]], policy: TrailingPolicy
) -> None:
    trail, prices = path
    before: Decimal | None = None
    for (_, price), state in zip(prices, walked(prices, trail, policy), strict=True):
        trigger = state.trigger_price
        if trigger is not None and trigger != before:
            event("moved")
            assert trigger > 0
            assert beyond(price, trigger, trail.side)
            assert trail.price_tick is None or trigger % trail.price_tick == 0
            assert state.moved_at_ms is not None
        before = trigger


@given(paths(), policies)
def test_3_moves_keep_their_distance_in_time_and_price(
    path: tuple[Trail, list[tuple[int, Decimal]]], policy: TrailingPolicy
) -> None:
    trail, prices = path
    moves = [
        (after.moved_at_ms, after.trigger_price)
        for before, after in pairwise([TrailingState(), *walked(prices, trail, policy)])
        if after.trigger_price != before.trigger_price
    ]
    for (earlier, low), (later, high) in pairwise(moves):
        assert earlier is not None
        assert later is not None
        assert low is not None
        assert high is not None
        assert later - earlier >= policy.min_interval_ms
        assert abs(high - low) * 100 >= policy.min_move_percent * low


@given(paths(), policies)
def test_4_the_same_price_again_changes_nothing(
    path: tuple[Trail, list[tuple[int, Decimal]]], policy: TrailingPolicy
) -> None:
    trail, prices = path
    for (at_ms, price), state in zip(prices, walked(prices, trail, policy), strict=True):
        assert advance(state, price, at_ms, trail, policy) == state


@given(paths(), policies, st.integers(0, 40))
def test_a_restart_between_two_prices_changes_nothing(
    path: tuple[Trail, list[tuple[int, Decimal]]], policy: TrailingPolicy, at: int
) -> None:
    trail, prices = path
    state = TrailingState()
    for place, (at_ms, price) in enumerate(prices):
        if place == at:
            state = from_json(to_json(state), TrailingState)
        state = advance(state, price, at_ms, trail, policy)
    assert state == walked(prices, trail, policy)[-1]


@given(paths(), policies)
def test_5_the_phases(path: tuple[Trail, list[tuple[int, Decimal]]], policy: TrailingPolicy) -> None:
    trail, prices = path
    for (_, price), state in zip(prices, walked(prices, trail, policy), strict=True):
        assert state.peak_price is not None
        reached = profit_percent(state.peak_price, trail) >= policy.activation_percent
        if state.phase is TrailingPhase.WAITING:
            assert not reached
        if state.phase is TrailingPhase.ACTIVE:
            assert reached
        passed = state.trigger_price is not None and not beyond(price, state.trigger_price, trail.side)
        if passed:
            assert state.phase is TrailingPhase.TRIGGERED


def seeded(seed: int) -> tuple[Reference, TrailingPolicy, list[Decimal]]:
    """A position, its rules, and a price path with drift, noise, jumps and quiet stretches."""
    chance = random.Random(seed)
    entry = Decimal(chance.randrange(200, 9_000_000)) / 100
    long = chance.random() < 0.5
    activation = Decimal(chance.randrange(0, 300)) / 100
    callback = Decimal(chance.randrange(10, 300)) / 100
    steps = tuple(
        (activation + profit, max(callback / (place + 2), Decimal("0.05")))
        for place, profit in enumerate((Decimal(1), Decimal("2.5"))[: chance.randrange(3)])
    )
    break_even = Decimal(chance.randrange(20, 200)) / 100 if chance.random() < 0.3 else None
    price, prices = entry, []
    drift = chance.uniform(-2, 6) * (1 if long else -1)
    for _ in range(200):
        if chance.random() < 0.2:
            prices.append(price)
            continue
        per_100_000 = round(chance.gauss(drift, 200) + (chance.gauss(0, 600) if chance.random() < 0.01 else 0))
        price = max((price * (100_000 + per_100_000) / 100_000).quantize(Decimal("0.01")), TICK)
        prices.append(price)
    reference = Reference(long, entry, TICK, activation, callback, steps, break_even)
    policy = TrailingPolicy(
        activation_percent=activation,
        callback_percent=callback,
        steps=tuple(TrailingStep(profit_percent=profit, callback_percent=tighter) for profit, tighter in steps),
        break_even_percent=break_even,
        min_interval_ms=chance.choice([0, STEP_MS, 1_000, 5_000]),
        min_move_percent=chance.choice([Decimal(0), Decimal(0), Decimal("0.1")]),
    )
    return reference, policy, prices


@pytest.mark.parametrize("block", range(10))
def test_a_thousand_paths_are_the_reference_within_one_update_interval(block: int) -> None:
    """And without limits they are the reference itself; a trigger never moves against its position on any of them."""
    each = SEEDS // 10
    fired = 0
    for seed in range(block * each, (block + 1) * each):
        reference, policy, prices = seeded(seed)
        trail = Trail(
            side=Side.LONG if reference.long else Side.SHORT, entry_price=reference.entry, price_tick=reference.tick
        )
        path = [(place * STEP_MS, price) for place, price in enumerate(prices)]
        ideal = reference.triggers(prices)
        unlimited = msgspec.structs.replace(policy, min_interval_ms=0, min_move_percent=Decimal(0))
        assert [state.trigger_price for state in walked(path, trail, unlimited)] == ideal, f"seed {seed}"
        ends = reference.fires_at(prices)
        fired += ends is not None
        states = walked(path, trail, policy)[:ends]
        lag = -(-policy.min_interval_ms // STEP_MS)
        for place, state in enumerate(states):
            now, earlier = ideal[place], ideal[place - lag] if place >= lag else None
            ours = state.trigger_price
            assert (ours is None) == (now is None), f"seed {seed}, price {place}"
            if ours is None or now is None:
                continue
            assert not beyond(ours, now, trail.side), f"seed {seed}, price {place}: ahead of the reference"
            if earlier is not None and beyond(earlier, ours, trail.side):
                short_of = abs(earlier - ours) * 100
                assert short_of < policy.min_move_percent * ours, f"seed {seed}, price {place}: behind by more"
        for before, after in pairwise(states):
            if before.trigger_price is not None:
                assert after.trigger_price is not None
                assert not beyond(before.trigger_price, after.trigger_price, trail.side), f"seed {seed}"
    assert fired >= each // 4


def test_the_highest_reached_step_holds() -> None:
    steps = (
        TrailingStep(profit_percent=Decimal(4), callback_percent=Decimal("0.2")),
        TrailingStep(profit_percent=Decimal(2), callback_percent=Decimal("0.3")),
    )
    policy = TrailingPolicy(activation_percent=Decimal(1), callback_percent=Decimal("0.5"), steps=steps)
    found = [callback_at(Decimal(profit), policy) for profit in (1, 2, 3, 4, 9)]
    assert found == [Decimal("0.5"), Decimal("0.3"), Decimal("0.3"), Decimal("0.2"), Decimal("0.2")]


def test_a_clock_that_was_set_back_holds_no_move_up() -> None:
    trail = Trail(side=Side.LONG, entry_price=Decimal(100), price_tick=TICK)
    policy = TrailingPolicy(activation_percent=Decimal(0), callback_percent=Decimal(1), min_interval_ms=5_000)
    first = advance(TrailingState(), Decimal(110), 1_000_000, trail, policy)
    later = advance(first, Decimal(120), 10_000, trail, policy)
    assert (first.trigger_price, later.trigger_price) == (Decimal("108.9"), Decimal("118.8"))
