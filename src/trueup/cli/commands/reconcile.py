"""The main job: one pass, or the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from trueup.cli.call import FAILED, Call, explain_failure
from trueup.cli.registry import command

if TYPE_CHECKING:
    from trueup.model.reports import SyncReport

__all__ = ["run", "sync"]


@command(
    "sync",
    short="Make the book true to the venue, once.",
    example=("trueup sync --dry-run", "trueup sync --account main --json"),
    exits=(
        "0  book equals venue, every effect is carried out, every position that should be protected is",
        "1  unexpected failure",
        "2  usage, configuration or identity error",
        "3  drift or an orphan stop remains (observe, --dry-run, held, suspected, paused), or a row is unreadable",
        "4  some account could not be observed completely; nothing of it was changed",
        "5  an effect is not carried out, or a position that should be protected has no live stop",
    ),
    json=True,
)
async def sync(
    call: Call,
    account: Annotated[
        list[str] | None,
        typer.Option("--account", help="Only this account; may be given several times.", metavar="NAME"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; show what would be done.")] = False,
) -> int:
    """
    Makes the book true to the venue, once. It reads the real positions and orders, decides on evidence what changed,
    writes the repair and carries its consequences out. A position that is merely absent is looked at again after
    confirm_after_s seconds, so a pass may take that long. What was not seen completely is left exactly as it was.
    """
    names = _account_names(call, account)
    started_at_ms = call.now_ms()
    try:
        async with call.open() as services:
            with call.out.working("looking at the venue") as progress:
                report = await services.sync(names, dry_run=dry_run, progress=progress)
    except Exception as error:
        if call.options.json:
            _print_failed(call, names, error, started_at_ms)
        raise
    if call.options.json:
        from trueup.cli.render_json import sync_json

        call.out.json(sync_json(report))
    else:
        from trueup.cli.screens.sync import sync_screen

        call.out.lines(sync_screen(report, dry_run=dry_run, now_ms=call.now_ms(), width=call.out.width))
    return report.exit_code


def _account_names(call: Call, wanted: Sequence[str] | None) -> list[str]:
    """The accounts to work on, each once; all of the settings when none is named."""
    names = list(dict.fromkeys(wanted or ()))
    for name in names:
        call.settings.account(name)
    return names or list(call.settings.account_names)


def _print_failed(call: Call, names: Sequence[str], error: Exception, started_at_ms: int) -> None:
    """The JSON of a pass that could not be made; usage and configuration errors print none."""
    from trueup.cli.render_json import sync_json

    failure = explain_failure(error)
    if failure.code == FAILED or failure.identity:
        call.out.json(sync_json(_failed_report(call, names, call.redact(failure.text), started_at_ms)))


def _failed_report(call: Call, names: Sequence[str], text: str, started_at_ms: int) -> SyncReport:
    from trueup.model.reports import AccountReport, SyncReport

    accounts = tuple(
        AccountReport(
            account=name,
            venue=call.settings.account(name).venue,
            mode=call.settings.account(name).mode,
            observed=False,
            error=text,
            failure=True,
        )
        for name in names
    )
    return SyncReport(started_at_ms=started_at_ms, finished_at_ms=call.now_ms(), accounts=accounts)


@command(
    "run",
    short="Keep the book true until stopped.",
    example=("trueup run", "trueup run --log-json 2>> trueup.log"),
    exits=("0  stopped by SIGINT or SIGTERM", "1  unexpected failure", "2  configuration or identity error"),
    daemon=True,
)
async def run(call: Call) -> int:
    """
    Keeps the book true until it is stopped: looks at every account again and again, repairs, and tries again what
    could not be carried out. Other commands work beside it. A clean stop (Ctrl-C, SIGTERM) loses nothing, and nothing
    is lost when it is killed either: the next start goes on where it was.
    """
    async with call.open() as services:
        await services.run(on_ready=call.out.text)
    return 0
