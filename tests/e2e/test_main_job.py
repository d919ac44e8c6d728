"""The main job against a served venue: adopt, verify, close on evidence, refuse to conclude anything from a failure."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support.bench import Bench
from trueup.sim.faults import Fault, FaultKind

BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])


@BOTH
async def test_adopts_verifies_and_closes_exactly_the_one_that_was_closed(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "BTCUSDT", "long", "0.010")
    bench.world.open_position(name, "ETHUSDT", "short", "1.5")

    first = await bench.sync_report(name, 0)
    assert {(p["symbol"], p["side"], Decimal(p["quantity"])) for p in first["added_missing"]} == {
        ("BTC/USDT:USDT", "long", Decimal("0.010")),
        ("ETH/USDT:USDT", "short", Decimal("1.5")),
    }
    second = await bench.sync_report(name, 0)
    assert len(second["verified"]) == 2
    assert second["added_missing"] == second["closed_phantom"] == []

    bench.world.set_price("ETHUSDT", "2987.65")
    bench.world.close_position(name, "ETHUSDT", "short")
    third = await bench.sync_report(name, 0)
    fills = bench.world.look(name).fills("ETHUSDT")
    [closed] = third["closed_phantom"]
    assert (closed["symbol"], closed["evidence"], closed["estimated"]) == ("ETH/USDT:USDT", "fills", False)
    assert closed["exit_reason"] == "external"
    assert Decimal(closed["exit_price"]) == fills[-1].price
    assert Decimal(closed["realized_pnl"]) == sum(fill.realized_pnl for fill in fills)
    assert [(fee["asset"], Decimal(fee["amount"])) for fee in closed["fees"]] == [
        ("USDT", sum(fill.fee for fill in fills))
    ]
    assert closed["complete"] is True
    assert Decimal(closed["net_pnl"]) == sum(fill.realized_pnl - fill.fee for fill in fills)
    assert [p["symbol"] for p in third["verified"]] == ["BTC/USDT:USDT"]

    book = bench.book_bytes()
    assert len(book["positions"]) == 2
    assert len(await bench.positions("closed")) == 1
    [exit_order] = [
        order
        for order in book["orders"]
        if str(fills[-1].order_id) in map(str, order) or closed["position_id"] in order
    ]
    assert exit_order
    trades = [trade for trade in book["trades"] if closed["position_id"] in trade]
    assert len(trades) == 2


FAULTS = {
    "503": Fault(FaultKind.HTTP_ERROR, path="*position*", status=503),
    "html": Fault(FaultKind.HTML, path="*position*"),
    "half a json": Fault(FaultKind.TRUNCATED, path="*position*"),
    "cut connection": Fault(FaultKind.DISCONNECT, path="*position*"),
    "no size": Fault(FaultKind.DROP_FIELD, path="/fapi/v3/positionRisk", field="positionAmt"),
    "no bybit size": Fault(FaultKind.DROP_FIELD, path="/v5/position/list", field="size"),
    "usdc alone": Fault(FaultKind.HTTP_ERROR, path="/v5/position/list", query={"settleCoin": "USDC"}, status=503),
    "order list": Fault(FaultKind.HTTP_ERROR, path="*rder*", status=503),
    "never answered": Fault(FaultKind.HANG, path="*position*"),
}


@pytest.mark.parametrize(
    ("venue", "fault"),
    [
        (venue, fault)
        for venue in ("binanceusdm", "bybit")
        for fault in FAULTS
        if not ((venue == "binanceusdm" and "bybit" in fault) or (venue == "binanceusdm" and fault == "usdc alone"))
        and not (venue == "bybit" and fault == "no size")
    ],
)
async def test_a_failure_to_observe_is_exit_4_and_leaves_the_book_byte_for_byte(
    bench: Bench, venue: str, fault: str
) -> None:
    name = bench.account("main", venue, "protect")
    bench.world.open_position(name, "BTCUSDT", "long", "0.010")
    bench.world.open_position(name, "ETHUSDT", "short", "1.5")
    await bench.sync_report(name, 0)
    before = bench.book_bytes()
    bench.world.close_position(name, "ETHUSDT", "short")
    bench.fault(FAULTS[fault])

    report = await bench.sync_report(name, 4)

    assert report["observed"] is False
    assert report["error"]
    assert report["closed_phantom"] == []
    assert bench.book_bytes() == before
    bench.mend()
    assert len((await bench.sync_report(name, 0))["closed_phantom"]) == 1


@BOTH
async def test_one_empty_answer_is_over_at_the_next_look(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        bench.world.open_position(name, symbol, "long", "1")
    await bench.sync_report(name, 0)
    bench.fault(Fault(FaultKind.EMPTY, path="*position*", count=1 if venue == "binanceusdm" else 6))
    report = await bench.sync_report(name, 0)
    assert report["closed_phantom"] == report["suspected"] == []
    assert len(report["verified"]) == 3


@BOTH
async def test_answers_that_stay_empty_close_nothing_while_fills_say_open(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        bench.world.open_position(name, symbol, "long", "1")
    await bench.sync_report(name, 0)
    bench.fault(Fault(FaultKind.EMPTY, path="*position*"))
    report = await bench.sync_report(name, 3)
    assert report["closed_phantom"] == []
    assert {held["kind"] for held in report["held"]} == {"inconclusive"}
    assert len(await bench.positions()) == 3
    bench.mend()
    again = await bench.sync_report(name, 0)
    assert len(again["verified"]) == 3
    assert again["suspected"] == again["held"] == []


@BOTH
async def test_the_same_key_answering_for_another_account_is_exit_2_and_changes_nothing(
    bench: Bench, venue: str
) -> None:
    name = bench.account("main", venue)
    bench.account("other", venue)
    bench.world.open_position(name, "BTCUSDT", "long", "0.010")
    await bench.sync_report(name, 0)
    before = bench.book_bytes()
    bench.world.move_key(bench.environ["MAIN_KEY"], "binance" if venue == "binanceusdm" else "bybit", "other")
    bench.environ["MAIN_SECRET"] = bench.environ["OTHER_SECRET"]

    report = await bench.sync_report(name, 2)

    assert "pin main --reset" in report["error"]
    assert bench.book_bytes() == before
    assert [event["severity"] for event in await bench.events("IDENTITY_MISMATCH")] == ["critical"]


@BOTH
async def test_a_partial_close_elsewhere_corrects_the_quantity(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    await bench.sync_report(name, 0)
    bench.world.reduce_position(name, "ETHUSDT", "long", "0.5")
    report = await bench.sync_report(name, 0)
    [change] = report["updated_quantity"]
    assert (Decimal(change["previous_quantity"]), Decimal(change["quantity"])) == (Decimal(2), Decimal("1.5"))
    assert len(await bench.events("QUANTITY_MISMATCH_DETECTED")) == 1
    bench.world.close_position(name, "ETHUSDT", "long")
    [closed] = (await bench.sync_report(name, 0))["closed_phantom"]
    fills = bench.world.look(name).fills("ETHUSDT")
    assert Decimal(closed["quantity"]) == 2
    assert Decimal(closed["realized_pnl"]) == sum(fill.realized_pnl for fill in fills)


@BOTH
async def test_closed_and_reopened_between_two_looks_is_two_lifecycles(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    [before] = (await bench.sync_report(name, 0))["added_missing"]
    bench.world.close_position(name, "ETHUSDT", "long")
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    report = await bench.sync_report(name, 0)
    assert [p["position_id"] for p in report["closed_phantom"]] == [before["position_id"]]
    assert [p["position_id"] for p in report["added_missing"]] != [before["position_id"]]
    assert len(await bench.positions()) == 1


@BOTH
async def test_a_flip_between_two_looks_closes_one_side_and_opens_the_other(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    await bench.sync_report(name, 0)
    bench.world.open_position(name, "ETHUSDT", "short", "3")
    report = await bench.sync_report(name, 0)
    [closed], [opened] = report["closed_phantom"], report["added_missing"]
    assert (closed["side"], Decimal(closed["quantity"])) == ("long", Decimal(2))
    assert (opened["side"], Decimal(opened["quantity"])) == ("short", Decimal(1))


async def test_a_dated_and_a_perpetual_contract_of_one_pair_stay_apart(bench: Bench) -> None:
    name = bench.account("main", "binanceusdm")
    dated = next(i for i in bench.world.instruments("binance") if i.expiry_ms is not None and i.base == "BTC")
    bench.world.open_position(name, "BTCUSDT", "long", "0.010")
    bench.world.open_position(name, dated.symbol, "short", "0.020")
    report = await bench.sync_report(name, 0)
    assert len(report["added_missing"]) == 2
    bench.world.close_position(name, dated.symbol, "short")
    after = await bench.sync_report(name, 0)
    [closed] = after["closed_phantom"]
    assert closed["symbol"].startswith("BTC/USDT:USDT-")
    assert [p["symbol"] for p in after["verified"]] == ["BTC/USDT:USDT"]


@BOTH
async def test_the_legs_of_a_hedge_stay_apart(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue, hedge=True)
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    bench.world.open_position(name, "ETHUSDT", "short", "1")
    assert len((await bench.sync_report(name, 0))["added_missing"]) == 2
    bench.world.close_position(name, "ETHUSDT", "long")
    report = await bench.sync_report(name, 0)
    assert [(p["side"], p["evidence"]) for p in report["closed_phantom"]] == [("long", "fills")]
    assert [p["side"] for p in report["verified"]] == ["short"]


@BOTH
async def test_a_row_in_the_old_form_matches_and_is_not_rewritten(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "HIGHUSDT", "long", "10")
    await bench.run("status")
    row = bench.world.look(name).positions("HIGHUSDT")[0]
    bench.execute(
        "INSERT INTO positions (account, exchange, symbol, side, entry_price, quantity, status, created_at, updated_at)"
        " VALUES (?, ?, 'HIGHUSDT', 'long', ?, '10', 'active', datetime('now'), datetime('now'))",
        name,
        venue,
        str(row.entry_price),
    )
    report = await bench.sync_report(name, 0)
    assert [p["symbol"] for p in report["verified"]] == ["HIGH/USDT:USDT"]
    assert report["added_missing"] == []
    assert bench.book_bytes()["positions"][0]
    bench.world.close_position(name, "HIGHUSDT", "long")
    [closed] = (await bench.sync_report(name, 0))["closed_phantom"]
    assert (closed["evidence"], closed["symbol"]) == ("fills", "HIGH/USDT:USDT")


@BOTH
async def test_a_row_that_never_existed_is_a_phantom_once_it_is_confirmed(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "1000PEPEUSDT"):
        bench.world.open_position(name, symbol, "long", "1000" if "PEPE" in symbol else "1")
    await bench.sync_report(name, 0)
    bench.execute(
        "INSERT INTO positions (account, exchange, symbol, side, entry_price, quantity, status, created_at, updated_at)"
        " VALUES (?, ?, 'HIGHUSDT', 'long', '1.5', '10', 'active', datetime('now'), datetime('now'))",
        name,
        venue,
    )
    report = await bench.sync_report(name, 0)
    [closed] = report["closed_phantom"]
    assert (closed["exit_reason"], closed["evidence"], closed["estimated"]) == ("PHANTOM_ON_SYNC", "absence", True)
    assert closed["realized_pnl"] is None
    assert len(report["verified"]) == 4
