"""A world at a fixed time with one account of each kind."""

from __future__ import annotations

import pytest

from trueup.sim.world import ManualClock, World
from trueup.sim.world.types import PositionMode

START_MS = 1_795_000_000_000


@pytest.fixture
def world() -> World:
    """Binance `bn` and `bn-hedge`, Bybit `by` and `by-hedge`; BTC at 60,000."""
    made = World(ManualClock(START_MS), seed=7)
    made.add_account("bn", "binance")
    made.add_account("bn-hedge", "binance", mode=PositionMode.HEDGE)
    made.add_account("by", "bybit")
    made.add_account("by-hedge", "bybit", mode=PositionMode.HEDGE)
    return made
