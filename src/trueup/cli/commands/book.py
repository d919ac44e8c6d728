"""Looking at the book: positions, the audit log, and why."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from trueup.cli.call import Call
from trueup.cli.registry import command

if TYPE_CHECKING:
    from trueup.cli.services import Services
    from trueup.model.events import Event

__all__ = ["events", "explain", "positions", "replay"]

_POLL_S = 1.0
_SHOWN_EVENTS = 50


class StatusChoice(StrEnum):
    """Which positions."""

    ACTIVE = "active"
    CLOSED = "closed"
    ALL = "all"


def _check_known(call: Call, account: str | None, found: Sequence[object]) -> None:
    """An unknown account that has nothing in the book either is a mistake in writing, not an empty answer."""
    if account is not None and not found:
        call.settings.account(account)


@command(
    "positions",
    short="Show the book.",
    example=("trueup positions", "trueup positions --status closed --account main --json"),
    exits=("0  printed", "1  the store did not answer", "2  usage or configuration error"),
    json=True,
)
async def positions(
    call: Call,
    status: Annotated[StatusChoice, typer.Option("--status", help="Which positions.")] = StatusChoice.ACTIVE,
    account: Annotated[str | None, typer.Option("--account", help="Only this account.", metavar="NAME")] = None,
) -> int:
    """
    Shows the book: what trueup knows to be open, and what was closed with its PnL, its fees and what proves it. It
    reads the store only and asks no venue.
    """
    async with call.open() as services:
        found = await services.positions(status.value, account)
    _check_known(call, account, found)
    if call.options.json:
        from trueup.cli.render_json import any_position_json

        call.out.json([any_position_json(position) for position in found])
    else:
        from trueup.cli.screens.positions import positions_screen

        call.out.lines(
            positions_screen(found, status=status.value, account=account, now_ms=call.now_ms(), width=call.out.width)
        )
    return 0


@command(
    "events",
    short="Print the audit log.",
    example=("trueup events --position 7", "trueup events --type PHANTOM_POSITION_CLOSED --json --follow"),
    exits=("0  printed", "1  the store did not answer", "2  usage or configuration error", "130  --follow was stopped"),
    json=True,
)
async def events(
    call: Call,
    position: Annotated[int | None, typer.Option("--position", min=1, help="Only this position.", metavar="ID")] = None,
    account: Annotated[str | None, typer.Option("--account", help="Only this account.", metavar="NAME")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only this type of event.", metavar="TYPE")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what comes.")] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=0, help="Only the newest N; 0: all.  [default: 50, with --json all]", metavar="N"),
    ] = None,
) -> int:
    """
    Prints the audit log, oldest first: every change of the book, every doubt, every decision, written in the same
    transaction as what it tells. With --json each event is one object a line.
    """
    kind = _event_type(type_)
    shown = (None if call.options.json else _SHOWN_EVENTS) if limit is None else (limit or None)
    async with call.open() as services:
        found = await services.events(account=account, position_id=position, type=kind, after_id=0, limit=shown)
        if not follow:
            _check_known(call, account, found)
        if not found and not follow and not call.options.json:
            call.out.text("No such event has been recorded." if position or kind else "Nothing has been recorded yet.")
        _print_events(call, found)
        if not call.options.json and not follow and limit is None and len(found) == _SHOWN_EVENTS:
            call.out.note(f"The newest {_SHOWN_EVENTS}; --limit 0 shows all.")
        last = found[-1].event_id if found else 0
        while follow and call.out.is_read:
            await call.sleep(_POLL_S)
            last = await _print_new(call, services, last, account=account, position=position, kind=kind)
    return 0


async def _print_new(
    call: Call, services: Services, last: int, *, account: str | None, position: int | None, kind: str | None
) -> int:
    found = await services.events(account=account, position_id=position, type=kind, after_id=last, limit=None)
    _print_events(call, found)
    return found[-1].event_id if found else last


def _print_events(call: Call, found: Sequence[Event]) -> None:
    if call.options.json:
        from trueup.cli.render_json import event_json

        for event in found:
            call.out.json(event_json(event), one_line=True)
        return
    from trueup.cli.screens.events import event_lines

    for event in found:
        call.out.lines(event_lines(event, now_ms=call.now_ms(), width=call.out.width))


def _event_type(written: str | None) -> str | None:
    if written is None:
        return None
    from trueup.config.fields import did_you_mean
    from trueup.model.errors import ConfigurationError
    from trueup.model.events import EventType

    name = written.upper()
    if name in set(EventType):
        return name
    near = did_you_mean(name, [kind.value for kind in EventType])
    hint = f"; did you mean {near}?" if near else f"; there are: {', '.join(EventType)}"
    raise ConfigurationError(f"--type {written}: no such type of event{hint}")


@command(
    "explain",
    short="Say why a position is as it is.",
    example=("trueup explain 7", "trueup explain 7 --json"),
    exits=("0  explained", "1  the store did not answer", "2  there is no such position, or a configuration error"),
    json=True,
)
async def explain(
    call: Call,
    position_id: Annotated[int, typer.Argument(help="As `trueup positions` shows it.", metavar="POSITION_ID", min=1)],
) -> int:
    """
    Says why a position is as it is: every change that was made to it, in order, and the evidence that each was decided
    on. --verbose adds the recorded data.
    """
    async with call.open() as services:
        explanation = await services.explain(position_id)
    if call.options.json:
        from trueup.cli.render_json import explanation_json

        call.out.json(explanation_json(explanation))
    else:
        from trueup.cli.screens.explain import explain_screen

        call.out.lines(
            explain_screen(explanation, verbose=call.options.verbose, now_ms=call.now_ms(), width=call.out.width)
        )
    return 0


@command(
    "replay",
    short="Decide the recorded observations again.",
    example=("trueup replay", "trueup replay --since 2026-01-31T00:00:00Z"),
    exits=(
        "0  every decision is made again",
        "1  the store did not answer",
        "2  usage error",
        "3  some decision differs",
    ),
    json=True,
)
async def replay(
    call: Call,
    since: Annotated[
        str | None, typer.Option("--since", help="Only decisions from then on, RFC 3339.", metavar="TIME")
    ] = None,
) -> int:
    """
    Every close, correction and adoption is kept with what it was decided on. This decides all of it again with the
    program as it is now and reports each difference. Nothing is written and no venue is asked.
    """
    from trueup.model.errors import Unreadable
    from trueup.model.times import parse_time

    try:
        since_ms = parse_time(since, "--since") if since is not None else 0
    except Unreadable as error:
        raise typer.BadParameter(str(error)) from error
    async with call.open() as services:
        result = await services.replay(since_ms)
    if call.options.json:
        from trueup.cli.render_json import replay_json

        call.out.json(replay_json(result))
    else:
        from trueup.cli.screens.explain import replay_screen

        call.out.lines(replay_screen(result, now_ms=call.now_ms()))
    return 3 if result.differences else 0
