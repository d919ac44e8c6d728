"""The daemon's `/metrics` and `/health`, wired: counted in the engine, read from the store when somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from trueup.bootstrap.status import account_statuses
from trueup.model.errors import StoreUnavailable
from trueup.model.times import time_text
from trueup.model.values import to_json

if TYPE_CHECKING:
    from trueup.bootstrap.wiring import Program
    from trueup.listener import Answer
    from trueup.metrics import Metrics, PaceNow

__all__ = ["telemetry"]

_log = structlog.get_logger("trueup.http")

_FRESH_S = 2.0


@asynccontextmanager
async def telemetry(program: Program) -> AsyncIterator[str | None]:
    """Listens for the time of the block, where the configuration says so; yields the base URL.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    listen = program.settings.http.listen
    if listen is None:
        yield None
        return
    from prometheus_client import disable_created_metrics  # late: other commands need none of these

    from trueup.listener import listening
    from trueup.metrics import Metrics

    disable_created_metrics()  # type: ignore[no-untyped-call]
    interval_s = program.timing.audit_interval_s
    metrics = Metrics(dict.fromkeys(program.runners, interval_s), program.clock)
    for runner in program.runners.values():
        runner.work.meter = runner.work.listener.meter = metrics
    answers = _Answers(program, metrics)
    async with listening(listen.host, listen.port, metrics=answers.metrics, health=answers.health) as url:
        _log.info("http.listening", url=url)
        yield url


def _paces(program: Program) -> dict[str, PaceNow]:
    from trueup.metrics import PaceNow

    found = {}
    for name, runner in program.runners.items():
        pace, budget = runner.work.pace, runner.work.pace.budget
        found[name] = PaceNow(
            interval_s=pace.interval_s,
            used_ratio=budget.used / budget.limit if budget is not None else 0.0,
            stopped_s=budget.rest_s if budget is not None else 0.0,
        )
    return found


class _Answers:
    def __init__(self, program: Program, metrics: Metrics) -> None:
        self._program = program
        self._metrics = metrics
        self._reading = asyncio.Lock()
        self._read_at_s = float("-inf")

    async def metrics(self) -> Answer:
        """Several askers within a moment are answered from one reading of the store."""
        program = self._program
        self._metrics.paced(_paces(program))
        async with self._reading:
            now = program.clock.monotonic_s()
            if now - self._read_at_s >= _FRESH_S:
                await self._read()
                self._read_at_s = now
        self._metrics.streams({name: runner.work.streams for name, runner in program.runners.items()})
        self._metrics.trailing({name: manager.health for name, manager in program.manager.trailing_managers.items()})
        return 200, self._metrics.text()

    async def _read(self) -> None:
        program = self._program
        try:
            statuses = await account_statuses(program.settings, program.store)
        except StoreUnavailable as error:
            self._metrics.store_answered(False)
            _log.warning("http.store_unavailable", problem=str(error))
            return
        self._metrics.store_answered(True)
        self._metrics.show(statuses, {name: program.opener.weight_used(name) for name in program.runners})

    async def health(self) -> Answer:
        """200 while every account was completely observed lately, else 503. The store is not asked."""
        program = self._program
        self._metrics.paced(_paces(program))
        found = self._metrics.health()
        healthy = all(account.healthy for account in found.values())
        told = {
            "healthy": healthy,
            "at": time_text(program.clock.now_ms()),
            "owner": program.holder,
            "accounts": {
                name: {
                    "healthy": account.healthy,
                    "observed_age_s": account.observed_age_s,
                    "allowed_age_s": account.allowed_age_s,
                    "streams": program.runners[name].work.streams,
                    "error": program.settings.redact(account.error) if account.error is not None else None,
                }
                for name, account in found.items()
            },
        }
        return (200 if healthy else 503), to_json(told).encode()
