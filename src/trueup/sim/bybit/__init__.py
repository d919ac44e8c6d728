"""Bybit V5, spoken over a simulated world."""

from trueup.sim.bybit.limits import LimitPolicy
from trueup.sim.bybit.wire import BybitWire, build_wire

__all__ = ["BybitWire", "LimitPolicy", "build_wire"]
