"""Effects asked for by kind and age, which is how a finding that was told is found again."""

from __future__ import annotations

from tests.contract.store.values import NOW_MS, changes, effect
from trueup.model.effects import EffectKind, EffectState
from trueup.ports import Owner, Store


async def test_effects_by_kind_age_and_state(store: Store, owner: Owner) -> None:
    cancel = effect("cancel:1")
    old = effect("notify:a@0", kind=EffectKind.NOTIFY, created_at_ms=NOW_MS - 1)
    new = effect("notify:b@0", kind=EffectKind.NOTIFY)
    await store.commit(owner, changes(effects=(cancel, old, new)))

    async def keys(**wanted: object) -> list[str]:
        return [found.dedup_key for found in await store.effects(account="main", **wanted)]  # type: ignore[arg-type]

    assert await keys() == ["cancel:1", "notify:a@0", "notify:b@0"]
    assert await keys(kind=EffectKind.NOTIFY) == ["notify:a@0", "notify:b@0"]
    assert await keys(kind=EffectKind.NOTIFY, since_ms=NOW_MS) == ["notify:b@0"]
    assert await keys(kind=EffectKind.CANCEL_ORDER, states=(EffectState.PENDING,)) == ["cancel:1"]
    assert await keys(kind=EffectKind.CANCEL_ORDER, states=(EffectState.DONE,)) == []
