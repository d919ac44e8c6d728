"""From settings to a running program: store, venues, engine. The only place that knows them all."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from trueup.bootstrap.clock import SystemClock
from trueup.config.fields import UnprotectableAction
from trueup.core.cases import AdoptionPolicy, Policy
from trueup.core.stops import StopPolicy
from trueup.core.trailing import TrailingPolicy, TrailingStep
from trueup.engine.manager import PositionManager
from trueup.engine.pace import Pace
from trueup.engine.runner import Runner
from trueup.engine.settings import AccountPlan, AlertPlan, Timing, TrailingKind, TrailingPlan
from trueup.engine.supervisor import Supervisor
from trueup.engine.work import AccountWork
from trueup.store import open_store

if TYPE_CHECKING:
    from trueup.config import AccountSettings, ProtectionSettings, Settings
    from trueup.model.reports import AccountReport
    from trueup.ports import Clock, Feed, Notifier, PriceSource, Store, Venue
    from trueup.venues.connections import Connections
    from trueup.venues.limits import RequestBudget
    from trueup.venues.markets import Markets

__all__ = ["Outside", "Program", "VenueOpener", "account_plan", "open_program", "timing_of"]


@dataclass(frozen=True)
class Program:
    """Everything wired together, for as long as it is open."""

    settings: Settings
    store: Store
    clock: Clock
    venues: dict[str, Venue]
    runners: dict[str, Runner]
    manager: PositionManager
    timing: Timing
    holder: str
    opener: VenueOpener

    def open_feed(self, account: str) -> Feed | None:
        """The account's private stream, not started."""
        return self.opener.feed(self.settings.account(account), self.venues[account])

    def open_prices(self, account: str) -> PriceSource | None:
        """Mark prices of the account's venue, not started."""
        return self.opener.prices(self.settings.account(account), self.venues[account])

    def supervisor(self, on_report: Callable[[AccountReport], None] = lambda _: None) -> Supervisor:
        """The daemon over all of it, not started."""
        return Supervisor(
            self.manager,
            tuple(self.runners.values()),
            self.timing,
            self.store,
            self.clock,
            self.holder,
            open_feed=self.open_feed,
            open_prices=self.open_prices,
            on_report=on_report,
        )


def account_plan(settings: Settings, account: AccountSettings) -> AccountPlan:
    """The engine's view of one account's configuration."""
    sync, protection = settings.sync, settings.protection
    policy = Policy(
        adoption=AdoptionPolicy(what=account.adopt.value, after_ms=_ms(account.adopt_after_s)),
        new_row_grace_ms=_ms(sync.new_row_grace_s),
        confirm_after_ms=_ms(sync.confirm_after_s),
        confirm_snapshots=sync.confirm_snapshots,
    )
    return AccountPlan(
        name=account.name,
        venue=account.venue,
        mode=account.mode,
        policy=policy,
        mass_close_fraction=sync.mass_close_fraction,
        mass_close_window_ms=_ms(sync.mass_close_window_s),
        symbols=tuple(account.symbols),
        ignore_symbols=tuple(account.ignore_symbols),
        protect_adopted=protection.protect_adopted,
        grace_ms=_ms(protection.grace_s),
        trailing=_trailing_plan(protection),
        stops=StopPolicy(
            percent=protection.stop_loss_percent,
            trigger_by=protection.trigger_by.value,
            close_unprotectable=protection.on_unprotectable is UnprotectableAction.CLOSE,
        ),
        alerts=AlertPlan(places=len(settings.alerts.urls), min_severity=settings.alerts.min_severity),
    )


def _trailing_plan(protection: ProtectionSettings) -> TrailingPlan:
    break_even = protection.trailing_break_even_percent
    return TrailingPlan(
        kind=TrailingKind(protection.trailing.value),
        policy=TrailingPolicy(
            activation_percent=protection.trailing_activation_percent,
            callback_percent=protection.trailing_callback_percent,
            steps=tuple(
                TrailingStep(profit_percent=profit, callback_percent=callback)
                for profit, callback in protection.trailing_steps
            ),
            break_even_percent=break_even if break_even > 0 else None,
            min_interval_ms=_ms(protection.trailing_update_s),
            min_move_percent=protection.trailing_min_move_percent,
        ),
    )


def timing_of(settings: Settings) -> Timing:
    return Timing(audit_interval_s=settings.sync.audit_interval_s, orders_every=settings.sync.orders_every)


def _notifier(settings: Settings) -> Notifier | None:
    """Raises `ConfigurationError` when an alert's URL cannot be read or used."""
    urls = [secret.reveal() for secret in settings.alert_urls()]
    if not urls:
        return None
    from trueup.alerts import AppriseNotifier  # late: apprise is slow to import

    return AppriseNotifier(urls, redact=settings.redact)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _holder() -> str:
    """Names this process among those that may own an account; the tail tells a later process of the same number apart."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(frozen=True)
class Outside:
    """All that a program reaches the world through: the machine's own, or a simulation's."""

    clock: Clock
    store: Store
    opener: VenueOpener
    notifier: Notifier | None
    holder: str


def _machine(settings: Settings, *, tells: bool) -> Outside:
    clock = SystemClock()
    notifier = _notifier(settings) if tells else None
    store = open_store(settings.store_url().reveal())
    return Outside(clock=clock, store=store, opener=VenueOpener(settings, clock), notifier=notifier, holder=_holder())


@asynccontextmanager
async def open_program(
    settings: Settings, accounts: Iterable[str] | None = None, *, outside: Outside | None = None
) -> AsyncIterator[Program]:
    """Opens the store and the venues of these accounts (None: all; empty: the store alone).

    Args:
        outside: None: this machine's clock, network and database.

    Raises:
        ConfigurationError: A secret is missing, or the store's schema is not this program's.
        StoreUnavailable: The store does not open.
    """
    names = settings.account_names if accounts is None else tuple(accounts)
    world = _machine(settings, tells=bool(names)) if outside is None else outside
    clock, store, timing = world.clock, world.store, timing_of(settings)
    async with AsyncExitStack() as stack:
        venues = {name: world.opener.open(settings.account(name)) for name in names}
        for venue in venues.values():
            stack.push_async_callback(venue.aclose)
        stack.push_async_callback(store.aclose)
        await store.open()
        paces = world.opener.paces(timing)
        runners = {}
        for name, venue in venues.items():
            plan = account_plan(settings, settings.account(name))
            work = AccountWork(plan, timing, venue, store, clock, world.notifier, paces[name])
            runners[name] = Runner(work, timing, store, clock, world.holder)
        manager = PositionManager(runners.values(), store, clock)
        yield Program(
            settings=settings,
            store=store,
            clock=clock,
            venues=venues,
            runners=runners,
            manager=manager,
            timing=timing,
            holder=world.holder,
            opener=world.opener,
        )


class VenueOpener:
    """Opens venues: accounts of one venue share its market list, accounts behind one way out share its request budget."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._markets: dict[tuple[str, str | None], Markets] = {}
        self._budgets: dict[tuple[str, str | None, str | None], RequestBudget] = {}
        self._connections: dict[tuple[str, str | None, str | None], Connections] = {}
        self.budgets: dict[str, RequestBudget] = {}

    def open(self, account: AccountSettings) -> Venue:
        """The account's adapter; no request is sent yet."""
        from trueup.venues import open_venue  # late: commands that ask no venue do not load its client
        from trueup.venues.connections import Connections
        from trueup.venues.limits import RequestBudget
        from trueup.venues.markets import Markets

        secret = self._settings.secret
        proxy = secret(account.name, "proxy").reveal() if account.proxy is not None else None
        place = (account.venue, account.rest_url)
        budget = self._budgets.setdefault((*place, proxy), RequestBudget(account.venue, self._clock))
        self.budgets[account.name] = budget
        return open_venue(
            account=account.name,
            venue=account.venue,
            api_key=secret(account.name, "api_key").reveal(),
            api_secret=secret(account.name, "api_secret").reveal(),
            rest_url=account.rest_url,
            ws_url=account.ws_url,
            proxy=proxy,
            clock=self._clock,
            markets=self._markets.setdefault(place, Markets(account.venue, self._clock)),
            budget=budget,
            connections=self._connections.setdefault((*place, proxy), Connections(account.rest_url)),
        )

    def paces(self, timing: Timing) -> dict[str, Pace]:
        """How often each opened account is audited: those behind one way out share it."""
        behind: dict[RequestBudget, list[str]] = {}
        for account, budget in self.budgets.items():
            behind.setdefault(budget, []).append(account)
        return {
            account: pace
            for budget, accounts in behind.items()
            for pace in [Pace(accounts, budget, timing, self._clock)]
            for account in accounts
        }

    def weight_used(self, account: str) -> int | None:
        """Of the account's way out, in the running minute; None: the venue has not told it (Bybit counts otherwise)."""
        budget = self.budgets.get(account)
        return budget.weight_used if budget is not None else None

    def feed(self, account: AccountSettings, venue: Venue) -> Feed:
        """The account's private stream over its adapter; it connects when it is started."""
        import random

        from trueup.venues.stream import open_stream
        from trueup.venues.stream.adapter import Adapter

        secret = self._settings.secret
        return open_stream(
            cast("Adapter", venue),
            api_key=secret(account.name, "api_key").reveal(),
            api_secret=secret(account.name, "api_secret").reveal(),
            clock=self._clock,
            chance=random.Random(),  # noqa: S311 - spreads reconnections, guards nothing
            ws_url=account.ws_url,
            proxy=secret(account.name, "proxy").reveal() if account.proxy is not None else None,
        )

    def prices(self, account: AccountSettings, venue: Venue) -> PriceSource:
        """Mark prices by stream, on the account's way out; it connects when something is wanted of it."""
        import random

        from trueup.venues.stream import open_price_feed
        from trueup.venues.stream.adapter import Adapter

        return open_price_feed(
            cast("Adapter", venue),
            clock=self._clock,
            chance=random.Random(),  # noqa: S311 - spreads reconnections, guards nothing
            ws_url=account.ws_url,
            proxy=self._settings.secret(account.name, "proxy").reveal() if account.proxy is not None else None,
        )
