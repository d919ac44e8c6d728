"""Lesson 17: a trailing peak and the stop under it survive the process that followed them. Judged by the venue's own record."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

from tests.support.bench import Bench
from tests.support.lessons import lesson
from trueup.sim.world.types import ConditionalKind, ConditionalOrder

D = Decimal
OURS = "tu-sl-"


async def until(wanted: Callable[[], object], what: str, seconds: float = 60) -> None:
    for _ in range(round(seconds / 0.05)):
        if wanted():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"it did not come: {what}")


def stops(bench: Bench, name: str, kind: ConditionalKind = ConditionalKind.STOP) -> list[ConditionalOrder]:
    """Every stop of ours that the venue ever held, in its order."""
    held = [o for o in bench.world.look(name).conditionals("ETHUSDT") if o.client_order_id.startswith(OURS)]
    return sorted((order for order in held if order.kind is kind), key=lambda order: order.conditional_id)


def standing(bench: Bench, name: str) -> list[Decimal | None]:
    return [order.trigger_price for order in stops(bench, name) if order.is_open]


def kept_peak(bench: Bench) -> Decimal | None:
    rows = bench.rows("trailing")
    return D(rows[0]["peak_price"]) if rows else None


async def again(bench: Bench) -> asyncio.subprocess.Process:
    """Another daemon over the same book, once it has looked itself and hears the venue: what an earlier one kept is no sign."""
    since_ms = bench.world.now_ms()
    process = await bench.start("run")

    def is_up() -> bool:
        kept = [json.loads(row["state"]) for row in bench.rows("account_state")]
        return any((state.get("good_at_ms") or 0) >= since_ms and state["streams"] == "up" for state in kept)

    await until(is_up, "a look of the daemon that was started again, and its stream")
    return process


def triggers(bench: Bench, name: str) -> list[Decimal | None]:
    """Of every stop of ours that the venue ever held."""
    return [order.trigger_price for order in stops(bench, name)]


def check_counts(bench: Bench, name: str) -> None:
    """One row, one closing trade; in the store every order of ours once, and none left open on either side."""
    assert len(bench.rows("positions")) == 1
    assert len(bench.rows("trailing")) == 1
    assert len([trade for trade in bench.rows("trades") if not trade["opening"]]) == 1
    ours = stops(bench, name)
    assert len(bench.world.look(name).conditionals()) == len(ours), "nothing else was ever placed"
    (exit_order,) = [row for row in bench.rows("orders") if row["is_exit"]]
    recorded = [row for row in bench.rows("orders") if row["ours"] and not row["is_exit"]]
    if exit_order["client_order_id"] == ours[-1].client_order_id and len(recorded) < len(ours):
        recorded.append(exit_order)  # a stop that fired is itself the closing order on Bybit
    assert sorted(row["client_order_id"] for row in recorded) == sorted(order.client_order_id for order in ours)
    assert [row for row in bench.rows("orders") if row["status"] == "open"] == []


async def end(process: asyncio.subprocess.Process, how: signal.Signals) -> str:
    process.send_signal(how)
    _, err = await asyncio.wait_for(process.communicate(), 20)
    return err.decode()


async def a_bots_position(bench: Bench, venue: str, side: str, *, hedge: bool = False) -> str:
    """Two ETH at 3000, with the bot's own row of it, under a daemon's configuration with quick trailing."""
    name = bench.account("main", venue, "protect", hedge=hedge)
    bench.sync["audit_interval_s"] = "5"
    bench.protection |= {"stop_loss_percent": '"5.0"', "trailing_update_s": "0.1", "trailing_min_move_percent": '"0"'}
    bench.world.set_price("ETHUSDT", "3000")
    bench.world.open_position(name, "ETHUSDT", side, "2")
    assert (await bench.run("positions")).code == 0
    bench.insert_row(name, venue, "ETH/USDT:USDT", side, "2", "3000")
    return name


@lesson(17, words="a long one, killed in the middle")
async def test_lesson_17_the_trailing_peak_survives_a_restart(bench: Bench, venue: str) -> None:
    name = await a_bots_position(bench, venue, "long")
    process = await bench.start("run")
    try:
        await until(lambda: standing(bench, name) == [D(2850)], "the fixed stop")
        bench.world.set_price("ETHUSDT", "3090")
        await until(lambda: standing(bench, name) == [D("3074.55")], "a stop that follows")
        await until(lambda: kept_peak(bench) == 3090, "the kept peak")
        await end(process, signal.SIGKILL)
        assert kept_peak(bench) == 3090
        bench.world.set_price("ETHUSDT", "3080")

        process = await again(bench)
        assert triggers(bench, name) == [D(2850), D("3074.55")], "neither lost nor placed again"
        assert standing(bench, name) == [D("3074.55")]
        assert kept_peak(bench) == 3090
        bench.world.set_price("ETHUSDT", "3120")
        await until(lambda: standing(bench, name) == [D("3104.40")], "it goes on from where it stood")
        bench.world.set_price("ETHUSDT", "3104")
        await until(lambda: [row["status"] for row in bench.rows("positions")] == ["closed"], "the close")
        await until(lambda: standing(bench, name) == [], "no stop is left")
        err = await end(process, signal.SIGTERM)
        assert process.returncode == 0, err
    finally:
        if process.returncode is None:
            await end(process, signal.SIGKILL)
    (row,) = bench.rows("positions")
    assert (row["exit_reason"], row["evidence"]) == ("trailing_stop", "fills")
    assert (row["trailing_activated"], row["has_trailing_stop"]) == (1, 1)
    assert triggers(bench, name) == [D(2850), D("3074.55"), D("3104.40")]
    never_naked_and_never_loosened(stops(bench, name), sign=1)
    check_counts(bench, name)
    kinds = [event["type"] for event in await bench.events()]
    for once in ("TRAILING_STOP_ACTIVATED", "TRAILING_STOP_REMOVED"):
        assert kinds.count(once) == 1


@lesson(17, words="a short leg in hedge mode, stopped in the middle; what was missed meanwhile is not made up")
async def test_lesson_17_a_short_one_goes_on_after_a_clean_stop(bench: Bench, venue: str) -> None:
    name = await a_bots_position(bench, venue, "short", hedge=True)
    process = await bench.start("run")
    try:
        await until(lambda: standing(bench, name) == [D(3150)], "the fixed stop")
        bench.world.set_price("ETHUSDT", "2900")
        await until(lambda: standing(bench, name) == [D("2914.50")], "a stop that follows")
        err = await end(process, signal.SIGTERM)
        assert process.returncode == 0, err
        assert standing(bench, name) == [D("2914.50")], "a stopped daemon leaves its stop where it stands"
        assert kept_peak(bench) == 2900
        bench.world.set_price("ETHUSDT", "2910")

        process = await again(bench)
        assert triggers(bench, name) == [D(3150), D("2914.50")], "neither lost nor placed again"
        assert standing(bench, name) == [D("2914.50")]
        assert kept_peak(bench) == 2900
        bench.world.set_price("ETHUSDT", "2905")
        bench.world.set_price("ETHUSDT", "2800")
        await until(lambda: standing(bench, name) == [D("2814.00")], "it goes on")
        bench.world.set_price("ETHUSDT", "2815")
        await until(lambda: [row["status"] for row in bench.rows("positions")] == ["closed"], "the close")
        await until(lambda: standing(bench, name) == [], "no stop is left")
        err = await end(process, signal.SIGTERM)
        assert process.returncode == 0, err
    finally:
        if process.returncode is None:
            await end(process, signal.SIGKILL)
    (row,) = bench.rows("positions")
    assert (row["exit_reason"], row["evidence"]) == ("trailing_stop", "fills")
    assert triggers(bench, name) == [D(3150), D("2914.50"), D("2814.00")]
    check_counts(bench, name)
    never_naked_and_never_loosened(stops(bench, name), sign=-1)


@lesson(17, words="killed, and its stop is gone when it comes back: the store knows where it stood")
async def test_lesson_17_the_stop_under_the_peak_is_put_back(bench: Bench, venue: str) -> None:
    name = await a_bots_position(bench, venue, "long")
    process = await bench.start("run")
    try:
        bench.world.set_price("ETHUSDT", "3090")
        await until(lambda: standing(bench, name) == [D("3074.55")], "a stop that follows")
        await until(lambda: kept_peak(bench) == 3090, "the kept peak")
        await end(process, signal.SIGKILL)
        (followed,) = [order for order in stops(bench, name) if order.is_open]
        bench.world.cancel_conditional(name, followed.conditional_id)
        bench.world.set_price("ETHUSDT", "3080")
        before = triggers(bench, name)

        process = await again(bench)

        await until(lambda: standing(bench, name) != [], "a stop again")
        assert standing(bench, name) == [D("3074.55")], "neither the fixed stop nor one under the price of now"
        assert kept_peak(bench) == 3090
        err = await end(process, signal.SIGTERM)
        assert process.returncode == 0, err
    finally:
        if process.returncode is None:
            await end(process, signal.SIGKILL)
    assert triggers(bench, name) == [*before, D("3074.55")], "and once"
    assert [row["status"] for row in bench.rows("positions")] == ["active"]


def never_naked_and_never_loosened(held: list[ConditionalOrder], sign: int) -> None:
    """Each next one stood before the one before it went, and nearer to the market."""
    assert len(held) >= 3
    for before, after in pairwise(held):
        assert after.created_ms <= before.updated_ms
        assert before.trigger_price is not None
        assert after.trigger_price is not None
        assert (after.trigger_price - before.trigger_price) * sign > 0
