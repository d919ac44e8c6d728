"""What `agree` passes over is what the decision would have verified without a word (core/agreement.py, invariants 1 and 2)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from trueup.core.agreement import agree, with_report
from trueup.core.cases import AdoptionPolicy, Case, Policy, Verified
from trueup.core.decide import decide_key
from trueup.core.settle import settle
from trueup.core.situation import Situation
from trueup.model.observations import PositionReport
from trueup.model.orders import Side
from trueup.model.positions import AccountMode, Position, PositionKey

VIEW = 1_700_000_000_000
POLICY = Policy(
    adoption=AdoptionPolicy(what="adopt"), new_row_grace_ms=60_000, confirm_after_ms=30_000, confirm_snapshots=2
)
KEY = PositionKey("main", "BTC/USDT:USDT", Side.LONG)

numbers = st.sampled_from([Decimal("5"), Decimal("5.0"), Decimal("6")])
times = st.sampled_from([None, VIEW - 90_000, VIEW - 60_000, VIEW - 59_999, VIEW - 1, VIEW, VIEW + 1])


@st.composite
def rows(draw: st.DrawFn) -> Position:
    return Position(
        position_id=7,
        version=draw(st.integers(0, 2)),
        account="main",
        venue="bybit",
        symbol=KEY.symbol,
        written_symbol=draw(st.sampled_from([KEY.symbol, "BTCUSDT"])),
        side=Side.LONG,
        quantity=draw(numbers),
        contract_size=draw(st.sampled_from([None, Decimal(1)])),
        entry_price=draw(st.none() | numbers),
        current_price=Decimal(90),
        suspected_since_ms=draw(st.sampled_from([None, None, None, VIEW - 5])),
        opened_at_ms=VIEW - 100_000,
        created_at_ms=VIEW - 100_000,
        updated_at_ms=VIEW - 100_000,
        venue_updated_at_ms=draw(times),
        verified_as_of_ms=draw(times),
        opening_order_id=draw(st.sampled_from([None, "o1"])),
    )


@st.composite
def reports(draw: st.DrawFn) -> PositionReport:
    return PositionReport(
        symbol=KEY.symbol,
        side=Side.LONG,
        quantity=draw(numbers),
        contract_size=Decimal(1),
        entry_price=draw(st.none() | numbers),
        mark_price=draw(st.none() | st.just(Decimal(101))),
        leverage=draw(st.none() | st.just(Decimal(10))),
        updated_at_ms=draw(times),
    )


def decided(row: Position, report: PositionReport) -> Case:
    return Case(
        key=KEY, row=row, report=report, instrument=None, as_of_ms=VIEW, now_ms=VIEW + 40, policy=POLICY, history=None
    )


def situation(applies: bool) -> Situation:
    return Situation(
        account="main",
        venue="bybit",
        mode=AccountMode.SYNC,
        applies=applies,
        now_ms=VIEW + 100,
        active_count=1,
        recent_absences=0,
        mass_close_fraction=Decimal("0.3"),
    )


SEEN = Position(
    position_id=7,
    account="main",
    venue="bybit",
    symbol=KEY.symbol,
    written_symbol=KEY.symbol,
    side=Side.LONG,
    quantity=Decimal(5),
    entry_price=Decimal(6),
    opened_at_ms=VIEW - 100_000,
    created_at_ms=VIEW - 100_000,
    updated_at_ms=VIEW - 100_000,
    venue_updated_at_ms=VIEW - 90_000,
    verified_as_of_ms=VIEW - 10_000,
)
SHOWN = PositionReport(
    symbol=KEY.symbol,
    side=Side.LONG,
    quantity=Decimal("5.0"),
    contract_size=Decimal(1),
    entry_price=Decimal(6),
    updated_at_ms=VIEW - 90_000,
)


@given(rows(), reports(), st.booleans())
@example(SEEN, SHOWN, True)
def test_what_agrees_would_have_been_verified_without_a_word(
    row: Position, report: PositionReport, applies: bool
) -> None:
    agreed, undecided = agree({KEY: row}, {KEY: report}, as_of_ms=VIEW, refresh_after_ms=60_000, doubtful=())
    case = decided(row, report)
    verdict = decide_key(case)
    if not agreed:
        assert undecided == [KEY]
        return
    assert undecided == []
    assert verdict == Verified(row=row, report=report, write=False)
    settled = settle([(case, verdict)], situation(applies))
    assert settled.change_set("main", VIEW).is_empty
    assert settled.verified == list(agreed) == [with_report(row, report)] == agreed[:]
    assert agreed[0] == settled.verified[0]


def test_a_row_that_the_view_shows_unchanged_agrees_until_it_is_due() -> None:
    for verified_ms, agrees in ((VIEW, 1), (VIEW - 59_999, 1), (VIEW - 60_000, 0), (VIEW + 1, 0)):
        row = msgspec.structs.replace(SEEN, verified_as_of_ms=verified_ms)
        found, undecided = agree({KEY: row}, {KEY: SHOWN}, as_of_ms=VIEW, refresh_after_ms=60_000, doubtful=())
        assert (len(found), len(undecided)) == (agrees, 1 - agrees)


def test_a_key_of_which_something_else_is_known_is_decided() -> None:
    found, undecided = agree({KEY: SEEN}, {KEY: SHOWN}, as_of_ms=VIEW, refresh_after_ms=60_000, doubtful={KEY})
    assert (len(found), undecided) == (0, [KEY])
