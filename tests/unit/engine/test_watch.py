"""What lasts too long is raised once and ended once; what stands is told again."""

from __future__ import annotations

import msgspec
from telling_parts import TIMING, Desk, open_desk

from trueup.engine.pace import Pace
from trueup.engine.watch import Outage, Watch
from trueup.model.errors import RateLimited, Unobserved
from trueup.model.holds import HoldKind
from trueup.model.positions import AccountMode
from trueup.model.reports import AccountReport, HeldReport
from trueup.model.times import DAY_MS

GONE = Unobserved("positions", "no answer")


def watch(desk: Desk) -> Watch:
    return Watch(desk.plan, TIMING, desk.store, desk.clock, Pace((desk.plan.name,), None, TIMING, desk.clock))


async def failing(desk: Desk, seconds: int, outage: Outage | None, error: Exception | None = GONE) -> Outage | None:
    """Audits every 30 s for so long, each by a process of its own."""
    for _ in range(0, seconds, 30):
        outage = await watch(desk).observed(desk.owner, outage, error)
        desk.clock.at_ms += 30_000
    return outage


async def test_1_an_account_unobserved_for_more_than_three_intervals_is_raised_once_and_ended_once() -> None:
    desk = await open_desk()
    outage = await failing(desk, 120, None)
    assert await desk.types() == []
    assert outage is not None
    assert not outage.raised
    outage = await failing(desk, 600, outage)
    assert await desk.types() == ["ACCOUNT_UNOBSERVED"]
    assert await failing(desk, 60, outage, None) is None
    assert await desk.types() == ["ACCOUNT_UNOBSERVED", "ACCOUNT_OBSERVED_AGAIN"]
    assert len(await desk.notices()) == 2


async def test_1_a_short_outage_is_not_told() -> None:
    desk = await open_desk()
    for _ in range(20):
        outage = await failing(desk, 90, None)
        assert await failing(desk, 30, outage, None) is None
    assert await desk.types() == []


async def test_an_outage_that_lasts_is_told_again_after_six_hours_and_at_once_when_it_changes() -> None:
    desk = await open_desk()
    outage = await failing(desk, 3_600, None)
    assert len(await desk.notices()) == 1
    outage = await failing(desk, 60, outage, RateLimited("positions", "banned"))
    assert len(await desk.notices()) == 2
    await failing(desk, 6 * 3_600, outage)
    assert await desk.types() == ["ACCOUNT_UNOBSERVED"]
    assert len(await desk.notices()) == 2, "one that nobody has delivered yet is not doubled"


async def test_1_a_stream_that_stays_down_is_raised_once_and_ended_once() -> None:
    desk = await open_desk()
    eye = watch(desk)
    for words, times in (("none", 2), ("down: connecting", 5), ("up", 2), ("down: closed", 15), ("up", 2)):
        for _ in range(times):
            await eye.stream(desk.owner, words)
            desk.clock.at_ms += 30_000
    assert await desk.types() == ["STREAM_DOWN", "STREAM_UP_AGAIN"]
    assert len(await desk.notices()) == 2


async def test_a_hold_that_waits_is_told_again_the_next_day() -> None:
    desk = await open_desk()
    held = HeldReport(hold_id=1, kind=HoldKind.ADOPTION, positions=(), summary="adopt it")
    report = AccountReport(account="main", venue="bybit", mode=AccountMode.SYNC, observed=True, held=(held,))
    eye = watch(desk)
    for _ in range(3):
        await eye.standing(desk.owner, report)
        desk.clock.at_ms += 60_000
    assert len(await desk.notices()) == 1
    assert await desk.types() == [], "reminded, not raised again"
    dry = msgspec.structs.replace(report, applied=False)
    desk.clock.at_ms += 2 * DAY_MS
    await eye.standing(desk.owner, dry)
    assert len(await desk.notices()) == 1
