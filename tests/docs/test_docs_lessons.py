"""docs/lessons.md is what the markers of the lessons' tests say, and every lesson has its test."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.lessons import FOLDER, LESSONS, PAGE, lesson, page, shown


def test_the_page_is_what_the_markers_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.support.lessons --write"


def test_every_lesson_has_its_test_on_both_venues_or_a_reason() -> None:
    assert [known.number for known in LESSONS] == list(range(1, 29))
    venues: dict[int, set[str]] = {}
    for one in shown():
        venues.setdefault(one.number, set()).update({"binanceusdm", "bybit"} if one.why else one.venues)
    assert sorted(venues) == [known.number for known in LESSONS]
    assert all(both == {"binanceusdm", "bybit"} for both in venues.values())


def test_a_name_tells_the_number_and_every_test_bears_the_marker() -> None:
    told = {(one.path.rsplit("/", 1)[-1], one.test): one.number for one in shown()}
    for file in FOLDER.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                named = re.match(r"test_lesson_(\d\d)_", node.name)
                assert named is not None, f"{file.name}: {node.name}"
                assert told.get((file.name, node.name)) == int(named.group(1)), f"{file.name}: {node.name}"


def test_a_marker_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="lessons 1 to 28"):
        lesson(29)
    with pytest.raises(ValueError, match="reason"):
        lesson(4, only="bybit")
    with pytest.raises(ValueError, match="reason"):
        lesson(4, why="no venue has it")
