"""What the account-wide rules know beside the verdicts on single keys."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from trueup.core.agreement import Agreed
from trueup.core.cases import Ending
from trueup.model.changes import RecordedOrder
from trueup.model.holds import Hold, Mark
from trueup.model.positions import AccountMode, PositionKey
from trueup.model.values import Value

__all__ = ["Situation"]

_NONE_AGREED = Agreed()


class Situation(Value, frozen=True, kw_only=True):
    """What the account-wide rules need beside the verdicts.

    Attributes:
        applies: Whether the book may be written.
        active_count: Active rows of the account before this look, unreadable ones included.
        recent_absences: Closes on absence within the window before this look.
        recorded: Open recorded orders of the account's lifecycles.
        ended: Lifecycles that the book has recorded as ended already.
        agreed: Rows that no verdict is needed on.
        marks: Every mark of the account: those of keys that neither side has any more are cleared.
        now_ms: Our clock.
    """

    account: str
    venue: str
    mode: AccountMode
    applies: bool
    now_ms: int
    active_count: int
    recent_absences: int
    mass_close_fraction: Decimal
    holds: tuple[Hold, ...] = ()
    recorded: tuple[RecordedOrder, ...] = ()
    ended: Mapping[PositionKey, tuple[Ending, ...]] = {}
    marks: tuple[Mark, ...] = ()
    agreed: Agreed = _NONE_AGREED
