"""Holding accounts: leases that are renewed while their holder works, and given back when it is done.

A holder that was killed stops renewing, so the next one waits at most the lease. A holder that lost its lease learns it at its
next write: the store refuses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from trueup.engine.tasks import end
from trueup.model.errors import NotOwner, StoreUnavailable

if TYPE_CHECKING:
    from trueup.ports import Clock, Owner, Store

__all__ = ["Leases"]

_log = structlog.get_logger("trueup.engine")


class Leases:
    """A process's: all that it holds are renewed together."""

    def __init__(self, store: Store, clock: Clock, holder: str, lease_s: float) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder
        self._lease_s = lease_s
        self._held: dict[str, Owner] = {}
        self._renewing: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def holding(self, account: str) -> AsyncIterator[Owner]:
        """The account's lease for the time of the block.

        Raises:
            NotOwner: Another holder's lease has not run out.
        """
        owner = await self._store.claim(account, self._holder, self._lease_s)
        self._held[account] = owner
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew(), name="leases")
        try:
            yield owner
        finally:
            if self._held.get(account) is owner:
                del self._held[account]
            try:
                await self._rest()
            finally:
                with suppress(NotOwner, StoreUnavailable):
                    await self._store.release(owner)

    async def _rest(self) -> None:
        """Nothing held: nothing to renew."""
        renewing = self._renewing
        if self._held or renewing is None:
            return
        self._renewing = None
        await end(renewing)

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._lease_s / 3)
            held = list(self._held.values())
            try:
                lost = await self._store.renew(held, self._lease_s)
            except StoreUnavailable as error:
                _log.warning("leases.not_renewed", accounts=len(held), problem=str(error))
                continue
            except Exception:
                # The loop's single handler: a holder that stops renewing would lose what it works on.
                _log.exception("leases.unexpected_failure", accounts=len(held))
                continue
            for owner in lost:
                _log.warning("lease.lost", account=owner.account)
                if self._held.get(owner.account) is owner:
                    del self._held[owner.account]
