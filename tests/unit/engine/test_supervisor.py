"""What runs beside an account's audits: nothing of it ends unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from tests.support.guard import Guard, LeaseClock, open_house
from trueup.engine import supervisor
from trueup.engine.settings import TrailingKind, TrailingPlan
from trueup.engine.supervisor import Supervisor
from trueup.model.errors import NotOwner
from trueup.model.stream import StreamEvent, StreamHealth


@pytest.fixture
async def guard(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guard]:
    monkeypatch.setattr(supervisor, "_RETRY_S", 0.01)
    async with open_house() as house:
        yield house.guard("g", "bybit", trailing=TrailingPlan(kind=TrailingKind.OWN))


class Opener:
    """Fails at first; `again`: it was asked a second time."""

    def __init__(self, failure: Exception) -> None:
        self._failure = failure
        self._asked = False
        self.again = asyncio.Event()

    def prices(self, _account: str) -> None:
        """In the task that follows prices."""
        if self._asked:
            self.again.set()
            return
        self._asked = True
        raise self._failure

    def feed(self, account: str) -> Any:
        return _Stream(self, account)


class _Stream:
    """Fails in the task that reads it, as its opener does."""

    health = StreamHealth()

    def __init__(self, opener: Opener, account: str) -> None:
        self._opener, self._account = opener, account

    def start(self) -> None:
        """Nothing to connect."""

    async def aclose(self) -> None:
        """Nothing to close."""

    async def __aiter__(self) -> AsyncIterator[StreamEvent]:
        self._opener.prices(self._account)
        await asyncio.Event().wait()
        yield cast("StreamEvent", None)


@pytest.mark.parametrize(
    ("where", "failure"),
    [
        ("open_prices", LookupError("unexpected")),
        ("open_prices", NotOwner("another process owns it")),
        ("open_feed", LookupError("unexpected")),
    ],
)
async def test_an_account_begins_again_when_something_beside_its_audits_ends(
    guard: Guard, where: str, failure: Exception
) -> None:
    opener = Opener(failure)
    opens: dict[str, Any] = {where: opener.prices if where == "open_prices" else opener.feed}
    clock = LeaseClock(guard.world)
    daemon = Supervisor(guard.manager, (guard.runner,), guard.timing, guard.store, clock, "daemon", **opens)
    running = asyncio.create_task(daemon.run())
    try:
        await asyncio.wait_for(opener.again.wait(), 10)
    finally:
        running.cancel()
        await asyncio.wait((running,))
    assert [told["epoch"] for told in await guard.events("OWNER_CHANGED")] == [1, 2]
