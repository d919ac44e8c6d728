"""The hunt itself: a run repeats in other processes, seeds hold."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from trueup.engine.account import AccountReconciler
from trueup.engine.acts import Acts
from trueup.engine.effects import EffectsWorker
from trueup.hunt.__main__ import main
from trueup.hunt.bugs import BUGS, hunt_bug, planted
from trueup.hunt.judge import INVARIANTS
from trueup.hunt.plan import FAULT_KINDS, draw
from trueup.hunt.report import lines_of
from trueup.hunt.simulation import run
from trueup.model.orders import OpenOrder

ROOT = Path(__file__).parents[3]
CORPUS = {
    5114: "an order that ended two lifecycles amended the wrong one",
    3176: "a cancel took its time after the look",
}
"""Seeds that found something, and what."""

_ANOTHER = """
from trueup.hunt.plan import draw
from trueup.hunt.simulation import run
from trueup.model.orders import OpenOrder
result = run(draw(22, active_s=90.0, faults=("net", "streams", "crash", "store")))
print(result.trace_hash, result.simulated_s, result.counts)
"""


def _held(seed: int, **options: object) -> None:
    plan = draw(seed, **options)  # type: ignore[arg-type]
    result = run(plan)
    assert not result.violations, f"seed {seed} {options}\n" + "\n".join(lines_of(plan, result))


def test_a_seed_repeats_in_processes_with_other_hash_seeds() -> None:
    told = set()
    for hash_seed in ("0", "7"):
        done = subprocess.run(
            [sys.executable, "-c", _ANOTHER],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        )
        told.add(done.stdout)
    assert len(told) == 1


def test_a_run_is_eventful() -> None:
    result = run(draw(2, active_s=300.0, faults=("crash",)))
    assert result.counts["venue_events"] >= 100
    assert result.counts["starts"] >= 3


@pytest.mark.parametrize("seed", [22, 24])
def test_seeds_with_crashes_and_lies_hold(seed: int) -> None:
    _held(seed, active_s=200.0)


@pytest.mark.parametrize("seed", CORPUS)
def test_what_failed_once_holds(seed: int) -> None:
    _held(seed)


def test_a_random_seed_holds() -> None:
    _held(random.randrange(10**6), active_s=150.0)


def test_every_kind_of_fault_is_drawn_and_can_be_chosen() -> None:
    drawn = {kind for seed in range(40) for kind in draw(seed).faults}
    assert drawn == set(FAULT_KINDS)
    for kind in FAULT_KINDS:
        assert {each.fault for each in draw(1, faults=(kind,)).happenings} == {kind}


def test_the_command_writes_what_the_contract_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--seeds",
        "1",
        "--hours",
        "0.02",
        "--long",
        "1",
        "--jobs",
        "1",
        "--build",
        str(tmp_path),
        "--faults",
        "none",
    ]
    first = main([*arguments, "--first", "2"])
    told = json.loads((tmp_path / "sim.json").read_text())
    assert first == (1 if told["violations"] else 0)
    assert told["seeds"] == 2
    assert set(told) >= {"seeds", "simulated_hours", "wall_s", "violations", "trace_hash"}
    main([*arguments, "--first", "2"])
    assert "are in the ledger already" in capsys.readouterr().out


def test_the_page_gives_every_invariant() -> None:
    page = (ROOT / "docs" / "simulation.md").read_text()
    for name, meaning in INVARIANTS.items():
        assert f"| `{name}` | {meaning}" in page


def test_a_deliberate_bug_is_found() -> None:
    assert hunt_bug("memory_keeps", most=4).invariant == "quiet-equal"


def test_what_was_planted_is_taken_out_again() -> None:
    for name in BUGS:
        before = {cls: dict(vars(cls)) for cls in (Acts, AccountReconciler, EffectsWorker, OpenOrder)}
        with planted(name):
            pass
        assert before == {cls: dict(vars(cls)) for cls in before}, name


def test_the_page_tells_how_each_bug_was_found() -> None:
    page = (ROOT / "docs" / "simulation.md").read_text()
    told = page.partition("bugs: begin")[2].partition("bugs: end")[0]
    assert [bug.meaning for bug in BUGS.values() if f"| {bug.meaning} |" not in told] == []
