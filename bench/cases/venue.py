"""The served venue with 1,000 accounts of 20 positions each: memory, time to build it, requests per second.

The load comes from another process over real sockets: signed requests for one account's positions after the other's,
over eight connections that stay open. The reference is a bare aiohttp server in the same process that answers the same
bytes to the same client.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web

from bench.figures import Figure
from bench.load import read_answer
from bench.machine import resident_mib
from trueup.sim import binance, bybit
from trueup.sim.server import SystemClock, VenueServer
from trueup.sim.wire import Wire
from trueup.sim.world import SkewedClock, World
from trueup.sim.world.account import AccountSpec
from trueup.sim.world.instruments import perpetual
from trueup.sim.world.types import InstrumentSpec, Venue

ACCOUNTS, POSITIONS, SECONDS = 1_000, 20, 5.0
_VENUES: tuple[Venue, ...] = ("binance", "bybit")
_WINDOW_MS = 60_000


def run() -> list[Figure]:
    return measure(ACCOUNTS, POSITIONS, SECONDS)


def measure(accounts: int, positions: int, seconds: float) -> list[Figure]:
    """The same with other numbers; `seconds` is how long each wire is asked."""
    before_mib, started = resident_mib(), time.perf_counter()
    world = build_world(accounts, positions)
    built_s, used_mib = time.perf_counter() - started, resident_mib() - before_mib
    held = accounts * positions
    figures = [
        Figure("venue_build_s", held, built_s, "s"),
        Figure("venue_mib", held, used_mib, "MiB", "the process without the world", before_mib),
        Figure("venue_account_kib", accounts, used_mib * 1024 / accounts, "KiB"),
    ]
    return figures + asyncio.run(_ask(world, positions, seconds))


def build_world(accounts: int, positions: int, listed: int = 0) -> World:
    """Half of the accounts on each venue; every position was opened by a market order, with its fill and its fee.

    `listed`: how many contracts each venue lists, if more than there are positions.
    """
    clock = SkewedClock(SystemClock())
    world = World(clock, 7, instruments(max(positions, listed), clock.now_ms()))
    symbols = [spec.symbol for spec in world.instruments("binance")][:positions]
    for number in range(accounts):
        name = f"account-{number}"
        world.add_account(name, _VENUES[number % 2])
        for place, symbol in enumerate(symbols):
            world.open_position(name, symbol, "long" if (number + place) % 2 else "short", Decimal("0.01"))
    return world


def instruments(count: int, start_ms: int) -> list[InstrumentSpec]:
    """That many perpetuals in USDT on each venue, under the same names."""
    listed = []
    for venue in _VENUES:
        model = perpetual(venue, "ETH", start_ms=start_ms)
        for number in range(count):
            base = f"COIN{number:02d}"
            listed.append(replace(model, symbol=f"{base}USDT", unified=f"{base}/USDT:USDT", base=base))
    return listed


@dataclass(frozen=True)
class _Subject:
    """What is asked: raw requests of every account, and what an answer must have."""

    venue: Venue
    request: Callable[[AccountSpec, int], bytes]
    rows: Callable[[Any], list[Any]]


async def _ask(world: World, positions: int, seconds: float) -> list[Figure]:
    wires: list[Wire] = [
        binance.build_wire(world, binance.LimitPolicy(weight_per_minute=10**9)),
        bybit.build_wire(world, bybit.LimitPolicy(ip_requests=None, per_account=False)),
    ]
    figures = []
    for subject in (
        _Subject("binance", _binance_request, lambda answer: answer),
        _Subject("bybit", _bybit_request, lambda answer: answer["result"]["list"]),
    ):
        async with VenueServer(world, wires=wires) as server:
            accounts = world.accounts(subject.venue)
            requests = [subject.request(account, world.now_ms()) for account in accounts]
            status, headers, body = await _one(server.rest_url, requests[0])
            rows = subject.rows(json.loads(body))
            if status != 200 or len(rows) != positions:
                raise RuntimeError(f"{subject.venue} answers {status} with {len(rows)} rows: {body[:200]!r}")
            count, rate = await _load(server.rest_url, requests, seconds)
        async with _bare(headers, body) as url:
            _, bare_rate = await _load(url, requests, seconds)
        reference = f"bare aiohttp server, same {len(body) / 1024:.1f} KiB"
        figures.append(Figure(f"venue_{subject.venue}_positions_rps", count, rate, "1/s", reference, bare_rate))
    return figures


def _http(path: str, headers: dict[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _signature(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _binance_request(account: AccountSpec, now_ms: int) -> bytes:
    query = f"timestamp={now_ms}&recvWindow={_WINDOW_MS}"
    path = f"/fapi/v3/positionRisk?{query}&signature={_signature(account.api_secret, query)}"
    return _http(path, {"X-MBX-APIKEY": account.api_key})


def _bybit_request(account: AccountSpec, now_ms: int) -> bytes:
    query = "category=linear&settleCoin=USDT&limit=200"
    signature = _signature(account.api_secret, f"{now_ms}{account.api_key}{_WINDOW_MS}{query}")
    headers = {
        "X-BAPI-API-KEY": account.api_key,
        "X-BAPI-TIMESTAMP": str(now_ms),
        "X-BAPI-RECV-WINDOW": str(_WINDOW_MS),
        "X-BAPI-SIGN": signature,
    }
    return _http(f"/v5/position/list?{query}", headers)


async def _one(url: str, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """One answer: status, headers and body."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    status, headers, body = await read_answer(reader)
    writer.close()
    await writer.wait_closed()
    return status, headers, body


async def _load(url: str, requests: list[bytes], seconds: float) -> tuple[int, float]:
    """Asks from another process; how many answers came, and how many a second."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.load", url, _written(folder, requests), str(seconds)]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        told, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load on {url} ended with {process.returncode}")
    done = json.loads(told)
    return int(done["count"]), done["count"] / done["seconds"]


def _written(folder: str, requests: list[bytes]) -> str:
    file = Path(folder, "requests.json")
    file.write_text(json.dumps([request.decode() for request in requests]), encoding="utf-8")
    return str(file)


@asynccontextmanager
async def _bare(headers: dict[str, str], body: bytes) -> AsyncIterator[str]:
    """A server that answers these bytes to everything."""
    sent = {name: value for name, value in headers.items() if name.lower() not in ("content-length", "date", "server")}

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, headers=sent)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
