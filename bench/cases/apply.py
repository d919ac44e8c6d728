"""A backlog: 1,000 changed positions, from the decided changes to the commit, on PostgreSQL with fsync and on SQLite.

Each position's quantity and entry price change, with the fill that did it and the event that tells it: three tables. Beside
it, in the same run and by turns: one batched statement per table (UPDATE … FROM unnest, INSERT … SELECT FROM unnest) of the
very rows that the commit wrote, on copies of the tables, by the bare driver, its values made beforehand. On SQLite the
reference is `executemany`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg

from bench.figures import Figure
from tests.contract.store.values import LONG, NOW_MS, changes, event, fill, new_position, trade
from tests.support.postgres import PostgresServer
from trueup.model.changes import ChangeSet, UpdatePosition
from trueup.ports import Owner, Store
from trueup.store import open_store, upgrade

POSITIONS, REPEATS = 1_000, 9
_UPDATED = ("quantity", "entry_price", "current_price", "venue_updated_at", "updated_at", "version")


def run() -> list[Figure]:
    figures = []
    for name, measured in (("", _postgresql), ("_sqlite", _sqlite)):
        ours, bare = asyncio.run(measured())
        spread = statistics.quantiles(ours, n=4)
        reference = "one batched statement per table"
        figures += [
            Figure(
                f"apply_1000{name}_ms", POSITIONS, statistics.median(ours), "ms", reference, statistics.median(bare)
            ),
            Figure(f"apply_1000{name}_quartiles_ms", REPEATS, spread[2] - spread[0], "ms"),
        ]
    return figures


async def _opened(store: Store) -> tuple[Owner, dict[int, int]]:
    """A book of positions: row id → version."""
    owner = await store.claim("main", "bench", 600)
    keys = [LONG._replace(symbol=f"COIN{number}/USDT:USDT") for number in range(POSITIONS)]
    done = await store.commit(owner, changes(opens=tuple(new_position(key) for key in keys)))
    return owner, {
        row.position_id: row.version for row in await store.positions() if row.position_id in done.position_ids
    }


def _backlog(versions: dict[int, int], turn: int) -> ChangeSet:
    now = NOW_MS + turn
    return ChangeSet(
        account="main",
        now_ms=now,
        updates=tuple(
            UpdatePosition(
                position_id=position_id,
                version=version,
                quantity=Decimal("0.010") * (turn + 2),
                entry_price=Decimal("50000.10") + turn,
                current_price=Decimal("50100.5") + turn,
                venue_updated_at_ms=now,
            )
            for position_id, version in versions.items()
        ),
        trades=tuple(
            trade(
                position_id=position_id, fill=fill(trade_id=f"{turn}-{position_id}", order_id=f"o{turn}-{position_id}")
            )
            for position_id in versions
        ),
        events=tuple(
            event(position_id=position_id, data={"quantity": "0.02", "was": "0.01"}) for position_id in versions
        ),
    )


async def _by_turns(
    store: Store, reference: Callable[[list[int]], Awaitable[float]]
) -> tuple[list[float], list[float]]:
    """Milliseconds of ours and of the reference, by turns; the first of each only warms up."""
    owner, versions = await _opened(store)
    ours, bare = [], []
    for turn in range(REPEATS + 1):
        backlog = _backlog(versions, turn)
        began = time.perf_counter()
        done = await store.commit(owner, backlog)
        ours.append((time.perf_counter() - began) * 1000)
        versions = {position_id: version + 1 for position_id, version in versions.items()}
        bare.append(await reference(list(done.event_ids)))
    return ours[1:], bare[1:]


async def _postgresql() -> tuple[list[float], list[float]]:
    server = PostgresServer(durable=True)
    try:
        url = server.new_database()
        await upgrade(url)
        store, connection = open_store(url), await asyncpg.connect(url)
        try:
            if await connection.fetchval("SHOW fsync") != "on":
                raise RuntimeError("the server does not wait for the disk: nothing to measure")
            await store.open()
            bare = _BarePostgresql(connection)
            return await _by_turns(store, bare.write)
        finally:
            await connection.close()
            await store.aclose()
    finally:
        server.stop()


class _BarePostgresql:
    """Writes into copies of the tables what a commit wrote."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection
        self._last_trade = 0
        self._ready = False

    async def write(self, event_ids: list[int]) -> float:
        connection = self._connection
        if not self._ready:
            for table in ("positions", "trades", "events"):
                await connection.execute(f"CREATE TABLE public.bench_{table} (LIKE monitoring.{table} INCLUDING ALL)")
            await connection.execute("INSERT INTO public.bench_positions SELECT * FROM monitoring.positions")
            self._ready = True
        update, updated = await self._update()
        trades, traded = await self._insert("trades", "id > $1", self._last_trade)
        events, told = await self._insert("events", "id = ANY($1::bigint[])", event_ids)
        self._last_trade = await connection.fetchval("SELECT max(id) FROM monitoring.trades")
        began = time.perf_counter()
        async with connection.transaction():
            await update.fetch(*updated)
            await trades.fetch(*traded)
            await events.fetch(*told)
        return (time.perf_counter() - began) * 1000

    async def _update(self) -> tuple[Any, list[Any]]:
        names = ("id", *_UPDATED)
        types = await self._types("positions")
        rows = await self._connection.fetch(f"SELECT {', '.join(names)} FROM monitoring.positions ORDER BY id")
        arrays = ", ".join(f"${place}::{types[name]}[]" for place, name in enumerate(names, 1))
        assigned = ", ".join(f"{name} = new.{name}" for name in _UPDATED)
        statement = await self._connection.prepare(
            f"UPDATE public.bench_positions b SET {assigned} FROM unnest({arrays}) AS new({', '.join(names)}) "
            "WHERE b.id = new.id"
        )
        return statement, [[row[name] for row in rows] for name in names]

    async def _insert(self, table: str, where: str, value: object) -> tuple[Any, list[Any]]:
        types = await self._types(table)
        rows = await self._connection.fetch(f"SELECT * FROM monitoring.{table} WHERE {where} ORDER BY id", value)
        arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(types.values(), 1))
        statement = await self._connection.prepare(
            f"INSERT INTO public.bench_{table} ({', '.join(types)}) SELECT * FROM unnest({arrays})"
        )
        return statement, [[row[name] for row in rows] for name in types]

    async def _types(self, table: str) -> dict[str, str]:
        found = await self._connection.fetch(
            "SELECT attname, format_type(atttypid, atttypmod) AS kind FROM pg_attribute "
            "WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            f"monitoring.{table}",
        )
        return {row["attname"]: row["kind"] for row in found}


async def _sqlite() -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "book.db"
        store = open_store(f"sqlite:///{path}")
        await store.open()
        bare = _BareSqlite(path)
        try:
            return await _by_turns(store, bare.write)
        finally:
            bare.close()
            await store.aclose()


class _BareSqlite:
    """The same into copies in a file of their own, with the store's own settings of durability."""

    def __init__(self, path: Path) -> None:
        self._source = sqlite3.connect(path)
        self._target = sqlite3.connect(path.with_name("bare.db"), isolation_level=None)
        self._last_trade = 0
        self._ready = False

    def close(self) -> None:
        self._source.close()
        self._target.close()

    async def write(self, event_ids: list[int]) -> float:
        source, target = self._source, self._target
        if not self._ready:
            target.execute("PRAGMA journal_mode=WAL")
            target.execute("PRAGMA synchronous=FULL")
            for (sql,) in source.execute(
                "SELECT sql FROM sqlite_master WHERE tbl_name IN ('positions', 'trades', 'events') "
                "AND sql IS NOT NULL AND type IN ('table', 'index') ORDER BY type DESC"
            ):
                target.execute(sql)
            rows = source.execute("SELECT * FROM positions").fetchall()
            target.executemany(f"INSERT INTO positions VALUES ({', '.join('?' * len(rows[0]))})", rows)
            self._ready = True
        updated = source.execute(f"SELECT {', '.join(_UPDATED)}, id FROM positions ORDER BY id").fetchall()
        trades = source.execute("SELECT * FROM trades WHERE id > ? ORDER BY id", (self._last_trade,)).fetchall()
        [[self._last_trade]] = source.execute("SELECT max(id) FROM trades").fetchall()
        events = source.execute("SELECT * FROM events WHERE id >= ? ORDER BY id", (min(event_ids),)).fetchall()
        began = time.perf_counter()
        target.execute("BEGIN IMMEDIATE")
        target.executemany(
            f"UPDATE positions SET {', '.join(f'{name} = ?' for name in _UPDATED)} WHERE id = ?", updated
        )
        target.executemany(f"INSERT INTO trades VALUES ({', '.join('?' * len(trades[0]))})", trades)
        target.executemany(f"INSERT INTO events VALUES ({', '.join('?' * len(events[0]))})", events)
        target.execute("COMMIT")
        return (time.perf_counter() - began) * 1000
