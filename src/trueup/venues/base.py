"""What the adapters share: whose account it is, the client, the venue's time and its market list."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeVar

from trueup.model.errors import Unlisted
from trueup.model.instruments import Instrument, InstrumentCatalog
from trueup.model.observations import ClockReading
from trueup.model.protection import StopRefusal, StopRefused
from trueup.venues.client import Client
from trueup.venues.markets import Markets
from trueup.venues.venue_time import VenueTime
from trueup.venues.wire import Reader, decode

__all__ = ["VenueBase"]

T = TypeVar("T")


class VenueBase(ABC):
    """One account on one venue; the two adapters fill in how the venue is asked.

    Attributes:
        client: Its `budget` holds what its way out may still ask.
    """

    venue: str

    def __init__(self, account: str, client: Client, markets: Markets) -> None:
        self.account = account
        self.client = client
        self._markets = markets
        self._time = VenueTime(client.clock)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(account={self.account!r})"

    @abstractmethod
    async def _read_time(self) -> int:
        """The venue's clock, milliseconds."""

    @abstractmethod
    async def _read_instruments(self) -> list[Instrument]: ...

    async def catalog(self) -> InstrumentCatalog:
        return await self._markets.catalog(self._read_instruments)

    async def clock(self) -> ClockReading:
        reading = await self._time.measure(self._read_time)
        self.client.set_skew(reading.skew_ms)
        return reading

    async def aclose(self) -> None:
        await self.client.aclose()

    async def _ask(self, endpoint: str, params: Mapping[str, str | int], reader: Reader[T], source: str) -> T:
        """One question, its answer decoded."""
        return decode(await self.client.read(endpoint, params, source=source), reader, source)

    async def _began(self) -> int:
        """Venue time before now; measures the clock on the first call and after a timestamp of ours was refused."""
        if self._time.reading is None or self.client.skew_refused:
            await self.clock()
        return self._time.began_ms()

    async def _instrument(self, symbol: str, source: str) -> Instrument:
        """By its exact unified symbol.

        Raises:
            Unlisted: The venue does not list it: it cannot be asked about.
        """
        found = (await self.catalog()).get(symbol) or (await self._fresh_catalog()).get(symbol)
        if found is None:
            raise Unlisted(source, f"{symbol} is not in the venue's market list, so it cannot be asked for")
        return found

    async def _stop_refused(self, refused: StopRefused) -> StopRefused:
        """A price or quantity off the grid means that ours is an old one: the next attempt rounds to a fresh one."""
        if refused.kind is StopRefusal.OFF_GRID:
            await self._fresh_catalog()
        return refused

    async def _fresh_catalog(self) -> InstrumentCatalog:
        return await self._markets.read_again(self._read_instruments)
