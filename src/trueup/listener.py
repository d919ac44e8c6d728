"""The daemon's small HTTP server: `/metrics` for Prometheus, `/health` for whoever restarts things.

1. Nobody is asked for a password, so it says no secret and changes nothing; only GET is answered.
2. An address that cannot be listened on is a `ConfigurationError` before the daemon begins its work.
3. Where it listens on this machine only, no web page reads it: a request under any other name than this machine's is refused.
4. What others send, or do not send, costs the daemon neither its files nor its log: of more connections than `MOST` the
   oldest give way, and what is no HTTP is refused without a traceback.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from trueup.model.errors import ConfigurationError

__all__ = ["MOST", "Answer", "Answers", "listening"]

MOST = 64
"""Connections that are held at one time."""

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OTHER_NAME = (
    "This address answers as localhost, 127.0.0.1 or [::1] only, so that no web page can read it under a name of its own. "
    "A proxy in front of it must send such a Host.\n"
)

_log = structlog.get_logger("trueup.http")

Answer = tuple[int, bytes]
"""Status and body."""

Answers = Callable[[], Awaitable[Answer]]


@asynccontextmanager
async def listening(host: str, port: int, *, metrics: Answers, health: Answers) -> AsyncIterator[str]:
    """Serves for the time of the block; yields the base URL. Port 0 takes a free one.

    Raises:
        ConfigurationError: The address is taken, or is not this machine's.
    """
    app = web.Application(middlewares=[_refuse_other_names] if _is_loopback(host) else [])
    app.router.add_get("/metrics", _handler(metrics, _METRICS_TYPE))
    app.router.add_get("/health", _handler(health, "application/json; charset=utf-8"))
    logger = _RequestLog(logging.getLogger("trueup.http"), {})
    runner = web.AppRunner(app, access_log=None, logger=logger, shutdown_timeout=1.0)
    await runner.setup()
    try:
        server = await _bound(runner, host, port)
        try:
            bound = server.sockets[0].getsockname()[1]
            yield f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
        finally:
            server.close()
    finally:
        await runner.cleanup()


async def _bound(runner: web.AppRunner, host: str, port: int) -> asyncio.Server:
    assert runner.server is not None
    try:
        return await asyncio.get_running_loop().create_server(_Door(runner.server), host, port, backlog=MOST)
    except OSError as error:
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror or error
        raise ConfigurationError(
            f'http.listen = "{shown}": cannot listen there: {why}; stop what holds the port, choose '
            'another (port 0 takes a free one), or switch it off with listen = ""'
        ) from None


class _Door:
    """Gives each new connection its protocol; the oldest connections give way to it."""

    def __init__(self, server: web.Server) -> None:
        self._server = server

    def __call__(self) -> asyncio.Protocol:
        held = self._server.connections
        for oldest in held[: max(len(held) - MOST + 1, 0)]:
            oldest.force_close()
        return self._server()


class _RequestLog(logging.LoggerAdapter[logging.Logger]):
    """What somebody else sent wrongly is no error of this program, and no traceback explains it."""

    def exception(self, msg: object, *args: object, exc_info: Any = True, **kwargs: Any) -> None:
        if isinstance(exc_info, HttpProcessingError):
            _log.debug("http.refused", problem=type(exc_info).__name__)
        else:
            super().exception(msg, *args, exc_info=exc_info, **kwargs)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@web.middleware
async def _refuse_other_names(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    named = request.headers.get("Host")
    if named is not None and not _is_own(named):
        return web.Response(status=421, text=_OTHER_NAME)
    return await handler(request)


def _is_own(named: str) -> bool:
    """Whether a Host header names this machine: a number of its own, or localhost. Its port says nothing."""
    name = named[1:].partition("]")[0] if named.startswith("[") else named.partition(":")[0]
    return _is_loopback(name.rstrip("."))


def _handler(answers: Answers, kind: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        status, body = await answers()
        return web.Response(status=status, body=body, headers={"Content-Type": kind, "Cache-Control": "no-store"})

    return handle
