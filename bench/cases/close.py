"""How soon an external close is in the book: `trueup run` with 50 open positions, streams up, PostgreSQL with fsync.

The daemon is a process of its own; the venue is served from this one. A position is closed on the venue by somebody else's market
order; the time runs until PostgreSQL says that the closed row is committed (a trigger's NOTIFY comes with the commit, and its
way to this process is counted too). Beside it, in the same run: the stream's own hop (a bare websocket client of the same
account, from the same order to the fill's message) and the bare commit of the same rows (the statements of one close on
copies of the tables, on the same server, by the bare driver).
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from bench.cases.venue import instruments
from bench.figures import Figure
from tests.support.bench import VENUES, Bench
from tests.support.postgres import PostgresServer
from trueup.sim.server import SystemClock, VenueServer
from trueup.sim.world import SkewedClock, World
from trueup.sim.world.types import Venue

POSITIONS, ROUNDS, GAP_S = 50, 4, 0.08
_WITHIN_S = 20.0
_TRIGGER = """
CREATE FUNCTION monitoring.bench_told() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_notify('bench', NEW.symbol || ' ' || NEW.status || ' ' || NEW.id); RETURN NULL; END $$;
CREATE TRIGGER bench_told AFTER INSERT OR UPDATE OF status ON monitoring.positions
    FOR EACH ROW EXECUTE FUNCTION monitoring.bench_told();
"""


@dataclass
class _Run:
    """Milliseconds from the order to the commit, and to the bare client; ids of the closed rows."""

    commits: list[float] = field(default_factory=list)
    hops: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    requests: int = 0


def run() -> list[Figure]:
    figures: list[Figure] = []
    for venue in VENUES:
        figures += asyncio.run(measure(venue, POSITIONS, ROUNDS))
    return figures


async def measure(venue: str, positions: int, rounds: int) -> list[Figure]:
    """The same with other numbers."""
    postgres = PostgresServer(durable=True)
    try:
        seen = await _measured(postgres, venue, positions, rounds)
    finally:
        postgres.stop()
    stem = "close_commit" if venue == "binanceusdm" else f"close_commit_{venue}"
    count = len(seen.commits)
    bare = "the bare commit of the same rows"
    return [
        Figure(f"{stem}_p50_ms", count, _rank(seen.commits, 50), "ms", bare, _rank(seen.bare, 50)),
        Figure(f"{stem}_p99_ms", count, _rank(seen.commits, 99), "ms", bare, _rank(seen.bare, 99)),
        Figure(f"{stem}_hop_p50_ms", count, _rank(seen.hops, 50), "ms"),
        Figure(f"{stem}_hop_p99_ms", count, _rank(seen.hops, 99), "ms"),
        Figure(f"{stem}_requests", count, seen.requests / count, "a close"),
    ]


def _rank(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


async def _measured(postgres: PostgresServer, venue: str, positions: int, rounds: int) -> _Run:
    clock = SkewedClock(SystemClock())
    world = World(clock, 7, instruments(positions, clock.now_ms()))
    url = postgres.new_database()
    with tempfile.TemporaryDirectory() as folder:
        async with VenueServer(world) as server:
            bench = Bench(Path(folder), world, server, url)
            name = bench.account("main", venue, "sync")
            bench.sync["audit_interval_s"] = "30"
            done = await bench.run("db", "upgrade")
            if done.code:
                raise RuntimeError(f"db upgrade: exit {done.code}\n{done.err}")
            connection = await asyncpg.connect(url)
            try:
                if await connection.fetchval("SHOW fsync") != "on":
                    raise RuntimeError("the server does not wait for the disk: nothing to measure")
                await connection.execute(_TRIGGER)
                return await _with_daemon(bench, connection, name, positions, rounds)
            finally:
                await connection.close()


async def _with_daemon(
    bench: Bench, connection: asyncpg.Connection[Any], name: str, positions: int, rounds: int
) -> _Run:
    symbols = [spec.symbol for spec in bench.world.instruments(VENUES[_venue(bench, name)])][:positions]
    book = _Book()
    await connection.add_listener("bench", book.told)
    for symbol in symbols:
        bench.world.open_position(name, symbol, "long", Decimal("0.5"))
    run = _Run()
    async with bench.daemon(), aiohttp.ClientSession() as session, _Ear(bench, session, name) as ear:
        for _ in range(rounds):
            for symbol in symbols:
                if not bench.world.look(name).positions(symbol):
                    bench.world.open_position(name, symbol, "long", Decimal("0.5"))
            await book.all_active(len(symbols))
            await _settled(bench, connection)
            before = bench.server.front.journal.total
            for symbol in symbols:
                await _one_close(bench, name, symbol, book, ear, run)
                await asyncio.sleep(GAP_S)
            run.requests += bench.server.front.journal.total - before
    run.bare = await _bare_commits(connection, len(run.commits))
    return run


def _venue(bench: Bench, name: str) -> str:
    return bench.accounts[name]["venue"].strip('"')


async def _settled(bench: Bench, connection: asyncpg.Connection[Any]) -> None:
    """Until the daemon has looked at what was opened and asks for nothing more."""
    before = -1
    while before != bench.server.front.journal.total:
        before = bench.server.front.journal.total
        await asyncio.sleep(1.0)


async def _one_close(bench: Bench, name: str, symbol: str, book: _Book, ear: _Ear, run: _Run) -> None:
    committed, heard = book.closing(symbol), ear.hearing(symbol)
    began = time.perf_counter()
    bench.world.close_position(name, symbol, "long")
    try:
        async with asyncio.timeout(_WITHIN_S):
            run.commits.append((await committed - began) * 1000)
            run.hops.append((await heard - began) * 1000)
    except TimeoutError:
        raise RuntimeError(f"{symbol}: not in the book within {_WITHIN_S:.0f} s\n{bench.run_log_end()}") from None


class _Book:
    """What PostgreSQL tells of the positions table."""

    def __init__(self) -> None:
        self._active: set[str] = set()
        self._changed = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[float]] = {}

    def told(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        at = time.perf_counter()
        symbol, status, _ = str(payload).split(" ")
        (self._active.add if status == "active" else self._active.discard)(symbol)
        waiting = self._waiting.pop(_plain(symbol), None) if status == "closed" else None
        if waiting is not None:
            waiting.set_result(at)
        self._changed.set()

    def closing(self, symbol: str) -> asyncio.Future[float]:
        self._waiting[symbol] = asyncio.get_running_loop().create_future()
        return self._waiting[symbol]

    async def all_active(self, count: int) -> None:
        async with asyncio.timeout(120):
            while len(self._active) < count:
                self._changed.clear()
                await self._changed.wait()


def _plain(unified: str) -> str:
    return unified.partition(":")[0].replace("/", "")


class _Ear:
    """A bare websocket client of the account's private stream: when the message of a fill is there."""

    def __init__(self, bench: Bench, session: aiohttp.ClientSession, name: str) -> None:
        self._bench, self._session, self._name = bench, session, name
        self._waiting: dict[str, asyncio.Future[float]] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Ear:
        venue: Venue = VENUES[_venue(self._bench, self._name)]
        self._socket = await self._session.ws_connect(await self._url(venue))
        if venue == "bybit":
            await self._log_in(self._socket)
        self._reading = asyncio.create_task(self._read(self._socket))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reading is not None
        assert self._socket is not None
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        await self._socket.close()

    def hearing(self, symbol: str) -> asyncio.Future[float]:
        self._waiting[symbol] = asyncio.get_running_loop().create_future()
        return self._waiting[symbol]

    async def _url(self, venue: Venue) -> str:
        if venue == "bybit":
            return f"{self._bench.server.ws_url}/v5/private"
        headers = {"X-MBX-APIKEY": self._bench.environ["MAIN_KEY"]}
        async with self._session.post(f"{self._bench.server.rest_url}/fapi/v1/listenKey", headers=headers) as answer:
            key = (await answer.json())["listenKey"]
        return f"{self._bench.server.ws_url}/private/ws?listenKey={key}"

    async def _log_in(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        import hashlib
        import hmac

        expires = self._bench.world.now_ms() + 10_000
        secret = self._bench.environ["MAIN_SECRET"].encode()
        signature = hmac.new(secret, f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
        await socket.send_json({"op": "auth", "args": [self._bench.environ["MAIN_KEY"], expires, signature]})
        await socket.receive()
        await socket.send_json({"op": "subscribe", "args": ["execution"]})
        await socket.receive()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            at = time.perf_counter()
            told = json.loads(message.data)
            rows = [told["o"]] if told.get("e") == "ORDER_TRADE_UPDATE" and told["o"]["x"] == "TRADE" else []
            if told.get("topic") == "execution":
                rows = told["data"]
            for row in rows:
                waiting = self._waiting.pop(row.get("s") or row["symbol"], None)
                if waiting is not None:
                    waiting.set_result(at)


_TABLES = ("orders", "trades", "events", "effects", "observations")


async def _bare_commits(connection: asyncpg.Connection[Any], count: int) -> list[float]:
    """Milliseconds of one transaction with the very rows of a close: one update, the rest inserts, on copies."""
    for table in ("positions", *_TABLES):
        await connection.execute(f"CREATE TABLE public.bench_{table} (LIKE monitoring.{table} INCLUDING ALL)")
    ids = [
        row["id"]
        for row in await connection.fetch(
            "SELECT id FROM monitoring.positions WHERE status = 'closed' ORDER BY id LIMIT $1", count
        )
    ]
    taken = []
    for position_id in ids:
        taken.append(await _one_bare(connection, position_id))
    return taken


async def _one_bare(connection: asyncpg.Connection[Any], position_id: int) -> float:
    closed = await connection.fetchrow("SELECT * FROM monitoring.positions WHERE id = $1", position_id)
    rows = {table: await _rows_of_close(connection, table, position_id) for table in _TABLES}
    insert = _insert("positions", list(closed.keys()))
    await connection.execute(insert, *closed.values())
    columns = [name for name in closed.keys() if name not in ("id", "account", "symbol", "side")]  # noqa: SIM118
    assigned = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 2))
    update = await connection.prepare(f"UPDATE public.bench_positions SET {assigned} WHERE id = $1")
    inserts = {
        table: (await connection.prepare(_insert(table, list(found[0].keys()))), [tuple(row.values()) for row in found])
        for table, found in rows.items()
        if found
    }
    values = [closed[name] for name in columns]
    began = time.perf_counter()
    async with connection.transaction():
        await update.fetch(position_id, *values)
        for statement, found in inserts.values():
            await statement.executemany(found)
    return (time.perf_counter() - began) * 1000


async def _rows_of_close(connection: asyncpg.Connection[Any], table: str, position_id: int) -> list[Any]:
    """What the transaction of the close inserted: the exit order, the closing fill, its events, effects and observation."""
    only = {
        "orders": "AND is_exit",
        "trades": "AND NOT opening",
        "events": "AND type IN ('PHANTOM_POSITION_DETECTED', 'PHANTOM_POSITION_CLOSED', 'POSITION_CLOSED')",
        "observations": "AND id = (SELECT min(id) FROM monitoring.observations WHERE position_id = $1)",
    }.get(table, "")
    found: list[Any] = await connection.fetch(
        f"SELECT * FROM monitoring.{table} WHERE position_id = $1 {only}", position_id
    )
    return found


def _insert(table: str, columns: list[str]) -> str:
    places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
    return f"INSERT INTO public.bench_{table} ({', '.join(columns)}) VALUES ({places})"
