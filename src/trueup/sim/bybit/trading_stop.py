"""POST /v5/position/trading-stop: the stops that belong to a position.

1. Full mode changes the position's one stop-loss, take-profit and trailing stop; partial mode adds orders.
2. What would change nothing is 34040; a flat position is 10001.
"""

from __future__ import annotations

from decimal import Decimal

from trueup.sim.bybit import names
from trueup.sim.bybit.call import Call, Result
from trueup.sim.bybit.errors import ApiError, bad_parameter, refused
from trueup.sim.bybit.params import Params, invalid
from trueup.sim.bybit.positions import slot_leg
from trueup.sim.world.refusals import BadTrigger, NothingToChange, Refusal
from trueup.sim.world.types import AttachedStops, AttachMode, OrderType, TriggerBy

_ZERO_POSITION = "can not set tp/sl/ts for zero position"


def trading_stop(call: Call) -> Result:
    """Sets, changes or removes the stops of one slot."""
    spec = call.instrument(call.trading_category())
    view = call.view()
    leg = slot_leg(call, view.mode)
    stops = stops_of(call.params)
    position = view.position(spec.symbol, leg)
    if position is None or position.is_flat:
        raise bad_parameter(_ZERO_POSITION)
    try:
        call.world.set_attached_stops(call.owner.name, spec.symbol, leg, stops)
    except NothingToChange:
        raise ApiError(34040, "not modified") from None
    except BadTrigger:
        raise bad_parameter("TpSize or SlSize invalid") from None
    except Refusal as refusal:
        raise refused(refusal) from None
    return {}


def stops_of(params: Params) -> AttachedStops:
    """What the parameters of trading-stop (and of an order that brings stops) ask for."""
    mode = params.choice("tpslMode", names.TPSL_MODES)
    _check_mode(params, mode)
    mode = AttachMode.FULL if mode is None else mode
    loss_size, profit_size = params.decimal("slSize"), params.decimal("tpSize")
    if None not in (loss_size, profit_size) and loss_size != profit_size:
        raise bad_parameter("TpSize not equal to SlSize")
    return AttachedStops(
        mode=mode,
        stop_loss=params.decimal("stopLoss"),
        take_profit=params.decimal("takeProfit"),
        trailing_distance=params.decimal("trailingStop"),
        activation_price=params.decimal("activePrice"),
        stop_loss_by=params.choice("slTriggerBy", names.TRIGGERS) or TriggerBy.LAST,
        take_profit_by=params.choice("tpTriggerBy", names.TRIGGERS) or TriggerBy.LAST,
        stop_loss_quantity=loss_size,
        take_profit_quantity=profit_size,
        stop_loss_limit=_limit(params, "sl", mode),
        take_profit_limit=_limit(params, "tp", mode),
    )


def _check_mode(params: Params, mode: AttachMode | None) -> None:
    """An order type of a stop needs the mode beside it."""
    if mode is not None:
        return
    for name in ("slOrderType", "tpOrderType"):
        if params.has(name):
            raise bad_parameter(f"{name} can not have a value when tpSlMode is empty")


def _limit(params: Params, prefix: str, mode: AttachMode) -> Decimal | None:
    """The limit price of a partial stop; full stops are market orders."""
    kind = params.choice(f"{prefix}OrderType", names.ORDER_TYPES) or OrderType.MARKET
    price = params.decimal(f"{prefix}LimitPrice")
    if kind is OrderType.MARKET:
        return None
    if mode is AttachMode.FULL or not price:
        raise invalid(f"{prefix}OrderType" if mode is AttachMode.FULL else f"{prefix}LimitPrice")
    return price
