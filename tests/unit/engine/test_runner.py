"""An act that the process which owns the account is asked to carry out (numbers: invariants of engine/runner.py)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from telling_parts import TIMING, Desk, HandClock, open_desk

from trueup.engine.runner import Act, Answer, Runner
from trueup.model.errors import ConfigurationError
from trueup.model.orders import Side
from trueup.model.positions import PositionKey
from trueup.model.values import to_json
from trueup.ports import Owner

CLOSE = Act(kind="close", key=PositionKey("main", "BTC/USDT:USDT", Side.LONG))


@dataclass
class Work:
    """Remembers who closed."""

    desk: Desk
    closed_by: list[str] = field(default_factory=list)

    @property
    def plan(self) -> Any:
        return self.desk.plan

    async def close(self, owner: Owner, *_: object) -> None:
        self.closed_by.append(owner.holder)


class OwnerAnswers(HandClock):
    """Between two polls of the asker the account's owner ends, and answers before it does, if it has an answer."""

    def __init__(self, desk: Desk, answer: Answer | None) -> None:
        super().__init__()
        self._desk, self._answer = desk, answer

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        for request in await self._desk.store.take_requests(self._desk.owner):
            if self._answer is not None:
                await self._desk.store.answer(request.request_id, to_json(self._answer), self.now_ms())
            await self._desk.store.release(self._desk.owner)


async def asked(answer: Answer | None) -> tuple[Answer, Work]:
    """What a command is told, and what it did itself."""
    desk = await open_desk()
    work = Work(desk)
    clock = OwnerAnswers(desk, answer)
    runner = Runner(cast("Any", work), TIMING, desk.store, clock, "command")
    return await runner.act(CLOSE, lambda _: None), work


async def test_1_what_its_owner_answered_before_it_ended_is_not_carried_out_again() -> None:
    told, work = await asked(Answer(text="closed"))
    assert told.text == "closed"
    assert work.closed_by == []


async def test_1_what_its_owner_refused_before_it_ended_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no such position"):
        await asked(Answer(refused="no such position"))


async def test_2_what_its_owner_left_is_carried_out_once_it_has_ended() -> None:
    _, work = await asked(None)
    assert work.closed_by == ["command"]
