"""Mark prices from the served venues, while symbols come and go and connections break."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from stream_bench import BOTH, BTC, FAST, Watched, open_account

from tests.support.bench import Bench
from trueup.bootstrap.clock import SystemClock
from trueup.model.stream import MarkPrice, StreamDown, StreamUnreadable, StreamUp
from trueup.venues.stream import open_price_feed
from trueup.venues.stream.prices import PriceFeed

ETH = "ETH/USDT:USDT"


@asynccontextmanager
async def watch_prices(bench: Bench, venue: str) -> AsyncIterator[tuple[Watched, PriceFeed]]:
    async with open_account(bench, venue) as (adapter, _):
        feed = open_price_feed(
            adapter, clock=SystemClock(), chance=random.Random(3), ws_url=bench.server.ws_url, timings=FAST
        )
        watched = Watched()
        async with feed:
            reader = asyncio.create_task(watched.follow(feed))
            try:
                yield watched, feed
            finally:
                await feed.aclose()
                await reader


def told(watched: Watched, symbol: str, since: int = 0) -> list[Decimal]:
    return [event.price for event in watched.of(MarkPrice, since) if event.symbol == symbol]


@pytest.mark.parametrize("venue", BOTH)
async def test_marks_follow_the_venue(bench: Bench, venue: str) -> None:
    async with watch_prices(bench, venue) as (watched, feed):
        await feed.subscribe([BTC])
        await watched.up()
        bench.world.set_price("BTCUSDT", "60500", mark="60432.1")
        await watched.until(lambda: Decimal("60432.1") in told(watched, BTC))
        assert told(watched, ETH) == []

        since = watched.mark()
        await feed.subscribe([ETH])
        await watched.until(lambda: told(watched, ETH, since))
        assert told(watched, ETH, since)[-1] == 3000

        await feed.unsubscribe([BTC])
        bench.world.set_price("BTCUSDT", "61000")
        bench.world.set_price("ETHUSDT", "3100")
        await watched.until(lambda: 3100 in told(watched, ETH))
        assert 61000 not in told(watched, BTC)
        first = watched.of(MarkPrice)[0]
        assert abs(first.at_ms - bench.world.now_ms()) < 60_000
    assert not watched.of(StreamUnreadable)


@pytest.mark.parametrize("venue", BOTH)
async def test_a_cut_is_told_and_the_symbols_come_again(bench: Bench, venue: str) -> None:
    async with watch_prices(bench, venue) as (watched, feed):
        await feed.subscribe([BTC, ETH])
        await watched.up()
        since = watched.mark()
        bench.world.cut_streams()
        await watched.down(since)
        await watched.up(since)
        again = watched.mark()
        bench.world.set_price("BTCUSDT", "62000")
        await watched.until(lambda: 62000 in told(watched, BTC, again) and told(watched, ETH, since))
    turns = [type(event) for event in watched.events if isinstance(event, StreamUp | StreamDown)]
    assert turns == [StreamUp, StreamDown, StreamUp]


async def test_bybits_inverse_and_dated_contracts(bench: Bench) -> None:
    dated = next(spec for spec in bench.world.instruments("bybit") if spec.expiry_ms and not spec.inverse)
    async with watch_prices(bench, "bybit") as (watched, feed):
        await feed.subscribe([BTC, "BTC/USD:BTC", dated.unified])
        await watched.until(lambda: {event.symbol for event in watched.of(MarkPrice)} == feed.symbols)
        await watched.up()
    assert len(feed.symbols) == 3
