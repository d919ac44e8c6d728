"""Whom somebody waits for: told of all accounts in one statement, until it is done."""

from __future__ import annotations

from tests.contract.store.test_trailing_rows import record
from tests.contract.store.values import LONG, NOW_MS, SHORT, changes, close, effect, hold, mark, opened, order
from trueup.model.effects import EffectKind, EffectState, EffectUpdate
from trueup.model.holds import HoldState, HoldUpdate
from trueup.model.observations import Identity
from trueup.model.orders import OrderStatus
from trueup.ports import Owner, Standing, Store, Waiting


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


async def test_what_stands_of_an_account_is_what_its_lists_would_tell(store: Store, owner: Owner) -> None:
    assert await store.standing("main") == Standing()
    row, ended = await opened(store, owner), await opened(store, owner, SHORT)
    stop = order(position_id=row.position_id, order_id="stop")
    written = changes(
        orders=(stop, order(order_id="nobody's")),
        effects=(effect("cancel:1"), effect("notify:a@0", kind=EffectKind.NOTIFY)),
        holds=(hold("f-1"),),
        marks=(mark(), mark(SHORT)),
        trailing=(record(row.position_id), record(ended.position_id)),
    )
    await store.commit(owner, written)
    await store.commit(owner, changes(closes=(close(ended),)))
    await store.set_pin(owner, Identity(fingerprint="1", strength="weak"), NOW_MS)
    await store.set_paused("main", True, NOW_MS)
    stands = Standing(
        paused=True,
        pin=Identity(fingerprint="1", strength="weak"),
        marks=2,
        holds=1,
        orders=1,
        effects=2,
        trailing=1,
    )
    assert await store.standing("main") == stands
    assert await store.standing("other") == Standing()
    [waiting, _] = await store.effects(account="main")
    done = EffectUpdate(effect_id=waiting.effect_id, state=EffectState.DONE, attempts=1, next_attempt_at_ms=NOW_MS)
    [held] = await store.holds(account="main")
    over = HoldUpdate(hold_id=held.hold_id, state=HoldState.WITHDRAWN, at_ms=NOW_MS)
    gone = ((LONG.symbol, "stop", OrderStatus.CANCELLED),)
    clear = tuple((one.key, one.kind) for one in (mark(), mark(SHORT)))
    await store.commit(
        owner, changes(effect_updates=(done,), hold_updates=(over,), forget_orders=gone, clear_marks=clear)
    )
    await store.set_paused("main", False, NOW_MS)
    assert await store.standing("main") == Standing(
        pin=Identity(fingerprint="1", strength="weak"), effects=1, trailing=1
    )
