"""The documented fields of answers and messages that were not recorded, as samples of their types.

Source: developers.binance.com, USDⓈ-M futures, as of mid-2026. Beside each sample: fields in which the wire departs.
"""

from __future__ import annotations

from typing import Any

T, N, B = "", 0, True
"""A text, a number, a truth."""

_STATE: dict[str, Any] = {
    "clientOrderId": T,
    "cumQty": T,
    "cumQuote": T,
    "executedQty": T,
    "orderId": N,
    "avgPrice": T,
    "origQty": T,
    "price": T,
    "reduceOnly": B,
    "side": T,
    "positionSide": T,
    "status": T,
    "stopPrice": T,
    "closePosition": B,
    "symbol": T,
    "timeInForce": T,
    "type": T,
    "origType": T,
    "updateTime": N,
    "workingType": T,
    "priceProtect": B,
    "priceMatch": T,
    "selfTradePreventionMode": T,
    "goodTillDate": N,
}
_DONE = {"code": N, "msg": T}
_QUERIED = {**{name: kind for name, kind in _STATE.items() if name != "cumQty"}, "time": N}
_ALGO: dict[str, Any] = {
    "algoId": N,
    "clientAlgoId": T,
    "algoType": T,
    "orderType": T,
    "symbol": T,
    "side": T,
    "positionSide": T,
    "timeInForce": T,
    "quantity": T,
    "algoStatus": T,
    "triggerPrice": T,
    "price": T,
    "icebergQuantity": None,
    "selfTradePreventionMode": T,
    "workingType": T,
    "priceMatch": T,
    "closePosition": B,
    "priceProtect": B,
    "reduceOnly": B,
    "createTime": N,
    "updateTime": N,
    "triggerTime": N,
    "goodTillDate": N,
}
_ALGO_LISTED = {
    **_ALGO,
    "actualOrderId": T,
    "actualPrice": T,
    "tpTriggerPrice": T,
    "tpPrice": T,
    "slTriggerPrice": T,
    "slPrice": T,
    "tpOrderType": T,
}
_TRAILING = {
    "[].activatePrice": "trailing stops carry it",
    "[].callbackRate": "trailing stops carry it",
}
_ASSET = {
    "asset": T,
    "walletBalance": T,
    "unrealizedProfit": T,
    "marginBalance": T,
    "maintMargin": T,
    "initialMargin": T,
    "positionInitialMargin": T,
    "openOrderInitialMargin": T,
    "crossWalletBalance": T,
    "crossUnPnl": T,
    "availableBalance": T,
    "maxWithdrawAmount": T,
    "updateTime": N,
}
_FILTERS = [
    {"filterType": T, "minPrice": T, "maxPrice": T, "tickSize": T},
    {"filterType": T, "minQty": T, "maxQty": T, "stepSize": T},
    {"filterType": T, "limit": N},
    {"filterType": T, "notional": T},
    {"filterType": T, "multiplierUp": T, "multiplierDown": T, "multiplierDecimal": T},
]

DOCUMENTED: dict[str, tuple[Any, dict[str, str]]] = {
    "account v3": (
        {
            "totalInitialMargin": T,
            "totalMaintMargin": T,
            "totalWalletBalance": T,
            "totalUnrealizedProfit": T,
            "totalMarginBalance": T,
            "totalPositionInitialMargin": T,
            "totalOpenOrderInitialMargin": T,
            "totalCrossWalletBalance": T,
            "totalCrossUnPnl": T,
            "availableBalance": T,
            "maxWithdrawAmount": T,
            "assets": [_ASSET],
            "positions": [
                {
                    "symbol": T,
                    "positionSide": T,
                    "positionAmt": T,
                    "unrealizedProfit": T,
                    "isolatedMargin": T,
                    "notional": T,
                    "isolatedWallet": T,
                    "initialMargin": T,
                    "maintMargin": T,
                    "updateTime": N,
                }
            ],
        },
        {},
    ),
    "balance": (
        [
            {
                "accountAlias": T,
                "asset": T,
                "balance": T,
                "crossWalletBalance": T,
                "crossUnPnl": T,
                "availableBalance": T,
                "maxWithdrawAmount": T,
                "marginAvailable": B,
                "updateTime": N,
            }
        ],
        {},
    ),
    "position risk v3": (
        [
            {
                "symbol": T,
                "positionSide": T,
                "positionAmt": T,
                "entryPrice": T,
                "breakEvenPrice": T,
                "markPrice": T,
                "unRealizedProfit": T,
                "liquidationPrice": T,
                "isolatedMargin": T,
                "notional": T,
                "marginAsset": T,
                "isolatedWallet": T,
                "initialMargin": T,
                "maintMargin": T,
                "positionInitialMargin": T,
                "openOrderInitialMargin": T,
                "adl": N,
                "bidNotional": T,
                "askNotional": T,
                "updateTime": N,
            }
        ],
        {},
    ),
    "account config": (
        {
            "feeTier": N,
            "canTrade": B,
            "canDeposit": B,
            "canWithdraw": B,
            "dualSidePosition": B,
            "updateTime": N,
            "multiAssetsMargin": B,
            "tradeGroupId": N,
        },
        {},
    ),
    "leverage bracket": (
        [
            {
                "symbol": T,
                "notionalCoef": N,
                "brackets": [
                    {
                        "bracket": N,
                        "initialLeverage": N,
                        "notionalCap": N,
                        "notionalFloor": N,
                        "maintMarginRatio": N,
                        "cum": N,
                    }
                ],
            }
        ],
        {},
    ),
    "commission rate": (
        {"symbol": T, "makerCommissionRate": T, "takerCommissionRate": T, "rpiCommissionRate": T},
        {},
    ),
    "income": (
        [
            {
                "symbol": T,
                "incomeType": T,
                "income": T,
                "asset": T,
                "info": T,
                "time": N,
                "tranId": N,
                "tradeId": T,
            }
        ],
        {},
    ),
    "new order": (_STATE, {}),
    "amended order": (
        _STATE | {"pair": T, "modifyId": N},
        {},
    ),
    "cancelled order": (_STATE, {}),
    "open orders": ([_QUERIED], {}),
    "all orders": ([_QUERIED], {}),
    "new algo order": ({**_ALGO, "activatePrice": T, "callbackRate": T}, {}),
    "algo order": (
        {**_ALGO, "actualOrderId": T, "actualPrice": T, "actualType": T, "actualQty": T, "tpOrderType": T},
        {},
    ),
    "cancelled algo order": ({"algoId": N, "clientAlgoId": T, "code": T, "msg": T}, {}),
    "all algo orders": ([_ALGO_LISTED], _TRAILING),
    "exchange info": (
        {
            "exchangeFilters": [],
            "rateLimits": [{"interval": T, "intervalNum": N, "limit": N, "rateLimitType": T}],
            "serverTime": N,
            "assets": [
                {"asset": T, "marginAvailable": B, "autoAssetExchange": T},
                {"asset": T, "marginAvailable": B, "autoAssetExchange": None},
            ],
            "symbols": [
                {
                    "symbol": T,
                    "pair": T,
                    "contractType": T,
                    "deliveryDate": N,
                    "onboardDate": N,
                    "status": T,
                    "maintMarginPercent": T,
                    "requiredMarginPercent": T,
                    "baseAsset": T,
                    "quoteAsset": T,
                    "marginAsset": T,
                    "pricePrecision": N,
                    "quantityPrecision": N,
                    "baseAssetPrecision": N,
                    "quotePrecision": N,
                    "underlyingType": T,
                    "underlyingSubType": [T],
                    "settlePlan": N,
                    "triggerProtect": T,
                    "filters": _FILTERS,
                    "orderTypes": [T],
                    "timeInForce": [T],
                    "liquidationFee": T,
                    "marketTakeBound": T,
                }
            ],
            "timezone": T,
        },
        {
            "futuresType": "sent by the venue, not documented",
            "symbols[].maxMoveOrderLimit": "sent by the venue, not documented",
        },
    ),
    "time": ({"serverTime": N}, {}),
    "leverage": ({"symbol": T, "leverage": N, "maxNotionalValue": T}, {}),
    "margin type": (_DONE, {}),
    "position mode": ({"dualSidePosition": B}, {}),
    "multi-assets mode": ({"multiAssetsMargin": B}, {}),
    "fee burn": ({"feeBurn": B}, {}),
    "order rate limit": ([{"rateLimitType": T, "interval": T, "intervalNum": N, "limit": N}], {}),
    "position margin": (_DONE | {"amount": N, "type": N}, {}),
    "open order": (_QUERIED, {}),
    "cancelled orders": (_DONE, {}),
    "cancelled algo orders": (_DONE, {}),
    "listen key": ({"listenKey": T}, {}),
    "force orders": (
        [
            {
                "orderId": N,
                "symbol": T,
                "status": T,
                "clientOrderId": T,
                "price": T,
                "avgPrice": T,
                "origQty": T,
                "executedQty": T,
                "cumQuote": T,
                "timeInForce": T,
                "type": T,
                "reduceOnly": B,
                "closePosition": B,
                "side": T,
                "positionSide": T,
                "stopPrice": T,
                "workingType": T,
                "origType": T,
                "time": N,
                "updateTime": N,
            }
        ],
        {},
    ),
    "premium index": (
        {
            "symbol": T,
            "markPrice": T,
            "indexPrice": T,
            "estimatedSettlePrice": T,
            "lastFundingRate": T,
            "interestRate": T,
            "nextFundingTime": N,
            "time": N,
        },
        {},
    ),
    "ticker price": ({"symbol": T, "price": T, "time": N}, {}),
    "ticker 24h": (
        {
            "symbol": T,
            "priceChange": T,
            "priceChangePercent": T,
            "weightedAvgPrice": T,
            "lastPrice": T,
            "lastQty": T,
            "openPrice": T,
            "highPrice": T,
            "lowPrice": T,
            "volume": T,
            "quoteVolume": T,
            "openTime": N,
            "closeTime": N,
            "firstId": N,
            "lastId": N,
            "count": N,
        },
        {},
    ),
    "book ticker": ({"symbol": T, "bidPrice": T, "bidQty": T, "askPrice": T, "askQty": T, "time": N}, {}),
    "depth": ({"lastUpdateId": N, "E": N, "T": N, "bids": [[T, T]], "asks": [[T, T]]}, {}),
    "MARGIN_CALL": (
        {
            "e": T,
            "E": N,
            "cw": T,
            "p": [{"s": T, "ps": T, "pa": T, "mt": T, "iw": T, "mp": T, "up": T, "mm": T}],
        },
        {},
    ),
    "ACCOUNT_CONFIG_UPDATE": ({"e": T, "E": N, "T": N, "ac": {"s": T, "l": N}}, {}),
    "listenKeyExpired": (
        {"e": T, "E": T, "listenKey": T},
        {"E": "a number, as in all other messages and in the venue's own client; the page shows a text"},
    ),
    "markPriceUpdate": ({"e": T, "E": N, "s": T, "p": T, "i": T, "P": T, "r": T, "T": N}, {}),
}
