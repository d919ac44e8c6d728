"""Decides on what the stream said, as soon as it proves something: a close is in the book before anybody asks the venue.

1. It goes through the same pure decision and the same transaction as a look. Only what fills prove is decided here; whatever is
   not proven within a moment is left to a look.
2. Only rows that a look found true since the stream came up: what the stream said since then is all that happened to them.
3. Nothing decided before an await is trusted after it: the row is read afresh, and the store refuses one that changed meanwhile.
4. A look whose view is older than what was decided here decides nothing on that key (`AccountReconciler.decided`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import structlog

from trueup.core.cases import Adjust, Case, Close, Verdict, Verified
from trueup.core.decide import decide_key
from trueup.core.heard import flipped_case, heard_case, is_provable
from trueup.core.records import known_orders, recorded_opening
from trueup.core.settle import settle
from trueup.core.situation import Situation
from trueup.model.errors import Conflict
from trueup.model.positions import AccountMode, PositionStatus

if TYPE_CHECKING:
    from trueup.engine.account import AccountReconciler
    from trueup.engine.hearing import Hearing
    from trueup.model.changes import RecordedOrder
    from trueup.ports import Clock, Meter, Owner, Record, Store

__all__ = ["Listener", "Outcome"]

_log = structlog.get_logger("trueup.streams")


class Outcome(StrEnum):
    """What became of a symbol's news."""

    DECIDED = "decided"  # nothing is left for a look
    WAITS = "waits"  # they prove nothing yet: their companions may
    LEFT = "left"  # only a look can tell


class Listener:
    """One account's decisions on its stream. `meter` counts what was written."""

    def __init__(self, reconciler: AccountReconciler, store: Store, clock: Clock) -> None:
        self._reconciler = reconciler
        self._store = store
        self._clock = clock
        self.meter: Meter | None = None

    async def decide(self, owner: Owner, hearing: Hearing, symbol: str, *, settled: bool) -> Outcome:
        """Decides what the news of a symbol prove, and commits it.

        Args:
            settled: The companions of the news were waited for: a change of the quantity may be decided too.

        Raises:
            NotOwner: Another process took the account over; nothing was changed.
            StoreUnavailable: The book cannot be read or written; nothing was changed.
        """
        known = self._known(hearing, symbol)
        if known is None:
            return Outcome.LEFT
        if not known:
            return Outcome.DECIDED if hearing.is_booked(symbol) else Outcome.LEFT
        decided: list[tuple[Case, Verdict]] = []
        recorded: list[RecordedOrder] = []
        whole = True
        for position_id in known:
            record = await self._store.record_of(position_id)
            if record is None or record.row.status is not PositionStatus.ACTIVE or record.paused:
                return Outcome.LEFT
            case = await self._case(hearing, record)
            verdict = decide_key(case) if case is not None else None
            if case is None or verdict is None or not is_provable(verdict):
                whole = False
                continue
            if isinstance(verdict, Adjust) and not settled:
                return Outcome.WAITS
            decided.append((case, verdict))
            recorded.extend(record.orders)
            flipped = flipped_case(case) if isinstance(verdict, Close) else None
            if flipped is not None:
                other = decide_key(flipped)
                whole = whole and is_provable(other)
                decided += [(flipped, other)] if is_provable(other) else []
        changed = [one for one in decided if not isinstance(one[1], Verified)]
        if changed and not await self._commit(owner, changed, recorded):
            return Outcome.LEFT
        for _, verdict in changed:
            lifecycle = getattr(verdict, "lifecycle", None)
            hearing.book(symbol, (part.fill for part in lifecycle.parts) if lifecycle is not None else ())
        return Outcome.DECIDED if whole else Outcome.WAITS

    def _known(self, hearing: Hearing, symbol: str) -> list[int] | None:
        """The rows of the symbol, where a look found all of its keys true since the stream came up; None: it did not."""
        found = self._reconciler.found_true
        observes = self._reconciler.plan.mode is AccountMode.OBSERVE
        if observes or found is None or hearing.up_s is None or found.began_s < hearing.up_s:
            return None
        if symbol in found.doubtful:
            return None
        return [position_id for position_id, key in found.keys.items() if key.symbol == symbol]

    async def _case(self, hearing: Hearing, record: Record) -> Case | None:
        symbol = record.row.symbol
        catalog = await self._reconciler.venue.catalog()
        return heard_case(
            record.row,
            catalog.get(symbol),
            self._reconciler.plan.policy,
            slots=hearing.slots(symbol),
            heard=hearing.fills(symbol),
            recorded=[trade.fill for trade in record.trades],
            opening=recorded_opening(record.trades),
            orders=hearing.orders(symbol),
            known_orders=known_orders(record.orders),
            now_ms=self._reconciler.venue_now_ms(),
        )

    async def _commit(self, owner: Owner, changed: list[tuple[Case, Verdict]], recorded: list[RecordedOrder]) -> bool:
        plan = self._reconciler.plan
        situation = Situation(
            account=plan.name,
            venue=plan.venue,
            mode=plan.mode,
            applies=True,
            now_ms=self._clock.now_ms(),
            active_count=len(changed),
            recent_absences=0,
            mass_close_fraction=plan.mass_close_fraction,
            recorded=tuple(recorded),
        )
        settlement = settle(changed, situation)
        try:
            await self._reconciler.commit_heard(owner, changed, settlement, situation)
        except Conflict as conflict:
            _log.info("stream.overtaken", account=plan.name, problem=str(conflict))
            return False
        if self.meter is not None:
            self.meter.heard(plan.name, settlement.closed, len(settlement.changed))
        for case, verdict in changed:
            _log.info("stream.decided", account=plan.name, key=str(case.key), verdict=type(verdict).__name__.lower())
        return True
