"""Positions, balances, settings."""

from __future__ import annotations

from decimal import Decimal

from binance_client import Client, make_client

from trueup.sim.world import World
from trueup.sim.world.types import PositionMode

RISK = "/fapi/v3/positionRisk"


def test_v3_shows_positions_and_symbols_with_open_orders_alone(client: Client) -> None:
    assert client.get(RISK) == []
    client.order(type="LIMIT", timeInForce="GTC", price="2000", symbol="ETHUSDT", quantity="0.100")
    (waiting,) = client.get(RISK)
    assert (waiting["symbol"], waiting["positionAmt"], waiting["entryPrice"]) == ("ETHUSDT", "0.000", "0.0")
    assert (waiting["openOrderInitialMargin"], waiting["bidNotional"]) == ("10.00000000", "200.00000000")
    client.order()
    assert [row["symbol"] for row in client.get(RISK, symbol="BTCUSDT")] == ["BTCUSDT"]
    client.call("DELETE", "/fapi/v1/allOpenOrders", symbol="ETHUSDT")
    assert [row["symbol"] for row in client.get(RISK)] == ["BTCUSDT"]


def test_a_closed_position_is_gone_from_v3_and_zero_in_v2(world: World, client: Client) -> None:
    client.order()
    world.advance(1_000)
    world.close_position("main", "BTCUSDT")
    assert client.get(RISK) == []
    (row,) = client.get("/fapi/v2/positionRisk", symbol="BTCUSDT")
    assert (row["positionAmt"], row["notional"], row["updateTime"]) == ("0.000", "0", world.now_ms())


def test_a_position_at_another_price(world: World, client: Client) -> None:
    client.order(side="SELL", quantity="0.500")
    world.set_price("BTCUSDT", "60500", mark="60400.5", venue="binance")
    (row,) = client.get(RISK)
    assert (row["positionAmt"], row["entryPrice"], row["markPrice"]) == ("-0.500", "60000.0", "60400.50000000")
    assert (row["unRealizedProfit"], row["notional"]) == ("-200.25000000", "-30200.25000000")
    assert Decimal(row["liquidationPrice"]) > 60400
    assert row["marginAsset"] == "USDT"


def test_entry_prices_keep_their_exact_text(client: Client) -> None:
    client.order(quantity="0.010")
    client.wire.world.set_price("BTCUSDT", "60000.1", venue="binance")
    client.order(quantity="0.020")
    (row,) = client.get(RISK)
    assert row["entryPrice"] == "60000.066666667"


def test_both_legs_of_a_hedge(world: World) -> None:
    client = make_client(world, mode=PositionMode.HEDGE)
    client.order(positionSide="LONG", quantity="0.030")
    client.order(positionSide="SHORT", side="SELL", quantity="0.020")
    rows = {row["positionSide"]: row["positionAmt"] for row in client.get(RISK)}
    assert rows == {"LONG": "0.030", "SHORT": "-0.020"}
    assert [row["positionSide"] for row in client.get("/fapi/v2/positionRisk", symbol="BTCUSDT")] == ["LONG", "SHORT"]
    assert client.get("/fapi/v1/positionSide/dual") == {"dualSidePosition": True}


def test_the_perpetual_and_the_dated_contract_stay_apart(world: World, client: Client) -> None:
    dated = next(spec.symbol for spec in world.instruments("binance") if spec.expiry_ms is not None)
    client.order(quantity="0.010")
    client.order(symbol=dated, side="SELL", quantity="0.020")
    client.order(symbol="BTCUSDC", quantity="0.030")
    amounts = {row["symbol"]: (row["positionAmt"], row["marginAsset"]) for row in client.get(RISK)}
    assert amounts == {"BTCUSDT": ("0.010", "USDT"), dated: ("-0.020", "USDT"), "BTCUSDC": ("0.030", "USDC")}


def test_the_account_agrees_with_the_positions(client: Client) -> None:
    client.order(quantity="0.100")
    client.order(symbol="BTCUSDC", quantity="0.100")
    account = client.get("/fapi/v3/account")
    assert {row["symbol"] for row in account["positions"]} == {"BTCUSDT", "BTCUSDC"}
    assert account["totalPositionInitialMargin"] == "300.00000000"
    usdt, usdc = account["assets"][:2]
    assert (usdt["asset"], usdt["walletBalance"], usdc["positionInitialMargin"]) == (
        "USDT",
        "99997.00000000",
        "300.00000000",
    )
    v2 = client.get("/fapi/v2/account")
    open_rows = [row for row in v2["positions"] if Decimal(row["positionAmt"])]
    assert {row["symbol"] for row in open_rows} == {"BTCUSDT", "BTCUSDC"}
    assert len(v2["positions"]) == len(client.public("/fapi/v1/exchangeInfo").body["symbols"])


def test_balances_name_the_account(world: World) -> None:
    client = make_client(world, alias="SgsR", fee_asset="BNB", fee_asset_price="500", balances={"USDT": 10, "BNB": 1})
    for version in (2, 3):
        rows = {row["asset"]: row for row in client.get(f"/fapi/v{version}/balance")}
        assert {row["accountAlias"] for row in rows.values()} == {"SgsR"}
        assert (rows["USDT"]["balance"], rows["BNB"]["balance"]) == ("10.00000000", "1.00000000")
    assert rows["USDC"]["updateTime"] == 0
    assert client.get("/fapi/v1/feeBurn") == {"feeBurn": True}


def test_the_position_mode_changes_only_while_nothing_is_open(client: Client) -> None:
    dual = "/fapi/v1/positionSide/dual"
    assert client.call("POST", dual).code == -1102
    assert client.call("POST", dual, dualSidePosition="false").code == -4059
    order = client.order(type="LIMIT", timeInForce="GTC", price="50000").body
    assert client.call("POST", dual, dualSidePosition="true").code == -4067
    client.call("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])
    client.order()
    assert client.call("POST", dual, dualSidePosition="true").code == -4068
    client.order(side="SELL", reduceOnly="true")
    assert client.call("POST", dual, dualSidePosition="true").body == {"code": 200, "msg": "success"}


def test_leverage(client: Client) -> None:
    path = "/fapi/v1/leverage"
    assert client.call("POST", path, symbol="BTCUSDT", leverage=7).body["leverage"] == 7
    assert client.call("POST", path, symbol="BTCUSDT", leverage=126).code == -4028
    assert client.call("POST", path, symbol="BTCUSDT", leverage="x").code == -1100
    (row,) = client.get("/fapi/v1/symbolConfig", symbol="BTCUSDT")
    assert (row["leverage"], row["marginType"]) == (7, "CROSSED")


def test_margin_type_and_isolated_margin(client: Client) -> None:
    path = "/fapi/v1/marginType"
    assert client.call("POST", path, symbol="BTCUSDT", marginType="CROSSED").code == -4046
    assert client.call("POST", path, symbol="BTCUSDT", marginType="SOLO").code == -1130
    assert client.call("POST", path, symbol="BTCUSDT", marginType="ISOLATED").body["code"] == 200
    client.order()
    assert client.call("POST", path, symbol="BTCUSDT", marginType="CROSSED").code == -4048
    assert client.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=5).code == -4161
    (row,) = client.get("/fapi/v3/positionRisk")
    assert (row["isolatedWallet"], row["isolatedMargin"]) == ("30.00000000", "30.00000000")
    margin = "/fapi/v1/positionMargin"
    added = client.call("POST", margin, symbol="BTCUSDT", amount="12.5", type=1)
    assert added.body == {"amount": 12.5, "code": 200, "msg": "Successfully modify position margin.", "type": 1}
    (row,) = client.get("/fapi/v3/positionRisk")
    assert row["isolatedWallet"] == "42.50000000"
    assert client.call("POST", margin, symbol="BTCUSDT", amount="100", type=2).code == -4051
    assert client.call("POST", margin, symbol="BTCUSDT", amount="0", type=2).code == -4055
    assert client.call("POST", margin, symbol="BTCUSDT", amount="1", type=3).code == -1130
    assert client.call("POST", margin, symbol="ETHUSDT", amount="1", type=1).code == -4049


def test_permissions_and_rates(world: World) -> None:
    client = make_client(world, can_withdraw=True, maker_rate="0.0002", taker_rate="0.00045")
    assert client.get("/fapi/v2/account")["canWithdraw"] is True
    assert client.get("/sapi/v1/account/apiRestrictions")["enableWithdrawals"] is True
    rates = client.get("/fapi/v1/commissionRate", symbol="BTCUSDT")
    assert (rates["makerCommissionRate"], rates["takerCommissionRate"]) == ("0.000200", "0.000450")
    assert client.get("/fapi/v1/accountConfig")["dualSidePosition"] is False
    assert client.get("/fapi/v1/multiAssetsMargin") == {"multiAssetsMargin": False}
    assert {row["rateLimitType"] for row in client.get("/fapi/v1/rateLimit/order")} == {"ORDERS"}


def test_brackets_are_exact_numbers(client: Client) -> None:
    (row,) = client.get("/fapi/v1/leverageBracket", symbol="BTCUSDT")
    assert row["brackets"][0]["maintMarginRatio"] == 0.004
    assert row["brackets"][0]["initialLeverage"] == 125
    assert len(client.get("/fapi/v1/leverageBracket")) > 5


def test_a_stale_look_shows_the_past(world: World, client: Client) -> None:
    client.order()
    then = world.now_ms()
    world.advance(1_000)
    world.close_position("main", "BTCUSDT")
    with world.reading_at(then):
        assert [row["positionAmt"] for row in client.get(RISK)] == ["0.010"]
        assert len(client.get("/fapi/v1/userTrades", symbol="BTCUSDT")) == 1
    assert client.get(RISK) == []


def test_public_prices(world: World, client: Client) -> None:
    world.set_price("BTCUSDT", "60100", mark="60050.5", index="60040", venue="binance")
    mark = client.public("/fapi/v1/premiumIndex", symbol="BTCUSDT").body
    assert (mark["markPrice"], mark["indexPrice"]) == ("60050.50000000", "60040.00000000")
    assert client.public("/fapi/v1/ticker/price", symbol="BTCUSDT").body["price"] == "60100.00"
    book = client.public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT").body
    assert (book["bidPrice"], book["askPrice"]) == ("60099.90", "60100.10")
    depth = client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=5).body
    assert depth["bids"][0][0] == "60099.90"
    assert client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=7).code == -4021
    day = client.public("/fapi/v1/ticker/24hr", symbol="BTCUSDT").body
    assert (day["openPrice"], day["lastPrice"], day["priceChange"]) == ("60000.00", "60100.00", "100.00")
    everything = client.public("/fapi/v1/premiumIndex").body
    dated = next(row for row in everything if "_" in row["symbol"])
    assert (dated["lastFundingRate"], dated["nextFundingTime"]) == ("", 0)
    assert len(client.public("/fapi/v2/ticker/price").body) == len(everything)


def test_a_settled_contract_is_listed_as_such(world: World, client: Client) -> None:
    dated = next(spec.symbol for spec in world.instruments("binance") if spec.expiry_ms is not None)
    world.settle(dated)
    rows = {row["symbol"]: row for row in client.public("/fapi/v1/exchangeInfo").body["symbols"]}
    assert rows[dated]["status"] == "SETTLING"
    assert rows[dated]["contractType"] in ("CURRENT_QUARTER", "NEXT_QUARTER")
    assert rows["BTCUSDT"]["deliveryDate"] == 4133404800000
