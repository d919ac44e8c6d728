"""Values of the model as the columns that a commit writes. Times are milliseconds until the dialect encodes them."""

from __future__ import annotations

from typing import Any

from trueup.model.changes import ClosePosition, NewPosition, RecordedOrder, RecordedTrade, UpdatePosition
from trueup.model.positions import CloseDetails, PositionStatus
from trueup.model.values import to_json

__all__ = ["closing_columns", "opened_columns", "order_row", "trade_row", "updated_columns"]


def closed_columns(details: CloseDetails) -> dict[str, Any]:
    """The closing columns."""
    return {
        "status": PositionStatus.CLOSED.value,
        "quantity": details.quantity,
        "pnl": details.realized_pnl,
        "pnl_percentage": details.pnl_percentage,
        "exit_reason": details.exit_reason.value,
        "closed_at": details.closed_at_ms,
        "realized_pnl": details.realized_pnl,
        "exit_price": details.exit_price,
        "settle_asset": details.settle_asset,
        "fees": to_json(details.fees),
        "funding": details.funding,
        "net_pnl": details.net_pnl,
        "evidence": details.evidence.value,
        "estimated": details.estimated,
        "complete": details.complete,
        "closing_order_id": details.closing_order_id,
    }


def opened_columns(opened: NewPosition, now_ms: int) -> dict[str, Any]:
    values: dict[str, Any] = {
        "account": opened.key.account,
        "exchange": opened.venue,
        "symbol": opened.key.symbol,
        "side": opened.key.side.value,
        "entry_price": opened.entry_price,
        "current_price": opened.current_price,
        "quantity": opened.quantity,
        "leverage": opened.leverage,
        "stop_loss": opened.stop_loss,
        "take_profit": opened.take_profit,
        "status": PositionStatus.ACTIVE.value,
        "created_at": now_ms,
        "updated_at": now_ms,
        "origin": opened.origin.value,
        "contract_size": opened.contract_size,
        "unverified": opened.unverified,
        "realized_pnl": opened.realized_pnl,
        "opened_at": opened.opened_at_ms,
        "opening_order_id": opened.opening_order_id,
        "venue_updated_at": opened.venue_updated_at_ms,
        "verified_as_of": opened.verified_as_of_ms,
        "complete": False,
    }
    return values if opened.close is None else values | closed_columns(opened.close)


def updated_columns(update: UpdatePosition) -> dict[str, Any]:
    return {
        "symbol": update.symbol,
        "quantity": update.quantity,
        "contract_size": update.contract_size,
        "entry_price": update.entry_price,
        "current_price": update.current_price,
        "leverage": update.leverage,
        "realized_pnl": update.realized_pnl,
        "opened_at": update.opened_at_ms,
        "opening_order_id": update.opening_order_id,
        "unverified": update.unverified,
        "trailing_activated": update.trailing_activated,
        "has_trailing_stop": update.has_trailing_stop,
        "stop_loss": update.stop_loss,
        "suspected_since": update.suspected_since_ms,
        "venue_updated_at": update.venue_updated_at_ms,
        "verified_as_of": update.verified_as_of_ms,
        "clear_suspected": "suspected_since_ms" in update.clear,
    }


def closing_columns(closing: ClosePosition) -> dict[str, Any]:
    learned = {
        "symbol": closing.symbol,
        "contract_size": closing.contract_size,
        "entry_price": closing.entry_price,
        "opened_at": closing.opened_at_ms,
        "opening_order_id": closing.opening_order_id,
    }
    return learned | closed_columns(closing.details)


def order_row(order: RecordedOrder, position_id: int | None) -> tuple[Any, ...]:
    """In the order of `ORDER_WRITE_COLUMNS`."""
    return (
        order.account,
        position_id,
        order.symbol,
        order.order_id,
        order.client_order_id,
        order.order_list.value,
        order.kind.value,
        order.order_side.value,
        order.status.value,
        order.quantity,
        order.filled_quantity,
        order.average_price,
        order.trigger_price,
        order.closing,
        order.ours,
        order.is_exit,
        order.venue_type,
        order.seen_at_ms,
        order.seen_at_ms,
    )


def trade_row(trade: RecordedTrade, position_id: int) -> tuple[Any, ...]:
    """In the order of `TRADE_COLUMNS`."""
    fill, fees = trade.fill, trade.fees
    return (
        trade.account,
        position_id,
        fill.symbol,
        fill.trade_id,
        fill.order_id,
        fill.client_order_id,
        fill.order_side.value,
        None if fill.position_side is None else fill.position_side.value,
        trade.opening,
        trade.quantity,
        fill.price,
        None if fees is None else fees.amount,
        None if fees is None else fees.asset,
        trade.realized_pnl,
        fill.at_ms,
        fill.sequence,
        fill.kind.value,
        None if fill.order_kind is None else fill.order_kind.value,
        fill.created_by,
        fill.quantity,
        fill.value,
        fill.fee,
        fill.fee_asset,
        fill.realized_pnl,
        fill.closed_quantity,
    )
