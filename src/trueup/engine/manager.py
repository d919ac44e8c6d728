"""The positions that a bot works with: committed rows in memory, kept true by the same passes that the daemon runs.

1. `positions` is derived from committed rows and from nothing else; no caller can put anything into it.
2. A position that closes leaves `positions`, the count, the exposure and its trailing stop, whoever noticed the close.
3. Walking positions for protection never touches one that is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog

from trueup.core.stops import at_distance, at_percent
from trueup.engine.cache import PositionCache, exposure_of, key_of
from trueup.engine.runner import Act, Runner
from trueup.engine.trailing import SmartTrailingStopManager
from trueup.model.changes import ActiveBook, ChangeSet
from trueup.model.errors import ConfigurationError, NotOwner
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.positions import Position, PositionKey
from trueup.model.reports import AccountReport

if TYPE_CHECKING:
    from trueup.ports import Clock, Owner, Store

__all__ = ["PositionManager"]

_log = structlog.get_logger("trueup.positions")


def _silent(_: str) -> None:
    return None


class PositionManager:
    """Open positions of all accounts. Built by `trueup.open_manager`."""

    def __init__(self, runners: Iterable[Runner], store: Store, clock: Clock) -> None:
        self._runners = {runner.account: runner for runner in runners}
        self._store = store
        self._clock = clock
        self._cache = PositionCache()
        self._loads: Counter[str] = Counter()
        self._trailing = {
            account: SmartTrailingStopManager(account, runner.work.plan) for account, runner in self._runners.items()
        }

    @property
    def positions(self) -> Mapping[PositionKey, Position]:
        """Read-only, keyed by ``(account, symbol, side)``; a bare symbol is accepted where it is unique."""
        return self._cache

    @property
    def position_count(self) -> int:
        return len(self._cache)

    @property
    def total_exposure(self) -> Decimal:
        """At entry prices, in quote units."""
        return exposure_of(self._cache.values())

    @property
    def trailing_managers(self) -> Mapping[str, SmartTrailingStopManager]:
        """By account."""
        return MappingProxyType(self._trailing)

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(self._runners)

    async def load_positions_from_db(self) -> int:
        """Makes memory equal to the committed active rows of every account; returns how many there are."""
        for account in self._runners:
            await self.reload(account)
        _log.info("positions.loaded", count=self.position_count)
        return self.position_count

    async def tell_loaded(self, owner: Owner) -> None:
        """The audit log's POSITIONS_LOADED of one account."""
        rows = self._cache.of_account(owner.account).values()
        now = self._clock.now_ms()
        data: dict[str, object] = {"count": len(rows), "total_exposure": format(exposure_of(rows), "f")}
        event = NewEvent(
            type=EventType.POSITIONS_LOADED, severity=Severity.INFO, account=owner.account, at_ms=now, data=data
        )
        await self._store.commit(owner, ChangeSet(account=owner.account, now_ms=now, events=(event,)))

    def positions_of(self, account: str) -> Mapping[PositionKey, Position]:
        """One account's part of `positions`."""
        return self._cache.of_account(account)

    def loads(self, account: str) -> int:
        """How often the account's part of memory was derived."""
        return self._loads[account]

    async def reload(self, account: str, seen: ActiveBook | None = None) -> None:
        """Derives one account's part of memory from its committed rows; what is gone is no longer monitored.

        Args:
            seen: The rows, where they were just read, nobody changed them since, and none has a trailing record.
        """
        self._loads[account] += 1
        book = seen if seen is not None else await self._store.active(account)
        gone = self._cache.replace_account(account, book.positions)
        trailing = self._trailing[account]
        for row in gone:
            await trailing.on_position_closed(row.key, row.realized_pnl)
        trailing.restore(book.positions, await self._store.trailing(account) if seen is None else ())

    async def sync_exchange_positions(
        self, account: str, *, progress: Callable[[str], None] = _silent
    ) -> AccountReport:
        """One complete pass over an account, then memory is derived from what was committed.

        Raises:
            ConfigurationError: No such account.
        """
        answer = await self._runner(account).act(Act(kind="sync"), progress)
        await self.reload(account)
        if answer.report is None:
            raise NotOwner(f"account {account!r}: its owner answered without a report; look at its log")
        return answer.report

    async def close_position(
        self,
        symbol: str | PositionKey,
        reason: str = "manual",
        *,
        progress: Callable[[str], None] = _silent,
    ) -> AccountReport:
        """Closes a position at market on the venue, then in the book from its own fills; its stops are cancelled.

        Args:
            symbol: A key, or a bare symbol where it is unique.
            reason: Noted in the audit log; the row's `exit_reason` is told by the closing order.

        Returns:
            The pass that found it closed. Look at `closed_phantom` and `exit_code` for what came of it.

        Raises:
            ConfigurationError: No such open position, or the account is not in mode protect.
            AmbiguousSymbol: The bare symbol fits several positions.
        """
        key = self._open_key(symbol)
        answer = await self._runner(key.account).act(Act(kind="close", key=key, note=reason), progress)
        await self.reload(key.account)
        if answer.report is None:
            raise NotOwner(f"account {key.account!r}: its owner answered without a report; look at its log")
        return answer.report

    async def set_stop_loss(
        self,
        symbol: str | PositionKey,
        *,
        price: Decimal | None = None,
        distance: Decimal | None = None,
        percent: Decimal | None = None,
    ) -> Decimal:
        """Says where a position's stop is to be, and runs a pass that keeps it there (mode protect).

        Args:
            symbol: A key, or a bare symbol where it is unique.
            price: The trigger itself, quote units.
            distance: From the entry price, quote units: an ATR times its factor, say.
            percent: Of the entry price.

        Returns:
            The price that was written to the book; the venue's tick rounds it towards the entry.

        Raises:
            ConfigurationError: No such open position, or not exactly one of the three.
            ValueError: The distance is not positive, or reaches below zero.
            AmbiguousSymbol: The bare symbol fits several positions.
        """
        key = self._open_key(symbol)
        row = self._cache[key]
        if price is None and row.entry_price is not None:
            if distance is not None and percent is None:
                price = at_distance(row.side, row.entry_price, distance)
            elif percent is not None and distance is None:
                price = at_percent(row.side, row.entry_price, percent)
        elif distance is not None or percent is not None:
            price = None
        if price is None or price <= 0:
            raise ConfigurationError(f"{key}: say one of price, distance and percent; the last two need an entry price")
        await self._runner(key.account).act(Act(kind="set_stop", key=key, price=price), _silent)
        await self.reload(key.account)
        return price

    def _open_key(self, symbol: str | PositionKey) -> PositionKey:
        key = key_of(symbol, self._cache)
        if key is None:
            raise ConfigurationError(
                f"{symbol}: no such open position; open are: {', '.join(map(str, self._cache)) or 'none'}"
            )
        return key

    async def check_positions_protection(self) -> dict[PositionKey, bool | None]:
        """One pass over every account that keeps its open positions covered, as the daemon does.

        In mode protect stops are placed where they are missing; in the other modes it only looks.

        Returns:
            Whether each open position has live stops for its full quantity; None where its account could not be read. A
            position that left `positions` while this waited is not in it.
        """
        checked: dict[PositionKey, bool | None] = {}
        for account in self._runners:
            if not self._cache.of_account(account):
                continue
            report = await self.sync_exchange_positions(account)
            bare = set(report.uncovered)
            for key in self._cache.of_account(account):
                checked[key] = key not in bare if report.observed else None
        return {key: covered for key, covered in checked.items() if key in self._cache}

    def _runner(self, account: str) -> Runner:
        runner = self._runners.get(account)
        if runner is None:
            raise ConfigurationError(
                f"account {account!r}: not in the configuration, which has {', '.join(self._runners)}"
            )
        return runner
