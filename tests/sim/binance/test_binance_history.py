"""Fills and money, as far back as they are shown."""

from __future__ import annotations

from decimal import Decimal

import pytest
from binance_client import START_MS, Client, make_client

from trueup.sim.world import World

TRADES = "/fapi/v1/userTrades"
INCOME = "/fapi/v1/income"
DAY_MS = 86_400_000


@pytest.fixture
def days(world: World, client: Client) -> list[int]:
    """One fill every three days, twelve days long; their ids."""
    for _ in range(5):
        client.order(quantity="0.001")
        world.advance(3 * DAY_MS)
    return [fill.fill_id for fill in world.look("main").fills()]


def trades(client: Client, **params: object) -> list[int]:
    return [row["id"] for row in client.get(TRADES, symbol="BTCUSDT", **params)]


def test_fills_have_exact_amounts(world: World, client: Client) -> None:
    client.order(quantity="0.010")
    world.set_price("BTCUSDT", "60123.4", venue="binance")
    client.order(side="SELL", quantity="0.010", reduceOnly="true")
    opening, closing = client.get(TRADES, symbol="BTCUSDT")
    assert (opening["side"], opening["realizedPnl"], opening["commission"]) == ("BUY", "0", "0.30000000")
    assert (closing["price"], closing["quoteQty"], closing["realizedPnl"]) == ("60123.4", "601.23400", "1.23400000")
    assert (closing["buyer"], closing["maker"], closing["commission"]) == (False, False, "0.30061700")


def test_commission_may_be_in_another_asset(world: World) -> None:
    client = make_client(world, fee_asset="BNB", fee_asset_price="500", balances={"USDT": 1000, "BNB": 1})
    client.order(quantity="0.010")
    (row,) = client.get(TRADES, symbol="BTCUSDT")
    assert (row["commissionAsset"], row["commission"], row["marginAsset"]) == ("BNB", "0.00060000", "USDT")


def test_the_symbol_is_mandatory(client: Client) -> None:
    assert client.call("GET", TRADES).code == -1102


def test_windows_of_fills(world: World, client: Client, days: list[int]) -> None:
    assert trades(client) == days[3:]
    assert trades(client, startTime=START_MS) == days[:3]
    assert trades(client, startTime=START_MS, limit=2) == days[:2]
    assert trades(client, endTime=START_MS + 6 * DAY_MS) == days[:3]
    assert trades(client, endTime=START_MS + 6 * DAY_MS, limit=1) == [days[2]]
    assert trades(client, startTime=START_MS + DAY_MS, endTime=START_MS + 8 * DAY_MS) == days[1:3]
    assert trades(client, fromId=days[2]) == days[2:]
    assert trades(client, fromId=days[1], limit=2) == days[1:3]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"startTime": START_MS, "endTime": START_MS + 7 * DAY_MS + 1}, -4165),
        ({"startTime": START_MS, "endTime": START_MS - 1}, -1023),
        ({"fromId": 1, "startTime": START_MS}, -1128),
        ({"limit": "many"}, -1100),
        ({"limit": 0}, -1130),
        ({"startTime": "yesterday"}, -1100),
    ],
)
def test_windows_that_are_refused(client: Client, params: dict, code: int) -> None:
    assert client.call("GET", TRADES, symbol="BTCUSDT", **params).code == code


def test_fills_of_an_order(client: Client, days: list[int]) -> None:
    order_id = client.get(TRADES, symbol="BTCUSDT", fromId=days[4])[0]["orderId"]
    assert trades(client, orderId=order_id) == [days[4]]


def test_fills_older_than_half_a_year_are_gone(world: World, client: Client, days: list[int]) -> None:
    world.advance(172 * DAY_MS)
    assert trades(client, fromId=1) == days[2:]


def test_income_names_its_kinds(world: World, client: Client) -> None:
    client.order(quantity="0.100")
    world.fund("BTCUSDT", venue="binance")
    world.set_price("BTCUSDT", "61000", venue="binance")
    client.order(side="SELL", quantity="0.100")
    rows = client.get(INCOME)
    assert [row["incomeType"] for row in rows] == [
        "TRANSFER",
        "TRANSFER",
        "COMMISSION",
        "FUNDING_FEE",
        "REALIZED_PNL",
        "COMMISSION",
    ]
    funding = rows[3]
    assert (funding["income"], funding["asset"], funding["tradeId"]) == ("-0.60000000", "USDT", "")
    pnl = client.get(INCOME, symbol="BTCUSDT", incomeType="REALIZED_PNL")
    assert [(row["income"], row["tradeId"] != "") for row in pnl] == [("100.00000000", True)]
    wallet = client.get("/fapi/v2/balance")[0]["balance"]
    assert sum(Decimal(row["income"]) for row in rows if row["asset"] == "USDT") == Decimal(wallet)
    assert client.call("GET", INCOME, incomeType="LUCK").code == -1130


def test_windows_of_income(world: World, client: Client) -> None:
    for _ in range(4):
        world.transfer("main", "USDT", "1")
        world.advance(3 * DAY_MS)
    assert len(client.get(INCOME)) == 2
    since = client.get(INCOME, startTime=START_MS)
    assert len(since) == 6
    assert client.get(INCOME, startTime=START_MS, limit=2) == since[:2]
    assert client.get(INCOME, startTime=START_MS, limit=4, page=2) == since[4:]
    assert len(client.get(INCOME, startTime=START_MS, endTime=START_MS + 4 * DAY_MS)) == 4


def test_liquidation_adl_and_settlement_are_fills(world: World, client: Client) -> None:
    client.order()
    world.liquidate("main", "BTCUSDT")
    client.order()
    world.auto_deleverage("main", "BTCUSDT")
    rows = client.get(TRADES, symbol="BTCUSDT")
    assert [row["side"] for row in rows] == ["BUY", "SELL", "BUY", "SELL"]
    dated = next(spec.symbol for spec in world.instruments("binance") if spec.expiry_ms is not None)
    client.order(symbol=dated)
    world.settle(dated, "61000")
    settlement = client.get(TRADES, symbol=dated)[-1]
    order = client.get("/fapi/v1/order", symbol=dated, orderId=settlement["orderId"])
    assert order["clientOrderId"].startswith("settlement_autoclose-")
