"""docs/origin.md cannot rot: every name on it exists, and every point of the report that it grew from stands there."""

from __future__ import annotations

import ast
import asyncio
import functools
import re
import signal
from pathlib import Path

from docs_pages import ROOT, SOURCE, codes, rows, section, text_of

from tests.support.bench import open_bench
from trueup.model.positions import Evidence, ExitReason, PositionStatus

PAGE = "docs/origin.md"
NAMED = re.compile(r"([\w/]+\.py)(?:::([\w.]+))?")
POINTS = {
    "1. Detection of closed positions": [f"1.{n}" for n in range(1, 12)],
    "2. Closing positions in the database": [f"2.{n}" for n in range(1, 10)],
    "3. Removal from the cache": [f"3.{n}" for n in range(1, 6)],
    "4. Stopping the monitoring": [f"4.{n}" for n in range(1, 9)],
    "The flow of a closed position": ["F.1", "F.2", "F.3"],
    "Key implementation details": ["K.1", "K.2", "K.3"],
    "Issues and edge cases": ["ISSUE 1", "ISSUE 2", "ISSUE 3", "ISSUE 3, the symbol is reopened quickly"],
    "Testing coverage": [f"T.{n}" for n in range(1, 6)],
    "Events": [
        "`PHANTOM_POSITION_DETECTED`",
        "`PHANTOM_POSITION_CLOSED`",
        "`TRAILING_STOP_REMOVED`",
        "`ORPHANED_SL_CLEANED`",
        "`POSITIONS_LOADED`",
    ],
    "The summary table": [
        "Detect closed positions",
        "Close in DB",
        "Remove from cache",
        "Stop monitoring",
        "Symbol normalization",
        "3-phase validation",
        "Event logging",
        "Race condition handling",
        "Error recovery",
        "Partial failure handling",
    ],
    "Recommendations": ["R.1", "R.2", "R.3", "R.4"],
    "Nuances of its summary and conclusion": ["N.1", "N.2", "N.3", "N.4"],
}


@functools.cache
def _names_in(path: Path) -> frozenset[str]:
    """Functions, classes, methods (``Class.method``) and constants of a module."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
            found.update(f"{node.name}.{item.name}" for item in inner)
    return frozenset(found)


def _problem(code: str, base: Path) -> str | None:
    found = NAMED.fullmatch(code)
    if found is None:
        return f"{code}: not of the form file.py::name"
    path = base / found.group(1)
    if not path.is_file():
        return f"{code}: no such file in {base.relative_to(ROOT)}"
    if found.group(2) is None:
        return f"{code}: names no function"
    return None if found.group(2) in _names_in(path) else f"{code}: the file has no such name"


def test_every_name_exists() -> None:
    problems = []
    for cells in (cells for heading in POINTS for cells in rows(section(PAGE, heading))):
        *_, code, tests = cells
        assert codes(code), f"no code: {cells}"
        assert codes(tests), f"no test: {cells}"
        problems += [_problem(one, SOURCE) for one in codes(code)]
        problems += [_problem(one, ROOT / "tests") for one in codes(tests)]
        problems += [f"{one}: no test" for one in codes(tests) if not one.rpartition("::")[2].startswith("test_")]
    for one in codes(section(PAGE, "Departures")):
        if one.endswith(".py") or ".py::" in one:
            problems.append(_problem(one, SOURCE))
    assert [problem for problem in problems if problem is not None] == []


def test_every_point_of_the_report_stands_there() -> None:
    for heading, points in POINTS.items():
        assert [cells[0] for cells in rows(section(PAGE, heading))] == points, heading


def test_every_departure_is_referred_to() -> None:
    letters = re.findall(r"^### ([A-Z])\. ", text_of(PAGE), re.MULTILINE)
    assert letters == list("ABCDEFGH")
    assert set(re.findall(r"departure \[([A-Z])\]", text_of(PAGE))) == set(letters)


def test_the_lifecycle_page_names_every_state_and_reason() -> None:
    page = "docs/lifecycle.md"
    assert {codes(cells[0])[0] for cells in rows(section(page, "States"))} == set(PositionStatus)
    reasons = {code for cells in rows(section(page, "Reasons (`exit_reason`)")) for code in codes(cells[0])}
    assert reasons == set(ExitReason)
    graded = [codes(cells[0])[0] for cells in rows(section(page, "Evidence of a close, best first"))]
    assert graded == list(Evidence)


async def test_the_daemon_tells_what_it_loaded(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        name = bench.account("main", "bybit")
        bench.world.open_position(name, "ETHUSDT", "long", "2")
        await bench.sync_report(name, 0)
        daemon = await bench.start("run")
        for _ in range(300):
            loaded = [row for row in bench.rows("events") if row["type"] == "POSITIONS_LOADED"]
            if loaded:
                break
            await asyncio.sleep(0.1)
        daemon.send_signal(signal.SIGTERM)
        await asyncio.wait_for(daemon.communicate(), 30)
        [event] = await bench.events("POSITIONS_LOADED")
        assert event["severity"] == "info"
        assert event["data"] == {"count": 1, "total_exposure": "6000.00000"}
