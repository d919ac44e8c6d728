"""Alembic's entry: runs the migrations on the connection and in the transaction that `trueup.store.migrate` gives."""

from __future__ import annotations

from alembic import context

from trueup.store.tables import schema_of

VERSION_TABLE = "trueup_version"

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table=VERSION_TABLE,
    version_table_schema=schema_of(connection.dialect.name),
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
