"""The request budget of a running trueup, counted on the venue's side.

TRUEUP_FLAPS sets how many times, a second apart, all sockets are cut: 8 by default, so that the suite stays short; the whole
minute is TRUEUP_FLAPS=60. Nothing else is compressed: limits, windows and costs are the venue's.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.tally import Tally
from tests.support.bench import VENUES, Bench
from trueup.sim import binance, bybit
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.server import SystemClock, VenueServer
from trueup.sim.world import SkewedClock, World
from trueup.sim.world.instruments import perpetual
from trueup.sim.world.types import InstrumentSpec, Venue
from trueup.venues.limits import ORDINARY_SHARE

BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])
FLAPS = int(os.environ.get("TRUEUP_FLAPS", "8"))
WINDOWS = {"binanceusdm": (60_000, 2_400), "bybit": (5_000, 600)}
FEW, MANY = 5, 200
SLACK_S = 3.0  # a look's own duration on a busy machine


def listed(venue: Venue, count: int, start_ms: int) -> list[InstrumentSpec]:
    model = perpetual(venue, "ETH", start_ms=start_ms)
    bases = ["BTC", "ETH", *(f"COIN{number:03d}" for number in range(count))]
    return [replace(model, symbol=f"{base}USDT", unified=f"{base}/USDT:USDT", base=base) for base in bases]


@asynccontextmanager
async def served(
    folder: Path, venue: str, *, limited: bool = True, coins: int = 0
) -> AsyncIterator[tuple[Bench, Tally]]:
    """A venue that counts what it is asked, with its limits on or out of the way."""
    clock = SkewedClock(SystemClock())
    world = World(clock, 11, listed(VENUES[venue], coins, clock.now_ms()))
    wire: Any
    if venue == "binanceusdm":
        wire = binance.build_wire(world, binance.LimitPolicy() if limited else binance.LimitPolicy(10**9))
    else:
        wire = bybit.build_wire(world, bybit.LimitPolicy() if limited else bybit.LimitPolicy(None, per_account=False))
    tally = Tally(wire, world, WINDOWS[venue][0])
    async with VenueServer(world, wires=[tally]) as server:
        yield Bench(folder, world, server, f"sqlite:///{folder / 'book.db'}"), tally


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    log = bench.folder / "run.log"
    bench.write_config()
    process = await bench.start("run")
    reading = [asyncio.create_task(_into(log, stream)) for stream in (process.stdout, process.stderr)]
    try:
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(process.wait(), *reading), 30)
    assert process.returncode == 0, log.read_text()


async def _into(log: Path, stream: asyncio.StreamReader | None) -> None:
    assert stream is not None
    with log.open("ab", buffering=0) as written:
        async for line in stream:
            written.write(line)


async def until(holds: Callable[[], Any], within_s: float = 60.0) -> float:
    """Waits until it holds; how long that took, in seconds."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - what is waited for lies in a store and on a venue
            await asyncio.sleep(0.02)
    return time.monotonic() - began


def statuses(bench: Bench) -> Counter[str]:
    return Counter(row["status"] for row in bench.rows("positions"))


def stream_is(bench: Bench, words: str) -> bool:
    return any(json.loads(row["state"])["streams"] == words for row in bench.rows("account_state"))


@pytest.mark.slow
@BOTH
async def test_requests_of_an_audit_in_sync_do_not_grow_with_the_positions(tmp_path: Path, venue: str) -> None:
    async with served(tmp_path, venue, limited=False, coins=MANY) as (bench, tally):
        name = bench.account("main", venue)

        async def audit(held: int) -> Counter[str]:
            """What one sync of that many positions asks, when the book has them all already."""
            for number in range(len(bench.world.look(name).positions()), held):
                bench.world.open_position(name, f"COIN{number:03d}USDT", "long" if number % 2 else "short", "1")
            await bench.sync_report(name, 0)
            tally.asked.clear()
            report = await bench.sync_report(name, 0)
            assert len(report["verified"]) == held
            return Counter({path: count for (_, path), count in tally.asked.items()})

        few = await audit(FEW)
        many = await audit(MANY)
    # Measuring the clock takes one to three readings, as the connection goes: no part of what grows.
    for asked in (few, many):
        asked.pop("/fapi/v1/time", None)
        asked.pop("/v5/market/time", None)
    assert many == few
    assert sum(few.values()) <= 20


@pytest.mark.slow
@BOTH
async def test_a_socket_that_flaps_keeps_the_budget_and_closes_nothing_falsely(tmp_path: Path, venue: str) -> None:
    async with served(tmp_path, venue) as (bench, tally):
        names = [bench.account(f"account-{number}", venue) for number in range(3)]
        for name in names:
            for symbol in ("BTCUSDT", "ETHUSDT"):
                bench.world.open_position(name, symbol, "long", "1")
        async with running(bench):
            await until(lambda: statuses(bench) == {"active": 6})
            for flap in range(FLAPS):
                until_ms = bench.world.now_ms() + 100
                bench.fault(Fault(FaultKind.STREAM_DISCONNECT, until_ms=until_ms))
                if flap == FLAPS // 2:
                    bench.world.close_position(names[0], "ETHUSDT", "long")
                await asyncio.sleep(1)
            bench.mend()
            await until(lambda: statuses(bench) == {"active": 5, "closed": 1})
            closed = [row for row in bench.rows("positions") if row["status"] == "closed"]
            assert [(row["account"], row["symbol"]) for row in closed] == [(names[0], "ETH/USDT:USDT")]
            assert not any(row["suspected_since"] for row in bench.rows("positions"))
    assert tally.refused == 0
    assert tally.peak <= ORDINARY_SHARE * WINDOWS[venue][1]


@BOTH
async def test_a_stream_that_is_dead_and_silent_is_made_up_for_by_the_next_audit(tmp_path: Path, venue: str) -> None:
    """Sockets stay open, nothing comes through, nobody is told: the effective interval bounds what is not known."""
    async with served(tmp_path, venue) as (bench, tally):
        name = bench.account("main", venue)
        bench.sync["audit_interval_s"] = "0.5"
        bench.world.open_position(name, "ETHUSDT", "long", "1")
        bench.world.open_position(name, "BTCUSDT", "long", "1")
        async with running(bench):
            await until(lambda: statuses(bench) == {"active": 2} and stream_is(bench, "up"))
            bench.fault(Fault(FaultKind.STREAM_SILENT))
            bench.world.close_position(name, "ETHUSDT", "long")
            found_s = await until(lambda: statuses(bench) == {"active": 1, "closed": 1})
            assert stream_is(bench, "up")
            status = (await bench.run("status", "--json")).json["accounts"][name]
        assert found_s <= status["effective_interval_s"] + SLACK_S
        if venue == "binanceusdm":
            # Positions weigh 5, the order lists 80 at every fourth audit: half of 2,400 a minute allows one in 1.25 s.
            assert status["effective_interval_s"] >= 1.2
            assert "behind" in status["interval_why"] or "one account's audit costs" in status["interval_why"]
        else:
            assert (status["effective_interval_s"], status["interval_why"]) == (0.5, None)
    assert tally.refused == 0


@BOTH
async def test_a_ban_stops_everybody_behind_the_address_and_is_told(tmp_path: Path, venue: str) -> None:
    async with served(tmp_path, venue) as (bench, _):
        names = [bench.account(f"account-{number}", venue) for number in range(2)]
        bench.sync["audit_interval_s"] = "2"
        for name in names:
            bench.world.open_position(name, "ETHUSDT", "long", "1")
        async with running(bench):
            await until(lambda: statuses(bench) == {"active": 2})
            log = tmp_path / "run.log"
            bench.fault(Fault(FaultKind.BANNED, account=names[0], count=1, retry_after_s=8))
            await until(lambda: "requests.stopped" in log.read_text())
            await asyncio.sleep(0.5)  # what was under way
            total = bench.server.front.journal.total
            await asyncio.sleep(2)
            asked = [one.request.path for one in bench.server.front.journal.latest(500)][total:]
            assert asked == []
            await until(lambda: [row for row in bench.rows("events") if row["type"] == "REQUESTS_STOPPED"])
            accounts = (await bench.run("status", "--json")).json["accounts"]
            assert any("wants no request" in str(account["error"]) for account in accounts.values())
            if venue == "binanceusdm":  # Bybit's ban says no end: ten minutes
                await until(lambda: bench.server.front.journal.total > total)
            [event] = [row for row in bench.rows("events") if row["type"] == "REQUESTS_STOPPED"]
            told = json.loads(event["data"])
            assert told["seconds"] == (8 if venue == "binanceusdm" else 600)
            assert sorted(told["accounts"]) == names
        assert statuses(bench) == {"active": 2}
