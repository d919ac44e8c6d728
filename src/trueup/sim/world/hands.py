"""What others do to an account: a person on the venue's own site, another bot.

Their orders are ordinary market orders with client ids as the venues' web sites make them (Binance `web_…`, Bybit
none).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from trueup.sim.world.account import Account
from trueup.sim.world.ids import short_text
from trueup.sim.world.matching import place
from trueup.sim.world.refusals import NoPosition
from trueup.sim.world.requests import OrderRequest
from trueup.sim.world.state import State
from trueup.sim.world.types import Leg, OrderType, Position, PositionMode, Side

_SIDES = {"buy": Side.BUY, "long": Side.BUY, "sell": Side.SELL, "short": Side.SELL}


def side_of(side: Side | str) -> Side:
    """BUY for `buy` or `long`, SELL for `sell` or `short`; as the side of a position: long or short."""
    found = _SIDES.get(str(side).lower())
    if found is None:
        msg = f"side {side!r}: expected buy, sell, long or short"
        raise ValueError(msg)
    return found


def leg_of(account: Account, position_side: Side) -> Leg:
    """The slot of a long or short position in the account's mode."""
    if account.mode.latest is PositionMode.ONE_WAY:
        return Leg.NET
    return Leg.LONG if position_side is Side.BUY else Leg.SHORT


def held_position(state: State, account: Account, symbol: str, side: Side | str | None) -> Position:
    """The open position of that side (of whichever side, when None); raises NoPosition."""
    symbol = state.spec_of(account, symbol).symbol
    wanted = None if side is None else side_of(side)
    found = [p for p in account.held() if p.symbol == symbol and wanted in (None, p.side)]
    if len(found) != 1:
        which = "no" if not found else "more than one"
        raise NoPosition(f"{account.spec.name} holds {which} {side or ''} position of {symbol}".replace("  ", " "))
    return found[0]


def open_by_hand(state: State, account: Account, symbol: str, side: Side | str, quantity: Decimal) -> Position:
    """Buys or sells at market."""
    way = side_of(side)
    leg = leg_of(account, way)
    spec = state.spec_of(account, symbol)
    _market(state, account, OrderRequest(spec.symbol, way, OrderType.MARKET, quantity, leg=leg))
    position = account.position(spec.symbol, leg)
    if position is None:
        raise NoPosition(f"the order of {account.spec.name} for {symbol} was accepted and has not filled yet")
    return position


def reduce_by_hand(state: State, account: Account, position: Position, quantity: Decimal) -> Position:
    """Closes part or all of an open position at market."""
    way = Side.SELL if position.quantity > 0 else Side.BUY
    flag = position.leg is Leg.NET or state.rules(account).hedge_takes_reduce_only
    request = OrderRequest(position.symbol, way, OrderType.MARKET, quantity, leg=position.leg, reduce_only=flag)
    _market(state, account, request)
    return account.positions[(position.symbol, position.leg)].latest


def _market(state: State, account: Account, request: OrderRequest) -> None:
    if state.rules(account).makes_client_ids:
        client_id = "web_" + short_text(state.peek_order_id(account.spec.venue), 20)
        request = replace(request, client_order_id=client_id)
    place(state, account, request)
