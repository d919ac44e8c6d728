"""A dead feed of mark prices is an alarm, not a frozen stop: an event, an alert, a metric; and the stop follows by requests."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from decimal import Decimal

import aiohttp
import pytest

from tests.support.bench import Bench
from tests.support.receiver import receiving
from trueup.sim.faults import Fault, FaultKind

PRICES = {"binanceusdm": "/market/*", "bybit": "/v5/public/*"}
D = Decimal


async def until(wanted: Callable[[], object], what: str, seconds: float = 90) -> None:
    for _ in range(round(seconds / 0.05)):
        if wanted():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"it did not come: {what}")


async def metric(base: str, name: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"{base}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    (value,) = [line.rpartition(" ")[2] for line in lines if line.startswith(f'{name}{{account="main"}}')]
    return float(value)


async def becomes(base: str, name: str, value: float) -> None:
    for _ in range(400):
        if await metric(base, name) == value:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} did not become {value:g}")


@pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])
async def test_a_dead_feed_is_an_alarm_and_the_stop_goes_on(bench: Bench, venue: str) -> None:
    async with receiving("token") as receiver:
        bench.environ["ALERT_URL"] = receiver.url
        bench.alerts["urls"] = '["env:ALERT_URL"]'
        bench.listen = "127.0.0.1:0"
        name = bench.account("main", venue, "protect")
        bench.sync["audit_interval_s"] = "3600"
        bench.protection |= {"protect_adopted": "true", "trailing_update_s": "0.1"}
        bench.world.set_price("ETHUSDT", "3000")
        bench.world.open_position(name, "ETHUSDT", "long", "2")
        process = await bench.start("run")
        try:
            assert process.stdout is not None
            line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
            base = "http://" + line.partition("http://")[2].partition("/metrics")[0]

            def standing() -> list[Decimal | None]:
                return [order.trigger_price for order in bench.world.look(name).open_conditionals("ETHUSDT")]

            bench.world.set_price("ETHUSDT", "3090")
            await until(lambda: standing() == [D("3074.55")], "a stop that follows")
            await becomes(base, "trueup_price_feed_up", 1)
            assert await metric(base, "trueup_trailing_stops") == 1

            dead = bench.fault(Fault(FaultKind.STREAM_REFUSED, path=PRICES[venue], status=503))
            bench.fault(Fault(FaultKind.STREAM_DISCONNECT, path=PRICES[venue], count=1))
            await until(lambda: receiver.about("mark prices do not come"), "the alert")
            bench.world.set_price("ETHUSDT", "3200")
            await until(lambda: standing() == [D("3184.00")], "it follows by requests")
            assert await metric(base, "trueup_price_feed_up") == 0

            bench.server.front.faults.remove(dead)
            await until(lambda: receiver.about("mark prices come again"), "the all-clear")
            assert await metric(base, "trueup_price_feed_up") == 1
            assert await metric(base, "trueup_trailing_moves_total") >= 2
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    (down,) = await bench.events("PRICE_FEED_DOWN")
    assert (down["severity"], down["data"]["fallback"], down["data"]["following"]) == ("warning", "requests", 1)
