"""The ledger: every run of every hunt, one JSON object a line, with the sources that it ran on. Hunts resume from it and add up.

1. A run counts for exactly the sources that it ran: a digest of the engine's and the simulation's modules, beside the
   commit for people. What people see (commands, screens, reports, a served venue) may change without it.
2. The judge looks on and changes no run. Its sources have a digest of their own, which is told of every run: mended for one run
   that it wrongly blamed, it voids no other. What a run was blamed for is made again by every hunt.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trueup
from trueup.hunt.simulation import Result

__all__ = ["Entry", "Ledger", "commit_name", "is_simulated", "judge_digest", "simulated_modules", "source_digest"]

_ROOMS = ("model", "core", "engine", "config", "venues", "sim", "store", "hunt")
_MODULES = ("ports.py", "calls.py", "bootstrap/wiring.py", "bootstrap/clock.py")
_BESIDE = (
    "sim/view/",
    "sim/server.py",
    "sim/control.py",
    "sim/scenario.py",
    "sim/actions.py",
    "sim/arguments.py",
    "hunt/__main__.py",
    "hunt/ledger.py",
    "hunt/totals.py",
    "hunt/report.py",
    "hunt/repeat.py",
    "hunt/shrink.py",
    "hunt/fuzz.py",
    "hunt/bugs.py",
    "hunt/planting.py",
    "hunt/mistakes_",
    "venues/sparing.py",
)
_JUDGE = ("hunt/judge.py", "hunt/truth.py", "hunt/claims.py")
_STORE = ("__init__", "changeset", "limits", "memory", "memory_rows", "rows")
"""Of the store's modules those that the simulated database needs; no run ever loads the others."""


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        options: Whatever else than the seed decides its plan.
        events, crashes: Of the venue, of processes.
        cpu_s, wall_s: What it took in its own process; 0: kept before it was measured.
        judge: Digest of the judge's sources.
    """

    digest: str
    commit: str
    seed: int
    options: str
    simulated_s: float
    trace_hash: str
    violations: tuple[str, ...]
    events: int = 0
    crashes: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    judge: str = ""


class Ledger:
    """A file that is only appended to; of a run that was made again the last one counts. None as path: kept nowhere."""

    def __init__(self, path: Path | None, digest: str, commit: str, judge: str = "") -> None:
        self._path, self._digest, self._commit, self._judge = path, digest, commit, judge
        self._entries: dict[tuple[str, int, str], Entry] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                data: dict[str, Any] = json.loads(line)
                entry = Entry(**{**data, "violations": tuple(data["violations"])})
                self._entries[(entry.digest, entry.seed, entry.options)] = entry

    def known(self, seed: int, options: str) -> Entry | None:
        """What that run came to on these sources, if it was made."""
        return self._entries.get((self._digest, seed, options))

    def add(self, result: Result, options: str, *, cpu_s: float = 0.0, wall_s: float = 0.0) -> Entry:
        entry = Entry(
            digest=self._digest,
            commit=self._commit,
            seed=result.seed,
            options=options,
            simulated_s=result.simulated_s,
            trace_hash=result.trace_hash,
            violations=tuple(sorted({each.invariant for each in result.violations})),
            events=result.counts["venue_events"],
            crashes=result.counts["crashes"],
            cpu_s=round(cpu_s, 3),
            wall_s=round(wall_s, 3),
            judge=self._judge,
        )
        self._entries[(entry.digest, entry.seed, entry.options)] = entry
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps(vars(entry)) + "\n")
        return entry

    def of_these_sources(self) -> list[Entry]:
        return [entry for entry in self._entries.values() if entry.digest == self._digest]


def source_digest() -> str:
    """Of every module that a run may load, the judge's apart, and of nothing else: see `is_simulated`."""
    return _digest(name for name in simulated_modules() if name not in _JUDGE)


def judge_digest() -> str:
    """Of the modules that say whether a run was as it must be."""
    return _digest(_JUDGE)


def _digest(names: Iterable[str]) -> str:
    root = Path(trueup.__file__).parent
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + b"\0" + (root / name).read_bytes())
    return digest.hexdigest()[:16]


def simulated_modules() -> list[str]:
    """Their paths in the package."""
    root = Path(trueup.__file__).parent
    return sorted(name for path in root.rglob("*.py") if is_simulated(name := path.relative_to(root).as_posix()))


def is_simulated(name: str) -> bool:
    """Whether a run executes what stands in that module of the package (a path in it).

    That is the engine with all that it decides by, the venues' adapters and streams, the wiring, the store in memory, the
    simulated world with its wires and faults, and of the hunt what makes, runs and judges a plan. It is not the command line,
    the databases, the venue's server and its screens, nor what tells people about runs.
    """
    if name in _MODULES:
        return True
    room, _, module = name.partition("/")
    if room not in _ROOMS or name.startswith(_BESIDE):
        return False
    return room != "store" or module.removesuffix(".py") in _STORE


def commit_name() -> str:
    """The commit that is checked out, with a `+` where something is changed; ``unknown`` outside a repository."""
    folder = Path(trueup.__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(("git", *words), cwd=folder, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
