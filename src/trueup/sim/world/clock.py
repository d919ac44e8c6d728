"""Clocks of the world: one that a test moves by hand; the server brings a real one."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """The venue's time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        ...


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, start_ms: int) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, milliseconds: int) -> None:
        """Moves forward; a negative amount is an error, because the venue's history is ordered by time."""
        if milliseconds < 0:
            msg = f"a clock moves forward only: asked for {milliseconds} ms"
            raise ValueError(msg)
        self._now_ms += milliseconds
