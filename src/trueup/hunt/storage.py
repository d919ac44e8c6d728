"""The database as a simulated process reaches it: over a connection that is slow, fails before a commit or after it, or hangs.

1. Behind it is `MemoryStore`, which passes the contract suite of the real stores; every call of it happens at one instant.
2. A commit whose answer is lost is committed. A process that died before its commit arrived commits nothing.
3. Whoever judges sees each commit at the instant it was made.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from trueup.model.errors import StoreUnavailable
from trueup.sim.loop import step
from trueup.store.memory import MemoryDatabase, MemoryStore

if TYPE_CHECKING:
    from trueup.model.changes import ChangeSet, Committed
    from trueup.ports import Owner, Store
    from trueup.sim.loop import Host, SimLoop

__all__ = ["Connection", "StoreFaults", "store_of"]

_HANG_S = 15.0
_SHARE_TIMED = 0.2
_HINTS = ("waiting",)
"""Asked several times a second, and the answer only says where to look: nothing that comes between matters."""


@dataclass
class StoreFaults:
    """What goes wrong now on one host's connection. Chances are fractions of calls; delays milliseconds.

    Attributes:
        lost: The call fails before the database saw it.
        answer_lost: The database has done it, the caller is told that it does not answer.
        hangs: The call fails after a long wait, unseen by the database.
        slow_ms: Added to each way.
    """

    lost: float = 0.0
    answer_lost: float = 0.0
    hangs: float = 0.0
    slow_ms: float = 0.0


class Connection:
    """One host's. Its attributes are the methods of `trueup.ports.Store`.

    Attributes:
        before_commit, after_commit: Told at the instant; may kill the host.
    """

    def __init__(self, database: MemoryDatabase, host: Host, loop: SimLoop, seed: int) -> None:
        self.faults = StoreFaults()
        self.calls = 0
        self.before_commit: Callable[[ChangeSet], None] = lambda _: None
        self.after_commit: Callable[[Owner, ChangeSet, Committed], None] = lambda *_: None
        self._store = MemoryStore(database)
        self._host = host
        self._sleep = loop.sleep
        self._chance = random.Random(seed)  # noqa: S311 - reproducible faults, not secrets
        self._known: dict[str, Callable[..., Awaitable[Any]]] = {}

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self._store, name)

        call = partial(self._call, name, method)
        setattr(self, name, call)
        return call

    async def open(self) -> None:
        self._host.check()

    async def aclose(self) -> None:
        """Nothing is held."""

    async def _call(self, name: str, method: Callable[..., Awaitable[Any]], /, *args: Any, **named: Any) -> Any:
        self._host.check()
        self.calls += 1
        faults, chance = self.faults, self._chance
        await self._way()
        self._host.check()
        if faults.hangs and chance.random() < faults.hangs:
            await self._sleep(_HANG_S)
            raise StoreUnavailable(f"{name}: the database did not answer within {_HANG_S:g} s", maybe_committed=True)
        if faults.lost and chance.random() < faults.lost:
            raise StoreUnavailable(f"{name}: the connection was lost")
        if name == "commit":
            self.before_commit(args[1])
            self._host.check()
        result = await method(*args, **named)
        if name == "commit":
            self.after_commit(args[0], args[1], result)
            self._host.check()
        lost = faults.answer_lost and chance.random() < faults.answer_lost
        if name not in _HINTS or lost or faults.slow_ms:
            await self._way()
            self._host.check()
        if lost:
            raise StoreUnavailable(f"{name}: the connection was lost before the answer came", maybe_committed=True)
        return result

    def _way(self) -> Awaitable[None]:
        """Often too short to count, sometimes milliseconds: others get between in either case."""
        slow_ms = self.faults.slow_ms
        timed = slow_ms or self._chance.random() < _SHARE_TIMED
        return self._sleep((self._chance.random() * 4 + slow_ms) / 1000) if timed else step()


def store_of(connection: Connection) -> Store:
    """The connection, as the engine knows it."""
    return cast("Store", connection)
