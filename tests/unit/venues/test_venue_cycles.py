"""What fails is gone when nobody holds it any more: no cycle keeps an answer until the collector comes."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Coroutine

import pytest

from trueup.store.database import finishing
from trueup.venues.paging import together
from trueup.venues.stream.timing import within


class Answer:
    """What hangs on the frame of a read that fails."""


class Clock:
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@finishing
class Store:
    async def read(self, held: list[weakref.ref[Answer]]) -> None:
        await fail(held)


async def fail(held: list[weakref.ref[Answer]]) -> None:
    answer = Answer()
    held.append(weakref.ref(answer))
    await asyncio.sleep(0)
    raise ValueError(f"{answer} could not be read")


async def idle() -> None:
    await asyncio.sleep(60)


WAYS = ("together", "within", "store")


def way(name: str, held: list[weakref.ref[Answer]]) -> Coroutine[object, object, object]:
    match name:
        case "together":
            return together(fail(held), idle())
        case "within":
            return within(Clock(), 60.0, fail(held))  # type: ignore[arg-type]
        case _:
            return Store().read(held)


@pytest.mark.parametrize("name", WAYS)
async def test_a_failure_leaves_no_cycle(name: str) -> None:
    gc.collect()
    gc.disable()
    try:
        held: list[weakref.ref[Answer]] = []
        for _ in range(3):
            with pytest.raises(ValueError, match="could not be read"):
                await way(name, held)
        for _ in range(3):
            await asyncio.sleep(0)
        assert [answer() for answer in held[:-1]] == [None, None]
    finally:
        gc.enable()
