"""Lessons 9, 11, 13, 15, 16, 18, 23, 26 and 28: whose positions and orders these are, and acts that are verified on the venue."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from lesson_desk import CANCELS, FILLS, Desk, open_desk, until

from tests.support.bench import Bench
from tests.support.lessons import lesson
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.world.requests import ConditionalRequest
from trueup.sim.world.types import ConditionalKind, ConditionalOrder, ConditionalStatus, Leg, OrderType, Side

D = Decimal
ATTEMPTS_A_PASS = 3

NOT_FOUND = {
    "binanceusdm": (400, {"code": -2011, "msg": "Unknown order sent."}),
    "bybit": (200, {"retCode": 110001, "retMsg": "order not exists or too late to cancel", "result": {}}),
}
CANCELLED = {
    "binanceusdm": (200, {"algoId": 1, "clientAlgoId": "", "code": "200", "msg": "success"}),
    "bybit": (200, {"retCode": 0, "retMsg": "OK", "result": {"orderId": "", "orderLinkId": ""}}),
}


def answering(venue: str, answers: dict[str, tuple[int, dict[str, object]]]) -> Fault:
    """The cancel is answered so, and nothing is carried out."""
    method, path = CANCELS[venue]
    status, body = answers[venue]
    return Fault(FaultKind.HTTP_ERROR, path=path, method=method, status=status, body=json.dumps(body))


async def _closed_with_a_stop_left(desk: Desk, *, hedge: bool = False) -> ConditionalOrder:
    """A recorded stop whose position was closed elsewhere; not looked at since."""
    desk.world.open_position(desk.name, "ETHUSDT", "long", "2")
    stop = desk.stop("ETHUSDT", "long", "2", "2000", hedge=hedge)
    await desk.sync(0)
    (recorded,) = await desk.rows("orders")
    assert bool(recorded["closing"])
    desk.world.close_position(desk.name, "ETHUSDT", "long")
    assert desk.order_is_open(stop)
    return stop


@lesson(9)
async def test_lesson_09_hedge_mode(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue, "protect", hedge=True) as desk:
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        short = bench.world.open_position(desk.name, "ETHUSDT", "short", "1")
        bench.insert_row(desk.name, venue, "ETHUSDT", "short", "1", str(short.entry_price))
        stops = {
            "long": desk.stop("ETHUSDT", "long", "2", "2000", hedge=True),
            "short": desk.stop("ETHUSDT", "short", "1", "9000", hedge=True),
        }
        first = await desk.sync(0)
        assert [position.side.value for position in first.added_missing] == ["long"]
        assert [position.side.value for position in first.verified] == ["short"]

        bench.world.set_price("ETHUSDT", "3100")
        bench.world.reduce_position(desk.name, "ETHUSDT", "short", "0.4")
        bench.world.close_position(desk.name, "ETHUSDT", "long")
        report = await desk.sync(0)

        (long_life,), (short_life,) = desk.lives("ETHUSDT", Leg.LONG), desk.lives("ETHUSDT", Leg.SHORT)
        (closed,) = report.closed_phantom
        assert (closed.side.value, long_life.realized) == ("long", D(200))
        await desk.check_closed(closed, long_life, "external", funding_known=not long_life.funding)
        (change,) = report.updated_quantity
        assert (change.position.side.value, change.previous_quantity) == ("short", D(1))
        (row,) = await desk.active()
        await desk.check_open(row, short_life)
        assert D(row["realized_pnl"]) == short_life.realized == -40
        assert (desk.order_is_open(stops["long"]), desk.order_is_open(stops["short"])) == (False, True)


@lesson(11)
@pytest.mark.parametrize("choice", ["adopt", "hold", "ignore"])
async def test_lesson_11_opened_by_hand(bench: Bench, venue: str, choice: str) -> None:
    async with open_desk(bench, venue, "protect", adopt=f'"{choice}"') as desk:
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        report = await desk.sync(3 if choice == "hold" else 0)
        rows = await desk.rows("positions")
        if choice == "hold":
            (held,) = report.held
            assert (held.kind.value, rows) == ("adoption", [])
            approved = await bench.run("approve", str(held.hold_id))
            assert approved.code == 0, approved.err
        if choice == "ignore":
            assert rows == []
        else:
            (row,) = await desk.rows("positions")
            (life,) = desk.lives("ETHUSDT")
            assert (row["origin"], bool(row["unverified"])) == ("adopted", False)
            assert row["opening_order_id"] == desk.id_of(life.opening_order)
            await desk.check_open(row, life)
            assert len(await desk.events("MISSING_POSITION_ADDED")) == 1
        await desk.sync(0)
        view = bench.world.look(desk.name)
        assert (len(view.orders()), view.conditionals()) == (1, []), "the hand's own order and nothing else"


@lesson(11, words="without an opening fill only after a second look, and said to be unverified")
async def test_lesson_11_its_opening_is_not_to_be_found(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue) as desk:
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        desk.fault(Fault(FaultKind.EMPTY, path=FILLS[venue]))
        desk.fault(
            Fault(FaultKind.SLOW, path=FILLS[venue], delay_ms=22)
        )  # Bybit allows 50 a second: no faster than a real line
        (adopted,) = (await desk.sync(0)).added_missing
        (row,) = await desk.active()
        assert (row["id"], bool(row["unverified"]), row["opening_order_id"]) == (adopted.position_id, True, None)
        assert (D(row["quantity"]), D(row["entry_price"])) == (D(2), D(3000))
        assert len(await desk.events("MISSING_POSITION_REJECTED")) == 1


@lesson(13)
async def test_lesson_13_cancel_answers_not_found(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue, "protect") as desk:
        stop = await _closed_with_a_stop_left(desk)
        lying = desk.fault(answering(venue, NOT_FOUND))

        report = await desk.sync(5)

        assert lying.hits == ATTEMPTS_A_PASS
        assert desk.order_is_open(stop)
        assert [order.order_id for order in report.protection.failed] == [desk.id_of(stop.conditional_id)]
        assert report.protection.cancelled == ()
        (failed,) = await desk.events("CLEANUP_FAILED")
        assert failed.data["attempts"] == ATTEMPTS_A_PASS
        assert await desk.events("ORPHANED_SL_CLEANED") == []
        bench.mend()
        assert len((await desk.sync(0)).protection.cancelled) == 1
        assert not desk.order_is_open(stop)
        assert len(await desk.events("ORPHANED_SL_CLEANED")) == 1


@lesson(13, words="and when it is true, nothing is left to do")
async def test_lesson_13_somebody_cancelled_it_first(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue, "protect") as desk:
        stop = await _closed_with_a_stop_left(desk)
        method, path = CANCELS[venue]
        slow = desk.fault(Fault(FaultKind.SLOW, path=path, method=method, when="before", delay_ms=400))
        syncing = asyncio.create_task(desk.sync(0))
        await until(lambda: slow.hits)
        bench.world.cancel_conditional(desk.name, stop.conditional_id)
        report = await syncing
        assert report.protection.failed == ()
        (effect,) = await desk.acts()
        assert (effect["state"], effect["attempts"]) == ("done", 1)
        assert "already gone" in effect["outcome"]


@lesson(15)
async def test_lesson_15_orphaned_stop(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue, "protect") as desk:
        stop = await _closed_with_a_stop_left(desk)
        method, path = CANCELS[venue]
        failing = desk.fault(Fault(FaultKind.HTTP_ERROR, path=path, method=method, status=503, body="no"))

        report = await desk.sync(5)

        (closed,) = report.closed_phantom
        (life,) = desk.lives("ETHUSDT")
        await desk.check_closed(closed, life, "external")
        await desk.sync(5)
        assert failing.hits == 2 * ATTEMPTS_A_PASS
        (effect,) = await desk.acts()
        assert (effect["kind"], effect["state"], effect["attempts"]) == ("cancel_order", "escalated", 6)
        status = await desk.status()
        assert (status.failed_cleanups, status.cleanup_failures_total) == (1, 2)
        bench.mend()
        again = await desk.sync(0)
        assert [order.order_id for order in again.protection.cancelled] == [desk.id_of(stop.conditional_id)]
        record = bench.world.look(desk.name).conditional(stop.conditional_id)
        assert record is not None
        assert record.status is ConditionalStatus.CANCELED
        assert [effect["state"] for effect in await desk.acts()] == ["done"]
        assert len(await desk.events("ORPHANED_SL_CLEANED")) == 1


@lesson(16)
@pytest.mark.parametrize("hedge", [False, True], ids=["oneway", "hedge"])
async def test_lesson_16_the_symbol_was_reopened(bench: Bench, venue: str, hedge: bool) -> None:
    async with open_desk(bench, venue, "protect", hedge=hedge) as desk:
        old = await _closed_with_a_stop_left(desk, hedge=hedge)
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        new = desk.stop("ETHUSDT", "long", "2", "2100", hedge=hedge)
        report = await desk.sync(0)
        assert len(report.closed_phantom) == len(report.added_missing) == 1
        assert (desk.order_is_open(new), desk.order_is_open(old)) == (True, True), "both belong to the open lifecycle"
        (kept,) = await desk.events("ORPHANED_SL_KEPT")
        assert kept.data["order_id"] == desk.id_of(old.conditional_id)
        assert desk.requests(*CANCELS[venue]) == 0
        recorded = {row["order_id"]: row["position_id"] for row in await desk.rows("orders") if row["kind"] == "stop"}
        assert recorded[desk.id_of(new.conditional_id)] == report.added_missing[0].position_id


@lesson(16, words="reopened the other way round, the old stop goes and the new one stays")
async def test_lesson_16_reopened_the_other_way(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue, "protect") as desk:
        old = await _closed_with_a_stop_left(desk)
        bench.world.open_position(desk.name, "ETHUSDT", "short", "1")
        new = desk.stop("ETHUSDT", "short", "1", "9000")
        report = await desk.sync(0)
        assert [order.order_id for order in report.protection.cancelled] == [desk.id_of(old.conditional_id)]
        assert (desk.order_is_open(new), desk.order_is_open(old)) == (True, False)


@lesson(18)
async def test_lesson_18_called_a_success(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue, "protect") as desk:
        stop = await _closed_with_a_stop_left(desk)
        empty = desk.fault(answering(venue, CANCELLED))

        report = await desk.sync(5)

        assert empty.hits == ATTEMPTS_A_PASS, "bounded"
        assert desk.order_is_open(stop)
        assert report.protection.cancelled == ()
        assert len(report.protection.failed) == 1
        (escalated,) = await desk.events("EFFECT_ESCALATED")
        assert (escalated.severity.value, "still lists" in str(escalated.data["problem"])) == ("error", True)
        await desk.sync(5)
        assert empty.hits == 2 * ATTEMPTS_A_PASS
        assert len(await desk.events("EFFECT_ESCALATED")) == 1, "escalated once"
        bench.mend()
        await desk.sync(0)
        assert not desk.order_is_open(stop)


@lesson(18, words="a close that is accepted and does not fill is sent once, and is no success")
async def test_lesson_18_a_close_that_does_not_fill(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue, "protect") as desk:
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        (adopted,) = (await desk.sync(0)).added_missing
        await desk.program.manager.load_positions_from_db()
        bench.world.set_matching(False)
        report = await desk.program.manager.close_position("ETH/USDT:USDT")
        assert (report.exit_code, report.closed_phantom) == (5, ())
        assert [row["id"] for row in await desk.active()] == [adopted.position_id]
        (order,) = bench.world.look(desk.name).open_orders()
        assert (order.side, order.quantity, order.reduce_only) == (Side.SELL, D(2), True)
        bench.world.fill_order(desk.name, order.order_id)
        bench.world.set_matching(True)
        (closed,) = (await desk.sync(0)).closed_phantom
        (life,) = desk.lives("ETHUSDT")
        await desk.check_closed(closed, life, "manual")
        assert len(bench.world.look(desk.name).orders()) == 2


@lesson(23)
async def test_lesson_23_crash_between_close_and_cleanup(any_bench: Bench, venue: str) -> None:
    async with open_desk(any_bench, venue, "protect") as desk:
        stop = await _closed_with_a_stop_left(desk)
        method, path = CANCELS[venue]
        hanging = desk.fault(Fault(FaultKind.HANG, path=path, method=method))
        process = await any_bench.start("sync", "--json")
        await until(lambda: hanging.hits)
        process.kill()
        await process.communicate()
        (closed,) = await desk.closed()
        assert desk.order_is_open(stop)
        (effect,) = await desk.acts()
        assert (effect["position_id"], effect["state"]) == (closed["id"], "pending")
        any_bench.mend()
        await desk.lease_runs_out()

        report = await desk.sync(0)

        assert report.closed_phantom == ()
        assert [order.order_id for order in report.protection.cancelled] == [desk.id_of(stop.conditional_id)]
        assert not desk.order_is_open(stop)
        assert [row["state"] for row in await desk.acts()] == ["done"]
        (life,) = desk.lives("ETHUSDT")
        await desk.check_closed(closed["id"], life, "external")
        for once in ("PHANTOM_POSITION_CLOSED", "ORPHANED_SL_CLEANED"):
            assert len(await desk.events(once)) == 1
        assert len(await desk.rows("positions")) == 1


@lesson(26)
@pytest.mark.parametrize("hedge", [False, True], ids=["oneway", "hedge"])
async def test_lesson_26_somebodys_stop_entry(bench: Bench, venue: str, hedge: bool) -> None:
    async with open_desk(bench, venue, "protect", hedge=hedge) as desk:
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        stop = desk.stop("ETHUSDT", "long", "2", "2000", hedge=hedge)
        entries = [
            bench.world.place_conditional(
                desk.name,
                ConditionalRequest(
                    symbol="ETHUSDT",
                    side=side,
                    kind=ConditionalKind.STOP,
                    order_type=OrderType.MARKET,
                    quantity=D(2),
                    trigger_price=trigger,
                    leg=leg if hedge else Leg.NET,
                ),
            )
            for side, trigger, leg in ((Side.BUY, D(4000), Leg.LONG), (Side.SELL, D(2000), Leg.SHORT))
        ]
        await desk.sync(0)
        bench.world.close_position(desk.name, "ETHUSDT", "long")
        report = await desk.sync(0)
        assert [order.order_id for order in report.protection.cancelled] == [desk.id_of(stop.conditional_id)]
        assert (report.protection.orphans, report.protection.failed) == ((), ())
        assert not desk.order_is_open(stop)
        assert [desk.order_is_open(entry) for entry in entries] == [True, True]
        recorded = {row["order_id"] for row in await desk.rows("orders")}
        assert not recorded & {desk.id_of(entry.conditional_id) for entry in entries}


@lesson(28)
async def test_lesson_28_a_stale_owners_write(any_bench: Bench, venue: str) -> None:
    async with open_desk(any_bench, venue) as desk:
        await desk.sync(0)
        any_bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        slow = desk.fault(Fault(FaultKind.SLOW, path=FILLS[venue], when="after", delay_ms=300, count=1))
        stale = await any_bench.start("sync", "--json")
        await until(lambda: slow.hits)  # it saw the position and the empty book; its history is on the way
        stale.send_signal(signal.SIGSTOP)
        await desk.lease_runs_out()
        assert len((await desk.sync(0)).added_missing) == 1
        any_bench.world.close_position(desk.name, "ETHUSDT", "long")
        assert len((await desk.sync(0)).closed_phantom) == 1
        before = await desk.book()

        stale.send_signal(signal.SIGCONT)
        _, err = await asyncio.wait_for(stale.communicate(), 60)

        assert stale.returncode == 0, err.decode()
        assert await desk.book() == before
        (request,) = await desk.rows(
            "requests"
        )  # refused, it asked the owner, found none, and began anew under another epoch
        assert "taken over by the asker" in request["result"]
        assert len(await desk.events("MISSING_POSITION_ADDED")) == 1
        (life,) = desk.lives("ETHUSDT")
        (row,) = await desk.rows("positions")
        await desk.check_closed(row["id"], life, "external")


@lesson(28, words="a command beside the daemon hands its request to it")
async def test_lesson_28_a_command_beside_the_daemon(bench: Bench, venue: str) -> None:
    bench.sync["audit_interval_s"] = "3600"
    async with open_desk(bench, venue) as desk, _daemon(bench, desk):
        (owner,) = bench.rows("owners")
        desk.fault(Fault(FaultKind.STREAM_DROP))  # nobody tells the daemon, and its next audit is far away
        bench.world.close_position(desk.name, "ETHUSDT", "long")
        (closed,) = (await desk.sync(0)).closed_phantom  # this process is not the owner
        (life,) = desk.lives("ETHUSDT")
        await desk.check_closed(closed, life, "external")
        (request,) = await desk.rows("requests")
        assert (request["kind"], request["state"], request["taken_epoch"]) == ("sync", "done", owner["epoch"])
        assert bench.rows("owners")[0]["holder"] == owner["holder"], "it never took the account over"
        assert len(await desk.events("PHANTOM_POSITION_CLOSED")) == 1


@asynccontextmanager
async def _daemon(bench: Bench, desk: Desk) -> AsyncIterator[None]:
    """`trueup run` with one open position and its stream up."""
    bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
    process = await bench.start("run")
    try:
        await until(lambda: '"streams":"up"' in str(bench.rows("account_state")))
        await until(lambda: [row["status"] for row in bench.rows("positions")] == ["active"])
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
