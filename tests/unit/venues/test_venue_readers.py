"""Reading an answer quickly and remembering the one before change nothing of what it is read to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from venue_payloads import binance_info, binance_position, bybit_answer, bybit_linear, bybit_position

from trueup.model.errors import Unobserved
from trueup.model.instruments import InstrumentCatalog
from trueup.venues.binance import positions as binance
from trueup.venues.binance import rows as binance_rows
from trueup.venues.binance.instruments import instrument_of as binance_instrument
from trueup.venues.bybit import positions as bybit
from trueup.venues.bybit import rows as bybit_rows
from trueup.venues.bybit.instruments import instrument_of as bybit_instrument
from trueup.venues.wire import decode

SYMBOLS = ["BTCUSDT", "ETHUSDT", "HIGHUSDT", "NOSUCHUSDT"]
AMOUNTS = ["1.5", "1.5", "1.50", "2", "-2", "0", "0.000", 3, "Infinity", "NaN", "", None, "x", True, "1_0"]
PRICES = ["60000.10", "60000.10", "61000.0", "0", "-1", "Infinity", "NaN", "", None, "x", 7, 7.25, "0.00", False]
TIMES = [1_759_999_999_000, 1_759_999_999_000, 1_759_999_999_001, 0, -5, "1759999999000", None, 2**63, 1.5, True, ""]


def mostly(usual: Any, odd: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * 30 + odd)


@st.composite
def binance_rows_of(draw: st.DrawFn) -> dict[str, Any]:
    return binance_position(
        draw(mostly("BTCUSDT", SYMBOLS)),
        draw(mostly("1.5", AMOUNTS)),
        draw(mostly("BOTH", ["LONG", "SHORT", "", None, "X"])),
        entryPrice=draw(mostly("60000.10", PRICES)),
        markPrice=draw(st.sampled_from(["61000.00", "61001.00", "61002.5"]) | mostly("61000.00", PRICES)),
        liquidationPrice=draw(st.sampled_from(["0", "40000.5", "40001"]) | mostly("0", PRICES)),
        updateTime=draw(mostly(TIMES[0], TIMES)),
        **draw(st.sampled_from([{}] * 9 + [{"leverage": "20"}, {"leverage": ""}, {"leverage": "x"}])),
    )


@st.composite
def bybit_rows_of(draw: st.DrawFn) -> dict[str, Any]:
    return bybit_position(
        draw(mostly("BTCUSDT", SYMBOLS)),
        draw(mostly("1.5", AMOUNTS)),
        draw(mostly("Buy", ["Sell", "", None, "X"])),
        draw(mostly(0, [1, 2, 3, "0", "1", None, True])),
        avgPrice=draw(mostly("60000.10", PRICES)),
        markPrice=draw(st.sampled_from(["61000.00", "61001.00"]) | mostly("61000.00", PRICES)),
        liqPrice=draw(st.sampled_from(["", "40000.5", "40001"]) | mostly("", PRICES)),
        stopLoss=draw(st.sampled_from(["", "50000"]) | mostly("", PRICES)),
        trailingStop=draw(mostly("0", PRICES)),
        leverage=draw(mostly("10", PRICES)),
        seq=draw(mostly(100, [101, 99, "100", None, -1, 2**63, 1.5, ""])),
        updatedTime=draw(mostly("1759999999000", [str(one) for one in TIMES] + TIMES)),
    )


@st.composite
def answers_of(draw: st.DrawFn, row: st.SearchStrategy[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Answers, each made from the one before by a few changes, if any."""
    rows = draw(st.lists(row, min_size=1, max_size=4))
    answers = [rows]
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["same", "field", "field", "row", "drop", "order"]))
        rows = [dict(one) for one in rows]
        place = draw(st.integers(0, len(rows) - 1))
        other = draw(row)
        if kind == "field":
            name = draw(st.sampled_from(sorted(other)))
            rows[place][name] = other[name]
        elif kind == "row":
            rows[place] = other
        elif kind == "drop" and len(rows) > 1:
            del rows[place]
        elif kind == "order":
            rows.reverse()
        answers.append(rows)
    return answers


def told(read: Callable[..., Any], rows: Any, *args: object) -> object:
    """What it was read to, digit for digit, or why it was not."""
    try:
        found = read(rows, *args, "test")
    except Unobserved as error:
        return str(error)
    shown = sorted(msgspec.json.encode(one) for one in found.reports)
    return shown, found.quarantined, found.unlisted, found.stale


@pytest.fixture(scope="module")
def listed() -> tuple[InstrumentCatalog, InstrumentCatalog]:
    info = decode(json.dumps(binance_info()), binance_rows.EXCHANGE_INFO, "test")
    ours = [binance_instrument(row, str, "binanceusdm") for row in info.symbols]
    page = decode(json.dumps(bybit_answer(bybit_linear())), bybit_rows.INSTRUMENTS, "test").result
    theirs = [bybit_instrument(row, "linear", str, "bybit") for row in page.rows]
    return (
        InstrumentCatalog("binanceusdm", [one for one in ours if one is not None]),
        InstrumentCatalog("bybit", [one for one in theirs if one is not None]),
    )


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers=answers_of(binance_rows_of()))
def test_binance_is_read_the_same_with_and_without_haste(
    answers: list[list[dict[str, Any]]], listed: tuple[InstrumentCatalog, InstrumentCatalog]
) -> None:
    reader, catalog = binance.PositionReader(), listed[0]
    for rows in answers:
        text = json.dumps(rows)
        careful = told(binance.read_positions, binance_rows.POSITIONS.careful.decode(text), catalog)
        plain = decode(text, binance_rows.POSITIONS, "test")
        quick = told(binance.read_positions, plain, catalog)
        again = told(reader.read, plain, catalog)
        assert quick == careful
        assert again == careful


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers=answers_of(bybit_rows_of()))
def test_bybit_is_read_the_same_with_and_without_haste(
    answers: list[list[dict[str, Any]]], listed: tuple[InstrumentCatalog, InstrumentCatalog]
) -> None:
    reader, catalog = bybit.PositionReader(), listed[1]
    for rows in answers:
        text = json.dumps(bybit_answer(rows))
        careful = told(bybit.read_positions, bybit_rows.POSITIONS.careful.decode(text).result.rows, "linear", catalog)
        plain = decode(text, bybit_rows.POSITIONS, "test").result.rows
        quick = told(bybit.read_positions, plain, "linear", catalog)
        again = told(reader.read, plain, "linear", catalog)
        assert quick == careful
        assert again == careful
