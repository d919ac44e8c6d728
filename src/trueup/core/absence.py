"""A row that a complete view lacks and no fill closes: what else could prove it, and when absence itself may.

Best first: the venue's own record of the close, then the closing order, then absence. Absence is decided only when seen
often and long enough, with a second surface that shows it flat; a surface that shows it open forbids it, one that cannot tell
leaves it to a person.

A close whose own fills were read is no lesser evidence: they told already that it is not this row's. Neither is one that another
row records, nor one of the book's quantity where fills have added to it since: more is open than that.
"""

from __future__ import annotations

from decimal import Decimal

from trueup.core import amounts
from trueup.core.cases import Case, Close, NeedsHistory, Suspect, Verdict
from trueup.core.lifecycles import Trace
from trueup.core.marks import is_confirmed, sighting, still_to_wait
from trueup.core.rebuild import CLOSE_PREFIX, begun_by, shown_at, trailed
from trueup.core.young import left_young
from trueup.model.decimals import ZERO
from trueup.model.holds import MarkKind
from trueup.model.instruments import Instrument
from trueup.model.observations import SurfaceVerdict
from trueup.model.orders import ClosedPnl, OrderKind, OrderRecord, OrderStatus
from trueup.model.positions import Amount, CloseDetails, Evidence, ExitReason, Position

__all__ = ["gone_without_fills", "inconclusive", "surface_needed", "unlisted"]

_STILL_SHOWN = ", but the venue's account still shows it"
_REASONS = {
    OrderKind.STOP: ExitReason.STOP_LOSS,
    OrderKind.TAKE_PROFIT: ExitReason.TAKE_PROFIT,
    OrderKind.TRAILING_STOP: ExitReason.TRAILING_STOP,
}


def gone_without_fills(
    case: Case, row: Position, past: Trace, contradiction: str | None, further: NeedsHistory | None
) -> Verdict:
    """The fills that could be read do not close the row: by lesser evidence, by absence, or not yet.

    Args:
        contradiction: Why the fills do not go with a flat position; None where they do.
        further: What an older history could still make of a contradiction, worth reading once it was seen again.
    """
    needs = _lesser_evidence_needed(case)
    if needs is not None:
        return needs
    proven = None if _was_added_to(case, row, past) else _by_closed_pnl(case, row) or _by_order(case, row)
    if proven is not None:
        return proven
    if contradiction is not None:
        return inconclusive(case, row, contradiction, further)
    return _by_absence(case, row, past)


def inconclusive(case: Case, row: Position, why: str, further: NeedsHistory | None = None) -> Verdict:
    """The evidence contradicts itself: seen again first (histories lag), then held for a person.

    A second surface is asked first: the person sees what it says, and where it shows it open an approval closes nothing.
    """
    mark = sighting(case, MarkKind.GONE, str(row.quantity), counts=True)
    approved = case.approved and case.absence_blocked is None
    if not is_confirmed(case, mark) and not approved:
        return Suspect(row=row, mark=mark, why=why, wait_ms=still_to_wait(case, mark))
    if further is not None and not approved:
        return further
    if not case.has_asked("surface"):
        return surface_needed(case)
    if approved and case.surface is not SurfaceVerdict.OPEN:
        return _absence_close(case, row, f"approved by a person although {why}")
    told = why + (_STILL_SHOWN if case.surface is SurfaceVerdict.OPEN else "")
    return Suspect(row=row, mark=mark, why=told, wait_ms=None, inconclusive=f"{row.position_id}:{why}")


def _lesser_evidence_needed(case: Case) -> NeedsHistory | None:
    ask_closed_pnl = not case.has_asked("closed_pnl")
    ids = tuple(order.order_id for order in case.known_orders) if not case.has_asked("orders") else ()
    if not ask_closed_pnl and not ids:
        return None
    fills = case.history.fills if case.history is not None else None
    since = fills.since_ms if fills is not None else case.as_of_ms
    return NeedsHistory(
        since_ms=since, why="another record of its close", order_ids=ids, want_closed_pnl=ask_closed_pnl
    )


def _was_added_to(case: Case, row: Position, past: Trace) -> bool:
    """Whether a fill opened more of that side since the quantity was seen, which is not what all the fills leave open.

    Of a row that was never seen: longer after it was written than clocks differ.
    """
    if -past.starts_with * row.side.sign == row.quantity:
        return False
    fills = case.history.fills.fills if case.history is not None and case.history.fills is not None else ()
    since = shown_at(row)[1] + (case.policy.new_row_grace_ms if row.verified_as_of_ms is None else 0)
    return any(
        fill.at_ms > since
        and fill.order_side is not row.side.exit_side
        and fill.position_side in (None, row.side)
        and fill.quantity > (fill.closed_quantity or ZERO)
        for fill in fills
    )


def _by_closed_pnl(case: Case, row: Position) -> Close | None:
    """The venue's own records of closes since the row was last seen open cover exactly its quantity."""
    history = case.history
    if history is None or history.closed_pnl is None or case.instrument is None:
        return None
    since = max(begun_by(row), _recorded_until(case))
    own = [
        record
        for record in history.closed_pnl.records
        if record.side is row.side and since < record.at_ms < case.as_of_ms
    ]
    since_seen = [record for record in own if record.at_ms > shown_at(row)[1]]
    if not since_seen or sum((record.quantity for record in since_seen), ZERO) != row.quantity:
        return None
    last = max(own, key=lambda record: record.at_ms)
    if _is_told(case, last.order_id):
        return None
    settle = case.instrument.settle
    details = CloseDetails(
        quantity=sum((record.quantity for record in own), ZERO),
        exit_price=amounts.weighted_price(((record.quantity, record.exit_price) for record in own), case.instrument),
        settle_asset=settle,
        realized_pnl=_gross(own, row, case.instrument),
        fees=_fees(own, settle),
        exit_reason=_creator_reason(last.created_by),
        evidence=Evidence.CLOSED_PNL,
        complete=False,
        closing_order_id=last.order_id,
        closed_at_ms=last.at_ms,
    )
    return Close(
        row=row, details=details, lifecycle=None, why="the venue's closed-PnL records cover its whole quantity"
    )


def _gross(records: list[ClosedPnl], row: Position, instrument: Instrument) -> Decimal | None:
    total = ZERO
    for record in records:
        if record.open_fee is not None and record.close_fee is not None:
            total += record.net_pnl + record.open_fee + record.close_fee
        elif record.entry_value is not None and record.exit_value is not None:
            grown = record.exit_value - record.entry_value
            total += row.side.sign * (-grown if instrument.inverse else grown)
        else:
            return None
    return total


def _fees(records: list[ClosedPnl], settle: str) -> tuple[Amount, ...]:
    paid = [(record.open_fee, record.close_fee) for record in records]
    if not settle or any(one is None or other is None for one, other in paid):
        return ()
    return (Amount(asset=settle, amount=sum(((one or ZERO) + (other or ZERO) for one, other in paid), ZERO)),)


def _creator_reason(created_by: str | None) -> ExitReason:
    by_name = {reason.value: reason for reason in ExitReason}
    if created_by is None:
        return ExitReason.SYNC_CLEANUP
    return by_name.get(created_by, ExitReason.EXTERNAL)


def _by_order(case: Case, row: Position) -> Close | None:
    """One of the row's own closing orders was filled for all of it since it was last seen open; its fills cannot be read.

    What a conditional order filled stands on the order that it became, where that is another one.
    """
    history = case.history
    if history is None or history.orders is None:
        return None
    for known in case.known_orders:
        record = _child_of(history.orders.records, known.order_id) or history.orders.get(known.order_id)
        if record is None or record.status is not OrderStatus.FILLED or record.order_side is not row.side.exit_side:
            continue
        if record.filled_quantity != row.quantity or record.at_ms is None or _is_told(case, record.order_id):
            continue
        if not max(shown_at(row)[1], _recorded_until(case)) < record.at_ms < case.as_of_ms:
            continue
        return Close(
            row=row, details=_order_details(case, row, record), lifecycle=None, why="its closing order is filled"
        )
    return None


def _is_told(case: Case, order_id: str | None) -> bool:
    """Whether what this order did is known better than by its record: by its fills, or as the end of another row's lifecycle."""
    fills = case.history.fills.fills if case.history is not None and case.history.fills is not None else ()
    return order_id is not None and (
        any(fill.order_id == order_id for fill in fills) or any(one.order_id == order_id for one in case.ended)
    )


def _recorded_until(case: Case) -> int:
    """When the last of the lifecycles ended that other rows record; 0: none did."""
    return max((one.at_ms for one in case.ended), default=0)


def _child_of(records: tuple[OrderRecord, ...], parent_id: str) -> OrderRecord | None:
    return next((record for record in records if record.parent_order_id == parent_id), None)


def _order_details(case: Case, row: Position, record: OrderRecord) -> CloseDetails:
    gross = None
    if case.instrument is not None and row.entry_price is not None and record.average_price is not None:
        gross = amounts.price_difference(row.side, row.quantity, row.entry_price, record.average_price, case.instrument)
    ours = record.client_order_id is not None and record.client_order_id.startswith(CLOSE_PREFIX)
    reason = _REASONS.get(record.kind, ExitReason.EXTERNAL)
    client_ids = (record.client_order_id, record.parent_client_order_id)
    return CloseDetails(
        quantity=row.quantity,
        exit_price=record.average_price,
        settle_asset=case.instrument.settle if case.instrument is not None else "",
        realized_pnl=gross,
        exit_reason=ExitReason.MANUAL if ours else trailed(reason, row, client_ids),
        evidence=Evidence.ORDER,
        complete=False,
        closing_order_id=record.order_id,
        closed_at_ms=record.at_ms if record.at_ms is not None else case.as_of_ms,
    )


def unlisted(case: Case, row: Position) -> Verdict:
    """Its contract is listed no more, so that its past can be read no more: by absence, confirmed as any."""
    return _by_absence(case, row, None)


def _by_absence(case: Case, row: Position, past: Trace | None) -> Verdict:
    fills = case.history.fills if case.history is not None else None
    reached = fills is not None and fills.since_ms <= begun_by(row)
    why = "older than the history that the venue keeps"
    if case.instrument is None or past is None:
        why = "its contract is no longer listed, so its fills cannot be counted"
    elif reached and row.verified_as_of_ms is not None:
        why = "the venue showed it open, and no fill tells of its end"
    elif reached and past.last_fill_ms is None:
        why = "no fill since before the row: it never existed"
    elif reached:
        why = "none of the fills since before the row is its own: it never existed"
    young = left_young(case, row, ": its fill may not be visible yet", counts=case.absence_blocked is None)
    if young is not None and not case.approved:
        return young
    mark = sighting(case, MarkKind.GONE, str(row.quantity), counts=case.absence_blocked is None)
    if case.absence_blocked is not None:
        return Suspect(row=row, mark=mark, why=case.absence_blocked, wait_ms=None)
    if not is_confirmed(case, mark) and not case.approved:
        return Suspect(row=row, mark=mark, why=why, wait_ms=still_to_wait(case, mark))
    if not case.has_asked("surface"):
        return surface_needed(case)
    if case.surface is SurfaceVerdict.OPEN:
        return Suspect(row=row, mark=mark, why=why + _STILL_SHOWN, wait_ms=None)
    if case.surface is SurfaceVerdict.UNKNOWN and not case.approved:
        unsure = f"{why}, and no second surface can tell"
        return Suspect(row=row, mark=mark, why=unsure, wait_ms=None, inconclusive=f"{row.position_id}:{unsure}")
    return _absence_close(case, row, why)


def surface_needed(case: Case) -> NeedsHistory:
    fills = case.history.fills if case.history is not None else None
    return NeedsHistory(since_ms=fills.since_ms if fills else case.as_of_ms, why="a second surface", want_surface=True)


def _absence_close(case: Case, row: Position, why: str) -> Close:
    """Closed without proof: the last known price stands in where there is one, and it is marked as an estimate."""
    exit_price = row.current_price if row.verified_as_of_ms is not None else None
    gross = None
    if exit_price is not None and row.entry_price is not None and case.instrument is not None:
        gross = amounts.price_difference(row.side, row.quantity, row.entry_price, exit_price, case.instrument)
    details = CloseDetails(
        quantity=row.quantity,
        exit_price=exit_price,
        settle_asset=case.instrument.settle if case.instrument is not None else "",
        realized_pnl=gross,
        exit_reason=ExitReason.PHANTOM_ON_SYNC,
        evidence=Evidence.ABSENCE,
        complete=False,
        closed_at_ms=case.as_of_ms,
    )
    return Close(row=row, details=details, lifecycle=None, why=why)
