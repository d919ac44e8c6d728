"""Tasks beside each other, and their end.

1. None ends unnoticed: the first that ends, ends them all, and what it failed with is raised.
2. Whoever ends a task and is cancelled meanwhile is cancelled once that has ended, and not before: it is not lost.
3. What a task failed with while it was to end is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import structlog

__all__ = ["beside", "end"]

_log = structlog.get_logger("trueup.engine")


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancels them and waits until they have ended."""
    for task in tasks:
        task.cancel()
    interrupted = False
    while pending := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError:
            interrupted = True
    for task in tasks:
        failure = _failure(task)
        if isinstance(failure, Exception):
            _log.error("task.failed", task=task.get_name(), problem=repr(failure))
    if interrupted:
        raise asyncio.CancelledError


async def beside(loops: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    """Runs loops, by name, that end by themselves only when something is wrong; when one has ended, so have they all.

    Raises:
        BaseException: What the first of them failed with.
    """
    tasks = [asyncio.create_task(loop, name=name) for name, loop in loops.items()]
    first: asyncio.Task[None] | None = None
    failure: BaseException | None = None
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(task for task in tasks if task in done)
        failure = _failure(first)
        if failure is None:
            _log.error("task.ended", task=first.get_name())
    finally:
        await end(*(task for task in tasks if task is not first))
    if failure is not None:
        raise failure


def _failure(task: asyncio.Task[Any]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
