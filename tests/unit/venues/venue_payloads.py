"""Answers of the two venues in their own shapes, made from a few numbers."""

from __future__ import annotations

from typing import Any

DELIVERY_MS = 1_798_185_600_000  # 2026-12-25 08:00 UTC
NEVER_MS = 4_133_404_800_000


def binance_symbol(symbol: str, base: str, quote: str = "USDT", **changes: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "pair": symbol.partition("_")[0],
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER_MS,
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": quote,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "100000", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
        **changes,
    }


def binance_info(*extra: dict[str, Any]) -> dict[str, Any]:
    dated = {"contractType": "CURRENT_QUARTER", "deliveryDate": DELIVERY_MS}
    return {
        "timezone": "UTC",
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
        ],
        "symbols": [
            binance_symbol("BTCUSDT", "BTC"),
            binance_symbol("ETHUSDT", "ETH"),
            binance_symbol("HIGHUSDT", "HIGH"),
            binance_symbol("1000PEPEUSDT", "1000PEPE"),
            binance_symbol("BTCUSDC", "BTC", "USDC"),
            binance_symbol("BTCUSDT_261225", "BTC", **dated),
            *extra,
        ],
    }


def binance_position(symbol: str, amount: Any, side: str = "BOTH", **changes: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "positionSide": side,
        "positionAmt": amount,
        "entryPrice": "60000.10",
        "breakEvenPrice": "60030.0",
        "markPrice": "61000.00000000",
        "unRealizedProfit": "1.0",
        "liquidationPrice": "0",
        "updateTime": 1_759_999_999_000,
        **changes,
    }


def bybit_instrument(symbol: str, base: str, quote: str = "USDT", **changes: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": base,
        "quoteCoin": quote,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "settleCoin": quote,
        "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
        "lotSizeFilter": {
            "maxOrderQty": "1190.000",
            "minOrderQty": "0.001",
            "qtyStep": "0.001",
            "maxMktOrderQty": "119.000",
            "minNotionalValue": "5",
        },
        **changes,
    }


def bybit_linear(*extra: dict[str, Any]) -> list[dict[str, Any]]:
    usdt_dated = {"contractType": "LinearFutures", "deliveryTime": str(DELIVERY_MS)}
    return [
        bybit_instrument("BTCUSDT", "BTC"),
        bybit_instrument("ETHUSDT", "ETH"),
        bybit_instrument("SOLUSDT", "SOL"),
        bybit_instrument("HIGHUSDT", "HIGH"),
        bybit_instrument("1000PEPEUSDT", "1000PEPE"),
        bybit_instrument("SHIB1000USDT", "SHIB1000"),
        bybit_instrument("BTCPERP", "BTC", "USDC"),
        bybit_instrument("BTCUSDT-25DEC26", "BTC", **usdt_dated),
        bybit_instrument("BTC-25DEC26", "BTC", "USDC", **usdt_dated),
        *extra,
    ]


def bybit_inverse() -> list[dict[str, Any]]:
    lot = {"maxOrderQty": "25000000", "minOrderQty": "1", "qtyStep": "1", "maxMktOrderQty": "5000000"}
    return [
        bybit_instrument("BTCUSD", "BTC", "USD", contractType="InversePerpetual", settleCoin="BTC", lotSizeFilter=lot),
        bybit_instrument(
            "BTCUSDZ26",
            "BTC",
            "USD",
            contractType="InverseFutures",
            settleCoin="BTC",
            deliveryTime=str(DELIVERY_MS),
            lotSizeFilter=lot,
        ),
    ]


def bybit_answer(rows: list[dict[str, Any]], cursor: str = "", category: str | None = None) -> dict[str, Any]:
    result: dict[str, Any] = {"list": rows, "nextPageCursor": cursor}
    if category is not None:
        result["category"] = category
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1_760_000_000_000}


def bybit_error(code: int, text: str) -> dict[str, Any]:
    return {"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": 1_760_000_000_000}


def bybit_position(symbol: str, size: Any, side: str = "Buy", index: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "positionIdx": index,
        "symbol": symbol,
        "side": side,
        "size": size,
        "avgPrice": "60000.10",
        "leverage": "10",
        "markPrice": "61000.00",
        "liqPrice": "",
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "seq": 100,
        "createdTime": "1676538056258",
        "updatedTime": "1759999999000",
        **changes,
    }


def bybit_order(order_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "orderId": order_id,
        "orderLinkId": "",
        "symbol": "BTCUSDT",
        "price": "0",
        "qty": "0.010",
        "side": "Sell",
        "positionIdx": 0,
        "orderStatus": "Untriggered",
        "createType": "CreateByStopOrder",
        "leavesQty": "0.010",
        "cumExecQty": "0",
        "avgPrice": "",
        "orderType": "Market",
        "stopOrderType": "Stop",
        "triggerPrice": "58000.00",
        "triggerDirection": 2,
        "triggerBy": "MarkPrice",
        "lastPriceOnCreated": "60000.00",
        "reduceOnly": True,
        "closeOnTrigger": False,
        "tpslMode": "",
        "createdTime": "1759999990000",
        "updatedTime": "1759999990000",
        **changes,
    }
