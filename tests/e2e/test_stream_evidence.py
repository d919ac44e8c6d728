"""What the stream proves is in the book without a request; what it does not prove waits for a look."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from tests.support.bench import Bench
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.world.types import LedgerKind

BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])
MODES = pytest.mark.parametrize("hedge", [False, True], ids=["one-way", "hedge"])


async def until(wanted: Any, *, seconds: float = 40) -> None:
    for _ in range(int(seconds / 0.05)):
        if wanted():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the fact did not come")


def states(bench: Bench) -> list[tuple[str, str, str]]:
    return sorted(
        (row["side"], row["status"], f"{Decimal(row['quantity']).normalize():f}") for row in bench.rows("positions")
    )


def closed(bench: Bench) -> list[dict[str, Any]]:
    return [row for row in bench.rows("positions") if row["status"] == "closed"]


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    """The daemon, up and with nothing left to ask the venue for."""
    bench.sync["audit_interval_s"] = "3600"
    process = await bench.start("run")
    try:
        await until(lambda: '"streams":"up"' in str(bench.rows("account_state")))
        yield
        process.send_signal(signal.SIGTERM)
        _, err = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0, err.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def quiet(bench: Bench) -> int:
    """The number of requests once the venue has not been asked for a while."""
    before = -1
    while before != bench.server.front.journal.total:
        before = bench.server.front.journal.total
        await asyncio.sleep(0.8)
    return before


def sever(bench: Bench) -> None:
    """From now on no request is answered: what is booked is booked from the stream."""
    bench.fault(Fault(FaultKind.HTTP_ERROR))


def assert_true_amounts(bench: Bench, name: str, row: dict[str, Any], symbol: str = "ETHUSDT") -> None:
    """PnL and fees of the only lifecycle of the symbol are the venue's own, to the last digit."""
    fills = bench.world.look(name).fills(symbol)
    assert Decimal(row["realized_pnl"]) == sum((fill.realized_pnl for fill in fills), Decimal(0))
    told = sum((Decimal(fee["amount"]) for fee in json.loads(row["fees"])), Decimal(0))
    assert told == sum((fill.fee for fill in fills), Decimal(0))


@BOTH
@MODES
async def test_a_close_is_booked_from_the_stream_alone(bench: Bench, venue: str, hedge: bool) -> None:
    name = bench.account("main", venue, hedge=hedge)
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    async with running(bench):
        await until(lambda: states(bench) == [("long", "active", "2")])
        await quiet(bench)
        sever(bench)
        bench.world.set_price("ETHUSDT", "3100")
        bench.world.close_position(name, "ETHUSDT", "long")
        await until(lambda: states(bench) == [("long", "closed", "2")])
        row = closed(bench)[0]
        assert (row["evidence"], row["exit_reason"], row["complete"]) == ("fills", "external", 1)
        assert_true_amounts(bench, name, row)
        bench.mend()


@BOTH
async def test_a_stop_that_fires_is_named_from_the_stream_alone(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    bench.stop_order(name, "ETHUSDT", "long", "2", "2900")
    async with running(bench):
        await until(lambda: len(bench.rows("orders")) == 1)
        await quiet(bench)
        sever(bench)
        bench.world.set_price("ETHUSDT", "2890")
        await until(lambda: states(bench) == [("long", "closed", "2")])
        row = closed(bench)[0]
        assert (row["evidence"], row["exit_reason"]) == ("fills", "stop_loss")
        assert_true_amounts(bench, name, row)
        bench.mend()


@BOTH
@MODES
async def test_a_reduction_and_then_the_rest_are_booked_from_the_stream_alone(
    bench: Bench, venue: str, hedge: bool
) -> None:
    name = bench.account("main", venue, hedge=hedge)
    bench.world.open_position(name, "ETHUSDT", "short", "3")
    async with running(bench):
        await until(lambda: states(bench) == [("short", "active", "3")])
        await quiet(bench)
        sever(bench)
        bench.world.set_price("ETHUSDT", "2950")
        bench.world.reduce_position(name, "ETHUSDT", "short", "1")
        await until(lambda: states(bench) == [("short", "active", "2")])
        partial = bench.rows("positions")[0]
        fills = bench.world.look(name).fills("ETHUSDT")
        assert Decimal(partial["realized_pnl"]) == sum((fill.realized_pnl for fill in fills), Decimal(0))
        bench.world.set_price("ETHUSDT", "2900")
        bench.world.close_position(name, "ETHUSDT", "short")
        await until(lambda: states(bench) == [("short", "closed", "3")])
        assert_true_amounts(bench, name, closed(bench)[0])
        bench.mend()


@BOTH
async def test_a_flip_is_two_lifecycles_from_the_stream_alone(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    async with running(bench):
        await until(lambda: states(bench) == [("long", "active", "2")])
        await quiet(bench)
        sever(bench)
        bench.world.set_price("ETHUSDT", "3050")
        bench.world.open_position(name, "ETHUSDT", "short", "5")
        await until(lambda: states(bench) == [("long", "closed", "2"), ("short", "active", "3")])
        bench.world.set_price("ETHUSDT", "3000")
        bench.world.close_position(name, "ETHUSDT", "short")
        await until(lambda: states(bench) == [("long", "closed", "2"), ("short", "closed", "3")])
        fills = bench.world.look(name).fills("ETHUSDT")
        booked = sum((Decimal(row["realized_pnl"]) for row in closed(bench)), Decimal(0))
        assert booked == sum((fill.realized_pnl for fill in fills), Decimal(0))
        bench.mend()


@BOTH
async def test_a_row_that_a_bot_wrote_is_learned_and_closed_from_the_stream_alone(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    assert (await bench.run("sync")).code == 0
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    entry = bench.world.look(name).fills("ETHUSDT")[0].price
    bench.insert_row(name, venue, "ETH/USDT:USDT", "long", "2", format(entry, "f"))
    async with running(bench):
        await until(lambda: len(bench.rows("trades")) == 1)
        await quiet(bench)
        sever(bench)
        bench.world.close_position(name, "ETHUSDT", "long")
        await until(lambda: states(bench) == [("long", "closed", "2")])
        assert_true_amounts(bench, name, closed(bench)[0])
        bench.mend()


@pytest.mark.parametrize(
    ("venue", "lost"),
    [
        ("binanceusdm", "ORDER_TRADE_UPDATE"),
        ("binanceusdm", "ACCOUNT_UPDATE"),
        ("bybit", '"topic": ?"execution"'),
        ("bybit", '"topic": ?"position"'),
    ],
    ids=["binance-fills", "binance-positions", "bybit-fills", "bybit-positions"],
)
async def test_half_of_what_happened_closes_nothing_before_somebody_looked(bench: Bench, venue: str, lost: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    async with running(bench):
        await until(lambda: states(bench) == [("long", "active", "2")])
        await quiet(bench)
        sever(bench)
        asked = bench.server.front.journal.total
        bench.fault(Fault(FaultKind.STREAM_DROP, text=lost))
        bench.world.close_position(name, "ETHUSDT", "long")
        await until(lambda: bench.server.front.journal.total > asked)
        assert states(bench) == [("long", "active", "2")]
        bench.mend()
        bench.world.open_position(name, "BTCUSDT", "long", "0.1")
        await until(lambda: ("long", "closed", "2") in states(bench))
        assert_true_amounts(bench, name, closed(bench)[0])


@BOTH
async def test_funding_that_no_stream_tells_amends_the_close_once_the_venue_answers(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    async with running(bench):
        await until(lambda: states(bench) == [("long", "active", "2")])
        await quiet(bench)
        bench.world.fund("ETHUSDT")
        sever(bench)
        bench.world.close_position(name, "ETHUSDT", "long")
        await until(lambda: states(bench) == [("long", "closed", "2")])
        assert closed(bench)[0]["funding"] is None
        assert closed(bench)[0]["net_pnl"] is None
        bench.mend()
        bench.world.open_position(name, "BTCUSDT", "long", "0.1")
        await until(lambda: closed(bench)[0]["funding"] is not None)
        row = closed(bench)[0]
        truth = sum((entry.amount for entry in bench.world.look(name).ledger(kind=LedgerKind.FUNDING)), Decimal(0))
        assert truth != 0
        assert Decimal(row["funding"]) == truth
        assert_true_amounts(bench, name, row)
        fees = sum((Decimal(fee["amount"]) for fee in json.loads(row["fees"])), Decimal(0))
        assert Decimal(row["net_pnl"]) == Decimal(row["realized_pnl"]) - fees + truth
        told = [json.loads(event["data"]) for event in bench.rows("events") if event["type"] == "CLOSE_AMENDED"]
        assert [event["before"]["funding"] for event in told] == [None]
