"""Both venues, served with their own wires, each with an unmodified client."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from misbehaviour_case import Case, client_of

from trueup.sim.server import VenueServer, served_world


@pytest.fixture(params=["binance", "bybit"])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    world = served_world(seed=13)
    account = world.add_account("mine", request.param)
    async with VenueServer(world) as server:
        exchange = await client_of(request.param, server, account)
        try:
            yield Case(request.param, server, account, exchange)
        finally:
            await exchange.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened
