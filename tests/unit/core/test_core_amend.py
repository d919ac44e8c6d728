"""Closes whose record gets better, and those that stay as they are."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tests.unit.core.core_cases import (
    BTC,
    BUY,
    LONG,
    SELL,
    T0,
    VIEW,
    case,
    fill,
    history,
    record,
    report,
    row,
    situation,
)
from trueup.core.amend import Amendment, amended, can_get_better
from trueup.core.cases import Ending, NeedsHistory
from trueup.core.settle import settle_amended
from trueup.model.events import EventType
from trueup.model.observations import FundingHistory
from trueup.model.orders import Fill, Funding, OrderKind
from trueup.model.positions import Amount, CloseDetails, Evidence, ExitReason, Position, PositionStatus

CLOSED = VIEW - 60_000
OPEN = fill(BUY, "5", "100", T0, order="open", fee="0.1")
EXIT = fill(SELL, "5", "110", CLOSED, order="exit", fee="0.1")


def details(evidence: Evidence = Evidence.FILLS, **changes: object) -> CloseDetails:
    base = CloseDetails(
        quantity=Decimal(5),
        exit_price=Decimal(110),
        settle_asset="USDT",
        realized_pnl=Decimal(50),
        exit_reason=ExitReason.EXTERNAL,
        evidence=evidence,
        complete=evidence is Evidence.FILLS,
        closing_order_id="exit" if evidence is Evidence.FILLS else None,
        closed_at_ms=CLOSED,
    )
    return msgspec.structs.replace(base, **changes)


def closed_row(close: CloseDetails) -> Position:
    return row(LONG, "5", seen=T0 + 1_000, changed=T0, order="open", status=PositionStatus.CLOSED, close=close)


def paid(amount: str) -> Funding:
    return Funding(symbol=BTC, payment_id="f", side=None, amount=Decimal(amount), asset="USDT", at_ms=T0 + 3_600_000)


def found(close: CloseDetails, *fills: object, **more: object) -> object:
    return amended(case(closed_row(close), None, history(fills, **more)))  # type: ignore[arg-type]


def test_funding_that_was_not_known_is_filled_in() -> None:
    better = found(details(), OPEN, EXIT, funding=[paid("-0.5")])
    assert isinstance(better, Amendment)
    assert better.lifecycle.close is not None
    assert better.lifecycle.close.funding == Decimal("-0.5")
    assert better.lifecycle.close.net_pnl == Decimal("49.3")


def test_only_a_closed_row_is_amended() -> None:
    for nothing_closed in (case(row(), None, history([OPEN, EXIT])), case(None, report(), history([OPEN, EXIT]))):
        with pytest.raises(ValueError, match="no closed row"):
            amended(nothing_closed)


def test_a_close_on_absence_is_proven_by_a_history_that_lagged() -> None:
    guess = details(Evidence.ABSENCE, exit_price=Decimal(104), exit_reason=ExitReason.PHANTOM_ON_SYNC)
    better = found(guess, OPEN, EXIT)
    assert isinstance(better, Amendment)
    assert better.lifecycle.close is not None
    assert (better.lifecycle.close.evidence, better.lifecycle.close.exit_price) == (Evidence.FILLS, Decimal(110))


def test_a_row_that_never_existed_is_not_amended_with_a_later_lifecycle_of_its_size() -> None:
    """Found by the simulation: the profit of another row's lifecycle was booked a second time."""
    guess = details(Evidence.ABSENCE, exit_price=None, exit_reason=ExitReason.PHANTOM_ON_SYNC)
    never = row(LONG, "5", opened=T0, status=PositionStatus.CLOSED, close=guess)
    later = [fill(BUY, "5", "120", CLOSED + 1_000, order="new"), fill(SELL, "5", "125", CLOSED + 2_000, order="out")]
    assert isinstance(amended(case(never, None, history(later))), str)


def test_a_row_written_when_all_was_over_is_told_by_the_fills_though_its_side_is_open_again() -> None:
    guess = details(Evidence.ABSENCE, exit_price=None, exit_reason=ExitReason.PHANTOM_ON_SYNC)
    late = row(LONG, "5", opened=CLOSED - 1_500, status=PositionStatus.CLOSED, close=guess)
    fills = [
        fill(BUY, "5", "100", CLOSED - 90_000, order="open"),
        fill(SELL, "5", "110", CLOSED - 60_000, order="exit"),
        fill(BUY, "3", "120", VIEW - 500, order="new"),
    ]
    better = amended(case(late, report(LONG, "3", entry="120"), history(fills)))
    assert isinstance(better, Amendment)
    assert better.lifecycle.opening_order_id == "open"


def test_a_history_that_still_shows_nothing_changes_nothing() -> None:
    assert isinstance(found(details(Evidence.ABSENCE)), str)


def test_a_lifecycle_that_came_later_is_not_mistaken_for_it() -> None:
    later = [fill(BUY, "5", "120", CLOSED + 1_000, order="new"), fill(SELL, "5", "125", CLOSED + 2_000, order="out")]
    better = found(details(), OPEN, EXIT, *later, funding=[paid("-0.5")])
    assert isinstance(better, Amendment)
    assert better.lifecycle.close is not None
    assert better.lifecycle.close.exit_price == Decimal(110)
    assert better.missed == (), "what came later has its row, or gets one where its own key is looked at"


def test_an_order_that_ended_two_lifecycles_amends_each_with_its_own() -> None:
    """Found by the simulation: resting orders that filled in two parts opened and ended two lifecycles."""
    later = [fill(BUY, "5", "100", CLOSED + 1_000, order="open"), fill(SELL, "5", "110", CLOSED + 2_000, order="exit")]
    for closed_at_ms in (CLOSED, CLOSED + 2_000):
        better = found(details(closed_at_ms=closed_at_ms), OPEN, EXIT, *later, funding=[paid("-0.5")])
        assert isinstance(better, Amendment)
        assert better.lifecycle.close is not None
        assert better.lifecycle.close.closed_at_ms == closed_at_ms


def test_a_lifecycle_that_another_row_records_amends_nothing() -> None:
    """Found by the simulation: two rows, one on fills and one on the venue's record of the same close."""
    one = case(closed_row(details(Evidence.CLOSED_PNL, closing_order_id="exit")), None, history([OPEN, EXIT]))
    assert not isinstance(amended(one), str)
    assert isinstance(amended(msgspec.structs.replace(one, ended=(Ending(EXIT.at_ms, EXIT.order_id),))), str)


PART = fill(SELL, "2", "105", CLOSED - 5_000, order="part", fee="0.1")
REST = fill(SELL, "3", "110", CLOSED, order="exit", fee="0.1")


def test_a_row_that_two_orders_closed_is_told_by_the_last_of_them() -> None:
    better = found(details(), OPEN, PART, REST, funding=[paid("-0.5")])
    assert isinstance(better, Amendment)
    assert better.lifecycle.close is not None
    assert (better.lifecycle.close.closing_order_id, better.lifecycle.close.realized_pnl) == ("exit", 40)


def test_a_row_that_two_orders_closed_is_not_amended_for_ever() -> None:
    known = details(funding=Decimal(0), realized_pnl=Decimal(40))
    assert found(known, OPEN, PART, REST) == "nothing better"


REOPENED = [fill(SELL, "5", "104", T0 + 9_000, order="hand"), fill(BUY, "5", "104", T0 + 9_000, order="again")]


def test_a_row_that_was_closed_by_what_ended_the_lifecycle_after_it_ends_with_its_own() -> None:
    """Found by the simulation, seed 9654: a silent stream had lost a close and a reopening in one millisecond."""
    better = found(details(funding=Decimal(0)), OPEN, *REOPENED, EXIT)
    assert isinstance(better, Amendment)
    own, (missed,) = better.lifecycle, better.missed
    assert own.close is not None
    assert (own.close.closing_order_id, own.close.closed_at_ms, own.close.realized_pnl) == ("hand", T0 + 9_000, 20)
    assert missed.close is not None
    assert (missed.opening_order_id, missed.close.closing_order_id, missed.close.realized_pnl) == ("again", "exit", 30)


def test_what_ended_an_earlier_lifecycle_too_ends_the_row_where_its_own_fills_do() -> None:
    """One resting order closed the row, and what was opened anew: the row was closed by its second part."""
    first = fill(SELL, "5", "104", T0 + 9_000, order="exit")
    again = fill(BUY, "5", "104", T0 + 9_500, order="again")
    read = history([OPEN, first, again, EXIT])
    better = amended(case(closed_row(details(funding=Decimal(0))), None, read, trades=(OPEN.trade_id,)))
    assert isinstance(better, Amendment)
    assert better.lifecycle.close is not None
    assert (better.lifecycle.close.closed_at_ms, better.lifecycle.close.realized_pnl) == (T0 + 9_000, 20)
    assert [one.opening_order_id for one in better.missed] == ["again"]


def test_a_reason_is_not_kept_from_another_closing_order() -> None:
    """The trailing stop ended what came after it: the row's own lifecycle was ended by hand."""
    better = found(details(funding=Decimal(0), exit_reason=ExitReason.TRAILING_STOP), OPEN, *REOPENED, EXIT)
    assert isinstance(better, Amendment)
    assert better.lifecycle.close is not None
    assert better.lifecycle.close.closing_order_id == "hand"
    assert better.lifecycle.close.exit_reason is ExitReason.SYNC_CLEANUP


def test_a_reason_that_becomes_known_amends_the_record() -> None:
    told = record("exit", kind=OrderKind.MARKET, client="tu-close-7", at=CLOSED)
    better = found(details(funding=Decimal(0)), OPEN, EXIT, orders=[told])
    assert isinstance(better, Amendment)
    assert better.lifecycle.close is not None
    assert better.lifecycle.close.exit_reason is ExitReason.MANUAL


def test_fills_that_the_book_had_missed_in_a_lifecycle_correct_its_amounts() -> None:
    """Found by the simulation, seed 23710."""
    more = [fill(BUY, "5", "100", T0 + 500, order="open"), fill(SELL, "5", "104", CLOSED - 500, order="exit")]
    known = case(closed_row(details(funding=Decimal(0))), None, history([OPEN, *more, EXIT]), trades=(OPEN.trade_id,))
    better = amended(known)
    assert isinstance(better, Amendment)
    assert better.lifecycle.close is not None
    assert (better.lifecycle.close.quantity, better.lifecycle.close.realized_pnl) == (10, 70)
    assert amended(msgspec.structs.replace(known, recorded_trade_ids=("gone",))) == (
        "the history lacks fill gone that the book recorded of it"
    )


def test_what_closed_the_row_stands_while_the_history_lacks_a_fill_that_the_book_has() -> None:
    known = case(closed_row(details()), None, history([OPEN, *REOPENED, EXIT]), trades=("seen",))
    assert amended(known) == "the history lacks fill seen that the book recorded of it"


def test_a_row_whose_beginning_is_not_known_is_told_by_the_order_that_closed_it() -> None:
    """Its opening order may be another bot's word; what ended it is what fills told."""
    unknown = msgspec.structs.replace(closed_row(details(funding=None)), opening_order_id=None)
    better = amended(case(unknown, None, history([OPEN, *REOPENED, EXIT])))
    assert isinstance(better, Amendment)
    assert (better.lifecycle.opening_order_id, better.missed) == ("again", ())


def test_other_amounts_under_the_same_grade_are_not_believed() -> None:
    assert isinstance(found(details(quantity=Decimal(7)), OPEN, EXIT), str)


def test_a_history_that_begins_within_an_older_lifecycle_completes_the_same_quantity() -> None:
    """On a net line a gap would not show; what closed the row is of the quantity that the book has."""
    older = fill(SELL, "3", "99", T0 - 60_000, order="older")
    better = found(details(), older, OPEN, EXIT, funding=[paid("-0.5")])
    assert isinstance(better, Amendment)
    assert better.lifecycle.close is not None
    assert better.lifecycle.close.net_pnl == Decimal("49.3")


@pytest.mark.parametrize("quantity", ["5", "7"])
def test_profits_that_cannot_be_amend_nothing_whatever_the_quantity(quantity: str) -> None:
    """Binance states no profit of what is taken for the close, although the price had moved: it was an opening."""
    impossible = [fill(BUY, "5", "100", T0, order="open", pnl="0"), fill(SELL, "5", "110", CLOSED, pnl="0")]
    told = found(details(Evidence.ABSENCE, quantity=Decimal(quantity)), *impossible)
    assert isinstance(told, str)
    assert "cannot be" in told


def test_nothing_better_is_no_change() -> None:
    same = details(funding=Decimal(0), exit_reason=ExitReason.MANUAL)
    assert found(same, OPEN, EXIT) == "nothing better"


def test_an_opening_before_what_was_read_is_read_further_back_as_far_as_the_venue_keeps_it() -> None:
    read = history([EXIT], since=T0 + 1_000)
    asked = amended(case(closed_row(details(Evidence.ABSENCE)), None, read))
    assert isinstance(asked, NeedsHistory)
    assert asked.since_ms < T0 + 1_000
    assert (
        amended(case(closed_row(details(Evidence.ABSENCE)), None, history([EXIT])))
        == "its opening is older than the history"
    )


def test_what_it_needs_is_asked_for() -> None:
    asked = amended(case(closed_row(details()), None, history([OPEN, EXIT], asked=(), since=T0 - 5_000)))
    assert isinstance(asked, NeedsHistory)
    assert asked.order_ids == ("exit",)
    assert asked.want_funding_since_ms == T0
    assert asked.since_ms == T0 - 5_000, "its fills are not read anew from another time"


@pytest.mark.parametrize(("asked", "orders", "funding_since"), [(("orders",), (), T0), (("funding",), ("exit",), None)])
def test_only_what_was_not_asked_yet_is_asked_for(
    asked: tuple[str, ...], orders: tuple[str, ...], funding_since: int | None
) -> None:
    needs = amended(case(closed_row(details()), None, history([OPEN, EXIT], asked=asked)))
    assert isinstance(needs, NeedsHistory)
    assert (needs.order_ids, needs.want_funding_since_ms) == (orders, funding_since)


def test_what_ended_the_lifecycles_that_were_missed_is_asked_for_too() -> None:
    asked = amended(case(closed_row(details()), None, history([OPEN, *REOPENED, EXIT], asked=())))
    assert isinstance(asked, NeedsHistory)
    assert asked.order_ids == ("hand", "exit")


def funding_until(until_ms: int) -> FundingHistory:
    return FundingHistory(symbol=BTC, since_ms=T0, until_ms=until_ms, payments=())


@pytest.mark.parametrize(
    ("close", "read_until", "wanted"),
    [
        (details(funding=Decimal(0)), CLOSED + 120_000, False),
        (details(funding=Decimal(0)), CLOSED + 119_999, True),
        (details(), CLOSED + 1, False),
        (details(), None, True),
        (details(complete=False), CLOSED + 120_000, True),
        (details(Evidence.ABSENCE), CLOSED + 120_000, True),
        (details(Evidence.CLOSED_PNL), CLOSED + 120_000, True),
    ],
    ids=["final", "read-early", "not-attributable", "not-read", "incomplete", "absence", "record"],
)
def test_which_records_are_looked_at_again(close: CloseDetails, read_until: int | None, wanted: bool) -> None:
    assert can_get_better(close, funding_until(read_until) if read_until is not None else None) is wanted


@pytest.mark.parametrize(("read_until", "told"), [(CLOSED + 120_000, True), (CLOSED + 119_999, False)])
def test_a_payment_that_was_credited_late_is_counted_once_all_of_them_are(read_until: int, told: bool) -> None:
    read = history([OPEN, EXIT], funding=[paid("-0.5")])
    assert read.funding is not None
    late = msgspec.structs.replace(read, funding=msgspec.structs.replace(read.funding, until_ms=read_until))
    better = amended(case(closed_row(details(funding=Decimal(0))), None, late))
    assert isinstance(better, Amendment) is told
    if isinstance(better, Amendment):
        assert better.lifecycle.close is not None
        assert better.lifecycle.close.funding == Decimal("-0.5")
    assert isinstance(amended(case(closed_row(details(funding=Decimal("-0.5"))), None, late)), str)


def test_the_contract_must_still_be_listed() -> None:
    gone = amended(case(closed_row(details()), None, history([OPEN, EXIT]), instrument=None))
    assert gone == "its contract is no longer listed"


def test_what_another_row_records_is_not_booked_again() -> None:
    """Found by the simulation, seed 22845: a row that bore a wrong opening order."""
    about = case(closed_row(details(Evidence.ABSENCE)), None, history([OPEN, EXIT]))
    assert isinstance(amended(about), Amendment)
    told = amended(msgspec.structs.replace(about, ended=(Ending(CLOSED, "exit"),)))
    assert told == "no fill of its own is in the history"


def test_of_two_rows_that_absence_closed_the_first_that_is_looked_at_has_the_lifecycle() -> None:
    about = case(closed_row(details(Evidence.ABSENCE)), None, history([OPEN, EXIT]))
    other = Ending(CLOSED + 90_000, None, Evidence.ABSENCE, (T0, "open"))
    assert isinstance(amended(msgspec.structs.replace(about, ended=(other,))), Amendment)


@pytest.mark.parametrize(
    "close",
    [details(Evidence.CLOSED_PNL, closing_order_id="exit"), details(Evidence.ABSENCE)],
    ids=["record", "absence"],
)
def test_what_ended_between_is_missing_whatever_closed_the_row(close: CloseDetails) -> None:
    better = found(close, OPEN, *REOPENED, EXIT)
    assert isinstance(better, Amendment)
    assert [one.opening_order_id for one in (better.lifecycle, *better.missed)] == ["open", "again"]


def test_of_lifecycles_that_one_order_began_the_rows_has_the_books_fills() -> None:
    again = fill(BUY, "5", "104", T0 + 9_500, order="open")
    known = closed_row(details(funding=Decimal(0)))
    read = history([OPEN, REOPENED[0], again, EXIT])
    better = amended(case(known, None, read, trades=(OPEN.trade_id, EXIT.trade_id)))
    assert isinstance(better, Amendment)
    assert better.lifecycle.parts[0].fill is OPEN
    assert [one.parts[0].fill for one in better.missed] == [again]


def test_a_lifecycle_of_which_the_book_has_one_opening_fill_is_the_rows_own() -> None:
    """The other one came late; the lifecycle after it was begun by a part of the same order."""
    late = fill(BUY, "5", "100", T0 + 500, order="open")
    out = fill(SELL, "10", "104", T0 + 9_000, order="hand")
    again = fill(BUY, "5", "104", T0 + 9_500, order="open")
    read = history([OPEN, late, out, again, EXIT])
    better = amended(case(closed_row(details(funding=Decimal(0))), None, read, trades=(OPEN.trade_id,)))
    assert isinstance(better, Amendment)
    assert [part.fill for part in better.lifecycle.parts] == [OPEN, late, out]


def test_a_lifecycle_that_other_orders_added_to_is_still_the_one_that_the_rows_order_began() -> None:
    added = fill(BUY, "5", "100", T0 + 500, order="added")
    out = fill(SELL, "10", "104", T0 + 9_000, order="hand")
    again = fill(BUY, "5", "104", T0 + 9_500, order="again")
    better = found(details(funding=Decimal(0)), OPEN, added, out, again, EXIT)
    assert isinstance(better, Amendment)
    assert [part.fill for part in better.lifecycle.parts] == [OPEN, added, out]


def test_a_hole_in_the_history_amends_nothing() -> None:
    """The row's own close is not visible: what is would give it another's lifecycle, of the same quantity."""
    read = history([OPEN, REOPENED[1], EXIT], funding=[paid("-0.5")])
    assert amended(case(closed_row(details()), None, read, trades=(OPEN.trade_id, EXIT.trade_id))) == (
        f"the history lacks fill {OPEN.trade_id} that the book recorded of it"
    )


@pytest.mark.parametrize("recorded", [(), ("hidden",)])
def test_a_part_of_its_close_is_not_the_whole_of_it(recorded: tuple[str, ...]) -> None:
    part = fill(SELL, "2", "105", CLOSED - 5_000, order="exit")
    guess = closed_row(details(Evidence.ABSENCE))
    assert isinstance(amended(case(guess, None, history([OPEN, part]), trades=(OPEN.trade_id, *recorded))), str)


def test_what_closed_it_stays_known_where_the_venue_has_forgotten_the_order() -> None:
    better = found(details(exit_reason=ExitReason.TRAILING_STOP), OPEN, EXIT, funding=[paid("-0.5")])
    assert isinstance(better, Amendment)
    assert better.lifecycle.close is not None
    assert better.lifecycle.close.exit_reason is ExitReason.TRAILING_STOP


@pytest.mark.parametrize(
    ("standing", "inserted"),
    [
        (None, 1),
        (row(LONG, "3", opened=CLOSED - 1_000, seen=VIEW, changed=CLOSED + 5_000, position_id=9), 1),
        (row(LONG, "3", opened=CLOSED, seen=VIEW, changed=CLOSED, position_id=9), 1),
        (row(LONG, "5", opened=T0 + 9_100, position_id=9), 0),
        (
            row(
                LONG,
                "5",
                opened=T0 + 9_000,
                seen=T0 + 9_500,
                changed=T0 + 9_000,
                order="again",
                position_id=9,
                status=PositionStatus.CLOSED,
                close=details(Evidence.ABSENCE, closed_at_ms=CLOSED + 90_000),
            ),
            0,
        ),
    ],
    ids=["none", "seen open after it", "opened as it ended", "a bot's own", "closed on absence"],
)
def test_what_was_missed_gets_a_row_unless_another_may_be_its(standing: Position | None, inserted: int) -> None:
    about = case(closed_row(details(funding=Decimal(0))), None, history([OPEN, *REOPENED, EXIT]))
    amendment = amended(about)
    assert isinstance(amendment, Amendment)
    assert about.row is not None
    others = [standing] if standing is not None else []
    written = settle_amended(about, about.row, amendment, situation(), others)
    assert (len(written.closes), len(written.opens)) == (1, inserted)
    assert [close.amends for close in written.closes] == [True]
    assert written.events[0].data["missed"] == 1


def told(close: CloseDetails, *fills: Fill, **more: object) -> dict[str, object]:
    """The data of the event that an amendment is told by."""
    about = case(closed_row(close), None, history(fills, **more))  # type: ignore[arg-type]
    amendment = amended(about)
    assert isinstance(amendment, Amendment)
    assert about.row is not None
    (event, *_) = settle_amended(about, about.row, amendment, situation()).events
    assert (event.type, event.position_id) == (EventType.CLOSE_AMENDED, 7)
    return event.data


def test_an_amendment_tells_what_changed_and_nothing_else() -> None:
    known = details(exit_reason=ExitReason.MANUAL, fees=(Amount(asset="USDT", amount=Decimal("0.2")),))
    data = told(known, OPEN, EXIT, funding=[paid("-0.5")])
    assert data["before"] == {"funding": None, "net_pnl": None}
    assert data["after"] == {"funding": "-0.5", "net_pnl": "49.3"}
    assert data["why"] == "fills → fills: the venue's history tells more by now"


def test_an_amendment_tells_on_what_the_record_stands_now() -> None:
    """Of an estimate that was booked too late, as of one that ended when it says."""
    guess = details(Evidence.ABSENCE, closed_at_ms=CLOSED + 5_000)
    data = told(guess, OPEN, EXIT)
    assert data["why"] == "absence → fills: the venue's history tells more by now"
    before, after = data["before"], data["after"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert (before["evidence"], after["evidence"]) == ("absence", "fills")
    assert (before["closed_at_ms"], after["closed_at_ms"]) == (CLOSED + 5_000, CLOSED)
    assert "exit_price" not in after


def test_an_amendment_tells_that_a_close_and_a_reopening_were_missed() -> None:
    why = told(details(funding=Decimal(0)), OPEN, *REOPENED, EXIT)["why"]
    assert "it ended earlier: a close and a reopening were not told" in str(why)
