"""One account of the world: what it is, and everything that it ever held, as timelines.

Only the world's own modules write here; everybody else looks through `AccountView`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from trueup.sim.world.timeline import Timeline
from trueup.sim.world.types import (
    ZERO,
    ClosedPnl,
    ConditionalOrder,
    Fill,
    LedgerEntry,
    Leg,
    Order,
    Position,
    PositionMode,
    SymbolSettings,
    Venue,
)


@dataclass(frozen=True, slots=True, repr=False)
class AccountSpec:
    """Who an account is and what its key may do.

    `uid` is Bybit's userID, `alias` Binance's account alias. Rates are fractions of the value (0.0005 = 0.05 %).
    `fee_asset` None: fees are paid in the settle asset; else (BNB) in that asset at `fee_asset_price` settle units
    each, as long as its wallet covers them. `can_withdraw`, `portfolio_margin`: what the key check answers.
    """

    name: str
    venue: Venue
    api_key: str
    api_secret: str
    uid: str
    alias: str
    maker_rate: Decimal
    taker_rate: Decimal
    fee_asset: str | None
    fee_asset_price: Decimal | None
    can_trade: bool
    can_withdraw: bool
    portfolio_margin: bool

    def __repr__(self) -> str:
        return f"AccountSpec(name={self.name!r}, venue={self.venue!r}, uid={self.uid!r})"


class Account:
    """The live books of one account."""

    __slots__ = (
        "closed",
        "conditional_client_ids",
        "conditionals",
        "executions",
        "ledger",
        "margin_called",
        "mode",
        "open_conditionals",
        "open_orders",
        "order_client_ids",
        "orders",
        "positions",
        "safe_bands",
        "settings",
        "spec",
        "wallets",
    )

    def __init__(self, spec: AccountSpec) -> None:
        self.spec = spec
        self.mode: Timeline[PositionMode] = Timeline()
        self.settings: dict[str, Timeline[SymbolSettings]] = {}
        self.positions: dict[tuple[str, Leg], Timeline[Position]] = {}
        self.orders: dict[int, Timeline[Order]] = {}
        self.conditionals: dict[int, Timeline[ConditionalOrder]] = {}
        self.open_orders: dict[int, Order] = {}
        self.open_conditionals: dict[int, ConditionalOrder] = {}
        self.executions: list[Fill] = []
        self.ledger: list[LedgerEntry] = []
        self.closed: dict[int, Timeline[ClosedPnl]] = {}
        self.wallets: dict[str, Timeline[Decimal]] = {}
        self.order_client_ids: dict[str, list[int]] = {}
        self.conditional_client_ids: dict[str, list[int]] = {}
        self.margin_called: set[str] = set()
        self.safe_bands: dict[str, tuple[Decimal, Decimal]] = {}
        """Prices by symbol between which no liquidation is possible; missing: look."""

    def wallet(self, asset: str) -> Decimal:
        """Balance of the asset now, 0 when it was never touched."""
        timeline = self.wallets.get(asset)
        return timeline.latest if timeline is not None else ZERO

    def position(self, symbol: str, leg: Leg) -> Position | None:
        """The slot now, None when it was never used."""
        timeline = self.positions.get((symbol, leg))
        return timeline.latest if timeline is not None else None

    def held(self) -> list[Position]:
        """Every slot that is open now."""
        return [line.latest for line in self.positions.values() if line.latest.quantity]
