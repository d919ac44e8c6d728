"""Styled lines: what a screen is made of, before anybody decides about colours and terminals.

1. A screen is a list of `Line`s, a pure function of values, the time and a width; it prints nothing itself.
2. A style is a meaning (`Style.BAD`), never a colour; without colours the words alone say everything.
3. A width of None means "not a terminal": nothing is left out, shortened or wrapped.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

__all__ = [
    "BLANK",
    "UNKNOWN",
    "Line",
    "Style",
    "age",
    "duration",
    "flow",
    "join",
    "line",
    "moment",
    "money",
    "number",
    "paragraph",
    "plural",
    "signed",
    "width_of",
]

UNKNOWN = "–"
_SHOWN_DECIMALS = Decimal(1).scaleb(-8)
_KEPT_ZEROS = 4  # more decimals than these are shown without their trailing zeros
_DAY_S = 86_400


class Style(StrEnum):
    """What a piece of text means."""

    PLAIN = ""
    STRONG = "strong"  # what to look at first
    DIM = "dim"  # context
    GOOD = "good"  # true, done, profit
    WARN = "warn"  # look at it, a person is wanted
    BAD = "bad"  # wrong, failed, loss


Span = tuple[str, Style]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a screen."""

    spans: tuple[Span, ...] = ()

    @property
    def plain(self) -> str:
        return "".join(text for text, _ in self.spans).rstrip()

    def __add__(self, other: Line) -> Line:
        return Line(self.spans + other.spans)


BLANK = Line()


def line(*parts: str | Span) -> Line:
    """A line of plain texts and (text, style) pairs."""
    return Line(tuple((part, Style.PLAIN) if isinstance(part, str) else part for part in parts))


def join(parts: Iterable[Line], separator: str = " · ") -> Line:
    """Lines side by side."""
    spans: list[Span] = []
    for part in parts:
        if spans:
            spans.append((separator, Style.DIM))
        spans.extend(part.spans)
    return Line(tuple(spans))


def width_of(text: str) -> int:
    """Columns that it takes in a terminal: East Asian wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(symbol) else 2 if unicodedata.east_asian_width(symbol) in "WF" else 1
        for symbol in text
    )


def paragraph(
    text: str, width: int | None, *, first: Line = BLANK, indent: int = 0, style: Style = Style.PLAIN
) -> list[Line]:
    """A text wrapped to the width, after `first` on its first line and `indent` blanks on the others."""
    lead = width_of("".join(part for part, _ in first.spans))
    pieces: list[str] = []
    for row in text.splitlines() or [""]:
        before = indent if pieces else lead
        pieces.extend([row] if width is None else _wrapped(row, max(width, before + 24), before, indent))
    return [
        first + line((piece, style)) if position == 0 else line(" " * indent, (piece, style))
        for position, piece in enumerate(pieces)
    ]


def _wrapped(row: str, width: int, before: int, indent: int) -> list[str]:
    found = textwrap.wrap(
        row,
        width,
        initial_indent=" " * before,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [found[0][before:], *(piece[indent:] for piece in found[1:])] if found else [""]


def flow(parts: Iterable[Line], width: int | None, *, indent: int = 0, separator: str = " · ") -> list[Line]:
    """Styled parts side by side, broken between parts where the width ends; each line after `indent` blanks."""
    lead = line(" " * indent)
    rows: list[Line] = []
    for part in parts:
        longer = join([rows[-1], part], separator) if rows else lead + part
        fits = width is None or width_of("".join(text for text, _ in longer.spans)) <= width
        if rows and fits:
            rows[-1] = longer
        else:
            rows.append(lead + part)
    return rows


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 position``, ``2 positions``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def number(value: Decimal | None) -> str:
    """With thousands set apart and at most eight decimals; unknown is a dash. A long tail of zeros is left out."""
    if value is None:
        return UNKNOWN
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -8:
        rounded = value.quantize(_SHOWN_DECIMALS, ROUND_HALF_EVEN)
        value = rounded if rounded else value  # what is not zero is not shown as zero
    text = f"{value if value else abs(value):,f}"
    whole, point, decimals = text.partition(".")
    if len(decimals) <= _KEPT_ZEROS:
        return text
    kept = decimals.rstrip("0").ljust(2, "0")
    return f"{whole}{point}{kept}"


def signed(value: Decimal | None, unit: str = "") -> Span:
    """A gain or a loss, with its sign and unit."""
    if value is None:
        return (UNKNOWN, Style.DIM)
    text = f"{number(value)}{' ' + unit if unit else ''}"
    if value > 0:
        return (f"+{text}", Style.GOOD)
    return (text, Style.BAD if value < 0 else Style.PLAIN)


def money(value: Decimal | None, asset: str) -> str:
    return UNKNOWN if value is None else f"{number(value)} {asset}"


def duration(seconds: float) -> str:
    """``0.5 s``, ``30 s``, ``5 min``, ``3 h``, ``4 d``."""
    if seconds < 60:
        return f"{seconds:g} s" if seconds == int(seconds) or seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * _DAY_S else f"{seconds / _DAY_S:.0f} d"


def age(at_ms: int, now_ms: int) -> str:
    """``12 s ago``; a time to come is ``in 12 s``."""
    seconds = (now_ms - at_ms) // 1000
    if seconds == 0:
        return "now"
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(-seconds)}"


def moment(at_ms: int, now_ms: int) -> str:
    """How long ago and exactly when: ``12 s ago · 20:14:03Z``, with the date where it is another day."""
    return f"{age(at_ms, now_ms)} · {clock_text(at_ms, now_ms)}"


def clock_text(at_ms: int, now_ms: int) -> str:
    """``20:14:03Z``, with the date where it is another day (UTC)."""
    from trueup.model.times import time_text

    text = time_text(at_ms)
    same_day = text[:10] == time_text(now_ms)[:10]
    return f"{text[11:19]}Z" if same_day else f"{text[:10]} {text[11:19]}Z"
