"""The audit log: what is said, how loud, with which data keys.

The first group's names and data keys are the original system's and never change.
"""

from __future__ import annotations

from enum import StrEnum

from trueup.model.positions import PositionKey
from trueup.model.values import Value

__all__ = ["Event", "EventType", "NewEvent", "Severity"]


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class EventType(StrEnum):
    PHANTOM_POSITION_DETECTED = "PHANTOM_POSITION_DETECTED"
    PHANTOM_POSITION_CLOSED = "PHANTOM_POSITION_CLOSED"
    TRAILING_STOP_REMOVED = "TRAILING_STOP_REMOVED"
    ORPHANED_SL_CLEANED = "ORPHANED_SL_CLEANED"
    POSITIONS_LOADED = "POSITIONS_LOADED"

    SYNCHRONIZATION_STARTED = "SYNCHRONIZATION_STARTED"
    SYNCHRONIZATION_COMPLETED = "SYNCHRONIZATION_COMPLETED"
    SYNCHRONIZATION_FAILED = "SYNCHRONIZATION_FAILED"
    POSITION_VERIFIED = "POSITION_VERIFIED"
    POSITION_CLOSED = "POSITION_CLOSED"
    CLOSED_ON_ABSENCE = "CLOSED_ON_ABSENCE"
    QUANTITY_MISMATCH_DETECTED = "QUANTITY_MISMATCH_DETECTED"
    ENTRY_PRICE_CORRECTED = "ENTRY_PRICE_CORRECTED"
    MISSING_POSITION_DETECTED = "MISSING_POSITION_DETECTED"
    MISSING_POSITION_ADDED = "MISSING_POSITION_ADDED"
    MISSING_POSITION_REJECTED = "MISSING_POSITION_REJECTED"
    POSITION_SUSPECTED = "POSITION_SUSPECTED"
    SUSPICION_CLEARED = "SUSPICION_CLEARED"
    CLOSE_AMENDED = "CLOSE_AMENDED"
    ROW_QUARANTINED = "ROW_QUARANTINED"
    HOLD_RAISED = "HOLD_RAISED"
    HOLD_APPROVED = "HOLD_APPROVED"
    HOLD_REJECTED = "HOLD_REJECTED"
    HOLD_WITHDRAWN = "HOLD_WITHDRAWN"
    IDENTITY_PINNED = "IDENTITY_PINNED"
    IDENTITY_MISMATCH = "IDENTITY_MISMATCH"
    ORPHANED_SL_KEPT = "ORPHANED_SL_KEPT"
    ORPHAN_ORDER_DETECTED = "ORPHAN_ORDER_DETECTED"
    CLEANUP_FAILED = "CLEANUP_FAILED"
    CLEANUP_FAILURE_PATTERN = "CLEANUP_FAILURE_PATTERN"
    EFFECT_ESCALATED = "EFFECT_ESCALATED"
    CLOSE_REQUESTED = "CLOSE_REQUESTED"
    CLOSE_SENT = "CLOSE_SENT"
    CLOSE_FAILED = "CLOSE_FAILED"
    POSITION_UNPROTECTED = "POSITION_UNPROTECTED"
    POSITION_PROTECTED = "POSITION_PROTECTED"
    STOP_PLACED = "STOP_PLACED"
    STOP_SWEPT = "STOP_SWEPT"
    STOP_FAILED = "STOP_FAILED"
    OWNER_CHANGED = "OWNER_CHANGED"
    ACCOUNT_UNOBSERVED = "ACCOUNT_UNOBSERVED"
    ACCOUNT_OBSERVED_AGAIN = "ACCOUNT_OBSERVED_AGAIN"
    REQUESTS_STOPPED = "REQUESTS_STOPPED"
    STREAM_DOWN = "STREAM_DOWN"
    STREAM_UP_AGAIN = "STREAM_UP_AGAIN"
    NOTICE_FAILED = "NOTICE_FAILED"
    TRAILING_STOP_ACTIVATED = "TRAILING_STOP_ACTIVATED"
    TRAILING_STOP_TRIGGERED = "TRAILING_STOP_TRIGGERED"
    TRAILING_STOP_SET = "TRAILING_STOP_SET"
    TRAILING_STOP_FAILED = "TRAILING_STOP_FAILED"
    PRICE_FEED_DOWN = "PRICE_FEED_DOWN"
    PRICE_FEED_UP_AGAIN = "PRICE_FEED_UP_AGAIN"
    LEGACY_MIGRATED = "LEGACY_MIGRATED"


class NewEvent(Value, frozen=True, kw_only=True):
    """An event about to be committed.

    `position_id` names a row; for a row that the same transaction inserts, `key` names it and the store fills in the id
    (also in ``data["position_id"]`` where that key is present with None).
    """

    type: EventType
    severity: Severity
    account: str | None
    at_ms: int
    symbol: str | None = None
    position_id: int | None = None
    key: PositionKey | None = None
    tag: str = ""  # with `key`: which of several insertions of it
    data: dict[str, object] = {}  # noqa: RUF012 - msgspec copies an empty default


class Event(Value, frozen=True, kw_only=True):
    """A committed event."""

    event_id: int
    at_ms: int
    type: str
    severity: Severity
    account: str | None
    symbol: str | None
    position_id: int | None
    data: dict[str, object]
