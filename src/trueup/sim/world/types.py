"""The frozen values that the simulated venue is made of: what stands in its books at one instant.

1. Every value is immutable: a change makes a new value, and the old one stays in its timeline, so the past can be
   asked.
2. Amounts are `Decimal`; `quantity` is in contracts; money is in the asset that is named beside it; times are
   milliseconds since 1970 on the venue's clock. Unknown is None.
3. Symbols are the wire symbols of the venue (`BTCUSDT`, `BTCUSDT_261225`, `BTCPERP`); an instrument is (venue, symbol).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from trueup.sim.world.kinds import (
    AttachMode,
    ConditionalKind,
    ConditionalStatus,
    EndReason,
    ExecType,
    InstrumentStatus,
    Kind,
    LedgerKind,
    Leg,
    MarginMode,
    OrderStatus,
    OrderType,
    Origin,
    PositionMode,
    Side,
    TimeInForce,
    TriggerBy,
    Venue,
)

__all__ = [
    "ZERO",
    "AttachMode",
    "AttachedStops",
    "ClosedPnl",
    "ConditionalKind",
    "ConditionalOrder",
    "ConditionalStatus",
    "EndReason",
    "ExecType",
    "Fill",
    "InstrumentSpec",
    "InstrumentStatus",
    "Kind",
    "LedgerEntry",
    "LedgerKind",
    "Leg",
    "MarginMode",
    "Order",
    "OrderStatus",
    "OrderType",
    "Origin",
    "Position",
    "PositionMode",
    "Price",
    "Side",
    "SymbolSettings",
    "TimeInForce",
    "TriggerBy",
    "Venue",
]

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class InstrumentSpec:
    """A contract as its venue lists it.

    `contract_size` is base units (linear) or quote units (inverse) of one contract; quantities of orders and positions
    are in contracts. `min_notional` is in quote units. `expiry_ms` is None for perpetuals. `unified` is ccxt's symbol.
    """

    venue: Venue
    symbol: str
    unified: str
    base: str
    quote: str
    settle: str
    kind: Kind
    inverse: bool
    contract_size: Decimal
    price_tick: Decimal
    quantity_step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    max_market_quantity: Decimal
    min_notional: Decimal | None
    max_leverage: Decimal
    maintenance_rate: Decimal
    initial_price: Decimal
    listed_ms: int
    expiry_ms: int | None = None
    funding_interval_ms: int | None = 28_800_000
    status: InstrumentStatus = InstrumentStatus.TRADING

    @property
    def category(self) -> str:
        """Bybit's category: `linear` or `inverse`."""
        return "inverse" if self.inverse else "linear"

    @property
    def price_decimals(self) -> int:
        """Digits after the point of a price on the tick grid."""
        return _decimals(self.price_tick)

    @property
    def quantity_decimals(self) -> int:
        """Digits after the point of a quantity on the step grid."""
        return _decimals(self.quantity_step)


@lru_cache(maxsize=1_024)
def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of one instrument at one instant, in quote units. `funding_rate`: of the next funding, 0.0001 = 0.01 %."""

    last: Decimal
    mark: Decimal
    index: Decimal
    funding_rate: Decimal
    next_funding_ms: int | None
    at_ms: int


@dataclass(frozen=True, slots=True)
class SymbolSettings:
    """What an account set for one symbol."""

    leverage: Decimal
    margin_mode: MarginMode
    updated_ms: int


@dataclass(frozen=True, slots=True)
class Position:
    """One position slot after its latest change; a flat slot stays, with quantity 0.

    `quantity` is signed: positive is long (a SHORT leg is ≤ 0). `cost` is the exact value of what is open, in the
    settle asset, ≥ 0. `realized_pnl`: gross, of the current (or, when flat, of the last) lifecycle, settle asset;
    `fees` likewise: asset amounts paid in the settle asset only; `funding`: positive = received. `cumulative_net` is
    everything realized on this slot since it was first used, net of fees and funding in the settle asset. `open_fees`:
    what the open quantity paid to be opened, settle asset. `lifecycle` counts openings from flat, from 1.
    `isolated_wallet`: margin set aside, settle asset, 0 in cross mode. `sequence` grows over all changes of the world
    (Bybit `seq`).
    """

    account: str
    symbol: str
    leg: Leg
    quantity: Decimal
    entry_price: Decimal
    cost: Decimal
    realized_pnl: Decimal
    fees: Decimal
    funding: Decimal
    cumulative_net: Decimal
    open_fees: Decimal
    isolated_wallet: Decimal
    lifecycle: int
    opened_ms: int
    updated_ms: int
    sequence: int

    @property
    def is_flat(self) -> bool:
        return self.quantity == 0

    @property
    def side(self) -> Side | None:
        """BUY while long, SELL while short, None while flat."""
        if self.quantity == 0:
            return None
        return Side.BUY if self.quantity > 0 else Side.SELL


@dataclass(frozen=True, slots=True)
class Order:
    """A regular order after its latest change.

    `filled_notional` is Σ quantity × price of its fills (so `average_price` is exact to division), `filled_value` the
    value in the settle asset. `fee` is what its fills paid so far in `fee_asset`. `parent_id`, `parent_kind`,
    `trigger_price` and `attached` are set on children of conditional orders.
    """

    order_id: int
    client_order_id: str
    account: str
    symbol: str
    leg: Leg
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    reduce_only: bool
    close_position: bool
    status: OrderStatus
    created_ms: int
    updated_ms: int
    sequence: int
    last_price_on_created: Decimal
    filled_quantity: Decimal = ZERO
    filled_notional: Decimal = ZERO
    filled_value: Decimal = ZERO
    fee: Decimal = ZERO
    fee_asset: str | None = None
    realized_pnl: Decimal = ZERO
    origin: Origin = Origin.USER
    end_reason: EndReason | None = None
    parent_id: int | None = None
    parent_kind: ConditionalKind | None = None
    trigger_price: Decimal | None = None
    attached: AttachMode | None = None
    attach: AttachedStops | None = None

    @property
    def is_open(self) -> bool:
        return self.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled_quantity

    @property
    def average_price(self) -> Decimal | None:
        """Mean fill price, None before the first fill."""
        return self.filled_notional / self.filled_quantity if self.filled_quantity else None


@dataclass(frozen=True, slots=True)
class ConditionalOrder:
    """A stop, take-profit or trailing stop after its latest change.

    `quantity` None: the whole position at the time of triggering. `trigger_price` None: a trailing stop that is not yet
    active. `rising`: triggers when the price reaches the trigger from below (else from above). A trailing stop follows
    by `callback_rate` (percent, Binance) or `callback_distance` (price units, Bybit) from `peak`. `attached` is None
    for an ordinary conditional order, else it is a stop of the position itself (Bybit) and ends with it.
    `child_order_id`: the regular order that it became; the same number on Bybit, another on Binance.
    """

    conditional_id: int
    client_order_id: str
    account: str
    symbol: str
    leg: Leg
    side: Side
    kind: ConditionalKind
    order_type: OrderType
    quantity: Decimal | None
    price: Decimal | None
    trigger_price: Decimal | None
    trigger_by: TriggerBy
    rising: bool
    reduce_only: bool
    close_position: bool
    time_in_force: TimeInForce
    status: ConditionalStatus
    created_ms: int
    updated_ms: int
    sequence: int
    last_price_on_created: Decimal
    activation_price: Decimal | None = None
    callback_rate: Decimal | None = None
    callback_distance: Decimal | None = None
    activated: bool = False
    peak: Decimal | None = None
    attached: AttachMode | None = None
    price_protect: bool = False
    triggered_ms: int | None = None
    child_order_id: int | None = None
    end_reason: EndReason | None = None

    @property
    def is_open(self) -> bool:
        return self.status is ConditionalStatus.NEW

    @property
    def closes(self) -> bool:
        """True when it can only reduce a position: reduce-only, close-position, attached, or the exit side of a hedge
        leg.
        """
        exit_side = {Leg.LONG: Side.SELL, Leg.SHORT: Side.BUY}.get(self.leg)
        return self.reduce_only or self.close_position or self.attached is not None or self.side is exit_side


@dataclass(frozen=True, slots=True)
class AttachedStops:
    """Stops of a position as one asks for them (Bybit trading-stop, or an order that carries them).

    A None field is left as it is, Decimal(0) removes it. Prices in quote units; `trailing_distance` in price units;
    `quantity` only with PARTIAL mode: each PARTIAL request adds an order of that size.
    """

    mode: AttachMode = AttachMode.FULL
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_distance: Decimal | None = None
    activation_price: Decimal | None = None
    stop_loss_by: TriggerBy = TriggerBy.LAST
    take_profit_by: TriggerBy = TriggerBy.LAST
    stop_loss_quantity: Decimal | None = None
    take_profit_quantity: Decimal | None = None
    stop_loss_limit: Decimal | None = None
    take_profit_limit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution.

    `fee` positive = paid, in `fee_asset`; `realized_pnl` gross in the settle asset; `value` in the settle asset;
    `closed_quantity` is the part that reduced a position. `position_after` is the slot's signed quantity after it. For
    FUNDING rows: `quantity` the position's size, `price` the mark, `fee` the payment (positive = paid), `order_id`
    None.
    """

    fill_id: int
    order_id: int | None
    client_order_id: str
    account: str
    symbol: str
    leg: Leg
    side: Side
    quantity: Decimal
    price: Decimal
    value: Decimal
    fee: Decimal
    fee_asset: str
    fee_rate: Decimal
    realized_pnl: Decimal
    closed_quantity: Decimal
    position_after: Decimal
    exec_type: ExecType
    maker: bool
    at_ms: int
    sequence: int
    mark_price: Decimal
    index_price: Decimal
    order_type: OrderType = OrderType.MARKET
    order_price: Decimal | None = None
    order_quantity: Decimal = ZERO
    leaves_quantity: Decimal = ZERO
    origin: Origin = Origin.USER
    parent_kind: ConditionalKind | None = None
    attached: AttachMode | None = None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One movement of money. `amount`: positive into the account; `balance_after` is the wallet of `asset`."""

    entry_id: int
    account: str
    at_ms: int
    asset: str
    amount: Decimal
    balance_after: Decimal
    kind: LedgerKind
    symbol: str | None = None
    leg: Leg | None = None
    fill_id: int | None = None
    order_id: int | None = None
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class ClosedPnl:
    """What one closing order realized (Bybit's closed-pnl row), after its latest fill.

    `side` is the closing order's. `closed_pnl` = exit value − entry value (or the reverse for shorts) − `open_fee` −
    `close_fee`, in the settle asset; funding is not in it.
    """

    order_id: int
    account: str
    symbol: str
    leg: Leg
    side: Side
    order_type: OrderType
    order_quantity: Decimal
    order_price: Decimal
    closed_quantity: Decimal
    entry_value: Decimal
    exit_value: Decimal
    entry_price: Decimal
    exit_price: Decimal
    closed_pnl: Decimal
    open_fee: Decimal
    close_fee: Decimal
    fill_count: int
    leverage: Decimal
    exec_type: ExecType
    created_ms: int
    updated_ms: int
    sequence: int
