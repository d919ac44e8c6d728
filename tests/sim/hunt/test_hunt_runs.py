"""The hunt itself: a run repeats in other processes, seeds hold."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from trueup.engine.account import AccountReconciler
from trueup.engine.acts import Acts
from trueup.engine.effects import EffectsWorker
from trueup.hunt.__main__ import main
from trueup.hunt.bugs import BUGS, MENDED, hunt_bug, planted, until_violated
from trueup.hunt.judge import INVARIANTS
from trueup.hunt.plan import FAULT_KINDS, draw, read_plan, write_plan
from trueup.hunt.repeat import traces
from trueup.hunt.report import lines_of
from trueup.hunt.simulation import run
from trueup.model.orders import OpenOrder

ROOT = Path(__file__).parents[3]
CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))
"""Plans that found something once, kept as they were drawn then."""


def _held(seed: int, **options: object) -> None:
    plan = draw(seed, **options)  # type: ignore[arg-type]
    result = run(plan)
    assert not result.violations, f"seed {seed} {options}\n" + "\n".join(lines_of(plan, result))


def test_a_seed_takes_the_same_steps_in_five_fresh_processes() -> None:
    told = traces(22, processes=5, active_s=60.0, at_once=3)
    assert len(told) == 5
    assert len(set(told)) == 1
    assert traces(23, processes=1, active_s=60.0)[0] != told[0]


@pytest.mark.parametrize(("seed", "active_s"), [(70_001, 200.0), (70_004, 600.0)])
def test_no_seed_follows_the_order_of_a_set(seed: int, active_s: float) -> None:
    """Several followed symbols were subscribed in the order of a set of texts: these seeds told it."""
    assert len(set(traces(seed, processes=3, active_s=active_s, at_once=3))) == 1


def test_a_run_is_eventful() -> None:
    result = run(draw(2, active_s=300.0, faults=("crash",)))
    assert result.counts["venue_events"] >= 100
    assert result.counts["starts"] >= 3


def test_a_quiet_run_becomes_busy_towards_its_end() -> None:
    plan = draw(22_606)
    assert run(replace(plan, least_events=0)).counts["venue_events"] < plan.least_events
    assert run(plan).counts["venue_events"] >= plan.least_events == 100


@pytest.mark.parametrize("seed", [22, 24])
def test_seeds_with_crashes_and_lies_hold(seed: int) -> None:
    _held(seed, active_s=200.0)


@pytest.mark.parametrize("path", CORPUS, ids=[path.stem for path in CORPUS])
def test_what_failed_once_holds(path: Path) -> None:
    plan = read_plan(path)
    result = run(plan)
    assert not result.violations, f"{path.name}\n" + "\n".join(lines_of(plan, result))


def test_a_plan_is_kept_whole(tmp_path: Path) -> None:
    plan = draw(7)
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan


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


@pytest.mark.parametrize(
    ("name", "invariant"),
    [
        ("memory_keeps", "quiet-equal"),
        ("pnl_at_entry", "equals-world"),
        ("closed_when_noticed", "no-false-close"),
        ("orphans_ignored", "no-order-outlives"),
        ("no_epoch", "stale-owner"),
    ],
)
def test_a_deliberate_bug_is_found(name: str, invariant: str) -> None:
    assert hunt_bug(name, most=2).invariant == invariant


@pytest.mark.parametrize(
    ("name", "plan"),
    [
        ("record_of_another", "2012-late-row-by-closed-pnl"),
        ("stale_view_adopted", "3050-stale-view-after-close"),
        ("shifted_line", "3117-shifted-line-stale-fills"),
        ("brief_beside_its_row", "22908-flipped-back-while-unread"),
        ("closing_order_alone", "9654-lost-close-and-reopening"),
    ],
)
def test_what_was_mended_shows_on_the_plan_that_found_it_once_it_is_planted_again(name: str, plan: str) -> None:
    assert name in MENDED
    with planted(name):
        result = until_violated(read_plan(CORPUS[0].parent / f"{plan}.json"))
    told = {"one-row-each", "no-false-close", "close-recorded", "equals-world"}
    assert {each.invariant for each in result.violations} & told


def test_what_was_planted_is_taken_out_again() -> None:
    for name in BUGS | MENDED:
        before = {cls: dict(vars(cls)) for cls in (Acts, AccountReconciler, EffectsWorker, OpenOrder)}
        with planted(name):
            pass
        assert before == {cls: dict(vars(cls)) for cls in before}, name


def test_the_page_tells_how_each_bug_was_found() -> None:
    page = (ROOT / "docs" / "simulation.md").read_text()
    told = page.partition("bugs: begin")[2].partition("bugs: end")[0]
    assert [bug.meaning for bug in BUGS.values() if f"| {bug.meaning} |" not in told] == []
