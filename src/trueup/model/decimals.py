"""Exact numbers from and to the venue's text.

1. A number enters as text (or as an integer) and leaves as text; it is never a binary float on the way.
2. What is not a finite number is refused, never read as zero.
3. Text that leaves has no exponent and keeps the digits that came in (``0.010`` stays ``0.010``).
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from trueup.model.errors import Unreadable

__all__ = ["ZERO", "decimal_text", "optional_decimal", "parse_decimal", "positive_or_none"]

ZERO = Decimal(0)


def parse_decimal(text: object, what: str) -> Decimal:
    """The exact number that a venue or a database wrote.

    Args:
        text: A string or an integer. A float is refused: its digits are not the venue's.
        what: Names the field in the error, e.g. ``"positionAmt of BTCUSDT"``.

    Raises:
        Unreadable: Missing, empty, not a number, infinite or NaN.
    """
    if isinstance(text, Decimal):
        number = text
    elif isinstance(text, str) or (isinstance(text, int) and not isinstance(text, bool)):
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise Unreadable(what, expected="a decimal number as text", found=text) from None
    else:
        raise Unreadable(what, expected="a decimal number as text", found=text)
    if not number.is_finite():
        raise Unreadable(what, expected="a finite number", found=text)
    return number


def optional_decimal(text: object, what: str) -> Decimal | None:
    """Like `parse_decimal`, but a missing or empty value is None. Zero stays zero."""
    if text is None or text == "":
        return None
    return parse_decimal(text, what)


def positive_or_none(text: object, what: str) -> Decimal | None:
    """For prices, where venues write ``""`` or ``"0"`` for "none": only a positive number is a price."""
    number = optional_decimal(text, what)
    return number if number is not None and number > 0 else None


def decimal_text(number: Decimal) -> str:
    """Plain digits without an exponent, e.g. ``"0.00001000"``; the zero of any sign is ``"0"``-like without a minus."""
    if number == 0:
        number = abs(number)
    return format(number, "f")
