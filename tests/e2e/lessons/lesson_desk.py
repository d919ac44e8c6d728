"""An operator's desk over one account: the real engine on a served venue and a real database, and the venue's own truth.

What the venue did is told by its fills and its ledger alone (`lives`), worked out here anew: no code of the engine takes part in
what its books are held against.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import asyncpg

from tests.support.bench import Bench
from trueup.bootstrap.status import account_statuses
from trueup.bootstrap.wiring import Program, open_program
from trueup.config import Settings, parse_settings
from trueup.model.events import Event
from trueup.model.positions import Position
from trueup.model.reports import AccountReport, AccountStatus
from trueup.sim.faults import Fault, Planned
from trueup.sim.journal import KEPT
from trueup.sim.world.ids import uuid_text
from trueup.sim.world.types import ZERO, ConditionalOrder, Fill, LedgerKind, Leg
from trueup.sim.world.types import Side as WorldSide

D = Decimal

POSITIONS = {"binanceusdm": "/fapi/v3/positionRisk", "bybit": "/v5/position/list"}
FILLS = {"binanceusdm": "/fapi/v1/userTrades", "bybit": "/v5/execution/list"}
CANCELS = {"binanceusdm": ("DELETE", "/fapi/v1/algoOrder"), "bybit": ("POST", "/v5/order/cancel")}


@dataclass
class Life:
    """One opening of a position until it is flat, as the venue's own fills tell it. Money in the settle asset, fees paid > 0."""

    side: WorldSide
    opened_ms: int
    opening_order: int | None
    bought: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    sold: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    closed_ms: int | None = None
    closing_order: int | None = None
    inverse: bool = False

    @property
    def closed_quantity(self) -> Decimal:
        return sum((quantity for quantity, _ in self.sold), ZERO)

    @property
    def quantity(self) -> Decimal:
        """What is open."""
        return sum((quantity for quantity, _ in self.bought), ZERO) - self.closed_quantity

    @property
    def exit_price(self) -> Decimal:
        return self._mean(self.sold)

    @property
    def entry_price(self) -> Decimal:
        return self._mean(self.bought)

    def _mean(self, parts: list[tuple[Decimal, Decimal]]) -> Decimal:
        total = sum((quantity for quantity, _ in parts), ZERO)
        if self.inverse:
            return total / sum((quantity / price for quantity, price in parts), ZERO)
        return sum((quantity * price for quantity, price in parts), ZERO) / total

    @property
    def net(self) -> Decimal:
        return self.realized - self.fees + self.funding


@dataclass
class Desk:
    """One account, `main`, worked with in this process; `bench.run` works with it in another."""

    bench: Bench
    venue: str
    name: str
    program: Program

    # the engine

    async def sync(self, code: int) -> AccountReport:
        """A complete pass, which must come to that exit code."""
        report = await self.program.manager.sync_exchange_positions(self.name)
        assert report.exit_code == code, f"exit {report.exit_code}, wanted {code}: {report}"
        return report

    async def events(self, kind: str) -> list[Event]:
        return await self.program.store.events(type=kind)

    async def status(self) -> AccountStatus:
        """What `trueup status` shows."""
        (status,) = await account_statuses(self.program.settings, self.program.store)
        return status

    # the venue

    @property
    def world(self) -> Any:
        return self.bench.world

    def stop(self, symbol: str, side: str, quantity: str, trigger: str, **options: Any) -> ConditionalOrder:
        return self.bench.stop_order(self.name, symbol, side, quantity, trigger, **options)

    def order_is_open(self, order: ConditionalOrder) -> bool:
        """By the venue's own record."""
        now = self.world.look(self.name).conditional(order.conditional_id)
        assert now is not None
        return bool(now.is_open)

    def lives(self, symbol: str, leg: Leg = Leg.NET) -> list[Life]:
        """What became of the slot, oldest first; the last one may be open."""
        view = self.world.look(self.name)
        inverse = view.instrument(symbol).inverse
        lives: list[Life] = []
        for fill in (fill for fill in view.fills(symbol) if fill.leg is leg):
            _take(lives, fill, inverse)
        for paid in view.ledger(kind=LedgerKind.FUNDING, symbol=symbol):
            for life in lives:
                ends = life.closed_ms if life.closed_ms is not None else paid.at_ms
                if paid.leg is leg and life.opened_ms < paid.at_ms <= ends:
                    life.funding += paid.amount
        return lives

    def id_of(self, order: int | None) -> str:
        """An order's id as the venue's wire writes it."""
        assert order is not None
        return uuid_text(order) if self.venue == "bybit" else str(order)

    def fault(self, fault: Fault) -> Planned:
        return self.bench.server.front.add_fault(fault)

    async def moment(self, milliseconds: int = 2) -> None:
        """Lets so much of the venue's time pass: what comes next has another time than what was."""
        ends_ms = self.world.now_ms() + milliseconds
        await until(lambda: self.world.now_ms() >= ends_ms)

    def requests(self, method: str, path: str) -> int:
        """How many of them the venue got (of its newest 500 requests)."""
        newest = self.bench.server.front.journal.latest(KEPT)
        return sum(1 for asked in newest if (asked.request.method, asked.request.path) == (method, path))

    # the book, read with a connection of our own

    async def acts(self) -> list[dict[str, Any]]:
        """The effects on the venue: reminders to look at a close again are none."""
        return [row for row in await self.rows("effects") if row["kind"] != "amend_close"]

    async def rows(self, table: str) -> list[dict[str, Any]]:
        if self.bench.store_url.startswith("sqlite"):
            return self.bench.rows(table)
        connection = await asyncpg.connect(self.bench.store_url)
        try:
            found = [dict(row) for row in await connection.fetch(f"SELECT * FROM monitoring.{table}")]
            return sorted(found, key=lambda row: row.get("id", 0))
        finally:
            await connection.close()

    async def execute(self, statement: str) -> None:
        """What another program does to the book's database."""
        if self.bench.store_url.startswith("sqlite"):
            self.bench.execute(statement)
            return
        connection = await asyncpg.connect(self.bench.store_url)
        try:
            await connection.execute("SET search_path TO monitoring")
            await connection.execute(statement)
        finally:
            await connection.close()

    async def lease_runs_out(self) -> None:
        """The lease of a process that renews it no longer is over: the time until then passes."""
        await self.execute("UPDATE owners SET expires_at_ms = 0")

    async def book(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of the tables that bots read."""
        return {table: await self.rows(table) for table in ("positions", "orders", "trades")}

    async def active(self) -> list[dict[str, Any]]:
        return [row for row in await self.rows("positions") if row["status"] == "active"]

    async def closed(self) -> list[dict[str, Any]]:
        return [row for row in await self.rows("positions") if row["status"] == "closed"]

    async def check_closed(
        self, closed: Position | int, life: Life, reason: str, *, funding_known: bool = True, complete: bool = True
    ) -> dict[str, Any]:
        """The row, its exit order and its trades say what the venue's fills say, to the last digit."""
        number = closed if isinstance(closed, int) else closed.position_id
        (row,) = [row for row in await self.closed() if row["id"] == number]
        assert life.closed_ms is not None, "the venue closed it"
        assert (row["exit_reason"], row["evidence"], bool(row["estimated"])) == (reason, "fills", False)
        assert row["side"] == ("long" if life.side is WorldSide.BUY else "short")
        assert bool(row["complete"]) is complete
        assert D(row["quantity"]) == life.closed_quantity
        assert close_to(D(row["exit_price"]), life.exit_price)
        assert close_to(D(row["entry_price"]), life.entry_price)
        assert D(row["realized_pnl"]) == life.realized
        assert row["closing_order_id"] == self.id_of(life.closing_order)
        if funding_known:
            assert D(row["funding"]) == life.funding
            assert D(row["net_pnl"]) == life.net
        else:
            assert (row["funding"], row["net_pnl"]) == (None, None)
        await self._check_parts(number, life)
        return row

    async def _check_parts(self, number: int, life: Life) -> None:
        exits = [order for order in await self.rows("orders") if order["position_id"] == number and order["is_exit"]]
        assert [order["order_id"] for order in exits] == [self.id_of(life.closing_order)]
        trades = [trade for trade in await self.rows("trades") if trade["position_id"] == number]
        opening = [(D(trade["quantity"]), D(trade["price"])) for trade in trades if trade["opening"]]
        closing = [(D(trade["quantity"]), D(trade["price"])) for trade in trades if not trade["opening"]]
        assert sorted(opening) == sorted(life.bought)
        assert sorted(closing) == sorted(life.sold)
        assert sum((D(trade["fee"]) for trade in trades), ZERO) == life.fees

    async def check_open(self, row: dict[str, Any], life: Life) -> None:
        """An active row is the venue's open lifecycle."""
        assert life.closed_ms is None, "the venue has it open"
        assert row["side"] == ("long" if life.side is WorldSide.BUY else "short")
        assert D(row["quantity"]) == life.quantity
        if not life.sold:
            assert close_to(D(row["entry_price"]), life.entry_price)


def _take(lives: list[Life], fill: Fill, inverse: bool) -> None:
    closed = fill.closed_quantity
    opened = fill.quantity - closed
    if closed:
        life = lives[-1]
        life.sold.append((closed, fill.price))
        life.realized += fill.realized_pnl
        life.fees += fill.fee * closed / fill.quantity
        if life.quantity == 0:
            life.closed_ms, life.closing_order = fill.at_ms, fill.order_id
    if opened:
        if not lives or lives[-1].closed_ms is not None:
            lives.append(Life(fill.side, fill.at_ms, fill.order_id, inverse=inverse))
        lives[-1].bought.append((opened, fill.price))
        lives[-1].fees += fill.fee * opened / fill.quantity


def close_to(found: Decimal, wanted: Decimal) -> bool:
    """A mean of prices that does not end is kept to 12 digits."""
    return abs(found - wanted) <= abs(wanted) * D("1e-12")


def settings_of(bench: Bench) -> Settings:
    bench.write_config()
    return parse_settings(bench.config.read_text(), path=bench.config, environ=bench.environ)


@asynccontextmanager
async def open_desk(
    bench: Bench, venue: str, mode: str = "sync", *, hedge: bool = False, **keys: str
) -> AsyncIterator[Desk]:
    """Account `main`, new in the world and in the configuration. `keys` are TOML values of the account."""
    name = bench.account("main", venue, mode, hedge=hedge, **keys)
    async with open_program(settings_of(bench)) as program:
        yield Desk(bench, venue, name, program)


@asynccontextmanager
async def reopened(desk: Desk) -> AsyncIterator[Desk]:
    """The program started again over the same book."""
    async with open_program(settings_of(desk.bench)) as program:
        yield Desk(desk.bench, desk.venue, desk.name, program)


async def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    """Waits for a fact; what it then is."""
    async with asyncio.timeout(seconds):
        while not (found := holds()):  # noqa: ASYNC110 - facts of a database or of another process tell nobody
            await asyncio.sleep(0.005)
        return found
