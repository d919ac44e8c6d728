"""What the book keeps of a lifecycle's fills and orders."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from trueup.core.cases import KnownOrder, Lifecycle
from trueup.model.changes import RecordedOrder, RecordedTrade
from trueup.model.positions import Amount, PositionKey

__all__ = ["known_orders", "recorded_trades"]


def known_orders(recorded: Iterable[RecordedOrder]) -> tuple[KnownOrder, ...]:
    """Of the orders that the store recorded for a lifecycle those that tell why it ended."""
    return tuple(
        KnownOrder(order_id=order.order_id, client_order_id=order.client_order_id, kind=order.kind, ours=order.ours)
        for order in recorded
        if order.closing
    )


def recorded_trades(
    account: str,
    lifecycle: Lifecycle,
    *,
    position_id: int | None = None,
    key: PositionKey | None = None,
    tag: str = "",
) -> list[RecordedTrade]:
    """Its fills, or the parts of them that are its own; `key` and `tag` name a row that the same change set inserts."""
    return [
        RecordedTrade(
            account=account,
            position_id=position_id,
            key=key,
            tag=tag,
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
