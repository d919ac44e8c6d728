"""What really happened on the simulated venue, as lifecycles: built from the world's own executions and from nothing else.

1. A lifecycle is one opening of a position slot until it is flat. A fill that crosses zero ends one and begins the next; its
   fee is shared by quantity.
2. Amounts are the world's exact ones; nothing of the engine's code is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from trueup.sim.world.ids import uuid_text
from trueup.sim.world.types import ConditionalKind, ExecType, Fill, Leg, Side

if TYPE_CHECKING:
    from trueup.sim.world import World

__all__ = ["Lifecycle", "Truth"]

ZERO = Decimal(0)
_BY_KIND = {
    ConditionalKind.STOP: "stop_loss",
    ConditionalKind.TAKE_PROFIT: "take_profit",
    ConditionalKind.TRAILING_STOP: "trailing_stop",
}
_BY_EXECUTION = {
    ExecType.LIQUIDATION: "liquidation",
    ExecType.ADL: "adl",
    ExecType.SETTLEMENT: "settlement",
}


@dataclass
class Lifecycle:
    """One opening until flat. Amounts as in the world: `pnl` gross, fees positive = paid, funding positive = received.

    Attributes:
        opened_ms, closed_ms: Venue time; `closed_ms` None while it is open.
        opened: Total quantity that was opened. `closed`: that was closed so far.
        shares_payment: Funding was paid in the very millisecond of its beginning or end: no venue states whose it was.
    """

    account: str
    symbol: str
    leg: Leg
    side: Side
    opened_ms: int
    opened: Decimal = ZERO
    closed: Decimal = ZERO
    pnl: Decimal = ZERO
    fees: dict[str, Decimal] = field(default_factory=dict)
    funding: Decimal = ZERO
    closed_ms: int | None = None
    reason: str | None = None
    closing_client_id: str = ""
    fills: list[Fill] = field(default_factory=list)
    shares_payment: bool = False

    @property
    def name(self) -> str:
        side = "long" if self.side is Side.BUY else "short"
        return f"{self.account} {self.symbol} {side}"

    @property
    def closing_ids(self) -> tuple[str, ...]:
        """The id of the order of its last fill, as either venue writes it."""
        order_id = self.fills[-1].order_id or 0
        return str(order_id), uuid_text(order_id)

    @property
    def open_quantity(self) -> Decimal:
        return self.opened - self.closed

    def pay(self, asset: str, fee: Decimal) -> None:
        self.fees[asset] = self.fees.get(asset, ZERO) + fee


class Truth:
    """Follows the world's executions; ask it after every happening."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._read: dict[str, int] = {}
        self._open: dict[tuple[str, str, Leg], Lifecycle] = {}
        self.lifecycles: dict[tuple[str, str, Side], list[Lifecycle]] = {}
        """By account, unified symbol and side; oldest first."""

    def update(self) -> None:
        """Takes in what was executed since the last time."""
        for spec in self._world.accounts():
            rows = self._world.look(spec.name).account.executions
            place = self._read.get(spec.name, 0)
            for fill in rows[place:]:
                self._take(fill)
            self._read[spec.name] = len(rows)
            if len(rows) != place:
                self._share(spec.name, {fill.at_ms for fill in rows if fill.exec_type is ExecType.FUNDING})

    def _share(self, account: str, paid_ms: set[int]) -> None:
        for (owner, _, _), lives in self.lifecycles.items():
            for life in lives if owner == account else ():
                life.shares_payment = life.opened_ms in paid_ms or life.closed_ms in paid_ms

    def of(self, account: str, symbol: str, side: str) -> list[Lifecycle]:
        """The lifecycles of a key, oldest first. `side`: ``long`` or ``short``."""
        return self.lifecycles.get((account, symbol, Side.BUY if side == "long" else Side.SELL), [])

    def open_now(self) -> dict[tuple[str, str, str], Lifecycle]:
        """Every position that is open, by account, unified symbol and side."""
        return {
            (life.account, life.symbol, "long" if life.side is Side.BUY else "short"): life
            for life in self._open.values()
        }

    def _take(self, fill: Fill) -> None:
        venue = self._world.look(fill.account).spec.venue
        symbol = self._world.instrument(venue, fill.symbol).unified
        slot = (fill.account, symbol, fill.leg)
        life = self._open.get(slot)
        if fill.exec_type is ExecType.FUNDING:
            if life is not None:
                life.funding -= fill.fee
            return
        closing = fill.closed_quantity
        opening = fill.quantity - closing
        if closing and life is not None:
            life.closed += closing
            life.pnl += fill.realized_pnl
            life.pay(fill.fee_asset, fill.fee * closing / fill.quantity)
            life.fills.append(fill)
            if not life.open_quantity:
                life.closed_ms = fill.at_ms
                life.reason = _reason(fill)
                life.closing_client_id = fill.client_order_id
                del self._open[slot]
        if opening:
            life = self._open.get(slot)
            if life is None:
                life = Lifecycle(fill.account, symbol, fill.leg, fill.side, fill.at_ms)
                self._open[slot] = life
                self.lifecycles.setdefault((fill.account, symbol, fill.side), []).append(life)
            life.opened += opening
            life.pay(fill.fee_asset, fill.fee * opening / fill.quantity)
            life.fills.append(fill)


def _reason(fill: Fill) -> str:
    """Why a lifecycle ended, told by the order of its last fill."""
    found = _BY_EXECUTION.get(fill.exec_type)
    if found is not None:
        return found
    if fill.parent_kind is not None:
        return _BY_KIND[fill.parent_kind]
    return "manual" if fill.client_order_id.startswith("tu-close-") else "external"
