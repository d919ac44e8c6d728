"""Venue positions that the book lacks: lesson 11, ADR 3."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from core_cases import (
    BUY,
    HOUR,
    LONG,
    SELL,
    SHORT,
    T0,
    VIEW,
    case,
    fill,
    history,
    mark_of,
    needs,
    policy,
    report,
)

from trueup.core.cases import Adopt, Ending, Ignore, LookAgain, Reject, Verdict
from trueup.core.decide import LEAD_MS, decide_key
from trueup.model.holds import MarkKind

D = Decimal
OPENED = [fill(BUY, "5", "100", T0, order="a")]


def adopted(verdict: Verdict) -> Adopt:
    assert isinstance(verdict, Adopt), verdict
    return verdict


def rejected(verdict: Verdict) -> Reject:
    assert isinstance(verdict, Reject), verdict
    return verdict


def missing_mark(first: int = VIEW - 30_000, count: int = 1):
    return mark_of(report(), MarkKind.MISSING, detail="", first=first, count=count)


def test_its_past_is_read_from_before_its_last_change() -> None:
    assert needs(decide_key(case(None, report(changed=T0)))).since_ms == T0 - LEAD_MS
    assert needs(decide_key(case(None, report()))).since_ms == VIEW - LEAD_MS


def test_it_is_adopted_with_the_order_of_its_opening() -> None:
    verdict = adopted(decide_key(case(None, report(changed=T0), history(OPENED))))
    assert (verdict.unverified, verdict.hold, verdict.why) == (False, False, "opened by order a")
    assert verdict.lifecycle is not None
    assert (verdict.lifecycle.opened_at_ms, verdict.lifecycle.realized_pnl) == (T0, None)


def test_partial_closes_before_the_adoption_are_part_of_it() -> None:
    fills = [*OPENED, fill(SELL, "2", "110", T0 + HOUR, pnl="20")]
    verdict = adopted(decide_key(case(None, report(LONG, "3"), history(fills))))
    assert verdict.lifecycle is not None
    assert (verdict.lifecycle.quantity, verdict.lifecycle.realized_pnl) == (D(3), D(20))


def test_after_a_flip_the_new_side_is_adopted_with_the_flipping_order() -> None:  # lesson 6
    fills = [*OPENED, fill(SELL, "8", "110", T0 + HOUR, order="flip", pnl="50")]
    verdict = adopted(decide_key(case(None, report(SHORT, "3", entry="110"), history(fills))))
    assert verdict.lifecycle is not None
    assert (verdict.lifecycle.opening_order_id, verdict.lifecycle.quantity) == ("flip", D(3))
    assert verdict.lifecycle.realized_pnl is None


def test_the_opening_is_looked_for_further_back() -> None:
    past = history([fill(BUY, "1", "100", T0)], since=T0 - LEAD_MS)
    assert needs(decide_key(case(None, report(), past))).since_ms < T0 - LEAD_MS


def test_without_an_opening_it_waits_for_a_second_view() -> None:
    verdict = rejected(decide_key(case(None, report(), history())))
    assert (verdict.mark.kind, verdict.mark.count, verdict.wait_ms) == (MarkKind.MISSING, 1, 30_000)


def test_seen_again_it_is_adopted_as_unverified() -> None:
    verdict = adopted(decide_key(case(None, report(), history(), mark=missing_mark())))
    assert (verdict.unverified, verdict.lifecycle) == (True, None)
    assert "seen by 2 views" in verdict.why


def test_a_failed_history_does_not_count_as_a_view() -> None:
    verdict = rejected(decide_key(case(None, report(), history(failed="503"), mark=missing_mark())))
    assert (verdict.mark, verdict.wait_ms) == (missing_mark(), None)


def test_fills_that_cannot_be_what_happened_are_no_opening() -> None:
    fills = [fill(BUY, "5", "100", T0, leg=LONG), fill(SELL, "9", "100", T0 + 1, leg=LONG)]
    rejected(decide_key(case(None, report(LONG, "1", hedge=True), history(fills))))


def test_a_fill_newer_than_the_view_asks_for_a_newer_view() -> None:
    assert isinstance(decide_key(case(None, report(), history([fill(BUY, "5", "100", VIEW)]))), LookAgain)


# what the operator chose


def test_ignored_positions_are_not_read_about() -> None:
    assert isinstance(decide_key(case(None, report(), rules=policy("ignore"))), Ignore)


def test_hold_waits_for_a_person() -> None:
    held = adopted(decide_key(case(None, report(), history(OPENED), rules=policy("hold"))))
    assert held.hold
    approved = adopted(decide_key(case(None, report(), history(OPENED), rules=policy("hold"), approved=True)))
    assert not approved.hold


def test_a_bot_is_given_time_to_write_its_own_row() -> None:
    rules = policy(after_ms=120_000)
    first = rejected(decide_key(case(None, report(), history(OPENED), rules=rules)))
    assert (first.wait_ms, first.mark.count) == (120_000, 1)
    assert "seen for 0 s of the 120 s" in first.why
    second = case(None, report(), history(OPENED), rules=rules, mark=missing_mark(VIEW - 119_000, count=3))
    assert "seen for 119 s of the 120 s" in rejected(decide_key(second)).why
    later = case(None, report(), history(OPENED), rules=rules, mark=missing_mark(VIEW - 119_999, count=3))
    assert rejected(decide_key(later)).wait_ms == 1
    due = case(None, report(), history(OPENED), rules=rules, mark=missing_mark(VIEW - 120_000, count=3))
    adopted(decide_key(due))


def test_while_a_bot_is_given_time_no_history_is_read() -> None:
    rejected(decide_key(case(None, report(), None, rules=policy(after_ms=120_000))))


def test_approval_does_not_wait() -> None:
    rules = policy("hold", after_ms=120_000)
    adopted(decide_key(case(None, report(), history(OPENED), rules=rules, approved=True)))
    unverified = adopted(decide_key(case(None, report(), history(), rules=rules, approved=True)))
    assert unverified.unverified


def test_an_opening_beyond_the_reach_is_unverified() -> None:
    past = history([fill(BUY, "1", "120", T0)])  # 4 of the 5 were there before
    rejected(decide_key(case(None, report(), past)))
    verdict = adopted(decide_key(case(None, report(), past, mark=missing_mark())))
    assert verdict.unverified


# answers that are older than what the book knows, or than each other


def ended(at: int, order: str | None = "x") -> tuple[Ending, ...]:
    return (Ending(at, order),)


def test_a_position_that_the_book_has_closed_just_now_is_not_adopted_again() -> None:
    """Found by the simulation: the stream had told of the close, an answer seconds old still showed it open."""
    stale = case(None, report(changed=T0), history([fill(BUY, "5", "100", T0, pnl="0")]))
    assert isinstance(decide_key(stale), Adopt)
    for closed_at in (VIEW - 3_000, VIEW - 60_000):
        assert isinstance(decide_key(msgspec.structs.replace(stale, ended=ended(closed_at))), LookAgain)


def test_a_state_from_the_second_of_its_close_is_told_by_its_opening() -> None:
    changed = VIEW - 3_000
    stale = case(None, report(changed=changed), history([fill(BUY, "5", "100", changed, pnl="0")]))
    assert isinstance(decide_key(msgspec.structs.replace(stale, ended=ended(changed + 500))), LookAgain)


def test_what_was_reopened_is_adopted() -> None:
    reopened = VIEW - 2_000
    fresh = case(None, report(changed=reopened), history([fill(BUY, "5", "100", reopened, pnl="0")]))
    assert isinstance(decide_key(msgspec.structs.replace(fresh, ended=ended(reopened))), Adopt)


@pytest.mark.parametrize("at", [ended(VIEW - 3_000, None), ended(VIEW - 60_001)], ids=["unproven", "long-ago"])
def test_what_still_stands_after_a_close_is_adopted(at: tuple[Ending, ...]) -> None:
    """A close on absence is an estimate; and no answer is older than a minute."""
    open_still = case(None, report(changed=T0), history([fill(BUY, "5", "100", T0, pnl="0")]))
    assert isinstance(decide_key(msgspec.structs.replace(open_still, ended=at)), Adopt)


def test_a_position_whose_newest_fill_is_not_visible_waits_for_it() -> None:
    changed = VIEW - 2_000
    past = history([fill(SELL, "5", "100", T0, pnl="0"), fill(BUY, "5", "101", T0 + HOUR, pnl="-5")])
    verdict = decide_key(case(None, report(changed=changed), past))
    assert isinstance(verdict, Reject)
    assert (verdict.wait_ms, verdict.mark.count) == (58_000, 0)  # such a view does not count


def test_fills_whose_profits_cannot_be_tell_no_opening() -> None:
    """A net line with a fill missing at its end: what opened seems to close, with no profit although the price had moved."""
    fills = [
        fill(SELL, "12", "100", T0, pnl="0"),
        fill(BUY, "12", "90", T0 + HOUR, pnl="120", order="b"),
        fill(SELL, "2", "95", T0 + 2 * HOUR, pnl="0"),
    ]
    rejected(decide_key(case(None, report(changed=T0 + 2 * HOUR), history(fills))))
    fills[-1] = fill(SELL, "2", "95", T0 + 2 * HOUR, pnl="10")
    told = adopted(decide_key(case(None, report(changed=T0 + 2 * HOUR), history(fills))))
    assert told.lifecycle is not None
    assert told.lifecycle.opening_order_id == "b"
