"""Mark prices of a set of symbols that may change while they stream: iterate the feed.

1. `StreamUp`: the venue has confirmed every symbol wanted so far on every connection; `StreamDown`: some price may be
   old from now on. A price holds until the next one or until then; Bybit says nothing of one that stands.
2. For a slow reader the newest price of a symbol replaces the one that waits; no other event is lost.
3. A symbol that the venue refuses is told as `StreamUnreadable`; the others are not touched by it.
4. Requests on a socket are few: changes are gathered, and at least `_PACE_S` lies between two requests.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

from trueup.model.errors import UnknownSymbol, Unobserved
from trueup.model.instruments import Instrument
from trueup.model.stream import MarkPrice, PriceEvent, StreamDown, StreamHealth, StreamUnreadable, StreamUp
from trueup.ports import Clock
from trueup.venues.stream.adapter import Adapter
from trueup.venues.stream.keeper import Keeper
from trueup.venues.stream.link import Broken, Taken
from trueup.venues.stream.outlet import Outlet
from trueup.venues.stream.price_wires import BinancePrices, BybitPrices, PriceWire
from trueup.venues.stream.socket import Connect, Frame, Socket
from trueup.venues.stream.timing import StreamTimings

__all__ = ["PriceFeed"]

_PACE_S = 0.25
_LIMIT = 100_000


class _Wanted:
    """Venue symbol → unified symbol of one connection; `changed` is set when it changes."""

    def __init__(self) -> None:
        self.symbols: dict[str, str] = {}
        self.changed = asyncio.Event()


class _Channel:
    """The dialect of one connection."""

    def __init__(self, wire: PriceWire, wanted: _Wanted, clock: Clock) -> None:
        self.renews = wire.renews
        self._wire, self._wanted, self._clock = wire, wanted, clock

    async def open(self, connect: Connect) -> _PriceSession:
        """Confirmed when every request was answered."""
        session = _PriceSession(await connect(self._wire.url), self._wire, self._wanted, self._clock)
        await session.ask()
        while session.unanswered:
            session.first.extend((await session.take(await session.socket.receive())).events)
            await session.ask()
        return session


class _PriceSession:
    """One socket.

    Attributes:
        unanswered: Requests under way, by number: the venue symbols that they name.
    """

    def __init__(self, socket: Socket, wire: PriceWire, wanted: _Wanted, clock: Clock) -> None:
        self.socket = socket
        self.first: list[PriceEvent] = []
        self.unanswered: dict[int, Sequence[str]] = {}
        self._wire, self._wanted, self._clock = wire, wanted, clock
        self._asked: set[str] = set()
        self._again: list[Sequence[str]] = []
        self._number = 0

    async def ping(self) -> None:
        await self._wire.ping(self.socket)

    async def upkeep(self) -> None:
        while True:
            await self._wanted.changed.wait()
            self._wanted.changed.clear()
            await self.ask()

    async def ask(self) -> None:
        """Subscribes and unsubscribes what changed since, and asks again in halves for what was refused together."""
        wanted = self._wanted.symbols.keys()
        for part in self._parts(self._asked - wanted):
            self._asked.difference_update(part)
            await self._request(part, subscribe=False)
        again, self._again = self._again, []
        for part in [*again, *self._parts(wanted - self._asked)]:
            self._asked.update(part)
            await self._request(part, subscribe=True)

    def _parts(self, venue_symbols: Iterable[str]) -> list[Sequence[str]]:
        ordered, size = sorted(venue_symbols), self._wire.per_request
        return [ordered[start : start + size] for start in range(0, len(ordered), size)]

    async def _request(self, venue_symbols: Sequence[str], *, subscribe: bool) -> None:
        self._number += 1
        if self._number > 1:
            await self._clock.sleep(_PACE_S)
        if subscribe:
            self.unanswered[self._number] = venue_symbols
        await self.socket.send(self._wire.request(self._number, venue_symbols, subscribe=subscribe))

    async def take(self, frame: Frame) -> Taken[PriceEvent]:
        try:
            heard = self._wire.read(frame)
        except Unobserved as error:
            return Taken((self._unreadable(str(error)),))
        if heard.told is not None:
            symbol = self._wanted.symbols.get(heard.told.venue_symbol)
            if symbol is None:
                return Taken()  # unsubscribed, and not yet heard of
            return Taken((MarkPrice(symbol=symbol, price=heard.told.price, at_ms=heard.told.at_ms),))
        named = self.unanswered.pop(heard.answers, ()) if heard.answers is not None else ()
        if heard.refused is not None and len(named) == 1:
            problem = f"the venue has no stream of its mark price: {heard.refused}"
            return Taken((self._unreadable(problem, self._wanted.symbols.get(named[0])),))
        if heard.refused is not None and named:
            middle = len(named) // 2
            self._again += [named[:middle], named[middle:]]
            self._wanted.changed.set()
        elif heard.refused is not None:
            return Taken((self._unreadable(f"a request was refused: {heard.refused}"),))
        return Taken(pong=heard.pong)

    def _unreadable(self, problem: str, symbol: str | None = None) -> StreamUnreadable:
        return StreamUnreadable(at_ms=self._clock.now_ms(), problem=problem, symbol=symbol)


@dataclass(slots=True)
class _Connection:
    """One socket's keeper, and what it wants."""

    wanted: _Wanted
    keeper: Keeper[PriceEvent]
    up: bool = False


class _Sink:
    """News of one connection, for the feed."""

    def __init__(self, feed: PriceFeed, name: str) -> None:
        self._feed, self._name = feed, name

    def up(self, at_ms: int) -> None:
        self._feed.came_up(self._name, at_ms)

    def down(self, at_ms: int, broken: Broken, proven_ms: int | None) -> None:
        self._feed.went_down(self._name, StreamDown(at_ms=at_ms, kind=broken.kind, why=broken.why, proven_ms=proven_ms))

    def events(self, events: Sequence[PriceEvent]) -> None:
        self._feed.heard(events)

    def failed(self, error: BaseException) -> None:
        self._feed.ended(error)


class PriceFeed:
    """An async iterator of `PriceEvent`, for one reader; also an async context manager that starts and closes it.

    It needs no key: one feed serves all accounts of a venue. Without symbols it has no connection.
    """

    def __init__(
        self,
        adapter: Adapter,
        base_url: str,
        connect: Connect,
        *,
        clock: Clock,
        chance: random.Random,
        timings: StreamTimings,
    ) -> None:
        self.venue = adapter.venue
        self._adapter, self._base_url, self._connect = adapter, base_url, connect
        self._clock, self._chance, self._timings = clock, chance, timings
        self._outlet: Outlet[PriceEvent] = Outlet(_LIMIT)
        self._connections: dict[str, _Connection] = {}
        self._started = False
        self._told_up: bool | None = None

    def __repr__(self) -> str:
        return f"PriceFeed({self.venue})"

    @property
    def symbols(self) -> frozenset[str]:
        """What is wanted: unified symbols."""
        return frozenset(one for each in self._connections.values() for one in each.wanted.symbols.values())

    @property
    def health(self) -> dict[str, StreamHealth]:
        """By connection."""
        return {name: each.keeper.health for name, each in self._connections.items()}

    async def subscribe(self, symbols: Iterable[str]) -> None:
        """Wants these unified symbols too; their prices come when the venue sends them.

        Raises:
            UnknownSymbol: The venue's market list lacks one; none of them is taken.
            Unobserved: The market list could not be read.
        """
        for instrument in await self._instruments(symbols):
            wanted = self._connection(instrument).wanted
            if instrument.venue_symbol not in wanted.symbols:
                wanted.symbols[instrument.venue_symbol] = instrument.symbol
                wanted.changed.set()

    async def unsubscribe(self, symbols: Iterable[str]) -> None:
        """Wants these no longer; unknown ones are none of its business."""
        leaving = set(symbols)
        for name, each in list(self._connections.items()):
            for venue_symbol, symbol in list(each.wanted.symbols.items()):
                if symbol in leaving:
                    del each.wanted.symbols[venue_symbol]
                    each.wanted.changed.set()
            if not each.wanted.symbols:
                del self._connections[name]
                await each.keeper.aclose()
                self._tell_up(self._clock.now_ms())

    async def _instruments(self, symbols: Iterable[str]) -> list[Instrument]:
        catalog = await self._adapter.catalog()
        found = []
        for symbol in dict.fromkeys(symbols):
            instrument = catalog.get(symbol)
            if instrument is None:
                raise UnknownSymbol(f"mark prices of {self.venue}: {symbol!r} is not in its market list")
            found.append(instrument)
        return found

    def _connection(self, instrument: Instrument) -> _Connection:
        name = instrument.category
        if name not in self._connections:
            wire: PriceWire
            wire = BybitPrices(self._base_url, name) if self.venue == "bybit" else BinancePrices(self._base_url)
            wanted = _Wanted()
            keeper = Keeper(
                f"{self.venue} {name} prices",
                _Channel(wire, wanted, self._clock),
                self._connect,
                _Sink(self, name),
                clock=self._clock,
                chance=self._chance,
                timings=self._timings,
            )
            self._connections[name] = _Connection(wanted, keeper)
            if self._started:
                keeper.start()
        return self._connections[name]

    # news of the connections
    def came_up(self, name: str, at_ms: int) -> None:
        """A connection is up."""
        if name in self._connections:
            self._connections[name].up = True
            self._tell_up(at_ms)

    def went_down(self, name: str, down: StreamDown) -> None:
        """A connection is down."""
        if name in self._connections:
            self._connections[name].up = False
            if self._told_up is not False:
                self._told_up = False
                self._outlet.put(down, always=True)

    def heard(self, events: Sequence[PriceEvent]) -> None:
        for event in events:
            self._outlet.put(event)

    def ended(self, error: BaseException) -> None:
        self._outlet.end(error)

    def _tell_up(self, at_ms: int) -> None:
        up = all(each.up for each in self._connections.values())
        if up and self._connections and self._told_up is not True:
            self._told_up = True
            self._outlet.put(StreamUp(at_ms=at_ms), always=True)

    # its life
    def start(self) -> None:
        """Begins to connect; idempotent."""
        self._started = True
        for each in self._connections.values():
            each.keeper.start()

    async def aclose(self) -> None:
        """Ends the feed and its sockets; idempotent."""
        for each in self._connections.values():
            await each.keeper.aclose()
        self._outlet.end()

    async def __aenter__(self) -> PriceFeed:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> PriceFeed:
        self.start()
        return self

    async def __anext__(self) -> PriceEvent:
        return await self._outlet.get()
