"""The world that both wires show: instruments, prices, accounts, orders, and the money between them.

1. Deterministic: the same clock readings, seed and calls give the same ids, fills and amounts.
2. Money is conserved: every movement in an account has its opposite in the house's books or outside the world.
3. A position's quantity is the sum of its fills; a reduce-only order never opens or increases one.
4. Nothing is forgotten: a look at an earlier instant shows what a look then showed (until `forget_before`).
5. What is refused changes nothing.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import partial

from trueup.sim.world.account import Account, AccountSpec
from trueup.sim.world.attached import set_attached
from trueup.sim.world.clock import Clock, MovableClock
from trueup.sim.world.conditionals import amend_conditional, place_conditional, trigger, waiting_order
from trueup.sim.world.endings import end_conditional, end_order
from trueup.sim.world.events import Listener, ListenKeysExpired, StreamsCut
from trueup.sim.world.hands import held_position, open_by_hand, reduce_by_hand
from trueup.sim.world.ids import short_text
from trueup.sim.world.instruments import default_instruments
from trueup.sim.world.margin import margin_of, risk_of
from trueup.sim.world.market import Quote, force, fund, liquidate, on_tick, set_price, settle, step_prices
from trueup.sim.world.matching import amend, fill, fillable, open_order, place
from trueup.sim.world.money import Execution
from trueup.sim.world.refusals import NoPosition, UnknownSymbol
from trueup.sim.world.requests import ConditionalRequest, OrderRequest
from trueup.sim.world.settings import (
    adjust_margin,
    forget_before,
    move,
    set_leverage,
    set_margin_mode,
    set_position_mode,
)
from trueup.sim.world.state import DEFAULT_SETTINGS, Key, State
from trueup.sim.world.types import (
    AttachedStops,
    ConditionalOrder,
    EndReason,
    ExecType,
    InstrumentSpec,
    Leg,
    MarginMode,
    Order,
    OrderType,
    Position,
    PositionMode,
    Price,
    Side,
    SymbolSettings,
    Venue,
)
from trueup.sim.world.view import AccountView, Margin, PositionRisk

_BALANCES: Mapping[Venue, Mapping[str, str]] = {
    "binance": {"USDT": "100000", "USDC": "100000"},
    "bybit": {"USDT": "100000", "USDC": "100000", "BTC": "10", "ETH": "100"},
}


class World:
    """One simulated market with two venues in it."""

    def __init__(self, clock: Clock, seed: int = 0, instruments: Sequence[InstrumentSpec] | None = None) -> None:
        """`instruments` None: `default_instruments(clock.now_ms())`."""
        start_ms = clock.now_ms()
        listed = default_instruments(start_ms) if instruments is None else list(instruments)
        self._state = State(clock, seed, listed)
        self._path: tuple[Decimal, int] | None = None
        for interval in sorted({spec.funding_interval_ms for spec in listed} - {None}, key=str):
            self._schedule_funding(interval or 0)
        for spec in listed:
            if spec.expiry_ms is not None:
                self.schedule(spec.expiry_ms, partial(self._deliver, spec.venue, spec.symbol))

    # time
    @property
    def clock(self) -> Clock:
        """The clock that it was made with."""
        return self._state.clock

    def now_ms(self) -> int:
        """The venue's time; it never goes back, even when the clock does."""
        return self._state.now_ms()

    def tick(self) -> None:
        """Carries out everything that is due by now: scheduled actions, price steps, funding, settlements."""
        state = self._state
        while state.due and state.due[0][0] <= state.now_ms():
            _, _, action = heapq.heappop(state.due)
            action()

    def advance(self, milliseconds: int) -> None:
        """Moves a movable clock forward, stopping at each thing that falls due on the way."""
        clock = self._state.clock
        if not isinstance(clock, MovableClock):
            msg = f"only a world on a clock that can be moved advances, this one is on {type(clock).__name__}"
            raise TypeError(msg)
        left_ms = milliseconds
        while (due_ms := self.next_due_ms()) is not None:
            step_ms = max(0, due_ms - clock.now_ms())
            if step_ms > left_ms:
                break
            clock.advance(step_ms)
            left_ms -= step_ms
            self.tick()
        clock.advance(left_ms)

    def schedule(self, at_ms: int, action: Callable[[], None]) -> None:
        """Runs the action when the world reaches that time; at equal times in the order of scheduling."""
        self._state.schedule(at_ms, action)

    def next_due_ms(self) -> int | None:
        """When `tick` next has something to do."""
        return self._state.due[0][0] if self._state.due else None

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tells the listener everything from now on; returns the way to stop it."""
        self._state.listeners.append(listener)
        return lambda: self._state.listeners.remove(listener)

    # looking
    @property
    def default_settings(self) -> SymbolSettings:
        """Leverage 20, cross."""
        return DEFAULT_SETTINGS

    def instrument(self, venue: Venue, symbol: str) -> InstrumentSpec:
        """By wire symbol or unified symbol; raises UnknownSymbol."""
        return self._state.instruments[self._state.key_of(venue, symbol)]

    def instruments(self, venue: Venue) -> list[InstrumentSpec]:
        """Everything the venue lists, settled contracts included, in listing order."""
        return [spec for spec in self._state.instruments.values() if spec.venue == venue]

    def price(self, venue: Venue, symbol: str, at_ms: int | None = None) -> Price:
        """Prices now or at an earlier instant."""
        line = self._state.prices[self._state.key_of(venue, symbol)]
        found = line.get(self._state.reading_ms if at_ms is None else at_ms)
        if found is None:
            msg = f"no price of {symbol} at {at_ms}: forgotten"
            raise LookupError(msg)
        return found

    def look(self, account: str, at_ms: int | None = None) -> AccountView:
        """The account now, at `at_ms`, or at the instant that `reading_at` set; raises UnknownAccount.

        Wires read through this and `price` only, so that a stale answer is one asked within `reading_at`.
        """
        return AccountView(self, self._state.account(account), self._state.reading_ms if at_ms is None else at_ms)

    @contextmanager
    def reading_at(self, at_ms: int | None) -> Iterator[None]:
        """While it lasts, `look` and `price` without an instant show that one; acting is as ever on the present."""
        before = self._state.reading_ms
        self._state.reading_ms = at_ms
        try:
            yield
        finally:
            self._state.reading_ms = before

    def accounts(self, venue: Venue | None = None) -> list[AccountSpec]:
        """Who has an account, in order of creation."""
        return [a.spec for a in self._state.accounts.values() if venue in (None, a.spec.venue)]

    def account_by_key(self, api_key: str, venue: Venue) -> AccountSpec | None:
        """Whom an API key belongs to."""
        name = self._state.keys.get((venue, api_key))
        return None if name is None else self._state.account(name).spec

    def margin_of(self, view: AccountView, asset: str) -> Margin:
        """See `AccountView.margin`."""
        return margin_of(self._state, view.account, asset, (view.positions(), view.open_orders()), view.at_ms)

    def risk_of(self, view: AccountView, position: Position) -> PositionRisk:
        """See `AccountView.risk`."""
        spec = self._state.spec_of(view.account, position.symbol)
        return risk_of(self._state, view.account, position, view.margin(spec.settle), view.at_ms)

    def house(self) -> Mapping[str, Decimal]:
        """What the counterparty of everything (trades, fees, funding, insurance) holds by asset; may be negative."""
        return dict(self._state.house)

    def outside(self) -> Mapping[str, Decimal]:
        """By asset, minus what transfers brought into the world: wallets + house + outside = 0, always."""
        return dict(self._state.outside)

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
        if name in self._state.accounts:
            msg = f"there is an account {name!r} already"
            raise ValueError(msg)
        digest = hashlib.sha256(f"{self._state.seed}:{venue}:{name}".encode()).hexdigest()
        spec = AccountSpec(
            name=name,
            venue=venue,
            api_key=api_key or digest[:32] + digest[32:64],
            api_secret=api_secret or hashlib.sha256(digest.encode()).hexdigest(),
            uid=uid or str(100_000_000 + int(digest[:12], 16) % 900_000_000),
            alias=alias or short_text(int(digest[12:24], 16), 6),
            maker_rate=Decimal("0.0002" if maker_rate is None else maker_rate),
            taker_rate=Decimal(("0.0005" if venue == "binance" else "0.00055") if taker_rate is None else taker_rate),
            fee_asset=fee_asset,
            fee_asset_price=None if fee_asset_price is None else Decimal(fee_asset_price),
            can_trade=can_trade,
            can_withdraw=can_withdraw,
            portfolio_margin=portfolio_margin,
        )
        account = Account(spec)
        account.mode.append(0, mode)
        self._state.accounts[name] = account
        self._state.keys[(venue, spec.api_key)] = name
        for asset, amount in (_BALANCES[venue] if balances is None else balances).items():
            self.transfer(name, asset, amount)
        return spec

    def move_key(self, api_key: str, venue: Venue, to_account: str) -> None:
        """From now on the key answers for another account (the identity fault)."""
        self._state.account(to_account)
        self._state.keys[(venue, api_key)] = to_account

    def transfer(self, account: str, asset: str, amount: Decimal | str) -> None:
        """Money from outside into the wallet, or out when negative; raises BadTransfer."""
        move(self._state, self._state.account(account), asset, Decimal(amount))

    def set_position_mode(self, account: str, mode: PositionMode) -> None:
        """Raises NothingToChange, or ChangeBlocked while anything is open."""
        set_position_mode(self._state, self._state.account(account), mode)

    def set_leverage(self, account: str, symbol: str, leverage: Decimal) -> SymbolSettings:
        """Raises BadLeverage; on Bybit NothingToChange when it is equal."""
        return set_leverage(self._state, self._state.account(account), symbol, leverage)

    def set_margin_mode(self, account: str, symbol: str, margin_mode: MarginMode) -> SymbolSettings:
        """Raises NothingToChange, or ChangeBlocked while the symbol has a position or orders."""
        return set_margin_mode(self._state, self._state.account(account), symbol, margin_mode)

    def adjust_margin(self, account: str, symbol: str, leg: Leg, amount: Decimal) -> Position:
        """Adds (when negative: takes) isolated margin; raises NotIsolated, NoPosition, InsufficientMargin."""
        return adjust_margin(self._state, self._state.account(account), symbol, leg, amount)

    # orders
    def place_order(self, account: str, request: OrderRequest) -> Order:
        """Accepts and matches at once what matches; returns the order as it then stands. Raises a Refusal."""
        return place(self._state, self._state.account(account), request)

    def amend_order(
        self, account: str, order_id: int, *, quantity: Decimal | None = None, price: Decimal | None = None
    ) -> Order:
        """Changes an open limit order, keeping its id; raises UnknownOrder or a filter's refusal."""
        return amend(self._state, self._state.account(account), order_id, quantity, price)

    def cancel_order(self, account: str, order_id: int) -> Order:
        """Cancels an open regular order; raises UnknownOrder when it is not open or is a conditional one."""
        books = self._state.account(account)
        return end_order(self._state, books, open_order(books, order_id), EndReason.USER)

    def cancel_all(self, account: str, symbol: str | None = None) -> list[Order]:
        """Cancels every open regular order of the symbol (or of the account)."""
        books = self._state.account(account)
        chosen = [o for o in books.open_orders.values() if symbol is None or o.symbol == self._wire(books, symbol)]
        return [end_order(self._state, books, order, EndReason.USER) for order in chosen]

    def place_conditional(self, account: str, request: ConditionalRequest) -> ConditionalOrder:
        """Accepts a conditional order; raises WouldTriggerImmediately, ClosePositionExists and others."""
        return place_conditional(self._state, self._state.account(account), request)

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
        changes = {"quantity": quantity, "trigger_price": trigger_price, "price": price}
        return amend_conditional(self._state, self._state.account(account), conditional_id, changes)

    def cancel_conditional(self, account: str, conditional_id: int) -> ConditionalOrder:
        """Cancels a waiting conditional order, attached stops included; raises UnknownOrder."""
        books = self._state.account(account)
        return end_conditional(self._state, books, waiting_order(books, conditional_id), EndReason.USER)

    def cancel_all_conditionals(self, account: str, symbol: str | None = None) -> list[ConditionalOrder]:
        """Cancels every waiting conditional order of the symbol (or of the account), attached stops excepted."""
        books = self._state.account(account)
        wire = None if symbol is None else self._wire(books, symbol)
        chosen = [o for o in books.open_conditionals.values() if o.attached is None and wire in (None, o.symbol)]
        return [end_conditional(self._state, books, order, EndReason.USER) for order in chosen]

    def set_attached_stops(self, account: str, symbol: str, leg: Leg, stops: AttachedStops) -> None:
        """Sets, changes or removes a position's own stops; raises NoPosition, BadAttachedStop, NothingToChange."""
        books = self._state.account(account)
        position = books.position(self._wire(books, symbol), leg)
        if position is None:
            raise NoPosition(f"{account} holds no {symbol} {leg} position")
        set_attached(self._state, books, position, stops)

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
        quote = Quote(*(None if value is None else Decimal(value) for value in (last, mark, index, funding_rate)))
        for key in self._listed(symbol, venue):
            set_price(self._state, key, quote)

    def follow_random_path(self, *, volatility: Decimal | str = "0.0005", step_ms: int = 1_000) -> None:
        """From now on each base's price moves by a seeded random walk, `volatility` (fraction) per step."""
        if step_ms <= 0:
            msg = f"step_ms must be positive, not {step_ms}"
            raise ValueError(msg)
        running = self._path is not None
        self._path = (Decimal(volatility), step_ms)
        if not running:
            self.schedule(self.now_ms() + step_ms, self._step_path)

    def hold_prices(self) -> None:
        """Ends the random path."""
        self._path = None

    def set_liquidity(self, symbol: str, depth: Decimal | str | None, *, venue: Venue | None = None) -> None:
        """What one price level holds, in contracts; None: everything. A market order walks level by level, a tick
        apart; a resting limit order gets at most this per price change."""
        for key in self._listed(symbol, venue):
            if depth is None:
                self._state.depths.pop(key, None)
            else:
                self._state.depths[key] = Decimal(depth)

    def set_matching(self, enabled: bool) -> None:
        """False: accepted orders stay NEW until `fill_order` (a venue that acknowledges first and fills later)."""
        self._state.matching = enabled

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
        books = self._state.account(account)
        order = open_order(books, order_id)
        last = self._state.price((books.spec.venue, order.symbol)).last
        most = fillable(books, order)
        if not most:
            return end_order(self._state, books, order, EndReason.REDUCE_ONLY)
        part = most if quantity is None else min(most, Decimal(quantity))
        at = Decimal(price) if price is not None else order.price if order.price is not None else last
        takes = order.type is OrderType.MARKET
        return fill(self._state, books, order, Execution(part, at, maker=not takes if maker is None else maker))

    def open_position(self, account: str, symbol: str, side: Side | str, quantity: Decimal | str) -> Position:
        """An external hand buys (`buy`, `long`) or sells at market; in hedge mode on the matching leg."""
        return open_by_hand(self._state, self._state.account(account), symbol, side, Decimal(quantity))

    def reduce_position(self, account: str, symbol: str, side: Side | str, quantity: Decimal | str) -> Position:
        """An external hand closes part of the `long` or `short` position at market."""
        books = self._state.account(account)
        held = held_position(self._state, books, symbol, side)
        return reduce_by_hand(self._state, books, held, Decimal(quantity))

    def close_position(self, account: str, symbol: str, side: Side | str | None = None) -> Position:
        """An external hand closes the position at market; raises NoPosition. `side` None: whichever is open."""
        books = self._state.account(account)
        held = held_position(self._state, books, symbol, side)
        return reduce_by_hand(self._state, books, held, abs(held.quantity))

    def trigger(self, account: str, conditional_id: int) -> ConditionalOrder:
        """Triggers a waiting conditional order whatever the price."""
        books = self._state.account(account)
        return trigger(self._state, books, waiting_order(books, conditional_id))

    def fund(self, symbol: str | None = None, *, venue: Venue | None = None) -> None:
        """Pays the funding of the instrument (or of all perpetuals) now."""
        keys = list(self._state.instruments) if symbol is None else self._listed(symbol, venue)
        for key in keys:
            spec = self._state.instruments[key]
            if spec.funding_interval_ms is not None and venue in (None, spec.venue):
                fund(self._state, key)

    def liquidate(self, account: str, symbol: str, side: Side | str | None = None) -> Position:
        """The venue takes the position over at its bankruptcy or the mark price, whatever the margin says."""
        books = self._state.account(account)
        return liquidate(self._state, books, held_position(self._state, books, symbol, side))

    def auto_deleverage(
        self,
        account: str,
        symbol: str,
        side: Side | str | None = None,
        quantity: Decimal | str | None = None,
        price: Decimal | str | None = None,
    ) -> Position:
        """ADL takes the position (or a part) at the mark or the given price."""
        books = self._state.account(account)
        held = held_position(self._state, books, symbol, side)
        part = abs(held.quantity) if quantity is None else min(abs(held.quantity), Decimal(quantity))
        spec = self._state.spec_of(books, held.symbol)
        at = self._state.price((spec.venue, spec.symbol)).mark if price is None else Decimal(price)
        return force(self._state, books, held, part, on_tick(spec, at), ExecType.ADL)

    def settle(self, symbol: str, price: Decimal | str | None = None, *, venue: Venue | None = None) -> None:
        """Delivers a contract: every position is closed at the price (the index unless given), its orders end, trading
        ends.
        """
        for key in self._listed(symbol, venue):
            settle(self._state, key, None if price is None else Decimal(price))

    def set_auto_liquidation(self, enabled: bool) -> None:
        """Whether price changes liquidate by themselves; on unless switched off."""
        self._state.auto_liquidation = enabled

    def expire_listen_keys(self, account: str | None = None) -> None:
        """Tells the wires to expire stream keys (all accounts' when None)."""
        self._state.emit(ListenKeysExpired(account, self.now_ms()))

    def cut_streams(self, account: str | None = None) -> None:
        """Tells the wires to close stream sessions (all when None)."""
        self._state.emit(StreamsCut(account, self.now_ms()))

    def forget_before(self, at_ms: int) -> None:
        """Drops versions that only looks before that instant could see; fills, ledger and final orders stay."""
        forget_before(self._state, at_ms)

    # inside
    @property
    def version(self) -> int:
        """Changes with everything that is written; what was computed at one version holds while it stays."""
        return self._state.version

    def _wire(self, account: Account, symbol: str) -> str:
        return self._state.key_of(account.spec.venue, symbol)[1]

    def _listed(self, symbol: str, venue: Venue | None) -> list[Key]:
        """The instruments of that wire or unified symbol, on one venue or on both; raises UnknownSymbol for none."""
        found = [
            key
            for key, spec in self._state.instruments.items()
            if symbol in (spec.symbol, spec.unified) and venue in (None, spec.venue)
        ]
        if not found:
            raise UnknownSymbol(f"{venue or 'neither venue'} lists an instrument {symbol!r}")
        return found

    def _schedule_funding(self, interval_ms: int) -> None:
        due_ms = (self.now_ms() // interval_ms + 1) * interval_ms
        self.schedule(due_ms, partial(self._fund_all, interval_ms))

    def _fund_all(self, interval_ms: int) -> None:
        for key, spec in self._state.instruments.items():
            if spec.funding_interval_ms == interval_ms:
                fund(self._state, key)
        self._schedule_funding(interval_ms)

    def _deliver(self, venue: Venue, symbol: str) -> None:
        settle(self._state, (venue, symbol), None)

    def _step_path(self) -> None:
        if self._path is None:
            return
        volatility, step_ms = self._path
        step_prices(self._state, volatility)
        self.schedule(self.now_ms() + step_ms, self._step_path)
