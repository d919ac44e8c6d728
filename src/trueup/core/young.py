"""Whether a row is too young for its absence, or for an end before it, to mean anything: its own fill may not be visible yet.

1. A row's age counts from when it was made, or shown open if that was before.
2. A bot may date its rows hours ahead (local time without an offset). Such a date tells no age: it counts from the first view
   that lacked the row, and a mark keeps when that was; the row was open by now at the latest.
"""

from __future__ import annotations

import msgspec

from trueup.core.cases import Case, LeaveYoung, Suspect
from trueup.core.marks import sighting
from trueup.model.holds import MarkKind
from trueup.model.positions import Position

__all__ = ["dated", "left_young"]


def dated(row: Position, now_ms: int, grace_ms: int) -> Position:
    """The row, opened now where it was never seen and its bot says later: its lifecycle is looked for before now."""
    if row.verified_as_of_ms is not None or row.opened_at_ms <= now_ms + grace_ms:
        return row
    return msgspec.structs.replace(row, opened_at_ms=now_ms)


def left_young(case: Case, row: Position, what: str, *, counts: bool) -> LeaveYoung | Suspect | None:
    """What is to be waited for; None: the row is old enough.

    Args:
        what: What its youth leaves open, in words that go on from its age.
        counts: False: something of the account could not be read, the view counts for no age.
    """
    grace_ms = case.policy.new_row_grace_ms
    age_ms = case.now_ms - min(row.created_at_ms, row.verified_as_of_ms or row.created_at_ms)
    if age_ms >= grace_ms:
        return None
    if age_ms > -grace_ms:
        return LeaveYoung(row=row, why=f"the row is {age_ms // 1000} s old{what}", wait_ms=grace_ms - age_ms)
    mark = sighting(case, MarkKind.GONE, str(row.quantity), counts=counts)
    lacked_ms = mark.last_as_of_ms - mark.first_at_ms
    if lacked_ms >= grace_ms:
        return None
    why = f"the row is dated {-age_ms // 1000} s ahead of now, and views have lacked it for {lacked_ms // 1000} s{what}"
    return Suspect(row=row, mark=mark, why=why, wait_ms=grace_ms - lacked_ms)
