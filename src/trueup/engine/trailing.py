"""Which positions are followed by a trailing stop, where each stands, and the end of following them.

1. What is followed is derived from committed rows: a row that closed is followed no more, whoever noticed the close.
2. Where a stop stands is derived from committed records, and from prices only in the process that owns the account.
3. A price moves nothing here but the state: the stop itself is placed by whoever keeps positions covered, from the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog

from trueup.core.trailing import Trail, advance
from trueup.engine.cache import key_of
from trueup.engine.settings import TrailingKind
from trueup.model.positions import AccountMode, Origin, Position, PositionKey
from trueup.model.trailing import TrailingPhase, TrailingRecord, TrailingState
from trueup.model.values import Value

if TYPE_CHECKING:
    from trueup.engine.settings import AccountPlan
    from trueup.model.instruments import InstrumentCatalog
    from trueup.ports import Store

__all__ = ["KeptTriggers", "SmartTrailingStopManager", "TrailingHealth", "TrailingStop"]

_log = structlog.get_logger("trueup.trailing")


class TrailingHealth(Value, frozen=True, kw_only=True):
    """How following stands, for metrics.

    Attributes:
        following: Positions whose stops the price moves.
        fed: Whether the price of each of them comes by stream; True while nothing is followed.
        moves: Triggers that this process moved.
    """

    following: int = 0
    fed: bool = True
    moves: int = 0


class TrailingStop(Value, frozen=True, kw_only=True):
    """A followed position and where its trailing stop stands. `activated`: its activation profit was reached."""

    position_id: int
    key: PositionKey
    activated: bool
    state: TrailingState = TrailingState()


class KeptTriggers:
    """Where an account's trailing stops stand, as the store keeps it: read once, until it is told to forget."""

    def __init__(self, store: Store, account: str) -> None:
        self._store, self._account = store, account
        self._read: dict[int, Decimal | None] | None = None

    def forget(self) -> None:
        """What is asked for next is read anew."""
        self._read = None

    def none(self) -> None:
        """No record stands, as somebody has just read: nothing need be."""
        self._read = {}

    async def of(self, row: Position) -> Decimal | None:
        """Quote units; None: the lifecycle follows no price, or does not yet."""
        if self._read is None:
            records = await self._store.trailing(self._account)
            self._read = {record.position_id: record.state.trigger_price for record in records}
        return self._read.get(row.position_id)


class SmartTrailingStopManager:
    """The trailing stops of one account. `health`: how following stands, where this process follows."""

    def __init__(self, account: str, plan: AccountPlan | None = None) -> None:
        """Args: `plan`: None for an account that this process only shows."""
        self.account = account
        self._plan = plan
        self._stops: dict[PositionKey, TrailingStop] = {}
        self._rows: dict[PositionKey, Position] = {}
        self._followed: Mapping[PositionKey, Position] = {}
        self._drives = False
        self.health = TrailingHealth()

    @property
    def trailing_stops(self) -> Mapping[PositionKey, TrailingStop]:
        """Read-only, by key."""
        return MappingProxyType(self._stops)

    @property
    def follows_prices(self) -> bool:
        """Whether this account's positions are followed by trueup itself."""
        return self._is_kind(TrailingKind.OWN)

    @property
    def leaves_it_to_the_venue(self) -> bool:
        """Whether trailing stops of the venue's own are set."""
        return self._is_kind(TrailingKind.NATIVE)

    def _is_kind(self, kind: TrailingKind) -> bool:
        plan = self._plan
        return plan is not None and plan.mode is AccountMode.PROTECT and plan.trailing.kind is kind

    @property
    def protected(self) -> Mapping[PositionKey, Position]:
        """The rows that get trailing stops: known in entry price, not suspected, and the operator's to protect."""
        return {
            key: row
            for key, row in self._rows.items()
            if row.entry_price is not None and row.suspected_since_ms is None and self._is_protected(row)
        }

    @property
    def followed(self) -> Mapping[PositionKey, Position]:
        """The rows whose stops prices move."""
        return self._followed

    def drive(self, driving: bool) -> None:
        """Whether this process moves the states: then they are newer here than in the records."""
        self._drives = driving

    def restore(self, rows: Iterable[Position], records: Iterable[TrailingRecord] = ()) -> None:
        """Takes over what the committed active rows and records of this account say."""
        self._rows = {row.key: row for row in rows if row.account == self.account}
        states = {record.position_id: record.state for record in records}
        if self._drives:
            states |= {stop.position_id: stop.state for stop in self._stops.values()}
        self._followed = followed = self.protected if self.follows_prices else {}
        self._stops = {
            key: self._stop(row, states.get(row.position_id, TrailingState()))
            for key, row in self._rows.items()
            if row.has_trailing_stop or key in followed or row.position_id in states
        }

    def _stop(self, row: Position, state: TrailingState) -> TrailingStop:
        before = self._stops.get(row.key)
        known = before is not None and before.position_id == row.position_id and before.activated
        activated = row.trailing_activated or known or state.phase is TrailingPhase.ACTIVE
        return TrailingStop(position_id=row.position_id, key=row.key, activated=activated, state=state)

    def _is_protected(self, row: Position) -> bool:
        return row.origin is Origin.BOT or (self._plan is not None and self._plan.protect_adopted)

    def take(self, symbol: str, price: Decimal, at_ms: int, catalog: InstrumentCatalog) -> bool:
        """A price of a symbol: every followed position of it advances. The last one again: moves that waited are made.

        Returns whether a trigger or a phase moved, which is to be written at once.

        Args:
            price: Quote units.
            at_ms: Our clock.
        """
        moved = False
        if self._plan is None:
            return moved
        for key, row in self.followed.items():
            stop = self._stops.get(key)
            if key.symbol != symbol or stop is None or row.entry_price is None:
                continue
            instrument = catalog.get(symbol)
            tick = instrument.price_tick if instrument is not None else None
            trail = Trail(side=key.side, entry_price=row.entry_price, price_tick=tick)
            state = advance(stop.state, price, at_ms, trail, self._plan.trailing.policy)
            if state == stop.state:
                continue
            moved = moved or (state.phase, state.trigger_price) != (stop.state.phase, stop.state.trigger_price)
            self._stops[key] = self._stop(row, state)
        return moved

    async def on_position_closed(self, symbol: str | PositionKey, realized_pnl: Decimal | None = None) -> None:
        """Ends following that position; nothing happens if it is not followed.

        Its stop orders are cancelled by the effects that were committed with the close, so that a crash here loses none.

        Args:
            symbol: A key, or a bare symbol where it is unique.
            realized_pnl: Gross, settle asset; for the log only.

        Raises:
            AmbiguousSymbol: The bare symbol fits several followed positions.
        """
        key = key_of(symbol, self._stops)
        if key is None:
            return
        del self._stops[key]
        self._rows.pop(key, None)
        self._followed = {each: row for each, row in self._followed.items() if each != key}
        _log.info(
            "trailing.removed",
            account=self.account,
            symbol=key.symbol,
            side=key.side.value,
            realized_pnl=str(realized_pnl),
        )
