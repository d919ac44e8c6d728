"""The request budget: what is counted, who waits, who goes first. The loop's time is virtual."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Awaitable, Callable, Mapping

import pytest
from virtual_time import LoopClock, in_virtual_time

from trueup.calls import counted, protective, spare
from trueup.model.errors import RateLimited
from trueup.venues.limits import AUDIT_SHARE, ORDINARY_SHARE, AccountLimits, RequestBudget
from trueup.venues.window import Window

POSITIONS, ORDERS, PLACE, CANCEL = (
    "fapiPrivateV3GetPositionRisk",
    "fapiPrivateGetOpenOrders",
    "fapiPrivatePostOrder",
    "fapiPrivateDeleteOrder",
)
LISTED = "privateGetV5PositionList"


class Bench:
    """One budget and its accounts; `log` says who was sent when."""

    def __init__(self, venue: str = "binanceusdm") -> None:
        self.clock = LoopClock()
        self.budget = RequestBudget(venue, self.clock)
        self.log: list[tuple[float, str]] = []

    def account(self) -> AccountLimits:
        return AccountLimits(self.budget, self.clock)

    async def send(
        self,
        limits: AccountLimits,
        name: str,
        endpoint: str,
        *,
        params: Mapping[str, object] | None = None,
        takes_s: float = 0.0,
        answer: Mapping[str, str] | None = None,
    ) -> None:
        async with limits.sending(endpoint, params or {}, name) as sending:
            self.log.append((round(self.clock.monotonic_s(), 3), name))
            await asyncio.sleep(takes_s)
            sending.told(answer or {})

    @property
    def order(self) -> list[str]:
        return [name for _, name in self.log]


def virtual(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        in_virtual_time(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@virtual
async def test_reading_leaves_a_part_of_the_limit_to_protective_work() -> None:
    bench = Bench()
    limits = bench.account()
    await asyncio.gather(*(bench.send(limits, f"{number}", ORDERS) for number in range(43)))
    at_once = [name for at_s, name in bench.log if at_s == 0]
    assert len(at_once) == ORDINARY_SHARE * 2400 // 40 == 42
    assert bench.log[-1] == (60.0, "42")


@virtual
async def test_protective_work_goes_first_and_uses_what_is_kept_for_it() -> None:
    bench = Bench()
    reader, actor = bench.account(), bench.account()
    async with asyncio.TaskGroup() as group:
        for number in range(44):
            group.create_task(bench.send(reader, f"read {number}", ORDERS))
        await asyncio.sleep(1)
        with protective():
            group.create_task(bench.send(actor, "cancel", CANCEL))
            group.create_task(bench.send(actor, "look first", ORDERS))
    assert [entry for entry in bench.log if entry[1] in ("cancel", "look first")] == [
        (1.0, "cancel"),
        (1.0, "look first"),
    ]
    assert bench.order[-2:] == ["read 42", "read 43"]


@virtual
async def test_after_a_rest_protective_work_is_sent_first() -> None:
    bench = Bench()
    reader, actor = bench.account(), bench.account()
    bench.budget.rest(2, "test")
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(bench.send(reader, f"read {number}", POSITIONS))
        await asyncio.sleep(0.5)
        with protective():
            group.create_task(bench.send(actor, "cancel", CANCEL))
    assert bench.log == [(2.0, "cancel"), (2.0, "read 0"), (2.0, "read 1"), (2.0, "read 2")]


@virtual
async def test_whoever_came_first_goes_first_even_when_a_cheaper_one_would_fit() -> None:
    bench = Bench()
    limits = bench.account()
    await asyncio.gather(*(bench.send(limits, "fill", ORDERS) for _ in range(41)))
    await asyncio.gather(
        bench.send(limits, "dear", "fapiPrivateGetIncome"), bench.send(limits, "half", "fapiPrivateGetIncome")
    )
    bench.log.clear()
    await asyncio.gather(bench.send(limits, "dear", ORDERS), bench.send(limits, "cheap", POSITIONS))
    assert bench.order == ["dear", "cheap"]


@virtual
async def test_a_look_begins_when_there_is_room_for_the_whole_of_it() -> None:
    bench = Bench()
    spans: dict[str, tuple[float, float]] = {}

    async def look(name: str) -> None:
        limits = bench.account()
        with counted():
            async with bench.budget.room(30 * 40):
                began_s = bench.clock.monotonic_s()
                for _ in range(30):
                    await bench.send(limits, name, ORDERS, takes_s=0.01)
                spans[name] = (began_s, round(bench.clock.monotonic_s() - began_s, 3))

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(look(f"look {number}"))
            await asyncio.sleep(0)
    assert [seconds for _, seconds in spans.values()] == [0.3] * 4, "each within a moment"
    assert list(spans) == [f"look {number}" for number in range(4)], "one after the other"
    assert [int(began_s) // 60 for began_s, _ in spans.values()] == [0, 1, 2, 3], "each in a minute of its own"


@virtual
async def test_looks_leave_free_what_they_come_to_need() -> None:
    bench = Bench()

    async def look(name: str) -> None:
        limits = bench.account()
        with counted():
            async with bench.budget.room(10 * 40):
                for _ in range(12):
                    await bench.send(limits, name, ORDERS, takes_s=0.01)

    await asyncio.gather(*(look(f"look {number}") for number in range(6)))
    at = {name: [at_s for at_s, one in bench.log if one == name] for name in bench.order}
    assert [times[-1] - times[0] < 1 for times in at.values()] == [True] * 6
    assert [sum(times[0] < 1 for times in at.values()), sum(59 < times[0] < 61 for times in at.values())] == [3, 3]


@virtual
async def test_what_can_wait_is_sent_when_nothing_else_waits_and_leaves_room() -> None:
    bench = Bench()
    limits = bench.account()

    async def later(name: str) -> None:
        with spare():
            await bench.send(limits, name, ORDERS)

    async with asyncio.TaskGroup() as group:
        for number in range(40):
            group.create_task(later(f"later {number}"))
        await asyncio.sleep(1)
        assert len(bench.log) == AUDIT_SHARE * 2400 / 40 == 30
        for number in range(20):
            group.create_task(bench.send(limits, f"now {number}", ORDERS))
    assert [name for at_s, name in bench.log if at_s == 1.0] == [f"now {number}" for number in range(12)]
    assert [name.partition(" ")[0] for at_s, name in bench.log if at_s >= 60] == ["now"] * 8 + ["later"] * 10


@virtual
async def test_what_was_kept_and_not_used_is_free_again() -> None:
    bench = Bench()
    async with bench.budget.room(1_000):
        await bench.send(bench.account(), "one", ORDERS)
        assert bench.budget.used == 1_000
    assert bench.budget.used == 40


@virtual
async def test_room_is_given_back_when_its_look_fails_and_not_waited_for_while_the_venue_wants_silence() -> None:
    bench = Bench()
    with pytest.raises(ValueError, match="failed"):
        async with bench.budget.room(1_000):
            raise ValueError("failed")
    assert bench.budget.used == 0
    bench.budget.rest(30, "too many requests")
    async with bench.budget.room(1_000):
        with pytest.raises(RateLimited):
            await bench.send(bench.account(), "one", ORDERS)
    assert bench.clock.monotonic_s() == 0


@virtual
async def test_a_rest_that_begins_within_a_look_holds_for_what_was_kept_too() -> None:
    bench = Bench()
    async with bench.budget.room(1_000):
        bench.budget.rest(30, "too many requests")
        with pytest.raises(RateLimited):
            await bench.send(bench.account(), "one", ORDERS)


@virtual
async def test_who_sleeps_at_the_head_of_the_line_lets_an_earlier_undertaking_pass() -> None:
    bench = Bench()
    early, late = bench.account(), bench.account()
    with counted():
        await bench.send(early, "early", ORDERS)
        await asyncio.gather(*(bench.send(bench.account(), "filler", ORDERS) for _ in range(41)))
        waiting = asyncio.create_task(bench.send(late, "late", ORDERS), context=contextvars.Context())
        await asyncio.sleep(30)
        await asyncio.gather(*(bench.send(early, f"early {number}", ORDERS) for number in range(42)))
        await waiting
    assert bench.order[-1] == "late"
    assert bench.log[-1][0] == 120.0, "not before the minute in which the early ones were sent is over"


@virtual
async def test_a_cancelled_wait_leaves_no_trace() -> None:
    bench = Bench()
    limits = bench.account()
    await asyncio.gather(*(bench.send(limits, "fill", ORDERS) for _ in range(42)))
    waiting = [asyncio.create_task(bench.send(limits, name, ORDERS)) for name in ("first", "second", "third")]
    with protective():
        protecting = [asyncio.create_task(bench.send(limits, "flood", ORDERS)) for _ in range(20)]
    await asyncio.sleep(1)
    for task in (*waiting[:2], *protecting):
        task.cancel()
    await asyncio.gather(*waiting, *protecting, return_exceptions=True)
    assert bench.order[42:] == ["flood"] * 15 + ["third"]
    assert bench.log[-1] == (60.0, "third")
    assert bench.budget.used == 40
    await asyncio.sleep(60)
    assert bench.budget.used == 0


@virtual
async def test_what_the_venue_counted_raises_our_count_and_never_lowers_it() -> None:
    bench = Bench()
    limits = bench.account()
    await bench.send(limits, "one", POSITIONS, answer={"x-mbx-used-weight-1m": "1600"})
    assert bench.budget.used == 1600
    await bench.send(limits, "two", POSITIONS, answer={"x-mbx-used-weight-1m": "3"})
    assert bench.budget.used == 1605
    assert bench.budget.weight_used == 3
    await bench.send(limits, "three", ORDERS)
    await bench.send(limits, "four", ORDERS)
    assert bench.log[-2:] == [(0.0, "three"), (60.0, "four")]


@virtual
async def test_others_behind_the_same_address_slow_the_audits_down() -> None:
    bench = Bench()
    assert bench.budget.audit_rate(0) == bench.budget.audit_rate(8) == AUDIT_SHARE * 2400 / 60
    assert bench.budget.audit_rate(18) == pytest.approx(28 - 18)
    assert bench.budget.audit_rate(1000) == pytest.approx(0.25 * 2400 / 60)
    await bench.send(bench.account(), "one", POSITIONS, answer={"x-mbx-used-weight-1m": "1205"})
    assert bench.budget.audit_rate(0) == pytest.approx((ORDINARY_SHARE * 2400 - 1200) / 60)


@virtual
async def test_a_request_without_an_answer_counts_until_a_window_after_it_was_given_up() -> None:
    bench = Bench()
    await bench.send(bench.account(), "slow", ORDERS, takes_s=50)
    await asyncio.sleep(59)
    assert bench.budget.used == 40
    await asyncio.sleep(1.1)
    assert bench.budget.used == 0


@virtual
async def test_a_long_rest_is_told_at_once_to_everybody_behind_the_address() -> None:
    bench = Bench()
    bench.budget.rest(120, "HTTP 418")
    for limits in (bench.account(), bench.account()):
        with pytest.raises(RateLimited, match="no request for another 121 s"):
            await bench.send(limits, "x", POSITIONS)
        with pytest.raises(RateLimited, match="no request for another 121 s"), protective():
            await bench.send(limits, "x", CANCEL)
    assert bench.log == []
    assert bench.budget.used == 0
    await asyncio.sleep(119)
    await bench.send(bench.account(), "after", POSITIONS)
    assert bench.log == [(120.0, "after")]


@virtual
async def test_a_rest_that_begins_while_one_waits_is_told_to_it() -> None:
    bench = Bench()
    limits = bench.account()
    await asyncio.gather(*(bench.send(limits, "fill", ORDERS) for _ in range(42)))
    waiting = asyncio.create_task(bench.send(limits, "waits", ORDERS))
    await asyncio.sleep(1)
    bench.budget.rest(600, "HTTP 418")
    with pytest.raises(RateLimited):
        await waiting


@virtual
async def test_bybit_an_address_has_600_requests_in_five_seconds() -> None:
    bench = Bench("bybit")
    accounts = [bench.account() for _ in range(30)]
    await asyncio.gather(*(bench.send(limits, "x", LISTED) for limits in accounts for _ in range(20)))
    assert sum(at_s == 0 for at_s, _ in bench.log) == 420
    assert {at_s for at_s, _ in bench.log} == {0.0, 5.0}


@virtual
async def test_bybit_an_accounts_endpoint_waits_without_holding_up_another_account() -> None:
    bench = Bench("bybit")
    one, two = bench.account(), bench.account()
    told = {"x-bapi-limit": "10", "x-bapi-limit-status": "0"}
    await bench.send(one, "first", LISTED, answer=told)
    assert one.left() == (0, 10)
    await asyncio.gather(bench.send(one, "second", LISTED), bench.send(two, "other", LISTED))
    assert bench.log[1:] == [(0.0, "other"), (1.0, "second")]


@virtual
async def test_binance_orders_are_counted_for_the_account() -> None:
    bench = Bench()
    one, two = bench.account(), bench.account()
    with protective():
        await bench.send(one, "first", PLACE, answer={"x-mbx-order-count-10s": "290", "x-mbx-order-count-1m": "290"})
        await asyncio.gather(bench.send(one, "second", PLACE), bench.send(two, "other", PLACE))
    assert bench.log[1:] == [(0.0, "other"), (10.0, "second")]


@virtual
async def test_what_a_block_costs_is_counted_through_its_tasks() -> None:
    bench = Bench()
    limits = bench.account()
    with counted() as spent:
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.send(limits, "x", ORDERS))
            group.create_task(bench.send(limits, "x", ORDERS, params={"symbol": "BTCUSDT"}))
    await bench.send(limits, "outside", ORDERS)
    assert spent.cost == 41


@pytest.mark.parametrize("seed", range(20))
def test_1_no_window_of_the_venues_ever_holds_more_than_is_allowed(seed: int) -> None:
    """Requests of any cost, delay and urgency; the venue counts each at some instant between sending and answer."""
    counts: list[tuple[float, int]] = []
    chance = random.Random(seed)

    async def one(bench: Bench, limits: AccountLimits) -> None:
        await asyncio.sleep(chance.uniform(0, 200))
        endpoint = chance.choice((POSITIONS, ORDERS, "fapiPrivateGetIncome", CANCEL))
        cost = bench.budget.tariff.cost(endpoint, {})
        async with limits.sending(endpoint, {}, "x") as sending:
            await asyncio.sleep(chance.uniform(0, 3))
            counts.append((bench.clock.monotonic_s(), cost))
            await asyncio.sleep(chance.uniform(0, 3))
            sending.told({})

    async def run() -> None:
        bench = Bench()
        accounts = [bench.account() for _ in range(5)]
        tasks = [asyncio.create_task(one(bench, chance.choice(accounts))) for _ in range(400)]
        for task in chance.sample(tasks, 30):
            asyncio.get_running_loop().call_later(chance.uniform(0, 300), task.cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(100)
        assert bench.budget.used == 0

    in_virtual_time(run())
    for begins_s, _ in counts:
        held = sum(cost for at_s, cost in counts if begins_s <= at_s < begins_s + 60)
        assert held <= ORDINARY_SHARE * 2400
    assert len(counts) >= 370


def test_3_a_request_that_is_dearer_than_what_is_allowed_goes_alone() -> None:
    window = Window(50, 10.0)
    assert window.wait_s(80, 0.7, 0.0) == 0
    window.take(80)
    assert window.wait_s(1, 0.7, 0.0) == 10.0
    window.answered(80, 2.0)
    assert window.wait_s(80, 0.7, 2.0) == 10.0
    assert window.wait_s(80, 0.7, 12.0) == 0
