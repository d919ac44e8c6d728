"""A trailing stop as a textbook states it, to hold `trueup.core.trailing` against.

It shares no code with it and works otherwise: a whole path in, every trigger out, in exact fractions, without any limit on how
often it moves; a trigger counts ticks. Rounding towards the market: up for a long, down for a short.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction


@dataclass(frozen=True)
class Reference:
    """A position and its rules. Percentages as they are written; `steps`: (profit, callback) pairs."""

    long: bool
    entry: Decimal
    tick: Decimal
    activation: Decimal
    callback: Decimal
    steps: tuple[tuple[Decimal, Decimal], ...] = ()
    break_even: Decimal | None = None

    def triggers(self, prices: Sequence[Decimal]) -> list[Decimal | None]:
        """The trigger after each price."""
        mirrored = 1 if self.long else -1
        best: Fraction | None = None
        ticks: int | None = None
        told: list[Decimal | None] = []
        for price in prices:
            exact = Fraction(price) * mirrored
            best = exact if best is None else max(best, exact)
            for level in self._levels(best, mirrored):
                wanted = math.ceil(level / Fraction(self.tick))
                below = math.ceil(exact / Fraction(self.tick)) - 1
                wanted = min(wanted, below)
                if wanted * mirrored > 0 and (ticks is None or wanted > ticks):
                    ticks = wanted
            told.append(None if ticks is None else ticks * mirrored * self.tick)
        return told

    def fires_at(self, prices: Sequence[Decimal]) -> int | None:
        """The index of the first price at or beyond the trigger that stood before it."""
        triggers = self.triggers(prices)
        for place in range(1, len(prices)):
            stood = triggers[place - 1]
            if stood is not None and (prices[place] <= stood if self.long else prices[place] >= stood):
                return place
        return None

    def _levels(self, best: Fraction, mirrored: int) -> list[Fraction]:
        """In a world turned upside down for a short, where every stop lies below."""
        entry = Fraction(self.entry) * mirrored
        profit = (best - entry) / abs(entry) * 100
        levels = []
        if profit >= Fraction(self.activation):
            callback = Fraction(self.callback)
            for reached, tighter in sorted(self.steps):
                if profit >= Fraction(reached):
                    callback = Fraction(tighter)
            levels.append(best - abs(best) * callback / 100)
        if self.break_even is not None and profit >= Fraction(self.break_even):
            levels.append(entry)
        return levels
