"""Answers as the venues' documentation of 2026 lists their fields: names and types, with placeholder values.

A text is "", a number 0, a truth False; a list holds one row. What a wire adds or leaves out stands beside the sample
with its reason, and a reason that explains nothing any more fails the test.
"""

from __future__ import annotations

from typing import Any

Sample = tuple[Any, dict[str, str]]

SENT = "sent by the venue, not documented"
WHOLE_ROW = "the position as its own endpoint shows it; the page of 2026 names its older fields"
NOTHING_MADE = "the page shows an order; none is made, so none is told"


def texts(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), "")


def numbers(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), 0)


def flags(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), False)


ORDER_IDS = texts("orderId orderLinkId")
PERMISSIONS = (
    "ContractTrade Spot Options Derivatives Exchange Earn Wallet CopyTrading BlockTrade NFT Affiliate FiatP2P "
    "FiatConvertBroker FiatGlobalPay FiatBitPay BitCard ByXPost"
)
ROW_FIELDS = (
    "tradeMode tpslMode isReduceOnly mmrSysUpdatedTime leverageSysUpdatedTime sessionAvgPrice side adlRankIndicator "
    "positionBalance breakEvenPrice positionIMByMp positionMMByMp curRealisedPnl seq openTime"
)
BATCHED = {"list": [{**texts("category symbol"), **ORDER_IDS}]}
CODES = {"list": [{"code": 0, "msg": ""}]}

BYBIT: dict[tuple[str, str], Sample] = {
    ("GET", "/v5/market/time"): (texts("timeSecond timeNano"), {}),
    ("GET", "/v5/market/orderbook"): ({"s": "", "b": [[""]], "a": [[""]], **numbers("ts u seq cts")}, {}),
    ("GET", "/v5/market/funding/history"): (
        {"category": "", "list": [texts("symbol fundingRate fundingRateTimestamp")]},
        {},
    ),
    ("GET", "/v5/market/instruments-info"): (
        {
            **texts("category nextPageCursor"),
            "list": [
                {
                    **texts("symbol contractType status baseCoin quoteCoin symbolType launchTime deliveryTime"),
                    **texts("deliveryFeeRate priceScale settleCoin copyTrading upperFundingRate lowerFundingRate"),
                    **texts("displayName"),
                    **numbers("symbolId fundingInterval"),
                    **flags("unifiedMarginTrade isPreListing forbidUplWithdrawal"),
                    "leverageFilter": texts("minLeverage maxLeverage leverageStep"),
                    "priceFilter": texts("minPrice maxPrice tickSize"),
                    "lotSizeFilter": texts(
                        "maxOrderQty minOrderQty qtyStep postOnlyMaxOrderQty maxMktOrderQty minNotionalValue"
                    ),
                    "riskParameters": texts("priceLimitRatioX priceLimitRatioY"),
                    "preListingInfo": None,
                }
            ],
        },
        {},
    ),
    ("GET", "/v5/market/tickers"): (
        {
            "category": "",
            "list": [
                texts(
                    "symbol lastPrice indexPrice markPrice prevPrice24h price24hPcnt highPrice24h lowPrice24h "
                    "prevPrice1h openInterest openInterestValue turnover24h volume24h fundingRate nextFundingTime "
                    "predictedDeliveryPrice basisRate basis basisRateYear deliveryFeeRate deliveryTime bid1Price "
                    "bid1Size ask1Price ask1Size preOpenPrice preQty curPreListingPhase fundingIntervalHour "
                    "fundingCap singleOpenInterest singleOpenInterestValue"
                )
            ],
        },
        {},
    ),
    ("GET", "/v5/asset/coin/query-info"): (
        {
            "rows": [
                {
                    **texts("name coin remainAmount"),
                    "chains": [
                        texts(
                            "chain chainType confirmation withdrawFee depositMin withdrawMin minAccuracy chainDeposit "
                            "chainWithdraw withdrawPercentageFee contractAddress safeConfirmNumber"
                        )
                    ],
                }
            ]
        },
        {},
    ),
    ("GET", "/v5/account/fee-rate"): (
        {"list": [texts("symbol takerFeeRate makerFeeRate baseCoin")]},
        {},
    ),
    ("GET", "/v5/account/wallet-balance"): (
        {
            "list": [
                {
                    **texts("accountType accountIMRate accountMMRate accountIMRateByMp accountMMRateByMp accountLTV"),
                    **texts("totalEquity totalWalletBalance totalMarginBalance totalAvailableBalance totalPerpUPL"),
                    **texts("totalInitialMargin totalMaintenanceMargin totalInitialMarginByMp"),
                    **texts("totalMaintenanceMarginByMp"),
                    "coin": [
                        {
                            **texts("coin equity usdValue walletBalance locked spotHedgingQty borrowAmount"),
                            **texts("accruedInterest totalOrderIM totalPositionIM totalPositionMM unrealisedPnl"),
                            **texts("cumRealisedPnl bonus colRes spotBorrow availableToWithdraw availableToBorrow"),
                            **flags("marginCollateral collateralSwitch"),
                        }
                    ],
                }
            ]
        },
        {},
    ),
    ("GET", "/v5/account/transaction-log"): (
        {
            "nextPageCursor": "",
            "list": [
                texts(
                    "id symbol category side transactionTime type transSubType qty size currency tradePrice funding fee "
                    "cashFlow change cashBalance feeRate bonusChange tradeId orderId orderLinkId extraFees"
                )
            ],
        },
        {},
    ),
    ("GET", "/v5/position/closed-pnl"): (
        {
            **texts("category nextPageCursor"),
            "list": [
                texts(
                    "symbol orderId side qty orderPrice orderType execType closedSize cumEntryValue avgEntryPrice "
                    "cumExitValue avgExitPrice closedPnl fillCount leverage openFee closeFee createdTime updatedTime"
                )
            ],
        },
        {},
    ),
    ("GET", "/v5/user/query-api"): (
        {
            **texts("id note apiKey secret expiredAt createdAt vipLevel mktMakerLevel rsaPublicKey parentUid kycLevel"),
            **texts("kycRegion"),
            **numbers("readOnly type deadlineDay unified uta userID inviterID affiliateID"),
            **flags("isMaster"),
            "ips": [""],
            "permissions": {name: [""] for name in PERMISSIONS.split()},
        },
        {"userIDInt64": SENT, "inviterIDInt64": SENT, "affiliateIDInt64": SENT},
    ),
    ("POST", "/v5/order/create"): (ORDER_IDS, {}),
    ("POST", "/v5/order/amend"): (ORDER_IDS, {}),
    ("POST", "/v5/order/cancel"): (ORDER_IDS, {}),
    ("POST", "/v5/order/cancel-all"): ({"list": [ORDER_IDS], "success": ""}, {}),
    ("POST", "/v5/order/create-batch"): (
        {"list": [{**texts("category symbol createAt"), **ORDER_IDS}]},
        {},
    ),
    ("POST", "/v5/order/amend-batch"): (BATCHED, {}),
    ("POST", "/v5/order/cancel-batch"): (BATCHED, {}),
    ("POST", "/v5/position/trading-stop"): ({}, {}),
    ("POST", "/v5/position/set-leverage"): ({}, {}),
    ("POST", "/v5/position/switch-mode"): ({}, {}),
    ("POST", "/v5/position/switch-isolated"): ({}, {}),
    ("POST", "/v5/position/add-margin"): (
        {
            **texts("category symbol riskLimitValue size avgPrice liqPrice bustPrice markPrice positionValue leverage"),
            **texts("positionStatus positionIM positionMM takeProfit stopLoss trailingStop unrealisedPnl"),
            **texts("cumRealisedPnl createdTime updatedTime"),
            **numbers("positionIdx riskId autoAddMargin"),
        },
        dict.fromkeys(ROW_FIELDS.split(), WHOLE_ROW),
    ),
    ("POST", "/v5/account/set-margin-mode"): ({"reasons": [texts("reasonCode reasonMsg")]}, {}),
}
BYBIT_MESSAGES: dict[str, Sample] = {
    "tickers": (
        {
            **texts("topic type"),
            **numbers("cs ts"),
            "data": texts(
                "symbol tickDirection price24hPcnt lastPrice prevPrice24h highPrice24h lowPrice24h prevPrice1h "
                "markPrice indexPrice openInterest openInterestValue turnover24h volume24h nextFundingTime fundingRate "
                "bid1Price bid1Size ask1Price ask1Size preOpenPrice preQty curPreListingPhase fundingIntervalHour "
                "fundingCap"
            ),
        },
        {},
    ),
    "auth": ({**flags("success"), **texts("ret_msg op conn_id req_id")}, {}),
    "subscribe": ({**flags("success"), **texts("ret_msg op conn_id req_id")}, {}),
    "public ping": ({**flags("success"), **texts("ret_msg op conn_id req_id")}, {}),
    "private ping": ({**texts("op conn_id req_id"), "args": [""]}, {}),
}
TESTED_ORDER = {
    **texts(
        "clientOrderId cumQty cumQuote executedQty avgPrice origQty price side positionSide status stopPrice symbol"
    ),
    **texts("timeInForce type origType workingType priceMatch selfTradePreventionMode"),
    **numbers("orderId updateTime goodTillDate"),
    **flags("reduceOnly closePosition priceProtect"),
}
BINANCE: dict[tuple[str, str], Sample] = {
    ("GET", "/fapi/v1/ping"): ({}, {}),
    ("GET", "/fapi/v1/fundingInfo"): (
        [
            {
                **texts("symbol adjustedFundingRateCap adjustedFundingRateFloor"),
                "fundingIntervalHours": 0,
                "disclaimer": False,
            }
        ],
        {},
    ),
    ("GET", "/fapi/v2/ticker/price"): ({**texts("symbol price"), "time": 0}, {}),
    ("POST", "/fapi/v1/order/test"): (TESTED_ORDER, dict.fromkeys(TESTED_ORDER, NOTHING_MADE)),
    ("GET", "/sapi/v1/account/apiRestrictions"): (
        {
            "createTime": 0,
            **flags("ipRestrict enableReading enableWithdrawals enableInternalTransfer enableMargin enableFutures"),
            **flags("permitsUniversalTransfer enableVanillaOptions enableFixApiTrade enableFixReadOnly"),
            **flags("enableSpotAndMarginTrading enablePortfolioMarginTrading"),
        },
        {},
    ),
    ("GET", "/sapi/v1/capital/config/getall"): ([], {}),
    ("GET", "/sapi/v1/margin/allPairs"): ([], {}),
}
