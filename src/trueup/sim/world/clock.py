"""Clocks of the world: one that a test moves by hand, one that goes wrong on request; the server brings a real one."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Clock(Protocol):
    """The venue's time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        ...


@runtime_checkable
class MovableClock(Protocol):
    """A clock that a test or a simulation moves."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        ...

    def advance(self, milliseconds: int) -> None:
        """Moves forward."""
        ...


class SkewedClock:
    """Another clock plus an offset that may change while it runs.

    The venue's time never goes back: after the offset was lowered, the world stands still until the clock has caught
    up.
    """

    def __init__(self, base: Clock, offset_ms: int = 0) -> None:
        self._base = base
        self.offset_ms = offset_ms

    def now_ms(self) -> int:
        return self._base.now_ms() + self.offset_ms

    def advance(self, milliseconds: int) -> None:
        """Moves the base clock, or, when that goes by itself, the offset."""
        if isinstance(self._base, MovableClock):
            self._base.advance(milliseconds)
        elif milliseconds < 0:
            msg = f"a clock moves forward only: asked for {milliseconds} ms"
            raise ValueError(msg)
        else:
            self.offset_ms += milliseconds


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
