"""A trailing stop on Binance: the Algo Service's request.

1. A callback is a rate between 0.1 and 10 percent, in steps of 0.1: it is rounded down, so that it follows no looser than asked.
2. Close semantics as of any stop of ours: reduce-only in one-way mode, the exit side of the leg in hedge mode. It cannot be a
   close-position order, so it has a quantity.

Source: "New Algo Order" of Binance's USDⓈ-M documentation (callbackRate, activatePrice).
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from trueup.model.decimals import decimal_text
from trueup.model.instruments import Instrument
from trueup.model.observations import PositionReport
from trueup.model.trailing import TrailingOrder

__all__ = ["LARGEST_CALLBACK", "SMALLEST_CALLBACK", "trailing_params"]

SMALLEST_CALLBACK = Decimal("0.1")
LARGEST_CALLBACK = Decimal(10)
_STEP = Decimal("0.1")


def trailing_params(
    order: TrailingOrder, report: PositionReport, instrument: Instrument, trigger_by: str
) -> dict[str, str | int]:
    """`POST /fapi/v1/algoOrder` of a trailing stop under that position. `trigger_by`: ``mark`` or ``last``."""
    rate = (order.callback_percent / _STEP).to_integral_value(ROUND_FLOOR) * _STEP
    params: dict[str, str | int] = {
        "algoType": "CONDITIONAL",
        "symbol": instrument.venue_symbol,
        "side": order.side.exit_side.value.upper(),
        "type": "TRAILING_STOP_MARKET",
        "quantity": decimal_text(order.quantity),
        "callbackRate": decimal_text(min(max(rate, SMALLEST_CALLBACK), LARGEST_CALLBACK)),
        "workingType": "MARK_PRICE" if trigger_by == "mark" else "CONTRACT_PRICE",
        "clientAlgoId": order.client_order_id,
    }
    if order.activation_price is not None:
        params["activatePrice"] = decimal_text(order.activation_price)
    if report.hedge:
        params["positionSide"] = order.side.value.upper()
    else:
        params["reduceOnly"] = "true"
    return params
