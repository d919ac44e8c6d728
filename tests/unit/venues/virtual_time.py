"""An event loop whose time jumps to the next thing that is due: hours pass at once, in the same order every time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable
from typing import Any


class _Jump(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Waits for nothing: what would be waited for moves the loop's time instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("the loop waits for something that nothing will bring")
        self.loop.now_s += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        selector = _Jump()
        super().__init__(selector)
        self.now_s = 0.0
        selector.loop = self

    def time(self) -> float:
        return getattr(self, "now_s", 0.0)


class LoopClock:
    """The running loop's time as the engine's clock."""

    def now_ms(self) -> int:
        return 1_760_000_000_000 + round(self.monotonic_s() * 1000)

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def in_virtual_time(work: Awaitable[None]) -> None:
    async def run() -> None:
        await work

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
