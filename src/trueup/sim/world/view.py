"""How everybody looks at an account: now, or as it stood at an earlier instant, through the same methods.

1. A view at time t shows exactly what a view taken at t showed, whatever happened since.
2. A view never changes the world.

The stale-snapshot and lagging-history faults are views at an earlier instant; so is the judge that asks whether a
position had a live stop at time t.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol, TypeVar

from trueup.sim.world.account import Account, AccountSpec
from trueup.sim.world.timeline import Timeline
from trueup.sim.world.types import (
    ZERO,
    AttachMode,
    ClosedPnl,
    ConditionalKind,
    ConditionalOrder,
    ExecType,
    Fill,
    InstrumentSpec,
    LedgerEntry,
    LedgerKind,
    Leg,
    Order,
    Position,
    PositionMode,
    Price,
    SymbolSettings,
)

if TYPE_CHECKING:
    from trueup.sim.world.world import World


@dataclass(frozen=True, slots=True)
class PositionRisk:
    """What follows from a position and the mark price; money in the settle asset.

    `notional` is signed like the quantity. `liquidation_price` None: none within reach. `margin` is the isolated
    wallet, 0 in cross mode.
    """

    mark: Decimal
    notional: Decimal
    unrealized_pnl: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    liquidation_price: Decimal | None
    bankruptcy_price: Decimal | None
    break_even_price: Decimal
    margin: Decimal
    leverage: Decimal


@dataclass(frozen=True, slots=True)
class Margin:
    """What an account can do in one settle asset.

    `available` = wallet + unrealized PnL of cross positions − position and order margins − isolated wallets, at least
    0.
    """

    asset: str
    wallet: Decimal
    cross_wallet: Decimal
    unrealized_pnl: Decimal
    cross_unrealized_pnl: Decimal
    margin_balance: Decimal
    position_initial_margin: Decimal
    order_initial_margin: Decimal
    maintenance_margin: Decimal
    available: Decimal


@dataclass(frozen=True, slots=True)
class AttachedView:
    """The stops of a position as its row shows them (Bybit); None: not set."""

    mode: AttachMode
    stop_loss: ConditionalOrder | None
    take_profit: ConditionalOrder | None
    trailing: ConditionalOrder | None


class AccountView:
    """An account at one instant; `at_ms` None is now."""

    __slots__ = ("_account", "_margins", "_world", "at_ms")

    def __init__(self, world: World, account: Account, at_ms: int | None = None) -> None:
        self._world = world
        self._account = account
        self._margins: dict[str, tuple[int, Margin]] = {}
        self.at_ms = at_ms

    @property
    def spec(self) -> AccountSpec:
        return self._account.spec

    @property
    def name(self) -> str:
        return self._account.spec.name

    @property
    def account(self) -> Account:
        """The live books behind the view; for the world's own modules."""
        return self._account

    @property
    def mode(self) -> PositionMode:
        """One-way or hedge mode."""
        mode = self._account.mode.get(self.at_ms)
        return mode if mode is not None else PositionMode.ONE_WAY

    def settings(self, symbol: str) -> SymbolSettings:
        """Leverage and margin mode of the symbol; the world's defaults when the account never set them."""
        line = self._account.settings.get(symbol)
        found = line.get(self.at_ms) if line is not None else None
        return found if found is not None else self._world.default_settings

    def price(self, symbol: str) -> Price:
        """Prices of an instrument of this account's venue at the view's instant."""
        return self._world.price(self.spec.venue, symbol, self.at_ms)

    def instrument(self, symbol: str) -> InstrumentSpec:
        """The contract; raises UnknownSymbol."""
        return self._world.instrument(self.spec.venue, symbol)

    def positions(self, symbol: str | None = None, *, flat: bool = False) -> list[Position]:
        """Open slots, in order of first use; with `flat` also those that were used and are empty."""
        found = []
        for (held_symbol, _), line in self._account.positions.items():
            if symbol is not None and held_symbol != symbol:
                continue
            position = line.get(self.at_ms)
            if position is not None and (flat or position.quantity):
                found.append(position)
        return found

    def position(self, symbol: str, leg: Leg) -> Position | None:
        """One slot, None when it was never used."""
        line = self._account.positions.get((symbol, leg))
        return line.get(self.at_ms) if line is not None else None

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Regular orders that are open, oldest first; conditional orders are not among them."""
        if self.at_ms is None:
            return [order for order in self._account.open_orders.values() if symbol in (None, order.symbol)]
        return [order for order in self.orders(symbol) if order.is_open]

    def open_conditionals(self, symbol: str | None = None) -> list[ConditionalOrder]:
        """Conditional orders that wait, attached stops included, oldest first."""
        if self.at_ms is None:
            return [order for order in self._account.open_conditionals.values() if symbol in (None, order.symbol)]
        return [order for order in self.conditionals(symbol) if order.is_open]

    def orders(self, symbol: str | None = None) -> list[Order]:
        """Every regular order of the account's history, open ones included, oldest first."""
        return _held(self._account.orders.values(), self.at_ms, symbol)

    def conditionals(self, symbol: str | None = None) -> list[ConditionalOrder]:
        """Every conditional order of the account's history, open ones included, oldest first."""
        return _held(self._account.conditionals.values(), self.at_ms, symbol)

    def order(self, order_id: int) -> Order | None:
        """A regular order by id, open or not."""
        line = self._account.orders.get(order_id)
        return line.get(self.at_ms) if line is not None else None

    def conditional(self, conditional_id: int) -> ConditionalOrder | None:
        """A conditional order by id, open or not."""
        line = self._account.conditionals.get(conditional_id)
        return line.get(self.at_ms) if line is not None else None

    def order_by_client_id(self, client_order_id: str, symbol: str | None = None) -> Order | None:
        """A regular order by client id: the open one, else the latest that bore it."""
        ids = self._account.order_client_ids.get(client_order_id, ())
        return _latest_open([self.order(number) for number in ids], symbol)

    def conditional_by_client_id(self, client_order_id: str, symbol: str | None = None) -> ConditionalOrder | None:
        """A conditional order by client id: the open one, else the latest that bore it."""
        ids = self._account.conditional_client_ids.get(client_order_id, ())
        return _latest_open([self.conditional(number) for number in ids], symbol)

    def executions(self, symbol: str | None = None) -> list[Fill]:
        """Every execution, FUNDING rows included, oldest first."""
        rows = self._account.executions
        if self.at_ms is not None:
            rows = rows[: bisect_right(rows, self.at_ms, key=_fill_time)]
        return [row for row in rows if symbol in (None, row.symbol)]

    def fills(self, symbol: str | None = None) -> list[Fill]:
        """Executions that moved quantity, oldest first."""
        return [row for row in self.executions(symbol) if row.exec_type is not ExecType.FUNDING]

    def ledger(self, *, kind: LedgerKind | None = None, symbol: str | None = None) -> list[LedgerEntry]:
        """Every movement of money, oldest first."""
        rows = self._account.ledger
        if self.at_ms is not None:
            rows = rows[: bisect_right(rows, self.at_ms, key=_entry_time)]
        return [row for row in rows if kind in (None, row.kind) and symbol in (None, row.symbol)]

    def closed_pnl(self, symbol: str | None = None) -> list[ClosedPnl]:
        """One row per closing order, by the time of its first closing fill."""
        return _held(self._account.closed.values(), self.at_ms, symbol)

    def wallets(self) -> Mapping[str, Decimal]:
        """Balance of every asset that was ever touched."""
        found = {asset: line.get(self.at_ms) for asset, line in self._account.wallets.items()}
        return {asset: amount for asset, amount in found.items() if amount is not None}

    def wallet(self, asset: str) -> Decimal:
        """Balance of one asset, 0 when it was never touched."""
        line = self._account.wallets.get(asset)
        amount = line.get(self.at_ms) if line is not None else None
        return amount if amount is not None else ZERO

    def margin(self, asset: str) -> Margin:
        """Balances and margins in one settle asset."""
        version = self._world.version
        known = self._margins.get(asset)
        if known is None or known[0] != version:
            known = (version, self._world.margin_of(self, asset))
            self._margins[asset] = known
        return known[1]

    def risk(self, position: Position) -> PositionRisk:
        """Mark, margins and liquidation price of one of this view's positions."""
        return self._world.risk_of(self, position)

    def attached(self, symbol: str, leg: Leg) -> AttachedView:
        """The FULL-mode stops that the position's row shows; PARTIAL ones stand in the order list only."""
        stops = [o for o in self.open_conditionals(symbol) if o.leg is leg and o.attached is not None]
        full = {order.kind: order for order in stops if order.attached is AttachMode.FULL}
        partial = any(order.attached is AttachMode.PARTIAL for order in stops)
        return AttachedView(
            AttachMode.PARTIAL if partial and not full else AttachMode.FULL,
            full.get(ConditionalKind.STOP),
            full.get(ConditionalKind.TAKE_PROFIT),
            full.get(ConditionalKind.TRAILING_STOP),
        )

    def live_stops(self, symbol: str, leg: Leg) -> list[ConditionalOrder]:
        """Stops and trailing stops (no take-profits) that could only close this slot's open position."""
        position = self.position(symbol, leg)
        side = position.side if position is not None else None
        if side is None:
            return []
        return [
            order
            for order in self.open_conditionals(symbol)
            if order.leg is leg
            and order.side is side.opposite
            and order.closes
            and order.kind is not ConditionalKind.TAKE_PROFIT
        ]


class _OfSymbol(Protocol):
    @property
    def symbol(self) -> str: ...


_S = TypeVar("_S", bound=_OfSymbol)
_O = TypeVar("_O", Order, ConditionalOrder)


def _held(lines: Iterable[Timeline[_S]], at_ms: int | None, symbol: str | None) -> list[_S]:
    """The values that the timelines hold at the instant, of one symbol or all."""
    if at_ms is None:
        latest = (line.latest for line in lines)
        return [value for value in latest if symbol in (None, value.symbol)]
    held = (line.at(at_ms) for line in lines)
    return [value for value in held if value is not None and symbol in (None, value.symbol)]


def _latest_open(orders: Sequence[_O | None], symbol: str | None) -> _O | None:
    """The open one of the orders that bear one client id, else the last."""
    bearing = [order for order in orders if order is not None and symbol in (None, order.symbol)]
    return next((order for order in bearing if order.is_open), bearing[-1] if bearing else None)


def _fill_time(fill: Fill) -> int:
    return fill.at_ms


def _entry_time(entry: LedgerEntry) -> int:
    return entry.at_ms
