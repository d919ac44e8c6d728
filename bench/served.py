"""A venue with many accounts in a process of its own: `python -m bench.served ACCOUNTS POSITIONS`.

Each account has that many positions, each with a reduce-only stop for its whole quantity that a bot placed. No limits: what is
measured is the client's work. Prints one line of JSON once it serves: `url`, `accounts` (name, key, secret, positions). Ends
with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from typing import Any

from bench.cases.venue import instruments
from trueup.sim import binance
from trueup.sim.server import SystemClock, VenueServer
from trueup.sim.world import SkewedClock, World
from trueup.sim.world.requests import ConditionalRequest
from trueup.sim.world.types import ConditionalKind, Leg, OrderType, Side, TriggerBy


def build(accounts: int, positions: int) -> tuple[World, list[dict[str, Any]]]:
    """The world, and what a bot knows of it."""
    clock = SkewedClock(SystemClock())
    world = World(clock, 7, instruments(positions, clock.now_ms()))
    specs = {spec.symbol: spec for spec in world.instruments("binance")}
    told = []
    for number in range(accounts):
        name = f"account-{number}"
        account = world.add_account(name, "binance")
        held = []
        for place, symbol in enumerate(specs):
            long = bool((number + place) % 2)
            entry = world.open_position(name, symbol, "long" if long else "short", Decimal("0.01")).entry_price
            trigger = (entry * (Decimal("0.95") if long else Decimal("1.05"))).quantize(specs[symbol].price_tick)
            world.place_conditional(name, _stop(symbol, long=long, trigger=trigger))
            held.append([symbol, "long" if long else "short", "0.01", format(entry, "f")])
        told.append({"name": name, "key": account.api_key, "secret": account.api_secret, "positions": held})
    return world, told


def _stop(symbol: str, *, long: bool, trigger: Decimal) -> ConditionalRequest:
    return ConditionalRequest(
        symbol=symbol,
        side=Side.SELL if long else Side.BUY,
        kind=ConditionalKind.STOP,
        order_type=OrderType.MARKET,
        quantity=Decimal("0.01"),
        trigger_price=trigger,
        trigger_by=TriggerBy.MARK,
        leg=Leg.NET,
        reduce_only=True,
        client_order_id="",
    )


async def serve(accounts: int, positions: int) -> None:
    world, told = build(accounts, positions)
    wires = [binance.build_wire(world, binance.LimitPolicy(weight_per_minute=10**9))]
    async with VenueServer(world, wires=wires) as server:
        print(json.dumps({"url": server.rest_url, "accounts": told}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
