"""Why the venue refuses: one type per reason, which each wire translates into its own code and text.

The Binance and Bybit codes in the docstrings are where a wire is expected to send them; the world knows no codes.
"""

from __future__ import annotations

from decimal import Decimal


class Refusal(Exception):
    """Base of everything that the venue refuses; nothing was changed."""


class UnknownAccount(Refusal):
    """No account has that name or API key (-2015; 10003)."""


class UnknownSymbol(Refusal):
    """The venue lists no such instrument (-1121; 10001)."""


class InstrumentClosed(Refusal):
    """The instrument is settled or not trading (-4108; 110074)."""


class UnknownOrder(Refusal):
    """No open order has that id; it may have been filled, cancelled, or never existed (-2011, -2013; 110001)."""


class DuplicateClientId(Refusal):
    """An open order bears this client id already (-4116; 110072)."""


class PriceFilter(Refusal):
    """The price is missing, not positive, or off the tick grid (-4014, -1111; 10001)."""


class QuantityFilter(Refusal):
    """The quantity is missing, off the step grid, or out of the limits (-1111, -4003, -4005; 10001)."""

    def __init__(self, message: str, *, limit: str, bound: Decimal) -> None:
        """`limit` is `min`, `max`, `step` or `missing`; `bound` the instrument's value."""
        super().__init__(message)
        self.limit = limit
        self.bound = bound


class MinNotional(Refusal):
    """The order's value is below the minimum (-4164; 110094)."""

    def __init__(self, message: str, *, minimum: Decimal) -> None:
        super().__init__(message)
        self.minimum = minimum


class InsufficientMargin(Refusal):
    """The available balance does not cover the initial margin (-2019; 110007)."""


class ReduceOnlyRefused(Refusal):
    """A reduce-only order would open or increase: no position, or the same side (-2022; 110017)."""


class ReduceOnlyInHedgeMode(Refusal):
    """Binance takes no `reduceOnly` in hedge mode (-1106)."""


class PositionSideMismatch(Refusal):
    """The order's leg does not fit the account's position mode (-4061; 10001)."""


class WouldTriggerImmediately(Refusal):
    """The trigger price is already passed (-2021; 110092, 110093)."""


class ClosePositionExists(Refusal):
    """A close-position stop or take-profit in this direction is open already (-4130)."""


class ClosePositionWithoutPosition(Refusal):
    """A close-position order with nothing to close (-4509 in one reading; 110017)."""


class TooManyConditionals(Refusal):
    """The limit of open conditional orders is reached (-4045; 110009)."""

    def __init__(self, message: str, *, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class TooManyOrders(Refusal):
    """The limit of open orders is reached (-2025; 110020)."""


class BadTrigger(Refusal):
    """A trigger, activation or callback value is missing, out of its range, or contradicts its kind (-1102, -2007;
    10001).
    """


class BadAttachedStop(Refusal):
    """An attached stop stands on the wrong side of the market (Bybit 10001 with a text)."""

    def __init__(self, message: str, *, field: str, wanted: Decimal, base: Decimal) -> None:
        """`field`: stop_loss, take_profit, trailing_distance or activation_price; `base`: the price it was held
        against.
        """
        super().__init__(message)
        self.field = field
        self.wanted = wanted
        self.base = base


class NoPosition(Refusal):
    """An action on a position that is flat (Bybit 10001 "can not set tp/sl/ts for zero position"; -4046 kin)."""


class PostOnlyRefused(Refusal):
    """A post-only order would have taken (-5022); Bybit accepts and cancels it instead."""


class FillOrKillRefused(Refusal):
    """A fill-or-kill order cannot fill wholly (-5021); Bybit accepts and cancels it instead."""


class BadLeverage(Refusal):
    """Leverage out of the instrument's range (-4028; 110013)."""


class NothingToChange(Refusal):
    """The setting has this value already (-4046, -4059; 110025, 110026, 110043)."""


class ChangeBlocked(Refusal):
    """The setting cannot change while positions or orders are open (-4067, -4068, -4047, -4048; 110024, 110028)."""

    def __init__(self, message: str, *, by: str) -> None:
        """`by` is `position` or `order`."""
        super().__init__(message)
        self.by = by


class NotIsolated(Refusal):
    """Position margin can be added or removed in isolated mode only (-4046 kin; 110054)."""


class BadTransfer(Refusal):
    """A transfer would make the wallet negative."""
