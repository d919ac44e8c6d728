"""A trailing stop on Bybit: it sits on the position, follows the last price, and has no client id.

1. Its callback is a distance in price units, taken of the price at which it becomes active and rounded down to the tick.
2. It means the whole position, whatever its quantity is then; a position has one.

Source: "Set Trading Stop" of Bybit's v5 documentation (trailingStop, activePrice).
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from trueup.model.decimals import decimal_text
from trueup.model.instruments import Instrument
from trueup.model.observations import PositionReport
from trueup.model.trailing import TrailingOrder

__all__ = ["distance_of", "trailing_params"]

_HUNDRED = Decimal(100)


def distance_of(order: TrailingOrder, instrument: Instrument) -> Decimal:
    """The callback in price units, at least one tick."""
    distance = order.reference_price * order.callback_percent / _HUNDRED
    tick = instrument.price_tick
    if tick is None:
        return distance
    return max((distance / tick).to_integral_value(ROUND_FLOOR) * tick, tick)


def trailing_params(order: TrailingOrder, report: PositionReport, instrument: Instrument) -> dict[str, str | int]:
    """`POST /v5/position/trading-stop` of that position."""
    params: dict[str, str | int] = {
        "category": instrument.category,
        "symbol": instrument.venue_symbol,
        "tpslMode": "Full",
        "positionIdx": report.position_index or 0,
        "trailingStop": decimal_text(distance_of(order, instrument)),
    }
    if order.activation_price is not None:
        params["activePrice"] = decimal_text(order.activation_price)
    return params
