"""What the ledger adds up to, as a table for the documentation: `python -m trueup.hunt.totals --write-docs docs/simulation.md`.

1. Every figure is reckoned from the ledger's runs of one digest of the sources; none is typed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from trueup.hunt.ledger import Entry, Ledger, source_digest

__all__ = ["main", "table", "written_into"]

_BEGIN, _END = "<!-- ledger: begin, by python -m trueup.hunt.totals -->", "<!-- ledger: end -->"
_SHORT_S = 3600.0


def table(entries: Sequence[Entry]) -> list[str]:
    """As it stands in the documentation. `entries`: runs of one digest, at least one."""
    short = [entry for entry in entries if entry.simulated_s < _SHORT_S]
    measured = [entry for entry in entries if entry.cpu_s and entry.wall_s]
    simulated_s = sum(entry.simulated_s for entry in measured)
    seeds = {entry.seed for entry in short}
    commits = ", ".join(f"`{commit}`" for commit in sorted({entry.commit for entry in entries}))
    judges = Counter(entry.judge for entry in entries)
    figures = [
        ("digest of the engine and the simulation", f"`{entries[0].digest}`"),
        ("commit", commits),
        ("digest of the judge: runs", ", ".join(f"`{judge}`: {runs:,}" for judge, runs in sorted(judges.items()))),
        ("short runs (ten simulated minutes)", f"{len(short):,}, {len(seeds):,} seeds"),
        ("longer runs", f"{len(entries) - len(short):,}"),
        ("simulated days", f"{sum(entry.simulated_s for entry in entries) / 86_400:,.1f}"),
        ("events of the venue", f"{sum(entry.events for entry in entries):,}"),
        ("of a short run", _spread([entry.events for entry in short])),
        ("crashes of processes", f"{sum(entry.crashes for entry in entries):,}"),
        ("of a short run", _spread([entry.crashes for entry in short])),
        ("runs with a violation", f"{sum(bool(entry.violations) for entry in entries):,}"),
        ("simulated hours per CPU hour", _rate(simulated_s, sum(entry.cpu_s for entry in measured))),
        ("simulated hours per hour of one process", _rate(simulated_s, sum(entry.wall_s for entry in measured))),
    ]
    return ["| the ledger so far | |", "|---|---|", *(f"| {name} | {value} |" for name, value in figures)]


def _spread(counts: Sequence[int]) -> str:
    return f"{sum(counts) / len(counts):.1f} on average, at least {min(counts)}" if counts else "none was run"


def _rate(simulated_s: float, took_s: float) -> str:
    return f"{simulated_s / took_s:,.0f}" if took_s else "not measured"


def written_into(page: str, lines: Sequence[str]) -> str:
    """The page with its table renewed.

    Raises:
        ValueError: It has no place for one.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page has no place for the table: expected a line {_BEGIN} and a line {_END}")
    return "\n".join([before + _BEGIN, "", *lines, "", _END]) + after


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: no run violated anything; 1: some did, or there is none of that digest."""
    parser = argparse.ArgumentParser(prog="python -m trueup.hunt.totals", description=__doc__)
    parser.add_argument("--ledger", type=Path, default=Path("build/sim-ledger.jsonl"))
    parser.add_argument("--digest", help="of which sources; else of these")
    parser.add_argument("--write-docs", type=Path, help="a page whose table is to be renewed")
    options = parser.parse_args(arguments)
    digest = options.digest or source_digest()
    entries = Ledger(options.ledger, digest, "").of_these_sources()
    if not entries:
        print(f"{options.ledger} holds no run of the sources {digest}: run `make sim` first, or name a --digest")
        return 1
    lines = table(entries)
    print("\n".join(lines))
    if options.write_docs:
        options.write_docs.write_text(written_into(options.write_docs.read_text(), lines))
    return 1 if any(entry.violations for entry in entries) else 0


if __name__ == "__main__":
    sys.exit(main())
