"""Every recorded payload of Bybit v5 is read to the values that stand in it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trueup.model.instruments import ContractKind, Instrument, InstrumentCatalog
from trueup.model.observations import PositionReport
from trueup.model.orders import Fill, OpenOrder, OrderKind, OrderList, OrderRecord, OrderSide, OrderStatus, Side
from trueup.venues.bybit import rows
from trueup.venues.bybit.history import fill_of
from trueup.venues.bybit.messages import (
    CoinBalance,
    ExecutionMessage,
    OrderMessage,
    PositionChange,
    PositionMessage,
    WalletMessage,
    decode_message,
)
from trueup.venues.bybit.orders import open_order, order_record
from trueup.venues.bybit.positions import attached_orders, read_positions

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def instrument(base: str) -> Instrument:
    return Instrument(
        venue="bybit",
        symbol=f"{base}/USDT:USDT",
        venue_symbol=f"{base}USDT",
        category="linear",
        kind=ContractKind.PERPETUAL,
        base=base,
        quote="USDT",
        settle="USDT",
        contract_size=Decimal(1),
    )


BTCUSDT, ETHUSDT = instrument("BTC"), instrument("ETH")
CATALOG = InstrumentCatalog("bybit", [BTCUSDT, ETHUSDT, instrument("SOL")])


def account_info(text: str) -> None:
    found = rows.ACCOUNT_INFO.decode(text).result
    assert (found.margin_mode, found.unified_margin_status) == ("REGULAR_MARGIN", 4)


def executions(text: str) -> None:
    page = rows.EXECUTIONS.decode(text).result
    assert (page.next_page_cursor, page.category) == ("132766%3A2%2C132766%3A2", "linear")
    first, second = page.rows
    assert fill_of(first, BTCUSDT) == Fill(
        symbol=BTC,
        trade_id="e0cbe81d-0f18-5866-9415-cf319b5dab3b",
        order_id="8c065341-7b52-4ca9-ac2c-37e31ac55c94",
        client_order_id="test-order-001",
        order_side=OrderSide.BUY,
        quantity=Decimal("0.100"),
        price=Decimal("50000.00"),
        value=Decimal("5000.00"),
        fee=Decimal("0.0150"),
        fee_asset="USDT",
        closed_quantity=Decimal(0),
        at_ms=1672282722429,
        sequence=4688002127,
        order_kind=OrderKind.LIMIT,
        created_by="user",
    )
    fill = fill_of(second, ETHUSDT)
    assert (fill.order_side, fill.quantity, fill.price, fill.fee, fill.sequence) == (
        OrderSide.SELL,
        Decimal("0.500"),
        Decimal("3000.00"),
        Decimal("0.9000"),
        4688002128,
    )


def orders_history(text: str) -> None:
    (row,) = rows.ORDERS.decode(text).result.rows
    assert order_record(row, BTC) == OrderRecord(
        symbol=BTC,
        order_id="abcdef123456",
        client_order_id="client-1",
        kind=OrderKind.STOP,
        status=OrderStatus.CANCELLED,
        order_side=OrderSide.BUY,
        filled_quantity=Decimal(0),
        close_position=True,
        created_by="user",
        at_ms=1700000005000,
    )


def orders_realtime(text: str) -> None:
    buy, sell = (open_order(row, ETH) for row in rows.ORDERS.decode(text).result.rows)
    assert buy.slot is None
    assert buy.order == OpenOrder(
        symbol=ETH,
        order_id="open-order-1",
        client_order_id="client-open-1",
        order_list=OrderList.REGULAR,
        kind=OrderKind.LIMIT,
        order_side=OrderSide.BUY,
        quantity=Decimal("0.010"),
        limit_price=Decimal("3930.41"),
        created_at_ms=1761355905606,
        venue_type="Limit",
    )
    assert (sell.order.order_id, sell.order.order_side, sell.order.limit_price) == (
        "open-order-2",
        OrderSide.SELL,
        Decimal("3940.42"),
    )


def orders_tp_sl(text: str) -> None:
    profit, loss = (open_order(row, BTC) for row in rows.ORDERS.decode(text).result.rows)
    assert profit.slot == (BTC, 0, OrderKind.TAKE_PROFIT)
    assert loss.slot == (BTC, 0, OrderKind.STOP)
    common = {
        "symbol": BTC,
        "order_list": OrderList.CONDITIONAL,
        "order_side": OrderSide.SELL,
        "reduce_only": True,
        "close_position": True,
        "quantity": Decimal("0.500"),
        "trigger_by": "last",
        "created_at_ms": 1672364262444,
    }
    assert profit.order == OpenOrder(
        **common,
        order_id="tp-order-001",
        client_order_id="client-tp-001",
        kind=OrderKind.TAKE_PROFIT,
        trigger_price=Decimal("55000.00"),
        venue_type="TakeProfit",
    )
    assert loss.order == OpenOrder(
        **common,
        order_id="sl-order-001",
        client_order_id="client-sl-001",
        kind=OrderKind.STOP,
        trigger_price=Decimal("48000.00"),
        limit_price=Decimal("47500.00"),
        venue_type="StopLoss",
    )


def positions(text: str) -> None:
    found = read_positions(rows.POSITIONS.decode(text).result.rows, "linear", CATALOG, "test")
    assert (found.stale, found.quarantined) == (1, [])
    long, short = found.reports
    assert long == PositionReport(
        symbol=BTC,
        side=Side.LONG,
        quantity=Decimal("0.5"),
        contract_size=Decimal(1),
        entry_price=Decimal("50000.00"),
        mark_price=Decimal("50500.00"),
        liquidation_price=Decimal("45000.00"),
        leverage=Decimal(10),
        position_index=0,
        updated_at_ms=1697673600012,
        sequence=5723621632,
        stop_loss=Decimal("48000.00"),
        take_profit=Decimal("55000.00"),
    )
    assert (short.symbol, short.side, short.quantity, short.entry_price) == (
        ETH,
        Side.SHORT,
        Decimal("5.0"),
        Decimal("3000.00"),
    )
    assert [(stop.kind, stop.order_side, stop.trigger_price) for stop in attached_orders(short, ETHUSDT)] == [
        (OrderKind.STOP, OrderSide.BUY, Decimal("3100.00")),
        (OrderKind.TAKE_PROFIT, OrderSide.BUY, Decimal("2800.00")),
    ]


def ws_execution(text: str) -> None:
    assert decode_message(text, CATALOG) == ExecutionMessage(
        created_ms=1746270400355,
        payments=(),
        fills=(
            Fill(
                symbol=BTC,
                trade_id="0ab1bdf7-4219-438b-b30a-32ec863018f7",
                order_id="9aac161b-8ed6-450d-9cab-c5cc67c21784",
                client_order_id="test-order-link-001",
                order_side=OrderSide.SELL,
                quantity=Decimal("0.5"),
                price=Decimal("95900.1"),
                value=Decimal("47950.05"),
                fee=Decimal("26.3725275"),
                fee_asset="USDT",
                closed_quantity=Decimal("0.5"),
                at_ms=1746270400353,
                sequence=140612148849382,
                order_kind=OrderKind.MARKET,
            ),
        ),
    )


def ordered(text: str) -> OrderRecord:
    found = decode_message(text, CATALOG)
    assert isinstance(found, OrderMessage)
    (record,) = found.orders
    return record


def ws_order(text: str) -> None:
    record = ordered(text)
    assert (record.order_id, record.client_order_id, record.status) == (
        "abcdef123456",
        "client-1",
        OrderStatus.CANCELLED,
    )
    assert (record.order_side, record.reduce_only, record.created_by, record.at_ms) == (
        OrderSide.BUY,
        False,
        "user",
        1700000005000,
    )


def ws_order_filled(text: str) -> None:
    assert ordered(text) == OrderRecord(
        symbol=BTC,
        order_id="5cf98598-39a7-459e-97bf-76ca765ee020",
        client_order_id="test-client-order-001",
        # A buy that waited for 29,500 below the price of then, 29,950, and opens: nobody's stop.
        kind=OrderKind.TAKE_PROFIT,
        status=OrderStatus.FILLED,
        order_side=OrderSide.BUY,
        filled_quantity=Decimal("0.100"),
        average_price=Decimal("30000.50"),
        trigger_price=Decimal("29500.00"),
        created_by="user",
        at_ms=1672364262457,
    )


def ws_order_stop_loss(text: str) -> None:
    assert ordered(text) == OrderRecord(
        symbol=BTC,
        order_id="test-stop-loss-001",
        client_order_id="test-client-sl-001",
        kind=OrderKind.STOP,
        status=OrderStatus.OPEN,
        order_side=OrderSide.SELL,
        filled_quantity=Decimal(0),
        reduce_only=True,
        close_position=True,
        trigger_price=Decimal("48000.00"),
        created_by="stop_loss",
        at_ms=1672364262457,
    )


def ws_position(text: str) -> None:
    assert decode_message(text, CATALOG) == PositionMessage(
        created_ms=1762199126022,
        changes=(
            PositionChange(
                symbol=ETH,
                leg=None,
                at_ms=1762199125472,
                sequence=325852190774,
                report=PositionReport(
                    symbol=ETH,
                    side=Side.SHORT,
                    quantity=Decimal("0.01"),
                    contract_size=Decimal(1),
                    entry_price=Decimal("3641.075"),
                    mark_price=Decimal("3641.33"),
                    liquidation_price=Decimal("51764.83003276"),
                    leverage=Decimal(30),
                    position_index=0,
                    updated_at_ms=1762199125472,
                    sequence=325852190774,
                ),
            ),
        ),
    )


def ws_wallet(text: str) -> None:
    assert decode_message(text, CATALOG) == WalletMessage(
        created_ms=1700034722104,
        total_equity=Decimal("10262.91335023"),
        coins=(
            CoinBalance(
                coin="BTC",
                equity=Decimal("0.00102964"),
                wallet_balance=Decimal("0.00102964"),
                position_margin=Decimal(0),
            ),
            CoinBalance(
                coin="USDT",
                equity=Decimal("10226.20575506"),
                wallet_balance=Decimal("9647.75537647"),
                position_margin=Decimal("127.8573161"),
            ),
        ),
    )


CHECKS: dict[str, Callable[[str], Any]] = {
    "http_get_account_info.json": account_info,
    "http_get_executions.json": executions,
    "http_get_orders_history.json": orders_history,
    "http_get_orders_realtime.json": orders_realtime,
    "http_get_orders_realtime_tp_sl.json": orders_tp_sl,
    "http_get_positions.json": positions,
    "ws_account_execution.json": ws_execution,
    "ws_account_order.json": ws_order,
    "ws_account_order_filled.json": ws_order_filled,
    "ws_account_order_stop_loss.json": ws_order_stop_loss,
    "ws_account_position.json": ws_position,
    "ws_account_wallet.json": ws_wallet,
}


@pytest.mark.parametrize("name", CHECKS)
def test_payload_is_read_to_its_values(payloads: Path, name: str) -> None:
    CHECKS[name]((payloads / "bybit_v5" / name).read_text())


def test_every_payload_is_read(payloads: Path) -> None:
    assert {path.name for path in (payloads / "bybit_v5").glob("*.json")} == set(CHECKS)
