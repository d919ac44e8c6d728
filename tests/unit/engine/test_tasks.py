"""The end of a task that runs beside another (numbers: invariants of engine/tasks.py)."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from trueup.engine.tasks import end


async def test_1_who_is_cancelled_while_a_task_ends_is_cancelled_once_it_has_ended() -> None:
    ending, may_end = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await may_end.wait()

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    caller = asyncio.create_task(end(task))
    await ending.wait()
    caller.cancel()
    done, _ = await asyncio.wait((caller,), timeout=0.01)
    assert not done, "it left the task behind"
    may_end.set()
    await asyncio.wait((caller,), timeout=5)
    assert caller.cancelled()
    assert task.done()


async def test_2_what_a_task_failed_with_is_logged() -> None:
    async def fail() -> None:
        raise LookupError("gone")

    task = asyncio.create_task(fail(), name="a loop")
    await asyncio.sleep(0)
    with capture_logs() as log:
        await end(task)
    assert [(entry["task"], entry["problem"]) for entry in log] == [("a loop", "LookupError('gone')")]
