"""Values over time: the latest at hand, and any earlier one by asking for its instant.

1. Times never go back within one timeline; of several values at one millisecond the last one counts.
2. A look at time t sees exactly what stood after everything that happened up to and including t.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Timeline(Generic[T]):
    """The history of one value, oldest first."""

    __slots__ = ("_times", "_values")

    def __init__(self) -> None:
        self._times: list[int] = []
        self._values: list[T] = []

    def append(self, at_ms: int, value: T) -> None:
        """Adds the value that holds from `at_ms` on."""
        self._times.append(at_ms)
        self._values.append(value)

    @property
    def latest(self) -> T:
        """The value that holds now; an empty timeline is an IndexError."""
        return self._values[-1]

    def at(self, at_ms: int) -> T | None:
        """The value that held at that instant, None before the first."""
        index = bisect_right(self._times, at_ms)
        return self._values[index - 1] if index else None

    def get(self, at_ms: int | None) -> T | None:
        """`at(at_ms)`, or the latest when no instant is named."""
        if at_ms is None:
            return self._values[-1] if self._values else None
        return self.at(at_ms)

    def forget_before(self, at_ms: int) -> None:
        """Drops what no look at or after `at_ms` can see."""
        keep_from = bisect_right(self._times, at_ms) - 1
        if keep_from > 0:
            del self._times[:keep_from]
            del self._values[:keep_from]

    def __iter__(self) -> Iterator[tuple[int, T]]:
        return iter(zip(self._times, self._values, strict=True))

    def __len__(self) -> int:
        return len(self._times)
