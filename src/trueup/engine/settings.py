"""What the engine is told of an account: plain values, made by bootstrap from the configuration."""

from __future__ import annotations

from decimal import Decimal

from trueup.core.cases import Policy
from trueup.model.positions import AccountMode
from trueup.model.values import Value

__all__ = ["AccountPlan", "Timing"]


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


class Timing(Value, frozen=True, kw_only=True):
    """How often and how long. Seconds.

    Attributes:
        audit_interval_s: Between two audits of an account.
        lease_s: How long an owner that stopped renewing keeps others out.
    """

    audit_interval_s: float
    orders_every: int = 4
    lease_s: float = 12.0
    cleanup_window_s: float = 600.0
    cleanup_pattern: int = 5
