"""From a written symbol to one instrument: strict, never guessed (venue facts: symbols collide)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trueup.model.errors import AmbiguousSymbol, InvariantBroken, UnknownSymbol
from trueup.model.instruments import ContractKind, Instrument, InstrumentCatalog, normalize_symbol, unified_symbol


def listed(symbol: str, venue_symbol: str, category: str = "linear") -> Instrument:
    pair, settle = symbol.split(":")
    base, quote = pair.split("/")
    return Instrument(
        venue="bybit",
        symbol=symbol,
        venue_symbol=venue_symbol,
        category=category,
        kind=ContractKind.DATED if "-" in settle else ContractKind.PERPETUAL,
        base=base,
        quote=quote,
        settle=settle.split("-")[0],
        contract_size=Decimal(1),
        inverse=category == "inverse",
    )


PERPETUAL = listed("BTC/USDT:USDT", "BTCUSDT")
DATED = listed("BTC/USDT:USDT-261225", "BTCUSDT_261225")
INVERSE = listed("BTC/USD:BTC", "BTCUSD", "inverse")
INVERSE_DATED = listed("BTC/USD:BTC-261225", "BTCUSDZ26", "inverse")
USDC = listed("BTC/USDC:USDC", "BTCPERP")
HIGH = listed("HIGH/USDT:USDT", "HIGHUSDT")
PEPE = listed("1000PEPE/USDT:USDT", "1000PEPEUSDT")
SHIB = listed("SHIB1000/USDT:USDT", "SHIB1000USDT")
CATALOG = InstrumentCatalog("bybit", [PERPETUAL, DATED, INVERSE, INVERSE_DATED, USDC, HIGH, PEPE, SHIB])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("BTC/USDT:USDT", PERPETUAL),
        ("BTC/USDT:USDT-261225", DATED),
        ("BTCUSDT", PERPETUAL),  # the venue itself calls only the perpetual so
        ("BTCUSDT_261225", DATED),
        ("BTCUSD", INVERSE),
        ("BTC/USD:BTC-261225", INVERSE_DATED),
        ("BTCUSDZ26", INVERSE_DATED),
        ("BTCPERP", USDC),
        ("BTCUSDC", USDC),  # the old form, one instrument has it
        ("HIGHUSDT", HIGH),
        ("HIGH/USDT:USDT", HIGH),
        ("1000PEPEUSDT", PEPE),
        ("SHIB1000USDT", SHIB),
    ],
)
def test_a_symbol_resolves(text: str, found: Instrument) -> None:
    assert CATALOG.resolve(text) is found


@pytest.mark.parametrize("text", ["PEPEUSDT", "PEPE/USDT:USDT", "btcusdt", "", "BTC/USDT", "XYZ"])
def test_what_no_instrument_bears_is_refused_with_the_mend(text: str) -> None:
    with pytest.raises(UnknownSymbol, match="unified form"):
        CATALOG.resolve(text)


def test_what_several_bear_is_refused_with_the_candidates() -> None:
    catalog = InstrumentCatalog("x", [listed("BTC/USD:BTC", "XBTUSD"), listed("BTC/USD:BTC-261225", "XBTZ26")])
    with pytest.raises(AmbiguousSymbol) as caught:
        catalog.resolve("BTCUSD")
    assert caught.value.candidates == ("BTC/USD:BTC", "BTC/USD:BTC-261225")
    assert "BTC/USD:BTC, BTC/USD:BTC-261225" in str(caught.value)


def test_one_venue_id_in_two_categories_is_ambiguous_unless_the_category_is_named() -> None:
    linear, inverse = listed("BTC/USD:USDC", "BTCUSD"), listed("BTC/USD:BTC", "BTCUSD", "inverse")
    catalog = InstrumentCatalog("x", [linear, inverse])
    with pytest.raises(AmbiguousSymbol):
        catalog.resolve("BTCUSD")
    assert catalog.by_venue_symbol("linear", "BTCUSD") is linear
    assert catalog.by_venue_symbol("inverse", "BTCUSD") is inverse
    assert catalog.by_venue_symbol("spot", "BTCUSD") is None


def test_two_instruments_of_one_symbol_are_a_broken_list() -> None:
    with pytest.raises(InvariantBroken, match="BTC/USDT:USDT"):
        InstrumentCatalog("x", [PERPETUAL, PERPETUAL])


def test_the_list_can_be_walked_and_asked() -> None:
    assert len(CATALOG) == 8
    assert next(iter(CATALOG)) is PERPETUAL
    assert "BTC/USDT:USDT" in CATALOG
    assert "BTCUSDT" not in CATALOG
    assert CATALOG.get("BTCUSDT") is None


@pytest.mark.parametrize(
    ("symbol", "old"),
    [
        ("HIGH/USDT:USDT", "HIGHUSDT"),
        ("BTC/USDT:USDT-261225", "BTCUSDT"),
        ("BTC/USD:BTC", "BTCUSD"),
        ("HIGHUSDT", "HIGHUSDT"),
        ("BTC/USDT", "BTC/USDT"),
        ("", ""),
    ],
)
def test_the_old_database_form(symbol: str, old: str) -> None:
    assert normalize_symbol(symbol) == old


def test_unified_symbols_are_built_alike() -> None:
    assert unified_symbol("BTC", "USDT", "USDT") == PERPETUAL.symbol
    assert unified_symbol("BTC", "USDT", "USDT", "261225") == DATED.symbol
