"""Orders, algo orders, fills and income as the venue's REST answers write them.

1. What a triggered algo order became is an ordinary MARKET or LIMIT order under the algo order's client id; only
   `actualOrderId` of the algo order links the two.
2. A close-position algo order has quantity "0", is reduce-only, and is good until the position ends (`GTE_GTC`).
"""

from __future__ import annotations

from typing import Any

from trueup.sim.binance.instruments import average_price_digits, notional_digits, price_digits
from trueup.sim.binance.names import (
    ALGO_STATUS_NAMES,
    INCOME_TYPE_NAMES,
    ORDER_STATUS_NAMES,
    ORDER_TYPE_NAMES,
    POSITION_SIDE_NAMES,
    SIDE_NAMES,
    TIME_IN_FORCE_NAMES,
    WORKING_TYPE_NAMES,
    algo_type,
)
from trueup.sim.binance.numbers import fixed, money, money_or_zero, plain
from trueup.sim.world.types import (
    ConditionalKind,
    ConditionalOrder,
    Fill,
    InstrumentSpec,
    LedgerEntry,
    LedgerKind,
    Order,
    Side,
)

STP_MODE = "EXPIRE_MAKER"
"""The venue's default self-trade prevention; the simulated one never meets its own orders."""


def order_state(spec: InstrumentSpec, order: Order) -> dict[str, Any]:
    """What placing, changing and cancelling an order answers."""
    kind = ORDER_TYPE_NAMES[order.type]
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": ORDER_STATUS_NAMES[order.status],
        "clientOrderId": order.client_order_id,
        "price": fixed(order.price, price_digits(spec)),
        "avgPrice": fixed(order.average_price, average_price_digits(spec)),
        "origQty": fixed(order.quantity, spec.quantity_decimals),
        "executedQty": fixed(order.filled_quantity, spec.quantity_decimals),
        "cumQty": fixed(order.filled_quantity, spec.quantity_decimals),
        "cumQuote": fixed(order.filled_notional, notional_digits(spec)),
        "timeInForce": TIME_IN_FORCE_NAMES[order.time_in_force],
        "type": kind,
        "reduceOnly": order.reduce_only or order.close_position,
        "closePosition": order.close_position,
        "side": SIDE_NAMES[order.side],
        "positionSide": POSITION_SIDE_NAMES[order.leg],
        "stopPrice": fixed(None, price_digits(spec)),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": kind,
        "priceMatch": "NONE",
        "selfTradePreventionMode": STP_MODE,
        "goodTillDate": 0,
        "updateTime": order.updated_ms,
    }


def amended_order(spec: InstrumentSpec, order: Order, modify_id: int | None) -> dict[str, Any]:
    """What changing an order answers; the client's own number of the change comes back."""
    row = order_state(spec, order)
    row["pair"] = spec.base + spec.quote
    if modify_id is not None:
        row["modifyId"] = modify_id
    return row


def order_row(spec: InstrumentSpec, order: Order) -> dict[str, Any]:
    """An order as it is queried: with its time, without `cumQty`."""
    row = order_state(spec, order)
    del row["cumQty"]
    row["time"] = order.created_ms
    return row


def _algo(spec: InstrumentSpec, order: ConditionalOrder) -> dict[str, Any]:
    digits = price_digits(spec)
    quantity = "0" if order.close_position else fixed(order.quantity, spec.quantity_decimals)
    return {
        "algoId": order.conditional_id,
        "clientAlgoId": order.client_order_id,
        "algoType": "CONDITIONAL",
        "orderType": algo_type(order),
        "symbol": order.symbol,
        "side": SIDE_NAMES[order.side],
        "positionSide": POSITION_SIDE_NAMES[order.leg],
        "timeInForce": TIME_IN_FORCE_NAMES[order.time_in_force],
        "quantity": quantity,
        "algoStatus": ALGO_STATUS_NAMES[order.status],
        "triggerPrice": fixed(order.trigger_price, digits),
        "price": fixed(order.price, digits),
        "icebergQuantity": None,
        "selfTradePreventionMode": STP_MODE,
        "workingType": WORKING_TYPE_NAMES[order.trigger_by],
        "priceMatch": "NONE",
        "closePosition": order.close_position,
        "priceProtect": order.price_protect,
        "reduceOnly": order.reduce_only or order.close_position,
        "createTime": order.created_ms,
        "updateTime": order.updated_ms,
        "triggerTime": order.triggered_ms or 0,
        "goodTillDate": 0,
    }


def new_algo_order(spec: InstrumentSpec, order: ConditionalOrder) -> dict[str, Any]:
    """What placing an algo order answers."""
    row = _algo(spec, order)
    row["activatePrice"] = "" if order.activation_price is None else fixed(order.activation_price, price_digits(spec))
    row["callbackRate"] = "" if order.callback_rate is None else plain(order.callback_rate)
    return row


def listed_algo_order(spec: InstrumentSpec, order: ConditionalOrder, child: Order | None) -> dict[str, Any]:
    """An algo order in a list; `child` is the regular order that it became."""
    none = fixed(None, price_digits(spec))
    row = _triggered(spec, order, child)
    row.update(tpTriggerPrice=none, tpPrice=none, slTriggerPrice=none, slPrice=none)
    return row


def queried_algo_order(spec: InstrumentSpec, order: ConditionalOrder, child: Order | None) -> dict[str, Any]:
    """An algo order asked for by its id."""
    row = _triggered(spec, order, child)
    row["actualType"] = "" if child is None else ORDER_TYPE_NAMES[child.type]
    row["actualQty"] = fixed(child.filled_quantity if child else None, spec.quantity_decimals)
    return row


def _triggered(spec: InstrumentSpec, order: ConditionalOrder, child: Order | None) -> dict[str, Any]:
    """With the order that it became, and the values of a trailing stop."""
    row = _algo(spec, order)
    row["actualOrderId"] = "" if order.child_order_id is None else str(order.child_order_id)
    row["actualPrice"] = fixed(child.average_price if child else None, average_price_digits(spec))
    row["tpOrderType"] = ""
    if order.kind is ConditionalKind.TRAILING_STOP:
        row["activatePrice"] = fixed(order.activation_price, price_digits(spec))
        row["callbackRate"] = plain(order.callback_rate)
    return row


def trade(spec: InstrumentSpec, fill: Fill) -> dict[str, Any]:
    """A row of `userTrades`."""
    return {
        "symbol": fill.symbol,
        "id": fill.fill_id,
        "orderId": fill.order_id,
        "side": SIDE_NAMES[fill.side],
        "price": plain(fill.price),
        "qty": fixed(fill.quantity, spec.quantity_decimals),
        "realizedPnl": money_or_zero(fill.realized_pnl),
        "marginAsset": spec.settle,
        "quoteQty": fixed(fill.quantity * fill.price, notional_digits(spec)),
        "commission": money(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.at_ms,
        "positionSide": POSITION_SIDE_NAMES[fill.leg],
        "buyer": fill.side is Side.BUY,
        "maker": fill.maker,
    }


def income(entry: LedgerEntry) -> dict[str, Any]:
    """A row of `income`: what a fill moved names the fill, all other money its own kind."""
    kind = INCOME_TYPE_NAMES[entry.kind]
    of_fill = entry.kind in (LedgerKind.REALIZED_PNL, LedgerKind.COMMISSION)
    fill_id = str(entry.fill_id) if of_fill and entry.fill_id is not None else ""
    return {
        "symbol": entry.symbol or "",
        "incomeType": kind,
        "income": money(entry.amount),
        "asset": entry.asset,
        "info": fill_id or kind,
        "time": entry.at_ms,
        "tranId": entry.entry_id,
        "tradeId": fill_id,
    }


def force_order(spec: InstrumentSpec, order: Order) -> dict[str, Any]:
    """A row of `forceOrders`."""
    row = order_row(spec, order)
    for name in ("priceProtect", "priceMatch", "selfTradePreventionMode", "goodTillDate"):
        del row[name]
    return row
