"""The parameters of one request: read from query and body, checked with the venue's own words.

1. The query goes before the body; one name twice in either is refused.
2. A value is given exactly as text until a typed getter reads it; an empty value counts as not sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

from trueup.sim.binance.errors import ApiError, illegal_characters, missing, not_valid
from trueup.sim.wire import pairs_of

DECIMAL_RANGE = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
INTEGER_RANGE = r"^[0-9]{1,20}$"
CLIENT_ID_RANGE = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
_MAX_CLIENT_ID = 36
_DECIMAL = re.compile(DECIMAL_RANGE)
_INTEGER = re.compile(INTEGER_RANGE)
_CLIENT_ID = re.compile(CLIENT_ID_RANGE)
_FLAGS = {"true": True, "false": False}

T = TypeVar("T")


class Params:
    """Typed getters over the sent parameters; what is wrong is an ApiError."""

    __slots__ = ("_values",)

    def __init__(self, query: str, body: str = "") -> None:
        self._values = _pairs(body)
        self._values.update(_pairs(query))

    def text(self, name: str) -> str | None:
        """The value as sent, None when it was not sent or empty."""
        return self._values.get(name) or None

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing(name)
        return value

    def sent(self, name: str) -> bool:
        return self.text(name) is not None

    def decimal(self, name: str) -> Decimal | None:
        """A number without sign and exponent."""
        value = self.text(name)
        if value is None:
            return None
        if not _DECIMAL.match(value):
            raise illegal_characters(name, DECIMAL_RANGE)
        return Decimal(value)

    def required_decimal(self, name: str) -> Decimal:
        value = self.decimal(name)
        if value is None:
            raise missing(name)
        return value

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not _INTEGER.match(value):
            raise illegal_characters(name, INTEGER_RANGE)
        return int(value)

    def required_integer(self, name: str) -> int:
        value = self.integer(name)
        if value is None:
            raise missing(name)
        return value

    def flag(self, name: str) -> bool | None:
        """`true` or `false`, in any case."""
        value = self.text(name)
        if value is None:
            return None
        found = _FLAGS.get(value.lower())
        if found is None:
            raise not_valid(name)
        return found

    def choice(self, name: str, table: Mapping[str, T], default: str | None, error: ApiError | None = None) -> T:
        """The table's entry for the value; `error` (or -1130) when it has none; without default it is mandatory."""
        value = self.text(name) or default
        if value is None:
            raise missing(name)
        found = table.get(value)
        if found is None:
            raise error if error is not None else not_valid(name)
        return found

    def client_id(self, name: str) -> str:
        """An order id of the client's own, "" when it sent none."""
        value = self.text(name)
        if value is None:
            return ""
        if len(value) > _MAX_CLIENT_ID:
            raise ApiError(-4015, "Client order id length should not be more than 36 chars")
        if not _CLIENT_ID.match(value):
            raise illegal_characters(name, CLIENT_ID_RANGE)
        return value

    def limit(self, default: int, maximum: int) -> int:
        """How many rows are wanted; more than the maximum gives the maximum."""
        value = self.integer("limit")
        if value is None:
            return default
        if value == 0:
            raise not_valid("limit")
        return min(value, maximum)


def _pairs(encoded: str) -> dict[str, str]:
    pairs = pairs_of(encoded)
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ApiError(-1101, "Duplicate values for a parameter detected.")
    return values
