"""Reading everything: pages by cursor, windows of time, several lists at once.

1. A list is read to its end or the look fails: a page that fails, a cursor that comes again with rows, or too many
   pages are `Unobserved`.
2. Windows tile the asked time without a gap; both ends are inclusive, as both venues count.
3. When one of several reads fails, the others are stopped and the first error is raised as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from trueup.model.errors import Unobserved
from trueup.model.times import DAY_MS

__all__ = ["WINDOW_MS", "all_pages", "together", "windows"]

T = TypeVar("T")

WINDOW_MS = 7 * DAY_MS
"""Both venues refuse a history window longer than seven days."""

_MAX_PAGES = 1000


async def all_pages(read: Callable[[str | None, str], Awaitable[tuple[list[T], str | None]]], source: str) -> list[T]:
    """Follows the cursor to the end.

    Args:
        read: Given a cursor (None: the first page) and a name for errors, gives the page's rows and the next cursor.
    """
    rows: list[T] = []
    followed: set[str] = set()
    cursor: str | None = None
    for number in range(1, _MAX_PAGES + 1):
        page, following = await read(cursor, f"{source} page {number}")
        rows.extend(page)
        if not following or (not page and following in followed):
            return rows
        if following in followed:
            raise Unobserved(source, f"page {number} names a cursor that was followed before; the list has no end")
        followed.add(following)
        cursor = following
    raise Unobserved(source, f"more than {_MAX_PAGES} pages")


def windows(since_ms: int, until_ms: int, length_ms: int = WINDOW_MS) -> Iterator[tuple[int, int]]:
    """Tiles ``[since_ms, until_ms]`` oldest first; at least one window."""
    start = min(since_ms, until_ms)
    while True:
        end = min(start + length_ms - 1, until_ms)
        yield start, end
        if end >= until_ms:
            return
        start = end + 1


async def together(*reads: Coroutine[Any, Any, T]) -> list[T]:
    """Runs all at once; results in the order given."""
    tasks = [asyncio.ensure_future(read) for read in reads]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tasks.clear()  # what is raised remembers this frame: with the tasks in it that would be a cycle around their answers
        raise
