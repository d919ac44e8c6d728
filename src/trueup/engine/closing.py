"""A person's wish to close: recorded durably for rows that a look just found true, carried out by the pass that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trueup.core.keeping import close_effect, close_requested
from trueup.model.changes import ChangeSet
from trueup.model.effects import Effect, EffectKind, EffectState, EffectUpdate
from trueup.model.errors import ConfigurationError
from trueup.model.positions import AccountMode, PositionKey

if TYPE_CHECKING:
    from trueup.engine.settings import AccountPlan
    from trueup.ports import Clock, Owner, Store

__all__ = ["check_may_close", "request_closes"]


def check_may_close(plan: AccountPlan) -> None:
    """Raises `ConfigurationError` outside mode protect."""
    if plan.mode is not AccountMode.PROTECT:
        raise ConfigurationError(
            f"account {plan.name!r}: mode is {plan.mode.value}, only mode protect may place orders: set it in trueup.toml"
        )


async def request_closes(
    plan: AccountPlan, store: Store, clock: Clock, owner: Owner, key: PositionKey | None, note: str
) -> int:
    """Records that this open lifecycle, or every one of the account, is to be closed at market.

    A wish that could not be carried out ends with the new one, which sends orders of its own: too many of the other's may have
    ended without a fill.

    Returns:
        How many there are: 0 where the venue had closed it before.
    """
    rows = [row for row in (await store.active(plan.name)).positions if key is None or row.key == key]
    if rows:
        now = clock.now_ms()
        wished = {row.position_id for row in rows}
        failed = await store.effects(account=plan.name, states=(EffectState.ESCALATED,), kind=EffectKind.CLOSE_POSITION)
        changes = ChangeSet(
            account=plan.name,
            now_ms=now,
            effect_updates=tuple(_replaced(effect, now) for effect in failed if effect.position_id in wished),
            effects=tuple(close_effect(row, row.symbol, note, now) for row in rows),
            events=tuple(close_requested(row, note, now) for row in rows),
        )
        await store.commit(owner, changes)
    return len(rows)


def _replaced(effect: Effect, now_ms: int) -> EffectUpdate:
    return EffectUpdate(
        effect_id=effect.effect_id,
        state=EffectState.DONE,
        attempts=effect.attempts,
        next_attempt_at_ms=now_ms,
        outcome="asked for again: a new wish stands in its place",
        last_error=effect.last_error,
        done_at_ms=now_ms,
    )
