"""Where a trailing stop stands: what must survive a restart of it.

A record belongs to one lifecycle and ends with it; only a lifecycle that is open has one that counts.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from trueup.model.orders import Side
from trueup.model.values import Value

__all__ = ["TrailingOrder", "TrailingPhase", "TrailingRecord", "TrailingState"]


class TrailingPhase(StrEnum):
    WAITING = "waiting"  # the activation profit was never reached
    ACTIVE = "active"
    TRIGGERED = "triggered"  # the price was seen at or beyond the trigger: the stop on the venue fires


class TrailingState(Value, frozen=True, kw_only=True):
    """Where following stands.

    Attributes:
        phase: For people; whether the stop follows is told by the peak as well.
        peak_price: Most favourable price seen, quote units; None: none was seen yet.
        trigger_price: Where the stop should be, quote units; None: nowhere yet (the fixed stop holds).
        moved_at_ms: When the trigger moved last, in the time of the prices; None: never.
    """

    phase: TrailingPhase = TrailingPhase.WAITING
    peak_price: Decimal | None = None
    trigger_price: Decimal | None = None
    moved_at_ms: int | None = None


class TrailingRecord(Value, frozen=True, kw_only=True):
    """The kept state of one lifecycle. `saved_at_ms`: our clock."""

    position_id: int
    state: TrailingState
    saved_at_ms: int


class TrailingOrder(Value, frozen=True, kw_only=True):
    """A trailing stop that the venue follows, as it is asked for.

    Attributes:
        side: Of the position that it closes.
        quantity: Contracts; Bybit's sits on the position and always means all of it.
        callback_percent: Distance from the peak, percent of it.
        activation_price: Quote units; None: active from the start.
        reference_price: Where it becomes active, or the price now: a callback in price units is taken of it.
    """

    symbol: str
    side: Side
    client_order_id: str
    quantity: Decimal
    callback_percent: Decimal
    activation_price: Decimal | None
    reference_price: Decimal
