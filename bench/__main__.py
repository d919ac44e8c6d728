"""Runs the cases, prints an aligned table, writes build/bench.json."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import subprocess
import sys
import time
from pathlib import Path

import bench.cases
from bench.figures import Figure, markdown, table
from bench.machine import machine

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "build" / "bench.json"


def cases() -> list[str]:
    """Every module of `bench.cases`, in order of its name."""
    return sorted(module.name for module in pkgutil.iter_modules(bench.cases.__path__) if module.name[0] != "_")


def is_long(case: str) -> bool:
    """Whether a case runs only when it is named: its module says `LONG = True`."""
    return bool(getattr(importlib.import_module(f"bench.cases.{case}"), "LONG", False))


def run_alone(case: str) -> list[Figure]:
    """One case in a process of its own. Raises CalledProcessError when it fails; its stderr has been shown by then."""
    command = [sys.executable, "-m", "bench", "--raw", case]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return read_figures(done.stdout)


def read_figures(text: str) -> list[Figure]:
    """What `--raw` printed."""
    rows = json.loads(text)
    return [Figure(**{**row, "spread": tuple(row["spread"]) if row["spread"] else None}) for row in rows]


def run_here(case: str) -> list[Figure]:
    figures: list[Figure] = importlib.import_module(f"bench.cases.{case}").run()
    return figures


def write_docs(page: Path, case: str, figures: list[Figure], where: str) -> None:
    """Puts the figures of a case between the marks of a page of the documentation."""
    text = page.read_text(encoding="utf-8")
    start, end = f"<!-- bench: {case} -->\n", "<!-- end: bench -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        sys.exit(f"{page}: no part {start.strip()}")
    lines = [*markdown(figures), "", f"On {where}; {time.strftime('%Y-%m-%d', time.gmtime())}."]
    page.write_text(before + start + "\n" + "\n".join(lines) + "\n\n" + end + after, encoding="utf-8")


def write_plots(folder: Path, case: str, figures: list[Figure]) -> None:
    """The pictures of a case: what its function `plots` makes of its figures, file name by SVG."""
    make = getattr(importlib.import_module(f"bench.cases.{case}"), "plots", None)
    for name, picture in (make(figures) if make is not None else {}).items():
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(picture, encoding="utf-8")


def main() -> int:
    known = cases()
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures trueup.")
    parser.add_argument("case", nargs="*", help=f"{', '.join(known)}; all but the long ones when none is named")
    parser.add_argument("--raw", action="store_true", help="run one case in this process, print its figures as JSON")
    parser.add_argument("--write-docs", type=Path, metavar="PAGE", help="put one case's figures into a page")
    options = parser.parse_args()
    wanted = options.case or [name for name in known if not is_long(name)]
    for name in wanted:
        if name not in known:
            parser.error(f"no case {name!r}; there are {', '.join(known)}")
    if options.raw:
        figures = [{**vars(figure)} for name in wanted for figure in run_here(name)]
        print(json.dumps(figures))
        return 0
    return _report(wanted, options.write_docs)


def _report(wanted: list[str], page: Path | None) -> int:
    where = machine()
    print(f"on {where}", flush=True)
    figures: list[Figure] = []
    failed: list[str] = []
    for name in wanted:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        try:
            figures += run_alone(name)
        except subprocess.CalledProcessError:
            failed.append(name)
    print("\n" + table(figures))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps([figure.as_json() for figure in figures], indent=2) + "\n", encoding="utf-8")
    print(f"\nwrote {OUTPUT.relative_to(ROOT)}")
    if page is not None and not failed:
        write_docs(page, "-".join(wanted), figures, where)
        for name in wanted:
            write_plots(page.parent / "plots", name, figures)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
