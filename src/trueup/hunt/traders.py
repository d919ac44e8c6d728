"""Who trades in a hunt: a bot that writes its own rows, a person on the venue's own site, and the market.

1. What an act does is drawn from its own salt and the world as it then stands: no act shifts the chances of another.
2. Every order is noted with what it is, so that the judge knows whose it was.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trueup.model.errors import Conflict
from trueup.model.orders import Side as ModelSide
from trueup.model.positions import PositionKey
from trueup.model.times import time_text
from trueup.model.values import to_json
from trueup.sim.world import ConditionalRequest, OrderRequest
from trueup.sim.world.refusals import Refusal
from trueup.sim.world.types import ConditionalKind, Leg, OrderType, Position, PositionMode, Side

if TYPE_CHECKING:
    from trueup.hunt.plan import Act
    from trueup.hunt.simulation import Simulation

__all__ = ["SYMBOLS", "Traders"]

SYMBOLS = {
    "binance": ("BTCUSDT", "ETHUSDT", "BTCUSDC"),
    "bybit": ("BTCUSDT", "ETHUSDT", "BTCUSD"),
}
_SIZES = {
    "BTCUSDT": ("0.010", "0.025", "0.100"),
    "BTCUSDC": ("0.010", "0.020"),
    "ETHUSDT": ("0.5", "1.2"),
    "BTCUSD": ("500", "1200"),
}


class Traders:
    """Carries acts out on the world and the book."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._world = simulation.world
        self._database = simulation.database

    def perform(self, act: Act) -> None:
        """One act; what the venue refuses, or the book, changes nothing."""
        chance = random.Random(act.salt)  # noqa: S311 - reproducible, not secret
        try:
            getattr(self, f"_{act.kind}")(act.account, chance)
        except Refusal as refused:
            self._sim.note("trader", f"{act.account} {act.kind}: refused, {refused}")
        except Conflict as conflict:
            self._sim.note("trader", f"{act.account} {act.kind}: the book refuses the bot's row, {conflict}")

    # finding
    def _symbol(self, account: str, chance: random.Random) -> str:
        return chance.choice(SYMBOLS[self._world.look(account).spec.venue])

    def _held(self, account: str, chance: random.Random) -> Position | None:
        held = self._world.look(account).positions()
        return chance.choice(held) if held else None

    def _name(self, account: str, symbol: str) -> str:
        return self._world.instrument(self._world.look(account).spec.venue, symbol).unified

    def _order(self, account: str, request: OrderRequest) -> None:
        self._world.place_order(account, request)

    def _leg(self, account: str, side: Side) -> Leg:
        if self._world.look(account).mode is PositionMode.ONE_WAY:
            return Leg.NET
        return Leg.LONG if side is Side.BUY else Leg.SHORT

    # opening
    def _open_hand(self, account: str, chance: random.Random, *, size: Decimal | None = None) -> None:
        symbol, side = self._symbol(account, chance), chance.choice(tuple(Side))
        quantity = size or Decimal(chance.choice(_SIZES[symbol]))
        self._sim.note("trader", f"{account} hand opens {side} {quantity} {symbol}")
        request = OrderRequest(symbol, side, OrderType.MARKET, quantity, leg=self._leg(account, side))
        self._order(account, request)

    def _open_bot(self, account: str, chance: random.Random) -> None:
        symbol, side = self._symbol(account, chance), chance.choice(tuple(Side))
        leg = self._leg(account, side)
        held = self._world.look(account).position(symbol, leg)
        if held is not None and not held.is_flat:
            return
        quantity = Decimal(chance.choice(_SIZES[symbol]))
        when = chance.choice(("before", "after", "late"))
        if when == "before":
            self._row(account, symbol, side, quantity)
        self._sim.note("trader", f"{account} bot opens {side} {quantity} {symbol}, its row {when}")
        self._order(account, OrderRequest(symbol, side, OrderType.MARKET, quantity, leg=leg))
        if when == "after":
            self._row(account, symbol, side, quantity)
        elif when == "late":
            self._sim.later(chance.uniform(0.05, 3.0), self._write_row, account, symbol, side, quantity)
        if chance.random() < 0.8:
            self._stop_for(account, symbol, leg, chance, owner="bot")

    def _write_row(self, account: str, symbol: str, side: Side, quantity: Decimal) -> None:
        try:
            self._row(account, symbol, side, quantity)
        except Conflict as conflict:
            self._sim.note("trader", f"{account} the book refuses the bot's late row, {conflict}")

    def _row(self, account: str, symbol: str, side: Side, quantity: Decimal) -> None:
        venue = self._world.look(account).spec.venue
        now = time_text(self._database.clock_ms())
        price = self._world.price(venue, symbol).last
        columns: dict[str, Any] = {
            "account": account,
            "exchange": {"binance": "binanceusdm", "bybit": "bybit"}[venue],
            "symbol": self._name(account, symbol),
            "side": "long" if side is Side.BUY else "short",
            "entry_price": format(price, "f"),
            "quantity": format(quantity, "f"),
            "status": "active",
            "created_at": now,
            "updated_at": now,
        }
        row_id = self._database.insert_row(columns)
        self._sim.judge.inserted(row_id)
        self._sim.note("bot", f"{account} inserts row {row_id}: {columns['symbol']} {columns['side']} {quantity}")

    def _phantom(self, account: str, chance: random.Random) -> None:
        """The bot wrote a row whose order never came about."""
        symbol, side = self._symbol(account, chance), chance.choice(tuple(Side))
        held = self._world.look(account).position(symbol, self._leg(account, side))
        if held is None or held.is_flat:
            self._row(account, symbol, side, Decimal(_SIZES[symbol][0]))

    def _brief(self, account: str, chance: random.Random) -> None:
        """Opened and closed within a second."""
        self._open_hand(account, chance)
        self._sim.later(chance.uniform(0.01, 0.9), self._close_any, account, chance)

    def _late_row(self, account: str, chance: random.Random) -> None:
        """The bot opens, is closed out, and only then writes its row."""
        symbol, side = self._symbol(account, chance), chance.choice(tuple(Side))
        leg, quantity = self._leg(account, side), Decimal(_SIZES[symbol][0])
        held = self._world.look(account).position(symbol, leg)
        if held is not None and not held.is_flat:
            return
        self._sim.note("trader", f"{account} bot opens {side} {quantity} {symbol} for a moment")
        self._order(account, OrderRequest(symbol, side, OrderType.MARKET, quantity, leg=leg))
        self._sim.later(chance.uniform(0.4, 1.0), self._close_slot, account, symbol, leg)
        self._sim.later(chance.uniform(1.5, 3.0), self._write_row, account, symbol, side, quantity)

    def _flip_early(self, account: str, chance: random.Random) -> None:
        """The bot's position is turned around before anybody looked, and the other side closed after it was seen."""
        symbol, side = self._symbol(account, chance), chance.choice(tuple(Side))
        leg, quantity = self._leg(account, side), Decimal(_SIZES[symbol][0])
        held = self._world.look(account).position(symbol, leg)
        if leg is not Leg.NET or (held is not None and not held.is_flat):
            return
        self._row(account, symbol, side, quantity)
        self._sim.note("trader", f"{account} bot opens {side} {quantity} {symbol} and is flipped")
        self._order(account, OrderRequest(symbol, side, OrderType.MARKET, quantity))
        self._order(account, OrderRequest(symbol, side.opposite, OrderType.MARKET, quantity * 2))
        self._sim.later(chance.uniform(2.0, 5.0), self._close_slot, account, symbol, leg)

    def _close_slot(self, account: str, symbol: str, leg: Leg) -> None:
        held = self._world.look(account).position(symbol, leg)
        if held is not None and held.side is not None:
            self._again(account, self._closing(held, abs(held.quantity)))

    def _other_leg(self, account: str, chance: random.Random) -> None:
        """The second leg of a hedge, beside the first."""
        held = self._held(account, chance)
        if held is None or held.side is None or held.leg is Leg.NET:
            return
        side, quantity = held.side.opposite, Decimal(chance.choice(_SIZES[held.symbol]))
        self._sim.note("trader", f"{account} hand opens the other leg of {held.symbol}: {side} {quantity}")
        leg = self._leg(account, side)
        self._order(account, OrderRequest(held.symbol, side, OrderType.MARKET, quantity, leg=leg))

    # changing
    def _increase(self, account: str, chance: random.Random) -> None:
        held = self._held(account, chance)
        if held is not None and held.side is not None:
            quantity = Decimal(_SIZES[held.symbol][0])
            self._sim.note("trader", f"{account} increases {held.symbol} by {quantity}")
            self._order(account, OrderRequest(held.symbol, held.side, OrderType.MARKET, quantity, leg=held.leg))

    def _reduce(self, account: str, chance: random.Random) -> None:
        held = self._held(account, chance)
        step = self._world.instrument(self._world.look(account).spec.venue, held.symbol).quantity_step if held else None
        if held is None or held.side is None or step is None or abs(held.quantity) < 2 * step:
            return
        part = (abs(held.quantity) * Decimal(chance.choice(("0.3", "0.5", "0.9"))) // step) * step
        self._sim.note("trader", f"{account} reduces {held.symbol} by {part}")
        self._sell(account, held, max(part, step))

    def _sell(self, account: str, held: Position, quantity: Decimal) -> None:
        self._order(account, self._closing(held, quantity))

    def _closing(self, held: Position, quantity: Decimal) -> OrderRequest:
        assert held.side is not None
        one_way = held.leg is Leg.NET
        return OrderRequest(
            held.symbol, held.side.opposite, OrderType.MARKET, quantity, leg=held.leg, reduce_only=one_way
        )

    def _close(self, account: str, chance: random.Random) -> None:
        self._close_any(account, chance)

    def _close_any(self, account: str, chance: random.Random) -> None:
        held = self._held(account, chance)
        if held is not None:
            self._sim.note("trader", f"{account} closes {held.symbol} {held.quantity}")
            self._sell(account, held, abs(held.quantity))

    def _close_all(self, account: str, chance: random.Random) -> None:
        for held in self._world.look(account).positions():
            self._sim.note("trader", f"{account} closes {held.symbol} {held.quantity} (all)")
            self._sell(account, held, abs(held.quantity))

    def _flip(self, account: str, chance: random.Random) -> None:
        held = self._held(account, chance)
        if held is None or held.side is None or held.leg is not Leg.NET:
            return
        quantity = abs(held.quantity) + Decimal(_SIZES[held.symbol][0])
        self._sim.note("trader", f"{account} flips {held.symbol} {held.quantity}")
        self._order(account, OrderRequest(held.symbol, held.side.opposite, OrderType.MARKET, quantity))

    def _reopen_late(self, account: str, chance: random.Random) -> None:
        """Closed, and opened again while what the close brought about is still being done."""
        self._reopen(account, chance, after_s=chance.uniform(2.0, 15.0))

    def _reopen(self, account: str, chance: random.Random, *, after_s: float | None = None) -> None:
        """Closed and opened again with the same size."""
        held = self._held(account, chance)
        if held is None or held.side is None:
            return
        side, quantity = held.side, abs(held.quantity)
        self._sim.note("trader", f"{account} closes and reopens {held.symbol} {held.quantity}")
        self._sell(account, held, quantity)
        again = OrderRequest(held.symbol, side, OrderType.MARKET, quantity, leg=held.leg)
        if after_s is not None:
            self._sim.later(after_s, self._again, account, again)
        elif chance.random() < 0.5:
            self._order(account, again)
        else:
            self._sim.later(chance.uniform(0.01, 2.0), self._again, account, again)

    def _again(self, account: str, request: OrderRequest) -> None:
        try:
            self._order(account, request)
        except Refusal as refused:
            self._sim.note("trader", f"{account} reopening: refused, {refused}")

    # stops and entries
    def _stop_for(self, account: str, symbol: str, leg: Leg, chance: random.Random, *, owner: str) -> None:
        held = self._world.look(account).position(symbol, leg)
        if held is None or held.side is None:
            return
        kind = chance.choice((ConditionalKind.STOP, ConditionalKind.STOP, ConditionalKind.TAKE_PROFIT))
        self._conditional(account, held, kind, chance, owner=owner)

    def _conditional(
        self, account: str, held: Position, kind: ConditionalKind, chance: random.Random, *, owner: str
    ) -> None:
        assert held.side is not None
        spec = self._world.instrument(self._world.look(account).spec.venue, held.symbol)
        last = self._world.price(spec.venue, held.symbol).last
        down = (kind is ConditionalKind.STOP) == (held.side is Side.BUY)
        factor = Decimal("0.93") if down else Decimal("1.07")
        price = (last * factor // spec.price_tick) * spec.price_tick
        whole = spec.venue == "binance" and chance.random() < 0.5
        request = ConditionalRequest(
            held.symbol,
            held.side.opposite,
            kind,
            OrderType.MARKET,
            None if whole else abs(held.quantity),
            trigger_price=price,
            leg=held.leg,
            reduce_only=not whole and held.leg is Leg.NET,
            close_position=whole,
        )
        order = self._world.place_conditional(account, request)
        self._sim.note("trader", f"{account} {owner} places {kind} {order.conditional_id} on {held.symbol} at {price}")

    def _place_stop(self, account: str, chance: random.Random) -> None:
        held = self._held(account, chance)
        if held is not None:
            self._stop_for(account, held.symbol, held.leg, chance, owner="hand")

    def _place_entry(self, account: str, chance: random.Random) -> None:
        """A stop that opens something: nobody's but its owner's."""
        symbol, side = self._symbol(account, chance), chance.choice(tuple(Side))
        spec = self._world.instrument(self._world.look(account).spec.venue, symbol)
        last = self._world.price(spec.venue, symbol).last
        factor = Decimal("1.08") if side is Side.BUY else Decimal("0.92")
        request = ConditionalRequest(
            symbol,
            side,
            ConditionalKind.STOP,
            OrderType.MARKET,
            Decimal(_SIZES[symbol][0]),
            trigger_price=(last * factor // spec.price_tick) * spec.price_tick,
            leg=self._leg(account, side),
        )
        order = self._world.place_conditional(account, request)
        self._sim.judge.entries.add((account, order.conditional_id))
        self._sim.note("trader", f"{account} places a stop entry {order.conditional_id} on {symbol}")

    def _stop_in_advance(self, account: str, chance: random.Random) -> None:
        """A person's stop for an entry that is still to come: it closes nothing yet, and is nobody's to cancel."""
        symbol, side = self._symbol(account, chance), chance.choice(tuple(Side))
        leg = self._leg(account, side)
        held = self._world.look(account).position(symbol, leg)
        if held is not None and not held.is_flat:
            return
        spec = self._world.instrument(self._world.look(account).spec.venue, symbol)
        last = self._world.price(spec.venue, symbol).last
        factor = Decimal("0.91") if side is Side.BUY else Decimal("1.09")
        request = ConditionalRequest(
            symbol,
            side.opposite,
            ConditionalKind.STOP,
            OrderType.MARKET,
            Decimal(_SIZES[symbol][0]),
            trigger_price=(last * factor // spec.price_tick) * spec.price_tick,
            leg=leg,
            reduce_only=leg is Leg.NET,
        )
        order = self._world.place_conditional(account, request)
        self._sim.note("trader", f"{account} hand places stop {order.conditional_id} on {symbol} in advance")

    def _limit_fills(self, account: str, chance: random.Random) -> None:
        """A resting limit order that fills in two parts."""
        symbol, side = self._symbol(account, chance), chance.choice(tuple(Side))
        spec = self._world.instrument(self._world.look(account).spec.venue, symbol)
        last = self._world.price(spec.venue, symbol).last
        factor = Decimal("0.99") if side is Side.BUY else Decimal("1.01")
        price = (last * factor // spec.price_tick) * spec.price_tick
        quantity = Decimal(_SIZES[symbol][-1])
        request = OrderRequest(symbol, side, OrderType.LIMIT, quantity, price=price, leg=self._leg(account, side))
        order = self._world.place_order(account, request)
        self._sim.judge.entries.add((account, order.order_id))
        self._sim.note("trader", f"{account} limit {side} {quantity} {symbol} rests")
        half = (quantity / 2 // spec.quantity_step) * spec.quantity_step
        self._sim.later(chance.uniform(0.1, 5.0), self._fill, account, order.order_id, half)
        self._sim.later(chance.uniform(5.0, 9.0), self._fill, account, order.order_id, None)

    def _fill(self, account: str, order_id: int, quantity: Decimal | None) -> None:
        try:
            self._world.fill_order(account, order_id, quantity)
        except Refusal as refused:
            self._sim.note("trader", f"{account} order {order_id} does not fill: {refused}")

    def _fires(self, account: str, chance: random.Random, kind: ConditionalKind) -> None:
        waiting = [
            order
            for order in self._world.look(account).open_conditionals()
            if order.kind is kind and order.closes and self._protects(account, order)
        ]
        if waiting:
            order = chance.choice(waiting)
            self._sim.note("market", f"{account} {kind} {order.conditional_id} of {order.symbol} triggers")
            self._world.trigger(account, order.conditional_id)

    def _protects(self, account: str, order: Any) -> bool:
        held = self._world.look(account).position(order.symbol, order.leg)
        return held is not None and held.side is not None and held.side is order.side.opposite

    def _stop_fires(self, account: str, chance: random.Random) -> None:
        self._fires(account, chance, ConditionalKind.STOP)

    def _profit_fires(self, account: str, chance: random.Random) -> None:
        self._fires(account, chance, ConditionalKind.TAKE_PROFIT)

    def _cancel_stop(self, account: str, chance: random.Random) -> None:
        waiting = [order for order in self._world.look(account).open_conditionals() if order.attached is None]
        if waiting:
            order = chance.choice(waiting)
            self._sim.note("trader", f"{account} cancels {order.conditional_id} of {order.symbol} by hand")
            self._world.cancel_conditional(account, order.conditional_id)

    # the venue's own acts
    def _liquidate(self, account: str, chance: random.Random) -> None:
        held = self._held(account, chance)
        if held is not None and held.side is not None:
            self._sim.note("market", f"{account} {held.symbol} {held.quantity} is liquidated")
            self._world.liquidate(account, held.symbol, held.side)

    def _adl(self, account: str, chance: random.Random) -> None:
        held = self._held(account, chance)
        if held is not None and held.side is not None:
            self._sim.note("market", f"{account} {held.symbol} {held.quantity} is auto-deleveraged")
            self._world.auto_deleverage(account, held.symbol, held.side)

    def _fund(self, account: str, chance: random.Random) -> None:
        held = self._held(account, chance)
        if held is not None:
            self._sim.note("market", f"funding of {held.symbol}")
            self._world.fund(held.symbol, venue=self._world.look(account).spec.venue)

    # through us
    def _close_by_us(self, account: str, chance: random.Random) -> None:
        """A person says `trueup close` to the running daemon."""
        if self._sim.plan.modes[account] != "protect":
            return
        rows = [row for row in self._sim.active_rows() if row.account == account]
        if rows:
            row = chance.choice(rows)
            self._sim.note("operator", f"trueup close {row.key}")
            key = PositionKey(account, row.symbol, ModelSide(row.side))
            self._sim.ask(account, "close", to_json(self._sim.act("close", key=key, note="hunt")))
