"""The book's positions, their lifecycle, and how a close is known.

1. A position is told by (account, symbol, side); a lifecycle is one opening to flat, with its own id.
2. ``active`` → ``closed``, and nothing back. *Suspected* is a mark on an active position.
3. A close says what proves it (`Evidence`) and why it happened (`ExitReason`).

See docs/lifecycle.md for the whole table: who may move what, and which reasons belong to which evidence.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from trueup.model.orders import Side
from trueup.model.values import Value

__all__ = [
    "AccountMode",
    "Amount",
    "CloseDetails",
    "Evidence",
    "ExitReason",
    "Origin",
    "Position",
    "PositionKey",
    "PositionStatus",
]


class PositionKey(NamedTuple):
    """What tells positions apart; equal to the plain tuple ``(account, symbol, side)``."""

    account: str
    symbol: str
    side: Side

    def __str__(self) -> str:
        return f"{self.account} {self.symbol} {self.side.value}"


class AccountMode(StrEnum):
    OBSERVE = "observe"  # read only
    SYNC = "sync"  # repair the book
    PROTECT = "protect"  # also cancel and place orders


class PositionStatus(StrEnum):
    ACTIVE = "active"
    CLOSED = "closed"


class Origin(StrEnum):
    """Who brought the row into the book."""

    BOT = "bot"
    ADOPTED = "adopted"


class Evidence(StrEnum):
    """What proves a close, best first."""

    FILLS = "fills"
    CLOSED_PNL = "closed_pnl"
    ORDER = "order"
    ABSENCE = "absence"

    @property
    def rank(self) -> int:
        """0 is best."""
        return list(Evidence).index(self)


class ExitReason(StrEnum):
    """Told by the closing order first, whoever placed it."""

    MANUAL = "manual"
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    TRAILING_STOP = "trailing_stop"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"
    EXTERNAL = "external"
    SYNC_CLEANUP = "sync_cleanup"
    PHANTOM_ON_SYNC = "PHANTOM_ON_SYNC"


class Amount(Value, frozen=True, kw_only=True):
    """Money in one asset."""

    asset: str
    amount: Decimal


class CloseDetails(Value, frozen=True, kw_only=True):
    """How a lifecycle ended; the amounts cover all of it, earlier partial closes included.

    Attributes:
        quantity: Total closed, in contracts.
        exit_price: Average over all closing fills, quote units; None where unknown.
        realized_pnl: Gross, price difference only, in `settle_asset`; None where unknown.
        fees: Positive = paid, opening and closing fills, one entry an asset.
        funding: Positive = received, in `settle_asset`; None where it cannot be attributed.
        net_pnl: None unless all of it is known in one asset.
        complete: Whether the whole lifecycle's history was read.
        closing_order_id: The order whose fill took it to zero, where known.
    """

    quantity: Decimal
    exit_price: Decimal | None
    settle_asset: str
    realized_pnl: Decimal | None
    fees: tuple[Amount, ...] = ()
    funding: Decimal | None = None
    net_pnl: Decimal | None = None
    pnl_percentage: Decimal | None = None
    exit_reason: ExitReason
    evidence: Evidence
    complete: bool = False
    closing_order_id: str | None = None
    closed_at_ms: int

    @property
    def estimated(self) -> bool:
        """True exactly with `Evidence.ABSENCE`."""
        return self.evidence is Evidence.ABSENCE


class Position(Value, frozen=True, kw_only=True):
    """One row of the book: a lifecycle, open or closed.

    Attributes:
        version: Counts writes of ours; compare-and-set names it.
        symbol: Unified. `written_symbol` is the text that stands in the row where a bot wrote its own.
        quantity: Contracts, positive; for a closed one the total closed.
        contract_size: Base units (linear) or quote units (inverse) of one contract; None until seen on the venue.
        entry_price: Average, quote units; None where unknown.
        current_price: Last mark price seen; None where never seen.
        realized_pnl: Gross, settle asset: of partial closes while active, of the whole lifecycle once closed.
        opened_at_ms: Time of the first opening fill where known, else when the row was made.
        venue_updated_at_ms: The venue's own change time of the state that was last verified; None until then.
        verified_as_of_ms: Venue time that the last verifying view speaks for; None until then.
        opening_order_id: Of its first opening fill; None where not known.
        close: Present exactly when closed.
    """

    position_id: int
    version: int = 0
    account: str
    venue: str
    symbol: str
    written_symbol: str
    side: Side
    status: PositionStatus = PositionStatus.ACTIVE
    origin: Origin = Origin.BOT
    quantity: Decimal
    contract_size: Decimal | None = None
    entry_price: Decimal | None = None
    current_price: Decimal | None = None
    leverage: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_activated: bool = False
    has_trailing_stop: bool = False
    suspected_since_ms: int | None = None
    unverified: bool = False
    realized_pnl: Decimal | None = None
    opened_at_ms: int
    created_at_ms: int
    updated_at_ms: int
    venue_updated_at_ms: int | None = None
    verified_as_of_ms: int | None = None
    opening_order_id: str | None = None
    close: CloseDetails | None = None

    @property
    def key(self) -> PositionKey:
        return PositionKey(self.account, self.symbol, self.side)
