"""Request weights per client address and minute, orders per account: what is counted, what happens beyond.

1. Counters are per clock interval (the minute, the ten seconds) of the world's time, as the venue's headers show them.
2. Beyond the weight: 429 with `Retry-After`; whoever goes on regardless is banned (418), each time for longer.
3. Only addresses and accounts that were active in their interval are held.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trueup.sim.binance.errors import TEAPOT, TOO_MANY_REQUESTS, ApiError

_MINUTE_MS = 60_000
_TEN_SECONDS_MS = 10_000
_MAX_BAN_S = 3 * 24 * 3_600


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """How much is allowed. `ban_after`: requests refused with 429 within a minute before the address is banned."""

    weight_per_minute: int = 2_400
    orders_per_ten_seconds: int = 300
    orders_per_minute: int = 1_200
    ban_after: int = 10
    first_ban_s: int = 120


@dataclass(slots=True)
class _Interval:
    """A counter that starts anew with each clock interval."""

    length_ms: int
    started_ms: int = -1
    count: int = 0

    def add(self, amount: int, now_ms: int) -> int:
        started = now_ms - now_ms % self.length_ms
        if started != self.started_ms:
            self.started_ms = started
            self.count = 0
        self.count += amount
        return self.count

    def left_s(self, now_ms: int) -> int:
        """Whole seconds until the next interval, at least 1."""
        return max(1, -(-(self.length_ms - now_ms % self.length_ms) // 1_000))


@dataclass(slots=True)
class _Address:
    weight: _Interval = field(default_factory=lambda: _Interval(_MINUTE_MS))
    refused: _Interval = field(default_factory=lambda: _Interval(_MINUTE_MS))
    banned_until_ms: int = 0
    bans: int = 0


@dataclass(slots=True)
class _Orders:
    ten_seconds: _Interval = field(default_factory=lambda: _Interval(_TEN_SECONDS_MS))
    minute: _Interval = field(default_factory=lambda: _Interval(_MINUTE_MS))


class Limits:
    """The venue's counters."""

    def __init__(self, policy: LimitPolicy) -> None:
        self.policy = policy
        self._addresses: dict[str, _Address] = {}
        self._orders: dict[str, _Orders] = {}

    def pardon(self, client_ip: str) -> None:
        """Forgets what the address did, bans included."""
        self._addresses.pop(client_ip, None)

    def used_weight(self, client_ip: str, now_ms: int) -> int:
        """What the address has used of this minute."""
        address = self._addresses.get(client_ip)
        return 0 if address is None else address.weight.add(0, now_ms)

    def spend(self, client_ip: str, weight: int, now_ms: int) -> int:
        """Counts a request; returns the weight used in this minute, raises 429 or 418 beyond it."""
        address = self._addresses.setdefault(client_ip, _Address())
        if now_ms < address.banned_until_ms:
            raise self._banned(client_ip, address, now_ms)
        used = address.weight.add(weight, now_ms)
        if used <= self.policy.weight_per_minute:
            return used
        if address.refused.add(1, now_ms) > self.policy.ban_after:
            seconds = min(self.policy.first_ban_s * 2**address.bans, _MAX_BAN_S)
            address.banned_until_ms = now_ms + seconds * 1_000
            address.bans += 1
            raise self._banned(client_ip, address, now_ms)
        text = (
            f"Too many requests; current limit of IP({client_ip}) is {self.policy.weight_per_minute} requests per "
            "minute. Please use the websocket for live updates to avoid polling the API."
        )
        raise ApiError(-1003, text, TOO_MANY_REQUESTS, address.weight.left_s(now_ms))

    @staticmethod
    def _banned(client_ip: str, address: _Address, now_ms: int) -> ApiError:
        until = address.banned_until_ms
        text = (
            f"Way too many requests; IP({client_ip}) banned until {until}. Please use the websocket for live updates "
            "to avoid bans."
        )
        return ApiError(-1003, text, TEAPOT, max(1, -(-(until - now_ms) // 1_000)))

    def order_counts(self, account: str, now_ms: int) -> tuple[int, int]:
        """Orders of the account in these ten seconds and in this minute."""
        counted = self._orders.get(account)
        if counted is None:
            return 0, 0
        return counted.ten_seconds.add(0, now_ms), counted.minute.add(0, now_ms)

    def count_order(self, account: str, amount: int, now_ms: int) -> None:
        """Counts new orders; raises -1015 beyond what an account may send."""
        counted = self._orders.setdefault(account, _Orders())
        ten = counted.ten_seconds.add(amount, now_ms)
        minute = counted.minute.add(amount, now_ms)
        if ten > self.policy.orders_per_ten_seconds:
            limit, interval, left_s = self.policy.orders_per_ten_seconds, "10 SECOND", counted.ten_seconds
        elif minute > self.policy.orders_per_minute:
            limit, interval, left_s = self.policy.orders_per_minute, "1 MINUTE", counted.minute
        else:
            return
        text = f"Too many new orders; current limit is {limit} orders per {interval}."
        raise ApiError(-1015, text, TOO_MANY_REQUESTS, left_s.left_s(now_ms))
