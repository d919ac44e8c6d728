"""An unmodified ccxt client whose URLs point to a served world."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import ccxt.pro

from trueup.sim.bybit import build_wire
from trueup.sim.server import VenueServer, served_world
from trueup.sim.world import World
from trueup.sim.world.account import AccountSpec
from trueup.sim.world.types import PositionMode


@dataclass
class Stage:
    """A world behind a real server, and ccxt's Bybit client for its account `main`."""

    world: World
    exchange: Any
    server: VenueServer

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
async def staged(mode: PositionMode = PositionMode.ONE_WAY) -> AsyncIterator[Stage]:
    """Opens a stage and takes it down."""
    world = served_world(seed=5)
    account = world.add_account("main", "bybit", mode=mode)
    async with VenueServer(world, wires=[build_wire(world)]) as server:
        exchange = client_of(server, account)
        try:
            yield Stage(world, exchange, server)
        finally:
            await exchange.close()


@asynccontextmanager
async def served(mode: PositionMode = PositionMode.ONE_WAY) -> AsyncIterator[tuple[World, Any]]:
    """A stage for tests that need the world and the client only."""
    async with staged(mode) as stage:
        yield stage.world, stage.exchange


def client_of(server: VenueServer, account: AccountSpec) -> Any:
    """Only the URLs differ from a client of the real venue."""
    exchange = ccxt.pro.bybit({"apiKey": account.api_key, "secret": account.api_secret})
    api = exchange.urls["api"]
    for name in ("spot", "futures", "v2", "public", "private"):
        api[name] = server.rest_url
    streams = api["ws"]
    for category in streams["public"]:
        streams["public"][category] = f"{server.ws_url}/v5/public/{category}"
    streams["private"]["contract"] = f"{server.ws_url}/v5/private"
    return exchange
