"""The venue's market list, read once and shared by the accounts that look at the same venue.

1. It is read again, at most once a minute, when a row names an instrument that is not in it (a new listing).
2. What vanished from a later reading stays, as not tradable: its history must stay readable.
3. Two instruments of one unified symbol cannot both be in it: the tradable one wins; if both or none is, both are left
   out, so that nothing is guessed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from trueup.model.instruments import Instrument, InstrumentCatalog
from trueup.ports import Clock

__all__ = ["Markets", "build_catalog"]

_READ_AGAIN_AFTER_S = 60.0

ReadInstruments = Callable[[], Awaitable[list[Instrument]]]


class Markets:
    """One venue's market list behind one address."""

    def __init__(self, venue: str, clock: Clock) -> None:
        self.venue = venue
        self._clock = clock
        self._lock = asyncio.Lock()
        self._catalog: InstrumentCatalog | None = None
        self._read_at_s = 0.0

    async def catalog(self, read: ReadInstruments) -> InstrumentCatalog:
        """The list, read on the first call."""
        async with self._lock:
            if self._catalog is None:
                self._catalog = build_catalog(self.venue, await read())
                self._read_at_s = self._clock.monotonic_s()
            return self._catalog

    async def read_again(self, read: ReadInstruments) -> InstrumentCatalog:
        """A fresh list, or the present one where that was read within the last minute."""
        async with self._lock:
            if self._catalog is None or self._clock.monotonic_s() - self._read_at_s >= _READ_AGAIN_AFTER_S:
                self._catalog = build_catalog(self.venue, await read(), before=self._catalog or ())
                self._read_at_s = self._clock.monotonic_s()
            return self._catalog


def build_catalog(
    venue: str, instruments: Iterable[Instrument], before: Iterable[Instrument] = ()
) -> InstrumentCatalog:
    """The catalog of a reading, with what only an earlier one had kept as not tradable."""
    by_symbol: dict[str, list[Instrument]] = {}
    for instrument in instruments:
        by_symbol.setdefault(instrument.symbol, []).append(instrument)
    kept: dict[str, Instrument] = {}
    for symbol, bearers in by_symbol.items():
        chosen = bearers if len(bearers) == 1 else [bearer for bearer in bearers if bearer.tradable]
        if len(chosen) == 1:
            kept[symbol] = chosen[0]
    for instrument in before:
        if instrument.symbol not in by_symbol:
            kept[instrument.symbol] = msgspec.structs.replace(instrument, tradable=False)
    return InstrumentCatalog(venue, kept.values())
