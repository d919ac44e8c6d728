"""A stream without sockets, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from stream_inproc import Bench, make_bench

Started = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def started() -> AsyncIterator[Started]:
    """Makes a bench whose stream runs and is read; `before` may spoil it first."""
    open_ones: list[tuple[Bench, asyncio.Task[None]]] = []

    async def start(venue: Any, before: Callable[[Bench], None] | None = None, **keys: Any) -> Bench:
        bench = make_bench(venue, **keys)
        if before is not None:
            before(bench)
        open_ones.append((bench, asyncio.create_task(bench.read())))
        await bench.time.settle()
        return bench

    yield start
    for bench, reader in open_ones:
        await bench.stream.aclose()
        await reader
        assert bench.sockets == []
