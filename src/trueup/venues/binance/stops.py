"""A stop of ours on Binance: the Algo Service's request, and what its refusals mean.

1. One-way: reduce-only with a quantity, so that a second one can stand beside it while the first is replaced (a second
   close-position stop in one direction is refused). Hedge: the exit side of the leg says it; `reduceOnly` is refused there.
2. Without a quantity it is a close-position stop, in either mode.

Source: "New Algo Order" and "Error Codes" of Binance's USDⓈ-M documentation; docs/venues.md for what was seen.
"""

from __future__ import annotations

from trueup.model.decimals import decimal_text
from trueup.model.errors import Rejected
from trueup.model.instruments import Instrument
from trueup.model.observations import PositionReport
from trueup.model.protection import StopOrder, StopRefusal, StopRefused

__all__ = ["refusal_of", "stop_params"]

_WORKING_TYPES = {"mark": "MARK_PRICE", "last": "CONTRACT_PRICE"}
_REFUSALS = {
    "-2021": StopRefusal.PASSED,
    "-4003": StopRefusal.TOO_SMALL,
    "-4004": StopRefusal.TOO_SMALL,
    "-4164": StopRefusal.TOO_SMALL,
    "-4005": StopRefusal.TOO_LARGE,
    "-4045": StopRefusal.TOO_MANY,
    "-2025": StopRefusal.TOO_MANY,
    "-1111": StopRefusal.OFF_GRID,
    "-4014": StopRefusal.OFF_GRID,
    "-4023": StopRefusal.OFF_GRID,
    "-4016": StopRefusal.OUT_OF_BAND,
    "-4024": StopRefusal.OUT_OF_BAND,
    "-4131": StopRefusal.OUT_OF_BAND,
    "-4183": StopRefusal.OUT_OF_BAND,
    "-4184": StopRefusal.OUT_OF_BAND,
    "-2022": StopRefusal.NO_POSITION,
    "-4118": StopRefusal.NO_POSITION,
    "-4509": StopRefusal.NO_POSITION,
    "-4116": StopRefusal.DUPLICATE,
    "-4130": StopRefusal.WHOLE_EXISTS,
    "-4060": StopRefusal.WRONG_MODE,
    "-4061": StopRefusal.WRONG_MODE,
    "-1106": StopRefusal.WRONG_MODE,
}


def stop_params(stop: StopOrder, report: PositionReport, instrument: Instrument) -> dict[str, str | int]:
    """`POST /fapi/v1/algoOrder` of a market stop under that position."""
    params: dict[str, str | int] = {
        "algoType": "CONDITIONAL",
        "symbol": instrument.venue_symbol,
        "side": stop.side.exit_side.value.upper(),
        "type": "STOP_MARKET",
        "triggerPrice": decimal_text(stop.trigger_price),
        "workingType": _WORKING_TYPES[stop.trigger_by],
        "clientAlgoId": stop.client_order_id,
    }
    if report.hedge:
        params["positionSide"] = stop.side.value.upper()
    if stop.quantity is None:
        params["closePosition"] = "true"
    else:
        params["quantity"] = decimal_text(stop.quantity)
        params |= {} if report.hedge else {"reduceOnly": "true"}
    return params


def refusal_of(refused: Rejected) -> StopRefused:
    """The same refusal with its meaning for a stop."""
    kind = _REFUSALS.get(refused.code, StopRefusal.OTHER)
    return StopRefused(refused.source, refused.code, refused.text, kind)
