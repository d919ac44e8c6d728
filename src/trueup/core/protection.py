"""What protects an open lifecycle now, and what is to be done about it.

1. Only an order that can do nothing but reduce the position, and waits for an adverse price, is a stop. A take-profit is none;
   a conditional order without close semantics is somebody's entry.
2. A stop that would fire after the liquidation, or that is not active yet, is no cover. Partial stops add up.
3. Covered means: live stops for the full quantity. What is ours must also be as tight as asked for (`fitting`), or is replaced;
   a user's stop is respected where it stands. A stop that sits on the position itself (Bybit) is always a user's.
4. At most one stop of ours. A better one is placed before the old ones go; nothing goes while it is needed (`superfluous`).
5. The ratchet: a new stop of ours is never looser than one of ours that the same lifecycle has.
6. Everything else is a named `Finding`.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from trueup.core.rebuild import CLIENT_PREFIX
from trueup.core.stops import STOP_PREFIX, WantedStop, beyond, is_tighter, tighter
from trueup.model.decimals import ZERO
from trueup.model.observations import PositionReport
from trueup.model.orders import OpenOrder, OrderKind, OrderList, Side
from trueup.model.positions import PositionKey
from trueup.model.values import Value

__all__ = ["Cover", "Finding", "FindingKind", "Lifecycle", "Plan", "cover", "plan", "superfluous"]


class FindingKind(StrEnum):
    """What is not as it should be, or should be known, about a position's stops."""

    NO_STOP = "no_stop"
    SHORT_OF_QUANTITY = "short_of_quantity"
    OVER_QUANTITY = "over_quantity"
    LOOSER_THAN_POLICY = "looser_than_policy"
    BEYOND_LIQUIDATION = "beyond_liquidation"
    NOT_ACTIVE = "trailing_not_active"
    WRONG_TRIGGER = "wrong_trigger_source"
    FROM_PREDECESSOR = "from_predecessor"  # a stop of ours that an earlier lifecycle of this key left
    TOO_MANY = "too_many_stops"
    TAKE_PROFIT = "take_profit_is_no_stop"
    STOP_ENTRY = "stop_entry"
    WRONG_SIDE = "wrong_side"
    STOP_LIMIT = "stop_limit_may_not_fill"
    NO_PRICE = "no_price_to_place_at"


class Finding(Value, frozen=True, kw_only=True):
    """`order_id`: the order that it is about; None: about the position itself."""

    kind: FindingKind
    order_id: str | None = None


class Lifecycle(Value, frozen=True, kw_only=True):
    """The open lifecycle whose cover is asked for, and the stop that it should have (None: nothing says where)."""

    position_id: int
    key: PositionKey
    report: PositionReport
    wanted: WantedStop | None


class Cover(Value, frozen=True, kw_only=True):
    """What protects a lifecycle now.

    Attributes:
        ours: Every stop of ours on the key, whether it counts or not.
        fitting: Of ours, those that may stay as they are, the best first.
        counted: The stops that count, whoever's.
        quantity: Contracts that they cover together; None: the whole position.
        others: Contracts that stops of others cover; None: the whole position.
    """

    lifecycle: Lifecycle
    covered: bool
    quantity: Decimal | None
    others: Decimal | None
    ours: tuple[OpenOrder, ...] = ()
    fitting: tuple[OpenOrder, ...] = ()
    counted: tuple[OpenOrder, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def missing(self) -> Decimal:
        """Contracts that stops of others leave uncovered."""
        return _missing(self.others, self.lifecycle.report.quantity)


class Plan(Value, frozen=True, kw_only=True):
    """What is to be done: first `place`, and only once that is seen live, `sweep`.

    Attributes:
        place: The stop that is missing, with the quantity and trigger that it is to have.
        sweep: Stops of ours that are not needed (any more, once `place` is live).
        spare: Of `sweep`, those that can go even if nothing can be placed: without them just as much is covered.
    """

    place: WantedStop | None = None
    sweep: tuple[OpenOrder, ...] = ()
    spare: tuple[OpenOrder, ...] = ()


def cover(lifecycle: Lifecycle, orders: Iterable[OpenOrder]) -> Cover:
    """What protects it, of the orders that stand on the venue."""
    found = _Reading(lifecycle)
    for order in orders:
        if order.symbol == lifecycle.key.symbol:
            found.read(order)
    return found.result()


def plan(state: Cover) -> Plan:
    """What would make it covered with one stop of ours, or leave it so."""
    if state.fitting:
        keep = state.fitting[0]
        rest = tuple(order for order in state.ours if order.order_id != keep.order_id)
        return Plan(sweep=rest, spare=rest)
    wanted = state.lifecycle.wanted
    spare = _spare(state)
    if wanted is None or (not state.ours and not state.missing):
        return Plan(sweep=spare, spare=spare)
    return Plan(place=_placed(state, wanted), sweep=state.ours, spare=spare)


def superfluous(state: Cover, order_id: str) -> bool:
    """Whether that stop of ours may go now: the position stays covered without it, or it never covered anything."""
    wished = plan(state)
    going = wished.spare if wished.place is not None else wished.sweep
    return any(order.order_id == order_id for order in going)


def _placed(state: Cover, wanted: WantedStop) -> WantedStop:
    """The wanted stop, for what others leave uncovered, and never looser than what this lifecycle has."""
    side, report = state.lifecycle.key.side, state.lifecycle.report
    trigger = wanted.trigger_price
    for order in state.counted:
        if _is_own(order, state.lifecycle) and order.trigger_price is not None:
            trigger = tighter(side, trigger, order.trigger_price)
    return WantedStop(
        trigger_price=trigger,
        policy_price=wanted.policy_price if trigger == wanted.trigger_price else trigger,
        quantity=state.missing or report.quantity,
        trigger_by=wanted.trigger_by,
        source=wanted.source,
    )


def _spare(state: Cover) -> tuple[OpenOrder, ...]:
    """Ours that can go even if nothing better can be placed: without them just as much is covered, by one of ours at least."""
    counted = {order.order_id for order in state.counted}
    live = [order for order in state.ours if order.order_id in counted]
    live.sort(key=lambda order: _protects(order, state.lifecycle))
    if not live:
        return ()
    needed = list(state.counted)
    spare = {order.order_id for order in state.ours if order.order_id not in counted}
    for order in live[:-1]:
        without = [one for one in needed if one.order_id != order.order_id]
        if _covered(without, state.lifecycle) == _covered(needed, state.lifecycle):
            needed = without
            spare.add(order.order_id)
    return tuple(order for order in state.ours if order.order_id in spare)


def _covered(stops: Iterable[OpenOrder], lifecycle: Lifecycle) -> Decimal:
    """Contracts of the position that these cover together."""
    total = _sum(stops)
    return lifecycle.report.quantity if total is None else min(total, lifecycle.report.quantity)


def _protects(order: OpenOrder, lifecycle: Lifecycle) -> tuple[Decimal, Decimal]:
    open_quantity = lifecycle.report.quantity
    covered = open_quantity if order.quantity is None else min(order.quantity, open_quantity)
    trigger = order.trigger_price if order.trigger_price is not None else ZERO
    return covered, trigger * lifecycle.key.side.sign


def _missing(others: Decimal | None, quantity: Decimal) -> Decimal:
    return ZERO if others is None else max(ZERO, quantity - others)


def _is_own(order: OpenOrder, lifecycle: Lifecycle) -> bool:
    """Whether it was placed for this very lifecycle."""
    return (order.client_order_id or "").startswith(f"{STOP_PREFIX}{lifecycle.position_id}-")


class _Reading:
    """One pass over a position's orders."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._of = lifecycle
        self._side = lifecycle.key.side
        self._findings: list[Finding] = []
        self._ours: list[OpenOrder] = []
        self._counted: list[OpenOrder] = []

    def read(self, order: OpenOrder) -> None:
        if not order.closes(self._side):
            self._not_closing(order)
        elif order.kind is OrderKind.TAKE_PROFIT:
            self._find(FindingKind.TAKE_PROFIT, order)
        elif order.is_stop:
            self._stop(order)

    def _not_closing(self, order: OpenOrder) -> None:
        if not order.is_conditional:
            return
        if order.closes(self._side.opposite):
            if not self._of.report.hedge:
                self._find(FindingKind.WRONG_SIDE, order)
        elif order.position_side in (None, self._side):
            self._find(FindingKind.STOP_ENTRY, order)

    def _stop(self, order: OpenOrder) -> None:
        ours = order.kind is OrderKind.STOP and (order.client_order_id or "").startswith(CLIENT_PREFIX)
        if ours:
            self._ours.append(order)
        counts = True
        trigger, report = order.trigger_price, self._of.report
        if order.kind is OrderKind.TRAILING_STOP:
            if not _is_active(order, self._side, report.mark_price):
                self._find(FindingKind.NOT_ACTIVE, order)
                counts = False
        elif trigger is not None and beyond(self._side, trigger, report.liquidation_price):
            self._find(FindingKind.BEYOND_LIQUIDATION, order)
            counts = False
        if order.limit_price is not None:
            self._find(FindingKind.STOP_LIMIT, order)
        if order.quantity is not None and order.quantity > report.quantity:
            self._find(FindingKind.OVER_QUANTITY, order)
            # Without the reduce-only flag (a Binance hedge leg) the venue refuses more than is open, when it fires.
            counts = counts and (order.reduce_only or order.close_position)
        if not ours and trigger is not None and self._is_looser(trigger):
            self._find(FindingKind.LOOSER_THAN_POLICY, order)
        if counts:
            self._counted.append(order)

    def _is_looser(self, trigger: Decimal) -> bool:
        wanted = self._of.wanted
        return wanted is not None and is_tighter(self._side, wanted.policy_price, trigger)

    def result(self) -> Cover:
        quantity = self._of.report.quantity
        ids = {order.order_id for order in self._ours}
        total = _sum(self._counted)
        others = _sum(order for order in self._counted if order.order_id not in ids)
        fitting = [order for order in self._ours if order in self._counted and self._fits(order, others)]
        fitting.sort(key=lambda order: _protects(order, self._of), reverse=True)
        if len(self._ours) > 1:
            self._find(FindingKind.TOO_MANY)
        if not self._counted:
            self._find(FindingKind.NO_STOP)
        elif total is not None and total < quantity:
            self._find(FindingKind.SHORT_OF_QUANTITY)
        full = total is None or total >= quantity
        if self._of.wanted is None and not full:
            self._find(FindingKind.NO_PRICE)
        return Cover(
            lifecycle=self._of,
            covered=full,
            quantity=total,
            others=others,
            ours=tuple(self._ours),
            fitting=tuple(fitting),
            counted=tuple(self._counted),
            findings=tuple(self._findings),
        )

    def _fits(self, order: OpenOrder, others: Decimal | None) -> bool:
        """Whether a stop of ours may stay as it is: right in quantity, trigger and lifecycle."""
        quantity, wanted = self._of.report.quantity, self._of.wanted
        fits = True
        if not _is_own(order, self._of):
            self._find(FindingKind.FROM_PREDECESSOR, order)
            fits = False
        if order.quantity is not None and not _missing(others, quantity) <= order.quantity <= quantity:
            fits = False
        if wanted is None:
            return fits
        if order.trigger_price is not None and self._is_looser(order.trigger_price):
            self._find(FindingKind.LOOSER_THAN_POLICY, order)
            fits = False
        if order.trigger_by is not None and order.trigger_by != wanted.trigger_by:
            self._find(FindingKind.WRONG_TRIGGER, order)
            fits = False
        return fits

    def _find(self, kind: FindingKind, order: OpenOrder | None = None) -> None:
        self._findings.append(Finding(kind=kind, order_id=order.order_id if order is not None else None))


def _sum(orders: Iterable[OpenOrder]) -> Decimal | None:
    """Contracts that they cover together; None: one of them covers the whole position."""
    total = ZERO
    for order in orders:
        if order.quantity is None:
            return None
        total += order.quantity
    return total


def _is_active(order: OpenOrder, side: Side, mark: Decimal | None) -> bool:
    """Whether a trailing stop follows the price already.

    Binance shows its activation price (none: active from the start), Bybit the running trigger of an active one on a position.
    """
    shown = order.trigger_price
    if order.order_list is OrderList.ATTACHED:
        return shown is not None
    return shown is None or (mark is not None and not is_tighter(side, shown, mark))
