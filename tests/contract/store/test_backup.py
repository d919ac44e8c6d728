"""A backup is whole, usable, and never replaces a file."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from tests.contract.store.backends import PostgresqlBackend, SqlBackend, SqliteBackend
from tests.contract.store.values import (
    LONG,
    changes,
    close,
    details,
    effect,
    event,
    hold,
    mark,
    new_position,
    observation,
    opened,
    order,
    trade,
)
from tests.support.postgres import PostgresServer
from trueup.model.errors import ConfigurationError
from trueup.model.observations import Identity
from trueup.model.positions import Amount
from trueup.ports import Store
from trueup.store import backup, migrate, open_store, restore, upgrade


async def _fill(store: Store) -> None:
    owner = await store.claim("main", "test", 60)
    position = await opened(store, owner, quantity=Decimal("0.010"))
    fees = (Amount(asset="BNB", amount=Decimal("0.00010")),)
    await store.commit(
        owner,
        changes(
            closes=(close(position, details=details(fees=fees)),),
            opens=(new_position(),),
            orders=(order(position_id=position.position_id),),
            trades=(trade(position_id=position.position_id),),
            events=(event(data={"text": "größer\n", "n": Decimal("1.0")}), event()),
            effects=(effect(),),
            holds=(hold(),),
            marks=(mark(),),
            observations=(observation(),),
        ),
    )
    await store.set_pin(owner, Identity(fingerprint="1", strength="weak"), 5)
    await store.ask("main", "sync", "{}", 5)
    await store.set_account_states({"main": ("{}", 5)})


async def _told(store: Store) -> list[object]:
    return [
        await store.positions(status="all"),
        await store.orders_of(1),
        await store.trades_of(1),
        await store.events(),
        await store.effects(),
        await store.holds(),
        await store.marks("main"),
        await store.observations_of(),
        await store.pin_of("main"),
        await store.request(1),
        await store.account_states(),
        await store.owner_of("main"),
    ]


async def test_an_sqlite_backup_is_a_store(tmp_path: Path) -> None:
    backend = SqliteBackend(tmp_path)
    store = await backend.store()
    await _fill(store)
    said = await backup(backend.url, tmp_path / "copy.db")
    assert said.endswith(f"bytes written to {tmp_path}/copy.db")
    copy = open_store(f"sqlite:///{tmp_path}/copy.db")
    await copy.open()
    assert await _told(copy) == await _told(store)
    assert (await copy.claim("main", "test", 60)).epoch == 2
    await copy.aclose()
    await backend.aclose()


async def test_an_sqlite_backup_needs_no_restoring(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a store itself"):
        await restore(f"sqlite:///{tmp_path}/book.db", tmp_path / "x")


async def test_a_postgresql_backup_is_restored_whole(
    postgresql_backend: PostgresqlBackend, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    store = await postgresql_backend.store()
    await _fill(store)
    said = await backup(postgresql_backend.url, tmp_path / "dump.jsonl")
    assert "rows written to" in said
    lines = (tmp_path / "dump.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["format"] == "trueup-dump"
    assert '"quantity":0.010' in (tmp_path / "dump.jsonl").read_text()
    url = postgres_server.new_database()
    with pytest.raises(ConfigurationError, match="db upgrade"):
        await restore(url, tmp_path / "dump.jsonl")
    await upgrade(url)
    assert await restore(url, tmp_path / "dump.jsonl") == f"{len(lines) - 1} rows restored from {tmp_path}/dump.jsonl"
    other = open_store(url)
    await other.open()
    assert await _told(other) == await _told(store)
    owner = await other.claim("main", "test", 60)
    committed = await other.commit(owner, changes(opens=(new_position(LONG._replace(symbol="N")),), events=(event(),)))
    assert (committed.position_ids, committed.event_ids) == ((3,), (3,))
    with pytest.raises(ConfigurationError, match="is not empty"):
        await restore(url, tmp_path / "dump.jsonl")
    await other.aclose()


async def test_what_is_no_dump_is_refused(postgresql_backend: PostgresqlBackend, tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    head = f'{{"format":"trueup-dump","version":1,"revision":"{migrate.HEAD}"}}\n'
    row = '{"table":"pins","row":{"account":"a","fingerprint":"f","strength":"weak","at_ms":1%s}}\n'
    for text, problem in (
        ("hello\n", "is not a dump"),
        (head.replace(migrate.HEAD, "0000"), "of schema revision 0000"),
        (head + '{"table":"secrets","row":{}}\n', "line 2: table 'secrets'"),
        (head + row % "" + "half a li", "line 3 is not a row"),
        (head + row % ',"colour":"red"', r"columns that table pins lacks \(colour\)"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=problem):
            await restore(postgresql_backend.url, path)
    assert await postgresql_backend.sql("SELECT * FROM {s}pins") == []
    path.write_text(head + row % "")
    await restore(postgresql_backend.url, path)
    assert len(await postgresql_backend.sql("SELECT * FROM {s}pins")) == 1


async def test_a_file_is_never_replaced_and_no_rest_is_left(sql_backend: SqlBackend, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    with pytest.raises(ConfigurationError, match="does not exist; create it first"):
        await backup(sql_backend.url, folder / "copy")
    folder.mkdir()
    await backup(sql_backend.url, folder / "copy")
    before = (folder / "copy").read_bytes()
    with pytest.raises(ConfigurationError, match="exists already"):
        await backup(sql_backend.url, folder / "copy")
    assert [path.name for path in folder.iterdir()] == ["copy"]
    assert (folder / "copy").read_bytes() == before


async def test_a_backup_of_a_busy_book_is_of_one_moment(sql_backend: SqlBackend, tmp_path: Path) -> None:
    store = await sql_backend.store()
    owner = await store.claim("main", "test", 60)
    copying = asyncio.create_task(backup(sql_backend.url, tmp_path / "copy"))
    nth = 0
    while not copying.done():
        key = LONG._replace(symbol=f"C{nth}/USDT:USDT")
        await store.commit(owner, changes(opens=(new_position(key),), events=(event(key=key),)))
        nth += 1
    await copying
    if isinstance(sql_backend, SqliteBackend):
        copy = sqlite3.connect(tmp_path / "copy")
        positions = copy.execute("SELECT id FROM positions ORDER BY id").fetchall()
        named = copy.execute("SELECT position_id FROM events ORDER BY id").fetchall()
        copy.close()
    else:
        rows = [json.loads(line) for line in (tmp_path / "copy").read_text().splitlines()[1:]]
        positions = sorted((row["row"]["id"],) for row in rows if row["table"] == "positions")
        named = sorted((row["row"]["position_id"],) for row in rows if row["table"] == "events")
    assert positions == named
