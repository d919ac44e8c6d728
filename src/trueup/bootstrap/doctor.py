"""Checks everything that a pass relies on, and says for each what was found and what to do about it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from trueup.bootstrap.wiring import open_program
from trueup.config import AccountSettings, Settings
from trueup.model.errors import TrueupError
from trueup.model.observations import AccountFacts, Identity
from trueup.model.positions import AccountMode
from trueup.model.reports import Check
from trueup.ports import Store, Venue

__all__ = ["examine"]

_SKEW_WARNING_MS = 1_000


async def examine(settings: Settings) -> tuple[Check, ...]:
    """All checks; what cannot be reached is a check that failed, never an exception."""
    accounts = len(settings.accounts)
    found = f"{settings.path}: {accounts} account{'' if accounts == 1 else 's'}"
    checks = [Check(scope="configuration", name="file", level="ok", detail=found)]
    store = [check async for check in _store(settings)]
    checks += store
    if any(check.level == "error" for check in store):
        unseen = "not looked at: the store must open first"
        checks += [Check(scope=name, name="reading", level="warning", detail=unseen) for name in settings.account_names]
        return tuple(checks)
    named: dict[tuple[str, str], str] = {}
    for account in settings.accounts:
        checks += [check async for check in _account(settings, account, named)]
    return tuple(checks)


async def _store(settings: Settings) -> AsyncIterator[Check]:
    try:
        async with open_program(settings, accounts=()) as program:
            await program.store.account_states()
            yield Check(scope="store", name="connection", level="ok", detail=settings.store_label)
    except TrueupError as error:
        yield Check(
            scope="store", name="connection", level="error", detail=str(error), mend="mend [store] url or the database"
        )


async def _account(
    settings: Settings, account: AccountSettings, named: dict[tuple[str, str], str]
) -> AsyncIterator[Check]:
    """`named`: the venue accounts of those that were examined before, with their names; this one's is added."""
    scope = account.name
    try:
        async with open_program(settings, accounts=(account.name,)) as program:
            venue = program.venues[account.name]
            for check in (_clock, _catalog, _positions, _permissions):
                async for found in check(scope, account, venue):
                    yield found
            identity = await venue.identity()
            yield await _pinned(scope, identity, program.store)
            other = named.setdefault((account.venue, identity.fingerprint), scope)
            if other != scope and identity.strength != "weak":
                yield _named_twice(scope, identity, other)
    except TrueupError as error:
        yield Check(
            scope=scope,
            name="reading",
            level="error",
            detail=settings.redact(str(error)),
            mend="mend what the text names, then run trueup doctor again",
        )


async def _clock(scope: str, account: AccountSettings, venue: Venue) -> AsyncIterator[Check]:
    reading = await venue.clock()
    far = abs(reading.skew_ms) > _SKEW_WARNING_MS
    detail = f"{_skew(reading.skew_ms)} (± {reading.uncertainty_ms} ms)"
    mend = "set this machine's clock (ntp, chrony)" if far else None
    yield Check(scope=scope, name="clock skew", level="warning" if far else "ok", detail=detail, mend=mend)


def _skew(skew_ms: int) -> str:
    if not skew_ms:
        return "the venue's clock and this machine's agree"
    direction = "ahead of" if skew_ms > 0 else "behind"
    return f"the venue is {abs(skew_ms)} ms {direction} this machine, corrected for"


async def _catalog(scope: str, account: AccountSettings, venue: Venue) -> AsyncIterator[Check]:
    catalog = await venue.catalog()
    yield Check(scope=scope, name="market list", level="ok", detail=f"{len(catalog)} contracts on {account.venue}")


async def _positions(scope: str, account: AccountSettings, venue: Venue) -> AsyncIterator[Check]:
    view = await venue.positions()
    orders = await venue.open_orders()
    detail = f"open positions {len(view.reports)}, open orders {len(orders.orders)} ({', '.join(view.covered)})"
    yield Check(scope=scope, name="reading", level="ok", detail=detail)
    for row in (*view.quarantined, *orders.quarantined):
        yield Check(scope=scope, name="quarantined row", level="warning", detail=f"{row.symbol}: {row.problem}")


async def _permissions(scope: str, account: AccountSettings, venue: Venue) -> AsyncIterator[Check]:
    facts = await venue.facts()
    yield _withdrawal(scope, facts)
    if account.mode is AccountMode.PROTECT and (facts.can_trade is False or facts.read_only):
        yield Check(
            scope=scope,
            name="permission to trade",
            level="error",
            detail="the key cannot trade, but mode is protect",
            mend="give the key the right to trade futures, or set mode to sync",
        )
    if facts.portfolio_margin:
        yield Check(
            scope=scope,
            name="portfolio margin",
            level="error",
            detail="portfolio-margin accounts are not supported",
            mend="use a key of a regular futures account",
        )
    if facts.hedge_mode is not None:
        yield Check(scope=scope, name="position mode", level="ok", detail="hedge" if facts.hedge_mode else "one-way")
    if facts.weight_used is not None and facts.weight_limit:
        tight = facts.weight_used * 10 > facts.weight_limit * 7
        yield Check(
            scope=scope,
            name="rate-limit head-room",
            level="warning" if tight else "ok",
            detail=f"{facts.weight_of}: {facts.weight_used} of {facts.weight_limit} used",
            mend="raise audit_interval_s, or move accounts behind another IP with proxy" if tight else None,
        )
    for warning in facts.warnings:
        yield Check(scope=scope, name="account", level="warning", detail=warning)
    for note in facts.notes:
        yield Check(scope=scope, name="note", level="ok", detail=note)


def _withdrawal(scope: str, facts: AccountFacts) -> Check:
    if facts.can_withdraw:
        return Check(
            scope=scope,
            name="withdrawal rights",
            level="warning",
            detail="the key may withdraw money; trueup never needs that",
            mend="make a key without withdrawal rights",
        )
    said = "none" if facts.can_withdraw is False else "the venue does not say"
    return Check(scope=scope, name="withdrawal rights", level="ok", detail=said)


def _named_twice(scope: str, identity: Identity, other: str) -> Check:
    return Check(
        scope=scope,
        name="venue account",
        level="warning",
        detail=f"{identity.fingerprint} is account {other} too: both keep the same positions, each takes the other's stops",
        mend="leave one of the two out, or give them symbols that share nothing",
    )


async def _pinned(scope: str, identity: Identity, store: Store) -> Check:
    pinned = await store.pin_of(scope)
    if pinned is not None and pinned.fingerprint != identity.fingerprint:
        return Check(
            scope=scope,
            name="identity",
            level="error",
            detail=f"the key answers for {identity.fingerprint}, the book belongs to {pinned.fingerprint}",
            mend=f"put the right key back, or accept this one with: trueup accounts pin {scope} --reset",
        )
    detail = f"venue account {identity.fingerprint}, as pinned"
    if pinned is None:
        detail = f"venue account {identity.fingerprint} ({identity.strength}); pinned at the first sync"
    return Check(scope=scope, name="identity", level="ok", detail=detail)
