"""A crash anywhere between placing the new stop and taking the old one away: one stop of ours remains, and never none.

In this process the pass dies at each of its calls to venue and store, before and after it. With kill -9 the real command dies
while the served venue withholds an answer: a few times, or as often as TRUEUP_KILLS says (100 is the promise).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench import Bench, open_bench
from tests.support.guard import Guard, Judge, open_house
from trueup.engine.work import AccountWork
from trueup.sim.faults import Fault, FaultKind

D = Decimal
KILLS = int(os.environ.get("TRUEUP_KILLS", "2"))
BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])


class Died(BaseException):
    """The process is gone: nothing after this instant happens in it."""


class Mortal:
    """Passes calls on, and dies at the one whose number is up."""

    def __init__(self, target: Any, life: Life) -> None:
        self._target, self._life = target, life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*arguments: Any, **named: Any) -> Any:
            last = self._life.count()
            if last and not self._life.after:
                raise Died
            answer = await found(*arguments, **named)
            if last:
                raise Died
            return answer

        return call


class Life:
    """How many calls a process makes before it dies; `after`: the last one is still carried out."""

    def __init__(self, calls: int, *, after: bool) -> None:
        self.calls, self.after = calls, after
        self.made = 0

    def count(self) -> bool:
        self.made += 1
        return self.made == self.calls


def _mortal(guard: Guard, life: Life) -> None:
    guard.restart()
    store, venue = Mortal(guard.store, life), Mortal(guard.venue, life)
    guard.work = AccountWork(guard.plan, guard.timing, venue, store, guard.clock)  # type: ignore[arg-type]


@BOTH
@pytest.mark.parametrize("hedge", [False, True])
async def test_the_pass_dies_at_each_of_its_calls(venue: str, hedge: bool) -> None:
    """The quantity changed: a new stop is placed, then the old one goes. Whatever call the pass dies at, one stands."""
    async with open_house() as house:
        deaths = 0
        for calls in range(1, 200):
            for after in (bool(calls % 2),) if hedge else (False, True):
                house.world.advance(6_000)  # the venue limits requests, and its time stands still while we ask
                guard = house.guard(f"g{calls}{after}", venue, hedge=hedge)
                guard.world.open_position(guard.name, "ETHUSDT", "long", "2")
                await guard.run()
                guard.world.open_position(guard.name, "ETHUSDT", "long", "1")
                life = Life(calls, after=after)
                _mortal(guard, life)
                try:
                    await guard.run()
                except* Died:
                    deaths += 1
                assert len(guard.ours()) in (1, 2)
                guard.restart()
                assert (await guard.run()).exit_code == 0
                [stop] = guard.ours()
                assert stop.quantity == D(3), (calls, after)
                assert guard.judge.lost == []
                assert guard.judge.most_of_ours <= 2
            if life.made < calls:
                break
        assert deaths > 20
        assert life.made < calls, "the pass was played to its end"


POINTS: dict[str, dict[str, Callable[[], Fault]]] = {
    "binanceusdm": {
        "placed, no answer": lambda: Fault(
            FaultKind.ANSWER_LOST, path="/fapi/v1/algoOrder", method="POST", then="hang", count=1
        ),
        "before the cancel": lambda: Fault(FaultKind.HANG, path="/fapi/v1/algoOrder", method="DELETE", count=1),
        "cancelled, no answer": lambda: Fault(
            FaultKind.ANSWER_LOST, path="/fapi/v1/algoOrder", method="DELETE", then="hang", count=1
        ),
    },
    "bybit": {
        "placed, no answer": lambda: Fault(
            FaultKind.ANSWER_LOST, path="/v5/order/create", method="POST", then="hang", count=1
        ),
        "before the cancel": lambda: Fault(FaultKind.HANG, path="/v5/order/cancel", method="POST", count=1),
        "cancelled, no answer": lambda: Fault(
            FaultKind.ANSWER_LOST, path="/v5/order/cancel", method="POST", then="hang", count=1
        ),
    },
}


async def _killed_at(bench: Bench, fault: Fault) -> None:
    """Runs the command until the venue has met its fault, and kills it there."""
    planned = bench.server.front.faults.add(fault)
    process = await bench.start("sync", "--json")
    try:
        async with asyncio.timeout(60):
            while planned.hits == 0:
                assert process.returncode is None, (await process.communicate())[1].decode()
                await asyncio.sleep(0.005)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.communicate()
    bench.mend()


@BOTH
@pytest.mark.timeout(60 + 60 * KILLS)
async def test_killed_between_the_new_and_the_old(tmp_path: Path, venue: str) -> None:
    chance = random.Random(5)
    async with open_bench(tmp_path) as bench:
        bench.protection = {"protect_adopted": "true"}
        name = bench.account("main", venue, "protect")
        judge = Judge(bench.world, name)
        bench.world.open_position(name, "ETHUSDT", "long", "2")
        await bench.sync_report(name, 0)
        for number in range(KILLS):
            point = chance.choice(list(POINTS[venue])) if number else "before the cancel"
            if number % 2:
                bench.world.reduce_position(name, "ETHUSDT", "long", "0.5")
            else:
                bench.world.open_position(name, "ETHUSDT", "long", "0.5")
            await _killed_at(bench, POINTS[venue][point]())
            await bench.sync_report(name, 0)
            view = bench.world.look(name)
            [position] = view.positions("ETHUSDT")
            [stop] = view.open_conditionals("ETHUSDT")
            assert stop.client_order_id.startswith("tu-sl-")
            assert stop.quantity == position.quantity, (number, point)
        assert judge.lost == []
        assert judge.most_of_ours == 2
