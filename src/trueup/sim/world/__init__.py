"""The simulated world: what both wires show and tests, scenarios and judges act on and look at."""

from trueup.sim.world.account import AccountSpec
from trueup.sim.world.clock import Clock, ManualClock, SkewedClock
from trueup.sim.world.requests import ConditionalRequest, OrderRequest
from trueup.sim.world.view import AccountView
from trueup.sim.world.world import World

__all__ = [
    "AccountSpec",
    "AccountView",
    "Clock",
    "ConditionalRequest",
    "ManualClock",
    "OrderRequest",
    "SkewedClock",
    "World",
]
