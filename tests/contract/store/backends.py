"""The three stores behind one handle: open another connection to the same book, insert a bot's row, run raw SQL."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from trueup.ports import Store
from trueup.store import MemoryDatabase, MemoryStore, open_store

__all__ = ["BOT_COLUMNS", "Backend", "MemoryBackend", "PostgresqlBackend", "SqlBackend", "SqliteBackend", "Ticking"]

BOT_COLUMNS: Mapping[str, Any] = {
    "account": "main",
    "exchange": "binance",
    "symbol": "HIGHUSDT",
    "side": "long",
    "entry_price": "1.50",
    "quantity": "10",
    "status": "active",
    "created_at": "2026-01-01 12:00:00",
    "updated_at": "2026-01-01 12:00:00",
}
"""Exactly what the contract says suffices."""


class Ticking:
    """A clock of the database that a test moves."""

    def __init__(self) -> None:
        self.now_ms = 1_767_000_000_000

    def __call__(self) -> int:
        return self.now_ms


class Backend(Protocol):
    async def store(self) -> Store:
        """An opened store; each is another process to the database. Closed by the fixture."""
        ...

    async def insert_bot_row(self, **columns: Any) -> int:
        """`BOT_COLUMNS` and these, as a bot would insert them; returns the row's id."""
        ...

    async def aclose(self) -> None: ...


class MemoryBackend:
    def __init__(self) -> None:
        self.clock = Ticking()
        self._database = MemoryDatabase(self.clock)

    async def store(self) -> Store:
        return MemoryStore(self._database)

    async def insert_bot_row(self, **columns: Any) -> int:
        return self._database.insert_row({**BOT_COLUMNS, **columns})

    async def aclose(self) -> None:
        """Nothing to close."""


class SqlBackend:
    """What the real ones share."""

    url: str

    def __init__(self) -> None:
        self._stores: list[Store] = []

    async def store(self) -> Store:
        store = open_store(self.url)
        self._stores.append(store)
        await store.open()
        return store

    async def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Runs one statement as another program would; ``{s}`` stands for the schema, ``?`` for values."""
        raise NotImplementedError

    async def insert_bot_row(self, **columns: Any) -> int:
        row = {**BOT_COLUMNS, **columns}
        marks = ", ".join("?" * len(row))
        names = ", ".join(row)
        inserted = await self.sql(f"INSERT INTO {{s}}positions ({names}) VALUES ({marks}) RETURNING id", *row.values())
        return int(inserted[0][0])

    async def aclose(self) -> None:
        for store in self._stores:
            await store.aclose()


class SqliteBackend(SqlBackend):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "book.db"
        self.url = f"sqlite:///{self.path}"

    async def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            connection.execute("PRAGMA foreign_keys=ON")
            rows = connection.execute(text.format(s=""), values).fetchall()
            connection.commit()
        finally:
            connection.close()
        return rows


class PostgresqlBackend(SqlBackend):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    async def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        numbers = itertools.count(1)
        sql = "".join(part if part != "?" else f"${next(numbers)}" for part in _split(text.format(s="monitoring.")))
        connection = await asyncpg.connect(self.url)
        try:
            # Values travel as text, as an SQL literal would: the server reads them by the column's type.
            for name in ("numeric", "timestamptz", "timestamp", "int8", "int4", "bool", "float8"):
                await connection.set_type_codec(name, schema="pg_catalog", encoder=_literal, decoder=str, format="text")
            return [tuple(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()


def _literal(value: object) -> str:
    return str(value)


def _split(text: str) -> list[str]:
    parts: list[str] = []
    for nth, piece in enumerate(text.split("?")):
        parts += [piece] if nth == 0 else ["?", piece]
    return parts
