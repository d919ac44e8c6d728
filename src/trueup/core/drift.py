"""Where book and venue differ, finding by finding: how serious it is and since when it stands.

1. A finding is told from another by what it is about, not by its words: it keeps its beginning while its numbers change.
2. What is new among them becomes an event once, in whatever mode; what stands is in `status`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from trueup.model.decimals import decimal_text
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.observations import Quarantined
from trueup.model.positions import Position
from trueup.model.reports import AccountReport, Drift, DriftKind, OrderReport, QuantityChange

__all__ = ["drift_of", "new_findings"]

_EVENTS = {
    DriftKind.QUARANTINED: EventType.ROW_QUARANTINED,
    DriftKind.ORPHAN: EventType.ORPHAN_ORDER_DETECTED,
}


def drift_of(report: AccountReport, before: Iterable[Drift], now_ms: int) -> tuple[Drift, ...]:
    """What stands after a complete look, worst first; `before` is what stood after the one before it."""
    since = {_identity(drift): drift.since_ms for drift in before}
    found = [msgspec.structs.replace(one, since_ms=since.get(_identity(one), now_ms)) for one in _findings(report)]
    return tuple(sorted(found, key=lambda one: (-one.severity.rank, one.since_ms, one.symbol)))


def new_findings(account: str, before: Iterable[Drift], now: Sequence[Drift], now_ms: int) -> tuple[NewEvent, ...]:
    """Events of findings that stand now and did not before, of the kinds that nothing else tells."""
    known = {_identity(drift) for drift in before}
    return tuple(
        NewEvent(
            type=_EVENTS[drift.kind],
            severity=drift.severity,
            account=account,
            at_ms=now_ms,
            symbol=drift.symbol,
            data={"symbol": drift.symbol, "subject": drift.subject, "problem": drift.text},
        )
        for drift in now
        if drift.kind in _EVENTS and _identity(drift) not in known
    )


def _identity(drift: Drift) -> tuple[str, str, str]:
    return drift.kind.value, drift.symbol, drift.subject


def _findings(report: AccountReport) -> Iterable[Drift]:
    if not report.applied:
        for position in report.closed_phantom:
            yield _of_position(DriftKind.GONE, Severity.ERROR, position, "in the book, not on the venue")
        for position in report.added_missing:
            yield _of_position(DriftKind.MISSING, Severity.ERROR, position, "on the venue, not in the book")
        yield from map(_of_quantity, report.updated_quantity)
    for position in report.suspected:
        yield _of_position(DriftKind.SUSPECTED, Severity.WARNING, position, "suspected")
    for held in report.held:
        symbol = held.positions[0].symbol if held.positions else ""
        text = f"hold {held.hold_id}: {held.summary}"
        yield Drift(kind=DriftKind.HELD, symbol=symbol, subject=str(held.hold_id), severity=Severity.ERROR, text=text)
    for row in report.quarantined:
        yield _of_row(DriftKind.QUARANTINED, row, row.problem)
    for row in report.rejected:
        yield _of_row(DriftKind.REJECTED, row, "")
    for order in report.protection.orphans:
        yield _of_orphan(order)


def _of_position(kind: DriftKind, severity: Severity, position: Position, words: str) -> Drift:
    side = position.side.value
    text = f"{position.symbol} {side}: {words}"
    return Drift(kind=kind, symbol=position.symbol, subject=side, severity=severity, text=text)


def _of_quantity(change: QuantityChange) -> Drift:
    position = change.position
    book, venue = decimal_text(change.previous_quantity), decimal_text(position.quantity)
    return _of_position(DriftKind.QUANTITY, Severity.WARNING, position, f"{book} in the book, {venue} on the venue")


def _of_row(kind: DriftKind, row: Quarantined, subject: str) -> Drift:
    return Drift(
        kind=kind,
        symbol=row.symbol,
        subject=subject,
        severity=Severity.WARNING,
        text=f"{row.symbol}: {row.problem}",
    )


def _of_orphan(order: OrderReport) -> Drift:
    return Drift(
        kind=DriftKind.ORPHAN,
        symbol=order.symbol,
        subject=order.order_id or "",
        severity=Severity.WARNING,
        text=f"order {order.order_id} of {order.symbol}: {order.problem}",
    )
