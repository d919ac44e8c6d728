"""What happens in the world, told to the sessions that want to know.

1. Messages are rendered only for accounts and contracts that some session follows.
2. A fill tells the position and the wallet first, then the execution, then the order; the venue promises no order.
3. Every order that is placed, changed or cancelled tells the position too, changed or not.
4. A ticker is a snapshot first, then deltas at most every 100 ms; a delta holds only what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from trueup.sim.bybit import names
from trueup.sim.bybit.market import ticker_of
from trueup.sim.bybit.memory import Memory
from trueup.sim.bybit.render_account import wallet_row
from trueup.sim.bybit.render_market import ticker_message_row
from trueup.sim.bybit.render_orders import (
    conditional_row,
    execution_message_row,
    order_message_row,
    order_row,
)
from trueup.sim.bybit.render_positions import position_message_row
from trueup.sim.bybit.sessions import BybitSession, PrivateSession, PublicSession
from trueup.sim.bybit.text import plain
from trueup.sim.wire import StreamRefused, StreamSession
from trueup.sim.world import AccountView, World
from trueup.sim.world.events import (
    AccountChanged,
    ConditionalChanged,
    OrderChanged,
    PriceChanged,
    SettingsChanged,
    StreamsCut,
    WorldEvent,
)
from trueup.sim.world.ids import short_text
from trueup.sim.world.types import ConditionalStatus, ExecType, Fill, Leg

_DELTA_EVERY_MS = 100
_FIRST_CROSS_SEQUENCE = 9_532_239_000
_PUBLIC = ("linear", "inverse", "spot", "option")
_FAST = (
    "category",
    "symbol",
    "execId",
    "execPrice",
    "execQty",
    "orderId",
    "isMaker",
    "orderLinkId",
    "side",
    "execTime",
    "seq",
)
Row = dict[str, object]


@dataclass(slots=True)
class _Ticker:
    """What one session knows of one ticker."""

    shown: Row
    sent_ms: int
    stale: bool = False


class Streams:
    """The sessions of one wire."""

    def __init__(self, world: World, memory: Memory) -> None:
        self.world = world
        self._memory = memory
        self._private: dict[str, dict[PrivateSession, None]] = {}
        self._unknown: dict[BybitSession, None] = {}
        self._public: dict[PublicSession, dict[str, _Ticker]] = {}
        self._opened = 0
        self._cross_sequence = _FIRST_CROSS_SEQUENCE
        self._handlers: Mapping[type, Callable[..., None]] = {
            AccountChanged: self._account_changed,
            OrderChanged: self._order_changed,
            ConditionalChanged: self._conditional_changed,
            SettingsChanged: self._settings_changed,
            PriceChanged: self._price_changed,
            StreamsCut: self._cut,
        }
        world.subscribe(self._happened)

    def open(self, path: str, query: str) -> StreamSession:
        """Opens a session; raises StreamRefused for a path that the venue does not have."""
        self._opened += 1
        connection_id = f"{short_text(self._opened, 20)}-{self._opened}"
        if path == "/v5/private":
            session = PrivateSession(self, path, query, connection_id)
            self._unknown[session] = None
            return session
        if path.startswith("/v5/public/") and path.removeprefix("/v5/public/") in _PUBLIC:
            public = PublicSession(self, path, query, connection_id)
            self._public[public] = {}
            return public
        raise StreamRefused(404, b"not found")

    def joined(self, session: PrivateSession) -> None:
        """The session is authenticated: from now on it is told of its account."""
        self._unknown.pop(session, None)
        if session.account is not None:
            self._private.setdefault(session.account, {})[session] = None

    def left(self, session: BybitSession) -> None:
        """The session is closed."""
        self._unknown.pop(session, None)
        if isinstance(session, PublicSession):
            self._public.pop(session, None)
        if isinstance(session, PrivateSession) and session.account is not None:
            followers = self._private.get(session.account, {})
            followers.pop(session, None)
            if not followers:
                self._private.pop(session.account, None)

    def _happened(self, event: WorldEvent) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _followers(self, account: str, kind: str) -> list[PrivateSession]:
        sessions = self._private.get(account)
        if not sessions:
            return []
        return [session for session in sessions if any(topic.startswith(kind) for topic in session.topics)]

    def _tell(self, account: str, kind: str, category: str, rows: list[Row], identity: str) -> None:
        """Sends rows to the account's sessions that subscribed to the kind."""
        now_ms = self.world.now_ms()
        for session in list(self._private.get(account, ())):
            topic = session.topic_for(kind, category)
            if topic is not None:
                session.tell({"id": identity, "topic": topic, "creationTime": now_ms, "data": rows})

    # private
    def _account_changed(self, event: AccountChanged) -> None:
        if event.account not in self._private:
            return
        view = self.world.look(event.account)
        for position in event.positions:
            self._tell_position(view, position.symbol, position.leg, event.sequence)
        if event.balances and self._followers(event.account, "wallet"):
            row = wallet_row(self.world, view, [balance.asset for balance in event.balances])
            self._tell(event.account, "wallet", "", [row], f"{view.spec.uid}_wallet_{event.sequence}")
        for fill in event.fills:
            self._tell_fill(view, fill)

    def _tell_position(self, view: AccountView, symbol: str, leg: Leg, sequence: int) -> None:
        if not self._followers(view.name, "position"):
            return
        row = position_message_row(view, self._memory, symbol, leg)
        identity = f"{view.spec.uid}_{symbol}_{sequence}"
        self._tell(view.name, "position", view.instrument(symbol).category, [row], identity)

    def _tell_fill(self, view: AccountView, fill: Fill) -> None:
        if not self._followers(view.name, "execution"):
            return
        row = execution_message_row(view, fill)
        category = view.instrument(fill.symbol).category
        identity = f"{view.spec.uid}_{fill.symbol}_{fill.sequence}"
        self._tell(view.name, "execution", category, [row], identity)
        if fill.exec_type is ExecType.TRADE:
            fast = {name: row[name] for name in _FAST}
            self._tell(view.name, "execution.fast", category, [fast], identity)

    def _order_changed(self, event: OrderChanged) -> None:
        if event.account not in self._private:
            return
        view = self.world.look(event.account)
        order = event.order
        if event.fill is not None:
            self._tell_fill(view, event.fill)
        if names.is_listed(order) and self._followers(event.account, "order"):
            row = order_row(view, order, self._memory.closes_on_trigger(order.order_id))
            self._tell_order(view, row, self._closed_pnl(view, order.order_id), event.sequence)
        if event.fill is None:
            self._tell_position(view, order.symbol, order.leg, event.sequence)

    def _conditional_changed(self, event: ConditionalChanged) -> None:
        order = event.order
        if event.account not in self._private or order.status is ConditionalStatus.FINISHED:
            return
        view = self.world.look(event.account)
        if self._followers(event.account, "order"):
            row = conditional_row(view, order, self._memory.closes_on_trigger(order.conditional_id))
            self._tell_order(view, row, "0", event.sequence)
        self._tell_position(view, order.symbol, order.leg, event.sequence)

    def _tell_order(self, view: AccountView, row: Row, closed_pnl: str, sequence: int) -> None:
        message = order_message_row(view, row, closed_pnl)
        category = str(message["category"])
        self._tell(view.name, "order", category, [message], f"{view.spec.uid}_{row['symbol']}_{sequence}")

    @staticmethod
    def _closed_pnl(view: AccountView, order_id: int) -> str:
        line = view.account.closed.get(order_id)
        return plain(line.latest.closed_pnl) if line is not None else "0"

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.account not in self._private or event.symbol is None:
            return
        view = self.world.look(event.account)
        for leg in names.legs_of(view.mode):
            self._tell_position(view, event.symbol, leg, event.sequence)

    # public
    def snapshot(self, session: PublicSession, topic: str) -> None:
        """The whole ticker of a topic that was just subscribed."""
        row = self._ticker(topic, rising=True)
        now_ms = self.world.now_ms()
        self._public.setdefault(session, {})[topic] = _Ticker(row, now_ms)
        self._cross_sequence += 1
        session.tell({"topic": topic, "type": "snapshot", "data": row, "cs": self._cross_sequence, "ts": now_ms})

    def _ticker(self, topic: str, *, rising: bool) -> Row:
        spec = self.world.instrument("bybit", topic.partition(".")[2])
        return ticker_message_row(ticker_of(self.world, spec, self.world.now_ms()), rising)

    def _price_changed(self, event: PriceChanged) -> None:
        if event.venue != "bybit":
            return
        topic = f"tickers.{event.symbol}"
        for session, tickers in self._public.items():
            ticker = tickers.get(topic)
            if ticker is not None and topic in session.topics:
                ticker.stale = True
                self._flush(session, topic, ticker)

    def flush(self, session: PublicSession) -> None:
        """Sends what was held back by the pace of the stream."""
        for topic, ticker in self._public.get(session, {}).items():
            if ticker.stale and topic in session.topics:
                self._flush(session, topic, ticker)

    def _flush(self, session: PublicSession, topic: str, ticker: _Ticker) -> None:
        now_ms = self.world.now_ms()
        if now_ms - ticker.sent_ms < _DELTA_EVERY_MS:
            return
        known = ticker.shown
        row = self._ticker(topic, rising=True)
        if Decimal(str(row["lastPrice"])) < Decimal(str(known["lastPrice"])):
            row["tickDirection"] = "MinusTick"
        changed = {name: value for name, value in row.items() if known.get(name) != value}
        ticker.stale = False
        if not changed:
            return
        ticker.shown, ticker.sent_ms = row, now_ms
        self._cross_sequence += 1
        data = {"symbol": row["symbol"], **changed}
        session.tell({"topic": topic, "type": "delta", "data": data, "cs": self._cross_sequence, "ts": now_ms})

    def _cut(self, event: StreamsCut) -> None:
        sessions: list[BybitSession] = []
        if event.account is None:
            sessions += [*self._unknown, *self._public]
            sessions += [session for followers in self._private.values() for session in followers]
        else:
            sessions += list(self._private.get(event.account, ()))
        for session in sessions:
            session.close(1000, "")
            self.left(session)
