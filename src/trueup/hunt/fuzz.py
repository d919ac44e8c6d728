"""Fuzzing of every venue parser: payloads of a real run, each changed a little, read by the real adapters and stream decoders.

1. What is read is an observation or one of trueup's own errors; anything else is a crash.
2. A field that is missing, null, empty or of another type never becomes a zero or an empty text in what is read, and no row is
   lost without being named as unreadable: that would be a silent default.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from trueup.hunt.clocks import START_MS
from trueup.hunt.network import SimSocket
from trueup.hunt.opener import client_of
from trueup.hunt.plan import draw
from trueup.hunt.simulation import run
from trueup.model.errors import TrueupError, Unobserved
from trueup.model.instruments import InstrumentCatalog
from trueup.sim.loop import SimLoop
from trueup.venues.binance.adapter import BinanceVenue
from trueup.venues.binance.messages import decode_message
from trueup.venues.bybit.adapter import BybitVenue
from trueup.venues.client import Client
from trueup.venues.limits import RequestBudget
from trueup.venues.markets import Markets
from trueup.venues.stream.binance_events import binance_events
from trueup.venues.stream.bybit_events import answer_of, bybit_events

__all__ = ["Findings", "Payloads", "fuzz", "record"]

_PER_ENDPOINT = 24
_NOW_MS = START_MS + 700_000


@dataclass
class Payloads:
    """What the venues answered in a recorded run: by venue and endpoint; and what their streams said."""

    answers: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    frames: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Findings:
    """How many payloads were read, what became of them, and what must not be."""

    count: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


_PASSING = (
    "startTime",
    "endTime",
    "cursor",
    "orderId",
    "orderLinkId",
    "origClientOrderId",
    "fromId",
    "algoId",
    "clientAlgoId",
)


def _about(endpoint: str, params: Mapping[str, str | int]) -> str:
    """What an answer must fit: the endpoint, its scope, and whether it is a further page."""
    scope = " ".join(f"{name}={value}" for name, value in sorted(params.items()) if name not in _PASSING)
    return f"{endpoint} {scope}{' next' if 'cursor' in params else ''}"


def record(seed: int = 2) -> Payloads:
    """The payloads of a simulated run without faults."""
    kept = Payloads()
    real_read, real_came = Client.read, SimSocket._came

    async def read(self: Client, endpoint: str, params: Mapping[str, str | int], *, source: str) -> str:
        text = await real_read(self, endpoint, params, source=source)
        texts = kept.answers.setdefault(self._exchange.id, {}).setdefault(_about(endpoint, params), [])
        if len(texts) < _PER_ENDPOINT:
            texts.append(text)
        elif len(text) > len(min(texts, key=len)):
            texts[texts.index(min(texts, key=len))] = text
        return text

    def came(self: SimSocket, frames: list[Any]) -> None:
        venue = "bybit" if "/v5/" in self.gate.session.path else "binanceusdm"
        if "private" in self.gate.session.path:
            kept.frames.setdefault(venue, []).extend(frame for frame in frames if isinstance(frame, str))
        real_came(self, frames)

    try:
        setattr(Client, "read", read)  # noqa: B010 - mypy knows that a method is replaced
        setattr(SimSocket, "_came", came)  # noqa: B010
        run(draw(seed, active_s=240.0, faults=("crash",)))
    finally:
        setattr(Client, "read", real_read)  # noqa: B010
        setattr(SimSocket, "_came", real_came)  # noqa: B010
    return kept


class _Clock:
    def now_ms(self) -> int:
        return _NOW_MS

    def monotonic_s(self) -> float:
        return 700.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class _Replay(Client):
    """Answers every question with a recorded payload; one of them is changed."""

    payloads: dict[str, list[str]]
    chance: random.Random
    change: Callable[[str], str] | None = None
    asked = 0
    changed_at = -1

    async def read(self, endpoint: str, params: Mapping[str, str | int], *, source: str) -> str:
        texts = self.payloads.get(_about(endpoint, params))
        if not texts:
            raise Unobserved(source, "not recorded")
        text = self.chance.choice(texts)
        number, self.asked = self.asked, self.asked + 1
        if self.change is not None and number == self.changed_at:
            return self.change(text)
        return text

    async def act(self, endpoint: str, params: Mapping[str, str | int], *, source: str) -> str:
        return await self.read(endpoint, params, source=source)


# what is changed

_JUNK: tuple[Any, ...] = (
    "abc",
    "NaN",
    "Infinity",
    "1e999999",
    "--1",
    [],
    {},
    True,
    "\u0000",
    "9" * 400,
    -1,
    "12,5",
    " ",
)
_GONE = object()


@dataclass
class _Change:
    """One change of a JSON text. `hides`: it takes a value away or makes it unreadable, so a default would be silent."""

    text: str
    hides: bool
    told: str


def _changed(text: str, chance: random.Random) -> _Change:
    if chance.random() < 0.15:
        return _torn(text, chance)
    try:
        data = json.loads(text)
    except ValueError:
        return _torn(text, chance)
    places = list(_leaves(data, ()))
    if not places:
        return _torn(text, chance)
    path = chance.choice(places)
    what = chance.choice(("drop", "drop", "null", "empty", "junk", "junk", "zero", "double"))
    if what == "double":
        return _Change(json.dumps(_doubled(data, path)), hides=False, told=f"double {path}")
    value = {"drop": _GONE, "null": None, "empty": "", "zero": "0"}.get(what, chance.choice(_JUNK))
    # A list without one of its rows is another true list.
    hides = what != "zero" and not isinstance(path[-1], int) and path not in _TRUE_TOO
    return _Change(json.dumps(_put(data, path, value)), hides=hides, told=f"{what} {path}: {str(value)[:40]}")


def _torn(text: str, chance: random.Random) -> _Change:
    cut = chance.randrange(len(text) + 1)
    kind = chance.choice(("half", "flip", "html", "nothing"))
    if kind == "half":
        return _Change(text[:cut], hides=True, told="half")
    if kind == "flip" and text:
        cut = min(cut, len(text) - 1)
        return _Change(
            text[:cut] + chr(chance.randrange(32, 1000)) + text[cut + 1 :], hides=False, told=f"flip at {cut}"
        )
    return _Change("<html></html>" if kind == "html" else "", hides=True, told=kind)


def _leaves(data: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Every place in it; long lists are entered at a few of their rows."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield (*path, name)
            yield from _leaves(value, (*path, name))
    elif isinstance(data, list):
        for place in range(min(len(data), 3)):
            yield (*path, place)
            yield from _leaves(data[place], (*path, place))


def _put(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    where = data
    for step in path[:-1]:
        where = where[step]
    if value is _GONE:
        del where[path[-1]]
    else:
        where[path[-1]] = value
    return data


def _doubled(data: Any, path: tuple[Any, ...]) -> Any:
    where = data
    for step in path:
        if isinstance(where, list):
            where.append(where[step])
            return data
        where = where[step]
    return data


# reading and comparing


def _methods(adapter: Any, chance: random.Random) -> list[tuple[str, Callable[[], Any]]]:
    symbol = chance.choice(("BTC/USDT:USDT", "ETH/USDT:USDT"))
    since = START_MS - 60_000
    return [
        ("positions", adapter.positions),
        ("positions of a symbol", lambda: adapter.positions(symbol)),
        ("open_orders", adapter.open_orders),
        ("fills", lambda: adapter.fills(symbol, since)),
        ("funding", lambda: adapter.funding(symbol, since)),
        ("closed_pnl", lambda: adapter.closed_pnl(symbol, since)),
        ("lookup_orders", lambda: adapter.lookup_orders(symbol, ("1",))),
        ("second_surface", adapter.second_surface),
        ("identity", adapter.identity),
        ("facts", adapter.facts),
        ("clock", adapter.clock),
        ("instruments", adapter._read_instruments),
        ("find_order", lambda: adapter.find_order(symbol, "tu-close-1-0")),
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, InstrumentCatalog):
        return [msgspec.to_builtins(each) for each in value]
    return msgspec.to_builtins(value, enc_hook=str)


def _silent(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Values that became zero or empty, and lists that became shorter without a word."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            if name not in _FOR_PEOPLE and name in after:
                yield from _silent(value, after[name], f"{path}.{name}")
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) == len(after):
            for place, (one, other) in enumerate(zip(before, after, strict=True)):
                yield from _silent(one, other, f"{path}[{place}]")
        elif len(after) < len(before) and not (before and "price_tick" in before[0]):
            # A contract that is left out of the market list makes its positions unreadable, by name.
            yield f"{path}: {len(before)} rows became {len(after)}"
    elif before != after and _is_nothing(after) and not _is_nothing(before):
        yield f"{path}: {before!r} became {after!r}"


_FOR_PEOPLE = ("quarantined", "venue_type", "covered", "stale_rows")
"""What nothing is decided on."""
_TRUE_TOO = (("a", "P"), ("e",), ("topic",), ("data",))
"""Changed, these make another message that the venue may send: one of balances alone, one of a kind that we do not use."""


def _is_nothing(value: Any) -> bool:
    if isinstance(value, str):
        return value == "" or (value[:1] in "0-" and value.strip("-0.") == "")
    return isinstance(value, int) and not isinstance(value, bool) and value == 0


class Fuzzer:
    """Over recorded payloads."""

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._loop = SimLoop(fifo=True)
        self.findings = Findings()
        self._adapters: dict[str, Any] = {}
        self._catalogs: dict[str, InstrumentCatalog] = {}
        for venue in payloads.answers:
            self._adapters[venue] = self._adapter(venue)
            self._catalogs[venue] = self._run(self._adapters[venue].catalog())
            self._run(self._adapters[venue].clock())

    def _adapter(self, venue: str) -> Any:
        clock = _Clock()
        made = client_of(venue, cast("Any", None), "key", "secret", clock, RequestBudget(venue, clock), self._loop)
        replay = _Replay(made._exchange, made._codes, made.budget, clock, made._scrub, made._connections)
        replay.payloads = self._payloads.answers[venue]
        replay.chance = random.Random(0)  # noqa: S311
        kind = BinanceVenue if venue == "binanceusdm" else BybitVenue
        return kind("fuzzed", replay, Markets(venue, clock))

    def _run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)

    def once(self, seed: str) -> None:
        """One changed payload."""
        chance = random.Random(seed)  # noqa: S311
        venue = chance.choice(list(self._adapters))
        self.findings.count += 1
        if chance.random() < 0.4 and self._payloads.frames.get(venue):
            self._frame(seed, venue, chance)
        else:
            self._answer(seed, venue, chance)

    def _answer(self, seed: str, venue: str, chance: random.Random) -> None:
        adapter = self._adapters[venue]
        client: _Replay = adapter.client
        name, method = chance.choice(_methods(adapter, chance))
        picks = chance.getrandbits(32)

        def read(change: Callable[[str], str] | None, at: int) -> Any:
            client.chance, client.change = random.Random(picks), change  # noqa: S311
            client.asked, client.changed_at = 0, at
            return _plain(self._run(method()))

        try:
            before = read(None, -1)
        except TrueupError:
            before = None
        made: list[_Change] = []

        def change(text: str) -> str:
            made.append(_changed(text, chance))
            return made[-1].text

        at = chance.randrange(max(1, client.asked))
        self._judge(f"{venue} {name}, seed {seed!r}", lambda: read(change, at), before, made)

    def _frame(self, seed: str, venue: str, chance: random.Random) -> None:
        catalog = self._catalogs[venue]
        text = chance.choice(self._payloads.frames[venue])

        def read(frame: str) -> Any:
            if venue == "binanceusdm":
                return [_plain(each) for each in binance_events(decode_message(frame), catalog, _NOW_MS)]
            head = answer_of(frame)
            if head.topic is None:
                return [{"problem": "an answer, or neither a topic nor an operation"}]
            return [_plain(each) for each in bybit_events(frame, head, catalog)]

        changed = _changed(text, chance)
        before = read(text)
        self._judge(f"{venue} stream, seed {seed!r}", lambda: read(changed.text), before, [changed])

    def _judge(self, where: str, read: Callable[[], Any], before: Any, made: list[_Change]) -> None:
        findings = self.findings
        try:
            after = read()
        except TrueupError as refused:
            findings.outcomes[type(refused).__name__] += 1
            return
        except Exception as error:
            told = made[0].told if made else "nothing"
            findings.outcomes["crash"] += 1
            findings.problems.append(f"{where}: {told}: {type(error).__name__}: {error}"[:400])
            return
        findings.outcomes["read"] += 1
        if before is None or not made or not made[0].hides or _names_unreadable(after):
            return
        for problem in _silent(before, after):
            findings.outcomes["silent default"] += 1
            findings.problems.append(f"{where}: {made[0].told}: {problem}"[:400])
            return


def _names_unreadable(after: Any) -> bool:
    if isinstance(after, dict):
        return bool(after.get("quarantined"))
    return isinstance(after, list) and any(isinstance(one, dict) and "problem" in one for one in after)


def fuzz(count: int, seed: int = 0, payloads: Payloads | None = None) -> Findings:
    """Reads so many changed payloads."""
    fuzzer = Fuzzer(payloads or record())
    for number in range(count):
        fuzzer.once(f"{seed}:{number}")
    return fuzzer.findings


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: nothing crashed, nothing was silently defaulted."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    findings = fuzz(options.count, options.seed)
    print(f"{findings.count} changed payloads: {dict(findings.outcomes.most_common())}")
    for problem in findings.problems[:40]:
        print(problem)
    return 1 if findings.problems else 0


if __name__ == "__main__":
    sys.exit(main())
