"""Decimals, times and JSON of the model: exact in, exact out, unknown never zero."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.model.decimals import decimal_text, optional_decimal, parse_decimal, positive_or_none
from trueup.model.errors import Unreadable
from trueup.model.orders import Fill, OrderSide
from trueup.model.positions import Amount, CloseDetails, Evidence, ExitReason
from trueup.model.times import DAY_MS, parse_time, time_text
from trueup.model.values import Value, from_json, to_json

D = Decimal
finite = st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**12), max_value=10**12)

# decimals


@pytest.mark.parametrize(
    ("text", "number"), [("0.010", D("0.010")), ("-0", D("-0")), ("1e-7", D("1E-7")), (7, D(7)), (D("1.50"), D("1.50"))]
)
def test_a_number_is_what_its_text_says(text: object, number: Decimal) -> None:
    assert str(parse_decimal(text, "size")) == str(number)


@pytest.mark.parametrize(
    "text", [None, "", " ", "abc", "1,5", 0.1, True, [], {}, "NaN", "Infinity", "-inf", D("NaN"), D("Infinity")]
)
def test_what_is_no_finite_number_is_refused_never_zero(text: object) -> None:
    with pytest.raises(Unreadable, match=r"size of BTCUSDT"):
        parse_decimal(text, "size of BTCUSDT")


def test_the_refusal_tells_what_was_expected_and_found() -> None:
    with pytest.raises(Unreadable) as caught:
        parse_decimal("x" * 200, "size")
    assert "expected a decimal number as text, found 'xxx" in str(caught.value)
    assert len(str(caught.value)) < 140


def test_missing_is_none_and_zero_stays_zero() -> None:
    assert optional_decimal(None, "x") is None
    assert optional_decimal("", "x") is None
    assert optional_decimal("0", "x") == 0
    with pytest.raises(Unreadable):
        optional_decimal("abc", "x")


@pytest.mark.parametrize(("text", "price"), [("0", None), ("", None), (None, None), ("-1", None), ("0.5", D("0.5"))])
def test_only_a_positive_number_is_a_price(text: object, price: Decimal | None) -> None:
    assert positive_or_none(text, "x") == price


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (D("1E-8"), "0.00000001"),
        (D("0.010"), "0.010"),
        (D("-0.0"), "0.0"),
        (D("1E+3"), "1000"),
        (D("-5"), "-5"),
        (D("0E-8"), "0.00000000"),
    ],
)
def test_text_has_no_exponent_and_keeps_its_digits(number: Decimal, text: str) -> None:
    assert decimal_text(number) == text


@given(finite)
def test_text_and_number_are_inverse(number: Decimal) -> None:
    text = decimal_text(number)
    assert parse_decimal(text, "x") == number
    assert "E" not in text
    assert decimal_text(parse_decimal(text, "x")) == text


# times


def test_time_text_is_rfc_3339_with_milliseconds() -> None:
    assert time_text(1_700_000_000_123) == "2023-11-14T22:13:20.123Z"
    assert time_text(0) == "1970-01-01T00:00:00.000Z"
    assert time_text(DAY_MS) == "1970-01-02T00:00:00.000Z"


@pytest.mark.parametrize(
    "text", ["2023-11-14T22:13:20.123Z", "2023-11-14T22:13:20.123+00:00", "2023-11-15T00:13:20.123+02:00"]
)
def test_a_time_is_read_with_its_offset(text: str) -> None:
    assert parse_time(text, "since") == 1_700_000_000_123


@pytest.mark.parametrize("text", ["2023-11-14T22:13:20", "yesterday", "", "2023-13-01T00:00:00Z"])
def test_a_time_without_offset_or_sense_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="since"):
        parse_time(text, "since")


@given(st.integers(0, 4_102_444_800_000))
def test_times_come_back_to_the_millisecond(at_ms: int) -> None:
    assert parse_time(time_text(at_ms), "x") == at_ms


# JSON


@given(finite, finite)
def test_decimals_come_back_with_their_digits(quantity: Decimal, price: Decimal) -> None:
    fill = Fill(
        symbol="s", trade_id="1", order_id="2", order_side=OrderSide.BUY, quantity=quantity, price=price, at_ms=0
    )
    again = from_json(to_json(fill), Fill)
    assert again == fill
    assert (str(again.quantity), str(again.price)) == (str(quantity), str(price))


def test_another_kind_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        from_json('{"asset": "USDT"}', Amount)
    with pytest.raises(msgspec.ValidationError):
        from_json('{"asset": "USDT", "amount": "x"}', Amount)


def test_values_are_frozen_and_equal_by_content() -> None:
    one = Amount(asset="USDT", amount=D("1.0"))
    assert one == Amount(asset="USDT", amount=D(1))
    with pytest.raises(AttributeError):
        one.amount = D(2)  # type: ignore[misc]
    assert issubclass(Amount, Value)


# evidence


def test_evidence_is_ranked_best_first() -> None:
    assert [one.rank for one in (Evidence.FILLS, Evidence.CLOSED_PNL, Evidence.ORDER, Evidence.ABSENCE)] == [0, 1, 2, 3]


@pytest.mark.parametrize("evidence", list(Evidence))
def test_estimated_is_true_exactly_with_absence(evidence: Evidence) -> None:
    details = CloseDetails(
        quantity=D(1),
        exit_price=None,
        settle_asset="USDT",
        realized_pnl=None,
        exit_reason=ExitReason.EXTERNAL,
        evidence=evidence,
        closed_at_ms=0,
    )
    assert details.estimated is (evidence is Evidence.ABSENCE)


def test_the_exit_reasons_are_the_contracts() -> None:
    assert {reason.value for reason in ExitReason} == {
        "manual",
        "stop_loss",
        "take_profit",
        "trailing_stop",
        "liquidation",
        "adl",
        "settlement",
        "external",
        "sync_cleanup",
        "PHANTOM_ON_SYNC",
    }
