"""Decimals as Bybit writes them: plain digits, no exponent, as many decimals as the contract has or the value needs.

1. No digit of a value is lost: a price finer than the contract's scale keeps its digits.
2. Zero is `0`, never `0E-8` or `-0`.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from trueup.sim.world.types import InstrumentSpec

_MIN_PRICE_SCALE = 2


def plain(value: Decimal) -> str:
    """The value without trailing zeros: money, ratios, mean prices of fills."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def fixed(value: Decimal, decimals: int) -> str:
    """At least `decimals` digits after the point; more when the value has them."""
    text = plain(value)
    if decimals <= 0:
        return text
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(decimals, '0')}"


def price_scale(spec: InstrumentSpec) -> int:
    """Bybit's `priceScale`: digits of a price as written; two at least, although a tick may be coarser."""
    return max(_MIN_PRICE_SCALE, _decimals(spec.price_tick))


@lru_cache(maxsize=1_024)
def _decimals(step: Decimal) -> int:
    """Digits after the point of a number on the grid of `step`; asked for with every number that is written."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def price_text(spec: InstrumentSpec, price: Decimal | None) -> str:
    """A price of the contract; "" when there is none."""
    return "" if price is None else fixed(price, price_scale(spec))


def quantity_text(spec: InstrumentSpec, quantity: Decimal) -> str:
    """A quantity in contracts, without its sign; `0` for none."""
    return fixed(abs(quantity), _decimals(spec.quantity_step)) if quantity else "0"


def engine_price(price: Decimal) -> str:
    """A price as the matching engine writes it into its error texts: times ten thousand."""
    return plain((price * 10_000).quantize(Decimal(1)))
