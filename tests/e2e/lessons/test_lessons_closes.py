"""Lessons 4 to 8, 19 and 20: what happened between two looks is recorded as the venue's own fills tell it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from lesson_desk import FILLS, Desk, open_desk

from tests.support.bench import Bench
from tests.support.lessons import lesson
from trueup.model.positions import Evidence
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.world.requests import OrderRequest
from trueup.sim.world.types import ExecType, Fill, Leg, OrderType, Side

D = Decimal


@lesson(4)
async def test_lesson_04_closed_behind_the_bots_back(any_bench: Bench, venue: str) -> None:
    async with open_desk(any_bench, venue) as desk:
        any_bench.world.open_position(desk.name, "ETHUSDT", "short", "2")
        any_bench.world.set_price("ETHUSDT", "2900")
        any_bench.world.open_position(desk.name, "ETHUSDT", "short", "1")
        (adopted,) = (await desk.sync(0)).added_missing
        await desk.moment()
        any_bench.world.fund("ETHUSDT")
        await desk.moment()
        any_bench.world.set_liquidity("ETHUSDT", "0.7")  # the close walks through five price levels
        any_bench.world.set_price("ETHUSDT", "2876.54")
        any_bench.world.close_position(desk.name, "ETHUSDT", "short")

        report = await any_bench.sync_report(desk.name, 0)

        (life,) = desk.lives("ETHUSDT")
        assert len(life.sold) == 5
        assert life.realized > 0
        assert life.funding != 0
        (told,) = report["closed_phantom"]
        assert (told["position_id"], told["evidence"], told["exit_reason"]) == (
            adopted.position_id,
            "fills",
            "external",
        )
        assert D(told["net_pnl"]) == life.net
        row = await desk.check_closed(adopted.position_id, life, "external")
        assert D(row["pnl"]) == life.realized
        (event,) = await desk.events("PHANTOM_POSITION_CLOSED")
        assert {"symbol", "exchange", "position_id", "reason"} <= set(event.data)
        assert await desk.active() == []


@lesson(
    4,
    words="the venue's record of the close stands in for lost fills",
    only="bybit",
    why="Binance keeps no such record",
)
async def test_lesson_04_by_the_closed_pnl_record(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue) as desk:
        await _a_bots_own_position(desk)
        bench.world.set_price("ETHUSDT", "3100")
        bench.world.close_position(desk.name, "ETHUSDT", "long")
        desk.fault(Fault(FaultKind.EMPTY, path=FILLS[venue]))
        (closed,) = (await desk.sync(0)).closed_phantom
        (life,) = desk.lives("ETHUSDT")
        assert closed.close is not None
        assert closed.close.evidence is Evidence.CLOSED_PNL
        assert (closed.close.realized_pnl, closed.close.exit_price) == (life.realized, life.exit_price)
        assert closed.close.realized_pnl == 200
        (row,) = await desk.closed()
        assert (row["evidence"], D(row["realized_pnl"]), bool(row["complete"])) == ("closed_pnl", life.realized, False)


@lesson(4, words="its filled stop stands in for lost fills")
async def test_lesson_04_by_the_closing_order(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue) as desk:
        await _a_bots_own_position(desk)
        desk.stop("ETHUSDT", "long", "2", "2900")
        await desk.sync(0)
        bench.world.set_price("ETHUSDT", "2899")
        desk.fault(Fault(FaultKind.EMPTY, path=FILLS[venue]))
        desk.fault(Fault(FaultKind.EMPTY, path="/v5/position/closed-pnl"))
        (closed,) = (await desk.sync(0)).closed_phantom
        (life,) = desk.lives("ETHUSDT")
        assert closed.close is not None
        assert closed.close.evidence is Evidence.ORDER
        assert closed.close.exit_reason.value == "stop_loss"
        assert (closed.close.exit_price, closed.close.realized_pnl) == (life.exit_price, life.realized)
        assert life.realized < 0


async def _a_bots_own_position(desk: Desk) -> None:
    """Written by the bot, found true: the book has the row and none of its fills. A close now is told apart from its opening."""
    position = desk.world.open_position(desk.name, "ETHUSDT", "long", "2")
    desk.bench.insert_row(desk.name, desk.venue, "ETHUSDT", "long", "2", str(position.entry_price))
    (row,) = (await desk.sync(0)).verified
    assert await desk.program.store.trades_of(row.position_id) == []
    await desk.moment(1_100)


@lesson(5)
async def test_lesson_05_partial_external_reduction(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue) as desk:
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        (adopted,) = (await desk.sync(0)).added_missing
        bench.world.set_price("ETHUSDT", "3050.5")
        bench.world.reduce_position(desk.name, "ETHUSDT", "long", "0.7")

        (change,) = (await desk.sync(0)).updated_quantity

        assert (change.previous_quantity, change.position.quantity) == (D(2), D("1.3"))
        (life,) = desk.lives("ETHUSDT")
        (row,) = await desk.active()
        assert row["id"] == adopted.position_id
        assert (D(row["quantity"]), D(row["entry_price"])) == (D("1.3"), life.entry_price)
        assert D(row["realized_pnl"]) == life.realized == D("35.35")
        (event,) = await desk.events("QUANTITY_MISMATCH_DETECTED")
        assert event.position_id == adopted.position_id

        bench.world.set_price("ETHUSDT", "2990")
        bench.world.close_position(desk.name, "ETHUSDT", "long")
        (closed,) = (await desk.sync(0)).closed_phantom
        (life,) = desk.lives("ETHUSDT")
        assert life.closed_quantity == 2
        await desk.check_closed(closed, life, "external")


@lesson(6)
async def test_lesson_06_flipped_between_two_looks(any_bench: Bench, venue: str) -> None:
    async with open_desk(any_bench, venue) as desk:
        any_bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        (before,) = (await desk.sync(0)).added_missing
        any_bench.world.set_price("ETHUSDT", "3033.3")
        any_bench.world.place_order(desk.name, OrderRequest("ETHUSDT", Side.SELL, OrderType.MARKET, D(5)))

        report = await desk.sync(0)

        old, new = desk.lives("ETHUSDT")
        assert (old.closed_quantity, new.quantity, old.closing_order) == (D(2), D(3), new.opening_order)
        assert [position.side.value for position in report.closed_phantom] == ["long"]
        assert [position.side.value for position in report.added_missing] == ["short"]
        await desk.check_closed(before.position_id, old, "external")
        (row,) = await desk.active()
        await desk.check_open(row, new)
        assert row["opening_order_id"] == desk.id_of(new.opening_order)
        (trade,) = [trade for trade in await desk.rows("trades") if trade["position_id"] == row["id"]]
        assert (bool(trade["opening"]), D(trade["quantity"]), D(trade["fill_quantity"])) == (True, D(3), D(5))
        assert D(trade["fee"]) == new.fees


@lesson(7)
@pytest.mark.parametrize("hedge", [False, True], ids=["oneway", "hedge"])
async def test_lesson_07_reopened_with_the_same_size(bench: Bench, venue: str, hedge: bool) -> None:
    async with open_desk(bench, venue, hedge=hedge) as desk:
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        (before,) = (await desk.sync(0)).added_missing
        bench.world.close_position(desk.name, "ETHUSDT", "long")
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")  # the same price: every number is as before

        report = await desk.sync(0)

        first, second = desk.lives("ETHUSDT", Leg.LONG if hedge else Leg.NET)
        assert (first.entry_price, first.closed_quantity) == (second.entry_price, second.quantity)
        assert [position.position_id for position in report.closed_phantom] == [before.position_id]
        known = not (hedge and venue == "binanceusdm")  # Binance does not say which leg a payment was for
        await desk.check_closed(before.position_id, first, "external", funding_known=known or not first.funding)
        (row,) = await desk.active()
        assert row["id"] != before.position_id
        await desk.check_open(row, second)
        assert row["opening_order_id"] == desk.id_of(second.opening_order)


@lesson(7, words="a whole lifecycle between two looks is recorded too")
async def test_lesson_07_a_lifecycle_nobody_saw(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue) as desk:
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        (before,) = (await desk.sync(0)).added_missing
        for price in ("3010", "2980"):
            bench.world.set_price("ETHUSDT", price)
            bench.world.close_position(desk.name, "ETHUSDT", "long")
            bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        await desk.sync(0)
        first, unseen, last = desk.lives("ETHUSDT")
        rows = await desk.closed()
        assert [row["id"] for row in rows if row["id"] != before.position_id] == [rows[-1]["id"]]
        await desk.check_closed(before.position_id, first, "external")
        await desk.check_closed(rows[-1]["id"], unseen, "external")
        assert (first.realized, unseen.realized) == (D(20), D(-60))
        (row,) = await desk.active()
        await desk.check_open(row, last)


@lesson(8)
async def test_lesson_08_same_quantity_other_entry(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue) as desk:
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        (adopted,) = (await desk.sync(0)).added_missing
        bench.world.set_price("ETHUSDT", "3100")
        bench.world.reduce_position(desk.name, "ETHUSDT", "long", "1")
        bench.world.open_position(desk.name, "ETHUSDT", "long", "1")

        await desk.sync(0)

        (held,) = bench.world.look(desk.name).positions("ETHUSDT")
        (life,) = desk.lives("ETHUSDT")
        (row,) = await desk.active()
        assert row["id"] == adopted.position_id
        assert (D(row["quantity"]), D(row["entry_price"])) == (D(2), held.entry_price)
        assert held.entry_price == 3050
        assert D(row["realized_pnl"]) == life.realized == 100
        (event,) = await desk.events("ENTRY_PRICE_CORRECTED")
        assert event.position_id == adopted.position_id
        assert await desk.events("QUANTITY_MISMATCH_DETECTED") == []


@lesson(8, words="a bot's row with the signal's price instead of the fill's")
async def test_lesson_08_the_bot_wrote_the_signals_price(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue) as desk:
        position = bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        bench.insert_row(desk.name, venue, "ETH/USDT:USDT", "long", "2", "2987.65")
        report = await desk.sync(0)
        assert report.added_missing == report.closed_phantom == ()
        (row,) = await desk.active()
        assert (D(row["quantity"]), D(row["entry_price"])) == (D(2), position.entry_price)
        (event,) = await desk.events("ENTRY_PRICE_CORRECTED")
        assert event.position_id == row["id"]


@lesson(19)
@pytest.mark.parametrize("hedge", [False, True], ids=["oneway", "hedge"])
async def test_lesson_19_liquidation_adl_settlement(bench: Bench, venue: str, hedge: bool) -> None:
    wire = "bybit" if venue == "bybit" else "binance"
    dated = next(i for i in bench.world.instruments(wire) if i.expiry_ms is not None and not i.inverse)
    leg = Leg.LONG if hedge else Leg.NET
    async with open_desk(bench, venue, hedge=hedge) as desk:
        for symbol, quantity in (("ETHUSDT", "2"), ("SOLUSDT", "10"), (dated.symbol, "0.1"), ("BTCUSDT", "0.2")):
            bench.world.open_position(desk.name, symbol, "long", quantity)
        assert len((await desk.sync(0)).added_missing) == 4
        await desk.moment()
        bench.world.set_price("ETHUSDT", "2900")
        bench.world.liquidate(desk.name, "ETHUSDT")
        bench.world.auto_deleverage(desk.name, "SOLUSDT", price="161")
        bench.world.settle(dated.symbol, "60321", venue=wire)  # type: ignore[arg-type]
        bench.world.set_price("BTCUSDT", "60500")
        bench.world.close_position(desk.name, "BTCUSDT", "long")

        closed = {position.symbol: position for position in (await desk.sync(0)).closed_phantom}

        by_venue = {
            "ETHUSDT": ("ETH/USDT:USDT", ExecType.LIQUIDATION, "liquidation"),
            "SOLUSDT": ("SOL/USDT:USDT", ExecType.ADL, "adl"),
            dated.symbol: (dated.unified, ExecType.SETTLEMENT, "settlement"),
            "BTCUSDT": ("BTC/USDT:USDT", ExecType.TRADE, "external"),
        }
        for symbol, (unified, kind, reason) in by_venue.items():
            (life,) = desk.lives(symbol, leg)
            last = bench.world.look(desk.name).fills(symbol)[-1]
            assert (last.exec_type, last.closed_quantity) == (kind, life.closed_quantity)
            assert life.realized != 0, "no price is another's, or the entry's"
            assert (last.fee == 0) is (kind is ExecType.SETTLEMENT), "a delivery costs nothing on the served venues"
            known = not hedge or venue == "bybit" or not life.funding
            row = await desk.check_closed(closed[unified], life, reason, funding_known=known)
            await _check_its_own_fill(desk, row, last)
        assert len(closed) == 4
        assert await desk.active() == []


async def _check_its_own_fill(desk: Desk, row: dict[str, Any], fill: Fill) -> None:
    """The close, its one closing trade, its exit order and its event are made of this fill, and say what it was."""
    (trade,) = [
        trade for trade in await desk.rows("trades") if trade["position_id"] == row["id"] and not trade["opening"]
    ]
    assert trade["order_id"] == desk.id_of(fill.order_id)
    if desk.venue == "bybit":
        assert trade["kind"] == fill.exec_type.value
    assert (D(trade["quantity"]), D(trade["price"]), D(trade["fee"])) == (fill.quantity, fill.price, fill.fee)
    assert trade["fee_asset"] == fill.fee_asset or not fill.fee
    assert D(row["exit_price"]) == fill.price
    (exit_order,) = [
        order for order in await desk.rows("orders") if order["position_id"] == row["id"] and order["is_exit"]
    ]
    assert (D(exit_order["filled_quantity"]), D(exit_order["average_price"])) == (fill.quantity, fill.price)
    if desk.venue == "binanceusdm":  # what it was is not on a fill there: the order behind it tells
        assert exit_order["client_order_id"] == fill.client_order_id
    (told,) = [event for event in await desk.events("POSITION_CLOSED") if event.position_id == row["id"]]
    assert (told.data["exit_reason"], told.data["evidence"]) == (row["exit_reason"], "fills")
    assert told.data["closing_order_id"] == desk.id_of(fill.order_id)
    assert told.data["closed_at_ms"] == fill.at_ms
    assert (D(str(told.data["exit_price"])), D(str(told.data["realized_pnl"]))) == (fill.price, fill.realized_pnl)
    assert told.data["fees"] == json.loads(row["fees"])
    (life,) = desk.lives(fill.symbol, fill.leg)
    assert sum(D(fee["amount"]) for fee in json.loads(row["fees"])) == life.fees


@lesson(20)
async def test_lesson_20_funding_is_money(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue) as desk:
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        await desk.moment()
        bench.world.fund("ETHUSDT")
        await desk.sync(0)
        for rate in ("0.0003", "-0.0001"):
            bench.world.set_price("ETHUSDT", "3010", funding_rate=rate)
            bench.world.fund("ETHUSDT")
            await desk.moment()
        (verified,) = (await desk.sync(0)).verified
        assert verified.quantity == 2
        bench.world.reduce_position(desk.name, "ETHUSDT", "long", "0.5")
        (change,) = (await desk.sync(0)).updated_quantity
        assert (change.previous_quantity, change.position.quantity) == (D(2), D("1.5"))
        await desk.moment()
        bench.world.fund("ETHUSDT")
        await desk.moment()
        bench.world.close_position(desk.name, "ETHUSDT", "long")
        (closed,) = (await desk.sync(0)).closed_phantom

        rows = [row for row in bench.world.look(desk.name).executions("ETHUSDT") if row.exec_type is ExecType.FUNDING]
        assert len(rows) == 4
        (life,) = desk.lives("ETHUSDT")
        assert life.funding == -sum(row.fee for row in rows)
        assert len({row.fee > 0 for row in rows}) == 2, "paid and received"
        await desk.check_closed(closed, life, "external")
        assert len(await desk.rows("trades")) == 3


@lesson(20, words="in hedge mode, where Binance does not say whose leg a payment was, it stays unknown")
async def test_lesson_20_funding_of_two_legs(bench: Bench, venue: str) -> None:
    async with open_desk(bench, venue, hedge=True) as desk:
        bench.world.open_position(desk.name, "ETHUSDT", "long", "2")
        bench.world.open_position(desk.name, "ETHUSDT", "short", "1")
        await desk.sync(0)
        await desk.moment()
        bench.world.fund("ETHUSDT")
        await desk.moment()
        bench.world.close_position(desk.name, "ETHUSDT", "long")
        (closed,) = (await desk.sync(0)).closed_phantom
        (life,) = desk.lives("ETHUSDT", Leg.LONG)
        assert life.funding != 0
        await desk.check_closed(closed, life, "external", funding_known=venue == "bybit")
        (row,) = await desk.active()
        assert (row["side"], D(row["quantity"])) == ("short", D(1))
