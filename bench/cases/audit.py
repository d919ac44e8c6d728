"""What an audit that finds book and venue equal costs a position: from the bytes of the positions answer to what was decided.

Processor time of this process, all of the program's own path (`bench.looking`): the answer's text, decoding, reading, matching
with the book, deciding, settling. Beside it, in turns within one run, what others do with the same bytes: decoding alone (`json`,
`msgspec` without types, with our own row types, and with their numbers made exact by msgspec), ccxt's parsing of the decoded rows
(no JSON in it), the original system's loop over what ccxt parsed, and nautilus_trader's reconciliation from the same bytes, in a
process of its own (`bench.nautilus`; left out where the package is not installed).

1. Every round runs each of them once, at every size: a machine that is slow for a while is so for all; figures are medians of
   rounds, with the least and the most.
2. The garbage collector runs as it does in the program that has looked at every account once.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import Any

import msgspec

from bench import nautilus, original
from bench.figures import Figure
from bench.holdings import Holdings, ccxt_markets, hold
from bench.looking import Looking
from bench.plots import Line, chart, lines_of
from trueup.bootstrap import garbage
from trueup.sim.world.types import Venue
from trueup.venues.binance import rows as binance_rows
from trueup.venues.bybit import rows as bybit_rows

SIZES = (100, 1_000, 10_000, 100_000)
ROUNDS = 11
MAIN = ("binance", 10_000)
_VENUES: tuple[Venue, ...] = ("binance", "bybit")
_LEAST_S = 0.05
"""A sample takes at least so long: a small answer is handled many times over."""


def run() -> list[Figure]:
    python = nautilus.interpreter()
    if python is None:
        print(nautilus.HINT, file=sys.stderr)
    return [figure for venue in _VENUES for figure in measure(venue, SIZES, ROUNDS, python)]


_NAMES = {
    "original": "original, after ccxt",
    "json loads": "json.loads",
    "ccxt parse positions": "ccxt's parse alone",
    "nautilus trader": "nautilus_trader",
}


def plots(figures: list[Figure]) -> dict[str, str]:
    """One picture a venue."""
    made = {}
    for venue, title in (("binance", "Binance USD-M"), ("bybit", "Bybit")):
        lines = lines_of(figures, f"audit_us_per_position_{venue}", "trueup, to the decision")
        lines = [Line(_NAMES.get(one.name, one.name), one.points) for one in lines]
        made[f"audit-{venue}.svg"] = chart(
            f"{title}: an audit that finds nothing", "open positions", "µs a position", lines
        )
    return made


@dataclass
class _Subject:
    """Something that is done with one answer, and how long it took each time, µs a position.

    `spend` does it so many times and gives the processor seconds that it took.
    """

    name: str
    spend: Callable[[int], float]
    times: int = 1
    rounds: int | None = None
    samples: list[float] = field(default_factory=list)

    def calibrate(self) -> None:
        """The first run, not counted, tells how often a sample repeats it."""
        self.times = max(1, round(_LEAST_S / max(self.spend(1), 1e-6)))

    def sample(self, positions: int) -> None:
        self.samples.append(self.spend(self.times) / self.times / positions * 1e6)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.samples), max(self.samples)


def _here(act: Callable[[], object]) -> Callable[[int], float]:
    """Done in this process."""

    def spend(times: int) -> float:
        gc.collect()
        began = time.process_time()
        for _ in range(times):
            act()
        return time.process_time() - began

    return spend


def measure(venue: Venue, sizes: Sequence[int], rounds: int, python: str | None = None) -> list[Figure]:
    """One venue; figures are named `audit_us_per_position_<venue>_<size>[_<what>]`.

    `python`: the interpreter that has nautilus_trader. None: it is left out.
    """
    loop = asyncio.new_event_loop()
    looks: list[Looking] = []
    subjects: dict[int, list[_Subject]] = {}
    with ExitStack() as stack:
        stack.callback(loop.close)
        for size in sizes:
            holdings = hold(venue, size)
            looking = Looking(holdings)
            looks.append(looking)
            subjects[size] = _subjects(holdings, partial(_look, loop, looking))
            if python is not None and size <= nautilus.LARGEST:
                engine = stack.enter_context(nautilus.beside(holdings, python))
                subjects[size].append(_Subject(nautilus.NAME, engine.spend))
        for subject in chain.from_iterable(subjects.values()):
            subject.calibrate()
        with garbage.as_running():
            for number in range(rounds):
                for size, of_size in subjects.items():
                    for subject in of_size:
                        if subject.rounds is None or number < subject.rounds:
                            subject.sample(size)
        for looking in looks:
            loop.run_until_complete(looking.aclose())
    by_name = {size: {subject.name: subject for subject in of_size} for size, of_size in subjects.items()}
    return [figure for size in sizes for figure in _figures(venue, size, by_name[size])]


def _figures(venue: Venue, size: int, by_name: dict[str, _Subject]) -> list[Figure]:
    ours, ccxt = by_name["trueup"], by_name["ccxt parse_positions"]
    stem = f"audit_us_per_position_{venue}_{size}"
    against = ccxt.name, ccxt.median, ours.spread
    figures = [Figure(stem, size, ours.median, "us", *against)]
    if (venue, size) == MAIN:
        figures.insert(0, Figure("audit_us_per_position", size, ours.median, "us", *against))
    for name, subject in by_name.items():
        if subject is not ours:
            word = name.replace("(", "").replace(")", "").replace(".", "_").replace(" ", "_")
            figures.append(Figure(f"{stem}_{word}", size, subject.median, "us", None, None, subject.spread))
    return figures


def _look(loop: asyncio.AbstractEventLoop, looking: Looking) -> None:
    loop.run_until_complete(looking.look())


def _subjects(holdings: Holdings, look: Callable[[], object]) -> list[_Subject]:
    few = 3 if len(holdings.rows) >= 100_000 else None
    return [
        _Subject("trueup", _here(look)),
        _Subject("msgspec typed", _here(_typed(holdings))),
        _Subject("msgspec typed exact", _here(_exact(holdings))),
        _Subject("msgspec generic", _here(lambda: [msgspec.json.decode(body) for body in holdings.answers[0]])),
        _Subject("json.loads", _here(lambda: [json.loads(body) for body in holdings.answers[0]])),
        _Subject("ccxt parse_positions", _here(_ccxt(holdings)), rounds=few),
        _Subject("original", _here(_original(holdings)), rounds=few),
    ]


def _typed(holdings: Holdings) -> Callable[[], object]:
    """The answers decoded into our own row types."""
    reader: Any = binance_rows.POSITIONS if holdings.venue == "binance" else bybit_rows.POSITIONS
    return lambda: [reader.decode(body) for body in holdings.answers[0]]


class _BinanceExact(msgspec.Struct, rename="camel", gc=False, frozen=True):
    symbol: str
    position_amt: Decimal
    position_side: str
    entry_price: Decimal
    mark_price: Decimal
    liquidation_price: Decimal
    update_time: int


class _BybitExact(msgspec.Struct, rename="camel", gc=False, frozen=True):
    """Fields that may be empty text stay text: there is no number in them."""

    symbol: str
    size: Decimal
    side: str
    position_idx: int
    avg_price: Decimal
    mark_price: Decimal
    leverage: Decimal
    trailing_stop: Decimal
    liq_price: str
    stop_loss: str
    take_profit: str
    updated_time: str
    seq: int


def _exact(holdings: Holdings) -> Callable[[], object]:
    """The same fields with their numbers as `Decimal`, made by msgspec itself."""
    kind: Any = list[_BinanceExact] if holdings.venue == "binance" else bybit_rows.ListAnswer[_BybitExact]
    reader = msgspec.json.Decoder(kind)
    return lambda: [reader.decode(body) for body in holdings.answers[0]]


def _ccxt(holdings: Holdings) -> Callable[[], object]:
    """As `fetch_positions` of that exchange parses the rows of an answer, its markets loaded."""
    import ccxt

    exchange: Any = getattr(ccxt, holdings.ccxt_id)()
    exchange.set_markets(ccxt_markets(holdings.venue, len(holdings.rows)))
    rows = list(holdings.rows)
    if holdings.venue == "binance":
        return lambda: [exchange.parse_position_risk(row) for row in rows]
    return lambda: exchange.parse_positions(rows)


def _original(holdings: Holdings) -> Callable[[], object]:
    """The original's loop over rows that ccxt has parsed: its own part alone."""
    parsed = original.parsed_rows(holdings)
    book = original.book_rows(holdings)
    return lambda: original.compare(holdings.ccxt_id, book, parsed)
