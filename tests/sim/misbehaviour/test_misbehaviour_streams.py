"""Each fault of streams, as an unmodified ccxt.pro and a raw client see it through the real wires."""

from __future__ import annotations

import ast
import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import pytest
from misbehaviour_case import BTC, ETH, FILL_OF_BTC, PATIENCE_S, Case, error_of
from misbehaviour_seen import SEEN, raised_class

from trueup.sim.faults import Fault, FaultKind

BTC_FILLS = [("BTCUSDT", "0.010"), ("BTCUSDT", "0.020"), ("BTCUSDT", "0.030")]
ETH_FILL = ("ETHUSDT", "1.000")


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")


def trade(case: Case) -> None:
    """Three fills of BTC, then one of ETH."""
    for quantity in ("0.01", "0.02", "0.03"):
        case.open(quantity)
    case.open("1", "ETHUSDT")


def normal(fills: list[tuple[str, str]]) -> list[tuple[str, float]]:
    return [(symbol, float(quantity)) for symbol, quantity in fills]


@pytest.mark.parametrize(
    ("kind", "scope", "told"),
    [
        (None, {}, [0, 1, 2, "eth"]),
        (FaultKind.STREAM_DROP, {"skip": 1, "count": 1}, [0, 2, "eth"]),
        (FaultKind.STREAM_DUPLICATE, {"count": 1}, [0, 0, 1, 2, "eth"]),
        (FaultKind.STREAM_DELAY, {"delay_ms": 200, "skip": 2, "count": 1}, [0, 1, "eth", 2]),
    ],
    ids=str,
)
async def test_messages_of_fills(
    case: Case, session: aiohttp.ClientSession, kind: FaultKind | None, scope: dict[str, int], told: list[Any]
) -> None:
    stream = await case.stream(session)
    if kind is not None:
        case.fault(kind, text=FILL_OF_BTC[case.venue], **scope)
    trade(case)
    heard = normal(await stream.fills())
    if told[-1] != "eth":
        heard += normal(await stream.fills("BTCUSDT"))
    assert heard == normal([ETH_FILL if each == "eth" else BTC_FILLS[each] for each in told])


async def test_a_message_comes_after_the_one_that_followed_it(case: Case, session: aiohttp.ClientSession) -> None:
    stream = await case.stream(session)
    text = {"binance": "TRADE_LITE", "bybit": "execution"}[case.venue]
    # what lies between two fills (other kinds of messages) is dropped, so that the next message is the next fill
    case.server.front.add_fault(Fault(FaultKind.STREAM_DROP, account="mine", text=f"^((?!{text}).)*$"))
    case.fault(FaultKind.STREAM_REORDER, text=FILL_OF_BTC[case.venue], delay_ms=60_000, skip=1, count=1)
    trade(case)
    assert normal(await stream.fills()) == normal([BTC_FILLS[0], BTC_FILLS[2], BTC_FILLS[1], ETH_FILL])


async def watching(case: Case, awaitable: Any) -> asyncio.Task[Any]:
    """What a ccxt.pro client waits for, once the venue hears it."""
    task = asyncio.ensure_future(awaitable)
    topics = {"bybit": lambda session: "execution" in getattr(session, "topics", ()), "binance": lambda session: True}
    await until(lambda: any(topics[case.venue](gate.session) for gate in case.server.front.gates))
    return task


async def test_ccxt_never_hears_of_a_dropped_fill(case: Case) -> None:
    waiting = await watching(case, case.exchange.watch_my_trades())
    text = {"binance": '"e":"ORDER_TRADE_UPDATE".*BTCUSDT', "bybit": FILL_OF_BTC["bybit"]}[case.venue]
    planned = case.fault(FaultKind.STREAM_DROP, text=text)
    trade(case)
    (heard,) = await asyncio.wait_for(waiting, PATIENCE_S)
    assert heard["symbol"] == ETH
    assert planned.hits >= 3
    assert {row["symbol"] for row in await case.exchange.fetch_my_trades(BTC)} == {BTC}


async def test_ccxt_hears_a_delayed_fill_late(case: Case) -> None:
    waiting = await watching(case, case.exchange.watch_my_trades(BTC))
    case.fault(FaultKind.STREAM_DELAY, delay_ms=300)
    started = time.monotonic()
    case.open()
    await asyncio.wait_for(waiting, PATIENCE_S)
    assert time.monotonic() - started > 0.29


async def test_a_silent_socket_stays_open_and_leaves_pings_unanswered(
    case: Case, session: aiohttp.ClientSession
) -> None:
    stream = await case.stream(session, heartbeat=0.4)
    case.fault(FaultKind.STREAM_SILENT)
    trade(case)
    with pytest.raises(asyncio.TimeoutError):
        await stream.socket.receive(timeout=0.15)
    assert not stream.socket.closed
    ended = await stream.socket.receive(timeout=PATIENCE_S)
    assert ended.type in (aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSED)
    assert case.view.positions() != []


async def test_a_forced_disconnect(case: Case) -> None:
    waiting = await watching(case, case.exchange.watch_my_trades())
    case.fault(FaultKind.STREAM_DISCONNECT, count=1)
    raised = await error_of(asyncio.wait_for(waiting, PATIENCE_S))
    assert raised == raised_class(FaultKind.STREAM_DISCONNECT, case.venue)
    again = await watching(case, case.exchange.watch_my_trades())
    case.open()
    assert (await asyncio.wait_for(again, PATIENCE_S))[0]["amount"] == 0.01


async def test_a_flapping_socket(case: Case, session: aiohttp.ClientSession) -> None:
    planned = case.fault(FaultKind.STREAM_DISCONNECT, count=3)
    for _ in range(3):
        stream = await case.stream(session)
        ended = await stream.socket.receive(timeout=PATIENCE_S)
        assert ended.type in (aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSED)
        assert stream.socket.close_code == 1006
    assert planned.spent
    stream = await case.stream(session)
    trade(case)
    assert len(await stream.fills()) == 4


async def test_a_refused_stream(case: Case) -> None:
    case.fault(FaultKind.STREAM_REFUSED, account=None, status=503, count=1)
    raised = await error_of(asyncio.wait_for(case.exchange.watch_my_trades(), PATIENCE_S))
    assert raised == raised_class(FaultKind.STREAM_REFUSED, case.venue)


async def test_maintenance_ends_streams_and_refuses_new_ones(case: Case, session: aiohttp.ClientSession) -> None:
    stream = await case.stream(session)
    case.fault(FaultKind.MAINTENANCE, account=None)
    ended = await stream.socket.receive(timeout=PATIENCE_S)
    assert ended.type in (aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSED)
    with pytest.raises((aiohttp.WSServerHandshakeError, ccxt.BaseError)):
        await case.stream(session)


@pytest.mark.parametrize("case", ["binance"], indirect=True)
async def test_an_expired_listen_key_is_told_and_then_nothing_more(case: Case, session: aiohttp.ClientSession) -> None:
    stream = await case.stream(session)
    case.fault(FaultKind.LISTEN_KEYS_EXPIRED)
    told = json.loads(await stream.socket.receive_str(timeout=PATIENCE_S))
    assert told["e"] == "listenKeyExpired"
    trade(case)
    with pytest.raises(asyncio.TimeoutError):
        await stream.socket.receive(timeout=0.3)
    assert not stream.socket.closed


def test_every_kind_of_fault_is_shown_here_and_stands_in_the_table() -> None:
    used = {
        node.attr
        for file in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "FaultKind"
    }
    assert used == {kind.name for kind in FaultKind}
    assert list(SEEN) == list(FaultKind)
