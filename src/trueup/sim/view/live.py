"""Shows the served world until it is stopped: a screen that is drawn anew on a terminal, plain lines elsewhere.

1. A terminal gets its own screen back when the view ends, however it ends.
2. Plain lines lose nothing that happened between two looks, unless more than the kept lines did; then they say so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live

from trueup.sim.server import VenueServer
from trueup.sim.view.happenings import Happenings
from trueup.sim.view.screen import screen
from trueup.sim.view.snapshot import take
from trueup.sim.view.words import clock_text

_DRAW_EVERY_S = 0.25
_COUNT_EVERY_S = 10.0


async def watch(server: VenueServer, happenings: Happenings, console: Console) -> None:
    """Draws the screen of a terminal until it is cancelled."""
    started = time.monotonic()
    with Live(console=console, screen=True, auto_refresh=False, transient=True) as live:
        while True:
            happenings.look()
            shot = take(server, happenings, round(time.monotonic() - started))
            size = console.size
            live.update(screen(shot, size.width, size.height, ascii_only=console.options.ascii_only), refresh=True)
            await asyncio.sleep(_DRAW_EVERY_S)


async def tell(server: VenueServer, happenings: Happenings, say: Callable[[str], None]) -> None:
    """Says what happens, line by line, and every ten seconds how much was asked, until it is cancelled."""
    told, counted, next_count = 0, 0, time.monotonic() + _COUNT_EVERY_S
    try:
        while True:
            await asyncio.sleep(_DRAW_EVERY_S)
            told = _tell_since(happenings, told, say)
            if time.monotonic() >= next_count:
                next_count += _COUNT_EVERY_S
                counted = _count(server, counted, say)
    finally:
        _tell_since(happenings, told, say)


def _tell_since(happenings: Happenings, told: int, say: Callable[[str], None]) -> int:
    happenings.look()
    lines = happenings.since(told)
    if lines and lines[0].number > told + 1:
        say(f"({lines[0].number - told - 1} lines left out: too much happened at once)")
    for line in lines:
        say(f"{clock_text(line.at_ms)}  {line.who}  {line.text}")
    return lines[-1].number if lines else told


def _count(server: VenueServer, counted: int, say: Callable[[str], None]) -> int:
    total = server.front.journal.total
    if total > counted:
        now = clock_text(server.world.now_ms())
        say(f"{now}  requests  {total - counted} in {_COUNT_EVERY_S:g} s, {total} in all")
    return total
