"""What an account sets for itself, and the money that it brings: modes, leverage, margins, transfers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from trueup.sim.world.account import Account
from trueup.sim.world.events import AccountChanged, BalanceChange, ChangeReason, SettingsChanged
from trueup.sim.world.margin import available
from trueup.sim.world.refusals import (
    BadLeverage,
    BadTransfer,
    ChangeBlocked,
    InsufficientMargin,
    NoPosition,
    NothingToChange,
    NotIsolated,
)
from trueup.sim.world.state import State
from trueup.sim.world.timeline import Timeline
from trueup.sim.world.types import LedgerKind, Leg, MarginMode, Position, PositionMode, SymbolSettings


def move(state: State, account: Account, asset: str, amount: Decimal) -> None:
    """Transfers money from outside into the wallet, or out of it when negative."""
    if account.wallet(asset) + amount < 0:
        raise BadTransfer(f"{account.spec.name} holds {account.wallet(asset)} {asset}, cannot give {-amount}")
    state.post(account, asset, amount, LedgerKind.TRANSFER)
    balance = BalanceChange(asset, account.wallet(asset), amount)
    state.emit(
        AccountChanged(
            account.spec.name,
            account.spec.venue,
            state.now_ms(),
            state.next_sequence(),
            ChangeReason.TRANSFER,
            (balance,),
            (),
        )
    )


def set_position_mode(state: State, account: Account, mode: PositionMode) -> None:
    """Switches between one-way and hedge mode."""
    if account.mode.latest is mode:
        raise NothingToChange(f"{account.spec.name} is in {mode} mode already")
    if account.open_orders or account.open_conditionals:
        raise ChangeBlocked(f"{account.spec.name} has open orders", by="order")
    if account.held():
        raise ChangeBlocked(f"{account.spec.name} holds positions", by="position")
    account.mode.append(state.now_ms(), mode)
    state.version += 1
    spec = account.spec
    state.emit(SettingsChanged(spec.name, spec.venue, state.now_ms(), state.next_sequence(), mode))


def set_leverage(state: State, account: Account, symbol: str, leverage: Decimal) -> SymbolSettings:
    """Sets a symbol's leverage."""
    spec = state.spec_of(account, symbol)
    if not 1 <= leverage <= spec.max_leverage:
        raise BadLeverage(f"leverage {leverage} of {spec.symbol} is not within 1 and {spec.max_leverage}")
    known = state.settings(account, spec.symbol)
    if known.leverage == leverage and spec.venue == "bybit":
        raise NothingToChange(f"leverage of {spec.symbol} is {leverage} already")
    return _save(state, account, spec.symbol, replace(known, leverage=leverage))


def set_margin_mode(state: State, account: Account, symbol: str, margin_mode: MarginMode) -> SymbolSettings:
    """Switches a symbol between cross and isolated margin."""
    spec = state.spec_of(account, symbol)
    known = state.settings(account, spec.symbol)
    if known.margin_mode is margin_mode:
        raise NothingToChange(f"{spec.symbol} is in {margin_mode} mode already")
    ordered = {order.symbol for order in account.open_orders.values()}
    ordered.update(order.symbol for order in account.open_conditionals.values())
    if spec.symbol in ordered:
        raise ChangeBlocked(f"{account.spec.name} has open orders of {spec.symbol}", by="order")
    if any(position.symbol == spec.symbol for position in account.held()):
        raise ChangeBlocked(f"{account.spec.name} holds {spec.symbol}", by="position")
    return _save(state, account, spec.symbol, replace(known, margin_mode=margin_mode))


def _save(state: State, account: Account, symbol: str, settings: SymbolSettings) -> SymbolSettings:
    now_ms = state.now_ms()
    settings = replace(settings, updated_ms=now_ms)
    account.settings.setdefault(symbol, Timeline()).append(now_ms, settings)
    account.safe_bands.clear()
    state.version += 1
    spec = account.spec
    mode = account.mode.latest
    state.emit(SettingsChanged(spec.name, spec.venue, now_ms, state.next_sequence(), mode, symbol, settings))
    return settings


def adjust_margin(state: State, account: Account, symbol: str, leg: Leg, amount: Decimal) -> Position:
    """Adds or takes margin of an isolated position."""
    spec = state.spec_of(account, symbol)
    if state.settings(account, spec.symbol).margin_mode is not MarginMode.ISOLATED:
        raise NotIsolated(f"{spec.symbol} of {account.spec.name} is in cross mode")
    position = account.position(spec.symbol, leg)
    if position is None or not position.quantity:
        raise NoPosition(f"{account.spec.name} holds no {spec.symbol} {leg} position")
    if amount > 0 and amount > available(state, account, spec.settle):
        raise InsufficientMargin(f"{account.spec.name} has less than {amount} {spec.settle} available")
    if position.isolated_wallet + amount < 0:
        raise InsufficientMargin(f"the position's margin is {position.isolated_wallet}, cannot take {-amount}")
    now_ms, sequence = state.now_ms(), state.next_sequence()
    after = replace(position, isolated_wallet=position.isolated_wallet + amount, updated_ms=now_ms, sequence=sequence)
    state.save_position(account, after)
    name, venue = account.spec.name, account.spec.venue
    state.emit(AccountChanged(name, venue, now_ms, sequence, ChangeReason.MARGIN, (), (after,)))
    return after


def forget_before(state: State, at_ms: int) -> None:
    """Drops versions that only earlier looks could see."""
    for price_line in state.prices.values():
        price_line.forget_before(at_ms)
    for account in state.accounts.values():
        account.mode.forget_before(at_ms)
        for lines in (account.settings, account.positions, account.orders, account.conditionals, account.wallets):
            for line in lines.values():
                line.forget_before(at_ms)
