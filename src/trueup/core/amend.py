"""A closed row, held later against what its venue's history shows by then: better evidence amends the record.

1. Only a record that can get better is looked at: a close that fills do not prove, or one whose funding was not read yet, or
   so soon that a payment at its end may not have been credited.
2. The row's own lifecycle is told by its closing order, else as an open row's is (`rebuild.own_segment`).
3. A record never gets worse: other amounts come from the fills of the same lifecycle only, all that the book has and more.
4. Where the row was closed by what ended a later lifecycle than its own (a stream had lost a close and a reopening between them),
   it ends where its own did; what ended between is missing from the book, unless other rows have it.

Source: docs/adr/0016-stream-evidence.md.
"""

from __future__ import annotations

import msgspec

from trueup.core.cases import Case, Lifecycle, LookAgain, NeedsHistory
from trueup.core.decide import further, past_of, since_its_end
from trueup.core.lifecycles import Segment, Trace
from trueup.core.rebuild import is_recorded, lifecycle_of, orders_to_ask, own_segment
from trueup.model.observations import FundingHistory
from trueup.model.positions import CloseDetails, Evidence, ExitReason, Position
from trueup.model.values import Value

__all__ = ["AMENDED", "Amendment", "amended", "can_get_better", "funding_is_final"]

AMENDED = "amended"
"""The name under which a recorded observation says that `amended` decided it."""

_CREDITED_MS = 120_000
"""How long after its instant a payment of funding may not be in the history yet."""

_VAGUE = (ExitReason.EXTERNAL, ExitReason.SYNC_CLEANUP, ExitReason.PHANTOM_ON_SYNC)


def can_get_better(details: CloseDetails, funding: FundingHistory | None) -> bool:
    """Whether a later look at the history could tell more. `funding`: what was read of it."""
    return details.evidence is not Evidence.FILLS or not details.complete or not funding_is_final(details, funding)


def funding_is_final(details: CloseDetails, funding: FundingHistory | None) -> bool:
    """Whether a later reading tells nothing else: every payment until the close was credited, or they cannot be attributed."""
    if funding is None:
        return False
    return details.funding is None or funding.until_ms >= details.closed_at_ms + _CREDITED_MS


class Amendment(Value, frozen=True, kw_only=True):
    """What a closed row should read.

    Attributes:
        lifecycle: The row's own, ended.
        missed: Lifecycles after it, ended by the time at which the row was closed, oldest first: no row may have them.
    """

    lifecycle: Lifecycle
    missed: tuple[Lifecycle, ...] = ()


def amended(case: Case) -> Amendment | NeedsHistory | LookAgain | str:
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
    segments = (own, *_missed(case, row.close, past, own))
    unlike = _unlike(case, row.close, past, segments)
    if unlike is not None:
        return unlike
    missing = _facts(case, segments)
    if missing is not None:
        return missing
    lifecycle = lifecycle_of(own, case, case.instrument, row)
    if lifecycle.close is None:
        raise AssertionError("a closed segment always has close details")
    better = _with_reason(lifecycle.close, row.close)
    if not (_ended_earlier(row.close, own) or _is_better(better, row.close) or _is_credited(case, better, row.close)):
        return "nothing better"
    return Amendment(
        lifecycle=msgspec.structs.replace(lifecycle, close=better),
        missed=tuple(lifecycle_of(one, case, case.instrument, None) for one in segments[1:]),
    )


def _own(case: Case, row: Position, close: CloseDetails, past: Trace) -> Segment | None:
    slack_ms = case.policy.new_row_grace_ms
    # Those that absence closed are looked at again as this one is: which of them has a lifecycle, the first look tells.
    told = tuple(one for one in case.ended if one.order_id is not None)
    ended = [
        one
        for one in past.segments
        if one.side is row.side and one.closed_at_ms is not None and not is_recorded(one, told, slack_ms)
    ]
    if close.closing_order_id is not None:
        by_order = [one for one in ended if any(p.fill.order_id == close.closing_order_id for p in one.closings)]
        # One resting order may have ended several lifecycles: the row's is the one that ended when it says.
        last = min(by_order, key=lambda one: abs((one.closed_at_ms or 0) - close.closed_at_ms), default=None)
        return _begun_by_its_own(case, row, ended[: ended.index(last) + 1]) if last is not None else None
    own = own_segment(row, past, slack_ms, told)
    if own is None or own.closed_at_ms is None or is_recorded(own, told, slack_ms):
        return None
    # It was gone by then: a lifecycle that ended later is another one, of whatever size.
    return own if own.closed_at_ms <= close.closed_at_ms else None


def _begun_by_its_own(case: Case, row: Position, ended: list[Segment]) -> Segment:
    """The first that an opening fill of the book's began, else the last that the row's opening order did, else the last."""
    known = set(case.recorded_trade_ids)
    recorded = (one for one in ended if any(part.fill.trade_id in known for part in one.openings))
    ordered = (
        one for one in reversed(ended) if any(part.fill.order_id == row.opening_order_id for part in one.openings)
    )
    return next(recorded, None) or next(ordered, None) or ended[-1]


def _ended_earlier(close: CloseDetails, own: Segment) -> bool:
    """Whether fills closed the row by what ended a later lifecycle than its own."""
    by_order = any(part.fill.order_id == close.closing_order_id for part in own.closings)
    return close.evidence is Evidence.FILLS and (not by_order or (own.closed_at_ms or 0) < close.closed_at_ms)


def _unlike(case: Case, close: CloseDetails, past: Trace, segments: tuple[Segment, ...]) -> str | None:
    """Why the first of the segments cannot stand for what was closed; None: it can.

    A history is believed that has every fill of the book's, and no profit that cannot be; of other quantities, where a fill that
    it lacks would show.
    """
    own = segments[0]
    shown = {part.fill.trade_id for one in segments for part in one.parts}
    lacking = [trade_id for trade_id in case.recorded_trade_ids if trade_id not in shown]
    if lacking:
        return f"the history lacks fill {lacking[0]} that the book recorded of it"
    wrong = past.misstates(own)
    if wrong is not None or own.closed_quantity == close.quantity:
        return wrong
    if close.evidence is Evidence.FILLS and len(segments) == 1 and own.closed_quantity < close.quantity:
        return "the history shows a smaller quantity than the fills that closed it"
    return None if past.would_show_a_gap(own) else "the history shows another quantity, and fills may be missing in it"


def _missed(case: Case, close: CloseDetails, past: Trace, own: Segment) -> tuple[Segment, ...]:
    later = since_its_end(case, past, own)[1:]
    return tuple(one for one in later if one.closed_at_ms is not None and one.closed_at_ms <= close.closed_at_ms)


def _facts(case: Case, segments: tuple[Segment, ...]) -> NeedsHistory | None:
    """`segments`: the row's own, and what was missed after it."""
    own = segments[0]
    ids = dict.fromkeys([own.closings[-1].fill.order_id, *orders_to_ask(segments[1:], case.known_orders)])
    ask_orders = () if case.has_asked("orders") else tuple(ids)
    ask_funding = None if case.has_asked("funding") else own.opened_at_ms
    if not ask_orders and ask_funding is None:
        return None
    since_ms = case.history.fills.since_ms if case.history is not None and case.history.fills is not None else 0
    return NeedsHistory(
        since_ms=since_ms, why="its funding and its order", order_ids=ask_orders, want_funding_since_ms=ask_funding
    )


def _with_reason(new: CloseDetails, old: CloseDetails) -> CloseDetails:
    """What the same order was known to be, or a caller said of the close, stays known where the venue tells nothing of it."""
    same = old.closing_order_id in (None, new.closing_order_id)
    kept = same and new.exit_reason in _VAGUE and old.exit_reason not in _VAGUE
    return msgspec.structs.replace(new, exit_reason=old.exit_reason) if kept else new


def _is_better(new: CloseDetails, old: CloseDetails) -> bool:
    if new.evidence is not old.evidence:
        return new.evidence.rank < old.evidence.rank
    if new.quantity > old.quantity:
        return True
    named = old.exit_reason in _VAGUE and new.exit_reason not in _VAGUE
    funded = old.funding is None and new.funding is not None
    return named or funded or (new.complete and not old.complete)


def _is_credited(case: Case, new: CloseDetails, old: CloseDetails) -> bool:
    """Whether payments are in the history that were not when the record was made."""
    funding = case.history.funding if case.history is not None else None
    known = new.funding is not None and new.evidence is old.evidence
    return known and new.funding != old.funding and funding_is_final(new, funding)
