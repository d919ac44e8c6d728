"""`SqlStore`: the port `trueup.ports.Store` over SQLite or PostgreSQL. Each method's work is in the module it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trueup.model.changes import ActiveBook, ChangeSet, Committed, RecordedOrder, RecordedTrade
from trueup.model.effects import Effect, EffectKind, EffectState
from trueup.model.events import Event
from trueup.model.holds import Hold, HoldState, Mark
from trueup.model.observations import Identity
from trueup.model.positions import Position
from trueup.model.trailing import TrailingRecord
from trueup.ports import Owner, Record, Request, Standing, StoredObservation, Waiting
from trueup.store import commit, desk, migrate, owners, queries
from trueup.store.database import Database, Location, finishing

__all__ = ["SqlStore"]


@finishing
class SqlStore:
    """See `trueup.ports.Store` for what each method promises."""

    def __init__(self, location: Location) -> None:
        self._database = Database(location)

    def __repr__(self) -> str:
        return f"SqlStore({str(self._database.location)!r})"

    async def open(self) -> None:
        self._database.reopen()
        await migrate.ensure(self._database)

    async def aclose(self) -> None:
        await self._database.dispose()

    async def claim(self, account: str, holder: str, ttl_s: float) -> Owner:
        return await owners.claim(self._database, account, holder, ttl_s)

    async def renew(self, held: Sequence[Owner], ttl_s: float) -> list[Owner]:
        return await owners.renew(self._database, held, ttl_s)

    async def release(self, owner: Owner) -> None:
        await owners.release(self._database, owner)

    async def owner_of(self, account: str) -> Owner | None:
        return await owners.owner_of(self._database, account)

    async def active(self, account: str) -> ActiveBook:
        return await queries.active(self._database, account)

    async def positions(self, *, status: str = "active", account: str | None = None) -> list[Position]:
        return await queries.positions(self._database, status, account)

    async def position(self, position_id: int) -> Position | None:
        return await queries.position(self._database, position_id)

    async def commit(self, owner: Owner, changes: ChangeSet) -> Committed:
        return await commit.commit(self._database, owner, changes)

    async def orders_of(self, position_id: int) -> list[RecordedOrder]:
        return await queries.orders_of(self._database, position_id)

    async def recorded_orders(self, account: str) -> list[RecordedOrder]:
        return await queries.recorded_orders(self._database, account)

    async def record_of(self, position_id: int) -> Record | None:
        return await queries.record_of(self._database, position_id)

    async def trades_of(self, position_id: int) -> list[RecordedTrade]:
        return await queries.trades_of(self._database, position_id)

    async def events(
        self,
        *,
        account: str | None = None,
        position_id: int | None = None,
        type: str | None = None,  # noqa: A002 - the contract's word
        after_id: int = 0,
        limit: int | None = None,
    ) -> list[Event]:
        return await queries.events(
            self._database, account=account, position_id=position_id, kind=type, after_id=after_id, limit=limit
        )

    async def observations_of(self, position_id: int | None = None, since_ms: int = 0) -> list[StoredObservation]:
        return await queries.observations_of(self._database, position_id, since_ms)

    async def effects(
        self,
        *,
        account: str | None = None,
        states: Sequence[EffectState] = (),
        kind: EffectKind | None = None,
        since_ms: int = 0,
    ) -> list[Effect]:
        return await queries.effects(self._database, account, states, kind, since_ms)

    async def holds(self, *, account: str | None = None, states: Sequence[HoldState] = ()) -> list[Hold]:
        return await queries.holds(self._database, account, states)

    async def marks(self, account: str) -> list[Mark]:
        return await queries.marks(self._database, account)

    async def trailing(self, account: str) -> list[TrailingRecord]:
        return await queries.trailing(self._database, account)

    async def pin_of(self, account: str) -> Identity | None:
        return await desk.pin_of(self._database, account)

    async def set_pin(self, owner: Owner, identity: Identity | None, at_ms: int) -> None:
        await desk.set_pin(self._database, owner, identity, at_ms)

    async def set_paused(self, account: str, paused: bool, at_ms: int) -> None:
        await desk.set_paused(self._database, account, paused, at_ms)

    async def is_paused(self, account: str) -> bool:
        return await desk.is_paused(self._database, account)

    async def standing(self, account: str) -> Standing:
        return await desk.standing(self._database, account)

    async def set_account_states(self, states: Mapping[str, tuple[str, int]]) -> None:
        await desk.set_account_states(self._database, states)

    async def account_states(self, account: str | None = None) -> dict[str, tuple[str, int]]:
        return await desk.account_states(self._database, account)

    async def ask(self, account: str, kind: str, payload: str, at_ms: int) -> int:
        return await desk.ask(self._database, account, kind, payload, at_ms)

    async def waiting(self, now_ms: int) -> Waiting:
        return await desk.waiting(self._database, now_ms)

    async def take_requests(self, owner: Owner) -> list[Request]:
        return await desk.take_requests(self._database, owner)

    async def answer(self, request_id: int, result: str, at_ms: int) -> None:
        await desk.answer(self._database, request_id, result, at_ms)

    async def request(self, request_id: int) -> Request | None:
        return await desk.request(self._database, request_id)

    async def count_events(self, type: str, *, account: str, since_ms: int) -> int:  # noqa: A002
        return await queries.count_events(self._database, type, account, since_ms)
