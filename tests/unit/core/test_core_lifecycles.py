"""Lifecycles rebuilt from fills, anchored on what the venue shows (numbers: invariants of core/lifecycles.py)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from core_cases import BUY, LONG, SELL, SHORT, T0, fill

from trueup.core.lifecycles import Trace, trace_fills
from trueup.model.orders import Fill, FillKind

D = Decimal


def traced(fills: list[Fill], side=LONG, now: str = "0", hedge: bool = False) -> Trace:
    return trace_fills(fills, side, leg=D(now), net=D(now), hedge=hedge)


def shapes(trace: Trace) -> list[tuple[str, str, str, bool]]:
    """(side, closed quantity, what is left, complete) of each lifecycle."""
    return [(s.side.value, str(s.closed_quantity), str(s.quantity), s.complete) for s in trace.segments]


def test_no_fills_and_flat_is_no_lifecycle() -> None:
    trace = traced([])
    assert (trace.segments, trace.starts_with, trace.last_fill_ms, trace.problem) == ((), D(0), None, None)


def test_no_fills_and_open_is_a_lifecycle_that_began_before_the_history() -> None:
    trace = traced([], now="5")
    (only,) = trace.segments
    assert (only.started_with, only.quantity, only.opened_at_ms, only.closed_at_ms) == (D(5), D(5), None, None)
    assert trace.open_segment is only
    assert only.opening_order_id is None


def test_opened_and_closed_in_parts() -> None:
    fills = [
        fill(BUY, "3", "100", T0, order="open"),
        fill(BUY, "2", "101", T0 + 1),
        fill(SELL, "4", "110", T0 + 2),
        fill(SELL, "1", "111", T0 + 3),
    ]
    trace = traced(fills)
    (only,) = trace.segments
    assert shapes(trace) == [("long", "5", "0", True)]
    assert (only.opened_at_ms, only.closed_at_ms, only.opening_order_id) == (T0, T0 + 3, "open")
    assert [part.opening for part in only.parts] == [True, True, False, False]
    assert trace.starts_with == 0


def test_short_mirrors_long() -> None:
    fills = [fill(SELL, "5", "100", T0), fill(BUY, "2", "90", T0 + 1), fill(BUY, "3", "91", T0 + 2)]
    assert shapes(traced(fills, SHORT)) == [("short", "5", "0", True)]


def test_order_and_duplicates_do_not_matter() -> None:  # invariant 4
    fills = [fill(BUY, "3", "100", T0), fill(BUY, "2", "101", T0 + 1), fill(SELL, "5", "110", T0 + 2)]
    assert traced(fills) == traced([fills[2], fills[0], fills[1], fills[0], fills[2]])


def test_same_instant_is_ordered_by_the_trade_id_as_a_number() -> None:
    fills = [
        fill(BUY, "5", "100", T0, trade="9"),
        fill(SELL, "5", "101", T0, trade="10"),
        fill(BUY, "1", "102", T0, trade="11"),
    ]
    assert shapes(traced(fills, now="1")) == [("long", "5", "0", True), ("long", "0", "1", True)]


def test_same_instant_is_ordered_by_the_venues_own_sequence_before_the_trade_id() -> None:
    """Bybit's trade ids are random text: the close of the one comes before the opening of the next."""
    told = [
        (fill(BUY, "5", "100", T0, trade="c"), 7),
        (fill(SELL, "5", "101", T0, trade="b"), 8),
        (fill(BUY, "1", "102", T0, trade="a"), 9),
    ]
    fills = [msgspec.structs.replace(one, sequence=sequence) for one, sequence in told]
    assert shapes(traced(fills, now="1")) == [("long", "5", "0", True), ("long", "0", "1", True)]


def test_same_instant_keeps_the_venues_order_where_ids_are_no_numbers() -> None:
    fills = [
        fill(BUY, "5", "100", T0, trade="c-1", order="first"),
        fill(SELL, "5", "101", T0, trade="b-2"),
        fill(BUY, "1", "102", T0, trade="a-3"),
    ]
    trace = traced(fills, now="1")
    assert shapes(trace) == [("long", "5", "0", True), ("long", "0", "1", True)]
    assert trace.segments[0].opening_order_id == "first"


@pytest.mark.parametrize("trade", ["²", "٣", "7f-a"])
def test_a_trade_id_of_any_text_is_only_an_id(trade: str) -> None:
    assert shapes(traced([fill(BUY, "5", "100", T0, trade=trade)], now="5")) == [("long", "0", "5", True)]


def test_less_than_one_contract_is_closed_and_flipped_like_any() -> None:
    opened = fill(SELL, "0.5", "100", T0)
    assert shapes(traced([opened, fill(BUY, "0.5", "90", T0 + 1)], SHORT)) == [("short", "0.5", "0.0", True)]
    flipped = traced([opened, fill(BUY, "0.9", "90", T0 + 1)], now="0.4")
    assert shapes(flipped) == [("short", "0.5", "0.0", True), ("long", "0", "0.4", True)]


def test_what_has_ended_is_no_open_lifecycle() -> None:
    assert traced([]).open_segment is None
    assert traced([fill(BUY, "5", "100", T0), fill(SELL, "5", "101", T0 + 1)]).open_segment is None


def test_where_nothing_says_hedge_the_fills_need_tell_no_leg() -> None:
    assert trace_fills([fill(BUY, "5", "100", T0)], LONG, leg=D(5), net=D(5)).problem is None


def test_a_flip_splits_one_fill_between_two_lifecycles() -> None:  # invariant 2
    flip = fill(SELL, "8", "110", T0 + 1)
    trace = traced([fill(BUY, "5", "100", T0), flip], SHORT, now="-3")
    assert shapes(trace) == [("long", "5", "0", True), ("short", "0", "3", True)]
    first, second = trace.segments
    assert (first.closings[0].quantity, second.openings[0].quantity) == (D(5), D(3))
    assert first.closed_at_ms == second.opened_at_ms == T0 + 1


def test_closed_and_reopened_with_the_same_size_is_two_lifecycles() -> None:
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "5", "101", T0 + 1), fill(BUY, "5", "100", T0 + 2)]
    assert shapes(traced(fills, now="5")) == [("long", "5", "0", True), ("long", "0", "5", True)]


def test_a_missing_closing_fill_shows_as_a_beginning_that_cannot_be() -> None:  # invariant 1
    trace = traced([fill(BUY, "5", "100", T0)])
    assert trace.starts_with == D(-5)
    assert all(segment.side is SHORT for segment in trace.segments)


def test_a_missing_closing_fill_of_a_hedge_leg_is_a_problem() -> None:
    trace = traced([fill(BUY, "5", "100", T0, leg=LONG)])
    assert trace.problem is not None
    assert "close 5 more than was open" in trace.problem


def test_hedge_legs_stay_apart_binance() -> None:
    fills = [
        fill(BUY, "5", "100", T0, leg=LONG),
        fill(SELL, "5", "100", T0 + 1, leg=SHORT),
        fill(SELL, "5", "110", T0 + 2, leg=LONG),
    ]
    assert shapes(traced(fills, LONG, hedge=True)) == [("long", "5", "0", True)]
    assert shapes(traced(fills, SHORT, now="-5", hedge=True)) == [("short", "0", "5", True)]


def test_hedge_legs_stay_apart_bybit() -> None:
    fills = [
        fill(BUY, "5", "100", T0, closed="0"),
        fill(SELL, "5", "100", T0 + 1, closed="0"),
        fill(SELL, "5", "110", T0 + 2, closed="5"),
    ]
    assert shapes(traced(fills, LONG, hedge=True)) == [("long", "5", "0", True)]
    assert shapes(traced(fills, SHORT, now="-5", hedge=True)) == [("short", "0", "5", True)]


def test_bybit_flip_in_one_way_mode_is_split_by_the_closed_quantity() -> None:
    fills = [fill(BUY, "5", "100", T0, closed="0"), fill(SELL, "8", "110", T0 + 1, closed="5")]
    (long,) = traced(fills, LONG).segments
    (short,) = traced(fills, SHORT, now="-3").segments
    assert (long.closed_quantity, long.closed_at_ms) == (D(5), T0 + 1)
    assert (short.quantity, short.opened_at_ms, short.parts[0].quantity) == (D(3), T0 + 1, D(3))


@pytest.mark.parametrize("stated", ["0", "2", "5", None])
@pytest.mark.parametrize("kind", [FillKind.LIQUIDATION, FillKind.ADL, FillKind.SETTLEMENT])
def test_what_the_venue_forces_closes_whatever_its_closed_quantity_says(kind: FillKind, stated: str | None) -> None:
    fills = [fill(BUY, "5", "100", T0, closed="0"), fill(SELL, "5", "80", T0 + 1, closed=stated, kind=kind)]
    for hedge in (False, True):
        assert shapes(traced(fills, hedge=hedge)) == [("long", "5", "0", True)]
        assert shapes(traced(fills, SHORT, hedge=hedge)) == []


def test_what_the_venue_forces_of_a_net_line_stays_on_it() -> None:
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "5", "80", T0 + 1, kind=FillKind.SETTLEMENT)]
    trace = traced(fills, SHORT)
    assert (shapes(trace), trace.by_leg) == ([("long", "5", "0", True)], False)


def test_switching_from_one_way_to_hedge_keeps_the_earlier_lifecycles_out_of_the_legs() -> None:
    # A long that began before the history was closed in one-way mode; the mode was switched; a short leg lived and ended.
    fills = [
        fill(SELL, "5", "100", T0),
        fill(SELL, "2", "100", T0 + 10, leg=SHORT),
        fill(BUY, "2", "90", T0 + 20, leg=SHORT),
    ]
    trace = traced(fills, SHORT, hedge=True)
    assert trace.problem is None
    assert shapes(trace) == [("long", "5", "0", False), ("short", "2", "0", True)]


def test_switching_from_hedge_to_one_way_anchors_the_legs_at_flat() -> None:
    fills = [
        fill(BUY, "5", "100", T0, leg=LONG),
        fill(SELL, "2", "100", T0 + 1, leg=SHORT),
        fill(SELL, "5", "101", T0 + 2, leg=LONG),
        fill(BUY, "2", "101", T0 + 3, leg=SHORT),
        fill(BUY, "1", "100", T0 + 10),
    ]
    trace = traced(fills, LONG, now="1")
    assert trace.problem is None
    assert shapes(trace) == [("long", "5", "0", True), ("long", "0", "1", True)]


def test_a_mode_cannot_be_switched_while_something_is_open() -> None:
    fills = [fill(BUY, "5", "100", T0), fill(BUY, "1", "100", T0 + 10, leg=LONG)]
    trace = traced(fills, LONG, now="6", hedge=True)
    assert trace.problem is not None
    assert "position mode" in trace.problem


def test_fills_that_tell_no_leg_explain_nothing_in_a_hedge() -> None:
    trace = traced([fill(BUY, "5", "100", T0)], LONG, now="5", hedge=True)
    assert trace.problem is not None


@pytest.mark.parametrize(
    ("amount", "closing", "opening"),
    [("8", "5", "3"), ("0.8", "0.5", "0.3"), ("1", "0.625", "0.375"), (None, None, None)],
)
def test_a_split_fill_shares_fee_and_value_by_quantity(
    amount: str | None, closing: str | None, opening: str | None
) -> None:
    flip = fill(SELL, "8", "110", T0 + 1, fee=amount)
    first, second = traced([fill(BUY, "5", "100", T0), flip], SHORT, now="-3").segments
    assert first.closings[0].share(flip.fee) == (None if closing is None else D(closing))
    assert second.openings[0].share(flip.fee) == (None if opening is None else D(opening))


@pytest.mark.parametrize("fee", ["1", "0.00000001", "0.1", "-0.07", "123456789.12345678"])
def test_the_shares_of_a_split_fill_sum_to_the_whole_exactly(fee: str) -> None:
    flip = fill(SELL, "3", "110", T0 + 1, fee=fee)
    first, second = traced([fill(BUY, "1", "100", T0), flip], SHORT, now="-2").segments
    closing, opening = first.closings[0].share(D(fee)), second.openings[0].share(D(fee))
    assert closing is not None
    assert opening is not None
    assert closing + opening == D(fee)


def test_profits_tell_a_line_that_a_missing_fill_shifts() -> None:
    """The truth: 12 sold and bought back, then 5 sold short. Without the last, invisible purchase the line lies 5 higher."""
    fills = [
        fill(SELL, "12", "100", T0, pnl="0"),
        fill(BUY, "12", "90", T0 + 1, pnl="120"),
        fill(SELL, "5", "95", T0 + 2, pnl="0"),
    ]
    shifted = traced(fills)
    assert shifted.starts_with == 5
    opened_with_profit = traced([fill(BUY, "3", "90", T0, pnl="30")], now="3")
    assert "states a profit of 30" in str(opened_with_profit.misstates(opened_with_profit.segments[0]))
    assert "states a profit of 0" in str(shifted.misstates(shifted.segments[-1]))
    true = traced([*fills, fill(BUY, "5", "80", T0 + 3, pnl="75")])
    assert [true.misstates(segment) for segment in true.segments] == [None, None]


def test_the_profit_of_a_flip_is_its_closing_parts() -> None:
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "8", "110", T0 + 1, pnl="50"),
        fill(BUY, "3", "110", T0 + 2, pnl="0"),
    ]
    flipped = traced(fills)
    assert len(flipped.segments) == 2
    assert [flipped.misstates(segment) for segment in flipped.segments] == [None, None]


def test_a_profit_of_nothing_is_true_where_the_price_is_the_entry() -> None:
    fills = [
        fill(BUY, "2", "100", T0, pnl="0"),
        fill(BUY, "2", "110", T0 + 1, pnl="0"),
        fill(SELL, "4", "105", T0 + 2, pnl="0"),
    ]
    even = traced(fills)
    assert even.misstates(even.segments[0]) is None
    older = traced([fill(SELL, "4", "105", T0 + 2, pnl="0")])  # its entry is not known
    assert older.misstates(older.segments[0]) is None


@pytest.mark.parametrize(("price", "is_nothing"), [("100.01", True), ("100.02", False)])
def test_a_profit_below_what_the_venue_states_is_stated_as_nothing(price: str, is_nothing: bool) -> None:
    """A hundredth of a contract: a ten-thousandth of a dollar may be stated as 0, two may not."""
    tiny = traced([fill(BUY, "0.01", "100", T0, pnl="0"), fill(SELL, "0.01", price, T0 + 1, pnl="0")])
    assert (tiny.misstates(tiny.segments[0]) is None) is is_nothing


def test_profits_are_held_against_the_average_entry_of_what_is_left() -> None:
    """4 at 100, 2 of them sold, 2 more at 120: what is left stands at 110."""
    fills = [
        fill(BUY, "4", "100", T0, pnl="0"),
        fill(SELL, "2", "110", T0 + 1, pnl="20"),
        fill(BUY, "2", "120", T0 + 2, pnl="0"),
    ]
    true = traced([*fills, fill(SELL, "4", "110", T0 + 3, pnl="0")])
    assert true.misstates(true.segments[0]) is None
    false = traced([*fills, fill(SELL, "4", "115", T0 + 3, pnl="0")])
    assert false.misstates(false.segments[0]) is not None
