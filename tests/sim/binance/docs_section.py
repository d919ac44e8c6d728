"""Parts of the documentation that tests generate.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`. The test fails when it is not what
the code says; run it with TRUEUP_WRITE_DOCS=1 to write it anew.
"""

from __future__ import annotations

import os
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def check_section(file: str, name: str, lines: list[str]) -> None:
    """Asserts that the generated part consists of these lines."""
    path = DOCS / file
    text = path.read_text(encoding="utf-8")
    start, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
    before, _, rest = text.partition(start)
    standing, found, after = rest.partition(end)
    assert found, f"{path.name} has no part {name!r}"
    wanted = "\n" + "\n".join(lines) + "\n\n"
    if os.environ.get("TRUEUP_WRITE_DOCS"):
        path.write_text(before + start + wanted + end + after, encoding="utf-8")
        return
    assert standing == wanted, f"docs/{file}, part {name}: run the test with TRUEUP_WRITE_DOCS=1"
