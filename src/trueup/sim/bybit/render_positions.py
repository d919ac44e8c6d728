"""Positions and closed PnL as rows of Bybit's answers and streams.

1. An empty slot has side "" and size "0"; what it realized stays on the row.
2. `curRealisedPnl` and `cumRealisedPnl` are net of fees and funding; `closedPnl` is net of fees, without funding.
3. `createdTime` is when the slot was first used, `openTime` when the open position was opened (0 when there is none);
   the venue's page and its recorded stream message agree on that.
4. `side` of a closed-PnL row is the closing order's: Sell closed a long (the venue's example: a Sell row that exits
   below its entry at a loss).
"""

from __future__ import annotations

from decimal import Decimal

from trueup.sim.bybit import names
from trueup.sim.bybit.memory import Memory
from trueup.sim.bybit.render_orders import order_price
from trueup.sim.bybit.text import plain, price_scale, price_text, quantity_text
from trueup.sim.world.ids import uuid_text
from trueup.sim.world.money import entry_price_of
from trueup.sim.world.types import ClosedPnl, InstrumentSpec, Leg, MarginMode, Position
from trueup.sim.world.view import AccountView, AttachedView, PositionRisk

Row = dict[str, object]
_RISK_LIMIT = {False: "2000000", True: "150"}
_NO_STOPS: Row = {"takeProfit": "", "stopLoss": "", "trailingStop": "0"}


def position_row(view: AccountView, memory: Memory, symbol: str, leg: Leg) -> Row:
    """One slot as the position list shows it, used or never used."""
    spec = view.instrument(symbol)
    position = view.position(symbol, leg)
    settings = view.settings(symbol)
    row: Row = {
        "positionIdx": names.LEG_INDEX[leg],
        "riskId": 1,
        "riskLimitValue": _RISK_LIMIT[spec.inverse],
        "symbol": symbol,
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "leverage": plain(settings.leverage),
        "tpslMode": "Full",
        "bustPrice": "",
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "sessionAvgPrice": "",
    }
    if position is None or position.is_flat:
        row.update(_flat(view, memory, spec, leg, position))
    else:
        row.update(_open(view, memory, spec, position, settings.margin_mode))
    return row


def _flat(view: AccountView, memory: Memory, spec: InstrumentSpec, leg: Leg, position: Position | None) -> Row:
    return {
        "side": "",
        "size": "0",
        "avgPrice": "0",
        "positionValue": "",
        "adlRankIndicator": 0,
        "positionBalance": "0",
        "markPrice": price_text(spec, view.price(spec.symbol).mark),
        "liqPrice": "",
        "breakEvenPrice": "",
        "positionIM": "",
        "positionIMByMp": "",
        "positionMM": "",
        "positionMMByMp": "",
        "unrealisedPnl": "",
        "curRealisedPnl": "0" if position is None else plain(_net(position)),
        "cumRealisedPnl": "0" if position is None else plain(position.cumulative_net),
        "seq": -1 if position is None else position.sequence,
        "createdTime": "0" if position is None else str(memory.first_used_ms(view, spec.symbol, leg)),
        "updatedTime": "0" if position is None else str(position.updated_ms),
        "openTime": 0,
        **_NO_STOPS,
    }


def _open(view: AccountView, memory: Memory, spec: InstrumentSpec, position: Position, margin_mode: MarginMode) -> Row:
    risk = view.risk(position)
    initial, maintenance = plain(risk.initial_margin), plain(risk.maintenance_margin)
    return {
        "side": "Buy" if position.quantity > 0 else "Sell",
        "size": quantity_text(spec, position.quantity),
        "avgPrice": price_text(spec, position.entry_price),
        "positionValue": plain(position.cost),
        "adlRankIndicator": 2,
        "positionBalance": plain(risk.margin) if margin_mode is MarginMode.ISOLATED else "0",
        "markPrice": price_text(spec, risk.mark),
        "liqPrice": _liquidation(spec, risk),
        "breakEvenPrice": plain(round(risk.break_even_price, price_scale(spec) + 6)),
        "positionIM": initial,
        "positionIMByMp": initial,
        "positionMM": maintenance,
        "positionMMByMp": maintenance,
        "unrealisedPnl": plain(risk.unrealized_pnl),
        "curRealisedPnl": plain(_net(position)),
        "cumRealisedPnl": plain(position.cumulative_net),
        "seq": position.sequence,
        "createdTime": str(memory.first_used_ms(view, spec.symbol, position.leg)),
        "updatedTime": str(position.updated_ms),
        "openTime": position.opened_ms,
        **_stops(spec, view.attached(spec.symbol, position.leg)),
    }


def _net(position: Position) -> Decimal:
    """What the current (or last) lifecycle realized, after fees and funding."""
    return position.realized_pnl - position.fees + position.funding


def _liquidation(spec: InstrumentSpec, risk: PositionRisk) -> str:
    """ "" when no price within the contract's range liquidates."""
    price = risk.liquidation_price
    return "" if price is None or price > max_price(spec) else price_text(spec, price)


def max_price(spec: InstrumentSpec) -> Decimal:
    """The highest price of an order: twenty million ticks, as of BTCUSDT, or ten times the first price."""
    return max(spec.price_tick * 20_000_000, spec.initial_price * 10)


def _stops(spec: InstrumentSpec, attached: AttachedView) -> Row:
    loss, profit, trailing = attached.stop_loss, attached.take_profit, attached.trailing
    return {
        "takeProfit": price_text(spec, profit.trigger_price) if profit is not None else "",
        "stopLoss": price_text(spec, loss.trigger_price) if loss is not None else "",
        "trailingStop": price_text(spec, trailing.callback_distance) if trailing is not None else "0",
    }


def position_message_row(view: AccountView, memory: Memory, symbol: str, leg: Leg) -> Row:
    """A slot as the stream shows it: `entryPrice` instead of `avgPrice`, numbers instead of empty texts."""
    spec = view.instrument(symbol)
    row = position_row(view, memory, symbol, leg)
    row["entryPrice"] = row.pop("avgPrice")
    row["category"] = spec.category
    for name in _ZERO_ON_STREAM:
        row[name] = row[name] or "0"
    return row


_ZERO_ON_STREAM = (
    "positionValue",
    "positionIM",
    "positionIMByMp",
    "positionMM",
    "positionMMByMp",
    "takeProfit",
    "stopLoss",
    "unrealisedPnl",
)


def closed_pnl_row(view: AccountView, row: ClosedPnl) -> Row:
    """What one closing order realized."""
    spec = view.instrument(row.symbol)
    order = view.order(row.order_id)
    asked = order_price(spec, order) if order is not None else row.order_price
    return {
        "symbol": row.symbol,
        "orderId": uuid_text(row.order_id),
        "side": names.SIDE_WORDS[row.side],
        "qty": quantity_text(spec, row.order_quantity),
        "orderPrice": price_text(spec, asked),
        "orderType": names.ORDER_TYPE_WORDS[row.order_type],
        "execType": names.CLOSED_PNL_WORDS[row.exec_type],
        "closedSize": quantity_text(spec, row.closed_quantity),
        "cumEntryValue": plain(row.entry_value),
        "avgEntryPrice": plain(entry_price_of(spec, row.closed_quantity, row.entry_value)),
        "cumExitValue": plain(row.exit_value),
        "avgExitPrice": plain(entry_price_of(spec, row.closed_quantity, row.exit_value)),
        "closedPnl": plain(row.closed_pnl),
        "fillCount": str(row.fill_count),
        "leverage": plain(row.leverage),
        "openFee": plain(row.open_fee),
        "closeFee": plain(row.close_fee),
        "createdTime": str(row.created_ms),
        "updatedTime": str(row.updated_ms),
    }
