"""A busy world behind a real server, and what is told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from trueup.sim.scenario import make_demo
from trueup.sim.server import VenueServer, served_world
from trueup.sim.view import Happenings


@pytest.fixture
async def served() -> AsyncIterator[tuple[VenueServer, Happenings]]:
    world = served_world(seed=7)
    make_demo(world, 2)
    server = VenueServer(world)
    happenings = Happenings(server.front)
    async with server:
        yield server, happenings
