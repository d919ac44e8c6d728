"""A whole process: `trueup` over services that wait where they are told to, for signals, pipes and terminals.

Called as `python cli_process.py PLACE WORDS…`; PLACE is where it waits: ``loading`` (before anything is imported),
``settings`` (a slow, blocking start), ``opening`` (services being opened), ``running`` (in the command itself),
``stopping`` (its clean-up takes a while), ``nowhere``.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trueup.cli.signals import exit_quietly_while_starting

PLACE = sys.argv[1]
exit_quietly_while_starting(sys.argv[2:])


def here(place: str) -> None:
    print(f"at {place}", file=sys.stderr, flush=True)


if PLACE == "loading":
    here("loading")
    time.sleep(60)

from cli_fakes import FakeServices  # noqa: E402 - what is waited for above is this loading
from cli_samples import event, position  # noqa: E402

from trueup.cli import build_app  # noqa: E402
from trueup.config import Settings  # noqa: E402

services = FakeServices(book=[position()], log=[event(event_id=number) for number in range(1, 5001)])


async def working(**_arguments: object) -> None:
    here("running")
    try:
        await asyncio.sleep(60)
    finally:
        if PLACE == "stopping":
            here("stopping")
            await asyncio.sleep(0.5)
        print("cleaned up", file=sys.stderr, flush=True)


@asynccontextmanager
async def open_services(settings: Settings | None) -> AsyncIterator[FakeServices]:
    if PLACE == "settings":
        here("settings")
        time.sleep(1)  # noqa: ASYNC251 - a blocking start, such as a large import
        await asyncio.sleep(0)
    if PLACE == "opening":
        here("opening")
        await asyncio.sleep(60)
    async with services.open(settings):
        yield services


if PLACE in ("running", "stopping"):
    services.on |= {"run": working, "sync": working, "demo": working, "venue_serve": working}

build_app(open_services)(sys.argv[2:], prog_name="trueup")
