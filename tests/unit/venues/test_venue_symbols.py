"""Our unified symbols against ccxt's own reading of the same market lists."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from ccxt.async_support import binanceusdm, bybit
from venue_loopback import HandClock
from venue_payloads import DELIVERY_MS, NEVER_MS, binance_info, binance_symbol, bybit_inverse, bybit_linear

from trueup.model.instruments import ContractKind, Instrument, InstrumentCatalog
from trueup.venues.binance import instruments as of_binance
from trueup.venues.binance.rows import EXCHANGE_INFO
from trueup.venues.bybit import instruments as of_bybit
from trueup.venues.bybit.rows import INSTRUMENTS
from trueup.venues.client import make_client
from trueup.venues.markets import build_catalog


def binance_catalog(info: dict[str, Any]) -> InstrumentCatalog:
    client = make_client("binanceusdm", api_key="", api_secret="", rest_url=None, proxy=None, clock=HandClock())
    rows = EXCHANGE_INFO.decode(json.dumps(info)).symbols
    found = [of_binance.instrument_of(row, client.currency, "binanceusdm") for row in rows]
    return build_catalog("binanceusdm", [one for one in found if one is not None])


def bybit_catalog() -> InstrumentCatalog:
    client = make_client("bybit", api_key="", api_secret="", rest_url=None, proxy=None, clock=HandClock())
    found = []
    for category, rows in (("linear", bybit_linear()), ("inverse", bybit_inverse())):
        answer = INSTRUMENTS.decode(json.dumps({"result": {"list": rows, "category": category}}))
        for row in answer.result.rows:
            found.append(of_bybit.instrument_of(row, category, client.currency, "bybit"))
    return build_catalog("bybit", [one for one in found if one is not None])


def compared(instrument: Instrument | None, market: dict[str, Any]) -> None:
    assert instrument is not None, market["id"]
    assert instrument.symbol == market["symbol"]
    assert (instrument.base, instrument.quote, instrument.settle) == (market["base"], market["quote"], market["settle"])
    assert instrument.inverse == market["inverse"]
    assert (instrument.kind is ContractKind.PERPETUAL) == market["swap"]
    assert instrument.expires_at_ms == market["expiry"]
    assert instrument.tradable == market["active"]
    assert instrument.contract_size == Decimal(str(market["contractSize"]))
    assert instrument.price_tick == Decimal(str(market["precision"]["price"]))
    assert instrument.quantity_step == Decimal(str(market["precision"]["amount"]))
    assert instrument.min_quantity == Decimal(str(market["limits"]["amount"]["min"]))


def test_binance_symbols_are_ccxts() -> None:
    sentinel = binance_symbol("BTCSTUSDT", "BTCST", contractType="", deliveryDate=NEVER_MS, status="SETTLING")
    stock = binance_symbol("TSLAUSDT", "TSLA", contractType="TRADIFI_PERPETUAL")
    odd = binance_symbol("ETHUSDT_261225", "ETH", contractType="", deliveryDate=DELIVERY_MS)
    info = binance_info(sentinel, stock, odd)
    catalog = binance_catalog(info)
    markets = binanceusdm().parse_markets(info["symbols"])
    assert len(markets) == len(catalog) == 9
    for market in markets:
        compared(catalog.by_venue_symbol("linear", market["id"]), market)


def test_binance_names_that_bots_stumble_over() -> None:
    catalog = binance_catalog(binance_info())
    assert {one.venue_symbol: one.symbol for one in catalog} == {
        "BTCUSDT": "BTC/USDT:USDT",
        "ETHUSDT": "ETH/USDT:USDT",
        "HIGHUSDT": "HIGH/USDT:USDT",
        "1000PEPEUSDT": "1000PEPE/USDT:USDT",
        "BTCUSDC": "BTC/USDC:USDC",
        "BTCUSDT_261225": "BTC/USDT:USDT-261225",
    }
    assert catalog.resolve("HIGHUSDT").symbol == "HIGH/USDT:USDT"


def test_binance_a_perpetual_on_its_way_out_keeps_its_name() -> None:
    leaving = binance_symbol(
        "OLDUSDT", "OLD", contractType="PERPETUAL_DELIVERING", deliveryDate=DELIVERY_MS, status="SETTLING"
    )
    instrument = binance_catalog(binance_info(leaving)).by_venue_symbol("linear", "OLDUSDT")
    assert instrument is not None
    assert (instrument.symbol, instrument.expires_at_ms, instrument.tradable) == ("OLD/USDT:USDT", None, False)


def test_binance_a_contract_type_that_is_not_understood_is_left_out() -> None:
    odd = binance_symbol("ODDUSDT", "ODD", contractType="SOMETHING_NEW", deliveryDate=DELIVERY_MS)
    assert "ODD/USDT:USDT" not in binance_catalog(binance_info(odd))
    assert len(binance_catalog(binance_info(odd))) == 6


async def test_bybit_symbols_are_ccxts(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = bybit()
    catalog = bybit_catalog()
    seen = 0
    for category, rows in (("linear", bybit_linear()), ("inverse", bybit_inverse())):

        async def answer(params: dict[str, Any], rows: list[Any] = rows, category: str = category) -> dict[str, Any]:
            shown = [] if params.get("status") == "PreLaunch" else rows
            return {"result": {"list": shown, "category": category}}

        monkeypatch.setattr(exchange, "publicGetV5MarketInstrumentsInfo", answer)
        for market in await exchange.fetch_future_markets({"category": category}):
            compared(catalog.by_venue_symbol(category, market["id"]), market)
            seen += 1
    assert seen == len(catalog) == 11
    await exchange.close()


def test_bybit_names_that_bots_stumble_over() -> None:
    names = {one.venue_symbol: one.symbol for one in bybit_catalog()}
    assert names["BTCPERP"] == "BTC/USDC:USDC"
    assert names["SHIB1000USDT"] == "SHIB1000/USDT:USDT"
    assert names["BTCUSDT-25DEC26"] == "BTC/USDT:USDT-261225"
    assert names["BTC-25DEC26"] == "BTC/USDC:USDC-261225"
    assert names["BTCUSD"] == "BTC/USD:BTC"
    assert names["BTCUSDZ26"] == "BTC/USD:BTC-261225"


def instrument(symbol: str, venue_symbol: str, *, tradable: bool = True) -> Instrument:
    return Instrument(
        venue="v",
        symbol=symbol,
        venue_symbol=venue_symbol,
        category="linear",
        kind=ContractKind.PERPETUAL,
        base="A",
        quote="B",
        settle="B",
        contract_size=Decimal(1),
        tradable=tradable,
    )


def test_two_bearers_of_one_symbol() -> None:
    old, new = instrument("A/B:B", "AB1", tradable=False), instrument("A/B:B", "AB2")
    assert build_catalog("v", [old, new]).by_venue_symbol("linear", "AB2") == new
    assert len(build_catalog("v", [new, instrument("A/B:B", "AB3")])) == 0


def test_what_vanished_stays_readable() -> None:
    before = build_catalog("v", [instrument("A/B:B", "AB"), instrument("C/B:B", "CB")])
    after = build_catalog("v", [instrument("C/B:B", "CB")], before=before)
    gone = after.get("A/B:B")
    assert gone is not None
    assert not gone.tradable
    assert after.get("C/B:B") == instrument("C/B:B", "CB")
