"""What a venue's streams say, as values: evidence for the account's reconciler, never a change of the book by itself.

1. Between a `StreamUp` and the next `StreamDown` nothing that the venue said is missing; outside of that anything may be.
2. Messages may come twice, late and out of order: a fill is told by its `trade_id`, a position by its own time and
   sequence. Whoever reads them must not mind.
3. A position is told per slot: only what the venue said, an explicit zero included. A symbol that was not told is
   unchanged, not flat.
4. What could not be read is told as `StreamUnreadable`, never left out.

Times named `at_ms` of Up, Down and Unreadable are our own clock's; those of evidence are the venue's.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

import msgspec

from trueup.model.decimals import ZERO
from trueup.model.observations import PositionReport
from trueup.model.orders import Fill, Funding, OpenOrder, OrderRecord, OrderStatus, Side
from trueup.model.values import Value

__all__ = [
    "DownKind",
    "MarkPrice",
    "PriceEvent",
    "StreamAccount",
    "StreamDown",
    "StreamEvent",
    "StreamFill",
    "StreamFunding",
    "StreamHealth",
    "StreamOrder",
    "StreamPosition",
    "StreamUnreadable",
    "StreamUp",
]


class DownKind(StrEnum):
    """Why a stream went down."""

    UNREACHABLE = "unreachable"  # no connection, or the venue did not open or confirm the stream
    CLOSED = "closed"  # the connection ended
    SILENT = "silent"  # the connection stands and does not answer
    KEY_EXPIRED = "key_expired"  # Binance: the listen key is gone; the connection stands, and nothing more would come
    BEHIND = "behind"  # the consumer did not keep up: what waited for it was dropped
    REFUSED = "refused"  # the venue refuses the API key; it is tried again, seldom
    RESTARTED = "restarted"  # its owner asked for it
    FAILED = "failed"  # a fault of our own: the stream is over


class StreamUp(Value, frozen=True, kw_only=True, tag="up"):
    """Subscribed, and confirmed by the venue. A look at the account that begins from now on misses nothing."""

    at_ms: int


class StreamDown(Value, frozen=True, kw_only=True, tag="down"):
    """Messages may be missing from now on, or (a silent connection) since `proven_ms` already.

    Attributes:
        proven_ms: Our time until which the stream is proven to have been complete; None: it was not up.
    """

    at_ms: int
    kind: DownKind
    why: str
    proven_ms: int | None = None


class StreamFill(Value, frozen=True, kw_only=True, tag="fill"):
    """One execution, as the fill history will show it."""

    fill: Fill


class StreamFunding(Value, frozen=True, kw_only=True, tag="funding"):
    """One funding payment (Bybit; Binance tells only that a balance changed: `StreamAccount` ``FUNDING_FEE``)."""

    payment: Funding


class StreamPosition(Value, frozen=True, kw_only=True, tag="position"):
    """One slot of one symbol, as it stands after a change.

    Attributes:
        leg: The hedge leg that the slot is; None: the one-way slot, which speaks for both sides of the symbol.
        side: Of the open position; None while flat.
        quantity: Contracts; an explicit zero while flat.
        entry_price: Quote units; None while flat.
        at_ms: Venue time of the slot's last change, the latest that it surely speaks for; None: the venue does not say
            (Bybit, a slot that was never used): a reason to look, no evidence.
        told_ms: Venue time at which the message was made.
        sequence: The venue's own order (Bybit ``seq``, comparable with `Fill.sequence` of the same symbol); None on
            Binance.
        report: As a look would show it; None exactly while flat.

    Binance in hedge mode may tell the one-way slot as flat too: that says nothing of the legs. Within one message such a
    row is left out beside its legs; where it comes alone, whoever knows the symbol as hedged must not believe `of`.
    """

    symbol: str
    leg: Side | None
    side: Side | None
    quantity: Decimal
    entry_price: Decimal | None
    at_ms: int | None
    told_ms: int
    sequence: int | None
    report: PositionReport | None

    @property
    def hedge(self) -> bool:
        return self.leg is not None

    def of(self, side: Side) -> Decimal | None:
        """What the slot says of that side's quantity: contracts, zero for flat; None: it does not speak for that side.

        A one-way slot that is short says of the long side: zero. So a flip is told in one event.
        """
        if self.leg is not None and self.leg is not side:
            return None
        return self.quantity if self.side is side else ZERO


class StreamOrder(Value, frozen=True, kw_only=True, tag="order"):
    """One order after a change.

    Attributes:
        record: As the order history would show it, any status.
        live: As the lists of open orders show it; None once it has ended or its state is not known.
        child_order_id: Binance: the regular order that this conditional one became.
        attached_id: Bybit: the id under which a look shows this stop that sits on a position (`live` bears it too);
            `record.order_id` is the id that the closing fills will name.
    """

    record: OrderRecord
    live: OpenOrder | None = None
    child_order_id: str | None = None
    attached_id: str | None = None

    @property
    def symbol(self) -> str:
        return self.record.symbol

    @property
    def became(self) -> OrderRecord | None:
        """The order that this conditional one became, with its kind, maker and ids; None if it became none.

        What that order filled is in its own messages.
        """
        if self.child_order_id is None:
            return None
        return msgspec.structs.replace(
            self.record,
            order_id=self.child_order_id,
            client_order_id=None,
            status=OrderStatus.UNKNOWN,
            parent_order_id=self.record.order_id,
            parent_client_order_id=self.record.client_order_id,
        )


class StreamAccount(Value, frozen=True, kw_only=True, tag="account"):
    """Something else of the account changed.

    Attributes:
        kind: The venue's own word: ``MARGIN_CALL``, ``ACCOUNT_CONFIG_UPDATE``, ``FUNDING_FEE``, ``DEPOSIT``, …, and
            ``wallet`` on Bybit; also a kind of message that this program does not know.
        at_ms: Venue time; None: not said.
    """

    kind: str
    at_ms: int | None


class StreamUnreadable(Value, frozen=True, kw_only=True, tag="unreadable"):
    """A message, or a row of one, that could not be read: look at the account. `symbol`: where it could be told."""

    at_ms: int
    problem: str
    symbol: str | None = None


class MarkPrice(Value, frozen=True, kw_only=True, tag="mark_price"):
    """`price` in quote units, `at_ms` venue time. It holds until the next one, or until the feed goes down."""

    symbol: str
    price: Decimal
    at_ms: int


class StreamHealth(Value, frozen=True, kw_only=True):
    """How a stream stands, for status and metrics.

    Attributes:
        since_ms: Our time since when it is up or down; None: not started.
        why: Why it is down; None while up.
        connects: How often it was confirmed.
        failures: Attempts in a row that did not last; the waits between attempts grow with them.
    """

    up: bool = False
    since_ms: int | None = None
    why: str | None = None
    connects: int = 0
    failures: int = 0


StreamEvent: TypeAlias = (
    StreamUp | StreamDown | StreamFill | StreamFunding | StreamPosition | StreamOrder | StreamAccount | StreamUnreadable
)

PriceEvent: TypeAlias = StreamUp | StreamDown | MarkPrice | StreamUnreadable
