"""One account's stream of evidence: iterate it.

1. The first event is `StreamUp`, or `StreamDown` where the stream does not come up; see `trueup.model.stream` for what
   each promises.
2. Iteration ends only after `aclose`, or with an error: `AuthenticationRefused` when the venue refuses the key, anything
   else for a fault of our own. Everything that may pass is tried again inside.
3. At most `limit` events wait for the reader; beyond that they are dropped, and it is told so by a `StreamDown` of kind
   ``behind`` and a new connection.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from types import TracebackType

from trueup.model.stream import StreamDown, StreamEvent, StreamHealth, StreamUp
from trueup.ports import Clock
from trueup.venues.stream.keeper import Keeper
from trueup.venues.stream.link import Broken, Dialect
from trueup.venues.stream.outlet import Outlet
from trueup.venues.stream.socket import Connect
from trueup.venues.stream.timing import StreamTimings

__all__ = ["AccountStream"]


class _Sink:
    """A keeper's news as events."""

    def __init__(self, outlet: Outlet[StreamEvent]) -> None:
        self._outlet = outlet

    def up(self, at_ms: int) -> None:
        self._outlet.put(StreamUp(at_ms=at_ms), always=True)

    def down(self, at_ms: int, broken: Broken, proven_ms: int | None) -> None:
        event = StreamDown(at_ms=at_ms, kind=broken.kind, why=broken.why, proven_ms=proven_ms)
        self._outlet.put(event, always=True)

    def events(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            self._outlet.put(event)

    def failed(self, error: BaseException) -> None:
        self._outlet.end(error)


class AccountStream:
    """An async iterator of `StreamEvent`, for one reader; also an async context manager that starts and closes it.

    Attributes:
        account, venue: Whose it is.
    """

    def __init__(
        self,
        account: str,
        venue: str,
        dialect: Dialect[StreamEvent],
        connect: Connect,
        *,
        clock: Clock,
        chance: random.Random,
        timings: StreamTimings,
        limit: int,
    ) -> None:
        self.account, self.venue = account, venue
        self._outlet: Outlet[StreamEvent] = Outlet(limit)
        self._keeper = Keeper(
            f"{venue} {account}",
            dialect,
            connect,
            _Sink(self._outlet),
            clock=clock,
            chance=chance,
            timings=timings,
        )

    def __repr__(self) -> str:
        return f"AccountStream({self.venue} {self.account})"

    @property
    def health(self) -> StreamHealth:
        return self._keeper.health

    @property
    def waiting(self) -> int:
        """Events that wait for the reader."""
        return len(self._outlet)

    def start(self) -> None:
        """Begins to connect; idempotent."""
        self._keeper.start()

    def restart(self, why: str) -> None:
        """Makes the connection anew: for a reader that found by other means what the stream should have told."""
        self._keeper.restart(why)

    async def aclose(self) -> None:
        """Ends the stream and its sockets; idempotent. What waits can still be read."""
        await self._keeper.aclose()
        self._outlet.end()

    async def __aenter__(self) -> AccountStream:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> AccountStream:
        self.start()
        return self

    async def __anext__(self) -> StreamEvent:
        return await self._outlet.get()
