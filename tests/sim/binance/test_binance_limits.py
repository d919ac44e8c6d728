"""Weights per address and minute, orders per account, 429 and 418."""

from __future__ import annotations

import pytest
from binance_client import Client, make_client

from trueup.sim.binance.limits import LimitPolicy
from trueup.sim.binance.routes import ROUTES
from trueup.sim.world import World

USED = "X-MBX-USED-WEIGHT-1M"


@pytest.mark.parametrize(
    ("method", "path", "params", "weight"),
    [
        ("GET", "/fapi/v1/time", {}, 1),
        ("GET", "/fapi/v3/positionRisk", {}, 5),
        ("GET", "/fapi/v2/positionRisk", {}, 5),
        ("GET", "/fapi/v3/account", {}, 5),
        ("GET", "/fapi/v1/openOrders", {}, 40),
        ("GET", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"}, 1),
        ("GET", "/fapi/v1/openAlgoOrders", {}, 40),
        ("GET", "/fapi/v1/openAlgoOrders", {"symbol": "BTCUSDT"}, 1),
        ("GET", "/fapi/v1/userTrades", {"symbol": "BTCUSDT"}, 5),
        ("GET", "/fapi/v1/income", {}, 30),
        ("GET", "/fapi/v1/positionSide/dual", {}, 30),
        ("GET", "/fapi/v1/ticker/24hr", {}, 40),
        ("GET", "/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "50"}, 2),
        ("GET", "/fapi/v1/depth", {"symbol": "BTCUSDT"}, 10),
        ("POST", "/fapi/v1/order", {"symbol": "BTCUSDT"}, 0),
        ("GET", "/fapi/v1/unknown", {}, 1),
    ],
)
def test_the_documented_weight_is_counted(client: Client, method: str, path: str, params: dict, weight: int) -> None:
    reply = client.call(method, path, **params)
    assert reply.headers[USED] == str(weight)


def test_a_full_audit_costs_eighty_five(client: Client) -> None:
    for path in ("/fapi/v3/positionRisk", "/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders"):
        reply = client.call("GET", path)
    assert reply.headers[USED] == "85"


def test_the_address_counts_not_the_account(world: World, client: Client) -> None:
    client.public("/fapi/v1/time")
    elsewhere = Client(client.wire, client.account, "10.0.0.2")
    assert elsewhere.public("/fapi/v1/time").headers[USED] == "1"
    assert client.public("/fapi/v1/time").headers[USED] == "2"


def test_the_counter_starts_anew_with_the_minute(world: World, client: Client) -> None:
    client.call("GET", "/fapi/v1/income")
    world.advance(60_000 - world.now_ms() % 60_000)
    assert client.public("/fapi/v1/time").headers[USED] == "1"


def test_beyond_the_weight_429_with_the_time_to_wait_then_418(world: World) -> None:
    client = make_client(world, policy=LimitPolicy(weight_per_minute=50, ban_after=3))
    world.advance(60_000 - world.now_ms() % 60_000 + 45_500)
    assert client.call("GET", "/fapi/v1/openOrders").status == 200
    refused = [client.call("GET", "/fapi/v1/openOrders") for _ in range(3)]
    assert [(reply.status, reply.code) for reply in refused] == [(429, -1003)] * 3
    assert refused[0].headers["Retry-After"] == "15"
    banned = client.public("/fapi/v1/time")
    assert (banned.status, banned.code) == (418, -1003)
    assert banned.headers["Retry-After"] == "120"
    assert f"banned until {world.now_ms() + 120_000}" in banned.body["msg"]
    world.advance(119_999)
    assert client.public("/fapi/v1/time").status == 418
    world.advance(1)
    assert client.public("/fapi/v1/time").status == 200


def test_who_waits_as_told_is_not_banned(world: World) -> None:
    client = make_client(world, policy=LimitPolicy(weight_per_minute=50, ban_after=1))
    client.call("GET", "/fapi/v1/openOrders")
    for _ in range(3):
        reply = client.call("GET", "/fapi/v1/openOrders")
        assert reply.status == 429
        world.advance(int(reply.headers["Retry-After"]) * 1_000)
        assert client.call("GET", "/fapi/v1/openOrders").status == 200


def test_bans_grow(world: World) -> None:
    client = make_client(world, policy=LimitPolicy(weight_per_minute=1, ban_after=1, first_ban_s=2))
    waits = []
    for _ in range(3):
        while (reply := client.public("/fapi/v1/time")).status != 418:
            pass
        waits.append(int(reply.headers["Retry-After"]))
        world.advance(waits[-1] * 1_000)
    assert waits == [2, 4, 8]


def test_what_is_refused_for_its_weight_does_nothing(world: World) -> None:
    client = make_client(world, policy=LimitPolicy(weight_per_minute=2))
    client.order()
    client.public("/fapi/v1/time")
    client.public("/fapi/v1/time")
    assert client.public("/fapi/v1/time").status == 429
    assert client.call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT").status == 429


def test_orders_are_counted_for_the_account(world: World) -> None:
    client = make_client(world, policy=LimitPolicy(orders_per_ten_seconds=3))
    first = client.order()
    assert (first.headers["X-MBX-ORDER-COUNT-10S"], first.headers["X-MBX-ORDER-COUNT-1M"]) == ("1", "1")
    assert "X-MBX-ORDER-COUNT-10S" not in client.public("/fapi/v1/time").headers
    client.order()
    client.algo(triggerPrice="50000", quantity="0.010")
    refused = client.order()
    assert (refused.status, refused.code) == (429, -1015)
    assert len(world.look("main").orders()) == 2
    world.advance(10_000)
    assert client.order().status == 200


def test_every_route_is_named_once_and_weighs_something_sane() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert all(0 <= route.weight <= 50 for route in ROUTES)
