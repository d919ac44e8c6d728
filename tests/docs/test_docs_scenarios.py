"""The example scenarios play: nothing in them is refused, and what they promise happens."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from trueup.sim.faults import FaultKind
from trueup.sim.front import Front
from trueup.sim.scenario import load_scenario, make_demo, play
from trueup.sim.world import ManualClock, SkewedClock, World
from trueup.sim.world.types import ConditionalStatus, ExecType, Leg

FOLDER = Path(__file__).parents[2] / "examples" / "scenarios"
START_MS = 1_795_000_000_000


def after_flash_crash(world: World, front: Front) -> None:
    view = world.look("demo-binance")
    assert view.positions() == []
    (stop,) = view.conditionals()
    assert stop.status is ConditionalStatus.FINISHED
    assert view.fills()[-1].price == Decimal(56400)
    assert world.look("daredevil").fills()[-1].exec_type is ExecType.LIQUIDATION
    assert world.price("bybit", "BTCUSDT").last == Decimal(55500)
    assert front.faults.planned() == []


def after_venue_outage(world: World, front: Front) -> None:
    assert world.look("demo-binance").positions() == []
    kinds = [planned.fault.kind for planned in front.faults.planned()]
    assert set(kinds) == {
        FaultKind.HTTP_ERROR,
        FaultKind.HTML,
        FaultKind.MAINTENANCE,
        FaultKind.RATE_LIMIT,
        FaultKind.ANSWER_LOST,
    }
    assert [p for p in front.faults.planned() if p.fault.until_ms is None and p.fault.count is None] == []


def after_stale_and_late(world: World, front: Front) -> None:
    position = world.look("demo-binance").position("BTCUSDT", Leg.NET)
    assert position is not None
    assert position.quantity == Decimal("0.001")
    bybit = world.look("demo-bybit")
    assert (bybit.positions(), bybit.open_conditionals()) == ([], [])
    assert len(front.faults.planned()) == 6


AFTER: dict[str, Callable[[World, Front], None]] = {
    "flash-crash": after_flash_crash,
    "venue-outage": after_venue_outage,
    "stale-and-late": after_stale_and_late,
}


def test_every_example_is_judged() -> None:
    assert {file.stem for file in FOLDER.glob("*.toml")} == set(AFTER)


@pytest.mark.parametrize("name", AFTER)
def test_an_example_does_what_it_says(name: str) -> None:
    scenario = load_scenario(FOLDER / f"{name}.toml")
    world = World(SkewedClock(ManualClock(START_MS)), scenario.seed)
    make_demo(world, 2)
    front = Front(world)
    told: list[str] = []
    play(front, scenario, told.append)
    world.advance(300_000)
    assert [line for line in told if "refused" in line] == []
    assert len(told) >= len(scenario.steps)
    AFTER[name](world, front)
