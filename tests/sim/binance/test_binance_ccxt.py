"""An unmodified ccxt against the served wire: only its URLs are set.

The table of methods in the documentation is what this run found.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import ccxt.async_support
import ccxt.pro
import pytest
from docs_section import check_section

from trueup.sim.binance import BinanceWire, LimitPolicy, build_wire
from trueup.sim.server import VenueServer, served_world
from trueup.sim.world.account import AccountSpec

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
PATIENCE_S = 10


class Served:
    """A server, its world and an account, and clients that speak to it."""

    def __init__(self, server: VenueServer, wire: BinanceWire, account: AccountSpec) -> None:
        self.server = server
        self.world = server.world
        self.wire = wire
        self.account = account

    def client(self, library: Any = ccxt.async_support) -> Any:
        """A `binanceusdm` with nothing set but its key and its hosts."""
        exchange = library.binanceusdm({"apiKey": self.account.api_key, "secret": self.account.api_secret})
        exchange.options["fetchOpenOrders"]["warnWithoutSymbol"] = False  # ccxt's own question, asked at any venue
        for name, url in exchange.urls["api"].items():
            if isinstance(url, str):
                exchange.urls["api"][name] = re.sub("https://[^/]+", self.server.rest_url, url)
        if "ws" in exchange.urls["api"]:
            exchange.urls["api"]["ws"]["linear"] = self.server.ws_url + "/ws"
        return exchange


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    world = served_world(seed=11)
    account = world.add_account("main", "binance")
    wire = build_wire(world)
    async with VenueServer(world, wires=[wire]) as server:
        yield Served(server, wire, account)


async def _positions(exchange: Any) -> dict[str, float]:
    return {p["symbol"]: p["contracts"] * (1 if p["side"] == "long" else -1) for p in await exchange.fetch_positions()}


async def _trigger_ids(exchange: Any, symbol: str | None = BTC) -> set[str]:
    return {order["id"] for order in await exchange.fetch_open_orders(symbol, params={"trigger": True})}


# one function per row of the table; each says in its first line what it shows


async def load_markets(exchange: Any, served: Served) -> None:
    """perpetual, dated, USDC-settled and multiplied contracts, each under its unified symbol"""
    markets = await exchange.load_markets()
    listed = {spec.unified for spec in served.world.instruments("binance")}
    assert set(markets) == listed
    assert markets[BTC]["precision"] == {"amount": 0.001, "price": 0.1, "base": 1e-08, "quote": 1e-08}
    assert {m["symbol"] for m in markets.values() if m["future"]} == {s for s in listed if "-" in s}


async def fetch_time(exchange: Any, served: Served) -> None:
    """the world's time"""
    assert abs(await exchange.fetch_time() - served.world.now_ms()) < PATIENCE_S * 1_000


async def fetch_ticker(exchange: Any, served: Served) -> None:
    """last price"""
    assert (await exchange.fetch_ticker(BTC))["last"] == 60000


async def fetch_tickers(exchange: Any, served: Served) -> None:
    """of every contract that trades"""
    assert set(await exchange.fetch_tickers()) == {spec.unified for spec in served.world.instruments("binance")}


async def fetch_order_book(exchange: Any, served: Served) -> None:
    """one level a tick on either side"""
    book = await exchange.fetch_order_book(BTC, 5)
    assert (book["bids"][0][0], book["asks"][0][0]) == (59999.9, 60000.1)


async def fetch_mark_price(exchange: Any, served: Served) -> None:
    """by `premiumIndex`"""
    assert (await exchange.fetch_mark_price(BTC))["markPrice"] == 60000


async def fetch_funding_rate(exchange: Any, served: Served) -> None:
    """by `premiumIndex`"""
    assert (await exchange.fetch_funding_rate(BTC))["fundingRate"] == 0.0001


async def set_leverage(exchange: Any, served: Served) -> None:
    """of one symbol"""
    await exchange.set_leverage(10, BTC)
    assert served.world.look("main").settings("BTCUSDT").leverage == 10


async def set_margin_mode(exchange: Any, served: Served) -> None:
    """isolated and back"""
    await exchange.set_margin_mode("isolated", ETH)
    with pytest.raises(ccxt.MarginModeAlreadySet):
        await exchange.set_margin_mode("isolated", ETH)
    await exchange.set_margin_mode("cross", ETH)


async def set_position_mode(exchange: Any, served: Served) -> None:
    """hedge and back"""
    await exchange.set_position_mode(True)
    assert (await exchange.fetch_position_mode())["hedged"] is True
    await exchange.set_position_mode(False)


async def fetch_position_mode(exchange: Any, served: Served) -> None:
    """one-way"""
    assert (await exchange.fetch_position_mode())["hedged"] is False


async def fetch_leverages(exchange: Any, served: Served) -> None:
    """by `symbolConfig`"""
    assert (await exchange.fetch_leverages())[BTC]["longLeverage"] == 10


async def fetch_leverage_tiers(exchange: Any, served: Served) -> None:
    """one bracket per contract"""
    tiers = await exchange.fetch_leverage_tiers([BTC])
    assert tiers[BTC][0]["maintenanceMarginRate"] == 0.004


async def fetch_trading_fee(exchange: Any, served: Served) -> None:
    """of the account"""
    fee = await exchange.fetch_trading_fee(BTC)
    assert fee["taker"] == float(served.account.taker_rate)


async def fetch_balance(exchange: Any, served: Served) -> None:
    """per asset"""
    assert (await exchange.fetch_balance())["USDT"]["total"] == 100_000


async def create_order_market(exchange: Any, served: Served) -> None:
    """filled at once, with its average price"""
    order = await exchange.create_order(BTC, "market", "buy", 0.02)
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.02, 60000)


async def create_order_limit(exchange: Any, served: Served) -> None:
    """rests; seen, amended, cancelled"""
    order = await exchange.create_order(BTC, "limit", "buy", 0.01, 50000)
    assert [o["id"] for o in await exchange.fetch_open_orders(BTC)] == [order["id"]]
    assert (await exchange.fetch_order(order["id"], BTC))["status"] == "open"
    edited = await exchange.edit_order(order["id"], BTC, "limit", "buy", 0.02, 50100)
    assert (edited["id"], edited["amount"]) == (order["id"], 0.02)
    assert (await exchange.cancel_order(order["id"], BTC))["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order(order["id"], BTC)


async def create_order_post_only(exchange: Any, served: Served) -> None:
    """rests, or is refused when it would take"""
    order = await exchange.create_order(BTC, "limit", "buy", 0.01, 50000, {"postOnly": True})
    assert order["postOnly"] is True
    with pytest.raises(ccxt.ExchangeError, match="-5022"):
        await exchange.create_order(BTC, "limit", "buy", 0.01, 61000, {"postOnly": True})
    await exchange.cancel_all_orders(BTC)


async def create_order_reduce_only(exchange: Any, served: Served) -> None:
    """closes a part; refused when it would open"""
    await exchange.create_order(BTC, "market", "sell", 0.01, None, {"reduceOnly": True})
    assert (await _positions(exchange))[BTC] == 0.01
    with pytest.raises(ccxt.ExchangeError, match="-2022"):
        await exchange.create_order(BTC, "market", "buy", 0.01, None, {"reduceOnly": True})


async def create_order_stop(exchange: Any, served: Served) -> None:
    """`stopLossPrice`: in the trigger list alone; cancelled with `trigger` alone"""
    stop = await exchange.create_order(BTC, "market", "sell", 0.01, None, {"stopLossPrice": 55000, "reduceOnly": True})
    assert (stop["info"]["orderType"], stop["triggerPrice"], stop["reduceOnly"]) == ("STOP_MARKET", 55000, True)
    assert await exchange.fetch_open_orders(BTC) == []
    assert await _trigger_ids(exchange) == {stop["id"]}
    assert await _trigger_ids(exchange, None) == {stop["id"]}
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order(stop["id"], BTC)
    await exchange.cancel_order(stop["id"], BTC, {"trigger": True})
    assert await _trigger_ids(exchange) == set()


async def create_order_take_profit(exchange: Any, served: Served) -> None:
    """`takeProfitPrice`, at market and with a limit"""
    params = {"takeProfitPrice": 65000, "reduceOnly": True}
    market = await exchange.create_order(BTC, "market", "sell", 0.01, None, params)
    limit = await exchange.create_order(BTC, "limit", "sell", 0.01, 64900, params)
    assert market["info"]["orderType"] == "TAKE_PROFIT_MARKET"
    assert limit["info"]["orderType"] == "TAKE_PROFIT"
    await exchange.cancel_all_orders(BTC, {"trigger": True})
    assert await _trigger_ids(exchange) == set()


async def create_order_close_position(exchange: Any, served: Served) -> None:
    """`closePosition`; a second one in the direction is refused"""
    params = {"stopLossPrice": 55000, "closePosition": True}
    stop = await exchange.create_order(BTC, "market", "sell", 0.01, None, params)
    assert stop["info"]["closePosition"] is True
    with pytest.raises(ccxt.ExchangeError, match="-4130"):
        await exchange.create_order(BTC, "market", "sell", 0.01, None, params)
    await exchange.cancel_order(stop["id"], BTC, {"trigger": True})


async def create_order_trailing(exchange: Any, served: Served) -> None:
    """`trailingPercent` with `trailingTriggerPrice`"""
    params = {"trailingPercent": 1, "trailingTriggerPrice": 61000, "reduceOnly": True}
    order = await exchange.create_order(BTC, "market", "sell", 0.01, None, params)
    assert (order["info"]["orderType"], order["info"]["callbackRate"]) == ("TRAILING_STOP_MARKET", "1")
    await exchange.cancel_order(order["id"], BTC, {"trigger": True})


async def create_order_that_would_trigger(exchange: Any, served: Served) -> None:
    """refused with -2021"""
    with pytest.raises(ccxt.ExchangeError, match="-2021"):
        await exchange.create_order(BTC, "market", "sell", 0.01, None, {"stopLossPrice": 61000})


async def fetch_positions(exchange: Any, served: Served) -> None:
    """what is open, with mark price and margins"""
    (position,) = await exchange.fetch_positions()
    assert (position["symbol"], position["side"], position["contracts"]) == (BTC, "long", 0.01)
    assert (position["entryPrice"], position["markPrice"], position["hedged"]) == (60000, 60000, False)


async def fetch_positions_by_account(exchange: Any, served: Served) -> None:
    """`method: account`, the second surface"""
    positions = await exchange.fetch_positions(None, {"method": "account", "useV2": True})
    assert [(p["symbol"], p["contracts"]) for p in positions if p["contracts"]] == [(BTC, 0.01)]


async def fetch_order_triggered(exchange: Any, served: Served) -> None:
    """a triggered stop is closed in the one list, its child in the other"""
    stop = await exchange.create_order(BTC, "market", "sell", 0.01, None, {"stopLossPrice": 55000, "reduceOnly": True})
    served.world.set_price("BTCUSDT", "54900", venue="binance")
    seen = await exchange.fetch_order(stop["id"], BTC, {"trigger": True})
    assert (seen["status"], seen["info"]["algoStatus"]) == ("closed", "FINISHED")
    child = await exchange.fetch_order(seen["info"]["actualOrderId"], BTC)
    assert (child["status"], child["average"], child["clientOrderId"]) == ("closed", 54900, stop["clientOrderId"])
    assert await _positions(exchange) == {}


async def fetch_my_trades(exchange: Any, served: Served) -> None:
    """with fee and gross PnL in `info`"""
    trades = await exchange.fetch_my_trades(BTC)
    assert [t["side"] for t in trades] == ["buy", "sell", "sell"]
    assert trades[-1]["info"]["realizedPnl"] == "-51.00000000"
    assert trades[-1]["fee"]["currency"] == "USDT"


async def fetch_orders(exchange: Any, served: Served) -> None:
    """history of a symbol, and of its trigger orders"""
    assert {o["status"] for o in await exchange.fetch_orders(BTC)} == {"closed", "canceled"}
    assert len(await exchange.fetch_orders(BTC, params={"trigger": True})) >= 5


async def fetch_ledger(exchange: Any, served: Served) -> None:
    """every movement of money"""
    kinds = {entry["info"]["incomeType"] for entry in await exchange.fetch_ledger()}
    assert kinds == {"TRANSFER", "COMMISSION", "REALIZED_PNL"}


async def fetch_funding_history(exchange: Any, served: Served) -> None:
    """by `income`"""
    await exchange.create_order(BTC, "market", "buy", 0.01)
    served.world.fund("BTCUSDT", venue="binance")
    (payment,) = await exchange.fetch_funding_history(BTC)
    assert payment["amount"] == -0.0549
    await exchange.create_order(BTC, "market", "sell", 0.01, None, {"reduceOnly": True})


async def cancel_all_orders(exchange: Any, served: Served) -> None:
    """of one symbol and one list"""
    await exchange.create_order(BTC, "limit", "buy", 0.01, 50000)
    await exchange.cancel_all_orders(BTC)
    assert await exchange.fetch_open_orders() == []


async def errors(exchange: Any, served: Served) -> None:
    """the classes that ccxt gives to the wire's codes"""
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order("1", BTC)
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order("1", BTC, {"trigger": True})
    with pytest.raises(ccxt.BadRequest):
        await exchange.fapiPrivateGetUserTrades({})
    with pytest.raises(ccxt.BadSymbol):
        await exchange.fapiPrivateGetUserTrades({"symbol": "NOPE"})
    exchange.options["recvWindow"] = 60_001
    with pytest.raises(ccxt.ExchangeError, match="-1131"):
        await exchange.fetch_balance()
    exchange.options["recvWindow"] = 10_000


async def errors_of_the_key(exchange: Any, served: Served) -> None:
    """a wrong secret, an unknown key, a wrong clock"""
    secret, exchange.secret = exchange.secret, "wrong"
    with pytest.raises(ccxt.AuthenticationError):
        await exchange.fetch_balance()
    exchange.secret = secret
    key, exchange.apiKey = exchange.apiKey, "unknown"
    with pytest.raises(ccxt.AuthenticationError):
        await exchange.fetch_balance()
    exchange.apiKey = key
    exchange.options["timeDifference"] = 60_000
    with pytest.raises(ccxt.InvalidNonce):
        await exchange.fetch_balance()
    exchange.options["timeDifference"] = 0


async def errors_of_the_limits(exchange: Any, served: Served) -> None:
    """429 and 418"""
    policy, served.wire.limits.policy = served.wire.limits.policy, LimitPolicy(weight_per_minute=0, ban_after=1)
    for status in ("429", "418"):
        with pytest.raises(ccxt.DDoSProtection, match=status):
            await exchange.fetch_time()
    served.wire.limits.policy = policy
    served.wire.limits.pardon("127.0.0.1")
    await exchange.fetch_time()


REST: list[Callable[[Any, Served], Awaitable[None]]] = [
    load_markets,
    fetch_time,
    fetch_ticker,
    fetch_tickers,
    fetch_order_book,
    fetch_mark_price,
    fetch_funding_rate,
    set_leverage,
    set_margin_mode,
    set_position_mode,
    fetch_position_mode,
    fetch_leverages,
    fetch_leverage_tiers,
    fetch_trading_fee,
    fetch_balance,
    create_order_market,
    create_order_limit,
    create_order_post_only,
    create_order_reduce_only,
    create_order_stop,
    create_order_take_profit,
    create_order_close_position,
    create_order_trailing,
    create_order_that_would_trigger,
    fetch_positions,
    fetch_positions_by_account,
    fetch_order_triggered,
    fetch_my_trades,
    fetch_orders,
    fetch_ledger,
    fetch_funding_history,
    cancel_all_orders,
    errors,
    errors_of_the_key,
    errors_of_the_limits,
]


# streams: every one subscribes first, then lets something happen


async def _next(awaitable: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def _until(holds: Callable[[], bool], what: str) -> None:
    """Looks again and again, until it holds or patience ends."""
    for _ in range(PATIENCE_S * 100):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"not within {PATIENCE_S} s: {what}")


async def _watching(served: Served, awaitable: Awaitable[Any]) -> asyncio.Future[Any]:
    """The awaited thing under way, with the account's stream open."""
    task = asyncio.ensure_future(awaitable)
    await _until(lambda: served.wire.hub.listeners("main") == 1, "the user stream is open")
    return task


async def watch_orders(exchange: Any, served: Served) -> None:
    """a market order, told as accepted and as filled"""
    watching = await _watching(served, exchange.watch_orders(BTC))
    served.world.open_position("main", "BTCUSDT", "buy", "0.05")
    assert (await _next(watching))[-1]["amount"] == 0.05
    await _until(lambda: exchange.orders[-1]["status"] == "closed", "the fill is told")
    assert (exchange.orders[-1]["filled"], exchange.orders[-1]["average"]) == (0.05, 60000)


async def watch_my_trades(exchange: Any, served: Served) -> None:
    """with fee"""
    watching = await _watching(served, exchange.watch_my_trades(BTC))
    served.world.reduce_position("main", "BTCUSDT", "long", "0.01")
    trade = (await _next(watching))[-1]
    assert (trade["side"], trade["amount"], trade["fee"]["currency"]) == ("sell", 0.01, "USDT")


async def watch_positions(exchange: Any, served: Served) -> None:
    """first the REST snapshot, then what changes; a close is size zero"""
    (snapshot,) = await _next(exchange.watch_positions([BTC]))
    assert snapshot["contracts"] == 0.04
    watching = await _watching(served, exchange.watch_positions([BTC]))
    served.world.close_position("main", "BTCUSDT")
    (closed,) = await _next(watching)
    assert (closed["symbol"], closed["contracts"]) == (BTC, 0)


async def watch_orders_trigger(exchange: Any, served: Served) -> None:
    """an algo order, by ALGO_UPDATE"""
    watching = await _watching(served, exchange.watch_orders(ETH))
    placed = await exchange.create_order(ETH, "market", "sell", 0.1, None, {"stopLossPrice": 2000})
    (order,) = await _next(watching)
    assert (order["id"], order["status"], order["triggerPrice"]) == (placed["id"], "open", 2000)


async def watch_balance(exchange: Any, served: Served) -> None:
    """the wallet after a transfer"""
    watching = await _watching(served, exchange.watch_balance())
    served.world.transfer("main", "USDT", "25")
    balance = await _next(watching)
    assert balance["info"]["a"]["m"] == "DEPOSIT"
    assert balance["USDT"]["total"] == float(served.world.look("main").wallet("USDT"))


async def watch_mark_price(exchange: Any, served: Served) -> None:
    """by the mark price stream"""
    assert (await _next(exchange.watch_mark_price(BTC)))["markPrice"] == 60000


async def watch_mark_prices(exchange: Any, served: Served) -> None:
    """by the stream of all mark prices"""
    assert (await _next(exchange.watch_mark_prices([BTC, ETH])))[BTC]["markPrice"] == 60000


STREAMS: list[Callable[[Any, Served], Awaitable[None]]] = [
    watch_orders,
    watch_my_trades,
    watch_positions,
    watch_orders_trigger,
    watch_balance,
    watch_mark_price,
    watch_mark_prices,
]


def _row(check: Callable[..., Any]) -> str:
    return f"| `{check.__name__}` | {(check.__doc__ or '').splitlines()[0]} |"


@pytest.mark.slow
async def test_the_listed_rest_methods_hold(served: Served) -> None:
    exchange = served.client()
    failures: dict[str, BaseException] = {}
    try:
        for check in REST:
            await _tried(check, exchange, served, failures)
    finally:
        await exchange.close()
    assert failures == {}
    check_section("venue-binance.md", "ccxt", ["| ccxt | holds |", "|---|---|", *map(_row, REST)])


async def test_the_listed_streams_hold(served: Served) -> None:
    failures: dict[str, BaseException] = {}
    for check in STREAMS:
        exchange = served.client(ccxt.pro)
        try:
            await _tried(check, exchange, served, failures)
        finally:
            await exchange.close()
        await _until(lambda: served.wire.hub.listeners("main") == 0, "the client is gone")
    assert failures == {}
    check_section("venue-binance.md", "ccxt.pro", ["| ccxt.pro | holds |", "|---|---|", *map(_row, STREAMS)])


async def _tried(check: Callable[..., Any], exchange: Any, served: Served, failures: dict[str, BaseException]) -> None:
    """One broken method must not hide the others."""
    try:
        await check(exchange, served)
    except (Exception, pytest.fail.Exception) as failure:
        failures[check.__name__] = failure
