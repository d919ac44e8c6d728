"""Random true histories of one instrument: what happened, told independently of the core, and the fills that a venue shows of it.

Truth is a plain walk forward from flat with exact rationals; the core walks backward from what the venue shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from fractions import Fraction

from hypothesis import strategies as st

from trueup.core.cases import AdoptionPolicy, Case, History, Policy
from trueup.model.instruments import ContractKind, Instrument
from trueup.model.observations import FillHistory, FundingHistory, OrderLookup, PositionReport
from trueup.model.orders import Fill, OrderSide, Side
from trueup.model.positions import Position, PositionKey

ACCOUNT = "main"
SYMBOL = "BTC/USDT:USDT"
T0 = 1_700_000_000_000
UNIT = Decimal("0.1")
TICK = Decimal("0.5")

INSTRUMENT = Instrument(
    venue="binanceusdm",
    symbol=SYMBOL,
    venue_symbol="BTCUSDT",
    category="linear",
    kind=ContractKind.PERPETUAL,
    base="BTC",
    quote="USDT",
    settle="USDT",
    contract_size=Decimal(1),
)
POLICY = Policy(
    adoption=AdoptionPolicy(what="adopt"), new_row_grace_ms=60_000, confirm_after_ms=30_000, confirm_snapshots=2
)


class Form(Enum):
    """How the venue tells its fills."""

    BINANCE_ONE_WAY = "binance one-way"
    BYBIT_ONE_WAY = "bybit one-way"
    BINANCE_HEDGE = "binance hedge"
    BYBIT_HEDGE = "bybit hedge"

    @property
    def hedge(self) -> bool:
        return self in (Form.BINANCE_HEDGE, Form.BYBIT_HEDGE)

    @property
    def bybit(self) -> bool:
        return self in (Form.BYBIT_ONE_WAY, Form.BYBIT_HEDGE)


@dataclass
class TrueLifecycle:
    """One opening to flat. `cash` is what its fills brought in less what they cost, quote units."""

    side: Side
    opened_at_ms: int
    opening_trade: str
    opened: Decimal = Decimal(0)
    closed: Decimal = Decimal(0)
    cash: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    closed_at_ms: int | None = None
    cost: Fraction = Fraction(0)  # of what is open, by the average-cost rule
    stated: Decimal = Decimal(0)  # realized PnL that the venue has stated so far

    @property
    def left(self) -> Decimal:
        return self.opened - self.closed


@dataclass
class Truth:
    """What really happened on one instrument."""

    form: Form
    fills: list[Fill] = field(default_factory=list)
    lifecycles: list[TrueLifecycle] = field(default_factory=list)
    levels: list[tuple[int, dict[Side, Decimal]]] = field(default_factory=list)  # after each fill

    def level(self, side: Side, at_ms: int | None = None) -> Decimal:
        """Open quantity of that side after all fills up to then (inclusive)."""
        level = Decimal(0)
        for when, levels in self.levels:
            if at_ms is None or when <= at_ms:
                level = levels[side]
        return level

    def of(self, side: Side) -> list[TrueLifecycle]:
        return [one for one in self.lifecycles if one.side is side]

    def at(self, side: Side, at_ms: int) -> TrueLifecycle | None:
        """The lifecycle of that side that is open after all fills up to then."""
        for one in self.of(side):
            if one.opened_at_ms <= at_ms and (one.closed_at_ms is None or one.closed_at_ms > at_ms):
                return one
        return None

    @property
    def ends_at_ms(self) -> int:
        return self.fills[-1].at_ms if self.fills else T0


@dataclass(frozen=True)
class Step:
    buys: bool
    leg: Side
    units: int
    ticks: int
    gap_ms: int
    fee: int


def steps(*, gaps: tuple[int, ...]) -> st.SearchStrategy[list[Step]]:
    """Each step is one number, taken apart: cheap to draw, and it still shrinks."""

    def step(number: int) -> Step:
        number, buys = divmod(number, 2)
        number, leg = divmod(number, 2)
        number, units = divmod(number, 12)
        number, ticks = divmod(number, 100)
        fee, gap = divmod(number, len(gaps))
        return Step(
            buys=bool(buys),
            leg=list(Side)[leg],
            units=units + 1,
            ticks=ticks + 150,
            gap_ms=gaps[gap],
            fee=fee - 3,
        )

    return st.lists(st.integers(0, 2 * 2 * 12 * 100 * len(gaps) * 33 - 1).map(step), min_size=1, max_size=14)


@st.composite
def truths(draw: st.DrawFn, *, gaps: tuple[int, ...] = (0, 1, 2_000, 60_000, 3_600_000)) -> Truth:
    """A random true history of a random form."""
    form = draw(st.sampled_from(list(Form)))
    return play(form, draw(steps(gaps=gaps)))


def play(form: Form, script: list[Step]) -> Truth:
    truth, now = Truth(form), T0
    for number, step in enumerate(script, start=1):
        now += step.gap_ms
        _fill(truth, step, number, now)
    return truth


def _fill(truth: Truth, step: Step, number: int, now: int) -> None:
    quantity, price = step.units * UNIT, step.ticks * TICK
    bought = Side.LONG if step.buys else Side.SHORT
    if truth.form.hedge:
        side = step.leg
        if bought is not side:  # a leg's exit never opens the other leg
            quantity = min(quantity, truth.level(side))
            if quantity == 0:
                return
            closing, opening, closes = quantity, Decimal(0), side
        else:
            closing, opening, closes = Decimal(0), quantity, side
    else:
        closes = bought.opposite
        closing = min(quantity, truth.level(closes))
        opening = quantity - closing
    trade, fee = str(number), Decimal(step.fee) / 1000
    pnl = _close(truth, closes, closing, quantity, price, fee, now) if closing else Decimal(0)
    if opening:
        _open(truth, bought, opening, quantity, price, fee, now, trade)
    truth.levels.append((now, {side: sum((one.left for one in truth.of(side)), Decimal(0)) for side in Side}))
    form = truth.form
    truth.fills.append(
        Fill(
            symbol=SYMBOL,
            trade_id=trade,
            order_id=f"o{number}",
            order_side=OrderSide.BUY if step.buys else OrderSide.SELL,
            position_side=(step.leg if form is Form.BINANCE_HEDGE else None),
            quantity=quantity,
            price=price,
            value=quantity * price,
            fee=fee,
            fee_asset="USDT",
            realized_pnl=None if form.bybit else pnl,
            closed_quantity=closing if form.bybit else None,
            at_ms=now,
            sequence=number,
        )
    )


def _open(
    truth: Truth, side: Side, part: Decimal, whole: Decimal, price: Decimal, fee: Decimal, now: int, trade: str
) -> None:
    current = next((one for one in truth.of(side) if one.left), None)
    if current is None:
        current = TrueLifecycle(side=side, opened_at_ms=now, opening_trade=trade)
        truth.lifecycles.append(current)
    current.opened += part
    current.cash -= side.sign * part * price
    current.cost += Fraction(part) * Fraction(price)
    current.fees += fee if part == whole else fee - _share(fee, whole - part, whole)


def _close(truth: Truth, side: Side, part: Decimal, whole: Decimal, price: Decimal, fee: Decimal, now: int) -> Decimal:
    """Returns the realized PnL as a venue states it: to eight places, the last one the rest."""
    (current,) = [one for one in truth.of(side) if one.left]
    average = current.cost / Fraction(current.left)
    current.cash += side.sign * part * price
    current.cost -= average * Fraction(part)
    current.closed += part
    current.fees += fee if part == whole else _share(fee, part, whole)
    if current.left == 0:
        current.closed_at_ms = now
        pnl = current.cash - current.stated
    else:
        exact = side.sign * (Fraction(price) - average) * Fraction(part)
        pnl = Decimal(round(exact * 10**8)) / 10**8
    current.stated += pnl
    return pnl


def _share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    return (amount * part / whole).quantize(Decimal("1e-12"))


# cases


def report_of(truth: Truth, side: Side, at_ms: int | None = None) -> PositionReport | None:
    """What the venue shows of that side after all fills (up to then)."""
    quantity = truth.level(side, at_ms)
    if not quantity:
        return None
    changed = max(fill.at_ms for fill in truth.fills if at_ms is None or fill.at_ms <= at_ms)
    return PositionReport(
        symbol=SYMBOL,
        side=side,
        quantity=quantity,
        contract_size=Decimal(1),
        entry_price=_entry_price(truth, side),
        hedge=truth.form.hedge,
        updated_at_ms=changed,
    )


def _entry_price(truth: Truth, side: Side) -> Decimal:
    """Of what is open in the end, to eight places as a venue states it."""
    current = next((one for one in truth.of(side) if one.left), None)
    return Decimal(100) if current is None else Decimal(round(current.cost / Fraction(current.left) * 10**8)) / 10**8


def row_of(truth: Truth, side: Side, seen_ms: int, *, verified: bool = True) -> Position:
    """The row of the lifecycle that is open then; `verified`: by a view that speaks for that moment, else a bot's own."""
    lifecycle = truth.at(side, seen_ms)
    assert lifecycle is not None
    shown = report_of(truth, side, seen_ms)
    assert shown is not None
    return Position(
        position_id=7,
        version=1,
        account=ACCOUNT,
        venue="binanceusdm",
        symbol=SYMBOL,
        written_symbol=SYMBOL,
        side=side,
        quantity=shown.quantity,
        contract_size=Decimal(1),
        entry_price=_entry_price(truth, side) if lifecycle.closed_at_ms is None else Decimal(100),
        opened_at_ms=lifecycle.opened_at_ms if verified else seen_ms,
        created_at_ms=lifecycle.opened_at_ms if verified else seen_ms,
        updated_at_ms=seen_ms,
        venue_updated_at_ms=shown.updated_at_ms if verified else None,
        verified_as_of_ms=seen_ms + 1 if verified else None,
    )


def history_of(fills: list[Fill], *, since_ms: int = T0 - 1, failed: str | None = None) -> History:
    """All that the venue's history has, read to where it ends."""
    end = fills[-1].at_ms if fills else T0
    return History(
        fills=FillHistory(
            symbol=SYMBOL,
            since_ms=since_ms,
            until_ms=end + 10_000_000,
            fills=tuple(one for one in fills if one.at_ms >= since_ms),
            reach_ms=since_ms,
        ),
        asked=("closed_pnl", "funding", "orders", "surface"),
        orders=OrderLookup(symbol=SYMBOL, asked=(), records=()),
        funding=FundingHistory(symbol=SYMBOL, since_ms=0, until_ms=end + 10_000_000, payments=()),
        failed=failed,
    )


def case_of(truth: Truth, row: Position | None, side: Side, history: History | None, *, late_ms: int = 100_000) -> Case:
    """The view at the end, `late_ms` after the newest fill."""
    as_of = truth.ends_at_ms + late_ms
    return Case(
        key=PositionKey(ACCOUNT, SYMBOL, side),
        row=row,
        report=report_of(truth, side),
        opposite=report_of(truth, side.opposite),
        instrument=INSTRUMENT,
        as_of_ms=as_of,
        now_ms=as_of + 50,
        policy=POLICY,
        history=history,
    )
