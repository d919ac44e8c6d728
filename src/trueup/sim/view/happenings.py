"""What happens in the world, told in short sentences: fills, stops, money, faults, streams.

1. Bounded: the newest lines only.
2. Prices are not told, they are shown; everything else that changes an account is told once.
3. Telling changes nothing: a listener of the world that only writes words.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

from trueup.sim.faults import Fault, Planned
from trueup.sim.front import Front, StreamGate
from trueup.sim.view.words import amount_text, price_text
from trueup.sim.world import World
from trueup.sim.world.events import (
    AccountChanged,
    ChangeReason,
    ConditionalChanged,
    ListenKeysExpired,
    MarginCalled,
    OrderChanged,
    PriceChanged,
    SettingsChanged,
    StreamsCut,
    WorldEvent,
)
from trueup.sim.world.types import (
    ConditionalOrder,
    ConditionalStatus,
    ExecType,
    Fill,
    InstrumentSpec,
    Order,
    OrderStatus,
    OrderType,
    Price,
    Side,
)

KEPT = 300
_FORCED = {ExecType.LIQUIDATION: "liquidation: ", ExecType.ADL: "ADL: ", ExecType.SETTLEMENT: "settlement: "}
_ENDED = (OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED)
_MONEY = {ChangeReason.FUNDING: "funding", ChangeReason.TRANSFER: "transfer", ChangeReason.MARGIN: "margin"}


@dataclass(frozen=True, slots=True)
class Happening:
    """One line. `who` is an account, `scenario`, `fault` or `stream`; `number` counts from 1."""

    number: int
    at_ms: int
    who: str
    text: str


class Happenings:
    """Listens to a front and keeps what was told."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._lines: deque[Happening] = deque(maxlen=KEPT)
        self._number = 0
        self._gates: dict[int, StreamGate] = {id(gate): gate for gate in front.gates}
        self._faults = {planned.fault_id: planned.spent for planned in front.faults.planned()}
        self._last: dict[tuple[str, str], Price] = {}
        self.moves: dict[tuple[str, str], int] = {}
        """By venue and symbol: +1 when the last price rose at its latest change, -1 when it fell."""
        front.world.subscribe(self._hear)

    def since(self, number: int) -> list[Happening]:
        """The kept lines after that number, oldest first."""
        return [line for line in self._lines if line.number > number]

    def tell(self, who: str, text: str) -> None:
        """Adds a line now."""
        self._number += 1
        self._lines.append(Happening(self._number, self._front.world.now_ms(), who, text))

    def look(self) -> None:
        """Tells the streams that opened or ended, and the faults that came, went or are spent, since the last look."""
        gates = {id(gate): gate for gate in self._front.gates}
        for key, gate in gates.items():
            if key not in self._gates:
                self.tell("stream", f"{gate.session.path} opened")
        for key, gate in self._gates.items():
            if key not in gates:
                who = gate.session.account
                self.tell("stream", f"{gate.session.path} ended{f', of {who}' if who else ''}, {gate.sent} sent")
        self._gates = gates
        planned = {each.fault_id: each for each in self._front.faults.planned()}
        for fault_id, each in planned.items():
            if fault_id not in self._faults:
                self.tell("fault", f"{fault_id}: {fault_text(each.fault)}")
            if each.spent and not self._faults.get(fault_id, False):
                self.tell("fault", f"{fault_id}: spent, {hits_text(each)}")
        for fault_id in self._faults.keys() - planned.keys():
            self.tell("fault", f"{fault_id}: taken away")
        self._faults = {fault_id: each.spent for fault_id, each in planned.items()}

    def _hear(self, event: WorldEvent) -> None:
        world = self._front.world
        if isinstance(event, PriceChanged):
            self._priced(event)
        elif isinstance(event, OrderChanged):
            text = _order_text(world, event)
            if text is not None:
                self.tell(event.account, text)
        elif isinstance(event, ConditionalChanged):
            text = _conditional_text(world, event)
            if text is not None:
                self.tell(event.account, text)
        elif isinstance(event, AccountChanged):
            self._account_changed(event)
        elif isinstance(event, SettingsChanged):
            self.tell(event.account, _settings_text(event))
        elif isinstance(event, MarginCalled):
            self.tell(event.account, f"margin call: {', '.join(p.symbol for p in event.positions)}")
        elif isinstance(event, ListenKeysExpired):
            self.tell(event.account or "all accounts", "listen keys expire")
        elif isinstance(event, StreamsCut):
            self.tell(event.account or "all accounts", "streams are cut")

    def _priced(self, event: PriceChanged) -> None:
        key = (event.venue, event.symbol)
        before = self._last.get(key)
        self._last[key] = event.price
        if before is not None and before.last != event.price.last:
            self.moves[key] = 1 if event.price.last > before.last else -1

    def _account_changed(self, event: AccountChanged) -> None:
        word = _MONEY.get(event.reason)
        if word is None:
            return
        where = ", ".join(dict.fromkeys(p.symbol for p in event.positions))
        money = ", ".join(f"{_signed(b.change)} {b.asset}" for b in event.balances)
        self.tell(event.account, " ".join(part for part in (word, where, money) if part))


def fault_text(fault: Fault) -> str:
    """Its kind and scope in one line."""
    scope = [str(fault.kind)]
    scope += [text for text in (fault.venue, fault.method, fault.path) if text]
    scope += [f"{name}={pattern}" for name, pattern in fault.query.items()]
    scope += [f"of {fault.account}"] if fault.account else []
    scope += [f"matching {fault.text!r}"] if fault.text else []
    return " ".join(scope)


def hits_text(planned: Planned) -> str:
    """How often it struck, of how often it may."""
    count = planned.fault.count
    of = "" if count is None else f" of {count}"
    return f"hit {planned.hits}{of}"


def _signed(amount: Decimal) -> str:
    return f"{'+' if amount > 0 else ''}{amount_text(amount)}"


def _side(side: Side) -> str:
    return "buys" if side is Side.BUY else "sells"


def _order_text(world: World, event: OrderChanged) -> str | None:
    """None for what needs no telling: a market order on its way to its fill."""
    order = event.order
    spec = world.instrument(event.venue, order.symbol)
    if event.fill is not None:
        return _fill_text(event.fill, spec)
    if order.status in _ENDED:
        reason = f" ({order.end_reason})" if order.end_reason is not None else ""
        return f"order {order.order_id} {order.status}: {_order_words(order, spec)}{reason}"
    if order.type is OrderType.MARKET:
        return None
    word = "changed" if event.amended else "rests"
    return f"order {order.order_id} {word}: {_order_words(order, spec)}"


def _order_words(order: Order, spec: InstrumentSpec) -> str:
    at = f" at {price_text(order.price, spec)}" if order.price is not None else ""
    return f"{order.type} {order.side} {amount_text(order.quantity)} {order.symbol}{at}"


def _fill_text(fill: Fill, spec: InstrumentSpec) -> str:
    held = fill.position_after
    after = "flat" if not held else f"{'long' if held > 0 else 'short'} {amount_text(abs(held))}"
    gain = f", {_signed(fill.realized_pnl)} {spec.settle}" if fill.closed_quantity else ""
    what = f"{_side(fill.side)} {amount_text(fill.quantity)} {fill.symbol} at {price_text(fill.price, spec)}"
    return f"{_FORCED.get(fill.exec_type, '')}{what}, now {after}{gain}"


def _conditional_text(world: World, event: ConditionalChanged) -> str | None:
    order = event.order
    spec = world.instrument(event.venue, order.symbol)
    words = conditional_words(order, spec)
    if order.status is ConditionalStatus.NEW:
        return f"{words} changed" if event.amended else f"{words} waits"
    if order.status is ConditionalStatus.FINISHED:
        return None
    reason = f" ({order.end_reason})" if order.end_reason is not None else ""
    return f"{words} {order.status}{reason}"


def conditional_words(order: ConditionalOrder, spec: InstrumentSpec) -> str:
    """What it is and when it triggers."""
    size = "all" if order.quantity is None else amount_text(order.quantity)
    at = "" if order.trigger_price is None else f" at {order.trigger_by} {price_text(order.trigger_price, spec)}"
    return f"{str(order.kind).replace('_', ' ')} {order.side} {size} {order.symbol}{at}"


def _settings_text(event: SettingsChanged) -> str:
    if event.symbol is None or event.settings is None:
        return f"position mode is {str(event.mode).replace('_', '-')}"
    return f"{event.symbol}: leverage {amount_text(event.settings.leverage)}, {event.settings.margin_mode} margin"
