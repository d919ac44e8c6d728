"""Rebuilds lifecycles from fills, anchored on what the venue itself shows at the end of them.

1. The venue's own quantity is the anchor: before each fill the position was what it is after it, less the fill. Nothing is
   assumed about the beginning; a history that lacks fills shows itself as a beginning that cannot be.
2. A fill that crosses zero is split: one part ends a lifecycle, the rest begins the next; fee and value go by quantity.
3. Quantity is conserved: a lifecycle's opening parts less its closing parts (plus what it began with) is what is left of it.
4. Order, duplication and staleness of the report do not matter: fills are sorted and told apart by trade and order. Only within
   one millisecond and sequence, where the ids are no numbers, is the order kept in which the venue tells them.
5. The position mode is switched only while flat: fills that tell their leg and fills that do not meet at zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import NamedTuple

from trueup.model.decimals import ZERO
from trueup.model.orders import Fill, FillKind, OrderSide, Side
from trueup.model.values import Value

__all__ = ["Part", "Segment", "Trace", "trace_fills"]

_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_SHARE = Decimal("1e-12")
_NOTHING = Decimal("1e-4")
_ONLY_CLOSES = (FillKind.LIQUIDATION, FillKind.ADL, FillKind.SETTLEMENT)


class Part(Value, frozen=True, kw_only=True):
    """What one fill did to one lifecycle. `quantity` is positive; `opening` tells increase from reduction."""

    fill: Fill
    opening: bool
    quantity: Decimal

    def share(self, amount: Decimal | None) -> Decimal | None:
        """This part's share by quantity of an amount that the venue states for the whole fill; None stays None.

        The closing part is rounded to 12 places, the opening part is the rest: together they are the amount, exactly.
        """
        whole = self.fill.quantity
        if amount is None or self.quantity == whole:
            return amount
        closing = whole - self.quantity if self.opening else self.quantity
        share = _WIDE.divide(_WIDE.multiply(amount, closing), whole).quantize(_SHARE, context=_WIDE)
        return _WIDE.subtract(amount, share) if self.opening else share

    @property
    def realized_pnl(self) -> Decimal | None:
        """Gross, as the venue states it: all of a fill's belongs to its closing part. None: opening, or not stated."""
        return None if self.opening else self.fill.realized_pnl


class Segment(Value, frozen=True, kw_only=True):
    """One lifecycle as the fills show it.

    Attributes:
        started_with: Quantity at the history's beginning; zero when the opening itself is in it.
        quantity: What is left, contracts; zero exactly when `closed_at_ms` is set.
        opened_at_ms: Time of the first opening fill; None when it lies before the history.
    """

    side: Side
    started_with: Decimal
    quantity: Decimal
    opened_at_ms: int | None
    closed_at_ms: int | None
    parts: tuple[Part, ...]

    @property
    def complete(self) -> bool:
        """Whether the history holds it from its first fill on."""
        return self.opened_at_ms is not None

    @property
    def openings(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.opening)

    @property
    def closings(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if not part.opening)

    @property
    def closed_quantity(self) -> Decimal:
        return sum((part.quantity for part in self.closings), ZERO)

    @property
    def opening_order_id(self) -> str | None:
        first = next((part for part in self.parts if part.opening), None)
        return first.fill.order_id if first is not None and self.complete else None


class Trace(Value, frozen=True, kw_only=True):
    """Every lifecycle of one key's history, oldest first.

    Attributes:
        starts_with: Signed quantity at the history's beginning (long positive).
        by_leg: Whether the newest fills tell their leg: the line of one leg, which can never lie below zero.
        problem: Why the fills cannot be what happened; None when they can.
        last_fill_ms: Time of the newest fill; None without fills.
    """

    segments: tuple[Segment, ...]
    starts_with: Decimal
    by_leg: bool
    last_fill_ms: int | None
    problem: str | None = None

    @property
    def open_segment(self) -> Segment | None:
        return self.segments[-1] if self.segments and self.segments[-1].closed_at_ms is None else None

    def misstates(self, since: Segment) -> str | None:
        """What of the profits that the venue stated with the fills cannot be, were that segment and those after it true.

        On a net line a missing fill turns openings into closings: then one of the first states a profit, or one of the second
        none although the price had moved. None: nothing is amiss, or the venue states no profits.
        """
        for segment in self.segments[self.segments.index(since) :]:
            fill = _misstated(segment)
            if fill is not None:
                return (
                    f"fill {fill.trade_id} states a profit of {fill.realized_pnl}, which cannot be: fills are missing"
                )
        return None

    def would_show_a_gap(self, segment: Segment) -> bool:
        """Whether a closing fill that is missing in or after that segment shows: the line before its opening is not flat."""
        return segment.complete and (self.by_leg or self.starts_with == 0 or self._was_flat_before(segment))

    def _was_flat_before(self, segment: Segment) -> bool:
        """Whether the profit that the venue states with the end of the lifecycle before it says where the net line's zero was.

        That fill closed just as much as the line says, and what it left open the next one did not close. Of a line that was
        never flat since the history begins nothing else tells it.
        """
        place = self.segments.index(segment)
        before = self.segments[place - 1] if place else None
        if before is None or not before.complete:
            return False
        last, first, entry = before.parts[-1], segment.parts[0], _entry_left(before)
        moved = before.side.sign * last.quantity * (last.fill.price - entry)
        stated = last.realized_pnl
        if stated is None or abs(moved) <= _NOTHING or abs(stated - moved) > abs(moved) * _NOTHING:
            return False
        return first.fill is last.fill or (first.fill.realized_pnl == 0 and first.fill.price != entry)


def _misstated(segment: Segment) -> Fill | None:
    """The first fill whose stated profit does not go with what it does to the segment, at average cost.

    Of a fill that crosses zero the profit is its closing part's.
    """
    quantity, cost = segment.started_with, None if segment.started_with else ZERO
    crossing = (
        segment.parts[0].fill if segment.parts and segment.parts[0].quantity != segment.parts[0].fill.quantity else None
    )
    for part in segment.parts:
        fill = part.fill
        if part.opening:
            if fill.realized_pnl and fill is not crossing:
                return fill
            quantity, cost = quantity + part.quantity, None if cost is None else cost + part.quantity * fill.price
            continue
        moved = None if cost is None else part.quantity * fill.price - cost * part.quantity / quantity
        if fill.realized_pnl == 0 and moved is not None and abs(moved) > _NOTHING:
            return fill
        quantity, cost = quantity - part.quantity, None if cost is None else cost - cost * part.quantity / quantity
    return None


def _entry_left(segment: Segment) -> Decimal:
    """Average entry price of what the last fill of a whole lifecycle closed, at average cost (linear), quote units."""
    quantity = cost = ZERO
    for part in segment.parts[:-1]:
        if part.opening:
            quantity, cost = quantity + part.quantity, cost + part.quantity * part.fill.price
        else:
            quantity, cost = quantity - part.quantity, cost - cost * part.quantity / quantity
    return cost / quantity


def trace_fills(fills: Iterable[Fill], side: Side, *, leg: Decimal, net: Decimal, hedge: bool = False) -> Trace:
    """Lifecycles of one key.

    Args:
        fills: The symbol's fills, any order, duplicates allowed.
        side: The leg that is asked about. Where fills tell no leg (one-way), both sides are traced, for a flip joins them.
        leg: What the venue shows of that side after the newest of them, signed contracts (long positive).
        net: The same of the instrument in one-way mode; the anchor where the fills tell no leg.
        hedge: Whether the venue now shows this instrument in hedge mode; False also where it shows nothing.

    Returns:
        The lifecycles, or a trace whose `problem` says why the fills do not fit what the venue shows.
    """
    unique = {(fill.trade_id, fill.order_id): fill for fill in fills}
    ordered = sorted(unique.values(), key=lambda fill: (fill.at_ms, fill.sequence or 0, _trade_rank(fill.trade_id)))
    states_closed = any(fill.closed_quantity is not None for fill in ordered)
    moves = [_move(fill, side, states_closed=states_closed) for fill in ordered]
    by_leg = moves[-1].tells_leg if moves else hedge
    starts_with, gap = _beginning(moves, leg if by_leg or hedge else net, switched=hedge and not by_leg)
    walker = _Walker(starts_with)
    lowest = ZERO
    for fill, change, tells_leg in moves:
        if change == 0:
            continue
        if tells_leg:
            lowest = min(lowest, side.sign * walker.net, side.sign * (walker.net + change))
        walker.take(fill, change)
    problem = None
    if gap:
        problem = f"the fills leave {gap} open where the position mode was switched: some are missing, or tell no leg"
    elif lowest < 0:
        problem = (
            f"the fills of the {side.value} leg close {-lowest} more than was open: "
            "the history lacks fills, or the venue shows an older state"
        )
    return Trace(
        segments=tuple(walker.finish()),
        starts_with=starts_with,
        by_leg=by_leg,
        last_fill_ms=max((move.fill.at_ms for move in moves if move.change), default=None),
        problem=problem,
    )


class _Move(NamedTuple):
    """What a fill adds to the traced line, signed (long positive), and whether it tells its leg; zero: it touches another leg."""

    fill: Fill
    change: Decimal
    tells_leg: bool


def _beginning(moves: list[_Move], now: Decimal, *, switched: bool) -> tuple[Decimal, Decimal]:
    """Signed quantity before the first move, and what was open (it cannot be) where the position mode was switched.

    Runs backward. Where one fill tells its leg and the next does not, the line is at zero (invariant 5); `switched` says that
    the mode was switched after the newest fill.
    """
    level = now
    gap = level if switched else ZERO
    for place in range(len(moves) - 1, -1, -1):
        level -= moves[place].change
        if place and moves[place - 1].tells_leg is not moves[place].tells_leg:
            gap = gap or level
    return level, gap


def _trade_rank(trade_id: str) -> int:
    return int(trade_id) if trade_id.isascii() and trade_id.isdigit() else 0


def _move(fill: Fill, side: Side, *, states_closed: bool) -> _Move:
    """Binance states the leg (`position_side`); Bybit states how much of the fill closed (`closed_quantity`), which tells the
    legs apart in hedge mode and splits a flip in one-way mode. A liquidation, ADL or settlement only ever closes.

    Args:
        states_closed: Whether the venue states what fills closed: what it forces then closes all that it filled, said or not.
    """
    signed = fill.order_side.sign * fill.quantity
    if fill.position_side is not None:
        return _Move(fill, signed if fill.position_side is side else ZERO, tells_leg=True)
    closed = fill.quantity if states_closed and fill.kind in _ONLY_CLOSES else fill.closed_quantity
    if closed is None:
        return _Move(fill, signed, tells_leg=False)
    opens = Side.LONG if fill.order_side is OrderSide.BUY else Side.SHORT
    part = fill.quantity - closed if opens is side else closed
    return _Move(fill, fill.order_side.sign * part, tells_leg=True)


class _Walker:
    """Runs forward through the moves and cuts the line at its zeros."""

    def __init__(self, starts_with: Decimal) -> None:
        self.net = starts_with
        self._segments: list[Segment] = []
        self._parts: list[Part] = []
        self._started_with = abs(starts_with)
        self._opened_at: int | None = None

    def take(self, fill: Fill, change: Decimal) -> None:
        if self.net != 0 and (self.net > 0) != (change > 0):
            closing = min(abs(self.net), abs(change))
            self._step(fill, closing, opening=False, change=closing if change > 0 else -closing)
            change -= closing if change > 0 else -closing
        if change != 0:
            self._step(fill, abs(change), opening=True, change=change)

    def _step(self, fill: Fill, quantity: Decimal, *, opening: bool, change: Decimal) -> None:
        if self.net == 0:
            self._opened_at = fill.at_ms
            self._started_with = ZERO
        side = self._side(change if self.net == 0 else self.net)
        self._parts.append(Part(fill=fill, opening=opening, quantity=quantity))
        self.net += change
        if self.net == 0:
            self._cut(side, fill.at_ms)

    def _cut(self, side: Side, closed_at: int | None) -> None:
        self._segments.append(
            Segment(
                side=side,
                started_with=self._started_with,
                quantity=abs(self.net),
                opened_at_ms=self._opened_at,
                closed_at_ms=closed_at,
                parts=tuple(self._parts),
            )
        )
        self._parts, self._started_with, self._opened_at = [], ZERO, None

    def finish(self) -> list[Segment]:
        if self.net != 0:
            self._cut(self._side(self.net), None)
        return self._segments

    @staticmethod
    def _side(net: Decimal) -> Side:
        return Side.LONG if net > 0 else Side.SHORT
