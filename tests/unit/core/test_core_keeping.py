"""What the store keeps of a stop that was placed."""

from __future__ import annotations

from core_cases import T0
from protection_cases import own

from trueup.core.keeping import placed_record


def test_a_placed_stop_is_recorded_as_ours_and_of_its_lifecycle() -> None:
    order = own("9", trigger="95")
    record = placed_record("main", order, 7, T0)
    assert (record.closing, record.ours, record.position_id, record.seen_at_ms) == (True, True, 7, T0)
    assert (record.order_id, record.trigger_price, record.quantity) == (
        order.order_id,
        order.trigger_price,
        order.quantity,
    )
