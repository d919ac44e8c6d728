"""The library against a served venue: memory derived from committed rows, closing, walking for protection."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.support.bench import Bench
from trueup import PositionSynchronizer, SmartTrailingStopManager, synchronize_positions_on_startup
from trueup.bootstrap.wiring import Program, open_program
from trueup.config import Settings, parse_settings
from trueup.model.errors import AmbiguousSymbol, ConfigurationError
from trueup.model.orders import Side
from trueup.model.positions import PositionKey
from trueup.sim.faults import Fault, FaultKind
from trueup.store import Repository

BOTH = pytest.mark.parametrize("venue", ["binanceusdm", "bybit"])
ORIGINALS = {
    "PHANTOM_POSITION_DETECTED": {"symbol", "exchange", "position_id", "reason"},
    "PHANTOM_POSITION_CLOSED": {"symbol", "exchange", "position_id", "reason"},
    "TRAILING_STOP_REMOVED": {"symbol", "position_id", "reason", "realized_pnl"},
    "ORPHANED_SL_CLEANED": {"symbol", "order_id", "order_type", "reason"},
}
"""The original system's events of a close, with exactly its data keys."""


def settings_of(bench: Bench) -> Settings:
    bench.write_config()
    return parse_settings(bench.config.read_text(), path=bench.config, environ=bench.environ)


def _trailed(bench: Bench, program: Program) -> SmartTrailingStopManager:
    bench.execute("UPDATE positions SET has_trailing_stop = 1")
    return program.manager.trailing_managers["main"]


def _check_the_row(bench: Bench, position_id: int) -> None:
    """Closed in the store, as the original's columns say it."""
    (row,) = bench.rows("positions")
    assert (row["id"], row["status"], row["exit_reason"]) == (position_id, "closed", "external")
    assert None not in (row["pnl"], row["pnl_percentage"], row["closed_at"], row["updated_at"])
    (exit_order,) = [order for order in bench.rows("orders") if order["is_exit"]]
    trades = bench.rows("trades")
    assert {trade["position_id"] for trade in trades} == {exit_order["position_id"]} == {position_id}
    assert [bool(trade["opening"]) for trade in trades] == [True, False]


@BOTH
async def test_the_whole_lifecycle_that_the_original_report_asks_for(bench: Bench, venue: str) -> None:
    """Created on the venue → closed there → detected → closed in the store → out of memory → not monitored → no stop remains."""
    name = bench.account("main", venue, "protect")
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    stop = bench.stop_order(name, "ETHUSDT", "long", "2", "2000")
    key = PositionKey(name, "ETH/USDT:USDT", Side.LONG)
    async with open_program(settings_of(bench)) as program:
        manager = program.manager
        await synchronize_positions_on_startup(manager)
        trailing = _trailed(bench, program)
        await manager.load_positions_from_db()
        assert key in manager.positions
        assert manager.positions[name, "ETH/USDT:USDT", "long"] is manager.positions[key]
        assert manager.positions["ETH/USDT:USDT"] is manager.positions[key]
        assert manager.total_exposure == manager.positions[key].quantity * manager.positions[key].entry_price
        assert key in trailing.trailing_stops
        assert await manager.check_positions_protection() == {key: True}

        bench.world.close_position(name, "ETHUSDT", "long")
        report = await PositionSynchronizer(manager).synchronize_exchange(name)

        assert [position.key for position in report.closed_phantom] == [key]
        assert key not in manager.positions
        assert (manager.position_count, manager.total_exposure) == (0, Decimal(0))
        assert not trailing.trailing_stops
        assert await manager.check_positions_protection() == {}
        order = bench.world.look(name).conditional(stop.conditional_id)
        assert order is not None
        assert not order.is_open
        position_id = report.closed_phantom[0].position_id
        _check_the_row(bench, position_id)
        events = [event for event in await program.store.events(position_id=position_id) if event.type in ORIGINALS]
        assert {event.type: set(event.data) for event in events} == ORIGINALS
        assert len(events) == len(ORIGINALS), "each once"


@BOTH
@pytest.mark.parametrize("hedge", [False, True])
async def test_close_position_closes_on_the_venue_and_in_the_book(bench: Bench, venue: str, hedge: bool) -> None:
    name = bench.account("main", venue, "protect", hedge=hedge)
    bench.world.open_position(name, "ETHUSDT", "short", "2")
    stop = bench.stop_order(name, "ETHUSDT", "short", "2", "9000", hedge=hedge)
    async with open_program(settings_of(bench)) as program:
        await synchronize_positions_on_startup(program.manager)
        report = await program.manager.close_position("ETH/USDT:USDT", "enough")
        [closed] = report.closed_phantom
        assert closed.close is not None
        assert (closed.close.exit_reason.value, closed.close.evidence.value) == ("manual", "fills")
        assert report.exit_code == 0
        assert program.manager.position_count == 0
    view = bench.world.look(name)
    assert view.positions("ETHUSDT") == []
    order = view.conditional(stop.conditional_id)
    assert order is not None
    assert not order.is_open


async def test_close_position_outside_protect_mode_is_refused(bench: Bench) -> None:
    name = bench.account("main", "binanceusdm", "sync")
    bench.world.open_position(name, "ETHUSDT", "short", "2")
    async with open_program(settings_of(bench)) as program:
        await synchronize_positions_on_startup(program.manager)
        with pytest.raises(ConfigurationError, match="protect"):
            await program.manager.close_position("ETH/USDT:USDT")
    assert len(bench.world.look(name).positions("ETHUSDT")) == 1


async def test_closing_what_is_not_open_tells_what_is(bench: Bench) -> None:
    name = bench.account("main", "binanceusdm", "protect")
    bench.world.open_position(name, "ETHUSDT", "short", "2")
    async with open_program(settings_of(bench)) as program:
        await synchronize_positions_on_startup(program.manager)
        with pytest.raises(ConfigurationError, match=r"no such open position.*main ETH/USDT:USDT short"):
            await program.manager.close_position("BTC/USDT:USDT")
        assert program.manager.position_count == 1


async def test_positions_removed_by_other_tasks_while_protection_is_checked(bench: Bench) -> None:
    name = bench.account("main", "binanceusdm", "protect")
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        bench.world.open_position(name, symbol, "long", "1")
        bench.stop_order(name, symbol, "long", "1", "10")
    async with open_program(settings_of(bench)) as program:
        manager = program.manager
        await synchronize_positions_on_startup(manager)
        for symbol in ("BTCUSDT", "SOLUSDT"):
            bench.world.close_position(name, symbol, "long")
        bench.fault(Fault(FaultKind.SLOW, path="/fapi/v1/openOrders", query={"symbol": "ETHUSDT"}, delay_ms=6_000))
        checking = asyncio.create_task(manager.check_positions_protection())
        report = await manager.sync_exchange_positions(name)
        assert not checking.done(), "the walk is still under way while positions leave"
        checked = await checking
        assert len(report.closed_phantom) == 2
        assert set(checked) == set(manager.positions) == {PositionKey(name, "ETH/USDT:USDT", Side.LONG)}


async def test_a_bare_symbol_is_accepted_only_where_it_is_unique(bench: Bench) -> None:
    name = bench.account("main", "bybit", hedge=True)
    for side in ("long", "short"):
        bench.world.open_position(name, "ETHUSDT", side, "1")
    async with open_program(settings_of(bench)) as program:
        await synchronize_positions_on_startup(program.manager)
        with pytest.raises(AmbiguousSymbol, match="main ETH/USDT:USDT long"):
            program.manager.positions["ETH/USDT:USDT"]
        with pytest.raises(TypeError):
            program.manager.positions[PositionKey(name, "X", Side.LONG)] = None  # type: ignore[index]


@BOTH
async def test_what_a_caller_says_of_a_close_is_amended_by_the_venues_history(bench: Bench, venue: str) -> None:
    name = bench.account("main", venue, "sync")
    bench.world.open_position(name, "ETHUSDT", "long", "2")
    async with open_program(settings_of(bench)) as program:
        await synchronize_positions_on_startup(program.manager)
        (row,) = await program.store.positions()
        bench.world.set_price("ETHUSDT", "3100")
        bench.world.close_position(name, "ETHUSDT", "long")
        repository = Repository(program.store, program.clock.now_ms)
        await repository.close_position(row.position_id, 3000, 0, 0, "manual")
        bench.execute("UPDATE effects SET created_at_ms = created_at_ms - 120000")  # it is looked at a minute later
        report = await program.manager.sync_exchange_positions(name)
        assert report.exit_code == 0
    (closed,) = bench.rows("positions")
    fills = bench.world.look(name).fills("ETHUSDT")
    assert (closed["evidence"], closed["exit_reason"]) == ("fills", "manual")
    assert Decimal(closed["exit_price"]) == fills[-1].price
    assert Decimal(closed["realized_pnl"]) == sum(fill.realized_pnl for fill in fills)
    assert Decimal(closed["net_pnl"]) == sum(fill.realized_pnl - fill.fee for fill in fills)
    assert len(bench.rows("trades")) == 2
