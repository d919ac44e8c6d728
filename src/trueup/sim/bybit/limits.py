"""How often one may ask: per account and endpoint within a rolling second, per address within five seconds.

1. Counted in the venue's time, so a run is reproducible.
2. A request beyond the account's limit is 10006 and does not count; one beyond the address's limit is HTTP 403, and so
   is everything from that address for ten minutes.
3. Public market data counts for the address only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import msgspec

from trueup.sim.bybit.errors import ApiError

SECOND_MS = 1_000


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """The venue's numbers. `ip_requests` None: addresses are not limited; `per_account` False: accounts are not."""

    ip_requests: int | None = 600
    ip_window_ms: int = 5_000
    ip_ban_ms: int = 600_000
    per_account: bool = True


class Allowance(msgspec.Struct, frozen=True):
    """What the answer's headers say: the limit, what is left of it, and when it is whole again (ms)."""

    limit: int
    remaining: int
    reset_ms: int

    def headers(self) -> dict[str, str]:
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.remaining),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


class RateLimits:
    """The counters of one wire."""

    def __init__(self, policy: LimitPolicy) -> None:
        self.policy = policy
        self._by_account: dict[tuple[str, str], deque[int]] = {}
        self._by_address: dict[str, deque[int]] = {}
        self._banned_until: dict[str, int] = {}

    def admit_address(self, address: str, now_ms: int) -> None:
        """Counts a request of an address; raises HTTP 403 beyond its limit."""
        limit = self.policy.ip_requests
        if limit is None:
            return
        if now_ms < self._banned_until.get(address, 0):
            raise _too_frequent()
        seen = self._by_address.setdefault(address, deque())
        _forget(seen, now_ms - self.policy.ip_window_ms)
        if len(seen) >= limit:
            self._banned_until[address] = now_ms + self.policy.ip_ban_ms
            seen.clear()
            raise _too_frequent()
        seen.append(now_ms)

    def admit(self, uid: str, group: str, limit: int, now_ms: int) -> tuple[Allowance, bool]:
        """Counts a request of an account to an endpoint group; False when it is beyond the limit."""
        if not self.policy.per_account:
            return Allowance(limit, limit, now_ms), True
        seen = self._by_account.setdefault((uid, group), deque())
        _forget(seen, now_ms - SECOND_MS)
        if len(seen) >= limit:
            return Allowance(limit, 0, seen[0] + SECOND_MS), False
        seen.append(now_ms)
        return Allowance(limit, limit - len(seen), now_ms), True


def _forget(times: deque[int], until_ms: int) -> None:
    while times and times[0] <= until_ms:
        times.popleft()


def _too_frequent() -> ApiError:
    return ApiError(403, "access too frequent", status=403, body=b"403, access too frequent")
