"""``trailing = "native"``: the venue follows, trueup sets it, and the close is told as what it was. The daemon, both venues."""

from __future__ import annotations

import asyncio
import json
import signal
from decimal import Decimal
from typing import Any

import pytest

from tests.support.bench import Bench
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.world.types import ConditionalKind, ConditionalOrder

BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])
D = Decimal


async def until(wanted: Any, what: str, seconds: float = 60) -> None:
    for _ in range(round(seconds / 0.05)):
        if wanted():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"it did not come: {what}")


def native(bench: Bench, name: str) -> list[ConditionalOrder]:
    held = bench.world.look(name).conditionals("ETHUSDT")
    return [order for order in held if order.kind is ConditionalKind.TRAILING_STOP]


async def end(process: asyncio.subprocess.Process, how: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(how)
        await asyncio.wait_for(process.communicate(), 20)


async def started(bench: Bench, venue: str, side: str = "long", *, hedge: bool = False) -> tuple[str, Any]:
    name = bench.account("main", venue, "protect", hedge=hedge)
    bench.sync["audit_interval_s"] = "2"
    bench.protection |= {"trailing": '"native"', "protect_adopted": "true"}
    bench.world.set_price("ETHUSDT", "3000")
    bench.world.open_position(name, "ETHUSDT", side, "2")
    return name, await bench.start("run")


@BOTH
@pytest.mark.parametrize("hedge", [False, True])
async def test_the_venue_follows_and_the_close_is_a_trailing_stops(bench: Bench, venue: str, hedge: bool) -> None:
    name, process = await started(bench, venue, hedge=hedge)
    try:
        await until(lambda: native(bench, name), "the venue's trailing stop")
        (order,) = native(bench, name)
        assert (order.activation_price, order.activated, order.closes) == (D(3045), False, True)
        if venue == "binanceusdm":
            assert (order.callback_rate, order.quantity) == (D("0.5"), 2)
            assert order.client_order_id.startswith("tu-tr-")
        else:
            assert (order.callback_distance, order.attached is not None) == (D("15.22"), True)
        await until(lambda: any(row["has_trailing_stop"] for row in bench.rows("positions")), "the row's flag")
        recorded = [row for row in bench.rows("orders") if row["kind"] == "trailing_stop"]
        assert [(row["ours"], row["closing"]) for row in recorded] == [(1, 1)]
        await end(process, signal.SIGKILL)

        process = await bench.start("run")
        await until(lambda: '"streams":"up"' in str(bench.rows("account_state")), "the daemon again")
        bench.world.set_price("ETHUSDT", "3100")
        bench.world.set_price("ETHUSDT", "3070")
        await until(lambda: [row["status"] for row in bench.rows("positions")] == ["closed"], "the close")
        await until(lambda: not bench.world.look(name).open_conditionals("ETHUSDT"), "nothing of it is left")
        await end(process, signal.SIGTERM)
        assert process.returncode == 0
    finally:
        await end(process, signal.SIGKILL)
    assert len(native(bench, name)) == 1, "set once, whatever was restarted"
    (row,) = bench.rows("positions")
    assert (row["exit_reason"], row["evidence"]) == ("trailing_stop", "fills")
    kinds = [event["type"] for event in await bench.events()]
    assert (kinds.count("TRAILING_STOP_SET"), kinds.count("TRAILING_STOP_REMOVED")) == (1, 1)


REQUEST = {
    "binanceusdm": {"method": "POST", "path": "/fapi/v1/algoOrder", "query": {"type": "TRAILING_STOP_MARKET"}},
    "bybit": {"method": "POST", "path": "/v5/position/trading-stop"},
}
REFUSALS = {
    "binanceusdm": (400, {"code": -4045, "msg": "Reach max stop order limit."}),
    "bybit": (200, {"retCode": 10001, "retMsg": "params error", "result": {}, "retExtInfo": {}, "time": 1}),
}


@BOTH
async def test_an_answer_that_is_lost_sets_no_second_one(bench: Bench, venue: str) -> None:
    bench.fault(Fault(FaultKind.ANSWER_LOST, count=1, **REQUEST[venue]))  # type: ignore[arg-type]
    name, process = await started(bench, venue, "short")
    try:
        await until(lambda: any(row["has_trailing_stop"] for row in bench.rows("positions")), "the row's flag")
    finally:
        await end(process, signal.SIGTERM)
    assert [order.activation_price for order in native(bench, name)] == [D(2955)]


@BOTH
async def test_a_refusal_is_told_once_and_the_fixed_stop_stands(bench: Bench, venue: str) -> None:
    status, body = REFUSALS[venue]
    refusal = Fault(FaultKind.HTTP_ERROR, status=status, body=json.dumps(body), **REQUEST[venue])  # type: ignore[arg-type]
    bench.fault(refusal)
    name, process = await started(bench, venue)
    try:
        await until(lambda: "TRAILING_STOP_FAILED" in str(bench.rows("events")), "the refusal")
        await until(lambda: bench.world.look(name).open_conditionals("ETHUSDT"), "the fixed stop")
    finally:
        await end(process, signal.SIGTERM)
    assert str(bench.rows("events")).count("TRAILING_STOP_FAILED") == 1
    assert native(bench, name) == []
    assert [order.trigger_price for order in bench.world.look(name).open_conditionals("ETHUSDT")] == [D(2850)]
