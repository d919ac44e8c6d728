"""Decides one key on evidence. Pure: the same case gives the same verdict, now and when it is replayed.

1. Nothing is closed on a view alone. Fills that take the lifecycle to zero close it, once a view begun after the last of them
   shows exactly what they add up to.
2. A history call that failed decides nothing.
3. Absence only suspects. It closes after being seen often enough, for long enough, with a second surface that agrees, and
   never while the row is young or an unreadable row stands in the account.
4. Fills that cannot be what happened are inconclusive: confirmed, then held for a person.
5. A venue position becomes a row with the order id of its opening; without one only after several views, as `unverified`.
6. A view that is older than what is known already decides nothing.

Sources: docs/adr/0002-evidence.md, docs/adr/0003-adoption.md.
"""

from __future__ import annotations

from trueup.core import absence
from trueup.core.cases import (
    Adjust,
    Adopt,
    Case,
    Close,
    Ignore,
    Lifecycle,
    LookAgain,
    NeedsHistory,
    Reject,
    Suspect,
    Verdict,
    Verified,
)
from trueup.core.lifecycles import Segment, Trace, trace_fills
from trueup.core.marks import is_confirmed, sighting, still_to_wait
from trueup.core.rebuild import lifecycle_of, orders_to_ask, own_segment
from trueup.model.holds import MarkKind
from trueup.model.instruments import Instrument
from trueup.model.observations import FillHistory, PositionReport
from trueup.model.positions import Position
from trueup.model.times import DAY_MS

__all__ = ["LEAD_MS", "decide_key"]

LEAD_MS = 3_600_000
"""How far before a row's beginning its history is read: a bot's clock and its fills need not agree to the second."""

_STEP_MS = 28 * DAY_MS


def decide_key(case: Case) -> Verdict:
    """The verdict on one key.

    Returns `NeedsHistory` or `LookAgain` where more must be read first: read it, put it into the case, ask again.
    """
    if case.row is None:
        if case.report is None:
            raise ValueError(f"{case.key}: neither a row nor a report, nothing to decide")
        return _missing(case, case.report)
    if case.report is None:
        return _gone(case, case.row)
    return _present(case, case.row, case.report)


def _present(case: Case, row: Position, report: PositionReport) -> Verdict:
    """Row and venue both have it: the same lifecycle, changed or not, or another one."""
    if _is_older(row, report):
        return LookAgain(why=f"the venue shows {case.key} in an older state than the one already verified")
    same = row.quantity == report.quantity and row.entry_price == report.entry_price
    if same and row.venue_updated_at_ms in (None, report.updated_at_ms):
        return Verified(row=row, report=report, write=_refresh_due(case, row))
    past = _past(case, row.opened_at_ms)
    if not isinstance(past, Trace):
        return past if not isinstance(past, str) else _unexplained(case, row, report, past, counts=False)
    instrument = _instrument(case)
    own = own_segment(row, past, case.policy.new_row_grace_ms)
    if past.problem is not None or own is None:
        return _unexplained(case, row, report, past.problem or "no fill tells how it came to this", counts=True)
    if own.closed_at_ms is not None:
        return _closed_by_fills(case, row, past, own, instrument)
    if not own.complete and _reaches_further(case):
        return _further(case, "its opening lies before what was read")
    if same:
        return Verified(row=row, report=report)
    lifecycle = lifecycle_of(own, case, instrument, row)
    why = f"{row.quantity} → {report.quantity} by {len(own.parts)} fills"
    return Adjust(row=row, report=report, explained=True, lifecycle=lifecycle, why=why)


def _is_older(row: Position, report: PositionReport) -> bool:
    return (
        row.venue_updated_at_ms is not None
        and report.updated_at_ms is not None
        and report.updated_at_ms < row.venue_updated_at_ms
    )


def _refresh_due(case: Case, row: Position) -> bool:
    if row.verified_as_of_ms is None or row.suspected_since_ms is not None or case.mark is not None:
        return True
    return case.as_of_ms - row.verified_as_of_ms >= case.policy.refresh_after_ms


def _unexplained(case: Case, row: Position, report: PositionReport, why: str, *, counts: bool) -> Verdict:
    """The venue shows other numbers and no fill tells why: believed once it was seen again."""
    seen = f"{report.quantity}@{report.entry_price}"
    mark = sighting(case, MarkKind.CHANGED, seen, counts=counts)
    if counts and is_confirmed(case, mark):
        return Adjust(row=row, report=report, explained=False, lifecycle=None, why=f"{why}; seen {mark.count} times")
    return Suspect(row=row, mark=mark, why=why, wait_ms=still_to_wait(case, mark))


def _gone(case: Case, row: Position) -> Verdict:
    """A complete view lacks it."""
    past = _past(case, row.opened_at_ms)
    if isinstance(past, str):
        mark = sighting(case, MarkKind.GONE, str(row.quantity), counts=False)
        return Suspect(row=row, mark=mark, why=past, wait_ms=still_to_wait(case, mark))
    if not isinstance(past, Trace):
        return past
    if case.instrument is None:
        return absence.gone_without_fills(case, row, past)
    own = own_segment(row, past, case.policy.new_row_grace_ms)
    missing_trade = _forgotten_fill(case)
    if missing_trade is not None:
        why = f"the venue's history no longer shows fill {missing_trade} that the book recorded"
        return absence.inconclusive(case, row, why)
    if past.problem is None and own is not None and own.closed_at_ms is not None:
        if not own.complete and _reaches_further(case):
            return _further(case, "its opening lies before what was read")
        return _closed_by_fills(case, row, past, own, case.instrument)
    if past.starts_with * row.side.sign > 0 and _reaches_further(case):
        return _further(case, "the fills read so far begin with the position open")
    return absence.gone_without_fills(case, row, past)


def _closed_by_fills(case: Case, row: Position, past: Trace, own: Segment, instrument: Instrument) -> Verdict:
    """The row's own fills net to zero, and the view shows what the fills after its zero add up to."""
    since = tuple(
        segment
        for segment in past.segments[past.segments.index(own) :]
        if segment.closed_at_ms is not None or segment.side is row.side
    )
    needs = _closing_facts(case, since, own)
    if needs is not None:
        return needs
    lifecycle = lifecycle_of(own, case, instrument, row)
    if lifecycle.close is None:
        raise AssertionError("a closed segment always has close details")
    successors = tuple(lifecycle_of(segment, case, instrument, None) for segment in since[1:])
    count = len(own.closings)
    return Close(
        row=row,
        details=lifecycle.close,
        lifecycle=lifecycle,
        successors=successors,
        report=case.report,
        why=f"{count} closing fill{'s' if count != 1 else ''} took it to zero",
    )


def _closing_facts(case: Case, segments: tuple[Segment, ...], own: Segment) -> NeedsHistory | None:
    ids = orders_to_ask(segments, case.known_orders)
    ask_orders = ids if ids and not case.has_asked("orders") else ()
    ask_funding = None if case.has_asked("funding") else (own.opened_at_ms or _row_start(case))
    if not ask_orders and ask_funding is None:
        return None
    return NeedsHistory(
        since_ms=_since(case),
        why="what closed it, and its funding",
        order_ids=ask_orders,
        want_funding_since_ms=ask_funding,
    )


def _row_start(case: Case) -> int:
    return case.row.opened_at_ms if case.row is not None else case.as_of_ms


def _missing(case: Case, report: PositionReport) -> Verdict:
    """The venue has it, the book lacks it."""
    adoption = case.policy.adoption
    if adoption.what == "ignore":
        return Ignore(report=report)
    mark = sighting(case, MarkKind.MISSING, "", counts=True)
    waited = case.as_of_ms - mark.first_at_ms
    if waited < adoption.after_ms and not case.approved:
        why = (
            f"seen for {waited // 1000} s of the {adoption.after_ms // 1000} s that a bot is given to write its own row"
        )
        return Reject(report=report, mark=mark, why=why, wait_ms=adoption.after_ms - waited)
    past = _past(case, report.updated_at_ms or case.as_of_ms)
    if isinstance(past, str):
        return Reject(report=report, mark=sighting(case, MarkKind.MISSING, "", counts=False), why=past, wait_ms=None)
    if not isinstance(past, Trace):
        return past
    opened = past.open_segment if past.problem is None else None
    if opened is not None and not opened.complete and _reaches_further(case):
        return _further(case, "its opening lies before what was read")
    lifecycle: Lifecycle | None = None
    if opened is not None and opened.parts and case.instrument is not None:
        lifecycle = lifecycle_of(opened, case, case.instrument, None)
    hold = adoption.what == "hold" and not case.approved
    if lifecycle is not None and lifecycle.opening_order_id is not None:
        why = f"opened by order {lifecycle.opening_order_id}"
        return Adopt(report=report, lifecycle=lifecycle, unverified=False, hold=hold, why=why)
    if is_confirmed(case, mark) or case.approved:
        why = f"no opening fill in the history; seen by {mark.count} views"
        return Adopt(report=report, lifecycle=None, unverified=True, hold=hold, why=why)
    why = "no opening fill in the history: waits for a second view"
    return Reject(report=report, mark=mark, why=why, wait_ms=still_to_wait(case, mark))


def _past(case: Case, begins_ms: int) -> Trace | NeedsHistory | LookAgain | str:
    """The key's lifecycles, or what must be read first, or (text) why the past cannot be had now."""
    history = case.history
    if history is None or (history.fills is None and history.failed is None):
        return NeedsHistory(since_ms=max(0, begins_ms - LEAD_MS), why="how it came to this")
    if history.failed is not None or history.fills is None:
        return f"its history could not be read: {history.failed}"
    past = trace_fills(history.fills.fills, case.key.side, leg=case.leg, net=case.net)
    if past.last_fill_ms is not None and past.last_fill_ms >= case.as_of_ms:
        return LookAgain(why=f"a fill of {case.key.symbol} is newer than the view")
    return past


def _since(case: Case) -> int:
    fills: FillHistory | None = case.history.fills if case.history is not None else None
    return fills.since_ms if fills is not None else case.as_of_ms


def _reaches_further(case: Case) -> bool:
    fills = case.history.fills if case.history is not None else None
    return fills is not None and fills.since_ms > fills.reach_ms


def _further(case: Case, why: str) -> NeedsHistory:
    return NeedsHistory(since_ms=max(0, _since(case) - _STEP_MS), why=why)


def _forgotten_fill(case: Case) -> str | None:
    """A fill that the store recorded and that the venue's history, which should hold it, lacks."""
    fills = case.history.fills if case.history is not None else None
    if fills is None or case.row is None or case.row.opened_at_ms < fills.since_ms:
        return None
    shown = {fill.trade_id for fill in fills.fills}
    return next((trade_id for trade_id in case.recorded_trade_ids if trade_id not in shown), None)


def _instrument(case: Case) -> Instrument:
    if case.instrument is None:
        raise AssertionError(f"{case.key}: a reported position always has its instrument")
    return case.instrument
