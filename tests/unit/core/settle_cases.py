"""Verdicts as `settle` gets them, made by the decision itself wherever a case can lead to them."""

from __future__ import annotations

from decimal import Decimal

from core_cases import (
    ACCOUNT,
    BUY,
    HOUR,
    LONG,
    SELL,
    SHORT,
    T0,
    VIEW,
    case,
    fill,
    history,
    mark_of,
    policy,
    report,
    row,
    situation,
)

from trueup.core.cases import Case, Policy, Verdict
from trueup.core.decide import decide_key
from trueup.core.settle import settle
from trueup.core.settlement import Settlement
from trueup.core.situation import Situation
from trueup.model.changes import ChangeSet
from trueup.model.events import EventType, NewEvent
from trueup.model.holds import Mark, MarkKind
from trueup.model.observations import SurfaceVerdict
from trueup.model.orders import Side
from trueup.model.positions import Position, PositionKey
from trueup.store.changeset import check

KEY = PositionKey(ACCOUNT, "BTC/USDT:USDT", LONG)
Decided = tuple[Case, Verdict]


def decide(about: Case) -> Decided:
    return about, decide_key(about)


def settled(*decided: Decided, where: Situation | None = None) -> Settlement:
    """Settles, and holds the transaction against what every store refuses."""
    where = where or situation()
    result = settle(decided, where)
    check(ACCOUNT, result.change_set(ACCOUNT, where.now_ms))
    return result


def changes(result: Settlement) -> ChangeSet:
    return result.change_set(ACCOUNT, VIEW + 100)


def types(result: Settlement) -> list[EventType]:
    return [event.type for event in result.events]


def event(result: Settlement, kind: EventType) -> NewEvent:
    (only,) = (event for event in result.events if event.type is kind)
    return only


def seen_row(side: Side = LONG, quantity: str = "5", **more: object) -> Position:
    return row(side, quantity, **({"seen": T0 + 1000, "changed": T0} | more))  # type: ignore[arg-type]


def closed_by_fills(book: Position | None = None, **more: object) -> Decided:
    fills = [
        fill(BUY, "5", "100", T0, pnl="0", fee="0.2", order="open", trade="900001"),
        fill(SELL, "2", "110", T0 + HOUR, pnl="20", fee="0.1", order="part", trade="900002"),
        fill(SELL, "3", "120", T0 + 2 * HOUR, pnl="60", fee="0.3", order="exit", trade="900003"),
    ]
    return decide(case(book or row(), None, history(fills), **more))  # type: ignore[arg-type]


def closed_on_absence(position_id: int = 7, symbol: str = "BTC/USDT:USDT", **more: object) -> Decided:
    book = row(position_id=position_id, symbol=symbol)
    past = history(symbol=symbol)
    return decide(
        case(book, None, past, mark=mark_of(book), surface=SurfaceVerdict.FLAT, **more)  # type: ignore[arg-type]
    )


def contradiction(
    book: Position | None = None, *, mark: Mark | None = None, confirmed: bool = True, **more: object
) -> Decided:
    """The opening stands unclosed while the venue shows flat."""
    book = book or row()
    past = history([fill(BUY, "5", "100", T0)])
    standing = mark or (mark_of(book) if confirmed else None)
    return decide(case(book, None, past, mark=standing, **more))  # type: ignore[arg-type]


def reopened(book: Position | None = None, rules: Policy | None = None, **more: object) -> Decided:
    fills = [
        fill(BUY, "5", "100", T0, pnl="0", trade="910001"),
        fill(SELL, "5", "103", T0 + HOUR, pnl="15", order="exit", trade="910002"),
        fill(BUY, "5", "104", T0 + 2 * HOUR, pnl="0", order="again", trade="910003"),
    ]
    return decide(
        case(
            book or seen_row(),
            report(LONG, "5", entry="104", changed=T0 + 2 * HOUR, mark="105"),
            history(fills),
            rules=rules or policy(),
            **more,  # type: ignore[arg-type]
        )
    )


def adopted(rules: Policy | None = None, quantity: str = "5", **more: object) -> Decided:
    fills = [fill(BUY, quantity, "100", T0, pnl="0", fee="0.2", order="open", trade="920001")]
    return decide(
        case(None, report(LONG, quantity, changed=T0, mark="101"), history(fills), rules=rules or policy(), **more)  # type: ignore[arg-type]
    )


def failing(book: Position | None = None, mark: Mark | None = None, **more: object) -> Decided:
    return decide(case(book or row(), None, history(failed="503"), mark=mark, **more))  # type: ignore[arg-type]


def missing_mark(detail: str = "", count: int = 1) -> Mark:
    return mark_of(report(), MarkKind.MISSING, detail=detail, count=count)


def dec(text: str) -> Decimal:
    return Decimal(text)


__all__ = [
    "KEY",
    "SHORT",
    "adopted",
    "changes",
    "closed_by_fills",
    "closed_on_absence",
    "contradiction",
    "dec",
    "decide",
    "event",
    "failing",
    "missing_mark",
    "reopened",
    "seen_row",
    "settled",
    "types",
]
