"""Who may write an account: epochs that only grow, by the database's clock; and the smaller tables."""

from __future__ import annotations

import pytest

from tests.contract.store.backends import Backend, MemoryBackend
from tests.contract.store.values import LONG, NOW_MS, changes, event, new_position
from trueup.model.errors import NotOwner
from trueup.model.observations import Identity
from trueup.model.times import DAY_MS
from trueup.ports import Owner, Store


async def test_a_claim_keeps_others_out_and_says_who_and_how_long(store: Store) -> None:
    owner = await store.claim("main", "alpha", 60)
    assert owner == Owner(account="main", holder="alpha", epoch=1)
    assert await store.owner_of("main") == owner
    with pytest.raises(NotOwner, match=r"'main' is owned by alpha \(epoch 1\) for another (60\.0|59\.\d) s"):
        await store.claim("main", "beta", 60)
    assert (await store.claim("other", "beta", 60)).epoch == 1
    assert await store.owner_of("main") == owner


async def test_the_same_holder_claims_again_under_a_new_epoch(store: Store) -> None:
    lost = await store.claim("main", "alpha", 60)
    again = await store.claim("main", "alpha", 60)
    assert again.epoch == lost.epoch + 1
    with pytest.raises(NotOwner, match="epoch 2, this write came from alpha under epoch 1"):
        await store.commit(lost, changes(events=(event(),)))
    assert await store.renew([lost], 60) == [lost]
    await store.commit(again, changes(events=(event(),)))
    assert len(await store.events()) == 1


async def test_a_lease_that_ran_out_can_be_taken_over(store: Store) -> None:
    stale = await store.claim("main", "alpha", 0)
    assert await store.owner_of("main") is None
    fresh = await store.claim("main", "beta", 60)
    assert fresh.epoch == stale.epoch + 1
    assert await store.owner_of("main") == fresh
    for write in (
        store.commit(stale, changes(opens=(new_position(),), events=(event(),))),
        store.set_pin(stale, Identity(fingerprint="x", strength="weak"), NOW_MS),
        store.take_requests(stale),
    ):
        with pytest.raises(NotOwner):
            await write
    assert await store.positions() == []
    assert await store.events() == []
    assert await store.renew([stale, fresh], 60) == [stale]
    await store.release(stale)
    assert await store.owner_of("main") == fresh


async def test_a_late_owner_whom_nobody_overtook_goes_on(store: Store) -> None:
    owner = await store.claim("main", "alpha", 0)
    await store.commit(owner, changes(opens=(new_position(),)))
    assert await store.renew([owner], 60) == []
    assert await store.owner_of("main") == owner


async def test_release_gives_the_account_back_at_once(store: Store) -> None:
    owner = await store.claim("main", "alpha", 60)
    await store.release(owner)
    assert await store.owner_of("main") is None
    with pytest.raises(NotOwner, match="nobody"):
        await store.commit(owner, changes(events=(event(),)))
    await store.release(owner)
    assert (await store.claim("main", "beta", 60)).epoch == 2


async def test_leases_of_many_accounts_are_renewed_in_one_go(store: Store) -> None:
    held = [await store.claim(f"account-{number}", "alpha", 0) for number in range(5)]
    overtaken = await store.claim("account-3", "beta", 60)
    assert await store.renew(held, 60) == [held[3]]
    assert await store.owner_of("account-3") == overtaken
    assert [await store.owner_of(owner.account) for owner in held[:3]] == held[:3]
    assert await store.renew([], 60) == []


async def test_nobody_writes_an_account_that_was_never_claimed(store: Store) -> None:
    invented = Owner(account="main", holder="alpha", epoch=1)
    with pytest.raises(NotOwner, match="never claimed"):
        await store.commit(invented, changes(events=(event(),)))
    assert await store.owner_of("main") is None
    assert await store.renew([invented], 60) == [invented]


async def test_time_is_the_databases() -> None:
    backend = MemoryBackend()
    store = await backend.store()
    await store.claim("main", "alpha", 15)
    backend.clock.now_ms += 14_999
    with pytest.raises(NotOwner, match=r"another 0\.0 s"):
        await store.claim("main", "beta", 15)
    backend.clock.now_ms += 1
    assert (await store.claim("main", "beta", 15)).epoch == 2


async def test_epochs_hold_between_processes(backend: Backend) -> None:
    one, two = await backend.store(), await backend.store()
    first = await one.claim("main", "alpha", 0)
    second = await two.claim("main", "beta", 60)
    assert await one.owner_of("main") == second
    with pytest.raises(NotOwner):
        await one.commit(first, changes(opens=(new_position(),)))
    await two.commit(second, changes(opens=(new_position(),)))
    assert [position.key for position in await one.positions()] == [LONG]


async def test_pins(store: Store, owner: Owner) -> None:
    assert await store.pin_of("main") is None
    for identity in (Identity(fingerprint="1", strength="user_id"), Identity(fingerprint="2", strength="weak")):
        await store.set_pin(owner, identity, NOW_MS)
        assert await store.pin_of("main") == identity
    assert await store.pin_of("other") is None
    await store.set_pin(owner, None, NOW_MS)
    assert await store.pin_of("main") is None


async def test_pause_and_states_do_not_touch_each_other(store: Store) -> None:
    assert not await store.is_paused("main")
    assert await store.account_states() == {}
    await store.set_paused("main", True, NOW_MS)
    assert await store.account_states() == {}
    await store.set_account_states({"main": ('{"a":1}', NOW_MS)})
    await store.set_account_states({"b": ("{}", NOW_MS + 1)})
    assert await store.account_states("b") == {"b": ("{}", NOW_MS + 1)}
    assert await store.account_states("nobody") == {}
    assert await store.is_paused("main")
    await store.set_account_states({"main": ('{"a":2}', NOW_MS + 2)})
    await store.set_paused("main", False, NOW_MS)
    assert not await store.is_paused("main")
    assert await store.account_states() == {"main": ('{"a":2}', NOW_MS + 2), "b": ("{}", NOW_MS + 1)}


async def test_requests_are_taken_once_and_answered(store: Store, owner: Owner) -> None:
    first = await store.ask("main", "sync", "{}", NOW_MS)
    await store.ask("other", "sync", "{}", NOW_MS)
    second = await store.ask("main", "approve", '{"hold":1}', NOW_MS + 1)
    waiting = await store.request(first)
    assert waiting is not None
    assert (waiting.state, waiting.result) == ("open", None)
    taken = await store.take_requests(owner)
    assert [(request.request_id, request.kind, request.payload, request.state) for request in taken] == [
        (first, "sync", "{}", "taken"),
        (second, "approve", '{"hold":1}', "taken"),
    ]
    assert await store.take_requests(owner) == []
    await store.answer(first, '{"exit":0}', NOW_MS + 5)
    await store.answer(first, "again", NOW_MS + 6)
    answered = await store.request(first)
    assert answered is not None
    assert (answered.state, answered.result, answered.created_at_ms) == ("done", '{"exit":0}', NOW_MS)
    assert await store.request(999) is None


async def test_what_a_dead_owner_took_comes_again(store: Store) -> None:
    dead = await store.claim("main", "alpha", 0)
    request_id = await store.ask("main", "sync", "{}", NOW_MS)
    assert len(await store.take_requests(dead)) == 1
    heir = await store.claim("main", "beta", 60)
    assert [request.request_id for request in await store.take_requests(heir)] == [request_id]
    await store.answer(request_id, "{}", NOW_MS)
    assert await store.take_requests(heir) == []


async def test_answered_requests_are_cleared_away_in_time(store: Store) -> None:
    answered = await store.ask("main", "sync", "{}", NOW_MS)
    waiting = await store.ask("main", "sync", "{}", NOW_MS)
    await store.answer(answered, "{}", NOW_MS)
    later = await store.ask("main", "sync", "{}", NOW_MS + 8 * DAY_MS)
    assert await store.request(answered) is None
    assert await store.request(waiting) is not None
    assert await store.request(later) is not None
