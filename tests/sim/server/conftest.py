"""A world with two accounts behind fake wires: `fake_wire` says what they do."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from trueup.sim.front import Front
from trueup.sim.server import VenueServer, served_world
from trueup.sim.world import ManualClock, SkewedClock, World

sys.path.insert(0, str(Path(__file__).parent))

from fake_wire import FakeWire

START_MS = 1_795_000_000_000


def populate(world: World) -> World:
    world.add_account("by", "bybit")
    world.add_account("bn", "binance")
    return world


@pytest.fixture
def manual() -> Front:
    """A front over a world on a clock that the test moves; no sockets."""
    world = populate(World(SkewedClock(ManualClock(START_MS))))
    return Front(world, [FakeWire(world), FakeWire(world, "binance")])


@pytest.fixture
async def server() -> AsyncIterator[VenueServer]:
    """The same in real time, on loopback."""
    world = populate(served_world())
    async with VenueServer(world, wires=[FakeWire(world), FakeWire(world, "binance")]) as running:
        yield running


@pytest.fixture
async def client(server: VenueServer) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the venue's port, as the account `by`."""
    async with aiohttp.ClientSession(server.rest_url, headers={"x-account": "by"}) as session:
        yield session


@pytest.fixture
async def control(server: VenueServer) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the control port."""
    async with aiohttp.ClientSession(server.control_url) as session:
        yield session
