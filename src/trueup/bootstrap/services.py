"""What every command does, wired to the real program: the implementation of the command line's `Services`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueup.bootstrap.explain import LARGEST_ID, explain_position
from trueup.bootstrap.garbage import OnceStarted
from trueup.bootstrap.status import account_statuses
from trueup.bootstrap.telemetry import telemetry
from trueup.bootstrap.wiring import Program, open_program
from trueup.cli.services import CloseOutcome, HoldOutcome, Say, Services, VenueOptions
from trueup.engine.runner import Act, Answer
from trueup.model.errors import ConfigurationError
from trueup.model.events import Event
from trueup.model.holds import Hold, HoldState
from trueup.model.positions import Position
from trueup.model.reports import AccountReport, AccountStatus, Check, Explanation, Replay, SyncReport

if TYPE_CHECKING:
    from trueup.config import Settings

__all__ = ["open_services"]


@asynccontextmanager
async def open_services(settings: Settings | None) -> AsyncIterator[Services]:
    """The program for one command; nothing is connected before the command asks for it."""
    yield _Services(settings)


class _Services:
    """Implements `trueup.cli.services.Services`."""

    def __init__(self, settings: Settings | None) -> None:
        self._maybe_settings = settings

    @property
    def _settings(self) -> Settings:
        if self._maybe_settings is None:
            raise ConfigurationError("this command needs a configuration: make one with trueup init")
        return self._maybe_settings

    def _program(self, accounts: Sequence[str] | None) -> _Opened:
        return _Opened(self._settings, accounts)

    async def sync(self, accounts: Sequence[str], *, dry_run: bool, progress: Say) -> SyncReport:
        """Accounts side by side; what goes wrong with one is in its report."""
        names = tuple(accounts) or self._settings.account_names
        async with self._program(names) as program:
            started = program.clock.now_ms()
            act = Act(kind="sync", dry_run=dry_run)
            reports = await asyncio.gather(*(_report_of(program, name, act, progress) for name in names))
            return SyncReport(started_at_ms=started, finished_at_ms=program.clock.now_ms(), accounts=tuple(reports))

    async def run(self, *, on_ready: Say) -> None:
        async with self._program(None) as program, telemetry(program) as url:
            paces = (runner.work.pace.interval_s for runner in program.runners.values())
            seconds = max(paces, default=program.timing.audit_interval_s)
            names = ", ".join(program.runners)
            where = f", {url}/metrics and /health" if url is not None else ""
            on_ready(f"running {names}: an audit every {seconds:g} s{where}; stop with ctrl-c, look with trueup status")
            await program.supervisor(OnceStarted(program.runners).looked).run()

    async def status(self) -> tuple[AccountStatus, ...]:
        async with self._program(()) as program:
            return await account_statuses(program.settings, program.store)

    async def positions(self, status: str, account: str | None) -> list[Position]:
        async with self._program(()) as program:
            return await program.store.positions(status=status, account=account)

    async def events(
        self,
        *,
        account: str | None,
        position_id: int | None,
        type: str | None,  # noqa: A002 - the contract's word
        after_id: int,
        limit: int | None,
    ) -> list[Event]:
        if position_id is not None and position_id > LARGEST_ID:
            return []
        limit = None if limit is None else min(limit, LARGEST_ID)
        async with self._program(()) as program:
            return await program.store.events(
                account=account, position_id=position_id, type=type, after_id=after_id, limit=limit
            )

    async def explain(self, position_id: int) -> Explanation:
        async with self._program(()) as program:
            return await explain_position(program.store, position_id)

    async def replay(self, since_ms: int) -> Replay:
        from trueup.bootstrap.replay import replay

        async with self._program(()) as program:
            return await replay(program.store, since_ms)

    async def holds(self, all: bool) -> list[Hold]:  # noqa: A002 - the command's own word
        async with self._program(()) as program:
            return await program.store.holds(states=() if all else (HoldState.OPEN, HoldState.APPROVED))

    async def approve(self, hold_id: int, progress: Say) -> HoldOutcome:
        """Looks again first: what is seen again leaves the hold."""
        return await self._decide(hold_id, "approve", None, progress)

    async def reject(self, hold_id: int, note: str | None) -> HoldOutcome:
        return await self._decide(hold_id, "reject", note, lambda _: None)

    async def _decide(self, hold_id: int, kind: str, note: str | None, progress: Say) -> HoldOutcome:
        hold = await self._waiting_hold(hold_id)
        async with self._program((hold.account,)) as program:
            runner = program.runners[hold.account]
            began = program.clock.now_ms()
            answer = await runner.act(Act(kind=kind, hold_id=hold_id, note=note), progress)
            after = next(found for found in await program.store.holds(account=hold.account) if found.hold_id == hold_id)
            return _outcome(hold, after.state, answer, (began, program.clock.now_ms()))

    async def _waiting_hold(self, hold_id: int) -> Hold:
        hold = next((found for found in await self.holds(all=False) if found.hold_id == hold_id), None)
        if hold is None:
            raise ConfigurationError(f"hold {hold_id}: none waits under that number; list them with: trueup holds")
        self._settings.account(hold.account)
        return hold

    async def close(
        self, account: str, symbol: str, *, side: str | None, note: str | None, progress: Say
    ) -> CloseOutcome:
        from trueup.bootstrap.closing import close_one

        async with self._program((account,)) as program:
            return await close_one(program, account, symbol, side=side, note=note, progress=progress)

    async def close_all(self, account: str, *, note: str | None, progress: Say) -> CloseOutcome:
        from trueup.bootstrap.closing import close_every

        async with self._program((account,)) as program:
            return await close_every(program, account, note=note, progress=progress)

    async def pause(self, account: str) -> None:
        await self._set_paused(account, paused=True)

    async def resume(self, account: str) -> None:
        await self._set_paused(account, paused=False)

    async def _set_paused(self, account: str, *, paused: bool) -> None:
        async with self._program(()) as program:
            await program.store.set_paused(account, paused, program.clock.now_ms())

    async def doctor(self) -> tuple[Check, ...]:
        from trueup.bootstrap.doctor import examine

        return await examine(self._settings)

    async def pin_reset(self, account: str) -> str:
        async with self._program((account,)) as program:
            answer = await program.runners[account].act(Act(kind="pin"), lambda _: None)
            return f"account {account} is now pinned to venue account {answer.text}"

    async def db_upgrade(self, accounts: Sequence[str], *, keep_newest: bool) -> str:
        from trueup.store import upgrade

        venues = {self._settings.account(name).venue: name for name in accounts}
        only = accounts[0] if len(accounts) == 1 else None
        report = await upgrade(
            self._settings.store_url().reveal(),
            legacy_account=only,
            legacy_accounts=venues if only is None else None,
            legacy_exchange=self._settings.account(only).venue if only is not None else None,
            keep_newest=keep_newest,
        )
        return str(report)

    async def db_backup(self, path: Path) -> str:
        from trueup.store import backup

        return str(await backup(self._settings.store_url().reveal(), path))

    async def demo(self, keep: bool, say: Say) -> None:
        from trueup.bootstrap.demo import run_demo

        await run_demo(keep=keep, say=say)

    async def venue_serve(self, options: VenueOptions, say: Say) -> None:
        from trueup.bootstrap.serve import serve_venue

        await serve_venue(options, say)

    async def venue_control(self, url: str, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        from trueup.sim.control import ask

        return await ask(url, method, path, body)


class _Opened:
    """`open_program` as an async context manager that a method can return."""

    def __init__(self, settings: Settings, accounts: Sequence[str] | None) -> None:
        self._opening = open_program(settings, accounts)

    async def __aenter__(self) -> Program:
        return await self._opening.__aenter__()

    async def __aexit__(self, *details: object) -> None:
        await self._opening.__aexit__(*details)  # type: ignore[arg-type]


async def _report_of(program: Program, account: str, act: Act, progress: Say) -> AccountReport:
    """One account's part. An error here is that account's failure; another account's report is not lost by it."""
    runner = program.runners[account]
    plan = runner.work.plan
    answer = await runner.act(act, progress)
    if answer.report is None:
        text = answer.text or "the owner of the account gave no report"
        return AccountReport(
            account=account, venue=plan.venue, mode=plan.mode, observed=False, error=text, failure=True
        )
    return answer.report


def _outcome(hold: Hold, state: HoldState, answer: Answer, times: tuple[int, int]) -> HoldOutcome:
    report = answer.report
    done = state in (HoldState.DONE, HoldState.REJECTED, HoldState.WITHDRAWN)
    if state is HoldState.REJECTED:
        message = "rejected: it is not raised again until its positions are seen or the evidence changes"
    elif report is not None and not report.observed:
        message = (
            f"approved, but the fresh look failed ({report.error}); nothing was changed, the next pass carries it out"
        )
    elif not done:
        message = "approved, but not carried out yet; the next pass tries again"
    else:
        message = _carried_out(hold, report)
    total = None
    if report is not None:
        total = SyncReport(started_at_ms=times[0], finished_at_ms=times[1], accounts=(report,))
    return HoldOutcome(hold_id=hold.hold_id, state=state, done=done, message=message, report=total)


def _carried_out(hold: Hold, report: AccountReport | None) -> str:
    if report is None:
        return "carried out"
    keys = set(hold.keys)
    closed = sum(1 for position in report.closed_phantom if (position.symbol, position.side) in keys)
    added = sum(1 for position in report.added_missing if (position.symbol, position.side) in keys)
    seen = sum(1 for position in report.verified if (position.symbol, position.side) in keys)
    parts = [f"{closed} closed"] if closed else []
    parts += [f"{added} added"] if added else []
    parts += [f"{seen} seen again on the venue and left as they are"] if seen else []
    return "carried out: " + (", ".join(parts) if parts else "nothing was left to do")
