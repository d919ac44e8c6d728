"""What we think a request costs is what the simulated venue, written from the venue's documentation, charges for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ccxt.async_support import binanceusdm

import trueup.venues
from trueup.sim.binance.params import Params
from trueup.sim.binance.routes import BY_ENDPOINT
from trueup.sim.bybit.routes import ROUTES
from trueup.venues.tariffs import TARIFFS

ENDPOINT = re.compile(r'"(fapi(?:Public|Private)(?:V\d)?(?:Get|Post|Put|Delete)\w+)"')
BYBIT_ENDPOINT = re.compile(r'"((?:public|private)(?:Get|Post)V5\w+)"')
SOURCES = "\n".join(path.read_text() for path in Path(trueup.venues.__path__[0]).rglob("*.py"))
BINANCE = sorted(set(ENDPOINT.findall(SOURCES)))
BYBIT = sorted(set(BYBIT_ENDPOINT.findall(SOURCES)))


def test_the_endpoints_are_found() -> None:
    assert {"fapiPrivateV3GetPositionRisk", "fapiPrivatePostAlgoOrder", "fapiPublicGetTime"} <= set(BINANCE)
    assert {"privateGetV5PositionList", "privatePostV5OrderCreate", "publicGetV5MarketTime"} <= set(BYBIT)


@pytest.mark.parametrize("endpoint", BINANCE)
def test_binance_weights(endpoint: str) -> None:
    tariff = TARIFFS["binanceusdm"]
    assert endpoint in tariff.costs
    verb, path = _binance_path(endpoint)
    route = BY_ENDPOINT[verb, path]
    for params, query in (({}, ""), ({"symbol": "BTCUSDT"}, "symbol=BTCUSDT")):
        assert tariff.cost(endpoint, params) == route.weigh(Params(query, "")), params
    assert bool(tariff.own_limits(endpoint)) == bool(route.orders)


def _binance_path(endpoint: str) -> tuple[str, str]:
    """The verb, and the path as ccxt's implicit method has it."""
    found = re.fullmatch(r"fapi(?:Public|Private)(V\d)?(Get|Post|Put|Delete)(\w+)", endpoint)
    assert found is not None
    version, verb, name = (found.group(1) or "V1").lower(), found.group(2), found.group(3)
    api = "fapi" + re.match(r"fapi(Public|Private)(?:V[23])?", endpoint).group(0)[4:]  # type: ignore[union-attr]
    for path in binanceusdm().api[api][verb.lower()]:
        if "".join(part[0].upper() + part[1:] for part in path.split("/")) == name:
            return verb.upper(), f"/fapi/{version}/{path}"
    raise AssertionError(f"ccxt has no {endpoint}")


@pytest.mark.parametrize("endpoint", BYBIT)
def test_bybit_limits_of_an_account(endpoint: str) -> None:
    found = re.fullmatch(r"(public|private)(Get|Post)(V5\w+)", endpoint)
    assert found is not None
    routes = {
        (verb, "".join(part[0].upper() + part[1:] for part in re.split(r"[/-]", path) if part)): route
        for (verb, path), route in ROUTES.items()
    }
    route = routes[found.group(2).upper(), found.group(3)]
    assert [limit.limit for limit in TARIFFS["bybit"].own_limits(endpoint)] == ([route.limit] if route.limit else [])
