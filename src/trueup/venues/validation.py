"""What counts as an open position: the three phases of the original system, made exact.

1. Phase 1: ccxt's `contracts`, where a unified row is given. Phase 2: Binance's raw `positionAmt`. Phase 3: Bybit's raw
   `size`.
2. The raw size decides. Only an *explicit* zero is zero: such a row is stale and is dropped and counted.
3. A missing, empty or unreadable raw size makes the whole look `Unobserved`: nothing of that account may be concluded.
4. `contracts` of zero beside a raw size that is not zero is a contradiction, and so unobserved too.

Departure from the original, which read a missing size as 0 and so dropped the row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trueup.model.decimals import parse_decimal
from trueup.model.errors import ConfigurationError, Unobserved, Unreadable

__all__ = ["SIZE_FIELDS", "ValidatedRows", "explicit_size", "validate_positions"]

SIZE_FIELDS: Mapping[str, str] = {"binanceusdm": "positionAmt", "binance": "positionAmt", "bybit": "size"}
"""The raw field that says how large a position is, by ccxt's name of the venue."""


@dataclass(frozen=True, slots=True)
class ValidatedRows:
    """`real`: the given rows whose raw size is not zero. `stale`: how many were explicitly zero."""

    real: tuple[Mapping[str, Any], ...]
    stale: int


def explicit_size(value: object, field: str, symbol: object, source: str) -> Decimal:
    """The signed size that a raw row states.

    Raises:
        Unobserved: It is missing, empty or not a number.
    """
    try:
        return parse_decimal(value, field)
    except Unreadable as error:
        raise Unobserved(source, f"row of {symbol}: {error}; without it nothing of the account is known") from None


def validate_positions(venue: str, rows: Sequence[Mapping[str, Any]]) -> ValidatedRows:
    """Tells real rows from stale ones.

    Args:
        venue: ccxt's exchange id: ``binanceusdm``, ``binance`` or ``bybit``.
        rows: Raw rows of the venue, or ccxt's unified rows, which carry the raw one in ``info``.

    Raises:
        Unobserved: A row's raw size is missing or unreadable, or contradicts ccxt's `contracts`.
        ConfigurationError: Another venue.
    """
    field = SIZE_FIELDS.get(venue)
    if field is None:
        raise ConfigurationError(f"validate_positions: no raw size is known for venue {venue!r}; known: {_known()}")
    source = f"{venue} positions"
    real: list[Mapping[str, Any]] = []
    stale = 0
    for row in rows:
        info = row.get("info", row)
        if not isinstance(info, Mapping):
            raise Unobserved(source, f"row of {row.get('symbol')}: info is not the venue's row")
        size = explicit_size(info.get(field), field, info.get("symbol", row.get("symbol")), source)
        if size == 0:
            stale += 1
            continue
        if _says_zero(row.get("contracts")):
            raise Unobserved(source, f"{row.get('symbol')}: contracts is 0 but {field} is {size}")
        real.append(row)
    return ValidatedRows(real=tuple(real), stale=stale)


def _says_zero(contracts: object) -> bool:
    return isinstance(contracts, int | float | Decimal) and not isinstance(contracts, bool) and contracts == 0


def _known() -> str:
    return ", ".join(sorted(SIZE_FIELDS))
