"""What the engine needs of the outside, as protocols: a venue, a store, a clock, a notifier, a meter.

Every implementation is held to the same contract suite (tests/contract/). A method that cannot answer completely
raises; it never returns less.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from trueup.model.changes import ActiveBook, ChangeSet, Committed, RecordedOrder, RecordedTrade
from trueup.model.effects import CancelOrder, Effect, EffectKind, EffectState, Notice
from trueup.model.events import Event
from trueup.model.holds import Hold, HoldState, Mark
from trueup.model.instruments import InstrumentCatalog
from trueup.model.observations import (
    AccountFacts,
    ClockReading,
    ClosedPnlHistory,
    FillHistory,
    FundingHistory,
    Identity,
    OrderLookup,
    OrdersSnapshot,
    PositionReport,
    PositionsSnapshot,
    SecondSurface,
)
from trueup.model.orders import OrderRecord
from trueup.model.positions import Position
from trueup.model.protection import StopOrder
from trueup.model.reports import AccountReport
from trueup.model.stream import PriceEvent, StreamEvent, StreamHealth
from trueup.model.trailing import TrailingOrder, TrailingRecord
from trueup.model.values import Value

__all__ = [
    "AuditCost",
    "Budget",
    "Clock",
    "Feed",
    "Meter",
    "Notifier",
    "Owner",
    "PriceSource",
    "Record",
    "Request",
    "Silence",
    "Standing",
    "Store",
    "StoredObservation",
    "Venue",
    "Waiting",
]


class Clock(Protocol):
    """Our own time. The simulation's clock is virtual; nothing else in the engine knows time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970, our own clock."""
        ...

    def monotonic_s(self) -> float:
        """For durations only."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class AuditCost(Value, frozen=True, kw_only=True):
    """What it costs to look at one account that is in sync, in the venue's units: its positions; its order lists."""

    positions: int
    orders: int


class Silence(Value, frozen=True, kw_only=True):
    """The venue wanted silence from one way out: since when and until when (our clock), and in whose words."""

    at_ms: int
    until_ms: int
    problem: str


class Budget(Protocol):
    """What one way out (an IP or a proxy) to one venue may ask; shared by the accounts behind it."""

    @property
    def unit(self) -> str:
        """What is counted, for people: ``weight``, ``requests``."""
        ...

    @property
    def limit(self) -> int:
        """Units in `window_s`."""
        ...

    @property
    def window_s(self) -> float: ...

    @property
    def used(self) -> int:
        """Units within the last `window_s`, by us or others."""
        ...

    @property
    def audit_cost(self) -> AuditCost:
        """As the venue's tariff has it; an account's own may be measured."""
        ...

    def audit_rate(self, beside: float) -> float:
        """Units a second that audits may be planned with; less while others use the same address. Above 0.

        Args:
            beside: Units a second that the accounts' other reading takes.
        """
        ...

    def room(self, cost: int) -> AbstractAsyncContextManager[None]:
        """Begins when so much may be sent at once, in the order of who asked, and keeps it for the ordinary calls within.

        What they send beyond it waits as ever. It does not wait while the venue wants silence: the calls are told.

        Args:
            cost: Units.
        """
        ...

    @property
    def rest_s(self) -> float:
        """How long the venue still wants no request at all; 0: it does not."""
        ...

    @property
    def last_silence(self) -> Silence | None:
        """The newest time that it wanted silence for longer than a moment."""
        ...


class Venue(Protocol):
    """One account on one venue. Times are venue time, in milliseconds.

    Raises (every method): `Unobserved` (and its kinds) when the answer did not come whole and readable;
    `AuthenticationRefused` when the key is refused.
    """

    account: str
    venue: str

    async def catalog(self) -> InstrumentCatalog:
        """The venue's market list, read once and shared between accounts."""
        ...

    async def clock(self) -> ClockReading:
        """Measures the skew and keeps it for signing and for `as_of_ms`."""
        ...

    async def identity(self) -> Identity: ...

    async def facts(self) -> AccountFacts: ...

    async def positions(self, symbol: str | None = None) -> PositionsSnapshot:
        """All settle coins and pages, or one symbol. Only an explicit zero is zero."""
        ...

    async def open_orders(self, symbol: str | None = None) -> OrdersSnapshot:
        """Regular and conditional lists, all pages, and position-attached stops."""
        ...

    async def fills(self, symbol: str, since_ms: int, before_ms: int | None = None) -> FillHistory:
        """Every execution type except funding, from `since_ms` (or the venue's reach) until now, or before `before_ms`."""
        ...

    async def funding(self, symbol: str, since_ms: int) -> FundingHistory: ...

    async def closed_pnl(self, symbol: str, since_ms: int) -> ClosedPnlHistory | None:
        """None where the venue keeps no such record (Binance)."""
        ...

    async def lookup_orders(self, symbol: str, order_ids: Sequence[str]) -> OrderLookup:
        """Reads these orders from the histories of both lists; conditional parents are folded into their children."""
        ...

    async def second_surface(self) -> SecondSurface: ...

    async def cancel(self, order: CancelOrder) -> None:
        """Sends the cancel to the list that the order lives in.

        Raises:
            UnknownOrder: The venue does not know it there: believed only after both lists were read.
            Rejected: Refused, with the venue's code.
            OutcomeUnknown: No answer came.
        """
        ...

    async def find_order(self, symbol: str, client_order_id: str) -> OrderRecord | None:
        """The regular order of that client id, from the open orders and the history; None: both were read, none has it."""
        ...

    async def find_stop(self, symbol: str, client_order_id: str) -> OrderRecord | None:
        """The conditional order of that client id, open or ended; None: neither the open ones nor the history have it."""
        ...

    async def place_stop(self, report: PositionReport, stop: StopOrder) -> None:
        """Sends a stop that can only reduce a position that was just read.

        Raises:
            StopRefused: Refused, with the venue's code and what it means for a stop; nothing was placed.
            OutcomeUnknown: No answer came.
        """
        ...

    async def close_market(self, report: PositionReport, client_order_id: str) -> None:
        """Sends a reduce-only market order for as much of a position that was just read as the report says.

        Raises:
            Rejected: Refused, with the venue's code: nothing was sent to the market.
            OutcomeUnknown: No answer came.
        """
        ...

    async def trailing_id(self, report: PositionReport) -> str | None:
        """The order id under which looks show that position's trailing stop of the venue's own; None: it bears a client id."""
        ...

    async def place_trailing(self, report: PositionReport, order: TrailingOrder, trigger_by: str) -> None:
        """Sets a trailing stop of the venue's own under a position that was just read.

        Args:
            trigger_by: ``mark`` or ``last``, where the venue leaves the choice (Bybit follows the last price).

        Raises:
            Rejected: Refused, with the venue's code: nothing was set.
            OutcomeUnknown: No answer came.
        """
        ...

    async def aclose(self) -> None: ...


class Feed(Protocol):
    """One account's stream of evidence: an async iterator of `StreamEvent` for one reader.

    It connects when it is started, and goes on by itself until it is closed; then iteration ends.
    """

    @property
    def health(self) -> StreamHealth: ...

    def start(self) -> None: ...

    def restart(self, why: str) -> None:
        """Makes the connection anew: somebody found by other means what the stream should have told."""
        ...

    async def aclose(self) -> None: ...

    def __aiter__(self) -> AsyncIterator[StreamEvent]: ...


class PriceSource(Protocol):
    """Mark prices of a changing set of symbols: an async iterator of `PriceEvent` for one reader."""

    @property
    def symbols(self) -> frozenset[str]:
        """What is wanted: unified symbols."""
        ...

    async def subscribe(self, symbols: Iterable[str]) -> None:
        """Wants these too.

        Raises:
            UnknownSymbol: The market list lacks one; none of them is taken.
            Unobserved: The market list could not be read.
        """
        ...

    async def unsubscribe(self, symbols: Iterable[str]) -> None: ...

    def start(self) -> None: ...

    async def aclose(self) -> None: ...

    def __aiter__(self) -> AsyncIterator[PriceEvent]: ...


class Notifier(Protocol):
    """Tells people. Places are counted from 0, in the order of ``alerts.urls``."""

    @property
    def places(self) -> int: ...

    async def tell(self, notice: Notice) -> None:
        """Delivers to `notice.place`, within a bounded time.

        Raises:
            NotDelivered: It was not accepted there, or nobody knows; the text names the place, never its URL.
        """
        ...


class Meter(Protocol):
    """Counts what the engine does. Never blocks, never fails."""

    def looked(self, account: str, seconds: float, *, observed: bool) -> None:
        """A look at the venue ended."""
        ...

    def heard(self, account: str, closed: Sequence[Position], changed: int) -> None:
        """What the stream proved was written: these positions closed, so many changed."""
        ...

    def passed(self, report: AccountReport) -> None:
        """A pass that was allowed to write ended."""
        ...


class Owner(Value, frozen=True, kw_only=True):
    """Who may write an account: every write names `epoch`."""

    account: str
    holder: str
    epoch: int


class Request(Value, frozen=True, kw_only=True):
    """What a command asks of the process that owns the account (`sync`, `approve`, …)."""

    request_id: int
    account: str
    kind: str
    payload: str
    created_at_ms: int
    state: str  # "open", "taken" or "done"
    result: str | None


class Standing(Value, frozen=True, kw_only=True):
    """How much of an account stands, counted at one moment: of what there is none nothing need be read.

    Attributes:
        holds: Not decided, or decided and not carried out.
        orders: Recorded as open.
        effects: Unfinished ones of any kind.
    """

    paused: bool = False
    pin: Identity | None = None
    marks: int = 0
    holds: int = 0
    orders: int = 0
    effects: int = 0
    trailing: int = 0


class Waiting(Value, frozen=True, kw_only=True):
    """Accounts with something to be done that no look tells.

    Attributes:
        requests: A request of another command is not answered yet.
        notices: A notice is due to be delivered.
    """

    requests: frozenset[str] = frozenset()
    notices: frozenset[str] = frozenset()


class Record(Value, frozen=True, kw_only=True):
    """All that the book has of one row. `paused`: its account is."""

    row: Position
    orders: tuple[RecordedOrder, ...] = ()
    trades: tuple[RecordedTrade, ...] = ()
    paused: bool = False


class StoredObservation(Value, frozen=True, kw_only=True):
    observation_id: int
    account: str
    position_id: int | None
    at_ms: int
    name: str
    input: str
    output: str


class Store(Protocol):
    """The book and everything that must survive a crash.

    Raises (every method): `StoreUnavailable` when the database does not answer or refuses.
    """

    async def open(self) -> None:
        """Connects; an embedded store migrates by itself.

        Raises:
            ConfigurationError: The schema is older or newer than this program and is not migrated by itself.
        """
        ...

    async def aclose(self) -> None: ...

    async def claim(self, account: str, holder: str, ttl_s: float) -> Owner:
        """Takes the account for `holder` under a new epoch. Time is the database's.

        Raises:
            NotOwner: Another holder's lease has not run out; the text says whose and for how long.
        """
        ...

    async def renew(self, held: Sequence[Owner], ttl_s: float) -> list[Owner]:
        """Prolongs leases in one statement; returns those that are lost, because another process took over."""
        ...

    async def release(self, owner: Owner) -> None:
        """Gives the account back at once; no error if it was already lost."""
        ...

    async def owner_of(self, account: str) -> Owner | None:
        """The holder of a running lease."""
        ...

    async def active(self, account: str) -> ActiveBook:
        """All active rows of the account, oldest first; rows that cannot be read are listed, never guessed at."""
        ...

    async def positions(self, *, status: str = "active", account: str | None = None) -> list[Position]:
        """`status`: ``active``, ``closed`` or ``all``; oldest first; unreadable rows are left out."""
        ...

    async def position(self, position_id: int) -> Position | None: ...

    async def commit(self, owner: Owner, changes: ChangeSet) -> Committed:
        """One transaction under the owner's epoch.

        Raises:
            NotOwner: The epoch is stale; nothing was written.
            Conflict: Another version than the one decided on, or a second active row of a key; nothing was written.
            InvariantBroken: An illegal move of the lifecycle; nothing was written.
            RowsRefused: A rule of the database's owner keeps new positions out; nothing was written.
        """
        ...

    async def orders_of(self, position_id: int) -> list[RecordedOrder]: ...

    async def recorded_orders(self, account: str) -> list[RecordedOrder]:
        """Open recorded orders of the account's active positions, and of ended ones whose cancel is not done."""
        ...

    async def trades_of(self, position_id: int) -> list[RecordedTrade]: ...

    async def record_of(self, position_id: int) -> Record | None:
        """What `position`, `orders_of`, `trades_of` and `is_paused` tell, in one go; not of one moment."""
        ...

    async def events(
        self,
        *,
        account: str | None = None,
        position_id: int | None = None,
        type: str | None = None,  # noqa: A002 - the contract's word
        after_id: int = 0,
        limit: int | None = None,
    ) -> list[Event]:
        """In order of their ids; `limit` keeps the newest."""
        ...

    async def observations_of(self, position_id: int | None = None, since_ms: int = 0) -> list[StoredObservation]: ...

    async def effects(
        self,
        *,
        account: str | None = None,
        states: Sequence[EffectState] = (),
        kind: EffectKind | None = None,
        since_ms: int = 0,
    ) -> list[Effect]:
        """Oldest first; all states and kinds if none is named; those created at `since_ms` (our clock) or later."""
        ...

    async def holds(self, *, account: str | None = None, states: Sequence[HoldState] = ()) -> list[Hold]: ...

    async def marks(self, account: str) -> list[Mark]: ...

    async def trailing(self, account: str) -> list[TrailingRecord]:
        """Of the account's active positions, by position id."""
        ...

    async def pin_of(self, account: str) -> Identity | None: ...

    async def set_pin(self, owner: Owner, identity: Identity | None, at_ms: int) -> None: ...

    async def set_paused(self, account: str, paused: bool, at_ms: int) -> None: ...

    async def is_paused(self, account: str) -> bool: ...

    async def standing(self, account: str) -> Standing: ...

    async def set_account_states(self, states: Mapping[str, tuple[str, int]]) -> None:
        """Account → (its last observation as JSON, for `status`; written at)."""
        ...

    async def account_states(self, account: str | None = None) -> dict[str, tuple[str, int]]:
        """Account → (JSON, written at); of all accounts, or of that one."""
        ...

    async def ask(self, account: str, kind: str, payload: str, at_ms: int) -> int:
        """Leaves a request for the account's owner; returns its id."""
        ...

    async def waiting(self, now_ms: int) -> Waiting:
        """Whom somebody waits for, of all accounts of the book, in one statement. `now_ms`: our clock."""
        ...

    async def take_requests(self, owner: Owner) -> list[Request]:
        """Open requests of the account, marked as taken by this owner; those that a dead owner took come again."""
        ...

    async def answer(self, request_id: int, result: str, at_ms: int) -> None: ...

    async def request(self, request_id: int) -> Request | None: ...

    async def count_events(self, type: str, *, account: str, since_ms: int) -> int:  # noqa: A002
        ...
