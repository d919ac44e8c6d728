"""Decisions that wait for a person, and marks that wait for confirmation."""

from __future__ import annotations

from enum import StrEnum

from trueup.model.orders import Side
from trueup.model.positions import PositionKey
from trueup.model.values import Value

__all__ = ["Hold", "HoldKind", "HoldState", "HoldUpdate", "Mark", "MarkKind", "NewHold"]


class HoldKind(StrEnum):
    MASS_CLOSE = "mass_close"
    INCONCLUSIVE = "inconclusive"
    ADOPTION = "adoption"
    IDENTITY = "identity"


class HoldState(StrEnum):
    OPEN = "open"
    APPROVED = "approved"  # a person said yes; carried out on the next fresh look, which may withdraw it
    DONE = "done"
    REJECTED = "rejected"  # not raised again until the positions are seen or the evidence changes
    WITHDRAWN = "withdrawn"


class NewHold(Value, frozen=True, kw_only=True):
    """`fingerprint` names the evidence: a rejected hold is not raised again while it is the same.

    `keys` are (symbol, side) pairs; `position_ids` are the book's rows among them.
    """

    account: str
    kind: HoldKind
    fingerprint: str
    keys: tuple[tuple[str, Side], ...]
    position_ids: tuple[int, ...] = ()
    summary: str
    data: dict[str, object] = {}  # noqa: RUF012 - msgspec copies an empty default
    raised_at_ms: int


class Hold(Value, frozen=True, kw_only=True):
    hold_id: int
    account: str
    kind: HoldKind
    state: HoldState
    fingerprint: str
    keys: tuple[tuple[str, Side], ...]
    position_ids: tuple[int, ...]
    summary: str
    data: dict[str, object]
    raised_at_ms: int
    decided_at_ms: int | None = None
    note: str | None = None


class HoldUpdate(Value, frozen=True, kw_only=True):
    hold_id: int
    state: HoldState
    at_ms: int
    note: str | None = None


class MarkKind(StrEnum):
    GONE = "gone"  # an active row that complete snapshots lack
    MISSING = "missing"  # a venue position that the book lacks
    CHANGED = "changed"  # a difference that no fill explains
    UNPROTECTED = "unprotected"


class Mark(Value, frozen=True, kw_only=True):
    """Something seen `count` times since `first_at_ms`, not yet decided. One a key and kind.

    Attributes:
        last_as_of_ms: The newest view that showed it: a view counts once.
        detail: Tells whether it is still the same thing (a quantity, say); another detail starts the count again.
    """

    key: PositionKey
    kind: MarkKind
    first_at_ms: int
    last_as_of_ms: int
    count: int
    detail: str = ""
