"""What protection comes to over an account's whole life: kept with its state, so that restarts do not begin anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from trueup.model.reports import ProtectionNumbers

if TYPE_CHECKING:
    from trueup.engine.effects import EffectsOutcome
    from trueup.engine.keeper import Kept

__all__ = ["counted"]


def counted(before: ProtectionNumbers, looks: Iterable[tuple[Kept, EffectsOutcome]]) -> ProtectionNumbers:
    """The numbers with these looks, oldest first, in them."""
    for kept, effects in looks:
        before = _one(before, kept, effects)
    return before


def _one(before: ProtectionNumbers, kept: Kept, effects: EffectsOutcome) -> ProtectionNumbers:
    covered = {_name(key.symbol, key.side): seconds for key, seconds in kept.covered_s.items()}
    open_names = {_name(key.symbol, key.side) for key in kept.rows}
    standing = {_name(key.symbol, key.side): seconds for key, seconds in kept.unprotected_s.items()}
    ended = sum(covered.values())
    for name, seconds in before.unprotected_now:
        if name in standing or name in covered:
            continue
        if name in open_names:
            standing[name] = seconds  # not looked at this time
        else:
            ended += seconds  # closed without having been covered
    return ProtectionNumbers(
        unprotected_now=tuple(sorted(standing.items())),
        unprotected_ended_seconds=round(before.unprotected_ended_seconds + ended, 3),
        times_covered=before.times_covered + len(covered),
        cover_seconds=round(before.cover_seconds + sum(covered.values()), 3),
        longest_cover_seconds=max([before.longest_cover_seconds, *covered.values()]),
        stops_placed=before.stops_placed + len(effects.placed),
        stops_swept=before.stops_swept + effects.swept,
        orphans_gone=before.orphans_gone + len(effects.orphan_s),
        orphan_seconds=round(before.orphan_seconds + sum(effects.orphan_s), 3),
        cancels_failed=before.cancels_failed + effects.failed_cancels,
    )


def _name(symbol: str, side: object) -> str:
    return f"{symbol} {side}"
