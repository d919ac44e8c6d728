"""The old system's `monitoring.positions` on PostgreSQL: altered in place."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from trueup.model.errors import ConfigurationError
from trueup.store.legacy import CONTRACT_COLUMNS
from trueup.store.migrations.book_0001 import POSITIONS_CHECKS, POSITIONS_COLUMNS, render

__all__ = ["PostgresqlReshaper"]

_TABLE: Final = "monitoring.positions"
_WHOLE: Final = ("smallint", "integer", "bigint")
_INSTANTS: Final = {
    "timestamp without time zone": "{c} AT TIME ZONE 'UTC'",
    "date": "{c}::timestamp AT TIME ZONE 'UTC'",
    "text": "{c}::timestamptz",
    "character varying": "{c}::timestamptz",
}
_COLUMNS: Final = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '',
       a.atthasdef OR a.attidentity <> ''
FROM pg_attribute a WHERE a.attrelid = 'monitoring.positions'::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_UNIQUE_ID: Final = """
SELECT count(*) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = 'monitoring.positions'::regclass AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL
AND a.attname = 'id'
"""


class PostgresqlReshaper:
    """See `trueup.store.legacy.Reshaper`."""

    def __init__(self, connection: sa.Connection, where: str) -> None:
        self._connection = connection
        self._where = where
        connection.exec_driver_sql(f"LOCK TABLE {_TABLE} IN ACCESS EXCLUSIVE MODE")
        self._found = {row[0]: row for row in connection.exec_driver_sql(_COLUMNS)}
        self.columns = {name: str(row[1]) for name, row in self._found.items()}

    def refuse_what_cannot(self) -> None:
        kind = self._scalar("SELECT relkind::text FROM pg_class WHERE oid = 'monitoring.positions'::regclass")
        needy = [
            name
            for name, (_, _, required, generated, has_default) in self._found.items()
            if name not in POSITIONS_COLUMNS and required and not has_default and not generated
        ]
        problem = None
        if kind != "r":
            problem = "it is no ordinary table"
        elif self.columns["id"] not in _WHOLE:
            problem = f"its id is {self.columns['id']}, not a whole number"
        elif needy:
            problem = (
                f"its columns {', '.join(needy)} must be written and have no default, so trueup could insert nothing; "
                "give them a default or drop their NOT NULL"
            )
        if problem is not None:
            raise ConfigurationError(f"{self._where}: the old positions table cannot be taken over: {problem}")

    def widen(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        present = {row[0]: row[1] for row in self._connection.exec_driver_sql(_COLUMNS)}
        changes, added, converted = [], [], []
        for name, kind in POSITIONS_COLUMNS.items():
            if name == "id":
                continue
            wanted = render("postgresql", kind).partition(" DEFAULT ")[0].removesuffix(" NOT NULL")
            if name not in present:
                added.append(name)
                definition = "TEXT" if name in ("account", "exchange") else render("postgresql", kind)
                nullable = name in ("created_at", "updated_at", "account", "exchange")
                changes.append(f"ADD COLUMN {name} {wanted if nullable else definition}")
                continue
            using = self._conversion(name, kind, present[name])
            if using is not None:
                converted.append(name)
                # A default of the old type may not fit the new one; `seal` sets the contract's.
                changes += [f"ALTER COLUMN {name} DROP DEFAULT", f"ALTER COLUMN {name} TYPE {wanted} USING {using}"]
        if changes:
            self._connection.exec_driver_sql(f"ALTER TABLE {_TABLE} " + ", ".join(changes))
        return tuple(name for name in added if name in CONTRACT_COLUMNS), tuple(converted)

    def _conversion(self, name: str, kind: str, found: str) -> str | None:
        """How the old column becomes the wanted type; None if it is that already."""
        base = found.partition("(")[0].strip()
        column = f'"{name}"'
        if kind.startswith("{number}"):
            return None if found == "numeric" else f"{column}::text::numeric"  # text: a float's shortest digits
        if kind.startswith("{instant}"):
            if base.startswith("timestamp") and found.endswith("with time zone"):
                return None
            pattern = _INSTANTS.get("timestamp without time zone" if base.startswith("timestamp") else base)
            if pattern is None:
                raise ConfigurationError(
                    f"{self._where}: the old positions table cannot be taken over: its column {name} is {found}, "
                    "expected a timestamp; its unit is not guessed"
                )
            return pattern.replace("{c}", column)
        if kind.startswith("{flag}"):
            return None if found == "boolean" else f"{column}::text::boolean"
        return None if found == "text" else f"{column}::text"

    def seal(self) -> None:
        changes = []
        standing = {row[0]: row for row in self._connection.exec_driver_sql(_COLUMNS)}
        for name, kind in POSITIONS_COLUMNS.items():
            if name == "id":
                continue
            _, separator, default = render("postgresql", kind).removesuffix(" NOT NULL").partition(" DEFAULT ")
            if separator:
                changes.append(f"ALTER COLUMN {name} SET DEFAULT {default}")
            if not kind.endswith(" NOT NULL"):
                changes += [f"ALTER COLUMN {name} DROP NOT NULL"] if standing[name][2] else []
            elif not self._scalar(f"SELECT count(*) FROM {_TABLE} WHERE {name} IS NULL"):  # noqa: S608 - constants
                changes.append(f"ALTER COLUMN {name} SET NOT NULL")
        changes += [f"ADD CONSTRAINT {check} CHECK ({rule})" for check, rule in POSITIONS_CHECKS.items()]
        self._connection.exec_driver_sql(f"ALTER TABLE {_TABLE} " + ", ".join(changes))
        self._number_rows(bool(standing["id"][4]))

    def _number_rows(self, has_default: bool) -> None:
        """Ids are unique and given by the database."""
        unique = self._scalar(_UNIQUE_ID)
        if not unique:
            self._connection.exec_driver_sql(f"ALTER TABLE {_TABLE} ADD CONSTRAINT positions_id UNIQUE (id)")
        if not has_default:
            self._connection.exec_driver_sql(f"CREATE SEQUENCE monitoring.positions_numbers OWNED BY {_TABLE}.id")
            self._connection.exec_driver_sql(
                f"ALTER TABLE {_TABLE} ALTER COLUMN id SET DEFAULT nextval('monitoring.positions_numbers')"
            )
        sequence = self._scalar(f"SELECT pg_get_serial_sequence('{_TABLE}', 'id')")
        last = self._scalar(f"SELECT max(id) FROM {_TABLE}")  # noqa: S608 - a constant name
        if sequence is not None and last is not None:
            # Rows that were inserted with ids of their own leave the sequence behind.
            given = self._scalar(f"SELECT last_value FROM {sequence}")  # noqa: S608 - the catalogue's own name
            if last >= given:
                self._connection.exec_driver_sql(f"SELECT setval('{sequence}', {int(last)})")

    def _scalar(self, sql: str) -> Any:
        return self._connection.exec_driver_sql(sql).scalar()
