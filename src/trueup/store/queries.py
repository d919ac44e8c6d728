"""What is read from a store: the book, its log, and what waits.

Each function is one statement and sees one moment. Rows that cannot be read are listed by `active` and left out by
`positions`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from trueup.model.changes import ActiveBook, RecordedOrder, RecordedTrade, UnreadableRow
from trueup.model.decimals import optional_decimal
from trueup.model.effects import Effect, EffectKind, EffectState
from trueup.model.errors import ConfigurationError, Unreadable
from trueup.model.events import Event, Severity
from trueup.model.holds import Hold, HoldKind, HoldState, Mark, MarkKind
from trueup.model.orders import Side
from trueup.model.positions import Position, PositionKey
from trueup.model.trailing import TrailingPhase, TrailingRecord, TrailingState
from trueup.model.values import from_json
from trueup.ports import Record, StoredObservation
from trueup.store.batch import Statement, raw
from trueup.store.database import Database
from trueup.store.limits import STATUSES
from trueup.store.rows import (
    POSITION_COLUMNS,
    encoders,
    read_document,
    read_instant,
    read_order,
    read_position,
    read_trade,
    unreadable,
)
from trueup.store.statements import statements_for
from trueup.store.tables import Dialect, tables_for

__all__ = [
    "active",
    "count_events",
    "effects",
    "events",
    "holds",
    "marks",
    "observations_of",
    "orders_of",
    "position",
    "positions",
    "record_of",
    "recorded_orders",
    "trades_of",
    "trailing",
]


async def _fetch(database: Database, doing: str, query: sa.Select[Any]) -> Sequence[Any]:
    async with database.read(doing) as connection:
        rows: Sequence[Any] = (await connection.execute(query)).fetchall()
        return rows


@functools.cache
def _by(
    dialect: Dialect, table: str, names: tuple[str, ...], equal: tuple[str, ...], states: tuple[str, ...]
) -> Statement:
    """Rows of a table, by what some columns equal (and `since_ms`, when they were created at least), in order of their ids."""
    found: sa.Table = getattr(tables_for(dialect), table)
    where: list[Any] = [found.c[name] == sa.bindparam(name) for name in equal if name != "since_ms"]
    if "since_ms" in equal:
        where.append(found.c.created_at_ms >= sa.bindparam("since_ms", type_=sa.BigInteger()))
    if states:
        where.append(found.c.state.in_([sa.literal_column(f"'{state}'") for state in states]))
    return Statement(dialect, raw(found, names).where(*where).order_by(found.c.id))


async def _rows(
    database: Database,
    doing: str,
    table: str,
    names: tuple[str, ...],
    states: Sequence[EffectState | HoldState] = (),
    **equal: Any,
) -> Sequence[Any]:
    """Those whose columns equal what is given; None: any."""
    given = {name: value for name, value in equal.items() if value is not None}
    among = tuple(sorted(state.value for state in states))
    return await _known(database, doing, _by(database.dialect, table, names, tuple(given), among), **given)


async def _known(database: Database, doing: str, statement: Statement, **given: Any) -> Sequence[Any]:
    """The rows of one that was compiled before."""
    return await database.rows(doing, statement.sql, statement.values(given))


async def active(database: Database, account: str) -> ActiveBook:
    """See `trueup.ports.Store.active`."""
    statement = statements_for(database.dialect).active
    found: list[Position] = []
    problems: list[UnreadableRow] = []
    for row in await _known(database, f"reading the book of account {account!r}", statement, account=account):
        try:
            found.append(read_position(row))
        except Unreadable as problem:
            problems.append(unreadable(row, problem))
    return ActiveBook(positions=tuple(found), unreadable=tuple(problems))


async def positions(database: Database, status: str, account: str | None) -> list[Position]:
    """See `trueup.ports.Store.positions`."""
    if status not in STATUSES:
        raise ConfigurationError(f"positions: status must be one of {', '.join(STATUSES)}, found {status!r}")
    wanted = None if status == "all" else status
    found = []
    for row in await _rows(database, "reading the book", "positions", POSITION_COLUMNS, account=account, status=wanted):
        try:
            found.append(read_position(row))
        except Unreadable:
            continue
    return found


async def position(database: Database, position_id: int) -> Position | None:
    """See `trueup.ports.Store.position`; an unreadable row raises `Unreadable`."""
    statement = statements_for(database.dialect).position
    rows = await _known(database, f"reading position {position_id}", statement, position=position_id)
    return read_position(rows[0]) if rows else None


async def orders_of(database: Database, position_id: int) -> list[RecordedOrder]:
    statement = statements_for(database.dialect).orders_of
    doing = f"reading the orders of position {position_id}"
    return [read_order(row) for row in await _known(database, doing, statement, position=position_id)]


async def record_of(database: Database, position_id: int) -> Record | None:
    """See `trueup.ports.Store.record_of`: over one connection, whose taking costs as much as a statement."""
    known = statements_for(database.dialect)
    async with database.read(f"reading what is recorded of position {position_id}") as connection:
        row = (await known.position.run(connection, position=position_id)).fetchone()
        if row is None:
            return None
        position = read_position(row)
        orders = (await known.orders_of.run(connection, position=position_id)).fetchall()
        trades = (await known.trades_of.run(connection, position=position_id)).fetchall()
        paused = (await known.paused.run(connection, account=position.account)).scalar()
    return Record(
        row=position,
        orders=tuple(map(read_order, orders)),
        trades=tuple(map(read_trade, trades)),
        paused=bool(paused),
    )


async def recorded_orders(database: Database, account: str) -> list[RecordedOrder]:
    """See `trueup.ports.Store.recorded_orders`: an order counts as open until it is recorded as something else."""
    statement = statements_for(database.dialect).recorded_orders
    doing = f"reading the recorded orders of account {account!r}"
    return [read_order(row) for row in await _known(database, doing, statement, account=account)]


async def trades_of(database: Database, position_id: int) -> list[RecordedTrade]:
    statement = statements_for(database.dialect).trades_of
    rows = await _known(database, f"reading the trades of position {position_id}", statement, position=position_id)
    return [read_trade(row) for row in rows]


async def events(
    database: Database,
    *,
    account: str | None,
    position_id: int | None,
    kind: str | None,
    after_id: int,
    limit: int | None,
) -> list[Event]:
    """See `trueup.ports.Store.events`."""
    table = database.tables.events
    names = ("id", "at", "type", "severity", "account", "symbol", "position_id", "data")
    where: list[Any] = [table.c.id > after_id]
    if account is not None:
        where.append(table.c.account == account)
    if position_id is not None:
        where.append(table.c.position_id == position_id)
    if kind is not None:
        where.append(table.c.type == kind)
    query = raw(table, names).where(*where).order_by(table.c.id.desc() if limit is not None else table.c.id)
    rows = await _fetch(database, "reading the events", query if limit is None else query.limit(limit))
    found = [
        Event(
            event_id=row[0],
            at_ms=read_instant(row[1], f"events row {row[0]}, column at"),
            type=row[2],
            severity=Severity(row[3]),
            account=row[4],
            symbol=row[5],
            position_id=row[6],
            data=read_document(row[7]),
        )
        for row in rows
    ]
    return found if limit is None else found[::-1]


async def count_events(database: Database, kind: str, account: str, since_ms: int) -> int:
    table = database.tables.events
    encode = encoders(database.dialect)["instant"]
    query = sa.select(sa.func.count()).where(
        table.c.account == account, table.c.type == kind, table.c.at >= encode(since_ms)
    )
    return int((await _fetch(database, "counting events", query))[0][0])


async def observations_of(database: Database, position_id: int | None, since_ms: int) -> list[StoredObservation]:
    table = database.tables.observations
    names = ("id", "account", "position_id", "at_ms", "name", "input", "output")
    query = raw(table, names).where(table.c.at_ms >= since_ms).order_by(table.c.id)
    if position_id is not None:
        query = query.where(table.c.position_id == position_id)
    return [
        StoredObservation(
            observation_id=row[0],
            account=row[1],
            position_id=row[2],
            at_ms=row[3],
            name=row[4],
            input=row[5],
            output=row[6],
        )
        for row in await _fetch(database, "reading the observations", query)
    ]


async def effects(
    database: Database, account: str | None, states: Sequence[EffectState], kind: EffectKind | None, since_ms: int
) -> list[Effect]:
    names = (
        "id",
        "account",
        "kind",
        "dedup_key",
        "payload",
        "position_id",
        "state",
        "attempts",
        "next_attempt_at_ms",
        "created_at_ms",
        "done_at_ms",
        "outcome",
        "last_error",
    )
    equal = {"account": account, "kind": kind.value if kind is not None else None, "since_ms": since_ms or None}
    return [
        Effect(
            effect_id=row[0],
            account=row[1],
            kind=EffectKind(row[2]),
            dedup_key=row[3],
            payload=row[4],
            position_id=row[5],
            state=EffectState(row[6]),
            attempts=row[7],
            next_attempt_at_ms=row[8],
            created_at_ms=row[9],
            done_at_ms=row[10],
            outcome=row[11],
            last_error=row[12],
        )
        for row in await _rows(database, "reading the effects", "effects", names, states, **equal)
    ]


async def holds(database: Database, account: str | None, states: Sequence[HoldState]) -> list[Hold]:
    names = (
        "id",
        "account",
        "kind",
        "state",
        "fingerprint",
        "keys",
        "position_ids",
        "summary",
        "data",
        "raised_at_ms",
        "decided_at_ms",
        "note",
    )
    return [
        Hold(
            hold_id=row[0],
            account=row[1],
            kind=HoldKind(row[2]),
            state=HoldState(row[3]),
            fingerprint=row[4],
            keys=from_json(row[5], tuple[tuple[str, Side], ...]),
            position_ids=from_json(row[6], tuple[int, ...]),
            summary=row[7],
            data=read_document(row[8]),
            raised_at_ms=row[9],
            decided_at_ms=row[10],
            note=row[11],
        )
        for row in await _rows(database, "reading the holds", "holds", names, states, account=account)
    ]


async def marks(database: Database, account: str) -> list[Mark]:
    table = database.tables.marks
    names = ("symbol", "side", "kind", "first_at_ms", "last_as_of_ms", "count", "detail")
    ordered = raw(table, names).where(table.c.account == account)
    rows = await _fetch(
        database,
        f"reading the marks of account {account!r}",
        ordered.order_by(table.c.first_at_ms, table.c.symbol, table.c.side, table.c.kind),
    )
    return [
        Mark(
            key=PositionKey(account, row[0], Side(row[1])),
            kind=MarkKind(row[2]),
            first_at_ms=row[3],
            last_as_of_ms=row[4],
            count=row[5],
            detail=row[6],
        )
        for row in rows
    ]


async def trailing(database: Database, account: str) -> list[TrailingRecord]:
    """See `trueup.ports.Store.trailing`."""
    statement = statements_for(database.dialect).trailing_of
    rows = await _known(database, f"reading the trailing stops of account {account!r}", statement, account=account)
    return [
        TrailingRecord(
            position_id=row[0],
            state=TrailingState(
                phase=TrailingPhase(row[1]),
                peak_price=optional_decimal(row[2], f"trailing of position {row[0]}: peak_price"),
                trigger_price=optional_decimal(row[3], f"trailing of position {row[0]}: trigger_price"),
                moved_at_ms=row[4],
            ),
            saved_at_ms=row[5],
        )
        for row in rows
    ]
