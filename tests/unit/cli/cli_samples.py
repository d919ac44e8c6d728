"""Values for screens and JSON: one of every kind, as small as they can be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from trueup.model.events import Event, EventType, Severity
from trueup.model.holds import Hold, HoldKind, HoldState
from trueup.model.observations import Quarantined
from trueup.model.orders import OrderKind, OrderSide, Side
from trueup.model.positions import (
    AccountMode,
    Amount,
    CloseDetails,
    Evidence,
    ExitReason,
    Origin,
    Position,
    PositionStatus,
)
from trueup.model.reports import (
    AccountReport,
    AccountStatus,
    Check,
    Drift,
    DriftKind,
    ExplainedStep,
    Explanation,
    HeldReport,
    OrderReport,
    ProtectionReport,
    QuantityChange,
    SyncReport,
)

NOW_MS = 1_795_378_443_000  # 2026-11-22T20:14:03Z


def position(**changes: Any) -> Position:
    symbol = changes.get("symbol", "BTC/USDT:USDT")
    values: dict[str, Any] = {
        "position_id": 1,
        "account": "main",
        "venue": "binanceusdm",
        "symbol": symbol,
        "written_symbol": symbol,
        "side": Side.LONG,
        "quantity": Decimal("0.010"),
        "contract_size": Decimal(1),
        "entry_price": Decimal("60000.00"),
        "current_price": Decimal("61000.5"),
        "origin": Origin.ADOPTED,
        "opened_at_ms": NOW_MS - 12_000,
        "created_at_ms": NOW_MS - 10_000,
        "updated_at_ms": NOW_MS - 5_000,
    }
    return Position(**(values | changes))


def closed(*, evidence: Evidence = Evidence.FILLS, close: dict[str, Any] | None = None, **changes: Any) -> Position:
    details: dict[str, Any] = {
        "quantity": Decimal("10"),
        "exit_price": Decimal("150.10"),
        "settle_asset": "USDT",
        "realized_pnl": Decimal("12.30"),
        "fees": (Amount(asset="USDT", amount=Decimal("0.02")), Amount(asset="BNB", amount=Decimal("0.0001"))),
        "funding": Decimal("-0.5"),
        "net_pnl": None,
        "exit_reason": ExitReason.TAKE_PROFIT,
        "evidence": evidence,
        "complete": True,
        "closed_at_ms": NOW_MS - 3_000,
    }
    values: dict[str, Any] = {
        "position_id": 3,
        "symbol": "SOL/USDT:USDT",
        "quantity": Decimal("10"),
        "entry_price": Decimal("148.87"),
        "status": PositionStatus.CLOSED,
    }
    return position(**(values | changes), close=CloseDetails(**(details | (close or {}))))


def order(**changes: Any) -> OrderReport:
    values: dict[str, Any] = {
        "order_id": "8886774",
        "client_order_id": "tu-3-a1",
        "symbol": "SOL/USDT:USDT",
        "side": OrderSide.SELL,
        "kind": OrderKind.STOP,
        "trigger_price": Decimal("141.40"),
        "quantity": None,
    }
    return OrderReport(**(values | changes))


def account_report(**changes: Any) -> AccountReport:
    values: dict[str, Any] = {
        "account": "main",
        "venue": "binanceusdm",
        "mode": AccountMode.SYNC,
        "observed": True,
    }
    return AccountReport(**(values | changes))


def report(*accounts: AccountReport) -> SyncReport:
    return SyncReport(started_at_ms=NOW_MS - 1_234, finished_at_ms=NOW_MS, accounts=accounts or (account_report(),))


def full_account(**changes: Any) -> AccountReport:
    """Something in every list."""
    ether = position(position_id=2, symbol="ETH/USDT:USDT", quantity=Decimal("0.5"), side=Side.SHORT)
    gone = position(position_id=5, symbol="XRP/USDT:USDT", suspected_since_ms=NOW_MS - 40_000)
    values: dict[str, Any] = {
        "verified": (position(),),
        "closed_phantom": (closed(),),
        "added_missing": (position(position_id=4, symbol="ADA/USDT:USDT", unverified=True),),
        "updated_quantity": (QuantityChange(position=ether, previous_quantity=Decimal("1.0")),),
        "suspected": (gone,),
        "held": (
            HeldReport(
                hold_id=3,
                kind=HoldKind.MASS_CLOSE,
                positions=(position(position_id=6), position(position_id=7, symbol="LTC/USDT:USDT")),
                summary="2 of 5 positions are gone within 600 s without any fill",
            ),
            HeldReport(
                hold_id=4,
                kind=HoldKind.ADOPTION,
                positions=(position(position_id=0, symbol="DOT/USDT:USDT", contract_size=None, entry_price=None),),
                summary="an operator chose to decide on adoptions",
            ),
        ),
        "quarantined": (Quarantined(symbol="LUNCUSDT", problem="not in the market list"),),
        "rejected": (Quarantined(symbol="BNB/USDT:USDT", problem="no opening order is known yet"),),
        "protection": ProtectionReport(
            placed=(order(order_id="1", quantity=Decimal("0.010")),),
            cancelled=(order(),),
            failed=(order(order_id="9", problem="-2011: unknown order"),),
            orphans=(order(order_id="10", client_order_id=None, kind=OrderKind.TRAILING_STOP, trigger_price=None),),
            unprotected=(position(),),
        ),
        "unfinished_effects": 1,
    }
    return account_report(**(values | changes))


def drift(text: str, severity: Severity = Severity.WARNING) -> Drift:
    """A finding that has stood for 65 seconds."""
    return Drift(
        kind=DriftKind.GONE,
        symbol="BTC/USDT:USDT",
        subject="long",
        severity=severity,
        since_ms=NOW_MS - 65_000,
        text=text,
    )


def account_status(**changes: Any) -> AccountStatus:
    values: dict[str, Any] = {
        "account": "main",
        "venue": "binanceusdm",
        "mode": AccountMode.SYNC,
        "owner": "host-a:4242",
        "last_good_at_ms": NOW_MS - 12_000,
        "last_look_at_ms": NOW_MS - 12_000,
        "identity": "uid-1",
        "audit_interval_s": 30.0,
        "effective_interval_s": 30.0,
        "positions": 2,
        "exposure": (("USDT", Decimal("1234.56")),),
        "clock_skew_ms": 12,
    }
    return AccountStatus(**(values | changes))


def hold(**changes: Any) -> Hold:
    values: dict[str, Any] = {
        "hold_id": 3,
        "account": "main",
        "kind": HoldKind.MASS_CLOSE,
        "state": HoldState.OPEN,
        "fingerprint": "f",
        "keys": (("BTC/USDT:USDT", Side.LONG), ("LTC/USDT:USDT", Side.LONG)),
        "position_ids": (6, 7),
        "summary": "2 of 5 positions are gone within 600 s without any fill",
        "data": {},
        "raised_at_ms": NOW_MS - 60_000,
    }
    return Hold(**(values | changes))


def event(**changes: Any) -> Event:
    values: dict[str, Any] = {
        "event_id": 1,
        "at_ms": NOW_MS - 3_000,
        "type": EventType.PHANTOM_POSITION_CLOSED,
        "severity": Severity.WARNING,
        "account": "main",
        "symbol": "SOL/USDT:USDT",
        "position_id": 3,
        "data": {"symbol": "SOL/USDT:USDT", "exchange": "binanceusdm", "position_id": 3, "reason": "not_on_exchange"},
    }
    return Event(**(values | changes))


def explanation(**changes: Any) -> Explanation:
    steps = (
        ExplainedStep(
            at_ms=NOW_MS - 12_000,
            type="MISSING_POSITION_ADDED",
            severity="info",
            summary="The venue showed 10 contracts that the book lacked; order 77 opened them.",
            data={"order_id": "77", "quantity": Decimal("10")},
        ),
        ExplainedStep(
            at_ms=NOW_MS - 3_000,
            type="POSITION_CLOSED",
            severity="warning",
            summary="A complete view shows flat, and two fills net the lifecycle to zero.",
            data={"fills": [{"price": Decimal("150.10")}]},
        ),
    )
    return Explanation(position=changes.get("position", closed()), steps=changes.get("steps", steps))


def checks() -> tuple[Check, ...]:
    return (
        Check(scope="configuration", name="file", level="ok", detail="trueup.toml"),
        Check(scope="account main", name="clock", level="ok", detail="12 ms behind the venue"),
        Check(
            scope="account main",
            name="key permissions",
            level="warning",
            detail="the key may withdraw",
            mend="make a key without the withdrawal right; trueup never needs it",
        ),
    )
