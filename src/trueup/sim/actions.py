"""Things that an operator, a test or a scenario does to the world by name: prices, other hands, the venue's own acts,
faults.

1. One table serves the control port and the scenario files: what one can do, the other can.
2. Unknown names, unknown or missing arguments and wrong types are errors that name the argument and what is expected.
3. Amounts are texts or integers, never floats; what comes back is JSON, with amounts as texts, and holds no secret
   except in the answer that creates an account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from trueup.sim.arguments import Arguments, as_json
from trueup.sim.faults import Fault
from trueup.sim.front import Front
from trueup.sim.world import AccountSpec, ConditionalRequest, OrderRequest
from trueup.sim.world.hands import side_of
from trueup.sim.world.types import (
    AttachedStops,
    AttachMode,
    ConditionalKind,
    Leg,
    MarginMode,
    OrderType,
    PositionMode,
    TimeInForce,
    TriggerBy,
    Venue,
)

_VENUES: tuple[Venue, ...] = ("binance", "bybit")
Action = Callable[[Front, Arguments], object]
ACTIONS: dict[str, Action] = {}


def _action(function: Action) -> Action:
    ACTIONS[function.__name__.strip("_")] = function
    return function


def perform(front: Front, name: str, data: Mapping[str, Any]) -> Any:
    """Does one thing now and returns what came of it, as JSON.

    Raises ValueError for what cannot be meant, a Refusal for what the venue refuses.
    """
    action = ACTIONS.get(name)
    if action is None:
        raise ValueError(f"no action {name!r}; there are {', '.join(sorted(ACTIONS))}")
    return as_json(action(front, Arguments(name, data)))


# the market


@_action
def price(front: Front, a: Arguments) -> object:
    """Sets prices of an instrument."""
    symbol, venue = a.text("symbol"), a.venue()
    last, mark, index = a.optional_amount("last"), a.optional_amount("mark"), a.optional_amount("index")
    rate = a.optional_amount("funding_rate")
    a.end()
    front.world.set_price(symbol, last, mark=mark, index=index, venue=venue, funding_rate=rate)
    return {"symbol": symbol}


@_action
def path(front: Front, a: Arguments) -> object:
    """Lets prices walk (`volatility` per step of `step_ms`), or holds them (`hold` true)."""
    hold = a.flag("hold")
    volatility, step_ms = a.optional_amount("volatility"), a.integer("step_ms", 1_000)
    a.end()
    if hold:
        front.world.hold_prices()
    else:
        front.world.follow_random_path(volatility=volatility or Decimal("0.0005"), step_ms=step_ms)
    return {"walking": not hold}


@_action
def liquidity(front: Front, a: Arguments) -> object:
    """What one price level holds; no `depth`: everything."""
    symbol, depth, venue = a.text("symbol"), a.optional_amount("depth"), a.venue()
    a.end()
    front.world.set_liquidity(symbol, depth, venue=venue)
    return {"symbol": symbol, "depth": depth}


@_action
def matching(front: Front, a: Arguments) -> object:
    """Whether orders fill by themselves."""
    enabled = a.flag("enabled", default=True)
    a.end()
    front.world.set_matching(enabled)
    return {"enabled": enabled}


@_action
def fund(front: Front, a: Arguments) -> object:
    """Pays funding now."""
    symbol, venue = a.optional_text("symbol"), a.venue()
    a.end()
    front.world.fund(symbol, venue=venue)
    return {"symbol": symbol}


@_action
def settle(front: Front, a: Arguments) -> object:
    """Delivers a contract."""
    symbol, at, venue = a.text("symbol"), a.optional_amount("price"), a.venue()
    a.end()
    front.world.settle(symbol, at, venue=venue)
    return {"symbol": symbol}


@_action
def advance(front: Front, a: Arguments) -> object:
    """Moves the venue's clock forward."""
    milliseconds = a.integer("ms")
    a.end()
    front.world.advance(milliseconds)
    return {"now_ms": front.world.now_ms()}


# accounts


@_action
def account(front: Front, a: Arguments) -> object:
    """Opens an account; the answer holds its key and secret."""
    name, venue = a.text("name"), a.venue(required=True)
    mode = a.choice("mode", PositionMode, PositionMode.ONE_WAY)
    balances = a.table("balances")
    named = {key: a.optional_text(key) for key in ("api_key", "api_secret", "uid", "alias", "fee_asset")}
    rates = {key: a.optional_amount(key) for key in ("maker_rate", "taker_rate", "fee_asset_price")}
    withdraw, margin = a.flag("can_withdraw"), a.flag("portfolio_margin")
    a.end()
    spec = front.world.add_account(
        name,
        venue or "binance",
        mode=mode,
        balances={str(asset): str(amount) for asset, amount in balances.items()} or None,
        api_key=named["api_key"],
        api_secret=named["api_secret"],
        uid=named["uid"],
        alias=named["alias"],
        fee_asset=named["fee_asset"],
        maker_rate=rates["maker_rate"],
        taker_rate=rates["taker_rate"],
        fee_asset_price=rates["fee_asset_price"],
        can_withdraw=withdraw,
        portfolio_margin=margin,
    )
    return _with_key(spec)


def _with_key(spec: AccountSpec) -> dict[str, str]:
    return {
        "name": spec.name,
        "venue": spec.venue,
        "key": spec.api_key,
        "secret": spec.api_secret,
        "uid": spec.uid,
        "alias": spec.alias,
    }


@_action
def transfer(front: Front, a: Arguments) -> object:
    """Brings money in, or takes it out."""
    name, asset, amount = a.text("account"), a.text("asset"), a.amount("amount")
    a.end()
    front.world.transfer(name, asset, amount)
    return {"asset": asset, "wallet": front.world.look(name).wallet(asset)}


@_action
def mode(front: Front, a: Arguments) -> object:
    """Sets one-way or hedge mode."""
    name, wanted = a.text("account"), a.choice("mode", PositionMode)
    a.end()
    front.world.set_position_mode(name, wanted)
    return {"mode": wanted}


@_action
def leverage(front: Front, a: Arguments) -> object:
    """Sets a symbol's leverage."""
    name, symbol, value = a.text("account"), a.text("symbol"), a.amount("leverage")
    a.end()
    return front.world.set_leverage(name, symbol, value)


@_action
def margin_mode(front: Front, a: Arguments) -> object:
    """Sets cross or isolated margin."""
    name, symbol, wanted = a.text("account"), a.text("symbol"), a.choice("mode", MarginMode)
    a.end()
    return front.world.set_margin_mode(name, symbol, wanted)


@_action
def key(front: Front, a: Arguments) -> object:
    """Lets the key of `account` answer for the account `to` from now on."""
    name, other = a.text("account"), a.text("to")
    a.end()
    spec = front.world.look(name).spec
    front.world.move_key(spec.api_key, spec.venue, other)
    return {"account": name, "answers_for": other}


# other hands


@_action
def _open(front: Front, a: Arguments) -> object:
    """Another hand buys or sells at market."""
    name, symbol, side, quantity = a.text("account"), a.text("symbol"), a.text("side"), a.amount("quantity")
    a.end()
    return front.world.open_position(name, symbol, side, quantity)


@_action
def close(front: Front, a: Arguments) -> object:
    """Another hand closes a position at market."""
    name, symbol, side = a.text("account"), a.text("symbol"), a.optional_text("side")
    a.end()
    return front.world.close_position(name, symbol, side)


@_action
def reduce(front: Front, a: Arguments) -> object:
    """Another hand closes a part of a position at market."""
    name, symbol, side, quantity = a.text("account"), a.text("symbol"), a.text("side"), a.amount("quantity")
    a.end()
    return front.world.reduce_position(name, symbol, side, quantity)


@_action
def order(front: Front, a: Arguments) -> object:
    """Places a regular order, or with `kind` a conditional one."""
    name, symbol, side = a.text("account"), a.text("symbol"), side_of(a.text("side"))
    price_limit = a.optional_amount("price")
    order_type = a.choice("type", OrderType, OrderType.MARKET if price_limit is None else OrderType.LIMIT)
    leg, quantity = a.choice("leg", Leg, Leg.NET), a.optional_amount("quantity")
    reduce_only, close_position = a.flag("reduce_only"), a.flag("close_position")
    client_order_id = a.optional_text("client_order_id") or ""
    tif = a.choice("time_in_force", TimeInForce, TimeInForce.GTC)
    kind = a.optional_text("kind")
    if kind is None:
        a.end()
        request = OrderRequest(
            symbol,
            side,
            order_type,
            quantity,
            price=price_limit,
            leg=leg,
            time_in_force=tif,
            reduce_only=reduce_only,
            close_position=close_position,
            client_order_id=client_order_id,
        )
        return front.world.place_order(name, request)
    conditional = ConditionalRequest(
        symbol,
        side,
        Arguments("order", {"kind": kind}).choice("kind", ConditionalKind),
        order_type,
        quantity,
        trigger_price=a.optional_amount("trigger_price"),
        price=price_limit,
        leg=leg,
        trigger_by=a.choice("trigger_by", TriggerBy, TriggerBy.LAST),
        reduce_only=reduce_only,
        close_position=close_position,
        time_in_force=tif,
        activation_price=a.optional_amount("activation_price"),
        callback_rate=a.optional_amount("callback_rate"),
        callback_distance=a.optional_amount("callback_distance"),
        client_order_id=client_order_id,
    )
    a.end()
    return front.world.place_conditional(name, conditional)


@_action
def attach(front: Front, a: Arguments) -> object:
    """Sets a position's own stops (Bybit)."""
    name, symbol, leg = a.text("account"), a.text("symbol"), a.choice("leg", Leg, Leg.NET)
    stops = AttachedStops(
        mode=a.choice("mode", AttachMode, AttachMode.FULL),
        stop_loss=a.optional_amount("stop_loss"),
        take_profit=a.optional_amount("take_profit"),
        trailing_distance=a.optional_amount("trailing_distance"),
        activation_price=a.optional_amount("activation_price"),
        stop_loss_by=a.choice("stop_loss_by", TriggerBy, TriggerBy.LAST),
        take_profit_by=a.choice("take_profit_by", TriggerBy, TriggerBy.LAST),
        stop_loss_quantity=a.optional_amount("stop_loss_quantity"),
        take_profit_quantity=a.optional_amount("take_profit_quantity"),
    )
    a.end()
    front.world.set_attached_stops(name, symbol, leg, stops)
    return front.world.look(name).attached(front.world.look(name).instrument(symbol).symbol, leg)


@_action
def cancel(front: Front, a: Arguments) -> object:
    """Cancels an order by `order_id` or `conditional_id`, or everything of a symbol (or account) without either."""
    name, symbol = a.text("account"), a.optional_text("symbol")
    order_id, conditional_id = a.integer("order_id", 0), a.integer("conditional_id", 0)
    a.end()
    if order_id:
        return front.world.cancel_order(name, order_id)
    if conditional_id:
        return front.world.cancel_conditional(name, conditional_id)
    return [*front.world.cancel_all(name, symbol), *front.world.cancel_all_conditionals(name, symbol)]


@_action
def fill(front: Front, a: Arguments) -> object:
    """Fills an open order, wholly or in part."""
    name, order_id = a.text("account"), a.integer("order_id")
    quantity, at = a.optional_amount("quantity"), a.optional_amount("price")
    a.end()
    return front.world.fill_order(name, order_id, quantity, at)


@_action
def trigger(front: Front, a: Arguments) -> object:
    """Triggers a conditional order."""
    name, conditional_id = a.text("account"), a.integer("conditional_id")
    a.end()
    return front.world.trigger(name, conditional_id)


@_action
def liquidate(front: Front, a: Arguments) -> object:
    """The venue takes a position over."""
    name, symbol, side = a.text("account"), a.text("symbol"), a.optional_text("side")
    a.end()
    return front.world.liquidate(name, symbol, side)


@_action
def adl(front: Front, a: Arguments) -> object:
    """ADL takes a position or a part of it."""
    name, symbol, side = a.text("account"), a.text("symbol"), a.optional_text("side")
    quantity, at = a.optional_amount("quantity"), a.optional_amount("price")
    a.end()
    return front.world.auto_deleverage(name, symbol, side, quantity, at)


# misbehaviour


@_action
def fault(front: Front, a: Arguments) -> object:
    """Adds a fault; `in_ms` and `for_ms` give its window from now."""
    in_ms, for_ms = a.integer("in_ms", 0), a.integer("for_ms", 0)
    data = a.all()
    now_ms = front.world.now_ms()
    if in_ms:
        data["from_ms"] = now_ms + in_ms
    if for_ms:
        data["until_ms"] = now_ms + in_ms + for_ms
    planned = front.add_fault(Fault.from_json(data))
    return {"fault_id": planned.fault_id}


@_action
def clear_faults(front: Front, a: Arguments) -> object:
    """Takes one fault (`fault_id`) or every fault away."""
    fault_id = a.integer("fault_id", 0)
    a.end()
    if fault_id:
        return {"removed": front.remove_fault(fault_id)}
    front.clear_faults()
    return {"removed": True}


@_action
def expire_listen_keys(front: Front, a: Arguments) -> object:
    """Stream keys expire now."""
    name = a.optional_text("account")
    a.end()
    front.world.expire_listen_keys(name)
    return {"account": name}


@_action
def cut_streams(front: Front, a: Arguments) -> object:
    """The venue closes stream sessions now."""
    name = a.optional_text("account")
    a.end()
    front.world.cut_streams(name)
    return {"account": name}


def state_of(front: Front) -> dict[str, Any]:
    """The world as a person wants to see it: time, prices, accounts with what they hold, faults, streams, requests."""
    world = front.world
    prices = {
        f"{spec.venue}:{spec.symbol}": as_json(world.price(spec.venue, spec.symbol))
        for venue in _VENUES
        for spec in world.instruments(venue)
    }
    return {
        "now_ms": world.now_ms(),
        "prices": prices,
        "accounts": {spec.name: _account_state(front, spec) for spec in world.accounts()},
        "faults": [as_json(planned) for planned in front.faults.planned()],
        "streams": [{"path": gate.session.path, "account": gate.session.account} for gate in front.gates],
        "requests": {"total": front.journal.total, "per_second": round(front.journal.per_second(world.now_ms()), 1)},
    }


def _account_state(front: Front, spec: AccountSpec) -> dict[str, Any]:
    view = front.world.look(spec.name)
    return {
        "venue": spec.venue,
        "uid": spec.uid,
        "alias": spec.alias,
        "mode": str(view.mode),
        "wallets": as_json(view.wallets()),
        "positions": as_json(view.positions()),
        "orders": as_json(view.open_orders()),
        "conditionals": as_json(view.open_conditionals()),
    }
