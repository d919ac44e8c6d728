"""One open websocket of Bybit: what a client may say on it, and how it is answered.

1. A private session says nothing before it is authenticated; a failed authentication closes it.
2. All-in-one topics (`position`) and categorised ones (`position.linear`) do not go into one request.
3. A session without ping and without data for its alive time (ten minutes, or max_active_time) is closed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import parse_qs

import msgspec

from trueup.sim.bybit.auth import check_stream_signature
from trueup.sim.wire import StreamRefused, StreamSession
from trueup.sim.world import World

ALIVE_MS = 600_000
_MIN_ALIVE_MS = 30_000
_UNITS = {"s": 1_000, "m": 60_000}
CATEGORISED = ("position", "order", "execution")
_CATEGORIES = ("linear", "inverse", "spot", "option")
PRIVATE_TOPICS = frozenset(
    {
        "position",
        "order",
        "execution",
        "execution.fast",
        "wallet",
        "greeks",
        *(f"{topic}.{category}" for topic in CATEGORISED for category in _CATEGORIES),
        *(f"execution.fast.{category}" for category in _CATEGORIES),
    }
)
_encode = msgspec.json.Encoder().encode
Message = Mapping[str, object]


class Hub(Protocol):
    """Who keeps the sessions."""

    world: World

    def joined(self, session: PrivateSession) -> None:
        """The session is authenticated."""
        ...

    def left(self, session: BybitSession) -> None:
        """The session is closed."""
        ...

    def snapshot(self, session: PublicSession, topic: str) -> None:
        """A topic was subscribed: its first message."""
        ...

    def flush(self, session: PublicSession) -> None:
        """Sends what was held back."""
        ...


def alive_ms(query: str) -> int:
    """How long a silent session lives, by `max_active_time` (30s to 600s, or minutes)."""
    text = parse_qs(query).get("max_active_time", [""])[0]
    unit = _UNITS.get(text[-1:])
    if unit is None or not text[:-1].isdigit():
        return ALIVE_MS
    wanted = int(text[:-1]) * unit
    if not _MIN_ALIVE_MS <= wanted <= ALIVE_MS:
        raise StreamRefused(400, b"max_active_time must be within 30s and 600s")
    return wanted


class BybitSession(StreamSession):
    """What private and public sessions share."""

    def __init__(self, hub: Hub, path: str, query: str, connection_id: str) -> None:
        super().__init__(path, query)
        self.topics: dict[str, None] = {}
        self.connection_id = connection_id
        self._hub = hub
        self._alive_ms = alive_ms(query)
        self._active_ms = hub.world.now_ms()
        self._operations: dict[str, Callable[[str | None, list[str]], None]] = {"unsubscribe": self._unsubscribe}

    def receive(self, text: str) -> None:
        """A text message from the client."""
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self.tell({"success": False, "ret_msg": "error:invalid message", "conn_id": self.connection_id})
            return
        operation = self._operations.get(str(message.get("op", "")))
        if operation is None:
            self.tell(
                {
                    "success": False,
                    "ret_msg": "error:invalid op",
                    "conn_id": self.connection_id,
                    "request": {"op": str(message.get("op", "")), "args": None},
                }
            )
            return
        given = message.get("args")
        arguments = [str(argument) for argument in given] if isinstance(given, list) else []
        request_id = message.get("req_id")
        operation(None if request_id is None else str(request_id), arguments)

    def tell(self, message: Message) -> None:
        """Queues a message and counts as activity."""
        self._active_ms = self._hub.world.now_ms()
        self.send(_encode(message).decode())

    def tick(self, now_ms: int) -> None:
        """Closes a session that was silent for too long."""
        if not self.closed and now_ms - self._active_ms >= self._alive_ms:
            self.close(1000, "")
            self._hub.left(self)

    def disconnected(self) -> None:
        """The transport is gone."""
        self.closed = True
        self._hub.left(self)

    def _unsubscribe(self, request_id: str | None, arguments: list[str]) -> None:
        for topic in arguments:
            self.topics.pop(topic, None)
        self.acknowledge("unsubscribe", request_id)

    def acknowledge(self, operation: str, request_id: str | None, error: str = "") -> None:
        """The answer to an operation: an error's text, or none."""
        message: dict[str, object] = {
            "success": not error,
            "ret_msg": error,
            "op": operation,
            "conn_id": self.connection_id,
        }
        if request_id is not None:
            message["req_id"] = request_id
        self.tell(message)


class PrivateSession(BybitSession):
    """/v5/private."""

    def __init__(self, hub: Hub, path: str, query: str, connection_id: str) -> None:
        super().__init__(hub, path, query, connection_id)
        self._operations.update(auth=self._authenticate, ping=self._ping, subscribe=self._subscribe)

    def _authenticate(self, request_id: str | None, arguments: list[str]) -> None:
        if self.account is not None:
            self.acknowledge("auth", request_id, "error:repeat auth")
            return
        if len(arguments) != 3:
            self._turn_away(request_id, "Params Error")
            return
        key, expires, sign = arguments
        account = self._hub.world.account_by_key(key, "bybit")
        now_ms = self._hub.world.now_ms()
        if account is None or not check_stream_signature(account, expires, sign, now_ms):
            self._turn_away(request_id, "API key is invalid." if account is None else "Params Error")
            return
        self.account = account.name
        self._hub.joined(self)
        self.acknowledge("auth", request_id)

    def _turn_away(self, request_id: str | None, error: str) -> None:
        self.acknowledge("auth", request_id, error)
        self.close(1000, "")
        self._hub.left(self)

    def _ping(self, request_id: str | None, arguments: list[str]) -> None:
        message: dict[str, object] = {
            "op": "pong",
            "args": [str(self._hub.world.now_ms())],
            "conn_id": self.connection_id,
        }
        if request_id is not None:
            message["req_id"] = request_id
        self.tell(message)

    def _subscribe(self, request_id: str | None, arguments: list[str]) -> None:
        self.acknowledge("subscribe", request_id, self._subscribed(arguments))

    def _subscribed(self, arguments: list[str]) -> str:
        """Takes the topics, or says why not."""
        if self.account is None:
            return "Request not authorized"
        unknown = [topic for topic in arguments if topic not in PRIVATE_TOPICS]
        if unknown or not arguments:
            return f"error:handler not found,topic:{','.join(unknown)}"
        for topic in CATEGORISED:
            if topic in arguments and any(other.startswith(f"{topic}.") for other in arguments if "fast" not in other):
                return "error:All-In-One topic and Categorised topic cannot be in the same subscription request"
        for topic in arguments:
            self.topics[topic] = None
        return ""

    def topic_for(self, kind: str, category: str) -> str | None:
        """The name under which this session wants messages of a kind and category; None: it does not."""
        if kind in self.topics:
            return kind
        named = f"{kind}.{category}"
        return named if named in self.topics else None


class PublicSession(BybitSession):
    """/v5/public/{category}."""

    def __init__(self, hub: Hub, path: str, query: str, connection_id: str) -> None:
        super().__init__(hub, path, query, connection_id)
        self.category = path.rpartition("/")[2]
        self._operations.update(ping=self._ping, subscribe=self._subscribe)

    def tick(self, now_ms: int) -> None:
        """Time passed: what the pace of the stream held back goes out."""
        self._hub.flush(self)
        super().tick(now_ms)

    def _ping(self, request_id: str | None, arguments: list[str]) -> None:
        self.tell(
            {
                "success": True,
                "ret_msg": "pong",
                "conn_id": self.connection_id,
                "req_id": request_id or "",
                "op": "ping",
            }
        )

    def _subscribe(self, request_id: str | None, arguments: list[str]) -> None:
        unknown = [topic for topic in arguments if not self._is_known(topic)]
        if unknown or not arguments:
            self.acknowledge("subscribe", request_id or "", f"error:handler not found,topic:{','.join(unknown)}")
            return
        self.acknowledge("subscribe", request_id or "")
        for topic in arguments:
            if topic not in self.topics:
                self.topics[topic] = None
                self._hub.snapshot(self, topic)

    def _is_known(self, topic: str) -> bool:
        kind, _, symbol = topic.partition(".")
        if kind != "tickers":
            return False
        return any(
            spec.symbol == symbol and spec.category == self.category for spec in self._hub.world.instruments("bybit")
        )
