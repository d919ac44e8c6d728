"""Parameters of a request: strings of a query or values of a JSON body, read strictly.

1. Every value is read from the client's text; no number passes through a float.
2. What cannot be read is 10001 with the parameter's name; a missing one is None or the default, never 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

from trueup.sim.bybit.errors import ApiError, bad_parameter
from trueup.sim.wire import pairs_of

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_INTEGER = re.compile(r"-?[0-9]+")
_MAX_DIGITS = 20
_C = TypeVar("_C")


class Params:
    """The parameters of one request, by Bybit's names."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    @classmethod
    def of_query(cls, query: str) -> Params:
        """Of a GET request; the last of several equal names counts."""
        return cls(dict(pairs_of(query)))

    @classmethod
    def of_body(cls, body: bytes) -> Params:
        """Of a POST request; raises 10001 when the body is no JSON object."""
        try:
            values = json.loads(body or b"{}", parse_float=str, parse_int=str)
        except ValueError:
            raise bad_parameter() from None
        if not isinstance(values, dict):
            raise bad_parameter()
        return cls(values)

    def text(self, name: str) -> str:
        """The value, "" when it is missing or null."""
        value = self._values.get(name)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str):
            raise invalid(name)
        return value

    def has(self, name: str) -> bool:
        """True when the parameter is there and not empty."""
        return self.text(name) != ""

    def required(self, name: str) -> str:
        """The value; raises 10001 when it is missing."""
        value = self.text(name)
        if not value:
            raise invalid(name)
        return value

    def decimal(self, name: str) -> Decimal | None:
        """A number of plain digits, None when it is missing."""
        text = self.text(name)
        if not text:
            return None
        return _number(name, text)

    def signed(self, name: str) -> Decimal:
        """A number that may be negative; raises 10001 when it is missing."""
        text = self.required(name)
        return -_number(name, text[1:]) if text.startswith("-") else _number(name, text)

    def integer(self, name: str) -> int | None:
        """A whole number, None when it is missing."""
        text = self.text(name)
        if not text:
            return None
        if _INTEGER.fullmatch(text) is None or len(text) > _MAX_DIGITS:
            raise invalid(name)
        return int(text)

    def flag(self, name: str) -> bool:
        """`true` or `false`; missing is false."""
        text = self.text(name).lower()
        if text in ("", "false", "0"):
            return False
        if text in ("true", "1"):
            return True
        raise invalid(name)

    def choice(self, name: str, choices: Mapping[str, _C]) -> _C | None:
        """The meaning of one of the allowed words, None when the parameter is missing."""
        text = self.text(name)
        if not text:
            return None
        if text not in choices:
            raise invalid(name)
        return choices[text]

    def objects(self, name: str) -> list[dict[str, object]]:
        """A list of objects; anything else is 10001."""
        value = self._values.get(name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise invalid(name)
        return value

    def limit(self, default: int, maximum: int) -> int:
        """The page size, 1 to `maximum`."""
        value = self.integer("limit")
        if value is None:
            return default
        if not 1 <= value <= maximum:
            raise invalid("limit")
        return value


def _number(name: str, text: str) -> Decimal:
    if _NUMBER.fullmatch(text) is None or len(text) > _MAX_DIGITS:
        raise invalid(name)
    return Decimal(text)


def invalid(name: str) -> ApiError:
    """10001 for a parameter that is missing or cannot be read."""
    return bad_parameter(f"{name[:1].upper()}{name[1:]} invalid")
