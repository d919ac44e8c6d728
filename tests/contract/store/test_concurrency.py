"""Several processes on one book: every stale write is refused, nothing is lost, nothing is half-written."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from decimal import Decimal

import pytest

from tests.contract.store.backends import Backend, SqlBackend
from tests.contract.store.values import (
    LONG,
    NOW_MS,
    changes,
    close,
    details,
    event,
    fetched,
    hold,
    new_position,
    opened,
    update,
)
from trueup.model.errors import Conflict, InvariantBroken, NotOwner, TrueupError
from trueup.model.orders import Side
from trueup.model.positions import PositionKey
from trueup.ports import Owner, Store
from trueup.store.commit import fence
from trueup.store.database import Database, locate
from trueup.store.statements import statements_for


async def test_of_many_first_claims_one_wins(backend: Backend) -> None:
    stores = [await backend.store() for _ in range(4)]
    claims = [store.claim("main", f"holder {nth}", 60) for nth, store in enumerate(stores)]
    outcomes = await asyncio.gather(*claims, return_exceptions=True)
    won = [outcome for outcome in outcomes if isinstance(outcome, Owner)]
    assert [owner.epoch for owner in won] == [1]
    assert sum(isinstance(outcome, NotOwner) for outcome in outcomes) == 3
    assert await stores[0].owner_of("main") == won[0]


async def test_epochs_only_grow_under_a_race(backend: Backend) -> None:
    stores = [await backend.store() for _ in range(3)]

    async def take(store: Store, holder: str) -> list[int]:
        return [(await store.claim("main", holder, 0)).epoch for _ in range(10)]

    epochs = [
        epoch for taken in await asyncio.gather(*(take(s, f"h{n}") for n, s in enumerate(stores))) for epoch in taken
    ]
    assert sorted(epochs) == list(range(1, 31))


async def test_two_owners_race_and_the_stale_one_writes_nothing(backend: Backend) -> None:
    first_store, second_store = await backend.store(), await backend.store()
    stale = await first_store.claim("main", "alpha", 0)
    position = await opened(first_store, stale)

    async def write(store: Store, owner: Owner, count: int) -> list[TrueupError | None]:
        outcomes: list[TrueupError | None] = []
        for nth in range(count):
            try:
                await store.commit(owner, changes(events=(event(data={"by": owner.holder, "nth": nth}),)))
                outcomes.append(None)
            except NotOwner as refused:
                outcomes.append(refused)
        return outcomes

    async def take_over() -> list[TrueupError | None]:
        return await write(second_store, await second_store.claim("main", "beta", 60), 20)

    by_first, by_second = await asyncio.gather(write(first_store, stale, 40), take_over())
    assert by_second == [None] * 20
    log = await first_store.events()
    written = [entry.data["nth"] for entry in log if entry.data["by"] == "alpha"]
    assert written == list(range(by_first.count(None)))
    # Nothing of the stale owner stands after the first word of its successor.
    words = [entry.data["by"] for entry in log]
    assert words == sorted(words)
    with pytest.raises(NotOwner):
        await first_store.commit(stale, changes(closes=(close(position),)))


async def test_a_takeover_waits_for_the_write_in_flight(sql_backend: SqlBackend) -> None:
    store = await sql_backend.store()
    owner = await store.claim("main", "alpha", 0)
    database = Database(locate(sql_backend.url))
    order: list[str] = []

    async def take_over() -> Owner:
        taken = await store.claim("main", "beta", 60)
        order.append("taken over")
        return taken

    try:
        async with database.write("a write in flight") as connection:
            await fence(connection, statements_for(database.dialect), owner)
            taking = asyncio.create_task(take_over())
            done, _ = await asyncio.wait([taking], timeout=0.3)
            assert not done
            order.append("written")
        assert (await taking).epoch == 2
    finally:
        await database.dispose()
    assert order == ["written", "taken over"]


async def test_two_connections_insert_the_same_active_key(backend: Backend) -> None:
    one, two = await backend.store(), await backend.store()
    owner = await one.claim("main", "alpha", 60)
    attempts = [store.commit(owner, changes(opens=(new_position(),), events=(event(),))) for store in (one, two) * 4]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 7
    assert len(await one.positions(status="all")) == 1
    assert len(await one.events()) == 1


async def test_of_two_writes_on_one_version_one_wins(backend: Backend) -> None:
    one, two = await backend.store(), await backend.store()
    owner = await one.claim("main", "alpha", 60)
    position = await opened(one, owner)
    attempts = [
        store.commit(owner, changes(updates=(update(position, quantity=Decimal(nth + 1)),), events=(event(),)))
        for nth, store in enumerate((one, two) * 3)
    ]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 5
    assert (await fetched(one, position.position_id)).version == 1
    assert len(await one.events()) == 1


async def test_a_hold_that_two_commits_raise_at_once_is_one(backend: Backend) -> None:
    one, two = await backend.store(), await backend.store()
    owner = await one.claim("main", "alpha", 60)
    raising = [store.commit(owner, changes(holds=(hold(),), events=(event(),))) for store in (one, two) * 4]
    outcomes = await asyncio.gather(*raising)
    (known,) = await one.holds()
    assert [outcome.hold_ids for outcome in outcomes] == [(known.hold_id,)] * 8
    assert len(await one.events()) == 8


async def test_accounts_commit_beside_each_other(backend: Backend) -> None:
    store = await backend.store()

    async def live(account: str) -> None:
        owner = await store.claim(account, "alpha", 60)
        for nth in range(5):
            key = PositionKey(account, f"C{nth}/USDT:USDT", Side.LONG)
            committed = await store.commit(
                owner,
                changes(account=account, opens=(new_position(key),), events=(event(account=account, key=key),)),
            )
            position = await fetched(store, committed.position_ids[0])
            await store.commit(
                owner,
                changes(
                    account=account,
                    closes=(close(position, details=details()),),
                    events=(event(account=account, position_id=position.position_id),),
                ),
            )

    await asyncio.gather(*(live(f"account {nth}") for nth in range(6)))
    assert len(await store.positions(status="closed")) == 30
    ids = [entry.event_id for entry in await store.events()]
    assert len(ids) == 60
    assert ids == sorted(ids)


async def test_a_follower_never_sees_a_higher_event_id_first(sql_backend: SqlBackend) -> None:
    """While an event's id is given but not committed, no other transaction commits a higher one."""
    store = await sql_backend.store()
    owner = await store.claim("main", "alpha", 60)
    database = Database(locate(sql_backend.url))
    try:
        async with database.write("another account's commit in flight") as connection:
            row = (NOW_MS, "POSITION_VERIFIED", "info", "other", None, None, "{}")
            (lower,) = await statements_for(database.dialect).event.run(connection, [row])
            committing = asyncio.create_task(store.commit(owner, changes(events=(event(),))))
            done, _ = await asyncio.wait([committing], timeout=0.3)
            assert not done
            assert await store.events() == []
        (higher,) = (await committing).event_ids
    finally:
        await database.dispose()
    assert [entry.event_id for entry in await store.events()] == [lower, higher]


async def test_a_cancelled_commit_is_whole_or_nothing(sql_backend: SqlBackend) -> None:
    store = await sql_backend.store()
    owner = await store.claim("main", "alpha", 60)
    for delay in range(12):
        key = LONG._replace(symbol=f"C{delay}/USDT:USDT")
        opens, events = (new_position(key),), (event(key=key, data={"position_id": None}),)
        committing = asyncio.create_task(store.commit(owner, changes(opens=opens, events=events)))
        for _ in range(delay * 3):
            await asyncio.sleep(0)
        committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)
    named = [entry.position_id for entry in await store.events()]
    assert named == [position.position_id for position in await store.positions()]
    await store.commit(owner, changes(events=(event(),)))


WRITER = """
import asyncio, sys
from tests.contract.store.values import LONG, NOW_MS, changes, close, effect, event, fetched, new_position, order, trade
from trueup.store import open_store

async def main(url):
    store = open_store(url)
    await store.open()
    owner = await store.claim("main", "writer", 3600)
    for nth in range(1_000_000):
        key = LONG._replace(symbol=f"C{nth}/USDT:USDT")
        told = {"position_id": None}
        committed = await store.commit(owner, changes(
            opens=(new_position(key),), trades=(trade(key=key),), events=(event(key=key, data=told),) * 3))
        position = await fetched(store, committed.position_ids[0])
        await store.commit(owner, changes(
            closes=(close(position),), orders=(order(symbol=key.symbol, position_id=position.position_id, is_exit=True),),
            effects=(effect(f"cancel:{nth}", position_id=position.position_id),),
            events=(event(position_id=position.position_id, data=told),) * 2))
        print(nth, flush=True)

asyncio.run(main(sys.argv[1]))
"""


async def test_a_killed_writer_leaves_whole_transactions(sql_backend: SqlBackend) -> None:
    store = await sql_backend.store()
    for kill_after in (1, 4, 7):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, sql_backend.url, stdout=asyncio.subprocess.PIPE, cwd=os.getcwd()
        )
        assert process.stdout is not None
        told = -1
        while told < kill_after:
            told = int(await process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        closed = await store.positions(status="closed")
        active = await store.positions()
        assert len(closed) >= told + 1
        assert len(active) <= 1
        for position in closed:
            assert len(await store.events(position_id=position.position_id)) == 5
            assert [known.is_exit for known in await store.orders_of(position.position_id)] == [True]
            assert len(await store.trades_of(position.position_id)) == 1
        for position in active:
            assert len(await store.events(position_id=position.position_id)) == 3
        assert sorted(effect.position_id or 0 for effect in await store.effects()) == [p.position_id for p in closed]
        # The dead writer's lease stands; its own name takes the account again, and the book goes on.
        owner = await store.claim("main", "writer", 0)
        ended = tuple(close(position) for position in active)
        await store.commit(owner, changes(closes=ended, orders=(), events=()))
        await _forget(sql_backend)


async def _forget(backend: SqlBackend) -> None:
    for table in ("effects", "trades", "orders", "events", "positions"):
        await backend.sql(f"DELETE FROM {{s}}{table}")


async def test_a_broken_rule_writes_nothing_on_any_table(backend: Backend) -> None:
    store = await backend.store()
    owner = await store.claim("main", "alpha", 60)
    position = await opened(store, owner)
    broken = changes(
        opens=(new_position(LONG._replace(symbol="ETH/USDT:USDT")),),
        updates=(update(position, quantity=Decimal(5)),),
        events=(event(),),
        closes=(close(position, position_id=position.position_id + 1, amends=True),),
    )
    with pytest.raises((Conflict, InvariantBroken)):
        await store.commit(owner, broken)
    assert await store.positions(status="all") == [position]
    assert await store.events() == []
