"""Where trailing stops stand survives every store: written with a decision, read of what is open, ended with its lifecycle."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.contract.store.backends import Backend
from tests.contract.store.values import LONG, NOW_MS, SHORT, changes, close, fetched, opened
from trueup.model.errors import InvariantBroken, TrueupError
from trueup.model.trailing import TrailingPhase, TrailingRecord, TrailingState
from trueup.ports import Owner, Store


def record(position_id: int, **fields: object) -> TrailingRecord:
    values: dict[str, object] = {
        "phase": TrailingPhase.ACTIVE,
        "peak_price": Decimal("51000.10"),
        "trigger_price": Decimal("50745.0"),
        "moved_at_ms": NOW_MS - 10,
    }
    state = TrailingState(**{**values, **fields})  # type: ignore[arg-type]
    return TrailingRecord(position_id=position_id, state=state, saved_at_ms=NOW_MS)


async def test_it_comes_back_digit_for_digit_also_to_another_process(
    backend: Backend, store: Store, owner: Owner
) -> None:
    long, short = await opened(store, owner), await opened(store, owner, SHORT)
    empty = record(
        short.position_id, phase=TrailingPhase.WAITING, peak_price=None, trigger_price=None, moved_at_ms=None
    )
    await store.commit(owner, changes(trailing=(record(long.position_id), empty)))
    for reader in (store, await backend.store()):
        found = await reader.trailing("main")
        assert found == [record(long.position_id), empty]
        assert str(found[0].state.peak_price) == "51000.10"
        assert await reader.trailing("other") == []


async def test_a_later_one_replaces_it(store: Store, owner: Owner) -> None:
    row = await opened(store, owner)
    await store.commit(owner, changes(trailing=(record(row.position_id),)))
    later = record(row.position_id, phase=TrailingPhase.TRIGGERED, peak_price=Decimal("52000"))
    await store.commit(owner, changes(trailing=(later,)))
    assert await store.trailing("main") == [later]


async def test_it_ends_with_its_lifecycle_and_is_not_the_next_ones(store: Store, owner: Owner) -> None:
    row = await opened(store, owner)
    await store.commit(owner, changes(trailing=(record(row.position_id),)))
    await store.commit(owner, changes(closes=(close(await fetched(store, row.position_id)),)))
    assert await store.trailing("main") == []
    again = await opened(store, owner)
    assert again.key == LONG
    assert await store.trailing("main") == []


async def test_it_is_refused_of_a_row_that_is_not_there_and_twice_of_one(store: Store, owner: Owner) -> None:
    row = await opened(store, owner)
    with pytest.raises(TrueupError):
        await store.commit(owner, changes(trailing=(record(row.position_id + 7),)))
    with pytest.raises(InvariantBroken, match="twice"):
        await store.commit(owner, changes(trailing=(record(row.position_id), record(row.position_id))))
    assert await store.trailing("main") == []


async def test_it_is_part_of_its_transaction(store: Store, owner: Owner) -> None:
    row = await opened(store, owner)
    stale = close(row, version=row.version + 5)
    with pytest.raises(TrueupError):
        await store.commit(owner, changes(trailing=(record(row.position_id),), closes=(stale,)))
    assert await store.trailing("main") == []
