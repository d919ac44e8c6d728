"""The one definition of the book's tables, for SQLite and for PostgreSQL.

1. Amounts are exact: NUMERIC without a scale on PostgreSQL, TEXT on SQLite (whose NUMERIC is a binary float).
2. Times of the tables that bots read are TIMESTAMPTZ, or RFC 3339 text on SQLite; trueup's own tables count
   milliseconds since 1970.
3. At most one active row per account, symbol and side, in whatever words the side was written.
4. Every column of `positions` that a bot need not write has a default in the database.

A column's `info["kind"]` says how its values are encoded (see rows.py). The guards of the lifecycle (triggers) live in
the migrations; a test holds this definition and the migrated schema together.
"""

from __future__ import annotations

import functools
from typing import Any, Final, Literal

import sqlalchemy as sa

__all__ = ["ACTIVE_KEY", "OPEN_HOLD_STATES", "Dialect", "Tables", "schema_of", "tables_for"]

Dialect = Literal["sqlite", "postgresql"]

ACTIVE_KEY: Final = "positions_one_active"
OPEN_HOLD_STATES: Final = ("open", "approved", "rejected")

_SIDE = "(CASE lower(side) WHEN 'buy' THEN 'long' WHEN 'sell' THEN 'short' ELSE lower(side) END)"
_EVIDENCE = "evidence IS NULL OR evidence IN ('fills', 'closed_pnl', 'order', 'absence')"
_REASONS = (
    "evidence IS NULL OR exit_reason IN ('manual', 'stop_loss', 'take_profit', 'trailing_stop', 'liquidation', 'adl', "
    "'settlement', 'external', 'sync_cleanup', 'PHANTOM_ON_SYNC')"
)


def schema_of(dialect: Dialect) -> str | None:
    """The schema that holds every table: SQLite has none."""
    return "monitoring" if dialect == "postgresql" else None


class _Columns:
    """Column makers of one dialect; each names its kind for the encoders."""

    def __init__(self, dialect: Dialect) -> None:
        on_pg = dialect == "postgresql"
        self._dialect = dialect
        self._number: Any = sa.Numeric() if on_pg else sa.Text()
        self._instant: Any = sa.TIMESTAMP(timezone=True) if on_pg else sa.Text()
        self._id: Any = sa.BigInteger() if on_pg else sa.Integer()
        self._document: Any = sa.JSON() if on_pg else sa.Text()
        self._false = sa.text("false") if on_pg else sa.text("0")
        self._now = sa.text("now()") if on_pg else sa.text("(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))")

    def where(self, rows: Any) -> dict[str, Any]:
        """Of an index of some rows alone. The other dialect is not named: naming it loads it."""
        return {f"{self._dialect}_where": rows}

    def identity(self) -> sa.Column[Any]:
        return sa.Column("id", self._id, primary_key=True, autoincrement=True, info={"kind": "whole"})

    def number(self, name: str) -> sa.Column[Any]:
        return sa.Column(name, self._number, info={"kind": "number"})

    def instant(self, name: str, *, now: bool = False) -> sa.Column[Any]:
        default = self._now if now else None
        return sa.Column(name, self._instant, nullable=not now, server_default=default, info={"kind": "instant"})

    def text(self, name: str, *, default: str | None = None, required: bool = False, key: bool = False) -> Any:
        server_default = None if default is None else sa.text(f"'{default}'")
        nullable = not (required or key or default is not None)
        return sa.Column(
            name, sa.Text(), primary_key=key, nullable=nullable, server_default=server_default, info={"kind": "text"}
        )

    def whole(self, name: str, *, default: int | None = None, required: bool = False) -> sa.Column[Any]:
        server_default = None if default is None else sa.text(str(default))
        nullable = not (required or default is not None)
        return sa.Column(
            name, sa.BigInteger(), nullable=nullable, server_default=server_default, info={"kind": "whole"}
        )

    def position(self, name: str = "position_id", *, required: bool = False, linked: bool = False) -> sa.Column[Any]:
        links = [sa.ForeignKey(self.positions.c.id)] if linked else []
        return sa.Column(name, sa.BigInteger(), *links, nullable=not required, info={"kind": "whole"})

    def flag(self, name: str, *, nullable: bool = False) -> sa.Column[Any]:
        return sa.Column(
            name, sa.Boolean(), nullable=nullable, server_default=self._false, info={"kind": "flag"}
        )  # a bot may write NULL where `nullable`: it reads as false

    def maybe(self, name: str) -> sa.Column[Any]:
        """A flag that is NULL until something is known."""
        return sa.Column(name, sa.Boolean(), info={"kind": "flag"})

    def document(self, name: str, *, required: bool = False) -> sa.Column[Any]:
        return sa.Column(name, self._document, nullable=not required, info={"kind": "document"})

    positions: sa.Table


class Tables:
    """Every table, as one dialect names and types it."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect: Dialect = dialect
        self.metadata = sa.MetaData(schema=schema_of(dialect))
        make = _Columns(dialect)
        self.positions = make.positions = self._positions(make)
        self.orders = self._orders(make)
        self.trades = self._trades(make)
        self.events = self._events(make)
        self.effects = self._effects(make)
        self.holds = self._holds(make)
        self.marks = self._marks(make)
        self.trailing = self._trailing(make)
        self.observations = self._observations(make)
        self.requests = self._requests(make)
        self.owners = self._table(
            "owners",
            make.text("account", key=True),
            make.text("holder", required=True),
            make.whole("epoch", required=True),
            make.whole("expires_at_ms", required=True),
        )
        self.pins = self._table(
            "pins",
            make.text("account", key=True),
            make.text("fingerprint", required=True),
            make.text("strength", required=True),
            make.whole("at_ms", required=True),
        )
        self.account_state = self._table(
            "account_state",
            make.text("account", key=True),
            make.text("state"),
            make.whole("at_ms"),
            make.flag("paused"),
            make.whole("paused_at_ms"),
        )

    def _table(self, name: str, *items: Any) -> sa.Table:
        return sa.Table(name, self.metadata, *items, sqlite_autoincrement=any(c.name == "id" for c in items))

    def _positions(self, make: _Columns) -> sa.Table:
        active = sa.text("status = 'active'")
        return self._table(
            "positions",
            make.identity(),
            make.text("account", required=True),
            make.text("exchange", required=True),
            make.text("symbol", required=True),
            make.text("side", required=True),
            make.number("entry_price"),
            make.number("current_price"),
            make.number("quantity"),
            make.number("leverage"),
            make.number("stop_loss"),
            make.number("take_profit"),
            make.text("status", default="active"),
            make.number("pnl"),
            make.number("pnl_percentage"),
            make.text("exit_reason"),
            make.flag("trailing_activated", nullable=True),
            make.flag("has_trailing_stop", nullable=True),
            make.instant("suspected_since"),
            make.instant("created_at", now=True),
            make.instant("updated_at", now=True),
            make.instant("closed_at"),
            make.whole("version", default=0),
            make.text("origin", default="bot"),
            make.text("written_symbol"),
            make.number("contract_size"),
            make.flag("unverified"),
            make.number("realized_pnl"),
            make.instant("opened_at"),
            make.text("opening_order_id"),
            make.instant("venue_updated_at"),
            make.instant("verified_as_of"),
            make.number("exit_price"),
            make.text("settle_asset"),
            make.document("fees"),
            make.number("funding"),
            make.number("net_pnl"),
            make.text("evidence"),
            make.maybe("estimated"),
            make.flag("complete"),
            make.text("closing_order_id"),
            sa.CheckConstraint("status IN ('active', 'closed') OR origin = 'legacy'", name="positions_status"),
            sa.CheckConstraint("origin IN ('bot', 'adopted', 'legacy')", name="positions_origin"),
            sa.CheckConstraint(
                "status <> 'closed' OR origin = 'legacy' OR "
                "(evidence IS NOT NULL AND exit_reason IS NOT NULL AND closed_at IS NOT NULL)",
                name="positions_closed_whole",
            ),
            sa.CheckConstraint("status <> 'active' OR evidence IS NULL", name="positions_active_open"),
            sa.CheckConstraint(_EVIDENCE, name="positions_evidence"),
            sa.CheckConstraint(_REASONS, name="positions_exit_reason"),
            sa.Index(
                ACTIVE_KEY,
                "account",
                "symbol",
                sa.text(_SIDE),
                unique=True,
                **make.where(active),
            ),
            sa.Index("positions_by_account", "account", "status", "id"),
        )

    def _orders(self, make: _Columns) -> sa.Table:
        is_open = sa.text("status = 'open'")
        return self._table(
            "orders",
            make.identity(),
            make.text("account", required=True),
            make.position(linked=True),
            make.text("symbol", required=True),
            make.text("order_id", required=True),
            make.text("client_order_id"),
            make.text("order_list", required=True),
            make.text("kind", required=True),
            make.text("order_side", required=True),
            make.text("status", required=True),
            make.number("quantity"),
            make.number("filled_quantity"),
            make.number("average_price"),
            make.number("trigger_price"),
            make.flag("closing"),
            make.flag("ours"),
            make.flag("is_exit"),
            make.text("venue_type", default=""),
            make.instant("created_at", now=True),
            make.instant("updated_at", now=True),
            sa.UniqueConstraint("account", "symbol", "order_id", name="orders_once"),
            sa.Index("orders_by_position", "position_id"),
            sa.Index("orders_open", "account", **make.where(is_open)),
        )

    def _trades(self, make: _Columns) -> sa.Table:
        return self._table(
            "trades",
            make.identity(),
            make.text("account", required=True),
            make.position(required=True, linked=True),
            make.text("symbol", required=True),
            make.text("trade_id", required=True),
            make.text("order_id", required=True),
            make.text("client_order_id"),
            make.text("order_side", required=True),
            make.text("position_side"),
            make.flag("opening"),
            make.number("quantity"),
            make.number("price"),
            make.number("fee"),
            make.text("fee_asset"),
            make.number("realized_pnl"),
            make.instant("executed_at"),
            make.whole("sequence"),
            make.text("kind", required=True),
            make.text("order_kind"),
            make.text("created_by"),
            make.number("fill_quantity"),
            make.number("fill_value"),
            make.number("fill_fee"),
            make.text("fill_fee_asset"),
            make.number("fill_realized_pnl"),
            make.number("fill_closed_quantity"),
            sa.UniqueConstraint("position_id", "trade_id", "order_id", name="trades_once"),
        )

    def _events(self, make: _Columns) -> sa.Table:
        return self._table(
            "events",
            make.identity(),
            make.instant("at", now=True),
            make.text("type", required=True),
            make.text("severity", required=True),
            make.text("account"),
            make.text("symbol"),
            make.position(),
            make.document("data", required=True),
            sa.Index("events_by_position", "position_id"),
            sa.Index("events_by_type", "account", "type", "at"),
        )

    def _effects(self, make: _Columns) -> sa.Table:
        unfinished = sa.text("state <> 'done'")
        return self._table(
            "effects",
            make.identity(),
            make.text("account", required=True),
            make.text("kind", required=True),
            make.text("dedup_key", required=True),
            make.text("payload", required=True),
            make.position(linked=True),
            make.text("state", required=True),
            make.whole("attempts", required=True),
            make.whole("next_attempt_at_ms", required=True),
            make.whole("created_at_ms", required=True),
            make.whole("done_at_ms"),
            make.text("outcome"),
            make.text("last_error"),
            sa.Index(
                "effects_unfinished",
                "account",
                "dedup_key",
                unique=True,
                **make.where(unfinished),
            ),
            sa.Index("effects_by_position", "position_id"),
        )

    def _holds(self, make: _Columns) -> sa.Table:
        standing = sa.text("state IN ('open', 'approved', 'rejected')")
        return self._table(
            "holds",
            make.identity(),
            make.text("account", required=True),
            make.text("kind", required=True),
            make.text("state", required=True),
            make.text("fingerprint", required=True),
            make.text("keys", required=True),
            make.text("position_ids", required=True),
            make.text("summary", required=True),
            make.text("data", required=True),
            make.whole("raised_at_ms", required=True),
            make.whole("decided_at_ms"),
            make.text("note"),
            sa.Index(
                "holds_standing",
                "account",
                "kind",
                "fingerprint",
                unique=True,
                **make.where(standing),
            ),
        )

    def _marks(self, make: _Columns) -> sa.Table:
        return self._table(
            "marks",
            make.text("account", key=True),
            make.text("symbol", key=True),
            make.text("side", key=True),
            make.text("kind", key=True),
            make.whole("first_at_ms", required=True),
            make.whole("last_as_of_ms", required=True),
            make.whole("count", required=True),
            make.text("detail", required=True),
        )

    def _trailing(self, make: _Columns) -> sa.Table:
        return self._table(
            "trailing",
            sa.Column(
                "position_id",
                sa.BigInteger(),
                sa.ForeignKey(make.positions.c.id),
                primary_key=True,
                autoincrement=False,
                info={"kind": "whole"},
            ),
            make.text("account", required=True),
            make.text("phase", required=True),
            make.number("peak_price"),
            make.number("trigger_price"),
            make.whole("moved_at_ms"),
            make.whole("saved_at_ms", required=True),
            sa.Index("trailing_by_account", "account"),
        )

    def _observations(self, make: _Columns) -> sa.Table:
        unbound = sa.text("position_id IS NULL")
        return self._table(
            "observations",
            make.identity(),
            make.text("account", required=True),
            make.position(),
            make.whole("at_ms", required=True),
            make.text("name", required=True),
            make.text("input", required=True),
            make.text("output", required=True),
            sa.Index("observations_by_position", "position_id"),
            sa.Index("observations_unbound", "account", "id", **make.where(unbound)),
        )

    def _requests(self, make: _Columns) -> sa.Table:
        undone = sa.text("state <> 'done'")
        return self._table(
            "requests",
            make.identity(),
            make.text("account", required=True),
            make.text("kind", required=True),
            make.text("payload", required=True),
            make.whole("created_at_ms", required=True),
            make.text("state", required=True),
            make.whole("taken_epoch"),
            make.text("result"),
            make.whole("answered_at_ms"),
            sa.Index("requests_undone", "account", **make.where(undone)),
        )


@functools.cache
def tables_for(dialect: Dialect) -> Tables:
    return Tables(dialect)
