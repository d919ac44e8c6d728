"""Every answer and message has the keys and value types of the recorded payload of its kind and of the documentation.

The tables name each deliberate difference with its reason; a difference that they do not name fails, and so does a
reason whose difference is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from bybit_client import Client
from docs_section import check_section
from shapes import differences, recorded, unexplained

from trueup.sim.world import World

NULLS = "the recording has null where the venue's documentation and its live answers have an empty text"
NEWER = "a field that the venue's documentation of 2026 lists and the older recording lacks"
ENVELOPE = "the recording was cut before the envelope's last fields"
DOCUMENTED_NAME = "the documentation and the REST answer write totalPerpUPL"

ORDER_NEWER = (
    "createType",
    "parentOrderLinkId",
    "marketUnit",
    "ocoTriggerBy",
    "slippageToleranceType",
    "slippageTolerance",
    "extraFees",
    "cumFeeDetail",
)
ORDER_NULLS = ("blockTradeId", "avgPrice", "orderIv")
DELIBERATE: dict[str, dict[str, str]] = {
    "http_get_account_info.json": {"retExtInfo": ENVELOPE, "time": ENVELOPE},
    "http_get_executions.json": {"result.list[].execFeeV2": NEWER, "result.list[].extraFees": NEWER},
    "http_get_positions.json": {
        f"result.list[].{name}": NEWER
        for name in ("breakEvenPrice", "positionIMByMp", "positionMMByMp", "sessionAvgPrice", "openTime")
    },
    "http_get_orders_realtime.json": {
        "result.category": NEWER,
        **{f"result.list[].{name}": NULLS for name in ORDER_NULLS},
        **{f"result.list[].{name}": NEWER for name in ORDER_NEWER},
    },
    "ws_account_execution.json": {
        f"data[].{name}": NEWER
        for name in ("execFeeV2", "marketUnit", "execPnl", "createType", "extraFees", "feeCurrency")
    },
    "ws_account_position.json": {f"data[].{name}": NEWER for name in ("breakEvenPrice", "openTime")},
    "ws_account_wallet.json": {
        "data[].totalPerpUpl": DOCUMENTED_NAME,
        "data[].totalPerpUPL": DOCUMENTED_NAME,
        "data[].accountType": NEWER,
        **{
            f"data[].{name}": NEWER
            for name in (
                "accountIMRateByMp",
                "accountMMRateByMp",
                "totalInitialMarginByMp",
                "totalMaintenanceMarginByMp",
            )
        },
        **{
            f"data[].coin[].{name}": NEWER
            for name in (
                "usdValue",
                "locked",
                "spotHedgingQty",
                "unrealisedPnl",
                "cumRealisedPnl",
                "bonus",
                "marginCollateral",
                "collateralSwitch",
                "colRes",
            )
        },
    },
    "ws_account_order.json": {
        f"data[].{name}": NEWER
        for name in (
            *(name for name in ORDER_NEWER if name != "createType"),
            "closedPnl",
            "isLeverage",
            "rpiTakerAccess",
            "rpiMatchedQty",
        )
    },
}
DELIBERATE["http_get_orders_history.json"] = DELIBERATE["http_get_orders_realtime.json"]
DELIBERATE["http_get_orders_realtime_tp_sl.json"] = DELIBERATE["http_get_orders_realtime.json"]
DELIBERATE["ws_account_order_filled.json"] = DELIBERATE["ws_account_order.json"]
DELIBERATE["ws_account_order_stop_loss.json"] = DELIBERATE["ws_account_order.json"]


def lived(world: World, client: Client) -> None:
    """A little of everything: fills, an open order, a stop, attached stops, a cancelled order."""
    client.order("BTCUSDT", "Buy", "0.010", stopLoss="55000", takeProfit="70000")
    client.order("ETHUSDT", "Sell", "1")
    world.close_position("main", "ETHUSDT")
    client.order("BTCUSDT", "Sell", "0.010", triggerPrice="58000", triggerDirection=2, reduceOnly=True)
    client.order("BTCUSDT", "Buy", "0.010", orderType="Limit", price="50000")
    order_id = client.order("BTCUSDT", "Buy", "0.010", orderType="Limit", price="50001").result["orderId"]
    client.post("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId=order_id)


def check(name: str, produced: Any) -> None:
    recordings = [recorded("bybit_v5", name)]
    allowed = DELIBERATE.get(name, {})
    found = differences(recordings, produced)
    assert unexplained(found, allowed) == {}
    stale = [path for path in allowed if not any(path == known or known.startswith(path) for known in found)]
    assert stale == [], "remove these reasons: the difference is gone"


@pytest.mark.parametrize(
    ("name", "path", "params"),
    [
        ("http_get_account_info.json", "/v5/account/info", {}),
        ("http_get_positions.json", "/v5/position/list", {"category": "linear", "settleCoin": "USDT"}),
        ("http_get_executions.json", "/v5/execution/list", {"category": "linear"}),
        ("http_get_orders_history.json", "/v5/order/history", {"category": "linear"}),
        ("http_get_orders_realtime.json", "/v5/order/realtime", {"category": "linear", "symbol": "BTCUSDT"}),
        (
            "http_get_orders_realtime_tp_sl.json",
            "/v5/order/realtime",
            {"category": "linear", "symbol": "BTCUSDT", "orderFilter": "StopOrder"},
        ),
    ],
)
def test_answers_have_the_recorded_shape(
    world: World, client: Client, name: str, path: str, params: dict[str, str]
) -> None:
    lived(world, client)
    check(name, client.get(path, **params).body)


def test_an_empty_position_has_the_recorded_shape(client: Client) -> None:
    check("http_get_positions.json", client.get("/v5/position/list", category="linear", symbol="SOLUSDT").body)


@pytest.mark.parametrize(
    ("name", "topic", "status"),
    [
        ("ws_account_position.json", "position", None),
        ("ws_account_execution.json", "execution", None),
        ("ws_account_wallet.json", "wallet", None),
        ("ws_account_order.json", "order", "Cancelled"),
        ("ws_account_order_filled.json", "order", "Filled"),
        ("ws_account_order_stop_loss.json", "order", "Untriggered"),
    ],
)
def test_messages_have_the_recorded_shape(
    world: World, client: Client, name: str, topic: str, status: str | None
) -> None:
    listener = client.stream(topic)
    lived(world, client)
    messages = listener.heard()
    assert messages
    checked = 0
    for message in messages:
        if status is None or message["data"][0]["orderStatus"] == status:
            check(name, message)
            checked += 1
    assert checked


DOCUMENTED: dict[str, tuple[str, str]] = {
    "/v5/market/time": ("", "timeSecond timeNano"),
    "/v5/market/instruments-info": (
        "list",
        "symbol symbolId contractType status baseCoin quoteCoin symbolType launchTime deliveryTime deliveryFeeRate "
        "priceScale leverageFilter priceFilter lotSizeFilter unifiedMarginTrade fundingInterval settleCoin copyTrading "
        "upperFundingRate lowerFundingRate displayName forbidUplWithdrawal riskParameters isPreListing preListingInfo",
    ),
    "/v5/market/tickers": (
        "list",
        "symbol lastPrice indexPrice markPrice prevPrice24h price24hPcnt highPrice24h lowPrice24h prevPrice1h "
        "openInterest openInterestValue turnover24h volume24h fundingRate nextFundingTime predictedDeliveryPrice "
        "basisRate deliveryFeeRate deliveryTime ask1Size bid1Price ask1Price bid1Size basis preOpenPrice preQty "
        "curPreListingPhase fundingIntervalHour basisRateYear fundingCap",
    ),
    "/v5/position/closed-pnl": (
        "list",
        "symbol orderId side qty orderPrice orderType execType closedSize cumEntryValue avgEntryPrice cumExitValue "
        "avgExitPrice closedPnl fillCount leverage openFee closeFee createdTime updatedTime",
    ),
    "/v5/account/transaction-log": (
        "list",
        "id symbol category side transactionTime type transSubType qty size currency tradePrice funding fee cashFlow "
        "change cashBalance feeRate bonusChange tradeId orderId orderLinkId extraFees",
    ),
    "/v5/account/wallet-balance": (
        "list",
        "accountType accountIMRate accountMMRate totalEquity totalWalletBalance totalMarginBalance "
        "totalAvailableBalance totalPerpUPL totalInitialMargin totalMaintenanceMargin accountIMRateByMp "
        "accountMMRateByMp totalInitialMarginByMp totalMaintenanceMarginByMp accountLTV coin",
    ),
    "/v5/account/fee-rate": ("list", "symbol takerFeeRate makerFeeRate"),
    "/v5/user/query-api": (
        "",
        "id note apiKey readOnly secret permissions ips type deadlineDay expiredAt createdAt unified uta userID "
        "inviterID vipLevel mktMakerLevel affiliateID rsaPublicKey isMaster parentUid kycLevel kycRegion",
    ),
}
TEXTS_EVERYWHERE = {
    "/v5/position/closed-pnl": (),
    "/v5/account/transaction-log": (),
    "/v5/market/tickers": (),
}


@pytest.mark.parametrize("path", DOCUMENTED)
def test_answers_have_the_documented_fields(world: World, client: Client, path: str) -> None:
    lived(world, client)
    params = {} if path.endswith(("time", "query-api")) else {"category": "linear"}
    if path.endswith(("balance", "log")):
        params = {"accountType": "UNIFIED"}
    where, names = DOCUMENTED[path]
    result = client.get(path, **params).result
    rows: Iterable[dict[str, Any]] = result[where] if where else [result]
    for row in rows:
        assert set(names.split()) <= set(row)
        if path in TEXTS_EVERYWHERE:
            assert {type(value) for value in row.values()} == {str}


def test_the_documentation_lists_the_differences() -> None:
    grouped: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for name, table in DELIBERATE.items():
        alike = tuple(other for other, same in DELIBERATE.items() if same is table)
        if name == alike[0]:
            for path, why in table.items():
                grouped.setdefault((alike, why), []).append(path)
    rows = [
        f"| {', '.join(_kind(name) for name in kinds)} | {', '.join(f'`{path}`' for path in paths)} | {why} |"
        for (kinds, why), paths in grouped.items()
    ]
    check_section("venue-bybit.md", "differences", ["| payload | fields | why |", "|---|---|---|", *rows])


def _kind(name: str) -> str:
    return name.removesuffix(".json").removeprefix("http_get_").replace("ws_account_", "message ").replace("_", " ")
