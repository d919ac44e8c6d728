"""A busy run that is killed again and again: nothing is lost, nothing is recorded twice.

TRUEUP_KILLS sets how often (default 3, so that the suite stays short); TRUEUP_SEED the seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import defaultdict
from contextlib import suppress
from decimal import Decimal
from typing import Any

from tests.support.bench import Bench
from trueup.sim.world.refusals import Refusal

KILLS = int(os.environ.get("TRUEUP_KILLS", "3"))
SEED = int(os.environ.get("TRUEUP_SEED", "7"))
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


class Hands:
    """Somebody who trades without telling the bot: opens, adds, takes parts, closes, leaves stops behind."""

    def __init__(self, bench: Bench, accounts: tuple[str, ...], chance: random.Random) -> None:
        self._bench = bench
        self._accounts = accounts
        self._chance = chance

    def act(self) -> None:
        world, chance = self._bench.world, self._chance
        account, symbol = chance.choice(self._accounts), chance.choice(SYMBOLS)
        held = world.look(account).positions(symbol)
        if not held:
            side = chance.choice(("long", "short"))
            world.open_position(account, symbol, side, "2")
            price = world.price("binance" if account == "one" else "bybit", symbol).last
            trigger = price * (Decimal("0.5") if side == "long" else Decimal("1.5"))
            self._bench.stop_order(account, symbol, side, "2", str(trigger.quantize(Decimal("0.1"))))
            return
        side = "long" if held[0].quantity > 0 else "short"
        chance.choice(
            (
                lambda: world.close_position(account, symbol, side),
                lambda: world.reduce_position(account, symbol, side, "1") if abs(held[0].quantity) > 1 else None,
                lambda: world.open_position(account, symbol, side, "1"),
                lambda: world.open_position(account, symbol, "short" if side == "long" else "long", "5"),
            )
        )()

    async def trade_until(self, done: asyncio.Event) -> None:
        while not done.is_set():
            with suppress(Refusal):  # the venue's limit of open stops, while nobody cancels what is left behind
                self.act()
            await asyncio.sleep(self._chance.uniform(0.05, 0.4))


async def test_killed_at_random_instants_of_a_busy_run(bench: Bench) -> None:
    chance = random.Random(SEED)
    accounts = (bench.account("one", "binanceusdm", "protect"), bench.account("two", "bybit", "protect"))
    for account in bench.accounts.values():
        account["mode"] = '"protect"'
    bench.sync["audit_interval_s"] = "2"
    bench.protection["protect_adopted"] = "false"
    done = asyncio.Event()
    trading = asyncio.create_task(Hands(bench, accounts, chance).trade_until(done))
    try:
        for _ in range(KILLS):
            process = await bench.start("run")
            await asyncio.sleep(chance.uniform(1.0, 18.0))
            process.send_signal(signal.SIGKILL)
            await process.communicate()
    finally:
        done.set()
        await trading

    for name in accounts:
        last = await bench.run("sync", "--json", "--account", name)
        report = last.json["accounts"][name]
        # 3: stops of lifecycles that came and went while nobody looked; they bear no mark of ours, so they are told only.
        assert last.code == (3 if report["protection"]["orphans"] else 0), last.err
        assert report["suspected"] == report["held"] == report["quarantined"] == report["protection"]["failed"] == []
        recorded = {row["order_id"] for row in bench.rows("orders")}
        assert not [order for order in report["protection"]["orphans"] if order["order_id"] in recorded]
    _book_equals_venue(bench, accounts)
    _each_close_once_with_the_true_pnl(bench, accounts)
    _no_order_outlives_its_lifecycle(bench, accounts)


def _book_equals_venue(bench: Bench, accounts: tuple[str, ...]) -> None:
    book = {
        (row["account"], row["symbol"].split(":")[0].replace("/", ""), row["side"], Decimal(row["quantity"]))
        for row in bench.rows("positions")
        if row["status"] == "active"
    }
    venue = {
        (name, position.symbol, "long" if position.quantity > 0 else "short", abs(position.quantity))
        for name in accounts
        for position in bench.world.look(name).positions()
    }
    assert book == venue


def _each_close_once_with_the_true_pnl(bench: Bench, accounts: tuple[str, ...]) -> None:
    """Every closed row is made of venue fills that net to zero, and no part of a fill is in two rows."""
    closed = {row["id"]: row for row in bench.rows("positions") if row["status"] == "closed"}
    assert closed, "a busy run closes something"
    assert {row["evidence"] for row in closed.values()} == {"fills"}
    used: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    sums: dict[tuple[int, bool], Decimal] = defaultdict(Decimal)
    for trade in bench.rows("trades"):
        used[trade["account"], trade["symbol"], trade["trade_id"]] += Decimal(trade["quantity"])
        sums[trade["position_id"], bool(trade["opening"])] += Decimal(trade["quantity"])
    for position_id, row in closed.items():
        assert sums[position_id, True] == sums[position_id, False] == Decimal(row["quantity"])
    for trade in bench.rows("trades"):
        fill = (trade["account"], trade["symbol"], trade["trade_id"])
        assert used[fill] <= Decimal(trade["fill_quantity"]), f"{fill} is booked more than once"
    _binance_states_the_same_pnl(bench, accounts[0], closed)


def _binance_states_the_same_pnl(bench: Bench, account: str, closed: dict[int, dict[str, Any]]) -> None:
    """The gross PnL of each row is the sum of what the venue's own books hold for its fills."""
    truth = {str(fill.fill_id): fill.realized_pnl for fill in bench.world.look(account).fills()}
    for position_id, row in closed.items():
        trades = [
            trade for trade in bench.rows("trades") if trade["position_id"] == position_id and not trade["opening"]
        ]
        if row["account"] != account or any(trade["trade_id"] not in truth for trade in trades):
            continue
        assert Decimal(row["realized_pnl"]) == sum(truth[trade["trade_id"]] for trade in trades)


def _no_order_outlives_its_lifecycle(bench: Bench, accounts: tuple[str, ...]) -> None:
    recorded = {row["order_id"] for row in bench.rows("orders") if row["status"] == "open"}
    active = {row["id"] for row in bench.rows("positions") if row["status"] == "active"}
    left = [row for row in bench.rows("orders") if row["order_id"] in recorded and row["position_id"] not in active]
    assert not left
    acts = [row for row in bench.rows("effects") if row["kind"] != "amend_close"]
    assert not [row for row in acts if row["state"] != "done"]
