"""Margins, what is available, and where a position would be liquidated.

1. Everything is per settle asset, at mark prices, at one instant; a view at an earlier instant uses that instant's
   prices.
2. Cross positions of an asset share its wallet; an isolated position has only its own margin.

Simplified against the venues: one maintenance rate per contract instead of brackets, and collateral is not converted
between assets (Bybit's unified account would).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from trueup.sim.world.account import Account
from trueup.sim.world.money import rounded, unrealized_pnl, value_of
from trueup.sim.world.state import State
from trueup.sim.world.types import ZERO, InstrumentSpec, Leg, MarginMode, Order, Position, Side
from trueup.sim.world.view import Margin, PositionRisk


def mark_at(state: State, account: Account, symbol: str, at_ms: int | None) -> Decimal:
    """Mark price of one of the account's instruments at an instant."""
    price = state.prices[(account.spec.venue, symbol)].get(at_ms)
    if price is None:
        msg = f"no price of {symbol} at {at_ms}: forgotten"
        raise LookupError(msg)
    return price.mark


def margin_of(
    state: State,
    account: Account,
    asset: str,
    books: tuple[Iterable[Position], Iterable[Order]],
    at_ms: int | None = None,
) -> Margin:
    """Sums over the given positions and open orders of the account in that settle asset."""
    positions, orders = books
    pnl = cross_pnl = initial = maintenance = isolated = ZERO
    held: dict[tuple[str, Leg], Decimal] = {}
    for position in positions:
        spec = state.spec_of(account, position.symbol)
        if spec.settle != asset or not position.quantity:
            continue
        held[(position.symbol, position.leg)] = position.quantity
        mark = mark_at(state, account, position.symbol, at_ms)
        settings = state.settings(account, position.symbol, at_ms)
        gain = unrealized_pnl(spec, position, mark)
        worth = value_of(spec, abs(position.quantity), mark)
        pnl += gain
        maintenance += rounded(worth * spec.maintenance_rate)
        if settings.margin_mode is MarginMode.ISOLATED:
            isolated += position.isolated_wallet
            initial += position.isolated_wallet
        else:
            cross_pnl += gain
            initial += rounded(worth / settings.leverage)
    ordered = ZERO
    for order in orders:
        spec = state.spec_of(account, order.symbol)
        if spec.settle == asset:
            leverage = state.settings(account, order.symbol, at_ms).leverage
            ordered += _order_margin(spec, order, held.get((order.symbol, order.leg), ZERO), leverage)
    line = account.wallets.get(asset)
    wallet = (line.get(at_ms) if line is not None else None) or ZERO
    free = wallet + cross_pnl - initial - ordered
    return Margin(
        asset,
        wallet,
        wallet - isolated,
        pnl,
        cross_pnl,
        wallet + pnl,
        initial,
        ordered,
        maintenance,
        max(free, ZERO),
    )


def _order_margin(spec: InstrumentSpec, order: Order, held: Decimal, leverage: Decimal) -> Decimal:
    """Initial margin of the part of an open order that would open."""
    if order.reduce_only or order.price is None:
        return ZERO
    opposite = abs(held) if held * order.side.sign < 0 else ZERO
    opening = max(order.remaining - opposite, ZERO)
    return rounded(value_of(spec, opening, order.price) / leverage)


def available(state: State, account: Account, asset: str) -> Decimal:
    """What may back new orders now."""
    return margin_of(state, account, asset, (account.held(), account.open_orders.values())).available


def risk_of(state: State, account: Account, position: Position, totals: Margin, at_ms: int | None) -> PositionRisk:
    """Mark, margins and liquidation of one position, given the sums of its settle asset."""
    spec = state.spec_of(account, position.symbol)
    settings = state.settings(account, position.symbol, at_ms)
    mark = mark_at(state, account, position.symbol, at_ms)
    gain = unrealized_pnl(spec, position, mark)
    worth = value_of(spec, position.quantity, mark)
    maintenance = rounded(abs(worth) * spec.maintenance_rate)
    isolated = settings.margin_mode is MarginMode.ISOLATED
    if isolated:
        initial = position.isolated_wallet
        backing = position.isolated_wallet
    else:
        initial = rounded(abs(worth) / settings.leverage)
        others_maintenance = totals.maintenance_margin - maintenance
        backing = totals.cross_wallet + totals.cross_unrealized_pnl - gain - others_maintenance
    return PositionRisk(
        mark=mark,
        notional=worth,
        unrealized_pnl=gain,
        initial_margin=initial,
        maintenance_margin=maintenance,
        liquidation_price=_exhausted_at(spec, position, backing, spec.maintenance_rate),
        bankruptcy_price=_exhausted_at(spec, position, backing, ZERO),
        break_even_price=_break_even(account, spec, position),
        margin=position.isolated_wallet if isolated else ZERO,
        leverage=settings.leverage,
    )


def _exhausted_at(spec: InstrumentSpec, position: Position, backing: Decimal, rate: Decimal) -> Decimal | None:
    """The mark price at which `backing` + PnL equals `rate` × value; None when no positive price does that."""
    quantity = position.quantity * spec.contract_size
    if not quantity:
        return None
    signed_cost = position.cost if quantity > 0 else -position.cost
    if spec.inverse:
        numerator, denominator = quantity + abs(quantity) * rate, backing + signed_cost
    else:
        numerator, denominator = signed_cost - backing, quantity - abs(quantity) * rate
    if denominator == 0:
        return None
    price = numerator / denominator
    if price <= 0:
        return None
    return price.quantize(spec.price_tick, rounding=ROUND_HALF_UP) or None


def _break_even(account: Account, spec: InstrumentSpec, position: Position) -> Decimal:
    """The exit price that pays for the opening fees and the closing fee, 0 when flat."""
    quantity = abs(position.quantity) * spec.contract_size
    if not quantity:
        return ZERO
    long = position.side is Side.BUY
    rate = account.spec.taker_rate
    if spec.inverse:
        cost = position.cost - position.open_fees if long else position.cost + position.open_fees
        return quantity * (1 + rate if long else 1 - rate) / cost
    cost = position.cost + position.open_fees if long else position.cost - position.open_fees
    return cost / (quantity * (1 - rate if long else 1 + rate))
