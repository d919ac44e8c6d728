"""Recorded stream messages of both venues, read to events."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trueup.model.instruments import ContractKind, Instrument, InstrumentCatalog
from trueup.model.orders import FillKind, OrderKind, OrderStatus, Side
from trueup.model.stream import StreamAccount, StreamEvent, StreamFill, StreamOrder, StreamPosition
from trueup.venues.binance.messages import decode_message
from trueup.venues.stream.binance_events import binance_events
from trueup.venues.stream.bybit_events import answer_of, bybit_events

D = Decimal
LISTED = ("BTC", "BNB", "DOGE", "ETH")


@pytest.fixture(scope="module")
def folder() -> Path:
    named = os.environ.get("TRUEUP_FIXTURES")
    if not named:
        pytest.skip("TRUEUP_FIXTURES is not set: it names the folder of recorded payloads")
    return Path(named)


def catalog(venue: str) -> InstrumentCatalog:
    return InstrumentCatalog(
        venue,
        [
            Instrument(
                venue=venue,
                symbol=f"{base}/USDT:USDT",
                venue_symbol=f"{base}USDT",
                category="linear",
                kind=ContractKind.PERPETUAL,
                base=base,
                quote="USDT",
                settle="USDT",
                contract_size=D(1),
            )
            for base in LISTED
        ],
    )


def binance(folder: Path, name: str) -> list[StreamEvent]:
    text = (folder / "binance_usdm" / name).read_text()
    return binance_events(decode_message(text), catalog("binanceusdm"), 1)


def bybit(folder: Path, name: str) -> list[StreamEvent]:
    text = (folder / "bybit_v5" / name).read_text()
    return bybit_events(text, answer_of(text), catalog("bybit"))


def test_binances_account_update_with_all_three_slots(folder: Path) -> None:
    long_leg, short_leg = binance(folder, "ws_account_update.json")
    assert isinstance(long_leg, StreamPosition)
    assert isinstance(short_leg, StreamPosition)
    assert (long_leg.of(Side.LONG), long_leg.entry_price) == (D(20), D("6563.6"))
    assert (short_leg.of(Side.SHORT), short_leg.entry_price) == (D(10), D("6563.8"))
    assert long_leg.at_ms == 1564745798939


@pytest.mark.parametrize(
    ("name", "kind", "quantity", "pnl"),
    [
        ("ws_order_update_trade.json", FillKind.TRADE, "0.001", "12.34"),
        ("ws_order_update_trade_partial.json", FillKind.TRADE, "0.001", "12.34"),
        ("ws_order_update_calculated.json", FillKind.LIQUIDATION, "0.014", "-5.67"),
        ("ws_futures_order_update_liquidation.json", FillKind.LIQUIDATION, "0.100", "-100.00"),
    ],
)
def test_binances_fills(folder: Path, name: str, kind: FillKind, quantity: str, pnl: str) -> None:
    fill, order = binance(folder, name)
    assert isinstance(fill, StreamFill)
    assert isinstance(order, StreamOrder)
    assert (fill.fill.kind, str(fill.fill.quantity), str(fill.fill.realized_pnl)) == (kind, quantity, pnl)
    assert order.record.order_id == fill.fill.order_id


def test_binances_orders(folder: Path) -> None:
    (new,) = binance(folder, "ws_order_update_new.json")
    (waiting,) = binance(folder, "ws_algo_update_new.json")
    (cancelled,) = binance(folder, "ws_algo_update_canceled.json")
    (triggered,) = binance(folder, "ws_futures_algo_update_triggered.json")
    orders: list[Any] = [new, waiting, cancelled, triggered]
    assert [order.record.status for order in orders] == [
        OrderStatus.OPEN,
        OrderStatus.OPEN,
        OrderStatus.CANCELLED,
        OrderStatus.TRIGGERED,
    ]
    assert [order.live is not None for order in orders] == [True, True, False, False]
    assert orders[0].live.kind is OrderKind.TRAILING_STOP
    assert orders[3].became.order_id == "88937381063"
    assert binance(folder, "ws_trade_lite.json") == []


def test_bybits_messages(folder: Path) -> None:
    (position,) = bybit(folder, "ws_account_position.json")
    (fill,) = bybit(folder, "ws_account_execution.json")
    (filled,) = bybit(folder, "ws_account_order_filled.json")
    (stop,) = bybit(folder, "ws_account_order_stop_loss.json")
    (wallet,) = bybit(folder, "ws_account_wallet.json")
    assert isinstance(position, StreamPosition)
    assert (position.side, position.quantity, position.sequence) == (Side.SHORT, D("0.01"), 325852190774)
    assert isinstance(fill, StreamFill)
    assert (fill.fill.quantity, fill.fill.fee, fill.fill.closed_quantity) == (D("0.5"), D("26.3725275"), D("0.5"))
    assert isinstance(filled, StreamOrder)
    assert (filled.live, filled.record.status) == (None, OrderStatus.FILLED)
    assert isinstance(stop, StreamOrder)
    assert stop.live is not None
    assert (stop.live.order_id, stop.record.order_id) == ("attached:linear:BTCUSDT:0:stop", "test-stop-loss-001")
    assert wallet == StreamAccount(kind="wallet", at_ms=1700034722104)
