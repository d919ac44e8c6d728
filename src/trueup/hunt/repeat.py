"""`python -m trueup.hunt.repeat`: does a seed take the same steps everywhere? Runs each in fresh ones, compares the traces.

1. Each process has another `PYTHONHASHSEED`, so that whatever iterates a set of texts or of addresses shows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

__all__ = ["main", "traces"]

_ONE = """
import sys
from trueup.hunt.plan import draw
from trueup.hunt.simulation import run
result = run(draw(int(sys.argv[1]), active_s=float(sys.argv[2])))
print(result.trace_hash, result.simulated_s, sorted(result.counts.items()))
"""


def traces(seed: int, *, processes: int, active_s: float, at_once: int = 2) -> list[str]:
    """What each process says of its run: hash, simulated time, counts."""
    told: list[str] = []
    for first in range(0, processes, at_once):
        numbers = range(first, min(first + at_once, processes))
        started = [_started(seed, active_s, str(number * 7919)) for number in numbers]
        for process in started:
            out, _ = process.communicate()
            if process.returncode:
                raise RuntimeError(f"seed {seed}: its process ended with exit code {process.returncode}")
            told.append(out.strip())
    return told


def _started(seed: int, active_s: float, hash_seed: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = (sys.executable, "-c", _ONE, str(seed), str(active_s))
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this interpreter


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: every seed repeats itself; 1: some does not."""
    parser = argparse.ArgumentParser(prog="python -m trueup.hunt.repeat", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 1")
    parser.add_argument("--processes", type=int, default=5, help="fresh processes for each")
    parser.add_argument("--seconds", type=float, default=600.0, help="simulated, of each run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    equal = 0
    for seed in range(1, options.seeds + 1):
        told = traces(seed, processes=options.processes, active_s=options.seconds, at_once=options.jobs)
        equal += len(set(told)) == 1
        print(f"seed {seed}: {len(told)} processes, {len(set(told))} trace: {told[0].split()[0]}", flush=True)
    print(f"{equal} of {options.seeds} seeds took the same steps in {options.processes} processes")
    return 0 if equal == options.seeds else 1


if __name__ == "__main__":
    sys.exit(main())
