"""Which of several lifecycles is a row's own: by its order, by what was seen, by when it was made (rebuild.py, 1 and 2)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from core_cases import (
    BUY,
    DAY,
    HOUR,
    REACH,
    SELL,
    T0,
    VIEW,
    case,
    decide_close,
    fill,
    history,
    needs,
    row,
    suspected,
)

from trueup.core.cases import Close, LeaveYoung, Suspect
from trueup.core.decide import LEAD_MS, decide_key, past_of
from trueup.core.lifecycles import Trace
from trueup.core.rebuild import fits, own_segment, shown_at
from trueup.model.orders import Fill
from trueup.model.positions import Position

D = Decimal
SLACK = 60_000


def trace_of(book: Position, fills: list[Fill]) -> Trace:
    past = past_of(case(book, None, history(fills)), book.opened_at_ms)
    assert isinstance(past, Trace)
    return past


def opened_by(book: Position, fills: list[Fill]) -> str | None:
    """The opening order of the row's own lifecycle; None: none of them is its."""
    own = own_segment(book, trace_of(book, fills), SLACK)
    return own.opening_order_id if own is not None else None


def round_trip(order: str, opened: int, closed: int, quantity: str = "5", exit_price: str = "101") -> list[Fill]:
    return [
        fill(BUY, quantity, "100", opened, order=order),
        fill(SELL, quantity, exit_price, closed, order=f"close {order}"),
    ]


# from when until when the venue was in the state that a row tells of


@pytest.mark.parametrize(
    ("book", "begins", "ends"),
    [
        (row(), T0, T0),
        (row(seen=T0), T0 - 1, T0 - 1),
        (row(seen=T0 + 5000, changed=T0), T0, T0 + 4999),
        (row(seen=T0 + 500, changed=T0), T0, T0 + 1000),
        (row(seen=T0, changed=T0 + 10), T0 - 1, T0 + 1010),
    ],
    ids=["never", "without-change-time", "long-unchanged", "just-changed", "answered-newer-than-asked"],
)
def test_a_verified_state_lasted_from_its_change_until_before_the_view(book: Position, begins: int, ends: int) -> None:
    assert shown_at(book) == (begins, ends)


@pytest.mark.parametrize("changed", [None, T0])
def test_a_view_saw_what_was_filled_before_it_and_nothing_of_its_own_millisecond(changed: int | None) -> None:
    """What lies before the fills is not read: no other sum tells whether one is missing."""
    seen = T0 + HOUR
    fills = [
        fill(SELL, "2", "110", seen - 1, closed="2"),
        fill(SELL, "1", "110", seen, closed="1"),
        fill(SELL, "2", "110", seen + HOUR, closed="2"),
    ]
    wrong, right = row(quantity="2", seen=seen, changed=changed), row(quantity="3", seen=seen, changed=changed)
    past = trace_of(right, fills)
    (segment,) = past.segments
    assert fits(right, segment, past)
    assert not fits(wrong, segment, past)


# by its opening order


def test_the_opening_order_outweighs_the_time_at_which_the_bot_says_it_opened() -> None:
    """The bot's clock points at the lifecycle before; its own was opened by one order and added to by another."""
    fills = [
        *round_trip("a", T0, T0 + 90_000, exit_price="90"),
        fill(BUY, "3", "100", T0 + 2 * HOUR, order="b"),
        fill(BUY, "2", "100", T0 + 2 * HOUR + 1, order="c"),
        fill(SELL, "5", "104", T0 + 3 * HOUR),
    ]
    assert decide_close(row(order="b", opened=T0), fills).details.realized_pnl == D(20)
    assert decide_close(row(order="c", opened=T0), fills).details.realized_pnl == D(20)
    assert decide_close(row(opened=T0), fills).details.realized_pnl == D(-50)


@pytest.mark.parametrize(("order", "own"), [("a", True), ("b", False), (None, False)])
def test_a_young_row_is_closed_by_an_earlier_end_only_where_its_order_tells_that_it_is_its_own(
    order: str | None, own: bool
) -> None:
    young = VIEW - 5_000
    verdict = decide_key(case(row(opened=young, order=order), None, history(round_trip("a", young - 40_000, young))))
    assert isinstance(verdict, LeaveYoung) is not own
    if isinstance(verdict, LeaveYoung):
        assert "the row is 5 s old" in verdict.why


@pytest.mark.parametrize(("age", "told"), [(59_000, "59 s"), (59_999, "59 s"), (60_000, None)])
def test_a_row_is_young_for_as_long_as_the_grace_and_no_longer(age: int, told: str | None) -> None:
    opened = VIEW + 40 - age
    verdict = decide_key(case(row(opened=opened), None, history(round_trip("a", opened - 40_000, opened - 1_000))))
    if told is None:
        assert not isinstance(verdict, LeaveYoung)
    else:
        assert isinstance(verdict, LeaveYoung)
        assert told in verdict.why


# by the state in which it was seen


def test_a_lifecycle_long_after_the_row_was_seen_is_not_its_own() -> None:
    """Its own fills are missing; another of the same size, hours later, must not lend it its profit."""
    book = row(seen=T0 + 10, changed=T0)
    fills = round_trip("later", T0 + 2 * HOUR, T0 + 3 * HOUR)
    assert opened_by(book, fills) is None
    assert "showed it open" in suspected(decide_key(case(book, None, history(fills)))).why


def test_a_contradiction_counts_from_the_first_millisecond_that_was_read() -> None:
    book = row(seen=T0 + 10, changed=T0)
    past = history([fill(BUY, "5", "100", T0)], since=T0)
    assert "showed it open" in suspected(decide_key(case(book, None, past))).why


def test_a_stale_view_tells_the_lifecycle_of_its_change_time_not_the_one_since() -> None:
    """The answer was eight seconds old: the lifecycle that it shows had ended and another one had begun."""
    book = row(seen=T0 + 8000, changed=T0)
    fills = [*round_trip("shown", T0, T0 + 3000), *round_trip("since", T0 + 5000, T0 + HOUR, exit_price="90")]
    verdict = decide_close(book, fills)
    assert verdict.details.realized_pnl == D(5)
    assert [one.realized_pnl for one in verdict.successors] == [D(-50)]


def test_closed_and_reopened_in_one_millisecond_the_reopened_one_was_seen() -> None:
    fills = [
        *round_trip("before", T0 - HOUR, T0, exit_price="90"),
        fill(BUY, "5", "100", T0, order="own"),
        fill(SELL, "5", "103", T0 + HOUR),
    ]
    book = row(seen=T0 + 5000, changed=T0)
    assert decide_close(book, fills).details.realized_pnl == D(15)


# by when it was made


@pytest.mark.parametrize(("early", "own"), [(60_000, "a"), (60_001, None)])
def test_a_clock_may_be_wrong_by_the_whole_grace(early: int, own: str | None) -> None:
    """Beyond it the entry price would have to be the row's."""
    assert opened_by(row(entry="99"), round_trip("a", T0 - early, T0 - 1000)) == own


def test_a_row_written_before_its_opening_with_another_quantity_is_still_that_one() -> None:
    """The bot wrote what it had ordered; less was filled, two seconds later."""
    assert decide_close(row(), round_trip("a", T0 + 2000, T0 + HOUR, quantity="4.9")).details.quantity == D("4.9")


def test_a_lifecycle_of_another_size_that_ended_before_the_row_was_made_is_not_its_own() -> None:
    fills = round_trip("a", T0 - 4000, T0 - 1000, quantity="2")
    assert opened_by(row(), fills) is None
    suspected(decide_key(case(row(), None, history(fills))))


@pytest.mark.parametrize(
    ("others", "own"),
    [
        (round_trip("other", T0 - 4000, T0 + 1000, quantity="2"), round_trip("own", T0 + 2000, T0 + HOUR)),
        (round_trip("other", T0 - 4000, T0 - 1000), round_trip("own", T0 - 500, T0 + HOUR)),
        (round_trip("other", T0 - 50_000, T0 - 40_000), round_trip("own", T0 - 10_000, T0 - 5000)),
    ],
    ids=["its-size", "open-then", "nearest"],
)
def test_of_several_about_that_time_it_is_the_one(others: list[Fill], own: list[Fill]) -> None:
    """That has its size, else was open when the row was made, else opened nearest to that."""
    assert opened_by(row(), [*others, *own]) == "own"


# a row that was never seen, and a history that begins in the middle


@pytest.mark.parametrize("opened", [REACH - DAY, REACH + 30_000, REACH + 60_000])
def test_a_row_as_old_as_the_venues_memory_is_closed_by_what_is_left_of_its_fills(opened: int) -> None:
    """Its opening may lie before the reach, as far as the bot's clock may be wrong."""
    fills = [fill(SELL, "5", "110", T0, closed="5")]
    details = decide_close(row(opened=opened), fills).details
    assert (details.complete, details.realized_pnl) == (False, D(50))


def test_a_row_made_well_after_the_reach_is_not_closed_without_its_opening() -> None:
    book = row(opened=REACH + 60_001)
    verdict = suspected(decide_key(case(book, None, history([fill(SELL, "5", "110", T0, closed="5")]))))
    assert "its opening is not among the fills" in verdict.why


@pytest.mark.parametrize("book", [row(), row(seen=T0 + 5000, changed=T0)], ids=["never-seen", "seen"])
def test_a_net_line_that_begins_in_the_middle_is_read_further_back_before_a_fill_is_called_missing(
    book: Position,
) -> None:
    """Something of 1 contract stood before: whether the row's quantity (5) was true depends on it."""
    fills = [fill(SELL, "1", "100", T0 - 60_000), *round_trip("own", T0, T0 + HOUR, quantity="4.9")]
    short = case(book, None, history(fills, since=T0 - LEAD_MS))
    assert needs(decide_key(short)).since_ms < T0 - LEAD_MS
    assert "some are missing" in suspected(decide_key(case(book, None, history(fills)))).why


# fills that the book has and the history lacks


@pytest.mark.parametrize(("since", "missed"), [(T0, True), (T0 + 1, False)])
def test_a_recorded_fill_is_missed_only_where_the_history_reaches_to_the_rows_beginning(
    since: int, missed: bool
) -> None:
    past = history([fill(SELL, "5", "110", T0 + HOUR, closed="5")], since=since, reach=since)
    verdict = decide_key(case(row(seen=T0 + 10, changed=T0 + 5), None, past, trades=("older",)))
    assert isinstance(verdict, Suspect if missed else Close)
