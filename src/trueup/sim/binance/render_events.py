"""What happens, as the venue's stream messages write it.

1. A message holds what changed, nothing else: only changed balances, only changed positions.
2. Funding of a cross position comes without `P`; `bc` is what changed a balance beside PnL and commission.
3. Numbers drop trailing zeros, money keeps eight digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from trueup.sim.binance.names import (
    ALGO_STATUS_NAMES,
    ORDER_STATUS_NAMES,
    ORDER_TYPE_NAMES,
    POSITION_SIDE_NAMES,
    REJECT_REASONS,
    SIDE_NAMES,
    TIME_IN_FORCE_NAMES,
    WORKING_TYPE_NAMES,
    algo_type,
    expiry_reason,
)
from trueup.sim.binance.numbers import fixed, money, money_or_zero, plain
from trueup.sim.binance.render_orders import STP_MODE
from trueup.sim.world.events import AccountChanged, ChangeReason, MarginCalled, OrderChanged
from trueup.sim.world.money import unrealized_pnl
from trueup.sim.world.types import (
    ZERO,
    ConditionalOrder,
    ConditionalStatus,
    ExecType,
    Fill,
    InstrumentSpec,
    MarginMode,
    Order,
    OrderStatus,
    Position,
    Price,
)
from trueup.sim.world.view import AccountView

_REASONS = {
    ChangeReason.ORDER: "ORDER",
    ChangeReason.LIQUIDATION: "ORDER",
    ChangeReason.ADL: "ORDER",
    ChangeReason.SETTLEMENT: "ORDER",
    ChangeReason.FUNDING: "FUNDING_FEE",
    ChangeReason.MARGIN: "MARGIN_TRANSFER",
    ChangeReason.SETTINGS: "MARGIN_TYPE_CHANGE",
}
_EXECUTIONS = {
    OrderStatus.NEW: "NEW",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
    OrderStatus.REJECTED: "REJECTED",
}
_CALCULATED = (ExecType.LIQUIDATION, ExecType.ADL)
_FINEST = Decimal("0.000000000001")
_BESIDE_TRADING = (ChangeReason.FUNDING, ChangeReason.TRANSFER)


def account_update(view: AccountView, event: AccountChanged) -> dict[str, Any]:
    """ACCOUNT_UPDATE."""
    beside_trading = event.reason in _BESIDE_TRADING or not event.positions
    balances = [
        {
            "a": change.asset,
            "wb": money(change.wallet),
            "cw": money(view.margin(change.asset).cross_wallet),
            "bc": money_or_zero(change.change if beside_trading else ZERO),
        }
        for change in event.balances
    ]
    data: dict[str, Any] = {"m": _reason(event), "B": balances}
    rows = _told_positions(view, event)
    if rows is not None:
        data["P"] = rows
    return {"e": "ACCOUNT_UPDATE", "T": event.at_ms, "E": event.at_ms, "a": data}


def _reason(event: AccountChanged) -> str:
    if event.reason is ChangeReason.TRANSFER:
        return "DEPOSIT" if event.balances[0].change > 0 else "WITHDRAW"
    if event.reason is ChangeReason.LIQUIDATION and not event.positions:
        return "INSURANCE_CLEAR"
    return _REASONS[event.reason]


def _told_positions(view: AccountView, event: AccountChanged) -> list[dict[str, Any]] | None:
    """The rows of `P`, None when the message goes without it."""
    positions = event.positions
    if event.reason is ChangeReason.FUNDING:
        positions = tuple(p for p in positions if view.settings(p.symbol).margin_mode is MarginMode.ISOLATED)
        if not positions:
            return None
    return position_rows(view, positions)


def margin_type_update(view: AccountView, positions: Sequence[Position], at_ms: int) -> dict[str, Any]:
    """ACCOUNT_UPDATE after a symbol's margin type changed."""
    data = {"m": "MARGIN_TYPE_CHANGE", "B": [], "P": position_rows(view, positions)}
    return {"e": "ACCOUNT_UPDATE", "T": at_ms, "E": at_ms, "a": data}


def position_rows(view: AccountView, positions: Sequence[Position]) -> list[dict[str, Any]]:
    """Rows of `P`."""
    return [_position(view, position) for position in positions]


def _position(view: AccountView, position: Position) -> dict[str, Any]:
    isolated = view.settings(position.symbol).margin_mode is MarginMode.ISOLATED
    spec = view.instrument(position.symbol)
    break_even = ZERO if position.is_flat else view.risk(position).break_even_price.quantize(_FINEST)
    return {
        "s": position.symbol,
        "pa": plain(position.quantity),
        "ep": plain(position.entry_price),
        "bep": plain(break_even),
        "cr": money_or_zero(position.realized_pnl),
        "up": money_or_zero(unrealized_pnl(spec, position, view.price(position.symbol).mark)),
        "mt": "isolated" if isolated else "cross",
        "iw": money_or_zero(position.isolated_wallet),
        "ps": POSITION_SIDE_NAMES[position.leg],
    }


def order_update(spec: InstrumentSpec, event: OrderChanged) -> dict[str, Any]:
    """ORDER_TRADE_UPDATE."""
    order, fill = event.order, event.fill
    kind = ORDER_TYPE_NAMES[order.type]
    data = {
        "s": order.symbol,
        "c": order.client_order_id,
        "S": SIDE_NAMES[order.side],
        "o": kind,
        "f": TIME_IN_FORCE_NAMES[order.time_in_force],
        "q": plain(order.quantity),
        "p": plain(order.price),
        "ap": plain(_average(order)),
        "sp": "0",
        "x": _execution(event),
        "X": ORDER_STATUS_NAMES[order.status],
        "i": order.order_id,
        "l": plain(fill.quantity if fill else None),
        "z": plain(order.filled_quantity),
        "L": plain(fill.price if fill else None),
        "N": fill.fee_asset if fill else spec.settle,
        "n": money_or_zero(fill.fee if fill else None),
        "T": event.at_ms,
        "t": fill.fill_id if fill else 0,
        "b": "0",
        "a": "0",
        "m": bool(fill and fill.maker),
        "R": order.reduce_only or order.close_position,
        "wt": "CONTRACT_PRICE",
        "ot": kind,
        "ps": POSITION_SIDE_NAMES[order.leg],
        "cp": order.close_position,
        "AP": "0",
        "cr": "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "rp": money_or_zero(fill.realized_pnl if fill else None),
        "V": STP_MODE,
        "pm": "NONE",
        "gtd": 0,
        "er": expiry_reason(order),
    }
    return {"e": "ORDER_TRADE_UPDATE", "T": event.at_ms, "E": event.at_ms, "o": data}


def _average(order: Order) -> Decimal | None:
    average = order.average_price
    return None if average is None else average.quantize(_FINEST)


def _execution(event: OrderChanged) -> str:
    if event.fill is not None:
        return "CALCULATED" if event.fill.exec_type in _CALCULATED else "TRADE"
    if event.amended:
        return "AMENDMENT"
    return _EXECUTIONS.get(event.order.status, "NEW")


def trade_lite(order: Order, fill: Fill) -> dict[str, Any]:
    """TRADE_LITE."""
    return {
        "e": "TRADE_LITE",
        "E": fill.at_ms,
        "T": fill.at_ms,
        "s": fill.symbol,
        "q": plain(order.quantity),
        "p": plain(order.price),
        "m": fill.maker,
        "c": order.client_order_id,
        "S": SIDE_NAMES[fill.side],
        "L": plain(fill.price),
        "l": plain(fill.quantity),
        "t": fill.fill_id,
        "i": order.order_id,
    }


def algo_update(order: ConditionalOrder, child: Order | None, at_ms: int, status: str | None = None) -> dict[str, Any]:
    """ALGO_UPDATE; `status` overrides the order's own (TRIGGERING, which no list ever shows)."""
    data: dict[str, Any] = {
        "caid": order.client_order_id,
        "aid": order.conditional_id,
        "at": "CONDITIONAL",
        "o": algo_type(order),
        "s": order.symbol,
        "S": SIDE_NAMES[order.side],
        "ps": POSITION_SIDE_NAMES[order.leg],
        "f": TIME_IN_FORCE_NAMES[order.time_in_force],
        "q": plain(order.quantity),
        "X": status if status is not None else ALGO_STATUS_NAMES[order.status],
        "ai": str(child.order_id) if child is not None else "",
        "ap": plain(_average(child) if child is not None else None),
        "aq": plain(child.filled_quantity if child is not None else None),
        "act": ORDER_TYPE_NAMES[child.type] if child is not None else "0",
        "tp": plain(order.trigger_price),
        "p": plain(order.price),
        "V": STP_MODE,
        "wt": WORKING_TYPE_NAMES[order.trigger_by],
        "pm": "NONE",
        "cp": order.close_position,
        "pP": order.price_protect,
        "R": order.reduce_only or order.close_position,
        "tt": order.triggered_ms or 0,
        "gtd": 0,
    }
    if order.status is ConditionalStatus.REJECTED and order.end_reason is not None:
        data["rm"] = REJECT_REASONS.get(order.end_reason, "Order is rejected.")
    return {"e": "ALGO_UPDATE", "T": at_ms, "E": at_ms, "o": data}


def margin_call(view: AccountView, event: MarginCalled) -> dict[str, Any]:
    """MARGIN_CALL."""
    rows = []
    cross_asset = None
    for position in event.positions:
        spec = view.instrument(position.symbol)
        risk = view.risk(position)
        isolated = view.settings(position.symbol).margin_mode is MarginMode.ISOLATED
        if not isolated:
            cross_asset = spec.settle
        rows.append(
            {
                "s": position.symbol,
                "ps": POSITION_SIDE_NAMES[position.leg],
                "pa": plain(position.quantity),
                "mt": "ISOLATED" if isolated else "CROSSED",
                "iw": money_or_zero(position.isolated_wallet),
                "mp": plain(risk.mark),
                "up": money_or_zero(risk.unrealized_pnl),
                "mm": money_or_zero(risk.maintenance_margin),
            }
        )
    message: dict[str, Any] = {"e": "MARGIN_CALL", "E": event.at_ms}
    if cross_asset is not None:
        message["cw"] = money(view.margin(cross_asset).cross_wallet)
    message["p"] = rows
    return message


def leverage_update(symbol: str, leverage: Decimal, at_ms: int) -> dict[str, Any]:
    """ACCOUNT_CONFIG_UPDATE."""
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": at_ms, "T": at_ms, "ac": {"s": symbol, "l": int(leverage)}}


def listen_key_expired(key: str, at_ms: int) -> dict[str, Any]:
    return {"e": "listenKeyExpired", "E": at_ms, "listenKey": key}


def mark_price(spec: InstrumentSpec, price: Price, now_ms: int) -> dict[str, Any]:
    """markPriceUpdate."""
    return {
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": spec.symbol,
        "p": fixed(price.mark, 8),
        "i": fixed(price.index, 8),
        "P": fixed(price.index, 8),
        "r": "" if price.next_funding_ms is None else fixed(price.funding_rate, 8),
        "T": price.next_funding_ms or 0,
    }
