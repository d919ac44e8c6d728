"""What waits for a person: the share, the holds and their ends (lessons 2, 3)."""

from __future__ import annotations

import msgspec
import pytest
from core_cases import (
    BTC,
    BUY,
    HOUR,
    LONG,
    SELL,
    T0,
    VIEW,
    case,
    fill,
    history,
    hold,
    mark_of,
    policy,
    report,
    row,
    situation,
)
from settle_cases import (
    adopted,
    closed_by_fills,
    closed_on_absence,
    contradiction,
    decide,
    event,
    failing,
    seen_row,
    settled,
    types,
)

from trueup.core.cases import Close
from trueup.core.decide import decide_key
from trueup.core.holding import is_approved
from trueup.model.events import EventType, Severity
from trueup.model.holds import Hold, HoldKind, HoldState
from trueup.model.observations import SurfaceVerdict
from trueup.model.orders import Side

MASS, INCONCLUSIVE, ADOPTION = HoldKind.MASS_CLOSE, HoldKind.INCONCLUSIVE, HoldKind.ADOPTION
OPEN, APPROVED, REJECTED = HoldState.OPEN, HoldState.APPROVED, HoldState.REJECTED
DONE, WITHDRAWN = HoldState.DONE, HoldState.WITHDRAWN


def gone(*ids: int, **more: object):
    return [closed_on_absence(number, f"C{number}/USDT:USDT", **more) for number in ids]


def keys(*ids: int) -> list[tuple[str, Side]]:
    return [(f"C{number}/USDT:USDT", LONG) for number in ids]


def ends(result) -> list[tuple[int, HoldState]]:
    return [(update.hold_id, update.state) for update in result.hold_updates]


# the share


@pytest.mark.parametrize(
    ("vanished", "active", "recent", "fraction", "held"),
    [
        (1, 10, 0, "0.3", False),
        (3, 10, 0, "0.3", False),
        (4, 10, 0, "0.3", True),
        (1, 3, 0, "0.3", True),  # a third is more than 0.3
        (1, 9, 2, "0.3", False),  # 3 of 11
        (1, 7, 3, "0.3", True),  # 4 of 10
        (1, 1, 0, "1.0", False),  # an account of one may be emptied where the share allows it
        (2, 2, 0, "1.0", True),  # emptied, and it had two
        (1, 1, 1, "1.0", True),  # emptied within the window, and it had two
        (3, 4, 0, "1.0", False),
    ],
)
def test_the_share(vanished: int, active: int, recent: int, fraction: str, held: bool) -> None:  # lesson 3
    where = situation(active=active, recent=recent, fraction=fraction)
    result = settled(*gone(*range(1, vanished + 1)), where=where)
    assert (len(result.held), len(result.closes)) == ((1, 0) if held else (0, vanished))


def test_many_absences_are_one_decision_for_a_person() -> None:
    result = settled(*gone(3, 1, 2), where=situation(active=5))
    (new,) = result.holds
    assert (new.kind, new.fingerprint, new.position_ids) == (MASS, "1,2,3", (3, 1, 2))
    assert sorted(new.keys) == sorted(keys(1, 2, 3))
    told = event(result, EventType.HOLD_RAISED)
    assert (told.severity, told.data["kind"]) == (Severity.ERROR, "mass_close")
    assert (told.symbol, told.position_id) == (None, None), "it is about no single one"
    (group,) = result.held
    assert (group.new_index, group.hold_id, len(group.positions)) == (0, None, 3)
    assert sorted(update.position_id for update in result.updates) == [1, 2, 3]
    assert all(update.suspected_since_ms is not None for update in result.updates)
    assert (result.closes, result.effects) == ([], [])


def test_what_is_held_keeps_its_count() -> None:
    """An approval must not begin to confirm the absence anew."""
    held = gone(1, 2, 3)
    result = settled(*held, where=situation(active=5))
    assert result.marks == [about.mark for about, _ in held]
    at_once = policy(confirm_after_ms=0, confirm_snapshots=1)
    unmarked = [
        decide(case(book, None, history(symbol=book.symbol), surface=SurfaceVerdict.FLAT, rules=at_once))
        for book in (row(position_id=number, symbol=f"C{number}/USDT:USDT") for number in (1, 2, 3))
    ]
    assert settled(*unmarked, where=situation(active=5)).marks == []


def test_proven_closes_go_through_beside_it() -> None:
    result = settled(closed_by_fills(), *gone(1, 2), where=situation(active=4))
    assert [close.position_id for close in result.closes] == [7]
    assert [new.fingerprint for new in result.holds] == ["1,2"]


def test_a_hold_is_raised_once() -> None:
    standing = hold(MASS, OPEN, "1,2,3", keys(1, 2, 3))
    result = settled(*gone(1, 2, 3), where=situation(active=5, holds=[standing]))
    assert (result.holds, ends(result)) == ([], [])
    assert [group.hold_id for group in result.held] == [41]


def test_one_more_vanished_position_replaces_the_hold() -> None:
    standing = hold(MASS, OPEN, "1,2,3", keys(1, 2, 3))
    result = settled(*gone(1, 2, 3, 4), where=situation(active=5, holds=[standing]))
    assert [new.fingerprint for new in result.holds] == ["1,2,3,4"]
    assert ends(result) == [(41, WITHDRAWN)]


def test_a_rejected_hold_is_not_raised_again() -> None:
    result = settled(*gone(1, 2, 3), where=situation(active=5, holds=[hold(MASS, REJECTED, "1,2,3", keys(1, 2, 3))]))
    assert (result.holds, result.closes, result.held, ends(result)) == ([], [], [], [])
    assert [position.position_id for position in result.suspected] == [1, 2, 3]


def test_what_a_person_refused_is_not_closed_when_it_becomes_few() -> None:
    """One of the four was closed by its fills meanwhile: three of ten would be within the share."""
    rejected = hold(MASS, REJECTED, "1,2,3,4", keys(1, 2, 3, 4))
    result = settled(*gone(1, 2, 3), where=situation(active=10, holds=[rejected]))
    assert result.closes == []
    assert [new.fingerprint for new in result.holds] == ["1,2,3"]  # the evidence changed: asked again


def test_others_within_the_share_are_closed_beside_what_was_refused() -> None:
    rejected = hold(MASS, REJECTED, "1,2", keys(1, 2))
    result = settled(*gone(1, 2, 3), where=situation(active=30, holds=[rejected]))
    assert [close.position_id for close in result.closes] == [3]
    assert result.holds == []
    assert [position.position_id for position in result.suspected] == [1, 2]


def test_an_approved_hold_is_carried_out() -> None:
    approved = hold(MASS, APPROVED, "1,2,3", keys(1, 2, 3))
    result = settled(*gone(1, 2, 3, approved=True), where=situation(active=3, holds=[approved]))
    assert sorted(close.position_id for close in result.closes) == [1, 2, 3]
    assert ends(result) == [(41, DONE)]
    told = event(result, EventType.HOLD_APPROVED)
    assert told.data == {"hold_id": 41, "kind": "mass_close", "state": "done"}
    assert told.symbol is None


def test_what_is_seen_again_leaves_the_approved_hold() -> None:
    approved = hold(MASS, APPROVED, "1,2", keys(1, 2))
    back = row(position_id=1, symbol="C1/USDT:USDT")
    seen = decide(case(back, report(symbol="C1/USDT:USDT"), approved=True))
    result = settled(seen, *gone(2, approved=True), where=situation(active=2, holds=[approved]))
    assert [close.position_id for close in result.closes] == [2]
    assert ends(result) == [(41, DONE)]


def test_an_approval_is_not_spent_on_a_look_that_could_decide_nothing() -> None:
    approved = hold(INCONCLUSIVE, APPROVED, "7:x")
    result = settled(failing(approved=True), where=situation(holds=[approved]))
    assert ends(result) == []
    assert types(result) == [EventType.POSITION_SUSPECTED]


def test_an_approval_of_what_is_seen_again_is_withdrawn() -> None:
    approved = hold(INCONCLUSIVE, APPROVED, "7:x")
    result = settled(decide(case(row(), report(), approved=True)), where=situation(holds=[approved]))
    assert ends(result) == [(41, WITHDRAWN)]


# inconclusive


def test_a_contradiction_that_stayed_is_held() -> None:
    result = settled(contradiction())
    (new,) = result.holds
    assert (new.kind, new.position_ids, new.keys) == (INCONCLUSIVE, (7,), ((BTC, LONG),))
    assert new.fingerprint.startswith("7:")
    told = event(result, EventType.HOLD_RAISED)
    assert (told.symbol, told.position_id) == (BTC, 7)
    assert result.suspected == []
    assert len(result.held) == 1


def test_a_first_contradiction_is_not_held_yet() -> None:
    result = settled(contradiction(confirmed=False))
    assert (result.holds, len(result.suspected)) == ([], 1)


def test_an_open_hold_is_withdrawn_when_its_position_is_seen_again() -> None:
    standing = hold(INCONCLUSIVE, OPEN, "7:x")
    result = settled(decide(case(seen_row(), report(changed=row().opened_at_ms))), where=situation(holds=[standing]))
    assert ends(result) == [(41, WITHDRAWN)]
    told = event(result, EventType.HOLD_WITHDRAWN)
    assert (told.symbol, told.position_id) == (BTC, 7)


def test_the_end_of_a_hold_about_several_rows_names_no_single_one() -> None:
    several = msgspec.structs.replace(hold(MASS, OPEN, "1,2", keys(1, 2)), position_ids=(1, 2))
    told = event(settled(where=situation(holds=[several])), EventType.HOLD_WITHDRAWN)
    assert (told.symbol, told.position_id) == (None, None)


def test_no_hold_ends_in_a_book_that_may_not_be_written() -> None:
    standing = hold(INCONCLUSIVE, OPEN, "7:x")
    seen = decide(case(seen_row(), report(changed=row().opened_at_ms)))
    assert ends(settled(seen, where=situation(applies=False, holds=[standing]))) == []


def test_an_open_hold_is_withdrawn_when_fills_prove_the_close_after_all() -> None:
    result = settled(closed_by_fills(), where=situation(holds=[hold(INCONCLUSIVE, OPEN, "7:x")]))
    assert ends(result) == [(41, WITHDRAWN)]
    assert len(result.closes) == 1


@pytest.mark.parametrize("kind", [MASS, INCONCLUSIVE])
def test_an_open_hold_stands_while_a_look_could_decide_nothing(kind: HoldKind) -> None:
    """One failed history call neither proves nor refutes: the person is not asked twice."""
    result = settled(failing(mark=mark_of(row())), where=situation(holds=[hold(kind, OPEN, "7")]))
    assert ends(result) == []


def test_a_rejected_hold_ends_when_its_position_is_seen_again() -> None:
    rejected = hold(INCONCLUSIVE, REJECTED, "7:x")
    result = settled(decide(case(seen_row(), report(changed=row().opened_at_ms))), where=situation(holds=[rejected]))
    assert ends(result) == [(41, WITHDRAWN)]


def test_a_rejected_hold_stands_while_nothing_is_seen() -> None:
    about, verdict = contradiction()
    fingerprint = verdict.inconclusive  # type: ignore[union-attr]
    rejected = hold(INCONCLUSIVE, REJECTED, fingerprint)
    result = settled((about, verdict), where=situation(holds=[rejected]))
    assert (ends(result), result.holds, len(result.suspected)) == ([], [], 1)


def test_another_contradiction_is_held_anew() -> None:
    result = settled(contradiction(), where=situation(holds=[hold(INCONCLUSIVE, REJECTED, "7:something else")]))
    assert len(result.holds) == 1


def test_what_was_refused_as_contradictory_is_not_closed_on_absence_later() -> None:
    rejected = hold(INCONCLUSIVE, REJECTED, "7:x")
    about, verdict = closed_on_absence()
    assert isinstance(verdict, Close)
    result = settled((about, verdict), where=situation(active=100, holds=[rejected]))
    assert result.closes == []
    assert [new.kind for new in result.holds] == [MASS]


def test_a_hold_of_another_kind_on_the_same_row_takes_its_place() -> None:
    """The contradiction resolved into plain absence, of many: one question, not two."""
    standing = hold(INCONCLUSIVE, OPEN, "1:x", keys(1))
    result = settled(*gone(1, 2, 3), where=situation(active=5, holds=[standing]))
    assert [new.kind for new in result.holds] == [MASS]
    assert ends(result) == [(41, WITHDRAWN)]


def test_a_refused_adoption_has_no_say_in_a_close() -> None:
    rejected = hold(ADOPTION, REJECTED, f"{BTC}:long:open")
    result = settled(closed_on_absence(), where=situation(active=100, holds=[rejected]))
    assert len(result.closes) == 1


def test_no_hold_ends_while_the_view_is_too_old() -> None:
    newer = decide(case(seen_row(seen=VIEW + 5), None, history()))
    result = settled(newer, where=situation(holds=[hold(INCONCLUSIVE, OPEN, "7:x"), hold(MASS, APPROVED, "7")]))
    assert ends(result) == []
    elsewhere = hold(INCONCLUSIVE, OPEN, "1:x", keys(1))
    assert ends(settled(newer, where=situation(holds=[elsewhere]))) == [], "the look tells nothing of other keys either"


# adoption


def test_an_adoption_that_a_person_decides_is_held() -> None:
    result = settled(adopted(policy("hold")))
    (new,) = result.holds
    assert (new.kind, new.fingerprint, new.position_ids) == (ADOPTION, f"{BTC}:long:open", ())
    assert (result.opens, result.added, result.updates) == ([], [], [])
    assert "adopt long 5 BTC/USDT:USDT" in new.summary


def test_a_standing_adoption_hold_is_shown_with_its_number() -> None:
    standing = hold(ADOPTION, OPEN, f"{BTC}:long:open")
    result = settled(adopted(policy("hold")), where=situation(holds=[standing]))
    assert (result.holds, [group.hold_id for group in result.held], ends(result)) == ([], [41], [])


def test_an_approved_adoption_is_carried_out() -> None:
    approved = hold(ADOPTION, APPROVED, f"{BTC}:long:open")
    result = settled(adopted(policy("hold"), approved=True), where=situation(holds=[approved]))
    assert (len(result.opens), ends(result)) == (1, [(41, DONE)])


def test_a_refused_adoption_is_neither_raised_again_nor_drift() -> None:
    rejected = hold(ADOPTION, REJECTED, f"{BTC}:long:open")
    result = settled(adopted(policy("hold")), where=situation(holds=[rejected]))
    assert (result.holds, result.held, result.suspected, ends(result)) == ([], [], [], [])


def test_a_refused_adoption_ends_with_the_position() -> None:
    rejected = hold(ADOPTION, REJECTED, f"{BTC}:long:open")
    result = settled(where=situation(holds=[rejected]))
    assert ends(result) == [(41, WITHDRAWN)]


def test_an_open_adoption_hold_stands_while_its_history_cannot_be_read() -> None:
    standing = hold(ADOPTION, OPEN, f"{BTC}:long:open")
    unread = decide(case(None, report(), history(failed="503"), rules=policy("hold")))
    assert ends(settled(unread, where=situation(holds=[standing]))) == []


def test_an_open_adoption_hold_ends_with_the_position() -> None:
    standing = hold(ADOPTION, OPEN, f"{BTC}:long:open")
    assert ends(settled(where=situation(holds=[standing]))) == [(41, WITHDRAWN)]


def test_an_identity_hold_is_none_of_a_looks_business() -> None:
    identity = hold(HoldKind.IDENTITY, OPEN, "x", ())
    assert ends(settled(where=situation(holds=[identity]))) == []


def test_two_refusals_of_one_key_are_told_apart_by_their_evidence() -> None:
    holds: list[Hold] = [hold(ADOPTION, REJECTED, f"{BTC}:long:before", hold_id=1)]
    result = settled(adopted(policy("hold")), where=situation(holds=holds))
    assert [new.fingerprint for new in result.holds] == [f"{BTC}:long:open"]


def test_surfaces_that_cannot_tell_are_held_as_inconclusive() -> None:
    about = case(row(), None, history(), mark=mark_of(row()), surface=SurfaceVerdict.UNKNOWN)
    assert [new.kind for new in settled(decide(about)).holds] == [INCONCLUSIVE]


# whose question an approval answers


@pytest.mark.parametrize("state", [OPEN, APPROVED, REJECTED, WITHDRAWN, DONE])
@pytest.mark.parametrize("in_book", [True, False])
@pytest.mark.parametrize(
    ("kind", "about_rows"), [(MASS, True), (INCONCLUSIVE, True), (ADOPTION, False), (HoldKind.IDENTITY, None)]
)
def test_an_approval_answers_its_own_question(
    kind: HoldKind, about_rows: bool | None, in_book: bool, state: HoldState
) -> None:
    """To close is asked of what the book has, to adopt of what it lacks; a bot may write its row in between."""
    holds = [hold(kind, state, "x")]
    assert is_approved(holds, (BTC, LONG), in_book=in_book) is (about_rows is in_book and state is APPROVED)
    assert not is_approved(holds, (BTC, Side.SHORT), in_book=in_book)


def test_an_approved_close_is_no_approval_of_the_adoption_that_follows_it() -> None:
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "5", "103", T0 + HOUR, pnl="15"),
        fill(BUY, "5", "100", T0 + 2 * HOUR, pnl="0", order="again"),
    ]
    book = row(seen=T0 + 1000, changed=T0)
    asked = policy("hold")
    about = case(book, report(changed=T0 + 2 * HOUR), history(fills), rules=asked, approved=True)
    result = settled((about, decide_key(about)), where=situation(holds=[hold(INCONCLUSIVE, APPROVED, "7:x")]))
    assert [close.position_id for close in result.closes] == [7]
    assert ([new.kind for new in result.holds], result.opens) == ([ADOPTION], [])
