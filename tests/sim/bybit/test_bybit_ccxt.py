"""Unmodified ccxt (REST) and ccxt.pro (streams) against the served wire."""

from __future__ import annotations

import asyncio

import ccxt
import pytest
from ccxt_venue import served, staged, until

from trueup.sim.world.types import PositionMode

BTC = "BTC/USDT:USDT"
ETH = "ETH/USDT:USDT"


async def test_load_markets_finds_every_contract_and_tells_them_apart() -> None:
    async with served() as (world, exchange):
        markets = await exchange.load_markets()
        unified = {spec.unified for spec in world.instruments("bybit")}
        assert set(markets) == unified
        for spec in world.instruments("bybit"):
            market = markets[spec.unified]
            assert (market["id"], market["settle"], market["inverse"]) == (spec.symbol, spec.settle, spec.inverse)
            assert market["expiry"] == spec.expiry_ms
            assert market["precision"]["price"] == float(spec.price_tick)
            assert market["active"]
        assert {"BTC", "USDT", "USDC"} <= set(exchange.currencies)
        assert abs(await exchange.fetch_time() - world.now_ms()) < 2_000


async def test_the_life_of_a_position() -> None:
    async with served() as (world, exchange):
        order = await exchange.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": "in"})
        (position,) = await exchange.fetch_positions()
        assert (position["symbol"], position["side"], position["contracts"]) == (BTC, "long", 0.01)
        assert (position["entryPrice"], position["leverage"], position["hedged"]) == (60000, 20, False)
        assert (await exchange.fetch_open_order(order["id"], BTC))["status"] == "closed"
        await exchange.create_order(BTC, "market", "sell", 0.004, None, {"reduceOnly": True})
        world.close_position("main", "BTCUSDT")
        assert await exchange.fetch_positions() == []
        assert (await exchange.fetch_position(BTC))["contracts"] == 0
        trades = await exchange.fetch_my_trades(BTC)
        amounts = sorted((trade["side"], trade["amount"]) for trade in trades)
        assert amounts == [("buy", 0.01), ("sell", 0.004), ("sell", 0.006)]
        assert trades[0]["fee"] == {"cost": 0.33, "currency": "USDT", "rate": 0.00055}
        closed = sorted(await exchange.fetch_positions_history([BTC]), key=lambda row: row["contracts"])
        assert [(row["side"], row["contracts"]) for row in closed] == [("long", 0.004), ("long", 0.006)]
        assert closed[0]["realizedPnl"] == pytest.approx(-0.264)
        ledger = await exchange.fetch_ledger("USDT")
        assert sorted({entry["type"] for entry in ledger}) == ["trade", "transaction"]
        assert ledger[-1]["after"] == pytest.approx(99999.34)
        balance = await exchange.fetch_balance()
        assert balance["USDT"]["total"] == pytest.approx(99999.34)


async def test_orders_of_every_kind_are_placed_listed_and_cancelled() -> None:
    async with served() as (_, exchange):
        await exchange.create_order(BTC, "market", "buy", 0.01)
        limit = await exchange.create_order(BTC, "limit", "buy", 0.01, 50000)
        stop = await exchange.create_order(BTC, "market", "sell", 0.01, None, {"stopLossPrice": 55000})
        profit = await exchange.create_order(BTC, "limit", "sell", 0.01, 69000, {"takeProfitPrice": 70000})
        entry = await exchange.create_order(
            BTC, "market", "buy", 0.01, None, {"triggerPrice": 65000, "triggerDirection": "ascending"}
        )
        await exchange.create_order(
            BTC, "market", "sell", 0, None, {"trailingAmount": 500, "trailingTriggerPrice": 61000}
        )
        plain = await exchange.fetch_open_orders(BTC, params={"orderFilter": "Order"})
        assert [order["id"] for order in plain] == [limit["id"]]
        triggered = {order["id"]: order for order in await exchange.fetch_open_orders(BTC, params={"trigger": True})}
        assert len(triggered) == 4
        assert triggered[stop["id"]]["stopLossPrice"] == 55000
        assert triggered[stop["id"]]["reduceOnly"] is True
        assert triggered[profit["id"]]["takeProfitPrice"] == 70000
        assert triggered[entry["id"]]["triggerPrice"] == 65000
        (trailing,) = [order for order in triggered.values() if order["info"]["stopOrderType"] == "TrailingStop"]
        assert trailing["triggerPrice"] == 61000
        for order_id in (limit["id"], stop["id"], profit["id"], entry["id"], trailing["id"]):
            await exchange.cancel_order(order_id, BTC)
        assert await exchange.fetch_open_orders() == []
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.cancel_order(limit["id"], BTC)


async def test_attached_stops_come_with_an_order_and_are_shown_by_the_position() -> None:
    async with served() as (_, exchange):
        await exchange.create_order(
            BTC,
            "market",
            "buy",
            0.01,
            None,
            {"stopLoss": {"triggerPrice": 55000}, "takeProfit": {"triggerPrice": 70000}},
        )
        (position,) = await exchange.fetch_positions([BTC])
        assert (position["stopLossPrice"], position["takeProfitPrice"]) == (55000, 70000)
        await exchange.create_order(BTC, "market", "sell", 0, None, {"stopLossPrice": 54000, "takeProfitPrice": 71000})
        (position,) = await exchange.fetch_positions([BTC])
        assert (position["stopLossPrice"], position["takeProfitPrice"]) == (54000, 71000)
        with pytest.raises(ccxt.BadRequest, match="should lower than base_price"):
            await exchange.create_order(
                BTC, "market", "sell", 0, None, {"stopLossPrice": 66000, "tradingStopEndpoint": True}
            )


async def test_orders_are_amended_and_cancelled_together() -> None:
    async with served() as (_, exchange):
        order = await exchange.create_order(BTC, "limit", "buy", 0.01, 50000)
        await exchange.edit_order(order["id"], BTC, "limit", "buy", 0.02, 50500)
        (amended,) = await exchange.fetch_open_orders(BTC)
        assert (amended["amount"], amended["price"]) == (0.02, 50500)
        await exchange.create_order(ETH, "limit", "buy", 1, 2000)
        cancelled = await exchange.cancel_all_orders()
        assert len(cancelled) == 2
        assert await exchange.fetch_open_orders() == []
        ended = await exchange.fetch_canceled_orders(BTC)
        assert [order["status"] for order in ended] == ["canceled"]


async def test_inverse_and_usdc_contracts_have_their_own_lists() -> None:
    async with served() as (_, exchange):
        await exchange.create_order("BTC/USD:BTC", "market", "sell", 100)
        await exchange.create_order("BTC/USDC:USDC", "market", "buy", 0.01)
        assert await exchange.fetch_positions() == []
        (inverse,) = await exchange.fetch_positions(params={"subType": "inverse"})
        assert (inverse["symbol"], inverse["side"], inverse["contracts"]) == ("BTC/USD:BTC", "short", 100)
        (usdc,) = await exchange.fetch_positions(params={"settleCoin": "USDC"})
        assert (usdc["symbol"], usdc["contracts"]) == ("BTC/USDC:USDC", 0.01)


async def test_settings() -> None:
    async with served() as (_, exchange):
        await exchange.set_leverage(7, BTC)
        assert (await exchange.fetch_leverage(BTC))["longLeverage"] == 7
        with pytest.raises(ccxt.BadRequest, match="leverage not modified"):
            await exchange.set_leverage(7, BTC)
        await exchange.set_position_mode(True, BTC)
        with pytest.raises(ccxt.NoChange):
            await exchange.set_position_mode(True)
        await exchange.create_order(BTC, "market", "buy", 0.01, None, {"hedged": True})
        await exchange.create_order(BTC, "market", "sell", 0.02, None, {"hedged": True})
        legs = {position["side"]: position["contracts"] for position in await exchange.fetch_positions([BTC])}
        assert legs == {"long": 0.01, "short": 0.02}
        with pytest.raises(ccxt.BadRequest):
            await exchange.set_position_mode(False, BTC)
        rate = await exchange.fetch_trading_fee(BTC)
        assert (rate["maker"], rate["taker"]) == (0.0002, 0.00055)


async def test_margin_mode() -> None:
    async with served() as (_, exchange):
        await exchange.load_markets()
        await exchange.set_margin_mode("isolated")
        await exchange.create_order(BTC, "market", "buy", 0.01)
        (position,) = await exchange.fetch_positions()
        assert position["initialMargin"] == 30


async def test_errors_arrive_as_ccxt_maps_them() -> None:
    async with served() as (_, exchange):
        with pytest.raises(ccxt.InsufficientFunds):
            await exchange.create_order(BTC, "market", "buy", 400)
        with pytest.raises(ccxt.InvalidOrder):
            await exchange.create_order(BTC, "market", "sell", 0.01, None, {"reduceOnly": True})
        with pytest.raises(ccxt.InvalidOrder, match="expect Rising"):
            await exchange.create_order(
                BTC, "market", "buy", 0.01, None, {"triggerPrice": 50000, "triggerDirection": "ascending"}
            )
        exchange.secret = "wrong"
        with pytest.raises(ccxt.AuthenticationError):
            await exchange.fetch_positions()


async def test_streams_of_ccxt_pro_see_orders_trades_and_positions() -> None:
    async with staged() as stage:
        exchange = stage.exchange
        await exchange.load_markets()
        assert list(await asyncio.wait_for(exchange.watch_positions(), 10)) == [], "a snapshot by REST comes first"
        orders = asyncio.create_task(exchange.watch_orders())
        trades = asyncio.create_task(exchange.watch_my_trades())
        positions = asyncio.create_task(exchange.watch_positions())
        await stage.subscribed("order", "execution", "position")
        placed = await exchange.create_order(BTC, "market", "buy", 0.01)
        (order, *_) = await asyncio.wait_for(orders, 10)
        assert order["id"] == placed["id"]
        (trade,) = await asyncio.wait_for(trades, 10)
        assert (trade["symbol"], trade["amount"], trade["fee"]["cost"]) == (BTC, 0.01, 0.33)
        (position,) = await asyncio.wait_for(positions, 10)
        assert position["symbol"] == BTC
        await until(lambda: ("long", 0.01) in [(row["side"], row["contracts"]) for row in exchange.positions])


async def test_a_close_behind_the_bot_s_back_is_streamed() -> None:
    async with staged() as stage:
        stage.world.open_position("main", "BTCUSDT", "long", "0.01")
        exchange = stage.exchange
        await exchange.load_markets()
        (before,) = await asyncio.wait_for(exchange.watch_positions(), 10)
        assert before["contracts"] == 0.01
        watching = asyncio.create_task(exchange.watch_positions())
        await stage.subscribed("position")
        stage.world.close_position("main", "BTCUSDT")
        await asyncio.wait_for(watching, 10)
        await until(lambda: all(not row["contracts"] for row in exchange.positions))
        assert {(row["info"]["side"], row["info"]["size"]) for row in exchange.positions} == {("", "0")}


async def test_balance_and_ticker_streams() -> None:
    async with staged() as stage:
        exchange = stage.exchange
        await exchange.load_markets()
        ticker = await asyncio.wait_for(exchange.watch_ticker(BTC), 10)
        assert ticker["last"] == 60000
        watching = asyncio.create_task(exchange.watch_ticker(BTC))
        stage.world.set_price("BTCUSDT", "60100", venue="bybit")
        assert (await asyncio.wait_for(watching, 10))["last"] == 60100
        inverse = await asyncio.wait_for(exchange.watch_ticker("BTC/USD:BTC"), 10)
        assert inverse["last"] == 60000
        balance = asyncio.create_task(exchange.watch_balance())
        await stage.subscribed("wallet")
        stage.world.transfer("main", "USDT", "5")
        assert (await asyncio.wait_for(balance, 10))["USDT"]["total"] == 100005


async def test_hedge_legs_are_told_apart_by_ccxt() -> None:
    async with served(PositionMode.HEDGE) as (world, exchange):
        world.open_position("main", "BTCUSDT", "long", "0.01")
        world.open_position("main", "BTCUSDT", "short", "0.03")
        legs = {position["side"]: position["contracts"] for position in await exchange.fetch_positions()}
        assert legs == {"long": 0.01, "short": 0.03}
