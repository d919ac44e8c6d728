"""The `trueup` command line, put together: `build_app` gives the program that bootstrap's `main` calls.

1. Importing and asking for help loads neither settings, nor terminals' tables, nor any part of the engine.
2. A command exists only if it works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from trueup.cli.commands import book, closing, people, reconcile, setup, system, venue

if TYPE_CHECKING:
    from trueup.cli.registry import Command
    from trueup.cli.services import OpenServices

__all__ = ["COMMANDS", "build_app"]

COMMANDS: tuple[Command, ...] = (
    setup.init,
    setup.demo,
    reconcile.sync,
    reconcile.run,
    system.status,
    book.positions,
    book.events,
    book.explain,
    book.replay,
    closing.close,
    closing.close_all,
    people.holds,
    people.approve,
    people.reject,
    people.pause,
    people.resume,
    system.doctor,
    system.pin,
    system.db_upgrade,
    system.db_backup,
    venue.serve,
    venue.fault,
    venue.faults,
    venue.clear,
    venue.do,
)
_GROUPS = {
    "accounts": "Identity pins: accounts pin.",
    "db": "The store: db upgrade, db backup.",
    "venue": "The simulated venue: venue serve, and faults and actions while it runs.",
}
_HELP = """\
Keeps a trading bot's book true to the exchange. trueup looks at what the venue really holds, decides on evidence what
changed, repairs the book, and carries the consequences out.

New here: `trueup demo` shows it all without a key; `trueup init`, `trueup doctor`, `trueup sync` start with your own
account, reading only.
"""
_EPILOG = """\
\b
Exit codes:
  0  all is well
  1  unexpected failure
  2  usage, configuration or identity error
  3  drift remains, or warnings
  4  some account could not be observed; nothing of it was changed
  5  something is not carried out on the venue
"""


def build_app(open_services: OpenServices, *, clock_ms: Callable[[], int] | None = None) -> typer.Typer:
    """The whole command line over these services.

    Args:
        open_services: Called once by each command that needs the program.
        clock_ms: Milliseconds since 1970, for ages on the screens; None: the machine's clock.
    """
    app = _group(_HELP, epilog=_EPILOG)
    app.callback()(_root)
    groups = {name: _group(text) for name, text in _GROUPS.items()}
    for each in COMMANDS:
        if len(each.path) > 1 and groups[each.path[0]] not in [found.typer_instance for found in app.registered_groups]:
            app.add_typer(groups[each.path[0]], name=each.path[0])
        each.add_to(groups[each.path[0]] if len(each.path) > 1 else app, open_services, clock_ms)
    return app


def _group(text: str, *, epilog: str | None = None) -> typer.Typer:
    return typer.Typer(
        name="trueup",
        help=text,
        epilog=epilog,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    )


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"trueup {version('trueup')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Placed in front of every command; the group's own help text stands above."""
