"""Numbered invariants of protection over any set of orders: cover, plan, what may go.

1. Doing what the plan says ends in a state whose plan is empty: covered, with one stop of ours at most.
2. New before old: nothing that the plan would take away is superfluous before the new stop stands, unless it protects nothing.
3. Whatever may go, in whatever order it goes, the covered quantity never falls.
4. The ratchet: what is placed is never looser than a stop of ours that this lifecycle has, nor than what is asked for by a tick.
5. An order without close semantics, a take-profit, a user's stop: never swept.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.protection_cases import SYMBOL, instrument, lifecycle, report, row, stop
from trueup.core.protection import Cover, Lifecycle, cover, plan, superfluous
from trueup.core.stops import StopPolicy, beyond, is_tighter, loosest, on_tick, wanted_stop
from trueup.model.decimals import ZERO
from trueup.model.orders import OpenOrder, OrderKind, OrderList, Side

D = Decimal
quantities = st.sampled_from(["0.5", "1", "1.5", "2", "3", None])


@st.composite
def lifecycles(draw: st.DrawFn) -> Lifecycle:
    side = draw(st.sampled_from(list(Side)))
    liquidation = draw(st.sampled_from([None, "60", "97"] if side is Side.LONG else [None, "140", "103"]))
    return lifecycle(side, draw(st.sampled_from(["1", "2", "2.5"])), hedge=draw(st.booleans()), liquidation=liquidation)


@st.composite
def orders_under(draw: st.DrawFn, of: Lifecycle) -> list[OpenOrder]:
    found = []
    for number in range(draw(st.integers(0, 5))):
        side = of.key.side if draw(st.integers(0, 9)) != 9 else of.key.side.opposite
        kind = draw(st.sampled_from([OrderKind.STOP] * 4 + [OrderKind.TAKE_PROFIT, OrderKind.TRAILING_STOP]))
        away = draw(st.sampled_from([1, 2, 3, 4, 5, 6, 10, 30]))  # the policy's is 5 away
        trigger = 100 - away if (side is Side.LONG) is (kind is not OrderKind.TAKE_PROFIT) else 100 + away
        client = draw(st.sampled_from([f"tu-sl-7-abc-{number}"] * 3 + [f"tu-sl-3-abc-{number}", "mine", None]))
        attached = draw(st.integers(0, 9)) == 9
        found.append(
            stop(
                str(number),
                None if attached else draw(quantities),
                str(trigger),
                side=side,
                client_id=None if attached else client,
                hedge=of.report.hedge,
                kind=kind,
                order_list=OrderList.ATTACHED if attached else OrderList.CONDITIONAL,
                reduces=draw(st.integers(0, 9)) != 9,
                trigger_by=draw(st.sampled_from(["mark", "mark", "last"])),
            )
        )
    return found


@st.composite
def situations(draw: st.DrawFn) -> tuple[Lifecycle, list[OpenOrder]]:
    of = draw(lifecycles())
    return of, draw(orders_under(of))


def covered(state: Cover) -> Decimal:
    whole = state.lifecycle.report.quantity
    return whole if state.quantity is None else min(whole, state.quantity)


def placed(of: Lifecycle, state: Cover) -> OpenOrder | None:
    wanted = plan(state).place
    if wanted is None:
        return None
    return stop(
        "new",
        str(wanted.quantity),
        str(wanted.trigger_price),
        side=of.key.side,
        client_id="tu-sl-7-new-0",
        hedge=of.report.hedge,
        trigger_by=wanted.trigger_by,
    )


@given(situations())
def test_the_plan_carried_out_leaves_nothing_to_do(situation: tuple[Lifecycle, list[OpenOrder]]) -> None:
    """1, 3 and 5: placed, then swept one by one, as the effects do it; at no step is less covered than before."""
    of, orders = situation
    state = cover(of, orders)
    new = placed(of, state)
    if new is not None:
        orders = [*orders, new]
    before = covered(cover(of, orders))
    assert before >= covered(state)
    for order in plan(cover(of, orders)).sweep:
        assert (order.client_order_id or "").startswith("tu-")
        assert order.kind is OrderKind.STOP
        assert order.closes(of.key.side)
        now = cover(of, orders)
        assert superfluous(now, order.order_id)
        orders = [other for other in orders if other.order_id != order.order_id]
        after = covered(cover(of, orders))
        assert after >= min(before, of.report.quantity) or after >= of.report.quantity
    end = cover(of, orders)
    assert end.covered
    assert plan(end).place is None
    assert plan(end).sweep == ()
    assert len(end.ours) <= 1


@given(situations())
def test_what_is_needed_stays_until_the_new_one_stands(situation: tuple[Lifecycle, list[OpenOrder]]) -> None:
    """2 and 3: each single thing that may go now, may go without less being covered than the best of ours covers."""
    of, orders = situation
    state = cover(of, orders)
    whole = of.report.quantity
    others = whole if state.others is None else min(whole, state.others)
    for order in state.ours:
        if not superfluous(state, order.order_id):
            continue
        left = cover(of, [other for other in orders if other.order_id != order.order_id])
        if plan(state).place is None:
            assert left.covered or covered(left) == covered(state)
            continue
        counted = {one.order_id for one in state.counted}
        best = max(
            (
                whole if one.quantity is None else min(whole, one.quantity)
                for one in state.ours
                if one.order_id in counted
            ),
            default=ZERO,
        )
        assert covered(left) >= max(best, others)


@settings(max_examples=400)
@given(situations())
def test_the_ratchet(situation: tuple[Lifecycle, list[OpenOrder]]) -> None:
    """4"""
    of, orders = situation
    state = cover(of, orders)
    wished = plan(state).place
    if wished is None:
        return
    assert of.wanted is not None
    side = of.key.side
    assert not is_tighter(side, of.wanted.policy_price, wished.trigger_price)
    assert not beyond(side, wished.trigger_price, of.report.liquidation_price)
    counted = {order.order_id for order in state.counted}
    for order in state.ours:
        own = (order.client_order_id or "").startswith("tu-sl-7-")
        if own and order.order_id in counted and order.trigger_price is not None:
            assert not is_tighter(side, order.trigger_price, wished.trigger_price)


@given(
    side=st.sampled_from(list(Side)),
    entry=st.decimals("0.01", "100000", places=4),
    percent=st.decimals("0.1", "99", places=2),
    tick=st.sampled_from(["0.0001", "0.01", "0.1", "0.5", "10"]),
)
def test_rounding_never_makes_a_stop_looser_than_a_tick(
    side: Side, entry: Decimal, percent: Decimal, tick: str
) -> None:
    asked = entry - side.sign * entry * percent / 100
    book = msgspec.structs.replace(row(side), entry_price=entry)
    wanted = wanted_stop(book, report(side), StopPolicy(percent=percent), instrument(tick))
    assert wanted is not None
    assert wanted.trigger_price == on_tick(side, asked, D(tick))
    assert wanted.trigger_price % D(tick) == 0
    assert not is_tighter(side, asked, wanted.trigger_price)
    assert abs(wanted.trigger_price - asked) < D(tick)
    assert abs(loosest(side, asked, D(tick)) - asked) < D(tick)
    assert wanted.quantity == report(side).quantity
    assert book.symbol == SYMBOL
