"""The three phases of the original: only an explicit zero is zero."""

from __future__ import annotations

from typing import Any

import pytest

from trueup.model.errors import ConfigurationError, Unobserved
from trueup.venues.validation import validate_positions

RAW = {"binanceusdm": "positionAmt", "bybit": "size"}


def unified(venue: str, symbol: str, contracts: Any, raw: Any) -> dict[str, Any]:
    """A row as ccxt's `fetch_positions` gives it."""
    name = symbol.replace("/", "").partition(":")[0]
    return {"symbol": symbol, "contracts": contracts, "side": "long", "info": {"symbol": name, RAW[venue]: raw}}


@pytest.mark.parametrize("venue", RAW)
def test_38_stale_rows_are_no_position(venue: str) -> None:
    rows = [unified(venue, f"C{number}/USDT:USDT", 1.5, "0.000") for number in range(38)]
    found = validate_positions(venue, rows)
    assert found.real == ()
    assert found.stale == 38


@pytest.mark.parametrize("venue", RAW)
def test_real_rows_are_kept_among_stale_ones(venue: str) -> None:
    rows = [
        unified(venue, "A/USDT:USDT", 1.0, "1"),
        unified(venue, "B/USDT:USDT", 0.0, "0"),
        unified(venue, "C/USDT:USDT", 2.0, "-2.5"),
        unified(venue, "D/USDT:USDT", 3.0, "0.0"),
        unified(venue, "E/USDT:USDT", None, "0.00000001"),
        unified(venue, "F/USDT:USDT", None, 0),
    ]
    found = validate_positions(venue, rows)
    assert [row["symbol"] for row in found.real] == ["A/USDT:USDT", "C/USDT:USDT", "E/USDT:USDT"]
    assert found.stale == 3


@pytest.mark.parametrize("venue", RAW)
def test_raw_rows_are_judged_alike(venue: str) -> None:
    found = validate_positions(venue, [{"symbol": "A", RAW[venue]: "1"}, {"symbol": "B", RAW[venue]: "0"}])
    assert [row["symbol"] for row in found.real] == ["A"]
    assert found.stale == 1


@pytest.mark.parametrize("raw", [None, "", "zero", "NaN", 1.5, False])
@pytest.mark.parametrize("contracts", [0.0, 1.0, None])
@pytest.mark.parametrize("venue", RAW)
def test_a_size_that_cannot_be_read_stops_the_look(venue: str, contracts: Any, raw: Any) -> None:
    rows = [unified(venue, "A/USDT:USDT", 1.0, "1"), unified(venue, "B/USDT:USDT", contracts, raw)]
    with pytest.raises(Unobserved, match="BUSDT"):
        validate_positions(venue, rows)


@pytest.mark.parametrize("venue", RAW)
def test_a_missing_size_is_not_zero(venue: str) -> None:
    row = unified(venue, "B/USDT:USDT", 0.0, "0")
    del row["info"][RAW[venue]]
    with pytest.raises(Unobserved):
        validate_positions(venue, [row])


@pytest.mark.parametrize("venue", RAW)
def test_a_contradiction_is_unobserved(venue: str) -> None:
    with pytest.raises(Unobserved, match="contracts is 0"):
        validate_positions(venue, [unified(venue, "B/USDT:USDT", 0.0, "5")])


def test_a_venue_whose_raw_size_is_not_known_is_an_error() -> None:
    with pytest.raises(ConfigurationError):
        validate_positions("okx", [])
