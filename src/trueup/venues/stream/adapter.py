"""What a stream needs of its account's adapter: its client, its market list and its measure of the clocks."""

from __future__ import annotations

from typing import Protocol

from trueup.model.instruments import InstrumentCatalog
from trueup.model.observations import ClockReading
from trueup.venues.client import Client

__all__ = ["Adapter", "Listed"]


class Adapter(Protocol):
    """Both adapters are one."""

    account: str
    venue: str
    client: Client

    async def catalog(self) -> InstrumentCatalog: ...

    async def clock(self) -> ClockReading: ...


class Listed:
    """The market list that messages are read with: the adapter's present one, looked up where a message needs it.

    The adapter reads the list again when a look meets an unknown instrument; a stream never does by itself.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._catalog: InstrumentCatalog | None = None

    async def catalog(self) -> InstrumentCatalog:
        """Raises `Unobserved` when it was never read and cannot be."""
        if self._catalog is None:
            self._catalog = await self._adapter.catalog()
        return self._catalog

    async def renewed(self) -> bool:
        """Whether the adapter has another list by now, which is taken over."""
        present = await self._adapter.catalog()
        changed = present is not self._catalog
        self._catalog = present
        return changed
