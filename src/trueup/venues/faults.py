"""What a refusal or a broken connection means, told by the venue's own code in the payload.

1. The code is read from the payload. ccxt's class counts only where the code is in no table: its Binance tables are
   chosen by URL and do not match on another host.
2. For a question (read) whatever is not understood is `Unobserved`. For an action, whatever may have been carried out
   is `OutcomeUnknown`; only a code that says "not carried out" is `Rejected`.
3. No text that leaves here holds a key, a secret, a signature or a query string, nor a control character (a proxy's answer may be
   any bytes): the replacement character stands for each.

Source: Binance USDⓈ-M "Error Codes"; Bybit v5 "Error Codes"; docs/venues.md for what was seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ccxt.base import errors

from trueup.model.errors import (
    AuthenticationRefused,
    ClockSkewed,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    TrueupError,
    UnknownOrder,
    Unobserved,
)

__all__ = ["BINANCE_CODES", "BYBIT_CODES", "Codes", "Refused", "Scrubber", "VenueAnswered", "meaning"]


class VenueAnswered(Exception):
    """Inside ccxt's fetch: the venue answered with an error. Carries everything that `meaning` needs.

    Attributes:
        status: HTTP status.
        code, text: From the payload; None and the HTTP reason where it holds none.
        headers: Lower-case names.
        mapped: The class that ccxt maps it to; None where ccxt maps none.
    """

    def __init__(
        self, status: int, code: str | None, text: str, headers: Mapping[str, str], mapped: type[Exception] | None
    ) -> None:
        super().__init__(f"HTTP {status}, code {code}")
        self.status, self.code, self.text, self.headers, self.mapped = status, code, text, headers, mapped


class Refused(Unobserved):
    """A question that the venue answered with an error code: for callers that know what that code means there."""

    def __init__(self, source: str, code: str, text: str) -> None:
        self.code, self.text = code, text
        super().__init__(source, f"the venue answered {code}: {text}")


@dataclass(frozen=True, slots=True)
class Codes:
    """A venue's codes by what they mean. `hints` are added to the text of an authentication refusal."""

    rate_limited: frozenset[str]
    clock: frozenset[str]
    authentication: frozenset[str]
    unknown_order: frozenset[str]
    unknown_outcome: frozenset[str]
    hints: Mapping[str, str]


BINANCE_CODES = Codes(
    rate_limited=frozenset({"-1003", "-1008", "-1015"}),
    clock=frozenset({"-1021"}),
    authentication=frozenset({"-1002", "-1022", "-2014", "-2015"}),
    unknown_order=frozenset({"-2011", "-2013"}),
    unknown_outcome=frozenset({"-1000", "-1001", "-1006", "-1007"}),
    hints={
        "-2015": "check the key, its IP list and its futures permission; a portfolio-margin account answers like this "
        "too and is not supported",
        "-1022": "check the secret",
    },
)

BYBIT_CODES = Codes(
    rate_limited=frozenset({"10006", "10009", "10018", "10429"}),
    clock=frozenset({"10002"}),
    authentication=frozenset({"10003", "10004", "10005", "10007", "10010", "33004"}),
    unknown_order=frozenset({"110001", "110008", "110010"}),
    unknown_outcome=frozenset({"10000", "10016"}),
    hints={
        "10003": "check the key, and that it belongs to this environment",
        "10004": "check the secret",
        "10005": "the key lacks a permission",
        "10010": "this IP is not on the key's list",
        "33004": "the key has expired",
    },
)

_RATE_STATUSES = (429, 418)
_IP_BAN_WORDS = "too frequent"  # Bybit's 403 for an IP over its limit; other 403 are blocks by region or firewall


def meaning(
    answered: VenueAnswered, codes: Codes, *, source: str, action: bool, wait_s: int | None, text: str
) -> TrueupError:
    """The model's error for what the venue answered.

    Args:
        action: Whether something was to be carried out (else it was a question).
        wait_s: How long the venue said to wait; None if it did not.
        text: Its text, scrubbed.
    """
    code, status = answered.code, answered.status
    shown = f"HTTP {status}" + (f", code {code}" if code else "") + (f": {text}" if text else "")
    if status in _RATE_STATUSES or code in codes.rate_limited or (status == 403 and _IP_BAN_WORDS in text):
        return RateLimited(source, f"asked to slow down ({shown})", wait_s)
    if code in codes.clock:
        return ClockSkewed(source, f"our timestamp was refused ({shown}); the skew must be measured again")
    if code in codes.authentication:
        return AuthenticationRefused(
            f"{source}: the venue refuses this key ({shown}); {codes.hints.get(code or '', '')}"
        )
    if action and (status >= 500 or code in codes.unknown_outcome):
        return OutcomeUnknown(f"{source}: {shown}; it may have been carried out")
    if code is not None and code not in codes.unknown_outcome:
        return _by_code(answered, codes, source=source, action=action, wait_s=wait_s, text=text)
    if action and code is None and status < 400:
        return OutcomeUnknown(f"{source}: the answer could not be read ({shown}); it may have been carried out")
    if action and code is None:
        return Rejected(source, f"HTTP {status}", text)
    return Unobserved(source, shown)


def _by_code(
    answered: VenueAnswered, codes: Codes, *, source: str, action: bool, wait_s: int | None, text: str
) -> TrueupError:
    code, mapped = answered.code or "", answered.mapped
    if code in codes.unknown_order:
        return UnknownOrder(source, code, text) if action else Refused(source, code, text)
    if mapped is not None:
        if issubclass(mapped, errors.RateLimitExceeded | errors.DDoSProtection):
            return RateLimited(source, f"asked to slow down (code {code}: {text})", wait_s)
        if issubclass(mapped, errors.InvalidNonce):
            return ClockSkewed(source, f"our timestamp was refused (code {code}: {text})")
        if issubclass(mapped, errors.AuthenticationError) and not action:
            return AuthenticationRefused(f"{source}: the venue refuses this key (code {code}: {text})")
        if issubclass(mapped, errors.RequestTimeout | errors.ExchangeNotAvailable) and action:
            return OutcomeUnknown(f"{source}: code {code}: {text}; it may have been carried out")
    return Rejected(source, code, text) if action else Refused(source, code, text)


class Scrubber:
    """Takes keys, secrets, signatures, query strings and control characters out of a text, and shortens it."""

    _QUERY = re.compile(r"\?\S*")
    _PARAMETER = re.compile(
        r"(?i)\b(signature|sign|api_?key|secret|timestamp|x-mbx-apikey|listenKey)\b(\"?\s*[=:]\s*\"?)[^&\s\",}]+"
    )
    _CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
    _MAX = 200

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secret for secret in secrets if secret)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = self._PARAMETER.sub(r"\1\2***", self._QUERY.sub("?***", text))
        text = self._CONTROL.sub("\ufffd", " ".join(text.split()))
        return text if len(text) <= self._MAX else text[: self._MAX - 3] + "..."

    def __repr__(self) -> str:
        return "Scrubber(***)"
