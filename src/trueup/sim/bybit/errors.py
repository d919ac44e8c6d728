"""What Bybit answers when it refuses: codes and texts, and which of the world's refusals is which.

1. Every refusal of the world has its code here; one that is missing is a defect, not a server error.
2. A refusal is HTTP 200 with a `retCode`; other statuses are for requests that never reached the trading service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trueup.sim.bybit.text import engine_price, plain
from trueup.sim.world import refusals
from trueup.sim.world.types import TriggerBy

TRIGGER_WORDS: Mapping[TriggerBy, str] = {
    TriggerBy.LAST: "LastPrice",
    TriggerBy.MARK: "MarkPrice",
    TriggerBy.INDEX: "IndexPrice",
}
ORDER_GONE_CANCEL = "order not exists or too late to cancel"
ORDER_GONE_AMEND = "order not exists or too late to replace"


class ApiError(Exception):
    """An answer with a code: `status` is the HTTP status; `body` replaces the usual envelope when it is given."""

    def __init__(
        self,
        code: int,
        text: str,
        *,
        status: int = 200,
        body: bytes | None = None,
        result: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"retCode {code}: {text}")
        self.code = code
        self.text = text
        self.status = status
        self.body = body
        self.result = result if result is not None else {}


def bad_parameter(text: str = "Request parameter error.") -> ApiError:
    """10001 with the text that names the parameter."""
    return ApiError(10001, text)


def order_gone(text: str = ORDER_GONE_CANCEL) -> ApiError:
    """110001: filled, cancelled, or never there; the venue does not say which."""
    return ApiError(110001, text)


def refused(refusal: refusals.Refusal) -> ApiError:
    """The venue's answer for a refusal of the world."""
    maker = _TEXTS.get(type(refusal))
    if maker is None:
        raise TypeError(f"no retCode for {type(refusal).__name__}: give it one in trueup.sim.bybit.errors") from refusal
    return maker(refusal)


def triggers_at_once(rising: bool, trigger_price: str, current: str, by: TriggerBy) -> ApiError:
    """110092 and 110093: the trigger price stands on the wrong side of the market; prices as the engine writes them."""
    if rising:
        return ApiError(
            110092, f"expect Rising, but trigger_price[{trigger_price}] <= current[{current}]??{TRIGGER_WORDS[by]}"
        )
    return ApiError(
        110093, f"expect Falling, but trigger_price[{trigger_price}] >= current[{current}]??{TRIGGER_WORDS[by]}"
    )


def _says(code: int, text: str) -> Callable[[refusals.Refusal], ApiError]:
    return lambda _refusal: ApiError(code, text)


def _quantity(refusal: refusals.Refusal) -> ApiError:
    if isinstance(refusal, refusals.QuantityFilter) and refusal.limit == "max":
        return ApiError(10001, "The number of contracts exceeds maximum limit allowed: too large")
    if isinstance(refusal, refusals.QuantityFilter) and refusal.limit == "min":
        return ApiError(10001, "The number of contracts exceeds minimum limit allowed")
    return ApiError(10001, "Qty invalid")


def _min_notional(refusal: refusals.Refusal) -> ApiError:
    minimum = plain(refusal.minimum) if isinstance(refusal, refusals.MinNotional) else "5"
    return ApiError(110094, f"Order does not meet minimum order value {minimum}USDT")


_ATTACHED_FIELDS = {
    "stop_loss": "StopLoss",
    "take_profit": "TakeProfit",
    "trailing_distance": "TrailingStop",
    "activation_price": "TrailingProfit",
}


def _attached(refusal: refusals.Refusal) -> ApiError:
    """Which way the stop is wrong follows from the values: it stands where it must not."""
    if not isinstance(refusal, refusals.BadAttachedStop):
        return ApiError(10001, "StopLoss invalid")
    wanted, base = refusal.wanted, refusal.base
    name = _ATTACHED_FIELDS.get(refusal.field, refusal.field)
    too_high = wanted >= base
    if refusal.field == "trailing_distance":
        return ApiError(10001, f"{name}:{engine_price(wanted)} should be lower than base_price:{engine_price(base)}")
    long = too_high is (refusal.field == "stop_loss")
    side = "Buy" if long else "Sell"
    bound = "should lower than" if too_high else "should greater"
    return ApiError(
        10001,
        f"{name}:{engine_price(wanted)} set for {side} position {bound} base_price:{engine_price(base)}??LastPrice",
    )


def _blocked(refusal: refusals.Refusal) -> ApiError:
    if isinstance(refusal, refusals.ChangeBlocked) and refusal.by == "order":
        return ApiError(110028, "You have existing open orders, so the position mode cannot be switched.")
    return ApiError(110024, "You have an existing position, so the position mode cannot be switched.")


_REDUCE_ONLY = "current position is zero, cannot fix reduce-only order qty"

_TEXTS: Mapping[type[refusals.Refusal], Callable[[refusals.Refusal], ApiError]] = {
    refusals.UnknownAccount: _says(10003, "API key is invalid."),
    refusals.UnknownSymbol: _says(10001, "params error: symbol invalid"),
    refusals.InstrumentClosed: _says(110074, "This contract is not live"),
    refusals.UnknownOrder: _says(110001, ORDER_GONE_CANCEL),
    refusals.DuplicateClientId: _says(110072, "OrderLinkedID is duplicate"),
    refusals.PriceFilter: _says(10001, "Price invalid"),
    refusals.QuantityFilter: _quantity,
    refusals.MinNotional: _min_notional,
    refusals.InsufficientMargin: _says(110007, "ab not enough for new order"),
    refusals.ReduceOnlyRefused: _says(110017, _REDUCE_ONLY),
    refusals.ReduceOnlyInHedgeMode: _says(110017, _REDUCE_ONLY),
    refusals.PositionSideMismatch: _says(10001, "position idx not match position mode"),
    refusals.WouldTriggerImmediately: _says(110092, "expect Rising, but trigger_price <= current??LastPrice"),
    refusals.ClosePositionExists: _says(110009, "The number of stop orders exceeds the maximum allowable limit"),
    refusals.ClosePositionWithoutPosition: _says(110017, _REDUCE_ONLY),
    refusals.TooManyConditionals: _says(110009, "The number of stop orders exceeds the maximum allowable limit"),
    refusals.TooManyOrders: _says(110020, "Not allowed to have more than 500 active orders."),
    refusals.BadTrigger: _says(10001, "TriggerPrice invalid"),
    refusals.BadAttachedStop: _attached,
    refusals.NoPosition: _says(10001, "can not set tp/sl/ts for zero position"),
    refusals.PostOnlyRefused: _says(10001, "timeInForce invalid"),
    refusals.FillOrKillRefused: _says(10001, "timeInForce invalid"),
    refusals.BadLeverage: _says(110013, "cannot set leverage gt maxLeverage by risk limit"),
    refusals.NothingToChange: _says(34040, "not modified"),
    refusals.ChangeBlocked: _blocked,
    refusals.NotIsolated: _says(110015, "The position is in cross margin mode."),
    refusals.BadTransfer: _says(110012, "Insufficient available balance."),
}
