"""The small parts: the queue to the reader, waiting by a clock, and the websocket itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from trueup.model.errors import ConfigurationError
from trueup.model.stream import DownKind, MarkPrice, StreamDown, StreamUnreadable, StreamUp
from trueup.venues.stream.outlet import Behind, Outlet
from trueup.venues.stream.socket import PONG, SocketClosed, aiohttp_connect
from trueup.venues.stream.timing import first_to_end, within


def up(at_ms: int) -> StreamUp:
    return StreamUp(at_ms=at_ms)


def price(symbol: str, number: int) -> MarkPrice:
    return MarkPrice(symbol=symbol, price=Decimal(number), at_ms=number)


async def drain(outlet: Outlet[Any]) -> list[Any]:
    return [await outlet.get() for _ in range(len(outlet))]


# the queue
async def test_events_come_out_in_order() -> None:
    outlet: Outlet[Any] = Outlet(10)
    events = [up(number) for number in range(5)]
    for event in events:
        outlet.put(event)
    assert await drain(outlet) == events


async def test_the_newest_price_of_a_symbol_stands_where_it_came() -> None:
    outlet: Outlet[Any] = Outlet(10)
    down = StreamDown(at_ms=1, kind=DownKind.CLOSED, why="gone")
    for event in (price("A", 1), price("B", 1), down, price("A", 2), price("A", 3)):
        outlet.put(event)
    assert await drain(outlet) == [price("B", 1), down, price("A", 3)]


async def test_what_does_not_fit_empties_the_queue_and_says_so() -> None:
    outlet: Outlet[Any] = Outlet(3)
    for number in range(3):
        outlet.put(up(number))
    with pytest.raises(Behind) as behind:
        outlet.put(up(3))
    assert behind.value.dropped == 4
    outlet.put(up(4))
    assert await drain(outlet) == [up(4)]


async def test_up_and_down_always_fit() -> None:
    outlet: Outlet[Any] = Outlet(1)
    outlet.put(up(1))
    outlet.put(up(2), always=True)
    assert await drain(outlet) == [up(1), up(2)]


async def test_an_error_comes_out_once_after_what_was_before_it() -> None:
    outlet: Outlet[Any] = Outlet(3)
    outlet.put(up(1))
    outlet.end(ValueError("broken"))
    outlet.end(ValueError("a second word"))
    assert await outlet.get() == up(1)
    with pytest.raises(ValueError, match="broken"):
        await outlet.get()
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await outlet.get()


async def test_a_waiting_reader_is_woken() -> None:
    outlet: Outlet[Any] = Outlet(3)
    reader = asyncio.create_task(outlet.get())
    await asyncio.sleep(0)
    outlet.put(StreamUnreadable(at_ms=1, problem="?"))
    assert (await reader).problem == "?"


# waiting
class RealClock:
    def now_ms(self) -> int:
        raise AssertionError("nothing here asks for the time")

    monotonic_s = now_ms

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def test_what_takes_too_long_is_cancelled_and_has_ended() -> None:
    ended: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append("slow")

    with pytest.raises(TimeoutError):
        await within(RealClock(), 0.01, slow())
    assert ended == ["slow"]


async def test_what_is_in_time_is_returned_or_raised() -> None:
    async def broken() -> None:
        raise ValueError("broken")

    assert await within(RealClock(), 5, asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ValueError, match="broken"):
        await within(RealClock(), 5, broken())


async def test_the_first_to_end_ends_the_others() -> None:
    ended: list[str] = []

    async def works(name: str, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
            raise ValueError(name)
        finally:
            ended.append(name)

    with pytest.raises(ValueError, match="short"):
        await first_to_end(works("long", 60), works("short", 0))
    assert sorted(ended) == ["long", "short"]


# the websocket
Handler = Callable[[web.WebSocketResponse, web.Request], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, *, status: int = 101) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.StreamResponse:
        if status != 101:
            return web.Response(status=status, text="no")
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        await handler(socket, request)
        return socket

    app = web.Application()
    app.router.add_get("/{tail:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/ws?listenKey=must-not-show"
    finally:
        await runner.cleanup()


async def silent(socket: web.WebSocketResponse, request: web.Request) -> None:
    async for _ in socket:
        pass


async def test_texts_pings_and_pongs() -> None:
    heard: list[Any] = []

    async def talks(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.ping(b"are you there")
        async for message in socket:
            heard.append((message.type, message.data))
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                await socket.send_str(message.data.upper())
                await socket.send_bytes(b"\xffbytes")

    async with serving(talks) as url:
        socket = await aiohttp_connect()(url)
        await socket.send("hello")
        assert await socket.receive() == "HELLO"
        assert await socket.receive() == "\ufffdbytes"
        await socket.ping()
        assert await socket.receive() is PONG
        await socket.close()
        await socket.close()
    assert (WSMsgType.PONG, b"are you there") in heard


async def test_the_end_says_how() -> None:
    async def says_goodbye(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.close(code=1008, message=b"listenKey=must-not-show, go away"[:20])

    async def goes(socket: web.WebSocketResponse, request: web.Request) -> None:
        assert request.transport is not None
        request.transport.abort()

    async with serving(says_goodbye) as url:
        socket = await aiohttp_connect()(url)
        with pytest.raises(SocketClosed, match="code 1008"):
            await socket.receive()
        await socket.close()
    async with serving(goes) as url:
        socket = await aiohttp_connect()(url)
        with pytest.raises(SocketClosed):
            await socket.receive()
        with pytest.raises(SocketClosed):
            await socket.send("late")
        with pytest.raises(SocketClosed):
            await socket.ping()
        await socket.close()


async def test_a_peer_that_never_answers_the_close_is_left() -> None:
    async def deaf(socket: web.WebSocketResponse, request: web.Request) -> None:
        await asyncio.sleep(30)

    async with serving(deaf) as url:
        socket = await aiohttp_connect()(url)
        async with asyncio.timeout(5):
            await socket.close()


async def test_a_refused_upgrade_names_the_status_and_not_the_url() -> None:
    async with serving(silent, status=403) as url:
        with pytest.raises(SocketClosed, match="HTTP 403") as refused:
            await aiohttp_connect()(url)
    _shows_nothing(refused.value)
    with pytest.raises(SocketClosed, match="no connection could be made") as refused:
        await aiohttp_connect()(url)
    _shows_nothing(refused.value)


def _shows_nothing(error: BaseException) -> None:
    """Neither the error nor any error that it hangs on knows the URL."""
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "must-not-show" not in repr(error)


@pytest.mark.parametrize(
    ("url", "line", "problem"),
    [
        ("wss://venue.invalid/ws?listenKey=x", b"CONNECT venue.invalid:443 HTTP/1.1", "the proxy refused .* HTTP 407"),
        ("ws://venue.invalid/ws", b"GET http://venue.invalid/ws HTTP/1.1", "HTTP 407"),
    ],
)
async def test_the_proxy_is_the_way_out(url: str, line: bytes, problem: str) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SocketClosed, match=problem):
            await aiohttp_connect(f"http://127.0.0.1:{port}")(url)
    assert asked == [line + b"\r\n"]


def test_a_socks_proxy_without_its_package_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "aiohttp_socks", None)
    with pytest.raises(ConfigurationError, match="aiohttp-socks"):
        aiohttp_connect("socks5://127.0.0.1:1080")
