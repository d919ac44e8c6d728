"""Looks again at closes of which the venue's history may tell more by now, and amends the record with an event.

1. Each is a durable effect that was recorded with the close: a crash forgets none.
2. It is ordinary reading, done after everything else; a venue that does not answer only delays it, and nobody is told.
3. It ends: with the better record, or when the venue's history has had its time to tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from trueup.core.amend import Amendment, amended, funding_is_final
from trueup.core.cases import Case, LookAgain, NeedsHistory
from trueup.core.rebuild import endings
from trueup.core.records import known_orders
from trueup.core.settle import settle_amended
from trueup.core.situation import Situation
from trueup.engine.histories import Histories
from trueup.engine.telling import Teller
from trueup.model.changes import ChangeSet
from trueup.model.effects import AmendClose, Effect, EffectKind, EffectState, EffectUpdate
from trueup.model.errors import AuthenticationRefused, Conflict, Rejected, RowsRefused, Unobserved
from trueup.model.positions import Evidence, Position, PositionStatus
from trueup.model.values import from_json

if TYPE_CHECKING:
    from trueup.engine.settings import AccountPlan
    from trueup.ports import Clock, Owner, Record, Store, Venue

__all__ = ["Amender"]

_log = structlog.get_logger("trueup.engine")

_PER_PASS = 5
_AFTER_FAILURE_MS = 30_000
_SOON_MS = (2_000, 30_000, 300_000)
_CREDITED_MS = (180_000,)
_LATER_MS = (60_000, 600_000, 3_600_000, 21_600_000, 86_400_000)
"""How long after the close its record is looked at: for one that fills prove, for one that lacks but late funding, and for one on
lesser evidence."""


class Amender:
    """One account's."""

    def __init__(self, plan: AccountPlan, venue: Venue, store: Store, clock: Clock) -> None:
        self._plan, self._venue, self._store, self._clock = plan, venue, store, clock
        self._teller = Teller(plan, store, clock)

    async def run_pass(self, owner: Owner) -> int:
        """Looks at those whose time has come, a few a pass; how many records it amended.

        Raises:
            NotOwner: The account was taken over; what was committed before stands.
        """
        done = 0
        waiting = await self._store.effects(
            account=self._plan.name,
            states=(EffectState.PENDING, EffectState.ESCALATED),
            kind=EffectKind.AMEND_CLOSE,
        )
        due = [effect for effect in waiting if self._is_due(effect)]
        for effect in due[:_PER_PASS]:
            done += await self._one(owner, effect, from_json(effect.payload, AmendClose))
        return done

    def _is_due(self, effect: Effect) -> bool:
        look_ms = _look_at_ms(effect, from_json(effect.payload, AmendClose), effect.attempts)
        return self._clock.now_ms() >= max(look_ms, effect.next_attempt_at_ms)

    async def _one(self, owner: Owner, effect: Effect, amend: AmendClose) -> bool:
        record = await self._store.record_of(amend.position_id)
        if record is None or record.row.status is not PositionStatus.CLOSED:
            await self._write(owner, effect, amend, "the book no longer has that close", ended=True)
            return False
        try:
            case, found = await self._found(record)
        except (Unobserved, Rejected, AuthenticationRefused) as error:
            await self._write(owner, effect, amend, str(error), ended=False, failed=True)
            return False
        if isinstance(found, str):
            last = effect.attempts + 1 >= len(_times(amend))
            await self._write(owner, effect, amend, found, ended=last)
            return False
        try:
            await self._amend(owner, effect, amend, record, case, found)
        except (Conflict, RowsRefused) as refused:
            await self._write(owner, effect, amend, str(refused), ended=False, failed=True)
            return False
        return True

    async def _found(self, record: Record) -> tuple[Case, Amendment | str]:
        row = record.row
        view = await self._venue.positions(row.symbol)
        catalog = await self._venue.catalog()
        sides = {report.side: report for report in view.reports if report.symbol == row.symbol}
        case = Case(
            ended=endings(await self._others(row)).get(row.key, ()),
            recorded_trade_ids=tuple(trade.fill.trade_id for trade in record.trades),
            known_orders=known_orders(record.orders),
            key=row.key,
            row=row,
            report=sides.get(row.side),
            opposite=sides.get(row.side.opposite),
            instrument=catalog.get(row.symbol),
            as_of_ms=view.as_of_ms,
            now_ms=view.received_at_ms,
            policy=self._plan.policy,
        )
        case, found = await Histories(self._venue).answered(case, amended)
        return case, found.why if isinstance(found, LookAgain | NeedsHistory) else found

    async def _others(self, row: Position) -> list[Position]:
        closed = await self._store.positions(status="closed", account=row.account)
        return [one for one in closed if one.position_id != row.position_id]

    async def _amend(
        self, owner: Owner, effect: Effect, amend: AmendClose, record: Record, case: Case, amendment: Amendment
    ) -> None:
        row, now = record.row, self._clock.now_ms()
        standing: list[Position] = []
        others: list[Position] = []
        if amendment.missed:  # active ones first: a row that closes meanwhile is in one of the two
            standing = list((await self._store.active(row.account)).positions)
            others = await self._others(row)
            standing += [one for one in others if one.close and one.close.evidence is not Evidence.FILLS]
        situation = Situation(
            account=row.account,
            venue=row.venue,
            mode=self._plan.mode,
            applies=True,
            now_ms=now,
            active_count=0,
            recent_absences=0,
            mass_close_fraction=self._plan.mass_close_fraction,
            recorded=record.orders,
            ended=endings(others),
        )
        settlement = settle_amended(case, row, amendment, situation, standing)
        changes = settlement.change_set(self._plan.name, now)
        told = str(settlement.events[0].data["why"])
        better, funding = amendment.lifecycle.close, case.history.funding if case.history is not None else None
        ended = better is None or funding_is_final(better, funding) or effect.attempts + 1 >= len(_times(amend))
        next_ms = max(now, _look_at_ms(effect, amend, effect.attempts + 1))
        update = _update(effect, now, told, next_ms=next_ms, ended=ended, failed=False)
        await self._teller.commit(owner, msgspec.structs.replace(changes, effect_updates=(update,)))
        _log.info("close.amended", account=self._plan.name, position_id=row.position_id, missed=len(settlement.opens))

    async def _write(
        self, owner: Owner, effect: Effect, amend: AmendClose, outcome: str, *, ended: bool, failed: bool = False
    ) -> None:
        now = self._clock.now_ms()
        next_ms = now + _AFTER_FAILURE_MS if failed else max(now, _look_at_ms(effect, amend, effect.attempts + 1))
        update = _update(effect, now, outcome, next_ms=next_ms, ended=ended, failed=failed)
        await self._store.commit(owner, ChangeSet(account=self._plan.name, now_ms=now, effect_updates=(update,)))


def _times(amend: AmendClose) -> tuple[int, ...]:
    if amend.grade != Evidence.FILLS.value:
        return _LATER_MS
    return _SOON_MS if amend.soon else _CREDITED_MS


def _look_at_ms(effect: Effect, amend: AmendClose, attempts: int) -> int:
    """When the look after so many is due."""
    times = _times(amend)
    return effect.created_at_ms + times[min(attempts, len(times) - 1)]


def _update(effect: Effect, now: int, outcome: str, *, next_ms: int, ended: bool, failed: bool) -> EffectUpdate:
    """A look that failed is not counted: only what the venue answered is an attempt."""
    return EffectUpdate(
        effect_id=effect.effect_id,
        state=EffectState.DONE if ended else EffectState.PENDING,
        attempts=effect.attempts if failed else effect.attempts + 1,
        next_attempt_at_ms=next_ms,
        outcome=outcome if ended else None,
        last_error=None,
        done_at_ms=now if ended else None,
    )
