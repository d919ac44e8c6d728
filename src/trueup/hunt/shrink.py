"""From a failing plan to a small one that fails alike: happenings first, then acts, in halves, quarters, … and one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from trueup.hunt.plan import Plan
from trueup.hunt.simulation import Result, run

__all__ = ["Shrunk", "shrink"]

T = TypeVar("T")


class Shrunk:
    """What is left, how it fails, and how many runs it took."""

    def __init__(self, plan: Plan, result: Result, runs: int) -> None:
        self.plan, self.result, self.runs = plan, result, runs


def shrink(plan: Plan, failed: Result, *, most_runs: int = 60, go: Callable[[Plan], Result] = run) -> Shrunk:
    """A plan with fewer happenings and acts that still breaks the first invariant that `failed` broke."""
    wanted = failed.violations[0].invariant
    best = Shrunk(plan, failed, 0)

    def fails(candidate: Plan) -> bool:
        if best.runs >= most_runs:
            return False
        best.runs += 1
        result = go(candidate)
        if any(each.invariant == wanted for each in result.violations):
            best.plan, best.result = candidate, result
            return True
        return False

    if plan.least_events:
        fails(replace(plan, least_events=0))
    _reduce(plan.happenings, lambda kept: fails(replace(best.plan, happenings=tuple(kept))))
    _reduce(plan.acts, lambda kept: fails(replace(best.plan, acts=tuple(kept))))
    return best


def _reduce(items: Sequence[T], still_fails: Callable[[list[T]], bool]) -> None:
    """Takes out ever smaller parts, keeping each removal after which it still fails."""
    kept = list(items)
    if not kept or still_fails([]):
        return
    size = max(1, len(kept) // 2)
    while True:
        place = 0
        while place < len(kept):
            candidate = kept[:place] + kept[place + size :]
            if still_fails(candidate):
                kept = candidate
            else:
                place += size
        if size == 1:
            return
        size = max(1, size // 2)
