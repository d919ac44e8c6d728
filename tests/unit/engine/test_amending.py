"""The looks at a close that may get better: each when its time has come, and the book says when that is."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest
from telling_parts import START_MS, HandClock, open_desk

from tests.unit.core.core_cases import BUY, SELL, case, fill, history
from trueup.core.amend import Amendment, amended
from trueup.core.cases import Case
from trueup.engine.amending import Amender
from trueup.model.changes import ChangeSet
from trueup.model.effects import AmendClose, Effect, EffectKind, EffectState, NewEffect
from trueup.model.errors import Unobserved
from trueup.model.orders import Side
from trueup.model.positions import Evidence
from trueup.model.times import time_text
from trueup.model.values import to_json
from trueup.store.memory import MemoryDatabase, MemoryStore

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


class Looks:
    """An account with one close on a trade's word, and the looks that were made at it."""

    def __init__(self, store: MemoryStore, owner: Any, clock: HandClock, amender: Amender) -> None:
        self.store, self.owner, self.clock, self.amender = store, owner, clock, amender
        self.at_ms: list[int] = []
        self.answers = True

    async def effect(self) -> Effect:
        [effect] = await self.store.effects(account="main", kind=EffectKind.AMEND_CLOSE)
        return effect

    async def found(self, _: object) -> tuple[None, str]:
        self.at_ms.append(self.clock.at_ms - START_MS)
        if not self.answers:
            raise Unobserved("fills", "no answer")
        return None, "nothing better"


async def _looks(monkeypatch: pytest.MonkeyPatch, grade: Evidence, *, soon: bool = True) -> Looks:
    clock = HandClock()
    database = MemoryDatabase(clock.now_ms)
    store = MemoryStore(database)
    desk = await open_desk()
    row_id = database.insert_row(
        {
            "account": "main",
            "exchange": "bybit",
            "symbol": "BTC/USDT:USDT",
            "side": "long",
            "quantity": "1",
            "entry_price": "100",
            "status": "closed",
            "created_at": time_text(START_MS),
            "closed_at": time_text(START_MS),
            "exit_reason": "external",
        }
    )
    owner = await store.claim("main", "test", 1e9)
    amend = AmendClose(symbol="BTC/USDT:USDT", side=Side.LONG, position_id=row_id, grade=grade.value, soon=soon)
    effect = NewEffect(
        account="main",
        kind=EffectKind.AMEND_CLOSE,
        dedup_key="amend:1",
        payload=to_json(amend),
        position_id=row_id,
        created_at_ms=START_MS,
    )
    await store.commit(owner, ChangeSet(account="main", now_ms=START_MS, effects=(effect,)))
    looks = Looks(store, owner, clock, Amender(desk.plan, cast("Any", None), store, clock))
    monkeypatch.setattr(looks.amender, "_found", looks.found)
    return looks


async def test_the_book_says_when_the_next_look_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by the simulation: a look six hours after the close left the next one, after a day, overdue at once."""
    looks = await _looks(monkeypatch, Evidence.ORDER)
    looks.clock.at_ms += MINUTE_MS
    for number in range(1, 6):
        await looks.amender.run_pass(looks.owner)
        effect = await looks.effect()
        assert effect.attempts == number
        looks.clock.at_ms = effect.next_attempt_at_ms
    assert effect.state is EffectState.DONE
    assert looks.at_ms == [MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS]


async def test_what_lacks_but_late_funding_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = await _looks(monkeypatch, Evidence.FILLS, soon=False)
    for looks.clock.at_ms in (START_MS + 179_999, START_MS + 180_000):
        await looks.amender.run_pass(looks.owner)
    assert (looks.at_ms, (await looks.effect()).state) == ([180_000], EffectState.DONE)


async def test_a_look_that_failed_is_made_again_soon_and_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = await _looks(monkeypatch, Evidence.FILLS)
    looks.answers = False
    looks.clock.at_ms += 2_000
    await looks.amender.run_pass(looks.owner)
    effect = await looks.effect()
    assert (effect.attempts, effect.next_attempt_at_ms) == (0, looks.clock.at_ms + 30_000)


@pytest.mark.parametrize(("read_until", "state"), [(119_999, EffectState.PENDING), (120_000, EffectState.DONE)])
async def test_a_record_whose_funding_is_not_final_is_looked_at_again_though_it_was_amended(
    monkeypatch: pytest.MonkeyPatch, read_until: int, state: EffectState
) -> None:
    looks = await _looks(monkeypatch, Evidence.FILLS)
    record = await looks.store.record_of((await looks.effect()).position_id or 0)
    assert record is not None
    bought = fill(BUY, "1", "100", START_MS - 5_000, order="open")
    past = history([bought, fill(SELL, "1", "110", START_MS, order="exit")])
    assert past.funding is not None
    past = msgspec.structs.replace(past, funding=msgspec.structs.replace(past.funding, until_ms=START_MS + read_until))
    about = case(record.row, None, past, as_of=START_MS + HOUR_MS)

    async def found(_: object) -> tuple[Case, Amendment | str]:
        better = amended(about)
        assert isinstance(better, Amendment), better
        return about, better

    monkeypatch.setattr(looks.amender, "_found", found)
    looks.clock.at_ms += 2_000
    await looks.amender.run_pass(looks.owner)
    effect = await looks.effect()
    assert (effect.state, effect.attempts) == (state, 1)
    assert effect.next_attempt_at_ms == START_MS + 30_000
