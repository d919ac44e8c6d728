"""The statements that a commit is made of, one of each per dialect, compiled when first used."""

from __future__ import annotations

import functools
from typing import Any, Final

import sqlalchemy as sa

from trueup.model.effects import EffectKind
from trueup.model.positions import Evidence
from trueup.store.batch import Batch, Incoming, InsertBatch, Statement, raw, upsert_batch
from trueup.store.rows import ORDER_COLUMNS, POSITION_COLUMNS, TRADE_COLUMNS
from trueup.store.tables import Dialect, tables_for

__all__ = ["OPEN_COLUMNS", "ORDER_WRITE_COLUMNS", "UPDATE_COLUMNS", "Statements", "statements_for"]

_EVENT_LOCK: Final = 0x74727565_75700001  # "trueup": one key of PostgreSQL's advisory locks

OPEN_COLUMNS: Final = (
    "account",
    "exchange",
    "symbol",
    "side",
    "entry_price",
    "current_price",
    "quantity",
    "leverage",
    "stop_loss",
    "take_profit",
    "status",
    "pnl",
    "pnl_percentage",
    "exit_reason",
    "created_at",
    "updated_at",
    "closed_at",
    "origin",
    "contract_size",
    "unverified",
    "realized_pnl",
    "opened_at",
    "opening_order_id",
    "venue_updated_at",
    "verified_as_of",
    "exit_price",
    "settle_asset",
    "fees",
    "funding",
    "net_pnl",
    "evidence",
    "estimated",
    "complete",
    "closing_order_id",
)
UPDATE_COLUMNS: Final = (
    "symbol",
    "quantity",
    "contract_size",
    "entry_price",
    "current_price",
    "leverage",
    "realized_pnl",
    "opened_at",
    "opening_order_id",
    "unverified",
    "trailing_activated",
    "has_trailing_stop",
    "stop_loss",
    "suspected_since",
    "venue_updated_at",
    "verified_as_of",
)
_SHAPES_KEPT: Final = 64
_LEARNED: Final = ("symbol", "contract_size", "entry_price", "opened_at", "opening_order_id")
_CLOSING: Final = (
    "status",
    "quantity",
    "pnl",
    "pnl_percentage",
    "exit_reason",
    "closed_at",
    "realized_pnl",
    "exit_price",
    "settle_asset",
    "fees",
    "funding",
    "net_pnl",
    "evidence",
    "estimated",
    "complete",
    "closing_order_id",
)
CLOSE_COLUMNS: Final = (*_LEARNED, *_CLOSING)
ORDER_WRITE_COLUMNS: Final = (
    "account",
    "position_id",
    "symbol",
    "order_id",
    "client_order_id",
    "order_list",
    "kind",
    "order_side",
    "status",
    "quantity",
    "filled_quantity",
    "average_price",
    "trigger_price",
    "closing",
    "ours",
    "is_exit",
    "venue_type",
    "created_at",
    "updated_at",
)
_ORDER_KEPT: Final = (
    "position_id",
    "client_order_id",
    "quantity",
    "filled_quantity",
    "average_price",
    "trigger_price",
)
_TRADE_UNIQUE: Final = ("position_id", "trade_id", "order_id")
MARK_COLUMNS: Final = ("account", "symbol", "side", "kind", "first_at_ms", "last_as_of_ms", "count", "detail")
EFFECT_COLUMNS: Final = (
    "account",
    "kind",
    "dedup_key",
    "payload",
    "position_id",
    "state",
    "attempts",
    "next_attempt_at_ms",
    "created_at_ms",
)
TRAILING_COLUMNS: Final = (
    "position_id",
    "account",
    "phase",
    "peak_price",
    "trigger_price",
    "moved_at_ms",
    "saved_at_ms",
)
EVENT_COLUMNS: Final = ("at", "type", "severity", "account", "symbol", "position_id", "data")
OBSERVATION_COLUMNS: Final = ("account", "position_id", "at_ms", "name", "input", "output")


class Statements:
    """Built lazily: a command that writes nothing compiles nothing."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect: Dialect = dialect
        self.tables = tables_for(dialect)
        self._updates: dict[tuple[tuple[str, ...], bool], Batch] = {}
        self._trades: dict[tuple[str, ...], Batch] = {}

    @functools.cached_property
    def fence(self) -> Statement:
        """The owner's row, locked against a takeover until the end of the transaction (PostgreSQL)."""
        owners = self.tables.owners
        query = sa.select(owners.c.holder, owners.c.epoch).where(owners.c.account == sa.bindparam("account"))
        return Statement(self.dialect, query.with_for_update(read=True) if self.dialect == "postgresql" else query)

    @functools.cached_property
    def active(self) -> Statement:
        """The rows of `account` that are active, in `POSITION_COLUMNS`."""
        return self._read(self.tables.positions, POSITION_COLUMNS, "account", status="active")

    @functools.cached_property
    def position(self) -> Statement:
        """The row `position`, in `POSITION_COLUMNS`."""
        table = self.tables.positions
        return Statement(self.dialect, raw(table, POSITION_COLUMNS).where(table.c.id == sa.bindparam("position")))

    @functools.cached_property
    def orders_of(self) -> Statement:
        """Of the row `position`, in `ORDER_COLUMNS`."""
        table = self.tables.orders
        query = raw(table, ORDER_COLUMNS).where(table.c.position_id == sa.bindparam("position"))
        return Statement(self.dialect, query.order_by(table.c.id))

    @functools.cached_property
    def trades_of(self) -> Statement:
        """Of the row `position`, in `TRADE_COLUMNS`, as they happened."""
        table = self.tables.trades
        query = raw(table, TRADE_COLUMNS).where(table.c.position_id == sa.bindparam("position"))
        return Statement(
            self.dialect,
            query.order_by(table.c.executed_at, sa.func.coalesce(table.c.sequence, sa.literal_column("0")), table.c.id),
        )

    @functools.cached_property
    def paused(self) -> Statement:
        """Whether `account` is; no row: it is not."""
        states = self.tables.account_state
        account: sa.BindParameter[str] = sa.bindparam("account")
        return Statement(self.dialect, sa.select(states.c.paused).where(states.c.account == account))

    @functools.cached_property
    def recorded_orders(self) -> Statement:
        """Those of `account` that are recorded as open, in `ORDER_COLUMNS`."""
        table = self.tables.orders
        return self._read(table, ORDER_COLUMNS, "account", table.c.position_id.is_not(None), status="open")

    @functools.cached_property
    def trailing_of(self) -> Statement:
        """Of the active rows of `account`: position, phase, peak, trigger, moved at, saved at."""
        table, book = self.tables.trailing, self.tables.positions
        names = ("position_id", "phase", "peak_price", "trigger_price", "moved_at_ms", "saved_at_ms")
        account: sa.BindParameter[str] = sa.bindparam("account")
        is_active = book.c.status == sa.literal_column("'active'")
        followed = sa.select(book.c.id).where(book.c.account == account, is_active)
        query = raw(table, names).where(table.c.account == account, table.c.position_id.in_(followed))
        return Statement(self.dialect, query.order_by(table.c.position_id))

    def _read(
        self, table: sa.Table, names: tuple[str, ...], by: str, *where: sa.ColumnElement[bool], status: str
    ) -> Statement:
        stands = table.c.status == sa.literal_column(f"'{status}'")
        query = raw(table, names).where(table.c[by] == sa.bindparam(by), stands, *where)
        return Statement(self.dialect, query.order_by(table.c.id))

    @functools.cached_property
    def standing(self) -> Statement:
        """How much stands of `account`: paused, the pin's two parts, marks, holds, orders, effects, trailing records."""
        t = self.tables
        account: sa.BindParameter[str] = sa.bindparam("account")
        stands = t.holds.c.state.in_([sa.literal_column(f"'{state}'") for state in ("open", "approved", "rejected")])
        is_open = sa.and_(t.orders.c.status == sa.literal_column("'open'"), t.orders.c.position_id.is_not(None))
        unfinished = t.effects.c.state != sa.literal_column("'done'")
        of_row = sa.and_(
            t.trailing.c.position_id == t.positions.c.id, t.positions.c.status == sa.literal_column("'active'")
        )

        def one(column: Any) -> Any:
            return sa.select(column).where(column.table.c.account == account).scalar_subquery()

        def count(table: sa.Table, *where: Any) -> Any:
            return (
                sa.select(sa.func.count())
                .select_from(table)
                .where(table.c.account == account, *where)
                .scalar_subquery()
            )

        return Statement(
            self.dialect,
            sa.select(
                one(t.account_state.c.paused),
                one(t.pins.c.fingerprint),
                one(t.pins.c.strength),
                count(t.marks),
                count(t.holds, stands),
                count(t.orders, is_open),
                count(t.effects, unfinished),
                count(t.trailing, sa.exists().where(of_row)),
            ),
        )

    @functools.cached_property
    def waiting(self) -> Statement:
        """Accounts with a request (0) or a notice that is due at `now` (1)."""
        requests, effects = self.tables.requests, self.tables.effects
        now: sa.BindParameter[int] = sa.bindparam("now", type_=sa.BigInteger())
        undone = requests.c.state != sa.literal_column("'done'")
        asked = sa.select(sa.literal_column("0"), requests.c.account).where(undone)
        notice = effects.c.kind == sa.literal_column(f"'{EffectKind.NOTIFY.value}'")
        unfinished = effects.c.state != sa.literal_column("'done'")
        due = sa.select(sa.literal_column("1"), effects.c.account).where(
            unfinished, notice, effects.c.next_attempt_at_ms <= now
        )
        return Statement(self.dialect, asked.union(due))

    @functools.cached_property
    def account_state(self) -> Batch:
        """Rows: account, state, at_ms."""

        def update(_table: sa.Table, new: Any) -> dict[str, Any]:
            return {"state": new["state"], "at_ms": new["at_ms"]}

        return upsert_batch(
            self.dialect, self.tables.account_state, ("account", "state", "at_ms"), ("account",), update
        )

    @functools.cached_property
    def open(self) -> InsertBatch:
        return InsertBatch(self.dialect, self.tables.positions, OPEN_COLUMNS)

    def update(self, changed: tuple[str, ...], *, clears: bool) -> Batch:
        """Rows: id, version, account, updated_at, clear_suspected if `clears`, then `changed`, of `UPDATE_COLUMNS`.

        What no row changes is not sent: most updates change a few columns, and a wide one costs the database twice as much.
        """
        found = self._updates.get((changed, clears))
        if found is None:
            if len(self._updates) >= _SHAPES_KEPT:
                self._updates.clear()
            found = self._updates[changed, clears] = self._update(changed, clears=clears)
        return found

    def _update(self, changed: tuple[str, ...], *, clears: bool) -> Batch:
        positions = self.tables.positions
        kinds = {name: positions.c[name] for name in ("id", "version", "account", "updated_at")}
        if clears:
            kinds |= {"clear_suspected": positions.c.unverified}
        kinds |= {name: positions.c[name] for name in changed}

        def build(row: Incoming) -> sa.Executable:
            values: dict[str, Any] = {name: sa.func.coalesce(row[name], positions.c[name]) for name in changed}
            if clears:
                kept = values.get("suspected_since", positions.c.suspected_since)
                values["suspected_since"] = sa.case((row["clear_suspected"], sa.null()), else_=kept)
            return self._moved(row, values, "active", names_symbol="symbol" in changed)

        return Batch(self.dialect, kinds, build)

    def _moved(self, row: Incoming, values: dict[str, Any], status: str, *, names_symbol: bool = True) -> sa.Update:
        """An update of rows of that status under compare-and-set; a rewritten symbol keeps what the bot wrote."""
        positions = self.tables.positions
        if names_symbol:
            rewritten = sa.and_(row["symbol"].is_not(None), row["symbol"] != positions.c.symbol)
            written = sa.func.coalesce(positions.c.written_symbol, positions.c.symbol)
            values["written_symbol"] = sa.case((rewritten, written), else_=positions.c.written_symbol)
        values["version"] = positions.c.version + 1
        values["updated_at"] = row["updated_at"]
        return (
            sa.update(positions)
            .values(values)
            .where(
                positions.c.id == row["id"],
                positions.c.version == row["version"],
                positions.c.account == row["account"],
                positions.c.status == sa.literal_column(f"'{status}'"),
            )
        )

    def _close(self, status: str) -> Batch:
        """Rows: id, version, account, updated_at, rank, then `CLOSE_COLUMNS`."""
        positions = self.tables.positions
        kinds = {name: positions.c[name] for name in ("id", "version", "account", "updated_at")}
        kinds |= {"rank": self.tables.marks.c["count"]}
        kinds |= {name: positions.c[name] for name in CLOSE_COLUMNS}
        ranks: dict[Any, int] = {sa.literal_column(f"'{evidence}'"): evidence.rank for evidence in Evidence}
        standing = sa.case(
            *((positions.c.evidence == text, sa.literal_column(str(rank))) for text, rank in ranks.items()),
            else_=sa.literal_column("9"),
        )

        def build(row: Incoming) -> sa.Executable:
            values: dict[str, Any] = {name: sa.func.coalesce(row[name], positions.c[name]) for name in _LEARNED}
            values |= {name: row[name] for name in _CLOSING}
            values["suspected_since"] = sa.null()
            return self._moved(row, values, status).where(standing >= row["rank"])

        return Batch(self.dialect, kinds, build)

    @functools.cached_property
    def close(self) -> Batch:
        return self._close("active")

    @functools.cached_property
    def amend(self) -> Batch:
        return self._close("closed")

    @functools.cached_property
    def order(self) -> Batch:
        def update(table: sa.Table, new: Any) -> dict[str, Any]:
            values: dict[str, Any] = {
                name: new[name]
                for name in ORDER_WRITE_COLUMNS
                if name not in ("account", "symbol", "order_id", "created_at")
            }
            values |= {name: sa.func.coalesce(new[name], table.c[name]) for name in _ORDER_KEPT}
            same = sa.or_(
                new["position_id"].is_(None),
                table.c.position_id.is_(None),
                new["position_id"] == table.c.position_id,
            )
            stays = sa.and_(table.c.ours, same, table.c.status != sa.text("'rejected'"))
            return values | {
                "ours": sa.or_(new["ours"], stays),
                "is_exit": sa.or_(new["is_exit"], table.c.is_exit),
            }

        unique = ("account", "symbol", "order_id")
        return upsert_batch(self.dialect, self.tables.orders, ORDER_WRITE_COLUMNS, unique, update)

    @functools.cached_property
    def forget_order(self) -> Batch:
        """Rows: account, symbol, order_id, status, updated_at. What is known to have ended keeps its end."""
        orders = self.tables.orders
        names = ("account", "symbol", "order_id", "status", "updated_at")

        def build(row: Incoming) -> sa.Executable:
            return (
                sa.update(orders)
                .values(status=row["status"], updated_at=row["updated_at"])
                .where(
                    orders.c.account == row["account"],
                    orders.c.symbol == row["symbol"],
                    orders.c.order_id == row["order_id"],
                    orders.c.status.in_([sa.literal_column("'open'"), sa.literal_column("'unknown'")]),
                )
            )

        return Batch(self.dialect, {name: orders.c[name] for name in names}, build)

    @functools.cached_property
    def forget_trades(self) -> Batch:
        """Rows: position_id, whose trades go."""
        trades = self.tables.trades
        return Batch(
            self.dialect,
            {"position_id": trades.c.position_id},
            lambda row: sa.delete(trades).where(trades.c.position_id == row["position_id"]),
        )

    def trade(self, told: tuple[str, ...]) -> Batch:
        """Rows: `told`, of `TRADE_COLUMNS`; the others are NULL in each, and so become in a row that stands there already."""
        found = self._trades.get(told)
        if found is None:
            if len(self._trades) >= _SHAPES_KEPT:
                self._trades.clear()

            def update(_table: sa.Table, new: Any) -> dict[str, Any]:
                return {name: new[name] for name in TRADE_COLUMNS if name not in _TRADE_UNIQUE}

            found = self._trades[told] = upsert_batch(self.dialect, self.tables.trades, told, _TRADE_UNIQUE, update)
        return found

    @functools.cached_property
    def effect(self) -> Batch:
        """Inserts effects that are not waiting already; on PostgreSQL it returns (dedup_key, id) of either."""
        return upsert_batch(
            self.dialect,
            self.tables.effects,
            EFFECT_COLUMNS,
            ("account", "dedup_key"),
            lambda table, _new: {"dedup_key": table.c.dedup_key},
            unique_where=sa.text("state <> 'done'"),
            returning=("dedup_key", "id") if self.dialect == "postgresql" else (),
        )

    @functools.cached_property
    def effect_ids(self) -> Statement:
        """(dedup_key, id) of the account's unfinished effects among a JSON list of keys (SQLite)."""
        effects = self.tables.effects
        wanted = sa.text("dedup_key IN (SELECT value FROM json_each(:wanted))").bindparams(sa.bindparam("wanted"))
        query = sa.select(effects.c.dedup_key, effects.c.id)
        query = query.where(effects.c.account == sa.bindparam("account"), effects.c.state != sa.text("'done'"), wanted)
        return Statement(self.dialect, query)

    @functools.cached_property
    def effect_update(self) -> Batch:
        """Rows: account, id, state, attempts, next_attempt_at_ms, outcome, last_error, done_at_ms."""
        effects = self.tables.effects
        changed = ("state", "attempts", "next_attempt_at_ms", "outcome", "last_error", "done_at_ms")

        def build(row: Incoming) -> sa.Executable:
            return (
                sa.update(effects)
                .values({name: row[name] for name in changed})
                .where(
                    effects.c.account == row["account"],
                    effects.c.id == row["id"],
                    sa.or_(effects.c.state != sa.text("'done'"), row["state"] == sa.text("'done'")),
                )
            )

        return Batch(self.dialect, {name: effects.c[name] for name in ("account", "id", *changed)}, build)

    @functools.cached_property
    def hold_update(self) -> Batch:
        """Rows: account, id, state, decided_at_ms, note."""
        holds = self.tables.holds

        def build(row: Incoming) -> sa.Executable:
            return (
                sa.update(holds)
                .values(
                    state=row["state"],
                    decided_at_ms=row["decided_at_ms"],
                    note=sa.func.coalesce(row["note"], holds.c.note),
                )
                .where(
                    holds.c.account == row["account"],
                    holds.c.id == row["id"],
                    sa.or_(holds.c.state.not_in(sa.text("('done', 'withdrawn')")), holds.c.state == row["state"]),
                )
            )

        names = ("account", "id", "state", "decided_at_ms", "note")
        return Batch(self.dialect, {name: holds.c[name] for name in names}, build)

    @functools.cached_property
    def mark(self) -> Batch:
        unique = ("account", "symbol", "side", "kind")

        def update(_table: sa.Table, new: Any) -> dict[str, Any]:
            return {name: new[name] for name in MARK_COLUMNS if name not in unique}

        return upsert_batch(self.dialect, self.tables.marks, MARK_COLUMNS, unique, update)

    @functools.cached_property
    def clear_mark(self) -> Batch:
        """Rows: account, symbol, side, kind."""
        marks = self.tables.marks
        names = ("account", "symbol", "side", "kind")

        def build(row: Incoming) -> sa.Executable:
            return sa.delete(marks).where(*(marks.c[name] == row[name] for name in names))

        return Batch(self.dialect, {name: marks.c[name] for name in names}, build)

    @functools.cached_property
    def trailing(self) -> Batch:
        """Rows: `TRAILING_COLUMNS`."""

        def update(_table: sa.Table, new: Any) -> dict[str, Any]:
            return {name: new[name] for name in TRAILING_COLUMNS if name != "position_id"}

        return upsert_batch(self.dialect, self.tables.trailing, TRAILING_COLUMNS, ("position_id",), update)

    @functools.cached_property
    def observation(self) -> InsertBatch:
        return InsertBatch(self.dialect, self.tables.observations, OBSERVATION_COLUMNS)

    @functools.cached_property
    def event(self) -> InsertBatch:
        """On PostgreSQL under a lock until COMMIT: a reader that follows ids never sees a higher one first."""
        lock = None
        if self.dialect == "postgresql":
            taken = sa.select(sa.func.pg_advisory_xact_lock(sa.literal_column(str(_EVENT_LOCK))).label("taken"))
            lock = taken.cte("event_order").prefix_with("MATERIALIZED", dialect="postgresql")
        return InsertBatch(self.dialect, self.tables.events, EVENT_COLUMNS, after=lock)


@functools.cache
def statements_for(dialect: Dialect) -> Statements:
    return Statements(dialect)
