"""A row that a complete view lacks and no fill closes: lessons 2, 3, 25, and the lesser evidence."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from core_cases import (
    BUY,
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
    fill,
    history,
    mark_of,
    needs,
    policy,
    record,
    report,
    row,
    suspected,
)

from trueup.core.cases import Close, Ending, KnownOrder, LeaveYoung, NeedsHistory
from trueup.core.decide import LEAD_MS, decide_key
from trueup.core.young import dated
from trueup.model.holds import Mark, MarkKind
from trueup.model.observations import SurfaceVerdict
from trueup.model.orders import ClosedPnl, Fill, OrderKind, OrderStatus, Side
from trueup.model.positions import Amount, Evidence, ExitReason

D = Decimal
FLAT, OPEN, UNKNOWN = SurfaceVerdict.FLAT, SurfaceVerdict.OPEN, SurfaceVerdict.UNKNOWN
STOP = KnownOrder(order_id="s1", client_order_id=None, kind=OrderKind.STOP, ours=False)


# never existed


def test_a_row_without_any_fill_is_only_suspected_at_first() -> None:  # lesson 2
    verdict = suspected(decide_key(case(row(), None, history())))
    assert "never existed" in verdict.why
    assert (verdict.mark.kind, verdict.mark.count, verdict.mark.detail) == (MarkKind.GONE, 1, "5")
    assert (verdict.wait_ms, verdict.inconclusive) == (30_000, None)


def test_before_it_is_confirmed_no_second_surface_is_asked() -> None:
    past = history(asked=("closed_pnl", "orders"))
    assert suspected(decide_key(case(row(), None, past))).mark.count == 1


def test_confirmed_absence_asks_the_second_surface() -> None:
    past = history(asked=("closed_pnl", "orders"))
    verdict = needs(decide_key(case(row(), None, past, mark=mark_of(row()))))
    assert verdict.want_surface
    assert verdict.since_ms == REACH, "the fills are not read anew from another time"


def test_confirmed_absence_with_an_agreeing_surface_closes_as_an_estimate() -> None:
    book = row(seen=T0 + 10, changed=T0, current_price=D("104"))
    verdict = closed(decide_key(case(book, None, history(), mark=mark_of(book), surface=FLAT)))
    details = verdict.details
    assert (details.evidence, details.exit_reason, details.estimated) == (
        Evidence.ABSENCE,
        ExitReason.PHANTOM_ON_SYNC,
        True,
    )
    assert (details.exit_price, details.realized_pnl, details.fees, details.net_pnl) == (D(104), D(20), (), None)
    assert (details.closed_at_ms, details.complete, verdict.lifecycle) == (VIEW, False, None)
    assert details.settle_asset == "USDT"


def test_a_row_that_was_never_seen_has_no_price_and_no_profit() -> None:  # lesson 12
    book = row(current_price=D("104"))
    details = closed(decide_key(case(book, None, history(), mark=mark_of(book), surface=FLAT))).details
    assert (details.exit_price, details.realized_pnl) == (None, None)


@pytest.mark.parametrize(
    ("count", "first"),
    [(1, VIEW - 29_999), (0, VIEW - HOUR)],
)
def test_absence_is_confirmed_by_number_and_by_time(count: int, first: int) -> None:
    verdict = decide_key(case(row(), None, history(), mark=mark_of(row(), count=count, first=first), surface=FLAT))
    assert not isinstance(verdict, Close)


def test_the_same_view_does_not_count_twice() -> None:
    mark = mark_of(row(), first=VIEW - HOUR, last=VIEW, count=1)
    assert suspected(decide_key(case(row(), None, history(), mark=mark, surface=FLAT))).mark.count == 1


def test_another_quantity_starts_the_count_again() -> None:
    mark = mark_of(row(), detail="4")
    assert suspected(decide_key(case(row(), None, history(), mark=mark, surface=FLAT))).mark.count == 1


def test_a_surface_that_shows_it_open_forbids_the_close() -> None:
    verdict = suspected(decide_key(case(row(), None, history(), mark=mark_of(row()), surface=OPEN)))
    assert "still shows it" in verdict.why
    assert verdict.inconclusive is None


def test_a_surface_that_cannot_tell_leaves_it_to_a_person() -> None:
    verdict = suspected(decide_key(case(row(), None, history(), mark=mark_of(row()), surface=UNKNOWN)))
    assert verdict.inconclusive is not None
    assert verdict.inconclusive.startswith("7:")


def test_a_person_may_decide_what_no_surface_can_tell() -> None:
    verdict = decide_key(case(row(), None, history(), mark=mark_of(row()), surface=UNKNOWN, approved=True))
    assert closed(verdict).details.evidence is Evidence.ABSENCE


def test_an_approved_close_that_the_surface_shows_open_is_not_carried_out() -> None:
    verdict = decide_key(case(row(), None, history(), mark=mark_of(row()), surface=OPEN, approved=True))
    suspected(verdict)


def test_a_young_row_is_left_alone() -> None:  # lesson 25
    young = row(opened=VIEW - 20_000)
    verdict = decide_key(case(young, None, history(), mark=mark_of(young), surface=FLAT))
    assert isinstance(verdict, LeaveYoung)
    assert verdict.wait_ms == 60_000 - 20_040


def test_a_row_is_young_for_its_grace_and_no_longer() -> None:
    def at_age(age_ms: int) -> object:
        book = row(opened=VIEW + 40 - age_ms)  # a case's now is 40 ms after its view
        return decide_key(case(book, None, history(), mark=mark_of(book), surface=FLAT))

    almost = at_age(59_000)
    assert isinstance(almost, LeaveYoung)
    assert (almost.why, almost.wait_ms) == ("the row is 59 s old: its fill may not be visible yet", 1_000)
    assert isinstance(at_age(60_000), Close)


def test_durations_may_be_zero() -> None:
    rules = policy(new_row_grace_ms=0, confirm_after_ms=0, confirm_snapshots=1)
    assert isinstance(decide_key(case(row(opened=VIEW), None, history(), rules=rules, surface=FLAT)), Close)


def test_an_unreadable_row_in_the_account_blocks_absence() -> None:
    verdict = suspected(
        decide_key(case(row(), None, history(), mark=mark_of(row()), surface=FLAT, blocked="XYZ could not be read"))
    )
    assert verdict.why == "XYZ could not be read"
    assert verdict.mark.count == 1  # such a view does not count


def test_a_failed_history_keeps_the_count_as_it_is() -> None:
    verdict = suspected(decide_key(case(row(), None, history(failed="503"), mark=mark_of(row()), surface=FLAT)))
    assert verdict.mark == mark_of(row())


def test_fills_of_others_do_not_make_a_phantom_existent() -> None:
    """A lifecycle of another size, long after the row was written, is not the row's."""
    fills = [fill(BUY, "2", "100", T0 + HOUR), fill(SELL, "2", "101", T0 + 2 * HOUR)]
    verdict = suspected(decide_key(case(row(), None, history(fills))))
    assert "none of the fills" in verdict.why


def test_a_phantom_beside_a_position_of_the_other_side_never_existed_either() -> None:
    """One-way: the account is short since before the row and nothing was filled since: no contradiction, no endless reading."""
    short = report(SHORT, "3")
    past = history(since=T0 - LEAD_MS)
    verdict = suspected(decide_key(case(row(), None, past, opposite=short)))
    assert "never existed" in verdict.why


def test_fills_that_do_not_add_up_to_flat_are_read_further_back() -> None:
    """Once they stayed so: a history that lags shall not cost six months of reading for each position."""
    past = history([fill(SELL, "5", "100", T0 - 30_000)], since=T0 - LEAD_MS)
    assert suspected(decide_key(case(row(), None, past))).mark.count == 1
    assert needs(decide_key(case(row(), None, past, mark=mark_of(row())))).since_ms < T0 - LEAD_MS


def test_fills_that_never_show_what_the_venue_showed_are_a_contradiction() -> None:
    fills = [fill(SELL, "5", "100", T0 - 30_000), fill(BUY, "5", "100", T0)]
    book = row(seen=T0 + 10, changed=T0)
    verdict = suspected(decide_key(case(book, None, history(fills), mark=mark_of(book), surface=FLAT)))
    assert verdict.inconclusive is not None
    assert "showed it open" in verdict.why


def test_an_opening_that_stands_unclosed_is_held_once_it_stayed_so() -> None:
    past = history([fill(BUY, "5", "100", T0)])
    verdict = suspected(decide_key(case(row(), None, past, mark=mark_of(row()), surface=FLAT)))
    assert verdict.inconclusive is not None
    assert verdict.wait_ms is None


def test_an_approved_contradiction_is_closed_on_absence() -> None:
    past = history([fill(BUY, "5", "100", T0)])
    details = closed(decide_key(case(row(), None, past, mark=mark_of(row()), approved=True))).details
    assert details.evidence is Evidence.ABSENCE


def test_an_approved_contradiction_that_the_surface_shows_open_is_not_closed() -> None:
    past = history([fill(BUY, "5", "100", T0)])
    verdict = suspected(decide_key(case(row(), None, past, mark=mark_of(row()), surface=OPEN, approved=True)))
    assert "still shows it" in verdict.why


@pytest.mark.parametrize("approved", [False, True])
def test_before_a_contradiction_is_held_or_carried_out_the_second_surface_is_asked(approved: bool) -> None:
    past = history([fill(BUY, "5", "100", T0)], asked=("closed_pnl", "orders"))
    assert needs(decide_key(case(row(), None, past, mark=mark_of(row()), approved=approved))).want_surface


@pytest.mark.parametrize("surface", [OPEN, FLAT, UNKNOWN])
def test_the_person_who_is_asked_sees_that_the_surface_shows_it_open(surface: SurfaceVerdict) -> None:
    """The hold is the same one whatever the surface says: what it rests on are the fills."""
    past = history([fill(BUY, "5", "100", T0)])
    verdict = suspected(decide_key(case(row(), None, past, mark=mark_of(row()), surface=surface)))
    assert ("still shows it" in verdict.why) is (surface is OPEN)
    assert verdict.inconclusive is not None
    assert "still shows it" not in verdict.inconclusive


@pytest.mark.parametrize("surface", [FLAT, UNKNOWN])
def test_an_approved_contradiction_that_no_surface_shows_open_is_closed(surface: SurfaceVerdict) -> None:
    past = history([fill(BUY, "5", "100", T0)])
    verdict = decide_key(case(row(), None, past, surface=surface, approved=True))
    assert closed(verdict).details.evidence is Evidence.ABSENCE


def test_an_approved_contradiction_still_waits_while_a_row_of_the_account_is_unreadable() -> None:
    past = history([fill(BUY, "5", "100", T0)])
    suspected(decide_key(case(row(), None, past, mark=mark_of(row()), approved=True, blocked="XYZ")))


@pytest.mark.parametrize(("opened", "why"), [(REACH - 1, "older than the history"), (REACH, "it never existed")])
def test_a_row_older_than_the_history_is_absence_of_which_no_fill_could_tell(opened: int, why: str) -> None:
    assert why in suspected(decide_key(case(row(opened=opened), None, history()))).why


def test_a_row_whose_contract_is_no_longer_listed_is_closed_without_amounts() -> None:
    """Nothing says what one of its contracts was, and in which asset it was settled."""
    book = row(seen=T0 + 10, changed=T0, current_price=D("104"))
    about = case(book, None, history(), instrument=None, mark=mark_of(book), surface=FLAT)
    details = closed(decide_key(about)).details
    assert (details.evidence, details.settle_asset) == (Evidence.ABSENCE, "")
    assert (details.exit_price, details.realized_pnl) == (D(104), None)


# a row that its bot dated hours ahead (local time without an offset)

AHEAD = VIEW + 3 * HOUR


def test_a_row_that_was_seen_open_is_never_one_that_never_existed() -> None:
    for opened in (T0, AHEAD):
        book = row(opened=opened, seen=T0 + 1000, changed=T0)
        for fills in ([], [fill(BUY, "2", "100", T0 + HOUR), fill(SELL, "2", "101", T0 + 2 * HOUR)]):
            why = suspected(decide_key(case(book, None, history(fills)))).why
            assert "never existed" not in why
            assert "showed it open" in why


def test_a_row_that_was_seen_open_is_not_young_till_its_own_date() -> None:
    book = row(opened=AHEAD, seen=T0 + 1000, changed=T0)
    assert isinstance(decide_key(case(book, None, history(), mark=mark_of(book), surface=FLAT)), Close)
    young = row(opened=AHEAD, seen=VIEW - 59_000, changed=T0)
    assert isinstance(decide_key(case(young, None, history(), mark=mark_of(young), surface=FLAT)), LeaveYoung)


def lacked_for(age_ms: int, opened: int = AHEAD) -> Mark:
    return mark_of(row(opened=opened), first=VIEW - age_ms)


def test_a_row_that_was_never_seen_ages_from_the_first_view_that_lacked_it() -> None:
    book = row(opened=AHEAD)
    first = suspected(decide_key(case(book, None, history(), surface=FLAT)))
    assert (first.mark.count, first.wait_ms) == (1, 60_000)
    assert "dated 10799 s ahead of now, and views have lacked it for 0 s" in first.why
    almost = suspected(decide_key(case(book, None, history(), mark=lacked_for(59_999), surface=FLAT)))
    assert (almost.wait_ms, almost.inconclusive) == (1, None)
    details = closed(decide_key(case(book, None, history(), mark=lacked_for(60_000), surface=FLAT))).details
    assert details.evidence is Evidence.ABSENCE
    unreadable = case(book, None, history(), mark=lacked_for(59_999), surface=FLAT, blocked="XYZ")
    assert suspected(decide_key(unreadable)).mark == lacked_for(59_999)


@pytest.mark.parametrize(("ahead", "wrong"), [(59_999, False), (60_000, True)])
def test_a_row_dated_ahead_by_no_more_than_the_grace_is_young(ahead: int, wrong: bool) -> None:
    book = row(opened=VIEW + 40 + ahead)  # a case's now is 40 ms after its view
    verdict = decide_key(case(book, None, history(), mark=mark_of(book), surface=FLAT))
    assert isinstance(verdict, LeaveYoung) is not wrong


def test_a_row_dated_ahead_is_closed_by_its_fills_once_views_have_lacked_it_for_as_long_as_a_row_is_young() -> None:
    fills = [fill(BUY, "5", "100", VIEW - 200_000), fill(SELL, "5", "104", VIEW - 100_000)]
    book = dated(row(opened=AHEAD), VIEW + 40, 60_000)
    waiting = suspected(decide_key(case(book, None, history(fills))))
    assert "its own may not be visible yet" in waiting.why
    done = closed(decide_key(case(book, None, history(fills), mark=lacked_for(60_000)))).details
    assert (done.evidence, done.exit_price) == (Evidence.FILLS, D(104))


def test_only_a_row_that_was_never_seen_and_lies_ahead_is_dated_anew() -> None:
    now = VIEW + 40
    assert dated(row(opened=AHEAD), now, 60_000).opened_at_ms == now
    assert dated(row(opened=AHEAD), now, 60_000).created_at_ms == AHEAD
    for other in (row(opened=now + 60_000), row(opened=T0), row(opened=AHEAD, seen=T0 + 10, changed=T0)):
        assert dated(other, now, 60_000) is other


def test_a_record_of_its_close_counts_from_when_it_was_seen() -> None:
    book = row(opened=AHEAD, seen=T0 + 1000, changed=T0)
    assert closed(decide_key(case(book, None, unread(pnl_record("5", T0 + HOUR))))).details.quantity == D(5)


# a contract that was delisted or delivered

UNLISTED = msgspec.structs.replace(history(asked=()), fills=None, unlisted=True)


def unlisted(surface: SurfaceVerdict, *, first: int | None = None, asked: tuple[str, ...] = ("surface",)) -> object:
    book = row(seen=T0 + 10, changed=T0)
    past = msgspec.structs.replace(UNLISTED, asked=asked)
    mark = mark_of(book, first=first) if first is not None else None
    return decide_key(case(book, None, past, instrument=None, mark=mark, surface=surface))


def test_a_contract_that_is_listed_no_more_is_confirmed_as_any_absence() -> None:
    """No venue answers for its fills: the row would stay for ever. It ends by what else tells it, never at once."""
    first = suspected(unlisted(FLAT))  # type: ignore[arg-type]
    assert (first.mark.count, first.wait_ms, first.inconclusive) == (1, 30_000, None)
    assert "no longer listed" in first.why
    assert needs(unlisted(UNKNOWN, first=VIEW - 30_000, asked=())).want_surface  # type: ignore[arg-type]
    details = closed(unlisted(FLAT, first=VIEW - 30_000)).details  # type: ignore[arg-type]
    assert (details.evidence, details.estimated) == (Evidence.ABSENCE, True)
    assert suspected(unlisted(OPEN, first=VIEW - 30_000)).inconclusive is None  # type: ignore[arg-type]
    assert suspected(unlisted(UNKNOWN, first=VIEW - 30_000)).inconclusive is not None  # type: ignore[arg-type]


def test_a_history_that_failed_is_not_that_of_a_contract_listed_no_more() -> None:
    book = row(seen=T0 + 10, changed=T0)
    verdict = decide_key(case(book, None, history(failed="503"), instrument=None, mark=mark_of(book), surface=FLAT))
    assert suspected(verdict).mark == mark_of(book)


# the venue's own record of the close (Bybit)


def pnl_record(quantity: str, at: int, *, order: str = "x", side: Side = LONG, **more: object) -> ClosedPnl:
    values: dict[str, object] = {
        "symbol": "BTC/USDT:USDT",
        "order_id": order,
        "side": side,
        "quantity": D(quantity),
        "entry_price": D(100),
        "exit_price": D(110),
        "net_pnl": D("49.4"),
        "open_fee": D("0.275"),
        "close_fee": D("0.325"),
        "created_by": None,
        "at_ms": at,
    }
    return ClosedPnl(**(values | more))  # type: ignore[arg-type]


def unread(*records: ClosedPnl) -> object:
    """A history whose closing fill is missing, with these closed-PnL records."""
    return history([fill(BUY, "5", "100", T0, closed="0")], closed_pnl=records)


def test_the_record_of_the_close_is_asked_for_as_far_back_as_its_fills_were_read() -> None:
    past = history([fill(BUY, "5", "100", T0, closed="0")], asked=(), since=T0 - HOUR)
    asked = needs(decide_key(case(row(), None, past)))
    assert (asked.want_closed_pnl, asked.since_ms) == (True, T0 - HOUR)


def test_a_closed_pnl_record_of_the_whole_quantity_closes() -> None:
    details = closed(decide_key(case(row(), None, unread(pnl_record("5", T0 + HOUR))))).details
    assert (details.evidence, details.exit_reason) == (Evidence.CLOSED_PNL, ExitReason.SYNC_CLEANUP)
    assert (details.quantity, details.exit_price, details.realized_pnl) == (D(5), D(110), D("50.000"))
    assert details.fees == (Amount(asset="USDT", amount=D("0.600")),)
    assert (details.funding, details.net_pnl, details.estimated) == (None, None, False)
    assert (details.closed_at_ms, details.closing_order_id) == (T0 + HOUR, "x")
    assert not details.complete, "its fills and its funding may become known later"


def test_several_records_are_averaged_and_the_last_one_tells_the_reason() -> None:
    past = unread(
        pnl_record("2", T0 + HOUR, net_pnl=D("19"), open_fee=D("0.5"), close_fee=D("0.5")),
        pnl_record(
            "3",
            T0 + 2 * HOUR,
            order="y",
            exit_price=D(120),
            net_pnl=D("59"),
            open_fee=D("0.5"),
            close_fee=D("0.5"),
            created_by="liquidation",
        ),
    )
    details = closed(decide_key(case(row(), None, past))).details
    assert (details.exit_price, details.realized_pnl) == (D(116), D(80))
    assert (details.exit_reason, details.closing_order_id) == (ExitReason.LIQUIDATION, "y")


def test_earlier_partial_closes_count_but_do_not_prove() -> None:
    book = row(LONG, "3", seen=T0 + 2 * HOUR, changed=T0 + HOUR)
    past = unread(pnl_record("2", T0 + HOUR), pnl_record("3", T0 + 3 * HOUR))
    details = closed(decide_key(case(book, None, past))).details
    assert (details.evidence, details.quantity) == (Evidence.CLOSED_PNL, D(5))


def test_a_record_of_what_was_closed_before_the_row_was_seen_proves_nothing() -> None:
    book = row(LONG, "5", seen=T0 + 2 * HOUR, changed=T0 + HOUR)  # 10 opened, 5 closed, 5 left
    suspected(decide_key(case(book, None, unread(pnl_record("5", T0 + HOUR)))))


@pytest.mark.parametrize(("at", "proves"), [(T0 + 2 * HOUR - 1, False), (T0 + 2 * HOUR, True)])
def test_a_record_counts_from_when_the_row_was_last_seen_open(at: int, proves: bool) -> None:
    book = row(LONG, "5", seen=T0 + 2 * HOUR, changed=T0 + HOUR)  # the view speaks for the time before it
    assert isinstance(decide_key(case(book, None, unread(pnl_record("5", at)))), Close) is proves


def test_the_record_of_the_lifecycle_before_proves_nothing() -> None:
    """Closed, and reopened with the same size within a minute: one empty answer must not close the new row by the old record."""
    past = history(
        [
            fill(BUY, "5", "100", T0 - HOUR, closed="0"),
            fill(SELL, "5", "110", T0 - 30_000, closed="5"),
            fill(BUY, "5", "100", T0 - 500, closed="0"),
        ],
        closed_pnl=[pnl_record("5", T0 - 30_000)],
    )
    suspected(decide_key(case(row(opened=T0), None, past)))


@pytest.mark.parametrize(
    "wrong",
    [
        pnl_record("4", T0 + HOUR),
        pnl_record("5", T0 + HOUR, side=SHORT),
        pnl_record("5", VIEW),
    ],
    ids=["less", "other-side", "newer-than-the-view"],
)
def test_a_record_that_does_not_cover_it_closes_nothing(wrong: ClosedPnl) -> None:
    suspected(decide_key(case(row(), None, unread(wrong))))


def test_a_record_of_a_close_that_another_row_records_closes_nothing() -> None:
    """Found by the simulation: a bot wrote its row late; by then its position had been adopted, closed and recorded."""
    book, past = row(), unread(pnl_record("5", T0 + HOUR))
    assert isinstance(decide_key(case(book, None, past)), Close)
    for ended in (Ending(T0 + HOUR, None), Ending(T0 + HOUR + 5, "x"), Ending(T0 + HOUR - 5, "x")):
        suspected(decide_key(msgspec.structs.replace(case(book, None, past), ended=(ended,))))


def test_a_record_from_before_the_end_of_another_rows_lifecycle_closes_nothing() -> None:
    """Two adopted rows of the key were closed and recorded; what a record tells from between them was theirs."""
    others = (Ending(T0 + HOUR, "a"), Ending(T0 + 3 * HOUR, "b"))
    about = case(row(), None, unread(pnl_record("5", T0 + 2 * HOUR)))
    assert isinstance(decide_key(about), Close)
    suspected(decide_key(msgspec.structs.replace(about, ended=others)))
    suspected(decide_key(msgspec.structs.replace(about, ended=others[::-1])))


def test_a_record_whose_fills_were_read_closes_nothing() -> None:
    """They were counted already: the close is of a lifecycle that is not the row's."""
    fills = [
        fill(BUY, "7", "100", T0 + 2 * HOUR, closed="0"),
        fill(SELL, "7", "110", T0 + 3 * HOUR, closed="7", order="x"),
    ]
    book = row(LONG, "5", seen=T0 + HOUR, changed=T0)
    decided = decide_key(case(book, None, history(fills, closed_pnl=[pnl_record("5", T0 + 3 * HOUR)])))
    assert not isinstance(decided, Close)


def test_a_record_without_fees_is_grossed_up_from_its_values() -> None:
    bare = pnl_record("5", T0 + HOUR, open_fee=None, close_fee=None, entry_value=D(500), exit_value=D(550))
    details = closed(decide_key(case(row(), None, unread(bare)))).details
    assert (details.realized_pnl, details.fees) == (D(50), ())


@pytest.mark.parametrize(
    ("stated", "profit"),
    [
        ({"open_fee": None, "entry_value": D(500), "exit_value": D(550)}, D(50)),
        ({"close_fee": None, "entry_value": D(500), "exit_value": D(550)}, D(50)),
        ({"open_fee": None}, None),
        ({"open_fee": None, "entry_value": D(500)}, None),
        ({"close_fee": None, "exit_value": D(550)}, None),
    ],
    ids=["closing fee and values", "opening fee and values", "closing fee", "no exit value", "no entry value"],
)
def test_a_record_that_states_half_of_its_fees_or_values_is_not_guessed_at(
    stated: dict[str, Decimal | None], profit: Decimal | None
) -> None:
    details = closed(decide_key(case(row(), None, unread(pnl_record("5", T0 + HOUR, **stated))))).details
    assert (details.realized_pnl, details.fees) == (profit, ())


def test_fees_that_one_of_several_records_does_not_state_are_unknown() -> None:
    bare = pnl_record(
        "3", T0 + 2 * HOUR, order="y", open_fee=None, close_fee=None, entry_value=D(300), exit_value=D(330)
    )
    past = unread(pnl_record("2", T0 + HOUR, net_pnl=D("19"), open_fee=D("0.5"), close_fee=D("0.5")), bare)
    details = closed(decide_key(case(row(), None, past))).details
    assert (details.realized_pnl, details.fees) == (D(50), ())


def test_an_inverse_record_grows_as_the_coins_become_fewer() -> None:
    symbol = INVERSE.symbol
    bare = pnl_record(
        "100", T0 + HOUR, symbol=symbol, open_fee=None, close_fee=None, entry_value=D("0.005"), exit_value=D("0.004")
    )
    past = history([fill(BUY, "100", "20000", T0, closed="0", symbol=symbol)], closed_pnl=[bare], symbol=symbol)
    book = row(LONG, "100", entry="20000", symbol=symbol)
    details = closed(decide_key(case(book, None, past, instrument=INVERSE))).details
    assert (details.realized_pnl, details.settle_asset) == (D("0.001"), "BTC")


def test_inverse_exits_are_averaged_harmonically() -> None:
    symbol = INVERSE.symbol
    records = [
        pnl_record("100", T0 + HOUR, symbol=symbol, exit_price=D(20000)),
        pnl_record("100", T0 + 2 * HOUR, symbol=symbol, exit_price=D(30000)),
    ]
    past = history([fill(BUY, "200", "20000", T0, closed="0", symbol=symbol)], closed_pnl=records, symbol=symbol)
    book = row(LONG, "200", entry="20000", symbol=symbol)
    assert closed(decide_key(case(book, None, past, instrument=INVERSE))).details.exit_price == D(24000)


# the closing order


def with_order(**more: object) -> object:
    return history([fill(BUY, "5", "100", T0, pnl="0")], orders=[record("s1", **more)])  # type: ignore[arg-type]


def test_recorded_closing_orders_are_asked_for() -> None:
    past = history([fill(BUY, "5", "100", T0)], asked=("closed_pnl",))
    assert needs(decide_key(case(row(), None, past, orders=[STOP]))).order_ids == ("s1",)


def test_a_filled_closing_order_of_the_whole_quantity_closes() -> None:
    details = closed(decide_key(case(row(), None, with_order(at=T0 + HOUR), orders=[STOP]))).details
    assert (details.evidence, details.exit_reason) == (Evidence.ORDER, ExitReason.STOP_LOSS)
    assert (details.exit_price, details.realized_pnl, details.fees) == (D(110), D(50), ())
    assert (details.closed_at_ms, details.closing_order_id, details.complete) == (T0 + HOUR, "s1", False)
    assert details.settle_asset == "USDT"


@pytest.mark.parametrize(
    ("changed", "settle"),
    [
        ({"row": row(entry=None)}, "USDT"),
        ({"history": with_order(at=T0 + HOUR, average=None)}, "USDT"),
        ({"instrument": None}, ""),
    ],
    ids=["no entry price", "no average price", "no longer listed"],
)
def test_what_an_orders_profit_is_reckoned_from_may_be_unknown(changed: dict[str, object], settle: str) -> None:
    about = case(row(), None, with_order(at=T0 + HOUR), orders=[STOP])
    details = closed(decide_key(msgspec.structs.replace(about, **changed))).details
    assert (details.evidence, details.realized_pnl, details.settle_asset) == (Evidence.ORDER, None, settle)


def test_the_child_of_a_triggered_stop_is_found_by_its_parent() -> None:
    past = history([fill(BUY, "5", "100", T0)], orders=[record("child", parent="s1", at=T0 + HOUR)])
    assert closed(decide_key(case(row(), None, past, orders=[STOP]))).details.closing_order_id == "child"


def test_the_child_counts_where_the_triggered_stop_itself_is_listed_too() -> None:
    """As Binance answers: the conditional order says that it triggered, what it filled stands on the order that it became."""
    stop = record("s1", status=OrderStatus.TRIGGERED, filled=None, average=None, at=T0 + HOUR)
    past = history([fill(BUY, "5", "100", T0)], orders=[stop, record("child", parent="s1", at=T0 + HOUR)])
    details = closed(decide_key(case(row(), None, past, orders=[STOP]))).details
    assert (details.closing_order_id, details.exit_price) == ("child", D(110))


def test_our_own_close_command_is_manual() -> None:
    past = with_order(kind=OrderKind.MARKET, client="tu-close-1", at=T0 + HOUR)
    assert closed(decide_key(case(row(), None, past, orders=[STOP]))).details.exit_reason is ExitReason.MANUAL


@pytest.mark.parametrize(
    "more",
    [
        {"status": OrderStatus.OPEN},
        {"filled": "4"},
        {"side": BUY},
        {"at": None},
        {"at": VIEW},
    ],
    ids=["open", "partly", "wrong-side", "no-time", "newer-than-the-view"],
)
def test_an_order_that_does_not_prove_it_closes_nothing(more: dict[str, object]) -> None:
    suspected(decide_key(case(row(), None, with_order(**({"at": T0 + HOUR} | more)), orders=[STOP])))


def test_an_order_that_filled_before_the_row_was_last_seen_open_proves_nothing() -> None:
    """Half was taken by a take-profit; the other half, of the same size, is not in one transient empty answer."""
    book = row(LONG, "5", seen=T0 + 2 * HOUR, changed=T0 + HOUR)
    past = history(
        [fill(BUY, "10", "100", T0, pnl="0"), fill(SELL, "5", "110", T0 + HOUR, pnl="50", order="s1")],
        orders=[record("s1", at=T0 + HOUR, kind=OrderKind.TAKE_PROFIT)],
    )
    verdict = suspected(decide_key(case(book, None, past, orders=[STOP])))
    assert verdict.mark.count == 1


def test_an_order_whose_fills_are_not_visible_proves_nothing_from_before_the_row_was_seen() -> None:
    """The venue's history lags: of ten, five were taken before the row was seen with five."""
    book = row(LONG, "5", seen=T0 + 2 * HOUR, changed=T0 + HOUR)
    for at, proves in ((T0 + HOUR, False), (T0 + 3 * HOUR, True)):
        past = history([fill(BUY, "10", "100", T0)], orders=[record("s1", at=at)])
        assert isinstance(decide_key(case(book, None, past, orders=[STOP])), Close) is proves


def test_an_order_whose_fills_were_read_closes_nothing() -> None:
    """Found by the simulation: a stop of the phantom's size had reduced somebody's larger position."""
    fills = [
        fill(SELL, "7", "100", T0 - HOUR, pnl="0"),
        fill(BUY, "5", "110", T0 + HOUR, pnl="50", order="s1"),
        fill(BUY, "2", "110", T0 + 2 * HOUR, pnl="20"),
    ]
    stop = record("s1", at=T0 + HOUR, side=BUY)
    decided = decide_key(case(row(SHORT, "5", seen=T0 - 2 * HOUR), None, history(fills, orders=[stop]), orders=[STOP]))
    assert not isinstance(decided, Close)
    unseen = history([fills[0]], orders=[stop])
    assert isinstance(decide_key(case(row(SHORT, "5"), None, unseen, orders=[STOP])), Close)


@pytest.mark.parametrize(
    ("added", "closes"),
    [
        (fill(BUY, "5", "104", T0 + HOUR, pnl="0"), False),
        (fill(BUY, "5", "104", T0 + HOUR, closed="3"), False),
        (fill(BUY, "5", "104", T0 + HOUR, pnl="0", leg=LONG), False),
        (fill(BUY, "5", "104", T0 + HOUR, pnl="10", leg=SHORT), True),
        (fill(BUY, "5", "104", T0 + HOUR, closed="5"), True),
        (fill(BUY, "5", "104", T0 + 999, pnl="0"), True),
    ],
    ids=["one-way", "partly", "its-leg", "the-other-leg", "closes-the-other", "seen-with-it"],
)
@pytest.mark.parametrize("by", ["order", "record"])
def test_lesser_evidence_of_the_books_quantity_closes_nothing_that_was_added_to_since(
    by: str, added: Fill, closes: bool
) -> None:
    """One empty answer; the stop of 5 filled, its fill is not visible yet, and 5 more had been bought: 5 are open."""
    opened = msgspec.structs.replace(added, at_ms=T0, trade_id="1", order_id="o1")
    past = history(
        [added] if added.position_side is SHORT or added.closed_quantity == 5 else [opened, added],
        orders=[record("s1", at=T0 + 2 * HOUR)] if by == "order" else (),
        closed_pnl=[pnl_record("5", T0 + 2 * HOUR)] if by == "record" else (),
    )
    decided = decide_key(case(row(seen=T0 + 1000), None, past, orders=[STOP]))
    assert isinstance(decided, Close) is closes


def test_what_was_added_is_no_doubt_where_the_bot_wrote_it_into_its_row() -> None:
    fills = [fill(BUY, "5", "100", T0, pnl="0"), fill(BUY, "3", "104", T0 + HOUR, pnl="0")]
    past = history(fills, orders=[record("s1", filled="8", at=T0 + 2 * HOUR)])
    details = closed(decide_key(case(row(LONG, "8", seen=T0 + 1000), None, past, orders=[STOP]))).details
    assert (details.evidence, details.quantity) == (Evidence.ORDER, D(8))


@pytest.mark.parametrize(("later", "closes"), [(60_000, True), (60_001, False)])
def test_of_a_row_never_seen_what_opened_within_the_difference_of_clocks_may_be_its_own(
    later: int, closes: bool
) -> None:
    past = history([fill(BUY, "6", "100", T0 + later, pnl="0")], orders=[record("s1", at=T0 + HOUR)])
    assert isinstance(decide_key(case(row(), None, past, orders=[STOP])), Close) is closes


def test_a_history_that_failed_in_part_closes_by_no_lesser_evidence_either() -> None:
    past = history([fill(BUY, "5", "100", T0)], orders=[record("s1", at=T0 + HOUR)], failed="503")
    suspected(decide_key(case(row(), None, past, orders=[STOP])))


def test_what_was_asked_is_not_asked_again() -> None:
    assert not isinstance(decide_key(case(row(), None, history(), orders=[STOP])), NeedsHistory)


# a fill that is missing at the end of a net line


def test_a_row_never_seen_is_not_closed_by_a_line_that_a_missing_fill_shifts() -> None:
    """Found by the simulation: the history lacked the newest closing fill, and a phantom seemed to have been open all along."""
    fills = [fill(SELL, "5", "100", T0 + HOUR, pnl="0")]  # its close is not visible yet: the line begins with 5 long
    phantom = row(LONG, "5", opened=T0)
    verdict = decide_key(case(phantom, None, history(fills)))
    assert not isinstance(verdict, Close)
    assert isinstance(decide_key(case(phantom, None, history(fills, since=T0 - HOUR))), NeedsHistory)


def test_profits_that_cannot_be_tell_of_a_missing_fill() -> None:
    """The shifted line crosses zero before the row: only the stated profits show that a sale opened and closed nothing."""
    fills = [
        fill(SELL, "12", "100", T0 - 2 * HOUR, pnl="0"),
        fill(BUY, "12", "100", T0 - HOUR, pnl="0"),
        fill(SELL, "5", "90", T0 + HOUR, pnl="0"),
    ]
    verdict = decide_key(case(row(LONG, "5", opened=T0), None, history(fills)))
    assert not isinstance(verdict, Close)
