"""What a pass reports, and the exit code that follows (the contract's table, the first that applies)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trueup.model.errors import AccountMismatch, Transient, TrueupError, Unobserved
from trueup.model.events import EventType, Severity
from trueup.model.holds import HoldKind
from trueup.model.observations import PositionsSnapshot, Quarantined, SecondSurface, SurfaceVerdict
from trueup.model.orders import OrderKind, OrderSide, Side
from trueup.model.positions import AccountMode, Position, PositionKey
from trueup.model.reports import AccountReport, HeldReport, OrderReport, ProtectionReport, QuantityChange, SyncReport

POSITION = Position(
    position_id=1,
    account="main",
    venue="binanceusdm",
    symbol="BTC/USDT:USDT",
    written_symbol="BTCUSDT",
    side=Side.LONG,
    quantity=Decimal(1),
    opened_at_ms=0,
    created_at_ms=0,
    updated_at_ms=0,
)
ORDER = OrderReport(
    order_id="1", client_order_id=None, symbol="BTC/USDT:USDT", side=OrderSide.SELL, kind=OrderKind.STOP
)
CHANGE = QuantityChange(position=POSITION, previous_quantity=Decimal(2))
HELD = HeldReport(hold_id=1, kind=HoldKind.MASS_CLOSE, positions=(POSITION,), summary="")
ROW = Quarantined(symbol="X", problem="?")


def account(mode: AccountMode = AccountMode.SYNC, **more: object) -> AccountReport:
    values: dict[str, object] = {"account": "main", "venue": "binanceusdm", "mode": mode, "observed": True}
    return AccountReport(**(values | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (account(), 0),
        (account(verified=(POSITION,)), 0),
        (account(closed_phantom=(POSITION,), added_missing=(POSITION,), updated_quantity=(CHANGE,)), 0),
        (account(closed_phantom=(POSITION,), applied=False), 3),
        (account(added_missing=(POSITION,), applied=False), 3),
        (account(updated_quantity=(CHANGE,), applied=False), 3),
        (account(verified=(POSITION,), applied=False), 0),
        (account(suspected=(POSITION,)), 3),
        (account(held=(HELD,)), 3),
        (account(quarantined=(ROW,)), 3),
        (account(rejected=(ROW,)), 3),
        (account(protection=ProtectionReport(orphans=(ORDER,))), 3),
        (account(protection=ProtectionReport(cancelled=(ORDER,))), 0),
        (account(observed=False, error="503"), 4),
        (account(observed=False, suspected=(POSITION,)), 4),
        (account(AccountMode.PROTECT, unfinished_effects=1), 5),
        (account(AccountMode.PROTECT, unfinished_effects=1, observed=False), 5),
        (account(AccountMode.PROTECT, unprotected_overdue=True), 5),
        (account(AccountMode.PROTECT, unprotected_overdue=True, applied=False), 0),
        (account(AccountMode.SYNC, unprotected_overdue=True), 0),
        (account(failure=True, unfinished_effects=1), 1),
        (account(identity_error=True, failure=True, observed=False), 2),
    ],
)
def test_the_exit_code_of_an_account(report: AccountReport, code: int) -> None:
    assert report.exit_code == code


@pytest.mark.parametrize(
    ("reports", "code"),
    [
        ((), 0),
        ((account(), account(suspected=(POSITION,))), 3),
        ((account(suspected=(POSITION,)), account(observed=False)), 4),
        ((account(observed=False), account(AccountMode.PROTECT, unfinished_effects=1)), 5),
        ((account(AccountMode.PROTECT, unfinished_effects=1), account(failure=True)), 1),
        ((account(failure=True), account(identity_error=True)), 2),
    ],
)
def test_of_several_accounts_the_first_that_applies(reports: tuple[AccountReport, ...], code: int) -> None:
    assert SyncReport(started_at_ms=0, finished_at_ms=1, accounts=reports).exit_code == code


# observations


@pytest.mark.parametrize(
    ("surface", "verdict"),
    [
        (SecondSurface(account="main", as_of_ms=0), SurfaceVerdict.UNKNOWN),
        (SecondSurface(account="main", as_of_ms=0, any_position_margin=True), SurfaceVerdict.UNKNOWN),
        (SecondSurface(account="main", as_of_ms=0, any_position_margin=False), SurfaceVerdict.FLAT),
        (SecondSurface(account="main", as_of_ms=0, informative=True), SurfaceVerdict.FLAT),
        (
            SecondSurface(account="main", as_of_ms=0, open_keys=(("BTC/USDT:USDT", Side.LONG),)),
            SurfaceVerdict.OPEN,
        ),
        (
            SecondSurface(account="main", as_of_ms=0, informative=True, open_keys=(("BTC/USDT:USDT", Side.SHORT),)),
            SurfaceVerdict.FLAT,
        ),
    ],
)
def test_what_a_second_surface_says(surface: SecondSurface, verdict: SurfaceVerdict) -> None:
    assert surface.verdict("BTC/USDT:USDT", Side.LONG) is verdict


def test_what_a_snapshot_does_not_cover_is_unknown_not_absent() -> None:
    whole = PositionsSnapshot(account="main", as_of_ms=0, received_at_ms=1, reports=(), covered=("linear",))
    one = PositionsSnapshot(
        account="main", as_of_ms=0, received_at_ms=1, reports=(), covered=("linear",), symbol="BTC/USDT:USDT"
    )
    assert whole.covers("ETH/USDT:USDT")
    assert one.covers("BTC/USDT:USDT")
    assert not one.covers("ETH/USDT:USDT")


# small words


def test_a_key_is_its_plain_tuple_and_reads_well() -> None:
    assert POSITION.key == ("main", "BTC/USDT:USDT", Side.LONG)
    assert hash(POSITION.key) == hash(("main", "BTC/USDT:USDT", Side.LONG))
    assert str(PositionKey("main", "BTC/USDT:USDT", Side.SHORT)) == "main BTC/USDT:USDT short"


def test_sides_mirror() -> None:
    assert (Side.LONG.sign, Side.SHORT.sign) == (1, -1)
    assert (Side.LONG.opposite, Side.SHORT.opposite) == (Side.SHORT, Side.LONG)
    assert (Side.LONG.exit_side, Side.SHORT.exit_side) == (OrderSide.SELL, OrderSide.BUY)
    assert (OrderSide.BUY.sign, OrderSide.SELL.sign) == (1, -1)


def test_severities_are_ranked() -> None:
    assert sorted(Severity, key=lambda one: one.rank) == [
        Severity.INFO,
        Severity.WARNING,
        Severity.ERROR,
        Severity.CRITICAL,
    ]


def test_the_originals_event_types_keep_their_names() -> None:
    for name in (
        "PHANTOM_POSITION_DETECTED",
        "PHANTOM_POSITION_CLOSED",
        "TRAILING_STOP_REMOVED",
        "ORPHANED_SL_CLEANED",
        "POSITIONS_LOADED",
    ):
        assert EventType(name).value == name


def test_an_error_tells_what_where_and_the_mend() -> None:
    failed = Unobserved("positions linear USDC", "HTTP 503")
    assert str(failed) == "positions linear USDC: HTTP 503"
    assert isinstance(failed, Transient)
    assert isinstance(failed, TrueupError)
    foreign = AccountMismatch("main", "111", "222")
    assert "trueup accounts pin main --reset" in str(foreign)
    assert (foreign.pinned, foreign.found) == ("111", "222")
