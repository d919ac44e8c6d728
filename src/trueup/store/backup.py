"""Copies of a store, consistent as of one moment, while it is in use.

SQLite: a database file, made with SQLite's own online backup; it is used by naming it in `[store] url`.
PostgreSQL: JSON lines, the first line ``{"format": "trueup-dump", "version": 1, "revision": "0001"}``, then one line
``{"table": …, "row": {…}}`` a row, in the order in which tables can be filled. `restore_store` reads it into an empty
upgraded database. `pg_dump --schema=monitoring` is as good.

1. The file appears whole under its name or not at all, also where two copies of one name are made at once; an existing file is
   never replaced. A copy that was killed leaves ``.FILE.….unfinished``.
2. What a dump holds can be read back, whatever columns a bot has added.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from trueup.model.errors import ConfigurationError, StoreUnavailable
from trueup.model.values import to_json
from trueup.store.database import Database
from trueup.store.failures import translated
from trueup.store.migrate import HEAD, ensure

__all__ = ["copy_store", "restore_store"]

_FORMAT: Final = "trueup-dump"
_VERSION: Final = 1
_BATCH: Final = 1_000


async def copy_store(database: Database, path: Path) -> str:
    """Writes the copy; returns what was written, as a sentence.

    Raises:
        ConfigurationError: The file exists, its folder does not, or the store has no schema of ours.
        StoreUnavailable: The database or the disk refuses; no file is left behind.
    """
    unfinished = _unfinished(path)
    try:
        if database.dialect == "sqlite":
            database.check_place()
            said = await asyncio.to_thread(_copy_sqlite, Path(database.location.target), unfinished)
        else:
            said = await _dump(database, unfinished, path)
        _give_name(unfinished, path)
    except sqlite3.Error as error:
        raise translated(error, where=str(database.location), doing=f"copying it to {path}") from error
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return f"{said} written to {path}"


def _unfinished(path: Path) -> Path:
    """The name under which the copy is made, beside its own; nobody else's."""
    if path.exists():
        raise _taken(path)
    if not path.absolute().parent.is_dir():
        raise ConfigurationError(f"backup: folder {path.absolute().parent} does not exist; create it first")
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")


def _unwritable(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"backup: {path} cannot be written: {error.strerror or error}; nothing was left behind")


def _taken(path: Path) -> ConfigurationError:
    return ConfigurationError(f"backup: {path} exists already; name another file")


def _give_name(unfinished: Path, path: Path) -> None:
    """At once, and durably. A link fails if the name was taken meanwhile, where a rename would replace it."""
    try:
        os.link(unfinished, path)
    except FileExistsError:
        raise _taken(path) from None
    except OSError:
        if path.exists():
            raise _taken(path) from None
        unfinished.rename(path)  # a file system without links
    descriptor = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_sqlite(source: Path, target: Path) -> str:
    if not source.exists():
        raise ConfigurationError(f"backup: {source} does not exist; there is nothing to copy")
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(target)) as there:
        here.backup(there)
        there.execute("PRAGMA journal_mode=DELETE")  # one file, without a -wal beside it
        found = there.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise StoreUnavailable(f"SQLite store {source}: its copy is damaged ({found}), and so may the file be")
    with target.open("rb") as written:
        os.fsync(written.fileno())
    return f"{target.stat().st_size} bytes"


def _flush(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _write(file: IO[str], path: Path, line: str) -> None:
    """What the disk refuses is not to be taken for the database's refusal."""
    try:
        file.write(line)
    except OSError as error:
        raise _unwritable(path, error) from error


async def _dump(database: Database, target: Path, path: Path) -> str:
    await ensure(database)
    count = 0
    with target.open("w", encoding="utf-8") as file:
        _write(file, path, to_json({"format": _FORMAT, "version": _VERSION, "revision": HEAD}) + "\n")
        async with database.snapshot("copying it") as connection:
            for table in database.tables.metadata.sorted_tables:
                # The database writes its own JSON: every digit, every microsecond, every column of the table.
                query = sa.text(f"SELECT row_to_json(t)::text FROM {table.fullname} t ORDER BY 1")  # noqa: S608
                async with connection.stream(query) as rows:
                    async for row in rows:
                        # A bot's own JSON stands in it as it was written; a line's end can only be between its words.
                        one_line = row[0].replace("\n", " ").replace("\r", " ")
                        _write(file, path, f'{{"table":"{table.name}","row":{one_line}}}\n')
                        count += 1
        _flush(file)
    return f"{count} rows"


class _Line(msgspec.Struct):
    """A line of a dump; `row` stays the text that the database wrote."""

    table: str
    row: msgspec.Raw


class _Head(msgspec.Struct):
    format: str
    version: int
    revision: str


async def restore_store(database: Database, path: Path) -> str:
    """Reads a dump into an upgraded PostgreSQL database whose tables are empty; returns a sentence.

    Raises:
        ConfigurationError: SQLite (name the backup file in `[store] url` instead), no file to read or no dump of this
            revision, tables that hold rows already, or a column that they lack; nothing was written.
    """
    if database.dialect == "sqlite":
        raise ConfigurationError("restore: an SQLite backup is a store itself; name that file in [store] url")
    await ensure(database)
    with _opened(path) as file:
        lines = _lines(path, file)
        _check_head(path, next(lines, ""))
        async with database.write(f"restoring {path}") as connection:
            await _refuse_rows(connection, database)
            await connection.exec_driver_sql("ALTER TABLE monitoring.positions DISABLE TRIGGER USER")
            count = 0
            for table, rows in _grouped(path, lines, {t.name for t in database.tables.metadata.sorted_tables}):
                await _insert(connection, path, table, rows)
                count += len(rows)
            await connection.exec_driver_sql("ALTER TABLE monitoring.positions ENABLE TRIGGER USER")
            for numbered in database.tables.metadata.sorted_tables:
                if "id" in numbered.columns:
                    name = numbered.fullname
                    await connection.exec_driver_sql(
                        f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name} "  # noqa: S608
                        "HAVING max(id) IS NOT NULL"
                    )
    return f"{count} rows restored from {path}"


def _opened(path: Path) -> IO[str]:
    try:
        return path.open(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"restore: {path} cannot be read: {error.strerror or error}") from None


def _lines(path: Path, file: IO[str]) -> Iterator[str]:
    try:
        yield from file
    except UnicodeDecodeError:
        raise _no_dump(path) from None


def _no_dump(path: Path) -> ConfigurationError:
    return ConfigurationError(f"restore: {path} is not a dump that `trueup db backup` made of a PostgreSQL store")


def _check_head(path: Path, line: str) -> None:
    try:
        head = msgspec.json.decode(line, type=_Head)
    except msgspec.MsgspecError:
        head = _Head(format="", version=0, revision="")
    if (head.format, head.version) != (_FORMAT, _VERSION):
        raise _no_dump(path)
    if head.revision != HEAD:
        raise ConfigurationError(
            f"restore: {path} is of schema revision {head.revision}, this program's is {HEAD}; restore it with the "
            "trueup that wrote it, then upgrade"
        )


async def _refuse_rows(connection: AsyncConnection, database: Database) -> None:
    for table in database.tables.metadata.sorted_tables:
        if (await connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1))).first() is not None:
            raise ConfigurationError(
                f"restore: {database.location} is not empty (table {table.name}); restore into a new database"
            )


def _grouped(path: Path, lines: Iterable[str], known: set[str]) -> Iterator[tuple[str, list[str]]]:
    """The dump's rows, table by table, some at a time."""
    table, rows = "", list[str]()
    for number, line in enumerate(lines, start=2):
        try:
            read = msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError as error:
            raise ConfigurationError(f"restore: {path}, line {number} is not a row of a dump: {error}") from None
        if read.table not in known:
            raise ConfigurationError(f"restore: {path}, line {number}: table {read.table!r} is none of trueup's")
        if rows and (read.table != table or len(rows) == _BATCH):
            yield table, rows
            rows = []
        table = read.table
        rows.append(bytes(read.row).decode())
    if rows:
        yield table, rows


async def _insert(connection: AsyncConnection, path: Path, table: str, rows: list[str]) -> None:
    """What the database computes itself (a bot's generated column) is left to it."""
    whole = f"[{','.join(rows)}]"
    told = await connection.exec_driver_sql(
        "SELECT DISTINCT k FROM json_array_elements($1::text::json) r, json_object_keys(r) k", (whole,)
    )
    names = {str(row[0]) for row in told.fetchall()}
    standing = await connection.exec_driver_sql(
        "SELECT attname::text, quote_ident(attname), attgenerated <> '' FROM pg_attribute "
        "WHERE attrelid = ('monitoring.' || $1::text)::regclass AND attnum > 0 AND NOT attisdropped",
        (table,),
    )
    attributes: list[Any] = list(standing.fetchall())
    columns = {name: (quoted, computed) for name, quoted, computed in attributes}
    lacking = sorted(names - columns.keys())
    if lacking:
        raise ConfigurationError(
            f"restore: {path} holds columns that table {table} lacks ({', '.join(lacking)}); add them first"
        )
    listed = ", ".join(quoted for name, (quoted, computed) in columns.items() if name in names and not computed)
    await connection.exec_driver_sql(
        f"INSERT INTO monitoring.{table} ({listed}) OVERRIDING SYSTEM VALUE "  # noqa: S608 - one of our own tables
        f"SELECT {listed} FROM json_populate_recordset(NULL::monitoring.{table}, $1::text::json)",
        (whole,),
    )
