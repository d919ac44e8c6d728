"""How many statements a call costs: counted, because time on a shared machine says little."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from tests.contract.store.backends import SqlBackend
from tests.contract.store.values import (
    changes,
    close,
    details,
    effect,
    event,
    new_position,
    observation,
    order,
    trade,
    update,
)
from trueup.model.orders import Side
from trueup.model.positions import PositionKey
from trueup.ports import Owner, Store
from trueup.store import embedded


class Counter:
    """Statements sent while it listens: to PostgreSQL by any engine, to SQLite over any connection."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, sent: sa.Connection, _cursor: object, text: str, _p: object, _x: object, _many: object) -> None:
        if sent.dialect.name != "sqlite":
            self.texts.append(text)

    async def of(self, work: Callable[[], Awaitable[object]]) -> int:
        self.texts.clear()
        await work()
        return len(self.texts)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    counter = Counter()
    plain = embedded.Connection.run

    async def counted(self: embedded.Connection, method: Any, text: str, parameters: Any) -> Any:
        counter.texts.append(text)
        return await plain(self, method, text, parameters)

    monkeypatch.setattr(embedded.Connection, "run", counted)
    sa.event.listen(sa.Engine, "before_cursor_execute", counter)
    yield counter
    sa.event.remove(sa.Engine, "before_cursor_execute", counter)


async def _book(store: Store, owner: Owner, count: int) -> None:
    keys = [PositionKey("main", f"C{count}-{nth}/USDT:USDT", Side.LONG) for nth in range(count)]
    await store.commit(owner, changes(opens=tuple(new_position(key) for key in keys)))


async def _everything(store: Store, owner: Owner) -> Callable[[], Awaitable[object]]:
    """A commit of every kind over the whole book: one half updated, the other closed with all that belongs to it."""
    book = (await store.active("main")).positions
    half = len(book) // 2
    ended = book[half:]
    change = changes(
        updates=tuple(update(position, current_price=details().exit_price) for position in book[:half]),
        closes=tuple(close(position) for position in ended),
        orders=tuple(order(position_id=p.position_id, order_id=f"o{p.position_id}") for p in ended),
        trades=tuple(trade(position_id=p.position_id) for p in ended),
        events=tuple(event(position_id=p.position_id) for p in book),
        effects=tuple(effect(f"cancel:{p.position_id}", position_id=p.position_id) for p in ended),
        observations=tuple(observation(position_id=p.position_id) for p in ended),
    )
    return lambda: store.commit(owner, change)


async def test_a_commit_costs_the_same_for_two_positions_and_for_two_thousand(
    sql_backend: SqlBackend, counter: Counter
) -> None:
    store = await sql_backend.store()
    owner = await store.claim("main", "test", 60)
    costs = []
    for count in (2, 2_000):
        await _book(store, owner, count)
        costs.append(await counter.of(await _everything(store, owner)))
    assert costs[0] == costs[1]
    # fence, close, update, orders, trades, effects, observations, events; SQLite also counts its ids.
    assert costs[0] <= (12 if "sqlite" in sql_backend.url else 8)


async def test_reading_the_book_is_one_statement(sql_backend: SqlBackend, counter: Counter) -> None:
    store = await sql_backend.store()
    owner = await store.claim("main", "test", 60)
    await _book(store, owner, 50)
    assert await counter.of(lambda: store.active("main")) == 1
    assert await counter.of(lambda: store.recorded_orders("main")) == 1
    assert await counter.of(lambda: store.marks("main")) == 1


async def test_opening_a_store_that_is_up_to_date_costs_little(sql_backend: SqlBackend, counter: Counter) -> None:
    assert await counter.of(sql_backend.store) <= (2 if "postgresql" in sql_backend.url else 6)
