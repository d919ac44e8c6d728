"""Looking back (view.py, invariants 1 and 2): a look at time t shows what a look then showed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trueup.sim.world import ConditionalRequest, World
from trueup.sim.world.refusals import UnknownAccount
from trueup.sim.world.types import ConditionalKind, Leg, OrderType, Side


def shown(world: World, account: str, at_ms: int | None = None) -> tuple[object, ...]:
    view = world.look(account, at_ms)
    return (
        view.positions(flat=True),
        view.open_orders(),
        view.open_conditionals(),
        view.orders(),
        view.executions(),
        view.ledger(),
        view.closed_pnl(),
        dict(view.wallets()),
        view.margin("USDT"),
        [view.risk(position) for position in view.positions()],
        view.price("BTCUSDT"),
    )


def test_every_earlier_look_can_be_repeated(world: World) -> None:
    remembered = {}
    stop = ConditionalRequest(
        "BTCUSDT",
        Side.SELL,
        ConditionalKind.STOP,
        OrderType.MARKET,
        Decimal("0.01"),
        Decimal("59000"),
        reduce_only=True,
    )
    steps = [
        lambda: world.open_position("bn", "BTCUSDT", "long", "0.02"),
        lambda: world.place_conditional("bn", stop),
        lambda: world.set_leverage("bn", "BTCUSDT", Decimal(7)),
        lambda: world.set_price("BTCUSDT", "61000"),
        lambda: world.reduce_position("bn", "BTCUSDT", "long", "0.01"),
        world.fund,
        lambda: world.set_price("BTCUSDT", "58000"),
        lambda: world.open_position("bn", "BTCUSDT", "short", "0.05"),
    ]
    for step in steps:
        step()
        world.advance(1_000)
        remembered[world.now_ms() - 1] = shown(world, "bn")
    for at_ms, expected in remembered.items():
        assert shown(world, "bn", at_ms) == expected
        with world.reading_at(at_ms):
            assert shown(world, "bn") == expected
    assert shown(world, "bn") == remembered[world.now_ms() - 1]


def test_the_judge_sees_when_a_position_had_a_live_stop(world: World) -> None:
    start = world.now_ms()
    world.open_position("by", "BTCUSDT", "long", "0.01")
    world.advance(5_000)
    order = world.place_conditional(
        "by",
        ConditionalRequest(
            "BTCUSDT",
            Side.SELL,
            ConditionalKind.STOP,
            OrderType.MARKET,
            Decimal("0.01"),
            Decimal("59000"),
            reduce_only=True,
        ),
    )
    world.advance(5_000)
    world.cancel_conditional("by", order.conditional_id)
    instants = (0, 4_999, 5_000, 9_999, 10_000)
    covered = [bool(world.look("by", start + t).live_stops("BTCUSDT", Leg.NET)) for t in instants]
    assert covered == [False, False, True, True, False]


def test_acting_within_an_earlier_reading_acts_on_the_present(world: World) -> None:
    world.advance(10_000)
    with world.reading_at(world.now_ms() - 5_000):
        world.open_position("bn", "BTCUSDT", "long", "0.01")
        assert world.look("bn").positions() == []
    assert len(world.look("bn").positions()) == 1


def test_forgetting_keeps_the_present_and_what_is_recent(world: World) -> None:
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    world.advance(60_000)
    world.open_position("bn", "BTCUSDT", "long", "0.01")
    world.advance(60_000)
    recent_ms = world.now_ms() - 30_000
    expected, now = shown(world, "bn", recent_ms), shown(world, "bn")
    world.forget_before(recent_ms)
    assert shown(world, "bn", recent_ms) == expected
    assert shown(world, "bn") == now
    assert world.look("bn", recent_ms - 90_000).positions() == []


def test_symbols_may_be_unified_and_accounts_must_exist(world: World) -> None:
    world.open_position("bn", "BTC/USDT:USDT", "long", "0.01")
    assert world.look("bn").positions("BTCUSDT")
    with pytest.raises(UnknownAccount, match="nobody"):
        world.look("nobody")
