"""What the book keeps of a lifecycle: its fills, the order that ended it, what its row learns, what it was decided on."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

import msgspec

from trueup.core import amounts
from trueup.core.cases import Case, Close, KnownOrder, Lifecycle
from trueup.core.situation import Situation
from trueup.model.changes import ClosePosition, Observation, RecordedOrder, RecordedTrade, UpdatePosition
from trueup.model.observations import PositionReport
from trueup.model.orders import OrderKind, OrderList, OrderStatus
from trueup.model.positions import Amount, Position, PositionKey
from trueup.model.values import to_json

__all__ = [
    "RowRef",
    "closing",
    "exit_order",
    "known_orders",
    "learned",
    "observation",
    "recorded_opening",
    "recorded_trades",
    "refreshed",
    "suspended",
]


class RowRef(NamedTuple):
    """A row of the book: one that stands by its id, one that the same change set inserts by key and tag."""

    position_id: int | None = None
    key: PositionKey | None = None
    tag: str = ""


def known_orders(recorded: Iterable[RecordedOrder]) -> tuple[KnownOrder, ...]:
    """Of the orders that the store recorded for a lifecycle those that tell why it ended."""
    return tuple(
        KnownOrder(order_id=order.order_id, client_order_id=order.client_order_id, kind=order.kind, ours=order.ours)
        for order in recorded
        if order.closing
    )


def recorded_opening(trades: Iterable[RecordedTrade]) -> tuple[str, Decimal] | None:
    """Of a lifecycle's recorded fills the one that opened it, and how many contracts of it did; None: none is recorded."""
    first = min(
        (one for one in trades if one.opening), key=lambda one: (one.fill.at_ms, one.fill.sequence or 0), default=None
    )
    return (first.fill.trade_id, first.quantity) if first is not None else None


def recorded_trades(account: str, lifecycle: Lifecycle, of: RowRef) -> list[RecordedTrade]:
    """Its fills, or the parts of them that are its own."""
    return [
        RecordedTrade(
            account=account,
            position_id=of.position_id,
            key=of.key,
            tag=of.tag,
            fill=part.fill,
            opening=part.opening,
            quantity=part.quantity,
            fees=_paid(part.share(part.fill.fee), part.fill.fee_asset),
            realized_pnl=part.realized_pnl,
        )
        for part in lifecycle.parts
    ]


def _paid(fee: Decimal | None, asset: str | None) -> Amount | None:
    return Amount(asset=asset, amount=fee) if fee is not None and asset is not None else None


def exit_order(
    case: Case, order_id: str, lifecycle: Lifecycle | None, situation: Situation, of: RowRef
) -> RecordedOrder:
    """The order that took it to zero, as far as fills and history tell."""
    record = case.order_record(order_id)
    parts = [p for p in lifecycle.parts if p.fill.order_id == order_id and not p.opening] if lifecycle else []
    fill = parts[-1].fill if parts else None
    known = next((order for order in situation.recorded if order.order_id == order_id), None)
    kind = record.kind if record is not None else fill.order_kind if fill is not None else None
    filled = record.filled_quantity if record is not None else None
    average = record.average_price if record is not None else None
    if parts and case.instrument is not None:
        filled = sum((part.quantity for part in parts), Decimal(0))
        average = amounts.average_price(parts, case.instrument)
    side = case.key.side if lifecycle is None else lifecycle.side
    return RecordedOrder(
        account=situation.account,
        symbol=case.key.symbol,
        order_id=order_id,
        client_order_id=(record.client_order_id if record else None) or (fill.client_order_id if fill else None),
        position_id=of.position_id,
        key=of.key,
        tag=of.tag,
        order_list=known.order_list if known is not None else OrderList.REGULAR,
        kind=kind or (known.kind if known is not None else OrderKind.OTHER),
        order_side=side.exit_side,
        status=OrderStatus.FILLED,
        quantity=filled,
        filled_quantity=filled,
        average_price=average,
        trigger_price=record.trigger_price if record is not None else None,
        closing=True,
        ours=known.ours if known is not None else False,
        is_exit=True,
        seen_at_ms=situation.now_ms,
    )


def observation(case: Case, decided: tuple[str, str], situation: Situation, of: RowRef) -> Observation:
    """What a row's change was decided on. `decided`: by which function, and its output."""
    return Observation(
        account=situation.account,
        at_ms=situation.now_ms,
        name=decided[0],
        input=to_json(case),
        output=decided[1],
        position_id=of.position_id,
        key=of.key,
        tag=of.tag,
    )


def closing(case: Case, verdict: Close) -> ClosePosition:
    """The end of a row, with what its fills tell of its beginning."""
    row, lifecycle = verdict.row, verdict.lifecycle
    return ClosePosition(
        position_id=row.position_id,
        version=row.version,
        details=verdict.details,
        symbol=_to_rename(row),
        contract_size=case.instrument.contract_size if case.instrument is not None else None,
        entry_price=lifecycle.entry_price if lifecycle is not None else None,
        opened_at_ms=lifecycle.opened_at_ms if lifecycle is not None else None,
        opening_order_id=lifecycle.opening_order_id if lifecycle is not None else None,
    )


def refreshed(case: Case, row: Position, report: PositionReport, *, settled: bool = True) -> UpdatePosition:
    """What a verified row learns from the venue. `settled`: its fills account for what the report shows."""
    return UpdatePosition(
        position_id=row.position_id,
        version=row.version,
        symbol=_to_rename(row),
        contract_size=report.contract_size,
        current_price=report.mark_price,
        leverage=report.leverage,
        venue_updated_at_ms=report.updated_at_ms if settled else None,
        verified_as_of_ms=case.as_of_ms,
        clear=("suspected_since_ms",) if row.suspected_since_ms is not None else (),
    )


def learned(update: UpdatePosition, lifecycle: Lifecycle | None) -> UpdatePosition:
    """The same, with what the row's fills tell of its beginning."""
    if lifecycle is None:
        return update
    return msgspec.structs.replace(
        update,
        realized_pnl=lifecycle.realized_pnl,
        opened_at_ms=lifecycle.opened_at_ms,
        opening_order_id=lifecycle.opening_order_id,
    )


def suspended(row: Position, since_ms: int) -> UpdatePosition:
    """The row marked as suspected."""
    return UpdatePosition(
        position_id=row.position_id, version=row.version, symbol=_to_rename(row), suspected_since_ms=since_ms
    )


def _to_rename(row: Position) -> str | None:
    """The unified symbol of a row that somebody wrote in other words."""
    return row.symbol if row.symbol != row.written_symbol else None
