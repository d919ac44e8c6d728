"""The market and the venue's own acts (market.py, settings.py, instruments.py)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trueup.sim.world import ConditionalRequest, ManualClock, World
from trueup.sim.world.events import AccountChanged, MarginCalled, OrderChanged, WorldEvent
from trueup.sim.world.refusals import (
    BadLeverage,
    BadTransfer,
    ChangeBlocked,
    InstrumentClosed,
    NoPosition,
    NothingToChange,
    NotIsolated,
)
from trueup.sim.world.types import (
    ConditionalKind,
    ExecType,
    InstrumentStatus,
    LedgerKind,
    Leg,
    MarginMode,
    OrderType,
    PositionMode,
    Side,
)

START_MS = 1_795_000_000_000


def test_a_cross_account_is_liquidated_when_its_margin_is_used_up(world: World) -> None:
    world.add_account("thin", "binance", balances={"USDT": "400"})
    world.open_position("thin", "BTCUSDT", "long", "0.1")
    risk = world.look("thin").risk(world.look("thin").positions()[0])
    assert risk.liquidation_price is not None
    world.set_price("BTCUSDT", risk.liquidation_price + 1)
    assert world.look("thin").positions()
    world.set_price("BTCUSDT", risk.liquidation_price - 1)
    assert world.look("thin").positions() == []
    fill = world.look("thin").fills()[-1]
    assert fill.exec_type is ExecType.LIQUIDATION
    assert fill.client_order_id.startswith("autoclose-")


def test_what_a_liquidation_loses_beyond_the_wallet_is_insured(world: World) -> None:
    world.add_account("thin", "binance", balances={"USDT": "400"})
    world.open_position("thin", "BTCUSDT", "long", "0.1")
    world.set_price("BTCUSDT", "50000")
    assert world.look("thin").wallet("USDT") == 0
    assert world.look("thin").ledger(kind=LedgerKind.INSURANCE)[0].amount > 0


def test_an_isolated_position_loses_its_own_margin_only(world: World) -> None:
    world.set_margin_mode("bn", "BTCUSDT", MarginMode.ISOLATED)
    world.set_leverage("bn", "BTCUSDT", Decimal(10))
    position = world.open_position("bn", "BTCUSDT", "long", "0.1")
    assert position.isolated_wallet == 600
    world.open_position("bn", "ETHUSDT", "long", "1")
    world.set_price("BTCUSDT", "53000")
    assert [p.symbol for p in world.look("bn").positions()] == ["ETHUSDT"]
    fill = next(f for f in world.look("bn").fills() if f.exec_type is ExecType.LIQUIDATION)
    assert fill.price == 54000
    assert fill.realized_pnl == -600


def test_liquidation_by_hand_adl_and_insolvency_switched_off(world: World) -> None:
    world.open_position("by", "BTCUSDT", "long", "0.02")
    world.auto_deleverage("by", "BTCUSDT", quantity="0.005", price="60100")
    world.liquidate("by", "BTCUSDT")
    kinds = [(f.exec_type, f.quantity) for f in world.look("by").fills()[1:]]
    assert kinds == [(ExecType.ADL, Decimal("0.005")), (ExecType.LIQUIDATION, Decimal("0.015"))]
    with pytest.raises(NoPosition):
        world.liquidate("by", "BTCUSDT")
    world.set_auto_liquidation(False)
    world.add_account("thin", "binance", balances={"USDT": "400"})
    world.open_position("thin", "BTCUSDT", "long", "0.1")
    world.set_price("BTCUSDT", "50000")
    assert world.look("thin").positions()


def test_a_margin_call_comes_before_the_liquidation(world: World) -> None:
    calls: list[WorldEvent] = []
    world.subscribe(lambda event: calls.append(event) if isinstance(event, MarginCalled) else None)
    world.add_account("thin", "binance", balances={"USDT": "400"})
    world.open_position("thin", "BTCUSDT", "long", "0.1")
    world.set_price("BTCUSDT", "56290")
    assert world.look("thin").positions()
    assert len(calls) == 1


def test_delivery_closes_everything_and_ends_trading(world: World) -> None:
    spec = next(s for s in world.instruments("binance") if s.expiry_ms is not None)
    world.open_position("bn", spec.symbol, "long", "0.1")
    world.place_conditional(
        "bn",
        ConditionalRequest(
            spec.symbol, Side.SELL, ConditionalKind.STOP, OrderType.MARKET, Decimal("0.1"), Decimal("50000")
        ),
    )
    world.set_price(spec.symbol, "61000", index="61050")
    world.advance((spec.expiry_ms or 0) - world.now_ms())
    assert world.look("bn").positions() == []
    assert world.look("bn").open_conditionals() == []
    fill = world.look("bn").fills()[-1]
    assert (fill.exec_type, fill.price, fill.fee) == (ExecType.SETTLEMENT, Decimal("61050"), 0)
    assert fill.at_ms == spec.expiry_ms
    assert world.instrument("binance", spec.symbol).status is InstrumentStatus.SETTLED
    with pytest.raises(InstrumentClosed):
        world.open_position("bn", spec.symbol, "long", "0.1")


def test_the_default_list_has_the_awkward_names() -> None:
    world = World(ManualClock(START_MS))
    binance = {spec.symbol: spec.unified for spec in world.instruments("binance")}
    bybit = {spec.symbol: spec.unified for spec in world.instruments("bybit")}
    assert binance["BTCUSDT_261225"] == "BTC/USDT:USDT-261225"
    assert binance["1000PEPEUSDT"] == "1000PEPE/USDT:USDT"
    assert bybit["BTCPERP"] == "BTC/USDC:USDC"
    assert bybit["BTCUSD"] == "BTC/USD:BTC"
    assert bybit["BTCUSDZ26"] == "BTC/USD:BTC-261225"
    assert bybit["BTCUSDT-25DEC26"] == "BTC/USDT:USDT-261225"
    assert "SHIB1000USDT" in bybit
    assert {"HIGHUSDT", "BTCUSDC"} <= set(binance)


def test_settings(world: World) -> None:
    assert world.set_leverage("bn", "BTCUSDT", Decimal(5)).leverage == 5
    with pytest.raises(BadLeverage):
        world.set_leverage("bn", "BTCUSDT", Decimal(126))
    world.set_leverage("by", "BTCUSDT", Decimal(5))
    with pytest.raises(NothingToChange):
        world.set_leverage("by", "BTCUSDT", Decimal(5))
    with pytest.raises(NothingToChange):
        world.set_position_mode("bn", PositionMode.ONE_WAY)
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    with pytest.raises(ChangeBlocked):
        world.set_position_mode("bn", PositionMode.HEDGE)
    with pytest.raises(ChangeBlocked):
        world.set_margin_mode("bn", "BTCUSDT", MarginMode.ISOLATED)
    with pytest.raises(NotIsolated):
        world.adjust_margin("bn", "BTCUSDT", Leg.NET, Decimal(10))
    with pytest.raises(BadTransfer):
        world.transfer("bn", "USDT", "-200000")


def test_isolated_margin_is_added(world: World) -> None:
    world.set_margin_mode("by", "BTCUSDT", MarginMode.ISOLATED)
    before = world.open_position("by", "BTCUSDT", "long", "0.1")
    after = world.adjust_margin("by", "BTCUSDT", Leg.NET, Decimal(100))
    assert after.isolated_wallet == before.isolated_wallet + 100


def test_a_seeded_path_is_the_same_again_and_stays_on_the_grid() -> None:
    def walk(seed: int) -> list[Decimal]:
        world = World(ManualClock(START_MS), seed)
        world.follow_random_path(volatility="0.002", step_ms=500)
        seen = []
        for _ in range(20):
            world.advance(500)
            seen.append(world.price("binance", "BTCUSDT").last)
        world.hold_prices()
        world.advance(5_000)
        assert world.price("binance", "BTCUSDT").last == seen[-1]
        return seen

    assert walk(3) == walk(3) != walk(4)
    assert all(price % Decimal("0.1") == 0 for price in walk(3))
    assert len(set(walk(3))) > 10


def test_scheduled_things_happen_in_order_at_their_time(world: World) -> None:
    seen: list[tuple[str, int]] = []
    world.schedule(START_MS + 200, lambda: seen.append(("later", world.now_ms())))
    world.schedule(START_MS + 100, lambda: seen.append(("first", world.now_ms())))
    world.schedule(START_MS + 100, lambda: seen.append(("second", world.now_ms())))
    world.advance(150)
    assert seen == [("first", START_MS + 100), ("second", START_MS + 100)]
    world.advance(50)
    assert seen[-1] == ("later", START_MS + 200)


def test_listeners_hear_the_account_before_the_order_and_can_leave(world: World) -> None:
    heard: list[WorldEvent] = []
    leave = world.subscribe(heard.append)
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    kinds = [type(event) for event in heard]
    assert kinds == [OrderChanged, AccountChanged, OrderChanged]
    changed = heard[1]
    assert isinstance(changed, AccountChanged)
    assert changed.balances[0].change == Decimal("-0.3")
    leave()
    world.close_position("bn", "BTCUSDT")
    assert len(heard) == 3


def test_a_key_can_answer_for_another_account(world: World) -> None:
    spec = world.look("bn").spec
    world.move_key(spec.api_key, "binance", "bn-hedge")
    answered = world.account_by_key(spec.api_key, "binance")
    assert answered is not None
    assert answered.name == "bn-hedge"
    assert world.account_by_key("nobody", "binance") is None
    assert spec.api_secret not in repr(spec)
    assert spec.api_key not in repr(spec)
