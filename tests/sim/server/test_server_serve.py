"""`serve`: what `trueup venue serve` runs, with the real wires of both venues."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from fake_wire import until

from trueup.sim.scenario import BadScenario
from trueup.sim.server import VenueServer, serve
from trueup.sim.world.types import Leg


async def test_both_wires_answer_on_one_port_until_it_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text(
        'seed = 3\n[[steps]]\nat_s = 0.1\ndo = "close"\naccount = "demo-binance"\nsymbol = "BTCUSDT"\n',
        encoding="utf-8",
    )
    started: asyncio.Future[VenueServer] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    heard: list[str] = []
    task = asyncio.create_task(
        serve(scenario=file, positions=2, ready=started.set_result, report=heard.append, stop=stop)
    )
    server = await asyncio.wait_for(started, 10)
    async with aiohttp.ClientSession(server.rest_url) as client:
        async with client.get("/fapi/v1/time") as answer:
            assert abs((await answer.json())["serverTime"] - server.world.now_ms()) < 5_000
        async with client.get("/v5/market/time") as answer:
            assert (await answer.json())["retCode"] == 0
        async with client.get("/fapi/v3/positionRisk") as answer:
            assert answer.status in (400, 401)
    await until(lambda: bool(heard))
    assert server.world.look("demo-binance").positions() == []
    assert server.world.look("demo-bybit").position("ETHUSDT", Leg.NET) is not None
    stop.set()
    await asyncio.wait_for(task, 10)


async def test_a_bad_scenario_is_refused_before_anything_listens(tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text('[[steps]]\nat_s = 1\ndo = "opn"\n', encoding="utf-8")
    with pytest.raises(BadScenario, match="opn"):
        await serve(scenario=file, ready=lambda _: pytest.fail("it listens"))
