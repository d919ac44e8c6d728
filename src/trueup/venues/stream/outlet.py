"""Between a stream's reader and its one consumer: a bounded queue.

1. Events come out in the order in which they went in; the newest mark price of a symbol takes the place of one that
   still waits.
2. What does not fit is never dropped in silence: putting it raises `Behind`, and everything that waited is gone.
3. An error of the stream comes out once, after what was put before it; after that, and after a clean end, iteration
   ends.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from trueup.model.stream import MarkPrice
from trueup.model.values import Value

__all__ = ["Behind", "Outlet"]

E = TypeVar("E", bound=Value)


class Behind(Exception):
    """The consumer is so far behind that the queue was emptied. `dropped`: how many events were lost."""

    def __init__(self, dropped: int) -> None:
        super().__init__(f"{dropped} events waited unread")
        self.dropped = dropped


class Outlet(Generic[E]):
    """For one consumer. `limit`: events that may wait."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[object, E] = {}
        self._number = 0
        self._error: BaseException | None = None
        self._ended = False
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: E, *, always: bool = False) -> None:
        """Raises `Behind` when `limit` events wait already, unless it must go through `always` (up and down)."""
        self._number += 1
        place: object = event.symbol if isinstance(event, MarkPrice) else self._number
        # Taken out first: the newest price stands where it came, after a StreamDown that came before it.
        self._waiting.pop(place, None)
        if len(self._waiting) >= self._limit and not always:
            dropped = len(self._waiting) + 1
            self._waiting.clear()
            raise Behind(dropped)
        self._waiting[place] = event
        self._wake.set()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing follows; idempotent, the first word counts."""
        if not self._ended:
            self._ended, self._error = True, error
            self._wake.set()

    async def get(self) -> E:
        """The next event.

        Raises:
            StopAsyncIteration: The stream has ended; also whatever error it ended with, once.
        """
        while not self._waiting:
            if self._ended:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        place = next(iter(self._waiting))
        return self._waiting.pop(place)
