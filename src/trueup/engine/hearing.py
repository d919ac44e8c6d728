"""What an account's stream has said since it came up, kept until it is decided on.

1. Between `StreamUp` and `StreamDown` nothing is missing; when the stream goes down all that was heard is forgotten, because what
   follows it is unknown until somebody looked.
2. Nothing here is a fact about the book: `core.heard` makes cases of it.
3. Bounded: of fills and orders the oldest are forgotten first, and then their symbol waits for a look.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from trueup.model.orders import Fill, OrderRecord, Side
from trueup.model.stream import StreamDown, StreamEvent, StreamFill, StreamOrder, StreamPosition, StreamUp

__all__ = ["Hearing"]

_FILLS = 5_000
_ORDERS = 2_000


class Hearing:
    """One account's stream, as far as it can prove something.

    Attributes:
        up_s: By our monotonic clock, since when nothing is missing; None: the stream is down.
        news: Symbols whose fills or slots changed since that was decided on: when the first came (monotonic), and how many.
    """

    def __init__(self) -> None:
        self.up_s: float | None = None
        self.news: dict[str, tuple[float, int]] = {}
        self._slots: dict[tuple[str, Side | None], StreamPosition] = {}
        self._fills: OrderedDict[tuple[str, str, str], Fill] = OrderedDict()
        self._orders: OrderedDict[tuple[str, str], OrderRecord] = OrderedDict()
        self._booked: set[tuple[str, str, str]] = set()

    def take(self, event: StreamEvent, at_s: float) -> None:
        """Keeps what the event proves. `at_s`: by our monotonic clock, when it came."""
        match event:
            case StreamUp():
                self._forget()
                self.up_s = at_s
            case StreamDown():
                self._forget()
            case StreamFill(fill=fill):
                self._fills[fill.symbol, fill.trade_id, fill.order_id] = fill
                self._bound()
                self._tell(fill.symbol, at_s)
            case StreamPosition():
                self._slot(event)
                self._tell(event.symbol, at_s)
            case StreamOrder():
                self._order(event, at_s)
            case _:
                pass

    def slots(self, symbol: str) -> tuple[StreamPosition, ...]:
        """The newest word on each slot of the symbol."""
        return tuple(slot for (name, _), slot in self._slots.items() if name == symbol)

    def fills(self, symbol: str) -> tuple[Fill, ...]:
        return tuple(fill for (name, _, _), fill in self._fills.items() if name == symbol)

    def orders(self, symbol: str) -> tuple[OrderRecord, ...]:
        return tuple(record for (name, _), record in self._orders.items() if name == symbol)

    def book(self, symbol: str, fills: Iterable[Fill]) -> None:
        """These fills are in the book."""
        self._booked.update((symbol, fill.trade_id, fill.order_id) for fill in fills)
        self._booked.intersection_update(self._fills)

    def is_booked(self, symbol: str) -> bool:
        """Whether all that was heard of the symbol is in the book, and it is flat: what still comes of it tells nothing new."""
        flat = all(slot.side is None for slot in self.slots(symbol))
        return flat and all(key in self._booked for key in self._fills if key[0] == symbol)

    def settle(self, symbol: str, count: int) -> None:
        """The symbol's first `count` news were decided on, or left to a look; later ones stand."""
        if self.news.get(symbol, (0.0, 0))[1] == count:
            self.news.pop(symbol, None)

    def _tell(self, symbol: str, at_s: float) -> None:
        first_s, count = self.news.get(symbol, (at_s, 0))
        self.news[symbol] = (first_s, count + 1)

    def _slot(self, told: StreamPosition) -> None:
        """An older word that comes late does not replace a newer one."""
        known = self._slots.get((told.symbol, told.leg))
        if known is None or _order_of(known) <= _order_of(told):
            self._slots[told.symbol, told.leg] = told

    def _order(self, event: StreamOrder, at_s: float) -> None:
        """A conditional order that became another tells that one's nature, whichever of the two is heard first."""
        record = event.record
        known = self._orders.get((record.symbol, record.order_id))
        if known is None or known.parent_order_id is None:
            self._orders[record.symbol, record.order_id] = record
        became = event.became
        if became is not None:
            self._orders[became.symbol, became.order_id] = became
            if became.symbol in {name for name, _, _ in self._fills}:
                self._tell(became.symbol, at_s)
        while len(self._orders) > _ORDERS:
            self._orders.popitem(last=False)

    def _bound(self) -> None:
        while len(self._fills) > _FILLS:
            (symbol, _, _), _ = self._fills.popitem(last=False)
            for key in [key for key in self._slots if key[0] == symbol]:
                del self._slots[key]

    def _forget(self) -> None:
        self.up_s = None
        self.news.clear()
        self._slots.clear()
        self._fills.clear()
        self._orders.clear()
        self._booked.clear()


def _order_of(slot: StreamPosition) -> tuple[int, int]:
    return slot.at_ms or 0, slot.sequence or 0
