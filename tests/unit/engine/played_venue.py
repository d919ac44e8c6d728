"""A venue whose orders and positions the test sets, and effects to be carried out on it."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from telling_parts import TIMING, Desk, HandClock, open_desk

from trueup.core.stops import stop_stem
from trueup.engine.effects import EffectsWorker
from trueup.model.changes import ChangeSet, NewPosition
from trueup.model.effects import CancelOrder, Effect, EffectKind, NewEffect, PlaceStop
from trueup.model.errors import Rejected
from trueup.model.observations import OrderLookup, OrdersSnapshot, PositionReport, PositionsSnapshot, Quarantined
from trueup.model.orders import OpenOrder, OrderKind, OrderList, OrderRecord, OrderSide, OrderStatus, Side
from trueup.model.positions import AccountMode, Origin, PositionKey
from trueup.model.protection import StopOrder
from trueup.model.values import to_json

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


class PlayedVenue:
    """`problems`: what reading a symbol's orders raises. `sent`: stops, with when they were sent. `largest`: of a market order.

    `asked`: which of a symbol's lists were read, in their order.
    """

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self.orders: list[OpenOrder] = []
        self.reports: list[PositionReport] = []
        self.quarantined: tuple[Quarantined, ...] = ()
        self.records: list[OrderRecord] = []
        self.problems: dict[str | None, Exception] = {}
        self.cancelled: list[str] = []
        self.closes: list[str] = []
        self.closes_expire = False
        self.largest: Decimal | None = None
        self.asked: list[str] = []
        self.sent: list[tuple[int, StopOrder]] = []

    async def catalog(self) -> Any:
        listed = SimpleNamespace(price_tick=Decimal("0.1"), max_market_quantity=self.largest)
        return SimpleNamespace(get=lambda _: listed)

    async def open_orders(self, symbol: str | None = None) -> OrdersSnapshot:
        self.asked.append("orders")
        if symbol in self.problems:
            raise self.problems[symbol]
        now = self._clock.now_ms()
        found = tuple(order for order in self.orders if order.symbol == symbol)
        return OrdersSnapshot(account="main", as_of_ms=now, received_at_ms=now, orders=found, symbol=symbol)

    async def positions(self, symbol: str | None = None) -> PositionsSnapshot:
        self.asked.append("position")
        now = self._clock.now_ms()
        return PositionsSnapshot(
            account="main",
            as_of_ms=now,
            received_at_ms=now,
            reports=tuple(one for one in self.reports if one.symbol == symbol),
            covered=("linear",),
            symbol=symbol,
            quarantined=self.quarantined,
        )

    async def lookup_orders(self, symbol: str, order_ids: Any) -> OrderLookup:
        return OrderLookup(symbol=symbol, asked=tuple(order_ids), records=tuple(self.records))

    async def find_stop(self, symbol: str, client_order_id: str) -> OrderRecord | None:
        return None

    async def find_order(self, symbol: str, client_order_id: str) -> OrderRecord | None:
        return next((record for record in self.records if record.client_order_id == client_order_id), None)

    async def cancel(self, order: CancelOrder) -> None:
        self.cancelled.append(order.order_id)
        self.orders = [one for one in self.orders if one.order_id != order.order_id]

    async def place_stop(self, report: PositionReport, stop: StopOrder) -> None:
        self.sent.append((self._clock.now_ms(), stop))
        self.orders.append(stop_order(f"n{len(self.sent)}", stop.client_order_id, stop.symbol))

    async def close_market(self, report: PositionReport, client_order_id: str) -> None:
        self.closes.append(client_order_id)
        if self.closes_expire:
            self.records.append(ended_order(client_order_id, OrderStatus.EXPIRED, kind=OrderKind.MARKET))
            return
        if self.largest is not None and report.quantity > self.largest:
            raise Rejected("close", "-4005", "quantity greater than max quantity")
        filled = ended_order(client_order_id, OrderStatus.FILLED, kind=OrderKind.MARKET)
        self.records.append(msgspec.structs.replace(filled, filled_quantity=report.quantity))
        self.reports = [
            msgspec.structs.replace(one, quantity=one.quantity - report.quantity)
            if one.symbol == report.symbol
            else one
            for one in self.reports
        ]
        self.reports = [one for one in self.reports if one.quantity]


async def open_protected() -> tuple[Desk, PlayedVenue, EffectsWorker]:
    """An account in mode protect, its venue, and what carries out its effects."""
    desk = await open_desk(0, mode=AccountMode.PROTECT)
    venue = PlayedVenue(desk.clock)
    return desk, venue, EffectsWorker(desk.plan, TIMING, cast("Any", venue), desk.store, desk.clock)


async def record(desk: Desk, *effects: NewEffect) -> None:
    await desk.store.commit(desk.owner, ChangeSet(account="main", now_ms=0, effects=effects))


async def effect_of(desk: Desk, kind: EffectKind) -> Effect:
    [effect] = await desk.store.effects(account="main", kind=kind)
    return effect


async def open_row(desk: Desk, symbol: str = BTC) -> int:
    new = NewPosition(
        key=PositionKey("main", symbol, Side.LONG),
        venue="bybit",
        origin=Origin.BOT,
        quantity=Decimal(1),
        contract_size=Decimal(1),
        entry_price=Decimal(100),
        opened_at_ms=desk.clock.now_ms(),
    )
    done = await desk.store.commit(desk.owner, ChangeSet(account="main", now_ms=0, opens=(new,)))
    return done.position_ids[0]


def shown(symbol: str = BTC, quantity: Decimal = Decimal(1)) -> PositionReport:
    """That row's position, as the venue shows it."""
    one, price = Decimal(1), Decimal(100)
    return PositionReport(
        symbol=symbol, side=Side.LONG, quantity=quantity, contract_size=one, entry_price=price, mark_price=price
    )


def stop_order(order_id: str, client_id: str, symbol: str = ETH) -> OpenOrder:
    return OpenOrder(
        symbol=symbol,
        order_id=order_id,
        client_order_id=client_id,
        order_list=OrderList.CONDITIONAL,
        kind=OrderKind.STOP,
        order_side=OrderSide.SELL,
        reduce_only=True,
        quantity=Decimal(1),
        trigger_price=Decimal(95),
        trigger_by="mark",
        venue_type="STOP_MARKET",
    )


def ended_order(
    client_id: str, status: OrderStatus, *, order_id: str = "7", kind: OrderKind = OrderKind.STOP
) -> OrderRecord:
    return OrderRecord(
        symbol=BTC,
        order_id=order_id,
        client_order_id=client_id,
        kind=kind,
        status=status,
        order_side=OrderSide.SELL,
        filled_quantity=Decimal(1) if status is OrderStatus.FILLED else None,
    )


def cancel_effect(order_id: str, at_ms: int, symbol: str = ETH) -> NewEffect:
    """The end of a stop of a lifecycle that is closed."""
    cancel = CancelOrder(
        symbol=symbol,
        side=Side.LONG,
        order_id=order_id,
        client_order_id=f"tu-sl-1-{order_id}",
        order_list=OrderList.CONDITIONAL,
        kind=OrderKind.STOP,
        order_side=OrderSide.SELL,
        venue_type="STOP_MARKET",
    )
    return NewEffect(
        account="main",
        kind=EffectKind.CANCEL_ORDER,
        dedup_key=f"cancel:{symbol}:{order_id}",
        payload=to_json(cancel),
        created_at_ms=at_ms,
    )


def stop_effect(desk: Desk, position_id: int) -> NewEffect:
    """The wish for that row's stop."""
    now = desk.clock.now_ms()
    wish = PlaceStop(
        symbol=BTC,
        side=Side.LONG,
        position_id=position_id,
        client_order_id=stop_stem(position_id, now),
        trigger_price=Decimal(95),
        quantity=Decimal(1),
        trigger_by="mark",
        seen_quantity=Decimal(1),
        seen_entry=Decimal(100),
    )
    return NewEffect(
        account="main",
        kind=EffectKind.PLACE_STOP,
        dedup_key=f"stop:{position_id}",
        payload=to_json(wish),
        position_id=position_id,
        created_at_ms=now,
    )
