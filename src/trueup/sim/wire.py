"""The protocol between the transport (a real server, or a simulation without sockets) and a venue's wire.

1. A wire is a synchronous, pure object: no sockets, no asyncio, no clock but its world's. The same requests in the same
   world give the same bytes.
2. A wire never raises for what a client sent: it answers as the venue would. What it raises is a defect of the wire.
3. A stream session only fills its outbox; the transport pumps it and may delay, drop, double or reorder what it pumps.

One world, two wires, one port. Binance: REST `/fapi/…`, streams `/ws…`, `/stream…`, `/private/…`, `/public/…`,
`/market/…`. Bybit: REST `/v5/…`, streams `/v5/private`, `/v5/public/…`. A package `trueup.sim.<venue>` offers
`build_wire(world) -> Wire`.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol
from urllib.parse import parse_qsl

import msgspec

from trueup.sim.world.types import Venue

BINANCE_STREAM_ROOTS = ("/ws", "/stream", "/private", "/public", "/market")
BYBIT_STREAM_ROOTS = ("/v5/private", "/v5/public", "/v5/trade")


@lru_cache(maxsize=256)
def venue_of(path: str) -> Venue | None:
    """The venue whose paths these are, None for neither's."""
    if path == "/v5" or path.startswith("/v5/"):
        return "bybit"
    if path.startswith(("/fapi/", "/futures/data/", "/sapi/")):
        return "binance"
    return "binance" if _under(path, BINANCE_STREAM_ROOTS) else None


def is_stream(path: str) -> bool:
    """True for paths that a websocket is opened on."""
    return _under(path, BYBIT_STREAM_ROOTS) or _under(path, BINANCE_STREAM_ROOTS)


def _under(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)


@lru_cache(maxsize=64)
def _keyed(secret: str) -> hmac.HMAC:
    return hmac.new(secret.encode(), digestmod="sha256")


def signed_with(secret: str, text: str) -> str:
    """The lower-case hex HMAC-SHA256 that both venues expect. The secrets are a simulated venue's own."""
    signing = _keyed(secret).copy()
    signing.update(text.encode())
    return signing.hexdigest()


@lru_cache(maxsize=64)
def pairs_of(encoded: str) -> tuple[tuple[str, str], ...]:
    """Names and values of a query or a form, blank ones too; the same request is read by the front, the wire and a judge."""
    if "%" in encoded or "+" in encoded:
        return tuple(parse_qsl(encoded, keep_blank_values=True))
    parts = [part.partition("=") for part in encoded.split("&") if part]
    return tuple((name, value) for name, _, value in parts)


class WireRequest(msgspec.Struct, frozen=True):
    """One HTTP request. `query` is raw, as it stood after the `?`; header names are lower case; `client_ip` counts
    limits.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    client_ip: str = "127.0.0.1"


class WireResponse(msgspec.Struct, frozen=True):
    """One HTTP answer; header names as the venue writes them."""

    status: int
    body: bytes
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


class StreamRefused(Exception):
    """The venue does not open this stream; the transport answers the upgrade with this status and body."""

    def __init__(self, status: int, body: bytes = b"") -> None:
        super().__init__(f"stream refused with HTTP {status}")
        self.status = status
        self.body = body


class StreamSession:
    """One open websocket, seen by the wire. Wires subclass it and override `receive` and `tick`.

    `account` is the account's name once the session is authenticated, else None: faults are scoped by it. `send` fills
    the outbox and wakes the transport; `close` asks the transport to close the socket after the outbox is empty.
    """

    def __init__(self, path: str, query: str = "", account: str | None = None) -> None:
        self.path = path
        self.query = query
        self.account = account
        self.outbox: deque[str] = deque()
        self.closed = False
        self.close_code = 1000
        self.close_reason = ""
        self.wake: Callable[[], None] | None = None

    def receive(self, text: str) -> None:
        """A text message from the client."""

    def tick(self, now_ms: int) -> None:
        """Time passed: keep-alives, timeouts, periodic messages. Called at least once a second."""

    def disconnected(self) -> None:
        """The client or the transport closed the socket; the wire forgets the session."""

    def send(self, text: str) -> None:
        """Queues a message to the client; nothing after close."""
        if self.closed:
            return
        self.outbox.append(text)
        if self.wake is not None:
            self.wake()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """The venue closes the session; idempotent."""
        if self.closed:
            return
        self.closed = True
        self.close_code = code
        self.close_reason = reason
        if self.wake is not None:
            self.wake()


class Wire(Protocol):
    """A venue's protocol over a world."""

    @property
    def venue(self) -> Venue: ...

    def handle(self, request: WireRequest) -> WireResponse:
        """Answers one request, changing the world as the venue would."""
        ...

    def open_stream(self, path: str, query: str) -> StreamSession:
        """Opens a session that from now on receives what happens; raises StreamRefused."""
        ...

    def account_of(self, request: WireRequest) -> str | None:
        """Name of the account whose key signs this request, without checking the signature; None when there is none."""
        ...
