"""Both adapters in front of a loopback server that already knows the time and the market list."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from venue_loopback import KEY, NOW_MS, SECRET, HandClock, Loopback, Seen, reply
from venue_payloads import binance_info, bybit_answer, bybit_inverse, bybit_linear

from trueup.venues import open_venue
from trueup.venues.binance.adapter import BinanceVenue
from trueup.venues.bybit.adapter import BybitVenue

TIMEOUT_S = 0.8
"""Short, because tests wait for it; long enough for an answer on a machine that does much else."""


@pytest.fixture
async def server() -> AsyncIterator[Loopback]:
    loopback = Loopback()
    await loopback.start()
    yield loopback
    await loopback.stop()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def binance(server: Loopback, clock: HandClock) -> AsyncIterator[BinanceVenue]:
    server.on("/fapi/v1/time", reply({"serverTime": NOW_MS}))
    server.on("/fapi/v1/exchangeInfo", reply(binance_info()))
    server.on("/fapi/v1/symbolConfig", reply([]))
    venue = open_venue(
        account="main",
        venue="binanceusdm",
        api_key=KEY,
        api_secret=SECRET,
        rest_url=server.url,
        clock=clock,
        timeout_s=TIMEOUT_S,
    )
    assert isinstance(venue, BinanceVenue)
    yield venue
    await venue.aclose()


def _instruments(seen: Seen) -> object:
    if seen.params.get("status") == "PreLaunch":
        return reply(bybit_answer([], category="linear"))
    rows = bybit_linear() if seen.params["category"] == "linear" else bybit_inverse()
    return reply(bybit_answer(rows, category=seen.params["category"]))


@pytest.fixture
async def bybit(server: Loopback, clock: HandClock) -> AsyncIterator[BybitVenue]:
    server.on("/v5/market/time", reply({"retCode": 0, "retMsg": "OK", "result": {"timeNano": str(NOW_MS * 10**6)}}))
    server.on("/v5/market/instruments-info", _instruments)
    venue = open_venue(
        account="main",
        venue="bybit",
        api_key=KEY,
        api_secret=SECRET,
        rest_url=server.url,
        clock=clock,
        timeout_s=TIMEOUT_S,
    )
    assert isinstance(venue, BybitVenue)
    yield venue
    await venue.aclose()
