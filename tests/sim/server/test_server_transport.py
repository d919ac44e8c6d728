"""The server (server.py): what a client of real sockets sees of requests, streams and each fault that takes time."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest
from fake_wire import until

from trueup.sim.faults import Fault, FaultKind
from trueup.sim.server import VenueServer
from trueup.sim.world import World

POSITIONS = "/v5/position/positions"


async def next_text(socket: aiohttp.ClientWebSocketResponse) -> str:
    message = await socket.receive(timeout=5)
    assert message.type is aiohttp.WSMsgType.TEXT, message
    return str(message.data)


async def test_requests_reach_the_wire_as_they_were_sent(client: aiohttp.ClientSession) -> None:
    raw = "/v5/x/echo?b=2&a=%20x%2C&signature=00ff"
    from yarl import URL

    async with client.post(URL(raw, encoded=True), data=b'{"a": 1.10}') as answer:
        seen = await answer.json()
        assert answer.headers["X-Fake"] == "yes"
    assert seen == {
        "path": "/v5/x/echo",
        "query": "b=2&a=%20x%2C&signature=00ff",
        "body": '{"a": 1.10}',
        "ip": "127.0.0.1",
    }


async def test_the_server_serves_loopback_on_two_ports(server: VenueServer, client: aiohttp.ClientSession) -> None:
    assert server.rest_url.startswith("http://127.0.0.1:")
    assert server.ws_url.split(":")[-1] == server.rest_url.split(":")[-1] != server.control_url.split(":")[-1]
    async with client.get("/state") as answer:
        assert answer.status == 404
    async with aiohttp.ClientSession(server.control_url) as control, control.get(POSITIONS) as answer:
        assert answer.status in (404, 405)


async def test_a_taken_port_is_an_error_and_leaves_nothing_open(server: VenueServer, client: object) -> None:
    port = int(server.rest_url.split(":")[-1])
    second = VenueServer(server.world, port=port, wires=[])
    with pytest.raises(OSError, match="in use"):
        await second.start()


async def test_slow_answers(server: VenueServer, client: aiohttp.ClientSession) -> None:
    for when in ("before", "after", "drip"):
        server.front.add_fault(Fault(FaultKind.SLOW, when=when, delay_ms=150, count=1))
        started = time.monotonic()
        async with client.get(POSITIONS) as answer:
            assert (await answer.json())["result"]["list"] == []
        assert 0.14 < time.monotonic() - started < 2


async def test_a_late_request_is_carried_out_though_its_client_gave_up(
    server: VenueServer, client: aiohttp.ClientSession
) -> None:
    server.front.add_fault(Fault(FaultKind.SLOW, delay_ms=300, count=1))
    carried_out = asyncio.Event()
    server.world.subscribe(lambda _: carried_out.set())
    with pytest.raises(TimeoutError):
        await client.post("/v5/order/open", timeout=aiohttp.ClientTimeout(total=0.1))
    assert server.world.look("by").positions() == []
    await asyncio.wait_for(carried_out.wait(), 5)
    assert len(server.world.look("by").positions()) == 1


async def test_hanging_ends_in_the_clients_timeout(server: VenueServer, client: aiohttp.ClientSession) -> None:
    server.front.add_fault(Fault(FaultKind.HANG, count=1))
    with pytest.raises(TimeoutError):
        await client.get(POSITIONS, timeout=aiohttp.ClientTimeout(total=0.2))
    async with client.get(POSITIONS) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("kind", [FaultKind.DISCONNECT, FaultKind.ANSWER_LOST])
async def test_dropped_connections(server: VenueServer, client: aiohttp.ClientSession, kind: FaultKind) -> None:
    server.front.add_fault(Fault(kind, count=1))
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post("/v5/order/open")
    assert bool(server.world.look("by").positions()) is (kind is FaultKind.ANSWER_LOST)


async def test_half_a_body_arrives_as_a_whole_answer(server: VenueServer, client: aiohttp.ClientSession) -> None:
    server.front.add_fault(Fault(FaultKind.TRUNCATED, count=1))
    async with client.get(POSITIONS) as answer:
        text = await answer.text()
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(text)


async def test_streams_tell_what_happens_and_answer(server: VenueServer, client: aiohttp.ClientSession) -> None:
    async with client.ws_connect("/v5/private?account=by", autoping=False) as socket:
        await socket.send_str("hello")
        assert await next_text(socket) == "hi"
        server.world.open_position("by", "BTCUSDT", "long", "0.01")
        assert json.loads(await next_text(socket))["size"] == "0.01"
        await socket.ping(b"there?")
        pong = await socket.receive(timeout=5)
        assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"there?")
        await socket.send_str("close")
        assert await next_text(socket) == "bye"
        closing = await socket.receive(timeout=5)
        assert closing.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert socket.close_code == 4001
    await until(lambda: server.front.gates == [])


async def test_a_silent_socket_answers_not_even_pings(server: VenueServer, client: aiohttp.ClientSession) -> None:
    async with client.ws_connect("/v5/private", autoping=False) as socket:
        planned = server.front.add_fault(Fault(FaultKind.STREAM_SILENT))
        await socket.send_str("hello")
        await socket.ping(b"there?")
        server.world.open_position("by", "BTCUSDT", "long", "0.01")
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.3)
        server.front.faults.remove(planned.fault_id)
        await socket.send_str("hello")
        assert await next_text(socket) == "hi"


async def test_a_forced_disconnect_has_no_close_frame(server: VenueServer, client: aiohttp.ClientSession) -> None:
    async with client.ws_connect("/v5/private") as socket:
        server.front.add_fault(Fault(FaultKind.STREAM_DISCONNECT, count=1))
        ended = await socket.receive(timeout=5)
        assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert socket.close_code == 1006
    async with client.ws_connect("/v5/private") as socket:
        await socket.send_str("hello")
        assert await next_text(socket) == "hi"


async def test_the_venue_closes_streams_with_its_reason(server: VenueServer, client: aiohttp.ClientSession) -> None:
    async with client.ws_connect("/v5/private") as socket:
        server.world.cut_streams("by")
        await socket.receive(timeout=5)
        assert socket.close_code == 1008


async def test_refused_streams(server: VenueServer, client: aiohttp.ClientSession) -> None:
    for query in ("bad", "account=by"):
        server.front.add_fault(Fault(FaultKind.STREAM_REFUSED, status=503, skip=0 if query != "bad" else 1))
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"/v5/private?{query}")
        assert refused.value.status == (401 if query == "bad" else 503)
        server.front.faults.clear()


async def test_delayed_messages_come_late(server: VenueServer, client: aiohttp.ClientSession) -> None:
    async with client.ws_connect("/v5/private") as socket:
        server.front.add_fault(Fault(FaultKind.STREAM_DELAY, delay_ms=200, count=1))
        started = time.monotonic()
        await socket.send_str("hello")
        assert await next_text(socket) == "hi"
        assert time.monotonic() - started > 0.18


async def test_sessions_notice_the_time(server: VenueServer, client: aiohttp.ClientSession) -> None:
    async with client.ws_connect("/v5/private") as socket:
        session = server.front.gates[0].session
        ticks: list[int] = session.ticks  # type: ignore[attr-defined]
        before = len(ticks)
        await socket.send_str("hello")
        await next_text(socket)
        await until(lambda: len(ticks) >= before + 3)


async def test_the_world_goes_on_by_itself(server: VenueServer) -> None:
    happened = asyncio.Event()
    server.world.schedule(server.world.now_ms() + 30, happened.set)
    await asyncio.wait_for(happened.wait(), 5)


async def test_stopping_closes_streams_and_waiting_requests(server: VenueServer, client: aiohttp.ClientSession) -> None:
    server.front.add_fault(Fault(FaultKind.HANG, path="*/hang"))
    async with client.ws_connect("/v5/private") as socket:
        hanging = asyncio.create_task(client.get("/v5/x/hang"))
        await until(lambda: server.front.faults.planned()[0].hits == 1)
        started = time.monotonic()
        await server.stop()
        assert time.monotonic() - started < 5
        ended = await socket.receive(timeout=5)
        assert ended.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(hanging, 5)
    await server.stop()


async def test_what_is_too_old_is_forgotten() -> None:
    from trueup.sim.world import ManualClock, SkewedClock

    clock = ManualClock(1_795_000_000_000)
    world = World(SkewedClock(clock))
    world.add_account("by", "bybit")
    world.open_position("by", "BTCUSDT", "long", "0.01")
    forgotten = asyncio.Event()
    forget = world.forget_before

    def noticed(at_ms: int) -> None:
        forget(at_ms)
        forgotten.set()

    world.forget_before = noticed  # type: ignore[method-assign]
    async with VenueServer(world, wires=[], history_s=10):
        clock.advance(61_000)
        await asyncio.wait_for(forgotten.wait(), 5)
    assert world.look("by").positions()
