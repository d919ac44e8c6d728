"""`trueup venue serve`: the simulated venue alone, what a person needs to point a bot at it, and the view of it."""

from __future__ import annotations

import asyncio
import errno
import os
import sys

from trueup.cli.services import Say, VenueOptions
from trueup.model.errors import ConfigurationError, Transient
from trueup.sim.scenario import BadScenario
from trueup.sim.server import VenueServer, serve
from trueup.sim.view import Happenings, tell, watch

__all__ = ["serve_venue"]

_HIGHEST_PORT = 65_535


async def serve_venue(options: VenueOptions, say: Say) -> None:
    """Until it is cancelled. Says the addresses and the keys; then shows the world, or tells what happens in it.

    Raises:
        ConfigurationError: The scenario or the number of positions cannot be meant.
        Transient: A port is taken, or cannot be bound.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(_serve(options, say, group))


async def _serve(options: VenueOptions, say: Say, group: asyncio.TaskGroup) -> None:
    told: list[Happenings] = []

    def ready(server: VenueServer) -> None:
        told.append(Happenings(server.front))
        _introduce(server, say)
        view = _on_screen(server, told[0]) if options.view and _has_screen() else tell(server, told[0], say)
        group.create_task(view)

    try:
        await serve(
            options.host,
            options.port,
            control_port=_control_port(options),
            scenario=options.scenario,
            positions=options.positions,
            seed=options.seed,
            clock_offset_ms=options.clock_offset_ms,
            ready=ready,
            report=lambda text: told[0].tell("scenario", text),
        )
    except BadScenario as error:
        raise ConfigurationError(str(error)) from error
    except OSError as error:
        raise Transient(_not_bound(options, error)) from error


def _control_port(options: VenueOptions) -> int:
    if options.control_port is not None:
        return options.control_port
    return options.port + 1 if 0 < options.port < _HIGHEST_PORT else 0


def _not_bound(options: VenueOptions, error: OSError) -> str:
    ports = f"{options.port} and {_control_port(options)}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{options.host}, ports {ports}: one is taken; choose others with --port and --control-port (0: free ones)"
        )
    return f"{options.host}, ports {ports}: cannot listen: {error.strerror or error}"


def _introduce(server: VenueServer, say: Say) -> None:
    say(f"REST     {server.rest_url}")
    say(f"streams  {server.ws_url}")
    say(f"control  {server.control_url}")
    for account in server.world.accounts():
        say(f"account  {account.name} ({account.venue})  key {account.api_key}  secret {account.api_secret}")
    say(f"look     curl {server.control_url}/state    stop with ctrl-c")


def _has_screen() -> bool:
    """A real terminal: FORCE_COLOR makes none of a pipe."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


async def _on_screen(server: VenueServer, happenings: Happenings) -> None:
    from rich.console import Console

    await watch(server, happenings, Console(highlight=False, markup=False, emoji=False))
