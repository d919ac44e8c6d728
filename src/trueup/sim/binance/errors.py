"""What the venue refuses with: its codes and its texts.

1. Every answer that is not a result is an `ApiError`: a code, a text and an HTTP status, as the venue documents them.
2. A refusal of the world has exactly one code, except where the endpoint decides (settings); those raise it themselves.

Source: the venue's error-code page, and the texts that users of client libraries report where the page gives none.
"""

from __future__ import annotations

from trueup.sim.binance.numbers import plain
from trueup.sim.world import refusals as world

BAD_REQUEST = 400
UNAUTHORIZED = 401
NOT_FOUND = 404
TEAPOT = 418
TOO_MANY_REQUESTS = 429


class ApiError(Exception):
    """An answer of the venue that says no."""

    def __init__(self, code: int, text: str, status: int = BAD_REQUEST, retry_after_s: int | None = None) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.status = status
        self.retry_after_s = retry_after_s


def missing(name: str) -> ApiError:
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def one_of_missing(first: str, second: str) -> ApiError:
    return ApiError(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def illegal_characters(name: str, legal: str) -> ApiError:
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def not_required(name: str) -> ApiError:
    return ApiError(-1106, f"Parameter '{name}' sent when not required.")


def not_valid(name: str) -> ApiError:
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


def bad_precision() -> ApiError:
    return ApiError(-1111, "Precision is over the maximum defined for this asset.")


def bad_symbol() -> ApiError:
    return ApiError(-1121, "Invalid symbol.")


def unsupported_combination() -> ApiError:
    return ApiError(-1014, "Unsupported order combination.")


def bad_api_key(client_ip: str) -> ApiError:
    text = f"Invalid API-key, IP, or permissions for action, request ip: {client_ip}"
    return ApiError(-2015, text, UNAUTHORIZED)


def unknown_listen_key() -> ApiError:
    text = "This listenKey does not exist. Please use `POST /fapi/v1/listenKey` to recreate `listenKey`"
    return ApiError(-1125, text)


def unknown_order() -> ApiError:
    """Nothing to cancel."""
    return ApiError(-2011, "Unknown order sent.")


def no_such_order() -> ApiError:
    """Nothing to show."""
    return ApiError(-2013, "Order does not exist.")


def interval_too_long(days: int) -> ApiError:
    return ApiError(-4165, f"Maximum time interval is {days} days.")


_PLAIN: dict[type[world.Refusal], tuple[int, str]] = {
    world.UnknownSymbol: (-1121, "Invalid symbol."),
    world.InstrumentClosed: (-4108, "This symbol is on delivering or delivered or settling or closed or pre-trading."),
    world.UnknownOrder: (-2011, "Unknown order sent."),
    world.DuplicateClientId: (-4116, "ClientOrderId is duplicated."),
    world.PriceFilter: (-4014, "Price not increased by tick size."),
    world.InsufficientMargin: (-2019, "Margin is insufficient."),
    world.ReduceOnlyRefused: (-2022, "ReduceOnly Order is rejected."),
    world.ReduceOnlyInHedgeMode: (-1106, "Parameter 'reduceonly' sent when not required."),
    world.PositionSideMismatch: (-4061, "Order's position side does not match user's setting."),
    world.WouldTriggerImmediately: (-2021, "Order would immediately trigger."),
    world.ClosePositionExists: (
        -4130,
        "An open stop or take profit order with GTE and closePosition in the direction is existing.",
    ),
    world.ClosePositionWithoutPosition: (
        -4509,
        "Time in Force (TIF) GTE can only be used with open positions. Please ensure that positions are available.",
    ),
    world.TooManyConditionals: (-4045, "Reach max stop order limit."),
    world.TooManyOrders: (-2025, "Reach max open order limit."),
    world.BadTrigger: (-1130, "Data sent for parameter 'triggerPrice' is not valid."),
    world.PostOnlyRefused: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. The order will not be "
        "recorded in the order history",
    ),
    world.FillOrKillRefused: (
        -5021,
        "Due to the order could not be filled immediately, the FOK order has been rejected. The order will not be "
        "recorded in the order history",
    ),
    world.BadLeverage: (-4028, "Invalid leverage"),
    world.NotIsolated: (-4049, "Add margin only support for isolated position."),
    world.NoPosition: (-4054, "Cannot add position margin: position is 0."),
}
_QUANTITY: dict[str, tuple[int, str]] = {
    "missing": (-4003, "Quantity less than or equal to zero."),
    "step": (-4023, "Qty not increased by step size."),
    "min": (-4004, "Quantity less than min quantity."),
    "max": (-4005, "Quantity greater than max quantity."),
}


def refused(refusal: world.Refusal) -> ApiError:
    """The answer to what the world refused."""
    if isinstance(refusal, world.QuantityFilter):
        return ApiError(*_QUANTITY[refusal.limit])
    if isinstance(refusal, world.MinNotional):
        minimum = plain(refusal.minimum)
        return ApiError(-4164, f"Order's notional must be no smaller than {minimum} (unless you choose reduce only).")
    found = _PLAIN.get(type(refusal))
    if found is None:
        return ApiError(-1000, "An unknown error occured while processing the request.")
    return ApiError(*found)
