"""Ten minutes of everything at once: 100 accounts on two venues, limits on, every misbehaviour that the served venue knows.

`trueup run` is a process of its own with its store in SQLite; half of the accounts are in mode `sync`, half in mode `protect`;
somebody trades every half second. Each misbehaviour strikes a share of all requests, messages or sessions, all the time. A
close is false if the venue's own fills do not show that lifecycle ended by that order. When the faults are over the daemon is
given time to catch up: then book and venue must be equal. `TRUEUP_SOAK_MINUTES` shortens it.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

from bench.figures import Figure
from bench.machine import resident_mib
from bench.tally import Tally
from tests.support.bench import Bench
from trueup.sim import binance, bybit
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.server import VenueServer, served_world
from trueup.sim.world.ids import uuid_text
from trueup.sim.world.refusals import Refusal
from trueup.sim.world.types import Fill
from trueup.sim.world.world import World

LONG = True
"""Runs only when it is named."""

MINUTES = float(os.environ.get("TRUEUP_SOAK_MINUTES", "10"))
ACCOUNTS, CALM_S = 100, 600.0
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
_TRADE_EVERY_S = 0.5
_OFTEN, _SELDOM, _RARE = Decimal("0.02"), Decimal("0.005"), Decimal("0.0005")
_LIMITS = {"binance": 2_400, "bybit": 600}


def faults() -> list[Fault]:
    """All that is on, all the time. Clock steps and expired keys come on top, every minute."""
    positions = {"binance": "*positionRisk", "bybit": "*position/list"}
    lies = [
        fault
        for path, field in ((positions["binance"], "positionAmt"), (positions["bybit"], "size"))
        for fault in (
            Fault(FaultKind.DROP_FIELD, path=path, field=field, probability=_SELDOM),
            Fault(FaultKind.SET_FIELD, path=path, field=field, value="many", probability=_SELDOM),
        )
    ]
    return [
        Fault(FaultKind.HTTP_ERROR, status=502, body="bad gateway", probability=_OFTEN),
        Fault(FaultKind.RATE_LIMIT, retry_after_s=2, probability=_RARE),
        Fault(FaultKind.HTML, probability=_SELDOM),
        Fault(FaultKind.TRUNCATED, probability=_SELDOM),
        Fault(FaultKind.EMPTY, probability=_SELDOM),
        *lies,
        Fault(FaultKind.SLOW, delay_ms=1_500, probability=_OFTEN),
        Fault(FaultKind.HANG, probability=_RARE),
        Fault(FaultKind.DISCONNECT, probability=_SELDOM),
        Fault(FaultKind.ANSWER_LOST, method="POST", probability=_SELDOM),
        Fault(FaultKind.ANSWER_LOST, method="DELETE", probability=_SELDOM),
        Fault(FaultKind.STALE, lag_ms=4_000, probability=_OFTEN),
        Fault(FaultKind.STREAM_DROP, probability=_OFTEN),
        Fault(FaultKind.STREAM_DUPLICATE, probability=_OFTEN),
        Fault(FaultKind.STREAM_DELAY, delay_ms=700, probability=_OFTEN),
        Fault(FaultKind.STREAM_REORDER, probability=_OFTEN),
        Fault(FaultKind.STREAM_SILENT, probability=_RARE),
        Fault(FaultKind.STREAM_REFUSED, status=503, probability=_OFTEN),
    ]


def run() -> list[Figure]:
    return asyncio.run(measure(ACCOUNTS, MINUTES * 60))


async def measure(accounts: int, seconds: float) -> list[Figure]:
    """The same with other numbers."""
    world = served_world(9)
    tallies = {
        "binance": Tally(binance.BinanceWire(world), world, 60_000),
        "bybit": Tally(bybit.build_wire(world), world, 5_000),
    }
    with tempfile.TemporaryDirectory() as folder:
        async with VenueServer(world, wires=list(tallies.values()), history_s=3_600) as server:
            bench = Bench(Path(folder), world, server, f"sqlite:///{folder}/book.db")
            names = _open(bench, accounts)
            memory, caught_up_s = await _daemon(bench, names, seconds)
            closed = [row for row in bench.rows("positions") if row["status"] == "closed"]
            false = _false_closes(world, closed)
            wrong = _differences(bench, world, names)
    half = memory[len(memory) // 2 :]
    figures = [
        Figure("soak_false_closes", len(closed), len(false), "closes"),
        Figure("soak_book_differences", len(names), len(wrong), "positions"),
        Figure("soak_caught_up_s", len(names), caught_up_s, "s"),
        Figure("soak_mib_end", len(names), half[-1], "MiB", "half-way", half[0]),
        Figure("soak_mib_peak_second_half", len(names), max(half), "MiB", "half-way", half[0]),
    ]
    for venue, tally in tallies.items():
        figures.append(
            Figure(f"soak_{venue}_peak", len(names) // 2, tally.peak, "of the limit", "limit", _LIMITS[venue])
        )
    for problem in (*false[:5], *wrong[:5]):
        print(problem, file=sys.stderr)
    return [*figures, Figure("soak_duration_s", len(names), seconds, "s")]


def _open(bench: Bench, accounts: int) -> list[str]:
    names = []
    for number in range(accounts):
        venue = ("binanceusdm", "bybit")[number % 2]
        name = bench.account(f"{venue}-{number}", venue, ("sync", "protect")[number // 2 % 2])
        for symbol in SYMBOLS[: 1 + number % 3]:
            bench.world.open_position(name, symbol, "long", "2")
        names.append(name)
    return names


async def _daemon(bench: Bench, names: list[str], seconds: float) -> tuple[list[float], float]:
    """Resident MiB every five seconds of the faults' time, and how long it took to be equal to the venue after it."""
    async with bench.daemon() as process:
        memory = await _storm(bench, names, seconds, process.pid)
        bench.mend()
        began = time.monotonic()
        for _ in range(round(CALM_S)):
            if not _differences(bench, bench.world, names):
                break
            await asyncio.sleep(1.0)
        return memory, time.monotonic() - began


async def _storm(bench: Bench, names: list[str], seconds: float, pid: int) -> list[float]:
    chance, began = random.Random(9), time.monotonic()
    for fault in faults():
        bench.fault(fault)
    memory: list[float] = []
    next_minute, next_sample = began + 60, began
    while (now := time.monotonic()) - began < seconds:
        if now >= next_sample:
            memory.append(resident_mib(pid))
            next_sample += 5
        if now >= next_minute:
            next_minute += 60
            _minute(bench)
        with suppress(Refusal):
            _trade(bench.world, chance.choice(names), chance)
        await asyncio.sleep(_TRADE_EVERY_S)
    return memory


def _minute(bench: Bench) -> None:
    """What happens once: all sockets are cut, the listen keys die, the venue's clock jumps for a while."""
    now = bench.world.now_ms()
    bench.fault(Fault(FaultKind.STREAM_DISCONNECT, until_ms=now + 1_000))
    bench.fault(Fault(FaultKind.LISTEN_KEYS_EXPIRED, from_ms=now + 20_000))
    bench.fault(Fault(FaultKind.CLOCK_SKEW, from_ms=now + 30_000, until_ms=now + 40_000, offset_ms=2_500))


def _trade(world: World, name: str, chance: random.Random) -> None:
    symbol = chance.choice(SYMBOLS)
    held = world.look(name).positions(symbol)
    if not held:
        world.open_position(name, symbol, chance.choice(("long", "short")), "2")
        return
    side = "long" if held[0].quantity > 0 else "short"
    what = chance.random()
    if what < 0.5:
        world.close_position(name, symbol, side)
    elif what < 0.7 and abs(held[0].quantity) > 1:
        world.reduce_position(name, symbol, side, "1")
    elif what < 0.85:
        world.open_position(name, symbol, side, "1")
    else:
        world.open_position(name, symbol, "short" if side == "long" else "long", "5")


def _ends(fills: list[Fill]) -> set[tuple[str, str]]:
    """(order, side) of each fill that took the position of one symbol to zero, or through it."""
    ends: set[tuple[str, str]] = set()
    before = Decimal(0)
    for fill in fills:
        if before and (not fill.position_after or (fill.position_after > 0) != (before > 0)):
            ends.add((str(fill.order_id), "long" if before > 0 else "short"))
        before = fill.position_after
    return ends


def _false_closes(world: World, closed: list[dict[str, object]]) -> list[str]:
    ends: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    problems = []
    for row in closed:
        name, symbol = str(row["account"]), _plain(str(row["symbol"]))
        if (name, symbol) not in ends:
            ends[name, symbol] = _ends(world.look(name).fills(symbol))
        by_order = {order for order, side in ends[name, symbol] if side == row["side"]}
        told = str(row["closing_order_id"])
        if told not in _as_told(world, name, by_order):
            problems.append(f"{name} {symbol} row {row['id']}: closed on {row['evidence']} by order {told}")
    return problems


def _as_told(world: World, name: str, orders: set[str]) -> set[str]:
    """The orders' ids as the venue's wire writes them."""
    if world.look(name).spec.venue == "binance":
        return orders
    return {uuid_text(int(order)) for order in orders}


def _plain(unified: str) -> str:
    return unified.partition(":")[0].replace("/", "")


def _differences(bench: Bench, world: World, names: list[str]) -> list[str]:
    book = {
        (row["account"], _plain(row["symbol"]), row["side"]): Decimal(row["quantity"])
        for row in bench.rows("positions")
        if row["status"] == "active"
    }
    venue = {
        (name, held.symbol, "long" if held.quantity > 0 else "short"): abs(held.quantity)
        for name in names
        for held in world.look(name).positions()
    }
    keys = sorted({*book, *venue})
    return [f"{key}: book {book.get(key)}, venue {venue.get(key)}" for key in keys if book.get(key) != venue.get(key)]
