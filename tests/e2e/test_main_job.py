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


@BOTH
async def test_an_answer_that_never_comes_is_exit_4_and_leaves_the_book_byte_for_byte(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue, "protect")
    bench.world.open_position(name, "ETHUSDT", "short", "1.5")
    await bench.sync_report(name, 0)
    before = bench.book_bytes()
    bench.world.close_position(name, "ETHUSDT", "short")
    bench.fault(Fault(FaultKind.HANG, path="*position*"))
    report = await bench.sync_report(name, 4)
    assert report["observed"] is False
    assert report["error"]
    assert report["closed_phantom"] == []
    assert bench.book_bytes() == before


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
