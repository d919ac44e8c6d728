"""Twenty accounts of each venue behind one address, run for half an hour with the venue's limits on: how full they get.

`trueup run` is a process of its own with its store in SQLite; every account has three positions, somebody else trades in one of
them every two seconds, and every five minutes all sockets are cut at once. Counted on the venue's side: the fullest rolling
minute (Binance, weight) or five seconds (Bybit, requests), and refusals for frequency. The longest time that an account was
not looked at, once all had been, stands beside the interval that `status` told last. `TRUEUP_BUDGET_MINUTES` shortens it.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import tempfile
import time
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from bench.figures import Figure
from bench.tally import Tally
from tests.support.bench import Bench
from trueup.sim import binance, bybit
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.server import VenueServer, served_world
from trueup.sim.world.refusals import Refusal
from trueup.sim.world.world import World

LONG = True
"""Runs only when it is named."""

MINUTES = float(os.environ.get("TRUEUP_BUDGET_MINUTES", "30"))
ACCOUNTS = 20
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
_LIMITS = {"binance": 2_400, "bybit": 600}
_LOOKED = re.compile(r"^(\S+Z) \[info +\] account\.looked +account=(\S+) .*observed=True", re.MULTILINE)
_TRADE_EVERY_S, _CUT_EVERY_S = 2.0, 300.0


def run() -> list[Figure]:
    return asyncio.run(measure(ACCOUNTS, MINUTES * 60))


async def measure(accounts: int, seconds: float) -> list[Figure]:
    """The same with other numbers."""
    world = served_world(5)
    tallies = {
        "binance": Tally(binance.BinanceWire(world), world, 60_000),
        "bybit": Tally(bybit.build_wire(world), world, 5_000),
    }
    with tempfile.TemporaryDirectory() as folder:
        async with VenueServer(world, wires=list(tallies.values()), history_s=900) as server:
            bench = Bench(Path(folder), world, server, f"sqlite:///{folder}/book.db")
            names = _open(bench, accounts)
            intervals = await _daemon(bench, names, seconds)
            gaps = _longest_gaps(bench.run_log, names)
    figures = []
    for venue, tally in tallies.items():
        limit = _LIMITS[venue]
        unit, window = ("weight", "minute") if venue == "binance" else ("requests", "5s")
        figures.append(Figure(f"budget_{venue}_peak_{window}", accounts, tally.peak, unit, "the limit", limit))
        figures.append(Figure(f"budget_{venue}_refused", sum(tally.asked.values()), tally.refused, "answers"))
        figures.append(
            Figure(f"budget_{venue}_longest_gap_s", accounts, gaps[venue], "s", "the interval told", intervals[venue])
        )
    return [*figures, Figure("budget_duration_s", 2 * accounts, seconds, "s")]


def _open(bench: Bench, accounts: int) -> list[str]:
    names = []
    for number in range(accounts):
        for venue in ("binanceusdm", "bybit"):
            name = bench.account(f"{venue}-{number}", venue, "sync")
            for symbol in SYMBOLS:
                bench.world.open_position(name, symbol, "long", "2")
            names.append(name)
    return names


async def _daemon(bench: Bench, names: list[str], seconds: float) -> dict[str, float]:
    """Runs it for so long; the interval that `status` told at the end, by venue."""
    async with bench.daemon():
        await _live(bench, names, seconds)
        told = (await bench.run("status", "--json")).json["accounts"]
    _check(bench, names)
    return {
        short: max(told[name]["effective_interval_s"] for name in names if name.startswith(short)) for short in _LIMITS
    }


def _longest_gaps(log: Path, names: list[str]) -> dict[str, float]:
    """By venue, between two complete looks at the same account, after every account had its first."""
    seen: dict[str, list[float]] = {name: [] for name in names}
    for at, name in _LOOKED.findall(log.read_text()):
        seen[name].append(datetime.fromisoformat(at).timestamp())
    start_s = max(times[0] for times in seen.values() if times)
    found = dict.fromkeys(_LIMITS, 0.0)
    for name, times in seen.items():
        venue = next(short for short in _LIMITS if name.startswith(short))
        late = [at_s for at_s in times if at_s >= start_s]
        found[venue] = max([found[venue], *(later - earlier for earlier, later in pairwise(late))])
    return found


async def _live(bench: Bench, names: list[str], seconds: float) -> None:
    chance, began, cut_s = random.Random(5), time.monotonic(), time.monotonic()
    while time.monotonic() - began < seconds:
        await asyncio.sleep(_TRADE_EVERY_S)
        with suppress(Refusal):
            _trade(bench.world, chance.choice(names), chance)
        if time.monotonic() - cut_s >= _CUT_EVERY_S:
            cut_s = time.monotonic()
            until_ms = bench.world.now_ms() + 1_000
            bench.fault(Fault(FaultKind.STREAM_DISCONNECT, until_ms=until_ms))


def _trade(world: World, name: str, chance: random.Random) -> None:
    symbol = chance.choice(SYMBOLS)
    held = world.look(name).positions(symbol)
    if held and chance.random() < 0.5:
        world.close_position(name, symbol, "long" if held[0].quantity > 0 else "short")
    else:
        world.open_position(name, symbol, "long", "1")


def _check(bench: Bench, names: list[str]) -> None:
    """The run really looked at every account to its end; else its peak would mean nothing."""
    missing = set(names) - {row["account"] for row in bench.rows("positions")}
    if missing:
        raise RuntimeError(f"never looked at: {', '.join(sorted(missing))}")
