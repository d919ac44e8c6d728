"""The original system's entry points: synchronise one exchange, all of them, or everything at a bot's start.

They run the very passes that the daemon runs, and memory is derived from what they committed: a synchroniser used alone cannot
leave a closed position in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trueup.engine.manager import PositionManager
from trueup.model.reports import AccountReport

__all__ = ["PositionSynchronizer", "synchronize_positions_on_startup"]


class PositionSynchronizer:
    """Keeps the accounts of a `PositionManager` true to their venues."""

    def __init__(self, manager: PositionManager) -> None:
        self._manager = manager

    async def synchronize_exchange(
        self, account: str, *, progress: Callable[[str], None] = lambda _: None
    ) -> AccountReport:
        """One complete pass over one account; see `PositionManager.sync_exchange_positions`."""
        return await self._manager.sync_exchange_positions(account, progress=progress)

    async def synchronize_all_exchanges(self) -> dict[str, AccountReport]:
        """Every account, side by side: one that cannot be observed does not keep the others waiting."""
        accounts = self._manager.accounts
        reports = await asyncio.gather(*(self.synchronize_exchange(account) for account in accounts))
        return dict(zip(accounts, reports, strict=True))


async def synchronize_positions_on_startup(manager: PositionManager) -> dict[str, AccountReport]:
    """Synchronises every account and loads what is open then."""
    reports = await PositionSynchronizer(manager).synchronize_all_exchanges()
    await manager.load_positions_from_db()
    return reports
