"""The daemon's loops: per account, hold the lease, audit, carry effects out, serve requests; none stops another.

1. An account's failure is logged, shown by `status` and tried again, soon at first and then less often; it ends neither its own
   loop nor another's. What runs beside its audits and fails begins again with them: nothing of an account stops unnoticed.
2. What a stream says is decided on at once where it proves something, and else asks for a look. A lost message costs latency,
   never truth.
3. Audits come as often as the request budget of their way out allows, spread over the accounts behind it (`Pace`).
4. A stop is clean at any instant: what was committed stands, what was not is decided again at the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from trueup.calls import counted
from trueup.engine.attention import Attention
from trueup.engine.bell import Bell
from trueup.engine.board import Board
from trueup.engine.ears import Ears
from trueup.engine.following import Follower
from trueup.engine.heart import Heart
from trueup.engine.lease import Leases
from trueup.engine.manager import PositionManager
from trueup.engine.native import NativeTrailing
from trueup.engine.runner import Runner
from trueup.engine.work import PassOptions
from trueup.model.changes import ChangeSet
from trueup.model.errors import NotOwner, StoreUnavailable, TrueupError
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.positions import Evidence

if TYPE_CHECKING:
    from trueup.engine.settings import Timing
    from trueup.model.reports import AccountReport
    from trueup.ports import Clock, Feed, Owner, PriceSource, Store

__all__ = ["Supervisor"]

_log = structlog.get_logger("trueup.engine")

_RETRY_S = 2.0
_HEARTBEAT_S = 60.0
_LEARN = 5
"""So many rows have their beginning read at a look: a bounded number of requests, however many positions there are."""


class Supervisor:
    """Runs every account until cancelled."""

    def __init__(
        self,
        manager: PositionManager,
        runners: tuple[Runner, ...],
        timing: Timing,
        store: Store,
        clock: Clock,
        holder: str,
        *,
        open_feed: Callable[[str], Feed | None] = lambda _: None,
        open_prices: Callable[[str], PriceSource | None] = lambda _: None,
        on_report: Callable[[AccountReport], None] = lambda _: None,
    ) -> None:
        self._manager = manager
        self._found: dict[str, tuple[bool, bool]] = {}
        self._runners = runners
        self._timing = timing
        self._store = store
        self._clock = clock
        self._leases = Leases(store, clock, holder, timing.lease_s)
        self._board = Board(store)
        self._bell = Bell((runner.account for runner in runners), store, clock)
        self._open_feed = open_feed
        self._followers = {runner.account: self._follower(runner, open_prices) for runner in runners}
        self._on_report = on_report
        self._heart = Heart(tuple(runner.work.plan for runner in runners), store, clock)

    def _follower(self, runner: Runner, open_prices: Callable[[str], PriceSource | None]) -> Follower:
        work, manager = runner.work, self._manager.trailing_managers[runner.account]
        return Follower(work.plan, self._timing, manager, work.venue, self._store, self._clock, open_prices)

    async def run(self) -> None:
        """Until cancelled; leases are given back on the way out."""
        for runner in self._runners:
            runner.work.board = self._board
        async with asyncio.TaskGroup() as group:
            group.create_task(self._board.run(self._clock), name="status")
            group.create_task(self._bell.run(), name="requests and notices")
            for runner in self._runners:
                group.create_task(self._keep(runner), name=f"account {runner.account}")

    async def _keep(self, runner: Runner) -> None:
        """Holds the account and works on it; whatever ends that, begins again. The loop's single handler."""
        while True:
            try:
                async with self._leases.holding(runner.account) as owner:
                    _log.info("account.owned", account=runner.account, epoch=owner.epoch)
                    await self._manager.reload(runner.account)
                    await self._manager.tell_loaded(owner)
                    await self._tell_owned(owner)
                    await self._beside(runner, owner)
            except* NotOwner as errors:
                _log.warning("account.not_owned", account=runner.account, problem=_words(errors))
            except* TrueupError as errors:
                _log.error("account.failed", account=runner.account, problem=_words(errors))
            except* Exception:
                _log.exception("account.unexpected_failure", account=runner.account)
            await self._clock.sleep(_RETRY_S)

    async def _tell_owned(self, owner: Owner) -> None:
        """The audit log's word of who writes the account's book from now on."""
        now = self._clock.now_ms()
        data: dict[str, object] = {"holder": owner.holder, "epoch": owner.epoch}
        event = NewEvent(
            type=EventType.OWNER_CHANGED, severity=Severity.INFO, account=owner.account, at_ms=now, data=data
        )
        await self._store.commit(owner, ChangeSet(account=owner.account, now_ms=now, events=(event,)))

    async def _beside(self, runner: Runner, owner: Owner) -> None:
        """Works on the account; beside it prices are followed, notices delivered and closes amended: none delays an audit.

        Raises:
            ExceptionGroup: What one of them failed with, which ended them all.
        """
        runner.work.tells_beside = runner.work.amends_beside = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._amend(runner, owner), name=f"amending {runner.account}")
                group.create_task(self._tell(runner, owner), name=f"notices {runner.account}")
                group.create_task(self._follow(runner, owner), name=f"trailing {runner.account}")
                await self._work(runner, owner)
        finally:
            runner.work.tells_beside = runner.work.amends_beside = False

    async def _follow(self, runner: Runner, owner: Owner) -> None:
        """Trailing stops, by trueup or by the venue, as the account's plan says."""
        work, manager = runner.work, self._manager.trailing_managers[runner.account]
        if manager.follows_prices:
            await self._followers[runner.account].run(owner)
        elif manager.leaves_it_to_the_venue:
            await NativeTrailing(work.plan, manager, work.venue, self._store, self._clock).run(owner)

    async def _amend(self, runner: Runner, owner: Owner) -> None:
        """Closes that may be told better, after each pass. What goes wrong here is logged and tried again."""
        while True:
            await runner.work.amend_due.wait()
            try:
                await runner.work.amend(owner)
            except (NotOwner, StoreUnavailable) as error:
                _log.warning("amending.failed", account=runner.account, problem=str(error))
            except Exception:
                _log.exception("amending.unexpected_failure", account=runner.account)

    async def _tell(self, runner: Runner, owner: Owner) -> None:
        """Delivers what waits, and the daily sign of life. What goes wrong here is logged and tried again."""
        due, beats = self._bell.notices[runner.account], runner is self._runners[0]
        while True:
            due.clear()
            try:
                if beats:
                    await self._heart.beat(owner)
                await runner.work.notices.run_pass(owner, due_only=True)
            except (NotOwner, StoreUnavailable) as error:
                _log.warning("notices.failed", account=runner.account, problem=str(error))
            except Exception:
                _log.exception("notices.unexpected_failure", account=runner.account)
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT_S if beats else None):
                    await due.wait()

    async def _work(self, runner: Runner, owner: Owner) -> None:
        """Audits and decisions on the stream, side by side, until something fails."""
        async with Attention(self._open_feed(runner.account), self._clock, self._timing) as attention:
            self._bell.on_request[runner.account] = attention.ring
            self._followers[runner.account].on_move = attention.ask
            ears = Ears(runner, self._manager, attention, self._timing, self._clock)
            async with asyncio.TaskGroup() as group:
                group.create_task(attention.read(), name=f"stream {runner.account}")
                group.create_task(ears.listen(owner), name=f"listening {runner.account}")
                group.create_task(ears.act(owner), name=f"acting {runner.account}")
                await self._audits(runner, owner, attention)

    async def _audits(self, runner: Runner, owner: Owner, attention: Attention) -> None:
        """Audits at their times, looks that the stream asks for, and other commands' requests."""
        pace = runner.work.pace
        failures = 0
        lists_in = pace.turn_of_lists(runner.account)
        next_audit = self._clock.monotonic_s()
        while True:
            runner.work.streams = attention.words
            due = self._clock.monotonic_s() >= next_audit
            if due:
                next_audit = pace.next_after(runner.account, next_audit)
                if next_audit <= self._clock.monotonic_s():
                    next_audit = pace.next_after(runner.account, self._clock.monotonic_s())
            affords = pace.affords_orders
            if due or attention.wants_look(orders=affords):
                nth = due and lists_in <= 0 and failures <= 1
                orders = nth or (affords and (not attention.is_up or attention.wants_orders()))
                report = await self._audit(runner, owner, attention, orders=orders, due=due)
                failures = 0 if report is not None and report.observed else failures + 1
                if not failures:
                    lists_in = self._timing.orders_every - 1 if orders else lists_in - due
                if failures:
                    retry_s = min(self._timing.audit_interval_s, _RETRY_S * 2 ** min(failures - 1, 16))
                    next_audit = min(next_audit, self._clock.monotonic_s() + retry_s)
                elif report is not None:
                    attention.found(_moved(report))
            attention.restart_if_deaf()
            for request in await self._store.take_requests(owner) if attention.answer_ring() else ():
                with counted():
                    await runner.serve(owner, request)
                await self._manager.reload(runner.account)
            await attention.wait(next_audit, orders=pace.affords_orders)

    async def _audit(
        self, runner: Runner, owner: Owner, attention: Attention, *, orders: bool, due: bool
    ) -> AccountReport | None:
        """One pass, once there is room for its requests; None: the book could not be read or written."""
        learn = _LEARN if runner.work.streams == "up" and (due or runner.work.pace.affords_orders) else 0
        options = PassOptions(confirm=False, orders=orders, announce=False, due_effects_only=True, learn=learn)
        try:
            with counted() as spent:
                async with runner.work.pace.room(runner.account, orders=orders):
                    attention.looking(orders=orders)
                    loads = self._manager.loads(runner.account)
                    report = await runner.work.run_pass(owner, options, lambda _: None)
        except StoreUnavailable as error:
            _log.error("account.store_unavailable", account=runner.account, problem=str(error))
            return None
        runner.work.pace.looked(runner.account, spent.cost, orders=orders, audit=due and report.observed)
        self._on_report(report)
        undisturbed = self._manager.loads(runner.account) == loads
        await self._manager.reload(runner.account, runner.work.seen if undisturbed else None)
        found = (report.observed, report.has_drift)
        level = logging.DEBUG if self._found.get(runner.account) == found else logging.INFO
        self._found[runner.account] = found
        _log.log(level, "account.looked", account=runner.account, observed=report.observed, drift=report.has_drift)
        return report


def _words(errors: BaseExceptionGroup[TrueupError]) -> str:
    """What failed at once, on one line."""
    parts = [_words(each) if isinstance(each, BaseExceptionGroup) else str(each) for each in errors.exceptions]
    return "; ".join(parts)


def _moved(report: AccountReport) -> list[str]:
    """Symbols of which a stream should have told fills."""
    proven = [row for row in report.closed_phantom if row.close is not None and row.close.evidence is Evidence.FILLS]
    return [row.symbol for row in proven] + [change.position.symbol for change in report.updated_quantity]
