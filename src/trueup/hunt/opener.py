"""The real adapters and streams of one simulated process, over the simulated network.

1. Nothing of an adapter is replaced but ccxt's session.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, cast

from trueup.bootstrap.wiring import VenueOpener
from trueup.hunt.network import Network, SimSession
from trueup.sim.loop import Host
from trueup.venues.binance.adapter import BinanceVenue
from trueup.venues.bybit.adapter import BybitVenue
from trueup.venues.client import Client, make_client
from trueup.venues.limits import RequestBudget
from trueup.venues.markets import Markets
from trueup.venues.stream import open_price_feed, open_stream

if TYPE_CHECKING:
    from trueup.config import AccountSettings, Settings
    from trueup.ports import Clock, Feed, PriceSource, Venue
    from trueup.venues.connections import Connections
    from trueup.venues.stream.adapter import Adapter
    from trueup.venues.stream.socket import Socket

__all__ = ["REST_URL", "WS_URL", "HuntOpener", "client_of"]

REST_URL = "http://127.0.0.1:1"
WS_URL = "ws://127.0.0.1:1"


class _Simulated:
    """As `trueup.venues.connections.Connections`."""

    def __init__(self, session: SimSession) -> None:
        self.session = session

    def join(self) -> None:
        """Nothing is opened."""

    async def leave(self) -> None:
        """Nothing is closed."""


def client_of(
    venue: str,
    session: SimSession,
    key: str,
    secret: str,
    clock: Clock,
    budget: RequestBudget,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Client:
    """As `make_client` makes it, over a simulated session."""
    client = make_client(
        venue,
        api_key=key,
        api_secret=secret,
        rest_url=REST_URL,
        proxy=None,
        clock=clock,
        budget=budget,
        connections=cast("Connections", _Simulated(session)),
    )
    client._exchange.asyncio_loop = loop or asyncio.get_running_loop()
    return client


class HuntOpener(VenueOpener):
    """Opens venues and streams for one host."""

    def __init__(self, settings: Settings, clock: Clock, network: Network, host: Host, seed: int) -> None:
        super().__init__(settings, clock)
        self._network, self._host = network, host
        self._chance = random.Random(seed)  # noqa: S311 - reproducible waits, not secrets

    def open(self, account: AccountSettings) -> Venue:
        secret = self._settings.secret
        place = (account.venue, account.rest_url)
        budget = self._budgets.setdefault((*place, None), RequestBudget(account.venue, self._clock))
        self.budgets[account.name] = budget
        markets = self._markets.setdefault(place, Markets(account.venue, self._clock))
        client = client_of(
            account.venue,
            SimSession(self._network, self._host, "127.0.0.1"),
            secret(account.name, "api_key").reveal(),
            secret(account.name, "api_secret").reveal(),
            self._clock,
            budget,
        )
        kind = BinanceVenue if account.venue == "binanceusdm" else BybitVenue
        return kind(account.name, client, markets)

    async def _connect(self, url: str) -> Socket:
        return await self._network.connect(self._host, WS_URL, url)

    def feed(self, account: AccountSettings, venue: Venue) -> Feed:
        secret = self._settings.secret
        return open_stream(
            cast("Adapter", venue),
            api_key=secret(account.name, "api_key").reveal(),
            api_secret=secret(account.name, "api_secret").reveal(),
            clock=self._clock,
            chance=self._chance,
            ws_url=WS_URL,
            connect=self._connect,
        )

    def prices(self, account: AccountSettings, venue: Venue) -> PriceSource:
        adapter = cast("Adapter", venue)
        return open_price_feed(adapter, clock=self._clock, chance=self._chance, ws_url=WS_URL, connect=self._connect)
