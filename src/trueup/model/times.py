"""Instants are integers: milliseconds since 1970-01-01 UTC. Their text is RFC 3339 with milliseconds and ``Z``."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta

from trueup.model.errors import Unreadable

__all__ = ["DAY_MS", "parse_time", "time_text"]

DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@functools.lru_cache(4096)  # the rows that one transaction writes bear the same few instants
def time_text(at_ms: int) -> str:
    """``1700000000123`` → ``"2023-11-14T22:13:20.123Z"``."""
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def parse_time(text: str, what: str) -> int:
    """RFC 3339 text with an offset or ``Z`` → milliseconds.

    Raises:
        Unreadable: Not such a time, or without an offset.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable(what, expected="an RFC 3339 time such as 2026-01-31T12:00:00Z", found=text) from None
    if moment.tzinfo is None:
        raise Unreadable(what, expected="a time with its offset, e.g. a final Z", found=text)
    return (moment - _EPOCH) // timedelta(milliseconds=1)
