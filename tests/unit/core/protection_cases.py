"""Rows, reports, instruments and orders for tests of protection."""

from __future__ import annotations

from decimal import Decimal

from trueup.core.protection import Lifecycle
from trueup.core.stops import StopPolicy, wanted_stop
from trueup.model.instruments import ContractKind, Instrument
from trueup.model.observations import PositionReport
from trueup.model.orders import OpenOrder, OrderKind, OrderList, Side
from trueup.model.positions import Position, PositionKey

SYMBOL = "ETH/USDT:USDT"
POLICY = StopPolicy(percent=Decimal(5), trigger_by="mark")


def _maybe(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def instrument(tick: str = "0.1") -> Instrument:
    return Instrument(
        venue="binanceusdm",
        symbol=SYMBOL,
        venue_symbol="ETHUSDT",
        category="linear",
        kind=ContractKind.PERPETUAL,
        base="ETH",
        quote="USDT",
        settle="USDT",
        contract_size=Decimal(1),
        price_tick=Decimal(tick),
    )


def row(side: Side, *, entry: str | None = "100", stop_loss: str | None = None, position_id: int = 7) -> Position:
    return Position(
        position_id=position_id,
        account="main",
        venue="binanceusdm",
        symbol=SYMBOL,
        written_symbol=SYMBOL,
        side=side,
        quantity=Decimal(2),
        entry_price=_maybe(entry),
        stop_loss=_maybe(stop_loss),
        opened_at_ms=0,
        created_at_ms=0,
        updated_at_ms=0,
    )


def report(
    side: Side,
    quantity: str = "2",
    *,
    entry: str | None = "100",
    mark: str = "100",
    liquidation: str | None = None,
    hedge: bool = False,
) -> PositionReport:
    return PositionReport(
        symbol=SYMBOL,
        side=side,
        quantity=Decimal(quantity),
        contract_size=Decimal(1),
        entry_price=_maybe(entry),
        mark_price=Decimal(mark),
        liquidation_price=_maybe(liquidation),
        hedge=hedge,
        updated_at_ms=1,
    )


def lifecycle(
    side: Side = Side.LONG,
    quantity: str = "2",
    *,
    hedge: bool = False,
    liquidation: str | None = None,
    stop_loss: str | None = None,
    position_id: int = 7,
) -> Lifecycle:
    book = row(side, stop_loss=stop_loss, position_id=position_id)
    seen = report(side, quantity, hedge=hedge, liquidation=liquidation)
    return Lifecycle(
        position_id=position_id,
        key=PositionKey("main", SYMBOL, side),
        report=seen,
        wanted=wanted_stop(book, seen, POLICY, instrument()),
    )


def stop(
    order_id: str,
    quantity: str | None = "2",
    trigger: str | None = None,
    *,
    side: Side = Side.LONG,
    client_id: str | None = None,
    hedge: bool = False,
    kind: OrderKind = OrderKind.STOP,
    order_list: OrderList = OrderList.CONDITIONAL,
    reduces: bool = True,
    trigger_by: str = "mark",
    limit: str | None = None,
) -> OpenOrder:
    """A stop under a position of `side`; five percent away if no trigger is named."""
    usual = "95" if side is Side.LONG else "105"
    return OpenOrder(
        symbol=SYMBOL,
        order_id=order_id,
        client_order_id=client_id,
        order_list=order_list,
        kind=kind,
        order_side=side.exit_side,
        position_side=side if hedge else None,
        reduce_only=reduces and not hedge,
        close_position=quantity is None,
        quantity=_maybe(quantity),
        trigger_price=Decimal(trigger or usual),
        trigger_by=trigger_by,
        limit_price=_maybe(limit),
    )


def own(order_id: str, quantity: str | None = "2", trigger: str | None = None, **words: object) -> OpenOrder:
    """A stop that trueup placed for lifecycle 7."""
    return stop(order_id, quantity, trigger, client_id=f"tu-sl-7-abc-{order_id}", **words)  # type: ignore[arg-type]
