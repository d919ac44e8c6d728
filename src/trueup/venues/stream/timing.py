"""How long things take and how often they are tried; and waiting by the clock that was given, never by the machine's.

1. Every wait is bounded, and every bound is here.
2. Whatever is still under way when a wait ends is cancelled and has ended before the caller goes on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from trueup.ports import Clock

__all__ = ["StreamTimings", "backoff_s", "first_to_end", "forever", "within"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StreamTimings:
    """Seconds, all of them.

    Attributes:
        ping_every_s, pong_within_s: A silent connection is noticed after their sum at the latest. Bybit wants a ping at
            least every 20 s.
        connect_within_s: From asking for a stream to its confirmation, logging in included.
        keep_alive_every_s: Between two uses of Binance's listen key. The venue would bear 60 minutes; but the key
            belongs to the account and not to us: a bot beside us that ends its own stream ends ours, without a word on
            the socket. The next use finds out.
        keep_alive_retry_s: After a use that brought no answer.
        key_life_s: How long a key surely lives after its last use, with a margin.
        renew_after_s: Age at which a connection is replaced, before Binance cuts it at 24 hours.
        renew_retry_s: After a replacement that did not come about.
        backoff_first_s, backoff_most_s: The wait before another attempt, doubling from the first to the most.
        refused_wait_s: The least wait after the venue refused the key.
        steady_after_s: A connection that lasted so long starts the waits anew.
    """

    ping_every_s: float = 10.0
    pong_within_s: float = 10.0
    connect_within_s: float = 20.0
    keep_alive_every_s: float = 300.0
    keep_alive_retry_s: float = 30.0
    key_life_s: float = 3_300.0
    renew_after_s: float = 84_600.0
    renew_retry_s: float = 60.0
    backoff_first_s: float = 0.2
    backoff_most_s: float = 15.0
    refused_wait_s: float = 60.0
    steady_after_s: float = 30.0


def backoff_s(timings: StreamTimings, failures: int, chance: random.Random) -> float:
    """Seconds to wait before the attempt that follows `failures` in a row that did not last (0: none).

    Doubles up to the most; a random half of it keeps accounts that were cut together from coming back together.
    """
    longest: float = min(timings.backoff_most_s, timings.backoff_first_s * 2 ** min(failures, 30))
    return longest * chance.uniform(0.5, 1.0)


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns.

    Raises:
        TimeoutError: It took longer; it has been cancelled and has ended.
    """
    task, timer = asyncio.ensure_future(work), asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
    finally:
        await _ended(task, timer)
        del task  # what is raised remembers this frame
    raise TimeoutError


async def first_to_end(*works: Coroutine[Any, Any, None]) -> None:
    """Runs them side by side until one ends, and raises what it raised; of several the first in this order."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task in done:
                task.result()
    finally:
        await _ended(*tasks)


async def forever() -> NoReturn:
    """Until cancelled."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nothing resolves this future")


async def _ended(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
