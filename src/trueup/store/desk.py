"""The smaller tables: pins, pauses, the accounts' last states, and requests of commands to the owning process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from trueup.model.errors import InvariantBroken
from trueup.model.observations import Identity
from trueup.model.times import DAY_MS
from trueup.ports import Owner, Request, Standing, Waiting
from trueup.store.commit import fence
from trueup.store.database import Database
from trueup.store.limits import REQUEST_DAYS
from trueup.store.statements import statements_for

__all__ = [
    "account_states",
    "answer",
    "ask",
    "is_paused",
    "pin_of",
    "request",
    "set_account_states",
    "set_paused",
    "set_pin",
    "standing",
    "take_requests",
    "waiting",
]


def _upsert(database: Database, table: sa.Table, values: dict[str, Any]) -> Any:
    """Insert, or replace the given columns of the row with that account."""
    if database.dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    changed = {name: value for name, value in values.items() if name != "account"}
    return insert(table).values(**values).on_conflict_do_update(index_elements=[table.c.account], set_=changed)


async def pin_of(database: Database, account: str) -> Identity | None:
    pins = database.tables.pins
    async with database.read(f"reading the pin of account {account!r}") as connection:
        query = sa.select(pins.c.fingerprint, pins.c.strength).where(pins.c.account == account)
        row = (await connection.execute(query)).first()
    return None if row is None else Identity(fingerprint=row[0], strength=row[1])


async def set_pin(database: Database, owner: Owner, identity: Identity | None, at_ms: int) -> None:
    """Pins the account to a venue account under the owner's epoch; None takes the pin away."""
    pins = database.tables.pins
    async with database.write(f"pinning account {owner.account!r}") as connection:
        await fence(connection, statements_for(database.dialect), owner)
        if identity is None:
            await connection.execute(sa.delete(pins).where(pins.c.account == owner.account))
            return
        values = {"fingerprint": identity.fingerprint, "strength": identity.strength, "at_ms": at_ms}
        await connection.execute(_upsert(database, pins, {"account": owner.account, **values}))


async def set_paused(database: Database, account: str, paused: bool, at_ms: int) -> None:
    values = {"account": account, "paused": paused, "paused_at_ms": at_ms}
    async with database.write(f"pausing account {account!r}") as connection:
        await connection.execute(_upsert(database, database.tables.account_state, values))


async def is_paused(database: Database, account: str) -> bool:
    states = database.tables.account_state
    async with database.read(f"reading whether account {account!r} is paused") as connection:
        row = (await connection.execute(sa.select(states.c.paused).where(states.c.account == account))).first()
    return row is not None and bool(row[0])


async def standing(database: Database, account: str) -> Standing:
    statement = statements_for(database.dialect).standing
    doing = f"reading what stands of account {account!r}"
    [row] = await database.rows(doing, statement.sql, statement.values({"account": account}))
    return Standing(
        paused=bool(row[0]),
        pin=Identity(fingerprint=row[1], strength=row[2]) if row[1] is not None else None,
        marks=row[3],
        holds=row[4],
        orders=row[5],
        effects=row[6],
        trailing=row[7],
    )


async def set_account_states(database: Database, states: Mapping[str, tuple[str, int]]) -> None:
    rows = [(account, *state) for account, state in states.items()]
    async with database.write(f"writing the states of {len(rows)} accounts") as connection:
        await statements_for(database.dialect).account_state.run(connection, rows)


async def account_states(database: Database, account: str | None) -> dict[str, tuple[str, int]]:
    states = database.tables.account_state
    query = sa.select(states.c.account, states.c.state, states.c.at_ms).where(states.c.state.is_not(None))
    if account is not None:
        query = query.where(states.c.account == account)
    async with database.read("reading the accounts' states") as connection:
        return {row[0]: (row[1], row[2]) for row in await connection.execute(query.order_by(states.c.account))}


async def ask(database: Database, account: str, kind: str, payload: str, at_ms: int) -> int:
    """Leaves a request; answers older than `REQUEST_DAYS` are cleared away on the way."""
    requests = database.tables.requests
    async with database.write(f"asking the owner of account {account!r}") as connection:
        stale = sa.and_(requests.c.state == "done", requests.c.answered_at_ms < at_ms - REQUEST_DAYS * DAY_MS)
        await connection.execute(sa.delete(requests).where(stale))
        values = {"account": account, "kind": kind, "payload": payload, "created_at_ms": at_ms, "state": "open"}
        key = (await connection.execute(sa.insert(requests).values(**values))).inserted_primary_key
    if key is None:
        raise InvariantBroken("the database gave no id for a request")
    return int(key[0])


async def waiting(database: Database, now_ms: int) -> Waiting:
    """See `trueup.ports.Store.waiting`."""
    statement = statements_for(database.dialect).waiting
    doing = "reading which accounts somebody waits for"
    rows = await database.rows(doing, statement.sql, statement.values({"now": now_ms}))
    return Waiting(
        requests=frozenset(row[1] for row in rows if row[0] == 0),
        notices=frozenset(row[1] for row in rows if row[0] == 1),
    )


async def take_requests(database: Database, owner: Owner) -> list[Request]:
    """See `trueup.ports.Store.take_requests`."""
    requests = database.tables.requests
    async with database.write(f"taking the requests of account {owner.account!r}") as connection:
        await fence(connection, statements_for(database.dialect), owner)
        left = sa.or_(requests.c.state == "open", requests.c.taken_epoch != owner.epoch)
        waiting = sa.and_(requests.c.account == owner.account, requests.c.state != "done", left)
        taken = sa.update(requests).values(state="taken", taken_epoch=owner.epoch).where(waiting)
        rows = (await connection.execute(taken.returning(*_request_columns(requests)))).fetchall()
    return [_request(row) for row in sorted(rows)]


def _request_columns(requests: sa.Table) -> list[sa.Column[Any]]:
    names = ("id", "account", "kind", "payload", "created_at_ms", "state", "result")
    return [requests.c[name] for name in names]


def _request(row: Any) -> Request:
    return Request(
        request_id=row[0],
        account=row[1],
        kind=row[2],
        payload=row[3],
        created_at_ms=row[4],
        state=row[5],
        result=row[6],
    )


async def answer(database: Database, request_id: int, result: str, at_ms: int) -> None:
    """Writes the outcome; the first answer stands."""
    requests = database.tables.requests
    given = sa.update(requests).values(state="done", result=result, answered_at_ms=at_ms)
    async with database.write(f"answering request {request_id}") as connection:
        await connection.execute(given.where(requests.c.id == request_id, requests.c.state != "done"))


async def request(database: Database, request_id: int) -> Request | None:
    requests = database.tables.requests
    async with database.read(f"reading request {request_id}") as connection:
        query = sa.select(*_request_columns(requests)).where(requests.c.id == request_id)
        row = (await connection.execute(query)).first()
    return None if row is None else _request(row)
