"""Deliberate bugs: does the judge bite? Each is what a hurried change would bring, put into the running program.

1. A bug counts as found at a seed only if the same plan holds without it.
2. A plan that does not hold without it is a fault of the program, and is told as one.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from trueup.hunt import mistakes_acts, mistakes_book
from trueup.hunt.plan import Plan, draw
from trueup.hunt.planting import BUGS, MENDED, Bug, planted
from trueup.hunt.simulation import Result, Simulation, run

__all__ = ["BUGS", "LISTS", "MENDED", "Bug", "Found", "hunt_bug", "planted", "table", "until_violated"]

LISTS = (mistakes_book, mistakes_acts)
"""Where they are written down."""

ACTIVE_S = 400.0


@dataclass(frozen=True)
class Found:
    """How a bug was found; `seeds` None: it was not."""

    name: str
    seeds: int | None
    seed: int | None
    invariant: str | None


def hunt_bug(name: str, *, most: int = 12, first: int = 1) -> Found:
    """Runs seeds until one shows the bug and holds without it."""
    bug = BUGS[name]
    for count in range(most):
        plan = draw(first + count, active_s=ACTIVE_S, faults=bug.faults, busy=True, favour=bug.favour)
        with planted(name):
            result = until_violated(plan)
        if not result.violations:
            continue
        true = until_violated(plan)
        if not true.violations:
            return Found(name, count + 1, plan.seed, result.violations[0].invariant)
        told = true.violations[0]
        print(f"seed {plan.seed} {'+'.join(plan.faults)} without any bug: {told.invariant}: {told.text}", flush=True)
    return Found(name, None, None, None)


def until_violated(plan: Plan) -> Result:
    """A run that ends with the first violation."""

    def one_is_enough(simulation: Simulation) -> None:
        simulation.enough = bool

    return run(plan, prepare=one_is_enough)


_BEGIN, _END = "<!-- bugs: begin, by python -m trueup.hunt.bugs -->", "<!-- bugs: end -->"


def table(found: dict[str, Found]) -> list[str]:
    """As it stands in the documentation."""
    lines = ["| deliberate bug | faults | seeds it took | invariant that told |", "|---|---|---|---|"]
    for name, bug in BUGS.items():
        result = found.get(name)
        took, told = "not hunted yet", None
        if result is not None:
            took, told = "not found yet" if result.seeds is None else f"{result.seeds}", result.invariant
        lines.append(f"| {bug.meaning} | {', '.join(bug.faults) or 'none'} | {took} | {_code(told)} |")
    return lines


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: every bug was found."""
    parser = argparse.ArgumentParser(prog="python -m trueup.hunt.bugs", description=__doc__)
    parser.add_argument("--most", type=int, default=20, help="seeds for each bug")
    parser.add_argument("--only", default="", help="names, with commas between them; else all")
    parser.add_argument("--results", type=Path, default=Path("build/sim-bugs.json"), help="kept and added to")
    parser.add_argument("--write-docs", type=Path, help="a page whose table is to be renewed")
    options = parser.parse_args(arguments)
    found: dict[str, Found] = {}
    if options.results.exists():
        found = {name: Found(**each) for name, each in json.loads(options.results.read_text()).items()}
    for name in options.only.split(",") if options.only else BUGS:
        if name in found and found[name].seeds is not None and not options.only:
            continue
        found[name] = hunt_bug(name, most=options.most)
        print(f"{name}: {found[name].seeds or 'not found'} {found[name].invariant or ''}", flush=True)
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps({key: vars(each) for key, each in found.items()}, indent=1) + "\n")
    if options.write_docs:
        page = options.write_docs.read_text()
        before, _, rest = page.partition(_BEGIN)
        _, _, after = rest.partition(_END)
        options.write_docs.write_text("\n".join([before + _BEGIN, "", *table(found), "", _END]) + after)
    return 0 if all(name in found and found[name].seeds for name in BUGS) else 1


if __name__ == "__main__":
    sys.exit(main())
