"""Money (money.py, invariants 1 to 4): PnL, fees, averages and lifecycles to the last digit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trueup.sim.world import World
from trueup.sim.world.types import ExecType, LedgerKind, Leg


def total(world: World, asset: str) -> Decimal:
    """Everything of an asset: wallets, house, outside. Always 0."""
    wallets = sum(world.look(spec.name).wallet(asset) for spec in world.accounts())
    return wallets + world.house().get(asset, Decimal(0)) + world.outside().get(asset, Decimal(0))


def test_a_round_trip_pays_the_price_difference_and_both_fees(world: World) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.010")
    world.set_price("BTCUSDT", "60500.5")
    position = world.close_position("bn", "BTCUSDT")
    opening, closing = world.look("bn").fills()
    assert position.is_flat
    assert position.realized_pnl == Decimal("5.005")
    assert opening.fee == Decimal("0.30")
    assert closing.fee == Decimal("0.3025025")
    assert closing.realized_pnl == Decimal("5.005")
    assert world.look("bn").wallet("USDT") == Decimal("100000") + Decimal("5.005") - Decimal("0.6025025")
    assert total(world, "USDT") == 0


def test_a_short_earns_when_the_price_falls(world: World) -> None:
    world.open_position("by", "ETHUSDT", "short", "2")
    world.set_price("ETHUSDT", "2900")
    assert world.close_position("by", "ETHUSDT").realized_pnl == Decimal(200)


def test_the_entry_is_the_mean_and_partial_closes_add_up_to_the_whole(world: World) -> None:
    for price, quantity in (("60000", "0.001"), ("60000.1", "0.001"), ("60000.3", "0.001")):
        world.set_price("BTCUSDT", price)
        world.open_position("bn", "BTCUSDT", "long", quantity)
    position = world.look("bn").position("BTCUSDT", Leg.NET)
    assert position is not None
    assert position.cost == Decimal("180.0004")
    assert str(position.entry_price).startswith("60000.133333")
    world.set_price("BTCUSDT", "60001")
    world.reduce_position("bn", "BTCUSDT", "long", "0.001")
    world.close_position("bn", "BTCUSDT")
    pnl = sum(fill.realized_pnl for fill in world.look("bn").fills())
    assert pnl == Decimal("180.003") - Decimal("180.0004")


def test_a_flip_closes_one_lifecycle_and_opens_the_next(world: World) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.010")
    world.set_price("BTCUSDT", "61000")
    position = world.open_position("bn", "BTCUSDT", "short", "0.025")
    assert position.quantity == Decimal("-0.015")
    assert position.lifecycle == 2
    assert position.entry_price == 61000
    assert position.realized_pnl == 0
    flip = world.look("bn").fills()[-1]
    assert (flip.closed_quantity, flip.realized_pnl) == (Decimal("0.010"), Decimal(10))


def test_inverse_contracts_are_valued_in_their_base(world: World) -> None:
    world.open_position("by", "BTCUSD", "long", "60000")
    world.set_price("BTCUSD", "75000")
    position = world.close_position("by", "BTCUSD")
    assert position.realized_pnl == Decimal("0.2")
    assert world.look("by").fills()[0].fee_asset == "BTC"
    assert total(world, "BTC") == 0


def test_fees_in_another_asset_fall_back_when_it_is_used_up(world: World) -> None:
    world.add_account(
        "bnb", "binance", balances={"USDT": "1000", "BNB": "0.0006"}, fee_asset="BNB", fee_asset_price="600"
    )
    world.open_position("bnb", "BTCUSDT", "long", "0.010")
    world.close_position("bnb", "BTCUSDT")
    first, second = world.look("bnb").fills()
    assert (first.fee, first.fee_asset) == (Decimal("0.0005"), "BNB")
    assert (second.fee, second.fee_asset) == (Decimal("0.3"), "USDT")
    assert total(world, "BNB") == 0


def test_the_closed_pnl_row_is_net_of_both_fees(world: World) -> None:
    world.open_position("by", "BTCUSDT", "long", "0.020")
    world.set_price("BTCUSDT", "61000")
    world.reduce_position("by", "BTCUSDT", "long", "0.010")
    (row,) = world.look("by").closed_pnl()
    assert row.open_fee == Decimal("0.33")
    assert row.close_fee == Decimal("0.3355")
    assert row.closed_pnl == Decimal(10) - Decimal("0.6655")
    assert (row.entry_price, row.exit_price) == (60000, 61000)


def test_a_closing_order_in_parts_is_one_row(world: World) -> None:
    world.open_position("by", "BTCUSDT", "long", "0.020")
    world.set_liquidity("BTCUSDT", "0.015", venue="bybit")
    world.close_position("by", "BTCUSDT")
    (row,) = world.look("by").closed_pnl()
    assert row.fill_count == 2
    assert row.closed_quantity == Decimal("0.020")
    assert row.exit_value == Decimal("0.015") * 60000 + Decimal("0.005") * Decimal("59999.9")


@pytest.mark.parametrize(("side", "sign"), [("long", -1), ("short", 1)])
def test_funding_moves_money_and_no_quantity(world: World, side: str, sign: int) -> None:
    before = world.open_position("by", "BTCUSDT", side, "0.1")
    wallet = world.look("by").wallet("USDT")
    world.fund("BTCUSDT", venue="bybit")
    after = world.look("by").position("BTCUSDT", Leg.NET)
    assert after is not None
    assert after.quantity == before.quantity
    assert world.look("by").wallet("USDT") - wallet == sign * Decimal("0.6")
    assert after.funding == sign * Decimal("0.6")
    row = world.look("by").executions()[-1]
    assert row.exec_type is ExecType.FUNDING
    assert row not in world.look("by").fills()
    assert [entry.kind for entry in world.look("by").ledger()][-1] is LedgerKind.FUNDING
    assert total(world, "USDT") == 0


def test_funding_is_paid_every_eight_hours_by_itself(world: World) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.1")
    world.advance(24 * 3_600_000)
    assert len(world.look("bn").ledger(kind=LedgerKind.FUNDING)) == 3
