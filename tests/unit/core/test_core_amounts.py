"""Prices, profit, fees and funding, to the last digit (numbers: invariants of core/amounts.py)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from core_cases import BUY, HOUR, INVERSE, LINEAR, LONG, SELL, SHORT, T0, dec, fill

from trueup.core import amounts
from trueup.core.lifecycles import Segment, trace_fills
from trueup.model.instruments import Instrument
from trueup.model.orders import Fill, Funding, Side
from trueup.model.positions import Amount

D = Decimal


def segment(fills: list[Fill], side: Side = LONG, now: str = "0", place: int = 0) -> Segment:
    return trace_fills(fills, side, leg=D(now), net=D(now)).segments[place]


def gross(fills: list[Fill], side: Side = LONG, now: str = "0", inverse: bool = False, entry: str | None = None):
    return amounts.gross_pnl(segment(fills, side, now), INVERSE if inverse else LINEAR, dec(entry))


# gross PnL


def test_linear_long_from_prices() -> None:
    assert gross([fill(BUY, "0.3", "100.1", T0), fill(SELL, "0.3", "100.7", T0 + 1)]) == D("0.18")


def test_linear_short_from_prices() -> None:
    assert gross([fill(SELL, "0.3", "100.7", T0), fill(BUY, "0.3", "100.1", T0 + 1)], SHORT) == D("0.18")


def test_contract_size_multiplies() -> None:
    thousand = msgspec.structs.replace(LINEAR, contract_size=D(1000))
    closed = segment([fill(BUY, "2", "0.01234", T0), fill(SELL, "2", "0.01235", T0 + 1)])
    assert amounts.gross_pnl(closed, thousand, None) == D("0.02000")


def test_several_prices_sum_value_by_value() -> None:
    fills = [
        fill(BUY, "1", "100", T0),
        fill(BUY, "2", "103", T0 + 1),
        fill(SELL, "1.5", "110", T0 + 2),
        fill(SELL, "1.5", "90", T0 + 3),
    ]
    assert gross(fills) == D(165 + 135 - 100 - 206)


def test_a_profit_that_is_stated_of_some_closings_only_is_not_the_whole() -> None:
    fills = [fill(BUY, "2", "100", T0), fill(SELL, "1", "110", T0 + 1, pnl="10"), fill(SELL, "1", "120", T0 + 2)]
    assert gross(fills) == D(30)


def test_tiny_prices_are_not_rounded() -> None:
    fills = [fill(BUY, "0.5", "0.00001234", T0), fill(SELL, "0.5", "0.00001235", T0 + 1)]
    assert gross(fills) == D("5E-9")


def test_inverse_long_is_in_the_coin() -> None:
    fills = [fill(BUY, "1000", "50000", T0), fill(SELL, "1000", "40000", T0 + 1)]
    assert gross(fills, inverse=True) == D("-0.005")


def test_inverse_short_is_in_the_coin() -> None:
    fills = [fill(SELL, "1000", "50000", T0), fill(BUY, "1000", "40000", T0 + 1)]
    assert gross(fills, SHORT, inverse=True) == D("0.005")


def test_inverse_uses_the_values_that_the_venue_states() -> None:
    fills = [
        fill(BUY, "100", "30000", T0, value="0.00333333"),
        fill(SELL, "100", "31000", T0 + 1, value="0.00322581"),
    ]
    assert gross(fills, inverse=True) == D("0.00010752")


def test_inverse_without_stated_values_is_rounded_to_the_coins_eight_places() -> None:
    fills = [fill(BUY, "100", "30000", T0), fill(SELL, "100", "31000", T0 + 1)]
    assert gross(fills, inverse=True) == D("0.00010753")


def test_stated_profit_is_summed_and_never_computed_again() -> None:  # invariant 1
    fills = [
        fill(BUY, "5", "100", T0, pnl="0"),
        fill(SELL, "2", "110", T0 + 1, pnl="20.00000001"),
        fill(SELL, "3", "120", T0 + 2, pnl="60.00000002"),
    ]
    assert gross(fills) == D("80.00000003")


def test_the_stated_profit_of_a_flip_belongs_to_the_lifecycle_that_it_closes() -> None:
    fills = [fill(BUY, "5", "100", T0, pnl="0"), fill(SELL, "8", "110", T0 + 1, pnl="50")]
    assert gross(fills, SHORT, now="-3") == D(50)


def test_values_of_a_flip_are_split_by_quantity() -> None:
    fills = [
        fill(BUY, "5", "100", T0, value="500", closed="0"),
        fill(SELL, "8", "110", T0 + 1, value="880", closed="5"),
    ]
    assert gross(fills) == D(50)


def test_a_partial_close_of_an_open_lifecycle_goes_against_the_average() -> None:
    fills = [fill(BUY, "1", "100", T0), fill(BUY, "1", "200", T0 + 1), fill(SELL, "1", "180", T0 + 2)]
    assert gross(fills, now="1") == D(30)


def test_a_partial_close_whose_opening_is_beyond_the_history_needs_the_rows_entry() -> None:
    fills = [fill(SELL, "2", "110", T0)]
    assert gross(fills, now="3", entry="100") == D(20)
    assert gross(fills, now="3", entry=None) is None


def test_inverse_partial_close_against_the_average() -> None:
    fills = [fill(BUY, "100", "20000", T0), fill(BUY, "100", "40000", T0 + 1), fill(SELL, "100", "25000", T0 + 2)]
    # Cost 0.005 + 0.0025 coins for 200 contracts; half of it less 0.004.
    assert gross(fills, now="100", inverse=True) == D("-0.00025")


def test_large_sums_keep_every_digit() -> None:
    fills = [fill(BUY, "1000000000", "0.00012345", T0 + n) for n in range(200)]
    fills += [fill(SELL, "1000000000", "0.00012346", T0 + 1000 + n) for n in range(200)]
    assert gross(fills) == D("2000")


# average prices


def test_one_price_stays_as_it_was_written() -> None:
    parts = segment([fill(BUY, "1", "100.10", T0), fill(BUY, "2", "100.10", T0 + 1)], now="3").parts
    assert str(amounts.average_price(parts, LINEAR)) == "100.10"


def test_linear_average_is_by_quantity() -> None:
    parts = segment([fill(BUY, "1", "100", T0), fill(BUY, "3", "102", T0 + 1)], now="4").parts
    assert str(amounts.average_price(parts, LINEAR)) == "101.5"


def test_inverse_average_is_harmonic() -> None:
    parts = segment([fill(BUY, "100", "20000", T0), fill(BUY, "100", "30000", T0 + 1)], now="200").parts
    assert amounts.average_price(parts, INVERSE) == D(24000)


@pytest.mark.parametrize(("instrument", "entry"), [(LINEAR, "40333.333333333333"), (INVERSE, "36000")])
def test_a_partial_close_leaves_the_entry_of_what_is_open_as_it_was(instrument: Instrument, entry: str) -> None:
    fills = [
        fill(BUY, "100", "20000", T0),
        fill(BUY, "100", "30000", T0 + 1),
        fill(SELL, "100", "99000", T0 + 2),
        fill(BUY, "200", "48000", T0 + 3),
    ]
    assert amounts.open_entry_price(segment(fills, now="300"), instrument) == D(entry)


@pytest.mark.parametrize(
    ("now", "fills"), [("0", [fill(BUY, "1", "9", T0), fill(SELL, "1", "9", T0)]), ("5", [fill(BUY, "1", "9", T0)])]
)
def test_what_is_closed_or_began_before_the_history_has_no_open_entry(now: str, fills: list[Fill]) -> None:
    assert amounts.open_entry_price(segment(fills, now=now), LINEAR) is None


def test_an_average_that_does_not_end_is_cut_at_twelve_places() -> None:
    parts = segment([fill(BUY, "1", "100", T0), fill(BUY, "2", "101", T0 + 1)], now="3").parts
    assert str(amounts.average_price(parts, LINEAR)) == "100.666666666667"


def test_no_parts_have_no_price() -> None:
    assert amounts.average_price([], LINEAR) is None


def test_round_hundreds_are_written_without_an_exponent() -> None:
    parts = segment([fill(BUY, "1", "1000", T0), fill(BUY, "1", "3000", T0 + 1)], now="2").parts
    assert str(amounts.average_price(parts, LINEAR)) == "2000"


def test_an_average_that_ends_in_a_zero_is_written_without_an_exponent() -> None:
    assert str(amounts.weighted_price([(D(1), D(2000)), (D(1), D(2020))], LINEAR)) == "2010"


# values of contracts that are not one unit


THOUSAND = msgspec.structs.replace(LINEAR, contract_size=D(1000))
HUNDRED_DOLLARS = msgspec.structs.replace(INVERSE, contract_size=D(100))


@pytest.mark.parametrize(
    ("instrument", "quantity", "price", "value"),
    [(THOUSAND, "2", "0.01234", "24.68"), (HUNDRED_DOLLARS, "3", "20000", "0.015")],
    ids=["linear", "inverse"],
)
def test_a_value_is_of_all_that_the_contracts_hold(
    instrument: Instrument, quantity: str, price: str, value: str
) -> None:
    assert amounts.notional(D(quantity), D(price), instrument) == D(value)
    assert amounts.price_of(D(quantity), D(value), instrument) == D(price)


def test_inverse_profit_counts_the_contracts_size() -> None:
    assert amounts.price_difference(LONG, D(3), D(20000), D(25000), HUNDRED_DOLLARS) == D("0.003")
    closed = segment([fill(BUY, "3", "20000", T0), fill(SELL, "3", "25000", T0 + 1)])
    assert amounts.gross_pnl(closed, HUNDRED_DOLLARS, None) == D("0.003")


def test_a_ninth_place_of_money_is_rounded() -> None:
    """Fifteen billionths of a coin: the settle asset has eight places."""
    assert str(amounts.price_difference(LONG, D("0.001"), D(1), D("1.000015"), LINEAR)) == "2E-8"


# fees


def test_fees_in_two_assets_stay_apart() -> None:
    closed = segment(
        [
            fill(BUY, "5", "100", T0, fee="0.2"),
            fill(SELL, "3", "110", T0 + 1, fee="0.0003", asset="BNB"),
            fill(SELL, "2", "110", T0 + 2, fee="0.08"),
        ]
    )
    fees, known = amounts.fees_of(closed.parts)
    assert fees == (Amount(asset="USDT", amount=D("0.28")), Amount(asset="BNB", amount=D("0.0003")))
    assert known


def test_a_rebate_is_negative() -> None:
    closed = segment([fill(BUY, "5", "100", T0, fee="-0.05"), fill(SELL, "5", "110", T0 + 1, fee="0.2")])
    assert amounts.fees_of(closed.parts) == ((Amount(asset="USDT", amount=D("0.15")),), True)


def test_a_fill_without_its_fee_makes_the_fees_unknown_not_zero() -> None:  # invariant 3
    closed = segment([fill(BUY, "5", "100", T0, fee="0.2"), fill(SELL, "5", "110", T0 + 1, fee=None)])
    assert amounts.fees_of(closed.parts) == ((Amount(asset="USDT", amount=D("0.2")),), False)


@pytest.mark.parametrize("unknown", [{"fee_asset": None}, {"fee": None}], ids=["in no asset", "no amount"])
def test_a_fee_of_which_half_is_stated_is_unknown(unknown: dict[str, None]) -> None:  # invariant 3
    told = fill(SELL, "5", "110", T0 + 1, fee="0.3")
    closed = segment([fill(BUY, "5", "100", T0, fee="0.2"), msgspec.structs.replace(told, **unknown)])
    assert amounts.fees_of(closed.parts) == ((Amount(asset="USDT", amount=D("0.2")),), False)


# funding


def paid(amount: str, at: int, side: Side | None = None, asset: str = "USDT") -> Funding:
    return Funding(symbol="BTC/USDT:USDT", payment_id=str(at), side=side, amount=D(amount), asset=asset, at_ms=at)


def one_way() -> Segment:
    return segment([fill(BUY, "5", "100", T0), fill(SELL, "5", "110", T0 + 10 * HOUR)])


def leg() -> Segment:
    return segment([fill(BUY, "5", "100", T0, leg=LONG), fill(SELL, "5", "110", T0 + 10 * HOUR, leg=LONG)])


def funding(payments: list[Funding] | None, of: Segment) -> Decimal | None:
    return amounts.funding_of(payments, of, "USDT", T0, T0 + 10 * HOUR)


def test_one_way_funding_within_the_lifecycle_is_its_own() -> None:
    payments = [paid("-9", T0 - 1), paid("-0.5", T0 + HOUR), paid("0.2", T0 + 9 * HOUR), paid("-9", T0 + 11 * HOUR)]
    assert funding(payments, one_way()) == D("-0.3")


def test_funding_at_the_instant_of_a_flip_is_counted_once() -> None:
    at = T0 + HOUR
    first = segment([fill(BUY, "5", "100", T0), fill(SELL, "8", "110", at)], SHORT, now="-3", place=0)
    second = segment([fill(BUY, "5", "100", T0), fill(SELL, "8", "110", at)], SHORT, now="-3", place=1)
    payments = [paid("-0.5", at)]
    ended = amounts.funding_of(payments, first, "USDT", T0, at)
    begun = amounts.funding_of(payments, second, "USDT", at, at + HOUR)
    assert (ended, begun) == (D("-0.5"), D(0))


def test_hedge_funding_without_its_leg_cannot_be_attributed() -> None:
    assert funding([paid("-0.5", T0 + HOUR)], leg()) is None


def test_hedge_funding_with_its_leg_is_the_legs() -> None:
    payments = [paid("-0.5", T0 + HOUR, LONG), paid("0.7", T0 + HOUR, SHORT)]
    assert funding(payments, leg()) == D("-0.5")


def test_funding_that_was_not_read_is_unknown() -> None:
    assert funding(None, one_way()) is None


def test_funding_in_another_asset_is_unknown() -> None:
    assert funding([paid("-0.5", T0 + HOUR, asset="BNB")], one_way()) is None


def test_no_payment_is_zero() -> None:
    assert funding([], one_way()) == D(0)


# net


def net(gross: str | None, fees: list[Amount], funding: str | None, known: bool = True) -> Decimal | None:
    return amounts.net_pnl(dec(gross), tuple(fees), known, dec(funding), "USDT")


def test_net_is_gross_less_fees_plus_funding() -> None:
    assert net("50", [Amount(asset="USDT", amount=D("0.4"))], "-0.1") == D("49.5")


@pytest.mark.parametrize(
    ("gross", "fees", "funding", "known"),
    [
        (None, [], "0", True),
        ("50", [], None, True),
        ("50", [], "0", False),
        ("50", [Amount(asset="BNB", amount=D("0.0001"))], "0", True),
    ],
)
def test_net_is_unknown_unless_all_is_known_in_one_asset(
    gross: str | None, fees: list[Amount], funding: str | None, known: bool
) -> None:
    assert net(gross, fees, funding, known) is None


def test_percentage() -> None:
    assert amounts.percentage(D("50"), D("500")) == D("10.0000")
    assert amounts.percentage(D("-1"), D("300")) == D("-0.3333")
    assert amounts.percentage(None, D("500")) is None
    assert amounts.percentage(D("50"), D(0)) is None


@pytest.mark.parametrize(
    ("side", "entry", "leave", "inverse", "expected"),
    [
        (LONG, "100", "110", False, "50"),
        (SHORT, "100", "110", False, "-50"),
        (LONG, "20000", "25000", True, "0.00005"),
        (SHORT, "20000", "25000", True, "-0.00005"),
    ],
)
def test_price_difference(side: Side, entry: str, leave: str, inverse: bool, expected: str) -> None:
    instrument = INVERSE if inverse else LINEAR
    assert amounts.price_difference(side, D(5), D(entry), D(leave), instrument) == D(expected)
