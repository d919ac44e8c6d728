"""A `positions` table of the old system becomes trueup's, in place and in one transaction.

1. Every row and every value is kept. A column of the old table whose name trueup needs for a meaning of its own is kept
   as ``legacy_<name>``; another table of a name that trueup needs is kept as ``legacy_<table>``.
2. Nothing is guessed: which account rows belong to, which exchange, and which of two active rows of one key stays, is
   asked (`LegacyChoiceNeeded`); what cannot be adapted is refused with what stands in the way.
3. Closed rows stay as they are, without evidence (`origin` is ``legacy``); active ones are a bot's rows from now on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import sqlalchemy as sa

from trueup.model.errors import ConfigurationError
from trueup.model.values import Value, to_json
from trueup.store.migrations.book_0001 import POSITIONS_COLUMNS, render
from trueup.store.rows import VENUES
from trueup.store.tables import schema_of, tables_for

__all__ = [
    "CONTRACT_COLUMNS",
    "Legacy",
    "LegacyChoice",
    "LegacyChoiceNeeded",
    "LegacyReport",
    "Reshaper",
    "adapt",
    "find_legacy",
    "finish",
]

CONTRACT_COLUMNS: Final = tuple(POSITIONS_COLUMNS)[: tuple(POSITIONS_COLUMNS).index("version")]
_OWN_COLUMNS: Final = tuple(name for name in POSITIONS_COLUMNS if name not in CONTRACT_COLUMNS)
_NEEDED: Final = ("id", "symbol", "side", "quantity", "status")
_SUPERSEDED: Final = "superseded"
_OLDER: Final = """
SELECT id FROM {t} p WHERE status = 'active' AND EXISTS (
  SELECT 1 FROM {t} n WHERE n.status = 'active' AND n.account = p.account AND n.symbol = p.symbol AND n.id > p.id
  AND CASE lower(n.side) WHEN 'buy' THEN 'long' WHEN 'sell' THEN 'short' ELSE lower(n.side) END
    = CASE lower(p.side) WHEN 'buy' THEN 'long' WHEN 'sell' THEN 'short' ELSE lower(p.side) END
) ORDER BY id
"""


class LegacyChoice(Value, frozen=True, kw_only=True):
    """What somebody decided about the old system's rows.

    Attributes:
        account: Owns every row that `accounts` does not place, if they are all of one exchange.
        accounts: Exchange → account, for a table that holds several.
        exchange: Of rows that name none.
        keep_newest: Of several active rows of one key the newest stays active, the others become ``superseded``.
    """

    account: str | None = None
    accounts: dict[str, str] = {}  # noqa: RUF012 - msgspec copies an empty default
    exchange: str | None = None
    keep_newest: bool = False


class LegacyReport(Value, frozen=True, kw_only=True):
    """What was done.

    Attributes:
        rows: Account → rows of the old system that belong to it now.
        added: Columns that the table lacked.
        converted: Columns whose type became exact.
        renamed: Columns and tables that stand under another name now (old → new).
        statuses: Status as it was written → rows of it that now say active or closed.
        superseded: Ids of active rows that gave way to a newer one of their key.
    """

    rows: dict[str, int]
    added: tuple[str, ...]
    converted: tuple[str, ...]
    renamed: dict[str, str]
    statuses: dict[str, int]
    superseded: tuple[int, ...]

    def __str__(self) -> str:
        parts = [f"rows of the old system that now belong to account {name}: {n}" for name, n in self.rows.items()]
        parts += [f"columns added: {', '.join(self.added)}"] if self.added else []
        parts += [f"columns made exact: {', '.join(self.converted)}"] if self.converted else []
        parts += [f"{old} kept as {new}" for old, new in self.renamed.items()]
        parts += [f"rows of status {old!r} made readable: {count}" for old, count in self.statuses.items()]
        parts += (
            [f"superseded by a newer active row: {', '.join(map(str, self.superseded))}"] if self.superseded else []
        )
        return "; ".join(parts) or "the old system's table was empty"


class LegacyChoiceNeeded(ConfigurationError):
    """Somebody must decide before the old system's table can be taken over; nothing was changed.

    Attributes:
        choice: ``"account"``, ``"exchange"`` or ``"keep_newest"``.
        found: What there is to decide about: exchanges, or ids.
    """

    def __init__(self, choice: str, found: tuple[str, ...], text: str) -> None:
        self.choice = choice
        self.found = found
        super().__init__(text)


class Legacy(Value, frozen=True, kw_only=True):
    """Tables that stand where trueup's go; `where` describes the database."""

    where: str
    tables: tuple[str, ...]


class Reshaper(Protocol):
    """What the two databases do differently. `columns` are the table's as it stands."""

    @property
    def columns(self) -> Mapping[str, str]: ...

    def refuse_what_cannot(self) -> None:
        """Raises `ConfigurationError` for a table that cannot be adapted."""
        ...

    def widen(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Adds what is missing and makes types exact; returns (added, converted)."""
        ...

    def seal(self) -> None:
        """Defaults, NOT NULL and checks, once the rows are right."""
        ...


def find_legacy(connection: sa.Connection, where: str) -> Legacy | None:
    """Tables of another system under names that trueup needs, in a store that trueup never wrote."""
    dialect: Any = connection.dialect.name
    names = set(sa.inspect(connection).get_table_names(schema=schema_of(dialect)))
    names |= set(sa.inspect(connection).get_view_names(schema=schema_of(dialect)))
    taken = names & {table.name for table in tables_for(dialect).metadata.tables.values()}
    return Legacy(where=where, tables=tuple(sorted(taken))) if taken else None


def adapt(connection: sa.Connection, found: Legacy, choice: LegacyChoice | None) -> LegacyReport:
    """Brings the old tables into the shape of revision 0001, before the rest of it is made.

    Raises:
        LegacyChoiceNeeded: See there.
        ConfigurationError: No choice was offered (an embedded store being opened), or it cannot be done.
    """
    if choice is None:
        raise ConfigurationError(
            f"{found.where}: another system's tables stand there ({', '.join(found.tables)}); to take them over run: "
            "trueup db upgrade --account NAME, or name another store in [store] url"
        )
    try:
        return _Adaption(connection, found, choice).run()
    except sa.exc.SQLAlchemyError as error:
        words = " ".join(str(getattr(error, "orig", None) or error).split())
        raise ConfigurationError(
            f"{found.where}: its positions table of the old system cannot be taken over: {words}; nothing was changed"
        ) from error


class _Adaption:
    def __init__(self, connection: sa.Connection, found: Legacy, choice: LegacyChoice) -> None:
        self._connection = connection
        self._found = found
        self._choice = choice
        self._dialect = connection.dialect.name
        self._table = render(self._dialect, "{s}positions")
        self._renamed: dict[str, str] = {}

    def run(self) -> LegacyReport:
        self._set_aside()
        if "positions" not in self._found.tables:
            return self._report((), (), {}, ())
        reshaper = _reshaper(self._connection, self._found.where)
        self._refuse_missing(reshaper.columns)
        reshaper.refuse_what_cannot()
        added, converted = self._widen(reshaper)
        self._place_exchanges()
        self._place_accounts()
        self._fill_times()
        statuses = self._read_statuses()
        superseded = self._supersede()
        self._run("UPDATE {t} SET origin = 'legacy' WHERE status <> 'active' OR status IS NULL")
        reshaper.seal()
        return self._report(added, converted, statuses, superseded)

    def _report(
        self,
        added: tuple[str, ...],
        converted: tuple[str, ...],
        statuses: dict[str, int],
        superseded: tuple[int, ...],
    ) -> LegacyReport:
        rows: dict[str, int] = {}
        if "positions" in self._found.tables:
            counted = self._run("SELECT account, count(*) FROM {t} GROUP BY account ORDER BY account")
            rows = {str(row[0]): int(row[1]) for row in counted}
        return LegacyReport(
            rows=rows,
            added=added,
            converted=converted,
            renamed=self._renamed,
            statuses=statuses,
            superseded=superseded,
        )

    def _run(self, sql: str, **values: Any) -> Any:
        return self._connection.execute(sa.text(sql.replace("{t}", self._table)), values)

    def _set_aside(self) -> None:
        """Keeps the old system's orders, trades, … under another name."""
        schema = schema_of("postgresql" if self._dialect == "postgresql" else "sqlite")
        names = set(sa.inspect(self._connection).get_table_names(schema=schema))
        for table in self._found.tables:
            if table == "positions":
                continue
            new = _free(f"legacy_{table}", names)
            self._run(render(self._dialect, "ALTER TABLE {s}") + f"{table} RENAME TO {new}")
            names.add(new)
            self._renamed[table] = new

    def _refuse_missing(self, columns: Mapping[str, str]) -> None:
        missing = [name for name in _NEEDED if name not in columns]
        if missing:
            raise ConfigurationError(
                f"{self._found.where}: its table positions has no column {', '.join(missing)}: it is not a book of "
                "positions that could be taken over; name another store in [store] url, or rename that table"
            )

    def _widen(self, reshaper: Reshaper) -> tuple[tuple[str, ...], tuple[str, ...]]:
        for name in _OWN_COLUMNS:
            if name in reshaper.columns:
                new = _free(f"legacy_{name}", reshaper.columns)
                self._run(f"ALTER TABLE {{t}} RENAME COLUMN {name} TO {new}")
                self._renamed[f"positions.{name}"] = f"positions.{new}"
        return reshaper.widen()

    def _place_exchanges(self) -> None:
        unplaced = int(self._run("SELECT count(*) FROM {t} WHERE exchange IS NULL OR exchange = ''").scalar_one())
        if not unplaced:
            return
        if self._choice.exchange is None:
            raise LegacyChoiceNeeded(
                "exchange",
                (),
                f"{self._found.where}: {unplaced} rows of the old positions table name no exchange; say which one "
                "they are of (binance or bybit)",
            )
        if self._choice.exchange.lower() not in VENUES:
            raise ConfigurationError(f"old rows: exchange must be binance or bybit, found {self._choice.exchange!r}")
        self._run(
            "UPDATE {t} SET exchange = :exchange WHERE exchange IS NULL OR exchange = ''",
            exchange=self._choice.exchange,
        )

    def _place_accounts(self) -> None:
        counted = self._run(
            "SELECT lower(exchange), count(*) FROM {t} WHERE account IS NULL OR account = '' GROUP BY 1 ORDER BY 1"
        ).fetchall()
        placed = {VENUES.get(name.lower(), name.lower()): account for name, account in self._choice.accounts.items()}
        for exchange, _ in counted:
            only = self._choice.account if len({VENUES.get(row[0], row[0]) for row in counted}) == 1 else None
            account = placed.get(VENUES.get(exchange, exchange), only)
            if account is None:
                raise self._account_needed(counted)
            self._run(
                "UPDATE {t} SET account = :account WHERE (account IS NULL OR account = '') AND lower(exchange) = :of",
                account=account,
                of=exchange,
            )

    def _account_needed(self, counted: Iterable[Any]) -> LegacyChoiceNeeded:
        found = {str(row[0]): int(row[1]) for row in counted}
        listed = ", ".join(f"{count} of {exchange}" for exchange, count in found.items())
        mend = " ".join(["trueup db upgrade", *("--account NAME" for _ in found)])
        return LegacyChoiceNeeded(
            "account",
            tuple(found),
            f"{self._found.where}: the old positions table does not say which account its rows belong to ({listed}); "
            f"name it: {mend}. Nothing was changed",
        )

    def _fill_times(self) -> None:
        """A row without a time of its own counts from its last change, else from now: the book needs an age."""
        now = render(self._dialect, "{now}")
        self._run(
            "UPDATE {t} SET created_at = COALESCE(updated_at, {now}) WHERE created_at IS NULL".replace("{now}", now)
        )
        self._run("UPDATE {t} SET updated_at = created_at WHERE updated_at IS NULL")

    def _read_statuses(self) -> dict[str, int]:
        """``ACTIVE``, ``open`` and their like become the contract's words; anything else stays, and is not active."""
        written = self._run("SELECT DISTINCT status FROM {t} WHERE status NOT IN ('active', 'closed')").fetchall()
        known = {"active": "active", "open": "active", "closed": "closed"}
        done: dict[str, int] = {}
        for (status,) in written:
            meant = known.get(str(status).strip().lower())
            if meant is not None:
                change = "UPDATE {t} SET status = :meant WHERE status = :written"
                done[str(status)] = self._run(change, meant=meant, written=status).rowcount
        return done

    def _supersede(self) -> tuple[int, ...]:
        rows = self._run(_OLDER).fetchall()
        older = tuple(int(row[0]) for row in rows)
        if older and not self._choice.keep_newest:
            shown = ", ".join(map(str, older[:20])) + (" …" if len(older) > 20 else "")
            raise LegacyChoiceNeeded(
                "keep_newest",
                tuple(map(str, older)),
                f"{self._found.where}: the old positions table has several active rows of one symbol and side; rows "
                f"{shown} have a newer one beside them. Close or delete those that are not true, or run it with "
                f"--keep-newest: the newest of each stays active, the others are marked {_SUPERSEDED!r}. Nothing was changed",
            )
        for row_id in older:
            self._run("UPDATE {t} SET status = :status WHERE id = :id", status=_SUPERSEDED, id=row_id)
        return older


def _free(name: str, taken: Iterable[str]) -> str:
    """The name, or the name with the first number that nothing bears yet."""
    names = set(taken)
    numbered = (f"{name}_{number}" for number in range(2, len(names) + 3))
    return name if name not in names else next(other for other in numbered if other not in names)


def _reshaper(connection: sa.Connection, where: str) -> Reshaper:
    if connection.dialect.name == "sqlite":
        from trueup.store.legacy_sqlite import SqliteReshaper

        return SqliteReshaper(connection, where)
    from trueup.store.legacy_postgresql import PostgresqlReshaper

    return PostgresqlReshaper(connection, where)


def finish(connection: sa.Connection, where: str, report: LegacyReport) -> None:
    """After the rest of the schema was made: tries what trueup will write, and notes what was done in the log.

    Raises:
        ConfigurationError: A rule of the old table (a check, an index, a trigger) refuses trueup's rows.
    """
    dialect = connection.dialect.name
    table = render(dialect, "{s}positions")
    probe: Any = {"account": "trueup probe", "symbol": "A-LONG-BASE-NAME/USDT:USDT-301227-100000-C"}
    try:
        with connection.begin_nested() as savepoint:
            for side in ("long", "short"):
                connection.execute(
                    sa.text(
                        f"INSERT INTO {table} (account, exchange, symbol, side, status, quantity, origin) "  # noqa: S608
                        f"VALUES (:account, 'binanceusdm', :symbol, '{side}', 'active', '0.000000000000000001', 'adopted')"
                    ),
                    probe,
                )
            closed = "exit_reason = 'PHANTOM_ON_SYNC', evidence = 'absence', closed_at = created_at"
            connection.execute(
                sa.text(f"UPDATE {table} SET status = 'closed', version = 1, {closed} WHERE account = :account"),  # noqa: S608
                {"account": probe["account"]},
            )
            savepoint.rollback()
    except sa.exc.SQLAlchemyError as error:
        words = " ".join(str(getattr(error, "orig", None) or error).split())
        raise ConfigurationError(
            f"{where}: a rule of the old positions table refuses rows that trueup writes: {words}; drop that rule and "
            "run the upgrade again. Nothing was changed"
        ) from error
    events = render(dialect, "{s}events")
    for account, count in report.rows.items():
        data = {"rows": count, "added": report.added, "converted": report.converted, "renamed": report.renamed}
        data |= {"statuses": report.statuses, "superseded": report.superseded}
        connection.execute(
            sa.text(
                f"INSERT INTO {events} (type, severity, account, data) "  # noqa: S608 - a constant table name
                f"VALUES ('LEGACY_MIGRATED', 'info', :account, {'CAST(:data AS JSON)' if dialect != 'sqlite' else ':data'})"
            ),
            {"account": account, "data": to_json(data)},
        )
