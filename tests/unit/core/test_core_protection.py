"""What counts as cover, what is to be done, what may go."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tests.unit.core.protection_cases import lifecycle, own, stop
from trueup.core.protection import Cover, FindingKind, cover, plan, superfluous
from trueup.model.orders import OpenOrder, OrderKind, OrderList, OrderSide, Side

BOTH_SIDES = pytest.mark.parametrize("side", list(Side))


def kinds(state: Cover) -> set[FindingKind]:
    return {finding.kind for finding in state.findings}


def test_without_a_stop_one_is_placed_for_the_whole_position() -> None:
    state = cover(lifecycle(), [])
    assert not state.covered
    assert kinds(state) == {FindingKind.NO_STOP}
    place = plan(state).place
    assert place is not None
    assert (place.quantity, place.trigger_price) == (Decimal(2), Decimal(95))


@BOTH_SIDES
def test_a_right_stop_of_ours_stays(side: Side) -> None:
    state = cover(lifecycle(side), [own("1", side=side)])
    assert state.covered
    assert not state.findings
    assert plan(state).place is None
    assert plan(state).sweep == ()


@BOTH_SIDES
def test_a_users_stop_is_respected_wherever_it_stands(side: Side) -> None:
    far = "50" if side is Side.LONG else "190"
    state = cover(lifecycle(side), [stop("1", trigger=far, side=side)])
    assert state.covered
    assert kinds(state) == {FindingKind.LOOSER_THAN_POLICY}
    assert plan(state).place is None


@BOTH_SIDES
def test_a_stop_beyond_the_liquidation_price_is_no_cover(side: Side) -> None:
    liquidation = "96" if side is Side.LONG else "104"
    state = cover(lifecycle(side, liquidation=liquidation), [stop("1", side=side)])
    assert not state.covered
    assert FindingKind.BEYOND_LIQUIDATION in kinds(state)
    place = plan(state).place
    assert place is not None
    assert place.quantity == Decimal(2)


def test_partial_stops_add_up_and_only_the_rest_is_placed() -> None:
    half = cover(lifecycle(), [stop("1", "1")])
    assert not half.covered
    assert kinds(half) == {FindingKind.SHORT_OF_QUANTITY}
    place = plan(half).place
    assert place is not None
    assert place.quantity == Decimal(1)
    both = cover(lifecycle(), [stop("1", "1"), own("2", "1")])
    assert both.covered
    assert plan(both).place is None
    assert plan(both).sweep == ()


def test_a_close_position_stop_without_quantity_is_full_cover() -> None:
    state = cover(lifecycle(), [stop("1", None)])
    assert state.covered
    assert state.quantity is None
    assert plan(state).place is None


def test_an_attached_stop_is_a_users_and_covers() -> None:
    state = cover(lifecycle(), [stop("attached:x", None, order_list=OrderList.ATTACHED)])
    assert state.covered
    assert state.ours == ()
    assert plan(state).place is None


def test_a_take_profit_is_no_stop() -> None:
    state = cover(lifecycle(), [stop("1", trigger="120", kind=OrderKind.TAKE_PROFIT)])
    assert not state.covered
    assert kinds(state) == {FindingKind.NO_STOP, FindingKind.TAKE_PROFIT}
    assert plan(state).place is not None


def test_a_conditional_without_close_semantics_is_somebodys_entry() -> None:
    state = cover(lifecycle(), [stop("1", reduces=False)])
    assert kinds(state) == {FindingKind.NO_STOP, FindingKind.STOP_ENTRY}
    assert plan(state).place is not None
    assert plan(state).sweep == ()


def test_a_stop_of_the_wrong_side_is_named_and_covers_nothing() -> None:
    state = cover(lifecycle(), [stop("1", trigger="105", side=Side.SHORT)])
    assert kinds(state) == {FindingKind.NO_STOP, FindingKind.WRONG_SIDE}


def test_the_other_legs_stop_is_none_of_this_legs_business() -> None:
    state = cover(lifecycle(hedge=True), [stop("1", trigger="105", side=Side.SHORT, hedge=True)])
    assert kinds(state) == {FindingKind.NO_STOP}


def test_a_hedge_legs_stop_over_its_quantity_would_be_refused_when_it_fires() -> None:
    hedged = cover(lifecycle(quantity="1", hedge=True), [stop("1", "2", hedge=True)])
    assert not hedged.covered
    assert FindingKind.OVER_QUANTITY in kinds(hedged)
    one_way = cover(lifecycle(quantity="1"), [stop("1", "2")])
    assert one_way.covered
    assert kinds(one_way) == {FindingKind.OVER_QUANTITY}


@pytest.mark.parametrize(
    ("trigger", "order_list", "active"),
    [
        (None, OrderList.CONDITIONAL, True),
        ("99", OrderList.CONDITIONAL, True),
        ("101", OrderList.CONDITIONAL, False),
        (None, OrderList.ATTACHED, False),
        ("97", OrderList.ATTACHED, True),
    ],
)
def test_a_trailing_stop_covers_once_it_is_active(trigger: str | None, order_list: OrderList, active: bool) -> None:
    trailing = stop("1", trigger=trigger, kind=OrderKind.TRAILING_STOP, order_list=order_list)
    if trigger is None:
        trailing = msgspec.structs.replace(trailing, trigger_price=None)
    state = cover(lifecycle(), [trailing])
    assert state.covered is active
    assert (FindingKind.NOT_ACTIVE in kinds(state)) is not active


@pytest.mark.parametrize("quantity", ["1", "3"])
def test_a_stop_of_ours_with_another_quantity_is_replaced_new_before_old(quantity: str) -> None:
    old = own("1", quantity)
    state = cover(lifecycle(), [old])
    wished = plan(state)
    assert wished.place is not None
    assert wished.place.quantity == Decimal(2)
    assert wished.sweep == (old,)
    assert wished.spare == ()
    assert not superfluous(state, "1")
    after = cover(lifecycle(), [old, own("2")])
    assert plan(after).place is None
    assert plan(after).sweep == (old,)
    assert superfluous(after, "1")
    assert not superfluous(after, "2")


@BOTH_SIDES
def test_the_ratchet_never_loosens(side: Side) -> None:
    tight = "98" if side is Side.LONG else "102"
    state = cover(lifecycle(side), [own("1", "1", tight, side=side)])
    place = plan(state).place
    assert place is not None
    assert place.trigger_price == Decimal(tight)
    alone = cover(lifecycle(side), [own("1", "2", tight, side=side)])
    assert plan(alone).place is None


@BOTH_SIDES
def test_a_stop_of_ours_that_is_looser_than_asked_for_is_replaced(side: Side) -> None:
    loose = "94" if side is Side.LONG else "106"
    state = cover(lifecycle(side), [own("1", trigger=loose, side=side)])
    assert state.covered
    assert FindingKind.LOOSER_THAN_POLICY in kinds(state)
    assert plan(state).place is not None


def test_a_predecessors_stop_covers_until_its_successor_has_its_own() -> None:
    old = stop("1", trigger="99", client_id="tu-sl-3-abc-0")
    state = cover(lifecycle(), [old])
    assert state.covered
    assert FindingKind.FROM_PREDECESSOR in kinds(state)
    place = plan(state).place
    assert place is not None
    assert place.trigger_price == Decimal(95), "another lifecycle's trigger does not bind this one"
    assert superfluous(cover(lifecycle(), [old, own("2")]), "1")


def test_too_many_of_ours_are_swept_to_the_best() -> None:
    loose, best, short = own("1", trigger="95"), own("2", trigger="96"), own("3", "1")
    state = cover(lifecycle(), [loose, best, short])
    assert FindingKind.TOO_MANY in kinds(state)
    wished = plan(state)
    assert wished.place is None
    assert {order.order_id for order in wished.sweep} == {"1", "3"}


@pytest.mark.parametrize(
    ("quantities", "goes"),
    [
        (("1", "1.5"), set()),  # together they cover what neither does
        (("2", "5"), set()),
        (("3", "7"), {"0"}),
        (("3", "4", "7"), {"0", "1"}),
        (("2", "4", "3"), {"0"}),
        (("1", None), {"0"}),
    ],
)
def test_before_a_better_stop_stands_only_what_covers_nothing_more_may_go(
    quantities: tuple[str | None, ...], goes: set[str]
) -> None:
    stops = [own(str(place), quantity, "94") for place, quantity in enumerate(quantities)]
    state = cover(lifecycle(quantity="7"), stops)
    wished = plan(state)
    assert wished.place is not None
    assert {order.order_id for order in wished.spare} == goes
    assert {order.order_id for order in stops if superfluous(state, order.order_id)} == goes


def test_what_a_users_stop_covers_too_may_go_before_a_better_one_stands() -> None:
    state = cover(lifecycle(), [own("1", "1", "94"), own("2", "1", "94"), stop("3", "1", client_id=None)])
    wished = plan(state)
    assert wished.place is not None
    assert len(wished.spare) == 1


def test_two_of_ours_are_one_too_many() -> None:
    assert FindingKind.TOO_MANY in kinds(cover(lifecycle(), [own("1"), own("2")]))
    assert FindingKind.TOO_MANY not in kinds(cover(lifecycle(), [own("1", "1"), stop("2", "1")]))


@pytest.mark.parametrize(
    ("trigger", "loosest"),
    [("94", "95.0"), ("97", "97")],
    ids=["as asked for", "by the ratchet"],
)
def test_what_is_placed_says_how_loose_it_may_become(trigger: str, loosest: str) -> None:
    """Asked for is 95.05: rounded the other way it is 95.0. What the ratchet holds has nothing looser."""
    place = plan(cover(lifecycle(stop_loss="95.05"), [own("1", "1", trigger)])).place
    assert place is not None
    assert (place.trigger_price, place.policy_price) == (max(Decimal(trigger), Decimal("95.1")), Decimal(loosest))


def test_that_nothing_says_where_a_stop_is_to_be_is_named_only_where_one_is_missing() -> None:
    unknown = msgspec.structs.replace(lifecycle(), wanted=None)
    naked = cover(unknown, [])
    assert kinds(naked) == {FindingKind.NO_STOP, FindingKind.NO_PRICE}
    assert plan(naked).place is None
    assert kinds(cover(unknown, [stop("1", "1")])) == {FindingKind.SHORT_OF_QUANTITY, FindingKind.NO_PRICE}
    assert kinds(cover(unknown, [stop("1")])) == set()


def test_a_stop_with_another_trigger_source_is_replaced() -> None:
    state = cover(lifecycle(), [own("1", trigger_by="last")])
    assert FindingKind.WRONG_TRIGGER in kinds(state)
    assert plan(state).place is not None


def test_a_stop_limit_is_named() -> None:
    assert kinds(cover(lifecycle(), [stop("1", limit="94")])) == {FindingKind.STOP_LIMIT}


def test_a_resting_limit_order_is_no_stop_and_no_finding() -> None:
    limit = OpenOrder(
        symbol="ETH/USDT:USDT",
        order_id="1",
        client_order_id=None,
        order_list=OrderList.REGULAR,
        kind=OrderKind.LIMIT,
        order_side=OrderSide.SELL,
        reduce_only=True,
        quantity=Decimal(2),
        limit_price=Decimal(120),
    )
    assert kinds(cover(lifecycle(), [limit])) == {FindingKind.NO_STOP}
