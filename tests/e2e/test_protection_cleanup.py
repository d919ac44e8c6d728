"""Stops of an ended lifecycle, through the command: cancelled in protect mode, told in sync mode."""

from __future__ import annotations

import pytest

from tests.support.bench import Bench
from trueup.sim.faults import Fault, FaultKind

BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])
CANCELS = {"binanceusdm": "/fapi/v1/algoOrder", "bybit": "/v5/order/cancel"}


async def _closed_with_a_stop_left(bench: Bench, venue: str, mode: str = "protect") -> tuple[str, int]:
    name = bench.account("main", venue, mode)
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    stop = bench.stop_order(name, "ETHUSDT", "long", "2", "2000")
    await bench.sync_report(name, 0)
    bench.world.close_position(name, "ETHUSDT", "long")
    return name, stop.conditional_id


def _is_open(bench: Bench, name: str, stop: int) -> bool:
    order = bench.world.look(name).conditional(stop)
    assert order is not None
    return order.is_open


@BOTH
async def test_the_ended_lifecycles_stop_is_cancelled(bench: Bench, venue: str) -> None:
    name, stop = await _closed_with_a_stop_left(bench, venue)
    assert _is_open(bench, name, stop)
    report = await bench.sync_report(name, 0)
    assert len(report["protection"]["cancelled"]) == 1
    assert not _is_open(bench, name, stop)
    [event] = await bench.events("ORPHANED_SL_CLEANED")
    assert set(event["data"]) == {"symbol", "order_id", "order_type", "reason"}


@BOTH
async def test_a_stop_that_went_by_itself_is_not_recorded_as_open_while_the_side_is_open_again(
    bench: Bench, venue: str
) -> None:
    name, stop = await _closed_with_a_stop_left(bench, venue)
    bench.world.cancel_conditional(name, stop)
    bench.world.open_position(name, "ETHUSDT", "long", "1")
    bench.stop_order(name, "ETHUSDT", "long", "1", "2000")
    for _ in range(2):
        await bench.sync_report(name, 0)
    active = {row["id"] for row in bench.rows("positions") if row["status"] == "active"}
    open_orders = [row for row in bench.rows("orders") if row["status"] == "open"]
    assert [row["position_id"] for row in open_orders] == list(active)


@BOTH
async def test_in_sync_mode_the_orphan_is_told_and_left(bench: Bench, venue: str) -> None:
    name, stop = await _closed_with_a_stop_left(bench, venue, "sync")
    report = await bench.sync_report(name, 3)
    assert len(report["closed_phantom"]) == 1
    assert len(report["protection"]["orphans"]) == 1
    assert _is_open(bench, name, stop)


@BOTH
async def test_a_cancel_that_fails_is_exit_5_counted_and_carried_out_later(bench: Bench, venue: str) -> None:
    name, stop = await _closed_with_a_stop_left(bench, venue)
    bench.fault(
        Fault(
            FaultKind.HTTP_ERROR, path=CANCELS[venue], status=503, method="DELETE" if venue == "binanceusdm" else "POST"
        )
    )
    report = await bench.sync_report(name, 5)
    assert len(report["closed_phantom"]) == 1
    assert len(report["protection"]["failed"]) == 1
    status = (await bench.run("status", "--json")).json["accounts"][name]
    assert status["failed_cleanups"] == 1
    assert [event["type"] for event in bench.rows("events")].count("CLEANUP_FAILED") == 1
    bench.mend()
    after = await bench.sync_report(name, 0)
    assert len(after["protection"]["cancelled"]) == 1
    assert not _is_open(bench, name, stop)


@BOTH
async def test_the_answer_to_the_cancel_is_lost(bench: Bench, venue: str) -> None:
    name, stop = await _closed_with_a_stop_left(bench, venue)
    method = "DELETE" if venue == "binanceusdm" else "POST"
    bench.fault(Fault(FaultKind.ANSWER_LOST, path=CANCELS[venue], method=method, count=1))
    report = await bench.sync_report(name, 0)
    assert report["protection"]["failed"] == []
    assert not _is_open(bench, name, stop)
    assert [event["type"] for event in bench.rows("events")].count("ORPHANED_SL_CLEANED") == 1


@BOTH
async def test_a_fired_stop_is_the_reason(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue, "protect")
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    bench.stop_order(name, "ETHUSDT", "long", "2", "2000")
    await bench.sync_report(name, 0)
    bench.world.set_price("ETHUSDT", "1995")
    [closed] = (await bench.sync_report(name, 0))["closed_phantom"]
    assert (closed["exit_reason"], closed["evidence"]) == ("stop_loss", "fills")
