"""Every venue parser under changed payloads: a short share of `make fuzz`, and what it found."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trueup.hunt.fuzz import Findings, Fuzzer, Payloads, record
from trueup.model.errors import Unobserved, Unreadable
from trueup.venues.binance.messages import decode_message
from trueup.venues.wire import text, whole


@pytest.fixture(scope="module")
def payloads() -> Payloads:
    return record()


def test_a_share_of_changed_payloads_neither_crashes_nor_defaults(payloads: Payloads) -> None:
    fuzzer = Fuzzer(payloads)
    for number in range(4_000):
        fuzzer.once(f"share {number}")
    findings: Findings = fuzzer.findings
    assert findings.problems == []
    assert findings.outcomes["read"] > 1_000
    assert findings.outcomes["Unobserved"] > 1_000


def test_both_venues_answers_and_streams_are_recorded(payloads: Payloads) -> None:
    assert set(payloads.answers) == set(payloads.frames) == {"binanceusdm", "bybit"}
    assert all(len(endpoints) >= 8 for endpoints in payloads.answers.values())


def test_a_parser_that_defaults_is_found(payloads: Payloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueup.venues.bybit.history.text", lambda value, what: value or "")
    fuzzer = Fuzzer(payloads)
    for number in range(40_000):
        fuzzer.once(f"share {number}")
        if any("became ''" in problem for problem in fuzzer.findings.problems):
            return
    pytest.fail("a field that becomes an empty text was not found")


@pytest.mark.parametrize(
    "value", ["9" * 400, 10**400, Decimal("1e400"), Decimal("1e30"), str(2**63), "1.5", None, True]
)
def test_a_number_beyond_64_bits_is_unreadable(value: object) -> None:
    with pytest.raises(Unreadable, match="64 bits"):
        whole(value, "a time")


def test_the_largest_numbers_are_read() -> None:
    assert [whole(value, "a time") for value in (2**63 - 1, str(2**63 - 1), "-5", Decimal("1e3"))] == [
        2**63 - 1,
        2**63 - 1,
        -5,
        1000,
    ]


@pytest.mark.parametrize("value", ["", None])
def test_an_id_that_must_be_there_is_not_empty(value: object) -> None:
    with pytest.raises(Unreadable, match="orderId"):
        text(value, "orderId")


@pytest.mark.parametrize("frame", ["{}", '{"e":null,"E":1}', '{"e":"","E":1}'])
def test_a_message_without_a_kind_is_not_another_message(frame: str) -> None:
    with pytest.raises(Unobserved, match="without a kind"):
        decode_message(frame)
