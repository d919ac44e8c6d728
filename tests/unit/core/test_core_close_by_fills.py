"""A row that fills close: lessons 4, 5, 6, 7, 9, 10, 16, 19, 20, 25 as far as one key's decision goes."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from core_cases import (
    BUY,
    DAY,
    HOUR,
    INVERSE,
    LONG,
    REACH,
    SELL,
    SHORT,
    T0,
    VIEW,
    case,
    closed,
    decide_close,
    fill,
    history,
    mark_of,
    needs,
    record,
    report,
    row,
    suspected,
)

from trueup.core.cases import Close, Ending, LeaveYoung, LookAgain, NeedsHistory, Suspect
from trueup.core.decide import LEAD_MS, decide_key, past_of
from trueup.core.lifecycles import Trace
from trueup.core.rebuild import fits
from trueup.model.observations import SurfaceVerdict
from trueup.model.orders import Fill, FillKind, Funding, OrderKind
from trueup.model.positions import Amount, Evidence, ExitReason, Position

D = Decimal


def paid(amount: str, at: int) -> Funding:
    return Funding(symbol="BTC/USDT:USDT", payment_id=str(at), side=None, amount=D(amount), asset="USDT", at_ms=at)


# exact closes


def test_a_row_may_tell_of_any_state_of_its_millisecond() -> None:
    at = T0 + HOUR
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "2", "110", at, pnl="20", order="take profit"),
        fill(SELL, "3", "110", at, pnl="30", order="x"),
    ]
    between, never = (row(quantity=quantity, seen=at + 1, changed=at) for quantity in ("3", "4"))
    past = past_of(case(between, None, history(fills)), T0)
    assert isinstance(past, Trace)
    (segment,) = past.segments
    assert fits(between, segment, past)
    assert not fits(never, segment, past)


def test_a_level_of_an_earlier_millisecond_is_not_that_one() -> None:
    at = T0 + HOUR
    book = row(quantity="3", seen=at + 1, changed=at)
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "2", "110", at - 1, pnl="20"),
        fill(SELL, "1", "110", at, pnl="10"),
        fill(SELL, "2", "110", at + 500, pnl="20", order="x"),
    ]
    assert isinstance(decide_key(case(book, None, history(fills))), Suspect)


def test_long_closed_behind_the_bots_back_binance() -> None:
    fills = [
        fill(BUY, "5", "100", T0, pnl="0", fee="0.2"),
        fill(SELL, "5", "110", T0 + HOUR, pnl="50", fee="0.22", order="x"),
    ]
    past = history(
        fills, orders=[record("x", kind=OrderKind.MARKET)], funding=[paid("-0.5", T0 + 1000), paid("-9", T0 - 1)]
    )
    verdict = closed(decide_key(case(row(), None, past)))
    details = verdict.details
    assert details.evidence is Evidence.FILLS
    assert not details.estimated
    assert details.complete
    assert (details.quantity, details.exit_price, details.realized_pnl) == (D(5), D(110), D(50))
    assert details.fees == (Amount(asset="USDT", amount=D("0.42")),)
    assert (details.funding, details.net_pnl) == (D("-0.5"), D("49.08"))
    assert details.pnl_percentage == D("10.0000")
    assert (details.closed_at_ms, details.closing_order_id) == (T0 + HOUR, "x")
    assert details.exit_reason is ExitReason.EXTERNAL
    assert verdict.successors == ()
    assert verdict.why == "1 closing fill took it to zero"


def test_short_closed_with_a_loss_bybit() -> None:
    fills = [
        fill(SELL, "5", "100", T0, closed="0", value="500", fee="0.275"),
        fill(BUY, "2", "103", T0 + HOUR, closed="2", value="206", fee="0.1133"),
        fill(BUY, "3", "105", T0 + 2 * HOUR, closed="3", value="315", fee="0.17325", by="stop_loss"),
    ]
    details = decide_close(row(SHORT), fills).details
    assert (details.quantity, details.exit_price, details.realized_pnl) == (D(5), D("104.2"), D(-21))
    assert details.fees == (Amount(asset="USDT", amount=D("0.56155")),)
    assert details.net_pnl == D("-21.56155")
    assert details.exit_reason is ExitReason.STOP_LOSS


def test_inverse_long_is_booked_in_the_coin() -> None:
    fills = [
        fill(BUY, "100", "20000", T0, closed="0", value="0.005", symbol=INVERSE.symbol, asset="BTC", fee="0.00000275"),
        fill(SELL, "100", "25000", T0 + 1, closed="100", value="0.004", symbol=INVERSE.symbol, asset="BTC", fee="0"),
    ]
    book = row(LONG, "100", entry="20000", symbol=INVERSE.symbol)
    details = decide_close(book, fills, instrument=INVERSE).details
    assert (details.settle_asset, details.realized_pnl, details.net_pnl) == ("BTC", D("0.001"), D("0.00099725"))
    assert details.pnl_percentage == D("20.0000")


def test_partial_closes_are_part_of_the_whole_lifecycles_amounts() -> None:  # lesson 5
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "2", "110", T0 + 1, pnl="20"),
        fill(BUY, "1", "130", T0 + 2, pnl="0"),
        fill(SELL, "4", "120", T0 + HOUR, pnl="50"),
    ]
    book = row(LONG, "4", entry="107.5", seen=T0 + 10_000, changed=T0 + 2)
    details = decide_close(book, fills).details
    assert (details.quantity, details.realized_pnl) == (D(6), D(70))
    assert details.exit_price == D("116.666666666667")


def test_several_prices_and_two_fee_assets() -> None:
    fills = [
        fill(BUY, "3", "100", T0, pnl="0", fee="0.0002", asset="BNB"),
        fill(BUY, "2", "101", T0 + 1, pnl="0", fee="0.08"),
        fill(SELL, "1", "110", T0 + HOUR, pnl="9.6", fee="0.0001", asset="BNB"),
        fill(SELL, "4", "112", T0 + HOUR, pnl="46.4", fee="0.18"),
    ]
    verdict = decide_close(row(LONG, "5", entry="100.4"), fills)
    assert verdict.lifecycle is not None
    assert verdict.lifecycle.entry_price == D("100.4")
    assert verdict.details.exit_price == D("111.6")
    assert verdict.details.realized_pnl == D("56.0")
    assert verdict.details.fees == (Amount(asset="BNB", amount=D("0.0003")), Amount(asset="USDT", amount=D("0.26")))
    assert verdict.details.net_pnl is None  # two assets: not known in one


def test_hedge_funding_on_binance_is_not_attributed() -> None:
    fills = [
        fill(BUY, "5", "100", T0, pnl="0", leg=LONG),
        fill(SELL, "5", "110", T0 + HOUR, pnl="50", leg=LONG),
    ]
    past = history(fills, funding=[paid("-0.5", T0 + 1000)])
    details = closed(decide_key(case(row(), None, past))).details
    assert (details.realized_pnl, details.funding, details.net_pnl) == (D(50), None, None)


def test_funding_that_the_venue_no_longer_keeps_is_unknown_not_part_of_it() -> None:
    opened = VIEW - 120 * DAY
    fills = [fill(BUY, "5", "100", opened, pnl="0"), fill(SELL, "5", "110", T0 + HOUR, pnl="50")]
    past = history(fills, funding=[paid("-0.5", T0 + 1000)], funding_since=VIEW - 89 * DAY)
    details = closed(decide_key(case(row(opened=opened), None, past))).details
    assert (details.realized_pnl, details.funding, details.net_pnl) == (D(50), None, None)


# several lifecycles between two looks


def test_flip_closes_the_one_and_leaves_the_other_to_its_own_key() -> None:  # lesson 6
    fills = [
        fill(BUY, "5", "100", T0, pnl="0", fee="0.5"),
        fill(SELL, "8", "110", T0 + HOUR, pnl="50", fee="0.8"),
    ]
    verdict = closed(decide_key(case(row(), None, history(fills), opposite=report(SHORT, "3", entry="110"))))
    assert (verdict.details.quantity, verdict.details.realized_pnl) == (D(5), D(50))
    assert verdict.details.fees == (Amount(asset="USDT", amount=D("1.0")),)
    assert verdict.successors == ()


def test_flip_and_back_to_flat_tells_both_lifecycles() -> None:
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "8", "110", T0 + HOUR, pnl="50"),
        fill(BUY, "3", "105", T0 + 2 * HOUR, pnl="15"),
    ]
    verdict = decide_close(row(), fills)
    (short,) = verdict.successors
    assert (short.side, short.quantity, short.realized_pnl) == (SHORT, D(3), D(15))
    assert short.close is not None
    assert short.close.closed_at_ms == T0 + 2 * HOUR


def test_flip_and_back_to_flat_tells_both_lifecycles_bybit() -> None:
    """Bybit's fills are traced leg by leg; the flip's own fill chains the one lifecycle to the other."""
    fills = [
        fill(SELL, "9", "100", T0 - 2000, closed="0", order="another"),  # a short of before: none of the row's business
        fill(BUY, "9", "100", T0 - 1000, closed="9"),
        fill(BUY, "5", "100", T0, closed="0"),
        fill(SELL, "8", "110", T0 + HOUR, closed="5"),
        fill(BUY, "3", "105", T0 + 2 * HOUR, closed="3"),
    ]
    verdict = decide_close(row(), fills)
    assert verdict.details.realized_pnl == D(50)
    (short,) = verdict.successors
    assert (short.side, short.quantity, short.realized_pnl, short.opened_at_ms) == (SHORT, D(3), D(15), T0 + HOUR)


def test_flip_and_flip_back_tells_all_three_lifecycles_bybit() -> None:
    fills = [
        fill(BUY, "5", "100", T0, closed="0"),
        fill(SELL, "8", "110", T0 + HOUR, closed="5"),
        fill(BUY, "7", "105", T0 + 2 * HOUR, closed="3"),
    ]
    book = row(seen=T0 + 10, changed=T0)
    verdict = closed(decide_key(case(book, report(LONG, "4", entry="105", changed=T0 + 2 * HOUR), history(fills))))
    assert [(one.side, one.quantity, one.close is None) for one in verdict.successors] == [
        (SHORT, D(3), False),
        (LONG, D(4), True),
    ]


def test_a_leg_is_closed_by_fills_of_before_the_mode_was_switched() -> None:
    """They tell no leg, and the other leg that stands by now is not theirs."""
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "5", "110", T0 + HOUR)]
    verdict = decide_key(case(row(), None, history(fills), opposite=report(SHORT, "3", hedge=True)))
    assert closed(verdict).details.realized_pnl == D(50)


def test_a_flip_on_bybit_closes_the_one_side_beside_the_other() -> None:
    """Its fills tell the legs: the other side's quantity is no part of this one's line."""
    fills = [fill(BUY, "5", "100", T0, closed="0"), fill(SELL, "8", "110", T0 + HOUR, closed="5")]
    verdict = closed(decide_key(case(row(), None, history(fills), opposite=report(SHORT, "3", entry="110"))))
    assert (verdict.details.quantity, verdict.details.realized_pnl) == (D(5), D(50))
    assert verdict.successors == ()


@pytest.mark.parametrize(
    ("told", "apart_ms"),
    [
        ([("b1", "5", "5"), ("b2", "5", "0")], 0),
        ([("b2", "5", "5"), ("b1", "5", "0")], 0),
        ([("b2", "3", "3"), ("b1", "4", "2"), ("b3", "3", "0")], 0),
        ([("b3", "3", "3"), ("b2", "4", "2"), ("b1", "3", "0")], 0),
        ([("b1", "5", "5"), ("b2", "5", "0")], 900),
    ],
    ids=["at-zero", "at-zero-ids-turned", "across", "across-ids-turned", "resting"],
)
def test_a_flip_in_several_fills_of_its_order_is_one_bybit(told: list[tuple[str, str, str]], apart_ms: int) -> None:
    flip = [
        fill(SELL, quantity, "110", T0 + HOUR + place * apart_ms, closed=gone, order="flip", trade=trade)
        for place, (trade, quantity, gone) in enumerate(told)
    ]
    back = fill(BUY, "5", "105", T0 + 2 * HOUR, closed="5")
    verdict = decide_close(row(), [fill(BUY, "5", "100", T0, closed="0"), *flip, back])
    assert verdict.details.realized_pnl == D(50)
    assert [(one.side, one.quantity, one.realized_pnl) for one in verdict.successors] == [(SHORT, D(5), D(25))]


def test_what_the_closing_order_opened_before_is_no_flip_bybit() -> None:
    """A resting order that opened a short, which ended, and later closed the long of the row."""
    fills = [
        fill(SELL, "2", "100", T0 - 2000, closed="0", order="resting"),
        fill(BUY, "2", "100", T0 - 1000, closed="2"),
        fill(BUY, "5", "100", T0, closed="0"),
        fill(SELL, "5", "110", T0 + HOUR, closed="5", order="resting"),
    ]
    assert decide_close(row(), fills).successors == ()


def test_the_other_leg_of_a_hedge_is_no_successor() -> None:
    fills = [
        fill(BUY, "5", "100", T0, closed="0"),
        fill(SELL, "3", "100", T0 + 1, closed="0"),
        fill(SELL, "5", "110", T0 + HOUR, closed="5"),
        fill(BUY, "3", "105", T0 + 2 * HOUR, closed="3"),
    ]
    assert decide_close(row(), fills).successors == ()


def test_closed_and_reopened_with_the_same_size_and_price_is_two_lifecycles() -> None:  # lesson 7
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "5", "103", T0 + HOUR, pnl="15"),
        fill(BUY, "5", "100", T0 + 2 * HOUR, pnl="0", order="again"),
    ]
    book = row(seen=T0 + 1000, changed=T0)
    verdict = closed(decide_key(case(book, report(changed=T0 + 2 * HOUR), history(fills))))
    assert verdict.details.realized_pnl == D(15)
    (again,) = verdict.successors
    assert (again.close, again.quantity, again.opening_order_id) == (None, D(5), "again")
    assert verdict.report is not None


def test_closed_and_reopened_before_the_first_look_is_two_lifecycles() -> None:  # lesson 7, a bot's row
    fills = [
        fill(BUY, "5", "100", T0 - 500, pnl="0"),
        fill(SELL, "5", "103", T0 + HOUR, pnl="15"),
        fill(BUY, "5", "100", T0 + 2 * HOUR, pnl="0"),
    ]
    seen = report(changed=T0 + 2 * HOUR)
    assert isinstance(decide_key(case(row(), seen)), NeedsHistory)
    verdict = closed(decide_key(case(row(), seen, history(fills))))
    assert verdict.details.realized_pnl == D(15)


def test_three_lifecycles_between_two_looks_each_with_its_own_amounts() -> None:
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "5", "101", T0 + 1000, pnl="5"),
        fill(BUY, "2", "102", T0 + 2000, pnl="0"),
        fill(SELL, "2", "104", T0 + 3000, pnl="4"),
        fill(BUY, "1", "105", T0 + 4000, pnl="0"),
    ]
    book = row(seen=T0 + 500, changed=T0)
    verdict = closed(decide_key(case(book, report(LONG, "1", entry="105", changed=T0 + 4000), history(fills))))
    assert [s.realized_pnl for s in verdict.successors] == [D(4), None]


def test_the_rows_own_lifecycle_is_told_by_its_opening_order() -> None:  # lesson 16
    fills = [
        fill(BUY, "5", "100", T0, order="a"),
        fill(SELL, "5", "101", T0 + 1000),
        fill(BUY, "5", "200", T0 + 2000, order="b"),
        fill(SELL, "5", "201.5", T0 + 3000),
    ]
    assert decide_close(row(order="b", opened=T0 + 2000), fills).details.realized_pnl == D("7.5")


def test_an_order_that_opened_twice_is_told_by_the_moment_that_was_seen() -> None:
    fills = [
        fill(BUY, "5", "100", T0, order="a"),
        fill(SELL, "5", "90", T0 + 1000),
        fill(BUY, "5", "100", T0 + 2000, order="a"),
        fill(SELL, "5", "103", T0 + HOUR),
    ]
    book = row(order="a", seen=T0 + 60_000, changed=T0 + 2000)
    assert decide_close(book, fills).details.realized_pnl == D(15)


REOPENED_AT = VIEW - 100_000
HIDDEN = [
    fill(BUY, "1", "100", T0, pnl="0", order="first", trade="700001"),
    fill(SELL, "1", "96", REOPENED_AT - 500, pnl="-4", order="out"),
    fill(BUY, "1", "108", REOPENED_AT, pnl="0", order="second"),
    fill(SELL, "1", "110", VIEW + 30_000, pnl="2", order="end"),
]


@pytest.mark.parametrize(
    ("book", "trades", "booked"),
    [
        ({"order": "first"}, ["700001"], [-4, 2]),
        ({"order": "first"}, [], [-4, 2]),
        ({}, ["700001"], [-4, 2]),
        ({"order": "second"}, [], [2]),
        ({"created_at_ms": REOPENED_AT - 499}, ["700001"], [2]),
    ],
    ids=["both", "order", "fill", "the-second", "written-since"],
)
def test_a_row_is_closed_by_its_own_although_the_next_was_shown_before_a_fill_was_visible(
    book: dict[str, object], trades: list[str], booked: list[int]
) -> None:
    """The history lagged for longer than the grace: the row has the reopening's numbers, seen twice and not explained."""
    shown = row(LONG, "1", **({"entry": "108", "seen": VIEW, "changed": REOPENED_AT} | book))  # type: ignore[arg-type]
    verdict = closed(decide_key(case(shown, None, history(HIDDEN), as_of=VIEW + 60_000, trades=trades)))
    assert [verdict.details.realized_pnl, *(one.realized_pnl for one in verdict.successors)] == booked


def test_what_was_shown_after_the_rows_own_end_must_be_a_later_lifecycle_of_its_quantity() -> None:
    other = row(LONG, "2", entry="108", seen=VIEW, changed=REOPENED_AT, order="first")
    suspected(decide_key(case(other, None, history(HIDDEN), as_of=VIEW + 60_000)))


def test_a_bots_row_is_the_lifecycle_that_opened_when_it_was_written() -> None:
    # The bot's clock lags: its row seems to be written while the lifecycle before was still open.
    fills = [
        fill(BUY, "5", "100", T0 - HOUR),
        fill(SELL, "5", "150", T0 + 1000),
        fill(BUY, "5", "200", T0 + 2000),
        fill(SELL, "5", "201", T0 + HOUR),
    ]
    assert decide_close(row(entry="200", opened=T0), fills).details.realized_pnl == D(5)


def test_hedge_legs_are_closed_apart() -> None:  # lesson 9
    fills = [
        fill(BUY, "5", "100", T0, pnl="0", leg=LONG),
        fill(SELL, "5", "100", T0, pnl="0", leg=SHORT),
        fill(SELL, "5", "110", T0 + HOUR, pnl="50", leg=LONG),
    ]
    short = report(SHORT, "5", hedge=True, changed=T0)
    verdict = closed(decide_key(case(row(), None, history(fills), opposite=short)))
    assert (verdict.details.realized_pnl, verdict.successors) == (D(50), ())
    stays = decide_key(case(row(SHORT, seen=T0 + 10, changed=T0), short, history(fills)))
    assert type(stays).__name__ == "Verified"


# why it ended


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (FillKind.LIQUIDATION, ExitReason.LIQUIDATION),
        (FillKind.ADL, ExitReason.ADL),
        (FillKind.SETTLEMENT, ExitReason.SETTLEMENT),
    ],
)
def test_the_venues_own_closes_are_named(kind: FillKind, reason: ExitReason) -> None:  # lesson 19
    fills = [
        fill(BUY, "5", "100", T0, closed="0"),
        fill(SELL, "5", "80", T0 + HOUR, closed="5", kind=kind, order_kind=OrderKind.STOP),
    ]
    assert decide_close(row(), fills).details.exit_reason is reason


# what must be read first


def test_the_past_is_read_from_before_the_rows_beginning() -> None:
    verdict = needs(decide_key(case(row(), None)))
    assert verdict.since_ms == T0 - LEAD_MS


def test_the_closing_order_and_the_funding_are_asked_for() -> None:
    fills = [fill(BUY, "5", "100", T0, order="a"), fill(SELL, "5", "110", T0 + HOUR, order="z")]
    verdict = needs(decide_key(case(row(), None, history(fills, asked=()))))
    assert (verdict.order_ids, verdict.want_funding_since_ms) == (("z",), T0)


def test_an_order_whose_maker_the_fill_tells_is_not_asked_for() -> None:
    fills = [fill(BUY, "5", "100", T0, closed="0"), fill(SELL, "5", "110", T0 + HOUR, closed="5", by="user")]
    verdict = needs(decide_key(case(row(), None, history(fills, asked=()))))
    assert (verdict.order_ids, verdict.want_funding_since_ms) == ((), T0)


AHEAD = T0 + 9 * HOUR
"""What a bot in UTC+9 writes for `T0` when it forgets the offset."""


@pytest.mark.parametrize("opened", [AHEAD, T0 + 2000])
def test_of_a_row_that_was_seen_the_past_is_read_from_before_the_state_that_was(opened: int) -> None:
    verdict = needs(decide_key(case(row(opened=opened, seen=T0 + 1000, changed=T0), None)))
    assert verdict.since_ms == T0 - LEAD_MS


def test_no_past_is_read_from_a_moment_that_is_to_come() -> None:
    assert needs(decide_key(case(row(opened=AHEAD), None))).since_ms == VIEW - LEAD_MS


def test_a_row_that_its_bot_dated_hours_ahead_is_closed_by_its_fills() -> None:
    fills = [fill(BUY, "5", "100", T0, pnl="0"), fill(SELL, "5", "90", T0 + HOUR, pnl="-50", order="stop")]
    book = row(opened=AHEAD, seen=T0 + 1000, changed=T0)
    verdict = closed(decide_key(case(book, None, history(fills, since=T0 - LEAD_MS))))
    assert (verdict.details.evidence, verdict.details.realized_pnl) == (Evidence.FILLS, D(-50))
    assert verdict.lifecycle is not None
    assert verdict.lifecycle.opened_at_ms == T0


def test_the_funding_of_a_row_that_is_dated_ahead_and_began_before_the_history_is_read_from_when_it_was_seen() -> None:
    past = history([fill(SELL, "5", "110", T0 + HOUR, closed="5", by="user")], asked=("surface",))
    verdict = needs(decide_key(case(row(opened=AHEAD, seen=T0 + 1000, changed=T0), None, past)))
    assert verdict.want_funding_since_ms == T0


@pytest.mark.parametrize("seen", [None, report(LONG, "5", changed=T0 + 2 * HOUR)])
def test_the_whole_lifecycle_is_looked_for_before_it_is_closed(seen: object) -> None:
    """An opening before what was read: further back, also where the view shows it reopened."""
    fills = [fill(SELL, "5", "110", T0 + HOUR, closed="5")]
    if seen is not None:
        fills.append(fill(BUY, "5", "100", T0 + 2 * HOUR, closed="0"))
    past = history(fills, since=T0 - LEAD_MS)
    verdict = needs(decide_key(case(row(seen=T0 + 10, changed=T0), seen, past)))  # type: ignore[arg-type]
    assert verdict.since_ms < T0 - LEAD_MS


def test_reading_further_back_doubles_what_was_read() -> None:
    """So that two years take a handful of rounds, not one for each month."""
    spans = []
    since = T0 - LEAD_MS
    while True:
        verdict = decide_key(case(row(seen=T0 + 10), report(LONG, "3", changed=T0 + HOUR), history(since=since)))
        if not isinstance(verdict, NeedsHistory):
            break
        spans.append(since - verdict.since_ms)
        since = max(verdict.since_ms, REACH)
    assert len(spans) <= 4
    assert spans == sorted(spans)


def test_a_history_that_begins_with_time_itself_is_not_read_for_ever() -> None:
    past = history([fill(SELL, "5", "110", T0 + HOUR, closed="5")], since=0, reach=-5 * DAY)
    assert not isinstance(decide_key(case(row(seen=T0 + 10, changed=T0), None, past)), NeedsHistory)


def test_an_opening_beyond_the_reach_is_told_as_incomplete() -> None:
    fills = [fill(SELL, "2", "110", T0 + 1, closed="2"), fill(SELL, "3", "120", T0 + HOUR, closed="3")]
    book = row(LONG, "3", entry="100", opened=REACH - DAY, seen=T0 + 10, changed=T0 + 1)
    details = decide_close(book, fills).details
    assert (details.complete, details.quantity, details.realized_pnl, details.net_pnl) == (False, D(5), D(80), None)


def test_a_lifecycle_older_than_the_history_ends_only_where_the_second_surface_does_not_show_it_open() -> None:
    """Its line has no beginning that is known: bought 2 long ago, sold 1, the bot wrote 1, and one answer was empty."""
    fills = [fill(SELL, "1", "110", T0 + HOUR)]
    book = row(LONG, "1", opened=REACH - DAY, seen=T0, changed=T0 - HOUR)
    asked = ("orders", "funding", "closed_pnl")
    assert needs(decide_key(case(book, None, history(fills, asked=asked)))).want_surface
    suspected(decide_key(case(book, None, history(fills), surface=SurfaceVerdict.OPEN)))
    assert isinstance(decide_key(case(book, None, history(fills), surface=SurfaceVerdict.FLAT)), Close)


def test_an_incomplete_lifecycle_counts_later_openings_at_their_own_price() -> None:
    # 5 at 100 before the reach; 5 more at 200 seen, so the venue's average stood at 150 when it was verified.
    fills = [fill(BUY, "5", "200", T0, closed="0"), fill(SELL, "10", "300", T0 + HOUR, closed="10")]
    book = row(LONG, "10", entry="150", opened=REACH - DAY, seen=T0 + 1000, changed=T0)
    verdict = decide_close(book, fills)
    assert verdict.details.realized_pnl == D(1500)
    assert verdict.lifecycle is not None
    assert (verdict.lifecycle.entry_price, verdict.lifecycle.realized_pnl) == (D(150), D(1500))


def test_an_incomplete_lifecycle_counts_openings_after_the_rows_numbers_were_seen() -> None:
    fills = [fill(BUY, "5", "200", T0 + 2000, closed="0"), fill(SELL, "10", "300", T0 + HOUR, closed="10")]
    book = row(LONG, "5", entry="100", opened=REACH - DAY, seen=T0 + 1000, changed=T0)
    details = decide_close(book, fills).details
    assert details.realized_pnl == D(1500)
    assert details.pnl_percentage == D("100.0000")


# doubt


def test_a_failed_history_decides_nothing() -> None:
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "5", "110", T0 + HOUR)]
    verdict = suspected(decide_key(case(row(), None, history(fills, failed="binance trades: 503"))))
    assert "503" in verdict.why
    assert verdict.mark.count == 0
    assert verdict.inconclusive is None


@pytest.mark.parametrize("at", [VIEW, VIEW + 1])
def test_a_fill_newer_than_the_view_asks_for_a_newer_view(at: int) -> None:  # lesson 10
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "5", "110", at)]
    assert isinstance(decide_key(case(row(), None, history(fills))), LookAgain)


def test_a_fill_of_the_last_millisecond_before_the_view_counts() -> None:
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "5", "110", VIEW - 1)]
    assert decide_close(row(), fills).details.closed_at_ms == VIEW - 1


def test_a_view_older_than_what_was_verified_already_decides_nothing() -> None:
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "5", "110", T0 + HOUR)]
    book = row(seen=VIEW + 1, changed=T0)
    assert isinstance(decide_key(case(book, None, history(fills))), LookAgain)
    assert isinstance(decide_key(case(book, report(changed=T0), history(fills))), LookAgain)


def test_a_missing_closing_fill_is_suspected_and_never_closed() -> None:
    verdict = suspected(decide_key(case(row(seen=T0 + 10, changed=T0), None, history([fill(BUY, "5", "100", T0)]))))
    assert verdict.mark.count == 1
    assert verdict.wait_ms == 30_000
    assert verdict.inconclusive is None


def partial(*, missing: int) -> list[Fill]:
    """Opened 5, closed 2, closed 3: one way, stated as Binance does; one of the closing fills is not visible yet."""
    fills = [
        fill(BUY, "5", "100", T0, pnl="0", order="a"),
        fill(SELL, "2", "110", T0 + HOUR, pnl="20"),
        fill(SELL, "3", "120", T0 + 2 * HOUR, pnl="60"),
    ]
    del fills[missing]
    return fills


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize(
    "book",
    [
        row(),
        row(order="a"),
        row(seen=T0 + 1000, changed=T0),
        row(seen=T0 + 1000, changed=T0, order="a"),
        row(seen=T0 + 1000),
    ],
    ids=["bots", "bots-with-order", "seen", "seen-with-order", "seen-without-time"],
)
def test_a_missing_partial_close_never_books_a_smaller_lifecycle(book, missing: int) -> None:
    verdict = suspected(decide_key(case(book, None, history(partial(missing=missing)))))
    assert verdict.mark.count == 1


def test_a_missing_fill_never_makes_an_open_position_look_closed_and_reopened() -> None:
    # Truth: 5, -2 -> 3, +1 -> 4, -3 -> 1. Without the last the line touches zero in between.
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "2", "110", T0 + 1000), fill(BUY, "1", "105", T0 + 2000)]
    book = row(seen=T0 + 500, changed=T0)
    verdict = decide_key(case(book, report(LONG, "1", entry="101", changed=T0 + 3000), history(fills)))
    assert isinstance(verdict, Suspect)


def test_an_empty_answer_right_after_a_burst_of_fills_closes_nothing() -> None:
    """Seen at 2, then 3, then 1 within the same second. Anchored at flat, the line passes through 2 by chance."""
    fills = [
        fill(SELL, "2", "100", T0, pnl="0"),
        fill(SELL, "1", "100", T0 + 2, pnl="0"),
        fill(BUY, "2", "100", T0 + 3, pnl="0"),
    ]
    suspected(decide_key(case(row(SHORT, "2", seen=T0 + 1, changed=T0), None, history(fills))))


HALVED = [
    fill(BUY, "2", "100", T0, pnl="0", order="open", trade="800001"),
    fill(SELL, "1", "110", T0 + HOUR, pnl="10", order="tp1", trade="800002"),
]


@pytest.mark.parametrize("seen", [None, T0 + 1000], ids=["never-seen", "its-bot-wrote-one"])
def test_an_empty_answer_does_not_close_by_fills_what_was_halved(seen: int | None) -> None:
    """Bought 2, took profit on 1, the bot's row says 1: anchored at flat, a short of 1 seems to have become a long of 1."""
    book = row(LONG, "1", opened=T0 + 2000 if seen is None else T0, seen=seen, changed=seen and T0)
    verdict = suspected(decide_key(case(book, None, history(HALVED), trades=["800001"], opening=("800001", "2"))))
    assert "some are missing" in verdict.why
    assert verdict.mark.count == 1


@pytest.mark.parametrize("first", [None, VIEW - 30_000], ids=["fresh", "stayed"])
def test_where_a_line_does_not_begin_flat_more_is_read_one_step_at_once_and_all_of_it_once_it_stayed_so(
    first: int | None,
) -> None:
    book = row(LONG, "1", opened=T0 + 2000)
    mark = mark_of(book, first=first) if first is not None else None
    step = needs(decide_key(case(book, None, history(HALVED, since=book.opened_at_ms - LEAD_MS), mark=mark)))
    assert step.since_ms == book.opened_at_ms - LEAD_MS - 28 * DAY
    verdict = decide_key(case(book, None, history(HALVED, since=step.since_ms), mark=mark))
    assert isinstance(verdict, NeedsHistory if first is not None else Suspect)


def test_a_lagging_opening_of_the_other_side_does_not_halve_what_was_closed() -> None:
    """Bought 10, sold 4 (the row: 6), sold the rest and 4 more; the last fill is not visible yet."""
    fills = [
        fill(BUY, "4", "98", T0, pnl="0"),
        fill(BUY, "6", "100", T0 + 10, pnl="0"),
        fill(SELL, "4", "106", T0 + 60_000, pnl="27.2"),
        fill(SELL, "6", "97", T0 + HOUR, pnl="-13.2"),
    ]
    book = row(LONG, "6", opened=T0 + 2000, entry="99.2")
    short = report(SHORT, "4", entry="109", changed=VIEW - 500)
    assert "some are missing" in suspected(decide_key(case(book, None, history(fills), opposite=short))).why


def test_a_bots_own_scale_in_is_read_back_to_flat_and_closed() -> None:
    """Verified with 5; the bot wrote 8 when it added 3. A lifecycle before it was open when what is read first begins."""
    every = [
        fill(SELL, "4", "101", T0 - 3 * HOUR, pnl="0"),
        fill(BUY, "4", "100", T0 - HOUR // 2, pnl="4"),
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(BUY, "3", "100", T0 + HOUR, pnl="0"),
        fill(SELL, "8", "110", T0 + 2 * HOUR, pnl="80"),
    ]
    book = row(LONG, "8", seen=T0 + 1000, changed=T0)
    step = needs(decide_key(case(book, None, history(every[1:], since=T0 - LEAD_MS))))
    past = history(every, since=step.since_ms)
    assert closed(decide_key(case(book, None, past))).details.realized_pnl == D(80)


def never_flat(*stated: str) -> list[Fill]:
    """An account that turns over and never is flat since the history begins, and the profits that its turns state."""
    turns = [(SELL, "4", "100"), (BUY, "6", "110"), (SELL, "6", "120")]
    every = [
        fill(side, quantity, price, T0 - HOUR + place * HOUR, pnl=pnl, trade=f"{900 + place}", order=f"turn{place}")
        for place, ((side, quantity, price), pnl) in enumerate(zip(turns, stated, strict=True))
    ]
    return [fill(BUY, "2", "90", T0 - 2 * HOUR, pnl="7"), *every]  # closes 1 short from before, opens 1 long


@pytest.mark.parametrize(
    ("stated", "closes"),
    [
        (("10", "-30", "30"), True),  # long 1, short 3, long 3, short 3: each turn states what it closed
        (("10", "-20", "40"), False),  # it closed 2 of a short: the line is 1 too low there
        (("10", "0", "30"), False),
    ],
    ids=["as-the-line-says", "of-another-quantity", "none"],
)
def test_a_turn_whose_stated_profit_is_the_lines_tells_where_it_was_flat(
    stated: tuple[str, str, str], closes: bool
) -> None:
    book = row(LONG, "3", entry="110", seen=T0 + 1000, changed=T0)
    short = report(SHORT, "3", entry="120", changed=T0 + HOUR)
    verdict = decide_key(case(book, None, history(never_flat(*stated)), opposite=short))
    assert isinstance(verdict, Close if closes else Suspect)


@pytest.mark.parametrize(
    ("first", "price", "closes"),
    [("0", "112", True), ("0", "100", False), ("-24", "112", False)],
    ids=["opens", "at-the-entry-price", "closes"],
)
def test_an_end_and_an_opening_by_fills_of_their_own_tell_it_too(first: str, price: str, closes: bool) -> None:
    """The stated profits say that all of the one was closed and nothing by the other, where its price could tell."""
    fills = [
        fill(BUY, "2", "90", T0 - 3 * HOUR, pnl="7"),
        fill(SELL, "3", "100", T0 - 2 * HOUR, pnl="10"),  # short 2 at 100
        fill(BUY, "2", "110", T0 - HOUR, pnl="-20"),
        fill(BUY, "2", price, T0, pnl=first),
        fill(SELL, "2", "120", T0 + HOUR, pnl="16"),
    ]
    book = row(LONG, "2", entry=price, seen=T0 + 1000, changed=T0)
    assert isinstance(decide_key(case(book, None, history(fills))), Close if closes else Suspect)


@pytest.mark.parametrize(
    ("opening", "order", "closes"),
    [
        (("902", "3"), "turn1", True),
        (("902", "2"), "turn1", False),
        (("903", "3"), "turn1", False),
        (("902", "3"), None, False),
        (None, "turn1", False),
    ],
    ids=["as-recorded", "another-part", "another-fill", "not-its-opening", "not-recorded"],
)
def test_what_the_book_recorded_of_its_opening_tells_it_where_no_profit_does(
    opening: tuple[str, str] | None, order: str | None, closes: bool
) -> None:
    fills = [msgspec.structs.replace(one, realized_pnl=None) for one in never_flat("10", "-30", "30")[2:]]
    fills = [msgspec.structs.replace(one, trade_id=str(902 + place)) for place, one in enumerate(fills)]
    book = row(LONG, "3", entry="110", seen=T0 + 1000, changed=T0, order=order)
    short = report(SHORT, "3", entry="120", changed=T0 + HOUR)
    verdict = decide_key(case(book, None, history(fills), opposite=short, opening=opening))
    assert isinstance(verdict, Close if closes else Suspect)


def test_a_reopening_whose_fill_is_not_visible_yet_is_not_taken_for_the_same() -> None:
    """Closed and reopened with the same size; the history shows only the close: it does not add up to what was seen."""
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "5", "103", T0 + HOUR)]
    book = row(seen=T0 + 1000, changed=T0)
    verdict = decide_key(case(book, report(changed=T0 + 2 * HOUR), history(fills)))
    assert isinstance(verdict, Suspect)


def test_a_quantity_that_the_bot_wrote_itself_is_believed_if_the_fills_reach_it() -> None:
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "2", "110", T0 + HOUR, pnl="20"),
        fill(SELL, "3", "120", T0 + 2 * HOUR, pnl="60"),
    ]
    book = row(LONG, "3", seen=T0 + 1000, changed=T0)  # verified at 5; the bot wrote 3 after its partial close
    assert decide_close(book, fills).details.realized_pnl == D(80)


def test_a_bots_quantity_that_was_never_true_does_not_hinder_a_whole_history() -> None:
    fills = [fill(BUY, "4.9", "100", T0, pnl="0"), fill(SELL, "4.9", "110", T0 + HOUR, pnl="49")]
    assert decide_close(row(LONG, "5"), fills).details.realized_pnl == D(49)


def test_a_state_seen_while_its_fill_was_in_flight_is_still_its_own() -> None:
    """The view's request began before the opening fill and its answer came after: the row was verified at once."""
    fills = [fill(BUY, "5", "100", T0 + 10, pnl="0"), fill(SELL, "5", "110", T0 + HOUR, pnl="50")]
    book = row(opened=T0, seen=T0, changed=T0 + 10)
    assert decide_close(book, fills).details.realized_pnl == D(50)
    assert decide_close(row(opened=T0, seen=T0), fills).details.realized_pnl == D(50)


def test_a_stale_view_that_verified_it_after_its_close_does_not_hide_the_close() -> None:
    fills = [fill(BUY, "5", "100", T0, pnl="0"), fill(SELL, "5", "110", T0 + HOUR, pnl="50")]
    book = row(seen=T0 + HOUR + 8000, changed=T0)  # the venue answered with a state eight seconds old
    assert decide_close(book, fills).details.realized_pnl == D(50)


def test_a_fresh_row_is_not_closed_by_the_lifecycle_before_it() -> None:  # lesson 25
    """The bot closed, reopened, wrote its row; the reopening is not visible yet, neither in the view nor in the history."""
    young = VIEW - 5_000
    fills = [fill(BUY, "5", "100", young - 40_000), fill(SELL, "5", "101", young - 1_000)]
    verdict = decide_key(case(row(opened=young), None, history(fills)))
    assert isinstance(verdict, LeaveYoung)
    assert verdict.wait_ms == 60_000 - 5_040


def test_a_row_written_after_its_short_life_is_closed_by_its_fills_once_it_is_not_young() -> None:
    fills = [fill(BUY, "5", "100", T0 - 4000, pnl="0"), fill(SELL, "5", "101", T0 - 1000, pnl="5")]
    assert decide_close(row(opened=T0), fills).details.realized_pnl == D(5)


def test_a_row_written_after_its_lifecycle_was_adopted_and_ended_does_not_record_it_again() -> None:
    """Found by the simulation: the profit of one lifecycle stood in two rows."""
    fills = [fill(BUY, "5", "100", T0 - 4000, pnl="0"), fill(SELL, "5", "101", T0 - 1000, pnl="5", order="x")]
    late = case(row(opened=T0), None, history(fills))
    recorded = msgspec.structs.replace(late, ended=(Ending(T0 - 1000, "x"),))
    assert closed(decide_key(late)).details.closing_order_id == "x"
    assert isinstance(decide_key(recorded), Suspect)


@pytest.mark.parametrize(
    ("ending", "taken"),
    [
        (Ending(T0 - 995, "x", Evidence.ORDER), True),
        (Ending(T0 - 2000, "x", Evidence.CLOSED_PNL), True),
        (Ending(T0 - 2001, "x", Evidence.CLOSED_PNL), False),
        (Ending(T0 - 1000, "y", Evidence.ORDER), False),
        (Ending(T0 - 995, "x"), False),
        (Ending(T0 + HOUR, None, Evidence.ABSENCE, (T0 - 4000, None)), True),
        (Ending(T0 + HOUR, None, Evidence.ABSENCE, (T0 - 64_000, None), T0 - 1001), True),
        (Ending(T0 + HOUR, None, Evidence.ABSENCE, (T0 - 64_001, None)), False),
        (Ending(T0 + HOUR, None, Evidence.ABSENCE, (T0 - 999, None)), False),
        (Ending(T0 + HOUR, None, Evidence.ABSENCE, (T0 - 4000, None), T0 - 1000), False),
        (Ending(T0 + HOUR, None, Evidence.ABSENCE, (T0 - HOUR, "open")), True),
        (Ending(T0 + HOUR, None, Evidence.ABSENCE, (T0 - 4000, "another")), False),
        (Ending(T0 - 1001, None, Evidence.ABSENCE, (T0 - 4000, None)), False),
    ],
)
def test_what_another_row_records_on_lesser_evidence_is_not_booked_by_its_fills(ending: Ending, taken: bool) -> None:
    """A record bears the time of its order; a row that absence closed is the one that it may be."""
    fills = [fill(BUY, "5", "100", T0 - 4000, pnl="0", order="open"), fill(SELL, "5", "101", T0 - 1000, order="x")]
    late = msgspec.structs.replace(case(row(opened=T0), None, history(fills)), ended=(ending,))
    assert isinstance(decide_key(late), Suspect if taken else Close)


WRITTEN_LATE = [
    fill(BUY, "5", "102", T0, pnl="0"),
    fill(SELL, "5", "110", T0 + 10_000, pnl="40", order="before"),
    fill(BUY, "3", "100", T0 + 20_000, pnl="0"),
    fill(BUY, "2", "101", T0 + 21_000, pnl="0"),
    fill(SELL, "5", "110", T0 + 30_000, pnl="48", order="x"),
]


@pytest.mark.parametrize(
    ("book", "closed_by"),
    [
        (row(opened=T0 + 110_000, entry="100.4"), "x"),
        (row(opened=T0 + 110_000, entry=None), "x"),
        (row(opened=T0 + 20_000 + LEAD_MS, entry="100.4"), "x"),
        (row(opened=T0 + 20_001 + LEAD_MS, entry="100.4"), None),
        (row(opened=T0 + 110_000, entry="102"), "before"),
        (row(opened=T0 + 110_000, entry="101.5"), None),
        (row(LONG, "4", opened=T0 + 110_000, entry="100.4"), None),
        (row(SHORT, opened=T0 + 110_000, entry="100.4"), None),
    ],
    ids=["late", "no-price", "an-hour", "too-late", "the-one-before", "price", "quantity", "side"],
)
def test_a_row_written_long_after_its_opening_when_all_is_over_is_the_newest_that_it_can_be(
    book: Position, closed_by: str | None
) -> None:
    verdict = decide_key(case(book, None, history(WRITTEN_LATE)))
    assert (verdict.details.closing_order_id if isinstance(verdict, Close) else None) == closed_by


def test_a_row_is_not_what_was_over_before_it_while_its_side_is_open() -> None:
    again = fill(BUY, "3", "100.4", T0 + 200_000, pnl="0")
    book = row(opened=T0 + 110_000, entry="100.4")
    shown = report(LONG, "3", entry="100.4", changed=again.at_ms)
    assert isinstance(decide_key(case(book, shown, history([*WRITTEN_LATE, again]))), Suspect)


def test_a_row_is_not_closed_by_a_lifecycle_that_began_long_before_it_and_ended_before_it() -> None:
    fills = [fill(BUY, "5", "100", T0 - 2 * HOUR), fill(SELL, "5", "101", T0 - 1000)]
    assert isinstance(decide_key(case(row(opened=T0), None, history(fills))), Suspect)


def test_fills_close_a_young_row_at_once() -> None:
    young = VIEW - 5_000
    fills = [fill(BUY, "5", "100", young - 200, pnl="0"), fill(SELL, "5", "101", young + 1_000, pnl="5")]
    assert decide_close(row(opened=young), fills).details.realized_pnl == D(5)


def test_quarantine_does_not_hinder_a_close_that_fills_prove() -> None:
    fills = [fill(BUY, "5", "100", T0, pnl="0"), fill(SELL, "5", "110", T0 + HOUR, pnl="50")]
    assert decide_close(row(), fills, blocked="a row could not be read").details.realized_pnl == D(50)


def test_a_recorded_fill_that_the_history_no_longer_shows_is_inconclusive() -> None:
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "5", "110", T0 + HOUR)]
    verdict = suspected(decide_key(case(row(seen=T0 + 10, order="a"), None, history(fills), trades=("gone",))))
    assert "fill gone" in verdict.why


def test_recorded_fills_that_the_history_shows_do_not_hinder() -> None:
    fills = [fill(BUY, "5", "100", T0, trade="81", pnl="0"), fill(SELL, "5", "110", T0 + HOUR, pnl="50")]
    assert decide_close(row(), fills, trades=("81",)).details.realized_pnl == D(50)


def test_a_position_whose_instrument_left_the_market_list_is_not_closed_by_fills() -> None:
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "5", "110", T0 + HOUR)]
    assert "no longer listed" in suspected(decide_key(case(row(), None, history(fills), instrument=None))).why


def test_a_decision_does_not_depend_on_the_order_of_the_fills() -> None:
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "2", "110", T0 + 1), fill(SELL, "3", "120", T0 + 2)]
    forward = decide_key(case(row(), None, history(fills)))
    backward = decide_key(case(row(), None, history(fills[::-1] + fills)))
    assert msgspec.structs.replace(closed(forward), why="") == msgspec.structs.replace(closed(backward), why="")


def test_neither_row_nor_report_is_nothing_to_decide() -> None:
    empty = msgspec.structs.replace(case(row()), row=None)
    with pytest.raises(ValueError, match="nothing to decide"):
        decide_key(empty)
