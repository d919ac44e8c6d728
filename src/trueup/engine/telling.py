"""Telling people: notices written with the events that they tell, and delivered without keeping anything else waiting.

1. `Teller.commit` is how the engine writes events: their notices are effects of the same transaction.
2. A notice is delivered at least once at each place. A place that fails is tried again with growing waits, and escalated; nothing
   is dropped. It holds up neither another place nor anything that is done on the venue.
3. Where no place is configured, nothing is written and nothing counts as undelivered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
import structlog

from trueup.core.notices import LONGEST_REPEAT_MS, notice_effects, notices_of, told_name, untold
from trueup.model.changes import ChangeSet, Committed
from trueup.model.effects import Effect, EffectKind, EffectState, EffectUpdate, NewEffect, Notice
from trueup.model.errors import NotDelivered
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.values import from_json

if TYPE_CHECKING:
    from trueup.engine.settings import AccountPlan
    from trueup.ports import Clock, Notifier, Owner, Store

__all__ = ["NoticesWorker", "Teller"]

_log = structlog.get_logger("trueup.alerts")

_ATTEMPTS_PER_PASS = 2
_FIRST_DELAY_MS = 1_000
_LONGEST_DELAY_MS = 300_000
_UNFINISHED = (EffectState.PENDING, EffectState.ESCALATED)


class Teller:
    """Writes changes of one account, and with their events the notices that tell them."""

    def __init__(self, plan: AccountPlan, store: Store, clock: Clock) -> None:
        self._plan = plan
        self._store = store
        self._clock = clock

    async def commit(self, owner: Owner, changes: ChangeSet) -> Committed:
        """As `Store.commit`."""
        told = await self._due(notices_of(changes.events, self._plan.alerts.min_severity))
        if told:
            changes = msgspec.structs.replace(changes, effects=(*changes.effects, *told))
        return await self._store.commit(owner, changes)

    async def remind(self, owner: Owner, standing: Iterable[NewEvent]) -> None:
        """Tells again what still stands, where its repetition is due. The events themselves are not written again."""
        await self.tell(owner, notices_of(standing, self._plan.alerts.min_severity))

    async def tell(self, owner: Owner, notices: list[Notice]) -> None:
        """Writes notices that belong to no change, where they are due."""
        told = await self._due(notices)
        if told:
            now = self._clock.now_ms()
            await self._store.commit(owner, ChangeSet(account=self._plan.name, now_ms=now, effects=tuple(told)))

    async def is_due(self, notice: Notice) -> bool:
        """Whether it would be told now."""
        return bool(await self._due([notice]))

    async def _due(self, notices: list[Notice]) -> list[NewEffect]:
        places = self._plan.alerts.places
        if not notices or not places:
            return []
        now = self._clock.now_ms()
        told: dict[str, int] = {}
        for effect in await self._store.effects(
            account=self._plan.name, kind=EffectKind.NOTIFY, since_ms=max(0, now - LONGEST_REPEAT_MS)
        ):
            name = told_name(effect.dedup_key)
            told[name] = max(effect.created_at_ms, told.get(name, 0))
        return notice_effects(untold(notices, told, now), places, now)


class NoticesWorker:
    """Delivers one account's notices. One pass at a time, whoever asks for it."""

    def __init__(self, plan: AccountPlan, store: Store, clock: Clock, notifier: Notifier | None) -> None:
        self._plan = plan
        self._store = store
        self._clock = clock
        self._notifier = notifier
        self._passing = asyncio.Lock()

    async def run_pass(self, owner: Owner, *, due_only: bool) -> None:
        """Tries what waits, each place on its own; the first failure of a place ends its part of the pass.

        Raises:
            NotOwner: The account was taken over.
            StoreUnavailable: The outcome could not be written: that notice may be told twice.
        """
        if self._notifier is None:
            return
        async with self._passing:
            waiting = await self._store.effects(account=self._plan.name, states=_UNFINISHED, kind=EffectKind.NOTIFY)
            by_place: dict[int, list[tuple[Effect, Notice]]] = {}
            for effect in waiting:
                notice = from_json(effect.payload, Notice)
                by_place.setdefault(notice.place, []).append((effect, notice))
            places = [self._place(self._notifier, owner, mine, due_only=due_only) for mine in by_place.values()]
            for ended in await asyncio.gather(*places, return_exceptions=True):
                if isinstance(ended, BaseException):
                    raise ended

    async def undelivered(self, *, failed_only: bool) -> int:
        """Notices that wait. `failed_only`: without those that nobody has tried to deliver yet."""
        if self._notifier is None or not self._notifier.places:
            return 0
        states = (EffectState.ESCALATED,) if failed_only else _UNFINISHED
        return len(await self._store.effects(account=self._plan.name, states=states, kind=EffectKind.NOTIFY))

    async def _place(
        self, notifier: Notifier, owner: Owner, mine: list[tuple[Effect, Notice]], *, due_only: bool
    ) -> None:
        """One place's notices, oldest first, so that an all-clear never overtakes its trouble."""
        for effect, notice in mine:
            if due_only and effect.next_attempt_at_ms > self._clock.now_ms():
                return
            if not await self._deliver(notifier, owner, effect, notice):
                return

    async def _deliver(self, notifier: Notifier, owner: Owner, effect: Effect, notice: Notice) -> bool:
        problem: str | None = None
        attempts = effect.attempts
        outcome = "told"
        for number in range(1, _ATTEMPTS_PER_PASS + 1):
            if notice.place >= notifier.places:
                problem, outcome = None, f"alerts.urls[{notice.place}] is not configured any more"
                break
            attempts += 1
            try:
                await notifier.tell(notice)
            except NotDelivered as error:
                problem = str(error)
                _log.warning("notice.failed", account=self._plan.name, effect_id=effect.effect_id, problem=problem)
            else:
                problem = None
                break
            if number < _ATTEMPTS_PER_PASS:
                await self._clock.sleep(_FIRST_DELAY_MS / 1000)
        await self._write(owner, effect, notice, attempts, problem, outcome)
        return problem is None

    async def _write(
        self, owner: Owner, effect: Effect, notice: Notice, attempts: int, problem: str | None, outcome: str
    ) -> None:
        now = self._clock.now_ms()
        done = problem is None
        update = EffectUpdate(
            effect_id=effect.effect_id,
            state=EffectState.DONE if done else EffectState.ESCALATED,
            attempts=attempts,
            next_attempt_at_ms=now + min(_LONGEST_DELAY_MS, _FIRST_DELAY_MS * 2 ** min(attempts, 12)),
            outcome=outcome if done else None,
            last_error=problem,
            done_at_ms=now if done else None,
        )
        events = () if done or effect.state is EffectState.ESCALATED else (self._failed(notice, problem, now),)
        changes = ChangeSet(account=self._plan.name, now_ms=now, effect_updates=(update,), events=events)
        await self._store.commit(owner, changes)
        if done:
            _log.info("notice.told", account=self._plan.name, title=notice.title, place=notice.place)

    def _failed(self, notice: Notice, problem: str | None, now: int) -> NewEvent:
        """Told by log, status and metrics; a notice about a notice that cannot be delivered would help nobody."""
        return NewEvent(
            type=EventType.NOTICE_FAILED,
            severity=Severity.WARNING,
            account=self._plan.name,
            at_ms=now,
            symbol=notice.symbol,
            data={"title": notice.title, "place": notice.place, "problem": problem},
        )
