"""What a client asks of the venue, already parsed by its wire into exact values."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from trueup.sim.world.types import (
    AttachedStops,
    ConditionalKind,
    Leg,
    OrderType,
    Side,
    TimeInForce,
    TriggerBy,
)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A market or limit order. `leg` must fit the account's mode, else PositionSideMismatch.

    `quantity` None means the whole position (needs `close_position`). `attach`: stops that the fill puts on the
    position. `client_order_id` "" lets the world make one in the venue's manner. `quantity` Decimal(0) with
    `reduce_only` closes the whole position (Bybit).
    """

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal | None
    price: Decimal | None = None
    leg: Leg = Leg.NET
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    close_position: bool = False
    client_order_id: str = ""
    attach: AttachedStops | None = None


@dataclass(frozen=True, slots=True)
class ConditionalRequest:
    """A stop, take-profit or trailing stop.

    `rising` None: derived from kind and side (a sell stop falls, a sell take-profit rises, …). Trailing stops need
    exactly one of `callback_rate` (percent) and `callback_distance` (price units). `quantity` None needs
    `close_position`.
    """

    symbol: str
    side: Side
    kind: ConditionalKind
    order_type: OrderType
    quantity: Decimal | None
    trigger_price: Decimal | None = None
    price: Decimal | None = None
    leg: Leg = Leg.NET
    trigger_by: TriggerBy = TriggerBy.LAST
    rising: bool | None = None
    reduce_only: bool = False
    close_position: bool = False
    time_in_force: TimeInForce = TimeInForce.GTC
    activation_price: Decimal | None = None
    callback_rate: Decimal | None = None
    callback_distance: Decimal | None = None
    price_protect: bool = False
    client_order_id: str = ""
