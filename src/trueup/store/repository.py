"""The old system's repository over a store: `get_open_positions` and `close_position`.

1. A close is a legal move under an owner's epoch: while a daemon owns the account it is refused (`NotOwner`).
2. What the caller says is not proven by fills: the close is graded `absence`, and amended once the venue's history tells more.
3. Closing a closed row is an error that changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from trueup.model.changes import ChangeSet, ClosePosition
from trueup.model.decimals import parse_decimal
from trueup.model.effects import AmendClose, NewEffect, look_later
from trueup.model.errors import ConfigurationError, Permanent
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.positions import CloseDetails, Evidence, ExitReason, Position, PositionStatus
from trueup.ports import Owner, Store

__all__ = ["PositionNotActive", "Repository"]

_LEASE_S: Final = 10.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class PositionNotActive(Permanent, LookupError):
    """The row to close is closed already, or not in the book; nothing was changed."""


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else _EPOCH + timedelta(milliseconds=at_ms)


def _number(value: Decimal | int | float | str | None, what: str) -> Decimal | None:
    """A caller's binary float counts as the digits that it prints."""
    if value is None:
        return None
    return parse_decimal(repr(value) if isinstance(value, float) else value, what)


class Repository:
    """Over an opened store.

    Args:
        store: The store; opened and closed by the caller.
        now_ms: Our clock.
        holder: Names this process in the owners' table while it closes a position.
        owner_of: The owner under which to write an account; None claims the account for the single write.
    """

    def __init__(
        self,
        store: Store,
        now_ms: Callable[[], int],
        *,
        holder: str = "repository",
        owner_of: Callable[[str], Owner | None] = lambda _account: None,
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._holder = holder
        self._owner_of = owner_of

    async def get_open_positions(self) -> list[dict[str, Any]]:
        """The active rows of every account, by the names of the columns of `positions`, oldest first.

        Amounts are Decimal, times are aware datetimes, what is not known is None.
        """
        return [_as_dict(position) for position in await self._store.positions(status="active")]

    async def close_position(
        self,
        position_id: int,
        close_price: Decimal | int | float | str | None,
        pnl: Decimal | int | float | str | None,
        pnl_percentage: Decimal | int | float | str | None,
        reason: str,
    ) -> None:
        """Closes a row as the caller says.

        Args:
            close_price: Quote units; None or 0: not known.
            pnl: Gross, in the settle asset; None: not known.
            reason: One of the contract's exit reasons.

        Raises:
            PositionNotActive: Closed already, or not in the book.
            ConfigurationError: No such reason.
            NotOwner: Another process owns the account.
            Conflict: The row changed meanwhile; try again.
        """
        if reason not in list(ExitReason):
            raise ConfigurationError(f"close_position: reason must be one of {', '.join(ExitReason)}, found {reason!r}")
        position = await self._store.position(position_id)
        if position is None:
            raise PositionNotActive(f"position {position_id} is not in the book; nothing was changed")
        if position.status is not PositionStatus.ACTIVE:
            closed = "" if position.close is None else f" ({position.close.exit_reason})"
            raise PositionNotActive(f"position {position_id} is closed already{closed}; nothing was changed")
        now_ms = self._now_ms()
        price = _number(close_price, "close_price")
        details = CloseDetails(
            quantity=position.quantity,
            exit_price=price or None,
            settle_asset=_settle_asset(position.symbol),
            realized_pnl=_number(pnl, "pnl"),
            pnl_percentage=_number(pnl_percentage, "pnl_percentage"),
            exit_reason=ExitReason(reason),
            evidence=Evidence.ABSENCE,
            closed_at_ms=now_ms,
        )
        changes = ChangeSet(
            account=position.account,
            now_ms=now_ms,
            closes=(ClosePosition(position_id=position_id, version=position.version, details=details),),
            events=(_event(position, details),),
            effects=_look_later(position, details),
        )
        await self._commit(position.account, changes)

    async def _commit(self, account: str, changes: ChangeSet) -> None:
        owner = self._owner_of(account)
        if owner is not None:
            await self._store.commit(owner, changes)
            return
        claimed = await self._store.claim(account, self._holder, _LEASE_S)
        try:
            await self._store.commit(claimed, changes)
        finally:
            await self._store.release(claimed)


def _look_later(position: Position, details: CloseDetails) -> tuple[NewEffect, ...]:
    """What the venue's history tells of the close is read by whoever runs the account, and takes the place of the caller's word.

    A row that no look has matched to a contract has no history that could be asked for.
    """
    if position.contract_size is None:
        return ()
    amend = AmendClose(
        symbol=position.symbol, side=position.side, position_id=position.position_id, grade=details.evidence.value
    )
    return (look_later(position.account, amend, details.closed_at_ms),)


def _event(position: Position, details: CloseDetails) -> NewEvent:
    """A phantom keeps the old system's event and data keys; any other close is `POSITION_CLOSED`."""
    phantom = details.exit_reason is ExitReason.PHANTOM_ON_SYNC
    data: dict[str, object] = {
        "symbol": position.symbol,
        "exchange": position.venue,
        "position_id": position.position_id,
        "reason": details.exit_reason.value,
    }
    if not phantom:
        data |= {"realized_pnl": details.realized_pnl, "evidence": details.evidence.value}
    return NewEvent(
        type=EventType.PHANTOM_POSITION_CLOSED if phantom else EventType.POSITION_CLOSED,
        severity=Severity.WARNING if phantom else Severity.INFO,
        account=position.account,
        at_ms=details.closed_at_ms,
        symbol=position.symbol,
        position_id=position.position_id,
        data=data,
    )


def _settle_asset(symbol: str) -> str:
    """Of a unified symbol; empty where a bot's own symbol does not say it."""
    _, colon, settle = symbol.partition(":")
    return settle.split("-")[0] if colon else ""


def _as_dict(position: Position) -> dict[str, Any]:
    return {
        "id": position.position_id,
        "account": position.account,
        "exchange": position.venue,
        "symbol": position.symbol,
        "side": position.side.value,
        "entry_price": position.entry_price,
        "current_price": position.current_price,
        "quantity": position.quantity,
        "leverage": position.leverage,
        "stop_loss": position.stop_loss,
        "take_profit": position.take_profit,
        "status": position.status.value,
        "pnl": None,
        "pnl_percentage": None,
        "exit_reason": None,
        "trailing_activated": position.trailing_activated,
        "has_trailing_stop": position.has_trailing_stop,
        "suspected_since": _moment(position.suspected_since_ms),
        "created_at": _moment(position.created_at_ms),
        "updated_at": _moment(position.updated_at_ms),
        "closed_at": None,
    }
