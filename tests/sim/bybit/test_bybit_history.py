"""Executions, closed PnL, order history, transaction log and balances."""

from __future__ import annotations

from decimal import Decimal

import pytest
from bybit_client import Client

from trueup.sim.world import World

DAY_MS = 86_400_000


def test_every_execution_type_is_in_the_trade_history(world: World, client: Client) -> None:
    dated = next(spec.symbol for spec in world.instruments("bybit") if spec.expiry_ms and not spec.inverse)
    inverse_dated = next(spec.symbol for spec in world.instruments("bybit") if spec.expiry_ms and spec.inverse)
    for symbol, quantity in (("BTCUSDT", "0.01"), ("ETHUSDT", "1"), (dated, "0.01")):
        client.order(symbol, "Buy", quantity)
    client.order(inverse_dated, "Buy", "100")
    world.fund("BTCUSDT", venue="bybit")
    world.liquidate("main", "BTCUSDT")
    world.auto_deleverage("main", "ETHUSDT", quantity="0.4")
    world.settle(dated)
    world.settle(inverse_dated)
    rows = client.get("/v5/execution/list", category="linear", limit=100).rows
    kinds = [(row["execType"], row["createType"]) for row in rows if row["execType"] != "Trade"]
    assert sorted(kinds) == [
        ("AdlTrade", "CreateByAdl_PassThrough"),
        ("BustTrade", "CreateByTakeOver_PassThrough"),
        ("Delivery", "CreateBySettle"),
        ("Funding", ""),
    ]
    inverse_rows = client.get("/v5/execution/list", category="inverse").rows
    assert [row["execType"] for row in inverse_rows] == ["Settle", "Trade"]
    only = client.get("/v5/execution/list", category="linear", execType="BustTrade").row
    assert (only["side"], only["closedSize"]) == ("Sell", "0.010")
    assert client.get("/v5/execution/list", category="linear", execType="Bust").code == 10001
    history = client.get("/v5/order/history", category="linear").rows
    assert "CreateBySettle" not in {row["createType"] for row in history}, "delivery is a trade but no order"
    assert {"CreateByTakeOver_PassThrough", "CreateByAdl_PassThrough"} <= {row["createType"] for row in history}


@pytest.mark.parametrize(("side", "fee", "rate"), [("Buy", "0.06", "0.0001"), ("Sell", "-0.06", "-0.0001")])
def test_funding_is_money_of_the_position_s_side(world: World, client: Client, side: str, fee: str, rate: str) -> None:
    client.order("BTCUSDT", side, "0.010")
    world.fund("BTCUSDT", venue="bybit")
    row = client.get("/v5/execution/list", category="linear", execType="Funding").row
    assert (row["side"], row["execFee"], row["feeRate"]) == (side, fee, rate)
    assert (row["execQty"], row["closedSize"], row["orderType"]) == ("0.010", "0", "UNKNOWN")
    log = client.get("/v5/account/transaction-log", type="SETTLEMENT").row
    assert (log["side"], log["feeRate"]) == (side, rate)
    assert Decimal(log["funding"]) == -Decimal(fee) == Decimal(log["change"])


def test_trades_add_up_to_the_position_and_name_what_made_them(client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010", orderLinkId="in")
    client.order("BTCUSDT", "Sell", "0.004", reduceOnly=True, orderLinkId="out")
    newest, oldest = client.get("/v5/execution/list", category="linear", symbol="BTCUSDT").rows
    assert (newest["orderLinkId"], oldest["orderLinkId"]) == ("out", "in")
    assert (newest["closedSize"], oldest["closedSize"]) == ("0.004", "0")
    assert (oldest["execValue"], oldest["execFee"], oldest["feeCurrency"]) == ("600", "0.33", "USDT")
    assert (oldest["isMaker"], oldest["stopOrderType"], oldest["leavesQty"]) == (False, "UNKNOWN", "0")
    by_link = client.get("/v5/execution/list", category="linear", orderLinkId="in").row
    assert by_link == oldest


def test_windows_are_seven_days_wide_at_most(world: World, client: Client) -> None:
    opened_ms = world.now_ms()
    client.order("BTCUSDT", "Buy", "0.010")
    world.set_price("BTCUSDT", "60000", funding_rate="0", venue="bybit")
    world.advance(10 * DAY_MS)
    path, linear = "/v5/execution/list", {"category": "linear", "execType": "Trade"}
    assert client.get(path, **linear).rows == [], "the last seven days when no time is given"
    assert len(client.get(path, **linear, startTime=opened_ms - DAY_MS).rows) == 1, "startTime and seven days"
    assert client.get(path, **linear, startTime=opened_ms - 8 * DAY_MS).rows == []
    assert len(client.get(path, **linear, endTime=opened_ms + DAY_MS).rows) == 1, "seven days before endTime"
    wide = client.get(path, **linear, startTime=opened_ms, endTime=opened_ms + 7 * DAY_MS + 1)
    assert wide.code == 10001
    assert len(client.get(path, **linear, startTime=opened_ms, endTime=opened_ms + 7 * DAY_MS).rows) == 1
    assert client.get(path, **linear, startTime=5, endTime=4).code == 10001


def test_history_pages_join_while_new_rows_arrive(client: Client) -> None:
    for _ in range(5):
        client.order("BTCUSDT", "Buy", "0.001")
    path = "/v5/execution/list"
    whole = [row["execId"] for row in client.get(path, category="linear").rows]
    joined: list[str] = []
    cursor = ""
    while True:
        result = client.get(path, category="linear", limit=2, cursor=cursor).result
        client.order("BTCUSDT", "Buy", "0.001")
        if not result["list"]:
            break
        joined += [row["execId"] for row in result["list"]]
        cursor = result["nextPageCursor"]
    assert joined == whole
    assert result["nextPageCursor"] == ""
    assert client.get(path, category="linear", cursor="nonsense").code == 10001


def test_a_cursor_may_come_back_encoded_once_more(client: Client) -> None:
    for _ in range(3):
        client.order("BTCUSDT", "Buy", "0.001")
    first = client.get("/v5/execution/list", category="linear", limit=2).result
    again = first["nextPageCursor"].replace("%", "%25")
    assert len(client.get("/v5/execution/list", category="linear", limit=2, cursor=again).rows) == 1


def test_closed_pnl_is_one_row_per_closing_order_net_of_fees(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    world.set_price("BTCUSDT", "61000", venue="bybit")
    world.set_liquidity("BTCUSDT", "0.003", venue="bybit")
    closing = client.order("BTCUSDT", "Sell", "0.006", reduceOnly=True).result
    row = client.get("/v5/position/closed-pnl", category="linear").row
    assert (row["orderId"], row["side"]) == (closing["orderId"], "Sell"), "the closing order's side: it closed a long"
    assert (row["qty"], row["closedSize"], row["fillCount"]) == ("0.006", "0.006", "2")
    entry, exit_value = Decimal("360"), Decimal("0.003") * (61_000 + Decimal("60999.9"))
    fees = Decimal(row["openFee"]) + Decimal(row["closeFee"])
    assert (Decimal(row["cumEntryValue"]), Decimal(row["cumExitValue"])) == (entry, exit_value)
    assert Decimal(row["closedPnl"]) == exit_value - entry - fees
    assert fees == Decimal("0.198") + Decimal(row["closeFee"])
    assert (row["avgEntryPrice"], row["avgExitPrice"], row["execType"]) == ("60000", "60999.95", "Trade")


def test_order_history_forgets_cancelled_orders_after_a_day(world: World, client: Client) -> None:
    order_id = client.order("BTCUSDT", "Buy", "0.01", orderType="Limit", price="50000").result["orderId"]
    client.post("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId=order_id)
    filled = client.order("BTCUSDT", "Buy", "0.01").result["orderId"]
    path = "/v5/order/history"
    assert len(client.get(path, category="linear").rows) == 2
    cancelled = client.get(path, category="linear", orderStatus="Cancelled").row
    assert cancelled["orderId"] == order_id
    world.advance(2 * DAY_MS)
    assert [row["orderId"] for row in client.get(path, category="linear").rows] == [filled]
    assert client.get(path, category="linear", orderId=order_id).rows == []


def test_realtime_shows_ended_orders_when_asked(client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.01")
    client.order("BTCUSDT", "Buy", "0.01", orderType="Limit", price="50000")
    assert [row["orderStatus"] for row in client.open_orders()] == ["New"]
    assert [row["orderStatus"] for row in client.open_orders(openOnly=1)] == ["Filled"]
    assert client.get("/v5/order/realtime", category="linear").code == 10001
    assert len(client.get("/v5/order/realtime", category="linear", baseCoin="BTC").rows) == 1


def test_open_orders_page_by_twenty(client: Client) -> None:
    for number in range(23):
        client.order("BTCUSDT", "Buy", "0.001", orderType="Limit", price=str(50_000 + number))
    first = client.get("/v5/order/realtime", category="linear", symbol="BTCUSDT").result
    assert len(first["list"]) == 20
    rest = client.get("/v5/order/realtime", category="linear", symbol="BTCUSDT", cursor=first["nextPageCursor"]).result
    prices = [row["price"] for row in first["list"] + rest["list"]]
    assert prices == [f"{50_000 + number}.00" for number in reversed(range(23))], "newest first"
    assert client.get("/v5/order/realtime", category="linear", symbol="BTCUSDT", limit=51).code == 10001


def test_the_log_adds_up_to_the_wallet(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    world.set_price("BTCUSDT", "61000", venue="bybit")
    world.fund("BTCUSDT", venue="bybit")
    world.transfer("main", "USDT", "-50")
    client.order("BTCUSDT", "Sell", "0.010", reduceOnly=True)
    rows = client.get("/v5/account/transaction-log", accountType="UNIFIED", currency="USDT").rows
    assert [row["type"] for row in rows] == ["TRADE", "TRANSFER_OUT", "SETTLEMENT", "TRADE", "TRANSFER_IN"]
    for row in rows:
        parts = Decimal(row["cashFlow"]) + Decimal(row["funding"] or 0) - Decimal(row["fee"])
        assert parts == Decimal(row["change"])
    assert sum(Decimal(row["change"]) for row in rows) == Decimal(rows[0]["cashBalance"])
    assert (rows[0]["cashFlow"], rows[0]["size"], rows[3]["size"]) == ("10", "0", "0.010")
    coin = client.get("/v5/account/wallet-balance", accountType="UNIFIED", coin="USDT").row["coin"][0]
    assert coin["walletBalance"] == rows[0]["cashBalance"]


def test_fees_in_another_coin_are_rows_of_that_coin(world: World, client: Client) -> None:
    world.add_account("mnt", "bybit", fee_asset="MNT", fee_asset_price="0.5", balances={"USDT": "1000", "MNT": "100"})
    payer = Client.of(world, client.wire, "mnt")
    payer.order("BTCUSDT", "Buy", "0.010")
    fill = payer.get("/v5/execution/list", category="linear").row
    assert (fill["feeCurrency"], fill["execFee"]) == ("MNT", "0.66")
    order = payer.get("/v5/order/history", category="linear").row
    assert order["cumFeeDetail"] == {"MNT": "0.66"}
    row = payer.get("/v5/account/transaction-log", currency="MNT", type="TRADE").row
    assert (row["fee"], row["change"], row["cashBalance"]) == ("0.66", "-0.66", "99.34")


def test_the_log_looks_back_a_day_unless_told(world: World, client: Client) -> None:
    started_ms = world.now_ms()
    client.order("BTCUSDT", "Buy", "0.010")
    client.order("BTCUSDT", "Sell", "0.010", reduceOnly=True)
    world.advance(3 * DAY_MS)
    path = "/v5/account/transaction-log"
    assert client.get(path).rows == []
    assert len(client.get(path, type="TRADE", startTime=started_ms).rows) == 2
    assert len(client.get(path, startTime=started_ms, endTime=started_ms + 7 * DAY_MS, category="linear").rows) == 2
    assert client.get(path, startTime=started_ms, endTime=started_ms + 8 * DAY_MS).code == 10001
    assert client.get(path, accountType="CONTRACT").code == 10001


def test_balances_show_equity_and_margins(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    client.order("BTCUSDT", "Buy", "0.010", orderType="Limit", price="50000")
    world.set_price("BTCUSDT", "61000", venue="bybit")
    account = client.get("/v5/account/wallet-balance", accountType="UNIFIED").row
    coins = {row["coin"]: row for row in account["coin"]}
    usdt = coins["USDT"]
    assert set(coins) == {"USDT", "USDC", "BTC", "ETH"}
    assert (usdt["walletBalance"], usdt["unrealisedPnl"], usdt["equity"]) == ("99999.67", "10", "100009.67")
    assert (usdt["totalPositionIM"], usdt["totalOrderIM"], usdt["cumRealisedPnl"]) == ("30.5", "25", "-0.33")
    assert coins["BTC"]["usdValue"] == "610000"
    total = sum(Decimal(row["usdValue"]) for row in account["coin"])
    assert Decimal(account["totalEquity"]) == total
    assert account["totalPerpUPL"] == "10"
    one = client.get("/v5/account/wallet-balance", accountType="UNIFIED", coin="USDC").row
    assert [row["coin"] for row in one["coin"]] == ["USDC"]
    assert client.get("/v5/account/wallet-balance", accountType="SPOT").code == 10001


def test_fee_rates_and_coins(client: Client) -> None:
    row = client.get("/v5/account/fee-rate", category="linear", symbol="BTCUSDT").row
    assert (row["takerFeeRate"], row["makerFeeRate"]) == ("0.00055", "0.0002")
    assert len(client.get("/v5/account/fee-rate", category="inverse").rows) == 3
    coins = [row["coin"] for row in client.get("/v5/asset/coin/query-info").result["rows"]]
    assert {"USDT", "USDC", "BTC", "ETH"} <= set(coins)
    assert len(coins) == len(set(coins))


def test_a_withdrawal_right_is_named(world: World, client: Client) -> None:
    assert "Withdraw" not in client.get("/v5/user/query-api").result["permissions"]["Wallet"]
    world.add_account("rich", "bybit", can_withdraw=True)
    rich = Client.of(world, client.wire, "rich")
    assert "Withdraw" in rich.get("/v5/user/query-api").result["permissions"]["Wallet"]


def test_a_portfolio_margin_account_says_so(world: World, client: Client) -> None:
    world.add_account("pm", "bybit", portfolio_margin=True)
    assert Client.of(world, client.wire, "pm").get("/v5/account/info").result["marginMode"] == "PORTFOLIO_MARGIN"


def test_a_look_at_the_past_shows_the_past(world: World, client: Client) -> None:
    client.order("BTCUSDT", "Buy", "0.010")
    before_ms = world.now_ms()
    world.advance(1_000)
    world.close_position("main", "BTCUSDT")
    with world.reading_at(before_ms):
        assert client.get("/v5/position/list", category="linear", symbol="BTCUSDT").row["size"] == "0.010"
        assert len(client.get("/v5/execution/list", category="linear").rows) == 1
        assert client.get("/v5/position/closed-pnl", category="linear").rows == []


def test_the_same_seed_gives_the_same_bytes() -> None:
    from bybit_client import START_MS

    from trueup.sim.bybit import build_wire
    from trueup.sim.world import ManualClock

    def run() -> list[object]:
        world = World(ManualClock(START_MS), seed=3)
        world.add_account("main", "bybit")
        client = Client.of(world, build_wire(world), "main")
        client.order("BTCUSDT", "Buy", "0.010", stopLoss="55000")
        world.follow_random_path()
        world.advance(60_000)
        client.order("BTCUSDT", "Sell", "0.010", reduceOnly=True)
        paths = ("execution/list", "order/history", "position/closed-pnl")
        return [client.get(f"/v5/{path}", category="linear").body for path in paths]

    assert run() == run()
