"""An account whose book may not be written: the same lists, no row, each finding told once (observe, dry run, paused)."""

from __future__ import annotations

import msgspec
import pytest
from core_cases import BUY, HOUR, LONG, SELL, T0, VIEW, case, fill, history, mark_of, policy, report, row, situation
from settle_cases import (
    KEY,
    Decided,
    adopted,
    changes,
    closed_by_fills,
    closed_on_absence,
    contradiction,
    decide,
    missing_mark,
    reopened,
    seen_row,
    settled,
    types,
)

from trueup.core.decide import decide_key
from trueup.core.settlement import Settlement
from trueup.model.events import EventType
from trueup.model.holds import Mark, MarkKind
from trueup.model.observations import SurfaceVerdict
from trueup.model.positions import AccountMode

OBSERVE = situation(mode=AccountMode.OBSERVE, applies=False)


def looks(about: Decided, count: int) -> list[Settlement]:
    """The same finding look after look, half a minute apart, the marks carried from one to the next."""
    first, _ = about
    marks: dict[MarkKind, Mark] = {}
    if first.mark is not None:
        marks[first.mark.kind] = first.mark
    results = []
    for number in range(count):
        mark = next(iter(marks.values()), None)
        assert len(marks) <= 1, "a key has one mark"
        now = msgspec.structs.replace(
            first, mark=mark, as_of_ms=VIEW + 30_000 * number, now_ms=VIEW + 30_000 * number + 40
        )
        result = settled((now, decide_key(now)), where=OBSERVE)
        assert no_row_is_written(result)
        for key, kind in result.clear_marks:
            assert key == KEY
            marks.pop(kind, None)
        marks.update({mark.kind: mark for mark in result.marks})
        results.append(result)
    return results


def no_row_is_written(result: Settlement) -> bool:
    written = changes(result)
    return not any(
        (
            written.opens,
            written.updates,
            written.closes,
            written.orders,
            written.forget_orders,
            written.trades,
            written.effects,
            written.holds,
            written.hold_updates,
            written.observations,
        )
    )


def told(results: list[Settlement]) -> list[EventType]:
    return [kind for result in results for kind in types(result)]


def test_a_close_is_listed_at_every_look_and_told_once() -> None:
    results = looks(closed_by_fills(), 4)
    assert [len(result.closed) for result in results] == [1, 1, 1, 1]
    assert told(results) == [EventType.PHANTOM_POSITION_DETECTED]


def test_a_close_on_absence_is_suspected_then_listed_and_each_told_once() -> None:
    about = decide(case(row(), None, history(), surface=SurfaceVerdict.FLAT))
    results = looks(about, 6)
    assert [len(result.suspected) for result in results] == [1, 0, 0, 0, 0, 0]
    assert [len(result.closed) for result in results] == [0, 1, 1, 1, 1, 1]
    assert told(results) == [EventType.POSITION_SUSPECTED, EventType.PHANTOM_POSITION_DETECTED]


def test_a_finding_is_counted_at_every_look() -> None:
    """Once the book may be written it is confirmed already, should the fills that told it be gone by then."""
    assert [result.marks[0].count for result in looks(closed_by_fills(), 3)] == [1, 2, 3]


def test_an_explained_change_is_told_once() -> None:
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "2", "110", T0 + HOUR)]
    results = looks(decide(case(seen_row(), report(LONG, "3", changed=T0 + HOUR), history(fills))), 3)
    assert [len(result.changed) for result in results] == [1, 1, 1]
    assert told(results) == [EventType.QUANTITY_MISMATCH_DETECTED]


def test_an_unexplained_change_is_suspected_then_told_once() -> None:
    results = looks(decide(case(seen_row(), report(LONG, "3", changed=T0 + HOUR), history())), 5)
    assert [len(result.changed) for result in results] == [0, 1, 1, 1, 1]
    assert told(results) == [EventType.POSITION_SUSPECTED, EventType.QUANTITY_MISMATCH_DETECTED]


def test_a_change_that_changes_again_is_told_again() -> None:
    book = seen_row()
    fills = [fill(BUY, "5", "100", T0), fill(SELL, "2", "110", T0 + HOUR)]
    mark = looks(decide(case(book, report(LONG, "3", changed=T0 + HOUR), history(fills))), 1)[0].marks[0]
    more = [*fills, fill(SELL, "1", "110", T0 + 2 * HOUR)]
    second = settled(
        decide(case(book, report(LONG, "2", changed=T0 + 2 * HOUR), history(more), mark=mark)), where=OBSERVE
    )
    assert types(second) == [EventType.QUANTITY_MISMATCH_DETECTED]


def test_a_missing_position_is_listed_at_every_look_and_told_once() -> None:
    results = looks(adopted(), 3)
    assert [len(result.added) for result in results] == [1, 1, 1]
    assert told(results) == [EventType.MISSING_POSITION_DETECTED]


def test_a_missing_position_without_opening_is_rejected_then_told_once() -> None:
    results = looks(decide(case(None, report(), history())), 4)
    assert [len(result.rejected) for result in results] == [1, 0, 0, 0]
    assert told(results) == [EventType.MISSING_POSITION_REJECTED, EventType.MISSING_POSITION_DETECTED]


def test_a_bots_time_to_write_its_row_runs_in_observe_mode_too() -> None:
    results = looks(adopted(policy(after_ms=60_000)), 4)
    assert [len(result.added) for result in results] == [0, 0, 1, 1]


def test_closed_and_reopened_is_listed_on_both_sides_and_told_once() -> None:
    results = looks(reopened(), 4)
    assert [(len(result.closed), len(result.added)) for result in results] == [(1, 1)] * 4
    assert told(results) == [EventType.PHANTOM_POSITION_DETECTED, EventType.MISSING_POSITION_DETECTED]


def test_a_contradiction_is_listed_without_a_hold() -> None:
    result = settled(contradiction(), where=OBSERVE)
    (group,) = result.held
    assert (group.hold_id, group.new_index, result.holds) == (None, None, [])


def test_a_mass_close_is_listed_without_a_hold() -> None:
    gone = [closed_on_absence(n, f"C{n}/USDT:USDT") for n in (1, 2)]
    result = settled(*gone, where=situation(mode=AccountMode.OBSERVE, applies=False, active=2))
    assert [len(group.positions) for group in result.held] == [2]
    assert no_row_is_written(result)


def test_in_sync_is_not_told_at_every_look() -> None:
    """The row is never written in observe mode: its first verification would never end."""
    results = looks(decide(case(row(), report(changed=T0))), 3)
    assert told(results) == []
    assert all(changes(result).is_empty for result in results)


def test_a_suspected_row_seen_again_while_paused_is_told_once() -> None:
    book = seen_row(suspected_since_ms=T0)
    results = looks(decide(case(book, report(changed=T0), mark=mark_of(book))), 3)
    assert told(results) == [EventType.SUSPICION_CLEARED]


@pytest.mark.parametrize("mode", [AccountMode.SYNC, AccountMode.PROTECT])
def test_a_told_finding_is_carried_out_once_the_book_may_be_written(mode: AccountMode) -> None:
    mark = looks(closed_by_fills(), 2)[-1].marks[0]
    result = settled(closed_by_fills(mark=mark), where=situation(mode=mode))
    assert len(result.closes) == 1
    assert result.clear_marks == [(KEY, MarkKind.GONE)]


def test_a_told_absence_is_still_confirmed_once_the_book_may_be_written() -> None:
    about = decide(case(row(), None, history(), surface=SurfaceVerdict.FLAT))
    mark = looks(about, 3)[-1].marks[0]
    later = case(row(), None, history(), surface=SurfaceVerdict.FLAT, mark=mark, as_of=VIEW + 90_000)
    assert len(settled(decide(later)).closes) == 1


def test_a_missing_mark_of_observe_mode_counts_for_the_adoption() -> None:
    mark = looks(decide(case(None, report(), history())), 2)[-1].marks[0]
    assert mark.kind is missing_mark().kind
    later = case(None, report(), history(), mark=mark, as_of=VIEW + 60_000)
    assert len(settled(decide(later)).opens) == 1
