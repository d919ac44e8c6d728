"""What was seen on a venue, and for what and when it speaks.

1. A snapshot states its coverage; what it does not cover is unknown, not absent.
2. It speaks for venue time before `as_of_ms` (when its request began, in venue time, less the clock's uncertainty).
3. A failed or partial look is an exception (`Unobserved`), never a value of this module.
4. A row whose size is missing or unreadable makes the whole look unobserved; another unreadable row is `Quarantined`.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from trueup.model.orders import ClosedPnl, Fill, Funding, OpenOrder, OrderRecord, Side
from trueup.model.values import Value

__all__ = [
    "AccountFacts",
    "ClockReading",
    "ClosedPnlHistory",
    "FillHistory",
    "FundingHistory",
    "Identity",
    "OrderLookup",
    "OrdersSnapshot",
    "PositionReport",
    "PositionsSnapshot",
    "Quarantined",
    "SecondSurface",
    "SurfaceVerdict",
]


class PositionReport(Value, frozen=True, kw_only=True):
    """An open position as the venue states it.

    Attributes:
        quantity: Contracts, positive: an explicit zero is absence and makes no report.
        position_index: Bybit's ``positionIdx``; None on Binance.
        hedge: Whether the account keeps both legs of this symbol apart.
        updated_at_ms, sequence: The venue's own ordering of this row's states; None where it gives none.
        stop_loss, take_profit: Attached to the position, quote units; None: none attached.
        trailing_distance: Attached trailing stop, quote units; None: none attached.
    """

    symbol: str
    side: Side
    quantity: Decimal
    contract_size: Decimal
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    leverage: Decimal | None = None
    hedge: bool = False
    position_index: int | None = None
    updated_at_ms: int | None = None
    sequence: int | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_distance: Decimal | None = None


class Quarantined(Value, frozen=True, kw_only=True):
    """A row that could not be understood: no absence in its account is decided while it stands."""

    symbol: str
    problem: str


class PositionsSnapshot(Value, frozen=True, kw_only=True):
    """A complete look at an account's positions (or at one symbol's, if `symbol` is set).

    Attributes:
        as_of_ms: Venue time before which every change is contained.
        received_at_ms: Venue time at which the last page arrived.
        covered: What was read, e.g. ``("linear:USDT", "linear:USDC", "inverse")``.
        symbol: None: the whole account; else this unified symbol only.
        stale_rows: Rows that the three-phase validation dropped as explicitly zero.
    """

    account: str
    as_of_ms: int
    received_at_ms: int
    reports: tuple[PositionReport, ...]
    covered: tuple[str, ...]
    symbol: str | None = None
    quarantined: tuple[Quarantined, ...] = ()
    stale_rows: int = 0

    def covers(self, symbol: str) -> bool:
        return self.symbol is None or self.symbol == symbol


class OrdersSnapshot(Value, frozen=True, kw_only=True):
    """Both order lists, and the stops attached to positions, of an account (or of one symbol)."""

    account: str
    as_of_ms: int
    received_at_ms: int
    orders: tuple[OpenOrder, ...]
    symbol: str | None = None
    quarantined: tuple[Quarantined, ...] = ()


class FillHistory(Value, frozen=True, kw_only=True):
    """Every fill of a symbol in ``[since_ms, until_ms)``, oldest first, all pages and windows read.

    Attributes:
        until_ms: Venue time that the newest window speaks for: when its request began.
        reach_ms: The oldest time that this venue's history can be asked for at all.
    """

    symbol: str
    since_ms: int
    until_ms: int
    fills: tuple[Fill, ...]
    reach_ms: int


class FundingHistory(Value, frozen=True, kw_only=True):
    symbol: str
    since_ms: int
    until_ms: int
    payments: tuple[Funding, ...]


class ClosedPnlHistory(Value, frozen=True, kw_only=True):
    symbol: str
    since_ms: int
    until_ms: int
    records: tuple[ClosedPnl, ...]


class OrderLookup(Value, frozen=True, kw_only=True):
    """Orders asked for by id in both lists and the past: an id that is not in `records` is unknown there."""

    symbol: str
    asked: tuple[str, ...]
    records: tuple[OrderRecord, ...]

    def get(self, order_id: str) -> OrderRecord | None:
        return next((r for r in self.records if r.order_id == order_id), None)


class SurfaceVerdict(StrEnum):
    """What another surface of the venue says of a key. Agreement is necessary, never sufficient."""

    FLAT = "flat"
    OPEN = "open"
    UNKNOWN = "unknown"


class SecondSurface(Value, frozen=True, kw_only=True):
    """A second look by another endpoint (Binance account, Bybit wallet).

    Attributes:
        open_keys: What it shows open.
        informative: False where this surface cannot tell open from flat: every verdict is then unknown.
        any_position_margin: Whether the account's margin says that some position is open; None where it does not say.
    """

    account: str
    as_of_ms: int
    open_keys: tuple[tuple[str, Side], ...] = ()
    informative: bool = False
    any_position_margin: bool | None = None

    def verdict(self, symbol: str, side: Side) -> SurfaceVerdict:
        if (symbol, side) in self.open_keys:
            return SurfaceVerdict.OPEN
        if self.informative or self.any_position_margin is False:
            return SurfaceVerdict.FLAT
        return SurfaceVerdict.UNKNOWN


class ClockReading(Value, frozen=True, kw_only=True):
    """`skew_ms`: venue clock minus ours (positive = the venue is ahead); true value within ± `uncertainty_ms`."""

    skew_ms: int
    uncertainty_ms: int


class Identity(Value, frozen=True, kw_only=True):
    """Which venue account a key answers for.

    `strength`: ``"user_id"``, ``"alias"``, or ``"weak"`` (the best that the venue offers).
    """

    fingerprint: str
    strength: str


class AccountFacts(Value, frozen=True, kw_only=True):
    """What `doctor` shows of a key and an account; None where the venue does not say.

    `weight_of` says in words what the weight counts; `notes` say how to read the rest; `warnings` want somebody to act.
    """

    hedge_mode: bool | None = None
    can_trade: bool | None = None
    can_withdraw: bool | None = None
    read_only: bool | None = None
    portfolio_margin: bool | None = None
    weight_used: int | None = None
    weight_limit: int | None = None
    weight_of: str = "weight"
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
