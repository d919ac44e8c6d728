"""Everything that the screen shows at one instant, taken from the served venue as plain texts and numbers.

1. Taking it changes nothing, and costs the same with ten accounts as with a thousand: only those that are shown are
   looked at.
2. A thousand accounts: those that did something come first, the rest are counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from trueup.sim.faults import Planned
from trueup.sim.journal import Asked
from trueup.sim.server import VenueServer
from trueup.sim.view.happenings import Happening, Happenings
from trueup.sim.world import AccountView
from trueup.sim.world.account import AccountSpec
from trueup.sim.world.types import ConditionalOrder, InstrumentSpec, Order, Position, PositionMode, Price, Venue

ACCOUNTS_SHOWN = 12
ROWS_SHOWN = 200
_VENUES: tuple[Venue, ...] = ("binance", "bybit")


@dataclass(frozen=True, slots=True)
class PriceRow:
    """`move`: +1 after a rise, -1 after a fall, 0 before the first change."""

    spec: InstrumentSpec
    price: Price
    move: int


@dataclass(frozen=True, slots=True)
class AccountRow:
    """`money`: wallet and unrealized PnL by settle asset."""

    spec: AccountSpec
    mode: PositionMode
    money: tuple[tuple[str, Decimal, Decimal], ...]
    positions: int
    orders: int
    streams: int
    requests: int


@dataclass(frozen=True, slots=True)
class PositionRow:
    """A position with what follows from the mark price, in the settle asset."""

    spec: InstrumentSpec
    position: Position
    mark: Decimal
    unrealized: Decimal
    liquidation: Decimal | None


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An open order, or a conditional one that waits."""

    spec: InstrumentSpec
    order: Order | ConditionalOrder


@dataclass(frozen=True, slots=True)
class StreamRow:
    path: str
    account: str | None
    sent: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`now_ms` is venue time, `up_s` how long it has been served, `accounts_total` how many accounts there are."""

    now_ms: int
    up_s: int
    rest_url: str
    ws_url: str
    control_url: str
    requests_total: int
    per_second: float
    accounts_total: int
    prices: tuple[PriceRow, ...]
    accounts: tuple[AccountRow, ...]
    positions: tuple[PositionRow, ...]
    orders: tuple[OrderRow, ...]
    faults: tuple[Planned, ...]
    streams: tuple[StreamRow, ...]
    requests: tuple[Asked, ...]
    happenings: tuple[Happening, ...]


def take(server: VenueServer, happenings: Happenings, up_s: int) -> Snapshot:
    """The venue now."""
    world, journal = server.world, server.front.journal
    specs = world.accounts()
    shown = _shown(specs, server)
    views = [world.look(spec.name) for spec in shown]
    return Snapshot(
        now_ms=world.now_ms(),
        up_s=up_s,
        rest_url=server.rest_url,
        ws_url=server.ws_url,
        control_url=server.control_url,
        requests_total=journal.total,
        per_second=journal.per_second(world.now_ms()),
        accounts_total=len(specs),
        prices=tuple(_prices(server, happenings)),
        accounts=tuple(_account(view, server) for view in views),
        positions=tuple(islice(_positions(views), ROWS_SHOWN)),
        orders=tuple(islice(_orders(views), ROWS_SHOWN)),
        faults=tuple(server.front.faults.planned()),
        streams=tuple(
            StreamRow(gate.session.path, gate.session.account, gate.sent)
            for gate in islice(server.front.gates, ROWS_SHOWN)
        ),
        requests=tuple(journal.latest(ROWS_SHOWN)),
        happenings=tuple(happenings.since(0)),
    )


def _shown(specs: list[AccountSpec], server: VenueServer) -> list[AccountSpec]:
    """Those with streams or requests first, in order of creation; the order of rows never jumps while all fit."""
    if len(specs) <= ACCOUNTS_SHOWN:
        return specs
    busy = {gate.session.account for gate in server.front.gates} | server.front.journal.by_account.keys()
    chosen = list(islice((spec for spec in specs if spec.name in busy), ACCOUNTS_SHOWN))
    rest = islice((spec for spec in specs if spec.name not in busy), ACCOUNTS_SHOWN - len(chosen))
    return [*chosen, *rest]


def _prices(server: VenueServer, happenings: Happenings) -> Iterable[PriceRow]:
    for venue in _VENUES:
        for spec in server.world.instruments(venue):
            price = server.world.price(venue, spec.symbol)
            yield PriceRow(spec, price, happenings.moves.get((venue, spec.symbol), 0))


def _account(view: AccountView, server: VenueServer) -> AccountRow:
    held = view.positions()
    settled = dict.fromkeys(view.instrument(position.symbol).settle for position in held)
    assets = [asset for asset, amount in view.wallets().items() if amount or asset in settled]
    name = view.name
    return AccountRow(
        spec=view.spec,
        mode=view.mode,
        money=tuple((asset, view.wallet(asset), _unrealized(view, asset)) for asset in assets),
        positions=len(held),
        orders=len(view.open_orders()) + len(view.open_conditionals()),
        streams=sum(1 for gate in server.front.gates if gate.session.account == name),
        requests=server.front.journal.by_account.get(name, 0),
    )


def _unrealized(view: AccountView, asset: str) -> Decimal:
    return view.margin(asset).unrealized_pnl


def _positions(views: Iterable[AccountView]) -> Iterable[PositionRow]:
    for view in views:
        for position in view.positions():
            risk = view.risk(position)
            spec = view.instrument(position.symbol)
            yield PositionRow(spec, position, risk.mark, risk.unrealized_pnl, risk.liquidation_price)


def _orders(views: Iterable[AccountView]) -> Iterable[OrderRow]:
    for view in views:
        orders: list[Order | ConditionalOrder] = [*view.open_conditionals(), *view.open_orders()]
        for order in orders:
            yield OrderRow(view.instrument(order.symbol), order)
