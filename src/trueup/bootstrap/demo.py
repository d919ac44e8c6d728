"""`trueup demo`: a position's whole life on two simulated venues, through the very code that runs on a real account.

Nothing is staged: a served venue on loopback, an embedded store, the passes that `trueup sync` runs. Each chapter checks that
what it tells is true, and ends the demo with an error if it is not.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from trueup.bootstrap.explain import explain_position
from trueup.bootstrap.wiring import Program, open_program
from trueup.cli.services import Say
from trueup.config import Settings, parse_settings
from trueup.engine.runner import Act
from trueup.engine.synchronizer import synchronize_positions_on_startup
from trueup.model.decimals import decimal_text
from trueup.model.errors import InvariantBroken
from trueup.model.orders import Side
from trueup.model.positions import Position, PositionKey
from trueup.model.reports import AccountReport, Explanation
from trueup.model.times import time_text
from trueup.sim.faults import Fault, FaultKind
from trueup.sim.server import VenueServer, served_world
from trueup.sim.world.requests import ConditionalRequest
from trueup.sim.world.types import ConditionalKind, OrderType, TriggerBy, Venue
from trueup.sim.world.types import Side as Hand
from trueup.sim.world.world import World

__all__ = ["run_demo"]

_CONFIG = """
[store]
url = "sqlite:///trueup-demo.db"

[sync]
confirm_after_s = 1
new_row_grace_s = 0

[protection]
grace_s = 0

[[accounts]]
name = "binance-demo"
venue = "binanceusdm"
mode = "protect"
api_key = "env:DEMO_BINANCE_KEY"
api_secret = "env:DEMO_BINANCE_SECRET"
rest_url = "{rest}"
ws_url = "{streams}"

[[accounts]]
name = "bybit-demo"
venue = "bybit"
mode = "protect"
api_key = "env:DEMO_BYBIT_KEY"
api_secret = "env:DEMO_BYBIT_SECRET"
rest_url = "{rest}"
ws_url = "{streams}"
"""


@dataclass(frozen=True)
class _Actor:
    """One account of the demo: what it holds, and where its stop stands."""

    account: str
    venue: Venue
    variable: str
    wire_symbol: str
    symbol: str
    side: Side
    quantity: Decimal
    stop: Decimal
    exit_price: Decimal


_ACTORS = (
    _Actor(
        account="binance-demo",
        venue="binance",
        variable="BINANCE",
        wire_symbol="ETHUSDT",
        symbol="ETH/USDT:USDT",
        side=Side.LONG,
        quantity=Decimal(2),
        stop=Decimal(2900),
        exit_price=Decimal("3120.5"),
    ),
    _Actor(
        account="bybit-demo",
        venue="bybit",
        variable="BYBIT",
        wire_symbol="BTCUSDT",
        symbol="BTC/USDT:USDT",
        side=Side.SHORT,
        quantity=Decimal("0.05"),
        stop=Decimal(66000),
        exit_price=Decimal(61250),
    ),
)


async def run_demo(*, keep: bool, say: Say) -> None:
    """Tells the story and checks it.

    Raises:
        InvariantBroken: Something that the demo tells did not hold.
    """
    folder = Path(tempfile.mkdtemp(prefix="trueup-demo-"))
    try:
        await _tell(folder, say)
    finally:
        if keep:
            say(
                f"\nKept in {folder}: the configuration and the book. The simulated venues are gone, the book still answers:"
            )
            say(f"   trueup positions --status all --config {folder / 'trueup.toml'}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _tell(folder: Path, say: Say) -> None:
    world = served_world(7)
    async with VenueServer(world) as server:
        settings = _settings(folder, world, server)
        say("Two simulated exchanges answer on loopback, in the wire formats of Binance USDⓈ-M and Bybit v5.")
        say(f"They are read through unmodified ccxt; the book is {folder / 'trueup-demo.db'} (SQLite).")
        async with open_program(settings) as program:
            stops = _open_positions(world, say)
            await _adopt(program, say)
            await _outage(program, server, say)
            _close_behind_the_bot(world, say)
            closed = await _detect(program, world, say)
            _check_memory(program, say)
            _check_stops(world, stops, say)
            _title(say, "7  Why: each position's story, from the audit log")
            for position in closed:
                _explain(await explain_position(program.store, position.position_id), say)
    say("\nThat was a whole life: opened, adopted, closed elsewhere, detected, booked from the venue's own fills,")
    say("forgotten by memory, its stop cancelled, explained. Your own account, reading only: trueup init")


def _settings(folder: Path, world: World, server: VenueServer) -> Settings:
    environ: dict[str, str] = {}
    for actor in _ACTORS:
        account = world.add_account(actor.account, actor.venue)
        environ[f"DEMO_{actor.variable}_KEY"] = account.api_key
        environ[f"DEMO_{actor.variable}_SECRET"] = account.api_secret
    text = _CONFIG.format(rest=server.rest_url, streams=server.ws_url)
    path = folder / "trueup.toml"
    path.write_text(text.lstrip(), encoding="utf-8")
    return parse_settings(text, path=path, environ=environ)


def _open_positions(world: World, say: Say) -> dict[str, int]:
    """A bot, or a person, opens a position on each venue and puts a stop under it."""
    _title(say, "1  A position is opened on each venue, with a stop")
    world.set_price("ETHUSDT", "3000")
    world.set_price("BTCUSDT", "62000")
    stops = {}
    for actor in _ACTORS:
        world.open_position(actor.account, actor.wire_symbol, actor.side.value, actor.quantity)
        request = ConditionalRequest(
            symbol=actor.wire_symbol,
            side=Hand.SELL if actor.side is Side.LONG else Hand.BUY,
            kind=ConditionalKind.STOP,
            order_type=OrderType.MARKET,
            quantity=actor.quantity,
            trigger_price=actor.stop,
            trigger_by=TriggerBy.MARK,
            reduce_only=True,
        )
        stops[actor.account] = world.place_conditional(actor.account, request).conditional_id
        say(f"   {actor.account:<13} {actor.side.value:<5} {actor.quantity} {actor.symbol}, stop at {actor.stop}")
    return stops


async def _adopt(program: Program, say: Say) -> None:
    _title(say, "2  trueup sync: the book is empty, the venue is not")
    reports = await synchronize_positions_on_startup(program.manager)
    for report in reports.values():
        _expect(report.observed and len(report.added_missing) == 1, f"{report.account} adopts one position")
        for position in report.added_missing:
            opened_by = position.opening_order_id
            say(f"   {report.account:<13} adopted {_line(position)}, opened by order {opened_by}")
    again = await synchronize_positions_on_startup(program.manager)
    _expect(all(report.exit_code == 0 for report in again.values()), "a second look finds book and venue equal")
    say(f"   looked again: {program.manager.position_count} positions verified, nothing to do")


async def _outage(program: Program, server: VenueServer, say: Say) -> None:
    _title(say, "3  The venue fails: half of its answer is missing")
    before = await program.store.positions(status="all")
    half = server.front.faults.add(Fault(FaultKind.TRUNCATED, path="*position*"))
    for name, runner in program.runners.items():
        with _told_here():
            report = (await runner.act(Act(kind="sync"), lambda _: None)).report
        _expect(report is not None and report.exit_code == 4, f"{name} is unobserved")
        if report is not None:
            say(f"   {name:<13} not observed (exit 4): {report.error}")
    server.front.faults.remove(half.fault_id)
    _expect(await program.store.positions(status="all") == before, "the book is what it was")
    say("   nothing was closed, nothing was changed: an outage is not an empty account")


@contextmanager
def _told_here() -> Iterator[None]:
    """Keeps back the warning that a pass logs of what the story tells itself; `--verbose` shows it all the same."""
    log = logging.getLogger("trueup.engine")
    before = log.level
    if not log.isEnabledFor(logging.INFO):
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _close_behind_the_bot(world: World, say: Say) -> None:
    _title(say, "4  Somebody closes both in the exchange's app; the bot is not told")
    for actor in _ACTORS:
        world.set_price(actor.wire_symbol, actor.exit_price, venue=actor.venue)
        world.close_position(actor.account, actor.wire_symbol, actor.side.value)
        say(f"   {actor.account:<13} {actor.symbol} closed at {actor.exit_price}; its stop still stands on the venue")


async def _detect(program: Program, world: World, say: Say) -> list[Position]:
    _title(say, "5  trueup sync: detected, proven by the venue's own fills, closed in the book")
    closed: list[Position] = []
    for actor in _ACTORS:
        report = await program.manager.sync_exchange_positions(actor.account)
        _expect(report.exit_code == 0 and len(report.closed_phantom) == 1, f"{actor.account} closes one position")
        position = report.closed_phantom[0]
        _check_amounts(world, actor, position)
        _tell_close(position, report, say)
        closed.append(position)
    return closed


def _check_amounts(world: World, actor: _Actor, position: Position) -> None:
    """What the book says is what the venue's own books say, to the last digit."""
    fills = world.look(actor.account).fills(actor.wire_symbol)
    details = position.close
    _expect(details is not None, "a closed position has its close")
    if details is None:
        return
    gross = sum((fill.realized_pnl for fill in fills), Decimal(0))
    fees = sum((fill.fee for fill in fills), Decimal(0))
    _expect(details.exit_price == actor.exit_price, f"exit price {details.exit_price} is {actor.exit_price}")
    _expect(details.realized_pnl == gross, f"gross PnL {details.realized_pnl} is the venue's {gross}")
    _expect(sum((fee.amount for fee in details.fees), Decimal(0)) == fees, f"fees are the venue's {fees}")


def _tell_close(position: Position, report: AccountReport, say: Say) -> None:
    details = position.close
    if details is None:
        return
    fees = ", ".join(f"{decimal_text(fee.amount)} {fee.asset}" for fee in details.fees)
    say(f"   {report.account:<13} closed {_line(position)}; position {position.position_id} of the book")
    say(f"   {'':<13} exit {details.exit_price}, gross PnL {details.realized_pnl} {details.settle_asset}, fees {fees},")
    say(
        f"   {'':<13} net {details.net_pnl} {details.settle_asset}; reason {details.exit_reason}, evidence {details.evidence}"
    )
    for order in report.protection.cancelled:
        say(
            f"   {'':<13} its stop {order.order_id} at {order.trigger_price} was cancelled, and the venue shows it gone"
        )


def _check_memory(program: Program, say: Say) -> None:
    _title(say, "6  Memory and monitoring follow the book")
    manager = program.manager
    keys = [PositionKey(actor.account, actor.symbol, actor.side) for actor in _ACTORS]
    _expect(all(key not in manager.positions for key in keys), "closed positions are out of memory")
    _expect(manager.position_count == 0 and manager.total_exposure == 0, "count and exposure are zero")
    say(f"   positions in memory {manager.position_count}, exposure {manager.total_exposure}, nothing left to protect")


def _check_stops(world: World, stops: dict[str, int], say: Say) -> None:
    for account, stop in stops.items():
        order = world.look(account).conditional(stop)
        _expect(order is not None and not order.is_open, f"stop {stop} of {account} is gone from the venue")
    say(f"   open stop orders on the venues: {sum(len(world.look(a).open_conditionals()) for a in stops)}")


def _explain(explanation: Explanation, say: Say) -> None:
    position = explanation.position
    _title(
        say, f"   trueup explain {position.position_id}: {position.symbol} {position.side.value}, {position.account}"
    )
    for step in explanation.steps:
        say(f"   {time_text(step.at_ms)[11:23]}  {step.summary}")


def _line(position: Position) -> str:
    return f"{position.side.value} {position.quantity} {position.symbol} at {position.entry_price}"


def _title(say: Say, text: str) -> None:
    say("")
    say(text)


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise InvariantBroken(
            f"demo: expected that {what}; it does not hold. This is a fault of trueup: please report it"
        )
