"""What is true now of each account, from what the store holds: no venue is asked."""

from __future__ import annotations

from decimal import Decimal

from trueup.config import AccountSettings, Settings
from trueup.engine.work import LastLook, last_look
from trueup.model.decimals import ZERO
from trueup.model.effects import ON_VENUE, EffectKind, EffectState
from trueup.model.events import EventType
from trueup.model.holds import HoldState
from trueup.model.positions import Position
from trueup.model.reports import AccountStatus, ProtectionNumbers
from trueup.ports import Store

__all__ = ["account_statuses"]


async def account_statuses(settings: Settings, store: Store) -> tuple[AccountStatus, ...]:
    """In the order of the configuration."""
    states = await store.account_states()
    return tuple([await _status(settings, account, store, states.get(account.name)) for account in settings.accounts])


async def _status(
    settings: Settings, account: AccountSettings, store: Store, state: tuple[str, int] | None
) -> AccountStatus:
    last = last_look(state[0]) if state is not None else None
    rows = await store.positions(account=account.name)
    effects = await store.effects(account=account.name, states=(EffectState.PENDING, EffectState.ESCALATED))
    owner = await store.owner_of(account.name)
    pin = await store.pin_of(account.name)
    watched = last if owner is not None else None
    return AccountStatus(
        account=account.name,
        venue=account.venue,
        mode=account.mode,
        paused=await store.is_paused(account.name),
        owner=owner.holder if owner is not None else None,
        last_good_at_ms=last.good_at_ms if last is not None else None,
        last_look_at_ms=last.looked_at_ms if last is not None else None,
        error=last.error if last is not None else None,
        identity=pin.fingerprint if pin is not None else None,
        audit_interval_s=settings.sync.audit_interval_s,
        effective_interval_s=_effective(settings.sync.audit_interval_s, watched),
        interval_why=watched.interval_why if watched is not None else None,
        streams=watched.streams if watched is not None else "none",
        clock_skew_ms=last.clock_skew_ms if last is not None else None,
        positions=len(rows),
        exposure=_exposure(rows),
        suspected=sum(1 for row in rows if row.suspected_since_ms is not None),
        open_holds=len(await store.holds(account=account.name, states=(HoldState.OPEN, HoldState.APPROVED))),
        quarantined=last.quarantined if last is not None else 0,
        orphans=last.orphans if last is not None else 0,
        unprotected=last.unprotected if last is not None else 0,
        pending_effects=sum(1 for effect in effects if effect.kind is not EffectKind.AMEND_CLOSE),
        failed_cleanups=sum(1 for e in effects if e.last_error is not None and e.kind in ON_VENUE),
        cleanup_failures_total=await store.count_events(EventType.CLEANUP_FAILED, account=account.name, since_ms=0),
        protection=last.protection if last is not None else ProtectionNumbers(),
        drift=last.drift if last is not None else (),
    )


def _effective(configured_s: float, watched: LastLook | None) -> float:
    """As the process that owns the account found it at its newest look."""
    if watched is None or watched.interval_s is None:
        return configured_s
    return max(configured_s, watched.interval_s)


def _exposure(rows: list[Position]) -> tuple[tuple[str, Decimal], ...]:
    """By settle coin at the last price seen (else the entry price); inverse contracts in their quote units."""
    totals: dict[str, Decimal] = {}
    for row in rows:
        base_quote, _, tail = row.symbol.partition(":")
        base, _, quote = base_quote.partition("/")
        settle = tail.partition("-")[0]
        size = row.contract_size if row.contract_size is not None else Decimal(1)
        price = row.current_price or row.entry_price
        if settle and settle == base:
            totals[quote] = totals.get(quote, ZERO) + row.quantity * size
        elif price is not None:
            asset = settle or "?"
            totals[asset] = totals.get(asset, ZERO) + row.quantity * size * price
    return tuple(totals.items())
