"""Position endpoints: list, closed PnL, attached stops, leverage, modes, margin.

1. A query by symbol shows every slot of the mode, empty ones too; one by coin or category only open positions.
2. Pages follow the order in which slots were first used, so positions that open or close meanwhile neither repeat nor
   hide others.
"""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import unquote

from trueup.sim.bybit import names
from trueup.sim.bybit.call import Call, Result, scope_of
from trueup.sim.bybit.errors import ApiError, bad_parameter, refused
from trueup.sim.bybit.paging import page, window
from trueup.sim.bybit.params import invalid
from trueup.sim.bybit.render_positions import closed_pnl_row, position_row
from trueup.sim.bybit.text import plain
from trueup.sim.world.refusals import BadLeverage, NothingToChange, Refusal
from trueup.sim.world.types import InstrumentSpec, Kind, Leg, Position, PositionMode

_MISSING = "Missing some parameters that must be filled in, symbol or settleCoin"


def position_list(call: Call) -> Result:
    """GET /v5/position/list."""
    category = call.category()
    limit = call.params.limit(20, 200)
    if category not in names.SERVED_CATEGORIES:
        return {"list": [], "nextPageCursor": "", "category": category}
    scope = scope_of(call, category)
    if category == "linear" and scope.symbol is None and scope.settle is None and scope.base is None:
        raise bad_parameter(_MISSING)
    view = call.view()
    if scope.symbol is not None:
        rows = [position_row(view, call.memory, scope.symbol, leg) for leg in names.legs_of(view.mode)]
        return {"list": rows, "nextPageCursor": "", "category": category}
    held = [position for position in view.positions(flat=True) if scope.holds(view.instrument(position.symbol))]
    shown = [position for position in _after(held, call.params.text("cursor")) if not position.is_flat]
    cursor = _cursor(shown[limit - 1]) if len(shown) > limit else ""
    rows = [position_row(view, call.memory, position.symbol, position.leg) for position in shown[:limit]]
    return {"list": rows, "nextPageCursor": cursor, "category": category}


def _cursor(position: Position) -> str:
    return f"{position.symbol}%2C{position.opened_ms}%2C{names.LEG_INDEX[position.leg]}"


def _after(slots: list[Position], cursor: str) -> list[Position]:
    """The slots behind the one that the cursor names."""
    if not cursor:
        return slots
    symbol, _, rest = unquote(cursor).partition(",")
    index = rest.rpartition(",")[2]
    for number, position in enumerate(slots):
        if position.symbol == symbol and str(names.LEG_INDEX[position.leg]) == index:
            return slots[number + 1 :]
    raise bad_parameter("Cursor invalid")


def closed_pnl(call: Call) -> Result:
    """GET /v5/position/closed-pnl."""
    category = call.category()
    limit = call.params.limit(50, 100)
    if category not in names.SERVED_CATEGORIES:
        return {"category": category, "list": [], "nextPageCursor": ""}
    scope = scope_of(call, category)
    span = window(call.params, call.now_ms)
    view = call.view()
    rows = [
        row
        for row in view.closed_pnl(scope.symbol)
        if span.holds(row.created_ms) and scope.holds(view.instrument(row.symbol))
    ]
    rows.sort(key=lambda row: (row.created_ms, row.order_id), reverse=True)
    shown, cursor = page(rows, lambda row: (row.created_ms, row.order_id), limit, call.params.text("cursor"))
    return {"category": category, "list": [closed_pnl_row(view, row) for row in shown], "nextPageCursor": cursor}


def slot_leg(call: Call, mode: PositionMode) -> Leg:
    """The slot that positionIdx names; it must fit the account's mode."""
    index = call.params.integer("positionIdx") or 0
    leg = names.LEGS.get(index)
    if leg is None:
        raise invalid("positionIdx")
    if leg not in names.legs_of(mode):
        raise bad_parameter("position idx not match position mode")
    return leg


def set_leverage(call: Call) -> Result:
    """POST /v5/position/set-leverage."""
    spec = call.instrument(call.trading_category())
    buy, sell = call.params.decimal("buyLeverage"), call.params.decimal("sellLeverage")
    if buy is None or sell is None:
        raise invalid("buyLeverage" if buy is None else "sellLeverage")
    if buy != sell:
        raise bad_parameter("buy leverage must equal sell leverage")
    try:
        call.world.set_leverage(call.owner.name, spec.symbol, buy)
    except NothingToChange:
        raise ApiError(110043, "leverage not modified") from None
    except BadLeverage:
        raise ApiError(110013, _too_high(buy, spec)) from None
    except Refusal as refusal:
        raise refused(refusal) from None
    return {}


def _too_high(leverage: Decimal, spec: InstrumentSpec) -> str:
    asked, maximum = plain(leverage * 100), plain(spec.max_leverage * 100)
    return f"cannot set leverage [{asked}] gt maxLeverage [{maximum}] by risk limit"


def switch_mode(call: Call) -> Result:
    """POST /v5/position/switch-mode: of the account; hedge mode exists for USDT perpetuals only."""
    category = call.trading_category()
    modes = {"0": PositionMode.ONE_WAY, "3": PositionMode.HEDGE}
    mode = call.params.choice("mode", modes)
    if mode is None:
        raise invalid("mode")
    hedgeable = category == "linear"
    if call.params.has("symbol"):
        spec = call.instrument(category)
        hedgeable = spec.kind is Kind.PERPETUAL and spec.settle == "USDT"
    elif call.params.has("coin"):
        hedgeable = hedgeable and call.params.text("coin") == "USDT"
    else:
        raise bad_parameter("Missing some parameters that must be filled in, symbol or coin")
    if not hedgeable:
        if mode is PositionMode.HEDGE:
            raise ApiError(110029, "Hedge mode is not supported for this symbol.")
        raise ApiError(110025, "Position mode is not modified")
    try:
        call.world.set_position_mode(call.owner.name, mode)
    except NothingToChange:
        raise ApiError(110025, "Position mode is not modified") from None
    except Refusal as refusal:
        raise refused(refusal) from None
    return {}


def switch_isolated(call: Call) -> Result:
    """POST /v5/position/switch-isolated: margin mode is the account's on a unified account."""
    call.trading_category()
    raise ApiError(100028, "The API cannot be accessed by unified account users.")


def add_margin(call: Call) -> Result:
    """POST /v5/position/add-margin: adds or takes margin of an isolated position."""
    category = call.trading_category()
    spec = call.instrument(category)
    amount = call.params.signed("margin")
    view = call.view()
    leg = slot_leg(call, view.mode)
    position = view.position(spec.symbol, leg)
    if position is None or position.is_flat:
        raise ApiError(110033, "You can't set margin without an open position")
    if not amount:
        raise ApiError(110027, "Margin is not modified")
    try:
        call.world.adjust_margin(call.owner.name, spec.symbol, leg, amount)
    except Refusal as refusal:
        raise refused(refusal) from None
    return {
        **position_row(call.view(), call.memory, spec.symbol, leg),
        "category": category,
    }
