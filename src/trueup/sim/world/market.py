"""What the market does by itself: prices move, orders fill, stops trigger, accounts are liquidated, funding is paid.

1. One price change: resting orders fill, then conditional orders trigger, then margins are checked; oldest first each.
2. Forced orders (liquidation, ADL, settlement) have fills like any other, with the venue's own client ids.
3. What a liquidation loses beyond the wallet is paid by the house, as its own ledger entry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from trueup.sim.world.account import Account
from trueup.sim.world.conditionals import watch
from trueup.sim.world.endings import end_conditional, end_order, tell_order
from trueup.sim.world.events import AccountChanged, BalanceChange, ChangeReason, MarginCalled, PriceChanged
from trueup.sim.world.margin import margin_of, risk_of
from trueup.sim.world.matching import fill, fillable
from trueup.sim.world.money import Execution, rounded, value_of
from trueup.sim.world.state import Key, State
from trueup.sim.world.types import (
    ZERO,
    EndReason,
    ExecType,
    Fill,
    InstrumentSpec,
    InstrumentStatus,
    LedgerKind,
    MarginMode,
    Order,
    OrderStatus,
    OrderType,
    Origin,
    Position,
    Price,
    Side,
    TimeInForce,
)

_CALL_RATIO = Decimal("0.8")
_STEPS = 1_000
_UNIFORM_TO_DEVIATION = Decimal("1.7320508")
_ORIGINS = {
    ExecType.LIQUIDATION: Origin.LIQUIDATION,
    ExecType.ADL: Origin.ADL,
    ExecType.SETTLEMENT: Origin.SETTLEMENT,
}


def on_tick(spec: InstrumentSpec, price: Decimal) -> Decimal:
    """The nearest price on the grid, at least one tick."""
    ticks = (price / spec.price_tick).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return max(ticks, Decimal(1)) * spec.price_tick


@dataclass(frozen=True, slots=True)
class Quote:
    """New prices of an instrument; None: `mark` and `index` follow `last`, the others stay."""

    last: Decimal | None = None
    mark: Decimal | None = None
    index: Decimal | None = None
    funding_rate: Decimal | None = None


def set_price(state: State, key: Key, quote: Quote) -> None:
    """Changes an instrument's prices and carries out what follows."""
    spec = state.instruments[key]
    if spec.status is not InstrumentStatus.TRADING:
        return
    known = state.price(key)
    last = known.last if quote.last is None else quote.last
    moved = quote.last is not None
    price = Price(
        last=last,
        mark=quote.mark if quote.mark is not None else (last if moved else known.mark),
        index=quote.index if quote.index is not None else (last if moved else known.index),
        funding_rate=known.funding_rate if quote.funding_rate is None else quote.funding_rate,
        next_funding_ms=known.next_funding_ms,
        at_ms=state.now_ms(),
    )
    for name, value in (("last", price.last), ("mark", price.mark), ("index", price.index)):
        if value <= 0:
            msg = f"{name} price of {spec.symbol} must be positive, not {value}"
            raise ValueError(msg)
    state.save_price(key, price)
    state.emit(PriceChanged(spec.venue, spec.symbol, price.at_ms, price))
    if state.matching:
        _fill_resting(state, key, price.last)
    watch(state, key)
    if state.auto_liquidation:
        _check_margins(state, key, price.mark)


def _fill_resting(state: State, key: Key, last: Decimal) -> None:
    resting = state.resting[key]
    depth = state.depths.get(key)
    for order_id in sorted(resting):
        account = resting.get(order_id)
        if account is None:
            continue
        order = account.open_orders[order_id]
        if order.price is None or (last > order.price if order.side is Side.BUY else last < order.price):
            continue
        quantity = fillable(account, order)
        if not quantity:
            end_order(state, account, order, EndReason.REDUCE_ONLY)
            continue
        part = quantity if depth is None else min(quantity, depth)
        fill(state, account, order, Execution(part, order.price, maker=True))


def step_prices(state: State, volatility: Decimal) -> None:
    """One step of the random path: each base moves by its own draw, every contract on it by the same fraction."""
    moves: dict[str, Decimal] = {}
    for key, spec in state.instruments.items():
        if spec.status is not InstrumentStatus.TRADING:
            continue
        if spec.base not in moves:
            draw = Decimal(state.random.randint(-_STEPS, _STEPS)) / _STEPS
            moves[spec.base] = 1 + draw * volatility * _UNIFORM_TO_DEVIATION
        factor = moves[spec.base]
        known = state.price(key)
        last, mark = on_tick(spec, known.last * factor), on_tick(spec, known.mark * factor)
        set_price(state, key, Quote(last, mark, on_tick(spec, known.index * factor)))


# margins and liquidation


def _check_margins(state: State, key: Key, mark: Decimal) -> None:
    for account in list(state.holders[key].values()):
        band = account.safe_bands.get(key[1])
        if band is not None and band[0] < mark < band[1]:
            continue
        check_account(state, account, state.instruments[key].settle)


def check_account(state: State, account: Account, asset: str) -> None:
    """Liquidates what its margin no longer carries, else notes between which prices nothing can happen."""
    held = [p for p in account.held() if state.spec_of(account, p.symbol).settle == asset]
    totals = margin_of(state, account, asset, (held, account.open_orders.values()))
    cross = []
    bands = {}
    for position in held:
        spec = state.spec_of(account, position.symbol)
        if state.settings(account, position.symbol).margin_mode is MarginMode.CROSS:
            cross.append(position)
            continue
        risk = risk_of(state, account, position, totals, None)
        cushion = risk.margin + risk.unrealized_pnl - risk.maintenance_margin
        if cushion <= 0:
            liquidate(state, account, position)
            continue
        bands[position.symbol] = _band(spec, risk.mark, cushion, abs(risk.notional))
    bands.update(_check_cross(state, account, asset, cross))
    account.safe_bands.update(bands)


def _check_cross(
    state: State, account: Account, asset: str, positions: list[Position]
) -> dict[str, tuple[Decimal, Decimal]]:
    """Liquidates the cross positions of an asset when its wallet no longer carries them."""
    if not positions:
        return {}
    totals = margin_of(state, account, asset, (positions, ()))
    isolated = sum(
        (p.isolated_wallet for p in account.held() if state.spec_of(account, p.symbol).settle == asset), ZERO
    )
    balance = totals.wallet - isolated + totals.cross_unrealized_pnl
    if balance <= totals.maintenance_margin:
        for position in positions:
            latest = account.position(position.symbol, position.leg)
            if latest is not None and latest.quantity:
                liquidate(state, account, latest)
        return {}
    called = totals.maintenance_margin > balance * _CALL_RATIO
    if called and asset not in account.margin_called:
        spec = account.spec
        now_ms = state.now_ms()
        state.emit(MarginCalled(spec.name, spec.venue, now_ms, state.next_sequence(), tuple(positions)))
    (account.margin_called.add if called else account.margin_called.discard)(asset)
    marks = {p.symbol: state.price((account.spec.venue, p.symbol)).mark for p in positions}
    specs = {p.symbol: state.spec_of(account, p.symbol) for p in positions}
    gross = sum((value_of(specs[p.symbol], abs(p.quantity), marks[p.symbol]) for p in positions), ZERO)
    cushion = balance - totals.maintenance_margin
    return {symbol: _band(specs[symbol], marks[symbol], cushion, gross) for symbol in marks}


def _band(spec: InstrumentSpec, mark: Decimal, cushion: Decimal, gross: Decimal) -> tuple[Decimal, Decimal]:
    """Prices around the mark within which `cushion` cannot be used up, even if all positions of `gross` value lose.

    Halved, because an inverse contract loses more than its price moves.
    """
    share = min(cushion / (gross * (1 + spec.maintenance_rate) or 1) / 2, Decimal("0.25"))
    return mark * (1 - share), mark * (1 + share)


def liquidate(state: State, account: Account, position: Position) -> Position:
    """The venue takes the position: isolated at its bankruptcy price, cross at the mark."""
    spec = state.spec_of(account, position.symbol)
    isolated = state.settings(account, position.symbol).margin_mode is MarginMode.ISOLATED
    price = state.price((spec.venue, spec.symbol)).mark
    if isolated:
        totals = margin_of(state, account, spec.settle, (account.held(), ()))
        price = risk_of(state, account, position, totals, None).bankruptcy_price or price
    for order in list(account.open_orders.values()):
        if order.symbol == position.symbol:
            end_order(state, account, order, EndReason.LIQUIDATION)
    after = force(state, account, position, abs(position.quantity), on_tick(spec, price), ExecType.LIQUIDATION)
    shortfall = -account.wallet(spec.settle)
    if shortfall > 0:
        state.post(account, spec.settle, shortfall, LedgerKind.INSURANCE, symbol=spec.symbol, leg=position.leg)
        balance = BalanceChange(spec.settle, account.wallet(spec.settle), shortfall)
        state.emit(
            AccountChanged(
                account.spec.name,
                spec.venue,
                state.now_ms(),
                state.next_sequence(),
                ChangeReason.LIQUIDATION,
                (balance,),
                (),
            )
        )
    return after


def force(
    state: State, account: Account, position: Position, quantity: Decimal, price: Decimal, exec_type: ExecType
) -> Position:
    """An order of the venue itself that closes a position or a part of it."""
    now_ms = state.now_ms()
    venue = account.spec.venue
    side = Side.SELL if position.quantity > 0 else Side.BUY
    order_id = state.next_order_id(venue)
    binance = venue == "binance"
    order = Order(
        order_id=order_id,
        client_order_id=_forced_client_id(exec_type, now_ms) if binance else "",
        account=account.spec.name,
        symbol=position.symbol,
        leg=position.leg,
        side=side,
        type=OrderType.LIMIT if binance and exec_type is ExecType.LIQUIDATION else OrderType.MARKET,
        quantity=quantity,
        price=price if binance and exec_type is ExecType.LIQUIDATION else None,
        time_in_force=TimeInForce.IOC,
        reduce_only=True,
        close_position=False,
        status=OrderStatus.NEW,
        created_ms=now_ms,
        updated_ms=now_ms,
        sequence=state.next_sequence(),
        last_price_on_created=state.price((venue, position.symbol)).last,
        origin=_ORIGINS[exec_type],
    )
    tell_order(state, account, order)
    rate = ZERO if exec_type is ExecType.SETTLEMENT else None
    fill(state, account, order, Execution(quantity, price, exec_type=exec_type, fee_rate=rate))
    return account.positions[(position.symbol, position.leg)].latest


def _forced_client_id(exec_type: ExecType, now_ms: int) -> str:
    """Binance tells a forced order by its client id."""
    if exec_type is ExecType.ADL:
        return "adl_autoclose"
    return f"{'settlement_autoclose' if exec_type is ExecType.SETTLEMENT else 'autoclose'}-{now_ms}"


# funding and delivery


def fund(state: State, key: Key) -> None:
    """Every position pays (or receives) the funding rate on its value at the mark price; longs pay a positive rate."""
    spec = state.instruments[key]
    price = state.price(key)
    if spec.status is not InstrumentStatus.TRADING:
        return
    for account in list(state.holders[key].values()):
        for position in account.held():
            if position.symbol == spec.symbol:
                _pay_funding(state, account, spec, position, price)
    if spec.funding_interval_ms is not None:
        interval = spec.funding_interval_ms
        following = (state.now_ms() // interval + 1) * interval
        state.save_price(key, replace(price, next_funding_ms=following, at_ms=state.now_ms()))


def _pay_funding(state: State, account: Account, spec: InstrumentSpec, position: Position, price: Price) -> None:
    now_ms = state.now_ms()
    worth = value_of(spec, abs(position.quantity), price.mark)
    amount = rounded(worth * price.funding_rate)
    payment = amount if position.quantity > 0 else -amount
    fill_id = state.next_fill_id()
    sequence = state.next_sequence()
    if payment:
        state.post(
            account,
            spec.settle,
            -payment,
            LedgerKind.FUNDING,
            symbol=spec.symbol,
            leg=position.leg,
            fill_id=fill_id,
        )
    isolated = state.settings(account, spec.symbol).margin_mode is MarginMode.ISOLATED
    after = replace(
        position,
        funding=position.funding - payment,
        cumulative_net=position.cumulative_net - payment,
        isolated_wallet=position.isolated_wallet - (payment if isolated else ZERO),
        sequence=sequence,
    )
    line = account.positions[(position.symbol, position.leg)]
    line.append(now_ms, after)
    row = Fill(
        fill_id=fill_id,
        order_id=None,
        client_order_id="",
        account=account.spec.name,
        symbol=spec.symbol,
        leg=position.leg,
        side=Side.SELL if position.quantity > 0 else Side.BUY,
        quantity=abs(position.quantity),
        price=price.mark,
        value=worth,
        fee=payment,
        fee_asset=spec.settle,
        fee_rate=price.funding_rate,
        realized_pnl=ZERO,
        closed_quantity=ZERO,
        position_after=position.quantity,
        exec_type=ExecType.FUNDING,
        maker=False,
        at_ms=now_ms,
        sequence=sequence,
        mark_price=price.mark,
        index_price=price.index,
    )
    state.save_fill(account, row)
    balance = BalanceChange(spec.settle, account.wallet(spec.settle), -payment)
    state.emit(
        AccountChanged(
            account.spec.name, spec.venue, now_ms, sequence, ChangeReason.FUNDING, (balance,), (after,), (row,)
        )
    )


def settle(state: State, key: Key, price: Decimal | None) -> None:
    """Delivers a contract: orders end, positions close at the price, trading ends."""
    spec = state.instruments[key]
    if spec.status is not InstrumentStatus.TRADING:
        return
    delivery = on_tick(spec, state.price(key).index if price is None else price)
    for order_id in sorted(state.resting[key]):
        account = state.resting[key].get(order_id)
        if account is not None:
            end_order(state, account, account.open_orders[order_id], EndReason.SETTLEMENT)
    for conditional_id in sorted(state.waiting[key]):
        account = state.waiting[key].get(conditional_id)
        if account is not None:
            end_conditional(state, account, account.open_conditionals[conditional_id], EndReason.SETTLEMENT)
    for account in list(state.holders[key].values()):
        for position in account.held():
            if position.symbol == spec.symbol:
                force(state, account, position, abs(position.quantity), delivery, ExecType.SETTLEMENT)
    state.instruments[key] = replace(spec, status=InstrumentStatus.SETTLED)
    state.version += 1
