"""The venue's own trailing stops, on served venues (numbers: invariants of engine/native.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, cast

import pytest

from tests.support.guard import Guard, open_house
from trueup.engine.native import NativeTrailing
from trueup.engine.settings import TrailingKind, TrailingPlan
from trueup.model.changes import ChangeSet, Committed
from trueup.model.errors import Conflict, Rejected, StoreUnavailable
from trueup.ports import Owner
from trueup.sim.world.types import AttachedStops, ConditionalKind

BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])


class Killed(BaseException):
    """The process ends here."""


class Failing:
    """A store whose commits that change a row fail, or a venue that fails to place, before or after it did."""

    def __init__(self, target: Any, failure: BaseException, *, after: bool = False) -> None:
        self._target, self._failure, self._after = target, failure, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    async def commit(self, owner: Owner, changes: ChangeSet) -> Committed:
        if changes.updates:
            raise self._failure
        committed: Committed = await self._target.commit(owner, changes)
        return committed

    async def place_trailing(self, *given: Any) -> None:
        if self._after:
            await self._target.place_trailing(*given)
        raise self._failure


@pytest.fixture
async def guard(venue: str) -> AsyncIterator[Guard]:
    async with open_house() as house:
        opened = house.guard("g", venue, trailing=TrailingPlan(kind=TrailingKind.NATIVE))
        opened.world.open_position("g", "ETHUSDT", "long", "2")
        await opened.run()
        yield opened


async def step(guard: Guard, *, store: Any = None, venue: Any = None) -> None:
    """One round of a process that has just started."""
    await guard.manager.load_positions_from_db()
    manager = guard.manager.trailing_managers["g"]
    native = NativeTrailing(
        guard.plan, manager, cast("Any", venue or guard.venue), cast("Any", store or guard.store), guard.clock
    )
    await native.step(await guard.owner())


def set_on(guard: Guard) -> list[Any]:
    held = guard.world.look("g").open_conditionals("ETHUSDT")
    return [order for order in held if order.kind is ConditionalKind.TRAILING_STOP]


async def is_told_once_and_ours(guard: Guard) -> None:
    assert len(set_on(guard)) == 1
    assert len(await guard.events("TRAILING_STOP_SET")) == 1
    row = await guard.row()
    assert row.has_trailing_stop
    kept = [order for order in await guard.store.orders_of(row.position_id) if order.kind.value == "trailing_stop"]
    assert [(order.ours, order.status.value) for order in kept] == [(True, "open")]


@BOTH
@pytest.mark.parametrize("failure", [Conflict("a look wrote the row"), StoreUnavailable("no answer"), Killed()])
async def test_5_what_was_set_is_ours_though_it_could_not_be_written(guard: Guard, failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        await step(guard, store=Failing(guard.store, failure))
    guard.restart()
    await guard.run()
    await step(guard)
    await step(guard)
    await is_told_once_and_ours(guard)


@BOTH
async def test_5_so_it_is_after_a_kill_right_after_it_was_sent(guard: Guard) -> None:
    with pytest.raises(Killed):
        await step(guard, venue=Failing(guard.venue, Killed(), after=True))
    guard.restart()
    await step(guard)
    await is_told_once_and_ours(guard)


@pytest.mark.parametrize("venue", ["bybit"])
async def test_5_after_a_refusal_one_that_the_user_sets_is_the_users(guard: Guard) -> None:
    refused = Rejected("bybit trailing stop", "10001", "params error")
    await step(guard, venue=Failing(guard.venue, refused))
    theirs = AttachedStops(trailing_distance=Decimal(20))
    guard.world.set_attached_stops("g", "ETHUSDT", guard.leg("long"), theirs)
    await guard.run()
    await step(guard)
    row = await guard.row()
    assert not row.has_trailing_stop
    assert await guard.events("TRAILING_STOP_SET") == []
    [told] = await guard.events("TRAILING_STOP_FAILED")
    assert told["code"] == "10001"
    assert [order.callback_distance for order in set_on(guard)] == [20]
