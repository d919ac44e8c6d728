"""What orders of both kinds are checked for before the world sees them."""

from __future__ import annotations

from decimal import Decimal

from trueup.sim.binance.call import Call
from trueup.sim.binance.errors import ApiError, bad_precision, not_required, unsupported_combination
from trueup.sim.binance.instruments import PRICE_CEILING, PRICE_FLOOR, price_digits
from trueup.sim.binance.names import POSITION_SIDES, SIDES
from trueup.sim.binance.numbers import decimals, fixed
from trueup.sim.world.types import InstrumentSpec, Leg, PositionMode, Side

_STP_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")
_RESPONSE_TYPES = {"ACK": "ACK", "RESULT": "RESULT"}


def side(call: Call) -> Side:
    return call.params.choice("side", SIDES, None, ApiError(-1117, "Invalid side."))


def position_side(call: Call) -> Leg:
    return call.params.choice("positionSide", POSITION_SIDES, "BOTH", ApiError(-4060, "Invalid position side."))


def reduce_only(call: Call) -> bool:
    """The flag; in hedge mode it may not be sent at all."""
    if call.params.sent("reduceOnly") and call.view.mode is PositionMode.HEDGE:
        raise not_required("reduceonly")
    return bool(call.params.flag("reduceOnly"))


def price(spec: InstrumentSpec, value: Decimal) -> Decimal:
    """A price (limit, trigger or activation) with digits that the contract has, on its tick."""
    if decimals(value) > price_digits(spec):
        raise bad_precision()
    if value <= 0:
        raise ApiError(-4001, "Price less than 0.")
    if value % spec.price_tick:
        raise ApiError(-4014, "Price not increased by tick size.")
    return value


def limit_price(call: Call, spec: InstrumentSpec, value: Decimal) -> Decimal:
    """A price at which an order would rest: also within the band around the mark price."""
    price(spec, value)
    mark = call.world.price("binance", spec.symbol).mark
    if value > mark * PRICE_CEILING:
        raise ApiError(-4016, f"Limit price can't be higher than {fixed(mark * PRICE_CEILING, price_digits(spec))}.")
    if value < mark * PRICE_FLOOR:
        raise ApiError(-4024, f"Limit price can't be lower than {fixed(mark * PRICE_FLOOR, price_digits(spec))}.")
    return value


def trigger_price(call: Call, spec: InstrumentSpec, value: Decimal) -> Decimal:
    """A price at which a conditional order would trigger: on the tick and within the same band."""
    price(spec, value)
    mark = call.world.price("binance", spec.symbol).mark
    if value > mark * PRICE_CEILING:
        raise ApiError(-4183, "Price is higher than stop price multiplier cap.")
    if value < mark * PRICE_FLOOR:
        raise ApiError(-4184, "Price is lower than stop price multiplier floor.")
    return value


def quantity(spec: InstrumentSpec, value: Decimal) -> Decimal:
    """A quantity with digits that the contract has; the world checks the step and the limits."""
    if decimals(value) > spec.quantity_decimals:
        raise bad_precision()
    return value


def response_type(call: Call) -> str:
    return call.params.choice("newOrderRespType", _RESPONSE_TYPES, "ACK", ApiError(-1136, "Invalid newOrderRespType."))


def unsupported(call: Call) -> None:
    """What the venue takes and the simulated one does not, refused rather than ignored."""
    match = call.params.text("priceMatch")
    if match not in (None, "NONE"):
        raise unsupported_combination()
    stp = call.params.text("selfTradePreventionMode")
    if stp is not None and stp not in _STP_MODES:
        raise unsupported_combination()
    if call.params.sent("goodTillDate") and call.params.integer("goodTillDate"):
        raise not_required("goodTillDate")
