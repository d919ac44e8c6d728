"""An account with many open positions, as every side has it: the venue's answers, the book's rows, a market list, ccxt's markets.

The rows have every field that the venues document, with numbers as long as theirs. One symbol a position: more than a venue
lists, which is what shows how cost grows.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from trueup.model.instruments import ContractKind, Instrument, InstrumentCatalog
from trueup.model.orders import Side
from trueup.model.positions import Position
from trueup.sim.world.types import Venue

__all__ = ["ACCOUNT", "NOW_MS", "Holdings", "hold"]

ACCOUNT = "bench"
NOW_MS = 1_790_000_000_000
PAGE = 200
"""Rows of a page of Bybit's position list."""

_CCXT_IDS: dict[Venue, str] = {"binance": "binanceusdm", "bybit": "bybit"}


@dataclass(frozen=True)
class _Held:
    """One position, in numbers as text."""

    number: int
    side: Side
    quantity: Decimal
    entry: Decimal
    mark: Decimal
    changed_ms: int

    def at(self, drift: str) -> _Held:
        return replace(self, mark=round(self.mark * Decimal(drift), 8))

    @property
    def base(self) -> str:
        return f"C{self.number:06d}"

    @property
    def symbol(self) -> str:
        return f"{self.base}/USDT:USDT"

    @property
    def venue_symbol(self) -> str:
        return f"{self.base}USDT"


@dataclass(frozen=True)
class Holdings:
    """`answers`: for each of a few looks the bodies of the answers, one a page; from look to look only the market moves."""

    venue: Venue
    answers: Sequence[Sequence[bytes]]
    rows: Sequence[dict[str, Any]]
    book: tuple[Position, ...]
    catalog: InstrumentCatalog

    @property
    def ccxt_id(self) -> str:
        return _CCXT_IDS[self.venue]


def hold(venue: Venue, count: int) -> Holdings:
    """An account with so many open positions, each as the book has it."""
    held = [_one(number, random.Random(number)) for number in range(count)]
    looks = [
        [(_binance if venue == "binance" else _bybit)(one.at(drift)) for one in held]
        for drift in ("1", "1.0013", "0.9989")
    ]
    return Holdings(
        venue=venue,
        answers=[[_body(rows)] if venue == "binance" else _pages(rows) for rows in looks],
        rows=looks[0],
        book=tuple(_row(one, venue) for one in held),
        catalog=InstrumentCatalog(_CCXT_IDS[venue], (_instrument(one, venue) for one in held)),
    )


def ccxt_markets(venue: Venue, count: int) -> list[dict[str, Any]]:
    """ccxt's own markets of the same symbols: one is parsed by ccxt, the others differ from it in their names."""
    import ccxt

    exchange: Any = getattr(ccxt, _CCXT_IDS[venue])()
    model = exchange.parse_market(_BINANCE_LISTED) if venue == "binance" else _bybit_market(exchange)
    markets = []
    for number in range(count):
        base = f"C{number:06d}"
        names = {"id": f"{base}USDT", "lowercaseId": None, "symbol": f"{base}/USDT:USDT", "base": base, "baseId": base}
        markets.append({**model, **names})
    return markets


def _bybit_market(exchange: Any) -> dict[str, Any]:
    exchange.options["loadExpiredOptions"] = False
    raw = {"category": "linear", **_BYBIT_LISTED}
    market: dict[str, Any] = exchange.safe_market_structure(
        {
            "id": raw["symbol"],
            "symbol": "X/USDT:USDT",
            "base": "X",
            "quote": "USDT",
            "settle": "USDT",
            "baseId": "X",
            "quoteId": "USDT",
            "settleId": "USDT",
            "type": "swap",
            "spot": False,
            "margin": None,
            "swap": True,
            "future": False,
            "option": False,
            "active": True,
            "contract": True,
            "linear": True,
            "inverse": False,
            "taker": 0.0006,
            "maker": 0.0001,
            "contractSize": 1.0,
            "precision": {"amount": 0.001, "price": 0.0001},
            "info": raw,
        }
    )
    return market


def _one(number: int, chance: random.Random) -> _Held:
    entry = round(Decimal(chance.uniform(0.1, 60_000)), 4)
    return _Held(
        number=number,
        side=Side.LONG if number % 2 else Side.SHORT,
        quantity=round(Decimal(chance.uniform(0.01, 500)), 3),
        entry=entry,
        mark=round(entry * Decimal(chance.uniform(0.95, 1.05)), 8),
        changed_ms=NOW_MS - chance.randrange(86_400_000, 864_000_000),
    )


def _row(held: _Held, venue: Venue) -> Position:
    """As the book has it: verified ten seconds ago."""
    return Position(
        position_id=held.number + 1,
        version=3,
        account=ACCOUNT,
        venue=_CCXT_IDS[venue],
        symbol=held.symbol,
        written_symbol=held.symbol,
        side=held.side,
        quantity=held.quantity,
        contract_size=Decimal(1),
        entry_price=held.entry,
        current_price=held.mark,
        leverage=Decimal(10),
        opened_at_ms=held.changed_ms - 3_600_000,
        created_at_ms=held.changed_ms - 3_600_000,
        updated_at_ms=NOW_MS - 10_000,
        venue_updated_at_ms=held.changed_ms,
        verified_as_of_ms=NOW_MS - 10_000,
        opening_order_id=str(8_000_000_000 + held.number),
    )


def _instrument(held: _Held, venue: Venue) -> Instrument:
    return Instrument(
        venue=_CCXT_IDS[venue],
        symbol=held.symbol,
        venue_symbol=held.venue_symbol,
        category="linear",
        kind=ContractKind.PERPETUAL,
        base=held.base,
        quote="USDT",
        settle="USDT",
        contract_size=Decimal(1),
        price_tick=Decimal("0.0001"),
        quantity_step=Decimal("0.001"),
    )


def _binance(held: _Held) -> dict[str, Any]:
    """A row of `/fapi/v3/positionRisk`."""
    amount = held.quantity * held.side.sign
    value = held.mark * amount
    return {
        "symbol": held.venue_symbol,
        "positionSide": "BOTH",
        "positionAmt": f"{amount:.3f}",
        "entryPrice": f"{held.entry:.4f}",
        "breakEvenPrice": f"{held.entry * Decimal('1.0005'):.12f}",
        "markPrice": f"{held.mark:.8f}",
        "unRealizedProfit": f"{(held.mark - held.entry) * amount:.8f}",
        "liquidationPrice": "0" if held.number % 3 else f"{held.entry * Decimal('0.8'):.8f}",
        "isolatedMargin": "0",
        "notional": f"{value:.8f}",
        "marginAsset": "USDT",
        "isolatedWallet": "0",
        "initialMargin": f"{abs(value) / 10:.8f}",
        "maintMargin": f"{abs(value) / 100:.8f}",
        "positionInitialMargin": f"{abs(value) / 10:.8f}",
        "openOrderInitialMargin": "0",
        "adl": 2,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": held.changed_ms,
    }


def _bybit(held: _Held) -> dict[str, Any]:
    """A row of `/v5/position/list`."""
    value = held.entry * held.quantity
    long = held.side is Side.LONG
    return {
        "positionIdx": 0,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": held.venue_symbol,
        "side": "Buy" if long else "Sell",
        "size": f"{held.quantity:.3f}",
        "avgPrice": f"{held.entry:.4f}",
        "positionValue": f"{value:.8f}",
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 2,
        "leverage": "10",
        "positionBalance": "0",
        "markPrice": f"{held.mark:.4f}",
        "liqPrice": "" if held.number % 3 else f"{held.entry * Decimal('0.8'):.4f}",
        "bustPrice": "",
        "breakEvenPrice": f"{held.entry * Decimal('1.0005'):.10f}",
        "positionMM": f"{value / 100:.8f}",
        "positionMMByMp": f"{value / 100:.8f}",
        "positionIM": f"{value / 10:.8f}",
        "positionIMByMp": f"{value / 10:.8f}",
        "tpslMode": "Full",
        "takeProfit": "",
        "stopLoss": f"{held.entry * (Decimal('0.95') if long else Decimal('1.05')):.4f}" if held.number % 2 else "",
        "trailingStop": "0",
        "sessionAvgPrice": "",
        "unrealisedPnl": f"{(held.mark - held.entry) * held.quantity * held.side.sign:.8f}",
        "curRealisedPnl": "-1.20550000",
        "cumRealisedPnl": "-1.20550000",
        "seq": 5_723_621_632 + held.number,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "createdTime": str(held.changed_ms - 3_600_000),
        "updatedTime": str(held.changed_ms),
        "openTime": held.changed_ms,
    }


def _pages(rows: Sequence[dict[str, Any]]) -> list[bytes]:
    bodies = []
    for start in range(0, len(rows), PAGE):
        cursor = f"page{start // PAGE + 1}" if start + PAGE < len(rows) else ""
        result = {"nextPageCursor": cursor, "category": "linear", "list": rows[start : start + PAGE]}
        bodies.append(_body({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": NOW_MS}))
    return bodies


def _body(answer: object) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()


_BINANCE_LISTED = {
    "symbol": "XUSDT",
    "pair": "XUSDT",
    "contractType": "PERPETUAL",
    "deliveryDate": 4_133_404_800_000,
    "onboardDate": 1_569_398_400_000,
    "status": "TRADING",
    "baseAsset": "X",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "pricePrecision": 4,
    "quantityPrecision": 3,
    "baseAssetPrecision": 8,
    "quotePrecision": 8,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.0001", "maxPrice": "1000000", "tickSize": "0.0001"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000000", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "10000", "stepSize": "0.001"},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ],
    "orderTypes": ["LIMIT", "MARKET"],
    "timeInForce": ["GTC"],
}
_BYBIT_LISTED = {
    "symbol": "XUSDT",
    "contractType": "LinearPerpetual",
    "status": "Trading",
    "baseCoin": "X",
    "quoteCoin": "USDT",
    "settleCoin": "USDT",
    "launchTime": "1585526400000",
    "deliveryTime": "0",
    "priceFilter": {"minPrice": "0.0001", "maxPrice": "1000000", "tickSize": "0.0001"},
    "lotSizeFilter": {"maxOrderQty": "100000", "minOrderQty": "0.001", "qtyStep": "0.001"},
}
