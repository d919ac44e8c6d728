"""Decides one key on evidence. Pure: the same case gives the same verdict, now and when it is replayed.

1. Nothing is closed on a view alone. Fills that take the lifecycle to zero close it, once a view begun after the last of them
   shows exactly what they add up to, and the row passed through what was seen of it before.
2. A history call that failed decides nothing.
3. Absence only suspects. It closes after being seen often enough, for long enough, with a second surface that agrees, and
   never while the row is young or an unreadable row stands in the account.
4. Fills that cannot be what happened are inconclusive: confirmed, then held for a person.
5. A venue position becomes a row with the order id of its opening; without one only after several views, as `unverified`.
6. A view that is older than what is known already decides nothing.

Sources: docs/adr/0002-evidence.md, docs/adr/0003-adoption.md.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trueup.core import absence, amounts
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
from trueup.core.marks import is_confirmed, refused_row, sighting, still_to_wait
from trueup.core.rebuild import (
    LEAD_MS,
    SETTLES_MS,
    begun_by,
    ended_unseen,
    fits,
    lifecycle_of,
    orders_to_ask,
    own_segment,
    shown_at,
)
from trueup.core.young import left_young
from trueup.model.decimals import ZERO
from trueup.model.holds import MarkKind
from trueup.model.instruments import Instrument
from trueup.model.observations import FillHistory, PositionReport, SurfaceVerdict
from trueup.model.positions import Position
from trueup.model.times import DAY_MS

__all__ = ["LEAD_MS", "decide_key", "further", "past_of", "since_its_end"]

_STEP_MS = 28 * DAY_MS
_ROUNDED = Decimal("1e-4")
"""How far a venue's rounded average price may be from that of its fills, as a share of it."""

_STALEST_MS = 60_000
"""How old a venue's answer may be. What it still shows open later than that after its close is open."""


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
    if _is_older(case, row):
        return LookAgain(why=f"the venue shows {case.key} in an older state than the one already verified")
    same = _agrees(row, report)
    if same and _is_unmoved(case, row, report):
        return _steady(case, row, report)
    past = past_of(case, begun_by(row))
    if not isinstance(past, Trace):
        return past if not isinstance(past, str) else _unexplained(case, row, report, past, counts=False)
    own = _own(case, row, past)
    if isinstance(own, NeedsHistory):
        return own
    if own is None or isinstance(own, str):
        return _unexplained(case, row, report, own or "no fill tells how it came to this", counts=True)
    if same and own.closed_at_ms is None:
        settled = _is_settled(case, report, past)
        # Something moved and came back to the numbers that were verified: what the book has of its fills is not all of them now.
        tells = case.learn or row.verified_as_of_ms is not None
        tells = tells and settled and own.complete and _is_entered_so(case, report, own)
        learned = lifecycle_of(own, case, _instrument(case), row) if tells else None
        write = settled or _refresh_due(case, row)
        return Verified(row=row, report=report, write=write, settled=settled, lifecycle=learned)
    if not own.complete and _reaches_further(case):
        return _further(case, "its opening lies before what was read")
    if not _is_settled(case, report, past):
        return _unexplained(case, row, report, "the venue's change time is newer than its fills", counts=False)
    if own.closed_at_ms is not None:
        return _closed_by_fills(case, row, past, own, _instrument(case))
    if not own.parts:
        return _unexplained(case, row, report, "no fill tells how it came to this", counts=True)
    if not _is_entered_so(case, report, own):
        return _unexplained(case, row, report, "its fills give another entry price than the venue shows", counts=True)
    lifecycle = lifecycle_of(own, case, _instrument(case), row)
    why = f"{row.quantity} → {report.quantity} by {len(own.parts)} fills"
    return Adjust(row=row, report=report, explained=True, lifecycle=lifecycle, why=why)


def _steady(case: Case, row: Position, report: PositionReport) -> Verified | NeedsHistory:
    """Nothing moved. Where its beginning is to be learned its past is read; a past that does not tell it changes nothing."""
    plain = Verified(row=row, report=report, write=_refresh_due(case, row))
    if not case.learn:
        return plain
    past = past_of(case, begun_by(row))
    own = _own(case, row, past) if isinstance(past, Trace) else past
    if isinstance(own, NeedsHistory):
        return own
    if not isinstance(own, Segment) or own.closed_at_ms is not None:
        return plain
    if isinstance(past, Trace) and not _is_settled(case, report, past):
        return plain  # without its own fills the lifecycle before it may look like it
    if own.complete and not _is_entered_so(case, report, own):
        return plain
    if own.complete:
        lifecycle = lifecycle_of(own, case, _instrument(case), row)
        return msgspec.structs.replace(plain, write=True, lifecycle=lifecycle)
    return _further(case, "its opening lies before what was read") if _reaches_further(case) else plain


def _agrees(row: Position, report: PositionReport) -> bool:
    return row.quantity == report.quantity and row.entry_price == report.entry_price


def _is_older(case: Case, row: Position) -> bool:
    """Whether the view speaks for a time, or shows a state, before the one that the row was verified in."""
    if row.verified_as_of_ms is not None and case.as_of_ms < row.verified_as_of_ms:
        return True
    changed = case.report.updated_at_ms if case.report is not None else None
    if row.verified_as_of_ms is None and _shows_what_ended(case, changed):
        return True
    return row.venue_updated_at_ms is not None and changed is not None and changed < row.venue_updated_at_ms


def _shows_what_ended(case: Case, changed_ms: int | None) -> bool:
    """Whether what stands so since then on the venue is from before a close of this key that was proven just now."""
    if changed_ms is None or not case.ended:
        return False
    return changed_ms + SETTLES_MS < max(_just_ended(case), default=0)


def _just_ended(case: Case) -> list[int]:
    """When the key's lifecycles ended that are proven by an order, as far back as an answer can be old."""
    since_ms = case.as_of_ms - _STALEST_MS
    return [one.at_ms for one in case.ended if one.order_id is not None and one.at_ms >= since_ms]


def _is_unmoved(case: Case, row: Position, report: PositionReport) -> bool:
    """Whether the venue's change time says that nothing happened since the row was verified, or (at first sight) made."""
    if row.venue_updated_at_ms is not None:
        return row.venue_updated_at_ms == report.updated_at_ms
    return report.updated_at_ms is None or report.updated_at_ms <= row.created_at_ms + case.policy.new_row_grace_ms


def _is_settled(case: Case, report: PositionReport, past: Trace) -> bool:
    """Whether all fills that the venue's change time can speak of are visible by now."""
    changed = report.updated_at_ms
    if changed is None or case.as_of_ms - changed >= case.policy.new_row_grace_ms:
        return True
    return past.last_fill_ms is not None and past.last_fill_ms >= changed - SETTLES_MS


def _is_entered_so(case: Case, report: PositionReport, own: Segment) -> bool:
    """Whether what is left of the segment was entered at the venue's price, as exactly as it states it.

    A history that lags shows the lifecycle before, where a close and a reopening of its quantity are not visible yet.
    """
    entry, stated = amounts.open_entry_price(own, _instrument(case)), report.entry_price
    return entry is None or stated is None or abs(entry - stated) <= entry * _ROUNDED


def _own(case: Case, row: Position, past: Trace) -> Segment | NeedsHistory | str | None:
    """The row's own lifecycle, what must be read first, (text) why the fills cannot be what happened, or None: none is its."""
    if past.problem is not None:
        return past.problem
    unseen = ended_unseen(row, past, case.recorded_trade_ids)
    own = unseen or own_segment(row, past, case.policy.new_row_grace_ms, case.ended)
    if own is not None and _lacks_its_opening(case, row, own):
        if _reaches_further(case):
            return _further(case, "the fills read so far do not begin flat")
        return "its opening is not among the fills although they reach to before it: some are missing"
    wrong = past.misstates(own) if own is not None else None
    if wrong is not None:
        return wrong
    if own is not None and not _begins_where_told(case, row, own, past):
        return _unanchored(case, row)
    if own is None or unseen is not None or fits(row, own, past):
        return own
    if row.verified_as_of_ms is None and past.starts_with != 0 and _reaches_further(case):
        return _further(case, "the fills read so far do not begin flat")
    return "the fills do not pass through the quantity that the book has: some are missing"


def _begins_where_told(case: Case, row: Position, own: Segment, past: Trace) -> bool:
    """Whether a lifecycle that ended began where the line says.

    An empty answer, or a fill that is not visible, shifts a net line: what is open then looks like a smaller one that has ended.
    """
    if own.closed_at_ms is None or not own.complete or past.would_show_a_gap(own):
        return True
    first = own.parts[0]
    recorded = case.recorded_opening == (first.fill.trade_id, first.quantity)
    return recorded and row.opening_order_id == own.opening_order_id


def _unanchored(case: Case, row: Position) -> NeedsHistory | str:
    """Further back the line may be flat: one step at once, all of it once it stayed so, for that costs much."""
    seen = (MarkKind.GONE, str(row.quantity)) if case.report is None else (MarkKind.CHANGED, _shown(case.report))
    stayed = is_confirmed(case, sighting(case, *seen, counts=True))
    if _reaches_further(case) and (stayed or _since(case) >= begun_by(row) - LEAD_MS):
        return _further(case, "the fills read so far do not begin flat")
    return "the fills read do not begin flat, so that one that is missing would not show: some are missing"


def _lacks_its_opening(case: Case, row: Position, own: Segment) -> bool:
    """A row that was never seen open, whose line was there before it: on a net line, what one missing fill makes of any row."""
    fills = case.history.fills if case.history is not None else None
    reached = fills is not None and fills.since_ms < row.opened_at_ms - case.policy.new_row_grace_ms
    return row.verified_as_of_ms is None and not own.complete and reached


def _refresh_due(case: Case, row: Position) -> bool:
    if row.verified_as_of_ms is None or row.suspected_since_ms is not None or case.mark is not None:
        return True
    return case.as_of_ms - row.verified_as_of_ms >= case.policy.refresh_after_ms


def _unexplained(case: Case, row: Position, report: PositionReport, why: str, *, counts: bool) -> Verdict:
    """The venue shows other numbers and no fill tells why: believed once it was seen again."""
    mark = sighting(case, MarkKind.CHANGED, _shown(report), counts=counts)
    if counts and is_confirmed(case, mark):
        if _agrees(row, report):
            return Verified(row=row, report=report)
        return Adjust(row=row, report=report, explained=False, lifecycle=None, why=f"{why}; seen {mark.count} times")
    return Suspect(row=row, mark=mark, why=why, wait_ms=still_to_wait(case, mark))


def _shown(report: PositionReport) -> str:
    return f"{report.quantity}@{report.entry_price}"


def _gone(case: Case, row: Position) -> Verdict:
    """A complete view lacks it."""
    if _is_older(case, row):
        return LookAgain(why=f"the view speaks for a time before {case.key} was last verified")
    if case.history is not None and case.history.unlisted:
        return absence.unlisted(case, row)
    past = past_of(case, begun_by(row))
    if isinstance(past, str):
        mark = sighting(case, MarkKind.GONE, str(row.quantity), counts=False)
        return Suspect(row=row, mark=mark, why=past, wait_ms=still_to_wait(case, mark))
    if not isinstance(past, Trace):
        return past
    missing_trade = _forgotten_fill(case)
    if missing_trade is not None:
        why = f"the venue's history no longer shows fill {missing_trade} that the book recorded"
        return absence.inconclusive(case, row, why)
    own = _own(case, row, past)
    if isinstance(own, NeedsHistory):
        return own
    if case.instrument is not None and isinstance(own, Segment) and own.closed_at_ms is not None:
        if not own.complete and _reaches_further(case):
            return _further(case, "its opening lies before what was read")
        if not own.complete and not case.has_asked("surface"):
            return absence.surface_needed(case)  # nothing but this view says where its line ends
        if not own.complete and case.surface is SurfaceVerdict.OPEN:
            return absence.inconclusive(case, row, "its fills end, though its opening is older than the history")
        return _closed_by_fills(case, row, past, own, case.instrument)
    contradiction, further = _contradiction(case, row, past, own)
    return absence.gone_without_fills(case, row, past, contradiction, further)


def _contradiction(
    case: Case, row: Position, past: Trace, own: Segment | str | None
) -> tuple[str | None, NeedsHistory | None]:
    """Why the fills do not go with a flat position (None: they do), and what an older history could still make of that."""
    fills = case.history.fills if case.history is not None else None
    if isinstance(own, str):
        return own, None
    if own is not None or past.last_fill_ms is None or fills is None:
        return None, None
    if row.verified_as_of_ms is not None and shown_at(row)[0] >= fills.since_ms:
        return "the venue showed it open, and by its fills it was not", None
    if past.starts_with == 0:
        return None, None
    further = _further(case, "the fills read so far do not begin flat") if _reaches_further(case) else None
    return "its fills do not add up to the flat position that the venue shows", further


def _closed_by_fills(case: Case, row: Position, past: Trace, own: Segment, instrument: Instrument) -> Verdict:
    """The row's own fills net to zero, and the view shows what the fills after its zero add up to."""
    if _ended_before_it_was_made(row, own):
        young = left_young(case, row, " and its fills end before it: its own may not be visible yet", counts=True)
        if young is not None:
            return young
    since = since_its_end(case, past, own)
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


def since_its_end(case: Case, past: Trace, own: Segment) -> tuple[Segment, ...]:
    """The segment and the lifecycles after it, oldest first: ended ones, and an open one of its own side.

    Where fills are traced leg by leg (Bybit), one of the other side belongs here if the order that ended its forerunner opened
    it: a flip, in however many fills. An open one of the other side is that key's own to adopt.
    """
    mine = past.segments[past.segments.index(own) :]
    if not past.by_leg:
        return tuple(one for one in mine if one.closed_at_ms is not None or one.side is own.side)
    flips = {one.closings[-1].fill.order_id for one in mine if one.closed_at_ms is not None}
    side = own.side.opposite
    shown = case.opposite.quantity * side.sign if case.opposite is not None else ZERO
    fills = case.history.fills.fills if case.history is not None and case.history.fills is not None else ()
    other = trace_fills(fills, side, leg=shown, net=shown, hedge=case.hedge)
    ended = [one for one in other.segments if one.closed_at_ms is not None and other.problem is None]
    flipped = [
        one for one in ended if one.opening_order_id in flips and (one.opened_at_ms or 0) >= (own.closed_at_ms or 0)
    ]
    return (own, *sorted((*mine[1:], *flipped), key=lambda one: one.opened_at_ms or 0))


def _ended_before_it_was_made(row: Position, own: Segment) -> bool:
    """For a row that was never verified: a lifecycle before its own may look like it while its own fill is not visible."""
    told = row.opening_order_id is not None and row.opening_order_id == own.opening_order_id
    ended = own.closed_at_ms is not None and own.closed_at_ms <= row.created_at_ms
    return row.verified_as_of_ms is None and not told and ended


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
    return min(begun_by(case.row), case.as_of_ms) if case.row is not None else case.as_of_ms


def _missing(case: Case, report: PositionReport) -> Verdict:
    """The venue has it, the book lacks it."""
    adoption = case.policy.adoption
    if adoption.what == "ignore":
        return Ignore(report=report)
    if _shows_what_ended(case, report.updated_at_ms):
        return LookAgain(why=f"the venue shows {case.key} in a state from before its close")
    if case.refused.active and (adoption.what == "adopt" or case.approved):
        return refused_row(case, report)
    mark = sighting(case, MarkKind.MISSING, "", counts=True)
    waited = case.as_of_ms - mark.first_at_ms
    if waited < adoption.after_ms and not case.approved:
        why = (
            f"seen for {waited // 1000} s of the {adoption.after_ms // 1000} s that a bot is given to write its own row"
        )
        return Reject(report=report, mark=mark, why=why, wait_ms=adoption.after_ms - waited)
    past = past_of(case, report.updated_at_ms or case.as_of_ms)
    if isinstance(past, str):
        return Reject(report=report, mark=sighting(case, MarkKind.MISSING, "", counts=False), why=past, wait_ms=None)
    if not isinstance(past, Trace):
        return past
    if not _is_settled(case, report, past):
        mark = sighting(case, MarkKind.MISSING, "", counts=False)
        left = case.policy.new_row_grace_ms - (case.as_of_ms - (report.updated_at_ms or 0))
        return Reject(report=report, mark=mark, why="its newest fills are not visible yet", wait_ms=left)
    opened = past.open_segment if past.problem is None else None
    if opened is not None and past.misstates(opened) is not None:
        opened = None
    if opened is not None and opened.complete and _has_ended(case, opened):
        return LookAgain(why=f"the venue shows {case.key} open as it was before its close")
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


def _has_ended(case: Case, opened: Segment) -> bool:
    """Whether a close of this key after that opening was proven just now: a key has one lifecycle at a time."""
    return any(at_ms > (opened.opened_at_ms or 0) for at_ms in _just_ended(case))


def past_of(case: Case, begins_ms: int) -> Trace | NeedsHistory | LookAgain | str:
    """The key's lifecycles, or what must be read first, or (text) why the past cannot be had now."""
    history = case.history
    if history is not None and history.unlisted:
        return "its contract is no longer listed"
    if history is None or (history.fills is None and history.failed is None):
        since_ms = min(begins_ms, case.as_of_ms) - LEAD_MS
        return NeedsHistory(since_ms=max(0, since_ms), why="how it came to this")
    if history.failed is not None or history.fills is None:
        return f"its history could not be read: {history.failed}"
    past = trace_fills(history.fills.fills, case.key.side, leg=case.leg, net=case.net, hedge=case.hedge)
    if past.last_fill_ms is not None and past.last_fill_ms >= case.as_of_ms:
        return LookAgain(why=f"a fill of {case.key.symbol} is newer than the view")
    return past


def _since(case: Case) -> int:
    fills: FillHistory | None = case.history.fills if case.history is not None else None
    return fills.since_ms if fills is not None else case.as_of_ms


def _reaches_further(case: Case) -> bool:
    fills = case.history.fills if case.history is not None else None
    return fills is not None and fills.since_ms > max(0, fills.reach_ms)


def _further(case: Case, why: str) -> NeedsHistory:
    """Doubles the span: years take a handful of rounds."""
    fills = case.history.fills if case.history is not None else None
    span = fills.until_ms - fills.since_ms if fills is not None else 0
    return NeedsHistory(since_ms=max(0, _since(case) - max(_STEP_MS, span)), why=why)


def _forgotten_fill(case: Case) -> str | None:
    """A fill that the store recorded and that the venue's history, which should hold it, lacks."""
    fills = case.history.fills if case.history is not None else None
    if fills is None or case.row is None or case.row.opened_at_ms < fills.since_ms:
        return None
    shown = {fill.trade_id for fill in fills.fills}
    return next((trade_id for trade_id in case.recorded_trade_ids if trade_id not in shown), None)


def further(case: Case, why: str) -> NeedsHistory | None:
    """What lies before the history that was read; None: the venue keeps nothing older."""
    return _further(case, why) if _reaches_further(case) else None


def _instrument(case: Case) -> Instrument:
    if case.instrument is None:
        raise AssertionError(f"{case.key}: a reported position always has its instrument")
    return case.instrument
