"""Which line of a TOML text a key stands on, so that an error can name it.

The text has already been read by `tomllib`: this only finds where things stand and never judges. A key inside an inline
table or an array has the line of the statement that holds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["KeyLines"]

_KEY_PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(\.)?""")

Path = tuple[str | int, ...]


class KeyLines:
    """Line numbers, from 1, by key path: ``("accounts", 0, "name")``."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        self._scan(text)

    def of(self, path: Path) -> int | None:
        """The line of that key, or of the nearest table around it; None where nothing of it was written."""
        for length in range(len(path), 0, -1):
            line = self._lines.get(path[:length])
            if line is not None:
                return line
        return None

    def _scan(self, text: str) -> None:
        table: Path = ()
        for line, statement in _statements(text):
            if statement.startswith("[["):
                table = self._indexed(_key_path(statement[2:]), new_element=True)
            elif statement.startswith("["):
                table = self._indexed(_key_path(statement[1:]), new_element=False)
            else:
                self._lines.setdefault((*table, *_key_path(statement)), line)
                continue
            self._lines.setdefault(table, line)

    def _indexed(self, names: tuple[str, ...], *, new_element: bool) -> Path:
        """A header's path with the index of each array of tables on its way."""
        path: Path = ()
        for position, name in enumerate(names):
            path = (*path, name)
            if new_element and position == len(names) - 1:
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
        return path


def _key_path(text: str) -> tuple[str, ...]:
    parts: list[str] = []
    position = 0
    while (found := _KEY_PART.match(text, position)) is not None:
        parts.append(next(group for group in found.groups()[:3] if group is not None))
        position = found.end()
        if found.group(4) is None:
            break
    return tuple(parts)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """(line, first line of it) of each header and each `key = value`; continuation lines are left out."""
    position, line = 0, 1
    while position < len(text):
        end = _statement_end(text, position)
        first = text[position : text.find("\n", position) if "\n" in text[position:end] else end].strip()
        if first and not first.startswith("#"):
            yield line, first
        line += text.count("\n", position, end)
        position = end


def _statement_end(text: str, start: int) -> int:
    """Index just after the newline that ends the statement: outside strings and brackets."""
    position, depth = start, 0
    while position < len(text):
        symbol = text[position]
        if symbol in "\"'":
            position = _string_end(text, position)
            continue
        if symbol == "#":
            newline = text.find("\n", position)
            position = len(text) if newline < 0 else newline
            continue
        position += 1
        if symbol in "[{":
            depth += 1
        elif symbol in "]}":
            depth -= 1
        elif symbol == "\n" and depth <= 0:
            return position
    return len(text)


def _string_end(text: str, start: int) -> int:
    """Index just after the string that begins at `start`. A literal string ('...') knows no escapes."""
    quote = text[start]
    delimiter = quote * 3 if text.startswith(quote * 3, start) else quote
    position = start + len(delimiter)
    while position < len(text):
        if text[position] == "\\" and quote == '"':
            position += 2
        elif text.startswith(delimiter, position):
            position += len(delimiter)
            while len(delimiter) == 3 and position < len(text) and text[position] == quote:
                position += 1  # quotes just before the delimiter belong to the text
            return position
        else:
            position += 1
    return len(text)
