"""The HTTP connections of one way out, shared by the accounts behind it: they stay open between audits.

1. Opened with the first request, closed with the last account.
2. No cookie is kept: nothing of one account's answers goes out with another's request.
"""

from __future__ import annotations

import asyncio
import functools
import ssl

import aiohttp
import certifi

__all__ = ["Connections", "tls"]

_TLS_ENDS_S = 0.25
"""aiohttp closes TLS connections a moment after their session."""


@functools.cache
def tls() -> ssl.SSLContext:
    """One TLS context for all clients: each holds the whole CA bundle."""
    return ssl.create_default_context(cafile=certifi.where())


class Connections:
    """Of a way out. Whoever uses it says so with `join`, and `leave`s once.

    Args:
        rest_url: Where to, if not to the venue's own host.
    """

    def __init__(self, rest_url: str | None = None) -> None:
        self._encrypted = rest_url is None or rest_url.startswith("https:")
        self._users = 0
        self._session: aiohttp.ClientSession | None = None

    def join(self) -> None:
        self._users += 1

    @property
    def session(self) -> aiohttp.ClientSession:
        """Belongs to the running loop; opened when it is first asked for."""
        if self._session is None or self._session.closed:
            # How many requests are under way is the request budget's to say.
            connector = aiohttp.TCPConnector(ssl=tls(), limit=0)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def leave(self) -> None:
        self._users -= 1
        if self._users <= 0 and self._session is not None:
            session, self._session = self._session, None
            await session.close()
            if self._encrypted:
                await asyncio.sleep(_TLS_ENDS_S)
