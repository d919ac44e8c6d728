"""Stops of ours: what is to be placed, and what a venue's refusal of one means.

1. A stop of ours has close semantics: it can reduce its position and never open one.
2. A refusal says whether the stop cannot exist (`StopRefusal.proves`), or only that it was not accepted this time.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from trueup.model.errors import Rejected
from trueup.model.orders import Side
from trueup.model.values import Value

__all__ = ["StopOrder", "StopRefusal", "StopRefused"]


class StopOrder(Value, frozen=True, kw_only=True):
    """A stop-loss as it is sent: a market order that waits for its trigger.

    Attributes:
        side: Of the position that it closes.
        trigger_price: Quote units, on the venue's tick.
        quantity: Contracts; None: the whole position, whatever its quantity is then.
        trigger_by: ``"mark"`` or ``"last"``.
    """

    symbol: str
    side: Side
    client_order_id: str
    trigger_price: Decimal
    quantity: Decimal | None
    trigger_by: str


class StopRefusal(StrEnum):
    """Why a venue does not take a stop."""

    PASSED = "trigger_passed"  # the price is beyond the trigger already: it would trigger at once
    TOO_SMALL = "below_minimum"  # quantity or value
    TOO_LARGE = "above_maximum"
    TOO_MANY = "too_many_conditionals"
    OFF_GRID = "off_grid"  # tick, step or digits
    OUT_OF_BAND = "out_of_price_band"  # the trigger is too far from the market for the venue
    NO_POSITION = "no_position"
    DUPLICATE = "duplicate_client_id"
    WHOLE_EXISTS = "whole_position_stop_exists"  # Binance: one close-position stop in each direction
    WRONG_MODE = "wrong_position_mode"
    PERMISSION = "permission"
    OTHER = "other"

    @property
    def proves(self) -> bool:
        """Whether it proves that this stop cannot exist now, so that closing may be the only way to end the risk.

        A band, a mode or a permission can be mended, and a venue that does not answer proves nothing.
        """
        return self in (StopRefusal.PASSED, StopRefusal.TOO_SMALL, StopRefusal.TOO_MANY)


class StopRefused(Rejected):
    """The venue does not take a stop; nothing was placed."""

    def __init__(self, source: str, code: str, text: str, kind: StopRefusal) -> None:
        self.kind = kind
        super().__init__(source, code, text)
