"""Decimals as the venue writes them.

1. Exact text: never through a float, never in exponents, never "-0".
2. REST answers keep the digits of the instrument (`fixed`); stream messages and entry prices drop trailing zeros
   (`plain`); money has eight digits, and a bare "0" where the venue writes one (`money`, `money_or_zero`).
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

_UNITS = tuple(Decimal(1).scaleb(-digits) for digits in range(30))
_MONEY_DIGITS = 8


def fixed(value: Decimal | None, digits: int) -> str:
    """With exactly so many digits after the point, rounded half up; None is written as zero."""
    if not value:
        return f"0.{'0' * digits}" if digits else "0"
    rounded = value.quantize(_UNITS[digits], rounding=ROUND_HALF_UP)
    return format(rounded if rounded else abs(rounded), "f")


def plain(value: Decimal | None) -> str:
    """Without trailing zeros; None is written as zero."""
    if not value:
        return "0"
    return format(value.normalize(), "f")


def pointed(value: Decimal | None) -> str:
    """Without trailing zeros, but with at least one digit after the point: `50000.0`."""
    text = plain(value)
    return text if "." in text else text + ".0"


def money(value: Decimal) -> str:
    """With eight digits after the point."""
    return fixed(value, _MONEY_DIGITS)


def money_or_zero(value: Decimal | None) -> str:
    """With eight digits after the point, zero as a bare `0`."""
    return fixed(value, _MONEY_DIGITS) if value else "0"


def decimals(value: Decimal) -> int:
    """Digits after the point that matter."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
