"""From the segments that fills show to lifecycles as the book keeps them: whose they are, their amounts, why they ended.

1. A row's own segment is told by its opening order, else by the moment at which it was verified, else by when it was made.
2. The reason of a close is told by the order that made the last closing fill, whoever placed it.
3. What neither a fill, an order history nor the store's own records tell is `sync_cleanup`, never a guess.
"""

from __future__ import annotations

from decimal import Decimal

from trueup.core import amounts
from trueup.core.cases import Case, KnownOrder, Lifecycle
from trueup.core.lifecycles import Part, Segment, Trace
from trueup.model.decimals import ZERO
from trueup.model.instruments import Instrument
from trueup.model.orders import Fill, FillKind, OrderKind, OrderRecord
from trueup.model.positions import CloseDetails, Evidence, ExitReason, Position

__all__ = ["CLIENT_PREFIX", "CLOSE_PREFIX", "exit_reason", "lifecycle_of", "orders_to_ask", "own_segment"]

CLIENT_PREFIX = "tu-"
"""Every client order id of ours begins so."""

CLOSE_PREFIX = "tu-close-"
"""Client order ids of our close command."""

_BY_KIND = {
    OrderKind.STOP: ExitReason.STOP_LOSS,
    OrderKind.TAKE_PROFIT: ExitReason.TAKE_PROFIT,
    OrderKind.TRAILING_STOP: ExitReason.TRAILING_STOP,
}
_BY_FILL = {
    FillKind.LIQUIDATION: ExitReason.LIQUIDATION,
    FillKind.ADL: ExitReason.ADL,
    FillKind.SETTLEMENT: ExitReason.SETTLEMENT,
}
_BY_CREATOR = {
    "liquidation": ExitReason.LIQUIDATION,
    "adl": ExitReason.ADL,
    "settlement": ExitReason.SETTLEMENT,
    "stop_loss": ExitReason.STOP_LOSS,
    "take_profit": ExitReason.TAKE_PROFIT,
    "trailing_stop": ExitReason.TRAILING_STOP,
}


def own_segment(row: Position, trace: Trace, slack_ms: int) -> Segment | None:
    """The segment that is the row's lifecycle, None if the fills show none that can be."""
    candidates = [segment for segment in trace.segments if segment.side is row.side]
    if row.opening_order_id is not None:
        for segment in candidates:
            if any(part.fill.order_id == row.opening_order_id for part in segment.openings):
                return segment
    if row.verified_as_of_ms is not None:
        at = row.verified_as_of_ms
        return next((segment for segment in candidates if _contains(segment, at - 1)), None)
    at = row.opened_at_ms
    near = [segment for segment in candidates if _contains(segment, at, slack_ms)]
    if near:
        return min(near, key=lambda segment: (not _contains(segment, at), _peak(segment) != row.quantity))
    later = [s for s in candidates if s.opened_at_ms is not None and s.opened_at_ms > at and _peak(s) == row.quantity]
    return later[0] if later else None


def _contains(segment: Segment, at_ms: int, slack_ms: int = 0) -> bool:
    begins = segment.opened_at_ms is None or segment.opened_at_ms - slack_ms <= at_ms
    return begins and (segment.closed_at_ms is None or at_ms < segment.closed_at_ms + slack_ms)


def _peak(segment: Segment) -> Decimal:
    """The largest quantity that the segment had."""
    quantity = peak = segment.started_with
    for part in segment.parts:
        quantity += part.quantity if part.opening else -part.quantity
        peak = max(peak, quantity)
    return peak


def orders_to_ask(segments: tuple[Segment, ...], known: tuple[KnownOrder, ...]) -> tuple[str, ...]:
    """Closing orders whose nature neither the fills nor the store's records tell."""
    told = {order.order_id for order in known}
    ids: dict[str, None] = {}
    for segment in segments:
        if segment.closed_at_ms is None or not segment.closings:
            continue
        fill = segment.closings[-1].fill
        if fill.order_id not in told and not _fill_tells(fill):
            ids[fill.order_id] = None
    return tuple(ids)


def _fill_tells(fill: Fill) -> bool:
    return fill.kind in _BY_FILL or fill.created_by is not None


def exit_reason(fill: Fill, record: OrderRecord | None, known: tuple[KnownOrder, ...]) -> ExitReason:
    """Why a lifecycle ended, by the order behind its last closing fill."""
    client_ids = [fill.client_order_id]
    creators, kinds = [fill.created_by], [fill.order_kind]
    ids = {fill.order_id}
    if record is not None:
        client_ids += [record.client_order_id, record.parent_client_order_id]
        creators.append(record.created_by)
        kinds.append(record.kind)
        ids |= {record.parent_order_id} if record.parent_order_id else set()
    mine = [order for order in known if order.order_id in ids]
    kinds += [order.kind for order in mine]
    if fill.kind in _BY_FILL:
        return _BY_FILL[fill.kind]
    for creator in creators:
        if creator in _BY_CREATOR:
            return _BY_CREATOR[creator]
    if any(text is not None and text.startswith(CLOSE_PREFIX) for text in client_ids):
        return ExitReason.MANUAL
    for kind in kinds:
        if kind in _BY_KIND:
            return _BY_KIND[kind]
    known_at_all = record is not None or mine or _fill_tells(fill)
    return ExitReason.EXTERNAL if known_at_all else ExitReason.SYNC_CLEANUP


def lifecycle_of(segment: Segment, case: Case, instrument: Instrument, row: Position | None) -> Lifecycle:
    """The book's view of a segment: amounts over all of it, and the close if it ended.

    `row` is given where the segment is that row's own: its entry price stands in for openings beyond the history.
    """
    before = row.entry_price if row is not None and not segment.complete else None
    entry = _entry_price(segment, instrument, before)
    opened_at = segment.opened_at_ms
    if opened_at is None:
        opened_at = row.opened_at_ms if row is not None else segment.parts[0].fill.at_ms
    gross = amounts.gross_pnl(segment, instrument, before) if segment.closings else None
    return Lifecycle(
        side=segment.side,
        quantity=segment.quantity if segment.closed_at_ms is None else segment.closed_quantity,
        entry_price=entry,
        realized_pnl=gross,
        opened_at_ms=opened_at,
        opening_order_id=segment.opening_order_id,
        parts=segment.parts,
        close=_close_details(segment, case, instrument, entry, opened_at) if segment.closed_at_ms is not None else None,
    )


def _entry_price(segment: Segment, instrument: Instrument, before: Decimal | None) -> Decimal | None:
    openings = segment.openings
    if segment.complete:
        return amounts.average_price(openings, instrument)
    if before is None or not openings:
        return before
    quantity = segment.started_with + sum((part.quantity for part in openings), ZERO)
    if instrument.inverse:
        coins = segment.started_with / before + sum((part.quantity / part.fill.price for part in openings), ZERO)
        return quantity / coins
    cost = segment.started_with * before + sum((part.quantity * part.fill.price for part in openings), ZERO)
    return cost / quantity


def _close_details(
    segment: Segment, case: Case, instrument: Instrument, entry: Decimal | None, opened_at: int
) -> CloseDetails:
    history = case.history
    last: Part = segment.closings[-1]
    closed_at = last.fill.at_ms
    gross = amounts.gross_pnl(segment, instrument, entry)
    fees, fees_known = amounts.fees_of(segment.parts)
    payments = history.funding.payments if history is not None and history.funding is not None else None
    funding = amounts.funding_of(payments, segment, instrument.settle, opened_at, closed_at)
    quantity = segment.closed_quantity
    worth = amounts.notional(quantity, entry, instrument) if entry else None
    record = history.orders.get(last.fill.order_id) if history is not None and history.orders is not None else None
    complete = segment.complete
    return CloseDetails(
        quantity=quantity,
        exit_price=amounts.average_price(segment.closings, instrument),
        settle_asset=instrument.settle,
        realized_pnl=gross,
        fees=fees,
        funding=funding,
        net_pnl=amounts.net_pnl(gross, fees, fees_known and complete, funding, instrument.settle),
        pnl_percentage=amounts.percentage(gross, worth),
        exit_reason=exit_reason(last.fill, record, case.known_orders),
        evidence=Evidence.FILLS,
        complete=complete,
        closing_order_id=last.fill.order_id,
        closed_at_ms=closed_at,
    )
