"""What an audit that finds nothing may cost, counted and not timed: the same on every machine.

Each count is taken at two sizes; what is asked is how it grows, and that it did not grow since somebody looked.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from structlog.testing import capture_logs

from bench.holdings import ACCOUNT, Holdings, hold
from bench.looking import Looking
from trueup.engine.board import Board
from trueup.engine.settings import Timing
from trueup.engine.work import AccountWork, PassOptions
from trueup.model.decimals import decimal_text
from trueup.model.times import time_text
from trueup.sim.world.types import Venue
from trueup.store import embedded, open_store

SMALL, LARGE = 200, 1_200
CALLS = {"binance": (2.1, 7.2), "bybit": (2.2, 7.3)}
"""Of Python functions and of built-in ones, a position, at most."""
STATEMENTS = 2
"""Of a look: what stands of the account, and its rows."""
PASS_STATEMENTS = STATEMENTS + 1
"""A pass asks once more what stands, after what it did."""

MEND = (
    "The audit that finds nothing does more for each position than it did. Profile it (python -m cProfile -m bench --raw audit), "
    "take out what such an audit does not need, or raise the bound here together with the figures in docs/figures.md."
)


def looking_at(venue: Venue, count: int) -> tuple[Looking, asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    looking = Looking(hold(venue, count))
    for _ in range(2):  # what a process does once, and what an answer before leaves behind
        loop.run_until_complete(looking.look())
    return looking, loop


def end(looking: Looking, loop: asyncio.AbstractEventLoop) -> None:
    loop.run_until_complete(looking.aclose())
    loop.close()


def calls_of(act: Callable[[], object]) -> tuple[int, int]:
    """How many Python functions and how many built-in ones it calls."""
    counts = {"call": 0, "c_call": 0}

    def count(_: FrameType, event: str, __: object) -> None:
        if event in counts:
            counts[event] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(before)
    return counts["call"], counts["c_call"]


@pytest.mark.parametrize("venue", ["binance", "bybit"])
def test_few_functions_are_called_for_a_position(venue: Venue) -> None:
    found = []
    for size in (SMALL, LARGE):
        looking, loop = looking_at(venue, size)
        found.append(calls_of(lambda: loop.run_until_complete(looking.look())))  # noqa: B023 - called at once
        end(looking, loop)
    python, built_in = ((large - small) / (LARGE - SMALL) for small, large in zip(*found, strict=True))
    assert python <= CALLS[venue][0], f"{python:.2f} calls of Python functions a position. {MEND}"
    assert built_in <= CALLS[venue][1], f"{built_in:.2f} calls of built-in functions a position. {MEND}"


@pytest.mark.parametrize(("venue", "least", "page"), [("binance", 1, 10**9), ("bybit", 3, 200)])
def test_an_audit_is_one_request_a_page(venue: Venue, least: int, page: int) -> None:
    for size in (SMALL, LARGE):
        looking, loop = looking_at(venue, size)
        before = looking.client.requests
        loop.run_until_complete(looking.look())
        asked = looking.client.requests - before
        end(looking, loop)
        pages = -(-size // page)
        assert asked == least - 1 + pages, f"{asked} requests for {size} positions. No call may grow with positions."


def insert(file: Path, holdings: Holdings) -> None:
    """The rows as a bot writes them."""
    with sqlite3.connect(file) as book:
        for row in holdings.book:
            at = time_text((row.venue_updated_at_ms or 0) + 1)
            book.execute(
                "INSERT INTO positions (account, exchange, symbol, side, entry_price, quantity, status, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, 'active', ?, ?)",
                (
                    ACCOUNT,
                    row.venue,
                    row.symbol,
                    row.side.value,
                    str(row.entry_price),
                    decimal_text(row.quantity),
                    at,
                    at,
                ),
            )


async def statements_of(folder: Path, count: int, patch: pytest.MonkeyPatch) -> tuple[int, int]:
    """SQL statements (each a change of thread) of the first look, which verifies every row, and of the next: it finds nothing."""
    holdings = hold("binance", count)
    file = folder / f"book-{count}.db"
    store = open_store(f"sqlite:///{file}")
    await store.open()
    insert(file, holdings)
    looking = Looking(holdings, store)
    counts: list[int] = []

    plain = embedded.Connection.run

    async def counted(self: embedded.Connection, *given: Any) -> Any:
        counts[-1] += 1
        return await plain(self, *given)

    with patch.context() as patched:
        patched.setattr(embedded.Connection, "run", counted)
        for act in (looking.first, looking.look):
            counts.append(0)
            look: Callable[[], Coroutine[Any, Any, object]] = act
            await look()
    await looking.aclose()
    await store.aclose()
    return counts[0], counts[1]


async def test_the_statements_of_an_audit_do_not_grow_with_positions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = await statements_of(tmp_path, 3, monkeypatch), await statements_of(tmp_path, 60, monkeypatch)
    why = f"{few} statements with 3 positions, {many} with 60 (first look, then one that finds nothing). {MEND}"
    assert few == many, why
    assert many[1] == STATEMENTS, why


async def test_a_pass_of_the_daemon_that_finds_nothing_is_three_statements_and_one_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the supervisor runs it: notices are told beside it, states are gathered, nothing is announced."""
    holdings = hold("binance", 20)
    file = tmp_path / "book.db"
    store = open_store(f"sqlite:///{file}")
    await store.open()
    insert(file, holdings)
    looking = Looking(holdings, store)
    work = AccountWork(looking.plan, Timing(audit_interval_s=30), looking.venue, store, looking.clock)
    work.tells_beside, work.board = True, _Gathering(store)
    owner = await store.claim(ACCOUNT, "bench", 60.0)
    options = PassOptions(confirm=False, orders=False, announce=False, due_effects_only=True)
    looking.client.looks += 1
    await work.run_pass(owner, options, lambda _: None)
    sent: list[str] = []
    plain = embedded.Connection.run

    async def counted(self: embedded.Connection, method: Any, text: str, parameters: Any) -> Any:
        sent.append(text)
        return await plain(self, method, text, parameters)

    looking.client.looks += 1
    asked = looking.client.requests
    with monkeypatch.context() as patched, capture_logs() as logged:
        patched.setattr(embedded.Connection, "run", counted)
        report = await work.run_pass(owner, options, lambda _: None)
    asked = looking.client.requests - asked
    await looking.aclose()
    await store.aclose()
    assert (len(report.verified), report.has_drift) == (20, False)
    assert (len(sent), asked, logged) == (PASS_STATEMENTS, 1, []), (sent, MEND)


class _Gathering(Board):
    """A daemon's, which writes the states of all accounts together."""

    async def post(self, account: str, state: str, at_ms: int) -> None:
        self.posted = (account, state, at_ms)
