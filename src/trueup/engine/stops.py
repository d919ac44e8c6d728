"""Stops on the venue, one attempt at a time: placing the one that is missing, taking away one that is not needed.

1. Immediately before a stop is placed (orders, then position) or taken away (position, then orders) both are read afresh, and
   what is to be done is decided again on them. A position that changed since its stop was wished for gets the stop that it
   needs now, and is looked at again; what the venue refuses of such a one proves nothing.
2. A stop is placed when a list of the venue shows it. Only then are the old ones to go, as effects of their own.
3. A stop without an answer is asked for under its client id, in the lists and the history, before it is sent again; and it is
   sent again under the same id, so that the venue itself refuses a second one.
4. Closing at market is left to refusals that prove that the stop cannot exist, of a position that nothing else covers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from trueup.core.keeping import close_effect, sweep_effect
from trueup.core.protection import Cover, Lifecycle, Plan, cover, plan, superfluous
from trueup.core.stops import other_try, wanted_stop
from trueup.engine.acts import Acts, Attempt, fresh_report
from trueup.engine.trailing import KeptTriggers
from trueup.model.errors import OutcomeUnknown
from trueup.model.orders import OpenOrder, OrderStatus
from trueup.model.positions import Position, PositionKey, PositionStatus
from trueup.model.protection import StopOrder, StopRefusal, StopRefused

if TYPE_CHECKING:
    from trueup.core.stops import WantedStop
    from trueup.engine.settings import AccountPlan
    from trueup.model.effects import CancelOrder, NewEffect, PlaceStop
    from trueup.model.observations import PositionReport
    from trueup.ports import Clock, Store, Venue

__all__ = ["StopActs"]

_ORDERS_PER_WISH = 5


class StopActs:
    """The acts on one account's stops. `triggers`: where its trailing stops stand, as it was committed before this look."""

    def __init__(self, plan: AccountPlan, venue: Venue, store: Store, clock: Clock, acts: Acts) -> None:
        self._plan = plan
        self._venue = venue
        self._store = store
        self._clock = clock
        self._acts = acts
        self.triggers = KeptTriggers(store, plan.name)

    async def place(self, wish: PlaceStop) -> Attempt:
        """One attempt at giving a lifecycle its stop."""
        row = await self._store.position(wish.position_id)
        if row is None or row.status is not PositionStatus.ACTIVE:
            return Attempt(done=True, outcome="the position is closed already")
        listed = await self._venue.open_orders(wish.symbol)
        placed = _bearing(wish, listed.orders)
        client_id = await self._free_id(wish) if placed is None else None
        report = await fresh_report(self._venue, wish.symbol, wish.side)
        if report is None:
            outcome = "the position is gone since this was decided: looked at again first"
            return Attempt(done=True, look_again=True, outcome=outcome)
        state = cover(await self._lifecycle(row, wish, report), listed.orders)
        if placed is not None:
            return self._stands(wish, state, placed)
        if client_id is None:
            outcome = "an earlier order of this stop still stands, or too many of them ended: looked at again first"
            return Attempt(done=True, look_again=True, outcome=outcome)
        wished = plan(state)
        if wished.place is None:
            sweeps = self._sweeps(wish, wished.sweep)
            return Attempt(done=True, outcome="it has its stop already", then=sweeps)
        stop = StopOrder(
            symbol=wish.symbol,
            side=wish.side,
            client_order_id=client_id,
            trigger_price=wished.place.trigger_price,
            quantity=wished.place.quantity,
            trigger_by=wished.place.trigger_by,
        )
        attempt = await self._send(wish, row, state, wished, stop)
        return msgspec.structs.replace(attempt, look_again=True) if _has_changed(wish, report) else attempt

    async def _send(self, wish: PlaceStop, row: Position, state: Cover, wished: Plan, stop: StopOrder) -> Attempt:
        assert wished.place is not None
        while True:
            try:
                await self._venue.place_stop(state.lifecycle.report, stop)
            except OutcomeUnknown as unknown:
                return await self._shown(wish, state, stop, str(unknown))
            except StopRefused as refused:
                other = other_try(refused.kind, stop, wished.place)
                if other is None:
                    return await self._refused(wish, row, state, wished, stop, refused)
                stop = other
            else:
                return await self._shown(wish, state, stop, "the venue took the stop and does not show it yet")

    async def _shown(self, wish: PlaceStop, state: Cover, stop: StopOrder, problem: str) -> Attempt:
        """Whether the venue shows it, in the lists, else in the history."""
        listed = await self._venue.open_orders(stop.symbol)
        placed = next((order for order in listed.orders if order.client_order_id == stop.client_order_id), None)
        if placed is not None:
            return self._stands(wish, cover(state.lifecycle, listed.orders), placed)
        record = await self._venue.find_stop(stop.symbol, stop.client_order_id)
        if record is None or record.status is OrderStatus.OPEN:
            return Attempt(done=False, outcome=problem)
        return Attempt(done=True, look_again=True, outcome=f"it was placed and is {record.status.value} already")

    def _stands(self, wish: PlaceStop, state: Cover, placed: OpenOrder) -> Attempt:
        """A list shows the stop; what it replaces is to go."""
        wished = plan(state)
        going = wished.spare if wished.place is not None else wished.sweep
        sweeps = self._sweeps(wish, (order for order in going if order.order_id != placed.order_id))
        return Attempt(
            done=True,
            acted=True,
            placed=placed,
            outcome="placed",
            then=sweeps,
            look_again=_has_changed(wish, state.lifecycle.report),
        )

    async def _refused(
        self, wish: PlaceStop, row: Position, state: Cover, wished: Plan, stop: StopOrder, refused: StopRefused
    ) -> Attempt:
        kind, outcome = refused.kind, str(refused)
        if kind is StopRefusal.DUPLICATE:
            return await self._shown(wish, state, stop, outcome)
        if kind is StopRefusal.NO_POSITION or (kind.proves and _has_changed(wish, state.lifecycle.report)):
            return Attempt(done=True, look_again=True, outcome=outcome)
        if kind is StopRefusal.TOO_MANY and wished.spare:
            return Attempt(done=False, outcome=outcome, refusal=kind, final=True, then=self._sweeps(wish, wished.spare))
        if kind.proves and self._plan.stops.close_unprotectable and not state.covered:
            close = close_effect(row, wish.symbol, f"unprotectable: {kind.value}", self._clock.now_ms())
            outcome += "; it cannot have a stop, so it is closed at market"
            return Attempt(done=True, outcome=outcome, refusal=kind, then=(close,))
        return Attempt(done=False, outcome=outcome, refusal=kind, final=kind is not StopRefusal.OFF_GRID)

    async def sweep(self, position_id: int | None, cancel: CancelOrder) -> Attempt:
        """One attempt at taking away a stop of ours that is not needed; it stays if it is needed now.

        The orders are read last: a person who takes the other stop away meanwhile has the cancel's own flight for it, no more.
        """
        report = await fresh_report(self._venue, cancel.symbol, cancel.side)
        if report is None:
            return await self._acts.cancel(cancel)
        row = await self._store.position(position_id) if position_id is not None else None
        if row is None or row.status is not PositionStatus.ACTIVE:
            return Attempt(done=True, kept=True, outcome="it belongs to the lifecycle that is open there now")
        listed = await self._venue.open_orders(cancel.symbol)
        if all(order.order_id != cancel.order_id for order in listed.orders):
            return await self._acts.absent(cancel)
        state = cover(await self._lifecycle(row, cancel, report), listed.orders)
        if not superfluous(state, cancel.order_id):
            return Attempt(done=True, kept=True, outcome="the position needs it now")
        return await self._acts.send_cancel(cancel)

    async def _lifecycle(self, row: Position, about: PlaceStop | CancelOrder, report: PositionReport) -> Lifecycle:
        return Lifecycle(
            position_id=row.position_id,
            key=PositionKey(row.account, about.symbol, about.side),
            report=report,
            wanted=await self.wanted(row, report),
        )

    async def wanted(self, row: Position, report: PositionReport) -> WantedStop | None:
        """The stop that this lifecycle should have now."""
        instrument = (await self._venue.catalog()).get(report.symbol)
        return wanted_stop(row, report, self._plan.stops, instrument, await self.triggers.of(row))

    async def _free_id(self, wish: PlaceStop) -> str | None:
        """A client id that no order bears yet: one that the venue never saw may be sent, and sent again."""
        for number in range(_ORDERS_PER_WISH):
            client_id = f"{wish.client_order_id}-{number}"
            record = await self._venue.find_stop(wish.symbol, client_id)
            if record is None:
                return client_id
            if record.status is OrderStatus.OPEN:
                return None
        return None

    def _sweeps(self, wish: PlaceStop, orders: Iterable[OpenOrder]) -> tuple[NewEffect, ...]:
        now = self._clock.now_ms()
        return tuple(sweep_effect(self._plan.name, order, wish.side, wish.position_id, now) for order in orders)


def _bearing(wish: PlaceStop, orders: Iterable[OpenOrder]) -> OpenOrder | None:
    """An order of this wish that stands already: it was sent, and the process ended before it could be written."""
    return next((one for one in orders if (one.client_order_id or "").startswith(f"{wish.client_order_id}-")), None)


def _has_changed(wish: PlaceStop, report: PositionReport) -> bool:
    """Whether the position is another than the one that the stop was wished for."""
    return (report.quantity, report.entry_price) != (wish.seen_quantity, wish.seen_entry)
