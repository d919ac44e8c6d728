"""The engine's pass in this process against a served venue whose time is the world's, and a judge of the venue's own record.

Waiting costs no time: our clock is the world's, and sleeping moves it. Requests are real, over loopback sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from trueup.core.cases import AdoptionPolicy, Policy
from trueup.core.stops import StopPolicy
from trueup.engine.manager import PositionManager
from trueup.engine.runner import Runner
from trueup.engine.settings import AccountPlan, Timing
from trueup.engine.work import AccountWork, LastLook, PassOptions
from trueup.model.positions import AccountMode, Position
from trueup.model.reports import AccountReport, ProtectionNumbers
from trueup.model.values import from_json
from trueup.ports import Owner, Venue
from trueup.sim.faults import Fault
from trueup.sim.server import VenueServer
from trueup.sim.world import ManualClock, World
from trueup.sim.world import types as sim
from trueup.sim.world.events import AccountChanged, ConditionalChanged, WorldEvent
from trueup.sim.world.requests import ConditionalRequest
from trueup.store.memory import MemoryDatabase, MemoryStore
from trueup.venues import open_venue
from trueup.venues.markets import Markets

__all__ = ["Guard", "House", "Judge", "open_house"]

START_MS = 1_790_000_000_000
WIRES: dict[str, sim.Venue] = {"binanceusdm": "binance", "bybit": "bybit"}
D = Decimal


class WorldClock:
    """Our clock runs with the world's; sleeping is done in no time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now_ms(self) -> int:
        return self._world.now_ms()

    def monotonic_s(self) -> float:
        return self._world.now_ms() / 1000

    async def sleep(self, seconds: float) -> None:
        self._world.advance(max(1, round(seconds * 1000)))


class LeaseClock(WorldClock):
    """For leases, which are renewed beside the work: their waits must not move the world."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Judge:
    """Watches one account's record on the venue: what it says is what happened, whatever our log says.

    Attributes:
        lost: What our acts took away: moments in which a cancel by us left an open position with less cover than before.
        most_of_ours: The most stops of ours that stood on one slot at one moment.
    """

    def __init__(self, world: World, account: str) -> None:
        self._world = world
        self._account = account
        self._cover: dict[tuple[str, sim.Leg], Decimal] = {}
        self.lost: list[str] = []
        self.most_of_ours = 0
        self.record: list[str] = []
        world.subscribe(self._heard)

    def _heard(self, event: WorldEvent) -> None:
        if not isinstance(event, ConditionalChanged | AccountChanged) or event.account != self._account:
            return
        by_us = False
        if isinstance(event, ConditionalChanged):
            order = event.order
            by_us = order.status is sim.ConditionalStatus.CANCELED and order.end_reason is sim.EndReason.USER
            self.record.append(
                f"{event.at_ms - START_MS:>8} {order.symbol} {order.client_order_id or '-'} {order.status} "
                f"{order.side} {order.quantity} at {order.trigger_price}"
            )
        view = self._world.look(self._account)
        now = {(p.symbol, p.leg): self._covered(p) for p in view.positions()}
        for slot, covered in now.items():
            before = self._cover.get(slot)
            if by_us and before is not None and covered < before:
                self.lost.append(f"{event.at_ms}: {slot} was covered for {before}, after our cancel for {covered}")
            ours = [o for o in view.live_stops(*slot) if o.client_order_id.startswith("tu-")]
            self.most_of_ours = max(self.most_of_ours, len(ours))
        self._cover = now

    def _covered(self, position: sim.Position) -> Decimal:
        view = self._world.look(self._account)
        stops = view.live_stops(position.symbol, position.leg)
        whole = abs(position.quantity)
        return min(whole, sum((whole if s.quantity is None else s.quantity for s in stops), D(0)))


@dataclass
class Guard:
    """One account: its place in the world, its book, and passes over it."""

    name: str
    world: World
    server: VenueServer
    clock: WorldClock
    venue: Venue
    database: MemoryDatabase
    plan: AccountPlan
    hedge: bool
    judge: Judge
    work: AccountWork = field(init=False)
    runner: Runner = field(init=False)
    manager: PositionManager = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process over the same store: nothing in memory is left."""
        self.store = MemoryStore(self.database)
        self.timing = Timing(audit_interval_s=30)
        self.work = AccountWork(self.plan, self.timing, self.venue, self.store, self.clock)
        self.runner = Runner(self.work, self.timing, self.store, LeaseClock(self.world), "guard")
        self.manager = PositionManager([self.runner], self.store, self.clock)

    def mode(self, mode: AccountMode, **changes: Any) -> None:
        """Another mode, other settings: as an operator changes them between two runs."""
        self.plan = msgspec.structs.replace(self.plan, mode=mode, **changes)
        self.restart()

    async def owner(self) -> Owner:
        return await self.store.claim(self.name, "guard", 60)

    async def run(self, **options: Any) -> AccountReport:
        """One pass."""
        self.world.advance(5)
        report = await self.work.run_pass(await self.owner(), PassOptions(**options), lambda _: None)
        self.world.advance(5)
        return report

    async def row(self, side: str = "long") -> Position:
        [row] = [row for row in await self.store.positions(account=self.name) if row.side.value == side]
        return row

    async def events(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in await self.store.events(account=self.name, type=kind)]

    async def numbers(self) -> ProtectionNumbers:
        """What `status` shows."""
        state, _ = (await self.store.account_states())[self.name]
        return from_json(state, LastLook).protection

    def leg(self, side: str) -> sim.Leg:
        return (sim.Leg.LONG if side == "long" else sim.Leg.SHORT) if self.hedge else sim.Leg.NET

    def place(
        self,
        side: str,
        quantity: str | None,
        trigger: str,
        *,
        client_id: str = "",
        kind: sim.ConditionalKind = sim.ConditionalKind.STOP,
        entry: bool = False,
        symbol: str = "ETHUSDT",
        by: sim.TriggerBy = sim.TriggerBy.MARK,
    ) -> sim.ConditionalOrder:
        """Somebody's conditional order under a position of `side`; an `entry` opens such a position instead."""
        closing = sim.Side.SELL if side == "long" else sim.Side.BUY
        request = ConditionalRequest(
            symbol=symbol,
            side=closing.opposite if entry else closing,
            kind=kind,
            order_type=sim.OrderType.MARKET,
            quantity=None if quantity is None else D(quantity),
            trigger_price=D(trigger),
            trigger_by=by,
            leg=self.leg(side),
            reduce_only=not entry and (self.wire == "bybit" or (quantity is not None and not self.hedge)),
            close_position=quantity is None,
            client_order_id=client_id,
        )
        return self.world.place_conditional(self.name, request)

    @property
    def wire(self) -> sim.Venue:
        return WIRES[self.plan.venue]

    def stops(self, symbol: str = "ETHUSDT") -> list[sim.ConditionalOrder]:
        """What could close something there, take-profits left out, whoever placed it."""
        return [
            order
            for order in self.world.look(self.name).open_conditionals(symbol)
            if order.closes and order.kind is not sim.ConditionalKind.TAKE_PROFIT
        ]

    def ours(self, symbol: str = "ETHUSDT") -> list[sim.ConditionalOrder]:
        return [order for order in self.stops(symbol) if order.client_order_id.startswith("tu-")]

    def fault(self, fault: Fault) -> None:
        self.server.front.faults.add(fault)

    def mend(self) -> None:
        self.server.front.faults.clear()


@dataclass
class House:
    """A served venue with as many accounts as a test wants; they share its market list."""

    world: World
    server: VenueServer
    clock: WorldClock
    markets: dict[str, Markets] = field(default_factory=dict)
    opened: list[Venue] = field(default_factory=list)

    def guard(self, name: str, venue: str, *, hedge: bool = False, **plan: Any) -> Guard:
        mode = sim.PositionMode.HEDGE if hedge else sim.PositionMode.ONE_WAY
        spec = self.world.add_account(name, WIRES[venue], mode=mode)
        adapter = open_venue(
            account=name,
            venue=venue,
            api_key=spec.api_key,
            api_secret=spec.api_secret,
            rest_url=self.server.rest_url,
            clock=self.clock,
            markets=self.markets.setdefault(venue, Markets(venue, self.clock)),
            timeout_s=5.0,
        )
        self.opened.append(adapter)
        policy = Policy(
            adoption=AdoptionPolicy(what="adopt"), new_row_grace_ms=0, confirm_after_ms=0, confirm_snapshots=2
        )
        settings: dict[str, Any] = {
            "mode": AccountMode.PROTECT,
            "protect_adopted": True,
            "grace_ms": 10_000,
            "stops": StopPolicy(),
            **plan,
        }
        account = AccountPlan(
            name=name,
            venue=venue,
            policy=policy,
            mass_close_fraction=D("0.3"),
            mass_close_window_ms=600_000,
            **settings,
        )
        database = MemoryDatabase(self.world.now_ms)
        judge = Judge(self.world, name)
        return Guard(name, self.world, self.server, self.clock, adapter, database, account, hedge, judge)


@asynccontextmanager
async def open_house(seed: int = 7) -> AsyncIterator[House]:
    world = World(ManualClock(START_MS), seed)
    async with VenueServer(world) as server:
        house = House(world, server, WorldClock(world))
        try:
            yield house
        finally:
            for adapter in house.opened:
                await adapter.aclose()
