"""Endpoints that change settings: position mode, leverage, margin type, isolated margin."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from trueup.sim.binance.call import Answer, Call
from trueup.sim.binance.errors import ApiError, not_valid
from trueup.sim.binance.instruments import MAX_NOTIONAL
from trueup.sim.binance.names import POSITION_SIDES
from trueup.sim.world.refusals import BadLeverage, ChangeBlocked, InsufficientMargin, NothingToChange
from trueup.sim.world.types import MarginMode, PositionMode

_MARGIN_TYPES = {"ISOLATED": MarginMode.ISOLATED, "CROSSED": MarginMode.CROSS}
_ADD, _REDUCE = 1, 2


def _done() -> dict[str, Any]:
    return {"code": 200, "msg": "success"}


def set_position_mode(call: Call) -> Answer:
    call.params.required("dualSidePosition")
    hedge = call.params.flag("dualSidePosition")
    try:
        call.world.set_position_mode(call.owner.name, PositionMode.HEDGE if hedge else PositionMode.ONE_WAY)
    except NothingToChange:
        raise ApiError(-4059, "No need to change position side.") from None
    except ChangeBlocked as refusal:
        if refusal.by == "order":
            raise ApiError(-4067, "Position side cannot be changed if there exists open orders.") from None
        raise ApiError(-4068, "Position side cannot be changed if there exists position.") from None
    return _done()


def set_leverage(call: Call) -> Answer:
    spec = call.instrument()
    leverage = call.params.required_integer("leverage")
    view = call.view
    settings = view.settings(spec.symbol)
    isolated = settings.margin_mode is MarginMode.ISOLATED
    if isolated and leverage < settings.leverage and view.positions(spec.symbol):
        raise ApiError(-4161, "Leverage reduction is not supported in Isolated Margin Mode with open positions.")
    try:
        call.world.set_leverage(call.owner.name, spec.symbol, Decimal(leverage))
    except BadLeverage:
        raise ApiError(-4028, f"Leverage {leverage} is not valid") from None
    return {"symbol": spec.symbol, "leverage": leverage, "maxNotionalValue": str(MAX_NOTIONAL)}


def set_margin_type(call: Call) -> Answer:
    spec = call.instrument()
    mode = call.params.choice("marginType", _MARGIN_TYPES, None)
    try:
        call.world.set_margin_mode(call.owner.name, spec.symbol, mode)
    except NothingToChange:
        raise ApiError(-4046, "No need to change margin type.") from None
    except ChangeBlocked as refusal:
        if refusal.by == "order":
            raise ApiError(-4047, "Margin type cannot be changed if there exists open orders.") from None
        raise ApiError(-4048, "Margin type cannot be changed if there exists position.") from None
    return _done()


def adjust_margin(call: Call) -> Answer:
    """`positionMargin`: type 1 adds, 2 takes."""
    spec = call.instrument()
    amount = call.params.required_decimal("amount")
    kind = call.params.required_integer("type")
    leg = call.params.choice("positionSide", POSITION_SIDES, "BOTH", ApiError(-4060, "Invalid position side."))
    if kind not in (_ADD, _REDUCE):
        raise not_valid("type")
    if amount <= 0:
        raise ApiError(-4055, "Amount must be positive.")
    try:
        call.world.adjust_margin(call.owner.name, spec.symbol, leg, amount if kind == _ADD else -amount)
    except InsufficientMargin:
        if kind == _ADD:
            raise ApiError(-4050, "Cross balance insufficient.") from None
        raise ApiError(-4051, "Isolated balance insufficient.") from None
    return {"amount": amount_number(amount), "code": 200, "msg": "Successfully modify position margin.", "type": kind}


def amount_number(amount: Decimal) -> Any:
    """An exact JSON number."""
    return msgspec.Raw(format(amount, "f").encode())
