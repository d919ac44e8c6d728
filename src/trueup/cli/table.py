"""Tables of aligned columns that fit a terminal by leaving out what matters least.

1. Numbers stand under each other by their decimal point; their unit is in the header.
2. Too wide: first the short form of columns is taken, then whole columns go, the highest `drop` first; a column of
   `drop` 0 always stays.
3. No frames and no trailing blanks: what is piped away is easy to cut and compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from trueup.cli.text import UNKNOWN, Line, Span, Style, line, number, width_of

__all__ = ["Column", "numbers", "table"]

_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column and its cells.

    Attributes:
        unit: Second line of the header, e.g. ``contracts``.
        short: Narrower cells to take before the column is left out; None: there are none.
        drop: 0: always shown; else the order in which columns go, highest first.
    """

    header: str
    cells: Sequence[str | Span]
    unit: str = ""
    right: bool = False
    drop: int = 0
    short: Sequence[str | Span] | None = None

    @property
    def width(self) -> int:
        return max([width_of(self.header), width_of(self.unit), *(width_of(_text(cell)) for cell in self.cells)])


def _text(cell: str | Span) -> str:
    return cell if isinstance(cell, str) else cell[0]


def numbers(values: Sequence[Decimal | None]) -> list[str]:
    """The cells of a numeric column, padded so that the decimal points stand under each other."""
    texts = [number(value) for value in values]
    decimals = [len(text.partition(".")[2]) + ("." in text) for text in texts]
    most = max(decimals, default=0)
    return [
        text if text == UNKNOWN else text + " " * (most - count) for text, count in zip(texts, decimals, strict=True)
    ]


def table(columns: Sequence[Column], width: int | None, indent: int = 2) -> list[Line]:
    """Header, units and rows. `width` None: everything, as wide as it is."""
    shown = _fitted(list(columns), width, indent)
    headers: list[list[str]] = [[column.header for column in shown]]
    if any(column.unit for column in shown):
        headers.append([column.unit for column in shown])
    lines = [_row([(text, Style.DIM) for text in texts], shown, indent) for texts in headers]
    count = len(shown[0].cells) if shown else 0
    lines.extend(_row([_span(column.cells[index]) for column in shown], shown, indent) for index in range(count))
    return lines


def _span(cell: str | Span) -> Span:
    return (cell, Style.PLAIN) if isinstance(cell, str) else cell


def _row(cells: Sequence[Span], columns: Sequence[Column], indent: int) -> Line:
    spans: list[str | Span] = [" " * indent]
    for position, ((text, style), column) in enumerate(zip(cells, columns, strict=True)):
        padding = " " * (column.width - width_of(text))
        last = position == len(columns) - 1
        if column.right:
            spans.extend([padding, (text, style)])
        else:
            spans.extend([(text, style), "" if last else padding])
        if not last:
            spans.append(" " * _GAP)
    return line(*spans)


def _fitted(columns: list[Column], width: int | None, indent: int) -> list[Column]:
    if width is None:
        return columns
    while _total(columns, indent) > width:
        by_drop = sorted((column for column in columns if column.drop), key=lambda column: -column.drop)
        shortable = next((column for column in sorted(columns, key=lambda c: -c.drop) if column.short), None)
        if shortable is not None and shortable.short is not None:
            columns[columns.index(shortable)] = replace(shortable, cells=shortable.short, short=None)
        elif by_drop:
            columns.remove(by_drop[0])
        else:
            break
    return columns


def _total(columns: Sequence[Column], indent: int) -> int:
    return indent + sum(column.width for column in columns) + _GAP * (len(columns) - 1)
