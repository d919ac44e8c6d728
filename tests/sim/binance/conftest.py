"""The world, a client and the shared helpers of the wire's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from binance_client import Client, make_client, make_world

from trueup.sim.world import World


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def client(world: World) -> Client:
    return make_client(world)
