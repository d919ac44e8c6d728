"""How much is kept, and the words that every store knows."""

from __future__ import annotations

from typing import Final

__all__ = ["REQUEST_DAYS", "STATUSES", "UNBOUND_DAYS", "UNBOUND_KEPT"]

UNBOUND_KEPT: Final = 1_000
"""Observations that belong to no position: so many of an account's newest are kept,"""

UNBOUND_DAYS: Final = 7
"""and none older than this."""

REQUEST_DAYS: Final = 7
"""Answered requests are kept this long."""

STATUSES: Final = ("active", "closed", "all")
