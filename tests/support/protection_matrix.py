"""The protection matrix: every start that a position's stops can be in, every change that can follow.

``python -m tests.support.protection_matrix --write`` plays it and writes the table of docs/protection.md, held true by a test.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tests.support.guard import Guard, House, open_house
from trueup.model.positions import AccountMode
from trueup.sim.world import types as sim
from trueup.sim.world.types import AttachedStops

__all__ = ["CHANGES", "PAGE", "PLACES", "STARTS", "Cell", "on_page", "played", "played_all", "table"]

PAGE = Path(__file__).parents[2] / "docs" / "protection.md"
BEGIN, END = "<!-- matrix -->", "<!-- end of matrix -->"
D = Decimal
USERS = "2900"  # a user's stop; the policy's is at 2850
PLACES = tuple((venue, hedge) for venue in ("binanceusdm", "bybit") for hedge in (False, True))

Act = Callable[[Guard, str], None]
"""On a guard whose long of 2 ETH is open and in the book; the text begins client ids of ours."""


def _ours(*orders: tuple[str, str]) -> Act:
    def place(guard: Guard, stem: str) -> None:
        for number, (quantity, trigger) in enumerate(orders):
            guard.place("long", quantity, trigger, client_id=f"{stem}{number}")

    return place


def _users(quantity: str | None) -> Act:
    def place(guard: Guard, _: str) -> None:
        guard.place("long", quantity, USERS, client_id="mine-1")

    return place


def _attached(guard: Guard, _: str) -> None:
    guard.world.set_attached_stops(guard.name, "ETHUSDT", guard.leg("long"), AttachedStops(stop_loss=D(USERS)))


def _take_profit(guard: Guard, _: str) -> None:
    guard.place("long", "2", "3300", kind=sim.ConditionalKind.TAKE_PROFIT, client_id="mine-1")


def _entry(guard: Guard, _: str) -> None:
    guard.place("long", "1", "3200", entry=True, client_id="mine-1")


def _wrong_side(guard: Guard, stem: str) -> None:
    """A stop of ours for the other side, left over from a short that was there before."""
    guard.world.close_position(guard.name, "ETHUSDT", "long")
    guard.world.open_position(guard.name, "ETHUSDT", "short", "1")
    guard.place("short", "1", "3150", client_id=f"{stem}0")
    guard.world.close_position(guard.name, "ETHUSDT", "short")
    guard.world.open_position(guard.name, "ETHUSDT", "long", "2")


def _orphan(guard: Guard, stem: str) -> None:
    """A stop of ours on a symbol on which nothing is open any more."""
    guard.world.open_position(guard.name, "SOLUSDT", "long", "5")
    guard.place("long", "5", "100", client_id=f"{stem}0", symbol="SOLUSDT")
    guard.world.close_position(guard.name, "SOLUSDT", "long")


STARTS: dict[str, Act] = {
    "no stop": lambda _guard, _stem: None,
    "right stop": _ours(("2", "2850")),
    "short of quantity": _ours(("1", "2850")),
    "over quantity": _ours(("3", "2850")),
    "two stops": _ours(("2", "2850"), ("2", "2860")),
    "wrong side": _wrong_side,
    "orphan": _orphan,
    "close-position": _users(None),
    "attached": _attached,
    "manual stop by the user": _users("2"),
    "take-profit only": _take_profit,
    "a stop entry": _entry,
}


def _partial(guard: Guard, _: str) -> None:
    guard.world.reduce_position(guard.name, "ETHUSDT", "long", "0.5")


def _increase(guard: Guard, _: str) -> None:
    guard.world.open_position(guard.name, "ETHUSDT", "long", "1")


def _flip(guard: Guard, _: str) -> None:
    if guard.hedge:
        guard.world.close_position(guard.name, "ETHUSDT", "long")
        guard.world.open_position(guard.name, "ETHUSDT", "short", "3")
    else:
        guard.world.open_position(guard.name, "ETHUSDT", "short", "5")


def _close(guard: Guard, _: str) -> None:
    guard.world.close_position(guard.name, "ETHUSDT", "long")


def _reopen(guard: Guard, _: str) -> None:
    guard.world.close_position(guard.name, "ETHUSDT", "long")
    guard.world.advance(20)
    guard.world.open_position(guard.name, "ETHUSDT", "long", "2")


def _restart(guard: Guard, _: str) -> None:
    guard.restart()


CHANGES: dict[str, Act] = {
    "steady": lambda _guard, _stem: None,
    "partial close": _partial,
    "increase": _increase,
    "flip": _flip,
    "close": _close,
    "close-and-reopen": _reopen,
    "restart": _restart,
}


@dataclass(frozen=True)
class Cell:
    """How one combination ended, by the venue's own record.

    Attributes:
        words: For the table: whose stops stand at the end.
        faults: What must not be; empty: it ended as it must.
    """

    words: str
    faults: tuple[str, ...]


async def played(house: House, name: str, venue: str, *, hedge: bool, start: str, change: str) -> Cell | None:
    """Plays one combination; None where the venue knows no such start."""
    if start == "attached" and venue == "binanceusdm":
        return None
    guard = house.guard(name, venue, hedge=hedge, mode=AccountMode.SYNC)
    guard.world.open_position(name, "ETHUSDT", "long", "2")
    await guard.run()
    stem = f"tu-sl-{(await guard.row()).position_id}-x-"
    STARTS[start](guard, stem)
    guard.mode(AccountMode.PROTECT)
    await guard.run()
    guard.world.advance(1_000)
    CHANGES[change](guard, stem)
    guard.world.advance(1_000)
    await guard.run()
    report = await guard.run()
    return _judged(guard, report.exit_code, start, change)


def _judged(guard: Guard, exit_code: int, start: str, change: str) -> Cell:
    view = guard.world.look(guard.name)
    faults = list(guard.judge.lost)
    if exit_code != 0:
        faults.append(f"the last pass ended with {exit_code}")
    words = []
    for position in view.positions():
        stops = view.live_stops(position.symbol, position.leg)
        whole = abs(position.quantity)
        covered = sum((whole if s.quantity is None else s.quantity for s in stops), D(0))
        ours = [s for s in stops if s.client_order_id.startswith("tu-")]
        if covered < whole:
            faults.append(f"{position.symbol} {position.leg}: {covered} of {whole} covered")
        if len(ours) > 1:
            faults.append(f"{position.symbol} {position.leg}: {len(ours)} stops of ours")
        words.append("ours" if ours and len(ours) == len(stops) else "theirs" if not ours else "both")
    held = {(p.symbol, p.leg, p.side) for p in view.positions()}
    for order in view.open_conditionals():
        left = order.closes and order.kind is not sim.ConditionalKind.TAKE_PROFIT
        if left and (order.symbol, order.leg, order.side.opposite) not in held:
            faults.append(f"an orphan is left: {order.client_order_id or order.conditional_id} of {order.symbol}")
    entries = [o for o in view.open_conditionals("ETHUSDT") if not o.closes]
    if start == "a stop entry" and len(entries) != 1:
        faults.append("somebody's stop entry is gone")
    if change == "close" and view.positions():
        faults.append("not flat")
    return Cell(words=" + ".join(sorted(words)) or "flat", faults=tuple(faults))


def table(cells: dict[tuple[str, bool, str, str], Cell | None]) -> str:
    """The page's tables: one for each venue and mode."""
    lines = []
    for venue, hedge in dict.fromkeys((venue, hedge) for venue, hedge, _, _ in cells):
        title = "Binance" if venue == "binanceusdm" else "Bybit"
        lines += [f"**{title}, {'hedge' if hedge else 'one-way'}**", ""]
        lines += ["| start | " + " | ".join(CHANGES) + " |", "|---" * (len(CHANGES) + 1) + "|"]
        for start in STARTS:
            row = [cells[venue, hedge, start, change] for change in CHANGES]
            lines.append(f"| {start} | " + " | ".join("–" if cell is None else cell.words for cell in row) + " |")
        lines.append("")
    return "\n".join(lines).rstrip()


def on_page() -> str:
    """The tables as the page has them."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


async def played_all(venue: str, hedge: bool) -> dict[tuple[str, bool, str, str], Cell | None]:
    """Every start and change on one venue, in one mode."""
    cells = {}
    async with open_house() as house:
        for number, (start, change) in enumerate(itertools.product(STARTS, CHANGES)):
            cell = await played(house, f"m{number}", venue, hedge=hedge, start=start, change=change)
            cells[venue, hedge, start, change] = cell
    return cells


async def _draw() -> str:
    cells = {}
    for venue, hedge in PLACES:
        cells |= await played_all(venue, hedge)
    for where, cell in cells.items():
        if cell is not None and cell.faults:
            sys.exit(f"{where}: {cell.faults}")
    return table(cells)


if __name__ == "__main__":
    drawn = asyncio.run(_draw())
    if "--write" in sys.argv:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{drawn}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    else:
        print(drawn)
