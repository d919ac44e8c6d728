"""One websocket as the streams need it, and aiohttp's as that.

1. A protocol-level ping of the other side is answered here; the pong to one of ours is told as `PONG`.
2. The end of a connection is one error, `SocketClosed`; its text holds no URL, which may hold a listen key.
3. Closing is bounded in time: a peer that is silent is left.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final, Literal, Protocol, TypeAlias

import aiohttp
from aiohttp import WSMsgType

from trueup.model.errors import ConfigurationError, Transient
from trueup.venues.connections import tls

__all__ = ["PONG", "Connect", "Frame", "Socket", "SocketClosed", "aiohttp_connect"]

_CLOSE_WITHIN_S = 1.0
_LONGEST_MESSAGE = 16 * 2**20


class _Pong(Enum):
    PONG = "pong"


PONG: Final = _Pong.PONG
"""The other side answered a protocol-level ping."""

Frame: TypeAlias = str | Literal[_Pong.PONG]


class SocketClosed(Transient):
    """The connection was not made, or has ended; the text says how."""


class Socket(Protocol):
    """An open websocket. Every method but `close` raises `SocketClosed` once it has ended."""

    async def send(self, text: str) -> None: ...

    async def ping(self) -> None:
        """Sends a protocol-level ping; the answer comes out of `receive` as `PONG`."""
        ...

    async def receive(self) -> Frame:
        """The next message; called by one task at a time."""
        ...

    async def close(self) -> None:
        """Idempotent, raises nothing."""
        ...


Connect: TypeAlias = Callable[[str], Awaitable[Socket]]
"""Opens a websocket on a URL, or raises `SocketClosed`. A simulation gives one that opens no real socket."""


class AiohttpSocket:
    """A `Socket` over aiohttp, in a session of its own."""

    def __init__(self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._session = session
        self._socket = socket

    def __repr__(self) -> str:
        return f"AiohttpSocket({'closed' if self._socket.closed else 'open'})"

    async def send(self, text: str) -> None:
        problem = ""
        try:
            await self._socket.send_str(text)
        except (ConnectionError, aiohttp.ClientError) as error:
            problem = f"the connection broke while sending ({type(error).__name__})"
        if problem:
            raise SocketClosed(problem)

    async def ping(self) -> None:
        problem = ""
        try:
            await self._socket.ping()
        except (ConnectionError, aiohttp.ClientError) as error:
            problem = f"the connection broke while sending ({type(error).__name__})"
        if problem:
            raise SocketClosed(problem)

    async def receive(self) -> Frame:
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.TEXT:
                text: str = message.data
                return text
            if message.type is WSMsgType.PONG:
                return PONG
            if message.type is WSMsgType.PING:
                await self._answer(message.data)
            elif message.type is WSMsgType.BINARY:
                # Neither venue sends any: whoever reads it will say that it cannot be read.
                return bytes(message.data).decode("utf-8", "replace")
            elif message.type is WSMsgType.CLOSE:
                said = f": {message.extra}" if message.extra else ""
                raise SocketClosed(f"the venue closed the connection with code {message.data}{said}")
            elif message.type is WSMsgType.ERROR:
                raise SocketClosed(f"the connection broke ({type(message.data).__name__})")
            else:
                raise SocketClosed("the connection ended without a word")

    async def _answer(self, data: bytes) -> None:
        try:
            await self._socket.pong(data)
        except (ConnectionError, aiohttp.ClientError):
            # The connection is ending: the next receive says how.
            return

    async def close(self) -> None:
        try:
            await self._socket.close()
        finally:
            await self._session.close()


def aiohttp_connect(proxy: str | None = None) -> Connect:
    """Real websockets. `proxy`: ``http://…``, or ``socks…://…``, which needs the package aiohttp-socks.

    Raises:
        ConfigurationError: The proxy needs a package that is not installed.
    """
    make_connector = _connector_of(proxy)
    http_proxy = proxy if proxy is not None and not proxy.startswith("socks") else None

    async def connect(url: str) -> Socket:
        session = aiohttp.ClientSession(connector=make_connector())
        try:
            opened = await session.ws_connect(
                # A proxy that is asked for a plain URL knows no scheme "ws"; for "wss" it is asked to tunnel.
                f"http:{url[3:]}" if http_proxy is not None and url.startswith("ws:") else url,
                autoping=False,
                proxy=http_proxy,
                max_msg_size=_LONGEST_MESSAGE,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_WITHIN_S),
            )
        except aiohttp.ClientHttpProxyError as error:
            problem = f"the proxy refused the connection with HTTP {error.status}"
        except aiohttp.WSServerHandshakeError as error:
            problem = f"the venue refused the connection with HTTP {error.status}"
        except (aiohttp.ClientError, OSError) as error:
            problem = f"no connection could be made ({type(error).__name__})"
        except BaseException:
            await session.close()
            raise
        else:
            return AiohttpSocket(session, opened)
        await session.close()
        # Raised here, outside the handlers, so that aiohttp's error (it holds the URL) is not its context.
        raise SocketClosed(problem)

    return connect


def _connector_of(proxy: str | None) -> Callable[[], aiohttp.BaseConnector]:
    if proxy is None or not proxy.startswith("socks"):
        return lambda: aiohttp.TCPConnector(ssl=tls())
    try:
        from_url = importlib.import_module("aiohttp_socks").ProxyConnector.from_url
    except ImportError:
        raise ConfigurationError(
            "proxy: a SOCKS proxy needs the package aiohttp-socks, which is not installed; "
            "write pip install aiohttp-socks, or name an http:// proxy"
        ) from None

    def make() -> aiohttp.BaseConnector:
        connector: aiohttp.BaseConnector = from_url(proxy, ssl=tls())
        return connector

    return make
