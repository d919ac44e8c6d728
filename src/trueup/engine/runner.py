"""Runs a pass, or a person's act, under the account's lease: here, or by handing it to the process that owns the account.

1. Two processes never act on one account: what a running owner holds is handed to it through the store, and its answer awaited.
2. An owner that was killed is outwaited: its lease runs out, then the work is done here, unless its answer is there already.
3. A request is carried out by the same code that a command runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import structlog

from trueup.engine.lease import Leases
from trueup.engine.work import AccountWork, PassOptions
from trueup.model.errors import ConfigurationError, NotOwner, TrueupError
from trueup.model.holds import Hold, HoldKind, HoldState
from trueup.model.positions import PositionKey
from trueup.model.reports import AccountReport
from trueup.model.values import Value, from_json, to_json

if TYPE_CHECKING:
    from trueup.engine.settings import Timing
    from trueup.ports import Clock, Owner, Request, Store

__all__ = ["Act", "ActKind", "Answer", "Runner"]

_log = structlog.get_logger("trueup.engine")

_POLL_S = 0.2

ActKind = str
"""``sync``, ``approve``, ``reject``, ``pin``, ``close``, ``close_all`` or ``set_stop``."""


class Act(Value, frozen=True, kw_only=True):
    """What is asked of an account's owner."""

    kind: ActKind
    dry_run: bool = False
    hold_id: int | None = None
    note: str | None = None
    key: PositionKey | None = None
    price: Decimal | None = None


class Answer(Value, frozen=True, kw_only=True):
    """What became of it. `refused`: the text of an error that was the asker's to mend. `text`: for a person."""

    report: AccountReport | None = None
    text: str | None = None
    refused: str | None = None


class Runner:
    """One account's acts, wherever they are carried out."""

    def __init__(self, work: AccountWork, timing: Timing, store: Store, clock: Clock, holder: str) -> None:
        self.work = work
        self._timing = timing
        self._store = store
        self._clock = clock
        self._leases = Leases(store, clock, holder, timing.lease_s)
        self._acting = asyncio.Lock()

    @property
    def account(self) -> str:
        return self.work.plan.name

    async def act(self, act: Act, progress: Callable[[str], None]) -> Answer:
        """Carries it out and returns what became of it; tasks of one process one after the other.

        Raises:
            ConfigurationError: The asker named something that is not there.
            NotOwner: Neither the lease nor an answer of its holder came in time.
        """
        async with self._acting:
            return await self._act(act, progress)

    async def _act(self, act: Act, progress: Callable[[str], None]) -> Answer:
        request_id: int | None = None
        patience = max(4 * self._timing.lease_s, 60.0)
        waited = 0.0
        while True:
            try:
                async with self._leases.holding(self.account) as owner:
                    if request_id is not None:
                        answered = await self._answer_to(request_id)
                        if answered is not None:
                            return answered
                        await self._store.answer(
                            request_id, to_json(Answer(text="taken over by the asker")), self._clock.now_ms()
                        )
                    return await self.carry_out(owner, act, progress)
            except NotOwner as held:
                if request_id is None:
                    request_id = await self._store.ask(self.account, act.kind, to_json(act), self._clock.now_ms())
                    progress(f"{self.account}: a running trueup owns it; asked it to do this")
                answer = await self._answer_to(request_id)
                if answer is not None:
                    return answer
                taken = await self._store.request(request_id)
                if waited >= patience and (taken is None or taken.state == "open"):
                    raise NotOwner(f"{held}; it did not take the request within {waited:.0f} s") from held
            await self._clock.sleep(_POLL_S)
            waited += _POLL_S

    async def _answer_to(self, request_id: int) -> Answer | None:
        request = await self._store.request(request_id)
        if request is None or request.state != "done" or request.result is None:
            return None
        answer = from_json(request.result, Answer)
        if answer.refused is not None:
            raise ConfigurationError(answer.refused)
        return answer

    async def carry_out(self, owner: Owner, act: Act, progress: Callable[[str], None]) -> Answer:
        """Under a lease that is held already."""
        if act.kind == "sync":
            return Answer(report=await self.work.run_pass(owner, PassOptions(dry_run=act.dry_run), progress))
        if act.kind == "pin":
            return Answer(text=await self.work.reset_pin(owner))
        if act.kind == "close_all" or (act.kind == "close" and act.key is not None):
            key = act.key if act.kind == "close" else None
            return Answer(report=await self.work.close(owner, key, act.note or "", progress))
        if act.kind == "set_stop" and act.key is not None and act.price is not None:
            await self.work.set_stop(owner, act.key, act.price)
            return Answer(report=await self.work.run_pass(owner, PassOptions(), progress))
        if act.hold_id is None:
            raise ConfigurationError(f"request {act.kind!r}: it names no hold")
        hold = await self.work.open_hold(act.hold_id)
        if act.kind == "reject":
            await self.work.decide_hold(owner, hold, HoldState.REJECTED, act.note)
            return Answer(text="rejected")
        return await self._approve(owner, hold, progress)

    async def _approve(self, owner: Owner, hold: Hold, progress: Callable[[str], None]) -> Answer:
        if hold.kind is HoldKind.IDENTITY:
            fingerprint = await self.work.reset_pin(owner)
            await self.work.decide_hold(owner, hold, HoldState.DONE, None)
            return Answer(text=f"pinned {fingerprint}")
        await self.work.decide_hold(owner, hold, HoldState.APPROVED, None)
        report = await self.work.run_pass(owner, PassOptions(), progress)
        return Answer(report=report, text="approved")

    async def serve(self, owner: Owner, request: Request) -> None:
        """Carries out another process's request and answers it; what goes wrong is the answer."""
        try:
            answer = await self.carry_out(owner, from_json(request.payload, Act), lambda _: None)
        except NotOwner:
            raise
        except (TrueupError, msgspec.ValidationError) as error:
            answer = Answer(refused=str(error))
        _log.info("request.served", account=self.account, kind=request.kind, refused=answer.refused)
        await self._store.answer(request.request_id, to_json(answer), self._clock.now_ms())
