"""The simulation's event loop: the numbers are those of `trueup.sim.loop`."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any, cast

import pytest

from trueup.sim.loop import Deadlock, Host, HostKilled, Livelock, RealWorld, SimLoop


def go(work: Coroutine[Any, Any, Any], seed: int = 1, *, loop: SimLoop | None = None) -> Any:
    loop = loop or SimLoop(seed)
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def test_1_time_jumps_and_timers_of_one_instant_keep_their_order() -> None:
    loop = SimLoop(1, fifo=True)
    order: list[int] = []

    async def main() -> float:
        for number in range(20):
            loop.call_later(3600.0, order.append, number)
        await asyncio.sleep(7200)
        return loop.time()

    assert go(main(), loop=loop) == 7200
    assert order == list(range(20))


async def _race() -> list[int]:
    order: list[int] = []

    async def runner(number: int) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
            order.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(runner(number))
    return order


def test_2_the_seed_chooses_the_order() -> None:
    orders = {tuple(go(_race(), seed)) for seed in range(20)}
    assert len(orders) > 10
    assert go(_race(), 3) == go(_race(), 3)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: asyncio.to_thread(len, ""),
        lambda: asyncio.open_connection("127.0.0.1", 9),
        lambda: asyncio.start_server(lambda *_: None, "127.0.0.1", 0),
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.get_running_loop().getaddrinfo("localhost", 80),
        lambda: asyncio.get_running_loop().sock_connect(cast("socket.socket", None), ("127.0.0.1", 9)),
    ],
    ids=["thread", "connection", "server", "subprocess", "names", "socket"],
)
def test_3_the_real_world_is_refused(ask: Any) -> None:
    async def main() -> None:
        await ask()

    with pytest.raises(RealWorld):
        go(main())


def test_4_a_deadlock_names_who_waits() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.create_task(stuck(), name="the reader")

    with pytest.raises(Deadlock, match="the reader"):
        go(main())


def test_4_an_instant_that_never_ends_is_told() -> None:
    async def main() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(Livelock):
        go(main())


def test_6_the_hash_tells_runs_apart() -> None:
    hashes = []
    for seed in (1, 1, 2):
        loop = SimLoop(seed)
        go(_race(), loop=loop)
        hashes.append(loop.trace_hash)
    assert hashes[0] == hashes[1] != hashes[2]


_IN_ANOTHER_PROCESS = """
import asyncio
from trueup.sim.loop import SimLoop
loop = SimLoop(5)
async def nap(n):
    await asyncio.sleep(n / 7)
    return n
async def main():
    done, _ = await asyncio.wait({asyncio.ensure_future(nap(n % 3)) for n in range(30)})
    return [task.result() for task in done], len({"a", "b", "c"})
print(loop.run_until_complete(main())[0], loop.trace_hash)
"""


def test_5_sets_of_tasks_iterate_alike_in_every_process() -> None:
    told = set()
    for hash_seed in ("0", "1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", _IN_ANOTHER_PROCESS],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        )
        told.add(done.stdout)
    assert len(told) == 1


async def _process(host: Host, said: list[str]) -> None:
    async def child() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            said.append("child unwound")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            while True:
                await asyncio.sleep(1)
                host.check()
                said.append("works")
    finally:
        said.append("unwinding")
        host.check()
        said.append("reached the outside")


def test_7_a_killed_host_unwinds_and_reaches_nothing() -> None:
    loop, host, said = SimLoop(4), Host("one"), list[str]()

    async def main() -> None:
        with loop.on(host):
            loop.create_task(_process(host, said))
        await asyncio.sleep(2.5)
        loop.kill(host)
        await asyncio.sleep(10)

    go(main(), loop=loop)
    assert said[:2] == ["works", "works"]
    assert set(said[2:]) == {"child unwound", "unwinding"}
    assert not host.tasks
    assert not loop.problems


def test_7_a_host_dies_before_the_step_that_is_named() -> None:
    for step in range(1, 12):
        loop, host, said = SimLoop(4), Host("one"), list[str]()
        host.kill_at = step

        async def main(loop: SimLoop = loop, host: Host = host, said: list[str] = said) -> None:
            with loop.on(host):
                loop.create_task(_process(host, said))
            await asyncio.sleep(30)

        go(main(), loop=loop)
        assert not host.alive
        assert host.steps == step
        assert not host.tasks


def test_7_a_paused_host_does_nothing_until_it_goes_on() -> None:
    loop, host, at = SimLoop(4), Host("one"), list[float]()

    async def ticks() -> None:
        while True:
            await asyncio.sleep(1)
            at.append(loop.time())

    async def main() -> None:
        with loop.on(host):
            loop.create_task(ticks())
        await asyncio.sleep(2.5)
        loop.pause(host)
        await asyncio.sleep(10)
        loop.unpause(host)
        await asyncio.sleep(1.2)
        loop.kill(host)

    go(main(), loop=loop)
    assert at == [1.0, 2.0, 12.5, 13.5]


def test_7_a_dead_host_starts_nothing() -> None:
    loop, host = SimLoop(4), Host("one")

    async def main() -> None:
        loop.kill(host)
        with loop.on(host), pytest.raises(HostKilled):
            loop.create_task(asyncio.sleep(1))

    go(main(), loop=loop)
