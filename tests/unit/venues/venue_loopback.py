"""A small real HTTP server on loopback that says what a test tells it to, and a clock that a test moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

NOW_MS = 1_760_000_000_000
KEY, SECRET = "key-that-must-not-show", "secret-that-must-not-show"


class HandClock:
    """Our clock, moved by hand; sleeping moves it."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.at_ms = now_ms
        self.slept_s: list[float] = []

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_s(self) -> float:
        return self.at_ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.at_ms += round(seconds * 1000)


@dataclass(frozen=True)
class Reply:
    """What the server does with one request. `drop`: closes the connection without an answer; `hang`: never answers."""

    body: str = "{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    drop: bool = False
    hang: bool = False


def reply(value: Any, status: int = 200, **headers: str) -> Reply:
    """JSON; header names are written with underscores for dashes."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(body=json.dumps(value), status=status, headers={"Content-Type": "application/json", **named})


HTML = Reply(body="<html><body>Bad gateway</body></html>", headers={"Content-Type": "text/html"})
DROP = Reply(drop=True)
HANG = Reply(hang=True)


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


Answer = Reply | Callable[[Seen], Reply]


class Loopback:
    """Answers by path: a queue of replies, the last of which stays; or a function of the request."""

    def __init__(self) -> None:
        self._answers: dict[str, list[Answer]] = {}
        self.seen: list[Seen] = []
        self._runner: web.AppRunner | None = None
        self._ending = asyncio.Event()
        self.url = ""

    def on(self, path: str, *answers: Answer) -> None:
        self._answers[path] = list(answers)

    def asked(self, path: str) -> list[Seen]:
        return [one for one in self.seen if one.path == path]

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._ending.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        if text.startswith("{"):
            params = {name: str(value) for name, value in json.loads(text).items()}
        else:
            params = dict(parse_qsl(request.rel_url.raw_query_string or text, keep_blank_values=True))
        seen = Seen(request.method, request.path, params, dict(request.headers))
        self.seen.append(seen)
        answers = self._answers.get(request.path)
        if not answers:
            return web.Response(status=404, text="no such path in this test")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        told = answer(seen) if callable(answer) else answer
        if told.hang:
            await self._ending.wait()
        if told.drop or told.hang:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=told.status, body=told.body.encode(), headers=dict(told.headers))
