"""The names that others may rely on: they exist, they are typed, and they carry the version of the package."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import trueup

ROOT = Path(__file__).parents[2]
CONTRACT = {
    "EventType",
    "PositionManager",
    "PositionSynchronizer",
    "SmartTrailingStopManager",
    "normalize_symbol",
    "synchronize_positions_on_startup",
}


def test_all_is_sorted_and_each_name_is_there() -> None:
    assert trueup.__all__ == sorted(trueup.__all__)
    assert len(set(trueup.__all__)) == len(trueup.__all__)
    for name in trueup.__all__:
        assert getattr(trueup, name) is not None


def test_the_contracts_names_are_exported() -> None:
    assert set(trueup.__all__) >= CONTRACT


def test_what_the_library_raises_on_purpose_can_be_caught_by_one_name() -> None:
    for error in (trueup.AmbiguousSymbol, trueup.ConfigurationError, trueup.NotOwner, trueup.StoreUnavailable):
        assert issubclass(error, trueup.TrueupError)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        trueup.no_such_name  # noqa: B018 - the access is the test


def test_the_package_says_that_it_is_typed() -> None:
    assert files("trueup").joinpath("py.typed").is_file()


def test_one_version() -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert trueup.__version__ == stated
    assert importlib.metadata.version("trueup") == stated


def test_importing_the_package_loads_none_of_its_rooms() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import sys, trueup; print([m for m in sys.modules if m.startswith('trueup.')])"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("unified", "database"),
    [
        ("HIGH/USDT:USDT", "HIGHUSDT"),
        ("BTC/USDT:USDT-261225", "BTCUSDT"),
        ("BTC/USD:BTC", "BTCUSD"),
        ("1000PEPE/USDT:USDT", "1000PEPEUSDT"),
        ("HIGHUSDT", "HIGHUSDT"),
        ("HIGH/USDT", "HIGH/USDT"),
        ("", ""),
    ],
)
def test_normalize_symbol_is_the_originals(unified: str, database: str) -> None:
    assert trueup.normalize_symbol(unified) == database
