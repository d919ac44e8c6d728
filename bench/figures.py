"""What a case returns, and the two forms in which figures are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured number.

    `n` is how many things it was measured over (positions, requests, …). `reference` names what `reference_value` was
    measured of, in the same unit; both None where there is nothing to compare with. `value` is a median where the measurement
    was repeated: `spread` then holds the least and the most.
    """

    id: str
    n: int
    value: float
    unit: str
    reference: str | None = None
    reference_value: float | None = None
    spread: tuple[float, float] | None = None

    @property
    def ratio(self) -> float | None:
        """Value by reference."""
        return None if not self.reference_value else self.value / self.reference_value

    def as_json(self) -> dict[str, Any]:
        """As `build/bench.json` has it."""
        shown = asdict(self)
        shown["value"] = _short(self.value)
        if self.reference_value is not None:
            shown["reference_value"] = _short(self.reference_value)
        spread = shown.pop("spread")
        shown["ratio"] = None if self.ratio is None else round(self.ratio, 3)
        return shown if spread is None else {**shown, "spread": [_short(value) for value in spread]}


def _short(value: float) -> float | int:
    """Four significant digits; counts stay whole."""
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() and abs(short) >= 10 else short


def number(value: float | None) -> str:
    """As the table shows it: thousands set apart, no more digits than are worth reading."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


HEADERS = ("figure", "over", "value", "spread", "unit", "reference", "value", "ratio")
_RIGHT = (False, True, True, True, False, False, True, True)


def cells(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    """A row for each."""
    return [
        (
            f.id,
            f"{f.n:,}",
            number(f.value),
            "" if f.spread is None else f"{number(f.spread[0])} … {number(f.spread[1])}",
            f.unit,
            f.reference or "",
            number(f.reference_value),
            number(f.ratio),
        )
        for f in figures
    ]


def table(figures: Sequence[Figure]) -> str:
    """Aligned columns for a terminal."""
    rows = [HEADERS, *cells(figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADERS))]
    lines = []
    for row in rows:
        parts = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, _RIGHT, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def markdown(figures: Sequence[Figure]) -> list[str]:
    """The same for a page of the documentation."""
    head = [f"| {' | '.join(HEADERS)} |", "|" + "|".join("--:" if right else "---" for right in _RIGHT) + "|"]
    return head + [f"| {' | '.join(row)} |" for row in cells(figures)]
