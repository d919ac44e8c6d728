"""From the segments that fills show to lifecycles as the book keeps them: whose they are, their amounts, why they ended.

1. A row's own segment is told by its opening order, else by the state in which it was verified, else by when it was made.
2. It is believed only if it had the row's quantity when the row was verified: a fill that is missing since shifts all before it.
3. The reason of a close is told by the order that made the last closing fill, whoever placed it.
4. What neither a fill, an order history nor the store's own records tell is `sync_cleanup`, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from trueup.core import amounts
from trueup.core.cases import Case, Ending, KnownOrder, Lifecycle, Moment
from trueup.core.lifecycles import Part, Segment, Trace
from trueup.core.stops import STOP_PREFIX
from trueup.model.decimals import ZERO
from trueup.model.instruments import Instrument
from trueup.model.orders import Fill, FillKind, OrderKind, OrderRecord
from trueup.model.positions import CloseDetails, Evidence, ExitReason, Position, PositionKey

__all__ = [
    "CLIENT_PREFIX",
    "CLOSE_PREFIX",
    "LEAD_MS",
    "SETTLES_MS",
    "begun_by",
    "ended_unseen",
    "endings",
    "exit_reason",
    "fits",
    "is_recorded",
    "lifecycle_of",
    "may_be",
    "orders_to_ask",
    "own_segment",
    "shown_at",
    "trailed",
]

CLIENT_PREFIX = "tu-"
"""Every client order id of ours begins so."""

CLOSE_PREFIX = "tu-close-"
"""Client order ids of our close command."""

LEAD_MS = 3_600_000
"""How far before a row's beginning its history is read: a bot writes its row when it comes to it."""

SETTLES_MS = 1_000
"""How far a venue's change time of a position may lie before the time of the fill that changed it."""

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


def shown_at(row: Position) -> tuple[int, int]:
    """From when until when (inclusive) the venue was in the state that the row was verified in.

    A view's answer may be as old as the change time that it states, or newer than the view's `as_of_ms`. For a row that was
    never verified, when it was made.
    """
    if row.verified_as_of_ms is None:
        return row.opened_at_ms, row.opened_at_ms
    at, changed = row.verified_as_of_ms - 1, row.venue_updated_at_ms
    return (at, at) if changed is None else (min(changed, at), max(changed + SETTLES_MS, at))


def begun_by(row: Position) -> int:
    """By when it was open at the latest: as its bot wrote, or as the venue showed. A bot may date it hours ahead (local time)."""
    return min(row.opened_at_ms, shown_at(row)[0])


def own_segment(row: Position, trace: Trace, slack_ms: int, ended: tuple[Ending, ...] = ()) -> Segment | None:
    """The segment that is the row's lifecycle, None if the fills show none that can be.

    Args:
        slack_ms: How far the row's clock may be from the venue's.
        ended: Lifecycles of the key that other rows record: a row that was never seen open is none of these.
    """
    candidates = [segment for segment in trace.segments if segment.side is row.side]
    if row.verified_as_of_ms is None:
        candidates = [segment for segment in candidates if not is_recorded(segment, ended, slack_ms)]
    if row.opening_order_id is not None:
        opened = [s for s in candidates if any(part.fill.order_id == row.opening_order_id for part in s.openings)]
        if opened:
            return _seen_in(row, opened, slack_ms) or opened[0]
    if row.verified_as_of_ms is not None:
        return _seen_in(row, candidates, slack_ms)
    return _begun_with(row, candidates, slack_ms)


def endings(rows: Iterable[Position]) -> Mapping[PositionKey, tuple[Ending, ...]]:
    """What closed rows record as ended, by key."""
    found: dict[PositionKey, tuple[Ending, ...]] = {}
    for row in rows:
        if row.close is None:
            continue
        ending = Ending(
            at_ms=row.close.closed_at_ms,
            order_id=row.close.closing_order_id,
            evidence=row.close.evidence,
            opened=(row.opened_at_ms, row.opening_order_id),
            shown_ms=shown_at(row)[0] if row.verified_as_of_ms is not None else None,
        )
        found[row.key] = (*found.get(row.key, ()), ending)
    return found


def is_recorded(one: Segment | Lifecycle, ended: Iterable[Ending], slack_ms: int) -> bool:
    """Whether a row of the book has that lifecycle, or (closed on absence) may have it.

    What fills proved is told exactly; another record of a close bears the time of its order, not of its last fill.
    """
    opened, end = (one.opened_at_ms, one.opening_order_id), _end_of(one)
    at_ms, order_id = end
    if at_ms is None:
        return False
    for ending in ended:
        if ending.evidence is Evidence.FILLS:
            same = (ending.at_ms, ending.order_id) == end
        elif ending.order_id is not None:
            same = ending.order_id == order_id and abs(ending.at_ms - at_ms) <= SETTLES_MS
        else:
            same = at_ms <= ending.at_ms and may_be(ending.opened, ending.shown_ms, opened, at_ms, slack_ms)
        if same:
            return True
    return False


def may_be(row_opened: Moment, shown_ms: int | None, opened: Moment, ended_ms: int, slack_ms: int) -> bool:
    """Whether a row that tells of that beginning, seen open since then, may be the lifecycle that opened and ended so."""
    if shown_ms is not None and shown_ms >= ended_ms:
        return False
    row_ms, order_id = row_opened
    if order_id is not None:
        return order_id == opened[1]
    return (opened[0] or 0) - slack_ms <= (row_ms or 0) <= ended_ms


def _end_of(one: Segment | Lifecycle) -> Moment:
    if isinstance(one, Lifecycle):
        return (one.close.closed_at_ms, one.close.closing_order_id) if one.close is not None else (None, None)
    return one.closed_at_ms, one.closings[-1].fill.order_id if one.closings else None


def _seen_in(row: Position, candidates: list[Segment], slack_ms: int) -> Segment | None:
    """The one that was open in the verified state, or (a view in flight) that opened right after."""
    if row.verified_as_of_ms is None:
        return None
    begins, ends = shown_at(row)
    for at in _moments(row):
        for segment in candidates:
            if _contains(segment, at):
                return segment
    return next(
        (s for s in candidates if s.opened_at_ms is not None and begins <= s.opened_at_ms <= ends + slack_ms), None
    )


def ended_unseen(row: Position, trace: Trace, recorded: tuple[str, ...]) -> Segment | None:
    """The row's lifecycle where it had ended already when a view showed the next one: no fill that was visible explained that.

    It is told by an opening fill of the book's (`recorded`: their ids) or by the row's opening order, and ended since the row was
    written: what ended before is another row's. What the view showed must be a later one.
    """
    mine = [segment for segment in trace.segments if segment.side is row.side]
    shown = _seen_in(row, mine, 0)
    if shown is None or _is_begun_by(shown, row, recorded) or not fits(row, shown, trace):
        return None
    begun = next((one for one in mine if _is_begun_by(one, row, recorded)), None)
    if begun is None or begun.closed_at_ms is None or mine.index(begun) >= mine.index(shown):
        return None
    return begun if begun.closed_at_ms > row.created_at_ms and trace.would_show_a_gap(begun) else None


def _is_begun_by(segment: Segment, row: Position, recorded: tuple[str, ...]) -> bool:
    known = (part.fill for part in segment.openings)
    return any(fill.trade_id in recorded or fill.order_id == row.opening_order_id for fill in known)


def _begun_with(row: Position, candidates: list[Segment], slack_ms: int) -> Segment | None:
    """The one that opened when the row was made (clocks differ), or was open then, or opened later with its quantity; as a last
    choice one that was over when the row was made."""
    at = row.opened_at_ms

    def opened_then(segment: Segment) -> bool:
        return segment.opened_at_ms is not None and abs(segment.opened_at_ms - at) <= slack_ms

    def fits_size(segment: Segment) -> bool:
        return max(quantity for _, quantity in _levels(segment)) == row.quantity

    near = [s for s in candidates if _contains(s, at) or (opened_then(s) and (not _ended(s, at) or fits_size(s)))]
    if near:
        return min(
            near,
            key=lambda s: (not opened_then(s), not fits_size(s), not _contains(s, at), abs((s.opened_at_ms or 0) - at)),
        )
    later = next((s for s in candidates if (s.opened_at_ms or 0) > at and fits_size(s)), None)
    if later is not None or (row.close is None and any(s.closed_at_ms is None for s in candidates)):
        return later
    over = [s for s in candidates if at - LEAD_MS <= (s.opened_at_ms or 0) and _ended(s, at) and fits_size(s)]
    return next((s for s in reversed(over) if _opened_at_its_price(row, s)), None)


def _opened_at_its_price(row: Position, segment: Segment) -> bool:
    """Whether the row's entry price, where it has one, can be the average of what opened the segment."""
    prices = [part.fill.price for part in segment.openings]
    return row.entry_price is None or min(prices) <= row.entry_price <= max(prices)


def _contains(segment: Segment, at_ms: int) -> bool:
    return (segment.opened_at_ms is None or segment.opened_at_ms <= at_ms) and not _ended(segment, at_ms)


def _ended(segment: Segment, at_ms: int) -> bool:
    return segment.closed_at_ms is not None and segment.closed_at_ms <= at_ms


def _levels(segment: Segment) -> list[tuple[int, Decimal]]:
    """(since when, quantity), oldest first."""
    quantity = segment.started_with
    levels = [(0, quantity)]
    for part in segment.parts:
        quantity += part.quantity if part.opening else -part.quantity
        levels.append((part.fill.at_ms, quantity))
    return levels


def fits(row: Position, segment: Segment, trace: Trace) -> bool:
    """Whether the segment had the row's quantity in the state that the row tells of, so that no fill can be missing since.

    A bot may have written another quantity meanwhile, or one that was never true: that is believed only where a missing fill
    would show in another way.
    """
    levels = _levels(segment)
    begins = shown_at(row)[0]
    for moment in _moments(row):
        if [quantity for at, quantity in levels if at <= moment][-1:] == [row.quantity]:
            return True
    later = any(at >= begins and quantity == row.quantity for at, quantity in levels)
    return trace.would_show_a_gap(segment) and (later or row.verified_as_of_ms is None)


def _moments(row: Position) -> list[int]:
    """When the row's numbers stood: at the change time that the venue stated with them, and just before the view's own time."""
    if row.verified_as_of_ms is None:
        return [row.opened_at_ms]
    changed = row.venue_updated_at_ms
    return [row.verified_as_of_ms - 1] if changed is None else [changed, row.verified_as_of_ms - 1]


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


def trailed(reason: ExitReason, row: Position | None, client_ids: Iterable[str | None]) -> ExitReason:
    """A stop of ours under a lifecycle whose trailing was active is a trailing stop: to the venue it is a stop like any."""
    ours = any(text is not None and text.startswith(STOP_PREFIX) for text in client_ids)
    follows = row is not None and row.trailing_activated
    return ExitReason.TRAILING_STOP if reason is ExitReason.STOP_LOSS and ours and follows else reason


def exit_reason(
    fill: Fill, record: OrderRecord | None, known: tuple[KnownOrder, ...], row: Position | None = None
) -> ExitReason:
    """Why a lifecycle ended, by the order behind its last closing fill. `row`: the lifecycle's own."""
    client_ids = [fill.client_order_id]
    creators, kinds = [fill.created_by], [fill.order_kind]
    ids = {fill.order_id}
    if record is not None:
        client_ids += [record.client_order_id, record.parent_client_order_id]
        creators.append(record.created_by)
        kinds.append(record.kind)
        ids |= {record.parent_order_id} if record.parent_order_id else set()
    mine = [order for order in known if order.order_id in ids]
    client_ids += [order.client_order_id for order in mine]
    kinds += [order.kind for order in mine]
    if fill.kind in _BY_FILL:
        return _BY_FILL[fill.kind]
    for creator in creators:
        if creator in _BY_CREATOR:
            return trailed(_BY_CREATOR[creator], row, client_ids)
    if any(text is not None and text.startswith(CLOSE_PREFIX) for text in client_ids):
        return ExitReason.MANUAL
    for kind in kinds:
        if kind in _BY_KIND:
            return trailed(_BY_KIND[kind], row, client_ids)
    known_at_all = record is not None or mine or _fill_tells(fill)
    return ExitReason.EXTERNAL if known_at_all else ExitReason.SYNC_CLEANUP


def lifecycle_of(segment: Segment, case: Case, instrument: Instrument, row: Position | None) -> Lifecycle:
    """The book's view of a segment: amounts over all of it, and the close if it ended.

    `row` is given where the segment is that row's own: its entry price stands in for openings beyond the history.
    """
    before = _entry_before(segment, row, instrument) if row is not None and not segment.complete else None
    entry = _entry_price(segment, instrument, before)
    opened_at = segment.opened_at_ms
    if opened_at is None:
        opened_at = row.opened_at_ms if row is not None else segment.parts[0].fill.at_ms
    gross = amounts.gross_pnl(segment, instrument, before) if segment.closings else None
    ended = segment.closed_at_ms is not None
    return Lifecycle(
        side=segment.side,
        quantity=segment.closed_quantity if ended else segment.quantity,
        entry_price=entry,
        realized_pnl=gross,
        opened_at_ms=opened_at,
        opening_order_id=segment.opening_order_id,
        parts=segment.parts,
        close=_close_details(segment, case, instrument, (entry, gross, opened_at), row) if ended else None,
    )


def _entry_before(segment: Segment, row: Position, instrument: Instrument) -> Decimal | None:
    """Average entry of what the segment began with, quote units: the row's, less what was filled before it was verified.

    Undoes the fills backward by the average-cost rule. None where the row has none, or it does not come out.
    """
    if row.entry_price is None:
        return None
    ends = shown_at(row)[1]
    past = [part for part in segment.parts if part.fill.at_ms <= ends]
    quantity = segment.started_with + sum((part.quantity if part.opening else -part.quantity for part in past), ZERO)
    if not past or quantity <= 0:
        return row.entry_price
    cost = amounts.notional(quantity, row.entry_price, instrument)
    for part in reversed(past):
        if part.opening:
            quantity, cost = quantity - part.quantity, cost - amounts.value_of(part, instrument)
        else:
            cost = cost * (quantity + part.quantity) / quantity
            quantity += part.quantity
    return amounts.price_of(quantity, cost, instrument) if quantity > 0 and cost > 0 else None


def _entry_price(segment: Segment, instrument: Instrument, before: Decimal | None) -> Decimal | None:
    """Average over all openings, quote units; `before` is that of what the segment began with."""
    bought = [(part.quantity, part.fill.price) for part in segment.openings]
    if segment.complete:
        return amounts.weighted_price(bought, instrument)
    if before is None:
        return None
    return amounts.weighted_price([(segment.started_with, before), *bought], instrument)


def _close_details(
    segment: Segment,
    case: Case,
    instrument: Instrument,
    opening: tuple[Decimal | None, Decimal | None, int],
    row: Position | None,
) -> CloseDetails:
    """`opening`: entry price, gross PnL and when it was opened."""
    entry, gross, opened_at = opening
    history = case.history
    last: Part = segment.closings[-1]
    closed_at = last.fill.at_ms
    fees, fees_known = amounts.fees_of(segment.parts)
    read = history.funding if history is not None else None
    payments = read.payments if read is not None and read.since_ms <= opened_at else None
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
        exit_reason=exit_reason(last.fill, record, case.known_orders, row),
        evidence=Evidence.FILLS,
        complete=complete,
        closing_order_id=last.fill.order_id,
        closed_at_ms=closed_at,
    )
