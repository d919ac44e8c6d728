"""How much of a venue's request budget is used, and when it asked to wait.

1. Every answer's headers are read here and nowhere else: Binance `X-MBX-USED-WEIGHT-1M`, Bybit `X-Bapi-Limit*`.
2. A 429, 418 or "too many requests" holds the whole client: until it has passed no request is sent (a short rest is
   slept, a long one is `RateLimited` at once).
3. One `Limits` may be given to several clients that share a way out (an IP or a proxy): what one is told, all obey. A
   budget that also plans ahead belongs here: `before` is the one place that every request passes.

Source: Binance USDⓈ-M "General Info" (limits, 429, 418); Bybit v5 "Rate Limit Rules".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from trueup.model.errors import RateLimited
from trueup.ports import Clock

__all__ = ["SHORT_WAIT_S", "Limits", "stated_wait_s"]

SHORT_WAIT_S = 2.0
"""A rest up to this long is slept; a longer one is told to the caller."""

_BANNED_UNTIL = re.compile(r"until (\d{13})")


class Limits:
    """Readings of one way out to one venue, and the instant before which it must stay silent.

    Attributes:
        weight_used: Binance: weight of the running minute and IP, as last told; None until told.
        weight_limit: Binance: weight a minute allows, from `exchangeInfo`; None until read.
        endpoint_left: Bybit: requests left in the running second by endpoint path, as last told.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._silent_until_s = float("-inf")
        self.weight_used: int | None = None
        self.weight_limit: int | None = None
        self.endpoint_left: dict[str, tuple[int, int]] = {}

    async def before(self, source: str) -> None:
        """Passes when a request may be sent.

        Raises:
            RateLimited: The venue asked for a rest that still lasts longer than `SHORT_WAIT_S`.
        """
        rest_s = self._silent_until_s - self._clock.monotonic_s()
        if rest_s <= 0:
            return
        if rest_s > SHORT_WAIT_S:
            seconds = int(rest_s) + 1
            raise RateLimited(source, f"not asked: the venue wants no request for another {seconds} s", seconds)
        await self._clock.sleep(rest_s)

    def rest(self, seconds: float) -> None:
        """The venue asked for silence; a longer rest that already runs stays."""
        self._silent_until_s = max(self._silent_until_s, self._clock.monotonic_s() + seconds)

    def read_headers(self, path: str, headers: Mapping[str, str]) -> None:
        """Keeps what an answer's headers (lower-case names) tell."""
        weight = headers.get("x-mbx-used-weight-1m", "")
        if weight.isdigit():
            self.weight_used = int(weight)
        left, limit = headers.get("x-bapi-limit-status", ""), headers.get("x-bapi-limit", "")
        if left.isdigit() and limit.isdigit():
            self.endpoint_left[path] = (int(left), int(limit))


def stated_wait_s(headers: Mapping[str, str], text: str, now_ms: int) -> int | None:
    """How long the venue itself says to wait, in whole seconds; None if it does not say.

    Args:
        headers: Lower-case names.
        text: The refusal's text: Binance names a ban's end there ("banned until 1573660000000").
        now_ms: Venue time.
    """
    stated = headers.get("retry-after", "")
    if stated.isdigit():
        return int(stated)
    banned = _BANNED_UNTIL.search(text)
    end_ms = banned.group(1) if banned else headers.get("x-bapi-limit-reset-timestamp", "")
    if not end_ms.isdigit():
        return None
    return max(1, -(-(int(end_ms) - now_ms) // 1000))
