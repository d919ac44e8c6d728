"""One run: the world, its network and its database, the engine's processes on them, and what is to go wrong, in one loop.

1. Everything is made from the plan and the seed; two runs of one plan take the same steps.
2. A process is started as `trueup run` starts it, through the same wiring; a crash ends it wherever it is, a restart begins
   from what was committed.
3. After `active_s` nobody trades and nothing goes wrong: the run ends when the judge is satisfied, or its patience is over.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trueup.bootstrap.wiring import Outside, open_program
from trueup.config import Settings
from trueup.engine.runner import Act as EngineAct
from trueup.hunt.clocks import START_MS, MachineClock
from trueup.hunt.judge import Judge, Violation
from trueup.hunt.network import Network
from trueup.hunt.opener import REST_URL, WS_URL, HuntOpener
from trueup.hunt.plan import Act, Happening, Plan
from trueup.hunt.storage import Connection, StoreFaults, store_of
from trueup.hunt.traders import SYMBOLS, Traders
from trueup.model.effects import ON_VENUE
from trueup.model.errors import NotDelivered
from trueup.model.positions import Position
from trueup.model.values import to_json
from trueup.sim.faults import Fault
from trueup.sim.front import Front, Outcome
from trueup.sim.loop import Deadlock, Host, Livelock, RealWorld, SimLoop
from trueup.sim.wire import WireRequest
from trueup.sim.world import SkewedClock, World
from trueup.sim.world.instruments import default_instruments
from trueup.sim.world.types import PositionMode
from trueup.store.memory import MemoryDatabase

if TYPE_CHECKING:
    from trueup.engine.manager import PositionManager
    from trueup.model.changes import ChangeSet, Committed
    from trueup.model.effects import Notice
    from trueup.ports import Owner

__all__ = ["Result", "Simulation", "run"]

VENUES = {"alpha": "binance", "beta": "bybit"}
_CLIENT_NAMES = {"binance": "binanceusdm", "bybit": "bybit"}
_CHECK_EVERY_S = 5.0
_PATIENCE_S = 900.0
_RETRY_START_S = 1.0
_ENLIVENED_FROM = 0.85  # of the time that traders act
_LIVELY = ("open_bot", "open_hand", "increase", "reduce", "close", "flip")


@dataclass
class Result:
    """What came of a run."""

    seed: int
    simulated_s: float
    trace_hash: str
    violations: list[Violation]
    timeline: list[tuple[float, str, str]]
    counts: dict[str, int] = field(default_factory=dict)


class Notifier:
    """Tells the judge; fails while the network does."""

    places = 1

    def __init__(self, simulation: Simulation, host: Host) -> None:
        self._sim, self._host = simulation, host

    async def tell(self, notice: Notice) -> None:
        self._host.check()
        await asyncio.sleep(0.05)
        self._host.check()
        if self._sim.telling_fails:
            raise NotDelivered("the place does not answer")
        self._sim.judge.told(notice)


class Node:
    """A machine on which one trueup runs, is killed, and runs again."""

    def __init__(self, simulation: Simulation, number: int) -> None:
        self.name = f"host{number}"
        self.number = number
        self._sim = simulation
        offset_ms, drift = simulation.plan.clocks[self.name]
        self.clock = MachineClock(simulation.loop, offset_ms=offset_ms, drift_ppm=drift)
        self.faults = StoreFaults()
        self.host = Host(self.name)
        self.host.alive = False
        self.manager: PositionManager | None = None
        self.starts = 0
        self.dies_at: str | None = None
        self.down_s = 0.0

    def start(self) -> None:
        """A new process, with nothing in memory."""
        if self.host.alive:
            return
        self.starts += 1
        sim = self._sim
        host = Host(f"{self.name}.{self.starts}")
        host.on_kill = lambda: self._died(host)
        self.host, self.dies_at = host, None
        sim.note(self.name, "starts")
        with sim.loop.on(host):
            sim.loop.create_task(self._run(host), name=f"{host.name} main")

    def _died(self, host: Host) -> None:
        self.manager = None
        self._sim.judge.excuse(20.0)
        self._sim.note(self.name, "is killed")
        self._sim.network.died(host)
        if not self._sim.quiet:
            self._sim.later(self.down_s, self.start)

    async def _run(self, host: Host) -> None:
        """As `trueup run`, begun again by whatever watches over it when it ends by itself."""
        while True:
            try:
                await self._once(host)
            except Exception as error:
                self._sim.judge.surprise(f"{host.name} ended by itself: {type(error).__name__}: {error}")
            host.check()
            await asyncio.sleep(_RETRY_START_S)

    async def _once(self, host: Host) -> None:
        sim = self._sim
        seed = sim.plan.seed * 1_000 + self.number * 100 + self.starts
        connection = Connection(sim.database, host, sim.loop, seed)
        connection.faults = self.faults
        connection.before_commit = self._commits
        connection.after_commit = self._committed
        outside = Outside(
            clock=self.clock,
            store=store_of(connection),
            opener=HuntOpener(sim.settings, self.clock, sim.network, host, seed),
            notifier=Notifier(sim, host),
            holder=f"{host.name}:{self.starts}",
        )
        async with open_program(sim.settings, outside=outside) as program:
            self.manager = program.manager
            await program.supervisor().run()

    def _commits(self, changes: ChangeSet) -> None:
        self._crash_point("before_commit")
        if changes.effect_updates:
            self._crash_point("before_outcome")

    def _committed(self, owner: Owner, changes: ChangeSet, committed: Committed) -> None:
        self._sim.judge.committed(owner, changes, committed)
        self._crash_point("after_commit")
        if any(effect.kind in ON_VENUE for effect in changes.effects):
            self._crash_point("after_wish")

    def acted(self) -> None:
        self._crash_point("after_act")

    def _crash_point(self, name: str) -> None:
        if self.dies_at == name:
            self.dies_at = None
            self._sim.loop.kill(self.host)


class Simulation:
    """See the module.

    Attributes:
        patience_s: How long after the traders' time the judge waits for everything to be right.
        enough: Told the violations so far; true ends the run. None: it goes on to its end.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loop = SimLoop(plan.seed)
        venue_clock = MachineClock(self.loop, offset_ms=plan.clocks["venue"][0], drift_ppm=plan.clocks["venue"][1])
        self._venue_clock = SkewedClock(venue_clock)
        listed = [spec for spec in default_instruments(START_MS) if spec.symbol in SYMBOLS[spec.venue]]
        self.world = World(self._venue_clock, plan.seed, listed)
        self.front = Front(self.world, fault_seed=plan.seed)
        self.network = Network(self.loop, self.front, plan.seed)
        offset_ms, drift = plan.clocks["database"]
        self._database_clock = MachineClock(self.loop, offset_ms=offset_ms, drift_ppm=drift)
        self.database = MemoryDatabase(self._database_clock.now_ms)
        self.timeline: list[tuple[float, str, str]] = []
        self._deaf_until_s = 0.0
        self.patience_s = _PATIENCE_S
        self.enough: Callable[[list[Violation]], bool] | None = None
        self.quiet = False
        self.settings = self._configure()
        self.judge = Judge(self)
        self.traders = Traders(self)
        self.nodes = [Node(self, number) for number in range(plan.hosts)]
        self.network.on_request = self._requested
        self._nobody = contextvars.Context()

    def _configure(self) -> Settings:
        environ, accounts = {"HUNT_ALERT": "json://localhost/"}, []
        for name, venue in VENUES.items():
            mode = PositionMode.HEDGE if name in self.plan.hedge else PositionMode.ONE_WAY
            spec = self.world.add_account(name, venue, mode=mode)  # type: ignore[arg-type]
            environ |= {f"{name.upper()}_KEY": spec.api_key, f"{name.upper()}_SECRET": spec.api_secret}
            accounts.append(
                {
                    "name": name,
                    "venue": _CLIENT_NAMES[venue],
                    "mode": self.plan.modes[name],
                    "api_key": f"env:{name.upper()}_KEY",
                    "api_secret": f"env:{name.upper()}_SECRET",
                    "rest_url": REST_URL,
                    "ws_url": WS_URL,
                }
            )
        alerts = {"urls": ["env:HUNT_ALERT"]}
        data = {**self.plan.settings, "alerts": alerts, "accounts": accounts}
        return Settings.build(data, path=None, environ=environ)

    # what happens
    def note(self, who: str, text: str) -> None:
        """A line of the timeline, at this instant."""
        self.timeline.append((self.loop.time(), who, text))

    def later(self, seconds: float, action: Callable[..., object], *args: Any) -> None:
        self.loop.call_later(seconds, action, *args, context=self._nobody)

    def active_rows(self) -> list[Position]:
        return list(self.database.rows.active.values())

    def act(self, kind: str, **details: Any) -> EngineAct:
        return EngineAct(kind=kind, **details)

    def ask(self, account: str, kind: str, payload: str) -> None:
        """Leaves a request for whoever owns the account, as another `trueup` command does."""
        from trueup.store.memory import MemoryStore

        asking = MemoryStore(self.database).ask(account, kind, payload, self._database_clock.now_ms())
        try:
            asking.send(None)
        except StopIteration:
            return

    def _requested(self, host: Host, request: WireRequest, outcome: Outcome, account: str | None) -> None:
        if request.method == "GET":
            self.judge.asked(account, request)
        else:
            self.judge.acted(host, request, outcome)
            for node in self.nodes:
                if node.host is host and "listenKey" not in request.path:
                    node.acted()

    async def main(self) -> None:
        """The whole run."""
        self.world.subscribe(self.judge.heard)
        self.world.follow_random_path(volatility="0.0004", step_ms=self.plan.price_step_ms)
        keeper = asyncio.create_task(self._keep_world(), name="world")
        for act in self.plan.acts:
            self.later(act.at_s, self._perform, act)
        for happening in self.plan.happenings:
            self.later(happening.at_s, self._happen, happening)
        if self.plan.least_events:
            self.later(self.plan.active_s * _ENLIVENED_FROM, self._enliven, random.Random(f"more {self.plan.seed}"))  # noqa: S311
        for node in self.nodes:
            node.start()
        await self._trade()
        self._calm()
        await self._until_satisfied()
        keeper.cancel()
        for node in self.nodes:
            self.loop.kill(node.host)

    async def _trade(self) -> None:
        """Until the traders' time is over, or what was found is enough."""
        if self.enough is None:
            await asyncio.sleep(self.plan.active_s)
            return
        for _ in range(round(self.plan.active_s / _CHECK_EVERY_S)):
            if self.enough(self.judge.violations):
                return
            await asyncio.sleep(_CHECK_EVERY_S)

    def _enliven(self, chance: random.Random) -> None:
        """One act more, and another soon, until enough has happened."""
        if self.judge.events >= self.plan.least_events or self.quiet:
            return
        kind, account = chance.choice(_LIVELY), chance.choice(list(self.plan.modes))
        self._perform(Act(self.loop.time(), account, kind, chance.getrandbits(48)))
        self.later(chance.uniform(0.2, 1.4), self._enliven, chance)

    async def _keep_world(self) -> None:
        while True:
            self.network.tick()
            self.judge.tick(1.0)
            await asyncio.sleep(1.0)

    def _perform(self, act: Act) -> None:
        self.world.tick()
        self.traders.perform(act)
        self.judge.look()

    def _calm(self) -> None:
        """Faults end here; dead processes start, paused ones go on."""
        self.quiet = True
        self.note("run", "all is quiet from here on")
        self.front.clear_faults()
        for node in self.nodes:
            node.faults.__init__()  # type: ignore[misc]
            node.dies_at = None
            node.host.kill_at = None
            self.loop.unpause(node.host)
            node.start()

    async def _until_satisfied(self) -> None:
        began = self.loop.time()
        good = 0
        while good < 2 and not (self.enough is not None and self.enough(self.judge.violations)):
            await asyncio.sleep(_CHECK_EVERY_S)
            self.judge.look()
            problems = self.judge.unsettled()
            good = 0 if problems else good + 1
            self._approve_holds()
            if problems and self.loop.time() - began > self.patience_s:
                for problem in problems:
                    self.judge.violated(problem.invariant, problem.text)
                return

    def _approve_holds(self) -> None:
        """A person decides what waits: everything that stands once all is quiet is true."""
        for hold in list(self.database.rows.holds.values()):
            if hold.state.value == "open" and self.judge.may_approve(hold):
                self.note("operator", f"trueup approve {hold.hold_id}")
                self.ask(hold.account, "approve", to_json(self.act("approve", hold_id=hold.hold_id)))

    # what goes wrong
    def _happen(self, happening: Happening) -> None:
        if self.quiet:
            return
        self.note("fault", str(happening)[12:])
        self.judge.fault_time(happening)
        getattr(self, f"_{happening.fault}")(happening)

    def _wire_fault(self, happening: Happening) -> None:
        now_ms = self.world.now_ms()
        until_ms = now_ms + round(happening.for_s * 1000)
        data = {"kind": happening.kind, **happening.data, "from_ms": now_ms, "until_ms": until_ms}
        planned = self.front.add_fault(Fault.from_json(data))
        self.later(happening.for_s + 1.0, self.front.remove_fault, planned.fault_id)

    def _net(self, happening: Happening) -> None:
        if happening.kind != "deaf":
            self._wire_fault(happening)
        self._deaf_until_s = max(self._deaf_until_s, self.loop.time() + happening.for_s)

    @property
    def telling_fails(self) -> bool:
        """Whether the place that alerts go to takes none now."""
        return not self.quiet and self.loop.time() < self._deaf_until_s

    _http = _lies = _wire_fault

    def _streams(self, happening: Happening) -> None:
        if happening.kind == "listen_keys_expired":
            self.world.expire_listen_keys()
        elif happening.kind == "cut":
            self.world.cut_streams()
        else:
            self._wire_fault(happening)

    def _clocks(self, happening: Happening) -> None:
        if happening.kind == "venue_skew":
            now_ms = self.world.now_ms()
            offset_ms = happening.data["offset_ms"]
            fault = Fault.from_json({"kind": "clock_skew", "offset_ms": offset_ms, "from_ms": now_ms})
            planned = self.front.add_fault(fault)
            self.later(happening.for_s, self.front.remove_fault, planned.fault_id)
            return
        for node in self.nodes:
            if node.name == happening.data["clock"]:
                node.clock.offset_ms += happening.data["by_ms"]

    def _node(self, happening: Happening) -> Node:
        number: int = happening.data["host"]
        return self.nodes[number % len(self.nodes)]

    def _store(self, happening: Happening) -> None:
        node, kind = self._node(happening), happening.kind
        setattr(node.faults, kind, happening.data["value"])
        self.later(happening.for_s, setattr, node.faults, kind, 0.0)

    def _crash(self, happening: Happening) -> None:
        node = self._node(happening)
        host = node.host
        if not host.alive:
            return
        if happening.kind == "step":
            host.kill_at = host.steps + happening.data["steps"]
        else:
            node.dies_at = happening.kind
        node.down_s = happening.data["down_s"]

    def _pause(self, happening: Happening) -> None:
        host = self._node(happening).host
        self.loop.pause(host)
        self.later(happening.for_s, self.loop.unpause, host)


def run(plan: Plan, *, prepare: Callable[[Simulation], None] = lambda _: None) -> Result:
    """Runs a plan to its end. `prepare` is given the simulation before it starts."""
    simulation = Simulation(plan)
    prepare(simulation)
    loop = simulation.loop
    try:
        with simulation.judge.listening():
            loop.run_until_complete(simulation.main())
    except (Deadlock, Livelock, RealWorld) as error:
        simulation.judge.violated("no-surprise", f"{type(error).__name__}: {error}")
    finally:
        loop.close()
    return Result(
        seed=plan.seed,
        simulated_s=loop.time(),
        trace_hash=loop.trace_hash,
        violations=simulation.judge.violations,
        timeline=simulation.timeline,
        counts=simulation.judge.counts(),
    )
