"""Findings keep their beginning while they stand, and are told once."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tests.unit.core.core_cases import ACCOUNT, BTC, SHORT, T0, row
from trueup.core.drift import drift_of, new_findings
from trueup.model.events import EventType, Severity
from trueup.model.holds import HoldKind
from trueup.model.observations import Quarantined
from trueup.model.orders import OrderKind, OrderSide
from trueup.model.positions import AccountMode
from trueup.model.reports import (
    AccountReport,
    DriftKind,
    HeldReport,
    OrderReport,
    ProtectionReport,
    QuantityChange,
)

AGREES = AccountReport(
    account=ACCOUNT, venue="bybit", mode=AccountMode.OBSERVE, observed=True, error=None, applied=False
)


def differing(**lists: object) -> AccountReport:
    return msgspec.structs.replace(AGREES, **lists)


def orphan(order_id: str) -> OrderReport:
    return OrderReport(
        order_id=order_id,
        client_order_id=None,
        symbol=BTC,
        side=OrderSide.SELL,
        kind=OrderKind.STOP,
        trigger_price=Decimal(90),
        quantity=Decimal(1),
        problem="no position is left for it to close",
    )


def test_book_and_venue_agree() -> None:
    assert drift_of(AGREES, (), T0) == ()


def test_a_finding_keeps_its_beginning_while_its_numbers_change() -> None:
    first = drift_of(
        differing(updated_quantity=(QuantityChange(position=row(quantity="4"), previous_quantity=Decimal(5)),)), (), T0
    )
    later = drift_of(
        differing(updated_quantity=(QuantityChange(position=row(quantity="3"), previous_quantity=Decimal(5)),)),
        first,
        T0 + 9_000,
    )
    assert [(one.kind, one.since_ms) for one in later] == [(DriftKind.QUANTITY, T0)]
    assert later[0].text != first[0].text


def test_the_other_leg_is_another_finding() -> None:
    first = drift_of(differing(closed_phantom=(row(),)), (), T0)
    both = drift_of(differing(closed_phantom=(row(), row(SHORT, position_id=8))), first, T0 + 5_000)
    assert [(one.subject, one.since_ms) for one in both] == [("long", T0), ("short", T0 + 5_000)]


def test_what_comes_again_begins_again() -> None:
    first = drift_of(differing(closed_phantom=(row(),)), (), T0)
    between = drift_of(AGREES, first, T0 + 1_000)
    again = drift_of(differing(closed_phantom=(row(),)), between, T0 + 2_000)
    assert again[0].since_ms == T0 + 2_000


def test_the_worst_comes_first() -> None:
    found = drift_of(differing(suspected=(row(),), added_missing=(row(SHORT, position_id=8),)), (), T0)
    assert [one.severity for one in found] == [Severity.ERROR, Severity.WARNING]


def test_a_hold_is_about_its_first_position_and_a_bare_one_about_none() -> None:
    group = HeldReport(hold_id=41, kind=HoldKind.MASS_CLOSE, positions=(row(), row(SHORT)), summary="2 vanished")
    bare = HeldReport(hold_id=42, kind=HoldKind.IDENTITY, positions=(), summary="another account")
    found = drift_of(differing(held=(group, bare)), (), T0)
    assert {(one.kind, one.subject, one.symbol) for one in found} == {
        (DriftKind.HELD, "41", BTC),
        (DriftKind.HELD, "42", ""),
    }
    assert {one.text for one in found} == {"hold 41: 2 vanished", "hold 42: another account"}


def test_what_was_repaired_is_no_drift() -> None:
    assert drift_of(differing(applied=True, closed_phantom=(row(),)), (), T0) == ()


def test_an_unreadable_row_and_an_orphan_are_told_once() -> None:
    report = differing(
        quarantined=(Quarantined(symbol=BTC, problem="no such contract"),),
        protection=ProtectionReport(orphans=(orphan("7"),)),
    )
    first = drift_of(report, (), T0)
    events = new_findings(ACCOUNT, (), first, T0)
    assert {event.type for event in events} == {EventType.ROW_QUARANTINED, EventType.ORPHAN_ORDER_DETECTED}
    assert new_findings(ACCOUNT, first, drift_of(report, first, T0 + 1_000), T0 + 1_000) == ()
    more = drift_of(differing(protection=ProtectionReport(orphans=(orphan("7"), orphan("8")))), first, T0 + 2_000)
    assert [event.data["subject"] for event in new_findings(ACCOUNT, first, more, T0 + 2_000)] == ["8"]
