"""The world that both wires show: instruments, prices, accounts, orders, and the money between them.

1. Deterministic: the same clock readings, seed and calls give the same ids, fills and amounts.
2. Money is conserved: every movement in an account has its opposite in the house's books or outside the world.
3. A position's quantity is the sum of its fills; a reduce-only order never opens or increases one.
4. Nothing is forgotten: a look at an earlier instant shows what a look then showed (until `forget_before`).
5. What is refused changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal

from trueup.sim.world.account import AccountSpec
from trueup.sim.world.clock import Clock
from trueup.sim.world.events import Listener
from trueup.sim.world.requests import ConditionalRequest, OrderRequest
from trueup.sim.world.types import (
    AttachedStops,
    ConditionalOrder,
    InstrumentSpec,
    Leg,
    MarginMode,
    Order,
    Position,
    PositionMode,
    Price,
    Side,
    SymbolSettings,
    Venue,
)
from trueup.sim.world.view import AccountView, Margin, PositionRisk


class World:
    """One simulated market with two venues in it."""

    def __init__(self, clock: Clock, seed: int = 0, instruments: Sequence[InstrumentSpec] | None = None) -> None:
        """`instruments` None: `default_instruments(clock.now_ms())`."""
        raise NotImplementedError

    # time
    def now_ms(self) -> int:
        """The venue's time; it never goes back, even when the clock does."""
        raise NotImplementedError

    def tick(self) -> None:
        """Carries out everything that is due by now: scheduled actions, price steps, funding, settlements."""
        raise NotImplementedError

    def advance(self, milliseconds: int) -> None:
        """Moves a manual clock forward, stopping at each thing that falls due on the way."""
        raise NotImplementedError

    def schedule(self, at_ms: int, action: Callable[[], None]) -> None:
        """Runs the action when the world reaches that time; at equal times in the order of scheduling."""
        raise NotImplementedError

    def next_due_ms(self) -> int | None:
        """When `tick` next has something to do."""
        raise NotImplementedError

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tells the listener everything from now on; returns the way to stop it."""
        raise NotImplementedError

    # looking
    @property
    def default_settings(self) -> SymbolSettings:
        """Leverage 20, cross."""
        raise NotImplementedError

    def instrument(self, venue: Venue, symbol: str) -> InstrumentSpec:
        """By wire symbol or unified symbol; raises UnknownSymbol."""
        raise NotImplementedError

    def instruments(self, venue: Venue) -> list[InstrumentSpec]:
        """Everything the venue lists, settled contracts included, in listing order."""
        raise NotImplementedError

    def price(self, venue: Venue, symbol: str, at_ms: int | None = None) -> Price:
        """Prices now or at an earlier instant."""
        raise NotImplementedError

    def look(self, account: str, at_ms: int | None = None) -> AccountView:
        """The account now, at `at_ms`, or at the instant that `reading_at` set; raises UnknownAccount."""
        raise NotImplementedError

    @contextmanager
    def reading_at(self, at_ms: int | None) -> Iterator[None]:
        """While it lasts, `look` and `price` without an instant show that one; acting is as ever on the present."""
        raise NotImplementedError

    def accounts(self, venue: Venue | None = None) -> list[AccountSpec]:
        """Who has an account, in order of creation."""
        raise NotImplementedError

    def account_by_key(self, api_key: str, venue: Venue) -> AccountSpec | None:
        """Whom an API key belongs to."""
        raise NotImplementedError

    def margin_of(self, view: AccountView, asset: str) -> Margin:
        """See `AccountView.margin`."""
        raise NotImplementedError

    def risk_of(self, view: AccountView, position: Position) -> PositionRisk:
        """See `AccountView.risk`."""
        raise NotImplementedError

    def house(self) -> Mapping[str, Decimal]:
        """What the counterparty of everything (trades, fees, funding, insurance) holds by asset; may be negative."""
        raise NotImplementedError

    def outside(self) -> Mapping[str, Decimal]:
        """By asset, minus what transfers brought into the world: wallets + house + outside = 0, always."""
        raise NotImplementedError

    # accounts and their settings
    def add_account(
        self,
        name: str,
        venue: Venue,
        *,
        api_key: str | None = None,
        api_secret: str | None = None,
        uid: str | None = None,
        alias: str | None = None,
        mode: PositionMode = PositionMode.ONE_WAY,
        balances: Mapping[str, Decimal | str] | None = None,
        maker_rate: Decimal | str | None = None,
        taker_rate: Decimal | str | None = None,
        fee_asset: str | None = None,
        fee_asset_price: Decimal | str | None = None,
        can_trade: bool = True,
        can_withdraw: bool = False,
        portfolio_margin: bool = False,
    ) -> AccountSpec:
        """Opens an account; what is not given is made from the seed and the name. Balances default to 100,000 USDT and
        USDC and 10 BTC (Bybit only)."""
        raise NotImplementedError

    def move_key(self, api_key: str, venue: Venue, to_account: str) -> None:
        """From now on the key answers for another account (the identity fault)."""
        raise NotImplementedError

    def transfer(self, account: str, asset: str, amount: Decimal | str) -> None:
        """Money from outside into the wallet, or out when negative; raises BadTransfer."""
        raise NotImplementedError

    def set_position_mode(self, account: str, mode: PositionMode) -> None:
        """Raises NothingToChange, or ChangeBlocked while anything is open."""
        raise NotImplementedError

    def set_leverage(self, account: str, symbol: str, leverage: Decimal) -> SymbolSettings:
        """Raises BadLeverage; on Bybit NothingToChange when it is equal."""
        raise NotImplementedError

    def set_margin_mode(self, account: str, symbol: str, margin_mode: MarginMode) -> SymbolSettings:
        """Raises NothingToChange, or ChangeBlocked while the symbol has a position or orders."""
        raise NotImplementedError

    def adjust_margin(self, account: str, symbol: str, leg: Leg, amount: Decimal) -> Position:
        """Adds (or with a negative amount takes) isolated margin; raises NotIsolated, NoPosition, InsufficientMargin."""
        raise NotImplementedError

    # orders
    def place_order(self, account: str, request: OrderRequest) -> Order:
        """Accepts and matches at once what matches; returns the order as it then stands. Raises a Refusal."""
        raise NotImplementedError

    def amend_order(
        self, account: str, order_id: int, *, quantity: Decimal | None = None, price: Decimal | None = None
    ) -> Order:
        """Changes an open limit order, keeping its id; raises UnknownOrder or a filter's refusal."""
        raise NotImplementedError

    def cancel_order(self, account: str, order_id: int) -> Order:
        """Cancels an open regular order; raises UnknownOrder when it is not open or is a conditional one."""
        raise NotImplementedError

    def cancel_all(self, account: str, symbol: str | None = None) -> list[Order]:
        """Cancels every open regular order of the symbol (or of the account)."""
        raise NotImplementedError

    def place_conditional(self, account: str, request: ConditionalRequest) -> ConditionalOrder:
        """Accepts a conditional order; raises WouldTriggerImmediately, ClosePositionExists and others."""
        raise NotImplementedError

    def amend_conditional(
        self,
        account: str,
        conditional_id: int,
        *,
        quantity: Decimal | None = None,
        trigger_price: Decimal | None = None,
        price: Decimal | None = None,
    ) -> ConditionalOrder:
        """Changes a waiting conditional order, keeping its id."""
        raise NotImplementedError

    def cancel_conditional(self, account: str, conditional_id: int) -> ConditionalOrder:
        """Cancels a waiting conditional order, attached stops included; raises UnknownOrder."""
        raise NotImplementedError

    def cancel_all_conditionals(self, account: str, symbol: str | None = None) -> list[ConditionalOrder]:
        """Cancels every waiting conditional order of the symbol (or of the account), attached stops excepted."""
        raise NotImplementedError

    def set_attached_stops(self, account: str, symbol: str, leg: Leg, stops: AttachedStops) -> None:
        """Sets, changes or removes a position's own stops; raises NoPosition, BadAttachedStop, NothingToChange."""
        raise NotImplementedError

    # what happens in the market, and the hands of others
    def set_price(
        self,
        symbol: str,
        last: Decimal | str | None = None,
        *,
        mark: Decimal | str | None = None,
        index: Decimal | str | None = None,
        venue: Venue | None = None,
        funding_rate: Decimal | str | None = None,
    ) -> None:
        """Sets prices (by wire or unified symbol; venue None: wherever it is listed); mark and index follow last unless
        given. Then resting orders fill, conditional orders trigger and accounts are liquidated as the prices demand."""
        raise NotImplementedError

    def follow_random_path(self, *, volatility: Decimal | str = "0.0005", step_ms: int = 1_000) -> None:
        """From now on each base's price moves by a seeded random walk, `volatility` (fraction) per step."""
        raise NotImplementedError

    def hold_prices(self) -> None:
        """Ends the random path."""
        raise NotImplementedError

    def set_liquidity(self, symbol: str, depth: Decimal | str | None, *, venue: Venue | None = None) -> None:
        """What one price level holds, in contracts; None: everything. A market order walks level by level, a tick
        apart; a resting limit order gets at most this per price change."""
        raise NotImplementedError

    def set_matching(self, enabled: bool) -> None:
        """False: accepted orders stay NEW until `fill_order` (a venue that acknowledges first and fills later)."""
        raise NotImplementedError

    def fill_order(
        self,
        account: str,
        order_id: int,
        quantity: Decimal | str | None = None,
        price: Decimal | str | None = None,
        *,
        maker: bool | None = None,
    ) -> Order:
        """Fills an open order now: all that remains, at its limit or the last price, unless given."""
        raise NotImplementedError

    def open_position(self, account: str, symbol: str, side: Side | str, quantity: Decimal | str) -> Position:
        """An external hand buys (`buy`, `long`) or sells at market; in hedge mode on the matching leg."""
        raise NotImplementedError

    def reduce_position(self, account: str, symbol: str, side: Side | str, quantity: Decimal | str) -> Position:
        """An external hand closes part of the `long` or `short` position at market."""
        raise NotImplementedError

    def close_position(self, account: str, symbol: str, side: Side | str | None = None) -> Position:
        """An external hand closes the position at market; raises NoPosition. `side` None: whichever is open."""
        raise NotImplementedError

    def trigger(self, account: str, conditional_id: int) -> ConditionalOrder:
        """Triggers a waiting conditional order whatever the price."""
        raise NotImplementedError

    def fund(self, symbol: str | None = None, *, venue: Venue | None = None) -> None:
        """Pays the funding of the instrument (or of all perpetuals) now."""
        raise NotImplementedError

    def liquidate(self, account: str, symbol: str, side: Side | str | None = None) -> Position:
        """The venue takes the position over at its bankruptcy or the mark price, whatever the margin says."""
        raise NotImplementedError

    def auto_deleverage(
        self,
        account: str,
        symbol: str,
        side: Side | str | None = None,
        quantity: Decimal | str | None = None,
        price: Decimal | str | None = None,
    ) -> Position:
        """ADL takes the position (or a part) at the mark or the given price."""
        raise NotImplementedError

    def settle(self, symbol: str, price: Decimal | str | None = None, *, venue: Venue | None = None) -> None:
        """Delivers a contract: every position is closed at the price (the index unless given), its orders end, trading
        ends.
        """
        raise NotImplementedError

    def set_auto_liquidation(self, enabled: bool) -> None:
        """Whether price changes liquidate by themselves; on unless switched off."""
        raise NotImplementedError

    def expire_listen_keys(self, account: str | None = None) -> None:
        """Tells the wires to expire stream keys (all accounts' when None)."""
        raise NotImplementedError

    def cut_streams(self, account: str | None = None) -> None:
        """Tells the wires to close stream sessions (all when None)."""
        raise NotImplementedError

    def forget_before(self, at_ms: int) -> None:
        """Drops versions that only looks before that instant could see; fills, ledger and final orders stay."""
        raise NotImplementedError
