"""A look at an account: how it is taken, what it found, and what of the book it left true."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from trueup.core.agreement import Agreed
from trueup.core.cases import Adjust, Adopt, Case, Close, Verdict, Verified
from trueup.core.settlement import Settlement
from trueup.engine.view import Union
from trueup.model.changes import ActiveBook, Committed
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
    """What one complete look found and what was committed.

    Attributes:
        book: Its rows, if nothing was.
        trailing: How many trailing records stood before it.
    """

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
    book: ActiveBook | None = None
    trailing: int = 0


class FoundTrue:
    """What the newest look that wrote the book left equal to the venue: `keys`, row id → key.

    Attributes:
        began_s: By our monotonic clock, before its first request.
        doubtful: Symbols with a key that is not.
    """

    def __init__(self, began_s: float, agreed: Agreed) -> None:
        self.began_s = began_s
        self.doubtful: set[str] = set()
        self._agreed = agreed

    @cached_property
    def keys(self) -> dict[int, PositionKey]:
        """Listed when somebody asks: most looks are followed by another before the stream has anything to say."""
        return {row.position_id: key for row, key in zip(self._agreed.rows, self._agreed.keys, strict=True)}


def opened(settlement: Settlement, committed: Committed) -> dict[int, PositionKey]:
    """The open rows that a change set inserted."""
    pairs = zip(settlement.opens, committed.position_ids, strict=False)
    return {position_id: new.key for new, position_id in pairs if new.close is None}


def found_true(
    began_s: float, decided: list[tuple[Case, Verdict]], settlement: Settlement, committed: Committed
) -> FoundTrue:
    """What a look that wrote the book left equal to the venue."""
    found = FoundTrue(began_s, settlement.agreed)
    if settlement.opens:
        found.keys.update(opened(settlement, committed))
    for case, verdict in decided:
        if isinstance(verdict, Verified | Adjust):
            found.keys[verdict.row.position_id] = case.key
            if isinstance(verdict, Verified) and not verdict.settled:
                # Fills that the venue's change time speaks of are not in the book yet.
                found.doubtful.add(case.key.symbol)
        elif not isinstance(verdict, Close | Adopt) or (isinstance(verdict, Adopt) and verdict.hold):
            found.doubtful.add(case.key.symbol)
    for group in settlement.held:
        found.doubtful.update(position.symbol for position in group.positions)
    return found
