"""Counting sightings (numbers: invariants of core/marks.py)."""

from __future__ import annotations

import pytest
from core_cases import VIEW, case, mark_of, policy, row

from trueup.core.marks import is_confirmed, sighting, still_to_wait, told
from trueup.model.holds import Mark, MarkKind


def seen(mark: Mark | None, *, counts: bool = True, detail: str = "5", as_of: int = VIEW) -> Mark:
    return sighting(case(row(), mark=mark, as_of=as_of), MarkKind.GONE, detail, counts=counts)


def test_the_first_sighting() -> None:
    mark = seen(None)
    assert (mark.count, mark.first_at_ms, mark.last_as_of_ms) == (1, VIEW, VIEW)


def test_a_sighting_that_does_not_count_still_leaves_a_mark() -> None:
    mark = seen(None, counts=False)
    assert mark.count == 0


def test_the_first_that_counts_begins_the_time() -> None:
    mark = seen(mark_of(row(), count=0, first=VIEW - 100_000))
    assert (mark.count, mark.first_at_ms) == (1, VIEW)


def test_a_further_view_counts() -> None:
    mark = seen(mark_of(row()))
    assert (mark.count, mark.first_at_ms, mark.last_as_of_ms) == (2, VIEW - 30_000, VIEW)


@pytest.mark.parametrize("as_of", [VIEW - 30_000, VIEW - 30_001])
def test_the_same_or_an_older_view_counts_nothing(as_of: int) -> None:  # invariant 1
    assert seen(mark_of(row()), as_of=as_of) == mark_of(row())


def test_another_detail_or_kind_begins_anew() -> None:  # invariant 2
    assert seen(mark_of(row()), detail="4").count == 1
    assert seen(mark_of(row(), MarkKind.CHANGED)).count == 1


def test_confirmed_by_number_and_time() -> None:
    about = case(row())
    assert is_confirmed(about, mark_of(row(), count=2, last=VIEW))
    assert not is_confirmed(about, mark_of(row(), count=1, last=VIEW))
    assert not is_confirmed(about, mark_of(row(), count=9, last=VIEW - 1))
    assert is_confirmed(case(row(), rules=policy(confirm_snapshots=1, confirm_after_ms=0)), seen(None))


def test_what_is_left_to_wait() -> None:
    about = case(row())
    assert still_to_wait(about, seen(None)) == 30_000
    assert still_to_wait(about, mark_of(row(), last=VIEW - 10_000)) == 10_000
    assert still_to_wait(about, mark_of(row(), last=VIEW)) == 0


def test_a_finding_is_told_once_and_its_count_goes_on() -> None:  # invariant 4
    first, new = told(seen(None))
    assert new
    again, new_again = told(seen(first, as_of=VIEW + 30_000))
    assert (new_again, again.count, again.first_at_ms) == (False, 2, VIEW)
    assert told(seen(again, detail="4", as_of=VIEW + 60_000))[1]
