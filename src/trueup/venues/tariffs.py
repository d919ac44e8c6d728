"""What a request costs at each venue, and what an address or an account may spend.

1. Costs are the venue's own units: Binance weight, Bybit requests. ccxt's table under-counts (v3 positionRisk as 1).
2. An endpoint that no table names costs `usual`: dear enough that forgetting one stays harmless.

Source: Binance USDⓈ-M endpoint pages (IP weight) and exchangeInfo `rateLimits`; Bybit v5 "Rate Limit Rules".
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["TARIFFS", "OwnLimit", "Tariff"]

_BINANCE_COSTS: Mapping[str, tuple[int, int]] = {
    "fapiPublicGetTime": (1, 1),
    "fapiPublicGetExchangeInfo": (1, 1),
    "fapiPublicGetPremiumIndex": (1, 10),
    "fapiPrivateV3GetPositionRisk": (5, 5),
    "fapiPrivateV3GetAccount": (5, 5),
    "fapiPrivateV2GetAccount": (5, 5),
    "fapiPrivateV3GetBalance": (5, 5),
    "fapiPrivateV2GetBalance": (5, 5),
    "fapiPrivateGetSymbolConfig": (5, 5),
    "fapiPrivateGetPositionSideDual": (30, 30),
    "fapiPrivateGetOpenOrders": (1, 40),
    "fapiPrivateGetOpenAlgoOrders": (1, 40),
    "fapiPrivateGetOrder": (1, 1),
    "fapiPrivateGetAlgoOrder": (1, 1),
    "fapiPrivateGetAllOrders": (5, 5),
    "fapiPrivateGetAllAlgoOrders": (5, 5),
    "fapiPrivateGetUserTrades": (5, 5),
    "fapiPrivateGetIncome": (30, 30),
    "fapiPrivatePostOrder": (0, 0),
    "fapiPrivatePutOrder": (0, 0),
    "fapiPrivateDeleteOrder": (1, 1),
    "fapiPrivatePostAlgoOrder": (0, 0),
    "fapiPrivateDeleteAlgoOrder": (1, 1),
    "fapiPrivateDeleteAlgoOpenOrders": (1, 1),
    "fapiPrivatePostListenKey": (1, 1),
    "fapiPrivatePutListenKey": (1, 1),
}
"""Endpoint → weight with a symbol, and without."""

_BINANCE_ORDERS = frozenset({"fapiPrivatePostOrder", "fapiPrivatePutOrder", "fapiPrivatePostAlgoOrder"})


_BYBIT_SLOW = frozenset({"privateGetV5UserQueryApi"})


@dataclass(frozen=True, slots=True)
class OwnLimit:
    """What one account may send to a group of endpoints: so many requests in so many seconds.

    Attributes:
        told_used: Header with the venue's own count of it.
        told_left: Header with what is left of it, `told_limit` with the limit itself.
    """

    name: str
    limit: int
    seconds: float
    told_used: str | None = None
    told_left: str | None = None
    told_limit: str | None = None


_BINANCE_OWN = (
    OwnLimit("orders in 10 s", 300, 10.0, told_used="x-mbx-order-count-10s"),
    OwnLimit("orders in 1 m", 1_200, 60.0, told_used="x-mbx-order-count-1m"),
)


@dataclass(frozen=True, slots=True)
class Tariff:
    """One venue's.

    Attributes:
        unit: What the limit of an address counts, for people.
        limit: Of an address, per `window_s`, until the venue tells another.
        positions: One reading of an account's positions, in sync.
        orders: One reading of its order lists.
        usual: An endpoint that `costs` does not name.
        told_used: Header with the venue's own count for the address.
    """

    venue: str
    unit: str
    limit: int
    window_s: float
    positions: int
    orders: int
    usual: int
    costs: Mapping[str, tuple[int, int]]
    told_used: str | None = None

    def cost(self, endpoint: str, params: Mapping[str, object]) -> int:
        """In the venue's units."""
        with_symbol, without = self.costs.get(endpoint, (self.usual, self.usual))
        return with_symbol if "symbol" in params else without

    def own_limits(self, endpoint: str) -> tuple[OwnLimit, ...]:
        """What counts a call for the account itself."""
        if self.venue == "binanceusdm":
            return _BINANCE_OWN if endpoint in _BINANCE_ORDERS else ()
        return () if endpoint.startswith("public") else _bybit_own(endpoint)


@functools.cache
def _bybit_own(endpoint: str) -> tuple[OwnLimit, ...]:
    limit = 50 if endpoint.startswith("privateGet") and endpoint not in _BYBIT_SLOW else 10
    return (OwnLimit(endpoint, limit, 1.0, told_left="x-bapi-limit-status", told_limit="x-bapi-limit"),)


TARIFFS: Mapping[str, Tariff] = {
    "binanceusdm": Tariff(
        "binanceusdm", "weight", 2_400, 60.0, 5, 80, 5, _BINANCE_COSTS, told_used="x-mbx-used-weight-1m"
    ),
    # Positions: USDT, USDC and inverse lists, each with the empty page that its cursor leads to. Orders: two filters of
    # the three, and the positions again for the stops that sit on them.
    "bybit": Tariff("bybit", "requests", 600, 5.0, 6, 18, 1, {}),
}
"""By ccxt's id of the venue."""
