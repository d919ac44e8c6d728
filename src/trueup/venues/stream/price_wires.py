"""How each venue's public stream is asked for mark prices, and what it answers.

1. A message is a price, an answer to a request of ours, a pong, or nothing of ours; anything else is `Unobserved`.
2. Bybit tells a field only when it changed: a message without a mark price says that it stands.

Source: Binance USDⓈ-M "Mark Price Stream" and "Live Subscribing"; Bybit v5 "Ticker" and "Connect" of public streams.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import msgspec

from trueup.model.decimals import parse_decimal
from trueup.model.errors import Unreadable
from trueup.venues.stream.bybit import is_pong, ping_text
from trueup.venues.stream.bybit_events import answer_of
from trueup.venues.stream.socket import PONG, Frame, Socket
from trueup.venues.wire import Number, decode, decoder, exact, whole

__all__ = ["BinancePrices", "BybitPrices", "Heard", "PriceWire", "Told"]


@dataclass(frozen=True, slots=True)
class Told:
    """A mark price of a venue symbol, quote units."""

    venue_symbol: str
    price: Decimal
    at_ms: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What a frame was. `answers`: the number of the request of ours that it answers; `refused`: with these words."""

    told: Told | None = None
    answers: int | None = None
    refused: str | None = None
    pong: bool = False


class PriceWire(Protocol):
    """One public stream.

    Attributes:
        per_request: How many symbols one request may name.
        renews: Whether the venue cuts a connection for its age.
    """

    url: str
    per_request: int
    renews: bool

    def request(self, number: int, venue_symbols: Sequence[str], *, subscribe: bool) -> str: ...

    async def ping(self, socket: Socket) -> None: ...

    def read(self, frame: Frame) -> Heard:
        """Raises `Unobserved`."""
        ...


class _BinanceRow(msgspec.Struct, frozen=True):
    e: str | None = None
    event: Number = msgspec.field(name="E", default=None)
    s: str | None = None
    p: Number = None
    id: int | None = None
    code: int | None = None
    msg: str | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Ticker(msgspec.Struct, frozen=True):
    symbol: str
    mark_price: Number = msgspec.field(name="markPrice", default=None)


class _BybitRow(msgspec.Struct, frozen=True):
    data: _Ticker
    ts: Number = None


_BINANCE = decoder(_BinanceRow)
_BYBIT = decoder(_BybitRow)


class BinancePrices:
    """``<symbol>@markPrice@1s`` on the market stream."""

    per_request = 100
    renews = True

    def __init__(self, base_url: str) -> None:
        self.url = f"{base_url.rstrip('/')}/market/ws"

    def request(self, number: int, venue_symbols: Sequence[str], *, subscribe: bool) -> str:
        names = [f"{venue_symbol.lower()}@markPrice@1s" for venue_symbol in venue_symbols]
        return json.dumps({"method": "SUBSCRIBE" if subscribe else "UNSUBSCRIBE", "params": names, "id": number})

    async def ping(self, socket: Socket) -> None:
        await socket.ping()

    def read(self, frame: Frame) -> Heard:
        if frame is PONG:
            return Heard(pong=True)
        source = "binance mark prices"
        row = decode(frame, _BINANCE, source)
        if row.e == "markPriceUpdate":
            return Heard(told=exact(source, _told, row.s, row.p, row.event))
        if row.e is not None:
            return Heard()
        refused = row.msg or bytes(row.error).decode() or None
        if refused is None and row.code is not None:
            refused = f"code {row.code}"
        return Heard(answers=row.id, refused=refused)


class BybitPrices:
    """``tickers.<symbol>`` on the public stream of one category."""

    per_request = 50
    renews = False

    def __init__(self, base_url: str, category: str) -> None:
        self.url = f"{base_url.rstrip('/')}/v5/public/{category}"

    def request(self, number: int, venue_symbols: Sequence[str], *, subscribe: bool) -> str:
        topics = [f"tickers.{venue_symbol}" for venue_symbol in venue_symbols]
        return json.dumps({"op": "subscribe" if subscribe else "unsubscribe", "req_id": str(number), "args": topics})

    async def ping(self, socket: Socket) -> None:
        await socket.send(ping_text())

    def read(self, frame: Frame) -> Heard:
        if frame is PONG:
            return Heard()
        source = "bybit mark prices"
        head = answer_of(frame)
        if is_pong(head):
            return Heard(pong=True)
        if head.topic is not None:
            row = decode(frame, _BYBIT, source)
            if row.data.mark_price is None:
                return Heard()
            return Heard(told=exact(source, _told, row.data.symbol, row.data.mark_price, row.ts))
        if head.op not in ("subscribe", "unsubscribe") or not (head.req_id or "").isdigit():
            return Heard()
        refused = None if head.success else head.ret_msg or "without a reason"
        return Heard(answers=int(head.req_id or ""), refused=refused)


def _told(venue_symbol: str | None, price: object, at: object) -> Told:
    if not venue_symbol:
        raise Unreadable("symbol of a mark price", expected="a symbol", found=venue_symbol)
    read = parse_decimal(price, f"mark price of {venue_symbol}")
    if read <= 0:
        raise Unreadable(f"mark price of {venue_symbol}", expected="a positive price", found=str(read))
    return Told(venue_symbol, read, whole(at, f"time of the mark price of {venue_symbol}"))
