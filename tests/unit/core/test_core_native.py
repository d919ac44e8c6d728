"""What is to be set where the venue itself follows (numbers: invariants of core/native.py)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from protection_cases import instrument, report, row, stop

from trueup.core.native import is_native_of, native_stem, native_wish
from trueup.core.trailing import TrailingPolicy
from trueup.model.changes import RecordedOrder
from trueup.model.orders import OpenOrder, OrderKind, OrderList, OrderStatus, Side
from trueup.model.trailing import TrailingOrder

POLICY = TrailingPolicy(activation_percent=Decimal("1.55"), callback_percent=Decimal("0.5"))
TRAILING = OrderKind.TRAILING_STOP


def wish(
    side: Side, *orders: OpenOrder, mark: str = "100", quantity: str = "2", ours: bool = False
) -> TrailingOrder | None:
    recorded = [
        RecordedOrder(
            account="main",
            symbol=order.symbol,
            order_id=order.order_id,
            order_list=order.order_list,
            kind=order.kind,
            order_side=order.order_side,
            status=OrderStatus.OPEN,
            ours=ours,
            seen_at_ms=0,
        )
        for order in orders
    ]
    return native_wish(row(side), report(side, quantity, mark=mark), orders, recorded, POLICY, instrument())


def own(number: int, quantity: str) -> OpenOrder:
    return stop(f"n{number}", quantity, kind=TRAILING, client_id=f"{native_stem(row(Side.LONG))}-{number}")


@pytest.mark.parametrize(("side", "activation"), [(Side.LONG, "101.5"), (Side.SHORT, "98.5")])
def test_3_it_activates_no_later_than_asked_for(side: Side, activation: str) -> None:
    asked = wish(side)
    assert asked is not None
    assert asked.activation_price == asked.reference_price == Decimal(activation)
    assert (asked.quantity, asked.callback_percent) == (2, Decimal("0.5"))
    assert len(f"{asked.client_order_id}-19") <= 36


@pytest.mark.parametrize(("side", "mark"), [(Side.LONG, "101.5"), (Side.SHORT, "98.5"), (Side.LONG, "130")])
def test_4_where_the_activation_is_passed_it_follows_from_the_start(side: Side, mark: str) -> None:
    asked = wish(side, mark=mark)
    assert asked is not None
    assert (asked.activation_price, asked.reference_price) == (None, Decimal(mark))


def test_1_only_what_none_of_ours_covers_is_asked_for() -> None:
    assert wish(Side.LONG, own(0, "2")) is None
    assert wish(Side.LONG, own(0, "3")) is None
    more = wish(Side.LONG, own(0, "2"), quantity="5")
    assert more is not None
    assert more.quantity == 3
    last = wish(Side.LONG, own(0, "2"), quantity="2.5")
    assert last is not None
    assert last.quantity == Decimal("0.5")
    assert wish(Side.LONG, own(0, "2"), own(1, "3"), quantity="5") is None
    asked = wish(Side.LONG, stop("fixed"), stop("profit", kind=OrderKind.TAKE_PROFIT))
    assert asked is not None
    assert asked.quantity == 2


def test_2_a_users_own_is_respected() -> None:
    assert wish(Side.LONG, stop("theirs", "1", kind=TRAILING, client_id="bot-7")) is None
    assert wish(Side.LONG, own(0, "1"), stop("theirs", "1", kind=TRAILING, client_id="bot-7")) is None
    entry = stop("entry", "1", kind=TRAILING, client_id="bot-7", reduces=False)
    assert wish(Side.LONG, entry) is not None, "it may open one: it is no stop of this position"
    other = stop("other side", "1", kind=TRAILING, side=Side.SHORT)
    assert wish(Side.LONG, other) is not None


def test_2_an_attached_one_is_ours_only_if_it_was_recorded_so() -> None:
    attached = stop("attached", None, kind=TRAILING, order_list=OrderList.ATTACHED)
    assert wish(Side.LONG, attached) is None
    assert wish(Side.LONG, attached, ours=True) is None
    book = row(Side.LONG)
    assert not is_native_of(book, attached, [])


@pytest.mark.parametrize(
    ("order_id", "ours", "native"), [("attached", True, True), ("attached", False, False), ("another", True, False)]
)
def test_2_an_attached_one_is_known_by_the_record_of_that_very_order(order_id: str, ours: bool, native: bool) -> None:
    attached = stop("attached", None, kind=TRAILING, order_list=OrderList.ATTACHED)
    known = RecordedOrder(
        account="main",
        symbol=attached.symbol,
        order_id=order_id,
        order_list=OrderList.ATTACHED,
        kind=TRAILING,
        order_side=attached.order_side,
        status=OrderStatus.OPEN,
        ours=ours,
        seen_at_ms=0,
    )
    assert is_native_of(row(Side.LONG), attached, [known]) is native


@pytest.mark.parametrize(("entry", "activation"), [("100", "101.55"), (None, "203.1")])
def test_3_it_activates_by_the_rows_entry_price_else_by_the_venues(entry: str | None, activation: str) -> None:
    seen = report(Side.LONG, entry="200", mark="100")
    asked = native_wish(row(Side.LONG, entry=entry), seen, [], [], POLICY, instrument("0.01"))
    assert asked is not None
    assert asked.activation_price == Decimal(activation)


def test_one_of_an_earlier_lifecycle_or_of_another_book_is_not_ours() -> None:
    book = row(Side.LONG)
    assert not is_native_of(msgspec.structs.replace(book, created_at_ms=5), own(0, "2"), [])
    assert not is_native_of(row(Side.LONG, position_id=70), own(0, "2"), [])


def test_without_a_price_nothing_is_asked_for() -> None:
    seen = msgspec.structs.replace(report(Side.LONG), mark_price=None)
    assert native_wish(row(Side.LONG), seen, [], [], POLICY, instrument()) is None
    seen = report(Side.LONG, entry=None)
    assert native_wish(row(Side.LONG, entry=None), seen, [], [], POLICY, instrument()) is None
