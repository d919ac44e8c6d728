"""What an unmodified ccxt or ccxt.pro makes of each fault, by venue: asserted by the tests, printed in docs/venue.md.

Where the text begins with a class name in backticks, the tests compare it with what was raised. None: the venue has no
such thing.
"""

from __future__ import annotations

from trueup.sim.faults import FaultKind

SAME = "the same"
SEEN: dict[FaultKind, tuple[str | None, str | None]] = {
    FaultKind.HTTP_ERROR: ("`ExchangeError` with -1008", "`ExchangeNotAvailable`"),
    FaultKind.RATE_LIMIT: ("`DDoSProtection`; `Retry-After` in the headers", "`RateLimitExceeded`"),
    FaultKind.BANNED: ("`DDoSProtection`; `Retry-After` in the headers", "`RateLimitExceeded`"),
    FaultKind.MAINTENANCE: ("`BadRequest` with -1016; streams end", "`ExchangeError` with 10016; streams end"),
    FaultKind.HTML: ("no error: `fetch_positions` returns `[]`, `create_order` an order without an id", SAME),
    FaultKind.TRUNCATED: ("no error: `fetch_positions` returns `[]`, `create_order` an order without an id", SAME),
    FaultKind.EMPTY: ("no error: an empty list", SAME),
    FaultKind.DROP_FIELD: (
        "no error: without `entryPrice` the position is left out",
        "no error: `None` for `avgPrice`",
    ),
    FaultKind.SET_FIELD: ("the position with that value", SAME),
    FaultKind.SLOW: ("`RequestTimeout` beyond its `timeout`; what was sent is carried out all the same", SAME),
    FaultKind.HANG: ("`RequestTimeout`", SAME),
    FaultKind.DISCONNECT: ("`ExchangeNotAvailable`; a GET on a used connection is silently sent once more", SAME),
    FaultKind.ANSWER_LOST: (
        "`ExchangeNotAvailable`, or `RequestTimeout` (hang; error, -1007); the order is there",
        "`ExchangeNotAvailable`, `RequestTimeout` (hang) or `ExchangeError` (error, 10000); the order is there",
    ),
    FaultKind.STALE: ("the state of then: a closed position, a missing fill, a missing order", SAME),
    FaultKind.STREAM_DROP: ("`watch_my_trades` never tells the fill", SAME),
    FaultKind.STREAM_DUPLICATE: ("the message twice", SAME),
    FaultKind.STREAM_DELAY: ("the message after younger ones of other kinds", SAME),
    FaultKind.STREAM_REORDER: ("the message after the one that followed it", SAME),
    FaultKind.STREAM_SILENT: ("nothing; the socket is open until a ping is missed", SAME),
    FaultKind.STREAM_DISCONNECT: ("`NetworkError`: closed with 1006", SAME),
    FaultKind.STREAM_REFUSED: ("`NetworkError`: the handshake is answered `status`", SAME),
    FaultKind.LISTEN_KEYS_EXPIRED: ("`listenKeyExpired`, then silence on an open socket", None),
    FaultKind.CLOCK_SKEW: ("`InvalidNonce` with -1021", "`InvalidNonce` with 10002"),
}


def seen(kind: FaultKind, venue: str) -> str:
    """What stands in the table."""
    binance, bybit = SEEN[kind]
    text = binance if venue == "binance" or bybit == SAME else bybit
    assert text is not None
    return text


def raised_class(kind: FaultKind, venue: str) -> str:
    """The class that the table names first."""
    text = seen(kind, venue)
    assert text.startswith("`")
    return text.split("`")[1]
