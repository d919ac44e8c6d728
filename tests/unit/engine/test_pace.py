"""How often accounts are audited (engine/pace.py, invariants 1 to 4), and that a stop of all requests is told once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from telling_parts import HandClock, open_desk

from trueup.engine.pace import Pace
from trueup.engine.settings import Timing
from trueup.engine.watch import Watch
from trueup.ports import AuditCost, Silence


@dataclass
class Fixed:
    """A budget that says what a test wants: by default Binance's 2,400 a minute, half of it for audits."""

    rate: float = 20.0
    unit: str = "weight"
    limit: int = 2_400
    window_s: float = 60.0
    used: int = 0
    audit_cost: AuditCost = AuditCost(positions=5, orders=80)  # noqa: RUF009 - frozen
    rest_s: float = 0.0
    last_silence: Silence | None = None
    kept: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def room(self, cost: int) -> AsyncIterator[None]:
        self.kept.append(cost)
        yield

    def audit_rate(self, beside: float) -> float:
        return min(self.rate, 28.0 - beside)


def pace(count: int, interval_s: float = 30.0, budget: Fixed | None = None, clock: HandClock | None = None) -> Pace:
    names = [f"account-{number}" for number in range(count)]
    return Pace(names, budget or Fixed(), Timing(audit_interval_s=interval_s, orders_every=4), clock or HandClock())


def test_1_the_configured_interval_holds_while_the_budget_has_room() -> None:
    roomy = pace(20)
    assert (roomy.interval_s, roomy.why) == (30.0, None)
    assert pace(24).interval_s == 30.0


def test_1_more_accounts_than_it_allows_are_looked_at_less_often() -> None:
    # One audit: 5, and a quarter of 80: 25. Twenty units a second are planned for audits.
    tight = pace(60)
    assert tight.interval_s == 60 * 25 / 20
    assert tight.why == (
        "one audit of each of 60 accounts behind one address costs 1500 weight; "
        "audits may use 1200 of the venue's 2400 a minute"
    )
    assert pace(1, 0.5).interval_s == 1.3  # 1.25, rounded up to a tenth
    assert Pace(["a"], None, Timing(audit_interval_s=0.5), HandClock()).interval_s == 0.5


def test_1_it_follows_what_others_leave_of_the_address() -> None:
    budget = Fixed()
    shared = pace(20, budget=budget)
    budget.rate = 5.0
    assert shared.interval_s == 100.0


@pytest.mark.parametrize(("count", "interval_s"), [(1, 30.0), (7, 30.0), (60, 30.0), (20, 0.25), (3, 3600.0)])
def test_2_audits_are_spread_evenly_and_no_gap_is_longer_than_the_interval(count: int, interval_s: float) -> None:
    clock = HandClock()
    spread = pace(count, interval_s, clock=clock)
    start_s, every_s = clock.monotonic_s(), spread.interval_s
    seconds = []
    for account in spread.accounts:
        due_s, dues = start_s + 0.001, []
        for _ in range(5):
            following_s = spread.next_after(account, due_s)
            assert due_s < following_s <= due_s + every_s + 1e-4
            dues.append(following_s)
            due_s = following_s
        assert [round(later - earlier, 3) for earlier, later in pairwise(dues)] == [every_s] * 4
        seconds.append(dues[0])
    seconds.sort()
    gaps = [later - earlier for earlier, later in pairwise(seconds)]
    assert all(gap == pytest.approx(every_s / count, abs=1e-4) for gap in gaps)


def test_2_an_interval_of_zero_is_always_due() -> None:
    free = Pace(["a"], None, Timing(audit_interval_s=0), HandClock())
    assert free.next_after("a", 5.0) == free.next_after("a", 5.0) == 5.0


def test_3_order_lists_at_every_audit_are_dropped_before_the_interval_grows() -> None:
    assert pace(7).affords_orders  # 7 * 85 = 595 of 600
    tight = pace(8)
    assert not tight.affords_orders
    assert tight.interval_s == 30.0


def test_3_order_lists_are_read_by_a_part_of_the_accounts_at_a_time_when_the_budget_is_tight() -> None:
    tight, roomy = pace(60), pace(3)
    assert [tight.turn_of_lists(f"account-{number}") for number in range(6)] == [0, 1, 2, 3, 0, 1]
    assert [roomy.turn_of_lists(f"account-{number}") for number in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(("orders", "cost"), [(False, 5), (True, 85)])
async def test_a_look_asks_for_the_room_that_it_takes(orders: bool, cost: int) -> None:
    budget = Fixed()
    async with pace(60, budget=budget).room("account-1", orders=orders):
        assert budget.kept == [cost]
    async with Pace(["a"], None, Timing(audit_interval_s=30.0), HandClock()).room("a", orders=orders):
        pass


def test_4_the_cheapest_of_the_last_audits_is_what_one_costs() -> None:
    measured = pace(1, 0.5)
    for cost in (100, 90, 85):
        measured.looked("account-0", cost, orders=True, audit=True)
    for cost in (45, 7, 20):
        measured.looked("account-0", cost, orders=False, audit=True)
    assert measured.interval_s == 1.4  # (7 + (85 - 7) / 4) / 20 = 1.325
    for _ in range(5):
        measured.looked("account-0", 27, orders=False, audit=True)
    assert measured.interval_s == 2.1  # (27 + (85 - 27) / 4) / 20 = 2.075
    measured.looked("somebody else", 1, orders=False, audit=True)
    assert measured.interval_s == 2.1


def test_4_what_other_reading_took_lately_is_not_planned_with() -> None:
    clock = HandClock()
    busy = pace(20, clock=clock)
    clock.at_ms += 600_000
    for number in range(300):  # twenty units a second for five minutes: looks that streams ask for, and histories
        busy.looked(f"account-{number % 20}", 20, orders=False, audit=False)
    assert busy.interval_s == 62.5  # 500 of the 8 a second that are left of 28
    clock.at_ms += 301_000
    assert busy.interval_s == 30.0


async def test_a_stop_of_all_requests_is_told_once_for_all_accounts() -> None:
    desk = await open_desk()
    budget = Fixed()
    shared = Pace((desk.plan.name, "other"), budget, Timing(audit_interval_s=30), desk.clock)
    watches = [Watch(desk.plan, Timing(audit_interval_s=30), desk.store, desk.clock, shared) for _ in range(2)]
    for watch in watches:
        await watch.requests(desk.owner)
    assert await desk.types() == []
    at_ms = desk.clock.now_ms()
    budget.last_silence = Silence(at_ms=at_ms, until_ms=at_ms + 120_000, problem="HTTP 418")
    for watch in watches:
        await watch.requests(desk.owner)
    [event] = await desk.store.events()
    assert (event.type, event.severity.value) == ("REQUESTS_STOPPED", "error")
    assert (event.data["seconds"], event.data["accounts"]) == (120, [desk.plan.name, "other"])
    [notice] = await desk.notices()
    assert "wants no request for 120 s" in notice.payload
    budget.last_silence = Silence(at_ms=at_ms + 1, until_ms=at_ms + 5_001, problem="HTTP 429")
    await watches[1].requests(desk.owner)
    assert (await desk.store.events())[-1].severity.value == "warning"
