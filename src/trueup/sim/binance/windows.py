"""The time windows of history endpoints.

1. Without times: the last `days`. With a start alone: from it on, `days` long. With an end alone: `days` up to it.
2. A window longer than `days` is refused with -4165, one that runs backwards with -1023.
3. More rows than the limit: the oldest of them when a start was given, else the newest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from trueup.sim.binance.call import Call
from trueup.sim.binance.errors import ApiError, interval_too_long

_DAY_MS = 86_400_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """Milliseconds, both ends included. `from_start`: the client named the start."""

    start_ms: int
    end_ms: int
    from_start: bool

    def holds(self, at_ms: int) -> bool:
        return self.start_ms <= at_ms <= self.end_ms


def window(call: Call, *, days: int, longest: int | None = None) -> Window:
    """The window that `startTime` and `endTime` describe; `longest` days if that is more than the default."""
    start = call.params.integer("startTime")
    end = call.params.integer("endTime")
    length_ms = days * _DAY_MS
    if start is not None and end is not None:
        if start > end:
            raise ApiError(-1023, "Start time is greater than end time.")
        if longest is None and end - start > length_ms:
            raise interval_too_long(days)
        return Window(start, end, from_start=True)
    if start is not None:
        return Window(start, call.now_ms if longest is not None else start + length_ms, from_start=True)
    last = call.now_ms if end is None else end
    return Window(last - length_ms, last, from_start=False)


def newest_or_first(rows: list[T], limit: int, span: Window) -> list[T]:
    """At most `limit` of rows that are sorted oldest first."""
    return rows[:limit] if span.from_start else rows[-limit:]
