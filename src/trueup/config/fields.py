"""The kinds of values that the configuration knows: each reads a TOML value exactly or says what it expected.

1. A TOML float arrives here as the `Decimal` of its own text, so no number passes through a binary float.
2. Wrong types are refused, not converted: ``"30"`` is no duration, ``true`` is no number, ``1`` is no yes.
3. An error says what is expected and how to write it; whether the value may be shown is decided elsewhere.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

from pydantic import PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError

from trueup.config.secrets import SecretKind, SecretRef
from trueup.model.events import Severity
from trueup.model.positions import AccountMode

__all__ = [
    "SUPPORTED_VENUES",
    "AccountName",
    "AdoptPolicy",
    "AdoptWord",
    "AlertUrl",
    "Count",
    "Fraction",
    "HostPort",
    "KeyReference",
    "ListenAddress",
    "ModeWord",
    "Percent",
    "PercentOrZero",
    "ProxyUrl",
    "RestUrl",
    "Seconds",
    "SeverityWord",
    "StoreUrl",
    "StreamUrl",
    "Symbols",
    "TrailingKind",
    "TrailingSteps",
    "TrailingWord",
    "TriggerBy",
    "TriggerWord",
    "UnprotectableAction",
    "UnprotectableWord",
    "VenueName",
    "YesNo",
    "did_you_mean",
    "is_loopback",
]

SUPPORTED_VENUES = ("binanceusdm", "bybit")
STORE_SCHEMES = ("sqlite", "sqlite+aiosqlite", "postgresql", "postgresql+asyncpg", "postgres")
_YEAR_S = 31_536_000
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")

Word = TypeVar("Word", bound=StrEnum)


class AdoptPolicy(StrEnum):
    """What becomes of a venue position that the book lacks."""

    ADOPT = "adopt"
    HOLD = "hold"
    IGNORE = "ignore"


class TriggerBy(StrEnum):
    """Which price triggers a stop."""

    MARK = "mark"
    LAST = "last"


class UnprotectableAction(StrEnum):
    """What to do about a position for which the venue refuses every stop."""

    ALERT = "alert"
    CLOSE = "close"


class TrailingKind(StrEnum):
    """Who follows the price with the stop."""

    OWN = "own"  # trueup moves its own stop
    NATIVE = "native"  # the venue's own trailing order, set by trueup
    OFF = "off"


class HostPort(NamedTuple):
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The nearest of the known words, if one is near."""
    names = list(known)
    found = difflib.get_close_matches(word.lower(), [name.lower() for name in names], n=1, cutoff=0.55)
    if not found:  # "binance" for "binanceusdm"
        found = [name.lower() for name in names if len(word) > 2 and name.lower().startswith(word.lower())][:1]
    return next((name for name in names if found and name.lower() == found[0]), None)


def is_loopback(host: str) -> bool:
    """Whether the host can only be this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse(expected: str, mend: str = "") -> NoReturn:
    raise PydanticCustomError("trueup", "{expected}{mend}", {"expected": expected, "mend": f"; {mend}" if mend else ""})


def _number(value: Any, expected: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        _refuse(expected)
    number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        _refuse(expected)
    return number


def _seconds(value: Any) -> float:
    expected = f"expected a duration in seconds, a number from 0 to {_YEAR_S} (a year)"
    number = _number(value, expected)
    if not 0 <= number <= _YEAR_S:
        _refuse(expected)
    return float(number)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        _refuse("expected a whole number from 1")
    return value


def _exact(value: Any, expected: str, example: str) -> Decimal:
    """From text or from a TOML number (by its own text); a `%` sign is pointed out."""
    if isinstance(value, str):
        if value.strip().endswith("%"):
            _refuse(expected, f'leave the sign out: "{example}"')
        try:
            value = Decimal(value)
        except InvalidOperation:
            _refuse(expected)
    elif isinstance(value, float):
        _refuse(expected, "give a Decimal or text: a binary float is not exact")
    return _number(value, expected)


def _fraction(value: Any) -> Decimal:
    expected = "expected a share between 0 and 1, e.g. 0.3"
    number = _exact(value, expected, "0.3")
    if not 0 <= number <= 1:
        _refuse(expected)
    return number


def _percent(value: Any) -> Decimal:
    expected = 'expected a percentage above 0 and below 100 as text, e.g. "5.0"'
    number = _exact(value, expected, "5.0")
    if not 0 < number < 100:
        _refuse(expected)
    return number


def _percent_or_zero(value: Any) -> Decimal:
    expected = 'expected a percentage from 0 and below 100 as text, e.g. "1.5"'
    number = _exact(value, expected, "1.5")
    if not 0 <= number < 100:
        _refuse(expected)
    return number


def _trailing_steps(value: Any) -> tuple[tuple[Decimal, Decimal], ...]:
    expected = 'expected pairs of percentages, profit and callback, e.g. [["3.0", "0.4"], ["5.0", "0.2"]]'
    if not isinstance(value, list | tuple):
        _refuse(expected)
    steps = []
    for pair in value:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            _refuse(expected)
        steps.append((_percent(pair[0]), _percent(pair[1])))
    for (profit, callback), (higher, tighter) in pairwise(steps):
        if higher <= profit or tighter >= callback:
            _refuse("expected every step at a higher profit, with a smaller callback, than the one before it")
    return tuple(steps)


def _yes_no(value: Any) -> bool:
    if not isinstance(value, bool):
        _refuse("expected true or false, without quotes")
    return value


def _word(kind: type[Word]) -> Callable[[Any], Word]:
    words = [word.value for word in kind]

    def read(value: Any) -> Word:
        if isinstance(value, kind):
            return value
        if isinstance(value, str) and value in words:
            return kind(value)
        near = did_you_mean(value, words) if isinstance(value, str) else None
        _refuse(f"expected one of {', '.join(words)}", f'did you mean "{near}"?' if near else "")

    return read


def _venue(value: Any) -> str:
    if isinstance(value, str) and value in SUPPORTED_VENUES:
        return value
    near = did_you_mean(value, SUPPORTED_VENUES) if isinstance(value, str) else None
    _refuse(
        f"expected a supported venue, one of {', '.join(SUPPORTED_VENUES)}",
        f'did you mean "{near}"?' if near else "",
    )


def _account_name(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", value):
        return value
    _refuse("expected a name of 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit")


def _symbols(value: Any) -> tuple[str, ...]:
    expected = 'expected a list of symbols, e.g. ["BTC/USDT:USDT"]'
    if not isinstance(value, list | tuple):
        _refuse(expected)
    for symbol in value:
        if not isinstance(symbol, str) or not symbol or symbol != symbol.strip():
            _refuse(expected)
    return tuple(value)


def _reference(value: Any, expected: str) -> SecretRef:
    if isinstance(value, SecretRef):
        return value
    if not isinstance(value, str) or not value.strip():
        _refuse(expected)
    try:
        return SecretRef.parse(value.strip())
    except ValueError as error:
        _refuse(f"{expected}: {error}")


def _key_reference(value: Any) -> SecretRef:
    expected = 'expected "env:NAME" or "file:PATH"'
    reference = _reference(value, expected)
    if reference.kind is SecretKind.LITERAL:
        _refuse(
            "a literal key is refused, so that none stands in a file that is copied around; "
            'write "env:NAME" (an environment variable) or "file:PATH" (a file only you can read), '
            "and make a new key on the venue if this one was shared"
        )
    return reference


def store_url_problem(url: str) -> str | None:
    """Why this cannot be a store's URL; None: it can. Says nothing of the URL itself."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in STORE_SCHEMES:
        return 'expected "sqlite:///FILE", "postgresql://user@host/database" or "env:NAME"'
    if scheme.startswith("sqlite"):
        return None if len(rest) > 1 and rest.startswith("/") else 'expected a file after "sqlite:///"'
    try:
        parts = urlsplit(url)
        named = bool(parts.path.strip("/")) and (parts.port is None or parts.port > 0)
    except ValueError:
        named = False
    return None if named else "expected postgresql://user@host:port/database, with the name of a database"


def _store_url(value: Any) -> SecretRef:
    reference = _reference(value, 'expected "sqlite:///FILE", "postgresql://user@host/database" or "env:NAME"')
    if reference.kind is SecretKind.LITERAL and (problem := store_url_problem(reference.target)) is not None:
        _refuse(problem)
    return reference


def _alert_url(value: Any) -> SecretRef:
    expected = 'expected an apprise URL such as "tgram://...", or "env:NAME"'
    reference = _reference(value, expected)
    if reference.kind is SecretKind.LITERAL and not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://.", reference.target):
        _refuse(expected)
    return reference


def _proxy_url(value: Any) -> SecretRef:
    expected = f'expected a URL with host, of {", ".join(PROXY_SCHEMES)}, or "env:NAME"'
    reference = _reference(value, expected)
    if reference.kind is SecretKind.LITERAL and _host_of(reference.target, PROXY_SCHEMES) is None:
        _refuse(expected)
    return reference


def _host_of(url: str, schemes: tuple[str, ...]) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname if parts.scheme in schemes else None


def _endpoint(plain: str, secure: str) -> Callable[[Any], str]:
    """A base URL of `secure`, or of `plain` where the host is this machine: keys never cross a network in the clear."""

    def read(value: Any) -> str:
        expected = f"expected {secure}://HOST, or {plain}://127.0.0.1:PORT on this machine"
        host = _host_of(value, (plain, secure)) if isinstance(value, str) else None
        if not isinstance(value, str) or host is None or "@" in value or "?" in value or "#" in value:
            _refuse(expected)
        if value.startswith(f"{plain}://") and not is_loopback(host):
            _refuse(
                f"{plain} to another machine would send signed requests in the clear",
                f"use {secure}://, or {plain} only to 127.0.0.1, ::1 or localhost",
            )
        return value.rstrip("/")

    return read


def _listen(value: Any) -> HostPort | None:
    expected = 'expected "host:port", e.g. "127.0.0.1:9464", or "" for none'
    if value is None or isinstance(value, HostPort):
        return value
    if not isinstance(value, str):
        _refuse(expected)
    if value == "":
        return None
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):(\d{1,5})", value)
    if found is None or int(found.group(3)) > 65535:
        _refuse(expected)
    return HostPort(found.group(1) or found.group(2), int(found.group(3)))


_HIDDEN = PlainSerializer(lambda reference: reference.label, return_type=str)

Seconds = Annotated[float, PlainValidator(_seconds)]
Count = Annotated[int, PlainValidator(_count)]
Fraction = Annotated[Decimal, PlainValidator(_fraction)]
Percent = Annotated[Decimal, PlainValidator(_percent)]
PercentOrZero = Annotated[Decimal, PlainValidator(_percent_or_zero)]
YesNo = Annotated[bool, PlainValidator(_yes_no)]
ModeWord = Annotated[AccountMode, PlainValidator(_word(AccountMode))]
AdoptWord = Annotated[AdoptPolicy, PlainValidator(_word(AdoptPolicy))]
TriggerWord = Annotated[TriggerBy, PlainValidator(_word(TriggerBy))]
UnprotectableWord = Annotated[UnprotectableAction, PlainValidator(_word(UnprotectableAction))]
TrailingWord = Annotated[TrailingKind, PlainValidator(_word(TrailingKind))]
TrailingSteps = Annotated[tuple[tuple[Decimal, Decimal], ...], PlainValidator(_trailing_steps)]
SeverityWord = Annotated[Severity, PlainValidator(_word(Severity))]
VenueName = Annotated[str, PlainValidator(_venue)]
AccountName = Annotated[str, PlainValidator(_account_name)]
Symbols = Annotated[tuple[str, ...], PlainValidator(_symbols)]
KeyReference = Annotated[SecretRef, PlainValidator(_key_reference), _HIDDEN]
StoreUrl = Annotated[SecretRef, PlainValidator(_store_url), _HIDDEN]
AlertUrl = Annotated[SecretRef, PlainValidator(_alert_url), _HIDDEN]
ProxyUrl = Annotated[SecretRef, PlainValidator(_proxy_url), _HIDDEN]
RestUrl = Annotated[str, PlainValidator(_endpoint("http", "https"))]
StreamUrl = Annotated[str, PlainValidator(_endpoint("ws", "wss"))]
ListenAddress = Annotated[HostPort | None, PlainValidator(_listen)]
