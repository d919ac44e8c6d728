"""The little that Bybit remembers and the world does not.

1. Nothing here decides anything: it only completes what rows show.
"""

from __future__ import annotations

from trueup.sim.world.events import AccountChanged, WorldEvent
from trueup.sim.world.types import Leg
from trueup.sim.world.view import AccountView


class Memory:
    """Of one wire."""

    def __init__(self) -> None:
        self._first_used: dict[tuple[str, str, Leg], int] = {}
        self._close_on_trigger: set[int] = set()

    def happened(self, event: WorldEvent) -> None:
        """Notes first uses as they happen, so that they outlast the versions which the world forgets."""
        if isinstance(event, AccountChanged):
            for position in event.positions:
                if position.lifecycle == 1:
                    self._first_used.setdefault((event.account, position.symbol, position.leg), position.opened_ms)

    def first_used_ms(self, view: AccountView, symbol: str, leg: Leg) -> int:
        """When the slot was first used: its oldest version that was ever seen here."""
        key = (view.name, symbol, leg)
        known = self._first_used.get(key)
        if known is None:
            line = view.account.positions[(symbol, leg)]
            known = next(at_ms for at_ms, _ in line)
            self._first_used[key] = known
        return known

    def note_close_on_trigger(self, order_id: int) -> None:
        """An order that was asked for with `closeOnTrigger`."""
        self._close_on_trigger.add(order_id)

    def closes_on_trigger(self, order_id: int) -> bool:
        """Whether the order was asked for with `closeOnTrigger`."""
        return order_id in self._close_on_trigger
