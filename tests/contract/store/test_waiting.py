"""Whom somebody waits for: told of all accounts in one statement, until it is done."""

from __future__ import annotations

from tests.contract.store.values import NOW_MS, changes, effect
from trueup.model.effects import EffectKind, EffectState, EffectUpdate
from trueup.ports import Owner, Store, Waiting


async def test_requests_wait_until_they_are_answered(store: Store, owner: Owner) -> None:
    assert await store.waiting(NOW_MS) == Waiting()
    first = await store.ask("main", "sync", "{}", NOW_MS)
    await store.ask("other", "sync", "{}", NOW_MS)
    assert await store.waiting(NOW_MS) == Waiting(requests=frozenset({"main", "other"}))
    await store.take_requests(owner)
    assert (await store.waiting(NOW_MS)).requests == {"main", "other"}, "taken is not answered: its taker may die"
    await store.answer(first, "{}", NOW_MS)
    assert (await store.waiting(NOW_MS)).requests == {"other"}


async def test_notices_wait_from_when_they_are_due_until_they_are_told(store: Store, owner: Owner) -> None:
    notice = effect("notify:a@0", kind=EffectKind.NOTIFY)
    committed = await store.commit(owner, changes(effects=(notice, effect("cancel:1"))))
    [told] = await store.effects(account="main", kind=EffectKind.NOTIFY)
    assert told.effect_id in committed.effect_ids
    assert (await store.waiting(told.next_attempt_at_ms - 1)).notices == set()
    assert (await store.waiting(told.next_attempt_at_ms)).notices == {"main"}
    for state, at_ms, waits in ((EffectState.ESCALATED, NOW_MS + 9_000, True), (EffectState.DONE, NOW_MS, False)):
        update = EffectUpdate(effect_id=told.effect_id, state=state, attempts=1, next_attempt_at_ms=at_ms)
        await store.commit(owner, changes(effect_updates=(update,)))
        assert (await store.waiting(NOW_MS + 8_999)).notices == set()
        assert bool((await store.waiting(NOW_MS + 9_000)).notices) is waits
