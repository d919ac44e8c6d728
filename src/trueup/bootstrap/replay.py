"""Decides the recorded observations again: the same input must give the same decision, with this version of the program too."""

from __future__ import annotations

import msgspec

from trueup.core.amend import AMENDED, amended
from trueup.core.cases import Case
from trueup.core.decide import decide_key
from trueup.core.narrate import verdict_json
from trueup.model.reports import Replay, ReplayDifference
from trueup.model.values import from_json, to_json
from trueup.ports import Store, StoredObservation

__all__ = ["replay"]


async def replay(store: Store, since_ms: int) -> Replay:
    """Every recorded decision at or after `since_ms`, decided again."""
    observations = await store.observations_of(since_ms=since_ms)
    differences = [found for seen in observations if (found := _difference(seen)) is not None]
    return Replay(decided=len(observations), differences=tuple(differences))


def _difference(seen: StoredObservation) -> ReplayDifference | None:
    try:
        again = _again(seen.name, from_json(seen.input, Case))
    except msgspec.ValidationError as error:
        again = f"cannot be read by this version: {error}"
    if again == seen.output:
        return None
    return ReplayDifference(
        observation_id=seen.observation_id,
        account=seen.account,
        position_id=seen.position_id,
        at_ms=seen.at_ms,
        recorded=seen.output,
        now=again,
    )


def _again(name: str, case: Case) -> str:
    """The pure function of that name, on the same case."""
    return to_json(amended(case)) if name == AMENDED else verdict_json(decide_key(case))
