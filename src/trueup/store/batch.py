"""Statements over many rows at once: written once in SQLAlchemy Core, compiled once, run without its overhead.

1. One statement carries any number of rows: arrays through ``unnest`` on PostgreSQL, one prepared statement executed
   over all rows on SQLite.
2. Ids come back in the order of the rows. SQLite's are counted by us: its write transaction has the file to itself.
3. `run` says how many rows were hit, so that compare-and-set can be judged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice, repeat
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from trueup.store.rows import encoders
from trueup.store.tables import Dialect

__all__ = ["Batch", "Incoming", "InsertBatch", "Statement", "next_ids", "raw", "upsert_batch", "waves"]


@functools.cache
def _compiler(dialect: Dialect) -> sa.Dialect:
    """What compiles statements; the driver's own dialect is imported only where it is used."""
    if dialect == "sqlite":
        return sqlite_dialect.dialect(paramstyle="qmark")
    from sqlalchemy.dialects.postgresql import asyncpg

    return asyncpg.dialect()  # type: ignore[no-untyped-call]


def raw(table: sa.Table, names: Sequence[str]) -> sa.Select[Any]:
    """The columns as the driver gives them, without SQLAlchemy's conversions; documents as text."""
    columns: list[Any] = []
    for name in names:
        column = table.c[name]
        is_document = column.info["kind"] == "document"
        columns.append(sa.cast(column, sa.Text) if is_document else sa.type_coerce(column, sa.types.NullType()))
    return sa.select(*(column.label(name) for column, name in zip(columns, names, strict=True)))


class Statement:
    """A Core statement compiled once for a dialect; parameters go by name."""

    def __init__(self, dialect: Dialect, statement: sa.Executable) -> None:
        compiled: Any = statement.compile(dialect=_compiler(dialect))  # type: ignore[attr-defined]
        self.sql: str = compiled.string
        self.names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._fixed: dict[str, Any] = dict(compiled.params)

    def values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(given[name] if name in given else self._fixed[name] for name in self.names)

    async def run(self, connection: AsyncConnection, **given: Any) -> sa.CursorResult[Any]:
        return await connection.exec_driver_sql(self.sql, self.values(given))


class Incoming:
    """The rows of a batch as SQL expressions, by column name.

    `kinds` maps each name to a column that has its type and its encoding.
    """

    def __init__(self, dialect: Dialect, kinds: Mapping[str, sa.Column[Any]]) -> None:
        self._dialect = dialect
        self._kinds = kinds
        self.rows: Any = None
        if dialect == "postgresql":
            arrays = [sa.bindparam(f"b_{name}", type_=sa.ARRAY(_carried(c))) for name, c in kinds.items()]
            columns = [sa.column(name, _carried(c)) for name, c in kinds.items()]
            self.rows = (
                sa.func.unnest(*arrays)
                .table_valued(*columns, with_ordinality="nth", name="incoming")
                .render_derived(name="incoming")
            )

    def __getitem__(self, name: str) -> Any:
        column = self._kinds[name]
        if self._dialect == "sqlite":
            return sa.bindparam(f"b_{name}", type_=column.type)
        value = self.rows.c[name]
        return sa.cast(value, column.type) if column.info["kind"] == "document" else value


def _carried(column: sa.Column[Any]) -> Any:
    """The type in which a column's values travel: documents as text."""
    return sa.Text() if column.info["kind"] == "document" else column.type


class Batch:
    """One statement over many rows; `build` writes it in terms of the incoming row."""

    def __init__(
        self,
        dialect: Dialect,
        kinds: Mapping[str, sa.Column[Any]],
        build: Callable[[Incoming], sa.Executable],
    ) -> None:
        self.names = tuple(kinds)
        self._dialect = dialect
        known = encoders(dialect)
        self._encode = [known.get(column.info["kind"]) for column in kinds.values()]
        self._statement = Statement(dialect, build(Incoming(dialect, kinds)))
        positions = {f"b_{name}": place for place, name in enumerate(self.names)}
        self._order = [positions.get(name) for name in self._statement.names]

    def _columns(self, rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        """Transposed and encoded."""
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for place, encode in enumerate(self._encode):
            if encode is not None:
                columns[place] = [None if value is None else encode(value) for value in columns[place]]
        return columns

    def _arguments(self, columns: list[Sequence[Any]]) -> list[Any]:
        """The columns in the order of the statement's parameters; its own constants stand for themselves."""
        constants = self._statement.values(dict.fromkeys((f"b_{name}" for name in self.names), None))
        return [constants[nth] if place is None else columns[place] for nth, place in enumerate(self._order)]

    async def run(self, connection: AsyncConnection, rows: Sequence[Sequence[Any]]) -> int:
        """Returns how many rows were written. Each row has a value for each of `names`, in order."""
        if not rows:
            return 0
        arguments = self._arguments(self._columns(rows))
        if self._dialect == "postgresql":
            result = await connection.exec_driver_sql(self._statement.sql, tuple(arguments))
            return result.rowcount
        columns = (
            repeat(value) if place is None else value for value, place in zip(arguments, self._order, strict=True)
        )
        sets = list(islice(zip(*columns, strict=False), len(rows)))
        result = await connection.exec_driver_sql(self._statement.sql, sets)
        return result.rowcount

    async def fetch(self, connection: AsyncConnection, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """Runs a batch whose statement returns rows (PostgreSQL only: SQLite returns none from many executions)."""
        arguments = self._arguments(self._columns(rows))
        result = await connection.exec_driver_sql(self._statement.sql, tuple(arguments))
        return list(result.fetchall())


def _kinds(table: sa.Table, names: Iterable[str]) -> dict[str, sa.Column[Any]]:
    return {name: table.c[name] for name in names}


class InsertBatch:
    """Inserts rows and returns their ids in order; fewer ids than rows: somebody's trigger left some out."""

    def __init__(self, dialect: Dialect, table: sa.Table, names: Sequence[str], *, after: Any = None) -> None:
        self._dialect = dialect
        self._table = table
        carried = ("id", *names) if dialect == "sqlite" else tuple(names)

        def build(incoming: Incoming) -> sa.Executable:
            if dialect == "sqlite":
                return sa.insert(table).values({name: incoming[name] for name in carried})
            source = sa.select(*(incoming[name] for name in names)).select_from(incoming.rows)
            if after is not None:
                source = source.select_from(after)
            return sa.insert(table).from_select(list(names), source.order_by(incoming.rows.c.nth)).returning(table.c.id)

        self._batch = Batch(dialect, _kinds(table, carried), build)

    async def run(self, connection: AsyncConnection, rows: Sequence[Sequence[Any]]) -> list[int]:
        if not rows:
            return []
        if self._dialect == "postgresql":
            # One statement draws its ids from the sequence in the order of its rows.
            return sorted(row[0] for row in await self._batch.fetch(connection, rows))
        first = await next_ids(connection, self._table.name)
        count = await self._batch.run(connection, [(first + nth, *row) for nth, row in enumerate(rows)])
        return list(range(first, first + count))


async def next_ids(connection: AsyncConnection, table: str) -> int:
    """The first free id of an SQLite table, within a write transaction: ids are never used twice."""
    result = await connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
    last = result.scalar()
    return 1 if last is None else int(last) + 1


def upsert_batch(
    dialect: Dialect,
    table: sa.Table,
    names: Sequence[str],
    unique: Sequence[str],
    update: Callable[[sa.Table, Any], Mapping[str, Any]],
    *,
    unique_where: Any = None,
    returning: Sequence[str] = (),
) -> Batch:
    """Inserts rows, or updates those that stand there already: `update(table, excluded)` gives the new values."""

    def build(incoming: Incoming) -> sa.Executable:
        statement: Any
        if dialect == "sqlite":
            statement = sqlite_dialect.insert(table).values({name: incoming[name] for name in names})
        else:
            # Late: loading it takes time, and it is of no use to the other dialect.
            from sqlalchemy.dialects import postgresql

            source = sa.select(*(incoming[name] for name in names)).select_from(incoming.rows)
            statement = postgresql.insert(table).from_select(list(names), source.order_by(incoming.rows.c.nth))
        statement = statement.on_conflict_do_update(
            index_elements=[table.c[name] for name in unique],
            index_where=unique_where,
            set_=dict(update(table, statement.excluded)),
        )
        built: sa.Executable = statement.returning(*(table.c[name] for name in returning)) if returning else statement
        return built

    return Batch(dialect, _kinds(table, names), build)


def waves(rows: Sequence[Sequence[Any]], key: Callable[[Sequence[Any]], object]) -> list[list[Sequence[Any]]]:
    """The rows in groups that name no key twice: PostgreSQL upserts a row only once in a statement."""
    groups: list[list[Sequence[Any]]] = []
    seen: dict[object, int] = {}
    for row in rows:
        nth = seen.get(key(row), -1) + 1
        seen[key(row)] = nth
        if nth == len(groups):
            groups.append([])
        groups[nth].append(row)
    return groups
