"""The JSON that scripts rely on, exactly as the contract has it (docs/commands.md, schemas/).

1. Amounts, prices and PnL are decimal strings; times are RFC 3339 UTC with milliseconds; ids are integers.
2. What is not known is `null`, never 0 or "": a position that is not in the book yet has no `position_id`.
3. No key is dropped, renamed or added to a shape that the contract lists.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trueup.model.decimals import decimal_text
from trueup.model.errors import InvariantBroken
from trueup.model.times import time_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trueup.cli.services import CloseOutcome, HoldOutcome
    from trueup.model.events import Event
    from trueup.model.holds import Hold
    from trueup.model.positions import Position
    from trueup.model.reports import (
        AccountReport,
        AccountStatus,
        Check,
        Drift,
        Explanation,
        OrderReport,
        ProtectionNumbers,
        Replay,
        SyncReport,
    )

__all__ = [
    "any_position_json",
    "checks_json",
    "close_json",
    "closed_json",
    "event_json",
    "explanation_json",
    "hold_json",
    "order_json",
    "outcome_json",
    "position_json",
    "replay_json",
    "status_json",
    "sync_json",
]

Json = dict[str, Any]


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(value)


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else time_text(at_ms)


def position_json(position: Position) -> Json:
    """POSITION of the contract."""
    return {
        "position_id": position.position_id or None,
        "account": position.account,
        "venue": position.venue,
        "symbol": position.symbol,
        "side": position.side.value,
        "quantity": decimal_text(position.quantity),
        "contract_size": _decimal(position.contract_size),
        "entry_price": _decimal(position.entry_price),
        "mark_price": _decimal(position.current_price),
        "status": position.status.value,
        "suspected_since": _time(position.suspected_since_ms),
        "unverified": position.unverified,
        "opened_at": time_text(position.opened_at_ms),
    }


def closed_json(position: Position) -> Json:
    """CLOSED of the contract.

    Raises:
        InvariantBroken: The position is not closed: a fault of the caller.
    """
    close = position.close
    if close is None:
        raise InvariantBroken(f"position {position.position_id} ({position.key}) is listed as closed and is not")
    return position_json(position) | {
        "quantity": decimal_text(close.quantity),
        "exit_price": _decimal(close.exit_price),
        "settle_asset": close.settle_asset or None,
        "realized_pnl": _decimal(close.realized_pnl),
        "fees": [{"asset": fee.asset, "amount": decimal_text(fee.amount)} for fee in close.fees],
        "funding": _decimal(close.funding),
        "net_pnl": _decimal(close.net_pnl),
        "exit_reason": close.exit_reason.value,
        "evidence": close.evidence.value,
        "estimated": close.estimated,
        "complete": close.complete,
        "closed_at": time_text(close.closed_at_ms),
    }


def any_position_json(position: Position) -> Json:
    """CLOSED for a closed lifecycle, POSITION for an open one."""
    return position_json(position) if position.close is None else closed_json(position)


def order_json(order: OrderReport) -> Json:
    """ORDER of the contract."""
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "kind": order.kind.value,
        "trigger_price": _decimal(order.trigger_price),
        "quantity": _decimal(order.quantity),
    }


def sync_json(report: SyncReport) -> Json:
    """What `trueup sync --json` prints."""
    return {
        "started_at": time_text(report.started_at_ms),
        "finished_at": time_text(report.finished_at_ms),
        "accounts": {account.account: _account_json(account) for account in report.accounts},
    }


def _account_json(report: AccountReport) -> Json:
    protection = report.protection
    return {
        "venue": report.venue,
        "mode": report.mode.value,
        "observed": report.observed,
        "error": report.error,
        "verified": [position_json(position) for position in report.verified],
        "closed_phantom": [closed_json(position) for position in report.closed_phantom],
        "added_missing": [position_json(position) for position in report.added_missing],
        "updated_quantity": [
            position_json(change.position) | {"previous_quantity": decimal_text(change.previous_quantity)}
            for change in report.updated_quantity
        ],
        "suspected": [position_json(position) for position in report.suspected],
        "held": [
            {
                "hold_id": held.hold_id or None,
                "kind": held.kind.value,
                "positions": [position_json(position) for position in held.positions],
            }
            for held in report.held
        ],
        # a venue position that is not adopted yet is as unaccounted for as an unreadable row, and says why
        "quarantined": [
            {"symbol": row.symbol, "problem": row.problem} for row in (*report.quarantined, *report.rejected)
        ],
        "protection": {
            "placed": _orders(protection.placed),
            "cancelled": _orders(protection.cancelled),
            "failed": _orders(protection.failed),
            "orphans": _orders(protection.orphans),
            "unprotected": [position_json(position) for position in protection.unprotected],
        },
    }


def _orders(orders: Iterable[OrderReport]) -> list[Json]:
    return [order_json(order) for order in orders]


def event_json(event: Event) -> Json:
    """One line of `trueup events --json`."""
    return {
        "event_id": event.event_id,
        "at": time_text(event.at_ms),
        "type": str(event.type),
        "severity": event.severity.value,
        "account": event.account,
        "symbol": event.symbol,
        "position_id": event.position_id,
        "data": plain(event.data),
    }


def plain(value: object) -> Any:
    """Data of events and steps as JSON: decimals as strings, whatever they are nested in."""
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def hold_json(hold: Hold) -> Json:
    return {
        "hold_id": hold.hold_id,
        "account": hold.account,
        "kind": hold.kind.value,
        "state": hold.state.value,
        "summary": hold.summary,
        "positions": [{"symbol": symbol, "side": side.value} for symbol, side in hold.keys],
        "position_ids": list(hold.position_ids),
        "raised_at": time_text(hold.raised_at_ms),
        "decided_at": _time(hold.decided_at_ms),
        "note": hold.note,
    }


def outcome_json(outcome: HoldOutcome) -> Json:
    """What `approve --json` and `reject --json` print; `report` is as of `sync --json`."""
    return {
        "hold_id": outcome.hold_id,
        "state": outcome.state.value,
        "done": outcome.done,
        "message": outcome.message,
        "report": None if outcome.report is None else sync_json(outcome.report),
    }


def close_json(outcome: CloseOutcome) -> Json:
    """What `close --json` and `close-all --json` print."""
    return {
        "account": outcome.account,
        "done": outcome.done,
        "message": outcome.message,
        "closed": [any_position_json(position) for position in outcome.closed],
        "open": [any_position_json(position) for position in outcome.open],
    }


def explanation_json(explanation: Explanation) -> Json:
    return {
        "position": any_position_json(explanation.position),
        "steps": [
            {
                "at": time_text(step.at_ms),
                "type": step.type,
                "severity": step.severity,
                "summary": step.summary,
                "data": plain(step.data),
            }
            for step in explanation.steps
        ],
    }


def replay_json(replay: Replay) -> Json:
    return {
        "decided": replay.decided,
        "differences": [
            {
                "observation_id": found.observation_id,
                "account": found.account,
                "position_id": found.position_id,
                "at": time_text(found.at_ms),
                "recorded": found.recorded,
                "now": found.now,
            }
            for found in replay.differences
        ],
    }


def status_json(accounts: Iterable[AccountStatus], now_ms: int) -> Json:
    return {"at": time_text(now_ms), "accounts": {account.account: _status_json(account) for account in accounts}}


def _status_json(status: AccountStatus) -> Json:
    return {
        "venue": status.venue,
        "mode": status.mode.value,
        "paused": status.paused,
        "owner": status.owner,
        "identity": status.identity,
        "last_good_at": _time(status.last_good_at_ms),
        "last_look_at": _time(status.last_look_at_ms),
        "error": status.error,
        "audit_interval_s": status.audit_interval_s,
        "effective_interval_s": status.effective_interval_s,
        "interval_why": status.interval_why,
        "streams": status.streams,
        "clock_skew_ms": status.clock_skew_ms,
        "positions": status.positions,
        "exposure": [{"asset": asset, "amount": decimal_text(amount)} for asset, amount in status.exposure],
        "drift": [_drift(drift) for drift in status.drift],
        "suspected": status.suspected,
        "open_holds": status.open_holds,
        "quarantined": status.quarantined,
        "orphans": status.orphans,
        "unprotected": status.unprotected,
        "pending_effects": status.pending_effects,
        "failed_cleanups": status.failed_cleanups,
        "cleanup_failures_total": status.cleanup_failures_total,
        "protection": _numbers_json(status.protection),
    }


def _numbers_json(numbers: ProtectionNumbers) -> Json:
    return {
        "unprotected_now": [{"position": name, "seconds": seconds} for name, seconds in numbers.unprotected_now],
        "unprotected_seconds": numbers.unprotected_seconds,
        "times_covered": numbers.times_covered,
        "cover_seconds": numbers.cover_seconds,
        "longest_cover_seconds": numbers.longest_cover_seconds,
        "stops_placed": numbers.stops_placed,
        "stops_swept": numbers.stops_swept,
        "orphans_gone": numbers.orphans_gone,
        "orphan_seconds": numbers.orphan_seconds,
        "cancels_failed": numbers.cancels_failed,
    }


def checks_json(checks: Iterable[Check]) -> Json:
    return {
        "checks": [
            {
                "scope": check.scope,
                "name": check.name,
                "level": check.level,
                "detail": check.detail,
                "mend": check.mend,
            }
            for check in checks
        ]
    }


def _drift(drift: Drift) -> dict[str, object]:
    return {
        "kind": drift.kind.value,
        "symbol": drift.symbol,
        "subject": drift.subject,
        "severity": drift.severity.value,
        "since": _time(drift.since_ms),
        "text": drift.text,
    }
