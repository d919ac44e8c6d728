"""Whose account a key answers for: pinned at first sight, held against the pin ever after.

1. A key that answers for another account changes nothing of the book, however cleanly it answers.
2. That is told once, with a hold that waits for a person; it ends when the key answers for the pinned account again, or when a
   person accepts the other one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trueup.core import narrate
from trueup.engine.telling import Teller
from trueup.model.changes import ChangeSet
from trueup.model.errors import AccountMismatch
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.holds import Hold, HoldKind, HoldState, HoldUpdate, NewHold

if TYPE_CHECKING:
    from trueup.engine.settings import AccountPlan
    from trueup.ports import Clock, Owner, Store, Venue

__all__ = ["IdentityCheck"]


class IdentityCheck:
    """One account's key."""

    def __init__(self, plan: AccountPlan, venue: Venue, store: Store, clock: Clock) -> None:
        self._plan, self._venue, self._store, self._clock = plan, venue, store, clock
        self._teller = Teller(plan, store, clock)
        self._identified = False

    async def check(self, owner: Owner, *, record: bool, first: bool = False) -> None:
        """Pins the account at first sight, and holds the key against the pin.

        Args:
            record: Anything may be written.
            first: Only if it was not checked yet.

        Raises:
            AccountMismatch: It answers for another account.
        """
        if first and self._identified:
            return
        identity = await self._venue.identity()
        pinned = await self._store.pin_of(self._plan.name)
        if pinned is None:
            if record:
                await self._store.set_pin(owner, identity, self._clock.now_ms())
                await self._tell(
                    owner,
                    EventType.IDENTITY_PINNED,
                    Severity.INFO,
                    {"fingerprint": identity.fingerprint, "strength": identity.strength},
                )
        elif pinned.fingerprint != identity.fingerprint:
            self._identified = False
            raise AccountMismatch(self._plan.name, pinned.fingerprint, identity.fingerprint)
        elif record:
            await self._again(owner)
        self._identified = True

    async def _again(self, owner: Owner) -> None:
        """The key answers for the pinned account: a hold that says otherwise is over."""
        holds = [hold for hold in await self._holds() if hold.state is not HoldState.APPROVED]
        if holds:
            now = self._clock.now_ms()
            updates = tuple(HoldUpdate(hold_id=hold.hold_id, state=HoldState.WITHDRAWN, at_ms=now) for hold in holds)
            events = tuple(narrate.identity_again(hold, now) for hold in holds)
            await self._teller.commit(
                owner, ChangeSet(account=self._plan.name, now_ms=now, hold_updates=updates, events=events)
            )

    async def _holds(self) -> list[Hold]:
        states = (HoldState.OPEN, HoldState.APPROVED, HoldState.REJECTED)
        holds = await self._store.holds(account=self._plan.name, states=states)
        return [hold for hold in holds if hold.kind is HoldKind.IDENTITY]

    async def tell_mismatch(self, owner: Owner, error: AccountMismatch) -> None:
        """The audit log's word of a foreign key, once, and a hold for a person; nothing of the account's book changes."""
        fingerprint = f"{error.pinned}:{error.found}"
        now = self._clock.now_ms()
        told = narrate.mismatch(self._plan.name, error.pinned, error.found, now)
        if any(hold.fingerprint == fingerprint for hold in await self._holds()):
            await self._teller.remind(owner, [told])
            return
        hold = NewHold(
            account=self._plan.name,
            kind=HoldKind.IDENTITY,
            fingerprint=fingerprint,
            keys=(),
            summary=f"the book belongs to venue account {error.pinned}, the key answers for {error.found}",
            raised_at_ms=now,
        )
        await self._teller.commit(owner, ChangeSet(account=self._plan.name, now_ms=now, holds=(hold,), events=(told,)))

    async def _tell(self, owner: Owner, kind: EventType, severity: Severity, data: dict[str, object]) -> None:
        now = self._clock.now_ms()
        event = NewEvent(type=kind, severity=severity, account=self._plan.name, at_ms=now, data=data)
        await self._teller.commit(owner, ChangeSet(account=self._plan.name, now_ms=now, events=(event,)))
