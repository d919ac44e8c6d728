"""What must follow from a decision, as durable rows: carried out at least once, verified on the venue.

`pending` → `done` (the venue shows it) or stays `pending` with a later `next_attempt_at_ms`; after a pass's attempts
are used up it is `escalated`: told, and tried again at later passes. Nothing is dropped.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from trueup.model.events import EventType, Severity
from trueup.model.orders import OrderKind, OrderList, OrderSide, Side
from trueup.model.positions import PositionKey
from trueup.model.values import Value, to_json

__all__ = [
    "ON_VENUE",
    "SUPERFLUOUS",
    "AmendClose",
    "CancelOrder",
    "Effect",
    "EffectKind",
    "EffectState",
    "EffectUpdate",
    "MarketClose",
    "NewEffect",
    "Notice",
    "PlaceStop",
    "look_later",
]

SUPERFLUOUS = "superfluous"
"""`CancelOrder.reason` of a stop of ours that an open lifecycle does not need: it goes only while that stays true."""


class EffectKind(StrEnum):
    CANCEL_ORDER = "cancel_order"
    CLOSE_POSITION = "close_position"
    PLACE_STOP = "place_stop"
    NOTIFY = "notify"
    AMEND_CLOSE = "amend_close"


ON_VENUE = frozenset(EffectKind) - {EffectKind.NOTIFY, EffectKind.AMEND_CLOSE}
"""Effects that act on the venue: what a pass is judged by."""


class EffectState(StrEnum):
    PENDING = "pending"
    ESCALATED = "escalated"
    DONE = "done"


class CancelOrder(Value, frozen=True, kw_only=True):
    """Cancel one order of a lifecycle that ended, or a stop that an open one does not need. `side` is the position's."""

    symbol: str
    side: Side
    order_id: str
    client_order_id: str | None
    order_list: OrderList
    kind: OrderKind
    order_side: OrderSide
    trigger_price: Decimal | None = None
    quantity: Decimal | None = None
    venue_type: str = ""
    reason: str = "position_closed"


class MarketClose(Value, frozen=True, kw_only=True):
    """Close an open lifecycle at market, reduce-only. `client_order_id` begins the ids of the orders that do it."""

    symbol: str
    side: Side
    position_id: int
    client_order_id: str
    note: str = ""


class AmendClose(Value, frozen=True, kw_only=True):
    """Look later whether the history tells more of a close than was known when it was booked.

    Attributes:
        grade: What proved it then.
        soon: Whether a look could tell more at once, and not only funding that is credited late.
    """

    symbol: str
    side: Side
    position_id: int
    grade: str
    soon: bool = True


class PlaceStop(Value, frozen=True, kw_only=True):
    """See to it that this open lifecycle has its stop. What exactly is placed is decided on a fresh look.

    Attributes:
        client_order_id: Begins the ids of the orders that do it.
        trigger_price, quantity, trigger_by: As it was wanted when this was written; for people.
        seen_quantity, seen_entry: The venue's state that it was decided on: another one is looked at first. Its change time is
            none of it: some venues move that without a fill, and a position must not stay naked for that.
        why: The findings that led to it.
    """

    symbol: str
    side: Side
    position_id: int
    client_order_id: str
    trigger_price: Decimal
    quantity: Decimal
    trigger_by: str
    seen_quantity: Decimal
    seen_entry: Decimal | None
    why: tuple[str, ...] = ()


class Notice(Value, frozen=True, kw_only=True):
    """Tell a person. It is told at least once at every configured place: each place has an effect of its own.

    Attributes:
        event_type: Of the event that it tells; None: the daily heartbeat.
        dedup: Names the finding: the same one is not told again before its time unless it changed.
        place: Which of ``alerts.urls`` is told, counted from 0.
        at_ms: When it was found, our clock.
    """

    title: str
    body: str
    severity: Severity
    event_type: EventType | None
    account: str
    symbol: str | None = None
    dedup: str
    place: int = 0
    at_ms: int


class NewEffect(Value, frozen=True, kw_only=True):
    """`dedup_key` makes it unique among unfinished effects of the account: recorded again, it is the same effect.

    `payload` is the JSON of the kind's type (`CancelOrder`, `MarketClose`, `PlaceStop`, `AmendClose`, `Notice`).
    """

    account: str
    kind: EffectKind
    dedup_key: str
    payload: str
    position_id: int | None = None
    key: PositionKey | None = None
    created_at_ms: int


def look_later(account: str, amend: AmendClose, now_ms: int) -> NewEffect:
    """The durable reminder to look at a close again; recorded again, it is the same."""
    return NewEffect(
        account=account,
        kind=EffectKind.AMEND_CLOSE,
        dedup_key=f"amend:{amend.position_id}",
        payload=to_json(amend),
        position_id=amend.position_id,
        created_at_ms=now_ms,
    )


class Effect(Value, frozen=True, kw_only=True):
    effect_id: int
    account: str
    kind: EffectKind
    dedup_key: str
    payload: str
    position_id: int | None
    state: EffectState
    attempts: int
    next_attempt_at_ms: int
    created_at_ms: int
    done_at_ms: int | None
    outcome: str | None
    last_error: str | None


class EffectUpdate(Value, frozen=True, kw_only=True):
    """The result of an attempt, written with its events in one transaction."""

    effect_id: int
    state: EffectState
    attempts: int
    next_attempt_at_ms: int
    outcome: str | None = None
    last_error: str | None = None
    done_at_ms: int | None = None
