"""A clock that is moved by hand, a notifier that can refuse, and an account on a store in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from trueup.core.cases import AdoptionPolicy, Policy
from trueup.engine.settings import AccountPlan, AlertPlan, Timing
from trueup.model.effects import Effect, EffectKind, Notice
from trueup.model.errors import NotDelivered
from trueup.model.positions import AccountMode
from trueup.ports import Owner
from trueup.store.memory import MemoryDatabase, MemoryStore

START_MS = 1_795_000_000_000
TIMING = Timing(audit_interval_s=30)


class HandClock:
    """Sleeping moves it."""

    def __init__(self) -> None:
        self.at_ms = START_MS

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_s(self) -> float:
        return self.at_ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.at_ms += round(seconds * 1000)


@dataclass
class PickyNotifier:
    """Refuses at the places named in `refusing`."""

    places: int = 1
    refusing: set[int] = field(default_factory=set)
    tried: list[tuple[int, str]] = field(default_factory=list)
    told: list[tuple[int, str]] = field(default_factory=list)

    async def tell(self, notice: Notice) -> None:
        self.tried.append((notice.place, notice.title))
        if notice.place in self.refusing:
            raise NotDelivered(f"alerts.urls[{notice.place}]: refused")
        self.told.append((notice.place, notice.title))


@dataclass
class Desk:
    """One account."""

    clock: HandClock
    store: MemoryStore
    owner: Owner
    plan: AccountPlan

    async def notices(self) -> list[Effect]:
        return await self.store.effects(account=self.plan.name, kind=EffectKind.NOTIFY)

    async def types(self) -> list[str]:
        return [event.type for event in await self.store.events()]


async def open_desk(places: int = 1, **plan: Any) -> Desk:
    clock = HandClock()
    store = MemoryStore(MemoryDatabase(clock.now_ms))
    values: dict[str, Any] = {
        "name": "main",
        "venue": "bybit",
        "mode": AccountMode.SYNC,
        "policy": Policy(
            adoption=AdoptionPolicy(what="adopt", after_ms=0),
            new_row_grace_ms=0,
            confirm_after_ms=0,
            confirm_snapshots=2,
        ),
        "mass_close_fraction": Decimal("0.3"),
        "mass_close_window_ms": 600_000,
        "alerts": AlertPlan(places=places),
    }
    return Desk(clock, store, await store.claim("main", "test", 1e9), AccountPlan(**{**values, **plan}))
