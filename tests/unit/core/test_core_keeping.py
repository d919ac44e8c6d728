"""What the store keeps of a stop that was placed, and how its numbers are told."""

from __future__ import annotations

import msgspec
from core_cases import T0
from protection_cases import own

from trueup.core.keeping import order_words, placed_record


def test_a_placed_stop_is_recorded_as_ours_and_of_its_lifecycle() -> None:
    order = own("9", trigger="95")
    record = placed_record("main", order, 7, T0)
    assert (record.closing, record.ours, record.position_id, record.seen_at_ms) == (True, True, 7, T0)
    assert (record.order_id, record.trigger_price, record.quantity) == (
        order.order_id,
        order.trigger_price,
        order.quantity,
    )


def test_an_order_is_told_with_its_trigger_and_quantity_as_far_as_it_has_them() -> None:
    assert order_words(own("9", "0.0000001", "95.1")) == {"trigger_price": "95.1", "quantity": "0.0000001"}
    whole = msgspec.structs.replace(own("9", None), trigger_price=None)
    assert order_words(whole) == {"trigger_price": None, "quantity": None}
