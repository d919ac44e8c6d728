"""The client of the control port (control.py 1, 2), what it can ask beyond actions, and how faults are checked there."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from trueup.model.errors import ConfigurationError, Rejected, Transient
from trueup.sim.actions import ACTIONS
from trueup.sim.control import ask
from trueup.sim.faults import Fault
from trueup.sim.front import Front
from trueup.sim.server import VenueServer
from trueup.sim.world import SkewedClock


async def test_it_acts_and_looks(server: VenueServer) -> None:
    url = server.control_url
    opened = await ask(url, "POST", "/open", {"account": "by", "symbol": "BTCUSDT", "side": "long", "quantity": "0.03"})
    assert opened["quantity"] == "0.03"
    assert (await ask(url, "GET", "/state"))["accounts"]["by"]["positions"][0]["symbol"] == "BTCUSDT"
    added = await ask(url, "POST", "/faults", {"kind": "hang", "count": "2", "probability": "0.5"})
    assert (await ask(url, "GET", "/faults"))[0]["fault"]["count"] == 2
    assert await ask(url, "DELETE", f"/faults/{added['fault_id']}") == {"removed": True}


async def test_numbers_and_flags_may_be_texts(server: VenueServer) -> None:
    before = server.world.now_ms()
    assert (await ask(server.control_url, "POST", "/advance", {"ms": "60000"}))["now_ms"] >= before + 60_000
    assert await ask(server.control_url, "POST", "/matching", {"enabled": "false"}) == {"enabled": False}
    assert await ask(server.control_url, "POST", "/matching", {"enabled": "true"}) == {"enabled": True}


async def test_what_goes_wrong_is_told_apart(server: VenueServer) -> None:
    url = server.control_url
    with pytest.raises(ConfigurationError, match="quantity"):
        await ask(url, "POST", "/open", {"account": "by", "symbol": "BTCUSDT", "side": "long"})
    with pytest.raises(Rejected, match="NoPosition"):
        await ask(url, "POST", "/close", {"account": "by", "symbol": "BTCUSDT"})
    with pytest.raises(ConfigurationError, match="no control port"):
        await ask(server.rest_url, "GET", "/state")
    port = server.control_url.rpartition(":")[2]
    await server.stop()
    with pytest.raises(Transient, match="trueup venue serve"):
        await ask(f"http://127.0.0.1:{port}", "GET", "/state")


@pytest.mark.parametrize(
    "url", ["http://example.com:9002", "http://10.0.0.1:9002", "https://127.0.0.1:9002", "9002", "", "http://[::1"]
)
async def test_it_speaks_to_loopback_only(url: str) -> None:
    with pytest.raises(ConfigurationError, match="on this machine"):
        await ask(url, "GET", "/state")


async def test_the_actions_teach_themselves(server: VenueServer) -> None:
    told = await ask(server.control_url, "GET", "/actions")
    assert set(told) == set(ACTIONS)
    assert all(text.endswith(".") for text in told.values())


async def test_the_requests_of_a_bot_can_be_looked_up(server: VenueServer, client: aiohttp.ClientSession) -> None:
    server.front.add_fault(Fault.from_json({"kind": "http_error", "path": "*/open", "status": 502, "count": 1}))
    server.front.add_fault(Fault.from_json({"kind": "disconnect", "path": "*/orders", "count": 1}))
    await client.get("/v5/position/positions?settleCoin=USDT&signature=abc&listenKey=def")
    await client.post("/v5/order/open", json={"symbol": "BTCUSDT", "qty": "1"})
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post("/v5/order/orders")
    first, second, third = await ask(server.control_url, "GET", "/requests")
    assert (first["number"], first["method"], first["path"]) == (1, "GET", "/v5/position/positions")
    assert first["parameters"] == {"settleCoin": "USDT"}
    assert (first["account"], first["status"], first["faults"]) == ("by", 200, [])
    assert (second["parameters"], second["status"]) == ({"symbol": "BTCUSDT", "qty": "1"}, 502)
    assert (third["status"], third["faults"]) == (None, ["disconnect"])
    assert [row["number"] for row in await ask(server.control_url, "GET", "/requests?limit=1")] == [3]
    with pytest.raises(ConfigurationError, match="limit"):
        await ask(server.control_url, "GET", "/requests?limit=x")
    assert (await ask(server.control_url, "GET", "/state"))["requests"]["total"] == 3


def test_the_journal_is_bounded_and_counts_the_last_five_seconds(manual: Front) -> None:
    from trueup.sim.wire import WireRequest

    request = WireRequest("POST", "/v5/x/echo", "", {"x-account": "by"}, b"x" * 50_000)
    for second in range(6):
        for _ in range(100):
            manual.handle(request)
        assert manual.journal.per_second(manual.world.now_ms()) == 20.0 * second
        manual.world.advance(1_000)
    assert manual.journal.per_second(manual.world.now_ms()) == 100.0
    manual.world.advance(60_000)
    assert manual.journal.per_second(manual.world.now_ms()) == 0
    assert (manual.journal.total, manual.journal.by_account) == (600, {"by": 600})
    kept = manual.journal.latest(10_000)
    assert [asked.number for asked in kept] == list(range(101, 601))
    assert max(len(asked.request.body) for asked in kept) == 10_000
    assert manual.journal.latest(0) == []


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"kind": "slow", "delay_ms": "soon"}, "delay_ms is 'soon'"),
        ({"kind": "slow", "delay_ms": -1}, "0 or more"),
        ({"kind": "slow", "delay_ms": 1.5}, "an integer"),
        ({"kind": "hang", "count": True}, "an integer"),
        ({"kind": "hang", "path": 5}, "path is 5; expected a text"),
        ({"kind": "hang", "query": "x"}, "query is 'x'; expected a table"),
        ({"kind": "hang", "venue": "okx"}, "binance or bybit"),
        ({"kind": "hang", "probability": "often"}, "from 0 to 1"),
        ({"kind": "hang", "probability": "NaN"}, "from 0 to 1"),
        ({"kind": "hang", "probability": 2}, "from 0 to 1"),
        ({"kind": "stream_drop", "text": "("}, "regular expression"),
    ],
)
async def test_a_fault_that_cannot_be_meant_is_refused_when_it_is_made(
    server: VenueServer, data: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        await ask(server.control_url, "POST", "/faults", data)
    assert server.front.faults.planned() == []


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "x", "1,5"])
async def test_an_amount_is_a_number(server: VenueServer, amount: str) -> None:
    with pytest.raises(ConfigurationError, match="amount"):
        await ask(server.control_url, "POST", "/price", {"symbol": "BTCUSDT", "last": amount})


def test_a_fault_that_is_taken_away_undoes_its_skew_and_no_longer_comes(manual: Front) -> None:
    clock = manual.world.clock
    assert isinstance(clock, SkewedClock)
    now = manual.world.now_ms()
    skew = manual.add_fault(Fault.from_json({"kind": "clock_skew", "offset_ms": 5_000}))
    later = manual.add_fault(Fault.from_json({"kind": "clock_skew", "offset_ms": 700, "from_ms": now + 60_000}))
    assert clock.offset_ms == 5_000
    assert manual.remove_fault(skew.fault_id)
    assert not manual.remove_fault(skew.fault_id)
    assert clock.offset_ms == 0
    manual.clear_faults()
    manual.world.advance(120_000)
    assert (clock.offset_ms, later.hits) == (0, 0)
