"""The book as revision 0001 made it. Never edited afterwards: a later change is a later revision.

`{...}` stand for what the two databases spell differently; `render` fills them in.
"""

from __future__ import annotations

from typing import Final

__all__ = ["POSITIONS_CHECKS", "POSITIONS_COLUMNS", "POSITIONS_INDEXES", "TABLES", "guards", "positions_ddl", "render"]

_SPELLING: Final = {
    "sqlite": {
        "s": "",
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL",
        "number": "TEXT",
        "instant": "TEXT",
        "document": "TEXT",
        "whole": "BIGINT",
        "flag": "BOOLEAN",
        "false": "0",
        "now": "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
    },
    "postgresql": {
        "s": "monitoring.",
        "id": "BIGSERIAL PRIMARY KEY",
        "number": "NUMERIC",
        "instant": "TIMESTAMP WITH TIME ZONE",
        "document": "JSON",
        "whole": "BIGINT",
        "flag": "BOOLEAN",
        "false": "false",
        "now": "now()",
    },
}


def render(dialect: str, text: str) -> str:
    return text.format(**_SPELLING[dialect])


POSITIONS_COLUMNS: Final[dict[str, str]] = {
    "id": "{id}",
    "account": "TEXT NOT NULL",
    "exchange": "TEXT NOT NULL",
    "symbol": "TEXT NOT NULL",
    "side": "TEXT NOT NULL",
    "entry_price": "{number}",
    "current_price": "{number}",
    "quantity": "{number}",
    "leverage": "{number}",
    "stop_loss": "{number}",
    "take_profit": "{number}",
    "status": "TEXT DEFAULT 'active' NOT NULL",
    "pnl": "{number}",
    "pnl_percentage": "{number}",
    "exit_reason": "TEXT",
    "trailing_activated": "{flag} DEFAULT {false}",
    "has_trailing_stop": "{flag} DEFAULT {false}",
    "suspected_since": "{instant}",
    "created_at": "{instant} DEFAULT {now} NOT NULL",
    "updated_at": "{instant} DEFAULT {now} NOT NULL",
    "closed_at": "{instant}",
    "version": "{whole} DEFAULT 0 NOT NULL",
    "origin": "TEXT DEFAULT 'bot' NOT NULL",
    "written_symbol": "TEXT",
    "contract_size": "{number}",
    "unverified": "{flag} DEFAULT {false} NOT NULL",
    "realized_pnl": "{number}",
    "opened_at": "{instant}",
    "opening_order_id": "TEXT",
    "venue_updated_at": "{instant}",
    "verified_as_of": "{instant}",
    "exit_price": "{number}",
    "settle_asset": "TEXT",
    "fees": "{document}",
    "funding": "{number}",
    "net_pnl": "{number}",
    "evidence": "TEXT",
    "estimated": "{flag}",
    "complete": "{flag} DEFAULT {false} NOT NULL",
    "closing_order_id": "TEXT",
}

POSITIONS_CHECKS: Final[dict[str, str]] = {
    "positions_status": "status IN ('active', 'closed') OR origin = 'legacy'",
    "positions_origin": "origin IN ('bot', 'adopted', 'legacy')",
    "positions_closed_whole": "status <> 'closed' OR origin = 'legacy' OR "
    "(evidence IS NOT NULL AND exit_reason IS NOT NULL AND closed_at IS NOT NULL)",
    "positions_active_open": "status <> 'active' OR evidence IS NULL",
    "positions_evidence": "evidence IS NULL OR evidence IN ('fills', 'closed_pnl', 'order', 'absence')",
    "positions_exit_reason": "evidence IS NULL OR exit_reason IN ('manual', 'stop_loss', 'take_profit', "
    "'trailing_stop', 'liquidation', 'adl', 'settlement', 'external', 'sync_cleanup', 'PHANTOM_ON_SYNC')",
}

POSITIONS_INDEXES: Final = (
    "CREATE UNIQUE INDEX positions_one_active ON {s}positions (account, symbol, (CASE lower(side) WHEN 'buy' THEN "
    "'long' WHEN 'sell' THEN 'short' ELSE lower(side) END)) WHERE status = 'active'",
    "CREATE INDEX positions_by_account ON {s}positions (account, status, id)",
)


def positions_ddl(dialect: str, name: str = "positions", extra: tuple[str, ...] = ()) -> str:
    """CREATE TABLE, with `extra` column definitions of an older table."""
    columns = [f"{column} {kind}" for column, kind in POSITIONS_COLUMNS.items()]
    checks = [f"CONSTRAINT {check} CHECK ({rule})" for check, rule in POSITIONS_CHECKS.items()]
    body = ",\n  ".join(render(dialect, item) for item in (*columns, *checks))
    own = "".join(f",\n  {definition}" for definition in extra)
    head, separator, rest = body.partition(",\n  CONSTRAINT ")
    return render(dialect, "CREATE TABLE {s}") + f"{name} (\n  {head}{own}{separator}{rest}\n)"


TABLES: Final[dict[str, tuple[str, ...]]] = {
    "orders": (
        """CREATE TABLE {s}orders (
          id {id},
          account TEXT NOT NULL,
          position_id {whole} REFERENCES {s}positions (id),
          symbol TEXT NOT NULL,
          order_id TEXT NOT NULL,
          client_order_id TEXT,
          order_list TEXT NOT NULL,
          kind TEXT NOT NULL,
          order_side TEXT NOT NULL,
          status TEXT NOT NULL,
          quantity {number},
          filled_quantity {number},
          average_price {number},
          trigger_price {number},
          closing {flag} DEFAULT {false} NOT NULL,
          ours {flag} DEFAULT {false} NOT NULL,
          is_exit {flag} DEFAULT {false} NOT NULL,
          venue_type TEXT DEFAULT '' NOT NULL,
          created_at {instant} DEFAULT {now} NOT NULL,
          updated_at {instant} DEFAULT {now} NOT NULL,
          CONSTRAINT orders_once UNIQUE (account, symbol, order_id)
        )""",
        "CREATE INDEX orders_by_position ON {s}orders (position_id)",
        "CREATE INDEX orders_open ON {s}orders (account) WHERE status = 'open'",
    ),
    "trades": (
        """CREATE TABLE {s}trades (
          id {id},
          account TEXT NOT NULL,
          position_id {whole} NOT NULL REFERENCES {s}positions (id),
          symbol TEXT NOT NULL,
          trade_id TEXT NOT NULL,
          order_id TEXT NOT NULL,
          client_order_id TEXT,
          order_side TEXT NOT NULL,
          position_side TEXT,
          opening {flag} DEFAULT {false} NOT NULL,
          quantity {number},
          price {number},
          fee {number},
          fee_asset TEXT,
          realized_pnl {number},
          executed_at {instant},
          sequence {whole},
          kind TEXT NOT NULL,
          order_kind TEXT,
          created_by TEXT,
          fill_quantity {number},
          fill_value {number},
          fill_fee {number},
          fill_fee_asset TEXT,
          fill_realized_pnl {number},
          fill_closed_quantity {number},
          CONSTRAINT trades_once UNIQUE (position_id, trade_id)
        )""",
    ),
    "events": (
        """CREATE TABLE {s}events (
          id {id},
          at {instant} DEFAULT {now} NOT NULL,
          type TEXT NOT NULL,
          severity TEXT NOT NULL,
          account TEXT,
          symbol TEXT,
          position_id {whole},
          data {document} NOT NULL
        )""",
        "CREATE INDEX events_by_position ON {s}events (position_id)",
        "CREATE INDEX events_by_type ON {s}events (account, type, at)",
    ),
    "effects": (
        """CREATE TABLE {s}effects (
          id {id},
          account TEXT NOT NULL,
          kind TEXT NOT NULL,
          dedup_key TEXT NOT NULL,
          payload TEXT NOT NULL,
          position_id {whole} REFERENCES {s}positions (id),
          state TEXT NOT NULL,
          attempts {whole} NOT NULL,
          next_attempt_at_ms {whole} NOT NULL,
          created_at_ms {whole} NOT NULL,
          done_at_ms {whole},
          outcome TEXT,
          last_error TEXT
        )""",
        "CREATE UNIQUE INDEX effects_unfinished ON {s}effects (account, dedup_key) WHERE state <> 'done'",
        "CREATE INDEX effects_by_position ON {s}effects (position_id)",
    ),
    "holds": (
        """CREATE TABLE {s}holds (
          id {id},
          account TEXT NOT NULL,
          kind TEXT NOT NULL,
          state TEXT NOT NULL,
          fingerprint TEXT NOT NULL,
          keys TEXT NOT NULL,
          position_ids TEXT NOT NULL,
          summary TEXT NOT NULL,
          data TEXT NOT NULL,
          raised_at_ms {whole} NOT NULL,
          decided_at_ms {whole},
          note TEXT
        )""",
        "CREATE UNIQUE INDEX holds_standing ON {s}holds (account, kind, fingerprint) "
        "WHERE state IN ('open', 'approved', 'rejected')",
    ),
    "marks": (
        """CREATE TABLE {s}marks (
          account TEXT NOT NULL,
          symbol TEXT NOT NULL,
          side TEXT NOT NULL,
          kind TEXT NOT NULL,
          first_at_ms {whole} NOT NULL,
          last_as_of_ms {whole} NOT NULL,
          count {whole} NOT NULL,
          detail TEXT NOT NULL,
          PRIMARY KEY (account, symbol, side, kind)
        )""",
    ),
    "observations": (
        """CREATE TABLE {s}observations (
          id {id},
          account TEXT NOT NULL,
          position_id {whole},
          at_ms {whole} NOT NULL,
          name TEXT NOT NULL,
          input TEXT NOT NULL,
          output TEXT NOT NULL
        )""",
        "CREATE INDEX observations_by_position ON {s}observations (position_id)",
        "CREATE INDEX observations_unbound ON {s}observations (account, id) WHERE position_id IS NULL",
    ),
    "requests": (
        """CREATE TABLE {s}requests (
          id {id},
          account TEXT NOT NULL,
          kind TEXT NOT NULL,
          payload TEXT NOT NULL,
          created_at_ms {whole} NOT NULL,
          state TEXT NOT NULL,
          taken_epoch {whole},
          result TEXT,
          answered_at_ms {whole}
        )""",
        "CREATE INDEX requests_undone ON {s}requests (account) WHERE state <> 'done'",
    ),
    "owners": (
        """CREATE TABLE {s}owners (
          account TEXT NOT NULL PRIMARY KEY,
          holder TEXT NOT NULL,
          epoch {whole} NOT NULL,
          expires_at_ms {whole} NOT NULL
        )""",
    ),
    "pins": (
        """CREATE TABLE {s}pins (
          account TEXT NOT NULL PRIMARY KEY,
          fingerprint TEXT NOT NULL,
          strength TEXT NOT NULL,
          at_ms {whole} NOT NULL
        )""",
    ),
    "account_state": (
        """CREATE TABLE {s}account_state (
          account TEXT NOT NULL PRIMARY KEY,
          state TEXT,
          at_ms {whole},
          paused {flag} DEFAULT {false} NOT NULL,
          paused_at_ms {whole}
        )""",
    ),
}

_STATUS = "trueup: positions.status is 'active' or 'closed'"
_LEGACY = "trueup: origin 'legacy' is given by the migration only"
_STAYS = "trueup: a position moves from 'active' to 'closed' and nowhere else; a new opening is a new row"
_CLOSES = "trueup: positions are closed by trueup, which writes exit_reason, evidence, closed_at and the next version"
_FIXED = "trueup: the closing columns of a closed position are trueup's; an amendment writes the next version"
_CLOSING_COLUMNS = (
    "quantity",
    "pnl",
    "exit_reason",
    "closed_at",
    "realized_pnl",
    "exit_price",
    "fees",
    "funding",
    "net_pnl",
    "evidence",
)
_WHOLE = "NEW.evidence IS NOT NULL AND NEW.exit_reason IS NOT NULL AND NEW.closed_at IS NOT NULL"


def guards(dialect: str) -> tuple[str, ...]:
    """The triggers that keep the lifecycle, whoever writes."""
    differs = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    cast = "" if dialect == "sqlite" else "::text"
    changed = " OR ".join(f"OLD.{c}{cast} {differs} NEW.{c}{cast}" for c in _CLOSING_COLUMNS)
    on_insert = (
        ("NEW.status NOT IN ('active', 'closed')", _STATUS),
        ("NEW.origin = 'legacy'", _LEGACY),
        (f"NEW.status = 'closed' AND NOT ({_WHOLE})", _CLOSES),
    )
    on_update = (
        ("OLD.origin <> 'legacy' AND NEW.origin = 'legacy'", _LEGACY),
        ("OLD.status <> NEW.status AND NOT (OLD.status = 'active' AND NEW.status = 'closed')", _STAYS),
        (f"OLD.status <> NEW.status AND NOT ({_WHOLE} AND NEW.version = OLD.version + 1)", _CLOSES),
        (f"OLD.status = 'closed' AND NEW.version <> OLD.version + 1 AND ({changed})", _FIXED),
    )
    concerned = "OLD.status <> NEW.status OR OLD.status = 'closed' OR OLD.origin <> NEW.origin"
    if dialect == "sqlite":
        return (
            _sqlite_trigger("positions_guard_insert", "INSERT", "TRUE", on_insert),
            _sqlite_trigger("positions_guard_update", "UPDATE", concerned, on_update),
        )
    return (
        *_pg_trigger("positions_guard_insert", "INSERT", "TRUE", on_insert),
        *_pg_trigger("positions_guard_update", "UPDATE", concerned, on_update),
    )


def _sqlite_trigger(name: str, verb: str, concerned: str, rules: tuple[tuple[str, str], ...]) -> str:
    cases = "\n".join(f"    WHEN {rule} THEN RAISE(ABORT, {_quoted(text)})" for rule, text in rules)
    return (
        f"CREATE TRIGGER {name} BEFORE {verb} ON positions WHEN {concerned} BEGIN\n  SELECT CASE\n{cases}\n  END;\nEND"
    )


def _pg_trigger(name: str, verb: str, concerned: str, rules: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    raising = "\n".join(
        f"  IF {rule} THEN RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = {_quoted(text)}; END IF;"
        for rule, text in rules
    )
    function = (
        f"CREATE FUNCTION monitoring.{name}() RETURNS trigger LANGUAGE plpgsql AS $guard$\nBEGIN\n{raising}\n"
        "  RETURN NEW;\nEND\n$guard$"
    )
    trigger = (
        f"CREATE TRIGGER {name} BEFORE {verb} ON monitoring.positions FOR EACH ROW WHEN ({concerned}) "
        f"EXECUTE FUNCTION monitoring.{name}()"
    )
    return function, trigger


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
