"""Public endpoints."""

from __future__ import annotations

from decimal import Decimal

import pytest
from bybit_client import Client

from trueup.sim.world import World


def test_the_time_is_the_world_s(client: Client) -> None:
    now_ms = client.world.now_ms()
    result = client.public("/v5/market/time").result
    assert result == {"timeSecond": str(now_ms // 1_000), "timeNano": f"{now_ms}000000"}


@pytest.mark.parametrize("category", ["linear", "inverse"])
def test_every_contract_is_listed_with_its_own_grid(client: Client, category: str) -> None:
    rows = {row["symbol"]: row for row in client.public("/v5/market/instruments-info", category=category).rows}
    specs = [spec for spec in client.world.instruments("bybit") if spec.category == category]
    assert list(rows) == [spec.symbol for spec in specs]
    for spec in specs:
        row = rows[spec.symbol]
        assert Decimal(row["priceFilter"]["tickSize"]) == spec.price_tick
        assert Decimal(row["lotSizeFilter"]["qtyStep"]) == spec.quantity_step
        assert Decimal(row["lotSizeFilter"]["maxMktOrderQty"]) == spec.max_market_quantity
        assert row["settleCoin"] == spec.settle
        assert row["deliveryTime"] == ("0" if spec.expiry_ms is None else str(spec.expiry_ms))


def test_contract_types_tell_perpetuals_futures_and_inverse_apart(client: Client) -> None:
    linear = client.public("/v5/market/instruments-info", category="linear").rows
    inverse = client.public("/v5/market/instruments-info", category="inverse").rows
    types = {row["symbol"]: row["contractType"] for row in linear + inverse}
    assert types["BTCUSDT"] == "LinearPerpetual"
    assert types["BTCPERP"] == "LinearPerpetual"
    assert types["BTCUSD"] == "InversePerpetual"
    assert {kind for symbol, kind in types.items() if "-" in symbol} == {"LinearFutures"}
    assert [kind for symbol, kind in types.items() if symbol.startswith("BTCUSD") and symbol[6:7] in "HMUZ"].count(
        "InverseFutures"
    ) == 1


def test_pages_of_contracts_join_to_the_whole_list(client: Client) -> None:
    whole = [row["symbol"] for row in client.public("/v5/market/instruments-info", category="linear").rows]
    joined: list[str] = []
    cursor = ""
    while True:
        result = client.public("/v5/market/instruments-info", category="linear", limit=3, cursor=cursor).result
        joined += [row["symbol"] for row in result["list"]]
        cursor = result["nextPageCursor"]
        if not cursor:
            break
    assert joined == whole


@pytest.mark.parametrize("path", ["/v5/market/instruments-info", "/v5/market/tickers"])
@pytest.mark.parametrize("category", ["spot", "option"])
def test_spot_and_options_are_empty(client: Client, path: str, category: str) -> None:
    assert client.public(path, category=category).rows == []


@pytest.mark.parametrize("path", ["/v5/market/instruments-info", "/v5/market/tickers"])
def test_unknown_symbols_and_categories_are_10001(client: Client, path: str) -> None:
    assert client.public(path, category="linear", symbol="NOPEUSDT").text == "Not supported symbols"
    assert client.public(path, category="linear", symbol="BTCUSD").code == 10001, "inverse, not linear"
    assert client.public(path, category="linear", symbol="BTC/USDT:USDT").code == 10001, "no unified symbols"
    assert client.public(path, category="swap").text == "Illegal category"
    assert client.public(path).code == 10001


def test_a_settled_contract_leaves_the_trading_list(world: World, client: Client) -> None:
    dated = next(spec for spec in world.instruments("bybit") if spec.expiry_ms and not spec.inverse)
    world.settle(dated.symbol)
    listed = client.public("/v5/market/instruments-info", category="linear").rows
    assert dated.symbol not in [row["symbol"] for row in listed]
    closed = client.public("/v5/market/instruments-info", category="linear", status="Closed").rows
    assert [row["symbol"] for row in closed] == [dated.symbol]
    assert (
        client.public("/v5/market/instruments-info", category="linear", symbol=dated.symbol).row["status"] == "Closed"
    )


def test_a_ticker_shows_all_three_prices_and_the_change_of_a_day(world: World, client: Client) -> None:
    world.advance(86_400_000)
    world.set_price("BTCUSDT", "66000", mark="66010", index="65990", venue="bybit")
    row = client.public("/v5/market/tickers", category="linear", symbol="BTCUSDT").row
    assert (row["lastPrice"], row["markPrice"], row["indexPrice"]) == ("66000.00", "66010.00", "65990.00")
    assert (row["prevPrice24h"], row["price24hPcnt"]) == ("60000.00", "0.1")
    assert (row["bid1Price"], row["ask1Price"]) == ("66000.00", "66000.10")


def test_funding_history_goes_back_interval_by_interval(world: World, client: Client) -> None:
    world.advance(3 * 28_800_000)
    rows = client.public("/v5/market/funding/history", category="linear", symbol="BTCUSDT", limit=2).rows
    times = [int(row["fundingRateTimestamp"]) for row in rows]
    assert times[0] - times[1] == 28_800_000
    assert {row["fundingRate"] for row in rows} == {"0.0001"}
