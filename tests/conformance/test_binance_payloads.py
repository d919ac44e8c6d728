"""Every recorded payload of Binance USDⓈ-M is read to the values that stand in it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trueup.model.instruments import ContractKind, Instrument, InstrumentCatalog
from trueup.model.observations import PositionReport
from trueup.model.orders import (
    Fill,
    FillKind,
    OpenOrder,
    OrderKind,
    OrderList,
    OrderRecord,
    OrderSide,
    OrderStatus,
    Side,
)
from trueup.venues.binance import rows
from trueup.venues.binance.history import fill_of
from trueup.venues.binance.messages import (
    AccountUpdate,
    AlgoUpdate,
    BalanceChange,
    OrderUpdate,
    PositionChange,
    TradeLite,
    decode_message,
    fill_of_update,
    record_of_update,
)
from trueup.venues.binance.orders import algo_open_order, open_order, order_record
from trueup.venues.binance.positions import open_keys, read_positions

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def instrument(venue_symbol: str, base: str) -> Instrument:
    return Instrument(
        venue="binanceusdm",
        symbol=f"{base}/USDT:USDT",
        venue_symbol=venue_symbol,
        category="linear",
        kind=ContractKind.PERPETUAL,
        base=base,
        quote="USDT",
        settle="USDT",
        contract_size=Decimal(1),
    )


CATALOG = InstrumentCatalog("binanceusdm", [instrument("BTCUSDT", "BTC"), instrument("ETHUSDT", "ETH")])


def account(text: str) -> None:
    found = rows.ACCOUNT.decode(text)
    assert (found.can_trade, found.can_withdraw) == (True, True)
    assert Decimal(found.total_position_initial_margin) == 0
    assert open_keys(found.positions, CATALOG, "test") == ([], True)
    (row,) = found.positions
    assert (row.symbol, row.position_side, row.position_amt, row.leverage) == ("BTCUSDT", "BOTH", "0", "100")


def positions_one_way(text: str) -> None:
    found = read_positions(rows.POSITIONS.decode(text), CATALOG, "test")
    assert (found.reports, found.quarantined, found.stale) == ([], [], 1)


def position_risk(text: str) -> None:
    found = read_positions(rows.POSITIONS.decode(text), CATALOG, "test")
    assert found.reports == [
        PositionReport(
            symbol=BTC,
            side=Side.LONG,
            quantity=Decimal("0.001"),
            contract_size=Decimal(1),
            entry_price=Decimal("50000.0"),
            mark_price=Decimal("51000.0"),
            liquidation_price=Decimal("45000.0"),
            leverage=Decimal(20),
            updated_at_ms=1625474304765,
        )
    ]
    assert (found.quarantined, found.stale) == ([], 0)


def symbol_config(text: str) -> None:
    assert [(row.symbol, row.leverage, row.margin_type) for row in rows.SYMBOL_CONFIG.decode(text)] == [
        ("ETHUSDT", 20, "CROSSED"),
        ("BTCUSDT", 25, "ISOLATED"),
    ]


def trades(text: str) -> None:
    first, second = (fill_of(row, ETH) for row in rows.TRADES.decode(text))
    assert first == Fill(
        symbol=ETH,
        trade_id="82357626",
        order_id="831238666",
        order_side=OrderSide.SELL,
        quantity=Decimal("0.005"),
        price=Decimal("2778.35"),
        value=Decimal("13.89175"),
        fee=Decimal("0.00555670"),
        fee_asset="USDT",
        realized_pnl=Decimal(0),
        at_ms=1645930322371,
        sequence=82357626,
    )
    assert (second.order_side, second.price, second.realized_pnl, second.fee) == (
        OrderSide.BUY,
        Decimal(2779),
        Decimal("-0.00325000"),
        Decimal("0.00555800"),
    )
    assert str(second.realized_pnl) == "-0.00325000"


def algo_orders(text: str) -> None:
    (row,) = rows.ALGO_ORDERS.decode(text)
    assert algo_open_order(row, BTC) == OpenOrder(
        symbol=BTC,
        order_id="123456789",
        client_order_id="test-algo-order-1",
        order_list=OrderList.CONDITIONAL,
        kind=OrderKind.STOP,
        order_side=OrderSide.BUY,
        quantity=Decimal("0.001"),
        trigger_price=Decimal("45000.00"),
        trigger_by="mark",
        created_at_ms=1625474304765,
        venue_type="STOP_MARKET",
    )


def order(text: str) -> None:
    row = rows.ORDER.decode(text)
    assert open_order(row, BTC) == OpenOrder(
        symbol=BTC,
        order_id="12345678",
        client_order_id="testOrder123",
        order_list=OrderList.REGULAR,
        kind=OrderKind.LIMIT,
        order_side=OrderSide.BUY,
        quantity=Decimal("0.001"),
        limit_price=Decimal("50000.00"),
        created_at_ms=1625474304765,
        venue_type="LIMIT",
    )
    assert order_record(row, BTC) == OrderRecord(
        symbol=BTC,
        order_id="12345678",
        client_order_id="testOrder123",
        kind=OrderKind.LIMIT,
        status=OrderStatus.OPEN,
        order_side=OrderSide.BUY,
        filled_quantity=Decimal(0),
        created_by="user",
        at_ms=1625474304765,
    )


def account_update(text: str) -> None:
    change = {"venue_symbol": "BTCUSDT"}
    assert decode_message(text) == AccountUpdate(
        event_ms=1564745798939,
        at_ms=1564745798939,
        reason="ORDER",
        balances=(
            BalanceChange(
                asset="USDT",
                wallet_balance=Decimal("122624.12345678"),
                cross_wallet_balance=Decimal("100.12345678"),
                change=Decimal("50.12345678"),
            ),
        ),
        positions=(
            PositionChange(
                **change, leg=None, side=None, quantity=Decimal(0), entry_price=None, accumulated_pnl=Decimal(200)
            ),
            PositionChange(
                **change,
                leg=Side.LONG,
                side=Side.LONG,
                quantity=Decimal(20),
                entry_price=Decimal("6563.6"),
                accumulated_pnl=Decimal(0),
            ),
            PositionChange(
                **change,
                leg=Side.SHORT,
                side=Side.SHORT,
                quantity=Decimal(10),
                entry_price=Decimal("6563.8"),
                accumulated_pnl=Decimal("-45.04000000"),
            ),
        ),
    )


def algo_update(status: OrderStatus, word: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        assert decode_message(text) == AlgoUpdate(
            event_ms=1750515742303,
            at_ms=1750515742297,
            venue_symbol="BNBUSDT",
            algo_id="2148719",
            client_algo_id="Q5xaq5EGKgXXa0fD7fs0Ip",
            algo_type="CONDITIONAL",
            order_type="TAKE_PROFIT",
            kind=OrderKind.TAKE_PROFIT,
            order_side=OrderSide.SELL,
            position_side=None,
            status=status,
            status_text=word,
            quantity=Decimal("0.01"),
            trigger_price=Decimal(750),
            limit_price=Decimal(750),
            trigger_by="last",
            reduce_only=False,
            close_position=False,
            child_order_id=None,
            average_price=None,
            filled_quantity=Decimal(0),
            triggered_at_ms=None,
            reject_reason="Reduce Only reject",
        )

    return check


def algo_triggered(text: str) -> None:
    found = decode_message(text)
    assert isinstance(found, AlgoUpdate)
    assert (found.algo_id, found.child_order_id, found.triggered_at_ms) == (
        "1000000033225453",
        "88937381063",
        1765431097019,
    )
    assert (found.client_algo_id, found.venue_symbol) == ("O-20251211-053131-TEST-000-1", "DOGEUSDT")
    assert (found.status, found.kind, found.order_side) == (OrderStatus.TRIGGERED, OrderKind.STOP, OrderSide.BUY)
    assert (found.quantity, found.trigger_price, found.limit_price) == (Decimal(38), Decimal("0.13855"), None)


def updated(text: str) -> OrderUpdate:
    found = decode_message(text)
    assert isinstance(found, OrderUpdate)
    return found


def liquidation(text: str) -> None:
    found = updated(text)
    assert fill_of_update(found, BTC) == Fill(
        symbol=BTC,
        trade_id="1122334455",
        order_id="9876543210",
        client_order_id="autoclose-1234567890123456",
        order_side=OrderSide.SELL,
        position_side=Side.LONG,
        quantity=Decimal("0.100"),
        price=Decimal("50000.00"),
        fee=Decimal("5.00000000"),
        fee_asset="USDT",
        realized_pnl=Decimal("-100.00"),
        at_ms=1759347763167,
        sequence=1122334455,
        kind=FillKind.LIQUIDATION,
        created_by="liquidation",
    )
    record = record_of_update(found, BTC)
    assert (record.status, record.created_by, record.kind) == (OrderStatus.FILLED, "liquidation", OrderKind.MARKET)
    assert (record.filled_quantity, record.average_price) == (Decimal("0.100"), Decimal("50000.00"))


def calculated(text: str) -> None:
    found = updated(text)
    assert (found.execution, found.status, found.reduce_only) == ("CALCULATED", OrderStatus.FILLED, True)
    assert (found.limit_price, found.average_price, found.last_price) == (
        Decimal("9910.00"),
        Decimal("9910.12"),
        Decimal("9910.12"),
    )
    fill = fill_of_update(found, BTC)
    assert fill is not None
    assert (fill.kind, fill.fee, fill.realized_pnl, fill.quantity) == (
        FillKind.LIQUIDATION,
        Decimal("0.06937084"),
        Decimal("-5.67"),
        Decimal("0.014"),
    )


def new_trailing_stop(text: str) -> None:
    found = updated(text)
    assert (found.kind, found.status, found.execution) == (OrderKind.TRAILING_STOP, OrderStatus.OPEN, "NEW")
    assert (found.trigger_price, found.activation_price, found.callback_rate) == (
        Decimal("7103.04"),
        Decimal("7476.89"),
        Decimal("5.0"),
    )
    assert (found.order_id, found.client_order_id, found.position_side) == ("8886774", "TEST", Side.LONG)
    assert (found.trade_id, found.fee, found.realized_pnl) == (None, Decimal(0), Decimal(0))
    assert fill_of_update(found, BTC) is None
    # It opens the leg that it names: nobody's stop.
    assert record_of_update(found, BTC).created_by == "user"


def traded(quantity: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        found = updated(text)
        assert (found.quantity, found.filled_quantity, found.status) == (
            Decimal(quantity),
            Decimal("0.001"),
            OrderStatus.OPEN,
        )
        assert (found.limit_price, found.maker) == (Decimal("7100.50"), True)
        assert fill_of_update(found, BTC) == Fill(
            symbol=BTC,
            trade_id="12345678",
            order_id="8886774",
            client_order_id="TEST",
            order_side=OrderSide.BUY,
            position_side=Side.LONG,
            quantity=Decimal("0.001"),
            price=Decimal("7100.50"),
            fee=Decimal("0.01000000"),
            fee_asset="USDT",
            realized_pnl=Decimal("12.34"),
            at_ms=1568879465651,
            sequence=12345678,
        )

    return check


def trade_lite(text: str) -> None:
    assert decode_message(text) == TradeLite(
        event_ms=1568879465651,
        at_ms=1568879465651,
        venue_symbol="BTCUSDT",
        order_id="8886774",
        client_order_id="TEST",
        order_side=OrderSide.BUY,
        trade_id="12345678",
        order_quantity=Decimal("0.001"),
        order_price=Decimal("7100.50"),
        last_quantity=Decimal("0.001"),
        last_price=Decimal("7100.50"),
        maker=True,
    )


CHECKS: dict[str, Callable[[str], Any]] = {
    "account_info_v2.json": account,
    "http_futures_account_positions_one_way.json": positions_one_way,
    "http_futures_account_symbol_config.json": symbol_config,
    "http_futures_account_trades.json": trades,
    "open_algo_orders.json": algo_orders,
    "order_response.json": order,
    "position_risk.json": position_risk,
    "ws_account_update.json": account_update,
    "ws_algo_update_canceled.json": algo_update(OrderStatus.CANCELLED, "CANCELED"),
    "ws_algo_update_new.json": algo_update(OrderStatus.OPEN, "NEW"),
    "ws_futures_algo_update_triggered.json": algo_triggered,
    "ws_futures_order_update_liquidation.json": liquidation,
    "ws_order_update_calculated.json": calculated,
    "ws_order_update_new.json": new_trailing_stop,
    "ws_order_update_trade.json": traded("0.001"),
    "ws_order_update_trade_partial.json": traded("0.002"),
    "ws_trade_lite.json": trade_lite,
}


@pytest.mark.parametrize("name", CHECKS)
def test_payload_is_read_to_its_values(payloads: Path, name: str) -> None:
    CHECKS[name]((payloads / "binance_usdm" / name).read_text())


def test_every_payload_is_read(payloads: Path) -> None:
    assert {path.name for path in (payloads / "binance_usdm").glob("*.json")} == set(CHECKS)
