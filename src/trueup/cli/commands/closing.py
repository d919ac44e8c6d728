"""Closing positions at market, on the venue and then in the book."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trueup.cli.call import Call
from trueup.cli.registry import command
from trueup.model.errors import ConfigurationError

if TYPE_CHECKING:
    from trueup.cli.services import CloseOutcome

__all__ = ["close", "close_all"]

NOT_CARRIED_OUT = 5

_ACCOUNT = Annotated[str, typer.Argument(help="Name of the account.", metavar="ACCOUNT")]
_NOTE = Annotated[str | None, typer.Option("--note", help="Why, for the audit log.", metavar="TEXT")]
_EXITS = (
    "0  closed on the venue and in the book, its stops are gone",
    "1  unexpected failure",
    "2  not open, ambiguous, the account is not in mode protect, or a configuration error",
    "5  not carried out yet; every pass goes on trying",
)


@command(
    "close",
    short="Close one position at market.",
    example=("trueup close main BTC/USDT:USDT", 'trueup close main BTCUSDT --side long --note "news"'),
    exits=_EXITS,
    json=True,
)
async def close(
    call: Call,
    account: _ACCOUNT,
    symbol: Annotated[
        str, typer.Argument(help="As `trueup positions` shows it, or the venue's own.", metavar="SYMBOL")
    ],
    side: Annotated[str | None, typer.Option("--side", help="Where both are open.", metavar="long|short")] = None,
    note: _NOTE = None,
) -> int:
    """
    Closes one position at market with a reduce-only order, then in the book from its own fills; its stops are
    cancelled. It looks at the venue first, and again afterwards: 0 means that the venue shows it flat and the book has
    its PnL. What is not carried out stays recorded, and later passes go on trying.
    """
    call.settings.account(account)
    if side not in (None, "long", "short"):
        raise ConfigurationError(f"--side {side}: expected long or short")
    async with call.open() as services:
        with call.out.working("looking at the venue") as progress:
            outcome = await services.close(account, symbol, side=side, note=note, progress=progress)
    return _told(call, outcome)


@command(
    "close-all",
    short="Close every position of an account at market.",
    example=('trueup close-all main --yes --note "venue maintenance"',),
    exits=_EXITS,
    json=True,
)
async def close_all(
    call: Call,
    account: _ACCOUNT,
    yes: Annotated[bool, typer.Option("--yes", help="Needed: this cannot be undone.")] = False,
    note: _NOTE = None,
) -> int:
    """
    Closes every open position of one account at market, as `trueup close` closes one. It must be told --yes. Positions
    that the venue opens meanwhile are left alone: look with `trueup positions`, and call it again.
    """
    call.settings.account(account)
    if not yes:
        raise ConfigurationError("close-all closes every open position of the account at market: say --yes to mean it")
    async with call.open() as services:
        with call.out.working("looking at the venue") as progress:
            outcome = await services.close_all(account, note=note, progress=progress)
    return _told(call, outcome)


def _told(call: Call, outcome: CloseOutcome) -> int:
    if call.options.json:
        from trueup.cli.render_json import close_json

        call.out.json(close_json(outcome))
    else:
        from trueup.cli.screens.positions import positions_screen
        from trueup.cli.text import BLANK, Style, line

        lines = [line((outcome.message, Style.GOOD if outcome.done else Style.BAD))]
        shown = [*outcome.closed, *outcome.open]
        if shown:
            screen = positions_screen(
                shown, status="all", account=outcome.account, now_ms=call.now_ms(), width=call.out.width
            )
            lines += [BLANK, *screen]
        call.out.lines(lines)
    return 0 if outcome.done else NOT_CARRIED_OUT
