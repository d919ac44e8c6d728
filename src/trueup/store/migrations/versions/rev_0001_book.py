"""The book: positions and what belongs to them, and the guards of the lifecycle.

A table `positions` that stands already was brought into this revision's shape by `trueup.store.legacy`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from trueup.store.migrations.book_0001 import POSITIONS_INDEXES, TABLES, guards, positions_ddl, render
from trueup.store.tables import schema_of

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    dialect = connection.dialect.name
    if not sa.inspect(connection).has_table("positions", schema=schema_of(dialect)):  # type: ignore[arg-type]
        connection.exec_driver_sql(positions_ddl(dialect))
    for statement in POSITIONS_INDEXES:
        connection.exec_driver_sql(render(dialect, statement))
    for statements in TABLES.values():
        for statement in statements:
            connection.exec_driver_sql(render(dialect, statement))
    for statement in guards(dialect):
        connection.exec_driver_sql(statement)
