"""Scenarios: small TOML files that say what happens in a served world over time, and the demo world that is served
without one.

1. A file that cannot be meant is refused before anything starts, naming the entry and the mend.
2. What the venue refuses while the scenario plays is reported and the rest goes on.

    seed = 7
    [path]                      # optional: prices walk
    volatility = "0.0005"
    [[accounts]]                # optional: more accounts than the demo's two
    name = "carol"
    venue = "bybit"
    mode = "hedge"
    [[steps]]
    at_s = 5                    # after the start
    do = "open"                 # any action of the control port
    account = "carol"
    symbol = "BTCUSDT"
    side = "long"
    quantity = "0.5"
    [[steps]]
    at_s = 10
    every_s = 30                # optional: again and again (`times`: this often)
    do = "price"
    symbol = "BTCUSDT"
    last = "59000"
    [[faults]]
    at_s = 20
    for_s = 10
    kind = "http_error"
    path = "/fapi/*/positionRisk"
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueup.sim.actions import ACTIONS, perform
from trueup.sim.faults import Fault
from trueup.sim.front import Front
from trueup.sim.world import World
from trueup.sim.world.refusals import Refusal

DEMO_ACCOUNTS: Mapping[str, Mapping[str, str]] = {
    "binance": {"name": "demo-binance", "key": "demo-binance-key", "secret": "demo-binance-secret"},
    "bybit": {"name": "demo-bybit", "key": "demo-bybit-key", "secret": "demo-bybit-secret"},
}
"""The accounts of the served demo world by venue; their keys open nothing but a simulation."""

Report = Callable[[str], None]


class BadScenario(Exception):
    """A scenario file that cannot be meant; the text names the file, the entry and the mend."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do `at_ms` after the start, again every `every_ms` (None: once), `times` in all (None: no end)."""

    at_ms: int
    action: str
    arguments: Mapping[str, Any]
    every_ms: int | None = None
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A parsed scenario."""

    seed: int
    accounts: tuple[Mapping[str, Any], ...]
    path: Mapping[str, Any] | None
    steps: tuple[Step, ...]


def load_scenario(file: Path) -> Scenario:
    """Reads a scenario file; raises BadScenario."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadScenario(f"{file}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadScenario(f"{file}: is no TOML: {error}") from error
    return parse_scenario(data, str(file))


def parse_scenario(data: Mapping[str, Any], where: str = "scenario") -> Scenario:
    """Checks what a scenario file says; raises BadScenario."""
    known = {"seed", "accounts", "path", "steps", "faults"}
    for name in data:
        if name not in known:
            raise BadScenario(f"{where}: unknown key {name!r}; known are {', '.join(sorted(known))}")
    seed = data.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise BadScenario(f"{where}: seed is {seed!r}; expected an integer")
    steps = [_step(entry, f"{where}: steps[{n}]") for n, entry in enumerate(_tables(data, "steps", where))]
    steps += [_fault(entry, f"{where}: faults[{n}]") for n, entry in enumerate(_tables(data, "faults", where))]
    path = data.get("path")
    if path is not None and not isinstance(path, dict):
        raise BadScenario(f"{where}: path is {path!r}; expected a table")
    return Scenario(seed, tuple(_tables(data, "accounts", where)), path, tuple(steps))


def _tables(data: Mapping[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    entries = data.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadScenario(f"{where}: {name} must be written as [[{name}]] tables")
    return entries


def _milliseconds(entry: dict[str, Any], name: str, where: str, *, required: bool = False) -> int | None:
    value = entry.pop(name, None)
    if value is None and not required:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise BadScenario(f"{where}: {name} is {value!r}; expected seconds, 0 or more")
    return round(value * 1_000)


def _step(entry: Mapping[str, Any], where: str) -> Step:
    left = dict(entry)
    at_ms = _milliseconds(left, "at_s", where, required=True) or 0
    every_ms = _milliseconds(left, "every_s", where)
    times = left.pop("times", None)
    action = left.pop("do", None)
    if action not in ACTIONS:
        raise BadScenario(f"{where}: do is {action!r}; expected one of {', '.join(sorted(ACTIONS))}")
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
        raise BadScenario(f"{where}: times is {times!r}; expected an integer from 1")
    if every_ms == 0:
        raise BadScenario(f"{where}: every_s is 0; expected more, or leave it out")
    for name, value in left.items():
        if isinstance(value, float):
            raise BadScenario(f'{where}: {name} is {value!r}; write amounts as texts: {name} = "{value}"')
    return Step(at_ms, str(action), left, every_ms, times)


def _fault(entry: Mapping[str, Any], where: str) -> Step:
    left = dict(entry)
    at_ms = _milliseconds(left, "at_s", where) or 0
    for_ms = _milliseconds(left, "for_s", where)
    try:
        Fault.from_json(left)
    except (ValueError, TypeError) as error:
        raise BadScenario(f"{where}: {error}") from error
    return Step(at_ms, "fault", left | ({"for_ms": for_ms} if for_ms else {}))


def play(front: Front, scenario: Scenario, report: Report) -> None:
    """Makes the scenario's accounts now and puts its steps on the world's agenda.

    `report` hears each step that was done and each that was refused. Raises BadScenario for accounts or a path that
    cannot be.
    """
    for entry in scenario.accounts:
        _at_once(front, "account", entry)
    if scenario.path is not None:
        _at_once(front, "path", scenario.path)
    start_ms = front.world.now_ms()
    for step in scenario.steps:
        front.world.schedule(start_ms + step.at_ms, _Player(front, step, start_ms + step.at_ms, report))


def _at_once(front: Front, action: str, entry: Mapping[str, Any]) -> None:
    try:
        perform(front, action, entry)
    except (ValueError, Refusal) as error:
        raise BadScenario(f"scenario: {action} {entry.get('name', '')}: {error}") from error


class _Player:
    """A step on the agenda, which puts itself there again."""

    def __init__(self, front: Front, step: Step, at_ms: int, report: Report) -> None:
        self._front = front
        self._step = step
        self._at_ms = at_ms
        self._report = report
        self._done = 0

    def __call__(self) -> None:
        step = self._step
        words = " ".join(f"{name}={value}" for name, value in step.arguments.items() if name != "api_secret")
        try:
            perform(self._front, step.action, step.arguments)
        except (ValueError, Refusal) as error:
            self._report(f"{step.action} {words}: refused: {error}")
        else:
            self._report(f"{step.action} {words}")
        self._done += 1
        if step.every_ms is not None and (step.times is None or self._done < step.times):
            self._at_ms += step.every_ms
            self._front.world.schedule(self._at_ms, self)


def make_demo(world: World, positions: int = 0) -> None:
    """One account on each venue; with `positions` 2 each holds one: Binance long 0.01 BTC, Bybit short 0.5 ETH."""
    if positions not in (0, 2):
        raise ValueError(f"positions is {positions}; the demo world opens 0 or 2")
    binance, bybit = DEMO_ACCOUNTS["binance"], DEMO_ACCOUNTS["bybit"]
    world.add_account(binance["name"], "binance", api_key=binance["key"], api_secret=binance["secret"])
    world.add_account(bybit["name"], "bybit", api_key=bybit["key"], api_secret=bybit["secret"])
    if positions:
        world.open_position(binance["name"], "BTCUSDT", "long", "0.01")
        world.open_position(bybit["name"], "ETHUSDT", "short", "0.5")
