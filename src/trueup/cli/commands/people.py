"""What a person decides: holds, and whether trueup may write at all."""

from __future__ import annotations

from typing import Annotated

import typer

from trueup.cli.call import Call
from trueup.cli.registry import command
from trueup.cli.text import Style

__all__ = ["approve", "holds", "pause", "reject", "resume"]

NOT_CARRIED_OUT = 5

_HOLD = Annotated[int, typer.Argument(help="As `trueup holds` shows it.", metavar="HOLD_ID", min=1)]
_ACCOUNT = Annotated[str, typer.Argument(help="Name of the account.", metavar="ACCOUNT")]


@command(
    "holds",
    short="List the decisions that wait for you.",
    example=("trueup holds", "trueup holds --all --json"),
    exits=("0  printed", "1  the store did not answer", "2  configuration error"),
    json=True,
)
async def holds(
    call: Call,
    every: Annotated[bool, typer.Option("--all", help="Those that are decided, too.")] = False,
) -> int:
    """
    Lists the decisions that wait for you: what would be catastrophic if the evidence were wrong, such as closing many
    positions that merely vanished. Nothing of it happens before you approve it.
    """
    async with call.open() as services:
        found = await services.holds(every)
    if call.options.json:
        from trueup.cli.render_json import hold_json

        call.out.json([hold_json(hold) for hold in found])
    else:
        from trueup.cli.screens.holds import holds_screen

        call.out.lines(holds_screen(found, now_ms=call.now_ms(), width=call.out.width))
    return 0


@command(
    "approve",
    short="Say yes to a held decision.",
    example=("trueup approve 3",),
    exits=(
        "0  done and verified, or no longer needed",
        "1  unexpected failure",
        "2  there is no such open hold, or a configuration error",
        "5  not carried out yet",
    ),
    json=True,
)
async def approve(call: Call, hold_id: _HOLD) -> int:
    """
    Says yes to a held decision. trueup looks at the venue again first: what is seen again leaves the hold, and only
    what still stands is carried out.
    """
    async with call.open() as services:
        with call.out.working("looking at the venue again") as progress:
            outcome = await services.approve(hold_id, progress)
    if call.options.json:
        from trueup.cli.render_json import outcome_json

        call.out.json(outcome_json(outcome))
    else:
        from trueup.cli.screens.sync import sync_screen
        from trueup.cli.text import BLANK, line

        style = Style.GOOD if outcome.done else Style.BAD
        lines = [line((outcome.message, style))]
        if outcome.report is not None:
            screen = sync_screen(outcome.report, dry_run=False, now_ms=call.now_ms(), width=call.out.width)
            lines += [BLANK, *screen]
        call.out.lines(lines)
    return 0 if outcome.done else NOT_CARRIED_OUT


@command(
    "reject",
    short="Say no to a held decision.",
    example=('trueup reject 3 --note "maintenance of the venue"',),
    exits=("0  recorded", "1  unexpected failure", "2  there is no such open hold, or a configuration error"),
    json=True,
)
async def reject(
    call: Call,
    hold_id: _HOLD,
    note: Annotated[str | None, typer.Option("--note", help="Why, for the audit log.", metavar="TEXT")] = None,
) -> int:
    """
    Says no to a held decision: everything stays as it is. It is not raised again until its positions are seen on the
    venue or the evidence changes.
    """
    async with call.open() as services:
        outcome = await services.reject(hold_id, note)
    if call.options.json:
        from trueup.cli.render_json import outcome_json

        call.out.json(outcome_json(outcome))
    else:
        call.out.text(outcome.message)
    return 0 if outcome.done else NOT_CARRIED_OUT


@command(
    "pause",
    short="Stop all writing for one account.",
    example=("trueup pause main",),
    exits=("0  paused", "1  the store did not answer", "2  there is no such account, or a configuration error"),
)
async def pause(call: Call, account: _ACCOUNT) -> int:
    """
    Stops every write to the book and to the venue for one account; observing goes on. Use it before you work on the
    account or the database by hand.
    """
    call.settings.account(account)
    async with call.open() as services:
        await services.pause(account)
    call.out.text(f"{account} is paused: it is looked at, and nothing is written. `trueup resume {account}` ends it.")
    return 0


@command(
    "resume",
    short="End a pause.",
    example=("trueup resume main",),
    exits=("0  resumed", "1  the store did not answer", "2  there is no such account, or a configuration error"),
)
async def resume(call: Call, account: _ACCOUNT) -> int:
    """
    Ends a pause. What was seen meanwhile is decided again, on a fresh look.
    """
    call.settings.account(account)
    async with call.open() as services:
        await services.resume(account)
    call.out.text(f"{account} goes on: the next pass may write again.")
    return 0
