"""Processor time of one cold `trueup sync` until 10,000 open positions, each with its stop, are verified.

50 Binance accounts of 200 positions in one process, mode protect, an embedded store with fsync, the venue in another process
over loopback. The book's rows were written by a bot and never verified: identity, market list, positions, order lists, every
row's first verification and every stop's record are part of it, and the interpreter's start with all imports, compiled
beforehand, as pip leaves an installed program.
`cold_start_again_cpu_s` is the same command once more: the rows are known, and nothing has changed.

The reference is the original system's start against the same venue, in a process of its own (`bench.original_start`): per
account an exchange object that loads its markets, the positions, a row-by-row update, for each row all positions once more, and
for each position a question for its stops. It is measured without any account and on a tenth of them; what an account takes
counts for each, the start once. `cold_start_original_once_cpu_s` is the same without the second look at the positions.
"""

from __future__ import annotations

import compileall
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trueup
from bench.figures import Figure

ACCOUNTS, POSITIONS, ROUNDS, SHARE = 50, 200, 5, 10
_INSERT = (
    "INSERT INTO positions (account, exchange, symbol, side, entry_price, quantity, status, created_at, updated_at)"
    " VALUES (?, 'binanceusdm', ?, ?, ?, ?, 'active', datetime('now'), datetime('now'))"
)


def run() -> list[Figure]:
    return measure(ACCOUNTS, POSITIONS, ROUNDS, SHARE)


def measure(accounts: int, positions: int, rounds: int, share: int) -> list[Figure]:
    """The same with other numbers; the original is measured on one account of `share`."""
    compileall.compile_dir(Path(trueup.__file__).parent, quiet=1)
    cold, again, reference, once = [], [], [], []
    with served(accounts, positions) as venue:
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                _prepare(Path(folder), venue)
                cold.append(_sync(Path(folder), venue))
                again.append(_sync(Path(folder), venue))
            reference.append(_original(venue, share))
            once.append(_original(venue, share, "--once"))
    held = accounts * positions
    told = "the original's start", statistics.median(reference)
    return [
        Figure("cold_start_cpu_s", held, statistics.median(cold), "s", *told, (min(cold), max(cold))),
        Figure("cold_start_again_cpu_s", held, statistics.median(again), "s", *told, (min(again), max(again))),
        Figure("cold_start_original_cpu_s", held, told[1], "s", spread=(min(reference), max(reference))),
        Figure("cold_start_original_once_cpu_s", held, statistics.median(once), "s", spread=(min(once), max(once))),
    ]


@contextmanager
def served(accounts: int, positions: int) -> Iterator[dict[str, Any]]:
    """What `bench.served` tells of its venue, while it serves."""
    command = [sys.executable, "-m", "bench.served", str(accounts), str(positions)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.communicate()


def _prepare(folder: Path, venue: dict[str, Any]) -> None:
    parts = [
        f'[store]\nurl = "sqlite:///{folder}/book.db"\n',
        '[http]\nlisten = ""\n',
        *(
            f'[[accounts]]\nname = "{one["name"]}"\nvenue = "binanceusdm"\nmode = "protect"\n'
            f'api_key = "env:KEY_{place}"\napi_secret = "env:SECRET_{place}"\nrest_url = "{venue["url"]}"\n'
            for place, one in enumerate(venue["accounts"])
        ),
    ]
    (folder / "trueup.toml").write_text("\n".join(parts), encoding="utf-8")
    _cpu_s(folder, venue, "-m", "trueup", "db", "upgrade", "--config", str(folder / "trueup.toml"))
    with sqlite3.connect(folder / "book.db") as book:
        for one in venue["accounts"]:
            rows = [(one["name"], symbol, side, entry, size) for symbol, side, size, entry in one["positions"]]
            book.executemany(_INSERT, rows)


def _sync(folder: Path, venue: dict[str, Any]) -> float:
    """Raises RuntimeError unless everything was verified and covered."""
    taken = _cpu_s(folder, venue, "-m", "trueup", "sync", "--json", "--config", str(folder / "trueup.toml"))
    report = json.loads((folder / "out").read_text(encoding="utf-8"))
    verified = sum(len(one["verified"]) for one in report["accounts"].values())
    naked = sum(len(one["protection"]["unprotected"]) for one in report["accounts"].values())
    held = sum(len(one["positions"]) for one in venue["accounts"])
    if (verified, naked) != (held, 0):
        raise RuntimeError(f"{verified} of {held} positions verified, {naked} without a stop")
    return taken


def _original(venue: dict[str, Any], share: int, *options: str) -> float:
    """Of all accounts: the start once, and for each what one of `share` takes."""
    some = venue["accounts"][::share]
    start, taken = _original_on(venue, [], *options), _original_on(venue, some, *options)
    return start + (taken - start) * len(venue["accounts"]) / len(some)


def _original_on(venue: dict[str, Any], accounts: list[dict[str, Any]], *options: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "venue.json")
        told.write_text(json.dumps({"url": venue["url"], "accounts": accounts}), encoding="utf-8")
        return _cpu_s(Path(folder), venue, "-m", "bench.original_start", str(told), *options)


def _cpu_s(folder: Path, venue: dict[str, Any], *arguments: str) -> float:
    """User and system time of a process, its whole life; its output is left in `out`."""
    keys = {f"KEY_{place}": one["key"] for place, one in enumerate(venue["accounts"])}
    secrets = {f"SECRET_{place}": one["secret"] for place, one in enumerate(venue["accounts"])}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=out, stderr=err, env={**os.environ, **keys, **secrets}
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments[1:3]} ended with {process.returncode}: {(folder / 'err').read_text()[-2_000:]}")
    return used.ru_utime + used.ru_stime
