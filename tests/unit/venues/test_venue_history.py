"""Fills, funding and closed PnL of both adapters: windows, pages, order, and what is no fill."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from venue_loopback import HTML, NOW_MS, Loopback, Reply, Seen, reply
from venue_payloads import bybit_answer

from trueup.model.errors import Unobserved
from trueup.model.orders import FillKind, OrderKind, OrderSide, Side
from trueup.model.times import DAY_MS
from trueup.venues.binance.adapter import BinanceVenue
from trueup.venues.bybit.adapter import BybitVenue

TRADES, INCOME = "/fapi/v1/userTrades", "/fapi/v1/income"
EXECUTIONS, CLOSED = "/v5/execution/list", "/v5/position/closed-pnl"
WEEK_MS = 7 * DAY_MS
BTC = "BTC/USDT:USDT"


def trade(trade_id: int, at_ms: int, **changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "id": trade_id,
        "orderId": 900 + trade_id,
        "side": "SELL",
        "price": "57990.10",
        "qty": "0.010",
        "realizedPnl": "-20.09900000",
        "quoteQty": "579.90100",
        "commission": "0.00012000",
        "commissionAsset": "BNB",
        "time": at_ms,
        "positionSide": "BOTH",
        "buyer": False,
        "maker": False,
        **changes,
    }


def trades_of(rows: list[dict[str, Any]]) -> Any:
    """As the venue answers: a window of at most seven days or an id to begin at, the oldest first, 1000 at most."""

    def answer(seen: Seen) -> Reply:
        limit = int(seen.params["limit"])
        if "fromId" in seen.params:
            assert "startTime" not in seen.params
            found = [row for row in rows if row["id"] >= int(seen.params["fromId"])]
        else:
            start, end = int(seen.params["startTime"]), int(seen.params["endTime"])
            assert end - start < WEEK_MS
            found = [row for row in rows if start <= row["time"] <= end]
        return reply(sorted(found, key=lambda row: row["id"])[:limit])

    return answer


# Binance


async def test_binance_fills_carry_the_venues_digits(binance: BinanceVenue, server: Loopback) -> None:
    server.on(TRADES, trades_of([trade(1, NOW_MS - 50, positionSide="LONG")]))
    history = await binance.fills(BTC, NOW_MS - 1000)
    (fill,) = history.fills
    assert (fill.trade_id, fill.order_id, fill.order_side, fill.position_side) == (
        "1",
        "901",
        OrderSide.SELL,
        Side.LONG,
    )
    assert [str(one) for one in (fill.quantity, fill.price, fill.value, fill.fee, fill.realized_pnl)] == [
        "0.010",
        "57990.10",
        "579.90100",
        "0.00012000",
        "-20.09900000",
    ]
    assert (fill.fee_asset, fill.kind, fill.at_ms, fill.sequence) == ("BNB", FillKind.TRADE, NOW_MS - 50, 1)
    assert history.since_ms == NOW_MS - 1000
    assert NOW_MS - 10 <= history.until_ms <= NOW_MS
    assert history.reach_ms < NOW_MS - 170 * DAY_MS


async def test_binance_windows_tile_the_time_asked(binance: BinanceVenue, server: Loopback) -> None:
    rows = [trade(number, NOW_MS - 30 * DAY_MS + number * DAY_MS) for number in range(1, 30)]
    server.on(TRADES, trades_of(rows))
    history = await binance.fills(BTC, NOW_MS - 30 * DAY_MS)
    assert [fill.trade_id for fill in history.fills] == [str(row["id"]) for row in rows]
    asked = [(int(one.params["startTime"]), int(one.params["endTime"])) for one in server.asked(TRADES)]
    assert asked[0][0] == NOW_MS - 30 * DAY_MS
    assert all(later[0] == earlier[1] + 1 for earlier, later in itertools.pairwise(asked))
    assert asked[-1][1] >= NOW_MS


async def test_binance_a_full_page_is_continued_by_id(binance: BinanceVenue, server: Loopback) -> None:
    rows = [trade(number, NOW_MS - 5000 + number) for number in range(2_500)]
    server.on(TRADES, trades_of(rows))
    history = await binance.fills(BTC, NOW_MS - WEEK_MS + DAY_MS)
    assert [int(fill.trade_id) for fill in history.fills] == list(range(2_500))


async def test_binance_both_sides_of_a_trade_with_oneself_are_fills(binance: BinanceVenue, server: Loopback) -> None:
    """Two of one account's orders met: one trade id, two orders; the second of them begins the next page."""
    rows = [trade(number, NOW_MS - 5000 + number) for number in range(1_000)]
    rows.append(trade(999, NOW_MS - 4001, orderId=1, side="BUY"))
    server.on(TRADES, trades_of(rows))
    history = await binance.fills(BTC, NOW_MS - DAY_MS)
    assert [(fill.trade_id, fill.order_id) for fill in history.fills[-2:]] == [("999", "1899"), ("999", "1")]
    assert len(history.fills) == 1_001


async def test_binance_asks_no_farther_than_the_venue_reaches(binance: BinanceVenue, server: Loopback) -> None:
    server.on(TRADES, trades_of([]))
    history = await binance.fills(BTC, 0)
    assert history.since_ms == history.reach_ms == int(server.asked(TRADES)[0].params["startTime"])


async def test_binance_fills_are_sorted_by_time_then_id(binance: BinanceVenue, server: Loopback) -> None:
    server.on(TRADES, reply([trade(3, NOW_MS - 9), trade(2, NOW_MS - 9), trade(1, NOW_MS - 5)]))
    assert [fill.trade_id for fill in (await binance.fills(BTC, NOW_MS - 10)).fills] == ["2", "3", "1"]


@pytest.mark.parametrize("field", ["qty", "price", "time", "side", "id", "orderId"])
async def test_binance_an_unreadable_fill_spoils_the_history(
    binance: BinanceVenue, server: Loopback, field: str
) -> None:
    server.on(TRADES, reply([trade(1, NOW_MS - 5), trade(2, NOW_MS - 4, **{field: ""})]))
    with pytest.raises(Unobserved):
        await binance.fills(BTC, NOW_MS - 10)


async def test_binance_a_window_that_fails_spoils_the_history(binance: BinanceVenue, server: Loopback) -> None:
    server.on(TRADES, reply([]), HTML, reply([]))
    with pytest.raises(Unobserved):
        await binance.fills(BTC, NOW_MS - 20 * DAY_MS)


def income(number: int, at_ms: int, amount: str = "-0.12345678", **changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "incomeType": "FUNDING_FEE",
        "income": amount,
        "asset": "USDT",
        "info": "FUNDING_FEE",
        "time": at_ms,
        "tranId": number,
        "tradeId": "",
        **changes,
    }


async def test_binance_funding(binance: BinanceVenue, server: Loopback) -> None:
    server.on(INCOME, reply([income(2, NOW_MS - 1, "0.5"), income(1, NOW_MS - 2), income(1, NOW_MS - 2)]))
    first, second = (await binance.funding(BTC, NOW_MS - 100)).payments
    assert (str(first.amount), first.asset, first.side) == ("-0.12345678", "USDT", None)
    assert second.amount == Decimal("0.5")
    assert server.asked(INCOME)[0].params["incomeType"] == "FUNDING_FEE"


async def test_binance_a_full_page_of_funding_is_continued(binance: BinanceVenue, server: Loopback) -> None:
    rows = [income(number, NOW_MS - 5000 + number // 2) for number in range(1_500)]

    def answer(seen: Seen) -> Reply:
        start, end = int(seen.params["startTime"]), int(seen.params["endTime"])
        return reply([row for row in rows if start <= row["time"] <= end][:1000])

    server.on(INCOME, answer)
    payments = (await binance.funding(BTC, NOW_MS - DAY_MS)).payments
    assert [int(one.payment_id) for one in payments] == list(range(1_500))


async def test_binance_keeps_no_closed_pnl(binance: BinanceVenue) -> None:
    assert await binance.closed_pnl(BTC, 0) is None


# Bybit


def execution(name: str, at_ms: int, **changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "orderId": f"order-{name}",
        "orderLinkId": "",
        "side": "Sell",
        "orderType": "Market",
        "stopOrderType": "UNKNOWN",
        "createType": "CreateByUser",
        "execFee": "0.3189",
        "execId": name,
        "execPrice": "57990.10",
        "execQty": "0.010",
        "execType": "Trade",
        "execValue": "579.901",
        "execTime": str(at_ms),
        "feeCurrency": "",
        "isMaker": False,
        "closedSize": "0.010",
        "seq": 10,
        **changes,
    }


def executions_of(rows: list[dict[str, Any]], page: int = 2) -> Any:
    """As the venue answers: windows of at most seven days, the newest first, a cursor while there is more."""

    def answer(seen: Seen) -> Reply:
        start, end = int(seen.params["startTime"]), int(seen.params["endTime"])
        assert end - start < WEEK_MS
        found = [row for row in rows if start <= int(row["execTime"]) <= end]
        found.sort(key=lambda row: (int(row["execTime"]), row["seq"]), reverse=True)
        begin = int(seen.params.get("cursor", "0"))
        shown = found[begin : begin + page]
        return reply(bybit_answer(shown, str(begin + page) if shown else "", "linear"))

    return answer


async def test_bybit_fills_of_all_windows_and_pages(bybit: BybitVenue, server: Loopback) -> None:
    rows = [execution(f"e{number:02}", NOW_MS - 20 * DAY_MS + number * DAY_MS, seq=number) for number in range(20)]
    server.on(EXECUTIONS, executions_of(rows))
    history = await bybit.fills(BTC, NOW_MS - 21 * DAY_MS)
    assert [fill.trade_id for fill in history.fills] == [row["execId"] for row in rows]
    (fill, *_) = history.fills
    assert [str(one) for one in (fill.quantity, fill.price, fill.value, fill.fee, fill.closed_quantity)] == [
        "0.010",
        "57990.10",
        "579.901",
        "0.3189",
        "0.010",
    ]
    assert (fill.fee_asset, fill.created_by, fill.order_kind, fill.realized_pnl) == (
        "USDT",
        "user",
        OrderKind.MARKET,
        None,
    )
    assert "execType" not in server.asked(EXECUTIONS)[0].params


async def test_bybit_one_instant_keeps_the_venues_order(bybit: BybitVenue, server: Loopback) -> None:
    rows = [execution(name, NOW_MS - 5, seq=seq) for name, seq in (("d", 12), ("c", 11), ("b", 10), ("a", 10))]
    server.on(EXECUTIONS, reply(bybit_answer(rows)))
    assert [fill.trade_id for fill in (await bybit.fills(BTC, NOW_MS - 10)).fills] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("exec_type", "kind", "maker"),
    [
        ("Trade", FillKind.TRADE, "user"),
        ("BlockTrade", FillKind.TRADE, "user"),
        ("AdlTrade", FillKind.ADL, "adl"),
        ("BustTrade", FillKind.LIQUIDATION, "liquidation"),
        ("Delivery", FillKind.SETTLEMENT, "settlement"),
        ("Settle", FillKind.SETTLEMENT, "settlement"),
    ],
)
async def test_bybit_every_execution_type(
    bybit: BybitVenue, server: Loopback, exec_type: str, kind: FillKind, maker: str
) -> None:
    server.on(EXECUTIONS, reply(bybit_answer([execution("e", NOW_MS - 5, execType=exec_type)])))
    (fill,) = (await bybit.fills(BTC, NOW_MS - 10)).fills
    assert (fill.kind, fill.created_by) == (kind, maker)


async def test_bybit_funding_is_money_and_no_fill(bybit: BybitVenue, server: Loopback) -> None:
    rows = [
        execution("f", NOW_MS - 4, execType="Funding", execFee="0.25", side="Buy"),
        execution("g", NOW_MS - 3, execType="Funding", execFee="-0.10", side="Sell"),
        execution("t", NOW_MS - 5),
    ]
    server.on(EXECUTIONS, reply(bybit_answer(rows)))
    assert [fill.trade_id for fill in (await bybit.fills(BTC, NOW_MS - 10)).fills] == ["t"]
    paid, received = (await bybit.funding(BTC, NOW_MS - 10)).payments
    assert (str(paid.amount), paid.side, paid.asset) == ("-0.25", Side.LONG, "USDT")
    assert (str(received.amount), received.side) == ("0.10", Side.SHORT)
    assert server.asked(EXECUTIONS)[-1].params["execType"] == "Funding"


async def test_bybit_an_unknown_execution_type_spoils_the_history(bybit: BybitVenue, server: Loopback) -> None:
    server.on(EXECUTIONS, reply(bybit_answer([execution("e", NOW_MS - 5, execType="Merger")])))
    with pytest.raises(Unobserved, match="execType"):
        await bybit.fills(BTC, NOW_MS - 10)


@pytest.mark.parametrize(
    ("create_type", "stop_type", "kind", "maker"),
    [
        ("CreateByStopLoss", "StopLoss", OrderKind.STOP, "stop_loss"),
        ("CreateByPartialStopLoss", "PartialStopLoss", OrderKind.STOP, "stop_loss"),
        ("CreateByTakeProfit", "TakeProfit", OrderKind.TAKE_PROFIT, "take_profit"),
        ("CreateByTrailingStop", "TrailingStop", OrderKind.TRAILING_STOP, "trailing_stop"),
        ("CreateByStopOrder", "Stop", None, None),
        ("CreateByClosing", "", OrderKind.MARKET, "user"),
    ],
)
async def test_bybit_fills_say_what_order_made_them(
    bybit: BybitVenue, server: Loopback, create_type: str, stop_type: str, kind: OrderKind | None, maker: str | None
) -> None:
    row = execution("e", NOW_MS - 5, createType=create_type, stopOrderType=stop_type)
    server.on(EXECUTIONS, reply(bybit_answer([row])))
    (fill,) = (await bybit.fills(BTC, NOW_MS - 10)).fills
    assert (fill.order_kind, fill.created_by) == (kind, maker)


async def test_bybit_inverse_is_asked_in_its_category(bybit: BybitVenue, server: Loopback) -> None:
    row = execution("e", NOW_MS - 5, symbol="BTCUSD", execQty="100", execValue="0.00172", execFee="0.000001")
    server.on(EXECUTIONS, reply(bybit_answer([row], category="inverse")))
    (fill,) = (await bybit.fills("BTC/USD:BTC", NOW_MS - 10)).fills
    assert (fill.fee_asset, str(fill.fee)) == ("BTC", "0.000001")
    assert server.asked(EXECUTIONS)[0].params["category"] == "inverse"


async def test_bybit_a_page_that_fails_spoils_the_history(bybit: BybitVenue, server: Loopback) -> None:
    server.on(EXECUTIONS, reply(bybit_answer([execution("e", NOW_MS - 5)], "next")), HTML)
    with pytest.raises(Unobserved, match="page 2"):
        await bybit.fills(BTC, NOW_MS - 10)


def closed(order_id: str, at_ms: int, **changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "orderId": order_id,
        "side": "Sell",
        "qty": "0.010",
        "orderPrice": "55090.60",
        "orderType": "Market",
        "execType": "Trade",
        "closedSize": "0.010",
        "cumEntryValue": "600",
        "avgEntryPrice": "60000",
        "cumExitValue": "579.901",
        "avgExitPrice": "57990.1",
        "closedPnl": "-20.747945",
        "fillCount": "1",
        "leverage": "10",
        "openFee": "0.33",
        "closeFee": "0.318946",
        "createdTime": str(at_ms),
        "updatedTime": str(at_ms),
        **changes,
    }


async def test_bybit_closed_pnl_bears_the_side_of_the_position(bybit: BybitVenue, server: Loopback) -> None:
    liquidated = closed("b", NOW_MS - 4, side="Buy", execType="BustTrade")
    server.on(CLOSED, reply(bybit_answer([liquidated, closed("a", NOW_MS - 5)])))
    history = await bybit.closed_pnl(BTC, NOW_MS - 10)
    assert history is not None
    long, short = history.records
    assert (long.order_id, long.side, str(long.net_pnl), long.created_by) == ("a", Side.LONG, "-20.747945", None)
    assert (str(long.entry_value), str(long.exit_value)) == ("600", "579.901")
    assert (str(long.open_fee), str(long.close_fee)) == ("0.33", "0.318946")
    assert (short.side, short.created_by) == (Side.SHORT, "liquidation")
