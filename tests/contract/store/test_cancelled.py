"""Callers that are cancelled at any instant: what they began on a connection ends, and keeps nobody out."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Iterator

import pytest

from tests.contract.store.backends import SqlBackend
from tests.contract.store.values import NOW_MS
from trueup.ports import Store

CALLERS, ROUNDS = 100, 30
_LONGEST_S = 0.3
_AT_ONCE_S = 5.0
"""Far longer than a claim takes, far shorter than a database waits for a lock that nobody gives back."""


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """What is held by garbage is held."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def _busy(store: Store, name: str) -> None:
    while True:
        await store.claim(name, "alpha", 60)
        await store.standing(name)
        await store.active(name)
        await store.waiting(NOW_MS)


async def test_cancelled_callers_leave_no_lock_and_no_connection_behind(sql_backend: SqlBackend) -> None:
    store, chance = await sql_backend.store(), random.Random(1)
    for _ in range(ROUNDS):
        callers = [asyncio.create_task(_busy(store, f"account-{number}")) for number in range(CALLERS)]
        await asyncio.sleep(chance.random() * _LONGEST_S)
        for caller in callers:
            caller.cancel()
        ends = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends)
        async with asyncio.timeout(_AT_ONCE_S):
            await store.claim("another", "beta", 60)
            await store.active("another")


async def test_what_a_cancelled_caller_began_is_done_when_it_ends(sql_backend: SqlBackend) -> None:
    store = await sql_backend.store()
    seen = set()
    for number in range(60):
        name = f"account-{number}"
        caller = asyncio.create_task(store.claim(name, "alpha", 60))
        for _ in range(number % 30):
            await asyncio.sleep(0.0001)
        caller.cancel()
        await asyncio.wait((caller,))
        before = await store.owner_of(name)
        await store.claim("another", "alpha", 60)
        assert await store.owner_of(name) == before, "written after its caller had ended"
        seen.add((caller.cancelled(), before is not None))
    assert (True, False) in seen, "none was cancelled before it began"
    assert (False, False) not in seen, "a claim that was answered is not there"
