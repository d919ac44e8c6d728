"""One thin client over ccxt's exchange classes: an endpoint call gives the raw text of the answer.

1. ccxt signs and maps errors; `trueup.venues.limits` paces. The answer's text is decoded once, by our own typed
   structs. On the way only the error code and its text are looked at.
2. Every failure is an error of `trueup.model.errors`; what reached ccxt's own errors (URLs with signature and key) does
   not come out, not even as the context of ours.
3. No request goes to a host other than the futures API's: only its URLs are kept, and `rest_url` replaces them.
4. Every request is bounded in time.
"""

from __future__ import annotations

import copy
import functools
import logging
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import yarl
from ccxt.async_support.binanceusdm import binanceusdm
from ccxt.async_support.bybit import bybit
from ccxt.base import errors

from trueup.model.errors import AuthenticationRefused, ClockSkewed, OutcomeUnknown, RateLimited, TrueupError, Unobserved
from trueup.venues.connections import Connections, tls
from trueup.venues.faults import BINANCE_CODES, BYBIT_CODES, Codes, Scrubber, VenueAnswered, meaning
from trueup.venues.limits import AccountLimits, RequestBudget, stated_wait_s

if TYPE_CHECKING:
    from trueup.ports import Clock

__all__ = ["TIMEOUT_S", "Client", "make_client"]

TIMEOUT_S = 10.0
_REST_AFTER_429_S = 10
_REST_AFTER_BAN_S = {418: 120, 403: 600}  # Binance's shortest; Bybit lifts it by itself after ten minutes


class _Silent(logging.Logger):
    """ccxt logs every request with its headers, the key among them, at DEBUG: that must reach no handler."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the standard library's name
        return False


class _Body:
    """An answer's text, which may be megabytes and is not copied, with its HTTP status and its headers (lower-case names)."""

    __slots__ = ("headers", "status", "text")

    def __init__(self, text: str, status: int, headers: Mapping[str, str]) -> None:
        self.text, self.status, self.headers = text, status, headers

    def __str__(self) -> str:
        return self.text


class _Envelope(dict[str, Any]):
    """What of an answer ccxt gets to see: code and message. The text goes on to our own decoders."""

    __slots__ = ("headers", "is_object", "text")
    text: str
    is_object: bool
    headers: Mapping[str, str]


class _Head(msgspec.Struct):
    code: int | str | None = None
    msg: Any = None
    success: Any = None
    retCode: int | str | None = None  # noqa: N815 - the wire's name
    retMsg: Any = None  # noqa: N815


_FINE = '{"retCode":0,"retMsg":"OK",'
_LONG = 4096
_head_decoder = msgspec.json.Decoder(_Head)


@functools.cache
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    """Of everything, and of each part: a connection that was dropped silently does not answer either."""
    return aiohttp.ClientTimeout(total=seconds, sock_connect=seconds, sock_read=seconds)


def _envelope(answer: _Body) -> _Envelope:
    body = answer.text
    envelope = _Envelope()
    envelope.text = body
    envelope.is_object = False
    envelope.headers = answer.headers
    if len(body) > _LONG and body.startswith(_FINE):
        # A long list of Bybit's: what it says of itself stands first, and the decoder of its rows reads the rest.
        envelope.is_object = True
        envelope.update(retCode=0, retMsg="OK")
    elif body.startswith("{"):
        try:
            head = _head_decoder.decode(body)
        except msgspec.DecodeError:
            return envelope
        envelope.is_object = True
        envelope.update((name, value) for name, value in msgspec.structs.asdict(head).items() if value is not None)
    return envelope


class _RawAnswers:
    """Mixed in before a ccxt class: raw text out, our error in, our clock for timestamps."""

    our_clock: Clock

    def milliseconds(self) -> int:
        return self.our_clock.now_ms()

    async def request(
        self,
        path: str,
        api: list[str],
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        config: object = None,
    ) -> _Envelope:
        """Signed by ccxt and sent once: its own pacing, retries and memory of requests are not for us."""
        signed = self.sign(path, api, method, params or {})  # type: ignore[attr-defined]
        url, headers, body = signed["url"], signed["headers"], signed["body"]
        if self.socksProxy or self.aiohttp_proxy:  # type: ignore[attr-defined]
            envelope: _Envelope = await self.fetch(url, method, headers, body)  # type: ignore[attr-defined]
            return envelope
        return await self._send(url, method, headers, body)

    async def _send(self, url: str, method: str, headers: dict[str, str] | None, body: str | None) -> _Envelope:
        """As ccxt's `fetch` does it where no proxy stands between; fails with its errors."""
        sent = self.prepare_request_headers(headers)  # type: ignore[attr-defined]
        self.open(True)  # type: ignore[attr-defined]
        details = f"{self.id} {method} {url}"  # type: ignore[attr-defined]
        send = getattr(self.session, method.lower())  # type: ignore[attr-defined]
        try:
            async with send(
                yarl.URL(url, encoded=True),
                data=body.encode() if body else None,
                headers=sent,
                timeout=_timeout(self.timeout / 1000),  # type: ignore[attr-defined]
            ) as response:
                text, status, reason = await response.text(errors="replace"), response.status, response.reason
                told = {name.lower(): value for name, value in response.headers.items()}
        except socket.gaierror as error:
            raise errors.ExchangeNotAvailable(details) from error
        except TimeoutError as error:
            raise errors.RequestTimeout(details) from error
        except aiohttp.ClientConnectionError as error:
            raise errors.ExchangeNotAvailable(details) from error
        except aiohttp.ClientError as error:
            raise errors.ExchangeError(details) from error
        answer = _Body(text.strip(), status, told)
        envelope = _envelope(answer)
        self.handle_errors(status, reason, url, method, told, answer, envelope, sent, body)
        return envelope

    def on_rest_response(
        self,
        code: int,
        reason: str,
        url: str,
        method: str,
        response_headers: Mapping[str, str],
        response_body: str,
        request_headers: object,
        request_body: object,
    ) -> _Body:
        return _Body(response_body.strip(), code, {name.lower(): value for name, value in response_headers.items()})

    def parse_json(self, http_response: _Body) -> _Envelope:
        return _envelope(http_response)

    def error_of(self, envelope: _Envelope) -> tuple[str | None, str] | None:
        """The payload's error code (None: it is no answer of this venue at all) and text; None: no error in it."""
        raise NotImplementedError

    def handle_errors(
        self,
        code: int,
        reason: str,
        url: str,
        method: str,
        headers: Mapping[str, str],
        body: _Body,
        response: _Envelope,
        request_headers: object,
        request_body: object,
    ) -> None:
        found = self.error_of(response)
        if found is None and code < 400:
            return
        error_code, text = found if found is not None else (None, _plain(body.text) or reason or "")
        mapped: type[Exception] | None = None
        try:
            super().handle_errors(  # type: ignore[misc]
                code, reason, url, method, headers, body.text, response, request_headers, request_body
            )
        except errors.BaseError as error:
            mapped = type(error)
        raise VenueAnswered(code, error_code, text, body.headers, mapped)


class _RawBinance(_RawAnswers, binanceusdm):  # type: ignore[misc]
    def error_of(self, envelope: _Envelope) -> tuple[str | None, str] | None:
        code = envelope.get("code")
        if code is None or not str(code).startswith("-"):
            return None
        return str(code), str(envelope.get("msg", ""))


class _RawBybit(_RawAnswers, bybit):  # type: ignore[misc]
    def error_of(self, envelope: _Envelope) -> tuple[str | None, str] | None:
        code = envelope.get("retCode")
        if code is None:
            return None
        return None if str(code) == "0" else (str(code), str(envelope.get("retMsg", "")))


def _plain(body: str) -> str:
    """What an answer that is not the venue's own says: a line of text, but no page of HTML."""
    return "" if body.startswith("<") else body[:200]


class Client:
    """Calls a venue's endpoints by the names of ccxt's implicit methods (``fapiPrivateV3GetPositionRisk``).

    Attributes:
        budget: Of this client's way out; others may share it.
        limits: The account's part of it; every request passes there.
        skew_refused: The venue refused a timestamp of ours since the skew was last set.
    """

    def __init__(
        self,
        exchange: Any,
        codes: Codes,
        budget: RequestBudget,
        clock: Clock,
        scrub: Scrubber,
        connections: Connections,
    ) -> None:
        self._exchange = exchange
        self._connections = connections
        self._is_open = True
        connections.join()
        self._codes = codes
        self.budget = budget
        self.limits = AccountLimits(budget, clock)
        self.clock = clock
        self._scrub = scrub
        self._skew_ms = 0
        self.skew_refused = False

    def __repr__(self) -> str:
        return f"Client({self._exchange.id})"

    def set_skew(self, skew_ms: int) -> None:
        """`skew_ms`: venue clock minus ours; timestamps are signed in venue time from now on."""
        self._skew_ms = skew_ms
        self.skew_refused = False
        self._exchange.options["timeDifference"] = -skew_ms

    def currency(self, code: str) -> str:
        """ccxt's unified code of a venue's coin."""
        unified = self._exchange.safe_currency_code(code)
        return unified if isinstance(unified, str) else code

    async def read(self, endpoint: str, params: Mapping[str, str | int], *, source: str) -> str:
        """Asks, and returns the answer's text.

        Raises:
            Unobserved: No answer came, or an error did (`Refused` carries its code). Also its kinds.
            AuthenticationRefused: The key is refused.
        """
        envelope = await self._call(endpoint, params, source=source, action=False)
        return envelope.text

    async def act(self, endpoint: str, params: Mapping[str, str | int], *, source: str) -> str:
        """Has something carried out, and returns the answer's text once the venue says that it was.

        Raises:
            Rejected, UnknownOrder: Not carried out, with the venue's code.
            OutcomeUnknown: Sent, and no readable answer came.
            Unobserved: It never left (no connection, or the venue wants a rest). Also its kinds.
            AuthenticationRefused: The key is refused.
        """
        envelope = await self._call(endpoint, params, source=source, action=True)
        if not envelope.is_object:
            raise OutcomeUnknown(f"{source}: the answer is no JSON object; it may have been carried out")
        return envelope.text

    async def aclose(self) -> None:
        await self._exchange.close()
        if self._is_open:
            self._is_open = False
            await self._connections.leave()

    async def _call(self, endpoint: str, params: Mapping[str, str | int], *, source: str, action: bool) -> _Envelope:
        call = getattr(self._exchange, endpoint)
        self._exchange.session = self._connections.session
        fault: TrueupError
        async with self.limits.sending(endpoint, params, source) as sending:
            try:
                envelope: _Envelope = await call(dict(params))
            except VenueAnswered as answered:
                sending.told(answered.headers)
                fault = self._refusal(answered, source, action)
            except (errors.BaseError, OSError) as broken:
                fault = _no_answer(broken, source, action, self._exchange.timeout / 1000)
            else:
                sending.told(envelope.headers)
                return envelope
        # Raised here, outside the handlers, so that ccxt's error (its URL holds key and signature) is not its context.
        raise fault

    def _refusal(self, answered: VenueAnswered, source: str, action: bool) -> TrueupError:
        wait_s = stated_wait_s(answered.headers, answered.text, self.clock.now_ms() + self._skew_ms)
        text = self._scrub(answered.text)
        fault = meaning(answered, self._codes, source=source, action=action, wait_s=wait_s, text=text)
        if isinstance(fault, RateLimited):
            usual_s = _REST_AFTER_BAN_S.get(answered.status, _REST_AFTER_429_S)
            self.budget.rest(usual_s if wait_s is None else wait_s, str(fault))
        elif isinstance(fault, ClockSkewed):
            self.skew_refused = True
        return fault


def _no_answer(broken: Exception, source: str, action: bool, timeout_s: float) -> TrueupError:
    """What a call that brought no answer means. Only the kind of failure is told, never ccxt's text."""
    cause = broken.__cause__ or broken
    if isinstance(broken, errors.AuthenticationError):
        return AuthenticationRefused(f"{source}: no key or no secret is configured for this account")
    if isinstance(broken, errors.RequestTimeout) or isinstance(cause, TimeoutError):
        problem = f"no answer within {timeout_s:g} s"
    elif isinstance(cause, aiohttp.ClientConnectorError) or type(cause).__name__ == "gaierror":
        return Unobserved(source, f"no connection could be made ({type(cause).__name__})")
    else:
        problem = f"the connection broke before the answer was complete ({type(cause).__name__})"
    if action:
        return OutcomeUnknown(f"{source}: {problem}; it may have been carried out")
    return Unobserved(source, problem)


_FUTURES_APIS = {
    "binanceusdm": ("fapiPublic", "fapiPublicV2", "fapiPublicV3", "fapiPrivate", "fapiPrivateV2", "fapiPrivateV3"),
    "bybit": ("public", "private"),
}


def make_client(
    venue: str,
    *,
    api_key: str,
    api_secret: str,
    rest_url: str | None,
    proxy: str | None,
    clock: Clock,
    budget: RequestBudget | None = None,
    connections: Connections | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Client:
    """A client of ``binanceusdm`` or ``bybit``.

    Args:
        rest_url: Replaces scheme and host of every REST URL; None: the venue's own.
        proxy: ``http://…`` or ``socks5://…`` (needs the package aiohttp-socks); None: direct.
        budget: Shared with other clients behind the same way out; None: its own.
        connections: Shared with other clients behind the same way out (not SOCKS: ccxt opens those); None: its own.
        timeout_s: For one request, from its sending to the end of its answer.
    """
    exchange = copy.copy(_model(venue))
    exchange.options = dict(exchange.options)
    exchange.apiKey, exchange.secret = api_key, api_secret
    exchange.timeout = int(timeout_s * 1000)
    exchange.our_clock = clock
    exchange.urls = {**exchange.urls, "api": _urls(exchange, venue, rest_url)}
    if proxy is not None:
        setattr(exchange, "socksProxy" if proxy.startswith("socks") else "aiohttp_proxy", proxy)
    scrub = Scrubber((api_key, api_secret))
    connections = Connections(rest_url) if connections is None else connections
    return Client(exchange, _CODES[venue], budget or RequestBudget(venue, clock), clock, scrub, connections)


_CODES: Mapping[str, Codes] = {"binanceusdm": BINANCE_CODES, "bybit": BYBIT_CODES}


@functools.cache
def _model(venue: str) -> Any:
    """What all clients of a venue share: making a ccxt object is slow and large, copying one is neither."""
    kind: Any = {"binanceusdm": _RawBinance, "bybit": _RawBybit}[venue]
    exchange = kind(
        {
            "enableRateLimit": False,  # each instance would pace alone, by its own clock and ccxt's weights
            "enableLastHttpResponse": False,
            "enableLastJsonResponse": False,
            "enableLastResponseHeaders": False,
            "logger": _Silent("trueup.venues.ccxt"),
        }
    )
    exchange.has = {**exchange.has, "fetchCurrencies": False}
    exchange.ssl_context = tls()
    exchange.own_session = False
    exchange.timeout_on_exit = 0  # the wait is for TLS connections to end, which `Connections` does
    return exchange


def _urls(exchange: Any, venue: str, rest_url: str | None) -> dict[str, str]:
    own = exchange.urls["api"]
    kept = {name: exchange.implode_hostname(own[name]) for name in _FUTURES_APIS[venue]}
    if rest_url is None:
        return kept
    return {name: rest_url.rstrip("/") + urlsplit(url).path for name, url in kept.items()}
