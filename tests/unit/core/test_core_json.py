"""A case is recorded whole and decided again to the same verdict; a verdict is recorded with its name."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from core_cases import (
    BUY,
    HOUR,
    INVERSE,
    LONG,
    SELL,
    SHORT,
    T0,
    VIEW,
    case,
    fill,
    history,
    mark_of,
    record,
    report,
    row,
)

from trueup.core.cases import Case, Ending, KnownOrder
from trueup.core.decide import decide_key
from trueup.core.narrate import verdict_json
from trueup.model.observations import SurfaceVerdict
from trueup.model.orders import ClosedPnl, FillKind, Funding, OrderKind
from trueup.model.positions import Evidence
from trueup.model.values import from_json, to_json

FILLS = [
    fill(BUY, "5.000", "100.10", T0, pnl="0", fee="0.0002", asset="BNB", leg=LONG),
    fill(SELL, "5.000", "0.0000011", T0 + HOUR, pnl="-1E-8", value="1E+3", leg=LONG, kind=FillKind.ADL, by="adl"),
]
CASES = [
    case(row(), None),
    case(row(), report(mark="1.10", changed=T0)),
    case(row(), None, history(FILLS, orders=[record("x")])),
    case(row(seen=T0 + 10, changed=T0), None, history(FILLS[:1]), mark=mark_of(row()), trades=("a", "b")),
    case(None, report(SHORT, "3", hedge=True), history(FILLS)),
    case(row(), None, history(), mark=mark_of(row()), surface=SurfaceVerdict.FLAT, approved=True, blocked="x"),
    case(
        row(),
        None,
        history(failed="503"),
        orders=[KnownOrder(order_id="s1", client_order_id=None, kind=OrderKind.STOP, ours=True)],
    ),
    case(
        row(),
        None,
        history(
            FILLS[:1],
            funding=[
                Funding(
                    symbol="BTC/USDT:USDT", payment_id="1", side=LONG, amount=Decimal("-0.10"), asset="USDT", at_ms=T0
                )
            ],
            closed_pnl=[
                ClosedPnl(
                    symbol="BTC/USDT:USDT",
                    order_id="x",
                    side=LONG,
                    quantity=Decimal(5),
                    entry_price=Decimal("100.10"),
                    exit_price=Decimal(110),
                    net_pnl=Decimal("49.4"),
                    at_ms=T0 + HOUR,
                )
            ],
        ),
        instrument=INVERSE,
    ),
    case(row(), None, history(FILLS), opposite=report(SHORT, "1", hedge=True), as_of=VIEW + 5),
]


@pytest.mark.parametrize("about", CASES)
def test_a_case_survives_its_json_and_is_decided_alike(about: Case) -> None:
    again = from_json(to_json(about), Case)
    assert again == about
    assert to_json(again) == to_json(about)
    assert decide_key(again) == decide_key(about)
    assert verdict_json(decide_key(again)) == verdict_json(decide_key(about))


def test_an_ending_that_was_recorded_as_time_and_order_alone_was_proven_by_fills() -> None:
    told = Ending(T0 + HOUR, None, Evidence.ABSENCE, (T0, "open"), T0)
    about = msgspec.structs.replace(case(row(), None), ended=(Ending(T0, "x"), told))
    assert from_json(to_json(about), Case) == about
    older = json.loads(to_json(about)) | {"ended": [[T0, "x"]]}
    assert from_json(json.dumps(older), Case).ended == (Ending(T0, "x", Evidence.FILLS),)


@pytest.mark.parametrize("about", CASES)
def test_a_verdict_is_written_with_its_name(about: Case) -> None:
    verdict = decide_key(about)
    written = json.loads(verdict_json(verdict))
    assert written["verdict"] == type(verdict).__name__
    assert isinstance(written["value"], dict)


def test_decimals_keep_their_digits() -> None:
    again = from_json(to_json(CASES[2]), Case)
    assert again.history is not None
    assert again.history.fills is not None
    assert [str(one.price) for one in again.history.fills.fills] == ["100.10", "0.0000011"]
    assert [str(one.quantity) for one in again.history.fills.fills] == ["5.000", "5.000"]
    assert '"1E+3"' in to_json(CASES[2])


def test_no_number_of_money_is_a_json_number() -> None:
    written = json.loads(to_json(CASES[2]))
    first = written["history"]["fills"]["fills"][0]
    assert all(isinstance(first[name], str) for name in ("quantity", "price", "fee", "realized_pnl"))
