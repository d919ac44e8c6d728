"""Tables that another system left where trueup's go."""

from __future__ import annotations

import sqlalchemy as sa

from trueup.model.errors import ConfigurationError
from trueup.model.values import Value
from trueup.store.tables import Dialect, schema_of, tables_for

__all__ = ["Legacy", "LegacyChoice", "LegacyReport", "adapt", "find_legacy"]


class LegacyChoice(Value, frozen=True, kw_only=True):
    accounts: dict[str, str]


class LegacyReport(Value, frozen=True, kw_only=True):
    rows: int


class Legacy(Value, frozen=True, kw_only=True):
    where: str
    tables: tuple[str, ...]


def find_legacy(connection: sa.Connection, where: str) -> Legacy | None:
    dialect: Dialect = "sqlite" if connection.dialect.name == "sqlite" else "postgresql"
    names = set(sa.inspect(connection).get_table_names(schema=schema_of(dialect)))
    ours = {table.name for table in tables_for(dialect).metadata.tables.values()}
    return Legacy(where=where, tables=tuple(sorted(names & ours))) if names & ours else None


def adapt(connection: sa.Connection, found: Legacy, choice: LegacyChoice | None) -> LegacyReport:
    raise ConfigurationError(f"{found.where}: another system's tables stand there: {', '.join(found.tables)}")
