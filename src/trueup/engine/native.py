"""Sets the venue's own trailing stops under the open positions of one account, for as long as this process owns it.

1. Orders are read before the position, and what is missing is decided on both, immediately before anything is sent.
2. One is set when a list of the venue shows it. A request without an answer is looked for before it is sent again, and what ended
   under a client id is never sent under it again.
3. A refusal is told once and tried again after a wait. The fixed stop is another's work: it stands all the while.
4. A position that was found right is asked for again only when it changed, or after `_CHECK_S`.
5. Where it bears no client id (Bybit: it sits on the position) it is recorded as ours before it is asked for: neither a kill nor
   a refused write makes it the user's. A refusal takes that back. What stands and was not told yet is told by a later round.
   Where our request never left, one that the user sets counts as ours; that one, too, is never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import structlog

from trueup.core.native import is_native_of, native_wish
from trueup.engine.telling import Teller
from trueup.model.changes import ChangeSet, RecordedOrder, UpdatePosition
from trueup.model.errors import (
    AuthenticationRefused,
    Conflict,
    NotOwner,
    OutcomeUnknown,
    Rejected,
    StoreUnavailable,
    Unobserved,
)
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.orders import OrderKind, OrderList, OrderStatus
from trueup.model.positions import PositionStatus

if TYPE_CHECKING:
    from trueup.engine.settings import AccountPlan
    from trueup.engine.trailing import SmartTrailingStopManager
    from trueup.model.observations import PositionReport
    from trueup.model.orders import OpenOrder
    from trueup.model.positions import Position
    from trueup.model.trailing import TrailingOrder
    from trueup.ports import Clock, Owner, Store, Venue

__all__ = ["NativeTrailing"]

_log = structlog.get_logger("trueup.trailing")

_TICK_S = 0.5
_RETRY_S = 5.0
_REFUSED_S = 60.0
_CHECK_S = 60.0
_IDS = 20


@dataclass(frozen=True)
class _Checked:
    """What a position was when it was last asked for, and when it is to be asked for again (monotonic)."""

    position_id: int
    quantity: Decimal
    again_s: float


class NativeTrailing:
    """One account's."""

    def __init__(
        self, plan: AccountPlan, manager: SmartTrailingStopManager, venue: Venue, store: Store, clock: Clock
    ) -> None:
        self._plan, self._manager, self._venue, self._store, self._clock = plan, manager, venue, store, clock
        self._teller = Teller(plan, store, clock)
        self._checked: dict[int, _Checked] = {}
        self._told: set[int] = set()

    async def run(self, owner: Owner) -> None:
        """Until cancelled. The loop's single handler."""
        while True:
            wait_s = _RETRY_S
            try:
                await self.step(owner)
                wait_s = _TICK_S
            except NotOwner:
                raise
            except Conflict:
                wait_s = _TICK_S  # a look wrote the row meanwhile
            except (StoreUnavailable, Unobserved, AuthenticationRefused) as error:
                _log.warning("native_trailing.failed", account=self._plan.name, problem=str(error))
            except Exception:
                _log.exception("native_trailing.unexpected_failure", account=self._plan.name)
            await self._clock.sleep(wait_s)

    async def step(self, owner: Owner) -> None:
        """One round over the positions that are due."""
        due = [row for row in self._manager.protected.values() if self._is_due(row)]
        if not due or await self._store.is_paused(self._plan.name):
            return
        for row in due:
            again_s = await self._serve(owner, row)
            self._checked[row.position_id] = _Checked(
                row.position_id, row.quantity, self._clock.monotonic_s() + again_s
            )

    def _is_due(self, row: Position) -> bool:
        checked = self._checked.get(row.position_id)
        if checked is None or checked.quantity != row.quantity:
            return True
        return self._clock.monotonic_s() >= checked.again_s

    async def _serve(self, owner: Owner, row: Position) -> float:
        """Seconds after which the position is to be asked for again."""
        listed = (await self._venue.open_orders(row.symbol)).orders
        known = await self._store.orders_of(row.position_id)
        recorded = [order for order in known if order.status is not OrderStatus.REJECTED]
        view = await self._venue.positions(row.symbol)
        report = next((one for one in view.reports if (one.symbol, one.side) == (row.symbol, row.side)), None)
        if report is None or view.quarantined:
            return _RETRY_S
        instrument = (await self._venue.catalog()).get(row.symbol)
        wish = native_wish(row, report, listed, recorded, self._plan.trailing.policy, instrument)
        if wish is None:
            standing = [order for order in listed if is_native_of(row, order, recorded)]
            if standing and not row.has_trailing_stop:
                await self._write(owner, row, standing[0], None)
            return _CHECK_S
        return await self._send(owner, row, report, wish)

    async def _send(self, owner: Owner, row: Position, report: PositionReport, wish: TrailingOrder) -> float:
        client_id = await self._free_id(wish)
        if client_id is None:
            return _RETRY_S
        wish = msgspec.structs.replace(wish, client_order_id=client_id)
        asked = await self._venue.trailing_id(report)
        if asked is not None:
            await self._write_asked(owner, row, asked)
        try:
            await self._venue.place_trailing(report, wish, self._plan.stops.trigger_by)
        except Rejected as refused:
            await self._refused(owner, row, refused, asked)
            return _REFUSED_S
        except OutcomeUnknown as error:
            _log.warning("native_trailing.not_answered", account=self._plan.name, problem=str(error))
        shown = await self._shown(row, wish)
        if shown is None:
            return _RETRY_S
        await self._write(owner, row, shown, wish)
        return _CHECK_S

    async def _free_id(self, wish: TrailingOrder) -> str | None:
        """A client id that no order bears yet. None: one stands that the lists do not show yet, or too many ended."""
        for number in range(_IDS):
            client_id = f"{wish.client_order_id}-{number}"
            record = await self._venue.find_stop(wish.symbol, client_id)
            if record is None:
                return client_id
            if record.status is OrderStatus.OPEN:
                known = [order.client_order_id for order in (await self._venue.open_orders(wish.symbol)).orders]
                if client_id not in known:
                    return None
        return None

    async def _shown(self, row: Position, wish: TrailingOrder) -> OpenOrder | None:
        for order in (await self._venue.open_orders(wish.symbol)).orders:
            attached = (
                order.order_list is OrderList.ATTACHED
                and order.closes(row.side)
                and order.kind is OrderKind.TRAILING_STOP
            )
            if attached or order.client_order_id == wish.client_order_id:
                return order
        return None

    async def _write_asked(self, owner: Owner, row: Position, order_id: str) -> None:
        """What is about to be asked for is ours."""
        now = self._clock.now_ms()
        record = RecordedOrder(
            account=self._plan.name,
            symbol=row.symbol,
            order_id=order_id,
            position_id=row.position_id,
            order_list=OrderList.ATTACHED,
            kind=OrderKind.TRAILING_STOP,
            order_side=row.side.exit_side,
            status=OrderStatus.UNKNOWN,
            closing=True,
            ours=True,
            seen_at_ms=now,
        )
        await self._teller.commit(owner, ChangeSet(account=self._plan.name, now_ms=now, orders=(record,)))

    async def _write(self, owner: Owner, row: Position, order: OpenOrder, wish: TrailingOrder | None) -> None:
        """It stands: recorded as ours, and told where it was set just now or nobody was told of it yet.

        Args:
            wish: As it was set just now; None: it stood already.
        """
        fresh = await self._store.position(row.position_id)
        if fresh is None or fresh.status is not PositionStatus.ACTIVE:
            return
        now = self._clock.now_ms()
        record = RecordedOrder(
            account=self._plan.name,
            symbol=order.symbol,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            position_id=row.position_id,
            order_list=order.order_list,
            kind=order.kind,
            order_side=order.order_side,
            status=OrderStatus.OPEN,
            quantity=order.quantity,
            trigger_price=order.trigger_price,
            closing=True,
            ours=True,
            venue_type=order.venue_type,
            seen_at_ms=now,
        )
        update = UpdatePosition(position_id=row.position_id, version=fresh.version, has_trailing_stop=True)
        told = wish is None and fresh.has_trailing_stop
        activation = order.trigger_price if wish is None else wish.activation_price
        events = () if told else (self._set_event(row, order, activation, now),)
        changes = ChangeSet(
            account=self._plan.name,
            now_ms=now,
            orders=(record,),
            updates=() if fresh.has_trailing_stop else (update,),
            events=events,
        )
        await self._teller.commit(owner, changes)
        self._told.discard(row.position_id)

    async def _refused(self, owner: Owner, row: Position, refused: Rejected, asked: str | None) -> None:
        """Told once a position, until one is set."""
        _log.warning("native_trailing.refused", account=self._plan.name, symbol=row.symbol, problem=str(refused))
        now = self._clock.now_ms()
        if asked is not None:
            forget = ((row.symbol, asked, OrderStatus.REJECTED),)
            await self._teller.commit(owner, ChangeSet(account=self._plan.name, now_ms=now, forget_orders=forget))
        if row.position_id in self._told:
            return
        data: dict[str, object] = {"code": refused.code, "problem": str(refused)}
        event = self._event(EventType.TRAILING_STOP_FAILED, Severity.ERROR, row, data, now)
        await self._teller.commit(owner, ChangeSet(account=self._plan.name, now_ms=now, events=(event,)))
        self._told.add(row.position_id)

    def _set_event(self, row: Position, order: OpenOrder, activation: Decimal | None, now: int) -> NewEvent:
        data: dict[str, object] = {
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "quantity": format(order.quantity, "f") if order.quantity is not None else None,
            "callback_percent": format(self._plan.trailing.policy.callback_percent, "f"),
            "activation_price": format(activation, "f") if activation is not None else None,
        }
        return self._event(EventType.TRAILING_STOP_SET, Severity.INFO, row, data, now)

    def _event(self, kind: EventType, severity: Severity, row: Position, data: dict[str, object], now: int) -> NewEvent:
        where: dict[str, object] = {"symbol": row.symbol, "position_id": row.position_id, "side": row.side.value}
        return NewEvent(
            type=kind,
            severity=severity,
            account=self._plan.name,
            at_ms=now,
            symbol=row.symbol,
            position_id=row.position_id,
            data=where | data,
        )
