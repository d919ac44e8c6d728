"""The daily sign of life of a running daemon, with what stands open: who gets none knows that something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trueup.core.notices import heartbeat
from trueup.engine.telling import Teller
from trueup.model.effects import EffectKind, EffectState
from trueup.model.holds import HoldState

if TYPE_CHECKING:
    from trueup.engine.settings import AccountPlan
    from trueup.ports import Clock, Owner, Store

__all__ = ["Heart"]

_LOOK_EVERY_S = 60.0


class Heart:
    """One daemon's. It beats through its first account, for all of them; the store keeps when it last did."""

    def __init__(self, plans: tuple[AccountPlan, ...], store: Store, clock: Clock) -> None:
        self._plans = plans
        self._store = store
        self._clock = clock
        self._next_look_s = float("-inf")

    async def beat(self, owner: Owner) -> None:
        """Tells it when a day has passed since the last time, and at the first start; also below ``min_severity``."""
        plan = self._plans[0]
        if not plan.alerts.places or self._clock.monotonic_s() < self._next_look_s:
            return
        self._next_look_s = self._clock.monotonic_s() + _LOOK_EVERY_S
        teller, now = Teller(plan, self._store, self._clock), self._clock.now_ms()
        if not await teller.is_due(heartbeat(plan.name, (), now)):
            return
        standing = [line for each in self._plans for line in await self._standing(each.name)]
        await teller.tell(owner, [heartbeat(plan.name, standing, now)])

    async def _standing(self, account: str) -> list[str]:
        """What waits for somebody in an account, in words."""
        rows = await self._store.positions(account=account)
        suspected = sum(1 for row in rows if row.suspected_since_ms is not None)
        holds = await self._store.holds(account=account, states=(HoldState.OPEN,))
        stuck = await self._store.effects(account=account, states=(EffectState.ESCALATED,))
        untold = sum(1 for effect in stuck if effect.kind is EffectKind.NOTIFY)
        counts = (
            (len(holds), "waiting for your decision"),
            (suspected, "suspected"),
            (len(stuck) - untold, "not carried out on the venue"),
            (untold, "alerts not delivered"),
        )
        return [f"{account}: {count} {what}" for count, what in counts if count]
