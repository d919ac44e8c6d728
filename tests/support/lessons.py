"""The lessons: situations in which the leading public bots go wrong, and the tests that show what trueup does in each.

1. A lesson's test is named ``test_lesson_NN_…``, bears `@lesson(NN)`, and stands in tests/e2e/lessons.
2. It runs once a venue; where a situation exists on one venue only, the marker says which and why.
3. docs/lessons.md is written from the markers (``python -m tests.support.lessons --write``); a test holds it to them.

A new lesson's test needs nothing but the decorator and a new writing of the page.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar

import pytest

__all__ = ["FOLDER", "LESSONS", "PAGE", "Lesson", "Shown", "lesson", "page", "shown"]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "e2e" / "lessons"
PAGE = ROOT / "docs" / "lessons.md"

_IDS = {"binanceusdm": "binance", "bybit": "bybit"}
_NAMES = {"binanceusdm": "Binance", "bybit": "Bybit"}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Lesson:
    """One situation: what happens elsewhere, and what must happen here."""

    number: int
    situation: str
    elsewhere: str
    here: str


LESSONS = (
    Lesson(
        1,
        "the positions call fails: 503, rate limit, HTML, half a JSON",
        "adapters return an empty list, which is read as flat: the book is wiped",
        "unobserved: nothing of the account changes, the operator is told, exit 4",
    ),
    Lesson(
        2,
        "an answer is empty once, or stays so",
        "closed on first sight, then never adopted again",
        "absence alone closes nothing before time, a second surface and the history confirm it",
    ),
    Lesson(
        3,
        "many positions vanish at once without any fill",
        "all are closed",
        "held as one decision for a person; closes that fills prove go through beside it",
    ),
    Lesson(
        4,
        "closed on the venue behind the bot's back",
        "booked at the entry price with PnL 0, though the fill is in the venue's history",
        "exact exit price, PnL, fees, funding and reason, from the best evidence that there is",
    ),
    Lesson(
        5,
        "reduced on the venue by somebody else",
        "the quantity is right, the realised PnL is 0",
        "both are right",
    ),
    Lesson(
        6,
        "turned from long to short between two looks",
        "one PnL is lost, or both legs are kept",
        "the old one is closed with its PnL, the new one opened",
    ),
    Lesson(
        7,
        "closed and reopened with the same size between two looks",
        "unseen",
        "told by fills and opening time: lifecycles of their own",
    ),
    Lesson(
        8,
        "the same quantity at another entry price",
        "never corrected",
        "corrected, with an event",
    ),
    Lesson(
        9,
        "hedge mode",
        "keyed by symbol: legs collapse, the wrong leg is repaired",
        "the key is account, instrument and side",
    ),
    Lesson(
        10,
        "a fill arrives while a snapshot is in flight",
        "the older snapshot overwrites it",
        "a snapshot speaks only for the time before its request; nothing decided before an await is trusted after it",
    ),
    Lesson(
        11,
        "opened by hand on the venue",
        "refused, or given up after three tries",
        "adopted, held or ignored as the operator chose; never given a stop that nobody asked for",
    ),
    Lesson(
        12,
        "no price is known",
        "the position is booked at 0.0",
        "unknown stays unknown, never zero",
    ),
    Lesson(
        13,
        'a stop\'s cancel answers "not found"',
        "taken as cancelled: stops pile up to the venue's limit",
        "believed only after both order lists and the history were read; what piled up is swept to one",
    ),
    Lesson(
        14,
        "a stop is replaced",
        "cancelled, then created: naked in between",
        "the new one first, then the old one",
    ),
    Lesson(
        15,
        "a stop is left over after an external close",
        "it stays, and later opens or closes something",
        "a durable effect, tried again until the venue shows it gone, and counted",
    ),
    Lesson(
        16,
        "cleaning up for a closed position while its symbol was reopened",
        "the new position's stop is killed",
        "only orders of the closed lifecycle are cancelled",
    ),
    Lesson(
        17,
        "the bot restarts",
        "positions are without stop, take-profit or trailing peak",
        "protection is state in the store, not in memory",
    ),
    Lesson(
        18,
        "a repair does not take",
        "it is repeated for ever, or called a success",
        "verified afterwards; bounded attempts, then escalated",
    ),
    Lesson(
        19,
        "liquidation, ADL, settlement",
        '"sold on exchange"',
        "named, with their own fills",
    ),
    Lesson(
        20,
        "funding rows in the fill history",
        "counted as fills: the position grows",
        "money, not quantity",
    ),
    Lesson(
        21,
        "a `closePosition` stop has no quantity",
        "dropped on restart, then doubled",
        "understood as full cover",
    ),
    Lesson(
        22,
        "the clocks differ (-1021, 10002)",
        "sent again blindly",
        "the skew is measured and corrected, and said",
    ),
    Lesson(
        23,
        "a crash between closing and cleaning up",
        "the cleanup is forgotten",
        "a close and its effects are one transaction; effects are idempotent",
    ),
    Lesson(
        24,
        "the key belongs to another account (a sub-account, the testnet)",
        "clean answers, all flat: the book is wiped",
        "the identity is pinned; nothing changes",
    ),
    Lesson(
        25,
        "the bot wrote its row before the fill is visible",
        "closed as a phantom at once",
        "young rows are left alone",
    ),
    Lesson(
        26,
        "somebody's stop *entry* on the symbol",
        "swept as a stray stop",
        "only orders with close semantics of the ended lifecycle are ours to cancel",
    ),
    Lesson(
        27,
        "a stop beyond the liquidation price",
        "counted as protection",
        "named: not cover",
    ),
    Lesson(
        28,
        "two processes on one account",
        "both act",
        "one owner at a time; the store refuses a stale owner's write",
    ),
)


def lesson(number: int, *, only: str | None = None, why: str = "", words: str = "") -> Callable[[F], F]:
    """Marks a test as showing that lesson, and runs it with `venue` as either, or as `only` that one.

    Args:
        only: A ccxt exchange id: the one venue on which the situation exists; then `why` says why.
        words: What this test shows of the lesson, where the lesson has several.
    """
    if number not in {known.number for known in LESSONS}:
        raise ValueError(f"lesson {number}: there are lessons 1 to {len(LESSONS)}")
    if (only is None) == bool(why):
        raise ValueError(f"lesson {number}: one venue only needs a reason, both venues need none")
    venues = list(_IDS) if only is None else [only]

    def mark(test: F) -> F:
        test = pytest.mark.parametrize("venue", venues, ids=[_IDS[venue] for venue in venues])(test)
        return pytest.mark.lesson(number=number, venues=tuple(venues), why=why, words=words)(test)  # type: ignore[no-any-return]

    return mark


@dataclass(frozen=True)
class Shown:
    """A test that shows a lesson."""

    number: int
    test: str
    path: str
    venues: tuple[str, ...]
    why: str
    words: str


def shown() -> list[Shown]:
    """Every test of the folder that bears the marker, by number, then as the modules have them."""
    found = [one for file in sorted(FOLDER.glob("test_*.py")) for one in _of(file)]
    return sorted(found, key=lambda one: one.number)


def _of(file: Path) -> Iterator[Shown]:
    for name, value in vars(_module(file)).items():
        if not isinstance(value, FunctionType) or not name.startswith("test_"):
            continue
        for mark in getattr(value, "pytestmark", ()):
            if mark.name == "lesson":
                yield Shown(test=name, path=str(file.relative_to(ROOT)), **mark.kwargs)


def _module(file: Path) -> ModuleType:
    """The module, loaded under a name of its own: test folders are no packages."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location(f"_lessons_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_HEAD = """\
# Lessons

Situations in which the leading public trading bots and engines go wrong, what trueup does in each, and the test that shows it.
Every test runs the real engine, and where it matters the real command or daemon, against a [served venue](venue.md) with a real
database; what it asserts is the book, the venue's own record of orders and fills, the events and the exit code. A test runs on
both venues unless it says otherwise.

This page is written by `python -m tests.support.lessons --write` from the markers in `tests/e2e/lessons`.

| # | situation | elsewhere | here | tests |
|---|---|---|---|---|
"""


def page() -> str:
    """docs/lessons.md as the markers have it."""
    by_number: dict[int, list[Shown]] = {}
    for one in shown():
        by_number.setdefault(one.number, []).append(one)
    rows = [
        f"| {known.number} | {known.situation} | {known.elsewhere} | {known.here} | {_cell(by_number.get(known.number, []))} |"
        for known in LESSONS
    ]
    return _HEAD + "\n".join(rows) + "\n"


def _cell(tests: list[Shown]) -> str:
    return "<br>".join(map(_told, tests)) if tests else "none yet"


def _told(one: Shown) -> str:
    words = f": {one.words}" if one.words else ""
    where = f" ({', '.join(_NAMES[venue] for venue in one.venues)} only: {one.why})" if one.why else ""
    return f"[`{one.test}`](../{one.path}){words}{where}"


def main(arguments: list[str]) -> int:
    """Writes the page with ``--write``; else says whether it is as it should be."""
    if arguments == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if arguments:
        print("usage: python -m tests.support.lessons [--write]", file=sys.stderr)
        return 2
    same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
    if not same:
        print("docs/lessons.md differs from the markers: run python -m tests.support.lessons --write", file=sys.stderr)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
