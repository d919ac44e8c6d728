"""What accounts cost while nothing changes: memory and CPU of one `trueup run` with 1 to 1,000 accounts of 20 positions.

Half of the accounts are on each venue, which lists 500 contracts; both venues' limits are on, and 40 accounts share one
simulated IP address (an HTTP proxy of its own), as many as keep the interval short. The daemon is a process of its own with
its book in SQLite, streams up; it is measured once every position is adopted, verified and its beginning read. The reference
is what a bot of its own would need: one ccxt instance an account, its markets loaded and its positions read once.
`TRUEUP_ACCOUNTS` chooses other counts.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cases.venue import build_world
from bench.figures import Figure
from bench.machine import resident_mib
from bench.plots import Line, chart
from tests.support.bench import Bench
from trueup.sim import binance, bybit
from trueup.sim.server import VenueServer
from trueup.sim.world.world import World

COUNTS = tuple(int(text) for text in os.environ.get("TRUEUP_ACCOUNTS", "1,10,100,1000").split(","))
POSITIONS, LISTED, A_PROXY, WINDOW_S = 20, 500, 40, 60.0
_READY_S, _QUIET_S = 1_800.0, 5.0
_VENUES = {"binance": "binanceusdm", "bybit": "bybit"}
_OF_THE_PAST = ("/fapi/v1/userTrades", "/v5/execution/list")


@dataclass(frozen=True)
class _Cost:
    """Of one daemon.

    Attributes:
        interval_s: The longest between two audits of an account. `audits`: of all accounts, in the window, by their intervals.
        requests: By path, in the window.
    """

    mib: float
    cpu: float
    interval_s: float
    audits: float
    requests: Counter[str]


def run() -> list[Figure]:
    plain = asyncio.run(_plain_instances(20))
    costs = {accounts: asyncio.run(_measure(accounts)) for accounts in COUNTS}
    figures = []
    base = costs[min(costs)].mib
    for accounts, cost in costs.items():
        figures.append(Figure("accounts_mib", accounts, cost.mib, "MiB"))
        figures.append(Figure("accounts_cpu", accounts, cost.cpu, "of a core"))
        figures.append(Figure("accounts_interval_s", accounts, cost.interval_s, "s"))
        figures.append(Figure("accounts_requests", accounts, _a_minute(cost, accounts), "an account and minute"))
    most = max(costs)
    if most > min(costs):
        each = (costs[most].mib - base) / (most - min(costs))
        figures.append(Figure("account_mib", most, each, "MiB", "a ccxt instance of its own", plain))
    figures.append(Figure("account_cpu", most, costs[most].cpu, "of a core"))
    asked = sum(costs[most].requests.values()) / costs[most].audits
    original = "the original: one, and one for each position"
    figures.append(Figure("requests_per_audit", POSITIONS, asked, "requests", original, 1 + POSITIONS))
    return figures


def plots(figures: list[Figure]) -> dict[str, str]:
    """Memory and processor time over the number of accounts."""
    by_id = {
        name: [one for one in figures if one.id == name] for name in ("accounts_mib", "accounts_cpu", "account_mib")
    }
    memory = [Line("trueup run", [(one.n, one.value) for one in by_id["accounts_mib"]])]
    for reference in (one.reference_value for one in by_id["account_mib"]):
        if reference is not None:
            points = [(one.n, one.n * reference) for one in by_id["accounts_mib"]]
            memory.append(Line("ccxt, one each", points))
    busy = [(one.n, one.value * 100) for one in by_id["accounts_cpu"] if one.value > 0]
    made = {"accounts-memory.svg": chart("Memory, 20 positions an account", "accounts", "MiB", memory)}
    if busy:
        line = [Line("trueup run", busy)]
        made["accounts-cpu.svg"] = chart("Processor, nothing changes, streams up", "accounts", "% of a core", line)
    return made


def _a_minute(cost: _Cost, accounts: int) -> float:
    return sum(cost.requests.values()) / accounts * 60 / WINDOW_S


async def _measure(accounts: int) -> _Cost:
    world = build_world(accounts, POSITIONS, listed=LISTED)
    wires = [binance.BinanceWire(world), bybit.build_wire(world)]
    with tempfile.TemporaryDirectory() as folder:
        async with VenueServer(world, wires=wires, history_s=60, proxies=-(-accounts // A_PROXY)) as server:
            bench = Bench(Path(folder), world, server, f"sqlite:///{folder}/book.db")
            _configure(bench, world, accounts)
            async with bench.daemon() as process:
                await _ready(bench, accounts)
                return await _watched(bench, process.pid)


def _configure(bench: Bench, world: World, accounts: int) -> None:
    proxies = bench.server.proxy_urls
    for number in range(accounts):
        name = f"account-{number}"
        spec = world.look(name).spec
        stem = name.upper().replace("-", "_")
        bench.environ |= {f"{stem}_KEY": spec.api_key, f"{stem}_SECRET": spec.api_secret}
        bench.accounts[name] = {
            "venue": f'"{_VENUES[spec.venue]}"',
            "mode": '"sync"',
            "api_key": f'"env:{stem}_KEY"',
            "api_secret": f'"env:{stem}_SECRET"',
            "rest_url": f'"{bench.server.rest_url}"',
            "ws_url": f'"{bench.server.ws_url}"',
            "proxy": f'"{proxies[number // A_PROXY]}"',
        }


async def _ready(bench: Bench, accounts: int) -> None:
    """Every row is in the book, its beginning known, every stream up, and the venue not asked of the past for a while."""
    deadline, quiet_since = time.monotonic() + _READY_S, None
    asked = bench.server.front.journal
    before = _of_the_past(asked)
    while quiet_since is None or time.monotonic() - quiet_since < _QUIET_S:
        await asyncio.sleep(1.0)
        now, ready = _of_the_past(asked), _is_ready(bench, accounts)
        if not ready or now != before:
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time.monotonic()
        before = now
        if time.monotonic() > deadline:
            raise RuntimeError(f"{accounts} accounts were not ready in {_READY_S:.0f} s")


def _of_the_past(journal: Any) -> int:
    return sum(journal.by_path.get(path, 0) for path in _OF_THE_PAST)


def _is_ready(bench: Bench, accounts: int) -> bool:
    if not (bench.folder / "book.db").exists():
        return False
    with sqlite3.connect(f"file:{bench.folder}/book.db?mode=ro", uri=True) as book:
        try:
            [[rows]] = book.execute(
                "SELECT count(*) FROM positions WHERE status = 'active' AND opening_order_id IS NOT NULL"
            )
            states = [
                json.loads(text) for [text] in book.execute("SELECT state FROM account_state WHERE state IS NOT NULL")
            ]
        except sqlite3.OperationalError:
            return False
    return rows == accounts * POSITIONS and sum(state["streams"] == "up" for state in states) == accounts


async def _watched(bench: Bench, pid: int) -> _Cost:
    paths, cpu_s, began = Counter(bench.server.front.journal.by_path), _cpu_s(pid), time.monotonic()
    await asyncio.sleep(WINDOW_S)
    cpu = (_cpu_s(pid) - cpu_s) / (time.monotonic() - began)
    requests = Counter(bench.server.front.journal.by_path)
    requests.subtract(paths)
    with sqlite3.connect(f"file:{bench.folder}/book.db?mode=ro", uri=True) as book:
        states = [json.loads(text) for [text] in book.execute("SELECT state FROM account_state")]
    intervals_s = [state["interval_s"] for state in states]
    return _Cost(
        mib=resident_mib(pid),
        cpu=cpu,
        interval_s=max(intervals_s),
        audits=sum(WINDOW_S / interval_s for interval_s in intervals_s),
        requests=+requests,
    )


async def _plain_instances(count: int) -> float:
    """MiB of one more ccxt instance in a process that has some, markets loaded and positions read, as its users make them."""
    world = build_world(count, POSITIONS, listed=LISTED)
    async with VenueServer(world, history_s=60) as server:
        accounts = [
            [world.look(f"account-{number}").spec.venue, world.look(f"account-{number}").spec.api_key,
             world.look(f"account-{number}").spec.api_secret]
            for number in range(count)
        ]  # fmt: skip
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.plain", server.rest_url,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await program.communicate(json.dumps(accounts).encode())
    return float(out)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
