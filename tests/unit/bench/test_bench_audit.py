"""The audit's and the cold start's cases on small numbers, and their pictures."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from bench.cases import audit, cold_start
from bench.figures import Figure
from bench.plots import Line, chart, lines_of

SVG = "{http://www.w3.org/2000/svg}"


def test_the_audit_is_measured_beside_the_others() -> None:
    figures = {figure.id: figure for figure in audit.measure("bybit", [60], 2)}
    ours = figures.pop("audit_us_per_position_bybit_60")
    assert (ours.n, ours.unit, ours.reference) == (60, "us", "ccxt parse_positions")
    assert ours.spread is not None
    assert 0 < ours.spread[0] <= ours.value <= ours.spread[1]
    beside = {name.removeprefix("audit_us_per_position_bybit_60_") for name in figures}
    assert beside == {
        "msgspec_typed",
        "msgspec_typed_exact",
        "msgspec_generic",
        "json_loads",
        "ccxt_parse_positions",
        "original",
    }
    assert all(figure.value > 0 for figure in figures.values())


def test_a_cold_start_is_measured_beside_the_originals() -> None:
    cold, again, *originals = cold_start.measure(2, 3, 1, 2)
    assert (cold.id, again.id) == ("cold_start_cpu_s", "cold_start_again_cpu_s")
    assert [one.id for one in originals] == ["cold_start_original_cpu_s", "cold_start_original_once_cpu_s"]
    assert cold.reference_value == originals[0].value
    assert all(one.value > 0 for one in originals)
    for figure in (cold, again):
        assert figure.n == 6
        assert figure.value > 0
        assert figure.reference_value is not None
        assert figure.reference_value > 0


def test_a_picture_has_each_line_named_once_and_apart() -> None:
    figures = [
        Figure(f"x_{n}{what}", n, n * factor, "us") for n in (10, 1000) for what, factor in (("", 1), ("_b_c", 1.01))
    ]
    lines = lines_of(figures, "x", "ours")
    assert lines == [Line("ours", [(10, 10), (1000, 1000)]), Line("b c", [(10, 10.1), (1000, 1010)])]
    picture = ElementTree.fromstring(chart("A & B", "n", "µs", lines))
    assert picture.get("aria-label") == "A & B"
    names = [text for text in picture.iter(f"{SVG}text") if text.get("class") == "name"]
    assert [text.text for text in names] == ["ours", "b c"]
    heights = [float(text.get("y", "nan")) for text in names]
    assert abs(heights[0] - heights[1]) >= 15
    assert [len(line.get("points", "").split()) for line in picture.iter(f"{SVG}polyline")] == [2, 2]


def test_the_pictures_of_the_audit_are_one_a_venue() -> None:
    figures = [
        Figure(f"audit_us_per_position_{venue}_{size}{what}", size, value, "us")
        for venue in ("binance", "bybit")
        for size in (100, 1000)
        for what, value in (("", 4.0), ("_json_loads", 9.0))
    ]
    made = audit.plots([Figure("audit_us_per_position", 1000, 4.0, "us"), *figures])
    assert sorted(made) == ["audit-binance.svg", "audit-bybit.svg"]
    assert all("json.loads" in picture for picture in made.values())
