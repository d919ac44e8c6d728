"""The unified methods that a futures bot lives on, on both wires with the same lines: an unmodified ccxt.pro, its URLs set.

The table in docs/venue.md is what this run found. The wires' own pages have longer ones.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import ccxt
import pytest
from misbehaviour_case import BTC, ETH, PATIENCE_S, Case, client_of

from trueup.sim.server import VenueServer, served_world

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from docs_blocks import check_part

HOLDS = "holds"
Check = Callable[[Case], Awaitable[str | None]]


async def _open(case: Case, *, trigger: bool) -> set[str]:
    """Ids of open orders; without the flag ccxt asks for the regular list (Bybit's shows both)."""
    params = {"trigger": True} if trigger else {}
    return {order["id"] for order in await case.exchange.fetch_open_orders(BTC, params=params)}


async def load_markets(case: Case) -> None:
    markets = await case.exchange.load_markets(True)
    assert set(markets) == {spec.unified for spec in case.world.instruments(case.account.venue)}


async def set_leverage(case: Case) -> None:
    await case.exchange.set_leverage(10, BTC)
    assert case.view.settings("BTCUSDT").leverage == 10


async def set_position_mode(case: Case) -> None:
    for hedged in (True, False):
        await case.exchange.set_position_mode(hedged, BTC)
        assert (str(case.view.mode) == "hedge") is hedged


async def market_order(case: Case) -> None:
    await case.exchange.create_order(BTC, "market", "buy", 0.1)
    assert await case.positions() == {BTC: 0.1}


async def limit_order(case: Case) -> None:
    placed = await case.exchange.create_order(BTC, "limit", "buy", 0.1, 50_000)
    assert placed["id"] in await _open(case, trigger=False)
    await case.exchange.cancel_order(placed["id"], BTC)
    assert case.view.open_orders() == []


async def _conditional(case: Case, params: dict[str, Any], price: float | None = None) -> None:
    kind = "market" if price is None else "limit"
    placed = await case.exchange.create_order(BTC, kind, "sell", 0.02, price, {**params, "reduceOnly": True})
    assert placed["id"] in await _open(case, trigger=True)
    if case.venue == "binance":
        assert placed["id"] not in await _open(case, trigger=False)
    await case.exchange.cancel_order(placed["id"], BTC, {"trigger": True})
    assert case.view.open_conditionals() == []


async def stop(case: Case) -> None:
    await _conditional(case, {"stopLossPrice": 55_000})


async def take_profit(case: Case) -> None:
    await _conditional(case, {"takeProfitPrice": 66_000})


async def take_profit_limit(case: Case) -> None:
    await _conditional(case, {"takeProfitPrice": 66_000}, 65_900)


async def trailing_stop(case: Case) -> str | None:
    if case.venue == "binance":
        await _conditional(case, {"trailingPercent": 1})
        return None
    await case.exchange.create_order(BTC, "market", "sell", 0.1, None, {"trailingAmount": 500})
    assert len(case.view.open_conditionals()) == 1
    await case.exchange.create_order(BTC, "market", "sell", 0.1, None, {"trailingAmount": 0})
    assert case.view.open_conditionals() == []
    return "holds, attached to the position"


async def attached_stops(case: Case) -> str | None:
    if case.venue == "binance":
        return "the venue has none"
    stops = {"stopLoss": {"triggerPrice": 2_700}, "takeProfit": {"triggerPrice": 3_300}}
    await case.exchange.create_order(ETH, "market", "buy", 1, None, stops)
    (position,) = await case.exchange.fetch_positions([ETH])
    assert (position["stopLossPrice"], position["takeProfitPrice"]) == (2_700, 3_300)
    return None


async def fetch_positions(case: Case) -> None:
    (position,) = await case.exchange.fetch_positions([BTC])
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("long", 0.1, 60_000)


async def fetch_open_orders(case: Case) -> None:
    regular = await case.exchange.create_order(BTC, "limit", "sell", 0.01, 70_000)
    waiting = await case.exchange.create_order(BTC, "market", "sell", 0.01, None, {"stopLossPrice": 50_000})
    assert waiting["id"] in await _open(case, trigger=True)
    assert regular["id"] in await _open(case, trigger=False)
    await case.exchange.cancel_order(regular["id"], BTC)
    await case.exchange.cancel_order(waiting["id"], BTC, {"trigger": True})
    assert await _open(case, trigger=False) == await _open(case, trigger=True) == set()


async def fetch_my_trades(case: Case) -> None:
    trades = await case.exchange.fetch_my_trades(BTC)
    assert [(trade["side"], trade["amount"], trade["price"]) for trade in trades] == [("buy", 0.1, 60_000)]
    assert trades[0]["fee"]["currency"] == "USDT"


async def fetch_positions_history(case: Case) -> str | None:
    case.world.reduce_position("mine", "BTCUSDT", "long", "0.02")
    if case.venue == "binance":
        with pytest.raises(ccxt.NotSupported):
            await case.exchange.fetch_positions_history([BTC])
        return "`NotSupported`: the venue has none"
    (row,) = await case.exchange.fetch_positions_history([BTC])
    assert row["contracts"] == 0.02
    return None


async def fetch_ledger(case: Case) -> None:
    entries = await case.exchange.fetch_ledger("USDT")
    assert {entry["currency"] for entry in entries} == {"USDT"}
    assert len(entries) >= 3


async def _told(case: Case, watching: Awaitable[Any]) -> Any:
    """What a stream tells of a fill; fills are repeated until the client listens."""
    task = asyncio.ensure_future(watching)
    while not task.done():
        case.open("0.001")
        await asyncio.wait([task], timeout=0.2)
    return await asyncio.wait_for(task, PATIENCE_S)


async def watch_positions(case: Case) -> None:
    await asyncio.wait_for(case.exchange.watch_positions([BTC]), PATIENCE_S)  # ccxt's REST snapshot
    told = await _told(case, case.exchange.watch_positions([BTC]))
    assert told[-1]["symbol"] == BTC


async def watch_orders(case: Case) -> None:
    assert (await _told(case, case.exchange.watch_orders(BTC)))[-1]["symbol"] == BTC


async def watch_my_trades(case: Case) -> None:
    assert (await _told(case, case.exchange.watch_my_trades(BTC)))[-1]["amount"] == 0.001


CHECKS: dict[str, Check] = {
    "`load_markets`": load_markets,
    "`set_leverage`": set_leverage,
    "`set_position_mode`": set_position_mode,
    "`create_order`, `cancel_order`: market": market_order,
    "… limit": limit_order,
    "… stop (`stopLossPrice`)": stop,
    "… take-profit (`takeProfitPrice`)": take_profit,
    "… take-profit with a limit": take_profit_limit,
    "… trailing (`trailingPercent`, `trailingAmount`)": trailing_stop,
    "… with attached stops (`stopLoss`, `takeProfit`)": attached_stops,
    "`fetch_positions`": fetch_positions,
    "`fetch_open_orders`, with and without `trigger`": fetch_open_orders,
    "`fetch_my_trades`": fetch_my_trades,
    "`fetch_positions_history`": fetch_positions_history,
    "`fetch_ledger`": fetch_ledger,
    "`watch_positions`": watch_positions,
    "`watch_orders`": watch_orders,
    "`watch_my_trades`": watch_my_trades,
}


async def _found(venue: str) -> list[str]:
    """What became of each method, in order, on one account."""
    world = served_world(seed=17)
    account = world.add_account("mine", venue)  # type: ignore[arg-type]
    async with VenueServer(world) as server:
        exchange = await client_of(venue, server, account)
        try:
            return [await check(Case(venue, server, account, exchange)) or HOLDS for check in CHECKS.values()]
        finally:
            await exchange.close()


async def test_the_unified_methods_hold_on_both_wires() -> None:
    binance, bybit = await _found("binance"), await _found("bybit")
    rows = [f"| {name} | {one} | {other} |" for name, one, other in zip(CHECKS, binance, bybit, strict=True)]
    check_part("venue.md", "unified", ["| ccxt | Binance | Bybit |", "|---|---|---|", *rows])
