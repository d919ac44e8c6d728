"""What an account has: positions, balances, settings, limits, permissions."""

from __future__ import annotations

from typing import Any

from trueup.sim.binance import render_account as render
from trueup.sim.binance.call import Answer, Call
from trueup.sim.binance.instruments import MAX_NOTIONAL, brackets, order_rate_limits
from trueup.sim.binance.numbers import decimals, fixed
from trueup.sim.world.types import InstrumentSpec, InstrumentStatus, MarginMode, PositionMode

_RATE_DIGITS = 6


def _listed(call: Call) -> list[InstrumentSpec]:
    """The instrument of the `symbol` parameter, or all that trade."""
    spec = call.find_instrument()
    if spec is not None:
        return [spec]
    return [each for each in call.instruments() if each.status is InstrumentStatus.TRADING]


def position_risk_v3(call: Call) -> Answer:
    spec = call.find_instrument()
    view = call.view
    slots = render.live_slots(view, None if spec is None else spec.symbol)
    return [render.position_v3(view, slot) for slot in slots]


def position_risk_v2(call: Call) -> Answer:
    view = call.view
    return [render.position_v2(view, slot) for slot in render.all_slots(view, _listed(call))]


def balance(call: Call) -> Answer:
    view = call.view
    return [render.balance(view, asset) for asset in render.assets_of(view, call.instruments())]


def account_v3(call: Call) -> Answer:
    view = call.view
    assets = [render.account_asset(view, asset) for asset in render.assets_of(view, call.instruments())]
    positions = [render.account_position_v3(slot) for slot in render.live_slots(view, None)]
    return {**render.account_totals(view), "assets": assets, "positions": positions}


def account_v2(call: Call) -> Answer:
    view = call.view
    assets = [
        {**render.account_asset(view, asset), "marginAvailable": True}
        for asset in render.assets_of(view, call.instruments())
    ]
    positions = [render.account_position_v2(view, slot) for slot in render.all_slots(view, _listed(call))]
    return {**_permissions(call), **render.account_totals(view), "assets": assets, "positions": positions}


def _permissions(call: Call) -> dict[str, Any]:
    owner = call.owner
    return {
        "feeTier": 0,
        "canTrade": owner.can_trade,
        "canDeposit": True,
        "canWithdraw": owner.can_withdraw,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def account_config(call: Call) -> Answer:
    return {**_permissions(call), "dualSidePosition": call.view.mode is PositionMode.HEDGE}


def symbol_config(call: Call) -> Answer:
    view = call.view
    rows = []
    for spec in _listed(call):
        settings = view.settings(spec.symbol)
        isolated = settings.margin_mode is MarginMode.ISOLATED
        rows.append(
            {
                "symbol": spec.symbol,
                "marginType": "ISOLATED" if isolated else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": int(settings.leverage),
                "maxNotionalValue": str(MAX_NOTIONAL),
            }
        )
    return rows


def leverage_bracket(call: Call) -> Answer:
    spec = call.find_instrument()
    return [brackets(each) for each in (_listed(call) if spec is None else [spec])]


def commission_rate(call: Call) -> Answer:
    spec, owner = call.instrument(), call.owner
    digits = max(_RATE_DIGITS, decimals(owner.maker_rate), decimals(owner.taker_rate))
    return {
        "symbol": spec.symbol,
        "makerCommissionRate": fixed(owner.maker_rate, digits),
        "takerCommissionRate": fixed(owner.taker_rate, digits),
        "rpiCommissionRate": fixed(owner.maker_rate, digits),
    }


def position_mode(call: Call) -> Answer:
    return {"dualSidePosition": call.view.mode is PositionMode.HEDGE}


def multi_assets_mode(_call: Call) -> Answer:
    return {"multiAssetsMargin": False}


def fee_burn(call: Call) -> Answer:
    return {"feeBurn": call.owner.fee_asset is not None}


def order_rate_limit(call: Call) -> Answer:
    return order_rate_limits(call.limits.policy)


def api_restrictions(call: Call) -> Answer:
    """`/sapi/v1/account/apiRestrictions`: what the key may do, on the spot host of the real venue."""
    owner = call.owner
    return {
        "ipRestrict": False,
        "createTime": 1_600_000_000_000,
        "enableReading": True,
        "enableWithdrawals": owner.can_withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": owner.can_trade and not owner.portfolio_margin,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": False,
        "enablePortfolioMarginTrading": owner.portfolio_margin,
    }


def coins(_call: Call) -> Answer:
    """`/sapi/v1/capital/config/getall`: no coin is listed; clients that ask while loading markets go on."""
    return []


def margin_pairs(_call: Call) -> Answer:
    """`/sapi/v1/margin/allPairs`: no pair is listed; ccxt asks while loading markets with a key."""
    return []
