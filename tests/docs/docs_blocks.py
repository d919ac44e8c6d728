"""The fenced blocks of a page, and its generated parts.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`; the test fails when it is not what
the code says, and writes it anew with TRUEUP_WRITE_DOCS=1.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int


def blocks_of(page: str) -> list[Block]:
    """Every fenced block, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [
        Block(found.group(1), found.group(2), text.count("\n", 0, found.start()) + 1) for found in _FENCE.finditer(text)
    ]


def check_part(page: str, name: str, lines: list[str]) -> None:
    """Asserts that the generated part consists of these lines."""
    path = DOCS / page
    text = path.read_text(encoding="utf-8")
    start, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
    before, _, rest = text.partition(start)
    standing, found, after = rest.partition(end)
    assert found, f"{page} has no part {name!r}"
    wanted = "\n" + "\n".join(lines) + "\n\n"
    if os.environ.get("TRUEUP_WRITE_DOCS"):
        path.write_text(before + start + wanted + end + after, encoding="utf-8")
        return
    assert standing == wanted, f"docs/{page}, part {name}: run the test with TRUEUP_WRITE_DOCS=1"
