"""The old system's `positions` on SQLite: rebuilt, because a column's type cannot be changed in place.

A REAL column would turn ``0.010`` into 0.01: its values become the shortest text that reads back as the same number.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from trueup.model.decimals import decimal_text
from trueup.model.errors import ConfigurationError
from trueup.store.legacy import CONTRACT_COLUMNS
from trueup.store.migrations.book_0001 import POSITIONS_COLUMNS, positions_ddl, render

__all__ = ["SqliteReshaper"]

_NEW: Final = "positions_being_upgraded"


class SqliteReshaper:
    """See `trueup.store.legacy.Reshaper`. Needs foreign keys off: the table is dropped and made again."""

    def __init__(self, connection: sa.Connection, where: str) -> None:
        self._connection = connection
        self._where = where
        self._found = {row[1]: row for row in connection.exec_driver_sql("PRAGMA table_xinfo(positions)")}
        self.columns = {name: str(row[2]) for name, row in self._found.items()}

    def refuse_what_cannot(self) -> None:
        kind = self._scalar("SELECT type FROM sqlite_master WHERE name = 'positions'")
        triggers = self._names("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'positions'")
        generated = [name for name, row in self._found.items() if row[6]]
        odd = self._scalar(
            "SELECT count(*) FROM positions WHERE typeof(id) <> 'integer' OR id IN "
            "(SELECT id FROM positions GROUP BY id HAVING count(*) > 1)"
        )
        problem = None
        if kind != "table":
            problem = f"it is a {kind}"
        elif triggers:
            problem = f"it has triggers ({', '.join(triggers)}), which rebuilding it would lose; drop them first"
        elif generated:
            problem = f"it has generated columns ({', '.join(generated)}); make them plain ones first"
        elif odd:
            problem = f"{odd} of its rows have an id that is not a whole number of their own"
        if problem is not None:
            raise ConfigurationError(f"{self._where}: the old positions table cannot be taken over: {problem}")

    def widen(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        added = tuple(name for name in CONTRACT_COLUMNS if name not in self.columns)
        for name in (*added, "origin"):
            default = " DEFAULT 'bot'" if name == "origin" else ""
            self._connection.exec_driver_sql(f"ALTER TABLE positions ADD COLUMN {name} TEXT{default}")
        inexact = tuple(
            name
            for name, kind in POSITIONS_COLUMNS.items()
            if kind.startswith("{number}") and name in self.columns and self.columns[name].upper() != "TEXT"
        )
        return added, inexact

    def seal(self) -> None:
        connection = self._connection
        standing = {row[1]: row for row in connection.exec_driver_sql("PRAGMA table_info(positions)")}
        extra = [name for name in standing if name not in POSITIONS_COLUMNS]
        indexes = self._names(
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'positions' AND sql IS NOT NULL"
        )
        ddl = positions_ddl("sqlite", _NEW, tuple(self._definition(standing[name]) for name in extra))
        connection.exec_driver_sql(self._relaxed(ddl))
        kept = [name for name in POSITIONS_COLUMNS if name in standing] + extra
        numbers = {name for name in kept if POSITIONS_COLUMNS.get(name, "").startswith("{number}")}
        quoted = ", ".join(_quoted(name) for name in kept)
        rows = connection.exec_driver_sql(f"SELECT {quoted} FROM positions ORDER BY id").fetchall()  # noqa: S608
        values = [
            tuple(_exact(value) if name in numbers else value for name, value in zip(kept, row, strict=True))
            for row in rows
        ]
        if values:
            marks = ", ".join("?" * len(kept))
            connection.exec_driver_sql(f"INSERT INTO {_NEW} ({quoted}) VALUES ({marks})", values)  # noqa: S608
        connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")  # leaves other tables' and views' texts alone
        connection.exec_driver_sql("DROP TABLE positions")
        connection.exec_driver_sql(f"ALTER TABLE {_NEW} RENAME TO positions")
        connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")
        for index in indexes:
            connection.exec_driver_sql(index)

    def _relaxed(self, ddl: str) -> str:
        """Without NOT NULL on the columns where old rows hold nothing: they are kept, and read as unreadable."""
        for name, kind in POSITIONS_COLUMNS.items():
            if name in ("symbol", "side", "status") and self._scalar(
                f"SELECT count(*) FROM positions WHERE {name} IS NULL"  # noqa: S608 - a constant name
            ):
                strict = render("sqlite", f"{name} {kind}")
                ddl = ddl.replace(strict, strict.replace(" NOT NULL", ""))
        return ddl

    @staticmethod
    def _definition(row: Any) -> str:
        """A column that trueup does not know, as it was: a default that is an expression needs its brackets."""
        default = "" if row[4] is None else f" DEFAULT ({row[4]})"
        return f"{_quoted(row[1])} {row[2]}{default}{' NOT NULL' if row[3] else ''}"

    def _scalar(self, sql: str) -> Any:
        return self._connection.exec_driver_sql(sql).scalar()

    def _names(self, sql: str) -> list[str]:
        return [str(row[0]) for row in self._connection.exec_driver_sql(sql)]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _exact(value: object) -> object:
    """A binary float as the shortest text that reads back as the same number; text stays as it was written."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        number = Decimal(repr(value))
        return decimal_text(number) if number.is_finite() else str(value)
    return str(value)
