"""What the book says that an effect came to, held against the venue at the instant at which it is written.

1. A cancel that is done left no live order, unless it says that the order was kept.
2. An order too young to be in answers that are seconds old is not asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from trueup.model.effects import CancelOrder, EffectKind, EffectState
from trueup.model.values import from_json

if TYPE_CHECKING:
    from trueup.model.effects import Effect, EffectUpdate
    from trueup.sim.world import World

__all__ = ["false_claims"]

_YOUNG_MS = 30_000


def false_claims(
    world: World, updates: Iterable[tuple[Effect, EffectUpdate]], wire_id: Callable[[str, int], str]
) -> Iterator[str]:
    """Each claim that is not so, in words.

    Args:
        updates: Effects with what is written about them.
        wire_id: An account's order as its venue writes it to us.
    """
    for effect, update in updates:
        outcome = update.outcome or ""
        gone = outcome == "cancelled" or outcome.startswith("already gone")
        if effect.kind is not EffectKind.CANCEL_ORDER or update.state is not EffectState.DONE or not gone:
            continue
        order_id = from_json(effect.payload, CancelOrder).order_id
        view = world.look(effect.account)
        live = [(order.conditional_id, order.created_ms) for order in view.open_conditionals()]
        live += [(order.order_id, order.created_ms) for order in view.open_orders()]
        for number, created_ms in live:
            if wire_id(effect.account, number) == order_id and created_ms < world.now_ms() - _YOUNG_MS:
                yield f"effect {effect.effect_id} says of order {order_id} that it is {outcome!r}, and it is live"
