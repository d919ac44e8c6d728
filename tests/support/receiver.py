"""A webhook of somebody's own: keeps what is posted to it, and refuses while it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

__all__ = ["Receiver", "receiving"]


@dataclass
class Receiver:
    """`status` is what it answers; `answering`, cleared, keeps askers waiting."""

    url: str = ""
    status: int = 200
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    accepted: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def titles(self) -> list[str]:
        return [str(told["title"]) for told in self.accepted]

    def about(self, words: str) -> list[dict[str, Any]]:
        return [told for told in self.accepted if words in told["title"]]

    async def _take(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.paths.append(request.path)
        told = await request.json()
        await self.answering.wait()
        if self.status == 200:
            self.accepted.append(told)
        return web.Response(status=self.status)


@asynccontextmanager
async def receiving(secret: str) -> AsyncIterator[Receiver]:
    """`url` is an apprise URL whose path holds the secret."""
    receiver = Receiver()
    receiver.answering.set()
    app = web.Application()
    app.router.add_post("/{tail:.*}", receiver._take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"json://127.0.0.1:{runner.addresses[0][1]}/{secret}"
    try:
        yield receiver
    finally:
        receiver.answering.set()
        await runner.cleanup()
