"""Compares what a wire produces with a recorded payload: the keys and value types, never the values.

A path is written `result.list[].orderId`. Deliberate differences are a table of path and reason; one that no longer
occurs is reported too, so the table cannot rot.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "TRUEUP_FIXTURES"


def recorded(venue_folder: str, name: str) -> Any:
    """A recorded payload; skips the test, saying so, when the folder is not given."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} is not set: no recorded payloads to compare with")
    return json.loads((Path(folder) / venue_folder / name).read_text())


def type_of(value: Any) -> str:
    """The JSON type of a value; integers and fractions apart."""
    names = {bool: "bool", int: "int", float: "float", str: "str", list: "list", dict: "dict", type(None): "null"}
    return names[type(value)]


def shape(value: Any) -> dict[str, set[str]]:
    """Every path of a payload with the types that stand there."""
    found: dict[str, set[str]] = {}
    _walk(value, "", found)
    return found


def _walk(value: Any, path: str, found: dict[str, set[str]]) -> None:
    found.setdefault(path, set()).add(type_of(value))
    if isinstance(value, dict):
        for name, item in value.items():
            _walk(item, f"{path}.{name}" if path else name, found)
    elif isinstance(value, list):
        for item in value:
            _walk(item, f"{path}[]", found)


def differences(expected: Any, produced: Any) -> dict[str, str]:
    """By path, what the produced payload lacks of the recorded one or writes as another type; extra keys are fine."""
    wanted, given = shape(expected), shape(produced)
    found = {}
    for path, types in wanted.items():
        if path not in given:
            if _parent_has_rows(path, given):
                found[path] = f"missing, recorded as {'/'.join(sorted(types))}"
        elif not given[path] <= types:
            found[path] = f"{'/'.join(sorted(given[path]))}, recorded as {'/'.join(sorted(types))}"
    return found


def _parent_has_rows(path: str, given: Mapping[str, set[str]]) -> bool:
    """False when the path's own container is missing: that is reported once, at the container."""
    parent = path.removesuffix("[]") if path.endswith("[]") else path.rpartition(".")[0]
    return parent == "" or parent in given


def assert_same_shape(expected: Any, produced: Any, deliberate: Mapping[str, str] | None = None) -> None:
    """Fails on every difference that the table of deliberate ones does not name, and on names that do not occur."""
    found = differences(expected, produced)
    known = deliberate or {}
    unexpected = {path: text for path, text in found.items() if path not in known}
    stale = sorted(path for path in known if path not in found)
    assert not unexpected, f"the produced payload differs from the recorded one: {unexpected}"
    assert not stale, f"deliberate differences that do not occur (remove them): {stale}"
