"""What a run is made of, drawn from its seed: the operator's settings, what traders do, and what goes wrong.

1. A plan is data: taking a happening or an act out leaves the others as they are, which is how a failure is shrunk.
2. Swarm testing: each seed draws which kinds of faults are on at all, so that rare combinations get their turn and simple runs
   stay simple.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["FAULT_KINDS", "Act", "Happening", "Plan", "draw", "read_plan", "write_plan"]

FAULT_KINDS = ("net", "http", "lies", "streams", "clocks", "store", "crash", "pause")
"""What can go wrong: the words of ``FAULTS=``."""

MINUTE_S = 60.0
_SHARE_ON = {"crash": 1.0}
_SHARE_ON_ELSE = 0.5
_SURE_CRASHES = 3
"""At some step, in as many parts of the time: of the others some never come, their instant or their process is not there."""
_BANS_UNTIL_S = 300.0
_KINDS_OF_HTTP = ("http_error", "rate_limit", "maintenance", "html", "truncated", "banned")
_POSITIONS = {"binance": "/fapi/*/positionRisk", "bybit": "/v5/position/list"}


@dataclass(frozen=True)
class Happening:
    """Something that goes wrong, from `at_s` (true time) for `for_s`. `kind`: a word of the simulation's, see there."""

    fault: str
    kind: str
    at_s: float
    for_s: float = 0.0
    data: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.data.items())
        lasting = f" for {self.for_s:.1f} s" if self.for_s else ""
        return f"{self.at_s:9.3f} s {self.fault}/{self.kind}{lasting} {told}".rstrip()


@dataclass(frozen=True)
class Act:
    """Something that a trader does; `salt` draws its details when its time has come."""

    at_s: float
    account: str
    kind: str
    salt: int

    def __str__(self) -> str:
        return f"{self.at_s:9.3f} s {self.account} {self.kind}"


@dataclass(frozen=True)
class Plan:
    """One run. Durations in seconds.

    Attributes:
        active_s: Traders act and faults strike; then all is quiet until the judge is satisfied.
        hedge: Accounts in hedge mode.
        settings: Of the configuration, by section.
        least_events: So many things happen on the venue at least: traders become busy towards the end of a run that had fewer.
    """

    seed: int
    active_s: float
    modes: dict[str, str]
    hedge: tuple[str, ...]
    hosts: int
    price_step_ms: int
    settings: dict[str, dict[str, Any]]
    clocks: dict[str, tuple[int, int]]
    faults: tuple[str, ...]
    happenings: tuple[Happening, ...]
    acts: tuple[Act, ...]
    least_events: int = 0


def write_plan(plan: Plan, path: Path) -> None:
    """Keeps a plan as it is, whatever later versions of `draw` make of its seed."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=0) + b"\n")


def read_plan(path: Path) -> Plan:
    return msgspec.json.decode(path.read_bytes(), type=Plan)


_SHORT_S, _LEAST_EVENTS = 600.0, 100

_ACTS = {
    "open_bot": 16,
    "open_hand": 8,
    "increase": 8,
    "reduce": 10,
    "close": 14,
    "flip": 6,
    "reopen": 6,
    "stop_fires": 10,
    "profit_fires": 5,
    "place_stop": 8,
    "place_entry": 3,
    "limit_fills": 3,
    "cancel_stop": 3,
    "liquidate": 3,
    "adl": 3,
    "fund": 3,
    "phantom": 2,
    "close_by_us": 4,
    "close_all": 1,
    "brief": 3,
    "reopen_late": 4,
    "other_leg": 3,
    "late_row": 2,
    "flip_early": 2,
    "stop_in_advance": 2,
}
_EMPHASIS = (1, 1, 4)
"""Of busy traders: what each kind's chance is multiplied with, drawn for each seed."""


def draw(
    seed: int,
    *,
    active_s: float = 600.0,
    faults: tuple[str, ...] | None = None,
    busy: bool = False,
    favour: tuple[str, ...] = (),
) -> Plan:
    """The plan of a seed.

    Args:
        faults: The kinds that are on; None: as the seed draws.
        busy: Traders do everything that they can, every few seconds.
        favour: What busy traders do more often than that.
    """
    chance = random.Random(f"plan {seed}")  # noqa: S311 - reproducible, not secret
    drawn = tuple(kind for kind in FAULT_KINDS if chance.random() < _SHARE_ON.get(kind, _SHARE_ON_ELSE))
    accounts = ("alpha", "beta")
    long = active_s > 3600
    audit = chance.choice((8, 15, 20, 30, 30)) if not long else chance.choice((30, 60))
    settings = {
        "sync": {
            "audit_interval_s": audit,
            "orders_every": chance.choice((1, 2, 4)),
            "new_row_grace_s": chance.choice((5, 20, 60)),
            "confirm_after_s": chance.choice((2, 10, 30)),
            "confirm_snapshots": chance.choice((2, 2, 3)),
            "mass_close_window_s": chance.choice((60, 600)),
        },
        "protection": {"grace_s": 10},
    }
    on = drawn if faults is None else faults
    modes = {name: chance.choice(("protect", "protect", "sync")) for name in accounts}
    hedge = tuple(name for name in accounts if chance.random() < (0.4 if busy else 0.25))
    skewed = "clocks" in on
    clocks = {
        name: (chance.randint(-3000, 3000), chance.randint(-80, 80)) if skewed else (0, 0)
        for name in ("venue", "database", "host0", "host1")
    }
    return Plan(
        seed=seed,
        active_s=active_s,
        modes=modes,
        hedge=hedge,
        hosts=chance.choice((1, 2, 2)),
        price_step_ms=chance.choice((2_000, 5_000)) if not long else 30_000,
        settings=settings,
        clocks=clocks,
        faults=on,
        happenings=tuple(_happenings(seed, active_s, on)),
        acts=tuple(_acts(seed, active_s, accounts, long=long, busy=busy, favour=favour)),
        least_events=_LEAST_EVENTS if active_s >= _SHORT_S and not long else 0,
    )


def _acts(
    seed: int, active_s: float, accounts: tuple[str, ...], *, long: bool, busy: bool, favour: tuple[str, ...]
) -> list[Act]:
    chance = random.Random(f"acts {seed}")  # noqa: S311
    spacing = chance.choice((4.0, 6.0, 8.0)) if not long else 240.0
    spacing = 4.0 if busy else spacing
    kinds = [kind for kind in _ACTS if busy or kind in ("open_bot", "open_hand", "close") or chance.random() < 0.7]
    weights = [_ACTS[kind] * (chance.choice(_EMPHASIS) if busy else 1) for kind in kinds]
    weights = [30 if kind in favour else weight for kind, weight in zip(kinds, weights, strict=True)]
    acts = []
    at = chance.uniform(1.0, 8.0)
    while at < active_s * 0.95:
        kind = chance.choices(kinds, weights)[0]
        acts.append(Act(round(at, 3), chance.choice(accounts), kind, chance.getrandbits(48)))
        at += chance.expovariate(1 / spacing) if chance.random() < 0.8 else chance.uniform(0.0, 0.3)
    return acts


def _happenings(seed: int, active_s: float, kinds: tuple[str, ...]) -> list[Happening]:
    chance = random.Random(f"faults {seed}")  # noqa: S311
    found: list[Happening] = []
    for kind in kinds:
        own = random.Random(chance.getrandbits(64))  # noqa: S311
        count = max(2, round(own.uniform(3, 10) * min(active_s / 600, 12)))
        for _ in range(count):
            at = round(own.uniform(2.0, active_s * 0.95), 3)
            lasting = round(min(own.choice((0.5, 3.0, 12.0, 40.0)) * own.uniform(0.5, 1.5), active_s - at), 3)
            found.append(_DRAWN[kind](own, at, lasting))
        if kind == "crash":
            part_s = active_s * 0.95 / _SURE_CRASHES
            starts = [part_s * number for number in range(_SURE_CRASHES)]
            found += [_death("step", own, round(own.uniform(at + 2.0, at + part_s), 3)) for at in starts]
    return sorted(found, key=lambda each: each.at_s)


def _scope(own: random.Random) -> dict[str, Any]:
    return {"venue": own.choice((None, "binance", "bybit"))}


def _net(own: random.Random, at: float, lasting: float) -> Happening:
    kind = own.choice(("hang", "disconnect", "answer_lost", "slow", "deaf"))
    if kind == "deaf":  # the place that alerts go to, and nothing else
        return Happening("net", kind, at, lasting + 30.0)
    data = {**_scope(own), "probability": own.choice(("0.1", "0.4", "1"))}
    if kind == "answer_lost":
        data["then"] = own.choice(("disconnect", "hang", "error"))
    if kind == "slow":
        data |= {"delay_ms": own.choice((300, 2_000, 9_000, 14_000)), "when": own.choice(("before", "after"))}
    return Happening("net", kind, at, lasting, data)


def _http(own: random.Random, at: float, lasting: float) -> Happening:
    kind = own.choice(_KINDS_OF_HTTP)
    data = {**_scope(own), "probability": own.choice(("0.2", "1"))}
    if kind not in ("banned", "rate_limit") and own.random() < 0.5:  # one endpoint is down, the others are not
        venue = own.choice(("binance", "bybit"))
        data |= {"venue": venue, "path": own.choice((_POSITIONS[venue], *_ORDERS[venue], *_HISTORIES[venue]))}
    if kind == "banned" and at > _BANS_UNTIL_S:
        kind = "rate_limit"  # a ban lasts ten minutes: what it delays is to be over in the end
    if kind in ("rate_limit", "banned"):
        data["retry_after_s"] = own.choice((1, 5, 30))
    return Happening("http", kind, at, min(lasting, 20.0), data)


def _lies(own: random.Random, at: float, lasting: float) -> Happening:
    """A venue whose answers are old, or whose position list is empty or lacks its sizes for a while."""
    kind = own.choice(("stale", "stale", "empty", "drop_field"))
    venue = own.choice(("binance", "bybit"))
    data: dict[str, Any] = {"venue": venue, "probability": own.choice(("0.3", "1"))}
    if kind == "stale":
        data["lag_ms"] = own.choice((300, 1_000, 4_000))
        data["path"] = own.choice((_POSITIONS[venue], None, *_HISTORIES[venue]))
        return Happening("lies", kind, at, lasting, data)
    data["path"] = _POSITIONS[venue]
    if kind == "drop_field":
        data["field"] = {"binance": "positionAmt", "bybit": "size"}[venue]
    return Happening("lies", kind, at, min(lasting, 12.0), data)


_HISTORIES = {
    "binance": ("/fapi/v1/userTrades", "/fapi/v1/allOrders", "/fapi/v1/openOrders"),
    "bybit": ("/v5/execution/list", "/v5/order/history", "/v5/order/realtime", "/v5/position/closed-pnl"),
}


_ORDERS = {"binance": ("/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders"), "bybit": ("/v5/order/realtime",)}


def _streams(own: random.Random, at: float, lasting: float) -> Happening:
    kind = own.choice(
        (
            "stream_drop",
            "stream_duplicate",
            "stream_delay",
            "stream_reorder",
            "stream_silent",
            "stream_disconnect",
            "stream_refused",
            "listen_keys_expired",
            "cut",
        )
    )
    data: dict[str, Any] = _scope(own)
    if kind in ("stream_drop", "stream_duplicate", "stream_delay", "stream_reorder"):
        data["probability"] = own.choice(("0.2", "1"))
    if kind in ("stream_delay", "stream_reorder"):
        data["delay_ms"] = own.choice((200, 2_000, 15_000))
    if kind in ("listen_keys_expired", "cut"):
        return Happening("streams", kind, at)
    return Happening("streams", kind, at, lasting, data)


def _clocks(own: random.Random, at: float, lasting: float) -> Happening:
    if own.random() < 0.4:
        return Happening("clocks", "venue_skew", at, lasting, {"offset_ms": own.choice((200, 700, 6_000))})
    who = own.choice(("host0", "host1"))
    return Happening("clocks", "step", at, 0.0, {"clock": who, "by_ms": own.choice((-2_500, -400, 500, 3_000))})


def _store(own: random.Random, at: float, lasting: float) -> Happening:
    kind = own.choice(("lost", "answer_lost", "hangs", "slow_ms"))
    value: float = own.choice((0.05, 0.3, 1.0)) if kind != "slow_ms" else own.choice((30.0, 400.0))
    if kind == "hangs":
        value = min(value, 0.3)
    return Happening("store", kind, at, min(lasting, 20.0), {"host": own.randrange(2), "value": value})


_DEATHS = ("step", "step", "before_commit", "after_commit", "after_wish", "after_act", "before_outcome")
"""At any step; or right before or after a commit: any, one that wishes for acts, one that says what became of them."""


def _crash(own: random.Random, at: float, lasting: float) -> Happening:
    return _death(own.choice(_DEATHS), own, at)


def _death(kind: str, own: random.Random, at: float) -> Happening:
    data: dict[str, Any] = {"host": own.randrange(2), "down_s": own.choice((0.1, 2.0, 20.0))}
    if kind == "step":
        data["steps"] = own.randrange(1, 600)
    return Happening("crash", kind, at, 0.0, data)


def _pause(own: random.Random, at: float, lasting: float) -> Happening:
    return Happening("pause", "pause", at, own.choice((0.7, 5.0, 14.0, 45.0)), {"host": own.randrange(2)})


_DRAWN = {
    "net": _net,
    "http": _http,
    "lies": _lies,
    "streams": _streams,
    "clocks": _clocks,
    "store": _store,
    "crash": _crash,
    "pause": _pause,
}
