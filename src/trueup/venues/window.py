"""How much was spent within a length of time, so that no such length ever holds more than is allowed.

1. A request counts from before it is sent until a whole window after its answer. Whenever the venue counted it, and
   wherever its own windows begin, none of them can hold more than this one did.
2. What the venue says it counted only ever raises the count: somebody else may share the address.
3. A request that costs more than is allowed goes alone.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

__all__ = ["Window"]

_INSTANT_S = 1e-6


class _Entry(NamedTuple):
    expires_s: float
    cost: int
    others: bool


class Window:
    """One limit. `limit` in the venue's units per `seconds`."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self._answered: deque[_Entry] = deque()
        self._sum = 0
        self._under_way = 0

    def used(self, now_s: float) -> int:
        """What counts now, requests under way included."""
        while self._answered and self._answered[0].expires_s <= now_s + _INSTANT_S:
            self._sum -= self._answered.popleft().cost
        return self._sum + self._under_way

    def others(self, now_s: float) -> int:
        """The part that the venue counted and we did not send."""
        self.used(now_s)
        return sum(entry.cost for entry in self._answered if entry.others)

    def wait_s(self, cost: int, allowed: float, now_s: float) -> float:
        """The soonest that a request of that cost may be sent; 0: now. Ask again then: it may have become later.

        Args:
            allowed: Share of the limit, 0 to 1.
        """
        used = self.used(now_s)
        surplus = used + cost - allowed * self.limit
        if surplus <= 0 or not used:
            return 0.0
        for entry in self._answered:
            surplus -= entry.cost
            if surplus <= 0:
                return max(entry.expires_s - now_s, 0.0)
        # What is under way expires a window after its answer, which has not come yet. A request larger than the limit
        # waits for the last of all.
        return self.seconds if self._under_way else max(self._answered[-1].expires_s - now_s, 0.0)

    def take(self, cost: int) -> None:
        """A request is about to be sent."""
        self._under_way += cost

    def give_back(self, cost: int) -> None:
        """It was not sent after all."""
        self._under_way -= cost

    def answered(self, cost: int, now_s: float) -> None:
        """Its answer came, or none will."""
        self._under_way -= cost
        self._add(cost, now_s, others=False)

    def told(self, used: int, now_s: float) -> None:
        """The venue's own count of its running window."""
        missing = used - self.used(now_s)
        if missing > 0:
            self._add(missing, now_s, others=True)

    def _add(self, cost: int, now_s: float, *, others: bool) -> None:
        if cost:
            self._answered.append(_Entry(now_s + self.seconds, cost, others))
            self._sum += cost
