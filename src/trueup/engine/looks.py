"""A look at an account: how it is taken, what it found, and what of the book it left true."""

from __future__ import annotations

from dataclasses import dataclass, field

from trueup.core.cases import Adjust, Adopt, Case, Close, Verdict, Verified
from trueup.core.settle import Settlement
from trueup.engine.view import Union
from trueup.model.changes import Committed
from trueup.model.holds import Mark
from trueup.model.observations import ClockReading, OrdersSnapshot, Quarantined
from trueup.model.positions import Position, PositionKey
from trueup.model.reports import HeldReport, OrderReport
from trueup.model.values import Value

__all__ = ["FoundTrue", "Look", "LookOptions", "found_true", "opened"]


class LookOptions(Value, frozen=True, kw_only=True):
    """How to look.

    Attributes:
        apply: Write the book (the account's mode and a pause may still forbid it).
        record: Write anything at all: a dry run leaves no trace.
        orders: Read the order lists too.
        announce: Write SYNCHRONIZATION_STARTED and _COMPLETED.
        learn: How many rows whose beginning is not known may have their past read.
    """

    apply: bool = True
    record: bool = True
    orders: bool = True
    announce: bool = True
    learn: int = 0


@dataclass
class Look:
    """What one complete look found and what was committed."""

    settlement: Settlement
    quarantined: list[Quarantined]
    reports: Union
    as_of_ms: int
    applied: bool
    held: list[HeldReport] = field(default_factory=list)
    added: list[Position] = field(default_factory=list)
    orphans: list[OrderReport] = field(default_factory=list)
    orders: OrdersSnapshot | None = None
    unprotected_since: dict[PositionKey, Mark] = field(default_factory=dict)
    wait_ms: int | None = None
    clock: ClockReading | None = None


@dataclass
class FoundTrue:
    """What the newest look that wrote the book left equal to the venue.

    Attributes:
        began_s: By our monotonic clock, before its first request.
        keys: Row id → key, of every row that is as the venue shows it.
        doubtful: Symbols with a key that is not.
    """

    began_s: float
    keys: dict[int, PositionKey] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)


def opened(settlement: Settlement, committed: Committed) -> dict[int, PositionKey]:
    """The open rows that a change set inserted."""
    pairs = zip(settlement.opens, committed.position_ids, strict=False)
    return {position_id: new.key for new, position_id in pairs if new.close is None}


def found_true(
    began_s: float, decided: list[tuple[Case, Verdict]], settlement: Settlement, committed: Committed
) -> FoundTrue:
    """What a look that wrote the book left equal to the venue."""
    found = FoundTrue(began_s=began_s, keys=opened(settlement, committed))
    agreed = settlement.agreed
    found.keys.update((row.position_id, key) for row, key in zip(agreed.rows, agreed.keys, strict=True))
    for case, verdict in decided:
        if isinstance(verdict, Verified | Adjust):
            found.keys[verdict.row.position_id] = case.key
        elif not isinstance(verdict, Close | Adopt) or (isinstance(verdict, Adopt) and verdict.hold):
            found.doubtful.add(case.key.symbol)
    for group in settlement.held:
        found.doubtful.update(position.symbol for position in group.positions)
    return found
