"""Counting sightings: a difference is confirmed by several views, far enough apart.

1. A view counts once: the same `as_of_ms` again adds nothing.
2. Another detail (another quantity, say) is another difference: its count starts again.
3. Times are venue times of views, never our clock.
4. Where the book may not be written, a finding stands until somebody mends it: its mark keeps that it was told.
"""

from __future__ import annotations

import msgspec

from trueup.core.cases import Case, Reject
from trueup.model.holds import Mark, MarkKind
from trueup.model.observations import PositionReport

__all__ = ["REFUSED", "is_confirmed", "refused_row", "sighting", "still_to_wait", "told"]

REFUSED = "refused"
"""Detail of the mark of a position that the database takes no row for."""

_TOLD = " (told)"


def sighting(case: Case, kind: MarkKind, detail: str, *, counts: bool) -> Mark:
    """The key's mark with this view added; `counts` False keeps the count (something could not be read)."""
    mark = case.mark
    if mark is None or mark.kind is not kind or mark.detail.removesuffix(_TOLD) != detail:
        return Mark(
            key=case.key,
            kind=kind,
            first_at_ms=case.as_of_ms,
            last_as_of_ms=case.as_of_ms,
            count=1 if counts else 0,
            detail=detail,
        )
    if not counts or case.as_of_ms <= mark.last_as_of_ms:
        return mark
    return Mark(
        key=case.key,
        kind=kind,
        first_at_ms=mark.first_at_ms if mark.count else case.as_of_ms,
        last_as_of_ms=case.as_of_ms,
        count=mark.count + 1,
        detail=mark.detail,
    )


def refused_row(case: Case, report: PositionReport) -> Reject:
    """What the database takes no row for; its mark tells that from a position that waits for something else."""
    mark = sighting(case, MarkKind.MISSING, REFUSED, counts=False)
    return Reject(report=report, mark=mark, why=case.refused.active, wait_ms=None)


def told(mark: Mark) -> tuple[Mark, bool]:
    """The mark of a finding that was told, and whether it is told for the first time."""
    new = not mark.detail.endswith(_TOLD)
    return msgspec.structs.replace(mark, detail=mark.detail + _TOLD) if new else mark, new


def is_confirmed(case: Case, mark: Mark) -> bool:
    """Seen by enough views, the first and the newest far enough apart."""
    apart = mark.last_as_of_ms - mark.first_at_ms
    return mark.count >= case.policy.confirm_snapshots and apart >= case.policy.confirm_after_ms


def still_to_wait(case: Case, mark: Mark) -> int:
    """Milliseconds after which a further view could confirm it; 0: at once."""
    return max(0, mark.first_at_ms + case.policy.confirm_after_ms - mark.last_as_of_ms)
