"""Holding an account: a lease that is renewed while its holder works, and given back when it is done.

A holder that was killed stops renewing, so the next one waits at most the lease. A holder that lost its lease learns it at its
next write: the store refuses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from trueup.model.errors import NotOwner, StoreUnavailable

if TYPE_CHECKING:
    from trueup.ports import Clock, Owner, Store

__all__ = ["holding"]

_log = structlog.get_logger("trueup.engine")


@asynccontextmanager
async def holding(store: Store, clock: Clock, account: str, holder: str, lease_s: float) -> AsyncIterator[Owner]:
    """The account's lease for the time of the block.

    Raises:
        NotOwner: Another holder's lease has not run out.
    """
    owner = await store.claim(account, holder, lease_s)
    renewing = asyncio.create_task(_renew(store, clock, owner, lease_s), name=f"lease {account}")
    try:
        yield owner
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        with suppress(NotOwner, StoreUnavailable):
            await store.release(owner)


async def _renew(store: Store, clock: Clock, owner: Owner, lease_s: float) -> None:
    while True:
        await clock.sleep(lease_s / 3)
        try:
            await store.renew(owner, lease_s)
        except StoreUnavailable as error:
            _log.warning("lease.not_renewed", account=owner.account, problem=str(error))
        except NotOwner:
            _log.warning("lease.lost", account=owner.account)
            return
