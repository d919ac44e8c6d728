"""Everything of a world that changes, and the few ways to write it.

1. One place saves each kind of value: timelines, live lists and indices cannot disagree.
2. `version` changes with every write, so what was computed from the state knows when it is stale.
3. Every movement of money is a ledger entry, with its opposite in the house's books, or outside for transfers.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from decimal import Decimal

from trueup.sim.world.account import Account
from trueup.sim.world.clock import Clock
from trueup.sim.world.events import Listener, WorldEvent
from trueup.sim.world.refusals import UnknownAccount, UnknownSymbol
from trueup.sim.world.rules import RULES, VenueRules
from trueup.sim.world.timeline import Timeline
from trueup.sim.world.types import (
    ZERO,
    ConditionalOrder,
    Fill,
    InstrumentSpec,
    LedgerEntry,
    LedgerKind,
    Leg,
    MarginMode,
    Order,
    Position,
    Price,
    SymbolSettings,
    Venue,
)

Key = tuple[Venue, str]
"""An instrument: venue and wire symbol."""

FIRST_FILL_ID = 82_357_626
FIRST_ENTRY_ID = 9_689_322_392
DEFAULT_SETTINGS = SymbolSettings(Decimal(20), MarginMode.CROSS, 0)


class State:
    """The books of the world."""

    def __init__(self, clock: Clock, seed: int, instruments: Sequence[InstrumentSpec]) -> None:
        self.clock = clock
        self.seed = seed
        self.random = random.Random(seed)  # noqa: S311 - a reproducible market, not a secret
        self.reading_ms: int | None = None
        self.version = 0
        self.instruments: dict[Key, InstrumentSpec] = {}
        self.unified: dict[Key, str] = {}
        self.prices: dict[Key, Timeline[Price]] = {}
        self.accounts: dict[str, Account] = {}
        self.keys: dict[tuple[Venue, str], str] = {}
        self.house: dict[str, Decimal] = {}
        self.outside: dict[str, Decimal] = {}
        self.listeners: list[Listener] = []
        self.resting: dict[Key, dict[int, Account]] = {}
        self.waiting: dict[Key, dict[int, Account]] = {}
        self.holders: dict[Key, dict[str, Account]] = {}
        self.depths: dict[Key, Decimal] = {}
        self.matching = True
        self.auto_liquidation = True
        self.due: list[tuple[int, int, Callable[[], None]]] = []
        self._scheduled = 0
        self._sequence = 0
        self._now_ms = clock.now_ms()
        self._next_fill = FIRST_FILL_ID
        self._next_entry = FIRST_ENTRY_ID
        self._next_order = {venue: rules.first_order_id for venue, rules in RULES.items()}
        self._next_conditional = {venue: rules.first_conditional_id for venue, rules in RULES.items()}
        for spec in instruments:
            self.list_instrument(spec)

    # time and numbers
    def now_ms(self) -> int:
        """The clock's time, or the latest time that was shown when the clock went back."""
        self._now_ms = max(self._now_ms, self.clock.now_ms())
        return self._now_ms

    def schedule(self, at_ms: int, action: Callable[[], None]) -> None:
        """Puts an action on the agenda; equal times run in the order of scheduling."""
        self._scheduled += 1
        heapq.heappush(self.due, (at_ms, self._scheduled, action))

    def next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def next_order_id(self, venue: Venue) -> int:
        self._next_order[venue] += 1
        return self._next_order[venue]

    def peek_order_id(self, venue: Venue) -> int:
        """The id that the next order will have."""
        return self._next_order[venue] + 1

    def next_conditional_id(self, venue: Venue) -> int:
        """On Bybit the same numbers as orders, for a conditional order keeps its id when it becomes one."""
        if RULES[venue].child_keeps_id:
            return self.next_order_id(venue)
        self._next_conditional[venue] += 1
        return self._next_conditional[venue]

    def next_fill_id(self) -> int:
        self._next_fill += 1
        return self._next_fill

    # finding
    def list_instrument(self, spec: InstrumentSpec) -> None:
        """Lists a contract at its initial price."""
        key = (spec.venue, spec.symbol)
        self.instruments[key] = spec
        self.unified[(spec.venue, spec.unified)] = spec.symbol
        line: Timeline[Price] = Timeline()
        interval = spec.funding_interval_ms
        next_funding = None if interval is None else (self._now_ms // interval + 1) * interval
        rate = ZERO if interval is None else Decimal("0.0001")
        price = spec.initial_price
        line.append(0, Price(price, price, price, rate, next_funding, self._now_ms))
        self.prices[key] = line
        self.resting[key] = {}
        self.waiting[key] = {}
        self.holders[key] = {}

    def key_of(self, venue: Venue, symbol: str) -> Key:
        """Finds an instrument by wire or unified symbol; raises UnknownSymbol."""
        if (venue, symbol) in self.instruments:
            return (venue, symbol)
        wire = self.unified.get((venue, symbol))
        if wire is None:
            msg = f"{venue} lists no instrument {symbol!r}"
            raise UnknownSymbol(msg)
        return (venue, wire)

    def spec_of(self, account: Account, symbol: str) -> InstrumentSpec:
        return self.instruments[self.key_of(account.spec.venue, symbol)]

    def account(self, name: str) -> Account:
        found = self.accounts.get(name)
        if found is None:
            msg = f"no account {name!r}; there are {sorted(self.accounts)}"
            raise UnknownAccount(msg)
        return found

    def price(self, key: Key) -> Price:
        return self.prices[key].latest

    def settings(self, account: Account, symbol: str, at_ms: int | None = None) -> SymbolSettings:
        line = account.settings.get(symbol)
        found = line.get(at_ms) if line is not None else None
        return found if found is not None else DEFAULT_SETTINGS

    @staticmethod
    def rules(account: Account) -> VenueRules:
        return RULES[account.spec.venue]

    # writing
    def emit(self, event: WorldEvent) -> None:
        for listener in tuple(self.listeners):
            listener(event)

    def save_price(self, key: Key, price: Price) -> None:
        self.version += 1
        self.prices[key].append(price.at_ms, price)

    def save_order(self, account: Account, order: Order) -> None:
        """Keeps the order's new value, in the open list exactly while it is open."""
        self.version += 1
        line = account.orders.get(order.order_id)
        if line is None:
            line = account.orders[order.order_id] = Timeline()
            if order.client_order_id:
                account.order_client_ids.setdefault(order.client_order_id, []).append(order.order_id)
        line.append(order.updated_ms, order)
        resting = self.resting[(account.spec.venue, order.symbol)]
        if order.is_open:
            account.open_orders[order.order_id] = order
            resting[order.order_id] = account
        else:
            account.open_orders.pop(order.order_id, None)
            resting.pop(order.order_id, None)

    def save_conditional(self, account: Account, order: ConditionalOrder) -> None:
        """Keeps the conditional order's new value, in the waiting list exactly while it waits."""
        self.version += 1
        line = account.conditionals.get(order.conditional_id)
        if line is None:
            line = account.conditionals[order.conditional_id] = Timeline()
            if order.client_order_id:
                account.conditional_client_ids.setdefault(order.client_order_id, []).append(order.conditional_id)
        line.append(order.updated_ms, order)
        waiting = self.waiting[(account.spec.venue, order.symbol)]
        if order.is_open:
            account.open_conditionals[order.conditional_id] = order
            waiting[order.conditional_id] = account
        else:
            account.open_conditionals.pop(order.conditional_id, None)
            waiting.pop(order.conditional_id, None)

    def save_position(self, account: Account, position: Position) -> None:
        """Keeps the slot's new value and who holds the instrument."""
        self.version += 1
        account.safe_bands.clear()
        line = account.positions.setdefault((position.symbol, position.leg), Timeline())
        line.append(position.updated_ms, position)
        holders = self.holders[(account.spec.venue, position.symbol)]
        if any(self._holds(account, position.symbol, leg) for leg in Leg):
            holders[account.spec.name] = account
        else:
            holders.pop(account.spec.name, None)

    @staticmethod
    def _holds(account: Account, symbol: str, leg: Leg) -> bool:
        held = account.position(symbol, leg)
        return held is not None and held.quantity != 0

    def post(
        self,
        account: Account,
        asset: str,
        amount: Decimal,
        kind: LedgerKind,
        *,
        symbol: str | None = None,
        leg: Leg | None = None,
        fill_id: int | None = None,
        order_id: int | None = None,
    ) -> None:
        """Moves money into the account (out of it when negative), against the house, or outside for transfers."""
        self.version += 1
        account.safe_bands.clear()
        now_ms = self.now_ms()
        balance = account.wallet(asset) + amount
        account.wallets.setdefault(asset, Timeline()).append(now_ms, balance)
        other = self.outside if kind is LedgerKind.TRANSFER else self.house
        other[asset] = other.get(asset, ZERO) - amount
        self._next_entry += 1
        sequence = self.next_sequence()
        account.ledger.append(
            LedgerEntry(
                self._next_entry,
                account.spec.name,
                now_ms,
                asset,
                amount,
                balance,
                kind,
                symbol,
                leg,
                fill_id,
                order_id,
                sequence,
            )
        )

    def save_fill(self, account: Account, fill: Fill) -> None:
        self.version += 1
        account.executions.append(fill)
