"""The main job on PostgreSQL, through the commands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.bench import Bench, open_bench
from tests.support.postgres import PostgresServer

BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    running = PostgresServer()
    yield running
    running.stop()


@pytest.fixture
async def pg_bench(tmp_path: Path, server: PostgresServer) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path, server.new_database()) as opened:
        yield opened


@BOTH
async def test_upgrade_adopt_close_explain(pg_bench: Bench, venue: str) -> None:
    name = pg_bench.account("main", venue, "protect")
    pg_bench.world.open_position(name, "ETHUSDT", "long", "2")
    stop = pg_bench.stop_order(name, "ETHUSDT", "long", "2", "2000")
    too_early = await pg_bench.run("sync")
    assert too_early.code == 2
    assert "db upgrade" in too_early.err
    upgraded = await pg_bench.run("db", "upgrade")
    assert upgraded.code == 0, upgraded.err

    [adopted] = (await pg_bench.sync_report(name, 0))["added_missing"]
    assert len((await pg_bench.sync_report(name, 0))["verified"]) == 1
    pg_bench.world.close_position(name, "ETHUSDT", "long")
    report = await pg_bench.sync_report(name, 0)

    [closed] = report["closed_phantom"]
    fills = pg_bench.world.look(name).fills("ETHUSDT")
    assert closed["position_id"] == adopted["position_id"]
    assert (closed["evidence"], Decimal(closed["realized_pnl"])) == ("fills", sum(f.realized_pnl for f in fills))
    assert len(report["protection"]["cancelled"]) == 1
    assert not pg_bench.world.look(name).conditional(stop.conditional_id).is_open
    explained = await pg_bench.run("explain", str(closed["position_id"]))
    assert explained.code == 0
    assert "fills" in explained.out
    assert [p["position_id"] for p in await pg_bench.positions("closed")] == [closed["position_id"]]
    assert await pg_bench.positions() == []
    replayed = await pg_bench.run("replay", "--json")
    assert (replayed.code, replayed.json) == (0, {"decided": 2, "differences": []})
