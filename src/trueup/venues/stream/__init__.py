"""The venues' streams: private ones as evidence, public ones as mark prices; raw messages, with our own keep-alive,
re-subscription and watch for silence.

Nothing of a stream is kept here: no position, no order, no price. What a stream cannot do: tell of a message that the
venue never sent. That is what audits are for; `AccountStream.restart` is for an audit that found something.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from trueup.model.errors import ConfigurationError
from trueup.venues.stream.timing import StreamTimings

if TYPE_CHECKING:
    from trueup.model.stream import StreamEvent
    from trueup.ports import Clock
    from trueup.venues.stream.account import AccountStream
    from trueup.venues.stream.adapter import Adapter
    from trueup.venues.stream.link import Dialect
    from trueup.venues.stream.prices import PriceFeed
    from trueup.venues.stream.socket import Connect

__all__ = ["StreamTimings", "open_price_feed", "open_stream"]

_WAITING = 10_000


def open_stream(
    adapter: Adapter,
    *,
    api_key: str,
    api_secret: str,
    clock: Clock,
    chance: random.Random,
    ws_url: str | None = None,
    proxy: str | None = None,
    connect: Connect | None = None,
    timings: StreamTimings | None = None,
    limit: int = _WAITING,
) -> AccountStream:
    """The private stream of an adapter's account. It connects when it is started; close it before the adapter.

    Args:
        api_key, api_secret: The adapter's own (Bybit logs in with them; Binance asks through the adapter's client).
        chance: For the waits between attempts; from a seed in a simulation.
        ws_url: Replaces scheme and host of the venue's streams; None: the venue's own.
        proxy: The account's way out.
        connect: Opens sockets; None: real ones.
        limit: Events that may wait for the reader before it counts as behind.

    Raises:
        ConfigurationError: No stream of that venue, or a proxy that needs a package.
    """
    from trueup.venues.stream.account import AccountStream
    from trueup.venues.stream.binance import BINANCE_STREAMS, BinanceUserStream
    from trueup.venues.stream.bybit import BYBIT_STREAMS, BybitPrivateStream
    from trueup.venues.stream.socket import aiohttp_connect

    chosen = timings or StreamTimings()
    dialect: Dialect[StreamEvent]
    if adapter.venue == "binanceusdm":
        dialect = BinanceUserStream(adapter, ws_url or BINANCE_STREAMS, clock, chosen)
    elif adapter.venue == "bybit":
        dialect = BybitPrivateStream(adapter, ws_url or BYBIT_STREAMS, clock, api_key=api_key, api_secret=api_secret)
    else:
        raise ConfigurationError(f"accounts.{adapter.account}.venue: {adapter.venue!r} has no stream")
    return AccountStream(
        adapter.account,
        adapter.venue,
        dialect,
        connect or aiohttp_connect(proxy),
        clock=clock,
        chance=chance,
        timings=chosen,
        limit=limit,
    )


def open_price_feed(
    adapter: Adapter,
    *,
    clock: Clock,
    chance: random.Random,
    ws_url: str | None = None,
    proxy: str | None = None,
    connect: Connect | None = None,
    timings: StreamTimings | None = None,
) -> PriceFeed:
    """Mark prices of an adapter's venue, for any of its accounts; the arguments are those of `open_stream`.

    Raises:
        ConfigurationError: No prices of that venue, or a proxy that needs a package.
    """
    from trueup.venues.stream.binance import BINANCE_STREAMS
    from trueup.venues.stream.bybit import BYBIT_STREAMS
    from trueup.venues.stream.prices import PriceFeed
    from trueup.venues.stream.socket import aiohttp_connect

    own = {"binanceusdm": BINANCE_STREAMS, "bybit": BYBIT_STREAMS}
    if adapter.venue not in own:
        raise ConfigurationError(f"accounts.{adapter.account}.venue: {adapter.venue!r} has no mark prices")
    return PriceFeed(
        adapter,
        ws_url or own[adapter.venue],
        connect or aiohttp_connect(proxy),
        clock=clock,
        chance=chance,
        timings=timings or StreamTimings(),
    )
