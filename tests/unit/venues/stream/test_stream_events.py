"""Messages as events: what each says, what it leaves unsaid, and what cannot be read."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from stream_inproc import START_MS, catalog_of

from trueup.model.errors import Unobserved
from trueup.model.instruments import InstrumentCatalog
from trueup.model.orders import FillKind, OrderKind, OrderList, OrderSide, OrderStatus, Side
from trueup.model.stream import (
    DownKind,
    MarkPrice,
    PriceEvent,
    StreamAccount,
    StreamDown,
    StreamEvent,
    StreamFill,
    StreamFunding,
    StreamOrder,
    StreamPosition,
    StreamUnreadable,
    StreamUp,
)
from trueup.model.values import from_json, to_json
from trueup.sim.world import ManualClock, World
from trueup.venues.binance.messages import decode_message
from trueup.venues.stream.binance_events import binance_events
from trueup.venues.stream.bybit_events import answer_of, bybit_events

D = Decimal
BTC = "BTC/USDT:USDT"
NOW_MS = START_MS + 5


@pytest.fixture(scope="module")
def world() -> World:
    return World(ManualClock(START_MS), 1)


@pytest.fixture(scope="module")
def binance(world: World) -> InstrumentCatalog:
    return catalog_of(world, "binance")


@pytest.fixture(scope="module")
def bybit(world: World) -> InstrumentCatalog:
    return catalog_of(world, "bybit")


def of_binance(message: dict[str, Any], catalog: InstrumentCatalog) -> list[StreamEvent]:
    return binance_events(decode_message(json.dumps(message)), catalog, NOW_MS)


def of_bybit(topic: str, catalog: InstrumentCatalog, *rows: dict[str, Any]) -> list[StreamEvent]:
    text = json.dumps({"id": "1", "topic": topic, "creationTime": START_MS + 2, "data": rows})
    return bybit_events(text, answer_of(text), catalog)


def account_update(*rows: dict[str, str], reason: str = "ORDER") -> dict[str, Any]:
    data = {"m": reason, "B": [{"a": "USDT", "wb": "1", "cw": "1", "bc": "0"}], "P": list(rows)}
    return {"e": "ACCOUNT_UPDATE", "E": START_MS + 1, "T": START_MS, "a": data}


def slot(symbol: str, amount: str, leg: str = "BOTH", entry: str = "100") -> dict[str, str]:
    return {"s": symbol, "pa": amount, "ep": entry if amount != "0" else "0", "cr": "0", "ps": leg}


def order_update(**fields: Any) -> dict[str, Any]:
    order = {
        "s": "BTCUSDT",
        "c": "mine",
        "S": "SELL",
        "o": "LIMIT",
        "ot": "LIMIT",
        "q": "2",
        "p": "101",
        "ap": "101",
        "sp": "0",
        "x": "TRADE",
        "X": "PARTIALLY_FILLED",
        "i": 11,
        "l": "0.5",
        "z": "0.5",
        "L": "101",
        "N": "BNB",
        "n": "0.001",
        "T": START_MS,
        "t": 77,
        "R": True,
        "wt": "CONTRACT_PRICE",
        "ps": "BOTH",
        "cp": False,
        "rp": "1.5",
        **fields,
    }
    return {"e": "ORDER_TRADE_UPDATE", "E": START_MS + 1, "T": START_MS, "o": order}


# Binance
def test_a_one_way_slot_speaks_for_both_sides(binance: InstrumentCatalog) -> None:
    flat, short = of_binance(account_update(slot("BTCUSDT", "0"), slot("ETHUSDT", "-2")), binance)
    assert isinstance(flat, StreamPosition)
    assert isinstance(short, StreamPosition)
    assert (flat.symbol, flat.leg, flat.side, flat.quantity, flat.entry_price, flat.report) == (
        BTC,
        None,
        None,
        0,
        None,
        None,
    )
    assert (flat.of(Side.LONG), flat.of(Side.SHORT), flat.hedge) == (0, 0, False)
    assert (short.of(Side.LONG), short.of(Side.SHORT), short.entry_price) == (0, 2, 100)
    assert (short.at_ms, short.told_ms, short.sequence) == (START_MS, START_MS + 1, None)
    assert short.report is not None
    assert (short.report.updated_at_ms, short.report.mark_price, short.report.leverage) == (START_MS, None, None)


def test_the_flat_one_way_slot_beside_hedge_legs_says_nothing_of_them(binance: InstrumentCatalog) -> None:
    rows = [slot("BTCUSDT", "0"), slot("BTCUSDT", "3", "LONG"), slot("BTCUSDT", "0", "SHORT"), slot("ETHUSDT", "0")]
    told = [event for event in of_binance(account_update(*rows), binance) if isinstance(event, StreamPosition)]
    assert [(p.symbol, p.leg, p.of(Side.LONG), p.of(Side.SHORT)) for p in told] == [
        (BTC, Side.LONG, D(3), None),
        (BTC, Side.SHORT, None, D(0)),
        ("ETH/USDT:USDT", None, D(0), D(0)),
    ]


def test_an_unreadable_row_leaves_the_others(binance: InstrumentCatalog) -> None:
    rows = [slot("BTCUSDT", "1", entry="0"), slot("NOSUCHUSDT", "1"), slot("ETHUSDT", "2")]
    no_price, unlisted, eth = of_binance(account_update(*rows), binance)
    assert isinstance(no_price, StreamUnreadable)
    assert isinstance(unlisted, StreamUnreadable)
    assert isinstance(eth, StreamPosition)
    assert (no_price.at_ms, no_price.symbol) == (NOW_MS, BTC)
    assert "positive price" in no_price.problem
    assert "NOSUCHUSDT is not in the venue's market list" in unlisted.problem


@pytest.mark.parametrize(
    "row",
    [
        {"s": "BTCUSDT", "ps": "BOTH"},
        slot("BTCUSDT", "many"),
        slot("BTCUSDT", "1", "SHORT"),
        slot("BTCUSDT", "1", "UP"),
    ],
)
def test_a_slot_without_a_size_that_can_be_read_spoils_the_message(row: dict[str, str]) -> None:
    with pytest.raises(Unobserved):
        decode_message(json.dumps(account_update(row)))


def test_a_fill_and_its_order_are_told_in_this_order(binance: InstrumentCatalog) -> None:
    fill, order = of_binance(order_update(), binance)
    assert isinstance(fill, StreamFill)
    assert isinstance(order, StreamOrder)
    assert (fill.fill.trade_id, fill.fill.quantity, fill.fill.price) == ("77", D("0.5"), D(101))
    assert (fill.fill.fee, fill.fill.fee_asset, fill.fill.realized_pnl) == (D("0.001"), "BNB", D("1.5"))
    assert order.live is not None
    assert (order.live.quantity, order.live.limit_price, order.live.reduce_only) == (D("1.5"), D(101), True)
    assert (order.live.order_list, order.live.kind, order.live.trigger_by) == (OrderList.REGULAR, OrderKind.LIMIT, None)
    assert (order.record.status, order.record.filled_quantity, order.symbol) == (OrderStatus.OPEN, D("0.5"), BTC)


def test_an_ended_order_is_not_live(binance: InstrumentCatalog) -> None:
    (order,) = of_binance(order_update(x="CANCELED", X="CANCELED", t=0, l="0", L="0"), binance)
    assert isinstance(order, StreamOrder)
    assert (order.live, order.record.status, order.child_order_id, order.became) == (
        None,
        OrderStatus.CANCELLED,
        None,
        None,
    )


def test_a_state_that_we_do_not_know_is_not_live(binance: InstrumentCatalog) -> None:
    (order,) = of_binance(order_update(x="NEW", X="PONDERING", t=0, l="0"), binance)
    assert isinstance(order, StreamOrder)
    assert (order.live, order.record.status) == (None, OrderStatus.UNKNOWN)


@pytest.mark.parametrize("lacking", [{"t": 0}, {"L": "0"}, {"l": "0"}])
@pytest.mark.parametrize("execution", ["TRADE", "CALCULATED"])
def test_a_fill_that_is_told_by_halves_is_not_dropped(
    binance: InstrumentCatalog, lacking: dict[str, Any], execution: str
) -> None:
    unreadable, order = of_binance(order_update(x=execution, **lacking), binance)
    assert isinstance(unreadable, StreamUnreadable)
    assert unreadable.symbol == BTC
    assert isinstance(order, StreamOrder)


@pytest.mark.parametrize(
    ("client_id", "kind", "maker"),
    [
        ("autoclose-17", FillKind.LIQUIDATION, "liquidation"),
        ("adl_autoclose", FillKind.ADL, "adl"),
        ("settlement_autoclose-17", FillKind.SETTLEMENT, "settlement"),
    ],
)
def test_the_venues_own_closes_are_named(
    binance: InstrumentCatalog, client_id: str, kind: FillKind, maker: str
) -> None:
    fill, order = of_binance(order_update(c=client_id, x="CALCULATED", X="FILLED"), binance)
    assert isinstance(fill, StreamFill)
    assert isinstance(order, StreamOrder)
    assert (fill.fill.kind, fill.fill.created_by, order.record.created_by) == (kind, maker, maker)


def test_a_triggered_conditional_names_what_it_became(binance: InstrumentCatalog) -> None:
    algo = {
        "caid": "our-stop",
        "aid": 900,
        "at": "CONDITIONAL",
        "o": "STOP_MARKET",
        "s": "BTCUSDT",
        "S": "SELL",
        "ps": "BOTH",
        "q": "0.5",
        "X": "TRIGGERED",
        "ai": "901",
        "ap": "0",
        "aq": "0",
        "tp": "95",
        "p": "0",
        "wt": "MARK_PRICE",
        "cp": True,
        "R": True,
        "tt": START_MS,
    }
    message = {"e": "ALGO_UPDATE", "E": START_MS + 1, "T": START_MS, "o": algo}
    (triggered,) = of_binance(message, binance)
    algo.update(X="NEW", ai="")
    (waiting,) = of_binance(message, binance)
    assert isinstance(triggered, StreamOrder)
    assert isinstance(waiting, StreamOrder)
    assert (triggered.live, triggered.record.status, triggered.child_order_id) == (None, OrderStatus.TRIGGERED, "901")
    became = triggered.became
    assert became is not None
    assert (became.order_id, became.parent_order_id, became.parent_client_order_id) == ("901", "900", "our-stop")
    assert (became.kind, became.created_by, became.trigger_price) == (OrderKind.STOP, "stop_loss", D(95))
    assert (became.status, became.client_order_id) == (OrderStatus.UNKNOWN, None)
    assert waiting.became is None
    assert waiting.live is not None
    assert (waiting.live.order_list, waiting.live.quantity, waiting.live.trigger_by) == (
        OrderList.CONDITIONAL,
        None,
        "mark",
    )
    assert waiting.live.closes(Side.LONG)


def test_the_early_fill_without_its_money_is_left_out(binance: InstrumentCatalog) -> None:
    lite = {"e": "TRADE_LITE", "E": START_MS, "T": START_MS, "s": "BTCUSDT", "q": "1", "p": "0", "S": "BUY", "L": "100"}
    assert of_binance(lite | {"l": "1", "t": 5, "i": 6, "m": False, "c": "x"}, binance) == []


@pytest.mark.parametrize("kind", ["MARGIN_CALL", "ACCOUNT_CONFIG_UPDATE", "SOMETHING_NEW"])
def test_other_kinds_are_told_by_their_name(binance: InstrumentCatalog, kind: str) -> None:
    assert of_binance({"e": kind, "E": START_MS}, binance) == [StreamAccount(kind=kind, at_ms=START_MS)]


def test_money_that_moves_beside_trading_is_told(binance: InstrumentCatalog) -> None:
    funding, leverage = (
        account_update(reason="FUNDING_FEE"),
        account_update(slot("BTCUSDT", "1"), reason="MARGIN_TYPE_CHANGE"),
    )
    del funding["a"]["P"]
    assert of_binance(funding, binance) == [StreamAccount(kind="FUNDING_FEE", at_ms=START_MS)]
    assert [type(event) for event in of_binance(leverage, binance)] == [StreamPosition, StreamAccount]
    assert of_binance(account_update(), binance) == []


# Bybit
def position_row(**fields: Any) -> dict[str, Any]:
    return {
        "category": "linear",
        "symbol": "BTCUSDT",
        "positionIdx": 0,
        "side": "Buy",
        "size": "0.5",
        "entryPrice": "60000",
        "stopLoss": "59000",
        "updatedTime": str(START_MS),
        "seq": 42,
        **fields,
    }


def test_bybits_slots(bybit: InstrumentCatalog) -> None:
    events = of_bybit(
        "position",
        bybit,
        position_row(),
        position_row(positionIdx=2, side="Sell", size="1", symbol="ETHUSDT"),
        position_row(symbol="SOLUSDT", side="", size="0", updatedTime="0", seq=-1),
        position_row(category="inverse", symbol="BTCUSD", size="100"),
    )
    told = [event for event in events if isinstance(event, StreamPosition)]
    assert [(p.symbol, p.leg, p.side, p.quantity, p.at_ms, p.sequence) for p in told] == [
        (BTC, None, Side.LONG, D("0.5"), START_MS, 42),
        ("ETH/USDT:USDT", Side.SHORT, Side.SHORT, D(1), START_MS, 42),
        ("SOL/USDT:USDT", None, None, D(0), None, None),
        ("BTC/USD:BTC", None, Side.LONG, D(100), START_MS, 42),
    ]
    assert {p.told_ms for p in told} == {START_MS + 2}
    assert told[0].report is not None
    assert (told[0].report.stop_loss, told[0].report.entry_price) == (D(59000), D(60000))


@pytest.mark.parametrize(
    "row",
    [
        position_row(size=""),
        position_row(side=""),
        position_row(symbol="NOSUCH"),
        position_row(positionIdx=1, side="Sell"),
        position_row(entryPrice="0"),
    ],
)
def test_a_bybit_row_that_cannot_be_read_spoils_its_message(bybit: InstrumentCatalog, row: dict[str, Any]) -> None:
    with pytest.raises(Unobserved):
        of_bybit("position", bybit, row, position_row())


def order_row(**fields: Any) -> dict[str, Any]:
    return {
        "category": "linear",
        "symbol": "BTCUSDT",
        "orderId": "o-1",
        "orderLinkId": "",
        "side": "Sell",
        "orderType": "Market",
        "orderStatus": "Untriggered",
        "stopOrderType": "StopLoss",
        "tpslMode": "Full",
        "positionIdx": 0,
        "qty": "0",
        "leavesQty": "0",
        "cumExecQty": "0",
        "triggerPrice": "59000",
        "triggerBy": "MarkPrice",
        "triggerDirection": 2,
        "reduceOnly": True,
        "closeOnTrigger": True,
        "createType": "CreateByStopLoss",
        "createdTime": str(START_MS),
        "updatedTime": str(START_MS),
        **fields,
    }


def test_bybits_attached_stop_bears_both_ids(bybit: InstrumentCatalog) -> None:
    (placed,) = of_bybit("order", bybit, order_row())
    (gone,) = of_bybit("order", bybit, order_row(orderStatus="Deactivated"))
    assert isinstance(placed, StreamOrder)
    assert isinstance(gone, StreamOrder)
    own = "attached:linear:BTCUSDT:0:stop"
    assert placed.live is not None
    assert (placed.attached_id, placed.live.order_id, placed.record.order_id) == (own, own, "o-1")
    assert (placed.live.order_list, placed.live.quantity, placed.live.trigger_price) == (
        OrderList.ATTACHED,
        None,
        D(59000),
    )
    assert placed.live.closes(Side.LONG)
    assert (gone.attached_id, gone.live, gone.record.status) == (own, None, OrderStatus.CANCELLED)


def test_a_partial_stop_and_a_plain_one_have_no_such_id(bybit: InstrumentCatalog) -> None:
    partial, plain = of_bybit(
        "order",
        bybit,
        order_row(tpslMode="Partial", stopOrderType="PartialStopLoss", qty="0.1"),
        order_row(stopOrderType="Stop", tpslMode="", qty="0.1", createType="CreateByUser"),
    )
    for event in (partial, plain):
        assert isinstance(event, StreamOrder)
        assert event.live is not None
        assert (event.attached_id, event.live.order_list, event.live.quantity) == (
            None,
            OrderList.CONDITIONAL,
            D("0.1"),
        )
        assert (event.live.kind, event.record.created_by) == (OrderKind.STOP, "stop_loss")


def test_bybit_rows_of_other_markets_are_none_of_ours(bybit: InstrumentCatalog) -> None:
    for category in ("spot", "option"):
        assert of_bybit("order", bybit, order_row(category=category, symbol="BTCUSDC")) == []
        assert of_bybit("position", bybit, position_row(category=category, symbol="BTC-OPT")) == []
    with pytest.raises(Unobserved, match="listed contract"):
        of_bybit("order", bybit, order_row(symbol="NOSUCH"))


def execution_row(**fields: Any) -> dict[str, Any]:
    return {
        "category": "linear",
        "symbol": "BTCUSDT",
        "execId": "e-1",
        "execType": "Trade",
        "side": "Buy",
        "orderId": "o-1",
        "execPrice": "60000",
        "execQty": "0.5",
        "execValue": "30000",
        "execFee": "16.5",
        "execTime": str(START_MS),
        "seq": 43,
        **fields,
    }


def test_bybits_executions_by_type(bybit: InstrumentCatalog) -> None:
    events = of_bybit(
        "execution",
        bybit,
        execution_row(),
        execution_row(execId="e-2", execType="BustTrade"),
        execution_row(execId="e-3", execType="AdlTrade"),
        execution_row(execId="e-4", execType="Funding", execFee="0.25"),
    )
    fills = [event.fill for event in events if isinstance(event, StreamFill)]
    assert [(f.trade_id, f.kind, f.sequence) for f in fills] == [
        ("e-1", FillKind.TRADE, 43),
        ("e-2", FillKind.LIQUIDATION, 43),
        ("e-3", FillKind.ADL, 43),
    ]
    assert fills[0].order_side is OrderSide.BUY
    (paid,) = [event.payment for event in events if isinstance(event, StreamFunding)]
    assert (paid.amount, paid.asset) == (D("-0.25"), "USDT")
    with pytest.raises(Unobserved, match="execution type"):
        of_bybit("execution", bybit, execution_row(execType="Gift"))


def test_bybits_other_topics_are_told_by_their_name(bybit: InstrumentCatalog) -> None:
    wallet = {"coin": [{"coin": "USDT", "equity": "1", "walletBalance": "1"}], "totalEquity": "1"}
    assert of_bybit("wallet", bybit, wallet) == [StreamAccount(kind="wallet", at_ms=START_MS + 2)]
    assert of_bybit("greeks", bybit) == [StreamAccount(kind="greeks", at_ms=None)]


# values
def test_events_are_kept_as_json_and_read_back(binance: InstrumentCatalog, bybit: InstrumentCatalog) -> None:
    events: list[Any] = [
        StreamUp(at_ms=1),
        StreamDown(at_ms=2, kind=DownKind.SILENT, why="no answer", proven_ms=1),
        StreamUnreadable(at_ms=3, problem="?", symbol=BTC),
        *of_binance(account_update(slot("BTCUSDT", "0.10"), slot("ETHUSDT", "0")), binance),
        *of_binance(order_update(), binance),
        *of_bybit("position", bybit, position_row()),
        *of_bybit("execution", bybit, execution_row(execType="Funding")),
        *of_bybit("order", bybit, order_row()),
        StreamAccount(kind="wallet", at_ms=None),
    ]
    for event in events:
        assert from_json(to_json(event), StreamEvent) == event  # type: ignore[arg-type]
    price = MarkPrice(symbol=BTC, price=D("60000.10"), at_ms=1)
    assert from_json(to_json(price), PriceEvent) == price  # type: ignore[arg-type]
