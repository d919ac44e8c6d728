"""What was asked of the venue lately and how often: for who watches it, and for a bot's author who asks what the bot sent.

1. Bounded: the newest requests only, and of each body its beginning, however long the venue runs.
2. No key and no signature stands in what it shows.
3. It changes nothing of what a client gets.
"""

from __future__ import annotations

from collections import deque
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from trueup.sim.faults import Fault, parameters_of
from trueup.sim.wire import WireRequest

KEPT = 500
_BODY_KEPT = 10_000
_RATE_S = 5
_SECRET = frozenset({"signature", "listenKey"})


class Asked(msgspec.Struct, frozen=True):
    """One request and what came of it.

    `number` counts from 1 over the venue's life; `at_ms` is venue time. `status` is the HTTP status that was sent, None
    when nothing was (the connection was closed, or left hanging). `faults` are the faults that it met.
    """

    number: int
    at_ms: int
    request: WireRequest
    account: str | None
    status: int | None
    faults: tuple[Fault, ...]

    def as_json(self) -> dict[str, Any]:
        """As the control port tells it, without what signs it."""
        parameters = {name: text for name, text in parameters_of(self.request).items() if name not in _SECRET}
        return {
            "number": self.number,
            "at_ms": self.at_ms,
            "method": self.request.method,
            "path": self.request.path,
            "parameters": parameters,
            "account": self.account,
            "status": self.status,
            "faults": [str(fault.kind) for fault in self.faults],
        }

    @property
    def symbol(self) -> str | None:
        """The contract that it names in its query, for a short line about it."""
        return dict(parse_qsl(self.request.query)).get("symbol")


class Journal:
    """The newest requests, and counts of all."""

    def __init__(self) -> None:
        self.total = 0
        self.by_account: dict[str | None, int] = {}
        self.by_path: dict[str, int] = {}
        self._kept: deque[Asked] = deque(maxlen=KEPT)
        self._seconds: deque[list[int]] = deque(maxlen=_RATE_S + 1)

    def note(
        self, request: WireRequest, account: str | None, status: int | None, faults: tuple[Fault, ...], now_ms: int
    ) -> None:
        """Keeps one request that was answered, or refused an answer, now."""
        self.total += 1
        self.by_account[account] = self.by_account.get(account, 0) + 1
        self.by_path[request.path] = self.by_path.get(request.path, 0) + 1
        if len(request.body) > _BODY_KEPT:
            request = WireRequest(
                request.method, request.path, request.query, {}, request.body[:_BODY_KEPT], request.client_ip
            )
        self._kept.append(Asked(self.total, now_ms, request, account, status, faults))
        second = now_ms // 1_000
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += 1
        else:
            self._seconds.append([second, 1])

    def latest(self, count: int) -> list[Asked]:
        """The newest `count` requests, newest last."""
        return list(self._kept)[-count:] if count > 0 else []

    def per_second(self, now_ms: int) -> float:
        """Requests a second over the last five whole seconds of venue time."""
        second = now_ms // 1_000
        counted = sum(count for when, count in self._seconds if second - _RATE_S <= when < second)
        return counted / _RATE_S
