"""What the world tells its listeners, in the order in which it happened.

For one fill: first `AccountChanged` (balances and the position after it), then `OrderChanged` with the fill. A listener
is called synchronously, after the change is complete, and must not change the world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from trueup.sim.world.types import (
    ConditionalOrder,
    Fill,
    Order,
    Position,
    PositionMode,
    Price,
    SymbolSettings,
    Venue,
)


class ChangeReason(StrEnum):
    """Why an account changed (Binance's `m`)."""

    ORDER = "order"
    FUNDING = "funding"
    TRANSFER = "transfer"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"
    MARGIN = "margin"
    SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class BalanceChange:
    """Wallet of one asset after a change; `change` is signed, all movements of this event in this asset together."""

    asset: str
    wallet: Decimal
    change: Decimal


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """Balances and positions that one happening changed. `fills` holds FUNDING rows when the reason is FUNDING."""

    account: str
    venue: Venue
    at_ms: int
    sequence: int
    reason: ChangeReason
    balances: tuple[BalanceChange, ...]
    positions: tuple[Position, ...]
    fills: tuple[Fill, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """A regular order was accepted, amended, filled (then `fill` is set), cancelled, expired or rejected."""

    account: str
    venue: Venue
    at_ms: int
    sequence: int
    order: Order
    fill: Fill | None = None
    amended: bool = False


@dataclass(frozen=True, slots=True)
class ConditionalChanged:
    """A conditional order was accepted, amended, triggered, finished, cancelled, expired or rejected."""

    account: str
    venue: Venue
    at_ms: int
    sequence: int
    order: ConditionalOrder
    amended: bool = False


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """Leverage or margin mode of a symbol, or (symbol None) the position mode of the account."""

    account: str
    venue: Venue
    at_ms: int
    sequence: int
    mode: PositionMode
    symbol: str | None = None
    settings: SymbolSettings | None = None


@dataclass(frozen=True, slots=True)
class MarginCalled:
    """The maintenance margin of these positions nears the balance."""

    account: str
    venue: Venue
    at_ms: int
    sequence: int
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class PriceChanged:
    """Prices of one instrument."""

    venue: Venue
    symbol: str
    at_ms: int
    price: Price


@dataclass(frozen=True, slots=True)
class ListenKeysExpired:
    """Somebody wants the account's stream keys to be expired now (Binance); None: of every account."""

    account: str | None
    at_ms: int


@dataclass(frozen=True, slots=True)
class StreamsCut:
    """Somebody wants stream sessions to be closed now; None: of every account, public ones included."""

    account: str | None
    at_ms: int


WorldEvent = (
    AccountChanged
    | OrderChanged
    | ConditionalChanged
    | SettingsChanged
    | MarginCalled
    | PriceChanged
    | ListenKeysExpired
    | StreamsCut
)
Listener = Callable[[WorldEvent], None]
