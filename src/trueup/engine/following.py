"""Follows the price with the stops of one account, for as long as this process owns it.

1. A new trigger is committed before anybody acts on it, and acted on by whoever keeps positions covered (told by `on_move`).
2. A moved trigger and a changed phase are written at once, a peak alone at a bounded rate: a restart continues from there.
3. Mark prices that stop to come are told once they are missing for `prices_down_s`, again when requests fail too, and when
   they are back. Nothing follows a price that nobody told.
4. A pause stops it, and so does anything that the store refuses: it is tried again. Until the book was read once, nothing is
   followed, and health does not say that prices come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import structlog

from trueup.engine.prices import PriceWatch
from trueup.engine.telling import Teller
from trueup.engine.trailing import TrailingHealth
from trueup.model.changes import ChangeSet, UpdatePosition
from trueup.model.errors import AuthenticationRefused, Conflict, NotOwner, StoreUnavailable, Unobserved
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.positions import PositionStatus
from trueup.model.trailing import TrailingPhase, TrailingRecord, TrailingState

if TYPE_CHECKING:
    from trueup.engine.settings import AccountPlan, Timing
    from trueup.engine.trailing import SmartTrailingStopManager, TrailingStop
    from trueup.model.instruments import InstrumentCatalog
    from trueup.model.positions import Position
    from trueup.ports import Clock, Owner, PriceSource, Store, Venue

__all__ = ["Follower"]

_log = structlog.get_logger("trueup.trailing")

_SOON_S = 0.25
_ROUND_S = 1.0
_RETRY_S = 1.0
_PAUSE_ASKED_S = 1.0
_REMIND_MS = 60_000


class _Outage:
    """Prices that do not come: since when, what was told of it (None: nothing yet), and when that was looked at last."""

    def __init__(self, since_ms: int) -> None:
        self.since_ms = since_ms
        self.looked_at_ms = since_ms
        self.told: str | None = None


class Follower:
    """One account's."""

    def __init__(
        self,
        plan: AccountPlan,
        timing: Timing,
        manager: SmartTrailingStopManager,
        venue: Venue,
        store: Store,
        clock: Clock,
        open_prices: Callable[[str], PriceSource | None],
    ) -> None:
        self._plan, self._timing, self._manager = plan, timing, manager
        self._venue, self._store, self._clock, self._open_prices = venue, store, clock, open_prices
        self._teller = Teller(plan, store, clock)
        self._saved: dict[int, TrailingRecord] = {}
        self._outage: _Outage | None = None
        self._moved = asyncio.Event()
        self.on_move: Callable[[], None] = lambda: None
        self._catalog: InstrumentCatalog | None = None
        self._paused = False
        self._asked_pause_s = float("-inf")

    async def run(self, owner: Owner) -> None:
        """Until cancelled. What goes wrong is logged and tried again."""
        if not self._manager.follows_prices:
            return
        try:
            while not await self._has_begun():
                await self._clock.sleep(_RETRY_S)
            feed = self._open_prices(self._plan.name)
            async with PriceWatch(feed, self._venue, self._clock, self._timing, self.heard) as prices:
                while True:
                    await self._pass(owner, prices)
        finally:
            self._manager.drive(False)
            self._manager.health = TrailingHealth()

    async def _has_begun(self) -> bool:
        """Takes over where the stops stand in the book, from which this process moves them on; False: it could not be read."""
        try:
            records = await self._store.trailing(self._plan.name)
            book = await self._store.active(self._plan.name)
        except StoreUnavailable as error:
            _log.warning("trailing.not_begun", account=self._plan.name, problem=str(error))
            self._manager.health = TrailingHealth(following=len(self._manager.followed), fed=False)
            return False
        self._saved = {record.position_id: record for record in records}
        self._manager.restore(book.positions, records)
        self._manager.drive(True)
        self._manager.health = TrailingHealth()
        return True

    async def _pass(self, owner: Owner, prices: PriceWatch) -> None:
        """The loop's single handler."""
        wait_s = _RETRY_S
        try:
            await self.step(owner, prices)
            wait_s = _ROUND_S
        except NotOwner:
            raise
        except Conflict:
            wait_s = _SOON_S  # a look wrote the row meanwhile
        except (StoreUnavailable, Unobserved, AuthenticationRefused) as error:
            _log.warning("trailing.failed", account=self._plan.name, problem=str(error))
        except Exception:
            _log.exception("trailing.unexpected_failure", account=self._plan.name)
        if wait_s < _ROUND_S:
            await self._clock.sleep(wait_s)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._moved.wait()

    async def step(self, owner: Owner, prices: PriceWatch) -> None:
        """One round: what the prices moved since the last one is written."""
        self._moved.clear()
        followed = self._manager.followed
        await prices.want([key.symbol for key in followed])
        self._tell_health(len(followed), prices)
        if followed and await self._is_paused():
            return
        if followed:
            self._catalog = await self._venue.catalog()
        await prices.read_if_due()
        self._tell_health(len(followed), prices)
        await self._watch(owner, prices)
        for symbol, price in prices.prices.items():
            self.heard(symbol, price.value)  # a move that waited is made
        self._moved.clear()
        now = self._clock.now_ms()
        for key in followed:
            stop = self._manager.trailing_stops.get(key)
            if stop is not None and stop.state.peak_price is not None:
                await self._keep(owner, stop, now)

    async def _is_paused(self) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s - self._asked_pause_s >= _PAUSE_ASKED_S:
            self._paused = await self._store.is_paused(self._plan.name)
            self._asked_pause_s = now_s
        return self._paused

    def heard(self, symbol: str, price: Decimal) -> None:
        """Every price that is told, as it comes: a peak between two rounds counts."""
        if self._catalog is None or self._paused:
            return
        if self._manager.take(symbol, price, self._clock.now_ms(), self._catalog):
            self._moved.set()

    def _tell_health(self, following: int, prices: PriceWatch) -> None:
        self._manager.health = TrailingHealth(
            following=following, fed=prices.problem is None, moves=self._manager.health.moves
        )

    async def _keep(self, owner: Owner, stop: TrailingStop, now: int) -> None:
        """Writes where a stop stands, if it is time."""
        saved = self._saved.get(stop.position_id)
        before = saved.state if saved is not None else None
        if before == stop.state:
            return
        moved = before is None or before.trigger_price != stop.state.trigger_price
        urgent = moved or before is None or before.phase is not stop.state.phase
        if saved is not None and not urgent and now - saved.saved_at_ms < self._timing.peaks_saved_s * 1000:
            return
        row = await self._store.position(stop.position_id)
        if row is None or row.status is not PositionStatus.ACTIVE:
            return
        record = TrailingRecord(position_id=stop.position_id, state=stop.state, saved_at_ms=now)
        changes = ChangeSet(
            account=self._plan.name,
            now_ms=now,
            updates=_flags(row, stop),
            trailing=(record,),
            events=tuple(self._phase_events(row, before, stop, now)),
        )
        await self._teller.commit(owner, changes)
        self._saved[stop.position_id] = record
        if moved and stop.state.trigger_price is not None:
            self.on_move()
            health = self._manager.health
            self._manager.health = msgspec.structs.replace(health, moves=health.moves + 1)
            _log.info(
                "trailing.moved",
                account=self._plan.name,
                symbol=stop.key.symbol,
                side=stop.key.side.value,
                trigger=format(stop.state.trigger_price, "f"),
            )

    def _phase_events(
        self, row: Position, before: TrailingState | None, stop: TrailingStop, now: int
    ) -> list[NewEvent]:
        state, kinds = stop.state, []
        if stop.activated and not row.trailing_activated:
            kinds.append(EventType.TRAILING_STOP_ACTIVATED)
        if state.phase is TrailingPhase.TRIGGERED and (before is None or before.phase is not TrailingPhase.TRIGGERED):
            kinds.append(EventType.TRAILING_STOP_TRIGGERED)
        data: dict[str, object] = {
            "symbol": stop.key.symbol,
            "position_id": stop.position_id,
            "side": stop.key.side.value,
            "peak_price": format(state.peak_price, "f") if state.peak_price is not None else None,
            "trigger_price": format(state.trigger_price, "f") if state.trigger_price is not None else None,
        }
        return [self._event(kind, Severity.INFO, data, now, stop) for kind in kinds]

    async def _watch(self, owner: Owner, prices: PriceWatch) -> None:
        """A feed that does not bring what is followed is told when it lasts, and when it is over."""
        now, problem = self._clock.now_ms(), prices.problem
        if problem is None:
            outage, self._outage = self._outage, None
            if outage is not None and outage.told is not None:
                data: dict[str, object] = {"since_ms": outage.since_ms, "seconds": (now - outage.since_ms) // 1000}
                await self._write(owner, self._event(EventType.PRICE_FEED_UP_AGAIN, Severity.INFO, data, now))
            return
        outage = self._outage = self._outage or _Outage(now)
        if now - outage.since_ms < self._timing.prices_down_s * 1000:
            return
        fallback = "requests" if prices.read_problem is None else "none"
        if outage.told == fallback and now - outage.looked_at_ms < _REMIND_MS:
            return
        outage.looked_at_ms = now
        event = self._event(
            EventType.PRICE_FEED_DOWN,
            Severity.WARNING if fallback == "requests" else Severity.ERROR,
            {
                "since_ms": outage.since_ms,
                "problem": problem,
                "fallback": fallback,
                "fallback_problem": prices.read_problem,
                "following": self._manager.health.following,
            },
            now,
        )
        if outage.told != fallback:
            await self._write(owner, event)
            outage.told = fallback
        else:
            await self._teller.remind(owner, [event])

    async def _write(self, owner: Owner, event: NewEvent) -> None:
        await self._teller.commit(owner, ChangeSet(account=self._plan.name, now_ms=event.at_ms, events=(event,)))

    def _event(
        self,
        kind: EventType,
        severity: Severity,
        data: dict[str, object],
        now: int,
        stop: TrailingStop | None = None,
    ) -> NewEvent:
        return NewEvent(
            type=kind,
            severity=severity,
            account=self._plan.name,
            at_ms=now,
            symbol=stop.key.symbol if stop is not None else None,
            position_id=stop.position_id if stop is not None else None,
            data=data,
        )


def _flags(row: Position, stop: TrailingStop) -> tuple[UpdatePosition, ...]:
    """What the row does not say yet."""
    activated = stop.activated and not row.trailing_activated
    if row.has_trailing_stop and not activated:
        return ()
    return (
        UpdatePosition(
            position_id=row.position_id,
            version=row.version,
            has_trailing_stop=True,
            trailing_activated=True if activated else None,
        ),
    )
