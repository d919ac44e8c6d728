"""One key's case and the closed set of verdicts on it: what goes into `decide_key` and what comes out.

A case is whole: it can be recorded, shown to a person, and decided again to the same verdict.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from trueup.core.lifecycles import Part
from trueup.model.holds import Mark
from trueup.model.instruments import Instrument
from trueup.model.observations import (
    ClosedPnlHistory,
    FillHistory,
    FundingHistory,
    OrderLookup,
    PositionReport,
    SurfaceVerdict,
)
from trueup.model.orders import OrderKind, OrderRecord, Side
from trueup.model.positions import CloseDetails, Evidence, Position, PositionKey
from trueup.model.values import Value

__all__ = [
    "Adjust",
    "Adopt",
    "AdoptionPolicy",
    "Case",
    "Close",
    "Ending",
    "History",
    "Ignore",
    "KnownOrder",
    "LeaveYoung",
    "Lifecycle",
    "LookAgain",
    "Moment",
    "NeedsHistory",
    "Policy",
    "Refused",
    "Reject",
    "Spot",
    "Suspect",
    "Verdict",
    "Verified",
]


Spot = tuple[str, Side]
"""A position's place in its account: symbol and side."""

Moment = tuple[int | None, str | None]
"""When (venue time, milliseconds) and by which order a lifecycle opened or ended, as far as that is known."""


class AdoptionPolicy(Value, frozen=True, kw_only=True):
    """`what`: ``adopt``, ``hold`` or ``ignore``; `after_ms`: how long a missing position must have been seen first."""

    what: str
    after_ms: int = 0


class Policy(Value, frozen=True, kw_only=True):
    """The operator's settings, as far as a single key's decision needs them. Durations in milliseconds."""

    adoption: AdoptionPolicy
    new_row_grace_ms: int
    confirm_after_ms: int
    confirm_snapshots: int
    refresh_after_ms: int = 60_000


class KnownOrder(Value, frozen=True, kw_only=True):
    """An order that the store recorded for a lifecycle: tells why it closed even where the venue has forgotten it."""

    order_id: str
    client_order_id: str | None
    kind: OrderKind
    ours: bool


class Refused(NamedTuple):
    """Why the database takes no new row of a symbol now, of an open lifecycle and of an ended one; empty: it takes it."""

    active: str = ""
    ended: str = ""


class Ending(NamedTuple):
    """A lifecycle that a row of the book records as ended.

    Attributes:
        at_ms, order_id: When (venue time) and by which order: with evidence `fills` exactly those of its last fill.
        opened: What the row tells of its beginning.
        shown_ms: Since when the venue showed it open; None: no look saw it.
    """

    at_ms: int
    order_id: str | None
    evidence: Evidence = Evidence.FILLS
    opened: Moment = (None, None)
    shown_ms: int | None = None


class History(Value, frozen=True, kw_only=True):
    """What was read of a key's past.

    Attributes:
        asked: What was asked for besides fills: ``orders``, ``funding``, ``closed_pnl``, ``surface``. A venue may have none.
        failed: Why some call failed: the past then decides nothing now.
        unlisted: The venue's market list, read afresh, lacks the contract: its past can be read no more.
    """

    fills: FillHistory | None = None
    asked: tuple[str, ...] = ()
    orders: OrderLookup | None = None
    funding: FundingHistory | None = None
    closed_pnl: ClosedPnlHistory | None = None
    failed: str | None = None
    unlisted: bool = False


class Case(Value, frozen=True, kw_only=True):
    """Everything that one key's decision may know.

    Attributes:
        row: The book's active row, None if the book lacks it.
        report: The venue's open position, None if a complete view lacks it.
        opposite: The report of the other side of the same instrument: in one-way mode it anchors the net position.
        as_of_ms: Venue time that the view speaks for. `now_ms`: venue time now.
        instrument: None only where the key's instrument left the market list.
        history: None: not read yet.
        recorded_trade_ids: Fills that the store recorded for the row's lifecycle.
        recorded_opening: The first of them that opened it, and how many contracts of it did: of a flip's fill, a part.
        known_orders: Orders that the store recorded for it.
        ended: Lifecycles of this key that other rows record as ended; read only for a row that was never seen open, and for a
            position that the book lacks.
        mark: What was seen of this key before and is not decided yet.
        surface: What a second surface says of the key.
        absence_blocked: Why absence may not decide in this account now (a quarantined row), else None.
        approved: A person approved exactly this; the fresh look of this case still has the last word.
        learn: Read its past even if nothing moved: its beginning is not known yet.
        refused: New rows of this symbol that the database did not take a moment ago.
    """

    key: PositionKey
    row: Position | None
    report: PositionReport | None
    opposite: PositionReport | None = None
    instrument: Instrument | None
    as_of_ms: int
    now_ms: int
    policy: Policy
    history: History | None = None
    recorded_trade_ids: tuple[str, ...] = ()
    recorded_opening: tuple[str, Decimal] | None = None
    known_orders: tuple[KnownOrder, ...] = ()
    ended: tuple[Ending, ...] = ()
    mark: Mark | None = None
    surface: SurfaceVerdict = SurfaceVerdict.UNKNOWN
    absence_blocked: str | None = None
    approved: bool = False
    learn: bool = False
    refused: Refused = Refused()

    def has_asked(self, what: str) -> bool:
        return self.history is not None and what in self.history.asked

    def order_record(self, order_id: str | None) -> OrderRecord | None:
        """What the venue's order history says of that order, as far as it was read."""
        orders = self.history.orders if self.history is not None else None
        return orders.get(order_id) if orders is not None and order_id is not None else None

    @property
    def spot(self) -> Spot:
        return self.key.symbol, self.key.side

    @property
    def leg(self) -> Decimal:
        """What the view shows of this side, signed (long positive)."""
        return self.report.side.sign * self.report.quantity if self.report is not None else Decimal(0)

    @property
    def net(self) -> Decimal:
        """What the view shows of the instrument in one-way mode, signed; in hedge mode, of the leg."""
        if self.report is not None or self.opposite is None or self.opposite.hedge:
            return self.leg
        return self.opposite.side.sign * self.opposite.quantity

    @property
    def hedge(self) -> bool:
        """Whether the view shows the instrument in hedge mode; False also where it shows nothing of it."""
        shown = self.report if self.report is not None else self.opposite
        return shown is not None and shown.hedge


class Lifecycle(Value, frozen=True, kw_only=True):
    """A lifecycle rebuilt from fills, ready for the book. `close` None: it is open."""

    side: Side
    quantity: Decimal
    entry_price: Decimal | None
    realized_pnl: Decimal | None
    opened_at_ms: int
    opening_order_id: str | None
    parts: tuple[Part, ...]
    close: CloseDetails | None = None


class Verified(Value, frozen=True, kw_only=True):
    """Row and venue agree.

    Attributes:
        write: Whether the row's venue columns are due for a refresh.
        settled: Whether the venue's change time may be written too; False while fills that it speaks of may still be invisible.
        lifecycle: What its fills show of it from its opening on, where they were read: worth recording.
    """

    row: Position
    report: PositionReport
    write: bool = True
    settled: bool = True
    lifecycle: Lifecycle | None = None


class Adjust(Value, frozen=True, kw_only=True):
    """Same lifecycle, other quantity or entry. `explained`: fills account for it; else it was seen twice."""

    row: Position
    report: PositionReport
    explained: bool
    lifecycle: Lifecycle | None
    why: str


class Close(Value, frozen=True, kw_only=True):
    """The row's lifecycle is over; `successors` are lifecycles since, the last of them perhaps open."""

    row: Position
    details: CloseDetails
    lifecycle: Lifecycle | None
    successors: tuple[Lifecycle, ...] = ()
    report: PositionReport | None = None
    why: str


class Adopt(Value, frozen=True, kw_only=True):
    """The book lacks an open position. `unverified`: no opening fill was found, but several views showed it.

    `hold`: a person must agree first. `lifecycle`: what the fills show of it.
    """

    report: PositionReport
    lifecycle: Lifecycle | None
    unverified: bool
    hold: bool
    why: str


class Reject(Value, frozen=True, kw_only=True):
    """A venue position is not adopted yet; `mark` counts its sightings.

    `wait_ms`: how much later a further look could decide; None: time alone will not.
    """

    report: PositionReport
    mark: Mark
    why: str
    wait_ms: int | None


class Ignore(Value, frozen=True, kw_only=True):
    """A venue position that the operator does not want in the book."""

    report: PositionReport


class Suspect(Value, frozen=True, kw_only=True):
    """A difference that nothing proves yet; the row stays active, its stops stay.

    Attributes:
        wait_ms: When a further look could decide; None: time alone will not.
        inconclusive: A fingerprint of evidence that contradicts itself and stayed so: for a person to decide.
    """

    row: Position
    mark: Mark
    why: str
    wait_ms: int | None
    inconclusive: str | None = None


class LeaveYoung(Value, frozen=True, kw_only=True):
    """The row is too young for absence to mean anything."""

    row: Position
    why: str
    wait_ms: int


class NeedsHistory(Value, frozen=True, kw_only=True):
    """To decide, read the past: fills of the symbol from `since_ms`; `order_ids` and the other records for closings.

    `want_closed_pnl`: the fills do not reach, ask for the venue's own record of closes.
    """

    since_ms: int
    why: str
    order_ids: tuple[str, ...] = ()
    want_funding_since_ms: int | None = None
    want_closed_pnl: bool = False
    want_surface: bool = False


class LookAgain(Value, frozen=True, kw_only=True):
    """The view is older than what else is known: take a newer one before anything is decided."""

    why: str


Verdict = Verified | Adjust | Close | Adopt | Reject | Ignore | Suspect | LeaveYoung | NeedsHistory | LookAgain
