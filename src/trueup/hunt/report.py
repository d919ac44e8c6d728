"""What a hunt tells a person: a table at the end, and a timeline of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from trueup.hunt.judge import INVARIANTS
from trueup.hunt.ledger import Entry
from trueup.hunt.plan import Plan
from trueup.hunt.simulation import Result

__all__ = ["lines_of", "table"]

_WIDTH = 220


def lines_of(plan: Plan, result: Result) -> Iterator[str]:
    """The run: its settings, what went wrong, everything that happened, and what does not hold."""
    yield f"seed {plan.seed}: {plan.active_s:g} s, faults {'+'.join(plan.faults) or 'none'}, {plan.hosts} hosts"
    yield f"accounts {plan.modes}, hedge mode {plan.hedge or 'none'}, sync {plan.settings['sync']}, clocks {plan.clocks}"
    yield f"{len(plan.happenings)} faults:"
    yield from (f"  {each}" for each in plan.happenings)
    yield f"{len(plan.acts)} acts of traders"
    yield ""
    for at_s, who, text in result.timeline:
        yield f"{at_s:10.3f}  {who:9} {text}"[:_WIDTH]
    yield ""
    yield ", ".join(f"{name} {count}" for name, count in result.counts.items())
    for each in result.violations:
        yield f"VIOLATED {each.invariant} at {each.at_s:.3f} s ({INVARIANTS[each.invariant]}): {each.text}"
    if not result.violations:
        yield "no violation"


def table(
    entries: Sequence[Entry], made: Sequence[Entry], failed: Sequence[Result], all_runs: Sequence[Entry], wall_s: float
) -> Iterator[str]:
    """The end of a hunt. `made`: those of its runs that were not in the ledger before."""
    hours, made_hours = (sum(entry.simulated_s for entry in some) / 3600 for some in (entries, made))
    broken = Counter(name for result in failed for name in {each.invariant for each in result.violations})
    yield ""
    yield f"{'invariant':24} violated by"
    for name in INVARIANTS:
        seeds = [result.seed for result in failed if any(each.invariant == name for each in result.violations)]
        told = f" ({', '.join(map(str, sorted(seeds)[:8]))}{', …' if len(seeds) > 8 else ''})" if seeds else ""
        yield f"{name:24} {broken[name]}{told}"
    yield ""
    rate = made_hours / (wall_s / 3600) if wall_s else 0.0
    yield f"{len(entries)} runs, {hours:.1f} simulated hours"
    yield f"{len(made)} of them made now: {made_hours:.1f} simulated hours in {wall_s:.0f} s ({rate:.0f} simulated hours an hour)"
    events, crashes = [entry.events for entry in entries], [entry.crashes for entry in entries]
    if entries:
        yield (
            f"venue events a run: {sum(events) / len(events):.0f}, at least {min(events)}; "
            f"crashes a run: {sum(crashes) / len(crashes):.1f}, {sum(crashes)} together"
        )
    good = [entry for entry in all_runs if not entry.violations]
    days = sum(entry.simulated_s for entry in all_runs) / 86_400
    yield f"on these sources so far: {len(all_runs)} runs, {days:.2f} days, {len(all_runs) - len(good)} with a violation"
    for result in failed[:8]:
        yield f"again: make sim SEED={result.seed}"
