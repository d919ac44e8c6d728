"""Identities that the venues show: Bybit writes its order and execution ids as UUIDs, the world counts integers.

1. The text of an id is a reversible function of its number, so a wire needs no table.
"""

from __future__ import annotations

import uuid

_MASK = 0x9E3779B97F4A7C15F39CC0605CEDC835
_PRIME = 0xD1342543DE82EF95
_INVERSE = pow(_PRIME, -1, 1 << 64)


def uuid_text(number: int) -> str:
    """A UUID-shaped text for a number below 2**64; different numbers look unrelated."""
    mixed = (number * _PRIME) % (1 << 64)
    digits = f"{((mixed << 64) | number) ^ _MASK:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def uuid_number(text: str) -> int | None:
    """The number behind `uuid_text`, None when the text is not one of ours."""
    try:
        value = uuid.UUID(text).int ^ _MASK
    except ValueError:
        return None
    number = value & ((1 << 64) - 1)
    return number if (number * _PRIME) % (1 << 64) == value >> 64 else None


_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def short_text(number: int, length: int = 22) -> str:
    """A text of letters and digits as the venues make for client ids that nobody gave."""
    state = (number * _PRIME + _MASK) % (1 << 128)
    text = []
    for _ in range(length):
        state, index = divmod(state, 62)
        text.append(_ALPHABET[index])
        if state == 0:
            state = (number * _INVERSE + len(text) * _PRIME) % (1 << 128)
    return "".join(text)
