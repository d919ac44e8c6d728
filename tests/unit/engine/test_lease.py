"""Leases that are renewed while their holder works."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from telling_parts import Desk, HandClock, open_desk

from trueup.engine.lease import Leases
from trueup.model.errors import StoreUnavailable


class SlowStore:
    """A store whose renewals end when the database lets them, cancelled or not."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.renewing = asyncio.Event()
        self.unlocked = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk.store, name)

    async def renew(self, held: Any, ttl_s: float) -> Any:
        self.renewing.set()
        try:
            await self.unlocked.wait()
        except asyncio.CancelledError:
            await self.unlocked.wait()
            raise
        return await self._desk.store.renew(held, ttl_s)


@pytest.fixture
async def desk() -> Desk:
    desk = await open_desk()
    await desk.store.release(desk.owner)
    return desk


async def test_a_cancellation_that_comes_while_a_lease_is_renewed_ends_its_holder(desk: Desk) -> None:
    store = SlowStore(desk)
    leases = Leases(cast("Any", store), HandClock(), "daemon", 30)

    async def work() -> None:
        async with leases.holding("main"):
            await store.renewing.wait()
        await asyncio.Event().wait()

    holder = asyncio.create_task(work())
    await store.renewing.wait()
    await asyncio.sleep(0)
    holder.cancel()
    store.unlocked.set()
    done, _ = await asyncio.wait((holder,), timeout=5)
    assert done, "it lives on"
    assert holder.cancelled()
    assert await desk.store.owner_of("main") is None, "given back on the way out"


async def test_a_renewal_that_fails_unexpectedly_is_not_the_last_one(desk: Desk) -> None:
    renewals = iter([LookupError("a column that was always there"), StoreUnavailable("no answer")])
    renewed = asyncio.Event()

    class BrokenStore(SlowStore):
        async def renew(self, held: Any, ttl_s: float) -> Any:
            await asyncio.sleep(0)
            for failure in renewals:
                raise failure
            renewed.set()
            return await desk.store.renew(held, ttl_s)

    leases = Leases(cast("Any", BrokenStore(desk)), HandClock(), "daemon", 30)
    async with leases.holding("main"):
        await asyncio.wait_for(renewed.wait(), 5)
