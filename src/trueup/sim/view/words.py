"""Numbers and times as the view writes them.

1. Prices have the decimals of their contract's tick, so that a column of one contract is aligned.
2. Unknown is a dash, never 0.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from trueup.sim.world.types import InstrumentSpec

UNKNOWN = "–"
_DOLLARS = frozenset({"USDT", "USDC"})


def clock_text(at_ms: int, *, milliseconds: bool = True) -> str:
    """Time of day, UTC."""
    at = datetime.fromtimestamp(at_ms / 1_000, tz=UTC)
    return f"{at:%H:%M:%S}.{at_ms % 1_000:03d}" if milliseconds else f"{at:%H:%M:%S}"


def date_text(at_ms: int) -> str:
    """Date and time of day to the second, UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1_000, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration_text(seconds: int) -> str:
    """``7 s``, ``12:31``, ``1:02:03``."""
    minutes, rest = divmod(max(0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"


def price_text(price: Decimal | None, spec: InstrumentSpec) -> str:
    """On the contract's tick grid."""
    return UNKNOWN if price is None else f"{price:,.{spec.price_decimals}f}"


def amount_text(amount: Decimal) -> str:
    """All digits, without the zeros at the end."""
    text = f"{amount:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money_text(amount: Decimal, asset: str, *, signed: bool = False) -> str:
    """Two decimals of dollars, six of a coin."""
    places = 2 if asset in _DOLLARS else 6
    return f"{amount:+,.{places}f}" if signed else f"{amount:,.{places}f}"
