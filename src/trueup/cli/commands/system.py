"""The state of things: status, doctor, identity pins, the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trueup.cli.call import Call, explain_failure
from trueup.cli.registry import command

if TYPE_CHECKING:
    from trueup.cli.services import Services
    from trueup.cli.text import Line
    from trueup.model.holds import Hold
    from trueup.model.reports import AccountStatus, Check

__all__ = ["db_backup", "db_upgrade", "doctor", "pin", "status"]

_WATCH_S = 2.0


@command(
    "status",
    short="Show what is true now and what to do next.",
    example=("trueup status", "trueup status --watch", "trueup status --json"),
    exits=(
        "0  printed, whatever it says (`trueup sync` tells by its exit code)",
        "1  the store did not answer",
        "2  configuration error",
        "130  --watch was stopped",
    ),
    json=True,
)
async def status(
    call: Call,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on showing it, every two seconds.")] = False,
) -> int:
    """
    Shows what is true now: for each account whether book and venue agree, when that was last seen, what is open, what
    is not in order, and the command to run next. It reads the store only; a running daemon keeps it fresh.
    """
    async with call.open() as services:
        if not watch:
            _print_status(call, *await _read_status(services))
        elif call.options.json or not call.out.is_terminal:
            while call.out.is_read:
                _print_status(call, *await _read_status(services), one_line=True)
                await call.sleep(_WATCH_S)
        else:
            with call.out.fullscreen() as draw:
                while True:
                    draw(_status_lines(call, *await _read_status(services)))
                    await call.sleep(_WATCH_S)
    return 0


async def _read_status(services: Services) -> tuple[tuple[AccountStatus, ...], list[Hold]]:
    accounts = await services.status()
    waiting = any(account.open_holds for account in accounts)
    return accounts, await services.holds(False) if waiting else []


def _print_status(
    call: Call, accounts: tuple[AccountStatus, ...], waiting: list[Hold], *, one_line: bool = False
) -> None:
    if call.options.json:
        from trueup.cli.render_json import status_json

        call.out.json(status_json(accounts, call.now_ms()), one_line=one_line)
    else:
        call.out.lines(_status_lines(call, accounts, waiting))


def _status_lines(call: Call, accounts: tuple[AccountStatus, ...], waiting: list[Hold]) -> list[Line]:
    from trueup.cli.screens.status import status_screen

    return status_screen(accounts, waiting, now_ms=call.now_ms(), width=call.out.width)


@command(
    "doctor",
    short="Check configuration, store, keys and clocks.",
    example=("trueup doctor", "trueup doctor --json"),
    exits=("0  all is fine", "2  errors", "3  warnings"),
    json=True,
)
async def doctor(call: Call) -> int:
    """
    Checks everything that must hold before you trust trueup with an account: configuration, store, clock, whom the key
    belongs to and what it may do, position mode, room under the venue's request limits. Each finding says how to mend
    it. It changes nothing.
    """
    checks = await _checks(call)
    if call.options.json:
        from trueup.cli.render_json import checks_json

        call.out.json(checks_json(checks))
    else:
        from trueup.cli.screens.doctor import doctor_screen

        call.out.lines(doctor_screen(checks, width=call.out.width))
    from trueup.cli.screens.doctor import doctor_exit_code

    return doctor_exit_code(checks)


async def _checks(call: Call) -> tuple[Check, ...]:
    """The findings; a configuration or a store that cannot be opened is a finding too."""
    from trueup.model.errors import TrueupError
    from trueup.model.reports import Check

    try:
        settings = call.settings
    except TrueupError as error:
        return (Check(scope="configuration", name="file", level="error", detail=str(error)),)
    readable = Check(scope="configuration", name="file", level="ok", detail=str(settings.path))
    try:
        async with call.open() as services:
            with call.out.working("checking") as progress:
                progress("checking configuration, store and venues")
                found = await services.doctor()
    except TrueupError as error:
        text = call.redact(explain_failure(error).text)
        return (readable, Check(scope="program", name="start", level="error", detail=text))
    return found if any(check.scope == "configuration" for check in found) else (readable, *found)


@command(
    "accounts",
    "pin",
    short="Accept the venue account that a key belongs to now.",
    example=("trueup accounts pin main --reset",),
    exits=(
        "0  the new venue account is accepted",
        "1  the venue did not answer",
        "2  usage or configuration error",
    ),
)
async def pin(
    call: Call,
    account: Annotated[str, typer.Argument(help="Name of the account.", metavar="ACCOUNT")],
    reset: Annotated[bool, typer.Option("--reset", help="Accept the venue account of the key as it is now.")] = False,
) -> int:
    """
    Accepts that the key of an account now belongs to another venue account. trueup remembers at first sight whose key
    it is, and changes nothing when the key answers for somebody else: every position would look closed. Reset the pin
    only if you changed the account on purpose.
    """
    call.settings.account(account)
    if not reset:
        raise typer.BadParameter("add --reset to accept the venue account that the key belongs to now")
    async with call.open() as services:
        with call.out.working("asking the venue whose key it is"):
            said = await services.pin_reset(account)
    call.out.text(said)
    return 0


@command(
    "db",
    "upgrade",
    short="Bring the store's tables up to date.",
    example=("trueup db upgrade", "trueup db upgrade --account main --account bybit-main"),
    exits=(
        "0  up to date",
        "1  the store did not answer",
        "2  configuration error, or the account of old rows must be named",
    ),
)
async def db_upgrade(
    call: Call,
    account: Annotated[
        list[str] | None,
        typer.Option("--account", help="Whose the old system's rows are; one for each exchange.", metavar="NAME"),
    ] = None,
    keep_newest: Annotated[
        bool, typer.Option("--keep-newest", help="Of several active old rows of one position the newest stays.")
    ] = False,
) -> int:
    """
    Brings the store's tables to what this version needs. A monitoring.positions of the old system keeps its rows: what
    is missing is added, and --account says which account they belong to. Embedded stores do this by themselves. Take a
    backup first.
    """
    named = account or []
    venues = [call.settings.account(name).venue for name in named]
    if len(set(venues)) < len(venues):
        raise typer.BadParameter("--account names two accounts of one exchange; old rows tell the exchange alone")
    async with call.open() as services:
        with call.out.working("upgrading the store"):
            said = await services.db_upgrade(named, keep_newest=keep_newest)
    call.out.text(said)
    return 0


@command(
    "db",
    "backup",
    short="Copy the store to a file.",
    example=("trueup db backup trueup-backup.db",),
    exits=("0  written", "1  the store did not answer", "2  the file exists, or a configuration error"),
)
async def db_backup(
    call: Call,
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.", metavar="FILE")],
) -> int:
    """
    Copies the store to a file, consistent as of one moment, while trueup may be running.
    """
    async with call.open() as services:
        with call.out.working("copying the store"):
            said = await services.db_backup(file)
    call.out.text(said)
    return 0
