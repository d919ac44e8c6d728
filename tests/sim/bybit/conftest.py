"""A world at a fixed time with Bybit accounts, and raw clients of its wire."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # shapes
sys.path.insert(0, str(Path(__file__).parents[1] / "binance"))  # docs_section

from bybit_client import START_MS, Client

from trueup.sim.bybit import BybitWire, build_wire
from trueup.sim.world import ManualClock, World
from trueup.sim.world.types import PositionMode


@pytest.fixture
def world() -> World:
    """Accounts `main` (one-way), `hedge`, `reader` (may not trade); BTC at 60,000, ETH at 3,000."""
    made = World(ManualClock(START_MS), seed=7)
    made.add_account("main", "bybit")
    made.add_account("hedge", "bybit", mode=PositionMode.HEDGE)
    made.add_account("reader", "bybit", can_trade=False)
    return made


@pytest.fixture
def wire(world: World) -> BybitWire:
    return build_wire(world)


@pytest.fixture
def client(world: World, wire: BybitWire) -> Client:
    return Client.of(world, wire, "main")


@pytest.fixture
def hedge(world: World, wire: BybitWire) -> Client:
    return Client.of(world, wire, "hedge")
