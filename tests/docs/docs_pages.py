"""The project's pages, taken apart: blocks, links, tables, headings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "trueup"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return [body for kind, body in _FENCE.findall(text_of(name)) if kind == language]


def prose(name: str) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", text_of(name))


def links(name: str) -> list[str]:
    return _LINK.findall(prose(name))


def codes(text: str) -> list[str]:
    """What stands between single backticks."""
    return _CODE.findall(text)


def section(name: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", text_of(name), re.MULTILINE)
    assert found is not None, f"{name} has no heading {heading!r}"
    rest = text_of(name)[found.end() :]
    following = re.search(rf"^#{{1,{len(found.group(1))}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row, without heads and rules."""
    lines = text.splitlines()
    for place, line in enumerate(lines):
        if not line.startswith("|") or set(line) <= set("|-: "):
            continue
        if place + 1 < len(lines) and lines[place + 1].startswith("|") and set(lines[place + 1]) <= set("|-: "):
            continue
        yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def anchors(name: str) -> set[str]:
    """The names by which headings are linked, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(name), re.MULTILINE):
        kept = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(kept.replace(" ", "-"))
    return found


def commands(name: str) -> list[str]:
    """The lines of shell blocks without their comments."""
    lines = [line for block in blocks(name, "sh") for line in block.splitlines()]
    return _bare(lines)


def typed(name: str) -> list[str]:
    """What a person types in a console: the lines after ``$ ``."""
    lines = [line for block in blocks(name, "console") for line in block.splitlines() if line.startswith("$ ")]
    return _bare(line.removeprefix("$ ") for line in lines)


def _bare(lines: Iterable[str]) -> list[str]:
    return [stripped for line in lines if (stripped := re.sub(r"\s+#.*$", "", line).strip())]
