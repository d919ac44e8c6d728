"""What must hold of every history (numbers: invariants of core/lifecycles.py and core/decide.py).

The strongest: with any one fill missing that happened after a row was verified, no close, adjustment or verification is
based on the fills that are left.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from true_histories import (
    INSTRUMENT,
    Form,
    Truth,
    case_of,
    history_of,
    report_of,
    row_of,
    truths,
)

from trueup.core import amounts
from trueup.core.cases import Adjust, Adopt, Case, Close, Suspect, Verdict, Verified
from trueup.core.decide import decide_key
from trueup.core.lifecycles import Segment, Trace, trace_fills
from trueup.model.observations import PositionReport
from trueup.model.orders import Fill, Side
from trueup.model.positions import Evidence, Position
from trueup.model.values import from_json, to_json

settings.register_profile(
    "core", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
settings.load_profile("core")

ZERO = Decimal(0)
sides = st.sampled_from(list(Side))
SPACED = (2_000, 5_000, 60_000, 3_600_000)


def trace_of(truth: Truth, side: Side, fills: list[Fill] | None = None) -> Trace:
    leg = side.sign * truth.level(side)
    net = leg if truth.form.hedge or leg else side.opposite.sign * truth.level(side.opposite)
    return trace_fills(
        truth.fills if fills is None else fills, side, leg=leg, net=net, hedge=truth.form.hedge and bool(leg)
    )


def told_of(truth: Truth, side: Side) -> list[tuple[object, ...]]:
    """The true lifecycles that a trace of that side shows: in one-way form without legs, of both sides."""
    shown = truth.lifecycles if truth.form is Form.BINANCE_ONE_WAY else truth.of(side)
    return [
        (one.side, one.opened_at_ms, one.closed_at_ms, one.closed, one.left, f"o{one.opening_trade}") for one in shown
    ]


def traced(segments: tuple[Segment, ...]) -> list[tuple[object, ...]]:
    return [
        (one.side, one.opened_at_ms, one.closed_at_ms, one.closed_quantity, one.quantity, one.opening_order_id)
        for one in segments
    ]


# tracing


@given(truths(), sides, st.randoms(use_true_random=False))
def test_the_true_lifecycles_are_rebuilt_whatever_the_order_and_duplication(truth: Truth, side: Side, dice) -> None:
    fills = truth.fills + [one for one in truth.fills if dice.random() < 0.5]
    dice.shuffle(fills)
    trace = trace_of(truth, side, fills)
    assert trace.problem is None
    assert trace.starts_with == 0
    assert traced(trace.segments) == told_of(truth, side)


@given(truths(), sides, st.integers(0, 14))
def test_a_history_that_begins_later_rebuilds_what_came_after(truth: Truth, side: Side, cut: int) -> None:
    """Invariant 1: what lies before the history shifts nothing after it."""
    assume(cut < len(truth.fills))
    whole, part = trace_of(truth, side), trace_of(truth, side, truth.fills[cut:])
    assert part.problem is None
    complete = [one for one in part.segments if one.complete]
    assert complete == list(whole.segments[len(whole.segments) - len(complete) :])


@given(truths(), sides)
def test_quantity_is_conserved(truth: Truth, side: Side) -> None:  # invariant 3
    for one in trace_of(truth, side).segments:
        opened = sum((part.quantity for part in one.openings), ZERO)
        assert one.started_with + opened - one.closed_quantity == one.quantity
        assert all(part.quantity > 0 for part in one.parts)


@given(truths())
def test_every_fill_is_used_up_exactly_once(truth: Truth) -> None:
    if truth.form is Form.BINANCE_ONE_WAY:
        segments = list(trace_of(truth, Side.LONG).segments)
    else:
        segments = [one for side in Side for one in trace_of(truth, side).segments]
    used: dict[str, Decimal] = {}
    for one in segments:
        for part in one.parts:
            used[part.fill.trade_id] = used.get(part.fill.trade_id, ZERO) + part.quantity
    assert used == {fill.trade_id: fill.quantity for fill in truth.fills}


@given(truths())
def test_profit_and_fees_over_all_lifecycles_are_the_fills_cash(truth: Truth) -> None:
    segments = [one for side in Side for one in trace_of(truth, side).segments if one.side is side]
    fees = ZERO
    for one, true in zip(segments, [t for side in Side for t in truth.of(side)], strict=True):
        paid, known = amounts.fees_of(one.parts)
        assert known
        fees += sum((fee.amount for fee in paid), ZERO)
        if true.closed_at_ms is not None:
            assert amounts.gross_pnl(one, INSTRUMENT, None) == true.cash
    assert fees == sum((fill.fee for fill in truth.fills if fill.fee is not None), ZERO)
    if all(true.closed_at_ms is not None for true in truth.lifecycles):
        cash = sum((-fill.order_side.sign * fill.quantity * fill.price for fill in truth.fills), ZERO)
        gross = [amounts.gross_pnl(one, INSTRUMENT, None) for one in segments]
        assert sum((one for one in gross if one is not None), ZERO) == cash


@given(truths(), sides)
def test_partial_profit_of_an_open_lifecycle_is_by_average_cost(truth: Truth, side: Side) -> None:
    true = next((one for one in truth.of(side) if one.closed_at_ms is None and one.closed), None)
    assume(true is not None)
    assert true is not None
    segment = trace_of(truth, side).segments[-1]
    gross = amounts.gross_pnl(segment, INSTRUMENT, None)
    assert gross is not None
    # Truth: cash so far plus the cost of what is left; the venue and we round each at eight places.
    exact = true.cash + side.sign * Decimal(true.cost.numerator) / Decimal(true.cost.denominator)
    assert abs(gross - exact) <= Decimal("1e-8") * len(segment.closings)


# deciding


@st.composite
def seen_rows(
    draw: st.DrawFn, *, gaps: tuple[int, ...] = (0, 1, *SPACED), verified: bool = True
) -> tuple[Truth, Position]:
    """A true history and the row of a lifecycle that was open at some moment of it."""
    truth = draw(truths(gaps=gaps))
    side = draw(sides)
    moments = [at for at in {fill.at_ms for fill in truth.fills} if truth.at(side, at) is not None]
    assume(moments)
    at = draw(st.sampled_from(sorted(moments)))
    if not verified:  # a bot writes its row when it opens
        lifecycle = truth.at(side, at)
        assert lifecycle is not None
        at = lifecycle.opened_at_ms
        assume(truth.at(side, at) is lifecycle)
    return truth, row_of(truth, side, at, verified=verified)


def check_close(truth: Truth, row: Position, verdict: Close) -> None:
    """Nothing but the truth about the row's own lifecycle."""
    seen = row.verified_as_of_ms - 1 if row.verified_as_of_ms is not None else row.opened_at_ms
    true = truth.at(row.side, seen)
    assert true is not None
    details = verdict.details
    assert details.evidence is Evidence.FILLS
    assert true.closed_at_ms is not None, "closed a lifecycle that is truly open"
    assert (details.quantity, details.closed_at_ms) == (true.closed, true.closed_at_ms)
    assert details.realized_pnl == true.cash
    assert [(fee.asset, fee.amount) for fee in details.fees] == [("USDT", true.fees)]
    assert details.complete
    assert details.net_pnl == true.cash - true.fees


@given(seen_rows())
def test_a_verified_row_is_closed_exactly_when_and_as_it_was(seen: tuple[Truth, Position]) -> None:
    truth, row = seen
    assert row.verified_as_of_ms is not None
    true = truth.at(row.side, row.verified_as_of_ms - 1)
    assert true is not None
    verdict = decide_key(case_of(truth, row, row.side, history_of(truth.fills)))
    event(type(verdict).__name__)
    if true.closed_at_ms is None:
        assert isinstance(verdict, Verified | Adjust), verdict
        assert not isinstance(verdict, Adjust) or verdict.explained
        return
    assert isinstance(verdict, Close), verdict
    check_close(truth, row, verdict)
    later = [one for one in truth.of(row.side) if one.opened_at_ms >= true.closed_at_ms and one is not true]
    mine = [one for one in verdict.successors if one.side is row.side]
    assert [(one.opened_at_ms, one.quantity) for one in mine] == [
        (one.opened_at_ms, one.closed if one.closed_at_ms is not None else one.left) for one in later
    ]
    assert all(one.close is not None or one.side is row.side for one in verdict.successors)
    for one in verdict.successors:
        (match,) = [t for t in truth.of(one.side) if f"o{t.opening_trade}" == one.opening_order_id]
        assert one.close is None or (one.close.quantity, one.close.realized_pnl) == (match.closed, match.cash)


@given(seen_rows(verified=False))
def test_a_bots_row_is_closed_exactly_when_and_as_it_was(seen: tuple[Truth, Position]) -> None:
    truth, row = seen
    crowd = [one for one in truth.of(row.side) if abs(one.opened_at_ms - row.opened_at_ms) <= 60_000]
    assume(len(crowd) == 1)  # which of several within the grace is the bot's, nobody can tell
    verdict = decide_key(case_of(truth, row, row.side, history_of(truth.fills)))
    true = truth.at(row.side, row.opened_at_ms)
    assert true is not None
    if true.closed_at_ms is None:
        assert isinstance(verdict, Verified | Adjust), verdict
    else:
        assert isinstance(verdict, Close), verdict
        check_close(truth, row, verdict)


@given(seen_rows(), st.data())
def test_with_a_fill_missing_since_it_was_seen_nothing_is_based_on_fills(
    seen: tuple[Truth, Position], data: st.DataObject
) -> None:
    truth, row = seen
    assert row.verified_as_of_ms is not None
    since = [fill for fill in truth.fills if fill.at_ms >= row.verified_as_of_ms and _touches(truth, fill, row.side)]
    assume(since)
    missing = data.draw(st.sampled_from(since))
    left = [fill for fill in truth.fills if fill is not missing]
    verdict = decide_key(case_of(truth, row, row.side, history_of(left)))
    event(type(verdict).__name__)
    assert isinstance(verdict, Suspect), verdict


def _touches(truth: Truth, fill: Fill, side: Side) -> bool:
    """Whether the fill is on the line that is traced for that side."""
    if truth.form is Form.BINANCE_ONE_WAY:
        return True
    if truth.form is Form.BINANCE_HEDGE:
        return fill.position_side is side
    assert fill.closed_quantity is not None
    opens = fill.order_side.sign == side.sign
    return (fill.quantity - fill.closed_quantity if opens else fill.closed_quantity) > 0


@given(seen_rows(gaps=SPACED, verified=False), st.data())
def test_with_a_closing_fill_missing_a_bots_row_is_never_closed_otherwise_than_it_was(
    seen: tuple[Truth, Position], data: st.DataObject
) -> None:
    truth, row = seen
    crowd = [one for one in truth.of(row.side) if abs(one.opened_at_ms - row.opened_at_ms) <= 60_000]
    assume(len(crowd) == 1)
    since = [fill for fill in truth.fills if fill.at_ms > row.opened_at_ms and _closes(truth, fill, row.side)]
    assume(since)
    missing = data.draw(st.sampled_from(since))
    left = [fill for fill in truth.fills if fill is not missing]
    verdict = decide_key(case_of(truth, row, row.side, history_of(left)))
    event(type(verdict).__name__)
    if isinstance(verdict, Close):
        check_close(truth, row, verdict)


def _closes(truth: Truth, fill: Fill, side: Side) -> bool:
    return fill.order_side.sign != side.sign and _touches(truth, fill, side)


@given(seen_rows(), st.randoms(use_true_random=False))
def test_a_verdict_depends_neither_on_order_nor_duplication(seen: tuple[Truth, Position], dice) -> None:
    truth, row = seen
    about = case_of(truth, row, row.side, history_of(truth.fills))
    fills = truth.fills + [one for one in truth.fills if dice.random() < 0.3]
    dice.shuffle(fills)
    assert decide_key(with_fills(about, fills)) == decide_key(about) == decide_key(about)


def with_fills(about: Case, fills: list[Fill]) -> Case:
    assert about.history is not None
    assert about.history.fills is not None
    read = msgspec.structs.replace(about.history.fills, fills=tuple(fills))
    return msgspec.structs.replace(about, history=msgspec.structs.replace(about.history, fills=read))


@given(seen_rows(), st.booleans())
def test_a_failed_or_empty_history_closes_nothing_by_fills(seen: tuple[Truth, Position], failed: bool) -> None:
    truth, row = seen
    past = history_of(truth.fills if failed else [], failed="503" if failed else None)
    for shown in (None, report_of(truth, row.side)):
        about = msgspec.structs.replace(case_of(truth, row, row.side, past), report=shown)
        assert not isinstance(decide_key(about), Close | Adjust)


@given(seen_rows())
def test_one_transient_empty_answer_closes_nothing_that_is_open(seen: tuple[Truth, Position]) -> None:
    """Lesson 2: the view shows flat, the position is open, its fills stand in the history."""
    truth, row = seen
    assert row.verified_as_of_ms is not None
    true = truth.at(row.side, row.verified_as_of_ms - 1)
    assert true is not None
    assume(true.closed_at_ms is None)
    about = case_of(truth, row, row.side, history_of(truth.fills))
    empty = msgspec.structs.replace(about, report=None, opposite=None)
    assert isinstance(decide_key(empty), Suspect)


@given(seen_rows(), st.booleans())
def test_an_empty_answer_closes_nothing_that_is_open_whatever_its_bot_wrote(
    seen: tuple[Truth, Position], known: bool
) -> None:
    """The same of a row whose quantity its bot wrote, seen or not: what of it was closed looks like a lifecycle that ended."""
    truth, row = seen
    assert row.verified_as_of_ms is not None
    true = truth.at(row.side, row.verified_as_of_ms - 1)
    assert true is not None
    assume(true.closed_at_ms is None and true.closed)
    written = msgspec.structs.replace(row, quantity=true.closed)
    if not known:
        written = msgspec.structs.replace(written, verified_as_of_ms=None, venue_updated_at_ms=None)
    about = case_of(truth, written, row.side, history_of(truth.fills))
    verdict = decide_key(msgspec.structs.replace(about, report=None, opposite=None))
    assert not isinstance(verdict, Close), verdict


@given(truths(), sides)
def test_what_the_book_lacks_is_adopted_as_it_truly_began(truth: Truth, side: Side) -> None:
    assume(truth.level(side))
    true = next(one for one in truth.of(side) if one.closed_at_ms is None)
    verdict = decide_key(case_of(truth, None, side, history_of(truth.fills)))
    assert isinstance(verdict, Adopt), verdict
    assert not verdict.unverified
    assert verdict.lifecycle is not None
    assert (verdict.lifecycle.quantity, verdict.lifecycle.opened_at_ms) == (true.left, true.opened_at_ms)
    assert verdict.lifecycle.opening_order_id == f"o{true.opening_trade}"


@given(seen_rows())
def test_how_far_the_history_goes_back_before_the_opening_does_not_matter(seen: tuple[Truth, Position]) -> None:
    truth, row = seen
    long = decide_key(case_of(truth, row, row.side, history_of(truth.fills)))
    shorter = case_of(truth, row, row.side, history_of(truth.fills, since_ms=row.opened_at_ms))
    short = decide_key(shorter)
    if isinstance(short, Suspect) and isinstance(long, Close):  # a flip opened it: the book's own record tells how
        assert long.lifecycle is not None
        first = long.lifecycle.parts[0]
        told = msgspec.structs.replace(row, opening_order_id=first.fill.order_id)
        opening = (first.fill.trade_id, first.quantity)
        short = decide_key(msgspec.structs.replace(shorter, row=told, recorded_opening=opening))
    assert fact(long) == fact(short)


def fact(verdict: Verdict) -> tuple[object, ...]:
    if isinstance(verdict, Close):
        return "Close", verdict.details, [(one.side, one.quantity, one.close) for one in verdict.successors]
    if isinstance(verdict, Adjust):
        return "Adjust", verdict.explained, verdict.lifecycle and verdict.lifecycle.quantity
    return (type(verdict).__name__,)


@given(seen_rows(), st.booleans())
def test_a_recorded_case_is_decided_again_to_the_same_verdict(seen: tuple[Truth, Position], empty: bool) -> None:
    truth, row = seen
    about = case_of(truth, row, row.side, history_of(truth.fills))
    if empty:
        about = msgspec.structs.replace(about, report=None)
    again = from_json(to_json(about), Case)
    assert again == about
    assert decide_key(again) == decide_key(about)
    assert to_json(decide_key(again)) == to_json(decide_key(about))


@given(seen_rows(), st.data())
def test_a_view_that_fills_overtook_decides_nothing(seen: tuple[Truth, Position], data: st.DataObject) -> None:
    """The time rule: a fill at or after the view's moment asks for a newer view, whatever else is there."""
    truth, row = seen
    assert row.verified_as_of_ms is not None
    touching = [fill for fill in truth.fills if _touches(truth, fill, row.side)]
    later = sorted({fill.at_ms for fill in touching if fill.at_ms >= row.verified_as_of_ms})
    assume(later)
    at = data.draw(st.sampled_from(later))
    old: PositionReport | None = report_of(truth, row.side, at - 1)
    about = msgspec.structs.replace(
        case_of(truth, row, row.side, history_of(truth.fills)), as_of_ms=at, now_ms=at, report=old
    )
    assert not isinstance(decide_key(about), Close | Adjust)
