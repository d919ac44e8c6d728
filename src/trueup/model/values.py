"""The base of every frozen value, and their exact JSON.

Values encode decimals as text and decode them back to the same digits, so a recorded observation can be decided again.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

__all__ = ["Value", "from_json", "to_json"]

T = TypeVar("T")


class Value(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An immutable record: equality by content, no behaviour that needs the outside world.

    It is not tracked by the garbage collector: a frozen record is made after all that it holds, so it is in no cycle, and a
    hundred thousand of them cost no collection anything.
    """


_encoder = msgspec.json.Encoder(decimal_format="string")


def to_json(value: object) -> str:
    """Compact JSON; decimals as strings."""
    return _encoder.encode(value).decode()


def from_json(text: str | bytes, kind: type[T]) -> T:
    """The inverse of `to_json`.

    Raises:
        msgspec.ValidationError: The text is not a `kind`.
    """
    return msgspec.json.decode(text, type=kind)
