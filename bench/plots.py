"""How cost grows, as pictures: a line chart with both axes logarithmic, as SVG that reads on light and dark pages alike."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.figures import Figure, number

__all__ = ["Line", "chart", "lines_of"]

WIDTH, HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 176, 56, 48
_LIGHT = ("#0969da", "#bf3989", "#1a7f37", "#9a6700", "#8250df", "#cf222e", "#57606a", "#0a7a85")
_DARK = ("#4493f8", "#db61a2", "#3fb950", "#d29922", "#ab7df8", "#f85149", "#9198a1", "#39c5cf")


def _colours(page: str, ink: str, faint: str, grid: str, lines: Sequence[str]) -> str:
    rules = [
        f".page {{ fill: {page}; }} .ink {{ fill: {ink}; }} .faint {{ fill: {faint}; }} .grid {{ stroke: {grid}; }}"
    ]
    for place, colour in enumerate(lines):
        rules.append(f".l{place} .line {{ stroke: {colour}; }} .l{place} .dot, .l{place} .name {{ fill: {colour}; }}")
    return "\n".join(rules)


_STYLE = f"""
svg {{ color-scheme: light dark; font: 12px system-ui, sans-serif; }}
.line {{ fill: none; stroke-width: 1.6; }} .first .line {{ stroke-width: 3; }} .first .name {{ font-weight: 600; }}
{_colours("#ffffff", "#1f2328", "#59636e", "#d1d9e0", _LIGHT)}
@media (prefers-color-scheme: dark) {{
{_colours("#0d1117", "#f0f6fc", "#9198a1", "#3d444d", _DARK)}
}}
"""


@dataclass(frozen=True)
class Line:
    """One curve: (x, y) with both above 0, x rising."""

    name: str
    points: Sequence[tuple[float, float]]


def lines_of(figures: Sequence[Figure], stem: str, first: str) -> list[Line]:
    """The figures named `<stem>_<n>[_<what>]` by what they are of; `first` names those without a `what`."""
    found: dict[str, list[tuple[float, float]]] = {}
    for figure in figures:
        if figure.id.startswith(f"{stem}_{figure.n}"):
            what = figure.id.removeprefix(f"{stem}_{figure.n}").lstrip("_").replace("_", " ") or first
            found.setdefault(what, []).append((figure.n, figure.value))
    return [Line(name, sorted(points)) for name, points in found.items()]


class _Scale:
    """A logarithmic axis in pixels, with a mark at each power of ten."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        self._low, self._high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        self._high = max(self._high, self._low + 1)
        self._begin, self._end = begin, end

    def at(self, value: float) -> float:
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return round(self._begin + share * (self._end - self._begin), 1)

    @property
    def marks(self) -> list[float]:
        return [10.0**power for power in range(self._low, self._high + 1)]


def chart(title: str, x_name: str, y_name: str, lines: Sequence[Line]) -> str:
    """The picture; the first line is the one that it is about."""
    xs = _Scale([x for one in lines for x, _ in one.points], _LEFT, WIDTH - _RIGHT)
    ys = _Scale([y for one in lines for _, y in one.points], HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="ink" x="{_LEFT}" y="24" font-weight="600">{escape(title)}</text>',
        *_axes(xs, ys, x_name, y_name),
    ]
    heights = _apart([ys.at(one.points[-1][1]) for one in lines])
    for place, (one, height) in enumerate(zip(lines, heights, strict=True)):
        path = " ".join(f"{xs.at(x)},{ys.at(y)}" for x, y in one.points)
        dots = "".join(f'<circle class="dot" cx="{xs.at(x)}" cy="{ys.at(y)}" r="3"/>' for x, y in one.points)
        name = f'<text class="name" x="{WIDTH - _RIGHT + 10}" y="{height + 4}">{escape(one.name)}</text>'
        kind = f"l{place % len(_LIGHT)}" + (" first" if place == 0 else "")
        parts.append(f'<g class="{kind}"><polyline class="line" points="{path}"/>{dots}{name}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axes(xs: _Scale, ys: _Scale, x_name: str, y_name: str) -> list[str]:
    low, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for value in xs.marks:
        parts.append(f'<line class="grid" x1="{xs.at(value)}" y1="{_TOP}" x2="{xs.at(value)}" y2="{low}"/>')
        parts.append(_label(xs.at(value), low + 18, "middle", value))
    for value in ys.marks:
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{ys.at(value)}" x2="{right}" y2="{ys.at(value)}"/>')
        parts.append(_label(_LEFT - 8, ys.at(value) + 4, "end", value))
    middle = (_LEFT + right) / 2
    parts.append(f'<text class="faint" x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_name)}</text>')
    parts.append(f'<text class="faint" x="8" y="{_TOP - 10}">{escape(y_name)}</text>')
    return parts


def _label(x: float, y: float, anchor: str, value: float) -> str:
    text = number(value) if value < 1 else f"{value:,.0f}"
    return f'<text class="faint" x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'


def _apart(heights: Sequence[float], least: float = 15) -> list[float]:
    """Heights of the names, pushed apart so that none covers another."""
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    placed = list(heights)
    for before, place in itertools.pairwise(order):
        placed[place] = max(placed[place], placed[before] + least)
    return placed
