"""Unmodified ccxt against the served wire: only its URLs are set.

One function per row of the table in the documentation, each with an account of its own; its first line says what it
shows. The table is what this run found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import ccxt
import pytest
from ccxt_venue import Stage, staged, until
from docs_section import check_section

from trueup.sim.world import World
from trueup.sim.world.types import PositionMode

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
Check = Callable[[Any, World, str], Awaitable[None]]


async def load_markets(exchange: Any, world: World, _: str) -> None:
    """perpetual, dated, inverse, USDC-settled and multiplied contracts, each under its unified symbol"""
    specs = world.instruments("bybit")
    assert set(exchange.markets) == {spec.unified for spec in specs}
    for spec in specs:
        market = exchange.markets[spec.unified]
        assert (market["id"], market["settle"], market["inverse"]) == (spec.symbol, spec.settle, spec.inverse)
        assert (market["expiry"], market["active"]) == (spec.expiry_ms, True)
        assert market["precision"]["price"] == float(spec.price_tick)
        assert market["precision"]["amount"] == float(spec.quantity_step)


async def fetch_currencies(exchange: Any, _: World, __: str) -> None:
    """the coins that contracts are on and settle in"""
    assert {"BTC", "USDT", "USDC"} <= set(await exchange.fetch_currencies())


async def fetch_time(exchange: Any, world: World, _: str) -> None:
    """the world's time"""
    assert abs(await exchange.fetch_time() - world.now_ms()) < 10_000


async def fetch_ticker(exchange: Any, _: World, __: str) -> None:
    """last price, linear and inverse"""
    assert (await exchange.fetch_ticker(ETH))["last"] == 3000
    assert (await exchange.fetch_ticker("ETH/USD:ETH"))["last"] == 3000


async def fetch_tickers(exchange: Any, _: World, __: str) -> None:
    """of every linear contract that trades"""
    assert {BTC, ETH} <= set(await exchange.fetch_tickers())


async def fetch_order_book(exchange: Any, _: World, __: str) -> None:
    """one level a tick on either side"""
    book = await exchange.fetch_order_book(ETH)
    assert (book["bids"][0][0], book["asks"][0][0]) == (3000, 3000.01)


async def fetch_funding_rate(exchange: Any, _: World, __: str) -> None:
    """rate and time of the next funding"""
    assert (await exchange.fetch_funding_rate(ETH))["fundingRate"] == 0.0001


async def create_order_market(exchange: Any, _: World, __: str) -> None:
    """filled at once, with its average price in the history"""
    order = await exchange.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": "ccxt-in"})
    seen = await exchange.fetch_closed_order(order["id"], BTC)
    assert (seen["status"], seen["filled"], seen["average"], seen["clientOrderId"]) == (
        "closed",
        0.01,
        60000,
        "ccxt-in",
    )
    assert seen["fee"] == {"cost": 0.33, "currency": "USDT"}


async def create_order_limit(exchange: Any, _: World, __: str) -> None:
    """rests; seen, amended, cancelled; 110001 is OrderNotFound"""
    order = await exchange.create_order(BTC, "limit", "buy", 0.01, 50000)
    await exchange.edit_order(order["id"], BTC, "limit", "buy", 0.02, 50500)
    (amended,) = await exchange.fetch_open_orders(BTC)
    assert (amended["id"], amended["amount"], amended["price"]) == (order["id"], 0.02, 50500)
    await exchange.cancel_order(order["id"], BTC)
    assert await exchange.fetch_open_orders(BTC) == []
    assert [seen["status"] for seen in await exchange.fetch_canceled_orders(BTC)] == ["canceled"]
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order(order["id"], BTC)


async def create_order_post_only(exchange: Any, _: World, __: str) -> None:
    """accepted and cancelled when it would take"""
    order = await exchange.create_order(BTC, "limit", "buy", 0.01, 61000, {"postOnly": True})
    assert (await exchange.fetch_closed_order(order["id"], BTC))["status"] == "canceled"


async def create_order_reduce_only(exchange: Any, _: World, __: str) -> None:
    """closes a part; refused when it would open"""
    with pytest.raises(ccxt.InvalidOrder, match="110017"):
        await exchange.create_order(BTC, "market", "sell", 0.01, None, {"reduceOnly": True})
    await exchange.create_order(BTC, "market", "buy", 0.01)
    await exchange.create_order(BTC, "market", "sell", 0.004, None, {"reduceOnly": True})
    assert (await exchange.fetch_position(BTC))["contracts"] == 0.006


async def create_order_stop(exchange: Any, _: World, __: str) -> None:
    """`stopLossPrice`: a conditional order with reduceOnly, in both unfiltered and trigger list"""
    await exchange.create_order(BTC, "market", "buy", 0.01)
    stop = await exchange.create_order(BTC, "market", "sell", 0.01, None, {"stopLossPrice": 55000})
    (seen,) = await exchange.fetch_open_orders(BTC, params={"trigger": True})
    assert (seen["id"], seen["stopLossPrice"], seen["reduceOnly"]) == (stop["id"], 55000, True)
    assert await exchange.fetch_open_orders(BTC, params={"orderFilter": "Order"}) == []
    assert len(await exchange.fetch_open_orders(BTC)) == 1
    await exchange.cancel_order(stop["id"], BTC)
    assert await exchange.fetch_open_orders(BTC) == []


async def create_order_take_profit(exchange: Any, _: World, __: str) -> None:
    """`takeProfitPrice`, with a limit"""
    await exchange.create_order(BTC, "market", "buy", 0.01)
    order = await exchange.create_order(BTC, "limit", "sell", 0.01, 69000, {"takeProfitPrice": 70000})
    (seen,) = await exchange.fetch_open_orders(BTC, params={"trigger": True})
    assert (seen["id"], seen["takeProfitPrice"], seen["price"]) == (order["id"], 70000, 69000)


async def create_order_trigger(exchange: Any, _: World, __: str) -> None:
    """`triggerPrice` with `triggerDirection`: a stop entry; refused when it would trigger at once"""
    wanted = {"triggerPrice": 65000, "triggerDirection": "ascending"}
    order = await exchange.create_order(BTC, "market", "buy", 0.01, None, wanted)
    (seen,) = await exchange.fetch_open_orders(BTC, params={"trigger": True})
    assert (seen["id"], seen["triggerPrice"], seen["reduceOnly"]) == (order["id"], 65000, False)
    with pytest.raises(ccxt.InvalidOrder, match="expect Rising"):
        await exchange.create_order(BTC, "market", "buy", 0.01, None, {**wanted, "triggerPrice": 50000})


async def create_order_trailing(exchange: Any, _: World, __: str) -> None:
    """`trailingAmount` with `trailingTriggerPrice`, by trading-stop"""
    await exchange.create_order(BTC, "market", "buy", 0.01)
    wanted = {"trailingAmount": 500, "trailingTriggerPrice": 61000}
    await exchange.create_order(BTC, "market", "sell", 0, None, wanted)
    (seen,) = await exchange.fetch_open_orders(BTC, params={"trigger": True})
    assert (seen["info"]["stopOrderType"], seen["triggerPrice"]) == ("TrailingStop", 61000)
    assert (await exchange.fetch_position(BTC))["info"]["trailingStop"] == "500.00"


async def create_order_with_attached_stops(exchange: Any, _: World, __: str) -> None:
    """`stopLoss` and `takeProfit` of an order stand on the position it opens"""
    stops = {"stopLoss": {"triggerPrice": 55000}, "takeProfit": {"triggerPrice": 70000}}
    await exchange.create_order(BTC, "market", "buy", 0.01, None, stops)
    position = await exchange.fetch_position(BTC)
    assert (position["stopLossPrice"], position["takeProfitPrice"]) == (55000, 70000)


async def create_order_trading_stop(exchange: Any, _: World, __: str) -> None:
    """`stopLossPrice` and `takeProfitPrice` together change the position's own stops"""
    await exchange.create_order(BTC, "market", "buy", 0.01)
    wanted = {"stopLossPrice": 54000, "takeProfitPrice": 71000}
    await exchange.create_order(BTC, "market", "sell", 0, None, wanted)
    position = await exchange.fetch_position(BTC)
    assert (position["stopLossPrice"], position["takeProfitPrice"]) == (54000, 71000)
    with pytest.raises(ccxt.BadRequest, match="should lower than base_price"):
        await exchange.create_order(
            BTC, "market", "sell", 0, None, {"stopLossPrice": 66000, "tradingStopEndpoint": True}
        )


async def create_orders(exchange: Any, _: World, __: str) -> None:
    """a batch; each order is taken or refused on its own"""
    wanted = {"symbol": BTC, "type": "limit", "side": "buy", "amount": 0.01, "price": 50000}
    good, bad = await exchange.create_orders([wanted, {**wanted, "amount": 400}])
    assert good["id"]
    assert (bad["status"], bad["info"]["code"]) == ("rejected", 110007)
    (seen,) = await exchange.fetch_open_orders(BTC)
    assert seen["id"] == good["id"]


async def cancel_orders(exchange: Any, _: World, __: str) -> None:
    """a batch of cancels"""
    ids = [(await exchange.create_order(BTC, "limit", "buy", 0.01, price))["id"] for price in (50000, 50001)]
    cancelled = await exchange.cancel_orders(ids, BTC)
    assert [order["id"] for order in cancelled] == ids
    assert await exchange.fetch_open_orders(BTC) == []


async def cancel_all_orders(exchange: Any, _: World, __: str) -> None:
    """of one settle coin, conditional orders included"""
    await exchange.create_order(BTC, "limit", "buy", 0.01, 50000)
    await exchange.create_order(ETH, "market", "buy", 1, None, {"triggerPrice": 3500, "triggerDirection": "above"})
    assert len(await exchange.cancel_all_orders()) == 2
    assert await exchange.fetch_open_orders() == []


async def fetch_positions(exchange: Any, _: World, __: str) -> None:
    """what is open in one settle coin: USDT unless told, USDC and inverse apart"""
    await exchange.create_order(BTC, "market", "buy", 0.01)
    await exchange.create_order("BTC/USD:BTC", "market", "sell", 100)
    await exchange.create_order("BTC/USDC:USDC", "market", "buy", 0.02)
    (usdt,) = await exchange.fetch_positions()
    assert (usdt["symbol"], usdt["side"], usdt["contracts"], usdt["entryPrice"]) == (BTC, "long", 0.01, 60000)
    assert (usdt["leverage"], usdt["hedged"]) == (20, False)
    (inverse,) = await exchange.fetch_positions(params={"subType": "inverse"})
    assert (inverse["symbol"], inverse["side"], inverse["contracts"]) == ("BTC/USD:BTC", "short", 100)
    (usdc,) = await exchange.fetch_positions(params={"settleCoin": "USDC"})
    assert (usdc["symbol"], usdc["contracts"]) == ("BTC/USDC:USDC", 0.02)


async def fetch_position(exchange: Any, world: World, account: str) -> None:
    """of one symbol, also when it is flat"""
    await exchange.create_order(BTC, "market", "buy", 0.01)
    world.close_position(account, "BTCUSDT")
    assert await exchange.fetch_positions() == []
    assert (await exchange.fetch_position(BTC))["contracts"] == 0


async def fetch_my_trades(exchange: Any, world: World, account: str) -> None:
    """with fees; trades only, as ccxt asks for them"""
    await exchange.create_order(BTC, "market", "buy", 0.01)
    world.fund("BTCUSDT", venue="bybit")
    world.liquidate(account, "BTCUSDT")
    (trade,) = await exchange.fetch_my_trades(BTC)
    assert (trade["side"], trade["amount"], trade["takerOrMaker"]) == ("buy", 0.01, "taker")
    assert trade["fee"] == {"cost": 0.33, "currency": "USDT", "rate": 0.00055}
    (bust,) = await exchange.fetch_my_trades(BTC, params={"execType": "BustTrade"})
    assert (bust["side"], bust["amount"]) == ("sell", 0.01)
    (funding,) = await exchange.fetch_my_trades(BTC, params={"execType": "Funding"})
    assert funding["fee"]["cost"] == 0.06


async def fetch_positions_history(exchange: Any, _: World, __: str) -> None:
    """one row per closing order; ccxt turns the closing order's side into the position's"""
    await exchange.create_order(BTC, "market", "buy", 0.01)
    await exchange.create_order(BTC, "market", "sell", 0.01, None, {"reduceOnly": True})
    (closed,) = await exchange.fetch_positions_history([BTC])
    assert (closed["side"], closed["contracts"], closed["realizedPnl"]) == ("long", 0.01, -0.66)


async def fetch_ledger(exchange: Any, _: World, __: str) -> None:
    """every movement of money"""
    await exchange.create_order(BTC, "market", "buy", 0.01)
    entries = await exchange.fetch_ledger("USDT")
    assert sorted((entry["type"], entry["amount"]) for entry in entries) == [("trade", 0.33), ("transaction", 100000)]


async def fetch_balance(exchange: Any, _: World, __: str) -> None:
    """per coin"""
    await exchange.create_order(BTC, "market", "buy", 0.01)
    assert (await exchange.fetch_balance())["USDT"]["total"] == 99999.67


async def set_leverage(exchange: Any, _: World, __: str) -> None:
    """of one symbol; the same again is refused"""
    await exchange.set_leverage(7, BTC)
    assert (await exchange.fetch_leverage(BTC))["longLeverage"] == 7
    with pytest.raises(ccxt.BadRequest, match="leverage not modified"):
        await exchange.set_leverage(7, BTC)


async def set_position_mode(exchange: Any, _: World, __: str) -> None:
    """hedge and back; refused while anything is open"""
    await exchange.set_position_mode(True, BTC)
    with pytest.raises(ccxt.NoChange):
        await exchange.set_position_mode(True)
    await exchange.create_order(BTC, "market", "buy", 0.01, None, {"hedged": True})
    await exchange.create_order(BTC, "market", "sell", 0.02, None, {"hedged": True})
    legs = {position["side"]: position["contracts"] for position in await exchange.fetch_positions([BTC])}
    assert legs == {"long": 0.01, "short": 0.02}
    with pytest.raises(ccxt.BadRequest):
        await exchange.set_position_mode(False, BTC)


async def set_margin_mode(exchange: Any, _: World, __: str) -> None:
    """isolated, of the whole account"""
    await exchange.set_margin_mode("isolated")
    await exchange.create_order(BTC, "market", "buy", 0.01)
    assert (await exchange.fetch_position(BTC))["initialMargin"] == 30


async def fetch_trading_fee(exchange: Any, _: World, __: str) -> None:
    """of the account"""
    fee = await exchange.fetch_trading_fee(BTC)
    assert (fee["maker"], fee["taker"]) == (0.0002, 0.00055)


async def errors(exchange: Any, _: World, __: str) -> None:
    """InsufficientFunds, InvalidOrder, AuthenticationError as ccxt maps the codes"""
    with pytest.raises(ccxt.InsufficientFunds):
        await exchange.create_order(BTC, "market", "buy", 400)
    with pytest.raises(ccxt.InvalidOrder):
        await exchange.create_order(BTC, "limit", "buy", 0.001, 100)
    exchange.secret = "wrong"
    with pytest.raises(ccxt.AuthenticationError):
        await exchange.fetch_positions()


REST: list[Check] = [
    load_markets,
    fetch_currencies,
    fetch_time,
    fetch_ticker,
    fetch_tickers,
    fetch_order_book,
    fetch_funding_rate,
    set_leverage,
    set_margin_mode,
    set_position_mode,
    fetch_trading_fee,
    fetch_balance,
    create_order_market,
    create_order_limit,
    create_order_post_only,
    create_order_reduce_only,
    create_order_stop,
    create_order_take_profit,
    create_order_trigger,
    create_order_trailing,
    create_order_with_attached_stops,
    create_order_trading_stop,
    create_orders,
    cancel_orders,
    cancel_all_orders,
    fetch_positions,
    fetch_position,
    fetch_my_trades,
    fetch_positions_history,
    fetch_ledger,
    errors,
]


def _row(check: Callable[..., Any]) -> str:
    return f"| `{check.__name__}` | {(check.__doc__ or '').splitlines()[0]} |"


async def test_the_listed_methods_hold() -> None:
    failures: dict[str, str] = {}
    async with staged() as stage:
        for check in REST:
            account = stage.account(check.__name__)
            exchange = await stage.client(account)
            try:
                await check(exchange, stage.world, account.name)
            except (AssertionError, ValueError, ccxt.BaseError, pytest.fail.Exception) as failure:
                failures[check.__name__] = f"{type(failure).__name__}: {failure}"
    assert failures == {}
    check_section("venue-bybit.md", "ccxt", ["| ccxt | holds |", "|---|---|", *map(_row, REST)])


async def watch_orders(stage: Stage, exchange: Any, account: str) -> None:
    """a market order, told as accepted and as filled"""
    watching = asyncio.create_task(exchange.watch_orders())
    await stage.subscribed("order")
    stage.world.open_position(account, "BTCUSDT", "long", "0.01")
    await asyncio.wait_for(watching, 10)
    await until(lambda: [order["status"] for order in exchange.orders] == ["closed"])


async def watch_my_trades(stage: Stage, exchange: Any, account: str) -> None:
    """with fee"""
    watching = asyncio.create_task(exchange.watch_my_trades())
    await stage.subscribed("execution")
    stage.world.open_position(account, "BTCUSDT", "long", "0.01")
    (trade,) = await asyncio.wait_for(watching, 10)
    assert (trade["symbol"], trade["amount"], trade["fee"]["cost"]) == (BTC, 0.01, 0.33)


async def watch_positions(stage: Stage, exchange: Any, account: str) -> None:
    """first the REST snapshot, then what changes; a close has no side and size zero"""
    stage.world.open_position(account, "BTCUSDT", "long", "0.01")
    (before,) = await asyncio.wait_for(exchange.watch_positions(), 10)
    assert (before["symbol"], before["contracts"]) == (BTC, 0.01)
    watching = asyncio.create_task(exchange.watch_positions())
    await stage.subscribed("position")
    stage.world.close_position(account, "BTCUSDT")
    await asyncio.wait_for(watching, 10)
    await until(lambda: all(not row["contracts"] for row in exchange.positions))
    assert {(row["info"]["side"], row["info"]["size"]) for row in exchange.positions} == {("", "0")}


async def watch_balance(stage: Stage, exchange: Any, account: str) -> None:
    """the wallet after a transfer"""
    watching = asyncio.create_task(exchange.watch_balance())
    await stage.subscribed("wallet")
    stage.world.transfer(account, "USDT", "5")
    assert (await asyncio.wait_for(watching, 10))["USDT"]["total"] == 100005


async def watch_ticker(stage: Stage, exchange: Any, _: str) -> None:
    """a snapshot, then what changes; linear and inverse"""
    assert (await asyncio.wait_for(exchange.watch_ticker(BTC), 10))["last"] == 60000
    watching = asyncio.create_task(exchange.watch_ticker(BTC))
    stage.world.set_price("BTCUSDT", "60100", venue="bybit")
    assert (await asyncio.wait_for(watching, 10))["last"] == 60100
    assert (await asyncio.wait_for(exchange.watch_ticker("ETH/USD:ETH"), 10))["last"] == 3000


STREAMS = [watch_orders, watch_my_trades, watch_positions, watch_balance, watch_ticker]


async def test_the_listed_streams_hold() -> None:
    failures: dict[str, str] = {}
    async with staged() as stage:
        for check in STREAMS:
            account = stage.account(check.__name__)
            exchange = await stage.client(account)
            try:
                await check(stage, exchange, account.name)
            except (AssertionError, ValueError, TimeoutError, ccxt.BaseError) as failure:
                failures[check.__name__] = f"{type(failure).__name__}: {failure}"
            await exchange.close()
            await until(lambda: not stage.server.front.gates)
    assert failures == {}
    check_section("venue-bybit.md", "ccxt.pro", ["| ccxt.pro | holds |", "|---|---|", *map(_row, STREAMS)])


async def test_hedge_legs_are_told_apart_by_ccxt() -> None:
    async with staged() as stage:
        account = stage.account("main", PositionMode.HEDGE)
        exchange = await stage.client(account)
        stage.world.open_position("main", "BTCUSDT", "long", "0.01")
        stage.world.open_position("main", "BTCUSDT", "short", "0.03")
        legs = {position["side"]: position["contracts"] for position in await exchange.fetch_positions()}
        assert legs == {"long": 0.01, "short": 0.03}
