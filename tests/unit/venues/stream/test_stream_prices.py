"""Mark prices: what is asked of each venue, and what its messages say."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from stream_inproc import START_MS, InProcessAdapter, SimTime

from trueup.model.errors import UnknownSymbol, Unobserved
from trueup.model.stream import DownKind, MarkPrice, StreamDown, StreamUnreadable, StreamUp
from trueup.sim.front import Front
from trueup.sim.world import ManualClock, World
from trueup.venues.stream import open_price_feed
from trueup.venues.stream.price_wires import BinancePrices, BybitPrices, PriceWire, Told
from trueup.venues.stream.prices import PriceFeed
from trueup.venues.stream.socket import PONG, Frame, SocketClosed

D = Decimal
BTC, ETH, SOL = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"


class Scripted:
    """A socket whose other end the test plays: it refuses the symbols in `refused`, and answers everything else."""

    def __init__(self, url: str, time: SimTime, refused: set[str]) -> None:
        self.url, self._time, self._refused = url, time, refused
        self.requests: list[tuple[int, str, list[str]]] = []
        self.closed = False
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()

    async def send(self, text: str) -> None:
        said = json.loads(text)
        if said.get("op") == "ping":
            self._frames.put_nowait('{"success":true,"ret_msg":"pong","op":"ping"}')
            return
        named = said.get("params", said.get("args"))
        self.requests.append((self._time.now_ms(), said.get("method", said.get("op")), named))
        bad = [name for name in named if name in self._refused]
        if "method" in said:
            answer = (
                {"error": {"code": 2, "msg": "no"}, "id": said["id"]} if bad else {"result": None, "id": said["id"]}
            )
        else:
            answer = {"success": not bad, "ret_msg": f"handler not found,topic:{bad}", "op": said["op"]}
            answer["req_id"] = said["req_id"]
        self.say(answer)

    def say(self, message: Any) -> None:
        self._frames.put_nowait(message if isinstance(message, str) else json.dumps(message))

    async def ping(self) -> None:
        self._frames.put_nowait(PONG)

    async def receive(self) -> Frame:
        frame = await self._frames.get()
        if frame is None or self.closed:
            raise SocketClosed("the connection ended without a word")
        return frame

    def cut(self) -> None:
        self._frames.put_nowait(None)

    async def close(self) -> None:
        self.closed = True


class Prices:
    """A feed over scripted sockets, and everything that it said."""

    def __init__(self, venue: Any) -> None:
        world = World(ManualClock(START_MS), 7)
        front = Front(world)
        self.time = SimTime(world, front)
        adapter = InProcessAdapter(front, world.add_account("main", venue), self.time)
        self.sockets: list[Scripted] = []
        self.refused: set[str] = set()
        self.events: list[Any] = []
        self.feed: PriceFeed = open_price_feed(
            adapter, clock=self.time, chance=random.Random(2), ws_url="ws://x", connect=self._connect
        )

    async def _connect(self, url: str) -> Scripted:
        self.sockets.append(Scripted(url, self.time, self.refused))
        return self.sockets[-1]

    async def read(self) -> None:
        async for event in self.feed:
            self.events.append(event)

    @property
    def told(self) -> list[tuple[str, Decimal]]:
        return [(event.symbol, event.price) for event in self.events if isinstance(event, MarkPrice)]


@pytest.fixture
async def prices(request: pytest.FixtureRequest) -> AsyncIterator[Prices]:
    bench = Prices(request.param)
    reader = asyncio.create_task(bench.read())
    yield bench
    await bench.feed.aclose()
    await reader
    assert all(socket.closed for socket in bench.sockets)


def of_binance(symbol: str, price: str) -> dict[str, Any]:
    return {"e": "markPriceUpdate", "E": START_MS, "s": symbol, "p": price, "i": "1", "P": "1", "r": "0", "T": 0}


def of_bybit(symbol: str, **data: str) -> dict[str, Any]:
    return {"topic": f"tickers.{symbol}", "type": "delta", "data": {"symbol": symbol, **data}, "cs": 1, "ts": START_MS}


binance = pytest.mark.parametrize("prices", ["binance"], indirect=True)
bybit = pytest.mark.parametrize("prices", ["bybit"], indirect=True)


@binance
async def test_binance_is_asked_once_for_many(prices: Prices) -> None:
    await prices.feed.subscribe([BTC, ETH])
    await prices.feed.subscribe([BTC])
    await prices.time.settle()
    (socket,) = prices.sockets
    assert socket.url == "ws://x/market/ws"
    assert [named for _, _, named in socket.requests] == [["btcusdt@markPrice@1s", "ethusdt@markPrice@1s"]]
    assert prices.events == [StreamUp(at_ms=START_MS)]
    socket.say(of_binance("BTCUSDT", "60000.10"))
    await prices.time.settle()
    assert prices.events[1:] == [MarkPrice(symbol=BTC, price=D("60000.10"), at_ms=START_MS)]
    assert prices.feed.symbols == {BTC, ETH}


@binance
async def test_changes_are_gathered_and_paced(prices: Prices) -> None:
    await prices.feed.subscribe([BTC])
    await prices.time.settle()
    for symbol in (ETH, SOL):
        await prices.feed.subscribe([symbol])
    await prices.feed.unsubscribe([BTC, "never wanted"])
    await prices.time.advance(2, tick_s=0.05)
    (socket,) = prices.sockets
    assert [(method, named) for _, method, named in socket.requests[1:]] == [
        ("UNSUBSCRIBE", ["btcusdt@markPrice@1s"]),
        ("SUBSCRIBE", ["ethusdt@markPrice@1s", "solusdt@markPrice@1s"]),
    ]
    times = [at_ms for at_ms, _, _ in socket.requests]
    assert all(later - sooner >= 250 for sooner, later in itertools.pairwise(times))
    socket.say(of_binance("BTCUSDT", "1"))
    socket.say(of_binance("ETHUSDT", "3000"))
    await prices.time.settle()
    assert prices.told == [(ETH, D(3000))]


@binance
async def test_every_symbol_is_asked_for_again_after_a_cut(prices: Prices) -> None:
    await prices.feed.subscribe([BTC])
    await prices.time.settle()
    await prices.feed.subscribe([ETH])
    await prices.time.advance(1)
    prices.sockets[0].cut()
    await prices.time.advance(2)
    assert [type(event) for event in prices.events] == [StreamUp, StreamDown, StreamUp]
    assert prices.sockets[1].requests[0][2] == ["btcusdt@markPrice@1s", "ethusdt@markPrice@1s"]


@binance
async def test_without_symbols_there_is_no_connection(prices: Prices) -> None:
    await prices.time.advance(5)
    assert prices.sockets == []
    await prices.feed.subscribe([BTC])
    await prices.time.settle()
    await prices.feed.unsubscribe([BTC])
    await prices.time.settle()
    assert prices.sockets[0].closed
    assert prices.feed.health == {}


@binance
async def test_a_symbol_that_is_not_listed_takes_none_of_them(prices: Prices) -> None:
    with pytest.raises(UnknownSymbol, match="NO/SUCH:ONE"):
        await prices.feed.subscribe([BTC, "NO/SUCH:ONE"])
    assert prices.feed.symbols == frozenset()


@bybit
async def test_bybits_categories_are_connections_of_their_own(prices: Prices) -> None:
    await prices.feed.subscribe([BTC, "BTC/USD:BTC"])
    await prices.time.settle()
    assert sorted(socket.url for socket in prices.sockets) == ["ws://x/v5/public/inverse", "ws://x/v5/public/linear"]
    assert prices.events == [StreamUp(at_ms=START_MS)]
    linear = next(socket for socket in prices.sockets if socket.url.endswith("linear"))
    inverse = next(socket for socket in prices.sockets if socket.url.endswith("inverse"))
    inverse.say(of_bybit("BTCUSD", markPrice="60001"))
    linear.say(of_bybit("BTCUSDT", markPrice="60000"))
    linear.say(of_bybit("BTCUSDT", lastPrice="60002"))
    await prices.time.settle()
    assert sorted(prices.told) == [("BTC/USD:BTC", D(60001)), (BTC, D(60000))]
    linear.cut()
    await prices.time.advance(1)
    assert [type(event) for event in prices.events if not isinstance(event, MarkPrice)] == [
        StreamUp,
        StreamDown,
        StreamUp,
    ]


@bybit
async def test_one_refused_symbol_takes_no_other_with_it(prices: Prices) -> None:
    prices.refused.add("tickers.ETHUSDT")
    await prices.feed.subscribe([BTC, ETH, SOL])
    await prices.time.advance(3, tick_s=0.1)
    (socket,) = prices.sockets
    assert prices.events[0] == StreamUp(at_ms=prices.events[0].at_ms)
    (refused,) = [event for event in prices.events if isinstance(event, StreamUnreadable)]
    assert refused.symbol == ETH
    assert "handler not found" in refused.problem
    taken = [named for _, _, named in socket.requests if "tickers.ETHUSDT" not in named]
    assert sorted(itertools.chain(*taken)) == ["tickers.BTCUSDT", "tickers.SOLUSDT"]
    # And at run time.
    prices.refused.add("tickers.HIGHUSDT")
    await prices.feed.subscribe(["HIGH/USDT:USDT"])
    await prices.time.advance(2)
    assert prices.events[-1].symbol == "HIGH/USDT:USDT"
    assert StreamDown not in [type(event) for event in prices.events]


@bybit
async def test_what_cannot_be_read_is_told(prices: Prices) -> None:
    await prices.feed.subscribe([BTC])
    await prices.time.settle()
    for message in ("no json", of_bybit("BTCUSDT", markPrice="0"), of_bybit("BTCUSDT", markPrice="much")):
        prices.sockets[0].say(message)
    await prices.time.settle()
    assert [type(event) for event in prices.events] == [StreamUp, *[StreamUnreadable] * 3]


@pytest.mark.parametrize("prices", ["binance", "bybit"], indirect=True)
async def test_a_silent_price_socket_is_found(prices: Prices) -> None:
    await prices.feed.subscribe([BTC])
    await prices.time.settle()

    async def unanswered(*_: object) -> None:
        return None

    prices.sockets[0].ping = unanswered  # type: ignore[method-assign]
    prices.sockets[0].send = unanswered  # type: ignore[method-assign]
    await prices.time.advance(21)
    (down,) = [event for event in prices.events if isinstance(event, StreamDown)]
    assert down.kind is DownKind.SILENT
    assert isinstance(prices.events[-1], StreamUp)


@pytest.mark.parametrize(
    ("wire", "frame", "told"),
    [
        (BinancePrices("ws://x"), json.dumps(of_binance("BTCUSDT", "1.50")), Told("BTCUSDT", D("1.50"), START_MS)),
        (BinancePrices("ws://x"), '{"e":"somethingElse","E":1}', None),
        (BybitPrices("ws://x", "linear"), json.dumps(of_bybit("X", markPrice="2")), Told("X", D(2), START_MS)),
        (BybitPrices("ws://x", "linear"), json.dumps(of_bybit("X", fundingRate="2")), None),
    ],
)
def test_messages(wire: PriceWire, frame: str, told: Told | None) -> None:
    heard = wire.read(frame)
    assert (heard.told, heard.answers, heard.refused, heard.pong) == (told, None, None, False)


def test_binances_refusals_in_both_forms() -> None:
    wire = BinancePrices("ws://x")
    assert wire.read('{"code":2,"msg":"Invalid request","id":4}').refused == "Invalid request"
    assert wire.read('{"error":{"code":3,"msg":"bad"},"id":4}').answers == 4
    assert wire.read('{"result":null,"id":4}').refused is None
    with pytest.raises(Unobserved):
        wire.read("<html>")
