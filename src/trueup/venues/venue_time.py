"""The venue's clock as far as we can know it.

1. Skew is the venue's clock minus ours, measured over a round trip: true within half of it.
2. `began_ms` is a venue time that has surely passed when it is called, so a look that begins now contains every change
   before it.
3. Since it was measured, time is counted by our steady clock: a step of this machine's wall clock moves nothing. What two
   clocks may drift apart meanwhile is allowed for.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from trueup.model.observations import ClockReading
from trueup.ports import Clock

__all__ = ["VenueTime"]

_TRIES = 3
_GOOD_ENOUGH_MS = 5
_DRIFT = 0.0002
"""Of the time since the measurement: more than two clocks that are kept by NTP drift apart."""


class VenueTime:
    """`reading` is None until measured."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.reading: ClockReading | None = None
        self._venue_ms, self._at_s = 0, 0.0

    async def measure(self, ask: Callable[[], Awaitable[int]]) -> ClockReading:
        """Asks up to three times for the venue's time (milliseconds); keeps the reading of the least uncertainty."""
        best: ClockReading | None = None
        for _ in range(_TRIES):
            sent_ms, sent_s = self._clock.now_ms(), self._clock.monotonic_s()
            venue_ms = await ask()
            half_ms = (self._clock.monotonic_s() - sent_s) * 500
            skew_ms = round(venue_ms - sent_ms - half_ms)
            # One more on top: both clocks are read in whole milliseconds.
            reading = ClockReading(skew_ms=skew_ms, uncertainty_ms=math.ceil(half_ms) + 1)
            if best is None or reading.uncertainty_ms < best.uncertainty_ms:
                best = reading
                self._venue_ms, self._at_s = sent_ms + skew_ms, sent_s
            if best.uncertainty_ms <= _GOOD_ENOUGH_MS:
                break
        assert best is not None
        self.reading = best
        return best

    def began_ms(self) -> int:
        """The latest venue time that has certainly passed."""
        now_ms, unsure_ms = self._now()
        return now_ms - unsure_ms

    def latest_ms(self) -> int:
        """The earliest venue time that has certainly not passed yet, with a second on top."""
        now_ms, unsure_ms = self._now()
        return now_ms + unsure_ms + 1000

    def _now(self) -> tuple[int, int]:
        """Venue time and its uncertainty, milliseconds; our own clock before it was measured."""
        if self.reading is None:
            return self._clock.now_ms(), 0
        since_ms = round((self._clock.monotonic_s() - self._at_s) * 1000)
        return self._venue_ms + since_ms, self.reading.uncertainty_ms + int(since_ms * _DRIFT)
