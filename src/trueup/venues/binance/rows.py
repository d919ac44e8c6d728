"""The rows of Binance USDⓈ-M's REST answers, with the fields that we read. Unknown fields are ignored.

Source: developers.binance.com, USDⓈ-M Futures REST API; field names as on the wire.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from trueup.venues.wire import Either, Number, decoder

__all__ = [
    "ACCOUNT",
    "ALGO_ORDER",
    "ALGO_ORDERS",
    "BALANCES",
    "EXCHANGE_INFO",
    "INCOME",
    "MODE",
    "ORDER",
    "ORDERS",
    "POSITIONS",
    "SYMBOL_CONFIG",
    "TIME",
    "TRADES",
    "AccountRow",
    "AlgoOrderRow",
    "BalanceRow",
    "ExchangeInfo",
    "IncomeRow",
    "OrderRow",
    "PlainPositionRow",
    "PositionRow",
    "SymbolConfigRow",
    "SymbolRow",
    "TradeRow",
]


class _Row(msgspec.Struct, rename="camel", gc=False, frozen=True):
    """Frozen; names on the wire are camelCase."""


class PositionRow(_Row, frozen=True):
    """`positionRisk` and the `positions[]` of `account`; `positionAmt` is signed."""

    symbol: str
    position_amt: Number = None
    position_side: str | None = None
    entry_price: Number = None
    mark_price: Number = None
    liquidation_price: Number = None
    leverage: Number = None
    update_time: Number = None


class PlainPositionRow(PositionRow, frozen=True, kw_only=True):
    """A row of `positionRisk` v3 as the venue writes nearly every one."""

    position_amt: str
    position_side: str
    entry_price: str
    mark_price: str
    update_time: int
    liquidation_price: str = "0"


class AccountRow(_Row, frozen=True):
    """`account` (v2 has the permission flags, v3 lists only symbols with a position or an order)."""

    positions: list[PositionRow]
    total_position_initial_margin: Number = None
    can_trade: bool | None = None
    can_withdraw: bool | None = None


class BalanceRow(_Row, frozen=True):
    asset: str
    account_alias: str | None = None


class OrderRow(_Row, frozen=True):
    """`openOrders`, `order`, `allOrders`."""

    symbol: str
    order_id: Number
    side: str
    status: str
    type: str
    client_order_id: Number = None
    orig_type: str | None = None
    position_side: str | None = None
    orig_qty: Number = None
    executed_qty: Number = None
    price: Number = None
    avg_price: Number = None
    stop_price: Number = None
    working_type: str | None = None
    reduce_only: Number = None
    close_position: Number = None
    time: Number = None
    update_time: Number = None


class AlgoOrderRow(_Row, frozen=True):
    """`openAlgoOrders`, `algoOrder`, `allAlgoOrders`. Some answers say `type` where others say `orderType`."""

    symbol: str
    algo_id: Number
    side: str
    algo_status: str
    client_algo_id: Number = None
    algo_type: str | None = None
    order_type: str | None = None
    type: str | None = None
    position_side: str | None = None
    quantity: Number = None
    price: Number = None
    trigger_price: Number = None
    activate_price: Number = None
    callback_rate: Number = None
    working_type: str | None = None
    reduce_only: Number = None
    close_position: Number = None
    actual_order_id: Number = None
    actual_price: Number = None
    create_time: Number = None
    update_time: Number = None


class TradeRow(_Row, frozen=True):
    """`userTrades`; `realizedPnl` is gross, `commission` positive = paid."""

    symbol: str
    id: Number
    order_id: Number
    side: str
    price: Number = None
    qty: Number = None
    quote_qty: Number = None
    realized_pnl: Number = None
    commission: Number = None
    commission_asset: str | None = None
    position_side: str | None = None
    time: Number = None


class IncomeRow(_Row, frozen=True):
    """`income`; positive = received."""

    income_type: str
    asset: str
    income: Number = None
    symbol: str | None = None
    time: Number = None
    tran_id: Number = None


class SymbolConfigRow(_Row, frozen=True):
    symbol: str
    leverage: Number = None
    margin_type: str | None = None


class FilterRow(_Row, frozen=True):
    filter_type: str
    tick_size: Number = None
    step_size: Number = None
    min_qty: Number = None
    max_qty: Number = None
    notional: Number = None


class SymbolRow(_Row, frozen=True):
    symbol: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    contract_type: str = ""
    status: str = ""
    delivery_date: Number = None
    filters: list[FilterRow] = []


class RateLimitRow(_Row, frozen=True):
    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class ExchangeInfo(_Row, frozen=True):
    symbols: list[SymbolRow]
    rate_limits: list[RateLimitRow] = []


class TimeRow(_Row, frozen=True):
    server_time: Number


class ModeRow(_Row, frozen=True):
    dual_side_position: Number


POSITIONS: Either[Sequence[PositionRow]] = Either(decoder(list[PlainPositionRow]), decoder(list[PositionRow]))
ACCOUNT = decoder(AccountRow)
BALANCES = decoder(list[BalanceRow])
ORDER = decoder(OrderRow)
ORDERS = decoder(list[OrderRow])
ALGO_ORDER = decoder(AlgoOrderRow)
ALGO_ORDERS = decoder(list[AlgoOrderRow])
TRADES = decoder(list[TradeRow])
INCOME = decoder(list[IncomeRow])
SYMBOL_CONFIG = decoder(list[SymbolConfigRow])
EXCHANGE_INFO = decoder(ExchangeInfo)
TIME = decoder(TimeRow)
MODE = decoder(ModeRow)
