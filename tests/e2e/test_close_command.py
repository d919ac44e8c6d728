"""`trueup close` and `close-all`: done and verified is 0, not carried out is 5, outside mode protect is 2."""

from __future__ import annotations

import asyncio
import signal
from decimal import Decimal

import pytest

from tests.support.bench import Bench
from trueup.sim.faults import Fault, FaultKind

BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])
ORDER = {"binanceusdm": "/fapi/v1/order", "bybit": "/v5/order/create"}


@BOTH
async def test_close_ends_with_the_book_closed_by_its_fills(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue, "protect", hedge=True)
    bench.protection = {"protect_adopted": "true"}
    for side in ("long", "short"):
        bench.world.open_position(name, "ETHUSDT", side, "2")
    await bench.sync_report(name, 0)

    ambiguous = await bench.run("close", name, "ETHUSDT")
    assert ambiguous.code == 2
    assert "--side" in ambiguous.err

    bench.fault(Fault(FaultKind.ANSWER_LOST, path=ORDER[venue], method="POST", count=1))
    done = await bench.run("close", name, "ETHUSDT", "--side", "short", "--note", "enough", "--json")
    assert done.code == 0, done.err
    [closed] = done.json["closed"]
    assert (closed["side"], closed["exit_reason"], closed["evidence"]) == ("short", "manual", "fills")
    view = bench.world.look(name)
    [left] = view.positions("ETHUSDT")
    assert left.quantity == Decimal(2)
    assert len([fill for fill in view.fills("ETHUSDT") if fill.closed_quantity]) == 1, "sent once"
    [stop] = view.open_conditionals("ETHUSDT")
    assert stop.leg is left.leg


@BOTH
async def test_what_the_venue_refuses_is_5_and_done_later(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue, "protect")
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    await bench.sync_report(name, 0)
    bench.fault(Fault(FaultKind.DISCONNECT, path=ORDER[venue], method="POST"))
    refused = await bench.run("close", name, "ETH/USDT:USDT", "--json")
    assert refused.code == 5, refused.out
    assert [position["symbol"] for position in refused.json["open"]] == ["ETH/USDT:USDT"]
    bench.mend()
    report = await bench.sync_report(name, 0)
    assert [position["exit_reason"] for position in report["closed_phantom"]] == ["manual"]


@BOTH
async def test_a_position_larger_than_one_market_order_is_closed_whole(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue, "protect")
    bench.world.transfer(name, "USDT", "100000000")
    bench.world.set_leverage(name, "SOLUSDT", Decimal(10))
    largest = bench.world.look(name).instrument("SOLUSDT").max_market_quantity
    for _ in range(3):
        bench.world.open_position(name, "SOLUSDT", "long", str(largest))
    await bench.sync_report(name, 0)
    done = await bench.run("close", name, "SOLUSDT", "--json")
    assert done.code == 0, done.out
    assert bench.world.look(name).positions("SOLUSDT") == []
    [closed] = done.json["closed"]
    fills = bench.world.look(name).fills("SOLUSDT")
    assert (closed["exit_reason"], closed["evidence"], Decimal(closed["quantity"])) == ("manual", "fills", 3 * largest)
    assert Decimal(closed["realized_pnl"]) == sum(fill.realized_pnl for fill in fills)


async def test_outside_of_mode_protect_nothing_is_sent(bench: Bench) -> None:
    name = bench.account("main", "binanceusdm", "sync")
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    await bench.sync_report(name, 0)
    for words in (("close", name, "ETHUSDT"), ("close-all", name, "--yes")):
        refused = await bench.run(*words)
        assert refused.code == 2
        assert "protect" in refused.err
    assert len(bench.world.look(name).positions("ETHUSDT")) == 1


async def test_close_all_is_handed_to_the_daemon_that_owns_the_account(bench: Bench) -> None:
    name = bench.account("main", "bybit", "protect")
    bench.protection = {"protect_adopted": "true"}
    for symbol in ("ETHUSDT", "SOLUSDT"):
        bench.world.open_position(name, symbol, "long", "2")
    daemon = await bench.start("run")
    try:
        async with asyncio.timeout(60):
            while len(bench.world.look(name).open_conditionals()) < 2:  # noqa: ASYNC110 - the venue tells nobody
                await asyncio.sleep(0.05)
        done = await bench.run("close-all", name, "--yes", "--json")
        assert done.code == 0, done.err
        assert {position["exit_reason"] for position in done.json["closed"]} == {"manual"}
        assert bench.world.look(name).positions() == []
        assert bench.world.look(name).open_conditionals() == []
    finally:
        daemon.send_signal(signal.SIGINT)
        await daemon.communicate()


@BOTH
async def test_close_all_is_not_done_while_the_venue_shows_what_the_book_lacks(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue, "protect", adopt='"ignore"', ignore_symbols='["SOLUSDT"]')
    for symbol in ("ETHUSDT", "SOLUSDT"):
        bench.world.open_position(name, symbol, "long", "2")
    left = await bench.run("close-all", name, "--yes", "--json")
    assert left.code == 5, left.err
    assert left.json["message"] == (
        "nothing was open; open on the venue and not in the book: long ETH/USDT:USDT; close it there, or have it adopted first"
    )
    bench.world.close_position(name, "ETHUSDT", "long")
    assert (await bench.run("close-all", name, "--yes")).code == 0


async def test_close_all_is_not_done_while_the_venue_does_not_say_what_else_is_open(bench: Bench) -> None:
    name = bench.account("main", "binanceusdm", "protect")
    bench.fault(Fault(FaultKind.HTTP_ERROR, path="*positionRisk", status=503, body="no", skip=1))
    unknown = await bench.run("close-all", name, "--yes", "--json")
    assert unknown.code == 5, unknown.out
    assert "could not be asked" in unknown.json["message"]
