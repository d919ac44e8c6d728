"""Misbehaviour on demand: what goes wrong, where, for whom, how often and when.

1. A fault changes only what stands in its scope; everything else is as without it.
2. Faults are decided by the plan's own seed and the world's time: the same requests meet the same faults.
3. `count` counts what was hit, `skip` lets that many matches pass first; so "the second page fails" is skip 1, count 1.

A fault of requests is applied around `wire.handle`, one of streams between a session's outbox and the socket; what
takes time (delays, hanging) is a value that the transport carries out.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from trueup.sim.wire import WireRequest, pairs_of, venue_of
from trueup.sim.world.types import Venue


class FaultKind(StrEnum):
    """What goes wrong. Requests first, then streams, then what happens once."""

    HTTP_ERROR = "http_error"
    """Answered `status` with `body` (else 503 in the venue's words); nothing is carried out."""
    RATE_LIMIT = "rate_limit"
    """Answered as the venue answers too many requests (429 with Retry-After; retCode 10006)."""
    BANNED = "banned"
    """Answered as the venue answers a banned address (418 with Retry-After; HTTP 403)."""
    MAINTENANCE = "maintenance"
    """Requests and new streams are refused as in a maintenance window; open streams are closed."""
    HTML = "html"
    """Carried out, answered by a page of HTML with HTTP 200 (or `status`)."""
    TRUNCATED = "truncated"
    """Carried out, answered by the first half of the body, with HTTP 200 and a matching Content-Length."""
    EMPTY = "empty"
    """Carried out, but every list of the answer is empty."""
    DROP_FIELD = "drop_field"
    """Carried out, but `field` is missing from every row of the answer that has it."""
    SET_FIELD = "set_field"
    """Carried out, but `field` reads `value` in every row of the answer that has it."""
    SLOW = "slow"
    """`delay_ms` pass before it is carried out (`when` before), after that (after), or while it is sent (drip)."""
    HANG = "hang"
    """Never answered, nothing is carried out."""
    DISCONNECT = "disconnect"
    """The connection is closed, nothing is carried out."""
    ANSWER_LOST = "answer_lost"
    """Carried out, and then the connection closes, hangs, or "outcome unknown" is answered (`then`: error)."""
    STALE = "stale"
    """Answered from the state of `lag_ms` ago (GET only): stale snapshots, lagging history or order lists."""

    STREAM_DROP = "stream_drop"
    """Messages are lost."""
    STREAM_DUPLICATE = "stream_duplicate"
    """Messages come twice."""
    STREAM_DELAY = "stream_delay"
    """Messages come `delay_ms` late."""
    STREAM_REORDER = "stream_reorder"
    """A message comes after the one that follows it (or after `delay_ms`, when none follows)."""
    STREAM_SILENT = "stream_silent"
    """The socket stays open and says nothing, not even to pings."""
    STREAM_DISCONNECT = "stream_disconnect"
    """An open session is cut without a close frame; without `count` every session again and again: a flapping socket.
    """
    STREAM_REFUSED = "stream_refused"
    """New sessions are refused with HTTP `status`."""

    LISTEN_KEYS_EXPIRED = "listen_keys_expired"
    """Once, at `from_ms` or now: stream keys expire (Binance)."""
    CLOCK_SKEW = "clock_skew"
    """From `from_ms` or now until `until_ms`: the venue's clock is off by `offset_ms`."""


REQUEST_KINDS = frozenset(
    {
        FaultKind.HTTP_ERROR,
        FaultKind.RATE_LIMIT,
        FaultKind.BANNED,
        FaultKind.MAINTENANCE,
        FaultKind.HTML,
        FaultKind.TRUNCATED,
        FaultKind.EMPTY,
        FaultKind.DROP_FIELD,
        FaultKind.SET_FIELD,
        FaultKind.SLOW,
        FaultKind.HANG,
        FaultKind.DISCONNECT,
        FaultKind.ANSWER_LOST,
        FaultKind.STALE,
    }
)
MESSAGE_KINDS = frozenset(
    {
        FaultKind.STREAM_DROP,
        FaultKind.STREAM_DUPLICATE,
        FaultKind.STREAM_DELAY,
        FaultKind.STREAM_REORDER,
        FaultKind.STREAM_SILENT,
    }
)
HAPPENING_KINDS = frozenset({FaultKind.LISTEN_KEYS_EXPIRED, FaultKind.CLOCK_SKEW})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and its scope. Every scope field that is None (or empty) matches everything.

    `path` is a shell pattern (`/v5/position/*`); `query` maps parameters to shell patterns, `""` meaning absent or
    empty (parameters of a form or JSON body count too); `text` is a regular expression that a stream message must
    contain. `from_ms`, `until_ms` are venue time; `probability` is a fraction of what else matches.
    """

    kind: FaultKind
    venue: Venue | None = None
    path: str | None = None
    method: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    account: str | None = None
    client_ip: str | None = None
    text: str | None = None
    skip: int = 0
    count: int | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    probability: Decimal | None = None
    status: int | None = None
    body: str | None = None
    retry_after_s: int = 5
    delay_ms: int = 1_000
    lag_ms: int = 10_000
    offset_ms: int = 0
    when: str = "before"
    then: str = "disconnect"
    field: str | None = None
    value: str | None = None

    def __post_init__(self) -> None:
        """Impossible faults are errors when they are made, not when they should have struck."""
        if self.when not in ("before", "after", "drip"):
            raise ValueError(f"when is {self.when!r}; expected before, after or drip")
        if self.then not in ("disconnect", "hang", "error"):
            raise ValueError(f"then is {self.then!r}; expected disconnect, hang or error")
        if self.kind in (FaultKind.DROP_FIELD, FaultKind.SET_FIELD) and not self.field:
            raise ValueError(f"{self.kind} needs the name of the field")
        if self.kind is FaultKind.CLOCK_SKEW and not self.offset_ms:
            raise ValueError("clock_skew needs offset_ms, positive or negative")
        if self.venue not in (None, "binance", "bybit"):
            raise ValueError(f"venue is {self.venue!r}; expected binance or bybit")
        if self.text is not None:
            try:
                re.compile(self.text)
            except re.error as error:
                raise ValueError(f"text is {self.text!r}; expected a regular expression: {error}") from error

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fault:
        """Reads a fault as the control port, the command line and scenarios write it.

        Numbers may be texts. Raises ValueError for unknown keys and for values that cannot be meant, naming them.
        """
        known = cls.__dataclass_fields__
        unknown = sorted(set(data) - set(known))
        if unknown:
            raise ValueError(f"unknown key {unknown[0]!r} of a fault; known are {', '.join(sorted(known))}")
        if data.get("kind") not in {str(kind) for kind in FaultKind}:
            raise ValueError(f"kind is {data.get('kind')!r}; expected one of {', '.join(FaultKind)}")
        given = {name: value for name, value in data.items() if value is not None}
        return cls(**{name: _read(name, value) for name, value in given.items()})


_NUMBERS = frozenset(
    {
        "skip",
        "count",
        "from_ms",
        "until_ms",
        "status",
        "retry_after_s",
        "delay_ms",
        "lag_ms",
        "offset_ms",
    }
)


def _read(name: str, value: Any) -> Any:
    """One value of a fault that was written as JSON or TOML."""
    if name == "kind":
        return FaultKind(value)
    if name == "query":
        if not isinstance(value, Mapping):
            raise ValueError(f"query is {value!r}; expected a table of parameters and patterns")
        return {str(parameter): str(pattern) for parameter, pattern in value.items()}
    if name == "probability":
        return _fraction(value)
    if name in _NUMBERS:
        return _number(name, value)
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; expected a text")
    return value


def _number(name: str, value: Any) -> int:
    if isinstance(value, str) and value.removeprefix("-").isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is {value!r}; expected an integer")
    if value < 0 and name != "offset_ms":
        raise ValueError(f"{name} is {value}; expected 0 or more")
    return value


def _fraction(value: Any) -> Decimal:
    try:
        fraction = Decimal(str(value))
    except InvalidOperation:
        fraction = Decimal(-1)
    if not fraction.is_finite() or not 0 <= fraction <= 1:
        raise ValueError(f"probability is {value!r}; expected a fraction from 0 to 1")
    return fraction


@dataclass(slots=True)
class Planned:
    """A fault in the plan and what came of it."""

    fault_id: int
    fault: Fault
    seen: int = 0
    hits: int = 0

    @property
    def spent(self) -> bool:
        return self.fault.count is not None and self.hits >= self.fault.count


class FaultPlan:
    """The faults that are on, and the decision which of them strikes."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - reproducible faults, not secrets
        self._planned: dict[int, Planned] = {}
        self._next_id = 0

    def add(self, fault: Fault) -> Planned:
        """Puts a fault into the plan; it strikes from now on (or from its `from_ms`)."""
        self._next_id += 1
        planned = Planned(self._next_id, fault)
        self._planned[self._next_id] = planned
        return planned

    def remove(self, fault_id: int) -> bool:
        """Takes one fault away; False when there is none of that id."""
        return self._planned.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Takes every fault away."""
        self._planned.clear()

    def planned(self) -> list[Planned]:
        """Every fault in order of addition, spent ones included."""
        return list(self._planned.values())

    def strike_request(self, request: WireRequest, account: str | None, now_ms: int) -> list[Fault]:
        """The faults that this request meets, in order of addition; each of them is counted."""
        candidates = [p for p in self._planned.values() if p.fault.kind in REQUEST_KINDS]
        if not candidates:
            return []
        parameters = parameters_of(request)
        return self._struck((p for p in candidates if _request_matches(p.fault, request, parameters, account)), now_ms)

    def strike_message(self, path: str, account: str | None, text: str, now_ms: int) -> list[Fault]:
        """The faults that this stream message meets; each of them is counted."""
        if not self._planned:
            return []
        return self._struck(
            (
                p
                for p in self._planned.values()
                if p.fault.kind in MESSAGE_KINDS
                and _stream_matches(p.fault, path, account)
                and (p.fault.text is None or re.search(p.fault.text, text))
            ),
            now_ms,
        )

    def strike_stream(self, path: str, account: str | None, now_ms: int, kinds: Iterable[FaultKind]) -> Fault | None:
        """The first fault of those kinds that this session meets; it is counted."""
        if not self._planned:
            return None
        wanted = frozenset(kinds)
        struck = self._struck(
            (p for p in self._planned.values() if p.fault.kind in wanted and _stream_matches(p.fault, path, account)),
            now_ms,
            only_first=True,
        )
        return struck[0] if struck else None

    def is_silent(self, path: str, account: str | None, now_ms: int) -> bool:
        """Whether the session answers nothing now; asking counts nothing."""
        return any(
            p.fault.kind is FaultKind.STREAM_SILENT
            and p.fault.text is None
            and not p.spent
            and _in_time(p.fault, now_ms)
            and _stream_matches(p.fault, path, account)
            for p in self._planned.values()
        )

    def _struck(self, matching: Iterable[Planned], now_ms: int, *, only_first: bool = False) -> list[Fault]:
        struck = []
        for planned in matching:
            fault = planned.fault
            if planned.spent or not _in_time(fault, now_ms):
                continue
            if fault.probability is not None and Decimal(self._random.randrange(10_000)) >= fault.probability * 10_000:
                continue
            planned.seen += 1
            if planned.seen <= fault.skip:
                continue
            planned.hits += 1
            struck.append(fault)
            if only_first:
                break
        return struck


def parameters_of(request: WireRequest) -> dict[str, str]:
    """Parameters of the query and of a form or JSON body."""
    found = dict(pairs_of(request.query))
    if not request.body:
        return found
    text = request.body.decode("utf-8", "replace")
    if not text.lstrip().startswith("{"):
        return found | dict(pairs_of(text))
    try:
        data = json.loads(text)
    except ValueError:
        return found
    return found | {str(name): str(value) for name, value in data.items()}


def _in_time(fault: Fault, now_ms: int) -> bool:
    if fault.from_ms is not None and now_ms < fault.from_ms:
        return False
    return fault.until_ms is None or now_ms < fault.until_ms


def _request_matches(fault: Fault, request: WireRequest, parameters: Mapping[str, str], account: str | None) -> bool:
    if fault.venue is not None and venue_of(request.path) != fault.venue:
        return False
    if fault.path is not None and not fnmatchcase(request.path, fault.path):
        return False
    if fault.method is not None and request.method != fault.method.upper():
        return False
    if fault.kind is FaultKind.STALE and request.method != "GET":
        return False
    if fault.account is not None and account != fault.account:
        return False
    if fault.client_ip is not None and request.client_ip != fault.client_ip:
        return False
    return all(fnmatchcase(parameters.get(name, ""), pattern) for name, pattern in fault.query.items())


def _stream_matches(fault: Fault, path: str, account: str | None) -> bool:
    if fault.venue is not None and venue_of(path) != fault.venue:
        return False
    if fault.path is not None and not fnmatchcase(path, fault.path):
        return False
    return fault.account is None or account == fault.account
