"""The venues' adapters: Binance USDⓈ-M and Bybit v5 behind `trueup.ports.Venue`.

ccxt is imported only when a venue is opened: it takes about a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trueup.model.errors import ConfigurationError

if TYPE_CHECKING:
    from trueup.ports import Clock, Venue
    from trueup.venues.connections import Connections
    from trueup.venues.limits import RequestBudget
    from trueup.venues.markets import Markets

__all__ = ["VENUES", "open_venue"]

VENUES = ("binanceusdm", "bybit")
"""ccxt's ids of the venues that have an adapter."""


def open_venue(
    *,
    account: str,
    venue: str,
    api_key: str,
    api_secret: str,
    rest_url: str | None = None,
    ws_url: str | None = None,
    proxy: str | None = None,
    symbols: Sequence[str] = (),
    clock: Clock,
    markets: Markets | None = None,
    budget: RequestBudget | None = None,
    connections: Connections | None = None,
    timeout_s: float | None = None,
) -> Venue:
    """The adapter of one account. No request is sent before its first method is called; close it with `aclose`.

    Args:
        account: The name that snapshots bear.
        venue: One of `VENUES`.
        rest_url: Replaces every REST host; None: the venue's own. That it is https or loopback is the configuration's
            to check.
        ws_url: The same for streams.
        proxy: This account's way out.
        symbols: What the caller looks at; the adapter reads all (one call covers them) and leaves choosing to it.
        markets: Shared by accounts of the same venue and `rest_url`: the market list is then read once.
        budget: Shared by accounts behind the same way out: what one uses or is told, all heed.
        connections: Shared by accounts behind the same way out to the same `rest_url`; None: its own.
        timeout_s: For one request; None: `trueup.venues.client.TIMEOUT_S`.

    Raises:
        ConfigurationError: No adapter for that venue.
    """
    if venue not in VENUES:
        known = ", ".join(VENUES)
        raise ConfigurationError(f"accounts.{account}.venue: {venue!r} has no adapter; write one of {known}")
    from trueup.venues.client import TIMEOUT_S, make_client
    from trueup.venues.markets import Markets as OwnMarkets

    client = make_client(
        venue,
        api_key=api_key,
        api_secret=api_secret,
        rest_url=rest_url,
        proxy=proxy,
        clock=clock,
        budget=budget,
        connections=connections,
        timeout_s=TIMEOUT_S if timeout_s is None else timeout_s,
    )
    shared = markets if markets is not None else OwnMarkets(venue, clock)
    if venue == "binanceusdm":
        from trueup.venues.binance.adapter import BinanceVenue

        return BinanceVenue(account, client, shared)
    from trueup.venues.bybit.adapter import BybitVenue

    return BybitVenue(account, client, shared)
