"""The looks at a close that may get better: each when its time has come, and the book says when that is."""

from __future__ import annotations

from typing import Any, cast

import pytest
from telling_parts import START_MS, HandClock, open_desk

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


async def _looks(monkeypatch: pytest.MonkeyPatch, grade: Evidence) -> Looks:
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
    amend = AmendClose(symbol="BTC/USDT:USDT", side=Side.LONG, position_id=row_id, grade=grade.value)
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


async def test_a_look_that_failed_is_made_again_soon_and_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = await _looks(monkeypatch, Evidence.FILLS)
    looks.answers = False
    looks.clock.at_ms += 2_000
    await looks.amender.run_pass(looks.owner)
    effect = await looks.effect()
    assert (effect.attempts, effect.next_attempt_at_ms) == (0, looks.clock.at_ms + 30_000)
