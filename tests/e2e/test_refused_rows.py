"""A rule of somebody's own in the database refuses new rows: what stands in the book is kept true all the same."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from tests.support.bench import Bench, open_bench
from tests.support.postgres import PostgresServer

_SQLITE_RULE = """
CREATE TRIGGER only_with_strategy BEFORE INSERT ON positions
WHEN NEW.status = 'active' BEGIN SELECT RAISE(ABORT, 'strategy is missing'); END
"""
_POSTGRESQL_RULES = {
    "not null": "ALTER TABLE monitoring.positions ADD COLUMN strategy TEXT; "
    "UPDATE monitoring.positions SET strategy = 'x'; "
    "ALTER TABLE monitoring.positions ALTER COLUMN strategy SET NOT NULL",
    "a trigger": "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'strategy is missing'; END $$; "
    "CREATE TRIGGER refuse BEFORE INSERT ON monitoring.positions FOR EACH ROW EXECUTE FUNCTION refuse()",
}


@pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])
async def test_a_position_that_gets_no_row_keeps_no_other_open(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue)
    bench.world.open_position(name, "BTCUSDT", "long", "0.010")
    bench.world.open_position(name, "SOLUSDT", "long", "5")
    await bench.sync_report(name, 0)
    bench.execute(_SQLITE_RULE)
    bench.world.open_position(name, "ETHUSDT", "short", "1.5")
    bench.world.close_position(name, "BTCUSDT", "long")
    bench.world.open_position(name, "BTCUSDT", "short", "0.020")

    report = await bench.sync_report(name, 3)

    [closed] = report["closed_phantom"]
    assert (closed["symbol"], closed["side"], closed["evidence"]) == ("BTC/USDT:USDT", "long", "fills")
    assert [row["symbol"] for row in report["verified"]] == ["SOL/USDT:USDT"]
    assert report["added_missing"] == []
    problems = {one["symbol"]: one["problem"] for one in report["quarantined"]}
    assert problems.keys() == {"BTC/USDT:USDT", "ETH/USDT:USDT"}
    assert all("strategy is missing" in problem for problem in problems.values())

    bench.execute("DROP TRIGGER only_with_strategy")
    mended = await bench.sync_report(name, 0)
    assert {(row["symbol"], row["side"]) for row in mended["added_missing"]} == {
        ("BTC/USDT:USDT", "short"),
        ("ETH/USDT:USDT", "short"),
    }


@pytest.mark.parametrize("rule", list(_POSTGRESQL_RULES))
async def test_on_postgresql_too(tmp_path: Path, rule: str) -> None:
    server = PostgresServer()
    try:
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

            assert [row["symbol"] for row in report["closed_phantom"]] == ["BTC/USDT:USDT"]
            [refused] = report["quarantined"]
            assert refused["symbol"] == "ETH/USDT:USDT"
            assert "strategy" in refused["problem"]
    finally:
        server.stop()
