"""Tells a position's story from the audit log: one step a change, in order, with what it was decided on."""

from __future__ import annotations

from trueup.model.errors import ConfigurationError
from trueup.model.events import Event, EventType
from trueup.model.reports import ExplainedStep, Explanation
from trueup.ports import Store, StoredObservation

__all__ = ["LARGEST_ID", "explain_position"]

LARGEST_ID = 2**63 - 1
"""That a store's column holds: a larger number names nothing, and is not asked for."""

_WORDS = {
    EventType.MISSING_POSITION_ADDED: "The venue held it and the book did not: added to the book ({why}).",
    EventType.POSITION_VERIFIED: "Book and venue agree: {quantity} at {entry_price}.",
    EventType.QUANTITY_MISMATCH_DETECTED: "The quantity changed on the venue: {previous_quantity} → {quantity} ({why}).",
    EventType.ENTRY_PRICE_CORRECTED: "The entry price was corrected: {previous_entry_price} → {entry_price} ({why}).",
    EventType.POSITION_SUSPECTED: "A complete view did not confirm it; nothing was closed ({reason}).",
    EventType.SUSPICION_CLEARED: "It was seen again: the suspicion is over.",
    EventType.PHANTOM_POSITION_DETECTED: "A complete view of the venue no longer shows it.",
    EventType.PHANTOM_POSITION_CLOSED: "The row was closed, because the venue does not hold it any more.",
    EventType.POSITION_CLOSED: (
        "Closed at {exit_price} ({exit_reason}), gross PnL {realized_pnl} {settle_asset}; evidence {evidence}: {why}."
    ),
    EventType.CLOSED_ON_ABSENCE: "No fill proves this close: absence was confirmed by time, or accepted by a person ({why}).",
    EventType.CLOSE_AMENDED: "Better evidence came later: the close was amended.",
    EventType.TRAILING_STOP_REMOVED: "Its trailing stop is followed no more.",
    EventType.TRAILING_STOP_ACTIVATED: "Its stop follows the price from here: peak {peak_price}, stop at {trigger_price}.",
    EventType.TRAILING_STOP_TRIGGERED: "The price was seen at or beyond its trailing stop {trigger_price} (peak {peak_price}).",
    EventType.TRAILING_STOP_SET: "The venue follows it from here: {callback_percent} % behind, active from {activation_price}.",
    EventType.TRAILING_STOP_FAILED: "The venue sets no trailing stop: {problem}.",
    EventType.ORPHANED_SL_CLEANED: "Its order {order_id} ({order_type}) is gone from the venue.",
    EventType.ORPHANED_SL_KEPT: "Order {order_id} was left alone: {why}.",
    EventType.CLEANUP_FAILED: "Order {order_id} could not be cancelled yet; it will be tried again ({problem}).",
    EventType.EFFECT_ESCALATED: "The cancel of order {order_id} used up a pass's attempts; later passes go on trying.",
    EventType.HOLD_RAISED: "Waits for a person ({kind}): {summary}",
    EventType.HOLD_APPROVED: "Hold {hold_id} was approved by a person and carried out.",
    EventType.HOLD_REJECTED: "A person rejected hold {hold_id}.",
    EventType.HOLD_WITHDRAWN: "Hold {hold_id} is withdrawn: nothing supports it any more.",
    EventType.CLOSE_REQUESTED: "A close at market was asked for. {note}",
    EventType.CLOSE_SENT: "The close at market: {outcome}.",
    EventType.CLOSE_FAILED: "The close at market is not carried out yet: {outcome}.",
    EventType.POSITION_UNPROTECTED: "It is open and has no live stop for its full quantity.",
    EventType.POSITION_PROTECTED: "It has live stops for its full quantity again; it had been seen without for {seconds} s.",
    EventType.STOP_PLACED: "A stop at {trigger_price} was placed and is seen on the venue: order {order_id}.",
    EventType.STOP_SWEPT: "Its stop {order_id} is not needed any more and is gone from the venue.",
    EventType.STOP_FAILED: "The stop at {trigger_price} could not be placed ({reason}): {problem}",
}


async def explain_position(store: Store, position_id: int) -> Explanation:
    """Every step of a position.

    Raises:
        ConfigurationError: The book has no such position.
    """
    position = await store.position(position_id) if position_id <= LARGEST_ID else None
    if position is None:
        raise ConfigurationError(
            f"position {position_id}: the book has none under that number; list them with: trueup positions --status all"
        )
    observations = await store.observations_of(position_id)
    steps = [_step(event, observations) for event in await store.events(position_id=position_id)]
    return Explanation(position=position, steps=tuple(steps))


def _step(event: Event, observations: list[StoredObservation]) -> ExplainedStep:
    data = dict(event.data)
    decided = next((seen for seen in observations if seen.at_ms == event.at_ms), None)
    if decided is not None:
        data["observation_id"] = decided.observation_id
    return ExplainedStep(
        at_ms=event.at_ms, type=event.type, severity=event.severity.value, summary=_summary(event), data=data
    )


class _Blanks(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "unknown"


def _summary(event: Event) -> str:
    known = {kind.value for kind in EventType}
    words = _WORDS.get(EventType(event.type)) if event.type in known else None
    if words is None:
        return event.type.replace("_", " ").lower()
    shown = {key: "unknown" if value is None else value for key, value in event.data.items()}
    return words.format_map(_Blanks(shown)).strip()
