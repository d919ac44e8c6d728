"""Streams in virtual time: keys kept alive, old connections replaced, silence found, attempts spaced out."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from stream_inproc import HOUR_S, START_MS, Bench

from trueup.model.errors import AuthenticationRefused, OutcomeUnknown, RateLimited, Unobserved
from trueup.model.stream import DownKind, StreamDown, StreamUnreadable, StreamUp
from trueup.sim.faults import Fault, FaultKind
from trueup.venues.stream import StreamTimings
from trueup.venues.stream.timing import backoff_s

Started = Callable[..., Awaitable[Bench]]
BOTH = ("binance", "bybit")
CALM = StreamTimings(ping_every_s=120.0, pong_within_s=20.0)


def seconds(bench: Bench, at_ms: int) -> float:
    return (at_ms - START_MS) / 1000


async def test_three_days_on_one_key_without_a_gap(started: Started) -> None:
    bench = await started("binance", timings=CALM)
    wanted = []
    for hour in range(72):
        bench.world.open_position("main", "BTCUSDT", "long", "0.01")
        wanted.append(hour)
        await bench.time.advance(HOUR_S, tick_s=60)
    client = bench.adapter.client
    # Up once, and nothing else: three connections were replaced before the venue would have cut them.
    assert bench.turns == [StreamUp]
    assert [round(seconds(bench, at_ms) / HOUR_S, 1) for at_ms, _ in bench.opened] == [0, 23.5, 47, 70.5]
    assert len(set(bench.fills)) == len(wanted)
    # The key was made once; then used every five minutes, and once for each new connection.
    assert len(client.times("POST")) == 1
    puts = client.times("PUT")
    assert max(b - a for a, b in itertools.pairwise(puts)) <= 300_000
    assert len(puts) == pytest.approx(72 * 12 + 3, abs=4)
    assert client.times("DELETE") == []


async def test_keep_alive_rides_out_failures_shorter_than_the_keys_life(started: Started) -> None:
    bench = await started("binance", timings=CALM)
    bench.adapter.client.failing = OutcomeUnknown("no answer")
    await bench.time.advance(50 * 60, tick_s=60)
    tried = len(bench.adapter.client.times("PUT"))
    bench.adapter.client.failing = None
    await bench.time.advance(2 * HOUR_S, tick_s=60)
    assert tried == pytest.approx((50 * 60 - 300) / 30, abs=3)
    assert bench.turns == [StreamUp]


async def test_a_key_that_cannot_be_kept_alive_is_given_up_before_the_venue_lets_it_die(started: Started) -> None:
    bench = await started("binance", timings=CALM)
    bench.adapter.client.failing = Unobserved("binance listen key (keep alive)", "no answer within 10 s")
    await bench.time.advance(56 * 60, tick_s=60)
    assert [down.kind for down in bench.downs] == [DownKind.KEY_EXPIRED]
    assert "no answer within 10 s" in bench.downs[0].why
    assert 55 * 60 <= seconds(bench, bench.downs[0].at_ms) <= 56 * 60
    bench.adapter.client.failing = None
    await bench.time.advance(60)
    assert bench.turns == [StreamUp, StreamDown, StreamUp]


async def test_a_key_refused_while_the_stream_is_up_is_tried_again_once_a_minute_until_it_is_not(
    started: Started,
) -> None:
    bench = await started("binance", timings=CALM)
    bench.adapter.client.failing = AuthenticationRefused("binance listen key: the venue refuses this key")
    await bench.time.advance(301)
    assert [down.kind for down in bench.downs] == [DownKind.REFUSED]
    asked = len(bench.adapter.client.calls)
    await bench.time.advance(300)
    assert 4 <= len(bench.adapter.client.calls) - asked <= 5
    assert (bench.error, bench.stream.health.up) == (None, False)
    assert "refuses this key" in (bench.stream.health.why or "")
    bench.adapter.client.failing = None
    await bench.time.advance(61)
    assert bench.stream.health.up
    assert bench.turns == [StreamUp, StreamDown, StreamUp]


async def test_the_venues_own_expiry_is_heard(started: Started) -> None:
    bench = await started("binance")
    bench.world.expire_listen_keys("main")
    await bench.time.advance(5)
    assert [down.kind for down in bench.downs] == [DownKind.KEY_EXPIRED]
    assert bench.turns == [StreamUp, StreamDown, StreamUp]
    assert len(bench.adapter.client.times("POST")) == 2


async def test_bybit_is_pinged_well_within_twenty_seconds(started: Started) -> None:
    bench = await started("bybit")
    await bench.time.advance(120)
    (socket,) = bench.sockets
    pings = [at_ms for at_ms, text in socket.sent if '"ping"' in text]
    assert len(pings) >= 11
    assert max(b - a for a, b in itertools.pairwise(pings)) <= 20_000
    assert bench.turns == [StreamUp]


async def test_bybit_logs_in_and_subscribes_before_it_is_up(started: Started) -> None:
    bench = await started("bybit")
    (socket,) = bench.sockets
    login, subscription = (json.loads(text) for _, text in socket.sent)
    assert (login["op"], len(login["args"])) == ("auth", 3)
    assert login["args"][1] > bench.time.now_ms()
    assert (subscription["op"], subscription["args"]) == ("subscribe", ["position", "order", "execution", "wallet"])
    assert bench.events == [StreamUp(at_ms=START_MS)]


@pytest.mark.parametrize("venue", BOTH)
async def test_silence_is_found_by_the_first_ping_that_nobody_answers(started: Started, venue: str) -> None:
    bench = await started(venue, timings=StreamTimings(ping_every_s=10, pong_within_s=7))
    await bench.time.advance(34)
    bench.front.add_fault(Fault(FaultKind.STREAM_SILENT, venue=venue, count=None, until_ms=START_MS + 50_000))
    await bench.time.advance(12.5)
    assert bench.turns == [StreamUp]
    await bench.time.advance(1)
    (down,) = bench.downs
    assert down.kind is DownKind.SILENT
    # The ping at 30 s was answered, the one at 40 s not within 7 s.
    assert seconds(bench, down.at_ms) == pytest.approx(47, abs=0.1)
    assert seconds(bench, down.proven_ms) == pytest.approx(30, abs=0.1)
    await bench.time.advance(60)
    assert bench.turns == [StreamUp, StreamDown, StreamUp]


@pytest.mark.parametrize("venue", BOTH)
async def test_attempts_double_their_distance_up_to_a_most(started: Started, venue: str) -> None:
    def refuse(bench: Bench) -> None:
        bench.front.add_fault(Fault(FaultKind.STREAM_REFUSED))

    bench = await started(venue, refuse, seed=9)
    await bench.time.advance(150, tick_s=0.5)
    waits = [(b - a) / 1000 for (a, _), (b, _) in itertools.pairwise(bench.opened)]
    chance = random.Random(9)
    expected = [backoff_s(StreamTimings(), failures, chance) for failures in range(1, len(waits) + 1)]
    assert waits == pytest.approx(expected, abs=0.01)
    assert waits[-1] >= 7.5
    assert max(waits) <= 15
    assert len(waits) < 25
    assert bench.turns == [StreamDown]
    assert bench.stream.health.failures == len(waits) + 1


def test_backoff_is_within_its_bounds() -> None:
    timings, chance = StreamTimings(backoff_first_s=0.2, backoff_most_s=15), random.Random(1)
    for failures, longest in ((0, 0.2), (1, 0.4), (3, 1.6), (6, 12.8), (7, 15), (500, 15)):
        drawn = [backoff_s(timings, failures, chance) for _ in range(200)]
        assert longest / 2 <= min(drawn) < max(drawn) <= longest


async def test_a_connection_that_lasted_starts_the_waits_anew(started: Started) -> None:
    bench = await started("bybit")
    for life_s in (1, 1, 1, 1):
        await bench.time.advance(life_s)
        bench.world.cut_streams("main")
        await bench.time.advance(20)
    assert bench.stream.health.failures == 4
    await bench.time.advance(30)
    bench.world.cut_streams("main")
    await bench.time.advance(0.3)
    assert bench.stream.health.failures == 0
    assert bench.stream.health.up


async def test_a_venue_that_asks_for_rest_gets_it(started: Started) -> None:
    def busy(bench: Bench) -> None:
        bench.adapter.client.failing = RateLimited("binance listen key", "asked to slow down", 40)

    bench = await started("binance", busy)
    await bench.time.advance(39)
    assert len(bench.adapter.client.calls) == 1
    bench.adapter.client.failing = None
    await bench.time.advance(2)
    assert bench.turns == [StreamDown, StreamUp]


@pytest.mark.parametrize("venue", BOTH)
async def test_a_venue_that_opens_and_says_nothing_is_not_up(started: Started, venue: str) -> None:
    def silent(bench: Bench) -> None:
        bench.front.add_fault(Fault(FaultKind.STREAM_SILENT, until_ms=START_MS + 30_000))

    bench = await started(venue, silent)
    await bench.time.advance(19)
    assert bench.events == []
    await bench.time.advance(2)
    (down,) = bench.downs
    assert (down.kind, down.proven_ms) == (DownKind.UNREACHABLE, None)
    assert "not confirmed within 20 s" in down.why
    await bench.time.advance(60)
    assert bench.turns == [StreamDown, StreamUp]
    assert len(bench.sockets) == 1


OLD = StreamTimings(ping_every_s=50, pong_within_s=8, renew_after_s=100, renew_retry_s=20)


async def test_a_connection_is_replaced_without_a_word_and_misses_nothing(started: Started) -> None:
    bench = await started("binance", timings=OLD)
    for _ in range(250):
        bench.world.open_position("main", "BTCUSDT", "long", "0.01")
        await bench.time.advance(1)
    assert bench.turns == [StreamUp]
    assert len(bench.opened) == 3
    assert len(set(bench.fills)) == 250
    assert len(bench.sockets) == 1


async def test_an_old_connection_that_was_silent_when_it_was_replaced_is_told(started: Started) -> None:
    """The messages of the last seconds may be lost with it, although the new one is up."""
    bench = await started("binance", timings=OLD)
    await bench.time.advance(95)
    (old,) = bench.sockets
    old.gate.is_silent = lambda now_ms: True  # type: ignore[method-assign]
    old.gate.due = lambda now_ms: []  # type: ignore[method-assign]
    bench.world.open_position("main", "BTCUSDT", "long", "0.01")
    await bench.time.advance(20)
    assert bench.fills == []
    assert bench.turns == [StreamUp, StreamDown, StreamUp]
    (down,) = bench.downs
    assert down.kind is DownKind.SILENT
    assert seconds(bench, down.proven_ms) == pytest.approx(50, abs=0.1)
    bench.world.open_position("main", "BTCUSDT", "long", "0.01")
    await bench.time.advance(1)
    assert len(bench.fills) == 1


async def test_an_old_connection_whose_key_was_found_dead_is_told(started: Started) -> None:
    """It answers pings to the end; but somebody closed the key that it listened with."""
    bench = await started("binance", timings=dataclasses.replace(OLD, ping_every_s=70))
    await bench.time.advance(60)
    await bench.adapter.client.act("fapiPrivateDeleteListenKey", {}, source="another program")
    bench.world.open_position("main", "BTCUSDT", "long", "0.01")
    await bench.time.advance(50)
    assert bench.fills == []
    assert [down.kind for down in bench.downs] == [DownKind.KEY_EXPIRED]
    assert bench.turns == [StreamUp, StreamDown, StreamUp]
    bench.world.open_position("main", "BTCUSDT", "long", "0.01")
    await bench.time.advance(200)
    assert len(bench.fills) == 1
    assert bench.turns == [StreamUp, StreamDown, StreamUp]


async def test_an_old_connection_serves_until_a_new_one_is_had(started: Started) -> None:
    bench = await started("binance", timings=OLD)
    bench.front.add_fault(Fault(FaultKind.STREAM_REFUSED, until_ms=START_MS + 150_000))
    await bench.time.advance(200)
    assert bench.turns == [StreamUp]
    assert [round(seconds(bench, at_ms)) for at_ms, _ in bench.opened] == [0, 100, 120, 140, 160]


async def test_an_old_connection_that_breaks_meanwhile_is_down(started: Started) -> None:
    bench = await started("binance", timings=OLD)
    bench.front.add_fault(Fault(FaultKind.STREAM_REFUSED, until_ms=START_MS + 115_000))
    await bench.time.advance(110)
    bench.world.cut_streams("main")
    await bench.time.advance(30)
    assert bench.turns == [StreamUp, StreamDown, StreamUp]
    assert len(bench.sockets) == 1


@pytest.mark.parametrize("venue", BOTH)
async def test_a_restart_is_a_down_and_an_up(started: Started, venue: str) -> None:
    bench = await started(venue)
    bench.stream.restart("an audit found more")
    bench.stream.restart("a second word does not count")
    await bench.time.advance(2)
    assert [(down.kind, down.why) for down in bench.downs] == [(DownKind.RESTARTED, "an audit found more")]
    assert bench.turns == [StreamUp, StreamDown, StreamUp]


async def test_a_restart_while_down_is_nothing(started: Started) -> None:
    def refuse(bench: Bench) -> None:
        bench.front.add_fault(Fault(FaultKind.STREAM_REFUSED))

    bench = await started("bybit", refuse)
    bench.stream.restart("now")
    await bench.time.advance(1)
    assert bench.turns == [StreamDown]


@pytest.mark.parametrize("venue", BOTH)
async def test_closing_while_it_connects_leaves_nothing(started: Started, venue: str) -> None:
    def silent(bench: Bench) -> None:
        bench.front.add_fault(Fault(FaultKind.STREAM_SILENT))

    bench = await started(venue, silent)
    assert len(bench.sockets) == 1
    await bench.stream.aclose()
    assert bench.sockets == []
    assert bench.front.gates == []
    await bench.stream.aclose()


@pytest.mark.parametrize("venue", BOTH)
async def test_no_secret_shows(started: Started, venue: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bench = await started(venue)
    spec = bench.world.look("main").spec
    bench.front.add_fault(Fault(FaultKind.STREAM_REFUSED, until_ms=START_MS + 5_000))
    bench.world.cut_streams("main")
    await bench.time.advance(20)
    (socket,) = bench.sockets
    secrets = [spec.api_key, spec.api_secret]
    if venue == "binance":
        secrets.append(bench.opened[-1][1].partition("listenKey=")[2])
        socket.gate.session.send(f'{{"listenKey":"{secrets[-1]}')
        socket.gate.session.send(f'{{"e":"ORDER_TRADE_UPDATE","listenKey":"{secrets[-1]}"}}')
        await bench.time.advance(1)
        assert sum(isinstance(event, StreamUnreadable) for event in bench.events) == 2
        secrets.append(secrets[-1][:8])
    else:
        secrets.append(json.loads(socket.sent[0][1])["args"][2])
    assert all(secrets)
    shown = " ".join(
        [repr(bench.stream), str(bench.stream.health), *map(repr, bench.events), caplog.text]
        + [repr(value) for value in vars(bench.stream).values()]
    )
    assert [secret for secret in secrets if secret in shown] == []


async def _scenario(started: Started, venue: str) -> list[Any]:
    bench = await started(venue, seed=4)
    for number in range(12):
        bench.world.open_position("main", "BTCUSDT", "long" if number % 3 else "short", "0.02")
        if number % 4 == 3:
            bench.world.cut_streams("main")
        await bench.time.advance(0.7, tick_s=0.1)
    return bench.events


@pytest.mark.parametrize("venue", BOTH)
async def test_the_same_seed_says_the_same(started: Started, venue: str) -> None:
    first, second = await _scenario(started, venue), await _scenario(started, venue)
    assert first == second
    assert len(first) > 20


def test_every_wait_is_positive() -> None:
    for name, value in dataclasses.asdict(StreamTimings()).items():
        assert Decimal(str(value)) > 0, name
    assert StreamTimings().ping_every_s <= 20
    assert StreamTimings().key_life_s < 3_600
    assert StreamTimings().renew_after_s < 24 * HOUR_S
