"""A stop of ours on Bybit: a conditional market order that can only reduce, on the position's own index.

1. Ours is never attached to the position: an attached stop bears no client id, so that nobody could tell whose it is.
2. `triggerDirection` says where the price comes from: falling for a long's stop, rising for a short's.
3. Without a quantity it closes the whole position (quantity 0 with `reduceOnly` and `closeOnTrigger`).

Source: "Place Order" and "Error Codes" of Bybit's v5 documentation; docs/venues.md for what was seen.
"""

from __future__ import annotations

from trueup.model.decimals import decimal_text
from trueup.model.errors import Rejected
from trueup.model.instruments import Instrument
from trueup.model.observations import PositionReport
from trueup.model.orders import Side
from trueup.model.protection import StopOrder, StopRefusal, StopRefused

__all__ = ["refusal_of", "stop_params"]

_TRIGGERS = {"mark": "MarkPrice", "last": "LastPrice"}
_RISES, _FALLS = 1, 2
_REFUSALS = {
    "110092": StopRefusal.PASSED,
    "110093": StopRefusal.PASSED,
    "110094": StopRefusal.TOO_SMALL,
    "110009": StopRefusal.TOO_MANY,
    "110020": StopRefusal.TOO_MANY,
    "110003": StopRefusal.OUT_OF_BAND,
    "110017": StopRefusal.NO_POSITION,
    "110072": StopRefusal.DUPLICATE,
    "110030": StopRefusal.DUPLICATE,
    "110025": StopRefusal.WRONG_MODE,
}
# 10001 is every wrong parameter: only its text tells which.
_TEXTS = (
    ("minimum limit", StopRefusal.TOO_SMALL),
    ("maximum limit", StopRefusal.TOO_LARGE),
    ("qty invalid", StopRefusal.OFF_GRID),
    ("price invalid", StopRefusal.OFF_GRID),
    ("triggerprice invalid", StopRefusal.OFF_GRID),
    ("position idx not match", StopRefusal.WRONG_MODE),
    ("zero position", StopRefusal.NO_POSITION),
)


def stop_params(stop: StopOrder, report: PositionReport, instrument: Instrument) -> dict[str, str | int | bool]:
    """`POST /v5/order/create` of a market stop under that position."""
    return {
        "category": instrument.category,
        "symbol": instrument.venue_symbol,
        "side": stop.side.exit_side.value.capitalize(),
        "orderType": "Market",
        "qty": "0" if stop.quantity is None else decimal_text(stop.quantity),
        "triggerPrice": decimal_text(stop.trigger_price),
        "triggerDirection": _FALLS if stop.side is Side.LONG else _RISES,
        "triggerBy": _TRIGGERS[stop.trigger_by],
        "reduceOnly": True,
        "closeOnTrigger": True,
        "positionIdx": report.position_index or 0,
        "orderLinkId": stop.client_order_id,
    }


def refusal_of(refused: Rejected) -> StopRefused:
    """The same refusal with its meaning for a stop."""
    kind = _REFUSALS.get(refused.code, StopRefusal.OTHER)
    if refused.code == "10001":
        text = refused.text.lower()
        kind = next((meaning for words, meaning in _TEXTS if words in text), StopRefusal.OTHER)
    return StopRefused(refused.source, refused.code, refused.text, kind)
