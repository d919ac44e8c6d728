"""Where a stop should be: source, rounding, liquidation, what cannot be told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.core.protection_cases import instrument, report, row
from trueup.core.stops import StopPolicy, StopSource, at_distance, at_percent, beyond, stop_stem, wanted_stop
from trueup.model.orders import Side

POLICY = StopPolicy(percent=Decimal("5"), trigger_by="mark")


@pytest.mark.parametrize(("side", "expected"), [(Side.LONG, "95.1"), (Side.SHORT, "105.0")])
def test_the_policys_percent_is_rounded_towards_the_entry(side: Side, expected: str) -> None:
    """A long's stop goes up to the tick, a short's down: 5 % of 100.05 is 5.0025 away."""
    wanted = wanted_stop(row(side, entry="100.05"), report(side), POLICY, instrument("0.1"))
    assert wanted is not None
    assert (wanted.trigger_price, wanted.source) == (Decimal(expected), StopSource.PERCENT)
    assert (wanted.quantity, wanted.trigger_by) == (Decimal(2), "mark")


def test_the_books_own_stop_comes_before_the_policy() -> None:
    wanted = wanted_stop(row(Side.LONG, stop_loss="80"), report(Side.LONG), POLICY, instrument())
    assert wanted is not None
    assert (wanted.trigger_price, wanted.source) == (Decimal(80), StopSource.BOOK)


@pytest.mark.parametrize(
    ("side", "stop", "trailing", "expected", "source"),
    [
        (Side.LONG, "95", "97", "97", StopSource.TRAILING),
        (Side.LONG, "97", "95", "97", StopSource.BOOK),
        (Side.SHORT, "105", "103", "103", StopSource.TRAILING),
        (Side.SHORT, "103", "105", "103", StopSource.BOOK),
    ],
)
def test_the_tighter_of_trailing_and_book_counts(
    side: Side, stop: str, trailing: str, expected: str, source: StopSource
) -> None:
    wanted = wanted_stop(row(side, stop_loss=stop), report(side), POLICY, instrument(), Decimal(trailing))
    assert wanted is not None
    assert (wanted.trigger_price, wanted.source) == (Decimal(expected), source)


@pytest.mark.parametrize(
    ("side", "trailing", "expected", "source"),
    [
        (Side.LONG, "101", "99.9", StopSource.TRAILING),
        (Side.LONG, "100", "99.9", StopSource.TRAILING),
        (Side.SHORT, "99", "100.1", StopSource.TRAILING),
        (Side.SHORT, "104", "104", StopSource.TRAILING),
        (Side.LONG, "90", "95.0", StopSource.PERCENT),
    ],
)
def test_a_trailing_trigger_that_the_price_has_passed_is_put_as_near_as_the_venue_takes_it(
    side: Side, trailing: str, expected: str, source: StopSource
) -> None:
    wanted = wanted_stop(row(side), report(side), POLICY, instrument(), Decimal(trailing))
    assert wanted is not None
    assert (wanted.trigger_price, wanted.policy_price, wanted.source) == (Decimal(expected), Decimal(expected), source)


@pytest.mark.parametrize(("side", "liquidation", "expected"), [(Side.LONG, "98", "98.2"), (Side.SHORT, "102", "101.8")])
def test_a_stop_beyond_the_liquidation_price_is_moved_inside(side: Side, liquidation: str, expected: str) -> None:
    seen = report(side, liquidation=liquidation)
    wanted = wanted_stop(row(side), seen, POLICY, instrument())
    assert wanted is not None
    assert (wanted.trigger_price, wanted.source) == (Decimal(expected), StopSource.LIQUIDATION)
    assert not beyond(side, wanted.trigger_price, seen.liquidation_price)


def test_nothing_is_guessed_where_nothing_says_where() -> None:
    assert wanted_stop(row(Side.LONG, entry=None), report(Side.LONG, entry=None), POLICY, instrument()) is None


def test_without_a_row_s_entry_the_venues_counts() -> None:
    wanted = wanted_stop(row(Side.LONG, entry=None), report(Side.LONG, entry="200"), POLICY, instrument())
    assert wanted is not None
    assert wanted.trigger_price == Decimal(190)


def test_distances_are_for_atr_and_absolute_stops() -> None:
    assert at_distance(Side.LONG, Decimal(100), Decimal("2.5") * 3) == Decimal("92.5")
    assert at_distance(Side.SHORT, Decimal(100), Decimal("7.5")) == Decimal("107.5")
    assert at_percent(Side.SHORT, Decimal(200), Decimal(5)) == Decimal(210)
    for distance in ("0", "-1", "100"):
        with pytest.raises(ValueError, match="must be positive"):
            at_distance(Side.LONG, Decimal(100), Decimal(distance))


def test_client_ids_are_short_enough_for_any_lifecycle_and_time() -> None:
    longest = stop_stem(9_999_999_999, 9_999_999_999_999) + "-9"
    assert longest.startswith("tu-sl-9999999999-")
    assert len(longest) <= 36
    assert len({stop_stem(number, at) for number in (1, 2) for at in (1, 2)}) == 4
