"""The daemon, commands beside it, and decisions that wait for a person."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from tests.support.bench import Bench
from trueup.sim.faults import Fault, FaultKind

BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])


async def until(bench: Bench, wanted: Any, *, seconds: float = 90) -> None:
    """Waits for a fact of the book; raises when it does not come."""
    for _ in range(int(seconds / 0.1)):
        if wanted():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the fact did not come")


def statuses(bench: Bench) -> list[str]:
    return [row["status"] for row in bench.rows("positions")]


@BOTH
async def test_the_daemon_sees_an_external_close_and_stops_cleanly(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue, "protect")
    bench.sync["audit_interval_s"] = "0.5"
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    stop = bench.stop_order(name, "ETHUSDT", "long", "2", "2000")
    process = await bench.start("run")
    try:
        await until(bench, lambda: statuses(bench) == ["active"])
        await until(bench, lambda: len(bench.rows("orders")) == 1)
        bench.world.close_position(name, "ETHUSDT", "long")
        await until(bench, lambda: statuses(bench) == ["closed"])
        await until(bench, lambda: not bench.world.look(name).conditional(stop.conditional_id).is_open)
        status = (await bench.run("status", "--json")).json
        assert '"run_by": null' not in str(status)
        process.send_signal(signal.SIGTERM)
        _, err = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0, err.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    again = await bench.sync_report(name, 0)
    assert again["closed_phantom"] == []


@BOTH
async def test_the_stream_tells_of_a_close_long_before_the_next_audit(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue, "protect")
    bench.sync["audit_interval_s"] = "3600"
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    process = await bench.start("run")
    try:
        await until(bench, lambda: '"streams":"up"' in str(bench.rows("account_state")))
        bench.world.open_position(name, "BTCUSDT", "short", "0.01")
        await until(bench, lambda: len(statuses(bench)) == 2)
        bench.world.close_position(name, "ETHUSDT", "long")
        await until(bench, lambda: sorted(statuses(bench)) == ["active", "closed"])
        bench.world.set_price("BTCUSDT", "59000")
        bench.world.close_position(name, "BTCUSDT", "short")
        await until(bench, lambda: statuses(bench) == ["closed", "closed"])
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0


@BOTH
async def test_a_command_beside_a_running_daemon_is_handed_to_it(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.sync["audit_interval_s"] = "3600"
    bench.fault(Fault(FaultKind.STREAM_REFUSED, status=503))  # nobody tells the daemon, and its next audit is far away
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    process = await bench.start("run")
    try:
        await until(bench, lambda: statuses(bench) == ["active"])
        bench.world.close_position(name, "ETHUSDT", "long")
        report = await bench.sync_report(name, 0)
        assert [p["evidence"] for p in report["closed_phantom"]] == ["fills"]
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0


async def test_a_killed_owner_blocks_the_next_command_for_at_most_15_seconds(bench: Bench) -> None:
    name = bench.account("main", "bybit")
    bench.sync["audit_interval_s"] = "3600"
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    process = await bench.start("run")
    await until(bench, lambda: statuses(bench) == ["active"])
    process.kill()
    await process.communicate()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await bench.sync_report(name, 0)
    assert loop.time() - began < 25, "the lease is at most 15 s, the command itself takes a few"


@BOTH
async def test_many_gone_without_a_fill_wait_for_a_person(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "BTCUSDT", "long", "0.01")
    await bench.sync_report(name, 0)
    for symbol in ("HIGHUSDT", "SOLUSDT"):
        bench.insert_row(name, venue, symbol, "long", "10", "1.5")
    report = await bench.sync_report(name, 3)
    [held] = report["held"]
    assert held["kind"] == "mass_close"
    assert report["closed_phantom"] == []
    again = await bench.sync_report(name, 3)
    assert [h["hold_id"] for h in again["held"]] == [held["hold_id"]], "one decision, raised once"

    shown = (await bench.run("holds", "--json")).json
    assert [hold["hold_id"] for hold in shown] == [held["hold_id"]]
    approved = await bench.run("approve", str(held["hold_id"]))
    assert approved.code == 0, approved.err
    closed = await bench.positions("closed")
    assert {(p["exit_reason"], p["evidence"]) for p in closed} == {("PHANTOM_ON_SYNC", "absence")}
    assert len(closed) == 2
    assert (await bench.sync_report(name, 0))["held"] == []


@BOTH
async def test_a_rejected_hold_is_not_raised_again(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    await bench.sync_report(name, 0)
    bench.insert_row(name, venue, "HIGHUSDT", "long", "10", "1.5")
    [held] = (await bench.sync_report(name, 3))["held"]
    rejected = await bench.run("reject", str(held["hold_id"]))
    assert rejected.code == 0, rejected.err
    after = await bench.sync_report(name, 3)
    assert after["held"] == []
    assert len(after["suspected"]) == 1
    assert len(await bench.positions()) == 1


@BOTH
async def test_approve_looks_again_and_what_is_seen_again_stays(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        bench.world.open_position(name, symbol, "long", "1")
    await bench.sync_report(name, 0)
    bench.fault(Fault(FaultKind.EMPTY, path="/fapi/v3/positionRisk"))
    bench.fault(Fault(FaultKind.EMPTY, path="/v5/position/list"))
    held = (await bench.sync_report(name, 3))["held"]
    assert {hold["kind"] for hold in held} == {"inconclusive"}
    bench.mend()
    approved = await bench.run("approve", str(held[0]["hold_id"]))
    assert approved.code == 0, approved.err
    assert len(await bench.positions()) == 2
    assert await bench.positions("closed") == []


@BOTH
async def test_adoption_can_wait_for_a_person(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue, adopt='"hold"')
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    [held] = (await bench.sync_report(name, 3))["held"]
    assert held["kind"] == "adoption"
    assert await bench.positions() == []
    approved = await bench.run("approve", str(held["hold_id"]))
    assert approved.code == 0, approved.err
    assert len(await bench.positions()) == 1
    assert (await bench.sync_report(name, 0))["held"] == []


@BOTH
async def test_observe_and_dry_run_write_nothing_to_the_book(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue, "observe")
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    report = await bench.sync_report(name, 3)
    assert [p["position_id"] for p in report["added_missing"]] == [None]
    assert bench.rows("positions") == []
    bench.accounts[name]["mode"] = '"protect"'
    before = bench.everything()
    dry = await bench.sync_report(name, 3, "--dry-run")
    assert len(dry["added_missing"]) == 1
    assert {t: r for t, r in bench.everything().items() if t != "owners"} == {
        t: r for t, r in before.items() if t != "owners"
    }


@BOTH
async def test_paused_writes_nothing_and_resumed_catches_up(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    await bench.sync_report(name, 0)
    assert (await bench.run("pause", name)).code == 0
    bench.world.close_position(name, "ETHUSDT", "long")
    paused = await bench.sync_report(name, 3)
    assert len(paused["closed_phantom"]) == 1
    assert statuses(bench) == ["active"]
    assert (await bench.run("resume", name)).code == 0
    await bench.sync_report(name, 0)
    assert statuses(bench) == ["closed"]


@BOTH
async def test_doctor_names_a_venue_account_that_has_two_names(bench: Bench, venue: str) -> None:
    name, other = bench.account("main", venue), bench.account("other", venue)
    bench.environ["OTHER_KEY"], bench.environ["OTHER_SECRET"] = bench.environ["MAIN_KEY"], bench.environ["MAIN_SECRET"]
    done = await bench.run("doctor", "--json")
    (told,) = [check for check in done.json["checks"] if check["name"] == "venue account"]
    assert (told["scope"], told["level"]) == (other, "warning")
    assert f"is account {name} too" in told["detail"]
    assert "share nothing" in told["mend"]


@BOTH
async def test_doctor_finds_an_account_in_order(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    done = await bench.run("doctor", "--json")
    assert done.code in (0, 3), done.err
    names = {check["name"] for check in done.json["checks"]}
    assert {"clock skew", "identity", "withdrawal rights", "position mode"} <= names
    bench.environ["MAIN_SECRET"] = "wrong"
    wrong = await bench.run("doctor")
    assert wrong.code == 2
    assert "wrong" not in wrong.out + wrong.err
