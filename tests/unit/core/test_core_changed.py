"""Row and venue both have it: verified, changed, explained or not (lessons 5, 7, 8, 12)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from core_cases import (
    BUY,
    HOUR,
    LONG,
    REACH,
    SELL,
    SHORT,
    T0,
    VIEW,
    case,
    fill,
    history,
    mark_of,
    needs,
    report,
    row,
    suspected,
)

from trueup.core.cases import Adjust, Close, Ending, LookAgain, NeedsHistory, Suspect, Verdict, Verified
from trueup.core.decide import LEAD_MS, decide_key
from trueup.model.holds import MarkKind
from trueup.model.orders import Fill

D = Decimal


def verified(verdict: Verdict) -> Verified:
    assert isinstance(verdict, Verified), verdict
    return verdict


def adjusted(verdict: Verdict) -> Adjust:
    assert isinstance(verdict, Adjust), verdict
    return verdict


# verified


def test_same_numbers_and_same_change_time_need_no_history() -> None:
    verdict = verified(decide_key(case(row(seen=VIEW - 30_000, changed=T0), report(changed=T0))))
    assert not verdict.write


@pytest.mark.parametrize(
    ("seen", "more", "write"),
    [
        (VIEW - 59_999, {}, False),
        (VIEW - 60_000, {}, True),
        (None, {}, True),
        (VIEW - 1, {"suspected_since_ms": T0}, True),
    ],
)
def test_a_row_is_refreshed_when_it_is_due(seen: int | None, more: dict[str, object], write: bool) -> None:
    changed = None if seen is None else T0
    assert verified(decide_key(case(row(seen=seen, changed=changed, **more), report(changed=T0)))).write is write


def test_a_standing_mark_is_written_off_at_once() -> None:
    book = row(seen=VIEW - 1, changed=T0)
    assert verified(decide_key(case(book, report(changed=T0), mark=mark_of(book)))).write


def test_a_bots_fresh_row_that_agrees_needs_no_history() -> None:
    assert isinstance(decide_key(case(row(opened=T0), report(changed=T0 - 300))), Verified)
    assert isinstance(decide_key(case(row(opened=T0), report(changed=None))), Verified)


def test_equal_numbers_written_differently_are_equal() -> None:
    book = row(LONG, "5.000", entry="100.0", seen=VIEW - 1, changed=T0)
    assert isinstance(decide_key(case(book, report(LONG, "5", entry="100.00", changed=T0))), Verified)


def test_a_change_time_alone_asks_what_happened() -> None:
    verdict = needs(decide_key(case(row(seen=VIEW - 30_000, changed=T0), report(changed=T0 + HOUR))))
    assert verdict.since_ms == T0 - LEAD_MS


def test_a_change_time_without_any_fill_is_no_change() -> None:
    """Funding, leverage and attached stops move it too."""
    past = history([fill(BUY, "5", "100", T0)])
    verdict = verified(decide_key(case(row(seen=T0 + 10, changed=T0), report(changed=T0 + HOUR), past)))
    assert verdict.write
    assert verdict.settled


def test_it_is_no_change_even_where_its_opening_lies_before_what_was_read() -> None:
    """The line never touched zero since the row was seen: what came before does not matter."""
    past = history([], since=T0 - LEAD_MS, asked=())
    assert isinstance(decide_key(case(row(seen=T0 + 10, changed=T0), report(changed=T0 + HOUR), past)), Verified)


def test_a_change_time_of_a_moment_ago_is_looked_at_again_for_its_fills_may_lag() -> None:
    past = history([fill(BUY, "5", "100", T0)])
    book = row(seen=VIEW - 30_000, changed=T0)
    verdict = verified(decide_key(case(book, report(changed=VIEW - 59_000), past)))
    assert (verdict.settled, verdict.write) == (False, False)


def test_a_change_time_that_a_fill_explains_is_settled_at_once() -> None:
    past = history([fill(BUY, "5", "100", T0), fill(SELL, "1", "100", VIEW - 900), fill(BUY, "1", "100", VIEW - 800)])
    book = row(seen=VIEW - 30_000, changed=T0)
    assert verified(decide_key(case(book, report(changed=VIEW - 800), past))).settled


def test_at_first_sight_fills_are_recorded_where_they_were_asked_for() -> None:
    """A book that has none of a row's fills is held against no history that lost them."""
    moved = [fill(BUY, "5", "100", T0), fill(BUY, "5", "100", VIEW - HOUR), fill(SELL, "5", "110", VIEW - HOUR + 1)]
    seen = report(changed=VIEW - HOUR + 1)
    assert verified(decide_key(case(row(opened=T0), seen, history(moved)))).lifecycle is None
    assert verified(decide_key(case(row(opened=T0), seen, history(moved), learn=True))).lifecycle is not None


def test_a_change_waits_until_the_fills_that_the_venues_change_time_speaks_of_are_visible() -> None:
    """Found by the simulation, seed 623: a lifecycle that had ended seemed open, with the next one's quantity."""
    past = [fill(BUY, "12", "100", T0), fill(SELL, "7", "100", T0 + 1_000)]
    book = row(LONG, "5", entry="90", opened=T0 + 500)
    verdict = decide_key(case(book, report(entry="104", changed=VIEW - 100), history(past)))
    assert isinstance(verdict, Suspect)
    assert "newer than its fills" in verdict.why


def test_what_moved_and_came_back_to_the_same_numbers_is_recorded_with_its_fills() -> None:
    """Found by the simulation, seed 23710: the stream told of the close then, and the book's fills were half of them."""
    moved = [fill(BUY, "5", "100", T0), fill(BUY, "5", "100", VIEW - HOUR), fill(SELL, "5", "110", VIEW - HOUR + 1)]
    verdict = verified(decide_key(case(row(seen=T0 + 1, changed=T0), report(changed=VIEW - HOUR + 1), history(moved))))
    assert verdict.settled
    assert verdict.lifecycle is not None
    assert [part.fill for part in verdict.lifecycle.parts] == moved


def test_an_older_state_than_the_verified_one_decides_nothing() -> None:
    book = row(seen=VIEW - 30_000, changed=T0 + 5)
    assert isinstance(decide_key(case(book, report(LONG, "9", changed=T0 + 4))), LookAgain)


def test_the_same_numbers_unexplained_are_verified_once_seen_again_and_not_corrected() -> None:
    """A history that lacks the reopening for good: the numbers agree, there is nothing to correct."""
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "5", "103", T0 + HOUR)]
    book = row(seen=T0 + 1000, changed=T0)
    seen = report(changed=T0 + 2 * HOUR)
    first = suspected(decide_key(case(book, seen, history(fills))))
    mark = mark_of(book, MarkKind.CHANGED, detail=first.mark.detail)
    assert verified(decide_key(case(book, seen, history(fills), mark=mark))).write


def test_the_same_numbers_with_a_failed_history_stay_suspected() -> None:
    book = row(seen=T0 + 1000, changed=T0)
    past = history(failed="timeout")
    verdict = suspected(decide_key(case(book, report(changed=T0 + HOUR), past)))
    assert verdict.mark.count == 0


@pytest.mark.parametrize(("changed", "unread"), [(T0 + 60_000, False), (T0 + 60_001, True)])
def test_at_first_sight_a_change_after_the_rows_grace_asks_what_happened(changed: int, unread: bool) -> None:
    verdict = decide_key(case(row(opened=T0), report(changed=changed)))
    assert isinstance(verdict, NeedsHistory if unread else Verified)


def test_the_view_that_verified_a_row_may_be_decided_again() -> None:
    assert isinstance(decide_key(case(row(seen=VIEW, changed=T0), report(changed=T0))), Verified)


# changed


def test_a_partial_close_is_explained_with_its_profit() -> None:  # lesson 5
    fills = [fill(BUY, "5", "100", T0, pnl="0"), fill(SELL, "2", "110", T0 + HOUR, pnl="20")]
    verdict = adjusted(
        decide_key(case(row(seen=T0 + 1000, changed=T0), report(LONG, "3", changed=T0 + HOUR), history(fills)))
    )
    assert verdict.explained
    assert verdict.lifecycle is not None
    assert (verdict.lifecycle.quantity, verdict.lifecycle.realized_pnl) == (D(3), D(20))
    assert verdict.why == "5 → 3 by 2 fills"


def test_an_increase_is_explained() -> None:
    fills = [fill(SELL, "5", "100", T0, closed="0"), fill(SELL, "5", "110", T0 + HOUR, closed="0")]
    book = row(SHORT, seen=T0 + 1000, changed=T0)
    verdict = adjusted(decide_key(case(book, report(SHORT, "10", entry="105", changed=T0 + HOUR), history(fills))))
    assert verdict.explained
    assert verdict.lifecycle is not None
    assert (verdict.lifecycle.entry_price, verdict.lifecycle.realized_pnl) == (D(105), None)


def test_the_entry_of_an_increase_beyond_the_history_weighs_the_rows_own() -> None:
    past = history([fill(BUY, "5", "200", T0 + HOUR, closed="0")])
    book = row(opened=REACH - 1, seen=T0, changed=REACH - 1)
    verdict = adjusted(decide_key(case(book, report(LONG, "10", entry="150", changed=T0 + HOUR), past)))
    assert verdict.lifecycle is not None
    assert verdict.lifecycle.entry_price == D(150)
    assert verdict.lifecycle.opening_order_id is None


def test_the_same_quantity_at_another_entry_is_corrected() -> None:  # lesson 8
    fills = [fill(BUY, "5", "100", T0)]
    verdict = adjusted(decide_key(case(row(entry="99"), report(changed=T0), history(fills))))
    assert verdict.explained


def test_a_bots_row_without_entry_learns_it() -> None:  # lesson 12
    assert adjusted(
        decide_key(case(row(entry=None), report(changed=T0), history([fill(BUY, "5", "100", T0)])))
    ).explained


@pytest.mark.parametrize(
    ("entry", "explained"), [("108", False), ("100.0101", False), ("100.01", True), ("99.99", True), (None, True)]
)
def test_fills_that_give_another_entry_price_than_the_venue_shows_explain_nothing(
    entry: str | None, explained: bool
) -> None:
    """Closed and opened again with the same quantity, a hundred seconds ago: neither fill is visible yet."""
    book = row(seen=T0 + 1000, changed=T0, entry="101")
    shown = report(entry=entry, changed=VIEW - 100_000)
    past = history([fill(BUY, "5", "100", T0, pnl="0", order="first")])
    assert isinstance(decide_key(case(book, shown, past)), Adjust) is explained
    again = adjusted(decide_key(case(book, shown, past, mark=mark_of(shown, MarkKind.CHANGED, detail=f"5@{entry}"))))
    assert (again.explained, again.lifecycle is not None) == (explained, explained)


def test_what_is_left_is_entered_at_average_cost() -> None:
    """4 at 100 are left of the first 10; with 4 more at 110 the average is 105."""
    fills = [
        fill(BUY, "10", "100", T0, pnl="0"),
        fill(SELL, "6", "120", T0 + HOUR, pnl="120"),
        fill(BUY, "4", "110", T0 + 2 * HOUR, pnl="0"),
    ]
    book = row(LONG, "4", seen=T0 + HOUR + 1000, changed=T0 + HOUR)
    shown = report(LONG, "8", entry="105", changed=T0 + 2 * HOUR)
    assert adjusted(decide_key(case(book, shown, history(fills)))).explained


@pytest.mark.parametrize(("learn", "changed"), [(True, T0), (False, VIEW - 100_000)], ids=["steady", "moved"])
def test_a_beginning_at_another_price_is_not_learned(learn: bool, changed: int) -> None:
    book = row(seen=T0 + 1000, changed=T0, entry="108")
    past = history([fill(BUY, "5", "100", T0, pnl="0", order="first")])
    assert verified(decide_key(case(book, report(entry="108", changed=changed), past, learn=learn))).lifecycle is None


def test_a_change_whose_fills_do_not_add_up_is_seen_again_first() -> None:
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "1", "110", T0 + HOUR)]  # 5 - 1 is not 3
    book = row(seen=T0 + 1000, changed=T0)
    seen = report(LONG, "3", changed=T0 + HOUR)
    first = suspected(decide_key(case(book, seen, history(fills))))
    assert (first.mark.kind, first.mark.count, first.wait_ms) == (MarkKind.CHANGED, 1, 30_000)
    assert "some are missing" in first.why
    mark = mark_of(book, MarkKind.CHANGED, detail=first.mark.detail)
    second = adjusted(decide_key(case(book, seen, history(fills), mark=mark)))
    assert (second.explained, second.lifecycle) == (False, None)
    assert "seen 2 times" in second.why


def test_a_change_that_no_fill_can_be_of_says_so() -> None:
    """All that the history holds is from long after the row was seen."""
    book = row(seen=T0 + 1000, changed=T0)
    past = history([fill(BUY, "3", "110", T0 + HOUR)])
    verdict = suspected(decide_key(case(book, report(LONG, "3", changed=T0 + HOUR), past)))
    assert verdict.why == "no fill tells how it came to this"


def test_a_change_with_a_failed_history_is_never_believed() -> None:
    book = row(seen=T0 + 1000, changed=T0)
    mark = mark_of(book, MarkKind.CHANGED, detail="3@100", count=5, first=VIEW - 10 * HOUR, last=VIEW - 1)
    verdict = suspected(decide_key(case(book, report(LONG, "3", changed=T0 + HOUR), history(failed="503"), mark=mark)))
    assert verdict.mark.count == 5


def test_other_numbers_start_the_count_again() -> None:
    book = row(seen=T0 + 1000, changed=T0)
    mark = mark_of(book, MarkKind.CHANGED, detail="4@100")
    past = history([fill(BUY, "5", "100", T0)])
    verdict = suspected(decide_key(case(book, report(LONG, "3", changed=T0 + HOUR), past, mark=mark)))
    assert (verdict.mark.count, verdict.mark.detail) == (1, "3@100")


def test_a_fill_newer_than_the_view_asks_for_a_newer_view() -> None:
    past = history([fill(BUY, "5", "100", T0), fill(SELL, "2", "110", VIEW)])
    book = row(seen=T0 + 1000, changed=T0)
    assert isinstance(decide_key(case(book, report(LONG, "3", changed=VIEW), past)), LookAgain)


def test_a_changed_row_whose_opening_was_not_read_is_read_further() -> None:
    past = history([fill(SELL, "2", "110", T0 + HOUR, closed="2")], since=T0 - LEAD_MS)
    book = row(seen=T0 + 10, changed=T0)
    assert isinstance(decide_key(case(book, report(LONG, "3", changed=T0 + HOUR), past)), NeedsHistory)


def test_a_row_never_seen_is_not_verified_by_what_stood_before_a_close() -> None:
    """A bot's row that came late, and an answer that is older than the close of the lifecycle that the row means."""
    stale = case(row(), report(changed=T0), None)
    assert isinstance(decide_key(stale), Verified)
    assert isinstance(decide_key(msgspec.structs.replace(stale, ended=(Ending(VIEW - 3_000, "x"),))), LookAgain)


def test_of_several_closes_the_last_tells_how_old_a_state_is() -> None:
    stale = case(row(), report(changed=VIEW - 30_000), None)
    ended = (Ending(VIEW - 50_000, "x"), Ending(VIEW - 3_000, "y"))
    assert isinstance(decide_key(msgspec.structs.replace(stale, ended=ended[:1])), NeedsHistory)
    assert isinstance(decide_key(msgspec.structs.replace(stale, ended=ended)), LookAgain)


def test_a_close_waits_until_the_fills_of_the_change_are_visible() -> None:
    changed = VIEW - 2_000
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "5", "110", T0 + HOUR, pnl="50"),
        fill(BUY, "5", "105", changed),
    ]
    book = row(LONG, "5", seen=T0 + 1_000, changed=T0)
    assert isinstance(decide_key(case(book, report(entry="105", changed=changed), history(fills))), Close)
    suspected(decide_key(case(book, report(entry="105", changed=changed + 1_500), history(fills))))


# a change that is not all visible


@pytest.mark.parametrize(("lag", "settled"), [(1_000, True), (1_001, False)])
def test_a_change_is_settled_by_a_fill_of_the_second_before_it(lag: int, settled: bool) -> None:
    changed = VIEW - 2_000
    fills = [
        fill(BUY, "5", "100", T0),
        fill(SELL, "5", "110", T0 + HOUR),
        fill(BUY, "5", "105", changed - lag),
    ]
    verdict = decide_key(case(row(seen=T0 + 1_000, changed=T0), report(entry="105", changed=changed), history(fills)))
    assert isinstance(verdict, Close) is settled


@pytest.mark.parametrize(("age", "settled"), [(60_000, True), (59_999, False)])
def test_a_change_that_is_older_than_the_grace_is_settled(age: int, settled: bool) -> None:
    past = history([fill(BUY, "5", "100", T0)])
    verdict = verified(decide_key(case(row(seen=T0 + 10, changed=T0), report(changed=VIEW - age), past)))
    assert verdict.settled is settled


def test_a_change_whose_fills_lag_is_not_believed_however_often_it_is_seen() -> None:
    """The fills seem to explain it, but the venue's change time says that there are more."""
    changed = VIEW - 100
    book = row(seen=T0 + 1_000, changed=T0)
    past = history([fill(BUY, "5", "100", T0), fill(SELL, "2", "110", T0 + HOUR)])
    lagging = case(book, report(LONG, "3", changed=changed), past)
    first = suspected(decide_key(lagging))
    assert first.mark.count == 0
    often = msgspec.structs.replace(first.mark, count=5, first_at_ms=T0, last_as_of_ms=VIEW - 1)
    assert suspected(decide_key(msgspec.structs.replace(lagging, mark=often))).mark.count == 5
    assert adjusted(decide_key(msgspec.structs.replace(lagging, as_of_ms=changed + 60_000))).explained


def test_fills_that_tell_no_leg_change_no_leg_of_a_hedge() -> None:
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "2", "110", T0 + HOUR)]
    book = row(seen=T0 + 1000, changed=T0)
    verdict = suspected(decide_key(case(book, report(LONG, "3", changed=T0 + HOUR, hedge=True), history(fills))))
    assert "position mode" in verdict.why


# a beginning that is learned


def _reopened() -> list[Fill]:
    """Closed and reopened at one price, then closed: what a net line is shifted by when the newest fills are hidden."""
    before = [fill(BUY, "10", "90", T0 - HOUR), fill(SELL, "10", "100", T0 - 60_000, pnl="100")]
    again = [fill(BUY, "10", "100", T0 - 60_000, order="earlier"), fill(SELL, "10", "99", T0 - 30_000, pnl="-10")]
    return [*before, *again, fill(BUY, "5", "100", T0, order="own")]


@pytest.mark.parametrize("hidden", [1, 2])
def test_a_beginning_is_not_learned_before_the_fills_of_the_venues_change_time_show(hidden: int) -> None:
    book, seen = row(), report(changed=T0)
    past = history(_reopened()[:-hidden])
    verdict = verified(decide_key(case(book, seen, past, as_of=T0 + 100, learn=True)))
    assert verdict.lifecycle is None


def test_a_beginning_is_learned_once_they_show() -> None:
    verdict = verified(decide_key(case(row(), report(changed=T0), history(_reopened()), as_of=T0 + 100, learn=True)))
    assert verdict.lifecycle is not None
    assert verdict.lifecycle.opening_order_id == "own"


def test_a_beginning_that_is_learned_is_written_although_no_refresh_is_due() -> None:
    book = row(seen=VIEW - 1, changed=T0)
    verdict = verified(decide_key(case(book, report(changed=T0), history([fill(BUY, "5", "100", T0)]), learn=True)))
    assert verdict.write
    assert verdict.lifecycle is not None


def test_a_beginning_is_looked_for_as_far_as_the_venue_remembers() -> None:
    book = row(seen=VIEW - 1, changed=T0)
    shown = report(changed=T0)
    unread = case(book, shown, history([fill(BUY, "2", "100", T0, closed="0")], since=T0 - LEAD_MS), learn=True)
    assert needs(decide_key(unread)).since_ms < T0 - LEAD_MS
    beyond = case(book, shown, history([fill(BUY, "2", "100", T0, closed="0")]), learn=True)
    assert verified(decide_key(beyond)).lifecycle is None


def test_an_empty_history_explains_no_other_entry_price() -> None:
    about = case(
        row(LONG, "5", seen=T0 + 1_000, changed=T0), report(LONG, "5", entry="75", changed=T0 + HOUR), history()
    )
    assert "no fill tells" in suspected(decide_key(about)).why
