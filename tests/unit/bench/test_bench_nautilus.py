"""nautilus_trader as a reference of the audit (bench/nautilus.py): what is done without the package, and with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench import nautilus
from bench.cases import audit
from bench.holdings import Holdings, hold
from trueup.sim.world.types import Venue

PYTHON = nautilus.interpreter()
needs_package = pytest.mark.skipif(
    PYTHON is None, reason=f"{nautilus.NAME} is not installed, and {nautilus.VARIABLE} is not set"
)
ANSWERS_ITSELF = f"""#!{sys.executable}
import json, sys
lines = sys.stdin.buffer
asked = json.loads(lines.readline())
read = sum(len(lines.read(length)) for look in asked["answers"] for length in look)
print(json.dumps({{"version": f"{{asked['venue']}} {{read}}"}}), flush=True)
for line in lines:
    print(json.dumps({{"cpu_s": int(line) * 0.002}}), flush=True)
"""


@pytest.fixture(autouse=True)
def one_act_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_LEAST_S", 0.0)


def program(folder: Path, text: str) -> str:
    file = folder / "python"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o700)
    return str(file)


def test_without_the_package_it_is_left_out_and_one_line_says_how_to_have_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(nautilus.VARIABLE, raising=False)
    monkeypatch.setattr(nautilus, "NAME", "a_package_that_nobody_has")
    monkeypatch.setattr(audit, "SIZES", (20, 21))
    monkeypatch.setattr(audit, "_VENUES", ("binance",))
    monkeypatch.setattr(audit, "ROUNDS", 1)
    figures = audit.run()
    shown = capsys.readouterr().err
    assert shown == nautilus.HINT + "\n"
    assert "[nautilus]" in shown
    assert nautilus.VARIABLE in shown
    assert {figure.n for figure in figures} == {20, 21}
    assert not [figure.id for figure in figures if "nautilus" in figure.id]


def test_another_interpreter_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(nautilus.VARIABLE, "venv/bin/python")
    assert nautilus.interpreter() == str(tmp_path / "venv/bin/python")


def test_it_is_sampled_in_its_own_process(tmp_path: Path) -> None:
    holdings = hold("bybit", 450)
    python = program(tmp_path, ANSWERS_ITSELF)
    with nautilus.beside(holdings, python) as engine:
        assert engine.version == f"bybit {sum(len(body) for look in holdings.answers for body in look)}"
        assert engine.spend(3) == pytest.approx(0.006)
    figures = {figure.id: figure for figure in audit.measure("binance", [20], 2, python)}
    found = figures["audit_us_per_position_binance_20_nautilus_trader"]
    assert found.value == pytest.approx(0.002 / 20 * 1e6)


def test_one_that_does_not_start_is_told(tmp_path: Path) -> None:
    python = program(tmp_path, "#!/bin/sh\nexit 3\n")
    with (
        pytest.raises(RuntimeError, match=f"exit code 3.*{nautilus.VARIABLE}"),
        nautilus.beside(hold("binance", 400), python),
    ):
        pass


def test_it_is_left_out_beyond_its_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nautilus, "LARGEST", 19)
    figures = audit.measure("binance", [20], 1, "/no/such/interpreter")
    assert not [figure.id for figure in figures if "nautilus" in figure.id]


@needs_package
@pytest.mark.parametrize("venue", ["binance", "bybit"])
def test_its_reconciliation_is_measured_beside_ours(venue: Venue) -> None:
    figures = {figure.id: figure for figure in audit.measure(venue, [30], 2, PYTHON)}
    found = figures[f"audit_us_per_position_{venue}_30_nautilus_trader"]
    assert (found.n, found.unit) == (30, "us")
    assert found.spread is not None
    assert 0 < found.spread[0] <= found.value <= found.spread[1]


def with_second_look(holdings: Holdings, bodies: Sequence[bytes]) -> Holdings:
    return replace(holdings, answers=[holdings.answers[0], bodies])


@needs_package
@pytest.mark.parametrize("venue", ["binance", "bybit"])
def test_a_reconciliation_that_finds_a_difference_is_not_a_figure(
    venue: Venue, capfd: pytest.CaptureFixture[str]
) -> None:
    assert PYTHON is not None
    ours, fewer = hold(venue, 3), hold(venue, 2)
    quantity = f"{ours.book[0].quantity:.3f}".encode()
    changed = [body.replace(quantity, b"999.125", 1) for body in ours.answers[0]]
    for bodies, told in ((changed, "not in sync"), (fewer.answers[0], "reconciliation failed")):
        assert list(bodies) != list(ours.answers[0])
        with (
            nautilus.beside(with_second_look(ours, bodies), PYTHON) as engine,
            pytest.raises(RuntimeError, match="exit code 1"),
        ):
            engine.spend(1)
        assert told in capfd.readouterr().err
