"""Reading what an operator or a scenario file says, and answering it: checked arguments in, JSON out.

1. Each argument is taken once; what is missing, unknown or of the wrong type is an error that names it and what is expected.
2. Amounts are texts or integers, never floats; integers and flags may be texts too ("250", "true"), as a command line
   writes them. API keys and secrets never stand in an answer that `as_json` made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar, cast

from trueup.sim.world.types import Venue

E = TypeVar("E", bound=StrEnum)
_SECRET = frozenset({"api_key", "api_secret"})


class Arguments:
    """The named arguments of one action, each taken once and checked."""

    def __init__(self, action: str, data: Mapping[str, Any]) -> None:
        self._action = action
        self._left = dict(data)

    def _take(self, name: str, required: bool) -> Any:
        value = self._left.pop(name, None)
        if value is None and required:
            raise ValueError(f"{self._action} needs {name!r}")
        return value

    def _wrong(self, name: str, value: object, expected: str) -> ValueError:
        return ValueError(f"{name!r} of {self._action} is {value!r}; expected {expected}")

    def text(self, name: str) -> str:
        return self.optional_text(name, required=True) or ""

    def optional_text(self, name: str, *, required: bool = False) -> str | None:
        value = self._take(name, required)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name, value, "a text")
        return value

    def amount(self, name: str) -> Decimal:
        value = self.optional_amount(name, required=True)
        return value if value is not None else Decimal(0)

    def optional_amount(self, name: str, *, required: bool = False) -> Decimal | None:
        value = self._take(name, required)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self._wrong(name, value, 'an amount as a text such as "0.01"')
        try:
            amount = Decimal(value)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite():
            raise self._wrong(name, value, 'an amount as a text such as "0.01"')
        return amount

    def integer(self, name: str, default: int | None = None) -> int:
        value = self._take(name, default is None)
        if value is None:
            return default or 0
        if isinstance(value, str) and value.removeprefix("-").isdecimal():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, value, "an integer")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self._take(name, required=False)
        if value is None:
            return default
        if value in ("true", "false"):
            return bool(value == "true")
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def choice(self, name: str, kinds: type[E], default: E | None = None) -> E:
        value = self._take(name, default is None)
        if value is None and default is not None:
            return default
        try:
            return kinds(value)
        except ValueError:
            raise self._wrong(name, value, " or ".join(kinds)) from None

    def venue(self, name: str = "venue", *, required: bool = False) -> Venue | None:
        value = self._take(name, required)
        if value not in (None, "binance", "bybit"):
            raise self._wrong(name, value, "binance or bybit")
        return cast("Venue | None", value)

    def table(self, name: str) -> dict[str, Any]:
        value = self._take(name, required=False)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(name, value, "a table")
        return value or {}

    def all(self) -> dict[str, Any]:
        left, self._left = self._left, {}
        return left

    def end(self) -> None:
        """Every argument must have been taken."""
        if self._left:
            raise ValueError(f"{self._action} takes no {sorted(self._left)[0]!r}")


def as_json(value: Any) -> Any:
    """Amounts as texts, values of the world as tables, keys and secrets left out."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, StrEnum):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: as_json(item) for name, item in named.items() if name not in _SECRET}
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in value]
    return value
