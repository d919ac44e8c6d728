"""A rule of somebody's own in the database refuses new rows: what stands in the book is kept true all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.bench import Bench, open_bench
from tests.support.postgres import PostgresServer
from trueup.sim.faults import Fault, FaultKind

_RULE = "CREATE TRIGGER rule BEFORE INSERT ON positions WHEN {} BEGIN SELECT RAISE({}); END"
_REFUSE = "ABORT, 'strategy is missing'"
_TRIGGER = (
    "CREATE FUNCTION rule() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} END $$; "
    "CREATE TRIGGER rule BEFORE INSERT ON monitoring.positions FOR EACH ROW EXECUTE FUNCTION rule()"
)
_POSTGRESQL_RULES = {
    "a column": "ALTER TABLE monitoring.positions ADD COLUMN strategy TEXT; UPDATE monitoring.positions SET strategy = 'x'; "
    "ALTER TABLE monitoring.positions ALTER COLUMN strategy SET NOT NULL",
    "an exception": _TRIGGER.format("RAISE EXCEPTION 'strategy is missing';"),
    "an exception of its own code": _TRIGGER.format("RAISE EXCEPTION 'strategy is missing' USING ERRCODE = 'TU001';"),
    "a table that is gone": _TRIGGER.format("INSERT INTO strategy VALUES (1); RETURN NEW;"),
    "a row that is left out": _TRIGGER.format("RETURN NULL;"),
}


def _symbols(rows: list[dict[str, Any]]) -> set[str]:
    return {row["symbol"] for row in rows}


@pytest.mark.parametrize("rule", [_REFUSE, "IGNORE"])
@pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])
async def test_a_position_that_gets_no_row_keeps_no_other_from_being_true(bench: Bench, venue: str, rule: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "BTCUSDT", "long", "0.010")
    bench.world.open_position(name, "SOLUSDT", "long", "5")
    await bench.sync_report(name, 0)
    bench.execute(_RULE.format("NEW.symbol LIKE 'ETH%' OR NEW.symbol LIKE 'BTC%'", rule))
    bench.world.open_position(name, "ETHUSDT", "short", "1.5")
    bench.world.open_position(name, "HIGHUSDT", "long", "10")
    bench.world.close_position(name, "BTCUSDT", "long")
    bench.world.open_position(name, "BTCUSDT", "short", "0.020")

    report = await bench.sync_report(name, 3)

    [closed] = report["closed_phantom"]
    assert (closed["symbol"], closed["side"], closed["evidence"]) == ("BTC/USDT:USDT", "long", "fills")
    assert _symbols(report["verified"]) == {"SOL/USDT:USDT"}
    assert _symbols(report["added_missing"]) == {"HIGH/USDT:USDT"}
    assert _symbols(report["quarantined"]) == {"BTC/USDT:USDT", "ETH/USDT:USDT"}
    assert all("the database refuses its row" in one["problem"] for one in report["quarantined"])
    told = await bench.events("MISSING_POSITION_REJECTED")
    assert _symbols(told) == {"BTC/USDT:USDT", "ETH/USDT:USDT"}

    await bench.sync_report(name, 3)
    assert len(await bench.events("MISSING_POSITION_REJECTED")) == len(told)

    bench.execute("DROP TRIGGER rule")
    mended = await bench.sync_report(name, 0)
    assert _symbols(mended["added_missing"]) == {"BTC/USDT:USDT", "ETH/USDT:USDT"}
    assert (await bench.sync_report(name, 0))["quarantined"] == []


async def test_what_ended_between_two_looks_gets_its_row_where_only_open_ones_are_refused(bench: Bench) -> None:
    name = bench.account("main", "bybit")
    bench.world.open_position(name, "BTCUSDT", "long", "0.010")
    await bench.sync_report(name, 0)
    bench.execute(_RULE.format("NEW.status = 'active'", _REFUSE))
    bench.world.open_position(name, "ETHUSDT", "short", "1.5")
    for quantity in ("0.030", "0.040"):
        bench.world.close_position(name, "BTCUSDT", "long")
        bench.world.open_position(name, "BTCUSDT", "long", quantity)

    await bench.sync_report(name, 3)

    ended = [row for row in await bench.positions("closed") if row["symbol"] == "BTC/USDT:USDT"]
    assert sorted(row["quantity"] for row in ended) == ["0.010", "0.030"]


async def test_what_ended_between_two_looks_and_gets_no_row_is_told_with_its_amounts(bench: Bench) -> None:
    name = bench.account("main", "bybit")
    bench.world.open_position(name, "BTCUSDT", "long", "0.010")
    await bench.sync_report(name, 0)
    bench.execute(_RULE.format("1", _REFUSE))
    bench.world.close_position(name, "BTCUSDT", "long")
    bench.world.open_position(name, "BTCUSDT", "long", "0.030")
    bench.world.close_position(name, "BTCUSDT", "long")

    report = await bench.sync_report(name, 3)

    assert [row["quantity"] for row in report["closed_phantom"]] == ["0.010"]
    [told] = await bench.events("MISSING_POSITION_REJECTED")
    assert told["severity"] == "error"
    assert (told["data"]["quantity"], told["data"]["realized_pnl"] is not None) == ("0.030", True)
    assert "strategy is missing" in told["data"]["reason"]


async def test_while_the_account_is_paused_a_refusal_is_told_once(bench: Bench) -> None:
    name = bench.account("main", "binanceusdm")
    bench.world.open_position(name, "ETHUSDT", "short", "1.5")
    await bench.sync_report(name, 0)
    bench.execute(_RULE.format("1", _REFUSE))
    bench.world.open_position(name, "BTCUSDT", "long", "0.010")
    await bench.sync_report(name, 3)
    assert (await bench.run("pause", "main")).code == 0
    for _ in range(3):
        await bench.sync_report(name, 3)
    assert len(await bench.events("MISSING_POSITION_REJECTED")) == 1


async def test_an_amendment_that_brings_a_refused_row_keeps_no_other_waiting(bench: Bench) -> None:
    """BTC was closed on absence; its history now tells its own end and a lifecycle after it, which gets no row."""
    name = bench.account("main", "binanceusdm")
    bench.sync |= {"mass_close_fraction": "1.0", "confirm_after_s": "1", "new_row_grace_s": "1"}
    for symbol, quantity in (("BTCUSDT", "0.010"), ("SOLUSDT", "5"), ("ETHUSDT", "1")):
        bench.world.open_position(name, symbol, "long", quantity)
    await bench.run("status")
    entry = str(bench.world.look(name).fills("BTCUSDT")[0].price)
    bench.insert_row(name, "binanceusdm", "BTC/USDT:USDT", "long", "0.010", entry)
    bench.fault(Fault(FaultKind.EMPTY, path="/fapi/v1/userTrades"))
    await bench.sync_report(name, 0)
    bench.world.close_position(name, "BTCUSDT", "long")
    bench.world.open_position(name, "BTCUSDT", "long", "0.030")
    bench.world.set_price("BTCUSDT", "58000")
    bench.world.close_position(name, "BTCUSDT", "long")
    await bench.sync_report(name, 0)
    bench.mend()
    bench.execute(_RULE.format("1", _REFUSE))
    bench.world.close_position(name, "SOLUSDT", "long")

    report = await _amended(bench, name)

    assert _symbols(report["closed_phantom"]) == {"SOL/USDT:USDT"}
    await _amended(bench, name)
    amendments = {json.loads(row["payload"])["symbol"]: row for row in bench.rows("effects")}
    assert (amendments["BTC/USDT:USDT"]["state"], amendments["BTC/USDT:USDT"]["attempts"]) == ("pending", 0)
    assert amendments["SOL/USDT:USDT"]["attempts"] == 1

    bench.execute("DROP TRIGGER rule")
    await _amended(bench, name)
    found = {(row["quantity"], row["evidence"]) for row in await bench.positions("closed") if "BTC" in row["symbol"]}
    assert found == {("0.010", "fills"), ("0.030", "fills")}


async def _amended(bench: Bench, name: str) -> Any:
    """A pass to which every amendment is due."""
    bench.execute(
        "UPDATE effects SET created_at_ms = created_at_ms - 400000, next_attempt_at_ms = 0 WHERE kind = 'amend_close'"
    )
    return await bench.sync_report(name, 0)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    running = PostgresServer()
    yield running
    running.stop()


@pytest.mark.parametrize("rule", list(_POSTGRESQL_RULES))
async def test_on_postgresql_too(tmp_path: Path, server: PostgresServer, rule: str) -> None:
    url = server.new_database()
    async with open_bench(tmp_path, url) as bench:
        name = bench.account("main", "bybit")
        bench.world.open_position(name, "BTCUSDT", "long", "0.010")
        assert (await bench.run("db", "upgrade")).code == 0
        await bench.sync_report(name, 0)
        connection = await asyncpg.connect(url)
        await connection.execute(_POSTGRESQL_RULES[rule])
        await connection.close()
        bench.world.open_position(name, "ETHUSDT", "short", "1.5")
        bench.world.close_position(name, "BTCUSDT", "long")

        report = await bench.sync_report(name, 3)

        assert _symbols(report["closed_phantom"]) == {"BTC/USDT:USDT"}
        [refused] = report["quarantined"]
        assert refused["symbol"] == "ETH/USDT:USDT"
        assert "the database refuses its row" in refused["problem"]
