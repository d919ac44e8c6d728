"""Why a lifecycle ended: told by the order behind its last closing fill, whoever placed it (lesson 19)."""

from __future__ import annotations

import msgspec
import pytest
from core_cases import BUY, HOUR, LONG, SELL, T0, decide_close, fill, record, row

from trueup.core.cases import KnownOrder
from trueup.core.lifecycles import trace_fills
from trueup.core.rebuild import exit_reason, orders_to_ask
from trueup.model.decimals import ZERO
from trueup.model.orders import Fill, FillKind, OrderKind, OrderRecord
from trueup.model.positions import ExitReason


def last(**more: object) -> Fill:
    return fill(SELL, "5", "110", T0 + HOUR, order="x", **more)  # type: ignore[arg-type]


def known(order_id: str = "x", kind: OrderKind = OrderKind.STOP, client: str | None = None) -> KnownOrder:
    return KnownOrder(order_id=order_id, client_order_id=client, kind=kind, ours=False)


@pytest.mark.parametrize(
    ("of_fill", "of_record", "orders", "reason"),
    [
        ({}, None, (), ExitReason.SYNC_CLEANUP),
        ({}, record("x", kind=OrderKind.MARKET), (), ExitReason.EXTERNAL),
        ({"by": "user"}, None, (), ExitReason.EXTERNAL),
        ({}, None, (known(kind=OrderKind.LIMIT),), ExitReason.EXTERNAL),
        ({}, record("x", kind=OrderKind.STOP), (), ExitReason.STOP_LOSS),
        ({}, record("x", kind=OrderKind.TAKE_PROFIT), (), ExitReason.TAKE_PROFIT),
        ({}, record("x", kind=OrderKind.TRAILING_STOP), (), ExitReason.TRAILING_STOP),
        ({"order_kind": OrderKind.TRAILING_STOP}, None, (), ExitReason.TRAILING_STOP),
        ({"by": "take_profit"}, None, (), ExitReason.TAKE_PROFIT),
        ({}, None, (known(kind=OrderKind.STOP),), ExitReason.STOP_LOSS),
        ({"client": "tu-close-9"}, record("x", kind=OrderKind.MARKET), (), ExitReason.MANUAL),
        ({}, record("x", kind=OrderKind.MARKET, client="tu-close-9"), (), ExitReason.MANUAL),
        ({}, None, (known(kind=OrderKind.MARKET, client="tu-close-9"),), ExitReason.MANUAL),
        ({}, record("x", kind=OrderKind.MARKET, parent_client="tu-close-9"), (), ExitReason.MANUAL),
        ({"client": "tu-sl-9"}, record("x", kind=OrderKind.MARKET), (), ExitReason.EXTERNAL),
        ({}, record("x", kind=OrderKind.MARKET, parent="s1"), (known("s1"),), ExitReason.STOP_LOSS),
        ({}, record("x", kind=OrderKind.OTHER, by="liquidation"), (), ExitReason.LIQUIDATION),
        ({}, record("x", kind=OrderKind.OTHER, by="adl"), (), ExitReason.ADL),
        ({}, record("x", kind=OrderKind.OTHER, by="settlement"), (), ExitReason.SETTLEMENT),
        ({"kind": FillKind.ADL}, record("x", kind=OrderKind.STOP, by="user"), (known(),), ExitReason.ADL),
        ({"by": "liquidation", "client": "tu-close-9"}, None, (), ExitReason.LIQUIDATION),
    ],
)
def test_reason(
    of_fill: dict[str, object], of_record: OrderRecord | None, orders: tuple[KnownOrder, ...], reason: ExitReason
) -> None:
    assert exit_reason(last(**of_fill), of_record, orders) is reason


@pytest.mark.parametrize(
    ("activated", "client", "reason"),
    [
        (True, "tu-sl-1-abc-0", ExitReason.TRAILING_STOP),
        (False, "tu-sl-1-abc-0", ExitReason.STOP_LOSS),
        (True, "my-own-stop", ExitReason.STOP_LOSS),
        (True, None, ExitReason.STOP_LOSS),
    ],
)
def test_a_stop_of_ours_that_followed_the_price_is_a_trailing_stop(
    activated: bool, client: str | None, reason: ExitReason
) -> None:
    own = msgspec.structs.replace(row(), trailing_activated=activated)
    told = [
        exit_reason(last(client=client, by="stop_loss"), None, (), own),
        exit_reason(last(), record("x", kind=OrderKind.MARKET, parent_client=client, by="stop_loss"), (), own),
        exit_reason(last(), None, (known(client=client),), own),
    ]
    assert told == [reason] * 3
    assert exit_reason(last(client=client, by="stop_loss"), None, ()) is ExitReason.STOP_LOSS


def test_another_orders_nature_does_not_rub_off() -> None:
    assert exit_reason(last(), None, (known("other"),)) is ExitReason.SYNC_CLEANUP


def test_the_last_closing_fill_tells() -> None:
    fills = [
        fill(BUY, "5", "100", T0, closed="0"),
        fill(SELL, "3", "110", T0 + 1, closed="3", by="take_profit"),
        fill(SELL, "2", "90", T0 + 2, closed="2", by="stop_loss"),
    ]
    assert decide_close(row(), fills).details.exit_reason is ExitReason.STOP_LOSS


def test_only_orders_that_neither_fill_nor_store_tell_are_asked_for() -> None:
    fills = [
        fill(BUY, "1", "100", T0),
        fill(SELL, "1", "101", T0 + 1, order="unknown"),
        fill(BUY, "1", "100", T0 + 2),
        fill(SELL, "1", "101", T0 + 3, order="known"),
        fill(BUY, "1", "100", T0 + 4),
        fill(SELL, "1", "101", T0 + 5, order="told", by="user"),
        fill(BUY, "1", "100", T0 + 6),
        fill(SELL, "1", "101", T0 + 7, order="bust", kind=FillKind.LIQUIDATION),
    ]
    segments = trace_fills(fills, LONG, leg=ZERO, net=ZERO).segments
    assert len(segments) == 4
    assert orders_to_ask(segments, (known("known"),)) == ("unknown",)
