"""Where the stop of a lifecycle should be: the book's own, a trailing one, or the policy's, on the venue's tick.

1. The trigger is rounded towards the entry (a long's up, a short's down): the loss is never larger than asked for.
2. Of a trailing trigger and the book's own stop (else the policy's) the tighter counts: following never loosens a stop. One
   that the price has passed before it was placed is put as near to the price as the venue takes it.
3. A trigger beyond the liquidation price would never fire. The stop is then put a tenth of the way from there to the entry.
4. Where neither a stop nor an entry price is known nothing is wanted: it is told, never guessed.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

import msgspec

from trueup.core.trailing import Trail, acceptable
from trueup.model.instruments import Instrument
from trueup.model.observations import PositionReport
from trueup.model.orders import Side
from trueup.model.positions import Position
from trueup.model.protection import StopOrder, StopRefusal
from trueup.model.values import Value

__all__ = [
    "STOP_PREFIX",
    "StopPolicy",
    "StopSource",
    "WantedStop",
    "at_distance",
    "at_percent",
    "beyond",
    "is_tighter",
    "loosest",
    "on_tick",
    "other_try",
    "stop_stem",
    "tighter",
    "wanted_stop",
    "wish_stem",
]

STOP_PREFIX = "tu-sl-"
"""Client order ids of the stops that trueup keeps; the number that follows is the lifecycle's."""

_HUNDRED = Decimal(100)
_INSIDE_LIQUIDATION = Decimal("0.1")


class StopPolicy(Value, frozen=True, kw_only=True):
    """The operator's ``[protection]``, as far as stops need it.

    Attributes:
        percent: Distance from the entry price.
        trigger_by: ``"mark"`` or ``"last"``.
        close_unprotectable: Close at market what provably cannot have a stop; else only tell.
    """

    percent: Decimal = Decimal("5.0")
    trigger_by: str = "mark"
    close_unprotectable: bool = False


class StopSource(StrEnum):
    """What said where the stop is to be."""

    BOOK = "book"  # the row's own `stop_loss`
    TRAILING = "trailing"
    PERCENT = "percent"
    LIQUIDATION = "liquidation"  # moved inside the liquidation price


class WantedStop(Value, frozen=True, kw_only=True):
    """The stop that a lifecycle should have.

    Attributes:
        trigger_price: Quote units, on the tick.
        policy_price: The loosest trigger that is taken for what was asked: rounded the other way, so within one tick of it.
        quantity: Contracts: the whole position as the venue states it.
    """

    trigger_price: Decimal
    policy_price: Decimal
    quantity: Decimal
    trigger_by: str
    source: StopSource


def stop_stem(position_id: int, created_at_ms: int) -> str:
    """How the client order ids of one wish for a stop begin."""
    return wish_stem(STOP_PREFIX, position_id, created_at_ms)


def wish_stem(prefix: str, position_id: int, created_at_ms: int) -> str:
    """How the client order ids of one wish begin: deterministic, told apart from those of any other by its time.

    With the number of the order that follows it is at most 36 characters long, which both venues take.
    """
    return f"{prefix}{position_id}-{_base36(created_at_ms)}"


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


def is_tighter(side: Side, one: Decimal, other: Decimal) -> bool:
    """Whether a stop at `one` fires earlier than one at `other`: a long's is higher, a short's lower."""
    return one > other if side is Side.LONG else one < other


def tighter(side: Side, one: Decimal, other: Decimal) -> Decimal:
    return max(one, other) if side is Side.LONG else min(one, other)


def beyond(side: Side, trigger: Decimal, liquidation: Decimal | None) -> bool:
    """Whether the venue would have liquidated the position by the time that the trigger is reached."""
    return liquidation is not None and not is_tighter(side, trigger, liquidation)


def on_tick(side: Side, price: Decimal, tick: Decimal | None) -> Decimal:
    """The nearest price on the tick at which a stop loses no more than at `price`."""
    if tick is None or tick <= 0:
        return price
    rounding = ROUND_CEILING if side is Side.LONG else ROUND_FLOOR
    return (price / tick).to_integral_value(rounding=rounding) * tick


def loosest(side: Side, price: Decimal, tick: Decimal | None) -> Decimal:
    """The nearest price on the tick on the other side of `price`: less than one tick looser than asked for."""
    return on_tick(side.opposite, price, tick)


def at_distance(side: Side, entry: Decimal, distance: Decimal) -> Decimal:
    """A stop so many quote units away from the entry, on the losing side; an ATR times its factor, say.

    Raises:
        ValueError: The distance is not positive, or reaches below zero.
    """
    price = entry - side.sign * distance
    if distance <= 0 or price <= 0:
        raise ValueError(
            f"a stop {distance} away from the entry {entry}: the distance must be positive and leave a price"
        )
    return price


def at_percent(side: Side, entry: Decimal, percent: Decimal) -> Decimal:
    """A stop so many percent of the entry price away from it, on the losing side."""
    return at_distance(side, entry, entry * percent / _HUNDRED)


def wanted_stop(
    row: Position,
    report: PositionReport,
    policy: StopPolicy,
    instrument: Instrument | None,
    trailing_trigger: Decimal | None = None,
) -> WantedStop | None:
    """The stop that this lifecycle should have now; None: nothing says where.

    Args:
        report: The open position as the venue states it: its quantity, and its entry where the row has none.
        trailing_trigger: Where the lifecycle's trailing stop stands; None: it follows none, or does not yet.
    """
    side = row.side
    entry = row.entry_price if row.entry_price is not None else report.entry_price
    asked, source = row.stop_loss, StopSource.BOOK
    if asked is None and entry is not None:
        asked, source = at_percent(side, entry, policy.percent), StopSource.PERCENT
    trailed = _reachable(side, trailing_trigger, entry, report, instrument)
    if trailed is not None and (asked is None or is_tighter(side, trailed, asked)):
        asked, source = trailed, StopSource.TRAILING
    if asked is None or asked <= 0:
        return None
    tick = instrument.price_tick if instrument is not None else None
    trigger = on_tick(side, asked, tick)
    inside = _inside_liquidation(side, trigger, entry, report, tick)
    if inside is not None:
        trigger, source = inside, StopSource.LIQUIDATION
    return WantedStop(
        trigger_price=trigger,
        policy_price=loosest(side, asked, tick),
        quantity=report.quantity,
        trigger_by=policy.trigger_by,
        source=source,
    )


def other_try(refusal: StopRefusal, sent: StopOrder, wanted: WantedStop) -> StopOrder | None:
    """The same stop in the one other way in which the venue may take it; None: there is none.

    A trigger that only its rounding put beyond the price is rounded the other way, once. A quantity that the venue finds too
    small or too large becomes "the whole position", for which it has no limits.
    """
    if refusal is StopRefusal.PASSED and is_tighter(sent.side, sent.trigger_price, wanted.policy_price):
        within_a_tick = sent.trigger_price == wanted.trigger_price and wanted.source is not StopSource.LIQUIDATION
        return msgspec.structs.replace(sent, trigger_price=wanted.policy_price) if within_a_tick else None
    if refusal in (StopRefusal.TOO_SMALL, StopRefusal.TOO_LARGE) and sent.quantity == wanted.quantity:
        return msgspec.structs.replace(sent, quantity=None)
    return None


def _reachable(
    side: Side,
    trigger: Decimal | None,
    entry: Decimal | None,
    report: PositionReport,
    instrument: Instrument | None,
) -> Decimal | None:
    """The trailing trigger, or the nearest one that the venue takes where the price is past it before it was placed."""
    mark = report.mark_price
    if trigger is None or entry is None or mark is None:
        return trigger
    tick = instrument.price_tick if instrument is not None else None
    return acceptable(trigger, mark, Trail(side=side, entry_price=entry, price_tick=tick))


def _inside_liquidation(
    side: Side, trigger: Decimal, entry: Decimal | None, report: PositionReport, tick: Decimal | None
) -> Decimal | None:
    """Where the stop must be instead, if liquidation came first; None: it need not move."""
    liquidation = report.liquidation_price
    if liquidation is None or not beyond(side, trigger, liquidation):
        return None
    for anchor in (entry, report.mark_price):
        if anchor is not None and is_tighter(side, anchor, liquidation):
            return on_tick(side, liquidation + (anchor - liquidation) * _INSIDE_LIQUIDATION, tick)
    return None
