"""The messages of Binance's user stream as they stand on the wire: one-letter fields, of which we read these.

`E` is when the message was made, `T` when the change happened.
Source: developers.binance.com, USDⓈ-M Futures user data streams.
"""

from __future__ import annotations

import msgspec

from trueup.venues.wire import Number, decoder

__all__ = [
    "ACCOUNT",
    "ALGO",
    "HEAD",
    "LITE",
    "ORDER",
    "AccountMessage",
    "AlgoMessage",
    "LiteMessage",
    "OrderMessage",
    "PositionRow",
]


class _Row(msgspec.Struct, frozen=True, gc=False):
    pass


class HeadRow(_Row, frozen=True):
    e: str | None = None
    event: Number = msgspec.field(name="E", default=None)
    data: msgspec.Raw = msgspec.Raw()


class BalanceRow(_Row, frozen=True):
    a: str
    wb: Number = None
    cw: Number = None
    bc: Number = None


class PositionRow(_Row, frozen=True):
    s: str
    pa: Number = None
    ep: Number = None
    cr: Number = None
    ps: str | None = None


class AccountRow(_Row, frozen=True):
    m: str = ""
    balances: list[BalanceRow] = msgspec.field(name="B", default_factory=list)
    positions: list[PositionRow] = msgspec.field(name="P", default_factory=list)


class AccountMessage(_Row, frozen=True):
    a: AccountRow
    event: Number = msgspec.field(name="E")
    at: Number = msgspec.field(name="T")


class OrderRow(_Row, frozen=True):
    s: str
    i: Number
    side: str = msgspec.field(name="S")
    status: str = msgspec.field(name="X")
    o: str
    x: str
    c: Number = None
    ot: str | None = None
    ps: str | None = None
    q: Number = None
    z: Number = None
    p: Number = None
    ap: Number = None
    sp: Number = None
    activation: Number = msgspec.field(name="AP", default=None)
    cr: Number = None
    wt: str | None = None
    l: Number = None  # noqa: E741 - the wire's name
    last_price: Number = msgspec.field(name="L", default=None)
    n: Number = None
    fee_asset: str | None = msgspec.field(name="N", default=None)
    at: Number = msgspec.field(name="T", default=None)
    t: Number = None
    rp: Number = None
    reduce_only: Number = msgspec.field(name="R", default=None)
    cp: Number = None
    m: Number = None


class OrderMessage(_Row, frozen=True):
    o: OrderRow
    event: Number = msgspec.field(name="E")
    at: Number = msgspec.field(name="T")


class AlgoRow(_Row, frozen=True):
    s: str
    aid: Number
    o: str
    side: str = msgspec.field(name="S")
    status: str = msgspec.field(name="X")
    caid: Number = None
    at: str = ""
    ps: str | None = None
    q: Number = None
    tp: Number = None
    p: Number = None
    wt: str | None = None
    reduce_only: Number = msgspec.field(name="R", default=None)
    cp: Number = None
    ai: Number = None
    ap: Number = None
    aq: Number = None
    tt: Number = None
    rm: str | None = None


class AlgoMessage(_Row, frozen=True):
    o: AlgoRow
    event: Number = msgspec.field(name="E")
    at: Number = msgspec.field(name="T")


class LiteMessage(_Row, frozen=True):
    s: str
    i: Number
    t: Number
    side: str = msgspec.field(name="S")
    event: Number = msgspec.field(name="E")
    at: Number = msgspec.field(name="T")
    c: Number = None
    q: Number = None
    p: Number = None
    l: Number = None  # noqa: E741 - the wire's name
    last_price: Number = msgspec.field(name="L", default=None)
    m: Number = None


HEAD = decoder(HeadRow)
ACCOUNT = decoder(AccountMessage)
ORDER = decoder(OrderMessage)
ALGO = decoder(AlgoMessage)
LITE = decoder(LiteMessage)
