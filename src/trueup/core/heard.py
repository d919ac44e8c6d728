"""From what an account's stream said to a case: the same decision as on a look, made without asking the venue.

1. A slot of the stream speaks for venue time up to its own change; a newer fill than that makes it speak for nothing, unless the
   venue's own order (its sequence) puts the slot at or after the fill.
2. The past is what the store recorded of the lifecycle and the fills that were heard: nothing older is asked for. A past that
   does not begin flat decides nothing here.
3. Only what fills prove is decided on a stream: a close, a change of the quantity, the other side of a flip. All else waits for a
   look.
4. A one-way slot is not believed of a symbol whose fills tell legs.

Source: docs/adr/0016-stream-evidence.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from trueup.core.cases import Adjust, Adopt, Case, Close, History, KnownOrder, Policy, Verdict, Verified
from trueup.model.instruments import Instrument
from trueup.model.observations import FillHistory, OrderLookup, PositionReport
from trueup.model.orders import Fill, OrderRecord, Side
from trueup.model.positions import Evidence, Position
from trueup.model.stream import StreamPosition

__all__ = ["flipped_case", "heard_case", "is_provable", "speaks_until_ms"]


def speaks_until_ms(slot: StreamPosition, fills: Iterable[Fill]) -> int | None:
    """Venue time before which every change of the slot is contained in it; None: it cannot be told, or a newer fill is known."""
    if slot.at_ms is None:
        return None
    newest = max(fills, key=lambda fill: (fill.at_ms, fill.sequence or 0), default=None)
    if newest is None or newest.at_ms <= slot.at_ms:
        return slot.at_ms + 1
    in_order = slot.sequence is not None and newest.sequence is not None and slot.sequence >= newest.sequence
    return newest.at_ms + 1 if in_order else None


def heard_case(
    row: Position,
    instrument: Instrument | None,
    policy: Policy,
    *,
    slots: Sequence[StreamPosition],
    heard: Sequence[Fill],
    recorded: Sequence[Fill],
    orders: Sequence[OrderRecord],
    known_orders: tuple[KnownOrder, ...],
    now_ms: int,
    opening: tuple[str, Decimal] | None = None,
) -> Case | None:
    """The case of one row; None while what was heard cannot be one.

    Args:
        slots: The newest word on each slot of the row's symbol.
        heard: Fills of the symbol since the stream came up, in any order.
        recorded: Whole fills that the store recorded for the row's lifecycle; none: its beginning is not known.
        orders: What was heard of orders, conditional parents folded into the orders that they became.
        now_ms: Venue time now.
        opening: The recorded fill that opened the lifecycle, and how many contracts of it did.
    """
    begins_ms = min((fill.at_ms for fill in recorded), default=None)
    if begins_ms is None:
        return None
    later = (fill for fill in heard if fill.at_ms >= begins_ms)
    fills = {(fill.trade_id, fill.order_id): fill for fill in (*recorded, *later)}
    tells_leg = any(fill.position_side is not None for fill in fills.values())
    slot = _slot_of(slots, row.side, tells_leg=tells_leg)
    if slot is None or instrument is None:
        return None
    as_of_ms = speaks_until_ms(slot, (fill for fill in fills.values() if _touches(fill, row.side, slot)))
    if as_of_ms is None:
        return None
    history = History(
        fills=FillHistory(
            symbol=row.symbol,
            since_ms=begins_ms,
            until_ms=as_of_ms,
            fills=tuple(sorted(fills.values(), key=lambda fill: fill.at_ms)),
            reach_ms=begins_ms,
        ),
        asked=("funding", "orders"),
        orders=OrderLookup(symbol=row.symbol, asked=(), records=tuple(orders)),
    )
    return Case(
        key=row.key,
        row=row,
        report=_report(slot, row.side),
        opposite=_opposite(slots, slot, row.side),
        instrument=instrument,
        as_of_ms=as_of_ms,
        now_ms=max(now_ms, as_of_ms),
        policy=policy,
        history=history,
        recorded_trade_ids=tuple(fill.trade_id for fill in recorded),
        recorded_opening=opening,
        known_orders=known_orders,
    )


def flipped_case(case: Case) -> Case | None:
    """The case of the other side, where the same slot shows that the close of this one opened it; None: it did not."""
    if case.opposite is None or case.opposite.hedge or case.report is not None:
        return None
    key = case.key._replace(side=case.key.side.opposite)
    return msgspec.structs.replace(
        case,
        key=key,
        row=None,
        report=case.opposite,
        opposite=None,
        recorded_trade_ids=(),
        recorded_opening=None,
        known_orders=(),
    )


def is_provable(verdict: Verdict) -> bool:
    """Whether a verdict on what was heard may stand without a look (rule 3); several that ended are left to a look."""
    if isinstance(verdict, Close):
        ended_since = any(one.close is not None for one in verdict.successors)
        return verdict.details.evidence is Evidence.FILLS and verdict.details.complete and not ended_since
    if isinstance(verdict, Adopt):
        opened = verdict.lifecycle is not None and verdict.lifecycle.opening_order_id is not None
        return opened and not verdict.hold and not verdict.unverified
    if isinstance(verdict, Adjust):
        return verdict.explained and verdict.lifecycle is not None and verdict.lifecycle.opening_order_id is not None
    return isinstance(verdict, Verified)


def _slot_of(slots: Sequence[StreamPosition], side: Side, *, tells_leg: bool) -> StreamPosition | None:
    speaking = [slot for slot in slots if slot.of(side) is not None and not (tells_leg and slot.leg is None)]
    return max(speaking, key=lambda slot: (slot.at_ms or 0, slot.sequence or 0), default=None)


def _touches(fill: Fill, side: Side, slot: StreamPosition) -> bool:
    """Whether the fill may have moved what the slot speaks of: of a hedge leg, its own fills only."""
    if slot.leg is None or fill.position_side is None:
        return True
    return fill.position_side is side


def _report(slot: StreamPosition, side: Side) -> PositionReport | None:
    return slot.report if slot.side is side else None


def _opposite(slots: Sequence[StreamPosition], own: StreamPosition, side: Side) -> PositionReport | None:
    """What is known of the other side: of a one-way symbol the same slot says it."""
    if own.leg is None:
        return own.report if own.side is side.opposite else None
    return next((slot.report for slot in slots if slot.leg is side.opposite and slot.side is side.opposite), None)
