"""A row with the venue's numbers in it: what the venue does not state stays as it was."""

from __future__ import annotations

from decimal import Decimal

from core_cases import LONG, VIEW, report, row

from trueup.core.agreement import with_report


def test_what_the_venue_states_stands_in_the_row() -> None:
    read = with_report(row(LONG, "5", seen=VIEW, leverage=Decimal(3)), report(LONG, "7", entry="101", mark="110"))
    assert (read.quantity, read.entry_price, read.current_price) == (Decimal(7), Decimal(101), Decimal(110))


def test_what_the_venue_does_not_state_stays() -> None:
    book = row(LONG, "5", seen=VIEW, leverage=Decimal(3), current_price=Decimal(99))
    read = with_report(book, report(LONG, "5", entry=None))
    assert (read.entry_price, read.current_price, read.leverage) == (Decimal(100), Decimal(99), Decimal(3))
