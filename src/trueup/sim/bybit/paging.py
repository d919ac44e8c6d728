"""Pages and windows of the history endpoints.

1. Pages go from new to old by (time, id); a cursor names the last row shown, so rows that arrive meanwhile neither
   repeat nor hide any.
2. A page with rows has a cursor, the last page too; the page after it is empty and has none.
3. A window is at most as wide as the endpoint allows; a wider one is refused, not cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote

from trueup.sim.bybit.errors import bad_parameter
from trueup.sim.bybit.params import Params
from trueup.sim.world.ids import uuid_number, uuid_text

T = TypeVar("T")
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
TWO_YEARS_MS = 730 * DAY_MS
Key = tuple[int, int]
"""Time in milliseconds, then the number of the row."""


def page(rows: Sequence[T], key: Callable[[T], Key], limit: int, cursor: str) -> tuple[list[T], str]:
    """One page of rows that come new to old, and the cursor of the next one ("" when the page is empty)."""
    after = _decoded(cursor) if cursor else None
    shown: list[T] = []
    for row in rows:
        if after is not None and key(row) >= after:
            continue
        shown.append(row)
        if len(shown) == limit:
            break
    if not shown:
        return shown, ""
    return shown, f"{_encoded(key(shown[0]))}%2C{_encoded(key(shown[-1]))}"


def _encoded(key: Key) -> str:
    return f"{uuid_text(key[1])}%3A{key[0]}"


def _decoded(cursor: str) -> Key:
    """The last row's key. Clients send the cursor as it came, or encoded once more: both are read."""
    _, _, last = unquote(cursor).rpartition(",")
    identity, _, time = last.partition(":")
    number = uuid_number(identity)
    if number is None or not time.isdigit():
        raise bad_parameter("Cursor invalid")
    return int(time), number


@dataclass(frozen=True, slots=True)
class Window:
    """A span of venue time, both ends included."""

    start_ms: int
    end_ms: int

    def holds(self, at_ms: int) -> bool:
        return self.start_ms <= at_ms <= self.end_ms


def window(params: Params, now_ms: int, *, default_ms: int = WEEK_MS, maximum_ms: int = WEEK_MS) -> Window:
    """What startTime and endTime ask for; `default_ms` is the width when only one of them, or none, is there."""
    start, end = params.integer("startTime"), params.integer("endTime")
    if start is not None and end is not None:
        if end < start:
            raise bad_parameter("startTime should be less than endTime")
        if end - start > maximum_ms:
            days = maximum_ms // DAY_MS
            raise bad_parameter(f"The time range between startTime and endTime cannot exceed {days} days")
        return Window(start, end)
    if start is not None:
        return Window(start, start + default_ms)
    end = now_ms if end is None else end
    return Window(end - default_ms, end)
