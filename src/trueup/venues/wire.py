"""From the text of a venue's answer to exact values.

1. A number keeps its digits: JSON text and JSON numbers alike become `Decimal`, never a binary float.
2. An answer that is not JSON, or JSON of another shape, is `Unobserved`: it is never read as an empty list.
3. A missing, null or empty field is None; a field that holds something else than it must is `Unreadable`.
4. What a venue nearly always writes may be decoded into stricter types first (`Either`); what does not fit is decoded as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Generic, ParamSpec, Protocol, TypeAlias, TypeVar

import msgspec

from trueup.model.errors import Unobserved, Unreadable

__all__ = [
    "LARGEST",
    "Either",
    "Number",
    "Reader",
    "count_or_none",
    "decode",
    "decoder",
    "exact",
    "flag",
    "text",
    "text_or_none",
    "time_or_none",
    "whole",
]

Number: TypeAlias = Any
"""A wire field that holds a number as text or as a JSON number; `None` where it is missing. Read it with
`trueup.model.decimals` (amounts) or `whole` (ids, times)."""

LARGEST = 2**63 - 1
"""Of ids and times: no venue counts further."""

_LONGEST_DIGITS = 19

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")


class Reader(Protocol[T_co]):
    """Anything that decodes an answer's text."""

    def decode(self, text: str, /) -> T_co: ...


class Either(Generic[T]):
    """Decodes into the types of `plain`; an answer in which anything is of another type, into those of `careful`.

    Both must read an answer that fits `plain` to equal values. `plain` spares whoever reads the rows to ask each field its type.
    """

    def __init__(self, plain: Reader[T], careful: Reader[T]) -> None:
        self.plain = plain
        self.careful = careful

    def decode(self, text: str, /) -> T:
        try:
            return self.plain.decode(text)
        except msgspec.ValidationError:
            return self.careful.decode(text)


def decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """A typed decoder that keeps the digits of JSON numbers."""
    return msgspec.json.Decoder(kind, float_hook=Decimal)


def decode(text: str, reader: Reader[T], source: str) -> T:
    """Reads an answer.

    Raises:
        Unobserved: Not JSON (HTML, half an answer, nothing at all), or JSON of another shape.
    """
    try:
        return reader.decode(text)
    except msgspec.ValidationError as error:
        problem = f"the answer has another shape than this call's: {error}"
    except msgspec.DecodeError:
        problem = f"the answer is not JSON but {_kind_of(text)}"
    raise Unobserved(source, problem)


def _kind_of(text: str) -> str:
    if not text:
        return "empty"
    if text.lstrip().startswith("<"):
        return f"a page of HTML ({len(text)} characters)"
    return f"{len(text)} characters that begin with {text[:24]!r}"


def exact(source: str, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls `read` where an unreadable field spoils the whole answer (a history with a gap proves nothing).

    Raises:
        Unobserved: It raised `Unreadable`.
    """
    try:
        return read(*args, **kwargs)
    except Unreadable as error:
        problem = str(error)
    raise Unobserved(source, problem)


def whole(value: object, what: str) -> int:
    """An id or a time, as text or as a JSON number.

    Raises:
        Unreadable: Missing, not a whole number, or one that no venue counts up to (64 bits).
    """
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str):
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_DIGITS:
            number = int(value)
    elif isinstance(value, Decimal) and value.is_finite() and value.adjusted() < _LONGEST_DIGITS:
        number = int(value) if value == value.to_integral_value() else None
    if number is None or abs(number) > LARGEST:
        raise Unreadable(what, expected="a whole number of 64 bits", found=value)
    return number


def text(value: object, what: str) -> str:
    """An id or a name that must be there; a number becomes its digits.

    Raises:
        Unreadable: Missing or empty.
    """
    found = text_or_none(value)
    if found is None:
        raise Unreadable(what, expected="a text", found=value)
    return found


def count_or_none(value: object, what: str) -> int | None:
    """Like `whole`, but a missing or empty value is None."""
    return None if value is None or value == "" else whole(value, what)


def time_or_none(value: object, what: str) -> int | None:
    """Milliseconds since 1970; the venues' zero and empty text mean "no time"."""
    at_ms = count_or_none(value, what)
    return at_ms if at_ms else None


def text_or_none(value: object) -> str | None:
    """Ids and names: empty text is None, a number becomes its digits."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else str(value)


def flag(value: object, what: str) -> bool:
    """`true` and `"true"`, `false` and `"false"`; a missing one is False, which is what both venues leave out.

    Raises:
        Unreadable: Anything else.
    """
    if isinstance(value, bool):
        return value
    if value is None or value == "":
        return False
    word = str(value).lower()
    if word in ("true", "1"):
        return True
    if word in ("false", "0"):
        return False
    raise Unreadable(what, expected="true or false", found=value)
