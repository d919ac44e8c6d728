"""The schema: one definition, moved as a whole, refused when it is not this program's."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tests.contract.store.backends import SqlBackend, SqliteBackend
from tests.contract.store.values import changes, fill, opened, trade
from trueup.model.changes import RecordedTrade
from trueup.model.errors import ConfigurationError
from trueup.store import migrate, migrations, open_store, upgrade
from trueup.store.database import Database, locate
from trueup.store.migrations.book_0001 import TABLES, render
from trueup.store.rows import ORDER_COLUMNS, POSITION_COLUMNS, TRADE_COLUMNS
from trueup.store.tables import Dialect, schema_of, tables_for


def test_the_program_knows_every_revision_in_order() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(migrate.REVISIONS)
    assert scripts.get_current_head() == migrate.HEAD


def test_both_databases_have_the_same_tables_and_columns() -> None:
    shapes = []
    kinds: tuple[Dialect, ...] = ("sqlite", "postgresql")
    for dialect in kinds:
        tables = tables_for(dialect).metadata.sorted_tables
        shapes.append([(t.name, [(c.name, c.nullable, c.info["kind"]) for c in t.columns]) for t in tables])
    assert shapes[0] == shapes[1]
    tables = tables_for("sqlite")
    for table, names in (
        (tables.positions, POSITION_COLUMNS),
        (tables.orders, ORDER_COLUMNS),
        (tables.trades, TRADE_COLUMNS),
    ):
        assert set(names) <= set(table.columns.keys())


@pytest.mark.filterwarnings("ignore:.*expression-based index.*positions_one_active")
async def test_the_migrated_schema_is_the_defined_one(sql_backend: SqlBackend) -> None:
    database = Database(locate(sql_backend.url))
    schema = schema_of(database.dialect)
    metadata = database.tables.metadata

    def differences(connection: sa.Connection) -> list[Any]:
        # Expression indexes are compared by hand below: neither reflection gives their text back.
        def include(item: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
            if kind == "table":
                return item.schema == schema and name != "trueup_version"
            return name != "positions_one_active"

        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "compare_type": True,
                "compare_server_default": True,
                "include_object": include,
            },
        )
        return list(compare_metadata(context, metadata))

    def checks(connection: sa.Connection) -> set[str | None]:
        found = sa.inspect(connection).get_check_constraints("positions", schema=schema)
        return {check["name"] for check in found}

    try:
        async with database.write("comparing") as connection:
            assert await connection.run_sync(differences) == []
            defined = {c.name for c in database.tables.positions.constraints if isinstance(c, sa.CheckConstraint)}
            assert await connection.run_sync(checks) == defined
    finally:
        await database.dispose()


async def test_the_active_key_is_the_defined_one(sql_backend: SqlBackend) -> None:
    """The expression in the migrated index answers as the definition's: each word of a side maps alike."""
    definition = next(i for i in tables_for("sqlite").positions.indexes if i.name == "positions_one_active")
    expression = str(list(definition.expressions)[2])
    for words, meant in (("BUY", "long"), ("Sell", "short"), ("LONG", "long"), ("short", "short"), ("x", "x")):
        ((found,),) = await sql_backend.sql(f"SELECT {expression.replace('side', repr(words))}")
        assert found == meant
    if isinstance(sql_backend, SqliteBackend):
        ((made,),) = await sql_backend.sql("SELECT sql FROM sqlite_master WHERE name = 'positions_one_active'")
        assert expression in made


async def test_an_embedded_store_migrates_by_itself_and_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    stores = [open_store(url) for _ in range(3)]
    await asyncio.gather(*(store.open() for store in stores))
    for store in stores:
        await store.aclose()
    assert (await upgrade(url)).changed is False
    connection = sqlite3.connect(tmp_path / "new.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("SELECT version_num FROM trueup_version").fetchall() == [(migrate.HEAD,)]
    connection.close()


async def test_a_postgresql_store_is_upgraded_by_command_only(postgres_url: str) -> None:
    store = open_store(postgres_url)
    with pytest.raises(ConfigurationError, match="run: trueup db upgrade"):
        await store.open()
    reports = await asyncio.gather(*(upgrade(postgres_url) for _ in range(3)))
    assert sorted(report.changed for report in reports) == [False, False, True]
    assert str(next(report for report in reports if report.changed)).startswith("the store now has revision")
    assert "up to date" in str(next(report for report in reports if not report.changed))
    await store.open()
    await store.aclose()


async def test_a_newer_or_older_schema_is_refused_with_the_mend(sql_backend: SqlBackend) -> None:
    await sql_backend.sql("UPDATE {s}trueup_version SET version_num = '9999'")
    store = open_store(sql_backend.url)
    for refused in (store.open(), upgrade(sql_backend.url)):
        with pytest.raises(ConfigurationError, match="newer trueup: install that version"):
            await refused
    await store.aclose()


async def test_a_foreign_table_in_an_embedded_store_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE orders (dish TEXT); INSERT INTO orders VALUES ('soup');")
    store = open_store(f"sqlite:///{path}")
    with pytest.raises(ConfigurationError, match=r"another system's tables stand there \(orders\)"):
        await store.open()
    await store.aclose()
    assert connection.execute("SELECT * FROM orders").fetchall() == [("soup",)]
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()


async def test_a_failed_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trueup.store.migrations import book_0001

    monkeypatch.setitem(book_0001.TABLES, "broken", ("CREATE TABLE broken (",))
    store = open_store(f"sqlite:///{tmp_path}/new.db")
    with pytest.raises(Exception, match="incomplete input"):
        await store.open()
    await store.aclose()
    connection = sqlite3.connect(tmp_path / "new.db")
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()


_TRADES_OF_REVISION_2 = {
    "sqlite": (
        "ALTER TABLE trades RENAME TO kept",
        render("sqlite", TABLES["trades"][0]),
        "INSERT INTO trades SELECT * FROM kept",
        "DROP TABLE kept",
    ),
    "postgresql": (
        "ALTER TABLE {s}trades DROP CONSTRAINT trades_once",
        "ALTER TABLE {s}trades ADD CONSTRAINT trades_once UNIQUE (position_id, trade_id)",
    ),
}


async def _at_the_second_revision(sql_backend: SqlBackend) -> RecordedTrade:
    """A store of before the third, with a trade."""
    store = await sql_backend.store()
    owner = await store.claim("main", "me", 60)
    position = await opened(store, owner)
    known = trade(position_id=position.position_id, fill=fill(order_id="bought"))
    await store.commit(owner, changes(trades=(known,)))
    await store.aclose()
    for statement in _TRADES_OF_REVISION_2["sqlite" if isinstance(sql_backend, SqliteBackend) else "postgresql"]:
        await sql_backend.sql(statement)
    await sql_backend.sql("UPDATE {s}trueup_version SET version_num = '0002'")
    return known


async def test_a_store_of_the_second_revision_keeps_its_trades(sql_backend: SqlBackend) -> None:
    """From the third on a trade is told by its order too."""
    known = await _at_the_second_revision(sql_backend)
    assert (await upgrade(sql_backend.url)).revision == migrate.HEAD
    store = await sql_backend.store()
    owner = await store.claim("main", "me", 60)
    other = trade(position_id=known.position_id, fill=fill(order_id="sold"))
    await store.commit(owner, changes(trades=(known, other)))
    assert await store.trades_of(known.position_id) == [known, other]


async def test_what_somebody_built_on_the_trades_stays(sql_backend: SqlBackend) -> None:
    known = await _at_the_second_revision(sql_backend)
    await sql_backend.sql('ALTER TABLE {s}trades ADD COLUMN "my note" TEXT')
    await sql_backend.sql("UPDATE {s}trades SET \"my note\" = 'mine'")
    await sql_backend.sql("CREATE INDEX by_symbol ON {s}trades (symbol)")
    await sql_backend.sql("CREATE VIEW {s}bought AS SELECT symbol FROM {s}trades WHERE opening")
    if isinstance(sql_backend, SqliteBackend):
        await sql_backend.sql("CREATE TRIGGER touch AFTER INSERT ON trades BEGIN SELECT '{{}}'; END")
    assert (await upgrade(sql_backend.url)).revision == migrate.HEAD
    assert await sql_backend.sql("SELECT symbol FROM {s}bought") == [(known.fill.symbol,)]
    assert await sql_backend.sql('SELECT "my note" FROM {s}trades') == [("mine",)]
    if isinstance(sql_backend, SqliteBackend):
        left = await sql_backend.sql("SELECT name FROM sqlite_master WHERE name IN ('by_symbol', 'touch') ORDER BY 1")
        assert left == [("by_symbol",), ("touch",)]
    store = await sql_backend.store()
    assert await store.trades_of(known.position_id) == [known]


async def test_a_store_of_the_first_revision_keeps_its_rows(sql_backend: SqlBackend) -> None:
    """An embedded one is moved when it is opened, a PostgreSQL one by the command."""
    row_id = await sql_backend.insert_bot_row()
    await sql_backend.sql("DROP TABLE {s}trailing")
    await sql_backend.sql("UPDATE {s}trueup_version SET version_num = '0001'")
    if not isinstance(sql_backend, SqliteBackend):
        report = await upgrade(sql_backend.url)
        assert (report.previous, report.revision) == ("0001", migrate.HEAD)
    store = await sql_backend.store()
    assert [row.position_id for row in await store.positions()] == [row_id]
    assert await store.trailing("main") == []
    assert await sql_backend.sql("SELECT version_num FROM {s}trueup_version") == [(migrate.HEAD,)]
