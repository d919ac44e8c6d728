"""What the engine is told of an account: plain values, made by bootstrap from the configuration."""

from __future__ import annotations

from decimal import Decimal

from trueup.core.cases import Policy
from trueup.model.events import Severity
from trueup.model.positions import AccountMode
from trueup.model.values import Value

__all__ = ["AccountPlan", "AlertPlan", "Timing"]


class AlertPlan(Value, frozen=True, kw_only=True):
    """Whom to tell. `places`: how many; 0: nobody, and no notice is written."""

    places: int = 0
    min_severity: Severity = Severity.WARNING


class AccountPlan(Value, frozen=True, kw_only=True):
    """One account.

    Attributes:
        symbols: As written in the configuration; empty: all. `ignore_symbols` are never looked at, never touched.
        protect_adopted: Whether adopted positions should have stops.
        grace_ms: How long an open position may be seen without a live stop.
    """

    name: str
    venue: str
    mode: AccountMode
    policy: Policy
    mass_close_fraction: Decimal
    mass_close_window_ms: int
    symbols: tuple[str, ...] = ()
    ignore_symbols: tuple[str, ...] = ()
    protect_adopted: bool = False
    grace_ms: int = 10_000
    alerts: AlertPlan = AlertPlan()


class Timing(Value, frozen=True, kw_only=True):
    """How often and how long. Seconds.

    Attributes:
        audit_interval_s: Between two audits of an account.
        orders_every: The order lists are read at every n-th audit while the stream is up.
        lease_s: How long an owner that stopped renewing keeps others out.
        cleanup_window_s, cleanup_pattern: So many failed cleanups within so long are a finding of their own.
        settle_s: After a stream message, how long its companions are waited for.
        look_spacing_s: Between the looks that stream messages ask for.
        orders_spacing_s: Between readings of the order lists that stream messages ask for.
        stream_down_s: A stream that stays down so long is told.
    """

    audit_interval_s: float
    orders_every: int = 4
    lease_s: float = 12.0
    cleanup_window_s: float = 600.0
    cleanup_pattern: int = 5
    settle_s: float = 0.05
    look_spacing_s: float = 0.5
    orders_spacing_s: float = 10.0
    stream_down_s: float = 300.0
