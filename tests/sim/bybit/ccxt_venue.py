"""Unmodified ccxt clients whose URLs point to a served world."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import ccxt.pro

from trueup.sim.bybit import LimitPolicy, build_wire
from trueup.sim.server import VenueServer, served_world
from trueup.sim.world import World
from trueup.sim.world.account import AccountSpec
from trueup.sim.world.types import PositionMode


@dataclass
class Stage:
    """A world behind a real server; every account gets its own client, all share one list of markets."""

    world: World
    server: VenueServer
    clients: list[Any] = field(default_factory=list)
    listed: Any = None

    def account(self, name: str, mode: PositionMode = PositionMode.ONE_WAY) -> AccountSpec:
        return self.world.add_account(name, "bybit", mode=mode)

    async def client(self, account: AccountSpec) -> Any:
        """Only key and URLs differ from a client of the real venue; the markets are loaded once."""
        exchange = ccxt.pro.bybit({"apiKey": account.api_key, "secret": account.api_secret})
        api = exchange.urls["api"]
        for name in ("spot", "futures", "v2", "public", "private"):
            api[name] = self.server.rest_url
        streams = api["ws"]
        for category in streams["public"]:
            streams["public"][category] = f"{self.server.ws_url}/v5/public/{category}"
        streams["private"]["contract"] = f"{self.server.ws_url}/v5/private"
        self.clients.append(exchange)
        if self.listed is None:
            await exchange.load_markets()
            self.listed = exchange
        else:
            exchange.set_markets_from_exchange(self.listed)
        return exchange

    async def subscribed(self, *topics: str) -> None:
        """Returns once the venue's sessions together follow these topics."""
        gates = self.server.front.gates
        await until(lambda: set(topics) <= {t for gate in gates for t in getattr(gate.session, "topics", ())})


async def until(holds: Callable[[], bool]) -> None:
    """Returns once the condition holds; fails after ten seconds."""
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the condition did not come true within ten seconds")


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Opens a stage and takes it down. One address serves many clients here, so addresses are not limited."""
    world = served_world(seed=5)
    wire = build_wire(world, LimitPolicy(ip_requests=None))
    async with VenueServer(world, wires=[wire]) as server:
        stage = Stage(world, server)
        try:
            yield stage
        finally:
            for exchange in stage.clients:
                await exchange.close()
