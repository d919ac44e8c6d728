"""A trailing stop that the venue itself follows: what is to be set under a position, if anything.

1. It is set for what no trailing stop of ours covers yet; it stands beside the fixed stop and never replaces it.
2. One that stands already and is not ours is the user's: nothing is set beside it, and it is never touched.
3. Its activation price is rounded towards the entry, its callback down: it follows no later and no looser than asked for.
4. Where the price is past the activation already, it is active from the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from trueup.core.trailing import TrailingPolicy
from trueup.model.changes import RecordedOrder
from trueup.model.instruments import Instrument
from trueup.model.observations import PositionReport
from trueup.model.orders import OpenOrder, OrderKind, OrderList, Side
from trueup.model.positions import Position
from trueup.model.trailing import TrailingOrder

__all__ = ["NATIVE_PREFIX", "is_native_of", "native_stem", "native_wish"]

NATIVE_PREFIX = "tu-tr-"
"""Client order ids of the trailing stops that trueup sets; the number that follows is the lifecycle's."""

_HUNDRED = Decimal(100)


def native_wish(
    row: Position,
    report: PositionReport,
    orders: Iterable[OpenOrder],
    recorded: Sequence[RecordedOrder],
    policy: TrailingPolicy,
    instrument: Instrument | None,
) -> TrailingOrder | None:
    """What is to be set now; None: nothing is missing, or nothing says where.

    Args:
        report: The open position as the venue states it now.
        orders: What stands on the symbol.
        recorded: What the store recorded for the lifecycle: an attached stop is ours only if it says so.
    """
    entry = row.entry_price if row.entry_price is not None else report.entry_price
    mark = report.mark_price
    if entry is None or mark is None:
        return None
    standing = [o for o in orders if o.kind is OrderKind.TRAILING_STOP and o.symbol == report.symbol]
    standing = [order for order in standing if order.closes(row.side)]
    own = [order for order in standing if is_native_of(row, order, recorded)]
    if len(own) != len(standing) or any(order.quantity is None for order in own):
        return None
    missing = report.quantity - sum((order.quantity for order in own if order.quantity is not None), Decimal(0))
    if missing <= 0:
        return None
    activation = _towards_entry(
        entry * (1 + row.side.sign * policy.activation_percent / _HUNDRED), row.side, instrument
    )
    passed = (mark - activation) * row.side.sign >= 0
    return TrailingOrder(
        symbol=report.symbol,
        side=row.side,
        client_order_id=native_stem(row),
        quantity=missing,
        callback_percent=policy.callback_percent,
        activation_price=None if passed else activation,
        reference_price=mark if passed else activation,
    )


def native_stem(row: Position) -> str:
    """How the client order ids of a lifecycle's native trailing stops begin: its time tells it from those of any other book."""
    return f"{NATIVE_PREFIX}{row.position_id}-{row.created_at_ms:x}"


def is_native_of(row: Position, order: OpenOrder, recorded: Sequence[RecordedOrder]) -> bool:
    """Whether trueup set it for this lifecycle."""
    if order.order_list is OrderList.ATTACHED:
        return any(known.order_id == order.order_id and known.ours for known in recorded)
    return (order.client_order_id or "").startswith(f"{native_stem(row)}-")


def _towards_entry(price: Decimal, side: Side, instrument: Instrument | None) -> Decimal:
    tick = instrument.price_tick if instrument is not None else None
    if tick is None:
        return price
    return (price / tick).to_integral_value(ROUND_FLOOR if side is Side.LONG else ROUND_CEILING) * tick
