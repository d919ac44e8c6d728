"""Tasks beside each other, and their end (numbers: invariants of engine/tasks.py)."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from trueup.engine.tasks import beside, end
from trueup.model.errors import StoreUnavailable


class Lingering:
    """A loop that, once it is cancelled, goes on until it may end; then it fails, if it is told to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.may_end = asyncio.Event()
        self.is_ending = asyncio.Event()
        self._failure = failure

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.is_ending.set()
            await self.may_end.wait()
            if self._failure is not None:
                raise self._failure


async def forever() -> None:
    await asyncio.Event().wait()


async def fail(error: Exception) -> None:
    raise error


async def test_1_the_first_that_fails_ends_the_others_and_is_raised() -> None:
    lingering = Lingering()
    lingering.may_end.set()
    with pytest.raises(StoreUnavailable, match="gone"):
        await beside({"working": lingering.run(), "following": fail(StoreUnavailable("gone"))})
    assert lingering.is_ending.is_set()


async def test_1_a_loop_that_just_returns_ends_the_others_and_is_told() -> None:
    with capture_logs() as log:
        await beside({"working": forever(), "following": asyncio.sleep(0)})
    assert [(entry["event"], entry["task"]) for entry in log] == [("task.ended", "following")]


async def test_1_of_several_that_fail_at_once_the_first_named_is_raised_and_the_others_are_logged() -> None:
    with capture_logs() as log, pytest.raises(StoreUnavailable, match="work"):
        await beside({"working": fail(StoreUnavailable("work")), "following": fail(LookupError("follow"))})
    assert [(entry["event"], entry["problem"]) for entry in log] == [("task.failed", "LookupError('follow')")]


async def cancelled_meanwhile(lingering: Lingering, caller: asyncio.Task[None]) -> None:
    """Cancelled while what it runs is ending."""
    await lingering.is_ending.wait()
    caller.cancel()
    done, _ = await asyncio.wait((caller,), timeout=0.01)
    assert not done, "it left the task behind"
    lingering.may_end.set()
    await asyncio.wait((caller,), timeout=5)
    assert caller.cancelled()


async def test_2_who_ends_a_task_and_is_cancelled_meanwhile_is_cancelled_once_it_has_ended() -> None:
    lingering = Lingering()
    task = asyncio.create_task(lingering.run())
    await asyncio.sleep(0)
    await cancelled_meanwhile(lingering, asyncio.create_task(end(task)))


async def test_2_so_is_who_runs_loops_beside_each_other() -> None:
    lingering = Lingering()
    caller = asyncio.create_task(beside({"a loop": lingering.run(), "another": asyncio.sleep(0.01)}))
    await cancelled_meanwhile(lingering, caller)


async def test_3_what_a_task_fails_with_while_it_ends_is_logged() -> None:
    lingering = Lingering(LookupError("late"))
    lingering.may_end.set()
    task = asyncio.create_task(lingering.run(), name="a loop")
    await asyncio.sleep(0)
    with capture_logs() as log:
        await end(task)
    assert [(entry["task"], entry["problem"]) for entry in log] == [("a loop", "LookupError('late')")]
