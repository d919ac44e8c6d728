"""The ledger: every run of every hunt, one JSON object a line, with the sources that it ran on. Hunts resume from it and add up.

1. A run counts for exactly the sources that it ran on: a digest of the package, beside the commit for people.
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

__all__ = ["Entry", "Ledger", "commit_name", "source_digest"]


@dataclass(frozen=True)
class Entry:
    """One run. `options`: whatever else than the seed decides its plan; `events`: of the venue; `crashes`: of processes."""

    digest: str
    commit: str
    seed: int
    options: str
    simulated_s: float
    trace_hash: str
    violations: tuple[str, ...]
    events: int = 0
    crashes: int = 0


class Ledger:
    """A file that is only appended to. None as path: kept nowhere."""

    def __init__(self, path: Path | None, digest: str, commit: str) -> None:
        self._path, self._digest, self._commit = path, digest, commit
        self._entries: dict[tuple[str, int, str], Entry] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                data: dict[str, Any] = json.loads(line)
                entry = Entry(**{**data, "violations": tuple(data["violations"])})
                self._entries[(entry.digest, entry.seed, entry.options)] = entry

    def known(self, seed: int, options: str) -> Entry | None:
        """What that run came to on these sources, if it was made."""
        return self._entries.get((self._digest, seed, options))

    def add(self, result: Result, options: str) -> Entry:
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
    """Of every module of the package, so that a run names exactly what it ran."""
    root = Path(trueup.__file__).parent
    digest = hashlib.sha256()
    for path in _modules(root):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _modules(root: Path) -> Iterable[Path]:
    return sorted(root.rglob("*.py"))


def commit_name() -> str:
    """The commit that is checked out, with a `+` where something is changed; ``unknown`` outside a repository."""
    folder = Path(trueup.__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(("git", *words), cwd=folder, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
