"""The daemon's loops on one account's stream: decide on what it says, and carry out what follows, beside the audits.

What cannot be decided, and whatever goes wrong here, is left to a look: nothing is lost by it but time.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from trueup.engine.listening import Outcome
from trueup.model.errors import TrueupError
from trueup.model.positions import AccountMode

if TYPE_CHECKING:
    from trueup.engine.attention import Attention
    from trueup.engine.manager import PositionManager
    from trueup.engine.runner import Runner
    from trueup.engine.settings import Timing
    from trueup.ports import Clock, Owner

__all__ = ["Ears"]

_log = structlog.get_logger("trueup.streams")


class Ears:
    """One account's, while it is owned."""

    def __init__(
        self, runner: Runner, manager: PositionManager, attention: Attention, timing: Timing, clock: Clock
    ) -> None:
        self._runner, self._manager, self._attention = runner, manager, attention
        self._timing, self._clock = timing, clock
        self._acts = asyncio.Event()

    async def listen(self, owner: Owner) -> None:
        """Decides on what the stream says, as it says it, until cancelled."""
        hearing = self._attention.hearing
        while True:
            await self._attention.hear()
            while hearing.news:
                for symbol, news in list(hearing.news.items()):
                    await self._one(owner, symbol, *news)
                if hearing.news:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._timing.settle_s):
                            await self._attention.hear()

    async def _one(self, owner: Owner, symbol: str, first_s: float, count: int) -> None:
        outcome = await self._decided(owner, symbol, self._clock.monotonic_s() - first_s)
        if outcome is Outcome.WAITS:
            return
        self._attention.hearing.settle(symbol, count)
        if outcome is Outcome.LEFT or self._wants_cover(symbol):
            self._attention.ask()
        if outcome is Outcome.DECIDED:
            self._acts.set()

    def _wants_cover(self, symbol: str) -> bool:
        """Whether a position of the symbol is open whose stop may have to follow what was decided: looks keep stops."""
        account = self._runner.account
        open_now = any(key.symbol == symbol for key in self._manager.positions_of(account))
        return open_now and self._runner.work.plan.mode is AccountMode.PROTECT

    async def _decided(self, owner: Owner, symbol: str, age_s: float) -> Outcome:
        """The loop's single handler."""
        account = self._runner.account
        try:
            settled = age_s >= self._timing.settle_s
            listener = self._runner.work.listener
            outcome = await listener.decide(owner, self._attention.hearing, symbol, settled=settled)
            if outcome is Outcome.DECIDED:
                await self._manager.reload(account)
        except TrueupError as error:
            _log.warning("stream.undecided", account=account, symbol=symbol, problem=str(error))
            return Outcome.LEFT
        except Exception:
            _log.exception("stream.unexpected_failure", account=account, symbol=symbol)
            return Outcome.LEFT
        return Outcome.LEFT if outcome is Outcome.WAITS and age_s >= self._timing.unproven_s else outcome

    async def act(self, owner: Owner) -> None:
        """Carries out what a decision asks for, until cancelled; what fails is tried again by the passes."""
        while True:
            await self._acts.wait()
            self._acts.clear()
            try:
                await self._runner.work.carry_out(owner)
            except TrueupError as error:
                _log.warning("effects.failed", account=self._runner.account, problem=str(error))
            except Exception:
                _log.exception("effects.unexpected_failure", account=self._runner.account)
