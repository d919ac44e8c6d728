"""A `Services` that answers with the values that a test gives it, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import Result

from trueup.cli.services import CloseOutcome, HoldOutcome, Say, VenueOptions
from trueup.config import Settings
from trueup.model.errors import ConfigurationError
from trueup.model.events import Event
from trueup.model.holds import Hold, HoldState
from trueup.model.positions import Position, PositionStatus
from trueup.model.reports import AccountStatus, Check, Explanation, Replay, SyncReport

Behaviour = Callable[..., Any]
Run = Callable[..., Result]


@dataclass
class FakeServices:
    """`fail` maps a method's name to the exception that it raises; `on` to a coroutine function that runs first."""

    report: SyncReport | None = None
    accounts: tuple[AccountStatus, ...] = ()
    book: list[Position] = field(default_factory=list)
    log: list[Event] = field(default_factory=list)
    explanations: dict[int, Explanation] = field(default_factory=dict)
    replayed: Replay = field(default_factory=lambda: Replay(decided=0, differences=()))
    raised: list[Hold] = field(default_factory=list)
    outcome: HoldOutcome | None = None
    close_outcome: CloseOutcome | None = None
    checks: tuple[Check, ...] = ()
    control_answer: Any = field(default_factory=dict)
    fail: dict[str, BaseException] = field(default_factory=dict)
    on: dict[str, Behaviour] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    opened_with: list[Settings | None] = field(default_factory=list)
    closed: int = 0

    @asynccontextmanager
    async def open(self, settings: Settings | None) -> AsyncIterator[FakeServices]:
        self.opened_with.append(settings)
        await self._asked("open", {})
        try:
            yield self
        finally:
            self.closed += 1

    async def _asked(self, name: str, arguments: dict[str, Any]) -> None:
        self.calls.append((name, arguments))
        if name in self.on:
            await self.on[name](**arguments)
        if name in self.fail:
            raise self.fail[name]

    def asked(self, name: str) -> dict[str, Any]:
        """The arguments of the only call of that method."""
        found = [arguments for called, arguments in self.calls if called == name]
        assert len(found) == 1, f"{name} was called {len(found)} times"
        return found[0]

    async def sync(self, accounts: Sequence[str], *, dry_run: bool, progress: Say) -> SyncReport:
        progress("reading positions")
        await self._asked("sync", {"accounts": list(accounts), "dry_run": dry_run})
        assert self.report is not None
        return self.report

    async def run(self, *, on_ready: Say) -> None:
        await self._asked("run", {"on_ready": on_ready})

    async def status(self) -> tuple[AccountStatus, ...]:
        await self._asked("status", {})
        return self.accounts

    async def positions(self, status: str, account: str | None) -> list[Position]:
        await self._asked("positions", {"status": status, "account": account})
        wanted = set(PositionStatus) if status == "all" else {PositionStatus(status)}
        return [p for p in self.book if p.status in wanted and account in (None, p.account)]

    async def events(
        self,
        *,
        account: str | None,
        position_id: int | None,
        type: str | None,  # noqa: A002 - the protocol's word
        after_id: int,
        limit: int | None,
    ) -> list[Event]:
        arguments = {
            "account": account,
            "position_id": position_id,
            "type": type,
            "after_id": after_id,
            "limit": limit,
        }
        await self._asked("events", arguments)
        found = [
            e
            for e in self.log
            if e.event_id > after_id
            and account in (None, e.account)
            and position_id in (None, e.position_id)
            and type in (None, e.type)
        ]
        return found if limit is None else found[-limit:]

    async def explain(self, position_id: int) -> Explanation:
        await self._asked("explain", {"position_id": position_id})
        if position_id not in self.explanations:
            raise ConfigurationError(f"the book has no position {position_id}")
        return self.explanations[position_id]

    async def replay(self, since_ms: int) -> Replay:
        await self._asked("replay", {"since_ms": since_ms})
        return self.replayed

    async def holds(self, all: bool) -> list[Hold]:  # noqa: A002 - the protocol's word
        await self._asked("holds", {"all": all})
        return [h for h in self.raised if all or h.state in (HoldState.OPEN, HoldState.APPROVED)]

    async def approve(self, hold_id: int, progress: Say) -> HoldOutcome:
        progress("looking again")
        await self._asked("approve", {"hold_id": hold_id})
        assert self.outcome is not None
        return self.outcome

    async def reject(self, hold_id: int, note: str | None) -> HoldOutcome:
        await self._asked("reject", {"hold_id": hold_id, "note": note})
        assert self.outcome is not None
        return self.outcome

    async def close(
        self, account: str, symbol: str, *, side: str | None, note: str | None, progress: Say
    ) -> CloseOutcome:
        progress("looking")
        await self._asked("close", {"account": account, "symbol": symbol, "side": side, "note": note})
        assert self.close_outcome is not None
        return self.close_outcome

    async def close_all(self, account: str, *, note: str | None, progress: Say) -> CloseOutcome:
        progress("looking")
        await self._asked("close_all", {"account": account, "note": note})
        assert self.close_outcome is not None
        return self.close_outcome

    async def pause(self, account: str) -> None:
        await self._asked("pause", {"account": account})

    async def resume(self, account: str) -> None:
        await self._asked("resume", {"account": account})

    async def doctor(self) -> tuple[Check, ...]:
        await self._asked("doctor", {})
        return self.checks

    async def pin_reset(self, account: str) -> str:
        await self._asked("pin_reset", {"account": account})
        return f"{account} now belongs to venue account 42"

    async def db_upgrade(self, accounts: Sequence[str], *, keep_newest: bool) -> str:
        await self._asked("db_upgrade", {"accounts": list(accounts), "keep_newest": keep_newest})
        return "the store is at version 1"

    async def db_backup(self, path: Path) -> str:
        await self._asked("db_backup", {"path": path})
        return f"wrote {path}"

    async def demo(self, keep: bool, say: Say) -> None:
        say("a position is opened")
        await self._asked("demo", {"keep": keep})

    async def venue_serve(self, options: VenueOptions, say: Say) -> None:
        say(f"listening on {options.host}")
        await self._asked("venue_serve", {"options": options})

    async def venue_control(self, url: str, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        await self._asked("venue_control", {"url": url, "method": method, "path": path, "body": body})
        return self.control_answer
