"""Stream sessions: what a client listens to, and how the world's events reach it.

1. User messages go only to sessions that listen with the account's live listen key, in the order of events.
2. A listen key that runs out is told (`listenKeyExpired`) and then silent; the session stays open, and may subscribe to
   the account's next key.
3. Mark prices are sent on the clock, every three seconds or every second; a session lives for at most 24 hours.
4. Unknown streams are accepted and stay silent, as at the venue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from trueup.sim.binance import render_events as render
from trueup.sim.binance.listen_keys import ListenKeys
from trueup.sim.binance.stream_methods import answer_method
from trueup.sim.wire import StreamSession
from trueup.sim.world.events import (
    AccountChanged,
    ConditionalChanged,
    ListenKeysExpired,
    MarginCalled,
    OrderChanged,
    PriceChanged,
    SettingsChanged,
    StreamsCut,
    WorldEvent,
)
from trueup.sim.world.types import ConditionalStatus, ExecType, InstrumentStatus, OrderStatus
from trueup.sim.world.world import World

LIFETIME_MS = 24 * 3_600_000
_SLOW_MS, _FAST_MS = 3_000, 1_000
_ALL_MARKS = "!markPrice@arr"
_MESSAGES_PER_SECOND = 10
_GOING_AWAY, _POLICY = 1001, 1008
_CATEGORIES = ("private", "public", "market")
_encode = msgspec.json.Encoder().encode


def _text(message: Any) -> str:
    return _encode(message).decode()


class BinanceSession(StreamSession):
    """One websocket. `streams` are the subscribed names in order, each with the account that it shows, if any."""

    def __init__(self, hub: StreamHub, path: str, query: str) -> None:
        super().__init__(path, query)
        self._hub = hub
        self.combined = False
        self.events: frozenset[str] | None = None
        self.streams: dict[str, str | None] = {}
        self.opened_ms = hub.world.now_ms()
        self._due: dict[int, int] = {}
        self._second = -1
        self._received = 0

    def subscribe(self, name: str) -> None:
        """Listens to a stream; a live listen key makes the session its account's."""
        account = self._hub.listen_keys.account_of(name)
        self.streams[name] = account
        if account is not None:
            self.account = account
            self._hub.watch(account, self)

    def unsubscribe(self, name: str) -> None:
        account = self.streams.pop(name, None)
        if account is not None and account not in self.streams.values():
            self._hub.unwatch(account, self)

    def receive(self, text: str) -> None:
        now_ms = self._hub.world.now_ms()
        second = now_ms // 1_000
        self._received = self._received + 1 if second == self._second else 1
        self._second = second
        if self._received > _MESSAGES_PER_SECOND:
            self.close(_POLICY, "Too many requests")
            return
        self.send(_text(answer_method(self, text)))

    def tick(self, now_ms: int) -> None:
        if now_ms - self.opened_ms >= LIFETIME_MS:
            self.close(_GOING_AWAY, "24 hours")
            return
        for period_ms in (_FAST_MS, _SLOW_MS):
            due = now_ms // period_ms
            known = self._due.setdefault(period_ms, due)
            if due == known:
                continue
            self._due[period_ms] = due
            for name in self.streams:
                self._hub.send_marks(self, name, period_ms)

    def deliver(self, stream: str, message: Any) -> None:
        """Sends one message of a stream, wrapped when the session is a combined one."""
        self.send(_text({"stream": stream, "data": message} if self.combined else message))

    def tell(self, key: str, kind: str, message: Any) -> None:
        """Sends a user message if the session wants its kind."""
        if self.events is None or kind in self.events:
            self.deliver(key, message)

    def disconnected(self) -> None:
        self._hub.forget(self)


class StreamHub:
    """Every open session, found by account or walked for prices."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.listen_keys = ListenKeys(world, self._key_ended)
        self._sessions: dict[BinanceSession, None] = {}
        self._watching: dict[str, dict[BinanceSession, None]] = {}
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            AccountChanged: self._account_changed,
            OrderChanged: self._order_changed,
            ConditionalChanged: self._conditional_changed,
            SettingsChanged: self._settings_changed,
            MarginCalled: self._margin_called,
            ListenKeysExpired: lambda event: self.listen_keys.expire(event.account),
            StreamsCut: self._cut,
        }
        world.subscribe(self._on_event)

    # sessions
    def open(self, path: str, query: str) -> BinanceSession:
        """A session on `/ws…`, `/stream…`, or the same under `/private`, `/public`, `/market`."""
        session = BinanceSession(self, path, query)
        parts = [unquote(part) for part in path.split("/") if part]
        if parts and parts[0] in _CATEGORIES:
            parts = parts[1:]
        arguments = parse_qs(query)
        session.combined = bool(parts) and parts[0] == "stream"
        names = parts[1:]
        for value in arguments.get("streams", []):
            names += [name for name in value.split("/") if name]
        names += arguments.get("listenKey", [])
        if "events" in arguments:
            session.events = frozenset(name for value in arguments["events"] for name in value.split("/"))
        for name in names:
            session.subscribe(name)
        self._sessions[session] = None
        return session

    def listeners(self, account: str) -> int:
        """How many sessions hear of the account."""
        return len(self._watching.get(account, ()))

    def watch(self, account: str, session: BinanceSession) -> None:
        self._watching.setdefault(account, {})[session] = None

    def unwatch(self, account: str, session: BinanceSession) -> None:
        watching = self._watching.get(account)
        if watching is not None:
            watching.pop(session, None)
            if not watching:
                del self._watching[account]

    def forget(self, session: BinanceSession) -> None:
        """The session is gone."""
        self._sessions.pop(session, None)
        for account in session.streams.values():
            if account is not None:
                self.unwatch(account, session)

    # what happens
    def _on_event(self, event: WorldEvent) -> None:
        handler = self._handlers.get(type(event))
        if handler is None or isinstance(event, PriceChanged):
            return
        if not isinstance(event, ListenKeysExpired | StreamsCut) and event.account not in self._watching:
            return
        # What happens is told as it is, even while the request that made it reads the past.
        with self.world.reading_at(None):
            handler(event)

    def _tell(self, account: str, message: dict[str, Any]) -> None:
        for session in tuple(self._watching.get(account, ())):
            for name, owner in session.streams.items():
                if owner == account:
                    session.tell(name, message["e"], message)

    def _account_changed(self, event: AccountChanged) -> None:
        self._tell(event.account, render.account_update(self.world.look(event.account), event))

    def _order_changed(self, event: OrderChanged) -> None:
        order, fill = event.order, event.fill
        view = self.world.look(event.account)
        if order.parent_id is not None and fill is None and not event.amended and order.status is OrderStatus.NEW:
            parent = view.conditional(order.parent_id)
            if parent is not None:
                self._tell(event.account, render.algo_update(parent, order, event.at_ms))
        if fill is not None and fill.exec_type is ExecType.TRADE:
            self._tell(event.account, render.trade_lite(order, fill))
        self._tell(event.account, render.order_update(view.instrument(order.symbol), event))

    def _conditional_changed(self, event: ConditionalChanged) -> None:
        order = event.order
        view = self.world.look(event.account)
        if order.status is ConditionalStatus.TRIGGERED:
            # The message TRIGGERED follows when the order that it names is accepted: it may yet be refused.
            self._tell(event.account, render.algo_update(order, None, event.at_ms, "TRIGGERING"))
            return
        child = None if order.child_order_id is None else view.order(order.child_order_id)
        self._tell(event.account, render.algo_update(order, child, event.at_ms))

    def _settings_changed(self, event: SettingsChanged) -> None:
        """Leverage and margin type; a change of the position mode is not told."""
        if event.symbol is None or event.settings is None:
            return
        view = self.world.look(event.account)
        line = list(view.account.settings[event.symbol])
        before = line[-2][1] if len(line) > 1 else self.world.default_settings
        if before.margin_mode is event.settings.margin_mode:
            self._tell(event.account, render.leverage_update(event.symbol, event.settings.leverage, event.at_ms))
            return
        positions = view.positions(event.symbol, flat=True)
        self._tell(event.account, render.margin_type_update(view, positions, event.at_ms))

    def _margin_called(self, event: MarginCalled) -> None:
        self._tell(event.account, render.margin_call(self.world.look(event.account), event))

    def _cut(self, event: StreamsCut) -> None:
        for session in tuple(self._sessions):
            if event.account in (None, session.account):
                session.close(_GOING_AWAY, "server restart")

    def _key_ended(self, account: str, key: str, expired: bool) -> None:
        """Silences the sessions that listen with the key, after a word if it ran out."""
        message = render.listen_key_expired(key, self.world.now_ms())
        for session in tuple(self._watching.get(account, ())):
            if session.streams.get(key) != account:
                continue
            if expired:
                session.tell(key, message["e"], message)
            session.streams[key] = None
            if account not in session.streams.values():
                self.unwatch(account, session)

    # prices
    def send_marks(self, session: BinanceSession, name: str, period_ms: int) -> None:
        """The mark price message of a stream that has this period."""
        stream, _, speed = name.partition("@1s")
        wanted = _FAST_MS if name.endswith("@1s") and not speed else _SLOW_MS
        if wanted != period_ms:
            return
        now_ms = self.world.now_ms()
        if stream == _ALL_MARKS:
            trading = [s for s in self.world.instruments("binance") if s.status is InstrumentStatus.TRADING]
            rows = [render.mark_price(s, self.world.price("binance", s.symbol), now_ms) for s in trading]
            session.deliver(name, rows)
            return
        symbol, _, kind = stream.partition("@")
        if kind != "markPrice":
            return
        for spec in self.world.instruments("binance"):
            if spec.symbol.lower() == symbol and spec.status is InstrumentStatus.TRADING:
                session.deliver(name, render.mark_price(spec, self.world.price("binance", spec.symbol), now_ms))
