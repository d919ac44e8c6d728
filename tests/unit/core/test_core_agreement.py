"""Rows that need no decision, and a row with the venue's numbers in it (numbers: invariants of core/agreement.py)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from core_cases import BTC, LONG, SHORT, T0, VIEW, report, row

from trueup.core.agreement import Agreed, agree, with_report
from trueup.model.observations import PositionReport
from trueup.model.positions import Position, PositionKey

REFRESH_MS = 60_000
SEEN = row(LONG, "5", seen=VIEW - 1_000, changed=T0)
SHOWN = report(LONG, "5", changed=T0, mark="104")


def look(
    book: Position, shown: PositionReport | None, doubtful: tuple[PositionKey, ...] = ()
) -> tuple[Agreed, list[PositionKey]]:
    return agree(
        {book.key: book},
        {} if shown is None else {book.key: shown},
        as_of_ms=VIEW,
        refresh_after_ms=REFRESH_MS,
        doubtful=doubtful,
    )


def test_1_a_row_that_the_venue_shows_as_the_book_has_it_needs_no_decision() -> None:
    agreed, undecided = look(SEEN, SHOWN)
    assert (agreed.keys, agreed.rows, agreed.reports, undecided) == ([SEEN.key], [SEEN], [SHOWN], [])


@pytest.mark.parametrize(
    ("book", "shown"),
    [
        (SEEN, None),
        (SEEN, report(LONG, "4", changed=T0)),
        (SEEN, report(LONG, "5", entry="101", changed=T0)),
        (SEEN, report(LONG, "5", changed=T0 + 1)),
        (row(LONG, "5", seen=VIEW - 1_000), report(LONG, "5")),
        (row(LONG, "5", changed=T0), SHOWN),
        (row(LONG, "5", seen=VIEW - REFRESH_MS, changed=T0), SHOWN),
        (row(LONG, "5", seen=VIEW + 1, changed=T0), SHOWN),
        (row(LONG, "5", seen=VIEW - 1_000, changed=T0, suspected_since_ms=T0), SHOWN),
    ],
    ids=[
        "the venue lacks it",
        "another quantity",
        "another entry price",
        "something happened since",
        "the venue states no change time",
        "never verified",
        "due for a refresh",
        "the view is older than what is known",
        "suspected",
    ],
)
def test_2_any_difference_or_doubt_leaves_the_row_to_its_decision(book: Position, shown: PositionReport | None) -> None:
    agreed, undecided = look(book, shown)
    assert (list(agreed), undecided) == ([], [book.key])


def test_2_a_key_of_which_something_else_is_known_is_decided() -> None:
    assert look(SEEN, SHOWN, doubtful=(SEEN.key,))[1] == [SEEN.key]
    other_leg = PositionKey(SEEN.account, BTC, SHORT)
    assert look(SEEN, SHOWN, doubtful=(other_leg,))[1] == []


def test_2_one_doubt_does_not_touch_the_rows_beside_it() -> None:
    gone = msgspec.structs.replace(SEEN, side=SHORT, position_id=8)
    agreed, undecided = agree(
        {gone.key: gone, SEEN.key: SEEN},
        {SEEN.key: SHOWN},
        as_of_ms=VIEW,
        refresh_after_ms=REFRESH_MS,
        doubtful=(),
    )
    assert ([each.position_id for each in agreed], undecided) == ([7], [gone.key])


def test_rows_that_agree_read_with_the_venues_numbers() -> None:
    agreed, _ = look(SEEN, SHOWN)
    assert len(agreed) == 1
    assert [each.current_price for each in agreed] == [agreed[0].current_price] == [Decimal(104)]
    assert agreed[:] == [with_report(SEEN, SHOWN)]


def test_what_the_venue_states_stands_in_the_row() -> None:
    read = with_report(row(LONG, "5", seen=VIEW, leverage=Decimal(3)), report(LONG, "7", entry="101", mark="110"))
    assert (read.quantity, read.entry_price, read.current_price) == (Decimal(7), Decimal(101), Decimal(110))


def test_what_the_venue_does_not_state_stays() -> None:
    book = row(LONG, "5", seen=VIEW, leverage=Decimal(3), current_price=Decimal(99))
    read = with_report(book, report(LONG, "5", entry=None))
    assert (read.entry_price, read.current_price, read.leverage) == (Decimal(100), Decimal(99), Decimal(3))
