"""`python -m trueup.hunt`: runs seeds, tells how they ended, and what to do about one that failed. `make sim` calls it.

1. A seed below `LONG_FROM` is a short run of ten simulated minutes; one above it is a long run.
2. A failing seed is shrunk, its timeline written to a file, and the command to run it again printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from trueup.hunt.ledger import Entry, Ledger, commit_name, judge_digest, source_digest
from trueup.hunt.plan import FAULT_KINDS, Plan, draw, read_plan, write_plan
from trueup.hunt.report import lines_of, table
from trueup.hunt.shrink import shrink
from trueup.hunt.simulation import Result, run

LONG_FROM = 1_000_000
SHORT_S = 600.0
LONG_RUNS = 10


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: no violation; 1: some."""
    options = _parser().parse_args(arguments)
    faults = _faults(options.faults)
    if options.plan is not None:
        return _one(read_plan(options.plan))
    if options.seed is not None:
        return _one(_plan(options.seed, options.hours, faults))
    seeds = [*range(options.first, options.first + options.seeds)]
    if options.hours:
        seeds += range(LONG_FROM, LONG_FROM + options.long)
    return _many(options, seeds, faults)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="short runs, ten simulated minutes each")
    parser.add_argument("--first", type=int, default=1, help="the first of their seeds")
    parser.add_argument("--hours", type=float, default=24.0, help="simulated hours of each long run; 0: none")
    parser.add_argument("--long", type=int, default=LONG_RUNS, help="how many long runs")
    parser.add_argument("--seed", type=int, help="one seed again, with its timeline")
    parser.add_argument("--plan", type=Path, help="a plan that was kept in a file, with its timeline")
    parser.add_argument(
        "--faults", default="", help=f"which kinds: {','.join(FAULT_KINDS)}, all, none; else as each seed draws"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--build", type=Path, default=Path("build"), help="where sim.json, the ledger and timelines go")
    parser.add_argument("--fresh", action="store_true", help="run again what the ledger has")
    return parser


def _faults(text: str) -> tuple[str, ...] | None:
    if not text:
        return None
    if text in ("all", "none"):
        return FAULT_KINDS if text == "all" else ()
    chosen = tuple(text.split(","))
    unknown = [word for word in chosen if word not in FAULT_KINDS]
    if unknown:
        raise SystemExit(f"FAULTS={text}: {unknown[0]!r} is not one of {', '.join(FAULT_KINDS)}, all, none")
    return chosen


def _plan(seed: int, hours: float, faults: tuple[str, ...] | None) -> Plan:
    return draw(seed, active_s=SHORT_S if seed < LONG_FROM else hours * 3600, faults=faults)


def _options(seed: int, hours: float, faults: tuple[str, ...] | None) -> str:
    length = "10m" if seed < LONG_FROM else f"{hours:g}h"
    return f"{length} {'drawn' if faults is None else '+'.join(faults) or 'none'}"


@dataclass(frozen=True)
class _Done:
    """A run, and what it took in its process."""

    result: Result
    cpu_s: float
    wall_s: float


def _work(seed: int, hours: float, faults: tuple[str, ...] | None) -> _Done:
    cpu_s, wall_s = time.process_time(), time.monotonic()
    result = run(_plan(seed, hours, faults))
    if not result.violations:
        result.timeline.clear()
    return _Done(result, time.process_time() - cpu_s, time.monotonic() - wall_s)


def _one(plan: Plan) -> int:
    began = time.monotonic()
    result = run(plan)
    for line in lines_of(plan, result):
        print(line)
    print(f"trace {result.trace_hash}, {result.simulated_s:.1f} simulated s in {time.monotonic() - began:.1f} s")
    return 1 if result.violations else 0


def _many(options: argparse.Namespace, seeds: list[int], faults: tuple[str, ...] | None) -> int:
    began = time.monotonic()
    ledger = Ledger(options.build / "sim-ledger.jsonl", source_digest(), commit_name(), judge_digest())
    entries: list[Entry] = []
    made: list[Entry] = []
    failed: list[Result] = []
    waiting = []
    for seed in seeds:
        known = None if options.fresh else ledger.known(seed, _options(seed, options.hours, faults))
        if known is not None and not known.violations:
            entries.append(known)
        else:
            waiting.append(seed)
    if entries:
        print(f"{len(entries)} of {len(seeds)} runs are in the ledger already")
    for done in _results(options, waiting, faults):
        result = done.result
        known_as = _options(result.seed, options.hours, faults)
        made.append(ledger.add(result, known_as, cpu_s=done.cpu_s, wall_s=done.wall_s))
        entries.append(made[-1])
        if result.violations:
            failed.append(result)
            print(
                f"seed {result.seed}: {result.violations[0].invariant}: {result.violations[0].text[:160]}", flush=True
            )
        elif len(entries) % 25 == 0:
            rate = sum(e.simulated_s for e in entries) / 3600
            print(f"{len(entries)} of {len(seeds)}, {rate:.1f} simulated h, {len(failed)} failed", flush=True)
    entries.sort(key=lambda entry: entry.seed)
    traces = [_explain(options, result, faults) for result in failed[:5]]
    _write(options.build / "sim.json", entries, failed, traces, time.monotonic() - began)
    for line in table(entries, made, failed, ledger.of_these_sources(), time.monotonic() - began):
        print(line)
    return 1 if failed else 0


def _results(options: argparse.Namespace, seeds: list[int], faults: tuple[str, ...] | None) -> Iterator[_Done]:
    seeds = sorted(seeds, reverse=True)  # the long ones first: they end last
    if options.jobs <= 1:
        for seed in seeds:
            yield _work(seed, options.hours, faults)
        return
    with ProcessPoolExecutor(options.jobs) as pool:
        running = [pool.submit(_work, seed, options.hours, faults) for seed in seeds]
        for done in as_completed(running):
            yield done.result()


def _explain(options: argparse.Namespace, result: Result, faults: tuple[str, ...] | None) -> str:
    """Shrinks a failure, writes its plan and its timeline; returns the timeline's file name."""
    plan = _plan(result.seed, options.hours, faults)
    if result.seed < LONG_FROM:
        shrunk = shrink(plan, result)
        plan, result = shrunk.plan, shrunk.result
    path: Path = options.build / f"sim-{result.seed}.txt"
    path.write_text("\n".join(lines_of(plan, result)) + "\n")
    write_plan(plan, path.with_suffix(".json"))
    print(f"seed {result.seed}: {len(plan.happenings)} faults and {len(plan.acts)} acts are enough; timeline in {path}")
    return str(path)


def _write(path: Path, entries: list[Entry], failed: list[Result], traces: list[str], wall_s: float) -> None:
    digest = hashlib.sha256("".join(f"{e.seed}:{e.trace_hash};" for e in entries).encode()).hexdigest()
    by_seed = {result.seed: trace for result, trace in zip(failed, traces, strict=False)}
    data = {
        "seeds": len(entries),
        "simulated_hours": round(sum(entry.simulated_s for entry in entries) / 3600, 1),
        "wall_s": round(wall_s),
        "violations": [
            {"seed": result.seed, "invariant": each.invariant, "trace": by_seed.get(result.seed), "text": each.text}
            for result in failed
            for each in result.violations
        ],
        "trace_hash": digest[:16],
        "commit": entries[0].commit if entries else commit_name(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
