"""The ledger: what its digest covers is what a run executes, and what its runs add up to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trueup.hunt.judge import Violation
from trueup.hunt.ledger import Entry, Ledger, is_simulated, judge_digest, simulated_modules, source_digest
from trueup.hunt.simulation import Result
from trueup.hunt.totals import main, table, written_into

_PASSED_THROUGH = {"__init__.py", "bootstrap/__init__.py", "store/repository.py"}
"""Loaded on the way to what is simulated: they name what is in their packages, and nothing in them is called."""

_RUN = """
import json, sys
from pathlib import Path
from trueup.hunt.plan import draw
from trueup.hunt.simulation import run
run(draw(2, active_s=90.0, faults=("crash", "http", "net", "streams", "store", "lies", "clocks", "pause"), busy=True))
root = Path(sys.modules["trueup"].__file__).parent
loaded = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "trueup"]
print(json.dumps([Path(each).relative_to(root).as_posix() for each in loaded]))
"""


def _entry(seed: int, *, simulated_s: float = 610.0, violations: tuple[str, ...] = ()) -> Entry:
    counts = {"events": 150 + seed, "crashes": 3}
    judge = "j1" if seed < 2 else "j2"
    return Entry(
        "d1", "abc", seed, "10m drawn", simulated_s, "0f", violations, **counts, cpu_s=1.0, wall_s=2.0, judge=judge
    )


def test_the_digest_covers_every_module_that_a_run_loads() -> None:
    told = subprocess.run((sys.executable, "-c", _RUN), capture_output=True, text=True, check=True)
    loaded = set(json.loads(told.stdout))
    assert len(loaded) > 100
    assert loaded - set(simulated_modules()) == _PASSED_THROUGH


@pytest.mark.parametrize(
    "name", ["cli/text.py", "sim/view/screen.py", "sim/server.py", "hunt/report.py", "store/database.py", "metrics.py"]
)
def test_what_people_see_does_not_void_the_ledger(name: str) -> None:
    assert not is_simulated(name)


def test_what_a_run_took_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    result = Result(7, 610.0, "0f", [], [], {"venue_events": 120, "crashes": 2})
    added = Ledger(path, "d1", "abc").add(result, "10m drawn", cpu_s=1.25, wall_s=2.5)
    assert Ledger(path, "d1", "abc").of_these_sources() == [added]
    assert Ledger(path, "d2", "abc").of_these_sources() == []


def test_a_run_that_was_made_again_counts_once_and_as_the_last_judge_found_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    counts = {"venue_events": 120, "crashes": 2}
    blamed = Result(7, 610.0, "0f", [Violation("last-stop-stays", 1.0, "wrongly")], [], counts)
    Ledger(path, "d1", "abc", "j1").add(blamed, "10m drawn")
    known = Ledger(path, "d1", "abd", "j2").known(7, "10m drawn")
    assert known is not None
    assert known.violations == ("last-stop-stays",)
    cleared = Result(7, 610.0, "0f", [], [], counts)
    added = Ledger(path, "d1", "abd", "j2").add(cleared, "10m drawn")
    assert Ledger(path, "d1", "abd", "j3").of_these_sources() == [added]
    assert (added.judge, added.violations) == ("j2", ())


def test_the_judge_is_no_part_of_what_a_run_executes_but_has_its_own_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = source_digest(), judge_digest()
    read = Path.read_bytes

    def mended(path: Path) -> bytes:
        return read(path) + (b"# mended" if path.name == "judge.py" else b"")

    monkeypatch.setattr(Path, "read_bytes", mended)
    assert source_digest() == before[0]
    assert judge_digest() != before[1]


def test_the_totals_add_up() -> None:
    lines = table([_entry(1), _entry(2), _entry(1_000_001, simulated_s=86_400.0, violations=("no-surprise",))])
    assert "| short runs (ten simulated minutes) | 2, 2 seeds |" in lines
    assert "| longer runs | 1 |" in lines
    assert "| simulated days | 1.0 |" in lines
    assert "| of a short run | 151.5 on average, at least 151 |" in lines
    assert "| digest of the judge: runs | `j1`: 1, `j2`: 2 |" in lines
    assert "| runs with a violation | 1 |" in lines
    assert "| simulated hours per CPU hour | 29,207 |" in lines
    assert "| simulated hours per hour of one process | 14,603 |" in lines


def test_the_table_is_written_where_the_page_wants_it(tmp_path: Path) -> None:
    page = "before\n<!-- ledger: begin, by python -m trueup.hunt.totals -->\nold\n<!-- ledger: end -->\nafter\n"
    renewed = written_into(page, ["| a |"])
    assert "old" not in renewed
    assert renewed.startswith("before\n")
    assert renewed.endswith("<!-- ledger: end -->\nafter\n")
    assert written_into(renewed, ["| a |"]) == renewed
    with pytest.raises(ValueError, match="no place"):
        written_into("nothing\n", ["| a |"])
    assert main(["--ledger", str(tmp_path / "none.jsonl")]) == 1
