"""Rows that a view shows just as the book has them: nothing is to be decided, nothing to be written.

1. What agrees is what `decide_key` calls `Verified` with nothing to write, and of which `settle` only makes a line of the report:
   no case is made for it, no verdict, no copy of the row before somebody asks.
2. Any doubt leaves the key to its case: a mark, a suspicion, a row that was never verified or is due for a refresh, a view that
   is older than what is known, a change time that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import overload

import msgspec

from trueup.model.observations import PositionReport
from trueup.model.positions import Position, PositionKey

__all__ = ["Agreed", "agree", "with_report"]


def with_report(row: Position, report: PositionReport) -> Position:
    """The row as it reads once the venue's numbers stand in it."""
    return msgspec.structs.replace(
        row,
        quantity=report.quantity,
        contract_size=report.contract_size,
        entry_price=report.entry_price if report.entry_price is not None else row.entry_price,
        current_price=report.mark_price if report.mark_price is not None else row.current_price,
        leverage=report.leverage if report.leverage is not None else row.leverage,
        suspected_since_ms=None,
    )


class Agreed(Sequence[Position]):
    """The rows that agree, in the book's order; each reads with the venue's numbers in it.

    Attributes:
        rows: As the book has them; `keys` and `reports` (what the venue shows) of each, in the same order.
    """

    __slots__ = ("keys", "reports", "rows")

    def __init__(self) -> None:
        self.keys: list[PositionKey] = []
        self.rows: list[Position] = []
        self.reports: list[PositionReport] = []

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> Position: ...

    @overload
    def __getitem__(self, place: slice) -> list[Position]: ...

    def __getitem__(self, place: int | slice) -> Position | list[Position]:
        if isinstance(place, slice):
            pairs = zip(self.rows[place], self.reports[place], strict=True)
            return [with_report(row, report) for row, report in pairs]
        return with_report(self.rows[place], self.reports[place])

    def __iter__(self) -> Iterator[Position]:
        return map(with_report, self.rows, self.reports)


def agree(
    rows: Mapping[PositionKey, Position],
    reports: Mapping[PositionKey, PositionReport],
    *,
    as_of_ms: int,
    refresh_after_ms: int,
    doubtful: Set[PositionKey],
) -> tuple[Agreed, list[PositionKey]]:
    """Rows that agree with the view, and the keys of the book that have to be decided.

    Args:
        rows, reports: Both sides by key.
        as_of_ms: Venue time that the view speaks for.
        refresh_after_ms: A row that was verified so long ago is due to be written.
        doubtful: Keys of which something else is known than the row and the report.
    """
    agreed = Agreed()
    name, keep, show = agreed.keys.append, agreed.rows.append, agreed.reports.append
    undecided: list[PositionKey] = []
    oldest_ms = as_of_ms - refresh_after_ms
    for key, row in rows.items():
        report = reports.get(key)
        verified_ms = row.verified_as_of_ms
        if (
            report is not None
            and verified_ms is not None
            and oldest_ms < verified_ms <= as_of_ms
            and row.venue_updated_at_ms == report.updated_at_ms
            and report.updated_at_ms is not None
            and row.quantity == report.quantity
            and row.entry_price == report.entry_price
            and row.suspected_since_ms is None
            and not (doubtful and key in doubtful)
        ):
            name(key)
            keep(row)
            show(report)
        else:
            undecided.append(key)
    return agreed, undecided
