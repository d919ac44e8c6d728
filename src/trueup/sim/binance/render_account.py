"""Positions, balances and settings as the venue's REST answers write them.

1. A flat slot is shown only where the venue shows it: everywhere in v2, with open orders in v3.
2. Zero money is `0.00000000` in account answers and v2 positions, a bare `0` in v3 positions.
3. Money of one settle asset is never summed with another's: the totals are those of USDT (single-asset mode).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trueup.sim.binance.instruments import MAX_NOTIONAL
from trueup.sim.binance.names import POSITION_SIDE_NAMES
from trueup.sim.binance.numbers import fixed, money, money_or_zero, plain, pointed
from trueup.sim.world.money import rounded, value_of
from trueup.sim.world.types import ZERO, InstrumentSpec, Leg, MarginMode, Order, Position, PositionMode
from trueup.sim.world.view import AccountView, Margin, PositionRisk

MAIN_ASSET = "USDT"
_BREAK_EVEN = Decimal("0.000000000001")


@dataclass(frozen=True, slots=True)
class Slot:
    """One row of a position list. `position` and `risk` are None while the slot was never used or is flat;
    `order_margin` is what its open orders bind, settle asset; `bids` and `asks` their values.
    """

    spec: InstrumentSpec
    leg: Leg
    position: Position | None
    risk: PositionRisk | None
    order_margin: Decimal
    bids: Decimal
    asks: Decimal

    @property
    def quantity(self) -> Decimal:
        return ZERO if self.position is None else self.position.quantity

    @property
    def updated_ms(self) -> int:
        """When the slot last changed, 0 while it was never used."""
        return 0 if self.position is None else self.position.updated_ms


def legs_of(view: AccountView) -> tuple[Leg, ...]:
    """The slots that a symbol has in the account's mode."""
    return (Leg.NET,) if view.mode is PositionMode.ONE_WAY else (Leg.LONG, Leg.SHORT)


def all_slots(view: AccountView, specs: Iterable[InstrumentSpec]) -> list[Slot]:
    """Every slot of the instruments, flat ones included."""
    legs = legs_of(view)
    positions = {(p.symbol, p.leg): p for p in view.positions(flat=True)}
    orders = _orders_by_slot(view)
    return [
        _slot(view, spec, leg, positions.get((spec.symbol, leg)), orders.get((spec.symbol, leg), []))
        for spec in specs
        for leg in legs
    ]


def live_slots(view: AccountView, symbol: str | None) -> list[Slot]:
    """The slots that hold a position or have open orders."""
    positions = {(p.symbol, p.leg): p for p in view.positions(symbol, flat=True)}
    orders = _orders_by_slot(view, symbol)
    keys = [key for key, position in positions.items() if position.quantity or key in orders]
    keys += [key for key in orders if key not in positions]
    return [_slot(view, view.instrument(s), leg, positions.get((s, leg)), orders.get((s, leg), [])) for s, leg in keys]


def _orders_by_slot(view: AccountView, symbol: str | None = None) -> dict[tuple[str, Leg], list[Order]]:
    found: dict[tuple[str, Leg], list[Order]] = {}
    for order in view.open_orders(symbol):
        found.setdefault((order.symbol, order.leg), []).append(order)
    return found


def _slot(view: AccountView, spec: InstrumentSpec, leg: Leg, position: Position | None, orders: list[Order]) -> Slot:
    held = position is not None and not position.is_flat
    risk = view.risk(position) if position is not None and held else None
    bids = asks = margin = ZERO
    quantity = ZERO if position is None else position.quantity
    for order in orders:
        if order.price is None:
            continue
        value = value_of(spec, order.remaining, order.price)
        if order.side.sign > 0:
            bids += value
        else:
            asks += value
        if not order.reduce_only:
            opposite = abs(quantity) if quantity * order.side.sign < 0 else ZERO
            opening = max(order.remaining - opposite, ZERO)
            margin += rounded(value_of(spec, opening, order.price) / view.settings(spec.symbol).leverage)
    return Slot(spec, leg, position, risk, margin, bids, asks)


def _entry_price(slot: Slot) -> Decimal:
    return ZERO if slot.position is None else slot.position.entry_price


def _break_even(risk: PositionRisk | None) -> Decimal:
    return ZERO if risk is None else risk.break_even_price.quantize(_BREAK_EVEN)


def _unrealized(slot: Slot) -> Decimal:
    return ZERO if slot.risk is None else slot.risk.unrealized_pnl


def _maintenance(slot: Slot) -> Decimal:
    return ZERO if slot.risk is None else slot.risk.maintenance_margin


def _position_margin(slot: Slot) -> Decimal:
    return ZERO if slot.risk is None else slot.risk.initial_margin


def _isolated_margin(slot: Slot) -> Decimal:
    """Margin of an isolated position with its PnL, 0 in cross mode."""
    if slot.risk is None or not slot.risk.margin:
        return ZERO
    return slot.risk.margin + slot.risk.unrealized_pnl


def _liquidation_price(slot: Slot) -> str:
    price = None if slot.risk is None else slot.risk.liquidation_price
    return fixed(price, 8) if price else "0"


def position_v3(view: AccountView, slot: Slot) -> dict[str, Any]:
    """A row of `/fapi/v3/positionRisk`."""
    margin = _position_margin(slot)
    return {
        "symbol": slot.spec.symbol,
        "positionSide": POSITION_SIDE_NAMES[slot.leg],
        "positionAmt": fixed(slot.quantity, slot.spec.quantity_decimals),
        "entryPrice": pointed(_entry_price(slot)),
        "breakEvenPrice": pointed(_break_even(slot.risk)),
        "markPrice": fixed(view.price(slot.spec.symbol).mark, 8),
        "unRealizedProfit": money(_unrealized(slot)),
        "liquidationPrice": _liquidation_price(slot),
        "isolatedMargin": money_or_zero(_isolated_margin(slot)),
        "notional": money_or_zero(slot.risk.notional if slot.risk else ZERO),
        "marginAsset": slot.spec.settle,
        "isolatedWallet": money_or_zero(slot.risk.margin if slot.risk else ZERO),
        "initialMargin": money_or_zero(margin + slot.order_margin),
        "maintMargin": money_or_zero(_maintenance(slot)),
        "positionInitialMargin": money_or_zero(margin),
        "openOrderInitialMargin": money_or_zero(slot.order_margin),
        "adl": 0 if slot.risk is None else 1,
        "bidNotional": money_or_zero(slot.bids),
        "askNotional": money_or_zero(slot.asks),
        "updateTime": slot.updated_ms,
    }


def position_v2(view: AccountView, slot: Slot) -> dict[str, Any]:
    """A row of `/fapi/v2/positionRisk`."""
    settings = view.settings(slot.spec.symbol)
    isolated = settings.margin_mode is MarginMode.ISOLATED
    return {
        "symbol": slot.spec.symbol,
        "positionAmt": fixed(slot.quantity, slot.spec.quantity_decimals),
        "entryPrice": pointed(_entry_price(slot)),
        "breakEvenPrice": pointed(_break_even(slot.risk)),
        "markPrice": fixed(view.price(slot.spec.symbol).mark, 8),
        "unRealizedProfit": money(_unrealized(slot)),
        "liquidationPrice": _liquidation_price(slot),
        "leverage": plain(settings.leverage),
        "maxNotionalValue": str(MAX_NOTIONAL),
        "marginType": "isolated" if isolated else "cross",
        "isolatedMargin": money(_isolated_margin(slot)),
        "isAutoAddMargin": "false",
        "positionSide": POSITION_SIDE_NAMES[slot.leg],
        "notional": money_or_zero(slot.risk.notional if slot.risk else ZERO),
        "isolatedWallet": money_or_zero(slot.risk.margin if slot.risk else ZERO),
        "updateTime": slot.updated_ms,
    }


def account_position_v3(slot: Slot) -> dict[str, Any]:
    """A row of `positions` in `/fapi/v3/account`."""
    return {
        "symbol": slot.spec.symbol,
        "positionSide": POSITION_SIDE_NAMES[slot.leg],
        "positionAmt": fixed(slot.quantity, slot.spec.quantity_decimals),
        "unrealizedProfit": money(_unrealized(slot)),
        "isolatedMargin": money_or_zero(_isolated_margin(slot)),
        "notional": money_or_zero(slot.risk.notional if slot.risk else ZERO),
        "isolatedWallet": money_or_zero(slot.risk.margin if slot.risk else ZERO),
        "initialMargin": money_or_zero(_position_margin(slot) + slot.order_margin),
        "maintMargin": money_or_zero(_maintenance(slot)),
        "updateTime": slot.updated_ms,
    }


def account_position_v2(view: AccountView, slot: Slot) -> dict[str, Any]:
    """A row of `positions` in `/fapi/v2/account`."""
    settings = view.settings(slot.spec.symbol)
    margin = _position_margin(slot)
    return {
        "symbol": slot.spec.symbol,
        "initialMargin": money_or_zero(margin + slot.order_margin),
        "maintMargin": money_or_zero(_maintenance(slot)),
        "unrealizedProfit": money(_unrealized(slot)),
        "positionInitialMargin": money_or_zero(margin),
        "openOrderInitialMargin": money_or_zero(slot.order_margin),
        "leverage": plain(settings.leverage),
        "isolated": settings.margin_mode is MarginMode.ISOLATED,
        "entryPrice": pointed(_entry_price(slot)),
        "breakEvenPrice": pointed(_break_even(slot.risk)),
        "maxNotional": str(MAX_NOTIONAL),
        "bidNotional": money_or_zero(slot.bids),
        "askNotional": money_or_zero(slot.asks),
        "positionSide": POSITION_SIDE_NAMES[slot.leg],
        "positionAmt": fixed(slot.quantity, slot.spec.quantity_decimals),
        "notional": money_or_zero(slot.risk.notional if slot.risk else ZERO),
        "isolatedWallet": money_or_zero(slot.risk.margin if slot.risk else ZERO),
        "updateTime": slot.updated_ms,
    }


def assets_of(view: AccountView, specs: Iterable[InstrumentSpec]) -> list[str]:
    """Assets that the account's answers list: what contracts settle in, then what else it was ever given."""
    listed = dict.fromkeys([MAIN_ASSET, *(spec.settle for spec in specs), *view.wallets()])
    return list(listed)


def _updated_ms(view: AccountView, asset: str) -> int:
    """When the asset's wallet last moved, 0 when it never did."""
    for entry in reversed(view.account.ledger):
        if entry.asset == asset and (view.at_ms is None or entry.at_ms <= view.at_ms):
            return entry.at_ms
    return 0


def _withdrawable(margin: Margin) -> Decimal:
    """What may leave: gains that are not realized may not."""
    bound = margin.position_initial_margin + margin.order_initial_margin
    return max(min(margin.available, margin.cross_wallet - bound, margin.wallet), ZERO)


def balance(view: AccountView, asset: str) -> dict[str, Any]:
    """A row of `/fapi/v2/balance` and v3."""
    margin = view.margin(asset)
    return {
        "accountAlias": view.spec.alias,
        "asset": asset,
        "balance": money(margin.wallet),
        "crossWalletBalance": money(margin.cross_wallet),
        "crossUnPnl": money(margin.cross_unrealized_pnl),
        "availableBalance": money(margin.available),
        "maxWithdrawAmount": money(_withdrawable(margin)),
        "marginAvailable": True,
        "updateTime": _updated_ms(view, asset),
    }


def account_asset(view: AccountView, asset: str) -> dict[str, Any]:
    """A row of `assets` in the account answers (v3; v2 adds `marginAvailable`)."""
    margin = view.margin(asset)
    return {
        "asset": asset,
        "walletBalance": money(margin.wallet),
        "unrealizedProfit": money(margin.unrealized_pnl),
        "marginBalance": money(margin.margin_balance),
        "maintMargin": money(margin.maintenance_margin),
        "initialMargin": money(margin.position_initial_margin + margin.order_initial_margin),
        "positionInitialMargin": money(margin.position_initial_margin),
        "openOrderInitialMargin": money(margin.order_initial_margin),
        "crossWalletBalance": money(margin.cross_wallet),
        "crossUnPnl": money(margin.cross_unrealized_pnl),
        "availableBalance": money(margin.available),
        "maxWithdrawAmount": money(_withdrawable(margin)),
        "updateTime": _updated_ms(view, asset),
    }


def account_totals(view: AccountView) -> dict[str, Any]:
    """The `total…` fields of the account answers: USDT alone."""
    margin = view.margin(MAIN_ASSET)
    return {
        "totalInitialMargin": money(margin.position_initial_margin + margin.order_initial_margin),
        "totalMaintMargin": money(margin.maintenance_margin),
        "totalWalletBalance": money(margin.wallet),
        "totalUnrealizedProfit": money(margin.unrealized_pnl),
        "totalMarginBalance": money(margin.margin_balance),
        "totalPositionInitialMargin": money(margin.position_initial_margin),
        "totalOpenOrderInitialMargin": money(margin.order_initial_margin),
        "totalCrossWalletBalance": money(margin.cross_wallet),
        "totalCrossUnPnl": money(margin.cross_unrealized_pnl),
        "availableBalance": money(margin.available),
        "maxWithdrawAmount": money(_withdrawable(margin)),
    }
