"""The daemon's small HTTP server: `/metrics` for Prometheus, `/health` for whoever restarts things.

1. Nobody is asked for a password, so it says no secret and changes nothing; only GET is answered.
2. An address that cannot be listened on is a `ConfigurationError` before the daemon begins its work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from trueup.model.errors import ConfigurationError

__all__ = ["Answer", "Answers", "listening"]

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Answer = tuple[int, bytes]
"""Status and body."""

Answers = Callable[[], Awaitable[Answer]]


@asynccontextmanager
async def listening(host: str, port: int, *, metrics: Answers, health: Answers) -> AsyncIterator[str]:
    """Serves for the time of the block; yields the base URL. Port 0 takes a free one.

    Raises:
        ConfigurationError: The address is taken, or is not this machine's.
    """
    app = web.Application()
    app.router.add_get("/metrics", _handler(metrics, _METRICS_TYPE))
    app.router.add_get("/health", _handler(health, "application/json; charset=utf-8"))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await _bind(runner, host, port)
        bound = runner.addresses[0][1]
        yield f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
    finally:
        await runner.cleanup()


async def _bind(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise ConfigurationError(
            f'http.listen = "{shown}": cannot listen there: {error.strerror or error}; stop what holds the port, choose '
            'another (port 0 takes a free one), or switch it off with listen = ""'
        ) from None


def _handler(answers: Answers, kind: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        status, body = await answers()
        return web.Response(status=status, body=body, headers={"Content-Type": kind, "Cache-Control": "no-store"})

    return handle
