"""What open orders mean for the book (lessons 13, 15, 16, 21, 26; numbers: invariants of core/review.py)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from core_cases import ACCOUNT, BTC, BUY, LONG, SELL, SHORT, T0, VIEW, open_order, recorded_order

from trueup.core.review import (
    cancel_of,
    closing_side,
    is_ours,
    left_behind,
    order_report,
    orphans_among,
    record_orders,
)
from trueup.model.orders import OpenOrder, OrderKind, OrderList, OrderStatus, Side
from trueup.model.positions import PositionKey

D = Decimal
KEY = PositionKey(ACCOUNT, BTC, LONG)
SHORT_KEY = PositionKey(ACCOUNT, BTC, SHORT)


def stop(order_id: str = "s1", **more: object) -> OpenOrder:
    return open_order(order_id, **({"reduce_only": True} | more))  # type: ignore[arg-type]


# close semantics


@pytest.mark.parametrize(
    ("order", "side"),
    [
        (open_order(side=SELL, reduce_only=True), LONG),
        (open_order(side=BUY, reduce_only=True), SHORT),
        (open_order(side=SELL, close_position=True), LONG),
        (open_order(side=SELL, lists=OrderList.ATTACHED), LONG),
        (open_order(side=SELL, leg=LONG), LONG),
        (open_order(side=BUY, leg=SHORT), SHORT),
        (open_order(side=SELL, leg=SHORT), None),  # opens the short leg
        (open_order(side=BUY, leg=LONG), None),
        (open_order(side=SELL), None),  # lesson 26: a stop entry
        (open_order(side=BUY, kind=OrderKind.LIMIT, lists=OrderList.REGULAR), None),
    ],
)
def test_the_side_that_an_order_can_only_reduce(order: OpenOrder, side: Side | None) -> None:
    assert closing_side(order) is side


@pytest.mark.parametrize(("client", "ours"), [("tu-sl-1", True), ("bot-1", False), (None, False), ("xtu-1", False)])
def test_ours_is_told_by_the_prefix(client: str | None, ours: bool) -> None:
    assert is_ours(stop(client=client)) is ours


# recording


def record(orders, recorded=(), open_keys=None):
    return record_orders(ACCOUNT, orders, open_keys if open_keys is not None else {KEY: 7}, recorded, VIEW)


def test_closing_orders_of_an_open_lifecycle_are_recorded_for_it() -> None:  # invariant 1
    (one,), gone = record([stop(quantity="5", client="tu-1")])
    assert (one.position_id, one.key, one.closing, one.ours) == (7, None, True, True)
    assert (one.quantity, one.trigger_price, one.status, one.seen_at_ms) == (D(5), D(90), OrderStatus.OPEN, VIEW)
    assert gone == []


def test_closing_orders_of_a_lifecycle_that_is_being_inserted_name_its_key() -> None:
    (one,), _ = record([stop()], open_keys={KEY: None})
    assert (one.position_id, one.key) == (None, KEY)


@pytest.mark.parametrize("order", [open_order(side=SELL), stop(side=BUY), stop(symbol="ETH/USDT:USDT")])
def test_entries_and_orders_of_other_keys_are_not_recorded(order: OpenOrder) -> None:
    assert record([order]) == ([], [])


def test_an_order_that_stands_as_it_was_recorded_is_not_recorded_again() -> None:
    assert record([stop()], [recorded_order("s1")]) == ([], [])


@pytest.mark.parametrize(
    "before",
    [
        recorded_order("s1", position_id=6),
        recorded_order("s1", quantity="4"),
        recorded_order("s1", status=OrderStatus.UNKNOWN),
        msgspec.structs.replace(recorded_order("s1"), trigger_price=D(91)),
    ],
    ids=["another-lifecycle", "quantity", "status", "trigger"],
)
def test_a_changed_order_is_recorded_again(before) -> None:
    (one,), _ = record([stop()], [before])
    assert (one.position_id, one.status) == (7, OrderStatus.OPEN)


def test_a_recorded_order_that_is_no_longer_listed_is_unknown_not_cancelled() -> None:  # lesson 13
    assert record([], [recorded_order("s1")]) == ([], [(BTC, "s1", OrderStatus.UNKNOWN)])


def test_an_order_recorded_after_the_lists_were_read_is_not_missed() -> None:
    assert record([], [recorded_order("s1", seen=VIEW)]) == ([], [])


def test_orders_of_ended_lifecycles_are_left_to_their_effects() -> None:
    assert record([], [recorded_order("s1", position_id=99)]) == ([], [])


# orphans


def orphans(orders, held=(), recorded=()):
    return orphans_among(ACCOUNT, orders, held, recorded, VIEW)


def test_a_closing_order_without_a_position_is_an_orphan() -> None:  # invariant 2, lesson 15
    (one,) = orphans([stop()])
    assert (one.side, one.position_id, one.cancellable) == (LONG, None, False)


def test_one_of_ours_may_be_cancelled() -> None:
    assert [one.cancellable for one in orphans([stop(client="tu-1")])] == [True]


def test_one_that_was_recorded_for_an_ended_lifecycle_may_be_cancelled() -> None:
    (one,) = orphans([stop()], recorded=[recorded_order("s1")])
    assert (one.position_id, one.cancellable) == (7, True)


@pytest.mark.parametrize("recorded", [recorded_order("s1", closing=False), recorded_order("s1", position_id=None)])
def test_one_that_was_recorded_otherwise_is_not_ours(recorded) -> None:
    assert [one.cancellable for one in orphans([stop()], recorded=[recorded])] == [False]


@pytest.mark.parametrize("client", [None, "tu-entry-1"])
def test_an_entry_is_never_an_orphan_even_one_of_ours(client: str | None) -> None:  # invariant 3, lesson 26
    assert orphans([open_order(side=SELL, client=client)], recorded=[recorded_order("s1")]) == []


def test_a_stop_of_an_open_position_is_none_but_that_of_the_other_leg_is() -> None:  # lesson 9
    orders = [stop("long", leg=LONG), stop("short", side=BUY, leg=SHORT)]
    assert [one.order.order_id for one in orphans(orders, held=[KEY])] == ["short"]


def test_an_attached_stop_ends_with_its_position_by_itself() -> None:
    assert orphans([stop(lists=OrderList.ATTACHED)]) == []


@pytest.mark.parametrize(
    ("created", "judged"), [(VIEW - 1, True), (VIEW, False), (VIEW + 1, False), (None, True), (T0, True)]
)
def test_an_order_younger_than_the_view_is_not_judged(created: int | None, judged: bool) -> None:  # invariant 4
    assert bool(orphans([stop(created=created)])) is judged


# what is sent, what is shown


def test_a_cancel_names_the_list_that_the_order_lives_in() -> None:
    cancel = cancel_of(stop(client="c", quantity="5"), LONG, "orphaned")
    assert (cancel.order_list, cancel.order_id, cancel.client_order_id) == (OrderList.CONDITIONAL, "s1", "c")
    assert (cancel.side, cancel.reason, cancel.venue_type, cancel.trigger_price, cancel.quantity) == (
        LONG,
        "orphaned",
        "STOP_MARKET",
        D(90),
        D(5),
    )


@pytest.mark.parametrize("of", [stop(), recorded_order("s1"), cancel_of(stop(), LONG, "x")])
def test_any_order_is_shown_alike(of) -> None:
    shown = order_report(of, "why")
    assert (shown.order_id, shown.symbol, shown.side, shown.kind, shown.problem) == (
        "s1",
        BTC,
        SELL,
        OrderKind.STOP,
        "why",
    )


# records left behind


def test_an_open_record_of_an_ended_lifecycle_that_no_list_shows_is_left_behind() -> None:
    ended = recorded_order("s1", position_id=7, seen=T0)
    assert left_behind([], [ended], {8}, VIEW) == [(ended, LONG)]


@pytest.mark.parametrize(
    "why", ["listed", "lifecycle open", "recorded by this very look", "not open", "of no lifecycle"]
)
def test_other_records_are_not_left_behind(why: str) -> None:
    order = recorded_order("s1", position_id=7, seen=T0)
    listed, open_ids = [], {8}
    match why:
        case "listed":
            listed = [stop("s1")]
        case "lifecycle open":
            open_ids = {7}
        case "recorded by this very look":
            order = msgspec.structs.replace(order, seen_at_ms=VIEW)
        case "not open":
            order = msgspec.structs.replace(order, status=OrderStatus.FILLED)
        case _:
            order = msgspec.structs.replace(order, position_id=None)
    assert left_behind(listed, [order], open_ids, VIEW) == []
