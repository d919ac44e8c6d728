"""The end of a task that runs beside another.

1. Whoever ends a task and is cancelled meanwhile is cancelled once that has ended, and not before: it is not lost.
2. What the task failed with, now or earlier, is logged.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

__all__ = ["end"]

_log = structlog.get_logger("trueup.engine")


async def end(task: asyncio.Task[Any]) -> None:
    """Cancels it and waits until it has ended."""
    task.cancel()
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            cancelled = True
    failure = None if task.cancelled() else task.exception()
    if isinstance(failure, Exception):
        _log.error("task.failed", task=task.get_name(), problem=repr(failure))
    if cancelled:
        raise asyncio.CancelledError
