"""What is read, and what is told, of a lifecycle whose beginning, fees, funding or orders are not all known."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from core_cases import (
    BUY,
    DAY,
    HOUR,
    LONG,
    REACH,
    SELL,
    T0,
    VIEW,
    case,
    closed,
    decide_close,
    fill,
    history,
    needs,
    report,
    row,
    suspected,
)

from trueup.core.cases import History
from trueup.core.decide import LEAD_MS, decide_key
from trueup.model.orders import Funding
from trueup.model.positions import Position

D = Decimal
OLD = REACH - DAY
WHOLE = [fill(BUY, "5", "100", T0, pnl="0", fee="0.2"), fill(SELL, "5", "110", T0 + HOUR, pnl="50", fee="0.2")]


def older_row(quantity: str, entry: str, seen: int, changed: int | None = None) -> Position:
    """A row that opened before the venue's memory."""
    return row(LONG, quantity, entry=entry, opened=OLD, seen=seen, changed=changed)


# the entry of what was there before the history


@pytest.mark.parametrize("scale", ["1", "0.1", "0.001"])
def test_what_was_added_before_the_view_is_taken_out_of_the_rows_entry(scale: str) -> None:
    """5 at 100 before the reach, 5 at 200 in the last millisecond before the view: it showed 10 at 150."""
    part, whole = str(D(5) * D(scale)), str(D(10) * D(scale))
    fills = [fill(BUY, part, "200", T0, closed="0"), fill(SELL, whole, "300", T0 + HOUR, closed=whole)]
    verdict = decide_close(older_row(whole, "150", seen=T0 + 1), fills)
    assert verdict.details.realized_pnl == D(1500) * D(scale)
    assert verdict.lifecycle is not None
    assert verdict.lifecycle.entry_price == D(150)


@pytest.mark.parametrize("entry", ["100", "80"])
def test_an_entry_that_the_fills_contradict_is_no_entry(entry: str) -> None:
    """Less what was paid for 5 of the 10, nothing or less would have been paid for the rest."""
    fills = [fill(BUY, "5", "200", T0, closed="0"), fill(SELL, "10", "300", T0 + HOUR, closed="10")]
    verdict = decide_close(older_row("10", entry, seen=T0 + 1000, changed=T0), fills)
    assert (verdict.details.realized_pnl, verdict.details.pnl_percentage) == (None, None)
    assert verdict.lifecycle is not None
    assert verdict.lifecycle.entry_price is None


def test_a_close_within_the_second_of_the_venues_change_time_is_told_with_the_rows_entry() -> None:
    fills = [fill(SELL, "5", "110", T0 + 500, closed="5")]
    details = decide_close(older_row("5", "100", seen=T0 + 100, changed=T0), fills).details
    assert details.realized_pnl == D(50)


# fees, funding, orders


def test_funding_that_was_read_from_the_opening_on_is_known() -> None:
    payment = Funding(symbol="BTC/USDT:USDT", payment_id="1", side=None, amount=D(-1), asset="USDT", at_ms=T0 + 1)
    past = history(WHOLE, funding=[payment], funding_since=T0)
    details = closed(decide_key(case(row(), None, past))).details
    assert (details.funding, details.net_pnl) == (D(-1), D("48.6"))


def test_a_fee_that_is_not_stated_leaves_the_net_profit_unknown() -> None:
    unstated = [WHOLE[0], fill(SELL, "5", "110", T0 + HOUR, pnl="50", fee=None)]
    details = decide_close(row(), unstated).details
    assert (details.realized_pnl, details.net_pnl) == (D(50), None)


def test_fees_before_the_history_leave_the_net_profit_unknown() -> None:
    past = history([fill(SELL, "5", "110", T0, closed="5", fee="0.2")], funding_since=OLD)
    details = closed(decide_key(case(older_row("5", "100", seen=T0 - HOUR), None, past))).details
    assert (details.realized_pnl, details.funding, details.net_pnl) == (D(50), D(0), None)


def test_a_close_whose_orders_were_not_read_is_told_all_the_same() -> None:
    """Its fill says who made it: there was no order to ask for."""
    past = msgspec.structs.replace(history(WHOLE), orders=None)
    assert closed(decide_key(case(row(), None, past))).details.realized_pnl == D(50)
    assert case(row(), None, past).order_record("x") is None
    assert case(row(), None, history(WHOLE)).order_record(None) is None


# what is asked for


def test_the_first_question_is_for_fills_only() -> None:
    verdict = needs(decide_key(case(row(), None)))
    assert (verdict.order_ids, verdict.want_funding_since_ms) == ((), None)
    assert not verdict.want_closed_pnl
    assert not verdict.want_surface


def test_the_past_of_a_row_without_a_sensible_time_begins_with_time_itself() -> None:
    assert needs(decide_key(case(row(opened=5), None))).since_ms == 0


def test_funding_is_asked_from_the_opening_on_not_from_when_the_bot_wrote_its_row() -> None:
    fills = [fill(BUY, "5", "100", T0 - 500), fill(SELL, "5", "110", T0 + HOUR)]
    verdict = needs(decide_key(case(row(), None, history(fills, asked=()))))
    assert (verdict.want_funding_since_ms, verdict.since_ms) == (T0 - 500, REACH)


def test_where_the_opening_is_not_known_funding_is_asked_from_the_rows_own_time_on() -> None:
    past = history([fill(SELL, "5", "110", T0, closed="5")], asked=("surface",))
    verdict = needs(decide_key(case(older_row("5", "100", seen=T0 - HOUR), None, past)))
    assert verdict.want_funding_since_ms == OLD


def test_the_order_of_a_partial_close_is_not_asked_for() -> None:
    """Reopened and reduced meanwhile: what reduced it ended nothing."""
    fills = [
        *WHOLE[:1],
        fill(SELL, "5", "110", T0 + HOUR, pnl="50", order="exit"),
        fill(BUY, "5", "100", T0 + 2 * HOUR, pnl="0"),
        fill(SELL, "2", "110", T0 + 3 * HOUR, pnl="20", order="partial"),
    ]
    seen = report(LONG, "3", changed=T0 + 3 * HOUR)
    verdict = needs(decide_key(case(row(seen=T0 + 10, changed=T0), seen, history(fills, asked=()))))
    assert verdict.order_ids == ("exit",)


@pytest.mark.parametrize(
    ("since", "reads_from"),
    [
        (T0 - LEAD_MS, T0 - LEAD_MS - 28 * DAY),
        (T0 - 60 * DAY, T0 - 60 * DAY - (VIEW + 50 - T0 + 60 * DAY)),
        (5, 0),
    ],
    ids=["four-weeks-at-least", "doubled", "not-before-time-itself"],
)
def test_how_far_back_one_more_question_reaches(since: int, reads_from: int) -> None:
    past = history([fill(SELL, "5", "110", T0 + HOUR, closed="5")], since=since, reach=min(REACH, since - 1))
    verdict = needs(decide_key(case(row(seen=T0 + 10, changed=T0), None, past)))
    assert verdict.since_ms == reads_from


def test_a_call_that_failed_before_any_fill_was_read_decides_nothing() -> None:
    verdict = suspected(decide_key(case(row(), None, History(failed="503"))))
    assert "503" in verdict.why
    assert needs(decide_key(case(row(), None, History()))).since_ms == T0 - LEAD_MS
