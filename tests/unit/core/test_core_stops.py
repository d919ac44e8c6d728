"""Where a stop should be: source, rounding, liquidation, what cannot be told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.core.protection_cases import instrument, report, row
from trueup.core.stops import (
    StopPolicy,
    StopSource,
    WantedStop,
    at_distance,
    at_percent,
    beyond,
    on_tick,
    other_try,
    stop_stem,
    wanted_stop,
)
from trueup.model.orders import Side
from trueup.model.protection import StopOrder, StopRefusal

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


@pytest.mark.parametrize(
    ("side", "entry", "liquidation", "expected"),
    [
        (Side.LONG, None, "98", "98.2"),
        (Side.LONG, "97", "98", "98.2"),
        (Side.SHORT, "103", "102", "101.8"),
    ],
    ids=["no entry price is known", "a long's liquidation is above its entry", "a short's is below it"],
)
def test_inside_the_liquidation_price_is_towards_the_price_where_the_entry_does_not_tell(
    side: Side, entry: str | None, liquidation: str, expected: str
) -> None:
    """Funding and losses of other positions move a liquidation price past the entry: the price itself is still inside."""
    seen = report(side, entry=entry, liquidation=liquidation)
    far = "90" if side is Side.LONG else "110"
    wanted = wanted_stop(row(side, entry=entry, stop_loss=far), seen, POLICY, instrument())
    assert wanted is not None
    assert (wanted.trigger_price, wanted.source) == (Decimal(expected), StopSource.LIQUIDATION)


@pytest.mark.parametrize(("side", "liquidation", "expected"), [(Side.LONG, "60", "95"), (Side.SHORT, "140", "105")])
def test_a_liquidation_price_further_away_moves_no_stop(side: Side, liquidation: str, expected: str) -> None:
    wanted = wanted_stop(row(side), report(side, liquidation=liquidation), POLICY, instrument())
    assert wanted is not None
    assert (wanted.trigger_price, wanted.source) == (Decimal(expected), StopSource.PERCENT)


@pytest.mark.parametrize("tick", [None, Decimal(0)], ids=["not known", "none"])
@pytest.mark.parametrize("side", list(Side))
def test_without_a_tick_a_price_stands_as_it_was_asked_for(side: Side, tick: Decimal | None) -> None:
    assert on_tick(side, Decimal("95.0475"), tick) == Decimal("95.0475")


@pytest.mark.parametrize(("side", "expected"), [(Side.LONG, "0.095"), (Side.SHORT, "0.105")])
def test_a_coin_for_cents_has_its_stop_too(side: Side, expected: str) -> None:
    wanted = wanted_stop(row(side, entry="0.1"), report(side, mark="0.1"), POLICY, instrument("0.001"))
    assert wanted is not None
    assert wanted.trigger_price == Decimal(expected)


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
    assert at_distance(Side.LONG, Decimal("0.5"), Decimal("0.02")) == Decimal("0.48")
    for distance in ("0", "-1", "100"):
        with pytest.raises(ValueError, match="must be positive"):
            at_distance(Side.LONG, Decimal(100), Decimal(distance))


def test_client_ids_are_short_enough_for_any_lifecycle_and_time() -> None:
    longest = stop_stem(9_999_999_999, 9_999_999_999_999) + "-9"
    assert longest.startswith("tu-sl-9999999999-")
    assert len(longest) <= 36
    assert len({stop_stem(number, at) for number in (1, 2) for at in (1, 2)}) == 4
    assert [stop_stem(7, at) for at in (0, 35, 36, 1295)] == ["tu-sl-7-0", "tu-sl-7-z", "tu-sl-7-10", "tu-sl-7-zz"]


# what a venue refused


def test_nothing_is_closed_for_want_of_a_stop_unless_the_operator_says_so() -> None:
    assert not StopPolicy().close_unprotectable


def tried(
    refusal: StopRefusal,
    *,
    side: Side = Side.LONG,
    trigger: str = "95.1",
    quantity: str | None = "2",
    source: StopSource = StopSource.PERCENT,
) -> tuple[Decimal, Decimal | None] | None:
    """Trigger and quantity of the other try; what was asked for is 95.04 (a short's 104.96), of two contracts."""
    long = side is Side.LONG
    wanted = WantedStop(
        trigger_price=Decimal("95.1" if long else "104.9"),
        policy_price=Decimal("95.0" if long else "105.0"),
        quantity=Decimal(2),
        trigger_by="mark",
        source=source,
    )
    sent = StopOrder(
        symbol="ETH/USDT:USDT",
        side=side,
        client_order_id="tu-sl-7-x-0",
        trigger_price=Decimal(trigger),
        quantity=None if quantity is None else Decimal(quantity),
        trigger_by="mark",
    )
    again = other_try(refusal, sent, wanted)
    return None if again is None else (again.trigger_price, again.quantity)


@pytest.mark.parametrize(("side", "trigger", "other"), [(Side.LONG, "95.1", "95.0"), (Side.SHORT, "104.9", "105.0")])
def test_a_trigger_that_only_its_rounding_put_beyond_the_price_is_rounded_the_other_way_once(
    side: Side, trigger: str, other: str
) -> None:
    assert tried(StopRefusal.PASSED, side=side, trigger=trigger) == (Decimal(other), Decimal(2))
    assert tried(StopRefusal.PASSED, side=side, trigger=other) is None


def test_a_stop_that_was_moved_inside_the_liquidation_price_is_not_moved_out_again() -> None:
    assert tried(StopRefusal.PASSED, source=StopSource.LIQUIDATION) is None


def test_a_trigger_that_was_asked_for_by_another_wish_is_not_loosened() -> None:
    """The ratchet: the stop that the lifecycle has is tighter than what is asked for now."""
    assert tried(StopRefusal.PASSED, trigger="98") is None


@pytest.mark.parametrize("refusal", [StopRefusal.TOO_SMALL, StopRefusal.TOO_LARGE])
def test_a_quantity_that_the_venue_does_not_take_becomes_the_whole_position(refusal: StopRefusal) -> None:
    assert tried(refusal) == (Decimal("95.1"), None)
    assert tried(refusal, quantity="1") is None, "others cover the rest: it is not for the whole position"
    assert tried(refusal, quantity=None) is None, "it is for the whole position already"


@pytest.mark.parametrize("refusal", [StopRefusal.TOO_MANY, StopRefusal.PERMISSION, StopRefusal.OTHER])
def test_what_no_other_stop_would_mend_is_not_tried_again(refusal: StopRefusal) -> None:
    assert tried(refusal) is None
