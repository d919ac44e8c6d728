"""Each misbehaviour of the served venues: the stream says Down, comes up again by itself, and tells true again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from stream_bench import BOTH, BTC, FAST, Watched, count_requests, eventually, open_account, timed, watch_stream

from tests.support.bench import Bench
from trueup.bootstrap.clock import SystemClock
from trueup.model.orders import Side
from trueup.model.stream import DownKind, StreamDown, StreamUnreadable, StreamUp
from trueup.sim.faults import Fault, FaultKind
from trueup.venues.stream import open_stream

D = Decimal


async def proves_alive(bench: Bench, watched: Watched) -> None:
    """What happens now is told."""
    since = watched.mark()
    bench.world.open_position("main", "SOLUSDT", "long", "1")
    await watched.filled(1, since)


def venue_of(venue: str) -> Any:
    return "bybit" if venue == "bybit" else "binance"


def cut_by_the_venue(bench: Bench, venue: str) -> None:
    bench.world.cut_streams("main")


def cut_without_a_word(bench: Bench, venue: str) -> None:
    bench.fault(Fault(FaultKind.STREAM_DISCONNECT, account="main", count=1))


def gone_silent(bench: Bench, venue: str) -> None:
    until_ms = bench.world.now_ms() + 2_000
    bench.fault(Fault(FaultKind.STREAM_SILENT, venue=venue_of(venue), until_ms=until_ms))


@pytest.mark.parametrize("venue", BOTH)
@pytest.mark.parametrize(
    ("happens", "kind"),
    [
        (cut_by_the_venue, DownKind.CLOSED),
        (cut_without_a_word, DownKind.CLOSED),
        (gone_silent, DownKind.SILENT),
    ],
)
async def test_down_is_told_and_up_again(
    bench: Bench, venue: str, happens: Callable[[Bench, str], None], kind: DownKind
) -> None:
    async with watch_stream(bench, venue) as (watched, stream, _):
        first = await watched.up()
        await proves_alive(bench, watched)
        since = watched.mark()
        happens(bench, venue)
        down = await watched.down(since)
        again = await watched.up(since)
        await proves_alive(bench, watched)
        health = stream.health

    assert down.kind is kind
    assert down.why
    assert down.proven_ms is not None
    assert first.at_ms <= down.proven_ms <= down.at_ms <= again.at_ms
    assert [type(e) for e in watched.events if isinstance(e, StreamUp | StreamDown)] == [StreamUp, StreamDown, StreamUp]
    assert (health.up, health.connects, health.why) == (True, 2, None)


async def test_a_silent_socket_is_found_within_ping_and_patience(bench: Bench) -> None:
    async with watch_stream(bench, "binanceusdm") as (watched, _, _adapter):
        await watched.up()
        bench.fault(Fault(FaultKind.STREAM_SILENT, venue="binance"))
        silent_ms = SystemClock().now_ms()
        bench.world.open_position("main", "SOLUSDT", "long", "1")
        down = await watched.down()
    assert watched.fills() == []
    # What was lost was lost after the time until which the stream is proven; found within ping + pong, with slack.
    assert down.proven_ms is not None
    assert down.proven_ms <= silent_ms
    assert down.at_ms - silent_ms < (FAST.ping_every_s + FAST.pong_within_s) * 1000 + 1_500


@pytest.mark.parametrize("venue", BOTH)
async def test_a_venue_that_refuses_streams_is_asked_again_until_it_opens(bench: Bench, venue: str) -> None:
    fault = bench.fault(Fault(FaultKind.STREAM_REFUSED, venue=venue_of(venue), status=503))
    async with watch_stream(bench, venue) as (watched, stream, _):
        down = await watched.down()
        await eventually(lambda: stream.health.failures >= 3)
        bench.server.front.faults.remove(fault)
        await watched.up()
        await proves_alive(bench, watched)
    assert (down.kind, down.proven_ms) == (DownKind.UNREACHABLE, None)
    assert "HTTP 503" in down.why
    # Told once, however often it was tried.
    assert [type(e) for e in watched.events[:2]] == [StreamDown, StreamUp]


async def test_the_venue_is_asked_again_when_its_market_list_or_listen_key_cannot_be_read(bench: Bench) -> None:
    bench.fault(Fault(FaultKind.HTML, path="/fapi/v1/exchangeInfo", count=2))
    bench.fault(Fault(FaultKind.HTML, path="/fapi/v1/listenKey", count=2))
    async with watch_stream(bench, "binanceusdm") as (watched, _, _adapter):
        assert (await watched.down()).kind is DownKind.UNREACHABLE
        await watched.up()
        await proves_alive(bench, watched)


async def test_an_expired_listen_key_is_replaced(bench: Bench) -> None:
    async with watch_stream(bench, "binanceusdm") as (watched, _, _adapter):
        await watched.up()
        counted = count_requests(bench.server.front)
        bench.world.expire_listen_keys("main")
        down = await watched.down()
        since = watched.mark()
        await watched.up(since)
        await proves_alive(bench, watched)
    assert down.kind is DownKind.KEY_EXPIRED
    assert counted.count("POST", "/fapi/v1/listenKey") == 1


async def test_a_listen_key_that_another_program_closed_is_found_by_the_next_keep_alive(bench: Bench) -> None:
    timings = timed(keep_alive_every_s=0.3)
    async with watch_stream(bench, "binanceusdm", timings=timings) as (watched, _, adapter):
        await watched.up()
        # The socket stays open and answers pings; only the venue's answer to the key tells.
        await adapter.client.act("fapiPrivateDeleteListenKey", {}, source="another program")
        down = await watched.down()
        await watched.up(watched.events.index(down))
        await proves_alive(bench, watched)
    assert down.kind is DownKind.KEY_EXPIRED


@pytest.mark.parametrize("venue", BOTH)
async def test_flapping_costs_few_requests_and_ends_well(bench: Bench, venue: str) -> None:
    timings = timed(backoff_first_s=0.1, backoff_most_s=2.0)
    async with watch_stream(bench, venue, timings=timings) as (watched, stream, _):
        await watched.up()
        counted = count_requests(bench.server.front)
        cuts = 8
        for _ in range(cuts):
            await asyncio.sleep(1)
            since = watched.mark()
            bench.world.cut_streams("main")
        await watched.up(since)
        await proves_alive(bench, watched)
        connects = stream.health.connects

    # 0.1 s doubling: after the third cut the waits are longer than the life of a connection.
    assert 3 <= connects <= cuts + 1
    # Binance: one question about the key for each connection; Bybit: none at all.
    assert len(counted.seen) <= (connects if venue == "binanceusdm" else 0)
    told = [type(e) for e in watched.events if isinstance(e, StreamUp | StreamDown)]
    assert told == [StreamUp, *([StreamDown, StreamUp] * (connects - 1))]


@pytest.mark.parametrize("venue", BOTH)
async def test_sockets_cut_as_soon_as_they_open_are_not_hammered(bench: Bench, venue: str) -> None:
    timings = timed(backoff_first_s=0.1, backoff_most_s=1.0)
    async with watch_stream(bench, venue, timings=timings) as (watched, stream, _):
        await watched.up()
        counted = count_requests(bench.server.front)
        bench.fault(Fault(FaultKind.STREAM_DISCONNECT, venue=venue_of(venue)))
        await asyncio.sleep(5)
        bench.mend()
        await eventually(lambda: stream.health.up and any(not gate.cut for gate in bench.server.front.gates))
        await proves_alive(bench, watched)
    # At least 0.05, 0.1, 0.2, 0.4, 0.5, 0.5, … between attempts.
    assert len(counted.seen) <= 16


@pytest.mark.parametrize("venue", BOTH)
async def test_dropped_messages_are_nothing_that_a_stream_can_know(bench: Bench, venue: str) -> None:
    """What an audit is for: it asks the stream to come up anew, so that a look misses nothing."""
    async with watch_stream(bench, venue) as (watched, stream, _):
        await watched.up()
        bench.fault(Fault(FaultKind.STREAM_DROP, account="main", text="SOLUSDT"))
        bench.world.open_position("main", "SOLUSDT", "long", "1")
        since = watched.mark()
        bench.world.open_position("main", "BTCUSDT", "long", "0.1")
        await watched.filled(1, since)
        assert {fill.symbol for fill in watched.fills()} == {BTC}
        bench.mend()
        stream.restart("an audit found a position that was never told")
        down = await watched.down()
        await watched.up(watched.events.index(down))
        await proves_alive(bench, watched)
    assert down.kind is DownKind.RESTARTED
    assert down.why == "an audit found a position that was never told"


@pytest.mark.parametrize("venue", BOTH)
async def test_doubled_late_and_disordered_messages_still_tell_the_truth(bench: Bench, venue: str) -> None:
    chance = random.Random(23)
    async with watch_stream(bench, venue) as (watched, _, adapter):
        await watched.up()
        began_ms = bench.world.now_ms()
        for kind, share in (
            (FaultKind.STREAM_DUPLICATE, "0.3"),
            (FaultKind.STREAM_REORDER, "0.3"),
            (FaultKind.STREAM_DELAY, "0.3"),
        ):
            bench.fault(Fault(kind, account="main", probability=D(share), delay_ms=100, text="BTCUSDT"))
        for _ in range(30):
            side = chance.choice(["long", "short"])
            bench.world.open_position("main", "BTCUSDT", side, f"0.{chance.randint(1, 9)}")
            await asyncio.sleep(0.01)
        history = await adapter.fills(BTC, began_ms - 1_000)
        ids = {fill.trade_id for fill in history.fills}
        await watched.until(lambda: {fill.trade_id for fill in watched.fills()} == ids)
        snapshot = await adapter.positions()
        await watched.until(lambda: _latest(watched) == {(r.side, r.quantity) for r in snapshot.reports})

    assert len(watched.fills()) > len(ids)
    assert [fill.trade_id for fill in watched.fills()] != sorted(ids)
    assert not watched.of(StreamDown)
    assert not watched.of(StreamUnreadable)


def _latest(watched: Watched) -> set[tuple[Side | None, Decimal]]:
    """By the venue's own order: its sequence, else its time (of one instant the one that came last)."""
    last = max(enumerate(watched.positions()), key=lambda item: (item[1].sequence or 0, item[1].at_ms or 0, item[0]))[1]
    return set() if last.side is None else {(last.side, last.quantity)}


@pytest.mark.parametrize(
    ("venue", "keys"),
    [("binanceusdm", {"api_key": "nobody"}), ("bybit", {"api_key": "nobody"}), ("bybit", {"api_secret": "wrong"})],
)
async def test_a_refused_key_is_told_once(bench: Bench, venue: str, keys: dict[str, str]) -> None:
    async with watch_stream(bench, venue, **keys) as (watched, stream, _):
        await watched.until(lambda: watched.events)
        (told,) = watched.events
        assert isinstance(told, StreamDown)
        assert (told.kind, told.proven_ms, watched.error) == (DownKind.REFUSED, None, None)
        for secret in keys.values():
            assert secret not in told.why
            assert secret not in repr(stream)
            assert secret not in repr(stream.health)


async def test_bybits_clock_may_be_far_from_ours(bench: Bench) -> None:
    bench.server.world.clock.offset_ms = 90_000  # type: ignore[attr-defined]
    async with watch_stream(bench, "bybit") as (watched, _, _adapter):
        await watched.up()
        # It moves on: the login that was right before is refused once, the clock measured again.
        bench.server.world.clock.offset_ms = 180_000  # type: ignore[attr-defined]
        since = watched.mark()
        bench.world.cut_streams("main")
        await watched.up(since)
        await proves_alive(bench, watched)


@pytest.mark.parametrize("venue", BOTH)
async def test_a_reader_that_does_not_keep_up_is_told_so(bench: Bench, venue: str) -> None:
    async with open_account(bench, venue) as (adapter, spec):
        stream = open_stream(
            adapter,
            api_key=spec.api_key,
            api_secret=spec.api_secret,
            clock=SystemClock(),
            chance=random.Random(1),
            ws_url=bench.server.ws_url,
            timings=FAST,
            limit=10,
        )
        async with stream:
            assert isinstance(await anext(stream), StreamUp)
            for _ in range(20):
                bench.world.open_position("main", "BTCUSDT", "long", "0.1")
            async with asyncio.timeout(20):
                while not isinstance(event := await anext(stream), StreamDown):
                    pass
                assert event.kind is DownKind.BEHIND
                assert stream.waiting <= 11
                while not isinstance(await anext(stream), StreamUp):
                    pass


@pytest.mark.parametrize("venue", BOTH)
async def test_nothing_is_left_after_the_end(bench: Bench, venue: str) -> None:
    before = asyncio.all_tasks()
    async with watch_stream(bench, venue) as (watched, stream, _):
        await watched.up()
    assert watched.error is None
    await stream.aclose()
    await eventually(lambda: not bench.server.front.gates)
    mine = {t for t in asyncio.all_tasks() - before if t.get_name().startswith("stream")}
    assert not mine
