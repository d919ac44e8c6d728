"""Orders, conditional orders and executions as rows of Bybit's answers and streams.

1. The rows of REST and of the stream agree in every field that both have.
2. What a triggered conditional order became keeps its id and its trigger fields.
3. A market order's `price` is the protective limit that the venue's engine gives it, 5 % beyond the last price.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal

from trueup.sim.bybit import names
from trueup.sim.bybit.text import fixed, plain, price_scale, price_text, quantity_text
from trueup.sim.world.ids import uuid_text
from trueup.sim.world.money import entry_price_of, value_of
from trueup.sim.world.types import (
    ZERO,
    AttachedStops,
    ConditionalKind,
    ConditionalOrder,
    ConditionalStatus,
    EndReason,
    ExecType,
    Fill,
    InstrumentSpec,
    Order,
    OrderStatus,
    Side,
    TriggerBy,
)
from trueup.sim.world.view import AccountView

Row = dict[str, object]
_SLIPPAGE = Decimal("0.05")


def order_row(view: AccountView, order: Order, close_on_trigger: bool = False) -> Row:
    """A regular order; `close_on_trigger` is what its client asked for."""
    spec = view.instrument(order.symbol)
    parent = view.conditional(order.parent_id) if order.parent_id is not None else None
    leaves = order.remaining if order.is_open else ZERO
    price = order_price(spec, order)
    row = _common(order.side)
    row.update(_attach_fields(spec, order.attach))
    row.update(_trigger_fields(spec, parent))
    row.update(
        orderId=uuid_text(order.order_id),
        orderLinkId=order.client_order_id,
        symbol=order.symbol,
        price=price_text(spec, price),
        qty=quantity_text(spec, order.quantity),
        positionIdx=names.LEG_INDEX[order.leg],
        orderStatus=names.ORDER_STATUS_WORDS[order.status],
        createType=names.create_type(order.origin, order.parent_kind, order.attached),
        cancelType=names.CANCEL_WORDS.get(order.end_reason, names.UNKNOWN),
        rejectReason=_reject_reason(order),
        avgPrice=average_price(spec, order),
        leavesQty=quantity_text(spec, leaves),
        leavesValue=plain(value_of(spec, leaves, price)) if leaves else "0",
        cumExecQty=quantity_text(spec, order.filled_quantity),
        cumExecValue=plain(order.filled_value),
        cumExecFee=plain(order.fee),
        cumFeeDetail={order.fee_asset: plain(order.fee)} if order.fee_asset else {},
        timeInForce="IOC" if order.price is None else names.TIME_IN_FORCE_WORDS[order.time_in_force],
        orderType=names.ORDER_TYPE_WORDS[order.type],
        stopOrderType=names.stop_order_type(order.parent_kind, order.attached),
        lastPriceOnCreated=price_text(spec, order.last_price_on_created),
        reduceOnly=order.reduce_only,
        closeOnTrigger=close_on_trigger or order.attached is not None,
        createdTime=str(parent.created_ms if parent is not None else order.created_ms),
        updatedTime=str(order.updated_ms),
    )
    if order.attached is not None:
        row["tpslMode"] = names.TPSL_MODE_WORDS[order.attached]
    return row


def conditional_row(view: AccountView, order: ConditionalOrder, close_on_trigger: bool = False) -> Row:
    """A conditional order, an attached stop among them."""
    spec = view.instrument(order.symbol)
    quantity = order.quantity if order.quantity is not None else _whole_position(view, order)
    leaves = quantity if order.is_open else ZERO
    at = order.price if order.price is not None else order.trigger_price
    row = _common(order.side)
    row.update(_attach_fields(spec, None))
    row.update(_trigger_fields(spec, order))
    row.update(
        orderId=uuid_text(order.conditional_id),
        orderLinkId=order.client_order_id,
        symbol=order.symbol,
        price="0" if order.price is None else price_text(spec, order.price),
        qty=quantity_text(spec, quantity),
        positionIdx=names.LEG_INDEX[order.leg],
        orderStatus=names.CONDITIONAL_STATUS_WORDS[order.status],
        createType=names.conditional_create_type(order),
        cancelType=_conditional_cancel_type(order),
        rejectReason=_conditional_reject_reason(order),
        avgPrice="",
        leavesQty=quantity_text(spec, leaves),
        leavesValue=plain(value_of(spec, leaves, at)) if leaves and at else "0",
        cumExecQty="0",
        cumExecValue="0",
        cumExecFee="0",
        cumFeeDetail={},
        timeInForce="IOC" if order.price is None else names.TIME_IN_FORCE_WORDS[order.time_in_force],
        orderType=names.ORDER_TYPE_WORDS[order.order_type],
        stopOrderType=names.stop_order_type(order.kind, order.attached),
        lastPriceOnCreated=price_text(spec, order.last_price_on_created),
        reduceOnly=order.reduce_only,
        closeOnTrigger=close_on_trigger or order.attached is not None,
        createdTime=str(order.created_ms),
        updatedTime=str(order.updated_ms),
    )
    if order.attached is not None:
        row["tpslMode"] = names.TPSL_MODE_WORDS[order.attached]
    return row


def execution_row(view: AccountView, fill: Fill) -> Row:
    """One execution of the trade history; FUNDING rows name the position's side and pay its rate."""
    spec = view.instrument(fill.symbol)
    order = view.order(fill.order_id) if fill.order_id is not None else None
    funding = fill.exec_type is ExecType.FUNDING
    return {
        "symbol": fill.symbol,
        "orderId": _funding_order_id(view, fill) if fill.order_id is None else uuid_text(fill.order_id),
        "orderLinkId": fill.client_order_id,
        "side": _execution_side(fill),
        "orderPrice": "0" if order is None else price_text(spec, order_price(spec, order)),
        "orderQty": quantity_text(spec, fill.order_quantity),
        "leavesQty": quantity_text(spec, fill.leaves_quantity),
        "createType": "" if funding else names.create_type(fill.origin, fill.parent_kind, fill.attached),
        "orderType": names.UNKNOWN if funding else names.ORDER_TYPE_WORDS[fill.order_type],
        "stopOrderType": names.stop_order_type(fill.parent_kind, fill.attached) or names.UNKNOWN,
        "execFee": plain(fill.fee),
        "execFeeV2": "",
        "execId": uuid_text(fill.fill_id),
        "execPrice": price_text(spec, fill.price),
        "execQty": quantity_text(spec, fill.quantity),
        "execType": names.exec_type(spec, fill.exec_type),
        "execValue": plain(fill.value),
        "execTime": str(fill.at_ms),
        "feeCurrency": fill.fee_asset,
        "isMaker": fill.maker,
        "feeRate": plain(funding_rate(fill) if funding else fill.fee_rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": price_text(spec, fill.mark_price),
        "indexPrice": price_text(spec, fill.index_price),
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": quantity_text(spec, fill.closed_quantity),
        "seq": fill.sequence,
        "extraFees": "",
    }


def order_message_row(view: AccountView, row: Row, fill_pnl: str) -> Row:
    """An order row with the fields that only the stream has."""
    spec = view.instrument(str(row["symbol"]))
    return {
        **row,
        "category": spec.category,
        "feeCurrency": spec.settle,
        "closedPnl": fill_pnl,
        "placeType": "",
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
    }


def execution_message_row(view: AccountView, fill: Fill) -> Row:
    """An execution row with the fields that only the stream has."""
    spec = view.instrument(fill.symbol)
    return {
        **execution_row(view, fill),
        "category": spec.category,
        "isLeverage": "0",
        "marketUnit": "",
        "execPnl": plain(fill.realized_pnl),
        "extraFees": [],
    }


def order_price(spec: InstrumentSpec, order: Order) -> Decimal:
    """The limit price, or the protective one of a market order."""
    if order.price is not None:
        return order.price
    sign = order.side.sign
    exact = order.last_price_on_created * (1 + sign * _SLIPPAGE)
    ticks = (exact / spec.price_tick).to_integral_value(ROUND_DOWN if sign > 0 else ROUND_UP)
    return ticks * spec.price_tick


def average_price(spec: InstrumentSpec, order: Order) -> str:
    """`avgPrice`: what the filled quantity cost on average, "" before the first fill."""
    if not order.filled_quantity:
        return ""
    return fixed(entry_price_of(spec, order.filled_quantity, order.filled_value), price_scale(spec))


def funding_rate(fill: Fill) -> Decimal:
    """A long pays the market's rate, a short its opposite."""
    return fill.fee_rate if fill.position_after >= 0 else -fill.fee_rate


def _execution_side(fill: Fill) -> str:
    if fill.exec_type is ExecType.FUNDING:
        return "Buy" if fill.position_after > 0 else "Sell"
    return names.SIDE_WORDS[fill.side]


def _funding_order_id(view: AccountView, fill: Fill) -> str:
    """Funding has no order; the venue writes time, account and slot instead."""
    return f"{fill.at_ms // 1_000}-8-{view.spec.uid}-{names.LEG_INDEX[fill.leg]}-{fill.fill_id % 1_000}"


def _common(side: Side) -> Row:
    """The fields whose value never depends on the order."""
    return {
        "parentOrderLinkId": "",
        "blockTradeId": "",
        "side": names.SIDE_WORDS[side],
        "isLeverage": "",
        "orderIv": "",
        "marketUnit": "",
        "ocoTriggerBy": "OcoTriggerByUnknown",
        "slippageToleranceType": names.UNKNOWN,
        "slippageTolerance": "0",
        "placeType": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "extraFees": "",
        "tpslMode": "",
    }


def _attach_fields(spec: InstrumentSpec, attach: AttachedStops | None) -> Row:
    """The stops that an order brings to its position."""
    row: Row = {
        "takeProfit": "",
        "stopLoss": "",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "tpLimitPrice": "0",
        "slLimitPrice": "0",
    }
    if attach is None:
        return row
    row["tpslMode"] = names.TPSL_MODE_WORDS[attach.mode]
    if attach.take_profit is not None:
        row["takeProfit"] = price_text(spec, attach.take_profit)
        row["tpTriggerBy"] = names.TRIGGER_WORDS[attach.take_profit_by]
        row["tpLimitPrice"] = price_text(spec, attach.take_profit_limit) or "0"
    if attach.stop_loss is not None:
        row["stopLoss"] = price_text(spec, attach.stop_loss)
        row["slTriggerBy"] = names.TRIGGER_WORDS[attach.stop_loss_by]
        row["slLimitPrice"] = price_text(spec, attach.stop_loss_limit) or "0"
    return row


def _trigger_fields(spec: InstrumentSpec, order: ConditionalOrder | None) -> Row:
    """What triggers; a trailing stop that is not active yet shows its activation price."""
    if order is None:
        return {"triggerPrice": "", "triggerDirection": 0, "triggerBy": ""}
    trigger = order.trigger_price
    if order.kind is ConditionalKind.TRAILING_STOP and not order.activated:
        trigger = order.activation_price
    return {
        "triggerPrice": price_text(spec, trigger),
        "triggerDirection": 1 if order.rising else 2,
        "triggerBy": names.TRIGGER_WORDS[order.trigger_by],
    }


def _whole_position(view: AccountView, order: ConditionalOrder) -> Decimal:
    position = view.position(order.symbol, order.leg)
    return abs(position.quantity) if position is not None else ZERO


def _reject_reason(order: Order) -> str:
    if order.status is OrderStatus.FILLED:
        return names.NO_ERROR
    return names.REJECT_WORDS.get(order.end_reason, names.NO_ERROR)


def _conditional_cancel_type(order: ConditionalOrder) -> str:
    if order.attached is not None and order.end_reason is EndReason.POSITION_FLAT:
        return "CancelByTpSlTsClear"
    return names.CANCEL_WORDS.get(order.end_reason, names.UNKNOWN)


def _conditional_reject_reason(order: ConditionalOrder) -> str:
    if order.status is not ConditionalStatus.REJECTED:
        return names.NO_ERROR
    return names.REJECT_WORDS.get(order.end_reason, names.NO_ERROR)


def current_price(view: AccountView, symbol: str, by: TriggerBy) -> Decimal:
    """The price that a trigger watches, now."""
    price = view.price(symbol)
    return {TriggerBy.LAST: price.last, TriggerBy.MARK: price.mark, TriggerBy.INDEX: price.index}[by]
