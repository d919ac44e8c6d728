"""The clocks of a hunt: each machine has its own, off by an offset and a drift from the one true time, which is the loop's.

1. A clock shows whole milliseconds; its steady reading never goes back, its wall time may (a step of NTP).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trueup.sim.loop import SimLoop

__all__ = ["START_MS", "MachineClock"]

START_MS = 1_795_000_000_000
"""True time when every run begins, milliseconds since 1970."""


class MachineClock:
    """Implements `trueup.ports.Clock` and the world's clock.

    Args:
        offset_ms: Ahead of true time.
        drift_ppm: Runs faster by so many millionths.
    """

    def __init__(self, loop: SimLoop, *, offset_ms: int = 0, drift_ppm: int = 0) -> None:
        self._loop = loop
        self.offset_ms = offset_ms
        self._drift_ppm = drift_ppm

    def now_ms(self) -> int:
        true_us = self._loop._now_us
        if self._drift_ppm:
            true_us += true_us * self._drift_ppm // 1_000_000
        return START_MS + self.offset_ms + true_us // 1000

    def monotonic_s(self) -> float:
        return self._loop.time() * (1 + self._drift_ppm / 1_000_000)

    async def sleep(self, seconds: float) -> None:
        await self._loop.sleep(seconds)
