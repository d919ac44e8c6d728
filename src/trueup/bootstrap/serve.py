"""`trueup venue serve`: the simulated venue alone, and what a person needs to point a bot at it."""

from __future__ import annotations

from pathlib import Path

from trueup.cli.services import Say
from trueup.sim.server import VenueServer, serve

__all__ = ["serve_venue"]


async def serve_venue(host: str, port: int, scenario: Path | None, say: Say) -> None:
    """Until it is cancelled. Says the addresses and the demo keys, then each step of the scenario."""

    def ready(server: VenueServer) -> None:
        say(f"REST     {server.rest_url}")
        say(f"streams  {server.ws_url}")
        say(f"control  {server.control_url}")
        for account in server.world.accounts():
            say(f"account  {account.name} ({account.venue})  key {account.api_key}  secret {account.api_secret}")
        say(f"look     curl {server.control_url}/state    stop with ctrl-c")

    await serve(host, port, scenario=scenario, positions=2, ready=ready, report=say)
