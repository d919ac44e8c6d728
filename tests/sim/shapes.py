"""Compares what a wire writes with recorded payloads of the same kind: keys and types of values, not values.

A shape is what types stand at which path; rows of a list share the path `[]`. Where several payloads of a kind were
recorded, a key is wanted only if all of them have it, and any of their types will do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Shape = dict[str, set[str]]

_UNSET = "TRUEUP_FIXTURES is not set: the recorded payloads are not at hand"


def recorded(*parts: str) -> Any:
    """A recorded payload; skips the test, saying so, where the folder is not named."""
    import pytest

    folder = os.environ.get("TRUEUP_FIXTURES")
    if not folder:
        pytest.skip(_UNSET)
    return json.loads(Path(folder, *parts).read_text(encoding="utf-8"))


def shape_of(value: Any, path: str = "") -> Shape:
    """Types by path; the path of the root is empty."""
    found: Shape = {path: {_type(value)}}
    if isinstance(value, dict):
        for key, inner in value.items():
            _merge(found, shape_of(inner, f"{path}.{key}" if path else key))
    elif isinstance(value, list):
        for row in value:
            _merge(found, shape_of(row, f"{path}[]"))
    return found


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "list", dict: "object"}[type(value)]


def _merge(into: Shape, more: Shape) -> None:
    for path, types in more.items():
        into.setdefault(path, set()).update(types)


def differences(recordings: Iterable[Any], produced: Any) -> dict[str, str]:
    """By path: `missing`, `extra`, or the types that differ. Empty lists on either side say nothing of their rows."""
    shapes = [shape_of(each) for each in recordings]
    written = shape_of(produced)
    known: Shape = {}
    for shape in shapes:
        _merge(known, shape)
    found = {}
    for path, types in known.items():
        everywhere = all(path in shape or not _parent_in(path, shape) for shape in shapes)
        if path not in written:
            if everywhere and _parent_in(path, written):
                found[path] = "missing"
        elif not written[path] <= types:
            found[path] = f"{'/'.join(sorted(written[path]))} instead of {'/'.join(sorted(types))}"
    for path in written:
        if path not in known and _parent_in(path, known):
            found[path] = "extra"
    return found


def _parent_in(path: str, shape: Shape) -> bool:
    """Whether the object or list that holds the path is there at all."""
    parent = path[:-2] if path.endswith("[]") else path.rpartition(".")[0]
    if path.endswith("[]"):
        return any(other.startswith(path) for other in shape)
    return parent in shape


def unexplained(found: Mapping[str, str], allowed: Mapping[str, str]) -> dict[str, str]:
    """Differences that no reason is given for; a reason for a path holds for all below it."""
    return {
        path: text
        for path, text in found.items()
        if not any(path == known or path.startswith((known + ".", known + "[")) for known in allowed)
    }
