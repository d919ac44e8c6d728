"""A closed row, held later against what its venue's history shows by then: better evidence amends the record.

1. Only a record that can get better is looked at: a close that fills do not prove, or one whose funding was not read yet.
2. The row's own lifecycle is told by its closing order, else as an open row's is (`rebuild.own_segment`).
3. A record never gets worse: other amounts come from the fills of the same lifecycle only.

Source: docs/adr/0016-stream-evidence.md.
"""

from __future__ import annotations

from trueup.core.cases import Case, Lifecycle, LookAgain, NeedsHistory
from trueup.core.decide import further, past_of
from trueup.core.lifecycles import Segment, Trace
from trueup.core.rebuild import end_of, lifecycle_of, own_segment
from trueup.model.positions import CloseDetails, Evidence, ExitReason, Position

__all__ = ["AMENDED", "amended", "can_get_better"]

AMENDED = "amended"
"""The name under which a recorded observation says that `amended` decided it."""

_VAGUE = (ExitReason.EXTERNAL, ExitReason.SYNC_CLEANUP, ExitReason.PHANTOM_ON_SYNC)


def can_get_better(details: CloseDetails, *, funding_read: bool) -> bool:
    """Whether a later look at the history could tell more. `funding_read`: it was asked for, and is what it is."""
    return details.evidence is not Evidence.FILLS or not details.complete or not funding_read


def amended(case: Case) -> Lifecycle | NeedsHistory | LookAgain | str:
    """What a closed row should read, what must be read first, or (text) why nothing better is known.

    Raises:
        ValueError: The case has no closed row.
    """
    row = case.row
    if row is None or row.close is None:
        raise ValueError(f"{case.key}: no closed row, nothing to amend")
    past = past_of(case, row.opened_at_ms)
    if not isinstance(past, Trace):
        return past
    if past.problem is not None or case.instrument is None:
        return past.problem or "its contract is no longer listed"
    own = _own(case, row, row.close, past)
    if own is None or own.closed_at_ms is None:
        return "no fill of its own is in the history"
    if not own.complete:
        return further(case, "its opening lies before what was read") or "its opening is older than the history"
    if row.close.evidence is Evidence.FILLS and own.closed_quantity != row.close.quantity:
        return "the history shows another quantity than the fills that closed it"
    missing = _facts(case, own)
    if missing is not None:
        return missing
    lifecycle = lifecycle_of(own, case, case.instrument, row)
    return lifecycle if lifecycle.close is not None and _is_better(lifecycle.close, row.close) else "nothing better"


def _own(case: Case, row: Position, close: CloseDetails, past: Trace) -> Segment | None:
    ended = [
        one
        for one in past.segments
        if one.side is row.side and one.closed_at_ms is not None and end_of(one) not in case.ended
    ]
    if close.closing_order_id is not None:
        by_order = [one for one in ended if any(p.fill.order_id == close.closing_order_id for p in one.closings)]
        # One resting order may have ended several lifecycles: the row's is the one that ended when it says.
        return min(by_order, key=lambda one: abs((one.closed_at_ms or 0) - close.closed_at_ms), default=None)
    own = own_segment(row, past, case.policy.new_row_grace_ms, case.ended)
    if own is None or own.closed_at_ms is None or end_of(own) in case.ended:
        return None
    # It was gone by then: a lifecycle that ended later is another one, of whatever size.
    return own if own.closed_at_ms <= close.closed_at_ms else None


def _facts(case: Case, own: Segment) -> NeedsHistory | None:
    order_id = own.closings[-1].fill.order_id
    ask_orders = () if case.has_asked("orders") else (order_id,)
    ask_funding = None if case.has_asked("funding") else own.opened_at_ms
    if not ask_orders and ask_funding is None:
        return None
    since_ms = case.history.fills.since_ms if case.history is not None and case.history.fills is not None else 0
    return NeedsHistory(
        since_ms=since_ms, why="its funding and its order", order_ids=ask_orders, want_funding_since_ms=ask_funding
    )


def _is_better(new: CloseDetails, old: CloseDetails) -> bool:
    if new.evidence is not old.evidence:
        return new.evidence.rank < old.evidence.rank
    named = old.exit_reason in _VAGUE and new.exit_reason not in _VAGUE
    funded = old.funding is None and new.funding is not None
    return named or funded or (new.complete and not old.complete)
