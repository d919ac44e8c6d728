"""What an effect does on the venue, one attempt at a time, and how it is known to be done.

1. Immediately before an act the key is read afresh. A cancel leaves an order alone while the venue shows a position there, or the
   book has one; a close acts only on the very state that the book was last found true to.
2. "Not found" is believed only after both order lists and the history were read.
3. An act without an answer is never repeated before the venue was asked what became of it.
4. An act is done when the venue shows it done, not when a call returned.
5. A position that is larger than one market order may be is closed in parts, each once the venue shows the last one gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from trueup.core.rebuild import CLOSE_PREFIX
from trueup.model.effects import CancelOrder, MarketClose, NewEffect
from trueup.model.errors import OutcomeUnknown, UnknownOrder, Unobserved
from trueup.model.orders import OpenOrder, OrderStatus
from trueup.model.positions import PositionStatus
from trueup.model.protection import StopRefusal
from trueup.model.values import Value

if TYPE_CHECKING:
    from trueup.model.observations import PositionReport
    from trueup.model.orders import Side
    from trueup.ports import Store, Venue

__all__ = ["Acts", "Attempt", "fresh_report"]

_ORDERS_PER_CLOSE = 5
"""That end without a fill."""

_PARTS_AT_ONCE = 10
"""Of a position that is larger than one market order may be."""


class Attempt(Value, frozen=True, kw_only=True):
    """An attempt's end.

    Attributes:
        done: The venue shows it done, or there is nothing left to do.
        outcome: What became of it, or the problem that makes it wait.
        acted: It was this effect that did it.
        kept: An order that was left alone on purpose.
        became: What became of an order that is gone.
        retry_after_s: As the venue asked.
        final: Trying again at once would bring the same.
        look_again: What this was decided on changed: the account is looked at again before anything else is done.
        then: What must follow from it, written with its outcome.
        placed: The stop that stands now.
        refusal: Why the venue did not take a stop.
    """

    done: bool
    outcome: str
    acted: bool = False
    kept: bool = False
    became: OrderStatus | None = None
    retry_after_s: float = 0.0
    final: bool = False
    look_again: bool = False
    then: tuple[NewEffect, ...] = ()
    placed: OpenOrder | None = None
    refusal: StopRefusal | None = None


class Acts:
    """The acts on one account's venue."""

    def __init__(self, account: str, venue: Venue, store: Store) -> None:
        self._account = account
        self._venue = venue
        self._store = store

    async def cancel(self, cancel: CancelOrder) -> Attempt:
        """One attempt at a cancel. The position is read last, so that nothing but the cancel's own flight comes after it.

        An answer that lacks a position which the book has is no reason to act: a look decides what it means.
        """
        order = await self._listed(cancel)
        if order is None:
            return await self.absent(cancel)
        book = await self._store.active(self._account)
        if await self._open(cancel) is not None:
            return Attempt(
                done=True, kept=True, look_again=True, outcome="a position is open there: the order belongs to it"
            )
        if any((row.symbol, row.side) == (cancel.symbol, cancel.side) for row in book.positions):
            return Attempt(
                done=True, kept=True, outcome="the book has an open position there: looks decide on it first"
            )
        if not order.closes(cancel.side):
            return Attempt(done=True, kept=True, outcome="it has no close semantics: it is somebody's entry")
        return await self.send_cancel(cancel)

    async def send_cancel(self, cancel: CancelOrder) -> Attempt:
        """Cancels an order that was just found listed and fit to go."""
        try:
            await self._venue.cancel(cancel)
        except UnknownOrder:
            return await self.absent(cancel) if await self._listed(cancel) is None else _still_listed()
        if await self._listed(cancel) is not None:
            return _still_listed()
        return Attempt(done=True, acted=True, became=OrderStatus.CANCELLED, outcome="cancelled")

    async def _listed(self, cancel: CancelOrder) -> OpenOrder | None:
        """The order as either list shows it now."""
        orders = await self._venue.open_orders(cancel.symbol)
        return next((order for order in orders.orders if order.order_id == cancel.order_id), None)

    async def absent(self, cancel: CancelOrder) -> Attempt:
        """Neither list has it: the history says what became of it, unless it has forgotten it."""
        lookup = await self._venue.lookup_orders(cancel.symbol, (cancel.order_id,))
        record = lookup.get(cancel.order_id)
        if record is not None and record.status is OrderStatus.OPEN:
            return Attempt(done=False, outcome="the history calls it open, no list shows it")
        if record is None:
            return Attempt(done=True, outcome="already gone: unknown to lists and history")
        acted = record.status is OrderStatus.CANCELLED
        return Attempt(done=True, outcome=f"already gone: {record.status.value}", acted=acted, became=record.status)

    async def close(self, close: MarketClose) -> Attempt:
        """One attempt at a market close."""
        row = await self._store.position(close.position_id)
        if row is None or row.status is not PositionStatus.ACTIVE:
            return Attempt(done=True, outcome="the position is closed already")
        report = await self._open(close)
        if report is None:
            return Attempt(done=True, outcome="the venue shows it flat already")
        if report.quantity != row.quantity or report.updated_at_ms != row.venue_updated_at_ms:
            return Attempt(
                done=False, outcome="the position changed since the book was found true: looked at again first"
            )
        begin = 0
        for _ in range(_PARTS_AT_ONCE):
            part = await self._part_of(report)
            number = await self._free_number(close, begin)
            if number is None:
                return Attempt(
                    done=False, outcome="an earlier closing order still stands, or too many ended without a fill"
                )
            try:
                await self._venue.close_market(part, _client_id(close, number))
            except OutcomeUnknown as error:
                if await self._open(close) is not None:
                    return Attempt(done=False, outcome=str(error))
            left = await self._open(close)
            if left is None:
                return Attempt(done=True, acted=True, outcome="closed")
            if left.quantity != report.quantity - part.quantity:
                return Attempt(done=False, outcome="the closing order was accepted, the position is not flat yet")
            report, begin = left, number + 1
        return Attempt(done=False, outcome=f"{_PARTS_AT_ONCE} parts of it are closed, the rest follows")

    async def _part_of(self, report: PositionReport) -> PositionReport:
        """As much of the position as one market order may close: all of it, nearly always."""
        instrument = (await self._venue.catalog()).get(report.symbol)
        most = instrument.max_market_quantity if instrument is not None else None
        return report if most is None or report.quantity <= most else msgspec.structs.replace(report, quantity=most)

    async def _open(self, about: CancelOrder | MarketClose) -> PositionReport | None:
        return await fresh_report(self._venue, about.symbol, about.side)

    async def _free_number(self, close: MarketClose, begin: int) -> int | None:
        """The number of the next order of this close, from `begin` on: one that no order bears yet.

        None: one stands, also of an earlier wish, which forbids another; or too many ended without a fill.
        """
        bears = f"{CLOSE_PREFIX}{close.position_id}-"
        listed = await self._venue.open_orders(close.symbol)
        if any((order.client_order_id or "").startswith(bears) for order in listed.orders):
            return None
        number, unfilled = begin, 0
        while unfilled < _ORDERS_PER_CLOSE:
            record = await self._venue.find_order(close.symbol, _client_id(close, number))
            if record is None:
                return number
            if record.status is OrderStatus.OPEN:
                return None
            number, unfilled = number + 1, unfilled + (not record.filled_quantity)
        return None


def _client_id(close: MarketClose, number: int) -> str:
    return f"{close.client_order_id}-{number}"


async def fresh_report(venue: Venue, symbol: str, side: Side) -> PositionReport | None:
    """The position as the venue states it now; None: it is flat.

    Raises:
        Unobserved: A row of it could not be read.
    """
    view = await venue.positions(symbol)
    if view.quarantined:
        raise Unobserved(f"position {symbol}", f"it could not be read: {view.quarantined[0].problem}")
    return next((one for one in view.reports if (one.symbol, one.side) == (symbol, side)), None)


def _still_listed() -> Attempt:
    return Attempt(done=False, outcome="the venue still lists the order after its cancel")
