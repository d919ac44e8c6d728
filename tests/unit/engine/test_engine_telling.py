"""Notices: written with their events, delivered at every place, tried again, never dropped."""

from __future__ import annotations

import asyncio

from telling_parts import START_MS, Desk, PickyNotifier, open_desk

from trueup.engine.heart import Heart
from trueup.engine.settings import AlertPlan
from trueup.engine.telling import NoticesWorker, Teller
from trueup.model.changes import ChangeSet
from trueup.model.effects import EffectState, Notice
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.times import DAY_MS


def hold(number: int = 1) -> NewEvent:
    return NewEvent(
        type=EventType.HOLD_RAISED,
        severity=Severity.ERROR,
        account="main",
        at_ms=START_MS,
        data={"kind": "adoption", "keys": [[f"COIN{number}", "long"]], "summary": f"hold {number}"},
    )


async def raised(desk: Desk, *events: NewEvent) -> None:
    teller = Teller(desk.plan, desk.store, desk.clock)
    await teller.commit(desk.owner, ChangeSet(account="main", now_ms=desk.clock.now_ms(), events=events))


def worker(desk: Desk, notifier: PickyNotifier | None) -> NoticesWorker:
    return NoticesWorker(desk.plan, desk.store, desk.clock, notifier)


async def test_1_a_notice_is_written_with_its_event() -> None:
    desk = await open_desk()
    await raised(desk, hold())
    assert await desk.types() == ["HOLD_RAISED"]
    assert [effect.state for effect in await desk.notices()] == [EffectState.PENDING]


async def test_1_a_finding_that_was_told_is_not_told_again_by_another_process() -> None:
    desk = await open_desk()
    await raised(desk, hold())
    await worker(desk, PickyNotifier()).run_pass(desk.owner, due_only=True)
    await raised(desk, hold())
    assert len(await desk.notices()) == 1
    desk.clock.at_ms += DAY_MS
    await raised(desk, hold())
    assert len(await desk.notices()) == 2


async def test_3_without_a_place_nothing_is_written_and_nothing_counts() -> None:
    desk = await open_desk(places=0)
    await raised(desk, hold())
    assert await desk.types() == ["HOLD_RAISED"]
    assert await desk.notices() == []
    assert await worker(desk, None).undelivered(failed_only=False) == 0


async def test_2_what_is_delivered_is_done_and_not_sent_again() -> None:
    desk, notifier = await open_desk(), PickyNotifier()
    await raised(desk, hold())
    work = worker(desk, notifier)
    assert await work.undelivered(failed_only=False) == 1
    assert await work.undelivered(failed_only=True) == 0
    await work.run_pass(desk.owner, due_only=True)
    await work.run_pass(desk.owner, due_only=False)
    assert len(notifier.told) == 1
    assert await work.undelivered(failed_only=False) == 0


async def test_2_a_place_that_fails_is_tried_again_with_growing_waits_and_holds_no_other_up() -> None:
    desk, notifier = await open_desk(places=2), PickyNotifier(places=2, refusing={0})
    await raised(desk, hold(1), hold(2))
    work = worker(desk, notifier)
    await work.run_pass(desk.owner, due_only=True)
    assert [place for place, _ in notifier.told] == [1, 1]
    assert [place for place, _ in notifier.tried].count(0) == 2, "the first failure ends the place's part of a pass"
    states = [effect.state for effect in await desk.notices()]
    assert states.count(EffectState.ESCALATED) == 1
    assert await work.undelivered(failed_only=True) == 1
    waits = []
    for _ in range(12):
        [first] = [effect for effect in await desk.notices() if effect.state is EffectState.ESCALATED]
        waits.append(first.next_attempt_at_ms - desk.clock.now_ms())
        before = len(notifier.tried)
        await work.run_pass(desk.owner, due_only=True)
        assert len(notifier.tried) == before, "not due yet"
        desk.clock.at_ms = first.next_attempt_at_ms
        await work.run_pass(desk.owner, due_only=True)
    assert waits == sorted(waits)
    assert waits[-1] == 300_000
    assert [kind for kind in await desk.types() if kind == "NOTICE_FAILED"] == ["NOTICE_FAILED"], "told once"
    notifier.refusing.clear()
    await work.run_pass(desk.owner, due_only=False)
    assert {effect.state for effect in await desk.notices()} == {EffectState.DONE}
    assert sorted(place for place, _ in notifier.told) == [0, 0, 1, 1]


async def test_2_a_place_that_is_configured_no_more_is_told_nothing() -> None:
    desk, notifier = await open_desk(places=2), PickyNotifier(places=1)
    await raised(desk, hold())
    await worker(desk, notifier).run_pass(desk.owner, due_only=True)
    outcomes = sorted(str(effect.outcome) for effect in await desk.notices())
    assert outcomes == ["alerts.urls[1] is not configured any more", "told"]


async def test_2_two_passes_at_once_tell_it_once() -> None:
    desk = await open_desk()

    class Slow(PickyNotifier):
        async def tell(self, notice: Notice) -> None:
            await asyncio.sleep(0)
            await super().tell(notice)

    notifier = Slow()
    await raised(desk, hold())
    work = worker(desk, notifier)
    await asyncio.gather(work.run_pass(desk.owner, due_only=True), work.run_pass(desk.owner, due_only=False))
    assert len(notifier.told) == 1


async def test_the_heart_beats_once_a_day_whatever_the_least_severity() -> None:
    desk, notifier = await open_desk(alerts=AlertPlan(places=1, min_severity=Severity.CRITICAL)), PickyNotifier()
    heart, work = Heart((desk.plan,), desk.store, desk.clock), worker(desk, notifier)
    for _ in range(2 * 24 * 60):
        await heart.beat(desk.owner)
        await work.run_pass(desk.owner, due_only=True)
        desk.clock.at_ms += 60_000
    assert [title for _, title in notifier.told] == ["trueup: alive"] * 2
    again = Heart((desk.plan,), desk.store, desk.clock)
    desk.clock.at_ms -= 3_600_000
    await again.beat(desk.owner)
    assert len(await desk.notices()) == 2, "a restart within the day says nothing new"
