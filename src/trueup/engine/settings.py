"""What the engine is told of an account: plain values, made by bootstrap from the configuration."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from trueup.core.cases import Policy
from trueup.core.stops import StopPolicy
from trueup.core.trailing import TrailingPolicy
from trueup.model.events import Severity
from trueup.model.positions import AccountMode
from trueup.model.values import Value

__all__ = ["AccountPlan", "AlertPlan", "Timing", "TrailingKind", "TrailingPlan"]


class AlertPlan(Value, frozen=True, kw_only=True):
    """Whom to tell. `places`: how many; 0: nobody, and no notice is written."""

    places: int = 0
    min_severity: Severity = Severity.WARNING


class TrailingKind(StrEnum):
    """Who follows the price with a stop."""

    OWN = "own"
    NATIVE = "native"  # the venue, by an order that trueup sets
    OFF = "off"


class TrailingPlan(Value, frozen=True, kw_only=True):
    """How stops follow."""

    kind: TrailingKind = TrailingKind.OFF
    policy: TrailingPolicy = TrailingPolicy(activation_percent=Decimal("1.5"), callback_percent=Decimal("0.5"))


class AccountPlan(Value, frozen=True, kw_only=True):
    """One account.

    Attributes:
        symbols: As written in the configuration; empty: all. `ignore_symbols` are never looked at, never touched.
        protect_adopted: Whether adopted positions should have stops.
        grace_ms: How long an open position may be seen without a live stop.
        stops: Where stops are placed, and what is done where none can be.
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
    trailing: TrailingPlan = TrailingPlan()
    stops: StopPolicy = StopPolicy()
    alerts: AlertPlan = AlertPlan()


class Timing(Value, frozen=True, kw_only=True):
    """How often and how long. Seconds.

    Attributes:
        audit_interval_s: Between two audits of an account.
        orders_every: The order lists are read at every n-th audit while the stream is up.
        lease_s: How long an owner that stopped renewing keeps others out.
        cleanup_window_s, cleanup_pattern: So many failed cleanups within so long are a finding of their own.
        settle_s: After a stream message, how long its companions are waited for.
        unproven_s: What a stream said and its companions did not prove within so long is left to a look.
        stream_lag_s: How much later than an audit the stream may tell of a fill before it is taken as deaf.
        look_spacing_s: Between the looks that stream messages ask for.
        orders_spacing_s: Between readings of the order lists that stream messages ask for.
        stream_down_s: A stream that stays down so long is told.
        prices_down_s: Mark prices that stopped to come so long ago are told, where a stop follows them.
        prices_silent_s: A followed symbol of which nothing was heard for so long is asked for by a request.
        prices_read_s: Between two such requests.
        peaks_saved_s: Between two writings of peaks that moved no trigger.
    """

    audit_interval_s: float
    orders_every: int = 4
    lease_s: float = 12.0
    cleanup_window_s: float = 600.0
    cleanup_pattern: int = 5
    settle_s: float = 0.05
    unproven_s: float = 0.25
    stream_lag_s: float = 5.0
    look_spacing_s: float = 0.5
    orders_spacing_s: float = 10.0
    stream_down_s: float = 300.0
    prices_down_s: float = 10.0
    prices_silent_s: float = 15.0
    prices_read_s: float = 5.0
    peaks_saved_s: float = 5.0
