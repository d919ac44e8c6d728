"""What travels with a call to a venue and is no argument of it: how urgent it is, and what it costs.

1. Both follow the task that sets them into every task that it starts: no signature between engine and client names them.
2. A call is ordinary unless somebody says that it protects.
3. Nothing here waits, knows a clock or is shared between tasks that did not start each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Priority", "Spent", "counted", "priority", "protective", "spend"]


class Priority(IntEnum):
    """Lower goes first. `PROTECTIVE`: cancels, placing, closing, and the reads immediately before them."""

    PROTECTIVE = 0
    ORDINARY = 1


@dataclass
class Spent:
    """What the requests of a block cost, in the venue's own units."""

    cost: int = 0


_priority: ContextVar[Priority] = ContextVar("trueup_priority", default=Priority.ORDINARY)
_spent: ContextVar[Spent | None] = ContextVar("trueup_spent", default=None)


def priority() -> Priority:
    """Of whoever calls."""
    return _priority.get()


@contextmanager
def protective() -> Iterator[None]:
    """Calls within the block go first in line and may use what is kept for them."""
    token = _priority.set(Priority.PROTECTIVE)
    try:
        yield
    finally:
        _priority.reset(token)


@contextmanager
def counted() -> Iterator[Spent]:
    """Counts what the calls within the block cost."""
    spent = Spent()
    token = _spent.set(spent)
    try:
        yield spent
    finally:
        _spent.reset(token)


def spend(cost: int) -> None:
    """A request of that cost is sent."""
    spent = _spent.get()
    if spent is not None:
        spent.cost += cost
