"""What other processes ask of this one's accounts, asked for once for all of them: a quiet account costs the book nothing.

1. One statement a moment tells which accounts a request or a due notice waits for; only those are worked on.
2. Nothing is remembered: what still waits rings again, so a failed serving, or a book that was out of reach, loses nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from trueup.model.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trueup.ports import Clock, Store

__all__ = ["Bell"]

_log = structlog.get_logger("trueup.engine")

_LISTEN_EVERY_S = 0.4


class Bell:
    """One daemon's.

    Attributes:
        on_request: By account: told that a request waits. Set while the account is worked on.
        notices: By account: set while a notice is due.
    """

    def __init__(self, accounts: Iterable[str], store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.on_request: dict[str, Callable[[], None]] = {}
        self.notices = {account: asyncio.Event() for account in accounts}

    async def run(self) -> None:
        """Until cancelled. The loop's single handler."""
        while True:
            try:
                await self._listen()
            except StoreUnavailable as error:
                _log.warning("requests.unread", problem=str(error))
            except Exception:
                _log.exception("requests.unexpected_failure")
            await self._clock.sleep(_LISTEN_EVERY_S)

    async def _listen(self) -> None:
        waiting = await self._store.waiting(self._clock.now_ms())
        for account in sorted(waiting.requests & self.on_request.keys()):
            self.on_request[account]()
        for account in sorted(waiting.notices & self.notices.keys()):
            self.notices[account].set()
