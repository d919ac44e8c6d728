"""Properties over random worlds: money (world.py 2), quantity (3), history (4), refusals (5), determinism (1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from trueup.sim.world import ConditionalRequest, ManualClock, OrderRequest, World
from trueup.sim.world.events import OrderChanged, WorldEvent
from trueup.sim.world.refusals import Refusal
from trueup.sim.world.types import (
    AttachedStops,
    ConditionalKind,
    LedgerKind,
    Leg,
    MarginMode,
    OrderType,
    PositionMode,
    Side,
)

START_MS = 1_795_000_000_000
ACCOUNTS = ("a-binance", "b-binance-hedge", "c-bybit", "d-bybit-hedge", "e-bnb", "f-poor", "g-isolated")
SYMBOLS = {
    "binance": ("BTCUSDT", "1000PEPEUSDT", "BTCUSDT_261225", "BTCUSDC"),
    "bybit": ("BTCUSDT", "BTCPERP", "BTCUSD", "BTCUSDZ26", "SHIB1000USDT"),
}
Step = tuple[str, int, int, int, int]
KINDS = (
    "market",
    "market",
    "limit",
    "stop",
    "trail",
    "attach",
    "reduce",
    "reduce",
    "rest",
    "close",
    "price",
    "price",
    "fund",
)
RARE = ("liquidate", "cancel", "time", "depth", "adl")
steps_strategy = st.lists(
    st.tuples(
        st.sampled_from(KINDS + RARE),
        st.sampled_from((0, 0, 1, 2, 2, 3, 4, 5, 6)),
        st.sampled_from((0, 0, 0, 1, 2, 3, 4)),
        st.integers(-40, 40),
        st.integers(1, 60),
    ),
    min_size=20,
    max_size=60,
)


def build(seed: int) -> World:
    world = World(ManualClock(START_MS), seed)
    world.add_account("a-binance", "binance")
    world.add_account("b-binance-hedge", "binance", mode=PositionMode.HEDGE)
    world.add_account("c-bybit", "bybit")
    world.add_account("d-bybit-hedge", "bybit", mode=PositionMode.HEDGE)
    world.add_account(
        "e-bnb", "binance", balances={"USDT": "50000", "BNB": "0.5"}, fee_asset="BNB", fee_asset_price="612.37"
    )
    world.add_account("f-poor", "binance", balances={"USDT": "900"})
    world.add_account("g-isolated", "bybit")
    for symbol in SYMBOLS["bybit"]:
        world.set_margin_mode("g-isolated", symbol, MarginMode.ISOLATED)
    return world


def act(world: World, step: Step) -> None:
    """Does one random thing; refusals are part of life."""
    kind, account_number, symbol_number, signed, amount = step
    account = ACCOUNTS[account_number]
    view = world.look(account)
    symbols = SYMBOLS[view.spec.venue]
    symbol = symbols[symbol_number % len(symbols)]
    spec = world.instrument(view.spec.venue, symbol)
    price = world.price(spec.venue, symbol).last
    side = Side.BUY if signed >= 0 else Side.SELL
    leg = Leg.NET if view.mode is PositionMode.ONE_WAY else (Leg.LONG if amount % 2 else Leg.SHORT)
    quantity = spec.quantity_step * amount * (1 if spec.price_tick < 1 and price > 1000 else 10)
    if spec.inverse:
        quantity = Decimal(amount * 25)
    shifted = price + spec.price_tick * signed * 20
    reduce_only = amount % 5 == 0
    held = view.positions()
    if kind not in {"market", "limit", "price", "depth"} and held:
        position = held[amount % len(held)]
        symbol, leg = position.symbol, position.leg
        price = world.price(spec.venue, symbol).last
        spec = world.instrument(spec.venue, symbol)
        shifted = price + spec.price_tick * signed * 20
        if kind in {"reduce", "rest", "stop", "trail"}:
            side = Side.SELL if position.quantity > 0 else Side.BUY
            part = abs(position.quantity) * (amount % 13 + 1) / 10 // spec.quantity_step * spec.quantity_step
            quantity, reduce_only = max(part, spec.quantity_step), leg is Leg.NET or spec.venue == "bybit"
    try:
        _act(world, kind, (account, symbol, side, leg, quantity, shifted, reduce_only, signed, amount))
    except Refusal:
        return


def _act(world: World, kind: str, what: tuple) -> None:  # type: ignore[type-arg]
    account, symbol, side, leg, quantity, shifted, reduce_only, signed, amount = what
    doings: dict[str, Callable[[], object]] = {
        "market": lambda: world.place_order(
            account, OrderRequest(symbol, side, OrderType.MARKET, quantity, leg=leg, reduce_only=reduce_only)
        ),
        "limit": lambda: world.place_order(
            account, OrderRequest(symbol, side, OrderType.LIMIT, quantity, shifted, leg=leg, reduce_only=reduce_only)
        ),
        "stop": lambda: world.place_conditional(
            account,
            ConditionalRequest(
                symbol,
                side,
                ConditionalKind.STOP if amount % 3 else ConditionalKind.TAKE_PROFIT,
                OrderType.MARKET if amount % 4 else OrderType.LIMIT,
                None if amount % 7 == 0 else quantity,
                trigger_price=shifted,
                price=shifted,
                leg=leg,
                reduce_only=reduce_only and amount % 7 != 0,
                close_position=amount % 7 == 0,
            ),
        ),
        "trail": lambda: world.place_conditional(
            account,
            ConditionalRequest(
                symbol,
                side,
                ConditionalKind.TRAILING_STOP,
                OrderType.MARKET,
                quantity,
                leg=leg,
                callback_rate=Decimal(amount % 9 + 1) / 10,
                reduce_only=reduce_only,
            ),
        ),
        "attach": lambda: world.set_attached_stops(account, symbol, leg, AttachedStops(stop_loss=shifted)),
        "reduce": lambda: world.place_order(
            account, OrderRequest(symbol, side, OrderType.MARKET, quantity, leg=leg, reduce_only=reduce_only)
        ),
        "rest": lambda: world.place_order(
            account, OrderRequest(symbol, side, OrderType.LIMIT, quantity, shifted, leg=leg, reduce_only=reduce_only)
        ),
        "close": lambda: world.close_position(account, symbol),
        "price": lambda: world.set_price(symbol, shifted),
        "fund": world.fund,
        "liquidate": lambda: world.liquidate(account, symbol),
        "cancel": lambda: (world.cancel_all(account), world.cancel_all_conditionals(account)),
        "time": lambda: world.advance(abs(signed) * 60_000),
        "depth": lambda: world.set_liquidity(symbol, quantity if amount % 2 else None),
        "adl": lambda: world.auto_deleverage(account, symbol, quantity=quantity),
    }
    doings[kind]()


def check_money(world: World) -> None:
    """Wallets + house + outside = 0, and each wallet is the sum of its ledger."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for spec in world.accounts():
        view = world.look(spec.name)
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for entry in view.ledger():
            sums[entry.asset] += entry.amount
            assert entry.balance_after == sums[entry.asset]
        for asset, amount in view.wallets().items():
            totals[asset] += amount
            assert amount == sums[asset]
    for books in (world.house(), world.outside()):
        for asset, amount in books.items():
            totals[asset] += amount
    assert all(amount == 0 for amount in totals.values())


def check_ledger_against_fills(world: World) -> None:
    """PnL, fees and funding of the ledger are those of the executions."""
    for spec in world.accounts():
        view = world.look(spec.name)
        pnl = sum((e.amount for e in view.ledger(kind=LedgerKind.REALIZED_PNL)), Decimal(0))
        fees = sum((e.amount for e in view.ledger(kind=LedgerKind.COMMISSION)), Decimal(0))
        funding = sum((e.amount for e in view.ledger(kind=LedgerKind.FUNDING)), Decimal(0))
        fills = view.fills()
        assert pnl == sum((f.realized_pnl for f in fills), Decimal(0))
        assert fees == -sum((f.fee for f in fills), Decimal(0))
        assert funding == -sum((f.fee for f in view.executions() if f not in fills), Decimal(0))


def check_quantities(world: World) -> None:
    """Each slot holds the sum of its fills, and what was paid is what was earned and what is open, to the last digit."""
    for spec in world.accounts():
        view = world.look(spec.name)
        for position in view.positions(flat=True):
            fills = [f for f in view.fills(position.symbol) if f.leg is position.leg]
            assert position.quantity == sum((f.side.sign * f.quantity for f in fills), Decimal(0))
            if position.leg is Leg.LONG:
                assert position.quantity >= 0
            if position.leg is Leg.SHORT:
                assert position.quantity <= 0
            cash = sum((f.side.sign * f.value for f in fills), Decimal(0))
            realized = sum((f.realized_pnl for f in fills), Decimal(0))
            gain = -realized if view.instrument(position.symbol).inverse else realized
            assert cash + gain == (position.cost if position.quantity >= 0 else -position.cost)
            if position.is_flat:
                assert position.cost == position.open_fees == position.isolated_wallet == 0


class OnlyReduces:
    """Judges every fill of an order that must only reduce."""

    def __init__(self, world: World) -> None:
        self.wrong: list[OrderChanged] = []
        world.subscribe(self)

    def __call__(self, event: WorldEvent) -> None:
        if not isinstance(event, OrderChanged) or event.fill is None:
            return
        exits = {Leg.LONG: Side.SELL, Leg.SHORT: Side.BUY}
        reducing = event.order.reduce_only or event.order.close_position
        if (reducing or event.fill.side is exits.get(event.fill.leg)) and (
            event.fill.closed_quantity != event.fill.quantity
        ):
            self.wrong.append(event)


@settings(max_examples=80, deadline=None)
@given(steps=steps_strategy)
def test_money_and_quantities_add_up_whatever_happens(steps: list[Step]) -> None:
    world = build(1)
    judge = OnlyReduces(world)
    for step in steps:
        act(world, step)
    check_money(world)
    check_ledger_against_fills(world)
    check_quantities(world)
    assert judge.wrong == []


@settings(max_examples=25, deadline=None)
@given(steps=steps_strategy, cut=st.integers(0, 40))
def test_an_earlier_look_shows_what_was_shown_then(steps: list[Step], cut: int) -> None:
    world = build(2)
    for step in steps[:cut]:
        act(world, step)
    world.advance(1)
    at_ms = world.now_ms()
    world.advance(1)
    seen = {name: _books(world, name, None) for name in ACCOUNTS}
    for step in steps[cut:]:
        act(world, step)
    assert seen == {name: _books(world, name, at_ms) for name in ACCOUNTS}


def _books(world: World, name: str, at_ms: int | None) -> tuple[object, ...]:
    view = world.look(name, at_ms)
    return view.positions(flat=True), view.open_orders(), view.open_conditionals(), view.executions(), view.ledger()


@settings(max_examples=15, deadline=None)
@given(steps=steps_strategy, seed=st.integers(0, 3))
def test_the_same_seed_and_steps_give_the_same_events(steps: list[Step], seed: int) -> None:
    def run() -> list[str]:
        world = build(seed)
        world.follow_random_path(step_ms=20_000)
        told: list[str] = []
        world.subscribe(lambda event: told.append(repr(event)))
        for step in steps:
            act(world, step)
        return told

    assert run() == run()
