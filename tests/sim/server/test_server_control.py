"""The control port and scenarios (actions.py, scenario.py): what an operator or a file can direct, and what is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fake_wire import until

from trueup.sim.front import Front
from trueup.sim.scenario import BadScenario, load_scenario, make_demo, parse_scenario, play
from trueup.sim.server import VenueServer
from trueup.sim.world import ManualClock, World
from trueup.sim.world.types import ExecType, Leg, PositionMode


async def act(control: aiohttp.ClientSession, action: str, expect: int = 200, **data: Any) -> Any:
    async with control.post(f"/{action}", json=data) as answer:
        body = await answer.json()
        assert answer.status == expect, body
        return body


async def state(control: aiohttp.ClientSession) -> Any:
    async with control.get("/state") as answer:
        return await answer.json()


async def test_the_life_of_a_position_is_directed_from_outside(
    server: VenueServer, control: aiohttp.ClientSession
) -> None:
    opened = await act(control, "open", account="by", symbol="BTCUSDT", side="long", quantity="0.03")
    assert opened["quantity"] == "0.03"
    await act(control, "attach", account="by", symbol="BTCUSDT", stop_loss="58000")
    await act(control, "price", symbol="BTCUSDT", last="60500", venue="bybit")
    await act(control, "reduce", account="by", symbol="BTCUSDT", side="long", quantity="0.01")
    await act(control, "adl", account="by", symbol="BTCUSDT", quantity="0.005")
    await act(control, "fund", symbol="BTCUSDT")
    await act(control, "liquidate", account="by", symbol="BTCUSDT")
    kinds = [fill.exec_type for fill in server.world.look("by").executions()]
    assert kinds == [ExecType.TRADE, ExecType.TRADE, ExecType.ADL, ExecType.FUNDING, ExecType.LIQUIDATION]
    seen = await state(control)
    assert seen["accounts"]["by"]["positions"] == []
    assert seen["prices"]["bybit:BTCUSDT"]["last"] == "60500"


async def test_orders_of_every_sort(server: VenueServer, control: aiohttp.ClientSession) -> None:
    placed = await act(control, "order", account="bn", symbol="BTCUSDT", side="buy", quantity="0.01", price="59000")
    filled = await act(control, "fill", account="bn", order_id=placed["order_id"], quantity="0.004")
    assert (filled["status"], filled["filled_quantity"]) == ("partially_filled", "0.004")
    await act(control, "cancel", account="bn", order_id=placed["order_id"])
    stop = {"account": "bn", "symbol": "BTCUSDT", "side": "sell", "kind": "stop", "trigger_price": "59000"}
    waiting = await act(control, "order", **stop, quantity="0.004", reduce_only=True)
    await act(control, "order", **stop, quantity="0.004")
    await act(control, "trigger", account="bn", conditional_id=waiting["conditional_id"])
    assert server.world.look("bn").positions() == []
    cancelled = await act(control, "cancel", account="bn")
    assert [order["status"] for order in cancelled] == ["canceled"]
    trailing = await act(
        control,
        "order",
        account="bn",
        symbol="BTCUSDT",
        side="buy",
        kind="trailing_stop",
        quantity="0.01",
        callback_rate="1",
    )
    await act(control, "cancel", account="bn", conditional_id=trailing["conditional_id"])


async def test_accounts_and_their_settings(server: VenueServer, control: aiohttp.ClientSession) -> None:
    made = await act(
        control,
        "account",
        name="carol",
        venue="bybit",
        mode="hedge",
        balances={"USDT": "5000"},
        api_key="k",
        api_secret="s",
    )
    assert (made["key"], made["secret"]) == ("k", "s")
    assert server.world.look("carol").mode is PositionMode.HEDGE
    await act(control, "transfer", account="carol", asset="USDT", amount="-1000")
    await act(control, "leverage", account="carol", symbol="BTCUSDT", leverage="5")
    await act(control, "margin-mode", account="carol", symbol="BTCUSDT", mode="isolated")
    await act(control, "mode", account="carol", mode="one_way")
    await act(control, "key", account="carol", to="by")
    answering = server.world.account_by_key("k", "bybit")
    assert answering is not None
    assert answering.name == "by"
    text = json.dumps(await state(control))
    for spec in server.world.accounts():
        assert spec.api_secret == "s" or spec.api_secret not in text
        assert spec.api_key == "k" or spec.api_key not in text
    assert '"s"' not in text
    assert '"k"' not in text


async def test_faults_are_added_listed_and_taken_away(
    server: VenueServer, control: aiohttp.ClientSession, client: aiohttp.ClientSession
) -> None:
    added = await act(
        control,
        "faults",
        kind="http_error",
        path="/v5/position/*",
        query={"settleCoin": "USDC"},
        status=500,
        for_ms=60_000,
    )
    async with client.get("/v5/position/positions?settleCoin=USDC") as answer:
        assert answer.status == 500
    async with client.get("/v5/position/positions?settleCoin=USDT") as answer:
        assert answer.status == 200
    async with control.get("/faults") as answer:
        (listed,) = await answer.json()
    assert (listed["fault_id"], listed["hits"]) == (added["fault_id"], 1)
    async with control.delete(f"/faults/{added['fault_id']}") as answer:
        assert await answer.json() == {"removed": True}
    await act(control, "faults", kind="hang", in_ms=60_000)
    async with control.delete("/faults") as answer:
        assert answer.status == 200
    assert server.front.faults.planned() == []
    async with control.delete("/faults/x") as answer:
        assert answer.status == 400


async def test_market_directions(server: VenueServer, control: aiohttp.ClientSession) -> None:
    before = server.world.now_ms()
    assert (await act(control, "advance", ms=60_000))["now_ms"] >= before + 60_000
    await act(control, "liquidity", symbol="BTCUSDT", depth="0.01")
    await act(control, "matching", enabled=False)
    await act(control, "path", volatility="0.001", step_ms=10)
    await act(control, "path", hold=True)
    await act(control, "settle", symbol="BTCUSDZ26", price="61000")
    await act(control, "expire-listen-keys")
    await act(control, "cut-streams", account="by")


@pytest.mark.parametrize(
    ("action", "data", "status", "named"),
    [
        ("nonsense", {}, 400, "nonsense"),
        ("open", {"account": "by", "symbol": "BTCUSDT", "side": "long"}, 400, "quantity"),
        ("open", {"account": "by", "symbol": "BTCUSDT", "side": "up", "quantity": "1"}, 400, "up"),
        ("open", {"account": "by", "symbol": "BTCUSDT", "side": "long", "quantity": 0.01}, 400, "text"),
        ("open", {"account": "by", "symbol": "BTCUSDT", "side": "long", "quantity": "x"}, 400, "amount"),
        ("open", {"account": "by", "symbol": "BTCUSDT", "side": "long", "quantity": "1", "color": 1}, 400, "color"),
        ("open", {"account": "nobody", "symbol": "BTCUSDT", "side": "long", "quantity": "1"}, 409, "nobody"),
        ("open", {"account": "by", "symbol": "NOPE", "side": "long", "quantity": "1"}, 409, "NOPE"),
        ("close", {"account": "by", "symbol": "BTCUSDT"}, 409, "position"),
        ("mode", {"account": "by", "mode": "sideways"}, 400, "one_way or hedge"),
        ("faults", {"kind": "explode"}, 400, "explode"),
        ("price", {"symbol": "BTCUSDT", "last": "-1"}, 400, "positive"),
        ("account", {"name": "by", "venue": "bybit"}, 400, "already"),
        ("account", {"name": "x", "venue": "okx"}, 400, "okx"),
        ("advance", {"ms": "many"}, 400, "integer"),
        ("matching", {"enabled": "yes"}, 400, "true or false"),
        ("price", {"symbol": 5}, 400, "text"),
    ],
)
async def test_what_cannot_be_meant_is_named(
    control: aiohttp.ClientSession, action: str, data: dict[str, Any], status: int, named: str
) -> None:
    assert named in (await act(control, action, status, **data))["error"]


async def test_a_body_that_is_no_object(control: aiohttp.ClientSession) -> None:
    for text in ("[1]", "{half"):
        async with control.post("/open", data=text) as answer:
            assert answer.status == 400


SCENARIO = """
seed = 5
[[accounts]]
name = "carol"
venue = "bybit"
mode = "hedge"
[[steps]]
at_s = 1
do = "open"
account = "carol"
symbol = "BTCUSDT"
side = "long"
quantity = "0.5"
[[steps]]
at_s = 2
every_s = 1.5
times = 3
do = "reduce"
account = "carol"
symbol = "BTCUSDT"
side = "long"
quantity = "0.1"
[[steps]]
at_s = 3
do = "close"
account = "carol"
symbol = "ETHUSDT"
[[faults]]
at_s = 10
for_s = 5
kind = "disconnect"
"""


def test_a_scenario_plays_over_time(tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text(SCENARIO, encoding="utf-8")
    scenario = load_scenario(file)
    world = World(ManualClock(1_795_000_000_000), scenario.seed)
    front = Front(world, [])
    heard: list[str] = []
    play(front, scenario, heard.append)
    start = world.now_ms()
    world.advance(20_000)
    fills = [(fill.at_ms - start, fill.side.value, fill.quantity) for fill in world.look("carol").fills()]
    assert fills == [
        (1_000, "buy", Decimal("0.5")),
        (2_000, "sell", Decimal("0.1")),
        (3_500, "sell", Decimal("0.1")),
        (5_000, "sell", Decimal("0.1")),
    ]
    position = world.look("carol").position("BTCUSDT", Leg.LONG)
    assert position is not None
    assert position.quantity == Decimal("0.2")
    (planned,) = front.faults.planned()
    assert (planned.fault.from_ms, planned.fault.until_ms) == (None, start + 15_000)
    assert len(heard) == 6
    assert any(line.startswith("close") and "refused" in line for line in heard)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"sed": 1}, "sed"),
        ({"seed": "x"}, "seed"),
        ({"steps": [{"do": "open"}]}, r"steps\[0\].*at_s"),
        ({"steps": [{"at_s": 1, "do": "opn"}]}, "opn"),
        ({"steps": [{"at_s": 1, "do": "price", "symbol": "BTCUSDT", "last": 59000.5}]}, "text"),
        ({"steps": [{"at_s": 1, "every_s": 0, "do": "fund"}]}, "every_s"),
        ({"steps": [{"at_s": 1, "times": 0, "do": "fund"}]}, "times"),
        ({"steps": {"at_s": 1}}, r"\[\[steps\]\]"),
        ({"faults": [{"kind": "explode"}]}, r"faults\[0\].*explode"),
        ({"path": "up"}, "path"),
    ],
)
def test_a_scenario_that_cannot_be_meant_is_refused_before_it_starts(data: dict[str, Any], named: str) -> None:
    with pytest.raises(BadScenario, match=named):
        parse_scenario(data)


def test_a_file_that_is_no_scenario(tmp_path: Path) -> None:
    with pytest.raises(BadScenario, match="cannot be read"):
        load_scenario(tmp_path / "none.toml")
    file = tmp_path / "bad.toml"
    file.write_text("seed = = 1", encoding="utf-8")
    with pytest.raises(BadScenario, match="TOML"):
        load_scenario(file)
    world = World(ManualClock(0))
    with pytest.raises(BadScenario, match="okx"):
        play(Front(world, []), parse_scenario({"accounts": [{"name": "x", "venue": "okx"}]}), lambda _: None)


def test_the_demo_world_holds_none_or_two() -> None:
    for positions in (0, 2):
        world = World(ManualClock(1_795_000_000_000))
        make_demo(world, positions)
        held = [p for spec in world.accounts() for p in world.look(spec.name).positions()]
        assert len(held) == positions
    with pytest.raises(ValueError, match="0 or 2"):
        make_demo(World(ManualClock(0)), 1)


async def test_the_state_names_the_streams(
    server: VenueServer, control: aiohttp.ClientSession, client: aiohttp.ClientSession
) -> None:
    async with client.ws_connect("/v5/private?account=by") as socket:
        await socket.send_str("hello")
        await socket.receive(timeout=5)
        assert (await state(control))["streams"] == [{"path": "/v5/private", "account": "by"}]
    await until(lambda: server.front.gates == [])
    assert (await state(control))["streams"] == []
