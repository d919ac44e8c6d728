"""Where trailing stops stand: peak and trigger of each followed lifecycle."""

from __future__ import annotations

from alembic import op

from trueup.store.migrations.book_0001 import render

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """CREATE TABLE {s}trailing (
      position_id {whole} NOT NULL PRIMARY KEY REFERENCES {s}positions (id),
      account TEXT NOT NULL,
      phase TEXT NOT NULL,
      peak_price {number},
      trigger_price {number},
      moved_at_ms {whole},
      saved_at_ms {whole} NOT NULL
    )""",
    "CREATE INDEX trailing_by_account ON {s}trailing (account)",
)


def upgrade() -> None:
    connection = op.get_bind()
    for statement in _STATEMENTS:
        connection.exec_driver_sql(render(connection.dialect.name, statement))
