"""What a pass found and did, per account; what people and scripts are shown.

1. A list is empty because there was nothing, or because the account was not observed: `observed` tells which.
2. The exit code follows from the reports alone (docs: the contract's table), the first that applies: 2, 1, 5, 4, 3, 0.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from trueup.model.events import Severity
from trueup.model.holds import HoldKind
from trueup.model.observations import Quarantined
from trueup.model.orders import OrderKind, OrderSide
from trueup.model.positions import AccountMode, Position, PositionKey
from trueup.model.values import Value

__all__ = [
    "AccountReport",
    "AccountStatus",
    "Check",
    "ExplainedStep",
    "Explanation",
    "HeldReport",
    "OrderReport",
    "ProtectionNumbers",
    "ProtectionReport",
    "QuantityChange",
    "Replay",
    "ReplayDifference",
    "SyncReport",
]


class OrderReport(Value, frozen=True, kw_only=True):
    """An order in a report. `quantity` None: the whole position. `problem`: why it failed, or why it is an orphan.

    `order_id` None: it is not on the venue, only wanted there.
    """

    order_id: str | None
    client_order_id: str | None
    symbol: str
    side: OrderSide
    kind: OrderKind
    trigger_price: Decimal | None = None
    quantity: Decimal | None = None
    problem: str | None = None


class QuantityChange(Value, frozen=True, kw_only=True):
    position: Position
    previous_quantity: Decimal


class HeldReport(Value, frozen=True, kw_only=True):
    """`positions` are rows of the book, or (an adoption) what would become one; such a one has `position_id` 0."""

    hold_id: int
    kind: HoldKind
    positions: tuple[Position, ...]
    summary: str


class ProtectionReport(Value, frozen=True, kw_only=True):
    placed: tuple[OrderReport, ...] = ()
    cancelled: tuple[OrderReport, ...] = ()
    failed: tuple[OrderReport, ...] = ()
    orphans: tuple[OrderReport, ...] = ()
    unprotected: tuple[Position, ...] = ()


class ProtectionNumbers(Value, frozen=True, kw_only=True):
    """What protection came to over an account's whole life. Seconds are counted from when a thing was first seen.

    Attributes:
        unprotected_now: Positions (``BTC/USDT:USDT long``) that should have live stops and have not, and for how long.
        unprotected_ended_seconds: Of all positions that were without cover and no longer are.
        times_covered: How often a position without cover got it; `cover_seconds`: how long that took in all.
        orphans_gone: Orders of ended positions that we took off the venue; `orphan_seconds`: how long they had stood in all.
        cancels_failed: Passes whose attempts at a cancel all failed.
    """

    unprotected_now: tuple[tuple[str, float], ...] = ()
    unprotected_ended_seconds: float = 0.0
    times_covered: int = 0
    cover_seconds: float = 0.0
    longest_cover_seconds: float = 0.0
    stops_placed: int = 0
    stops_swept: int = 0
    orphans_gone: int = 0
    orphan_seconds: float = 0.0
    cancels_failed: int = 0

    @property
    def unprotected_seconds(self) -> float:
        """Of all positions, those that are without cover now included."""
        return round(self.unprotected_ended_seconds + sum(seconds for _, seconds in self.unprotected_now), 3)


class AccountReport(Value, frozen=True, kw_only=True):
    """One account's part of a pass.

    Attributes:
        applied: False in observe mode, with ``--dry-run`` and while paused: the lists say what would be done.
        identity_error: The key answers for another account (exit 2).
        failure: An unexpected failure of ours (exit 1).
        uncovered: Open positions without live stops for their whole quantity, whether they should have them or not.
        unprotected_overdue: Of `protection.unprotected`, whether one is past ``grace_s`` (exit 5 in protect mode).
        unfinished_effects: Effects that are not carried out at the end of the pass.
    """

    account: str
    venue: str
    mode: AccountMode
    observed: bool
    error: str | None = None
    identity_error: bool = False
    failure: bool = False
    applied: bool = True
    verified: tuple[Position, ...] = ()
    closed_phantom: tuple[Position, ...] = ()
    added_missing: tuple[Position, ...] = ()
    updated_quantity: tuple[QuantityChange, ...] = ()
    suspected: tuple[Position, ...] = ()
    held: tuple[HeldReport, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    rejected: tuple[Quarantined, ...] = ()  # venue positions not adopted, with why
    protection: ProtectionReport = ProtectionReport()
    uncovered: tuple[PositionKey, ...] = ()
    unprotected_overdue: bool = False
    unfinished_effects: int = 0

    @property
    def has_drift(self) -> bool:
        """Whether book and venue differ, or may, after this pass."""
        pending = bool(self.closed_phantom or self.added_missing or self.updated_quantity) and not self.applied
        return bool(
            pending or self.suspected or self.held or self.quarantined or self.rejected or self.protection.orphans
        )

    @property
    def exit_code(self) -> int:
        if self.identity_error:
            return 2
        if self.failure:
            return 1
        acts = self.mode is AccountMode.PROTECT and self.applied
        if self.unfinished_effects or (acts and self.unprotected_overdue):
            return 5
        if not self.observed:
            return 4
        return 3 if self.has_drift else 0


class SyncReport(Value, frozen=True, kw_only=True):
    started_at_ms: int
    finished_at_ms: int
    accounts: tuple[AccountReport, ...]

    @property
    def exit_code(self) -> int:
        """The first that applies of 2, 1, 5, 4, 3, 0 over all accounts."""
        codes = {report.exit_code for report in self.accounts}
        return next((code for code in (2, 1, 5, 4, 3) if code in codes), 0)


class DriftKind(StrEnum):
    """How book and venue differ."""

    GONE = "gone"  # in the book, not on the venue
    MISSING = "missing"  # on the venue, not in the book
    QUANTITY = "quantity"
    SUSPECTED = "suspected"
    HELD = "held"
    QUARANTINED = "quarantined"  # a row of either that cannot be read
    REJECTED = "rejected"  # on the venue, not adopted yet
    ORPHAN = "orphan"  # an order with nothing left to close


class Drift(Value, frozen=True, kw_only=True):
    """One difference that stands.

    Attributes:
        subject: What of the symbol it is about: a side, an order, a hold, a problem.
        since_ms: Our time of the first look that showed it.
        text: In words.
    """

    kind: DriftKind
    symbol: str
    subject: str
    severity: Severity
    since_ms: int = 0
    text: str


class AccountStatus(Value, frozen=True, kw_only=True):
    """What is true now of an account, for `trueup status`.

    Attributes:
        last_good_at_ms: When it was last observed completely; None: never.
        error: Of the newest look, if it failed.
        owner: Holder of a running lease; None: nobody runs it.
        interval_why: Why the effective interval is longer than the configured one, in words; None: it is not.
        drift: Findings of the newest look, worst first; empty when book and venue agree.
        exposure: Sum of quantity times contract size times price by settle asset (linear), or in quote units (inverse).
        failed_cleanups: Cancels that are escalated or pending after a failed attempt.
    """

    account: str
    venue: str
    mode: AccountMode
    paused: bool = False
    owner: str | None = None
    last_good_at_ms: int | None = None
    last_look_at_ms: int | None = None
    error: str | None = None
    identity: str | None = None
    audit_interval_s: float
    effective_interval_s: float
    interval_why: str | None = None
    streams: str = "none"
    clock_skew_ms: int | None = None
    positions: int = 0
    exposure: tuple[tuple[str, Decimal], ...] = ()
    suspected: int = 0
    open_holds: int = 0
    quarantined: int = 0
    orphans: int = 0
    unprotected: int = 0
    pending_effects: int = 0
    failed_cleanups: int = 0
    cleanup_failures_total: int = 0
    protection: ProtectionNumbers = ProtectionNumbers()
    drift: tuple[Drift, ...] = ()


class ExplainedStep(Value, frozen=True, kw_only=True):
    """One change of a position and why: the event, and what it was decided on."""

    at_ms: int
    type: str
    severity: str
    summary: str
    data: dict[str, object]


class Explanation(Value, frozen=True, kw_only=True):
    position: Position
    steps: tuple[ExplainedStep, ...]


class ReplayDifference(Value, frozen=True, kw_only=True):
    """A recorded decision that this program would not make again; both as JSON."""

    observation_id: int
    account: str
    position_id: int | None
    at_ms: int
    recorded: str
    now: str


class Replay(Value, frozen=True, kw_only=True):
    decided: int
    differences: tuple[ReplayDifference, ...]


class Check(Value, frozen=True, kw_only=True):
    """One line of `doctor`: `level` is ``ok``, ``warning`` or ``error``; `mend` says what to do about it."""

    scope: str
    name: str
    level: str
    detail: str
    mend: str | None = None
