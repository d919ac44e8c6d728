"""Both sides of a trade with oneself in one lifecycle: a trade is told by its order too."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
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
_OF_OTHERS: Final = (
    "SELECT sql FROM sqlite_master WHERE tbl_name = 'trades' AND type IN ('index', 'trigger') AND sql IS NOT NULL"
)


def _make_anew(connection: sa.Connection) -> None:
    """SQLite changes no constraint: the table is made anew, under the same name in the end.

    What somebody else put there stays: columns with their values, indexes, triggers, and views that name the table.
    """
    run = connection.exec_driver_sql
    of_others = [row[0] for row in run(_OF_OTHERS)]
    (made,) = TABLES["trades"]
    anew = made.replace("TABLE {s}trades (", "TABLE {s}trades_anew (")
    run(render("sqlite", anew.replace(_ONCE.format(""), _ONCE.format(", order_id"))))
    ours = {row[1] for row in run("PRAGMA table_info(trades_anew)")}
    columns = [(_quoted(row[1]), row[2], row[1] in ours) for row in run("PRAGMA table_info(trades)")]
    for name, kind, is_ours in columns:
        if not is_ours:
            run(f"ALTER TABLE trades_anew ADD COLUMN {name} {kind}")
    names = ", ".join(name for name, _, _ in columns)
    run(f"INSERT INTO trades_anew ({names}) SELECT {names} FROM trades")  # noqa: S608 - the table's own columns
    run("PRAGMA legacy_alter_table = ON")  # else a view that names `trades` is refused while there is none
    run("DROP TABLE trades")
    run("ALTER TABLE trades_anew RENAME TO trades")
    run("PRAGMA legacy_alter_table = OFF")
    for statement in of_others:
        run(statement)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        _make_anew(connection)
        return
    for statement in _POSTGRESQL:
        connection.exec_driver_sql(render("postgresql", statement))
