"""How often the accounts behind one way out are audited: as configured, or as often as their request budget allows.

1. All accounts of a budget have the same interval: never shorter than configured, and long enough that the audits of all
   cost no more than the budget's audit rate.
2. They are spread over it: the first audits are made at once, the second at evenly spread times, and each account goes on from
   there at the interval, neither earlier nor later.
3. What is dropped first when the budget is tight is the extra reading of whole order lists: of accounts without a stream, and
   what messages of streams ask for. They are read at every n-th audit then, by one n-th of the accounts at a time, from the
   first audits on: all positions are looked at before all order lists are.
4. What an account's audit costs is what the cheapest of its last few did; before there is one, what the venue's tariff says.
   What is dearer than that, and what looks cost that streams ask for, was other reading: what it took lately is not
   planned with.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

from trueup.ports import AuditCost

if TYPE_CHECKING:
    from trueup.engine.settings import Timing
    from trueup.ports import Budget, Clock, Silence

__all__ = ["Pace"]

_REMEMBERED = 5
_LATELY_S = 300.0
_AT_LEAST_S = 60.0
_ROUND_UP_TO_S = 0.1
_ALMOST_THERE = 1e-6


class _Costs:
    """What one account's newest audits cost, without and with the order lists.

    Attributes:
        cheapest: Of one audit without and with them; `known` until there was one.
    """

    def __init__(self, known: AuditCost) -> None:
        self._known = known
        self._light: deque[int] = deque(maxlen=_REMEMBERED)
        self._full: deque[int] = deque(maxlen=_REMEMBERED)
        self.cheapest = (known.positions, known.positions + known.orders)

    def add(self, cost: int, *, orders: bool) -> int:
        """One more; how much dearer it was than the cheapest of its kind."""
        newest = self._full if orders else self._light
        newest.append(cost)
        light = min(self._light, default=self._known.positions)
        self.cheapest = light, min(self._full, default=light + self._known.orders)
        return cost - min(newest)

    @property
    def lists(self) -> int:
        """What the order lists cost beside the rest."""
        light, full = self.cheapest
        return max(0, full - light)


class Pace:
    """One budget's. `budget` None: no venue limits it, and the configured interval holds."""

    def __init__(self, accounts: Iterable[str], budget: Budget | None, timing: Timing, clock: Clock) -> None:
        self.accounts = tuple(accounts)
        self.budget = budget
        self._timing = timing
        known = budget.audit_cost if budget is not None else AuditCost(positions=0, orders=0)
        self._costs = {account: _Costs(known) for account in self.accounts}
        self._light_sum = sum(costs.cheapest[0] for costs in self._costs.values())
        self._lists_sum = sum(costs.lists for costs in self._costs.values())
        self._clock = clock
        self._began_s = clock.monotonic_s()
        self._placed: set[str] = set()
        self._beside: deque[tuple[float, int]] = deque()
        self._beside_sum = 0
        self._told: Silence | None = None

    @property
    def interval_s(self) -> float:
        """Seconds between two audits of an account, as they are now."""
        if self.budget is None:
            return self._timing.audit_interval_s
        needed_s = self._round_cost(orders_every=self._timing.orders_every) / self._rate(self.budget)
        if needed_s <= self._timing.audit_interval_s:
            return self._timing.audit_interval_s
        return round(math.ceil(needed_s / _ROUND_UP_TO_S - _ALMOST_THERE) * _ROUND_UP_TO_S, 1)

    @property
    def why(self) -> str | None:
        """Why the interval is longer than configured, in words; None: it is not."""
        budget, interval_s = self.budget, self.interval_s
        if budget is None or interval_s <= self._timing.audit_interval_s:
            return None
        count = len(self.accounts)
        who = "one account's audit" if count == 1 else f"one audit of each of {count} accounts behind one address"
        cost = self._round_cost(orders_every=self._timing.orders_every)
        a_minute = 60 / budget.window_s
        return (
            f"{who} costs {cost:.0f} {budget.unit}; audits may use {self._rate(budget) * 60:.0f} of the venue's "
            f"{budget.limit * a_minute:.0f} a minute"
        )

    @property
    def affords_orders(self) -> bool:
        """Whether every audit may read the order lists too, as an account whose stream is down wants it."""
        if self.budget is None:
            return True
        return self._round_cost(orders_every=1) <= self._timing.audit_interval_s * self._rate(self.budget)

    def turn_of_lists(self, account: str) -> int:
        """After how many audits the account reads its order lists, so that not all do at once; 0: that can be afforded."""
        if self.affords_orders or account not in self.accounts:
            return 0
        return self.accounts.index(account) % self._timing.orders_every

    def next_after(self, account: str, due_s: float) -> float:
        """When the account is audited next (monotonic), at most one interval after `due_s`."""
        if account in self._placed or account not in self.accounts:
            return due_s + self.interval_s
        self._placed.add(account)
        return due_s + self.interval_s * (self.accounts.index(account) + 1) / len(self.accounts)

    def looked(self, account: str, cost: int, *, orders: bool, audit: bool) -> None:
        """A look cost so much, in the venue's units.

        Args:
            audit: It was due by the clock and came back complete; else a stream asked for it, or it failed.
        """
        costs = self._costs.get(account)
        if costs is None:
            return
        if audit:
            self._light_sum -= costs.cheapest[0]
            self._lists_sum -= costs.lists
            cost = costs.add(cost, orders=orders)
            self._light_sum += costs.cheapest[0]
            self._lists_sum += costs.lists
        self._beside.append((self._clock.monotonic_s(), cost))
        self._beside_sum += cost

    def room(self, account: str, *, orders: bool) -> AbstractAsyncContextManager[None]:
        """Begins when a look of the account may be sent whole."""
        if self.budget is None or account not in self._costs:
            return nullcontext()
        light, full = self._costs[account].cheapest
        return self.budget.room(full if orders else light)

    def _rate(self, budget: Budget) -> float:
        """Units a second that audits are planned with."""
        now_s = self._clock.monotonic_s()
        while self._beside and self._beside[0][0] <= now_s - _LATELY_S:
            self._beside_sum -= self._beside.popleft()[1]
        return budget.audit_rate(self._beside_sum / min(max(now_s - self._began_s, _AT_LEAST_S), _LATELY_S))

    def untold_silence(self) -> Silence | None:
        """The venue's newest wish for silence, until one of the accounts behind this way out has told it (`told`)."""
        silence = self.budget.last_silence if self.budget is not None else None
        return silence if silence is not self._told else None

    def told(self, silence: Silence) -> None:
        """It stands in the audit log: the other accounts need not write it too."""
        self._told = silence

    def _round_cost(self, *, orders_every: int) -> float:
        """What one audit of every account costs on average."""
        return self._light_sum + self._lists_sum / orders_every
