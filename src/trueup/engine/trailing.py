"""Which positions are followed by a trailing stop, and the end of following them.

What is followed is derived from committed rows: a row that closed is followed no more, whoever noticed the close.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

import structlog

from trueup.engine.cache import key_of
from trueup.model.positions import Position, PositionKey
from trueup.model.values import Value

__all__ = ["SmartTrailingStopManager", "TrailingStop"]

_log = structlog.get_logger("trueup.trailing")


class TrailingStop(Value, frozen=True, kw_only=True):
    """A followed position. `activated`: its activation price was reached."""

    position_id: int
    key: PositionKey
    activated: bool


class SmartTrailingStopManager:
    """The trailing stops of one account."""

    def __init__(self, account: str) -> None:
        self.account = account
        self._stops: dict[PositionKey, TrailingStop] = {}

    @property
    def trailing_stops(self) -> Mapping[PositionKey, TrailingStop]:
        """Read-only, by key."""
        return MappingProxyType(self._stops)

    def restore(self, rows: Iterable[Position]) -> None:
        """Follows exactly what the committed active rows of this account say."""
        self._stops = {
            row.key: TrailingStop(position_id=row.position_id, key=row.key, activated=row.trailing_activated)
            for row in rows
            if row.account == self.account and row.has_trailing_stop
        }

    async def on_position_closed(self, symbol: str | PositionKey, realized_pnl: Decimal | None = None) -> None:
        """Ends following that position; nothing happens if it is not followed.

        Its stop orders are cancelled by the effects that were committed with the close, so that a crash here loses none.

        Args:
            symbol: A key, or a bare symbol where it is unique.
            realized_pnl: Gross, settle asset; for the log only.

        Raises:
            AmbiguousSymbol: The bare symbol fits several followed positions.
        """
        key = key_of(symbol, self._stops)
        if key is None:
            return
        del self._stops[key]
        _log.info(
            "trailing.removed",
            account=self.account,
            symbol=key.symbol,
            side=key.side.value,
            realized_pnl=str(realized_pnl),
        )
