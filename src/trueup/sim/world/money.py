"""What a fill does to a position and to the wallets, exactly.

1. The value of a fill is its quantity × contract size × price (inverse: ÷ price) in the settle asset, rounded once to
   eight decimals; everything after is sums and differences of such values, so over a lifecycle Σ realized PnL = Σ exit
   values − Σ entry values to the last digit (reversed for shorts; inverse: entry − exit).
2. A partial close takes its share of the cost, rounded to eight decimals; the last close takes all that is left.
3. Fees are value × rate, rounded half up to eight decimals, in the settle asset, or in the account's fee asset.
4. A fill that turns a position ends one lifecycle and begins the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from trueup.sim.world.account import Account
from trueup.sim.world.events import AccountChanged, BalanceChange, ChangeReason, OrderChanged
from trueup.sim.world.state import State
from trueup.sim.world.timeline import Timeline
from trueup.sim.world.types import (
    ZERO,
    ClosedPnl,
    ExecType,
    Fill,
    InstrumentSpec,
    LedgerKind,
    Leg,
    MarginMode,
    Order,
    OrderStatus,
    Position,
    SymbolSettings,
)

_CENT = Decimal("0.00000001")
_REASONS = {
    ExecType.TRADE: ChangeReason.ORDER,
    ExecType.LIQUIDATION: ChangeReason.LIQUIDATION,
    ExecType.ADL: ChangeReason.ADL,
    ExecType.SETTLEMENT: ChangeReason.SETTLEMENT,
    ExecType.FUNDING: ChangeReason.FUNDING,
}


def rounded(amount: Decimal) -> Decimal:
    """To eight decimals, half away from zero."""
    return amount.quantize(_CENT, rounding=ROUND_HALF_UP)


def value_of(spec: InstrumentSpec, quantity: Decimal, price: Decimal) -> Decimal:
    """Worth of a quantity in the settle asset; keeps the quantity's sign."""
    size = quantity * spec.contract_size
    return rounded(size / price if spec.inverse else size * price)


def entry_price_of(spec: InstrumentSpec, quantity: Decimal, cost: Decimal) -> Decimal:
    """Mean entry price of an open quantity, 0 when there is none; eight decimals below the tick at most."""
    if quantity == 0 or cost == 0:
        return ZERO
    size = abs(quantity) * spec.contract_size
    exact = size / cost if spec.inverse else cost / size
    price = exact.quantize(Decimal(1).scaleb(-spec.price_decimals - 8), rounding=ROUND_HALF_UP).normalize()
    return price if price.as_tuple().exponent <= 0 else price.quantize(Decimal(1))  # type: ignore[operator]


def unrealized_pnl(spec: InstrumentSpec, position: Position, mark: Decimal) -> Decimal:
    """What closing at the mark price would realize, gross, settle asset."""
    if not position.quantity:
        return ZERO
    gain = value_of(spec, abs(position.quantity), mark) - position.cost
    return gain if (position.quantity > 0) is not spec.inverse else -gain


@dataclass(frozen=True, slots=True)
class Closing:
    """The part of a fill that reduces a position; money in the settle asset."""

    quantity: Decimal
    entry_value: Decimal
    exit_value: Decimal
    pnl: Decimal
    open_fee: Decimal
    margin_released: Decimal


def closing_of(spec: InstrumentSpec, position: Position, quantity: Decimal, price: Decimal) -> Closing:
    """What closing `quantity` (positive, at most the position) at `price` takes out of the position."""
    held = abs(position.quantity)
    whole = quantity == held
    entry = position.cost if whole else rounded(position.cost * quantity / held)
    exit_value = value_of(spec, quantity, price)
    gain = exit_value - entry
    pnl = gain if (position.quantity > 0) is not spec.inverse else -gain
    open_fee = position.open_fees if whole else rounded(position.open_fees * quantity / held)
    margin = position.isolated_wallet if whole else rounded(position.isolated_wallet * quantity / held)
    return Closing(quantity, entry, exit_value, pnl, open_fee, margin)


def empty_position(account: Account, symbol: str, leg: Leg, now_ms: int) -> Position:
    """A slot before its first use."""
    return Position(
        account.spec.name, symbol, leg, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, 0, now_ms, now_ms, 0
    )


@dataclass(frozen=True, slots=True)
class Execution:
    """A fill about to happen: how much, at what price, made by what."""

    quantity: Decimal
    price: Decimal
    maker: bool = False
    exec_type: ExecType = ExecType.TRADE
    fee_rate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class _Booking:
    """What a fill comes to. `fee` in `fee_asset`; `fee_settle` is the same when that is the settle asset, else 0."""

    spec: InstrumentSpec
    settings: SymbolSettings
    now_ms: int
    sequence: int
    fill_id: int
    value: Decimal
    rate: Decimal
    fee: Decimal
    fee_asset: str
    fee_settle: Decimal
    opened: Decimal
    closing: Closing | None

    @property
    def pnl(self) -> Decimal:
        return self.closing.pnl if self.closing else ZERO

    @property
    def open_fee(self) -> Decimal:
        """The opening part's share of the fee."""
        if self.closing is None:
            return self.fee_settle
        return rounded(self.fee_settle * self.opened / (self.opened + self.closing.quantity))

    @property
    def close_fee(self) -> Decimal:
        return self.fee_settle - self.open_fee


def execute(state: State, account: Account, order: Order, execution: Execution) -> tuple[Order, Position]:
    """Fills an order (wholly or in part), moves the money and tells the listeners; the caller checked that it may.

    Returns the order and the position as they stand after the fill.
    """
    before = account.position(order.symbol, order.leg)
    if before is None:
        before = empty_position(account, order.symbol, order.leg, state.now_ms())
    booking = _booked(state, account, order, before, execution)
    assets = {booking.spec.settle, booking.fee_asset}
    wallets = {asset: account.wallet(asset) for asset in sorted(assets)}
    _pay(state, account, order, booking)
    after = _moved(before, order.side.sign, booking)
    state.save_position(account, after)
    order = _filled(order, execution, booking)
    state.save_order(account, order)
    fill = _fill(state, account, order, execution, booking, after.quantity)
    state.save_fill(account, fill)
    if booking.closing is not None:
        _record_closed(account, order, fill, booking, booking.closing)
    balances = tuple(
        BalanceChange(asset, account.wallet(asset), account.wallet(asset) - known)
        for asset, known in wallets.items()
        if account.wallet(asset) != known
    )
    name, venue, reason = account.spec.name, account.spec.venue, _REASONS[execution.exec_type]
    state.emit(AccountChanged(name, venue, booking.now_ms, booking.sequence, reason, balances, (after,)))
    state.emit(OrderChanged(name, venue, booking.now_ms, booking.sequence, order, fill))
    return order, after


def _booked(state: State, account: Account, order: Order, before: Position, execution: Execution) -> _Booking:
    """Computes everything that a fill comes to, changing nothing but the counters."""
    spec = state.spec_of(account, order.symbol)
    reduces = bool(before.quantity) and (before.quantity > 0) is (order.side.sign < 0)
    closed = min(abs(before.quantity), execution.quantity) if reduces else ZERO
    value = value_of(spec, execution.quantity, execution.price)
    rate, fee_settle, fee, fee_asset = _fee(account, spec, value, execution)
    return _Booking(
        spec=spec,
        settings=state.settings(account, order.symbol),
        now_ms=state.now_ms(),
        sequence=state.next_sequence(),
        fill_id=state.next_fill_id(),
        value=value,
        rate=rate,
        fee=fee,
        fee_asset=fee_asset,
        fee_settle=fee_settle,
        opened=execution.quantity - closed,
        closing=closing_of(spec, before, closed, execution.price) if closed else None,
    )


def _pay(state: State, account: Account, order: Order, booking: _Booking) -> None:
    """Posts the realized PnL and the fee."""
    movements = (
        (booking.spec.settle, booking.pnl, LedgerKind.REALIZED_PNL),
        (booking.fee_asset, -booking.fee, LedgerKind.COMMISSION),
    )
    for asset, amount, kind in movements:
        if amount:
            state.post(
                account,
                asset,
                amount,
                kind,
                symbol=order.symbol,
                leg=order.leg,
                fill_id=booking.fill_id,
                order_id=order.order_id,
            )


def _fee(
    account: Account, spec: InstrumentSpec, value: Decimal, execution: Execution
) -> tuple[Decimal, Decimal, Decimal, str]:
    """Rate, the part paid in the settle asset, the amount and the asset in which it is paid."""
    rate = execution.fee_rate
    if rate is None:
        rate = account.spec.maker_rate if execution.maker else account.spec.taker_rate
    in_settle = rounded(value * rate)
    asset, asset_price = account.spec.fee_asset, account.spec.fee_asset_price
    if asset is not None and asset != spec.settle and asset_price is not None:
        amount = rounded(in_settle / asset_price)
        if account.wallet(asset) >= amount:
            return rate, ZERO, amount, asset
    return rate, in_settle, in_settle, spec.settle


def _moved(before: Position, sign: int, booking: _Booking) -> Position:
    """The slot after a fill: first its closing part, then its opening part."""
    position = before
    if booking.closing is not None:
        position = _reduced(position, booking, booking.closing)
    return _increased(position, sign, booking) if booking.opened else position


def _reduced(position: Position, booking: _Booking, closing: Closing) -> Position:
    left = abs(position.quantity) - closing.quantity
    return replace(
        position,
        quantity=left if position.quantity > 0 else -left,
        cost=position.cost - closing.entry_value,
        entry_price=position.entry_price if left else ZERO,
        realized_pnl=position.realized_pnl + closing.pnl,
        fees=position.fees + booking.close_fee,
        cumulative_net=position.cumulative_net + closing.pnl - booking.close_fee,
        open_fees=position.open_fees - closing.open_fee,
        isolated_wallet=position.isolated_wallet - closing.margin_released,
        updated_ms=booking.now_ms,
        sequence=booking.sequence,
    )


def _increased(position: Position, sign: int, booking: _Booking) -> Position:
    value = booking.value - (booking.closing.exit_value if booking.closing else ZERO)
    isolated = booking.settings.margin_mode is MarginMode.ISOLATED
    if position.quantity == 0:
        position = replace(
            position,
            realized_pnl=ZERO,
            fees=ZERO,
            funding=ZERO,
            lifecycle=position.lifecycle + 1,
            opened_ms=booking.now_ms,
        )
    quantity = position.quantity + sign * booking.opened
    cost = position.cost + value
    return replace(
        position,
        quantity=quantity,
        cost=cost,
        entry_price=entry_price_of(booking.spec, quantity, cost),
        fees=position.fees + booking.open_fee,
        cumulative_net=position.cumulative_net - booking.open_fee,
        open_fees=position.open_fees + booking.open_fee,
        isolated_wallet=position.isolated_wallet + (rounded(value / booking.settings.leverage) if isolated else ZERO),
        updated_ms=booking.now_ms,
        sequence=booking.sequence,
    )


def _filled(order: Order, execution: Execution, booking: _Booking) -> Order:
    done = order.filled_quantity + execution.quantity
    return replace(
        order,
        filled_quantity=done,
        filled_notional=order.filled_notional + execution.quantity * execution.price,
        filled_value=order.filled_value + booking.value,
        fee=order.fee + booking.fee,
        fee_asset=booking.fee_asset,
        realized_pnl=order.realized_pnl + booking.pnl,
        status=OrderStatus.FILLED if done == order.quantity else OrderStatus.PARTIALLY_FILLED,
        updated_ms=booking.now_ms,
        sequence=booking.sequence,
    )


def _fill(
    state: State, account: Account, order: Order, execution: Execution, booking: _Booking, position_after: Decimal
) -> Fill:
    price = state.price((account.spec.venue, order.symbol))
    return Fill(
        fill_id=booking.fill_id,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        account=account.spec.name,
        symbol=order.symbol,
        leg=order.leg,
        side=order.side,
        quantity=execution.quantity,
        price=execution.price,
        value=booking.value,
        fee=booking.fee,
        fee_asset=booking.fee_asset,
        fee_rate=booking.rate,
        realized_pnl=booking.pnl,
        closed_quantity=booking.closing.quantity if booking.closing else ZERO,
        position_after=position_after,
        exec_type=execution.exec_type,
        maker=execution.maker,
        at_ms=booking.now_ms,
        sequence=booking.sequence,
        mark_price=price.mark,
        index_price=price.index,
        order_type=order.type,
        order_price=order.price,
        order_quantity=order.quantity,
        leaves_quantity=order.remaining,
        origin=order.origin,
        parent_kind=order.parent_kind,
        attached=order.attached,
    )


def _record_closed(account: Account, order: Order, fill: Fill, booking: _Booking, closing: Closing) -> None:
    """Adds the closing part of a fill to its order's closed-PnL row."""
    line = account.closed.setdefault(order.order_id, Timeline())
    known = line.latest if len(line) else None
    quantity = (known.closed_quantity if known else ZERO) + closing.quantity
    entry_value = (known.entry_value if known else ZERO) + closing.entry_value
    exit_value = (known.exit_value if known else ZERO) + closing.exit_value
    row = ClosedPnl(
        order_id=order.order_id,
        account=account.spec.name,
        symbol=order.symbol,
        leg=order.leg,
        side=order.side,
        order_type=order.type,
        order_quantity=order.quantity,
        order_price=order.price if order.price is not None else fill.price,
        closed_quantity=quantity,
        entry_value=entry_value,
        exit_value=exit_value,
        entry_price=entry_price_of(booking.spec, quantity, entry_value),
        exit_price=entry_price_of(booking.spec, quantity, exit_value),
        closed_pnl=(known.closed_pnl if known else ZERO) + closing.pnl - closing.open_fee - booking.close_fee,
        open_fee=(known.open_fee if known else ZERO) + closing.open_fee,
        close_fee=(known.close_fee if known else ZERO) + booking.close_fee,
        fill_count=(known.fill_count if known else 0) + 1,
        leverage=booking.settings.leverage,
        exec_type=fill.exec_type,
        created_ms=known.created_ms if known else fill.at_ms,
        updated_ms=fill.at_ms,
        sequence=fill.sequence,
    )
    line.append(fill.at_ms, row)
