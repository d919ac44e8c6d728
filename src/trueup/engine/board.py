"""Where the newest look at each account is kept, for `status`: by commands at once, by a daemon for all accounts together.

What is posted and not yet written is lost with its process: the next look posts anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from trueup.model.errors import StoreUnavailable

if TYPE_CHECKING:
    from trueup.ports import Clock, Store

__all__ = ["Board"]

_log = structlog.get_logger("trueup.engine")

_WRITE_EVERY_S = 1.0


class Board:
    """One process's, or one account's."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._gathers = False
        self._posted: dict[str, tuple[str, int]] = {}

    async def post(self, account: str, state: str, at_ms: int) -> None:
        """`state`: JSON. `at_ms`: our clock.

        Raises:
            StoreUnavailable: It could not be written; never while `run` gathers.
        """
        self._posted[account] = (state, at_ms)
        if not self._gathers:
            await self._write()

    async def run(self, clock: Clock) -> None:
        """Gathers what is posted and writes it every second, until cancelled; the last of it on the way out."""
        self._gathers = True
        try:
            while True:
                await clock.sleep(_WRITE_EVERY_S)
                await self._try()
        finally:
            self._gathers = False
            await self._try()

    async def _try(self) -> None:
        try:
            await self._write()
        except StoreUnavailable as error:
            _log.warning("status.not_written", problem=str(error))

    async def _write(self) -> None:
        posted, self._posted = self._posted, {}
        if not posted:
            return
        try:
            await self._store.set_account_states(posted)
        except StoreUnavailable:
            self._posted = {**posted, **self._posted}
            raise
