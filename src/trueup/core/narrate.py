"""How decisions are told: positions of a report, rows to insert, events with their data, effects.

The original system's events keep their names, severities and exactly their data keys; what we add stands in events of our own.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trueup.core.cases import Adjust, Adopt, Case, Close, Lifecycle, Reject, Suspect, Verdict
from trueup.core.situation import Situation
from trueup.model.changes import NewPosition
from trueup.model.decimals import decimal_text
from trueup.model.effects import AmendClose, CancelOrder, EffectKind, NewEffect, look_later
from trueup.model.events import EventType, NewEvent, Severity
from trueup.model.holds import Hold, HoldState, NewHold
from trueup.model.observations import PositionReport
from trueup.model.positions import CloseDetails, Evidence, Origin, Position, PositionStatus
from trueup.model.times import time_text
from trueup.model.values import to_json

__all__ = [
    "added",
    "adjusted",
    "adopted_position",
    "amend_effect",
    "amended",
    "cancel_effect",
    "close_data",
    "closed",
    "closed_position",
    "hold_ended",
    "hold_raised",
    "identity_again",
    "inserted_closed",
    "mismatch",
    "missing_detected",
    "missing_rejected",
    "new_position",
    "newly_suspected",
    "suspected",
    "suspicion_cleared",
    "verdict_json",
    "verified",
]


def suspected(row: Position, since_ms: int) -> Position:
    return msgspec.structs.replace(row, suspected_since_ms=row.suspected_since_ms or since_ms)


def closed_position(row: Position, verdict: Close) -> Position:
    """The row as it reads once closed."""
    lifecycle = verdict.lifecycle
    return msgspec.structs.replace(
        row,
        status=PositionStatus.CLOSED,
        quantity=verdict.details.quantity,
        entry_price=lifecycle.entry_price
        if lifecycle is not None and lifecycle.entry_price is not None
        else row.entry_price,
        opened_at_ms=lifecycle.opened_at_ms if lifecycle is not None else row.opened_at_ms,
        suspected_since_ms=None,
        realized_pnl=verdict.details.realized_pnl,
        close=verdict.details,
    )


def adopted_position(case: Case, verdict: Adopt, situation: Situation) -> Position:
    """What an adoption will look like; its id is 0 until it is committed."""
    report, lifecycle = verdict.report, verdict.lifecycle
    return Position(
        position_id=0,
        account=situation.account,
        venue=situation.venue,
        symbol=report.symbol,
        written_symbol=report.symbol,
        side=report.side,
        origin=Origin.ADOPTED,
        quantity=report.quantity,
        contract_size=report.contract_size,
        entry_price=report.entry_price,
        current_price=report.mark_price,
        leverage=report.leverage,
        unverified=verdict.unverified,
        realized_pnl=lifecycle.realized_pnl if lifecycle is not None else None,
        opened_at_ms=lifecycle.opened_at_ms if lifecycle is not None else case.as_of_ms,
        created_at_ms=situation.now_ms,
        updated_at_ms=situation.now_ms,
        venue_updated_at_ms=report.updated_at_ms,
        verified_as_of_ms=case.as_of_ms,
        opening_order_id=lifecycle.opening_order_id if lifecycle is not None else None,
    )


def new_position(
    case: Case,
    lifecycle: Lifecycle | None,
    report: PositionReport | None,
    situation: Situation,
    *,
    unverified: bool,
    tag: str,
) -> NewPosition:
    """The row to insert: from the venue's report where it is open, from its fills where it is over already."""
    instrument_size = case.instrument.contract_size if case.instrument is not None else None
    size = report.contract_size if report is not None else instrument_size
    source = report if report is not None else lifecycle
    if source is None or size is None:
        raise AssertionError(f"{case.key}: nothing to insert from")
    side = lifecycle.side if lifecycle is not None else case.key.side
    return NewPosition(
        key=case.key._replace(side=side),
        venue=situation.venue,
        origin=Origin.ADOPTED,
        quantity=source.quantity,
        contract_size=size,
        entry_price=source.entry_price,
        current_price=report.mark_price if report is not None else None,
        leverage=report.leverage if report is not None else None,
        unverified=unverified,
        realized_pnl=lifecycle.realized_pnl if lifecycle is not None else None,
        opened_at_ms=lifecycle.opened_at_ms if lifecycle is not None else case.as_of_ms,
        opening_order_id=lifecycle.opening_order_id if lifecycle is not None else None,
        venue_updated_at_ms=report.updated_at_ms if report is not None else None,
        verified_as_of_ms=case.as_of_ms if report is not None else None,
        close=lifecycle.close if lifecycle is not None and report is None else None,
        tag=tag,
    )


def inserted_closed(new: NewPosition) -> Position:
    """A lifecycle that began and ended between two looks, for the report; its id is 0 until it is committed."""
    return Position(
        position_id=0,
        account=new.key.account,
        venue=new.venue,
        symbol=new.key.symbol,
        written_symbol=new.key.symbol,
        side=new.key.side,
        status=PositionStatus.CLOSED,
        origin=new.origin,
        quantity=new.quantity,
        contract_size=new.contract_size,
        entry_price=new.entry_price,
        realized_pnl=new.realized_pnl,
        opened_at_ms=new.opened_at_ms,
        created_at_ms=new.opened_at_ms,
        updated_at_ms=new.opened_at_ms,
        opening_order_id=new.opening_order_id,
        close=new.close,
    )


# events


def verified(row: Position, report: PositionReport, situation: Situation) -> NewEvent:
    data: dict[str, object] = {"quantity": _text(report.quantity), "entry_price": _text(report.entry_price)}
    return _about(EventType.POSITION_VERIFIED, Severity.INFO, row, situation, data)


def suspicion_cleared(row: Position, situation: Situation) -> NewEvent:
    return _about(EventType.SUSPICION_CLEARED, Severity.INFO, row, situation, {"reason": "seen_again"})


def adjusted(verdict: Adjust, situation: Situation) -> NewEvent:
    """A changed quantity has its own type; a corrected entry price too."""
    row, report = verdict.row, verdict.report
    data: dict[str, object] = {
        "position_id": row.position_id,
        "symbol": row.symbol,
        "previous_quantity": _text(row.quantity),
        "quantity": _text(report.quantity),
        "previous_entry_price": _text(row.entry_price),
        "entry_price": _text(report.entry_price),
        "explained": verdict.explained,
        "realized_pnl": _text(verdict.lifecycle.realized_pnl) if verdict.lifecycle is not None else None,
        "why": verdict.why,
    }
    if row.quantity == report.quantity:
        return _about(EventType.ENTRY_PRICE_CORRECTED, Severity.INFO, row, situation, data)
    return _about(EventType.QUANTITY_MISMATCH_DETECTED, Severity.WARNING, row, situation, data)


def closed(verdict: Close, situation: Situation) -> list[NewEvent]:
    """The original's pair, our own account of the close, and the end of a trailing stop."""
    row, details = verdict.row, verdict.details
    original: dict[str, object] = {
        "symbol": row.symbol,
        "exchange": row.venue,
        "position_id": row.position_id,
        "reason": "not_on_exchange",
    }
    events = [_about(EventType.PHANTOM_POSITION_DETECTED, Severity.WARNING, row, situation, dict(original))]
    if not situation.applies:
        return events
    events.append(_about(EventType.PHANTOM_POSITION_CLOSED, Severity.WARNING, row, situation, dict(original)))
    data = close_data(details)
    data["why"] = verdict.why
    events.append(_about(EventType.POSITION_CLOSED, Severity.INFO, row, situation, data))
    if details.evidence is Evidence.ABSENCE:
        events.append(_about(EventType.CLOSED_ON_ABSENCE, Severity.WARNING, row, situation, {"why": verdict.why}))
    if row.has_trailing_stop:
        removed: dict[str, object] = {
            "symbol": row.symbol,
            "position_id": row.position_id,
            "reason": "position_closed",
            "realized_pnl": _text(details.realized_pnl),
        }
        events.append(_about(EventType.TRAILING_STOP_REMOVED, Severity.INFO, row, situation, removed))
    return events


def close_data(details: CloseDetails) -> dict[str, object]:
    """A close's amounts as event data: decimals as text, unknown as None."""
    return {
        "quantity": _text(details.quantity),
        "exit_price": _text(details.exit_price),
        "settle_asset": details.settle_asset,
        "realized_pnl": _text(details.realized_pnl),
        "fees": [{"asset": fee.asset, "amount": _text(fee.amount)} for fee in details.fees],
        "funding": _text(details.funding),
        "net_pnl": _text(details.net_pnl),
        "exit_reason": details.exit_reason.value,
        "evidence": details.evidence.value,
        "estimated": details.estimated,
        "complete": details.complete,
        "closing_order_id": details.closing_order_id,
        "closed_at_ms": details.closed_at_ms,
    }


def added(new: NewPosition, why: str, situation: Situation) -> NewEvent:
    data: dict[str, object] = {
        "position_id": None,
        "symbol": new.key.symbol,
        "side": new.key.side.value,
        "quantity": _text(new.quantity),
        "entry_price": _text(new.entry_price),
        "opening_order_id": new.opening_order_id,
        "unverified": new.unverified,
        "why": why,
    }
    if new.close is not None:
        data["close"] = close_data(new.close)
    return NewEvent(
        type=EventType.MISSING_POSITION_ADDED,
        severity=Severity.WARNING if new.unverified else Severity.INFO,
        account=situation.account,
        at_ms=situation.now_ms,
        symbol=new.key.symbol,
        key=new.key,
        tag=new.tag,
        data=data,
    )


def missing_detected(case: Case, report: PositionReport, situation: Situation) -> NewEvent:
    data: dict[str, object] = {"side": report.side.value, "quantity": _text(report.quantity)}
    return _unowned(EventType.MISSING_POSITION_DETECTED, Severity.WARNING, case, situation, data)


def missing_rejected(case: Case, verdict: Reject, situation: Situation) -> NewEvent:
    data: dict[str, object] = {
        "side": case.key.side.value,
        "quantity": _text(verdict.report.quantity),
        "reason": verdict.why,
    }
    return _unowned(EventType.MISSING_POSITION_REJECTED, Severity.WARNING, case, situation, data)


def missed_refused(case: Case, lifecycle: Lifecycle, close: CloseDetails, situation: Situation) -> NewEvent:
    """A lifecycle that no look saw and that gets no row: this is all that the book tells of it."""
    data: dict[str, object] = {
        "side": lifecycle.side.value,
        "quantity": _text(close.quantity),
        "reason": case.refused.ended,
        "opened_at": time_text(lifecycle.opened_at_ms),
        "closed_at": time_text(close.closed_at_ms),
        "exit_price": _text(close.exit_price),
        "realized_pnl": _text(close.realized_pnl),
        "net_pnl": _text(close.net_pnl),
    }
    return _unowned(EventType.MISSING_POSITION_REJECTED, Severity.ERROR, case, situation, data)


def newly_suspected(verdict: Suspect, situation: Situation) -> NewEvent:
    return _about(EventType.POSITION_SUSPECTED, Severity.WARNING, verdict.row, situation, {"reason": verdict.why})


def hold_raised(hold: NewHold, situation: Situation) -> NewEvent:
    data: dict[str, object] = {
        "kind": hold.kind.value,
        "summary": hold.summary,
        "position_ids": list(hold.position_ids),
        "keys": [[symbol, side.value] for symbol, side in hold.keys],
    }
    return NewEvent(
        type=EventType.HOLD_RAISED,
        severity=Severity.ERROR,
        account=situation.account,
        at_ms=situation.now_ms,
        symbol=hold.keys[0][0] if len(hold.keys) == 1 else None,
        position_id=hold.position_ids[0] if len(hold.position_ids) == 1 else None,
        data=data,
    )


def hold_ended(hold: Hold, state: HoldState, situation: Situation) -> NewEvent:
    """What became of a hold: carried out, or withdrawn because nothing supports it any more."""
    kind = EventType.HOLD_APPROVED if state is HoldState.DONE else EventType.HOLD_WITHDRAWN
    return NewEvent(
        type=kind,
        severity=Severity.INFO,
        account=situation.account,
        at_ms=situation.now_ms,
        symbol=hold.keys[0][0] if len(hold.keys) == 1 else None,
        position_id=hold.position_ids[0] if len(hold.position_ids) == 1 else None,
        data={"hold_id": hold.hold_id, "kind": hold.kind.value, "state": state.value},
    )


def mismatch(account: str, pinned: str, found: str, at_ms: int) -> NewEvent:
    """The key answers for another venue account."""
    return NewEvent(
        type=EventType.IDENTITY_MISMATCH,
        severity=Severity.CRITICAL,
        account=account,
        at_ms=at_ms,
        data={"pinned": pinned, "found": found},
    )


def identity_again(hold: Hold, at_ms: int) -> NewEvent:
    """It answers for the pinned one again: the hold is over."""
    return NewEvent(
        type=EventType.HOLD_WITHDRAWN,
        severity=Severity.INFO,
        account=hold.account,
        at_ms=at_ms,
        data={"hold_id": hold.hold_id, "kind": hold.kind.value, "state": HoldState.WITHDRAWN.value},
    )


def cancel_effect(cancel: CancelOrder, position_id: int | None, situation: Situation) -> NewEffect:
    """The durable cancel of an ended lifecycle's order; recorded again, it is the same effect."""
    return NewEffect(
        account=situation.account,
        kind=EffectKind.CANCEL_ORDER,
        dedup_key=f"cancel:{cancel.symbol}:{cancel.order_id}",
        payload=to_json(cancel),
        position_id=position_id,
        created_at_ms=situation.now_ms,
    )


def amend_effect(row: Position, details: CloseDetails, situation: Situation, *, soon: bool) -> NewEffect:
    """See `look_later`. `soon`: a look could tell more at once."""
    amend = AmendClose(
        symbol=row.symbol, side=row.side, position_id=row.position_id, grade=details.evidence.value, soon=soon
    )
    return look_later(situation.account, amend, situation.now_ms)


def amended(row: Position, details: CloseDetails, missed: int, at_ms: int) -> NewEvent:
    """What the record said, and what it says now. `missed`: lifecycles between its end and what was taken for it."""
    was = row.close.evidence.value if row.close is not None else "nothing"
    why = f"{was} → {details.evidence.value}: the venue's history tells more by now"
    if (
        row.close is not None
        and row.close.evidence is details.evidence
        and row.close.closed_at_ms > details.closed_at_ms
    ):
        why = (
            "the venue's history shows that it ended earlier: a close and a reopening were not told when they happened"
        )
    before = close_data(row.close) if row.close is not None else {}
    after = close_data(details)
    data: dict[str, object] = {
        "position_id": row.position_id,
        "symbol": row.symbol,
        "before": {name: value for name, value in before.items() if after.get(name) != value},
        "after": {name: value for name, value in after.items() if before.get(name) != value},
        "missed": missed,
        "why": why,
    }
    return NewEvent(
        type=EventType.CLOSE_AMENDED,
        severity=Severity.INFO,
        account=row.account,
        at_ms=at_ms,
        symbol=row.symbol,
        position_id=row.position_id,
        data=data,
    )


def verdict_json(verdict: Verdict | None) -> str:
    """A verdict with its name: what a replay compares."""
    return to_json({"verdict": type(verdict).__name__, "value": verdict})


def _about(
    kind: EventType, severity: Severity, row: Position, situation: Situation, data: dict[str, object]
) -> NewEvent:
    return NewEvent(
        type=kind,
        severity=severity,
        account=situation.account,
        at_ms=situation.now_ms,
        symbol=row.symbol,
        position_id=row.position_id,
        data=data,
    )


def _unowned(
    kind: EventType, severity: Severity, case: Case, situation: Situation, data: dict[str, object]
) -> NewEvent:
    return NewEvent(
        type=kind,
        severity=severity,
        account=situation.account,
        at_ms=situation.now_ms,
        symbol=case.key.symbol,
        data=data,
    )


def _text(number: Decimal | None) -> str | None:
    return decimal_text(number) if number is not None else None
