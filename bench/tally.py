"""A venue's wire that keeps count, from the venue's side, of what was asked and how full the limit of an address was."""

from __future__ import annotations

from collections import Counter, deque

from trueup.sim.wire import StreamSession, Wire, WireRequest, WireResponse
from trueup.sim.world import World
from trueup.sim.world.types import Venue

_REFUSED = (403, 418, 429)


class Tally:
    """Passes everything on. `window_ms` is the venue's; Bybit's answers bear no weight: there each request is one.

    Attributes:
        asked: Requests by account and path.
        peak: The most that any rolling window held.
        refused: Answers that say "too many".
    """

    def __init__(self, wire: Wire, world: World, window_ms: int) -> None:
        self._wire = wire
        self._world = world
        self._window_ms = window_ms
        self._recent: deque[tuple[int, int]] = deque()
        self._sum = 0
        self._told = (-1, 0)
        self.asked: Counter[tuple[str | None, str]] = Counter()
        self.peak = 0
        self.refused = 0

    @property
    def venue(self) -> Venue:
        return self._wire.venue

    def handle(self, request: WireRequest) -> WireResponse:
        # Read before the venue reads its own: an answer of the old minute is never taken for one of the new.
        now_ms = self._world.now_ms()
        response = self._wire.handle(request)
        self.asked[self._wire.account_of(request), request.path] += 1
        too_many = response.status in _REFUSED or b'"retCode":10006' in response.body
        self.refused += too_many
        self._count(response, now_ms)
        return response

    def _count(self, response: WireResponse, now_ms: int) -> None:
        self._recent.append((now_ms, self._cost(response, now_ms)))
        self._sum += self._recent[-1][1]
        while self._recent[0][0] <= now_ms - self._window_ms:
            self._sum -= self._recent.popleft()[1]
        self.peak = max(self.peak, self._sum)

    def _cost(self, response: WireResponse, now_ms: int) -> int:
        """What the request added to the weight of the venue's clock minute."""
        used = response.headers.get("X-MBX-USED-WEIGHT-1M")
        if used is None:
            return 1
        minute, before = self._told
        self._told = now_ms // 60_000, int(used)
        same = minute == now_ms // 60_000 and int(used) >= before
        return int(used) - before if same else int(used)

    def open_stream(self, path: str, query: str) -> StreamSession:
        return self._wire.open_stream(path, query)

    def account_of(self, request: WireRequest) -> str | None:
        return self._wire.account_of(request)
