"""Both sides of a trade with oneself in one lifecycle: a trade is told by its order too."""

from __future__ import annotations

from typing import Final

from alembic import op

from trueup.store.migrations.book_0001 import TABLES, render

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ONCE: Final = "CONSTRAINT trades_once UNIQUE (position_id, trade_id{})"
_POSTGRESQL: Final = (
    "ALTER TABLE {s}trades DROP CONSTRAINT trades_once",
    f"ALTER TABLE {{s}}trades ADD {_ONCE.format(', order_id')}",
)


def _sqlite() -> tuple[str, ...]:
    """SQLite changes no constraint: the table is made anew, under the same name in the end."""
    (made,) = TABLES["trades"]
    anew = made.replace("TABLE {s}trades (", "TABLE {s}trades_anew (").replace(
        _ONCE.format(""), _ONCE.format(", order_id")
    )
    return (
        anew,
        "INSERT INTO {s}trades_anew SELECT * FROM {s}trades",
        "DROP TABLE {s}trades",
        "ALTER TABLE {s}trades_anew RENAME TO trades",
    )


def upgrade() -> None:
    connection = op.get_bind()
    dialect = connection.dialect.name
    for statement in _sqlite() if dialect == "sqlite" else _POSTGRESQL:
        connection.exec_driver_sql(render(dialect, statement))
