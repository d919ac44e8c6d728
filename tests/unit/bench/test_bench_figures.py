"""`make bench` (bench/__init__.py, invariants 1 to 4): what it finds, prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import __main__ as program
from bench.cases import venue
from bench.figures import Figure, markdown, table
from bench.machine import machine, resident_mib

FIGURES = [
    Figure("close_commit_p50_ms", 50, 12.3456, "ms", "bare commit", 4.0),
    Figure("venue_mib", 20_000, 1234.5, "MiB"),
]
KEYS = ["id", "n", "value", "unit", "reference", "reference_value", "ratio"]


def test_a_figure_is_written_with_the_keys_of_the_contract() -> None:
    first, second = (figure.as_json() for figure in FIGURES)
    assert list(first) == list(second) == KEYS
    assert (first["value"], first["ratio"]) == (12.35, 3.086)
    assert (second["value"], second["reference"], second["reference_value"], second["ratio"]) == (
        1234,
        None,
        None,
        None,
    )


def test_the_table_is_aligned() -> None:
    rows = table(FIGURES).splitlines()
    assert len(rows) == 3
    assert rows[1].index(" ms") == rows[2].index(" MiB")
    assert rows[1].endswith("3.09")
    assert "1,234" in rows[2]
    assert [row.count("|") for row in markdown(FIGURES)] == [9] * 4


def test_a_spread_is_told_where_it_was_measured() -> None:
    figure = Figure("audit_us_per_position", 10_000, 4.0, "us", "ccxt", 60.0, (3.91234, 4.5))
    assert figure.as_json()["spread"] == [3.912, 4.5]
    assert "3.91 … 4.50" in table([figure])


def test_every_module_of_the_cases_is_a_case() -> None:
    assert "venue" in program.cases()


def test_the_machine_is_named() -> None:
    assert "cores" in machine()
    assert "Python" in machine()
    assert 1 < resident_mib() < 100_000


def test_a_report_is_printed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench: venue -->\nold\n<!-- end: bench -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(program, "ROOT", tmp_path)
    monkeypatch.setattr(program, "OUTPUT", tmp_path / "build" / "bench.json")
    monkeypatch.setattr(program, "run_alone", lambda case: FIGURES)
    monkeypatch.setattr("sys.argv", ["bench", "venue", "--write-docs", str(page)])
    assert program.main() == 0
    shown = capsys.readouterr().out
    assert shown.startswith("on ")
    assert "close_commit_p50_ms" in shown
    written = json.loads((tmp_path / "build" / "bench.json").read_text())
    assert [figure["id"] for figure in written] == ["close_commit_p50_ms", "venue_mib"]
    text = page.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.startswith("before\n<!-- bench: venue -->\n\n| figure |")
    assert text.endswith("<!-- end: bench -->\nafter\n")


def test_a_case_that_fails_fails_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "OUTPUT", tmp_path / "bench.json")
    monkeypatch.setattr(program, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["bench", "venue"])
    assert program.main() == 1
    assert "failed: venue" in capfd.readouterr().err
    assert json.loads((tmp_path / "bench.json").read_text()) == []


def test_the_venues_case_measures_a_small_world() -> None:
    figures = {figure.id: figure for figure in venue.measure(accounts=4, positions=3, seconds=0.2)}
    assert set(figures) == {
        "venue_build_s",
        "venue_mib",
        "venue_account_kib",
        "venue_binance_positions_rps",
        "venue_bybit_positions_rps",
    }
    for wire in ("binance", "bybit"):
        figure = figures[f"venue_{wire}_positions_rps"]
        assert figure.n > 0
        assert figure.ratio is not None
        assert figure.ratio > 0
