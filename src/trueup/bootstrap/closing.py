"""`trueup close` and `close-all`: which rows are meant, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from trueup.cli.services import CloseOutcome, Say
from trueup.engine.closing import check_may_close
from trueup.engine.runner import Act
from trueup.engine.view import Scope
from trueup.model.effects import ON_VENUE, EffectState
from trueup.model.errors import AuthenticationRefused, ConfigurationError, Unobserved
from trueup.model.instruments import normalize_symbol
from trueup.model.positions import Position, PositionStatus

if TYPE_CHECKING:
    from trueup.bootstrap.wiring import Program

__all__ = ["close_every", "close_one"]


async def close_one(
    program: Program, account: str, symbol: str, *, side: str | None, note: str | None, progress: Say
) -> CloseOutcome:
    """Raises `ConfigurationError` when just one open row is not meant, or the account is not in mode protect."""
    check_may_close(program.runners[account].work.plan)
    rows = (await program.store.active(account)).positions
    named = [row for row in rows if symbol in (row.symbol, row.written_symbol, normalize_symbol(row.symbol))]
    meant = [row for row in named if side in (None, row.side.value)]
    if len(meant) != 1:
        what = "no such open position" if not meant else "several open positions fit; say which with --side or in full"
        known = ", ".join(f"{row.symbol} {row.side.value}" for row in (meant or rows)) or "none"
        raise ConfigurationError(f"{account} {symbol}{f' {side}' if side else ''}: {what}; open in the book: {known}")
    return await _closed(program, account, Act(kind="close", key=meant[0].key, note=note), meant, progress)


async def close_every(program: Program, account: str, *, note: str | None, progress: Say) -> CloseOutcome:
    """Closes what the book has, and says what the venue shows open beside that: it is not done while anything is.

    Raises:
        ConfigurationError: The account is not in mode protect.
    """
    check_may_close(program.runners[account].work.plan)
    before = {row.position_id for row in await program.store.positions(status="all", account=account)}
    meant = list((await program.store.active(account)).positions)
    act = Act(kind="close_all", note=note)
    outcome = await _closed(program, account, act, meant, progress, before=before)
    beside = await _open_beside_the_book(program, account) if outcome.done else None
    if beside is None:
        return outcome
    return msgspec.structs.replace(outcome, done=False, message=f"{outcome.message}; {beside}")


async def _open_beside_the_book(program: Program, account: str) -> str | None:
    """What the venue shows open that no row of the book is, in words; None: nothing."""
    venue, plan = program.venues[account], program.runners[account].work.plan
    try:
        catalog, view = await venue.catalog(), await venue.positions()
    except (Unobserved, AuthenticationRefused) as error:
        return f"whether anything else is open on the venue could not be asked ({error})"
    scope = Scope.of(account, plan.symbols, plan.ignore_symbols, catalog)
    known = {(row.symbol, row.side) for row in (await program.store.active(account)).positions}
    beside = [one for one in view.reports if scope.has(one.symbol) and (one.symbol, one.side) not in known]
    left = [f"{one.side.value} {one.symbol}" for one in beside]
    left += [f"{row.symbol}, which cannot be read" for row in view.quarantined]
    if not left:
        return None
    return f"open on the venue and not in the book: {', '.join(left)}; close it there, or have it adopted first"


async def _closed(
    program: Program,
    account: str,
    act: Act,
    meant: list[Position],
    progress: Say,
    *,
    before: set[int] | None = None,
) -> CloseOutcome:
    """Has it carried out, by whoever owns the account, and looks in the book what became of it.

    Args:
        before: Rows that were there; given, those that the look brought into the book are meant too.
    """
    answer = await program.runners[account].act(act, progress)
    rows = await program.store.positions(status="all", account=account)
    ids = {row.position_id for row in meant}
    if before is not None:
        ids |= {row.position_id for row in rows if row.position_id not in before}
    after = [row for row in rows if row.position_id in ids]
    closed = tuple(row for row in after if row.status is PositionStatus.CLOSED)
    still_open = tuple(row for row in after if row.status is not PositionStatus.CLOSED)
    unfinished = (EffectState.PENDING, EffectState.ESCALATED)
    effects = await program.store.effects(account=account, states=unfinished)
    waiting = [effect for effect in effects if effect.position_id in ids and effect.kind in ON_VENUE]
    report = answer.report
    seen = report is not None and report.observed
    done = seen and not still_open and not waiting
    return CloseOutcome(
        account=account,
        done=done,
        message=_message(len(closed), len(still_open), len(waiting), None if seen or report is None else report.error),
        closed=closed,
        open=still_open,
    )


def _message(closed: int, still_open: int, waiting: int, error: str | None) -> str:
    if error is not None:
        return f"not carried out: the account could not be looked at ({error}); nothing was sent"
    if not closed and not still_open and not waiting:
        return "nothing was open"
    parts = [f"{closed} closed"] if closed else []
    parts += [f"{still_open} not closed yet"] if still_open else []
    parts += [f"{waiting} acts still wait on the venue: every pass goes on trying"] if waiting else []
    return "; ".join(parts)
