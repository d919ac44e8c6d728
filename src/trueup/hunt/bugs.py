"""Deliberate bugs: does the judge bite? Each is what a hurried change would bring, put into the running program.

1. A bug counts as found at a seed only if the same plan holds without it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from trueup.core import absence, amounts, protection, rebuild, review
from trueup.core.settle import _Settler
from trueup.engine import account, histories
from trueup.engine.account import AccountReconciler
from trueup.engine.acts import Acts, Attempt
from trueup.engine.cache import PositionCache
from trueup.engine.effects import EffectsWorker
from trueup.engine.runner import Runner
from trueup.engine.supervisor import Supervisor
from trueup.engine.telling import NoticesWorker
from trueup.hunt.plan import draw
from trueup.hunt.simulation import Simulation, run
from trueup.model.decimals import ZERO
from trueup.model.errors import NotDelivered, Unobserved
from trueup.model.observations import ClockReading, FillHistory, OrdersSnapshot, PositionsSnapshot, SecondSurface
from trueup.model.orders import OpenOrder
from trueup.model.positions import ExitReason
from trueup.store.memory import MemoryStore
from trueup.store.memory_rows import MemoryRows
from trueup.venues.binance.adapter import BinanceVenue
from trueup.venues.bybit.adapter import BybitVenue
from trueup.venues.venue_time import VenueTime

__all__ = ["BUGS", "Bug", "Found", "hunt_bug", "planted", "table"]

ACTIVE_S = 400.0
_PATIENCE_S = 300.0
_ADAPTERS = (BinanceVenue, BybitVenue)


class Patch:
    """Puts things in other things' place, and back."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def put(self, where: Any, name: str, value: Any) -> None:
        self._before.append((where, name, where.__dict__[name]))
        setattr(where, name, value)

    def around(self, where: Any, name: str, make: Callable[[Any], Any]) -> None:
        """`make` gets what stands there and gives what is to."""
        self.put(where, name, make(where.__dict__[name]))

    def undo(self) -> None:
        for where, name, value in reversed(self._before):
            setattr(where, name, value)


@dataclass(frozen=True)
class Bug:
    """What is wrong, under which faults it shows, and the invariants that are expected to say so."""

    meaning: str
    faults: tuple[str, ...]
    put: Callable[[Patch], None]


@dataclass(frozen=True)
class Found:
    """How a bug was found; `seeds` None: it was not."""

    name: str
    seeds: int | None
    seed: int | None
    invariant: str | None


BUGS: dict[str, Bug] = {}


def _bug(meaning: str, *faults: str) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def keep(put: Callable[[Patch], None]) -> Callable[[Patch], None]:
        BUGS[put.__name__.strip("_")] = Bug(meaning, faults, put)
        return put

    return keep


def _instead(error: type[Exception], answer: Callable[..., Any]) -> Callable[[Any], Any]:
    def make(real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(self: Any, *args: Any, **named: Any) -> Any:
            try:
                return await real(self, *args, **named)
            except error:
                return answer(self, *args, **named)

        return call

    return make


async def _nothing(*_: object, **__: object) -> None:
    return None


# an outage is read as emptiness


@_bug("a failed question reads as an empty answer, everywhere", "net", "http")
def _swallowed_errors(patch: Patch) -> None:
    def positions(self: Any, symbol: str | None = None) -> PositionsSnapshot:
        now = self._time.began_ms()
        return PositionsSnapshot(
            account=self.account, as_of_ms=now, received_at_ms=now, reports=(), covered=("linear",), symbol=symbol
        )

    def fills(self: Any, symbol: str, since_ms: int, before_ms: int | None = None) -> FillHistory:
        now = self._time.began_ms()
        return FillHistory(symbol=symbol, since_ms=since_ms, until_ms=now, fills=(), reach_ms=0)

    def surface(self: Any) -> SecondSurface:
        return SecondSurface(account=self.account, as_of_ms=self._time.began_ms(), informative=True)

    for adapter in _ADAPTERS:
        patch.around(adapter, "positions", _instead(Unobserved, positions))
        patch.around(adapter, "fills", _instead(Unobserved, fills))
        patch.around(adapter, "second_surface", _instead(Unobserved, surface))


@_bug("a position that one answer lacks is closed at once", "lies")
def _one_absence_closes(patch: Patch) -> None:
    def make(real: Any) -> Any:
        def decide(case: Any) -> Any:
            if case.row is not None and case.report is None:
                return absence._absence_close(case, case.row, "gone")
            return real(case)

        return decide

    patch.around(histories, "decide_key", make)


@_bug("the fills' newest page is not read")
def _last_page_lost(patch: Patch) -> None:
    def make(real: Any) -> Any:
        async def fills(self: Any, *args: Any, **named: Any) -> FillHistory:
            found: FillHistory = await real(self, *args, **named)
            return msgspec.structs.replace(found, fills=found.fills[:-1])

        return fills

    for adapter in _ADAPTERS:
        patch.around(adapter, "fills", make)


@_bug("order lists that could not be read are taken for empty ones", "net", "http")
def _orders_error_is_none(patch: Patch) -> None:
    def orders(self: Any, symbol: str | None = None) -> OrdersSnapshot:
        now = self._time.began_ms()
        return OrdersSnapshot(account=self.account, as_of_ms=now, received_at_ms=now, orders=())

    for adapter in _ADAPTERS:
        patch.around(adapter, "open_orders", _instead(Unobserved, orders))


# identity


@_bug("positions are keyed by symbol: the second leg of a hedge is lost")
def _key_by_symbol(patch: Patch) -> None:
    def make(real: Any) -> Any:
        async def positions(self: Any, *args: Any, **named: Any) -> PositionsSnapshot:
            view: PositionsSnapshot = await real(self, *args, **named)
            return msgspec.structs.replace(view, reports=tuple({r.symbol: r for r in view.reports}.values()))

        return positions

    for adapter in _ADAPTERS:
        patch.around(adapter, "positions", make)


@_bug("positions that the book lacks are not adopted")
def _nothing_adopted(patch: Patch) -> None:
    patch.put(_Settler, "_adopt", lambda *_, **__: None)


# time


@_bug("a view is believed to speak for later than it does", "net", "streams")
def _view_from_the_future(patch: Patch) -> None:
    patch.around(VenueTime, "began_ms", lambda real: lambda self: real(self) + 5_000)


@_bug("a view's time is read off the wall clock, which is stepped", "clocks")
def _wall_clock(patch: Patch) -> None:
    def began(self: Any) -> int:
        reading = self.reading or ClockReading(skew_ms=0, uncertainty_ms=0)
        now: int = self._clock.now_ms() + reading.skew_ms - reading.uncertainty_ms
        return now

    patch.put(VenueTime, "began_ms", began)


@_bug("the clocks' difference is not measured", "clocks")
def _no_skew(patch: Patch) -> None:
    async def measure(self: Any, ask: Any) -> ClockReading:
        await ask()
        self._venue_ms, self._at_s = self._clock.now_ms(), self._clock.monotonic_s()
        reading = ClockReading(skew_ms=0, uncertainty_ms=1)
        self.reading = reading
        return reading

    patch.put(VenueTime, "measure", measure)


@_bug("young rows and single absences are closed at once", "lies")
def _no_patience(patch: Patch) -> None:
    def make(real: Any) -> Any:
        def init(self: Any, plan: Any, *args: Any, **named: Any) -> None:
            hasty = msgspec.structs.replace(plan.policy, new_row_grace_ms=0, confirm_after_ms=0, confirm_snapshots=1)
            real(self, msgspec.structs.replace(plan, policy=hasty), *args, **named)

        return init

    patch.around(AccountReconciler, "__init__", make)


# money


@_bug("profit is booked at the entry price: zero")
def _pnl_at_entry(patch: Patch) -> None:
    patch.put(amounts, "gross_pnl", lambda *_: ZERO)


@_bug("fees of the opening fills are forgotten")
def _closing_fees_only(patch: Patch) -> None:
    patch.around(amounts, "fees_of", lambda real: lambda parts: real([part for part in parts if not part.opening]))


@_bug("funding is not booked")
def _no_funding(patch: Patch) -> None:
    patch.put(amounts, "funding_of", lambda *_: ZERO)


@_bug("only the last closing fill is booked")
def _last_fill_only(patch: Patch) -> None:
    def make(real: Any) -> Any:
        def gross(segment: Any, *args: Any) -> Any:
            last = segment.closings[-1]
            return last.realized_pnl if last.realized_pnl is not None else real(segment, *args)

        return gross

    patch.around(amounts, "gross_pnl", make)


@_bug("funding is booked with the wrong sign")
def _funding_sign(patch: Patch) -> None:
    def make(real: Any) -> Any:
        def funding(*args: Any) -> Any:
            amount = real(*args)
            return None if amount is None else -amount

        return funding

    patch.around(amounts, "funding_of", make)


@_bug("every close is called external")
def _reason_external(patch: Patch) -> None:
    patch.put(rebuild, "exit_reason", lambda *_: ExitReason.EXTERNAL)


@_bug("a close is dated when it was noticed")
def _closed_when_noticed(patch: Patch) -> None:
    def make(real: Any) -> Any:
        def settle(decided: Any, situation: Any) -> Any:
            result = real(decided, situation)
            result.closes = [
                msgspec.structs.replace(
                    close, details=msgspec.structs.replace(close.details, closed_at_ms=situation.now_ms)
                )
                for close in result.closes
            ]
            return result

        return settle

    patch.around(account, "settle", make)


@_bug("changes of quantity and entry are noticed and not written")
def _nothing_adjusted(patch: Patch) -> None:
    patch.put(_Settler, "_adjusted", lambda *_: None)


# rows


@_bug("a lifecycle that ended between two looks is recorded although it has a row")
def _ended_twice(patch: Patch) -> None:
    async def none(*_: object) -> frozenset[Any]:
        return frozenset()

    patch.put(AccountReconciler, "_ended", none)


@_bug("a bot's late row records a lifecycle that has a row")
def _late_row_twice(patch: Patch) -> None:
    async def none(*_: object) -> tuple[Any, ...]:
        return ()

    patch.put(AccountReconciler, "_ended_before", none)


class _NoIndex(dict[Any, Any]):
    def __contains__(self, key: object) -> bool:
        return False


@_bug("the unique index on active rows is dropped")
def _no_unique_index(patch: Patch) -> None:
    def make(real: Any) -> Any:
        def init(self: Any) -> None:
            real(self)
            self.active_keys = _NoIndex()

        return init

    patch.around(MemoryRows, "__init__", make)


@_bug("memory keeps what the store closed")
def _memory_keeps(patch: Patch) -> None:
    def replace(self: Any, name: str, rows: Any) -> list[Any]:
        self._rows = {**self._rows, **{row.key: row for row in rows}}
        return []

    patch.put(PositionCache, "replace_account", replace)


# orders


@_bug("every stop without a position is swept, whoever placed it")
def _sweep_all(patch: Patch) -> None:
    def make(real: Any) -> Any:
        return lambda *args: [msgspec.structs.replace(orphan, cancellable=True) for orphan in real(*args)]

    patch.around(review, "orphans_among", make)


@_bug("stops of ended lifecycles are left to themselves")
def _orphans_ignored(patch: Patch) -> None:
    patch.put(_Settler, "_cancel_orders", lambda *_: None)
    patch.put(review, "orphans_among", lambda *_: [])


@_bug("an order without close semantics is taken for a stop")
def _entries_are_stops(patch: Patch) -> None:
    patch.put(OpenOrder, "closes", lambda self, side: self.order_side is side.exit_side)


@_bug("a cancel does not look whether the position is open again", "crash", "net")
def _cancel_unseen(patch: Patch) -> None:
    patch.put(Acts, "cancel", Acts.__dict__["send_cancel"])


@_bug("the old stop may go before the new one stands", "net", "http")
def _cancel_before_create(patch: Patch) -> None:
    patch.put(protection, "_all_but_best", lambda state: state.ours)


@_bug("stops are not placed")
def _no_stops(patch: Patch) -> None:
    patch.put(protection, "_placed", lambda state, wanted: None)


# effects


@_bug("a market close is sent again without asking what became of the first", "net", "crash")
def _close_blindly(patch: Patch) -> None:
    async def close(self: Any, wish: Any) -> Attempt:
        report = await self._open(wish)
        if report is None:
            return Attempt(done=False, outcome="flat: tried again")
        self.__dict__["_n"] = self.__dict__.get("_n", 0) + 1
        await self._venue.close_market(report, f"{wish.client_order_id}-{report.updated_at_ms % 100000}{self._n}")
        return Attempt(done=False, outcome="sent: tried again")

    patch.put(Acts, "close", close)


@_bug("effects of before a restart are forgotten", "crash", "net")
def _effects_forgotten(patch: Patch) -> None:
    def make(real: Any) -> Any:
        async def waiting(self: Any, **named: Any) -> list[Any]:
            since = self.__dict__.setdefault("_since", self._clock.now_ms())
            return [effect for effect in await real(self, **named) if effect.created_at_ms >= since]

        return waiting

    patch.around(EffectsWorker, "_waiting", make)


@_bug("what an effect came to is not written")
def _effects_unwritten(patch: Patch) -> None:
    patch.put(EffectsWorker, "_write", _nothing)


@_bug("an alert that was not delivered counts as told", "net", "http", "streams")
def _alerts_lost(patch: Patch) -> None:
    def make(real: Any) -> Any:
        async def deliver(self: Any, notifier: Any, *args: Any) -> bool:
            class Deaf:
                places = notifier.places

                async def tell(self, notice: Any) -> None:
                    try:
                        await notifier.tell(notice)
                    except NotDelivered:
                        return

            result: bool = await real(self, Deaf(), *args)
            return result

        return deliver

    patch.around(NoticesWorker, "_deliver", make)


# processes


@_bug("the epoch is not checked", "pause")
def _no_epoch(patch: Patch) -> None:
    patch.put(MemoryStore, "_fence", lambda *_: None)


@_bug("one failure ends the account's loop", "store", "pause")
def _loop_ends(patch: Patch) -> None:
    async def keep(self: Any, runner: Any) -> None:
        from trueup.engine.lease import holding

        try:
            async with holding(self._store, self._clock, runner.account, self._holder, self._timing.lease_s) as owner:
                await self._manager.reload(runner.account)
                await self._beside(runner, owner)
        except Exception:
            return

    patch.put(Supervisor, "_keep", keep)


@_bug("a person's request is taken and not answered")
def _no_answer(patch: Patch) -> None:
    patch.put(Runner, "serve", _nothing)


@contextmanager
def planted(name: str) -> Generator[None, None, None]:
    """While it lasts the bug is in the program."""
    patch = Patch()
    try:
        BUGS[name].put(patch)
        yield
    finally:
        patch.undo()


def hunt_bug(name: str, *, most: int = 12, first: int = 1) -> Found:
    """Runs seeds until one shows the bug and holds without it."""

    def impatient(simulation: Simulation) -> None:
        simulation.patience_s = _PATIENCE_S

    bug = BUGS[name]
    for count in range(most):
        plan = draw(first + count, active_s=ACTIVE_S, faults=bug.faults, busy=True)
        with planted(name):
            result = run(plan, prepare=impatient)
        if result.violations and not run(plan, prepare=impatient).violations:
            return Found(name, count + 1, plan.seed, result.violations[0].invariant)
    return Found(name, None, None, None)


_BEGIN, _END = "<!-- bugs: begin, by python -m trueup.hunt.bugs -->", "<!-- bugs: end -->"


def table(found: dict[str, Found]) -> list[str]:
    """As it stands in the documentation."""
    lines = ["| deliberate bug | faults | seeds it took | invariant that told |", "|---|---|---|---|"]
    for name, bug in BUGS.items():
        result = found.get(name)
        took, told = "not hunted yet", None
        if result is not None:
            took, told = "not found yet" if result.seeds is None else f"{result.seeds}", result.invariant
        lines.append(f"| {bug.meaning} | {', '.join(bug.faults) or 'none'} | {took} | {_code(told)} |")
    return lines


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: every bug was found."""
    parser = argparse.ArgumentParser(prog="python -m trueup.hunt.bugs", description=__doc__)
    parser.add_argument("--most", type=int, default=20, help="seeds for each bug")
    parser.add_argument("--only", default="", help="names, with commas between them; else all")
    parser.add_argument("--results", type=Path, default=Path("build/sim-bugs.json"), help="kept and added to")
    parser.add_argument("--write-docs", type=Path, help="a page whose table is to be renewed")
    options = parser.parse_args(arguments)
    found: dict[str, Found] = {}
    if options.results.exists():
        found = {name: Found(**each) for name, each in json.loads(options.results.read_text()).items()}
    for name in options.only.split(",") if options.only else BUGS:
        if name in found and found[name].seeds is not None and not options.only:
            continue
        found[name] = hunt_bug(name, most=options.most)
        print(f"{name}: {found[name].seeds or 'not found'} {found[name].invariant or ''}", flush=True)
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps({key: vars(each) for key, each in found.items()}, indent=1) + "\n")
    if options.write_docs:
        page = options.write_docs.read_text()
        before, _, rest = page.partition(_BEGIN)
        _, _, after = rest.partition(_END)
        options.write_docs.write_text("\n".join([before + _BEGIN, "", *table(found), "", _END]) + after)
    return 0 if all(name in found and found[name].seeds for name in BUGS) else 1


if __name__ == "__main__":
    sys.exit(main())
