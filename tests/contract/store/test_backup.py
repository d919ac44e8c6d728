"""A backup is whole, usable, and never replaces a file."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

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
from trueup.model.errors import ConfigurationError, StoreUnavailable
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


async def test_what_cannot_be_read_is_no_dump(postgresql_backend: PostgresqlBackend, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        await restore(postgresql_backend.url, tmp_path / "none")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        await restore(postgresql_backend.url, tmp_path)
    (tmp_path / "copy.db").write_bytes(b"SQLite format 3\0\xff\xfe")
    with pytest.raises(ConfigurationError, match="is not a dump"):
        await restore(postgresql_backend.url, tmp_path / "copy.db")


async def test_a_bots_own_columns_are_restored(
    postgresql_backend: PostgresqlBackend, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """JSON keeps the line ends that it was written with; what the database computes, no row may hold."""
    added = (
        "ALTER TABLE {s}positions ADD COLUMN plan JSON, "
        "ADD COLUMN notional NUMERIC GENERATED ALWAYS AS (quantity * entry_price) STORED"
    )
    plan = '{\n  "steps": "one\\ntwo"\r\n}'
    await postgresql_backend.sql(added)
    await postgresql_backend.insert_bot_row(plan=plan)
    await backup(postgresql_backend.url, tmp_path / "dump.jsonl")
    url = postgres_server.new_database()
    await upgrade(url)
    other = PostgresqlBackend(url)
    with pytest.raises(ConfigurationError, match=r"lacks \(notional, plan\)"):
        await restore(url, tmp_path / "dump.jsonl")
    await other.sql(added)
    await restore(url, tmp_path / "dump.jsonl")
    ((found, notional),) = await other.sql("SELECT plan, notional FROM {s}positions")
    assert json.loads(found) == json.loads(plan)
    assert Decimal(notional) == Decimal("15.00")


async def test_of_two_copies_under_one_name_each_is_whole(sql_backend: SqlBackend, tmp_path: Path) -> None:
    await (await sql_backend.store()).claim("main", "test", 60)
    outcomes = await asyncio.gather(
        *(backup(sql_backend.url, tmp_path / "copy") for _ in range(3)), return_exceptions=True
    )
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, ConfigurationError) for outcome in outcomes) == 2
    assert [name for name in os.listdir(tmp_path) if name.endswith("unfinished")] == []
    if isinstance(sql_backend, SqliteBackend):
        copy = sqlite3.connect(tmp_path / "copy")
        assert copy.execute("SELECT holder FROM owners").fetchall() == [("test",)]
        copy.close()
    else:
        rows = [json.loads(line) for line in (tmp_path / "copy").read_text().splitlines()[1:]]
        assert [row["row"]["holder"] for row in rows] == ["test"]


class _Full(io.StringIO):
    """A file on a disk that has room for the dump's first line."""

    def write(self, text: str) -> int:
        if '"table"' in text:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)


async def test_a_full_disk_is_not_the_servers_fault(
    postgresql_backend: PostgresqlBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await postgresql_backend.store()).claim("main", "test", 60)
    plain = Path.open

    def opened(path: Path, *how: Any, **named: Any) -> Any:
        return _Full() if path.name.endswith(".unfinished") else plain(path, *how, **named)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(StoreUnavailable, match="copy cannot be written: No space left on device; nothing was left"):
        await backup(postgresql_backend.url, tmp_path / "copy")


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
