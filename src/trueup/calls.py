"""What travels with a call to a venue and is no argument of it: how urgent it is, since when it waits, and what it costs.

1. All follow the task that sets them into every task that it starts: no signature between engine and client names them.
2. A call is ordinary unless somebody says that it protects, or that it can wait.
3. The calls of one undertaking (`counted`) have its place in line: what began first ends first, and accounts that share a way
   out do not all wait for each other's last request.
4. Nothing here waits, knows a clock or is shared between tasks that did not start each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum

__all__ = ["Priority", "Spent", "counted", "place_in_line", "priority", "protective", "spare", "spend"]


class Priority(IntEnum):
    """Lower goes first. `PROTECTIVE`: cancels, placing, closing, and the reads right before them. `SPARE`: what can wait."""

    PROTECTIVE = 0
    ORDINARY = 1
    SPARE = 2


_arrivals = itertools.count()


@dataclass
class Spent:
    """What the requests of a block cost, in the venue's own units; `place`: when it began, by order."""

    cost: int = 0
    place: int = field(default_factory=_arrivals.__next__)


_priority: ContextVar[Priority] = ContextVar("trueup_priority", default=Priority.ORDINARY)
_spent: ContextVar[Spent | None] = ContextVar("trueup_spent", default=None)


def priority() -> Priority:
    """Of whoever calls."""
    return _priority.get()


@contextmanager
def _calling_as(urgency: Priority) -> Iterator[None]:
    token = _priority.set(urgency)
    try:
        yield
    finally:
        _priority.reset(token)


def protective() -> AbstractContextManager[None]:
    """Calls within the block go first in line and may use what is kept for them."""
    return _calling_as(Priority.PROTECTIVE)


def spare() -> AbstractContextManager[None]:
    """Calls within the block go when no other call waits, with what planned reading leaves."""
    return _calling_as(Priority.SPARE)


@contextmanager
def counted() -> Iterator[Spent]:
    """Counts what the calls within the block cost; they have one place in line."""
    spent = Spent()
    token = _spent.set(spent)
    try:
        yield spent
    finally:
        _spent.reset(token)


def place_in_line() -> int:
    """Who has a lower one goes first: of the block (`counted`) that calls, else of this call alone."""
    spent = _spent.get()
    return spent.place if spent is not None else next(_arrivals)


def spend(cost: int) -> None:
    """A request of that cost is sent."""
    spent = _spent.get()
    if spent is not None:
        spent.cost += cost
