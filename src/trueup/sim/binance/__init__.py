"""The simulated venue as Binance USDⓈ-M speaks."""

from __future__ import annotations

from trueup.sim.binance.limits import LimitPolicy
from trueup.sim.binance.wire import BinanceWire
from trueup.sim.world.world import World

__all__ = ["BinanceWire", "LimitPolicy", "build_wire"]


def build_wire(world: World, policy: LimitPolicy | None = None) -> BinanceWire:
    """A wire over the world; `policy` None: the venue's own limits."""
    return BinanceWire(world, policy)
