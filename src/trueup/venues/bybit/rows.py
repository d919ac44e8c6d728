"""The rows of Bybit v5's answers and stream messages, with the fields that we read. Unknown fields are ignored.

Source: bybit-exchange.github.io/docs/v5; field names as on the wire.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

import msgspec

from trueup.venues.wire import Either, Number, decoder

__all__ = [
    "ACCOUNT_INFO",
    "CLOSED_PNL",
    "EXECUTIONS",
    "INSTRUMENTS",
    "KEY",
    "ORDERS",
    "POSITIONS",
    "TIME",
    "WALLET",
    "Answer",
    "ClosedPnlRow",
    "ExecutionRow",
    "InstrumentRow",
    "ListAnswer",
    "OrderRow",
    "Page",
    "PlainPositionRow",
    "PositionRow",
    "WalletRow",
]

T = TypeVar("T")


class _Row(msgspec.Struct, rename="camel", gc=False, frozen=True):
    """Frozen; names on the wire are camelCase."""


class Page(msgspec.Struct, Generic[T], gc=False, frozen=True):
    rows: list[T] = msgspec.field(name="list")
    next_page_cursor: str | None = msgspec.field(name="nextPageCursor", default=None)
    category: str | None = None


class ListAnswer(msgspec.Struct, Generic[T], gc=False, frozen=True):
    result: Page[T]
    time: Number = None


class Answer(msgspec.Struct, Generic[T], gc=False, frozen=True):
    result: T
    time: Number = None


class PositionRow(_Row, frozen=True):
    """`position/list` (`avgPrice`) and the stream topic `position` (`entryPrice`, `category`)."""

    symbol: str
    size: Number = None
    side: str | None = None
    position_idx: Number = None
    avg_price: Number = None
    entry_price: Number = None
    mark_price: Number = None
    liq_price: Number = None
    leverage: Number = None
    stop_loss: Number = None
    take_profit: Number = None
    trailing_stop: Number = None
    updated_time: Number = None
    seq: Number = None
    category: str | None = None


class PlainPositionRow(PositionRow, frozen=True, kw_only=True):
    """A row of `position/list` as the venue writes nearly every one."""

    size: str
    side: str
    position_idx: int
    avg_price: str
    mark_price: str
    updated_time: str
    seq: int
    liq_price: str = ""
    leverage: str = ""
    stop_loss: str = ""
    take_profit: str = ""
    trailing_stop: str = ""


class OrderRow(_Row, frozen=True):
    """`order/realtime`, `order/history` and the stream topic `order`."""

    symbol: str
    order_id: str
    side: str
    order_status: str
    order_type: str
    order_link_id: str | None = None
    stop_order_type: str | None = None
    create_type: str | None = None
    position_idx: Number = None
    qty: Number = None
    leaves_qty: Number = None
    cum_exec_qty: Number = None
    price: Number = None
    avg_price: Number = None
    trigger_price: Number = None
    trigger_direction: Number = None
    trigger_by: str | None = None
    last_price_on_created: Number = None
    reduce_only: Number = None
    close_on_trigger: Number = None
    tpsl_mode: str | None = None
    cancel_type: str | None = None
    reject_reason: str | None = None
    created_time: Number = None
    updated_time: Number = None
    category: str | None = None


class ExecutionRow(_Row, frozen=True):
    """`execution/list` and the stream topic `execution`; `execFee` positive = paid."""

    symbol: str
    exec_id: str
    exec_type: str
    side: str
    order_id: str = ""
    order_link_id: str | None = None
    order_type: str | None = None
    stop_order_type: str | None = None
    create_type: str | None = None
    exec_price: Number = None
    exec_qty: Number = None
    exec_value: Number = None
    exec_fee: Number = None
    fee_currency: str | None = None
    closed_size: Number = None
    exec_time: Number = None
    seq: Number = None
    category: str | None = None


class ClosedPnlRow(_Row, frozen=True):
    """`position/closed-pnl`: one row per closing order, whose side it bears."""

    symbol: str
    order_id: str
    side: str
    exec_type: str | None = None
    closed_size: Number = None
    avg_entry_price: Number = None
    avg_exit_price: Number = None
    closed_pnl: Number = None
    cum_entry_value: Number = None
    cum_exit_value: Number = None
    open_fee: Number = None
    close_fee: Number = None
    updated_time: Number = None
    created_time: Number = None


class PriceFilter(_Row, frozen=True):
    tick_size: Number = None


class LotSizeFilter(_Row, frozen=True):
    qty_step: Number = None
    min_order_qty: Number = None
    max_mkt_order_qty: Number = None
    min_notional_value: Number = None


class InstrumentRow(_Row, frozen=True):
    symbol: str
    base_coin: str
    quote_coin: str
    contract_type: str = ""
    status: str = ""
    settle_coin: str = ""
    delivery_time: Number = None
    price_filter: PriceFilter = PriceFilter()
    lot_size_filter: LotSizeFilter = LotSizeFilter()


class CoinRow(msgspec.Struct, frozen=True):
    coin: str
    total_position_im: Number = msgspec.field(name="totalPositionIM", default=None)
    wallet_balance: Number = msgspec.field(name="walletBalance", default=None)
    equity: Number = None


class WalletRow(_Row, frozen=True):
    """`wallet-balance` and the stream topic `wallet`."""

    coin: list[CoinRow]
    account_type: str | None = None
    total_equity: Number = None
    total_wallet_balance: Number = None
    total_initial_margin: Number = None


class KeyRow(msgspec.Struct, frozen=True):
    """`query-api`."""

    user_id: Number = msgspec.field(name="userID")
    read_only: Number = msgspec.field(name="readOnly", default=None)
    permissions: dict[str, list[str]] = msgspec.field(default_factory=dict)
    uta: Number = None


class AccountInfoRow(_Row, frozen=True):
    margin_mode: str | None = None
    unified_margin_status: Number = None


class TimeRow(_Row, frozen=True):
    time_nano: Number = None
    time_second: Number = None


POSITIONS: Either[ListAnswer[PositionRow]] = Either(
    cast(Any, decoder(ListAnswer[PlainPositionRow])), decoder(ListAnswer[PositionRow])
)
ORDERS = decoder(ListAnswer[OrderRow])
EXECUTIONS = decoder(ListAnswer[ExecutionRow])
CLOSED_PNL = decoder(ListAnswer[ClosedPnlRow])
INSTRUMENTS = decoder(ListAnswer[InstrumentRow])
WALLET = decoder(ListAnswer[WalletRow])
KEY = decoder(Answer[KeyRow])
ACCOUNT_INFO = decoder(Answer[AccountInfoRow])
TIME = decoder(Answer[TimeRow])
