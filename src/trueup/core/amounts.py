"""Prices, profit, fees and funding of a lifecycle, exactly.

1. What the venue states (its realized PnL, values, fees) is summed, never computed again.
2. Gross PnL is the price difference only, in the settle asset; fees positive = paid; funding positive = received.
3. What is not known is None: nothing unknown enters a sum as zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal

from trueup.core.lifecycles import Part, Segment
from trueup.model.decimals import ZERO
from trueup.model.instruments import Instrument
from trueup.model.orders import Funding, Side
from trueup.model.positions import Amount

__all__ = [
    "average_price",
    "fees_of",
    "funding_of",
    "gross_pnl",
    "net_pnl",
    "notional",
    "open_entry_price",
    "percentage",
    "price_difference",
    "price_of",
    "value_of",
    "weighted_price",
]

_PLACES = Decimal("1e-12")
_MONEY = Decimal("1e-8")


def notional(quantity: Decimal, price: Decimal, instrument: Instrument) -> Decimal:
    """Value in the settle asset: quote units (linear) or base coin (inverse; `price` must be positive)."""
    if instrument.inverse:
        return quantity * instrument.contract_size / price
    return quantity * instrument.contract_size * price


def price_of(quantity: Decimal, value: Decimal, instrument: Instrument) -> Decimal:
    """The inverse of `notional`, quote units, to 12 places; both must be positive."""
    size = quantity * instrument.contract_size
    return _trimmed(size / value if instrument.inverse else value / size)


def average_price(parts: Iterable[Part], instrument: Instrument) -> Decimal | None:
    """Average price of these parts of fills; None: no parts."""
    return weighted_price(((part.quantity, part.fill.price) for part in parts), instrument)


def weighted_price(pairs: Iterable[tuple[Decimal, Decimal]], instrument: Instrument) -> Decimal | None:
    """Average of (quantity, price): by quantity (linear) or harmonic (inverse), quote units, to 12 places.

    One price is returned as it was written. None: no pairs.
    """
    bought = list(pairs)
    if len({price for _, price in bought}) <= 1:
        return bought[0][1] if bought else None
    total = sum((quantity for quantity, _ in bought), ZERO)
    if instrument.inverse:
        return _trimmed(total / sum((quantity / price for quantity, price in bought), ZERO))
    return _trimmed(sum((quantity * price for quantity, price in bought), ZERO) / total)


def open_entry_price(segment: Segment, instrument: Instrument) -> Decimal | None:
    """Average entry of what is left of the segment, quote units, by the average-cost rule that both venues use.

    None: nothing is left, or its opening is not among the fills.
    """
    if not segment.complete or segment.closed_at_ms is not None:
        return None
    quantity = cost = ZERO
    for part in segment.parts:
        if part.opening:
            quantity, cost = quantity + part.quantity, cost + notional(part.quantity, part.fill.price, instrument)
        else:
            quantity, cost = quantity - part.quantity, cost - cost * part.quantity / quantity
    return price_of(quantity, cost, instrument)


def price_difference(
    side: Side, quantity: Decimal, entry_price: Decimal, exit_price: Decimal, instrument: Instrument
) -> Decimal:
    """Gross profit of closing `quantity` at `exit_price`, in the settle asset, to 8 places."""
    entry, leave = notional(quantity, entry_price, instrument), notional(quantity, exit_price, instrument)
    return _money(side.sign * (entry - leave if instrument.inverse else leave - entry))


def gross_pnl(segment: Segment, instrument: Instrument, entry_price: Decimal | None) -> Decimal | None:
    """Gross profit of all that the segment closed, in the settle asset.

    The sum of what the venue states per closing fill where it does (Binance); else, for a whole lifecycle, the difference of
    the values of its fills (exact for linear contracts, to 8 places for inverse ones); else against the average entry at each
    closing (`entry_price` for what the history lacks).
    """
    closings = segment.closings
    stated = [part.realized_pnl for part in closings]
    if all(amount is not None for amount in stated):
        return sum((amount for amount in stated if amount is not None), ZERO)
    if segment.complete and segment.closed_at_ms is not None:
        entry = sum((value_of(part, instrument) for part in segment.openings), ZERO)
        leave = sum((value_of(part, instrument) for part in closings), ZERO)
        return (
            _money(segment.side.sign * (entry - leave)) if instrument.inverse else segment.side.sign * (leave - entry)
        )
    return _against_average(segment, instrument, entry_price)


def _against_average(segment: Segment, instrument: Instrument, entry_price: Decimal | None) -> Decimal | None:
    """Walks the fills with the average-cost rule that both venues use for a position's entry price."""
    quantity = segment.started_with
    if quantity and entry_price is None:
        return None
    cost = notional(quantity, entry_price, instrument) if quantity and entry_price is not None else ZERO
    total = ZERO
    for part in segment.parts:
        value = value_of(part, instrument)
        if part.opening:
            quantity, cost = quantity + part.quantity, cost + value
            continue
        entry = cost * part.quantity / quantity
        total += segment.side.sign * (entry - value if instrument.inverse else value - entry)
        quantity, cost = quantity - part.quantity, cost - entry
    return _money(total)


def value_of(part: Part, instrument: Instrument) -> Decimal:
    """Value in the settle asset, as the venue states it or from the price."""
    stated = part.share(part.fill.value)
    return stated if stated is not None else notional(part.quantity, part.fill.price, instrument)


def fees_of(parts: Iterable[Part]) -> tuple[tuple[Amount, ...], bool]:
    """Fees by asset in the order in which they first came, and whether every fill stated one."""
    totals: dict[str, Decimal] = {}
    known = True
    for part in parts:
        fee = part.share(part.fill.fee)
        if fee is None or part.fill.fee_asset is None:
            known = False
            continue
        totals[part.fill.fee_asset] = totals.get(part.fill.fee_asset, ZERO) + fee
    return tuple(Amount(asset=asset, amount=amount) for asset, amount in totals.items()), known


def funding_of(
    payments: Iterable[Funding] | None, segment: Segment, settle: str, since_ms: int, until_ms: int
) -> Decimal | None:
    """Funding that the segment received (negative = paid) after `since_ms` until `until_ms`, in the settle asset.

    A payment at the instant of a flip is thus the ended lifecycle's, and counted once.

    None where it was not read, is in another asset, or (hedge mode) the venue does not say which leg a payment was for.
    """
    if payments is None:
        return None
    by_leg = any(part.fill.position_side is not None for part in segment.parts)
    total = ZERO
    for payment in payments:
        if not since_ms < payment.at_ms <= until_ms:
            continue
        if payment.side is None and by_leg:
            return None
        if payment.side not in (None, segment.side):
            continue
        if payment.asset != settle:
            return None
        total += payment.amount
    return total


def net_pnl(
    gross: Decimal | None, fees: tuple[Amount, ...], fees_known: bool, funding: Decimal | None, settle: str
) -> Decimal | None:
    """Gross less fees plus funding; None unless all of it is known in the one asset."""
    if gross is None or funding is None or not fees_known or any(fee.asset != settle for fee in fees):
        return None
    return gross - sum((fee.amount for fee in fees), ZERO) + funding


def percentage(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """``part / whole`` in percent, to 4 places; None where either is unknown or the whole is zero."""
    if part is None or not whole:
        return None
    return (part * 100 / whole).quantize(Decimal("0.0001"), ROUND_HALF_EVEN)


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(_MONEY, ROUND_HALF_EVEN) if amount.as_tuple().exponent < -8 else amount  # type: ignore[operator]


def _trimmed(price: Decimal) -> Decimal:
    rounded = price.quantize(_PLACES, ROUND_HALF_EVEN).normalize()
    return rounded if rounded.as_tuple().exponent <= 0 else rounded.quantize(Decimal(1))  # type: ignore[operator]
